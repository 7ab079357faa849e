//! Makes a backup: the metrics as one transaction sees them, the buckets of logs that changed since
//! the base, the configuration and what is in quarantine; then one archive, under its final name
//! only when it is whole and on the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{RenameFlags, renameat_with};

use super::buckets::{self, States};
use super::place::Place;
use super::scratch::Scratch;
use super::{BackupError, Stage, Work, blocking, folder_error};
use crate::config::Settings;
use crate::service::copy::logs::{self, LogsWritten};
use crate::service::{health, quarantine};
use atalaya_archive as archive;
use atalaya_domain::backup::{
    ArchiveName, BUCKETS, BackupRecord, CONFIGURATION, FORMAT, LOGS, Link, LogsFacts, LogsSum,
    METRICS, MOST_LINKS, Manifest, MetricsFacts, QUARANTINE,
};
use atalaya_domain::time::Timestamp;
use atalaya_store::chunks::ChunkStore;
use atalaya_store::metrics::{MetricsStore, snapshot};
use atalaya_store::sqlite::chunks::SqliteChunkStore;
use atalaya_store::view::View;

const DAY: Duration = Duration::from_secs(86_400);

/// What is asked of a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// It builds on none before it.
    pub whole: bool,
}

/// A backup that was made; nobody has verified it yet.
#[derive(Clone, Debug)]
pub struct Created {
    pub path: PathBuf,
    pub manifest: Manifest,
    pub record: BackupRecord,
}

/// Makes one out of these stores. What is found at its start is in it.
pub async fn create(
    settings: &Settings,
    place: &Place,
    logs: Arc<dyn ChunkStore>,
    metrics: Arc<dyn MetricsStore>,
    wishes: Wishes,
    work: &Work,
) -> Result<Created, BackupError> {
    let dir = place.dir.clone();
    let (_one_at_a_time, scratch) = blocking(move || {
        let scratch = Scratch::new(&dir).map_err(folder_error(&dir))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(".create.lock"))
            .map_err(folder_error(&dir))?;
        match lock.try_lock() {
            Ok(()) => Ok((lock, scratch)),
            Err(fs::TryLockError::WouldBlock) => Err(BackupError::Busy { path: dir }),
            Err(fs::TryLockError::Error(error)) => Err(folder_error(&dir)(error)),
        }
    })
    .await?;
    let staging = scratch.path().join("parts");
    fs::create_dir(&staging).map_err(folder_error(&staging))?;
    let name = free_name(place, settings);
    let base = if wishes.whole {
        None
    } else {
        base_of(settings, place, &*logs, &*metrics, &name, &staging).await?
    };

    let (metrics_facts, mut left_out) = take_metrics(&*metrics, &staging).await?;
    work.go_on()?;
    let (logs_facts, chain) =
        take_logs(settings, logs, base, &staging, scratch.path(), work).await?;
    let quarantined = take_files(settings, &staging).await?;
    left_out.extend(foreign_logs(settings));
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        name: name.name.clone(),
        created_at: name.created_at(),
        host: health::host_name(),
        chain,
        metrics: Some(metrics_facts),
        logs: Some(logs_facts),
        parts: Vec::new(),
        left_out,
    };
    pack(place, name, manifest, quarantined, staging, scratch, work).await
}

/// A name that no archive has; an instant later when somebody just made one.
fn free_name(place: &Place, settings: &Settings) -> ArchiveName {
    let taken = place.archives().unwrap_or_default();
    let mut at = Timestamp::now();
    loop {
        let name = ArchiveName::new(
            at,
            settings.backup.compression,
            !place.recipients.is_empty(),
        );
        if taken.iter().all(|(taken, _)| taken.name != name.name) {
            return name;
        }
        at = at.saturating_add(Duration::from_secs(1));
    }
}

/// What the next backup builds on: the archives, and where every bucket is in them.
struct Base {
    chain: Vec<Link>,
    states: States,
}

/// The newest backup that was found right and is of the same store; `None`: the next is whole.
async fn base_of(
    settings: &Settings,
    place: &Place,
    logs: &dyn ChunkStore,
    metrics: &dyn MetricsStore,
    name: &ArchiveName,
    staging: &Path,
) -> Result<Option<Base>, BackupError> {
    if settings.backup.whole_every_days == 0 {
        return Ok(None);
    }
    let records = metrics.backups().await?;
    let (place, into, before) = (place.clone(), staging.join("base"), name.created_at());
    let store = store_name(logs);
    let minutes = logs.settings().bucket_minutes;
    let oldest = Timestamp::now().saturating_sub(DAY * settings.backup.whole_every_days);
    blocking(move || {
        let archives = place.archives()?;
        let there = |name: &str| archives.iter().find(|(known, _)| known.name == name);
        // Other hosts may keep theirs elsewhere.
        let right = records.into_iter().find_map(|record| {
            let is_right = record.verified_at.is_some() && record.problem.is_none();
            // After a clock that was set back, none is older than the new one.
            let (_, path) =
                there(&record.name).filter(|(known, _)| is_right && known.created_at() < before)?;
            Some((record, path))
        });
        let Some((record, path)) = right else {
            return Ok(None);
        };
        fs::create_dir(&into).map_err(folder_error(&into))?;
        let Ok(manifest) = archive::first_part(path, &place.identities, BUCKETS, &into) else {
            return Ok(None);
        };
        let first = manifest
            .chain
            .first()
            .map_or(&manifest.name, |link| &link.name);
        let first_at = there(first).map(|(name, _)| name.created_at());
        let usable = manifest
            .logs
            .as_ref()
            .is_some_and(|logs| logs.store == store && logs.bucket_minutes == minutes)
            && manifest
                .chain
                .iter()
                .all(|link| there(&link.name).is_some())
            && manifest.chain.len() + 1 < MOST_LINKS
            && first_at.is_some_and(|at| at > oldest);
        if !usable {
            return Ok(None);
        }
        let states = buckets::read(&into, &manifest.name, manifest.chain.len())?;
        fs::remove_dir_all(&into).map_err(folder_error(&into))?;
        let mut chain = manifest.chain;
        chain.push(Link {
            name: record.name,
            seal: record.seal,
        });
        Ok(Some(Base { chain, states }))
    })
    .await
}

fn store_name(store: &dyn ChunkStore) -> String {
    format!("{} {}", store.backend(), store.address())
}

async fn take_metrics(
    metrics: &dyn MetricsStore,
    staging: &Path,
) -> Result<(MetricsFacts, Vec<String>), BackupError> {
    let file = staging.join(METRICS);
    let foreign = metrics.snapshot(&file).await?;
    let examined = snapshot::examine(&file).await?;
    let facts = MetricsFacts {
        store: format!("{} {}", metrics.backend(), metrics.address()),
        schema: examined.version,
        schema_hash: examined.hash,
        tables: snapshot::table_sums(&file).await?,
    };
    let left_out = foreign
        .into_iter()
        .map(|name| format!("`{name}` of the metrics database is not this program's"))
        .collect();
    Ok((facts, left_out))
}

/// Copies the buckets that changed, and reads again what was written.
async fn take_logs(
    settings: &Settings,
    logs: Arc<dyn ChunkStore>,
    base: Option<Base>,
    staging: &Path,
    scratch: &Path,
    work: &Work,
) -> Result<(LogsFacts, Vec<Link>), BackupError> {
    let days = settings.backup.window_days;
    let from = Timestamp::now().saturating_sub(DAY * days);
    let (chain, known) = match base {
        Some(base) => (base.chain, base.states),
        None => (Vec::new(), States::new()),
    };
    let found = buckets::prints(&*logs, from, work).await?;
    let mut states = States::new();
    let mut changed = BTreeMap::new();
    let mut records = 0;
    for (bucket, print) in found {
        match known.get(&bucket) {
            Some(state) if (state.keys, state.chunks) == (print.keys, print.chunks) => {
                states.insert(bucket, state.clone());
            }
            _ => {
                records += print.records;
                changed.insert(bucket, 0);
            }
        }
    }
    let store = store_name(&*logs);
    let own = logs.settings();
    let part = Arc::new(SqliteChunkStore::with_settings(&staging.join(LOGS), own).await?);
    let view = Arc::new(View::new(vec![logs], changed, store.clone(), records));
    let filled = fill(view, &part, scratch, work).await;
    // Also after an error: the folder that it is in is taken away next.
    part.close().await;
    let (written, scanned) = filled?;
    let own_sum = LogsSum::of(scanned.values());
    let read = format!("{:032x}", written.records.sum);
    if (own_sum.records, &own_sum.sum) != (written.records.count, &read) {
        return Err(BackupError::wrong(
            "the new backup",
            format!(
                "{} records were read from {store} and {} are in it",
                written.records.count, own_sum.records
            ),
        ));
    }
    let link = u32::try_from(chain.len()).unwrap_or(u32::MAX);
    states.extend(scanned.into_iter().map(|(bucket, mut state)| {
        state.link = link;
        (bucket, state)
    }));
    let facts = LogsFacts {
        store,
        bucket_minutes: own.bucket_minutes,
        from,
        total: LogsSum::of(states.values()),
        own: own_sum,
    };
    let staging = staging.to_owned();
    blocking(move || buckets::write(&staging, &states)).await?;
    Ok((facts, chain))
}

/// Copies what `view` shows into `part`, and reads it again there.
async fn fill(
    view: Arc<View>,
    part: &Arc<SqliteChunkStore>,
    scratch: &Path,
    work: &Work,
) -> Result<(LogsWritten, States), BackupError> {
    let written = logs::write(
        view,
        Arc::clone(part) as Arc<dyn ChunkStore>,
        &scratch.join("copies"),
        &work.cancel,
        &work.records(),
    )
    .await?;
    let scanned = buckets::scan(&**part, written.records.count, work).await?;
    Ok((written, scanned))
}

/// The configuration without secrets, and what is set aside; returns the names of the latter.
async fn take_files(settings: &Settings, staging: &Path) -> Result<Vec<String>, BackupError> {
    let text = toml::to_string(&settings.in_force()).unwrap_or_default();
    let aside = quarantine::folder(&settings.data_dir);
    let staging = staging.to_owned();
    blocking(move || {
        let path = staging.join(CONFIGURATION);
        fs::write(&path, text).map_err(folder_error(&path))?;
        let mut names = Vec::new();
        for id in atalaya_ingest::spool::quarantine::ids(&aside).map_err(folder_error(&aside))? {
            for kind in ["group", "reason.txt"] {
                let file = format!("{id}.{kind}");
                let name = format!("{QUARANTINE}{file}");
                let to = staging.join(&name);
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder).map_err(folder_error(folder))?;
                }
                match fs::copy(aside.join(&file), &to) {
                    Ok(_) => names.push(name),
                    // Sent again meanwhile, or not yet complete.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(folder_error(&to)(error)),
                }
            }
        }
        names.sort();
        Ok(names)
    })
    .await
}

fn foreign_logs(settings: &Settings) -> Option<String> {
    let crate::config::LogsPlace::Cassandra(place) = &settings.logs_place else {
        return None;
    };
    let count = place.foreign.len();
    (count > 0).then(|| format!("{count} tables of others that are shown beside the logs; `atalaya db adopt` takes them along"))
}

async fn pack(
    place: &Place,
    name: ArchiveName,
    mut manifest: Manifest,
    quarantined: Vec<String>,
    staging: PathBuf,
    scratch: Scratch,
    work: &Work,
) -> Result<Created, BackupError> {
    let (place, work) = (place.clone(), work.clone());
    blocking(move || {
        let names = [BUCKETS, CONFIGURATION, METRICS, LOGS].map(str::to_owned);
        for part in names.into_iter().chain(quarantined) {
            manifest.parts.push(archive::part_of(&staging, &part)?);
        }
        let total = manifest.parts.iter().map(|part| part.bytes).sum();
        let partial = scratch.path().join(name.to_string());
        let failed = folder_error(&partial);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&partial)
            .map_err(&failed)?;
        // The mask of this process is narrower; wider than this it never was.
        file.set_permissions(fs::Permissions::from_mode(0o640))
            .map_err(&failed)?;
        let seal = archive::write(
            (file, &partial),
            &name,
            &place.recipients,
            &manifest,
            &staging,
            &work.bytes(Stage::Packing, total),
        )?;
        let path = place.dir.join(name.to_string());
        let bytes = fs::metadata(&partial).map_err(&failed)?.len();
        publish(&partial, &path)?;
        let record = BackupRecord {
            name: name.name,
            created_at: manifest.created_at,
            host: manifest.host.clone(),
            seal,
            bytes,
            records: manifest.logs.as_ref().map_or(0, |logs| logs.total.records),
            rows: manifest.metrics.as_ref().map_or(0, MetricsFacts::rows),
            base: manifest.chain.last().map(|link| link.name.clone()),
            verified_at: None,
            problem: None,
        };
        drop(scratch);
        Ok(Created {
            path,
            manifest,
            record,
        })
    })
    .await
}

/// Gives a synced file its final name, which nobody has, durably.
fn publish(partial: &Path, path: &Path) -> Result<(), BackupError> {
    let failed = folder_error(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    renameat_with(
        rustix::fs::CWD,
        partial,
        rustix::fs::CWD,
        path,
        RenameFlags::NOREPLACE,
    )
    .map_err(io::Error::from)
    .and_then(|()| File::open(folder)?.sync_all())
    .map_err(failed)
}
