//! Reads the configured repositories of GitHub.

use std::time::Duration;

use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::service::dora;
use crate::source::github::AskError;
use atalaya_domain::job::Seat;
use atalaya_domain::time::Timestamp;

#[derive(Debug)]
pub struct GithubSync;

#[async_trait]
impl Job for GithubSync {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "github_sync",
            what: "Reads deployments, incidents and pull requests from GitHub.",
            schedule: "15m",
            // All hosts would read the same, each at the cost of the same rate limit.
            seat: Seat::Store,
            limit: Duration::from_secs(14 * 60),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        if context.settings.github.repositories.is_empty() {
            let reason = "no repository is configured (github.repositories)";
            return Ok(JobOutcome::Skipped(reason.to_owned()));
        }
        let request = dora::github_request(&context.settings, &[])?;
        let client = dora::github_client(&context.settings).await?;
        let metrics = &*context.stores.metrics;
        let synced = dora::sync_github(metrics, &client, &request, Timestamp::now(), &|_| {});
        // What came by then is kept, and how far it was.
        let outcome = tokio::select! {
            outcome = synced => outcome?,
            () = context.cancel.cancelled() => anyhow::bail!("it was told to end"),
        };
        let mut failed = None;
        for one in &outcome.repositories {
            context.say(format!(
                "{}: {} new deployments, {} new incidents, {} new pull requests",
                one.name,
                one.deployments.inserted,
                one.incidents.inserted,
                one.pull_requests.inserted
            ));
            for note in &one.notes {
                context.say(format!("note: {note}"));
            }
            for failure in &one.failures {
                context.say(format!("{}: {}", failure.what, failure.error));
                // A limit is no fault: the next run goes on when it may.
                if !matches!(failure.error, AskError::Limited { .. }) {
                    failed.get_or_insert_with(|| failure.error.clone());
                }
            }
        }
        context.say(format!(
            "{} requests, {} of them answered by \"not modified\"",
            outcome.requests, outcome.not_modified
        ));
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(JobOutcome::Done),
        }
    }
}
