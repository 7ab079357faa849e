//! The data catalog as JSON: four datasets that describe themselves, and their rows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::service::ecosystem::{Performance, is_incident};
use atalaya_domain::delivery::{Decision, PhaseRecord};
use atalaya_domain::quality::Rates;
use atalaya_domain::stats;
use atalaya_domain::time::Timestamp;

const VERSION: &str = "1.0.0";
/// What `performance_metrics` may hold, and why some of it is not measured.
pub const PERFORMANCE: [(&str, Option<&str>); 5] = [
    ("database_query_time_ms", None),
    ("error_rate", None),
    (
        "api_response_time_ms",
        Some("answers of the API are not timed"),
    ),
    (
        "request_throughput",
        Some("requests of the API are not counted over time"),
    ),
    ("cache_hit_rate", Some("there is no cache")),
];
pub const DATASETS: [&str; 4] = [
    "dora_metrics",
    "deployment_cycles",
    "performance_metrics",
    "quality_metrics",
];

/// Name, type and meaning of each field of a dataset.
type Fields = &'static [(&'static str, &'static str, &'static str)];

const PHASES: Fields = &[
    ("cycle_id", "string", "the way of one feature"),
    ("feature_id", "string", "the feature"),
    (
        "phase_name",
        "string",
        "planning, feasibility, design, implementation, testing, deployment, maintenance, recovery",
    ),
    ("attempt", "integer", "which of several of its kind"),
    (
        "decision",
        "string",
        "go, no-go, review, blocked, escalate, success, failed, rolled_back, resolved",
    ),
    ("duration_seconds", "number", "0 to 86400 when it is valid"),
    ("metadata", "object", "what was recorded beside it"),
    ("created_at", "date-time", "when it was recorded"),
];
const CYCLES: Fields = &[
    ("cycle_id", "string", "the way of one feature"),
    ("feature_id", "string", "the feature"),
    ("start_time", "date-time", "its first row"),
    ("end_time", "date-time", "its last row"),
    (
        "total_duration_hours",
        "number",
        "from the first to the last row",
    ),
    ("phases_count", "integer", "its rows"),
    ("failed", "boolean", "it has an incident or a rollback"),
];
const PERFORMANCE_FIELDS: Fields = &[
    ("metric_name", "string", "what was measured"),
    ("component", "string", "of what"),
    (
        "value",
        "number",
        "in the unit of its name; error_rate is 0 to 1",
    ),
    ("timestamp", "date-time", "when"),
];
const QUALITY_FIELDS: Fields = &[
    (
        "dataset_name",
        "string",
        "dora_metrics or deployment_cycles",
    ),
    (
        "quality_score",
        "number",
        "0 to 100: 100 - 20 null_rate - 30 anomaly_rate - 50 violation rate",
    ),
    ("null_rate", "number", "0 to 1"),
    ("anomaly_rate", "number", "0 to 1; null with too few rows"),
    ("schema_violations", "integer", "rows"),
    (
        "checked_at",
        "date-time",
        "now: it is checked when it is asked for",
    ),
];

/// All datasets.
pub fn catalog(at: Timestamp) -> Value {
    let days = json!({ "name": "days", "type": "integer", "default": 30, "min": 1, "max": 365 });
    let text = |name: &str| json!({ "name": name, "type": "string", "optional": true });
    json!({
        "catalog_version": VERSION,
        "generated_at": at.to_rfc3339(),
        "total_datasets": DATASETS.len(),
        "datasets": [
            dataset("dora_metrics", "Phases", ("time_series", "real_time"), PHASES, "dora-metrics",
                &json!([days, text("phase_name"), text("feature_id")])),
            dataset("deployment_cycles", "Cycles", ("aggregated", "real_time"), CYCLES, "deployment-cycles",
                &json!([days, { "name": "failed_only", "type": "boolean", "default": false }])),
            dataset("performance_metrics", "Performance", ("time_series", "5_minutes"), PERFORMANCE_FIELDS, "performance-metrics",
                &json!([text("metric_name"), { "name": "hours", "type": "integer", "default": 24, "min": 1, "max": 168 }])),
            dataset("quality_metrics", "Quality", ("aggregated", "real_time"), QUALITY_FIELDS, "quality-metrics",
                &json!([text("dataset_name")])),
        ],
    })
}

fn dataset(
    id: &str,
    name: &str,
    (kind, frequency): (&str, &str),
    fields: Fields,
    address: &str,
    parameters: &Value,
) -> Value {
    let endpoint = format!("/api/dora/data-catalog/{address}");
    json!({
        "dataset_id": id,
        "name": name,
        "description": format!("{name} as they are stored or measured by this service"),
        "type": kind,
        "update_frequency": frequency,
        "schema": { "fields": fields_json(fields) },
        "api_endpoint": endpoint,
        "query_parameters": parameters,
        "example_queries": [{ "description": "with the defaults", "url": endpoint }],
    })
}

fn fields_json(fields: Fields) -> Value {
    fields
        .iter()
        .map(|(name, kind, what)| json!({ "name": name, "type": kind, "description": what }))
        .collect()
}

/// The fields of a dataset of the registry.
pub fn fields_of(dataset: &str) -> Value {
    fields_json(match dataset {
        "dora_metrics" => PHASES,
        "deployment_cycles" => CYCLES,
        "performance_metrics" => PERFORMANCE_FIELDS,
        _ => QUALITY_FIELDS,
    })
}

/// One phase in the columns that the table has always had.
pub fn phase(phase: &PhaseRecord) -> Value {
    json!({
        "cycle_id": phase.cycle_id,
        "feature_id": phase.feature_id,
        "phase_name": phase.phase.name(),
        "attempt": phase.attempt,
        "decision": phase.decision.name(),
        "duration_seconds": phase.duration.as_secs_f64(),
        "metadata": phase.metadata,
        "created_at": phase.recorded_at.to_rfc3339(),
    })
}

/// Rows in an envelope that says what was asked for; `total_records` is how many there are in it.
pub fn rows(query: &Value, data: &[Value], time_of: &str, left_off: usize) -> Value {
    // Newest first.
    let edge = |row: Option<&Value>| row.map(|row| row[time_of].clone());
    json!({
        "query": query,
        "metadata": {
            "total_records": data.len(),
            "date_range": { "start": edge(data.last()), "end": edge(data.first()) },
            "left_off": left_off,
        },
        "data": data,
    })
}

/// A cycle as its rows tell it.
struct Told<'a> {
    feature: &'a str,
    first: Timestamp,
    last: Timestamp,
    rows: usize,
    failed: bool,
}

/// Cycles of these rows, the newest first.
pub fn cycles(phases: &[PhaseRecord], failed_only: bool, at: Timestamp, days: u32) -> Value {
    let mut cycles: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for row in phases {
        let cycle = cycles.entry(&row.cycle_id).or_insert(Told {
            feature: &row.feature_id,
            first: row.recorded_at,
            last: row.recorded_at,
            rows: 0,
            failed: false,
        });
        cycle.first = cycle.first.min(row.recorded_at);
        cycle.last = cycle.last.max(row.recorded_at);
        cycle.rows += 1;
        cycle.failed |= is_incident(row) || row.decision == Decision::RolledBack;
    }
    let mut told: Vec<(&str, Told<'_>)> = cycles
        .into_iter()
        .filter(|(_, cycle)| cycle.failed || !failed_only)
        .collect();
    told.sort_by_key(|(_, cycle)| std::cmp::Reverse(cycle.last));
    let failed = told.iter().filter(|(_, cycle)| cycle.failed).count();
    let data: Vec<Value> = told
        .iter()
        .map(|(id, cycle)| {
            json!({
                "cycle_id": id,
                "feature_id": cycle.feature,
                "start_time": cycle.first.to_rfc3339(),
                "end_time": cycle.last.to_rfc3339(),
                "total_duration_hours": cycle.last.since(cycle.first).as_secs_f64() / 3_600.0,
                "phases_count": cycle.rows,
                "failed": cycle.failed,
            })
        })
        .collect();
    json!({
        "query": { "days": days, "failed_only": failed_only, "executed_at": at.to_rfc3339() },
        "metadata": { "total_cycles": data.len(), "failed_cycles": failed },
        "data": data,
    })
}

/// Counts and durations of these rows, beside the metrics of the report.
pub fn aggregated(phases: &[PhaseRecord], report: &Value) -> Value {
    let mut by_phase: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_decision: BTreeMap<&str, usize> = BTreeMap::new();
    for row in phases {
        *by_phase.entry(row.phase.name()).or_default() += 1;
        *by_decision.entry(row.decision.name()).or_default() += 1;
    }
    let seconds: Vec<f64> = phases
        .iter()
        .map(|row| row.duration.as_secs_f64())
        .collect();
    let average = stats::mean(&seconds);
    let metrics = &report["metrics"];
    json!({
        "period": {
            "days": report["period_days"],
            "start_date": report["window"]["from"],
            "end_date": report["window"]["until"],
        },
        "total_metrics": phases.len(),
        "by_phase": by_phase,
        "by_decision": by_decision,
        "duration_stats": {
            "avg_seconds": average,
            "min_seconds": stats::quantile(&seconds, 0.0),
            "max_seconds": stats::quantile(&seconds, 1.0),
            "avg_hours": average.map(|seconds| seconds / 3_600.0),
        },
        "deployment_frequency": metrics["deployment_frequency"],
        "change_failure_rate": metrics["change_failure_rate"],
        "lead_time_hours": metrics["lead_time_hours"],
        "mttr_hours": metrics["mttr_hours"],
        "profile": report["profile"],
    })
}

/// One measured value.
pub fn performance(row: &Performance) -> Value {
    json!({
        "metric_name": row.name,
        "component": row.component,
        "value": row.value,
        "timestamp": row.at.to_rfc3339(),
    })
}

/// One dataset's rates.
pub fn quality(dataset: &str, rates: &Rates, at: Timestamp) -> Value {
    json!({
        "dataset_name": dataset,
        "quality_score": rates.score(),
        "rows": rates.rows,
        "null_rate": rates.null_rate,
        "anomaly_rate": rates.anomaly_rate,
        "schema_violations": rates.violations,
        "checked_at": at.to_rfc3339(),
    })
}
