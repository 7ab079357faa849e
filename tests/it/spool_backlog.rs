//! R4: a start does not depend on how much waits in the spool, and draining it takes little memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::domain::record::{Entry, Frame, Layer, Origin, OriginId};
use atalaya::ingest::FrameSink;
use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::store::error::{Backend, StoreError};
use atalaya::store::health::StoreHealth as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;

/// 1 GiB in the long lane.
fn backlog_bytes() -> u64 {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        1 << 30
    } else {
        200 << 20
    }
}

const MOST_MEMORY_KB: u64 = 256 << 10;
const RECORDS: u64 = 160;
const LINE: &str = "a line that was written while the backlog was still there";

#[derive(Debug)]
struct Away;

#[async_trait]
impl FrameSink for Away {
    async fn append(&self, _: Arc<[Frame]>) -> Result<u64, StoreError> {
        Err(StoreError::TimedOut {
            backend: Backend::Cassandra,
            limit: Duration::ZERO,
        })
    }

    async fn watermark(&self, _: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
}

/// Long records, so that a debug build is not what is measured.
fn group(number: u64) -> Arc<[Frame]> {
    let origin = Arc::new(Origin {
        id: OriginId::from_u128(7),
        layer: Layer::Application,
        source: "app/backlog".into(),
        host: "host".into(),
    });
    let entries = (0..RECORDS)
        .map(|place| Entry {
            position: number * RECORDS + place,
            message: format!("{number} {place} {}", "x".repeat(50_000)).into(),
            ..Entry::default()
        })
        .collect();
    [Frame {
        origin,
        from: number * RECORDS,
        until: (number + 1) * RECORDS,
        entries,
    }]
    .into()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_large_backlog_is_quick_and_draining_it_takes_little_memory() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let spool_dir = dir.path().join("data/ingest/spool");
    let spool =
        SpooledSink::open(SpoolConfig::with_size(&spool_dir, 4 << 30), Arc::new(Away)).unwrap();
    let mut groups = 0;
    while spool.status().bytes < backlog_bytes() {
        spool.append(group(groups)).await.unwrap();
        groups += 1;
    }
    spool.close().await;

    let log = dir.path().join("x.log");
    fs::write(&log, format!("{LINE}\n")).unwrap();
    let began = Instant::now();
    let running = Running(
        Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["ingest", "--follow", "--format", "plain"])
            .arg(&log)
            .env("XDG_CONFIG_HOME", dir.path().join("config"))
            .env("ATALAYA_INGEST__SPOOL__ENABLED", "true")
            .env(
                "ATALAYA_INGEST__SPOOL__MAX_BYTES",
                (4_u64 << 30).to_string(),
            )
            .env("ATALAYA_INGEST__SPOOL__KEEP_SECONDS", "0")
            .env_remove("ATALAYA_CONFIG")
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap(),
    );
    let limit = Duration::from_secs(300);
    while !newest_segment_holds(&spool_dir, LINE.as_bytes()) {
        assert!(began.elapsed() < limit, "the new line was not taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let taken = began.elapsed();
    let all = groups * RECORDS + 1;
    // By what was done in the meantime where the clock measures a busy machine. The line itself waits
    // half a second for others of its frame.
    let store = SqliteChunkStore::open(&dir.path().join("data/logs.db"))
        .await
        .unwrap();
    let drained = store.stats().await.unwrap().records;
    assert!(
        taken < Duration::from_secs(2) || drained < all / 2,
        "the new line was taken after {taken:?} and {drained} of {all} waiting records"
    );

    while store.stats().await.unwrap().records < all {
        assert!(
            began.elapsed() < limit,
            "{} of {all} records came",
            store.stats().await.unwrap().records
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let peak = peak_memory_kb(running.0.id());
    println!(
        "taken after {taken:?}, drained after {:?}, peak {peak} KB",
        began.elapsed()
    );
    assert!(peak < MOST_MEMORY_KB, "{peak} KB while draining");
    store.close().await;
}

fn newest_segment_holds(dir: &Path, text: &[u8]) -> bool {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let newest: Option<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|kind| kind == "seg"))
        .max();
    let bytes = newest
        .and_then(|path| fs::read(path).ok())
        .unwrap_or_default();
    memchr::memmem::find(&bytes, text).is_some()
}

fn peak_memory_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
