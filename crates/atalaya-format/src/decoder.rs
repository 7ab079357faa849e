//! Turns the lines of one file generation into entries.
//!
//! Each line has its envelopes taken off; what is inside goes to the first format that reads it
//! strictly, or joins the record before it in its stream, or is plain text. Nothing is decided for
//! a whole file, so that text of several formats may stand in one, and what follows never changes
//! what was before. No line is lost: what nobody reads becomes a record with its raw text.

use std::borrow::Cow;

use atalaya_domain::record::{Entry, Level};
use atalaya_domain::time::Timestamp;

use super::registry::{self, Shape};
use super::{
    DecodeCounts, Envelope, Format, Inside, Joins, Line, LineCut, Lines, Opens, Parsed, Piece,
    Reference, TimeHint, escape, plain, trace,
};

mod ansi;
mod encoding;
mod entry;
mod held;
mod memo;

use encoding::Encoding;
use entry::Facts;
use held::{Held, Queue};
use memo::{Memo, Taken};

/// A record of more lines is split: text that never ends must not fill the memory.
pub const MAX_RECORD_LINES: usize = 500;
/// A record of more bytes is split.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Envelopes in envelopes in envelopes: no file has more.
const MAX_ENVELOPES: usize = 4;
/// Header lines kept for the record that follows them.
const MAX_HEADER_BYTES: usize = 4 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// By what a file is read.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// Every line by what reads it. Where two formats write the same lines, the path may say which
    /// is to be asked first.
    Any(Option<&'static dyn Format>),
    /// All lines by this one; what it does not read is kept with a `parse_error`.
    Only(Shape),
}

/// Turns the lines of one file generation into entries.
#[derive(Debug)]
pub struct Decoder {
    choice: Choice,
    context: Context,
    queue: Queue,
    counts: DecodeCounts,
    tally: Tally,
    encoding: Encoding,
    memo: Memo,
}

/// What the records before a line leave for it.
#[derive(Debug)]
struct Context {
    hint: TimeHint,
    reference_is: Reference,
    /// The last stamp: the time of text after it that has none.
    stamp: Option<Timestamp>,
    /// The last header lines, for formats whose columns they name.
    header: String,
    /// Where header lines stand that no record has taken yet.
    header_at: Option<u64>,
    /// Whether the text of the last record that was made had a stamp of its own.
    had_stamp: bool,
    /// Metadata capacity, kept from record to record.
    spare: Parsed<'static>,
}

/// How many records each format gave, and out of which envelope, in the order in which they were
/// seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Vec<Share>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    envelope: Option<&'static str>,
    format: Option<&'static str>,
    records: u64,
}

impl Tally {
    fn add(&mut self, envelope: Option<&'static str>, format: Option<&'static str>) {
        match self
            .0
            .iter_mut()
            .find(|known| known.envelope == envelope && known.format == format)
        {
            Some(share) => share.records += 1,
            None => self.0.push(Share {
                envelope,
                format,
                records: 1,
            }),
        }
    }

    /// Records by what a file would be called after them: the envelope, else the format.
    pub fn by_shape(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<(&'static str, u64)> = Vec::new();
        for share in &self.0 {
            let name = share.envelope.or(share.format).unwrap_or(plain::SPEC.name);
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += share.records,
                None => counts.push((name, share.records)),
            }
        }
        counts
    }

    /// Records by what read them, as `syslog`, `python` or, in an envelope, `docker-json/python`.
    pub fn labels(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        self.0.iter().map(|share| {
            let label = match (share.envelope, share.format) {
                (Some(envelope), Some(format)) => format!("{envelope}/{format}"),
                (one, other) => one.or(other).unwrap_or(plain::SPEC.name).to_owned(),
            };
            (label, share.records)
        })
    }

    /// Records that this format or envelope had a part in.
    pub fn of(&self, name: &str) -> u64 {
        let of = |share: &&Share| share.envelope == Some(name) || share.format == Some(name);
        self.0.iter().filter(of).map(|share| share.records).sum()
    }
}

impl serde::Serialize for Tally {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.labels())
    }
}

/// What is likely to read a text, by how it begins.
#[derive(Clone, Copy)]
struct Likely {
    key: Option<u64>,
    format: Option<&'static dyn Format>,
}

/// A physical line as it goes through the decoder.
#[derive(Clone, Copy)]
struct Physical<'a> {
    line: &'a Line<'a>,
    /// The text of the whole line, envelopes included.
    text: &'a str,
    escaped: bool,
    kept: usize,
}

impl Decoder {
    pub fn new(choice: Choice, hint: TimeHint) -> Self {
        Self {
            choice,
            context: Context {
                hint,
                reference_is: Reference::Arrival,
                stamp: None,
                header: String::new(),
                header_at: None,
                had_stamp: false,
                spare: Parsed::default(),
            },
            queue: Queue::default(),
            counts: DecodeCounts::default(),
            tally: Tally::default(),
            encoding: Encoding::Utf8,
            memo: Memo::default(),
        }
    }

    /// Takes from the first bytes of the file what all its lines depend on: the encoding by its mark
    /// and, when reading on behind them, the header lines that name the columns.
    pub fn set_head(&mut self, head: &[u8], reads_on: bool) {
        self.encoding = Encoding::of(head);
        if !reads_on {
            return;
        }
        for line in head
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
        {
            let Ok(text) = std::str::from_utf8(line.trim_ascii_end()) else {
                return;
            };
            let first = text.as_bytes().first().copied().unwrap_or(0);
            let mut formats = registry::beginning_with(first).iter();
            if !formats.any(|format| format.opens(text) == Opens::Header) {
                return;
            }
            if !self.context.header.is_empty() {
                self.context.header.push('\n');
            }
            self.context.header.push_str(text);
        }
    }

    /// What year-less stamps are not later than, and the time of text without any stamp.
    pub fn set_reference(&mut self, reference: Timestamp, is: Reference) {
        self.context.hint.reference = reference;
        self.context.reference_is = is;
    }

    /// Takes one line; gives finished entries to `sink`, in the order in which they begin. A record
    /// stays held while a further line might continue it.
    pub fn line(&mut self, line: Line<'_>, sink: &mut dyn FnMut(Entry)) {
        self.counts.lines += 1;
        let decoded = self.encoding.decode(line.bytes);
        let bytes = match line.position {
            0 => decoded.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&decoded),
            _ => &decoded,
        };
        let bytes = if line.cut.is_some() {
            whole_characters(bytes)
        } else {
            bytes
        };
        let (text, escaped) = match escape::carry(bytes) {
            Ok(text) => (Cow::Borrowed(text), false),
            Err(text) => (Cow::Owned(text), true),
        };
        let text = ansi::without_colours(text);
        let physical = Physical {
            line: &line,
            text: &text,
            escaped,
            kept: bytes.len(),
        };
        self.unwrapped(physical, &text, None, 0);
        self.queue.step();
        self.release(sink);
    }

    /// Finishes what is held: the input ended, or was quiet for long enough.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Entry)) {
        if let Some(position) = self.context.header_at.take() {
            let mut held = self.queue.open(0, position, position);
            held.text.push_str(&self.context.header);
            held.lines_joined = 1;
            held.marks.is_header = true;
            self.queue.push(held);
        }
        for index in 0..self.queue.len() {
            self.close(index);
        }
        self.release(sink);
    }

    /// Everything before this position is in emitted entries (or was skipped), and no line behind
    /// it is; a frame may end here. `fallback` is returned when nothing is held.
    pub fn settled(&self, fallback: u64) -> u64 {
        let held = self.queue.first_position();
        match (held, self.context.header_at) {
            (Some(held), Some(header)) => held.min(header),
            (one, other) => one.or(other).unwrap_or(fallback),
        }
    }

    /// Lines that are held back count when their record is finished.
    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    /// What read the records so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes envelopes off until none is left, and places what is inside.
    fn unwrapped(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        depth: usize,
    ) {
        let envelopes = match self.choice {
            Choice::Only(Shape::Format(_) | Shape::Plain) => &[],
            _ if depth >= MAX_ENVELOPES => &[],
            _ => registry::envelopes(),
        };
        let key = memo::key(text, depth);
        let known = key.and_then(|key| self.memo.find(key));
        let first = text.as_bytes().first().copied().unwrap_or(0);
        let all = match known {
            Some(Taken { envelope: None, .. }) => &[],
            _ => envelopes,
        };
        let likely = known
            .and_then(|taken| taken.envelope)
            .filter(|index| *index < envelopes.len());
        for index in likely.into_iter().chain(0..all.len()) {
            let Some(&envelope) = envelopes.get(index) else {
                continue;
            };
            if !envelope.spec().begins.has(first) || !self.may_open(envelope, depth) {
                continue;
            }
            let mut outer = Parsed::default();
            if let Ok(inside) = envelope.open(text, &self.context.hint, &mut outer) {
                if let Some(key) = key.filter(|_| likely != Some(index)) {
                    self.memo.note(
                        key,
                        Taken {
                            envelope: Some(index),
                            format: None,
                        },
                    );
                }
                let text = ansi::without_colours(std::mem::take(&mut outer.message));
                let facts = Facts {
                    parsed: &outer,
                    inside,
                    envelope,
                    parent: facts,
                };
                return self.unwrapped(physical, &text, Some(&facts), depth + 1);
            }
        }
        let likely = known.and_then(|taken| taken.format);
        self.place(
            physical,
            text,
            facts,
            Likely {
                key,
                format: likely,
            },
        );
    }

    fn may_open(&self, envelope: &'static dyn Envelope, depth: usize) -> bool {
        match self.choice {
            Choice::Only(Shape::Envelope(only)) if depth == 0 => {
                only.spec().name == envelope.spec().name
            }
            _ => true,
        }
    }

    /// Gives one text to the record that it belongs to, or begins one.
    fn place(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        likely: Likely,
    ) {
        let inside = facts.map_or(Inside::line(0, false), |facts| facts.inside);
        let stream = facts.map_or(0, Facts::stream);
        let at = self
            .bare_line_of(facts, text)
            .or_else(|| self.queue.find(stream));
        if let Some(index) = at {
            let held = self.queue.get(index);
            if held.piece == Piece::Open || inside.piece == Piece::Further {
                return self.join(index, physical, text, inside.piece);
            }
        }
        if inside.piece == Piece::Whole {
            return self.start(physical, text, facts, None, false);
        }
        if text.trim_ascii().is_empty() && physical.line.cut.is_none() {
            return self.blank(at, physical);
        }
        if let Some(index) = at
            && self.joins_at_once(index, text)
        {
            return self.join(index, physical, text, inside.piece);
        }
        if self.begin(physical, text, facts, likely) {
            return;
        }
        if let Some(index) = at
            && self.joins_for_want_of_a_reader(index, text, facts.is_none())
        {
            return self.join(index, physical, text, inside.piece);
        }
        self.start(physical, text, facts, None, false);
    }

    /// A line without an envelope belongs to the last record where the envelope says so.
    fn bare_line_of(&self, facts: Option<&Facts<'_>>, text: &str) -> Option<usize> {
        if facts.is_some() || self.queue.len() == 0 {
            return None;
        }
        let index = self.queue.last_touched()?;
        let takes = self
            .queue
            .get(index)
            .envelope
            .is_some_and(Envelope::takes_bare_lines);
        (takes && !text.trim_ascii().is_empty()).then_some(index)
    }

    /// What belongs to a record for sure: its format says so, or it is a part of a stack trace.
    fn joins_at_once(&self, index: usize, text: &str) -> bool {
        let held = self.queue.get(index);
        if let Some(format) = held.format {
            match format.joins(&held.text, text) {
                Joins::Yes => return true,
                Joins::UnlessOwn => return !self.begins_own(text),
                Joins::No => return false,
                Joins::Unsaid => {}
            }
        }
        if text.starts_with(['{', '[']) && !text.starts_with("[signal SIG") {
            return false;
        }
        match held.lines {
            Lines::One => false,
            Lines::OnlyTraces => {
                trace::is_frame(text)
                    || (held.has_trace() && trace::continues_after(&held.text, text))
                    || (trace::is_head(text) && held.format.is_some())
            }
            // So begin ordinary lines of many programs (` * Running on …`).
            Lines::Trace if is_shallow(text) && !held.has_trace() => false,
            Lines::Trace | Lines::Stamped => {
                trace::continues_after(&held.text, text)
                    && !self.begins_own(text.trim_ascii_start())
            }
        }
    }

    /// A line that no format reads.
    fn joins_for_want_of_a_reader(&self, index: usize, text: &str, bare: bool) -> bool {
        let held = self.queue.get(index);
        let of_envelope = bare && held.envelope.is_some_and(Envelope::takes_bare_lines);
        let may_join = of_envelope || (held.lines == Lines::Stamped && held.stamped);
        may_join
            && held
                .format
                .is_none_or(|format| format.joins(&held.text, text) != Joins::No)
            && !self.begins_own(text)
    }

    /// Whether a line never belongs to the record before it. Of a file that is said to be of one
    /// format only a stamp says so: its own texts may begin with a level.
    fn begins_own(&self, text: &str) -> bool {
        match self.choice {
            Choice::Only(Shape::Format(_)) => plain::has_stamp(text),
            _ => plain::begins_own(text),
        }
    }

    /// Begins a record with the first format that reads the line strictly.
    fn begin(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        likely: Likely,
    ) -> bool {
        let first = text.as_bytes().first().copied().unwrap_or(0);
        let (preferred, formats) = match self.choice {
            Choice::Any(preferred) => {
                (likely.format.or(preferred), registry::beginning_with(first))
            }
            Choice::Only(Shape::Envelope(_)) if facts.is_some() => {
                (likely.format, registry::beginning_with(first))
            }
            Choice::Only(Shape::Format(only)) => (Some(only), &[][..]),
            Choice::Only(_) => (None, &[][..]),
        };
        let mut parsed: Parsed<'_> = std::mem::take(&mut self.context.spare).recycle();
        for format in preferred.into_iter().chain(formats.iter().copied()) {
            match format.opens(text) {
                Opens::No => {}
                Opens::Header => {
                    self.header(physical, text);
                    return true;
                }
                Opens::Unfinished => {
                    self.start(physical, text, facts, Some(format), true);
                    return true;
                }
                Opens::Parsed if self.several(physical, text, facts, format) => return true,
                Opens::Parsed => {
                    if !self.reads(format, text, &mut parsed) {
                        parsed.reset();
                        continue;
                    }
                    let is_new = likely.format.is_none();
                    if let Some(key) = likely
                        .key
                        .filter(|_| is_new && format.spec().lines != Lines::One)
                    {
                        self.memo.note(
                            key,
                            Taken {
                                envelope: None,
                                format: Some(format),
                            },
                        );
                    }
                    self.start_parsed(physical, text, facts, format, parsed);
                    return true;
                }
            }
        }
        self.context.spare = parsed.recycle();
        false
    }

    fn reads<'a>(
        &self,
        format: &'static dyn Format,
        text: &'a str,
        parsed: &mut Parsed<'a>,
    ) -> bool {
        let Context { header, hint, .. } = &self.context;
        if header.is_empty() {
            format.parse(text, hint, parsed).is_ok()
        } else {
            format.parse_under(header, text, hint, parsed).is_ok()
        }
    }

    /// Takes a line that holds several records: their places in the line are counted, since each
    /// takes more than one byte of it.
    fn several(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        format: &'static dyn Format,
    ) -> bool {
        let mut all = Vec::new();
        let hint = self.context.hint.clone();
        let found = format.several(text, &hint, &mut |parsed| {
            let mut held = Held {
                format: Some(format),
                ..Held::default()
            };
            held.entry = Some(
                self.context
                    .entry(parsed, facts, format.spec(), &held, None),
            );
            all.push(held);
        });
        for (index, record) in all.into_iter().enumerate() {
            let mut held = self.opened(physical, text, facts, Some(format));
            held.position += index as u64;
            held.begin += index as u64;
            held.entry = record.entry.map(|entry| Entry {
                position: held.position,
                ..entry
            });
            held.lines = Lines::One;
            self.settle_in(held);
        }
        found
    }

    /// Begins a record whose first line was read by itself.
    fn start_parsed<'a>(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&'a Facts<'a>>,
        format: &'static dyn Format,
        parsed: Parsed<'a>,
    ) {
        let mut held = self.opened(physical, text, facts, Some(format));
        held.stamped = parsed.timestamp.is_some();
        let entry = self
            .context
            .entry(parsed, facts, format.spec(), &held, None);
        held.entry = Some(entry);
        self.settle_in(held);
    }

    /// Begins a record that is read when it is complete, or that no format reads.
    fn start(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        format: Option<&'static dyn Format>,
        unfinished: bool,
    ) {
        let mut held = self.opened(physical, text, facts, format);
        held.stamped = unfinished;
        if !unfinished {
            // Made at once: most records have one line, and their envelopes are open now.
            held.entry = Some(self.context.whole(&held, facts, self.choice));
            held.stamped = self.context.had_stamp;
        }
        self.settle_in(held);
    }

    fn opened(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        format: Option<&'static dyn Format>,
    ) -> Held {
        let stream = facts.map_or(0, Facts::stream);
        if let Some(before) = self.queue.find(stream) {
            self.close(before);
        }
        let Physical {
            line,
            escaped,
            kept,
            ..
        } = physical;
        let mut held = self.queue.open(stream, line.position, line.next);
        held.text.push_str(text);
        held.lines_joined = 1;
        held.format = format;
        held.marks.escaped = escaped;
        held.marks.cut(line.cut, kept);
        held.lines = match (format, facts) {
            (Some(format), _) => format.spec().lines,
            (None, Some(facts)) => facts.envelope.spec().lines,
            (None, None) => plain::SPEC.lines,
        };
        if let Some(facts) = facts {
            held.raw.push_str(physical.text);
            held.piece = facts.inside.piece;
            held.envelope = Some(facts.outermost().envelope);
        }
        if let Some(position) = self.context.header_at.take() {
            held.begin = position.min(held.begin);
            held.header.push_str(&self.context.header);
        }
        held
    }

    /// A record of one line is complete at once.
    fn settle_in(&mut self, held: Held) {
        let complete = held.lines == Lines::One && held.piece != Piece::Open;
        self.queue.push(held);
        if complete {
            self.close(self.queue.len() - 1);
        }
    }

    fn header(&mut self, physical: Physical<'_>, text: &str) {
        let context = &mut self.context;
        if context.header_at.is_none() {
            context.header.clear();
            context.header_at = Some(physical.line.position);
        } else if context.header.len() + text.len() < MAX_HEADER_BYTES {
            context.header.push('\n');
        }
        if context.header.len() + text.len() < MAX_HEADER_BYTES {
            context.header.push_str(text);
        }
        self.counts.skipped += 1;
    }

    fn blank(&mut self, at: Option<usize>, physical: Physical<'_>) {
        match at {
            // In a container a blank line stands inside a trace as often as behind it.
            Some(index) if self.queue.get(index).lines != Lines::One => {
                if self.queue.get(index).lines_joined + self.queue.get(index).blanks
                    >= MAX_RECORD_LINES
                {
                    self.counts.skipped += 1;
                    self.close(index);
                } else {
                    self.queue.blank(index, physical.line.next);
                }
            }
            _ => self.counts.skipped += 1,
        }
    }

    fn join(&mut self, index: usize, physical: Physical<'_>, text: &str, piece: Piece) {
        let held = self.queue.get(index);
        let full = held.lines_joined + held.blanks >= MAX_RECORD_LINES
            || held.text.len() + text.len() > MAX_RECORD_BYTES;
        if full {
            return self.split(index, physical, text, piece);
        }
        let Physical {
            line,
            escaped,
            kept,
            ..
        } = physical;
        let joined = self.queue.join(index, text, escaped, line.next, piece);
        self.queue.get_mut(index).marks.cut(line.cut, kept);
        self.counts.joined += joined;
    }

    /// Ends a record that grew too large; what follows becomes a record of its own.
    fn split(&mut self, index: usize, physical: Physical<'_>, text: &str, piece: Piece) {
        let held = self.queue.get_mut(index);
        held.marks.split.get_or_insert("begins");
        let (stream, lines, stamped, envelope) =
            (held.stream, held.lines, held.stamped, held.envelope);
        let raw = held.raw.clone();
        self.close(index);
        let level = self
            .queue
            .get(index)
            .entry
            .as_ref()
            .map(|entry| entry.level);
        let Physical {
            line,
            escaped,
            kept,
            ..
        } = physical;
        let mut held = self.queue.open(stream, line.position, line.next);
        held.text.push_str(text);
        held.raw = raw;
        held.lines_joined = 1;
        held.lines = lines;
        held.stamped = stamped;
        held.envelope = envelope;
        held.piece = piece;
        held.level = level;
        held.marks.escaped = escaped;
        held.marks.split = Some("continues");
        held.marks.cut(line.cut, kept);
        self.queue.push(held);
    }

    /// Makes the entry of a held record, if it has not been made, and ends it.
    fn close(&mut self, index: usize) {
        if self.queue.get(index).done {
            return;
        }
        let mut held = self.queue.take(index);
        self.counts.skipped += held.blanks as u64;
        held.blanks = 0;
        self.counts.records += 1;
        if held.marks.is_header {
            self.counts.skipped -= 1;
        }
        let entry = match held.entry.take() {
            Some(entry) if held.marks.split.is_none() => entry,
            _ => self.made(&held),
        };
        self.counts.mismatched += u64::from(
            entry
                .metadata(atalaya_domain::record::PARSE_ERROR_FIELD)
                .is_some(),
        );
        self.tally.add(
            held.envelope.map(|envelope| envelope.spec().name),
            held.format.map(|format| format.spec().name),
        );
        held.entry = Some(entry);
        held.done = true;
        self.queue.put(index, held);
    }

    /// Reads a complete record. Its envelopes are opened once more: a record of several lines is rare,
    /// and keeping what they said would cost every line.
    fn made(&mut self, held: &Held) -> Entry {
        if held.raw.is_empty() {
            return self.context.whole(held, None, self.choice);
        }
        self.reopened(held, &held.raw, None, 0)
    }

    fn reopened(
        &mut self,
        held: &Held,
        text: &str,
        facts: Option<&Facts<'_>>,
        depth: usize,
    ) -> Entry {
        let first = text.as_bytes().first().copied().unwrap_or(0);
        if depth < MAX_ENVELOPES {
            for &envelope in registry::envelopes() {
                if !envelope.spec().begins.has(first) || !self.may_open(envelope, depth) {
                    continue;
                }
                let mut outer = Parsed::default();
                if let Ok(inside) = envelope.open(text, &self.context.hint, &mut outer) {
                    let text = ansi::without_colours(std::mem::take(&mut outer.message));
                    let facts = Facts {
                        parsed: &outer,
                        inside,
                        envelope,
                        parent: facts,
                    };
                    return self.reopened(held, &text, Some(&facts), depth + 1);
                }
            }
        }
        self.context.whole(held, facts, self.choice)
    }

    /// Gives out the records that nothing held stands before or between.
    fn release(&mut self, sink: &mut dyn FnMut(Entry)) {
        while let Some(index) = self.queue.overdue() {
            self.close(index);
        }
        self.queue.release(sink);
    }
}

impl held::Marks {
    fn cut(&mut self, cut: Option<LineCut>, kept: usize) {
        use std::fmt::Write as _;
        let Some(cut) = cut else { return };
        self.truncated_bytes += cut.length.saturating_sub(kept as u64);
        if !self.hashes.is_empty() {
            self.hashes.push(',');
        }
        // Writing to a string cannot fail.
        _ = write!(self.hashes, "{:032x}", cut.hash);
    }
}

/// Indented by one blank, with a bullet behind it.
fn is_shallow(text: &str) -> bool {
    matches!(text.as_bytes(), [b' ', b'*' | b'-' | b'>', b' ', ..])
}

/// A cut line without the character that the cut went through.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// The level of the parts of a record that was split.
type Inherited = Option<Level>;

#[cfg(test)]
mod tests;
