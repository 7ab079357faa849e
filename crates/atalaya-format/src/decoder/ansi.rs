//! Colours and other terminal sequences of a line, taken off before anything reads it.

use std::borrow::Cow;

/// The text without its ANSI escape sequences: `ESC [ … final` and `ESC ] … BEL`. Any other use of
/// the escape character stays, to be shown for what it is.
pub fn without_colours(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(ESCAPE, text.as_bytes()).is_none() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = memchr::memchr(ESCAPE, rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let used = sequence(from);
        if used == 0 {
            out.push('\u{1b}');
            rest = from.get(1..).unwrap_or("");
        } else {
            rest = from.get(used..).unwrap_or("");
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

const ESCAPE: u8 = 0x1b;

/// Length of the sequence at the start; 0 when it is none.
///
/// Source: ECMA-48, sections 5.4 (control sequences) and 5.6 (control strings).
fn sequence(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        Some(b'[') => {
            let parameters = bytes
                .iter()
                .skip(2)
                .take_while(|byte| matches!(byte, 0x20..=0x3f))
                .count();
            match bytes.get(2 + parameters) {
                Some(0x40..=0x7e) => 3 + parameters,
                _ => 0,
            }
        }
        Some(b']') => {
            // A title or a link; what does not end soon is none.
            const LONGEST: usize = 2_048;
            let near = bytes.get(..bytes.len().min(LONGEST)).unwrap_or(bytes);
            let bell = memchr::memchr(0x07, near).map(|at| at + 1);
            let string = memchr::memmem::find(near, b"\x1b\\").map(|at| at + 2);
            match (bell, string) {
                (Some(one), Some(other)) => one.min(other),
                (one, other) => one.or(other).unwrap_or(0),
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_text_stays() {
        for (text, plain) in [
            ("\u{1b}[31mERROR\u{1b}[0m x", "ERROR x"),
            ("\u{1b}[2K\u{1b}[38;5;10mweb\u{1b}[m | a", "web | a"),
            ("a\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\b", "alinkb"),
            ("a\u{1b}b", "a\u{1b}b"),
            ("a\u{1b}[", "a\u{1b}["),
            ("a\u{1b}[31é", "a\u{1b}[31é"),
            ("\u{1b}", "\u{1b}"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_colours(text.into()), plain, "{text:?}");
        }
    }
}
