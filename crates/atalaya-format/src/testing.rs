//! What the tests of several formats do alike: a whole text through the decoder, and a field of a
//! line that was read.

use atalaya_domain::record::Entry;
use atalaya_domain::time::Timestamp;

use super::{Choice, Decoder, Line, Parsed, TimeHint};

/// The records of a text of which no format is named, and the decoder that read it.
pub fn decoded(text: &str, hint: TimeHint) -> (Vec<Entry>, Decoder) {
    let mut decoder = Decoder::new(Choice::Any(None), hint);
    let mut entries = Vec::new();
    let mut position = 0;
    for line in text.lines() {
        let next = position + line.len() as u64 + 1;
        let line = Line {
            position,
            next,
            bytes: line.as_bytes(),
            cut: None,
        };
        decoder.line(line, &mut |entry| entries.push(entry));
        position = next;
    }
    decoder.finish(&mut |entry| entries.push(entry));
    (entries, decoder)
}

/// The first value under a name.
pub fn meta<'p>(parsed: &'p Parsed<'_>, name: &str) -> Option<&'p str> {
    parsed
        .metadata
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, text)| text.as_ref())
}

/// The stamp as RFC 3339; empty without one.
pub fn at(parsed: &Parsed<'_>) -> String {
    parsed
        .timestamp
        .map(Timestamp::to_rfc3339)
        .unwrap_or_default()
}
