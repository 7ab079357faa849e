//! What one metric is tested on: one value for each release, with its time.

use serde::{Deserialize, Serialize};

use crate::delivery::DeploymentKind;
use crate::dora::{Absence, DoraReport, LeadBasis, Metric, Value};
use crate::stats::{Cell, EventCount, Share, mean, median};
use crate::time::{TimeRange, Timestamp};

/// One release as a metric sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When the release was finished.
    pub at: Timestamp,
    /// Hours for times; 1 for a hit of a share and 0 for none; 1 for each deployment counted.
    pub value: f64,
}

/// What a lead time was measured from. The two are never compared with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// As the metric is defined.
    #[default]
    Standard,
    /// From the start of a recorded cycle, where nothing knows the commits.
    CycleTime,
}

impl Measure {
    /// What a metric is called when it is measured like this.
    pub const fn title(self, metric: Metric) -> &'static str {
        match (self, metric) {
            (Self::CycleTime, Metric::ChangeLeadTime) => LeadBasis::Cycles.title(),
            _ => metric.title(),
        }
    }
}

/// One metric over a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub metric: Metric,
    pub measure: Measure,
    /// In the order of time.
    pub observations: Vec<Observation>,
    /// Releases whose recovery still runs; they are not among the values.
    pub open: Vec<Timestamp>,
}

impl Series {
    /// `observations` in any order.
    pub fn new(metric: Metric, mut observations: Vec<Observation>) -> Self {
        observations.sort_by_key(|observation| observation.at);
        Self {
            metric,
            measure: Measure::Standard,
            observations,
            open: Vec::new(),
        }
    }

    /// What a report gives for this metric; `None` when nothing is connected that would have told
    /// (no incident source is not "no incidents").
    ///
    /// The unit is the release: changes that went out together are not independent, so their median
    /// stands for them, and hotfixes are kept apart as in the metric itself. Where no source knows
    /// commits, the times of recorded cycles stand in under their own name.
    pub fn of(report: &DoraReport, metric: Metric) -> Option<Self> {
        let measured = &report.metric(metric)?.measured;
        if let Value::NotAvailable {
            reason: Absence::NoDeploymentSource | Absence::NoIncidentSource,
        } = measured.value
        {
            return None;
        }
        let measure = match (metric, report.lead_basis) {
            (Metric::ChangeLeadTime, LeadBasis::Cycles) => Measure::CycleTime,
            _ => Measure::Standard,
        };
        let mut open = Vec::new();
        let observations = report
            .deployments
            .iter()
            .filter_map(|line| {
                let at = line.deployment.finished_at;
                let hit = |hit: bool| Some(f64::from(u8::from(hit)));
                let value = match metric {
                    Metric::DeploymentFrequency => Some(1.0),
                    Metric::ChangeLeadTime if measure == Measure::CycleTime => line.cycle_hours,
                    Metric::ChangeLeadTime => line
                        .lead
                        .filter(|_| line.deployment.kind != DeploymentKind::Hotfix)
                        .map(|lead| lead.median_hours),
                    Metric::RecoveryTime => line.recovery.and_then(|recovery| {
                        if recovery.open {
                            open.push(at);
                        }
                        (!recovery.open).then(|| recovery.hours())
                    }),
                    Metric::ChangeFailureRate => hit(line.failed.is_some()),
                    Metric::ReworkRate => hit(line.deployment.kind.unplanned()),
                };
                value.map(|value| Observation { at, value })
            })
            .collect();
        Some(Self {
            measure,
            open,
            ..Self::new(metric, observations)
        })
    }

    /// How many releases of this stretch still wait for their end.
    pub fn open_within(&self, range: &TimeRange) -> u64 {
        self.open.iter().filter(|at| range.contains(**at)).count() as u64
    }

    fn within(&self, range: &TimeRange) -> &[Observation] {
        let start = self.observations.partition_point(|one| one.at < range.from);
        let end = self
            .observations
            .partition_point(|one| one.at < range.until);
        self.observations.get(start..end).unwrap_or_default()
    }

    pub fn values(&self, ranges: &[TimeRange]) -> Vec<f64> {
        ranges
            .iter()
            .flat_map(|range| self.within(range))
            .map(|one| one.value)
            .collect()
    }

    /// The middle value of each day with a release, the days counted from the start of the range.
    ///
    /// What goes out together shares its lead time and its fate: a burst is one throw, not five.
    fn days_of(&self, range: &TimeRange) -> Vec<f64> {
        let day = |one: &Observation| one.at.since(range.from).as_secs() / 86_400;
        self.within(range)
            .chunk_by(|one, other| day(one) == day(other))
            .filter_map(|releases| {
                let values: Vec<f64> = releases.iter().map(|one| one.value).collect();
                if self.is_share() {
                    Some(values.iter().copied().fold(0.0, f64::max))
                } else {
                    median(&values)
                }
            })
            .collect()
    }

    fn is_share(&self) -> bool {
        matches!(self.metric, Metric::ChangeFailureRate | Metric::ReworkRate)
    }

    /// One value for each day with a release: its median time, or whether any release was a hit.
    pub(super) fn by_day(&self, ranges: &[TimeRange]) -> Vec<f64> {
        ranges
            .iter()
            .flat_map(|range| self.days_of(range))
            .collect()
    }

    /// One cell for each range: deployments over weeks, hits over releases, or the sum of `value`
    /// over the days.
    pub(super) fn cells(&self, ranges: &[TimeRange], value: impl Fn(f64) -> f64) -> Vec<Cell> {
        let cell = |range: &TimeRange| {
            let found = self.within(range);
            if self.metric == Metric::DeploymentFrequency {
                return Cell {
                    sum: found.len() as f64,
                    weight: days(range) / 7.0,
                };
            }
            let values = if self.is_share() {
                found.iter().map(|one| one.value).collect()
            } else {
                self.days_of(range)
            };
            Cell {
                sum: values.iter().map(|one| value(*one)).sum(),
                weight: values.len() as f64,
            }
        };
        ranges.iter().map(cell).collect()
    }

    pub fn count(&self, ranges: &[TimeRange]) -> u64 {
        ranges
            .iter()
            .map(|range| self.within(range).len() as u64)
            .sum()
    }

    pub(super) fn events(&self, ranges: &[TimeRange]) -> EventCount {
        EventCount {
            events: self.count(ranges),
            exposure: ranges.iter().map(days).sum(),
        }
    }

    pub(super) fn share(&self, ranges: &[TimeRange]) -> Share {
        share_of(&self.values(ranges))
    }

    /// Days with a hit, of those with a release.
    pub(super) fn share_of_days(&self, ranges: &[TimeRange]) -> Share {
        share_of(&self.by_day(ranges))
    }

    /// Mean time, rate or ratio, in the metric's unit: what the older tool's rule looks at.
    pub fn mean(&self, ranges: &[TimeRange]) -> Option<f64> {
        match self.metric {
            Metric::DeploymentFrequency => self.events(ranges).rate(),
            _ => mean(&self.values(ranges)),
        }
    }
}

fn share_of(values: &[f64]) -> Share {
    let hits = values.iter().filter(|value| **value > 0.0).count();
    Share::new(hits as u64, values.len() as u64)
}

pub(super) fn days(range: &TimeRange) -> f64 {
    range.length().as_secs_f64() / 86_400.0
}
