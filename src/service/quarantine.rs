//! Records that a store refused for good: what is set aside, and sending it once more when the
//! reason may be gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::describe;
use crate::config::Settings;
use atalaya_ingest::spool::quarantine::{self, Folder, Kept};
use atalaya_store::engine::LogEngine;
use atalaya_store::error::StoreError;
use atalaya_store::quarantine::Quarantine;

use super::stores::open_logs_at;

/// Where a data directory keeps them.
pub fn folder(data_dir: &Path) -> PathBuf {
    quarantine::folder(&data_dir.join("ingest").join("spool"))
}

/// What a server store sets records aside in.
pub(super) fn keeper(settings: &Settings) -> Arc<dyn Quarantine> {
    Arc::new(Folder::new(folder(&settings.data_dir), Folder::MOST_BYTES))
}

/// What became of one that was sent again.
#[derive(Debug)]
pub struct Retried {
    pub id: String,
    /// Records stored, or why they stay where they are.
    pub outcome: Result<u64, String>,
}

/// Everything that is set aside, oldest first. Blocks.
pub fn list(settings: &Settings) -> std::io::Result<Vec<Kept>> {
    let folder = folder(&settings.data_dir);
    let mut kept = quarantine::ids(&folder)?
        .iter()
        .map(|id| quarantine::open(&folder, id))
        .collect::<std::io::Result<Vec<_>>>()?;
    kept.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    Ok(kept)
}

/// One of them. Blocks.
pub fn open(settings: &Settings, id: &str) -> std::io::Result<Kept> {
    quarantine::open(&folder(&settings.data_dir), id)
}

/// Sends them to the store, one by one; each leaves the quarantine when the store has acknowledged
/// it. One that was stored before is the same record again, and changes nothing.
pub async fn retry(settings: &Settings, ids: &[String]) -> Result<Vec<Retried>, StoreError> {
    // Without a quarantine of its own, so that one that is refused again is refused to us.
    let store = open_logs_at(&settings.logs_place, &settings.logs_database()).await?;
    let engine = LogEngine::new(store);
    let folder = folder(&settings.data_dir);
    let mut retried = Vec::with_capacity(ids.len());
    for id in ids {
        let outcome = match retry_one(&engine, &folder, id).await {
            Ok(records) => Ok(records),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => Err(describe(&error)),
        };
        retried.push(Retried {
            id: id.clone(),
            outcome,
        });
    }
    Ok(retried)
}

async fn retry_one(engine: &LogEngine, folder: &Path, id: &str) -> Result<u64, StoreError> {
    let (place, name) = (folder.to_path_buf(), id.to_owned());
    let kept = blocking(move || quarantine::open(&place, &name)).await?;
    let frames = kept.frames.map_err(unusable)?;
    let records = engine.append(&frames).await?;
    let (place, name) = (folder.to_path_buf(), id.to_owned());
    blocking(move || quarantine::remove(&place, &name)).await?;
    Ok(records)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
    done.map_err(|error| unusable(error.to_string()))
}

fn unusable(detail: String) -> StoreError {
    StoreError::Corrupt {
        table: "the quarantine",
        detail,
    }
}
