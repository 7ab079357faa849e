//! The questions that are one query each (specification, section 3.1). All of them are answered
//! from an index alone.

use crate::metrics::{PhaseDurations, PointsDuration, TeamDeployments, TestingFailures};
use atalaya_domain::delivery::{Decision, Phase};
use atalaya_domain::time::TimeRange;

use super::connection::{Connection, Failure, of_phases, values};

// `+ 0E0`: the mean of a DECIMAL is one, and a mean is a real number here.

pub(super) async fn phase_durations(
    connection: &mut Connection<'_>,
    phase: Phase,
    range: TimeRange,
) -> Result<PhaseDurations, Failure> {
    let row: Option<(i64, Option<f64>)> = connection
        .row(
            of_phases!("SELECT COUNT(*), AVG(duration_seconds) + 0E0 FROM dora_metrics
                        WHERE phase_name = ? AND " at " >= ? AND " at " < ?"),
            values![phase.name(), range.from, range.until],
        )
        .await?;
    Ok(durations(row))
}

pub(super) async fn recovery_durations(
    connection: &mut Connection<'_>,
    range: TimeRange,
) -> Result<PhaseDurations, Failure> {
    let row: Option<(i64, Option<f64>)> = connection
        .row(
            of_phases!("SELECT COUNT(*), AVG(duration_seconds) + 0E0 FROM dora_metrics
                        WHERE phase_name = ? AND " at " >= ? AND " at " < ? AND decision = ?"),
            values![
                Phase::Maintenance.name(),
                range.from,
                range.until,
                Decision::Resolved.name()
            ],
        )
        .await?;
    Ok(durations(row))
}

fn durations(row: Option<(i64, Option<f64>)>) -> PhaseDurations {
    let (phases, mean_seconds) = row.unwrap_or_default();
    PhaseDurations {
        phases: phases.unsigned_abs(),
        mean_seconds,
    }
}

pub(super) async fn deployments_per_team(
    connection: &mut Connection<'_>,
    range: TimeRange,
) -> Result<Vec<TeamDeployments>, Failure> {
    let rows: Vec<(Option<String>, i64)> = connection
        .rows(
            of_phases!("SELECT team, COUNT(*) AS deployments FROM dora_metrics
                        WHERE phase_name = ? AND " at " >= ? AND " at " < ?
                        GROUP BY team ORDER BY deployments DESC, team"),
            values![Phase::Deployment.name(), range.from, range.until],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(team, deployments)| TeamDeployments {
            team,
            deployments: deployments.unsigned_abs(),
        })
        .collect())
}

pub(super) async fn testing_failures(
    connection: &mut Connection<'_>,
    range: TimeRange,
) -> Result<TestingFailures, Failure> {
    let row: Option<(i64, i64)> = connection
        .row(
            of_phases!("SELECT COUNT(*), COUNT(CASE WHEN decision = ? THEN 1 END) FROM dora_metrics
                        WHERE phase_name = ? AND " at " >= ? AND " at " < ?"),
            values![
                Decision::NoGo.name(),
                Phase::Testing.name(),
                range.from,
                range.until
            ],
        )
        .await?;
    let (testing, no_go) = row.unwrap_or_default();
    Ok(TestingFailures {
        testing: testing.unsigned_abs(),
        no_go: no_go.unsigned_abs(),
    })
}

pub(super) async fn testing_by_story_points(
    connection: &mut Connection<'_>,
    range: TimeRange,
) -> Result<Vec<PointsDuration>, Failure> {
    let rows: Vec<(f64, i64, f64)> = connection
        .rows(
            of_phases!("SELECT story_points, COUNT(*), AVG(duration_seconds) + 0E0 FROM dora_metrics
                        WHERE phase_name = ? AND " at " >= ? AND " at " < ? AND story_points IS NOT NULL
                        GROUP BY story_points ORDER BY story_points"),
            values![Phase::Testing.name(), range.from, range.until],
        )
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
