//! The metrics store on a real MariaDB: the common suite, and what only a server can show.

use std::sync::Arc;

use atalaya::store::metrics::MetricsStore;
use atalaya::store::mysql::{self, MySqlMetricsStore, MySqlOptions};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::metrics_store_suite::metrics_store_suite;

/// A database of one test; it is gone with the value.
pub struct OwnDatabase {
    pub options: MySqlOptions,
}

impl OwnDatabase {
    /// A name that nobody has; nothing is made yet.
    pub fn named() -> Self {
        let server: MySqlConnectOptions = xtask::services::mariadb().unwrap().parse().unwrap();
        let database = format!("t_mysql_{}", uuid::Uuid::new_v8(rand::random()).simple());
        let mut options = MySqlOptions::new(server.get_host(), database, server.get_username());
        options.port = server.get_port();
        Self { options }
    }

    /// With its tables.
    pub async fn made() -> Self {
        let database = Self::named();
        mysql::init(&database.options).await.unwrap();
        database
    }

    /// As the administrator, without a database.
    pub async fn server(&self) -> MySqlConnection {
        MySqlConnectOptions::new()
            .host(&self.options.host)
            .port(self.options.port)
            .username("root")
            .connect()
            .await
            .unwrap()
    }

    /// Runs what a test needs as the administrator, in this database.
    pub async fn sql(&self, statements: &str) {
        let mut server = self.server().await;
        let text = format!("USE `{}`; {statements}", self.options.database);
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut server).await.unwrap();
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let options = self.options.clone();
        // A runtime of its own: this may be dropped inside of one that is ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut server = MySqlConnectOptions::new()
                    .host(&options.host)
                    .port(options.port)
                    .username("root")
                    .connect()
                    .await
                    .unwrap();
                let text = format!("DROP DATABASE IF EXISTS `{}`", options.database);
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut server).await.unwrap();
            });
        });
        let _ = dropped.join();
    }
}

async fn empty() -> (Arc<dyn MetricsStore>, OwnDatabase) {
    let database = OwnDatabase::made().await;
    let store = MySqlMetricsStore::connect(&database.options).await.unwrap();
    (Arc::new(store), database)
}

metrics_store_suite!(empty);
