//! `GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs`, one element, and the deployment that a
//! job was.

use regex::Regex;
use serde::Deserialize;

use super::{GithubError, Instant, read};
use atalaya_domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya_domain::time::Timestamp;

#[derive(Deserialize)]
struct Answer {
    id: u64,
    run_id: u64,
    name: String,
    head_sha: String,
    #[serde(default)]
    html_url: Option<String>,
    status: String,
    conclusion: Option<String>,
    started_at: Option<Instant>,
    completed_at: Option<Instant>,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// Waiting or under way.
    Running,
    Success,
    /// Failed, cancelled, or never begun for an error of its own.
    Failure,
    /// Ended without a verdict: skipped, neutral, stale, waiting for a person.
    Other,
}

/// One job of a run of GitHub Actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: u64,
    pub run_id: u64,
    pub name: String,
    pub head_sha: String,
    pub url: Option<String>,
    /// GitHub's word, in lower case.
    pub status: String,
    /// GitHub's word, in lower case; `None` while it runs.
    pub conclusion: Option<String>,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
}

/// Reads one job.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a job.
pub fn job(json: &str) -> Result<Job, GithubError> {
    let answer: Answer = read("job", json)?;
    Ok(Job {
        id: answer.id,
        run_id: answer.run_id,
        name: answer.name,
        head_sha: answer.head_sha,
        url: answer.html_url,
        status: answer.status.to_ascii_lowercase(),
        conclusion: answer
            .conclusion
            .map(|word| word.to_ascii_lowercase())
            .filter(|word| !word.is_empty()),
        started_at: answer.started_at.map(Into::into),
        completed_at: answer.completed_at.map(Into::into),
    })
}

impl Job {
    /// GitHub Enterprise Server writes a conclusion in place of the status now and then; the
    /// conclusion is asked first for that reason.
    pub fn outcome(&self) -> JobOutcome {
        match self.conclusion.as_deref() {
            Some("success") => JobOutcome::Success,
            Some("failure" | "cancelled" | "timed_out" | "startup_failure") => JobOutcome::Failure,
            Some(_) => JobOutcome::Other,
            None => match self.status.as_str() {
                "queued" | "in_progress" | "waiting" | "pending" => JobOutcome::Running,
                _ => JobOutcome::Other,
            },
        }
    }

    /// Seconds from start to end, also of a job that GitHub has not ended yet but gave an end.
    pub fn seconds(&self) -> Option<u64> {
        let (start, end) = (self.started_at?, self.completed_at?);
        (start <= end).then(|| end.since(start).as_secs())
    }
}

/// Which jobs deploy.
#[derive(Clone, Debug)]
pub struct DeployPattern(Regex);

impl DeployPattern {
    /// A regular expression, found anywhere in a job's name.
    ///
    /// # Errors
    /// [`GithubError::Pattern`] when it is none.
    pub fn new(pattern: &str) -> Result<Self, GithubError> {
        Regex::new(pattern)
            .map(Self)
            .map_err(|source| GithubError::Pattern {
                pattern: pattern.to_owned(),
                source: Box::new(source),
            })
    }

    pub fn names(&self, job: &Job) -> bool {
        self.0.is_match(&job.name)
    }

    /// The deployment that a job was; `None` for other jobs and for those that have no verdict yet.
    ///
    /// A job that failed or was cancelled never reached users: `Aborted`, which counts in no formula.
    pub fn deployment(&self, job: &Job, repository: &str, environment: &str) -> Option<Deployment> {
        if !self.names(job) {
            return None;
        }
        let result = match job.outcome() {
            JobOutcome::Success => DeploymentResult::Success,
            JobOutcome::Failure => DeploymentResult::Aborted,
            JobOutcome::Running | JobOutcome::Other => return None,
        };
        Some(Deployment {
            id: format!("github-job-{}-{}", job.run_id, job.id),
            service: repository
                .rsplit('/')
                .next()
                .unwrap_or(repository)
                .to_owned(),
            team: None,
            environment: environment.to_owned(),
            commit: Some(job.head_sha.clone()),
            started_at: job.started_at,
            finished_at: job.completed_at?,
            result,
            kind: DeploymentKind::Normal,
            request_id: None,
            cycle_id: None,
            origin: "github".to_owned(),
            taken_back_by: None,
            commits: None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_wrong_pattern_is_named() {
        let error = DeployPattern::new("deploy(").unwrap_err().to_string();
        assert!(
            error.starts_with("`deploy(` is no pattern for job names"),
            "{error}"
        );
    }

    #[test]
    fn a_job_that_waits_for_a_runner_has_no_times() {
        let json = r#"{"id": 1, "run_id": 2, "name": "deploy", "head_sha": "c", "status": "queued",
            "conclusion": null, "started_at": null, "completed_at": null}"#;
        let job = job(json).unwrap();
        assert_eq!((job.outcome(), job.seconds()), (JobOutcome::Running, None));
        assert!(
            DeployPattern::new("deploy")
                .unwrap()
                .deployment(&job, "a/b", "production")
                .is_none()
        );
    }
}
