//! Failed deployment recovery time, and beside it the mean over all incidents.
//!
//! Recovery runs from the first incident laid to the deployment until the last one is resolved; of a
//! deployment that is recorded as failed it runs from its own end. Without an incident it ends with
//! the deployment that took it back, else with the next success of the service. What is still open counts up to now and is marked: the median is then the Kaplan-Meier one, in which an open
//! recovery is known to last at least that long, and a lower bound when more than half are open.

use serde::Serialize;

use super::explain::{Explanation, LeftOut, Row, RowKind};
use super::failures::{Delivered, Failure};
use super::lead_time::absence;
use super::samples::{mean, median_interval, survival_median};
use super::{Absence, Detail, Facts, Measured, Scope, Unit, Value, show_hours};
use crate::delivery::{Deployment, DeploymentResult};
use crate::time::{TimeRange, Timestamp};

/// How long one failed deployment hurt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recovery {
    pub from: Timestamp,
    /// "Now" for an open one.
    pub until: Timestamp,
    pub open: bool,
}

impl Recovery {
    pub fn hours(&self) -> f64 {
        self.until.since(self.from).as_secs_f64() / 3_600.0
    }
}

/// `None` when it is over and nothing says since when: recorded as rolled back, nothing after it.
pub fn of(deployment: &Deployment, failure: &Failure<'_>, now: Timestamp) -> Option<Recovery> {
    let opened = failure
        .incidents
        .iter()
        .map(|(incident, _)| incident.opened_at)
        .min();
    let from = match (failure.said, opened) {
        (None, Some(opened)) => opened,
        _ => deployment.finished_at,
    };
    let until = if failure.incidents.is_empty() {
        let after = failure.rolled_back_by.or(failure.recovered_by);
        let end = after.map(|after| after.finished_at).filter(|&at| at <= now);
        if end.is_none() && failure.said != Some(DeploymentResult::Failed) {
            return None;
        }
        end
    } else {
        // An incident resolved in the future of `now` is still open as seen from `now`.
        let ends: Option<Vec<Timestamp>> = failure
            .incidents
            .iter()
            .map(|(incident, _)| incident.resolved_at.filter(|&at| at <= now))
            .collect();
        ends.and_then(|ends| ends.into_iter().max())
    };
    Some(Recovery {
        from,
        until: until.unwrap_or(now).max(from),
        open: until.is_none(),
    })
}

const RULE: &str = "median over the failed deployments that finished in the window: from the first incident \
laid to the deployment (from its own end where it is recorded as failed) until the last is resolved; \
without an incident, until what took it back, else the next success of its service; open ones count up to now as Kaplan-Meier censored";

/// Median recovery of a range. `now` ends what is still open.
pub fn measure(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
    now: Timestamp,
) -> Measured {
    let mut explanation = Explanation::of(RULE);
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    let mut times: Vec<(f64, bool)> = Vec::new();
    let mut failed = 0_usize;
    for &index in &indices {
        let deployment = delivered.deployments[index];
        let Some(failure) = delivered.failures.get(&index) else {
            continue;
        };
        failed += 1;
        let Some(recovery) = of(deployment, failure, now) else {
            explanation.left_out.push(LeftOut {
                kind: RowKind::Deployment,
                id: deployment.id.clone(),
                at: deployment.finished_at,
                reason: "rolled back, but nothing says when that was over".to_owned(),
            });
            continue;
        };
        times.push((recovery.hours(), !recovery.open));
        let state = if recovery.open { ", open" } else { "" };
        explanation.rows.push(Row {
            kind: RowKind::Deployment,
            id: deployment.id.clone(),
            at: recovery.from,
            until: Some(recovery.until),
            value: recovery.hours(),
            note: format!("{}{state}", failure.show()),
            request_id: deployment.request_id.clone(),
        });
    }
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.id.cmp(&b.id)));
    let open = times.iter().filter(|&&(_, ended)| !ended).count();
    if open > 0 {
        let oldest = times
            .iter()
            .filter(|&&(_, ended)| !ended)
            .map(|&(hours, _)| hours)
            .fold(0.0, f64::max);
        explanation.notes.push(format!(
            "{open} of {} still open, the oldest for {}",
            times.len(),
            show_hours(oldest)
        ));
    }
    let (incidents, unlinked) = all_incidents(delivered, scope, range, now, &mut explanation);
    let value = match survival_median(&times) {
        Some((value, below)) if below || open * 2 > times.len() => Value::AtLeast(value),
        Some((value, _)) => Value::Known(value),
        None => Value::NotAvailable {
            reason: missing(delivered, facts, &indices, failed),
        },
    };
    let hours: Vec<f64> = times.iter().map(|&(hours, _)| hours).collect();
    Measured {
        value,
        unit: Unit::Hours,
        samples: times.len(),
        interval: if open == 0 {
            median_interval(&hours)
        } else {
            None
        },
        details: details(&incidents, open, unlinked),
        explanation,
    }
}

fn missing(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    indices: &[usize],
    failed: usize,
) -> Absence {
    if indices.is_empty() {
        absence(delivered, facts, indices)
    } else if failed == 0 && (facts.sources.incidents || !facts.incidents.is_empty()) {
        Absence::NoFailures
    } else {
        Absence::NoIncidentSource
    }
}

/// Every incident opened in the range, linked or not: (from, until, open), and how many are unlinked.
fn all_incidents(
    delivered: &Delivered<'_>,
    scope: &Scope,
    range: TimeRange,
    now: Timestamp,
    explanation: &mut Explanation,
) -> (Vec<Recovery>, usize) {
    let mut all = Vec::new();
    let mut unlinked = 0;
    for (index, (incident, link)) in delivered.incidents.iter().enumerate() {
        if !range.contains(incident.opened_at) || !delivered.admits_incident(scope, index) {
            continue;
        }
        let resolved = incident.resolved_at.filter(|&at| at <= now);
        all.push(Recovery {
            from: incident.opened_at,
            until: resolved.unwrap_or(now).max(incident.opened_at),
            open: resolved.is_none(),
        });
        if link.is_err() {
            unlinked += 1;
            explanation.left_out.push(LeftOut {
                kind: RowKind::Incident,
                id: incident.id.clone(),
                at: incident.opened_at,
                reason: "not laid to any deployment: in the all-incident mean only".to_owned(),
            });
        }
    }
    (all, unlinked)
}

/// Hours during which at least one was going on: overlaps count once.
pub fn union_hours(spans: &[Recovery]) -> f64 {
    let mut sorted: Vec<(Timestamp, Timestamp)> =
        spans.iter().map(|span| (span.from, span.until)).collect();
    sorted.sort_unstable();
    let mut total = 0.0;
    let mut covered_until = Timestamp::MIN;
    for (from, until) in sorted {
        total += until.since(from.max(covered_until)).as_secs_f64() / 3_600.0;
        covered_until = covered_until.max(until);
    }
    total
}

fn details(incidents: &[Recovery], open: usize, unlinked: usize) -> Vec<Detail> {
    let resolved: Vec<f64> = incidents
        .iter()
        .filter(|span| !span.open)
        .map(Recovery::hours)
        .collect();
    let none = Value::NotAvailable {
        reason: Absence::NoFailures,
    };
    let count = |key, title, count: usize| Detail {
        key,
        title,
        value: Value::Known(count as f64),
        unit: Unit::Count,
        samples: count,
    };
    vec![
        Detail {
            key: "all_incident_mttr",
            title: "mean over all resolved incidents",
            value: mean(&resolved).map_or(none, Value::Known),
            unit: Unit::Hours,
            samples: resolved.len(),
        },
        Detail {
            key: "time_in_incident",
            title: "time with an incident open, overlaps once",
            value: if incidents.is_empty() {
                none
            } else {
                Value::Known(union_hours(incidents))
            },
            unit: Unit::Hours,
            samples: incidents.len(),
        },
        count("open", "failed deployments still open", open),
        count(
            "unlinked_incidents",
            "incidents without a deployment",
            unlinked,
        ),
    ]
}
