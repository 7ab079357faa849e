//! Deployments with their commits, and incidents: writing and reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::metrics::Written;
use atalaya_domain::delivery::{DeployedCommit, Deployment, Incident};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::phases::{make_cycle, refresh_cycle};
use super::rows::{CommitRow, DeploymentRow, IncidentRow};
use super::{DeliveryFilter, Rows};
use crate::metrics::sql::connection::{Sql, Value};
use crate::metrics::sql::{Connection, Failure, locking, values};

pub(super) async fn put_deployments(
    connection: &mut Connection<'_>,
    deployments: &[Deployment],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    make_cycles(connection, deployments).await?;
    let mut changed_cycles = BTreeSet::new();
    for deployment in in_order(deployments, |deployment| &deployment.id) {
        let known = deployment_by(
            connection,
            locking!("SELECT * FROM deployments WHERE id = ?"),
            &deployment.id,
        )
        .await?;
        let values = values_of_deployment(deployment);
        match &known {
            Some(known) if known == deployment => {
                written.unchanged += 1;
                continue;
            }
            Some(known) => {
                written.updated += 1;
                changed_cycles.extend(known.cycle_id.clone());
                connection.execute(UPDATE_DEPLOYMENT, &values).await?;
            }
            None => {
                written.inserted += 1;
                connection.insert(INSERT_DEPLOYMENTS, &[values]).await?;
            }
        }
        changed_cycles.extend(deployment.cycle_id.clone());
        let old_commits = known.and_then(|known| known.commits);
        if old_commits != deployment.commits {
            let has_old = old_commits.is_some_and(|commits| !commits.is_empty());
            put_commits(connection, deployment, has_old).await?;
        }
    }
    for cycle_id in changed_cycles {
        refresh_cycle(connection, &cycle_id).await?;
    }
    Ok(written)
}

/// By key, so that two writers do not wait for each other crosswise; of one key the last one given
/// stays the last.
fn in_order<T>(facts: &[T], key: impl Fn(&T) -> &String) -> Vec<&T> {
    let mut ordered: Vec<&T> = facts.iter().collect();
    ordered.sort_by(|one, other| key(one).cmp(key(other)));
    ordered
}

/// The feature of a cycle is not known here; its phases will say, whenever they are recorded.
async fn make_cycles(
    connection: &mut Connection<'_>,
    deployments: &[Deployment],
) -> Result<(), Failure> {
    let named: BTreeMap<&String, &Deployment> = deployments
        .iter()
        .filter_map(|deployment| Some((deployment.cycle_id.as_ref()?, deployment)))
        .collect();
    for (cycle_id, deployment) in named {
        let started_at = deployment.started_at.unwrap_or(deployment.finished_at);
        make_cycle(connection, cycle_id, cycle_id, started_at).await?;
    }
    Ok(())
}

/// The same values in the same order for all three statements.
pub(super) const INSERT_DEPLOYMENTS: &str = "INSERT INTO deployments
     (service, team, environment, commit_sha, started_at, finished_at, result, kind, request_id, cycle_id,
      origin, taken_back_by, commits_known, id)";
const UPDATE_DEPLOYMENT: &str = "UPDATE deployments SET
     service = ?, team = ?, environment = ?, commit_sha = ?, started_at = ?, finished_at = ?, result = ?,
     kind = ?, request_id = ?, cycle_id = ?, origin = ?, taken_back_by = ?, commits_known = ?
 WHERE id = ?";

pub(super) fn values_of_deployment(deployment: &Deployment) -> Vec<Value<'_>> {
    values![
        &deployment.service,
        &deployment.team,
        &deployment.environment,
        &deployment.commit,
        deployment.started_at,
        deployment.finished_at,
        deployment.result.name(),
        deployment.kind.name(),
        deployment.request_id.as_ref().map(RequestId::as_str),
        &deployment.cycle_id,
        &deployment.origin,
        &deployment.taken_back_by,
        deployment.commits.is_some(),
        &deployment.id,
    ]
    .to_vec()
}

async fn put_commits(
    connection: &mut Connection<'_>,
    deployment: &Deployment,
    has_old: bool,
) -> Result<(), Failure> {
    if has_old {
        connection
            .execute(
                "DELETE FROM deployment_commits WHERE deployment_id = ?",
                values![&deployment.id],
            )
            .await?;
    }
    let rows: Vec<_> = (0_i64..)
        .zip(deployment.commits.iter().flatten())
        .map(|(position, commit)| {
            values![
                &deployment.id,
                position,
                &commit.sha,
                commit.authored_at,
                commit.committed_at,
                &commit.title,
                commit.reverts
            ]
            .to_vec()
        })
        .collect();
    connection
        .insert(
            "INSERT INTO deployment_commits (deployment_id, position, sha, authored_at, committed_at, title, reverts)",
            &rows,
        )
        .await
}

/// Needs a snapshot.
pub(super) async fn deployment(
    connection: &mut Connection<'_>,
    id: &str,
) -> Result<Option<Deployment>, Failure> {
    deployment_by(
        connection,
        "SELECT * FROM deployments WHERE id = ?".into(),
        id,
    )
    .await
}

async fn deployment_by(
    connection: &mut Connection<'_>,
    select: Sql,
    id: &str,
) -> Result<Option<Deployment>, Failure> {
    let row: Option<DeploymentRow> = connection.row(select, values![id]).await?;
    let Some(row) = row else { return Ok(None) };
    let commits: Vec<CommitRow> = connection
        .rows(
            "SELECT deployment_id, sha, authored_at, committed_at, title, reverts
             FROM deployment_commits WHERE deployment_id = ? ORDER BY position",
            values![id],
        )
        .await?;
    Ok(Some(row.into_deployment(
        commits.into_iter().map(CommitRow::into_commit).collect(),
    )?))
}

pub(super) async fn put_incidents(
    connection: &mut Connection<'_>,
    incidents: &[Incident],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    for incident in in_order(incidents, |incident| &incident.id) {
        let known: Option<IncidentRow> = connection
            .row(
                locking!("SELECT * FROM incidents WHERE id = ?"),
                values![&incident.id],
            )
            .await?;
        let known = known.map(IncidentRow::into_incident);
        if known.as_ref() == Some(incident) {
            written.unchanged += 1;
            continue;
        }
        if let Some(cause) = &incident.caused_by {
            refuse_unknown_cause(connection, &incident.id, cause).await?;
        }
        let values = values_of_incident(incident);
        if known.is_some() {
            written.updated += 1;
            connection.execute(UPDATE_INCIDENT, &values).await?;
        } else {
            written.inserted += 1;
            connection.insert(INSERT_INCIDENTS, &[values]).await?;
        }
    }
    Ok(written)
}

/// The foreign key would refuse it too, but without naming the two.
async fn refuse_unknown_cause(
    connection: &mut Connection<'_>,
    incident: &str,
    cause: &str,
) -> Result<(), Failure> {
    let known: Option<(i64,)> = connection
        .row(
            "SELECT finished_at FROM deployments WHERE id = ?",
            values![cause],
        )
        .await?;
    if known.is_some() {
        return Ok(());
    }
    Err(connection.dangling(format!(
        "incident `{incident}` names the deployment `{cause}`, which is not in the store; record that deployment first"
    )))
}

/// The same values in the same order for both statements.
pub(super) const INSERT_INCIDENTS: &str = "INSERT INTO incidents
     (title, service, severity, opened_at, resolved_at, cause, caused_by, request_id, origin, id)";
const UPDATE_INCIDENT: &str = "UPDATE incidents SET
     title = ?, service = ?, severity = ?, opened_at = ?, resolved_at = ?, cause = ?, caused_by = ?,
     request_id = ?, origin = ?
 WHERE id = ?";

pub(super) fn values_of_incident(incident: &Incident) -> Vec<Value<'_>> {
    values![
        &incident.title,
        &incident.service,
        &incident.severity,
        incident.opened_at,
        incident.resolved_at,
        &incident.cause,
        &incident.caused_by,
        incident.request_id.as_ref().map(RequestId::as_str),
        &incident.origin,
        &incident.id,
    ]
    .to_vec()
}

pub(super) async fn incident(
    connection: &mut Connection<'_>,
    id: &str,
) -> Result<Option<Incident>, Failure> {
    let row: Option<IncidentRow> = connection
        .row("SELECT * FROM incidents WHERE id = ?", values![id])
        .await?;
    Ok(row.map(IncidentRow::into_incident))
}

/// The finish of the last deployment that reached users.
pub(super) async fn last_deployed(
    connection: &mut Connection<'_>,
    filter: &DeliveryFilter,
) -> Result<Option<Timestamp>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let row: Option<(Option<i64>,)> = connection
        .row(
            "SELECT MAX(finished_at) FROM deployments
             WHERE finished_at >= ? AND finished_at < ? AND (? IS NULL OR service = ?)
                 AND (? IS NULL OR team = ?) AND (? IS NULL OR environment = ?)
                 AND result <> 'aborted'",
            values![
                range.from,
                range.until,
                &filter.service,
                &filter.service,
                &filter.team,
                &filter.team,
                &filter.environment,
                &filter.environment,
            ],
        )
        .await?;
    Ok(row.and_then(|(last,)| last).map(Timestamp::from_micros))
}

/// Needs a snapshot: commits never belong to another state of their deployment.
pub(super) async fn deployments(
    connection: &mut Connection<'_>,
    filter: &DeliveryFilter,
) -> Result<Rows<Deployment>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let values = values![
        range.from,
        range.until,
        &filter.service,
        &filter.service,
        &filter.team,
        &filter.team,
        &filter.environment,
        &filter.environment,
    ];
    let rows: Vec<DeploymentRow> = connection
        .rows(
            "SELECT * FROM deployments
             WHERE finished_at >= ? AND finished_at < ? AND (? IS NULL OR service = ?)
                 AND (? IS NULL OR team = ?) AND (? IS NULL OR environment = ?)
             ORDER BY finished_at, id",
            values,
        )
        .await?;
    let commits: Vec<CommitRow> = connection
        .rows(
            "SELECT c.deployment_id, c.sha, c.authored_at, c.committed_at, c.title, c.reverts
             FROM deployments d JOIN deployment_commits c ON c.deployment_id = d.id
             WHERE d.finished_at >= ? AND d.finished_at < ? AND (? IS NULL OR d.service = ?)
                 AND (? IS NULL OR d.team = ?) AND (? IS NULL OR d.environment = ?)
             ORDER BY c.deployment_id, c.position",
            values,
        )
        .await?;
    Ok(join(rows, commits))
}

/// Needs a snapshot.
pub(super) async fn deployments_of_request(
    connection: &mut Connection<'_>,
    id: &RequestId,
) -> Result<Rows<Deployment>, Failure> {
    let rows: Vec<DeploymentRow> = connection
        .rows(
            "SELECT * FROM deployments WHERE request_id = ? ORDER BY finished_at, id",
            values![id.as_str()],
        )
        .await?;
    let commits: Vec<CommitRow> = connection
        .rows(
            "SELECT c.deployment_id, c.sha, c.authored_at, c.committed_at, c.title, c.reverts
             FROM deployments d JOIN deployment_commits c ON c.deployment_id = d.id
             WHERE d.request_id = ? ORDER BY c.deployment_id, c.position",
            values![id.as_str()],
        )
        .await?;
    Ok(join(rows, commits))
}

fn join(rows: Vec<DeploymentRow>, commits: Vec<CommitRow>) -> Rows<Deployment> {
    let mut by_deployment: HashMap<String, Vec<DeployedCommit>> = HashMap::new();
    for mut commit in commits {
        let deployment = std::mem::take(&mut commit.deployment_id);
        by_deployment
            .entry(deployment)
            .or_default()
            .push(commit.into_commit());
    }
    let rows = rows.into_iter().map(|row| {
        let commits = by_deployment.remove(&row.id).unwrap_or_default();
        row.into_deployment(commits)
    });
    Rows::of("deployments", rows)
}

/// An incident is open from `opened_at` up to, not including, `resolved_at`; one that was resolved
/// at once still counts at its moment.
pub(super) async fn incidents(
    connection: &mut Connection<'_>,
    filter: &DeliveryFilter,
) -> Result<Vec<Incident>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let rows: Vec<IncidentRow> = connection
        .rows(
            "SELECT * FROM incidents
             WHERE opened_at < ? AND (resolved_at IS NULL OR resolved_at > ? OR opened_at >= ?)
                 AND (? IS NULL OR service = ?)
             ORDER BY opened_at, id",
            values![
                range.until,
                range.from,
                range.from,
                &filter.service,
                &filter.service
            ],
        )
        .await?;
    Ok(rows.into_iter().map(IncidentRow::into_incident).collect())
}

pub(super) async fn incidents_of_request(
    connection: &mut Connection<'_>,
    id: &RequestId,
) -> Result<Vec<Incident>, Failure> {
    let rows: Vec<IncidentRow> = connection
        .rows(
            "SELECT * FROM incidents WHERE request_id = ? ORDER BY opened_at, id",
            values![id.as_str()],
        )
        .await?;
    Ok(rows.into_iter().map(IncidentRow::into_incident).collect())
}
