//! Deployments out of a git repository: version tags, or merges into a branch.
//!
//! Reads the object database itself (gix), so it needs no git program. Blocking: callers run it on
//! a blocking thread. What it promises about odd repositories:
//!
//! - **Tags on one commit** are one deployment of each service, named by the most specific tag
//!   (`v1.2.3` before `v1.2`), unless a later one releases the commit again after another; what
//!   became of each tag is in [`Outcome::tags`].
//! - **Time** is the tagger's for an annotated tag and the commit's for a lightweight one, never
//!   before the commit itself.
//! - **Pre-releases** (`v2.0.0-rc.1`) go to the environment `staging`, unless a pattern was given:
//!   what matches a given pattern is what was asked for.
//! - **No tag** falls back to merges into the default branch, and where there are none to every
//!   commit of its first-parent line. [`Outcome::method`] says which it was.
//! - **Shallow clones** and histories past [`Options::max_commits`] are read as far as they go; the
//!   outcome says where they were cut.

mod deployments;
mod history;
mod identity;
mod method;
mod naming;
mod tags;

use std::path::{Path, PathBuf};
use std::time::Duration;

use atalaya_domain::error_class::ErrorClass;

use atalaya_domain::delivery::Deployment;
use atalaya_domain::dora::PRODUCTION;

pub(crate) use deployments::is_hotfix;
pub use deployments::{Carries, Mark, assign};
pub use history::{Commit, History};
pub(crate) use history::{named, request_id, reverts};
pub use identity::Identity;
pub use method::Method;
pub use naming::Naming;
pub use tags::{STAGING, TagAccount, TagPattern};

/// Origin of a deployment until the repository's own key is known.
pub const ORIGIN: &str = "git";

/// What is taken for a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Version tags, else merges into the default branch, else its first-parent commits.
    #[default]
    Auto,
    /// Tags that match this glob.
    Tags(String),
    /// Merges into this branch.
    Merges(String),
}

impl Which {
    /// `auto`, `tags:v*`, `merges:main`.
    pub fn words(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Tags(glob) => format!("tags:{glob}"),
            Self::Merges(branch) => format!("merges:{branch}"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub which: Which,
    /// `None`: what the remote is called, else the repository's directory.
    pub service: Option<String>,
    /// Names beside those of other repositories; `None` when there are no others.
    pub naming: Option<Naming>,
    pub team: Option<String>,
    pub environment: String,
    /// A revert fails a deployment that went out at most this long before it.
    pub revert_cap: Duration,
    /// Commits read at most, newest first.
    pub max_commits: usize,
    /// What is to be said about these options themselves.
    pub remarks: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            which: Which::Auto,
            service: None,
            naming: None,
            team: None,
            environment: PRODUCTION.to_owned(),
            revert_cap: Duration::from_hours(7 * 24),
            max_commits: 300_000,
            remarks: Vec::new(),
        }
    }
}

/// What a repository gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Root of the working tree, or the directory of a bare repository.
    pub repository: PathBuf,
    pub identity: Identity,
    pub service: String,
    /// How deployments were recognised.
    pub method: Method,
    pub deployments: Vec<Deployment>,
    pub commits_read: usize,
    /// What became of the tags; `None` where they were not looked at.
    pub tags: Option<TagAccount>,
    /// Whether the whole history was there and was read.
    pub complete: bool,
    /// What a reader should know: a shallow clone, a cut history, tags that name no commit.
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{path} does not exist; name a repository with --repo PATH")]
    NoSuchPath { path: PathBuf },
    #[error("{path} is not in a git repository ({reason}); name one with --repo PATH")]
    NotARepository { path: PathBuf, reason: String },
    #[error("{path} has no branch `{branch}`; it has {known}")]
    NoBranch {
        path: PathBuf,
        branch: String,
        known: String,
    },
    #[error("`{pattern}` is not a tag pattern: {reason}; one looks like `v*` or `release-*`")]
    Pattern { pattern: String, reason: String },
    #[error("cannot read {what} of {path}: {reason}; `git fsck` in it may tell more")]
    Unreadable {
        path: PathBuf,
        what: &'static str,
        reason: String,
    },
}

impl GitError {
    /// Who has to do what before the same succeeds.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NoSuchPath { .. } | Self::NotARepository { .. } | Self::NoBranch { .. } => {
                ErrorClass::Missing
            }
            Self::Pattern { .. } => ErrorClass::Usage,
            Self::Unreadable { .. } => ErrorClass::Broken,
        }
    }
}

/// What the repository at or above this path is, and where it is.
pub fn identify(path: &Path) -> Result<(PathBuf, Identity), GitError> {
    let repository = open(path)?;
    let place = place_of(&repository);
    let reader = history::Reader {
        repository: &repository,
        place: &place,
        max_commits: 0,
    };
    let identity = identity::of(&reader)?;
    Ok((place, identity))
}

/// What a repository is called by itself: the last part of its remote, else its directory.
pub fn own_name(place: &Path, identity: &Identity) -> String {
    identity
        .name()
        .map_or_else(|| directory_name(place), str::to_owned)
}

/// Reads a repository. `progress` is called now and then with the number of commits read so far.
pub fn read(
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(usize),
) -> Result<Outcome, GitError> {
    let repository = open(path)?;
    let place = place_of(&repository);
    let reader = history::Reader {
        repository: &repository,
        place: &place,
        max_commits: options.max_commits,
    };
    let identity = identity::of(&reader)?;
    let naming = options.naming.clone().unwrap_or_else(|| {
        let base = options.service.clone();
        Naming {
            given: base.is_some(),
            base: base.unwrap_or_else(|| own_name(&place, &identity)),
            ..Naming::default()
        }
    });
    let mut outcome = Outcome {
        repository: place.clone(),
        identity,
        service: naming.whole(),
        notes: options.remarks.clone(),
        ..Outcome::default()
    };
    let Some((history, marks)) = marks(&reader, options, &naming, &mut outcome, progress)? else {
        return Ok(outcome);
    };
    outcome.commits_read = history.len();
    outcome.complete = history.is_complete();
    outcome.notes.extend(history.notes());
    let assigned = assign(&history, marks, options.team.as_deref(), options.revert_cap);
    if assigned.cut > 0 {
        outcome.notes.push(format!(
            "{} deployments carry more than {} commits; the newest of them are kept",
            assigned.cut,
            deployments::MAX_COMMITS
        ));
    }
    outcome.deployments = assigned.deployments;
    Ok(outcome)
}

/// The history with its marks; `None` when there is nothing. Tells the outcome by which method.
fn marks(
    reader: &history::Reader<'_>,
    options: &Options,
    naming: &Naming,
    outcome: &mut Outcome,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(History, Vec<Mark>)>, GitError> {
    let pattern = match &options.which {
        Which::Tags(glob) => Some(TagPattern::glob(glob)?),
        Which::Auto => Some(TagPattern::version()),
        Which::Merges(_) => None,
    };
    let Some(pattern) = pattern else {
        return branch_marks(reader, options, outcome, progress);
    };
    let found = tags::find(reader, &pattern)?;
    let mut account = found.account.clone();
    if found.tags.is_empty() && options.which == Which::Auto {
        outcome.tags = Some(account);
        return branch_marks(reader, options, outcome, progress);
    }
    let history = reader.read(&found.tips(), progress)?;
    let marks = tags::marks(&history, &found.tags, naming, options, &mut account);
    outcome.method = match &options.which {
        Which::Tags(glob) => Method::Tags(glob.clone()),
        _ => Method::VersionTags,
    };
    outcome.tags = Some(account);
    Ok(Some((history, marks)))
}

fn branch_marks(
    reader: &history::Reader<'_>,
    options: &Options,
    outcome: &mut Outcome,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(History, Vec<Mark>)>, GitError> {
    let branch = if let Which::Merges(name) = &options.which {
        reader.branch(name)?
    } else {
        reader.default_branch()?
    };
    let Some((name, tip)) = branch else {
        outcome.method = Method::Nothing;
        return Ok(None);
    };
    let history = reader.read(&[tip], progress)?;
    let (marks, merges) = deployments::branch_marks(
        &history,
        &tip.to_string(),
        &outcome.service,
        options,
        options.which == Which::Auto,
    );
    outcome.method = match (&options.which, merges) {
        (Which::Merges(_), _) => Method::Merges(name),
        (_, true) => Method::MergesWithoutTags(name),
        (_, false) => Method::EveryCommit(name),
    };
    Ok(Some((history, marks)))
}

/// The commit that is checked out where `path` is; `None` outside of a repository.
pub fn head_commit(path: &Path) -> Option<String> {
    Some(gix::discover(path).ok()?.head_id().ok()?.to_string())
}

/// Whether a path lies in a git repository.
pub fn is_repository(path: &Path) -> bool {
    gix::discover(path).is_ok()
}

fn open(path: &Path) -> Result<gix::Repository, GitError> {
    if !path.exists() {
        return Err(GitError::NoSuchPath {
            path: path.to_path_buf(),
        });
    }
    let mut repository = gix::discover(path).map_err(|error| GitError::NotARepository {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    repository.object_cache_size_if_unset(8 << 20);
    Ok(repository)
}

fn place_of(repository: &gix::Repository) -> PathBuf {
    let place = repository
        .workdir()
        .unwrap_or_else(|| repository.git_dir())
        .to_path_buf();
    place.canonicalize().unwrap_or(place)
}

fn directory_name(place: &Path) -> String {
    let name = place
        .components()
        .rev()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .find(|name| name != ".git" && name != "/")
        .unwrap_or_else(|| "repository".to_owned());
    name.strip_suffix(".git")
        .map_or(name.clone(), str::to_owned)
}
