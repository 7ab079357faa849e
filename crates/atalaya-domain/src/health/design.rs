//! The state of our own keyspace against what its schema intends: copies, windows, lifetimes.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::{Advice, Check, Status};
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Design {
    pub replication: Option<KeyspaceReplication>,
    /// What the keyspace itself says it is set to.
    pub settings: Option<LogSettings>,
    /// Tables with records in them, and their index.
    pub tables: Vec<TableOptions>,
    /// The oldest day that holds records, over both layers.
    pub oldest_day: Option<NaiveDate>,
    pub sample: Option<Sample>,
    /// Nodes of each datacenter.
    pub nodes: BTreeMap<String, u64>,
    /// What could not be read, with the reason.
    pub not_told: Vec<String>,
}

/// The settings that all hosts share, kept in the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LogSettings {
    /// 0: kept for ever.
    pub retention_days: u32,
    /// Days of a compaction window.
    pub window_days: u32,
}

/// How many copies of each record are kept, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyspaceReplication {
    /// Without its package: `NetworkTopologyStrategy`.
    pub class: String,
    /// By datacenter; with `SimpleStrategy` one entry with an empty name.
    pub copies: BTreeMap<String, u64>,
}

impl KeyspaceReplication {
    pub fn copies_in(&self, datacenter: Option<&str>) -> Option<u64> {
        self.copies
            .get(datacenter.unwrap_or_default())
            .or_else(|| self.copies.get(""))
            .copied()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableOptions {
    pub table: String,
    /// Without its package.
    pub compaction: String,
    /// Of a `TimeWindowCompactionStrategy`.
    pub window_seconds: Option<u64>,
    pub compression: Option<String>,
    pub chunk_kib: Option<u64>,
    /// 0: none.
    pub default_ttl_seconds: u64,
}

/// A look at some rows of some partitions, old and new: never at all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub partitions: u64,
    pub rows: u64,
    /// Rows that no TTL will ever remove.
    pub without_ttl: u64,
    /// Rows whose newest record is older than the retention.
    pub overdue: u64,
    /// The age of the oldest of these, in days.
    pub oldest_overdue_days: Option<u64>,
}

/// Cassandra's documentation asks for 20 to 30 windows per TTL.
const WINDOWS: std::ops::RangeInclusive<u64> = 20..=30;
/// More than this and a read over all days opens too many files.
const WINDOWS_LIMIT: u64 = 60;
const DAY_SECONDS: u64 = 86_400;

impl Design {
    pub fn checks(&self, now: Timestamp) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.extend(self.copies());
        checks.extend(self.compaction());
        checks.extend(self.windows());
        checks.extend(self.retention(now));
        checks.extend(self.lifetimes());
        checks
    }

    fn retention_seconds(&self) -> Option<u64> {
        let days = u64::from(self.settings?.retention_days);
        (days > 0).then_some(days * DAY_SECONDS)
    }

    fn copies(&self) -> Option<Check> {
        let replication = self.replication.as_ref()?;
        let mut status = Status::Ok;
        let mut words = Vec::new();
        for (datacenter, copies) in &replication.copies {
            let nodes = match datacenter.as_str() {
                "" => self.nodes.values().sum(),
                name => self.nodes.get(name).copied().unwrap_or(0),
            };
            let place = if datacenter.is_empty() {
                String::new()
            } else {
                format!(" in {datacenter}")
            };
            let noun = if *copies == 1 { "copy" } else { "copies" };
            let on = if nodes == 1 { "node" } else { "nodes" };
            words.push(format!(
                "{copies} {noun} of each record on {nodes} {on}{place}"
            ));
            if *copies > nodes {
                status = status.max(if copies / 2 + 1 > nodes {
                    Status::Failing
                } else {
                    Status::Degraded
                });
                words.push("more copies than nodes".to_owned());
            } else if *copies == 1 && nodes > 1 {
                status = status.max(Status::Degraded);
                words.push("the records of a lost node are lost".to_owned());
            }
        }
        if replication.class == "SimpleStrategy" && self.nodes.len() > 1 {
            status = status.max(Status::Degraded);
            words.push("SimpleStrategy does not know of datacenters".to_owned());
        }
        Some(Check {
            name: "log replication".to_owned(),
            status,
            message: words.join("; "),
        })
    }

    fn compaction(&self) -> Option<Check> {
        if self.tables.is_empty() {
            return None;
        }
        let others: Vec<String> = self
            .tables
            .iter()
            .filter(|table| table.compaction != "TimeWindowCompactionStrategy")
            .map(|table| format!("{} has {}", table.table, table.compaction))
            .collect();
        let mut troubles = others;
        if let Some(settings) = self.settings {
            let wanted = u64::from(settings.window_days) * DAY_SECONDS;
            for table in &self.tables {
                if let Some(window) = table.window_seconds.filter(|window| *window != wanted) {
                    troubles.push(format!(
                        "{} has windows of {}, the settings say {} days",
                        table.table,
                        length(window),
                        settings.window_days
                    ));
                }
            }
        }
        for table in &self.tables {
            if table.compression.is_none() {
                troubles.push(format!("{} is not compressed", table.table));
            }
        }
        let (status, message) = if troubles.is_empty() {
            let compressors: std::collections::BTreeSet<&str> = self
                .tables
                .iter()
                .filter_map(|table| table.compression.as_deref())
                .collect();
            let compressors = compressors.into_iter().collect::<Vec<_>>().join(", ");
            (
                Status::Ok,
                format!(
                    "{} tables by time windows, {compressors}",
                    self.tables.len()
                ),
            )
        } else {
            (
                Status::Degraded,
                format!(
                    "{}; `atalaya db migrate` sets them right",
                    troubles.join("; ")
                ),
            )
        };
        Some(Check {
            name: "log tables".to_owned(),
            status,
            message,
        })
    }

    fn windows(&self) -> Option<Check> {
        let retention = self.retention_seconds()?;
        let window = self
            .tables
            .iter()
            .filter_map(|table| table.window_seconds)
            .min()?;
        let windows = retention.div_ceil(window.max(1));
        let status = if windows > WINDOWS_LIMIT {
            Status::Degraded
        } else {
            Status::Ok
        };
        Some(Check {
            name: "log windows".to_owned(),
            status,
            message: format!(
                "{windows} windows of {} in {} days, advised {} to {}, limit {WINDOWS_LIMIT}",
                length(window),
                retention / DAY_SECONDS,
                WINDOWS.start(),
                WINDOWS.end()
            ),
        })
    }

    /// Records older than the retention: there must be none. A row lives until its newest record
    /// is too old, and a day until its last row is, so a day more than the retention may be seen.
    fn retention(&self, now: Timestamp) -> Option<Check> {
        let settings = self.settings?;
        let name = "log retention".to_owned();
        if settings.retention_days == 0 {
            let message = "records are kept for ever (retention_days is 0)".to_owned();
            return Some(Check {
                name,
                status: Status::Ok,
                message,
            });
        }
        if let Some(sample) = self.sample.as_ref().filter(|sample| sample.overdue > 0) {
            let age = sample.oldest_overdue_days.unwrap_or(0);
            let message = format!(
                "{} of {} rows looked at are older than {} days, up to {age} days",
                sample.overdue, sample.rows, settings.retention_days
            );
            return Some(Check {
                name,
                status: Status::Failing,
                message,
            });
        }
        let Some(oldest) = self.oldest_day else {
            return Some(Check {
                name,
                status: Status::Ok,
                message: "no records yet".to_owned(),
            });
        };
        let age = now
            .to_utc()
            .date_naive()
            .signed_duration_since(oldest)
            .num_days();
        let status = if age > i64::from(settings.retention_days) + 1 {
            Status::Failing
        } else {
            Status::Ok
        };
        let message = format!(
            "oldest day {oldest}, {age} days ago, limit {} days",
            settings.retention_days
        );
        Some(Check {
            name,
            status,
            message,
        })
    }

    fn lifetimes(&self) -> Option<Check> {
        self.retention_seconds()?;
        let sample = self.sample.as_ref()?;
        let (status, message) = if sample.without_ttl > 0 {
            (
                Status::Failing,
                format!(
                    "{} of {} rows looked at have no TTL: they stay for ever",
                    sample.without_ttl, sample.rows
                ),
            )
        } else {
            let partitions = sample.partitions;
            (
                Status::Ok,
                format!(
                    "all {} rows looked at in {partitions} partitions have one",
                    sample.rows
                ),
            )
        };
        Some(Check {
            name: "log ttl".to_owned(),
            status,
            message,
        })
    }

    pub fn advice(&self) -> Vec<Advice> {
        let mut advice = Vec::new();
        if let Some(retention) = self.retention_seconds()
            && let Some(window) = self
                .tables
                .iter()
                .filter_map(|table| table.window_seconds)
                .min()
        {
            let windows = retention.div_ceil(window.max(1));
            if !WINDOWS.contains(&windows) && windows <= WINDOWS_LIMIT {
                let days = (retention / DAY_SECONDS).div_ceil(*WINDOWS.end()).max(1);
                // With fewer days than windows asked for, a day is the finest window there is.
                if days * DAY_SECONDS != window {
                    advice.push(Advice {
                        name: "windows".to_owned(),
                        message: format!(
                            "{windows} compaction windows in the retention; {days} days a window would make {}",
                            (retention / DAY_SECONDS).div_ceil(days)
                        ),
                    });
                }
            }
        }
        let others: Vec<&str> = self
            .tables
            .iter()
            .filter(|table| {
                // The summaries are read one by one: there small blocks are right.
                table.table.ends_with("_logs")
                    && (table
                        .compression
                        .as_deref()
                        .is_some_and(|class| class != "ZstdCompressor")
                        || table.chunk_kib.is_some_and(|kib| kib < 64))
            })
            .map(|table| table.table.as_str())
            .collect();
        if !others.is_empty() {
            advice.push(Advice {
                name: "compression".to_owned(),
                message: format!(
                    "ZstdCompressor with chunk_length_in_kb 64 takes about half the disk of LZ4 ({})",
                    others.join(", ")
                ),
            });
        }
        let nodes: u64 = self.nodes.values().sum();
        if nodes == 1 && self.replication.is_some() {
            advice.push(Advice {
                name: "copies".to_owned(),
                message:
                    "one node keeps the only copy; three nodes with three copies survive the loss of one"
                        .to_owned(),
            });
        }
        advice
    }
}

/// `3 days`, `6 h`, `90 s`.
fn length(seconds: u64) -> String {
    match seconds {
        DAY_SECONDS => "1 day".to_owned(),
        _ if seconds.is_multiple_of(DAY_SECONDS) => format!("{} days", seconds / DAY_SECONDS),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn table(name: &str) -> TableOptions {
        TableOptions {
            table: name.to_owned(),
            compaction: "TimeWindowCompactionStrategy".to_owned(),
            window_seconds: Some(3 * DAY_SECONDS),
            compression: Some("ZstdCompressor".to_owned()),
            chunk_kib: Some(64),
            default_ttl_seconds: 90 * DAY_SECONDS,
        }
    }

    fn design() -> Design {
        Design {
            replication: Some(KeyspaceReplication {
                class: "NetworkTopologyStrategy".to_owned(),
                copies: BTreeMap::from([("dc1".to_owned(), 3)]),
            }),
            settings: Some(LogSettings {
                retention_days: 90,
                window_days: 3,
            }),
            tables: vec![table("application_logs"), table("infrastructure_logs")],
            oldest_day: NaiveDate::from_ymd_opt(2026, 8, 24),
            sample: Some(Sample {
                partitions: 8,
                rows: 400,
                ..Sample::default()
            }),
            nodes: BTreeMap::from([("dc1".to_owned(), 3)]),
            not_told: Vec::new(),
        }
    }

    /// 2026-11-22, 90 days after the oldest day above.
    fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_305_600)
    }

    fn of(design: &Design, name: &str) -> Check {
        design
            .checks(now())
            .into_iter()
            .find(|check| check.name == name)
            .unwrap()
    }

    #[test]
    fn a_keyspace_as_intended_is_ok_and_needs_no_advice() {
        let design = design();
        let checks = design.checks(now());
        assert!(
            checks.iter().all(|check| check.status == Status::Ok),
            "{checks:#?}"
        );
        assert_eq!(checks.len(), 5);
        assert_eq!(design.advice(), []);
    }

    #[test]
    fn copies_are_held_against_the_nodes_there_are() {
        for (copies, nodes, expected) in [
            (3, 3, Status::Ok),
            (3, 2, Status::Degraded),
            (3, 1, Status::Failing),
            (1, 3, Status::Degraded),
            (1, 1, Status::Ok),
        ] {
            let mut design = design();
            design.replication.as_mut().unwrap().copies =
                BTreeMap::from([("dc1".to_owned(), copies)]);
            design.nodes = BTreeMap::from([("dc1".to_owned(), nodes)]);
            assert_eq!(
                of(&design, "log replication").status,
                expected,
                "{copies} on {nodes}"
            );
        }
    }

    #[test]
    fn a_day_past_the_retention_may_be_seen_and_two_may_not() {
        for (day, expected) in [(24, Status::Ok), (23, Status::Ok), (22, Status::Failing)] {
            let mut design = design();
            design.oldest_day = NaiveDate::from_ymd_opt(2026, 8, day);
            assert_eq!(
                of(&design, "log retention").status,
                expected,
                "2026-08-{day}"
            );
        }
    }

    #[test]
    fn overdue_rows_and_rows_for_ever_are_failures() {
        let mut design = design();
        let sample = design.sample.as_mut().unwrap();
        sample.overdue = 2;
        sample.oldest_overdue_days = Some(97);
        sample.without_ttl = 1;
        assert_eq!(of(&design, "log retention").status, Status::Failing);
        assert!(of(&design, "log retention").message.contains("97 days"));
        assert_eq!(of(&design, "log ttl").status, Status::Failing);
        // Kept for ever on purpose: nothing is overdue and no TTL is missed.
        design.settings = Some(LogSettings {
            retention_days: 0,
            window_days: 3,
        });
        assert_eq!(of(&design, "log retention").status, Status::Ok);
        assert!(
            design
                .checks(now())
                .iter()
                .all(|check| check.name != "log ttl")
        );
    }

    #[test]
    fn windows_are_counted_against_the_retention() {
        let mut design = design();
        for table in &mut design.tables {
            table.window_seconds = Some(DAY_SECONDS);
        }
        design.settings = Some(LogSettings {
            retention_days: 90,
            window_days: 1,
        });
        assert_eq!(of(&design, "log windows").status, Status::Degraded);
        design.settings = Some(LogSettings {
            retention_days: 45,
            window_days: 1,
        });
        assert_eq!(of(&design, "log windows").status, Status::Ok);
        assert!(
            design
                .advice()
                .iter()
                .any(|advice| advice.name == "windows")
        );
        // A week in windows of a day is as fine as it gets.
        design.settings = Some(LogSettings {
            retention_days: 7,
            window_days: 1,
        });
        assert_eq!(design.advice(), []);
    }

    #[test]
    fn a_table_that_somebody_altered_is_named() {
        let mut design = design();
        design.tables[0].compaction = "SizeTieredCompactionStrategy".to_owned();
        design.tables[0].window_seconds = None;
        let check = of(&design, "log tables");
        assert_eq!(check.status, Status::Degraded);
        assert!(
            check
                .message
                .contains("application_logs has SizeTieredCompactionStrategy")
        );
    }
}
