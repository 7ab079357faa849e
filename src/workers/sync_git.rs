//! Reads the deployments of a repository: of the configured one as a job (`jobs/git_sync.rs`), and of
//! the one that a console was started in now and then, as only that console knows of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::service::{self, Stores};
use crate::source::git;
use atalaya_domain::time::Timestamp;

/// How often the repository is read again.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// … and when that did not work: the store may have come meanwhile.
const AGAIN: Duration = Duration::from_secs(60);

/// Starts reading.
pub fn start(supervisor: &Supervisor, settings: Settings, stores: Stores) {
    supervisor.spawn("git sync", move |cancel| {
        sync(settings.clone(), stores.clone(), cancel)
    });
}

async fn sync(
    settings: Settings,
    stores: Stores,
    cancel: CancellationToken,
) -> Result<(), WorkerError> {
    let Some(repository) = repository(&settings).await? else {
        return Ok(());
    };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        // What was written by then is kept; the next read writes the same again.
        let synced = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            synced = sync_once(&settings, &stores, &repository) => synced,
        };
        match synced {
            Ok(told) => tracing::info!("{told}"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the repository could not be read"
                );
                tick.reset_after(AGAIN);
            }
        }
    }
}

/// Reads the repository once; what was read, in words.
pub async fn sync_once(
    settings: &Settings,
    stores: &Stores,
    repository: &Path,
) -> Result<String, WorkerError> {
    let options = service::dora::sync_options(&settings.dora, None, None);
    let reading = service::dora::sync_git(
        &*stores.metrics,
        repository,
        options,
        Timestamp::now(),
        |_| {},
    );
    let outcome = reading.await?;
    Ok(format!(
        "read {} deployments of the repository {}",
        outcome.git.deployments.len(),
        outcome.git.repository.display()
    ))
}

/// The repository that the process was started in, when no other one is configured.
async fn repository(settings: &Settings) -> Result<Option<PathBuf>, WorkerError> {
    if settings.dora.repository.is_some() {
        return Ok(None);
    }
    let Ok(here) = std::env::current_dir() else {
        return Ok(None);
    };
    let asked = here.clone();
    let found = tokio::task::spawn_blocking(move || git::is_repository(&asked))
        .await
        .context("looking for a repository")?;
    Ok(found.then_some(here))
}
