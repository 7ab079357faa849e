//! How a record begins: with the first format that reads its line, or with none.

use atalaya_domain::record::Entry;

use super::super::registry::{self, Shape};
use super::super::{Format, HEADER_FIELD, Lines, Opens, Parsed, Piece, Signs, plain};
use super::entry::Facts;
use super::held::Held;
use super::look::Look;
use super::memo::Taken;
use super::{Choice, Context, Decoder, Likely, MAX_HEADER_BYTES, Physical};

impl Decoder {
    /// Begins a record with the first format that reads the line strictly.
    pub(super) fn begin(
        &mut self,
        physical: Physical<'_>,
        look: &Look<'_>,
        facts: Option<&Facts<'_>>,
        likely: Likely,
    ) -> bool {
        let (preferred, all) = match self.choice {
            Choice::Any(preferred) => (likely.format.or(preferred), true),
            Choice::Only(Shape::Envelope(_)) if facts.is_some() => (likely.format, true),
            Choice::Only(Shape::Format(only)) => (Some(only), false),
            Choice::Only(_) => (None, false),
        };
        let text = look.text;
        if let Some(format) = preferred
            && self.begin_with(format, format.opens(text), physical, look, facts, likely)
        {
            return true;
        }
        let candidates = if all { registry::candidates(text) } else { &[] };
        candidates.iter().any(|candidate| {
            let needed = candidate.needs == Signs::NONE || look.signs().has(candidate.needs);
            needed
                && match candidate.format.opens(text) {
                    Opens::No => false,
                    opens => {
                        self.begin_with(candidate.format, opens, physical, look, facts, likely)
                    }
                }
        })
    }

    /// Begins a record with this format, where it reads the line.
    fn begin_with(
        &mut self,
        format: &'static dyn Format,
        opens: Opens,
        physical: Physical<'_>,
        look: &Look<'_>,
        facts: Option<&Facts<'_>>,
        likely: Likely,
    ) -> bool {
        match opens {
            Opens::No => return false,
            Opens::Header if self.header(physical, look.text) => {}
            // More than is kept for the next record: a record by itself, so that no text is lost.
            Opens::Header => self.start(physical, look, facts, None, false),
            Opens::Unfinished => self.start(physical, look, facts, Some(format), true),
            Opens::Parsed if self.several(physical, look.text, facts, format) => {}
            Opens::Parsed => {
                let mut parsed: Parsed<'_> = std::mem::take(&mut self.context.spare);
                if !self.reads(format, look.text, &mut parsed) {
                    self.context.spare = parsed.recycle();
                    return false;
                }
                if let Some(key) = likely.key.filter(|_| likely.format.is_none()) {
                    // Where each line is a record of its own, formats that pin more of it stand first.
                    let format = Some(format).filter(|format| format.spec().lines != Lines::One);
                    self.memo.note(
                        key,
                        Taken {
                            envelope: None,
                            format,
                        },
                    );
                }
                self.start_parsed(physical, look.text, facts, format, parsed);
            }
        }
        true
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
            // The header lines before it are known only now.
            if let Some(entry) = held.entry.as_mut().filter(|_| !held.header.is_empty()) {
                let header = held.header.as_str().into();
                entry.metadata.push((HEADER_FIELD.into(), header));
            }
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
    pub(super) fn start(
        &mut self,
        physical: Physical<'_>,
        look: &Look<'_>,
        facts: Option<&Facts<'_>>,
        format: Option<&'static dyn Format>,
        unfinished: bool,
    ) {
        let mut held = self.opened(physical, look.text, facts, format);
        held.stamped = unfinished;
        if !unfinished {
            // Made at once: most records have one line, and their envelopes are open now.
            held.entry = Some(self.context.whole(&held, facts, self.choice, Some(look)));
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
    ) -> Box<Held> {
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
    fn settle_in(&mut self, held: Box<Held>) {
        let complete = held.lines == Lines::One && held.piece != Piece::Open;
        self.queue.push(held);
        if complete {
            self.close(self.queue.len() - 1);
        }
    }

    /// Keeps a header line for the record that follows; false when there is no room for it.
    fn header(&mut self, physical: Physical<'_>, text: &str) -> bool {
        let context = &mut self.context;
        let kept = if context.header_at.is_none() {
            0
        } else {
            context.header.len() + 1
        };
        if kept + text.len() > MAX_HEADER_BYTES {
            return false;
        }
        if context.header_at.is_none() {
            context.header.clear();
            context.header_at = Some(physical.line.position);
        } else {
            context.header.push('\n');
        }
        context.header.push_str(text);
        self.counts.skipped += 1;
        true
    }
}
