//! `atalaya quarantine` and what else says that records are set aside, with the real program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use atalaya::domain::record::{Entry, Layer, Level, Origin, OriginId, Record};
use atalaya::domain::time::Timestamp;
use atalaya::ingest::spool::quarantine::Folder;
use atalaya::store::quarantine::Quarantine as _;
use serde_json::Value;

fn atalaya(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("TZ", "UTC")
        .args(["--data-dir", "data"])
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record(position: u64, message: &str) -> Record {
    let origin = Origin {
        id: OriginId::from_u128(0xab),
        layer: Layer::Application,
        source: "app/shop".into(),
        host: "web1".into(),
    };
    let entry = Entry {
        position,
        timestamp: Timestamp::now(),
        level: Level::Error,
        message: message.into(),
        ..Entry::default()
    };
    Record {
        origin: Arc::new(origin),
        entry,
    }
}

fn set_aside(home: &Path, record: &Record) {
    let folder = Folder::new(
        home.join("data/ingest/spool/quarantine"),
        Folder::MOST_BYTES,
    );
    folder
        .keep(record, "invalid: the value\nis too large")
        .unwrap();
}

fn listed(home: &Path) -> Vec<Value> {
    let output = atalaya(home, &["quarantine", "list", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stored(home: &Path) -> Vec<String> {
    let output = atalaya(
        home,
        &["logs", "--json", "--limit", "100", "source:app/shop"],
    );
    let lines = text(&output.stdout);
    let mut messages: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["message"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    messages.sort_unstable();
    messages
}

/// R19: a record that cannot be stored.
#[test]
fn what_is_set_aside_is_listed_shown_counted_and_sent_again_once() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(listed(home), Vec::<Value>::new());
    let (one, two) = (record(7, "bad \u{1b}[2J one"), record(9, "bad two"));
    set_aside(home, &one);
    set_aside(home, &one);
    set_aside(home, &two);

    let all = listed(home);
    let ids: Vec<&str> = all
        .iter()
        .map(|kept| kept["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [one.id().to_string(), two.id().to_string()],
        "each once, oldest first"
    );
    assert_eq!(all[0]["reason"], "invalid: the value is too large");
    assert_eq!(all[0]["origin"]["source"], "app/shop");
    let health = atalaya(home, &["health"]);
    assert!(
        text(&health.stdout).contains("2 records are set aside"),
        "{}",
        text(&health.stdout)
    );
    assert_ne!(health.status.code(), Some(0));

    let shown = text(&atalaya(home, &["quarantine", "show", ids[0]]).stdout);
    assert!(
        shown.contains("bad \u{241b}[2J one") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let unknown = atalaya(home, &["quarantine", "retry", ids[0], "nothing-like-it"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
    assert_eq!(
        atalaya(home, &["quarantine", "retry"]).status.code(),
        Some(2),
        "neither ids nor --all"
    );
    assert_eq!(listed(home).len(), 2, "nothing was sent");

    let retried = atalaya(home, &["quarantine", "retry", ids[0]]);
    assert!(retried.status.success(), "{}", text(&retried.stderr));
    assert_eq!(
        text(&retried.stdout),
        "1 records stored, 0 stay in the quarantine\n"
    );
    assert_eq!(
        (listed(home).len(), stored(home)),
        (1, vec!["bad \u{1b}[2J one".to_owned()])
    );

    set_aside(home, &one);
    let retried = atalaya(home, &["quarantine", "retry", "--all"]);
    assert!(retried.status.success(), "{}", text(&retried.stderr));
    assert_eq!(listed(home).len(), 0);
    assert_eq!(
        stored(home),
        ["bad \u{1b}[2J one", "bad two"],
        "twice is once"
    );
}

#[test]
fn what_cannot_be_read_back_stays_and_is_said() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    set_aside(home, &record(7, "bad"));
    let folder = home.join("data/ingest/spool/quarantine");
    let group = folder.join(format!("{}.group", record(7, "").id()));
    let bytes = std::fs::read(&group).unwrap();
    std::fs::write(&group, &bytes[..bytes.len() - 3]).unwrap();
    let output = atalaya(home, &["quarantine", "retry", "--all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("is damaged"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(listed(home).len(), 1);
}

/// Only the packed copy of what was read before: nothing to do is no failure.
#[test]
fn a_copy_of_what_is_stored_is_said_to_be_stored() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let lines: String = (0..100)
        .map(|number| format!("2026-11-22T10:00:00Z INFO line {number}\n"))
        .collect();
    std::fs::write(home.join("app.log"), &lines).unwrap();
    let args = ["ingest", "--source", "app/shop"];
    assert!(
        atalaya(home, &[&args[..], &["app.log"]].concat())
            .status
            .success()
    );
    let packed = std::fs::File::create(home.join("app.log.gz")).unwrap();
    let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
    packer.write_all(lines.as_bytes()).unwrap();
    packer.finish().unwrap();
    let output = atalaya(home, &[&args[..], &["app.log.gz"]].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(
        text(&output.stderr).contains("all of it is stored already"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(stored(home).len(), 100);
}
