//! How a chunk's records and its counts by minute are laid out in the embedded store.
//!
//! A block is `length of the content (4 bytes, little-endian), zstd frame`, and a checksum behind it
//! once it is stored (`seal.rs`). Its content holds the
//! fields by column: like stands beside like, which compresses better than rows do, and a search
//! sees the texts of all records in one piece before any record is built.
//!
//! ```text
//! version (1), count, times, positions, levels, durations,
//! logger, message, request_id, user_id, session_id, traceback, metadata: counts, names, values
//! ```
//!
//! Numbers are LEB128 varints, signed ones zigzag, times and positions as differences from the one
//! before. A text column is its lengths (plus one; 0 for absent), then all texts; a column without
//! any text is the single number 0, others begin with 1.

use crate::engine::build::MINUTE;
use atalaya_domain::chunk::MinuteCounts;
use atalaya_domain::record::{Entry, Level, LevelCounts, Metadata, RequestId};
use atalaya_domain::time::Timestamp;

const VERSION: u8 = 1;
/// zstd level. The lowest: with columns, 342 bytes of text already take 58 bytes on disk, index and
/// all, and writing reaches 350,000 records/s on two cores (`benches/figures/query.rs`).
const LEVEL: i32 = 1;
/// More than any chunk can hold; a length above it is damage.
const MAX_CONTENT: usize = 1 << 30;

pub(super) type Damage = &'static str;

/// Encodes blocks; keeps its buffers from one to the next.
pub(super) struct Encoder {
    zstd: zstd::bulk::Compressor<'static>,
    content: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL)?,
            content: Vec::new(),
        })
    }

    pub(super) fn encode(&mut self, entries: &[Entry]) -> std::io::Result<Vec<u8>> {
        self.content.clear();
        write_content(entries, &mut self.content);
        let mut block = Vec::with_capacity(4 + zstd::zstd_safe::compress_bound(self.content.len()));
        block.extend_from_slice(
            &u32::try_from(self.content.len())
                .map_err(std::io::Error::other)?
                .to_le_bytes(),
        );
        let mut tail = std::io::Cursor::new(block);
        tail.set_position(4);
        self.zstd.compress_to_buffer(&self.content, &mut tail)?;
        let mut block = tail.into_inner();
        block.shrink_to_fit();
        Ok(block)
    }
}

/// Decodes blocks; keeps its buffers from one to the next.
pub(super) struct Decoder {
    zstd: zstd::bulk::Decompressor<'static>,
    content: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Decompressor::new()?,
            content: Vec::new(),
        })
    }

    /// The content of a frame that becomes so long, for [`Columns::read`].
    pub(super) fn content(&mut self, length: usize, frame: &[u8]) -> Result<&[u8], Damage> {
        if length > MAX_CONTENT {
            return Err("the block's length is impossible");
        }
        self.content.clear();
        self.content.reserve(length);
        let written = self
            .zstd
            .decompress_to_buffer(frame, &mut self.content)
            .map_err(|_| "the block cannot be decompressed")?;
        if written == length {
            Ok(&self.content)
        } else {
            Err("the block has another length than it says")
        }
    }
}

/// A decoded block whose texts are still in its content.
pub(super) struct Columns<'a> {
    times: Vec<Timestamp>,
    positions: Vec<u64>,
    levels: &'a [u8],
    durations: Vec<Option<f64>>,
    logger: Texts<'a>,
    message: Texts<'a>,
    request_id: Texts<'a>,
    user_id: Texts<'a>,
    session_id: Texts<'a>,
    traceback: Texts<'a>,
    /// Where each record's metadata begins; one more for the end of the last.
    metadata: Vec<u32>,
    names: Texts<'a>,
    values: Texts<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn read(content: &'a [u8]) -> Result<Self, Damage> {
        let mut input = Input(content);
        if input.byte()? != VERSION {
            return Err("the block is of a version that this program does not know");
        }
        let count = input.count()?;
        let mut at = 0_i64;
        let times = (0..count)
            .map(|_| {
                at = at.wrapping_add(input.signed()?);
                Ok(Timestamp::from_micros(at))
            })
            .collect::<Result<_, Damage>>()?;
        let mut position = 0_u64;
        let positions = (0..count)
            .map(|_| {
                position = position.wrapping_add_signed(input.signed()?);
                Ok(position)
            })
            .collect::<Result<_, Damage>>()?;
        let levels = input.bytes(count)?;
        if levels
            .iter()
            .any(|&level| usize::from(level) >= Level::ALL.len())
        {
            return Err("a level is out of range");
        }
        let durations = (0..count)
            .map(|_| input.duration())
            .collect::<Result<_, _>>()?;
        let logger = input.texts(count)?;
        let message = input.texts(count)?;
        let request_id = input.texts(count)?;
        let user_id = input.texts(count)?;
        let session_id = input.texts(count)?;
        let traceback = input.texts(count)?;
        let mut metadata = Vec::with_capacity(count + 1);
        let mut pairs = 0_usize;
        metadata.push(0);
        for _ in 0..count {
            pairs = pairs
                .checked_add(input.count()?)
                .ok_or("too much metadata")?;
            metadata.push(u32::try_from(pairs).map_err(|_| "too much metadata")?);
        }
        let names = input.texts(pairs)?;
        let values = input.texts(pairs)?;
        Ok(Self {
            times,
            positions,
            levels,
            durations,
            logger,
            message,
            request_id,
            user_id,
            session_id,
            traceback,
            metadata,
            names,
            values,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn time(&self, index: usize) -> Timestamp {
        self.times[index]
    }

    pub(super) fn level(&self, index: usize) -> Level {
        Level::ALL[usize::from(self.levels[index])]
    }

    /// Builds the record at `index`, which is below `len`.
    pub(super) fn entry(&self, index: usize) -> Entry {
        let pairs = self.metadata[index] as usize..self.metadata[index + 1] as usize;
        Entry {
            timestamp: self.times[index],
            position: self.positions[index],
            level: self.level(index),
            logger: self.logger.get(index).map(Into::into),
            message: self.message.get(index).unwrap_or_default().into(),
            request_id: self.request_id.get(index).map(RequestId::new),
            user_id: self.user_id.get(index).map(Into::into),
            session_id: self.session_id.get(index).map(Into::into),
            duration_ms: self.durations[index],
            traceback: self.traceback.get(index).map(Into::into),
            metadata: self.metadata_of(pairs),
        }
    }

    fn metadata_of(&self, pairs: std::ops::Range<usize>) -> Metadata {
        pairs
            .map(|pair| {
                (
                    self.names.get(pair).unwrap_or_default().into(),
                    self.values.get(pair).unwrap_or_default().into(),
                )
            })
            .collect()
    }
}

/// A column of texts; `spans` is empty when none of them is present.
#[derive(Default)]
struct Texts<'a> {
    text: &'a str,
    spans: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    present: bool,
}

impl<'a> Texts<'a> {
    fn get(&self, index: usize) -> Option<&'a str> {
        let span = self.spans.get(index)?;
        if span.present {
            self.text.get(span.start as usize..span.end as usize)
        } else {
            None
        }
    }
}

fn write_content(entries: &[Entry], out: &mut Vec<u8>) {
    out.push(VERSION);
    write_number(entries.len() as u64, out);
    let mut before = 0_i64;
    for entry in entries {
        write_signed(entry.timestamp.micros().wrapping_sub(before), out);
        before = entry.timestamp.micros();
    }
    let mut before = 0_u64;
    for entry in entries {
        write_signed(entry.position.wrapping_sub(before).cast_signed(), out);
        before = entry.position;
    }
    out.extend(entries.iter().map(|entry| entry.level.index() as u8));
    for entry in entries {
        write_duration(entry.duration_ms, out);
    }
    write_texts(entries.iter().map(|entry| entry.logger.as_deref()), out);
    write_texts(entries.iter().map(|entry| Some(&*entry.message)), out);
    write_texts(
        entries
            .iter()
            .map(|entry| entry.request_id.as_ref().map(RequestId::as_str)),
        out,
    );
    write_texts(entries.iter().map(|entry| entry.user_id.as_deref()), out);
    write_texts(entries.iter().map(|entry| entry.session_id.as_deref()), out);
    write_texts(entries.iter().map(|entry| entry.traceback.as_deref()), out);
    for entry in entries {
        write_number(entry.metadata.len() as u64, out);
    }
    let pairs = || entries.iter().flat_map(|entry| &entry.metadata);
    write_texts(pairs().map(|(name, _)| Some(&**name)), out);
    write_texts(pairs().map(|(_, value)| Some(&**value)), out);
}

fn write_texts<'a>(texts: impl Iterator<Item = Option<&'a str>> + Clone, out: &mut Vec<u8>) {
    if texts.clone().all(|text| text.is_none()) {
        out.push(0);
        return;
    }
    out.push(1);
    for text in texts.clone() {
        write_number(text.map_or(0, |text| text.len() as u64 + 1), out);
    }
    for text in texts.flatten() {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Whole microseconds become a small number; anything else keeps its eight bytes.
fn write_duration(duration_ms: Option<f64>, out: &mut Vec<u8>) {
    match duration_ms {
        None => out.push(0),
        Some(duration) => {
            let micros = (duration * 1_000.0).round() as u64;
            if micros < 1 << 50 && micros_to_ms(micros).to_bits() == duration.to_bits() {
                write_number(micros + 2, out);
            } else {
                out.push(1);
                out.extend_from_slice(&duration.to_le_bytes());
            }
        }
    }
}

fn micros_to_ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Counts by minute: the first minute's number since 1970, then each one's distance from the one
/// before, and five counts.
pub(super) fn encode_minutes(minutes: &[MinuteCounts]) -> Vec<u8> {
    let mut out = Vec::with_capacity(minutes.len() * 6 + 5);
    let mut before = 0;
    for counts in minutes {
        let minute = counts.minute.micros().div_euclid(MINUTE);
        write_signed(minute - before, &mut out);
        before = minute;
        for count in counts.levels.0 {
            write_number(u64::from(count), &mut out);
        }
    }
    out
}

pub(super) fn decode_minutes(blob: &[u8]) -> Result<Vec<MinuteCounts>, Damage> {
    let mut input = Input(blob);
    let mut minutes = Vec::new();
    let mut minute = 0_i64;
    while !input.0.is_empty() {
        minute = minute.wrapping_add(input.signed()?);
        let mut levels = LevelCounts::default();
        for count in &mut levels.0 {
            *count = u32::try_from(input.number()?).map_err(|_| "a count is out of range")?;
        }
        minutes.push(MinuteCounts {
            minute: Timestamp::from_micros(minute.saturating_mul(MINUTE)),
            levels,
        });
    }
    Ok(minutes)
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn write_signed(number: i64, out: &mut Vec<u8>) {
    write_number(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, Damage> {
        let (&byte, rest) = self.0.split_first().ok_or("the block is cut short")?;
        self.0 = rest;
        Ok(byte)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let (bytes, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("the block is cut short")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number is too long")
    }

    fn signed(&mut self) -> Result<i64, Damage> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number of things that follow, each at least one byte: never more than the bytes left.
    fn count(&mut self) -> Result<usize, Damage> {
        let count = self.number()?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.0.len())
            .ok_or("a count is out of range")
    }

    fn duration(&mut self) -> Result<Option<f64>, Damage> {
        Ok(match self.number()? {
            0 => None,
            1 => {
                let bytes = self
                    .bytes(8)?
                    .try_into()
                    .map_err(|_| "the block is cut short")?;
                Some(f64::from_le_bytes(bytes))
            }
            micros => Some(micros_to_ms(micros - 2)),
        })
    }

    fn texts(&mut self, count: usize) -> Result<Texts<'a>, Damage> {
        if self.byte()? == 0 {
            return Ok(Texts::default());
        }
        let mut spans = Vec::with_capacity(count);
        let mut end = 0_u32;
        for _ in 0..count {
            let length = self.number()?;
            let start = end;
            if let Some(length) = length.checked_sub(1) {
                end = u32::try_from(length)
                    .ok()
                    .and_then(|length| end.checked_add(length))
                    .ok_or("a text is too long")?;
            }
            spans.push(Span {
                start,
                end,
                present: length > 0,
            });
        }
        let text =
            std::str::from_utf8(self.bytes(end as usize)?).map_err(|_| "a text is not UTF-8")?;
        if spans
            .iter()
            .any(|span| !text.is_char_boundary(span.start as usize))
        {
            return Err("a text is cut within a character");
        }
        Ok(Texts { text, spans })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use atalaya_domain::record::Text;

    fn any_text() -> impl Strategy<Value = Text> {
        prop_oneof![
            any::<String>(),
            Just(String::new()),
            "[a-z\\x00\\x1b]{0,80}"
        ]
        .prop_map(Into::into)
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let numbers = (
            any::<i64>(),
            any::<u64>(),
            0_usize..5,
            prop::option::of(prop_oneof![
                any::<f64>(),
                (0_u32..10_000_000).prop_map(|micros| f64::from(micros) / 1_000.0),
            ]),
        );
        let texts = prop::collection::vec(prop::option::of(any_text()), 5);
        let metadata = prop::collection::vec((any_text(), any_text()), 0..4);
        (numbers, any_text(), texts, metadata).prop_map(
            |((at, position, level, duration_ms), message, texts, metadata)| {
                let [logger, request_id, user_id, session_id, traceback] =
                    texts.try_into().unwrap();
                Entry {
                    timestamp: Timestamp::from_micros(at),
                    position,
                    level: Level::ALL[level],
                    logger,
                    message,
                    request_id: request_id.map(RequestId::new),
                    user_id,
                    session_id,
                    duration_ms: duration_ms.filter(|duration| !duration.is_nan()),
                    traceback,
                    metadata,
                }
            },
        )
    }

    fn decode(block: &[u8]) -> Result<Vec<Entry>, Damage> {
        let mut decoder = Decoder::new().unwrap();
        let (length, frame) = block
            .split_first_chunk::<4>()
            .ok_or("the block is cut short")?;
        let length = u32::from_le_bytes(*length) as usize;
        let columns = Columns::read(decoder.content(length, frame)?)?;
        Ok((0..columns.len())
            .map(|index| columns.entry(index))
            .collect())
    }

    proptest! {
        #[test]
        fn entries_come_back_exactly(entries in prop::collection::vec(any_entry(), 0..20)) {
            let block = Encoder::new().unwrap().encode(&entries).unwrap();
            prop_assert_eq!(decode(&block).unwrap(), entries);
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(
            entries in prop::collection::vec(any_entry(), 0..5),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut content = Vec::new();
            write_content(&entries, &mut content);
            let read_all = |bytes: &[u8]| {
                if let Ok(columns) = Columns::read(bytes) {
                    for index in 0..columns.len() {
                        let _ = columns.entry(index);
                    }
                }
            };
            let cut = cut.index(content.len() + 1);
            read_all(&content[..cut]);
            let at = at.index(content.len());
            content[at] = byte;
            read_all(&content);
            decode(&content).ok();
        }

        #[test]
        fn minutes_come_back_exactly(
            minutes in prop::collection::btree_map(any::<i64>(), prop::array::uniform5(any::<u32>()), 0..12),
        ) {
            let minutes: Vec<MinuteCounts> = minutes
                .into_iter()
                .map(|(at, counts)| MinuteCounts {
                    minute: crate::engine::build::floor(Timestamp::from_micros(at), MINUTE),
                    levels: LevelCounts(counts),
                })
                .collect();
            prop_assert_eq!(decode_minutes(&encode_minutes(&minutes)).unwrap(), minutes);
        }
    }
}
