//! Log formats: one file per format, a registry, detection, and the [`Decoder`] that joins lines
//! into records. Everything here is pure: the caller reads the file and keeps the offsets.

use std::borrow::Cow;

use crate::domain::record::{Layer, Level};
use crate::domain::time::Timestamp;

pub mod decoder;
pub mod detect;
pub mod registry;

pub mod escape;
pub mod level;
pub mod time;
pub mod trace;

pub mod apache_access;
pub mod apache_error;
pub mod compose;
pub mod dpkg;
pub mod elasticsearch;
pub mod glog;
pub mod journald;
pub mod nginx_access;
pub mod nginx_error;
pub mod syslog;
pub mod traefik;
pub mod uwsgi;

mod auth;
mod web;

pub mod fields;
pub mod ids;

pub mod container;
pub mod cri;
pub mod docker_json;
pub mod humanlog;
pub mod json;
pub mod log4j;
pub mod logfmt;
pub mod mysql_error;
pub mod mysql_slow;
pub mod plain;
pub mod postgresql;
pub mod postgresql_csv;
pub mod postgresql_json;
pub mod python;
pub mod structlog;
pub mod user_defined;

pub use decoder::{Decoder, MAX_RECORD_BYTES, MAX_RECORD_LINES};
pub use detect::{detect, detect_for};
pub use registry::{all, by_name, define, names};

/// What a line itself cannot say.
#[derive(Clone, Debug)]
pub struct TimeHint {
    /// A year-less stamp takes the year that puts it nearest to this: the file's modification
    /// time when reading back, else now.
    pub reference: Timestamp,
    /// Zone of stamps without one.
    pub zone: SourceZone,
}

/// What the reference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The text comes now.
    Arrival,
    /// The text was there before; its file was written to for the last time then.
    Modified,
}

impl Reference {
    /// As [`TIME_SOURCE_FIELD`] says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Modified => "modified",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceZone {
    Utc,
    /// The zone of this host.
    Local,
    Named(chrono_tz::Tz),
    Fixed(chrono::FixedOffset),
}

/// The fields of one record, borrowed from its text as far as possible. Reused from line to line:
/// `clear` keeps the capacity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed<'a> {
    /// `None`: the text has no time of its own; the decoder takes the stamp before it, or when it
    /// came, and says so in the metadata.
    pub timestamp: Option<Timestamp>,
    pub level: Level,
    pub logger: Option<Cow<'a, str>>,
    pub message: Cow<'a, str>,
    pub request_id: Option<Cow<'a, str>>,
    pub user_id: Option<Cow<'a, str>>,
    pub session_id: Option<Cow<'a, str>>,
    pub duration_ms: Option<f64>,
    pub traceback: Option<Cow<'a, str>>,
    /// The stamp gives a time of day and no day: `timestamp` is the latest such instant up to the
    /// reference, and the decoder moves it to the day that follows the record before.
    pub day_missing: bool,
    /// A field carries bytes that are not UTF-8 (see [`escape`]), which the text itself did not
    /// show: JSON may spell them as numbers.
    pub carried: bool,
    /// Names in the order of the line; unique (the decoder keeps the first of equal names).
    pub metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Kept from record to record.
    names: fields::KnownNames,
}

impl<'a> Parsed<'a> {
    /// Adds a metadata pair, unless its value says nothing (`-` or empty).
    pub fn put(&mut self, name: &'a str, value: &'a str) {
        if !says_nothing(value) {
            self.metadata.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
    }

    /// [`put`](Self::put) for names or values that had to be made.
    pub fn put_cow(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !says_nothing(&value) {
            self.metadata.push((name.into(), value));
        }
    }

    /// Takes the instant of a stamp, and its doubts as metadata.
    pub fn set_time(&mut self, instant: time::Instant) {
        self.timestamp = Some(instant.at);
        self.day_missing = instant.day_missing;
        if instant.ambiguous {
            self.metadata.push((Cow::Borrowed(TIME_AMBIGUOUS_FIELD), Cow::Borrowed("true")));
        }
        if instant.year_guessed {
            self.metadata.push((Cow::Borrowed(YEAR_GUESSED_FIELD), Cow::Borrowed("true")));
        }
    }

    /// Takes a level word and keeps it as metadata `severity` when it is not our own name for it.
    /// A word that is no level leaves the level as it is, and is kept too.
    pub fn set_level(&mut self, word: &'a str) {
        let known = level::from_word(word);
        if let Some(known) = known {
            self.level = known;
        }
        if known.is_none_or(|known| known.name() != word) && !says_nothing(word) {
            fields::push_unique(self, "severity", word);
        }
    }

    /// Ready for the next record, with the capacity of the vector kept across lifetimes.
    #[must_use]
    pub fn recycle<'b>(self) -> Parsed<'b> {
        let mut metadata = self.metadata;
        metadata.clear();
        // Collecting in place: the standard library reuses the allocation of the emptied vector.
        Parsed {
            metadata: metadata.into_iter().map_while(|_| None).collect(),
            names: self.names,
            ..Parsed::default()
        }
    }
}

fn says_nothing(value: &str) -> bool {
    value.is_empty() || value == "-"
}

/// Metadata name: the stamp fell into an hour that its zone has twice or not at all.
pub const TIME_AMBIGUOUS_FIELD: &str = "time_ambiguous";
/// Metadata name: the stamp has no year, and the nearest one is not the reference's own.
pub const YEAR_GUESSED_FIELD: &str = "year_guessed";
/// Metadata name: where the time of a record without a stamp comes from (`previous`: the stamp before
/// it; `arrival`; `modified`: when its file was last written), or `date` when only the day was
/// completed.
pub const TIME_SOURCE_FIELD: &str = "time_source";
/// Metadata name: the text held bytes that are not UTF-8; see [`escape`].
pub const ESCAPED_BYTES_FIELD: &str = "escaped_bytes";
/// Metadata name: BLAKE3 (first 16 bytes, hex) of a whole over-long line.
pub const LINE_HASH_FIELD: &str = "line_hash";
/// Metadata name: a record over the size bounds, `begins` on its first part, `continues` on the rest.
pub const SPLIT_FIELD: &str = "split";

/// Why a text is not of a format; kept as `metadata.parse_error` of the record that it becomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {format}: {reason}")]
pub struct FormatMismatch {
    pub format: &'static str,
    pub reason: &'static str,
}

/// What a line is to the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRole {
    /// Begins a record.
    Starts,
    /// Belongs to the record before it (a stack frame, a wrapped statement, a DETAIL line).
    Continues,
    /// Says nothing (a blank line, a header): counted, in no record.
    Skip,
}

/// One log format. Stateless: everything a record needs is in its text and the hint.
pub trait Format: Send + Sync + std::fmt::Debug {
    /// As `--format` takes it: `nginx-access`, `syslog`, `postgresql` …
    fn name(&self) -> &'static str;

    /// The source of records whose file has no configured one: `nginx/access`, `syslog` …
    fn default_source(&self) -> &'static str;

    /// Application or infrastructure.
    fn default_layer(&self) -> Layer;

    /// What a physical line is, looked at without the lines before it.
    fn role(&self, line: &str) -> LineRole;

    /// What a physical line is after `pending`, the text so far of the record before it (its
    /// lines joined by `\n`). Formats whose pieces join by content decide here (Docker: the `log`
    /// of the last line has no newline; CRI: its tag is `P`; Python: a traceback waits for its
    /// last line). Look at the last line of `pending` only, or at bounded parts of it.
    fn role_after(&self, pending: &str, line: &str) -> LineRole {
        let _ = pending;
        self.role(line)
    }

    /// Every line is a record: the decoder then neither asks for roles nor waits for a next line.
    /// Blank lines are skipped.
    fn single_line(&self) -> bool {
        false
    }

    /// The decoder moves a stack trace in the message of several lines to `traceback`, unless
    /// `parse` has set one. Say no where continuing lines are never a trace.
    fn traces(&self) -> bool {
        !self.single_line()
    }

    /// Reads one record: its first line and the continuing ones, joined by `\n`. `out` comes
    /// cleared. After an error the content of `out` does not matter.
    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch>;

    /// Shorthand for the error of [`parse`](Self::parse).
    fn mismatch(&self, reason: &'static str) -> FormatMismatch {
        FormatMismatch { format: self.name(), reason }
    }
}

/// One physical line, without its terminator (`\n` or `\r\n`), as the line cutter gives it. A byte
/// order mark at position 0 is left to the decoder, which drops it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Offset of its first byte in the file generation.
    pub position: u64,
    /// Offset just past its terminator.
    pub next: u64,
    /// At most the line limit; the rest is described by `cut`.
    pub bytes: &'a [u8],
    pub cut: Option<LineCut>,
}

/// What was left out of an over-long line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCut {
    /// Length of the whole line in bytes.
    pub length: u64,
    /// First 16 bytes of the whole line's BLAKE3.
    pub hash: u128,
}

/// What became of the lines, as counts that add up: `lines = records + joined + skipped`, and
/// `mismatched` of the records carry a `parse_error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    pub lines: u64,
    pub records: u64,
    pub joined: u64,
    pub skipped: u64,
    pub mismatched: u64,
}
