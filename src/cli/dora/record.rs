//! `atalaya dora record`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::output::Form;
use super::super::{Context, UsageError, output};
use super::{changes, parse_phase, time, warn_of_future};
use crate::service;
use crate::service::dora::{self, Recorded};
use atalaya_domain::delivery::{Decision, DeploymentKind, PhaseRecord};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "An incident of a cycle begins with a maintenance phase that is blocked or failed and ends with a later one that is resolved. --commit of such a phase, or --meta cause=ID, names what caused it.\n\nExamples:\n  atalaya dora record --feature FEAT-1 --phase testing --decision go --duration 12m\n  atalaya dora record --cycle c-7 --feature FEAT-1 --phase deployment --decision success --duration 95s \\\n      --service shop --request-id req-5f1c --meta story_points=5\n  atalaya dora record --feature FEAT-1 --phase deployment --decision success --kind hotfix\n  atalaya dora record --feature FEAT-1 --phase maintenance --decision blocked\n  atalaya dora record --feature FEAT-1 --phase maintenance --decision resolved"
)]
pub struct Args {
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
    /// Why a deployment was made: normal, hotfix (unplanned, because of a defect) or rollback (takes
    /// an earlier one back) [default: normal].
    #[arg(long, value_parser = parse_kind)]
    kind: Option<DeploymentKind>,
    #[arg(long)]
    service: Option<String>,
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    environment: Option<String>,
    /// Of a deployment what was deployed, of an incident what caused it.
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
    let json = args.json;
    let phase = phase(args, context)?;
    warn_of_future("the phase", phase.recorded_at);
    let store = service::open_metrics(&context.settings).await?;
    let recorded = dora::record(&*store, phase.clone(), "record").await?;
    if let Some(conflict) = &recorded.conflict {
        return Err(UsageError(format!(
            "{conflict}; nothing was recorded. Name another cycle with --cycle"
        ))
        .into());
    }
    let text = if json {
        format!("{:#}\n", json_of(&phase, &recorded))
    } else {
        told(&phase, &recorded)
    };
    output::print(Form::of(json), &text)?;
    // A progress line would be in the way of scripts; a person is told how to look at it.
    if !json && std::io::stdout().is_terminal() && recorded.deployment.is_some() {
        output::print(Form::Text, "see it with: atalaya dora report\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The phase as it was typed; attempt 0 is "the next".
fn phase(args: Args, context: &Context) -> Result<PhaseRecord, UsageError> {
    let phase = parse_phase(&args.phase)?;
    let decision = Decision::from_word(&args.decision).ok_or_else(|| {
        UsageError(format!(
            "`{}` is no decision; use one of {}",
            args.decision,
            Decision::ALL.map(Decision::name).join(", ")
        ))
    })?;
    let recorded_at = time(args.at.as_deref(), context)?;
    if args.feature.trim().is_empty() {
        return Err(UsageError(
            "--feature is empty; name the feature, as in --feature FEAT-1".to_owned(),
        ));
    }
    let mut metadata = metadata(&args.metadata)?;
    for (name, value) in [
        ("service", args.service),
        ("team", args.team),
        ("environment", args.environment),
        ("commit", args.commit),
        ("request_id", args.request_id),
        ("kind", args.kind.map(|kind| kind.name().to_owned())),
    ] {
        if let Some(value) = value {
            metadata.insert(name.to_owned(), value.into());
        }
    }
    Ok(PhaseRecord {
        cycle_id: args.cycle.unwrap_or_else(|| args.feature.clone()),
        feature_id: args.feature,
        phase,
        attempt: args.attempt.unwrap_or(0),
        decision,
        duration: args.duration,
        recorded_at,
        metadata,
    })
}

fn metadata(pairs: &[String]) -> Result<BTreeMap<String, Value>, UsageError> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                UsageError(format!(
                    "`{pair}` is not NAME=VALUE, as in --meta story_points=5"
                ))
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        })
        .collect()
}

fn json_of(phase: &PhaseRecord, recorded: &Recorded) -> Value {
    json!({
        "cycle_id": recorded.cycle_id,
        "phase_name": phase.phase.name(),
        "attempt": recorded.attempt,
        "created_at": phase.recorded_at.to_rfc3339(),
        "written": recorded.written,
        "deployment": recorded.deployment,
        "incident": recorded.incident,
    })
}

fn told(phase: &PhaseRecord, recorded: &Recorded) -> String {
    let also = [
        ("deployment", &recorded.deployment),
        ("incident", &recorded.incident),
    ]
    .into_iter()
    .filter_map(|(what, id)| id.as_ref().map(|id| format!("; {what} {id}")))
    .collect::<String>();
    format!(
        "{} of {}, attempt {}: {}{also}\n",
        phase.phase.name(),
        recorded.cycle_id,
        recorded.attempt,
        changes(recorded.written)
    )
}

/// Shared with `atalaya track`.
pub(in super::super) fn parse_kind(word: &str) -> Result<DeploymentKind, String> {
    DeploymentKind::from_word(word)
        .ok_or_else(|| format!("`{word}` is no kind; use one of normal, hotfix, rollback"))
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
