//! A git repository into the store, as the one that it is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use atalaya_domain::delivery::{Deployment, DeploymentResult};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, Repository, SourceRun, Written};

use super::{GatherError, put_deployments};
use crate::config::DoraConfig;
use crate::source::git::{
    self, Identity, Method, Naming, ORIGIN, Options, Outcome, STAGING, Which, own_name,
};

/// Digits that tell a repository from others of its name.
const TAIL: usize = 7;
/// Deployments that a question names.
const EXAMPLES: usize = 3;

/// What to read and how.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    pub options: Options,
    /// Somebody asked for this way of recognising deployments; else a repository that is known is
    /// read as the last time.
    pub asked: bool,
    /// What the repository does not give any more may be taken out, however much it is.
    pub withdraw: bool,
}

/// What a sync read and changed.
#[derive(Clone, Debug, Default)]
pub struct SyncOutcome {
    pub git: Outcome,
    pub written: Written,
    /// Deployments of earlier syncs that the repository no longer gives (a deleted tag, another
    /// way of recognising them); kept as aborted, so that they count in no formula.
    pub withdrawn: usize,
}

/// A sync that takes out much of what is known, which may be a slip. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldWithdraw {
    pub service: String,
    pub count: usize,
    /// Of so many that are known.
    pub known: usize,
    pub examples: Vec<String>,
    pub reason: String,
}

impl fmt::Display for WouldWithdraw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "this would take {} of the {} deployments of {} out of the figures ({}{}): {}; nothing was changed, and --withdraw does it",
            self.count,
            self.known,
            self.service,
            self.examples.join(", "),
            if self.count > self.examples.len() {
                ", …"
            } else {
                ""
            },
            self.reason
        )
    }
}

impl std::error::Error for WouldWithdraw {}

/// What is configured, overridden by what was asked for.
pub fn sync_options(config: &DoraConfig, tags: Option<&str>, branch: Option<&str>) -> SyncRequest {
    let mut remarks = Vec::new();
    let which = match (tags, branch, &config.tags, &config.branch) {
        (_, Some(branch), _, _) => Which::Merges(branch.to_owned()),
        (Some(tags), None, _, _) => Which::Tags(tags.to_owned()),
        (None, None, tags, Some(branch)) => {
            if let Some(tags) = tags {
                remarks.push(format!(
                    "the configuration has `tags = \"{tags}\"` and `branch = \"{branch}\"`: the branch counts, the tags do not"
                ));
            }
            Which::Merges(branch.clone())
        }
        (None, None, Some(tags), None) => Which::Tags(tags.clone()),
        (None, None, None, None) => Which::Auto,
    };
    SyncRequest {
        asked: which != Which::Auto,
        withdraw: false,
        options: Options {
            which,
            environment: config.environment.clone(),
            service: config.service.clone(),
            team: config.team.clone(),
            revert_cap: Duration::from_hours(u64::from(config.revert_window_hours)),
            remarks,
            ..Options::default()
        },
    }
}

/// Reads a repository on a blocking thread and stores its deployments.
pub async fn sync_git<P>(
    store: &dyn MetricsStore,
    repository: &Path,
    request: SyncRequest,
    now: Timestamp,
    mut progress: P,
) -> Result<SyncOutcome, GatherError>
where
    P: FnMut(usize) + Send + 'static,
{
    let path = repository.to_path_buf();
    let (place, identity) = tokio::task::spawn_blocking(move || git::identify(&path)).await??;
    let registered = Registered::find(store, &place, &identity).await?;
    let mut options = request.options;
    registered.complete(&mut options, request.asked);
    let way = options.which.words();
    let (auto, named) = (
        options.which == Which::Auto,
        options.naming.as_ref().is_some_and(|naming| naming.given),
    );
    let environment = options.environment.clone();
    let path = place.clone();
    let mut git =
        tokio::task::spawn_blocking(move || git::read(&path, &options, &mut progress)).await??;
    let stored = registered.stored(store, &git).await?;
    registered.claim(&stored, &mut git.deployments);
    note_future(&mut git, now);
    if !git.complete && !request.withdraw {
        if auto && registered.has_lost_its_tags(&mut git) {
            return Ok(SyncOutcome {
                git,
                ..SyncOutcome::default()
            });
        }
        registered.keep_more(&stored, &mut git.deployments);
    }

    let mut environments = vec![environment.as_str()];
    if auto {
        environments.push(STAGING);
    }
    let (gone, live) = registered.gone(stored, &git, &environments);
    if !request.withdraw
        && let Some(reason) = registered.question(&way, &git.method, gone.len(), live)
    {
        return Err(GatherError::WouldWithdraw(Box::new(WouldWithdraw {
            service: git.service,
            count: gone.len(),
            known: live,
            examples: gone
                .iter()
                .take(EXAMPLES)
                .map(|gone| gone.id.clone())
                .collect(),
            reason,
        })));
    }
    let mut written = put_deployments(store, &git.deployments).await?;
    written.updated += put_deployments(store, &gone).await?.updated;
    registered
        .remember(store, &git, Read { way, named, now })
        .await?;
    Ok(SyncOutcome {
        git,
        written,
        withdrawn: gone.len(),
    })
}

/// A clock that runs ahead, or a slip: they count when their time comes, and no window has them now.
fn note_future(git: &mut Outcome, now: Timestamp) {
    let ahead = git
        .deployments
        .iter()
        .filter(|deployment| deployment.finished_at > now)
        .count();
    if ahead > 0 {
        git.notes.push(format!(
            "{ahead} deployments are dated in the future and are in no window yet"
        ));
    }
}

/// How a repository was read.
struct Read {
    way: String,
    /// A person named its service.
    named: bool,
    now: Timestamp,
}

/// A repository as the store knows it, or as it will.
struct Registered {
    /// Origin of its deployments.
    id: String,
    known: Option<Repository>,
    naming: Naming,
}

impl Registered {
    async fn find(
        store: &dyn MetricsStore,
        place: &Path,
        identity: &Identity,
    ) -> Result<Self, StoreError> {
        let repositories = store.repositories().await?;
        let known = known_as(&repositories, identity, place).cloned();
        let id = known.as_ref().map_or_else(
            || {
                let key = identity.key(place);
                // A fork has the same first commit.
                if repositories.iter().any(|other| other.id == key) {
                    format!(
                        "{key}:{}",
                        identity
                            .remote
                            .clone()
                            .unwrap_or_else(|| place.display().to_string())
                    )
                } else {
                    key
                }
            },
            |known| known.id.clone(),
        );
        let mut own = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for (origin, service) in store.services_by_origin().await? {
            if origin == id {
                own.insert(service);
            } else if origin.starts_with("git:") {
                taken.insert(service);
            }
        }
        let naming = naming(
            place,
            identity,
            &id,
            known.as_ref(),
            Services { own, taken },
        );
        Ok(Self { id, known, naming })
    }

    /// What is known of the repository, where nothing else was asked for.
    fn complete(&self, options: &mut Options, asked: bool) {
        let mut naming = self.naming.clone();
        if let Some(service) = &options.service {
            naming.base.clone_from(service);
            naming.given = true;
        }
        options.naming = Some(naming);
        let Some(known) = self.known.as_ref().filter(|_| !asked) else {
            return;
        };
        let which = match known.way.split_once(':') {
            Some(("tags", glob)) => Which::Tags(glob.to_owned()),
            Some(("merges", branch)) => Which::Merges(branch.to_owned()),
            _ => Which::Auto,
        };
        if which != options.which {
            options.remarks.push(format!(
                "read as the last time ({}); --auto goes back to version tags",
                known.way
            ));
            options.which = which;
        }
    }

    /// What the store has under the names of this repository, its own and of others.
    async fn stored(
        &self,
        store: &dyn MetricsStore,
        git: &Outcome,
    ) -> Result<Vec<Deployment>, StoreError> {
        let mut services = self.naming.own.clone();
        services.insert(git.service.clone());
        let made = git.deployments.iter();
        services.extend(made.map(|deployment| deployment.service.clone()));
        let mut stored = Vec::new();
        for service in services {
            let filter = DeliveryFilter {
                service: Some(service),
                ..DeliveryFilter::default()
            };
            stored.extend(store.deployments(&filter).await?.read);
        }
        Ok(stored)
    }

    /// Makes deployments this repository's. An id that is another repository's gets a tail.
    fn claim(&self, stored: &[Deployment], deployments: &mut [Deployment]) {
        let others: HashSet<&str> = stored
            .iter()
            .filter(|known| known.origin.starts_with("git:") && known.origin != self.id)
            .map(|known| known.id.as_str())
            .collect();
        let tail = tail(&self.id);
        let own = |id: &mut String| {
            if others.contains(id.as_str()) {
                *id = format!("{id}~{tail}");
            }
        };
        for deployment in deployments {
            deployment.origin.clone_from(&self.id);
            own(&mut deployment.id);
            if let Some(by) = &mut deployment.taken_back_by {
                own(by);
            }
        }
    }

    /// Writes down that the repository was read, and how.
    async fn remember(
        &self,
        store: &dyn MetricsStore,
        git: &Outcome,
        read: Read,
    ) -> Result<(), StoreError> {
        let known = self.known.as_ref().map(identity_of).unwrap_or_default();
        let identity = git.identity.clone().or(known);
        store
            .put_repository(&Repository {
                id: self.id.clone(),
                root_commit: identity.root.unwrap_or_default(),
                remote: identity.remote,
                service: git.service.clone(),
                named: read.named,
                way: read.way,
                method: git.method.to_string(),
                account: git
                    .tags
                    .as_ref()
                    .map(git::TagAccount::words)
                    .unwrap_or_default(),
                path: git.repository.display().to_string(),
                synced_at: read.now,
            })
            .await?;
        store
            .put_source(&SourceRun {
                name: self.id.clone(),
                gives_deployments: true,
                gives_incidents: false,
                synced_at: read.now,
            })
            .await
    }

    /// A shallow clone has few tags or none; its commits are no other deployments than those.
    fn has_lost_its_tags(&self, git: &mut Outcome) -> bool {
        let lost = self.known.as_ref().is_some_and(was_by_tags) && !git.method.is_by_tags();
        if lost {
            git.deployments.clear();
            git.notes.push(
                "this clone has none of the tags that the repository was read by, and nothing was taken from it; `git fetch --tags --unshallow` brings them"
                    .to_owned(),
            );
        }
        lost
    }

    /// What a whole history said of a deployment stays when less of it is read.
    fn keep_more(&self, stored: &[Deployment], deployments: &mut [Deployment]) {
        let known: HashMap<&str, &Deployment> = stored
            .iter()
            .filter(|known| known.origin == self.id)
            .map(|known| (known.id.as_str(), known))
            .collect();
        let count = |commits: &Option<Vec<_>>| commits.as_ref().map(Vec::len);
        for deployment in deployments {
            let Some(known) = known
                .get(deployment.id.as_str())
                .filter(|known| known.commit == deployment.commit)
            else {
                continue;
            };
            if count(&known.commits) > count(&deployment.commits) {
                deployment.commits.clone_from(&known.commits);
                deployment.kind = known.kind;
            }
            if known.result == DeploymentResult::Failed {
                deployment.result = known.result;
                deployment.taken_back_by.clone_from(&known.taken_back_by);
            }
        }
    }

    /// What an earlier sync gave and this one does not, as aborted; and how many it gave at all.
    fn gone(
        &self,
        stored: Vec<Deployment>,
        git: &Outcome,
        environments: &[&str],
    ) -> (Vec<Deployment>, usize) {
        let fresh: HashSet<&str> = git
            .deployments
            .iter()
            .map(|deployment| deployment.id.as_str())
            .collect();
        // What lies before the edge of a cut history is not contradicted by it.
        let edge = if git.complete {
            None
        } else {
            git.deployments
                .iter()
                .map(|deployment| deployment.finished_at)
                .min()
        };
        let mut gone = Vec::new();
        let mut live = 0;
        for mut known in stored {
            // Before repositories were told apart, all had one origin.
            let is_own = known.origin == self.id
                || known.origin == ORIGIN && !self.naming.taken.contains(&known.service);
            if !is_own
                || known.result == DeploymentResult::Aborted
                || !environments.contains(&known.environment.as_str())
            {
                continue;
            }
            live += 1;
            if !fresh.contains(known.id.as_str())
                && edge.is_none_or(|edge| known.finished_at >= edge)
            {
                known.result = DeploymentResult::Aborted;
                known.origin.clone_from(&self.id);
                gone.push(known);
            }
        }
        (gone, live)
    }

    /// Why somebody should say whether this is meant; `None` for what happens to any repository: a
    /// tag is deleted, the first tag is made.
    fn question(&self, way: &str, method: &Method, gone: usize, live: usize) -> Option<String> {
        let known = self.known.as_ref().filter(|_| gone > 0)?;
        if known.way != way {
            return Some(format!("they were read by {} and now by {way}", known.way));
        }
        let first_tag = !was_by_tags(known) && method.is_by_tags();
        (gone > 1 && gone * 2 >= live && !first_tag)
            .then(|| format!("most of what is known is not there any more (found by {method})"))
    }
}

fn was_by_tags(repository: &Repository) -> bool {
    Method::read(&repository.method).is_some_and(|method| method.is_by_tags())
}

fn identity_of(repository: &Repository) -> Identity {
    Identity {
        root: (!repository.root_commit.is_empty()).then(|| repository.root_commit.clone()),
        remote: repository.remote.clone(),
    }
}

/// The repository that this one is: by its remote too before by its first commit alone.
pub(super) fn known_as<'r>(
    repositories: &'r [Repository],
    identity: &Identity,
    place: &Path,
) -> Option<&'r Repository> {
    let same = || {
        repositories
            .iter()
            .filter(|known| identity_of(known).is_same(identity))
    };
    same()
        .find(|known| known.remote == identity.remote)
        .or_else(|| same().next())
        .or_else(|| {
            // Neither a first commit nor a remote: a shallow folder is only where it is.
            let nameless = *identity == Identity::default();
            repositories
                .iter()
                .find(|known| nameless && known.id == identity.key(place))
        })
}

/// Services of this repository, and of all others.
struct Services {
    own: BTreeSet<String>,
    taken: BTreeSet<String>,
}

/// What the parts of a repository are called. Of a repository that is known it comes out as the
/// last time, also when it had to be told from another one then.
fn naming(
    place: &Path,
    identity: &Identity,
    id: &str,
    known: Option<&Repository>,
    services: Services,
) -> Naming {
    let identity = match known {
        Some(known) => identity.clone().or(identity_of(known)),
        None => identity.clone(),
    };
    let own = own_name(place, &identity);
    let is_named = known.is_some_and(|known| known.named);
    let base = match known {
        None => own,
        Some(known) if is_named => known.service.clone(),
        Some(known) if known.service == own => own,
        Some(known) if qualified(&own, &identity, id).contains(&known.service) => own,
        // It had its name before it had a remote, or lay in another folder.
        Some(known) => match known.service.strip_suffix(&format!("~{}", tail(id))) {
            Some(base) => base.to_owned(),
            None => known.service.clone(),
        },
    };
    Naming {
        qualified: qualified(&base, &identity, id),
        given: is_named,
        own: services.own,
        taken: services.taken,
        base,
    }
}

/// `acme/api` and `github.com/acme/api` where the remote says so, and `api~0a1b2c3`, which no other
/// repository has.
fn qualified(base: &str, identity: &Identity, id: &str) -> Vec<String> {
    let remote = identity.remote.as_deref();
    let path = remote
        .and_then(|remote| remote.split_once('/'))
        .map(|(_, path)| path)
        .filter(|path| path.contains('/'));
    let mut names: Vec<String> = [path, remote]
        .into_iter()
        .flatten()
        .filter(|name| *name != base)
        .map(str::to_owned)
        .collect();
    names.push(format!("{base}~{}", tail(id)));
    names
}

/// Seven digits that are this repository's. Forks have their first commit in common, and their
/// remote in their id.
fn tail(id: &str) -> String {
    let own = id.trim_start_matches("git:");
    let is_root = own.len() >= TAIL && own.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = if is_root {
        own.to_owned()
    } else {
        blake3::hash(own.as_bytes()).to_hex().to_string()
    };
    digits.chars().take(TAIL).collect()
}
