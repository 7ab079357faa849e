//! From commits and marks to deployments: what each carries, what was reverted, what was urgent.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::Options;
use super::history::{Commit, History};
use atalaya_domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
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
pub(super) fn is_hotfix(text: &str) -> bool {
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
            }
        })
        .collect();
    (marks, found)
}

/// Gives each mark the commits that no earlier deployment of its service and environment carried.
///
/// The first of each has no predecessor, so its commits are unknown. A commit that says "This
/// reverts commit …" makes the deployment that carried the original a failed one and its own a
/// rollback; a revert within one deployment, or of a revert, makes neither.
pub fn assign(history: &History, marks: Vec<Mark>, team: Option<&str>) -> Assigned {
    let mut lines: BTreeMap<(String, String), Vec<Mark>> = BTreeMap::new();
    for mark in marks {
        lines
            .entry((mark.service.clone(), mark.environment.clone()))
            .or_default()
            .push(mark);
    }
    let mut assigned = Assigned::default();
    for marks in lines.into_values() {
        assign_line(history, marks, team, &mut assigned);
    }
    assigned
        .deployments
        .sort_by(|a, b| (a.finished_at, &a.id).cmp(&(b.finished_at, &b.id)));
    assigned
}

fn assign_line(history: &History, marks: Vec<Mark>, team: Option<&str>, assigned: &mut Assigned) {
    let mut marks: Vec<(u32, Mark)> = marks
        .into_iter()
        .filter_map(|mark| history.find(&mark.commit).map(|index| (index, mark)))
        .collect();
    // Newest first is the order of the indices, so of one second the higher index is the elder.
    marks.sort_by(|(a_index, a), (b_index, b)| (a.at, b_index).cmp(&(b.at, a_index)));
    let mut carrier: HashMap<u32, usize> = HashMap::new();
    let first = assigned.deployments.len();
    for (position, (index, mark)) in marks.into_iter().enumerate() {
        let place = first + position;
        let mut new = take_new(history, index, place, &mut carrier);
        let kind = if mark.hotfix
            || is_hotfix(&history.commit(index).title)
            || all_urgent(history, &new)
        {
            DeploymentKind::Hotfix
        } else {
            DeploymentKind::Normal
        };
        let rollback = position > 0
            && mark_reverted(history, &new, place, &carrier, &mut assigned.deployments);
        if mark.carries == Carries::AllButItself {
            new.retain(|&commit| commit != index);
        }
        // Indices run from new to old.
        new.sort_unstable_by_key(|&commit| std::cmp::Reverse(commit));
        if position > 0 && new.len() > MAX_COMMITS {
            assigned.cut += 1;
            new.drain(..new.len() - MAX_COMMITS);
        }
        assigned.deployments.push(Deployment {
            id: mark.id,
            service: mark.service,
            team: team.map(str::to_owned),
            environment: mark.environment,
            commit: Some(mark.commit),
            started_at: None,
            finished_at: mark.at,
            result: DeploymentResult::Success,
            kind: if rollback {
                DeploymentKind::Rollback
            } else {
                kind
            },
            request_id: None,
            cycle_id: None,
            origin: "git".to_owned(),
            commits: (position > 0 && mark.carries != Carries::Unknown).then(|| {
                new.iter()
                    .map(|&commit| deployed(history.commit(commit)))
                    .collect()
            }),
        });
    }
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

/// Whether one of the new commits takes back what an earlier deployment carried; those are marked.
fn mark_reverted(
    history: &History,
    new: &[u32],
    place: usize,
    carrier: &HashMap<u32, usize>,
    deployments: &mut [Deployment],
) -> bool {
    let mut any = false;
    for original in new.iter().flat_map(|&index| &history.commit(index).reverts) {
        let Some(index) = history.find(original) else {
            continue;
        };
        if !history.commit(index).reverts.is_empty() {
            continue; // taking back a revert brings the change again: nothing failed
        }
        if let Some(&earlier) = carrier.get(&index)
            && earlier < place
            && let Some(deployment) = deployments.get_mut(earlier)
        {
            deployment.result = DeploymentResult::Failed;
            any = true;
        }
    }
    any
}

fn deployed(commit: &Commit) -> DeployedCommit {
    DeployedCommit {
        sha: commit.sha.clone(),
        authored_at: commit.authored_at,
        committed_at: commit.committed_at,
        title: commit.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn commit(sha: &str, parents: &[&str], at: i64, title: &str) -> Commit {
        Commit {
            sha: sha.to_owned(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            authored_at: Timestamp::from_seconds(at),
            committed_at: Timestamp::from_seconds(at),
            title: title.to_owned(),
            reverts: super::super::history::reverts(title),
        }
    }

    fn mark(id: &str, commit: &str, at: i64) -> Mark {
        Mark {
            id: id.to_owned(),
            commit: commit.to_owned(),
            at: Timestamp::from_seconds(at),
            service: "shop".to_owned(),
            environment: "production".to_owned(),
            hotfix: false,
            carries: Carries::All,
        }
    }

    fn carried(deployment: &Deployment) -> Option<Vec<&str>> {
        deployment
            .commits
            .as_ref()
            .map(|commits| commits.iter().map(|commit| commit.sha.as_str()).collect())
    }

    /// a - b - d(merge of b, c) - e; c branches off a.
    fn history() -> History {
        History::new(vec![
            commit("eeeeeee", &["ddddddd"], 50, "This reverts commit bbbbbbb."),
            commit(
                "ddddddd",
                &["bbbbbbb", "ccccccc"],
                40,
                "Merge branch 'topic'",
            ),
            commit("ccccccc", &["aaaaaaa"], 30, "c"),
            commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
            commit("aaaaaaa", &[], 10, "a"),
        ])
    }

    #[test]
    fn each_commit_goes_to_the_first_deployment_that_reaches_it() {
        let made = assign(
            &history(),
            vec![mark("v2", "ddddddd", 45), mark("v1", "bbbbbbb", 25)],
            Some("blue"),
        );
        assert_eq!(made.deployments.len(), 2);
        assert_eq!(carried(&made.deployments[0]), None); // nothing is known before the first
        assert_eq!(
            carried(&made.deployments[1]),
            Some(vec!["ccccccc", "ddddddd"])
        );
        assert_eq!(made.deployments[1].team.as_deref(), Some("blue"));
    }

    #[test]
    fn a_revert_fails_the_original_and_is_a_rollback() {
        use DeploymentResult::{Failed, Success};
        let marks = vec![
            mark("v1", "aaaaaaa", 12),
            mark("v2", "bbbbbbb", 25),
            mark("v3", "ddddddd", 45),
            mark("v4", "eeeeeee", 55),
        ];
        let made = assign(&history(), marks, None);
        let results: Vec<DeploymentResult> = made
            .deployments
            .iter()
            .map(|deployment| deployment.result)
            .collect();
        assert_eq!(results, [Success, Failed, Success, Success]);
        assert_eq!(made.deployments[3].kind, DeploymentKind::Rollback);
    }

    #[test]
    fn a_revert_before_anything_went_out_is_nothing() {
        let made = assign(
            &history(),
            vec![mark("v1", "aaaaaaa", 12), mark("v2", "eeeeeee", 55)],
            None,
        );
        assert!(made.deployments.iter().all(|deployment| {
            deployment.result == DeploymentResult::Success
                && deployment.kind == DeploymentKind::Normal
        }));
    }

    #[test]
    fn an_older_commit_deployed_again_carries_nothing() {
        let made = assign(
            &history(),
            vec![
                mark("v1", "aaaaaaa", 12),
                mark("v2", "ddddddd", 45),
                mark("v1-again", "bbbbbbb", 60),
            ],
            None,
        );
        assert_eq!(carried(&made.deployments[2]), Some(vec![]));
    }

    #[test]
    fn services_and_environments_have_lines_of_their_own() {
        let staging = Mark {
            environment: "staging".to_owned(),
            ..mark("rc", "ddddddd", 41)
        };
        let made = assign(
            &history(),
            vec![
                mark("v1", "aaaaaaa", 12),
                staging,
                mark("v2", "ddddddd", 45),
            ],
            None,
        );
        let production = made
            .deployments
            .iter()
            .find(|deployment| deployment.id == "v2")
            .unwrap();
        assert_eq!(carried(production).unwrap().len(), 3);
    }

    #[test]
    fn merges_of_a_branch_and_octopus_merges() {
        let history = History::new(vec![
            commit(
                "fffffff",
                &["ddddddd", "bbbbbbb", "ccccccc"],
                50,
                "Merge branches 'hotfix/a' and 'b'",
            ),
            commit("ccccccc", &["aaaaaaa"], 30, "c"),
            commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
            commit("ddddddd", &["aaaaaaa"], 15, "straight to the branch"),
            commit("aaaaaaa", &[], 10, "a"),
        ]);
        let (marks, merges) = branch_marks(&history, "fffffff", "shop", &Options::default(), true);
        assert!(merges);
        assert_eq!(marks.len(), 1);
        assert!(marks[0].hotfix && marks[0].carries == Carries::AllButItself);
        let made = assign(
            &history,
            [mark("v0", "aaaaaaa", 11)]
                .into_iter()
                .chain(marks)
                .collect(),
            None,
        );
        assert_eq!(
            carried(&made.deployments[1]),
            Some(vec!["ddddddd", "bbbbbbb", "ccccccc"])
        );
        assert_eq!(made.deployments[1].kind, DeploymentKind::Hotfix);
    }

    #[test]
    fn a_branch_without_merges_deploys_every_commit_if_asked() {
        let straight = History::new(vec![
            commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
            commit("aaaaaaa", &[], 10, "a"),
        ]);
        let (marks, merges) = branch_marks(&straight, "bbbbbbb", "shop", &Options::default(), true);
        assert_eq!((marks.len(), merges), (2, false));
        let made = assign(&straight, marks, None);
        assert!(
            made.deployments
                .iter()
                .all(|deployment| deployment.commits.is_none())
        );
        assert!(
            branch_marks(&straight, "bbbbbbb", "shop", &Options::default(), false)
                .0
                .is_empty()
        );
    }

    #[test]
    fn words_of_urgency() {
        for text in [
            "hotfix/login",
            "v1.2.3-hotfix.1",
            "Hot-fix: totals",
            "emergency release",
            "Merge branch 'hotfix/x'",
        ] {
            assert!(is_hotfix(text), "{text}");
        }
        for text in ["fix: typo", "shotfixed", "feature/hotfixes-page"] {
            assert!(!is_hotfix(text), "{text}");
        }
    }
}
