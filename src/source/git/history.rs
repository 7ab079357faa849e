//! The commits of a repository in memory, and reading them out of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;
use regex::Regex;
use smallvec::SmallVec;

use super::GitError;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// Longest subject kept, in characters.
const TITLE_CHARS: usize = 200;
/// Digits of a whole commit id: of SHA-1 and of SHA-256.
const WHOLE_IDS: [usize; 2] = [40, 64];
/// Digits from which on the beginning of an id names a commit.
const FEWEST_DIGITS: usize = 7;

/// What is kept of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    pub parents: Vec<String>,
    pub authored_at: Timestamp,
    pub committed_at: Timestamp,
    pub title: String,
    /// Commits that this one says it reverts.
    pub reverts: Vec<String>,
    /// The request that its message names.
    pub request_id: Option<RequestId>,
}

/// Commits by index, with their parents as indices; newest first.
#[derive(Debug, Default)]
pub struct History {
    commits: Vec<Commit>,
    parents: Vec<SmallVec<[u32; 2]>>,
    by_sha: HashMap<String, u32>,
    /// Indices in the order of their ids; made when somebody asks by the beginning of one.
    sorted: OnceLock<Vec<u32>>,
    /// Reading stopped at the limit.
    cut: bool,
    /// The clone itself ends before the first commit.
    shallow: bool,
}

impl History {
    /// Parents that are not among `commits` (a shallow clone, a cut) are as if they were not.
    pub fn new(commits: Vec<Commit>) -> Self {
        let by_sha: HashMap<String, u32> = commits
            .iter()
            .enumerate()
            .map(|(index, commit)| (commit.sha.clone(), index as u32))
            .collect();
        let parents = commits
            .iter()
            .map(|commit| {
                commit
                    .parents
                    .iter()
                    .filter_map(|sha| by_sha.get(sha).copied())
                    .collect()
            })
            .collect();
        Self {
            commits,
            parents,
            by_sha,
            sorted: OnceLock::new(),
            cut: false,
            shallow: false,
        }
    }

    pub fn len(&self) -> usize {
        self.commits.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    pub fn commit(&self, index: u32) -> &Commit {
        &self.commits[index as usize]
    }

    /// Index of a commit, by its full id or an unambiguous beginning of seven digits or more.
    pub fn find(&self, sha: &str) -> Option<u32> {
        if let Some(&index) = self.by_sha.get(sha) {
            return Some(index);
        }
        if sha.len() < FEWEST_DIGITS || WHOLE_IDS.contains(&sha.len()) {
            return None;
        }
        let known = |index: u32| self.commit(index).sha.as_str();
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted: Vec<u32> = self.by_sha.values().copied().collect();
            sorted.sort_unstable_by_key(|&index| known(index));
            sorted
        });
        let first = sorted.partition_point(|&index| known(index) < sha);
        let mut matching = sorted[first..]
            .iter()
            .copied()
            .take_while(|&index| known(index).starts_with(sha));
        let index = matching.next()?;
        matching.next().is_none().then_some(index)
    }

    /// For each commit that is taken back, the commits that say so.
    pub(super) fn taken_back(&self) -> HashMap<u32, Vec<u32>> {
        let mut taken_back: HashMap<u32, Vec<u32>> = HashMap::new();
        for (index, commit) in (0_u32..).zip(&self.commits) {
            for original in commit.reverts.iter().filter_map(|sha| self.find(sha)) {
                taken_back.entry(original).or_default().push(index);
            }
        }
        taken_back
    }

    pub(super) fn parents(&self, index: u32) -> &[u32] {
        &self.parents[index as usize]
    }

    pub(super) const fn is_complete(&self) -> bool {
        !self.cut && !self.shallow
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.shallow {
            notes.push(
                "a shallow clone: commits before its edge are not seen; `git fetch --unshallow` brings them"
                    .to_owned(),
            );
        }
        if self.cut {
            notes.push(format!(
                "only the newest {} commits were read",
                self.commits.len()
            ));
        }
        notes
    }
}

/// An opened repository with what its errors need.
pub(super) struct Reader<'r> {
    pub repository: &'r gix::Repository,
    pub place: &'r Path,
    pub max_commits: usize,
}

impl Reader<'_> {
    pub fn unreadable(&self, what: &'static str) -> impl Fn(gix::Error) -> GitError + '_ {
        move |error| GitError::Unreadable {
            path: self.place.to_path_buf(),
            what,
            reason: error.to_string(),
        }
    }

    /// Everything reachable from the tips, newest first.
    pub fn read(
        &self,
        tips: &[gix::ObjectId],
        progress: &mut dyn FnMut(usize),
    ) -> Result<History, GitError> {
        if tips.is_empty() {
            return Ok(History::default());
        }
        let walk = self
            .repository
            .rev_walk(tips.iter().copied())
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .all()
            .map_err(self.unreadable("the history"))?;
        let mut commits = Vec::new();
        let mut cut = false;
        for step in walk {
            let step = step.map_err(self.unreadable("the history"))?;
            if commits.len() >= self.max_commits {
                cut = true;
                break;
            }
            let object = step.object().map_err(self.unreadable("a commit"))?;
            commits.push(self.commit(&object)?);
            if commits.len() % 1_000 == 0 {
                progress(commits.len());
            }
        }
        progress(commits.len());
        let shallow = self
            .repository
            .is_shallow()
            .map_err(self.unreadable("the shallow file"))?;
        Ok(History {
            cut,
            shallow,
            ..History::new(commits)
        })
    }

    fn commit(&self, commit: &gix::Commit<'_>) -> Result<Commit, GitError> {
        let decoded = commit.decode().map_err(self.unreadable("a commit"))?;
        let seconds = |signature: gix::Result<gix::actor::SignatureRef<'_>>| {
            signature.map(|by| by.seconds()).unwrap_or_default()
        };
        let title = gix::objs::commit::MessageRef::from_bytes(decoded.message).title;
        let title = title.to_string();
        let message = decoded.message.to_string();
        Ok(Commit {
            sha: commit.id().to_string(),
            parents: commit.parent_ids().map(|id| id.to_string()).collect(),
            authored_at: Timestamp::from_seconds(seconds(decoded.author())),
            committed_at: Timestamp::from_seconds(seconds(decoded.committer())),
            title: title.trim().chars().take(TITLE_CHARS).collect(),
            reverts: reverts(&message),
            request_id: request_id(&message),
        })
    }

    /// The first commit of the default branch, along first parents; `None` when the clone does not
    /// hold it, or without commits.
    pub fn root(&self) -> Result<Option<String>, GitError> {
        let shallow = self
            .repository
            .is_shallow()
            .map_err(self.unreadable("the shallow file"))?;
        let Some((_, tip)) = self.default_branch()?.filter(|_| !shallow) else {
            return Ok(None);
        };
        let walk = self
            .repository
            .rev_walk([tip])
            .first_parent_only()
            .all()
            .map_err(self.unreadable("the history"))?;
        let mut root = None;
        for step in walk {
            root = Some(step.map_err(self.unreadable("the history"))?.id);
        }
        Ok(root.map(|id| id.to_string()))
    }

    /// A local branch, else one of `origin`; the error lists what there is.
    pub fn branch(&self, name: &str) -> Result<Option<(String, gix::ObjectId)>, GitError> {
        for full in [
            format!("refs/heads/{name}"),
            format!("refs/remotes/origin/{name}"),
            format!("refs/remotes/{name}"),
        ] {
            if let Some(tip) = self.tip(&full)? {
                return Ok(Some((name.to_owned(), tip)));
            }
        }
        let mut known: Vec<String> = Vec::new();
        let references = self
            .repository
            .references()
            .map_err(self.unreadable("the references"))?;
        for branch in references
            .local_branches()
            .map_err(self.unreadable("the branches"))?
            .flatten()
            .take(10)
        {
            known.push(format!("`{}`", branch.name().shorten()));
        }
        Err(GitError::NoBranch {
            path: self.place.to_path_buf(),
            branch: name.to_owned(),
            known: if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
        })
    }

    /// What the remote calls its default, else `main` or `master`, else where HEAD is (also when
    /// it is detached). `None` in a repository without a commit.
    pub fn default_branch(&self) -> Result<Option<(String, gix::ObjectId)>, GitError> {
        for (full, short) in [
            ("refs/remotes/origin/HEAD", "origin's default branch"),
            ("refs/heads/main", "main"),
            ("refs/heads/master", "master"),
        ] {
            if let Some(tip) = self.tip(full)? {
                return Ok(Some((short.to_owned(), tip)));
            }
        }
        let head = self.repository.head().map_err(self.unreadable("HEAD"))?;
        let name = head.referent_name().map_or_else(
            || "the detached HEAD".to_owned(),
            |name| name.shorten().to_string(),
        );
        Ok(head.into_peeled_id().ok().map(|id| (name, id.detach())))
    }

    fn tip(&self, full_name: &str) -> Result<Option<gix::ObjectId>, GitError> {
        let found = self
            .repository
            .try_find_reference(full_name)
            .map_err(self.unreadable("the references"))?;
        // A dangling remote HEAD is as good as none.
        Ok(found
            .and_then(|mut reference| reference.peel_to_commit().ok())
            .map(|commit| commit.id))
    }
}

/// The request that a message names: a trailer `Request-Id: req-7`, or `request_id=req-7` anywhere.
pub(crate) fn request_id(message: &str) -> Option<RequestId> {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?im)(?:^\s*(?:x-)?request[-_ ]?id\s*[:=]\s*|\brequest_id=)([^\s,;\]})]{1,200})",
        )
        .ok()
    });
    let found = WORDS.as_ref()?.captures(message)?;
    let id = found[1].trim_matches(['"', '\'', '`']);
    (!id.is_empty()).then(|| RequestId::new(id))
}

/// The commits that a message says it reverts, in git's own words.
pub(crate) fn reverts(message: &str) -> Vec<String> {
    static WORDS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"This reverts commit\s+([0-9a-f]{7,64})").ok());
    named(WORDS.as_ref(), message)
}

/// What the words take out of a message, each time that they are there.
pub(crate) fn named(words: Option<&Regex>, message: &str) -> Vec<String> {
    words.map_or_else(Vec::new, |words| {
        let found = words.captures_iter(message);
        found.map(|found| found[1].to_owned()).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beginnings of ids against reading through all of them; a whole id is never a beginning.
        #[test]
        fn commits_are_found_by_the_beginning_of_their_id(
            shas in proptest::collection::btree_set("[ab]{12}", 0..40),
            asked in proptest::collection::vec("[ab]{5,12}|[ab]{40}", 1..40),
        ) {
            let commits: Vec<Commit> = shas
                .iter()
                .map(|sha| Commit {
                    sha: sha.clone(),
                    parents: Vec::new(),
                    authored_at: Timestamp::from_seconds(0),
                    committed_at: Timestamp::from_seconds(0),
                    title: String::new(),
                    reverts: Vec::new(),
                    request_id: None,
                })
                .collect();
            let history = History::new(commits);
            for sha in asked.iter().chain(&shas) {
                let matching: Vec<&String> = shas.iter().filter(|one| one.starts_with(sha)).collect();
                let expected = match matching[..] {
                    [only] if sha.len() >= 7 => Some(only.as_str()),
                    _ => None,
                };
                let found = history.find(sha).map(|index| history.commit(index).sha.as_str());
                prop_assert_eq!(found, expected, "{}", sha);
            }
        }
    }

    #[test]
    fn requests_that_messages_name() {
        for (message, expected) in [
            ("Release\n\nRequest-Id: req-7\n", Some("req-7")),
            (
                "Release\n\nX-Request-ID: a:b/c\nSigned-off-by: x",
                Some("a:b/c"),
            ),
            ("deploy (request_id=req-8, by ana)", Some("req-8")),
            ("request_id = \"req-9\"", Some("req-9")),
            ("the request id is missing", None),
            ("my_request_id=7", None),
            ("Request-Id:\n", None),
        ] {
            let found = request_id(message);
            assert_eq!(
                found.as_ref().map(RequestId::as_str),
                expected,
                "{message:?}"
            );
        }
    }
}
