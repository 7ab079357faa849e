//! `atalaya dora sync`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::json;

use super::super::output::Form;
use super::super::{Context, output, progress};
use super::{changes, sync_github};
use crate::service;
use crate::service::dora::{self, GatherError, SyncOutcome, SyncRequest, WouldWithdraw};
use crate::source::git::{TagAccount, Which};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A repository is known by its first commit and its remote: another clone of it changes nothing.\n\nExamples:\n  atalaya dora sync\n  atalaya dora sync --repo ~/src/shop --tags 'release-*'\n  atalaya dora sync --branch main --service shop --team blue\n  atalaya dora sync --github                    the configured repositories of GitHub\n  atalaya dora sync --github acme/shop --json\n\n--github ends with 75 when a rate limit or an outage stopped it: what came is stored, and the next\nrun goes on there."
)]
pub struct Args {
    /// The repository [default: the configured one, else the current directory's].
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Tags that are deployments, as a glob [default: as the last time, else tags that look like a
    /// version].
    #[arg(long, value_name = "PATTERN", conflicts_with = "branch")]
    tags: Option<String>,
    /// Merges into this branch are deployments.
    #[arg(long)]
    branch: Option<String>,
    /// Back to the default: version tags, else merges, else commits.
    #[arg(long, conflicts_with_all = ["tags", "branch"])]
    auto: bool,
    /// Name of the service, of every tag [default: what the tags, the remote or the repository's
    /// directory say].
    #[arg(long)]
    service: Option<String>,
    /// Team of the deployments.
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    environment: Option<String>,
    /// Take out what is no longer there without asking.
    #[arg(long)]
    withdraw: bool,
    /// Read deployments, incidents and pull requests of these repositories from GitHub instead
    /// [default: the configured ones].
    #[arg(
        long,
        value_name = "OWNER/NAME",
        num_args = 0..,
        conflicts_with_all = ["repo", "tags", "branch", "auto", "service", "team", "environment", "withdraw"]
    )]
    github: Option<Vec<String>>,
    /// Print what was done as one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(names) = &args.github {
        return sync_github::run(names, args.json, context).await;
    }
    let config = &context.settings.dora;
    let path = match args.repo.or_else(|| config.repository.clone()) {
        Some(path) => path,
        None => std::env::current_dir().context("where is the current directory?")?,
    };
    let mut request = dora::sync_options(config, args.tags.as_deref(), args.branch.as_deref());
    if args.auto {
        request.asked = true;
        request.options.which = Which::Auto;
        request.options.remarks.clear();
    }
    request.withdraw = args.withdraw;
    let options = &mut request.options;
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
    let outcome = match with_progress(&*store, &path, request.clone()).await {
        Err(GatherError::WouldWithdraw(question)) if confirmed(&question)? => {
            request.withdraw = true;
            with_progress(&*store, &path, request).await?
        }
        other => other?,
    };
    let text = if args.json {
        format!("{:#}\n", json_of(&outcome))
    } else {
        format!("{}\n", told(&outcome))
    };
    output::print(Form::of(args.json), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks a person; a script has no answer.
fn confirmed(question: &WouldWithdraw) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    output::aside(&question.to_string());
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "Take them out? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn with_progress(
    store: &dyn MetricsStore,
    path: &Path,
    request: SyncRequest,
) -> Result<SyncOutcome, GatherError> {
    let bar = progress_of(path);
    let shown = bar.clone();
    let outcome = dora::sync_git(store, path, request, Timestamp::now(), move |read| {
        shown.set_position(read as u64);
    })
    .await;
    bar.finish_and_clear();
    outcome
}

/// Draws nothing unless standard error is a terminal.
pub(super) fn progress_of(path: &Path) -> ProgressBar {
    progress::counted(format!("reading {}", path.display()), "commits")
}

fn json_of(outcome: &SyncOutcome) -> serde_json::Value {
    let git = &outcome.git;
    json!({
        "repository": git.repository,
        "root_commit": git.identity.root,
        "remote": git.identity.remote,
        "service": git.service,
        "method": git.method.to_string(),
        "tags": git.tags.as_ref().map(|tags| json!({
            "total": tags.total(),
            "deployments": tags.deployments,
            "prereleases": tags.prereleases,
            "aliases": tags.aliases,
            "without_commit": tags.without_commit,
            "out_of_reach": tags.out_of_reach,
            "unmatched": tags.unmatched,
            "unmatched_examples": tags.examples,
        })),
        "deployments": git.deployments.len(),
        "commits_read": git.commits_read,
        "written": outcome.written,
        "withdrawn": outcome.withdrawn,
        "notes": git.notes,
    })
}

pub(super) fn told(outcome: &SyncOutcome) -> String {
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
    if let Some(tags) = git.tags.as_ref().filter(|tags| tags.total() > 0) {
        text.push_str(&format!("\n{}", TagAccount::words(tags)));
    }
    if outcome.withdrawn > 0 {
        text.push_str(&format!(
            "\n{} deployments of earlier syncs are no longer there and count no more",
            outcome.withdrawn
        ));
    }
    for note in &git.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}
