//! The five DORA metrics over a window, with the previous period beside it.
//!
//! Pure: deployments, incidents, phases and "now" come in, a [`DoraReport`] comes out, and screen,
//! command line and API all show that one value. A metric without samples or without a source is
//! [`Value::NotAvailable`] with its reason, never 0, and no level is made from no rows. Every
//! metric carries its [`Explanation`]: the rows behind it, the rule in words, what was left out.
//!
//! Reading order: [`explain`], [`failures`] (which incident belongs to which deployment),
//! [`lead_time`], [`recovery`], [`metrics`] (the counts), [`iact`] (the older tool's formulas),
//! [`levels`] and [`quick_check`] (how good is that), [`trend`] (weeks and deltas), [`compose`]
//! (all of it as one report), [`analytics`] (series over weeks and months).
//!
//! Definitions: <https://dora.dev/guides/dora-metrics/>.

pub mod analytics;
mod compose;
pub mod explain;
pub mod failures;
pub mod iact;
pub mod lead_time;
pub mod levels;
mod lookup;
pub mod metrics;
pub mod quick_check;
pub mod recovery;
mod samples;
pub mod stages;
pub mod trend;

#[cfg(test)]
mod edge_cases;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;

use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::delivery::{Deployment, Incident, PhaseRecord};
use super::record::RequestId;
use super::time::{TimeRange, Timestamp};

pub use compose::report;
pub use explain::{Explanation, LeftOut, Row, RowKind};
pub use lead_time::LeadBasis;
pub use levels::{PerformanceLevel, ThresholdSet};
pub use quick_check::QuickCheck;
pub use trend::{Delta, Direction, WeekPoint};

/// The environment that counts unless a report asks for another.
pub const PRODUCTION: &str = "production";

/// One of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    DeploymentFrequency,
    ChangeLeadTime,
    ChangeFailureRate,
    RecoveryTime,
    ReworkRate,
}

impl Metric {
    /// In the order of the cards on the screen.
    pub const ALL: [Self; 5] = [
        Self::DeploymentFrequency,
        Self::ChangeLeadTime,
        Self::ChangeFailureRate,
        Self::RecoveryTime,
        Self::ReworkRate,
    ];

    /// Name in JSON and configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Self::DeploymentFrequency => "deployment_frequency",
            Self::ChangeLeadTime => "change_lead_time",
            Self::ChangeFailureRate => "change_failure_rate",
            Self::RecoveryTime => "failed_deployment_recovery_time",
            Self::ReworkRate => "deployment_rework_rate",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::DeploymentFrequency => "Deployment frequency",
            Self::ChangeLeadTime => "Change lead time",
            Self::ChangeFailureRate => "Change failure rate",
            Self::RecoveryTime => "Failed deployment recovery time",
            Self::ReworkRate => "Deployment rework rate",
        }
    }

    /// What the value of the standard profile is counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::DeploymentFrequency => Unit::PerDay,
            Self::ChangeLeadTime | Self::RecoveryTime => Unit::Hours,
            Self::ChangeFailureRate | Self::ReworkRate => Unit::Ratio,
        }
    }

    /// Only more deployments are better; of everything else, less.
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::DeploymentFrequency)
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.key() == word)
    }
}

/// What a bare number of a metric means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Deployments a calendar day.
    PerDay,
    /// Deployments in the window (the older tool's deployment frequency).
    Count,
    Hours,
    /// 0 to 1; shown as per cent.
    Ratio,
    /// Days with a deployment, of the seven of a week.
    DaysPerWeek,
}

impl Unit {
    /// A short human text: `1.4/day`, `3 h 20 min`, `12.5 %`.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::PerDay if value == 0.0 => "0/day".to_owned(),
            Self::PerDay if value < 1.0 / 7.0 => format!("{:.1}/month", value * 30.0),
            Self::PerDay if value < 1.0 => format!("{:.1}/week", value * 7.0),
            Self::PerDay => format!("{value:.1}/day"),
            Self::Count => format!("{value:.0}"),
            Self::Hours => show_hours(value),
            Self::Ratio => format!("{:.1} %", value * 100.0),
            Self::DaysPerWeek => format!("{value:.1} d/week"),
        }
    }
}

/// Hours as the two largest units that matter: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub fn show_hours(hours: f64) -> String {
    let seconds = hours.abs() * 3_600.0;
    let sign = if hours < 0.0 { "-" } else { "" };
    let whole = seconds.round() as u64;
    let text = match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min", (seconds / 60.0).round()),
        3_600..86_400 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ if whole % 86_400 < 3_600 => format!("{} d", whole / 86_400),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    };
    format!("{sign}{text}")
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Nothing was ever recorded and nothing is connected that would record deployments.
    NoDeploymentSource,
    /// A source is connected; it has none in this window.
    NoDeployments,
    NoIncidentSource,
    /// Deployments there are, and none of them failed.
    NoFailures,
    /// Deployments there are, without commits and without a cycle to measure them by.
    NoCommits,
    /// The older tool's formula needs phases of this kind and the window has none.
    NoPhases,
    /// The chosen profile does not define this metric.
    NotDefined,
}

impl fmt::Display for Absence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoDeploymentSource => "no deployment source",
            Self::NoDeployments => "no deployments in this window",
            Self::NoIncidentSource => "no incident source",
            Self::NoFailures => "no failed deployment in this window",
            Self::NoCommits => "no commits and no cycle to measure from",
            Self::NoPhases => "no such phase in this window",
            Self::NotDefined => "not defined by this profile",
        })
    }
}

/// A number in its metric's unit, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    Known(f64),
    /// The true value is at least this: too much of what it is made of is still open or unseen.
    AtLeast(f64),
    NotAvailable {
        reason: Absence,
    },
}

impl Value {
    /// The number, also when it is only a lower bound.
    pub const fn number(self) -> Option<f64> {
        match self {
            Self::Known(value) | Self::AtLeast(value) => Some(value),
            Self::NotAvailable { .. } => None,
        }
    }

    /// `3 h 20 min`, `>= 3 h 20 min` or `N/A (no incident source)`.
    pub fn show(self, unit: Unit) -> String {
        match self {
            Self::Known(value) => unit.show(value),
            Self::AtLeast(value) => format!(">= {}", unit.show(value)),
            Self::NotAvailable { reason } => format!("N/A ({reason})"),
        }
    }
}

/// A 95 % interval, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// `Wilson`, `rule of three`, `order statistics`, `Poisson`.
    pub method: &'static str,
}

/// A further number of a metric: p90, deployment days per week, all-incident MTTR …
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    pub key: &'static str,
    pub title: &'static str,
    pub value: Value,
    pub unit: Unit,
    pub samples: usize,
}

/// What one run of one rule over one range gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub value: Value,
    pub unit: Unit,
    /// What the value is made of: deployments, commits or recoveries.
    pub samples: usize,
    pub interval: Option<Interval>,
    pub details: Vec<Detail>,
    pub explanation: Explanation,
}

impl Measured {
    pub fn detail(&self, key: &str) -> Option<&Detail> {
        self.details.iter().find(|detail| detail.key == key)
    }
}

/// What a team wants of a metric, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Target {
    pub value: f64,
    /// `None` while there is no number to compare.
    pub met: Option<bool>,
}

/// One metric, ready to show.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReport {
    pub metric: Metric,
    /// What the number is called; of a lead time without commits it is another one than
    /// [`Metric::title`].
    pub title: &'static str,
    pub measured: Measured,
    pub level: Option<PerformanceLevel>,
    /// The limits that were applied, or why there is no level.
    pub level_rule: String,
    /// 2025 Quick Check score, 0 to 10, 10 best.
    pub score: Option<f64>,
    pub target: Option<Target>,
    pub previous: Value,
    /// Samples of the previous period.
    pub previous_samples: usize,
    pub delta: Option<Delta>,
    /// Whole weeks, oldest first; the running week is not among them.
    pub weeks: Vec<WeekPoint>,
}

impl MetricReport {
    pub fn show(&self) -> String {
        self.measured.value.show(self.measured.unit)
    }
}

/// Which formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The definitions of dora.dev.
    #[default]
    Dora,
    /// The older tool's own formulas, so that a migrated dashboard shows equal figures.
    Iact,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::Dora, Self::Iact];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dora => "dora",
            Self::Iact => "iact",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == word)
    }

    /// The threshold set that belongs to the profile when none was chosen.
    pub const fn default_thresholds(self) -> ThresholdSet {
        match self {
            Self::Dora => ThresholdSet::Dora2023,
            Self::Iact => ThresholdSet::IactWeb,
        }
    }
}

/// What each metric should reach, each in its metric's unit; `None` sets no target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    pub deployments_per_day: Option<f64>,
    pub lead_time_hours: Option<f64>,
    pub failure_ratio: Option<f64>,
    pub recovery_hours: Option<f64>,
    pub rework_ratio: Option<f64>,
}

impl Default for Targets {
    /// One deployment a week, two days, 15 %, four hours; nobody has published one for rework.
    fn default() -> Self {
        Self {
            deployments_per_day: Some(1.0 / 7.0),
            lead_time_hours: Some(48.0),
            failure_ratio: Some(0.15),
            recovery_hours: Some(4.0),
            rework_ratio: None,
        }
    }
}

impl Targets {
    pub const fn of(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::DeploymentFrequency => self.deployments_per_day,
            Metric::ChangeLeadTime => self.lead_time_hours,
            Metric::ChangeFailureRate => self.failure_ratio,
            Metric::RecoveryTime => self.recovery_hours,
            Metric::ReworkRate => self.rework_ratio,
        }
    }
}

/// How to compute; everything that the numbers depend on beside the facts and the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub profile: Profile,
    pub thresholds: ThresholdSet,
    pub targets: Targets,
    /// An incident without an explicit cause is linked to the last deployment that finished at
    /// most this long before it opened.
    pub link_cap: Duration,
    /// Days and weeks are those of this zone.
    pub zone: Tz,
    /// Whole weeks of trend.
    pub weeks: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self::of_profile(Profile::Dora)
    }
}

impl Rules {
    pub fn of_profile(profile: Profile) -> Self {
        Self {
            profile,
            thresholds: profile.default_thresholds(),
            targets: Targets::default(),
            link_cap: Duration::from_hours(24),
            zone: Tz::UTC,
            weeks: 12,
        }
    }

    /// The older tool's formulas have a lead time of their own.
    fn has_cycle_time(&self, basis: LeadBasis) -> bool {
        self.profile == Profile::Dora && basis == LeadBasis::Cycles
    }
}

/// Whose numbers. dora.dev asks for one application or service at a time; blending is possible and
/// said on the report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    pub service: Option<String>,
    pub team: Option<String>,
    pub environment: String,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            service: None,
            team: None,
            environment: PRODUCTION.to_owned(),
        }
    }
}

impl Scope {
    /// Whether a deployment of the environment is one of these.
    pub fn admits(&self, deployment: &Deployment) -> bool {
        self.service
            .as_ref()
            .is_none_or(|service| *service == deployment.service)
            && self
                .team
                .as_ref()
                .is_none_or(|team| deployment.team.as_ref() == Some(team))
    }
}

/// Whether anything is connected that would have told us: what separates "none" from "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub deployments: bool,
    pub incidents: bool,
}

/// What a report is made from. The slices may reach further back than the window (they should, for
/// the previous period, the weeks and the deployment that an incident belongs to), in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub deployments: &'a [Deployment],
    pub incidents: &'a [Incident],
    pub phases: &'a [PhaseRecord],
    pub sources: Sources,
}

/// All metrics together.
#[derive(Clone, Debug, PartialEq)]
pub struct Overall {
    pub level: Option<PerformanceLevel>,
    /// How the level was made, or why there is none.
    pub level_rule: String,
    /// Quick Check scores over the metrics that have one.
    pub quick_check: QuickCheck,
}

/// Where the time of a deployment's changes went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LeadBreakdown {
    /// Commits measured.
    pub commits: usize,
    pub median_hours: f64,
    pub longest_hours: f64,
    /// First to last commit: writing.
    pub writing_hours: f64,
    /// Last commit to the start of the deployment (to its end where the start is unknown).
    pub waiting_hours: f64,
    /// Start to end of the deployment itself; `None` where the start is unknown.
    pub deploying_hours: Option<f64>,
}

/// A deployment of the window with what was found out about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentLine {
    pub deployment: Deployment,
    /// The successful deployment of its service before it: what its commits are new since.
    pub previous: Option<String>,
    pub lead: Option<LeadBreakdown>,
    /// Since its cycle began; never mixed with `lead`.
    pub cycle_hours: Option<f64>,
    /// Why it counts as failed (`incident INC-7 (by time)`, `rolled back by v1.4.1`); `None` if it does not.
    pub failed: Option<String>,
    /// Incidents linked to it.
    pub incidents: Vec<String>,
    /// Until the last incident was resolved; for an open one, until now.
    pub recovery: Option<recovery::Recovery>,
    /// The same commit was deployed before.
    pub redeploy: bool,
}

/// A lead time worth a look.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowChange {
    pub sha: String,
    pub title: String,
    pub deployment: String,
    pub hours: f64,
    pub request_id: Option<RequestId>,
}

/// An incident of the window and the deployment it was laid to.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentLine {
    pub incident: Incident,
    pub deployment: Option<String>,
    /// `explicit`, `by request`, `by time, 2 h after`, or why there is no link.
    pub basis: String,
}

/// The whole answer for one scope and window.
#[derive(Clone, Debug, PartialEq)]
pub struct DoraReport {
    pub scope: Scope,
    pub rules: Rules,
    pub window: TimeRange,
    pub previous: TimeRange,
    pub generated_at: Timestamp,
    /// One for each of [`Metric::ALL`], in that order.
    pub metrics: Vec<MetricReport>,
    pub overall: Overall,
    /// What the lead time of this report is: of commits, or the time of cycles.
    pub lead_basis: LeadBasis,
    /// Deployments of the window, newest first.
    pub deployments: Vec<DeploymentLine>,
    /// Incidents opened in the window, newest first.
    pub incidents: Vec<IncidentLine>,
    /// The longest lead times of the window, longest first, at most five.
    pub slowest: Vec<SlowChange>,
    /// Finish times of the deployments within the weeks of the trend, oldest first: the marks.
    pub marks: Vec<Timestamp>,
    /// Cycles with a phase in the window.
    pub cycles: usize,
    /// What a reader must know before comparing: several services blended, unlinked incidents …
    pub notes: Vec<Note>,
}

/// A sentence beside the figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: NoteKind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The window has no deployment; another one, which is named, has some.
    OtherWindow,
    /// How the deployments of a repository were found.
    Method,
    /// What is odd about the facts or the figures.
    Caution,
}

impl Note {
    pub const fn new(kind: NoteKind, text: String) -> Self {
        Self { kind, text }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl DoraReport {
    pub fn metric(&self, metric: Metric) -> Option<&MetricReport> {
        self.metrics.iter().find(|report| report.metric == metric)
    }

    /// Whether the time to production is one of cycles, and no lead time.
    pub fn has_cycle_time(&self) -> bool {
        self.rules.has_cycle_time(self.lead_basis)
    }

    /// Length of the window in days.
    pub fn days(&self) -> f64 {
        self.window.length().as_secs_f64() / 86_400.0
    }

    /// Failed deployments, newest first.
    pub fn failed(&self) -> impl Iterator<Item = &DeploymentLine> {
        self.deployments.iter().filter(|line| line.failed.is_some())
    }
}
