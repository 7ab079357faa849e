//! Lines of applications in general: a stamp, a level, and what people put around them.
//!
//! Loggers are configured with patterns, and most patterns are a row of the same parts: stamp, level,
//! logger, thread or process, place in the source, ids of the request, message. They stand in any
//! order, in brackets or apart by blanks, dashes, pipes, tabs, semicolons or colons. This reads them
//! all by one set of rules; the formats of their own are for what these rules cannot know.
//!
//! Strict: there must be a stamp **and** a level, and the level must stand like one: in capitals, in
//! brackets, in a column, or before a colon right behind the stamp. What stands in front of it must
//! be names, numbers and pairs, not a sentence. A line with a stamp and no level is left to others.
//! What is not placed stays in the message.
//!
//! Sources: the pattern languages of the loggers (Python's `logging`, Logback, Log4j, `NLog`, Serilog,
//! `spdlog`) and the default patterns of the servers that use them.

use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, SourceZone, TimeHint,
};
use atalaya_domain::record::Layer;
use atalaya_domain::time::Timestamp;

mod gap;
mod head;
mod names;
pub mod stamp;
pub mod tail;
pub mod words;

use gap::Gap;
use head::Head;

/// `app-line`.
#[derive(Clone, Copy, Debug)]
pub struct AppLine;

/// Whether a line has a header does not depend on the hint.
pub const ANY_HINT: TimeHint = TimeHint {
    reference: Timestamp::from_seconds(1_700_000_000),
    zone: SourceZone::Utc,
};

/// Lines may be indented a little by a collector; further in, a stamp is part of something.
const MOST_INDENT: usize = 8;

impl Format for AppLine {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "app-line",
            source: "app/log",
            layer: Layer::Application,
            begins: Begins::DIGITS
                .or(Begins::these(b"[(< "))
                .or(Begins::these(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if may_open(line) {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no stamp and level"))
    }
}

/// A look at the first bytes.
fn may_open(line: &str) -> bool {
    let bare = line.trim_start_matches(' ');
    if line.len() - bare.len() > MOST_INDENT {
        return false;
    }
    let bytes = bare.as_bytes();
    match bytes.first() {
        Some(b'[' | b'(' | b'<') => bytes.get(1).is_some_and(|byte| {
            byte.is_ascii_digit()
                || byte.is_ascii_uppercase()
                || matches!(byte, b' ' | b'[' | b'i' | b'w' | b'e' | b'd')
        }),
        // `240501 10:00:00` is `MySQL`'s.
        Some(b'0'..=b'9') if bytes.iter().position(|byte| !byte.is_ascii_digit()) == Some(6) => {
            false
        }
        Some(b'0'..=b'9') => stamp::may_be_stamp(bytes) && may_have_level(bytes) && !is_mysql(bare),
        _ if stamp::may_be_stamp(bytes) => true,
        Some(b'A'..=b'Z') => {
            let end = bytes
                .iter()
                .take(14)
                .position(|byte| !byte.is_ascii_uppercase());
            end.is_some_and(|end| {
                (3..=13).contains(&end)
                    && matches!(
                        bytes.get(end),
                        Some(b' ' | b':' | b'|' | b'\t' | b'[' | b',' | b';')
                    )
            })
        }
        _ => false,
    }
}

/// Whether anything stands behind the stamp that a level could be, or be marked by: three capitals, a
/// bracket, a column, a colon. Most text has none near its start, which is told of all bytes at once.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "no way out between: many bytes go through each step together"
)]
fn may_have_level(bytes: &[u8]) -> bool {
    const NEAR: usize = 160;
    const NEXT: usize = 40;
    let near = bytes.get(7..NEAR.min(bytes.len())).unwrap_or_default();
    // Most stamps have the level next to them.
    if has_capitals(near.get(..NEXT).unwrap_or(near)) {
        return true;
    }
    let mut capitals = 0_u8;
    let mut marked = false;
    for &byte in near {
        capitals += u8::from(byte.wrapping_sub(b'A') < 26);
        marked |= (byte == b'[') | (byte == b'|') | (byte == b'\t') | (byte == b';');
        marked |= (byte == b'<') | (byte == b'(') | (byte == b'{');
    }
    let behind = near.get(1..).unwrap_or_default();
    for (&byte, &next) in near.iter().zip(behind) {
        marked |= ((byte == b' ') | (byte == b':')) & (next == b' ');
    }
    marked || capitals >= 3 && has_capitals(near)
}

/// Three capitals with nothing but colons between them.
fn has_capitals(bytes: &[u8]) -> bool {
    let mut capitals = 0;
    bytes.iter().any(|byte| {
        capitals = match byte {
            b'A'..=b'Z' => capitals + 1,
            b':' => capitals,
            _ => 0,
        };
        capitals == 3
    })
}

/// `2024-05-01 10:00:00 12 [Warning] …` is `MySQL`'s.
fn is_mysql(line: &str) -> bool {
    let Some(rest) = stamp::behind_iso(line).and_then(|rest| rest.strip_prefix(' ')) else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let Some(rest) = rest.get(digits..).and_then(|rest| rest.strip_prefix(" [")) else {
        return false;
    };
    digits > 0
        && ["Note]", "Warning]", "ERROR]", "System]", "Error]", "NOTE]"]
            .iter()
            .any(|word| rest.starts_with(word))
}

/// Reads one record, lines after the first included.
pub fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let line = text.get(..end)?;
    let mut head = Head::default();
    let rest = head.front(line.trim_start_matches(' '), hint, out)?;
    let (rest, gap) = if head.level.is_some() {
        gap::skip(rest)
    } else {
        head.read_to_level(rest)?
    };
    let rest = head.names(rest, gap);
    let message = text.get(line.len() - rest.len()..)?;
    head.finish(message, hint, out)
}

/// The header of a text behind its stamp: level, names and message. For formats that know what stands
/// in front.
pub fn read_behind_stamp<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let line = text.get(..end)?;
    let mut head = Head::default();
    let (rest, gap): (&str, Gap) = head.read_to_level(line)?;
    let rest = head.names(rest, gap);
    let message = text.get(line.len() - rest.len()..)?;
    head.finish(message, hint, out)
}

#[cfg(test)]
mod tests;
