//! The file as a stream of cycles: one of them is in memory at a time, however many there are.

use std::io;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::SdlcFileError;

/// Gives each cycle with its number; returns how many values were not numbers.
pub(super) fn cycles(
    file: impl io::Read,
    take: &mut dyn FnMut(usize, Value),
) -> Result<usize, SdlcFileError> {
    let mut plain = WithoutNaN::new(file);
    let mut found = false;
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::new(&mut plain));
    let read = json
        .deserialize_any(File {
            take,
            found: &mut found,
        })
        .and_then(|()| json.end());
    match read {
        Err(error) if error.is_data() => return Err(SdlcFileError::NoCycles),
        Err(error) => return Err(error.into()),
        Ok(()) if !found => return Err(SdlcFileError::NoCycles),
        Ok(()) => {}
    }
    drop(json);
    Ok(plain.replaced)
}

/// The object at the top.
struct File<'t> {
    take: &'t mut dyn FnMut(usize, Value),
    found: &'t mut bool,
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object with a list of cycles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == "cycles" {
                map.next_value_seed(Cycles { take: self.take })?;
                *self.found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Cycles<'t> {
    take: &'t mut dyn FnMut(usize, Value),
}

impl<'de> DeserializeSeed<'de> for Cycles<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cycles<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of cycles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(cycle) = list.next_element::<Value>()? {
            (self.take)(index, cycle);
            index += 1;
        }
        Ok(())
    }
}

/// What Python writes for numbers that JSON does not have.
const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// The same bytes without a byte order mark, and with `null` for [`WORDS`] outside of texts.
struct WithoutNaN<R> {
    file: R,
    replaced: usize,
    at_start: bool,
    in_text: bool,
    escaped: bool,
    /// The beginning of what may become a word.
    begun: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
}

/// Bytes read at once.
const PIECE: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl<R: io::Read> WithoutNaN<R> {
    fn new(file: R) -> Self {
        Self {
            file,
            replaced: 0,
            at_start: true,
            in_text: false,
            escaped: false,
            begun: Vec::new(),
            ready: Vec::new(),
            taken: 0,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.taken = 0;
        let mut piece = vec![0; PIECE];
        while self.ready.is_empty() {
            // A byte order mark is seen as a whole.
            let least = if self.at_start {
                BYTE_ORDER_MARK.len()
            } else {
                1
            };
            let read = read_some(&mut self.file, &mut piece, least)?;
            if read == 0 {
                self.ready.append(&mut self.begun);
                return Ok(());
            }
            let mut bytes = &piece[..read];
            if std::mem::take(&mut self.at_start) {
                bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
            }
            while let Some(&byte) = bytes.first() {
                let plain = self.plain_run(bytes);
                self.ready.extend_from_slice(&bytes[..plain]);
                bytes = &bytes[plain..];
                if plain == 0 {
                    self.push(byte);
                    bytes = &bytes[1..];
                }
            }
        }
        Ok(())
    }

    /// How many of the bytes are taken as they are: most of a file, at once.
    fn plain_run(&self, bytes: &[u8]) -> usize {
        let special = if !self.begun.is_empty() || self.escaped {
            Some(0)
        } else if self.in_text {
            bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'))
        } else {
            let begins = |byte: &u8| matches!(byte, b'"' | b'N' | b'I' | b'-');
            bytes.iter().position(begins)
        };
        special.unwrap_or(bytes.len())
    }

    fn push(&mut self, byte: u8) {
        if self.in_text {
            self.in_text = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.ready.push(byte);
            return;
        }
        self.begun.push(byte);
        if WORDS.contains(&self.begun.as_slice()) {
            self.begun.clear();
            self.ready.extend_from_slice(b"null");
            self.replaced += 1;
        } else if !WORDS.iter().any(|word| word.starts_with(&self.begun)) {
            self.in_text = byte == b'"';
            self.ready.append(&mut self.begun);
        }
    }
}

/// At least so many bytes, unless the file ends before.
fn read_some(file: &mut impl io::Read, piece: &mut [u8], least: usize) -> io::Result<usize> {
    let mut read = 0;
    while read < least {
        match file.read(&mut piece[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl<R: io::Read> io::Read for WithoutNaN<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.fill()?;
        }
        let waiting = &self.ready[self.taken..];
        let given = waiting.len().min(buffer.len());
        buffer[..given].copy_from_slice(&waiting[..given]);
        self.taken += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    /// A reader that gives one byte at a time.
    struct Slow<'b>(&'b [u8]);

    impl io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let given = self.0.len().min(1).min(buffer.len());
            buffer[..given].copy_from_slice(&self.0[..given]);
            self.0 = &self.0[given..];
            Ok(given)
        }
    }

    fn without(bytes: &[u8]) -> (String, usize) {
        let (slowly, at_once) = (read(Slow(bytes)), read(bytes));
        assert_eq!(slowly, at_once, "however it comes");
        slowly
    }

    fn read(file: impl io::Read) -> (String, usize) {
        let mut plain = WithoutNaN::new(file);
        let mut text = String::new();
        plain.read_to_string(&mut text).unwrap();
        (text, plain.replaced)
    }

    #[test]
    fn words_outside_of_texts() {
        for (bytes, expected, replaced) in [
            ("[NaN,-Infinity,Infinity]", "[null,null,null]", 3),
            (r#"["NaN\" NaN", -1, NaN]"#, r#"["NaN\" NaN", -1, null]"#, 1),
            (r#"["\\", NaN]"#, r#"["\\", null]"#, 1),
            ("[-1, -2.5e-3]", "[-1, -2.5e-3]", 0),
            ("[Nope, -In", "[Nope, -In", 0),
            ("\u{feff}{}", "{}", 0),
        ] {
            assert_eq!(without(bytes.as_bytes()), (expected.to_owned(), replaced));
        }
    }

    proptest! {
        /// Also what is no JSON at all.
        #[test]
        fn it_comes_out_the_same_however_it_is_read(
            parts in prop::collection::vec(
                prop::sample::select(vec!["NaN", "N", "Infinity", "-", "\"", "\\", "a", "Inf", ","]),
                0..40,
            ),
        ) {
            without(parts.concat().as_bytes());
        }

        /// Valid JSON comes out as it went in.
        #[test]
        fn json_is_not_changed(text in "\\PC{0,40}", number in any::<i64>()) {
            let json = serde_json::json!({ &text: [number, &text, "-Infinity"] }).to_string();
            prop_assert_eq!(without(json.as_bytes()), (json, 0));
        }
    }
}
