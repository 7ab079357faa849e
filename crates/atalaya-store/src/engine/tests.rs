//! The engine against a plain list of records, on chunks of every shape.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::selection::Selection;
use super::*;
use crate::chunks::{ArrivalCursor, ChunkSettings, ChunkStoreStats, FrameChunks, StoreHealth};
use crate::error::Backend;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::record::{Entry, Level, Origin};

/// A store in memory that also counts the chunks it holds at once for one caller.
#[derive(Default)]
pub(crate) struct Memory {
    chunks: Mutex<BTreeMap<ChunkKey, Chunk>>,
    requests: Mutex<Vec<RequestEntry>>,
}

#[async_trait]
impl ChunkStore for Memory {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }

    fn settings(&self) -> ChunkSettings {
        ChunkSettings::default()
    }

    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        for frame in frames {
            self.requests.lock().unwrap().extend(frame.requests);
            let chunks = frame
                .chunks
                .into_iter()
                .map(|chunk| (chunk.summary.key, chunk));
            self.chunks.lock().unwrap().extend(chunks);
        }
        Ok(())
    }

    async fn watermark(&self, _: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn watermarks(
        &self,
        _: Option<OriginId>,
        _: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let chunks = self.chunks.lock().unwrap();
        let mut buckets: Vec<Bucket> = chunks.keys().map(|key| key.bucket).collect();
        buckets.dedup();
        buckets.retain(|&bucket| {
            let window = build::bucket_range(bucket, self.settings());
            let begun = bucket.start < range.until || range.until == Timestamp::MAX;
            bucket.layer == layer
                && begun
                && (window.until > range.from || window.until == Timestamp::MAX)
        });
        if order == Order::NewestFirst {
            buckets.reverse();
        }
        buckets.truncate(limit);
        Ok(buckets)
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        let chunks = self.chunks.lock().unwrap();
        let of_bucket = chunks
            .values()
            .rev()
            .filter(|chunk| chunk.summary.key.bucket == bucket);
        Ok(of_bucket.map(|chunk| chunk.summary.clone()).collect())
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        let chunks = self.chunks.lock().unwrap();
        Ok(keys
            .iter()
            .filter_map(|key| chunks.get(key).cloned())
            .collect())
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        let rows = self.requests.lock().unwrap();
        Ok(rows
            .iter()
            .filter(|row| row.request_id == *id)
            .cloned()
            .collect())
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        Ok(ArrivalCursor::new(0_i64))
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        _: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        Ok((Vec::new(), cursor))
    }
}

#[async_trait]
impl StoreHealth for Memory {
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        Ok(ChunkStoreStats::default())
    }
}

/// A selection that needs no query language: level, and perhaps one request.
#[derive(Clone, Debug)]
struct AtLeast {
    level: Level,
    request: Option<RequestId>,
}

impl Selection for AtLeast {
    fn layers(&self) -> Vec<Layer> {
        Layer::ALL.to_vec()
    }

    fn range(&self) -> TimeRange {
        TimeRange::ALL
    }

    fn may_match(&self, chunk: &ChunkSummary) -> bool {
        chunk.levels.worst() >= Some(self.level)
    }

    fn matching_levels(&self, _: &ChunkSummary) -> Option<[bool; 5]> {
        self.request
            .is_none()
            .then(|| Level::ALL.map(|level| level >= self.level))
    }

    fn matches(&self, record: &Record) -> bool {
        record.entry.level >= self.level
            && (self.request.is_none() || record.entry.request_id.as_ref() == self.request.as_ref())
    }

    fn levels(&self) -> [bool; 5] {
        Level::ALL.map(|level| level >= self.level)
    }

    fn request_id(&self) -> Option<&RequestId> {
        self.request.as_ref()
    }
}

/// Times that crowd: the same instants, neighbouring minutes and buckets, and the ends of time.
fn any_time() -> impl Strategy<Value = i64> {
    const MINUTE: i64 = build::MINUTE;
    prop_oneof![
        6 => 0..40_i64,
        6 => (0..30_i64, 0..3_i64).prop_map(|(minute, micros)| minute * MINUTE + micros - 1),
        2 => (0..300_i64).prop_map(|bucket| bucket * 10 * MINUTE),
        1 => Just(i64::MIN),
        1 => Just(i64::MIN + 1),
        1 => Just(i64::MAX),
        1 => Just(i64::MAX - 1),
        1 => any::<i64>(),
    ]
}

pub(super) fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let entry = (any_time(), 0_usize..5, 0_usize..12);
    let frame = (
        0_u128..4,
        0_u64..4,
        prop::collection::vec(entry, 0..60),
        0_usize..2,
    );
    prop::collection::vec(frame, 0..8).prop_map(|frames| {
        let frame = |(origin, from, entries, big): (u128, u64, Vec<(i64, usize, usize)>, usize)| {
            let layer = Layer::ALL[(origin % 2) as usize];
            let from = from * 100;
            let entries = entries
                .into_iter()
                .enumerate()
                .map(|(index, (at, level, request))| Entry {
                    timestamp: Timestamp::from_micros(at),
                    position: from + index as u64,
                    level: Level::ALL[level],
                    // Large ones make small chunks, so that many overlap.
                    message: "x".repeat(big * 20_000).into(),
                    request_id: (request < 3).then(|| RequestId::new(format!("r{request}"))),
                    ..Entry::default()
                });
            Frame {
                origin: Arc::new(Origin {
                    id: OriginId::from_u128(origin),
                    layer,
                    source: format!("source{origin}").into(),
                    host: "host".into(),
                }),
                from,
                until: from + 100,
                entries: entries.collect(),
            }
        };
        // One frame for a place: a place says the same thing for ever.
        let mut frames: Vec<Frame> = frames.into_iter().map(frame).collect();
        frames.sort_by_key(|frame| (frame.origin.id, frame.from));
        frames.dedup_by_key(|frame| (frame.origin.id, frame.from));
        frames
    })
}

pub(super) async fn stored(frames: &[Frame]) -> LogEngine {
    let engine = LogEngine::new(Arc::new(Memory::default()));
    engine.append(frames).await.unwrap();
    engine
}

pub(super) fn records(frames: &[Frame]) -> Vec<Record> {
    let mut records: Vec<Record> = frames
        .iter()
        .flat_map(|frame| {
            frame.entries.iter().map(|entry| Record {
                origin: Arc::clone(&frame.origin),
                entry: entry.clone(),
            })
        })
        .collect();
    records.sort_by_key(Record::sort_key);
    records
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn pages_give_every_match_once_in_order(
        frames in any_frames(),
        level in 0_usize..5,
        request in prop::option::of(0..4),
        newest in any::<bool>(),
        ends in prop::option::of((any_time(), any_time())),
        limit in 1_usize..40,
        scan_limit in prop_oneof![Just(0_u64), 0..200_u64, Just(u64::MAX)],
    ) {
        let selection = Arc::new(AtLeast {
            level: Level::ALL[level],
            request: request.map(|id| RequestId::new(format!("r{id}"))),
        });
        let range = ends.map_or(TimeRange::ALL, |(one, other)| {
            TimeRange::new(Timestamp::from_micros(one.min(other)), Timestamp::from_micros(one.max(other)))
        });
        let engine = runtime().block_on(stored(&frames));
        let mut expected = records(&frames);
        expected.retain(|record| selection.matches(record) && selection::holds(&range, record.entry.timestamp));
        if newest {
            expected.reverse();
        }
        let mut request = PageRequest {
            query: Query::everything(),
            range,
            order: if newest { Order::NewestFirst } else { Order::OldestFirst },
            after: None,
            limit,
            scan_limit,
            cancel: CancellationToken::new(),
        };
        let found = runtime().block_on(async {
            let mut found = Vec::new();
            for _ in 0..10_000 {
                let page = page::page(&*engine.store, Arc::clone(&selection) as _, &request).await.unwrap();
                assert!(page.records.len() <= limit);
                let full = page.records.len() == limit;
                found.extend(page.records);
                let Some(end) = page.next else { return found };
                assert_eq!(end.full, full);
                assert_ne!(request.after, Some(end.cursor), "no progress");
                request.after = Some(end.cursor);
            }
            panic!("the pages never end");
        });
        let keys = |records: &[Record]| records.iter().map(Record::sort_key).collect::<Vec<_>>();
        prop_assert_eq!(keys(&found), keys(&expected));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn histograms_count_what_matches(
        frames in any_frames(),
        level in 0_usize..5,
        one in any_time(),
        other in any_time(),
        bins in 1_usize..50,
        aligned in any::<bool>(),
    ) {
        let selection = Arc::new(AtLeast { level: Level::ALL[level], request: None });
        let range = TimeRange::new(Timestamp::from_micros(one.min(other)), Timestamp::from_micros(one.max(other)));
        let (range, bins) = if aligned { Histogram::aligned(range, bins) } else { (range, bins) };
        let engine = runtime().block_on(stored(&frames));
        let cancel = CancellationToken::new();
        let histogram = runtime()
            .block_on(histogram::histogram(&*engine.store, Arc::clone(&selection) as _, range, bins, &cancel))
            .unwrap();
        let mut expected = vec![LevelCounts::default(); bins];
        for record in records(&frames) {
            if selection.matches(&record) && selection::holds(&range, record.entry.timestamp) {
                let micros = |at: Timestamp| i128::from(at.micros());
                let offset = micros(record.entry.timestamp) - micros(range.from);
                let bin = offset / histogram.bin_width.as_micros().cast_signed();
                expected[usize::try_from(bin).unwrap().min(bins - 1)].add(record.entry.level);
            }
        }
        prop_assert_eq!(histogram.bins, expected);
    }

    #[test]
    fn traces_and_context_agree_with_the_list(frames in any_frames(), limit in 0_usize..30, pick in any::<prop::sample::Index>()) {
        let engine = runtime().block_on(stored(&frames));
        let all = records(&frames);
        let id = RequestId::new("r1");
        let of_request: Vec<&Record> = all.iter().filter(|record| record.entry.request_id.as_ref() == Some(&id)).collect();
        let trace = runtime().block_on(engine.trace(&id, limit)).unwrap();
        prop_assert!(trace.records.iter().eq(of_request.iter().copied().take(limit)));
        prop_assert_eq!(trace.omitted as usize, of_request.len().saturating_sub(limit));
        if !all.is_empty() {
            let record = &all[pick.index(all.len())];
            let same: Vec<&Record> = all.iter().filter(|other| other.origin.source == record.origin.source).collect();
            let at = same.iter().position(|other| *other == record).unwrap();
            let context = runtime().block_on(engine.context(record, 3, 4)).unwrap();
            let expected = &same[at.saturating_sub(3)..same.len().min(at + 5)];
            prop_assert!(context.iter().eq(expected.iter().copied()));
        }
        let extent = runtime().block_on(engine.extent(&Layer::ALL)).unwrap();
        prop_assert_eq!(extent.map(|range| range.from), all.first().map(|record| record.entry.timestamp));
    }
}

#[tokio::test]
async fn an_aligned_histogram_reads_no_records() {
    let frame = Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "app/shop".into(),
            host: "web1".into(),
        }),
        from: 0,
        until: 900,
        entries: (0..900)
            .map(|second| Entry {
                timestamp: Timestamp::from_seconds(second),
                position: second.cast_unsigned(),
                ..Entry::default()
            })
            .collect(),
    };
    let engine = stored(&[frame]).await;
    let range = TimeRange::new(Timestamp::from_seconds(30), Timestamp::from_seconds(890));
    let (range, bins) = Histogram::aligned(range, 60);
    assert_eq!(
        (range.from, range.until, bins),
        (Timestamp::from_seconds(0), Timestamp::from_seconds(900), 15)
    );
    let selection = Arc::new(AtLeast {
        level: Level::Debug,
        request: None,
    });
    let histogram = histogram::histogram(
        &*engine.store,
        selection,
        range,
        bins,
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert_eq!(histogram.scanned.chunks_read, 0);
    assert!(histogram.bins.iter().all(|bin| bin.total() == 60));
}

#[tokio::test]
async fn a_cancelled_read_ends() {
    let engine = stored(&[]).await;
    let request = PageRequest {
        query: Query::everything(),
        range: TimeRange::ALL,
        order: Order::NewestFirst,
        after: None,
        limit: 10,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    };
    request.cancel.cancel();
    assert!(matches!(
        engine.page(&request).await,
        Err(StoreError::Cancelled)
    ));
}

/// Three weeks in which nothing matches, in windows of ten minutes, and one record before them.
#[test]
fn a_match_far_back_is_found_over_very_many_windows() {
    const WINDOWS: i64 = 3_000;
    let entry = |window: i64| Entry {
        timestamp: Timestamp::from_micros(window * 10 * build::MINUTE),
        position: window.cast_unsigned(),
        level: if window == 0 {
            Level::Error
        } else {
            Level::Info
        },
        ..Entry::default()
    };
    let frame = Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "source".into(),
            host: "host".into(),
        }),
        from: 0,
        until: WINDOWS.cast_unsigned(),
        entries: (0..WINDOWS).map(entry).collect(),
    };
    let request = PageRequest {
        query: Query::everything(),
        range: TimeRange::ALL,
        order: Order::NewestFirst,
        after: None,
        limit: 10,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    };
    let page = runtime().block_on(async {
        let engine = stored(&[frame]).await;
        let selection = Arc::new(AtLeast {
            level: Level::Error,
            request: None,
        });
        page::page(&*engine.store, selection, &request)
            .await
            .unwrap()
    });
    assert_eq!(page.records.len(), 1);
    assert_eq!(
        (page.scanned.buckets, page.scanned.chunks_read),
        (WINDOWS.cast_unsigned(), 1)
    );
    assert!(page.next.is_none());
}
