//! The server metrics store: MySQL 8 and MariaDB 10.6 or later, through sqlx.
//!
//! The schema and its reasons are in `migrations/mysql`. It is made and brought up to date by
//! [`init`] and [`migrate`] only: a store that is opened finds it as it must be, or fails.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, MySql};

use crate::error::{Backend, StoreError};
use crate::metrics::sql::{Connection, Failure, SqlDatabase, View, Work, within};
use atalaya_domain::backoff::Backoff;
use atalaya_domain::health::database::Database;

mod errors;
pub mod options;
pub mod schema;
pub mod snapshot;
mod vitals;

pub use options::MySqlOptions;
use options::Purpose;
pub use schema::{SchemaStatus, init, migrate, status};

/// How long a caller waits for its turn on a connection of this process.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);
/// After this a caller who waits for a connection asks whether there is a server at all.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections of each of the two pools.
const CONNECTIONS: u32 = 4;
/// An idle connection is closed before the server does it (`wait_timeout` of the session).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How often a transaction is tried while others are in its way: about four seconds.
const CONFLICT_ATTEMPTS: u32 = 20;
/// Between two of them, in part and by chance: two transactions that met do not meet again.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
/// How often one is tried whose connection broke; a server that is down is noticed at once.
const LOST_ATTEMPTS: u32 = 4;

/// The metrics store in a database of a server.
#[derive(Clone, Debug)]
pub struct MySqlMetricsStore {
    options: Arc<MySqlOptions>,
    writers: MySqlPool,
    readers: MySqlPool,
    orphans: vitals::OrphanCount,
}

impl MySqlMetricsStore {
    /// Connects, and checks that the schema is the one that this program needs.
    pub async fn connect(options: &MySqlOptions) -> Result<Self, StoreError> {
        schema::status(options).await?.check(options.address())?;
        Ok(Self {
            options: Arc::new(options.clone()),
            writers: pool(options, Purpose::Write),
            readers: pool(options, Purpose::Read),
            orphans: vitals::OrphanCount::default(),
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

impl SqlDatabase for MySqlMetricsStore {
    type Bare = Self;

    fn bare(self: Arc<Self>) -> Arc<Self> {
        self
    }

    fn backend(&self) -> Backend {
        Backend::MySql
    }

    fn address(&self) -> String {
        self.options.address()
    }

    async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let store = self.clone();
        finished(tokio::spawn(async move { store.write_until_done(&input, work).await }).await)
    }

    async fn read<I, T>(&self, view: View, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let store = self.clone();
        let reading = tokio::spawn(async move {
            match store.read_once(view, &input, work).await {
                Ok(value) => Ok(value),
                Err(failure) => Err(store.failed(failure)),
            }
        });
        finished(reading.await)
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        self.read_vitals().await
    }

    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        let (store, into) = (self.clone(), into.to_owned());
        finished(tokio::spawn(async move { store.read_snapshot(&into).await }).await)
    }
}

/// Everything that talks to the server runs in a task of its own. The driver does not bear being
/// dropped half-way: a transaction whose `BEGIN` is on its way is open on the server and unknown to
/// the driver, and a statement that is being prepared leaves an answer behind that the next borrower
/// of the connection would take for his.
fn finished<T>(
    joined: Result<Result<T, StoreError>, tokio::task::JoinError>,
) -> Result<T, StoreError> {
    // Fails only when the runtime shuts down or the work panicked; nothing was committed by it.
    joined.unwrap_or_else(|stopped| {
        Err(StoreError::Refused {
            backend: Backend::MySql,
            source: Box::new(stopped),
        })
    })
}

impl MySqlMetricsStore {
    /// Tries again while another transaction is in the way, or after the answer was lost with the
    /// connection: every write is known by its keys, so a repetition of one that was done changes
    /// nothing (and counts as unchanged).
    async fn write_until_done<I, T>(&self, input: &I, work: Work<I, T>) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            let failure = match self.write_once(input, work).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let limit = match &failure {
                Failure::Driver(error) if errors::is_conflict(error) => CONFLICT_ATTEMPTS,
                Failure::Driver(error) if errors::is_lost(error) => LOST_ATTEMPTS,
                _ => 0,
            };
            if attempt >= limit {
                return Err(self.failed(failure));
            }
            tokio::time::sleep(PAUSES.jittered(attempt, rand::random())).await;
            attempt += 1;
        }
    }

    async fn write_once<I, T>(&self, input: &I, work: Work<I, T>) -> Result<T, Failure> {
        let limit = self.options.statement_timeout;
        let mut connection = self.acquire(&self.writers).await?;
        let outcome = async {
            let mut transaction = within(limit, connection.begin()).await?;
            let mut inside = Connection::MySql {
                connection: &mut transaction,
                limit,
            };
            match work(&mut inside, input).await {
                Ok(done) => within(limit, transaction.commit()).await.map(|()| done),
                Err(failure) => {
                    if failure.leaves_it_usable() {
                        within(limit, transaction.rollback()).await?;
                    }
                    Err(failure)
                }
            }
        };
        let outcome = outcome.await;
        give_back(connection, limit, outcome.as_ref().err()).await;
        outcome
    }

    async fn read_once<I, T>(&self, view: View, input: &I, work: Work<I, T>) -> Result<T, Failure> {
        let limit = self.options.statement_timeout;
        let mut connection = self.acquire(&self.readers).await?;
        let outcome = match view {
            View::Latest => {
                let mut inside = Connection::MySql {
                    connection: &mut connection,
                    limit,
                };
                work(&mut inside, input).await
            }
            View::Snapshot => {
                let read = async {
                    let mut snapshot = within(limit, connection.begin()).await?;
                    let mut inside = Connection::MySql {
                        connection: &mut snapshot,
                        limit,
                    };
                    let outcome = work(&mut inside, input).await;
                    if outcome.as_ref().err().is_none_or(Failure::leaves_it_usable) {
                        within(limit, snapshot.rollback()).await?;
                    }
                    outcome
                };
                read.await
            }
        };
        give_back(connection, limit, outcome.as_ref().err()).await;
        outcome
    }

    fn failed(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Store(error) => error,
            Failure::Silent(limit) => StoreError::TimedOut {
                backend: Backend::MySql,
                limit,
            },
            Failure::Driver(error) => errors::store_error(error, &self.options),
        }
    }

    /// A connection of the pool. The pool goes on trying for its whole limit when nobody listens,
    /// and then does not say why; so after a moment this asks the server itself.
    async fn acquire(&self, pool: &MySqlPool) -> Result<PoolConnection<MySql>, Failure> {
        let mut waiting = std::pin::pin!(pool.acquire());
        if let Ok(acquired) = tokio::time::timeout(PATIENCE, &mut waiting).await {
            return Ok(acquired?);
        }
        self.options
            .connect_once(Purpose::Read)
            .await?
            .close()
            .await
            .ok();
        Ok(waiting.await?)
    }
}

/// A connection that is in the middle of something, or gone, is closed: the server rolls back what
/// was open on it, and the next borrower gets a new one.
async fn give_back(connection: PoolConnection<MySql>, limit: Duration, failure: Option<&Failure>) {
    if failure.is_none_or(Failure::leaves_it_usable) {
        drop(connection);
    } else {
        tokio::time::timeout(limit, connection.detach().close_hard())
            .await
            .ok();
    }
}

fn pool(options: &MySqlOptions, purpose: Purpose) -> MySqlPool {
    let lock_timeout = options.lock_timeout;
    MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(QUEUE_LIMIT)
        .idle_timeout(IDLE_LIMIT)
        .after_connect(move |connection, _| Box::pin(purpose.prepare(connection, lock_timeout)))
        .connect_lazy_with(options.driver(purpose))
}
