//! The records that are asked about: of eight programs on both layers, 50 a second in the newest day,
//! and a busy few minutes on each of the 88 days before it. Made anew from their numbers, so that
//! every store holds the very same.

use std::sync::Arc;

use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::{TimeRange, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

pub const RECORDS: u64 = 5_000_000;
const ORIGINS: u64 = 8;
const FRAME: u64 = 1_000;
/// A frame of each origin.
const PART: u64 = FRAME * ORIGINS;
/// Between two records. Whole milliseconds: the older layout holds one record in each.
pub const STEP: i64 = 20_000;
pub const DAY: i64 = 86_400_000_000;
/// With the newest day below the 90 days after which a store forgets.
const EARLIER_DAYS: u64 = 88;
/// Records of one request, by number: of all origins, hence of both layers.
const OF_A_REQUEST: u64 = 40;

#[derive(Clone, Copy)]
pub struct Data {
    pub parts: u64,
    /// Just behind the last record, in microseconds.
    pub end: i64,
}

impl Data {
    /// About `records`; whole parts of them.
    pub fn new(records: u64, end: i64) -> Self {
        Self {
            parts: (records / PART).max(8),
            end: end / STEP * STEP,
        }
    }

    pub fn records(&self) -> u64 {
        self.parts * PART
    }

    /// Parts on days of their own, before the others.
    pub fn earlier(&self) -> u64 {
        (self.parts / 7).min(EARLIER_DAYS)
    }

    /// Where the records without a gap begin.
    pub fn dense_from(&self) -> i64 {
        self.end - ((self.parts - self.earlier()) * PART) as i64 * STEP
    }

    pub fn oldest(&self) -> i64 {
        self.begin_of(0)
    }

    fn begin_of(&self, part: u64) -> i64 {
        match part.checked_sub(self.earlier()) {
            None => self.dense_from() - (self.earlier() - part) as i64 * DAY,
            Some(dense) => self.dense_from() + (dense * PART) as i64 * STEP,
        }
    }

    /// A span of the records without a gap that ends with one of them or before.
    pub fn span(&self, random: &mut SmallRng, seconds: i64) -> TimeRange {
        let last = self.end - seconds * 1_000_000;
        // Whole milliseconds too.
        range_at(
            random.random_range(self.dense_from().min(last)..=last) / 1_000 * 1_000,
            seconds,
        )
    }

    pub fn newest_day(&self) -> TimeRange {
        range_at(self.end - DAY, 86_400)
    }

    pub fn request(&self, random: &mut SmallRng) -> RequestId {
        request_id(random.random_range(0..self.records()))
    }

    /// A frame of one origin; the origins' records interleave in time.
    pub fn frame(&self, part: u64, origin: u64) -> Frame {
        let mut random = SmallRng::seed_from_u64(part * ORIGINS + origin);
        let layer = layer_of(origin);
        let source = if layer == Layer::Application {
            format!("app/svc{origin}")
        } else {
            format!("nginx/access{origin}")
        };
        let begin = self.begin_of(part);
        let entries = (0..FRAME).map(|index| {
            let in_part = index * ORIGINS + origin;
            let position = (part * FRAME + index) * 350;
            let at = begin + in_part as i64 * STEP + random.random_range(0..STEP);
            let needle = if part * PART + in_part == self.records() / 3 {
                " needle-in-the-haystack"
            } else {
                ""
            };
            entry(
                part * PART + in_part,
                position,
                Timestamp::from_micros(at),
                layer,
                needle,
                &mut random,
            )
        });
        Frame {
            entries: entries.collect(),
            origin: Arc::new(Origin {
                id: OriginId::derive(&[b"figures", source.as_bytes()]),
                layer,
                source: source.into(),
                host: format!("web{}", origin % 3).into(),
            }),
            from: part * FRAME * 350,
            until: (part + 1) * FRAME * 350,
        }
    }

    /// The frames of a layer, oldest first.
    pub fn frames(self, layer: Layer) -> impl Iterator<Item = Frame> {
        let all = (0..self.parts).flat_map(|part| (0..ORIGINS).map(move |origin| (part, origin)));
        all.filter(move |(_, origin)| layer_of(*origin) == layer)
            .map(move |(part, origin)| self.frame(part, origin))
    }

    pub fn entries(self, layer: Layer) -> impl Iterator<Item = Entry> {
        self.frames(layer).flat_map(|frame| frame.entries)
    }

    /// As many frames in one call as a busy ingest has at hand.
    pub fn groups(self) -> impl Iterator<Item = Vec<Frame>> {
        (0..self.parts.div_ceil(2)).map(move |pair| {
            let parts = pair * 2..(pair * 2 + 2).min(self.parts);
            parts
                .flat_map(|part| (0..ORIGINS).map(move |origin| self.frame(part, origin)))
                .collect()
        })
    }
}

pub fn range_at(from: i64, seconds: i64) -> TimeRange {
    TimeRange::new(
        Timestamp::from_micros(from),
        Timestamp::from_micros(from + seconds * 1_000_000),
    )
}

fn layer_of(origin: u64) -> Layer {
    if origin < 6 {
        Layer::Application
    } else {
        Layer::Infrastructure
    }
}

fn request_id(number: u64) -> RequestId {
    RequestId::new(format!("{:016x}", number / OF_A_REQUEST * OF_A_REQUEST))
}

const PATHS: [&str; 6] = [
    "/api/cart",
    "/api/checkout",
    "/api/orders",
    "/login",
    "/static/app.js",
    "/api/search",
];
const LOGGERS: [&str; 4] = [
    "shop.cart.views",
    "shop.checkout.payment",
    "shop.orders.tasks",
    "django.request",
];

fn entry(
    number: u64,
    position: u64,
    timestamp: Timestamp,
    layer: Layer,
    needle: &str,
    random: &mut SmallRng,
) -> Entry {
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
    let address = format!(
        "10.{}.{}.{}",
        user % 200,
        user / 251,
        random.random_range(1..255_u8)
    );
    if layer == Layer::Infrastructure {
        return Entry {
            timestamp,
            position,
            level,
            message: format!(
                "GET {path}?page={} HTTP/1.1{needle}",
                random.random_range(1..9_000_u16)
            )
            .into(),
            duration_ms: Some(duration),
            metadata: vec![
                ("remote_addr".into(), address.into()),
                (
                    "status".into(),
                    if level >= Level::Error { "502" } else { "200" }.into(),
                ),
                (
                    "bytes".into(),
                    random.random_range(100..90_000_u32).to_string().into(),
                ),
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

/// As a JSON line writes it, about: with time stamp, level and duration.
pub fn text_bytes(entry: &Entry) -> usize {
    80 + entry.text_bytes() + 6 * entry.metadata.len()
}
