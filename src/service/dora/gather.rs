//! Facts into the store: from a git repository, from the older tool's file, one at a time, and by
//! a person's word.

use std::path::PathBuf;

use atalaya_domain::delivery::Deployment;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{MetricsStore, SourceRun, Written};

use crate::config::ConfigError;
use crate::source::git::GitError;
use crate::source::sdlc_file::SdlcFileError;

mod git;
mod github;
mod here;
mod import;
mod incidents;
mod post;
mod record;

pub use git::{SyncOutcome, SyncRequest, WouldWithdraw, sync_git, sync_options};
pub use github::{
    Failure, GithubOutcome, GithubProgress, GithubRequest, RepositoryOutcome, github_client,
    github_request, sync_github,
};
pub use here::{Here, here, sync_due};
pub use import::{ImportOutcome, import_file};
pub use incidents::{Cause, IncidentError, NewIncident, link, open, resolve};
pub use post::{Posted, post};
pub use record::{RUN_ID, Recorded, record, record_anyway};

/// Rows in one transaction: long enough to be quick, short enough to let others write between.
const BATCH: usize = 500;
/// Larger than any recorder file that was ever seen; keeps a wrong path from filling the disk.
const FILE_LIMIT: u64 = 256 << 20;

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
    WouldWithdraw(Box<WouldWithdraw>),
    #[error(
        "no repository of GitHub is named: name one (`atalaya dora sync --github acme/shop`) or write [[github.repositories]] into the configuration"
    )]
    NothingToRead,
    #[error(transparent)]
    Config(#[from] ConfigError),
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
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::File { .. }
            | Self::WouldWithdraw(_)
            | Self::NothingToRead => ErrorClass::Usage,
            Self::Config(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Interrupted(_) => ErrorClass::Broken,
        }
    }
}

async fn put_deployments(
    store: &dyn MetricsStore,
    deployments: &[Deployment],
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    for batch in deployments.chunks(BATCH) {
        written += store.put_deployments(batch).await?;
    }
    Ok(written)
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
