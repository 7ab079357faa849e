//! A commit as `GET …/commits/{sha}`, `…/compare/{base}...{head}` and `…/pulls/{number}/commits`
//! give it.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::{GithubError, Instant, read};
use crate::source::git::{Commit, named, request_id, reverts};

/// Longest subject kept, in characters.
const TITLE_CHARS: usize = 200;

#[derive(Deserialize)]
struct Answer {
    sha: String,
    commit: Inner,
    #[serde(default)]
    parents: Vec<Parent>,
}

#[derive(Deserialize)]
struct Inner {
    author: Signature,
    committer: Signature,
    message: String,
}

#[derive(Deserialize)]
struct Signature {
    date: Instant,
}

#[derive(Deserialize)]
struct Parent {
    sha: String,
}

/// Reads one commit. Among what it reverts, `#12` stands for whatever pull request 12 merged: so
/// does GitHub write the revert of a pull request.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a commit.
pub fn commit(json: &str) -> Result<Commit, GithubError> {
    let answer: Answer = read("commit", json)?;
    let message = &answer.commit.message;
    let mut taken_back = reverts(message);
    taken_back.extend(reverted_pulls(message));
    let title = message.lines().next().unwrap_or_default().trim();
    Ok(Commit {
        sha: answer.sha,
        parents: answer
            .parents
            .into_iter()
            .map(|parent| parent.sha)
            .collect(),
        authored_at: answer.commit.author.date.into(),
        committed_at: answer.commit.committer.date.into(),
        title: title.chars().take(TITLE_CHARS).collect(),
        reverts: taken_back,
        request_id: request_id(message),
    })
}

fn reverted_pulls(message: &str) -> Vec<String> {
    static WORDS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^\s*Reverts (?:[\w.-]+/[\w.-]+)?(#[0-9]{1,18})\b").ok());
    named(WORDS.as_ref(), message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_revert_names_commits_or_pull_requests() {
        for (message, expected) in [
            ("Revert \"x\" (#13)\n\nReverts acme/shop#12", vec!["#12"]),
            (
                "Revert \"x\"\n\nThis reverts commit c0ffee1.",
                vec!["c0ffee1"],
            ),
            ("Reverts #9", vec!["#9"]),
            ("See #9, which Reverts #8", vec![]),
            ("", vec![]),
        ] {
            let message_json = serde_json::to_string(message).unwrap();
            let json = format!(
                r#"{{"sha": "abc", "parents": [{{"sha": "def"}}], "commit": {{"message": {message_json},
                    "author": {{"date": "2026-01-01T00:00:00Z"}},
                    "committer": {{"date": "2026-01-02T00:00:00Z"}}}}}}"#
            );
            assert_eq!(commit(&json).unwrap().reverts, expected, "{message}");
        }
    }
}
