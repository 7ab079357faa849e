//! Everything that is known of one node, trouble first.

use super::cells::bytes;
use super::ring::{count, memtables, milliseconds};
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::health::Status;
use atalaya_domain::health::ring::Node;

/// Label, words, and how they are drawn; safe to show.
type Line = (String, String, Role);

/// The facts of a node, those that are known.
struct Facts(Vec<Line>);

impl Facts {
    fn add(&mut self, label: &str, value: &str, role: Role) {
        self.0
            .push((label.to_owned(), safe_text::line(value), role));
    }

    fn fact(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.add(label, &value, Role::Text);
        }
    }
}

pub fn lines(node: &Node, context: &Context<'_>) -> Vec<Line> {
    let mut facts = Facts(Vec::new());
    reputation(&mut facts, node, context);
    identity(&mut facts, node, context);
    work(&mut facts, node);
    data(&mut facts, node, context);
    for view in &node.not_told {
        facts.add("not told", view, Role::Text);
    }
    facts.0
}

/// What is not well, and what others say of it.
fn reputation(facts: &mut Facts, node: &Node, context: &Context<'_>) {
    for (status, words) in node.troubles(context.now) {
        let role = if status == Status::Failing {
            Role::Error
        } else {
            Role::Warning
        };
        facts.add("not ok", &words, role);
    }
    for sight in &node.seen_by {
        let mut words = format!("{} says {}", sight.from, sight.state);
        if sight.hint_files > 0 {
            words.push_str(&format!(
                ", keeps {} files of hints for it",
                sight.hint_files
            ));
            if let Some(oldest) = sight.oldest_hint {
                words.push_str(&format!(
                    ", the oldest {} old",
                    clock::coarse(context.now.since(oldest))
                ));
            }
        }
        facts.add("seen by", &words, Role::Text);
    }
}

/// What it is, and whether it answers.
fn identity(facts: &mut Facts, node: &Node, context: &Context<'_>) {
    let state = node.state.clone().unwrap_or_else(|| "unknown".to_owned());
    facts.fact("state", Some(format!("{} ({state})", node.letters())));
    facts.fact("release", node.version.clone());
    facts.fact("schema", node.schema_version.clone());
    facts.fact("host id", node.host_id.clone());
    facts.fact("tokens", count(node.tokens));
    facts.fact(
        "up",
        node.started_at
            .map(|at| clock::coarse(context.now.since(at))),
    );
    facts.fact("answered in", node.latency_ms.map(milliseconds));
    facts.fact(
        "clock",
        node.clock.map(|clock| {
            let side = if clock.ahead_ms < 0.0 {
                "behind"
            } else {
                "ahead of"
            };
            format!(
                "{:.1} ms {side} ours, ± {:.1} ms",
                clock.ahead_ms.abs(),
                clock.uncertainty_ms
            )
        }),
    );
}

/// What it has to do.
fn work(facts: &mut Facts, node: &Node) {
    let measures = &node.measures;
    facts.fact("load", node.load_bytes.map(bytes));
    facts.fact(
        "disk",
        measures.disk_bytes.map(|all| {
            let ours = measures
                .keyspace_bytes
                .map_or_else(String::new, |ours| format!(", ours {}", bytes(ours)));
            format!("{} in tables{ours}", bytes(all))
        }),
    );
    facts.fact(
        "snapshots",
        measures.snapshots.map(|snapshots| {
            format!(
                "{snapshots}, which alone hold {}",
                bytes(measures.snapshot_bytes.unwrap_or(0))
            )
        }),
    );
    facts.fact(
        "compactions",
        measures.compactions.map(|running| {
            let least = measures.compaction_ratio.map_or_else(String::new, |ratio| {
                format!(", the least done {:.0} %", ratio * 100.0)
            });
            format!(
                "{running} running{least}, {} waiting",
                measures.compactions_queued.unwrap_or(0)
            )
        }),
    );
    facts.fact(
        "tasks",
        measures.pending.map(|pending| {
            let busiest = measures.busiest_pool.as_ref();
            let busiest = busiest.map_or_else(String::new, |pool| {
                format!(
                    ", most in {} ({} of {})",
                    pool.name, pool.active, pool.limit
                )
            });
            let (blocked, ever) = (
                measures.blocked.unwrap_or(0),
                measures.blocked_ever.unwrap_or(0),
            );
            format!("{pending} pending{busiest}, {blocked} blocked ({ever} since the start)")
        }),
    );
    facts.fact(
        "messages",
        measures.messages.map(|messages| {
            let (dropped, errors) = (
                measures.dropped.unwrap_or(0),
                measures.message_errors.unwrap_or(0),
            );
            format!(
                "{} between nodes, {dropped} dropped, {errors} failed",
                clock::count(messages)
            )
        }),
    );
}

/// What it keeps, and how it is set.
fn data(facts: &mut Facts, node: &Node, context: &Context<'_>) {
    let measures = &node.measures;
    let settings = &node.settings;
    facts.fact(
        "hints",
        measures.hint_files.map(|files| {
            let oldest = measures.oldest_hint.map_or_else(String::new, |at| {
                format!(", the oldest {} old", clock::coarse(context.now.since(at)))
            });
            format!("{files} files for other nodes{oldest}")
        }),
    );
    facts.fact(
        "tombstones",
        measures
            .tombstones
            .as_ref()
            .map(|worst| format!("{:.0} in one read of {}", worst.value, worst.table)),
    );
    facts.fact(
        "partition",
        measures
            .largest_partition
            .as_ref()
            .map(|worst| format!("{} at most, in {}", bytes(worst.value as u64), worst.table)),
    );
    facts.fact(
        "latency p99",
        measures
            .read_p99_ms
            .zip(measures.write_p99_ms)
            .map(|(read, write)| {
                format!(
                    "reads {}, writes {} (its own part)",
                    milliseconds(read),
                    milliseconds(write)
                )
            }),
    );
    facts.fact(
        "clients",
        measures
            .clients
            .map(|clients| format!("{clients} connections")),
    );
    facts.fact(
        "key cache",
        measures
            .key_cache_hit_ratio
            .map(|ratio| format!("{:.1} % hits", ratio * 100.0)),
    );
    facts.fact("memtables", memtables(node));
    facts.fact("sstables", settings.sstable_format.clone());
    facts.fact("commit log", settings.commitlog_sync.clone());
}
