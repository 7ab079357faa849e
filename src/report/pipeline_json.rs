//! The one JSON shape of a run of a pipeline: what `--json` prints and the API answers.

use serde_json::{Value, json};

use atalaya_domain::pipeline::{Run, Step};
use atalaya_domain::time::Timestamp;

pub fn run(run: &Run) -> Value {
    json!({
        "id": run.id,
        "pipeline": run.pipeline,
        "feature_id": run.feature_id,
        "cycle_id": run.cycle_id,
        "request_id": run.request_id,
        "state": run.state.name(),
        "resumable": run.is_resumable(),
        "host": run.host,
        "started_at": run.started_at.to_rfc3339(),
        "updated_at": run.updated_at.to_rfc3339(),
        "steps": run.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    let answer = step.answer.as_ref();
    json!({
        "name": step.name,
        "phase": step.phase.name(),
        "attempts": step.attempts,
        "started_at": step.started_at.map(Timestamp::to_rfc3339),
        "finished_at": answer.map(|answer| answer.finished_at.to_rfc3339()),
        "duration_seconds": answer.map(|answer| answer.duration_ms as f64 / 1_000.0),
        "decision": answer.map(|answer| answer.decision.name()),
        "confidence": answer.and_then(|answer| answer.confidence),
        "exit_code": answer.and_then(|answer| answer.exit_code),
        "problem": answer.and_then(|answer| answer.problem.as_deref()),
        "metadata": answer.map(|answer| &answer.metadata),
        "output": answer.map(|answer| &answer.output),
        "waits": step.waits(),
        "verdict": step.verdict.as_ref().map(|verdict| json!({
            "approved": verdict.approved,
            "by": verdict.by,
            "at": verdict.at.to_rfc3339(),
            "note": verdict.note,
        })),
    })
}
