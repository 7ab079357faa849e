//! Sources, targets and health samples.

use sqlx::{SqliteConnection, SqlitePool};

use crate::domain::time::{TimeRange, Timestamp};
use crate::store::metrics::{HealthSample, SourceRun, Target, Written};

use super::Failure;

pub(super) async fn put_source(connection: &mut SqliteConnection, run: &SourceRun) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO sources (name, gives_deployments, gives_incidents, synced_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET
             gives_deployments = excluded.gives_deployments,
             gives_incidents = excluded.gives_incidents, synced_at = excluded.synced_at",
    )
    .bind(&run.name)
    .bind(run.gives_deployments)
    .bind(run.gives_incidents)
    .bind(run.synced_at.micros())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn sources(pool: &SqlitePool) -> Result<Vec<SourceRun>, Failure> {
    let rows: Vec<(String, bool, bool, i64)> = sqlx::query_as(
        "SELECT name, gives_deployments, gives_incidents, synced_at FROM sources ORDER BY name",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(name, gives_deployments, gives_incidents, synced_at)| SourceRun {
            name,
            gives_deployments,
            gives_incidents,
            synced_at: Timestamp::from_micros(synced_at),
        })
        .collect())
}

pub(super) async fn put_target(
    connection: &mut SqliteConnection,
    target: &Target,
) -> Result<Written, Failure> {
    let service = target.service.as_deref().unwrap_or_default();
    let team = target.team.as_deref().unwrap_or_default();
    let known: Option<f64> =
        sqlx::query_scalar("SELECT value FROM targets WHERE metric = ? AND service = ? AND team = ?")
            .bind(&target.metric)
            .bind(service)
            .bind(team)
            .fetch_optional(&mut *connection)
            .await?;
    let written = match known {
        Some(value) if value.to_bits() == target.value.to_bits() => {
            return Ok(Written { unchanged: 1, ..Written::default() });
        }
        Some(_) => Written { updated: 1, ..Written::default() },
        None => Written { inserted: 1, ..Written::default() },
    };
    sqlx::query(
        "INSERT INTO targets (metric, service, team, value, set_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (metric, service, team) DO UPDATE SET value = excluded.value, set_at = excluded.set_at",
    )
    .bind(&target.metric)
    .bind(service)
    .bind(team)
    .bind(target.value)
    .bind(target.set_at.micros())
    .execute(connection)
    .await?;
    Ok(written)
}

pub(super) async fn targets(pool: &SqlitePool) -> Result<Vec<Target>, Failure> {
    let rows: Vec<(String, String, String, f64, i64)> = sqlx::query_as(
        "SELECT metric, service, team, value, set_at FROM targets ORDER BY metric, service, team",
    )
    .fetch_all(pool)
    .await?;
    let named = |name: String| (!name.is_empty()).then_some(name);
    Ok(rows
        .into_iter()
        .map(|(metric, service, team, value, set_at)| Target {
            metric,
            service: named(service),
            team: named(team),
            value,
            set_at: Timestamp::from_micros(set_at),
        })
        .collect())
}

pub(super) async fn put_health_samples(
    connection: &mut SqliteConnection,
    samples: &[HealthSample],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    for sample in samples {
        let known: Option<f64> = sqlx::query_scalar(
            "SELECT value FROM health_samples WHERE component = ? AND measure = ? AND taken_at = ?",
        )
        .bind(&sample.component)
        .bind(&sample.measure)
        .bind(sample.taken_at.micros())
        .fetch_optional(&mut *connection)
        .await?;
        match known {
            Some(value) if value.to_bits() == sample.value.to_bits() => {
                written.unchanged += 1;
                continue;
            }
            Some(_) => written.updated += 1,
            None => written.inserted += 1,
        }
        sqlx::query(
            "INSERT INTO health_samples (component, measure, taken_at, value) VALUES (?, ?, ?, ?)
             ON CONFLICT (component, measure, taken_at) DO UPDATE SET value = excluded.value",
        )
        .bind(&sample.component)
        .bind(&sample.measure)
        .bind(sample.taken_at.micros())
        .bind(sample.value)
        .execute(&mut *connection)
        .await?;
    }
    Ok(written)
}

pub(super) async fn health_samples(
    pool: &SqlitePool,
    component: Option<&str>,
    range: TimeRange,
    limit: u32,
) -> Result<Vec<HealthSample>, Failure> {
    let rows: Vec<(String, String, i64, f64)> = sqlx::query_as(
        "SELECT component, measure, taken_at, value FROM health_samples
         WHERE taken_at >= ?1 AND taken_at < ?2 AND (?3 IS NULL OR component = ?3)
         ORDER BY taken_at DESC, component DESC, measure DESC LIMIT ?4",
    )
    .bind(range.from.micros())
    .bind(range.until.micros())
    .bind(component)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .rev()
        .map(|(component, measure, taken_at, value)| HealthSample {
            component,
            measure,
            taken_at: Timestamp::from_micros(taken_at),
            value,
        })
        .collect())
}

pub(super) async fn prune_health_samples(
    connection: &mut SqliteConnection,
    before: Timestamp,
) -> Result<u64, Failure> {
    let done = sqlx::query("DELETE FROM health_samples WHERE taken_at < ?")
        .bind(before.micros())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
