//! Change lead time: from a commit to production.
//!
//! Measured from the author date, or from the committer date where the author date cannot be true
//! (after the commit itself, before git existed, or after the deployment). What is still negative
//! is dropped and counted as an anomaly. A commit counts once, where it went out first. Hotfixes
//! and rollbacks are kept apart: they are fast because they must be.

use super::explain::{Explanation, LeftOut, Row, RowKind};
use super::failures::Delivered;
use super::samples::{median, median_interval, quantile};
use super::{Absence, Detail, Facts, LeadBreakdown, Measured, Scope, Unit, Value};
use crate::delivery::{DeployedCommit, Deployment};
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

/// One change that took part.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub commit: &'a DeployedCommit,
    pub deployment: &'a Deployment,
    pub hours: f64,
    pub since: Since,
}

/// The changes of one deployment, and what was left out of them.
pub fn changes<'a>(delivered: &Delivered<'a>, index: usize) -> (Vec<Change<'a>>, Vec<LeftOut>) {
    let deployment = delivered.deployments[index];
    let mut changes = Vec::new();
    let mut left_out = Vec::new();
    let mut leave = |kind, id: &str, at, reason: String| {
        left_out.push(LeftOut {
            kind,
            id: id.to_owned(),
            at,
            reason,
        });
    };
    let Some(commits) = &deployment.commits else {
        let reason =
            "its commits are unknown: the first deployment seen, or a source without commits";
        leave(
            RowKind::Deployment,
            &deployment.id,
            deployment.finished_at,
            reason.to_owned(),
        );
        return (changes, left_out);
    };
    if commits.is_empty() && delivered.redeploys.contains(&index) {
        let reason = "a re-deploy of a commit that was out already: no new lead time";
        leave(
            RowKind::Deployment,
            &deployment.id,
            deployment.finished_at,
            reason.to_owned(),
        );
    }
    for commit in commits {
        let key = (deployment.service.as_str(), commit.sha.as_str());
        if delivered
            .first_carrier
            .get(&key)
            .is_some_and(|&first| first != index)
        {
            let reason = format!("went out earlier; again with {}", deployment.id);
            leave(RowKind::Commit, &commit.sha, commit.committed_at, reason);
            continue;
        }
        match lead_hours(commit, deployment.finished_at) {
            Ok((hours, since)) => changes.push(Change {
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
                leave(RowKind::Commit, &commit.sha, commit.committed_at, reason);
            }
        }
    }
    (changes, left_out)
}

/// Where the time of one deployment's changes went; `None` when none could be measured.
pub fn breakdown(delivered: &Delivered<'_>, index: usize) -> Option<LeadBreakdown> {
    let deployment = delivered.deployments[index];
    let (changes, _) = changes(delivered, index);
    let hours: Vec<f64> = changes.iter().map(|change| change.hours).collect();
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
once, where it went out first; hotfixes and rollbacks apart";

const CYCLE_RULE: &str = "no commit data: cycle time instead, the median over deployments with a cycle of \
deployment end minus the start of the cycle's first phase";

/// Median lead time of a range, with p75, p90 and the unplanned ones beside it.
pub fn measure(
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
        let (changes, left_out) = changes(delivered, index);
        anomalies += left_out
            .iter()
            .filter(|left| left.reason.starts_with("anomaly"))
            .count();
        explanation.left_out.extend(left_out);
        for change in changes {
            if change.deployment.kind.unplanned() {
                unplanned.push(change.hours);
                explanation.left_out.push(LeftOut {
                    kind: RowKind::Commit,
                    id: change.commit.sha.clone(),
                    at: change.commit.committed_at,
                    reason: format!(
                        "part of {} {}: kept apart",
                        change.deployment.kind.name(),
                        change.deployment.id
                    ),
                });
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
        if let Some(measured) = cycle_time(delivered, &indices) {
            return measured;
        }
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
        at: change.commit.committed_at,
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
            "hotfixes and rollbacks, median",
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

/// The fallback where no source knows commits: since the start of the deployment's cycle.
fn cycle_time(delivered: &Delivered<'_>, indices: &[usize]) -> Option<Measured> {
    if indices.iter().any(|&index| {
        delivered.deployments[index]
            .commits
            .as_ref()
            .is_some_and(|commits| !commits.is_empty())
    }) {
        return None; // commits there are; that none of them counts is an answer of its own
    }
    let mut explanation = Explanation::of(CYCLE_RULE);
    for &index in indices {
        let deployment = delivered.deployments[index];
        let start = deployment
            .cycle_id
            .as_ref()
            .and_then(|cycle| delivered.cycle_starts.get(cycle.as_str()).copied());
        let Some(start) =
            start.filter(|&start| start <= deployment.finished_at && !deployment.kind.unplanned())
        else {
            explanation.left_out.push(LeftOut {
                kind: RowKind::Deployment,
                id: deployment.id.clone(),
                at: deployment.finished_at,
                reason: "neither commits nor a planned cycle that started before it".to_owned(),
            });
            continue;
        };
        explanation.rows.push(Row {
            kind: RowKind::Deployment,
            id: deployment.id.clone(),
            at: deployment.finished_at,
            value: deployment.finished_at.since(start).as_secs_f64() / 3_600.0,
            note: format!(
                "cycle {}",
                deployment.cycle_id.as_deref().unwrap_or_default()
            ),
            request_id: deployment.request_id.clone(),
        });
    }
    let hours: Vec<f64> = explanation.rows.iter().map(|row| row.value).collect();
    let value = median(&hours)?;
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.id.cmp(&b.id)));
    explanation
        .notes
        .push("cycle time, not commit lead time: do not compare the two".to_owned());
    Some(Measured {
        value: Value::Known(value),
        unit: Unit::Hours,
        samples: hours.len(),
        interval: median_interval(&hours),
        details: details(&hours, &[], 0),
        explanation,
    })
}
