//! `atalaya logs` and `atalaya trace`: the real binary on stores filled from a file.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::store::engine::LogEngine;
use atalaya::store::metrics::DeliveryFacts as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use serde_json::Value;

use crate::decoded::{decode, format, hint};

/// An ingress controller's log: 24 lines, two of them answered with 400.
const INGRESS: &[u8] = include_bytes!("../data/ingress.log");
/// The request id that three lines of the file carry.
const REQUEST: &str = "c3a91f0e5d7b42688e14f60b9d2a7c35";
const HOSTILE: &str =
    "\x1b]52;c;Y2FsYw==\x07\x1b[2J\u{9b}31m\u{202e}gnp\u{200b}\0\tend\u{e0041} e\u{301}日本 \"\\";

fn atalaya(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(["--data-dir", "data"])
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home);
    command
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn frame(source: &str, layer: Layer, entries: Vec<Entry>) -> Frame {
    let origin = Origin {
        id: OriginId::derive(&[source.as_bytes()]),
        layer,
        source: source.into(),
        host: "web1".into(),
    };
    let until = entries
        .iter()
        .map(|entry| entry.position + 1)
        .max()
        .unwrap_or(0);
    Frame {
        origin: Arc::new(origin),
        from: 0,
        until,
        entries,
    }
}

async fn engine(home: &Path) -> LogEngine {
    let data = home.join("data");
    std::fs::create_dir_all(&data).unwrap();
    LogEngine::new(Arc::new(
        SqliteChunkStore::open(&data.join("logs.db")).await.unwrap(),
    ))
}

/// Puts frames into the stores that the binary then opens.
fn store(home: &Path, frames: &[Frame], deployments: &[Deployment]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        engine(home).await.append(frames).await.unwrap();
        let metrics = SqliteMetricsStore::open(&home.join("data/metrics.db"))
            .await
            .unwrap();
        metrics.put_deployments(deployments).await.unwrap();
    });
}

fn ingress() -> Frame {
    let decoded = decode(
        format("nginx-access"),
        INGRESS,
        hint("2020-03-01T00:00:00Z"),
    );
    assert_eq!(decoded.read(), 24);
    frame("nginx/ingress", Layer::Infrastructure, decoded.entries)
}

fn hostile() -> Frame {
    let entry = Entry {
        timestamp: Timestamp::from_seconds(1_600_000_000),
        level: Level::Critical,
        message: HOSTILE.into(),
        logger: Some(HOSTILE.into()),
        request_id: Some(RequestId::new(REQUEST)),
        user_id: Some("42".into()),
        session_id: Some(HOSTILE.into()),
        duration_ms: Some(1.25),
        traceback: Some(format!("Trace\n{HOSTILE}").into()),
        metadata: vec![
            ("name".into(), HOSTILE.into()),
            (HOSTILE.into(), "value".into()),
        ],
        ..Entry::default()
    };
    frame("app/shop", Layer::Application, vec![entry])
}

fn deployment() -> Deployment {
    Deployment {
        id: "d1".into(),
        service: "shop".into(),
        team: None,
        environment: "production".into(),
        commit: Some("abc".into()),
        started_at: Some(Timestamp::from_seconds(1_500_000_000)),
        finished_at: Timestamp::from_seconds(1_500_000_060),
        result: DeploymentResult::Failed,
        kind: DeploymentKind::Normal,
        request_id: Some(RequestId::new(REQUEST)),
        cycle_id: None,
        origin: "record".into(),
        taken_back_by: None,
        commits: None,
    }
}

#[test]
fn queries_find_what_the_file_holds() {
    let home = tempfile::tempdir().unwrap();
    store(home.path(), &[ingress()], &[]);
    let posts = INGRESS
        .split(|&byte| byte == b'\n')
        .filter(|line| contains(line, b"\"POST "))
        .count();
    assert!(posts > 0);
    for (query, expected) in [
        ("", 24),
        ("level:warning", 2),
        ("meta.status:400", 2),
        ("meta.status>=200 meta.status<300", 22),
        ("level>=warning -layer:infra", 0),
        ("source:nginx/* message:\"POST \"", posts),
        ("/^POST /", posts),
        ("since:1h", 0),
        ("until:1h", 24),
        (REQUEST, 3),
        (&format!("request_id:{REQUEST}"), 3),
    ] {
        let found = json_lines(&atalaya(home.path(), &["logs", query, "--json"]));
        assert_eq!(found.len(), expected, "{query}");
    }
    let times = |arguments: &[&str]| -> Vec<String> {
        let found = json_lines(&atalaya(home.path(), arguments));
        found
            .iter()
            .map(|record| record["timestamp"].as_str().unwrap().to_owned())
            .collect()
    };
    let newest = times(&["logs", "--json", "--limit", "5"]);
    assert!(
        newest.len() == 5 && newest.is_sorted_by(|left, right| left >= right),
        "{newest:?}"
    );
    let oldest = times(&["logs", "--json", "--oldest-first", "--limit", "0"]);
    assert!(oldest.len() == 24 && oldest.is_sorted());
    assert_eq!(oldest.last(), newest.first());
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// R31: shown, not dropped.
#[test]
fn json_gives_back_what_was_stored_and_text_shows_it_inert() {
    let home = tempfile::tempdir().unwrap();
    store(home.path(), &[hostile()], &[]);
    let found = json_lines(&atalaya(home.path(), &["logs", "level:critical", "--json"]));
    let record = found[0].as_object().unwrap();
    let keys: Vec<&str> = record.keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "timestamp",
        "layer",
        "source",
        "level",
        "logger",
        "message",
        "request_id",
        "user_id",
        "session_id",
        "duration_ms",
        "traceback",
        "host",
        "metadata",
    ];
    expected.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    for key in ["logger", "message", "session_id"] {
        assert_eq!(record[key], HOSTILE, "{key}");
    }
    assert_eq!(record["traceback"], format!("Trace\n{HOSTILE}"));
    assert_eq!(record["metadata"]["name"], HOSTILE);
    assert_eq!(record["metadata"][HOSTILE], "value");
    assert_eq!(
        (&record["user_id"], &record["duration_ms"]),
        (&Value::from(42), &Value::from(1.25))
    );
    assert_eq!(record["layer"], "application");

    for arguments in [&["logs", "level:critical"][..], &["trace", REQUEST]] {
        let shown = stdout(&atalaya(home.path(), arguments));
        let bad = shown.chars().find(|&character| {
            (character.is_control() && character != '\n')
                || matches!(character, '\u{200b}' | '\u{202e}' | '\u{e0041}')
        });
        assert_eq!(bad, None, "{shown}");
        assert!(
            shown.contains('␛') && shown.contains("⟨202E⟩") && shown.contains("日本"),
            "{shown}"
        );
    }
}

#[test]
fn a_trace_joins_both_layers_and_the_deployment() {
    let home = tempfile::tempdir().unwrap();
    store(home.path(), &[ingress(), hostile()], &[deployment()]);
    let rows = json_lines(&atalaya(home.path(), &["trace", REQUEST, "--json"]));
    let sources: Vec<&str> = rows
        .iter()
        .map(|row| row["source"].as_str().unwrap())
        .collect();
    let nginx = ["nginx/ingress"; 3];
    assert_eq!(
        sources,
        [&["deployment", "deployment"][..], &nginx, &["app/shop"]].concat()
    );
    assert!(rows.iter().all(|row| row["request_id"] == REQUEST));
    assert_eq!(
        rows[1]["message"],
        "deployment of shop to production: failed"
    );
    assert_eq!(rows[1]["metadata"]["commit"], "abc");

    let shown = stdout(&atalaya(home.path(), &["trace", REQUEST, "--utc"]));
    assert!(
        shown.starts_with(&format!("{REQUEST}: 6 events in ")),
        "{shown}"
    );
    assert!(
        shown.contains("worst CRITICAL") && shown.contains("── "),
        "{shown}"
    );

    let unknown = atalaya(home.path(), &["trace", "no-such"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("nothing carries the request id no-such")
    );
}

#[test]
fn a_wrong_query_is_drawn_and_nothing_found_is_explained() {
    let home = tempfile::tempdir().unwrap();
    store(home.path(), &[ingress()], &[]);
    let wrong = atalaya(home.path(), &["logs", "GET levle:error"]);
    assert_eq!(wrong.status.code(), Some(2));
    let message = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        message.contains("\n  GET levle:error\n      ^^^^^\n"),
        "{message}"
    );
    assert!(message.contains("did you mean `level`?"), "{message}");

    let nothing = atalaya(home.path(), &["logs", "absent"]);
    assert!(nothing.status.success() && nothing.stdout.is_empty());
    let message = String::from_utf8(nothing.stderr).unwrap();
    assert!(
        message.contains("no record matches: scanned ") && message.contains("matched 0"),
        "{message}"
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let home = tempfile::tempdir().unwrap();
    let entries = (0..20_000_u64)
        .map(|position| Entry {
            timestamp: Timestamp::from_seconds(1_600_000_000 + position.cast_signed()),
            position,
            message: format!("line {position} {}", "x".repeat(100)).into(),
            ..Entry::default()
        })
        .collect();
    store(
        home.path(),
        &[frame("app/a", Layer::Application, entries)],
        &[],
    );
    let mut child = command(home.path(), &["logs", "--limit", "0", "--oldest-first"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.contains("line 0 "), "{first}");
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert!(
        child.wait().unwrap().success() && errors.is_empty(),
        "{errors}"
    );
}

#[test]
fn follow_prints_what_arrives_once() {
    let home = tempfile::tempdir().unwrap();
    let entry = |position: u64| Entry {
        timestamp: Timestamp::from_seconds(1_600_000_000 + position.cast_signed()),
        position,
        message: format!("event {position}").into(),
        ..Entry::default()
    };
    let part = |from: u64, until: u64| Frame {
        from,
        until,
        ..frame(
            "app/a",
            Layer::Application,
            (from..until).map(entry).collect(),
        )
    };
    store(home.path(), &[part(0, 3)], &[]);
    let mut child = command(home.path(), &["logs", "event", "--follow", "--limit", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || lines.for_each(|line| _ = sender.send(line.unwrap())));
    let next = || receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(next().ends_with("event 1"));
    assert!(next().ends_with("event 2"));
    store(home.path(), &[part(3, 6)], &[]);
    for number in 3..6 {
        assert!(next().ends_with(&format!("event {number}")));
    }
    let child_id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(child_id, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    assert!(receiver.try_recv().is_err(), "nothing is printed twice");
}
