//! How a file that cannot be written is read: with the locks of others where there are any, and
//! without them only while nobody writes.
//!
//! A file in WAL mode has an index beside it (`-shm`) that even a reader has to make when it is not
//! there. On a disk or in a folder that is not writable there are three ways left:
//!
//! | beside the file | way |
//! |---|---|
//! | an index | SQLite reads both, and takes part in the locks of whoever writes |
//! | nothing, or an empty `-wal` | `immutable=1`: everything is in the file itself |
//! | a `-wal` without an index | an index in memory alone, without locks (`unix-none`), so that what was committed last is read too |
//!
//! The last two are safe as long as nobody writes, which a [`Stamp`] shows: whoever reads looks at
//! it before each question and opens the file anew when it has changed.
//!
//! Source: <https://www.sqlite.org/wal.html#readonly>, <https://www.sqlite.org/uri.html#uriimmutable>.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteLockingMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::errors::store_error;
use super::open::{BUSY_LIMIT, Schema, check_owner, user_version};
use super::place::{self, Locks};
use crate::error::StoreError;

/// What changes when somebody writes: inode, length and times of the file and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: Option<Looks>,
    log: Option<Looks>,
}

type Looks = (u64, u64, i64, i64);

impl Stamp {
    pub(super) async fn of(path: &Path) -> Self {
        let (file, log) = (
            tokio::fs::metadata(path).await,
            tokio::fs::metadata(beside(path, "-wal")).await,
        );
        let looks = |found: Metadata| (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        Self {
            file: file.ok().map(looks),
            log: log.ok().map(looks),
        }
    }

    /// Whether the log holds anything.
    fn has_log(&self) -> bool {
        self.log.is_some_and(|(_, length, ..)| length > 0)
    }
}

/// The name of a file that SQLite keeps beside another.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

/// The options to read the file with, and its stamp when that is without locks. `None`: there is no
/// file that can be read.
///
/// # Errors
/// The file is damaged, of another program, or of another schema version: bringing it up to date
/// means to write it.
pub(super) async fn options(
    path: &Path,
    schema: &Schema,
) -> Result<Option<(SqliteConnectOptions, Option<Stamp>)>, StoreError> {
    if tokio::fs::File::open(path).await.is_err() {
        return Ok(None);
    }
    let to_read = |locks| {
        place::options(path, locks)
            .read_only(true)
            .busy_timeout(BUSY_LIMIT)
    };
    let plain = to_read(Locks::All);
    match check(path, &plain, schema).await {
        Ok(()) => return Ok(Some((plain, None))),
        // Without an index beside it, which cannot be made: not this way.
        Err(StoreError::NotWritable { .. }) => {}
        Err(error) => return Err(error),
    }
    let stamp = Stamp::of(path).await;
    let unlocked = if stamp.has_log() {
        to_read(Locks::None).locking_mode(SqliteLockingMode::Exclusive)
    } else {
        to_read(Locks::Immutable)
    };
    match check(path, &unlocked, schema).await {
        Ok(()) => Ok(Some((unlocked, Some(stamp)))),
        Err(StoreError::NotWritable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn check(
    path: &Path,
    options: &SqliteConnectOptions,
    schema: &Schema,
) -> Result<(), StoreError> {
    let address = path.display().to_string();
    let failed = |error| store_error(error, &address);
    let mut connection = options.connect().await.map_err(failed)?;
    let version = version(&mut connection, &address, schema).await;
    connection.close().await.map_err(failed)?;
    let found = version?;
    let known = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    match found.cmp(&known) {
        std::cmp::Ordering::Less if schema.readable_from.is_some_and(|oldest| found >= oldest) => {
            Ok(())
        }
        std::cmp::Ordering::Less => Err(StoreError::OlderSchema {
            address,
            found,
            known,
        }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::NewerSchema {
            address,
            found,
            known,
        }),
    }
}

async fn version(
    connection: &mut SqliteConnection,
    address: &str,
    schema: &Schema,
) -> Result<i64, StoreError> {
    check_owner(connection, address, schema).await?;
    user_version(connection)
        .await
        .map_err(|error| store_error(error, address))
}

/// Takes away the empty log and its index, which a reader that does not write leaves beside a file
/// that could be written. Whoever else has the file open keeps them.
pub(super) async fn tidy(path: &Path) {
    let log = tokio::fs::metadata(beside(path, "-wal")).await;
    if !log.is_ok_and(|log| log.len() == 0) {
        return;
    }
    let options = place::options(path, Locks::All);
    // What hinders it hinders nobody else: the two files hold nothing.
    if let Ok(mut connection) = options.connect().await {
        let _ = user_version(&mut connection).await;
        let _ = connection.close().await;
    }
}
