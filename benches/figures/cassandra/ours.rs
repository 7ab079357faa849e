//! The product's own way: tail, parse, spool with fsync, chunks, request index, acknowledgement.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::domain::record::{Frame, OriginId};
use atalaya::ingest::pipeline::FrameSink;
use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::ingest::{Ingest, IngestConfig, IngestInput, Mode};
use atalaya::store::cassandra::schema::{self, Replication, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::engine::LogEngine;
use atalaya::store::error::StoreError;
use atalaya::store::health::StoreHealth as _;
use tokio_util::sync::CancellationToken;

use super::{Cost, Meter};

/// A ring and a keyspace on it.
pub struct Place<'a> {
    pub nodes: &'a [SocketAddr],
    pub keyspace: &'a str,
    pub copies: u16,
    /// Processes whose time is counted.
    pub servers: &'a [u32],
}

pub struct Own {
    pub cost: Cost,
    pub writes: Vec<Write>,
}

/// One write that the store has acknowledged.
pub struct Write {
    pub began: Instant,
    pub acknowledged: Instant,
    pub records: u64,
}

/// Passes on to the store and notes how long each write takes.
struct Timed {
    engine: LogEngine,
    writes: Mutex<Vec<Write>>,
}

#[async_trait]
impl FrameSink for Timed {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        let began = Instant::now();
        let records = self.engine.append_shared(&frames).await?;
        self.writes.lock().unwrap().push(Write {
            began,
            acknowledged: Instant::now(),
            records,
        });
        Ok(records)
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.engine.watermark(origin).await
    }
}

impl Place<'_> {
    fn options(&self) -> CassandraOptions {
        CassandraOptions::new(self.nodes.iter().map(ToString::to_string), self.keyspace)
    }

    /// Makes the keyspace, if it is not there.
    pub async fn prepare(&self) {
        let session = connect(&self.options()).await.unwrap();
        let settings = SchemaSettings {
            replication: Replication::Simple(self.copies),
            ..SchemaSettings::default()
        };
        schema::init(&session, &self.options(), &settings)
            .await
            .unwrap();
    }
}

pub async fn measure(place: &Place<'_>, input: &Path, folder: &Path, lines: u64) -> Own {
    place.prepare().await;
    let (keyspace, options) = (place.keyspace, place.options());
    let store = Arc::new(CassandraLogStore::connect(&options).await.unwrap());
    let timed = Arc::new(Timed {
        engine: LogEngine::new(store.clone()),
        writes: Mutex::default(),
    });
    let state = folder.join(format!("{keyspace}-state"));
    let spool = SpoolConfig::new(state.join("spool"));

    let meter = Meter::start(place.servers);
    let sink = Arc::new(SpooledSink::open(spool, Arc::clone(&timed) as _).unwrap());
    let config = IngestConfig::new(
        vec![IngestInput::detected(input.to_string_lossy())],
        state,
        "host",
        Mode::Once,
    );
    let mut handle =
        Ingest::start(config, Arc::clone(&sink) as _, CancellationToken::new()).unwrap();
    let status = handle.finished().await.unwrap();
    while !sink.status().is_drained() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cost = meter.stop(lines);
    let writes = std::mem::take(&mut *timed.writes.lock().unwrap());
    let written: u64 = writes.iter().map(|write| write.records).sum();
    let stored = store.stats().await.unwrap().records;
    assert_eq!(
        (status.totals.records, written, stored),
        (lines, lines, lines),
        "{status:?}"
    );
    Own { cost, writes }
}

impl Own {
    /// What a write takes, shared by the records it carries: each record counts once.
    pub fn print_latency(&self) {
        let mut amortised: BTreeMap<u64, u64> = BTreeMap::new();
        for write in &self.writes {
            let took = write.acknowledged.duration_since(write.began);
            let nanoseconds = took.as_nanos() as u64 / write.records.max(1);
            *amortised.entry(nanoseconds).or_default() += write.records;
        }
        let all: u64 = amortised.values().sum();
        let quantile = |share: f64| {
            let mut seen = 0;
            amortised
                .iter()
                .find(|(_, records)| {
                    seen += **records;
                    seen as f64 >= all as f64 * share
                })
                .map_or(f64::NAN, |(nanoseconds, _)| *nanoseconds as f64 / 1e3)
        };
        println!(
            "a write's time shared by its records: p50 {:.1} µs, p95 {:.1} µs, p99 {:.1} µs ({} writes)",
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            self.writes.len()
        );
    }
}
