//! What a file is, from its first lines and its path: the source and the layer of its records.
//!
//! Which format reads a line is decided line by line (see [`Decoder`]); this only gives the file
//! its name.

use std::path::Path;

use super::decoder::{Choice, Tally};
use super::{Decoder, Format, Line, Shape, SourceZone, TimeHint, by_name};
use atalaya_domain::time::Timestamp;

/// How many lines are looked at.
pub const DETECT_LINES: usize = 64;

/// What was found.
#[derive(Clone, Debug)]
pub struct Detected {
    /// What read most of the records strictly; plain text when nothing read at least half of them.
    pub shape: Shape,
    /// Where two formats write the same lines: the one that the path names.
    pub preferred: Option<&'static dyn Format>,
    /// How many records of the sample each format gave.
    pub tally: Tally,
}

/// Looks at the first lines of a file.
pub fn detect(path: &Path, lines: &[&str]) -> Detected {
    let preferred = preferred(path);
    let hint = TimeHint {
        reference: Timestamp::from_seconds(1_700_000_000),
        zone: SourceZone::Utc,
    };
    let mut decoder = Decoder::new(Choice::Any(preferred), hint);
    let mut position = 0;
    for line in lines.iter().take(DETECT_LINES) {
        let next = position + line.len() as u64 + 1;
        decoder.line(
            Line {
                position,
                next,
                bytes: line.as_bytes(),
                cut: None,
            },
            &mut |_| {},
        );
        position = next;
    }
    decoder.finish(&mut |_| {});
    let tally = decoder.tally().clone();
    let shares = tally.by_shape();
    let records: u64 = shares.iter().map(|(_, count)| count).sum();
    let known = shares
        .iter()
        .copied()
        .filter(|(name, _)| *name != super::plain::SPEC.name);
    let best = known.max_by_key(|(_, count)| *count);
    // Apache's log has lines that nginx never writes, and many that both do.
    let apache = shares.iter().any(|(name, _)| *name == "apache-access");
    let best = best.map(|(name, count)| match name {
        "nginx-access" if apache => ("apache-access", count),
        _ => (name, count),
    });
    let shape = best
        .filter(|(_, count)| count * 2 >= records)
        .and_then(|(name, _)| by_name(name))
        .unwrap_or(Shape::Plain);
    Detected {
        shape,
        preferred,
        tally,
    }
}

/// nginx and Apache write the same combined log; the path says whose it is.
pub fn preferred(path: &Path) -> Option<&'static dyn Format> {
    let path = path.to_string_lossy().to_ascii_lowercase();
    let name = if path.contains("apache") || path.contains("httpd") {
        "apache-access"
    } else {
        return None;
    };
    match by_name(name) {
        Some(Shape::Format(format)) => Some(format),
        _ => None,
    }
}
