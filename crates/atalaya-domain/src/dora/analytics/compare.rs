//! Two periods side by side, which need not have the same length.

use serde::Serialize;

use super::Asked;
use crate::dora::{Direction, Interval, LeadBasis, Measured, Metric, Unit, Value, trend::delta};
use crate::stats::{self, EventCount, Share};
use crate::time::TimeRange;

/// One period's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    pub value: Value,
    pub samples: usize,
    pub interval: Option<Interval>,
}

/// How likely such a difference is when nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Test {
    pub name: &'static str,
    pub p: f64,
}

/// The older tool's arithmetic on the same rows: counts of periods, and 100 or 0 per cent where
/// there was nothing before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plain {
    pub current: f64,
    pub previous: f64,
    pub change: f64,
    pub percent_change: f64,
}

impl Plain {
    fn of(current: f64, previous: f64) -> Self {
        let change = current - previous;
        let percent_change = if previous != 0.0 {
            change / previous * 100.0
        } else if current > 0.0 {
            100.0
        } else {
            0.0
        };
        Self {
            current,
            previous,
            change,
            percent_change,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub metric: Metric,
    pub unit: Unit,
    pub current: Side,
    pub previous: Side,
    /// `None` unless both have a number.
    pub change: Option<f64>,
    /// `None` also when the previous value is 0.
    pub percent_change: Option<f64>,
    pub direction: Option<Direction>,
    pub test: Option<Test>,
    pub plain: Option<Plain>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub basis: LeadBasis,
    pub current: TimeRange,
    pub previous: TimeRange,
    pub metrics: Vec<Compared>,
}

/// Every metric of both periods; the frequency by the days of each.
pub fn compare(asked: &Asked<'_>, current: TimeRange, previous: TimeRange) -> Comparison {
    let delivered = asked.delivered();
    let context = asked.context(&delivered, current);
    let metrics = Metric::ALL
        .into_iter()
        .map(|metric| {
            let now = context.measure(metric, current);
            let before = context.measure(metric, previous);
            compared(metric, (&now, current), (&before, previous))
        })
        .collect();
    Comparison {
        basis: context.lead_basis,
        current,
        previous,
        metrics,
    }
}

type Seen<'a> = (&'a Measured, TimeRange);

fn compared(metric: Metric, now: Seen<'_>, before: Seen<'_>) -> Compared {
    let is_frequency = metric == Metric::DeploymentFrequency;
    // A profile that counts has counts of periods, which only a rate makes comparable.
    let value = |(seen, range): Seen<'_>| match seen.value {
        Value::Known(_) if is_frequency => {
            Value::Known(seen.samples as f64 / days(range).max(f64::MIN_POSITIVE))
        }
        other => other,
    };
    let (current, previous) = (value(now), value(before));
    let changed = delta(metric, current, previous);
    let plain = match (now.0.value.number(), before.0.value.number()) {
        (Some(_), Some(_)) if is_frequency => {
            Some(Plain::of(now.0.samples as f64, before.0.samples as f64))
        }
        (Some(now), Some(before)) => Some(Plain::of(now, before)),
        _ => None,
    };
    let side = |value, seen: &Measured| Side {
        value,
        samples: seen.samples,
        interval: seen.interval,
    };
    Compared {
        metric,
        unit: metric.unit(),
        current: side(current, now.0),
        previous: side(previous, before.0),
        change: changed.map(|delta| delta.difference),
        percent_change: changed
            .and_then(|delta| delta.relative)
            .map(|relative| relative * 100.0),
        direction: changed.map(|delta| delta.direction),
        test: changed.and_then(|_| test(metric, before, now)),
        plain,
    }
}

fn days(range: TimeRange) -> f64 {
    range.length().as_secs_f64() / 86_400.0
}

fn test(metric: Metric, before: Seen<'_>, now: Seen<'_>) -> Option<Test> {
    let values = |seen: Seen<'_>| -> Vec<f64> {
        seen.0
            .explanation
            .rows
            .iter()
            .map(|row| row.value)
            .collect()
    };
    match metric {
        Metric::DeploymentFrequency => {
            let count = |(seen, range): Seen<'_>| EventCount {
                events: seen.samples as u64,
                exposure: days(range),
            };
            let found = stats::rate_ratio(count(before), count(now), 0.95)?;
            Some(Test {
                name: "ratio of Poisson rates",
                p: found.p,
            })
        }
        Metric::ChangeFailureRate | Metric::ReworkRate => {
            let share = |seen: Seen<'_>| {
                let hit = values(seen).iter().filter(|value| **value > 0.0).count();
                Share::new(hit as u64, seen.0.samples as u64)
            };
            Some(Test {
                name: "Fisher's exact",
                p: stats::fisher_exact(share(before), share(now)),
            })
        }
        Metric::ChangeLeadTime | Metric::RecoveryTime => {
            let found = stats::mann_whitney(&values(before), &values(now))?;
            Some(Test {
                name: "Mann-Whitney",
                p: found.p,
            })
        }
    }
}
