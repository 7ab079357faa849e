//! The health of real rings: what each node says of itself, and what is said of one that is gone.

use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::health::Status;
use atalaya::domain::health::design::LogSettings;
use atalaya::domain::health::ring::Ring;
use atalaya::domain::record::Layer;
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::schema::SchemaSettings;
use atalaya::store::cassandra::{CassandraOptions, RingProbe, connect};
use atalaya::store::chunks::ChunkStore;
use atalaya::store::engine::LogEngine;
use scylla::client::session::Session;
use xtask::services::cluster::Cluster;

use crate::keyspace::Keyspace;
use crate::log_store_suite::{frame, origin};

async fn session(nodes: impl IntoIterator<Item = impl ToString>, keyspace: &str) -> Arc<Session> {
    let nodes = nodes.into_iter().map(|node| node.to_string());
    Arc::new(
        connect(&CassandraOptions::new(nodes, keyspace))
            .await
            .unwrap(),
    )
}

/// Measures until the ring is as wanted: failure detectors need some seconds.
async fn until(probe: &RingProbe, what: &str, wanted: impl Fn(&Ring) -> bool) -> Ring {
    let mut last = None;
    for _ in 0..60 {
        let ring = probe.measure().await;
        if wanted(&ring) {
            return ring;
        }
        last = Some(ring);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("waited for {what}: {last:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_the_shared_ring_tells_of_itself() {
    let session = session(xtask::services::cassandra().unwrap(), "no_such_keyspace").await;
    let probe = RingProbe::new(session, "no_such_keyspace");
    // A table that a busy node did not give in time is one that was not told; the next look has it.
    let ring = until(&probe, "a node that tells everything", |ring| {
        !ring.nodes.is_empty() && ring.nodes.iter().all(|node| node.not_told.is_empty())
    })
    .await;
    for node in &ring.nodes {
        assert_eq!(node.problem, None);
        assert_eq!(node.letters(), "UN");
        assert!(node.version.as_deref().unwrap().starts_with("5."));
        assert!(node.tokens.unwrap() > 0 && node.load_bytes.unwrap() > 0);
        assert!(
            node.clock.unwrap().ahead_ms.abs() < 5_000.0,
            "the same machine: {:?}",
            node.clock
        );
        let measures = &node.measures;
        assert!(
            measures.disk_bytes.is_some()
                && measures.pending.is_some()
                && measures.dropped.is_some()
        );
        assert!(measures.clients.unwrap() > 0, "we are one");
        assert!(
            node.settings.memtable_allocation.is_some() && node.settings.sstable_format.is_some()
        );
        assert!(node.started_at.unwrap() < Timestamp::now());
    }
    let design = ring.design.unwrap();
    assert_eq!(design.replication, None, "there is no such keyspace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_and_a_frozen_one_are_down_with_the_reason_and_the_others_view() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::builder().nodes(3).start().unwrap())
        .await
        .unwrap();
    cluster
        .cql("CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}")
        .unwrap();
    let probe = RingProbe::new(session(cluster.addresses(), "k").await, "k");
    let whole = until(&probe, "three nodes", |ring| {
        ring.up() == 3 && ring.nodes.len() == 3
    })
    .await;
    let now = Timestamp::now();
    let status = |ring: &Ring, name: &str| {
        ring.checks(now)
            .into_iter()
            .find(|check| check.name == name)
            .unwrap()
            .status
    };
    assert_eq!(status(&whole, "ring"), Status::Ok);
    assert_eq!(status(&whole, "ring schema"), Status::Ok);
    assert_eq!(status(&whole, "log replication"), Status::Ok);

    cluster.kill(2);
    let short = until(&probe, "one node down", |ring| ring.up() == 2).await;
    let dead = short.nodes.iter().find(|node| !node.is_up()).unwrap();
    assert_eq!(dead.address, cluster.addresses()[2].to_string());
    assert_eq!(dead.seen_by.len(), 2, "both others tell of it: {dead:#?}");
    assert_eq!(
        status(&short, "ring"),
        Status::Degraded,
        "two of three copies are a quorum"
    );

    // It holds its connections and says nothing.
    cluster.freeze(1).unwrap();
    let begun = std::time::Instant::now();
    let lost = until(&probe, "two nodes down", |ring| ring.up() == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(status(&lost, "ring"), Status::Failing, "no quorum");
    cluster.thaw(1).unwrap();
    until(&probe, "the frozen node back", |ring| ring.up() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyspace_is_held_to_its_design_and_a_row_for_ever_is_found() {
    let keyspace = Keyspace::make(&SchemaSettings::default()).await;
    let store: Arc<dyn ChunkStore> = Arc::new(keyspace.store().await);
    let engine = LogEngine::new(Arc::clone(&store));
    let now = Timestamp::now().micros();
    let layers = [Layer::Application, Layer::Infrastructure];
    for (id, layer) in layers.into_iter().enumerate() {
        let origin = origin(id as u128, layer);
        // Eighty days of one record a day, and one of now.
        let times = (0..81).rev().map(|day| now - day * 86_400_000_000);
        engine.append(&[frame(&origin, 0, times)]).await.unwrap();
    }
    let ring = store.ring().await.unwrap();
    let at = Timestamp::now();
    let design = ring.design.clone().unwrap();
    assert_eq!(design.not_told, Vec::<String>::new());
    assert_eq!(
        design.settings,
        Some(LogSettings {
            retention_days: 90,
            window_days: 3
        })
    );
    assert_eq!(design.tables.len(), 5, "{:?}", design.tables);
    let sample = design.sample.clone().unwrap();
    assert_eq!(
        (sample.rows, sample.without_ttl, sample.overdue),
        (8, 0, 0),
        "four days of each layer"
    );
    for check in ring
        .checks(at)
        .iter()
        .filter(|check| check.name.starts_with("log "))
    {
        assert_eq!(check.status, Status::Ok, "{check:?}");
    }
    assert!(
        ring.checks(at)
            .iter()
            .any(|check| check.message.contains("30 windows of 3 days"))
    );

    // Somebody writes a row without a lifetime, into a day that is looked at.
    let today = Timestamp::now().to_utc().date_naive();
    let bucket =
        "SELECT bucket FROM {ks}.log_buckets WHERE layer = 'application' AND log_date = '{day}'"
            .replace("{ks}", keyspace.name())
            .replace("{day}", &today.to_string());
    let rows = keyspace
        .session
        .query_unpaged(bucket, ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    let (bucket,) = rows.first_row::<(i16,)>().unwrap();
    let insert = format!(
        "INSERT INTO {}.application_logs (log_date, bucket, shard, first_at, chunk_id, logs) \
         VALUES ('{today}', {bucket}, 0, toTimestamp(now()), uuid(), []) USING TTL 0",
        keyspace.name()
    );
    keyspace.session.query_unpaged(insert, ()).await.unwrap();
    // A new probe: the store's own looks again after a minute.
    let ring = RingProbe::new(Arc::clone(&keyspace.session), keyspace.name())
        .measure()
        .await;
    let check = ring
        .checks(at)
        .into_iter()
        .find(|check| check.name == "log ttl")
        .unwrap();
    assert_eq!(check.status, Status::Failing, "{check:?}");
}
