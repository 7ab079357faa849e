//! `atalaya track`: a command, unchanged, as a phase of a cycle.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use crate::service;
use crate::service::track::{self, Capture, Kept, TrackError, TrackRequest};
use crate::signals;
use crate::source::git;
use atalaya_domain::delivery::{DeploymentKind, Phase};

use super::dora::{parse_kind, parse_phase};
use super::{Context, UsageError};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is the command's own (128 + n when signal n ended it, 127 when it was not found).\nThe command finds its request id in ATALAYA_REQUEST_ID and REQUEST_ID; one that is set already is kept.\n\nExamples:\n  atalaya track --feature FEAT-1 --phase testing -- cargo test\n  atalaya track --feature FEAT-1 --phase deployment --service shop -- ./deploy.sh production\n  atalaya track --feature FEAT-1 --phase deployment --kind hotfix --reached-users -- ./deploy.sh\n  atalaya track --feature FEAT-1 --phase testing --capture -- cargo test"
)]
pub struct Args {
    /// What is being worked on.
    #[arg(long)]
    feature: String,
    /// planning, feasibility, design, implementation, testing, deployment, maintenance, recovery.
    #[arg(long)]
    phase: String,
    /// [default: the feature].
    #[arg(long)]
    cycle: Option<String>,
    #[arg(long)]
    service: Option<String>,
    #[arg(long)]
    team: Option<String>,
    /// Of a deployment [default: production].
    #[arg(long)]
    environment: Option<String>,
    /// Of a deployment [default: the one checked out here].
    #[arg(long)]
    commit: Option<String>,
    /// Why a deployment is made: normal, hotfix (unplanned, because of a defect) or rollback (takes
    /// an earlier one back) [default: normal].
    #[arg(long, value_parser = parse_kind)]
    kind: Option<DeploymentKind>,
    /// A deployment that fails counts as one: users had something of it. Without this a command that
    /// fails never reached users, and is neither a deployment nor a failure.
    #[arg(long)]
    reached_users: bool,
    /// Keep what the command says as log records with its request id (source: the service, else the
    /// program). It then writes to a pipe and not to a terminal: many programs leave out colours.
    #[arg(long)]
    capture: bool,
    /// The command with its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let phase = parse_phase(&args.phase)?;
    if args.feature.trim().is_empty() {
        return Err(UsageError(
            "--feature is empty; name the feature, as in --feature FEAT-1".to_owned(),
        )
        .into());
    }
    let commit = match args.commit {
        None if phase == Phase::Deployment => checked_out().await,
        given => given,
    };
    let client = args
        .service
        .clone()
        .or_else(|| program_name(&args.command))
        .unwrap_or_default();
    let metadata: BTreeMap<String, serde_json::Value> = [
        ("service", args.service),
        ("team", args.team),
        ("environment", args.environment),
        ("commit", commit),
        ("kind", args.kind.map(|kind| kind.name().to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.into())))
    .collect();
    let request = TrackRequest {
        cycle_id: args.cycle.unwrap_or_else(|| args.feature.clone()),
        feature_id: args.feature,
        phase,
        metadata,
        reached_users: args.reached_users,
        command: args.command,
    };
    let request_context = track::request_context(|name| std::env::var(name).ok(), rand::random());
    let capture = if args.capture {
        capture(context, &client, &request_context).await
    } else {
        None
    };
    // They are the child's.
    signals::take();
    let tracked = match track::run(request, &request_context, capture.as_ref()).await {
        Ok(tracked) => tracked,
        Err(error) => return Ok(refuse(&error)),
    };
    if let Some(capture) = capture {
        let lost = capture.close().await;
        if lost > 0 {
            say(&format!(
                "{lost} lines of the command's output could not be kept"
            ));
        }
    }
    let folder = context.settings.data_dir.join("pending-phases");
    let kept = track::keep(
        tracked.phase,
        &folder,
        service::open_metrics(&context.settings),
    )
    .await;
    tell(&kept);
    Ok(ExitCode::from(tracked.exit_code))
}

/// `None`, said to people, when nothing can be kept: the command runs all the same.
async fn capture(
    context: &Context,
    client: &str,
    request: &track::RequestContext,
) -> Option<Capture> {
    match Capture::start(&context.settings, client, request.id.clone()).await {
        Ok(capture) => Some(capture),
        Err(reason) => {
            say(&format!("the command's output is not kept: {reason}"));
            None
        }
    }
}

fn program_name(command: &[OsString]) -> Option<String> {
    let program = std::path::Path::new(command.first()?);
    Some(program.file_name()?.to_string_lossy().into_owned())
}

fn say(text: &str) {
    super::output::note(text);
}

async fn checked_out() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    tokio::task::spawn_blocking(move || git::head_commit(&here))
        .await
        .ok()?
}

fn refuse(error: &TrackError) -> ExitCode {
    super::output::print_error(&anyhow::anyhow!("{error}"));
    ExitCode::from(error.exit_code())
}

/// A phase that waits is told to people only: a script compares the command's own output. One that
/// is lost is told to everybody.
fn tell(kept: &Kept) {
    let line = match kept {
        Kept::Recorded { recorded, .. } => match &recorded.conflict {
            None => return,
            Some(conflict) => format!("{conflict}; recorded as cycle `{}`", recorded.cycle_id),
        },
        Kept::Waiting { .. } if !std::io::stderr().is_terminal() => return,
        Kept::Waiting { file, reason } => {
            format!(
                "the phase waits in {} and is recorded by the next run: {reason}",
                file.display()
            )
        }
        Kept::Lost { reason } => format!("the phase could not be recorded: {reason}"),
    };
    say(&line);
}
