//! What every [`ChunkStore`] must do, alone and under the [`LogEngine`], whatever is behind it.
//! Each case gets an empty store.
//!
//! A backend runs all of it with [`log_store_suite!`]; nothing in here knows which one it is.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use atalaya::domain::chunk::{Bucket, Chunk, ChunkSummary};
use atalaya::domain::record::{
    Entry, Frame, Layer, Level, LevelCounts, Origin, OriginId, Record, RecordId, RequestId,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::Query;
use atalaya::store::chunks::{ChunkStore, Order};
use atalaya::store::engine::build::{bucket_of, build};
use atalaya::store::engine::{Cursor, Histogram, LogEngine, PageRequest};
use atalaya::store::error::StoreError;
use tokio_util::sync::CancellationToken;

type Store = Arc<dyn ChunkStore>;

/// Runs every case of the suite against the stores that `$open` makes: an async function that
/// returns a new empty store and whatever must outlive it.
macro_rules! log_store_suite {
    ($open:path) => {
        $crate::log_store_suite::log_store_suite!($open;
            an_empty_store_is_empty,
            writing_again_changes_nothing,
            the_watermark_only_grows,
            a_frame_without_records_moves_the_watermark,
            all_watermarks_come_in_pages,
            exactly_the_buckets_of_the_range,
            summaries_come_newest_first_and_whole,
            summaries_of_several_buckets_are_those_of_each,
            chunks_come_in_the_order_asked_for,
            records_of_one_microsecond_are_all_kept,
            hostile_text_is_kept_exactly,
            extreme_times_hide_nothing,
            pages_both_ways_meet_every_record_once,
            a_late_record_is_in_its_place_and_in_the_tail,
            followers_miss_nothing_and_repeat_nothing,
            a_request_over_ninety_days_in_order,
            a_trace_counts_what_it_leaves_out,
            context_is_of_the_same_source,
            histogram_counts_by_minute,
            cancelled_reads_end,
            stats_count,
        );
    };
    ($open:path; $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $open().await;
                $crate::log_store_suite::$case(store).await;
            }
        )+
    };
}
pub(crate) use log_store_suite;

/// A Monday morning, at the start of a minute, an hour and a bucket.
const START: i64 = 1_790_000_000_000_000 - 1_790_000_000_000_000 % 3_600_000_000;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

pub(crate) fn origin(id: u128, layer: Layer) -> Arc<Origin> {
    Arc::new(Origin {
        id: OriginId::from_u128(id),
        layer,
        source: format!("app/source{id}").into(),
        host: format!("host{}", id % 2).into(),
    })
}

pub(crate) fn entry(at: i64, position: u64) -> Entry {
    Entry {
        timestamp: Timestamp::from_micros(at),
        position,
        level: Level::ALL[(position % 5) as usize],
        message: format!("message {position}").into(),
        ..Entry::default()
    }
}

/// Entries at these times, with positions from `from` on.
pub(crate) fn frame(
    origin: &Arc<Origin>,
    from: u64,
    times: impl IntoIterator<Item = i64>,
) -> Frame {
    let entries: Vec<Entry> = times
        .into_iter()
        .enumerate()
        .map(|(index, at)| entry(at, from + index as u64))
        .collect();
    Frame {
        origin: Arc::clone(origin),
        from,
        until: from + entries.len() as u64,
        entries,
    }
}

fn records(frames: &[Frame]) -> Vec<Record> {
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

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(Record::id).collect()
}

fn page_request(order: Order, limit: usize) -> PageRequest {
    PageRequest {
        query: Query::everything(),
        range: TimeRange::ALL,
        order,
        after: None,
        limit,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    }
}

/// All records, page by page.
pub(crate) async fn read_all(engine: &LogEngine, order: Order, limit: usize) -> Vec<Record> {
    let mut request = page_request(order, limit);
    let mut all = Vec::new();
    loop {
        let page = engine.page(&request).await.unwrap();
        assert!(page.records.len() <= limit);
        all.extend(page.records);
        match page.next {
            Some(end) => request.after = Some(end.cursor),
            None => return all,
        }
    }
}

async fn bucket_starts(store: &Store, range: TimeRange, order: Order, limit: usize) -> Vec<i64> {
    let buckets = store
        .buckets(Layer::Application, range, order, limit)
        .await
        .unwrap();
    assert!(
        buckets
            .iter()
            .all(|bucket| bucket.layer == Layer::Application)
    );
    buckets.iter().map(|bucket| bucket.start.micros()).collect()
}

fn micros(from: i64, until: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(until))
}

pub(crate) async fn an_empty_store_is_empty(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    assert_eq!(store.watermark(OriginId::from_u128(1)).await.unwrap(), None);
    for layer in Layer::ALL {
        assert_eq!(
            store
                .buckets(layer, TimeRange::ALL, Order::NewestFirst, 10)
                .await
                .unwrap(),
            []
        );
    }
    let nowhere = Bucket {
        layer: Layer::Application,
        start: Timestamp::from_micros(START),
    };
    assert_eq!(store.summaries(nowhere).await.unwrap(), []);
    assert_eq!(store.chunks(&[]).await.unwrap(), []);
    assert_eq!(store.request(&RequestId::new("r")).await.unwrap(), []);
    let end = store.arrivals_end().await.unwrap();
    assert_eq!(
        store.arrivals(end.clone(), 10).await.unwrap(),
        (Vec::new(), end)
    );
    assert_eq!(read_all(&engine, Order::NewestFirst, 10).await, []);
    assert_eq!(engine.extent(&Layer::ALL).await.unwrap(), None);
    assert_eq!(
        engine
            .trace(&RequestId::new("r"), 10)
            .await
            .unwrap()
            .records,
        []
    );
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.records, stats.chunks), (0, 0));
    store.put(Vec::new()).await.unwrap();
}

pub(crate) async fn writing_again_changes_nothing(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let origin = origin(1, Layer::Application);
    let frames = [
        frame(&origin, 0, (0..700).map(|second| START + second * SECOND)),
        frame(&origin, 700, [START]),
    ];
    assert_eq!(engine.append(&frames).await.unwrap(), 701);
    let before = read_all(&engine, Order::OldestFirst, 1_000).await;
    let cursor = store.arrivals_end().await.unwrap();
    for _ in 0..3 {
        engine.append(&frames).await.unwrap();
        engine.append(&frames[1..]).await.unwrap();
    }
    assert_eq!(read_all(&engine, Order::OldestFirst, 1_000).await, before);
    assert_eq!(before, records(&frames));
    assert_eq!(
        store.arrivals(cursor, 100).await.unwrap().0,
        [],
        "a repeated chunk does not arrive again"
    );
    assert_eq!(store.stats().await.unwrap().records, 701);
}

pub(crate) async fn the_watermark_only_grows(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let one = origin(1, Layer::Application);
    let largest = Frame {
        until: u64::MAX,
        ..frame(&one, 0, [START])
    };
    for (frame, expected) in [
        (frame(&one, 0, [START, START]), 2),
        (frame(&one, 2, [START]), 3),
        (frame(&one, 0, [START, START]), 3),
        (largest, u64::MAX),
        (frame(&one, 2, [START]), u64::MAX),
    ] {
        engine.append(&[frame]).await.unwrap();
        assert_eq!(engine.watermark(one.id).await.unwrap(), Some(expected));
    }
    assert_eq!(
        engine.watermark(OriginId::from_u128(2)).await.unwrap(),
        None
    );
}

pub(crate) async fn all_watermarks_come_in_pages(store: Store) {
    assert!(store.watermarks(None, 10).await.unwrap().is_empty());
    let engine = LogEngine::new(Arc::clone(&store));
    let ids = [0, 1, 7, u128::from(u64::MAX) + 3, u128::MAX];
    for (index, id) in ids.into_iter().enumerate() {
        let frame = frame(&origin(id, Layer::Application), 100 * index as u64, [START]);
        engine.append(&[frame]).await.unwrap();
    }
    for limit in [1, 2, 5, 100] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = store.watermarks(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(&(last, _)) = page.last() else { break };
            after = Some(last);
            found.extend(page);
        }
        found.sort_unstable();
        let expected = ids.into_iter().enumerate();
        let expected: Vec<_> = expected
            .map(|(index, id)| (OriginId::from_u128(id), 100 * index as u64 + 1))
            .collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

pub(crate) async fn a_frame_without_records_moves_the_watermark(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let origin = origin(1, Layer::Infrastructure);
    let skipped = Frame {
        origin: Arc::clone(&origin),
        from: 0,
        until: 4_096,
        entries: Vec::new(),
    };
    assert_eq!(engine.append(&[skipped]).await.unwrap(), 0);
    assert_eq!(engine.watermark(origin.id).await.unwrap(), Some(4_096));
    assert_eq!(store.stats().await.unwrap().chunks, 0);
}

pub(crate) async fn exactly_the_buckets_of_the_range(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let width = i64::from(store.settings().bucket_minutes) * MINUTE;
    let origins = [
        origin(1, Layer::Application),
        origin(2, Layer::Infrastructure),
    ];
    let times = [0, 1, 4, 6].map(|bucket| START + bucket * width + 5);
    engine
        .append(&[
            frame(&origins[0], 0, times),
            frame(&origins[1], 0, [START + 2 * width]),
        ])
        .await
        .unwrap();
    let start = |bucket: i64| START + bucket * width;
    let all = [0, 1, 4, 6].map(start);
    assert_eq!(
        bucket_starts(&store, TimeRange::ALL, Order::OldestFirst, 10).await,
        all
    );
    let reversed: Vec<i64> = all.into_iter().rev().collect();
    assert_eq!(
        bucket_starts(&store, TimeRange::ALL, Order::NewestFirst, 10).await,
        reversed
    );
    assert_eq!(
        bucket_starts(&store, TimeRange::ALL, Order::NewestFirst, 2).await,
        reversed[..2]
    );
    assert_eq!(
        bucket_starts(&store, TimeRange::ALL, Order::OldestFirst, 0).await,
        [0_i64; 0]
    );
    for (from, until, expected) in [
        (start(1), start(4), vec![start(1)]),
        (start(1) + width - 1, start(4) + 1, vec![start(1), start(4)]),
        (start(2), start(4), vec![]),
        (start(4), start(4), vec![]),
        (start(6) + width, i64::MAX, vec![]),
        (i64::MIN, start(0) + 1, vec![start(0)]),
        (i64::MIN, start(0), vec![]),
    ] {
        let found = bucket_starts(&store, micros(from, until), Order::OldestFirst, 10).await;
        assert_eq!(found, expected, "{from}..{until}");
    }
}

pub(crate) async fn summaries_come_newest_first_and_whole(store: Store) {
    let settings = store.settings();
    let origins = [origin(1, Layer::Application), origin(2, Layer::Application)];
    let frames = [
        frame(
            &origins[0],
            0,
            (0..1_300).map(|index| START + index * 1_000),
        ),
        frame(
            &origins[1],
            0,
            (0..300).map(|index| START + 500_000 + index),
        ),
        frame(&origins[1], 300, [START + 700]),
    ];
    let built: Vec<_> = frames.iter().map(|frame| build(frame, settings)).collect();
    let mut expected: Vec<_> = built
        .iter()
        .flat_map(|frame| &frame.chunks)
        .map(|chunk| chunk.summary.clone())
        .collect();
    expected.sort_by_key(|summary| std::cmp::Reverse(summary.key.first_at));
    store.put(built).await.unwrap();
    let bucket = bucket_of(Layer::Application, Timestamp::from_micros(START), settings);
    assert_eq!(store.summaries(bucket).await.unwrap(), expected);
}

/// Of several buckets at once what there is in each of them, whatever their days and layers.
pub(crate) async fn summaries_of_several_buckets_are_those_of_each(store: Store) {
    let settings = store.settings();
    let spread = |step: i64| (0..40).map(move |index| START - DAY + index * step);
    let frames = [
        frame(&origin(1, Layer::Application), 0, spread(47 * MINUTE)),
        frame(&origin(2, Layer::Infrastructure), 0, spread(71 * MINUTE)),
    ];
    store
        .put(frames.iter().map(|frame| build(frame, settings)).collect())
        .await
        .unwrap();
    let mut buckets = Vec::new();
    for layer in Layer::ALL {
        buckets.extend(
            store
                .buckets(layer, TimeRange::ALL, Order::OldestFirst, 100)
                .await
                .unwrap(),
        );
    }
    assert_eq!(buckets.len(), 80, "each record in a bucket of its own");
    let by_key = |mut summaries: Vec<ChunkSummary>| {
        summaries.sort_by_key(|summary| summary.key);
        summaries
    };
    for some in [&buckets[..], &buckets[20..50], &buckets[79..], &[]] {
        let mut expected = Vec::new();
        for &bucket in some {
            expected.append(&mut store.summaries(bucket).await.unwrap());
        }
        assert_eq!(expected.len(), some.len());
        assert_eq!(
            by_key(store.summaries_of(some).await.unwrap()),
            by_key(expected)
        );
    }
}

pub(crate) async fn chunks_come_in_the_order_asked_for(store: Store) {
    let settings = store.settings();
    let origin = origin(1, Layer::Application);
    let built = build(
        &frame(&origin, 0, (0..2_000).map(|index| START + index * SECOND)),
        settings,
    );
    store.put(vec![built.clone()]).await.unwrap();
    let mut wanted: Vec<Chunk> = built.chunks.clone();
    wanted.reverse();
    wanted.swap(0, 1);
    let mut keys: Vec<_> = wanted.iter().map(|chunk| chunk.summary.key).collect();
    // One that is not there is left out.
    let mut gone = keys[0];
    gone.first_at = Timestamp::from_micros(START - 1);
    keys.insert(1, gone);
    assert_eq!(store.chunks(&keys).await.unwrap(), wanted);
}

pub(crate) async fn records_of_one_microsecond_are_all_kept(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let origins = [
        origin(1, Layer::Application),
        origin(2, Layer::Application),
        origin(3, Layer::Infrastructure),
    ];
    let frames = origins.map(|origin| frame(&origin, 0, std::iter::repeat_n(START, 1_234)));
    engine.append(&frames).await.unwrap();
    let expected = ids(&records(&frames));
    for limit in [7, 500, 10_000] {
        assert_eq!(
            ids(&read_all(&engine, Order::OldestFirst, limit).await),
            expected
        );
    }
}

pub(crate) async fn hostile_text_is_kept_exactly(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let texts = [
        "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31mred\u{9b}1m",
        "nul \0 in the middle, \r\n\t and the end \0",
        "\u{202e}right to left\u{2066}\u{200b}\u{feff}\u{e0041}",
        "'; DROP TABLE chunks; -- \" ` $1 ?1 :x @y {} %s",
        "e\u{301}\u{302}\u{303} 🏳️‍🌈 漢字 \u{10ffff}",
        "",
    ];
    let long = "0123456789abcdef".repeat(4_096);
    let mut entries = Vec::new();
    for (index, text) in texts.into_iter().chain([long.as_str()]).enumerate() {
        entries.push(Entry {
            logger: Some(text.into()),
            message: text.into(),
            request_id: Some(RequestId::new(text)),
            user_id: Some(text.into()),
            session_id: Some(text.into()),
            traceback: Some(text.into()),
            duration_ms: [Some(0.1 + 0.2), Some(-0.0), Some(f64::MAX), None][index % 4],
            metadata: vec![(text.into(), text.into()), ("plain".into(), text.into())],
            ..entry(START + index as i64, index as u64 * 100)
        });
    }
    let origin = Arc::new(Origin {
        source: texts[0].into(),
        host: texts[3].into(),
        ..(*origin(1, Layer::Application)).clone()
    });
    let frame = Frame {
        origin,
        from: 0,
        until: 1_000,
        entries,
    };
    engine.append(std::slice::from_ref(&frame)).await.unwrap();
    assert_eq!(
        read_all(&engine, Order::OldestFirst, 100).await,
        records(std::slice::from_ref(&frame))
    );
    for entry in &frame.entries {
        let trace = engine
            .trace(entry.request_id.as_ref().unwrap(), 10)
            .await
            .unwrap();
        assert_eq!(
            trace
                .records
                .iter()
                .map(|record| &record.entry)
                .collect::<Vec<_>>(),
            [entry]
        );
    }
}

pub(crate) async fn extreme_times_hide_nothing(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let year_2100 = 4_102_444_800 * SECOND;
    let times = [
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        START,
        START + 1,
        year_2100,
        i64::MAX - 1,
        i64::MAX,
    ];
    let frames = [
        frame(&origin(1, Layer::Application), 0, times),
        frame(&origin(2, Layer::Infrastructure), 0, times),
    ];
    engine.append(&frames).await.unwrap();
    let mut expected = ids(&records(&frames));
    for limit in [1, 3, 100] {
        assert_eq!(
            ids(&read_all(&engine, Order::OldestFirst, limit).await),
            expected
        );
    }
    expected.reverse();
    for limit in [1, 3, 100] {
        assert_eq!(
            ids(&read_all(&engine, Order::NewestFirst, limit).await),
            expected
        );
    }
    // The present is found by its range although there are records after it.
    let request = PageRequest {
        range: micros(START, START + MINUTE),
        ..page_request(Order::NewestFirst, 10)
    };
    assert_eq!(engine.page(&request).await.unwrap().records.len(), 4);
}

/// Overlapping origins of both layers over several buckets.
fn mixed() -> Vec<Frame> {
    let mut frames = Vec::new();
    for id in 0..6_u128 {
        let origin = origin(id, Layer::ALL[(id % 2) as usize]);
        for part in 0..4_u64 {
            // Steps of their own, so that the origins interleave and sometimes meet.
            let step = (id as i64 + 1) * 700_000;
            let begin = START + part as i64 * 11 * MINUTE + id as i64 * SECOND;
            frames.push(frame(
                &origin,
                part * 1_000,
                (0..300).map(|index| begin + index * step),
            ));
        }
    }
    frames
}

pub(crate) async fn pages_both_ways_meet_every_record_once(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let frames = mixed();
    engine.append(&frames).await.unwrap();
    let mut expected = ids(&records(&frames));
    for limit in [1_000, 97] {
        assert_eq!(
            ids(&read_all(&engine, Order::OldestFirst, limit).await),
            expected
        );
        expected.reverse();
        assert_eq!(
            ids(&read_all(&engine, Order::NewestFirst, limit).await),
            expected
        );
        expected.reverse();
    }
    // From a record in the middle, in both directions.
    let middle = expected[3_000];
    let all = records(&frames);
    let at = all
        .iter()
        .find(|record| record.id() == middle)
        .unwrap()
        .entry
        .timestamp;
    let after = Some(Cursor {
        timestamp: at,
        id: middle,
    });
    let newer = engine
        .page(&PageRequest {
            after,
            ..page_request(Order::OldestFirst, 50)
        })
        .await
        .unwrap();
    assert_eq!(ids(&newer.records), expected[3_001..3_051]);
    let older = engine
        .page(&PageRequest {
            after,
            ..page_request(Order::NewestFirst, 50)
        })
        .await
        .unwrap();
    let before: Vec<RecordId> = expected[2_950..3_000].iter().rev().copied().collect();
    assert_eq!(ids(&older.records), before);
}

pub(crate) async fn a_late_record_is_in_its_place_and_in_the_tail(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let origin = origin(1, Layer::Application);
    engine
        .append(&[frame(
            &origin,
            0,
            (0..100).map(|index| START + index * SECOND),
        )])
        .await
        .unwrap();
    let mut follower = engine.follower(Query::everything()).await.unwrap();
    assert_eq!(engine.follow(&mut follower, 100).await.unwrap(), []);
    let late = frame(&origin, 100, [START - 3 * DAY, START + 1]);
    engine.append(std::slice::from_ref(&late)).await.unwrap();
    assert_eq!(
        engine.follow(&mut follower, 100).await.unwrap(),
        records(&[late])
    );
    assert_eq!(engine.follow(&mut follower, 100).await.unwrap(), []);
    let positions: Vec<u64> = read_all(&engine, Order::OldestFirst, 3)
        .await
        .iter()
        .map(|record| record.entry.position)
        .collect();
    assert_eq!(positions[..4], [100, 0, 101, 1]);
}

pub(crate) async fn followers_miss_nothing_and_repeat_nothing(store: Store) {
    const WRITERS: u128 = 4;
    const FRAMES: u64 = 25;
    let engine = LogEngine::new(Arc::clone(&store));
    let mut follower = engine.follower(Query::everything()).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let origin = origin(writer, Layer::ALL[(writer % 2) as usize]);
            for part in 0..FRAMES {
                // Each further back: the order of arrival is not that of time.
                let begin = START - part as i64 * 7 * MINUTE;
                let frame = frame(&origin, part * 10, (0..10).map(|index| begin + index));
                engine.append(std::slice::from_ref(&frame)).await.unwrap();
                engine.append(&[frame]).await.unwrap();
            }
        })
    });
    let writers = futures::future::join_all(writers.collect::<Vec<_>>());
    let done = CancellationToken::new();
    let reader = tokio::spawn({
        let (engine, done) = (engine.clone(), done.clone());
        async move {
            let mut seen = Vec::new();
            loop {
                let last_look = done.is_cancelled();
                let arrived = engine.follow(&mut follower, 50).await.unwrap();
                if arrived.is_empty() && last_look {
                    return seen;
                }
                seen.extend(arrived);
                tokio::task::yield_now().await;
            }
        }
    });
    for writer in writers.await {
        writer.unwrap();
    }
    done.cancel();
    let seen = ids(&reader.await.unwrap());
    let distinct: BTreeSet<RecordId> = seen.iter().copied().collect();
    assert_eq!(seen.len(), distinct.len(), "none twice");
    assert_eq!(
        distinct.len() as u64,
        WRITERS as u64 * FRAMES * 10,
        "none missed"
    );
}

pub(crate) async fn a_request_over_ninety_days_in_order(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let origins = [
        origin(1, Layer::Application),
        origin(2, Layer::Infrastructure),
    ];
    let id = RequestId::new("req-42");
    let mut frames = Vec::new();
    for day in 0..90_i64 {
        for origin in &origins {
            let mut frame = frame(
                origin,
                day as u64 * 100,
                (0..20).map(|index| START - day * DAY + index * SECOND),
            );
            for (index, entry) in frame.entries.iter_mut().enumerate() {
                entry.request_id = Some(if index == 7 {
                    id.clone()
                } else {
                    RequestId::new(format!("other-{index}"))
                });
            }
            frames.push(frame);
        }
    }
    engine.append(&frames).await.unwrap();
    let mut expected = records(&frames);
    expected.retain(|record| record.entry.request_id.as_ref() == Some(&id));
    assert_eq!(expected.len(), 180);
    let trace = engine.trace(&id, 1_000).await.unwrap();
    assert_eq!(trace.records, expected);
    assert_eq!((trace.omitted, trace.request_id), (0, id));
    assert_eq!(
        engine
            .trace(&RequestId::new("req-4"), 1_000)
            .await
            .unwrap()
            .records,
        []
    );
}

pub(crate) async fn a_trace_counts_what_it_leaves_out(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let mut frames = mixed();
    for entry in frames.iter_mut().flat_map(|frame| &mut frame.entries) {
        entry.request_id = Some(RequestId::new("busy"));
    }
    engine.append(&frames).await.unwrap();
    let expected = records(&frames);
    let trace = engine.trace(&RequestId::new("busy"), 150).await.unwrap();
    assert_eq!(trace.records, expected[..150]);
    assert_eq!(trace.omitted as usize, expected.len() - 150);
}

pub(crate) async fn context_is_of_the_same_source(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let frames = mixed();
    engine.append(&frames).await.unwrap();
    let mut same = records(&frames);
    let record = same[2_000].clone();
    same.retain(|other| other.origin.source == record.origin.source);
    let at = same.iter().position(|other| *other == record).unwrap();
    assert_eq!(
        engine.context(&record, 20, 30).await.unwrap(),
        same[at - 20..=at + 30]
    );
    assert_eq!(engine.context(&same[1], 20, 0).await.unwrap(), same[..2]);
}

pub(crate) async fn histogram_counts_by_minute(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let frames = mixed();
    engine.append(&frames).await.unwrap();
    let range = micros(START + 90 * SECOND, START + 50 * MINUTE);
    let count = |range: TimeRange, bins: usize, width: i64| {
        let mut counts = vec![LevelCounts::default(); bins];
        for record in records(&frames)
            .iter()
            .filter(|record| range.contains(record.entry.timestamp))
        {
            let bin = (record.entry.timestamp.micros() - range.from.micros()) / width;
            counts[bin as usize].add(record.entry.level);
        }
        counts
    };
    let cancel = CancellationToken::new();
    let exact = engine
        .histogram(&Query::everything(), range, 97, &cancel)
        .await
        .unwrap();
    assert_eq!(
        exact.bins,
        count(range, 97, exact.bin_width.as_micros() as i64)
    );
    let (aligned, bins) = Histogram::aligned(range, 60);
    let summed = engine
        .histogram(&Query::everything(), aligned, bins, &cancel)
        .await
        .unwrap();
    assert_eq!(summed.bins, count(aligned, bins, MINUTE));
    assert_eq!(
        (summed.bin_width.as_secs(), summed.scanned.chunks_read),
        (60, 0)
    );
}

pub(crate) async fn cancelled_reads_end(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    engine.append(&mixed()).await.unwrap();
    let request = page_request(Order::NewestFirst, 10);
    request.cancel.cancel();
    assert!(matches!(
        engine.page(&request).await,
        Err(StoreError::Cancelled)
    ));
    let histogram = engine
        .histogram(&Query::everything(), TimeRange::ALL, 10, &request.cancel)
        .await;
    assert!(matches!(histogram, Err(StoreError::Cancelled)));
    // The store is none the worse for it.
    assert_eq!(
        engine
            .page(&page_request(Order::NewestFirst, 10))
            .await
            .unwrap()
            .records
            .len(),
        10
    );
}

pub(crate) async fn stats_count(store: Store) {
    let engine = LogEngine::new(Arc::clone(&store));
    let frames = mixed();
    engine.append(&frames).await.unwrap();
    let chunks: usize = frames
        .iter()
        .map(|frame| build(frame, store.settings()).chunks.len())
        .sum();
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.records, stats.chunks), (7_200, chunks as u64));
    assert!(stats.disk_bytes > 0);
    let all = records(&frames);
    let extent = engine.extent(&Layer::ALL).await.unwrap().unwrap();
    assert_eq!(extent.from, all[0].entry.timestamp);
    assert_eq!(
        extent.until.micros(),
        all[7_199].entry.timestamp.micros() + 1
    );
}
