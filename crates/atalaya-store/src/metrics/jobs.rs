//! When jobs run next, and what their runs were.
//!
//! What a scheduler writes carries its fence; what a person asks for does not. A slot of a job has
//! one row, so that two hosts that both believe they are to run it cannot both begin.

use async_trait::async_trait;
use serde::Serialize;

use super::lease::hold_fence;
use super::sql::{Failure, SqlDatabase, View, values};
use crate::error::StoreError;
use atalaya_domain::job::{Cause, RunResult};
use atalaya_domain::lease::{Fence, FenceNumber};
use atalaya_domain::time::Timestamp;

mod rows;

use rows::{RunRow, run_of};

/// A job as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobState {
    pub lease: String,
    pub name: String,
    /// As its scheduler last understood it.
    pub schedule: String,
    /// What a person said; `None`: as it is configured.
    pub enabled: Option<bool>,
    /// The slot that is waited for.
    pub next_run_at: Option<Timestamp>,
    /// Somebody asked for a run, and it has not begun.
    pub requested_at: Option<Timestamp>,
    pub requested_by: Option<String>,
}

/// One run, or all attempts at one slot: what is kept is the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRun {
    pub id: i64,
    pub lease: String,
    pub job: String,
    pub slot_at: Timestamp,
    pub attempt: u32,
    pub cause: Cause,
    pub fence: FenceNumber,
    pub host: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `None` while it runs.
    pub result: Option<RunResult>,
    pub output: String,
}

/// What a scheduler wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunClaim {
    pub job: String,
    pub slot_at: Timestamp,
    pub cause: Cause,
    /// What is waited for from then on.
    pub next_run_at: Option<Timestamp>,
    pub host: String,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    Begun(JobRun),
    /// The slot was run, or was begun too often; only the next slot was noted.
    Over,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of one job (its lease and name); `None`: of all.
    pub job: Option<(String, String)>,
    pub limit: u32,
}

/// Which runs are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPrune {
    pub lease: String,
    pub job: String,
    pub before: Timestamp,
    pub most: u32,
    pub dry_run: bool,
}

#[async_trait]
pub trait Jobs {
    /// Makes the jobs of the lease known (name, schedule, the slot to wait for when the job is
    /// new), and gives up the unfinished runs of its former holders: they count as
    /// [`RunResult::Lost`], and their slots are waited for again. Returns how many those were.
    async fn begin_jobs(
        &self,
        fence: &Fence,
        jobs: &[(String, String, Option<Timestamp>)],
    ) -> Result<u64, StoreError>;

    /// By lease and name.
    async fn job_states(&self) -> Result<Vec<JobState>, StoreError>;

    /// The slot that is waited for, when that has to be mended.
    async fn set_next_run(
        &self,
        fence: &Fence,
        job: &str,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// Begins the run of a slot, unless it was run. Claiming the same again gives the same run.
    async fn claim_run(&self, fence: &Fence, claim: &RunClaim) -> Result<Claimed, StoreError>;

    /// What a run that goes on has said so far.
    async fn note_output(&self, fence: &Fence, run: i64, output: &str) -> Result<(), StoreError>;

    /// How it ended. A run that was cut off has its slot waited for again. Nothing when the run has
    /// a result already.
    async fn finish_run(
        &self,
        fence: &Fence,
        run: i64,
        result: RunResult,
        output: &str,
    ) -> Result<(), StoreError>;

    /// Asks whoever holds the lease for a run; the job must be known. Returns its slot. Asking
    /// again before it has begun changes nothing.
    async fn request_run(&self, lease: &str, job: &str, by: &str) -> Result<Timestamp, StoreError>;

    /// Switches a job on or off, or (`None`) back to what is configured; makes it known when it is
    /// not.
    async fn switch_job(
        &self,
        lease: &str,
        job: &str,
        enabled: Option<bool>,
    ) -> Result<(), StoreError>;

    /// Newest first, without their output.
    async fn job_runs(&self, filter: &RunFilter) -> Result<Vec<JobRun>, StoreError>;

    /// When each job's last run with this result began, by lease and name.
    async fn last_start(
        &self,
        lease: &str,
        job: &str,
        result: RunResult,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// When the job did what it is for the last time, on whichever host.
    async fn last_success(&self, job: &str) -> Result<Option<Timestamp>, StoreError>;

    /// One run with its output.
    async fn job_run(&self, id: i64) -> Result<Option<JobRun>, StoreError>;

    /// The run of one slot, with its output.
    async fn run_of_slot(
        &self,
        lease: &str,
        job: &str,
        slot: Timestamp,
    ) -> Result<Option<JobRun>, StoreError>;

    /// Deletes the runs of a job that began before an instant, and all beyond the newest `most`; its
    /// last success stays. Returns how many that were; with `dry_run` how many they would be.
    async fn prune_job_runs(&self, prune: &RunPrune) -> Result<u64, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Jobs for D {
    async fn begin_jobs(
        &self,
        fence: &Fence,
        jobs: &[(String, String, Option<Timestamp>)],
    ) -> Result<u64, StoreError> {
        self.write((fence.clone(), jobs.to_vec()), |connection, input| {
            Box::pin(rows::begin(connection, &input.0, &input.1))
        })
        .await
    }

    async fn job_states(&self) -> Result<Vec<JobState>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(rows::states(connection))
        })
        .await
    }

    async fn set_next_run(
        &self,
        fence: &Fence,
        job: &str,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let input = (fence.clone(), job.to_owned(), next);
        self.write(input, |connection, (fence, job, next)| {
            Box::pin(async move {
                hold_fence(connection, fence).await?;
                rows::wait_for(connection, &fence.lease, job, *next).await
            })
        })
        .await
    }

    async fn claim_run(&self, fence: &Fence, claim: &RunClaim) -> Result<Claimed, StoreError> {
        self.write((fence.clone(), claim.clone()), |connection, input| {
            Box::pin(rows::claim_slot(connection, &input.0, &input.1))
        })
        .await
    }

    async fn note_output(&self, fence: &Fence, run: i64, output: &str) -> Result<(), StoreError> {
        let input = (fence.clone(), run, output.to_owned());
        self.write(input, |connection, (fence, run, output)| {
            Box::pin(async move {
                hold_fence(connection, fence).await?;
                connection
                    .execute(
                        "UPDATE job_runs SET output = ?
                         WHERE id = ? AND fence = ? AND finished_at IS NULL",
                        values![output, *run, fence.number.0],
                    )
                    .await
                    .map(drop)
            })
        })
        .await
    }

    async fn finish_run(
        &self,
        fence: &Fence,
        run: i64,
        result: RunResult,
        output: &str,
    ) -> Result<(), StoreError> {
        let input = (fence.clone(), run, result, output.to_owned());
        self.write(input, |connection, (fence, run, result, output)| {
            Box::pin(rows::finish(connection, fence, *run, *result, output))
        })
        .await
    }

    async fn request_run(&self, lease: &str, job: &str, by: &str) -> Result<Timestamp, StoreError> {
        let input = (lease.to_owned(), job.to_owned(), by.to_owned());
        self.write(input, |connection, (lease, job, by)| {
            Box::pin(rows::request(connection, lease, job, by))
        })
        .await
    }

    async fn switch_job(
        &self,
        lease: &str,
        job: &str,
        enabled: Option<bool>,
    ) -> Result<(), StoreError> {
        let input = (lease.to_owned(), job.to_owned(), enabled);
        self.write(input, |connection, (lease, job, enabled)| {
            Box::pin(rows::switch(connection, lease, job, *enabled))
        })
        .await
    }

    async fn job_runs(&self, filter: &RunFilter) -> Result<Vec<JobRun>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(rows::runs(connection, filter))
        })
        .await
    }

    async fn last_start(
        &self,
        lease: &str,
        job: &str,
        result: RunResult,
    ) -> Result<Option<Timestamp>, StoreError> {
        let input = (lease.to_owned(), job.to_owned(), result);
        self.read(View::Latest, input, |connection, (lease, job, result)| {
            Box::pin(async move {
                let row: Option<(i64,)> = connection
                    .row(
                        "SELECT started_at FROM job_runs WHERE lease = ? AND job = ? AND result = ?
                         ORDER BY started_at DESC LIMIT 1",
                        values![lease, job, result.name()],
                    )
                    .await?;
                Ok(row.map(|(started,)| Timestamp::from_micros(started)))
            })
        })
        .await
    }

    async fn last_success(&self, job: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(View::Latest, job.to_owned(), |connection, job| {
            Box::pin(async move {
                let sql = "SELECT MAX(finished_at) FROM job_runs WHERE job = ? AND result = 'ok'";
                let row: Option<(Option<i64>,)> = connection.row(sql, values![job]).await?;
                Ok(row.and_then(|(at,)| at).map(Timestamp::from_micros))
            })
        })
        .await
    }

    async fn job_run(&self, id: i64) -> Result<Option<JobRun>, StoreError> {
        self.read(View::Latest, id, |connection, id| {
            Box::pin(async move {
                let row: Option<RunRow> = connection
                    .row(
                        "SELECT id, lease, job, slot_at, attempt, cause, fence, host, started_at,
                             finished_at, result, output FROM job_runs WHERE id = ?",
                        values![*id],
                    )
                    .await?;
                row.map(run_of).transpose().map_err(Failure::from)
            })
        })
        .await
    }

    async fn run_of_slot(
        &self,
        lease: &str,
        job: &str,
        slot: Timestamp,
    ) -> Result<Option<JobRun>, StoreError> {
        let input = (lease.to_owned(), job.to_owned(), slot);
        self.read(View::Latest, input, |connection, (lease, job, slot)| {
            Box::pin(rows::known_run(connection, lease, job, *slot))
        })
        .await
    }

    async fn prune_job_runs(&self, wanted: &RunPrune) -> Result<u64, StoreError> {
        self.write(wanted.clone(), |connection, wanted| {
            Box::pin(rows::prune(connection, wanted))
        })
        .await
    }
}
