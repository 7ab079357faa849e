//! `atalaya health`: exit code 0 ok, 1 degraded, 2 failing.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::service;
use crate::shown::Shown;
use atalaya_domain::health::{Health, Status};

use super::{Context, output};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 ok, 1 degraded, 2 failing.\n\nExamples:\n  atalaya health\n  atalaya health --json | jq .summary"
)]
pub struct Args {
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    // A store that is away is a finding, not a failure to find out.
    let stores = service::attach_stores(&context.settings).await?;
    let health = service::health::measure(&stores, &context.settings.data_dir).await;
    output::print(&if args.json {
        format!("{}\n", to_json(&health))
    } else {
        to_text(&health)
    })?;
    Ok(ExitCode::from(match health.status() {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Failing => 2,
    }))
}

/// The older tool's shape (`checks` with pass/fail and `summary`), widened by `components`.
fn to_json(health: &Health) -> serde_json::Value {
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
            "ring": health.ring,
            "metrics_database": health.metrics_database,
        },
        "advice": health.advice,
    })
}

fn to_text(health: &Health) -> String {
    let names = health.checks.iter().map(|check| check.name.len());
    let width = names
        .chain(health.advice.iter().map(|advice| advice.name.len()))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in &health.checks {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<9} {:<width$}  {}",
            check.status.name(),
            Shown::line(&check.name).to_string(),
            Shown::line(&check.message)
        );
    }
    for advice in &health.advice {
        let _ = writeln!(
            text,
            "{:<9} {:<width$}  {}",
            "advice",
            advice.name,
            Shown::line(&advice.message)
        );
    }
    text
}
