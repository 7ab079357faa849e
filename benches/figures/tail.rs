//! The live tail of a Cassandra node: several processes write together, `atalaya logs --follow`
//! reads, and each record is timed from its creation and from the acknowledgement of its write.
//!
//! `cargo bench --bench figures -- ring-tail [SECONDS] [RECORDS A SECOND]`
//!
//! The writers are this program itself, with arguments that are not for people: each gives to the
//! store what came up while its last write was under way, as the spool does.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::schema::{self, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::engine::LogEngine;
use serde::{Deserialize, Serialize};
use xtask::services::cluster::Cluster;

use crate::cassandra::cpu_seconds;

const KEYSPACE: &str = "tail";
const SECONDS: u64 = 30;
const RATE: u64 = 20_000;
const WRITERS: u64 = 4;
/// A frame of a writer is closed so often.
const EVERY: Duration = Duration::from_millis(50);
/// Each tenth frame comes late.
const LATE_OF: u64 = 10;
const LATE: Duration = Duration::from_secs(5 * 60);
const WRITER: &str = "writer";
/// Without a line for so long the follower has nothing more.
const SILENCE: Duration = Duration::from_secs(20);
/// What came twice would come within this.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// Frames of one write, at most.
const MOST_FRAMES: u64 = 16;
/// Before the message in a line of the follower.
const MESSAGE: &str = "\"message\":\"";

pub fn run(arguments: &[String]) {
    if arguments.first().is_some_and(|first| first == WRITER) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(write(&serde_json::from_str(&arguments[1]).unwrap()));
    }
    let number = |index: usize, default: u64| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (seconds, rate) = (number(0, SECONDS), number(1, RATE));
    let ring = Cluster::builder().full_size().start().unwrap();
    let node = ring.addresses()[0].to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = CassandraOptions::new([&node], KEYSPACE);
        schema::init(
            &connect(&options).await.unwrap(),
            &options,
            &SchemaSettings::default(),
        )
        .await
        .unwrap();
        // A record that the follower shows when it has taken hold of the tail.
        let store = CassandraLogStore::connect(&options).await.unwrap();
        let first = Work {
            node: node.clone(),
            writer: u64::MAX,
            seconds: 1,
            rate: RATE,
        };
        LogEngine::new(Arc::new(store))
            .append(&[first.frame(0, Timestamp::now())])
            .await
            .unwrap();
    });
    let work = Work {
        node,
        writer: 0,
        seconds: seconds.div_ceil(3),
        rate,
    };
    let server = ring.process_id(0).unwrap();
    println!(
        "{WRITERS} processes write, each tenth frame {} minutes late",
        LATE.as_secs() / 60
    );
    // The server's own compiler has to warm up before anything is counted.
    measure(
        &Work {
            writer: 1_000,
            ..work.clone()
        },
        server,
    );
    measure(&Work { seconds, ..work }, server).print();
}

/// What one process writes; of the first one, for all.
#[derive(Clone, Serialize, Deserialize)]
struct Work {
    node: String,
    writer: u64,
    seconds: u64,
    /// Of all writers together.
    rate: u64,
}

/// What a writer says at its end.
#[derive(Serialize, Deserialize)]
struct Written {
    writer: u64,
    /// How many records, and from its first to its last frame.
    records: u64,
    seconds: f64,
    /// First position behind a write, and when that was acknowledged, in microseconds.
    acknowledged: Vec<(u64, i64)>,
    cpu_seconds: f64,
}

struct Measured {
    records: u64,
    seconds: f64,
    from_creation: Vec<i64>,
    from_acknowledgement: Vec<i64>,
    late: Vec<i64>,
    cpu: [(&'static str, f64); 3],
}

fn measure(work: &Work, server: u32) -> Measured {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut follower = Follower::start(&work.node, home.path());
    let server_before = cpu_seconds(server);
    let writers: Vec<Child> = (0..WRITERS)
        .map(|index| {
            let own = Work {
                writer: work.writer + index,
                ..work.clone()
            };
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["ring-tail", WRITER, &serde_json::to_string(&own).unwrap()]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let written: Vec<Written> = writers
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "a writer failed");
            serde_json::from_slice(&output.stdout).unwrap()
        })
        .collect();
    let records = written.iter().map(|written| written.records).sum();
    let arrived = follower.finish(records);
    let server_seconds = cpu_seconds(server) - server_before;

    let mut seen: HashMap<(u64, u64), u32> = HashMap::with_capacity(arrived.len());
    let mut measured = Measured {
        records,
        seconds: written
            .iter()
            .map(|written| written.seconds)
            .fold(0.0, f64::max),
        from_creation: Vec::new(),
        from_acknowledgement: Vec::new(),
        late: Vec::new(),
        cpu: [
            (
                "writers",
                written.iter().map(|written| written.cpu_seconds).sum(),
            ),
            ("follower", follower.cpu_seconds),
            ("server", server_seconds),
        ],
    };
    let writers: HashMap<u64, Written> = written
        .into_iter()
        .map(|written| (written.writer, written))
        .collect();
    for arrival in arrived {
        *seen.entry((arrival.writer, arrival.position)).or_default() += 1;
        let writes = &writers[&arrival.writer].acknowledged;
        let write = writes.partition_point(|(until, _)| *until <= arrival.position);
        let after_creation = arrival.at - arrival.created;
        measured.from_creation.push(after_creation);
        measured
            .from_acknowledgement
            .push(arrival.at - writes[write].1);
        if arrival.is_late {
            measured.late.push(after_creation);
        }
    }
    let missed = records - seen.len() as u64;
    let twice = seen.values().filter(|times| **times > 1).count();
    assert_eq!((missed, twice), (0, 0), "missed, and shown twice");
    measured
}

impl Measured {
    fn print(mut self) {
        println!(
            "{} records in {:.1} s: {:.0} records/s; all arrived, each once",
            self.records,
            self.seconds,
            self.records as f64 / self.seconds
        );
        println!(
            "{:<44} {:>8} {:>8} {:>8} {:>8}",
            "to the line of the follower, ms", "p50", "p95", "p99", "max"
        );
        for (name, times) in [
            ("from the record's creation", &mut self.from_creation),
            ("  of those that come late", &mut self.late),
            (
                "from the acknowledgement of its write",
                &mut self.from_acknowledgement,
            ),
        ] {
            times.sort_unstable();
            let rank = |percent: usize| {
                let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
                times
                    .get(index)
                    .map_or(f64::NAN, |micros| *micros as f64 / 1e3)
            };
            println!(
                "{name:<44} {:>8.0} {:>8.0} {:>8.0} {:>8.0}",
                rank(50),
                rank(95),
                rank(99),
                rank(100)
            );
        }
        let all: Vec<String> = self
            .cpu
            .iter()
            .map(|(name, seconds)| format!("{name} {seconds:.1} CPU s"))
            .collect();
        println!("{}", all.join(", "));
    }
}

/// A line of the follower.
struct Arrival {
    writer: u64,
    position: u64,
    created: i64,
    is_late: bool,
    at: i64,
}

/// The real command.
struct Follower {
    child: Child,
    count: Arc<AtomicU64>,
    reading: Option<std::thread::JoinHandle<Vec<Arrival>>>,
    cpu_seconds: f64,
}

impl Follower {
    /// Returns when it follows: what is written from now on is new to it.
    fn start(node: &str, home: &Path) -> Self {
        let config = home.join("config.toml");
        std::fs::write(
            &config,
            format!("[stores]\nlogs = 'cassandra://{node}/{KEYSPACE}'\n"),
        )
        .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
        command
            .arg("--config")
            .arg(&config)
            .args(["logs", "--follow", "--json", "--limit", "1"]);
        command
            .env_clear()
            .env("HOME", home)
            .current_dir(home)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        let mut newest = String::new();
        output.read_line(&mut newest).unwrap();
        assert!(newest.contains(MESSAGE), "{newest}");
        let count = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&count);
        let reading = std::thread::spawn(move || read(output, &counting));
        Self {
            child,
            count,
            reading: Some(reading),
            cpu_seconds: 0.0,
        }
    }

    /// Waits until `expected` have come, and a little longer.
    fn finish(&mut self, expected: u64) -> Vec<Arrival> {
        let mut last = (0, Instant::now());
        while last.0 < expected && last.1.elapsed() < SILENCE {
            std::thread::sleep(Duration::from_millis(50));
            let count = self.count.load(Ordering::Relaxed);
            if count != last.0 {
                last = (count, Instant::now());
            }
        }
        std::thread::sleep(AFTERWARDS);
        self.cpu_seconds = cpu_seconds(self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reading.take().unwrap().join().unwrap()
    }
}

fn read(mut output: BufReader<ChildStdout>, counting: &AtomicU64) -> Vec<Arrival> {
    let mut arrived = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        let at = Timestamp::now().micros();
        let (_, message) = line.split_once(MESSAGE).unwrap();
        let mut words = message.split(' ');
        let mut word = || words.next().unwrap();
        arrived.push(Arrival {
            writer: word().parse().unwrap(),
            position: word().parse().unwrap(),
            created: word().parse().unwrap(),
            is_late: word() == "late",
            at,
        });
        counting.fetch_add(1, Ordering::Relaxed);
        line.clear();
    }
    arrived
}

/// One writing process.
async fn write(work: &Work) {
    let options = CassandraOptions::new([&work.node], KEYSPACE);
    let engine = LogEngine::new(Arc::new(
        CassandraLogStore::connect(&options).await.unwrap(),
    ));
    let frames = work.seconds * 1_000 / EVERY.as_millis() as u64;
    let (begun, begun_at) = (Instant::now(), Timestamp::now());
    let mut tick = tokio::time::interval(EVERY);
    let mut acknowledged = Vec::new();
    let mut done = 0;
    while done < frames {
        tick.tick().await;
        // Records are made when it is time for them, however long writes take.
        let due = begun.elapsed().as_millis() as u64 / EVERY.as_millis() as u64;
        let until = due.min(frames).min(done + MOST_FRAMES);
        if until == done {
            continue;
        }
        let group: Vec<Frame> = (done..until)
            .map(|number| work.frame(number, begun_at.saturating_add(EVERY * number as u32)))
            .collect();
        engine.append(&group).await.unwrap();
        done = until;
        acknowledged.push((done * work.of_frame(), Timestamp::now().micros()));
    }
    let written = Written {
        writer: work.writer,
        records: frames * work.of_frame(),
        seconds: begun.elapsed().as_secs_f64(),
        acknowledged,
        cpu_seconds: cpu_seconds(std::process::id()),
    };
    let line = serde_json::to_string(&written).unwrap();
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

impl Work {
    fn of_frame(&self) -> u64 {
        self.rate * EVERY.as_millis() as u64 / 1_000 / WRITERS
    }

    /// The records that come up in the time of one frame, from `begin` on.
    fn frame(&self, number: u64, begin: Timestamp) -> Frame {
        let is_late = number % LATE_OF == 3;
        let of_frame = self.of_frame();
        let from = number * of_frame;
        let entries = (0..of_frame).map(|index| {
            let position = from + index;
            let created = begin.saturating_add(EVERY.mul_f64(index as f64 / of_frame as f64));
            let timestamp = if is_late { created.saturating_sub(LATE) } else { created };
            Entry {
                timestamp,
                position,
                level: if position.is_multiple_of(50) { Level::Error } else { Level::Info },
                logger: Some("shop.orders.service".into()),
                message: format!(
                    "{} {position} {} {} GET /api/v1/orders/{} answered with 200 after checking stock and price",
                    self.writer,
                    created.micros(),
                    if is_late { "late" } else { "in time" },
                    position.wrapping_mul(7_919) % 1_000_000
                )
                .into(),
                request_id: Some(RequestId::new(format!("{:08x}-{:016x}", self.writer, position / 10))),
                user_id: Some(format!("{}", position % 100_000).into()),
                duration_ms: Some((position % 100_000) as f64 / 100.0),
                metadata: vec![
                    ("method".into(), "GET".into()),
                    ("status".into(), "200".into()),
                    ("region".into(), "eu-central-1".into()),
                ],
                ..Entry::default()
            }
        });
        Frame {
            entries: entries.collect(),
            origin: Arc::new(Origin {
                id: OriginId::from_u128(u128::from(self.writer) + 1),
                layer: if self.writer.is_multiple_of(2) {
                    Layer::Application
                } else {
                    Layer::Infrastructure
                },
                source: format!("app/writer{}", self.writer).into(),
                host: format!("host-{}", self.writer).into(),
            }),
            from,
            until: from + of_frame,
        }
    }
}
