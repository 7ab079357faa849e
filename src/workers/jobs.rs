//! The jobs: what this program does by a schedule.
//!
//! **To add a job**: a file in `jobs/` with a type that implements [`Job`] (its [`JobSpec`] says the
//! name, one sentence, the default schedule, and whether one process of all or one of each host
//! runs it), and its line in [`all`]. The scheduler does the rest: slots and catch-up, one run at
//! a time, the lease, the record of each run, time limits and panics. `atalaya jobs`,
//! `[jobs.NAME]` of the configuration and the table of `docs/service.md` know it from here.
//!
//! A job writes to the metrics by [`JobContext::stores`] alone: those writes carry the fence of its
//! lease. What it does elsewhere it does step by step, and asks [`JobContext::still_ours`] before
//! each. It ends soon after [`JobContext::cancel`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::service::Stores;
use crate::service::reports::Period;
use atalaya_domain::job::{Bounded, Cause, Seat};
use atalaya_domain::lease::Fence;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;

pub mod alerts;
pub mod backup;
pub mod care;
pub mod git_sync;
pub mod github_sync;
pub mod health_sample;
pub mod pdca;
mod planned;
pub mod reports;
pub mod retention;

use planned::zone;
pub use planned::{Planned, Planning, PlanningError};

/// Every job, in the order in which people read them.
pub fn all() -> Vec<Arc<dyn Job>> {
    vec![
        Arc::new(alerts::Alerts),
        Arc::new(health_sample::HealthSample),
        Arc::new(git_sync::GitSync),
        Arc::new(github_sync::GithubSync),
        Arc::new(retention::Retention),
        Arc::new(care::CompactionStatistics),
        Arc::new(care::Repair),
        Arc::new(care::ClearSnapshots),
        Arc::new(backup::Backup),
        Arc::new(backup::BackupDrill),
        Arc::new(reports::DoraReport(Period::Month)),
        Arc::new(reports::DoraReport(Period::Week)),
        Arc::new(pdca::PdcaProposals),
        Arc::new(pdca::PdcaChecks),
    ]
}

/// What a job is.
#[derive(Clone, Copy, Debug)]
pub struct JobSpec {
    /// Stable, `snake_case`: in the configuration, on the command line and in the store.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub what: &'static str,
    /// When it runs unless the configuration says otherwise: a cron expression or an interval.
    pub schedule: &'static str,
    pub seat: Seat,
    /// A run that takes longer is ended.
    pub limit: Duration,
    /// It begins up to this long after its slot, so that not all jobs begin at once.
    pub jitter: Duration,
}

/// What is done by a schedule.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    fn spec(&self) -> JobSpec;

    /// The schedule, where another table of the configuration than `[jobs.NAME]` says it.
    fn configured_schedule(&self, settings: &Settings) -> Option<String> {
        let _ = settings;
        None
    }

    /// One run. It may be begun anew after its host ended in the middle of it, so that doing half of
    /// it twice must do no harm.
    ///
    /// # Errors
    /// In words; they are kept as the end of the run's output.
    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError>;
}

/// Why a run failed, in words.
pub type JobError = anyhow::Error;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    Done,
    /// There was nothing to do, for this reason.
    Skipped(String),
}

/// What a run works with.
#[derive(Clone)]
pub struct JobContext {
    pub settings: Arc<Settings>,
    /// Metrics are written on behalf of the lease.
    pub stores: Stores,
    /// This host's name.
    pub host: String,
    /// The instant that the schedule meant, by the store's clock.
    pub slot: Timestamp,
    pub cause: Cause,
    /// Cancelled when the run is to end.
    pub cancel: CancellationToken,
    pub(super) fence: Fence,
    pub(super) output: Arc<Mutex<Bounded>>,
}

impl JobContext {
    /// Adds a line to the output of the run, of which 64 KiB are kept.
    pub fn say(&self, line: impl AsRef<str>) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.push_line(line.as_ref());
    }

    /// Whether the run is still this host's to go on with; for steps outside of the metrics store.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another host took over; that of the store when it is away.
    pub async fn still_ours(&self) -> Result<(), StoreError> {
        self.stores.metrics.check_fence(&self.fence).await
    }
}
