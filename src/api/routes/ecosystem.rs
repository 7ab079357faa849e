//! The data ecosystem: how good the data is, who governs it, where it comes from, how it flows.

use axum::extract::State;
use serde_json::{Value, json};

use super::Use;
use super::catalog::DaysQuery;
use super::operation::Nothing;
use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::report::ecosystem_json;
use crate::service::follower_state::FollowerState;
use crate::service::stores::{logs_name, metrics_name};
use crate::service::{compliance, ecosystem, retention};
use atalaya_domain::time::Timestamp;

/// Completeness, validity, consistency, timeliness and accuracy of the phases.
#[utoipa::path(get, path = "/api/dora/ecosystem/quality", tag = "ecosystem", params(DaysQuery),
    operation_id = "ecosystem_quality", security(("token" = ["read"])),
    responses(
        (status = 200, description = "overall_score, assessment_date, period_days, total_records, quality_dimensions, issues, recommendation", body = Value),
        (status = 400, description = "A number is out of its range", body = Value),
    ))]
pub async fn quality(State(api): Use, Params(asked): Params<DaysQuery>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let found = ecosystem::quality(&*api.stores.metrics, asked.days(), now).await?;
    Ok(Answer::new(ecosystem_json::quality(
        &found,
        asked.days(),
        now,
    )))
}

/// What is kept how long, who may do what, and whether the policy holds: checked now.
#[utoipa::path(get, path = "/api/dora/ecosystem/governance", tag = "ecosystem", params(Nothing),
    operation_id = "ecosystem_governance", security(("token" = ["read"])),
    responses((status = 200, description = "framework, data_retention, access_controls, compliance_rules (as `atalaya compliance --json`), data_ownership", body = Value)))]
pub async fn governance(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let found = compliance::check(&api.stores, &api.settings).await;
    let quality = ecosystem::quality(&*api.stores.metrics, 30, now).await?;
    let mode = retention::Mode::DryRun;
    let kept = retention::keep(&api.stores, &api.settings, now, mode, || async { Ok(()) }).await?;
    let limits = &api.settings.api.config.limits;
    let limits = json!({ "per_minute": limits.per_minute, "per_hour": limits.per_hour });
    Ok(Answer::new(ecosystem_json::governance(
        &found, &quality, &kept, &limits,
    )))
}

/// From which sources data flows into which store, with the counts of today.
#[utoipa::path(get, path = "/api/dora/ecosystem/lineage", tag = "ecosystem", params(Nothing),
    operation_id = "ecosystem_lineage", security(("token" = ["read"])),
    responses((status = 200, description = "lineage_version, generated_at, data_flows, data_dependencies", body = Value)))]
pub async fn lineage(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let flows = ecosystem::flows(&api.stores, &api.settings).await?;
    let state = api.settings.ingest_state_dir();
    let follower = tokio::task::spawn_blocking(move || FollowerState::read(&state));
    let files = match follower.await {
        Ok(Ok(Some(follower))) => json!({
            "files": follower.files,
            "written": follower.written,
            "said_at": follower.at.to_rfc3339(),
        }),
        _ => Value::Null,
    };
    let name = |(backend, address): (atalaya_store::error::Backend, String)| {
        format!("{backend} at {address}")
    };
    let places = (
        name(metrics_name(&api.settings)),
        name(logs_name(&api.settings)),
    );
    let places = (places.0.as_str(), places.1.as_str());
    Ok(Answer::new(ecosystem_json::lineage(&flows, &files, places)))
}

/// Quality, freshness and incidents as scores; what each pipeline did in 24 hours.
#[utoipa::path(get, path = "/api/dora/ecosystem/health", tag = "ecosystem", params(Nothing),
    operation_id = "ecosystem_health", security(("token" = ["read"])),
    responses((status = 200, description = "overall_health_score, status, status_color, assessed_at, components, data_pipelines, checks, recommendations", body = Value)))]
pub async fn health(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let health = api.health.health(&api.stores, &api.settings).await?;
    let found = ecosystem::wellness(&api.stores, &api.settings, health).await?;
    Ok(Answer::new(ecosystem_json::health(&found)))
}

/// The tables that there are, and how much is in them.
#[utoipa::path(get, path = "/api/dora/ecosystem/metadata", tag = "ecosystem", params(Nothing),
    operation_id = "ecosystem_metadata", security(("token" = ["read"])),
    responses((status = 200, description = "registry_version, last_updated, database, datasets", body = Value)))]
pub async fn metadata(State(api): Use, _: Params<Nothing>) -> Result<Answer, Problem> {
    let found = ecosystem::registry(&api.stores).await?;
    Ok(Answer::new(ecosystem_json::registry(&found)))
}
