//! The metrics store on a real MariaDB: the common suite, and what only a server can show.

mod faults;
mod plans;
mod proxy;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Phase, PhaseRecord,
};
use atalaya::domain::time::Timestamp;
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

    pub async fn store(&self) -> MySqlMetricsStore {
        MySqlMetricsStore::connect(&self.options).await.unwrap()
    }

    /// The administrator, in this database.
    pub async fn administrator(&self) -> MySqlConnection {
        administrator(&self.options)
            .database(&self.options.database)
            .connect()
            .await
            .unwrap()
    }

    /// Runs what a test needs as the administrator.
    pub async fn sql(&self, statements: &str) {
        let mut connection = self.administrator().await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// A number that the administrator asks for.
    pub async fn number(&self, query: &str) -> i64 {
        let mut connection = self.administrator().await;
        sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// A user of the same name as the database, with the password `right` and these rights.
    pub async fn user(&self, rights: &[&str]) -> MySqlOptions {
        let name = &self.options.database;
        self.sql(&format!("CREATE USER `{name}`@'%' IDENTIFIED BY 'right'"))
            .await;
        for right in rights {
            let (right, table) = right.split_once(" ON ").unwrap_or((right, "*"));
            self.sql(&format!(
                "GRANT {right} ON `{name}`.{table} TO `{name}`@'%'"
            ))
            .await;
        }
        MySqlOptions {
            user: name.clone(),
            password: Some("right".into()),
            ..self.options.clone()
        }
    }

    /// Rows that name a row which is not there, over every foreign key that the tables have.
    pub async fn orphans(&self) -> i64 {
        let mut connection = self.administrator().await;
        let keys: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT table_name, column_name, referenced_table_name, referenced_column_name
             FROM information_schema.key_column_usage
             WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(
            keys.len(),
            8,
            "every reference of the schema is a foreign key: {keys:?}"
        );
        let mut orphans = 0;
        for (table, column, parent, key) in keys {
            orphans += self
                .number(&format!(
                    "SELECT COUNT(*) FROM `{table}` child LEFT JOIN `{parent}` parent
                         ON parent.`{key}` = child.`{column}`
                     WHERE child.`{column}` IS NOT NULL AND parent.`{key}` IS NULL"
                ))
                .await;
        }
        orphans
    }
}

fn administrator(options: &MySqlOptions) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(&options.host)
        .port(options.port)
        .username("root")
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let options = self.options.clone();
        // A runtime of its own: this may be dropped inside of one that is ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let mut server = administrator(&options).connect().await.unwrap();
                let name = &options.database;
                let text =
                    format!("DROP DATABASE IF EXISTS `{name}`; DROP USER IF EXISTS `{name}`@'%'");
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut server)
                    .await
                    .unwrap();
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

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + minutes * 60)
}

fn tested(cycle: &str, attempt: u32) -> PhaseRecord {
    PhaseRecord {
        cycle_id: cycle.to_owned(),
        feature_id: format!("FEAT-{cycle}"),
        phase: Phase::Testing,
        attempt,
        decision: Decision::Go,
        duration: Duration::from_micros(90_000_001),
        recorded_at: at(attempt.into()),
        metadata: BTreeMap::from([("team".to_owned(), "red".into())]),
    }
}

fn deployed(id: &str, commits: i64) -> Deployment {
    let commit = |number: i64| DeployedCommit {
        sha: format!("{id}-{number}"),
        authored_at: at(number),
        committed_at: at(number + 1),
        title: format!("Change {number}"),
        reverts: false,
    };
    Deployment {
        id: id.to_owned(),
        service: "shop".to_owned(),
        team: None,
        environment: "production".to_owned(),
        commit: None,
        started_at: None,
        finished_at: at(1_000),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: Some(format!("cycle-of-{id}")),
        origin: "test".to_owned(),
        taken_back_by: None,
        commits: Some((0..commits).map(commit).collect()),
    }
}
