//! The composition root of every long command: our own log, then the stores, then the workers, and
//! at the end all of it stopped in the opposite order, within one deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::WorkerGuard;

use crate::config::Settings;
use crate::service::alerts::Firing;
use crate::service::ingest::Plan;
use crate::service::{self, Stores};
use crate::telemetry;
use crate::workers::ingest::Contended;
use crate::workers::jobs::Planning;
use crate::workers::scheduler::SeatState;
use crate::workers::{self, Supervisor, WorkerError};
use atalaya_domain::health::Health;
use atalaya_domain::job::Seat;
use atalaya_ingest::{IngestError, IngestStatus};
use atalaya_store::error::StoreError;

/// How long the end may take: what was read is stored, or read again at the next start.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a store that could not be opened is tried.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What a log store that cannot be opened means to the command. Metrics that cannot are opened when
/// they can be, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// An error, at once.
    Now,
    /// Nothing: it says so in every answer, and is opened when it can be.
    Whenever,
    /// A server that is away is opened when it can be; an embedded store that cannot be written is
    /// waited for.
    Waiting,
}

/// The opened stores, the background work, and what ends them.
pub struct Host {
    pub stores: Stores,
    settings: Settings,
    cancel: CancellationToken,
    supervisor: Supervisor,
    // Last: what the others say while they end is still written.
    _log: Option<WorkerGuard>,
}

impl Host {
    /// Opens what `settings` name, for the command of this name. `told` hears once why the store is
    /// waited for. `None`: it was cancelled while it waited.
    ///
    /// # Errors
    /// A store cannot be opened, and `opening` calls that an error.
    pub async fn open(
        settings: &Settings,
        command: &'static str,
        opening: Opening,
        cancel: CancellationToken,
        told: impl Fn(&StoreError),
    ) -> Result<Option<Self>, StoreError> {
        let log = telemetry::start(&settings.data_dir, command);
        let mut first = true;
        let stores = loop {
            let opened = match opening {
                Opening::Now => service::open_to_ingest(settings).await,
                Opening::Whenever => Ok(service::attach_stores(settings).await),
                Opening::Waiting => service::attach_to_ingest(settings).await,
            };
            match opened {
                Ok(stores) => break stores,
                Err(error) if opening == Opening::Waiting && error.is_transient() => {
                    if std::mem::take(&mut first) {
                        tracing::warn!(error = %service::describe(&error), "waiting for the store");
                        told(&error);
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(STORE_RETRY) => {}
            }
        };
        Ok(Some(Self {
            stores,
            settings: settings.clone(),
            supervisor: Supervisor::new(cancel.clone()),
            cancel,
            _log: log,
        }))
    }

    /// Cancelled when everything is to end.
    pub const fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Follows the planned files. The status changes as they are read.
    ///
    /// # Errors
    /// The ingest can never start: another process holds the lock and is not waited for, or an
    /// input is unusable.
    pub async fn follow(
        &self,
        plan: Plan,
        contended: Contended,
    ) -> Result<watch::Receiver<IngestStatus>, IngestError> {
        let logs = self.stores.logs.clone();
        workers::ingest::start(
            &self.supervisor,
            self.settings.clone(),
            plan,
            logs,
            contended,
        )
        .await
    }

    /// Runs the jobs of the store and those of this host, each as soon as no other process does, and
    /// sends what alerts tell while the former are ours. What both do, in this order.
    pub fn run_jobs(
        &self,
        planning: &watch::Receiver<Arc<Planning>>,
    ) -> Vec<watch::Receiver<SeatState>> {
        let seats: Vec<_> = [Seat::Store, Seat::Host]
            .into_iter()
            .map(|seat| {
                let host = service::health::host_name();
                let stores = self.stores.clone();
                workers::scheduler::start(&self.supervisor, seat, host, stores, planning.clone())
            })
            .collect();
        if let Some(seat) = seats.first() {
            let stores = self.stores.clone();
            workers::notify::start(&self.supervisor, stores, planning.clone(), seat.clone());
        }
        seats
    }

    /// Measures host, stores and workers from now on, and tells who runs the jobs.
    pub fn measure_health(
        &self,
        seats: Vec<watch::Receiver<SeatState>>,
    ) -> watch::Receiver<Health> {
        let settings = self.settings.clone();
        workers::health::start(&self.supervisor, self.stores.clone(), settings, seats)
    }

    /// Counts the alerts that fire from now on.
    pub fn count_firing(&self) -> watch::Receiver<Firing> {
        workers::firing::start(&self.supervisor, self.stores.clone())
    }

    /// Reads the deployments of the repository that this process was started in from now on.
    pub fn sync_git(&self) {
        workers::sync_git::start(&self.supervisor, self.settings.clone(), self.stores.clone());
    }

    /// Any other work beside these; see [`Supervisor::spawn`].
    pub fn spawn<Make, Work>(&self, name: &'static str, make: Make)
    where
        Make: FnMut(CancellationToken) -> Work + Send + 'static,
        Work: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        self.supervisor.spawn(name, make);
    }

    /// Ends the workers, and waits for them until the deadline.
    pub async fn stop_workers(&self) {
        let unfinished = self.supervisor.stop(STOP_LIMIT).await;
        if !unfinished.is_empty() {
            tracing::warn!(
                workers = unfinished.join(", "),
                "did not end in time; what they had not stored is taken up at the next start"
            );
        }
    }

    /// Ends the workers, then the stores, then our own log.
    pub async fn stop(self) {
        self.stop_workers().await;
    }
}
