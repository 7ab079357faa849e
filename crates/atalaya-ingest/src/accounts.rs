//! What became of every byte that was read: the accounts of each file and their sum, as plain
//! values. The ingest publishes them; the Infra tab, `atalaya health` and the summary of
//! `atalaya ingest` show them.
//!
//! The counts are of this run of the program; the offsets are absolute. They always add up:
//! `lines = records + joined + skipped + pending` and `records = written + in flight`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::spool::SpoolStatus;
use atalaya_domain::record::{Layer, OriginId, Text};
use atalaya_domain::time::Timestamp;
use atalaya_format::decoder::Tally;
use atalaya_store::error::Reason;

/// What the ingest is doing with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum FileState {
    /// There is more to read than was read.
    Reading,
    /// Everything was read; new lines are taken as they come.
    Live,
    /// Read to its end, and nothing more is expected (rotated away, compressed, or not followed).
    Read,
    /// Waiting for something: the store, a first line, a free descriptor. Nothing is lost.
    Waiting(String),
    /// Not read because it holds what another file holds, which is named.
    Copy(String),
    /// The file was removed; what could be read of it was read.
    Gone,
    /// The file cannot be read, and why.
    Unreadable(String),
    /// The store refused its records for good; the file waits for a person, and why.
    Stopped(String),
}

impl FileState {
    /// One word for a table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Live => "live",
            Self::Read => "read",
            Self::Waiting(_) => "waiting",
            Self::Copy(_) => "copy",
            Self::Gone => "gone",
            Self::Unreadable(_) => "unreadable",
            Self::Stopped(_) => "stopped",
        }
    }

    /// What the word does not say; `None` when it says all.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Waiting(why) | Self::Copy(why) | Self::Unreadable(why) | Self::Stopped(why) => {
                Some(why)
            }
            Self::Reading | Self::Live | Self::Read | Self::Gone => None,
        }
    }

    /// Whether a person should look at it.
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Stopped(_))
    }
}

/// Counts of lines and records; sums over files are made with [`Counts::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Bytes of (decompressed) content taken in by this run.
    pub bytes_read: u64,
    pub lines: u64,
    /// Records made of the lines.
    pub records: u64,
    /// Lines that became part of a record begun by an earlier line.
    pub joined: u64,
    /// Lines that say nothing (blank, headers).
    pub skipped: u64,
    /// Records whose text did not fit the format; they carry `parse_error`.
    pub mismatched: u64,
    /// Lines over the limit, kept in part with their length and hash.
    pub cut: u64,
    /// Zeros before lines, left out: a file was truncated under a writer that does not append.
    #[serde(skip_serializing_if = "is_zero")]
    pub zeros: u64,
    /// Records that the store has acknowledged; with a spool before it, that the spool has made
    /// durable ([`IngestStatus::spool`] says what became of them).
    pub written: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.bytes_read += other.bytes_read;
        self.lines += other.lines;
        self.records += other.records;
        self.joined += other.joined;
        self.skipped += other.skipped;
        self.mismatched += other.mismatched;
        self.cut += other.cut;
        self.zeros += other.zeros;
        self.written += other.written;
    }

    /// Lines of records that are not finished yet, because the next line may belong to them.
    pub fn pending(&self) -> u64 {
        self.lines
            .saturating_sub(self.records + self.joined + self.skipped)
    }

    /// Records on their way to the store.
    pub fn in_flight(&self) -> u64 {
        self.records.saturating_sub(self.written)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The account of one file generation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileAccount {
    /// Where the file was last seen.
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    #[serde(serialize_with = "as_text")]
    pub origin: OriginId,
    /// `None` until the first line was seen.
    pub format: Option<&'static str>,
    /// How many records each format gave, by what read the lines.
    pub formats: Tally,
    pub source: Option<Text>,
    pub layer: Option<Layer>,
    pub state: FileState,
    pub counts: Counts,
    /// Everything before this byte of the content is durable in the store.
    pub acknowledged: u64,
    /// Length of the content as far as it is known, in bytes.
    pub size: u64,
    /// Bytes that are in the file and not yet in the store.
    pub lag_bytes: u64,
    /// For how long something has been lagging; 0 when nothing does.
    pub lag_seconds: f64,
    /// Records stored a second, over the last few seconds.
    pub rate: f64,
    pub errors: u64,
    pub last_error: Option<String>,
}

fn as_text<S: serde::Serializer>(origin: &OriginId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(origin)
}

/// A name that is no UTF-8 with replacement characters: JSON has no other.
fn as_shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A file that was found and is not read, and why: said once, kept for the screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    pub reason: String,
    /// It was asked for and should have been read: no permission, a fault of the disk. What is passed
    /// over by choice (a directory, a copy of what is read) is no failure, nor is a rotated file that
    /// only stands beside.
    pub refused: bool,
}

impl Unread {
    pub fn passed_over(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
            refused: false,
        }
    }

    pub fn refused(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self {
            path: path.into(),
            reason: error.to_string(),
            refused: true,
        }
    }
}

/// What is not read, by path.
#[derive(Clone, Debug, Default)]
pub struct AllUnread(BTreeMap<PathBuf, Unread>);

impl AllUnread {
    pub fn add(&mut self, unread: Unread) {
        self.0.insert(unread.path.clone(), unread);
    }

    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Unread> {
        self.0.values()
    }
}

/// A snapshot of the whole ingest. Published about four times a second while something happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IngestStatus {
    /// When the snapshot was taken.
    pub at: Timestamp,
    /// By path; files that are gone stay for some minutes.
    pub files: Vec<FileAccount>,
    /// Found but not read (binary, a directory, no permission); bounded.
    pub unread: Vec<Unread>,
    /// Why nothing is written at the moment (`SQLite cannot write at …: disk full`), else `None`.
    pub paused: Option<Reason>,
    /// Sums over all files of this run, also those no longer listed.
    pub totals: Counts,
    /// Records stored a second over all files.
    pub rate: f64,
    /// Messages for a person, newest last; bounded (rotation gaps, recovered checkpoints, limits).
    pub notices: Vec<String>,
    /// What became of the records in the spool, when there is one before the store.
    pub spool: Option<SpoolStatus>,
    /// Everything was read and stored and nothing is followed: the run is over.
    pub finished: bool,
}

impl IngestStatus {
    /// Whether the other snapshot differs in nothing but when it was taken.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self {
            at: other.at,
            ..self.clone()
        } == *other
    }

    /// Bytes in all files that are not in the store yet.
    pub fn lag_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.lag_bytes).sum()
    }

    /// The longest lag of any file in seconds.
    pub fn lag_seconds(&self) -> f64 {
        self.files
            .iter()
            .map(|file| file.lag_seconds)
            .fold(0.0, f64::max)
    }
}
