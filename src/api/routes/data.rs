//! `GET /api/data/query`: one question for all three layers, in the older tool's envelope.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::logs::{Wanted, records_json};
use super::{Use, dora};
use crate::api::answer::Answer;
use crate::api::params::{Params, Whole};
use crate::api::problem::Problem;
use crate::report::health_json;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::Order;
use atalaya_store::metrics::DeliveryFilter;

const DAYS: u32 = 7;
const LIMIT: u32 = 1_000;
const TYPES: [&str; 3] = ["metrics", "logs", "health"];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DataQuery {
    /// `metrics`, `logs` or `health`.
    #[param(value_type = String, example = "logs")]
    r#type: Option<String>,
    /// How far back; 0 is since midnight (UTC).
    #[param(value_type = Option<u32>, minimum = 0, maximum = 3650, default = 7)]
    days: Option<Whole<0, 3_650>>,
    /// Most rows, newest first.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10000, default = 1000)]
    limit: Option<Whole<1, 10_000>>,
    /// Of logs: what to look for, in the query language.
    q: Option<String>,
}

/// Rows of one layer: phases of cycles, log records, or the health of host and stores.
#[utoipa::path(get, path = "/api/data/query", tag = "data", params(DataQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "query_type, source, days, count, data; health has neither days nor count", body = Value,
            example = json!({"query_type": "logs", "source": "SQLite (/srv/atalaya/logs.db)", "days": 2, "count": 1, "data": [{"timestamp": "2026-03-02T10:20:04.118000Z", "level": "ERROR", "message": "migration 12 failed", "request_id": "req-5f1c"}]})),
        (status = 400, description = "The type, a number or the query is wrong", body = Value),
    ))]
pub async fn query(State(api): Use, Params(asked): Params<DataQuery>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let days = asked.days.map_or(DAYS, |days| days.0);
    let limit = asked.limit.map_or(LIMIT, |limit| limit.0);
    let kind = asked.r#type.as_deref().unwrap_or_default();
    if asked.q.is_some() && kind != "logs" {
        return Err(Problem::bad_request(
            "only logs take a query",
            "leave `q` out, or ask for `type=logs`",
        ));
    }
    match kind {
        "metrics" => {
            let filter = DeliveryFilter {
                range: Some(TimeRange::new(since(now, days), just_after(now))),
                ..DeliveryFilter::default()
            };
            let store = &api.stores.metrics;
            let rows = dora::rows(&**store, &filter, limit).await?;
            let source = format!("{} ({})", store.backend(), store.address());
            Ok(envelope(kind, &source, days, &rows))
        }
        "logs" => {
            let store = api.stores.logs.store();
            let source = format!("{} ({})", store.backend(), store.address());
            let wanted = Wanted {
                text: asked.q.as_deref().unwrap_or_default(),
                since: Some(since(now, days)),
                order: Order::NewestFirst,
                after: None,
                limit,
            };
            let found = wanted.part(&api).await?;
            Ok(envelope(
                kind,
                &source,
                days,
                &records_json(&found.records)?,
            ))
        }
        "health" => {
            let health = api.health.health(&api.stores, &api.settings).await?;
            Ok(Answer::new(json!({
                "query_type": kind,
                "source": "measured by this service, kept for a minute",
                "data": health_json::health(&health),
            })))
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            let problem = Problem::bad_request(
                format!("Invalid query type: {shown}"),
                "write `type=metrics`, `type=logs` or `type=health`",
            );
            Err(problem.with("valid_types", json!(TYPES)))
        }
    }
}

fn envelope(kind: &str, source: &str, days: u32, rows: &[Value]) -> Answer {
    Answer::new(json!({
        "query_type": kind,
        "source": source,
        "days": days,
        "count": rows.len(),
        "data": rows,
    }))
}

/// The end of a range is outside; what is of this moment belongs to it.
pub(super) fn just_after(now: Timestamp) -> Timestamp {
    now.saturating_add(std::time::Duration::from_micros(1))
}

/// So many days ago; with none the last midnight.
fn since(now: Timestamp, days: u32) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    if days == 0 {
        return Timestamp::from_micros(now.micros() - now.micros().rem_euclid(DAY));
    }
    Timestamp::from_micros(now.micros() - i64::from(days) * DAY)
}
