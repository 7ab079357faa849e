//! The three metrics that count deployments: frequency, failure rate, rework rate.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use super::explain::{Explanation, LeftOut, Row, RowKind};
use super::failures::Delivered;
use super::lead_time::absence;
use super::samples::{median, proportion, rate};
use super::{Absence, Detail, Facts, Measured, Scope, Unit, Value, show_hours};
use crate::delivery::Deployment;
use crate::time::{TimeRange, Timestamp};

const FREQUENCY_RULE: &str = "deployments that reached users and finished in the window, by the days of the \
window; beside it the median over the window's whole weeks of days with at least one deployment";

/// Deployments per calendar day. 0 with a connected source and none in the range.
pub fn frequency(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
    zone: Tz,
) -> Measured {
    let mut explanation = Explanation::of(FREQUENCY_RULE);
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    let days = range.length().as_secs_f64() / 86_400.0;
    for &index in &indices {
        let note = if delivered.redeploys.contains(&index) {
            "re-deploy of the same commit"
        } else {
            ""
        };
        explanation.rows.push(deployment_row(
            delivered.deployments[index],
            1.0,
            note.to_owned(),
        ));
    }
    leave_aborted(delivered, scope, range, &mut explanation);
    let value = if days <= 0.0 {
        Value::NotAvailable {
            reason: Absence::NoDeployments,
        }
    } else if indices.is_empty()
        && absence(delivered, facts, &indices) == Absence::NoDeploymentSource
    {
        Value::NotAvailable {
            reason: Absence::NoDeploymentSource,
        }
    } else {
        Value::Known(indices.len() as f64 / days)
    };
    let known = value.number().is_some();
    let per_week = deployment_days_per_week(
        indices
            .iter()
            .map(|&index| delivered.deployments[index].finished_at),
        range,
        zone,
    );
    Measured {
        value,
        unit: Unit::PerDay,
        samples: indices.len(),
        interval: if known {
            rate(indices.len(), days)
        } else {
            None
        },
        details: vec![
            Detail {
                key: "deployments",
                title: "deployments",
                value: Value::Known(indices.len() as f64),
                unit: Unit::Count,
                samples: indices.len(),
            },
            Detail {
                key: "deployment_days_per_week",
                title: "deployment days per week, median",
                value: per_week.filter(|_| known).map_or(
                    Value::NotAvailable {
                        reason: Absence::NoDeployments,
                    },
                    |(median, _)| Value::Known(median),
                ),
                unit: Unit::DaysPerWeek,
                samples: per_week.map_or(0, |(_, weeks)| weeks),
            },
        ],
        explanation,
    }
}

/// Median number of local days with a deployment, over the whole seven-day blocks that end with
/// the range; also how many blocks. `None` for a range shorter than a week.
fn deployment_days_per_week(
    at: impl Iterator<Item = Timestamp>,
    range: TimeRange,
    zone: Tz,
) -> Option<(f64, usize)> {
    let blocks = (range.length().as_secs() / (7 * 86_400)) as usize;
    if blocks == 0 {
        return None;
    }
    let date = |at: Timestamp| at.to_utc().with_timezone(&zone).date_naive();
    let last = date(Timestamp::from_micros(
        range.until.micros().saturating_sub(1),
    ));
    let days: BTreeSet<NaiveDate> = at.map(date).collect();
    let counts: Vec<f64> = (0..blocks)
        .filter_map(|block| {
            let until = last.checked_sub_days(Days::new(7 * block as u64))?;
            let from = until.checked_sub_days(Days::new(6))?;
            Some(days.range(from..=until).count() as f64)
        })
        .collect();
    median(&counts).map(|value| (value, counts.len()))
}

const FAILURE_RULE: &str = "deployments of the window with at least one incident laid to them, rolled back, or \
recorded as failed, by all deployments of the window; several incidents make one failed deployment";

/// Share of deployments that failed, 0 to 1.
pub fn failure_rate(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
) -> Measured {
    let mut explanation = Explanation::of(FAILURE_RULE);
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    let mut failed = 0_usize;
    for &index in &indices {
        let failure = delivered.failures.get(&index);
        failed += usize::from(failure.is_some());
        let note = failure.map_or_else(String::new, super::failures::Failure::show);
        explanation.rows.push(deployment_row(
            delivered.deployments[index],
            f64::from(u8::from(failure.is_some())),
            note,
        ));
    }
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then(b.at.cmp(&a.at)));
    leave_aborted(delivered, scope, range, &mut explanation);
    leave_unlinked(delivered, scope, range, &mut explanation);
    explanation.notes.push(format!(
        "an incident that names no cause is laid to the last deployment of its service at most {} \
         before it",
        show_hours(delivered.cap.as_secs_f64() / 3_600.0)
    ));
    let told = facts.sources.incidents || !facts.incidents.is_empty();
    let share = failed as f64 / indices.len() as f64;
    let value = if indices.is_empty() {
        Value::NotAvailable {
            reason: absence(delivered, facts, &indices),
        }
    } else if told {
        Value::Known(share)
    } else if failed > 0 {
        explanation.notes.push(
            "no incident source: only reverts, rollbacks and recorded failures are counted"
                .to_owned(),
        );
        Value::AtLeast(share)
    } else {
        Value::NotAvailable {
            reason: Absence::NoIncidentSource,
        }
    };
    let known = value.number().is_some();
    Measured {
        value,
        unit: Unit::Ratio,
        samples: indices.len(),
        interval: if known {
            proportion(failed, indices.len())
        } else {
            None
        },
        details: vec![Detail {
            key: "failed",
            title: "failed deployments",
            value: if known {
                Value::Known(failed as f64)
            } else {
                Value::NotAvailable {
                    reason: Absence::NoIncidentSource,
                }
            },
            unit: Unit::Count,
            samples: indices.len(),
        }],
        explanation,
    }
}

/// Incidents that no deployment answers for are named and not counted.
fn leave_unlinked(
    delivered: &Delivered<'_>,
    scope: &Scope,
    range: TimeRange,
    explanation: &mut Explanation,
) {
    for (index, (incident, link)) in delivered.incidents.iter().enumerate() {
        if let Err(why) = link
            && range.contains(incident.opened_at)
            && delivered.admits_incident(scope, index)
        {
            explanation.left_out.push(LeftOut {
                kind: RowKind::Incident,
                id: incident.id.clone(),
                at: incident.opened_at,
                reason: why.show(delivered.cap),
            });
        }
    }
}

const REWORK_RULE: &str = "unplanned deployments of the window (hotfixes and rollbacks, by tag, branch, subject \
or the recorder's word) by all deployments of the window";

/// Share of deployments that were unplanned, 0 to 1.
pub fn rework_rate(
    delivered: &Delivered<'_>,
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
) -> Measured {
    let mut explanation = Explanation::of(REWORK_RULE);
    let indices: Vec<usize> = delivered.within(scope, range).collect();
    let mut unplanned = 0_usize;
    for &index in &indices {
        let deployment = delivered.deployments[index];
        unplanned += usize::from(deployment.kind.unplanned());
        let note = if deployment.kind.unplanned() {
            deployment.kind.name()
        } else {
            ""
        };
        explanation.rows.push(deployment_row(
            deployment,
            f64::from(u8::from(deployment.kind.unplanned())),
            note.to_owned(),
        ));
    }
    explanation
        .rows
        .sort_by(|a, b| b.value.total_cmp(&a.value).then(b.at.cmp(&a.at)));
    leave_aborted(delivered, scope, range, &mut explanation);
    let value = if indices.is_empty() {
        Value::NotAvailable {
            reason: absence(delivered, facts, &indices),
        }
    } else {
        Value::Known(unplanned as f64 / indices.len() as f64)
    };
    Measured {
        value,
        unit: Unit::Ratio,
        samples: indices.len(),
        interval: proportion(unplanned, indices.len()),
        details: vec![Detail {
            key: "unplanned",
            title: "unplanned deployments",
            value: Value::Known(unplanned as f64),
            unit: Unit::Count,
            samples: indices.len(),
        }],
        explanation,
    }
}

fn deployment_row(deployment: &Deployment, value: f64, note: String) -> Row {
    Row {
        kind: RowKind::Deployment,
        id: deployment.id.clone(),
        at: deployment.finished_at,
        until: None,
        value,
        note,
        request_id: deployment.request_id.clone(),
    }
}

fn leave_aborted(
    delivered: &Delivered<'_>,
    scope: &Scope,
    range: TimeRange,
    explanation: &mut Explanation,
) {
    explanation.left_out.extend(
        delivered
            .aborted
            .iter()
            .filter(|deployment| range.contains(deployment.finished_at) && scope.admits(deployment))
            .map(|deployment| LeftOut {
                kind: RowKind::Deployment,
                id: deployment.id.clone(),
                at: deployment.finished_at,
                reason: "aborted: it never reached users".to_owned(),
            }),
    );
}
