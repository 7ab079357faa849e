//! Signs that stand somewhere in a line: what a format cannot do without tells most lines off before
//! the format itself is asked.

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

    /// Those that stand in a text.
    pub fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .fold(0, |set, byte| set | BITS[usize::from(byte)]),
        )
    }

    /// Whether all these are among them.
    pub const fn has(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
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
    }
}
