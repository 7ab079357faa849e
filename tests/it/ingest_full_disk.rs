//! A store on a full disk: the ingest waits, says why, goes on by itself, and nothing is lost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atalaya::ingest::{Ingest, IngestConfig, IngestInput, IngestStatus, Mode, format};
use atalaya::store::engine::LogEngine;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
        assert!(
            mounted.as_ref().is_ok_and(std::process::ExitStatus::success),
            "this test mounts a small tmpfs and needs root for it: {mounted:?}"
        );
        Self(at.to_path_buf())
    }
}

impl SmallDisk {
    fn make_writable(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,rw"]).arg(&self.0).status();
        assert!(remounted.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

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

    let store = std::sync::Arc::new(SqliteChunkStore::open(&disk.0.join("logs.db")).await.unwrap());
    let input =
        IngestInput { format: format::by_name("plain"), ..IngestInput::detected(log.to_string_lossy()) };
    let config = IngestConfig::new(vec![input], disk.0.join("state"), "host", Mode::Follow);
    let engine = LogEngine::new(store.clone());
    let handle = Ingest::start(config, std::sync::Arc::new(engine), CancellationToken::new()).unwrap();
    let mut status = handle.status();
    let wait = |what: &'static str, mut until: Box<dyn FnMut(&IngestStatus) -> bool>| {
        let mut status = status.clone();
        async move {
            let found =
                tokio::time::timeout(Duration::from_secs(30), status.wait_for(|status| until(status))).await;
            found.unwrap_or_else(|_| panic!("{what} did not come about")).unwrap().clone()
        }
    };
    let paused = wait("a pause", Box::new(|status| status.paused.is_some())).await;
    let reason = paused.paused.clone().unwrap();
    assert!(reason.contains("cannot"), "{reason}");
    assert!(paused.totals.written < LINES as u64);
    assert!(paused.files.iter().any(|file| file.state.name() == "waiting"), "{paused:?}");

    fs::remove_file(&ballast).unwrap();
    let after = wait("the end", Box::new(|status| status.totals.written >= LINES as u64)).await;
    assert_eq!(after.totals.written, LINES as u64);
    assert_eq!(after.totals.bytes_read, text.len() as u64);
    assert_eq!(after.totals.lines, after.totals.records + after.totals.joined + after.totals.skipped);
    status.mark_changed();
    let last = handle.stop().await.unwrap();
    assert_eq!(last.totals.in_flight(), 0);
    assert_eq!(atalaya::store::chunks::ChunkStore::stats(&*store).await.unwrap().records, LINES as u64);
    store.close().await;
}

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
    BufReader::new(follower.stderr.take().unwrap()).read_line(&mut reason).unwrap();
    assert!(reason.contains("waiting for the store") && reason.contains("Read-only"), "{reason}");
    assert!(follower.try_wait().unwrap().is_none(), "a follower waits instead of ending");

    disk.make_writable();
    let deadline = Instant::now() + Duration::from_secs(30);
    let database = disk.0.join("data/logs.db");
    let stored = loop {
        if database.exists()
            && let Ok(store) = SqliteChunkStore::open(&database).await
        {
            let records = atalaya::store::chunks::ChunkStore::stats(&store).await.unwrap().records;
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
