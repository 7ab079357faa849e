//! The statements of [`Jobs`](super::Jobs), and its rows.

use super::super::lease::hold_fence;
use super::super::sql::{Connection, Failure, corrupt, locking, values};
use super::{Claimed, JobRun, JobState, RunClaim, RunFilter, RunPrune};
use crate::error::StoreError;
use atalaya_domain::job::{Cause, MOST_ATTEMPTS, RunResult};
use atalaya_domain::lease::{Fence, FenceNumber};
use atalaya_domain::time::Timestamp;

/// Id, lease, job, slot, attempt, cause, fence, host, started, finished, result, output.
pub(super) type RunRow = (
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

pub(super) fn run_of(row: RunRow) -> Result<JobRun, StoreError> {
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

pub(super) async fn begin(
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

pub(super) async fn wait_for(
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

pub(super) async fn states(connection: &mut Connection<'_>) -> Result<Vec<JobState>, Failure> {
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

pub(super) async fn known_run(
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

pub(super) async fn claim_slot(
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

pub(super) async fn finish(
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

pub(super) async fn request(
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

pub(super) async fn switch(
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

pub(super) async fn runs(
    connection: &mut Connection<'_>,
    filter: &RunFilter,
) -> Result<Vec<JobRun>, Failure> {
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

pub(super) async fn prune(
    connection: &mut Connection<'_>,
    wanted: &RunPrune,
) -> Result<u64, Failure> {
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
