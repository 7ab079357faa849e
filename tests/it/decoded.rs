//! A whole file through the decoder, as the tests of formats look at it.

#![allow(dead_code, reason = "each test binary uses its part of this one")]

use atalaya::domain::record::Entry;
use atalaya::domain::time::Timestamp;
use atalaya::ingest::format::{
    Choice, DecodeCounts, Decoder, Line, Shape, SourceZone, TimeHint, by_name,
};

pub fn format(name: &str) -> Shape {
    by_name(name).unwrap_or_else(|| panic!("no format is called {name}"))
}

/// Stamps without a zone are UTC; those without a year are nearest to the reference.
pub fn hint(reference: &str) -> TimeHint {
    TimeHint {
        reference: instant(reference).unwrap(),
        zone: SourceZone::Utc,
    }
}

/// What the decoder made of a whole file.
#[derive(Debug)]
pub struct Decoded {
    pub entries: Vec<Entry>,
    pub counts: DecodeCounts,
}

impl Decoded {
    /// Entries that carry no parse error.
    pub fn read(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.metadata("parse_error").is_none())
            .count()
    }
}

pub fn cut_lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let mut position = 0;
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| {
            let next = position + line.len() as u64;
            let bare = line
                .strip_suffix(b"\n")
                .map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
            let cut = Line {
                position,
                next,
                bytes: bare,
                cut: None,
            };
            position = next;
            cut
        })
        .collect()
}

/// Runs the decoder over all bytes, and checks what holds for every input: the counts add up and
/// positions grow.
pub fn decode(format: Shape, bytes: &[u8], hint: TimeHint) -> Decoded {
    let mut decoder = Decoder::new(Choice::Only(format), hint);
    let mut entries = Vec::new();
    for line in cut_lines(bytes) {
        decoder.line(line, &mut |entry| entries.push(entry));
    }
    decoder.finish(&mut |entry| entries.push(entry));
    let counts = decoder.counts();
    assert_eq!(
        counts.lines,
        counts.records + counts.joined + counts.skipped,
        "{counts:?}"
    );
    assert_eq!(counts.records, entries.len() as u64);
    assert!(entries.is_sorted_by(|a, b| a.position < b.position));
    Decoded { entries, counts }
}

/// An instant in the spellings of the expectations.
pub fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(at.into());
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|spelling| chrono::NaiveDateTime::parse_from_str(text, spelling).ok())
        .map(|at| at.and_utc().into())
}
