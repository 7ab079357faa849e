//! Text parted at a byte: what the standard library does for any character, at the speed of
//! `memchr`. The byte is one of ASCII, so that it stands between characters.

/// What stands before the first such byte, and behind it.
pub fn once(text: &str, byte: u8) -> Option<(&str, &str)> {
    at(text, memchr::memchr(byte, text.as_bytes())?)
}

/// What stands before the last such byte, and behind it.
pub fn last(text: &str, byte: u8) -> Option<(&str, &str)> {
    at(text, memchr::memrchr(byte, text.as_bytes())?)
}

/// The first line, and the others.
pub fn line(text: &str) -> (&str, &str) {
    once(text, b'\n').unwrap_or((text, ""))
}

fn at(text: &str, at: usize) -> Option<(&str, &str)> {
    Some((text.get(..at)?, text.get(at + 1..)?))
}
