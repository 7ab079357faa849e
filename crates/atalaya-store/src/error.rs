//! What can go wrong in a store, with the values that a reader needs.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;

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
    /// The folder of an embedded store cannot be made; it may work later.
    #[error("{backend} cannot write at {address}: cannot create the folder {folder}: {reason}")]
    NoFolder {
        backend: Backend,
        address: String,
        folder: String,
        reason: String,
    },
    #[error("a row of {table} does not fit its schema: {detail}")]
    Corrupt { table: &'static str, detail: String },
    /// An embedded store's file is not what SQLite wrote, or no database at all.
    #[error("the file {address} is damaged: {reason}")]
    DamagedFile { address: String, reason: String },
    /// What is stored of a chunk is not what was written. Others are whole.
    #[error(
        "chunk {chunk} of {source_name} at {address} is damaged ({damage}): its records from {from} to {until} cannot be read"
    )]
    DamagedChunk {
        address: String,
        chunk: uuid::Uuid,
        source_name: String,
        from: Timestamp,
        until: Timestamp,
        damage: &'static str,
    },
    #[error("the schema at {address} is version {found}, this program knows up to {known}")]
    NewerSchema {
        address: String,
        found: i64,
        known: i64,
    },
    #[error("the schema at {address} is version {found}, this program needs {known}")]
    OlderSchema {
        address: String,
        found: i64,
        known: i64,
    },
    #[error("{backend} has no tables of this program at {address} ({detail})")]
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
    /// Somebody else changed it meanwhile: what the request was made from is no longer so.
    #[error("{backend} refused the request: {reason}")]
    Conflict { backend: Backend, reason: String },
    /// The write was made on behalf of a lease that another host holds by now: whoever made it was
    /// suspended, or cut off, for longer than the lease.
    #[error("{backend} refused the write: the lease `{lease}` is held by {holder} now")]
    Fenced {
        backend: Backend,
        lease: String,
        holder: String,
    },
    /// The request names something that is not in the store.
    #[error("{backend} refused the request: {reason}")]
    Dangling { backend: Backend, reason: String },
    /// The store could not be opened, for this reason. It is tried again by itself, so that it may
    /// work later, whatever the reason: somebody may do what it says.
    #[error(transparent)]
    NotOpen(Arc<Self>),
    #[error("cancelled")]
    Cancelled,
}

/// See [`StoreError::remedy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Make the schema.
    InitSchema,
    /// Bring the schema up to this program's version.
    MigrateSchema,
    /// Use the program that made the schema, or a newer one.
    NewerProgram,
    /// Let the folder be written, or choose another one.
    OtherFolder,
    /// Bring the damaged part back from a backup; what is outside of its time can be read meanwhile.
    Restore,
    /// Keep what can be read of a damaged file, or begin a new one.
    Repair,
}

/// Why something waits for a store, and what a person can do about it: what is kept of an error for
/// those who show it. They add the words of the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The error with its causes, on one line.
    pub why: String,
    /// `None`: it passes by itself, or `why` says it all.
    pub remedy: Option<Remedy>,
}

impl Reason {
    /// One that has nothing but its words.
    pub const fn plain(why: String) -> Self {
        Self { why, remedy: None }
    }
}

impl From<&StoreError> for Reason {
    fn from(error: &StoreError) -> Self {
        Self {
            why: describe(error),
            remedy: error.remedy(),
        }
    }
}

/// Without the remedy.
impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing it.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::TimedOut { .. }
                | Self::NotWritable { .. }
                | Self::NoFolder { .. }
                | Self::NotOpen(_)
        )
    }

    /// Who has to do what before the same call succeeds.
    ///
    /// A store that is opened again by itself ([`NotOpen`](Self::NotOpen)) has the class of its
    /// reason here, for whoever ends with it; who can wait asks [`is_transient`](Self::is_transient).
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::NotWritable { .. }
            | Self::NoFolder { .. } => ErrorClass::Transient,
            Self::OlderSchema { .. } | Self::MissingSchema { .. } | Self::Dangling { .. } => {
                ErrorClass::Missing
            }
            Self::NewerSchema { .. }
            | Self::NotAuthenticated { .. }
            | Self::NotEncrypted { .. }
            | Self::NotAuthorised { .. }
            | Self::Poison { .. }
            | Self::BadSetting { .. }
            | Self::Cancelled => ErrorClass::Usage,
            Self::Conflict { .. } | Self::Fenced { .. } => ErrorClass::Busy,
            Self::Corrupt { .. }
            | Self::DamagedFile { .. }
            | Self::DamagedChunk { .. }
            | Self::Refused { .. } => ErrorClass::Broken,
            Self::NotOpen(reason) => reason.class(),
        }
    }

    /// What a person can do about it, where that is one thing. The words are the reader's: a
    /// command for a shell, a key of the console.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::MissingSchema { .. } => Some(Remedy::InitSchema),
            Self::OlderSchema { .. } => Some(Remedy::MigrateSchema),
            Self::NewerSchema { .. } => Some(Remedy::NewerProgram),
            Self::NoFolder { .. } => Some(Remedy::OtherFolder),
            Self::DamagedFile { .. } => Some(Remedy::Repair),
            Self::DamagedChunk { .. } => Some(Remedy::Restore),
            Self::NotOpen(reason) => reason.remedy(),
            _ => None,
        }
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

/// An error with its causes, each said once: drivers, and errors that name what they are about, repeat
/// a cause in their own words.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |cause| (*cause).source()) {
        let words = cause.to_string();
        if text.is_empty() {
            text = words;
        } else if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    text
}

/// The same on one line.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let text = causes(error);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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

    #[test]
    fn a_store_that_is_tried_again_passes_its_reason_on() {
        let reason = StoreError::OlderSchema {
            address: "db".to_owned(),
            found: 1,
            known: 2,
        };
        let error = StoreError::NotOpen(Arc::new(reason));
        assert_eq!(error.class(), ErrorClass::Missing);
        assert_eq!(error.remedy(), Some(Remedy::MigrateSchema));
        assert!(error.is_transient());
    }
}
