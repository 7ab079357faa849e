//! Questions to a store of five million records, p50 and p95 of each: `query` asks the embedded store,
//! `ring-query` a Cassandra node, beside the older schema on the same node.
//!
//! The embedded store is built once, in the target folder, and used again by later runs; building it
//! prints the rate of writing and the bytes on disk for each record.

pub mod data;
mod older;
mod questions;
pub mod ring;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::store::engine::LogEngine;
use atalaya::store::health::StoreHealth as _;
use atalaya::store::sqlite::chunks::SqliteChunkStore;

use data::{Data, RECORDS, text_bytes};
use questions::{Way, ask_all, substring};

/// The same for ever, since the store is.
pub const END: i64 = 1_790_000_000_000_000;
const SUBSTRINGS: [&str; 3] = ["needle-in-the-haystack", "checkout", "\"took 499\""];

pub fn run(arguments: &[String]) {
    let records = arguments
        .first()
        .map_or(RECORDS, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(figures(Data::new(records, END))).unwrap();
}

async fn figures(data: Data) -> anyhow::Result<()> {
    let store = prepared(data).await?;
    let stats = store.stats().await?;
    println!(
        "{} records in {} chunks, {:.1} bytes on disk for each",
        stats.records,
        stats.chunks,
        stats.disk_bytes as f64 / stats.records as f64
    );
    let engine = LogEngine::new(store.clone());
    ask_all(&[("embedded store", Way::Engine(engine.clone()))], &data).await;
    for text in SUBSTRINGS {
        substring(&engine, text, &data).await?;
    }
    store.close().await;
    Ok(())
}

/// Opens the store, building it when it is not complete.
pub async fn prepared(data: Data) -> anyhow::Result<Arc<SqliteChunkStore>> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path = target.join(format!("figures/logs-of-90-days-{}.sqlite", data.records()));
    let store = Arc::new(SqliteChunkStore::open(&path).await?);
    if store.stats().await?.records == data.records() {
        return Ok(store);
    }
    println!("building {} once", path.display());
    let engine = LogEngine::new(store.clone());
    let (mut writing, mut text) = (Duration::ZERO, 0);
    for frames in data.groups() {
        text += frames
            .iter()
            .flat_map(|frame| &frame.entries)
            .map(text_bytes)
            .sum::<usize>();
        let begin = Instant::now();
        engine.append(&frames).await?;
        writing += begin.elapsed();
    }
    println!(
        "append alone: {:.0} records/s; texts of {:.0} bytes a record",
        data.records() as f64 / writing.as_secs_f64(),
        text as f64 / data.records() as f64
    );
    Ok(store)
}
