//! Joins lines into records and turns these into entries. No line is lost: what its format does
//! not read becomes a record with its raw text.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::domain::record::{
    Entry, Level, Metadata, PARSE_ERROR_FIELD, RequestId, TRUNCATED_BYTES_FIELD, Text,
};
use crate::domain::time::Timestamp;

use super::{
    DecodeCounts, ESCAPED_BYTES_FIELD, Format, LINE_HASH_FIELD, Line, LineCut, LineRole, Parsed, Reference,
    SPLIT_FIELD, TIME_SOURCE_FIELD, TimeHint, escape, level, trace,
};

/// A record of more lines is split: text that never ends must not fill the memory.
pub const MAX_RECORD_LINES: usize = 500;
/// A record of more bytes is split.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Turns the lines of one file generation into entries.
#[derive(Debug)]
pub struct Decoder {
    format: &'static dyn Format,
    single_line: bool,
    hint: TimeHint,
    reference_is: Reference,
    pending: Pending,
    counts: DecodeCounts,
    /// The last stamp: the time of text after it that has none.
    stamp: Option<Timestamp>,
    /// Level of the record before: for the parts of a record that was split.
    level: Option<Level>,
    /// Metadata capacity, kept from record to record.
    spare: Parsed<'static>,
}

/// The record whose end has not been seen.
#[derive(Debug, Default)]
struct Pending {
    text: String,
    position: u64,
    /// 0: nothing is pending.
    lines: usize,
    /// Blank lines after the last line: part of the record only if another line joins.
    blanks: usize,
    marks: Marks,
}

/// What a record's text went through before it was parsed.
#[derive(Clone, Debug, Default)]
struct Marks {
    escaped: bool,
    truncated_bytes: u64,
    hashes: String,
    split: Option<&'static str>,
}

impl Marks {
    fn cut(&mut self, cut: Option<LineCut>, kept: usize) {
        let Some(cut) = cut else { return };
        self.truncated_bytes += cut.length.saturating_sub(kept as u64);
        if !self.hashes.is_empty() {
            self.hashes.push(',');
        }
        // Writing to a string cannot fail.
        _ = write!(self.hashes, "{:032x}", cut.hash);
    }
}

impl Decoder {
    pub fn new(format: &'static dyn Format, hint: TimeHint) -> Self {
        Self {
            format,
            single_line: format.single_line(),
            hint,
            reference_is: Reference::Arrival,
            pending: Pending::default(),
            counts: DecodeCounts::default(),
            stamp: None,
            level: None,
            spare: Parsed::default(),
        }
    }

    /// What year-less stamps are nearest to from here on, and the time of text without any stamp.
    pub fn set_reference(&mut self, reference: Timestamp, is: Reference) {
        self.hint.reference = reference;
        self.reference_is = is;
    }

    pub fn format(&self) -> &'static dyn Format {
        self.format
    }

    /// Takes one line; gives finished entries to `sink`. The last record stays pending while the
    /// next line might continue it.
    pub fn line(&mut self, line: Line<'_>, sink: &mut dyn FnMut(Entry)) {
        self.counts.lines += 1;
        let bytes = match line.position {
            0 => line.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line.bytes),
            _ => line.bytes,
        };
        let bytes = if line.cut.is_some() { whole_characters(bytes) } else { bytes };
        let carried;
        let (text, escaped) = match escape::carry(bytes) {
            Ok(text) => (text, false),
            Err(text) => {
                carried = text;
                (carried.as_str(), true)
            }
        };
        if self.single_line {
            if text.trim_ascii().is_empty() && line.cut.is_none() {
                self.counts.skipped += 1;
                return;
            }
            let mut marks = Marks { escaped, ..Marks::default() };
            marks.cut(line.cut, bytes.len());
            self.emit(text, line.position, &marks, sink);
            return;
        }
        let role = if self.pending.lines == 0 {
            self.format.role(text)
        } else {
            self.format.role_after(&self.pending.text, text)
        };
        match role {
            LineRole::Skip => self.skip(text, sink),
            LineRole::Continues if self.pending.lines > 0 => {
                self.join(text, escaped, &line, bytes.len(), sink);
            }
            LineRole::Starts | LineRole::Continues => {
                self.flush(sink);
                self.begin(text, escaped, &line, bytes.len(), None);
            }
        }
    }

    /// Finishes the pending record: the input ended, or was quiet for long enough.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Entry)) {
        self.flush(sink);
    }

    /// Everything before this position is in emitted entries (or was skipped); a frame may end
    /// here. `fallback` is returned when nothing is pending.
    pub fn settled(&self, fallback: u64) -> u64 {
        if self.pending.lines == 0 { fallback } else { self.pending.position }
    }

    /// Lines that are held back count when their record is finished.
    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    fn skip(&mut self, text: &str, sink: &mut dyn FnMut(Entry)) {
        let blank = text.trim_ascii().is_empty();
        if self.pending.lines == 0 || !blank {
            self.counts.skipped += 1;
        } else if self.pending.lines + self.pending.blanks >= MAX_RECORD_LINES {
            self.counts.skipped += 1;
            self.flush(sink);
        } else {
            self.pending.blanks += 1;
        }
    }

    fn begin(
        &mut self,
        text: &str,
        escaped: bool,
        line: &Line<'_>,
        kept: usize,
        split: Option<&'static str>,
    ) {
        let pending = &mut self.pending;
        pending.text.push_str(text);
        pending.position = line.position;
        pending.lines = 1;
        pending.marks = Marks { escaped, split, ..Marks::default() };
        pending.marks.cut(line.cut, kept);
    }

    fn join(&mut self, text: &str, escaped: bool, line: &Line<'_>, kept: usize, sink: &mut dyn FnMut(Entry)) {
        let pending = &mut self.pending;
        if pending.lines + pending.blanks >= MAX_RECORD_LINES
            || pending.text.len() + text.len() > MAX_RECORD_BYTES
        {
            if pending.marks.split.is_none() {
                pending.marks.split = Some("begins");
            }
            self.flush(sink);
            self.begin(text, escaped, line, kept, Some("continues"));
            return;
        }
        if escaped && !pending.marks.escaped {
            // Characters of the carrier block were verbatim until now.
            if escape::needs_carrying(&pending.text) {
                pending.text = escape::carry_forced(pending.text.as_bytes());
            }
            pending.marks.escaped = true;
        }
        for _ in 0..=pending.blanks {
            pending.text.push('\n');
        }
        if pending.marks.escaped && !escaped && escape::needs_carrying(text) {
            pending.text.push_str(&escape::carry_forced(text.as_bytes()));
        } else {
            pending.text.push_str(text);
        }
        pending.marks.cut(line.cut, kept);
        self.counts.joined += 1 + pending.blanks as u64;
        pending.lines += 1 + pending.blanks;
        pending.blanks = 0;
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Entry)) {
        if self.pending.lines == 0 {
            return;
        }
        self.counts.skipped += self.pending.blanks as u64;
        self.pending.lines = 0;
        self.pending.blanks = 0;
        let mut text = std::mem::take(&mut self.pending.text);
        let marks = std::mem::take(&mut self.pending.marks);
        self.emit(&text, self.pending.position, &marks, sink);
        text.clear();
        self.pending.text = text;
    }

    fn emit(&mut self, text: &str, position: u64, marks: &Marks, sink: &mut dyn FnMut(Entry)) {
        self.counts.records += 1;
        let mut parsed: Parsed<'_> = std::mem::take(&mut self.spare).recycle();
        let mut error = None;
        if marks.split == Some("continues") {
            parsed.message = text.into();
            parsed.level = self.level.unwrap_or_else(|| level::guess(text));
        } else if let Err(mismatch) = self.format.parse(text, &self.hint, &mut parsed) {
            self.counts.mismatched += 1;
            error = Some(mismatch);
            parsed = parsed.recycle();
            parsed.level = level::guess(text);
            parsed.message = text.into();
        }
        if parsed.traceback.is_none() && self.format.traces() {
            split_trace(&mut parsed);
        }
        let (timestamp, time_source) = self.time_of(&parsed);
        if parsed.timestamp.is_some() {
            self.stamp = Some(timestamp);
        }
        self.level = Some(parsed.level);

        let escaped = marks.escaped || parsed.carried;
        let text_of =
            |value: &str| -> Text { if escaped { escape::escape(value).into() } else { value.into() } };
        let mut metadata: Metadata = Vec::with_capacity(parsed.metadata.len() + 2);
        for (name, value) in &parsed.metadata {
            // Names of one record are few: looking back is cheaper than a set.
            if !metadata.iter().any(|(known, _)| **known == **name) {
                metadata.push((text_of(name), text_of(value)));
            }
        }
        let mut note = |name: &str, value: &str| {
            metadata.retain(|(known, _)| &**known != name);
            metadata.push((name.into(), value.into()));
        };
        if let Some(error) = &error {
            note(PARSE_ERROR_FIELD, &error.to_string());
        }
        if let Some(source) = time_source {
            note(TIME_SOURCE_FIELD, source);
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
        let optional = |value: &Option<Cow<'_, str>>| -> Option<Text> {
            value.as_deref().filter(|value| !super::says_nothing(value)).map(text_of)
        };
        sink(Entry {
            timestamp,
            position,
            level: parsed.level,
            logger: optional(&parsed.logger),
            message: text_of(&parsed.message),
            request_id: optional(&parsed.request_id).map(RequestId::new),
            user_id: optional(&parsed.user_id),
            session_id: optional(&parsed.session_id),
            duration_ms: parsed.duration_ms,
            traceback: parsed.traceback.as_deref().filter(|trace| !trace.is_empty()).map(text_of),
            metadata,
        });
        self.spare = parsed.recycle();
    }

    /// The time of a record, and where it comes from when not from its own stamp alone.
    fn time_of(&self, parsed: &Parsed<'_>) -> (Timestamp, Option<&'static str>) {
        const HOUR: i64 = 3_600_000_000;
        const DAY: i64 = 24 * HOUR;
        match (parsed.timestamp, self.stamp) {
            (Some(at), Some(previous)) if parsed.day_missing => {
                // The next instant of this time of day after the record before, which lies at midnight
                // or later. Up to an hour back is disorder between threads, or a clock put back.
                let ahead = (at.micros() - previous.micros() + HOUR).rem_euclid(DAY) - HOUR;
                (Timestamp::from_micros(previous.micros() + ahead), Some("date"))
            }
            (Some(at), _) if parsed.day_missing => (at, Some("date")),
            (Some(at), _) => (at, None),
            (None, Some(previous)) => (previous, Some("previous")),
            (None, None) => (self.hint.reference, Some(self.reference_is.name())),
        }
    }
}

/// Moves a stack trace at the end of the message to `traceback`.
fn split_trace(parsed: &mut Parsed<'_>) {
    let Some(at) = trace::begin(&parsed.message) else { return };
    match &mut parsed.message {
        Cow::Borrowed(message) => {
            parsed.traceback = Some(Cow::Borrowed(&message[at..]));
            *message = &message[..at - 1];
        }
        Cow::Owned(message) => {
            parsed.traceback = Some(Cow::Owned(message.split_off(at)));
            message.pop();
        }
    }
}

/// A cut line without the character that the cut went through.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests;
