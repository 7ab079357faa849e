//! The data ecosystem as JSON: quality, governance, lineage, health, registry. Every status comes from
//! a check that ran, and stands beside its evidence.

use serde_json::{Map, Value, json};

use super::catalog_json::{DATASETS, fields_of};
use super::health_json;
use crate::service::compliance::Compliance;
use crate::service::ecosystem::{Flows, LogFlow, Registry, Wellness};
use crate::service::retention;
use atalaya_domain::quality::Quality;
use atalaya_domain::time::Timestamp;

const VERSION: &str = "1.0.0";

fn two(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Five dimensions of the rows of some days.
pub fn quality(found: &Quality, days: u32, at: Timestamp) -> Value {
    let dimensions: Map<String, Value> = found
        .dimensions
        .iter()
        .map(|one| {
            let mut value = json!({
                "score": two(one.score),
                "weight": one.weight,
                "healthy_from": one.healthy_from,
                "status": if one.is_healthy() { "healthy" } else { "attention_needed" },
            });
            if one.name == "completeness" {
                value["null_counts"] = json!(found.nulls);
            } else {
                value[one.counted.0] = json!(one.counted.1);
            }
            (one.name.to_owned(), value)
        })
        .collect();
    json!({
        "overall_score": two(found.overall),
        "assessment_date": at.to_rfc3339(),
        "period_days": days,
        "total_records": found.total,
        "quality_dimensions": dimensions,
        "issues": found.issues,
        "recommendation": found.recommendation,
    })
}

/// The rules of RNF-002 as one object.
pub fn compliance(found: &Compliance) -> Value {
    json!({
        "rule": "RNF-002",
        "compliant": found.is_compliant(),
        "checked_at": found.checked_at.to_rfc3339(),
        "rules": found.rules,
    })
}

/// Who may do what, what is kept, and whether the rules hold.
pub fn governance(
    found: &Compliance,
    quality: &Quality,
    kept: &[retention::Outcome],
    limits: &Value,
) -> Value {
    let at = found.checked_at.to_rfc3339();
    let status = |holds: bool| if holds { "compliant" } else { "violated" };
    let owner = json!({ "owner": null, "steward": null, "contact": null, "evidence": "nobody is configured" });
    json!({
        "framework": { "version": VERSION, "last_updated": at, "owner": null },
        "data_retention": kept,
        "access_controls": {
            "api": {
                "authentication": "required",
                "rate_limiting": limits,
                "evidence": "this answer came for a token with the scope `read`",
                "checked_at": at,
            },
            "database": found.rules.iter().find(|rule| rule.name == "tokens"),
        },
        "compliance_rules": {
            "RNF-002": { "status": status(found.is_compliant()), "checked_at": at, "evidence": found.rules },
            "DATA-002": {
                "status": if quality.total == 0 { "not_assessed" } else { status(quality.overall >= 80.0) },
                "required_score": 80,
                "current_score": two(quality.overall),
                "checked_at": at,
                "evidence": format!("{} rows of 30 days", quality.total),
            },
        },
        "data_ownership": { "dora_metrics": owner, "deployment_cycles": owner },
    })
}

fn counted(found: &Result<u64, String>) -> Value {
    match found {
        Ok(count) => json!(count),
        Err(_) => Value::Null,
    }
}

/// From where to where data flows, with the counts of today.
pub fn lineage(flows: &Flows, files: &Value, (metrics, logs): (&str, &str)) -> Value {
    let stage = |name: &str, component: &Value, more: Value| {
        let mut stage = json!({ "stage": name, "component": component });
        if let (Some(stage), Value::Object(more)) = (stage.as_object_mut(), more) {
            stage.extend(more);
        }
        stage
    };
    let sources: Vec<Value> = flows
        .deliveries
        .sources
        .iter()
        .map(|source| json!({ "name": source.name, "last_read_at": source.synced_at.to_rfc3339() }))
        .collect();
    let log_flow = |id: &str, name: &str, flow: &LogFlow| {
        json!({
            "flow_id": id,
            "name": name,
            "records_today": counted(&flow.today),
            "problem": flow.today.as_ref().err(),
            "stages": [
                stage("source", &json!("files"), json!({ "follower": files })),
                stage("formatting", &json!("ingest"), json!({ "transformations": ["envelopes", "stamps", "levels", "ids"] })),
                stage("storage", &json!(logs), json!({ "newest": flow.newest.map(Timestamp::to_rfc3339) })),
            ],
        })
    };
    json!({
        "lineage_version": VERSION,
        "generated_at": flows.at.to_rfc3339(),
        "data_flows": [
            {
                "flow_id": "flow_001",
                "name": "DORA metrics",
                "records_today": flows.deliveries.today,
                "stages": [
                    stage("source", &json!(sources), json!({})),
                    stage("ingestion", &json!("dora sync, import, record, track, POST /api/dora/metrics"), json!({})),
                    stage("storage", &json!(metrics), json!({ "newest": flows.deliveries.newest.map(Timestamp::to_rfc3339) })),
                    stage("access", &json!("console, command line, API"), json!({})),
                ],
            },
            log_flow("flow_002", "Application logs", &flows.application),
            log_flow("flow_003", "Infrastructure logs", &flows.infrastructure),
        ],
        "data_dependencies": [
            { "dependent": "deployment_cycles", "depends_on": ["dora_metrics"], "relationship": "aggregates", "frequency": "on_request" },
            { "dependent": "quality_metrics", "depends_on": ["dora_metrics", "deployment_cycles"], "relationship": "validates", "frequency": "on_request" },
            { "dependent": "performance_metrics", "depends_on": ["health_samples", "logs"], "relationship": "reads_from", "frequency": "on_request" },
        ],
    })
}

fn grade(score: f64) -> (&'static str, &'static str) {
    if score >= 90.0 {
        ("healthy", "green")
    } else if score >= 75.0 {
        ("warning", "yellow")
    } else {
        ("critical", "red")
    }
}

/// Three scores and the pipelines, as they are now.
pub fn health(found: &Wellness) -> Value {
    let overall = found.overall();
    let (status, color) = grade(overall);
    let component = |score: Option<f64>, degraded_below: f64, evidence: String| {
        json!({
            "score": score.map(two),
            "status": match score {
                None => "not_assessed",
                Some(score) if score < degraded_below => "degraded",
                Some(_) => "operational",
            },
            "evidence": evidence,
        })
    };
    let deliveries = &found.flows.deliveries;
    let quality = &found.quality;
    let percent = deliveries.incident_percent;
    json!({
        "overall_health_score": two(overall),
        "status": status,
        "status_color": color,
        "assessed_at": found.flows.at.to_rfc3339(),
        "components": {
            "data_quality": component(Some(quality.overall), 85.0, format!("{} rows of 30 days", quality.total)),
            "data_freshness": component(Some(found.freshness), 80.0, format!("{} rows in the last hour; 10 are as fresh as can be", deliveries.last_hour)),
            "error_rate_health": component(found.error_health, 80.0, percent.map_or_else(
                || "no rows in 7 days".to_owned(),
                |percent| format!("{percent:.1} % of the rows of 7 days are incidents"),
            )),
        },
        "data_pipelines": {
            "dora_metrics_collection": {
                "status": if deliveries.last_day > 0 { "operational" } else { "idle" },
                "last_data": deliveries.newest.map(Timestamp::to_rfc3339),
                "throughput_24h": deliveries.last_day,
            },
            "application_logs": pipeline(&found.flows.application),
            "infrastructure_logs": pipeline(&found.flows.infrastructure),
        },
        "checks": health_json::health(&found.health)["checks"],
        "recommendations": recommendations(found, overall),
    })
}

fn pipeline(flow: &LogFlow) -> Value {
    json!({
        "status": match flow.last_day {
            Err(_) => "failing",
            Ok(0) => "idle",
            Ok(_) => "operational",
        },
        "last_data": flow.newest.map(Timestamp::to_rfc3339),
        "throughput_24h": counted(&flow.last_day),
        "problem": flow.last_day.as_ref().err(),
    })
}

fn recommendations(found: &Wellness, overall: f64) -> Vec<&'static str> {
    let said = [
        (overall < 75.0, "look at the components that are degraded"),
        (
            found.quality.overall < 85.0,
            "mend what GET /api/dora/ecosystem/quality names",
        ),
        (
            found.freshness < 80.0,
            "record phases as they end: `atalaya track`, `atalaya dora record`",
        ),
        (
            found.error_health.is_some_and(|score| score < 70.0),
            "look at the incidents of the week: `atalaya dora report --days 7`",
        ),
    ];
    said.into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, words)| words)
        .collect()
}

/// What is stored: tables with their rows as the database counts them, and the logs.
pub fn registry(found: &Registry) -> Value {
    let table = |name: &str| {
        found
            .metrics
            .tables
            .iter()
            .find(|table| table.table == name)
    };
    let dataset = |id: &str, name: &str| {
        let size = table(name);
        json!({
            "dataset_id": id,
            "table": name,
            "record_count": size.map(|size| size.rows),
            "size_estimate_mb": size.and_then(|size| size.bytes).map(|bytes| bytes as f64 / 1e6),
            "fields": fields_of(id),
        })
    };
    let mut datasets = vec![
        dataset(DATASETS[0], "dora_metrics"),
        dataset(DATASETS[1], "cycles"),
        dataset(DATASETS[2], "health_samples"),
        dataset(DATASETS[3], "dora_metrics"),
    ];
    datasets.push(json!({
        "dataset_id": "logs",
        "table": "logs",
        "record_count": found.log_records,
        "size_estimate_mb": found.log_bytes as f64 / 1e6,
    }));
    json!({
        "registry_version": VERSION,
        "last_updated": found.at.to_rfc3339(),
        "database": { "version": found.metrics.version, "disk_bytes": found.metrics.disk_bytes },
        "datasets": datasets,
    })
}
