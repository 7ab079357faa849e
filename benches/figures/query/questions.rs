//! The questions, asked of any store in the same order and about the same times.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use atalaya::domain::record::RequestId;
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::query::{Query, QueryClock, Zone};
use atalaya::store::chunks::Order;
use atalaya::store::engine::{Histogram, LogEngine, PageRequest};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio_util::sync::CancellationToken;

use super::data::{Data, range_at};
use super::older::{Older, Refusal};

/// How often a question is asked; a slow one less often.
const REPEATS: usize = 60;
const BUDGET: Duration = Duration::from_secs(20);
const PAGE: usize = 200;
const PAGES: usize = 100;
const BINS: usize = 120;
const TRACE: usize = 1_000;
/// More than there are errors in five minutes.
const ERRORS: usize = 5_000;

/// The newest of these records, in whole pages.
#[derive(Clone)]
pub struct Newest {
    pub text: &'static str,
    pub range: TimeRange,
    pub limit: usize,
    pub pages: usize,
}

/// One question about one time.
#[derive(Clone)]
pub enum Ask {
    Newest(Newest),
    Trace(RequestId),
    /// What a histogram of this span is drawn from: the number of records that match.
    Count {
        text: &'static str,
        range: TimeRange,
        bins: usize,
    },
}

pub const FILTERED: &str = "level>=error source:nginx/access6";
pub const ERRORS_ONLY: &str = "level>=error";
pub const BY_USER: &str = "user:user77 duration>400ms";

/// What is asked, under which name, how often at most.
fn questions(data: &Data) -> Vec<(String, Vec<Ask>)> {
    let mut random = SmallRng::seed_from_u64(1);
    let newest = |text, range, limit| {
        Ask::Newest(Newest {
            text,
            range,
            limit,
            pages: 1,
        })
    };
    let mut all = Vec::new();
    for text in ["", FILTERED, BY_USER] {
        let name = format!("newest 200 {text}");
        all.push((
            name.trim_end().to_owned(),
            vec![newest(text, TimeRange::ALL, PAGE); REPEATS],
        ));
    }
    let mut each = |name: &str, ask: &mut dyn FnMut(&mut SmallRng) -> Ask| {
        all.push((
            name.to_owned(),
            (0..REPEATS).map(|_| ask(&mut random)).collect(),
        ));
    };
    // Of the newest 5 minutes first, then of others, which no cache has seen.
    let mut last = Some(range_at(data.end - 300_000_000, 300));
    each("errors of 5 minutes", &mut |random| {
        newest(
            ERRORS_ONLY,
            last.take().unwrap_or_else(|| data.span(random, 300)),
            ERRORS,
        )
    });
    each("jump to a minute", &mut |random| {
        newest("", data.span(random, 60), PAGE)
    });
    each("trace of a request_id, both layers", &mut |random| {
        Ask::Trace(data.request(random))
    });
    for (name, text, seconds) in [
        ("histogram of an hour", "", 3_600),
        ("histogram of an hour, level>=error", ERRORS_ONLY, 3_600),
        ("histogram of a day", "", 86_400),
    ] {
        each(name, &mut |random| {
            let span = if seconds == 86_400 {
                data.newest_day()
            } else {
                data.span(random, seconds)
            };
            let (range, bins) = Histogram::aligned(span, BINS);
            Ask::Count { text, range, bins }
        });
    }
    let back = Newest {
        text: "",
        range: TimeRange::ALL,
        limit: PAGE,
        pages: PAGES,
    };
    all.push(("each of 100 pages back".to_owned(), vec![Ask::Newest(back)]));
    all
}

/// A way to get answers.
pub enum Way {
    Engine(LogEngine),
    Older(Older),
}

/// Records found, and how long each step of it took.
pub struct Found {
    pub records: u64,
    pub times: Vec<Duration>,
}

impl Way {
    async fn ask(&self, ask: &Ask, data: &Data) -> Result<Found, Refusal> {
        match self {
            Self::Engine(engine) => Ok(ask_engine(engine, ask, data).await.unwrap()),
            Self::Older(older) => older.ask(ask, data).await,
        }
    }
}

/// Asks every way everything, prints a row for each question, and checks that all found the same.
pub async fn ask_all(ways: &[(&str, Way)], data: &Data) {
    print!("{:<46}", "question: p50, p95");
    for (name, _) in ways {
        print!(" {name:>26}");
    }
    println!(" {:>9}", "records");
    for (name, asks) in questions(data) {
        print!("{name:<46}");
        let mut first: Option<Vec<u64>> = None;
        for (way_name, way) in ways {
            let (found, refused) = ask_each(way, &asks, data).await;
            let records: Vec<u64> = found.iter().map(|found| found.records).collect();
            print!(" {:>26}", cell(found, asks.len(), refused));
            let known = first.get_or_insert_with(|| records.clone());
            let both = known.len().min(records.len());
            assert_eq!(
                known[..both],
                records[..both],
                "{name}: {way_name} finds other records"
            );
        }
        let found = first.unwrap_or_default();
        println!(
            " {:>9}",
            found.iter().sum::<u64>() / found.len().max(1) as u64
        );
    }
}

/// Until all are answered, time is up, or the server refuses one.
async fn ask_each(way: &Way, asks: &[Ask], data: &Data) -> (Vec<Found>, Option<Refusal>) {
    // Once before it counts: a server that has just been started compiles its own code first.
    if let Err(refusal) = way.ask(&asks[0], data).await {
        return (Vec::new(), Some(refusal));
    }
    let begun = Instant::now();
    let mut found = Vec::new();
    for ask in asks {
        match way.ask(ask, data).await {
            Ok(answer) => found.push(answer),
            Err(refusal) => return (found, Some(refusal)),
        }
        if begun.elapsed() > BUDGET {
            break;
        }
    }
    (found, None)
}

fn cell(found: Vec<Found>, asked: usize, refused: Option<Refusal>) -> String {
    if let Some(refusal) = refused {
        return refusal.to_string();
    }
    let answers = found.len();
    let mut times: Vec<Duration> = found.into_iter().flat_map(|found| found.times).collect();
    times.sort_unstable();
    let rank = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let few = if answers < asked {
        format!(" ({answers}x)")
    } else {
        String::new()
    };
    format!("{:.1?} {:.1?}{few}", rank(50), rank(95))
}

async fn ask_engine(engine: &LogEngine, ask: &Ask, data: &Data) -> anyhow::Result<Found> {
    let begun = Instant::now();
    let records = match ask {
        Ask::Trace(id) => engine.trace(id, TRACE).await?.records.len() as u64,
        Ask::Count { text, range, bins } => {
            let cancel = CancellationToken::new();
            let drawn = engine
                .histogram(&query(text, data)?, *range, *bins, &cancel)
                .await?;
            drawn.bins.iter().map(|bin| u64::from(bin.total())).sum()
        }
        Ask::Newest(newest) => {
            let mut request = request(newest, data)?;
            let (mut records, mut times) = (0, Vec::new());
            for _ in 0..newest.pages {
                let begun = Instant::now();
                let page = engine.page(&request).await?;
                times.push(begun.elapsed());
                records += page.records.len() as u64;
                request.after = page.next.map(|end| end.cursor);
            }
            return Ok(Found { records, times });
        }
    };
    Ok(Found {
        records,
        times: vec![begun.elapsed()],
    })
}

/// A text over the newest day, to its end: when the first hit came, and the last page.
pub async fn substring(engine: &LogEngine, text: &'static str, data: &Data) -> anyhow::Result<()> {
    let newest = Newest {
        text,
        range: data.newest_day(),
        limit: PAGE,
        pages: 1,
    };
    let mut request = PageRequest {
        scan_limit: 200_000,
        ..request(&newest, data)?
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

fn request(newest: &Newest, data: &Data) -> anyhow::Result<PageRequest> {
    Ok(PageRequest {
        query: query(newest.text, data)?,
        range: newest.range,
        order: Order::NewestFirst,
        after: None,
        limit: newest.limit,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    })
}

fn query(text: &str, data: &Data) -> anyhow::Result<Query> {
    let clock = QueryClock {
        now: Timestamp::from_micros(data.end),
        zone: Zone::Utc,
    };
    Query::parse(text, &clock).with_context(|| format!("query {text}"))
}
