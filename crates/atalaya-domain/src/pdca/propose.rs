//! Plans that suggest themselves: metrics that miss their targets.

use serde::Serialize;

use super::{Baseline, Measure};
use crate::dora::{DoraReport, Metric, Value};
use crate::stats::Interval;

/// Fewer samples than this make a baseline that a warning belongs to.
const SAMPLES_FOR_BASELINE: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Critical,
    High,
    Medium,
}

/// A plan worth making.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    pub metric: Metric,
    /// In the metric's unit.
    pub current: f64,
    pub target: f64,
    pub samples: usize,
    /// The older tool's step: 30 % for frequency and lead time, 20 % for failures, 15 % for recovery.
    pub expected_percent: f64,
    pub priority: Priority,
}

const fn step(metric: Metric) -> (f64, Priority) {
    match metric {
        Metric::DeploymentFrequency | Metric::ChangeLeadTime => (30.0, Priority::High),
        Metric::ChangeFailureRate => (20.0, Priority::Critical),
        Metric::RecoveryTime | Metric::ReworkRate => (15.0, Priority::Medium),
    }
}

/// The improvement that a plan on this metric expects unless somebody says otherwise.
pub const fn expected_percent(metric: Metric) -> f64 {
    step(metric).0
}

/// Metrics of the report that miss their target, the most urgent first. A metric without a number
/// misses nothing.
pub fn propose(report: &DoraReport) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = report
        .metrics
        .iter()
        .filter_map(|metric| {
            let target = metric.target.filter(|target| target.met == Some(false))?;
            let (expected_percent, priority) = step(metric.metric);
            Some(Proposal {
                metric: metric.metric,
                current: metric.measured.value.number()?,
                target: target.value,
                samples: metric.measured.samples,
                expected_percent,
                priority,
            })
        })
        .collect();
    proposals.sort_by_key(|proposal| proposal.priority);
    proposals
}

/// What a plan on this metric starts from, as the report of its window shows it.
pub fn baseline(report: &DoraReport, metric: Metric) -> Baseline {
    let mut warnings =
        vec!["before against after, without a control: part of any change is chance".to_owned()];
    let measured = report.metric(metric).map(|metric| &metric.measured);
    let samples = measured.map_or(0, |measured| measured.samples as u64);
    let value = measured.and_then(|measured| measured.value.number());
    match measured.map(|measured| measured.value) {
        Some(Value::NotAvailable { reason }) => warnings.push(format!("no baseline: {reason}")),
        Some(Value::AtLeast(_)) => warnings.push("the baseline is a lower bound".to_owned()),
        _ if samples < SAMPLES_FOR_BASELINE => {
            warnings.push(format!(
                "only {samples} samples; {SAMPLES_FOR_BASELINE} make a baseline"
            ));
        }
        _ => {}
    }
    let interval = measured
        .and_then(|measured| measured.interval)
        .map(|interval| Interval::new(interval.low, interval.high));
    Baseline {
        window: report.window,
        samples,
        value,
        interval,
        warnings,
        history_from: None,
        forecast: None,
        measure: Measure::Standard,
    }
}
