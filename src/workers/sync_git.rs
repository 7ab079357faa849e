//! Reads the deployments of the configured repository, or of the one that the process was started
//! in, now and then. Outside of a repository there is nothing to read.

use std::path::PathBuf;
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
        let options = service::dora::sync_options(&settings.dora, None, None);
        let reading = service::dora::sync_git(
            &*stores.metrics,
            &repository,
            options,
            Timestamp::now(),
            |_| {},
        );
        // What was written by then is kept; the next read writes the same again.
        let synced = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            synced = reading => synced,
        };
        match synced {
            Ok(outcome) => tracing::info!(
                repository = %outcome.git.repository.display(),
                deployments = outcome.git.deployments.len(),
                "read the deployments of the repository"
            ),
            Err(error) => {
                tracing::warn!(error = %service::describe(&error), "the repository could not be read");
                tick.reset_after(AGAIN);
            }
        }
    }
}

/// The repository to read; `None` when there is none. A configured path that is no repository is an
/// error worth its message when it is read.
async fn repository(settings: &Settings) -> Result<Option<PathBuf>, WorkerError> {
    if let Some(configured) = &settings.dora.repository {
        return Ok(Some(configured.clone()));
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
