//! The repository of the folder that the console was started in: offered when the store has nothing
//! of it, read when a person says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::service::Stores;
use crate::service::dora::{self, Here, SyncRequest};
use crate::tui::tab::reason_of;
use atalaya_domain::time::Timestamp;
use chrono_tz::Tz;

/// What is known of the folder, and what is being done about it.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// `None` where nothing is to be read by hand.
    pub from: Option<(PathBuf, SyncRequest)>,
    pub here: Option<Here>,
    pub running: Option<Running>,
    /// Why the last reading by hand came to nothing.
    pub refused: Option<String>,
}

/// A reading under way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub name: String,
    /// Commits read so far.
    pub commits: Arc<AtomicUsize>,
}

/// What a reading by hand needs.
#[derive(Clone, Debug)]
pub struct Reading {
    pub folder: PathBuf,
    pub request: SyncRequest,
    pub commits: Arc<AtomicUsize>,
    pub now: Timestamp,
}

impl Offer {
    /// The folder to look at, as long as nobody has.
    pub fn to_look_at(&self) -> Option<PathBuf> {
        let (folder, _) = self.from.as_ref()?;
        self.here.is_none().then(|| folder.clone())
    }

    /// The name of a repository that is new to the store.
    pub fn new_name(&self) -> Option<&str> {
        match &self.here {
            Some(Here::New { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Begins to read; `None` where there is nothing to read, or it is being read.
    pub fn start(&mut self, now: Timestamp) -> Option<Reading> {
        let (folder, request) = self.from.clone()?;
        let name = match self.here.as_ref()? {
            Here::NoRepository => return None,
            Here::Known(known) => known.service.clone(),
            Here::New { name, .. } => name.clone(),
        };
        if self.running.is_some() {
            return None;
        }
        let commits = Arc::new(AtomicUsize::new(0));
        self.refused = None;
        self.running = Some(Running {
            name,
            commits: Arc::clone(&commits),
        });
        Some(Reading {
            folder,
            request,
            commits,
            now,
        })
    }

    /// One line for the screen; `None` when there is nothing to say.
    pub fn line(&self) -> Option<String> {
        if let Some(running) = &self.running {
            let commits = running.commits.load(Ordering::Relaxed);
            return Some(format!("reading {}: {commits} commits", running.name));
        }
        match (&self.refused, self.new_name()) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(name)) => Some(format!(
                "{name}, the repository here, is new to this store: S reads its deployments"
            )),
            (None, None) => None,
        }
    }
}

impl super::DoraTab {
    /// `the 30 days to 2026-07-14, the last with deployments`.
    pub(super) fn last_window_named(&self, zone: Tz) -> Option<String> {
        let last = self.figures.as_ref()?.loaded.last_window?;
        let days = last.length().as_secs_f64() / 86_400.0;
        let day = dora::last_day(last, zone);
        Some(format!(
            "the {days:.0} days to {day}, the last with deployments"
        ))
    }
}

/// Looks at a folder; an error is as good as no repository, since nothing was asked.
pub(super) async fn look(stores: &Stores, folder: &Path) -> Here {
    dora::here(&*stores.metrics, folder)
        .await
        .unwrap_or(Here::NoRepository)
}

/// Reads the repository; what came of it in one line.
pub(super) async fn read(stores: &Stores, reading: Reading) -> Result<String, String> {
    let commits = Arc::clone(&reading.commits);
    let outcome = dora::sync_git(
        &*stores.metrics,
        &reading.folder,
        reading.request,
        reading.now,
        move |read| commits.store(read, Ordering::Relaxed),
    )
    .await
    .map_err(|error| reason_of(&error))?;
    Ok(format!(
        "{}: {} deployments from {}",
        outcome.git.service,
        outcome.git.deployments.len(),
        outcome.git.method
    ))
}
