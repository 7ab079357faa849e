//! `atalaya dora import`.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono_tz::Tz;
use serde_json::json;

use super::super::output::Form;
use super::super::{Context, UsageError, output};
use super::changes;
use crate::service;
use crate::service::dora::{self, ImportOutcome};
use crate::source::sdlc_file::Reading;
use atalaya_domain::time::Timestamp;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya dora import .dora_sdlc_metrics.json\n  atalaya dora import metrics.json --zone Europe/Madrid --service shop"
)]
pub struct Args {
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

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let zone: Tz = match &args.zone {
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
    let text = if args.json {
        format!("{:#}\n", json_of(&outcome))
    } else {
        format!(
            "{}: {} cycles (times without a zone read as {zone})\n{}",
            args.file.display(),
            outcome.cycles,
            told(&outcome)
        )
    };
    output::print(Form::of(args.json), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn json_of(outcome: &ImportOutcome) -> serde_json::Value {
    let flags = &outcome.flags;
    json!({
        "cycles": outcome.cycles,
        "phases": outcome.phases,
        "deployments": outcome.deployments,
        "incidents": outcome.incidents,
        "flags": flags.kept.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "more_flags": flags.more,
    })
}

fn told(outcome: &ImportOutcome) -> String {
    let mut text = format!(
        "phases: {}\ndeployments: {}\nincidents: {}\n",
        changes(outcome.phases),
        changes(outcome.deployments),
        changes(outcome.incidents)
    );
    for flag in &outcome.flags.kept {
        text.push_str(&format!(
            "flag: {}\n",
            crate::report::dora::plain(&flag.to_string())
        ));
    }
    if outcome.flags.more > 0 {
        text.push_str(&format!("and {} more flags\n", outcome.flags.more));
    }
    text
}
