//! Opens one SQLite file the way every embedded store needs it: WAL, one writer connection, a pool
//! of readers, its schema brought up to date, and errors in the words of [`StoreError`].
//!
//! Promises:
//! - A write runs in one `BEGIN IMMEDIATE` transaction on the only writer connection, in a task of
//!   its own: a caller that is dropped half-way cannot leave a transaction open, and two writers of
//!   one process never meet a busy database.
//! - A file that cannot be written is opened to be read (`reading.rs`). Each write tries again, and
//!   is refused with the reason until the file can be written.
//! - A file of a newer schema, or of another program, is refused and left as it is.
//! - A file whose SQLite could corrupt it (WAL before 3.51.3) is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteSynchronous};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqlStr};

use super::closing::{self, Closing, Pools};
use super::errors::{is_busy, refused, store_error};
use super::mirror::{self, Mirrored};
use super::place::{self, Locks};
use super::reading::{self, Stamp};
use crate::error::{Backend, StoreError};
use atalaya_domain::backoff::Backoff;

/// First release without the WAL-reset bug, which can lose committed pages.
///
/// Source: <https://www.sqlite.org/wal.html#walresetbug>.
const SAFE_WAL_VERSION: (u32, u32, u32) = (3, 51, 3);

/// How long a statement waits for another process's transaction.
pub(super) const BUSY_LIMIT: Duration = Duration::from_secs(20);
/// How long a caller waits for its turn on a connection of this process.
pub(super) const QUEUE_LIMIT: Duration = Duration::from_secs(60);
const READERS: u32 = 4;
/// For the switch to WAL: about two and a half seconds in all.
const SWITCH_PAUSE: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(2));
const SWITCH_PAUSES: u32 = 9;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk (`synchronous=FULL`): survives a loss of power.
    EachCommit,
    /// Once it is in the operating system's hands (`synchronous=NORMAL`): survives the end of the
    /// process; a loss of power may take back the last commits but leaves the file consistent.
    /// Only for what can be made again.
    Cache,
}

/// What a file has to hold. The number of migrations is the schema version, kept in the file's
/// `user_version`; a migration that was published is never edited.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// What the file holds, for messages: `logs`, `metrics`.
    pub name: &'static str,
    /// Kept in the file's header, so that one store's file is not taken for another's.
    pub application_id: i32,
    pub migrations: &'static [&'static str],
    /// The oldest version that can be read as it is where it cannot be brought up to date; `None`: the
    /// newest alone.
    pub readable_from: Option<i64>,
    /// Whose rows are kept twice, so that damage to one is found.
    pub mirrored: Mirrored,
}

/// An open SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    path: PathBuf,
    schema: Schema,
    durability: Durability,
    connections: Arc<Closing<Connections>>,
}

#[derive(Clone, Debug)]
struct Connections {
    readers: SqlitePool,
    /// Or why the file cannot be written.
    writer: Result<SqlitePool, ReadOnly>,
}

#[derive(Clone, Debug)]
struct ReadOnly {
    reason: Arc<str>,
    /// How the file was when it was opened without locks.
    unlocked: Option<Stamp>,
}

impl SqliteFile {
    /// Opens the file, creating it and its folder when they do not exist, and brings its schema up
    /// to date. A file that is there and cannot be written is opened to be read.
    pub async fn open(
        path: &Path,
        schema: &Schema,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let _busy = closing::busy()?;
        let connections = match Connections::writable(path, schema, durability).await {
            Err(StoreError::NotWritable { reason, .. }) => {
                Connections::reading(path, schema, reason).await?
            }
            opened => opened?,
        };
        Ok(Self {
            path: path.to_owned(),
            schema: *schema,
            durability,
            connections: Closing::new(connections).await?,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path, for messages.
    pub fn address(&self) -> String {
        self.path.display().to_string()
    }

    /// Connections that cannot write.
    pub async fn readers(&self) -> Result<SqlitePool, StoreError> {
        let open = self.connections.get();
        let Err(read_only) = &open.writer else {
            return Ok(open.readers);
        };
        let Some(stamp) = read_only.unlocked else {
            return Ok(open.readers);
        };
        if Stamp::of(&self.path).await == stamp {
            return Ok(open.readers);
        }
        let _busy = closing::busy()?;
        // Somebody writes to it after all: what was cached of it is of no use.
        let reason = read_only.reason.to_string();
        let again = Connections::reading(&self.path, &self.schema, reason).await?;
        self.connections.replace(again.clone());
        Ok(again.readers)
    }

    /// Why the file can only be read, if that is so.
    pub fn read_only(&self) -> Option<String> {
        let open = self.connections.get();
        let read_only = open.writer.as_ref().err()?;
        Some(read_only.reason.to_string())
    }

    async fn writer(&self) -> Result<SqlitePool, StoreError> {
        if let Ok(writer) = self.connections.get().writer {
            return Ok(writer);
        }
        let _busy = closing::busy()?;
        let open = Connections::writable(&self.path, &self.schema, self.durability).await?;
        let writer = open.writer.clone();
        self.connections.replace(open);
        writer.map_err(|read_only| not_writable(&self.path, &read_only.reason))
    }

    /// Runs `work` in one transaction that has the write lock from its start, and commits it.
    ///
    /// It runs to its end even when the caller is dropped. On an error everything is taken back.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
    {
        let writer = self.writer().await?;
        let done = tokio::spawn(async move {
            let mut connection = writer.acquire().await?;
            let outcome = in_transaction(&mut connection, work).await;
            if outcome.is_err() {
                // After an I/O error or a full disk SQLite may have rolled back by itself, which
                // the driver's transaction depth does not know: begin again with a fresh one.
                connection.close().await.ok();
            }
            outcome
        });
        match done.await {
            Ok(outcome) => outcome.map_err(|error| self.error(error)),
            // Only when the runtime shuts down or `work` panicked; nothing was committed by it.
            Err(stopped) => Err(StoreError::Refused {
                backend: Backend::Sqlite,
                source: Box::new(stopped),
            }),
        }
    }

    /// Runs what cannot be part of a transaction, on the writer's connection and to its end.
    pub async fn outside_transaction(
        &self,
        sql: impl sqlx::SqlSafeStr + Send + 'static,
    ) -> Result<(), StoreError> {
        let writer = self.writer().await?;
        let done = tokio::spawn(async move {
            let mut connection = writer.acquire().await?;
            sqlx::raw_sql(sql).execute(&mut *connection).await.map(drop)
        });
        match done.await {
            Ok(outcome) => outcome.map_err(|error| self.error(error)),
            Err(stopped) => Err(StoreError::Refused {
                backend: Backend::Sqlite,
                source: Box::new(stopped),
            }),
        }
    }

    /// The driver's error in the words of the store.
    pub fn error(&self, error: sqlx::Error) -> StoreError {
        store_error(error, &self.address())
    }

    /// Bytes of the database with its write-ahead log.
    pub async fn disk_bytes(&self) -> u64 {
        let mut bytes = 0;
        for suffix in ["", "-wal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            bytes += tokio::fs::metadata(name).await.map_or(0, |file| file.len());
        }
        bytes
    }

    /// Closes all connections; the last one of all processes folds the write-ahead log into the file.
    pub async fn close(&self) {
        closing::close(self.connections.get().pools()).await;
    }
}

impl Pools for Connections {
    fn pools(&self) -> Vec<SqlitePool> {
        let writer = self.writer.as_ref().ok();
        [&self.readers].into_iter().chain(writer).cloned().collect()
    }
}

impl Connections {
    async fn writable(
        path: &Path,
        schema: &Schema,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let address = path.display().to_string();
        make_folder(path, &address).await?;
        // SQLite opens a file that cannot be written all the same, and then never writes to it.
        let file = path.to_owned();
        let look = move || rustix::fs::access(&file, rustix::fs::Access::WRITE_OK);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(look).await
            && error != rustix::io::Errno::NOENT
        {
            let reason = format!("{error}; check the owner and mode of the file and its folder");
            return Err(not_writable(path, &reason));
        }
        let options = place::options(path, Locks::All)
            .create_if_missing(true)
            .busy_timeout(BUSY_LIMIT)
            .synchronous(match durability {
                Durability::EachCommit => SqliteSynchronous::Full,
                Durability::Cache => SqliteSynchronous::Normal,
            })
            // Growth of the log file between checkpoints, and what is left of it after a burst.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864");
        prepare(path, &options, schema).await?;
        let writer = options.clone().pragma("cache_size", "-16384");
        Ok(Self {
            writer: Ok(pool(1)
                .connect_with(writer)
                .await
                .map_err(|error| store_error(error, &address))?),
            readers: pool(READERS).connect_lazy_with(reader(options)),
        })
    }

    /// The file as it is; `reason`: why it cannot be written.
    async fn reading(path: &Path, schema: &Schema, reason: String) -> Result<Self, StoreError> {
        let read_only = |unlocked| ReadOnly {
            reason: reason.as_str().into(),
            unlocked,
        };
        match reading::options(path, schema).await {
            // It is not there, or not even readable: the writer's reason says it.
            Ok(None) => Err(not_writable(path, &reason)),
            Ok(Some((options, unlocked))) => Ok(Self {
                readers: pool(READERS).connect_lazy_with(reader(options)),
                writer: Err(read_only(unlocked)),
            }),
            // It is brought up to date as soon as it can be written.
            Err(StoreError::OlderSchema { found, known, .. }) => {
                let reason = format!(
                    "{reason}; its schema is version {found}, which has to become {known} first"
                );
                Err(not_writable(path, &reason))
            }
            Err(error) => Err(error),
        }
    }
}

fn reader(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .pragma("cache_size", "-4096")
        .pragma("query_only", "on")
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

async fn make_folder(path: &Path, address: &str) -> Result<(), StoreError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(|error| StoreError::NoFolder {
            backend: Backend::Sqlite,
            address: address.to_owned(),
            folder: folder.display().to_string(),
            reason: error.to_string(),
        })
}

fn not_writable(path: &Path, reason: &str) -> StoreError {
    StoreError::NotWritable {
        backend: Backend::Sqlite,
        address: path.display().to_string(),
        reason: reason.to_owned(),
    }
}

async fn in_transaction<T, F>(connection: &mut SqliteConnection, work: F) -> Result<T, sqlx::Error>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
{
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let value = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(value)
}

async fn prepare(
    path: &Path,
    options: &SqliteConnectOptions,
    schema: &Schema,
) -> Result<(), StoreError> {
    let address = path.display().to_string();
    let failed = |error| store_error(error, &address);
    let mut connection = options.connect().await.map_err(failed)?;
    let outcome = migrate(&mut connection, &address, options, schema).await;
    connection.close().await.map_err(failed).and(outcome)
}

/// Checks the library, switches to WAL, checks whose file it is and migrates it.
async fn migrate(
    connection: &mut SqliteConnection,
    address: &str,
    options: &SqliteConnectOptions,
    schema: &Schema,
) -> Result<(), StoreError> {
    let failed = |error| store_error(error, address);
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if parse_version(&version).is_none_or(|version| version < SAFE_WAL_VERSION) {
        return Err(refused(format!(
            "SQLite {version} can lose committed data in WAL mode; build with 3.51.3 or newer"
        )));
    }
    check_owner(connection, address, schema).await?;
    // A new file can give back what is deleted from it (`chunks/expire.rs`). On one that exists the
    // setting would need the write lock.
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let made = if pages == 0 {
        options.clone().auto_vacuum(SqliteAutoVacuum::Incremental)
    } else {
        options.clone()
    };
    switch_to_wal(&made).await.map_err(failed)?;

    let known = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    if user_version(connection).await.map_err(failed)? == known
        && mirror::missing(connection, schema.mirrored)
            .await
            .map_err(failed)?
            .is_empty()
    {
        return Ok(());
    }
    // Under the write lock, because another process may be creating the same file.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    let found = user_version(&mut transaction).await.map_err(failed)?;
    if found > known {
        return Err(StoreError::NewerSchema {
            address: address.to_owned(),
            found,
            known,
        });
    }
    if found < known {
        mirror::release(&mut transaction).await.map_err(failed)?;
    }
    for migration in &schema.migrations[usize::try_from(found).unwrap_or(0)..] {
        sqlx::raw_sql(*migration)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    mirror::keep(&mut transaction, schema.mirrored)
        .await
        .map_err(failed)?;
    let stamp = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = {known};",
        schema.application_id
    );
    sqlx::raw_sql(trusted(stamp))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// SQL made of our own constants and numbers only.
pub(crate) fn trusted(sql: String) -> SqlStr {
    sqlx::AssertSqlSafe(sql).into_sql_str()
}

pub(super) async fn user_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(connection)
        .await
}

pub(super) async fn check_owner(
    connection: &mut SqliteConnection,
    address: &str,
    schema: &Schema,
) -> Result<(), StoreError> {
    let failed = |error| store_error(error, address);
    // In this order: another process may be creating the file. Its tables and its stamp become
    // visible together, so tables that are there have their stamp when it is read after them.
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let owner: i32 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if owner != schema.application_id && (owner != 0 || tables != 0) {
        return Err(refused(format!(
            "{address} is a database of something else than atalaya's {}; name another file in the configuration",
            schema.name
        )));
    }
    Ok(())
}

/// The switch needs the file for itself and SQLite does not wait for that, so this does: two
/// processes may meet on a new file. On a file in WAL mode it does nothing.
async fn switch_to_wal(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut failures = 0;
    loop {
        failures += 1;
        match options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .connect()
            .await
        {
            Ok(connection) => return connection.close().await,
            Err(error) if is_busy(&error) && failures <= SWITCH_PAUSES => {
                tokio::time::sleep(SWITCH_PAUSE.after(failures)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
