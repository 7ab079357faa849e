//! Tables of the older layout, with rows as their writers left them, read in place and adopted.
//! What is compared with is an embedded store that was given the same records by the test itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use atalaya::domain::record::{
    Entry, Frame, Layer, Level, Origin, OriginId, Record, RequestId, Text,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::{Query, QueryClock, Zone};
use atalaya::service::adopt::{Progress, Stage, adopt};
use atalaya::store::cassandra::foreign::{Clock, ForeignStore, Mapping};
use atalaya::store::cassandra::retry::{Resilience, RetrySettings};
use atalaya::store::cassandra::schema::SchemaSettings;
use atalaya::store::cassandra::{CassandraOptions, connect};
use atalaya::store::chunks::{ChunkSettings, ChunkStore, Order};
use atalaya::store::engine::{Cursor, Histogram, LogEngine, PageRequest};
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use atalaya::store::union::Union;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scylla::client::session::Session;
use scylla::value::{CqlDate, CqlDecimal, CqlTimestamp};
use tokio_util::sync::CancellationToken;

use crate::keyspace::Keyspace;

const DAY: i64 = 86_400_000;
/// 2026-03-02, a Monday, in milliseconds.
const START: i64 = 1_772_409_600_000;
/// Rows of the busy day, between 09:00 and 11:30.
const BUSY: usize = 21_000;

/// A keyspace of its own with the two older tables.
pub(crate) struct Older {
    pub(crate) session: Arc<Session>,
    pub(crate) resilience: Arc<Resilience>,
    pub(crate) keyspace: String,
    now: Arc<AtomicI64>,
}

impl Older {
    pub(crate) async fn create() -> Self {
        let nodes = xtask::services::cassandra().unwrap();
        let keyspace = format!("t_foreign_{:08x}", rand::random::<u32>());
        let options = CassandraOptions::new(nodes.iter().map(ToString::to_string), &keyspace);
        let session = Arc::new(connect(&options).await.unwrap());
        let older = Self {
            resilience: Arc::new(Resilience::new(options.address(), RetrySettings::default())),
            session,
            keyspace,
            now: Arc::new(AtomicI64::new((START + 4 * DAY) * 1_000)),
        };
        let keyspace = &older.keyspace;
        older
            .cql(&format!(
                "CREATE KEYSPACE {keyspace} WITH replication =
                 {{'class': 'SimpleStrategy', 'replication_factor': 1}} AND durable_writes = false"
            ))
            .await;
        older
            .cql(&format!(
                "CREATE TABLE {keyspace}.application_logs (log_date date, timestamp timestamp, level text,
                 logger text, message text, request_id text, user_id int, session_id text,
                 metadata map<text, text>, traceback text, duration_ms decimal,
                 PRIMARY KEY ((log_date), timestamp)) WITH CLUSTERING ORDER BY (timestamp DESC)
                 AND default_time_to_live = 7776000"
            ))
            .await;
        older
            .cql(&format!(
                "CREATE TABLE {keyspace}.infrastructure_logs (log_date date, timestamp timestamp,
                 source text, level text, message text, metadata map<text, text>,
                 PRIMARY KEY ((log_date), timestamp)) WITH CLUSTERING ORDER BY (timestamp DESC)"
            ))
            .await;
        older
    }

    pub(crate) async fn cql(&self, text: &str) {
        self.session.query_unpaged(text, ()).await.unwrap();
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || Timestamp::from_micros(now.load(Ordering::Relaxed)))
    }

    fn set_clock(&self, at_ms: i64) {
        self.now.store(at_ms * 1_000, Ordering::Relaxed);
    }

    pub(crate) async fn open(&self, tables: &[&str]) -> ForeignStore {
        let mappings = tables
            .iter()
            .map(|table| Mapping::built_in(&self.keyspace, table).unwrap())
            .collect();
        ForeignStore::open(
            &self.session,
            &self.resilience,
            mappings,
            ChunkSettings::default(),
            self.clock(),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn write(&self, rows: &[Row]) {
        let keyspace = &self.keyspace;
        let app = self
            .session
            .prepare(format!(
                "INSERT INTO {keyspace}.application_logs (log_date, timestamp, level, logger, message,
                 request_id, user_id, session_id, metadata, traceback, duration_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ))
            .await
            .unwrap();
        let infra = self
            .session
            .prepare(format!(
                "INSERT INTO {keyspace}.infrastructure_logs (log_date, timestamp, source, level, message,
                 metadata) VALUES (?, ?, ?, ?, ?, ?)"
            ))
            .await
            .unwrap();
        stream::iter(rows)
            .map(async |row| {
                let day = CqlDate((row.day + (1 << 31)) as u32);
                let at = CqlTimestamp(row.at_ms);
                let metadata: BTreeMap<&str, &str> = row
                    .metadata
                    .iter()
                    .map(|(name, value)| (*name, &**value))
                    .collect();
                match &row.source {
                    Some(source) => {
                        let values = (day, at, source, row.level, &row.message, metadata);
                        self.session.execute_unpaged(&infra, values).await.map(drop)
                    }
                    None => {
                        let duration = row.duration_ms.map(|hundredths| {
                            CqlDecimal::from_signed_be_bytes_and_exponent(
                                hundredths.to_be_bytes().to_vec(),
                                2,
                            )
                        });
                        let values = (
                            day,
                            at,
                            row.level,
                            row.logger,
                            &row.message,
                            &row.request_id,
                            row.user_id,
                            &row.session_id,
                            metadata,
                            &row.traceback,
                            duration,
                        );
                        self.session.execute_unpaged(&app, values).await.map(drop)
                    }
                }
            })
            .buffer_unordered(128)
            .try_collect::<()>()
            .await
            .unwrap();
    }

    /// The records that these rows are, made from what the specification says of the two tables.
    pub(crate) fn frames(&self, rows: &[Row]) -> Vec<Frame> {
        let mut frames: BTreeMap<OriginId, Frame> = BTreeMap::new();
        for row in rows {
            let (table, layer, source) = match &row.source {
                Some(source) => ("infrastructure_logs", Layer::Infrastructure, source.clone()),
                None => (
                    "application_logs",
                    Layer::Application,
                    format!("app/{}", self.keyspace),
                ),
            };
            let host = format!("{}.{table}", self.keyspace);
            let id = OriginId::derive(&[
                b"foreign",
                host.as_bytes(),
                &(row.day as i32).to_be_bytes(),
                layer.name().as_bytes(),
                source.as_bytes(),
                host.as_bytes(),
            ]);
            let frame = frames.entry(id).or_insert_with(|| Frame {
                origin: Arc::new(Origin {
                    id,
                    layer,
                    source: source.into(),
                    host: host.into(),
                }),
                from: 0,
                until: u64::MAX,
                entries: Vec::new(),
            });
            frame.entries.push(row.entry());
        }
        for frame in frames.values_mut() {
            frame.entries.sort_by_key(|entry| entry.position);
        }
        frames.into_values().collect()
    }

    pub(crate) async fn drop(self) {
        self.cql(&format!("DROP KEYSPACE {}", self.keyspace)).await;
    }
}

/// A row of either table; with a source of the infrastructure's.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Days since 1970, as the writer named its partition.
    pub(crate) day: i64,
    pub(crate) at_ms: i64,
    level: &'static str,
    source: Option<String>,
    logger: Option<&'static str>,
    message: String,
    request_id: Option<String>,
    user_id: Option<i32>,
    session_id: Option<String>,
    metadata: Vec<(&'static str, String)>,
    traceback: Option<String>,
    /// In hundredths.
    duration_ms: Option<i64>,
}

impl Row {
    fn entry(&self) -> Entry {
        let mut metadata: Vec<(Text, Text)> = self
            .metadata
            .iter()
            .map(|(name, value)| ((*name).into(), value.as_str().into()))
            .collect();
        metadata.sort();
        let level = Level::from_word(self.level);
        if level.is_none() {
            metadata.push(("level".into(), self.level.into()));
        }
        Entry {
            timestamp: Timestamp::from_millis(self.at_ms),
            position: (self.at_ms + (1 << 61)) as u64,
            level: level.unwrap_or_default(),
            logger: self.logger.map(Into::into),
            message: self.message.as_str().into(),
            request_id: self.request_id.clone().map(RequestId::new),
            user_id: self.user_id.map(|user| user.to_string().into()),
            session_id: self.session_id.as_deref().map(Into::into),
            duration_ms: self.duration_ms.map(|hundredths| hundredths as f64 / 100.0),
            traceback: self.traceback.as_deref().map(Into::into),
            metadata,
        }
    }
}

const LEVELS: [&str; 12] = [
    "DEBUG", "INFO", "INFO", "INFO", "INFO", "info", "WARNING", "WARNING", "ERROR", "CRITICAL",
    "AUDIT", "INFO",
];
const LOGGERS: [&str; 4] = ["analytics", "billing.tax", "api", "api.auth"];
const SOURCES: [&str; 3] = ["nginx/access", "syslog", "postgresql"];

pub(crate) fn row(random: &mut StdRng, at_ms: i64, infra: bool) -> Row {
    let number = random.random_range(0..100_000_u32);
    let level = LEVELS[random.random_range(0..LEVELS.len())];
    let message = match number % 5 {
        0 => format!("GET /cart/{number} answered"),
        1 => format!("payment of order {number} declined: card expired"),
        2 => format!("Überweisung {number} geprüft ✓"),
        3 => "heartbeat noise".to_owned(),
        _ => format!(
            "user logged in from 10.0.{}.{}",
            number % 256,
            number / 256 % 256
        ),
    };
    let mut metadata = vec![(
        "status",
        ["200", "404", "502"][number as usize % 3].to_owned(),
    )];
    if number % 7 == 0 {
        metadata.push(("host", format!("web{}", number % 4)));
    }
    if infra {
        return Row {
            day: at_ms.div_euclid(DAY),
            at_ms,
            level,
            source: Some(SOURCES[number as usize % 3].to_owned()),
            logger: None,
            message,
            request_id: None,
            user_id: None,
            session_id: None,
            metadata,
            traceback: None,
            duration_ms: None,
        };
    }
    Row {
        day: at_ms.div_euclid(DAY),
        at_ms,
        level,
        source: None,
        logger: Some(LOGGERS[number as usize % 4]),
        message,
        request_id: (number % 3 != 0).then(|| format!("req-{}", number % 1_000)),
        user_id: (number % 2 == 0).then_some(i32::try_from(number % 60).unwrap()),
        session_id: (number % 11 == 0).then(|| format!("s{}", number % 40)),
        metadata,
        traceback: (level == "ERROR").then(|| {
            "Traceback (most recent call last):\n  File \"a.py\", line 3\nValueError: x".to_owned()
        }),
        duration_ms: (number % 4 == 0).then(|| i64::from(number) * 7),
    }
}

/// A week of two tables: a busy Monday morning, quiet days, a day without rows, rows round
/// midnight, and a writer that named its partition by local time.
pub(crate) fn week(seed: u64) -> Vec<Row> {
    week_from(seed, START, BUSY)
}

/// As [`week`], beginning with this midnight.
fn week_from(seed: u64, start: i64, busy: usize) -> Vec<Row> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut rows = Vec::new();
    let mut at = start + 9 * 3_600_000;
    for number in 0..busy {
        // No two rows of a table in one millisecond: the older layout cannot hold them.
        at += random.random_range(1..=857);
        let infra = number % 4 == 3;
        rows.push(row(&mut random, at, infra));
    }
    for day in [1, 3] {
        for _ in 0..40 {
            let at = start + day * DAY + random.random_range(0..DAY);
            let infra = random.random_range(0..4) == 0;
            rows.push(row(&mut random, at, infra));
        }
    }
    for offset in [-1, 0, 1] {
        rows.push(row(&mut random, start + DAY + offset, false));
    }
    // 00:30 UTC is the evening before where this one was written.
    let mut local = row(&mut random, start + DAY + 1_800_000, false);
    local.day -= 1;
    rows.push(local);
    let mut seen = std::collections::HashSet::new();
    rows.retain(|row| seen.insert((row.source.is_some(), row.day, row.at_ms)));
    rows
}

async fn embedded(folder: &tempfile::TempDir, name: &str, frames: &[Frame]) -> LogEngine {
    let store = SqliteChunkStore::open(&folder.path().join(name))
        .await
        .unwrap();
    let engine = LogEngine::new(Arc::new(store));
    for frame in frames {
        engine.append(std::slice::from_ref(frame)).await.unwrap();
    }
    engine
}

fn clock() -> QueryClock {
    QueryClock {
        now: Timestamp::from_millis(START + 4 * DAY),
        zone: Zone::Utc,
    }
}

fn query(text: &str) -> Query {
    Query::parse(text, &clock()).unwrap_or_else(|error| panic!("{text}: {}", error.message))
}

async fn read(engine: &LogEngine, query: &Query, order: Order, limit: usize) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let request = PageRequest {
            query: query.clone(),
            range: TimeRange::ALL,
            order,
            after,
            limit,
            scan_limit: 100_000,
            cancel: CancellationToken::new(),
        };
        let page = engine.page(&request).await.unwrap();
        records.extend(page.records);
        match page.next {
            Some(end) => after = Some(end.cursor),
            None => return records,
        }
    }
}

const QUERIES: [&str; 18] = [
    "",
    "level>=warning",
    "level:critical",
    "source:nginx/*",
    "source:app/*",
    "request_id:req-42",
    "logger:analytics",
    "logger:api level>=error",
    "user:42",
    "session:s11",
    "duration>1s",
    "meta.status:502 level:error",
    "\"card expired\"",
    "/order 1\\d+ declined/",
    "-noise level:info source:syslog",
    "since:2026-03-02T10:00 until:2026-03-02T10:17:30",
    "überweisung or user:7",
    "host:web3",
];

async fn same_answers(there: &LogEngine, here: &LogEngine) {
    for (number, text) in QUERIES.into_iter().enumerate() {
        let query = query(text);
        let expected = read(here, &query, Order::NewestFirst, 5_000).await;
        assert!(!expected.is_empty(), "`{text}` finds something");
        let found = read(there, &query, Order::NewestFirst, 700).await;
        assert!(
            found == expected,
            "`{text}`: {} found, {} expected",
            found.len(),
            expected.len()
        );
        if number % 3 == 1 {
            let mut found = read(there, &query, Order::OldestFirst, 900).await;
            found.reverse();
            assert!(
                found == expected,
                "`{text}` from the oldest: {}",
                found.len()
            );
        }
        let day = TimeRange::new(
            Timestamp::from_millis(START),
            Timestamp::from_millis(START + DAY),
        );
        for (range, bins) in [
            (day, 96),
            (
                TimeRange::new(
                    day.from.saturating_add(Duration::from_secs(36_000)),
                    day.until,
                ),
                50,
            ),
        ] {
            let (range, bins) = Histogram::aligned(range, bins);
            let cancel = CancellationToken::new();
            let expected = here.histogram(&query, range, bins, &cancel).await.unwrap();
            let found = there.histogram(&query, range, bins, &cancel).await.unwrap();
            assert_eq!(found.bins, expected.bins, "`{text}`");
        }
    }
    for layers in [&Layer::ALL[..], &[Layer::Infrastructure]] {
        assert_eq!(
            there.extent(layers).await.unwrap(),
            here.extent(layers).await.unwrap()
        );
    }
    for id in ["req-42", "req-1", "nobody"] {
        let id = RequestId::new(id);
        let found = there.trace(&id, 1_000).await.unwrap();
        let expected = here.trace(&id, 1_000).await.unwrap();
        assert_eq!(found.records, expected.records, "{id}");
    }
    let errors = read(here, &query("level:critical"), Order::NewestFirst, 5_000).await;
    for record in errors.iter().step_by(errors.len() / 5) {
        let found = there.context(record, 20, 20).await.unwrap();
        assert_eq!(found, here.context(record, 20, 20).await.unwrap());
        assert_eq!(found.len(), 41.min(found.len()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_about_the_older_tables_is_answered_as_about_our_own() {
    let older = Older::create().await;
    let rows = week(1);
    older.write(&rows).await;
    let folder = tempfile::tempdir().unwrap();
    let frames = older.frames(&rows);
    assert_eq!(
        frames
            .iter()
            .map(|frame| frame.entries.len())
            .sum::<usize>(),
        rows.len()
    );
    let here = embedded(&folder, "same.db", &frames).await;
    let store = Arc::new(
        older
            .open(&["application_logs", "infrastructure_logs"])
            .await,
    );
    same_answers(&LogEngine::new(store), &here).await;
    older.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_tables_and_our_own_are_one() {
    let older = Older::create().await;
    // Here the same request is found through the table's own index.
    older
        .cql(&format!(
            "CREATE INDEX ON {}.application_logs (request_id)",
            older.keyspace
        ))
        .await;
    let rows = week(2);
    older.write(&rows).await;
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(3);
    let ours: Vec<Frame> = (0..6_u64)
        .map(|number| {
            let origin = Origin {
                id: OriginId::from_u128(number.into()),
                layer: Layer::ALL[number as usize % 2],
                source: SOURCES[number as usize % 3].into(),
                host: "web1".into(),
            };
            let entries = (0..500_u64)
                .map(|position| {
                    let at = START + random.random_range(0..4 * DAY);
                    Entry {
                        position,
                        ..row(&mut random, at, false).entry()
                    }
                })
                .collect();
            Frame {
                origin: Arc::new(origin),
                from: 0,
                until: 500,
                entries,
            }
        })
        .collect();
    let all: Vec<Frame> = older
        .frames(&rows)
        .into_iter()
        .chain(ours.clone())
        .collect();
    let here = embedded(&folder, "all.db", &all).await;
    let own = embedded(&folder, "own.db", &ours).await;
    let part = Arc::new(
        older
            .open(&["application_logs", "infrastructure_logs"])
            .await,
    );
    let there = LogEngine::new(Arc::new(Union::new(Arc::clone(own.store()), part)));
    same_answers(&there, &here).await;

    // What is written goes to our own.
    let frame = Frame {
        from: 500,
        until: 501,
        ..ours[0].clone()
    };
    let mut follower = there.follower(Query::everything()).await.unwrap();
    let late = Entry {
        position: 500,
        timestamp: Timestamp::from_millis(START),
        ..Entry::default()
    };
    there
        .append(&[Frame {
            entries: vec![late.clone()],
            ..frame
        }])
        .await
        .unwrap();
    let arrived = there.follow(&mut follower, 100).await.unwrap();
    assert_eq!(
        arrived
            .iter()
            .map(|record| &record.entry)
            .collect::<Vec<_>>(),
        [&late]
    );
    assert_eq!(there.watermark(ours[0].origin.id).await.unwrap(), Some(501));
    older.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_arrive_are_followed_none_twice_and_none_missed() {
    let older = Older::create().await;
    let mut random = StdRng::seed_from_u64(4);
    let begin = START + 23 * 3_600_000 + 59 * 60_000;
    let mut before = Vec::new();
    for number in 0..30 {
        before.push(row(
            &mut random,
            begin - 20_000 + number * 700,
            number % 3 == 0,
        ));
    }
    older.write(&before).await;
    older.set_clock(begin);
    let store = Arc::new(
        older
            .open(&["application_logs", "infrastructure_logs"])
            .await,
    );
    let engine = LogEngine::new(Arc::clone(&store) as _);
    let mut follower = engine.follower(Query::everything()).await.unwrap();
    assert_eq!(
        engine.follow(&mut follower, 1_000).await.unwrap(),
        [],
        "nothing of before"
    );

    let mut written = Vec::new();
    let mut followed = Vec::new();
    let mut taken = std::collections::HashSet::new();
    // Two minutes round midnight, with rows up to ten seconds late and some from the future.
    for step in 0..60 {
        let now = begin + step * 2_000;
        older.set_clock(now);
        let mut rows = Vec::new();
        for number in 0..random.random_range(0..30) {
            let at = now - random.random_range(0..10_000) + if number == 7 { 60_000 } else { 0 };
            let infra = number % 3 == 0;
            if taken.insert((infra, at)) && at > begin - 5_000 {
                rows.push(row(&mut random, at, infra));
            }
        }
        rows.retain(|row| !before.iter().any(|old| old.at_ms == row.at_ms));
        older.write(&rows).await;
        written.extend(rows);
        if step % 3 != 1 {
            followed.extend(engine.follow(&mut follower, 1_000).await.unwrap());
        }
    }
    followed.extend(engine.follow(&mut follower, 1_000).await.unwrap());
    let key = |record: &Record| record.sort_key();
    let mut expected: Vec<Record> = older
        .frames(&written)
        .into_iter()
        .flat_map(|frame| {
            let origin = frame.origin;
            frame.entries.into_iter().map(move |entry| Record {
                origin: Arc::clone(&origin),
                entry,
            })
        })
        .collect();
    expected.sort_by_key(key);
    followed.sort_by_key(key);
    assert!(expected.len() > 500);
    assert_eq!(followed.len(), expected.len());
    assert!(followed == expected);
    assert_eq!(engine.follow(&mut follower, 1_000).await.unwrap(), []);

    // Filters hold while following, too.
    let mut errors = engine.follower(query("level>=error")).await.unwrap();
    let mut rows: Vec<Row> = (0..400)
        .map(|number| row(&mut random, begin + 125_000 + number, false))
        .collect();
    rows.retain(|row| !taken.contains(&(false, row.at_ms)));
    older.write(&rows).await;
    older.set_clock(begin + 126_000);
    let found = engine.follow(&mut errors, 1_000).await.unwrap();
    let expected = rows
        .iter()
        .filter(|row| row.entry().level >= Level::Error)
        .count();
    assert!(expected > 10);
    assert_eq!(found.len(), expected);
    older.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_anyone_with_more_in_its_key_is_read_too() {
    let older = Older::create().await;
    let keyspace = &older.keyspace;
    older
        .cql(&format!(
            "CREATE TABLE {keyspace}.\"Events\" (\"Day\" date, at timeuuid, seq int, severity int,
             service text, node text, body text, region text, took double,
             PRIMARY KEY ((\"Day\"), at, seq))"
        ))
        .await;
    let insert = older
        .session
        .prepare(format!(
            "INSERT INTO {keyspace}.\"Events\" (\"Day\", at, seq, severity, service, node, body, region, took)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ))
        .await
        .unwrap();
    // Three records in each instant, five instants in a millisecond.
    let mut expected = BTreeMap::new();
    for number in 0..900_u64 {
        let (instant, seq) = (number / 3, number as i32 % 3);
        let nanos = START as u128 * 1_000_000 + u128::from(instant) * 200_000;
        let stamp = uuid::Timestamp::from_unix(
            uuid::NoContext,
            u64::try_from(nanos / 1_000_000_000).unwrap(),
            u32::try_from(nanos % 1_000_000_000).unwrap(),
        );
        let (ticks, counter) = stamp.to_gregorian();
        let mut bytes = [0_u8; 16];
        bytes[0..4].copy_from_slice(&(ticks as u32).to_be_bytes());
        bytes[4..6].copy_from_slice(&((ticks >> 32) as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&(((ticks >> 48) as u16 & 0x0fff) | 0x1000).to_be_bytes());
        bytes[8..10].copy_from_slice(&(counter & 0x3fff | 0x8000).to_be_bytes());
        let at = scylla::value::CqlTimeuuid::from(uuid::Uuid::from_bytes(bytes));
        let body = format!("event {number}");
        let service = ["shop", "mail"][number as usize % 2];
        older
            .session
            .execute_unpaged(
                &insert,
                (
                    CqlDate(((START / DAY) + (1 << 31)) as u32),
                    at,
                    seq,
                    (number % 8) as i32,
                    service,
                    "n1",
                    &body,
                    "eu",
                    number as f64 / 2.0,
                ),
            )
            .await
            .unwrap();
        expected.insert(
            body,
            (
                nanos / 1_000,
                service,
                Level::from_syslog_severity((number % 8) as u8),
            ),
        );
    }
    let mut mapping = Mapping::built_in(keyspace, "infrastructure_logs").unwrap();
    mapping.table = "Events".to_owned();
    mapping.day = "Day".to_owned();
    mapping.columns = atalaya::store::cassandra::foreign::Columns {
        timestamp: "at".to_owned(),
        message: "body".to_owned(),
        level: Some("severity".to_owned()),
        source: Some("service".to_owned()),
        host: Some("node".to_owned()),
        duration_ms: Some("took".to_owned()),
        ..Default::default()
    };
    let store = ForeignStore::open(
        &older.session,
        &older.resilience,
        vec![mapping.clone()],
        ChunkSettings::default(),
        older.clock(),
    )
    .await
    .unwrap();
    let engine = LogEngine::new(Arc::new(store));
    for limit in [7, 1_000] {
        let found = read(&engine, &Query::everything(), Order::NewestFirst, limit).await;
        assert_eq!(found.len(), expected.len());
        for record in &found {
            let (at, service, level) = expected[&*record.entry.message];
            assert_eq!(record.entry.timestamp.micros() as u128, at);
            assert_eq!(
                (&*record.origin.source, &*record.origin.host),
                (service, "n1")
            );
            assert_eq!(record.entry.level, level);
            assert_eq!(record.entry.metadata("region"), Some("eu"));
            assert!(record.entry.duration_ms.is_some());
        }
    }
    assert_eq!(
        read(
            &engine,
            &query("source:mail \"event 17\""),
            Order::OldestFirst,
            10
        )
        .await
        .len(),
        6
    );

    mapping.columns.message = "text".to_owned();
    let told = ForeignStore::open(
        &older.session,
        &older.resilience,
        vec![mapping],
        ChunkSettings::default(),
        older.clock(),
    )
    .await;
    let told = atalaya::store::error::describe(&told.err().unwrap());
    assert!(
        told.contains("Events") && told.contains("no column text"),
        "{told}"
    );
    older.drop().await;
}

/// What the store holds, by level, counted in its summaries: a record in two chunks counts twice.
async fn levels_in(store: &dyn ChunkStore) -> [u64; 5] {
    let mut levels = [0; 5];
    for layer in Layer::ALL {
        for bucket in store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, usize::MAX >> 1)
            .await
            .unwrap()
        {
            for summary in store.summaries(bucket).await.unwrap() {
                for (sum, count) in levels.iter_mut().zip(summary.levels.0) {
                    *sum += u64::from(count);
                }
            }
        }
    }
    levels
}

fn levels_of(frames: &[Frame]) -> [u64; 5] {
    let mut levels = [0; 5];
    for entry in frames.iter().flat_map(|frame| &frame.entries) {
        levels[entry.level.index()] += 1;
    }
    levels
}

/// What the frames hold, in the order of a page from the oldest.
fn records_of(frames: &[Frame]) -> Vec<Record> {
    let mut records: Vec<Record> = frames
        .iter()
        .flat_map(|frame| {
            let record = |entry: &Entry| Record {
                origin: Arc::clone(&frame.origin),
                entry: entry.clone(),
            };
            frame.entries.iter().map(record)
        })
        .collect();
    records.sort_by_key(Record::sort_key);
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adoption_that_is_cut_off_again_and_again_copies_each_row_once() {
    let older = Older::create().await;
    let rows = week_from(5, START, 9_000);
    older.write(&rows).await;
    let folder = tempfile::tempdir().unwrap();
    for table in ["application_logs", "infrastructure_logs"] {
        let infra = table == "infrastructure_logs";
        let rows: Vec<Row> = rows
            .iter()
            .filter(|row| row.source.is_some() == infra)
            .cloned()
            .collect();
        let frames = older.frames(&rows);
        let from = Arc::new(older.open(&[table]).await);
        let path = folder.path().join(format!("{table}.db"));
        let to: Arc<dyn ChunkStore> = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
        let never = CancellationToken::new();

        let planned = adopt(&from, &to, None, true, &never, &|_| {})
            .await
            .unwrap();
        assert_eq!(planned.table.0, levels_of(&frames));
        assert_eq!(
            (planned.copied, levels_in(&*to).await),
            (0, [0; 5]),
            "a dry run writes nothing"
        );

        // Dropped at some await after so many steps, ten times over.
        let mut random = StdRng::seed_from_u64(6);
        for _ in 0..10 {
            let steps = random.random_range(5..14);
            let taken = Arc::new(AtomicI64::new(0));
            let stop = CancellationToken::new();
            let watch = {
                let (taken, stop) = (Arc::clone(&taken), stop.clone());
                move |progress: Progress| {
                    if progress.stage == Stage::Copying
                        && taken.fetch_add(1, Ordering::Relaxed) >= steps
                    {
                        stop.cancel();
                    }
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                ended = adopt(&from, &to, None, false, &never, &watch) => drop(ended.unwrap()),
            }
        }
        // Rows that come late, into what was copied already.
        let mut late: Vec<Row> = (0..40)
            .map(|number| row(&mut random, START + 9 * 3_600_000 + number * 7_001, infra))
            .collect();
        late.retain(|late| !rows.iter().any(|row| row.at_ms == late.at_ms));
        older.write(&late).await;
        let all: Vec<Row> = rows.iter().chain(&late).cloned().collect();
        let frames = older.frames(&all);

        let adopted = adopt(&from, &to, None, false, &never, &|_| {})
            .await
            .unwrap();
        assert!(adopted.is_complete() && adopted.resumed, "{adopted:?}");
        assert_eq!(adopted.late, late.len() as u64, "{adopted:?}");
        assert_eq!(
            (adopted.table.0, adopted.store.0),
            (levels_of(&frames), levels_of(&frames))
        );
        assert_eq!(
            levels_in(&*to).await,
            levels_of(&frames),
            "each row in one chunk"
        );
        // With the table still beside it nothing is there twice.
        let both: Arc<dyn ChunkStore> = Arc::new(Union::new(Arc::clone(&to), from.clone()));
        assert_eq!(
            levels_in(&*both).await,
            levels_of(&frames),
            "each row counts once"
        );
        let engine = LogEngine::new(both);
        let found = read(&engine, &Query::everything(), Order::OldestFirst, 5_000).await;
        assert!(
            found == records_of(&frames),
            "{} of {}",
            found.len(),
            all.len()
        );
        let engine = LogEngine::new(Arc::clone(&to));
        let found = read(&engine, &Query::everything(), Order::OldestFirst, 5_000).await;
        assert!(
            found == records_of(&frames),
            "{} of {}",
            found.len(),
            all.len()
        );

        // Once more: nothing to do. From some day on: the older rows are told.
        let again = adopt(&from, &to, None, false, &never, &|_| {})
            .await
            .unwrap();
        assert_eq!((again.copied, again.missing, again.beyond), (0, 0, 0));
        let since = Timestamp::from_millis(START + DAY);
        let told = adopt(&from, &to, Some(since), true, &never, &|_| {})
            .await
            .unwrap();
        let kept = all.iter().filter(|row| row.at_ms >= START + DAY).count() as u64;
        assert_eq!(
            (told.table.total(), told.older),
            (kept, all.len() as u64 - kept)
        );
    }
    older.drop().await;
}

/// The command itself, ended by SIGKILL while it copies, into our own tables on the same ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_is_killed_five_times_and_adopts_each_row_once() {
    let older = Older::create().await;
    let today = Timestamp::now().micros().div_euclid(DAY * 1_000) * DAY;
    let mut rows = week_from(7, today - 10 * DAY, BUSY);
    rows.retain(|row| row.source.is_none());
    let kept = rows.len();
    let mut random = StdRng::seed_from_u64(8);
    rows.extend(
        (0..25).map(|number| row(&mut random, today - (95 + number) * DAY + number, false)),
    );
    older.write(&rows).await;
    let frames = older.frames(&rows[..kept]);

    let own = Keyspace::make(&SchemaSettings::default()).await;
    let store = own.store().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let logs = format!("cassandra://{}/{}", own.options.nodes.join(","), own.name());
    std::fs::write(&config, format!("[stores]\nlogs = \"{logs}\"\n")).unwrap();
    let table = format!("{}.application_logs", older.keyspace);
    let command_from = |from: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command.args(["db", "adopt", "--json", "--from", from]);
        command
            .env_clear()
            .env("HOME", folder.path())
            .env("ATALAYA_CONFIG", &config)
            .kill_on_drop(true);
        command
    };
    let command = || command_from(&table);
    let from = older.open(&["application_logs"]).await;
    let busy = from.partitions().await.unwrap();
    let mut progress = Vec::new();
    for partition in &busy {
        progress.push(from.progress_origin(partition.day).unwrap().id);
    }
    let place = async || {
        let mut sum = 0;
        for origin in &progress {
            sum += u128::from(store.watermark(*origin).await.unwrap().unwrap_or(0));
        }
        sum
    };
    let mut killed = 0;
    while killed < 5 {
        let before = place().await;
        let mut child = command()
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut moved = 0;
        let mut last = before;
        // Killed in the middle of the copy, or after it if that was the rest.
        while moved < 2 && child.try_wait().unwrap().is_none() {
            let now = place().await;
            moved += i32::from(now != last);
            last = now;
        }
        assert!(last != before || killed > 0, "it has begun");
        child.kill().await.ok();
        killed += 1;
    }
    let output = command().output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{told} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["complete"], &told["missing"]),
        (&serde_json::json!(true), &serde_json::json!(0))
    );
    assert_eq!(
        (&told["table"]["rows"], &told["store"]["rows"]),
        (&serde_json::json!(kept), &serde_json::json!(kept))
    );
    assert_eq!(told["older_than_retention"], serde_json::json!(25));
    assert_eq!(
        levels_in(&store).await,
        levels_of(&frames),
        "each row in one chunk"
    );
    let engine = LogEngine::new(Arc::new(store));
    let found = read(&engine, &Query::everything(), Order::OldestFirst, 5_000).await;
    assert!(found == records_of(&frames), "{} of {kept}", found.len());
    let id = RequestId::new("req-500");
    let expected: Vec<Record> = found
        .into_iter()
        .filter(|record| record.entry.request_id.as_ref() == Some(&id))
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(
        engine.trace(&id, 1_000).await.unwrap().records,
        expected,
        "the index came along"
    );

    // A table that is not known, and one that is not what it is taken for.
    for (from, needle) in [
        ("nowhere.events", "stores.cassandra.foreign"),
        ("nothing", "KEYSPACE.TABLE"),
    ] {
        let output = command_from(from).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(needle));
    }
    drop(own);
    older.drop().await;
}
