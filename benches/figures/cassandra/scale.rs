//! From a file to one node and to three, in the same run: records/s, what limits them, and how soon
//! the rate is back after a node's death.
//!
//! `cargo bench --bench figures -- ring-scale [LINES]`

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use xtask::services::cluster::Cluster;

use super::ours::{Own, Place, Write, measure};
use super::{SETTLE, input};

const LINES: u64 = 500_000;
const NODES: usize = 3;
/// The file whose writing the death falls into lasts about so long at the rate that was measured.
const DEATH_RUN: Duration = Duration::from_secs(40);
/// When the node is killed.
const KILLED_AFTER: Duration = Duration::from_secs(12);
/// The rate is that of the last so long.
const WINDOW: Duration = Duration::from_secs(2);
/// This part of the rate before is taken for the rate.
const BACK: f64 = 0.9;

pub fn run(arguments: &[String]) {
    let lines = arguments
        .first()
        .map_or(LINES, |text| text.parse().unwrap());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures-scale");
    let _ = fs::remove_dir_all(&folder); // of an earlier run that was interrupted
    fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();

    println!(
        "{lines} JSON lines, request index and spool included, LOCAL_QUORUM; 2 GiB heap a node"
    );
    println!(
        "{:<24} {:>10} {:>15} {:>15}  of each node",
        "ring", "records/s", "client CPU s/M", "server CPU s/M"
    );
    let one_node = Bench::start(1, &folder);
    let one = one_node.measure(&runtime, "one", 1, lines);
    drop(one_node);
    let bench = Bench::start(NODES, &folder);
    let spread = bench.measure(&runtime, "spread", 1, lines);
    let copied = bench.measure(&runtime, "copied", NODES as u16, lines);
    println!(
        "of one node's rate: {:.2} times on three nodes with one copy, {:.2} times with three copies",
        spread / one,
        copied / one
    );

    let input = folder.join("death.log");
    let lines = (copied * DEATH_RUN.as_secs_f64()) as u64;
    input::write(&input, lines);
    sleep(SETTLE);
    bench.death(&runtime, &input, lines);
    fs::remove_dir_all(&folder).unwrap();
}

struct Bench<'a> {
    ring: Cluster,
    folder: &'a Path,
}

impl<'a> Bench<'a> {
    fn start(nodes: usize, folder: &'a Path) -> Self {
        Self {
            ring: Cluster::builder().full_size().nodes(nodes).start().unwrap(),
            folder,
        }
    }

    /// Prints a row and returns records/s.
    fn measure(&self, runtime: &Runtime, name: &str, copies: u16, lines: u64) -> f64 {
        let nodes = self.ring.addresses();
        let servers: Vec<u32> = (0..nodes.len())
            .map(|node| self.ring.process_id(node).unwrap())
            .collect();
        let own = |keyspace: &str, lines: u64| {
            let path = self.folder.join(format!("{keyspace}.log"));
            input::write(&path, lines);
            sleep(SETTLE);
            let place = Place {
                nodes: &nodes,
                keyspace,
                copies,
                servers: &servers,
            };
            let own = runtime.block_on(measure(&place, &path, self.folder, lines));
            fs::remove_file(path).unwrap();
            own.cost
        };
        // The servers' own compilers have to warm up before anything is counted.
        own(&format!("warm_{name}"), lines / 4);
        let cost = own(name, lines);
        let each: Vec<String> = cost
            .server_seconds
            .iter()
            .map(|seconds| format!("{:.1}", cost.per_million(*seconds)))
            .collect();
        println!(
            "{:<24} {:>10.0} {:>15.2} {:>15.2}  {} CPU s/M; {:.2} of {} cores busy",
            format!("nodes: {}, copies: {copies}", nodes.len()),
            cost.rate(),
            cost.client(),
            cost.server(),
            each.join(" + "),
            cost.cores(),
            available_parallelism().unwrap()
        );
        cost.rate()
    }

    /// Writes a file and kills a node meanwhile.
    fn death(&self, runtime: &Runtime, input: &Path, lines: u64) {
        let nodes = self.ring.addresses();
        // The process that dies has no time to ask for afterwards.
        let place = Place {
            nodes: &nodes,
            keyspace: "death",
            copies: NODES as u16,
            servers: &[],
        };
        // So that writing begins at once.
        runtime.block_on(place.prepare());
        let (own, killed) = std::thread::scope(|scope| {
            let killing = scope.spawn(|| {
                sleep(KILLED_AFTER);
                self.ring.kill(1);
                Instant::now()
            });
            let own = runtime.block_on(measure(&place, input, self.folder, lines));
            (own, killing.join().unwrap())
        });
        print_recovery(&own, killed);
    }
}

fn print_recovery(own: &Own, killed: Instant) {
    let mut writes: Vec<&Write> = own.writes.iter().collect();
    writes.sort_by_key(|write| write.acknowledged);
    let (first, last) = (
        writes[0].acknowledged,
        writes[writes.len() - 1].acknowledged,
    );
    assert!(
        killed < last,
        "everything was written before a node was killed"
    );
    let longest = |from: Instant, until: Instant| {
        let gaps = writes
            .windows(2)
            .filter(|pair| (from..until).contains(&pair[1].acknowledged));
        gaps.map(|pair| pair[1].acknowledged - pair[0].acknowledged)
            .max()
            .unwrap_or_default()
    };
    let rate = |from: Instant, until: Instant| {
        let within = writes
            .iter()
            .filter(|write| (from..until).contains(&write.acknowledged));
        within.map(|write| write.records).sum::<u64>() as f64 / (until - from).as_secs_f64()
    };
    // Without the first seconds, which connect and fill the spool.
    let before = rate(first + KILLED_AFTER / 4, killed);
    let back = writes.iter().map(|write| write.acknowledged).find(|at| {
        at.checked_sub(WINDOW)
            .is_some_and(|from| from >= killed && rate(from, *at) >= before * BACK)
    });
    println!(
        "a node of three killed while writing: longest pause between acknowledged writes {:.2?} (before it {:.2?})",
        longest(killed, last),
        longest(first, killed)
    );
    match back {
        Some(at) => println!(
            "  {before:.0} records/s before; {:.0} % of it again after {:.1?} at most (over {WINDOW:?}); {:.0} records/s from then on",
            BACK * 100.0,
            at - killed,
            rate(at, last)
        ),
        None => println!(
            "  {before:.0} records/s before; never again within {:.1?}",
            last - killed
        ),
    }
}
