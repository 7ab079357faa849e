//! A DORA report as JSON: for scripts, the API and language models.
//!
//! `metrics` keeps the older tool's keys: `lead_time_hours` (of commits; `cycle_time_hours` stands
//! beside it where there are none), `deployment_frequency` (a day; with
//! profile `iact` the count of the window, as it always was), `change_failure_rate` and
//! `deployment_rework_rate` in per cent, `mttr_hours`; `null` where there is no number, and the
//! reason in `details`. `details` has one object for each metric with unit, n, interval, level and
//! its rule, score, target, previous value, change, weeks and the explanation. Ratios inside
//! `details` are 0 to 1; times are RFC 3339 in UTC.

use serde_json::{Map, Value as Json, json};

use atalaya_domain::dora::quick_check::{INDUSTRY_OVERALL, industry};
use atalaya_domain::dora::{DeploymentLine, DoraReport, Metric, MetricReport, Value};
use atalaya_domain::time::TimeRange;

/// The whole report as one object.
pub fn json(report: &DoraReport) -> Json {
    let number = |metric: Metric| {
        report
            .metric(metric)
            .and_then(|found| found.measured.value.number())
    };
    let percent = |metric: Metric| number(metric).map(|ratio| ratio * 100.0);
    let quick = report.overall.quick_check;
    let is_cycle_time = report.has_cycle_time();
    json!({
        "period_days": report.days(),
        "window": range(report.window),
        "previous_window": range(report.previous),
        "generated_at": report.generated_at.to_rfc3339(),
        "profile": report.rules.profile.name(),
        "thresholds": report.rules.thresholds.name(),
        "zone": report.rules.zone.name(),
        "lead_basis": report.lead_basis,
        "incident_window_hours": report.rules.link_cap.as_secs_f64() / 3_600.0,
        "service": report.scope.service,
        "team": report.scope.team,
        "environment": report.scope.environment,
        "metrics": {
            "lead_time_hours": number(Metric::ChangeLeadTime).filter(|_| !is_cycle_time),
            "cycle_time_hours": number(Metric::ChangeLeadTime).filter(|_| is_cycle_time),
            "deployment_frequency": number(Metric::DeploymentFrequency),
            "change_failure_rate": percent(Metric::ChangeFailureRate),
            "mttr_hours": number(Metric::RecoveryTime),
            "deployment_rework_rate": percent(Metric::ReworkRate),
        },
        "total_cycles": report.cycles,
        "overall": {
            "level": report.overall.level.map(atalaya_domain::dora::PerformanceLevel::name),
            "rule": report.overall.level_rule,
            "quick_check": {
                "overall": quick.overall,
                "throughput": quick.throughput,
                "stability": quick.stability,
                "metrics": quick.metrics,
                "industry": INDUSTRY_OVERALL,
            },
        },
        "details": report.metrics.iter().map(|found| (found.metric.key().to_owned(), metric(found))).collect::<Map<_, _>>(),
        "deployments": report.deployments.iter().map(deployment).collect::<Vec<_>>(),
        "failed_deployments": report.failed().map(deployment).collect::<Vec<_>>(),
        "incidents": report.incidents.iter().map(|line| json!({
            "id": line.incident.id,
            "title": line.incident.title,
            "service": line.incident.service,
            "severity": line.incident.severity,
            "opened_at": line.incident.opened_at.to_rfc3339(),
            "resolved_at": line.incident.resolved_at.map(super::super::domain::time::Timestamp::to_rfc3339),
            "deployment": line.deployment,
            "cause": line.incident.cause,
            "link": line.basis,
            "request_id": line.incident.request_id.as_ref().map(super::super::domain::record::RequestId::as_str),
        })).collect::<Vec<_>>(),
        "slowest_changes": report.slowest.iter().map(|change| json!({
            "commit": change.sha,
            "title": change.title,
            "deployment": change.deployment,
            "lead_time_hours": change.hours,
            "request_id": change.request_id.as_ref().map(super::super::domain::record::RequestId::as_str),
        })).collect::<Vec<_>>(),
        "notes": report.notes.iter().map(|note| &note.text).collect::<Vec<_>>(),
    })
}

fn range(range: TimeRange) -> Json {
    json!({ "from": range.from.to_rfc3339(), "until": range.until.to_rfc3339() })
}

fn metric(report: &MetricReport) -> Json {
    let measured = &report.measured;
    let told = &measured.explanation;
    json!({
        "title": report.title,
        "value": measured.value.number(),
        "lower_bound": matches!(measured.value, Value::AtLeast(_)),
        "not_available": reason(measured.value),
        "unit": measured.unit,
        "text": report.show(),
        "samples": measured.samples,
        "interval": measured.interval,
        "level": report.level.map(atalaya_domain::dora::PerformanceLevel::name),
        "level_rule": report.level_rule,
        "score": report.score,
        "industry_score": industry(report.metric),
        "target": report.target,
        "previous": report.previous.number(),
        "previous_samples": report.previous_samples,
        "change": report.delta,
        "details": measured.details.iter().map(|detail| (detail.key.to_owned(), json!({
            "title": detail.title,
            "value": detail.value.number(),
            "unit": detail.unit,
            "samples": detail.samples,
        }))).collect::<Map<_, _>>(),
        "weeks": report.weeks.iter().map(|week| json!({
            "start": week.start.to_rfc3339(),
            "value": week.value.number(),
            "samples": week.samples,
        })).collect::<Vec<_>>(),
        "explanation": {
            "rule": told.rule,
            "rows": told.rows.iter().map(|row| json!({
                "kind": row.kind,
                "id": row.id,
                "at": row.at.to_rfc3339(),
                "until": row.until.map(atalaya_domain::time::Timestamp::to_rfc3339),
                "value": row.value,
                "note": row.note,
                "request_id": row.request_id.as_ref().map(super::super::domain::record::RequestId::as_str),
            })).collect::<Vec<_>>(),
            "left_out": told.left_out.iter().map(|left| json!({
                "kind": left.kind,
                "id": left.id,
                "at": left.at.to_rfc3339(),
                "reason": left.reason,
            })).collect::<Vec<_>>(),
            "notes": told.notes,
        },
    })
}

fn reason(value: Value) -> Option<String> {
    match value {
        Value::NotAvailable { reason } => Some(reason.to_string()),
        Value::Known(_) | Value::AtLeast(_) => None,
    }
}

fn deployment(line: &DeploymentLine) -> Json {
    let deployment = &line.deployment;
    json!({
        "id": deployment.id,
        "service": deployment.service,
        "team": deployment.team,
        "environment": deployment.environment,
        "commit": deployment.commit,
        "started_at": deployment.started_at.map(super::super::domain::time::Timestamp::to_rfc3339),
        "finished_at": deployment.finished_at.to_rfc3339(),
        "result": deployment.result.name(),
        "kind": deployment.kind.name(),
        "request_id": deployment.request_id.as_ref().map(super::super::domain::record::RequestId::as_str),
        "cycle_id": deployment.cycle_id,
        "origin": deployment.origin,
        "previous": line.previous,
        "redeploy": line.redeploy,
        "lead_time": line.lead,
        "cycle_time_hours": line.cycle_hours,
        "taken_back_by": deployment.taken_back_by,
        "failed": line.failed,
        "incidents": line.incidents,
        "recovery": line.recovery.map(|recovery| json!({
            "from": recovery.from.to_rfc3339(),
            "until": recovery.until.to_rfc3339(),
            "hours": recovery.hours(),
            "open": recovery.open,
        })),
    })
}
