//! Backup and restore of the embedded stores by the real binary: seconds, megabytes, and the most
//! memory that each command took.
//!
//! `cargo bench --bench figures -- backup [RECORDS] [PHASES]`: by default 1,000,000 and 100,000.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::domain::delivery::{Decision, Phase, PhaseRecord};
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::store::engine::LogEngine;
use atalaya::store::metrics::DeliveryFacts as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;

const FRAME: u64 = 5_000;

pub fn run(arguments: &[String]) {
    let number = |index: usize, default: u64| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (records, phases) = (number(0, 1_000_000), number(1, 100_000));
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let home = home.path();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(fill(&home.join("data"), records, phases));
    println!("{records} records, {phases} phases");
    let bytes = |name: &str| {
        std::fs::metadata(home.join("data").join(name))
            .unwrap()
            .len()
    };
    println!(
        "stores   logs.db {:.1} MB, metrics.db {:.1} MB",
        megabytes(bytes("logs.db")),
        megabytes(bytes("metrics.db"))
    );
    for arguments in [
        &["create", "--no-verify"][..],
        &["verify"],
        &["restore", "--into", "restored"],
        &["drill"],
    ] {
        let (took, peak) = measured(home, arguments);
        println!(
            "{:9}{:6.1} s   peak {:.0} MB",
            arguments[0],
            took.as_secs_f64(),
            megabytes(peak)
        );
    }
    let archives = std::fs::read_dir(home.join("data/backups")).unwrap();
    let packed: u64 = archives
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".zst"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    println!("archive  {:.1} MB", megabytes(packed));
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How long the command took, and the most memory that it held, in bytes.
fn measured(home: &Path, arguments: &[&str]) -> (Duration, u64) {
    let begun = Instant::now();
    let mut run = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(["--data-dir", "data", "backup"])
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    // The high-water mark only grows, so that looking now and then misses little.
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: Option<u64> =
                line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            peak = peak.max(kib.unwrap_or(0) * 1_024);
        }
        if let Some(ended) = run.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(ended.success(), "{arguments:?}");
    (begun.elapsed(), peak)
}

async fn fill(folder: &Path, records: u64, phases: u64) {
    let store = SqliteChunkStore::open(&folder.join("logs.db"))
        .await
        .unwrap();
    let engine = LogEngine::new(Arc::new(store));
    let now = Timestamp::now().micros();
    for frame in 0..records / FRAME {
        let origin = Arc::new(Origin {
            id: OriginId::derive(&[&(frame % 16).to_le_bytes()]),
            layer: Layer::ALL[(frame % 2) as usize],
            source: format!("app/{}", frame % 16).into(),
            host: "bench".into(),
        });
        let first = frame * FRAME;
        let entries: Vec<Entry> = (first..first + FRAME)
            .map(|number| entry(number, now - (records - number).cast_signed() * 1_000_000))
            .collect();
        engine
            .append(&[Frame {
                origin,
                from: first * 350,
                until: (first + FRAME) * 350,
                entries,
            }])
            .await
            .unwrap();
    }
    let metrics = SqliteMetricsStore::open(&folder.join("metrics.db"))
        .await
        .unwrap();
    let all: Vec<PhaseRecord> = (0..phases)
        .map(|number| phase(number, now - number.cast_signed() * 60_000_000))
        .collect();
    for some in all.chunks(1_000) {
        metrics.record_phases(some).await.unwrap();
    }
}

/// About 350 bytes, as a line of a web server is.
fn entry(number: u64, at: i64) -> Entry {
    let mix = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Entry {
        timestamp: Timestamp::from_micros(at),
        position: number * 350,
        level: Level::ALL[(mix % 5) as usize],
        message: format!(
            "GET /api/v1/orders/{} HTTP/1.1 200 {} \"https://shop.example/cart/{:x}\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\" handled by worker {} after {} attempts",
            mix % 100_000, mix % 9_000, mix, mix % 32, mix % 3
        )
        .into(),
        logger: Some("shop.http".into()),
        request_id: Some(RequestId::new(format!("req-{:x}", number / 10))),
        user_id: Some(format!("u{}", mix % 5_000).into()),
        session_id: None,
        duration_ms: Some((mix % 700) as f64),
        traceback: None,
        metadata: vec![("status".into(), "200".into())],
    }
}

fn phase(number: u64, at: i64) -> PhaseRecord {
    let phases = Phase::ALL.len() as u64;
    PhaseRecord {
        cycle_id: format!("cycle-{}", number / phases),
        feature_id: format!("FEAT-{}", number / phases / 3),
        phase: Phase::ALL[(number % phases) as usize],
        attempt: 1,
        decision: Decision::Success,
        duration: Duration::from_micros(number % 7_000 * 1_000_003),
        recorded_at: Timestamp::from_micros(at),
        metadata: [("team", "blue"), ("service", "shop")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
    }
}
