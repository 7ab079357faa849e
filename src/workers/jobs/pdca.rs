//! The PDCA engine by the clock: proposals each week, checks each hour.

use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;

use super::{Job, JobContext, JobError, JobOutcome, JobSpec, zone};
use crate::service::pdca::PdcaSettings;
use crate::service::pdca_engine::{self, Done};
use atalaya_domain::job::Seat;
use atalaya_domain::time::Timestamp;

/// Plans a cycle for each metric that misses its target.
#[derive(Debug)]
pub struct PdcaProposals;

#[async_trait]
impl Job for PdcaProposals {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "pdca_proposals",
            what: "Plans a PDCA cycle for each metric that misses its target and has none open.",
            schedule: "0 6 * * MON",
            seat: Seat::Store,
            limit: Duration::from_secs(10 * 60),
            jitter: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = settings(context)?;
        let store = &*context.stores.metrics;
        let done = pdca_engine::propose(store, &settings, context.slot).await?;
        finish(context, &settings, done).await
    }
}

/// Takes the looks that are due, and decides what it may.
#[derive(Debug)]
pub struct PdcaChecks;

#[async_trait]
impl Job for PdcaChecks {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "pdca_checks",
            what: "Takes the looks at PDCA cycles that are due: 48 h, 7, 14 and 28 days after the change.",
            schedule: "1h",
            seat: Seat::Store,
            limit: Duration::from_secs(10 * 60),
            jitter: Duration::from_secs(60),
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        let settings = settings(context)?;
        let store = &*context.stores.metrics;
        let done = pdca_engine::check(store, &settings, context.slot).await?;
        finish(context, &settings, done).await
    }
}

fn settings(context: &JobContext) -> Result<PdcaSettings, JobError> {
    let settings = &context.settings;
    let configured = PdcaSettings::configured(&settings.dora, &settings.pdca, zone(settings)?)?;
    Ok(configured)
}

async fn finish(
    context: &JobContext,
    settings: &PdcaSettings,
    done: Done,
) -> Result<JobOutcome, JobError> {
    for line in done.lines.iter().chain(&done.failures) {
        context.say(line);
    }
    let store = &*context.stores.metrics;
    let alerts = &context.settings.alerts;
    // By the clock and not the slot: a message that is caught up with is new.
    pdca_engine::announce(store, settings, alerts, Timestamp::now()).await?;
    let failed = done.failures.len();
    ensure!(failed == 0, "{failed} cycles could not be attended to");
    Ok(JobOutcome::Done)
}
