//! The course of a plan's metric, week by week, for the eye: before, the change, after.

use std::time::Duration;

use serde::Serialize;

use super::PdcaCycle;
use super::looks::LOOKS;
use super::series::{Series, days};
use crate::dora::Metric;
use crate::stats::median;
use crate::time::{TimeRange, Timestamp};

/// Weeks before the baseline's end that are shown at most.
const SHOWN_BEFORE: u32 = 12;
const WEEK: Duration = Duration::from_hours(7 * 24);

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CoursePoint {
    pub range: TimeRange,
    /// Deployments a day, median hours, or the share of hits; `None` without a release.
    pub value: Option<f64>,
    pub samples: u64,
}

/// Oldest first. Weeks are counted from the change (from the baseline's end before it), so that
/// none holds both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    pub before: Vec<CoursePoint>,
    pub after: Vec<CoursePoint>,
}

impl Course {
    /// `series` should reach from the plan's history to `now`. The running week is not shown.
    pub fn of(series: &Series, cycle: &PdcaCycle, now: Timestamp) -> Self {
        let baseline = &cycle.plan.baseline;
        let applied_at = cycle.applied.as_ref().map(|applied| applied.applied_at);
        let zero = applied_at.unwrap_or(baseline.window.until);
        let from = baseline.history().from;
        let point = |from: Timestamp, range: TimeRange| {
            (range.from >= from).then(|| CoursePoint {
                range,
                value: value(series, &range),
                samples: series.count(&[range]),
            })
        };
        let before = (1..=SHOWN_BEFORE).rev().filter_map(|weeks| {
            let start = zero.saturating_sub(WEEK * weeks);
            point(from, TimeRange::new(start, start.saturating_add(WEEK)))
        });
        let last = LOOKS[LOOKS.len() - 1].hours / (7 * 24);
        let after = (0..last).filter_map(|weeks| {
            let start = zero.saturating_add(WEEK * weeks);
            let range = TimeRange::new(start, start.saturating_add(WEEK));
            point(from, range).filter(|_| applied_at.is_some() && range.until <= now)
        });
        Self {
            before: before.collect(),
            after: after.collect(),
        }
    }

    /// Lowest and highest value of all, `None` when no week has one.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let values = self.before.iter().chain(&self.after);
        let values: Vec<f64> = values.filter_map(|point| point.value).collect();
        let low = values.iter().copied().min_by(f64::total_cmp)?;
        let high = values.iter().copied().max_by(f64::total_cmp)?;
        Some((low, high))
    }
}

fn value(series: &Series, range: &TimeRange) -> Option<f64> {
    let values = series.values(&[*range]);
    match series.metric {
        Metric::DeploymentFrequency => Some(values.len() as f64 / days(range)),
        Metric::ChangeLeadTime | Metric::RecoveryTime => median(&values),
        Metric::ChangeFailureRate | Metric::ReworkRate => series.mean(&[*range]),
    }
}
