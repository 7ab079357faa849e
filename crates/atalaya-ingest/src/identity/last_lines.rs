//! The last lines of what was read, as hashes. A file that loses its end (a power failure) or its
//! beginning (`tail -n 1000 x > t; cat t > x`), or is written anew with a line changed (`sed -i`),
//! still holds many of them: behind the last one that it holds, reading goes on.

use std::collections::{HashMap, VecDeque};
use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::lines::LineCutter;

/// Lines that are remembered of one generation.
pub const MOST_LINES: usize = 2_048;
/// So many lines in a row, not all the same, are no chance.
const TELLING: u32 = 3;
/// A line that is repeated so often says nothing about where it stood.
const MOST_EQUAL: usize = 16;

/// Hash and length (with its terminator, and zeros before it) of each line, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastLines {
    /// Offset behind the last of them.
    until: u64,
    lines: VecDeque<(u32, u32)>,
}

impl LastLines {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A line that ends before `next`.
    pub fn note(&mut self, next: u64, line: &[u8]) {
        let Ok(length) = u32::try_from(next.saturating_sub(self.until)) else {
            self.lines.clear(); // there is a hole in what is known
            self.until = next;
            return;
        };
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back((crc32c::crc32c(line), length));
        self.until = next;
    }

    /// Reading goes on at `offset`: what is known of lines behind it is read again.
    pub fn rewind(&mut self, offset: u64) {
        while self.until > offset
            && let Some((_, length)) = self.lines.pop_back()
        {
            self.until -= u64::from(length);
        }
        if self.until != offset {
            self.lines.clear();
            self.until = offset;
        }
    }

    /// Those that end at `offset` or before it: what was read behind it is not stored.
    #[must_use]
    pub fn up_to(&self, offset: u64) -> Self {
        let mut some = self.clone();
        if some.until > offset {
            some.rewind(offset);
        }
        some
    }

    /// Keeps the last ones.
    pub fn keep(&mut self, most: usize) {
        let excess = self.lines.len().saturating_sub(most);
        self.lines.drain(..excess);
    }

    /// Offset behind the last of them.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// No lines are known, but that reading goes on there.
    pub fn none_until(until: u64) -> Self {
        Self {
            until,
            lines: VecDeque::new(),
        }
    }

    /// The lines of other content up to the last of these that it still holds: behind it that content
    /// goes on. They are those of the other content, not these: what was taken out of the middle is
    /// not in the way when it is shortened once more. `read` gives the bytes at an offset, none at the
    /// end.
    pub fn found_in(
        &self,
        mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<Self>> {
        if self.lines.len() < TELLING as usize {
            return Ok(None);
        }
        let mut search = Search::new(self);
        let mut cutter = LineCutter::new(0);
        let mut buffer = vec![0; 1 << 16];
        let mut at = 0;
        loop {
            let size = read(at, &mut buffer)?;
            if size == 0 {
                break;
            }
            at += size as u64;
            cutter.feed(&buffer[..size], |line| {
                search.line(line.bytes, line.next);
            });
        }
        Ok(search.best.map(|_| search.before))
    }

    /// Moves `other`, which begins where this ends, to the end of this.
    fn take_over(&mut self, other: &mut Self) {
        if other.lines.len() == MOST_LINES {
            self.lines.clear(); // there may have been more between the two
        }
        self.lines.append(&mut other.lines);
        self.keep(MOST_LINES);
        self.until = other.until;
    }
}

/// Follows runs of known lines through other content.
struct Search<'a> {
    known: &'a VecDeque<(u32, u32)>,
    places: HashMap<u32, Vec<usize>>,
    /// Runs that end with the line before: the place of that line, and their length.
    runs: HashMap<usize, Run>,
    /// The latest known line found.
    best: Option<usize>,
    /// Lines of the content up to that one, and those since.
    before: LastLines,
    since: LastLines,
}

#[derive(Clone, Copy, Default)]
struct Run {
    lines: u32,
    /// Not one line over and over.
    varied: bool,
}

impl<'a> Search<'a> {
    fn new(last: &'a LastLines) -> Self {
        let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
        for (place, (hash, _)) in last.lines.iter().enumerate().rev() {
            let equal = places.entry(*hash).or_default();
            if equal.len() < MOST_EQUAL {
                equal.push(place);
            }
        }
        Self {
            known: &last.lines,
            places,
            runs: HashMap::new(),
            best: None,
            before: LastLines::default(),
            since: LastLines::default(),
        }
    }

    fn line(&mut self, line: &[u8], next: u64) {
        let hash = crc32c::crc32c(line);
        self.since.note(next, line);
        let mut runs = HashMap::new();
        for &place in self.places.get(&hash).into_iter().flatten() {
            let before = place.checked_sub(1);
            let run = before.and_then(|before| self.runs.get(&before)).copied();
            let run = run.unwrap_or_default();
            let is_other = before.is_some_and(|before| self.known[before].0 != hash);
            let run = Run {
                lines: run.lines + 1,
                varied: run.varied || (run.lines > 0 && is_other),
            };
            runs.insert(place, run);
            let is_telling = run.lines >= TELLING && run.varied;
            if is_telling && self.best.is_none_or(|best| place >= best) {
                self.best = Some(place);
                self.before.take_over(&mut self.since);
            }
        }
        self.runs = runs;
    }
}

/// As hex: 16 digits a line.
impl Serialize for LastLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = format!("{:x}:", self.until);
        for (hash, length) in &self.lines {
            text.push_str(&format!("{hash:08x}{length:08x}"));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for LastLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom("not a list of lines"))
    }
}

fn parse(text: &str) -> Option<LastLines> {
    let (until, lines) = text.split_once(':')?;
    let mut last = LastLines {
        until: u64::from_str_radix(until, 16).ok()?,
        lines: VecDeque::new(),
    };
    let (lines, rest) = lines.as_bytes().as_chunks::<16>();
    if !rest.is_empty() {
        return None;
    }
    for line in lines {
        let number = u64::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
        last.lines.push_back(((number >> 32) as u32, number as u32));
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn of(content: &str) -> LastLines {
        let mut last = LastLines::default();
        let mut cutter = LineCutter::new(0);
        cutter.feed(content.as_bytes(), |line| last.note(line.next, line.bytes));
        last
    }

    fn found(known: &LastLines, content: &str) -> Option<LastLines> {
        let bytes = content.as_bytes();
        known
            .found_in(|at, buffer| {
                let rest = &bytes[at as usize..];
                let size = rest.len().min(buffer.len());
                buffer[..size].copy_from_slice(&rest[..size]);
                Ok(size)
            })
            .unwrap()
    }

    fn goes_on(known: &LastLines, content: &str) -> Option<u64> {
        found(known, content).map(|found| found.until())
    }

    fn numbered(lines: std::ops::Range<usize>) -> String {
        lines.map(|line| format!("line {line} of it\n")).collect()
    }

    proptest! {
        #[test]
        fn what_was_cut_at_either_end_goes_on_exactly(
            size in 3..3_000_usize, head in 0..3_000_usize, tail in 0..1_500_usize, new in 0..20_usize,
        ) {
            let head = head.min(size - 3);
            let tail = tail.min(size - 3 - head);
            let known = of(&numbered(0..size));
            let left = numbered(head..size - tail);
            let content = left.clone() + &numbered(90_000..90_000 + new);
            // Only the last lines are known: they must be among what is left.
            let is_known = size - tail >= size.saturating_sub(MOST_LINES) + 3;
            let expected = is_known.then_some(left.len() as u64);
            prop_assert_eq!(goes_on(&known, &content), expected);
        }

        /// What is known of the content found is what it holds, however much of it is new.
        #[test]
        fn what_was_edited_is_known_as_it_is_now(
            size in 10..3_000_usize, gone in 0..3_000_usize, cut in 0..3_000_usize,
            new in 0..3_000_usize,
        ) {
            let known = of(&numbered(0..size));
            let gone = gone % (size - 5);
            let edited = numbered(0..gone) + &numbered(gone + 1..size);
            let with_new = edited.clone() + &numbered(90_000..90_000 + new);
            let now = found(&known, &with_new).unwrap();
            prop_assert_eq!(&now, &of(&edited));
            // Shortened once more, anywhere.
            let cut = (cut % (size - 1)).max(3);
            let shorter: String = edited.split_inclusive('\n').take(cut).collect();
            let is_known = cut >= (size - 1).saturating_sub(MOST_LINES) + 3;
            let expected = is_known.then_some(shorter.len() as u64);
            prop_assert_eq!(goes_on(&now, &shorter), expected);
        }

        #[test]
        fn it_is_read_back_as_it_was_written(size in 0..40_usize, to in 0..900_u64) {
            let mut last = of(&numbered(0..size));
            last.rewind(to);
            let text = serde_json::to_string(&last).unwrap();
            prop_assert_eq!(serde_json::from_str::<LastLines>(&text).unwrap(), last);
        }
    }

    #[test]
    fn other_content_has_no_place_to_go_on() {
        let known = of(&numbered(0..100));
        assert_eq!(goes_on(&known, ""), None);
        assert_eq!(goes_on(&known, &numbered(200..300)), None);
        assert_eq!(
            goes_on(&of(&"same\n".repeat(50)), &"same\n".repeat(20)),
            None
        );
        assert_eq!(
            goes_on(&known, "line 0 of it\nline 1 of it\n"),
            None,
            "two lines are chance"
        );
    }

    #[test]
    fn a_line_changed_in_the_middle_does_not_matter() {
        let known = of(&numbered(0..20));
        let edited = numbered(0..20).replace("line 7 of", "LINE 7 OF");
        assert_eq!(goes_on(&known, &edited), Some(edited.len() as u64));
    }
}
