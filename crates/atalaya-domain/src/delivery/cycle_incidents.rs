//! The incidents of one cycle, folded from all of its phases: a later row that passed ends what is
//! open, so that "blocked at 11:30, resolved at 12:30" is one incident of an hour.
//!
//! Folding from all rows, instead of adding one row after the other, makes the order of recording
//! and every repetition without effect.

use std::time::Duration;

use super::{Decision, Deployment, DeploymentResult, Incident, Phase, PhaseRecord};
use crate::dora::PRODUCTION;
use crate::dora::iact::PHASE_WORD;

/// Metadata names under which a recorder names the cause: a deployment, a cycle or a commit.
const CAUSE_NAMES: [&str; 8] = [
    "cause",
    "caused_by",
    "root_cause",
    "deployment_id",
    "deployment",
    "cycle_id",
    "commit",
    "sha",
];

/// Origin of an incident that a person changed; what the cycle says then only fills its gaps.
pub const BY_PERSON: &str = "incident";

/// The incidents that the phases of one cycle tell of, oldest first, without the cycle's own
/// deployment as a cause (see [`Incident::caused_by`]).
///
/// Maintenance is also routine work; it speaks of an incident when it ended resolved, failed or
/// blocked, when the recorder called it an incident, or when it says how long one lasted. A row
/// that passed and is none of these still ends an open incident. An incident is named by the row
/// that opened it.
pub fn fold(phases: &[PhaseRecord], origin: &str) -> Vec<Incident> {
    let mut rows: Vec<&PhaseRecord> = phases
        .iter()
        .filter(|phase| matches!(phase.phase, Phase::Maintenance | Phase::Recovery))
        .collect();
    rows.sort_by_key(|phase| (phase.recorded_at, phase.phase, phase.attempt));
    let mut incidents: Vec<Incident> = Vec::new();
    for phase in rows {
        let open = incidents
            .last_mut()
            .filter(|incident| incident.resolved_at.is_none());
        match (open, incident_of(phase, origin)) {
            (Some(open), told) => go_on(open, phase, told),
            (None, Some(incident)) => incidents.push(incident),
            (None, None) => {}
        }
    }
    incidents
}

/// A further row of an incident that is still open.
fn go_on(open: &mut Incident, phase: &PhaseRecord, told: Option<Incident>) {
    if phase.decision.passed() {
        open.resolved_at = Some(phase.recorded_at);
    }
    let Some(told) = told else { return };
    open.opened_at = open.opened_at.min(told.opened_at);
    let fill = |known: &mut Option<String>, told: Option<String>| {
        if known.is_none() {
            *known = told;
        }
    };
    fill(&mut open.service, told.service);
    fill(&mut open.severity, told.severity);
    fill(&mut open.cause, told.cause);
    if open.request_id.is_none() {
        open.request_id = told.request_id;
    }
}

/// The incident that one row alone tells of.
fn incident_of(phase: &PhaseRecord, origin: &str) -> Option<Incident> {
    let lasted = phase
        .metadata
        .get("incident_duration_hours")
        .and_then(serde_json::Value::as_f64)
        .filter(|hours| hours.is_finite() && *hours > 0.0)
        .and_then(|hours| Duration::try_from_secs_f64(hours * 3_600.0).ok());
    let is_incident = phase.phase == Phase::Recovery
        || lasted.is_some()
        || phase
            .text(PHASE_WORD)
            .is_some_and(|word| word.eq_ignore_ascii_case("incident"))
        || matches!(
            phase.decision,
            Decision::Resolved | Decision::Failed | Decision::Blocked
        );
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
        cause: cause_of(phase),
        caused_by: None,
        request_id: phase.request_id(),
        origin: origin.to_owned(),
    })
}

/// What the row names as the cause; its own cycle is none.
fn cause_of(phase: &PhaseRecord) -> Option<String> {
    CAUSE_NAMES
        .into_iter()
        .filter_map(|name| phase.text(name))
        .map(|text| text.trim().to_owned())
        .find(|text| !text.is_empty() && *text != phase.cycle_id)
}

/// Ids that [`fold`] can give to incidents of this cycle.
pub fn is_of_cycle(incident_id: &str, cycle_id: &str) -> bool {
    incident_id
        .strip_prefix(cycle_id)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.split_once('#'))
        .is_some_and(|(phase, attempt)| {
            matches!(phase, "maintenance" | "recovery") && attempt.parse::<u32>().is_ok()
        })
}

/// What is to be stored of an incident that a cycle tells of when `known` is stored already: a
/// person's words stay, and the cycle only fills what the person left open.
pub fn beside_person(told: Incident, known: Option<&Incident>) -> Incident {
    match known {
        Some(known) if known.origin == BY_PERSON => Incident {
            resolved_at: known.resolved_at.or(told.resolved_at),
            cause: known.cause.clone().or(told.cause),
            caused_by: told.caused_by.or(known.caused_by.clone()),
            request_id: known.request_id.clone().or(told.request_id),
            severity: known.severity.clone().or(told.severity),
            service: known.service.clone().or(told.service),
            ..known.clone()
        },
        _ => told,
    }
}

/// Which of its own cycle's deployments an incident is laid to: the last that had finished when it
/// opened, not the one that repaired it. An opening computed from a rounded duration may come out
/// too early; then it is the first that had finished before the incident was over.
///
/// What went to production comes before what only went elsewhere; what never reached users is none.
pub fn cause_in_cycle<'d>(
    incident: &Incident,
    deployments: impl IntoIterator<Item = &'d Deployment>,
) -> Option<&'d Deployment> {
    let (mut of_production, mut of_others): (Vec<&Deployment>, Vec<&Deployment>) = deployments
        .into_iter()
        .filter(|deployment| deployment.result != DeploymentResult::Aborted)
        .partition(|deployment| deployment.environment == PRODUCTION);
    let cause = |deployments: &mut Vec<&'d Deployment>| {
        deployments
            .sort_by(|one, other| (one.finished_at, &one.id).cmp(&(other.finished_at, &other.id)));
        let before =
            deployments.partition_point(|deployment| deployment.finished_at <= incident.opened_at);
        match before.checked_sub(1) {
            Some(last) => deployments.get(last).copied(),
            None => deployments.first().copied().filter(|first| {
                incident
                    .resolved_at
                    .is_none_or(|resolved| first.finished_at <= resolved)
            }),
        }
    };
    cause(&mut of_production).or_else(|| cause(&mut of_others))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::dora::fixtures::{deployment, hour, incident, phase};
    use crate::record::RequestId;

    fn maintenance(decision: Decision, at: f64, attempt: u32) -> PhaseRecord {
        PhaseRecord {
            attempt,
            ..phase("c1", Phase::Maintenance, decision, at, 0)
        }
    }

    #[test]
    fn a_later_resolved_row_ends_the_open_one() {
        let rows = [
            maintenance(Decision::Blocked, 11.5, 1),
            maintenance(Decision::Failed, 12.0, 2),
            maintenance(Decision::Resolved, 12.5, 3),
            maintenance(Decision::Blocked, 20.0, 4),
        ];
        let incidents = fold(&rows, "record");
        let spans: Vec<_> = incidents
            .iter()
            .map(|incident| {
                (
                    incident.id.as_str(),
                    incident.opened_at,
                    incident.resolved_at,
                )
            })
            .collect();
        assert_eq!(
            spans,
            [
                ("c1/maintenance#1", hour(11.5), Some(hour(12.5))),
                ("c1/maintenance#4", hour(20.0), None),
            ]
        );
    }

    #[test]
    fn a_recovery_ends_what_maintenance_found() {
        let rows = [
            maintenance(Decision::Blocked, 11.5, 1),
            phase("c1", Phase::Recovery, Decision::Success, 13.0, 600),
            maintenance(Decision::Go, 14.0, 2), // routine work: no incident
        ];
        let incidents = fold(&rows, "record");
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].resolved_at, Some(hour(13.0)));
    }

    #[test]
    fn what_a_row_names_as_cause_is_kept() {
        for name in CAUSE_NAMES {
            let mut row = maintenance(Decision::Blocked, 1.0, 1);
            row.metadata.insert(name.to_owned(), "0123abcd".into());
            row.metadata.insert("request_id".to_owned(), "req-1".into());
            let incident = fold(&[row], "record").remove(0);
            assert_eq!(incident.cause.as_deref(), Some("0123abcd"), "{name}");
            assert_eq!(incident.request_id, Some(RequestId::new("req-1")));
        }
        let mut own = maintenance(Decision::Blocked, 1.0, 1);
        own.metadata.insert("cycle_id".to_owned(), "c1".into());
        assert_eq!(fold(&[own], "record")[0].cause, None);
    }

    #[test]
    fn a_persons_words_stay() {
        let told = fold(&[maintenance(Decision::Blocked, 1.0, 1)], "record").remove(0);
        let person = Incident {
            title: "checkout is down".to_owned(),
            resolved_at: Some(hour(3.0)),
            cause: Some("v1".to_owned()),
            origin: BY_PERSON.to_owned(),
            ..told.clone()
        };
        assert_eq!(beside_person(told.clone(), Some(&person)), person);
        assert_eq!(beside_person(told.clone(), None), told);
    }

    #[test]
    fn ids_of_a_cycle() {
        assert!(is_of_cycle("c1/maintenance#2", "c1"));
        for other in [
            "c10/maintenance#2",
            "c1/deployment#1",
            "c1/maintenance#x",
            "INC-1",
        ] {
            assert!(!is_of_cycle(other, "c1"), "{other}");
        }
    }

    /// Broke at 11, repaired at 12, resolved at 12:30: the cause is what was out at 11.
    #[test]
    fn what_repaired_an_incident_did_not_cause_it() {
        let broken = incident("I", 11.0, Some(12.5));
        let cause = |deployments: &[Deployment]| {
            cause_in_cycle(&broken, deployments).map(|deployment| deployment.id.clone())
        };
        let [old, bad, repair, later] = [
            deployment("old", 5.0),
            deployment("bad", 10.0),
            deployment("repair", 12.0),
            deployment("later", 13.0),
        ];
        let aborted = Deployment {
            result: DeploymentResult::Aborted,
            ..deployment("aborted", 10.5)
        };
        let staging = Deployment {
            environment: "staging".to_owned(),
            ..deployment("staging", 10.8)
        };
        let named = Some("bad".to_owned());
        let all = [
            old,
            bad.clone(),
            aborted,
            staging.clone(),
            repair.clone(),
            later.clone(),
        ];
        assert_eq!(cause(&all), named);
        // The opening was computed from a rounded duration, and lies before its own deployment.
        assert_eq!(
            cause(&[repair.clone(), later.clone()]),
            Some("repair".to_owned())
        );
        assert_eq!(cause(&[later]), None);
        assert_eq!(cause(&[staging.clone(), bad]), named);
        assert_eq!(cause(&[staging]), Some("staging".to_owned()));
    }

    proptest! {
        /// The order in which deployments are given does not matter, and whatever finished after
        /// the opening is no cause as long as something had finished before it.
        #[test]
        fn a_cause_comes_before_what_it_caused(
            finished in proptest::collection::vec((0_u32..100, any::<bool>()), 0..12),
            (opened, lasted) in (0_u32..100, 0_u32..50),
            turn in any::<usize>(),
        ) {
            let broken = incident("I", f64::from(opened), Some(f64::from(opened + lasted)));
            let mut deployments: Vec<Deployment> = finished
                .iter()
                .zip(0..)
                .map(|(&(at, aborted), number): (_, u32)| Deployment {
                    result: if aborted { DeploymentResult::Aborted } else { DeploymentResult::Success },
                    ..deployment(&format!("d{number}"), f64::from(at))
                })
                .collect();
            let cause = cause_in_cycle(&broken, &deployments).cloned();
            let live = || deployments.iter().filter(|one| one.result != DeploymentResult::Aborted);
            let before = live().filter(|one| one.finished_at <= broken.opened_at);
            let expected = before
                .map(|one| one.finished_at)
                .max()
                .or_else(|| {
                    live()
                        .map(|one| one.finished_at)
                        .min()
                        .filter(|at| broken.resolved_at.is_some_and(|resolved| *at <= resolved))
                });
            prop_assert_eq!(cause.as_ref().map(|one| one.finished_at), expected);
            if !deployments.is_empty() {
                let turn = turn % deployments.len();
                deployments.rotate_left(turn);
            }
            prop_assert_eq!(cause_in_cycle(&broken, &deployments).cloned(), cause);
        }

        /// In whatever order rows were recorded, the same incidents come out: each begins before it
        /// ends, at most the last is open, and none begins before the one before it was over.
        #[test]
        fn the_order_of_recording_does_not_matter(
            rows in proptest::collection::vec((0_u32..500, 0_usize..9), 0..20),
            seed in any::<u64>(),
        ) {
            let mut phases: Vec<PhaseRecord> = rows
                .iter()
                .zip(1..)
                .map(|(&(at, decision), attempt)| {
                    maintenance(Decision::ALL[decision], f64::from(at), attempt)
                })
                .collect();
            let incidents = fold(&phases, "record");
            let mut state = seed;
            phases.sort_by_key(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state
            });
            prop_assert_eq!(&fold(&phases, "record"), &incidents);
            for pair in incidents.windows(2) {
                prop_assert!(pair[0].resolved_at.unwrap() <= pair[1].opened_at);
            }
            for incident in &incidents {
                prop_assert!(incident.resolved_at.is_none_or(|at| incident.opened_at <= at));
            }
        }
    }
}
