//! What can go wrong in a store, with the values that a reader needs.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Which kind of store spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    Sqlite,
    Cassandra,
    MySql,
    /// The durable queue before a store of logs.
    Spool,
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Cassandra => "Cassandra",
            Self::MySql => "MySQL",
            Self::Spool => "the spool",
        })
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{backend} is unreachable at {address}")]
    Unavailable {
        backend: Backend,
        address: String,
        source: BoxError,
    },
    #[error("{backend} did not answer within {limit:?}")]
    TimedOut { backend: Backend, limit: Duration },
    /// Disk full, read-only file system, quota: nothing was written, and it may work later.
    #[error("{backend} cannot write at {address}: {reason}")]
    NotWritable {
        backend: Backend,
        address: String,
        reason: String,
    },
    #[error("a row of {table} does not fit its schema: {detail}")]
    Corrupt { table: &'static str, detail: String },
    #[error(
        "the schema at {address} is version {found}, this program knows up to {known}; use a newer atalaya"
    )]
    NewerSchema {
        address: String,
        found: i64,
        known: i64,
    },
    #[error(
        "the schema at {address} is version {found}, this program needs {known}; run `atalaya db migrate`"
    )]
    OlderSchema {
        address: String,
        found: i64,
        known: i64,
    },
    #[error(
        "{backend} has no tables of this program at {address} ({detail}); run `atalaya db init`"
    )]
    MissingSchema {
        backend: Backend,
        address: String,
        detail: String,
    },
    #[error("{backend} did not accept the user and password at {address}: {reason}")]
    NotAuthenticated {
        backend: Backend,
        address: String,
        reason: String,
    },
    #[error("{backend} and this program do not agree on encryption at {address}: {reason}")]
    NotEncrypted {
        backend: Backend,
        address: String,
        reason: String,
    },
    #[error(
        "{backend} does not permit this at {address}: {reason}; grant it to the role, or use another one"
    )]
    NotAuthorised {
        backend: Backend,
        address: String,
        reason: String,
    },
    /// The data itself cannot be stored (invalid, too large): repeating it changes nothing, but
    /// other data can be stored. The caller narrows it down and sets the bad part aside.
    #[error("{backend} cannot take this {what}: {reason}")]
    Poison {
        backend: Backend,
        what: &'static str,
        reason: String,
    },
    /// Something in the configuration can never work.
    #[error("the setting `{name}` cannot be used: {reason}")]
    BadSetting { name: &'static str, reason: String },
    #[error("{backend} refused the request")]
    Refused { backend: Backend, source: BoxError },
    /// The store could not be opened, for this reason. It is tried again by itself, so that it may
    /// work later, whatever the reason: somebody may do what it says.
    #[error(transparent)]
    NotOpen(Arc<Self>),
    #[error("cancelled")]
    Cancelled,
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing it.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::TimedOut { .. }
                | Self::NotWritable { .. }
                | Self::NotOpen(_)
        )
    }

    /// Whether there was no contact to the store: what it acknowledged just before may be lost.
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NotOpen(_))
    }

    /// Whether the data was at fault: see [`StoreError::Poison`].
    pub const fn is_poison(&self) -> bool {
        matches!(self, Self::Poison { .. })
    }
}

/// An error with its causes on one line, each said once: drivers repeat a cause in their own words.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |cause| (*cause).source()) {
        let words = cause
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if text.is_empty() {
            text = words;
        } else if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the pool is broken: {0}")]
    struct Pool(#[source] Node);

    #[derive(Debug, thiserror::Error)]
    #[error("no node answered.\n  Try again")]
    struct Node;

    #[test]
    fn a_cause_is_said_once_and_on_one_line() {
        let address = "db".to_owned();
        let error = StoreError::Unavailable {
            backend: Backend::Cassandra,
            address,
            source: Pool(Node).into(),
        };
        assert_eq!(
            describe(&error),
            "Cassandra is unreachable at db: the pool is broken: no node answered. Try again"
        );
    }
}
