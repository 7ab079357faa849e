//! Files in UTF-16, as Windows programs write them: told by the mark at their beginning.
//!
//! Lines are cut at the byte of a line feed, so that a line of UTF-16 comes with half of a character
//! at one of its ends: the zero byte of the line feed before it, or of its own.

use std::borrow::Cow;

/// How the bytes of a file stand for characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Little,
    Utf16Big,
}

impl Encoding {
    /// By the byte order mark; UTF-8 without one.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0xff, 0xfe, ..] => Self::Utf16Little,
            [0xfe, 0xff, ..] => Self::Utf16Big,
            _ => Self::Utf8,
        }
    }

    /// The bytes of a line as UTF-8. What is no UTF-16 stays as it is.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let (units, order): (&[u8], fn([u8; 2]) -> u16) = match self {
            Self::Utf8 => return Cow::Borrowed(bytes),
            Self::Utf16Little => match bytes {
                [0, rest @ ..] if bytes.len() % 2 == 1 => (rest, u16::from_le_bytes),
                _ => (bytes, u16::from_le_bytes),
            },
            Self::Utf16Big => match bytes {
                [rest @ .., 0] if bytes.len() % 2 == 1 => (rest, u16::from_be_bytes),
                _ => (bytes, u16::from_be_bytes),
            },
        };
        let (pairs, odd) = units.as_chunks::<2>();
        if !odd.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let units = pairs.iter().map(|&pair| order(pair));
        let Ok(text) = char::decode_utf16(units).collect::<Result<String, _>>() else {
            return Cow::Borrowed(bytes);
        };
        let text = text
            .trim_start_matches('\u{feff}')
            .trim_end_matches('\r')
            .to_owned();
        Cow::Owned(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text as the line cutter gives them.
    fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
        bytes
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
            .collect()
    }

    #[test]
    fn lines_of_both_orders_are_read() {
        let text = "\u{feff}Zeile eins\r\nzwei – €\r\n\r\ndrei 😀\r\n";
        let orders: [fn(u16) -> [u8; 2]; 2] = [u16::to_le_bytes, u16::to_be_bytes];
        for order in orders {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(order).collect();
            let encoding = Encoding::of(&bytes);
            let lines: Vec<String> = cut(&bytes)
                .iter()
                .map(|line| String::from_utf8_lossy(&encoding.decode(line)).into_owned())
                .collect();
            assert_eq!(
                lines.get(..4),
                Some(&["Zeile eins", "zwei – €", "", "drei 😀"].map(String::from)[..])
            );
        }
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        assert_eq!(Encoding::of(b"plain"), Encoding::Utf8);
        assert_eq!(&*Encoding::Utf16Little.decode(b"abc"), b"abc");
        assert_eq!(&*Encoding::Utf16Little.decode(&[0x00, 0xd8]), &[0x00, 0xd8]);
    }
}
