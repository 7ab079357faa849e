//! The commits between deployments, and what follows from them: which deployment carried which
//! change, what was taken back, what was urgent. The same rules as for a git repository, by the same
//! code.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use atalaya_domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::SourceCommit;

use super::deployments::{BROKE, HOTFIX};
use super::reader::{Reader, list};
use super::{Odd, RepositoryOutcome, Stop, deployments};
use crate::source::git::{self, Carries, Commit, History, Mark};
use crate::source::github;

/// Commits that GitHub does not have any more, of which the newest are remembered.
const GONE: usize = 500;

/// In place of the commit before the first one.
const FIRST: &str = "first";

/// What is remembered of commits.
#[derive(Default, Serialize, Deserialize)]
struct Gone {
    shas: Vec<String>,
}

/// Reads the commits that brought each deployment from the one before it.
///
/// Both directions of each pair, so that also after a rollback or beside another line nothing is
/// taken for new that an earlier one carried: what of its commits the next one left behind is known
/// then, with the way to it.
pub(super) async fn read(reader: &Reader<'_>, outcome: &mut RepositoryOutcome) -> Result<(), Stop> {
    let mut gone: Gone = reader.load("commits gone").await?;
    let mut had: HashSet<String> = known_shas(reader).await?;
    let said = reader.store.source_words(&reader.source).await?;
    let said: HashSet<(String, String)> = said.into_iter().collect();
    let mut odd = Odd::default();
    for line in lines(deployments::known(reader).await?).into_values() {
        let mut before: Option<String> = None;
        for deployment in line {
            let Some(sha) = deployment.commit.filter(|sha| is_id(sha)) else {
                continue;
            };
            let base = before.replace(sha.clone());
            let pair = (
                format!("compared {}", deployment.id),
                base.clone().unwrap_or_else(|| FIRST.to_owned()),
            );
            if base.as_ref() == Some(&sha) || gone.shas.contains(&sha) || said.contains(&pair) {
                continue;
            }
            reader.says("commits");
            let mut question = Question {
                reader,
                odd: &mut odd,
            };
            let base = base.as_deref().filter(|base| had.contains(*base));
            let commits = question.between(base, &sha, had.contains(&sha)).await?;
            had.extend(commits.iter().map(|commit| commit.sha.clone()));
            let rows: Vec<SourceCommit> = commits.into_iter().map(row).collect();
            let store = reader.store;
            outcome.commits += store.put_source_commits(&reader.source, &rows).await?;
            if had.contains(&sha) {
                let (deployment, word) = &pair;
                store
                    .put_source_words(&reader.source, deployment, &[word.as_str()])
                    .await?;
            } else {
                gone.shas.push(sha);
                let many = gone.shas.len().saturating_sub(GONE);
                gone.shas.drain(..many);
                reader.save("commits gone", &gone).await?;
            }
        }
    }
    odd.note("commits", &mut outcome.notes);
    if !gone.shas.is_empty() {
        outcome.notes.push(format!(
            "{} deployed commits are not there any more, so that nobody knows what they carried",
            gone.shas.len()
        ));
    }
    Ok(())
}

async fn known_shas(reader: &Reader<'_>) -> Result<HashSet<String>, StoreError> {
    let known = reader.store.source_commits(&reader.source).await?;
    Ok(known.into_iter().map(|commit| commit.sha).collect())
}

/// What reached users, by service and environment, in order.
fn lines(known: HashMap<String, Deployment>) -> BTreeMap<(String, String), Vec<Deployment>> {
    let mut lines: BTreeMap<(String, String), Vec<Deployment>> = BTreeMap::new();
    for deployment in known.into_values() {
        if deployment.result != DeploymentResult::Aborted {
            lines
                .entry((deployment.service.clone(), deployment.environment.clone()))
                .or_default()
                .push(deployment);
        }
    }
    for line in lines.values_mut() {
        line.sort_by(|one, other| (one.finished_at, &one.id).cmp(&(other.finished_at, &other.id)));
    }
    lines
}

/// What stands in an address must be an id.
fn is_id(sha: &str) -> bool {
    (7..=64).contains(&sha.len()) && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
}

struct Question<'a> {
    reader: &'a Reader<'a>,
    odd: &'a mut Odd,
}

impl Question<'_> {
    /// What only one of the two has, and `head`; without a base, or one that GitHub cannot compare
    /// with, `head` alone unless it is known.
    async fn between(
        &mut self,
        base: Option<&str>,
        head: &str,
        head_is_known: bool,
    ) -> Result<Vec<Commit>, Stop> {
        if let Some(base) = base
            && let Some((mut commits, joint)) = self.compare(base, head).await?
        {
            let Some(joint) = joint.filter(|joint| joint.sha != base) else {
                return Ok(commits);
            };
            if let Some((left_behind, _)) = self.compare(head, base).await? {
                commits.extend(left_behind);
            }
            if joint.sha == head {
                commits.push(joint);
            }
            return Ok(commits);
        }
        if head_is_known {
            return Ok(Vec::new());
        }
        let place = self.reader.place(&format!("commits/{head}"));
        let one = self.reader.all(&place, |body| Some(vec![body])).await?;
        Ok(self.commits(one.unwrap_or_default()))
    }

    /// What `head` has and `base` has not, and where the two parted.
    async fn compare(
        &mut self,
        base: &str,
        head: &str,
    ) -> Result<Option<(Vec<Commit>, Option<Commit>)>, Stop> {
        let place = format!("compare/{base}...{head}?per_page=100");
        let place = self.reader.place(&place);
        let mut joint = Value::Null;
        // Each page says it again.
        let part = |mut body: Value| {
            joint = body.get_mut("merge_base_commit").map(Value::take)?;
            list(body.get_mut("commits")?.take())
        };
        let Some(found) = self.reader.all(&place, part).await? else {
            return Ok(None);
        };
        let commits = self.commits(found);
        let joint = (!joint.is_null())
            .then(|| self.odd.sort(github::commit(&joint.to_string())))
            .flatten();
        Ok(Some((commits, joint)))
    }

    fn commits(&mut self, found: Vec<Value>) -> Vec<Commit> {
        let found = found.into_iter();
        found
            .filter_map(|commit| self.odd.sort(github::commit(&commit.to_string())))
            .collect()
    }
}

fn row(commit: Commit) -> SourceCommit {
    SourceCommit {
        sha: commit.sha,
        parents: commit.parents,
        reverts: commit.reverts,
        authored_at: commit.authored_at,
        committed_at: commit.committed_at,
        title: commit.title,
        request_id: commit.request_id,
    }
}

/// Gives each deployment what it carried, by everything that is known; returns how many deployments
/// are known.
pub(super) async fn assign(
    reader: &Reader<'_>,
    revert_cap: Duration,
    outcome: &mut RepositoryOutcome,
) -> Result<usize, StoreError> {
    let known = deployments::known(reader).await?;
    let count = known.len();
    let merges: HashMap<u64, String> = reader
        .store
        .pull_requests(reader.repository)
        .await?
        .into_iter()
        .filter(|pull| pull.merged_at.is_some())
        .filter_map(|pull| Some((pull.number, pull.merge_sha?)))
        .collect();
    let commits = reader.store.source_commits(&reader.source).await?;
    let commits = commits
        .into_iter()
        .map(|commit| known_commit(commit, &merges));
    let history = History::new(commits.collect());
    let said = reader.store.source_words(&reader.source).await?;
    let said: HashSet<(String, String)> = said.into_iter().collect();
    let says = |id: &str, word: &str| said.contains(&(id.to_owned(), word.to_owned()));
    let reached = || {
        known
            .values()
            .filter(|deployment| deployment.result != DeploymentResult::Aborted)
    };
    let marks = reached().filter_map(|one| mark(one, says(&one.id, HOTFIX)));
    let assigned = git::assign(&history, marks.collect(), None, revert_cap);
    if assigned.cut > 0 {
        outcome.notes.push(format!(
            "{} deployments carry more commits than are kept",
            assigned.cut
        ));
    }
    let mut concluded: HashMap<String, Deployment> = assigned
        .deployments
        .into_iter()
        .map(|deployment| (deployment.id.clone(), deployment))
        .collect();
    let changed: Vec<Deployment> = reached()
        .filter_map(|before| {
            let mut after = with(before, concluded.remove(&before.id));
            if says(&before.id, BROKE) {
                after.result = DeploymentResult::Failed;
            }
            if after.kind == DeploymentKind::Normal && says(&before.id, HOTFIX) {
                after.kind = DeploymentKind::Hotfix;
            }
            (after != *before).then_some(after)
        })
        .collect();
    let written = super::super::put_deployments(reader.store, &changed).await?;
    outcome.deployments.updated += written.updated;
    Ok(count)
}

fn known_commit(row: SourceCommit, merges: &HashMap<u64, String>) -> Commit {
    let reverts = row.reverts.into_iter().filter_map(|id| {
        match id.strip_prefix('#') {
            // The commit that the pull request became.
            Some(number) => merges.get(&number.parse().ok()?).cloned(),
            None => Some(id),
        }
    });
    Commit {
        reverts: reverts.collect(),
        sha: row.sha,
        parents: row.parents,
        authored_at: row.authored_at,
        committed_at: row.committed_at,
        title: row.title,
        request_id: row.request_id,
    }
}

fn mark(deployment: &Deployment, hotfix: bool) -> Option<Mark> {
    Some(Mark {
        id: deployment.id.clone(),
        commit: deployment.commit.clone()?,
        at: deployment.finished_at,
        service: deployment.service.clone(),
        environment: deployment.environment.clone(),
        hotfix,
        carries: Carries::All,
        version: Vec::new(),
        request_id: deployment.request_id.clone(),
    })
}

/// A deployment with what its commits say; without them it went well as far as is known.
fn with(before: &Deployment, concluded: Option<Deployment>) -> Deployment {
    let (result, kind, taken_back_by, commits) = match concluded {
        Some(concluded) => (
            concluded.result,
            concluded.kind,
            concluded.taken_back_by,
            concluded.commits,
        ),
        None => (
            DeploymentResult::Success,
            DeploymentKind::Normal,
            None,
            None,
        ),
    };
    Deployment {
        result,
        kind,
        taken_back_by,
        commits,
        ..before.clone()
    }
}
