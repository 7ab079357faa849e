//! Repositories of GitHub into the store: deployments or runs of a workflow, incidents, the commits
//! that were deployed, pull requests.
//!
//! Promises: everything may be read again and changes nothing then; each page is stored before the
//! next is asked for, with how far the list was read, so that a run that is cut short anywhere (a
//! rate limit, a kill, a lost connection) goes on there; one list that cannot be read takes no other
//! one with it, but a limit ends the run.

use std::collections::BTreeMap;

use std::time::Duration;

use reqwest::Url;

use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{MetricsStore, Repository, Written};

use super::{GatherError, connect};
use crate::config::{ConfigError, GithubRepositoryConfig, Settings};
use crate::http;
use crate::source::git::Naming;
use crate::source::github::{AskError, Client, GithubError};

mod commits;
mod deployments;
mod issues;
mod listing;
mod pulls;
mod reader;
mod watch;

use reader::Reader;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct GithubRequest {
    pub repositories: Vec<GithubRepositoryConfig>,
    /// As the address of a clone has it: `github.com`.
    pub host: String,
    pub incident_labels: Vec<String>,
    /// How far back a first reading goes.
    pub history: Duration,
    /// What production is called here.
    pub environment: String,
    /// A revert fails a deployment that went out at most this long before it.
    pub revert_cap: Duration,
}

/// What a sync read and changed.
#[derive(Debug, Default)]
pub struct GithubOutcome {
    pub repositories: Vec<RepositoryOutcome>,
    pub requests: u32,
    /// Requests that were answered by "as it was".
    pub not_modified: u32,
}

/// The same of one repository.
#[derive(Debug, Default)]
pub struct RepositoryOutcome {
    /// `acme/shop`.
    pub name: String,
    pub deployments: Written,
    pub incidents: Written,
    pub pull_requests: Written,
    /// New ones that deployments carried.
    pub commits: u64,
    pub notes: Vec<String>,
    /// Lists that were not read to their end.
    pub failures: Vec<Failure>,
}

/// A list that was not read to its end.
#[derive(Debug)]
pub struct Failure {
    /// `deployments`, `pull requests` …
    pub what: &'static str,
    pub error: AskError,
}

impl GithubOutcome {
    /// The failure that decides what is to be done, if there is any: one that somebody has to mend
    /// before one that passes.
    pub fn failure(&self) -> Option<&Failure> {
        let all = || self.repositories.iter().flat_map(|one| &one.failures);
        all()
            .find(|failure| !failure.error.passes())
            .or_else(|| all().next())
    }
}

/// How far a sync is, for people who wait.
#[derive(Clone, Copy, Debug)]
pub struct GithubProgress<'a> {
    pub repository: &'a str,
    pub what: &'static str,
    /// Sent so far.
    pub requests: u32,
}

/// Why a list was left.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is configured, narrowed to the repositories that are named; one that is not configured is
/// read by the defaults.
///
/// # Errors
/// A name is no `owner/name`, or there is nothing to read.
pub fn github_request(settings: &Settings, names: &[String]) -> Result<GithubRequest, GatherError> {
    let github = &settings.github;
    let mut repositories = github.repositories.clone();
    if !names.is_empty() {
        repositories.clear();
        for name in names {
            let known = github
                .repositories
                .iter()
                .filter(|known| known.name.eq_ignore_ascii_case(name));
            let before = repositories.len();
            repositories.extend(known.cloned());
            if repositories.len() == before {
                repositories.push(GithubRepositoryConfig {
                    name: name.clone(),
                    ..GithubRepositoryConfig::default()
                });
            }
        }
    }
    if repositories.is_empty() {
        return Err(GatherError::NothingToRead);
    }
    settings.check_github(&repositories)?;
    Ok(GithubRequest {
        repositories,
        host: host_of(&github.base_url),
        incident_labels: github.incident_labels.clone(),
        history: Duration::from_hours(u64::from(github.history_days) * 24),
        environment: settings.dora.environment.clone(),
        revert_cap: Duration::from_hours(u64::from(settings.dora.revert_window_hours)),
    })
}

/// What clones are made from, of the API's address.
fn host_of(base_url: &str) -> String {
    let host = Url::parse(base_url.trim())
        .ok()
        .and_then(|url| url.host_str().map(str::to_lowercase))
        .unwrap_or_default();
    host.strip_prefix("api.").unwrap_or(&host).to_owned()
}

/// Whom the configuration says to ask.
///
/// # Errors
/// The token or the certificates cannot be read.
pub async fn github_client(settings: &Settings) -> Result<Client, GatherError> {
    let token = settings.github_token()?;
    let base = settings.github.base_url.clone();
    let ca_file = settings.github.ca_file.clone();
    let opened = tokio::task::spawn_blocking(move || {
        http::client(ca_file.as_deref()).and_then(|client| Client::new(client, &base, token))
    })
    .await?;
    opened.map_err(|message| {
        GatherError::Config(ConfigError::Invalid {
            place: "github".to_owned(),
            message,
        })
    })
}

/// Reads everything that is new.
///
/// # Errors
/// The store failed. What GitHub did not give is in the outcome.
pub async fn sync_github(
    store: &dyn MetricsStore,
    client: &Client,
    request: &GithubRequest,
    now: Timestamp,
    progress: &(dyn Fn(GithubProgress<'_>) + Send + Sync),
) -> Result<GithubOutcome, StoreError> {
    let limit = reader::Limit::new(store, &request.host);
    if let Some(until) = limit.known().await? {
        client.wait_until(until);
    }
    let mut by_name: BTreeMap<String, Vec<&GithubRepositoryConfig>> = BTreeMap::new();
    for entry in &request.repositories {
        by_name
            .entry(entry.name.to_lowercase())
            .or_default()
            .push(entry);
    }
    let mut outcome = GithubOutcome::default();
    for entries in by_name.values() {
        let Some(first) = entries.first() else {
            continue;
        };
        let reader = Reader {
            store,
            client,
            source: format!("github:{}/{}", request.host, first.name.to_lowercase()),
            repository: &first.name,
            oldest: now.saturating_sub(request.history),
            now,
            progress,
        };
        let one = sync_one(&reader, entries, request).await?;
        let limited = one.failures.iter().find_map(|failure| match failure.error {
            AskError::Limited { until } => Some(until),
            _ => None,
        });
        outcome.repositories.push(one);
        if let Some(until) = limited {
            limit.remember(until, now).await?;
            break;
        }
    }
    (outcome.requests, outcome.not_modified) = client.counts();
    Ok(outcome)
}

/// All lists of one repository. What was read before a failure is brought together all the same.
async fn sync_one(
    reader: &Reader<'_>,
    entries: &[&GithubRepositoryConfig],
    request: &GithubRequest,
) -> Result<RepositoryOutcome, StoreError> {
    let mut outcome = RepositoryOutcome {
        name: reader.repository.to_owned(),
        ..RepositoryOutcome::default()
    };
    let naming = naming(reader, request).await?;
    let mut lists = Lists {
        outcome: &mut outcome,
        gave_up: false,
    };
    for entry in entries {
        let read = deployments::read(reader, entry, &naming, request, lists.outcome).await;
        lists.ended("deployments", read)?;
    }
    let mut incidents_read = false;
    if !request.incident_labels.is_empty() && !lists.gave_up {
        let service = entries
            .iter()
            .find_map(|entry| entry.service.clone())
            .unwrap_or_else(|| naming.whole());
        let read = issues::read(reader, &request.incident_labels, &service, lists.outcome).await;
        incidents_read = lists.ended("issues", read)?;
    }
    if !lists.gave_up {
        let read = commits::read(reader, lists.outcome).await;
        lists.ended("commits", read)?;
    }
    if !lists.gave_up {
        let read = pulls::read(reader, lists.outcome).await;
        lists.ended("pull requests", read)?;
    }
    let known = commits::assign(reader, request.revert_cap, &mut outcome).await?;
    connect(
        reader.store,
        &reader.source,
        known > 0,
        incidents_read,
        reader.now,
    )
    .await?;
    Ok(outcome)
}

/// The lists of one repository, one after the other.
struct Lists<'a> {
    outcome: &'a mut RepositoryOutcome,
    /// What stopped one will stop the others.
    gave_up: bool,
}

impl Lists<'_> {
    /// Whether it was read to its end.
    fn ended(&mut self, what: &'static str, read: Result<(), Stop>) -> Result<bool, StoreError> {
        match read {
            Ok(()) => Ok(true),
            Err(Stop::Store(error)) => Err(error),
            Err(Stop::Ask(error)) => {
                self.gave_up |= error.passes();
                self.outcome.failures.push(Failure { what, error });
                Ok(false)
            }
        }
    }
}

/// What the services of the repository are called: as the git repository that it is, where that is
/// known, and never as another repository's.
async fn naming(reader: &Reader<'_>, request: &GithubRequest) -> Result<Naming, StoreError> {
    let remote = format!("{}/{}", request.host, reader.repository);
    let is_same = |repository: &&Repository| {
        let known = repository.remote.as_deref();
        known.is_some_and(|known| known.eq_ignore_ascii_case(&remote))
    };
    let repositories = reader.store.repositories().await?;
    let git = repositories.iter().find(is_same);
    let mut naming = Naming {
        base: match git {
            Some(git) if git.named => git.service.clone(),
            _ => short(reader.repository).to_owned(),
        },
        given: git.is_some_and(|git| git.named),
        qualified: vec![reader.repository.to_owned(), remote],
        ..Naming::default()
    };
    for (origin, service) in reader.store.services_by_origin().await? {
        if origin == reader.source || git.is_some_and(|git| git.id == origin) {
            naming.own.insert(service);
        } else if origin.starts_with("git:") || origin.starts_with("github:") {
            naming.taken.insert(service);
        }
    }
    Ok(naming)
}

/// The name of a repository without its owner.
fn short(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}

/// Things of a list that could not be read, counted: one that is odd takes no other one with it.
#[derive(Debug, Default)]
struct Odd {
    count: usize,
    first: Option<String>,
}

impl Odd {
    /// The thing, unless it is odd.
    fn sort<T>(&mut self, read: Result<T, GithubError>) -> Option<T> {
        match read {
            Ok(thing) => Some(thing),
            Err(error) => {
                self.count += 1;
                self.first.get_or_insert_with(|| error.to_string());
                None
            }
        }
    }

    fn note(self, things: &str, notes: &mut Vec<String>) {
        if let Some(first) = self.first {
            notes.push(format!(
                "{} {things} could not be read: {first}",
                self.count
            ));
        }
    }
}

impl Failure {
    pub const fn class(&self) -> ErrorClass {
        self.error.class()
    }
}
