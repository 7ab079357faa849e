//! Pull requests: what was proposed, who answered, when it was merged; and the issues they name.
//!
//! How long each part took is computed in `dora::stages`; where pull requests come from is in
//! `source`.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Deployment;
use crate::time::Timestamp;

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullRequestState {
    Open,
    Merged,
    /// Closed without being merged.
    Closed,
}

impl PullRequestState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }
}

/// A change proposed to a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Stable for the source that it came from.
    pub id: String,
    /// The repository that it is merged into.
    pub repository: String,
    /// Unique in its repository, together with the numbers of issues.
    pub number: u64,
    pub title: String,
    pub description: String,
    pub url: String,
    /// Account that opened it; `None` when the account is gone.
    pub author: Option<String>,
    pub draft: bool,
    pub labels: Vec<String>,
    /// The repository that the branch is of; `None` when it was deleted.
    pub head_repository: Option<String>,
    pub head_branch: String,
    pub head_sha: String,
    pub base_branch: String,
    pub base_sha: String,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub merged_at: Option<Timestamp>,
    /// The commit that the merge made. A source may name one before the merge, as a trial: only
    /// together with `merged_at` is it in the base branch.
    pub merge_sha: Option<String>,
}

impl PullRequest {
    pub const fn state(&self) -> PullRequestState {
        match (self.merged_at, self.closed_at) {
            (Some(_), _) => PullRequestState::Merged,
            (None, Some(_)) => PullRequestState::Closed,
            (None, None) => PullRequestState::Open,
        }
    }
}

/// What is kept of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSummary {
    /// Stable for the source that it came from.
    pub id: String,
    /// The repository that it is merged into.
    pub repository: String,
    pub number: u64,
    pub title: String,
    pub author: Option<String>,
    pub head_branch: Option<String>,
    pub head_sha: Option<String>,
    /// Earliest author date of its branch; `None` while nobody has looked.
    pub first_commit_at: Option<Timestamp>,
    /// Latest author date of its branch.
    pub last_commit_at: Option<Timestamp>,
    pub opened_at: Timestamp,
    /// The first word of somebody else than its author.
    pub first_review_at: Option<Timestamp>,
    pub merged_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub merge_sha: Option<String>,
}

/// Dates the commits of squash merges back to the first commit of their branch, as nobody began the
/// work when it was merged; returns how many were.
///
/// A merge whose branch is out as well (`head_sha`) has its commits there, and a rebased one keeps
/// its author dates: both stay as they are.
pub fn date_squash_merges(deployments: &mut [Deployment], pulls: &[PullSummary]) -> usize {
    let merged: HashMap<&str, &PullSummary> = pulls
        .iter()
        .filter(|pull| pull.merged_at.is_some())
        .filter_map(|pull| Some((pull.merge_sha.as_deref()?, pull)))
        .collect();
    if merged.is_empty() {
        return 0;
    }
    let out: HashSet<String> = deployments
        .iter()
        .flat_map(|deployment| deployment.commits.iter().flatten())
        .map(|commit| commit.sha.clone())
        .collect();
    let mut dated = 0;
    let commits = deployments
        .iter_mut()
        .filter_map(|deployment| deployment.commits.as_mut());
    for commit in commits.flatten() {
        let Some(pull) = merged.get(commit.sha.as_str()) else {
            continue;
        };
        let (Some(first), Some(last)) = (pull.first_commit_at, pull.last_commit_at) else {
            continue;
        };
        let branch_is_out = pull
            .head_sha
            .as_ref()
            .is_some_and(|head| *head != commit.sha && out.contains(head));
        if !branch_is_out && commit.authored_at > last && first < commit.authored_at {
            commit.authored_at = first;
            dated += 1;
        }
    }
    dated
}

/// A commit of a pull request's branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedCommit {
    pub sha: String,
    pub authored_at: Timestamp,
}

/// What somebody said to a pull request: a comment, or a review with its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    pub id: String,
    /// Account; `None` when it is gone.
    pub author: Option<String>,
    pub at: Timestamp,
    pub text: String,
    /// `None` for a plain comment.
    pub verdict: Option<Verdict>,
    /// The commit that was looked at.
    pub sha: Option<String>,
}

/// What a review ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Commented,
    Approved,
    ChangesRequested,
    Dismissed,
}

impl Verdict {
    pub const ALL: [Self; 4] = [
        Self::Commented,
        Self::Approved,
        Self::ChangesRequested,
        Self::Dismissed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Commented => "commented",
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
            Self::Dismissed => "dismissed",
        }
    }

    /// In any case; `None` for a review that was not handed in yet (`pending`).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.name().eq_ignore_ascii_case(word))
    }
}

/// An issue, as far as pull requests are tied to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IssueRef {
    pub id: String,
    pub repository: String,
    pub number: u64,
}

/// The issue numbers that a pull request names as `#n` in its title, description or head branch, in
/// that order and each once. Its own number is not among them.
///
/// `owner/name#n` names another repository's issue and is left out; a number that belongs to a
/// word on its right (`#12ab`, a colour) is none.
pub fn named_issues(pull: &PullRequest) -> Vec<u64> {
    let mut found = Vec::new();
    for text in [&pull.title, &pull.description, &pull.head_branch] {
        for (at, _) in text.match_indices('#') {
            if of_another_repository(&text[..at]) {
                continue;
            }
            let rest = &text[at + 1..];
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if rest[digits..].starts_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            if let Ok(number) = rest[..digits].parse::<u64>()
                && number != pull.number
                && !found.contains(&number)
            {
                found.push(number);
            }
        }
    }
    found
}

/// Whether what stands before a `#` is `owner/name`. A branch such as `fix/login#12` has a slash
/// too, but its first part is a word for the kind of work, not an account.
fn of_another_repository(before: &str) -> bool {
    const KINDS: [&str; 8] = [
        "fix", "feat", "feature", "bugfix", "hotfix", "chore", "issue", "release",
    ];
    let word = before
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let word = word.trim_start_matches(['(', '[']);
    word.split_once('/').is_some_and(|(owner, name)| {
        !owner.is_empty() && !name.is_empty() && !name.contains('/') && !KINDS.contains(&owner)
    })
}

/// A pull request and an issue of the same repository that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssueLink<'a> {
    pub pull: &'a PullRequest,
    pub issue: &'a IssueRef,
}

/// Ties pull requests to the issues they name. Order: that of the pull requests, then that of the
/// names. A number without an issue (a discussion, another pull request, a typing error) ties nothing.
pub fn link_issues<'a>(pulls: &'a [PullRequest], issues: &'a [IssueRef]) -> Vec<IssueLink<'a>> {
    let mut links = Vec::new();
    for pull in pulls {
        for number in named_issues(pull) {
            let issue = issues
                .iter()
                .find(|issue| issue.number == number && issue.repository == pull.repository);
            links.extend(issue.map(|issue| IssueLink { pull, issue }));
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(title: &str, description: &str, branch: &str) -> PullRequest {
        PullRequest {
            id: "pr-7".to_owned(),
            repository: "shop/web".to_owned(),
            number: 7,
            title: title.to_owned(),
            description: description.to_owned(),
            url: String::new(),
            author: None,
            draft: false,
            labels: Vec::new(),
            head_repository: None,
            head_branch: branch.to_owned(),
            head_sha: String::new(),
            base_branch: "main".to_owned(),
            base_sha: String::new(),
            opened_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
            closed_at: None,
            merged_at: None,
            merge_sha: None,
        }
    }

    #[test]
    fn issues_are_named_with_a_number_sign() {
        for (title, description, branch, numbers) in [
            (
                "fix: pay by card #12",
                "closes #9, #12",
                "fix#3",
                vec![12, 9, 3],
            ),
            ("no issue", "", "feature/login", vec![]),
            (
                "colour #12ab34 and #1f",
                "# heading",
                "fix/login#5",
                vec![5],
            ),
            ("see other/repo#4 (owner/name#5)", "and (#6)", "x", vec![6]),
            (
                "#7 is this one",
                "#99999999999999999999999",
                "#0008",
                vec![8],
            ),
        ] {
            assert_eq!(
                named_issues(&pull(title, description, branch)),
                numbers,
                "{title}"
            );
        }
    }

    #[test]
    fn only_an_issue_of_the_same_repository_is_tied() {
        let issue = |repository: &str, number| IssueRef {
            id: format!("{repository}/{number}"),
            repository: repository.to_owned(),
            number,
        };
        let issues = [
            issue("shop/api", 1),
            issue("shop/web", 1),
            issue("shop/web", 2),
        ];
        let pulls = [pull("#1 and #3", "", "")];
        let ids: Vec<&str> = link_issues(&pulls, &issues)
            .iter()
            .map(|link| link.issue.id.as_str())
            .collect();
        assert_eq!(ids, ["shop/web/1"]);
    }

    #[test]
    fn merged_beats_closed() {
        let mut pull = pull("", "", "");
        assert_eq!(pull.state(), PullRequestState::Open);
        pull.closed_at = Some(Timestamp::from_seconds(9));
        assert_eq!(pull.state(), PullRequestState::Closed);
        pull.merged_at = pull.closed_at;
        assert_eq!(pull.state(), PullRequestState::Merged);
    }
}
