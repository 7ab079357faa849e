//! How far the origins stood in segments that are gone. With it the ingest reads on while the store
//! is away; without it the store is asked, which knows the same.
//!
//! ```text
//! positions = "ATLPOSIT" version:4 next_seq:8 covers:8 (origin:16 until:8 segment:8)* crc:4
//! ```
//!
//! Written before the segments it stands for are removed; there is only ever one, because an older
//! one would be wrong.

use std::collections::HashMap;

use super::segment::{Fields, Index, VERSION, add_sum};
use atalaya_domain::record::OriginId;

pub(crate) const FILE: &str = "positions";
const MAGIC: &[u8; 8] = b"ATLPOSIT";
/// Beyond this many, the half that was not seen for longest is left to the store.
const MOST_ORIGINS: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub until: u64,
    /// The last segment that held the origin.
    pub segment: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Positions {
    /// The sequence that was next when this was written.
    pub next_seq: u64,
    /// Segments up to this number are gone.
    pub covers: u64,
    pub until: HashMap<OriginId, Known>,
    /// Some were left to the store just now.
    pub was_thinned: bool,
}

impl Positions {
    /// Takes over what a segment knows that is about to go.
    pub fn absorb(&mut self, index: &Index) {
        self.covers = self.covers.max(index.number);
        for (origin, &until) in &index.until {
            let known = self.until.entry(*origin).or_insert(Known {
                until,
                segment: index.number,
            });
            known.until = known.until.max(until);
            known.segment = known.segment.max(index.number);
        }
        self.was_thinned = self.until.len() > MOST_ORIGINS;
        if self.was_thinned {
            let mut segments: Vec<u64> = self.until.values().map(|known| known.segment).collect();
            segments.sort_unstable();
            let middle = segments[segments.len() / 2];
            self.until.retain(|_, known| known.segment > middle);
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + 32 * self.until.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.next_seq.to_le_bytes());
        out.extend_from_slice(&self.covers.to_le_bytes());
        for (origin, known) in &self.until {
            out.extend_from_slice(&origin.as_u128().to_le_bytes());
            out.extend_from_slice(&known.until.to_le_bytes());
            out.extend_from_slice(&known.segment.to_le_bytes());
        }
        add_sum(&mut out);
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Fields::checked(bytes, *MAGIC)?;
        let mut positions = Self {
            next_seq: input.long()?,
            covers: input.long()?,
            ..Self::default()
        };
        while !input.is_empty() {
            let origin = input.origin()?;
            positions.until.insert(
                origin,
                Known {
                    until: input.long()?,
                    segment: input.long()?,
                },
            );
        }
        Some(positions)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn index(number: u64, origins: std::ops::Range<u128>, until: u64) -> Index {
        let mut index = Index::new(number, 1);
        for origin in origins {
            index.reach(OriginId::from_u128(origin), until);
        }
        index
    }

    #[test]
    fn positions_are_read_back_or_refused() {
        let mut positions = Positions {
            next_seq: 40,
            ..Positions::default()
        };
        positions.absorb(&index(3, 0..4, 100));
        positions.absorb(&index(4, 2..6, 90));
        let bytes = positions.to_bytes();
        let read = Positions::from_bytes(&bytes).unwrap();
        assert_eq!(read, positions);
        assert_eq!((read.covers, read.next_seq), (4, 40));
        assert_eq!(
            read.until[&OriginId::from_u128(3)],
            Known {
                until: 100,
                segment: 4
            }
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Positions::from_bytes(&damaged), None);
        }
    }

    #[test]
    fn origins_of_old_segments_are_left_to_the_store() {
        let mut positions = Positions::default();
        positions.absorb(&index(1, 0..60_000, 1));
        assert!(!positions.was_thinned);
        positions.absorb(&index(2, 60_000..110_000, 1));
        assert!(positions.was_thinned);
        assert!(positions.until.values().all(|known| known.segment == 2));
        assert_eq!(positions.until.len(), 50_000);
    }
}
