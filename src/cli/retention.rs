//! `atalaya retention`: what is kept for how long, and deleting what is older.
//!
//! Exit code: 0 everything is as it should be; 1 something is older than it may be, or a store is
//! away.

use super::output::Form;
use std::process::ExitCode;

use crate::service::retention::{self, Mode, Outcome};
use atalaya_domain::time::Timestamp;

use super::{Context, output};

/// Arguments of `atalaya retention`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service does this daily (`atalaya jobs show retention`). How long is configured:

  [retention]
  logs_days = 90          # of the embedded store; 0 keeps them for ever
  health_days = 30
  job_runs_days = 30

Records on Cassandra end by the TTL of their keyspace (`stores.cassandra.retention_days` at
`db init`); here it is looked whether any is older.

Examples:
  atalaya retention --dry-run
  atalaya retention
  atalaya retention --json | jq '.[] | select(.holds | not)'")]
pub struct Args {
    /// Delete nothing; say what would be deleted.
    #[arg(long)]
    pub dry_run: bool,

    /// One JSON array.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let stores = context.stores().await?;
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Delete
    };
    let ours = || std::future::ready(Ok(()));
    let kept = retention::keep(&stores, &context.settings, Timestamp::now(), mode, ours);
    let outcomes = kept.await?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&outcomes)?)
    } else {
        outcomes
            .iter()
            .map(|outcome| format!("{}\n", outcome.line()))
            .collect()
    };
    output::print(Form::of(args.json), &text)?;
    let holds = outcomes.iter().all(|outcome: &Outcome| outcome.holds);
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
