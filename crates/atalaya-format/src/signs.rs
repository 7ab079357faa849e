//! Signs that stand somewhere in a line: what a format cannot do without tells most lines off before
//! the format itself is asked.

use super::app_line::stamp::prose_behind_iso;

/// A set of the signs that formats ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs(u16);

/// One bit each, in this order.
const SIGNS: &[u8; 11] = b"[]{}|\t=:,\"/";

/// The bit of each byte; 0 for all that are none of these.
const BITS: [u16; 256] = {
    let mut bits = [0; 256];
    let mut at = 0;
    while at < SIGNS.len() {
        bits[SIGNS[at] as usize] = 1 << at;
        at += 1;
    }
    bits
};

impl Signs {
    pub const NONE: Self = Self(0);

    /// The set of these bytes.
    ///
    /// # Panics
    ///
    /// For a byte that is looked for in no line: while compiling, as all sets are constant.
    pub const fn these(signs: &[u8]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < signs.len() {
            assert!(
                BITS[signs[at] as usize] != 0,
                "a sign that is looked for in no line"
            );
            set |= BITS[signs[at] as usize];
            at += 1;
        }
        Self(set)
    }

    /// It begins with no date such as `2026-11-22`.
    pub const UNDATED: Self = Self(1 << 14);
    /// What it begins with is no stamp with words in small letters behind it, as text has them that
    /// no format reads.
    pub const NO_PROSE: Self = Self(1 << 15);

    /// Both of these sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that a text has.
    pub fn of(text: &str) -> Self {
        let set = text
            .bytes()
            .fold(0, |set, byte| set | BITS[usize::from(byte)]);
        let dated = is_dated(text.as_bytes());
        if !dated {
            return Self(set).and(Self::UNDATED).and(Self::NO_PROSE);
        }
        if prose_behind_iso(text) {
            Self(set)
        } else {
            Self(set).and(Self::NO_PROSE)
        }
    }

    /// Whether all these are among them.
    pub const fn has(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

fn is_dated(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [
            b'0'..=b'9',
            b'0'..=b'9',
            b'0'..=b'9',
            b'0'..=b'9',
            b'-',
            _,
            _,
            b'-',
            ..
        ]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_needed_must_be_there() {
        let signs = Signs::of("2026-11-22 [INFO] a=b");
        assert!(signs.has(Signs::these(b"[]=")) && signs.has(Signs::NONE));
        assert!(!signs.has(Signs::these(b"[|")));
        assert!(!Signs::of("").has(Signs::these(b"\t")));
        for (text, undated, no_prose) in [
            ("2026-11-22 10:00:00 order 5", false, false),
            ("2026-11-22 10:00:00 INFO order 5", false, true),
            ("10:00:00 order 5", true, true),
            ("", true, true),
        ] {
            let signs = Signs::of(text);
            let found = (signs.has(Signs::UNDATED), signs.has(Signs::NO_PROSE));
            assert_eq!(found, (undated, no_prose), "{text}");
        }
    }
}
