//! Care of a Cassandra ring: what has to be done now and then and CQL cannot do.
//!
//! One node after the other, so that the ring answers meanwhile. Where no nodetool is configured the
//! jobs say so, and the health view keeps what CQL tells.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{bail, ensure};
use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::config::LogsPlace;
use crate::source::nodetool;
use atalaya_domain::job::Seat;
use atalaya_store::error::causes;

/// `nodetool compactionstats` and `tablestats` of our keyspace.
#[derive(Debug)]
pub struct CompactionStatistics;

/// `nodetool repair -pr` of our keyspace.
#[derive(Debug)]
pub struct Repair;

/// `nodetool clearsnapshot` of the snapshots that backups made, but the newest.
#[derive(Debug)]
pub struct ClearSnapshots;

/// How the snapshots of backups are called: as their backups.
const SNAPSHOTS: &str = "atalaya-backup-";

#[async_trait]
impl Job for CompactionStatistics {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "compaction_statistics",
            what: "Asks each Cassandra node what it compacts and how its tables lie on disk.",
            schedule: "0 2 * * *",
            seat: Seat::Store,
            limit: Duration::from_secs(10 * 60),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        on_each_node(context, |keyspace| {
            vec![
                vec!["compactionstats".to_owned()],
                vec!["tablestats".to_owned(), keyspace.to_owned()],
            ]
        })
        .await
    }
}

#[async_trait]
impl Job for Repair {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "repair",
            what: "Repairs the primary ranges of each Cassandra node, one node after the other.",
            schedule: "0 3 * * SUN",
            seat: Seat::Store,
            limit: Duration::from_secs(12 * 3_600),
            jitter: Duration::ZERO,
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        on_each_node(context, |keyspace| {
            vec![["repair", "-pr", keyspace].map(str::to_owned).to_vec()]
        })
        .await
    }
}

#[async_trait]
impl Job for ClearSnapshots {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "clear_snapshots",
            what: "Removes the snapshots that backups made on each Cassandra node, but the newest.",
            schedule: "0 4 1 * *",
            seat: Seat::Store,
            limit: Duration::from_secs(30 * 60),
            jitter: Duration::ZERO,
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let nodes = match Nodes::configured(context).await? {
            Ok(nodes) => nodes,
            Err(reason) => return Ok(JobOutcome::Skipped(reason)),
        };
        let mut failed = 0;
        for node in &nodes.addresses {
            let found = Mutex::new(Vec::new());
            let keep = |line: &str| {
                if let Some(tag) = snapshot_of(line, nodes.keyspace) {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push(tag.to_owned());
                }
            };
            failed += nodes.run(node, &["listsnapshots"], keep).await?;
            // A snapshot is listed once for each table.
            let mut tags = found.into_inner().unwrap_or_else(PoisonError::into_inner);
            tags.sort();
            tags.dedup();
            tags.pop();
            for tag in tags {
                let words = ["clearsnapshot", "-t", &tag, "--", nodes.keyspace];
                failed += nodes.run(node, &words, |line| context.say(line)).await?;
            }
        }
        ensure!(failed == 0, "{failed} commands failed");
        Ok(JobOutcome::Done)
    }
}

/// A snapshot of our keyspace under the name of a backup, on each node. Why there is none, where no
/// node can be asked for one.
///
/// # Errors
/// A node did not make it; the others did.
pub(super) async fn snapshot(
    context: &JobContext,
    name: &str,
) -> Result<Result<(), String>, JobError> {
    let outcome = on_each_node(context, |keyspace| {
        let words = ["snapshot", "-t", name, "--", keyspace];
        vec![words.map(str::to_owned).to_vec()]
    });
    Ok(match outcome.await? {
        JobOutcome::Done => Ok(()),
        JobOutcome::Skipped(reason) => Err(reason),
    })
}

/// The name of a backup's snapshot in a line of `nodetool listsnapshots`.
fn snapshot_of<'l>(line: &'l str, keyspace: &str) -> Option<&'l str> {
    let mut words = line.split_whitespace();
    let tag = words.next().filter(|tag| tag.starts_with(SNAPSHOTS))?;
    (words.next() == Some(keyspace)).then_some(tag)
}

/// The nodes that commands are run on, one after the other.
struct Nodes<'c> {
    context: &'c JobContext,
    nodetool: &'c [String],
    keyspace: &'c str,
    addresses: Vec<String>,
}

impl<'c> Nodes<'c> {
    /// Or why there are none to care for.
    async fn configured(context: &'c JobContext) -> Result<Result<Self, String>, JobError> {
        let skipped = |reason: &str| Ok(Err(reason.to_owned()));
        let LogsPlace::Cassandra(place) = &context.settings.logs_place else {
            return skipped("the logs are in an embedded store; there is no Cassandra to care for");
        };
        let nodetool = &context.settings.stores.cassandra.nodetool;
        if nodetool.is_empty() {
            return skipped(
                "no nodetool is configured (stores.cassandra.nodetool); what CQL tells stands in `atalaya health`",
            );
        }
        let Some(ring) = context.stores.logs.store().ring().await else {
            bail!("no node of the ring answers");
        };
        let addresses = ring
            .nodes
            .iter()
            .map(|node| host_of(&node.address).to_owned());
        Ok(Ok(Self {
            context,
            nodetool,
            keyspace: &place.keyspace,
            addresses: addresses.collect(),
        }))
    }

    /// Runs one command on a node. 1 when it failed, which is said and does not keep the others from
    /// it.
    async fn run(
        &self,
        node: &str,
        words: &[&str],
        told: impl Fn(&str) + Sync,
    ) -> Result<u32, JobError> {
        self.context.still_ours().await?;
        self.context.say(format!("{node}: {}", words.join(" ")));
        match nodetool::run(self.nodetool, node, words, &self.context.cancel, told).await {
            Ok(()) => Ok(0),
            Err(error @ nodetool::NodetoolError::Cancelled { .. }) => Err(error.into()),
            Err(error) => {
                self.context.say(causes(&error));
                Ok(1)
            }
        }
    }
}

/// Runs commands on each node in turn. A node that fails does not keep the others from it; the run
/// has failed then.
async fn on_each_node(
    context: &JobContext,
    commands: impl Fn(&str) -> Vec<Vec<String>>,
) -> Result<JobOutcome, JobError> {
    let nodes = match Nodes::configured(context).await? {
        Ok(nodes) => nodes,
        Err(reason) => return Ok(JobOutcome::Skipped(reason)),
    };
    let mut failed = 0;
    for node in &nodes.addresses {
        for words in commands(nodes.keyspace) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let percent = AtomicU8::new(0);
            let told = |line: &str| {
                // A repair tells each range: of those only every tenth part is worth a line.
                match nodetool::progress(line) {
                    Some(now) if now < percent.load(Ordering::Relaxed).saturating_add(10) => {}
                    Some(now) => {
                        percent.store(now, Ordering::Relaxed);
                        context.say(format!("{node}: {now} %"));
                    }
                    None => context.say(line),
                }
            };
            failed += nodes.run(node, &words, told).await?;
        }
    }
    ensure!(failed == 0, "{failed} commands failed");
    Ok(JobOutcome::Done)
}

/// The address of a node without its port.
fn host_of(address: &str) -> &str {
    match address.parse::<std::net::SocketAddr>() {
        Ok(_) => address
            .rsplit_once(':')
            .map_or(address, |(host, _)| host)
            .trim_matches(['[', ']']),
        Err(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{host_of, snapshot_of};

    #[test]
    fn only_the_snapshots_of_backups_are_ours() {
        for (line, found) in [
            (
                "atalaya-backup-20261130_020000 atalaya chunk 1.2 MiB 3 MiB 2026-11-30",
                true,
            ),
            (
                "atalaya-backup-20261130_020000  other   chunk 1.2 MiB",
                false,
            ),
            ("before-upgrade atalaya chunk 1.2 MiB", false),
            ("dropped-1796-chunk atalaya chunk 1.2 MiB", false),
            ("Snapshot name  Keyspace name  Column family name", false),
            ("atalaya-backup-20261130_020000", false),
            ("", false),
        ] {
            assert_eq!(snapshot_of(line, "atalaya").is_some(), found, "{line}");
        }
    }

    #[test]
    fn ports_are_left_out() {
        assert_eq!(host_of("10.0.0.1:9042"), "10.0.0.1");
        assert_eq!(host_of("[::1]:9042"), "::1");
        assert_eq!(host_of("10.0.0.1"), "10.0.0.1");
        assert_eq!(host_of("db1"), "db1");
    }
}
