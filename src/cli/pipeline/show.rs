//! Runs of pipelines as text.

use std::fmt::Write as _;
use std::time::Duration;

use crate::report::record_text::duration;
use atalaya_domain::pipeline::{Answer, Run, Step};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::KeptRun;

/// Lines of what a phase printed.
const LINES: usize = 12;

pub(super) fn list(runs: &[KeptRun]) -> String {
    if runs.is_empty() {
        return "no pipeline ran yet; `atalaya pipeline run FILE` runs one\n".to_owned();
    }
    let mut text = String::new();
    for KeptRun { run, .. } in runs {
        let done = run
            .steps
            .iter()
            .filter(|step| step.answer.is_some())
            .count();
        let _ = writeln!(
            text,
            "{}  {:9}  {done}/{} phases  {}  {}  {}",
            run.id,
            run.state.name(),
            run.steps.len(),
            second(run.started_at),
            run.pipeline,
            run.feature_id,
        );
    }
    text
}

pub(super) fn run(run: &Run) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}  {}  {}", run.id, run.pipeline, run.state.name());
    let _ = writeln!(
        text,
        "feature {}, cycle {}, request {}, on {}, since {}",
        run.feature_id,
        run.cycle_id,
        run.request_id,
        run.host,
        second(run.started_at)
    );
    for step in &run.steps {
        let _ = writeln!(
            text,
            "\n{} ({}): {}",
            step.name,
            step.phase.name(),
            state(step)
        );
        if let Some(verdict) = &step.verdict {
            let word = if verdict.approved {
                "approved"
            } else {
                "rejected"
            };
            let note = verdict.note.as_deref().map(|note| format!(": {note}"));
            let _ = writeln!(
                text,
                "  {word} by {} at {}{}",
                verdict.by,
                second(verdict.at),
                note.unwrap_or_default()
            );
        }
        let printed = step.answer.iter().flat_map(|answer| answer.output.lines());
        let printed: Vec<&str> = printed.collect();
        for line in &printed[printed.len().saturating_sub(LINES)..] {
            let _ = writeln!(text, "  | {line}");
        }
    }
    text
}

fn state(step: &Step) -> String {
    match (&step.answer, step.started_at) {
        (Some(found), _) => answer(found),
        (None, Some(at)) => format!("under way since {}, try {}", second(at), step.attempts),
        (None, None) => "not begun".to_owned(),
    }
}

/// `go in 3.2 s, confidence 0.90`.
pub(super) fn answer(answer: &Answer) -> String {
    let mut text = format!(
        "{} in {}",
        answer.decision.name(),
        duration(Duration::from_millis(answer.duration_ms))
    );
    if let Some(confidence) = answer.confidence {
        let _ = write!(text, ", confidence {confidence:.2}");
    }
    if let Some(problem) = &answer.problem {
        let _ = write!(text, ": {problem}");
    }
    text
}

pub(super) fn how_to_decide(run: &Run) -> String {
    let step = run.steps.iter().find(|step| step.waits());
    let name = step.map_or("a phase", |step| step.name.as_str());
    format!(
        "{name} waits for a person: `atalaya pipeline approve {id}`, or reject; then `atalaya pipeline resume {id}`",
        id = run.id
    )
}

pub(super) fn why_over(run: &Run) -> String {
    let last = run.steps.iter().rfind(|step| step.answer.is_some());
    let why = last.map(|step| match &step.verdict {
        Some(verdict) if !verdict.approved => {
            format!("{} was rejected by {}", step.name, verdict.by)
        }
        _ => format!("{}: {}", step.name, state(step)),
    });
    format!(
        "{} {}; {}",
        run.id,
        run.state.name(),
        why.unwrap_or_default()
    )
}

fn second(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}
