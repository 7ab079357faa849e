//! Log formats: one file per format, a registry, detection, and the [`Decoder`] that joins lines
//! into records. Everything here is pure: the caller reads the file and keeps the offsets.

use std::borrow::Cow;

use crate::domain::record::{Entry, Level};
use crate::domain::time::Timestamp;

/// What a line itself cannot say.
#[derive(Clone, Debug)]
pub struct TimeHint {
    /// A year-less stamp takes the year that puts it nearest to this: the file's modification
    /// time when reading back, else now.
    pub reference: Timestamp,
    /// Zone of stamps without one.
    pub zone: SourceZone,
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
    /// `None`: the text has no time of its own; the decoder takes the previous record's or the
    /// arrival time and says so in the metadata.
    pub timestamp: Option<Timestamp>,
    pub level: Level,
    pub logger: Option<Cow<'a, str>>,
    pub message: Cow<'a, str>,
    pub request_id: Option<Cow<'a, str>>,
    pub user_id: Option<Cow<'a, str>>,
    pub session_id: Option<Cow<'a, str>>,
    pub duration_ms: Option<f64>,
    pub traceback: Option<Cow<'a, str>>,
    /// Names in the order of the line; unique.
    pub metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

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
    fn default_layer(&self) -> crate::domain::record::Layer;

    /// What a physical line is, looked at without the lines before it.
    fn role(&self, line: &str) -> LineRole;

    /// Reads one record: its first line and the continuing ones, joined by `\n`.
    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch>;
}

/// One physical line, without its terminator, as the line cutter gives it.
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

/// Turns the lines of one file generation into entries.
#[derive(Debug)]
pub struct Decoder {
    _private: (),
}

impl Decoder {
    pub fn new(format: &'static dyn Format, hint: TimeHint) -> Self {
        todo!("{format:?} {hint:?}")
    }

    /// Takes one line; gives finished entries to `sink`. The last record stays pending while the
    /// next line might continue it.
    pub fn line(&mut self, line: Line<'_>, sink: &mut dyn FnMut(Entry)) {
        let _ = (line, sink);
        todo!()
    }

    /// Finishes the pending record: the input ended, or was quiet for long enough.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Entry)) {
        let _ = sink;
        todo!()
    }

    /// Everything before this position is in emitted entries (or was skipped); a frame may end
    /// here. `fallback` is returned when nothing is pending.
    pub fn settled(&self, fallback: u64) -> u64 {
        fallback
    }

    pub fn counts(&self) -> DecodeCounts {
        DecodeCounts::default()
    }
}

/// The format with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    let _ = name;
    todo!()
}

/// All formats, in the order in which detection tries them.
pub fn all() -> &'static [&'static dyn Format] {
    todo!()
}

/// The format that reads most of these first lines; plain text when none does.
pub fn detect(lines: &[&str]) -> &'static dyn Format {
    todo!("{lines:?}")
}
