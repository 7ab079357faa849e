//! The measures of a health view as rows that are kept, and what became of them over time.

use std::collections::BTreeMap;

use atalaya_domain::health::ring::Ring;
use atalaya_domain::health::{Health, Host};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{HealthSample, MetricsStore};

/// Samples of one question: 30 days of one measure each five minutes, for 30 measures.
const MOST_SAMPLES: u32 = 300_000;

/// The values of one measurement, all of one instant.
///
/// Components: `host/NAME`, `disk/NAME:MOUNT`, `logs/NAME` and `metrics/NAME` (a store as NAME sees
/// it), `backup/NAME` (the disk of its backups), `ingest/NAME` (what it follows), `node/ADDRESS` (a
/// server of the log store). Measures carry their unit.
pub fn samples_of(health: &Health, host: &str, at: Timestamp) -> Vec<HealthSample> {
    let mut samples = Vec::new();
    let mut add = |component: String, values: Vec<(&str, Option<f64>)>| {
        for (measure, value) in values {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                samples.push(HealthSample {
                    component: component.clone(),
                    measure: measure.to_owned(),
                    taken_at: at,
                    value,
                });
            }
        }
    };
    if let Some(measured) = &health.host {
        add(format!("host/{host}"), values_of_host(measured));
        for disk in &measured.disks {
            let values = vec![
                ("used_ratio", Some(disk.used_ratio())),
                ("available_bytes", Some(disk.available_bytes as f64)),
            ];
            add(format!("disk/{host}:{}", disk.mount), values);
        }
    }
    for store in &health.stores {
        let up = store.problem.is_none();
        let latency = up.then_some(store.latency.as_secs_f64() * 1_000.0);
        let values = vec![
            ("up", Some(f64::from(u8::from(up)))),
            ("latency_ms", latency),
            ("records", store.records.map(|records| records as f64)),
            ("disk_bytes", store.disk_bytes.map(|bytes| bytes as f64)),
        ];
        add(format!("{}/{host}", store.name), values);
    }
    if let Some(disk) = &health.backup_disk {
        let values = vec![
            ("used_ratio", Some(disk.used_ratio())),
            ("available_bytes", Some(disk.available_bytes as f64)),
        ];
        add(format!("backup/{host}"), values);
    }
    if let Some(ingest) = &health.ingest {
        let values = vec![
            ("lag_seconds", Some(ingest.seconds)),
            ("lag_bytes", Some(ingest.bytes as f64)),
            ("spool_used_ratio", ingest.spool_used_ratio),
        ];
        add(format!("ingest/{host}"), values);
    }
    for (node, values) in health.ring.iter().flat_map(values_of_nodes) {
        add(node, values);
    }
    samples
}

fn values_of_host(host: &Host) -> Vec<(&'static str, Option<f64>)> {
    let swap = (host.swap_total_bytes > 0)
        .then(|| host.swap_used_bytes as f64 / host.swap_total_bytes as f64);
    vec![
        ("load_1m", Some(host.load[0])),
        ("memory_used_ratio", Some(host.memory_used_ratio())),
        ("swap_used_ratio", swap),
    ]
}

fn values_of_nodes(ring: &Ring) -> Vec<(String, Vec<(&'static str, Option<f64>)>)> {
    let number = |value: Option<u64>| value.map(|value| value as f64);
    ring.nodes
        .iter()
        .map(|node| {
            let measures = &node.measures;
            let values = vec![
                ("up", Some(f64::from(u8::from(node.problem.is_none())))),
                ("latency_ms", node.latency_ms),
                ("load_bytes", number(node.load_bytes)),
                ("compactions_queued", number(measures.compactions_queued)),
                ("dropped_messages", number(measures.dropped)),
                ("hint_files", number(measures.hint_files)),
                ("disk_bytes", number(measures.disk_bytes)),
                ("snapshot_bytes", number(measures.snapshot_bytes)),
            ];
            (format!("node/{}", node.address), values)
        })
        .collect()
}

/// One measure over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub component: String,
    pub measure: String,
    /// Oldest first.
    pub points: Vec<(Timestamp, f64)>,
}

impl Series {
    pub fn last(&self) -> Option<(Timestamp, f64)> {
        self.points.last().copied()
    }

    /// The value that is furthest on the bad side: the lowest of what should be much, the highest of
    /// everything else. `None` without a point.
    pub fn worst(&self) -> Option<(Timestamp, f64)> {
        self.worst_of(&self.points)
    }

    /// The same of some of its points.
    pub fn worst_of(&self, points: &[(Timestamp, f64)]) -> Option<(Timestamp, f64)> {
        let low_is_bad = matches!(self.measure.as_str(), "up" | "available_bytes");
        points.iter().copied().reduce(|worst, point| {
            let is_worse = if low_is_bad {
                point.1 < worst.1
            } else {
                point.1 > worst.1
            };
            if is_worse { point } else { worst }
        })
    }
}

/// What is kept of the range, by component and measure; of one component when it is named.
///
/// # Errors
/// Those of the store.
pub async fn history(
    metrics: &dyn MetricsStore,
    component: Option<&str>,
    range: TimeRange,
) -> Result<Vec<Series>, StoreError> {
    let samples = metrics
        .health_samples(component, range, MOST_SAMPLES)
        .await?;
    let mut series: BTreeMap<(String, String), Vec<(Timestamp, f64)>> = BTreeMap::new();
    for sample in samples {
        series
            .entry((sample.component, sample.measure))
            .or_default()
            .push((sample.taken_at, sample.value));
    }
    let series = series
        .into_iter()
        .map(|((component, measure), points)| Series {
            component,
            measure,
            points,
        });
    Ok(series.collect())
}
