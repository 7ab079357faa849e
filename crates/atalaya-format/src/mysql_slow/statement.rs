//! Where a string or a comment of an SQL text is open.

use super::super::split;

/// Longer statements are not looked through.
const MOST: usize = 64 * 1024;

/// Whether the statement of an event ends within a string or a comment: what follows is its text,
/// whatever it looks like.
pub fn is_open(event: &str) -> bool {
    let statement = behind_head(event);
    statement.len() <= MOST && ends_open(statement.as_bytes())
}

/// The text behind the comment lines, `use` and `SET timestamp`.
fn behind_head(event: &str) -> &str {
    let mut rest = event;
    loop {
        let (line, after) = split::line(rest);
        if !line.starts_with('#') && !line.starts_with("SET timestamp=") {
            return rest;
        }
        rest = after;
    }
}

fn ends_open(sql: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = sql.get(at) {
        let rest = sql.get(at + 1..).unwrap_or(&[]);
        let used = match byte {
            b'\'' | b'"' | b'`' => closing(rest, byte),
            b'#' => Some(line_end(rest)),
            b'-' if rest.starts_with(b"- ") || rest.starts_with(b"-\t") => Some(line_end(rest)),
            b'/' if rest.starts_with(b"*") => {
                memchr::memmem::find(rest.get(1..).unwrap_or(&[]), b"*/").map(|end| end + 3)
            }
            _ => Some(0),
        };
        match used {
            Some(used) => at += 1 + used,
            None => return true,
        }
    }
    false
}

/// Bytes up to the end of the line; a comment at the end of the text is not open.
fn line_end(rest: &[u8]) -> usize {
    memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

/// Bytes up to and with the closing quote; a doubled one begins the next string, which is the same.
fn closing(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(quote, b'\\', rest.get(at..)?)?;
        if rest.get(at) == Some(&quote) {
            return Some(at + 1);
        }
        at += if quote == b'`' { 1 } else { 2 };
    }
}
