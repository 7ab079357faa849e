//! From a file to Apache Cassandra, end to end, beside two peers in the same run: a plain Python
//! handler, and the driver's own best plain loop. One real node, started for this, on this machine.
//!
//! `cargo bench --bench figures -- cassandra [LINES]`

pub mod disk;
mod input;
mod ours;
pub mod plain;
mod python;
pub mod scale;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::store::cassandra::{CassandraOptions, connect};
use xtask::services::cluster::Cluster;

use ours::Place;

const LINES: u64 = 1_000_000;
/// The peers are slower: a part of the input is enough for their rate.
const PLAIN_LINES: u64 = 200_000;
const PYTHON_LINES: u64 = 20_000;
/// Between two ways, so that the server's flushing of one is not counted for the next.
const SETTLE: Duration = Duration::from_secs(5);

pub fn run(arguments: &[String]) {
    let lines = arguments
        .first()
        .map_or(LINES, |text| text.parse().unwrap());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures-cassandra");
    let _ = fs::remove_dir_all(&folder); // of an earlier run that was interrupted
    fs::create_dir_all(&folder).unwrap();
    let ring = Cluster::builder()
        .full_size()
        .jmx_ports_from(17_299)
        .start()
        .unwrap();
    let servers = [ring.process_id(0).unwrap()];
    let nodes = ring.addresses();
    let own_place = |keyspace| Place {
        nodes: &nodes,
        keyspace,
        copies: 1,
        servers: &servers,
    };

    let file = |name: &str, lines| {
        let path = folder.join(name);
        let bytes = input::write(&path, lines);
        (path, bytes)
    };
    let (python_input, _) = file("python.log", PYTHON_LINES.min(lines));
    let (plain_input, _) = file("plain.log", PLAIN_LINES.min(lines));
    let (warm_input, _) = file("warm.log", lines);
    let (own_input, bytes) = file("atalaya.log", lines);
    println!(
        "input: {lines} JSON lines, {:.0} bytes each, 10 records a request; one node, 2 GiB heap",
        bytes as f64 / lines as f64
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let options = CassandraOptions::new([nodes[0].to_string()], "peers");
    let session = Arc::new(runtime.block_on(connect(&options)).unwrap());
    runtime.block_on(async {
        let keyspace =
            "CREATE KEYSPACE peers WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";
        session.query_unpaged(keyspace, ()).await.unwrap();
    });

    // The server's own compiler has to warm up before anything is counted: with fewer lines it still
    // takes half a core while ours are measured, and the figure is that of a node in its first minute.
    runtime.block_on(ours::measure(
        &own_place("warm"),
        &warm_input,
        &folder,
        lines,
    ));
    std::thread::sleep(SETTLE);

    let python = python::measure(nodes[0], "peers", &python_input, &servers);
    std::thread::sleep(SETTLE);
    let plain = runtime.block_on(plain::measure(&session, "peers", &plain_input, &servers));
    std::thread::sleep(SETTLE);
    let own = runtime.block_on(ours::measure(
        &own_place("atalaya"),
        &own_input,
        &folder,
        lines,
    ));

    println!(
        "{:<34} {:>12} {:>16} {:>16}",
        "way", "records/s", "client CPU s/M", "server CPU s/M"
    );
    for (name, cost) in [
        ("Python handler, batches of 100", python.as_ref()),
        ("Rust loop, 256 single inserts", Some(&plain)),
        ("atalaya, index and spool included", Some(&own.cost)),
    ] {
        match cost {
            Some(cost) => {
                println!(
                    "{name:<34} {:>12.0} {:>16.2} {:>16.2}",
                    cost.rate(),
                    cost.client(),
                    cost.server()
                );
            }
            None => println!("{name:<34} {:>12}", "not measured"),
        }
    }
    let ratio = |peer: &Cost| own.cost.rate() / peer.rate();
    if let Some(python) = &python {
        println!(
            "{:.0} times the Python handler, {:.1} times the Rust loop",
            ratio(python),
            ratio(&plain)
        );
    } else {
        println!("{:.1} times the Rust loop", ratio(&plain));
    }
    own.print_latency();
    runtime.block_on(disk::print_disk(&ring, &session, "atalaya", lines, bytes));
    fs::remove_dir_all(&folder).unwrap();
}

/// What a way cost.
pub struct Cost {
    records: u64,
    seconds: f64,
    /// Processor seconds of this process, or of the peer's.
    client_seconds: f64,
    /// Of each server.
    server_seconds: Vec<f64>,
}

impl Cost {
    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.records as f64
    }

    fn client(&self) -> f64 {
        self.per_million(self.client_seconds)
    }

    fn server(&self) -> f64 {
        self.per_million(self.server_seconds.iter().sum())
    }

    /// Processors busy with all of it on average.
    fn cores(&self) -> f64 {
        (self.client_seconds + self.server_seconds.iter().sum::<f64>()) / self.seconds
    }
}

/// Reads the clocks of this process and of the servers.
pub struct Meter {
    servers: Vec<(u32, f64)>,
    began: Instant,
    client_seconds: f64,
}

impl Meter {
    pub fn start(servers: &[u32]) -> Self {
        Self {
            servers: servers
                .iter()
                .map(|&server| (server, cpu_seconds(server)))
                .collect(),
            client_seconds: cpu_seconds(std::process::id()),
            began: Instant::now(),
        }
    }

    pub fn stop(self, records: u64) -> Cost {
        Cost {
            records,
            seconds: self.began.elapsed().as_secs_f64(),
            client_seconds: cpu_seconds(std::process::id()) - self.client_seconds,
            server_seconds: self
                .servers
                .iter()
                .map(|(server, before)| cpu_seconds(*server) - before)
                .collect(),
        }
    }
}

/// Processor time of a process so far, user and system, from `/proc/PID/stat`.
pub fn cpu_seconds(process: u32) -> f64 {
    /// Linux counts in hundredths of a second on every platform that this runs on.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name in brackets may hold anything; utime and stime are fields 14 and 15.
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / TICKS
}
