//! Reads the deployments of the configured repository now and then, or of the one that the process
//! was started in, when the store has that already. A repository that is new to the store is a
//! person's decision (the DORA screen offers it).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::service::dora::{self, GatherError, Here, SyncOutcome};
use crate::service::{self, Stores};
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
    let here = std::env::current_dir().context("where is the current directory?")?;
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
            synced = once(&settings, &stores, here.clone()) => synced,
        };
        match synced {
            Ok(None) => {}
            Ok(Some(outcome)) => tracing::info!(
                repository = %outcome.git.repository.display(),
                deployments = outcome.git.deployments.len(),
                "read the deployments of the repository"
            ),
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
}

/// `None` where there is nothing to read: no repository, or one that is new to the store.
async fn once(
    settings: &Settings,
    stores: &Stores,
    here: PathBuf,
) -> Result<Option<SyncOutcome>, GatherError> {
    let repository = match &settings.dora.repository {
        // A configured path that is no repository is an error worth its message.
        Some(configured) => configured.clone(),
        None => match dora::here(&*stores.metrics, &here).await? {
            Here::Known(_) => here,
            Here::NoRepository | Here::New { .. } => return Ok(None),
        },
    };
    let request = dora::sync_options(&settings.dora, None, None);
    dora::sync_git(
        &*stores.metrics,
        &repository,
        request,
        Timestamp::now(),
        |_| {},
    )
    .await
    .map(Some)
}
