//! When jobs run next, and what their runs were.
//!
//! What a scheduler writes carries its fence; what a person asks for does not. A slot of a job has
//! one row, so that two hosts that both believe they are to run it cannot both begin.

use async_trait::async_trait;
use serde::Serialize;

use super::lease::hold_fence;
use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::job::{Cause, MOST_ATTEMPTS, RunResult};
use atalaya_domain::lease::{Fence, FenceNumber};
use atalaya_domain::time::Timestamp;

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
            Box::pin(begin(connection, &input.0, &input.1))
        })
        .await
    }

    async fn job_states(&self) -> Result<Vec<JobState>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(states(connection))
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
                wait_for(connection, &fence.lease, job, *next).await
            })
        })
        .await
    }

    async fn claim_run(&self, fence: &Fence, claim: &RunClaim) -> Result<Claimed, StoreError> {
        self.write((fence.clone(), claim.clone()), |connection, input| {
            Box::pin(claim_slot(connection, &input.0, &input.1))
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
            Box::pin(finish(connection, fence, *run, *result, output))
        })
        .await
    }

    async fn request_run(&self, lease: &str, job: &str, by: &str) -> Result<Timestamp, StoreError> {
        let input = (lease.to_owned(), job.to_owned(), by.to_owned());
        self.write(input, |connection, (lease, job, by)| {
            Box::pin(request(connection, lease, job, by))
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
            Box::pin(switch(connection, lease, job, *enabled))
        })
        .await
    }

    async fn job_runs(&self, filter: &RunFilter) -> Result<Vec<JobRun>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(runs(connection, filter))
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
            Box::pin(known_run(connection, lease, job, *slot))
        })
        .await
    }

    async fn prune_job_runs(&self, wanted: &RunPrune) -> Result<u64, StoreError> {
        self.write(wanted.clone(), |connection, wanted| {
            Box::pin(prune(connection, wanted))
        })
        .await
    }
}

/// Id, lease, job, slot, attempt, cause, fence, host, started, finished, result, output.
type RunRow = (
    i64,
    String,
    String,
    i64,
    i64,
    String,
    i64,
    String,
    i64,
    Option<i64>,
    Option<String>,
    String,
);

fn run_of(row: RunRow) -> Result<JobRun, StoreError> {
    let (id, lease, job, slot, attempt, cause, fence, host, started, finished, result, output) =
        row;
    let unknown = |what: &str, name: &str| {
        corrupt(
            "job_runs",
            &id.to_string(),
            format!("unknown {what} `{name}`"),
        )
    };
    Ok(JobRun {
        id,
        lease,
        job,
        slot_at: Timestamp::from_micros(slot),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        cause: Cause::of_name(&cause).ok_or_else(|| unknown("cause", &cause))?,
        fence: FenceNumber(fence),
        host,
        started_at: Timestamp::from_micros(started),
        finished_at: finished.map(Timestamp::from_micros),
        result: match result {
            None => None,
            Some(name) => Some(RunResult::of_name(&name).ok_or_else(|| unknown("result", &name))?),
        },
        output,
    })
}

async fn begin(
    connection: &mut Connection<'_>,
    fence: &Fence,
    jobs: &[(String, String, Option<Timestamp>)],
) -> Result<u64, Failure> {
    hold_fence(connection, fence).await?;
    for (name, schedule, first) in jobs {
        make_known(connection, &fence.lease, name).await?;
        connection
            .execute(
                "UPDATE jobs SET schedule = ?, next_run_at = COALESCE(next_run_at, ?)
                 WHERE lease = ? AND name = ?",
                values![schedule, *first, &fence.lease, name],
            )
            .await?;
    }
    let left: Vec<(i64, String, i64, i64)> = connection
        .rows(
            locking!(
                "SELECT id, job, slot_at, attempt FROM job_runs
                 WHERE lease = ? AND finished_at IS NULL AND fence < ?"
            ),
            values![&fence.lease, fence.number.0],
        )
        .await?;
    let now = connection.now().await?;
    for (id, job, slot, attempt) in &left {
        end_run(connection, *id, RunResult::Lost, None, now).await?;
        let slot = Timestamp::from_micros(*slot);
        begin_again(connection, &fence.lease, job, slot, *attempt).await?;
    }
    Ok(left.len() as u64)
}

async fn make_known(
    connection: &mut Connection<'_>,
    lease: &str,
    name: &str,
) -> Result<(), Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT 1 FROM jobs WHERE lease = ? AND name = ?"),
            values![lease, name],
        )
        .await?;
    if known.is_none() {
        connection
            .insert(
                "INSERT INTO jobs (lease, name, schedule)",
                &[values![lease, name, ""].to_vec()],
            )
            .await?;
    }
    Ok(())
}

async fn wait_for(
    connection: &mut Connection<'_>,
    lease: &str,
    job: &str,
    next: Option<Timestamp>,
) -> Result<(), Failure> {
    connection
        .execute(
            "UPDATE jobs SET next_run_at = ? WHERE lease = ? AND name = ?",
            values![next, lease, job],
        )
        .await
        .map(drop)
}

/// A slot that was cut off is waited for again, unless it always is.
async fn begin_again(
    connection: &mut Connection<'_>,
    lease: &str,
    job: &str,
    slot: Timestamp,
    attempt: i64,
) -> Result<(), Failure> {
    if attempt >= i64::from(MOST_ATTEMPTS) {
        return Ok(());
    }
    wait_for(connection, lease, job, Some(slot)).await
}

async fn end_run(
    connection: &mut Connection<'_>,
    id: i64,
    result: RunResult,
    output: Option<&str>,
    now: Timestamp,
) -> Result<(), Failure> {
    connection
        .execute(
            "UPDATE job_runs SET result = ?, finished_at = ?, output = COALESCE(?, output)
             WHERE id = ?",
            values![result.name(), now, output, id],
        )
        .await
        .map(drop)
}

async fn states(connection: &mut Connection<'_>) -> Result<Vec<JobState>, Failure> {
    type Row = (
        String,
        String,
        String,
        Option<bool>,
        Option<i64>,
        Option<i64>,
        Option<String>,
    );
    let rows: Vec<Row> = connection
        .rows(
            "SELECT lease, name, schedule, enabled, next_run_at, requested_at, requested_by
             FROM jobs ORDER BY lease, name",
            &[],
        )
        .await?;
    let states = rows.into_iter().map(
        |(lease, name, schedule, enabled, next, requested_at, requested_by)| JobState {
            lease,
            name,
            schedule,
            enabled,
            next_run_at: next.map(Timestamp::from_micros),
            requested_at: requested_at.map(Timestamp::from_micros),
            requested_by,
        },
    );
    Ok(states.collect())
}

async fn known_run(
    connection: &mut Connection<'_>,
    lease: &str,
    job: &str,
    slot: Timestamp,
) -> Result<Option<JobRun>, Failure> {
    let row: Option<RunRow> = connection
        .row(
            "SELECT id, lease, job, slot_at, attempt, cause, fence, host, started_at,
                 finished_at, result, output FROM job_runs
             WHERE lease = ? AND job = ? AND slot_at = ?",
            values![lease, job, slot],
        )
        .await?;
    row.map(run_of).transpose().map_err(Failure::from)
}

async fn claim_slot(
    connection: &mut Connection<'_>,
    fence: &Fence,
    claim: &RunClaim,
) -> Result<Claimed, Failure> {
    hold_fence(connection, fence).await?;
    let (lease, job) = (&fence.lease, &claim.job);
    let row: Option<(Option<i64>,)> = connection
        .row(
            locking!("SELECT next_run_at FROM jobs WHERE lease = ? AND name = ?"),
            values![lease, job],
        )
        .await?;
    if row.is_none() {
        return Err(connection.dangling(format!("the job `{job}` is not known to the store")));
    }
    let known = known_run(connection, lease, job, claim.slot_at).await?;
    let now = connection.now().await?;
    let attempt = match &known {
        None => 1,
        // The answer to the first claim was lost.
        Some(run) if run.result.is_none() && run.fence == fence.number => {
            return Ok(Claimed::Begun(run.clone()));
        }
        Some(run)
            if run.attempt < MOST_ATTEMPTS && run.result.is_some_and(RunResult::is_cut_off) =>
        {
            run.attempt + 1
        }
        Some(_) => 0,
    };
    wait_for(connection, lease, job, claim.next_run_at).await?;
    if claim.cause == Cause::Request {
        connection
            .execute(
                "UPDATE jobs SET requested_at = NULL, requested_by = NULL
                 WHERE lease = ? AND name = ?",
                values![lease, job],
            )
            .await?;
    }
    match (attempt, known) {
        (0, _) => return Ok(Claimed::Over),
        (_, Some(run)) => {
            connection
                .execute(
                    "UPDATE job_runs SET attempt = ?, cause = ?, fence = ?, host = ?,
                         started_at = ?, finished_at = NULL, result = NULL, output = ''
                     WHERE id = ?",
                    values![
                        attempt,
                        claim.cause.name(),
                        fence.number.0,
                        &claim.host,
                        now,
                        run.id
                    ],
                )
                .await?;
        }
        (_, None) => {
            connection
                .insert(
                    "INSERT INTO job_runs
                         (lease, job, slot_at, attempt, cause, fence, host, started_at, output)",
                    &[values![
                        lease,
                        job,
                        claim.slot_at,
                        attempt,
                        claim.cause.name(),
                        fence.number.0,
                        &claim.host,
                        now,
                        ""
                    ]
                    .to_vec()],
                )
                .await?;
        }
    }
    let begun = known_run(connection, lease, job, claim.slot_at).await?;
    begun
        .map(Claimed::Begun)
        .ok_or_else(|| corrupt("job_runs", job, "a run that was begun is not there").into())
}

async fn finish(
    connection: &mut Connection<'_>,
    fence: &Fence,
    run: i64,
    result: RunResult,
    output: &str,
) -> Result<(), Failure> {
    hold_fence(connection, fence).await?;
    let row: Option<(String, i64, i64)> = connection
        .row(
            locking!(
                "SELECT job, slot_at, attempt FROM job_runs
                 WHERE id = ? AND fence = ? AND finished_at IS NULL"
            ),
            values![run, fence.number.0],
        )
        .await?;
    let Some((job, slot, attempt)) = row else {
        return Ok(());
    };
    let now = connection.now().await?;
    end_run(connection, run, result, Some(output), now).await?;
    if result.is_cut_off() {
        let slot = Timestamp::from_micros(slot);
        begin_again(connection, &fence.lease, &job, slot, attempt).await?;
    }
    Ok(())
}

async fn request(
    connection: &mut Connection<'_>,
    lease: &str,
    job: &str,
    by: &str,
) -> Result<Timestamp, Failure> {
    let known: Option<(Option<i64>,)> = connection
        .row(
            locking!("SELECT requested_at FROM jobs WHERE lease = ? AND name = ?"),
            values![lease, job],
        )
        .await?;
    match known {
        None => Err(connection.dangling(format!("the job `{job}` is not known to the store"))),
        Some((Some(requested),)) => Ok(Timestamp::from_micros(requested)),
        Some((None,)) => {
            let now = connection.now().await?;
            connection
                .execute(
                    "UPDATE jobs SET requested_at = ?, requested_by = ?
                     WHERE lease = ? AND name = ?",
                    values![now, by, lease, job],
                )
                .await?;
            Ok(now)
        }
    }
}

async fn switch(
    connection: &mut Connection<'_>,
    lease: &str,
    job: &str,
    enabled: Option<bool>,
) -> Result<(), Failure> {
    make_known(connection, lease, job).await?;
    connection
        .execute(
            "UPDATE jobs SET enabled = ? WHERE lease = ? AND name = ?",
            values![enabled.map(i64::from), lease, job],
        )
        .await
        .map(drop)
}

async fn runs(connection: &mut Connection<'_>, filter: &RunFilter) -> Result<Vec<JobRun>, Failure> {
    let rows: Vec<RunRow> = match &filter.job {
        Some((lease, job)) => {
            connection
                .rows(
                    "SELECT id, lease, job, slot_at, attempt, cause, fence, host, started_at,
                         finished_at, result, '' FROM job_runs WHERE lease = ? AND job = ?
                     ORDER BY started_at DESC, id DESC LIMIT ?",
                    values![lease, job, filter.limit],
                )
                .await?
        }
        None => {
            connection
                .rows(
                    "SELECT id, lease, job, slot_at, attempt, cause, fence, host, started_at,
                         finished_at, result, '' FROM job_runs
                     ORDER BY started_at DESC, id DESC LIMIT ?",
                    values![filter.limit],
                )
                .await?
        }
    };
    rows.into_iter()
        .map(|row| run_of(row).map_err(Failure::from))
        .collect()
}

async fn prune(connection: &mut Connection<'_>, wanted: &RunPrune) -> Result<u64, Failure> {
    let (lease, job) = (&wanted.lease, &wanted.job);
    let beyond: Option<(i64,)> = connection
        .row(
            "SELECT started_at FROM job_runs WHERE lease = ? AND job = ?
             ORDER BY started_at DESC LIMIT 1 OFFSET ?",
            values![lease, job, wanted.most],
        )
        .await?;
    // The one that begins the rest belongs to it.
    let beyond = beyond.map_or(i64::MIN, |(started,)| started.saturating_add(1));
    let before = wanted.before.micros().max(beyond);
    let success: Option<(i64,)> = connection
        .row(
            "SELECT id FROM job_runs WHERE lease = ? AND job = ? AND result = 'ok'
             ORDER BY started_at DESC LIMIT 1",
            values![lease, job],
        )
        .await?;
    let kept = success.map_or(-1, |(id,)| id);
    if wanted.dry_run {
        let count: Option<(i64,)> = connection
            .row(
                "SELECT COUNT(*) FROM job_runs WHERE lease = ? AND job = ? AND started_at < ?
                     AND finished_at IS NOT NULL AND id <> ?",
                values![lease, job, before, kept],
            )
            .await?;
        return Ok(count.map_or(0, |(count,)| u64::try_from(count).unwrap_or(0)));
    }
    connection
        .execute(
            "DELETE FROM job_runs WHERE lease = ? AND job = ? AND started_at < ?
                 AND finished_at IS NOT NULL AND id <> ?",
            values![lease, job, before, kept],
        )
        .await
}
