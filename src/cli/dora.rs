//! `atalaya dora`: report, analytics, sync, import, record, incident.

use std::process::ExitCode;

use clap::Subcommand;

use crate::service::dora;
use crate::source::sdlc_file::parse_time;
use atalaya_domain::delivery::Phase;
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::Written;

use super::{Context, UsageError};

mod analytics;
mod import;
mod incident;
mod record;
mod report;
mod sync;
mod sync_github;

pub(super) use record::parse_kind;

const EXAMPLES: &str = "\
Examples:
  atalaya dora sync --repo ~/src/shop           deployments from the version tags of a repository
  atalaya dora sync --github acme/shop          deployments, incidents and pull requests from GitHub
  atalaya dora report --days 90                 the five metrics with the previous 90 days beside
  atalaya dora report --quarter last --format json | jq .metrics
  atalaya dora analytics forecast
  atalaya dora import .dora_sdlc_metrics.json   the older tool's file
  atalaya dora record --feature FEAT-1 --phase testing --decision go --duration 12m
  atalaya dora incident open --title 'checkout is down' --service shop";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: DoraCommand,
}

#[derive(Debug, Subcommand)]
enum DoraCommand {
    /// The five metrics over a window, with the previous one beside it.
    Report(report::Args),
    /// Trends, comparisons, unusual deployments and forecasts over whole weeks and months.
    Analytics(analytics::Args),
    /// Read deployments from a git repository, or from GitHub; repeating it changes nothing.
    Sync(sync::Args),
    /// Read the older tool's .`dora_sdlc_metrics.json`; repeating it changes nothing.
    Import(import::Args),
    /// Record one phase of a cycle.
    Record(record::Args),
    /// Name an incident, its cause and its end.
    Incident(incident::Args),
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        DoraCommand::Report(args) => report::run(&args, context).await,
        DoraCommand::Analytics(args) => analytics::run(args, context).await,
        DoraCommand::Sync(args) => sync::run(args, context).await,
        DoraCommand::Import(args) => import::run(args, context).await,
        DoraCommand::Record(args) => record::run(args, context).await,
        DoraCommand::Incident(args) => incident::run(args, context).await,
    }
}

fn changes(written: Written) -> String {
    format!(
        "{} new, {} changed, {} as they were",
        written.inserted, written.updated, written.unchanged
    )
}

/// A time as it was typed, else now.
fn time(text: Option<&str>, context: &Context) -> Result<Timestamp, UsageError> {
    let Some(text) = text else {
        return Ok(Timestamp::now());
    };
    let zone = dora::zone(context.settings.ingest.timezone.as_deref());
    parse_time(text, zone).ok_or_else(|| {
        UsageError(format!(
            "`{text}` is no time; one looks like 2026-11-22T14:05:00Z"
        ))
    })
}

/// What lies ahead is kept, and said: no window has it before its time comes.
fn warn_of_future(what: &str, at: Timestamp) {
    if at > Timestamp::now() {
        super::output::note(&format!(
            "{what} is dated in the future ({}) and is in no window until then",
            at.to_rfc3339()
        ));
    }
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
