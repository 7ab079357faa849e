//! The records whose end has not been seen, in the order in which they begin.
//!
//! Lines of two streams may stand between each other (stdout and stderr of one container), so
//! several records can be open at once. They are given out in the order of the file, and only when
//! no line behind the last of them belongs to one of them: a frame may then end there.

use std::collections::VecDeque;

use atalaya_domain::record::Entry;

use super::super::{Envelope, Format, Lines, Piece, escape, split, trace};
use super::Inherited;

/// Lines of other streams after which a record is taken as complete.
const LINES_APART: u64 = 64;
/// Emptied records kept for the next ones.
const SPARE: usize = 8;
/// Records held at once; the oldest are then taken as complete.
const MOST: usize = 256;

/// What a record's text went through before it was read.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    pub escaped: bool,
    pub truncated_bytes: u64,
    pub hashes: String,
    pub split: Option<&'static str>,
    /// Header lines that no record followed.
    pub is_header: bool,
}

/// One record.
#[derive(Debug, Default)]
pub struct Held {
    pub stream: u64,
    /// Where its first line stands: its identity.
    pub position: u64,
    /// The same, or where the header lines before it stand.
    pub begin: u64,
    /// Just past its last line.
    pub end: u64,
    /// What is inside the envelopes, lines joined by `\n`.
    pub text: String,
    /// The first physical line, when it has envelopes.
    pub raw: String,
    pub header: String,
    pub format: Option<&'static dyn Format>,
    /// The outermost one.
    pub envelope: Option<&'static dyn Envelope>,
    /// What its first line made; dropped when further lines join.
    pub entry: Option<Entry>,
    pub lines: Lines,
    /// It has a stamp of its own.
    pub stamped: bool,
    pub piece: Piece,
    pub lines_joined: usize,
    /// Blank lines after the last line: part of the record only if another line joins.
    pub blanks: usize,
    /// What an envelope said of further lines and not of the first.
    pub more: Vec<(String, String)>,
    pub marks: Marks,
    pub level: Inherited,
    pub touched: u64,
    pub done: bool,
}

impl Held {
    /// Empty, with the capacity of its texts.
    fn clear(&mut self) {
        let mut texts = [&mut self.text, &mut self.raw].map(std::mem::take);
        texts.iter_mut().for_each(String::clear);
        let [text, raw] = texts;
        *self = Self {
            text,
            raw,
            ..Self::default()
        };
    }

    /// Whether a stack trace has begun in its text.
    pub fn has_trace(&self) -> bool {
        let last = split::last(&self.text, b'\n').map_or(&*self.text, |(_, last)| last);
        trace::is_head(last)
            || trace::is_frame(last)
            || trace::surely_exception(last)
            || trace::begin(&self.text).is_some()
    }
}

/// The records that are held.
#[derive(Debug, Default)]
pub struct Queue {
    /// Boxed: a record is large, and is moved from hand to hand.
    held: VecDeque<Box<Held>>,
    /// Lines seen.
    now: u64,
    /// Records that were given out, for the next ones to stand in.
    #[allow(clippy::vec_box, reason = "the boxes are what is kept")]
    spare: Vec<Box<Held>>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn get(&self, index: usize) -> &Held {
        &self.held[index]
    }

    pub fn get_mut(&mut self, index: usize) -> &mut Held {
        &mut self.held[index]
    }

    /// The open record of a stream.
    pub fn find(&self, stream: u64) -> Option<usize> {
        self.held
            .iter()
            .rposition(|held| held.stream == stream && !held.done)
    }

    /// The open record that the last line belongs to.
    pub fn last_touched(&self) -> Option<usize> {
        self.held
            .iter()
            .rposition(|held| !held.done && held.touched + 1 >= self.now)
    }

    /// A record to be filled and pushed.
    pub fn open(&mut self, stream: u64, position: u64, end: u64) -> Box<Held> {
        let mut held = self.spare.pop().unwrap_or_default();
        (held.stream, held.position, held.begin, held.end) = (stream, position, position, end);
        held.touched = self.now;
        held
    }

    pub fn push(&mut self, held: Box<Held>) {
        self.held.push_back(held);
    }

    /// Another line was placed.
    pub fn step(&mut self) {
        self.now += 1;
    }

    pub fn blank(&mut self, index: usize, next: u64) {
        let now = self.now;
        let held = &mut self.held[index];
        held.blanks += 1;
        held.end = next;
        held.touched = now;
    }

    /// Adds a line, and the blank ones before it; gives how many lines that are.
    pub fn join(
        &mut self,
        index: usize,
        text: &str,
        escaped: bool,
        next: u64,
        piece: Piece,
    ) -> u64 {
        let now = self.now;
        let held = &mut self.held[index];
        if escaped && !held.marks.escaped {
            // Characters of the carrier block were verbatim until now.
            for text in [&mut held.text, &mut held.raw] {
                if escape::needs_carrying(text) {
                    *text = escape::carry_forced(text.as_bytes());
                }
            }
            held.marks.escaped = true;
        }
        if held.piece != Piece::Open {
            for _ in 0..=held.blanks {
                held.text.push('\n');
            }
        }
        if held.marks.escaped && !escaped && escape::needs_carrying(text) {
            held.text.push_str(&escape::carry_forced(text.as_bytes()));
        } else {
            held.text.push_str(text);
        }
        let joined = 1 + held.blanks;
        held.lines_joined += joined;
        held.blanks = 0;
        held.entry = None;
        held.end = next;
        held.piece = piece;
        held.touched = now;
        joined as u64
    }

    pub fn first_position(&self) -> Option<u64> {
        self.held.front().map(|held| held.begin)
    }

    /// Too many records wait for each other.
    pub fn is_crowded(&self) -> bool {
        self.held.len() > MOST
    }

    /// A record that is taken as complete: its stream has been silent for long, or too many wait.
    pub fn overdue(&self) -> Option<usize> {
        let crowded = self.is_crowded();
        self.held.iter().position(|held| {
            let waited = self.now.saturating_sub(held.touched);
            // What cannot go on but by a trace waits for one line only.
            let waits_for_trace = || held.lines == Lines::OnlyTraces && held.piece != Piece::Open;
            !held.done
                && (crowded
                    || waited > LINES_APART
                    || (waited > 1 && waits_for_trace() && !held.has_trace()))
        })
    }

    /// Gives out complete records from the front, group by group: a group ends where no record that
    /// began before reaches further.
    pub fn release(&mut self, sink: &mut dyn FnMut(Entry)) {
        while let Some(first) = self.held.front() {
            let mut end = first.end;
            let mut count = 0;
            for held in &self.held {
                if count > 0 && held.begin >= end {
                    break;
                }
                if !held.done {
                    return;
                }
                end = end.max(held.end);
                count += 1;
            }
            for mut held in self.held.drain(..count) {
                if let Some(entry) = held.entry.take() {
                    sink(entry);
                }
                if self.spare.len() < SPARE {
                    held.clear();
                    self.spare.push(held);
                }
            }
        }
    }
}
