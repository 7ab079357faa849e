//! Care of a Cassandra ring: what has to be done now and then and CQL cannot do.
//!
//! One node after the other, so that the ring answers meanwhile. Where no nodetool is configured the
//! jobs say so, and the health view keeps what CQL tells.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::config::LogsPlace;
use crate::source::nodetool;
use atalaya_domain::job::Seat;

/// `nodetool compactionstats` and `tablestats` of our keyspace.
#[derive(Debug)]
pub struct CompactionStatistics;

/// `nodetool repair -pr` of our keyspace.
#[derive(Debug)]
pub struct Repair;

/// `nodetool clearsnapshot` of our own snapshots.
#[derive(Debug)]
pub struct ClearSnapshots;

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
            what: "Removes the snapshots of our keyspace on each Cassandra node.",
            schedule: "0 4 1 * *",
            seat: Seat::Store,
            limit: Duration::from_secs(30 * 60),
            jitter: Duration::ZERO,
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        on_each_node(context, |keyspace| {
            let words = ["clearsnapshot", "--all", "--", keyspace];
            vec![words.map(str::to_owned).to_vec()]
        })
        .await
    }
}

/// Runs commands on each node in turn. A node that fails does not keep the others from it; the run
/// has failed then.
async fn on_each_node(
    context: &JobContext,
    commands: impl Fn(&str) -> Vec<Vec<String>>,
) -> Result<JobOutcome, JobError> {
    let skipped = |reason: &str| Ok(JobOutcome::Skipped(reason.to_owned()));
    let LogsPlace::Cassandra(place) = &context.settings.logs_place else {
        return skipped("the logs are in an embedded store; there is no Cassandra to care for");
    };
    let configured = &context.settings.stores.cassandra.nodetool;
    if configured.is_empty() {
        return skipped(
            "no nodetool is configured (stores.cassandra.nodetool); what CQL tells stands in `atalaya health`",
        );
    }
    let Some(ring) = context.stores.logs.store().ring().await else {
        bail!("no node of the ring answers");
    };
    let mut failed = 0;
    for node in &ring.nodes {
        let address = host_of(&node.address);
        for words in commands(&place.keyspace) {
            context.still_ours().await?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            context.say(format!("{address}: {}", words.join(" ")));
            let percent = AtomicU8::new(0);
            let told = |line: &str| {
                // A repair tells each range: of those only every tenth part is worth a line.
                match nodetool::progress(line) {
                    Some(now) if now < percent.load(Ordering::Relaxed).saturating_add(10) => {}
                    Some(now) => {
                        percent.store(now, Ordering::Relaxed);
                        context.say(format!("{address}: {now} %"));
                    }
                    None => context.say(line),
                }
            };
            match nodetool::run(configured, address, &words, &context.cancel, told).await {
                Ok(()) => {}
                Err(error @ nodetool::NodetoolError::Cancelled { .. }) => return Err(error.into()),
                Err(error) => {
                    failed += 1;
                    context.say(format!("{:#}", anyhow::Error::from(error)));
                }
            }
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
    use super::host_of;

    #[test]
    fn ports_are_left_out() {
        assert_eq!(host_of("10.0.0.1:9042"), "10.0.0.1");
        assert_eq!(host_of("[::1]:9042"), "::1");
        assert_eq!(host_of("10.0.0.1"), "10.0.0.1");
        assert_eq!(host_of("db1"), "db1");
    }
}
