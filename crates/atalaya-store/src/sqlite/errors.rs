//! SQLite's errors in the words of the store.

use std::borrow::Cow;

use super::open::{BUSY_LIMIT, QUEUE_LIMIT};
use crate::error::{Backend, StoreError};

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(cause) if matches!(primary_code(cause.code()), Some(5 | 6)))
}

pub(super) fn refused(reason: String) -> StoreError {
    StoreError::Refused {
        backend: Backend::Sqlite,
        source: reason.into(),
    }
}

/// The low byte of SQLite's extended result code.
fn primary_code(code: Option<Cow<'_, str>>) -> Option<u32> {
    code.and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff)
}

/// Source of the codes: <https://www.sqlite.org/rescode.html>.
pub(crate) fn store_error(error: sqlx::Error, address: &str) -> StoreError {
    let backend = Backend::Sqlite;
    let address = address.to_owned();
    match error {
        sqlx::Error::Database(cause) => {
            let unwritable = |remedy: &str| StoreError::NotWritable {
                backend,
                address: address.clone(),
                reason: format!("{}; {remedy}", cause.message()),
            };
            match primary_code(cause.code()) {
                Some(5 | 6) => StoreError::TimedOut {
                    backend,
                    limit: BUSY_LIMIT,
                },
                Some(3 | 8) => unwritable("check the owner and mode of the file and its folder"),
                Some(10) => unwritable("check the disk and its free space"),
                Some(13) => unwritable("free some space"),
                Some(14) => unwritable("check that the folder exists and may be written"),
                Some(11 | 26) => StoreError::DamagedFile {
                    address,
                    reason: cause.message().to_owned(),
                },
                _ => StoreError::Refused {
                    backend,
                    source: sqlx::Error::Database(cause).into(),
                },
            }
        }
        sqlx::Error::PoolTimedOut => StoreError::TimedOut {
            backend,
            limit: QUEUE_LIMIT,
        },
        error @ (sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_)) => {
            StoreError::Unavailable {
                backend,
                address,
                source: error.into(),
            }
        }
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::DamagedFile {
                address,
                reason: error.to_string(),
            }
        }
        error => StoreError::Refused {
            backend,
            source: error.into(),
        },
    }
}
