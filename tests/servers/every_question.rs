//! Every kind of question that the console asks, on the same records in Cassandra and in a plain list:
//! the answers are the same, and each looks at no more of the store than it must.

use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::record::{
    Entry, Frame, Layer, Level, LevelCounts, Origin, OriginId, Record, RequestId,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::{Query, QueryClock, Zone};
use atalaya::store::chunks::Order;
use atalaya::store::engine::{Histogram, LogEngine, PageRequest, Scanned};
use tokio_util::sync::CancellationToken;

use crate::keyspace::{Keyspace, for_ever};
use crate::own_logs::long;

/// Of the newest day; a round hour.
const END: i64 = 1_790_000_000_000_000 - 1_790_000_000_000_000 % 3_600_000_000;
const DAY: i64 = 86_400_000_000;
const DAYS: i64 = 90;
const ORIGINS: u64 = 8;
/// Records of one frame, 0.8 s apart.
const FRAME: u64 = 500;
const STEP: i64 = 100_000;
const ROUND: u64 = ORIGINS * FRAME;
const PAGE: usize = 200;
/// Records of one request, by number: of all origins, hence of both layers.
const OF_A_REQUEST: u64 = 40;
/// One that goes on for all the days.
const LASTING: &str = "req-lasting";

/// What is asked, and whether summaries alone count it.
const QUESTIONS: [(&str, bool); 16] = [
    ("", true),
    ("level>=error", true),
    ("level:debug", true),
    ("layer:infra", true),
    ("source:app/svc3", true),
    ("level>=warning source:nginx/access6", true),
    ("host:web1 -level:info", false),
    ("user:user17", false),
    ("logger:shop.cart level>=warning", false),
    ("duration>490ms", false),
    ("meta.status:502", false),
    ("has:traceback", false),
    ("\"order 4242 \"", false),
    ("/order 77[0-9]+7 /", false),
    ("needle or level:critical", false),
    ("nowhere-to-be-found", false),
];

fn origin(number: u64) -> Origin {
    let layer = if number < 6 {
        Layer::Application
    } else {
        Layer::Infrastructure
    };
    let source = if number < 6 {
        format!("app/svc{number}")
    } else {
        format!("nginx/access{number}")
    };
    Origin {
        id: OriginId::from_u128(u128::from(number) + 1),
        layer,
        source: source.into(),
        host: format!("web{}", number % 3).into(),
    }
}

fn entry(number: u64, position: u64, at: i64, lasting: bool) -> Entry {
    let level = match number % 50 {
        _ if number.is_multiple_of(997) => Level::Critical,
        0 => Level::Error,
        1..=3 => Level::Warning,
        4..=10 => Level::Debug,
        _ => Level::Info,
    };
    let request = if lasting {
        LASTING.to_owned()
    } else {
        format!("req-{:x}", number / OF_A_REQUEST)
    };
    let needle = if number.is_multiple_of(9_973) {
        " with a needle"
    } else {
        ""
    };
    Entry {
        timestamp: Timestamp::from_micros(at),
        position,
        level,
        logger: Some(["shop.cart", "shop.orders", "django.request"][(number % 3) as usize].into()),
        message: format!("order {number} was handled{needle}").into(),
        request_id: Some(RequestId::new(request)),
        user_id: Some(format!("user{}", number % 211).into()),
        session_id: None,
        duration_ms: Some((number % 500) as f64 + 0.5),
        traceback: (level >= Level::Error)
            .then(|| format!("Traceback:\n  ValueError: {number}").into()),
        metadata: vec![(
            "status".into(),
            if number.is_multiple_of(61) {
                "502"
            } else {
                "200"
            }
            .into(),
        )],
    }
}

/// A frame of each origin, their records side by side in time.
fn round(round: u64, rounds: u64) -> Vec<Frame> {
    // The first one begins the oldest day, the last one ends the newest.
    let last = END - ROUND as i64 * STEP;
    let begin = last - DAYS * DAY * (rounds - 1 - round) as i64 / (rounds - 1) as i64 / STEP * STEP;
    let frame = |of: u64| {
        let entries = (0..FRAME).map(|index| {
            let place = index * ORIGINS + of;
            let lasting = round.is_multiple_of(rounds / 12) && place.is_multiple_of(1_333);
            entry(
                round * ROUND + place,
                round * FRAME + index,
                begin + place as i64 * STEP,
                lasting,
            )
        });
        Frame {
            entries: entries.collect(),
            origin: Arc::new(origin(of)),
            from: round * FRAME,
            until: (round + 1) * FRAME,
        }
    };
    (0..ORIGINS).map(frame).collect()
}

/// A store and a list of the same records, the list in order.
struct Both {
    engine: LogEngine,
    list: Vec<Record>,
}

impl Both {
    async fn fill(keyspace: &Keyspace, rounds: u64) -> Self {
        let engine = LogEngine::new(Arc::new(keyspace.store().await));
        let mut list = Vec::new();
        for number in 0..rounds {
            let frames = round(number, rounds);
            let stored = engine.append(&frames).await.unwrap();
            assert_eq!(stored, ROUND);
            for Frame {
                origin, entries, ..
            } in frames
            {
                list.extend(entries.into_iter().map(|entry| Record {
                    origin: Arc::clone(&origin),
                    entry,
                }));
            }
        }
        list.sort_by_key(Record::sort_key);
        Self { engine, list }
    }

    fn asked(&self, text: &str) -> Asked<'_> {
        let query = query(text);
        let matching = self
            .list
            .iter()
            .filter(|record| query.matches(record))
            .collect();
        Asked {
            engine: &self.engine,
            query,
            matching,
        }
    }

    async fn trace(&self, id: &str) {
        let id = RequestId::new(id);
        let wanted: Vec<&Record> = self
            .list
            .iter()
            .filter(|record| record.entry.request_id.as_ref() == Some(&id))
            .collect();
        let found = self.engine.trace(&id, 10_000).await.unwrap();
        assert!(!wanted.is_empty() && found.omitted == 0);
        assert!(
            found.records.iter().eq(wanted.iter().copied()),
            "{id}: all of it, in order"
        );
        // A chunk holds at least one of its records, or it would not be in the index.
        assert!(
            found.scanned.chunks_read <= wanted.len() as u64,
            "{id}: {:?}",
            found.scanned
        );
    }

    async fn context(&self, place: usize) {
        let record = &self.list[place];
        let same = |other: &&Record| other.origin.source == record.origin.source;
        let before: Vec<&Record> = self.list[..place]
            .iter()
            .rev()
            .filter(same)
            .take(20)
            .collect();
        let after = self.list[place + 1..].iter().filter(same).take(20);
        let wanted: Vec<&Record> = before
            .into_iter()
            .rev()
            .chain(std::iter::once(record))
            .chain(after)
            .collect();
        let found = self.engine.context(record, 20, 20).await.unwrap();
        assert!(
            found.iter().eq(wanted),
            "what stands around {}",
            record.entry.message
        );
    }
}

/// One question and what a plain list answers.
struct Asked<'a> {
    engine: &'a LogEngine,
    query: Query,
    /// In order.
    matching: Vec<&'a Record>,
}

impl Asked<'_> {
    fn inside(&self, range: TimeRange) -> Vec<&Record> {
        let inside = |record: &&&Record| range.contains(record.entry.timestamp);
        self.matching.iter().filter(inside).copied().collect()
    }

    /// Pages from one end, compared with the list; what was looked at for them.
    async fn pages(&self, range: TimeRange, order: Order, pages: usize) -> Scanned {
        let mut wanted = self.inside(range);
        if order == Order::NewestFirst {
            wanted.reverse();
        }
        let mut request = PageRequest {
            query: self.query.clone(),
            range,
            order,
            after: None,
            limit: PAGE,
            scan_limit: u64::MAX,
            cancel: CancellationToken::new(),
        };
        let (mut found, mut scanned) = (Vec::new(), Scanned::default());
        for _ in 0..pages {
            let page = self.engine.page(&request).await.unwrap();
            scanned.chunks_read += page.scanned.chunks_read;
            found.extend(page.records);
            request.after = page.next.map(|end| end.cursor);
            if request.after.is_none() {
                assert_eq!(
                    found.len(),
                    wanted.len(),
                    "{} {order:?}: it ends before its end",
                    self.query
                );
                break;
            }
        }
        wanted.truncate(pages * PAGE);
        assert_eq!(found.len(), wanted.len(), "{} {order:?}", self.query);
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!(found, wanted, "{} {order:?}", self.query);
        }
        scanned
    }

    async fn histogram(&self, range: TimeRange, by_summaries: bool) {
        let (range, bins) = Histogram::aligned(range, 120);
        let drawn = self
            .engine
            .histogram(&self.query, range, bins, &CancellationToken::new())
            .await
            .unwrap();
        let mut wanted = vec![LevelCounts::default(); drawn.bins.len()];
        for record in self.inside(range) {
            let offset = record.entry.timestamp.micros() - range.from.micros();
            let bin = offset as usize / drawn.bin_width.as_micros() as usize;
            wanted[bin].add(record.entry.level);
        }
        assert_eq!(drawn.bins, wanted, "{}", self.query);
        if by_summaries {
            assert_eq!(
                drawn.scanned.chunks_read, 0,
                "{}: counted by summaries alone",
                self.query
            );
        }
    }
}

fn query(text: &str) -> Query {
    let clock = QueryClock {
        now: Timestamp::from_micros(END),
        zone: Zone::Utc,
    };
    Query::parse(text, &clock).unwrap()
}

fn from_end(ago: Duration, length: Duration) -> TimeRange {
    let from = Timestamp::from_micros(END).saturating_sub(ago);
    TimeRange::new(from, from.saturating_add(length))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_is_answered_as_by_a_plain_list_and_within_its_bounds() {
    let rounds = if long() { 250 } else { 15 };
    let keyspace = Keyspace::make(&for_ever()).await;
    let both = Both::fill(&keyspace, rounds).await;
    assert_eq!(both.list.len() as u64, rounds * ROUND);
    let everything = TimeRange::new(both.list[0].entry.timestamp, Timestamp::from_micros(END));
    let hour = from_end(Duration::from_hours(1), Duration::from_hours(1));
    let minute = from_end(Duration::from_secs(200), Duration::from_mins(1));

    for (text, by_summaries) in QUESTIONS {
        let asked = both.asked(text);
        assert_eq!(
            asked.matching.is_empty(),
            text == "nowhere-to-be-found",
            "{text}"
        );
        let newest = asked.pages(TimeRange::ALL, Order::NewestFirst, 3).await;
        asked.pages(TimeRange::ALL, Order::OldestFirst, 1).await;
        asked.pages(hour, Order::NewestFirst, 2).await;
        asked.pages(minute, Order::OldestFirst, 1).await;
        for range in [everything, hour] {
            asked.histogram(range, by_summaries).await;
        }
        if text.is_empty() {
            // Three pages are 600 records of the newest chunks of eight origins.
            assert!(newest.chunks_read <= 6 * ORIGINS, "{newest:?}");
        }
    }
    // Of a few minutes one sees the seconds: from the records.
    both.asked("level>=error").histogram(minute, false).await;

    both.trace(LASTING).await;
    for number in [
        0,
        1,
        rounds * ROUND / 3,
        rounds * ROUND / 2 + 7,
        rounds * ROUND - 1,
    ] {
        both.trace(&format!("req-{:x}", number / OF_A_REQUEST))
            .await;
    }
    for place in [0, both.list.len() / 2, both.list.len() - 1] {
        both.context(place).await;
    }
}
