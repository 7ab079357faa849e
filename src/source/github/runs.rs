//! `GET /repos/{owner}/{repo}/actions/workflows/{file}/runs`, one element.

use serde::{Deserialize, Serialize};

use super::{GithubError, Instant, read};
use atalaya_domain::delivery::DeploymentResult;
use atalaya_domain::time::Timestamp;

#[derive(Deserialize)]
struct Answer {
    id: u64,
    head_sha: String,
    head_branch: Option<String>,
    #[serde(default)]
    event: String,
    status: Option<String>,
    conclusion: Option<String>,
    created_at: Instant,
    updated_at: Instant,
    run_started_at: Option<Instant>,
}

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: u64,
    pub sha: String,
    /// Branch or tag.
    pub reference: String,
    /// What began it: `push`, `release`, `pull_request` …
    pub event: String,
    /// GitHub's word, in lower case; `None` while it runs.
    pub conclusion: Option<String>,
    pub created_at: Timestamp,
    /// Of its last attempt.
    pub started_at: Option<Timestamp>,
    /// Of one that has ended: when it did.
    pub updated_at: Timestamp,
}

/// Reads one run.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a run.
pub fn run(json: &str) -> Result<Run, GithubError> {
    let answer: Answer = read("workflow run", json)?;
    let is_over = answer
        .status
        .is_none_or(|status| status.eq_ignore_ascii_case("completed"));
    Ok(Run {
        id: answer.id,
        sha: answer.head_sha,
        reference: answer.head_branch.unwrap_or_default(),
        event: answer.event,
        conclusion: answer
            .conclusion
            .map(|word| word.to_ascii_lowercase())
            .filter(|word| is_over && !word.is_empty()),
        created_at: answer.created_at.into(),
        started_at: answer.run_started_at.map(Into::into),
        updated_at: answer.updated_at.into(),
    })
}

impl Run {
    /// What it came to as a deployment; `None` while it runs, and where it ended without a verdict
    /// (skipped, neutral, stale).
    ///
    /// A run that failed or was cancelled never reached users.
    pub fn result(&self) -> Option<DeploymentResult> {
        match self.conclusion.as_deref()? {
            "success" => Some(DeploymentResult::Success),
            "failure" | "cancelled" | "timed_out" | "startup_failure" => {
                Some(DeploymentResult::Aborted)
            }
            _ => None,
        }
    }

    pub const fn is_over(&self) -> bool {
        self.conclusion.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_run_is_a_deployment_when_it_ended_well() {
        use DeploymentResult::{Aborted, Success};
        for (status, conclusion, over, result) in [
            ("completed", r#""success""#, true, Some(Success)),
            ("completed", r#""failure""#, true, Some(Aborted)),
            ("completed", r#""cancelled""#, true, Some(Aborted)),
            ("completed", r#""skipped""#, true, None),
            ("in_progress", "null", false, None),
            // A run that was begun anew still has the word of its last attempt now and then.
            ("queued", r#""failure""#, false, None),
        ] {
            let json = format!(
                r#"{{"id": 1, "head_sha": "c0ffee", "head_branch": "main", "status": "{status}",
                    "conclusion": {conclusion}, "created_at": "2026-01-01T00:00:00Z",
                    "updated_at": "2026-01-01T00:05:00Z", "run_started_at": null}}"#
            );
            let run = run(&json).unwrap();
            assert_eq!(
                (run.is_over(), run.result()),
                (over, result),
                "{status} {conclusion}"
            );
        }
    }
}
