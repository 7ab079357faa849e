//! Deletes what is older than it is to be kept, and looks whether the stores that do so by
//! themselves did.

use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec};
use crate::service::retention::{self, Mode};
use atalaya_domain::job::Seat;

#[derive(Debug)]
pub struct Retention;

#[async_trait]
impl Job for Retention {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "retention",
            what: "Deletes logs, health samples, runs, alerts, silences and messages that are past their time, and checks TTLs.",
            schedule: "30 3 * * *",
            seat: Seat::Store,
            limit: Duration::from_secs(2 * 3_600),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let keeping = retention::keep(
            &context.stores,
            &context.settings,
            context.slot,
            Mode::Delete,
            || context.still_ours(),
        );
        let outcomes = tokio::select! {
            outcomes = keeping => outcomes?,
            // Each step is whole, and the next run goes on.
            () = context.cancel.cancelled() => anyhow::bail!("it was told to end"),
        };
        for outcome in &outcomes {
            context.say(outcome.line());
        }
        let broken: Vec<_> = outcomes
            .iter()
            .filter(|outcome| !outcome.holds)
            .map(|outcome| outcome.what)
            .collect();
        ensure!(broken.is_empty(), "not kept: {}", broken.join(", "));
        Ok(JobOutcome::Done)
    }
}
