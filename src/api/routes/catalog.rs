//! The data catalog: which datasets there are, and their rows.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::Use;
use super::operation::Nothing;
use crate::api::answer::Answer;
use crate::api::params::{Params, Whole};
use crate::api::problem::Problem;
use crate::report::{catalog_json, dora_json};
use crate::service::dora::{self, Question, WindowWords};
use crate::service::ecosystem;
use atalaya_domain::delivery::Phase;
use atalaya_domain::quality;
use atalaya_domain::time::Timestamp;

const DAYS: u32 = 30;
/// Rows of one answer.
const ROWS: usize = 10_000;

/// The four datasets with their fields, addresses and parameters.
#[utoipa::path(get, path = "/api/dora/data-catalog", tag = "catalog", params(Nothing),
    operation_id = "catalog", security(("token" = ["read"])),
    responses((status = 200, description = "catalog_version, generated_at, total_datasets, datasets", body = Value)))]
pub async fn datasets(_: Params<Nothing>) -> Answer {
    Answer::new(catalog_json::catalog(Timestamp::now()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PhasesQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 365, default = 30)]
    days: Option<Whole<1, 365>>,
    phase_name: Option<String>,
    feature_id: Option<String>,
}

/// Phases of the last days, newest first, at most 10,000.
#[utoipa::path(get, path = "/api/dora/data-catalog/dora-metrics", tag = "catalog", params(PhasesQuery),
    operation_id = "catalog_phases", security(("token" = ["read"])),
    responses(
        (status = 200, description = "query, metadata (total_records, date_range, left_off), data", body = Value),
        (status = 400, description = "A number is out of its range, or the phase is none", body = Value),
    ))]
pub async fn phases(
    State(api): Use,
    Params(asked): Params<PhasesQuery>,
) -> Result<Answer, Problem> {
    let days = asked.days.map_or(DAYS, |days| days.0);
    let wanted = match asked.phase_name.as_deref() {
        None => None,
        Some(word) => Some(Phase::from_word(word).ok_or_else(|| {
            let known = Phase::ALL.map(Phase::name).join(", ");
            Problem::bad_request("`phase_name` is no phase", format!("use one of {known}"))
        })?),
    };
    let now = Timestamp::now();
    let (mut rows, _) = ecosystem::phases(&*api.stores.metrics, days, now).await?;
    rows.retain(|row| {
        wanted.is_none_or(|phase| row.phase == phase)
            && asked
                .feature_id
                .as_ref()
                .is_none_or(|feature| row.feature_id == *feature)
    });
    let left_off = rows.len().saturating_sub(ROWS);
    let data: Vec<Value> = rows.iter().take(ROWS).map(catalog_json::phase).collect();
    let query = json!({
        "days": days,
        "phase_name": wanted.map(Phase::name),
        "feature_id": asked.feature_id,
        "executed_at": now.to_rfc3339(),
    });
    Ok(Answer::new(catalog_json::rows(
        &query,
        &data,
        "created_at",
        left_off,
    )))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CyclesQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 365, default = 30)]
    days: Option<Whole<1, 365>>,
    /// Only those with an incident or a rollback.
    #[param(default = false)]
    #[serde(default)]
    failed_only: bool,
}

/// Cycles of the last days as their rows tell them, newest first.
#[utoipa::path(get, path = "/api/dora/data-catalog/deployment-cycles", tag = "catalog", params(CyclesQuery),
    operation_id = "catalog_cycles", security(("token" = ["read"])),
    responses(
        (status = 200, description = "query, metadata (total_cycles, failed_cycles), data", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
    ))]
pub async fn cycles(
    State(api): Use,
    Params(asked): Params<CyclesQuery>,
) -> Result<Answer, Problem> {
    let days = asked.days.map_or(DAYS, |days| days.0);
    let now = Timestamp::now();
    let (mut rows, _) = ecosystem::phases(&*api.stores.metrics, days, now).await?;
    rows.truncate(ROWS);
    Ok(Answer::new(catalog_json::cycles(
        &rows,
        asked.failed_only,
        now,
        days,
    )))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 365, default = 30)]
    days: Option<Whole<1, 365>>,
}

impl DaysQuery {
    pub fn days(&self) -> u32 {
        self.days.map_or(DAYS, |days| days.0)
    }
}

/// Counts and durations of the phases, beside the metrics of the report.
#[utoipa::path(get, path = "/api/dora/data-catalog/aggregated-stats", tag = "catalog", params(DaysQuery),
    operation_id = "catalog_stats", security(("token" = ["read"])),
    responses(
        (status = 200, description = "period, total_metrics, by_phase, by_decision, duration_stats, and four metrics as /api/dora/metrics has them", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
    ))]
pub async fn aggregated(
    State(api): Use,
    Params(asked): Params<DaysQuery>,
) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let question = Question {
        window: WindowWords {
            days: Some(asked.days()),
            ..WindowWords::default()
        },
        ..Question::default()
    };
    let zone = dora::zone(api.settings.ingest.timezone.as_deref());
    let request = question
        .read(&api.settings.dora, zone, now)
        .map_err(|error| Problem::bad_request(error.to_string(), "write it as the detail says"))?;
    let store = &*api.stores.metrics;
    let report = dora_json::json(&dora::report(store, &request, now).await?);
    let (rows, _) = ecosystem::phases(store, asked.days(), now).await?;
    Ok(Answer::new(catalog_json::aggregated(&rows, &report)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PerformanceQuery {
    /// `database_query_time_ms` or `error_rate`; others are known and not measured.
    metric_name: Option<String>,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 168, default = 24)]
    hours: Option<Whole<1, 168>>,
}

/// How the stores answered and how many records were errors, newest first, at most 10,000 values.
#[utoipa::path(get, path = "/api/dora/data-catalog/performance-metrics", tag = "catalog", params(PerformanceQuery),
    operation_id = "catalog_performance", security(("token" = ["read"])),
    responses(
        (status = 200, description = "query, metadata (total_records, date_range, not_measured), data", body = Value),
        (status = 400, description = "A number is out of its range, or the metric is none", body = Value),
    ))]
pub async fn performance(
    State(api): Use,
    Params(asked): Params<PerformanceQuery>,
) -> Result<Answer, Problem> {
    let known = catalog_json::PERFORMANCE;
    if let Some(name) = &asked.metric_name
        && !known.iter().any(|(known, _)| known == name)
    {
        let names = known.map(|(name, _)| name).join(", ");
        return Err(Problem::bad_request(
            "`metric_name` is none",
            format!("use one of {names}"),
        ));
    }
    let hours = asked.hours.map_or(24, |hours| hours.0);
    let now = Timestamp::now();
    let limit = u32::try_from(ROWS).unwrap_or(u32::MAX);
    let rows = ecosystem::performance(&api.stores, hours, limit, now).await?;
    let is_wanted = |name: &str| {
        asked
            .metric_name
            .as_ref()
            .is_none_or(|wanted| wanted == name)
    };
    let data: Vec<Value> = rows
        .iter()
        .filter(|row| is_wanted(row.name))
        .map(catalog_json::performance)
        .collect();
    let query = json!({ "metric_name": asked.metric_name, "hours": hours, "executed_at": now.to_rfc3339() });
    let mut answer = catalog_json::rows(&query, &data, "timestamp", 0);
    let not_measured = known
        .iter()
        .filter(|(name, why)| why.is_some() && is_wanted(name));
    answer["metadata"]["not_measured"] = not_measured
        .map(|(name, why)| json!({ "metric_name": name, "reason": why }))
        .collect();
    Ok(Answer::new(answer))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QualityQuery {
    /// `dora_metrics` or `deployment_cycles`.
    dataset_name: Option<String>,
}

/// Rates of gaps, anomalies and violations of the rows of 30 days, checked now.
#[utoipa::path(get, path = "/api/dora/data-catalog/quality-metrics", tag = "catalog", params(QualityQuery),
    operation_id = "catalog_quality", security(("token" = ["read"])),
    responses(
        (status = 200, description = "query, metadata (total_records, date_range), data", body = Value),
        (status = 400, description = "There is no such dataset", body = Value),
    ))]
pub async fn quality(
    State(api): Use,
    Params(asked): Params<QualityQuery>,
) -> Result<Answer, Problem> {
    let names = ["dora_metrics", "deployment_cycles"];
    if let Some(name) = &asked.dataset_name
        && !names.contains(&name.as_str())
    {
        return Err(Problem::bad_request(
            "`dataset_name` is none that is checked",
            format!("use one of {}", names.join(", ")),
        ));
    }
    let now = Timestamp::now();
    let (rows, unreadable) = ecosystem::phases(&*api.stores.metrics, DAYS, now).await?;
    let rates = [
        quality::rates_of_phases(&rows, unreadable),
        quality::rates_of_cycles(&rows),
    ];
    let data: Vec<Value> = names
        .iter()
        .zip(&rates)
        .filter(|(name, _)| {
            asked
                .dataset_name
                .as_ref()
                .is_none_or(|wanted| wanted == *name)
        })
        .map(|(name, rates)| catalog_json::quality(name, rates, now))
        .collect();
    let query = json!({ "dataset_name": asked.dataset_name, "days": DAYS, "executed_at": now.to_rfc3339() });
    Ok(Answer::new(catalog_json::rows(
        &query,
        &data,
        "checked_at",
        0,
    )))
}
