//! What the Infra tab reads and writes: jobs, their runs, and the measures over time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::health_history::{self, Series};
use crate::service::jobs::{self, JobInfo, JobsView};
use crate::service::{Stores, describe};
use crate::tui::ask::Question;
use crate::tui::tab::{Work, reason_of};
use crate::tui::widgets::safe_text;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::JobRun;

/// Runs of one job that are listed.
const RUNS: u32 = 20;

#[derive(Clone, Debug)]
pub enum InfraEffect {
    Jobs {
        question: Question,
        now: Timestamp,
        infos: Arc<[JobInfo]>,
    },
    /// The runs of one job, newest first, the first of them with its output.
    Runs {
        question: Question,
        lease: String,
        job: &'static str,
    },
    /// Every measure over the time before now.
    History {
        question: Question,
        now: Timestamp,
        span: Duration,
    },
    /// Whoever runs this job is to run it now.
    Run { lease: String, job: &'static str },
}

#[derive(Debug)]
pub enum InfraAnswer {
    Jobs {
        question: Question,
        at: Timestamp,
        result: Result<JobsView, String>,
    },
    Runs {
        question: Question,
        result: Result<Vec<JobRun>, String>,
    },
    History {
        question: Question,
        result: Result<Vec<Series>, String>,
    },
    /// What becomes of the run, in words.
    Asked(Result<String, String>),
}

impl Work for InfraEffect {
    type Answer = InfraAnswer;

    fn slot(&self) -> &'static str {
        match self {
            Self::Jobs { .. } => "jobs",
            Self::Runs { .. } => "runs",
            Self::History { .. } => "history",
            Self::Run { .. } => "run",
        }
    }

    async fn perform(self, stores: &Stores, _cancel: &CancellationToken) -> Option<InfraAnswer> {
        let metrics = stores.metrics.as_ref();
        Some(match self {
            Self::Jobs {
                question,
                now,
                infos,
            } => InfraAnswer::Jobs {
                question,
                at: now,
                result: jobs::view(metrics, infos.to_vec())
                    .await
                    .map_err(|error| reason_of(&error)),
            },
            Self::Runs {
                question,
                lease,
                job,
            } => InfraAnswer::Runs {
                question,
                result: runs(stores, &lease, job)
                    .await
                    .map_err(|error| reason_of(&error)),
            },
            Self::History {
                question,
                now,
                span,
            } => InfraAnswer::History {
                question,
                result: history(stores, now, span)
                    .await
                    .map_err(|error| reason_of(&error)),
            },
            Self::Run { lease, job } => InfraAnswer::Asked(ask_for(stores, &lease, job).await),
        })
    }
}

async fn runs(stores: &Stores, lease: &str, job: &str) -> Result<Vec<JobRun>, StoreError> {
    let metrics = stores.metrics.as_ref();
    let mut runs = jobs::history(metrics, Some((lease, job)), RUNS).await?;
    if let Some(newest) = runs.first_mut()
        && let Some(whole) = metrics.job_run(newest.id).await?
    {
        *newest = whole;
    }
    Ok(runs)
}

async fn history(
    stores: &Stores,
    now: Timestamp,
    span: Duration,
) -> Result<Vec<Series>, StoreError> {
    let range = TimeRange {
        from: now.saturating_sub(span),
        until: now,
    };
    health_history::history(stores.metrics.as_ref(), None, range).await
}

async fn ask_for(stores: &Stores, lease: &str, job: &'static str) -> Result<String, String> {
    match stores
        .metrics
        .request_run(lease, job, "somebody at the console")
        .await
    {
        Ok(_) => Ok(format!(
            "{job} runs as soon as whoever holds its lease sees it"
        )),
        // Nobody has made it known yet.
        Err(StoreError::Dangling { .. }) => Err(format!(
            "{job} was never seen by a service: start `atalaya serve`, or wait a moment"
        )),
        Err(error) => Err(safe_text::line(&describe(&error))),
    }
}
