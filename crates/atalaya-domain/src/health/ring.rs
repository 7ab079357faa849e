//! The Cassandra ring as each of its nodes describes itself, and what is judged of it.
//!
//! Every figure is optional: a node of another version, or one that does not let us read a view,
//! leaves it out, and then nothing is judged of it. Counters are since the node's start.

use serde::Serialize;

use super::design::Design;
use super::{Advice, Check, Status};
use crate::time::Timestamp;

/// Everything that was learnt of one ring at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ring {
    pub cluster: String,
    /// Where the logs are.
    pub keyspace: String,
    /// By datacenter, rack and address.
    pub nodes: Vec<Node>,
    /// The keyspace's own state; `None` when no node could tell.
    pub design: Option<Design>,
}

/// One node: what it says of itself, and what the others say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Node {
    /// Where clients reach it: `10.0.0.1:9042`.
    pub address: String,
    pub host_id: Option<String>,
    pub datacenter: Option<String>,
    pub rack: Option<String>,
    /// Why it did not answer; `None` when it did.
    pub problem: Option<String>,
    /// Its word in the gossip: `NORMAL`, `LEAVING`, `shutdown` …; of a silent node, the word that
    /// the others keep.
    pub state: Option<String>,
    pub version: Option<String>,
    pub schema_version: Option<String>,
    pub tokens: Option<u64>,
    /// Live data as the node counts it.
    pub load_bytes: Option<u64>,
    pub started_at: Option<Timestamp>,
    /// How long its first answer took.
    pub latency_ms: Option<f64>,
    pub clock: Option<ClockDifference>,
    pub measures: Measures,
    pub settings: NodeSettings,
    /// What the other nodes say of this one.
    pub seen_by: Vec<Sight>,
    /// Views that this node does not have or does not show, with the reason.
    pub not_told: Vec<String>,
}

/// How far a node's clock is ahead of ours (negative: behind), give or take the uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockDifference {
    pub ahead_ms: f64,
    /// Half of the time that the question was on its way.
    pub uncertainty_ms: f64,
}

/// One node's view of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sight {
    /// Address of the node that says so.
    pub from: String,
    /// The gossip state that it keeps, or `UP` / `DOWN` where its failure detector tells.
    pub state: String,
    /// Files of hints that it keeps for this node.
    pub hint_files: u64,
    pub oldest_hint: Option<Timestamp>,
}

/// What a node has to do and how it fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Compactions that run.
    pub compactions: Option<u64>,
    /// … and those that wait for a thread. (How many more the strategies plan is told by JMX only.)
    pub compactions_queued: Option<u64>,
    /// Least advanced running task, 0 to 1.
    pub compaction_ratio: Option<f64>,
    /// Tasks that wait in any pool.
    pub pending: Option<u64>,
    /// Tasks that cannot even be queued now.
    pub blocked: Option<u64>,
    /// Since the start.
    pub blocked_ever: Option<u64>,
    /// The pool with the longest queue, when one has any.
    pub busiest_pool: Option<Pool>,
    /// Messages between nodes that were dropped: expired before they were sent or handled, or
    /// refused by an overloaded connection.
    pub dropped: Option<u64>,
    /// Messages that were handled or sent.
    pub messages: Option<u64>,
    /// Messages that failed.
    pub message_errors: Option<u64>,
    /// Files of hints kept for other nodes.
    pub hint_files: Option<u64>,
    pub oldest_hint: Option<Timestamp>,
    /// Disk of all tables.
    pub disk_bytes: Option<u64>,
    /// Disk of our keyspace.
    pub keyspace_bytes: Option<u64>,
    /// `SPACIOUS`, `STUFFED` or `FULL`, where the disk guardrail is on.
    pub disk_state: Option<String>,
    pub snapshots: Option<u64>,
    pub snapshot_bytes: Option<u64>,
    /// Largest partition of our keyspace.
    pub largest_partition: Option<TableFigure>,
    /// Most tombstones that one read of our keyspace met.
    pub tombstones: Option<TableFigure>,
    /// Slowest p99 of local reads of our tables.
    pub read_p99_ms: Option<f64>,
    pub write_p99_ms: Option<f64>,
    /// Connections of clients.
    pub clients: Option<u64>,
    /// 0 to 1; `None` also when nothing was looked up yet.
    pub key_cache_hit_ratio: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    pub name: String,
    pub active: u64,
    pub limit: u64,
    pub pending: u64,
}

/// A figure of one table. The unit is that of the field that holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableFigure {
    pub table: String,
    pub value: f64,
}

/// Settings of a node that matter here, as it writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeSettings {
    pub memtable_allocation: Option<String>,
    pub memtable_heap: Option<String>,
    pub memtable_offheap: Option<String>,
    /// `big` or `bti`.
    pub sstable_format: Option<String>,
    pub commitlog_sync: Option<String>,
    /// Reads warn from so many tombstones on.
    pub tombstone_warn: Option<u64>,
    /// … and fail from so many on.
    pub tombstone_fail: Option<u64>,
    pub hint_window_ms: Option<u64>,
}

/// Largest advisable partition. Source: the log schema's bound, and Cassandra's own warning
/// (`partition_size_warn_threshold`, 100 MiB in its documentation).
pub const PARTITION_LIMIT_BYTES: f64 = 100.0 * 1024.0 * 1024.0;
/// Cassandra's defaults of `tombstone_warn_threshold` and `tombstone_failure_threshold`.
const TOMBSTONE_LIMITS: (u64, u64) = (1_000, 100_000);
/// Cassandra's default of `max_hint_window`: older hints are no longer made, so a node that was
/// away longer needs a repair.
const HINT_WINDOW_MS: u64 = 3 * 3_600 * 1_000;
/// Part of the messages that may be dropped. One in a thousand is what a stop-the-world pause of a
/// second in a quarter of an hour costs; more is load that the node does not master.
const DROPPED_LIMIT: f64 = 0.001;
/// A queue this many times as long as its pool is wide is more than a burst.
const QUEUE_ROUNDS: u64 = 10;
/// Compactions that wait for a thread; more than that and reads meet ever more files.
const COMPACTION_QUEUE_LIMIT: u64 = 20;
/// Clocks further apart than this order writes of two hosts wrongly by more than a person would
/// forgive in a log; ten times that lets TTLs and leases lie.
const CLOCK_LIMITS_MS: (f64, f64) = (1_000.0, 10_000.0);

impl Measures {
    /// Work that waits where it should not.
    fn queues(&self) -> Vec<(Status, String)> {
        let mut waiting = Vec::new();
        if let Some(blocked @ 1..) = self.blocked {
            waiting.push(format!("{blocked} tasks are blocked, limit 0"));
        }
        if let Some(pool) = &self.busiest_pool {
            let limit = QUEUE_ROUNDS * pool.limit.max(1);
            if pool.pending >= limit && pool.name != "CompactionExecutor" {
                waiting.push(format!(
                    "{} tasks wait for {}, limit {limit}",
                    pool.pending, pool.name
                ));
            }
        }
        if let Some(queued) = self
            .compactions_queued
            .filter(|queued| *queued >= COMPACTION_QUEUE_LIMIT)
        {
            waiting.push(format!(
                "{queued} compactions wait, limit {COMPACTION_QUEUE_LIMIT}"
            ));
        }
        waiting
            .into_iter()
            .map(|text| (Status::Degraded, text))
            .collect()
    }

    fn dropped_messages(&self) -> Option<(Status, String)> {
        let (dropped @ 1.., messages) = (self.dropped?, self.messages?) else {
            return None;
        };
        let ratio = dropped as f64 / (messages + dropped) as f64;
        let percent = ratio * 100.0;
        (ratio >= DROPPED_LIMIT).then(|| {
            (
                Status::Degraded,
                format!(
                    "{dropped} messages dropped ({percent:.2} %), limit {} %",
                    DROPPED_LIMIT * 100.0
                ),
            )
        })
    }
}

impl Node {
    pub fn is_up(&self) -> bool {
        self.problem.is_none()
    }

    /// Up and not on its way in or out; a word that is not known counts as normal.
    pub fn is_normal(&self) -> bool {
        self.is_up()
            && self.state.as_deref().is_none_or(|state| {
                ![
                    "LEAVING",
                    "JOINING",
                    "MOVING",
                    "BOOT",
                    "LEFT",
                    "SHUTDOWN",
                    "REMOVING",
                    "HIBERNATE",
                ]
                .iter()
                .any(|word| state.to_ascii_uppercase().starts_with(word))
            })
    }

    /// `UN` as nodetool writes it: up or down, and the state.
    pub fn letters(&self) -> String {
        let up = if self.is_up() { 'U' } else { 'D' };
        let state =
            self.state
                .as_deref()
                .map_or('?', |state| match state.to_ascii_uppercase().as_str() {
                    state if state.starts_with("NORMAL") => 'N',
                    state if state.starts_with("LEAVING") => 'L',
                    state if state.starts_with("JOINING") || state.starts_with("BOOT") => 'J',
                    state if state.starts_with("MOVING") => 'M',
                    state if state.starts_with("SHUTDOWN") => 'S',
                    _ => '?',
                });
        format!("{up}{state}")
    }

    /// Everything that is not as it should be, worst first: each with its limit.
    pub fn troubles(&self, now: Timestamp) -> Vec<(Status, String)> {
        if let Some(problem) = &self.problem {
            let mut text = format!("down: {problem}");
            if let Some(sight) = self.seen_by.first() {
                text.push_str(&format!(" ({} sees it {})", sight.from, sight.state));
            }
            return vec![(Status::Degraded, text)];
        }
        let mut troubles = Vec::new();
        if !self.is_normal()
            && let Some(state) = &self.state
        {
            troubles.push((Status::Degraded, format!("is {state}")));
        }
        troubles.extend(self.measures.queues());
        troubles.extend(self.measures.dropped_messages());
        troubles.extend(self.old_hints(now));
        match self.measures.disk_state.as_deref() {
            Some("FULL") => troubles.push((Status::Failing, "its disk is FULL".to_owned())),
            Some("STUFFED") => troubles.push((Status::Degraded, "its disk is STUFFED".to_owned())),
            _ => {}
        }
        troubles.extend(self.tombstones());
        troubles.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
        troubles
    }

    fn old_hints(&self, now: Timestamp) -> Option<(Status, String)> {
        let window = self.settings.hint_window_ms.unwrap_or(HINT_WINDOW_MS);
        let oldest = self.measures.oldest_hint?;
        let hours = window / 3_600_000;
        (u128::from(window) < now.since(oldest).as_millis()).then(|| {
            (
                Status::Degraded,
                format!("keeps hints older than the window of {hours} h: that node needs a repair"),
            )
        })
    }

    fn tombstones(&self) -> Option<(Status, String)> {
        let worst = self.measures.tombstones.as_ref()?;
        let warn = self.settings.tombstone_warn.unwrap_or(TOMBSTONE_LIMITS.0) as f64;
        let fail = self.settings.tombstone_fail.unwrap_or(TOMBSTONE_LIMITS.1) as f64;
        if worst.value < warn {
            return None;
        }
        let status = if worst.value >= fail {
            Status::Failing
        } else {
            Status::Degraded
        };
        Some((
            status,
            format!(
                "a read of {} met {:.0} tombstones, limit {warn:.0}",
                worst.table, worst.value
            ),
        ))
    }

    fn check(&self, now: Timestamp) -> Check {
        let troubles = self.troubles(now);
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
        Check {
            name: format!("node {}", self.address),
            status,
            message,
        }
    }

    /// What a node that is well says in one line.
    fn in_words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.state.clone());
        words.extend(self.version.clone());
        if let Some(load) = self.load_bytes {
            words.push(format!("{:.1} MiB", load as f64 / (1024.0 * 1024.0)));
        }
        words.extend(
            self.latency_ms
                .map(|latency| format!("answered in {latency:.1} ms")),
        );
        words.join(", ")
    }
}

impl Ring {
    /// How many of the nodes answered.
    pub fn up(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_up()).count()
    }

    /// Nodes of a datacenter that may be away before some data has no quorum there, and how many
    /// copies there are; `None` when the replication is not known.
    fn spare(&self, datacenter: Option<&str>) -> Option<(u64, u64)> {
        let replication = self.design.as_ref()?.replication.as_ref()?;
        let copies = replication.copies_in(datacenter)?;
        let quorum = copies / 2 + 1;
        Some((copies.saturating_sub(quorum), copies))
    }

    pub fn checks(&self, now: Timestamp) -> Vec<Check> {
        let mut checks = vec![self.presence()];
        checks.extend(self.nodes.iter().map(|node| node.check(now)));
        checks.extend(self.agreement("ring schema", "schema version", |node| {
            node.schema_version.as_deref()
        }));
        checks.extend(self.agreement("ring release", "release", |node| node.version.as_deref()));
        checks.extend(self.clocks());
        if let Some(design) = &self.design {
            checks.extend(design.checks(now));
            checks.extend(self.largest_partition());
        }
        checks
    }

    /// What would make the ring better without being a fault of it: said once, whatever the number
    /// of nodes.
    pub fn advice(&self) -> Vec<Advice> {
        let mut advice = Vec::new();
        let lacking = |wanted: &dyn Fn(&NodeSettings) -> Option<bool>| -> Vec<&str> {
            let lacks = |node: &&Node| wanted(&node.settings) == Some(false);
            self.nodes
                .iter()
                .filter(lacks)
                .map(|node| node.address.as_str())
                .collect()
        };
        let heap = lacking(&|settings| {
            settings
                .memtable_allocation
                .as_deref()
                .map(|value| value.starts_with("offheap"))
        });
        if !heap.is_empty() {
            advice.push(Advice {
                name: "memtables".to_owned(),
                message: format!(
                    "memtable_allocation_type: offheap_objects in cassandra.yaml takes about half of the \
                     server's work off each record (now on the heap: {})",
                    heap.join(", ")
                ),
            });
        }
        // The format came with Cassandra 5.
        let since_5 = |node: &&Node| {
            let major = node
                .version
                .as_deref()
                .and_then(|version| version.split('.').next()?.parse::<u32>().ok());
            major.is_some_and(|major| major >= 5)
                && node
                    .settings
                    .sstable_format
                    .as_deref()
                    .is_some_and(|format| !format.starts_with("bti"))
        };
        let big: Vec<&str> = self
            .nodes
            .iter()
            .filter(since_5)
            .map(|node| node.address.as_str())
            .collect();
        if !big.is_empty() {
            advice.push(Advice {
                name: "sstables".to_owned(),
                message: format!(
                    "sstable.selected_format: bti with storage_compatibility_mode: NONE reads and writes \
                     faster (now big: {})",
                    big.join(", ")
                ),
            });
        }
        if let Some(design) = &self.design {
            advice.extend(design.advice());
        }
        advice
    }

    fn presence(&self) -> Check {
        let (up, all) = (self.up(), self.nodes.len());
        let mut status = if up == all && all > 0 {
            Status::Ok
        } else {
            Status::Degraded
        };
        let mut message = format!("{up} of {all} nodes up");
        if up == 0 {
            status = Status::Failing;
        }
        let mut datacenters: Vec<Option<&str>> = self
            .nodes
            .iter()
            .map(|node| node.datacenter.as_deref())
            .collect();
        datacenters.sort_unstable();
        datacenters.dedup();
        for datacenter in datacenters {
            let inside = || {
                self.nodes
                    .iter()
                    .filter(move |node| node.datacenter.as_deref() == datacenter)
            };
            let down = inside().filter(|node| !node.is_up()).count() as u64;
            let Some((spare, copies)) = self.spare(datacenter) else {
                continue;
            };
            if down > spare {
                status = Status::Failing;
                message.push_str(&format!(
                    "; {} has {down} down and {copies} {} of each record: some have no quorum",
                    datacenter.unwrap_or("the ring"),
                    if copies == 1 { "copy" } else { "copies" },
                ));
            }
        }
        Check {
            name: "ring".to_owned(),
            status,
            message,
        }
    }

    /// Whether all nodes that answered say the same; nothing for fewer than one.
    fn agreement<'a>(
        &'a self,
        name: &str,
        what: &str,
        value: impl Fn(&'a Node) -> Option<&'a str>,
    ) -> Option<Check> {
        let mut values: Vec<&str> = self
            .nodes
            .iter()
            .filter(|node| node.is_up())
            .filter_map(value)
            .collect();
        values.sort_unstable();
        values.dedup();
        let (status, message) = match &values[..] {
            [] => return None,
            [one] => (
                Status::Ok,
                format!("{what} {one} on every node that answered"),
            ),
            several => (
                Status::Degraded,
                format!("the nodes differ in {what}: {}", several.join(", ")),
            ),
        };
        Some(Check {
            name: name.to_owned(),
            status,
            message,
        })
    }

    /// The greatest certain difference between any two clocks, ours among them: a chunk's write
    /// time and TTL are reckoned with ours.
    fn clocks(&self) -> Option<Check> {
        let known: Vec<ClockDifference> = self.nodes.iter().filter_map(|node| node.clock).collect();
        if known.is_empty() {
            return None;
        }
        // Ours is exact, and at 0.
        let lower = |clock: &ClockDifference| clock.ahead_ms - clock.uncertainty_ms;
        let upper = |clock: &ClockDifference| clock.ahead_ms + clock.uncertainty_ms;
        let latest = known.iter().map(lower).fold(0.0, f64::max);
        let earliest = known.iter().map(upper).fold(0.0, f64::min);
        let apart = latest - earliest;
        let status = super::judge(apart, CLOCK_LIMITS_MS);
        let message = format!(
            "at least {apart:.0} ms apart, this host among them, limit {:.0} ms",
            CLOCK_LIMITS_MS.0
        );
        Some(Check {
            name: "ring clocks".to_owned(),
            status,
            message,
        })
    }

    fn largest_partition(&self) -> Option<Check> {
        let figures = self
            .nodes
            .iter()
            .filter_map(|node| node.measures.largest_partition.as_ref());
        let worst = figures.max_by(|left, right| left.value.total_cmp(&right.value))?;
        let mebibytes = worst.value / (1024.0 * 1024.0);
        let limit = PARTITION_LIMIT_BYTES / (1024.0 * 1024.0);
        let (status, remedy) = if worst.value > PARTITION_LIMIT_BYTES {
            (
                Status::Degraded,
                "; narrower buckets or more shards make them smaller",
            )
        } else {
            (Status::Ok, "")
        };
        Some(Check {
            name: "log partitions".to_owned(),
            status,
            message: format!(
                "largest {mebibytes:.0} MiB, in {}, limit {limit:.0} MiB{remedy}",
                worst.table
            ),
        })
    }
}
