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
