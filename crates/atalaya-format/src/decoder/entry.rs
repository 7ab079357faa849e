//! From what a format read, and what its envelopes say, to an entry.

use std::borrow::Cow;

use atalaya_domain::record::{
    Entry, Level, Metadata, PARSE_ERROR_FIELD, RequestId, TRUNCATED_BYTES_FIELD, Text,
};
use atalaya_domain::time::Timestamp;

use super::super::{
    ENVELOPE_TIME_FIELD, ESCAPED_BYTES_FIELD, Envelope, FormatMismatch, FormatSpec, HEADER_FIELD,
    INNER_TIME_FIELD, Inside, LINE_HASH_FIELD, Lines, Parsed, SPLIT_FIELD, TIME_SOURCE_FIELD,
    escape, fields, ids, level, plain, registry, says_nothing, time, trace,
};
use super::held::Held;
use super::look::Look;
use super::{Choice, Context, MAX_ENVELOPES, Shape, ansi};

/// What an envelope said, inside of the one before it.
pub struct Facts<'p> {
    pub parsed: &'p Parsed<'p>,
    pub inside: Inside,
    pub envelope: &'static dyn Envelope,
    pub parent: Option<&'p Facts<'p>>,
}

impl Facts<'_> {
    /// The stream within all envelopes; never 0, which is text without any.
    pub fn stream(&self) -> u64 {
        let outer = self.parent.map_or(0x9e37_79b9_7f4a_7c15, Facts::stream);
        (outer.rotate_left(5) ^ self.inside.stream).wrapping_mul(0x2545_f491_4f6c_dd1d) | 1
    }

    pub fn outermost(&self) -> &Self {
        self.parent.map_or(self, Facts::outermost)
    }
}

impl Context {
    /// Reads a complete record. Its envelopes are opened once more: a record of several lines is rare,
    /// and keeping what they said would cost every line.
    pub(super) fn made(&mut self, held: &Held, choice: Choice) -> Entry {
        if held.raw.is_empty() {
            return self.whole(held, None, choice, None);
        }
        self.reopened(held, &held.raw, None, 0, choice)
    }

    fn reopened(
        &mut self,
        held: &Held,
        text: &str,
        facts: Option<&Facts<'_>>,
        depth: usize,
        choice: Choice,
    ) -> Entry {
        if depth < MAX_ENVELOPES {
            for &envelope in registry::envelopes_of(text) {
                if !choice.allows(envelope, depth) {
                    continue;
                }
                let mut outer = Parsed::default();
                if let Ok(inside) = envelope.open(text, &self.hint, &mut outer) {
                    let text = ansi::without_colours(std::mem::take(&mut outer.message));
                    let facts = Facts {
                        parsed: &outer,
                        inside,
                        envelope,
                        parent: facts,
                    };
                    return self.reopened(held, &text, Some(&facts), depth + 1, choice);
                }
            }
        }
        self.whole(held, facts, choice, None)
    }

    /// Reads a complete record of one or more lines.
    /// `look` has been at the same text.
    pub(super) fn whole(
        &mut self,
        held: &Held,
        facts: Option<&Facts<'_>>,
        choice: Choice,
        look: Option<&Look<'_>>,
    ) -> Entry {
        let text = held.text.as_str();
        self.had_stamp = false;
        let mut parsed: Parsed<'_> = std::mem::take(&mut self.spare);
        let mut error = None;
        let mut spec = &plain::SPEC;
        if held.marks.split == Some("continues") {
            parsed.message = text.into();
            parsed.level = held.level.unwrap_or_else(|| level::guess(text));
        } else if let Some(format) = held.format {
            spec = format.spec();
            if let Err(mismatch) = format.parse_under(&self.header, text, &self.hint, &mut parsed) {
                // Its first line was read, or looked like one for sure: the text stays whole.
                error = Some(mismatch);
                parsed = parsed.recycle();
                plain::read(text, &self.hint, &mut parsed);
            }
        } else {
            if let Some(facts) = facts {
                spec = facts.envelope.spec();
            }
            error = unread(choice, facts.is_some(), text, &self.hint);
            if error.is_some() {
                parsed.level = level::guess(text);
                parsed.message = text.into();
                parsed.timestamp = None;
            } else {
                let found = match look {
                    Some(look) => look.stamp(&self.hint),
                    None => time::find(text, &self.hint),
                };
                plain::read_with(text, found, &mut parsed);
                self.had_stamp = parsed.timestamp.is_some();
                if facts.is_some_and(Facts::has_time) {
                    // The envelope's stamp leads; one in the text is a part of the text.
                    parsed.message = text.into();
                    parsed.guessed = true;
                    if !parsed.zoned {
                        parsed.timestamp = None;
                        parsed.day_missing = false;
                        parsed.metadata.clear();
                    }
                }
                if spec.lines == Lines::Trace && parsed.message.len() == text.len() {
                    take_level(text, &mut parsed);
                }
            }
        }
        self.entry(parsed, facts, spec, held, error.as_ref())
    }

    /// Makes an entry of what was read and what the envelopes say.
    pub(super) fn entry<'a>(
        &mut self,
        mut parsed: Parsed<'a>,
        facts: Option<&'a Facts<'a>>,
        spec: &FormatSpec,
        held: &'a Held,
        error: Option<&FormatMismatch>,
    ) -> Entry {
        let marks = &held.marks;
        if spec.traces && parsed.traceback.is_none() {
            split_trace(&mut parsed);
        }
        let typed = parsed.typed || facts.is_some_and(Facts::typed);
        let mut notes = Notes::default();
        let mut next = facts;
        while let Some(facts) = next {
            add_envelope(&mut parsed, facts, &mut notes);
            next = facts.parent;
        }
        if parsed.ungraded && !parsed.guessed {
            parsed.level = parsed.level.max(level::guess(&parsed.message));
        }
        for (name, value) in &held.more {
            fields::push_unique(&mut parsed, name.as_str(), value.as_str());
        }
        let named = if spec.named_ids && !typed {
            ids::in_text(&parsed.message)
        } else {
            ids::Found::default()
        };
        let (timestamp, time_source) = self.time_of(&parsed);
        if parsed.timestamp.is_some() {
            self.stamp = Some(timestamp);
        }
        let escaped = marks.escaped || parsed.carried || facts.is_some_and(Facts::carried);
        let text_of = |value: &str| -> Text {
            if escaped {
                escape::escape(value).into()
            } else {
                value.into()
            }
        };
        let mut metadata: Metadata = Vec::with_capacity(parsed.metadata.len() + 2);
        let mut seen = 0;
        for (index, (name, value)) in parsed.metadata.iter().enumerate() {
            // Names of one record are few: looking back, where it must be, is cheaper than a set.
            let mark = mark_of(name);
            let known = seen & mark != 0
                && parsed
                    .metadata
                    .iter()
                    .take(index)
                    .any(|(known, _)| known == name);
            seen |= mark;
            if !known {
                metadata.push((text_of(name), text_of(value)));
            }
        }
        for (name, value) in &named.others {
            if !metadata.iter().any(|(known, _)| **known == **name) {
                metadata.push((text_of(name), text_of(value)));
            }
        }
        let mut note = |name: &str, value: &str| {
            metadata.retain(|(known, _)| &**known != name);
            metadata.push((name.into(), value.into()));
        };
        if let Some(error) = error {
            note(PARSE_ERROR_FIELD, &error.to_string());
        }
        if let Some(source) = time_source {
            note(TIME_SOURCE_FIELD, source);
        }
        if let Some((name, at)) = notes.other_time {
            note(name, &at.to_rfc3339());
        }
        if escaped {
            note(ESCAPED_BYTES_FIELD, "true");
        }
        if !marks.hashes.is_empty() {
            note(TRUNCATED_BYTES_FIELD, &marks.truncated_bytes.to_string());
            note(LINE_HASH_FIELD, &marks.hashes);
        }
        if let Some(split) = marks.split {
            note(SPLIT_FIELD, split);
        }
        if !held.header.is_empty() {
            note(HEADER_FIELD, &held.header);
        }
        let optional = |value: Option<&str>| -> Option<Text> {
            value.filter(|value| !says_nothing(value)).map(text_of)
        };
        let entry = Entry {
            timestamp,
            position: held.position,
            level: parsed.level,
            logger: optional(parsed.logger.as_deref()),
            message: text_of(&parsed.message),
            request_id: optional(parsed.request_id.as_deref().or(named.request_id))
                .map(RequestId::new),
            user_id: optional(parsed.user_id.as_deref().or(named.user_id)),
            session_id: optional(parsed.session_id.as_deref().or(named.session_id)),
            duration_ms: parsed.duration_ms.or(named.duration_ms),
            traceback: parsed
                .traceback
                .as_deref()
                .filter(|trace| !trace.is_empty())
                .map(text_of),
            metadata,
        };
        self.spare = parsed.recycle();
        entry
    }

    /// The time of a record, and where it comes from when not from its own stamp alone.
    fn time_of(&self, parsed: &Parsed<'_>) -> (Timestamp, Option<&'static str>) {
        const HOUR: i64 = 3_600_000_000;
        const DAY: i64 = 24 * HOUR;
        // Threads write a little out of order; more than this is the hour's second time.
        const DISORDER: i64 = HOUR / 6;
        match (parsed.timestamp, self.stamp) {
            (Some(at), Some(previous)) if parsed.day_missing => {
                // The next instant of this time of day after the record before, which lies at midnight
                // or later. Up to an hour back is disorder between threads, or a clock put back.
                let ahead = (at.micros() - previous.micros() + HOUR).rem_euclid(DAY) - HOUR;
                (
                    Timestamp::from_micros(previous.micros() + ahead),
                    Some("date"),
                )
            }
            (Some(at), _) if parsed.day_missing => (at, Some("date")),
            (Some(at), Some(previous)) => match parsed.second {
                Some(second)
                    if previous.micros() - at.micros() > DISORDER && second >= previous =>
                {
                    (second, None)
                }
                _ => (at, None),
            },
            (Some(at), None) => (at, None),
            (None, Some(previous)) => (previous, Some("previous")),
            (None, None) => (self.hint.reference, Some(self.reference_is.name())),
        }
    }
}

/// One of 64 bits for a name: names with different ones differ.
fn mark_of(name: &str) -> u64 {
    let (first, last) = match name.as_bytes() {
        [first, .., last] => (*first, *last),
        _ => (0, 0),
    };
    1 << ((name.len() + 5 * usize::from(first) + 11 * usize::from(last)) % 64)
}

/// What is told beside the fields.
#[derive(Default)]
struct Notes {
    other_time: Option<(&'static str, Timestamp)>,
}

impl Facts<'_> {
    fn has_time(&self) -> bool {
        self.parsed.timestamp.is_some() || self.parent.is_some_and(Facts::has_time)
    }

    fn typed(&self) -> bool {
        self.parsed.typed || self.parent.is_some_and(Facts::typed)
    }

    fn carried(&self) -> bool {
        self.parsed.carried || self.parent.is_some_and(Facts::carried)
    }
}

/// Adds what an envelope says to what was read inside of it.
fn add_envelope<'a>(parsed: &mut Parsed<'a>, facts: &'a Facts<'_>, notes: &mut Notes) {
    let outer = facts.parsed;
    add_time(parsed, outer, notes);
    if parsed.ungraded && facts.inside.graded {
        // `info` is also what everything on stdout gets: a level with which the text begins says more.
        parsed.level = if outer.level > Level::Info {
            parsed.level.max(outer.level)
        } else {
            level::at_start(&parsed.message)
                .map_or(outer.level, |(level, _)| level.max(outer.level))
        };
        parsed.ungraded = false;
    }
    let own = |value: &'a Option<Cow<'_, str>>| value.as_deref().map(Cow::Borrowed);
    let mut metadata: Vec<(Cow<'a, str>, Cow<'a, str>)> = outer
        .metadata
        .iter()
        .map(|(name, value)| (Cow::Borrowed(name.as_ref()), Cow::Borrowed(value.as_ref())))
        .collect();
    std::mem::swap(&mut metadata, &mut parsed.metadata);
    for (name, value) in metadata {
        let known = parsed
            .metadata
            .iter()
            .any(|(outer, text)| *outer == name && *text == value);
        if !known {
            fields::push_unique(parsed, name, value);
        }
    }
    match (&parsed.logger, own(&outer.logger)) {
        (None, program) => parsed.logger = program,
        (Some(logger), Some(program)) if *logger != program => {
            fields::push_unique(parsed, "program", program);
        }
        _ => {}
    }
    parsed.request_id = parsed.request_id.take().or(own(&outer.request_id));
    parsed.user_id = parsed.user_id.take().or(own(&outer.user_id));
    parsed.session_id = parsed.session_id.take().or(own(&outer.session_id));
    parsed.duration_ms = parsed.duration_ms.or(outer.duration_ms);
}

/// The stamp inside counts when it names its zone, or the envelope's does not; one without zone also
/// when the envelope confirms its zone and is only the coarser of the two. The other is kept.
fn add_time(parsed: &mut Parsed<'_>, outer: &Parsed<'_>, notes: &mut Notes) {
    const COARSE: i64 = 1_000_000;
    const MILLISECOND: i64 = 1_000;
    let Some(envelope) = outer.timestamp else {
        return;
    };
    let Some(inner) = parsed.timestamp else {
        parsed.timestamp = Some(envelope);
        (parsed.zoned, parsed.second) = (outer.zoned, outer.second);
        return;
    };
    let confirmed = (0..COARSE).contains(&(inner.micros() - envelope.micros()));
    // The same instant, which the envelope tells to the microsecond.
    let finer = (0..MILLISECOND).contains(&(envelope.micros() - inner.micros()));
    if !parsed.day_missing && !finer && (parsed.zoned || !outer.zoned || confirmed) {
        if inner != envelope {
            notes.other_time = Some((ENVELOPE_TIME_FIELD, envelope));
        }
        return;
    }
    if inner != envelope && !parsed.day_missing && !finer {
        notes.other_time = Some((INNER_TIME_FIELD, inner));
    }
    parsed.timestamp = Some(envelope);
    parsed.day_missing = false;
    (parsed.zoned, parsed.second) = (outer.zoned, outer.second);
}

/// Why the one format that a file is to be read by does not read a line.
fn unread(
    choice: Choice,
    wrapped: bool,
    text: &str,
    hint: &super::TimeHint,
) -> Option<FormatMismatch> {
    match choice {
        Choice::Only(Shape::Format(format)) => {
            let mut scratch = Parsed::default();
            Some(match format.parse(text, hint, &mut scratch) {
                Err(mismatch) => mismatch,
                Ok(()) => format.mismatch("no record begins so"),
            })
        }
        Choice::Only(Shape::Envelope(envelope)) if !wrapped => {
            envelope.open(text, hint, &mut Parsed::default()).err()
        }
        _ => None,
    }
}

/// A level at the start of what a container wrote stands where a file has it behind a stamp. (A daemon's
/// message that begins with such a word is whole: `fatal: no route`.)
fn take_level<'a>(text: &'a str, parsed: &mut Parsed<'a>) {
    const PROSE: [&str; 7] = [
        "log", "note", "system", "config", "success", "stats", "fine",
    ];
    let Some((level, rest)) = level::at_start(text) else {
        return;
    };
    let used = text.len() - rest.len();
    let word = text
        .get(..used)
        .unwrap_or("")
        .trim_matches(|c: char| !c.is_alphanumeric());
    if rest.trim_ascii().is_empty() || PROSE.contains(&word) {
        return;
    }
    parsed.level = level;
    parsed.ungraded = false;
    parsed.message = rest.trim_ascii_start().into();
    if word != level.name() {
        fields::push_unique(parsed, "severity", word);
    }
}

/// Moves a stack trace at the end of the message to `traceback`.
fn split_trace(parsed: &mut Parsed<'_>) {
    let Some(at) = trace::begin(&parsed.message) else {
        return;
    };
    parsed.guessed = false;
    // Blank lines between the two are neither's.
    let end = parsed
        .message
        .get(..at)
        .unwrap_or("")
        .trim_end_matches('\n')
        .len();
    match &mut parsed.message {
        Cow::Borrowed(message) => {
            parsed.traceback = Some(Cow::Borrowed(&message[at..]));
            *message = &message[..end];
        }
        Cow::Owned(message) => {
            parsed.traceback = Some(Cow::Owned(message.split_off(at)));
            message.truncate(end);
        }
    }
}
