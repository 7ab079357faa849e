//! The folder that somebody works in: whether it holds a repository, and whether to read it now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atalaya_domain::time::Timestamp;
use atalaya_store::metrics::{MetricsStore, Repository};

use super::GatherError;
use super::git::{SyncOutcome, known_as, sync_git, sync_options};
use crate::config::DoraConfig;
use crate::source::git::{self, own_name};

/// How old what a configured repository gave may become before it is read again.
const RESYNC_AFTER: Duration = Duration::from_mins(15);

/// What the folder that somebody works in is to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Here {
    NoRepository,
    Known(Box<Repository>),
    /// A repository that the store has nothing of.
    New {
        path: PathBuf,
        name: String,
    },
}

/// Looks at the repository at or above a folder without reading its history into the store.
pub async fn here(store: &dyn MetricsStore, folder: &Path) -> Result<Here, GatherError> {
    let path = folder.to_path_buf();
    let found = tokio::task::spawn_blocking(move || {
        git::is_repository(&path).then(|| git::identify(&path))
    })
    .await?;
    let Some((place, identity)) = found.transpose()? else {
        return Ok(Here::NoRepository);
    };
    let repositories = store.repositories().await?;
    Ok(match known_as(&repositories, &identity, &place) {
        Some(known) => Here::Known(Box::new(known.clone())),
        None => Here::New {
            name: own_name(&place, &identity),
            path: place,
        },
    })
}

/// Reads the repository when it is time to: the configured one every quarter of an hour, and the
/// one of `folder` when nothing gives deployments yet. `None` when there was nothing to do.
pub async fn sync_due<P>(
    store: &dyn MetricsStore,
    config: &DoraConfig,
    folder: &Path,
    now: Timestamp,
    progress: P,
) -> Result<Option<SyncOutcome>, GatherError>
where
    P: FnMut(usize) + Send + 'static,
{
    let sources = store.sources().await?;
    let repository = match &config.repository {
        Some(configured) => {
            // What another repository gave, and when, says nothing about this one.
            if let Here::Known(known) = here(store, configured).await?
                && now.since(known.synced_at) < RESYNC_AFTER
            {
                return Ok(None);
            }
            configured.clone()
        }
        None if sources.iter().any(|source| source.gives_deployments) => return Ok(None),
        None => {
            let asked = folder.to_path_buf();
            if !tokio::task::spawn_blocking(move || git::is_repository(&asked)).await? {
                return Ok(None);
            }
            folder.to_path_buf()
        }
    };
    let request = sync_options(config, None, None);
    sync_git(store, &repository, request, now, progress)
        .await
        .map(Some)
}
