//! `GET /repos/{owner}/{repo}/pulls` and `…/pulls/{number}/reviews`, one element each.

use serde::Deserialize;

use super::{GithubError, Instant, User, read};
use atalaya_domain::delivery::pull_request::{Comment, PullRequest, Verdict};

#[derive(Deserialize)]
struct Pull {
    id: u64,
    number: u64,
    html_url: String,
    title: String,
    body: Option<String>,
    user: Option<User>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    labels: Vec<Label>,
    created_at: Instant,
    updated_at: Instant,
    closed_at: Option<Instant>,
    merged_at: Option<Instant>,
    merge_commit_sha: Option<String>,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// Null when the repository was deleted.
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// Reads one pull request. `repository` is the one that was asked; it stands in where the answer
/// names none.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a pull request.
pub fn pull_request(json: &str, repository: &str) -> Result<PullRequest, GithubError> {
    let pull: Pull = read("pull request", json)?;
    Ok(PullRequest {
        id: format!("github-pull-{}", pull.id),
        repository: pull
            .base
            .repo
            .map_or_else(|| repository.to_owned(), |repo| repo.full_name),
        number: pull.number,
        title: pull.title,
        description: pull.body.unwrap_or_default(),
        url: pull.html_url,
        author: pull.user.map(|user| user.login),
        draft: pull.draft,
        labels: pull.labels.into_iter().map(|label| label.name).collect(),
        head_repository: pull.head.repo.map(|repo| repo.full_name),
        head_branch: pull.head.name,
        head_sha: pull.head.sha,
        base_branch: pull.base.name,
        base_sha: pull.base.sha,
        opened_at: pull.created_at.into(),
        updated_at: pull.updated_at.into(),
        closed_at: pull.closed_at.map(Into::into),
        merged_at: pull.merged_at.map(Into::into),
        merge_sha: pull.merge_commit_sha,
    })
}

#[derive(Deserialize)]
struct Review {
    id: u64,
    user: Option<User>,
    body: Option<String>,
    state: String,
    /// Absent while the review is being written.
    submitted_at: Option<Instant>,
    commit_id: Option<String>,
}

/// Reads one review; `None` for one that was not handed in yet.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a review.
pub fn review(json: &str) -> Result<Option<Comment>, GithubError> {
    let review: Review = read("review", json)?;
    let Some(at) = review.submitted_at else {
        return Ok(None);
    };
    Ok(Some(Comment {
        id: format!("github-review-{}", review.id),
        author: review.user.map(|user| user.login),
        at: at.into(),
        text: review.body.unwrap_or_default(),
        verdict: Verdict::from_word(&review.state),
        sha: review.commit_id,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_no_pull_request_is_said_so() {
        let error = pull_request(r#"{"message": "Not Found"}"#, "a/b")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("this is not GitHub's pull request: missing field"),
            "{error}"
        );
        assert!(review("[]").is_err());
    }

    #[test]
    fn a_review_that_is_being_written_is_none_yet() {
        let json =
            r#"{"id": 1, "user": null, "body": null, "state": "PENDING", "commit_id": null}"#;
        assert_eq!(review(json).unwrap(), None);
    }
}
