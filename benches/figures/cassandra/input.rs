//! The input of every way: JSON lines of about 350 bytes, ten records a request, ending now.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Records of one second of the input's own time.
const EACH_SECOND: u64 = 200;
/// Records that carry the same request id, interleaved with those of other requests.
const OF_A_REQUEST: u64 = 10;
const INTERLEAVED: u64 = 20;

/// Writes the file and returns its size in bytes.
pub fn write(path: &Path, lines: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(4);
    let began = Utc::now() - Duration::seconds((lines / EACH_SECOND) as i64 + 1);
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    let mut text = String::new();
    for number in 0..lines {
        text.clear();
        line(&mut random, number, began, &mut text);
        out.write_all(text.as_bytes()).unwrap();
    }
    out.flush().unwrap();
    fs::metadata(path).unwrap().len()
}

fn line(random: &mut SmallRng, number: u64, began: DateTime<Utc>, out: &mut String) {
    // The older layout keeps one record a millisecond: times are all different, so that its rows are as many.
    let at = began + Duration::microseconds((number * (1_000_000 / EACH_SECOND)) as i64);
    let request = number / (OF_A_REQUEST * INTERLEAVED) * INTERLEAVED + number % INTERLEAVED;
    let level = match random.random_range(0..100) {
        0 => "ERROR",
        1..=4 => "WARNING",
        5..=20 => "DEBUG",
        _ => "INFO",
    };
    writeln!(
        out,
        "{{\"timestamp\":\"{}\",\"level\":\"{level}\",\"logger\":\"shop.orders.pricing\",\"message\":\"order {} of customer {} priced in {} steps, cache {} after {} tries\",\"request_id\":\"req-{request:012x}\",\"user_id\":\"{}\",\"session_id\":\"s-{:08x}\",\"duration_ms\":{}.{},\"module\":\"pricing\",\"function\":\"price_order\",\"line\":{},\"region\":\"eu-west-{}\"}}",
        at.format("%Y-%m-%dT%H:%M:%S%.6fZ"),
        random.random_range(0..1_000_000),
        random.random_range(0..100_000),
        random.random_range(1..9),
        if random.random_range(0..4) == 0 { "missed" } else { "hit" },
        random.random_range(1..4),
        random.random_range(0..5_000),
        random.random_range(0_u32..50_000),
        random.random_range(1..900),
        random.random_range(0..10),
        random.random_range(1..900),
        random.random_range(1..4),
    )
    .unwrap();
}
