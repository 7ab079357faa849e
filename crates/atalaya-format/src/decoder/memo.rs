//! What read the lines before, by how they begin: most lines of a file begin like one before them.
//!
//! The order of the registry decides who has a line, and asking thirty formats costs more than reading
//! it. A line whose first bytes are those of an earlier one, digits aside, is therefore given first
//! to what read that one: stamp, level, logger and separators stand in these bytes, and what stood
//! before it in the registry has refused them already. What does not read it asks everybody.

use super::super::{Envelope, Format};

/// How much of a line is its beginning.
const BEGINNING: usize = 40;
/// A file has few kinds of lines; a power of two.
const PLACES: usize = 64;

/// What took a line.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// `None`: no envelope opened it.
    pub envelope: Option<&'static dyn Envelope>,
    pub format: Option<&'static dyn Format>,
}

/// One place for each kind of beginning; a later kind takes the place of an earlier one.
#[derive(Debug)]
pub struct Memo(Box<[Option<(u64, Taken)>; PLACES]>);

impl Default for Memo {
    fn default() -> Self {
        Self(Box::new([None; PLACES]))
    }
}

impl Memo {
    pub fn find(&self, key: u64) -> Option<Taken> {
        match self.0.get(place(key)) {
            Some(Some((known, taken))) if *known == key => Some(*taken),
            _ => None,
        }
    }

    pub fn note(&mut self, key: u64, taken: Taken) {
        if let Some(place) = self.0.get_mut(place(key)) {
            *place = Some((key, taken));
        }
    }
}

/// By the upper bits of the key: what differs in the last bytes of a beginning differs there only.
fn place(key: u64) -> usize {
    (key >> (u64::BITS - PLACES.ilog2())) as usize
}

/// A number for the beginning of a text, its digits alike; `None` for objects, whose members come in
/// any order, and for no text at all. `within` tells text inside of
/// envelopes from text of the file.
pub fn key(text: &str, within: usize) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.first().is_none_or(|&first| first == b'{') {
        return None;
    }
    let mut head = [0_u8; BEGINNING];
    let length = bytes.len().min(BEGINNING);
    head.get_mut(..length)?
        .copy_from_slice(bytes.get(..length)?);
    for byte in &mut head {
        *byte = if byte.is_ascii_digit() { b'0' } else { *byte };
    }
    let (words, _) = head.as_chunks::<8>();
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64 ^ (within as u64);
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_alike_have_one_key() {
        let one = key("2026-11-22 10:00:00,123 - shop.orders - INFO - order 5", 0);
        assert_eq!(
            one,
            key("2027-01-01 23:59:59,999 - shop.orders - INFO - a user", 0)
        );
        for other in [
            "2026-11-22 10:00:00.123 - shop.orders - INFO - order 5",
            "2026-11-22 10:00:00,123 - x",
            "",
        ] {
            assert_ne!(one, key(other, 0), "{other}");
        }
        assert_ne!(
            one,
            key("2026-11-22 10:00:00,123 - shop.orders - INFO - order 5", 1)
        );
        assert_eq!(key("{\"a\":1}", 0), None);
    }
}
