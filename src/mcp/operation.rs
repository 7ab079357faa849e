//! Tools over what the system does by itself.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Mcp;
use super::answer::{Found, Wrong, within};
use crate::report::{health_json, pdca_json};
use crate::service::{alerts as alerting, health as measuring, pdca as improving};
use atalaya_store::metrics::AlertFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Alerts {
    /// Those that fired, also when they are over.
    history: Option<bool>,
    /// Most alerts: 1 to 200, 50 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

pub async fn alerts(mcp: &Mcp, asked: Alerts) -> Result<Found, Wrong> {
    let limit = within("limit", asked.limit, 50, 200)? as usize;
    let store = &*mcp.inner.stores.metrics;
    let (found, console) = if asked.history.unwrap_or(false) {
        let filter = AlertFilter {
            rule: None,
            before: None,
            limit: 1_000,
        };
        (
            alerting::history(store, &filter).await?,
            "atalaya alerts history",
        )
    } else {
        (alerting::list(store).await?, "atalaya alerts list")
    };
    let rows = found
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<Value>, _>>()?;
    Found::page(rows, asked.cursor.as_deref(), limit, console)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Pages {
    /// Most rows: 1 to 100, 20 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

pub async fn pdca(mcp: &Mcp, asked: Pages) -> Result<Found, Wrong> {
    let limit = within("limit", asked.limit, 20, 100)? as usize;
    let listing = improving::list(&*mcp.inner.stores.metrics).await?;
    let rows = match pdca_json::list(&listing)? {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    };
    Found::page(rows, asked.cursor.as_deref(), limit, "atalaya pdca list")
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Nothing {}

pub async fn health(mcp: &Mcp, _: Nothing) -> Result<Found, Wrong> {
    let health = measuring::measure(&mcp.inner.stores, &mcp.inner.settings).await;
    Ok(Found::whole(health_json::health(&health), "atalaya health"))
}
