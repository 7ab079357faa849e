//! The product's own way: tail, parse, spool with fsync, chunks, request index, acknowledgement.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::domain::record::{Frame, OriginId};
use atalaya::ingest::pipeline::FrameSink;
use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::ingest::{Ingest, IngestConfig, IngestInput, Mode};
use atalaya::store::cassandra::schema::{self, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::engine::LogEngine;
use atalaya::store::error::StoreError;
use tokio_util::sync::CancellationToken;

use super::{Cost, Meter};

pub struct Own {
    pub cost: Cost,
    /// Milliseconds of one write to the store, and its records.
    writes: Vec<(f64, u64)>,
}

/// Passes on to the store and notes how long each write takes.
struct Timed {
    engine: LogEngine,
    writes: Mutex<Vec<(f64, u64)>>,
}

#[async_trait]
impl FrameSink for Timed {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        let began = Instant::now();
        let records = self.engine.append(&frames).await?;
        self.writes.lock().unwrap().push((began.elapsed().as_secs_f64() * 1e3, records));
        Ok(records)
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.engine.watermark(origin).await
    }
}

pub async fn measure(
    node: &str,
    keyspace: &str,
    input: &Path,
    folder: &Path,
    lines: u64,
    server: u32,
) -> Own {
    let options = CassandraOptions::new([node], keyspace);
    let session = connect(&options).await.unwrap();
    schema::init(&session, &options, &SchemaSettings::default()).await.unwrap();
    let store = Arc::new(CassandraLogStore::connect(&options).await.unwrap());
    let timed = Arc::new(Timed { engine: LogEngine::new(store), writes: Mutex::default() });
    let state = folder.join(format!("{keyspace}-state"));
    let spool = SpoolConfig::new(state.join("spool"));

    let meter = Meter::start(server);
    let sink = Arc::new(SpooledSink::open(spool, Arc::clone(&timed) as _).unwrap());
    let config =
        IngestConfig::new(vec![IngestInput::detected(input.to_string_lossy())], state, "host", Mode::Once);
    let mut handle = Ingest::start(config, Arc::clone(&sink) as _, CancellationToken::new()).unwrap();
    let status = handle.finished().await.unwrap();
    while !sink.status().is_drained() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cost = meter.stop(lines);
    let writes = std::mem::take(&mut *timed.writes.lock().unwrap());
    let stored: u64 = writes.iter().map(|(_, records)| records).sum();
    assert_eq!((status.totals.records, stored), (lines, lines), "{status:?}");
    Own { cost, writes }
}

impl Own {
    /// What a write takes, shared by the records it carries: each record counts once.
    pub fn print_latency(&self) {
        let mut amortised: BTreeMap<u64, u64> = BTreeMap::new();
        for &(milliseconds, records) in &self.writes {
            let nanoseconds = milliseconds * 1e6 / records.max(1) as f64;
            *amortised.entry(nanoseconds as u64).or_default() += records;
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
