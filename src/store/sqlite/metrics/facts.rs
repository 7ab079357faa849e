//! Deployments with their commits, and incidents: writing and reading.

use std::collections::{BTreeSet, HashMap};

use sqlx::{SqliteConnection, SqlitePool};

use crate::domain::delivery::{DeployedCommit, Deployment, Incident};
use crate::domain::record::RequestId;
use crate::domain::time::{TimeRange, Timestamp};
use crate::store::error::{Backend, StoreError};
use crate::store::metrics::{DeliveryFilter, Written};

use super::Failure;
use super::phases::{make_cycle, refresh_cycle};
use super::rows::{CommitRow, DeploymentRow, IncidentRow};

pub(super) async fn put_deployments(
    connection: &mut SqliteConnection,
    deployments: &[Deployment],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut cycles = BTreeSet::new();
    for deployment in deployments {
        let known = deployment_by_id(connection, &deployment.id).await?;
        match &known {
            Some(known) if known == deployment => {
                written.unchanged += 1;
                continue;
            }
            Some(known) => {
                written.updated += 1;
                cycles.extend(known.cycle_id.clone());
            }
            None => written.inserted += 1,
        }
        if let Some(cycle_id) = &deployment.cycle_id {
            let started_at = deployment.started_at.unwrap_or(deployment.finished_at);
            // The feature is not known here; its phases will say, whenever they are recorded.
            make_cycle(connection, cycle_id, cycle_id, started_at.micros()).await?;
            cycles.insert(cycle_id.clone());
        }
        put_deployment(connection, deployment).await?;
        let old_commits = known.and_then(|known| known.commits);
        if old_commits != deployment.commits {
            put_commits(connection, deployment).await?;
        }
    }
    for cycle_id in cycles {
        refresh_cycle(connection, &cycle_id).await?;
    }
    Ok(written)
}

async fn put_deployment(connection: &mut SqliteConnection, deployment: &Deployment) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO deployments
             (id, service, team, environment, commit_sha, started_at, finished_at, result, kind,
              request_id, cycle_id, origin, commits_known)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
             service = excluded.service, team = excluded.team, environment = excluded.environment,
             commit_sha = excluded.commit_sha, started_at = excluded.started_at,
             finished_at = excluded.finished_at, result = excluded.result, kind = excluded.kind,
             request_id = excluded.request_id, cycle_id = excluded.cycle_id, origin = excluded.origin,
             commits_known = excluded.commits_known",
    )
    .bind(&deployment.id)
    .bind(&deployment.service)
    .bind(&deployment.team)
    .bind(&deployment.environment)
    .bind(&deployment.commit)
    .bind(deployment.started_at.map(Timestamp::micros))
    .bind(deployment.finished_at.micros())
    .bind(deployment.result.name())
    .bind(deployment.kind.name())
    .bind(deployment.request_id.as_ref().map(RequestId::as_str))
    .bind(&deployment.cycle_id)
    .bind(&deployment.origin)
    .bind(deployment.commits.is_some())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_commits(connection: &mut SqliteConnection, deployment: &Deployment) -> Result<(), Failure> {
    sqlx::query("DELETE FROM deployment_commits WHERE deployment_id = ?")
        .bind(&deployment.id)
        .execute(&mut *connection)
        .await?;
    for (position, commit) in (0_i64..).zip(deployment.commits.iter().flatten()) {
        sqlx::query(
            "INSERT INTO deployment_commits
                 (deployment_id, position, sha, authored_at, committed_at, title)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&deployment.id)
        .bind(position)
        .bind(&commit.sha)
        .bind(commit.authored_at.micros())
        .bind(commit.committed_at.micros())
        .bind(&commit.title)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn deployment_by_id(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<Deployment>, Failure> {
    let row: Option<DeploymentRow> = sqlx::query_as("SELECT * FROM deployments WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let commits: Vec<CommitRow> = sqlx::query_as(
        "SELECT deployment_id, sha, authored_at, committed_at, title
         FROM deployment_commits WHERE deployment_id = ? ORDER BY position",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    Ok(Some(row.into_deployment(commits.into_iter().map(CommitRow::into_commit).collect())?))
}

pub(super) async fn put_incidents(
    connection: &mut SqliteConnection,
    incidents: &[Incident],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    for incident in incidents {
        let known: Option<IncidentRow> = sqlx::query_as("SELECT * FROM incidents WHERE id = ?")
            .bind(&incident.id)
            .fetch_optional(&mut *connection)
            .await?;
        match known.map(IncidentRow::into_incident) {
            Some(known) if known == *incident => {
                written.unchanged += 1;
                continue;
            }
            Some(_) => written.updated += 1,
            None => written.inserted += 1,
        }
        if let Some(cause) = &incident.caused_by {
            refuse_unknown_cause(connection, &incident.id, cause).await?;
        }
        put_incident(connection, incident).await?;
    }
    Ok(written)
}

/// The foreign key would refuse it too, but without naming the two.
async fn refuse_unknown_cause(
    connection: &mut SqliteConnection,
    incident: &str,
    cause: &str,
) -> Result<(), Failure> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM deployments WHERE id = ?")
        .bind(cause)
        .fetch_optional(connection)
        .await?;
    if known.is_some() {
        return Ok(());
    }
    let reason = format!(
        "incident `{incident}` names the deployment `{cause}`, which is not in the store; record that deployment first"
    );
    Err(StoreError::Refused { backend: Backend::Sqlite, source: reason.into() }.into())
}

async fn put_incident(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO incidents
             (id, title, service, severity, opened_at, resolved_at, caused_by, request_id, origin)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
             title = excluded.title, service = excluded.service, severity = excluded.severity,
             opened_at = excluded.opened_at, resolved_at = excluded.resolved_at,
             caused_by = excluded.caused_by, request_id = excluded.request_id, origin = excluded.origin",
    )
    .bind(&incident.id)
    .bind(&incident.title)
    .bind(&incident.service)
    .bind(&incident.severity)
    .bind(incident.opened_at.micros())
    .bind(incident.resolved_at.map(Timestamp::micros))
    .bind(&incident.caused_by)
    .bind(incident.request_id.as_ref().map(RequestId::as_str))
    .bind(&incident.origin)
    .execute(connection)
    .await?;
    Ok(())
}

/// The two reads are one snapshot: commits never belong to another state of their deployment.
pub(super) async fn deployments(
    pool: &SqlitePool,
    filter: &DeliveryFilter,
) -> Result<Vec<Deployment>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let mut snapshot = pool.begin().await?;
    let rows: Vec<DeploymentRow> = sqlx::query_as(
        "SELECT * FROM deployments
         WHERE finished_at >= ?1 AND finished_at < ?2 AND (?3 IS NULL OR service = ?3)
             AND (?4 IS NULL OR team = ?4) AND (?5 IS NULL OR environment = ?5)
         ORDER BY finished_at, id",
    )
    .bind(range.from.micros())
    .bind(range.until.micros())
    .bind(&filter.service)
    .bind(&filter.team)
    .bind(&filter.environment)
    .fetch_all(&mut *snapshot)
    .await?;
    let commits: Vec<CommitRow> = sqlx::query_as(
        "SELECT c.deployment_id, c.sha, c.authored_at, c.committed_at, c.title
         FROM deployments d JOIN deployment_commits c ON c.deployment_id = d.id
         WHERE d.finished_at >= ?1 AND d.finished_at < ?2 AND (?3 IS NULL OR d.service = ?3)
             AND (?4 IS NULL OR d.team = ?4) AND (?5 IS NULL OR d.environment = ?5)
         ORDER BY c.deployment_id, c.position",
    )
    .bind(range.from.micros())
    .bind(range.until.micros())
    .bind(&filter.service)
    .bind(&filter.team)
    .bind(&filter.environment)
    .fetch_all(&mut *snapshot)
    .await?;
    join(rows, commits)
}

pub(super) async fn deployments_of_request(
    pool: &SqlitePool,
    id: &RequestId,
) -> Result<Vec<Deployment>, Failure> {
    let mut snapshot = pool.begin().await?;
    let rows: Vec<DeploymentRow> =
        sqlx::query_as("SELECT * FROM deployments WHERE request_id = ? ORDER BY finished_at, id")
            .bind(id.as_str())
            .fetch_all(&mut *snapshot)
            .await?;
    let commits: Vec<CommitRow> = sqlx::query_as(
        "SELECT c.deployment_id, c.sha, c.authored_at, c.committed_at, c.title
         FROM deployments d JOIN deployment_commits c ON c.deployment_id = d.id
         WHERE d.request_id = ? ORDER BY c.deployment_id, c.position",
    )
    .bind(id.as_str())
    .fetch_all(&mut *snapshot)
    .await?;
    join(rows, commits)
}

fn join(rows: Vec<DeploymentRow>, commits: Vec<CommitRow>) -> Result<Vec<Deployment>, Failure> {
    let mut by_deployment: HashMap<String, Vec<DeployedCommit>> = HashMap::new();
    for mut commit in commits {
        let deployment = std::mem::take(&mut commit.deployment_id);
        by_deployment.entry(deployment).or_default().push(commit.into_commit());
    }
    rows.into_iter()
        .map(|row| {
            let commits = by_deployment.remove(&row.id).unwrap_or_default();
            Ok(row.into_deployment(commits)?)
        })
        .collect()
}

/// An incident is open from `opened_at` up to, not including, `resolved_at`; one that was resolved
/// at once still counts at its moment.
pub(super) async fn incidents(pool: &SqlitePool, filter: &DeliveryFilter) -> Result<Vec<Incident>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let rows: Vec<IncidentRow> = sqlx::query_as(
        "SELECT * FROM incidents
         WHERE opened_at < ?2 AND (resolved_at IS NULL OR resolved_at > ?1 OR opened_at >= ?1)
             AND (?3 IS NULL OR service = ?3)
         ORDER BY opened_at, id",
    )
    .bind(range.from.micros())
    .bind(range.until.micros())
    .bind(&filter.service)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(IncidentRow::into_incident).collect())
}

pub(super) async fn incidents_of_request(
    pool: &SqlitePool,
    id: &RequestId,
) -> Result<Vec<Incident>, Failure> {
    let rows: Vec<IncidentRow> =
        sqlx::query_as("SELECT * FROM incidents WHERE request_id = ? ORDER BY opened_at, id")
            .bind(id.as_str())
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(IncidentRow::into_incident).collect())
}
