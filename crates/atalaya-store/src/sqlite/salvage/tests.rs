//! Random damage to both files: a check finds whatever alters the content, and a repair gives what is
//! readable and nothing that is altered.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "seeds, shown when a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, RngExt as _, SeedableRng as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Salvaged, logs, metrics};
use crate::chunks::{ChunkStore as _, Order, StoreHealth as _};
use crate::engine::build::build;
use crate::sqlite::chunks::SqliteChunkStore;
use crate::sqlite::metrics::SqliteMetricsStore;
use crate::sqlite::open::trusted;
use crate::sqlite::{check, reading::beside};
use atalaya_domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId, Text};
use atalaya_domain::time::{TimeRange, Timestamp};

const PAGE_BYTES: usize = 4096;
/// Of a write-ahead log.
const LOG_HEAD: usize = 32;
const FRAME_BYTES: usize = 24 + PAGE_BYTES;

/// Of each store; with `ATALAYA_TEST_LONG` ten times as many.
const DAMAGES: u64 = 60;

fn seed() -> u64 {
    let given = std::env::var("ATALAYA_TEST_SEED").ok();
    given.map_or_else(|| rand::rng().next_u64(), |seed| seed.parse().unwrap())
}

fn damages() -> u64 {
    let long = std::env::var_os("ATALAYA_TEST_LONG").is_some();
    DAMAGES * if long { 10 } else { 1 }
}

/// What a damage can take away without a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    Bits,
    Page,
    Cut,
}

/// Anywhere, or where few bytes say much: in the head of the file, of a page, of a frame of the log.
fn byte(length: usize, in_log: bool, random: &mut StdRng) -> usize {
    let (head, part, part_head) = if in_log {
        (LOG_HEAD, FRAME_BYTES, 24)
    } else {
        (100, PAGE_BYTES, 12)
    };
    let at = match random.random_range(0..8) {
        0 => random.random_range(0..head),
        1 | 2 => {
            let number = random.random_range(0..length.div_ceil(part));
            let before = if in_log { head } else { 0 };
            before + number * part + random.random_range(0..part_head)
        }
        _ => random.random_range(0..length),
    };
    at.min(length - 1)
}

/// Damages the file or its log; how, and whether it was the log.
fn damage(path: &Path, random: &mut StdRng) -> (Hit, bool) {
    let log = beside(path, "-wal");
    let in_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0) && random.random_bool(0.3);
    let name = if in_log { &log } else { path };
    let mut bytes = fs::read(name).unwrap();
    let hit = match random.random_range(0..10) {
        0..6 => {
            for _ in 0..random.random_range(1..=3) {
                let byte = byte(bytes.len(), in_log, random);
                bytes[byte] ^= 1 << random.random_range(0..8);
            }
            Hit::Bits
        }
        6..9 => {
            let page = random.random_range(0..bytes.len().div_ceil(PAGE_BYTES)) * PAGE_BYTES;
            let end = (page + PAGE_BYTES).min(bytes.len());
            bytes[page..end].fill(0);
            Hit::Page
        }
        _ => {
            bytes.truncate(random.random_range(0..bytes.len()));
            Hit::Cut
        }
    };
    fs::write(name, bytes).unwrap();
    (hit, in_log)
}

/// Whether the last frame of the log still says that it ends a transaction.
fn ends_with_a_commit(path: &Path) -> bool {
    let log = fs::read(beside(path, "-wal")).unwrap();
    let frames = (log.len() - LOG_HEAD) / FRAME_BYTES;
    let last = LOG_HEAD + (frames - 1) * FRAME_BYTES;
    log[last + 4..last + 8] != [0; 4]
}

fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let _ = fs::remove_file(beside(to, suffix));
        if beside(from, suffix).exists() {
            fs::copy(beside(from, suffix), beside(to, suffix)).unwrap();
        }
    }
    let _ = fs::remove_file(beside(to, "-shm"));
}

fn word(random: &mut StdRng, length: usize) -> String {
    (0..length)
        .map(|_| char::from_u32(random.random_range(0x21..0x2af)).unwrap_or('x'))
        .collect()
}

fn frame(random: &mut StdRng, origin: u128, from: u64) -> Frame {
    let count = random.random_range(1..120_u64);
    let start = random.random_range(0..5_i64) * 600_000_000;
    let entries = (0..count)
        .map(|number| Entry {
            timestamp: Timestamp::from_micros(start + number as i64 * 1_000),
            position: from + number * 10,
            level: Level::ALL[random.random_range(0..Level::ALL.len())],
            message: Text::from(word(random, 40)),
            request_id: random
                .random_bool(0.5)
                .then(|| RequestId::new(format!("req-{}", number % 9))),
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(origin),
            layer: Layer::Application,
            source: format!("app/{origin}").as_str().into(),
            host: "web-1".into(),
        }),
        from,
        until: from + count * 10,
        entries,
    }
}

/// Everything that can be asked of the store.
async fn content(path: &Path) -> Result<BTreeSet<String>, crate::error::StoreError> {
    let store = SqliteChunkStore::open(path).await?;
    let read = async {
        let mut all = BTreeSet::new();
        let buckets = store
            .buckets(
                Layer::Application,
                TimeRange::ALL,
                Order::OldestFirst,
                1_000,
            )
            .await?;
        for bucket in buckets {
            for summary in store.summaries(bucket).await? {
                for chunk in store.chunks(&[summary.key]).await? {
                    all.insert(format!("chunk {chunk:?}"));
                }
            }
        }
        let stats = store.stats().await?;
        let end = store.arrivals_end().await?;
        all.insert(format!("count {} {} {end:?}", stats.chunks, stats.records));
        for (origin, mark) in store.watermarks(None, 1_000).await? {
            all.insert(format!("mark {origin:?} {mark}"));
        }
        for number in 0..9 {
            let id = RequestId::new(format!("req-{number}"));
            for entry in store.request(&id).await? {
                all.insert(format!("request {number} {:?}", entry.chunk));
            }
        }
        Ok(all)
    };
    let read = read.await;
    store.close().await;
    read
}

fn chunks(content: &BTreeSet<String>) -> usize {
    content
        .iter()
        .filter(|one| one.starts_with("chunk "))
        .count()
}

/// Fills `whole`; `source` is it as it was while it was open, with a part of it in the log.
async fn make(whole: &Path, source: &Path, random: &mut StdRng) {
    let store = SqliteChunkStore::open(whole).await.unwrap();
    let mut marks = [0; 7];
    for part in 0..60 {
        let frames: Vec<_> = (0..3)
            .map(|_| {
                let origin = random.random_range(0..7_usize);
                let frame = frame(random, origin as u128 + 1, marks[origin]);
                marks[origin] = frame.until;
                build(&frame, store.settings())
            })
            .collect();
        store.put(frames).await.unwrap();
        if part == 40 {
            // The first part is in the file, the rest in its log.
            let mut beside = SqliteConnectOptions::new()
                .filename(whole)
                .connect()
                .await
                .unwrap();
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&mut beside)
                .await
                .unwrap();
            beside.close().await.unwrap();
        }
    }
    // As it is while it is open.
    copy(whole, source);
    store.close().await;
}

/// R5, R20: damage of the embedded log store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_damaged_in_the_logs_is_found_and_the_rest_is_kept() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (whole, source) = (
        folder.path().join("whole.db"),
        folder.path().join("source.db"),
    );
    make(&whole, &source, &mut random).await;
    let wanted = content(&whole).await.unwrap();
    let told = |_| {};
    let found = check::logs(&whole, &told).await.unwrap();
    assert_eq!(found.damages.listed, []);
    assert_eq!(found.chunks as usize, chunks(&wanted));

    let (damaged, fresh) = (
        folder.path().join("damaged.db"),
        folder.path().join("fresh.db"),
    );
    let (mut kept_of_all, mut altering) = (0, 0);
    for number in 0..damages() {
        copy(&source, &damaged);
        let (hit, in_log) = damage(&damaged, &mut random);
        let case = format!("seed {seed}, damage {number} ({hit:?}, in the log: {in_log})");
        // As after a power cut: such a log says nothing of what it held.
        let ends_early = in_log && (hit == Hit::Cut || !ends_with_a_commit(&damaged));
        let found = check::logs(&damaged, &told).await.unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&fresh, suffix));
        }
        let new = SqliteChunkStore::open(&fresh).await.unwrap();
        let salvaged = logs::salvage(&damaged, &new, &told).await.unwrap();
        new.close().await;
        let after = check::logs(&fresh, &told).await.unwrap();
        assert_eq!(after.damages.listed, [], "{case}: the new file");
        // Nothing altered is given as true.
        let kept = content(&fresh).await.unwrap();
        let mut strange = kept.difference(&wanted);
        if let Some(strange) = strange.find(|one| !one.starts_with("count ")) {
            // After a cut log an older mark is what was committed last.
            assert!(
                strange.starts_with("mark ") && (in_log || hit == Hit::Cut),
                "{case}: {strange}"
            );
        }
        // What is not kept is listed, as far as the file still knows of it.
        let missing = chunks(&wanted) - chunks(&kept);
        if hit != Hit::Cut && !in_log {
            assert!(
                missing as u64 <= salvaged.lost.count,
                "{case}: {missing} missing, {:?}",
                salvaged.lost
            );
        }
        kept_of_all += chunks(&kept);
        // Only now is it opened to be written, which may change it.
        let altered = content(&damaged)
            .await
            .map_or(true, |content| content != wanted);
        if altered {
            altering += 1;
            assert!(!found.damages.is_empty() || ends_early, "{case}: not found");
        }
    }
    let all = chunks(&wanted) * damages() as usize;
    println!(
        "{altering} of {} damages altered the content; {kept_of_all} of {all} chunks kept",
        damages()
    );
    assert!(kept_of_all * 10 > all * 8, "{kept_of_all} of {all} chunks");
    assert!(altering > 0);
}

/// All rows as text, by table.
async fn rows(path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, sqlx::Error> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, (SELECT group_concat('quote(\"' || c.name || '\")', ' || '','' || ' ORDER BY c.cid)
                         FROM pragma_table_info(t.name) c)
         FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut all = BTreeMap::new();
    for (table, columns) in tables {
        let sql = format!("SELECT {columns} FROM \"{table}\" NOT INDEXED");
        let rows: Vec<String> = sqlx::query_scalar(trusted(sql))
            .fetch_all(&mut connection)
            .await?;
        all.insert(table, rows.into_iter().collect());
    }
    connection.close().await?;
    Ok(all)
}

async fn fill(connection: &mut SqliteConnection, random: &mut StdRng) {
    for number in 0..200_i64 {
        let (at, name) = (number * 1_000_000, word(random, 12));
        let json = serde_json::json!({ "team": word(random, 5), "story_points": number % 8 });
        let parts = [
            ("INSERT INTO cycles VALUES (?1, ?2, NULL, 'shop', ?3, NULL)", 2),
            (
                "INSERT INTO dora_metrics (cycle_id, feature_id, phase_name, decision, duration_seconds, metadata, created_at)
                 VALUES (?1, ?2, 'testing', 'success', ?3 / 7.0, ?4, ?3)",
                1,
            ),
            (
                "INSERT INTO deployments (id, service, environment, finished_at, result, kind, cycle_id, origin, commits_known)
                 VALUES (?1, ?2, 'production', ?3, 'success', 'normal', ?1, 'git', 1)",
                2,
            ),
            ("INSERT INTO targets VALUES (?1, ?2, '', ?3 / 3.0, ?3)", 5),
            ("INSERT INTO health_samples VALUES (?1, ?2, ?3, ?3)", 1),
            ("INSERT INTO pdca_cycles VALUES (?1, ?3)", 10),
            ("INSERT INTO pdca_events VALUES (?1, 1, ?3, ?2, ?4)", 10),
        ];
        let cycle = number.to_string();
        for (sql, each) in parts {
            // A deployment of a cycle that is there.
            if number % each == 0 || sql.starts_with("INSERT INTO cycles") {
                sqlx::query(sql)
                    .bind(&cycle)
                    .bind(&name)
                    .bind(at)
                    .bind(json.to_string())
                    .execute(&mut *connection)
                    .await
                    .unwrap();
            }
        }
    }
}

async fn repaired(damaged: &Path, fresh: &Path) -> Salvaged {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(fresh, suffix));
    }
    SqliteMetricsStore::open(fresh).await.unwrap().close().await;
    metrics::salvage(damaged, fresh, &|_| {}).await.unwrap()
}

/// R5, R20: damage of the embedded metrics store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_damaged_in_the_metrics_is_found_and_the_rest_is_kept() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.db");
    SqliteMetricsStore::open(&whole)
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = SqliteConnectOptions::new()
        .filename(&whole)
        .connect()
        .await
        .unwrap();
    fill(&mut connection, &mut random).await;
    connection.close().await.unwrap();
    let wanted = rows(&whole).await.unwrap();
    let told = |_| {};
    assert_eq!(
        check::metrics(&whole, &told).await.unwrap().damages.listed,
        []
    );

    let (damaged, fresh) = (
        folder.path().join("damaged.db"),
        folder.path().join("fresh.db"),
    );
    let count = |content: &BTreeMap<String, BTreeSet<String>>| -> usize {
        content.values().map(BTreeSet::len).sum()
    };
    let (mut kept_of_all, mut altering) = (0, 0);
    for number in 0..damages() {
        copy(&whole, &damaged);
        let (hit, _) = damage(&damaged, &mut random);
        let case = format!("seed {seed}, damage {number} ({hit:?})");
        let found = check::metrics(&damaged, &told).await.unwrap();
        let altered = rows(&damaged)
            .await
            .map_or(true, |content| content != wanted);
        if altered {
            altering += 1;
            assert!(!found.damages.is_empty(), "{case}: not found");
        }
        let salvaged = repaired(&damaged, &fresh).await;
        let kept = rows(&fresh).await.unwrap();
        for (table, rows) in &kept {
            let strange = rows.difference(&wanted[table]).next();
            assert_eq!(strange, None, "{case}: {table}");
        }
        if count(&kept) < count(&wanted) {
            assert!(!salvaged.lost.is_empty(), "{case}: lost without a word");
        }
        kept_of_all += count(&kept);
    }
    let all = count(&wanted) * damages() as usize;
    println!(
        "{altering} of {} damages altered the content; {kept_of_all} of {all} rows kept",
        damages()
    );
    assert!(kept_of_all * 10 > all * 8, "{kept_of_all} of {all} rows");
    assert!(altering > 0);
}
