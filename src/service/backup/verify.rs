//! Reads a backup again, with everything that it builds on: every byte, every row, every record.

use std::path::Path;

use super::buckets::{self, States};
use super::chain::{Chain, is_of_a_link};
use super::place::Place;
use super::scratch::Scratch;
use super::{BackupError, Work, blocking, folder_error};
use crate::config::Settings;
use atalaya_domain::backup::{BackupRecord, LOGS, LogsSum, METRICS, MetricsFacts};
use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{MetricsStore, snapshot};
use atalaya_store::sqlite::chunks::{SqliteChunkStore, examine};

/// A backup that is right.
#[derive(Clone, Debug)]
pub struct Verified {
    pub record: BackupRecord,
    /// Read for it: itself, and what it builds on.
    pub archives: usize,
}

/// Verifies, and remembers the outcome in `metrics` when there is one.
pub async fn verify(
    settings: &Settings,
    place: &Place,
    path: &Path,
    metrics: Option<&dyn MetricsStore>,
    work: &Work,
) -> Result<Verified, BackupError> {
    let outcome = read_again(settings, place, path, work).await;
    let Some(metrics) = metrics else {
        return outcome;
    };
    match &outcome {
        Ok(verified) => {
            metrics.put_backup(&verified.record).await?;
        }
        Err(error) if error.is_of_the_archive() => {
            let name = path.file_name().and_then(|name| name.to_str());
            let known = metrics.backups().await?.into_iter().find(|record| {
                name.is_some_and(|name| {
                    name.strip_prefix(&record.name)
                        .is_some_and(|rest| rest.starts_with('.'))
                })
            });
            if let Some(record) = known {
                let problem = Some(crate::service::describe(error));
                metrics
                    .put_backup(&BackupRecord {
                        verified_at: None,
                        problem,
                        ..record
                    })
                    .await?;
            }
        }
        Err(_) => {}
    }
    outcome
}

async fn read_again(
    settings: &Settings,
    place: &Place,
    path: &Path,
    work: &Work,
) -> Result<Verified, BackupError> {
    let chain = Chain::checked(path, &place.identities, work).await?;
    let scratch = scratch_for(settings, path).await?;
    let last = chain.archives.len() - 1;
    let mut states = States::new();
    // The last one first, as it says where each bucket is.
    for at in (0..=last).rev() {
        let folder = scratch.path().join(at.to_string());
        if at == last {
            chain.unpack(at, &folder, |_| true, work).await?;
            states = chain.states(&folder).await?;
            check_metrics(&chain, &folder).await?;
        } else {
            chain.unpack(at, &folder, is_of_a_link, work).await?;
        }
        check_logs(&chain, at, &folder, &states, work).await?;
        let done = folder.clone();
        blocking(move || std::fs::remove_dir_all(&done).map_err(folder_error(&done))).await?;
    }
    let checked = chain.last();
    let manifest = &checked.manifest;
    Ok(Verified {
        archives: chain.archives.len(),
        record: BackupRecord {
            name: manifest.name.clone(),
            created_at: manifest.created_at,
            host: manifest.host.clone(),
            seal: checked.seal.clone(),
            bytes: checked.bytes,
            records: manifest.logs.as_ref().map_or(0, |logs| logs.total.records),
            rows: manifest.metrics.as_ref().map_or(0, MetricsFacts::rows),
            base: manifest.chain.last().map(|link| link.name.clone()),
            verified_at: Some(Timestamp::now()),
            problem: None,
        },
    })
}

/// Beside the archive, or in the data directory where that is on a disk that is only read.
pub(super) async fn scratch_for(settings: &Settings, path: &Path) -> Result<Scratch, BackupError> {
    let beside = path.parent().unwrap_or(Path::new(".")).to_owned();
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".").to_owned()
    } else {
        beside
    };
    let own = settings.data_dir.join("backup-work");
    blocking(move || {
        Scratch::new(&beside)
            .or_else(|_| Scratch::new(&own))
            .map_err(folder_error(&own))
    })
    .await
}

/// The schema, and rows and sum of each table.
pub(super) async fn check_metrics(chain: &Chain, folder: &Path) -> Result<(), BackupError> {
    let Some(facts) = &chain.manifest().metrics else {
        return Ok(());
    };
    let file = folder.join(METRICS);
    let examined = snapshot::examine(&file).await?;
    if (examined.version, &examined.hash) != (facts.schema, &facts.schema_hash) {
        return Err(BackupError::wrong(
            chain.name(),
            "the schema of its metrics is not what its manifest says",
        ));
    }
    let found = snapshot::table_sums(&file).await?;
    if let Some(wrong) = differing(&facts.tables, &found) {
        return Err(BackupError::wrong(
            chain.name(),
            format!("rows of {wrong} are not what its manifest says"),
        ));
    }
    Ok(())
}

/// The first table in which two lists differ.
pub(super) fn differing(
    expected: &[atalaya_domain::backup::TableSum],
    found: &[atalaya_domain::backup::TableSum],
) -> Option<String> {
    let missing = expected.iter().find(|table| !found.contains(table));
    let more = found.iter().find(|table| !expected.contains(table));
    missing.or(more).map(|table| table.table.clone())
}

/// Every record of one archive, against its own manifest and the last one's list.
async fn check_logs(
    chain: &Chain,
    at: usize,
    folder: &Path,
    states: &States,
    work: &Work,
) -> Result<(), BackupError> {
    let manifest = &chain.archives[at].1.manifest;
    let Some(facts) = &manifest.logs else {
        return Ok(());
    };
    let file = folder.join(LOGS);
    examine(&file).await?;
    let store = SqliteChunkStore::open(&file).await?;
    let found = buckets::scan(&store, facts.own.records, work).await;
    store.close().await;
    let found = found?;
    if LogsSum::of(found.values()) != facts.own {
        return Err(BackupError::wrong(
            &manifest.name,
            "its records are not what its manifest says",
        ));
    }
    let expected = states.values().filter(|state| state.link as usize == at);
    for state in expected {
        let there = found.get(&state.bucket);
        let same = there.is_some_and(|there| {
            (there.chunks, there.records, there.keys, there.sum)
                == (state.chunks, state.records, state.keys, state.sum)
        });
        if !same {
            return Err(BackupError::wrong(
                chain.name(),
                format!(
                    "records of {} are not in {}",
                    state.bucket.start.to_rfc3339(),
                    manifest.name
                ),
            ));
        }
    }
    Ok(())
}
