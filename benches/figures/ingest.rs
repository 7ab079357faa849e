//! From a file to the embedded store, end to end: records a second, and what they cost on disk.
//!
//! `cargo bench --bench figures -- ingest [LINES]`

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use atalaya::ingest::{Ingest, IngestConfig, IngestInput, Mode};
use atalaya::store::engine::LogEngine;
use atalaya::store::health::StoreHealth as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

const LINES: u64 = 1_000_000;

pub fn run(arguments: &[String]) {
    let lines = arguments
        .first()
        .map_or(LINES, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures-ingest");
    let _ = fs::remove_dir_all(&dir); // of an earlier run that was interrupted
    fs::create_dir_all(&dir).unwrap();
    println!(
        "{:<14} {:>9} {:>9} {:>12} {:>10} {:>12} {:>12}",
        "input", "lines", "MB", "records/s", "MB/s", "bytes/line", "on disk/rec"
    );
    for (name, line) in [
        (
            "nginx-access",
            access as fn(&mut SmallRng, u64, &mut String),
        ),
        ("json", json),
    ] {
        let log = dir.join(format!("{name}.log"));
        write_log(&log, lines, line);
        runtime.block_on(measure(
            name,
            &log,
            &dir.join(format!("{name}-data")),
            lines,
        ));
    }
    fs::remove_dir_all(&dir).unwrap();
}

fn write_log(path: &Path, lines: u64, line: fn(&mut SmallRng, u64, &mut String)) {
    let mut random = SmallRng::seed_from_u64(1);
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    let mut text = String::new();
    for number in 0..lines {
        text.clear();
        line(&mut random, number, &mut text);
        out.write_all(text.as_bytes()).unwrap();
    }
    out.flush().unwrap();
}

async fn measure(name: &str, log: &Path, data: &Path, lines: u64) {
    fs::create_dir_all(data).unwrap();
    let store = Arc::new(SqliteChunkStore::open(&data.join("logs.db")).await.unwrap());
    let input = IngestInput::detected(log.to_string_lossy());
    let config = IngestConfig::new(vec![input], data.join("state"), "host", Mode::Once);
    let began = Instant::now();
    let engine = Arc::new(LogEngine::new(store.clone()));
    let mut handle = Ingest::start(config, engine, CancellationToken::new()).unwrap();
    let status = handle.finished().await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let stats = store.stats().await.unwrap();
    assert_eq!(
        (status.totals.written, stats.records),
        (lines, lines),
        "{status:?}"
    );
    let bytes = fs::metadata(log).unwrap().len() as f64;
    println!(
        "{name:<14} {lines:>9} {:>9.0} {:>12.0} {:>10.0} {:>12.1} {:>12.1}",
        bytes / 1e6,
        lines as f64 / seconds,
        bytes / 1e6 / seconds,
        bytes / lines as f64,
        stats.disk_bytes as f64 / lines as f64
    );
    store.close().await;
}

fn access(random: &mut SmallRng, number: u64, out: &mut String) {
    let second = number / 200;
    writeln!(
        out,
        "10.{}.{}.{} - - [21/Nov/2026:{:02}:{:02}:{:02} +0000] \"GET /api/v1/items/{}?page={} HTTP/1.1\" {} {} \"https://shop.example/cart\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0\"",
        random.random_range(0..4),
        random.random_range(0..256),
        random.random_range(0..256),
        second / 3600 % 24,
        second / 60 % 60,
        second % 60,
        random.random_range(0..50_000),
        random.random_range(0..20),
        if random.random_range(0..100) == 0 { 502 } else { 200 },
        random.random_range(200..90_000),
        random.random_range(100..140),
        random.random_range(100..140),
    )
    .unwrap();
}

fn json(random: &mut SmallRng, number: u64, out: &mut String) {
    let second = number / 200;
    writeln!(
        out,
        "{{\"timestamp\":\"2026-11-21T{:02}:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",\"logger\":\"shop.orders\",\"message\":\"order {} priced in {} steps\",\"request_id\":\"req-{:08x}\",\"user_id\":\"u{}\",\"duration_ms\":{}}}",
        second / 3600 % 24,
        second / 60 % 60,
        second % 60,
        number % 1_000,
        if random.random_range(0..50) == 0 { "ERROR" } else { "INFO" },
        random.random_range(0..1_000_000),
        random.random_range(1..9),
        number / 8,
        random.random_range(0..5_000),
        random.random_range(1..900),
    )
    .unwrap();
}
