//! Turns the lines of one file generation into entries.
//!
//! Each line has its envelopes taken off; what is inside goes to the first format that reads it
//! strictly, or joins the record before it in its stream, or is plain text. Nothing is decided for
//! a whole file, so that text of several formats may stand in one, and what follows never changes
//! what was before. No line is lost: what nobody reads becomes a record with its raw text.

use std::borrow::Cow;

use atalaya_domain::record::{Entry, Level, PARSE_ERROR_FIELD};
use atalaya_domain::time::Timestamp;

use super::registry::{self, Shape};
use super::{
    DecodeCounts, Envelope, Format, Inside, Joins, Line, LineCut, Lines, Opens, Parsed, Piece,
    Reference, TimeHint, escape, trace,
};

mod ansi;
mod begin;
mod encoding;
mod entry;
mod held;
mod look;
mod memo;
mod tally;

use encoding::Encoding;
use entry::Facts;
use held::Queue;
use look::Look;
use memo::{Memo, Taken};

pub use tally::Tally;

/// A record of more lines is split: text that never ends must not fill the memory.
pub const MAX_RECORD_LINES: usize = 500;
/// A record of more bytes is split.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Envelopes in envelopes in envelopes: no file has more.
const MAX_ENVELOPES: usize = 4;
/// Header lines kept for the record that follows them: a server that is started again and again
/// writes its banner each time.
const MAX_HEADER_BYTES: usize = 16 * 1024;

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

impl Choice {
    /// Whether an envelope may be taken off at this depth.
    fn allows(self, envelope: &'static dyn Envelope, depth: usize) -> bool {
        match self {
            Self::Only(Shape::Envelope(only)) if depth == 0 => {
                only.spec().name == envelope.spec().name
            }
            _ => true,
        }
    }
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

/// What is likely to read a text, by how it begins.
#[derive(Clone, Copy)]
struct Likely {
    key: Option<u64>,
    format: Option<&'static dyn Format>,
}

/// The envelopes that a text may have: its key, the one that an earlier text had, and all.
type Envelopes = (
    Option<u64>,
    Option<&'static dyn Envelope>,
    &'static [&'static dyn Envelope],
);

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
            if !registry::candidates(text)
                .iter()
                .any(|one| one.format.opens(text) == Opens::Header)
            {
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
        let wrapped = depth < MAX_ENVELOPES
            && !matches!(self.choice, Choice::Only(Shape::Format(_) | Shape::Plain));
        let key = memo::key(text, depth);
        let known = key.and_then(|key| self.memo.find(key));
        let (likely, all) = match known {
            _ if !wrapped => (None, &[][..]),
            Some(Taken { envelope: None, .. }) => (None, &[][..]),
            _ => (
                known.and_then(|taken| taken.envelope),
                registry::envelopes_of(text),
            ),
        };
        if (likely.is_some() || !all.is_empty())
            && self.unwraps(physical, text, facts, depth, (key, likely, all))
        {
            return;
        }
        let likely = known.and_then(|taken| taken.format);
        self.place(
            physical,
            &Look::at(text),
            facts,
            Likely {
                key,
                format: likely,
            },
        );
    }

    /// Takes one envelope off and goes on with what is inside; false when it has none of these.
    fn unwraps(
        &mut self,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
        depth: usize,
        (key, likely, all): Envelopes,
    ) -> bool {
        let mut outer = Parsed::default();
        for (&envelope, is_new) in likely
            .iter()
            .map(|one| (one, false))
            .chain(all.iter().map(|one| (one, true)))
        {
            if !self.choice.allows(envelope, depth) {
                continue;
            }
            if let Ok(inside) = envelope.open(text, &self.context.hint, &mut outer) {
                if let Some(key) = key.filter(|_| is_new) {
                    self.memo.note(
                        key,
                        Taken {
                            envelope: Some(envelope),
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
                self.unwrapped(physical, &text, Some(&facts), depth + 1);
                return true;
            }
            outer.reset();
        }
        false
    }

    /// Gives one text to the record that it belongs to, or begins one.
    fn place(
        &mut self,
        physical: Physical<'_>,
        look: &Look<'_>,
        facts: Option<&Facts<'_>>,
        likely: Likely,
    ) {
        let text = look.text;
        let inside = facts.map_or(Inside::line(0, false), |facts| facts.inside);
        let stream = facts.map_or(0, Facts::stream);
        let at = self
            .bare_line_of(facts, text)
            .or_else(|| self.queue.find(stream));
        if let Some(index) = at {
            let held = self.queue.get(index);
            if held.piece == Piece::Open || inside.piece == Piece::Further {
                let was_open = held.piece == Piece::Open;
                self.join_of(index, physical, text, facts);
                if was_open && inside.piece != Piece::Open {
                    self.pieced(index);
                }
                return;
            }
        }
        if inside.piece == Piece::Whole {
            return self.start(physical, look, facts, None, false);
        }
        if text.trim_ascii().is_empty() && physical.line.cut.is_none() {
            return self.blank(at, physical);
        }
        if let Some(index) = at
            && self.joins_at_once(index, look)
        {
            return self.join_of(index, physical, text, facts);
        }
        if self.begin(physical, look, facts, likely) {
            return;
        }
        if let Some(index) = at
            && self.joins_for_want_of_a_reader(index, look, facts.is_none())
        {
            return self.join_of(index, physical, text, facts);
        }
        self.start(physical, look, facts, None, false);
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
    fn joins_at_once(&self, index: usize, look: &Look<'_>) -> bool {
        let text = look.text;
        let held = self.queue.get(index);
        if let Some(format) = held.format {
            match format.joins(&held.text, text) {
                Joins::Yes => return true,
                Joins::UnlessOwn => return !self.begins_own(look),
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
                trace::continues_after(&held.text, text) && !self.begins_own(&look.trimmed())
            }
        }
    }

    /// A line that no format reads.
    fn joins_for_want_of_a_reader(&self, index: usize, look: &Look<'_>, bare: bool) -> bool {
        let held = self.queue.get(index);
        let of_envelope = bare && held.envelope.is_some_and(Envelope::takes_bare_lines);
        let may_join = of_envelope || (held.lines == Lines::Stamped && held.stamped);
        may_join
            && held
                .format
                .is_none_or(|format| format.joins(&held.text, look.text) != Joins::No)
            && !self.begins_own(look)
    }

    /// Whether a line never belongs to the record before it. Of a file that is said to be of one
    /// format only a stamp says so: its own texts may begin with a level.
    fn begins_own(&self, look: &Look<'_>) -> bool {
        let hint = &self.context.hint;
        match self.choice {
            Choice::Only(Shape::Format(_)) => look.stamp(hint).is_some(),
            _ => look.begins_own(hint),
        }
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

    /// Adds a line to a record, and what its envelopes say of this line only.
    fn join_of(
        &mut self,
        index: usize,
        physical: Physical<'_>,
        text: &str,
        facts: Option<&Facts<'_>>,
    ) {
        let held = self.queue.get_mut(index);
        let mut next = facts;
        while let Some(facts) = next.filter(|facts| facts.envelope.tells_lines_apart()) {
            for (name, value) in &facts.parsed.metadata {
                let known = held.raw.contains(value.as_ref())
                    || held.more.iter().any(|(_, text)| text == value);
                if !known {
                    held.more.push((name.to_string(), value.to_string()));
                }
            }
            next = facts.parent;
        }
        let piece = facts.map_or(Piece::Line, |facts| facts.inside.piece);
        self.join(index, physical, text, piece);
    }

    /// A line that came in pieces is whole: the format that did not read its first piece may read it.
    fn pieced(&mut self, index: usize) {
        let held = self.queue.get(index);
        let asked = !matches!(self.choice, Choice::Only(Shape::Format(_) | Shape::Plain));
        if !asked || held.format.is_some() || held.done || held.marks.split.is_some() {
            return;
        }
        let mut parsed = Parsed::default();
        let hint = &self.context.hint;
        let found = registry::candidates(&held.text).iter().find(|candidate| {
            parsed.reset();
            candidate.format.opens(&held.text) == Opens::Parsed
                && candidate
                    .format
                    .parse(&held.text, hint, &mut parsed)
                    .is_ok()
        });
        let Some(format) = found.map(|candidate| candidate.format) else {
            return;
        };
        let stamped = parsed.timestamp.is_some();
        drop(parsed);
        let held = self.queue.get_mut(index);
        held.format = Some(format);
        held.lines = format.spec().lines;
        held.stamped = stamped;
        if held.lines == Lines::One {
            self.close(index);
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
        let Self {
            choice,
            context,
            queue,
            counts,
            tally,
            ..
        } = self;
        let held = queue.get_mut(index);
        if held.done {
            return;
        }
        counts.skipped += held.blanks as u64;
        held.blanks = 0;
        counts.records += 1;
        if held.marks.is_header {
            counts.skipped -= 1;
        }
        if held.entry.is_none() || held.marks.split.is_some() {
            held.entry = Some(context.made(held, *choice));
        }
        let mismatched = held
            .entry
            .as_ref()
            .is_some_and(|entry| entry.metadata(PARSE_ERROR_FIELD).is_some());
        counts.mismatched += u64::from(mismatched);
        tally.add(
            held.envelope.map(|envelope| envelope.spec().name),
            held.format.map(|format| format.spec().name),
        );
        held.done = true;
    }

    /// Gives out the records that nothing held stands before or between.
    fn release(&mut self, sink: &mut dyn FnMut(Entry)) {
        while let Some(index) = self.queue.overdue() {
            self.counts.crowded += u64::from(self.queue.is_crowded());
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
