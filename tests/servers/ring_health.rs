//! The health of real rings: what each node says of itself, and what is said of one that is gone.

use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::health::Status;
use atalaya::domain::health::ring::Ring;
use atalaya::domain::time::Timestamp;
use atalaya::store::cassandra::{CassandraOptions, RingProbe, connect};
use scylla::client::session::Session;
use xtask::services::cluster::Cluster;

async fn session(nodes: impl IntoIterator<Item = impl ToString>, keyspace: &str) -> Arc<Session> {
    let nodes = nodes.into_iter().map(|node| node.to_string());
    Arc::new(connect(&CassandraOptions::new(nodes, keyspace)).await.unwrap())
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
    let ring = RingProbe::new(session, "no_such_keyspace").measure().await;
    assert!(!ring.nodes.is_empty());
    for node in &ring.nodes {
        assert_eq!(node.problem, None);
        assert_eq!(node.letters(), "UN");
        assert_eq!(node.not_told, Vec::<String>::new(), "Cassandra 5 tells everything");
        assert!(node.version.as_deref().unwrap().starts_with("5."));
        assert!(node.tokens.unwrap() > 0 && node.load_bytes.unwrap() > 0);
        assert!(node.clock.unwrap().ahead_ms.abs() < 5_000.0, "the same machine: {:?}", node.clock);
        let measures = &node.measures;
        assert!(measures.disk_bytes.is_some() && measures.pending.is_some() && measures.dropped.is_some());
        assert!(measures.clients.unwrap() > 0, "we are one");
        assert!(node.settings.memtable_allocation.is_some() && node.settings.sstable_format.is_some());
        assert!(node.started_at.unwrap() < Timestamp::now());
    }
    let design = ring.design.unwrap();
    assert_eq!(design.replication, None, "there is no such keyspace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_and_a_frozen_one_are_down_with_the_reason_and_the_others_view() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::builder().nodes(3).start().unwrap()).await.unwrap();
    cluster
        .cql("CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}")
        .unwrap();
    let probe = RingProbe::new(session(cluster.addresses(), "k").await, "k");
    let whole = until(&probe, "three nodes", |ring| ring.up() == 3 && ring.nodes.len() == 3).await;
    let now = Timestamp::now();
    let status = |ring: &Ring, name: &str| {
        ring.checks(now).into_iter().find(|check| check.name == name).unwrap().status
    };
    assert_eq!(status(&whole, "ring"), Status::Ok);
    assert_eq!(status(&whole, "ring schema"), Status::Ok);
    assert_eq!(status(&whole, "log replication"), Status::Ok);

    cluster.kill(2);
    let short = until(&probe, "one node down", |ring| ring.up() == 2).await;
    let dead = short.nodes.iter().find(|node| !node.is_up()).unwrap();
    assert_eq!(dead.address, cluster.addresses()[2].to_string());
    assert_eq!(dead.seen_by.len(), 2, "both others tell of it: {dead:#?}");
    assert_eq!(status(&short, "ring"), Status::Degraded, "two of three copies are a quorum");

    // It holds its connections and says nothing.
    cluster.freeze(1).unwrap();
    let begun = std::time::Instant::now();
    let lost = until(&probe, "two nodes down", |ring| ring.up() == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(status(&lost, "ring"), Status::Failing, "no quorum");
    cluster.thaw(1).unwrap();
    until(&probe, "the frozen node back", |ring| ring.up() == 2).await;
}
