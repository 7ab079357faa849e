//! Questions to an embedded store of five million records: p50 and p95 of each.
//!
//! The store is built once, in the target folder, and used again by later runs; building it prints
//! the rate of writing and the bytes on disk for each record.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::{Query, QueryClock, Zone};
use atalaya::store::chunks::{ChunkStore as _, Order};
use atalaya::store::engine::{Histogram, LogEngine, PageRequest};
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

const RECORDS: u64 = 5_000_000;
/// The last record; the others lie in the 28 hours before it, 50 a second.
const END: i64 = 1_790_000_000_000_000;
const STEP: i64 = 20_000;
const FRAME: u64 = 1_000;
const ORIGINS: u64 = 8;
const REPEATS: usize = 60;

pub fn run(_: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(figures()).unwrap();
}

async fn figures() -> anyhow::Result<()> {
    let store = Arc::new(prepared().await?);
    let engine = LogEngine::new(store.clone());
    let stats = store.stats().await?;
    println!(
        "{} records in {} chunks, {:.1} bytes on disk for each",
        stats.records,
        stats.chunks,
        stats.disk_bytes as f64 / stats.records as f64
    );
    println!("{:<44} {:>9} {:>9} {:>9}", "question", "p50", "p95", "records");
    let mut random = SmallRng::seed_from_u64(1);
    let from = END - RECORDS as i64 * STEP;

    pages("newest 200", &engine, "", 200, || TimeRange::ALL).await?;
    pages("newest 200, level>=error source:app/svc3", &engine, "level>=error source:app/svc3", 200, || {
        TimeRange::ALL
    })
    .await?;
    pages("newest 200, user:user77 duration>400ms", &engine, "user:user77 duration>400ms", 200, || {
        TimeRange::ALL
    })
    .await?;
    pages("errors of 5 minutes", &engine, "level>=error", 1_000, || {
        range_at(random.random_range(from..END - 300_000_000), 300)
    })
    .await?;
    pages("jump to a minute", &engine, "", 200, || range_at(random.random_range(from..END - 60_000_000), 60))
        .await?;
    pages("query request_id:", &engine, "request_id:00000000000f4240", 200, || TimeRange::ALL).await?;

    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..REPEATS {
        let id = request_id(random.random_range(0..RECORDS));
        let begin = Instant::now();
        found += engine.trace(&id, 1_000).await?.records.len();
        times.push(begin.elapsed());
    }
    row("trace of a request_id", times, found / REPEATS);

    for (name, text) in [("histogram of an hour", ""), ("histogram of an hour, level>=error", "level>=error")]
    {
        let query = query(text)?;
        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let hour = range_at(random.random_range(from..END - 3_600_000_000), 3_600);
            let (range, bins) = Histogram::aligned(hour, 120);
            let begin = Instant::now();
            engine.histogram(&query, range, bins, &CancellationToken::new()).await?;
            times.push(begin.elapsed());
        }
        row(name, times, 0);
    }
    let mut times = Vec::new();
    for _ in 0..5 {
        let (range, bins) = Histogram::aligned(range_at(END - 86_400_000_000, 86_400), 120);
        let begin = Instant::now();
        engine.histogram(&Query::everything(), range, bins, &CancellationToken::new()).await?;
        times.push(begin.elapsed());
    }
    row("histogram of a day", times, 0);

    let mut request = request(Query::everything(), TimeRange::ALL, 200);
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        let page = engine.page(&request).await?;
        times.push(begin.elapsed());
        request.after = page.next.map(|end| end.cursor);
    }
    row("each of 100 pages back", times, 200);

    for text in ["needle-in-the-haystack", "checkout", "\"took 499\""] {
        substring(&engine, text).await?;
    }
    store.close().await;
    Ok(())
}

/// A text over the newest day, to its end: when the first hit came, and the last page.
async fn substring(engine: &LogEngine, text: &str) -> anyhow::Result<()> {
    let mut request = PageRequest {
        scan_limit: 200_000,
        ..request(query(text)?, range_at(END - 86_400_000_000, 86_400), 200)
    };
    let begin = Instant::now();
    let (mut first, mut hits, mut scanned, mut longest) = (None, 0, 0, Duration::ZERO);
    loop {
        let called = Instant::now();
        let page = engine.page(&request).await?;
        longest = longest.max(called.elapsed());
        hits += page.records.len();
        scanned += page.scanned.records;
        if hits > 0 && first.is_none() {
            first = Some(begin.elapsed());
        }
        // A frequent text is read for its first thousand hits only, as a screen would.
        match page.next {
            Some(end) if hits < 1_000 => request.after = Some(end.cursor),
            _ => break,
        }
    }
    println!(
        "substring {text}: {hits} hits in {scanned} records after {:.2?}; first {first:.2?}, longest call {longest:.2?}",
        begin.elapsed()
    );
    Ok(())
}

async fn pages(
    name: &str,
    engine: &LogEngine,
    text: &str,
    limit: usize,
    mut range: impl FnMut() -> TimeRange,
) -> anyhow::Result<()> {
    let query = query(text)?;
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..REPEATS {
        let request = request(query.clone(), range(), limit);
        let begin = Instant::now();
        found += engine.page(&request).await?.records.len();
        times.push(begin.elapsed());
    }
    row(name, times, found / REPEATS);
    Ok(())
}

fn row(name: &str, mut times: Vec<Duration>, records: usize) {
    times.sort_unstable();
    let rank = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    println!("{name:<44} {:>9.1?} {:>9.1?} {records:>9}", rank(50), rank(95));
}

fn request(query: Query, range: TimeRange, limit: usize) -> PageRequest {
    PageRequest {
        query,
        range,
        order: Order::NewestFirst,
        after: None,
        limit,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    }
}

fn query(text: &str) -> anyhow::Result<Query> {
    let clock = QueryClock { now: Timestamp::from_micros(END), zone: Zone::Utc };
    Query::parse(text, &clock).with_context(|| format!("query {text}"))
}

fn range_at(from: i64, seconds: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(from + seconds * 1_000_000))
}

/// Opens the store, building it when it is not complete.
async fn prepared() -> anyhow::Result<SqliteChunkStore> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path = target.join(format!("figures/logs-{RECORDS}.sqlite"));
    let store = Arc::new(SqliteChunkStore::open(&path).await?);
    if store.stats().await?.records != RECORDS {
        println!("building {} once", path.display());
        let engine = LogEngine::new(store.clone());
        let mut random = SmallRng::seed_from_u64(42);
        let (mut writing, mut text) = (Duration::ZERO, 0);
        for part in 0..RECORDS / FRAME / ORIGINS / 2 {
            // As many frames in one call as a busy ingest has at hand.
            let frames: Vec<Frame> = (0..ORIGINS * 2)
                .map(|index| frame(part * 2 + index / ORIGINS, index % ORIGINS, &mut random))
                .collect();
            text += frames.iter().flat_map(|frame| &frame.entries).map(text_bytes).sum::<usize>();
            let begin = Instant::now();
            engine.append(&frames).await?;
            writing += begin.elapsed();
        }
        // The odd part that calls of two parts leave over.
        let last = RECORDS / FRAME / ORIGINS - 1;
        let rest: Vec<Frame> = (0..ORIGINS).map(|origin| frame(last, origin, &mut random)).collect();
        engine.append(&rest).await?;
        println!(
            "append alone: {:.0} records/s; texts of {:.0} bytes a record",
            RECORDS as f64 / writing.as_secs_f64(),
            text as f64 / RECORDS as f64
        );
    }
    Arc::into_inner(store).context("the store is still in use")
}

/// A frame of one origin; the origins' records interleave in time.
fn frame(part: u64, origin: u64, random: &mut SmallRng) -> Frame {
    let layer = if origin < 6 { Layer::Application } else { Layer::Infrastructure };
    let source = if origin < 6 { format!("app/svc{origin}") } else { format!("nginx/access{origin}") };
    let begin = END - RECORDS as i64 * STEP;
    let entries = (0..FRAME).map(|index| {
        let number = (part * FRAME + index) * ORIGINS + origin;
        let position = (part * FRAME + index) * 350;
        let timestamp = Timestamp::from_micros(begin + number as i64 * STEP + random.random_range(0..STEP));
        entry(number, position, timestamp, layer, random)
    });
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::derive(&[b"figures", source.as_bytes()]),
            layer,
            source: source.clone().into(),
            host: format!("web{}", origin % 3).into(),
        }),
        from: part * FRAME * 350,
        until: (part + 1) * FRAME * 350,
        entries: entries.collect(),
    }
}

fn request_id(number: u64) -> RequestId {
    RequestId::new(format!("{:016x}", number / 40 * 40))
}

const PATHS: [&str; 6] =
    ["/api/cart", "/api/checkout", "/api/orders", "/login", "/static/app.js", "/api/search"];
const LOGGERS: [&str; 4] =
    ["shop.cart.views", "shop.checkout.payment", "shop.orders.tasks", "django.request"];

fn entry(number: u64, position: u64, timestamp: Timestamp, layer: Layer, random: &mut SmallRng) -> Entry {
    let level = match random.random_range(0..1_000) {
        0..=1 => Level::Critical,
        2..=19 => Level::Error,
        20..=79 => Level::Warning,
        80..=199 => Level::Debug,
        _ => Level::Info,
    };
    let duration = f64::from(random.random_range(1_000..500_000_u32)) / 1_000.0;
    let path = PATHS[random.random_range(0..PATHS.len())];
    let user = random.random_range(0..50_000_u32);
    let address = format!("10.{}.{}.{}", user % 200, user / 251, random.random_range(1..255_u8));
    let needle = if number == RECORDS / 3 { " needle-in-the-haystack" } else { "" };
    if layer == Layer::Infrastructure {
        return Entry {
            timestamp,
            position,
            level,
            message: format!("GET {path}?page={} HTTP/1.1{needle}", random.random_range(1..9_000_u16)).into(),
            duration_ms: Some(duration),
            metadata: vec![
                ("remote_addr".into(), address.into()),
                ("status".into(), if level >= Level::Error { "502" } else { "200" }.into()),
                ("bytes".into(), random.random_range(100..90_000_u32).to_string().into()),
                (
                    "user_agent".into(),
                    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
                ),
            ],
            request_id: Some(request_id(number)),
            ..Entry::default()
        };
    }
    Entry {
        timestamp,
        position,
        level,
        logger: Some(LOGGERS[random.random_range(0..LOGGERS.len())].into()),
        message: format!(
            "handled POST {path} for account {} with {} items in basket {:08x}, upstream answered and the whole took {duration} ms{needle}",
            random.random_range(0..900_000_u32),
            random.random_range(1..40_u8),
            random.random::<u32>(),
        )
        .into(),
        request_id: Some(request_id(number)),
        user_id: Some(format!("user{user}").into()),
        session_id: Some(format!("{:016x}", u64::from(user).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into()),
        duration_ms: Some(duration),
        traceback: None,
        metadata: vec![
            ("remote_addr".into(), address.into()),
            ("module".into(), "shop.views.handlers".into()),
            ("function".into(), "dispatch_request".into()),
            ("line".into(), random.random_range(10..900_u16).to_string().into()),
        ],
    }
}

fn text_bytes(entry: &Entry) -> usize {
    let optional = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let metadata: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    // With its time stamp, level and duration as a JSON line writes them.
    80 + entry.message.len()
        + optional(&entry.logger)
        + optional(&entry.user_id)
        + optional(&entry.session_id)
        + entry.request_id.as_ref().map_or(0, |id| id.as_str().len())
        + metadata
}
