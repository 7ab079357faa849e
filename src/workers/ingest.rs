//! Follows log files into the store, and starts again when the directory of its state could not be
//! written or a part of it died.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, WorkerError};
use crate::config::Settings;
use crate::service::describe;
use crate::service::follower_state::{self, FollowerState};
use crate::service::ingest::{Plan, sink};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::{Ingest, IngestConfig, IngestError, IngestHandle, IngestStatus, Unread};
use atalaya_store::engine::LogEngine;
use atalaya_store::error::Reason;

/// A directory that cannot be written is tried again this often.
const START_AGAIN: Duration = Duration::from_secs(2);

/// Remembers, durably, that these files are asked for: the first thing that a follower does, before
/// a store is opened that may take its time. What is rotated from now on is this run's.
///
/// # Errors
/// As [`start`]. A directory that cannot be written yet is none: it is waited for.
pub async fn ask(config: IngestConfig) -> Result<(), IngestError> {
    let asked = tokio::task::spawn_blocking(move || Ingest::ask(&config)).await;
    match asked.map_err(|_| IngestError::Died)? {
        Err(error) if !error.is_transient() => Err(error),
        _ => Ok(()),
    }
}

/// What it means that another process follows files with the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contended {
    /// An error.
    Refused,
    /// Nothing: the files are taken over when the other one ends. The status does not change before.
    TakenOver,
}

/// Follows what was planned until everything ends. The status also names what was found but is not
/// read, and says why nothing is read while the directory cannot be written.
///
/// # Errors
/// The first start failed for a reason that does not pass by itself.
pub async fn start(
    supervisor: &Supervisor,
    settings: Settings,
    plan: Plan,
    logs: LogEngine,
    contended: Contended,
) -> Result<watch::Receiver<IngestStatus>, IngestError> {
    let (sender, status) = watch::channel(IngestStatus::default());
    let follower = Arc::new(Follower {
        settings,
        plan,
        logs,
        sender,
    });
    // The first try is the caller's to hear of. Its handle waits in the slot for the worker; a
    // worker that is made anew finds the slot empty and tries by itself.
    let first = match follower.start(&CancellationToken::new()).await {
        Err(IngestError::Locked { dir }) if contended == Contended::TakenOver => {
            tracing::info!(dir = %dir.display(), "another process follows the files");
            Err(IngestError::Locked { dir })
        }
        Err(error) if !error.is_transient() => return Err(error),
        first => first,
    };
    let slot = Arc::new(Mutex::new(Some(first)));
    supervisor.spawn("ingest", move |cancel| {
        let (follower, slot) = (Arc::clone(&follower), Arc::clone(&slot));
        async move {
            let first = slot.lock().await.take();
            follower.follow(first, cancel).await
        }
    });
    Ok(status)
}

struct Follower {
    settings: Settings,
    plan: Plan,
    logs: LogEngine,
    sender: watch::Sender<IngestStatus>,
}

impl Follower {
    async fn start(&self, cancel: &CancellationToken) -> Result<IngestHandle, IngestError> {
        let sink = sink(&self.settings, self.logs.clone()).await?;
        Ingest::start(self.plan.config.clone(), sink, cancel.child_token())
    }

    async fn follow(
        &self,
        first: Option<Result<IngestHandle, IngestError>>,
        cancel: CancellationToken,
    ) -> Result<(), WorkerError> {
        let mut started = match first {
            Some(first) => first,
            None => self.start(&cancel).await,
        };
        let mut handle = loop {
            match started {
                Ok(handle) => break handle,
                // The other one follows them; there is nothing to say.
                Err(IngestError::Locked { .. }) => {}
                // Whatever it is by now: the files wait, and the reason is shown.
                Err(error) => self.tell(IngestStatus {
                    at: Timestamp::now(),
                    paused: Some(Reason::plain(describe(&error))),
                    ..IngestStatus::default()
                }),
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(START_AGAIN) => {}
            }
            started = self.start(&cancel).await;
        };
        let mut own = handle.status();
        let mut pulse = tokio::time::interval(follower_state::EVERY);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = pulse.tick() => {
                    let status = own.borrow().clone();
                    self.tell_others(&status).await;
                }
                changed = own.changed() => match changed {
                    Ok(()) => {
                        let status = own.borrow_and_update().clone();
                        self.tell(status);
                    }
                    Err(_) => break,
                },
            }
        }
        let last = if cancel.is_cancelled() {
            handle.stop().await?
        } else {
            handle.finished().await?
        };
        self.tell(last);
        let state_dir = self.settings.ingest_state_dir();
        let _ = tokio::task::spawn_blocking(move || follower_state::forget(&state_dir)).await;
        Ok(())
    }

    /// Tells other processes of this machine that the follower lives.
    async fn tell_others(&self, status: &IngestStatus) {
        let state = FollowerState::of(status);
        let state_dir = self.settings.ingest_state_dir();
        let written = tokio::task::spawn_blocking(move || state.write(&state_dir)).await;
        // A full disk is told by the pause itself.
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "the state of the follower could not be written");
        }
    }

    fn tell(&self, mut status: IngestStatus) {
        let passed_over: &[Unread] = &self.plan.passed_over;
        status.unread.extend(passed_over.iter().cloned());
        self.sender.send_replace(status);
    }
}
