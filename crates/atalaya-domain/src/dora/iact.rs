//! The older tool's own formulas over phases, kept so that a migrated dashboard shows equal figures.
//!
//! Deployment frequency is the count of deployment phases; lead time the mean duration of a
//! deployment phase; change failure rate the share of no-go among testing phases ("test no-go
//! rate" by its right name); MTTR the mean duration of resolved maintenance phases. There is no
//! rework rate. None of them is the measure that dora.dev gives this name.

use std::collections::BTreeSet;

use super::explain::{Explanation, Row, RowKind};
use super::samples::{mean, proportion};
use super::{Absence, Detail, Facts, Measured, Metric, Scope, Unit, Value};
use crate::delivery::{Decision, Phase, PhaseRecord};
use crate::time::TimeRange;

/// Metadata name under which importers keep the phase's own word where it is not ours.
pub const PHASE_WORD: &str = "phase_word";

/// One of the older tool's metrics over a range.
pub fn measure(facts: &Facts<'_>, scope: &Scope, metric: Metric, range: TimeRange) -> Measured {
    match metric {
        Metric::DeploymentFrequency => frequency(facts, scope, range),
        Metric::ChangeLeadTime => mean_hours(
            facts,
            scope,
            range,
            "mean duration of the deployment phases of the window",
            &|phase| phase.phase == Phase::Deployment,
        ),
        Metric::ChangeFailureRate => no_go_rate(facts, scope, range),
        Metric::RecoveryTime => mean_hours(
            facts,
            scope,
            range,
            "mean duration of the maintenance and recovery phases of the window that ended resolved",
            &|phase| {
                matches!(phase.phase, Phase::Maintenance | Phase::Recovery)
                    && phase.decision == Decision::Resolved
            },
        ),
        Metric::ReworkRate => Measured {
            value: Value::NotAvailable {
                reason: Absence::NotDefined,
            },
            unit: Unit::Ratio,
            samples: 0,
            interval: None,
            details: Vec::new(),
            explanation: Explanation::of("the older tool has no rework rate"),
        },
    }
}

pub(super) fn phases<'a>(
    facts: &Facts<'a>,
    scope: &'a Scope,
    range: TimeRange,
) -> impl Iterator<Item = &'a PhaseRecord> + 'a {
    let matches = |phase: &PhaseRecord, name: &str, wanted: &Option<String>| {
        wanted
            .as_ref()
            .is_none_or(|wanted| phase.text(name).as_ref() == Some(wanted))
    };
    facts.phases.iter().filter(move |phase| {
        range.contains(phase.recorded_at)
            && matches(phase, "service", &scope.service)
            && matches(phase, "team", &scope.team)
    })
}

fn row(phase: &PhaseRecord, value: f64) -> Row {
    Row {
        kind: RowKind::Phase,
        id: format!(
            "{}/{}#{}",
            phase.cycle_id,
            phase.phase.name(),
            phase.attempt
        ),
        at: phase.recorded_at,
        until: None,
        value,
        note: format!("{} {}", phase.feature_id, phase.decision.name()),
        request_id: phase.request_id(),
    }
}

fn frequency(facts: &Facts<'_>, scope: &Scope, range: TimeRange) -> Measured {
    let mut explanation = Explanation::of("count of the deployment phases of the window");
    explanation.rows = phases(facts, scope, range)
        .filter(|phase| phase.phase == Phase::Deployment)
        .map(|phase| row(phase, 1.0))
        .collect();
    let count = explanation.rows.len();
    let days = range.length().as_secs_f64() / 86_400.0;
    let nothing_known = facts.phases.is_empty();
    Measured {
        value: if nothing_known {
            Value::NotAvailable {
                reason: Absence::NoPhases,
            }
        } else {
            Value::Known(count as f64)
        },
        unit: Unit::Count,
        samples: count,
        interval: None,
        details: vec![Detail {
            key: "per_day",
            title: "deployment phases per day",
            value: if days > 0.0 && !nothing_known {
                Value::Known(count as f64 / days)
            } else {
                Value::NotAvailable {
                    reason: Absence::NoPhases,
                }
            },
            unit: Unit::PerDay,
            samples: count,
        }],
        explanation,
    }
}

fn mean_hours(
    facts: &Facts<'_>,
    scope: &Scope,
    range: TimeRange,
    rule: &str,
    wanted: &dyn Fn(&PhaseRecord) -> bool,
) -> Measured {
    let mut explanation = Explanation::of(rule);
    explanation.rows = phases(facts, scope, range)
        .filter(|phase| wanted(phase))
        .map(|phase| row(phase, phase.duration.as_secs_f64() / 3_600.0))
        .collect();
    let hours: Vec<f64> = explanation.rows.iter().map(|row| row.value).collect();
    Measured {
        value: mean(&hours).map_or(
            Value::NotAvailable {
                reason: Absence::NoPhases,
            },
            Value::Known,
        ),
        unit: Unit::Hours,
        samples: hours.len(),
        interval: None,
        details: Vec::new(),
        explanation,
    }
}

fn no_go_rate(facts: &Facts<'_>, scope: &Scope, range: TimeRange) -> Measured {
    let mut explanation =
        Explanation::of("testing phases of the window that ended no-go, by all its testing phases");
    explanation.rows = phases(facts, scope, range)
        .filter(|phase| phase.phase == Phase::Testing)
        .map(|phase| row(phase, f64::from(u8::from(phase.decision == Decision::NoGo))))
        .collect();
    let tests = explanation.rows.len();
    let refused = explanation
        .rows
        .iter()
        .filter(|row| row.value > 0.0)
        .count();
    // Its data catalog counts something else under the same name: cycles with an incident.
    let deployed = phases(facts, scope, range)
        .filter(|phase| phase.phase == Phase::Deployment)
        .count();
    let troubled: BTreeSet<&str> = phases(facts, scope, range)
        .filter(|phase| {
            phase.text(PHASE_WORD).as_deref() == Some("incident")
                || phase.decision == Decision::RolledBack
        })
        .map(|phase| phase.cycle_id.as_str())
        .collect();
    Measured {
        value: if tests == 0 {
            Value::NotAvailable {
                reason: Absence::NoPhases,
            }
        } else {
            Value::Known(refused as f64 / tests as f64)
        },
        unit: Unit::Ratio,
        samples: tests,
        interval: proportion(refused, tests),
        details: vec![Detail {
            key: "catalog_failure_rate",
            title: "cycles with an incident or rollback by deployments (its catalog)",
            value: if deployed == 0 {
                Value::NotAvailable {
                    reason: Absence::NoPhases,
                }
            } else {
                Value::Known(troubled.len() as f64 / deployed as f64)
            },
            unit: Unit::Ratio,
            samples: deployed,
        }],
        explanation,
    }
}
