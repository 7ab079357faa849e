//! Why a number is what it is: the rows it was made of, the rule, and what was left out.

use serde::Serialize;

use crate::record::RequestId;
use crate::time::Timestamp;

/// What a row of an explanation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    Deployment,
    Commit,
    Incident,
    Phase,
}

impl RowKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Commit => "commit",
            Self::Incident => "incident",
            Self::Phase => "phase",
        }
    }
}

/// One thing that the number was made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub kind: RowKind,
    pub id: String,
    /// The instant that the value was taken from: of a commit the one that was measured from, of a
    /// recovery its begin.
    pub at: Timestamp,
    /// Where a span of time ends: the value is from `at` to here.
    pub until: Option<Timestamp>,
    /// What it contributed, in the metric's unit; for a ratio 1 counts and 0 does not.
    pub value: f64,
    /// The rest of the sentence: the deployment of a commit, why a deployment failed …
    pub note: String,
    pub request_id: Option<RequestId>,
}

/// One thing that was looked at and not used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    pub kind: RowKind,
    pub id: String,
    pub at: Timestamp,
    pub reason: String,
}

/// A number's own account of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The rule that was run, in words.
    pub rule: String,
    pub rows: Vec<Row>,
    pub left_out: Vec<LeftOut>,
    /// What else bears on it: open incidents, a fallback that was taken.
    pub notes: Vec<String>,
}

impl Explanation {
    pub fn of(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            ..Self::default()
        }
    }
}
