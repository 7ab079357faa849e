//! Measures of the system that rules can name, and where in a measurement they are.
//!
//! Others come from the health samples of the store: `component.measure`. A measure that is in
//! neither gives no data.

use std::collections::BTreeMap;

use crate::health::Health;

pub const STORES_SLOWEST_SECONDS: &str = "stores.slowest_seconds";
pub const STORES_FAILING: &str = "stores.failing";
pub const HOST_DISK_USED_RATIO: &str = "host.data_disk_used_ratio";
pub const HOST_MEMORY_USED_RATIO: &str = "host.memory_used_ratio";
pub const HOST_LOAD_PER_CORE: &str = "host.load_per_core";
pub const RING_NODES_DOWN: &str = "ring.nodes_down";
pub const INGEST_LAG_SECONDS: &str = "ingest.lag_seconds";
pub const INGEST_LAG_BYTES: &str = "ingest.lag_bytes";
pub const SPOOL_USED_RATIO: &str = "spool.used_ratio";
pub const BACKUP_DISK_USED_RATIO: &str = "backup.disk_used_ratio";
pub const DEAD_MESSAGES: &str = "notifications.dead";
pub const CHECKS_FAILING: &str = "health.failing_checks";

/// Every name with what it is.
pub const MEASURES: [(&str, &str); 12] = [
    (
        STORES_SLOWEST_SECONDS,
        "the slowest answer of a store to a small question",
    ),
    (STORES_FAILING, "stores that do not answer"),
    (
        HOST_DISK_USED_RATIO,
        "used part of the disk with the data directory, 0 to 1",
    ),
    (HOST_MEMORY_USED_RATIO, "used part of the memory, 0 to 1"),
    (HOST_LOAD_PER_CORE, "load over 5 minutes for each core"),
    (RING_NODES_DOWN, "Cassandra nodes that do not answer"),
    (
        INGEST_LAG_SECONDS,
        "how long the oldest line that is not stored has waited",
    ),
    (
        INGEST_LAG_BYTES,
        "bytes of followed files that are not stored",
    ),
    (SPOOL_USED_RATIO, "used part of the spool, 0 to 1"),
    (
        BACKUP_DISK_USED_RATIO,
        "used part of the disk with the backups, 0 to 1",
    ),
    (
        DEAD_MESSAGES,
        "messages of the last day that no try could deliver",
    ),
    (CHECKS_FAILING, "checks of `atalaya health` that fail"),
];

/// Measures of each host of which the worst counts, with the component and the measure that the
/// samples of the others have them under: rules are evaluated on one host only.
pub const OF_EACH_HOST: [(&str, &str, &str); 3] = [
    (INGEST_LAG_SECONDS, "ingest/", "lag_seconds"),
    (INGEST_LAG_BYTES, "ingest/", "lag_bytes"),
    (SPOOL_USED_RATIO, "ingest/", "spool_used_ratio"),
];

/// What a measurement holds of these; the others have another source.
pub fn values(health: &Health) -> BTreeMap<&'static str, f64> {
    let mut values = BTreeMap::new();
    let slowest = health.stores.iter().map(|store| store.latency).max();
    if let Some(slowest) = slowest {
        values.insert(STORES_SLOWEST_SECONDS, slowest.as_secs_f64());
        let failing = health.stores.iter().filter(|store| store.problem.is_some());
        values.insert(STORES_FAILING, failing.count() as f64);
    }
    if let Some(host) = &health.host {
        values.insert(HOST_MEMORY_USED_RATIO, host.memory_used_ratio());
        values.insert(HOST_LOAD_PER_CORE, host.load[1] / host.cores.max(1) as f64);
        let mount = host.data_mount.as_deref();
        if let Some(disk) = host.disks.iter().find(|disk| Some(&*disk.mount) == mount) {
            values.insert(HOST_DISK_USED_RATIO, disk.used_ratio());
        }
    }
    if let Some(disk) = &health.backup_disk {
        values.insert(BACKUP_DISK_USED_RATIO, disk.used_ratio());
    }
    if let Some(ingest) = &health.ingest {
        values.insert(INGEST_LAG_SECONDS, ingest.seconds);
        values.insert(INGEST_LAG_BYTES, ingest.bytes as f64);
        if let Some(used) = ingest.spool_used_ratio {
            values.insert(SPOOL_USED_RATIO, used);
        }
    }
    if let Some(ring) = &health.ring {
        values.insert(RING_NODES_DOWN, (ring.nodes.len() - ring.up()) as f64);
    }
    let failing = health
        .checks
        .iter()
        .filter(|check| check.status == crate::health::Status::Failing);
    values.insert(CHECKS_FAILING, failing.count() as f64);
    values
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::{Measure, Rule, built_in};
    use crate::health::ring::{Node, Ring};
    use crate::health::{Disk, Health, Host, IngestLag, StoreHealth};
    use crate::time::Timestamp;

    /// Everything is as bad as it can be.
    fn worst() -> Health {
        let disk = Disk {
            mount: "/".to_owned(),
            total_bytes: 100,
            available_bytes: 1,
        };
        let host = Host {
            name: "web-1".to_owned(),
            uptime: Duration::from_secs(60),
            cores: 2,
            load: [90.0; 3],
            memory_total_bytes: 100,
            memory_available_bytes: 1,
            swap_total_bytes: 0,
            swap_used_bytes: 0,
            disks: vec![disk.clone()],
            data_mount: Some("/".to_owned()),
        };
        let store = StoreHealth {
            name: "logs",
            backend: "Cassandra".to_owned(),
            address: "10.0.0.1:9042".to_owned(),
            latency: Duration::from_secs(12),
            records: None,
            disk_bytes: None,
            problem: Some("did not answer within 12 s".to_owned()),
            read_only: None,
        };
        let down = Node {
            problem: Some("refused".to_owned()),
            ..Node::default()
        };
        let ring = Ring {
            nodes: vec![down],
            ..Ring::default()
        };
        let lag = IngestLag {
            seconds: 1e6,
            bytes: 1 << 40,
            spool_used_ratio: Some(1.0),
        };
        Health::new(Timestamp::from_seconds(0), Ok(host), vec![store])
            .with_places(Some(disk), Some(lag))
            .with_servers(Some(ring), None)
    }

    #[test]
    fn a_measurement_gives_every_measure_but_that_of_the_outbox() {
        let values = values(&worst());
        let named: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
        for name in named.iter().filter(|name| **name != DEAD_MESSAGES) {
            assert!(values.contains_key(name), "nobody gives `{name}`");
        }
        assert!(values.keys().all(|name| named.contains(name)), "{values:?}");
    }

    #[test]
    fn every_built_in_rule_on_health_fires_when_all_is_bad() {
        let mut values = values(&worst());
        values.insert(DEAD_MESSAGES, 1.0);
        let breached = |rule: &Rule| match &rule.measure {
            Measure::Health { measure } => values
                .get(measure.as_str())
                .is_some_and(|value| rule.is_breached(*value)),
            _ => true,
        };
        for rule in built_in::rules() {
            assert!(breached(&rule), "`{}` cannot fire", rule.name);
        }
    }
}
