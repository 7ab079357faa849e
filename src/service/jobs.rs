//! The jobs for people: what they are, when they run next, what their runs came to, and whose it is
//! to run them.

use std::time::Duration;

use serde::Serialize;

use atalaya_domain::job::RunResult;
use atalaya_domain::lease::Lease;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{JobRun, JobState, MetricsStore, RunFilter};

/// What this program knows of a job by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobInfo {
    pub name: &'static str,
    /// One sentence.
    pub what: &'static str,
    /// Who runs it: `store`, or `host/NAME`.
    pub lease: String,
    pub schedule: String,
    /// In which hours of the day are meant.
    pub zone: &'static str,
    /// As it is configured.
    pub enabled: bool,
}

/// A job with what the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobView {
    #[serde(flatten)]
    pub info: JobInfo,
    /// What a person said about it, which goes before the configuration.
    pub switched: Option<bool>,
    pub next_run_at: Option<Timestamp>,
    pub requested_at: Option<Timestamp>,
    /// The run that goes on now, or else the last one; without its output.
    pub last: Option<JobRun>,
    pub last_success_at: Option<Timestamp>,
}

impl JobView {
    pub fn is_enabled(&self) -> bool {
        self.switched.unwrap_or(self.info.enabled)
    }

    pub fn is_running(&self) -> bool {
        self.last.as_ref().is_some_and(|run| run.result.is_none())
    }
}

/// All jobs, and the leases of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobsView {
    /// By the store's clock.
    pub at: Timestamp,
    pub jobs: Vec<JobView>,
    pub leases: Vec<Lease>,
}

impl JobsView {
    /// Who runs the jobs of a lease; `None`: nobody.
    pub fn holder(&self, lease: &str) -> Option<&Lease> {
        let known = self.leases.iter().find(|known| known.name == lease);
        known.filter(|lease| !lease.is_free(self.at))
    }
}

/// What is known of these jobs.
///
/// # Errors
/// Those of the store.
pub async fn view(metrics: &dyn MetricsStore, infos: Vec<JobInfo>) -> Result<JobsView, StoreError> {
    let (leases, at) = metrics.leases().await?;
    let states = metrics.job_states().await?;
    let mut jobs = Vec::with_capacity(infos.len());
    for info in infos {
        let state: Option<&JobState> = states
            .iter()
            .find(|state| state.lease == info.lease && state.name == info.name);
        let last = match state {
            None => None,
            Some(_) => history(metrics, Some((&info.lease, info.name)), 1)
                .await?
                .pop(),
        };
        let last_success_at = match &last {
            None => None,
            Some(run) if run.result == Some(RunResult::Ok) => Some(run.started_at),
            Some(_) => {
                metrics
                    .last_start(&info.lease, info.name, RunResult::Ok)
                    .await?
            }
        };
        jobs.push(JobView {
            switched: state.and_then(|state| state.enabled),
            next_run_at: state.and_then(|state| state.next_run_at),
            requested_at: state.and_then(|state| state.requested_at),
            info,
            last,
            last_success_at,
        });
    }
    Ok(JobsView { at, jobs, leases })
}

/// The newest runs, of one job (its lease and name) or of all; without their output.
///
/// # Errors
/// Those of the store.
pub async fn history(
    metrics: &dyn MetricsStore,
    job: Option<(&str, &str)>,
    limit: u32,
) -> Result<Vec<JobRun>, StoreError> {
    let job = job.map(|(lease, name)| (lease.to_owned(), name.to_owned()));
    metrics.job_runs(&RunFilter { job, limit }).await
}

/// How often the store is asked whether a run has ended.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Asks whoever holds the lease of a job for a run, and waits for its end.
///
/// # Errors
/// Those of the store. `Ok(None)`: it did not end within `patience`.
pub async fn run_and_wait(
    metrics: &dyn MetricsStore,
    info: &JobInfo,
    by: &str,
    patience: Duration,
) -> Result<Option<JobRun>, StoreError> {
    let waiting = async {
        let slot = loop {
            match metrics.request_run(&info.lease, info.name, by).await {
                Ok(slot) => break slot,
                // Its scheduler has not made it known yet.
                Err(StoreError::Dangling { .. }) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(error),
            }
        };
        loop {
            let run = metrics.run_of_slot(&info.lease, info.name, slot).await?;
            if let Some(run) = run.filter(|run| run.result.is_some()) {
                return Ok(run);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(patience, waiting).await {
        Ok(ended) => ended.map(Some),
        Err(_) => Ok(None),
    }
}
