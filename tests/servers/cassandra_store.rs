//! The Cassandra log store: the common suite, and what only a ring can show.

use std::collections::BTreeSet;
use std::sync::Arc;

use atalaya::domain::record::{Entry, Frame, Layer, Level, Record, RecordId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::spool::quarantine::{self, Folder};
use atalaya::query::Query;
use atalaya::store::cassandra::schema::SchemaSettings;
use atalaya::store::chunks::{ChunkStore, Order, StoreHealth as _};
use atalaya::store::engine::LogEngine;
use rand::{RngExt as _, SeedableRng as _};
use scylla::value::{CqlTimestamp, CqlValue, Row};
use uuid::Uuid;

use crate::keyspace::{Keyspace, for_ever};
use crate::log_store_suite::{entry, frame, log_store_suite, origin, read_all};

const START: i64 = 1_790_000_000_000_000;

async fn empty() -> (Arc<dyn ChunkStore>, Keyspace) {
    let keyspace = Keyspace::make(&for_ever()).await;
    (Arc::new(keyspace.store().await), keyspace)
}

log_store_suite!(empty);

/// The suite once more where a bucket has several partitions.
mod sharded {
    use super::*;

    async fn empty() -> (Arc<dyn ChunkStore>, Keyspace) {
        let settings = SchemaSettings {
            shards: 5,
            bucket_minutes: 1,
            window_days: 1,
            ..for_ever()
        };
        let keyspace = Keyspace::make(&settings).await;
        (Arc::new(keyspace.store().await), keyspace)
    }

    log_store_suite!(
        empty;
        summaries_come_newest_first_and_whole,
        summaries_of_several_buckets_are_those_of_each,
        chunks_come_in_the_order_asked_for,
        extreme_times_hide_nothing,
        pages_both_ways_meet_every_record_once,
        a_request_over_ninety_days_in_order,
    );
}

impl Keyspace {
    async fn rows(&self, text: &str) -> Vec<Vec<Option<CqlValue>>> {
        let result = self
            .session
            .query_unpaged(text.replace("{ks}", self.name()), ())
            .await
            .unwrap();
        let rows = result.into_rows_result().unwrap();
        rows.rows::<Row>()
            .unwrap()
            .map(|row| row.unwrap().columns)
            .collect()
    }
}

fn now() -> i64 {
    Timestamp::now().micros()
}

/// What a put has written: every table's cells with their write times, and the TTLs apart.
async fn cells(keyspace: &Keyspace) -> (Vec<String>, Vec<i64>) {
    let mut cells = Vec::new();
    let mut ttls = Vec::new();
    for (table, key, columns) in [
        (
            "application_logs",
            "log_date, bucket, shard, first_at, chunk_id",
            &["summary", "logs"][..],
        ),
        (
            "application_summaries",
            "log_date, bucket, shard, group_id",
            &["chunks"],
        ),
        (
            "request_index",
            "period, shard, request_id, group_id",
            &["chunks"],
        ),
        ("watermarks", "origin", &["stored_to"]),
    ] {
        for column in columns {
            let rows = keyspace
                .rows(&format!(
                    "SELECT {key}, {column}, writetime({column}), ttl({column}) FROM {{ks}}.{table}"
                ))
                .await;
            assert!(!rows.is_empty(), "{table}");
            for mut row in rows {
                match row.pop().unwrap() {
                    Some(CqlValue::Int(ttl)) => ttls.push(i64::from(ttl)),
                    other => panic!("{table}.{column} has no TTL: {other:?}"),
                }
                cells.push(format!("{table} {row:?}"));
            }
        }
    }
    cells.sort();
    (cells, ttls)
}

/// R16: repeating a write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_repeated_writes_the_very_same_cells() {
    const DAY: i64 = 86_400_000_000;
    let keyspace = Keyspace::make(&SchemaSettings::default()).await;
    let origin = origin(1, Layer::Application);
    let begin = now();
    // Old, of now, and of the future.
    let times = [
        begin - 80 * DAY,
        begin - DAY,
        begin - 1_000_000,
        begin,
        begin + DAY,
    ];
    let mut written = frame(
        &origin,
        0,
        times
            .into_iter()
            .flat_map(|at| (0..50).map(move |step| at + step)),
    );
    for entry in &mut written.entries {
        entry.request_id = Some(RequestId::new(format!("r{}", entry.position % 7)));
    }
    let past = Frame {
        entries: written.entries[..200].to_vec(),
        until: 200,
        ..written.clone()
    };
    LogEngine::new(Arc::new(keyspace.store().await))
        .append(std::slice::from_ref(&past))
        .await
        .unwrap();
    let (before, _) = cells(&keyspace).await;
    // Another process, after a crash.
    LogEngine::new(Arc::new(keyspace.store().await))
        .append(&[past])
        .await
        .unwrap();
    assert_eq!(cells(&keyspace).await.0, before);
    assert!(before.len() > 10);

    // The end of a row is its record's age away, whenever it was written.
    LogEngine::new(Arc::new(keyspace.store().await))
        .append(&[written])
        .await
        .unwrap();
    let (_, ttls) = cells(&keyspace).await;
    let near = |days: i64| ttls.iter().any(|ttl| (ttl - days * 86_400).abs() < 120);
    assert!(near(10) && near(89) && near(90), "{ttls:?}");
    assert!(
        ttls.iter()
            .all(|ttl| (9 * 86_400..=120 * 86_400).contains(ttl)),
        "{ttls:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_repeated_in_parts_hides_nothing() {
    let (store, _keyspace) = empty().await;
    let engine = LogEngine::new(store);
    let id = RequestId::new("req");
    // All in one bucket, of one request; the first frame is the newest, so that a part which wrote
    // over the whole would win.
    let frames: Vec<Frame> = (0..3_u64)
        .map(|part| {
            let begin = START - part as i64 * 1_000_000;
            let mut frame = frame(
                &origin(1, Layer::Application),
                part * 10,
                (0..10).map(|step| begin + step),
            );
            for entry in &mut frame.entries {
                entry.request_id = Some(id.clone());
            }
            frame
        })
        .collect();
    engine.append(&frames).await.unwrap();
    for part in [&frames[..1], &frames[1..2], &frames[..2], &frames[1..]] {
        engine.append(part).await.unwrap();
        assert_eq!(read_all(&engine, Order::OldestFirst, 100).await.len(), 30);
        assert_eq!(engine.trace(&id, 100).await.unwrap().records.len(), 30);
    }
}

/// R18: old data goes as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_older_than_the_retention_are_counted_and_not_written() {
    const DAY: i64 = 86_400_000_000;
    let keyspace = Keyspace::make(&SchemaSettings {
        retention_days: 7,
        ..SchemaSettings::default()
    })
    .await;
    let store = Arc::new(keyspace.store().await);
    let engine = LogEngine::new(store.clone());
    let origin = origin(1, Layer::Infrastructure);
    let begin = now();
    let mut old = frame(&origin, 0, (0..300).map(|step| begin - 8 * DAY + step));
    old.entries[7].request_id = Some(RequestId::new("gone"));
    engine.append(&[old]).await.unwrap();
    assert_eq!(store.expired(), 300);
    assert_eq!(
        store.watermark(origin.id).await.unwrap(),
        Some(300),
        "they are done with all the same"
    );
    assert_eq!(store.stats().await.unwrap().records, 0);
    assert_eq!(store.request(&RequestId::new("gone")).await.unwrap(), []);
    engine
        .append(&[frame(
            &origin,
            300,
            (0..5).map(|step| begin - 6 * DAY + step),
        )])
        .await
        .unwrap();
    assert_eq!(
        (store.expired(), store.stats().await.unwrap().records),
        (300, 5)
    );
    assert_eq!(read_all(&engine, Order::NewestFirst, 100).await.len(), 5);
}

/// Texts from 10 bytes to 64 KiB, most of them short.
fn lines(origin_id: u128, part: u64, begin: i64, count: u64) -> Frame {
    let mut random = rand::rngs::SmallRng::seed_from_u64(part * 31 + origin_id as u64);
    let mut frame = frame(&origin(origin_id, Layer::Application), part * count, []);
    frame.entries = (0..count)
        .map(|index| {
            let bytes = match random.random_range(0..100) {
                0 => 65_536,
                1..4 => random.random_range(1_000..20_000),
                _ => random.random_range(10..300),
            };
            Entry {
                message: (0..bytes)
                    .map(|_| char::from(random.random_range(32..127_u8)))
                    .collect::<String>()
                    .into(),
                request_id: (index % 3 > 0)
                    .then(|| RequestId::new(format!("{part:08}-{:030}", index % 60))),
                // Many of one millisecond.
                ..entry(
                    begin + (part as i64 * count as i64 + index as i64) * 100,
                    part * count + index,
                )
            }
        })
        .collect();
    frame.until = (part + 1) * count;
    frame
}

/// R17: lines of any size; R18: old data goes as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_all_sizes_without_a_warning_or_a_tombstone() {
    const FRAMES: u64 = 60;
    const RECORDS: u64 = 500;
    let keyspace = Keyspace::make(&SchemaSettings::default()).await;
    let store = Arc::new(keyspace.store().await);
    let engine = LogEngine::new(store.clone());
    let begin = now() - 600_000_000;
    let written: Vec<Frame> = (0..FRAMES)
        .map(|part| lines(u128::from(part % 3), part / 3, begin, RECORDS))
        .collect();
    for group in written.chunks(12) {
        engine.append(group).await.unwrap();
    }
    assert_eq!(store.warnings(), 0, "no batch was worth a warning");
    let mut expected: Vec<Record> = Vec::new();
    for frame in &written {
        let records = frame.entries.iter().cloned();
        expected.extend(records.map(|entry| Record {
            origin: Arc::clone(&frame.origin),
            entry,
        }));
    }
    expected.sort_by_key(Record::sort_key);
    assert_eq!(read_all(&engine, Order::OldestFirst, 5_000).await, expected);
    let id = RequestId::new(format!("{:08}-{:030}", 4, 8));
    let of_it = expected
        .iter()
        .filter(|record| record.entry.request_id.as_ref() == Some(&id))
        .count();
    assert!(of_it > 20);
    assert_eq!(
        engine.trace(&id, 10_000).await.unwrap().records.len(),
        of_it
    );

    let (_, ttls) = cells(&keyspace).await;
    assert!(ttls.iter().all(|ttl| *ttl > 0), "every row ends");
    let read = keyspace
        .rows(&format!(
            "SELECT table_name, max FROM system_views.tombstones_per_read WHERE keyspace_name = '{}' ALLOW FILTERING",
            keyspace.name()
        ))
        .await;
    assert!(read.len() > 5, "the node counts: {read:?}");
    for row in read {
        // The node's histogram begins with 1: that stands for none. Reads of many rows were among them.
        assert!(
            matches!(row[1], Some(CqlValue::Double(max)) if max <= 1.0),
            "tombstones in {row:?}"
        );
    }
}

/// R19: a record that cannot be stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_stored_is_set_aside_alone() {
    let folder = tempfile::tempdir().unwrap();
    let aside = folder.path().join("quarantine");
    let keyspace = Keyspace::make(&for_ever()).await;
    let strict = LogEngine::new(Arc::new(keyspace.store().await));
    let mut written = frame(
        &origin(1, Layer::Application),
        0,
        (0..300).map(|step| START + step),
    );
    for entry in &mut written.entries {
        entry.request_id = Some(RequestId::new("req"));
    }
    // A chunk of its own by its size, and one that the node refuses although it is sent: a key
    // would be too long, were it not cut.
    written.entries[120].message = "x".repeat(20 << 20).into();
    let refused = strict
        .append(std::slice::from_ref(&written))
        .await
        .unwrap_err();
    assert!(
        refused.is_poison() && !refused.is_transient(),
        "{refused:?}"
    );

    let store = keyspace
        .store()
        .await
        .with_quarantine(Arc::new(Folder::new(&aside, 1 << 30)));
    let engine = LogEngine::new(Arc::new(store));
    for _ in 0..2 {
        engine.append(std::slice::from_ref(&written)).await.unwrap();
    }
    let ids = quarantine::ids(&aside).unwrap();
    assert_eq!(
        ids,
        [format!("{}-78", written.origin.id)],
        "once, also when the put is repeated"
    );
    let kept = quarantine::open(&aside, &ids[0]).unwrap();
    assert_eq!(
        kept.frames.unwrap()[0].entries,
        [written.entries[120].clone()]
    );
    assert!(kept.reason.contains("bytes"), "{}", kept.reason);
    let positions: Vec<u64> = read_all(&engine, Order::OldestFirst, 1_000)
        .await
        .iter()
        .map(|record| record.entry.position)
        .collect();
    let others: Vec<u64> = (0..300).filter(|&position| position != 120).collect();
    assert_eq!(positions, others);
    assert_eq!(
        engine
            .trace(&RequestId::new("req"), 1_000)
            .await
            .unwrap()
            .records
            .len(),
        299
    );
    assert_eq!(
        engine.watermark(written.origin.id).await.unwrap(),
        Some(300)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_client_reads_the_chunks_and_what_it_writes_is_read() {
    let keyspace = Keyspace::make(&for_ever()).await;
    let store = Arc::new(keyspace.store().await);
    let engine = LogEngine::new(store.clone());
    let mut written = frame(&origin(3, Layer::Application), 0, [START, START + 1_500]);
    written.entries[0].metadata = vec![("z".into(), "1".into()), ("a".into(), "2".into())];
    written.entries[0].duration_ms = Some(0.1 + 0.2);
    written.entries[1].level = Level::Critical;
    engine.append(std::slice::from_ref(&written)).await.unwrap();
    let rows = keyspace
        .rows("SELECT log_date, bucket, shard, summary, logs FROM {ks}.application_logs")
        .await;
    assert_eq!(rows.len(), 1);
    let [_, _, _, Some(summary), Some(logs)] = &rows[0][..] else {
        panic!("{rows:?}")
    };
    let field = |value: &CqlValue, name: &str| match value {
        CqlValue::UserDefinedType { fields, .. } => fields
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone(),
        other => panic!("{other:?}"),
    };
    let text = |text: &str| Some(CqlValue::Text(text.to_owned()));
    assert_eq!(field(summary, "source"), text("app/source3"));
    assert_eq!(
        field(summary, "origin"),
        Some(CqlValue::Uuid(Uuid::from_u128(3)))
    );
    assert_eq!(field(summary, "records"), Some(CqlValue::Int(2)));
    let CqlValue::List(records) = logs else {
        panic!("{logs:?}")
    };
    assert_eq!(field(&records[0], "message"), text("message 0"));
    assert_eq!(
        field(&records[0], "duration_ms"),
        Some(CqlValue::Double(0.1 + 0.2))
    );
    assert_eq!(field(&records[0], "logger"), None);
    assert_eq!(
        field(&records[0], "metadata"),
        Some(CqlValue::List(vec![
            CqlValue::Tuple(vec![text("z"), text("1")]),
            CqlValue::Tuple(vec![text("a"), text("2")]),
        ]))
    );
    assert_eq!(field(&records[1], "level"), text("CRITICAL"));

    // The same values, written by the driver's own code under another id.
    let copy = CqlValue::Uuid(Uuid::from_u128(0x1234_5678));
    let row = &rows[0];
    let visible = CqlValue::UserDefinedType {
        keyspace: keyspace.name().to_owned(),
        name: "visible_chunk".to_owned(),
        fields: vec![
            ("layer".to_owned(), text("application")),
            ("chunk_id".to_owned(), Some(copy.clone())),
            ("summary".to_owned(), Some(summary.clone())),
        ],
    };
    let first_at = CqlValue::Timestamp(CqlTimestamp(START / 1_000));
    for (columns, values) in [
        (
            "logs (log_date, bucket, shard, first_at, chunk_id, summary, logs)",
            vec![first_at, copy.clone(), summary.clone(), logs.clone()],
        ),
        (
            "summaries (log_date, bucket, shard, group_id, chunks)",
            vec![copy, CqlValue::List(vec![visible])],
        ),
    ] {
        let markers = vec!["?"; values.len() + 3].join(", ");
        let insert = format!(
            "INSERT INTO {}.application_{columns} VALUES ({markers})",
            keyspace.name()
        );
        let prepared = keyspace.session.prepare(insert).await.unwrap();
        let key = row[..3].iter().cloned();
        let values: Vec<Option<CqlValue>> = key.chain(values.into_iter().map(Some)).collect();
        keyspace
            .session
            .execute_unpaged(&prepared, values)
            .await
            .unwrap();
    }
    let bucket = store.buckets(
        Layer::Application,
        atalaya::domain::time::TimeRange::ALL,
        Order::NewestFirst,
        1,
    );
    let bucket = bucket.await.unwrap()[0];
    let keys: Vec<_> = store
        .summaries(bucket)
        .await
        .unwrap()
        .iter()
        .map(|summary| summary.key)
        .collect();
    let chunks = store.chunks(&keys).await.unwrap();
    assert_eq!(chunks.len(), 2);
    assert_eq!(&*chunks[0].entries, &written.entries[..]);
    assert_eq!(&*chunks[1].entries, &written.entries[..]);
    assert!(
        keys.iter()
            .any(|key| key.id == Uuid::from_u128(0x1234_5678))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_miss_nothing_of_several_processes_at_full_speed() {
    const WRITERS: u64 = 4;
    const FRAMES: u64 = 40;
    const RECORDS: u64 = 500;
    let keyspace = Keyspace::make(&for_ever()).await;
    let follower_engine = LogEngine::new(Arc::new(keyspace.store().await));
    let mut follower = follower_engine.follower(Query::everything()).await.unwrap();
    let begun = std::time::Instant::now();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        // Two sessions of two tasks each; some calls are dropped half-way and made again, as after
        // a crash, and all of the last ones are made twice.
        let engine = LogEngine::new(Arc::new(keyspace.store().await));
        writers.push(tokio::spawn(async move {
            let mut random = rand::rngs::SmallRng::seed_from_u64(writer);
            let origin = origin(u128::from(writer), Layer::ALL[(writer % 2) as usize]);
            let mut last = None;
            for part in 0..FRAMES {
                let frame = frame(
                    &origin,
                    part * RECORDS,
                    (0..RECORDS).map(|step| START - part as i64 * 90_000_000 + step as i64),
                );
                if random.random_range(0..4) == 0 {
                    let cut = tokio::time::timeout(
                        std::time::Duration::from_micros(random.random_range(100..8_000)),
                        engine.append(std::slice::from_ref(&frame)),
                    );
                    drop(cut.await);
                }
                engine.append(std::slice::from_ref(&frame)).await.unwrap();
                last = Some(frame);
            }
            engine.append(&[last.unwrap()]).await.unwrap();
        }));
    }
    let writers = futures::future::join_all(writers);
    let done = tokio_util::sync::CancellationToken::new();
    let reader = tokio::spawn({
        let done = done.clone();
        async move {
            let mut seen: Vec<RecordId> = Vec::new();
            loop {
                let last_look = done.is_cancelled();
                let arrived = follower_engine.follow(&mut follower, 2_000).await.unwrap();
                if arrived.is_empty() && last_look {
                    return seen;
                }
                seen.extend(arrived.iter().map(Record::id));
            }
        }
    });
    for writer in writers.await {
        writer.unwrap();
    }
    let rate = (WRITERS * FRAMES * RECORDS) as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} records/s while followed");
    done.cancel();
    let seen = reader.await.unwrap();
    let distinct: BTreeSet<RecordId> = seen.iter().copied().collect();
    assert_eq!(seen.len(), distinct.len(), "none twice");
    assert_eq!(
        distinct.len() as u64,
        WRITERS * FRAMES * RECORDS,
        "none missed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_begins_late_sees_no_repeats_and_no_past() {
    let keyspace = Keyspace::make(&for_ever()).await;
    let written: Vec<Frame> = (0..300_u64)
        .map(|part| frame(&origin(1, Layer::Application), part, [START + part as i64]))
        .collect();
    let first = LogEngine::new(Arc::new(keyspace.store().await));
    // More arrivals than one partition of them holds.
    for frame in &written {
        first.append(std::slice::from_ref(frame)).await.unwrap();
    }
    let mut follower = first.follower(Query::everything()).await.unwrap();
    // Another process replays what was sent last, as the spool does after a crash.
    let second = LogEngine::new(Arc::new(keyspace.store().await));
    for frame in &written[250..] {
        second.append(std::slice::from_ref(frame)).await.unwrap();
    }
    assert_eq!(first.follow(&mut follower, 1_000).await.unwrap(), []);
    second
        .append(&[frame(&origin(1, Layer::Application), 300, [START])])
        .await
        .unwrap();
    let arrived = first.follow(&mut follower, 1_000).await.unwrap();
    assert_eq!(
        arrived
            .iter()
            .map(|record| record.entry.position)
            .collect::<Vec<_>>(),
        [300]
    );
    // Both announce the same before anybody looks.
    let same = [frame(&origin(1, Layer::Application), 301, [START])];
    for engine in [&first, &second] {
        engine.append(&same).await.unwrap();
    }
    let arrived = first.follow(&mut follower, 1_000).await.unwrap();
    assert_eq!(
        arrived
            .iter()
            .map(|record| record.entry.position)
            .collect::<Vec<_>>(),
        [301]
    );
}
