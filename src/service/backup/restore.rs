//! Restores a backup: into a new data directory, or into the stores that are configured.
//!
//! Everything is read and checked first; then it is built under another name, compared, and put in
//! its place at once. What was there before is kept aside until somebody removes it. A restore that
//! was ended goes on where it was when it is run again.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::buckets::States;
use super::chain::{Chain, is_of_a_link};
use super::place::Place;
use super::verify::{check_metrics, differing};
use super::{BackupError, Work, blocking, folder_error};
use crate::config::{LogsPlace, MetricsPlace, Settings};
use crate::service::copy::logs::LogsCompared;
use crate::service::{copy, quarantine, stores};
use atalaya_domain::backup::{CONFIGURATION, METRICS, MetricsFacts, QUARANTINE};
use atalaya_domain::record::Layer;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::{ChunkStore, Order};
use atalaya_store::metrics::{Snapshots as _, snapshot};
use atalaya_store::mysql::MySqlMetricsStore;
use atalaya_store::mysql::snapshot::Overwrite;
use atalaya_store::sqlite::chunks::SqliteChunkStore;
use atalaya_store::sqlite::metrics::SqliteMetricsStore;

/// Where a backup is restored to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A data directory: with it, `atalaya --data-dir DIR` shows what was backed up.
    Folder(PathBuf),
    /// The stores of `[stores]`; what is embedded, in the data directory.
    Configured,
}

/// What was restored; both sides were compared and are equal.
#[derive(Clone, Debug)]
pub struct Restored {
    pub name: String,
    pub records: u64,
    /// Too old for the log store, which keeps none so long.
    pub expired: u64,
    pub rows: u64,
    /// An earlier run had begun it.
    pub resumed: bool,
    /// What was there before, kept aside.
    pub kept: Vec<PathBuf>,
}

/// Restores the archive at `path`. `force`: what is there already is replaced.
pub async fn restore(
    settings: &Settings,
    place: &Place,
    path: &Path,
    goal: &Goal,
    force: bool,
    work: &Work,
) -> Result<Restored, BackupError> {
    let chain = Chain::checked(path, &place.identities, work).await?;
    match goal {
        Goal::Folder(folder) => into_folder(&chain, folder, force, work).await,
        Goal::Configured => configured(settings, &chain, force, work).await,
    }
}

/// A folder of work that a later run finds again. `.ready` in it says that the archives were
/// unpacked, and of which backup.
struct Bench {
    path: PathBuf,
    resumed: bool,
    _held: File,
}

impl Bench {
    async fn open(path: PathBuf, chain: &Chain) -> Result<Self, BackupError> {
        let seal = chain.last().seal.clone();
        blocking(move || {
            let failed = folder_error(&path);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(&failed)?;
            let held = File::open(&path).map_err(&failed)?;
            match held.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Err(BackupError::Busy { path }),
                Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
            let resumed = fs::read_to_string(path.join(".ready")).is_ok_and(|known| known == seal);
            if !resumed {
                for entry in fs::read_dir(&path).map_err(&failed)? {
                    let entry = entry.map_err(&failed)?;
                    let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    let removed = if folder {
                        fs::remove_dir_all(entry.path())
                    } else {
                        fs::remove_file(entry.path())
                    };
                    removed.map_err(&failed)?;
                }
            }
            Ok(Self {
                path,
                resumed,
                _held: held,
            })
        })
        .await
    }

    fn unpacked(&self, chain: &Chain) -> Vec<PathBuf> {
        (0..chain.archives.len())
            .map(|at| self.path.join("unpacked").join(at.to_string()))
            .collect()
    }

    fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Unpacks what was not yet, and opens it.
    async fn source(
        &self,
        chain: &Chain,
        work: &Work,
    ) -> Result<(Arc<dyn ChunkStore>, States), BackupError> {
        let folders = self.unpacked(chain);
        let last = folders.len() - 1;
        if !self.resumed {
            for (at, folder) in folders.iter().enumerate() {
                if at == last {
                    chain.unpack(at, folder, |_| true, work).await?;
                } else {
                    chain.unpack(at, folder, is_of_a_link, work).await?;
                }
            }
            check_metrics(chain, &folders[last]).await?;
            let (ready, seal) = (self.path.join(".ready"), chain.last().seal.clone());
            blocking(move || fs::write(&ready, seal).map_err(folder_error(&ready))).await?;
        }
        let states = chain.states(&folders[last]).await?;
        let view = chain.view(&folders, &states).await?;
        Ok((view, states))
    }

    async fn remove(self) -> Result<(), BackupError> {
        let path = self.path.clone();
        blocking(move || fs::remove_dir_all(&path).map_err(folder_error(&path))).await
    }
}

async fn into_folder(
    chain: &Chain,
    folder: &Path,
    force: bool,
    work: &Work,
) -> Result<Restored, BackupError> {
    if !force && is_occupied(folder)? {
        return Err(BackupError::Occupied {
            target: folder.display().to_string(),
        });
    }
    let bench = Bench::open(beside(folder, ".restoring"), chain).await?;
    let (view, states) = bench.source(chain, work).await?;
    let store = bench.store();
    let (expired, _) = embedded_logs(chain, view, &states, &bench, work).await?;
    embedded_metrics(chain, &bench).await?;
    let from = bench.unpacked(chain).pop().unwrap_or_default();
    let to = store.clone();
    let names: Vec<String> = chain
        .manifest()
        .parts
        .iter()
        .map(|part| part.name.clone())
        .collect();
    blocking(move || {
        copy_quarantine(&from, &names, &to)?;
        let (config, target) = (from.join(CONFIGURATION), to.join("config.restored.toml"));
        if config.exists() {
            fs::copy(&config, &target).map_err(folder_error(&target))?;
        }
        sync_all(&to).map_err(folder_error(&to))
    })
    .await?;
    work.go_on()?;
    let (target, resumed) = (folder.to_owned(), bench.resumed);
    let kept = blocking(move || swap(&store, &target)).await?;
    bench.remove().await?;
    Ok(done(chain, expired, resumed, kept.into_iter().collect()))
}

fn done(chain: &Chain, expired: u64, resumed: bool, kept: Vec<PathBuf>) -> Restored {
    let manifest = chain.manifest();
    let records = manifest.logs.as_ref().map_or(0, |logs| logs.total.records);
    Restored {
        name: manifest.name.clone(),
        records: records - expired.min(records),
        expired,
        rows: manifest.metrics.as_ref().map_or(0, MetricsFacts::rows),
        resumed,
        kept,
    }
}

/// Builds `logs.db` on the bench, and compares it. Returns how many records were left out as too
/// old, and where it is.
async fn embedded_logs(
    chain: &Chain,
    view: Arc<dyn ChunkStore>,
    states: &States,
    bench: &Bench,
    work: &Work,
) -> Result<(u64, PathBuf), BackupError> {
    let file = bench.store().join("logs.db");
    if chain.manifest().logs.is_none() {
        return Ok((0, file));
    }
    let to = Arc::new(SqliteChunkStore::with_settings(&file, view.settings()).await?);
    let target = Arc::clone(&to) as Arc<dyn ChunkStore>;
    let copied = copy_logs(chain, view, target, states, &bench.path, work).await;
    to.close().await;
    Ok((copied?, file))
}

/// Copies and compares; what differs is an error.
async fn copy_logs(
    chain: &Chain,
    from: Arc<dyn ChunkStore>,
    to: Arc<dyn ChunkStore>,
    states: &States,
    bench: &Path,
    work: &Work,
) -> Result<u64, BackupError> {
    let folder = bench.join("copies");
    let copied = copy::logs::copy(from, to, &folder, &work.cancel, &work.records()).await?;
    let compared = copied.compared;
    let expected: u64 = states.values().map(|state| state.records).sum();
    let sum = format!("{:032x}", compared.records_from.sum);
    let all = chain.manifest().logs.as_ref().is_none_or(|logs| {
        compared.expired > 0 || (logs.total.records, &logs.total.sum) == (expected, &sum)
    });
    if !compared.is_equal() || !all || compared.records_from.count + compared.expired != expected {
        return Err(BackupError::wrong(
            chain.name(),
            in_words(&compared, expected),
        ));
    }
    Ok(compared.expired)
}

fn in_words(compared: &LogsCompared, expected: u64) -> String {
    format!(
        "{} of {expected} records are in the store after the restore, {} chunks, {} ids and {} origins are missing",
        compared.records_to.count,
        compared.missing,
        compared.requests_missing,
        compared.origins_behind
    )
}

/// Puts `metrics.db` on the bench, of this program's version. Its rows were compared when it was
/// unpacked.
async fn embedded_metrics(chain: &Chain, bench: &Bench) -> Result<PathBuf, BackupError> {
    let file = bench.store().join("metrics.db");
    if chain.manifest().metrics.is_none() {
        return Ok(file);
    }
    let from = bench
        .unpacked(chain)
        .pop()
        .unwrap_or_default()
        .join(METRICS);
    let to = file.clone();
    blocking(move || {
        let failed = folder_error(&to);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(&failed)?;
        }
        for suffix in ["-wal", "-shm"] {
            remove_if_there(&with_suffix(&to, suffix)).map_err(&failed)?;
        }
        fs::copy(&from, &to).map(drop).map_err(&failed)
    })
    .await?;
    // Brings an older schema up to date.
    SqliteMetricsStore::open(&file).await?.close().await;
    Ok(file)
}

async fn configured(
    settings: &Settings,
    chain: &Chain,
    force: bool,
    work: &Work,
) -> Result<Restored, BackupError> {
    let logs_embedded = matches!(settings.logs_place, LogsPlace::Embedded);
    let metrics_embedded = matches!(settings.metrics_place, MetricsPlace::Embedded);
    let _no_ingest = if logs_embedded {
        Some(ingest_lock(settings)?)
    } else {
        None
    };
    let server = if logs_embedded {
        None
    } else {
        Some(stores::open_logs_at(&settings.logs_place, &settings.logs_database()).await?)
    };
    if !force {
        let file = |embedded: bool, path: PathBuf| (embedded && path.exists()).then_some(path);
        let occupied = file(logs_embedded, settings.logs_database())
            .or_else(|| file(metrics_embedded, settings.metrics_database()))
            .map(|path| path.display().to_string());
        let occupied = match (&server, occupied) {
            (Some(server), None) if holds_records(&**server).await? => Some(server.address()),
            (_, occupied) => occupied,
        };
        if let Some(target) = occupied {
            return Err(BackupError::Occupied { target });
        }
    }
    let bench = Bench::open(settings.data_dir.join(".restoring"), chain).await?;
    let (view, states) = bench.source(chain, work).await?;
    let mut swaps = Vec::new();
    let expired = match server {
        Some(server) if chain.manifest().logs.is_some() => {
            copy_logs(chain, view, server, &states, &bench.path, work).await?
        }
        Some(_) => 0,
        None => {
            let (expired, file) = embedded_logs(chain, view, &states, &bench, work).await?;
            swaps.push((file, settings.logs_database()));
            expired
        }
    };
    let file = embedded_metrics(chain, &bench).await?;
    match &settings.metrics_place {
        MetricsPlace::Embedded => swaps.push((file, settings.metrics_database())),
        MetricsPlace::MySql(place) => {
            let store = MySqlMetricsStore::connect(&stores::mysql_options(place)).await;
            let store = store.map_err(stores::advised_metrics)?;
            load(chain, &store, &file, &bench.path, force).await?;
        }
    }
    work.go_on()?;
    let aside = settings
        .data_dir
        .join(format!("before-restore-{}", stamp()));
    let from = bench.unpacked(chain).pop().unwrap_or_default();
    let names: Vec<String> = chain
        .manifest()
        .parts
        .iter()
        .map(|part| part.name.clone())
        .collect();
    let data_dir = settings.data_dir.clone();
    let kept = blocking(move || {
        copy_quarantine(&from, &names, &data_dir)?;
        replace(&swaps, &aside)
    })
    .await?;
    let resumed = bench.resumed;
    bench.remove().await?;
    Ok(done(chain, expired, resumed, kept.into_iter().collect()))
}

/// Into the database, in one transaction, and compared with what it then holds.
async fn load(
    chain: &Chain,
    store: &MySqlMetricsStore,
    file: &Path,
    bench: &Path,
    force: bool,
) -> Result<(), BackupError> {
    let overwrite = if force {
        Overwrite::Replace
    } else {
        Overwrite::Refuse
    };
    store.load(file, overwrite).await?;
    let again = bench.join("again.db");
    remove_if_there(&again).map_err(folder_error(&again))?;
    store.snapshot(&again).await?;
    let (wanted, found) = (
        snapshot::table_sums(file).await?,
        snapshot::table_sums(&again).await?,
    );
    match differing(&wanted, &found) {
        None => Ok(()),
        Some(table) => Err(BackupError::wrong(
            chain.name(),
            format!(
                "rows of {table} in the database are not those of the backup; does somebody write there?"
            ),
        )),
    }
}

async fn holds_records(store: &dyn ChunkStore) -> Result<bool, BackupError> {
    for layer in Layer::ALL {
        let all = TimeRange::new(Timestamp::MIN, Timestamp::MAX);
        if !store
            .buckets(layer, all, Order::OldestFirst, 1)
            .await?
            .is_empty()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// While it is held no ingest of this data directory writes.
fn ingest_lock(settings: &Settings) -> Result<File, BackupError> {
    let folder = settings.ingest_state_dir();
    let failed = folder_error(&folder);
    fs::create_dir_all(&folder).map_err(&failed)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("ingest.lock"))
        .map_err(&failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(BackupError::Busy {
            path: settings.data_dir.clone(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn copy_quarantine(from: &Path, names: &[String], data_dir: &Path) -> Result<(), BackupError> {
    let folder = quarantine::folder(data_dir);
    for name in names {
        let Some(inside) = name.strip_prefix(QUARANTINE) else {
            continue;
        };
        let to = folder.join(inside);
        let failed = folder_error(&to);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(&failed)?;
        }
        fs::copy(from.join(name), &to).map_err(failed)?;
    }
    Ok(())
}

/// Puts each file in its place; what was there goes aside first. One that was put there by a run
/// that was ended is not on the bench any more.
fn replace(swaps: &[(PathBuf, PathBuf)], aside: &Path) -> Result<Option<PathBuf>, BackupError> {
    let mut kept = false;
    for (from, to) in swaps {
        if !from.exists() {
            continue;
        }
        File::open(from)
            .and_then(|file| file.sync_all())
            .map_err(folder_error(from))?;
        for suffix in ["", "-wal", "-shm"] {
            let old = with_suffix(to, suffix);
            if !old.exists() {
                continue;
            }
            kept = true;
            fs::create_dir_all(aside).map_err(folder_error(aside))?;
            let name = old.file_name().unwrap_or_default();
            fs::rename(&old, aside.join(name)).map_err(folder_error(&old))?;
        }
        fs::rename(from, to).map_err(folder_error(to))?;
        let folder = to.parent().unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(folder_error(folder))?;
    }
    Ok(kept.then(|| aside.to_owned()))
}

/// Gives the folder its final name in one step. What was there is kept under another one.
fn swap(store: &Path, target: &Path) -> Result<Option<PathBuf>, BackupError> {
    let failed = folder_error(target);
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let kept = if is_occupied(target)? {
        renameat_with(CWD, store, CWD, target, RenameFlags::EXCHANGE)
            .map_err(|error| failed(error.into()))?;
        let aside = beside(target, &format!(".before-restore-{}", stamp()));
        fs::rename(store, &aside).map_err(&failed)?;
        Some(aside)
    } else {
        fs::rename(store, target).map_err(&failed)?;
        None
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    Ok(kept)
}

/// There is something under this name, other than an empty folder.
fn is_occupied(target: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(target) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(folder_error(target)(error)),
    }
}

fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.components().as_path().as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn stamp() -> String {
    Timestamp::now()
        .to_utc()
        .format("%Y%m%d_%H%M%S")
        .to_string()
}
