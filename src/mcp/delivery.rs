//! Tools over deliveries: every figure is that of `atalaya dora report`.

use std::collections::BTreeMap;

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Mcp;
use super::answer::{Found, Wrong, command, within};
use crate::report::dora_json;
use crate::service::dora::{self, Question, WindowWords};
use atalaya_domain::dora::Metric;
use atalaya_domain::time::Timestamp;

/// The report of a window as JSON, and the command that prints the same.
async fn report_of(
    mcp: &Mcp,
    days: u32,
    (service, team, profile): (Option<String>, Option<String>, Option<String>),
) -> Result<(Value, String), Wrong> {
    let days_text = days.to_string();
    let mut words = vec!["atalaya", "dora", "report", "--days", &days_text];
    for (flag, value) in [
        ("--service", &service),
        ("--team", &team),
        ("--profile", &profile),
    ] {
        if let Some(value) = value {
            words.extend([flag, value]);
        }
    }
    let console = command(&words);
    let settings = &mcp.inner.settings;
    let question = Question {
        window: WindowWords {
            days: Some(days),
            ..WindowWords::default()
        },
        service,
        team,
        profile,
        ..Question::default()
    };
    let zone = dora::zone(settings.ingest.timezone.as_deref());
    let now = Timestamp::now();
    let request = question.read(&settings.dora, zone, now)?;
    let report = dora::report(&*mcp.inner.stores.metrics, &request, now).await?;
    Ok((dora_json::json(&report), console))
}

fn rows(whole: &mut Value, key: &str) -> Vec<Value> {
    match whole[key].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Services {
    /// Length of the window that ends now: 1 to 3650, 90 when left out.
    days: Option<u32>,
    /// Most services: 1 to 200, 50 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

pub async fn services(mcp: &Mcp, asked: Services) -> Result<Found, Wrong> {
    let days = within("days", asked.days, 90, 3_650)?;
    let limit = within("limit", asked.limit, 50, 200)? as usize;
    let (mut whole, console) = report_of(mcp, days, (None, None, None)).await?;
    let mut services: BTreeMap<String, (u64, Value)> = BTreeMap::new();
    // Newest first: the first one of a service is its last.
    for deployment in rows(&mut whole, "deployments") {
        let name = deployment["service"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let known = services.entry(name).or_insert_with(|| {
            (0, json!({ "id": deployment["id"], "finished_at": deployment["finished_at"], "result": deployment["result"] }))
        });
        known.0 += 1;
    }
    let all = services
        .into_iter()
        .map(|(name, (count, last))| json!({ "service": name, "deployments": count, "last_deployment": last }))
        .collect();
    Found::page(all, asked.cursor.as_deref(), limit, console)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Report {
    /// Length of the window that ends now: 1 to 3650, 30 when left out.
    days: Option<u32>,
    service: Option<String>,
    team: Option<String>,
    /// `dora`, or `iact` for the older tool's formulas.
    profile: Option<String>,
}

pub async fn report(mcp: &Mcp, asked: Report) -> Result<Found, Wrong> {
    let days = within("days", asked.days, 30, 3_650)?;
    let of = (asked.service, asked.team, asked.profile);
    let (mut whole, console) = report_of(mcp, days, of).await?;
    for details in whole["details"].as_object_mut().into_iter().flatten() {
        let rule = details.1["explanation"]["rule"].take();
        if let Some(metric) = details.1.as_object_mut() {
            metric.remove("explanation");
            metric.insert("rule".to_owned(), rule);
        }
    }
    if let Some(report) = whole.as_object_mut() {
        // Each has a tool of its own.
        for list in ["deployments", "failed_deployments", "incidents"] {
            report.remove(list);
        }
    }
    Ok(Found::whole(whole, console))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Explain {
    /// `deployment_frequency`, `change_lead_time`, `change_failure_rate`,
    /// `failed_deployment_recovery_time` or `deployment_rework_rate`.
    metric: String,
    /// Length of the window that ends now: 1 to 3650, 30 when left out.
    days: Option<u32>,
    service: Option<String>,
    /// Most rows: 1 to 200, 50 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

pub async fn explain(mcp: &Mcp, asked: Explain) -> Result<Found, Wrong> {
    let Some(metric) = Metric::from_word(&asked.metric) else {
        let known = Metric::ALL.map(Metric::key).join(", ");
        return Err(Wrong(format!("`metric` is none; use one of {known}")));
    };
    let days = within("days", asked.days, 30, 3_650)?;
    let limit = within("limit", asked.limit, 50, 200)? as usize;
    let (mut whole, console) = report_of(mcp, days, (asked.service, None, None)).await?;
    let mut found = whole["details"][metric.key()].take();
    let mut told = found["explanation"].take();
    let left_out = rows(&mut told, "left_out");
    let all = rows(&mut told, "rows");
    let page = Found::page(
        all,
        asked.cursor.as_deref(),
        limit,
        format!("{console} --explain"),
    )?;
    let some: Vec<Value> = left_out.iter().take(20).cloned().collect();
    Ok(page
        .with("metric", json!(metric.key()))
        .with("value", found["value"].take())
        .with("not_available", found["not_available"].take())
        .with("unit", found["unit"].take())
        .with("text", found["text"].take())
        .with("rule", told["rule"].take())
        .with("notes", told["notes"].take())
        .with("left_out_total", json!(left_out.len()))
        .with("left_out", some.into()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct List {
    /// Length of the window that ends now: 1 to 3650, 30 when left out.
    days: Option<u32>,
    service: Option<String>,
    team: Option<String>,
    /// Most rows: 1 to 200, 50 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

async fn list(mcp: &Mcp, asked: List, key: &str) -> Result<Found, Wrong> {
    let days = within("days", asked.days, 30, 3_650)?;
    let limit = within("limit", asked.limit, 50, 200)? as usize;
    let (mut whole, console) = report_of(mcp, days, (asked.service, asked.team, None)).await?;
    let all = rows(&mut whole, key);
    Found::page(
        all,
        asked.cursor.as_deref(),
        limit,
        format!("{console} --explain"),
    )
}

pub async fn deployments(mcp: &Mcp, asked: List) -> Result<Found, Wrong> {
    list(mcp, asked, "deployments").await
}

pub async fn incidents(mcp: &Mcp, asked: List) -> Result<Found, Wrong> {
    list(mcp, asked, "incidents").await
}
