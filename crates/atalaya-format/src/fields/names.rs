//! What a name stands for.
//!
//! Names are compared without case and punctuation. Of a dotted name the last part decides, or
//! the last two (`attributes.user.id`): ids and durations with a unit wherever they stand, words
//! as common as `level` only below the names of envelopes, which hold a record or what hangs on
//! it. What is nested ranks behind what is not.

use std::cell::RefCell;
use std::sync::OnceLock;

use super::levels::Scale;
use super::shape::Shape;
use super::table::direct;
use atalaya_domain::record::Text;

/// A field of the record that a name can stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slot {
    Time,
    /// `instant.epochSecond` and `instant.nanoOfSecond` of Log4j are two halves of one time.
    EpochSecond,
    NanoOfSecond,
    Level(Scale),
    Logger,
    Message,
    /// With how the id stands in the value.
    Request(Shape),
    User,
    Session,
    /// With the number of milliseconds in one unit of the value; 0 when the value names its unit.
    Duration(f64),
    Trace,
    /// A trace where it has several lines, else the message once more (GELF).
    LongText,
    /// Metadata, to which a record may come back that lacks something.
    Noted(Note),
}

/// What metadata can help out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// HTTP status, or a word for how it went.
    Status,
    Method,
    Path,
    /// A name that has to do with time.
    Stamp,
    /// A number without unit, of a duration.
    Length,
    /// The machine that the record comes from.
    Host,
    /// The severity of a record inside of an operator's envelope.
    Severity,
    /// An array of objects that the record stands in: the spans of Rust's tracing, the scopes of
    /// .NET's console.
    Spans,
}

/// What a name stands for, and how it is preferred to other names of the same (0 is best).
pub(crate) type Found = (Slot, u16);

/// Names of more parts are as deep as this.
const DEEPEST: u16 = 15;
/// Ranks between the depths; those at the top are smaller.
const DEPTH_STEP: u16 = 32;
/// Ids are preferred by their kind first: a nested request id tells more than a trace id.
pub(super) const ID_STEP: u16 = 16;

pub(super) const LONGEST: usize = 32;

/// The name without case and punctuation, as far as names of fields are long.
pub(crate) fn folded<'b>(name: &str, buffer: &'b mut [u8; LONGEST]) -> Option<&'b str> {
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

pub(crate) fn slot_of(name: &str) -> Option<Found> {
    if let Some(slot) = configured(name) {
        return Some((slot, 3 * ID_STEP));
    }
    let depth = memchr::memchr_iter(b'.', name.as_bytes())
        .take(usize::from(DEEPEST))
        .count() as u16;
    if let Some((slot, rank)) = direct(name) {
        return Some((slot, deeper(slot, rank, depth)));
    }
    if depth > 0
        && let Some(found) = nested(name, depth)
    {
        return Some(found);
    }
    let mut buffer = [0; LONGEST];
    match folded(name, &mut buffer) {
        Some(key) if is_timely(key) => Some((Slot::Noted(Note::Stamp), 0)),
        Some(_) => None,
        None => (name.len() < 100 && name.ends_with("request_id"))
            .then_some((Slot::Request(Shape::Whole), 2 * ID_STEP + depth)),
    }
}

fn deeper(slot: Slot, rank: u16, depth: u16) -> u16 {
    match slot {
        Slot::Request(_) | Slot::User | Slot::Session => rank + depth,
        _ => rank + depth * DEPTH_STEP,
    }
}

/// The last two parts of a dotted name, else the last one, where what is before them allows it.
fn nested(name: &str, depth: u16) -> Option<Found> {
    let (before, last) = name.rsplit_once('.')?;
    if let Some((outer, middle)) = before.rsplit_once('.')
        && let Some(two) = name.get(name.len() - middle.len() - 1 - last.len()..)
        && let Some((slot, rank)) = direct(two)
        && is_allowed(slot, outer, two)
    {
        return Some((slot, deeper(slot, rank, depth)));
    }
    let (slot, rank) = match direct(last)? {
        // PostgreSQL's name: the record is that of a server, inside of its operator's.
        _ if last.eq_ignore_ascii_case("error_severity") => (Slot::Noted(Note::Severity), 0),
        found => found,
    };
    is_allowed(slot, before, last).then(|| (slot, deeper(slot, rank, depth)))
}

fn is_allowed(slot: Slot, outer: &str, name: &str) -> bool {
    let all = |test: fn(&str) -> bool| outer.split('.').all(|part| with_folded(part, test));
    match slot {
        // Another request's ids are not those of this one.
        Slot::Request(_) | Slot::User | Slot::Session => {
            all(|part| !matches!(part, "parent" | "links" | "link" | "cause" | "previous"))
        }
        Slot::Duration(unit) if unit > 0.0 => true,
        Slot::Duration(_) => all(|part| is_envelope(part) || is_exchange(part)),
        Slot::Noted(Note::Stamp | Note::Length) => true,
        Slot::Noted(_) => all(|part| is_envelope(part) || is_exchange(part)),
        Slot::Trace => all(|part| is_envelope(part) || is_fault(part)),
        Slot::Time | Slot::EpochSecond | Slot::NanoOfSecond => {
            all(|part| is_envelope(part) || part == "request")
        }
        Slot::Level(_) | Slot::Logger | Slot::Message | Slot::LongText => {
            all(is_envelope) && with_folded(name, nests)
        }
    }
}

fn with_folded(part: &str, test: fn(&str) -> bool) -> bool {
    let mut buffer = [0; LONGEST];
    folded(part, &mut buffer).is_some_and(test)
}

/// Objects that hold a record, or what its logger hangs on it.
fn is_envelope(part: &str) -> bool {
    matches!(
        part,
        "fields"
            | "record"
            | "logrecord"
            | "extra"
            | "extras"
            | "extrafields"
            | "mdc"
            | "context"
            | "contextmap"
            | "contextdata"
            | "ctx"
            | "log"
            | "logs"
            | "logevent"
            | "logprocessed"
            | "meta"
            | "metadata"
            | "data"
            | "attributes"
            | "attrs"
            | "attr"
            | "labels"
            | "tags"
            | "payload"
            | "jsonpayload"
            | "body"
            | "event"
            | "entry"
            | "message"
            | "msg"
            | "properties"
            | "props"
            | "params"
            | "detail"
            | "details"
            | "info"
            | "span"
            | "source"
            | "custom"
            | "scope"
            | "syslog"
            | "json"
            | "result"
    )
}

/// Objects that describe a request and its answer.
fn is_exchange(part: &str) -> bool {
    matches!(
        part,
        "http"
            | "httprequest"
            | "request"
            | "req"
            | "response"
            | "res"
            | "resp"
            | "headers"
            | "timing"
            | "timings"
            | "perf"
            | "performance"
            | "metrics"
            | "latencies"
            | "access"
    )
}

fn is_fault(part: &str) -> bool {
    matches!(
        part,
        "error" | "err" | "exception" | "exc" | "thrown" | "fault" | "failure"
    )
}

/// Common names that say in an envelope what they say at the top; `name` or `text` do not.
fn nests(key: &str) -> bool {
    matches!(
        key,
        "level"
            | "lvl"
            | "loglevel"
            | "levelname"
            | "leveltext"
            | "severity"
            | "severitytext"
            | "severityname"
            | "severitycode"
            | "severitynumber"
            | "syslogseverity"
            | "levelvalue"
            | "levelno"
            | "logger"
            | "loggername"
            | "loglogger"
            | "sourcecontext"
            | "channel"
            | "message"
            | "msg"
            | "logmessage"
            | "shortmessage"
            | "fullmessage"
            | "renderedmessage"
            | "textpayload"
    )
}

/// Whether the name has to do with a moment, and no other than that of the record.
pub(super) fn is_timely(key: &str) -> bool {
    const OTHER: [&str; 15] = [
        "uptime",
        "timeout",
        "lifetime",
        "runtime",
        "expir",
        "birth",
        "last",
        "next",
        "until",
        "deadline",
        "valid",
        "modif",
        "schedul",
        "updat",
        "candidate",
    ];
    if !key
        .as_bytes()
        .windows(4)
        .any(|window| matches!(window, b"time" | b"date" | b"stam"))
    {
        return false;
    }
    !OTHER.iter().any(|other| key.contains(other))
}

/// Names that the configuration gives to the ids.
#[derive(Debug, Default)]
struct Configured {
    request: Vec<String>,
    user: Vec<String>,
    session: Vec<String>,
}

static CONFIGURED: OnceLock<Configured> = OnceLock::new();

/// Why names of ids are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    #[error("`{name}` is no name of an id: 1 to 32 letters, digits and `_ - .`")]
    NoName { name: String },
    #[error("the names of ids have been set before")]
    SetTwice,
}

/// Adds names of ids; once, before any file is read.
pub(crate) fn configure(
    request: &[String],
    user: &[String],
    session: &[String],
) -> Result<(), NamesError> {
    let keys = |names: &[String]| -> Result<Vec<String>, NamesError> {
        names
            .iter()
            .map(|name| {
                let sound = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
                folded(name, &mut [0; LONGEST])
                    .filter(|key| sound && !key.is_empty())
                    .map(str::to_owned)
                    .ok_or_else(|| NamesError::NoName { name: name.clone() })
            })
            .collect()
    };
    let names = Configured {
        request: keys(request)?,
        user: keys(user)?,
        session: keys(session)?,
    };
    CONFIGURED.set(names).map_err(|_| NamesError::SetTwice)
}

/// Whether the configuration adds names.
pub(crate) fn has_configured() -> bool {
    CONFIGURED.get().is_some_and(|names| {
        !(names.request.is_empty() && names.user.is_empty() && names.session.is_empty())
    })
}

fn configured(name: &str) -> Option<Slot> {
    let names = CONFIGURED.get().filter(|_| has_configured())?;
    let mut buffer = [0; LONGEST];
    let key = folded(name, &mut buffer)?;
    let mut last = [0; LONGEST];
    let last = folded(name.rsplit('.').next()?, &mut last)?;
    let any = |known: &[String]| known.iter().any(|known| known == key || known == last);
    if any(&names.request) {
        Some(Slot::Request(Shape::Whole))
    } else if any(&names.user) {
        Some(Slot::User)
    } else if any(&names.session) {
        Some(Slot::Session)
    } else {
        None
    }
}

/// What the names of the last record stand for, by their place in it: a program's lines mostly have
/// the same names in the same order, and comparing one is a fifth of the work of looking it up.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    known: Vec<(Text, Option<Found>)>,
    pub(super) next: usize,
}

/// It is no part of a record.
impl PartialEq for KnownNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl KnownNames {
    const MOST: usize = 64;
    /// Longer names are not copied.
    const LONGEST: usize = 64;

    #[inline]
    pub(super) fn slot_of(&mut self, name: &str) -> Option<Found> {
        let place = self.next;
        self.next += 1;
        match self.known.get(place) {
            Some((known, slot)) if known == name => *slot,
            _ => self.learn(place, name),
        }
    }

    #[inline(never)]
    fn learn(&mut self, place: usize, name: &str) -> Option<Found> {
        if name.len() > Self::LONGEST {
            return slot_of(name);
        }
        let slot = recall(name);
        if let Some(known) = self.known.get_mut(place) {
            *known = (name.into(), slot);
        } else if place < Self::MOST && self.known.len() == place {
            self.known.push((name.into(), slot));
        }
        slot
    }
}

/// Names seen before by this thread, at the place that their hash gives them: programs that write
/// records of many shapes have the same names in other places.
const RECALLED: usize = 512;

thread_local! {
    static SEEN: RefCell<Vec<(Text, Option<Found>)>> = const { RefCell::new(Vec::new()) };
}

fn recall(name: &str) -> Option<Found> {
    SEEN.with(|seen| {
        let Ok(mut seen) = seen.try_borrow_mut() else {
            return slot_of(name);
        };
        if seen.is_empty() {
            seen.resize(RECALLED, (Text::default(), None));
        }
        let Some(entry) = seen.get_mut(hash(name) % RECALLED) else {
            return slot_of(name);
        };
        if entry.0 != name {
            *entry = (name.into(), slot_of(name));
        }
        entry.1
    })
}

/// Spreads names over a table; nothing but speed depends on it.
fn hash(name: &str) -> usize {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let mut hash = name.len() as u64;
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    let mut last = 0;
    for &byte in rest {
        last = last << 8 | u64::from(byte);
    }
    hash = (hash.rotate_left(5) ^ last).wrapping_mul(FACTOR);
    (hash >> 32) as usize
}
