//! What separates the parts of a header.

/// The strongest separator between two parts, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// The parts touch: `][`.
    None,
    Space,
    /// Two blanks or more: a column that was filled up.
    Wide,
    /// `: `.
    Colon,
    /// `:` with nothing behind it: `2024-05-01 10:00:00,123:ERROR:text`.
    Tight,
    /// ` - `, ` -- `, ` --- `.
    Dash,
    /// `, `.
    Comma,
    Semicolon,
    Tab,
    Pipe,
}

impl Gap {
    /// The part behind it stands in a column of its own.
    pub fn is_column(self) -> bool {
        self >= Self::Dash
    }

    /// The byte that ends a column of this kind.
    pub const fn byte(self) -> Option<u8> {
        match self {
            Self::Pipe => Some(b'|'),
            Self::Tab => Some(b'\t'),
            Self::Semicolon => Some(b';'),
            _ => None,
        }
    }
}

/// Skips separators at the start.
pub fn skip(text: &str) -> (&str, Gap) {
    let bytes = text.as_bytes();
    let is_space = |at: usize| {
        bytes
            .get(at)
            .is_none_or(|byte| matches!(byte, b' ' | b'\t'))
    };
    let mut at = 0;
    let mut blanks = 0;
    let mut gap = Gap::None;
    while let Some(&byte) = bytes.get(at) {
        let found = match byte {
            b' ' => {
                blanks += 1;
                if blanks > 1 { Gap::Wide } else { Gap::Space }
            }
            b'\t' => Gap::Tab,
            b'|' => Gap::Pipe,
            b';' => Gap::Semicolon,
            b',' if is_space(at + 1) => Gap::Comma,
            b':' if is_space(at + 1) => Gap::Colon,
            b':' if gap == Gap::None && at == 0 => Gap::Tight,
            b'-' if gap >= Gap::Space => {
                let dashes = bytes
                    .iter()
                    .skip(at)
                    .take(4)
                    .take_while(|byte| **byte == b'-')
                    .count();
                if dashes > 3 || !is_space(at + dashes) {
                    break;
                }
                at += dashes - 1;
                Gap::Dash
            }
            _ => break,
        };
        gap = gap.max(found);
        at += 1;
    }
    (text.get(at..).unwrap_or(""), gap)
}

/// Skips blanks and one separator among them: what stands between a header and its message, where a
/// second separator is the message's own (`INFO: - item`).
pub fn skip_one(text: &str) -> (&str, Gap) {
    let bare = text.trim_start_matches(' ');
    let blank = match text.len() - bare.len() {
        0 => Gap::None,
        1 => Gap::Space,
        _ => Gap::Wide,
    };
    let (after, gap) = match *bare.as_bytes() {
        [b'|', ..] => (1, Gap::Pipe),
        [b'\t', ..] => (1, Gap::Tab),
        [b';', ..] => (1, Gap::Semicolon),
        [b':'] | [b':', b' ' | b'\t', ..] => (1, Gap::Colon),
        [b':', ..] if blank == Gap::None => (1, Gap::Tight),
        [b',', b' ' | b'\t', ..] => (1, Gap::Comma),
        [b'-', b' ' | b'\t', ..] if blank != Gap::None => (1, Gap::Dash),
        [b'-', b'-', b' ' | b'\t', ..] if blank != Gap::None => (2, Gap::Dash),
        [b'-', b'-', b'-', b' ' | b'\t', ..] if blank != Gap::None => (3, Gap::Dash),
        _ => return (bare, blank),
    };
    (bare.get(after..).unwrap_or("").trim_start_matches(' '), gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_separator_counts() {
        for (text, rest, gap) in [
            (" x", "x", Gap::Space),
            ("   x", "x", Gap::Wide),
            (" - x", "x", Gap::Dash),
            ("|x", "x", Gap::Pipe),
            ("  | x", "x", Gap::Pipe),
            (": x", "x", Gap::Colon),
            (":x", "x", Gap::Tight),
            (", x", "x", Gap::Comma),
            (",x", ",x", Gap::None),
            (" --- [x", "[x", Gap::Dash),
            (" ------", "------", Gap::Space),
            (" -x", "-x", Gap::Space),
            ("x", "x", Gap::None),
            ("", "", Gap::None),
        ] {
            assert_eq!(skip(text), (rest, gap), "{text:?}");
        }
        for (text, message) in [
            (" - x", "x"),
            (": x", "x"),
            (" -----", "-----"),
            (" ::x", "::x"),
            (":", ""),
            (": - x", "- x"),
        ] {
            assert_eq!(skip_one(text).0, message, "{text:?}");
        }
    }
}
