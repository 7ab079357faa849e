//! The embedded log store: the common suite, and what only a file can show: it survives `kill -9`,
//! is shared by processes, and stands a full or read-only disk.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use atalaya::domain::record::{Entry, Frame, Layer, Record, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::query::Query;
use atalaya::store::chunks::{ChunkStore, Order, StoreHealth as _};
use atalaya::store::engine::LogEngine;
use atalaya::store::error::StoreError;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::log_store_suite::{entry, frame, log_store_suite, origin, read_all};

const START: i64 = 1_790_000_000_000_000;

async fn empty() -> (Arc<dyn ChunkStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteChunkStore::open(&folder.path().join("logs.sqlite"))
        .await
        .unwrap();
    (Arc::new(store), folder)
}

log_store_suite!(empty);

async fn engine_at(path: &Path) -> LogEngine {
    LogEngine::new(Arc::new(SqliteChunkStore::open(path).await.unwrap()))
}

/// Names a store file: this process is then the child of a test and writes there.
const CHILD: &str = "ATALAYA_TEST_STORE";

/// This test binary again, running only the test of this name.
fn child(test: &str, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, store);
    command
}

/// Runs SQLite's own check, on a connection of its own.
async fn check_integrity(path: &Path) {
    use sqlx::ConnectOptions as _;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    let (chunks, blocks, total): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM blocks), (SELECT chunks FROM totals)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((chunks, chunks), (blocks, total));
}

/// R20: acknowledged is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_acknowledged_frame() {
    const KILLS: usize = 20;
    let written = |origin_id: u128, part: u64| {
        let begin = START + part as i64 * 1_000_000;
        frame(
            &origin(origin_id, Layer::Application),
            part * 50,
            (0..50).map(|index| begin + index),
        )
    };
    if let Some(store) = std::env::var_os(CHILD) {
        let engine = engine_at(Path::new(&store)).await;
        let mut stdout = std::io::stdout();
        for part in 0.. {
            for origin in 0..2 {
                engine.append(&[written(origin, part)]).await.unwrap();
                writeln!(stdout, "\nstored {origin} {part}").unwrap();
                stdout.flush().unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    let mut random = rand::rngs::SmallRng::seed_from_u64(7);
    let mut acknowledged = [0_u64; 2];
    for _ in 0..KILLS {
        let mut writer = child("sqlite_store::kill_9_loses_no_acknowledged_frame", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after so many acknowledgements, in the midst of the next write.
        let mut left = random.random_range(1..60);
        for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(("0" | "1", _)) = line
                .strip_prefix("stored ")
                .and_then(|stored| stored.split_once(' '))
            {
                let (origin, part) = line["stored ".len()..].split_once(' ').unwrap();
                let until = (part.parse::<u64>().unwrap() + 1) * 50;
                let known = &mut acknowledged[origin.parse::<usize>().unwrap()];
                *known = until.max(*known);
                left -= 1;
                if left == 0 {
                    writer.kill().unwrap();
                }
            }
        }
        writer.wait().unwrap();
        let engine = engine_at(&path).await;
        let mut expected = Vec::new();
        for origin_id in 0..2 {
            let until = engine
                .watermark(origin(origin_id, Layer::Application).id)
                .await
                .unwrap()
                .unwrap_or(0);
            assert!(
                until >= acknowledged[origin_id as usize],
                "an acknowledged frame is gone"
            );
            expected.extend((0..until / 50).flat_map(|part| written(origin_id, part).entries));
        }
        let mut found: Vec<Entry> = read_all(&engine, Order::OldestFirst, 1_000)
            .await
            .into_iter()
            .map(|record| record.entry)
            .collect();
        let key = |entry: &Entry| (entry.timestamp, entry.position);
        found.sort_by_key(key);
        expected.sort_by_key(key);
        assert_eq!(found, expected, "frames are whole, each record once");
        check_integrity(&path).await;
    }
    assert!(acknowledged.iter().all(|&until| until > 50));
}

/// R21: nobody sees a busy store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_never_see_a_busy_store() {
    const TASKS: u128 = 8;
    const WRITES: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    // Two handles, as two processes would have.
    let engines = [engine_at(&path).await, engine_at(&path).await];
    let mut follower = engines[0].follower(Query::everything()).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let engine = engines[(task % 2) as usize].clone();
            tokio::spawn(async move {
                let origin = origin(task, Layer::Application);
                for part in 0..WRITES {
                    let begin = START + part as i64 * 1_000;
                    engine
                        .append(&[frame(&origin, part * 3, [begin, begin + 1, begin - 1])])
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let mut seen: Vec<Record> = Vec::new();
    let mut tasks = futures::future::join_all(tasks);
    loop {
        let mut dropped = follower.clone();
        tokio::select! {
            biased;
            ended = &mut tasks => {
                for task in ended {
                    task.unwrap();
                }
                break;
            }
            arrived = engines[0].follow(&mut dropped, 100) => {
                // Dropped calls and repeated ones from the same place are harmless.
                drop(arrived.unwrap());
                seen.extend(engines[0].follow(&mut follower, 100).await.unwrap());
            }
        }
    }
    loop {
        let arrived = engines[0].follow(&mut follower, 100).await.unwrap();
        if arrived.is_empty() {
            break;
        }
        seen.extend(arrived);
    }
    let mut ids: Vec<_> = seen.iter().map(Record::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), seen.len(), "none twice");
    assert_eq!(
        seen.len() as u64,
        TASKS as u64 * WRITES * 3,
        "none missed, also of the other handle"
    );
    check_integrity(&path).await;
}

/// R22: a caller that goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_callers_leave_no_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    let store = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
    let engine = LogEngine::new(store.clone());
    let mut random = rand::rngs::SmallRng::seed_from_u64(11);
    let origin = origin(1, Layer::Application);
    for part in 0..300_u64 {
        let engine = engine.clone();
        let frame = frame(&origin, part * 10, (0..10).map(|index| START + index));
        let task = tokio::spawn(async move { engine.append(&[frame]).await.map(|_| ()) });
        for _ in 0..random.random_range(0..40) {
            tokio::task::yield_now().await;
        }
        task.abort();
        task.await.ok();
    }
    // The writer connection is free and clean: a whole frame goes in, by this handle and by another.
    engine
        .append(&[frame(&origin, 10_000, [START])])
        .await
        .unwrap();
    let other = engine_at(&path).await;
    other
        .append(&[frame(&origin, 20_000, [START])])
        .await
        .unwrap();
    let records = read_all(&other, Order::OldestFirst, 1_000).await;
    // Frames are there whole or not at all.
    let mut positions: Vec<u64> = records
        .iter()
        .map(|record| record.entry.position)
        .filter(|&at| at < 10_000)
        .collect();
    positions.sort_unstable();
    assert_eq!(positions.len() % 10, 0);
    assert!(
        positions
            .chunks(10)
            .all(|frame| frame[0] % 10 == 0 && frame[9] == frame[0] + 9)
    );
    store.close().await;
    check_integrity(&path).await;
}

/// A frame whose texts do not compress.
fn bulky(origin_id: u128, part: u64) -> Frame {
    let mut random = rand::rngs::SmallRng::seed_from_u64(part);
    let mut frame = frame(
        &origin(origin_id, Layer::Application),
        part * 100,
        (0..100).map(|index| START + index),
    );
    for entry in &mut frame.entries {
        entry.message = (0..2_000)
            .map(|_| char::from(random.random_range(33..127_u8)))
            .collect::<String>()
            .into();
    }
    frame
}

/// R24: a full or read-only disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_is_usable_again() {
    if let Some(store) = std::env::var_os(CHILD) {
        let engine = engine_at(Path::new(&store)).await;
        let mut stored = 0;
        let refused = loop {
            assert!(stored < 1_000, "the limit of the file size has no effect");
            match engine.append(&[bulky(1, stored)]).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(refused, StoreError::NotWritable { .. }),
            "{refused:?}"
        );
        assert!(refused.is_transient());
        assert!(stored > 0);
        // What was acknowledged can be read meanwhile.
        assert_eq!(
            read_all(&engine, Order::OldestFirst, 1_000).await.len() as u64,
            stored * 100
        );
        for _ in 0..3 {
            let again = engine.append(&[bulky(1, stored)]).await.unwrap_err();
            assert!(matches!(again, StoreError::NotWritable { .. }), "{again:?}");
        }
        let limit = rustix::process::Rlimit {
            current: None,
            maximum: None,
        };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        engine.append(&[bulky(1, stored)]).await.unwrap();
        assert_eq!(
            read_all(&engine, Order::OldestFirst, 1_000).await.len() as u64,
            (stored + 1) * 100
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    engine_at(&path)
        .await
        .append(&[frame(&origin(9, Layer::Application), 0, [START])])
        .await
        .unwrap();
    let store = folder.path().join("child.sqlite");
    let inner = child(
        "sqlite_store::a_full_disk_refuses_writes_and_is_usable_again",
        &store,
    );
    // A file that may not grow stands for a full disk; `trap` has the write fail instead of killing.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(CHILD, &store)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    check_integrity(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_cannot_be_written_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    // Not a matter of rights, which a superuser does not lack: a file stands where a folder should.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = SqliteChunkStore::open(&folder.path().join("file/logs.sqlite"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error:?}");
    std::fs::create_dir(folder.path().join("logs.sqlite")).unwrap();
    let error = SqliteChunkStore::open(&folder.path().join("logs.sqlite"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
    std::fs::remove_dir(folder.path().join("logs.sqlite")).unwrap();
    let engine = engine_at(&folder.path().join("logs.sqlite")).await;
    engine
        .append(&[frame(&origin(1, Layer::Application), 0, [START])])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_file_is_left_alone() {
    use sqlx::ConnectOptions as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    SqliteChunkStore::open(&path).await.unwrap().close().await;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    sqlx::query("PRAGMA user_version = 99")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = SqliteChunkStore::open(&path).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 99, .. }),
        "{error:?}"
    );
}

/// What expired is no longer on the disk, and what is left can be read.
#[tokio::test]
async fn an_expired_store_becomes_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let store = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
    let engine = LogEngine::new(Arc::clone(&store) as Arc<dyn ChunkStore>);
    let day = 86_400_000_000;
    let size = || std::fs::metadata(&path).unwrap().len();
    for number in 0..40 {
        let mut frame = frame(&origin(1, Layer::Application), number * 1_000, []);
        frame.entries = (0..200_u64)
            .map(|index| {
                let words: Vec<u8> = (0..400).map(|_| rand::random_range(b'a'..=b'z')).collect();
                Entry {
                    message: String::from_utf8(words).unwrap().into(),
                    ..entry(
                        START + number as i64 * day + index as i64,
                        number * 1_000 + index,
                    )
                }
            })
            .collect();
        engine.append(&[frame]).await.unwrap();
    }
    store.expire_before(Timestamp::MIN).await.unwrap();
    let full = size();
    let before = Timestamp::from_micros(START + 30 * day);
    let expired = store.expire_before(before).await.unwrap().unwrap();
    assert!(expired.chunks >= 30);
    assert!(size() < full / 2, "{} of {full} bytes are left", size());
    assert!(expired.freed_bytes > full / 2);
    assert_eq!(
        read_all(&engine, Order::OldestFirst, 10_000).await.len(),
        2_000
    );
    assert_eq!(
        store.expire_before(before).await.unwrap().unwrap().chunks,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_chunks_go_with_their_index_and_arrivals_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    let store = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
    let engine = LogEngine::new(store.clone());
    let day = 86_400_000_000;
    let days: Vec<Frame> = (0..30)
        .map(|number| {
            let mut frame = frame(&origin(1, Layer::Application), number * 10, []);
            frame.entries = (0..10_u64)
                .map(|index| Entry {
                    request_id: Some(RequestId::new("req")),
                    ..entry(
                        START + number as i64 * day + index as i64,
                        number * 10 + index,
                    )
                })
                .collect();
            frame
        })
        .collect();
    engine.append(&days).await.unwrap();
    let before = Timestamp::from_micros(START + 20 * day + 5);
    assert_eq!(
        store.expire(before).await.unwrap(),
        20,
        "a chunk with one record that is young enough stays"
    );
    assert_eq!(store.expire(before).await.unwrap(), 0);
    assert_eq!(
        read_all(&engine, Order::OldestFirst, 1_000).await.len(),
        100
    );
    let request = RequestId::new("req");
    assert_eq!(store.request(&request).await.unwrap().len(), 10);
    assert_eq!(
        engine.trace(&request, 1_000).await.unwrap().records.len(),
        100
    );
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.chunks, stats.records), (10, 100));

    // A follower that stands at the end is not sent back when everything expired.
    let mut follower = engine.follower(Query::everything()).await.unwrap();
    assert_eq!(store.expire(Timestamp::MAX).await.unwrap(), 10);
    assert_eq!(engine.follow(&mut follower, 10).await.unwrap(), []);
    let again = frame(&origin(2, Layer::Application), 0, [START]);
    engine.append(&[again]).await.unwrap();
    assert_eq!(engine.follow(&mut follower, 10).await.unwrap().len(), 1);
    check_integrity(&path).await;
}

/// R21: nobody sees a busy store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_go_on_while_another_process_holds_the_write_lock() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    let engine = engine_at(&path).await;
    engine
        .append(&[frame(&origin(1, Layer::Application), 0, [START])])
        .await
        .unwrap();
    let mut other = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(read_all(&engine, Order::OldestFirst, 10).await.len(), 1);
    let writing = tokio::spawn({
        let engine = engine.clone();
        async move {
            engine
                .append(&[frame(&origin(1, Layer::Application), 1, [START + 1])])
                .await
        }
    });
    assert_eq!(read_all(&engine, Order::OldestFirst, 10).await.len(), 1);
    assert!(!writing.is_finished());
    lock.rollback().await.unwrap();
    assert_eq!(writing.await.unwrap().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_is_said_so_and_works_again() {
    use rustix::process::getuid;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.sqlite");
    SqliteChunkStore::open(&path).await.unwrap().close().await;
    let mode =
        |bits| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
    mode(0o400);
    let written = async {
        let store = SqliteChunkStore::open(&path).await?;
        LogEngine::new(Arc::new(store))
            .append(&[frame(&origin(1, Layer::Application), 0, [START])])
            .await
    };
    let outcome = written.await;
    // Modes do not bind the superuser; for everyone else the file cannot be written.
    if getuid().is_root() {
        assert_eq!(outcome.unwrap(), 1);
    } else {
        assert!(
            matches!(outcome, Err(StoreError::NotWritable { .. })),
            "{outcome:?}"
        );
    }
    mode(0o600);
    let engine = engine_at(&path).await;
    assert_eq!(
        engine
            .append(&[frame(&origin(1, Layer::Application), 0, [START])])
            .await
            .unwrap(),
        1
    );
}
