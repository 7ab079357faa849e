//! Phases of cycles, and the summary row of their cycle.
//!
//! A cycle's row is never edited: it is folded from all of its phases and deployments each time one
//! of them is written, so the order of writing does not matter and a repetition changes nothing.
//! Who writes anything of a cycle locks its row first.

use std::collections::{BTreeMap, HashMap};

use atalaya_domain::delivery::{Cycle, Deployment, DeploymentResult, Phase, PhaseRecord};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::rows::{CycleRow, PhaseRow};
use super::{DeliveryFilter, Rows};
use crate::metrics::sql::connection::{Sql, Value};
use crate::metrics::sql::{Connection, Failure, locking, of_phases, values};

/// Phases grouped by attempt key, as one cycle has them.
pub(super) type Attempts = BTreeMap<(String, u32), PhaseRow>;

/// What a deployment says about the cycle that it names.
#[derive(sqlx::FromRow)]
pub(super) struct CycleDeployment {
    started_at: Option<i64>,
    finished_at: i64,
    result: String,
    environment: String,
    service: String,
    team: Option<String>,
}

impl CycleDeployment {
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            started_at: deployment.started_at.map(Timestamp::micros),
            finished_at: deployment.finished_at.micros(),
            result: deployment.result.name().to_owned(),
            environment: deployment.environment.clone(),
            service: deployment.service.clone(),
            team: deployment.team.clone(),
        }
    }
}

/// Locks the cycle's row, and makes it when there is none, so that a foreign key can point to it.
pub(super) async fn make_cycle(
    connection: &mut Connection<'_>,
    cycle_id: &str,
    feature_id: &str,
    started_at: Timestamp,
) -> Result<(), Failure> {
    if lock_cycle(connection, cycle_id).await? {
        return Ok(());
    }
    connection
        .execute(
            "INSERT INTO cycles (cycle_id, feature_id, started_at) VALUES (?, ?, ?)",
            values![cycle_id, feature_id, started_at],
        )
        .await?;
    Ok(())
}

/// Whether there is such a cycle.
async fn lock_cycle(connection: &mut Connection<'_>, cycle_id: &str) -> Result<bool, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT started_at FROM cycles WHERE cycle_id = ?"),
            values![cycle_id],
        )
        .await?;
    Ok(known.is_some())
}

/// Folds the cycle's row anew from everything that belongs to it.
pub(super) async fn refresh_cycle(
    connection: &mut Connection<'_>,
    cycle_id: &str,
) -> Result<(), Failure> {
    lock_cycle(connection, cycle_id).await?;
    let known = attempts_of(connection, cycle_id).await?;
    let deployments = deployments_of(connection, cycle_id).await?;
    match fold(cycle_id, &known, &deployments) {
        Some(row) => summarise(connection, &row).await,
        None => Ok(()),
    }
}

/// Phases of many cycles; a cycle without any is absent.
pub(super) async fn attempts_by_cycle(
    connection: &mut Connection<'_>,
    cycle_ids: &[&str],
) -> Result<HashMap<String, Attempts>, Failure> {
    let rows: Vec<PhaseRow> = connection
        .rows_in(
            of_phases!("SELECT cycle_id, feature_id, phase_name, attempt, decision,
                            duration_seconds + 0E0 AS duration_seconds, CAST(metadata AS CHAR) AS metadata,
                            " at " AS created_at
                        FROM dora_metrics WHERE cycle_id"),
            cycle_ids,
        )
        .await?;
    let mut attempts: HashMap<String, Attempts> = HashMap::new();
    for row in rows {
        let row = row.in_our_words()?;
        attempts
            .entry(row.cycle_id.clone())
            .or_default()
            .insert((row.phase_name.clone(), row.attempt), row);
    }
    Ok(attempts)
}

async fn attempts_of(connection: &mut Connection<'_>, cycle_id: &str) -> Result<Attempts, Failure> {
    let rows: Vec<PhaseRow> = connection
        .rows(
            of_phases!("SELECT cycle_id, feature_id, phase_name, attempt, decision,
                            duration_seconds + 0E0 AS duration_seconds, CAST(metadata AS CHAR) AS metadata,
                            " at " AS created_at
                        FROM dora_metrics WHERE cycle_id = ?"),
            values![cycle_id],
        )
        .await?;
    rows.into_iter()
        .map(|row| Ok(((row.phase_name.clone(), row.attempt), row.in_our_words()?)))
        .collect::<Result<_, Failure>>()
}

/// In the order that both statements have.
pub(super) fn values_of(row: &PhaseRow) -> Vec<Value<'_>> {
    values![
        &row.feature_id,
        &row.decision,
        row.duration_seconds,
        &row.metadata,
        row.created_at,
        &row.cycle_id,
        &row.phase_name,
        row.attempt,
    ]
    .to_vec()
}

pub(super) async fn update_phases(
    connection: &mut Connection<'_>,
    rows: &[&PhaseRow],
) -> Result<(), Failure> {
    for row in rows {
        let update = of_phases!(
            "UPDATE dora_metrics
             SET feature_id = ?, decision = ?, duration_seconds = ?, metadata = ?, " at " = ?
             WHERE cycle_id = ? AND phase_name = ? AND attempt = ?"
        );
        connection.execute(update, &values_of(row)).await?;
    }
    Ok(())
}

/// In the order given: phases of one instant are read in the order in which they were recorded.
pub(super) const INSERT_PHASES: Sql = of_phases!(
    "INSERT INTO dora_metrics (feature_id, decision, duration_seconds, metadata, " at ",
         cycle_id, phase_name, attempt)"
);

async fn deployments_of(
    connection: &mut Connection<'_>,
    cycle_id: &str,
) -> Result<Vec<CycleDeployment>, Failure> {
    connection
        .rows(
            "SELECT started_at, finished_at, result, environment, service, team
             FROM deployments WHERE cycle_id = ? ORDER BY finished_at, id",
            values![cycle_id],
        )
        .await
}

pub(super) async fn summarise(
    connection: &mut Connection<'_>,
    row: &CycleRow,
) -> Result<(), Failure> {
    connection
        .execute(
            "UPDATE cycles SET feature_id = ?, team = ?, service = ?, started_at = ?, finished_at = ?
             WHERE cycle_id = ?",
            values![
                &row.feature_id,
                &row.team,
                &row.service,
                row.started_at,
                row.finished_at,
                &row.cycle_id
            ],
        )
        .await?;
    Ok(())
}

/// `None` for a cycle without anything that can be read.
pub(super) fn fold(
    cycle_id: &str,
    known: &Attempts,
    deployments: &[CycleDeployment],
) -> Option<CycleRow> {
    let phases = in_order(known);
    let phase_starts = phases
        .iter()
        .map(|phase| phase.recorded_at.saturating_sub(phase.duration));
    let deployment_starts = deployments.iter().map(|deployment| {
        Timestamp::from_micros(deployment.started_at.unwrap_or(deployment.finished_at))
    });
    let started_at = phase_starts.chain(deployment_starts).min()?;

    let passed_phases = phases
        .iter()
        .filter(|phase| phase.phase == Phase::Deployment && phase.decision.passed())
        .map(|phase| phase.recorded_at);
    let passed_deployments = deployments
        .iter()
        .filter(|deployment| {
            deployment.environment == PRODUCTION
                && deployment.result == DeploymentResult::Success.name()
        })
        .map(|deployment| Timestamp::from_micros(deployment.finished_at));
    let finished_at = passed_phases.chain(passed_deployments).min();

    let of_phases = |name: &str| phases.iter().find_map(|phase| phase.text(name));
    Some(CycleRow {
        cycle_id: cycle_id.to_owned(),
        feature_id: phases
            .first()
            .map_or(cycle_id, |phase| phase.feature_id.as_str())
            .to_owned(),
        team: of_phases("team").or_else(|| {
            deployments
                .iter()
                .find_map(|deployment| deployment.team.clone())
        }),
        service: of_phases("service").or_else(|| {
            deployments
                .first()
                .map(|deployment| deployment.service.clone())
        }),
        started_at: started_at.micros(),
        finished_at: finished_at.map(Timestamp::micros),
    })
}

/// The environment whose deployments end a cycle.
const PRODUCTION: &str = "production";

/// One cycle with its phases in the order of their time.
pub(super) async fn cycle(
    connection: &mut Connection<'_>,
    cycle_id: &str,
) -> Result<Option<Cycle>, Failure> {
    let row: Option<CycleRow> = connection
        .row("SELECT * FROM cycles WHERE cycle_id = ?", values![cycle_id])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let known = attempts_of(connection, cycle_id).await?;
    Ok(Some(row.into_cycle(in_order(&known))))
}

pub(super) async fn cycles(
    connection: &mut Connection<'_>,
    filter: &DeliveryFilter,
    limit: u32,
) -> Result<Vec<Cycle>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let rows: Vec<CycleRow> = connection
        .rows(
            "SELECT * FROM cycles
             WHERE started_at >= ? AND started_at < ? AND (? IS NULL OR service = ?)
                 AND (? IS NULL OR team = ?)
             ORDER BY started_at DESC, cycle_id DESC LIMIT ?",
            values![
                range.from,
                range.until,
                &filter.service,
                &filter.service,
                &filter.team,
                &filter.team,
                limit
            ],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_cycle(Vec::new()))
        .collect())
}

pub(super) async fn phases(
    connection: &mut Connection<'_>,
    filter: &DeliveryFilter,
) -> Result<Rows<PhaseRecord>, Failure> {
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let rows: Vec<PhaseRow> = connection
        .rows(
            of_phases!("SELECT cycle_id, feature_id, phase_name, attempt, decision,
                            duration_seconds + 0E0 AS duration_seconds, CAST(metadata AS CHAR) AS metadata,
                            " at " AS created_at
                        FROM dora_metrics
                        WHERE " at " >= ? AND " at " < ? AND (? IS NULL OR service = ?)
                            AND (? IS NULL OR team = ?)
                        ORDER BY " at ", id"),
            values![range.from, range.until, &filter.service, &filter.service, &filter.team, &filter.team],
        )
        .await?;
    Ok(readable(rows))
}

pub(super) async fn of_request(
    connection: &mut Connection<'_>,
    id: &RequestId,
) -> Result<Rows<PhaseRecord>, Failure> {
    let rows: Vec<PhaseRow> = connection
        .rows(
            of_phases!("SELECT cycle_id, feature_id, phase_name, attempt, decision,
                            duration_seconds + 0E0 AS duration_seconds, CAST(metadata AS CHAR) AS metadata,
                            " at " AS created_at
                        FROM dora_metrics WHERE request_id = ? ORDER BY " at ", id"),
            values![id.as_str()],
        )
        .await?;
    Ok(readable(rows))
}

fn readable(rows: Vec<PhaseRow>) -> Rows<PhaseRecord> {
    Rows::of("dora_metrics", rows.into_iter().map(PhaseRow::into_record))
}

pub(super) fn in_order(known: &Attempts) -> Vec<PhaseRecord> {
    let mut phases = readable(known.values().cloned().collect()).read;
    phases.sort_by_key(|phase| (phase.recorded_at, phase.phase, phase.attempt));
    phases
}
