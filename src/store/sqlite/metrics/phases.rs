//! Recording phases, and the summary row of their cycle.
//!
//! A cycle's row is never edited: it is folded from all of its phases and deployments each time one
//! of them is written, so the order of writing does not matter and a repetition changes nothing.

use std::collections::BTreeMap;

use sqlx::{SqliteConnection, SqlitePool};

use crate::domain::delivery::{Cycle, DeploymentResult, Phase, PhaseRecord};
use crate::domain::record::RequestId;
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;
use crate::store::metrics::Written;

use super::Failure;
use super::rows::{CycleRow, PhaseRow};

/// Phases grouped by attempt key, as one cycle has them.
type Attempts = BTreeMap<(String, u32), PhaseRow>;

/// What a deployment says about the cycle that it names.
#[derive(sqlx::FromRow)]
struct CycleDeployment {
    started_at: Option<i64>,
    finished_at: i64,
    result: String,
    environment: String,
    service: String,
    team: Option<String>,
}

pub(super) async fn record(
    connection: &mut SqliteConnection,
    phases: &[PhaseRecord],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut by_cycle: BTreeMap<&str, Vec<&PhaseRecord>> = BTreeMap::new();
    for phase in phases {
        by_cycle.entry(&phase.cycle_id).or_default().push(phase);
    }
    for (cycle_id, phases) in by_cycle {
        let mut known = attempts_of(connection, cycle_id).await?;
        let mut changed = false;
        for phase in phases {
            let row = PhaseRow::of(phase)?;
            let key = (row.phase_name.clone(), phase.attempt);
            match known.get(&key) {
                Some(stored) if *stored == row => {
                    written.unchanged += 1;
                    continue;
                }
                Some(_) => written.updated += 1,
                None => written.inserted += 1,
            }
            if !changed {
                make_cycle(connection, cycle_id, &row.feature_id, row.created_at).await?;
            }
            changed = true;
            put_phase(connection, &row).await?;
            known.insert(key, row);
        }
        if changed {
            summarise(connection, cycle_id, &known).await?;
        }
    }
    Ok(written)
}

/// Makes the cycle's row when there is none, so that a foreign key can point to it.
pub(super) async fn make_cycle(
    connection: &mut SqliteConnection,
    cycle_id: &str,
    feature_id: &str,
    started_at: i64,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO cycles (cycle_id, feature_id, started_at) VALUES (?, ?, ?)
         ON CONFLICT (cycle_id) DO NOTHING",
    )
    .bind(cycle_id)
    .bind(feature_id)
    .bind(started_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Folds the cycle's row anew from everything that belongs to it.
pub(super) async fn refresh_cycle(connection: &mut SqliteConnection, cycle_id: &str) -> Result<(), Failure> {
    let known = attempts_of(connection, cycle_id).await?;
    summarise(connection, cycle_id, &known).await
}

async fn attempts_of(connection: &mut SqliteConnection, cycle_id: &str) -> Result<Attempts, Failure> {
    let rows: Vec<PhaseRow> = sqlx::query_as(
        "SELECT cycle_id, feature_id, phase_name, attempt, decision, duration_seconds, metadata, created_at
         FROM dora_metrics WHERE cycle_id = ?",
    )
    .bind(cycle_id)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.phase_name.clone(), row.attempt), row)).collect())
}

async fn put_phase(connection: &mut SqliteConnection, row: &PhaseRow) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO dora_metrics
             (cycle_id, feature_id, phase_name, attempt, decision, duration_seconds, metadata, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (cycle_id, phase_name, attempt) DO UPDATE SET
             feature_id = excluded.feature_id, decision = excluded.decision,
             duration_seconds = excluded.duration_seconds, metadata = excluded.metadata,
             created_at = excluded.created_at",
    )
    .bind(&row.cycle_id)
    .bind(&row.feature_id)
    .bind(&row.phase_name)
    .bind(row.attempt)
    .bind(&row.decision)
    .bind(row.duration_seconds)
    .bind(&row.metadata)
    .bind(row.created_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn summarise(
    connection: &mut SqliteConnection,
    cycle_id: &str,
    known: &Attempts,
) -> Result<(), Failure> {
    let deployments: Vec<CycleDeployment> = sqlx::query_as(
        "SELECT started_at, finished_at, result, environment, service, team
         FROM deployments WHERE cycle_id = ? ORDER BY finished_at, id",
    )
    .bind(cycle_id)
    .fetch_all(&mut *connection)
    .await?;
    let Some(row) = fold(cycle_id, known, &deployments)? else { return Ok(()) };
    sqlx::query(
        "UPDATE cycles SET feature_id = ?, team = ?, service = ?, started_at = ?, finished_at = ?
         WHERE cycle_id = ?",
    )
    .bind(&row.feature_id)
    .bind(&row.team)
    .bind(&row.service)
    .bind(row.started_at)
    .bind(row.finished_at)
    .bind(cycle_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// The cycle as its parts tell it; the earliest part that says something about a field decides.
/// `None` when nothing belongs to the cycle.
fn fold(
    cycle_id: &str,
    known: &Attempts,
    deployments: &[CycleDeployment],
) -> Result<Option<CycleRow>, StoreError> {
    let phases = in_order(known)?;
    let phase_starts = phases.iter().map(|phase| phase.recorded_at.saturating_sub(phase.duration));
    let deployment_starts = deployments
        .iter()
        .map(|deployment| Timestamp::from_micros(deployment.started_at.unwrap_or(deployment.finished_at)));
    let Some(started_at) = phase_starts.chain(deployment_starts).min() else { return Ok(None) };

    let passed_phases = phases
        .iter()
        .filter(|phase| phase.phase == Phase::Deployment && phase.decision.passed())
        .map(|phase| phase.recorded_at);
    let passed_deployments = deployments
        .iter()
        .filter(|deployment| {
            deployment.environment == PRODUCTION && deployment.result == DeploymentResult::Success.name()
        })
        .map(|deployment| Timestamp::from_micros(deployment.finished_at));
    let finished_at = passed_phases.chain(passed_deployments).min();

    let of_phases = |name: &str| phases.iter().find_map(|phase| phase.text(name));
    Ok(Some(CycleRow {
        cycle_id: cycle_id.to_owned(),
        feature_id: phases.first().map_or(cycle_id, |phase| phase.feature_id.as_str()).to_owned(),
        team: of_phases("team").or_else(|| deployments.iter().find_map(|deployment| deployment.team.clone())),
        service: of_phases("service")
            .or_else(|| deployments.first().map(|deployment| deployment.service.clone())),
        started_at: started_at.micros(),
        finished_at: finished_at.map(Timestamp::micros),
    }))
}

/// The environment whose deployments end a cycle.
const PRODUCTION: &str = "production";

/// One cycle with its phases in the order of their time.
pub(super) async fn cycle(pool: &SqlitePool, cycle_id: &str) -> Result<Option<Cycle>, Failure> {
    let mut snapshot = pool.begin().await?;
    let row: Option<CycleRow> = sqlx::query_as("SELECT * FROM cycles WHERE cycle_id = ?")
        .bind(cycle_id)
        .fetch_optional(&mut *snapshot)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let known = attempts_of(&mut snapshot, cycle_id).await?;
    Ok(Some(row.into_cycle(in_order(&known)?)))
}

pub(super) async fn of_request(pool: &SqlitePool, id: &RequestId) -> Result<Vec<PhaseRecord>, Failure> {
    let rows: Vec<PhaseRow> = sqlx::query_as(
        "SELECT cycle_id, feature_id, phase_name, attempt, decision, duration_seconds, metadata, created_at
         FROM dora_metrics WHERE request_id = ? ORDER BY created_at, id",
    )
    .bind(id.as_str())
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(PhaseRow::into_record).collect::<Result<_, _>>()?)
}

fn in_order(known: &Attempts) -> Result<Vec<PhaseRecord>, StoreError> {
    let mut phases = known.values().cloned().map(PhaseRow::into_record).collect::<Result<Vec<_>, _>>()?;
    phases.sort_by_key(|phase| (phase.recorded_at, phase.phase, phase.attempt));
    Ok(phases)
}
