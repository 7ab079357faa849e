//! What is asked of the phases as a whole: each is one query, answered from an index alone.

use async_trait::async_trait;
use serde::Serialize;

use super::sql::{Connection, Failure, SqlDatabase, View, of_phases, values};
use crate::error::StoreError;
use atalaya_domain::delivery::{Decision, Phase};
use atalaya_domain::time::TimeRange;

/// How long a phase took over a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PhaseDurations {
    /// Phases that the mean was taken from.
    pub phases: u64,
    /// `None` when there were none: that is not "zero seconds".
    pub mean_seconds: Option<f64>,
}

/// Deployment phases of one team over a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TeamDeployments {
    /// `None` for those that name no team.
    pub team: Option<String>,
    pub deployments: u64,
}

/// The older tool's change failure rate: testing phases that ended in `no-go` among all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TestingFailures {
    pub testing: u64,
    pub no_go: u64,
}

impl TestingFailures {
    /// 0 to 100; `None` without a testing phase.
    pub fn percent(self) -> Option<f64> {
        (self.testing > 0).then(|| self.no_go as f64 / self.testing as f64 * 100.0)
    }
}

/// Testing time of the features with one number of story points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PointsDuration {
    pub story_points: f64,
    pub phases: u64,
    pub mean_seconds: f64,
}

#[async_trait]
pub trait PhaseQuestions {
    /// Mean duration of a phase: of `deployment` over 30 days, the older tool's lead time.
    async fn phase_durations(
        &self,
        phase: Phase,
        range: TimeRange,
    ) -> Result<PhaseDurations, StoreError>;

    /// Mean duration of the maintenance phases that ended in `resolved`: the older tool's recovery time.
    async fn recovery_durations(&self, range: TimeRange) -> Result<PhaseDurations, StoreError>;

    /// Deployment phases per team, the busiest first, then by name.
    async fn deployments_per_team(
        &self,
        range: TimeRange,
    ) -> Result<Vec<TeamDeployments>, StoreError>;

    async fn testing_failures(&self, range: TimeRange) -> Result<TestingFailures, StoreError>;

    /// Mean duration of the testing phases by `metadata.story_points`, ascending; phases without
    /// points take no part.
    async fn testing_by_story_points(
        &self,
        range: TimeRange,
    ) -> Result<Vec<PointsDuration>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> PhaseQuestions for D {
    async fn phase_durations(
        &self,
        phase: Phase,
        range: TimeRange,
    ) -> Result<PhaseDurations, StoreError> {
        self.read(
            View::Latest,
            (phase, range),
            |connection, (phase, range)| Box::pin(phase_durations(connection, *phase, *range)),
        )
        .await
    }

    async fn recovery_durations(&self, range: TimeRange) -> Result<PhaseDurations, StoreError> {
        self.read(View::Latest, range, |connection, range| {
            Box::pin(recovery_durations(connection, *range))
        })
        .await
    }

    async fn deployments_per_team(
        &self,
        range: TimeRange,
    ) -> Result<Vec<TeamDeployments>, StoreError> {
        self.read(View::Latest, range, |connection, range| {
            Box::pin(deployments_per_team(connection, *range))
        })
        .await
    }

    async fn testing_failures(&self, range: TimeRange) -> Result<TestingFailures, StoreError> {
        self.read(View::Latest, range, |connection, range| {
            Box::pin(testing_failures(connection, *range))
        })
        .await
    }

    async fn testing_by_story_points(
        &self,
        range: TimeRange,
    ) -> Result<Vec<PointsDuration>, StoreError> {
        self.read(View::Latest, range, |connection, range| {
            Box::pin(testing_by_story_points(connection, *range))
        })
        .await
    }
}

// `+ 0E0`: the mean of a DECIMAL is one, and a mean is a real number here.

async fn phase_durations(
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

async fn recovery_durations(
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

async fn deployments_per_team(
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

async fn testing_failures(
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

async fn testing_by_story_points(
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
