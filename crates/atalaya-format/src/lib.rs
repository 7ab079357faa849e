//! Log formats: one file per format, a registry, detection, and the [`Decoder`] that joins lines
//! into records. Everything here is pure: the caller reads the file and keeps the offsets.

use std::borrow::Cow;

use atalaya_domain::record::{Layer, Level};
use atalaya_domain::time::Timestamp;

pub mod decoder;
pub mod detect;
pub mod explain;
pub mod registry;
pub mod signs;

pub mod escape;
pub mod level;
pub mod time;
pub mod trace;

pub mod apache_access;
pub mod apache_error;
pub mod app_line;
pub mod apt_history;
pub mod aws;
pub mod compose;
pub mod dpkg;
pub mod elasticsearch;
pub mod envoy;
pub mod gin;
pub mod glog;
pub mod haproxy;
pub mod journald;
pub mod nginx_access;
pub mod nginx_error;
pub mod rails;
pub mod squid;
pub mod syslog;
pub mod traefik;
pub mod uvicorn;
pub mod uwsgi;
pub mod w3c;

mod auth;
mod split;
mod web;

pub mod fields;
pub mod ids;

pub mod cloud_json;
pub mod crash;
pub mod cri;
pub mod docker_json;
pub mod dotnet;
pub mod erlang;
pub mod go_log;
pub mod hclog;
pub mod humanlog;
pub mod json;
pub mod jul;
pub mod lambda;
pub mod log4j;
pub mod log_stream;
pub mod logcat;
pub mod logfmt;
pub mod logplex;
pub mod logrus;
pub mod mongodb;
pub mod monolog;
pub mod mssql;
pub mod mysql_error;
pub mod mysql_slow;
pub mod node;
pub mod php;
pub mod plain;
pub mod postgresql;
pub mod postgresql_csv;
pub mod postgresql_json;
pub mod python;
pub mod redis;
pub mod ruby;
pub mod rust_tracing;
pub mod stern;
pub mod structlog;
#[cfg(test)]
mod testing;
pub mod user_defined;
pub mod windows_setup;
pub mod zap;
pub mod zerolog;

pub use decoder::{Choice, Decoder, MAX_RECORD_BYTES, MAX_RECORD_LINES};
pub use detect::{Detected, detect};
pub use registry::{Shape, all, by_name, define, names};
pub use signs::Signs;

/// What a line itself cannot say.
#[derive(Clone, Debug)]
pub struct TimeHint {
    /// A year-less stamp takes the latest year that does not put it more than a day after this: the
    /// file's modification time when reading back, else now.
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
    /// Nothing in the text says its level: `level` is a guess, or the default.
    pub ungraded: bool,
    /// The guess was made from the whole message.
    pub guessed: bool,
    /// The stamp names its zone, or is an instant by itself.
    pub zoned: bool,
    /// The later instant of a stamp that its zone has twice; the order of the file decides.
    pub second: Option<Timestamp>,
    /// A field carries bytes that are not UTF-8 (see [`escape`]), which the text itself did not
    /// show: JSON may spell them as numbers.
    pub carried: bool,
    /// Strangers type parts of the message (a user name, a command): no ids are looked for in it.
    pub typed: bool,
    /// Names in the order of the line; unique (the decoder keeps the first of equal names).
    pub metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Kept from record to record.
    names: fields::KnownNames,
}

impl<'a> Parsed<'a> {
    /// Adds a metadata pair, unless its value says nothing (`-` or empty).
    pub fn put(&mut self, name: &'a str, value: &'a str) {
        if !says_nothing(value) {
            self.metadata
                .push((Cow::Borrowed(name), Cow::Borrowed(value)));
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
        self.zoned = instant.zoned;
        self.second = instant.second;
        if instant.ambiguous {
            self.metadata
                .push((Cow::Borrowed(TIME_AMBIGUOUS_FIELD), Cow::Borrowed("true")));
        }
        if instant.order_guessed {
            self.metadata
                .push((Cow::Borrowed(ORDER_GUESSED_FIELD), Cow::Borrowed("true")));
        }
        if instant.year_guessed {
            self.metadata
                .push((Cow::Borrowed(YEAR_GUESSED_FIELD), Cow::Borrowed("true")));
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

    /// As it came, for the next format to try. Most have refused before they wrote anything.
    pub fn reset(&mut self) {
        if self.is_untouched() {
            return;
        }
        let mut metadata = std::mem::take(&mut self.metadata);
        let names = std::mem::take(&mut self.names);
        metadata.clear();
        *self = Self {
            metadata,
            names,
            ..Self::default()
        };
    }

    fn is_untouched(&self) -> bool {
        self.metadata.is_empty()
            && self.message.is_empty()
            && self.timestamp.is_none()
            && self.logger.is_none()
            && self.level == Level::default()
            && self.request_id.is_none()
            && self.user_id.is_none()
            && self.session_id.is_none()
            && self.duration_ms.is_none()
            && self.traceback.is_none()
            && self.second.is_none()
            && !(self.day_missing
                || self.ungraded
                || self.guessed
                || self.zoned
                || self.carried
                || self.typed)
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
/// Metadata name: day and month of the stamp may be the other way round.
pub const ORDER_GUESSED_FIELD: &str = "order_guessed";
/// Metadata name: where the time of a record without a stamp comes from (`previous`: the stamp before
/// it; `arrival`; `modified`: when its file was last written), or `date` when only the day was
/// completed.
pub const TIME_SOURCE_FIELD: &str = "time_source";
/// Metadata name: the other stamp of a record whose own is the one inside its envelope.
pub const ENVELOPE_TIME_FIELD: &str = "envelope_time";
/// Metadata name: the other stamp of a record whose own is its envelope's.
pub const INNER_TIME_FIELD: &str = "inner_time";
/// Metadata name: header lines of the file that stand before this record.
pub const HEADER_FIELD: &str = "header";
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

/// The bytes that the first line of a record can begin with: what the decoder looks at before it
/// asks a format anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins([u64; 4]);

impl Begins {
    pub const ANY: Self = Self([u64::MAX; 4]);
    pub const DIGITS: Self = Self::these(b"0123456789");
    pub const LETTERS: Self = Self::these(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    pub const fn these(bytes: &[u8]) -> Self {
        let mut set = [0_u64; 4];
        let mut at = 0;
        while at < bytes.len() {
            set[bytes[at] as usize / 64] |= 1 << (bytes[at] % 64);
            at += 1;
        }
        Self(set)
    }

    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        let (ours, theirs) = (self.0, other.0);
        Self([
            ours[0] | theirs[0],
            ours[1] | theirs[1],
            ours[2] | theirs[2],
            ours[3] | theirs[3],
        ])
    }

    pub const fn has(self, byte: u8) -> bool {
        self.0[byte as usize / 64] >> (byte % 64) & 1 == 1
    }
}

/// Which lines belong to a record beside its first, where the format itself says nothing of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// None: each line is a record.
    #[default]
    One,
    /// The lines of a stack trace, once one has begun; other indented lines do not.
    OnlyTraces,
    /// Indented lines and those of a stack trace.
    Trace,
    /// Every line that has neither a stamp nor a level of its own, when the record has a stamp;
    /// else as [`Trace`](Self::Trace).
    Stamped,
}

/// What is true of a format whatever the line.
#[derive(Clone, Copy, Debug)]
pub struct FormatSpec {
    /// As `--format` takes it: `nginx-access`, `syslog`, `postgresql` …
    pub name: &'static str,
    /// The source of records whose file has no configured one: `nginx/access`, `syslog` …
    pub source: &'static str,
    /// Application or infrastructure.
    pub layer: Layer,
    pub begins: Begins,
    pub lines: Lines,
    /// The decoder moves a stack trace in a message of several lines to `traceback`, unless
    /// `parse` has set one. No where continuing lines are never a trace.
    pub traces: bool,
    /// Ids that stand by name in the message are the record's (see [`ids`]). No where strangers
    /// type what the message holds: a request line, a user name.
    pub named_ids: bool,
}

/// What a line is to a format, looked at without the lines before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// No record of this format begins so.
    No,
    /// A record begins here when [`Format::parse`] reads the line: the strict test.
    Parsed,
    /// A record begins here for sure that only further lines complete (`{` alone on its line).
    Unfinished,
    /// It names the columns of the lines to come, or is a banner: kept with the next record.
    Header,
}

/// What a format says of a line behind one of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// It belongs to the record, whatever it looks like (a quote is open, a `DETAIL:`).
    Yes,
    /// It does, unless it has a stamp or a level of its own (a statement that has not ended).
    UnlessOwn,
    /// It does not.
    No,
    /// [`FormatSpec::lines`] decides, once no format reads the line as a record of its own.
    Unsaid,
}

/// One log format. Stateless: everything a record needs is in its text and the hint.
///
/// A format is chosen line by line, by what it reads *strictly*: a stamp that ends its column, a
/// severity that is one of its words, quotes that are closed. `parse` is that test, so it must
/// refuse a first line that merely resembles its own.
pub trait Format: Send + Sync + std::fmt::Debug {
    fn spec(&self) -> &FormatSpec;

    /// What stands in every line that a record can begin with: others are not shown to it.
    fn needs(&self) -> Signs {
        Signs::NONE
    }

    /// Whether a record can begin with this line; cheap where it says no.
    fn opens(&self, line: &str) -> Opens {
        let _ = line;
        Opens::Parsed
    }

    /// Whether a line belongs to `pending`, the text so far of a record of this format (its lines
    /// joined by `\n`). Look at the last line of `pending` only, or at bounded parts of it.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        let _ = (pending, line);
        Joins::Unsaid
    }

    /// Reads one record: its first line and the continuing ones, joined by `\n`. `out` comes
    /// cleared. After an error the content of `out` does not matter.
    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch>;

    /// A line that holds several records gives each of them, and true; one that holds one does not.
    fn several(&self, line: &str, hint: &TimeHint, each: &mut dyn FnMut(Parsed<'_>)) -> bool {
        let _ = (line, hint, each);
        false
    }

    /// [`parse`](Self::parse), in a file whose last header lines ([`Opens::Header`]) these are.
    fn parse_under<'a>(
        &self,
        header: &str,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let _ = header;
        self.parse(text, hint, out)
    }

    /// Shorthand for the error of [`parse`](Self::parse).
    fn mismatch(&self, reason: &'static str) -> FormatMismatch {
        FormatMismatch {
            format: self.spec().name,
            reason,
        }
    }
}

/// What a run-time, a daemon or a cloud put around the line of a program.
///
/// It is taken off, its facts are kept, and what is inside is read as if it had been in a file of
/// its own, by all formats.
pub trait Envelope: Send + Sync + std::fmt::Debug {
    /// `lines` says which lines join a record whose inside no format reads; `traces` and
    /// `named_ids` likewise.
    fn spec(&self) -> &FormatSpec;

    /// One of these stands in every text that it opens; none: it may open any.
    fn marks(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes the envelope off one line. `out` comes cleared; it gets the facts (time, level,
    /// program as logger, metadata) and what is inside as message. An error: it is none of these.
    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch>;

    /// Whether what it says of a line that joins a record is kept, where it said something else of
    /// the record's first: an id of its own for each line, say.
    fn tells_lines_apart(&self) -> bool {
        false
    }

    /// Whether a line without this envelope belongs to the record before it.
    fn takes_bare_lines(&self) -> bool {
        false
    }

    /// Shorthand for the error of [`open`](Self::open).
    fn mismatch(&self, reason: &'static str) -> FormatMismatch {
        FormatMismatch {
            format: self.spec().name,
            reason,
        }
    }
}

/// What an envelope says of the text in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Lines of one stream follow each other; those of two may stand between each other. A hash of
    /// what names the stream (host, program and process; service; stdout or stderr).
    pub stream: u64,
    /// How the text goes on from the last one of its stream.
    pub piece: Piece,
    /// The envelope's own level counts (a priority); else it is guessed where the inside has none.
    pub graded: bool,
}

/// How the text in an envelope goes on from the last one of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Piece {
    /// A line by itself.
    #[default]
    Line,
    /// The beginning or middle of a line that the next text of the stream goes on with.
    Open,
    /// A further line of the record before it, for sure (PostgreSQL's `[7-2]`).
    Further,
    /// A record by itself, also when there is no text: the envelope says all that there is.
    Whole,
}

impl Inside {
    pub const fn line(stream: u64, graded: bool) -> Self {
        Self {
            stream,
            piece: Piece::Line,
            graded,
        }
    }
}

/// The hash of what names a stream: FNV-1a, 64 bit, over the parts with a zero byte behind each.
pub fn stream_of(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
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
    /// Records that were taken as complete because too many were held at once.
    pub crowded: u64,
}
