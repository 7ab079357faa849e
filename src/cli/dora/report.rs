//! `atalaya dora report`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use super::super::output::Form;
use super::super::{Context, UsageError, output};
use super::sync::{progress_of, told};
use crate::report::{dora_json, dora_markdown, dora_text};
use crate::service;
use crate::service::dora::{self, Question, ReportRequest, WindowWords};
use crate::service::reports;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without any deployment source yet, the repository of the current directory is read first.\n\nExamples:\n  atalaya dora report --days 7 --service shop\n  atalaya dora report --from 2026-07-01 --until 2026-09-30\n  atalaya dora report --quarter 2026-Q3\n  atalaya dora report --format markdown --explain > review.md\n  atalaya dora report --baseline              what the first monthly report said\n  atalaya dora report --profile iact          the older tool's own formulas"
)]
pub struct Args {
    /// Length of the window, ending now or with --until [default: 30].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// Begin of the window: a day, as 2026-07-01, or a time.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// End of the window: a day, with all of it, or a time.
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// A quarter: 2026-Q3, Q3, this or last.
    #[arg(long, conflicts_with_all = ["days", "from", "until"])]
    quarter: Option<String>,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// Only this team.
    #[arg(long)]
    team: Option<String>,
    /// The environment that counts [default: the configured one, production].
    #[arg(long)]
    environment: Option<String>,
    /// Formulas: dora or iact (the older tool's) [default: the configured one, dora].
    #[arg(long)]
    profile: Option<String>,
    /// Level limits: dora-2021, dora-2023, dora-2024, iact-web, iact-script.
    #[arg(long)]
    thresholds: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The baseline: the first report of the job `dora_report`, as it was then. Markdown or JSON.
    #[arg(long, conflicts_with_all = ["days", "from", "until", "quarter", "service", "team", "environment", "profile", "thresholds", "explain"])]
    baseline: bool,
    /// Add the rows behind every number and what was left out (JSON always has them).
    #[arg(long)]
    explain: bool,
}

pub async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.baseline {
        let as_json = matches!(args.format, Format::Json);
        let settings = context.settings.clone();
        let kept = tokio::task::spawn_blocking(move || reports::baseline(&settings, as_json));
        output::print(Form::of(as_json), &kept.await??)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let request = request(args, context, now)?;
    let store = service::open_metrics(&context.settings).await?;
    sync_first(&*store, context).await?;
    let report = dora::report(&*store, &request, now).await?;
    let form = Form::of(matches!(args.format, Format::Json));
    output::print(
        form,
        &match args.format {
            Format::Text => dora_text::text(&report, args.explain),
            Format::Markdown => dora_markdown::markdown(&report, args.explain),
            Format::Json => format!("{:#}\n", dora_json::json(&report)),
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &Args, context: &Context, now: Timestamp) -> anyhow::Result<ReportRequest> {
    let zone = dora::zone(context.settings.ingest.timezone.as_deref());
    let question = Question {
        window: WindowWords {
            days: args.days,
            from: args.from.clone(),
            until: args.until.clone(),
            quarter: args.quarter.clone(),
        },
        service: args.service.clone(),
        team: args.team.clone(),
        environment: args.environment.clone(),
        profile: args.profile.clone(),
        thresholds: args.thresholds.clone(),
    };
    question
        .read(&context.settings.dora, zone, now)
        .map_err(|error| UsageError(error.to_string()).into())
}

/// The configured repository, or before the first report the one of the current directory.
async fn sync_first(store: &dyn MetricsStore, context: &Context) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("where is the current directory?")?;
    let config = &context.settings.dora;
    let bar = progress_of(config.repository.as_deref().unwrap_or(&here));
    let shown = bar.clone();
    let outcome = dora::sync_due(store, config, &here, Timestamp::now(), move |read| {
        shown.set_position(read as u64);
    })
    .await;
    bar.finish_and_clear();
    match outcome {
        // Beside the report, not in it; a closed stderr is no reason to withhold the report.
        Ok(Some(outcome)) => output::aside(&told(&outcome)),
        Ok(None) => {}
        // What is stored stands; the question is for `atalaya dora sync`.
        Err(dora::GatherError::WouldWithdraw(question)) => {
            output::note(&format!("the repository was not read again: {question}"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
