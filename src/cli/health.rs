//! `atalaya health`: exit code 0 ok, 1 degraded, 2 failing.

use super::output::Form;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::report::bars::bar;
use crate::report::health_json;
use crate::service;
use crate::service::health_history::{self, Series};
use crate::shown::Shown;
use atalaya_domain::health::{Health, Status};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::{Context, output};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 ok, 1 degraded, 2 failing.\n\nExamples:\n  atalaya health\n  atalaya health --json | jq .summary\n  atalaya health --history --days 7"
)]
pub struct Args {
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,

    /// What the service measured over time instead: for each measure the worst and the last value.
    #[arg(long)]
    pub history: bool,

    /// How far back the history goes, in days.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=3_650), requires = "history")]
    pub days: u16,

    /// Only one part of the system: `host/NAME`, `logs/NAME` … as the history prints them.
    #[arg(long, requires = "history")]
    pub component: Option<String>,
}

pub async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.history {
        return history(args, context).await;
    }
    // A store that is away is a finding, not a failure to find out.
    let stores = service::attach_stores(&context.settings).await;
    let health = service::health::measure(&stores, &context.settings).await;
    output::print(
        Form::of(args.json),
        &if args.json {
            format!("{}\n", health_json::health(&health))
        } else {
            to_text(&health)
        },
    )?;
    Ok(ExitCode::from(match health.status() {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Failing => 2,
    }))
}

/// The samples of the job `health_sample`.
async fn history(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let metrics = service::open_metrics(&context.settings).await?;
    let length = Duration::from_secs(u64::from(args.days) * 86_400);
    // The end of a range is outside; a sample of this moment belongs to it.
    let until = Timestamp::now().saturating_add(Duration::from_secs(60));
    let range = TimeRange::ending(until, length);
    let series = health_history::history(&*metrics, args.component.as_deref(), range).await?;
    if args.json {
        let all: Vec<_> = series.iter().map(series_json).collect();
        let text = serde_json::to_string_pretty(&all)?;
        output::print(Form::Json, &format!("{text}\n"))?;
    } else if series.is_empty() {
        output::note(
            "nothing was kept of that time; `atalaya serve` measures every 5 minutes, `atalaya jobs run health_sample` now",
        );
    } else {
        output::print(Form::Text, &series_text(&series))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn series_json(series: &Series) -> serde_json::Value {
    let point = |(at, value): (Timestamp, f64)| json!({ "at": at.to_rfc3339(), "value": value });
    json!({
        "component": series.component,
        "measure": series.measure,
        "last": series.last().map(point),
        "worst": series.worst().map(point),
        "points": series.points.iter().copied().map(point).collect::<Vec<_>>(),
    })
}

fn series_text(series: &[Series]) -> String {
    let names: Vec<String> = series
        .iter()
        .map(|one| Shown::line(&format!("{} {}", one.component, one.measure)).to_string())
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (one, name) in series.iter().zip(names) {
        let (Some(last), Some(worst)) = (one.last(), one.worst()) else {
            continue;
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<width$}  {}  last {}, worst {} at {}",
            sparkline(&one.points),
            short(last.1),
            short(worst.1),
            worst.0.to_utc().format("%Y-%m-%d %H:%MZ")
        );
    }
    text
}

fn short(value: f64) -> String {
    if value.abs() >= 1_000.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// The course of the values, oldest first, from the lowest to the highest of them.
fn sparkline(points: &[(Timestamp, f64)]) -> String {
    const WIDTH: usize = 24;
    let low = points
        .iter()
        .map(|point| point.1)
        .fold(f64::INFINITY, f64::min);
    let high = points
        .iter()
        .map(|point| point.1)
        .fold(f64::NEG_INFINITY, f64::max);
    let columns = points.len().min(WIDTH);
    let line: String = (0..columns)
        .map(|column| {
            let (from, until) = (
                column * points.len() / columns,
                (column + 1) * points.len() / columns,
            );
            let part = &points[from..until];
            let mean = part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64;
            let height = if high > low {
                (mean - low) / (high - low)
            } else {
                0.0
            };
            bar(height, true)
        })
        .collect();
    format!("{line:<WIDTH$}")
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
