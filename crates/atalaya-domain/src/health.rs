//! Health as values: what was measured, and the rules that turn a measurement into a verdict.

use std::time::Duration;

use serde::Serialize;

use self::database::Database;
use self::ring::Ring;
use self::worker::Worker;
use super::time::Timestamp;

pub mod database;
pub mod design;
pub mod ring;
pub mod worker;

/// The order is the meaning: a whole is as bad as its worst part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Degraded,
    Failing,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Stable, for scripts: `disk /`, `memory`, `logs store` …
    pub name: String,
    pub status: Status,
    /// The measurement in words, with the limit where one was passed.
    pub message: String,
}

/// Something that would be better otherwise, and is no fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Stable, for scripts: `memtables`, `windows` …
    pub name: String,
    /// What to do, and what it gives.
    pub message: String,
}

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    pub mount: String,
    pub total_bytes: u64,
    pub available_bytes: u64,
}

impl Disk {
    /// 0 to 1; 0 for a disk without size.
    pub fn used_ratio(&self) -> f64 {
        if self.total_bytes == 0 {
            return 0.0;
        }
        1.0 - self.available_bytes as f64 / self.total_bytes as f64
    }
}

/// The machine that this process runs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    pub name: String,
    pub uptime: Duration,
    pub cores: usize,
    /// Mean number of runnable processes over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    pub memory_total_bytes: u64,
    pub memory_available_bytes: u64,
    pub swap_total_bytes: u64,
    pub swap_used_bytes: u64,
    /// By mount point; the one that holds the data directory is marked by `data_mount`.
    pub disks: Vec<Disk>,
    pub data_mount: Option<String>,
}

impl Host {
    /// 0 to 1.
    pub fn memory_used_ratio(&self) -> f64 {
        if self.memory_total_bytes == 0 {
            return 0.0;
        }
        1.0 - self.memory_available_bytes as f64 / self.memory_total_bytes as f64
    }
}

/// One store, asked a small question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoreHealth {
    /// `logs` or `metrics`.
    pub name: &'static str,
    pub backend: String,
    pub address: String,
    /// How long the question took.
    pub latency: Duration,
    pub records: Option<u64>,
    pub disk_bytes: Option<u64>,
    /// Why it did not answer.
    pub problem: Option<String>,
    /// Why it can only be read.
    pub read_only: Option<String>,
}

/// What the follower of files on this host said last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IngestLag {
    /// How long the oldest line that is not stored has waited.
    pub seconds: f64,
    /// Of the followed files, not stored yet.
    pub bytes: u64,
    /// Used part of the spool, 0 to 1; `None` without a spool.
    pub spool_used_ratio: Option<f64>,
}

/// Everything that was measured at one time, with the verdicts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    pub at: Timestamp,
    /// `None` when the machine could not be measured; a check then says why.
    pub host: Option<Host>,
    pub stores: Vec<StoreHealth>,
    /// The disk that the backups are on; `None` when it cannot be asked.
    pub backup_disk: Option<Disk>,
    /// `None` when nobody follows files here.
    pub ingest: Option<IngestLag>,
    /// The servers behind the log store; `None` for an embedded one, or when none answered yet.
    pub ring: Option<Ring>,
    pub metrics_database: Option<Database>,
    pub checks: Vec<Check>,
    pub advice: Vec<Advice>,
}

impl Health {
    pub fn new(at: Timestamp, host: Result<Host, String>, stores: Vec<StoreHealth>) -> Self {
        let mut checks = match &host {
            Ok(host) => host_checks(host),
            Err(reason) => {
                vec![Check {
                    name: "host".to_owned(),
                    status: Status::Failing,
                    message: reason.clone(),
                }]
            }
        };
        checks.extend(stores.iter().map(store_check));
        Self {
            at,
            host: host.ok(),
            stores,
            backup_disk: None,
            ingest: None,
            ring: None,
            metrics_database: None,
            checks,
            advice: Vec::new(),
        }
    }

    /// … with what the servers behind the stores say.
    #[must_use]
    pub fn with_servers(mut self, ring: Option<Ring>, metrics_database: Option<Database>) -> Self {
        if let Some(ring) = &ring {
            self.checks.extend(ring.checks(self.at));
            self.advice.extend(ring.advice());
        }
        if let Some(database) = &metrics_database {
            self.checks.extend(database.checks());
        }
        self.ring = ring;
        self.metrics_database = metrics_database;
        self
    }

    /// … with the disk of the backups, and what the follower of files says.
    #[must_use]
    pub fn with_places(mut self, backup_disk: Option<Disk>, ingest: Option<IngestLag>) -> Self {
        self.backup_disk = backup_disk;
        self.ingest = ingest;
        self
    }

    /// … with how many records a store refused for good and that lie aside.
    #[must_use]
    pub fn with_quarantine(mut self, kept: Result<usize, String>) -> Self {
        let (status, message) = match kept {
            Ok(0) => (Status::Ok, "nothing is set aside".to_owned()),
            Ok(kept) => (
                Status::Degraded,
                format!("{kept} records are set aside, see `atalaya quarantine list`"),
            ),
            Err(reason) => (Status::Degraded, reason),
        };
        self.checks.push(Check {
            name: "quarantine".to_owned(),
            status,
            message,
        });
        self
    }

    /// … with what else was looked at.
    #[must_use]
    pub fn with_checks(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }

    /// … with what the background workers of this process do.
    #[must_use]
    pub fn with_workers(mut self, workers: &[Worker]) -> Self {
        let checks = workers.iter().map(|worker| worker.check(self.at));
        self.checks.extend(checks);
        self
    }

    /// The worst of the checks.
    pub fn status(&self) -> Status {
        self.checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(Status::Ok)
    }
}

/// Used part of a disk from which it is degraded, and failing. Source: the older tool's capacity
/// alerts (75/90 for its warning and critical) with its backup-disk alert at 80.
const DISK_LIMITS: (f64, f64) = (0.80, 0.90);
/// Used part of the memory. Source: the same list, 85/95.
const MEMORY_LIMITS: (f64, f64) = (0.85, 0.95);
/// Load over 5 minutes for each core.
const LOAD_LIMITS: (f64, f64) = (2.0, 8.0);
/// A store that takes longer than this to count itself is slow.
const STORE_LATENCY_LIMIT: Duration = Duration::from_secs(10);

/// From which value on a sampled measure of a component (`disk/web-1:/`) is degraded; `None` where
/// only people can say.
pub fn limit_of(component: &str, measure: &str) -> Option<f64> {
    let kind = component.split('/').next().unwrap_or(component);
    match (kind, measure) {
        ("disk", "used_ratio") => Some(DISK_LIMITS.0),
        ("host", "memory_used_ratio") => Some(MEMORY_LIMITS.0),
        ("logs" | "metrics", "latency_ms") => Some(STORE_LATENCY_LIMIT.as_secs_f64() * 1_000.0),
        _ => None,
    }
}

fn judge(value: f64, (degraded, failing): (f64, f64)) -> Status {
    if value >= failing {
        Status::Failing
    } else if value >= degraded {
        Status::Degraded
    } else {
        Status::Ok
    }
}

fn host_checks(host: &Host) -> Vec<Check> {
    let mut checks = Vec::new();
    for disk in &host.disks {
        let ratio = disk.used_ratio();
        checks.push(Check {
            name: format!("disk {}", disk.mount),
            status: judge(ratio, DISK_LIMITS),
            message: format!(
                "{:.0} % used, limit {:.0} %",
                ratio * 100.0,
                DISK_LIMITS.0 * 100.0
            ),
        });
    }
    let ratio = host.memory_used_ratio();
    checks.push(Check {
        name: "memory".to_owned(),
        status: judge(ratio, MEMORY_LIMITS),
        message: format!(
            "{:.0} % used, limit {:.0} %",
            ratio * 100.0,
            MEMORY_LIMITS.0 * 100.0
        ),
    });
    let per_core = host.load[1] / host.cores.max(1) as f64;
    checks.push(Check {
        name: "load".to_owned(),
        status: judge(per_core, LOAD_LIMITS),
        message: format!("{:.2} over 5 minutes on {} cores", host.load[1], host.cores),
    });
    checks
}

fn store_check(store: &StoreHealth) -> Check {
    let (status, message) = match (&store.problem, &store.read_only) {
        (Some(problem), _) => (Status::Failing, problem.clone()),
        (None, Some(reason)) => (Status::Degraded, format!("only read: {reason}")),
        (None, None) if store.latency > STORE_LATENCY_LIMIT => (
            Status::Degraded,
            format!("answered only after {:.1} s", store.latency.as_secs_f64()),
        ),
        (None, None) => (
            Status::Ok,
            format!(
                "answered in {:.1} ms",
                store.latency.as_secs_f64() * 1_000.0
            ),
        ),
    };
    Check {
        name: format!("{} store", store.name),
        status,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            name: "web-1".to_owned(),
            uptime: Duration::from_secs(60),
            cores: 2,
            load: [0.1, 0.2, 0.3],
            memory_total_bytes: 100,
            memory_available_bytes: 60,
            swap_total_bytes: 0,
            swap_used_bytes: 0,
            disks: vec![Disk {
                mount: "/".to_owned(),
                total_bytes: 100,
                available_bytes: 40,
            }],
            data_mount: Some("/".to_owned()),
        }
    }

    #[test]
    fn a_quiet_host_is_ok() {
        let health = Health::new(Timestamp::from_seconds(0), Ok(host()), Vec::new());
        assert_eq!(health.status(), Status::Ok);
        assert_eq!(health.checks.len(), 3);
    }

    #[test]
    fn limits_are_inclusive_and_the_worst_part_decides() {
        for (available, expected) in [
            (21, Status::Ok),
            (20, Status::Degraded),
            (10, Status::Failing),
        ] {
            let mut host = host();
            host.disks[0].available_bytes = available;
            assert_eq!(
                Health::new(Timestamp::from_seconds(0), Ok(host), Vec::new()).status(),
                expected
            );
        }
    }

    #[test]
    fn a_disk_without_size_is_not_full() {
        let disk = Disk {
            mount: "/proc".to_owned(),
            total_bytes: 0,
            available_bytes: 0,
        };
        assert!(disk.used_ratio().abs() < f64::EPSILON);
    }

    #[test]
    fn a_silent_store_is_failing_with_its_reason() {
        let store = StoreHealth {
            name: "logs",
            backend: "SQLite".to_owned(),
            address: "logs.db".to_owned(),
            latency: Duration::ZERO,
            records: None,
            disk_bytes: None,
            problem: Some("disk full".to_owned()),
            read_only: None,
        };
        let health = Health::new(Timestamp::from_seconds(0), Ok(host()), vec![store]);
        assert_eq!(health.status(), Status::Failing);
        assert!(
            health
                .checks
                .iter()
                .any(|check| check.message == "disk full")
        );
    }
}
