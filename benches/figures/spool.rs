//! The durable spool alone: what an append costs before a store that costs nothing, and how fast
//! a backlog is read back.
//!
//! `cargo bench --bench figures -- spool [RECORDS]`

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::FrameSink;
use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::store::error::{Backend, StoreError};

const RECORDS: u64 = 2_000_000;
const FRAME_RECORDS: u64 = 1_000;
const GROUP_FRAMES: u64 = 16;

/// A store that costs nothing, or is away.
#[derive(Debug, Default)]
struct Nothing {
    is_away: AtomicBool,
}

#[async_trait]
impl FrameSink for Nothing {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable {
                backend: Backend::Cassandra,
                address: "nowhere".to_owned(),
                source: "away".into(),
            });
        }
        Ok(frames.iter().map(|frame| frame.entries.len() as u64).sum())
    }

    async fn watermark(&self, _: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
}

pub fn run(arguments: &[String]) {
    let records = arguments
        .first()
        .map_or(RECORDS, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures-spool");
    let _ = fs::remove_dir_all(&dir); // of an earlier run that was interrupted
    println!(
        "{:<34} {:>12} {:>8} {:>14} {:>9} {:>12} {:>12}",
        "spool", "records/s", "MB/s", "CPU s/million", "syncs/s", "append p50", "append p99"
    );
    runtime.block_on(append(
        &dir,
        "append, groups of 16,000 records",
        records,
        GROUP_FRAMES,
        FRAME_RECORDS,
        1,
    ));
    runtime.block_on(append(
        &dir,
        "append, 8 senders of 100 records",
        records / 4,
        1,
        100,
        8,
    ));
    runtime.block_on(append(&dir, "append, 1 sender of 1 record", 5_000, 1, 1, 1));
    runtime.block_on(drain(&dir, records));
    let _ = fs::remove_dir_all(&dir);
}

/// Groups are made once and written again and again: only the spool is measured.
fn groups(frames: u64, records: u64) -> Vec<Arc<[Frame]>> {
    (0..8)
        .map(|group| {
            (0..frames)
                .map(|frame| a_frame(group * frames + frame, records))
                .collect()
        })
        .collect()
}

/// A line of about 350 bytes as it stands in an application's log.
fn a_frame(number: u64, records: u64) -> Frame {
    let entries = (0..records)
        .map(|place| Entry {
            timestamp: Timestamp::from_micros(1_795_000_000_000_000 + (number * records + place) as i64 * 500),
            position: (number * records + place) * 350,
            level: if place % 50 == 0 { Level::Error } else { Level::Info },
            logger: Some("shop.orders.pricing".into()),
            message: format!(
                "order {place} of the basket {number} was priced in {} steps by the rule set of the winter sale: {}",
                place % 9,
                "x".repeat(150)
            )
            .into(),
            request_id: Some(RequestId::new(format!("req-{:016x}", number * records + place))),
            user_id: Some(format!("u{}", place % 5_000).into()),
            duration_ms: Some(place as f64 / 7.0),
            metadata: vec![("module".into(), "pricing".into()), ("line".into(), "218".into())],
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "app/shop".into(),
            host: "host".into(),
        }),
        from: number * records * 350,
        until: (number + 1) * records * 350,
        entries,
    }
}

fn config(dir: &Path) -> SpoolConfig {
    // Removed at once, so that the limit does not stand in the way of the figure.
    SpoolConfig {
        keep: Duration::ZERO,
        ..SpoolConfig::with_size(dir, 4 << 30)
    }
}

async fn append(dir: &Path, name: &str, records: u64, frames: u64, per_frame: u64, senders: u64) {
    let _ = fs::remove_dir_all(dir);
    let spool = Arc::new(SpooledSink::open(config(dir), Arc::new(Nothing::default())).unwrap());
    let groups = groups(frames, per_frame);
    let appends = (records / (frames * per_frame)).max(1);
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..senders)
        .map(|sender| {
            let (spool, groups) = (Arc::clone(&spool), groups.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for number in (sender..appends).step_by(usize::try_from(senders).unwrap()) {
                    let called = Instant::now();
                    spool
                        .append(Arc::clone(&groups[(number % 8) as usize]))
                        .await
                        .unwrap();
                    times.push(called.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    let status = spool.status();
    let done = (appends * frames * per_frame) as f64;
    let bytes = written_bytes(&groups[0]) as f64 * appends as f64;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{name:<34} {:>12.0} {:>8.0} {:>14.3} {:>9.0} {:>12.2?} {:>12.2?}",
        done / seconds,
        bytes / 1e6 / seconds,
        cpu / (done / 1e6),
        status.syncs as f64 / seconds,
        at(0.5),
        at(0.99)
    );
    spool.close().await;
}

fn written_bytes(group: &[Frame]) -> usize {
    let mut bytes = Vec::new();
    atalaya::ingest::spool::format::encode(group, &mut bytes);
    bytes.len()
}

/// A backlog on disk, then a start that drains it.
async fn drain(dir: &Path, records: u64) {
    let _ = fs::remove_dir_all(dir);
    let store = Arc::new(Nothing {
        is_away: AtomicBool::new(true),
    });
    let spool = SpooledSink::open(config(dir), store).unwrap();
    let groups = groups(GROUP_FRAMES, FRAME_RECORDS);
    let appends = (records / (GROUP_FRAMES * FRAME_RECORDS)).max(1);
    for number in 0..appends {
        spool
            .append(Arc::clone(&groups[(number % 8) as usize]))
            .await
            .unwrap();
    }
    let bytes = spool.status().bytes as f64;
    spool.close().await;

    let (began, cpu) = (Instant::now(), cpu_seconds());
    let spool = SpooledSink::open(config(dir), Arc::new(Nothing::default())).unwrap();
    let opened = began.elapsed();
    while !spool.status().is_drained() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let done = (appends * GROUP_FRAMES * FRAME_RECORDS) as f64;
    println!(
        "{:<34} {:>12.0} {:>8.0} {:>14.3}   opened in {opened:.1?} with {:.0} MB waiting; peak memory {} MB",
        "drain of a backlog from disk",
        done / seconds,
        bytes / 1e6 / seconds,
        (cpu_seconds() - cpu) / (done / 1e6),
        bytes / 1e6,
        peak_memory_mb()
    );
    spool.close().await;
}

/// Of this process, user and system.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // Fields after the name, which may hold spaces: utime and stime are the 12th and 13th of them.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn peak_memory_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
