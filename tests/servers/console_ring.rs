//! The console on a ring that goes away and comes back: what was on the screen stays, the banner
//! says why and since when, and the list goes on where it was.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::domain::record::{Entry, Frame, Layer, Origin, OriginId};
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions};
use atalaya::store::engine::LogEngine;
use xtask::services::cluster::Cluster;

use crate::pty::{Pty, console};

/// What the machine of a test says where its stores are.
fn configure(home: &Path, logs: &str) {
    let config = home.join(".config/atalaya/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(
        &config,
        format!("[ingest]\ndiscover = false\n\n[stores]\nlogs = '{logs}'\n"),
    )
    .unwrap();
}

fn atalaya(home: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home);
    command.output().unwrap()
}

/// Records `number <n>`, a second apart, the last one now.
fn frame(numbers: std::ops::RangeInclusive<u64>) -> Frame {
    let origin = Origin {
        id: OriginId::from_u128(7),
        layer: Layer::Application,
        source: "app/shop".into(),
        host: "web-9".into(),
    };
    let (from, last) = (*numbers.start(), *numbers.end());
    let now = Timestamp::now().micros();
    let entries = numbers
        .map(|number| Entry {
            timestamp: Timestamp::from_micros(
                now - i64::try_from(last - number).unwrap() * 1_000_000,
            ),
            position: number,
            message: format!("number {number:03} <").into(),
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(origin),
        from,
        until: last + 1,
        entries,
    }
}

async fn write(address: &str, numbers: std::ops::RangeInclusive<u64>) {
    let options = CassandraOptions::new([address], "logging");
    let engine = LogEngine::new(Arc::new(
        CassandraLogStore::connect(&options).await.unwrap(),
    ));
    engine.append(&[frame(numbers)]).await.unwrap();
}

/// The screen's words with one blank between them, so that a sentence may go over the end of a row.
fn words(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn each_once(screen: &str, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let times = screen.matches(&format!("number {number:03} <")).count();
        assert_eq!(
            times, 1,
            "number {number} is there {times} times:\n{screen}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_outlives_its_ring_and_goes_on_where_it_was() {
    let ring = Cluster::builder().start().unwrap();
    let address = ring.addresses()[0].to_string();
    let home = tempfile::tempdir().unwrap();
    configure(home.path(), &format!("cassandra://{address}/logging"));
    let made = atalaya(home.path(), &["db", "init"]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    write(&address, 1..=5).await;

    let mut terminal = Pty::start(console(home.path()), 24, 80);
    terminal.wait_for_text("number 005 <");
    terminal.wait_for_text("following");
    // The tail is live before the ring dies.
    write(&address, 6..=8).await;
    terminal.wait_for_text("number 008 <");
    each_once(&terminal.text(), 1..=8);

    ring.kill(0);
    terminal.wait_for_text(&format!(
        "Cassandra is unreachable at {address}/logging, since"
    ));
    // The last row of a frame: the others are there then.
    terminal.wait_for_text("follows when the store answers");
    let away = terminal.text();
    // The banner may take two rows.
    assert!(words(&away).contains("; trying again ("), "{away}");
    each_once(&away, 1..=8);
    assert!(!away.contains("● following"), "{away}");
    // A key is answered while the ring is away: nothing blocks.
    terminal.send("3");
    terminal.wait_for_text("Ring ");
    terminal.wait_for_text("0 of 1 nodes up");
    let health = atalaya(home.path(), &["health"]);
    assert_eq!(
        health.status.code(),
        Some(2),
        "failing: {}",
        String::from_utf8_lossy(&health.stdout)
    );
    assert!(String::from_utf8_lossy(&health.stdout).contains("is unreachable at"));
    terminal.send("2");
    terminal.wait_for_text("number 008 <");

    ring.restart(0).unwrap();
    write(&address, 9..=10).await;
    terminal.wait_for_text("number 010 <");
    terminal.wait_until_gone("unreachable");
    terminal.wait_for_text("● following");
    each_once(&terminal.text(), 1..=10);
    terminal.send("3");
    terminal.wait_for_text("1 of 1 nodes up");
    terminal.send("q");
    assert!(terminal.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_opens_before_its_ring_finds_it() {
    let ring = Cluster::builder().start().unwrap();
    let address = ring.addresses()[0].to_string();
    let home = tempfile::tempdir().unwrap();
    configure(home.path(), &format!("cassandra://{address}/logging"));
    ring.kill(0);
    let mut terminal = Pty::start(console(home.path()), 24, 80);
    terminal.wait_for_text("is unreachable at");
    ring.restart(0).unwrap();
    // There is a ring and no keyspace: that is said with what to do, and found when it was done.
    terminal.wait("the remedy", |screen| {
        words(&screen.contents()).contains("atalaya db init")
    });
    terminal.send("3");
    terminal.wait("the remedy on Infra", |screen| {
        words(&screen.contents()).contains("atalaya db init")
    });
    let health = atalaya(home.path(), &["health"]);
    let said = String::from_utf8_lossy(&health.stdout);
    assert!(
        said.contains("run `atalaya db init`") && !said.contains("unreachable"),
        "{said}"
    );
    assert_eq!(health.status.code(), Some(2), "{said}");
    terminal.send("2");
    assert!(atalaya(home.path(), &["db", "init"]).status.success());
    terminal.wait_for_text("No records yet.");
    write(&address, 1..=3).await;
    terminal.wait_for_text("number 003 <");
    each_once(&terminal.text(), 1..=3);
    terminal.send("q");
    assert!(terminal.ended().success());
}

/// Two of three die while the console reads and writes: both say so long before anything that was
/// asked of the ring is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quorum_is_said_within_seconds_to_readers_and_by_the_writer() {
    let ring = Cluster::builder().nodes(3).start().unwrap();
    let address = ring.addresses()[0].to_string();
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("x.log");
    std::fs::write(&log, "the first line\n").unwrap();
    configure(home.path(), &format!("cassandra://{address}/logging"));
    let config = home.path().join(".config/atalaya/config.toml");
    let files = format!(
        "\n[[ingest.files]]\npath = '{}'\nformat = 'plain'\n",
        log.display()
    );
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str(&files);
    std::fs::write(&config, text).unwrap();
    let made = atalaya(home.path(), &["db", "init", "--replication-factor", "3"]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut terminal = Pty::start(console(home.path()), 24, 120);
    terminal.wait_for_text("the first line");
    terminal.wait_for_text("● following");

    ring.kill(1);
    ring.kill(2);
    let killed = Instant::now();
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    writeln!(file, "a line that waits").unwrap();
    terminal.wait_for_text("trying again");
    let readers = killed.elapsed();
    terminal.wait_for_text("follows when the store answers");
    let banner = terminal.text();
    terminal.send("3");
    terminal.wait_for_text("spooling since");
    let writer = killed.elapsed();
    println!(
        "two of three killed: the banner after {readers:?}, the spool's line after {writer:?}\n{banner}"
    );
    println!("{}", terminal.text());
    assert!(
        banner.contains(&format!("at {address}/logging")),
        "{banner}"
    );
    assert!(
        banner.contains("the first line"),
        "what was there stays: {banner}"
    );
    // Three seconds, and what the machine of a test may be late.
    assert!(
        readers < Duration::from_secs(6) && writer < Duration::from_secs(8),
        "{readers:?} {writer:?}"
    );

    ring.restart(1).unwrap();
    ring.launch(2).unwrap();
    terminal.send("2");
    terminal.wait_for_text("a line that waits");
    terminal.wait_until_gone("trying again");
    terminal.wait_for_text("● following");
    terminal.send("3");
    terminal.wait_until_gone("spooling since");
    terminal.send("q");
    assert!(terminal.ended().success());
}
