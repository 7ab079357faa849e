//! Cuts a stream of bytes into lines, in bounded memory and independent of how the bytes come in.
//!
//! Zeros before a line are left out and counted. A line ends with `\n`; one `\r` before it belongs to the terminator. Lines over the limit keep
//! their first bytes, their length and a hash of the whole; a 2 GiB line costs no more memory than
//! a long one.

use super::format::{Line, LineCut};

/// Most bytes of a line that are kept.
pub const LINE_LIMIT: usize = 64 * 1024;

/// Feed it the content piece by piece; it gives each line once, when its terminator was seen.
#[derive(Debug)]
pub struct LineCutter {
    limit: usize,
    /// Offset of the first byte of the line under construction.
    start: u64,
    /// Bytes of that line so far, without terminator.
    length: u64,
    /// Its first bytes: one more than the limit, to tell a `\r` of the terminator from content.
    kept: Vec<u8>,
    /// Set once the line is longer than `kept` can be. It lags one byte behind (`last`), because a
    /// final `\r` is not content.
    hasher: Option<Box<blake3::Hasher>>,
    last: u8,
    /// Bytes at the beginning of `kept` that stand before `start`: of a line that was given out when
    /// it had no end yet.
    before: usize,
    /// Zeros before lines are left out: `: > x.log` under a writer that does not append leaves a hole
    /// as long as what was there.
    skips_zeros: bool,
    zeros: u64,
}

impl LineCutter {
    /// `start` is the offset of the first byte that will be fed.
    pub fn new(start: u64) -> Self {
        Self::with_limit(start, LINE_LIMIT)
    }

    pub fn with_limit(start: u64, limit: usize) -> Self {
        Self {
            limit,
            start,
            length: 0,
            kept: Vec::new(),
            hasher: None,
            last: 0,
            before: 0,
            skips_zeros: true,
            zeros: 0,
        }
    }

    /// The line that goes on at `start` began with these bytes, which were given out as a line.
    pub fn complete_later(&mut self, first: &[u8]) {
        self.kept = first[..first.len().min(self.limit)].to_vec();
        self.before = self.kept.len();
    }

    /// Zeros are content, as in UTF-16.
    pub fn keep_zeros(&mut self) {
        self.skips_zeros = false;
    }

    /// Zeros that were left out.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// A line was begun and has no end yet.
    pub fn has_partial(&self) -> bool {
        self.length > 0
    }

    /// Offset just past the last complete line.
    pub fn line_start(&self) -> u64 {
        self.start
    }

    /// Offset just past the last byte fed.
    pub fn fed(&self) -> u64 {
        self.start + self.length
    }

    /// Takes the next bytes of the content; calls `sink` for each line that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(Line<'_>)) {
        let mut begin = self.skip_zeros(bytes);
        for end in memchr::memchr_iter(b'\n', bytes) {
            let piece = &bytes[begin..end];
            begin = end + 1;
            if self.length == 0 && (self.before == 0 || piece.is_empty() || piece == b"\r") {
                // What was given out without its end was whole: nothing is said twice.
                self.kept.clear();
                self.before = 0;
                self.whole(piece, &mut sink);
            } else {
                self.extend(piece);
                self.complete(Terminator::Present, &mut sink);
            }
            begin += self.skip_zeros(&bytes[begin..]);
        }
        if begin < bytes.len() {
            self.extend(&bytes[begin..]);
        }
    }

    fn skip_zeros(&mut self, bytes: &[u8]) -> usize {
        if self.length > 0 || self.before > 0 || !self.skips_zeros {
            return 0;
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        self.start += zeros as u64;
        self.zeros += zeros as u64;
        zeros
    }

    /// The content ended: a last line without terminator is a line.
    pub fn finish(&mut self, mut sink: impl FnMut(Line<'_>)) {
        if self.length > 0 {
            self.complete(Terminator::Missing, &mut sink);
        }
    }

    /// A line that came in one piece needs no copy.
    fn whole(&mut self, piece: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        let content = piece.strip_suffix(b"\r").unwrap_or(piece);
        let next = self.start + piece.len() as u64 + 1;
        let cut = (content.len() > self.limit).then(|| LineCut {
            length: content.len() as u64,
            hash: short(blake3::hash(content)),
        });
        let bytes = &content[..content.len().min(self.limit)];
        sink(Line {
            position: self.start,
            next,
            bytes,
            cut,
        });
        self.start = next;
    }

    fn extend(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        let mut overflow = piece;
        if self.hasher.is_none() {
            let room = (self.limit + 1)
                .saturating_sub(self.kept.len())
                .min(piece.len());
            self.kept.extend_from_slice(&piece[..room]);
            overflow = &piece[room..];
            if overflow.is_empty() {
                return;
            }
            let mut hasher = Box::new(blake3::Hasher::new());
            if let Some((&last, before)) = self.kept.split_last() {
                hasher.update(before);
                self.last = last;
            }
            self.hasher = Some(hasher);
        }
        if let (Some(hasher), Some((&last, before))) = (&mut self.hasher, overflow.split_last()) {
            hasher.update(&[self.last]);
            hasher.update(before);
            self.last = last;
        }
    }

    fn complete(&mut self, terminator: Terminator, sink: &mut impl FnMut(Line<'_>)) {
        let ends_in_cr = match &self.hasher {
            Some(_) => self.last == b'\r',
            None => self.kept.last() == Some(&b'\r'),
        };
        let (terminator_bytes, strip) = match terminator {
            Terminator::Present => (1, u64::from(ends_in_cr)),
            Terminator::Missing => (0, 0),
        };
        let content = self.before as u64 + self.length - strip;
        let kept = usize::try_from(content).map_or(self.limit, |content| content.min(self.limit));
        let cut = (content > self.limit as u64).then(|| {
            let hash = if let Some(mut hasher) = self.hasher.take() {
                if strip == 0 {
                    hasher.update(&[self.last]);
                }
                hasher.finalize()
            } else {
                blake3::hash(&self.kept) // exactly one byte over the limit
            };
            LineCut {
                length: content,
                hash: short(hash),
            }
        });
        let next = self.start + self.length + terminator_bytes;
        sink(Line {
            position: self.start,
            next,
            bytes: &self.kept[..kept],
            cut,
        });
        self.start = next;
        self.length = 0;
        self.before = 0;
        self.hasher = None;
        self.kept.clear();
    }
}

#[derive(Clone, Copy)]
enum Terminator {
    Present,
    Missing,
}

fn short(hash: blake3::Hash) -> u128 {
    let mut first = [0_u8; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Owned {
        position: u64,
        next: u64,
        bytes: Vec<u8>,
        cut: Option<LineCut>,
    }

    fn own(line: Line<'_>) -> Owned {
        Owned {
            position: line.position,
            next: line.next,
            bytes: line.bytes.to_vec(),
            cut: line.cut,
        }
    }

    fn cut(content: &[u8], sizes: &[usize], limit: usize) -> Vec<Owned> {
        let mut cutter = LineCutter::with_limit(7, limit);
        let mut lines = Vec::new();
        let mut rest = content;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = sizes
                .next()
                .map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
            cutter.feed(&rest[..size], |line| lines.push(own(line)));
            rest = &rest[size..];
        }
        cutter.finish(|line| lines.push(own(line)));
        assert_eq!(cutter.fed(), 7 + content.len() as u64);
        lines
    }

    /// The definition, without streaming.
    fn model(content: &[u8], limit: usize) -> Vec<Owned> {
        let mut lines = Vec::new();
        let mut position = 7;
        for raw in content.split_inclusive(|byte| *byte == b'\n') {
            let zeros = raw.iter().take_while(|byte| **byte == 0).count();
            position += zeros as u64;
            let raw = &raw[zeros..];
            if raw.is_empty() {
                continue;
            }
            let text = raw
                .strip_suffix(b"\n")
                .map_or(raw, |line| line.strip_suffix(b"\r").unwrap_or(line));
            lines.push(Owned {
                position,
                next: position + raw.len() as u64,
                bytes: text[..text.len().min(limit)].to_vec(),
                cut: (text.len() > limit).then(|| LineCut {
                    length: text.len() as u64,
                    hash: short(blake3::hash(text)),
                }),
            });
            position += raw.len() as u64;
        }
        lines
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// R43: long lines take little memory.
        #[test]
        fn any_chunking_gives_the_same_lines(
            content in prop::collection::vec(prop::sample::select(b"ab\r\n\0\xff".to_vec()), 0..80),
            sizes in prop::collection::vec(1..12_usize, 1..6),
            limit in 1..9_usize,
        ) {
            prop_assert_eq!(cut(&content, &sizes, limit), model(&content, limit));
        }
    }

    proptest! {
        #[test]
        fn a_line_given_out_in_part_is_completed(
            line in prop::collection::vec(prop::sample::select(b"ab\r\xff".to_vec()), 2..40),
            at in 1..39_usize,
            sizes in prop::collection::vec(1..12_usize, 1..4),
        ) {
            let at = at.min(line.len() - 1);
            prop_assume!(line[at..] != *b"\r");
            let mut cutter = LineCutter::with_limit(100, 1_000);
            cutter.complete_later(&line[..at]);
            let mut rest = line[at..].to_vec();
            rest.extend_from_slice(b"\nnext\n");
            let mut lines = Vec::new();
            let mut pieces = rest.as_slice();
            for size in sizes.iter().cycle() {
                let size = (*size).min(pieces.len());
                cutter.feed(&pieces[..size], |line| lines.push(own(line)));
                pieces = &pieces[size..];
                if pieces.is_empty() {
                    break;
                }
            }
            let whole = line.strip_suffix(b"\r").unwrap_or(&line);
            prop_assert_eq!(lines.len(), 2);
            prop_assert_eq!(&lines[0].bytes[..], whole);
            prop_assert_eq!((lines[0].position, &lines[1].bytes[..]), (100, &b"next"[..]));
            prop_assert_eq!(cutter.fed(), 100 + rest.len() as u64);
        }
    }

    /// R43: long lines take little memory.
    #[test]
    fn a_long_line_is_kept_in_part_and_described_whole() {
        let mut content = vec![b'x'; LINE_LIMIT + 5];
        content.extend_from_slice(b"\r\nnext\n");
        for sizes in [
            &[1_usize << 20][..],
            &[1_000],
            &[LINE_LIMIT + 5],
            &[LINE_LIMIT + 6],
        ] {
            assert_eq!(
                cut(&content, sizes, LINE_LIMIT),
                model(&content, LINE_LIMIT)
            );
        }
    }

    /// R43: long lines take little memory.
    #[test]
    fn memory_does_not_grow_with_the_line() {
        let mut cutter = LineCutter::new(0);
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            cutter.feed(&piece, |_| panic!("no terminator yet"));
        }
        assert!(cutter.kept.capacity() <= 4 * LINE_LIMIT);
        let mut length = 0;
        cutter.feed(b"\n", |line| length = line.cut.map_or(0, |cut| cut.length));
        assert_eq!(length, 64 << 20);
    }
}
