//! Deployments that took unusually long or short, by the older tool's rule.

use std::collections::HashMap;

use super::{Asked, Statistics};
use crate::dora::failures::Delivered;
use crate::stats::{self, Anomalies};
use crate::time::{TimeRange, Timestamp};

/// Deployments below which nothing is usual.
pub const NEEDED_DURATIONS: usize = 10;
/// Named in an answer, the farthest from the fences first.
pub const MOST_ANOMALIES: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Unusual {
    pub deployment: String,
    pub cycle_id: Option<String>,
    pub feature_id: Option<String>,
    pub seconds: f64,
    pub finished_at: Timestamp,
    pub slow: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyReport {
    pub period: TimeRange,
    /// Deployments whose begin and end are known.
    pub timed: usize,
    /// Those whose begin nobody told: a tag has none.
    pub untimed: usize,
    /// `None` below [`NEEDED_DURATIONS`].
    pub fences: Option<Anomalies>,
    pub statistics: Option<Statistics>,
    /// All that lie outside, the farthest first.
    pub unusual: Vec<Unusual>,
}

/// Quartiles of type 6 and fences of 1.5 interquartile ranges over the durations of a period.
pub fn anomalies(asked: &Asked<'_>, period: TimeRange) -> AnomalyReport {
    let delivered = Delivered::link(asked.facts, &asked.scope.environment, asked.rules.link_cap);
    let features: HashMap<&str, &str> = asked
        .facts
        .phases
        .iter()
        .map(|phase| (phase.cycle_id.as_str(), phase.feature_id.as_str()))
        .collect();
    let mut timed: Vec<Unusual> = Vec::new();
    let mut untimed = 0;
    for index in delivered.within(asked.scope, period) {
        let deployment = delivered.deployments[index];
        let started = deployment
            .started_at
            .filter(|&started| started <= deployment.finished_at);
        let Some(started) = started else {
            untimed += 1;
            continue;
        };
        let cycle = deployment.cycle_id.as_deref();
        timed.push(Unusual {
            deployment: deployment.id.clone(),
            cycle_id: deployment.cycle_id.clone(),
            feature_id: cycle
                .and_then(|cycle| features.get(cycle))
                .map(|&feature| feature.to_owned()),
            seconds: deployment.finished_at.since(started).as_secs_f64(),
            finished_at: deployment.finished_at,
            slow: false,
        });
    }
    let seconds: Vec<f64> = timed.iter().map(|one| one.seconds).collect();
    let fences = stats::iqr_anomalies(&seconds);
    let mut unusual: Vec<(f64, Unusual)> = Vec::new();
    for found in fences.iter().flat_map(|fences| &fences.found) {
        let limits = fences.as_ref().map(|found| found.fences);
        let beyond = limits.map_or(0.0, |limits| {
            (found.value - limits.high).max(limits.low - found.value)
        });
        let one = Unusual {
            slow: found.high,
            ..timed[found.index].clone()
        };
        unusual.push((beyond, one));
    }
    unusual.sort_by(|a, b| b.0.total_cmp(&a.0));
    AnomalyReport {
        period,
        timed: timed.len(),
        untimed,
        statistics: Statistics::of(&seconds),
        fences,
        unusual: unusual.into_iter().map(|(_, one)| one).collect(),
    }
}
