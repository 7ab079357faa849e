//! The embedded metrics store: one SQLite file (`migrations/sqlite/metrics`).
//!
//! Promises: each write is one transaction that is on the disk when the call returns
//! (`synchronous=FULL`), that runs to its end even when the caller is dropped, and that changes
//! nothing when it is repeated. Reads see whole transactions only.

mod vitals;

use std::path::Path;
use std::sync::Arc;

use crate::error::{Backend, StoreError};
use crate::metrics::sql::{Connection, Failure, SqlDatabase, View, Work};
use atalaya_domain::health::database::Database;

use sqlx::{ConnectOptions as _, Connection as _};

use super::closing;
use super::examine::{Examined, strip};
use super::mirror::Mirrored;
use super::open::{BUSY_LIMIT, Durability, Schema, SqliteFile};
use super::place::{self, Locks};

/// `ATAM` in ASCII; kept in the file's header.
const APPLICATION_ID: i32 = 0x4154_414d;

pub(super) const SCHEMA: Schema = Schema {
    name: "metrics",
    application_id: APPLICATION_ID,
    readable_from: None,
    migrations: &[
        include_str!("../../../../migrations/sqlite/metrics/0001_delivery.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0002_improvement.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0003_operation.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0004_service.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0005_delivery_told_right.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0006_backup.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0007_alerts.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0008_github.sql"),
        include_str!("../../../../migrations/sqlite/metrics/0009_pipelines.sql"),
    ],
    mirrored: Mirrored::Every,
};

/// The embedded metrics store.
#[derive(Clone, Debug)]
pub struct SqliteMetricsStore {
    file: SqliteFile,
}

impl SqliteMetricsStore {
    /// Opens the file, makes it when it is missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            file: SqliteFile::open(path, &SCHEMA, Durability::EachCommit).await?,
        })
    }

    pub async fn close(&self) {
        self.file.close().await;
    }

    fn failed(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Driver(error) => self.file.error(error),
            Failure::Store(error) => error,
            Failure::Silent(limit) => StoreError::TimedOut {
                backend: Backend::Sqlite,
                limit,
            },
        }
    }
}

impl SqlDatabase for SqliteMetricsStore {
    type Bare = Self;

    fn bare(self: Arc<Self>) -> Arc<Self> {
        self
    }

    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn address(&self) -> String {
        self.file.address()
    }

    async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.file
            .write(move |connection| {
                Box::pin(
                    async move { Ok(work(&mut Connection::Sqlite(connection), &input).await?) },
                )
            })
            .await
            .map_err(carried)
    }

    async fn read<I, T>(&self, view: View, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let failed = |error| self.file.error(error);
        let outcome = match view {
            View::Latest => {
                let mut connection = self.file.readers().await?.acquire().await.map_err(failed)?;
                work(&mut Connection::Sqlite(&mut connection), &input).await
            }
            View::Snapshot => {
                let mut snapshot = self.file.readers().await?.begin().await.map_err(failed)?;
                work(&mut Connection::Sqlite(&mut snapshot), &input).await
            }
        };
        outcome.map_err(|failure| self.failed(failure))
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        self.read_vitals().await
    }

    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        let _busy = closing::busy()?;
        let file = place::options(self.file.path(), Locks::All).busy_timeout(BUSY_LIMIT);
        let mut connection = file
            .connect()
            .await
            .map_err(|error| self.file.error(error))?;
        // One transaction that only reads: the others go on.
        sqlx::query("VACUUM INTO ?")
            .bind(place::name(into).as_ref())
            .execute(&mut connection)
            .await
            .map_err(|error| self.file.error(error))?;
        connection.close().await.ok();
        strip(into, &SCHEMA).await
    }

    fn read_only(&self) -> Option<String> {
        self.file.read_only()
    }
}

/// Whether a file that may come from anywhere holds metrics, and nothing else; see
/// [`examine`](super::examine).
pub async fn examine(path: &Path) -> Result<Examined, StoreError> {
    super::examine::examine(path, &SCHEMA).await
}

/// A transaction hands back driver errors only, so ours travels inside one; [`carried`] takes it
/// out again.
impl From<Failure> for sqlx::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Driver(error) => error,
            Failure::Store(error) => Self::Configuration(error.into()),
            Failure::Silent(limit) => Self::Configuration(
                StoreError::TimedOut {
                    backend: Backend::Sqlite,
                    limit,
                }
                .into(),
            ),
        }
    }
}

fn carried(error: StoreError) -> StoreError {
    let StoreError::Refused { backend, source } = error else {
        return error;
    };
    match source.downcast::<sqlx::Error>() {
        Ok(driver) => match *driver {
            sqlx::Error::Configuration(inner) => match inner.downcast::<StoreError>() {
                Ok(ours) => *ours,
                Err(source) => StoreError::Refused { backend, source },
            },
            other => StoreError::Refused {
                backend,
                source: other.into(),
            },
        },
        Err(source) => StoreError::Refused { backend, source },
    }
}
