//! Reads the deployments of the configured repository.

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::workers::sync_git;
use atalaya_domain::job::Seat;

#[derive(Debug)]
pub struct GitSync;

#[async_trait]
impl Job for GitSync {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "git_sync",
            what: "Reads the deployments of the configured git repository.",
            schedule: "15m",
            // The repository lies on the disk of a host.
            seat: Seat::Host,
            limit: Duration::from_secs(10 * 60),
            jitter: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let Some(repository) = &context.settings.dora.repository else {
            let reason = "no repository is configured (dora.repository)";
            return Ok(JobOutcome::Skipped(reason.to_owned()));
        };
        let synced = sync_git::sync_once(&context.settings, &context.stores, repository);
        // What was written by then is kept; the next run writes the same again.
        let outcome = tokio::select! {
            outcome = synced => outcome?,
            () = context.cancel.cancelled() => anyhow::bail!("it was told to end"),
        };
        context.say(outcome);
        Ok(JobOutcome::Done)
    }
}
