//! Reads the deployments of a repository: of the configured one as a job (`jobs/git_sync.rs`), and of
//! the one that a console was started in now and then, when the store has that already. A repository
//! that is new to the store is a person's decision (the DORA screen offers it).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::service::dora::{self, GatherError, Here};
use crate::service::{self, Stores};
use atalaya_domain::time::Timestamp;

/// How often the repository is read again.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// … and when that did not work: the store may have come meanwhile.
const AGAIN: Duration = Duration::from_secs(60);

/// Starts reading the one that this process was started in, unless another one is configured.
pub fn start(supervisor: &Supervisor, settings: Settings, stores: Stores) {
    if settings.dora.repository.is_some() {
        return;
    }
    supervisor.spawn("git sync", move |cancel| {
        sync(settings.clone(), stores.clone(), cancel)
    });
}

async fn sync(
    settings: Settings,
    stores: Stores,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let here = std::env::current_dir().context("where is the current directory?")?;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cancel.run_until_cancelled(tick.tick()).await.is_some() {
        // What was written by then is kept; the next read writes the same again.
        let reading = sync_known(&settings, &stores, here.clone());
        let Some(synced) = cancel.run_until_cancelled(reading).await else {
            break;
        };
        match synced {
            Ok(None) => {}
            Ok(Some(told)) => tracing::info!("{told}"),
            // The same again each minute would not answer it.
            Err(GatherError::WouldWithdraw(question)) => {
                tracing::warn!(%question, "the repository was not read again");
            }
            Err(error) => {
                tracing::warn!(error = %service::describe(&error), "the repository could not be read");
                tick.reset_after(AGAIN);
            }
        }
    }
    Ok(())
}

/// `None` where there is nothing to read: no repository, or one that is new to the store.
async fn sync_known(
    settings: &Settings,
    stores: &Stores,
    here: PathBuf,
) -> Result<Option<String>, GatherError> {
    match dora::here(&*stores.metrics, &here).await? {
        Here::Known(_) => sync_once(settings, stores, &here).await.map(Some),
        Here::NoRepository | Here::New { .. } => Ok(None),
    }
}

/// Reads the repository once; what was read, in words.
///
/// # Errors
/// It is no repository, what it says now would withdraw what the store has, or the store is away.
pub async fn sync_once(
    settings: &Settings,
    stores: &Stores,
    repository: &Path,
) -> Result<String, GatherError> {
    let options = dora::sync_options(&settings.dora, None, None);
    let now = Timestamp::now();
    let outcome = dora::sync_git(&*stores.metrics, repository, options, now, |_| {}).await?;
    Ok(format!(
        "read {} deployments of the repository {}",
        outcome.git.deployments.len(),
        outcome.git.repository.display()
    ))
}
