//! The metrics layer's facts: cycles with their phases, deployments, the commits they carry, and
//! incidents. Formulas over them are in `dora`; where they come from is in `source`.

pub mod cycle_facts;
pub mod cycle_incidents;
pub mod pull_request;
pub mod told_twice;
pub mod version_tag;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::RequestId;
use super::time::Timestamp;

/// One step of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Planning,
    Feasibility,
    Design,
    Implementation,
    Testing,
    Deployment,
    Maintenance,
    Recovery,
}

impl Phase {
    pub const ALL: [Self; 8] = [
        Self::Planning,
        Self::Feasibility,
        Self::Design,
        Self::Implementation,
        Self::Testing,
        Self::Deployment,
        Self::Maintenance,
        Self::Recovery,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Feasibility => "feasibility",
            Self::Design => "design",
            Self::Implementation => "implementation",
            Self::Testing => "testing",
            Self::Deployment => "deployment",
            Self::Maintenance => "maintenance",
            Self::Recovery => "recovery",
        }
    }

    /// Also the other tools' words: `development` is implementation, `incident` is maintenance.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "development" => Some(Self::Implementation),
            "incident" => Some(Self::Maintenance),
            other => Self::ALL.into_iter().find(|phase| phase.name() == other),
        }
    }
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    #[serde(rename = "go")]
    Go,
    #[serde(rename = "no-go")]
    NoGo,
    Review,
    Blocked,
    Escalate,
    Success,
    Failed,
    RolledBack,
    Resolved,
}

impl Decision {
    pub const ALL: [Self; 9] = [
        Self::Go,
        Self::NoGo,
        Self::Review,
        Self::Blocked,
        Self::Escalate,
        Self::Success,
        Self::Failed,
        Self::RolledBack,
        Self::Resolved,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::NoGo => "no-go",
            Self::Review => "review",
            Self::Blocked => "blocked",
            Self::Escalate => "escalate",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Resolved => "resolved",
        }
    }

    /// Also the other tools' words: approved, rejected, rollback, fixed.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().replace('_', "-").as_str() {
            "approved" => Some(Self::Go),
            "rejected" | "nogo" => Some(Self::NoGo),
            "rollback" => Some(Self::RolledBack),
            "fixed" => Some(Self::Resolved),
            other => Self::ALL
                .into_iter()
                .find(|decision| decision.name().replace('_', "-") == other),
        }
    }

    /// The word that each phase uses for going well and for failing.
    pub const fn of_ending(phase: Phase, success: bool) -> Self {
        match (phase, success) {
            (Phase::Deployment, true) => Self::Success,
            (Phase::Maintenance | Phase::Recovery, true) => Self::Resolved,
            (Phase::Deployment | Phase::Maintenance | Phase::Recovery, false) => Self::Failed,
            (_, true) => Self::Go,
            (_, false) => Self::NoGo,
        }
    }

    /// `go`, `success` and `resolved`.
    pub const fn passed(self) -> bool {
        matches!(self, Self::Go | Self::Success | Self::Resolved)
    }

    /// `no-go`, `failed` and `rolled_back`.
    pub const fn failed(self) -> bool {
        matches!(self, Self::NoGo | Self::Failed | Self::RolledBack)
    }
}

/// One row of `dora_metrics`: a phase of a cycle, once for each attempt.
///
/// (`cycle_id`, `phase`, `attempt`) is unique, which makes recording it twice recording it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseRecord {
    pub cycle_id: String,
    pub feature_id: String,
    pub phase: Phase,
    /// 1 for the first try of this phase in this cycle.
    pub attempt: u32,
    pub decision: Decision,
    pub duration: Duration,
    pub recorded_at: Timestamp,
    /// `team`, `service`, `request_id`, `story_points`, test counts … as the recorder gave them.
    pub metadata: BTreeMap<String, serde_json::Value>,
}

impl PhaseRecord {
    pub fn request_id(&self) -> Option<RequestId> {
        self.text("request_id").map(RequestId::new)
    }

    /// A metadata value as text; numbers and booleans too, absent and null are `None`.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.metadata.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Null => None,
            other => Some(other.to_string()),
        }
    }
}

/// One feature's way from planning to production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    pub cycle_id: String,
    pub feature_id: String,
    pub team: Option<String>,
    pub service: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// In the order of their time; empty when only a summary was asked for.
    pub phases: Vec<PhaseRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentResult {
    Success,
    /// It reached users and needed intervention.
    Failed,
    RolledBack,
    /// It never reached users: neither a deployment nor a failure in the formulas.
    Aborted,
}

impl DeploymentResult {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Aborted => "aborted",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "success" | "go" | "passed" => Some(Self::Success),
            "failed" | "failure" | "no-go" => Some(Self::Failed),
            "rolled_back" | "rollback" | "rolled-back" => Some(Self::RolledBack),
            "aborted" | "cancelled" | "canceled" => Some(Self::Aborted),
            _ => None,
        }
    }
}

/// Why a deployment was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentKind {
    /// Planned work.
    Normal,
    /// Unplanned, because of an incident or a defect.
    Hotfix,
    /// Takes an earlier deployment back.
    Rollback,
}

impl DeploymentKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Hotfix => "hotfix",
            Self::Rollback => "rollback",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Normal, Self::Hotfix, Self::Rollback]
            .into_iter()
            .find(|kind| kind.name() == word)
    }

    /// Hotfixes and rollbacks are what the rework rate counts.
    pub const fn unplanned(self) -> bool {
        !matches!(self, Self::Normal)
    }
}

/// One change that a deployment carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedCommit {
    pub sha: String,
    pub authored_at: Timestamp,
    pub committed_at: Timestamp,
    pub title: String,
    /// It takes another commit back ("This reverts commit …"): no planned change.
    pub reverts: bool,
}

/// A change reaching an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Stable for the source that it came from: importing it again is the same deployment.
    pub id: String,
    pub service: String,
    pub team: Option<String>,
    /// Only `production` counts in the formulas unless a report asks for another.
    pub environment: String,
    pub commit: Option<String>,
    pub started_at: Option<Timestamp>,
    /// The time that places it in a window.
    pub finished_at: Timestamp,
    pub result: DeploymentResult,
    pub kind: DeploymentKind,
    pub request_id: Option<RequestId>,
    pub cycle_id: Option<String>,
    /// Which source said so: `git:` with the repository's key, `sdlc-file`, `record`, `track`,
    /// `github`, `demo` …
    pub origin: String,
    /// The deployment that took it back, where the source knows: it carries the revert, or is the
    /// release of an older commit.
    pub taken_back_by: Option<String>,
    /// New since the previous successful deployment of the same service and environment, oldest
    /// first. `None` means unknown (the first deployment seen, or no commit data), not "none".
    pub commits: Option<Vec<DeployedCommit>>,
}

/// Something broken in production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: String,
    pub title: String,
    pub service: Option<String>,
    pub severity: Option<String>,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// What a person or a source named as its cause: a deployment, a cycle or a commit, perhaps one
    /// that is not known yet. Beats everything else.
    pub cause: Option<String>,
    /// The deployment of its own cycle; a guess by time is made in `dora`.
    pub caused_by: Option<String>,
    pub request_id: Option<RequestId>,
    pub origin: String,
}
