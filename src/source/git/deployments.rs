//! From commits and marks to deployments: what each carries, what was reverted, what was urgent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::history::History;
use super::{ORIGIN, Options};
use atalaya_domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// Commits kept of one deployment.
pub const MAX_COMMITS: usize = 5_000;

/// A commit that is a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub id: String,
    pub commit: String,
    pub at: Timestamp,
    pub service: String,
    pub environment: String,
    /// Its tag or branch says that it was urgent.
    pub hotfix: bool,
    pub carries: Carries,
    /// The numbers of its version, where its tag has any.
    pub version: Vec<u64>,
    /// The request that its tag or merge names.
    pub request_id: Option<RequestId>,
}

/// Which of its new commits a deployment is said to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    All,
    /// All but the marked one: a merge that only marks the deployment is no change.
    AllButItself,
    /// Not said: where every commit is taken for a deployment, the time from the one to the other
    /// is nothing, and nothing is not a lead time.
    Unknown,
}

/// What [`assign`] made.
#[derive(Debug, Default)]
pub struct Assigned {
    /// By finish time.
    pub deployments: Vec<Deployment>,
    /// Deployments that carry more than [`MAX_COMMITS`].
    pub cut: usize,
}

/// Whether a tag, branch or subject names an urgent repair.
pub(crate) fn is_hotfix(text: &str) -> bool {
    static WORDS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(?:^|[^a-z])(?:hot-?fix|emergency)(?:$|[^a-z])").ok());
    WORDS.as_ref().is_some_and(|words| words.is_match(text))
}

/// Merges on the first-parent line of a branch; without any and if `or_all`, all its commits.
///
/// The flag says whether merges were found.
pub(super) fn branch_marks(
    history: &History,
    tip: &str,
    service: &str,
    options: &Options,
    or_all: bool,
) -> (Vec<Mark>, bool) {
    let mut line = Vec::new();
    let mut next = history.find(tip);
    while let Some(index) = next {
        line.push(index);
        // The first parent may lie beyond the edge of what was read; then the line ends.
        next = history
            .commit(index)
            .parents
            .first()
            .and_then(|sha| history.find(sha));
    }
    let merges: Vec<u32> = line
        .iter()
        .copied()
        .filter(|&index| history.commit(index).parents.len() > 1)
        .collect();
    let found = !merges.is_empty();
    let chosen = if !found && or_all { line } else { merges };
    let marks = chosen
        .into_iter()
        .map(|index| {
            let commit = history.commit(index);
            Mark {
                id: format!("{service}@{}", commit.sha.get(..12).unwrap_or(&commit.sha)),
                commit: commit.sha.clone(),
                at: commit.committed_at,
                service: service.to_owned(),
                environment: options.environment.clone(),
                hotfix: is_hotfix(&commit.title),
                carries: if found {
                    Carries::AllButItself
                } else {
                    Carries::Unknown
                },
                version: Vec::new(),
                request_id: commit.request_id.clone(),
            }
        })
        .collect();
    (marks, found)
}

/// Gives each mark the commits that no earlier deployment of its service and environment carried.
///
/// The first of each has no predecessor, so its commits are unknown. A deployment failed when it
/// carried a commit and not its revert, and the revert was made after it had gone out: at most
/// `revert_cap` after it, as by then it is a change of mind. A revert within one deployment, one
/// that is taken back itself, the same revert brought to another branch, and the revert of a revert
/// fail nothing.
///
/// A deployment is a rollback when most of its changes are such reverts, or when it releases an
/// older commit again under a version that is not lower.
pub fn assign(
    history: &History,
    marks: Vec<Mark>,
    team: Option<&str>,
    revert_cap: Duration,
) -> Assigned {
    let mut lines: BTreeMap<(String, String), Vec<Mark>> = BTreeMap::new();
    for mark in marks {
        lines
            .entry((mark.service.clone(), mark.environment.clone()))
            .or_default()
            .push(mark);
    }
    let mut assigned = Assigned::default();
    let taken_back = history.taken_back();
    for marks in lines.into_values() {
        let mut line = Line {
            history,
            taken_back: &taken_back,
            revert_cap,
            carrier: HashMap::new(),
            deployments: Vec::new(),
            tips: Vec::new(),
            last: None,
            cut: 0,
        };
        for (index, mark) in in_order(history, marks) {
            line.deploy(index, mark, team);
        }
        assigned.deployments.append(&mut line.deployments);
        assigned.cut += line.cut;
    }
    assigned
        .deployments
        .sort_by(|a, b| (a.finished_at, &a.id).cmp(&(b.finished_at, &b.id)));
    assigned
}

fn in_order(history: &History, marks: Vec<Mark>) -> Vec<(u32, Mark)> {
    let mut marks: Vec<(u32, Mark)> = marks
        .into_iter()
        .filter_map(|mark| history.find(&mark.commit).map(|index| (index, mark)))
        .collect();
    // Newest first is the order of the indices, so of one second the higher index is the elder.
    marks.sort_by(|(a_index, a), (b_index, b)| (a.at, b_index).cmp(&(b.at, a_index)));
    marks
}

/// The deployments of one service in one environment, one after the other.
struct Line<'h> {
    history: &'h History,
    taken_back: &'h HashMap<u32, Vec<u32>>,
    revert_cap: Duration,
    /// Which deployment carried a commit first.
    carrier: HashMap<u32, usize>,
    deployments: Vec<Deployment>,
    /// The commit of each.
    tips: Vec<u32>,
    /// Commit and version of the last one.
    last: Option<(u32, Vec<u64>)>,
    cut: usize,
}

impl Line<'_> {
    fn deploy(&mut self, index: u32, mark: Mark, team: Option<&str>) {
        let history = self.history;
        let position = self.deployments.len();
        let mut new = take_new(history, index, position, &mut self.carrier);
        // What the first one carried nobody knows: of a history that is known in part it is a part.
        let urgent = mark.hotfix
            || is_hotfix(&history.commit(index).title)
            || (position > 0 && all_urgent(history, &new));
        let rollback = position > 0
            && (self.releases_older(index, &mark, &new) || self.takes_back(&new, &mark.id));
        if mark.carries == Carries::AllButItself {
            new.retain(|&commit| commit != index);
        }
        // Indices run from new to old.
        new.sort_unstable_by_key(|&commit| std::cmp::Reverse(commit));
        if position > 0 && new.len() > MAX_COMMITS {
            self.cut += 1;
            new.drain(..new.len() - MAX_COMMITS);
        }
        self.last = Some((index, mark.version));
        self.tips.push(index);
        self.deployments.push(Deployment {
            id: mark.id,
            service: mark.service,
            team: team.map(str::to_owned),
            environment: mark.environment,
            commit: Some(mark.commit),
            started_at: None,
            finished_at: mark.at,
            result: DeploymentResult::Success,
            kind: match (rollback, urgent) {
                (true, _) => DeploymentKind::Rollback,
                (false, true) => DeploymentKind::Hotfix,
                (false, false) => DeploymentKind::Normal,
            },
            request_id: mark.request_id,
            cycle_id: None,
            origin: ORIGIN.to_owned(),
            taken_back_by: None,
            commits: (position > 0 && mark.carries != Carries::Unknown).then(|| {
                new.iter()
                    .map(|&commit| deployed(history, commit))
                    .collect()
            }),
        });
    }

    /// Whether nothing is new because what was out before is out again; the one before it failed
    /// then. A lower version is a release of an older line beside the newer one.
    fn releases_older(&mut self, index: u32, mark: &Mark, new: &[u32]) -> bool {
        let Some((last, version)) = &self.last else {
            return false;
        };
        let is_lower = !mark.version.is_empty() && mark.version < *version;
        if !new.is_empty() || *last == index || is_lower {
            return false;
        }
        if let Some(before) = self.deployments.last_mut() {
            fail(before, &mark.id);
        }
        true
    }

    /// Marks what the new commits take back, and says whether that is most of what they do.
    fn takes_back(&mut self, new: &[u32], id: &str) -> bool {
        let history = self.history;
        let again: HashSet<u32> = new
            .iter()
            .flat_map(|&index| originals(history, index))
            .collect();
        let reverts: Vec<u32> = new
            .iter()
            .copied()
            .filter(|index| is_revert(history, *index) && !again.contains(index))
            .collect();
        let mut any = false;
        for &revert in &reverts {
            let made_at = history.commit(revert).committed_at;
            for original in originals(history, revert) {
                let Some(&position) = self.carrier.get(&original) else {
                    continue;
                };
                if self.is_undone(original, position) {
                    continue;
                }
                let Some(carried) = self.deployments.get_mut(position) else {
                    continue; // within this deployment
                };
                if made_at >= carried.finished_at
                    && made_at.since(carried.finished_at) <= self.revert_cap
                {
                    fail(carried, id);
                    any = true;
                }
            }
        }
        let changes = new
            .iter()
            .filter(|&&index| history.commit(index).parents.len() < 2)
            .count();
        any && reverts.len() * 2 > changes
    }

    /// Whether a commit is in what this deployment released. One that went out earlier may stand on
    /// another line.
    fn holds(&self, position: usize, commit: u32) -> bool {
        match self.carrier.get(&commit) {
            None => false,
            Some(&at) if at >= position => at == position,
            Some(_) => self.tips.get(position).is_some_and(|&tip| {
                let mut seen = HashSet::from([tip]);
                let mut waiting = vec![tip];
                while let Some(index) = waiting.pop() {
                    if index == commit {
                        return true;
                    }
                    let parents = self.history.parents(index).iter().copied();
                    waiting.extend(parents.filter(|parent| seen.insert(*parent)));
                }
                false
            }),
        }
    }

    /// Whether what this deployment released holds a revert of the commit too, so that the commit
    /// did not reach anybody with it. A revert that is taken back in the same way is none.
    fn is_undone(&self, commit: u32, position: usize) -> bool {
        // Reverts of reverts: each one that went out turns the answer.
        let mut undone = false;
        let mut seen = HashSet::from([commit]);
        let mut last = commit;
        while let Some(next) = self
            .taken_back
            .get(&last)
            .into_iter()
            .flatten()
            .copied()
            .filter(|revert| self.holds(position, *revert))
            .min() // the newest
            .filter(|next| seen.insert(*next))
        {
            undone = !undone;
            last = next;
        }
        undone
    }
}

fn fail(deployment: &mut Deployment, by: &str) {
    deployment.result = DeploymentResult::Failed;
    if deployment.taken_back_by.is_none() {
        deployment.taken_back_by = Some(by.to_owned());
    }
}

/// The known commits that this one takes back.
fn originals(history: &History, index: u32) -> impl Iterator<Item = u32> {
    history
        .commit(index)
        .reverts
        .iter()
        .filter_map(|sha| history.find(sha))
}

/// Takes back a change; taking back a revert brings the change again.
fn is_revert(history: &History, index: u32) -> bool {
    let commit = history.commit(index);
    !commit.reverts.is_empty()
        && !originals(history, index).any(|original| !history.commit(original).reverts.is_empty())
}

/// Everything reachable from `tip` that no earlier deployment of this line reached.
fn take_new(
    history: &History,
    tip: u32,
    place: usize,
    carrier: &mut HashMap<u32, usize>,
) -> Vec<u32> {
    let mut new = Vec::new();
    let mut waiting = vec![tip];
    while let Some(index) = waiting.pop() {
        if carrier.contains_key(&index) {
            continue;
        }
        carrier.insert(index, place);
        new.push(index);
        waiting.extend(history.parents(index));
    }
    new
}

fn all_urgent(history: &History, new: &[u32]) -> bool {
    let mut changes = new
        .iter()
        .map(|&index| history.commit(index))
        .filter(|commit| commit.parents.len() < 2)
        .peekable();
    changes.peek().is_some() && changes.all(|commit| is_hotfix(&commit.title))
}

fn deployed(history: &History, index: u32) -> DeployedCommit {
    let commit = history.commit(index);
    DeployedCommit {
        sha: commit.sha.clone(),
        authored_at: commit.authored_at,
        committed_at: commit.committed_at,
        title: commit.title.clone(),
        reverts: is_revert(history, index),
    }
}

#[cfg(test)]
mod tests;
