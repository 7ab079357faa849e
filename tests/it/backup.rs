//! `atalaya backup` by the real binary, on the embedded stores: made, verified, restored, and of
//! stores that hold odd things; what goes wrong meanwhile is in `faults`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId};
use atalaya::domain::time::Timestamp;
use atalaya::store::engine::LogEngine;
use atalaya::store::metrics::snapshot::table_sums;
use atalaya_archive::Identities;
use atalaya_domain::backup::TableSum;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::copied::{self, atalaya, command, done, text};

mod faults;

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn backup(home: &Path, arguments: &[&str]) -> std::process::Output {
    atalaya(
        home,
        &[&["--data-dir", "source", "backup"], arguments].concat(),
    )
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_str(&done(output)).unwrap()
}

fn archives(home: &Path) -> BTreeMap<String, Vec<u8>> {
    let folder = home.join("source/backups");
    std::fs::read_dir(&folder)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap())
                .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
                .map(|entry| {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    (name, std::fs::read(entry.path()).unwrap())
                })
                .collect()
        })
        .unwrap_or_default()
}

/// Folders of work in progress that nobody removed.
/// What work that was not finished left, with all that is in it.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(".partial-") {
                folders.push(path.clone());
                found.push(path);
            }
        }
    }
    found
}

/// Records of random age, from origins old and new, as sources that are late give them.
async fn add(folder: &Path, random: &mut StdRng) {
    let store = copied::logs(folder).await;
    let engine = LogEngine::new(store);
    for _ in 0..5 {
        let number: u64 = random.random_range(0..8);
        let origin = Arc::new(Origin {
            id: OriginId::derive(&[b"added", &random.next_u64().to_le_bytes()]),
            layer: Layer::ALL[random.random_range(0..Layer::ALL.len())],
            source: format!("app/{number}").into(),
            host: "host".into(),
        });
        let count: u64 = random.random_range(1..700);
        let now = Timestamp::now().micros();
        let entries: Vec<Entry> = (0..count)
            .map(|index| Entry {
                timestamp: Timestamp::from_micros(
                    now - random.random_range(0..80 * 86_400) * 1_000_000,
                ),
                position: index * 100,
                level: Level::ALL[random.random_range(0..Level::ALL.len())],
                message: format!("added {:x}", random.next_u64()).into(),
                logger: None,
                request_id: None,
                user_id: None,
                session_id: None,
                duration_ms: None,
                traceback: None,
                metadata: Vec::new(),
            })
            .collect();
        let frame = Frame {
            origin,
            from: 0,
            until: count * 100,
            entries,
        };
        engine.append(&[frame]).await.unwrap();
    }
}

/// All tables of a closed metrics store, but the memory of backups, which each backup changes.
async fn tables(folder: &Path) -> Vec<TableSum> {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("copy.db");
    copied::metrics(folder).await.snapshot(&path).await.unwrap();
    let mut sums = table_sums(&path).await.unwrap();
    sums.retain(|table| !table.table.starts_with("backup"));
    sums
}

async fn sql(path: &Path, statement: &'static str) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn assert_restored(home: &Path, folder: &str) {
    let (from, to) = (home.join("source"), home.join(folder));
    copied::assert_same_logs(&copied::logs(&from).await, &copied::logs(&to).await).await;
    copied::assert_same_metrics(&copied::metrics(&from).await, &copied::metrics(&to).await).await;
    assert_eq!(tables(&to).await, tables(&from).await);
}

/// R27 on the embedded stores: a chain of random increments, each restored and compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_is_restored_from_every_link_of_a_chain() {
    let mut random = seeded();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    let first = json(&backup(home, &["create", "--json"]));
    assert_eq!(first["backup"]["base"], Value::Null);
    assert_eq!(first["own_records"], first["backup"]["records"]);
    assert_restored_to(home, "first").await;
    for link in ["second", "third"] {
        add(&home.join("source"), &mut random).await;
        let made = json(&backup(home, &["create", "--json"]));
        assert!(made["backup"]["base"].is_string(), "{made:#}");
        let (own, all) = (&made["own_records"], &made["backup"]["records"]);
        assert!(
            own.as_u64() < all.as_u64(),
            "an increment holds what is new: {made:#}"
        );
        assert!(
            made["backup"]["verified_at"].is_number() || made["backup"]["verified_at"].is_string()
        );
        assert_restored_to(home, link).await;
    }
    // Nothing changed: nothing of the logs is in it.
    let made = json(&backup(home, &["create", "--json"]));
    assert_eq!(made["own_records"], 0);
    assert_restored_to(home, "fourth").await;

    let listed = json(&backup(home, &["list", "--json"]));
    let builds_on: Vec<usize> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["builds_on"].as_array().unwrap().len())
        .collect();
    assert_eq!(builds_on, [3, 2, 1, 0]);
    let verified = json(&backup(home, &["verify", "--all", "--json"]));
    assert!(
        verified
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["right"] == true)
    );

    // A chain is verified as a whole: without its base an increment is nothing.
    let base = home
        .join("source/backups")
        .join(format!("{}.tar.zst", listed[3]["name"].as_str().unwrap()));
    std::fs::remove_file(base).unwrap();
    let broken = backup(home, &["verify"]);
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
    assert!(
        text(&broken.stderr).contains("builds on"),
        "{}",
        text(&broken.stderr)
    );
    let refused = backup(home, &["restore", "--into", "never"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(!home.join("never").exists());
}

async fn assert_restored_to(home: &Path, folder: &str) {
    json(&backup(home, &["restore", "--into", folder, "--json"]));
    assert_restored(home, folder).await;
    assert!(!home.join(format!("{folder}.restoring")).exists());
    assert!(home.join(folder).join("config.restored.toml").exists());
}

#[tokio::test]
async fn modes_and_names_are_as_promised() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    for compression in ["zstd", "gzip"] {
        let made = command(
            home,
            &["--data-dir", "source", "backup", "create", "--json"],
        )
        .env("ATALAYA_BACKUP__COMPRESSION", compression)
        .output()
        .unwrap();
        let made = json(&made);
        let path = home.join(made["path"].as_str().unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&path), 0o640);
        assert_eq!(mode(path.parent().unwrap()) & !0o750, 0);
        let listed = std::process::Command::new("tar")
            .args(if compression == "gzip" {
                ["-tzf"]
            } else {
                ["-tf"]
            })
            .arg(&path)
            .output()
            .unwrap();
        if compression == "gzip" {
            assert_eq!(
                text(&listed.stdout).lines().collect::<Vec<_>>(),
                [
                    "manifest.json",
                    "buckets.jsonl",
                    "config.toml",
                    "metrics.db",
                    "logs.db"
                ]
            );
        }
    }
    // The second builds on the first, which was written in another way.
    json(&backup(home, &["verify", "--json"]));
    assert_restored_to(home, "restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_replaced_only_by_force_and_kept_aside() {
    let mut random = seeded();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    done(&backup(home, &["create"]));
    std::fs::create_dir(home.join("there")).unwrap();
    std::fs::write(home.join("there/mine"), "mine").unwrap();
    let refused = backup(home, &["restore", "--into", "there"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("--force"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(std::fs::read(home.join("there/mine")).unwrap(), b"mine");
    let restored = json(&backup(
        home,
        &["restore", "--into", "there", "--force", "--json"],
    ));
    let aside = home.join(restored["kept"][0].as_str().unwrap());
    assert_eq!(std::fs::read(aside.join("mine")).unwrap(), b"mine");
    assert_restored(home, "there").await;

    // Into the stores that are in use: as they were when the backup was made.
    let before = copied::counted(&copied::logs(&home.join("source")).await).await;
    add(&home.join("source"), &mut random).await;
    let refused = backup(home, &["restore", "--into", "configured"]);
    assert_eq!(refused.status.code(), Some(2));
    let restored = json(&backup(
        home,
        &["restore", "--into", "configured", "--force", "--json"],
    ));
    assert!(
        home.join(restored["kept"][0].as_str().unwrap())
            .join("logs.db")
            .exists()
    );
    assert_eq!(
        copied::counted(&copied::logs(&home.join("source")).await).await,
        before
    );
    assert_restored(home, "there").await;
}

/// Tables of others, empty stores, a newer schema, a quarantine: right, or a clear error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_stores_are_backed_up_or_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // Of nothing at all.
    let made = json(&backup(home, &["create", "--json"]));
    assert_eq!(made["backup"]["records"], 0);
    json(&backup(home, &["restore", "--into", "empty", "--json"]));
    assert_eq!(
        copied::counted(&copied::logs(&home.join("empty")).await).await,
        0
    );

    let metrics = home.join("source/metrics.db");
    sql(&metrics, "CREATE TABLE mine (secret TEXT); INSERT INTO mine VALUES ('CANARY-9f3a'); CREATE VIEW seen AS SELECT * FROM mine").await;
    let made = json(&backup(home, &["create", "--json"]));
    let left_out = made["left_out"].to_string();
    assert!(
        left_out.contains("mine") && left_out.contains("seen"),
        "{left_out}"
    );
    assert_unpacked_has_no(home, &made, &["CANARY-9f3a"]);

    let aside = home.join("source/ingest/spool/quarantine");
    std::fs::create_dir_all(&aside).unwrap();
    std::fs::write(aside.join("abc-1.group"), b"some bytes").unwrap();
    std::fs::write(aside.join("abc-1.reason.txt"), "too large\n").unwrap();
    json(&backup(home, &["create", "--json"]));
    json(&backup(
        home,
        &["restore", "--into", "with-quarantine", "--json"],
    ));
    let restored = home.join("with-quarantine/ingest/spool/quarantine");
    assert_eq!(
        std::fs::read(restored.join("abc-1.group")).unwrap(),
        b"some bytes"
    );
    assert_eq!(
        std::fs::read(restored.join("abc-1.reason.txt")).unwrap(),
        b"too large\n"
    );

    sql(&metrics, "PRAGMA user_version = 9999").await;
    let refused = backup(home, &["create"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("9999"),
        "{}",
        text(&refused.stderr)
    );
    let refused = backup(home, &["verify", "no-such-backup"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// R42: secrets of configuration and environment are in no archive, whatever its form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_an_archive() {
    const CANARY: &str = "CANARY-7d1e55";
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let password = home.join("password");
    std::fs::write(&password, CANARY).unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "[stores.mysql]\npassword_file = \"{0}\"\n[stores.cassandra]\npassword_file = \"{0}\"\n",
        password.display()
    );
    std::fs::write(home.join("c.toml"), config).unwrap();
    let made = command(
        home,
        &[
            "--config",
            "c.toml",
            "--data-dir",
            "source",
            "backup",
            "create",
            "--json",
        ],
    )
    .env("ATALAYA_MYSQL_PASSWORD", CANARY)
    .env("ATALAYA_CASSANDRA_PASSWORD", CANARY)
    .env("AWS_SECRET_ACCESS_KEY", CANARY)
    .output()
    .unwrap();
    assert!(!text(&made.stdout).contains(CANARY) && !text(&made.stderr).contains(CANARY));
    assert_unpacked_has_no(home, &json(&made), &[CANARY]);
}

fn assert_unpacked_has_no(home: &Path, made: &Value, words: &[&str]) {
    let path = home.join(made["path"].as_str().unwrap());
    let into = tempfile::tempdir().unwrap();
    atalaya_archive::extract(
        &path,
        &Identities::default(),
        into.path(),
        &|_| true,
        &|_| true,
    )
    .unwrap();
    let manifest = atalaya_archive::manifest(&path, &Identities::default()).unwrap();
    let mut all = serde_json::to_vec(&manifest).unwrap();
    let mut parts = 0;
    for part in manifest.parts {
        parts += 1;
        all.extend(std::fs::read(into.path().join(part.name)).unwrap());
    }
    assert!(parts >= 4);
    for word in words {
        assert!(
            !all.windows(word.len()).any(|part| part == word.as_bytes()),
            "{word}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_keeps_its_figures_and_two_at_once_do_not_meet() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    copied::fill(&home.join("source")).await;
    let refused = backup(home, &["drill"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("backup create"));
    let made = json(&backup(home, &["create", "--json"]));
    let drill = json(&backup(home, &["drill", "--json"]));
    assert_eq!(drill["problem"], Value::Null);
    assert_eq!(drill["records"], made["backup"]["records"]);
    assert_eq!(drill["rows"], made["backup"]["rows"]);
    let store = copied::metrics(&home.join("source")).await;
    let kept = store.drills(10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(Value::from(kept[0].rto_ms), drill["rto_ms"]);

    let run = || {
        command(
            home,
            &[
                "--data-dir",
                "source",
                "backup",
                "create",
                "--whole",
                "--no-verify",
            ],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let mut codes: Vec<Option<i32>> = [run(), run()]
        .into_iter()
        .map(|run| run.wait_with_output().unwrap().status.code())
        .collect();
    codes.sort_unstable();
    assert!(
        codes == [Some(0), Some(0)] || codes == [Some(0), Some(75)],
        "{codes:?}"
    );
    assert_eq!(
        leftovers(&home.join("source/backups")),
        Vec::<PathBuf>::new()
    );
    assert!(Duration::from_millis(kept[0].rto_ms) > Duration::ZERO);
}
