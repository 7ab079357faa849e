//! Which backups go, and how far one can rely on those that stay.

use std::fs::{self, File};

use super::place::{Listed, Place, list};
use super::{BackupError, blocking, folder_error};
use crate::config::Settings;
use atalaya_domain::backup::rotation::expired;
use atalaya_domain::backup::{BackupRecord, Kept, Trust};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// Deletes what `[backup.keep]` does not keep; returns the names.
pub async fn rotate(
    settings: &Settings,
    place: &Place,
    metrics: &dyn MetricsStore,
) -> Result<Vec<String>, BackupError> {
    let listed = list(place, Some(metrics)).await?;
    let kept: Vec<Kept> = listed.iter().map(kept_of).collect();
    let gone = expired(&kept, settings.backup.keep, Timestamp::now());
    for name in &gone {
        for archive in listed.iter().filter(|archive| archive.name.name == *name) {
            let path = archive.path.clone();
            blocking(move || fs::remove_file(&path).map_err(folder_error(&path))).await?;
        }
        metrics.forget_backup(name).await?;
    }
    if !gone.is_empty() {
        let dir = place.dir.clone();
        blocking(move || {
            let synced = File::open(&dir).and_then(|folder| folder.sync_all());
            synced.map_err(folder_error(&dir))
        })
        .await?;
    }
    Ok(gone)
}

fn kept_of(listed: &Listed) -> Kept {
    let is_right = |record: &BackupRecord| record.verified_at.is_some() && record.problem.is_none();
    Kept {
        name: listed.name.name.clone(),
        created_at: listed.name.created_at(),
        verified: listed.record.as_ref().is_some_and(is_right),
        bases: listed.manifest.as_ref().map_or_else(
            |_| Vec::new(),
            |manifest| {
                manifest
                    .chain
                    .iter()
                    .map(|link| link.name.clone())
                    .collect()
            },
        ),
        // Encrypted for somebody else, or damaged.
        unknown: listed.manifest.is_err(),
    }
}

/// What the metrics store remembers of backups.
pub async fn trust(metrics: &dyn MetricsStore) -> Result<Trust, StoreError> {
    let backups = metrics.backups().await?;
    let is_right =
        |record: &&BackupRecord| record.verified_at.is_some() && record.problem.is_none();
    Ok(Trust {
        verified: backups.iter().find(is_right).cloned(),
        newest: backups.into_iter().next(),
        drill: metrics.drills(1).await?.into_iter().next(),
    })
}
