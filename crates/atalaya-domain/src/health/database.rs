//! The database of the metrics: what it says of its size, its work and its order.

use serde::Serialize;

use super::{Check, Status};

/// Figures of one database; whatever it does not tell is `None`. Counters are since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Database {
    /// `11.8.2-MariaDB`, `3.50.4` …
    pub version: Option<String>,
    pub uptime_seconds: Option<u64>,
    pub disk_bytes: Option<u64>,
    /// Of our own database, largest first.
    pub tables: Vec<TableSize>,
    /// Statements that took longer than the server's own `long_query_time`.
    pub slow_queries: Option<u64>,
    pub long_query_seconds: Option<f64>,
    pub statements: Option<u64>,
    pub threads_connected: Option<u64>,
    pub threads_running: Option<u64>,
    pub threads_limit: Option<u64>,
    /// Joins that had no index to use.
    pub joins_without_index: Option<u64>,
    /// Indexes of our tables that nothing ever used, where the server keeps count.
    pub unused_indexes: Option<Vec<String>>,
    /// Rows that name a row which is not there. Foreign keys hold, so this is 0 unless somebody
    /// switched them off.
    pub orphans: Option<u64>,
    pub innodb: Option<Innodb>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableSize {
    pub table: String,
    /// The database's own estimate where counting would read the table.
    pub rows: u64,
    pub bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Innodb {
    /// Pages found in memory, 0 to 1; `None` before anything was read.
    pub buffer_hit_ratio: Option<f64>,
    pub buffer_bytes: Option<u64>,
    pub dirty_ratio: Option<f64>,
    pub row_lock_waits: Option<u64>,
    pub row_lock_mean_ms: Option<f64>,
    pub deadlocks: Option<u64>,
    /// Versions of rows that still wait to be purged.
    pub history_length: Option<u64>,
    /// Waits for room in the log.
    pub log_waits: Option<u64>,
}

/// Part of the connections in use from which it is degraded, and failing. Source: the older tool's
/// capacity alerts for connections.
const CONNECTION_LIMITS: (f64, f64) = (0.80, 0.95);
/// Part of the statements that may be slow: one in a hundred.
const SLOW_LIMIT: f64 = 0.01;
/// Below this many statements a ratio says nothing.
const ENOUGH_STATEMENTS: u64 = 1_000;
/// Purge that is this far behind makes every read walk old versions. Source: the MySQL manual's
/// advice to watch the history list, and its `innodb_max_purge_lag` examples (a million).
const HISTORY_LIMIT: u64 = 1_000_000;

impl Database {
    pub fn checks(&self) -> Vec<Check> {
        let mut troubles: Vec<(Status, String)> = Vec::new();
        if let Some(orphans @ 1..) = self.orphans {
            troubles.push((Status::Failing, format!("{orphans} orphan rows, limit 0")));
        }
        if let (Some(used), Some(limit @ 1..)) = (self.threads_connected, self.threads_limit) {
            let status = super::judge(used as f64 / limit as f64, CONNECTION_LIMITS);
            if status != Status::Ok {
                troubles.push((status, format!("{used} of {limit} connections are in use")));
            }
        }
        if let (Some(slow @ 1..), Some(all @ ENOUGH_STATEMENTS..)) =
            (self.slow_queries, self.statements)
        {
            let ratio = slow as f64 / all as f64;
            if ratio > SLOW_LIMIT {
                let percent = ratio * 100.0;
                troubles.push((
                    Status::Degraded,
                    format!(
                        "{slow} slow statements ({percent:.1} %), limit {:.0} %",
                        SLOW_LIMIT * 100.0
                    ),
                ));
            }
        }
        if let Some(innodb) = &self.innodb {
            if let Some(history) = innodb
                .history_length
                .filter(|length| *length > HISTORY_LIMIT)
            {
                troubles.push((
                    Status::Degraded,
                    format!("{history} old row versions wait to be purged, limit {HISTORY_LIMIT}"),
                ));
            }
            if let Some(waits @ 1..) = innodb.log_waits {
                troubles.push((
                    Status::Degraded,
                    format!("{waits} waits for room in the InnoDB log, limit 0"),
                ));
            }
        }
        let status = troubles
            .iter()
            .map(|(status, _)| *status)
            .max()
            .unwrap_or(Status::Ok);
        let message = if troubles.is_empty() {
            self.in_words()
        } else {
            troubles
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
                .join("; ")
        };
        vec![Check {
            name: "metrics database".to_owned(),
            status,
            message,
        }]
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    fn in_words(&self) -> String {
        let mut words = vec![format!("{} rows", self.rows())];
        words.extend(self.orphans.map(|orphans| format!("{orphans} orphans")));
        words.extend(
            self.slow_queries
                .map(|slow| format!("{slow} slow statements")),
        );
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(database: &Database) -> Status {
        database.checks()[0].status
    }

    #[test]
    fn what_is_not_told_is_not_judged() {
        assert_eq!(status(&Database::default()), Status::Ok);
    }

    #[test]
    fn one_orphan_is_a_failure() {
        assert_eq!(
            status(&Database {
                orphans: Some(0),
                ..Database::default()
            }),
            Status::Ok
        );
        assert_eq!(
            status(&Database {
                orphans: Some(1),
                ..Database::default()
            }),
            Status::Failing
        );
    }

    #[test]
    fn connections_and_slow_statements_have_limits() {
        let connected = |used| Database {
            threads_connected: Some(used),
            threads_limit: Some(100),
            ..Database::default()
        };
        assert_eq!(status(&connected(79)), Status::Ok);
        assert_eq!(status(&connected(80)), Status::Degraded);
        assert_eq!(status(&connected(95)), Status::Failing);
        let slow = |slow, all| Database {
            slow_queries: Some(slow),
            statements: Some(all),
            ..Database::default()
        };
        assert_eq!(status(&slow(20, 2_000)), Status::Ok);
        assert_eq!(status(&slow(21, 2_000)), Status::Degraded);
        assert_eq!(
            status(&slow(9, 10)),
            Status::Ok,
            "ten statements are no sample"
        );
    }
}
