//! `atalaya dora`: report, sync, import, record.

use super::output::Form;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

use crate::report::{dora_json, dora_markdown, dora_text};
use crate::service;
use crate::service::dora::{self, ReportRequest, SyncOutcome, UnknownWord};
use crate::source::git;
use crate::source::sdlc_file::{Reading, parse_time};
use atalaya_domain::delivery::{Decision, Phase, PhaseRecord};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{MetricsStore, Written};

use super::{Context, UsageError, output, progress};

const EXAMPLES: &str = "\
Examples:
  atalaya dora sync --repo ~/src/shop           deployments from the version tags of a repository
  atalaya dora report --days 90                 the five metrics with the previous 90 days beside
  atalaya dora report --format json | jq .metrics
  atalaya dora import .dora_sdlc_metrics.json   the older tool's file
  atalaya dora record --feature FEAT-1 --phase testing --decision go --duration 12m";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: DoraCommand,
}

#[derive(Debug, Subcommand)]
enum DoraCommand {
    /// The five metrics over a window, with the previous one beside it.
    Report(ReportArgs),
    /// Read deployments from a git repository; repeating it changes nothing.
    Sync(SyncArgs),
    /// Read the older tool's .`dora_sdlc_metrics.json`; repeating it changes nothing.
    Import(ImportArgs),
    /// Record one phase of a cycle.
    Record(RecordArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without any deployment source yet, the repository of the current directory is read first.\n\nExamples:\n  atalaya dora report --days 7 --service shop\n  atalaya dora report --format markdown --explain > review.md\n  atalaya dora report --profile iact          the older tool's own formulas"
)]
struct ReportArgs {
    /// Length of the window, ending now.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
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
    /// Add the rows behind every number and what was left out (JSON always has them).
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya dora sync\n  atalaya dora sync --repo ~/src/shop --tags 'release-*'\n  atalaya dora sync --branch main --service shop --team blue"
)]
struct SyncArgs {
    /// The repository [default: the configured one, else the current directory's].
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Tags that are deployments, as a glob [default: tags that look like a version].
    #[arg(long, value_name = "PATTERN", conflicts_with = "branch")]
    tags: Option<String>,
    /// Merges into this branch are deployments.
    #[arg(long)]
    branch: Option<String>,
    /// Name of the service [default: the repository's directory].
    #[arg(long)]
    service: Option<String>,
    /// Team of the deployments.
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    environment: Option<String>,
    /// Print what was done as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya dora import .dora_sdlc_metrics.json\n  atalaya dora import metrics.json --zone Europe/Madrid --service shop"
)]
struct ImportArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Zone of the file's times, which name none [default: this host's].
    #[arg(long)]
    zone: Option<String>,
    /// Service of cycles that name none.
    #[arg(long)]
    service: Option<String>,
    /// Team of cycles that name none.
    #[arg(long)]
    team: Option<String>,
    /// Print what was done as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya dora record --feature FEAT-1 --phase testing --decision go --duration 12m\n  atalaya dora record --cycle c-7 --feature FEAT-1 --phase deployment --decision success --duration 95s \\\n      --service shop --request-id req-5f1c --meta story_points=5"
)]
struct RecordArgs {
    /// [default: the feature].
    #[arg(long)]
    cycle: Option<String>,
    #[arg(long)]
    feature: String,
    /// planning, feasibility, design, implementation, testing, deployment, maintenance, recovery.
    #[arg(long)]
    phase: String,
    /// go, no-go, review, blocked, escalate, success, failed, `rolled_back`, resolved.
    #[arg(long)]
    decision: String,
    /// `95s`, `12m`, `1h30m`, or a number of seconds.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    duration: Duration,
    #[arg(long)]
    service: Option<String>,
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    environment: Option<String>,
    #[arg(long)]
    commit: Option<String>,
    #[arg(long)]
    request_id: Option<String>,
    /// Which try of this phase it is; with it, recording again changes nothing [default: the next].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// When the phase ended, as 2026-11-22T14:05:00Z [default: now].
    #[arg(long)]
    at: Option<String>,
    /// Further metadata; a value that is JSON is kept as such.
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Print what was recorded as one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        DoraCommand::Report(args) => report(&args, context).await,
        DoraCommand::Sync(args) => sync(args, context).await,
        DoraCommand::Import(args) => import(args, context).await,
        DoraCommand::Record(args) => record(args, context).await,
    }
}

fn usage(error: &UnknownWord) -> anyhow::Error {
    UsageError(error.to_string()).into()
}

async fn report(args: &ReportArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let config = &context.settings.dora;
    let profile = args
        .profile
        .as_deref()
        .map(dora::profile)
        .transpose()
        .map_err(|error| usage(&error))?;
    let zone = dora::zone(context.settings.ingest.timezone.as_deref());
    let mut request = ReportRequest::configured(args.days, config, profile, zone)
        .map_err(|error| usage(&error))?;
    if let Some(word) = &args.thresholds {
        request.rules.thresholds = dora::thresholds(word).map_err(|error| usage(&error))?;
    }
    request.scope.service.clone_from(&args.service);
    request.scope.team.clone_from(&args.team);
    if let Some(environment) = &args.environment {
        request.scope.environment.clone_from(environment);
    }
    let store = service::open_metrics(&context.settings).await?;
    sync_first(&*store, context).await?;
    let report = dora::report(&*store, &request, Timestamp::now()).await?;
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

/// The configured repository, or before the first report the one of the current directory.
async fn sync_first(store: &dyn MetricsStore, context: &Context) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("where is the current directory?")?;
    let bar = progress_of(
        &context
            .settings
            .dora
            .repository
            .clone()
            .unwrap_or_else(|| here.clone()),
    );
    let shown = bar.clone();
    let outcome = dora::sync_due(
        store,
        &context.settings.dora,
        &here,
        Timestamp::now(),
        move |read| {
            shown.set_position(read as u64);
        },
    )
    .await;
    bar.finish_and_clear();
    if let Some(outcome) = outcome? {
        // Beside the report, not in it; a closed stderr is no reason to withhold the report.
        output::aside(&told(&outcome));
    }
    Ok(())
}

async fn sync(args: SyncArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let config = &context.settings.dora;
    let path = match args.repo.or_else(|| config.repository.clone()) {
        Some(path) => path,
        None => std::env::current_dir().context("where is the current directory?")?,
    };
    let mut options = dora::sync_options(config, args.tags.as_deref(), args.branch.as_deref());
    if args.service.is_some() {
        options.service = args.service;
    }
    if args.team.is_some() {
        options.team = args.team;
    }
    if let Some(environment) = args.environment {
        options.environment = environment;
    }
    let store = service::open_metrics(&context.settings).await?;
    let outcome = sync_with_progress(&*store, &path, options).await?;
    output::print(
        Form::of(args.json),
        &if args.json {
            format!(
                "{:#}\n",
                json!({
                    "repository": outcome.git.repository,
                    "service": outcome.git.service,
                    "method": outcome.git.method,
                    "deployments": outcome.git.deployments.len(),
                    "commits_read": outcome.git.commits_read,
                    "written": outcome.written,
                    "withdrawn": outcome.withdrawn,
                    "notes": outcome.git.notes,
                })
            )
        } else {
            format!("{}\n", told(&outcome))
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn sync_with_progress(
    store: &dyn MetricsStore,
    path: &Path,
    options: git::Options,
) -> anyhow::Result<SyncOutcome> {
    let bar = progress_of(path);
    let shown = bar.clone();
    let outcome = dora::sync_git(store, path, options, Timestamp::now(), move |read| {
        shown.set_position(read as u64);
    })
    .await;
    bar.finish_and_clear();
    Ok(outcome?)
}

/// Draws nothing unless standard error is a terminal.
fn progress_of(path: &Path) -> ProgressBar {
    progress::counted(format!("reading {}", path.display()), "commits")
}

fn told(outcome: &SyncOutcome) -> String {
    let git = &outcome.git;
    let mut text = format!(
        "{} as `{}`: {} deployments from {}, {} commits read; {}",
        git.repository.display(),
        git.service,
        git.deployments.len(),
        git.method,
        git.commits_read,
        changes(outcome.written)
    );
    if outcome.withdrawn > 0 {
        text.push_str(&format!(
            "\n{} deployments of earlier syncs are no longer there and count no more",
            outcome.withdrawn
        ));
    }
    if git.aliases > 0 {
        text.push_str(&format!(
            "\n{} further tags name commits that are deployments already",
            git.aliases
        ));
    }
    for note in &git.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

fn changes(written: Written) -> String {
    format!(
        "{} new, {} changed, {} as they were",
        written.inserted, written.updated, written.unchanged
    )
}

async fn import(args: ImportArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let zone = match &args.zone {
        Some(name) => name.parse().map_err(|_| {
            UsageError(format!(
                "`{name}` is no zone; one looks like `Europe/Madrid` or `UTC`"
            ))
        })?,
        None => dora::zone(context.settings.ingest.timezone.as_deref()),
    };
    let reading = Reading {
        zone,
        service: args.service,
        team: args.team,
    };
    let store = service::open_metrics(&context.settings).await?;
    let outcome = dora::import_file(&*store, &args.file, reading, Timestamp::now()).await?;
    if args.json {
        output::print(
            Form::Json,
            &format!(
                "{:#}\n",
                json!({
                    "cycles": outcome.cycles,
                    "phases": outcome.phases,
                    "deployments": outcome.deployments,
                    "incidents": outcome.incidents,
                    "flags": outcome.flags.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            ),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{}: {} cycles (times without a zone read as {zone})\nphases: {}\ndeployments: {}\nincidents: {}\n",
        args.file.display(),
        outcome.cycles,
        changes(outcome.phases),
        changes(outcome.deployments),
        changes(outcome.incidents)
    );
    for flag in &outcome.flags {
        text.push_str(&format!(
            "flag: {}\n",
            crate::report::dora::plain(&flag.to_string())
        ));
    }
    output::print(Form::Text, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn record(args: RecordArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let phase = parse_phase(&args.phase)?;
    let decision = Decision::from_word(&args.decision).ok_or_else(|| {
        UsageError(format!(
            "`{}` is no decision; use one of {}",
            args.decision,
            Decision::ALL.map(Decision::name).join(", ")
        ))
    })?;
    let recorded_at = match &args.at {
        None => Timestamp::now(),
        Some(text) => parse_time(
            text,
            dora::zone(context.settings.ingest.timezone.as_deref()),
        )
        .ok_or_else(|| {
            UsageError(format!(
                "`{text}` is no time; one looks like 2026-11-22T14:05:00Z"
            ))
        })?,
    };
    if args.feature.trim().is_empty() {
        return Err(UsageError(
            "--feature is empty; name the feature, as in --feature FEAT-1".to_owned(),
        )
        .into());
    }
    let mut metadata = BTreeMap::new();
    for pair in &args.metadata {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            UsageError(format!(
                "`{pair}` is not NAME=VALUE, as in --meta story_points=5"
            ))
        })?;
        metadata.insert(
            name.to_owned(),
            serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        );
    }
    for (name, value) in [
        ("service", args.service),
        ("team", args.team),
        ("environment", args.environment),
        ("commit", args.commit),
        ("request_id", args.request_id),
    ] {
        if let Some(value) = value {
            metadata.insert(name.to_owned(), value.into());
        }
    }
    let record = PhaseRecord {
        cycle_id: args.cycle.unwrap_or_else(|| args.feature.clone()),
        feature_id: args.feature,
        phase,
        attempt: args.attempt.unwrap_or(0),
        decision,
        duration: args.duration,
        recorded_at,
        metadata,
    };
    let store = service::open_metrics(&context.settings).await?;
    let cycle_id = record.cycle_id.clone();
    let recorded = dora::record(&*store, record, "record").await?;
    output::print(
        Form::of(args.json),
        &if args.json {
            format!(
                "{:#}\n",
                json!({
                    "cycle_id": cycle_id,
                    "phase_name": phase.name(),
                    "attempt": recorded.attempt,
                    "created_at": recorded_at.to_rfc3339(),
                    "written": recorded.written,
                    "deployment": recorded.deployment,
                    "incident": recorded.incident,
                })
            )
        } else {
            let also = [
                ("deployment", &recorded.deployment),
                ("incident", &recorded.incident),
            ]
            .into_iter()
            .filter_map(|(what, id)| id.as_ref().map(|id| format!("; {what} {id}")))
            .collect::<String>();
            format!(
                "{} of {cycle_id}, attempt {}: {}{also}\n",
                phase.name(),
                recorded.attempt,
                changes(recorded.written)
            )
        },
    )?;
    // A progress line would be in the way of scripts; a person is told how to look at it.
    if !args.json && std::io::stdout().is_terminal() && recorded.deployment.is_some() {
        output::print(Form::Text, "see it with: atalaya dora report\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shared with `atalaya track`.
pub(super) fn parse_phase(word: &str) -> Result<Phase, UsageError> {
    Phase::from_word(word).ok_or_else(|| {
        UsageError(format!(
            "`{word}` is no phase; use one of {}",
            Phase::ALL.map(Phase::name).join(", ")
        ))
    })
}

/// `1h30m`, `95s`, `250ms`, `2d`, or a number of seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration; one looks like 95s, 12m, 1h30m or 95.5 (seconds)");
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let seconds = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        total = total
            .checked_add(Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?)
            .ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    if total.is_zero() && text.trim().is_empty() {
        Err(wrong())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("95", 95.0),
            ("95s", 95.0),
            ("1h30m", 5_400.0),
            ("250ms", 0.25),
            ("0s", 0.0),
            ("1.5h", 5_400.0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in ["", "soon", "5x", "-3", "h", "1e400"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
