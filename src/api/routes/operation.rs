//! How the system is, and what it does by itself: health, alerts, jobs, PDCA cycles, backups, tokens.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::Use;
use crate::api::answer::Answer;
use crate::api::params::{Named, Params, Whole};
use crate::api::problem::Problem;
use crate::report::{backup_json, health_json, jobs_json, pdca_json, token_json};
use crate::service::backup::Place;
use crate::service::{alerts as alerting, backup, jobs as scheduling, pdca, tokens as access};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::AlertFilter;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Nothing {}

/// Host, stores, ingest: every check, and what they were made from. At most a minute old.
#[utoipa::path(get, path = "/api/health", tag = "service", params(Nothing),
    security(("token" = ["read"])),
    responses((status = 200, description = "As `atalaya health --json`", body = Value)))]
pub async fn health(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let health = api.health.health(&api.stores, &api.settings).await?;
    Ok(Answer::new(health_json::health(&health)))
}

/// What fires or is about to: the worst and newest first.
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", params(Nothing),
    security(("token" = ["read"])),
    responses((status = 200, description = "As `atalaya alerts list --json`", body = Value)))]
pub async fn alerts(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    listed(&alerting::list(&*api.stores.metrics).await?)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Of one rule.
    rule: Option<String>,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<Whole<1, 1_000>>,
}

/// Alerts that fired, newest first.
#[utoipa::path(get, path = "/api/alerts/history", tag = "alerts", params(HistoryQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "As `atalaya alerts history --json`", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
    ))]
pub async fn alert_history(
    State(api): Use,
    Params(asked): Params<HistoryQuery>,
) -> Result<Answer, Problem> {
    let filter = AlertFilter {
        rule: asked.rule,
        before: None,
        limit: asked.limit.map_or(50, |limit| limit.0),
    };
    listed(&alerting::history(&*api.stores.metrics, &filter).await?)
}

/// One alert with its evidence, by its id, the beginning of its id, or the name of its rule.
#[utoipa::path(get, path = "/api/alerts/{id}", tag = "alerts",
    params(("id" = String, Path, description = "Id, its beginning, or the name of a rule")),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "As `atalaya alerts show --json`", body = Value),
        (status = 400, description = "The beginning is that of several", body = Value),
        (status = 404, description = "There is none", body = Value),
    ))]
pub async fn alert(State(api): Use, Named(id): Named) -> Result<Answer, Problem> {
    let found = alerting::detail(&*api.stores.metrics, &id).await?;
    Ok(Answer::new(serde_json::to_value(found)?))
}

/// Every job with its last and its next run, and who runs them.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs", params(Nothing),
    security(("token" = ["read"])),
    responses((status = 200, description = "As `atalaya jobs list --json`", body = Value)))]
pub async fn jobs(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let view = scheduling::view(&*api.stores.metrics, (api.jobs)()).await?;
    Ok(Answer::new(jobs_json::view(&view)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<Whole<1, 1_000>>,
}

/// The runs of one job, newest first.
#[utoipa::path(get, path = "/api/jobs/{name}/runs", tag = "jobs",
    params(("name" = String, Path, description = "The name of a job"), RunsQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "As `atalaya jobs history --json`", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
        (status = 404, description = "There is no such job", body = Value),
    ))]
pub async fn job_runs(
    State(api): Use,
    Named(name): Named,
    Params(asked): Params<RunsQuery>,
) -> Result<Answer, Problem> {
    let infos = (api.jobs)();
    let Some(info) = infos.iter().find(|info| info.name == name) else {
        let known: Vec<&str> = infos.iter().map(|info| info.name).collect();
        let shown: String = name.chars().take(40).collect();
        return Err(Problem::not_found(
            format!("there is no job `{shown}`"),
            format!("name one of {}", known.join(", ")),
        ));
    };
    let limit = asked.limit.map_or(20, |limit| limit.0);
    let job = Some((info.lease.as_str(), info.name));
    let runs = scheduling::history(&*api.stores.metrics, job, limit).await?;
    Ok(Answer::new(runs.iter().map(jobs_json::run).collect()))
}

/// All PDCA cycles, newest first.
#[utoipa::path(get, path = "/api/pdca", tag = "pdca", params(Nothing),
    security(("token" = ["read"])),
    responses((status = 200, description = "As `atalaya pdca list --json`", body = Value)))]
pub async fn pdca_cycles(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let listing = pdca::list(&*api.stores.metrics).await?;
    Ok(Answer::new(pdca_json::list(&listing)?))
}

/// One PDCA cycle with everything that happened to it.
#[utoipa::path(get, path = "/api/pdca/{id}", tag = "pdca",
    params(("id" = String, Path, description = "The id of a cycle")),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "As `atalaya pdca show --json`", body = Value),
        (status = 404, description = "There is no such cycle", body = Value),
    ))]
pub async fn pdca_cycle(State(api): Use, Named(id): Named) -> Result<Answer, Problem> {
    let (cycle, events) = pdca::show(&*api.stores.metrics, &id).await?;
    Ok(Answer::new(pdca_json::history(&cycle, &events)?))
}

/// The backups that there are, newest first.
#[utoipa::path(get, path = "/api/backups", tag = "backups", params(Nothing),
    security(("token" = ["read"])),
    responses((status = 200, description = "As `atalaya backup list --json`", body = Value)))]
pub async fn backups(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let place = Place::configured(&api.settings, None)?;
    let all = backup::list(&place, Some(&*api.stores.metrics)).await?;
    Ok(Answer::new(all.iter().map(backup_json::listed).collect()))
}

/// Every token that was made, newest first; never the token itself.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", params(Nothing),
    security(("token" = ["admin"])),
    responses((status = 200, description = "As `atalaya token list --json`", body = Value)))]
pub async fn tokens(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let all = access::list(&*api.stores.metrics).await?;
    let rows: Vec<Value> = all.iter().map(|one| token_json::token(one, now)).collect();
    Ok(Answer::new(json!(rows)))
}

fn listed(rows: &impl serde::Serialize) -> Result<Answer, Problem> {
    Ok(Answer::new(serde_json::to_value(rows)?))
}
