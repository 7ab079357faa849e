//! Backups: made, verified, restored, tried out and rotated.
//!
//! One form for all stores: an archive holds the metrics and a window of the logs as the two files
//! that the embedded stores are (see [`atalaya_domain::backup`] for why). So a backup is a copy into
//! such files, and a restore is a copy out of them, both by [`service::copy`](super::copy), and each
//! is compared by counts and sums.
//!
//! Promises: an archive is complete under its final name, or not there; what verifies was read again
//! byte by byte and row by row; a restore changes nothing before the archives were read and found
//! right, and never leaves half a store under the final name; the newest backup that was found right
//! is never rotated away.

#![allow(clippy::result_large_err, reason = "made once in a backup, and told")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::copy::{self, CopyError};
use atalaya_archive::{ArchiveError, KeyError};
use atalaya_domain::error_class::ErrorClass;
use atalaya_store::error::StoreError;

mod buckets;
mod chain;
mod create;
mod drill;
mod place;
mod restore;
mod rotate;
mod scratch;
mod verify;

pub use create::{Created, Wishes, create};
pub use drill::drill;
pub use place::{Listed, Place, list};
pub use restore::{Goal, Restored, restore};
pub use rotate::{rotate, trust};
pub use verify::{Verified, verify};

/// Why a backup was not made, not found right or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("cannot use {path}; check the folder and its free space")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("another backup or restore is at work in {path}; try again when it is done")]
    Busy { path: PathBuf },
    #[error("there is no backup `{name}` in {dir}; `atalaya backup list` names them")]
    Unknown { name: String, dir: PathBuf },
    #[error("there is no backup in {dir}; `atalaya backup create` makes one")]
    NoBackup { dir: PathBuf },
    #[error("{name} builds on {missing}, which is not beside it; bring that archive back")]
    Incomplete { name: String, missing: String },
    #[error("{name} is not right: {reason}")]
    Wrong { name: String, reason: String },
    #[error("{target} holds something already; name another place, or say --force")]
    Occupied { target: String },
    #[error("{key}: {source}")]
    Key { key: String, source: KeyError },
    #[error("backup.identity_file: {0}")]
    Identity(String),
    #[error("interrupted")]
    Cancelled,
}

impl BackupError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Archive(ArchiveError::Unwritable { .. } | ArchiveError::Cancelled)
            | Self::Folder { .. }
            | Self::Cancelled => ErrorClass::Transient,
            Self::Archive(ArchiveError::Locked { .. } | ArchiveError::Name { .. })
            | Self::Occupied { .. }
            | Self::Key { .. }
            | Self::Identity(_) => ErrorClass::Usage,
            Self::Archive(_) | Self::Wrong { .. } | Self::Incomplete { .. } => ErrorClass::Broken,
            // The wish was right; it is the store that has to be mended.
            Self::Store(error) => match error.class() {
                ErrorClass::Usage | ErrorClass::Missing => ErrorClass::Broken,
                class => class,
            },
            Self::Copy(error) => error.class(),
            Self::Busy { .. } => ErrorClass::Busy,
            Self::Unknown { .. } | Self::NoBackup { .. } => ErrorClass::Missing,
        }
    }

    /// The archive is at fault: it stays so, and it is remembered.
    pub const fn is_of_the_archive(&self) -> bool {
        match self {
            Self::Archive(error) => error.is_of_the_archive(),
            Self::Wrong { .. } | Self::Incomplete { .. } => true,
            _ => false,
        }
    }

    fn wrong(name: &str, reason: impl Into<String>) -> Self {
        Self::Wrong {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }
}

/// What is being done, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    /// 0 when nobody knows.
    pub total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Records out of the log store, or into it.
    Logs,
    /// Both sides are read again; records.
    Comparing,
    /// Bytes into the archive.
    Packing,
    /// Bytes of archives, read and checked.
    Checking,
    /// Bytes out of archives.
    Unpacking,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "copying records",
            Self::Comparing => "comparing",
            Self::Packing => "packing",
            Self::Checking => "checking",
            Self::Unpacking => "unpacking",
        }
    }

    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::Packing | Self::Checking | Self::Unpacking)
    }
}

/// Is told the progress, and may be told to stop.
#[derive(Clone)]
pub struct Work {
    pub cancel: CancellationToken,
    pub watch: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Work {
    /// Nobody looks.
    pub fn quiet(cancel: CancellationToken) -> Self {
        Self {
            cancel,
            watch: Arc::new(|_| {}),
        }
    }

    /// For a worker thread: bytes that passed.
    fn bytes(&self, stage: Stage, total: u64) -> impl Fn(u64) -> bool + Send + Sync + 'static {
        let (work, done) = (self.clone(), AtomicU64::new(0));
        move |bytes| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            (work.watch)(Progress { stage, done, total });
            !work.cancel.is_cancelled()
        }
    }

    fn records(&self) -> impl Fn(copy::Progress) + Send + Sync {
        let watch = Arc::clone(&self.watch);
        move |progress: copy::Progress| {
            let stage = match progress.stage {
                copy::Stage::Copying => Stage::Logs,
                copy::Stage::Comparing => Stage::Comparing,
            };
            watch(Progress {
                stage,
                done: progress.done,
                total: progress.total,
            });
        }
    }

    fn go_on(&self) -> Result<(), BackupError> {
        if self.cancel.is_cancelled() {
            return Err(BackupError::Cancelled);
        }
        Ok(())
    }
}

/// Runs what waits for a disk beside the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        // Only when the runtime shuts down, or it panicked.
        Err(_) => Err(BackupError::Cancelled),
    }
}

fn folder_error(path: &std::path::Path) -> impl Fn(std::io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::Folder {
        path: path.clone(),
        source,
    }
}
