//! What a recorded phase says beyond itself: a deployment phase is a deployment, and a maintenance
//! phase that mended something is an incident.
//!
//! Used alike by imported files, `atalaya dora record` and tracked commands, so that the same phase
//! gives the same facts and the same ids whichever way it came.

use std::time::Duration;

use atalaya_domain::delivery::{
    Decision, Deployment, DeploymentKind, DeploymentResult, Incident, Phase, PhaseRecord,
};
use atalaya_domain::dora::PRODUCTION;
use atalaya_domain::dora::iact::PHASE_WORD;

/// Service of a phase that names none.
pub const UNNAMED_SERVICE: &str = "default";

/// The deployment that a deployment phase was; `None` for other phases.
pub fn deployment_of(phase: &PhaseRecord, origin: &str) -> Option<Deployment> {
    if phase.phase != Phase::Deployment {
        return None;
    }
    let kind = phase
        .text("kind")
        .and_then(|word| DeploymentKind::from_word(&word))
        .unwrap_or(DeploymentKind::Normal);
    Some(Deployment {
        id: format!("{}/deployment#{}", phase.cycle_id, phase.attempt),
        service: phase
            .text("service")
            .unwrap_or_else(|| UNNAMED_SERVICE.to_owned()),
        team: phase.text("team"),
        environment: phase
            .text("environment")
            .unwrap_or_else(|| PRODUCTION.to_owned()),
        commit: phase.text("commit").or_else(|| phase.text("sha")),
        started_at: Some(phase.recorded_at.saturating_sub(phase.duration)),
        finished_at: phase.recorded_at,
        result: match phase.decision {
            Decision::Go | Decision::Success | Decision::Resolved => DeploymentResult::Success,
            Decision::Failed => DeploymentResult::Failed,
            Decision::RolledBack => DeploymentResult::RolledBack,
            // Refused or not decided: it never reached users.
            Decision::NoGo | Decision::Review | Decision::Blocked | Decision::Escalate => {
                DeploymentResult::Aborted
            }
        },
        kind,
        request_id: phase.request_id(),
        cycle_id: Some(phase.cycle_id.clone()),
        origin: origin.to_owned(),
        commits: None,
    })
}

/// The incident that a maintenance or recovery phase was about, without a cause.
///
/// Maintenance is also routine work; it speaks of an incident when it ended resolved, failed or
/// blocked, when the recorder called it an incident, or when it says how long one lasted.
pub fn incident_of(phase: &PhaseRecord, origin: &str) -> Option<Incident> {
    let lasted = phase
        .metadata
        .get("incident_duration_hours")
        .and_then(serde_json::Value::as_f64)
        .filter(|hours| hours.is_finite() && *hours > 0.0)
        .and_then(|hours| Duration::try_from_secs_f64(hours * 3_600.0).ok());
    let is_incident = match phase.phase {
        Phase::Recovery => true,
        Phase::Maintenance => {
            lasted.is_some()
                || phase
                    .text(PHASE_WORD)
                    .is_some_and(|word| word.eq_ignore_ascii_case("incident"))
                || matches!(
                    phase.decision,
                    Decision::Resolved | Decision::Failed | Decision::Blocked
                )
        }
        _ => false,
    };
    is_incident.then(|| Incident {
        id: format!(
            "{}/{}#{}",
            phase.cycle_id,
            phase.phase.name(),
            phase.attempt
        ),
        title: phase
            .text("title")
            .unwrap_or_else(|| format!("{} of {}", phase.phase.name(), phase.feature_id)),
        service: phase.text("service"),
        severity: phase.text("severity"),
        opened_at: phase
            .recorded_at
            .saturating_sub(lasted.unwrap_or(phase.duration)),
        resolved_at: phase.decision.passed().then_some(phase.recorded_at),
        caused_by: None,
        request_id: None,
        origin: origin.to_owned(),
    })
}
