//! Gives the named values of structured logs (JSON, logfmt, `key=value` tails) their place in a
//! record.
//!
//! Loggers agree on few names, so a name is compared without case and punctuation (`requestId`,
//! `request_id` and `X-Request-ID` are one) and every field has an order of preference: of
//! `logger` and `caller` the first is the logger, the other stays in the metadata under its own
//! name. A value that does not suit its field (a `ts` of `xxx`) stays in the metadata too, so
//! nothing is lost. Names in the metadata are unique: a second `a` becomes `a_2`.

use std::borrow::Cow;
use std::collections::HashSet;

use super::json::scan::Value;
use super::{Parsed, TimeHint, level, time};
use crate::domain::record::{Level, Text};
use crate::domain::time::Timestamp;

/// A field of the record that a name can stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot {
    Time,
    /// `instant.epochSecond` and `instant.nanoOfSecond` of Log4j are two halves of one time.
    EpochSecond,
    NanoOfSecond,
    Level,
    Logger,
    Message,
    Request,
    User,
    Session,
    /// With the number of milliseconds in one unit of the value; 0 when the value names its unit.
    Duration(f64),
    Trace,
}

const SLOTS: usize = 9;

impl Slot {
    const fn index(self) -> usize {
        match self {
            Self::Time | Self::EpochSecond | Self::NanoOfSecond => 0,
            Self::Level => 1,
            Self::Logger => 2,
            Self::Message => 3,
            Self::Request => 4,
            Self::User => 5,
            Self::Session => 6,
            Self::Duration(_) => 7,
            Self::Trace => 8,
        }
    }
}

/// The name without case and punctuation, as far as names of fields are long.
fn folded<'b>(name: &str, buffer: &'b mut [u8; 32]) -> Option<&'b str> {
    let mut length = 0;
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            *buffer.get_mut(length)? = byte.to_ascii_lowercase();
            length += 1;
        } else if !byte.is_ascii() {
            return None;
        }
    }
    std::str::from_utf8(buffer.get(..length)?).ok()
}

/// What a name stands for, and how it is preferred to other names of the same (0 is best).
///
/// Sources: the documentation of the loggers named, and the samples of the shared test data.
fn slot_of(name: &str) -> Option<(Slot, u8)> {
    let mut buffer = [0; 32];
    let Some(key) = folded(name, &mut buffer) else { return wide_slot_of(name) };
    // By length first: most names are metadata, and this finds that out in one comparison.
    let found = match key.len() {
        1 => match key {
            "t" => (Slot::Time, 4),
            "m" if name == "@m" || name == "M" => (Slot::Message, 4),
            "l" if name == "@l" || name == "L" => (Slot::Level, 6),
            "s" => (Slot::Level, 8),
            "x" if name == "@x" => (Slot::Trace, 2),
            _ => return None,
        },
        2 => match key {
            "ts" => (Slot::Time, 2),
            "mt" if name == "@mt" => (Slot::Message, 6),
            _ => return None,
        },
        3 => match key {
            "msg" => (Slot::Message, 1),
            "lvl" => (Slot::Level, 2),
            _ => return None,
        },
        4 => match key {
            "time" => (Slot::Time, 1),
            "date" => (Slot::Time, 6),
            "name" => (Slot::Logger, 3),
            "text" | "body" => (Slot::Message, 7),
            "took" => (Slot::Duration(0.0), 3),
            _ => return None,
        },
        5 => match key {
            "level" => (Slot::Level, 1),
            "event" => (Slot::Message, 2),
            "reqid" => (Slot::Request, 1),
            "stack" => (Slot::Trace, 3),
            "tdate" if name == "t.$date" => (Slot::Time, 4),
            _ => return None,
        },
        6 => match key {
            "logger" => (Slot::Logger, 0),
            "caller" => (Slot::Logger, 5),
            "target" => (Slot::Logger, 3),
            "userid" => (Slot::User, 0),
            "tookms" => (Slot::Duration(1.0), 1),
            "millis" => (Slot::Duration(1.0), 2),
            _ => return None,
        },
        7 => match key {
            "message" => (Slot::Message, 0),
            "asctime" => (Slot::Time, 2),
            "logtime" => (Slot::Time, 3),
            "channel" => (Slot::Logger, 4),
            "traceid" => (Slot::Request, 5),
            "elapsed" | "latency" => (Slot::Duration(0.0), 3),
            "service" => (Slot::Duration(0.0), 5),
            "excinfo" | "exctext" => (Slot::Trace, 1),
            "levelno" => (Slot::Level, 9),
            _ => return None,
        },
        8 => match key {
            "datetime" => (Slot::Time, 3),
            "severity" => (Slot::Level, 4),
            "loglevel" => (Slot::Level, 3),
            "duration" => (Slot::Duration(0.0), 3),
            "errstack" => (Slot::Trace, 0),
            "spanname" => return None,
            _ => return ids(name, key),
        },
        9 => match key {
            "timestamp" => (Slot::Time, 0),
            "eventtime" => (Slot::Time, 3),
            "levelname" => (Slot::Level, 0),
            "loglogger" => (Slot::Logger, 1),
            "requestid" => (Slot::Request, 0),
            "sessionid" => (Slot::Session, 0),
            "elapsedms" | "latencyms" => (Slot::Duration(1.0), 1),
            "exception" => (Slot::Trace, 4),
            "traceback" => (Slot::Trace, 0),
            "backtrace" => (Slot::Trace, 1),
            "timetaken" => (Slot::Duration(0.0), 3),
            "enduserid" => (Slot::User, 1),
            _ => return ids(name, key),
        },
        10 => match key {
            "loggername" => (Slot::Logger, 1),
            "stacktrace" | "errorstack" => (Slot::Trace, 0),
            "durationms" => (Slot::Duration(1.0), 1),
            "durationus" => (Slot::Duration(0.001), 2),
            "durationns" => (Slot::Duration(0.000_001), 2),
            "timemillis" => (Slot::Time, 3),
            _ => return ids(name, key),
        },
        11 => match key {
            "textpayload" => (Slot::Message, 1),
            "durationsec" => (Slot::Duration(1000.0), 2),
            "elapsedtime" => (Slot::Duration(0.0), 3),
            "fullmessage" => (Slot::Trace, 5),
            _ => return ids(name, key),
        },
        12 => match key {
            "shortmessage" => (Slot::Message, 3),
            "severitytext" => (Slot::Level, 4),
            // Pino's and Kibana's camel case is documented as milliseconds; other spellings are not.
            "responsetime" if name == "responseTime" => (Slot::Duration(1.0), 2),
            "responsetime" => (Slot::Duration(0.0), 3),
            "errorverbose" => (Slot::Trace, 4),
            _ => return ids(name, key),
        },
        13 => match key {
            "sourcecontext" => (Slot::Logger, 2),
            "fieldsmessage" => (Slot::Message, 1),
            "eventduration" if name == "event.duration" => (Slot::Duration(0.000_001), 2),
            "executiontime" => (Slot::Duration(0.0), 3),
            "correlationid" => (Slot::Request, 4),
            _ => return ids(name, key),
        },
        14 => match key {
            "responsetimems" | "durationmillis" => (Slot::Duration(1.0), 1),
            "durationmicros" => (Slot::Duration(0.001), 2),
            "elapsedseconds" => (Slot::Duration(1000.0), 2),
            _ => return ids(name, key),
        },
        15 => match key {
            "messagetemplate" => (Slot::Message, 6),
            "durationseconds" => (Slot::Duration(1000.0), 2),
            "logeventmessage" | "renderedmessage" => (Slot::Message, 1),
            "errorstacktrace" => (Slot::Trace, 0),
            "executiontimems" => (Slot::Duration(1.0), 1),
            "resresponsetime" => (Slot::Duration(1.0), 3),
            _ => return ids(name, key),
        },
        18 if key == "jsonpayloadmessage" => (Slot::Message, 1),
        18 if key == "instantepochsecond" => (Slot::EpochSecond, 5),
        19 if key == "instantnanoofsecond" => (Slot::NanoOfSecond, 0),
        19 if key == "exceptionstacktrace" => (Slot::Trace, 0),
        23 if key == "thrownextendedstacktrace" => (Slot::Trace, 0),
        _ => return ids(name, key),
    };
    Some(found)
}

/// Ids, which hide behind prefixes: `http.request.id`, `span.user_id`, `invapptracingrequestid`.
fn ids(name: &str, key: &str) -> Option<(Slot, u8)> {
    if !key.ends_with("id") {
        return None;
    }
    if let Some(before) = key.strip_suffix("requestid") {
        // A parent's request is another request.
        return (!before.ends_with("parent")).then_some((Slot::Request, 2));
    }
    if key == "xcorrelationid" || key == "correlationid" {
        return Some((Slot::Request, 4));
    }
    if let Some(before) = key.strip_suffix("traceid") {
        return matches!(
            before,
            "x" | "xb3" | "dd" | "otel" | "xamzn" | "span" | "fields" | "mdc" | "context" | "contextmap"
        )
        .then_some((Slot::Request, 6));
    }
    let (envelope, last) = name.rsplit_once('.')?;
    if !matches!(
        envelope,
        "fields"
            | "span"
            | "context"
            | "extra"
            | "mdc"
            | "ctx"
            | "contextMap"
            | "attributes"
            | "attr"
            | "req"
    ) {
        return None;
    }
    let mut buffer = [0; 32];
    match folded(last, &mut buffer)? {
        "userid" => Some((Slot::User, 2)),
        "sessionid" => Some((Slot::Session, 2)),
        "correlationid" => Some((Slot::Request, 4)),
        "id" if envelope == "req" => Some((Slot::Request, 2)),
        _ => None,
    }
}

/// A stack trace that is an array of its lines (Elasticsearch), as text; anything else as it is.
fn frames_to_lines(trace: Cow<'_, str>) -> Cow<'_, str> {
    if !trace.starts_with('[') {
        return trace;
    }
    match super::json::scan::Scan::new(&trace).texts() {
        Some(lines) => Cow::Owned(lines.join("\n")),
        None => trace,
    }
}

fn wide_slot_of(name: &str) -> Option<(Slot, u8)> {
    (name.len() < 100 && name.ends_with("request_id")).then_some((Slot::Request, 3))
}

/// What the names of the last record stand for, by their place in it: a program's lines mostly have
/// the same names in the same order, and comparing one is a fifth of the work of looking it up.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    known: Vec<(Text, Option<(Slot, u8)>)>,
    next: usize,
}

/// It is no part of a record.
impl PartialEq for KnownNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl KnownNames {
    const MOST: usize = 64;
    const LONGEST: usize = 64;

    fn slot_of(&mut self, name: &str) -> Option<(Slot, u8)> {
        let place = self.next;
        self.next += 1;
        if let Some((known, slot)) = self.known.get(place)
            && known == name
        {
            return *slot;
        }
        let slot = slot_of(name);
        if place < Self::MOST && name.len() <= Self::LONGEST {
            self.known.truncate(place);
            // Otherwise a name before this one was too long to be kept.
            if self.known.len() == place {
                self.known.push((name.into(), slot));
            }
        }
        slot
    }
}

/// A value in its field, with what is needed to put it back when a better one comes.
#[derive(Debug)]
struct Held<'a> {
    rank: u8,
    name: Cow<'a, str>,
    text: Cow<'a, str>,
    /// Where in the metadata it would have stood.
    index: usize,
}

/// Collects the named values of one record.
#[derive(Debug)]
pub struct Fields<'o, 'a> {
    out: &'o mut Parsed<'a>,
    hint: &'o TimeHint,
    held: [Option<Held<'a>>; SLOTS],
    instant: Option<time::Instant>,
    nanos: i64,
    /// Names in the metadata, once there are too many to look through one by one.
    names: Option<HashSet<Box<str>>>,
}

impl<'o, 'a> Fields<'o, 'a> {
    pub fn new(out: &'o mut Parsed<'a>, hint: &'o TimeHint) -> Self {
        out.names.next = 0;
        Self { out, hint, held: Default::default(), instant: None, nanos: 0, names: None }
    }

    /// Gives the value to the field that the name stands for, else to the metadata.
    pub fn value(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        let Some((slot, rank)) = self.out.names.slot_of(&name) else {
            if let Some(text) = value.into_text() {
                self.extra(name, text);
            }
            return;
        };
        let kind = Kind::of(&value);
        let Some(text) = value.into_text() else { return };
        if self.fits(slot, rank, kind, &text) {
            self.hold(slot, rank, name, text);
        } else {
            self.extra(name, text);
        }
    }

    /// Adds to the metadata under a name that is not taken.
    pub fn extra(&mut self, name: Cow<'a, str>, text: Cow<'a, str>) {
        if text.is_empty() {
            return;
        }
        let name = self.unique(name);
        self.out.metadata.push((name, text));
    }

    fn is_taken(&mut self, name: &str) -> bool {
        const MANY: usize = 48;
        if self.out.metadata.len() < MANY {
            return self.out.metadata.iter().any(|(known, _)| known == name);
        }
        let metadata = &self.out.metadata;
        let names =
            self.names.get_or_insert_with(|| metadata.iter().map(|(known, _)| Box::from(&**known)).collect());
        names.contains(name)
    }

    fn unique(&mut self, name: Cow<'a, str>) -> Cow<'a, str> {
        let mut free = name;
        if self.is_taken(&free) {
            let mut number = 2;
            free = loop {
                let next = format!("{free}_{number}");
                if !self.is_taken(&next) {
                    break Cow::Owned(next);
                }
                number = next_number(number, self.out.metadata.len());
            };
        }
        if let Some(names) = &mut self.names {
            names.insert(Box::from(&*free));
        }
        free
    }

    /// Whether the value can be the field's; sets the fields that are not text.
    fn fits(&mut self, slot: Slot, rank: u8, kind: Kind, text: &str) -> bool {
        let better = self.held[slot.index()].as_ref().is_none_or(|held| rank < held.rank);
        match slot {
            Slot::Time | Slot::EpochSecond => {
                if kind == Kind::Other {
                    return false;
                }
                let Some(instant) = whole_stamp(text, self.hint) else { return false };
                if better {
                    self.instant = Some(instant);
                }
                better
            }
            Slot::NanoOfSecond => {
                let Ok(nanos) = text.parse::<i64>() else { return false };
                if !(0..1_000_000_000).contains(&nanos) {
                    return false;
                }
                self.nanos = nanos;
                false
            }
            Slot::Level => {
                let level = match kind {
                    Kind::Number => numbered(text),
                    Kind::Text if rank == 8 => mongo(text),
                    Kind::Text => worded(text).or_else(|| numbered(text)),
                    Kind::Other => None,
                };
                let Some(level) = level else { return false };
                if better {
                    self.out.level = level;
                }
                better
            }
            Slot::Duration(unit) => {
                let milliseconds = match kind {
                    Kind::Number if unit > 0.0 => text.parse::<f64>().ok().map(|value| value * unit),
                    Kind::Text if unit > 0.0 => {
                        text.parse::<f64>().ok().map(|value| value * unit).or_else(|| with_unit(text))
                    }
                    Kind::Text => with_unit(text),
                    _ => None,
                };
                let Some(milliseconds) = milliseconds.filter(|value| value.is_finite() && *value >= 0.0)
                else {
                    return false;
                };
                if better {
                    self.out.duration_ms = Some(milliseconds);
                }
                better
            }
            Slot::Logger => better && kind == Kind::Text,
            // Monolog's and GELF's long text is the message again unless it has more lines.
            Slot::Trace if rank >= 4 => better && kind == Kind::Text && (rank == 4 || text.contains('\n')),
            Slot::Trace => better && (kind == Kind::Text || text.starts_with('[')),
            Slot::Message => better && kind != Kind::Other,
            Slot::Request | Slot::User | Slot::Session => better && kind != Kind::Other && text != "-",
        }
    }

    fn hold(&mut self, slot: Slot, rank: u8, name: Cow<'a, str>, text: Cow<'a, str>) {
        let index = self.out.metadata.len();
        if let Some(loser) = self.held[slot.index()].replace(Held { rank, name, text, index }) {
            let name = self.unique(loser.name);
            self.out.metadata.insert(loser.index.min(index), (name, loser.text));
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Cow<'a, str>> {
        self.held[slot.index()].take().map(|held| held.text)
    }

    /// True when no message came.
    pub fn lacks_message(&self) -> bool {
        self.held[Slot::Message.index()].is_none()
    }

    /// True when no level came.
    pub fn lacks_level(&self) -> bool {
        self.held[Slot::Level.index()].is_none()
    }

    /// Takes a time that the text gives outside of its named values, unless those have one.
    pub fn default_time(&mut self, instant: time::Instant) {
        if self.instant.is_none() {
            self.instant = Some(instant);
        }
    }

    /// Takes a level word from outside of the named values, unless those have one.
    pub fn default_level(&mut self, word: &'a str) {
        if self.lacks_level()
            && let Some(level) = worded(word)
        {
            self.out.level = level;
            self.hold(Slot::Level, 9, Cow::Borrowed("level"), Cow::Borrowed(word));
        }
    }

    /// Takes a message from outside of the named values.
    pub fn default_message(&mut self, text: &'a str) {
        self.hold(Slot::Message, 9, Cow::Borrowed("message"), Cow::Borrowed(text));
    }

    /// Puts everything in its place. `fallback` is the message when none of the names gave one.
    pub fn finish(mut self, fallback: &'a str) {
        if let Some(mut instant) = self.instant {
            if self.held[Slot::Time.index()].as_ref().is_some_and(|held| held.name == "instant.epochSecond") {
                instant.at = Timestamp::from_micros(instant.at.micros() + self.nanos / 1000);
            }
            self.out.set_time(instant);
        }
        self.rank_gelf();
        self.rank_caddy();
        let graded = self.held[Slot::Level.index()].take();
        let is_graded = graded.is_some();
        if let Some(held) = graded {
            keep_severity(self.out, held.text);
        }
        self.out.message = match self.take(Slot::Message) {
            Some(text) => text,
            None => {
                if !is_graded {
                    self.level_of_status();
                }
                self.summary().map_or(Cow::Borrowed(fallback), Cow::Owned)
            }
        };
        self.out.logger = self.take(Slot::Logger);
        self.out.request_id = self.take(Slot::Request);
        self.out.user_id = self.take(Slot::User);
        self.out.session_id = self.take(Slot::Session);
        self.out.traceback = self.take(Slot::Trace).map(frames_to_lines);
    }

    /// GELF counts levels as syslog does, and only GELF has a `short_message`.
    fn rank_gelf(&mut self) {
        let gelf = self.held[Slot::Message.index()].as_ref().is_some_and(|held| held.name == "short_message");
        if !gelf {
            return;
        }
        let at = self.out.metadata.iter().position(|(name, text)| name == "level" && text.len() == 1);
        if let Some(index) = at
            && self.lacks_level()
            && let Ok(severity @ 0..=7) = self.out.metadata[index].1.parse::<u8>()
        {
            self.out.level = Level::from_syslog_severity(severity);
            let (_, text) = self.out.metadata.remove(index);
            self.hold(Slot::Level, 9, Cow::Borrowed("level"), text);
        }
    }

    /// Caddy's access log gives the duration as a number of seconds.
    ///
    /// Source: <https://caddyserver.com/docs/caddyfile/directives/log#duration-formats>.
    fn rank_caddy(&mut self) {
        let caddy =
            self.held[Slot::Logger.index()].as_ref().is_some_and(|held| held.text.starts_with("http.log."));
        if !caddy || self.out.duration_ms.is_some() {
            return;
        }
        if let Some(index) = self.out.metadata.iter().position(|(name, _)| name == "duration")
            && let Ok(seconds) = self.out.metadata[index].1.parse::<f64>()
        {
            self.out.duration_ms = Some(seconds * 1000.0);
            self.out.metadata.remove(index);
        }
    }

    fn metadata(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            self.out.metadata.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_ref())
        })
    }

    /// An access log without level: the status says it.
    fn level_of_status(&mut self) {
        if self.metadata(METHOD_NAMES).is_some()
            && let Some(status) = self.metadata(STATUS_NAMES).and_then(|status| status.parse().ok())
        {
            self.out.level = Level::from_http_status(status);
        }
    }

    /// A line for a record without message: the request that it is about, or its error.
    fn summary(&self) -> Option<String> {
        if let Some(method) = self.metadata(METHOD_NAMES)
            && let Some(path) = self.metadata(PATH_NAMES)
        {
            let status = self.metadata(STATUS_NAMES);
            return Some(
                status
                    .map_or_else(|| format!("{method} {path}"), |status| format!("{method} {path} {status}")),
            );
        }
        self.metadata(&["error", "err", "error.message", "err.message", "exception.message"])
            .map(str::to_owned)
    }
}

/// Keeps the source's word for the level where it is not ours.
pub fn keep_severity<'a>(out: &mut Parsed<'a>, word: Cow<'a, str>) {
    if !word.eq_ignore_ascii_case(out.level.name()) {
        push_unique(out, "severity", word);
    }
}

/// Adds to the metadata of a record with few names.
pub fn push_unique<'a>(out: &mut Parsed<'a>, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
    let (mut name, text) = (name.into(), text.into());
    if text.is_empty() {
        return;
    }
    let mut number = 2;
    let first = name.clone();
    while out.metadata.iter().any(|(known, _)| *known == name) {
        name = Cow::Owned(format!("{first}_{number}"));
        number = next_number(number, out.metadata.len());
    }
    out.metadata.push((name, text));
}

/// The number to try after one that is taken: after a few, one that is free almost surely, or a
/// line of one name a thousand times over would cost its square.
fn next_number(number: usize, names: usize) -> usize {
    if number == 8 { names.max(9) } else { number + 1 }
}

const METHOD_NAMES: &[&str] =
    &["method", "request.method", "http.request.method", "req.method", "request_method"];
const PATH_NAMES: &[&str] = &[
    "path",
    "uri",
    "url",
    "request.uri",
    "request.path",
    "url.original",
    "url.path",
    "req.url",
    "request_uri",
    "request",
];
const STATUS_NAMES: &[&str] =
    &["status", "response_code", "status_code", "statusCode", "http.response.status_code", "res.statusCode"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Other,
}

impl Kind {
    const fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(_) => Self::Text,
            Value::Number(_) => Self::Number,
            _ => Self::Other,
        }
    }
}

/// Reads a level word: our own table, single letters and the cut words of consoles.
pub fn worded(word: &str) -> Option<Level> {
    let word = word.trim();
    if let &[letter] = word.as_bytes() {
        return level::from_letter(letter);
    }
    level::from_word(word).or_else(|| {
        const CUT: [(&str, Level); 12] = [
            ("debu", Level::Debug),
            ("erro", Level::Error),
            ("warni", Level::Warning),
            ("fata", Level::Critical),
            ("pani", Level::Critical),
            ("trac", Level::Debug),
            ("wrn", Level::Warning),
            ("dbg", Level::Debug),
            ("inf", Level::Info),
            ("ftl", Level::Critical),
            ("trc", Level::Debug),
            ("notset", Level::Debug),
        ];
        CUT.iter().find(|(cut, _)| cut.eq_ignore_ascii_case(word)).map(|&(_, level)| level)
    })
}

/// A stamp in any spelling that fills the whole value.
fn whole_stamp(text: &str, hint: &TimeHint) -> Option<time::Instant> {
    let text = text.trim();
    if let Some(cut) = time::any(text, hint)
        && cut.rest.is_empty()
    {
        return Some(cut.instant);
    }
    if let Some(cut) = time::iso_named(text, hint)
        // PHP and Go add what says the zone twice: `+0200 CEST`, `Europe/Berlin`, `m=+0.01`.
        && cut.rest.starts_with(' ')
        && cut.rest.len() < 40
    {
        return Some(cut.instant);
    }
    // `1.5e9`: some loggers print floating-point seconds so.
    let exponent = text.len() < 32 && text.bytes().any(|byte| byte | 0x20 == b'e');
    if exponent { text.parse().ok().and_then(time::epoch_number).map(time::Instant::exact) } else { None }
}

/// `MongoDB`: one letter, debug with a digit.
fn mongo(text: &str) -> Option<Level> {
    match text {
        "I" => Some(Level::Info),
        "W" => Some(Level::Warning),
        "E" => Some(Level::Error),
        "F" => Some(Level::Critical),
        "D" | "D1" | "D2" | "D3" | "D4" | "D5" => Some(Level::Debug),
        _ => None,
    }
}

/// Numeric levels of bunyan and pino (10 to 60), Python (the same with 10 for debug) and Monolog
/// (100 to 600). Smaller numbers mean different things in different places and are no level.
fn numbered(text: &str) -> Option<Level> {
    match text.parse::<u32>().ok()? {
        10..30 | 100 => Some(Level::Debug),
        30..40 | 200 | 250 => Some(Level::Info),
        40..50 | 300 => Some(Level::Warning),
        50..60 | 400 => Some(Level::Error),
        60..100 | 500 | 550 | 600 => Some(Level::Critical),
        _ => None,
    }
}

/// Reads `12.3ms`, `1.416µs`, `2.001s`, `1m30s`: milliseconds. Days are not how long one event takes.
pub fn with_unit(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        rest = rest.get(end..)?.trim_start();
        let unit_end = rest.find(|next: char| next.is_ascii_digit() || next == ' ').unwrap_or(rest.len());
        total += number
            * match rest.get(..unit_end)? {
                "ns" => 0.000_001,
                "us" | "µs" | "μs" => 0.001,
                "ms" | "msec" | "millis" | "milliseconds" => 1.0,
                "s" | "sec" | "secs" | "seconds" => 1_000.0,
                "m" | "min" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = rest.get(unit_end..)?.trim_start();
    }
    Some(total)
}
