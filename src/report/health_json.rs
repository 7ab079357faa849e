//! The one JSON shape of a health view: what `--json` prints and the API answers.

use serde_json::{Value, json};

use atalaya_domain::health::{Health, Status};

/// The older tool's shape (`checks` with pass/fail and `summary`), widened by `components`.
pub fn health(health: &Health) -> Value {
    let passed = health
        .checks
        .iter()
        .filter(|check| check.status == Status::Ok)
        .count();
    let checks: Vec<_> = health
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "status": if check.status == Status::Ok { "pass" } else { "fail" },
                "level": check.status.name(),
                "message": check.message,
            })
        })
        .collect();
    json!({
        "timestamp": health.at.to_rfc3339(),
        "hostname": health.host.as_ref().map(|host| &host.name),
        "checks": checks,
        "summary": {
            "total": health.checks.len(),
            "passed": passed,
            "failed": health.checks.len() - passed,
            "status": health.status().name(),
        },
        "components": {
            "host": health.host,
            "stores": health.stores,
            "backup_disk": health.backup_disk,
            "ingest": health.ingest,
            "ring": health.ring,
            "metrics_database": health.metrics_database,
        },
        "advice": health.advice,
    })
}
