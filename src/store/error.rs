//! What can go wrong in a store, with the values that a reader needs.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Which kind of store spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    Sqlite,
    Cassandra,
    MySql,
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Cassandra => "Cassandra",
            Self::MySql => "MySQL",
        })
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{backend} is unreachable at {address}")]
    Unavailable { backend: Backend, address: String, source: BoxError },
    #[error("{backend} did not answer within {limit:?}")]
    TimedOut { backend: Backend, limit: Duration },
    /// Disk full, read-only file system, quota: nothing was written, and it may work later.
    #[error("{backend} cannot write at {address}: {reason}")]
    NotWritable { backend: Backend, address: String, reason: String },
    #[error("a row of {table} does not fit its schema: {detail}")]
    Corrupt { table: &'static str, detail: String },
    #[error(
        "the schema at {address} is version {found}, this program knows up to {known}; use a newer atalaya"
    )]
    NewerSchema { address: String, found: i64, known: i64 },
    #[error("{backend} refused the request")]
    Refused { backend: Backend, source: BoxError },
    #[error("cancelled")]
    Cancelled,
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing it.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TimedOut { .. } | Self::NotWritable { .. })
    }
}
