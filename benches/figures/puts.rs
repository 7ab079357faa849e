//! Puts into Cassandra, without files and spool: records a second, and the CPU that client and
//! server spend on a million records, request index and all.
//!
//! `cargo bench --bench figures -- puts [RECORDS] [PUTS IN FLIGHT] [FRAMES A PUT]` against the
//! ring of `cargo xtask services up`, in a keyspace of its own that is dropped at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::schema::{self, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::engine::LogEngine;
use futures::{StreamExt as _, TryStreamExt as _};

const FRAME: u64 = 1_000;
const ORIGINS: u64 = 8;
/// Records of one request.
const REQUEST: u64 = 10;
/// Requests under way at once: so far apart are the records of one.
const UNDER_WAY: u64 = 20;
/// Records a second of the made-up service: a million are 50 seconds.
const STEP_US: i64 = 50;
/// Of Linux's /proc, a second.
const TICKS: f64 = 100.0;

pub fn run(arguments: &[String]) {
    let number = |index: usize, default: u64| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (records, in_flight, frames) = (number(0, 1_000_000), number(1, 4), number(2, 16));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(figures(records, in_flight as usize, frames))
        .unwrap();
}

async fn figures(records: u64, in_flight: usize, frames: u64) -> anyhow::Result<()> {
    let nodes = xtask::services::cassandra()?;
    let keyspace = format!("bench_{:08x}", rand::random::<u32>());
    let options = CassandraOptions::new(nodes.iter().map(ToString::to_string), keyspace);
    let session = connect(&options).await?;
    schema::init(&session, &options, &SchemaSettings::default()).await?;
    let outcome = puts(&options, records, in_flight, frames).await;
    session
        .query_unpaged(format!("DROP KEYSPACE {}", options.keyspace), ())
        .await?;
    outcome
}

async fn puts(
    options: &CassandraOptions,
    records: u64,
    in_flight: usize,
    frames: u64,
) -> anyhow::Result<()> {
    let store = Arc::new(CassandraLogStore::connect(options).await?);
    let engine = LogEngine::new(store.clone());
    let end = Timestamp::now().micros();
    let begin = end - records as i64 * STEP_US;
    // The statements are prepared and the server is warm.
    for number in 0..20 {
        engine.append(&[frame(1_000_000 + number, begin)]).await?;
    }
    let made = Instant::now();
    let made_cpu = own_cpu()?;
    let groups: Vec<Vec<Frame>> = (0..records / FRAME / frames)
        .map(|group| {
            (0..frames)
                .map(|index| frame(group * frames + index, begin))
                .collect()
        })
        .collect();
    println!(
        "made in {:.1?}, {:.2} CPU s",
        made.elapsed(),
        own_cpu()? - made_cpu
    );
    let written = groups.len() as u64 * frames * FRAME;

    let servers = server_pids()?;
    let (client_before, server_before) = (own_cpu()?, cpu_of(&servers)?);
    let begun = Instant::now();
    let latencies: Vec<Duration> = futures::stream::iter(groups)
        .map(|group| {
            let engine = engine.clone();
            async move {
                let begun = Instant::now();
                let appended = tokio::spawn(async move { engine.append(&group).await });
                appended.await.context("a put panicked")??;
                anyhow::Ok(begun.elapsed())
            }
        })
        .buffer_unordered(in_flight)
        .try_collect()
        .await?;
    let took = begun.elapsed();
    let (client, server) = (
        own_cpu()? - client_before,
        cpu_of(&servers)? - server_before,
    );
    let million = written as f64 / 1e6;
    let mut latencies = latencies;
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    let a_record = |latency: Duration| latency.as_secs_f64() * 1e3 / (frames * FRAME) as f64;
    println!(
        "{written} records in {took:.2?}: {:.0} records/s; CPU s per million: client {:.2}, server {:.2}",
        written as f64 / took.as_secs_f64(),
        client / million,
        server / million
    );
    println!(
        "a put of {} records: p50 {:.1?}, p95 {:.1?}, p99 {:.1?} ({:.5}, {:.5}, {:.5} ms a record)",
        frames * FRAME,
        at(0.5),
        at(0.95),
        at(0.99),
        a_record(at(0.5)),
        a_record(at(0.95)),
        a_record(at(0.99))
    );
    // What the server still does afterwards belongs to it: flushes.
    println!("{:?}", store.load());
    Ok(())
}

/// Records of about 350 bytes.
fn frame(number: u64, begin: i64) -> Frame {
    let origin = Arc::new(Origin {
        id: OriginId::from_u128(u128::from(number % ORIGINS)),
        layer: Layer::Application,
        source: format!("app/service{}", number % ORIGINS).into(),
        host: "web1".into(),
    });
    let first = number * FRAME;
    let entries = (first..first + FRAME)
        .map(|index| {
            // Interleaved: the records of a request lie UNDER_WAY apart.
            let request = index / (REQUEST * UNDER_WAY) * UNDER_WAY + index % UNDER_WAY;
            let id = request.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Entry {
                timestamp: Timestamp::from_micros(begin + index as i64 * STEP_US),
                position: index * 350,
                level: [Level::Info, Level::Info, Level::Info, Level::Debug, Level::Warning, Level::Error]
                    [(index % 6) as usize],
                logger: Some("shop.orders.service".into()),
                message: format!(
                    "GET /api/v1/orders/{} answered with 200 to customer {} after checking stock and price",
                    id % 1_000_000,
                    id % 5_000
                )
                .into(),
                request_id: Some(RequestId::new(format!("{id:016x}-{request:08x}-req"))),
                user_id: Some(format!("{}", id % 100_000).into()),
                session_id: Some(format!("s{:012x}", id >> 16).into()),
                duration_ms: Some((id % 100_000) as f64 / 100.0),
                traceback: None,
                metadata: vec![
                    ("method".into(), "GET".into()),
                    ("status".into(), "200".into()),
                    ("region".into(), "eu-central-1".into()),
                    ("version".into(), format!("1.{}.0", id % 30).into()),
                ],
            }
        })
        .collect();
    Frame {
        origin,
        from: first * 350,
        until: (first + FRAME) * 350,
        entries,
    }
}

/// Of this process, in seconds.
fn own_cpu() -> anyhow::Result<f64> {
    cpu_of(&[std::process::id()])
}

fn server_pids() -> anyhow::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let process = process?;
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains("CassandraDaemon") {
            pids.push(pid);
        }
    }
    anyhow::ensure!(!pids.is_empty(), "no Cassandra runs on this machine");
    Ok(pids)
}

fn cpu_of(pids: &[u32]) -> anyhow::Result<f64> {
    let mut ticks = 0_u64;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').context("a process without a state")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        ticks += fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    }
    Ok(ticks as f64 / TICKS)
}
