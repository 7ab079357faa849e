//! The values of the chunk tables, written into the driver's row buffer and read from its frames
//! without anything in between.
//!
//! What is written is plain CQL (native protocol version 4, section 6): any client reads it, and
//! what any client writes is read here. A list is a count and its elements, a user type or a tuple
//! is its fields in order, a map is a count and its pairs; each element is a length of four bytes
//! (-1 for null) and that many bytes. Fields that a newer schema adds at the end are passed over.

use std::collections::HashMap;
use std::sync::Arc;

use scylla::deserialize::value::DeserializeValue;
use scylla::deserialize::{DeserializationError, FrameSlice, TypeCheckError};
use scylla::frame::response::result::ColumnType;
use uuid::Uuid;

use crate::engine::build::MINUTE;
use atalaya_domain::chunk::{Bucket, ChunkKey, ChunkSummary, MinuteCounts, RequestEntry};
use atalaya_domain::record::{
    Entry, Layer, Level, LevelCounts, Metadata, Origin, OriginId, RequestId, Text,
};
use atalaya_domain::time::Timestamp;

pub(super) type Damage = &'static str;

/// Milliseconds of a minute: `timestamp` values count them.
const MINUTE_MS: i64 = MINUTE / 1_000;
/// Bytes of a record of which every field is null, with its length.
const EMPTY_RECORD: usize = 4 + 11 * 4;

/// What a visible chunk takes besides its summary, at most.
pub(super) const VISIBLE_BYTES: usize = 48;

/// A value as it stands in the frame; null is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'frame>(pub(super) &'frame [u8]);

impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for Raw<'frame> {
    /// The tables are this program's own, of a version that was looked at; the bytes are checked
    /// while they are read.
    fn type_check(_: &ColumnType) -> Result<(), TypeCheckError> {
        Ok(())
    }

    fn deserialize(
        _: &'metadata ColumnType<'metadata>,
        value: Option<FrameSlice<'frame>>,
    ) -> Result<Self, DeserializationError> {
        Ok(Self(value.map_or(&[], |slice| slice.as_slice())))
    }
}

/// The `logs` value of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records<'a> {
    entries: &'a [Entry],
    size: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries,
            size: 4 + entries.iter().map(record_size).sum::<usize>(),
        }
    }

    /// Bytes of the value.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// One copy from here into the row: a row's buffer grows by pieces, which costs as much.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(self.size);
        write_records(self.entries, &mut value);
        debug_assert_eq!(value.len(), self.size);
        value
    }
}

fn record_size(entry: &Entry) -> usize {
    let metadata = if entry.metadata.is_empty() {
        0
    } else {
        4 + 12 * entry.metadata.len()
    };
    let duration = if entry.duration_ms.is_some() { 8 } else { 0 };
    EMPTY_RECORD + 16 + entry.level.name().len() + entry.text_bytes() + duration + metadata
}

fn write_records(entries: &[Entry], out: &mut Vec<u8>) {
    write_count(entries.len(), out);
    for entry in entries {
        nested(out, |out| write_record(entry, out));
    }
}

fn write_record(entry: &Entry, out: &mut Vec<u8>) {
    write_bytes(&entry.timestamp.micros().to_be_bytes(), out);
    write_bytes(&entry.position.to_be_bytes(), out);
    write_text(Some(entry.level.name()), out);
    write_text(entry.logger.as_deref(), out);
    write_text(Some(&entry.message), out);
    write_text(entry.request_id.as_ref().map(RequestId::as_str), out);
    write_text(entry.user_id.as_deref(), out);
    write_text(entry.session_id.as_deref(), out);
    match entry.duration_ms {
        Some(duration) => write_bytes(&duration.to_be_bytes(), out),
        None => write_null(out),
    }
    write_text(entry.traceback.as_deref(), out);
    if entry.metadata.is_empty() {
        write_null(out);
        return;
    }
    nested(out, |out| {
        write_count(entry.metadata.len(), out);
        for (name, value) in &entry.metadata {
            write_count(8 + name.len() + value.len(), out);
            write_text(Some(name), out);
            write_text(Some(value), out);
        }
    });
}

/// Whether a summary carries its counts by level, which a reader of this program adds up itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Levels {
    /// For people who look into the table of records.
    Named,
    /// Where a read takes thousands of summaries.
    Omitted,
}

/// The `summary` value of a chunk whose `logs` value has so many bytes.
pub(super) fn encode_summary(summary: &ChunkSummary, bytes: usize, levels: Levels) -> Vec<u8> {
    let origin = &summary.origin;
    let mut out = Vec::with_capacity(
        192 + summary.minutes.len() * 56 + origin.host.len() + origin.source.len(),
    );
    write_bytes(&summary.key.first_at.micros().to_be_bytes(), &mut out);
    write_bytes(&summary.last_at.micros().to_be_bytes(), &mut out);
    write_bytes(&int(summary.records() as usize), &mut out);
    write_bytes(&int(bytes), &mut out);
    if levels == Levels::Omitted {
        write_null(&mut out);
    } else {
        write_levels(&summary.levels, &mut out);
    }
    nested(&mut out, |out| {
        write_count(summary.minutes.len(), out);
        for counts in &summary.minutes {
            nested(out, |out| {
                // Whole minutes: exact also where microseconds are at their end.
                let minute = counts.minute.micros().div_euclid(MINUTE);
                write_bytes(&(minute * MINUTE_MS).to_be_bytes(), out);
                for count in counts.levels.0 {
                    write_bytes(&int(count as usize), out);
                }
            });
        }
    });
    write_text(Some(&origin.host), &mut out);
    write_text(Some(&origin.source), &mut out);
    write_bytes(&origin.id.as_u128().to_be_bytes(), &mut out);
    out
}

fn write_levels(levels: &LevelCounts, out: &mut Vec<u8>) {
    let present = || Level::ALL.into_iter().filter(|&level| levels.of(level) > 0);
    nested(out, |out| {
        write_count(present().count(), out);
        for level in present() {
            write_text(Some(level.name()), out);
            write_bytes(&int(levels.of(level) as usize), out);
        }
    });
}

/// The `chunks` value of a row of the request index.
pub(super) fn encode_request_chunks(rows: &[&RequestEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + rows.len() * 96);
    write_count(rows.len(), &mut out);
    for row in rows {
        nested(&mut out, |out| {
            write_text(Some(row.chunk.bucket.layer.name()), out);
            write_bytes(&row.chunk.first_at.micros().to_be_bytes(), out);
            write_bytes(row.chunk.id.as_bytes(), out);
            write_bytes(&row.first_seen.micros().to_be_bytes(), out);
            write_bytes(&row.last_seen.micros().to_be_bytes(), out);
            write_text(Some(row.worst_level.name()), out);
        });
    }
    out
}

/// The `chunks` value of an arrival or of a group of summaries: layer, id and the encoded summary
/// of each.
pub(super) fn encode_visible<'a>(
    chunks: impl ExactSizeIterator<Item = (Layer, Uuid, &'a [u8])> + Clone,
) -> Vec<u8> {
    let size = chunks
        .clone()
        .map(|(_, _, summary)| summary.len() + VISIBLE_BYTES)
        .sum::<usize>();
    let mut out = Vec::with_capacity(4 + size);
    write_count(chunks.len(), &mut out);
    for (layer, id, summary) in chunks {
        nested(&mut out, |out| {
            write_text(Some(layer.name()), out);
            write_bytes(id.as_bytes(), out);
            write_bytes(summary, out);
        });
    }
    out
}

/// A list of small numbers, for a statement that names several partitions.
pub(super) fn encode_shorts(numbers: &[i16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + 6 * numbers.len());
    write_count(numbers.len(), &mut out);
    for number in numbers {
        write_bytes(&number.to_be_bytes(), &mut out);
    }
    out
}

/// Values above 2 GiB are refused before they come here.
fn int(number: usize) -> [u8; 4] {
    i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes()
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&int(count));
}

fn write_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_text(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_bytes(text.as_bytes(), out),
        None => write_null(out),
    }
}

/// Writes a value and then its length in front.
fn nested(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = int(out.len() - start - 4);
    out[start..start + 4].copy_from_slice(&length);
}

/// One record in a `logs` value, its fields still bytes.
pub(super) struct RawRecord<'a> {
    pub(super) timestamp: Timestamp,
    fields: [Option<&'a [u8]>; 10],
}

impl RawRecord<'_> {
    pub(super) fn level(&self) -> Result<Level, Damage> {
        self.fields[1].map_or(Ok(Level::default()), level_of)
    }

    pub(super) fn entry(&self) -> Result<Entry, Damage> {
        let [
            position,
            _level,
            logger,
            message,
            request_id,
            user_id,
            session_id,
            duration,
            traceback,
            metadata,
        ] = self.fields;
        let boxed = |field: Option<&[u8]>| -> Result<Option<Text>, Damage> {
            Ok(field.map(text).transpose()?.map(Into::into))
        };
        Ok(Entry {
            timestamp: self.timestamp,
            position: number(position)?.cast_unsigned(),
            level: self.level()?,
            logger: boxed(logger)?,
            message: boxed(message)?.unwrap_or_default(),
            request_id: boxed(request_id)?.map(RequestId::new),
            user_id: boxed(user_id)?,
            session_id: boxed(session_id)?,
            duration_ms: duration
                .map(|bytes| array(bytes).map(f64::from_be_bytes))
                .transpose()?,
            traceback: boxed(traceback)?,
            metadata: metadata.map_or(Ok(Metadata::new()), metadata_of)?,
        })
    }
}

/// The records of a `logs` value, in the order in which they stand there.
pub(super) fn records(
    value: &[u8],
) -> Result<impl Iterator<Item = Result<RawRecord<'_>, Damage>>, Damage> {
    let mut input = Input(value);
    let count = input.count()?;
    Ok((0..count).map(move |_| {
        let mut record = Input(input.value()?.ok_or("a record is null")?);
        let timestamp = Timestamp::from_micros(number(record.field()?)?);
        let mut fields = [None; 10];
        for field in &mut fields {
            *field = record.field()?;
        }
        Ok(RawRecord { timestamp, fields })
    }))
}

fn metadata_of(value: &[u8]) -> Result<Metadata, Damage> {
    let mut input = Input(value);
    let count = input.count()?;
    let mut metadata = Metadata::with_capacity(count);
    for _ in 0..count {
        let mut pair = Input(input.value()?.unwrap_or_default());
        let name = text(pair.field()?.unwrap_or_default())?;
        metadata.push((name.into(), text(pair.field()?.unwrap_or_default())?.into()));
    }
    Ok(metadata)
}

/// Origins met while reading, so that chunks of one file share it.
#[derive(Default)]
pub(super) struct Origins(HashMap<OriginId, Arc<Origin>>);

impl Origins {
    fn get(&mut self, id: OriginId, layer: Layer, source: &str, host: &str) -> Arc<Origin> {
        if let Some(known) = self.0.get(&id)
            && known.layer == layer
            && &*known.source == source
            && &*known.host == host
        {
            return Arc::clone(known);
        }
        let origin = Arc::new(Origin {
            id,
            layer,
            source: source.into(),
            host: host.into(),
        });
        self.0.insert(id, Arc::clone(&origin));
        origin
    }
}

/// A summary with the size of the chunk's records.
pub(super) struct Summarised {
    pub(super) summary: ChunkSummary,
    pub(super) bytes: u64,
}

/// Reads a `summary` value. The bucket is what `bucket_of` says of the earliest record.
pub(super) fn decode_summary(
    value: &[u8],
    layer: Layer,
    id: Uuid,
    bucket_of: impl FnOnce(Timestamp) -> Bucket,
    origins: &mut Origins,
) -> Result<Summarised, Damage> {
    let mut input = Input(value);
    let first_at = Timestamp::from_micros(number(input.field()?)?);
    let last_at = Timestamp::from_micros(number(input.field()?)?);
    let _records = input.field()?;
    let bytes = input.field()?.map_or(Ok(0), small)?;
    let _levels = input.field()?;
    let minutes = input.field()?.map_or(Ok(Vec::new()), minutes_of)?;
    let host = text(input.field()?.unwrap_or_default())?;
    let source = text(input.field()?.unwrap_or_default())?;
    let origin = array::<16>(input.field()?.ok_or("the origin is null")?)?;
    let levels = minutes
        .iter()
        .fold(LevelCounts::default(), |mut sum, minute| {
            sum.merge(&minute.levels);
            sum
        });
    let summary = ChunkSummary {
        key: ChunkKey {
            bucket: bucket_of(first_at),
            first_at,
            id,
        },
        last_at,
        origin: origins.get(
            OriginId::from_u128(u128::from_be_bytes(origin)),
            layer,
            source,
            host,
        ),
        levels,
        minutes,
    };
    Ok(Summarised {
        summary,
        bytes: bytes.into(),
    })
}

fn minutes_of(value: &[u8]) -> Result<Vec<MinuteCounts>, Damage> {
    let mut input = Input(value);
    let count = input.count()?;
    let mut minutes = Vec::with_capacity(count);
    for _ in 0..count {
        let mut counts = Input(input.value()?.ok_or("a minute is null")?);
        let minute = number(counts.field()?)?.div_euclid(MINUTE_MS);
        let mut levels = LevelCounts::default();
        for level in &mut levels.0 {
            *level = counts.field()?.map_or(Ok(0), small)?;
        }
        minutes.push(MinuteCounts {
            minute: Timestamp::from_micros(minute.saturating_mul(MINUTE)),
            levels,
        });
    }
    Ok(minutes)
}

/// Reads a `chunks` value of the request index.
pub(super) fn decode_request_chunks(
    value: &[u8],
    id: &RequestId,
    bucket_of: impl Fn(Layer, Timestamp) -> Bucket,
) -> Result<Vec<RequestEntry>, Damage> {
    let mut input = Input(value);
    let count = input.count()?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut row = Input(input.value()?.ok_or("a chunk is null")?);
        let layer = layer_of(row.field()?)?;
        let first_at = Timestamp::from_micros(number(row.field()?)?);
        let chunk_id = Uuid::from_bytes(array(row.field()?.ok_or("a chunk has no id")?)?);
        rows.push(RequestEntry {
            request_id: id.clone(),
            chunk: ChunkKey {
                bucket: bucket_of(layer, first_at),
                first_at,
                id: chunk_id,
            },
            first_seen: Timestamp::from_micros(number(row.field()?)?),
            last_seen: Timestamp::from_micros(number(row.field()?)?),
            worst_level: row.field()?.map_or(Ok(Level::default()), level_of)?,
        });
    }
    Ok(rows)
}

/// Reads what [`encode_visible`] writes; the summaries stay encoded.
pub(super) fn decode_visible(value: &[u8]) -> Result<Vec<(Layer, Uuid, &[u8])>, Damage> {
    let mut input = Input(value);
    let count = input.count()?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let mut chunk = Input(input.value()?.ok_or("a chunk is null")?);
        let layer = layer_of(chunk.field()?)?;
        let id = Uuid::from_bytes(array(chunk.field()?.ok_or("a chunk has no id")?)?);
        chunks.push((layer, id, chunk.field()?.unwrap_or_default()));
    }
    Ok(chunks)
}

fn level_of(word: &[u8]) -> Result<Level, Damage> {
    match word {
        b"INFO" => Ok(Level::Info),
        b"DEBUG" => Ok(Level::Debug),
        b"WARNING" => Ok(Level::Warning),
        b"ERROR" => Ok(Level::Error),
        b"CRITICAL" => Ok(Level::Critical),
        other => Level::from_word(text(other)?).ok_or("a level is no word that we know"),
    }
}

fn layer_of(word: Option<&[u8]>) -> Result<Layer, Damage> {
    text(word.unwrap_or_default())?
        .parse()
        .map_err(|_| "a layer is no word that we know")
}

fn text(bytes: &[u8]) -> Result<&str, Damage> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Damage> {
    bytes
        .try_into()
        .map_err(|_| "a number or id has another length")
}

fn number(field: Option<&[u8]>) -> Result<i64, Damage> {
    Ok(i64::from_be_bytes(array(field.ok_or("a number is null")?)?))
}

fn small(bytes: &[u8]) -> Result<u32, Damage> {
    u32::try_from(i32::from_be_bytes(array(bytes)?)).map_err(|_| "a count is negative")
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn int(&mut self) -> Result<i32, Damage> {
        let (bytes, rest) = self
            .0
            .split_first_chunk::<4>()
            .ok_or("a value is cut short")?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    /// A number of things that follow, each at least a length: never more than the bytes left.
    fn count(&mut self) -> Result<usize, Damage> {
        if self.0.is_empty() {
            return Ok(0); // null, or an empty collection
        }
        let count = self.int()?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.0.len() / 4)
            .ok_or("a count is out of range")
    }

    fn value(&mut self) -> Result<Option<&'a [u8]>, Damage> {
        let Ok(length) = usize::try_from(self.int()?) else {
            return Ok(None);
        };
        let (value, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("a value is cut short")?;
        self.0 = rest;
        Ok(Some(value))
    }

    /// As [`value`](Self::value), in a user type or tuple: fields at the end may be missing.
    fn field(&mut self) -> Result<Option<&'a [u8]>, Damage> {
        if self.0.is_empty() {
            Ok(None)
        } else {
            self.value()
        }
    }
}

#[cfg(test)]
mod tests;
