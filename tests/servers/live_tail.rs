//! `atalaya logs --follow` on a ring that several hosts write to: everything once, at once, late
//! records too.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use atalaya::domain::record::{Entry, Frame, Layer, Origin, OriginId};
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::schema::SchemaSettings;
use atalaya::store::engine::LogEngine;

use crate::keyspace::Keyspace;

const WRITERS: u64 = 4;
/// Records of one frame, and the time between two of a writer: 4 × 250 in 50 ms are 20,000 a second.
const FRAME: u64 = 250;
const EVERY: Duration = Duration::from_millis(50);
const FRAMES: u64 = 100;
/// Long enough for a busy machine; nothing waits this long unless it fails.
const LIMIT: Duration = Duration::from_secs(60);

/// The command, and its lines with the time at which each came.
struct Tail {
    child: Child,
    lines: Receiver<(String, i64)>,
}

impl Tail {
    fn start(keyspace: &Keyspace, home: &std::path::Path) -> Self {
        let logs = format!(
            "cassandra://{}/{}",
            keyspace.options.nodes.join(","),
            keyspace.name()
        );
        let config = home.join("config.toml");
        std::fs::write(&config, format!("[stores]\nlogs = '{logs}'\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command
            .arg("--config")
            .arg(&config)
            .args(["logs", "--follow", "--json"]);
        command
            .env_clear()
            .env("HOME", home)
            .current_dir(home)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if sender.send((line, Timestamp::now().micros())).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self, deadline: Instant) -> Option<(String, i64)> {
        self.lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .ok()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn origin(writer: u64) -> Arc<Origin> {
    Arc::new(Origin {
        id: OriginId::from_u128(u128::from(writer) + 1),
        layer: if writer.is_multiple_of(2) {
            Layer::Application
        } else {
            Layer::Infrastructure
        },
        source: format!("app/writer{writer}").into(),
        host: format!("host-{writer}").into(),
    })
}

/// The records of one frame: each says who wrote it, its number, and when that was. Every tenth
/// frame comes late: its records are two days old.
fn frame(origin: &Arc<Origin>, writer: u64, number: u64) -> Frame {
    let now = Timestamp::now();
    let late = number % 10 == 3;
    let at = if late {
        now.saturating_sub(Duration::from_secs(2 * 86_400))
    } else {
        now
    };
    let from = number * FRAME;
    let entries = (from..from + FRAME)
        .map(|position| Entry {
            timestamp: Timestamp::from_micros(
                at.micros() + i64::try_from(position % FRAME).unwrap(),
            ),
            position,
            message: format!("{writer} {position} {}", now.micros()).into(),
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::clone(origin),
        from,
        until: from + FRAME,
        entries,
    }
}

fn percentile(sorted: &[i64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)] as f64 / 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_all_hosts_and_late_ones_come_once_while_twenty_thousand_a_second_are_written() {
    let keyspace = Keyspace::make(&SchemaSettings::default()).await;
    let home = tempfile::tempdir().unwrap();
    // A writer before the follower: what it has written is not new.
    let early = LogEngine::new(Arc::new(keyspace.store().await));
    early.append(&[frame(&origin(99), 99, 0)]).await.unwrap();
    let tail = Tail::start(&keyspace, home.path());
    let deadline = Instant::now() + LIMIT;
    // The newest ten say that the tail has been taken hold of.
    for _ in 0..10 {
        tail.next(deadline).expect("the newest records");
    }

    let begun = Instant::now();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        // A store of its own is a process of its own to the followers.
        let engine = LogEngine::new(Arc::new(keyspace.store().await));
        writers.push(tokio::spawn(async move {
            let origin = origin(writer);
            let mut tick = tokio::time::interval(EVERY);
            for number in 0..FRAMES {
                tick.tick().await;
                engine
                    .append(&[frame(&origin, writer, number)])
                    .await
                    .unwrap();
            }
        }));
    }
    let expected = usize::try_from(WRITERS * FRAMES * FRAME).unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + LIMIT;
        let mut seen: HashMap<(u64, u64), u32> = HashMap::with_capacity(expected);
        let mut waits = Vec::with_capacity(expected);
        while seen.len() < expected {
            let Some((line, at)) = tail.next(deadline) else {
                break;
            };
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            let message = record["message"].as_str().unwrap();
            let mut words = message.split(' ').map(|word| word.parse::<u64>().unwrap());
            let mut word = || words.next().unwrap();
            let (writer, position, written) = (word(), word(), word());
            *seen.entry((writer, position)).or_default() += 1;
            waits.push(at - i64::try_from(written).unwrap());
        }
        // What came twice would come soon after.
        let quiet = Instant::now() + Duration::from_secs(2);
        let mut extra = 0;
        while tail.next(quiet).is_some() {
            extra += 1;
        }
        (seen, waits, extra)
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let rate = expected as f64 / begun.elapsed().as_secs_f64();
    let (seen, mut waits, extra) = reading.await.unwrap();
    waits.sort_unstable();
    println!(
        "{rate:.0} records/s written; from the moment before the write to the line: p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms",
        percentile(&waits, 50),
        percentile(&waits, 95),
        percentile(&waits, 99)
    );
    let missed = expected - seen.len();
    let twice = seen.values().filter(|times| **times > 1).count();
    assert_eq!(
        (missed, twice, extra),
        (0, 0, 0),
        "missed, doubled, and repeated at the end"
    );
}
