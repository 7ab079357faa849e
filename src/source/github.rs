//! GitHub's JSON as facts of the domain: deployments with their statuses, runs of workflows and
//! their jobs, pull requests with reviews and commits, incidents; and the [`client`] that asks for it.
//!
//! The readers are pure: text in, values out. Whoever asked GitHub keeps the answer and hands it in,
//! so that a recorded answer, a webhook's payload and a live one are read by the same code. Field
//! names are those of <https://docs.github.com/en/rest>; unknown fields are passed over, because
//! GitHub adds some now and then.

pub mod client;
mod commits;
mod deployments;
mod issues;
mod jobs;
mod pull_requests;
mod runs;

pub use self::client::{Answer, AskError, Client, Page};
pub use self::commits::commit;
pub use self::deployments::{Ended, Requested, Status, deployment, ended, status};
pub use self::issues::incident;
pub use self::jobs::{DeployPattern, Job, JobOutcome, job};
pub use self::pull_requests::{pull_request, review};
pub use self::runs::{Run, run};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use atalaya_domain::time::Timestamp;

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    #[error("this is not GitHub's {what}: {source}")]
    Shape {
        what: &'static str,
        source: serde_json::Error,
    },
    #[error("`{pattern}` is no pattern for job names: {source}")]
    Pattern {
        pattern: String,
        source: Box<regex::Error>,
    },
}

fn read<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T, GithubError> {
    serde_json::from_str(json).map_err(|source| GithubError::Shape { what, source })
}

/// An instant as GitHub writes it, RFC 3339.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Instant(chrono::DateTime<chrono::FixedOffset>);

impl From<Instant> for Timestamp {
    fn from(instant: Instant) -> Self {
        Self::from(instant.0)
    }
}

/// An account; deleted ones are null.
#[derive(Clone, Debug, Deserialize)]
struct User {
    login: String,
}
