//! `atalaya dora sync --github`.

use std::process::ExitCode;

use serde_json::json;

use super::super::output::Form;
use super::super::{Context, output, progress};
use super::changes;
use crate::service;
use crate::service::dora::{self, Failure, GithubOutcome, RepositoryOutcome};
use crate::source::github::AskError;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;

pub(super) async fn run(
    names: &[String],
    json: bool,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let request = dora::github_request(&context.settings, names)?;
    let client = dora::github_client(&context.settings).await?;
    let store = service::open_metrics(&context.settings).await?;
    let bar = progress::counted("asking GitHub".to_owned(), "requests");
    let shown = bar.clone();
    let outcome = dora::sync_github(
        &*store,
        &client,
        &request,
        Timestamp::now(),
        &move |progress| {
            shown.set_message(format!("{} {}", progress.repository, progress.what));
            shown.set_position(progress.requests.into());
        },
    )
    .await;
    bar.finish_and_clear();
    let outcome = outcome?;
    let text = if json {
        format!("{:#}\n", json_of(&outcome))
    } else {
        format!("{}\n", told(&outcome))
    };
    output::print(Form::of(json), &text)?;
    for (repository, failure) in failures(&outcome) {
        output::note(&format!(
            "{}: {}: {}",
            repository.name, failure.what, failure.error
        ));
    }
    Ok(outcome.failure().map_or(ExitCode::SUCCESS, |failure| {
        ExitCode::from(match failure.class() {
            ErrorClass::Busy | ErrorClass::Transient => 75,
            ErrorClass::Usage | ErrorClass::Missing => 2,
            ErrorClass::Broken => 1,
        })
    }))
}

fn failures(outcome: &GithubOutcome) -> impl Iterator<Item = (&RepositoryOutcome, &Failure)> {
    let repositories = outcome.repositories.iter();
    repositories.flat_map(|one| one.failures.iter().map(move |failure| (one, failure)))
}

fn json_of(outcome: &GithubOutcome) -> serde_json::Value {
    let repositories: Vec<_> = outcome
        .repositories
        .iter()
        .map(|one| {
            let failures: Vec<_> = one
                .failures
                .iter()
                .map(|failure| {
                    let until = match failure.error {
                        AskError::Limited { until } => Some(until.to_rfc3339()),
                        _ => None,
                    };
                    json!({
                        "what": failure.what,
                        "error": failure.error.to_string(),
                        "try_again": failure.error.passes(),
                        "not_before": until,
                    })
                })
                .collect();
            json!({
                "repository": one.name,
                "deployments": one.deployments,
                "incidents": one.incidents,
                "pull_requests": one.pull_requests,
                "new_commits": one.commits,
                "complete": one.failures.is_empty(),
                "failures": failures,
                "notes": one.notes,
            })
        })
        .collect();
    json!({
        "repositories": repositories,
        "requests": outcome.requests,
        "not_modified": outcome.not_modified,
    })
}

fn told(outcome: &GithubOutcome) -> String {
    let mut lines = Vec::new();
    for one in &outcome.repositories {
        lines.push(format!(
            "{}: deployments {}; incidents {}; pull requests {}; {} new commits",
            one.name,
            changes(one.deployments),
            changes(one.incidents),
            changes(one.pull_requests),
            one.commits
        ));
        lines.extend(one.notes.iter().map(|note| format!("note: {note}")));
    }
    lines.push(format!(
        "{} requests, {} of them answered by \"not modified\"",
        outcome.requests, outcome.not_modified
    ));
    if outcome
        .failure()
        .is_some_and(|failure| failure.error.passes())
    {
        lines.push("it is not complete; the next run goes on where this one stopped".to_owned());
    }
    lines.join("\n")
}
