//! `GET /repos/{owner}/{repo}/deployments` and `…/deployments/{id}/statuses`, and what a deployment
//! came to by its statuses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{GithubError, Instant, read};
use atalaya_domain::delivery::DeploymentResult;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

#[derive(Deserialize)]
struct Answer {
    id: u64,
    sha: String,
    #[serde(rename = "ref")]
    reference: String,
    environment: String,
    #[serde(default)]
    payload: Value,
    created_at: Instant,
    #[serde(default)]
    transient_environment: bool,
    #[serde(default)]
    production_environment: bool,
}

/// A deployment that somebody asked for; whether it went out is said by its statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    pub id: u64,
    pub sha: String,
    /// What was deployed: a branch, a tag or a commit.
    pub reference: String,
    /// GitHub's word.
    pub environment: String,
    /// It goes away again: the environment of a pull request.
    pub transient: bool,
    /// People use it.
    pub production: bool,
    pub created_at: Timestamp,
    pub request_id: Option<RequestId>,
}

/// Reads one deployment.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a deployment.
pub fn deployment(json: &str) -> Result<Requested, GithubError> {
    let answer: Answer = read("deployment", json)?;
    // Whoever asked for it put there what they liked, as an object or as text.
    let request_id = match &answer.payload {
        Value::Object(payload) => payload
            .get("request_id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
            .map(RequestId::new),
        Value::String(payload) => crate::source::git::request_id(payload),
        _ => None,
    };
    Ok(Requested {
        id: answer.id,
        sha: answer.sha,
        reference: answer.reference,
        environment: answer.environment,
        transient: answer.transient_environment,
        production: answer.production_environment,
        created_at: answer.created_at.into(),
        request_id,
    })
}

/// How a deployment was doing at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// GitHub's word, in lower case.
    pub state: String,
    pub at: Timestamp,
}

#[derive(Deserialize)]
struct StatusAnswer {
    state: String,
    created_at: Instant,
}

/// Reads one status.
///
/// # Errors
/// [`GithubError::Shape`] when it is not a status.
pub fn status(json: &str) -> Result<Status, GithubError> {
    let answer: StatusAnswer = read("deployment status", json)?;
    Ok(Status {
        state: answer.state.to_ascii_lowercase(),
        at: answer.created_at.into(),
    })
}

/// What a deployment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub result: DeploymentResult,
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
}

/// What the statuses say, in any order; `None` while the end is not known.
///
/// The first `success` is when it reached users. A failure after the last one means that it reached
/// them and broke; a failure without any, that it never did. `inactive` only says that another one
/// took its place.
pub fn ended(statuses: &[Status]) -> Option<Ended> {
    let of = |states: &[&str]| {
        let mut found: Vec<Timestamp> = statuses
            .iter()
            .filter(|status| states.contains(&status.state.as_str()))
            .map(|status| status.at)
            .collect();
        found.sort_unstable();
        found
    };
    let successes = of(&["success"]);
    let failures = of(&["failure", "error"]);
    let (result, finished_at) = match (successes.first(), successes.last(), failures.last()) {
        (Some(first), Some(last), Some(failure)) if failure > last => {
            (DeploymentResult::Failed, *first)
        }
        (Some(first), _, _) => (DeploymentResult::Success, *first),
        (None, _, Some(failure)) => (DeploymentResult::Aborted, *failure),
        (None, _, None) => (DeploymentResult::Aborted, *of(&["inactive"]).first()?),
    };
    // A failed try before it is no start of this one that anybody would measure.
    let started_at = of(&["in_progress"])
        .into_iter()
        .rfind(|at| *at <= finished_at);
    Some(Ended {
        result,
        started_at,
        finished_at,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn outcome(words: &[(&str, i64)]) -> Option<(DeploymentResult, i64)> {
        let statuses: Vec<Status> = words
            .iter()
            .map(|(state, at)| Status {
                state: (*state).to_owned(),
                at: Timestamp::from_seconds(*at),
            })
            .collect();
        let mut reversed = statuses.clone();
        reversed.reverse();
        assert_eq!(ended(&statuses), ended(&reversed), "the order says nothing");
        ended(&statuses).map(|ended| (ended.result, ended.finished_at.micros() / 1_000_000))
    }

    #[test]
    fn statuses_tell_the_end() {
        use DeploymentResult::{Aborted, Failed, Success};
        for (words, expected) in [
            (vec![], None),
            (
                vec![("queued", 1), ("in_progress", 2), ("waiting", 3)],
                None,
            ),
            (vec![("in_progress", 2), ("success", 5)], Some((Success, 5))),
            (vec![("success", 5), ("inactive", 9)], Some((Success, 5))),
            (vec![("success", 5), ("success", 8)], Some((Success, 5))),
            (vec![("failure", 3), ("success", 5)], Some((Success, 5))),
            (vec![("success", 5), ("failure", 6)], Some((Failed, 5))),
            (
                vec![("success", 5), ("error", 6), ("success", 7)],
                Some((Success, 5)),
            ),
            (vec![("in_progress", 2), ("failure", 3)], Some((Aborted, 3))),
            (vec![("pending", 2), ("inactive", 3)], Some((Aborted, 3))),
            (vec![("flying", 2)], None),
        ] {
            assert_eq!(outcome(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn a_payload_may_name_the_request() {
        let of = |payload: &str| {
            let json = format!(
                r#"{{"id": 1, "sha": "c0ffee", "ref": "main", "environment": "production",
                    "created_at": "2026-01-01T00:00:00Z", "payload": {payload}}}"#
            );
            deployment(&json).unwrap().request_id
        };
        assert_eq!(
            of(r#"{"request_id": "req-7"}"#),
            Some(RequestId::new("req-7"))
        );
        assert_eq!(of(r#""request_id=req-8""#), Some(RequestId::new("req-8")));
        for none in ["{}", "null", r#""""#, "[]", r#"{"request_id": 7}"#] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
