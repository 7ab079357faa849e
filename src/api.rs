//! The HTTP API of `atalaya serve`: the same use cases as the console and the command line, so that
//! a figure is the same everywhere.
//!
//! Reading order: [`server`] (connections and their limits), [`request`] (what each passes before it
//! is answered), [`auth`] (tokens and how often), [`routes`] (one file for each resource), and what
//! these share: [`params`], [`answer`], [`problem`].

mod answer;
mod auth;
mod body;
mod links;
mod measured;
mod memory;
mod params;
mod peer;
mod problem;
mod request;
mod routes;
mod server;
mod tls;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Semaphore;

use crate::config::Settings;
use crate::service::Stores;
use crate::service::jobs::JobInfo;

pub use server::{ApiError, run};

/// Names the jobs as they are configured now.
pub type JobInfos = Box<dyn Fn() -> Vec<JobInfo> + Send + Sync>;

/// What answers need.
pub struct Api {
    stores: Stores,
    settings: Settings,
    jobs: JobInfos,
    guard: auth::Guard,
    health: Arc<measured::Measured>,
    /// Phases are recorded one after the other: each looks at those before it.
    recording: Semaphore,
    /// A token was used since this was last written down.
    was_asked: AtomicBool,
    is_writing: AtomicBool,
}

/// Shared by every connection.
pub type Shared = Arc<Api>;

impl Api {
    pub fn new(stores: Stores, settings: Settings, jobs: JobInfos) -> Shared {
        Arc::new(Self {
            guard: auth::Guard::new(&settings.api),
            stores,
            settings,
            jobs,
            health: Arc::default(),
            recording: Semaphore::new(1),
            was_asked: AtomicBool::new(false),
            is_writing: AtomicBool::new(false),
        })
    }
}
