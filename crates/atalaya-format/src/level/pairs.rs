//! The first two letters of a set of words: a look-up that spares most words of a text the walk
//! through the set.

/// Pairs of small letters; any word with a letter beyond ASCII among its first two passes.
#[derive(Clone, Copy, Debug)]
pub struct Pairs([u32; 26]);

impl Pairs {
    /// The pairs as they stand in a text, apart by blanks: `de in wa er`.
    pub const fn new(pairs: &[u8]) -> Self {
        let mut rows = [0_u32; 26];
        let mut at = 0;
        while at + 1 < pairs.len() {
            if pairs[at] == b' ' {
                at += 1;
                continue;
            }
            rows[(pairs[at] - b'a') as usize] |= 1 << (pairs[at + 1] - b'a');
            at += 2;
        }
        Self(rows)
    }

    /// Whether a word may be one of the set, in any case.
    #[inline]
    pub fn may_have(&self, word: &[u8]) -> bool {
        let &[first, second, ..] = word else {
            return false;
        };
        if first >= 0x80 || second >= 0x80 {
            return true;
        }
        let (row, column) = (
            (first | 0x20).wrapping_sub(b'a'),
            (second | 0x20).wrapping_sub(b'a'),
        );
        column < 26
            && self
                .0
                .get(usize::from(row))
                .is_some_and(|row| row >> column & 1 == 1)
    }
}
