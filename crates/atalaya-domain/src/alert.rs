//! Alerts as values: rules, what was measured, and the states that follow from both.
//!
//! Reading order: [`rule`] (what is watched), [`window`] (which minutes are counted), [`machine`]
//! (pending → firing → resolved, and who is told), [`silence`] (who is not told), [`message`] (many
//! changes in one message), [`health`] (measures of the system by name), [`built_in`] (the rules that come with the program).
//!
//! Promises, whatever the history of values, clocks and restarts: an alert that somebody was told of
//! ends with exactly one word that it is over; nobody is told of one twice, except by reminders
//! ([`REMIND_AFTER`] apart) and when it gets worse than what was acknowledged; missing data neither
//! fires nor resolves.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::RequestId;
use super::time::Timestamp;

pub mod built_in;
pub mod health;
pub mod machine;
pub mod message;
pub mod rule;
pub mod silence;
pub mod window;

pub use machine::{NoticeKind, Reading, advance, tell, withdraw};
pub use message::{Message, Note, Notice};
pub use rule::{Comparison, Measure, Rule, RuleOrigin};
pub use silence::{Mute, Silence};

/// A firing alert that nobody acknowledged is told again after this long.
pub const REMIND_AFTER: Duration = Duration::from_secs(4 * 3_600);

/// How bad it is. The order is the meaning.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Where an alert stands. `Pending` has not lasted as long as the rule asks yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Firing,
    Pending,
    Resolved,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Pending => "pending",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What an alert keeps of its rule, as it was when it began: the rule may change or go meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleFacts {
    pub name: String,
    pub severity: Severity,
    /// What is measured, in words.
    pub measure: String,
    /// The query of the records behind it; `None` for a measure without records.
    pub query: Option<String>,
    pub when: Comparison,
    pub threshold: f64,
    /// What to do.
    pub todo: String,
    pub labels: BTreeMap<String, String>,
    /// Empty: every channel.
    pub channels: Vec<String>,
}

/// Somebody has seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    pub note: Option<String>,
    /// Silent until the value is worse than this, which it was at the time; `None`: silent to its end.
    pub until_worse_than: Option<f64>,
}

/// One record that matched, short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    /// Names the record for ever: origin and position.
    pub id: String,
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    pub level: String,
    pub source: String,
    pub host: String,
    pub request_id: Option<RequestId>,
    /// Cut; untrusted.
    pub message: String,
}

/// The last deployment before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceDeployment {
    pub id: String,
    pub service: String,
    pub environment: String,
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// From the deployment to the alert.
    pub seconds_before: u64,
}

/// What was known at the moment when it began to fire, kept when the records are gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    pub value: Option<f64>,
    /// In words: `12 in 5 min`.
    pub reading: String,
    /// The newest that matched, newest first, at most [`EVIDENCE_RECORDS`].
    pub records: Vec<EvidenceRecord>,
    /// Of those records, each once.
    pub request_ids: Vec<RequestId>,
    pub deployment: Option<EvidenceDeployment>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
}

/// Records kept with an alert.
pub const EVIDENCE_RECORDS: usize = 10;
/// Longest message text kept of each, in characters.
pub const EVIDENCE_CHARACTERS: usize = 400;

/// One time that a rule was broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Follows from the rule and from when it began: see [`alert_id`].
    pub id: String,
    pub rule: RuleFacts,
    pub state: State,
    #[serde(with = "crate::time::rfc3339")]
    pub pending_since: Timestamp,
    #[serde(default, with = "crate::time::rfc3339::option")]
    pub firing_since: Option<Timestamp>,
    #[serde(default, with = "crate::time::rfc3339::option")]
    pub resolved_at: Option<Timestamp>,
    /// The last measured value.
    pub value: Option<f64>,
    /// The value that was furthest beyond the threshold.
    pub worst: Option<f64>,
    /// Why nothing is known of it at the moment; the state stays meanwhile.
    pub no_data: Option<String>,
    pub acknowledged: Option<Acknowledgement>,
    /// When somebody was told last; `None`: nobody was.
    #[serde(default, with = "crate::time::rfc3339::option")]
    pub told_at: Option<Timestamp>,
    /// How often somebody was told; numbers the notices.
    pub told: u32,
    /// Why nobody is told at the moment.
    pub muted: Option<Mute>,
    pub evidence: Option<Evidence>,
    /// Changes with each write; who read an older one must read again.
    pub version: u32,
}

impl Alert {
    pub fn is_firing(&self) -> bool {
        self.state == State::Firing
    }

    /// Not over yet.
    pub fn is_active(&self) -> bool {
        self.state != State::Resolved
    }

    /// When it began to be what it is.
    pub fn since(&self) -> Timestamp {
        match self.state {
            State::Pending => self.pending_since,
            State::Firing => self.firing_since.unwrap_or(self.pending_since),
            State::Resolved => self.resolved_at.unwrap_or(self.pending_since),
        }
    }
}

/// Twelve hexadecimal digits that are the same for the same rule and beginning, on every host.
pub fn alert_id(rule: &str, pending_since: Timestamp) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(rule.as_bytes());
    hasher.update(&[0]);
    hasher.update(&pending_since.micros().to_le_bytes());
    hasher.finalize().to_hex()[..12].to_owned()
}

/// `team=shop, tier=1`; empty without labels.
pub fn show_labels(labels: &BTreeMap<String, String>) -> String {
    let each = labels.iter().map(|(name, value)| format!("{name}={value}"));
    each.collect::<Vec<_>>().join(", ")
}

/// A number as people write it: without needless decimals.
pub fn show_number(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let text = if value.abs() < 1.0 {
        format!("{value:.4}")
    } else {
        format!("{value:.2}")
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
