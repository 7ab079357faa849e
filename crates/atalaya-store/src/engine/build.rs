//! From a frame to its chunks, always the same way: the same frame gives the same keys, summaries
//! and index rows on every host and after every restart. That is what makes a repeated write
//! change nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use crate::chunks::{ChunkSettings, FrameChunks};
use atalaya_domain::chunk::{
    Bucket, Chunk, ChunkKey, ChunkSummary, Entries, MinuteCounts, RequestEntry,
};
use atalaya_domain::record::{Entry, Frame, Layer, LevelCounts, Origin, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

/// Most records of a chunk.
pub const CHUNK_RECORDS: usize = 500;
/// Most bytes of text in a chunk; one record larger than this is a chunk of its own.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// What the numbers of a record are counted for.
const NUMBERS: usize = 24;

pub(crate) const MINUTE: i64 = 60_000_000;

/// Cuts a frame into its chunks: by bucket, and within one in the order of positions.
pub fn build(frame: &Frame, settings: ChunkSettings) -> FrameChunks {
    cut(frame, settings, |range| {
        Entries::Own(frame.entries[range].to_vec())
    })
}

/// As [`build`], for the frame at `index`: runs of its entries are shared and not copied.
pub fn build_shared(frames: &Arc<[Frame]>, index: usize, settings: ChunkSettings) -> FrameChunks {
    let part = |range| Entries::Part {
        frames: Arc::clone(frames),
        frame: index,
        range,
    };
    cut(&frames[index], settings, part)
}

/// `part` gives a run of the frame's entries.
fn cut(
    frame: &Frame,
    settings: ChunkSettings,
    part: impl Fn(Range<usize>) -> Entries,
) -> FrameChunks {
    let entries = &frame.entries;
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&index| entries[index].position);
    let mut buckets: BTreeMap<Bucket, Vec<usize>> = BTreeMap::new();
    for index in order {
        let bucket = bucket_of(frame.origin.layer, entries[index].timestamp, settings);
        buckets.entry(bucket).or_default().push(index);
    }
    let mut built = FrameChunks {
        origin: frame.origin.id,
        until: frame.until,
        chunks: Vec::new(),
        requests: Vec::new(),
    };
    for (bucket, indices) in buckets {
        let mut rest = indices.as_slice();
        while let Some(&first) = rest.first() {
            let (run, after) = rest.split_at(run_length(entries, rest));
            rest = after;
            let range = first..first + run.len();
            let is_run = run.iter().copied().eq(range.clone());
            let run: Vec<&Entry> = run.iter().map(|&index| &entries[index]).collect();
            let kept = if is_run { part(range) } else { copied(&run) };
            built.chunks.push(chunk_of(
                &frame.origin,
                bucket,
                &run,
                kept,
                &mut built.requests,
            ));
        }
    }
    built
}

/// The index rows of a chunk that is there already.
pub fn request_rows(chunk: &Chunk) -> Vec<RequestEntry> {
    let entries: Vec<&Entry> = chunk.entries.iter().collect();
    let mut rows = Vec::new();
    index_requests(&chunk.summary, &entries, &mut rows);
    rows
}

/// A chunk cut in two, where its store cannot take it as a whole, and the index rows of the halves.
/// Always at the same place; a chunk of one record cannot be cut.
pub fn halves(chunk: &Chunk) -> Option<([Chunk; 2], Vec<RequestEntry>)> {
    if chunk.entries.len() < 2 {
        return None;
    }
    let entries: Vec<&Entry> = chunk.entries.iter().collect();
    let (first, second) = entries.split_at(entries.len() / 2);
    let mut requests = Vec::new();
    let halves = [first, second].map(|run| {
        chunk_of(
            &chunk.summary.origin,
            chunk.summary.key.bucket,
            run,
            copied(run),
            &mut requests,
        )
    });
    Some((halves, requests))
}

fn copied(run: &[&Entry]) -> Entries {
    run.iter().map(|entry| (*entry).clone()).collect()
}

/// The chunk of a run of entries, which `entries` holds; its index rows are added to `requests`.
fn chunk_of(
    origin: &Arc<Origin>,
    bucket: Bucket,
    run: &[&Entry],
    entries: Entries,
    requests: &mut Vec<RequestEntry>,
) -> Chunk {
    let summary = summarise(origin, bucket, run);
    index_requests(&summary, run, requests);
    Chunk { summary, entries }
}

/// The bucket that a record of this time belongs to.
pub fn bucket_of(layer: Layer, at: Timestamp, settings: ChunkSettings) -> Bucket {
    Bucket {
        layer,
        start: floor(at, width(settings)),
    }
}

/// The instants of a bucket.
pub fn bucket_range(bucket: Bucket, settings: ChunkSettings) -> TimeRange {
    TimeRange::new(bucket.start, ceiling(bucket.start, width(settings)))
}

/// Width of a bucket in microseconds.
fn width(settings: ChunkSettings) -> i64 {
    i64::from(settings.bucket_minutes.max(1)) * MINUTE
}

/// The instant before.
pub(super) fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_sub(1))
}

/// The start of the window of this width; windows are counted from 1970, hence from each midnight
/// when the width divides a day. The first window begins at [`Timestamp::MIN`] and is shorter.
pub(crate) fn floor(at: Timestamp, width: i64) -> Timestamp {
    Timestamp::from_micros(at.micros().div_euclid(width).saturating_mul(width))
}

/// The end of the window of this width; [`Timestamp::MAX`] for the last one.
pub(crate) fn ceiling(at: Timestamp, width: i64) -> Timestamp {
    Timestamp::from_micros((at.micros().div_euclid(width) + 1).saturating_mul(width))
}

/// How many of these entries make the next chunk.
fn run_length(entries: &[Entry], order: &[usize]) -> usize {
    let mut bytes = 0;
    for (count, &index) in order.iter().take(CHUNK_RECORDS).enumerate() {
        bytes += NUMBERS + entries[index].text_bytes();
        if bytes > CHUNK_BYTES && count > 0 {
            return count;
        }
    }
    order.len().min(CHUNK_RECORDS)
}

fn summarise(origin: &Arc<Origin>, bucket: Bucket, run: &[&Entry]) -> ChunkSummary {
    let mut first_at = Timestamp::MAX;
    let mut last_at = Timestamp::MIN;
    let mut levels = LevelCounts::default();
    let mut minutes: BTreeMap<Timestamp, LevelCounts> = BTreeMap::new();
    for entry in run {
        first_at = first_at.min(entry.timestamp);
        last_at = last_at.max(entry.timestamp);
        levels.add(entry.level);
        minutes
            .entry(floor(entry.timestamp, MINUTE))
            .or_default()
            .add(entry.level);
    }
    ChunkSummary {
        key: ChunkKey {
            bucket,
            first_at,
            id: chunk_id(origin, bucket, run),
        },
        last_at,
        origin: Arc::clone(origin),
        levels,
        minutes: minutes
            .into_iter()
            .map(|(minute, levels)| MinuteCounts { minute, levels })
            .collect(),
    }
}

/// Version 8: derived from where the records stand, not from what they say.
fn chunk_id(origin: &Origin, bucket: Bucket, run: &[&Entry]) -> Uuid {
    let position = |entry: Option<&&Entry>| entry.map_or(0, |entry| entry.position);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&origin.id.as_u128().to_be_bytes());
    hasher.update(bucket.layer.name().as_bytes());
    hasher.update(&bucket.start.micros().to_be_bytes());
    hasher.update(&position(run.first()).to_be_bytes());
    hasher.update(&position(run.last()).to_be_bytes());
    hasher.update(&(run.len() as u64).to_be_bytes());
    let mut id = [0_u8; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Uuid::new_v8(id)
}

fn index_requests(summary: &ChunkSummary, run: &[&Entry], rows: &mut Vec<RequestEntry>) {
    let mut seen: BTreeMap<&RequestId, RequestEntry> = BTreeMap::new();
    for entry in run {
        let Some(id) = &entry.request_id else {
            continue;
        };
        seen.entry(id)
            .and_modify(|row| {
                row.first_seen = row.first_seen.min(entry.timestamp);
                row.last_seen = row.last_seen.max(entry.timestamp);
                row.worst_level = row.worst_level.max(entry.level);
            })
            .or_insert_with(|| RequestEntry {
                request_id: id.clone(),
                chunk: summary.key,
                first_seen: entry.timestamp,
                last_seen: entry.timestamp,
                worst_level: entry.level,
            });
    }
    rows.extend(seen.into_values());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use atalaya_domain::record::{Level, OriginId};

    fn frame(times: &[i64], text: usize) -> Frame {
        let entries = times
            .iter()
            .enumerate()
            .map(|(index, &at)| Entry {
                timestamp: Timestamp::from_micros(at),
                position: index as u64 * 10,
                level: Level::ALL[index % 5],
                message: "x".repeat(text).into(),
                request_id: (index % 3 == 0).then(|| RequestId::new(format!("r{}", index % 7))),
                ..Entry::default()
            })
            .collect();
        Frame {
            origin: Arc::new(Origin {
                id: OriginId::from_u128(9),
                layer: Layer::Application,
                source: "app/shop".into(),
                host: "web1".into(),
            }),
            from: 0,
            until: times.len() as u64 * 10,
            entries,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_entry_lands_in_one_chunk_of_its_bucket_and_repeating_gives_the_same(
            times in prop::collection::vec(
                prop_oneof![any::<i64>(), 0..3_000_000_000_i64, Just(i64::MIN), Just(i64::MAX)],
                0..700,
            ),
            text in 0_usize..300,
        ) {
            let frame = frame(&times, text);
            let settings = ChunkSettings::default();
            let built = build(&frame, settings);
            prop_assert_eq!(&built, &build(&frame, settings));
            prop_assert_eq!(&built, &build_shared(&[frame.clone()].into(), 0, settings));
            let mut positions: Vec<u64> = Vec::new();
            for chunk in &built.chunks {
                let summary = &chunk.summary;
                prop_assert!(!chunk.entries.is_empty() && chunk.entries.len() <= CHUNK_RECORDS);
                prop_assert_eq!(summary.records() as usize, chunk.entries.len());
                let sum = summary.minutes.iter().fold(LevelCounts::default(), |mut sum, minute| {
                    sum.merge(&minute.levels);
                    sum
                });
                prop_assert_eq!(sum, summary.levels);
                for entry in &chunk.entries {
                    prop_assert_eq!(bucket_of(Layer::Application, entry.timestamp, settings), summary.key.bucket);
                    prop_assert!(summary.key.first_at <= entry.timestamp && entry.timestamp <= summary.last_at);
                    let range = bucket_range(summary.key.bucket, settings);
                    prop_assert!(range.from <= entry.timestamp);
                    prop_assert!(entry.timestamp < range.until || range.until == Timestamp::MAX);
                }
                positions.extend(chunk.entries.iter().map(|entry| entry.position));
            }
            positions.sort_unstable();
            prop_assert!(positions.iter().copied().eq(frame.entries.iter().map(|entry| entry.position)));
            let mut ids: Vec<Uuid> = built.chunks.iter().map(|chunk| chunk.summary.key.id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), built.chunks.len());
        }
    }

    #[test]
    fn chunks_are_cut_by_count_and_by_bytes() {
        let same_time = vec![0; 1_200];
        let counts = |text| -> Vec<usize> {
            build(&frame(&same_time, text), ChunkSettings::default())
                .chunks
                .iter()
                .map(|chunk| chunk.entries.len())
                .collect()
        };
        assert_eq!(counts(1), [500, 500, 200]);
        assert!(counts(1_000).iter().all(|&count| count <= 64));
        assert_eq!(counts(CHUNK_BYTES * 2).len(), 1_200);
    }
}
