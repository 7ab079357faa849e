//! Whether the service lives, and whether it can answer: for supervisors and load balancers, without
//! a token and therefore without any detail.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Use;
use atalaya_domain::record::OriginId;

/// A store that does not answer a small question so soon is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives. Asks no store.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "healthz",
    responses((status = 200, description = "It lives", body = Value, example = json!({"status": "ok"}))))]
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Both stores answer.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses(
        (status = 200, description = "Both stores answer", body = Value),
        (status = 503, description = "One does not", body = Value),
    ))]
pub async fn ready(State(api): Use) -> (StatusCode, Json<Value>) {
    let store = api.stores.logs.store();
    let (logs, metrics) = tokio::join!(
        timeout(PATIENCE, store.watermark(OriginId::from_u128(0))),
        timeout(PATIENCE, api.stores.metrics.sources()),
    );
    let (logs, metrics) = (matches!(logs, Ok(Ok(_))), matches!(metrics, Ok(Ok(_))));
    let word = |is_ready: bool| if is_ready { "ok" } else { "unavailable" };
    let status = if logs && metrics {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "status": word(logs && metrics),
        "stores": { "logs": word(logs), "metrics": word(metrics) },
    });
    (status, Json(body))
}
