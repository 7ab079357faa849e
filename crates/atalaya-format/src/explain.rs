//! Why the lines of a file are read as they are: what was considered, what each format reads
//! strictly, what won, and the first lines that nothing reads.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use super::decoder::Choice;
use super::detect::{DETECT_LINES, detect, preferred};
use super::{Decoder, Line, Opens, Parsed, Shape, TimeHint, all};
use atalaya_domain::record::{Layer, Text};

/// How many lines that fit nothing are shown.
const SHOWN: usize = 3;

/// The answer for one file.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Lines looked at, blank ones left out.
    pub lines: u64,
    pub records: u64,
    /// What the file is taken for.
    pub format: &'static str,
    pub source: Text,
    pub layer: Layer,
    /// Those that read at least one line strictly, the most first.
    pub considered: Vec<Considered>,
    /// Names of the formats that read none.
    pub read_nothing: Vec<&'static str>,
    /// How many lines begin a record that no format reads.
    pub unread_lines: u64,
    /// The first of them.
    pub unread: Vec<UnreadLine>,
}

/// One format or envelope.
#[derive(Clone, Debug, Serialize)]
pub struct Considered {
    pub name: &'static str,
    pub is_envelope: bool,
    /// Lines that it reads strictly, whoever got them.
    pub strict: u64,
    /// Records that it gave.
    pub won: u64,
}

/// A line that no format reads.
#[derive(Clone, Debug, Serialize)]
pub struct UnreadLine {
    /// Counted from 1.
    pub number: usize,
    pub text: String,
    /// What the format that the file is taken for says of it.
    pub why: Option<String>,
}

/// Looks at lines of a file, terminators left out.
pub fn explain(path: &Path, lines: &[&str], hint: &TimeHint) -> Explanation {
    let first: Vec<&str> = lines.iter().copied().take(DETECT_LINES).collect();
    let shape = detect(path, &first).shape;
    let mut decoder = Decoder::new(Choice::Any(preferred(path)), hint.clone());
    let mut begin = HashSet::new();
    let mut records = 0;
    let mut position = 0;
    let mut places = Vec::with_capacity(lines.len());
    let mut sink = |entry: atalaya_domain::record::Entry| {
        records += 1;
        begin.insert(entry.position);
    };
    for line in lines {
        let next = position + line.len() as u64 + 1;
        decoder.line(
            Line {
                position,
                next,
                bytes: line.as_bytes(),
                cut: None,
            },
            &mut sink,
        );
        places.push(position);
        position = next;
    }
    decoder.finish(&mut sink);

    let shapes: Vec<Shape> = all().filter(|shape| *shape != Shape::Plain).collect();
    let mut strict = vec![0_u64; shapes.len()];
    let mut unread = Vec::new();
    let mut unread_lines = 0;
    for ((index, line), place) in lines.iter().enumerate().zip(&places) {
        let mut read = false;
        for (shape, count) in shapes.iter().zip(&mut strict) {
            if reads(*shape, line, hint) {
                *count += 1;
                read = true;
            }
        }
        if !read && begin.contains(place) && !line.trim_ascii().is_empty() {
            unread_lines += 1;
            if unread.len() < SHOWN {
                unread.push(UnreadLine {
                    number: index + 1,
                    text: (*line).to_owned(),
                    why: refusal(shape, line, hint),
                });
            }
        }
    }
    let won = |name: &str| decoder.tally().of(name);
    let mut considered: Vec<Considered> = Vec::new();
    let mut read_nothing = Vec::new();
    for (shape, strict) in shapes.iter().zip(strict) {
        let (name, is_envelope) = (shape.name(), matches!(shape, Shape::Envelope(_)));
        match considered.iter_mut().find(|known| known.name == name) {
            Some(known) => known.strict = known.strict.max(strict),
            None if strict == 0 => read_nothing.push(name),
            None => considered.push(Considered {
                name,
                is_envelope,
                strict,
                won: won(name),
            }),
        }
    }
    considered.sort_by_key(|one| (std::cmp::Reverse(one.won), std::cmp::Reverse(one.strict)));
    Explanation {
        lines: lines
            .iter()
            .filter(|line| !line.trim_ascii().is_empty())
            .count() as u64,
        records,
        format: shape.name(),
        source: shape.source_in(path),
        layer: shape.default_layer(),
        considered,
        read_nothing,
        unread_lines,
        unread,
    }
}

fn reads(shape: Shape, line: &str, hint: &TimeHint) -> bool {
    let first = line.as_bytes().first().copied().unwrap_or(0);
    if !shape.spec().begins.has(first) {
        return false;
    }
    let mut out = Parsed::default();
    match shape {
        Shape::Envelope(envelope) => envelope.open(line, hint, &mut out).is_ok(),
        Shape::Format(format) => match format.opens(line) {
            Opens::No | Opens::Header => false,
            Opens::Unfinished => true,
            Opens::Parsed => format.parse(line, hint, &mut out).is_ok(),
        },
        Shape::Plain => false,
    }
}

fn refusal(shape: Shape, line: &str, hint: &TimeHint) -> Option<String> {
    let mut out = Parsed::default();
    let refused = match shape {
        Shape::Envelope(envelope) => envelope.open(line, hint, &mut out).err(),
        Shape::Format(format) => format.parse(line, hint, &mut out).err(),
        Shape::Plain => None,
    };
    refused.map(|mismatch| mismatch.to_string())
}
