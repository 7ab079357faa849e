//! Bytes that are not UTF-8, kept exactly.
//!
//! In a record marked `escaped_bytes=true` every field spells such a byte as `\xNN` and doubles
//! each backslash, so [`unescape`] gives the exact bytes back. Records without the mark are
//! verbatim: a backslash in them is a backslash.
//!
//! Escaping happens last, field by field, or it would change what a format reads (`\"` in JSON).
//! Until then each byte travels as one character of a private block; if the input itself holds a
//! character of that block, its bytes travel the same way, so nothing is ambiguous.

use std::borrow::Cow;
use std::fmt::Write as _;

/// 256 characters at the end of the last private plane stand for the 256 bytes.
const CARRIER: u32 = 0x0010_FE00;
/// All characters of the block begin with these three bits of UTF-8: `F4 8F B8..BB`.
const CARRIER_LEAD: u8 = 0xF4;

/// The carried form of a line, when it needs one: `None` for plain UTF-8.
pub fn carry(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| carry_forced(bytes))
}

/// The carried form, also for text that is UTF-8: what a record marked earlier needs of its next
/// lines.
pub fn carry_forced(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if carried_byte(character).is_some() {
                let mut buffer = [0; 4];
                for &byte in character.encode_utf8(&mut buffer).as_bytes() {
                    out.push(carrier(byte));
                }
            } else {
                out.push(character);
            }
        }
        for &byte in chunk.invalid() {
            out.push(carrier(byte));
        }
    }
    out
}

/// Whether a UTF-8 text holds a character of the carrier block.
pub fn needs_carrying(text: &str) -> bool {
    memchr::memchr(CARRIER_LEAD, text.as_bytes()).is_some()
        && text
            .chars()
            .any(|character| carried_byte(character).is_some())
}

/// The final form of one field of a marked record.
pub fn escape(carried: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\\', CARRIER_LEAD, carried.as_bytes()).is_none() {
        return Cow::Borrowed(carried);
    }
    let mut out = String::with_capacity(carried.len() + 16);
    for character in carried.chars() {
        match carried_byte(character) {
            // Writing to a string cannot fail.
            Some(byte) => _ = write!(out, "\\x{byte:02x}"),
            None if character == '\\' => out.push_str("\\\\"),
            None => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// The bytes that [`escape`] was given; `None` for a text that it cannot have made.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1)? {
            b'\\' => {
                out.push(b'\\');
                rest = &rest[at + 2..];
            }
            b'x' => {
                let digits = std::str::from_utf8(rest.get(at + 2..at + 4)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[at + 4..];
            }
            _ => return None,
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn carrier(byte: u8) -> char {
    char::from_u32(CARRIER + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn carried_byte(character: char) -> Option<u8> {
    u8::try_from(u32::from(character).checked_sub(CARRIER)?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_literal_escape_and_a_bad_byte_differ() {
        let marked = escape(&carry(b"a\\xff b\xff").unwrap_err()).into_owned();
        assert_eq!(marked, "a\\\\xff b\\xff");
        assert_eq!(unescape(&marked).unwrap(), b"a\\xff b\xff");
    }

    proptest! {
        #[test]
        fn the_exact_bytes_come_back(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(0xF4), Just(0x8F), Just(0xB8)], 0..200)) {
            let carried = carry_forced(&bytes);
            prop_assert_eq!(unescape(&escape(&carried)).unwrap(), bytes);
        }

        #[test]
        fn characters_of_the_carrier_block_come_back(text in "[\u{10FE00}-\u{10FEFF}a\\\\]{0,20}") {
            let carried = carry_forced(text.as_bytes());
            prop_assert_eq!(unescape(&escape(&carried)).unwrap(), text.as_bytes());
        }

        #[test]
        fn unescape_never_panics(text in ".*") {
            let _ = unescape(&text);
        }
    }
}
