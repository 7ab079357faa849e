//! The older tool's file, a piece at a time: a long one is never in memory as a whole.

use std::io::{BufReader, Seek as _};
use std::path::Path;

use atalaya_domain::delivery::PhaseRecord;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{CyclesToRecord, MetricsStore, SourceRun, Written};
use tokio::sync::mpsc;

use super::record::apart;
use super::{FILE_LIMIT, GatherError, add};
use crate::source::sdlc_file::{self, Flag, Flags, Reading};
use crate::text_file;

/// Phases in one transaction: a few thousand small rows, which others wait for less than a second.
const PHASES: usize = 5_000;
/// Pieces read ahead of the store.
const AHEAD: usize = 2;

/// What an import read and changed.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    pub cycles: usize,
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
    while let Some(phases) = waiting.recv().await {
        put(store, phases, &mut outcome).await?;
    }
    let read = reader.await??;
    outcome.cycles = read.cycles;
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
    pieces: &mpsc::Sender<Vec<PhaseRecord>>,
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
    let mut piece: Vec<PhaseRecord> = Vec::new();
    let read = sdlc_file::read(BufReader::new(&file), reading, now, &mut |phases| {
        piece.extend(phases);
        if piece.len() >= PHASES {
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

/// Records a piece; a cycle whose id is another one's is kept under an id of its own, and flagged.
async fn put(
    store: &dyn MetricsStore,
    phases: Vec<PhaseRecord>,
    outcome: &mut ImportOutcome,
) -> Result<(), StoreError> {
    let mut waiting = CyclesToRecord {
        phases,
        origin: sdlc_file::ORIGIN.to_owned(),
    };
    // A feature and a team can both be others; then the id of its own is free.
    for _ in 0..3 {
        let done = store.record_cycles(&waiting).await?;
        add(&mut outcome.phases, done.phases);
        add(&mut outcome.deployments, done.deployments);
        add(&mut outcome.incidents, done.incidents);
        let mut again = Vec::new();
        for conflict in &done.conflicts {
            let renamed = apart(&conflict.cycle_id, conflict);
            outcome.flags.push(Flag {
                place: conflict.cycle_id.clone(),
                message: format!("{conflict}; kept as `{renamed}`"),
            });
            let of_cycle = waiting
                .phases
                .iter()
                .filter(|phase| phase.cycle_id == conflict.cycle_id);
            again.extend(of_cycle.map(|phase| PhaseRecord {
                cycle_id: renamed.clone(),
                ..phase.clone()
            }));
        }
        if again.is_empty() {
            break;
        }
        waiting.phases = again;
    }
    Ok(())
}
