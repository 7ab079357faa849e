//! One log event, and what a run of them shares.
//!
//! A record is an [`Entry`] (its own fields) plus the [`Origin`] it came from (layer, source,
//! host: the same for a whole file generation). Its identity is *where* it stands, never what it
//! says: two equal lines are two events, and one line written twice is one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Severity. The order is the meaning: `level>=warning` compares with it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Debug,
    #[default]
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    pub const ALL: [Self; 5] = [
        Self::Debug,
        Self::Info,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];

    /// `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// 0 for `DEBUG` to 4 for `CRITICAL`: the index into [`LevelCounts`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads the words that inputs and people use, in any case (`warn`, `fatal`, `notice` …).
    ///
    /// Where the words are from: syslog's severities, the levels of PostgreSQL, of MySQL and of the
    /// usual libraries; the three- and
    /// four-letter words of Serilog, logrus and the consoles of .NET; and what
    /// `java.util.logging` and Windows print in other languages. Letters beyond ASCII are compared
    /// as they stand, so those words are there in both cases.
    pub fn from_word(word: &str) -> Option<Self> {
        const WORDS: [(&str, Level); 92] = [
            ("debug", Level::Debug),
            ("trace", Level::Debug),
            ("verbose", Level::Debug),
            ("finest", Level::Debug),
            ("finer", Level::Debug),
            ("fine", Level::Debug),
            ("dbug", Level::Debug),
            ("dbg", Level::Debug),
            ("trc", Level::Debug),
            ("trce", Level::Debug),
            ("vrb", Level::Debug),
            ("verb", Level::Debug),
            ("debu", Level::Debug),
            ("trac", Level::Debug),
            ("silly", Level::Debug),
            ("notset", Level::Debug),
            ("fein", Level::Debug),
            ("feiner", Level::Debug),
            ("info", Level::Info),
            ("information", Level::Info),
            ("informational", Level::Info),
            ("notice", Level::Info),
            ("note", Level::Info),
            ("log", Level::Info),
            ("system", Level::Info),
            ("success", Level::Info),
            ("stats", Level::Info),
            ("config", Level::Info),
            ("inf", Level::Info),
            ("infos", Level::Info),
            ("informationen", Level::Info),
            ("informazioni", Level::Info),
            ("información", Level::Info),
            ("INFORMACIÓN", Level::Info),
            ("informações", Level::Info),
            ("INFORMAÇÕES", Level::Info),
            ("informatie", Level::Info),
            ("hinweis", Level::Info),
            ("信息", Level::Info),
            ("情報", Level::Info),
            ("情报", Level::Info),
            ("warning", Level::Warning),
            ("warn", Level::Warning),
            ("deprecation", Level::Warning),
            ("wrn", Level::Warning),
            ("warni", Level::Warning),
            ("deprecated", Level::Warning),
            ("warnung", Level::Warning),
            ("avertissement", Level::Warning),
            ("advertencia", Level::Warning),
            ("avvertenza", Level::Warning),
            ("avviso", Level::Warning),
            ("advertência", Level::Warning),
            ("ADVERTÊNCIA", Level::Warning),
            ("aviso", Level::Warning),
            ("waarschuwing", Level::Warning),
            ("警告", Level::Warning),
            ("error", Level::Error),
            ("err", Level::Error),
            ("eror", Level::Error),
            ("severe", Level::Error),
            ("erro", Level::Error),
            ("fail", Level::Error),
            ("fehler", Level::Error),
            ("schwerwiegend", Level::Error),
            ("erreur", Level::Error),
            ("grave", Level::Error),
            ("errore", Level::Error),
            ("fout", Level::Error),
            ("错误", Level::Error),
            ("エラー", Level::Error),
            ("重大", Level::Error),
            ("严重", Level::Error),
            ("critical", Level::Critical),
            ("crit", Level::Critical),
            ("fatal", Level::Critical),
            ("panic", Level::Critical),
            ("alert", Level::Critical),
            ("emerg", Level::Critical),
            ("emergency", Level::Critical),
            ("dpanic", Level::Critical),
            ("fatl", Level::Critical),
            ("ftl", Level::Critical),
            ("crt", Level::Critical),
            ("fata", Level::Critical),
            ("pani", Level::Critical),
            ("kritisch", Level::Critical),
            ("critique", Level::Critical),
            ("crítico", Level::Critical),
            ("CRÍTICO", Level::Critical),
            ("critico", Level::Critical),
            ("panik", Level::Critical),
        ];
        WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|&(_, level)| level)
    }

    /// 5xx is an error, 4xx a warning, everything else information.
    pub const fn from_http_status(status: u16) -> Self {
        match status {
            500.. => Self::Error,
            400..=499 => Self::Warning,
            _ => Self::Info,
        }
    }

    /// Syslog severity: 0 to 2 critical, 3 error, 4 warning, 5 and 6 information, 7 debug.
    pub const fn from_syslog_severity(severity: u8) -> Self {
        match severity {
            0..=2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 | 6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// How many records of each level, indexed by [`Level::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct LevelCounts(pub [u32; 5]);

impl LevelCounts {
    pub fn add(&mut self, level: Level) {
        self.0[level.index()] += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    pub fn of(&self, level: Level) -> u32 {
        self.0[level.index()]
    }

    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Those of the levels that are chosen, by index; 0 of the others.
    #[must_use]
    pub fn only(&self, chosen: [bool; 5]) -> Self {
        Self(std::array::from_fn(|level| {
            if chosen[level] { self.0[level] } else { 0 }
        }))
    }

    /// The highest level that occurs; `None` when there are no records.
    pub fn worst(&self) -> Option<Level> {
        Level::ALL
            .into_iter()
            .rev()
            .find(|level| self.of(*level) > 0)
    }
}

/// Where a log record belongs. The metrics layer has tables of its own (see `delivery`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Runtime logs of an application.
    Application,
    /// Logs of the operating system and its services.
    Infrastructure,
}

impl Layer {
    pub const ALL: [Self; 2] = [Self::Application, Self::Infrastructure];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Infrastructure => "infrastructure",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "app" | "application" => Ok(Self::Application),
            "infra" | "infrastructure" => Ok(Self::Infrastructure),
            _ => Err(format!(
                "unknown layer `{word}`; the layers are `app` and `infra`"
            )),
        }
    }
}

/// A text of a record. Up to 24 bytes, which most names, ids and numbers are, stand in the value
/// itself: what costs most in taking a line apart is asking for memory, and giving it back on the
/// thread that wrote the record.
pub type Text = CompactString;

/// Whose records are looked for, beside those of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose<'a> {
    User(&'a str),
    Session(&'a str),
}

/// Opaque text that ties together records of both log layers and metrics events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Text);

impl RequestId {
    pub fn new(id: impl Into<Text>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Names one run of positions: one generation of one file on one host, or one application client.
///
/// Derived by [`OriginId::derive`] from what it is, so every host and every restart agree on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OriginId(u128);

impl OriginId {
    pub const fn from_u128(id: u128) -> Self {
        Self(id)
    }

    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The first 16 bytes of BLAKE3 over the parts, each with its length in front.
    pub fn derive(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut id = [0_u8; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(u128::from_be_bytes(id))
    }
}

impl fmt::Display for OriginId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for OriginId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OriginId({self})")
    }
}

/// Identity of a record: the place it stands at. Printed as `<origin>-<position>`, both in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    pub origin: OriginId,
    pub position: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:x}", self.origin, self.position)
    }
}

impl FromStr for RecordId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{text}` is not a record id; one looks like `<32 hex digits>-<hex>`");
        let (origin, position) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            origin: OriginId(u128::from_str_radix(origin, 16).map_err(|_| wrong())?),
            position: u64::from_str_radix(position, 16).map_err(|_| wrong())?,
        })
    }
}

/// What every record of one file generation (or one client) shares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    pub id: OriginId,
    pub layer: Layer,
    /// What produced the records: `nginx/access`, `syslog`, `app/<name>` …
    pub source: Text,
    /// The host that the input was read on.
    pub host: Text,
}

/// Names and values that have no field of their own, in the order of the input; names are unique.
pub type Metadata = Vec<(Text, Text)>;

/// Metadata name under which a line's own host stands when it differs from the reading host.
pub const HOST_FIELD: &str = "host";
/// Metadata name that says why a line did not fit its format; its raw text is then the message.
pub const PARSE_ERROR_FIELD: &str = "parse_error";
/// Metadata name that holds how many bytes of an over-long line were cut off.
pub const TRUNCATED_BYTES_FIELD: &str = "truncated_bytes";

/// The fields of one record that are its own. Absent is `None`, never an empty string.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Entry {
    pub timestamp: Timestamp,
    /// Byte offset in the file generation, or the caller's sequence: identity within the origin.
    pub position: u64,
    pub level: Level,
    pub logger: Option<Text>,
    pub message: Text,
    pub request_id: Option<RequestId>,
    pub user_id: Option<Text>,
    pub session_id: Option<Text>,
    pub duration_ms: Option<f64>,
    pub traceback: Option<Text>,
    pub metadata: Metadata,
}

impl Entry {
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| &**value)
    }

    /// Bytes of its texts, those of the metadata with their names.
    pub fn text_bytes(&self) -> usize {
        let texts = [
            &self.logger,
            &self.user_id,
            &self.session_id,
            &self.traceback,
        ];
        self.message.len()
            + texts.into_iter().flatten().map(Text::len).sum::<usize>()
            + self.request_id.as_ref().map_or(0, |id| id.as_str().len())
            + self
                .metadata
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }
}

/// One log event with the origin that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub origin: Arc<Origin>,
    pub entry: Entry,
}

impl Record {
    pub fn id(&self) -> RecordId {
        RecordId {
            origin: self.origin.id,
            position: self.entry.position,
        }
    }

    /// The order of every list: time, then origin, then position. Total, so pages cut cleanly.
    pub fn sort_key(&self) -> (Timestamp, OriginId, u64) {
        (self.entry.timestamp, self.origin.id, self.entry.position)
    }

    /// The host that the line names, else the host it was read on.
    pub fn host(&self) -> &str {
        self.entry.metadata(HOST_FIELD).unwrap_or(&self.origin.host)
    }
}

/// Consecutive records of one origin, as the ingest acknowledges them: all or none.
///
/// `from..until` are the positions covered, also by lines that gave no record; the next frame of
/// the origin begins at `until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub origin: Arc<Origin>,
    pub from: u64,
    pub until: u64,
    pub entries: Vec<Entry>,
}
