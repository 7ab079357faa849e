//! A phase that comes from a program, which may send it again: recorded once, and said so.

use super::record::{RUN_ID, record};
use atalaya_domain::delivery::PhaseRecord;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{CycleConflict, MetricsStore};

/// What became of a phase; always with the row as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Posted {
    New(PhaseRecord),
    /// The same run was recorded before.
    Known(PhaseRecord),
    /// Without a run of its own it is, to the last detail, one that is recorded.
    Duplicate(PhaseRecord),
    /// The cycle is another feature's or team's; nothing was recorded.
    Conflict(CycleConflict),
}

/// Records a phase, attempt 0 as the next one. Of several at once on one cycle each must wait for the
/// one before.
///
/// # Errors
/// Those of the store.
pub async fn post(
    store: &dyn MetricsStore,
    phase: PhaseRecord,
    origin: &str,
) -> Result<Posted, StoreError> {
    let cycle = store.cycle(&phase.cycle_id).await?;
    let tried = cycle.into_iter().flat_map(|cycle| cycle.phases);
    let run = phase.text(RUN_ID);
    for known in tried.filter(|known| known.phase == phase.phase) {
        if run.is_some() && known.text(RUN_ID) == run {
            return Ok(Posted::Known(known));
        }
        if run.is_none() && is_same(&known, &phase) || known.attempt == phase.attempt {
            return Ok(Posted::Duplicate(known));
        }
    }
    let recorded = record(store, phase.clone(), origin).await?;
    let row = PhaseRecord {
        attempt: recorded.attempt,
        ..phase
    };
    Ok(match recorded.conflict {
        Some(conflict) => Posted::Conflict(conflict),
        None => Posted::New(row),
    })
}

/// Whether nothing but the time tells them apart.
fn is_same(known: &PhaseRecord, phase: &PhaseRecord) -> bool {
    known.feature_id == phase.feature_id
        && known.decision == phase.decision
        && known.duration == phase.duration
        && known.metadata == phase.metadata
}
