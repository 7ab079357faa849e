//! The questions that are one query each (specification, section 3.1). All of them are answered
//! from an index alone.

use sqlx::SqlitePool;

use crate::domain::delivery::{Decision, Phase};
use crate::domain::time::TimeRange;
use crate::store::metrics::{PhaseDurations, PointsDuration, TeamDeployments, TestingFailures};

use super::Failure;

pub(super) async fn phase_durations(
    pool: &SqlitePool,
    phase: Phase,
    range: TimeRange,
) -> Result<PhaseDurations, Failure> {
    let (phases, mean_seconds): (i64, Option<f64>) = sqlx::query_as(
        "SELECT COUNT(*), AVG(duration_seconds) FROM dora_metrics
         WHERE phase_name = ? AND created_at >= ? AND created_at < ?",
    )
    .bind(phase.name())
    .bind(range.from.micros())
    .bind(range.until.micros())
    .fetch_one(pool)
    .await?;
    Ok(PhaseDurations { phases: phases.unsigned_abs(), mean_seconds })
}

pub(super) async fn recovery_durations(
    pool: &SqlitePool,
    range: TimeRange,
) -> Result<PhaseDurations, Failure> {
    let (phases, mean_seconds): (i64, Option<f64>) = sqlx::query_as(
        "SELECT COUNT(*), AVG(duration_seconds) FROM dora_metrics
         WHERE phase_name = ? AND created_at >= ? AND created_at < ? AND decision = ?",
    )
    .bind(Phase::Maintenance.name())
    .bind(range.from.micros())
    .bind(range.until.micros())
    .bind(Decision::Resolved.name())
    .fetch_one(pool)
    .await?;
    Ok(PhaseDurations { phases: phases.unsigned_abs(), mean_seconds })
}

pub(super) async fn deployments_per_team(
    pool: &SqlitePool,
    range: TimeRange,
) -> Result<Vec<TeamDeployments>, Failure> {
    let rows: Vec<(Option<String>, i64)> = sqlx::query_as(
        "SELECT team, COUNT(*) AS deployments FROM dora_metrics
         WHERE phase_name = ? AND created_at >= ? AND created_at < ?
         GROUP BY team ORDER BY deployments DESC, team",
    )
    .bind(Phase::Deployment.name())
    .bind(range.from.micros())
    .bind(range.until.micros())
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(team, deployments)| TeamDeployments { team, deployments: deployments.unsigned_abs() })
        .collect())
}

pub(super) async fn testing_failures(
    pool: &SqlitePool,
    range: TimeRange,
) -> Result<TestingFailures, Failure> {
    let (testing, no_go): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COUNT(CASE WHEN decision = ? THEN 1 END) FROM dora_metrics
         WHERE phase_name = ? AND created_at >= ? AND created_at < ?",
    )
    .bind(Decision::NoGo.name())
    .bind(Phase::Testing.name())
    .bind(range.from.micros())
    .bind(range.until.micros())
    .fetch_one(pool)
    .await?;
    Ok(TestingFailures { testing: testing.unsigned_abs(), no_go: no_go.unsigned_abs() })
}

pub(super) async fn testing_by_story_points(
    pool: &SqlitePool,
    range: TimeRange,
) -> Result<Vec<PointsDuration>, Failure> {
    let rows: Vec<(f64, i64, f64)> = sqlx::query_as(
        "SELECT story_points, COUNT(*), AVG(duration_seconds) FROM dora_metrics
         WHERE phase_name = ? AND created_at >= ? AND created_at < ? AND story_points IS NOT NULL
         GROUP BY story_points ORDER BY story_points",
    )
    .bind(Phase::Testing.name())
    .bind(range.from.micros())
    .bind(range.until.micros())
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(story_points, phases, mean_seconds)| PointsDuration {
            story_points,
            phases: phases.unsigned_abs(),
            mean_seconds,
        })
        .collect())
}
