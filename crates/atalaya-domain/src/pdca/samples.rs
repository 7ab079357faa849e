//! What one metric is tested on: one value a deployment, counts, or events in a time.

use serde::{Deserialize, Serialize};

use crate::dora::{Absence, DoraReport, Metric, Value};
use crate::stats::{EventCount, Share, mean};

/// Samples of one metric over one stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Samples {
    /// Hours, one value a deployment.
    Times(Vec<f64>),
    /// Deployments in days.
    Events(EventCount),
    /// Failed or unplanned deployments out of all.
    Share(Share),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSamples {
    pub metric: Metric,
    pub samples: Samples,
    /// Recoveries that still run; they are not among the times.
    pub open: u64,
}

impl MetricSamples {
    /// What a report of one range gives for this metric; `None` when nothing is connected that
    /// would have told (no incident source is not "no incidents").
    ///
    /// The unit is the deployment: changes that went out together are not independent, so their
    /// median stands for them, and hotfixes are kept apart as in the metric itself.
    pub fn of(report: &DoraReport, metric: Metric) -> Option<Self> {
        let value = report.metric(metric)?.measured.value;
        if let Value::NotAvailable {
            reason: Absence::NoDeploymentSource | Absence::NoIncidentSource,
        } = value
        {
            return None;
        }
        let lines = &report.deployments;
        let count = lines.len() as u64;
        let mut open = 0;
        let samples = match metric {
            Metric::DeploymentFrequency => Samples::Events(EventCount {
                events: count,
                exposure: report.days(),
            }),
            Metric::ChangeLeadTime => Samples::Times(
                lines
                    .iter()
                    .filter(|line| !line.deployment.kind.unplanned())
                    .filter_map(|line| line.lead.map(|lead| lead.median_hours))
                    .collect(),
            ),
            Metric::RecoveryTime => Samples::Times(
                lines
                    .iter()
                    .filter_map(|line| line.recovery)
                    .filter(|recovery| {
                        open += u64::from(recovery.open);
                        !recovery.open
                    })
                    .map(|recovery| recovery.hours())
                    .collect(),
            ),
            Metric::ChangeFailureRate => Samples::Share(Share::new(
                lines.iter().filter(|line| line.failed.is_some()).count() as u64,
                count,
            )),
            Metric::ReworkRate => Samples::Share(Share::new(
                lines
                    .iter()
                    .filter(|line| line.deployment.kind.unplanned())
                    .count() as u64,
                count,
            )),
        };
        Some(Self {
            metric,
            samples,
            open,
        })
    }

    /// Two stretches of time as one; the first one's kind of samples decides.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.open += other.open;
        match (&mut self.samples, other.samples) {
            (Samples::Times(mine), Samples::Times(theirs)) => mine.extend(theirs),
            (Samples::Events(mine), Samples::Events(theirs)) => {
                mine.events += theirs.events;
                mine.exposure += theirs.exposure;
            }
            (Samples::Share(mine), Samples::Share(theirs)) => {
                *mine = Share::new(mine.hits + theirs.hits, mine.total + theirs.total);
            }
            _ => {}
        }
        self
    }

    /// How many there are: times, events, or the total of the share.
    pub fn count(&self) -> u64 {
        match &self.samples {
            Samples::Times(times) => times.len() as u64,
            Samples::Events(count) => count.events,
            Samples::Share(share) => share.total,
        }
    }

    /// Mean time, rate or ratio, in the metric's unit: what the older tool's rule looks at.
    pub fn mean(&self) -> Option<f64> {
        match &self.samples {
            Samples::Times(times) => mean(times),
            Samples::Events(count) => count.rate(),
            Samples::Share(share) => share.ratio(),
        }
    }
}
