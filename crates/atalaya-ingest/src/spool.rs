//! The durable spool between the ingest and any store of logs.
//!
//! A *group* (the frames of one append) is written to the newest *segment*, synced, and only then
//! acknowledged; groups that wait at the same time share one sync. A task sends the groups to the
//! store in order, several at a time, one `append` each: a repetition sends exactly the same
//! again. What is sent goes from memory; what does not fit there is read back from the segments.
//!
//! Promises:
//!
//! - What was acknowledged is there after `kill -9` and after a power failure.
//! - It is bounded: when it is full, appending fails as something that passes, and reading waits.
//! - A segment is removed when all its groups were acknowledged and some time has passed, because a
//!   store may lose what it has just acknowledged; after the store was away, everything that is
//!   still here is sent once more, and each segment may go when that was acknowledged and kept.
//! - Damaged bytes and refused frames are kept in the quarantine and counted; the rest goes on.
//! - A start reads the indexes of the segments, not the segments.
//!
//! Why not a table of groups in SQLite, which would be a fifth of the code: measured 2026-11-30 (ext4
//! on a virtual disk, two busy cores, records of 160 bytes, inserts by hand through Python's `sqlite3`,
//! WAL with `synchronous=FULL`, the group 60 before deleted with each insert), one group a commit:
//!
//! | records a group | table, records/s (p99 of a commit) | append and `fdatasync` of the same bytes |
//! |---|---|---|
//! | 100 | 63,000 (12 ms) | 115,000 (8 ms) |
//! | 1,000 | 161,000 (37 ms) | 842,000 (12 ms) |
//! | 10,000 | 371,000 (348 ms) | 1,902,000 (22 ms) |
//!
//! Each byte is written twice (journal, table), and a checkpoint of the journal stands in the way of
//! the readers of files. At a frame of 1,000 lines the table misses 200,000 records/s; the segments,
//! measured as a whole, do 2.2 M (`docs/figures.md`). The safety of the table against kills and power
//! failures was not measured; that of the segments is, by `spool/tests.rs` and the kill tests.
//!
//! Files in the spool's directory: `NNN.seg` and `NNN.idx` (see `segment.rs`), `positions`
//! (see `positions.rs`), `since` (see `recover.rs`), `spool.lock` and `quarantine/` (see [`quarantine`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::fs::{Fs as _, RealFs};

pub mod format;
pub mod quarantine;
pub mod status;

pub(crate) mod backlog;
mod drain;
pub(crate) mod ledger;
mod positions;
mod recover;
mod segment;
mod sink;
pub(crate) mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use sink::SpooledSink;
pub use status::{SpoolState, SpoolStatus};

/// Where the spool is and how much it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    pub dir: PathBuf,
    /// Most bytes on disk, everything included.
    pub max_bytes: u64,
    /// A segment is closed when it is larger than this.
    pub segment_bytes: u64,
    /// How long a segment stays after the store has acknowledged it; a quarter of it when the spool
    /// is more than half full. Cassandra keeps acknowledged writes in memory for up to 10 s.
    pub keep: Duration,
    /// Groups on their way to the store at a time.
    pub in_flight: usize,
}

impl SpoolConfig {
    pub const MAX_BYTES: u64 = 1 << 30;
    pub const KEEP: Duration = Duration::from_secs(60);

    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::with_size(dir, Self::MAX_BYTES)
    }

    pub fn with_size(dir: impl Into<PathBuf>, max_bytes: u64) -> Self {
        let segment_bytes = (16 << 20).min(max_bytes / 8).max(1);
        Self {
            dir: dir.into(),
            max_bytes,
            segment_bytes,
            keep: Self::KEEP,
            in_flight: 4,
        }
    }
}

/// Whether a spool in this directory holds records that may not be stored yet.
pub fn holds_records(dir: &Path) -> bool {
    RealFs.list(dir).is_ok_and(|names| {
        names
            .iter()
            .any(|name| segment::number_of(name, "seg").is_some())
    })
}

/// Makes a spool without records forget how far the origins were, because they will be read past
/// it. Fails when another process uses it.
pub fn forget(dir: &Path) -> Result<(), SpoolError> {
    let known = [recover::SINCE, positions::FILE].map(|name| dir.join(name));
    if !known.iter().any(|path| path.exists()) {
        return Ok(());
    }
    let _lock = sink::take_lock(dir)?;
    known
        .iter()
        .filter(|path| path.exists())
        .try_for_each(|path| RealFs.remove(path))
        .and_then(|()| RealFs.sync_dir(dir))
        .map_err(|source| SpoolError::Open {
            dir: dir.to_path_buf(),
            source: Arc::new(source),
        })
}

/// Why the spool did not take a group, or could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("another atalaya uses the spool in {}", dir.display())]
    Locked { dir: PathBuf },
    #[error("the spool in {} cannot be used", dir.display())]
    Open {
        dir: PathBuf,
        source: Arc<std::io::Error>,
    },
    #[error("it is full ({} of records wait for the store)", status::size(*max_bytes))]
    Full { max_bytes: u64 },
    #[error("{} cannot be written: {reason}", dir.display())]
    Write { dir: PathBuf, reason: Box<str> },
    #[error("a group of more than 4 GiB does not fit")]
    TooLarge,
    #[error("the spool was closed")]
    Closed,
}
