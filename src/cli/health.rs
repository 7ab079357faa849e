//! `atalaya health`: exit code 0 ok, 1 degraded, 2 failing.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::domain::health::{Health, Status};
use crate::service;

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
    let stores = context.stores().await?;
    let health = service::health::measure(&stores, &context.settings.data_dir).await;
    output::print(&if args.json { format!("{}\n", to_json(&health)) } else { to_text(&health) })?;
    Ok(ExitCode::from(match health.status() {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Failing => 2,
    }))
}

/// The older tool's shape (`checks` with pass/fail and `summary`), widened by `components`.
fn to_json(health: &Health) -> serde_json::Value {
    let passed = health.checks.iter().filter(|check| check.status == Status::Ok).count();
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
        "components": { "host": health.host, "stores": health.stores },
    })
}

fn to_text(health: &Health) -> String {
    let width = health.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in &health.checks {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<9} {:<width$}  {}", check.status.name(), check.name, check.message);
    }
    text
}
