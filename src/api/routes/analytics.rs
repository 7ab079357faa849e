//! Series over whole weeks and months: the same answers as `atalaya dora analytics`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Use;
use crate::api::Shared;
use crate::api::answer::Answer;
use crate::api::params::{Params, Whole};
use crate::api::problem::Problem;
use crate::report::analytics_json;
use crate::service::dora::analytics::{Analysis, analyse};
use crate::service::dora::{self, Question};
use atalaya_domain::dora::analytics::Measure;
use atalaya_domain::time::Timestamp;

/// What of the deliveries counts.
struct Of {
    service: Option<String>,
    team: Option<String>,
    environment: Option<String>,
    profile: Option<String>,
}

async fn answer(api: &Shared, of: Of, analysis: Analysis) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let question = Question {
        service: of.service,
        team: of.team,
        environment: of.environment,
        profile: of.profile,
        ..Question::default()
    };
    let zone = dora::zone(api.settings.ingest.timezone.as_deref());
    let request = question
        .read(&api.settings.dora, zone, now)
        .map_err(|error| Problem::bad_request(error.to_string(), "write it as the detail says"))?;
    let told = analyse(&*api.stores.metrics, &request, analysis, now).await?;
    Ok(Answer::new(analytics_json::json(&told)))
}

/// A query has its own numbers and these words: a flattened one would forget which keys are known.
macro_rules! query {
    ($name:ident { $($(#[$meta:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(Debug, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            $($(#[$meta])* $field: Option<$kind>,)*
            service: Option<String>,
            team: Option<String>,
            environment: Option<String>,
            /// `dora`, or `iact` for the older tool's measures.
            profile: Option<String>,
        }

        impl $name {
            fn of(self) -> Of {
                Of {
                    service: self.service,
                    team: self.team,
                    environment: self.environment,
                    profile: self.profile,
                }
            }
        }
    };
}

query!(TrendQuery {
    /// Only its whole weeks count.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 90)]
    days: Whole<1, 3_650>,
});
query!(CompareQuery {
    /// Length of the current period, which ends now.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    current_days: Whole<1, 3_650>,
    /// Length of the one before it.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    previous_days: Whole<1, 3_650>,
});
query!(MonthsQuery {
    /// Whole calendar months.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 36, default = 6)]
    months: Whole<1, 36>,
});
query!(AnomalyQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    days: Whole<1, 3_650>,
});

/// Deployments of each whole week, and whether they rise. Weeks before anything is known are null.
#[utoipa::path(get, path = "/api/dora/analytics/trends/deployment-frequency", tag = "analytics",
    params(TrendQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "metric, period_days, data_points, weekly_data, trend_analysis, statistics, plain_rule", body = Value,
            example = json!({"metric": "deployment_frequency", "period_days": 35, "data_points": 4, "weekly_data": {"weeks": ["2026-06", "2026-07", "2026-08", "2026-09"], "counts": [3, 4, 4, 6]}, "trend_analysis": {"direction": "improving", "average_weekly_change": 1.0, "current_week_count": 6, "previous_week_count": 4, "week_over_week_change": 2, "beyond_chance": false}})),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn frequency_trend(
    State(api): Use,
    Params(asked): Params<TrendQuery>,
) -> Result<Answer, Problem> {
    let analysis = Analysis::Trend {
        measure: Measure::DeploymentFrequency,
        days: asked.days.map_or(90, |days| days.0),
    };
    answer(&api, asked.of(), analysis).await
}

/// Lead times of each whole week, mean and median, and whether they fall.
#[utoipa::path(get, path = "/api/dora/analytics/trends/lead-time", tag = "analytics",
    params(TrendQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "metric, period_days, data_points, weekly_data, trend_analysis, trend_of_medians, statistics, plain_rule", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn lead_time_trend(
    State(api): Use,
    Params(asked): Params<TrendQuery>,
) -> Result<Answer, Problem> {
    let analysis = Analysis::Trend {
        measure: Measure::LeadTime,
        days: asked.days.map_or(90, |days| days.0),
    };
    answer(&api, asked.of(), analysis).await
}

/// The metrics of two periods, by the day where they are not equally long.
#[utoipa::path(get, path = "/api/dora/analytics/comparative/period-over-period", tag = "analytics",
    params(CompareQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "comparison_type, current_period, previous_period, metrics, summary", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn compare(
    State(api): Use,
    Params(asked): Params<CompareQuery>,
) -> Result<Answer, Problem> {
    let analysis = Analysis::Compare {
        days: asked.current_days.map_or(30, |days| days.0),
        before: asked.previous_days.map_or(30, |days| days.0),
    };
    answer(&api, asked.of(), analysis).await
}

/// Deployments and lead times of whole calendar months.
#[utoipa::path(get, path = "/api/dora/analytics/historical/monthly", tag = "analytics",
    params(MonthsQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "report_type, period_months, start_date, end_date, data, summary", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn monthly(
    State(api): Use,
    Params(asked): Params<MonthsQuery>,
) -> Result<Answer, Problem> {
    let months = asked.months.map_or(6, |months| months.0);
    answer(&api, asked.of(), Analysis::Monthly { months }).await
}

/// Deployments that took unusually long or short, at most 20 of them.
#[utoipa::path(get, path = "/api/dora/analytics/anomalies", tag = "analytics",
    params(AnomalyQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "period_days, total_deployments, anomalies_detected, anomaly_rate, thresholds, statistics, anomalies; or status `insufficient_data` with needed and available", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn anomalies(
    State(api): Use,
    Params(asked): Params<AnomalyQuery>,
) -> Result<Answer, Problem> {
    let days = asked.days.map_or(30, |days| days.0);
    answer(&api, asked.of(), Analysis::Anomalies { days }).await
}

/// What the running month will have been, with intervals, and how far off the rule was before.
#[utoipa::path(get, path = "/api/dora/analytics/forecast", tag = "analytics",
    params(MonthsQuery), security(("token" = ["read"])),
    responses(
        (status = 200, description = "forecast_period, based_on_months, forecasts, confidence, note; or status `insufficient_data` with needed and available", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn forecast(
    State(api): Use,
    Params(asked): Params<MonthsQuery>,
) -> Result<Answer, Problem> {
    let months = asked.months.map_or(6, |months| months.0);
    answer(&api, asked.of(), Analysis::Forecast { months }).await
}
