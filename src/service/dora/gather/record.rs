//! One phase at a time.

use atalaya_domain::delivery::PhaseRecord;
use atalaya_domain::delivery::cycle_facts::deployment_of;
use atalaya_domain::delivery::cycle_incidents;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{CycleConflict, CyclesToRecord, MetricsStore, Written};

use super::connect;

/// What recording one phase made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub cycle_id: String,
    pub attempt: u32,
    pub written: Written,
    /// Id of the deployment that the phase was.
    pub deployment: Option<String>,
    /// Id of the incident that the phase was about.
    pub incident: Option<String>,
    /// Then nothing was recorded: the cycle is another one's.
    pub conflict: Option<CycleConflict>,
}

/// Metadata name of the run that a phase was: the same run is never recorded as two attempts.
pub const RUN_ID: &str = "run_id";

/// Records one phase with the deployment or incident that it is.
///
/// `attempt` 0 takes the next free one of its cycle and phase, or the one under which the same
/// [`RUN_ID`] is recorded already; with a number, recording it again is recording it once.
pub async fn record(
    store: &dyn MetricsStore,
    mut phase: PhaseRecord,
    origin: &str,
) -> Result<Recorded, StoreError> {
    if phase.attempt == 0 {
        let cycle = store.cycle(&phase.cycle_id).await?;
        let tried = || {
            cycle
                .iter()
                .flat_map(|cycle| &cycle.phases)
                .filter(|known| known.phase == phase.phase)
        };
        let run = phase.text(RUN_ID);
        phase.attempt = match tried().find(|known| run.is_some() && known.text(RUN_ID) == run) {
            Some(recorded) => recorded.attempt,
            None => tried().map(|known| known.attempt).max().unwrap_or(0) + 1,
        };
    }
    let done = store
        .record_cycles(&CyclesToRecord {
            phases: vec![phase.clone()],
            origin: origin.to_owned(),
        })
        .await?;
    let conflict = done.conflicts.into_iter().next();
    let mut recorded = Recorded {
        cycle_id: phase.cycle_id.clone(),
        attempt: phase.attempt,
        written: done.phases,
        deployment: deployment_of(&phase, origin).map(|deployment| deployment.id),
        incident: None,
        conflict,
    };
    if recorded.conflict.is_some() {
        return Ok(recorded);
    }
    recorded.incident = incident_of(store, &phase).await?;
    if recorded.deployment.is_some() || recorded.incident.is_some() {
        connect(
            store,
            origin,
            recorded.deployment.is_some(),
            recorded.incident.is_some(),
            phase.recorded_at,
        )
        .await?;
    }
    Ok(recorded)
}

/// The incident that the phase belongs to, which an earlier row may have opened.
async fn incident_of(
    store: &dyn MetricsStore,
    phase: &PhaseRecord,
) -> Result<Option<String>, StoreError> {
    let id = format!(
        "{}/{}#{}",
        phase.cycle_id,
        phase.phase.name(),
        phase.attempt
    );
    if !cycle_incidents::is_of_cycle(&id, &phase.cycle_id) {
        return Ok(None);
    }
    let Some(cycle) = store.cycle(&phase.cycle_id).await? else {
        return Ok(None);
    };
    Ok(cycle_incidents::fold(&cycle.phases, "")
        .into_iter()
        .rev()
        .find(|incident| {
            incident.opened_at <= phase.recorded_at
                && incident
                    .resolved_at
                    .is_none_or(|resolved| phase.recorded_at <= resolved)
        })
        .map(|incident| incident.id))
}

/// Records a phase that cannot be given back: where its cycle is another one's, under an id of its
/// own (see [`apart`]).
pub async fn record_anyway(
    store: &dyn MetricsStore,
    phase: PhaseRecord,
    origin: &str,
) -> Result<Recorded, StoreError> {
    let mut recorded = record(store, phase.clone(), origin).await?;
    let mut conflict = None;
    // A feature and a team can both be others; then the id of its own is free.
    for _ in 0..2 {
        let Some(met) = recorded.conflict.take() else {
            break;
        };
        let again = PhaseRecord {
            cycle_id: apart(&recorded.cycle_id, &met),
            ..phase.clone()
        };
        conflict.get_or_insert(met);
        recorded = record(store, again, origin).await?;
    }
    if recorded.conflict.is_none() {
        recorded.conflict = conflict;
    }
    Ok(recorded)
}

/// The id that a cycle gets when its own is another one's; always the same for the same two.
pub(super) fn apart(cycle_id: &str, conflict: &CycleConflict) -> String {
    format!("{cycle_id}~{}", conflict.given)
}
