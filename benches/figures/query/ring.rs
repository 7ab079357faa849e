//! The questions to one Cassandra node, beside the older schema with the same records on the same
//! node.
//!
//! `cargo bench --bench figures -- ring-query [RECORDS]`

use std::sync::Arc;
use std::time::Instant;

use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::schema::{self, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::engine::LogEngine;
use atalaya::store::health::StoreHealth as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use xtask::services::cluster::Cluster;

use super::SUBSTRINGS;
use super::data::{Data, RECORDS, text_bytes};
use super::older::{self, Older};
use super::questions::{Way, ask_all, substring};
use crate::cassandra::disk::print_disk;

const KEYSPACE: &str = "atalaya";
const PUTS_IN_FLIGHT: usize = 4;

pub fn run(arguments: &[String]) {
    let records = arguments
        .first()
        .map_or(RECORDS, |text| text.parse().unwrap());
    let data = Data::new(records, Timestamp::now().micros());
    let ring = Cluster::builder()
        .full_size()
        .jmx_ports_from(17_399)
        .start()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(figures(&ring, data)).unwrap();
}

async fn figures(ring: &Cluster, data: Data) -> anyhow::Result<()> {
    let node = ring.addresses()[0];
    let options = CassandraOptions::new([node.to_string()], KEYSPACE);
    let session = connect(&options).await?;
    schema::init(&session, &options, &SchemaSettings::default()).await?;
    let store = Arc::new(CassandraLogStore::connect(&options).await?);
    let engine = LogEngine::new(store.clone());

    let begun = Instant::now();
    let (stored, bytes) = stream::iter(data.groups())
        .map(async |frames| {
            let bytes = frames
                .iter()
                .flat_map(|frame| &frame.entries)
                .map(text_bytes)
                .sum::<usize>();
            Ok((engine.append(&frames).await?, bytes as u64))
        })
        .buffer_unordered(PUTS_IN_FLIGHT)
        .try_fold((0, 0), async |all, one| {
            anyhow::Ok((all.0 + one.0, all.1 + one.1))
        })
        .await?;
    println!(
        "{stored} records written in {:.0?}, making them included",
        begun.elapsed()
    );
    assert_eq!(
        (stored, store.stats().await?.records),
        (data.records(), data.records())
    );
    let begun = Instant::now();
    let older = Older::fill(node, data).await;
    println!(
        "the same into the older schema, 256 inserts in flight, in {:.0?}",
        begun.elapsed()
    );
    for keyspace in [KEYSPACE, older::KEYSPACE] {
        print_disk(ring, &session, keyspace, stored, bytes).await;
    }

    println!(
        "{stored} records: {} a second for {:.1} h, and a busy few minutes on each of {} days before",
        1_000_000 / super::data::STEP,
        (data.end - data.dense_from()) as f64 / 3_600e6,
        data.earlier()
    );
    ask_all(
        &[
            ("atalaya", Way::Engine(engine.clone())),
            ("older, ALLOW FILTERING", Way::Older(older)),
        ],
        &data,
    )
    .await;
    for text in SUBSTRINGS {
        substring(&engine, text, &data).await?;
    }
    Ok(())
}
