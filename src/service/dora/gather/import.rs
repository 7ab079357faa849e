//! The older tool's file, a piece at a time: a long one is never in memory as a whole.

use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Seek as _};
use std::path::Path;

use atalaya_domain::delivery::PhaseRecord;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{CycleConflict, CyclesToRecord, MetricsStore, SourceRun, Written};
use tokio::sync::mpsc;

use super::record::apart;
use super::{FILE_LIMIT, GatherError};
use crate::source::sdlc_file::{self, Flag, Flags, Reading};
use crate::text_file;

/// Phases in one transaction: a few thousand small rows, which others wait for less than a second.
const PHASES: usize = 5_000;
/// Pieces read ahead of the store.
const AHEAD: usize = 2;
/// How often a cycle is given another id: a feature and a team can both be others; then the id of
/// its own is free, unless somebody took that too.
const RENAMED: usize = 3;

/// The phases of one cycle of the file.
type Phases = Vec<PhaseRecord>;

/// What an import read and changed.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    /// Cycles of the file that are in the store now.
    pub cycles: usize,
    /// Cycles that found no free id; each is flagged.
    pub left_out: usize,
    pub phases: Written,
    pub deployments: Written,
    pub incidents: Written,
    pub flags: Flags,
}

/// Imports a `.dora_sdlc_metrics.json`. What is not JSON to its end is refused before anything is
/// written.
pub async fn import_file(
    store: &dyn MetricsStore,
    path: &Path,
    reading: Reading,
    now: Timestamp,
) -> Result<ImportOutcome, GatherError> {
    let (pieces, mut waiting) = mpsc::channel(AHEAD);
    let named = path.to_path_buf();
    let reader = tokio::task::spawn_blocking(move || read(&named, &reading, now, &pieces));
    let mut outcome = ImportOutcome::default();
    while let Some(cycles) = waiting.recv().await {
        put(store, cycles, &mut outcome).await?;
    }
    let read = reader.await??;
    outcome.cycles = read.cycles.saturating_sub(outcome.left_out);
    outcome.flags.append(read.flags);
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    store
        .put_source(&SourceRun {
            name: format!("{}:{}", sdlc_file::ORIGIN, absolute.display()),
            gives_deployments: true,
            gives_incidents: true,
            synced_at: now,
        })
        .await?;
    Ok(outcome)
}

/// Sends the phases of whole cycles; ends early when nobody takes them any more.
fn read(
    path: &Path,
    reading: &Reading,
    now: Timestamp,
    pieces: &mpsc::Sender<Vec<Phases>>,
) -> Result<sdlc_file::Read, GatherError> {
    let unreadable = |source| GatherError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let wrong = |source| GatherError::File {
        path: path.to_path_buf(),
        source,
    };
    let mut file = text_file::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > FILE_LIMIT {
        return Err(GatherError::TooLarge {
            path: path.to_path_buf(),
            bytes,
        });
    }
    sdlc_file::check(BufReader::new(&file)).map_err(wrong)?;
    file.rewind().map_err(unreadable)?;
    let mut piece: Vec<Phases> = Vec::new();
    let mut phases_in_piece = 0;
    let read = sdlc_file::read(BufReader::new(&file), reading, now, &mut |phases| {
        phases_in_piece += phases.len();
        piece.push(phases);
        if phases_in_piece >= PHASES {
            phases_in_piece = 0;
            // A closed channel means that the store failed, which is told there.
            let _ = pieces.blocking_send(std::mem::take(&mut piece));
        }
    })
    .map_err(wrong)?;
    if !piece.is_empty() {
        let _ = pieces.blocking_send(piece);
    }
    Ok(read)
}

/// A cycle on its way into the store.
struct Waiting {
    /// Under the id that it is to have.
    phases: Phases,
    /// Whose id it had in the file, the first time that it was not its own.
    met: Option<CycleConflict>,
    renamed: usize,
}

/// Records a piece; a cycle whose id is another one's is kept under an id of its own, and flagged.
async fn put(
    store: &dyn MetricsStore,
    cycles: Vec<Phases>,
    outcome: &mut ImportOutcome,
) -> Result<(), StoreError> {
    let mut waiting: Vec<Waiting> = cycles
        .into_iter()
        .map(|phases| Waiting {
            phases,
            met: None,
            renamed: 0,
        })
        .collect();
    while !waiting.is_empty() {
        // An id that the file has twice is recorded twice, one after the other: the second may be
        // another cycle's.
        let mut ids = HashSet::new();
        let (now, later): (Vec<Waiting>, Vec<Waiting>) = waiting
            .into_iter()
            .partition(|cycle| id_of(cycle).is_none_or(|id| ids.insert(id.to_owned())));
        waiting = later;
        let done = store
            .record_cycles(&CyclesToRecord {
                phases: now
                    .iter()
                    .flat_map(|cycle| &cycle.phases)
                    .cloned()
                    .collect(),
                origin: sdlc_file::ORIGIN.to_owned(),
            })
            .await?;
        outcome.phases += done.phases;
        outcome.deployments += done.deployments;
        outcome.incidents += done.incidents;
        let mut conflicts: HashMap<String, CycleConflict> = done
            .conflicts
            .into_iter()
            .map(|conflict| (conflict.cycle_id.clone(), conflict))
            .collect();
        for cycle in now {
            let conflict = id_of(&cycle).and_then(|id| conflicts.remove(id));
            waiting.extend(settle(cycle, conflict, outcome));
        }
    }
    Ok(())
}

fn id_of(cycle: &Waiting) -> Option<&str> {
    cycle.phases.first().map(|phase| phase.cycle_id.as_str())
}

/// What recording a cycle came to: it is there, it is flagged, or it is to be tried again.
fn settle(
    mut cycle: Waiting,
    conflict: Option<CycleConflict>,
    outcome: &mut ImportOutcome,
) -> Option<Waiting> {
    let mut flag = |met: &CycleConflict, end: &str| {
        outcome.flags.push(Flag {
            place: met.cycle_id.clone(),
            message: format!("{met}; {end}"),
        });
    };
    let Some(conflict) = conflict else {
        if let (Some(met), Some(id)) = (&cycle.met, id_of(&cycle)) {
            flag(met, &format!("kept as `{id}`"));
        }
        return None;
    };
    let renamed = apart(&conflict.cycle_id, &conflict);
    let met = cycle.met.get_or_insert(conflict);
    if cycle.renamed == RENAMED {
        flag(met, "left out, as every other id for it is taken too");
        outcome.left_out += 1;
        return None;
    }
    cycle.renamed += 1;
    for phase in &mut cycle.phases {
        phase.cycle_id.clone_from(&renamed);
    }
    Some(cycle)
}
