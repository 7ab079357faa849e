//! Tries a restore out, into a folder that is thrown away, and keeps how long it took and how much
//! would have been lost.

use std::path::Path;
use std::time::Instant;

use super::place::Place;
use super::restore::{Goal, restore};
use super::verify::scratch_for;
use super::{BackupError, Work};
use crate::config::Settings;
use crate::service::describe;
use atalaya_domain::backup::{ArchiveName, DrillRecord};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::MetricsStore;

/// Restores the archive at `path` and remembers the figures; a restore that fails is a figure too.
pub async fn drill(
    settings: &Settings,
    place: &Place,
    path: &Path,
    metrics: &dyn MetricsStore,
    work: &Work,
) -> Result<DrillRecord, BackupError> {
    let at = Timestamp::now();
    let begun = Instant::now();
    let name = path.file_name().and_then(|name| name.to_str());
    let archive: Option<ArchiveName> = name.and_then(|name| name.parse().ok());
    let scratch = scratch_for(settings, path).await?;
    let goal = Goal::Folder(scratch.path().join("restored"));
    let outcome = restore(settings, place, path, &goal, false, work).await;
    if let Err(BackupError::Cancelled) = outcome {
        return Err(BackupError::Cancelled);
    }
    let rto = begun.elapsed();
    let record = DrillRecord {
        at,
        backup: archive
            .as_ref()
            .map_or_else(String::new, |archive| archive.name.clone()),
        rto_ms: u64::try_from(rto.as_millis()).unwrap_or(u64::MAX),
        rpo_seconds: archive.map_or(0, |archive| at.since(archive.created_at()).as_secs()),
        records: outcome.as_ref().map_or(0, |restored| restored.records),
        rows: outcome.as_ref().map_or(0, |restored| restored.rows),
        problem: outcome.err().map(|error| describe(&error)),
    };
    metrics.put_drill(&record).await?;
    Ok(record)
}
