//! A store on a full disk: the ingest waits, says why, goes on by itself, and nothing is lost.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::ingest::{
    Ingest, IngestConfig, IngestHandle, IngestInput, IngestStatus, Mode, format, pipeline,
};
use atalaya::store::engine::LogEngine;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::lines::{self, Writer};
use super::serving;

/// A small file system of its own.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .status();
        assert!(
            mounted
                .as_ref()
                .is_ok_and(std::process::ExitStatus::success),
            "this test mounts a small tmpfs and needs root for it: {mounted:?}"
        );
        Self(at.to_path_buf())
    }
}

impl SmallDisk {
    pub(crate) fn make_writable(&self) {
        self.remount("rw");
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let remounted = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.0)
            .status();
        assert!(remounted.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// R24: a full or read-only disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_pauses_the_ingest_and_costs_nothing() {
    const LINES: usize = 100_000;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"), "size=24m");
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 21 << 20]).unwrap();
    let mut random = StdRng::seed_from_u64(25);
    let log = dir.path().join("x.log");
    // Random, so that it does not compress away.
    let text: String = (0..LINES)
        .map(|number| {
            format!(
                "{number} {:016x}{:016x}{:016x}{:016x}\n",
                random.next_u64(),
                random.next_u64(),
                random.next_u64(),
                random.next_u64()
            )
        })
        .collect();
    fs::write(&log, &text).unwrap();

    let store = std::sync::Arc::new(
        SqliteChunkStore::open(&disk.0.join("logs.db"))
            .await
            .unwrap(),
    );
    let input = IngestInput {
        format: format::by_name("plain"),
        ..IngestInput::detected(log.to_string_lossy())
    };
    let config = IngestConfig::new(vec![input], disk.0.join("state"), "host", Mode::Follow);
    let engine = LogEngine::new(store.clone());
    let handle = Ingest::start(
        config,
        std::sync::Arc::new(engine),
        CancellationToken::new(),
    )
    .unwrap();
    let mut status = handle.status();
    let wait = |what: &'static str, mut until: Box<dyn FnMut(&IngestStatus) -> bool>| {
        let mut status = status.clone();
        async move {
            let found = tokio::time::timeout(
                Duration::from_secs(30),
                status.wait_for(|status| until(status)),
            )
            .await;
            found
                .unwrap_or_else(|_| panic!("{what} did not come about"))
                .unwrap()
                .clone()
        }
    };
    let paused = wait("a pause", Box::new(|status| status.paused.is_some())).await;
    let reason = paused.paused.clone().unwrap().why;
    assert!(reason.contains("cannot"), "{reason}");
    assert!(paused.totals.written < LINES as u64);
    assert!(
        paused
            .files
            .iter()
            .any(|file| file.state.name() == "waiting"),
        "{paused:?}"
    );

    fs::remove_file(&ballast).unwrap();
    let after = wait(
        "the end",
        Box::new(|status| status.totals.written >= LINES as u64),
    )
    .await;
    assert_eq!(after.totals.written, LINES as u64);
    assert_eq!(after.totals.bytes_read, text.len() as u64);
    assert_eq!(
        after.totals.lines,
        after.totals.records + after.totals.joined + after.totals.skipped
    );
    status.mark_changed();
    let last = handle.stop().await.unwrap();
    assert_eq!(last.totals.in_flight(), 0);
    assert_eq!(
        atalaya::store::health::StoreHealth::stats(&*store)
            .await
            .unwrap()
            .records,
        LINES as u64
    );
    store.close().await;
}

/// R24: a full or read-only disk.
#[tokio::test]
async fn a_read_only_directory_is_waited_for() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"), "size=24m,ro");
    let log = dir.path().join("x.log");
    fs::write(&log, "one\ntwo\nthree\n").unwrap();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .arg("--data-dir")
        .arg(disk.0.join("data"))
        .args(["ingest", "--follow", "--format", "plain"])
        .arg(&log)
        .env_clear()
        .env("HOME", dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reason comes before anything else does.
    let mut reason = String::new();
    BufReader::new(follower.stderr.take().unwrap())
        .read_line(&mut reason)
        .unwrap();
    assert!(
        reason.contains("waiting for the store") && reason.contains("Read-only"),
        "{reason}"
    );
    assert!(
        follower.try_wait().unwrap().is_none(),
        "a follower waits instead of ending"
    );

    disk.make_writable();
    let deadline = Instant::now() + Duration::from_secs(30);
    let database = disk.0.join("data/logs.db");
    let stored = loop {
        if database.exists()
            && let Ok(store) = SqliteChunkStore::open(&database).await
        {
            let records = atalaya::store::health::StoreHealth::stats(&store)
                .await
                .unwrap()
                .records;
            store.close().await;
            if records == 3 || Instant::now() > deadline {
                break records;
            }
        }
        assert!(Instant::now() < deadline, "the follower did not go on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(stored, 3);
    follower.kill().unwrap();
    follower.wait().unwrap();
}

/// Fills a file system to its last byte.
fn fill(disk: &SmallDisk) {
    let mut ballast = fs::File::options()
        .create(true)
        .append(true)
        .open(disk.0.join("ballast"))
        .unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while ballast.write_all(&vec![1; size]).is_ok() {}
    }
}

fn free(disk: &SmallDisk) {
    fs::remove_file(disk.0.join("ballast")).unwrap();
}

/// An ingest of one folder through a spool into an embedded store.
struct Spooled {
    store: std::sync::Arc<SqliteChunkStore>,
    spool: std::sync::Arc<SpooledSink>,
    handle: IngestHandle,
}

impl Spooled {
    async fn start(dir: &Path, writer: &Writer, spool: &Path, state: &Path) -> Self {
        let store =
            std::sync::Arc::new(SqliteChunkStore::open(&dir.join("logs.db")).await.unwrap());
        let engine = std::sync::Arc::new(LogEngine::new(store.clone()));
        let spool = SpoolConfig::with_size(spool, 64 << 20);
        let spool = std::sync::Arc::new(SpooledSink::open(spool, engine).unwrap());
        let inputs = writer.paths().into_iter().map(|path| IngestInput {
            format: format::by_name("plain"),
            ..IngestInput::detected(path.to_string_lossy())
        });
        let config = IngestConfig::new(inputs.collect(), state, "host", Mode::Follow);
        let handle =
            pipeline::start(config, spool.clone(), CancellationToken::new(), None).unwrap();
        Self {
            store,
            spool,
            handle,
        }
    }

    async fn until(&self, what: &str, holds: impl FnMut(&IngestStatus) -> bool) -> IngestStatus {
        let mut status = self.handle.status();
        let found = tokio::time::timeout(Duration::from_secs(30), status.wait_for(holds)).await;
        found
            .unwrap_or_else(|_| panic!("{what} did not come about: {:?}", self.spool.status()))
            .unwrap()
            .clone()
    }

    async fn end(self) -> std::sync::Arc<SqliteChunkStore> {
        self.handle.stop().await.unwrap();
        self.store
    }
}

/// Long enough for the pauses between two attempts to have grown to their longest.
const FULL_FOR: Duration = Duration::from_secs(8);
/// It goes on by itself. How soon is a figure of a quiet machine, and measured there.
const RESUMES: Duration = Duration::from_secs(60);

/// R24: a full or read-only disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_spool_pauses_the_reading_and_costs_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"), "size=2m");
    let mut writer = Writer::new(&dir.path().join("logs"), 2);
    let (spool, state) = (disk.0.join("spool"), dir.path().join("state"));
    let running = Spooled::start(dir.path(), &writer, &spool, &state).await;
    for _ in 0..50 {
        writer.append(0, 1_000);
        writer.append(1, 1_000);
    }
    let paused = running
        .until("a pause", |status| status.paused.is_some())
        .await
        .paused
        .unwrap()
        .why;
    assert!(
        paused.contains("spool") && paused.contains("No space"),
        "{paused}"
    );
    tokio::time::sleep(FULL_FOR).await;
    assert!(
        running.handle.status().borrow().paused.is_some(),
        "there is still no space"
    );
    assert!(!running.spool.status().is_drained() || running.spool.status().stuck.is_some());

    // The file system grows under the running program.
    disk.remount("size=64m");
    let since = Instant::now();
    running
        .until("the end of the pause", |status| status.paused.is_none())
        .await;
    assert!(since.elapsed() <= RESUMES, "{:?}", since.elapsed());
    lines::wait_for(
        &*running.store,
        writer.total(),
        Duration::from_secs(30),
        String::new,
    )
    .await;
    assert_eq!(running.spool.status().damaged_bytes, 0);
    let store = running.end().await;
    lines::tally(&*store, &writer.written)
        .await
        .check("after the pause");
    drop(store);

    // Nothing is corrupt: another start takes all of it up without a word.
    writer.append(1, 1);
    let again = Spooled::start(dir.path(), &writer, &spool, &state).await;
    assert_eq!(again.spool.status().notices, [""; 0]);
    lines::wait_for(
        &*again.store,
        writer.total(),
        Duration::from_secs(30),
        String::new,
    )
    .await;
    lines::tally(&*again.end().await, &writer.written)
        .await
        .check("after another start");
}

/// R24: a full or read-only disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_checkpoint_pauses_the_reading_and_costs_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"), "size=1m");
    let mut writer = Writer::new(&dir.path().join("logs"), 2);
    let (spool, state) = (dir.path().join("spool"), disk.0.join("state"));
    let running = Spooled::start(dir.path(), &writer, &spool, &state).await;
    writer.append(0, 1_000);
    lines::wait_for(&*running.store, 1_000, Duration::from_secs(30), String::new).await;

    fill(&disk);
    // A generation that the checkpoint does not know must not be sent.
    writer.rotate(0);
    writer.append(0, 1_000);
    writer.append(1, 1_000);
    let paused = running
        .until("a pause", |status| status.paused.is_some())
        .await
        .paused
        .unwrap()
        .why;
    assert!(
        paused.contains("checkpoint") && paused.contains("No space"),
        "{paused}"
    );
    tokio::time::sleep(FULL_FOR).await;
    assert!(
        running.handle.status().borrow().paused.is_some(),
        "there is still no space"
    );

    free(&disk);
    let since = Instant::now();
    running
        .until("the end of the pause", |status| status.paused.is_none())
        .await;
    assert!(since.elapsed() <= RESUMES, "{:?}", since.elapsed());
    lines::wait_for(
        &*running.store,
        writer.total(),
        Duration::from_secs(30),
        String::new,
    )
    .await;
    fill(&disk);
    writer.append(0, 1_000);
    // Stopped with a full disk: the checkpoint that is there is the last whole one.
    let store = running.end().await;
    drop(store);
    free(&disk);
    let again = Spooled::start(dir.path(), &writer, &spool, &state).await;
    lines::wait_for(
        &*again.store,
        writer.total(),
        Duration::from_secs(30),
        String::new,
    )
    .await;
    lines::tally(&*again.end().await, &writer.written)
        .await
        .check("after another start");
}

/// R24: a new store that does not fit, wherever the disk ends: what is said is that, and not what is
/// odd about the half of it that is there.
#[test]
fn a_new_store_that_does_not_fit_says_so() {
    const STEP: usize = 8 << 10;
    let home = serving::home("");
    let disk = SmallDisk::mount(&home.path().join("disk"), "size=2m");
    let mut refused = 0;
    for left in (0..).map(|step| step * STEP) {
        let data = disk.0.join("data");
        fs::write(disk.0.join("ballast"), vec![1; (2 << 20) - left]).unwrap();
        let output = serving::run(
            home.path(),
            &["--data-dir", &data.to_string_lossy(), "logs"],
        );
        fs::remove_file(disk.0.join("ballast")).unwrap();
        if output.status.success() {
            break;
        }
        refused += 1;
        let said = serving::error_of(&output);
        let is_clear = said.contains("cannot write") || said.contains("cannot create the folder");
        assert!(is_clear, "{left} bytes left: {said}");
        // What there is of it is no hindrance once there is room.
        let output = serving::run(
            home.path(),
            &["--data-dir", &data.to_string_lossy(), "logs"],
        );
        assert!(output.status.success(), "{}", serving::error_of(&output));
        if data.exists() {
            fs::remove_dir_all(data).unwrap();
        }
    }
    assert!(refused > 3, "the disk was seldom full");
}
