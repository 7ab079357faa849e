//! The DORA metrics with what they are made of: the same report as `atalaya dora report`.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Use;
use super::data::just_after;
use crate::api::Shared;
use crate::api::answer::Answer;
use crate::api::params::{Params, Whole};
use crate::api::problem::Problem;
use crate::report::{catalog_json, dora_json, dora_markdown, dora_text};
use crate::service::dora::{self, Question, ReportRequest, WindowWords};
use atalaya_domain::delivery::Cycle;
use atalaya_domain::dora::DoraReport;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore};

const DAYS: u32 = 30;
/// Rows beside the figures.
const ROWS: u32 = 1_000;

/// Which time and what of it; what is left out is as configured.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DoraQuery {
    /// Length of the window, ending now or with `until`.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    days: Option<Whole<1, 3_650>>,
    /// Begin of the window: a day or a time.
    #[param(example = "2026-03-01")]
    from: Option<String>,
    /// End of the window: a day (with all of it) or a time.
    until: Option<String>,
    service: Option<String>,
    team: Option<String>,
    environment: Option<String>,
    /// `dora`, or `iact` for the older tool's formulas.
    profile: Option<String>,
    /// A named set of level limits.
    thresholds: Option<String>,
}

impl DoraQuery {
    fn read(self, api: &Shared, now: Timestamp) -> Result<ReportRequest, Problem> {
        let is_open = self.from.is_none() && self.until.is_none();
        let days = self.days.map(|days| days.0);
        let question = Question {
            window: WindowWords {
                days: days.or(is_open.then_some(DAYS)),
                from: self.from,
                until: self.until,
                quarter: None,
            },
            service: self.service,
            team: self.team,
            environment: self.environment,
            profile: self.profile,
            thresholds: self.thresholds,
        };
        let zone = dora::zone(api.settings.ingest.timezone.as_deref());
        question
            .read(&api.settings.dora, zone, now)
            .map_err(|error| Problem::bad_request(error.to_string(), "write it as the detail says"))
    }

    async fn report(self, api: &Shared) -> Result<DoraReport, Problem> {
        let now = Timestamp::now();
        let request = self.read(api, now)?;
        Ok(dora::report(&*api.stores.metrics, &request, now).await?)
    }
}

/// The five metrics of a window, and the phases that were recorded in it.
#[utoipa::path(get, path = "/api/dora/metrics", tag = "dora", params(DoraQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "period_days, metrics, total_cycles, not_available (the reason of each null), rows", body = Value,
            example = json!({"period_days": 30, "metrics": {"lead_time_hours": 20.5, "deployment_frequency": 0.4, "change_failure_rate": 12.5, "mttr_hours": 1.2, "deployment_rework_rate": 0.0}, "total_cycles": 12})),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn metrics(State(api): Use, Params(asked): Params<DoraQuery>) -> Result<Answer, Problem> {
    let report = asked.report(&api).await?;
    let filter = DeliveryFilter {
        range: Some(report.window),
        service: report.scope.service.clone(),
        team: report.scope.team.clone(),
        environment: None,
    };
    let rows = rows(&*api.stores.metrics, &filter, ROWS).await?;
    let whole = dora_json::json(&report);
    let mut answer = Map::new();
    for key in [
        "period_days",
        "window",
        "generated_at",
        "profile",
        "thresholds",
        "environment",
        "service",
        "team",
        "metrics",
        "total_cycles",
        "overall",
        "notes",
    ] {
        answer.insert(key.to_owned(), whole[key].clone());
    }
    let details = whole["details"].as_object().into_iter().flatten();
    let reasons: Map<String, Value> = details
        .filter(|(_, found)| !found["not_available"].is_null())
        .map(|(name, found)| (name.clone(), found["not_available"].clone()))
        .collect();
    answer.insert("not_available".to_owned(), reasons.into());
    answer.insert("rows".to_owned(), rows.into());
    Ok(Answer::new(answer.into()))
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Json,
    Markdown,
    Text,
}

/// [`DoraQuery`] with the form of the answer: a flattened query would forget which keys are known.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// `json`, `markdown` or `text`.
    #[param(inline, default = "json")]
    #[serde(default)]
    format: Format,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    days: Option<Whole<1, 3_650>>,
    from: Option<String>,
    until: Option<String>,
    service: Option<String>,
    team: Option<String>,
    environment: Option<String>,
    profile: Option<String>,
    thresholds: Option<String>,
}

/// The whole report: every number with its rows and its rule.
#[utoipa::path(get, path = "/api/dora/report", tag = "dora", params(ReportQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "As `atalaya dora report --format json`",
            content((Value = "application/json"), (String = "text/markdown"), (String = "text/plain"))),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn report(
    State(api): Use,
    Params(asked): Params<ReportQuery>,
) -> Result<Response, Problem> {
    let format = asked.format;
    let question = DoraQuery {
        days: asked.days,
        from: asked.from,
        until: asked.until,
        service: asked.service,
        team: asked.team,
        environment: asked.environment,
        profile: asked.profile,
        thresholds: asked.thresholds,
    };
    let report = question.report(&api).await?;
    let (kind, text) = match format {
        Format::Json => return Ok(Answer::new(dora_json::json(&report)).into_response()),
        Format::Markdown => (
            "text/markdown; charset=utf-8",
            dora_markdown::markdown(&report, false),
        ),
        Format::Text => ("text/plain; charset=utf-8", dora_text::text(&report, false)),
    };
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response())
}

/// Deployments of a window, newest last, each with its lead time, failure and recovery.
#[utoipa::path(get, path = "/api/dora/deployments", tag = "dora", params(DoraQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "period_days, count, data", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn deployments(
    State(api): Use,
    Params(asked): Params<DoraQuery>,
) -> Result<Answer, Problem> {
    part_of_report(&api, asked, "deployments").await
}

/// Incidents of a window, each with the deployment that it is laid to.
#[utoipa::path(get, path = "/api/dora/incidents", tag = "dora", params(DoraQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "period_days, count, data", body = Value),
        (status = 400, description = "A word or a number is wrong", body = Value),
    ))]
pub async fn incidents(
    State(api): Use,
    Params(asked): Params<DoraQuery>,
) -> Result<Answer, Problem> {
    part_of_report(&api, asked, "incidents").await
}

async fn part_of_report(api: &Shared, asked: DoraQuery, key: &str) -> Result<Answer, Problem> {
    let report = asked.report(api).await?;
    let mut whole = dora_json::json(&report);
    let rows = whole[key].take();
    Ok(Answer::new(json!({
        "period_days": whole["period_days"],
        "window": whole["window"],
        "count": rows.as_array().map_or(0, Vec::len),
        "data": rows,
    })))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CyclesQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 30)]
    days: Option<Whole<1, 3_650>>,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<Whole<1, 1_000>>,
    service: Option<String>,
    team: Option<String>,
}

/// Cycles of the last days, newest first: one feature's way from planning to production each.
#[utoipa::path(get, path = "/api/dora/cycles", tag = "dora", params(CyclesQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "days, count, data", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
    ))]
pub async fn cycles(
    State(api): Use,
    Params(asked): Params<CyclesQuery>,
) -> Result<Answer, Problem> {
    let days = asked.days.map_or(DAYS, |days| days.0);
    let now = Timestamp::now();
    let mut range = dora::Window::days(days.into()).range(now);
    range.until = just_after(now);
    let filter = DeliveryFilter {
        range: Some(range),
        service: asked.service,
        team: asked.team,
        environment: None,
    };
    let limit = asked.limit.map_or(100, |limit| limit.0);
    let cycles = api.stores.metrics.cycles(&filter, limit).await?;
    let rows: Vec<Value> = cycles.iter().map(cycle_json).collect();
    Ok(Answer::new(
        json!({ "days": days, "count": rows.len(), "data": rows }),
    ))
}

fn cycle_json(cycle: &Cycle) -> Value {
    json!({
        "cycle_id": cycle.cycle_id,
        "feature_id": cycle.feature_id,
        "team": cycle.team,
        "service": cycle.service,
        "started_at": cycle.started_at.to_rfc3339(),
        "finished_at": cycle.finished_at.map(Timestamp::to_rfc3339),
        "phases": cycle.phases.iter().map(catalog_json::phase).collect::<Vec<_>>(),
    })
}

/// Phases, newest first, in the columns that the table has always had.
pub async fn rows(
    store: &dyn MetricsStore,
    filter: &DeliveryFilter,
    limit: u32,
) -> Result<Vec<Value>, Problem> {
    let mut phases = store.phases(filter).await?.read;
    phases.sort_by_key(|phase| std::cmp::Reverse(phase.recorded_at));
    phases.truncate(limit as usize);
    Ok(phases.iter().map(catalog_json::phase).collect())
}
