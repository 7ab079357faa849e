//! Change lead time: from a commit to production.
//!
//! Measured from the author date, or from the committer date where the author date cannot be true
//! (after the commit itself, before git existed, or after the deployment). What is still negative
//! is dropped and counted as an anomaly. A commit counts once in each service, where it went out
//! first. Hotfixes and reverts are kept apart: they are fast because they must be.
//!
//! Where no source knows commits, the time from the start of a cycle's first phase stands in. That
//! is another measure ([`LeadBasis::Cycles`]): it has another name everywhere, and the two are
//! never in one number, one comparison or one trend.

use serde::Serialize;

use super::explain::{Explanation, LeftOut, Row, RowKind};
use super::failures::Delivered;
use super::samples::{median, median_interval, quantile};
use super::{Absence, Detail, Facts, LeadBreakdown, Measured, Metric, Scope, Unit, Value};
use crate::delivery::{DeployedCommit, Deployment, DeploymentKind};
use crate::time::{TimeRange, Timestamp};

/// Git's first commit is of April 2005; an author date before that year is a wrong clock.
const BEFORE_GIT: Timestamp = Timestamp::from_seconds(1_104_537_600);

/// Which date of a commit was measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    Authored,
    Committed,
}

/// Hours from a commit to the end of its deployment, and the date that was taken.
///
/// # Errors
/// The (negative) hours when both dates are later than the deployment.
pub fn lead_hours(commit: &DeployedCommit, deployed_at: Timestamp) -> Result<(f64, Since), f64> {
    let hours = |from: Timestamp| (deployed_at.micros() - from.micros()) as f64 / 3.6e9;
    let odd = commit.authored_at > commit.committed_at
        || commit.authored_at < BEFORE_GIT
        || commit.authored_at >= deployed_at;
    let (value, since) = if odd {
        (hours(commit.committed_at), Since::Committed)
    } else {
        (hours(commit.authored_at), Since::Authored)
    };
    if value < 0.0 {
        Err(value)
    } else {
        Ok((value, since))
    }
}

/// What a time to production is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeadBasis {
    /// Commits: change lead time.
    Commits,
    /// The first phase of a recorded cycle: cycle time.
    Cycles,
}

impl LeadBasis {
    /// What the number is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Commits => Metric::ChangeLeadTime.title(),
            Self::Cycles => "Cycle time",
        }
    }

    /// Commits, where any deployment of the range says what it carries; else cycles, where one has
    /// a cycle to measure. A range that has neither is as the whole of the facts.
    pub fn of(delivered: &Delivered<'_>, scope: &Scope, range: TimeRange) -> Self {
        let in_range: Vec<usize> = delivered.within(scope, range).collect();
        let everywhere = || delivered.within(scope, TimeRange::ALL).collect::<Vec<_>>();
        Self::of_deployments(delivered, &in_range)
            .or_else(|| Self::of_deployments(delivered, &everywhere()))
            .unwrap_or(Self::Commits)
    }

    fn of_deployments(delivered: &Delivered<'_>, indices: &[usize]) -> Option<Self> {
        let mut deployments = indices.iter().map(|&index| delivered.deployments[index]);
        if deployments.clone().any(|deployment| {
            deployment
                .commits
                .as_ref()
                .is_some_and(|commits| !commits.is_empty())
        }) {
            return Some(Self::Commits);
        }
        deployments
            .any(|deployment| cycle_start(delivered, deployment).is_some())
            .then_some(Self::Cycles)
    }
}

/// When the first phase before a deployment of its cycle began; a deployment phase alone says
/// nothing about how long the change took.
fn cycle_start(delivered: &Delivered<'_>, deployment: &Deployment) -> Option<Timestamp> {
    let cycle = deployment.cycle_id.as_ref()?;
    let start = delivered.cycle_starts.get(cycle.as_str()).copied()?;
    (start <= deployment.finished_at).then_some(start)
}

/// Hours from the start of a planned deployment's cycle to its end.
pub fn cycle_hours(delivered: &Delivered<'_>, index: usize) -> Option<f64> {
    let deployment = delivered.deployments[index];
    let start = cycle_start(delivered, deployment)?;
    (!deployment.kind.unplanned())
        .then(|| deployment.finished_at.since(start).as_secs_f64() / 3_600.0)
}

/// One change that took part.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub commit: &'a DeployedCommit,
    pub deployment: &'a Deployment,
    pub hours: f64,
    pub since: Since,
}

impl Change<'_> {
    /// The instant that it was measured from.
    pub fn from(&self) -> Timestamp {
        match self.since {
            Since::Authored => self.commit.authored_at,
            Since::Committed => self.commit.committed_at,
        }
    }

    /// Part of an urgent repair, or itself the taking back of a change. What else is released
    /// together with a revert is planned work like any other.
    pub fn unplanned(&self) -> bool {
        self.commit.reverts || self.deployment.kind == DeploymentKind::Hotfix
    }
}

/// The changes of one deployment.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    pub measured: Vec<Change<'a>>,
    pub left_out: Vec<LeftOut>,
    /// How many of those left out were committed after they were deployed.
    pub anomalies: usize,
}

/// The changes of one deployment, and what was left out of them.
pub fn changes<'a>(delivered: &Delivered<'a>, index: usize) -> Changes<'a> {
    let deployment = delivered.deployments[index];
    let mut changes = Changes::default();
    let Some(commits) = &deployment.commits else {
        let reason =
            "its commits are unknown: the first deployment seen, or a source without commits";
        changes.left_out.push(left_deployment(deployment, reason));
        return changes;
    };
    if commits.is_empty() && delivered.redeploys.contains(&index) {
        let reason = "a re-deploy of a commit that was out already: no new lead time";
        changes.left_out.push(left_deployment(deployment, reason));
    }
    for commit in commits {
        if delivered
            .first_carrier(&deployment.service, &commit.sha)
            .is_some_and(|first| first != index)
        {
            let reason = format!("went out earlier; again with {}", deployment.id);
            changes
                .left_out
                .push(left_commit(commit, commit.committed_at, reason));
            continue;
        }
        match lead_hours(commit, deployment.finished_at) {
            Ok((hours, since)) => changes.measured.push(Change {
                commit,
                deployment,
                hours,
                since,
            }),
            Err(hours) => {
                let reason = format!(
                    "anomaly: {} h, committed after {} was deployed",
                    (hours * 10.0).round() / 10.0,
                    deployment.id
                );
                changes
                    .left_out
                    .push(left_commit(commit, commit.committed_at, reason));
                changes.anomalies += 1;
            }
        }
    }
    changes
}

fn left_deployment(deployment: &Deployment, reason: &str) -> LeftOut {
    LeftOut {
        kind: RowKind::Deployment,
        id: deployment.id.clone(),
        at: deployment.finished_at,
        reason: reason.to_owned(),
    }
}

fn left_commit(commit: &DeployedCommit, at: Timestamp, reason: String) -> LeftOut {
    LeftOut {
        kind: RowKind::Commit,
        id: commit.sha.clone(),
        at,
        reason,
    }
}

/// Where the time of one deployment's changes went; `None` when none could be measured. The time of
/// a revert is its own, as in the metric: it is none of the changes that went out with it.
pub fn breakdown(delivered: &Delivered<'_>, index: usize) -> Option<LeadBreakdown> {
    let deployment = delivered.deployments[index];
    let hours: Vec<f64> = changes(delivered, index)
        .measured
        .iter()
        .filter(|change| !change.commit.reverts)
        .map(|change| change.hours)
        .collect();
    let longest = hours.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shortest = hours.iter().copied().fold(f64::INFINITY, f64::min);
    let deploying = deployment
        .started_at
        .filter(|&started| started <= deployment.finished_at)
        .map(|started| deployment.finished_at.since(started).as_secs_f64() / 3_600.0);
    Some(LeadBreakdown {
        commits: hours.len(),
        median_hours: median(&hours)?,
        longest_hours: longest,
        writing_hours: longest - shortest,
        waiting_hours: (shortest - deploying.unwrap_or(0.0)).max(0.0),
        deploying_hours: deploying,
    })
}

const RULE: &str = "median, over the commits of planned deployments that finished in the window, of \
deployment end minus author date (committer date where the author date cannot be true); each commit \
once in each service, where it went out first; hotfixes and reverts apart";

const CYCLE_RULE: &str = "no commit data: cycle time instead, the median over planned deployments with a \
cycle of deployment end minus the start of the first phase that the cycle had before it";

/// Median of a range by this basis, with p75, p90 and the unplanned ones beside it.
pub fn measure(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
    basis: LeadBasis,
) -> Measured {
    match basis {
        LeadBasis::Commits => of_commits(delivered, facts, scope, range),
        LeadBasis::Cycles => of_cycles(delivered, facts, scope, range),
    }
}

fn of_commits(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
) -> Measured {
    let mut explanation = Explanation::of(RULE);
    let mut planned = Vec::new();
    let mut unplanned = Vec::new();
    let mut anomalies = 0_usize;
    let mut by_committer = 0_usize;
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    for &index in &indices {
        let mut found = changes(delivered, index);
        anomalies += found.anomalies;
        explanation.left_out.append(&mut found.left_out);
        for change in found.measured {
            if change.unplanned() {
                unplanned.push(change.hours);
                let what = if change.commit.reverts {
                    "a revert in"
                } else {
                    "part of the hotfix"
                };
                let reason = format!("{what} {}: kept apart", change.deployment.id);
                explanation
                    .left_out
                    .push(left_commit(change.commit, change.from(), reason));
                continue;
            }
            by_committer += usize::from(change.since == Since::Committed);
            planned.push(change.hours);
            explanation.rows.push(row(&change));
        }
    }
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.id.cmp(&b.id)));
    if by_committer > 0 {
        explanation
            .notes
            .push(format!("{by_committer} measured from the committer date"));
    }
    if planned.is_empty() {
        let reason = absence(delivered, facts, &indices);
        return Measured {
            value: Value::NotAvailable { reason },
            unit: Unit::Hours,
            samples: 0,
            interval: None,
            details: details(&planned, &unplanned, anomalies),
            explanation,
        };
    }
    Measured {
        value: median(&planned).map_or(
            Value::NotAvailable {
                reason: Absence::NoCommits,
            },
            Value::Known,
        ),
        unit: Unit::Hours,
        samples: planned.len(),
        interval: median_interval(&planned),
        details: details(&planned, &unplanned, anomalies),
        explanation,
    }
}

/// Why there is nothing to measure: no deployment, or none that says what it carries.
pub(super) fn absence(delivered: &Delivered<'_>, facts: &Facts<'_>, indices: &[usize]) -> Absence {
    if !indices.is_empty() {
        Absence::NoCommits
    } else if facts.sources.deployments || !delivered.deployments.is_empty() {
        Absence::NoDeployments
    } else {
        Absence::NoDeploymentSource
    }
}

fn row(change: &Change<'_>) -> Row {
    let by = match change.since {
        Since::Authored => "",
        Since::Committed => ", from the committer date",
    };
    Row {
        kind: RowKind::Commit,
        id: change.commit.sha.clone(),
        at: change.from(),
        until: Some(change.deployment.finished_at),
        value: change.hours,
        note: format!("{} in {}{by}", change.commit.title, change.deployment.id),
        request_id: change.deployment.request_id.clone(),
    }
}

fn details(planned: &[f64], unplanned: &[f64], anomalies: usize) -> Vec<Detail> {
    let hours = |key, title, value: Option<f64>, samples: usize| Detail {
        key,
        title,
        value: value.map_or(
            Value::NotAvailable {
                reason: Absence::NoCommits,
            },
            Value::Known,
        ),
        unit: Unit::Hours,
        samples,
    };
    vec![
        hours(
            "p75",
            "75th percentile",
            quantile(planned, 0.75),
            planned.len(),
        ),
        hours(
            "p90",
            "90th percentile",
            quantile(planned, 0.90),
            planned.len(),
        ),
        hours(
            "unplanned",
            "hotfixes and reverts, median",
            median(unplanned),
            unplanned.len(),
        ),
        Detail {
            key: "anomalies",
            title: "negative lead times dropped",
            value: Value::Known(anomalies as f64),
            unit: Unit::Count,
            samples: anomalies,
        },
    ]
}

/// The stand-in where no source knows commits: since the start of the deployment's cycle.
fn of_cycles(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
) -> Measured {
    let mut explanation = Explanation::of(CYCLE_RULE);
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    for &index in &indices {
        let deployment = delivered.deployments[index];
        let start = cycle_start(delivered, deployment);
        let (Some(from), Some(hours)) = (start, cycle_hours(delivered, index)) else {
            let reason = if deployment.kind.unplanned() {
                "unplanned: kept apart"
            } else {
                "no phase of its cycle before it"
            };
            explanation
                .left_out
                .push(left_deployment(deployment, reason));
            continue;
        };
        let cycle = deployment.cycle_id.as_deref().unwrap_or_default();
        explanation.rows.push(Row {
            kind: RowKind::Deployment,
            id: deployment.id.clone(),
            at: from,
            until: Some(deployment.finished_at),
            value: hours,
            note: format!("cycle {cycle}"),
            request_id: deployment.request_id.clone(),
        });
    }
    let hours: Vec<f64> = explanation.rows.iter().map(|row| row.value).collect();
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.id.cmp(&b.id)));
    explanation
        .notes
        .push("cycle time, not commit lead time: do not compare the two".to_owned());
    let reason = absence(delivered, facts, &indices);
    Measured {
        value: median(&hours).map_or(Value::NotAvailable { reason }, Value::Known),
        unit: Unit::Hours,
        samples: hours.len(),
        interval: median_interval(&hours),
        details: details(&hours, &[], 0),
        explanation,
    }
}
