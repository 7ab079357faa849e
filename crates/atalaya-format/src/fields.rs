//! Gives the named values of structured logs (JSON, logfmt, `key=value` tails) their place in a
//! record.
//!
//! Loggers agree on few names, so a name is compared without case and punctuation (`requestId`,
//! `request_id` and `X-Request-ID` are one) and every field has an order of preference: of
//! `logger` and `caller` the first is the logger, the other stays in the metadata under its own
//! name. A value that does not suit its field (a `ts` of `xxx`) stays in the metadata too, so
//! nothing is lost. Names in the metadata are unique: a second `a` becomes `a_2`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use super::json::scan::{Scan, Value};
use super::{Parsed, TimeHint, ids, postgresql, time};
use atalaya_domain::record::{HOST_FIELD, Level};
use atalaya_domain::time::Timestamp;

mod access;
pub(super) mod durations;
pub(super) mod levels;
pub(super) mod names;
mod operator;
pub(super) mod shape;
mod stamps;
mod table;

#[cfg(test)]
mod tests;

pub use durations::with_unit;
pub use levels::{keep_severity, worded};
pub use names::{KnownNames, NamesError};

use levels::Scale;
use names::{Note, Slot};
use stamps::whole_stamp;

const SLOTS: usize = 9;
const NOTES: usize = 8;

impl Slot {
    const fn index(self) -> usize {
        match self {
            Self::Time | Self::EpochSecond | Self::NanoOfSecond => 0,
            Self::Level(_) => 1,
            Self::Logger => 2,
            Self::Message => 3,
            Self::Request(_) => 4,
            Self::User => 5,
            Self::Session => 6,
            Self::Duration(_) => 7,
            // What is noted is never held.
            Self::Trace | Self::LongText | Self::Noted(_) => 8,
        }
    }
}

impl Note {
    const fn index(self) -> usize {
        match self {
            Self::Status => 0,
            Self::Method => 1,
            Self::Path => 2,
            Self::Stamp => 3,
            Self::Length => 4,
            Self::Severity => 5,
            Self::Spans => 6,
            Self::Host => 7,
        }
    }
}

/// A value in its field, with what is needed to put it back when a better one comes.
#[derive(Debug)]
struct Held<'a> {
    rank: u16,
    name: Cow<'a, str>,
    text: Cow<'a, str>,
    /// Where in the metadata it would have stood.
    index: usize,
    /// It is a part of a value that the metadata has.
    kept: bool,
}

/// Metadata that may help out.
#[derive(Clone, Copy, Debug)]
struct Noted {
    rank: u16,
    /// Where in the metadata it stands; [`Self::NOWHERE`] when there is none.
    index: u32,
}

impl Noted {
    const NOWHERE: u32 = u32::MAX;
    const NONE: Self = Self {
        rank: u16::MAX,
        index: Self::NOWHERE,
    };
}

/// Collects the named values of one record.
#[derive(Debug)]
pub struct Fields<'o, 'a> {
    out: &'o mut Parsed<'a>,
    hint: &'o TimeHint,
    held: [Option<Held<'a>>; SLOTS],
    /// Metadata by what it can help out with.
    noted: [Noted; NOTES],
    instant: Option<time::Instant>,
    nanos: i64,
    /// The time came as whole seconds, to which `nanos` belongs.
    halved: bool,
    /// Names in the metadata, once there are too many to look through one by one.
    names: Option<HashSet<Box<str>>>,
}

impl<'o, 'a> Fields<'o, 'a> {
    pub fn new(out: &'o mut Parsed<'a>, hint: &'o TimeHint) -> Self {
        out.names.next = 0;
        Self {
            out,
            hint,
            held: Default::default(),
            noted: [Noted::NONE; NOTES],
            instant: None,
            nanos: 0,
            halved: false,
            names: None,
        }
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
        let Some(text) = value.into_text() else {
            return;
        };
        match slot {
            Slot::Noted(note) => {
                self.note(note, rank);
                self.extra(name, text);
            }
            Slot::Request(_) | Slot::User | Slot::Session => self.id(slot, rank, kind, name, text),
            _ if self.fits(slot, rank, kind, &text) => self.hold(slot, rank, name, text),
            _ => {
                match slot {
                    Slot::Duration(_) if kind == Kind::Number => self.note(Note::Length, rank),
                    Slot::Time | Slot::Duration(_) => self.note(Note::Stamp, 0),
                    _ => {}
                }
                self.extra(name, text);
            }
        }
    }

    /// An id, out of the notation that its name has; the whole value is kept where it says more.
    fn id(&mut self, slot: Slot, rank: u16, kind: Kind, name: Cow<'a, str>, text: Cow<'a, str>) {
        let shape = if let Slot::Request(shape) = slot {
            shape
        } else {
            shape::Shape::Whole
        };
        // A header is an array of its values, mostly of one.
        let text = if kind == Kind::Other && text.starts_with('[') {
            match Scan::new(&text).texts().as_deref() {
                Some([only]) => Cow::Owned(only.clone().into_owned()),
                _ => return self.extra(name, text),
            }
        } else if kind == Kind::Other {
            return self.extra(name, text);
        } else {
            text
        };
        let better = self.held[slot.index()]
            .as_ref()
            .is_none_or(|held| rank < held.rank);
        if better && shape == shape::Shape::Whole && shape.id(&text).is_some() {
            return self.hold(slot, rank, name, text);
        }
        let found = shape.id(&text).map(|id| {
            let start = id.as_ptr() as usize - text.as_ptr() as usize;
            (start, start + id.len())
        });
        match found {
            Some((start, end)) if better && end - start == text.len() => {
                self.hold(slot, rank, name, text);
            }
            Some((start, end)) if better => {
                let part = match &text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.get(start..end).unwrap_or("")),
                    Cow::Owned(text) => Cow::Owned(text.get(start..end).unwrap_or("").to_owned()),
                };
                self.extra(name.clone(), text);
                self.hold_part(slot, rank, name, part);
            }
            _ => self.extra(name, text),
        }
    }

    /// Ids that only the spans around the record have; they stay in the metadata too.
    fn ids_of_spans(&mut self, at: usize) {
        // Deeper than any name.
        const RANK: u16 = u16::MAX;
        let Some((name, Cow::Borrowed(spans))) = self.out.metadata.get(at).cloned() else {
            return;
        };
        let found = ids::in_text(spans);
        let ids = [
            (Slot::Request(shape::Shape::Whole), found.request_id),
            (Slot::User, found.user_id),
            (Slot::Session, found.session_id),
        ];
        for (slot, id) in ids {
            if let Some(id) = id
                && self.held[slot.index()].is_none()
            {
                self.hold_part(slot, RANK, name.clone(), Cow::Borrowed(id));
            }
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
        let names = self.names.get_or_insert_with(|| {
            metadata
                .iter()
                .map(|(known, _)| Box::from(&**known))
                .collect()
        });
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

    /// Remembers the metadata that comes next.
    fn note(&mut self, note: Note, rank: u16) {
        let noted = &mut self.noted[note.index()];
        if rank < noted.rank {
            // No line has as many members as the last number.
            *noted = Noted {
                rank,
                index: u32::try_from(self.out.metadata.len()).unwrap_or(Noted::NOWHERE),
            };
        }
    }

    fn noted_at(&self, note: Note) -> Option<usize> {
        let index = self.noted[note.index()].index;
        if index == Noted::NOWHERE {
            None
        } else {
            Some(index as usize)
        }
    }

    fn noted_text(&self, note: Note) -> Option<&str> {
        self.out
            .metadata
            .get(self.noted_at(note)?)
            .map(|(_, text)| text.as_ref())
    }

    /// Takes out of the metadata; `index` is one of it.
    fn remove(&mut self, index: usize) -> (Cow<'a, str>, Cow<'a, str>) {
        for noted in self
            .noted
            .iter_mut()
            .filter(|noted| noted.index != Noted::NOWHERE)
        {
            match (noted.index as usize).cmp(&index) {
                Ordering::Less => {}
                Ordering::Equal => *noted = Noted::NONE,
                Ordering::Greater => noted.index -= 1,
            }
        }
        for held in self.held.iter_mut().flatten() {
            held.index -= usize::from(held.index > index);
        }
        self.out.metadata.remove(index)
    }

    fn insert(&mut self, index: usize, name: Cow<'a, str>, text: Cow<'a, str>) {
        for noted in self
            .noted
            .iter_mut()
            .filter(|noted| noted.index != Noted::NOWHERE)
        {
            noted.index += u32::from(noted.index as usize >= index);
        }
        for held in self.held.iter_mut().flatten() {
            held.index += usize::from(held.index > index);
        }
        self.out.metadata.insert(index, (name, text));
    }

    /// Whether the value can be the field's; sets the fields that are not text.
    fn fits(&mut self, slot: Slot, rank: u16, kind: Kind, text: &str) -> bool {
        let better = self.held[slot.index()]
            .as_ref()
            .is_none_or(|held| rank < held.rank);
        match slot {
            Slot::Time | Slot::EpochSecond => {
                if kind == Kind::Other {
                    return false;
                }
                let Some(instant) = whole_stamp(text, self.hint) else {
                    return false;
                };
                if better {
                    self.instant = Some(instant);
                    self.halved = slot == Slot::EpochSecond;
                }
                better
            }
            Slot::NanoOfSecond => {
                let Ok(nanos) = text.parse::<i64>() else {
                    return false;
                };
                if !(0..1_000_000_000).contains(&nanos) {
                    return false;
                }
                self.nanos = nanos;
                false
            }
            Slot::Level(scale) => {
                let level = match kind {
                    Kind::Number => scale.number(text),
                    Kind::Text => scale.word(text),
                    Kind::Other => None,
                };
                let Some(level) = level else { return false };
                if better {
                    self.out.level = level;
                }
                better
            }
            Slot::Duration(unit) => {
                let Some(milliseconds) = duration(unit, kind, text) else {
                    return false;
                };
                if better {
                    self.out.duration_ms = Some(milliseconds);
                }
                better
            }
            Slot::Logger => better && kind == Kind::Text,
            Slot::LongText => better && kind == Kind::Text && text.contains('\n'),
            // Go's `exception` and `errorVerbose` are text; the others may be arrays of lines.
            Slot::Trace if rank % 32 == 4 => better && kind == Kind::Text,
            Slot::Trace => better && (kind == Kind::Text || text.starts_with('[')),
            Slot::Message => better && kind != Kind::Other,
            Slot::Request(_) | Slot::User | Slot::Session | Slot::Noted(_) => false,
        }
    }

    fn hold(&mut self, slot: Slot, rank: u16, name: Cow<'a, str>, text: Cow<'a, str>) {
        let index = self.out.metadata.len();
        self.replace(
            slot,
            Held {
                rank,
                name,
                text,
                index,
                kept: false,
            },
        );
    }

    fn hold_part(&mut self, slot: Slot, rank: u16, name: Cow<'a, str>, text: Cow<'a, str>) {
        let index = self.out.metadata.len();
        self.replace(
            slot,
            Held {
                rank,
                name,
                text,
                index,
                kept: true,
            },
        );
    }

    #[inline]
    fn replace(&mut self, slot: Slot, held: Held<'a>) {
        let index = held.index;
        let place = &mut self.held[slot.index()];
        if place.is_none() {
            *place = Some(held);
            return;
        }
        if let Some(loser) = place.replace(held)
            && !loser.kept
        {
            let name = self.unique(loser.name);
            self.insert(loser.index.min(index), name, loser.text);
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Cow<'a, str>> {
        self.held[slot.index()].take().map(|held| held.text)
    }

    /// Loguru writes its whole line as `text` beside the record that it is made of.
    fn prefer_raw_message(&mut self) {
        let slot = Slot::Message.index();
        if self.held[slot]
            .as_ref()
            .is_none_or(|held| held.name != "text")
        {
            return;
        }
        let known = |(name, _): &(Cow<'a, str>, _)| name == "record.message";
        if let Some(at) = self.out.metadata.iter().position(known)
            && let Some(whole) = self.held[slot].take()
        {
            let (name, text) = self.remove(at);
            self.extra(whole.name, whole.text);
            self.hold(Slot::Message, 0, name, text);
        }
    }

    /// True when no message came.
    pub fn lacks_message(&self) -> bool {
        self.held[Slot::Message.index()].is_none()
    }

    /// True when no level came.
    pub fn lacks_level(&self) -> bool {
        self.held[Slot::Level(Scale::Usual).index()].is_none()
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
            self.hold(
                Slot::Level(Scale::Usual),
                9,
                Cow::Borrowed("level"),
                Cow::Borrowed(word),
            );
        }
    }

    /// Takes a message from outside of the named values.
    pub fn default_message(&mut self, text: &'a str) {
        self.hold(
            Slot::Message,
            9,
            Cow::Borrowed("message"),
            Cow::Borrowed(text),
        );
    }

    /// Puts everything in its place. `fallback` is the message when none of the names gave one.
    /// False when nothing said a level.
    pub fn finish(mut self, fallback: &'a str) -> bool {
        let operated = self.noted_at(Note::Severity).is_some();
        if operated {
            self.unwrap_operator();
        }
        if self.instant.is_none()
            && self.out.timestamp.is_none()
            && self.noted_at(Note::Stamp).is_some()
        {
            self.find_time();
        }
        if let Some(mut instant) = self.instant {
            if self.halved {
                instant.at = Timestamp::from_micros(instant.at.micros() + self.nanos / 1000);
            }
            self.out.set_time(instant);
        }
        if let Some(at) = self.noted_at(Note::Spans) {
            self.ids_of_spans(at);
        }
        if let Some(at) = self.noted_at(Note::Host)
            && !self.is_taken(HOST_FIELD)
            && let Some((_, host)) = self.out.metadata.get(at)
        {
            let host = host.clone();
            self.extra(HOST_FIELD.into(), host);
        }
        let raised = self.grade();
        if self.out.duration_ms.is_none() {
            self.measure();
        }
        let held = self.held[Slot::Level(Scale::Usual).index()].take();
        let graded = held.is_some() || self.out.level != Level::default();
        if let Some(held) = held {
            if raised {
                // The word is not another name of the level that the status gave.
                self.extra(held.name, held.text);
            } else {
                keep_severity(self.out, held.text);
            }
        }
        self.prefer_raw_message();
        let message = match self.take(Slot::Message) {
            Some(text) => text,
            None => match self.summary() {
                Some(text) => {
                    // A stranger's request.
                    self.out.typed |= self.noted_at(Note::Path).is_some();
                    Cow::Owned(text)
                }
                None => self.buried().unwrap_or(Cow::Borrowed(fallback)),
            },
        };
        self.out.logger = self.take(Slot::Logger);
        self.out.request_id = self.take(Slot::Request(shape::Shape::Whole));
        self.out.user_id = self.take(Slot::User);
        self.out.session_id = self.take(Slot::Session);
        self.out.traceback = self.take(Slot::Trace).map(frames_to_lines);
        if operated {
            // PostgreSQL's messages have a duration and a statement of their own.
            let told = (self.out.duration_ms, self.out.request_id.take());
            postgresql::read_message(message, self.out);
            self.out.duration_ms = self.out.duration_ms.or(told.0);
            self.out.request_id = self.out.request_id.take().or(told.1);
        } else {
            self.out.message = message;
        }
        graded
    }
}

/// Milliseconds, where the value says how long in the unit of its name or its own.
fn duration(unit: f64, kind: Kind, text: &str) -> Option<f64> {
    let milliseconds = match kind {
        Kind::Number if unit > 0.0 => durations::milliseconds(text.parse().ok()?, unit),
        Kind::Text if unit > 0.0 => text
            .parse::<f64>()
            .ok()
            .map(|value| durations::milliseconds(value, unit))
            .or_else(|| durations::any(text))?,
        Kind::Text => durations::any(text)?,
        _ => return None,
    };
    // Nothing lasts for decades: such a number is a moment.
    (milliseconds.is_finite() && (0.0..1e12).contains(&milliseconds)).then_some(milliseconds)
}

/// A stack trace that is an array of its lines (Elasticsearch), as text; anything else as it is.
fn frames_to_lines(trace: Cow<'_, str>) -> Cow<'_, str> {
    if !trace.starts_with('[') {
        return trace;
    }
    match Scan::new(&trace).texts() {
        Some(lines) => Cow::Owned(lines.join("\n")),
        None => trace,
    }
}

/// Adds to the metadata of a record with few names.
pub fn push_unique<'a>(
    out: &mut Parsed<'a>,
    name: impl Into<Cow<'a, str>>,
    text: impl Into<Cow<'a, str>>,
) {
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

/// Sets the logger that a header names; one that named values gave is kept beside it.
pub fn set_logger<'a>(out: &mut Parsed<'a>, logger: &'a str) {
    if let Some(other) = out.logger.replace(logger.into())
        && other != logger
    {
        push_unique(out, "logger", other);
    }
}

/// The number to try after one that is taken: after a few, one that is free almost surely, or a
/// line of one name a thousand times over would cost its square.
fn next_number(number: usize, names: usize) -> usize {
    if number == 8 {
        names.max(9)
    } else {
        number + 1
    }
}

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
