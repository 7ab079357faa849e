//! Facts into the store: from a git repository, from the older tool's file, and one at a time.

use crate::text_file;
use atalaya_domain::error_class::ErrorClass;
use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::DoraConfig;
use crate::source::git::{self, GitError, Options, Outcome, Which};
use crate::source::phases::{deployment_of, incident_of};
use crate::source::sdlc_file::{self, Flag, Reading, SdlcFileError};
use atalaya_domain::delivery::{Deployment, DeploymentResult, PhaseRecord};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, SourceRun, Written};

/// Rows in one transaction: long enough to be quick, short enough to let others write between.
const BATCH: usize = 500;
/// Larger than any recorder file that was ever seen; keeps a wrong path from filling the memory.
const FILE_LIMIT: u64 = 256 << 20;
/// How far back a recovery looks for the deployment of its cycle.
const CYCLE_REACH: Duration = Duration::from_hours(90 * 24);

#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot read {path}: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is too large ({bytes} bytes; at most {FILE_LIMIT})")]
    TooLarge { path: PathBuf, bytes: u64 },
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: SdlcFileError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl GatherError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Git(error) => error.class(),
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::File { .. } => {
                ErrorClass::Usage
            }
            Self::Store(error) => error.class(),
            Self::Interrupted(_) => ErrorClass::Broken,
        }
    }
}

/// What a sync read and changed.
#[derive(Clone, Debug, Default)]
pub struct SyncOutcome {
    pub git: Outcome,
    pub written: Written,
    /// Deployments of earlier syncs that the repository no longer gives (a deleted tag, another
    /// way of recognising them); kept as aborted, so that they count in no formula.
    pub withdrawn: usize,
}

/// What is configured, overridden by what was asked for.
pub fn sync_options(config: &DoraConfig, tags: Option<&str>, branch: Option<&str>) -> Options {
    let which = match (tags, branch, &config.tags, &config.branch) {
        (_, Some(branch), _, _) => Which::Merges(branch.to_owned()),
        (Some(tags), None, _, _) => Which::Tags(tags.to_owned()),
        (None, None, _, Some(branch)) => Which::Merges(branch.clone()),
        (None, None, Some(tags), None) => Which::Tags(tags.clone()),
        (None, None, None, None) => Which::Auto,
    };
    Options {
        which,
        environment: config.environment.clone(),
        service: config.service.clone(),
        team: config.team.clone(),
        ..Options::default()
    }
}

/// Reads a repository on a blocking thread and stores its deployments.
pub async fn sync_git<P>(
    store: &dyn MetricsStore,
    repository: &Path,
    options: Options,
    now: Timestamp,
    mut progress: P,
) -> Result<SyncOutcome, GatherError>
where
    P: FnMut(usize) + Send + 'static,
{
    let path = repository.to_path_buf();
    let git =
        tokio::task::spawn_blocking(move || git::read(&path, &options, &mut progress)).await??;
    let mut written = put_deployments(store, &git.deployments).await?;
    let withdrawn = withdraw(store, &git, &mut written).await?;
    store
        .put_source(&SourceRun {
            name: format!("git:{}", git.repository.display()),
            gives_deployments: true,
            gives_incidents: false,
            synced_at: now,
        })
        .await?;
    Ok(SyncOutcome {
        git,
        written,
        withdrawn,
    })
}

/// How old what a configured repository gave may become before it is read again.
const RESYNC_AFTER: Duration = Duration::from_mins(15);

/// Reads the repository when it is time to: the configured one every quarter of an hour, and the
/// one of `here` when nothing gives deployments yet. `None` when there was nothing to do.
pub async fn sync_due<P>(
    store: &dyn MetricsStore,
    config: &DoraConfig,
    here: &Path,
    now: Timestamp,
    progress: P,
) -> Result<Option<SyncOutcome>, GatherError>
where
    P: FnMut(usize) + Send + 'static,
{
    let sources = store.sources().await?;
    let repository = match &config.repository {
        Some(configured) => {
            let read = sources
                .iter()
                .filter(|source| source.name.starts_with("git:"))
                .map(|source| source.synced_at)
                .max();
            if read.is_some_and(|at| now.since(at) < RESYNC_AFTER) {
                return Ok(None);
            }
            configured.clone()
        }
        None if sources.iter().any(|source| source.gives_deployments) => return Ok(None),
        None => {
            let asked = here.to_path_buf();
            if !tokio::task::spawn_blocking(move || git::is_repository(&asked)).await? {
                return Ok(None);
            }
            here.to_path_buf()
        }
    };
    sync_git(
        store,
        &repository,
        sync_options(config, None, None),
        now,
        progress,
    )
    .await
    .map(Some)
}

/// Takes out of the formulas what an earlier sync of this service gave and this one does not.
async fn withdraw(
    store: &dyn MetricsStore,
    git: &Outcome,
    written: &mut Written,
) -> Result<usize, StoreError> {
    let fresh: HashSet<&str> = git
        .deployments
        .iter()
        .map(|deployment| deployment.id.as_str())
        .collect();
    let mut services: HashSet<&str> = git
        .deployments
        .iter()
        .map(|deployment| deployment.service.as_str())
        .collect();
    services.insert(&git.service);
    // What lies before the edge of a cut history is not contradicted by it.
    let edge = if git.complete {
        None
    } else {
        git.deployments
            .iter()
            .map(|deployment| deployment.finished_at)
            .min()
    };
    let mut gone: Vec<Deployment> = Vec::new();
    for service in services {
        let filter = DeliveryFilter {
            service: Some(service.to_owned()),
            ..DeliveryFilter::default()
        };
        gone.extend(
            store
                .deployments(&filter)
                .await?
                .into_iter()
                .filter(|known| {
                    known.origin == "git"
                        && known.result != DeploymentResult::Aborted
                        && !fresh.contains(known.id.as_str())
                        && edge.is_none_or(|edge| known.finished_at >= edge)
                }),
        );
    }
    for deployment in &mut gone {
        deployment.result = DeploymentResult::Aborted;
    }
    let changed = put_deployments(store, &gone).await?;
    written.updated += changed.updated;
    Ok(gone.len())
}

async fn put_deployments(
    store: &dyn MetricsStore,
    deployments: &[Deployment],
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    for batch in deployments.chunks(BATCH) {
        add(&mut written, store.put_deployments(batch).await?);
    }
    Ok(written)
}

fn add(sum: &mut Written, part: Written) {
    sum.inserted += part.inserted;
    sum.updated += part.updated;
    sum.unchanged += part.unchanged;
}

/// What an import read and changed.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    pub cycles: usize,
    pub phases: Written,
    pub deployments: Written,
    pub incidents: Written,
    pub flags: Vec<Flag>,
}

/// Imports a `.dora_sdlc_metrics.json`.
pub async fn import_file(
    store: &dyn MetricsStore,
    path: &Path,
    reading: Reading,
    now: Timestamp,
) -> Result<ImportOutcome, GatherError> {
    let named = path.to_path_buf();
    let import = tokio::task::spawn_blocking(move || {
        let unreadable = |source| GatherError::Unreadable {
            path: named.clone(),
            source,
        };
        let mut file = text_file::open(&named).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes > FILE_LIMIT {
            return Err(GatherError::TooLarge { path: named, bytes });
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(unreadable)?;
        sdlc_file::read(&content, &reading).map_err(|source| GatherError::File {
            path: named,
            source,
        })
    })
    .await??;
    let mut outcome = ImportOutcome {
        cycles: import.cycles,
        flags: import.flags,
        ..ImportOutcome::default()
    };
    for batch in import.phases.chunks(BATCH) {
        add(&mut outcome.phases, store.record_phases(batch).await?);
    }
    // Before the incidents, which may name them.
    outcome.deployments = put_deployments(store, &import.deployments).await?;
    for batch in import.incidents.chunks(BATCH) {
        add(&mut outcome.incidents, store.put_incidents(batch).await?);
    }
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

/// What recording one phase made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub attempt: u32,
    pub written: Written,
    /// Id of the deployment that the phase was.
    pub deployment: Option<String>,
    /// Id of the incident that the phase was about.
    pub incident: Option<String>,
}

/// Metadata name of the run that a phase was: the same run is never recorded as two attempts.
pub const RUN_ID: &str = "run_id";

/// Records one phase with the deployment or incident that it is.
///
/// `attempt` 0 takes the next free one of its cycle and phase, or the one under which the same
/// [`RUN_ID`] is recorded already; with a number, recording it again is recording it once.
pub async fn record(
    store: &dyn MetricsStore,
    mut phase: PhaseRecord,
    origin: &str,
) -> Result<Recorded, StoreError> {
    if phase.attempt == 0 {
        let cycle = store.cycle(&phase.cycle_id).await?;
        let tried = || {
            cycle
                .iter()
                .flat_map(|cycle| &cycle.phases)
                .filter(|known| known.phase == phase.phase)
        };
        let run = phase.text(RUN_ID);
        phase.attempt = match tried().find(|known| run.is_some() && known.text(RUN_ID) == run) {
            Some(recorded) => recorded.attempt,
            None => tried().map(|known| known.attempt).max().unwrap_or(0) + 1,
        };
    }
    let written = store.record_phases(std::slice::from_ref(&phase)).await?;
    let deployment = deployment_of(&phase, origin);
    if let Some(deployment) = &deployment {
        store
            .put_deployments(std::slice::from_ref(deployment))
            .await?;
    }
    let mut incident = incident_of(&phase, origin);
    if let Some(incident) = &mut incident {
        let recent = DeliveryFilter {
            range: Some(TimeRange::new(
                incident.opened_at.saturating_sub(CYCLE_REACH),
                phase.recorded_at,
            )),
            ..DeliveryFilter::default()
        };
        incident.caused_by = store
            .deployments(&recent)
            .await?
            .into_iter()
            .rev()
            .find(|known| {
                known.cycle_id.as_ref() == Some(&phase.cycle_id)
                    && known.result != DeploymentResult::Aborted
            })
            .map(|known| known.id);
        store.put_incidents(std::slice::from_ref(incident)).await?;
    }
    if deployment.is_some() || incident.is_some() {
        connect(
            store,
            origin,
            deployment.is_some(),
            incident.is_some(),
            phase.recorded_at,
        )
        .await?;
    }
    Ok(Recorded {
        attempt: phase.attempt,
        written,
        deployment: deployment.map(|deployment| deployment.id),
        incident: incident.map(|incident| incident.id),
    })
}

/// Notes that facts come this way, keeping what it gave before.
async fn connect(
    store: &dyn MetricsStore,
    name: &str,
    gives_deployments: bool,
    gives_incidents: bool,
    at: Timestamp,
) -> Result<(), StoreError> {
    let known = store
        .sources()
        .await?
        .into_iter()
        .find(|source| source.name == name);
    store
        .put_source(&SourceRun {
            name: name.to_owned(),
            gives_deployments: gives_deployments
                || known.as_ref().is_some_and(|known| known.gives_deployments),
            gives_incidents: gives_incidents
                || known.as_ref().is_some_and(|known| known.gives_incidents),
            synced_at: known.map_or(at, |known| known.synced_at.max(at)),
        })
        .await
}
