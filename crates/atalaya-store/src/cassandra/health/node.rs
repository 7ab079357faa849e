//! One node, asked for itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use scylla::client::session::Session;
use scylla::cluster::Node as DriverNode;
use scylla::policies::load_balancing::{
    LoadBalancingPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy,
};

use super::fields::{self, Fields};
use atalaya_domain::health::ring::{
    ClockDifference, Measures, Node, NodeSettings, Pool, TableFigure,
};
use atalaya_domain::time::Timestamp;

/// Questions on their way to one node: they must not be what keeps it busy.
const QUESTIONS_AT_ONCE: usize = 4;
/// All of a node's answers are here by then, or are left out.
const NODE_LIMIT: Duration = Duration::from_secs(6);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A node's own account, and its gossip about all.
#[derive(Debug)]
pub struct Answered {
    pub node: Node,
    pub gossip: Vec<GossipRow>,
}

/// What one node knows of another (or of itself).
#[derive(Debug, Default)]
pub struct GossipRow {
    pub host_id: Option<String>,
    pub native_address: String,
    pub datacenter: Option<String>,
    pub rack: Option<String>,
    pub state: Option<String>,
    pub version: Option<String>,
    pub load_bytes: Option<u64>,
    /// `UP` or `DOWN`, told only of nodes that hints are kept for.
    pub failure_detector: Option<String>,
    pub hint_files: u64,
    pub oldest_hint: Option<Timestamp>,
    pub generation: Option<u64>,
    pub sstables: Option<String>,
    pub disk_state: Option<String>,
}

impl GossipRow {
    fn of(row: &Fields) -> Self {
        // The older name has the state with a token behind it, the newer one too.
        let state = row.text("status_with_port").or_else(|| row.text("status"));
        Self {
            host_id: row.text("host_id"),
            native_address: row
                .text("native_address_and_port")
                .or_else(|| row.text("rpc_address"))
                .unwrap_or_default(),
            datacenter: row.text("dc"),
            rack: row.text("rack"),
            state: state.map(|state| state.split(',').next().unwrap_or_default().to_owned()),
            version: row.text("release_version"),
            load_bytes: row.float("load").map(|load| load as u64),
            generation: row.count("generation"),
            sstables: row.text("sstable_versions"),
            disk_state: row.text("disk_usage"),
            ..Self::default()
        }
    }

    pub fn is_joining(&self) -> bool {
        self.state
            .as_deref()
            .is_some_and(|state| state.starts_with("BOOT") || state.starts_with("JOINING"))
    }

    pub fn into_node(self) -> Node {
        Node {
            address: self.native_address,
            host_id: self.host_id,
            datacenter: self.datacenter,
            rack: self.rack,
            state: self.state,
            version: self.version,
            load_bytes: self.load_bytes,
            not_told: vec!["takes no clients yet".to_owned()],
            ..Node::default()
        }
    }
}

/// The views that are read, with the columns of interest where a row has many.
const VIEWS: [(&str, &str); 13] = [
    ("gossip_info", "*"),
    ("thread_pools", "*"),
    ("sstable_tasks", "*"),
    ("disk_usage", "*"),
    ("max_partition_size", "*"),
    ("tombstones_per_read", "*"),
    ("local_read_latency", "*"),
    ("local_write_latency", "*"),
    ("pending_hints", "*"),
    ("internode_inbound", "*"),
    ("internode_outbound", "*"),
    ("snapshots", "*"),
    ("settings", "*"),
];
/// Only counted or looked up, so read apart.
const CLIENTS: (&str, &str) = ("clients", "address");
const CACHES: (&str, &str) = ("caches", "*");

/// Asks one node everything; never fails.
pub async fn ask(session: &Session, known: Arc<DriverNode>, keyspace: &str) -> Answered {
    let policy =
        SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(&known)), None);
    let mut node = Node {
        address: std::net::SocketAddr::new(known.address.ip(), known.address.port()).to_string(),
        host_id: Some(known.host_id.to_string()),
        datacenter: known.datacenter.clone(),
        rack: known.rack.clone(),
        ..Node::default()
    };
    if let Err(reason) = introduce(session, &policy, &mut node).await {
        node.problem = Some(reason);
        return Answered {
            node,
            gossip: Vec::new(),
        };
    }
    let present = match views(session, &policy).await {
        Ok(present) => present,
        Err(reason) => {
            node.not_told.push(format!("system_views: {reason}"));
            return Answered {
                node,
                gossip: Vec::new(),
            };
        }
    };
    let mut gossip = Vec::new();
    let mut hints = None;
    let wanted: Vec<(&str, &str)> = VIEWS
        .into_iter()
        .chain([CLIENTS, CACHES])
        .filter(|(view, _)| present.contains(*view))
        .collect();
    let mut waiting: BTreeSet<&str> = wanted.iter().map(|(view, _)| *view).collect();
    let questions = wanted.into_iter().map(|(view, columns)| {
        let cql = format!("SELECT {columns} FROM system_views.{view}");
        let policy = &policy;
        async move { (view, fields::ask(session, Some(policy), cql).await) }
    });
    // Collected: a stream that maps borrowed names makes a future that is not `Send`.
    let mut answers =
        futures::stream::iter(questions.collect::<Vec<_>>()).buffer_unordered(QUESTIONS_AT_ONCE);
    let deadline = tokio::time::Instant::now() + NODE_LIMIT;
    while let Ok(Some((view, answer))) = tokio::time::timeout_at(deadline, answers.next()).await {
        waiting.remove(view);
        match answer {
            Err(reason) => node.not_told.push(format!("{view}: {reason}")),
            Ok(rows) => match view {
                "gossip_info" => gossip = rows.iter().map(GossipRow::of).collect(),
                "pending_hints" => hints = Some(rows),
                _ => take(
                    view,
                    &rows,
                    keyspace,
                    &mut node.measures,
                    &mut node.settings,
                ),
            },
        }
    }
    drop(answers);
    node.not_told.extend(
        waiting
            .into_iter()
            .map(|view| format!("{view}: no answer within {} s", NODE_LIMIT.as_secs())),
    );
    if let Some(hints) = hints {
        take_hints(&hints, &mut gossip, &mut node.measures);
    }
    take_own_gossip(&gossip, &mut node);
    Answered { node, gossip }
}

/// The first question: whether it is there, who it is, and what its clock says.
async fn introduce(
    session: &Session,
    policy: &Arc<dyn LoadBalancingPolicy>,
    node: &mut Node,
) -> Result<(), String> {
    let cql = "SELECT host_id, data_center, rack, release_version, schema_version, tokens, now() AS now \
               FROM system.local";
    let asked_at = Timestamp::now();
    let started = Instant::now();
    let rows = fields::ask(session, Some(policy), cql.to_owned()).await?;
    let took = started.elapsed();
    let row = rows.first().ok_or("system.local is empty")?;
    let took_ms = took.as_secs_f64() * 1_000.0;
    node.latency_ms = Some(took_ms);
    node.host_id = row.text("host_id").or(node.host_id.take());
    node.datacenter = row.text("data_center").or(node.datacenter.take());
    node.rack = row.text("rack").or(node.rack.take());
    node.version = row.text("release_version");
    node.schema_version = row.text("schema_version");
    node.tokens = row.elements("tokens");
    node.clock = row.time_of_uuid("now").map(|theirs| {
        // Theirs was read somewhere between question and answer: in the middle, give or take half.
        let middle_micros = asked_at.micros() as f64 + took.as_secs_f64() * 1e6 / 2.0;
        ClockDifference {
            ahead_ms: (theirs.micros() as f64 - middle_micros) / 1_000.0,
            uncertainty_ms: took_ms / 2.0,
        }
    });
    Ok(())
}

async fn views(
    session: &Session,
    policy: &Arc<dyn LoadBalancingPolicy>,
) -> Result<BTreeSet<String>, String> {
    let cql =
        "SELECT table_name FROM system_virtual_schema.tables WHERE keyspace_name = 'system_views'";
    let rows = fields::ask(session, Some(policy), cql.to_owned()).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row.text("table_name"))
        .collect())
}

fn take(
    view: &str,
    rows: &[Fields],
    keyspace: &str,
    measures: &mut Measures,
    settings: &mut NodeSettings,
) {
    let sum = |name: &str| sum(rows, name);
    let of_ours = || {
        rows.iter()
            .filter(|row| row.text("keyspace_name").as_deref() == Some(keyspace))
    };
    let greatest = |name: &str, factor: f64| {
        of_ours()
            .filter_map(|row| {
                Some(TableFigure {
                    table: row.text("table_name")?,
                    value: row.float(name)? * factor,
                })
            })
            .max_by(|left, right| left.value.total_cmp(&right.value))
    };
    match view {
        "thread_pools" => take_pools(rows, measures),
        "sstable_tasks" => take_compactions(rows, measures),
        "disk_usage" => {
            let bytes = |mebibytes: u64| mebibytes * 1024 * 1024;
            measures.disk_bytes = Some(bytes(sum("mebibytes")));
            measures.keyspace_bytes = Some(bytes(
                of_ours().filter_map(|row| row.count("mebibytes")).sum(),
            ));
        }
        "max_partition_size" => measures.largest_partition = greatest("mebibytes", MEBIBYTE),
        "tombstones_per_read" => measures.tombstones = greatest("max", 1.0),
        "local_read_latency" => {
            measures.read_p99_ms = greatest("p99th_ms", 1.0).map(|worst| worst.value);
        }
        "local_write_latency" => {
            measures.write_p99_ms = greatest("p99th_ms", 1.0).map(|worst| worst.value);
        }
        "internode_inbound" => {
            *measures.dropped.get_or_insert(0) += sum("expired_count");
            *measures.messages.get_or_insert(0) += sum("processed_count");
            *measures.message_errors.get_or_insert(0) += sum("error_count");
        }
        "internode_outbound" => {
            *measures.dropped.get_or_insert(0) += sum("expired_count") + sum("overload_count");
            *measures.messages.get_or_insert(0) += sum("sent_count");
            *measures.message_errors.get_or_insert(0) += sum("error_count");
        }
        "snapshots" => {
            let names: BTreeSet<String> = rows.iter().filter_map(|row| row.text("name")).collect();
            measures.snapshots = Some(names.len() as u64);
            // What they alone keep from being deleted.
            measures.snapshot_bytes = Some(sum("true_size"));
        }
        "clients" => measures.clients = Some(rows.len() as u64),
        "caches" => {
            let keys = rows
                .iter()
                .find(|row| row.text("name").as_deref() == Some("keys"));
            measures.key_cache_hit_ratio = keys.and_then(|row| row.float("hit_ratio"));
        }
        "settings" => take_settings(rows, settings),
        _ => {}
    }
}

fn sum(rows: &[Fields], name: &str) -> u64 {
    rows.iter().filter_map(|row| row.count(name)).sum()
}

fn take_pools(rows: &[Fields], measures: &mut Measures) {
    measures.pending = Some(sum(rows, "pending_tasks"));
    measures.blocked = Some(sum(rows, "blocked_tasks"));
    measures.blocked_ever = Some(sum(rows, "blocked_tasks_all_time"));
    measures.busiest_pool = busiest(rows);
    let compaction = rows
        .iter()
        .find(|row| row.text("name").as_deref() == Some("CompactionExecutor"));
    measures.compactions_queued = compaction.and_then(|row| row.count("pending_tasks"));
}

fn take_compactions(rows: &[Fields], measures: &mut Measures) {
    let compactions = || {
        rows.iter().filter(|row| {
            row.text("kind")
                .is_none_or(|kind| kind.to_ascii_lowercase().contains("compaction"))
        })
    };
    measures.compactions = Some(compactions().count() as u64);
    measures.compaction_ratio = compactions()
        .filter_map(|row| row.float("completion_ratio"))
        .min_by(f64::total_cmp);
}

fn busiest(rows: &[Fields]) -> Option<Pool> {
    let pools = rows.iter().filter_map(|row| {
        Some(Pool {
            name: row.text("name")?,
            active: row.count("active_tasks")?,
            limit: row.count("active_tasks_limit")?,
            pending: row.count("pending_tasks").filter(|pending| *pending > 0)?,
        })
    });
    pools.max_by_key(|pool| pool.pending)
}

fn take_settings(rows: &[Fields], settings: &mut NodeSettings) {
    let value = |names: &[&str]| {
        names.iter().find_map(|wanted| {
            let row = rows
                .iter()
                .find(|row| row.text("name").as_deref() == Some(*wanted))?;
            row.text("value")
                .filter(|value| !value.is_empty() && value != "null")
        })
    };
    settings.memtable_allocation = value(&["memtable_allocation_type"]);
    settings.memtable_heap = value(&["memtable_heap_space", "memtable_heap_space_in_mb"]);
    settings.memtable_offheap = value(&["memtable_offheap_space", "memtable_offheap_space_in_mb"]);
    settings.commitlog_sync = value(&["commitlog_sync"]);
    settings.tombstone_warn =
        value(&["tombstone_warn_threshold"]).and_then(|value| value.parse().ok());
    settings.tombstone_fail =
        value(&["tombstone_failure_threshold"]).and_then(|value| value.parse().ok());
    settings.hint_window_ms =
        value(&["max_hint_window_in_ms"]).and_then(|value| value.parse().ok());
}

fn take_hints(hints: &[Fields], gossip: &mut [GossipRow], measures: &mut Measures) {
    for hint in hints {
        let files = hint.count("files").unwrap_or(0);
        let oldest = hint.time("oldest");
        measures.oldest_hint = match (measures.oldest_hint, oldest) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        let target = hint.text("host_id");
        if let Some(row) = gossip
            .iter_mut()
            .find(|row| row.host_id.is_some() && row.host_id == target)
        {
            row.hint_files = files;
            row.oldest_hint = oldest;
            row.failure_detector = hint
                .text("status")
                .filter(|status| status == "UP" || status == "DOWN");
        }
    }
    measures.hint_files = Some(hints.iter().filter_map(|hint| hint.count("files")).sum());
}

fn take_own_gossip(gossip: &[GossipRow], node: &mut Node) {
    let Some(own) = gossip
        .iter()
        .find(|row| row.host_id.is_some() && row.host_id == node.host_id)
    else {
        return;
    };
    node.state.clone_from(&own.state);
    node.load_bytes = own.load_bytes;
    node.started_at = own
        .generation
        .and_then(|at| i64::try_from(at).ok())
        .map(Timestamp::from_seconds);
    node.measures.disk_state.clone_from(&own.disk_state);
    // `big-nb` or `bti-da`: what is written, whatever the settings say.
    node.settings.sstable_format = own.sstables.as_deref().map(|formats| {
        formats
            .split(['-', ','])
            .next()
            .unwrap_or_default()
            .to_owned()
    });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use scylla::value::{CqlTimestamp, CqlValue};

    use super::*;

    fn text(value: &str) -> CqlValue {
        CqlValue::Text(value.to_owned())
    }

    #[test]
    fn figures_of_other_keyspaces_are_not_ours() {
        let rows = [
            ("logging", "application_logs", 7),
            ("other", "huge", 900),
            ("logging", "request_index", 3),
        ]
        .map(|(keyspace, table, mebibytes)| {
            Fields::of([
                ("keyspace_name", text(keyspace)),
                ("table_name", text(table)),
                ("mebibytes", CqlValue::BigInt(mebibytes)),
            ])
        });
        let mut measures = Measures::default();
        let mut settings = NodeSettings::default();
        take(
            "max_partition_size",
            &rows,
            "logging",
            &mut measures,
            &mut settings,
        );
        take("disk_usage", &rows, "logging", &mut measures, &mut settings);
        let largest = measures.largest_partition.unwrap();
        assert_eq!(
            (largest.table.as_str(), largest.value),
            ("application_logs", 7.0 * MEBIBYTE)
        );
        assert_eq!(measures.keyspace_bytes, Some(10 << 20));
        assert_eq!(measures.disk_bytes, Some(910 << 20));
    }

    #[test]
    fn pools_are_summed_and_the_busiest_is_named() {
        let pool = |name: &str, pending: i32, blocked: i64| {
            Fields::of([
                ("name", text(name)),
                ("active_tasks", CqlValue::Int(2)),
                ("active_tasks_limit", CqlValue::Int(32)),
                ("pending_tasks", CqlValue::Int(pending)),
                ("blocked_tasks", CqlValue::BigInt(blocked)),
                ("blocked_tasks_all_time", CqlValue::BigInt(blocked + 1)),
            ])
        };
        let rows = [
            pool("MutationStage", 5, 0),
            pool("ReadStage", 90, 1),
            pool("CompactionExecutor", 3, 0),
        ];
        let mut measures = Measures::default();
        take(
            "thread_pools",
            &rows,
            "logging",
            &mut measures,
            &mut NodeSettings::default(),
        );
        assert_eq!(measures.pending, Some(98));
        assert_eq!(measures.blocked, Some(1));
        assert_eq!(measures.blocked_ever, Some(4));
        assert_eq!(measures.compactions_queued, Some(3));
        assert_eq!(measures.busiest_pool.unwrap().name, "ReadStage");
    }

    #[test]
    fn dropped_messages_of_both_directions_are_one_sum() {
        let inbound = [Fields::of([
            ("expired_count", CqlValue::BigInt(2)),
            ("processed_count", CqlValue::BigInt(100)),
        ])];
        let outbound = [Fields::of([
            ("expired_count", CqlValue::BigInt(3)),
            ("overload_count", CqlValue::BigInt(4)),
            ("sent_count", CqlValue::BigInt(50)),
        ])];
        let mut measures = Measures::default();
        take(
            "internode_inbound",
            &inbound,
            "logging",
            &mut measures,
            &mut NodeSettings::default(),
        );
        take(
            "internode_outbound",
            &outbound,
            "logging",
            &mut measures,
            &mut NodeSettings::default(),
        );
        assert_eq!((measures.dropped, measures.messages), (Some(9), Some(150)));
    }

    #[test]
    fn hints_stand_beside_the_node_that_they_are_for() {
        let mut gossip = [GossipRow {
            host_id: Some("b".to_owned()),
            ..GossipRow::default()
        }];
        let hints = [Fields::of([
            ("host_id", text("b")),
            ("files", CqlValue::Int(2)),
            ("oldest", CqlValue::Timestamp(CqlTimestamp(5_000))),
            ("status", text("DOWN")),
        ])];
        let mut measures = Measures::default();
        take_hints(&hints, &mut gossip, &mut measures);
        assert_eq!(measures.hint_files, Some(2));
        assert_eq!(measures.oldest_hint, Some(Timestamp::from_seconds(5)));
        assert_eq!(gossip[0].failure_detector.as_deref(), Some("DOWN"));
        // A node without hints keeps none: that is told, and is not "unknown".
        let mut measures = Measures::default();
        take_hints(&[], &mut gossip, &mut measures);
        assert_eq!(measures.hint_files, Some(0));
    }

    #[test]
    fn a_state_has_its_word_only() {
        let row = GossipRow::of(&Fields::of([
            ("status_with_port", text("NORMAL,-1760519967441295406")),
            ("load", text("117445.0")),
            ("sstable_versions", text("big-nb")),
        ]));
        assert_eq!(row.state.as_deref(), Some("NORMAL"));
        assert_eq!(row.load_bytes, Some(117_445));
    }
}
