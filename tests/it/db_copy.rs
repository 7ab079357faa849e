//! `atalaya db copy` between embedded stores: whole, twice, killed, into other partitions, and
//! where the destination loses something.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::copied::{self, atalaya, command, done, text};

const COPY: [&str; 8] = [
    "--data-dir",
    "source",
    "db",
    "copy",
    "--from",
    "embedded",
    "--to",
    "sqlite:destination",
];

async fn source(home: &Path) {
    copied::fill(&home.join("source")).await;
}

async fn assert_copied(home: &Path) {
    let (from, to) = (home.join("source"), home.join("destination"));
    copied::assert_same_logs(&copied::logs(&from).await, &copied::logs(&to).await).await;
    copied::assert_same_metrics(&copied::metrics(&from).await, &copied::metrics(&to).await).await;
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

#[tokio::test]
async fn everything_is_copied_and_copying_again_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    source(home.path()).await;
    let told = done(&atalaya(home.path(), &COPY));
    assert_eq!(told.matches(" equal: ").count(), 9, "{told}");
    assert_copied(home.path()).await;

    let again: Value = serde_json::from_str(&done(&atalaya(
        home.path(),
        &[&COPY[..], &["--json"]].concat(),
    )))
    .unwrap();
    assert_eq!(again["equal"], true);
    assert_eq!(again["logs"]["resumed"], false);
    assert_eq!(again["logs"]["records_from"], again["logs"]["records_to"]);
    for table in again["metrics"].as_array().unwrap() {
        assert_eq!(
            (&table["written"]["inserted"], &table["written"]["updated"]),
            (&0.into(), &0.into())
        );
    }
    assert_copied(home.path()).await;
    let left = std::fs::read_dir(home.path().join("source/copies"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "a copy that came to its end leaves nothing behind");

    // Everything the commands say is the same on both sides.
    let said = |folder, arguments: &[&str]| {
        done(&atalaya(
            home.path(),
            &[&["--data-dir", folder], arguments].concat(),
        ))
    };
    for arguments in [
        &["trace", copied::REQUEST, "--json"][..],
        &["logs", "level>=warning", "--limit", "0", "--json"],
        &["pdca", "list", "--json"],
    ] {
        assert_eq!(
            said("destination", arguments),
            said("source", arguments),
            "{arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_is_finished_by_the_next_run() {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    source(home.path()).await;
    let mut killed = 0;
    for _ in 0..12 {
        let mut run = command(home.path(), &COPY)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment of the kill is what is random here, not what is waited for.
        std::thread::sleep(Duration::from_millis(random.random_range(20..900)));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
    }
    assert!(killed >= 6, "most runs ended before they were killed");
    done(&atalaya(home.path(), &COPY));
    assert_copied(home.path()).await;
}

#[tokio::test]
async fn a_stopped_copy_says_so_and_goes_on_there() {
    let home = tempfile::tempdir().unwrap();
    source(home.path()).await;
    // A destination that refuses something in the middle.
    let destination = home.path().join("destination");
    SqliteChunkStore::open(&destination.join("logs.db"))
        .await
        .unwrap()
        .close()
        .await;
    sql(
        &destination.join("logs.db"),
        "CREATE TRIGGER refuse BEFORE INSERT ON chunks WHEN (SELECT count(*) FROM chunks) > 1000
         BEGIN SELECT RAISE(ABORT, 'enough'); END",
    )
    .await;
    let stopped = atalaya(home.path(), &[&COPY[..], &["--logs"]].concat());
    assert_eq!(stopped.status.code(), Some(1));
    let told = text(&stopped.stderr);
    assert!(
        told.contains("cannot write to") && told.contains("enough"),
        "{told}"
    );
    sql(&destination.join("logs.db"), "DROP TRIGGER refuse").await;
    let resumed: Value = serde_json::from_str(&done(&atalaya(
        home.path(),
        &[&COPY[..], &["--json"]].concat(),
    )))
    .unwrap();
    assert_eq!(resumed["logs"]["resumed"], true);
    assert_copied(home.path()).await;
}

#[tokio::test]
async fn partitions_of_another_width_get_chunks_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    source(home.path()).await;
    for (name, minutes) in [("wider", 60), ("narrower", 1)] {
        let folder = home.path().join(name);
        SqliteChunkStore::open(&folder.join("logs.db"))
            .await
            .unwrap()
            .close()
            .await;
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(folder.join("logs.db"))
            .connect()
            .await
            .unwrap();
        sqlx::query("UPDATE settings SET value = ?1 WHERE name = 'bucket_minutes'")
            .bind(minutes)
            .execute(&mut connection)
            .await
            .unwrap();
        let place = format!("sqlite:{name}");
        // Twice: cutting anew gives the same chunks.
        for _ in 0..2 {
            let arguments = [
                "--data-dir",
                "source",
                "db",
                "copy",
                "--from",
                "embedded",
                "--to",
                &place,
                "--logs",
            ];
            done(&atalaya(home.path(), &arguments));
        }
        let (from, to) = (home.path().join("source"), folder);
        copied::assert_same_logs(&copied::logs(&from).await, &copied::logs(&to).await).await;
    }
}

#[tokio::test]
async fn what_the_destination_lost_is_found() {
    let home = tempfile::tempdir().unwrap();
    source(home.path()).await;
    done(&atalaya(home.path(), &COPY));
    let destination = home.path().join("destination");
    std::fs::remove_file(destination.join("logs.db")).unwrap();
    SqliteChunkStore::open(&destination.join("logs.db"))
        .await
        .unwrap()
        .close()
        .await;
    sql(
        &destination.join("logs.db"),
        "CREATE TRIGGER lose AFTER INSERT ON chunks WHEN new.arrival = 100
         BEGIN DELETE FROM chunks WHERE arrival = 100; END",
    )
    .await;
    sql(
        &destination.join("metrics.db"),
        "CREATE TRIGGER alter_one AFTER UPDATE ON incidents WHEN new.title <> 'altered'
         BEGIN UPDATE incidents SET title = 'altered' WHERE id = new.id; END;
         UPDATE incidents SET title = 'x' WHERE id = (SELECT min(id) FROM incidents)",
    )
    .await;
    let found = atalaya(home.path(), &COPY);
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stderr));
    let told = text(&found.stdout);
    assert!(told.contains("logs     DIFFERENT"), "{told}");
    assert!(told.contains("1 chunks are missing, for example"), "{told}");
    assert!(told.contains("metrics  DIFFERENT: incidents"), "{told}");
    sql(&destination.join("logs.db"), "DROP TRIGGER lose").await;
    sql(&destination.join("metrics.db"), "DROP TRIGGER alter_one").await;
    done(&atalaya(home.path(), &COPY));
    assert_copied(home.path()).await;
}

#[test]
fn what_cannot_be_copied_is_refused_with_two() {
    let home = tempfile::tempdir().unwrap();
    done(&atalaya(
        home.path(),
        &["--data-dir", "here", "demo", "--fill", "here"],
    ));
    let cases: [(&[&str], &str); 9] = [
        (
            &["--from", "embedded", "--to", "embedded"],
            "both places are the same store",
        ),
        (
            &["--from", "embedded", "--to", "configured", "--logs"],
            "both places are the same store of logs",
        ),
        (&["--from", "embedded", "--to", "sqlite:"], "a place is"),
        (&["--from", "nonsense", "--to", "embedded"], "a place is"),
        (
            &[
                "--from",
                "cassandra://a/logging",
                "--to",
                "mysql://me@a/atalaya",
            ],
            "do not hold the same",
        ),
        (
            &[
                "--from",
                "embedded",
                "--to",
                "mysql://me@a/atalaya",
                "--logs",
            ],
            "do not hold the same",
        ),
        (
            &["--from", "sqlite:nowhere", "--to", "embedded"],
            "there is nothing to copy from",
        ),
        (
            &[
                "--from",
                "embedded",
                "--to",
                "mysql://me:canary-5@a/atalaya",
            ],
            "ATALAYA_MYSQL_PASSWORD",
        ),
        (
            &["--from", "embedded", "--to", "cassandra://a/"],
            "names no keyspace",
        ),
    ];
    for (places, expected) in cases {
        let refused = atalaya(
            home.path(),
            &[&["--data-dir", "here", "db", "copy"], places].concat(),
        );
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{places:?}: {told}");
        assert!(told.contains(expected), "{places:?}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
    assert!(
        !home.path().join("nowhere").exists(),
        "a source is not made by looking for it"
    );
}
