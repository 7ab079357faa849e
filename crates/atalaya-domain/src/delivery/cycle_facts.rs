//! What a phase says beyond itself: a deployment phase is a deployment. (What maintenance and
//! recovery phases say is in [`super::cycle_incidents`].)
//!
//! Used alike by imported files, `atalaya dora record` and tracked commands, so that the same phase
//! gives the same facts and the same ids whichever way it came.

use serde_json::Value;

use super::{Decision, Deployment, DeploymentKind, DeploymentResult, Phase, PhaseRecord};
use crate::dora::PRODUCTION;

/// Service of a phase that names none.
pub const UNNAMED_SERVICE: &str = "default";

/// Metadata name under which a failed run says whether it had reached users before.
pub const REACHED_USERS: &str = "reached_users";

/// The deployment that a deployment phase was; `None` for other phases.
pub fn deployment_of(phase: &PhaseRecord, origin: &str) -> Option<Deployment> {
    if phase.phase != Phase::Deployment {
        return None;
    }
    let kind = phase
        .text("kind")
        .and_then(|word| DeploymentKind::from_word(&word))
        .unwrap_or(DeploymentKind::Normal);
    let reached = phase.metadata.get(REACHED_USERS) != Some(&Value::Bool(false));
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
            Decision::Failed if reached => DeploymentResult::Failed,
            Decision::RolledBack => DeploymentResult::RolledBack,
            // Refused, not decided or broken off: it never reached users.
            Decision::Failed
            | Decision::NoGo
            | Decision::Review
            | Decision::Blocked
            | Decision::Escalate => DeploymentResult::Aborted,
        },
        kind,
        request_id: phase.request_id(),
        cycle_id: Some(phase.cycle_id.clone()),
        origin: origin.to_owned(),
        taken_back_by: None,
        commits: None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dora::fixtures::phase;

    #[test]
    fn what_never_reached_users_is_no_deployment() {
        for (decision, reached, expected) in [
            (Decision::Success, None, DeploymentResult::Success),
            (Decision::Failed, None, DeploymentResult::Failed),
            (Decision::Failed, Some(true), DeploymentResult::Failed),
            (Decision::Failed, Some(false), DeploymentResult::Aborted),
            (Decision::NoGo, None, DeploymentResult::Aborted),
            (Decision::RolledBack, None, DeploymentResult::RolledBack),
        ] {
            let mut phase = phase("c1", Phase::Deployment, decision, 1.0, 60);
            if let Some(reached) = reached {
                phase
                    .metadata
                    .insert(REACHED_USERS.to_owned(), reached.into());
            }
            let deployment = deployment_of(&phase, "track").unwrap();
            assert_eq!(deployment.result, expected, "{decision:?} {reached:?}");
        }
    }
}
