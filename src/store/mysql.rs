//! The server metrics store: MySQL 8 and MariaDB 10.6 or later, through sqlx.
//!
//! The schema and its reasons are in `migrations/mysql`. It is made and brought up to date by
//! [`init`] and [`migrate`] only: a store that is opened finds it as it must be, or fails.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

use crate::store::error::StoreError;

mod errors;
pub mod options;
pub mod schema;

pub use options::MySqlOptions;
use options::Purpose;
pub use schema::{SchemaStatus, init, migrate, status};

/// How long a caller waits for its turn on a connection of this process.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);
/// How long a statement waits for a lock of another transaction (`innodb_lock_wait_timeout`).
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// Connections of each of the two pools.
const CONNECTIONS: u32 = 4;
/// An idle connection is closed before the server does it (`wait_timeout` of the session).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// The metrics store in a database of a server.
#[derive(Clone, Debug)]
pub struct MySqlMetricsStore {
    options: Arc<MySqlOptions>,
    writers: MySqlPool,
    readers: MySqlPool,
}

impl MySqlMetricsStore {
    /// Connects, and checks that the schema is the one that this program needs.
    pub async fn connect(options: &MySqlOptions) -> Result<Self, StoreError> {
        schema::status(options).await?.check(options.address())?;
        Ok(Self {
            options: Arc::new(options.clone()),
            writers: pool(options, Purpose::Write),
            readers: pool(options, Purpose::Read),
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

fn pool(options: &MySqlOptions, purpose: Purpose) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(QUEUE_LIMIT)
        .idle_timeout(IDLE_LIMIT)
        .after_connect(move |connection, _| Box::pin(purpose.prepare(connection)))
        .connect_lazy_with(options.driver(purpose))
}
