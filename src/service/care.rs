//! Checks what the stores hold; puts a damaged embedded store aside, or takes what can be read of it
//! into a new one.
//!
//! Promises: a check changes nothing. A file is replaced only while no other process has it open, by
//! a new one that was checked, and is kept under a dated name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};
use serde::Serialize;

use crate::config::Settings;
use crate::config::places::{LogsPlace, MetricsPlace};
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::check::{self, Checked};
use atalaya_store::damage::{Damage, Damages, Progress};
use atalaya_store::error::StoreError;
use atalaya_store::sqlite::chunks::SqliteChunkStore;
use atalaya_store::sqlite::metrics::SqliteMetricsStore;
use atalaya_store::sqlite::salvage::{self, Salvaged};

use super::describe;
use super::stores::{logs_name, metrics_name, open_logs_at, open_metrics};

/// Told how far the work is.
pub type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    Logs,
    Metrics,
}

impl Which {
    pub const ALL: [Self; 2] = [Self::Logs, Self::Metrics];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The embedded store's file.
    fn file(self, settings: &Settings) -> Result<PathBuf, CareError> {
        let (server, file) = match self {
            Self::Logs => (
                !matches!(settings.logs_place, LogsPlace::Embedded),
                settings.logs_database(),
            ),
            Self::Metrics => (
                !matches!(settings.metrics_place, MetricsPlace::Embedded),
                settings.metrics_database(),
            ),
        };
        if server {
            return Err(CareError::OnServer { store: self.name() });
        }
        if !file.exists() {
            return Err(CareError::Missing { file });
        }
        Ok(file)
    }
}

/// Why a store was not repaired or put aside.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    #[error("the {store} are on a server; its own tools repair them")]
    OnServer { store: &'static str },
    #[error("there is no store at {}", file.display())]
    Missing { file: PathBuf },
    #[error("another process has {} open: end it first (a console, `atalaya ingest`)", file.display())]
    InUse { file: PathBuf },
    #[error("{} cannot be moved or replaced", file.display())]
    Disk { file: PathBuf, source: io::Error },
    #[error("what was taken over is not whole ({problem}); nothing was changed, and it is kept in {}", file.display())]
    NotWhole { file: PathBuf, problem: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CareError {
    /// Who has to do what before it succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::OnServer { .. } | Self::Missing { .. } => ErrorClass::Usage,
            Self::InUse { .. } => ErrorClass::Busy,
            Self::Disk { .. } | Self::NotWhole { .. } => ErrorClass::Broken,
            Self::Store(error) => error.class(),
        }
    }
}

/// What a check found in one store.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub store: &'static str,
    pub backend: String,
    pub address: String,
    /// Read and decoded.
    pub chunks: u64,
    pub records: u64,
    /// Of the metrics' tables.
    pub rows: u64,
    pub damages: Damages,
    /// Why it could not be checked.
    pub problem: Option<String>,
    /// What is worth knowing although it is no damage.
    pub notes: Vec<String>,
}

impl Report {
    pub const fn is_whole(&self) -> bool {
        self.damages.is_empty() && self.problem.is_none()
    }
}

/// Checks one store; of logs on a server, those within `range`.
pub async fn check(settings: &Settings, which: Which, range: TimeRange, told: Told<'_>) -> Report {
    let (backend, address) = match which {
        Which::Logs => logs_name(settings),
        Which::Metrics => metrics_name(settings),
    };
    let mut report = Report {
        store: which.name(),
        backend: backend.to_string(),
        address,
        chunks: 0,
        records: 0,
        rows: 0,
        damages: Damages::default(),
        problem: None,
        notes: Vec::new(),
    };
    let checked = match which.file(settings) {
        Ok(file) => match which {
            Which::Logs => atalaya_store::sqlite::check::logs(&file, told).await,
            Which::Metrics => atalaya_store::sqlite::check::metrics(&file, told).await,
        },
        Err(CareError::Missing { .. }) => {
            let note = "not there yet; the first command that needs it makes it";
            report.notes.push(note.to_owned());
            return report;
        }
        Err(_) => match which {
            Which::Logs => check_ring(settings, range, told).await,
            Which::Metrics => check_database(settings, &mut report.notes).await,
        },
    };
    match checked {
        Ok(checked) => {
            report.chunks = checked.chunks;
            report.records = checked.records;
            report.rows = checked.rows;
            report.damages = checked.damages;
        }
        Err(error) => report.problem = Some(describe(&error)),
    }
    report
}

async fn check_ring(
    settings: &Settings,
    range: TimeRange,
    told: Told<'_>,
) -> Result<Checked, StoreError> {
    // Ours alone: the tables of others are theirs.
    let store = open_logs_at(&settings.logs_place, &settings.logs_database()).await?;
    check::chunks(&*store, range, told).await
}

/// The server has checksums of its pages; what it cannot know is whether rows belong together.
async fn check_database(
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Checked, StoreError> {
    let store = open_metrics(settings).await?;
    let vitals = store.vitals().await?;
    let mut checked = Checked {
        rows: vitals.tables.iter().map(|table| table.rows).sum(),
        ..Checked::default()
    };
    match vitals.orphans {
        Some(0) => {}
        Some(orphans) => checked.damages.add(Damage::new(
            "rows",
            "",
            format!("{orphans} rows name a row that is not there"),
        )),
        None => notes.push("the server does not say whether rows belong together".to_owned()),
    }
    notes.push("the server itself verifies the checksums of its pages".to_owned());
    Ok(checked)
}

/// What became of a store.
#[derive(Clone, Debug, Serialize)]
pub struct Replaced {
    pub store: &'static str,
    pub file: PathBuf,
    /// Where the old one is kept.
    pub aside: PathBuf,
    /// `None`: it begins anew.
    pub salvaged: Option<Salvaged>,
}

/// Puts the embedded store aside and makes a new one.
///
/// # Errors
/// It is on a server, missing, open elsewhere, or cannot be moved.
pub async fn set_aside(settings: &Settings, which: Which) -> Result<Replaced, CareError> {
    let file = which.file(settings)?;
    let held = Held::take(&file)?;
    let aside = aside_name(&file);
    for suffix in ["-wal", "-shm", ""] {
        move_there(&beside(&file, suffix), &beside(&aside, suffix))?;
    }
    sync_folder(&file)?;
    drop(held);
    match which {
        Which::Logs => SqliteChunkStore::open(&file).await?.close().await,
        Which::Metrics => SqliteMetricsStore::open(&file).await?.close().await,
    }
    Ok(Replaced {
        store: which.name(),
        file,
        aside,
        salvaged: None,
    })
}

/// Takes what can be read of the embedded store into a new one, which takes its place.
///
/// # Errors
/// As [`set_aside`]; or the new one cannot be written or is not whole. The old one is then as it was.
pub async fn repair(
    settings: &Settings,
    which: Which,
    told: Told<'_>,
) -> Result<Replaced, CareError> {
    let file = which.file(settings)?;
    let held = Held::take(&file)?;
    let fresh = beside(&file, ".repairing");
    for suffix in ["", "-wal", "-shm"] {
        remove(&beside(&fresh, suffix))?;
    }
    let (salvaged, checked) = match which {
        Which::Logs => {
            let store = SqliteChunkStore::open(&fresh).await?;
            let salvaged = salvage::logs::salvage(&file, &store, told).await;
            store.close().await;
            let salvaged = salvaged?;
            (
                salvaged,
                atalaya_store::sqlite::check::logs(&fresh, told).await?,
            )
        }
        Which::Metrics => {
            SqliteMetricsStore::open(&fresh).await?.close().await;
            let salvaged = salvage::metrics::salvage(&file, &fresh, told).await?;
            let checked = atalaya_store::sqlite::check::metrics(&fresh, told).await?;
            (salvaged, checked)
        }
    };
    // A row that names a lost one is told by every check from now on, and true all the same.
    let broken = |damage: &&Damage| !damage.reason.starts_with("names a row of ");
    if let Some(damage) = checked.damages.listed.iter().find(broken) {
        return Err(CareError::NotWhole {
            file: fresh,
            problem: format!("{} {}: {}", damage.what, damage.key, damage.reason),
        });
    }
    let aside = aside_name(&file);
    replace(&file, &fresh, &aside)?;
    drop(held);
    Ok(Replaced {
        store: which.name(),
        file,
        aside,
        salvaged: Some(salvaged),
    })
}

/// The old file has its second name before it loses the first, and its log is gone from beside it
/// before a file comes there that it does not belong to.
fn replace(file: &Path, fresh: &Path, aside: &Path) -> Result<(), CareError> {
    fs::hard_link(file, aside).map_err(|source| disk(aside, source))?;
    for suffix in ["-wal", "-shm"] {
        move_there(&beside(file, suffix), &beside(aside, suffix))?;
    }
    for suffix in ["-wal", "-shm"] {
        remove(&beside(fresh, suffix))?;
    }
    fs::rename(fresh, file).map_err(|source| disk(file, source))?;
    sync_folder(file)
}

/// Locks that no process can have together with an open connection of SQLite.
struct Held {
    _files: Vec<File>,
}

impl Held {
    fn take(file: &Path) -> Result<Self, CareError> {
        let mut files = Vec::new();
        for suffix in ["", "-shm"] {
            let name = beside(file, suffix);
            let opened = match OpenOptions::new().read(true).write(true).open(&name) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(disk(&name, source)),
            };
            match fcntl_lock(&opened, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => files.push(opened),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                    return Err(CareError::InUse {
                        file: file.to_owned(),
                    });
                }
                Err(error) => return Err(disk(&name, error.into())),
            }
        }
        Ok(Self { _files: files })
    }
}

fn disk(file: &Path, source: io::Error) -> CareError {
    CareError::Disk {
        file: file.to_owned(),
        source,
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `logs.db.aside-20261130T143252Z`; a number behind it when there is one of this second.
fn aside_name(file: &Path) -> PathBuf {
    let now = Timestamp::now().to_rfc3339();
    let digits: String = now
        .chars()
        .take_while(|&letter| letter != '.')
        .filter(|letter| !matches!(letter, '-' | ':' | 'Z'))
        .collect();
    let name = beside(file, &format!(".aside-{digits}Z"));
    let numbered = (2..).map(|number| beside(&name, &format!("-{number}")));
    std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !name.exists())
        .unwrap_or(name)
}

fn move_there(from: &Path, to: &Path) -> Result<(), CareError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(from, error)),
        _ => Ok(()),
    }
}

fn remove(file: &Path) -> Result<(), CareError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(file, error)),
        _ => Ok(()),
    }
}

fn sync_folder(file: &Path) -> Result<(), CareError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| disk(folder, source))
}
