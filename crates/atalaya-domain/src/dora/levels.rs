//! Elite, High, Medium or Low by a named set of limits.
//!
//! The published levels are clusters found in each year's survey, not targets, and years do not
//! compare; so the set is a setting and its limits are printed beside the level. Sources: the
//! State of DevOps reports of 2021, 2023 and 2024 as DevLake and dora.dev quote them, and the older
//! tool's web view (`iact-web`) and script (`iact-script`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Measured, Metric, Unit, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerformanceLevel {
    Low,
    Medium,
    High,
    Elite,
}

impl PerformanceLevel {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elite => "Elite",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
        }
    }

    /// 4 for Elite down to 1 for Low.
    const fn points(self) -> u32 {
        match self {
            Self::Elite => 4,
            Self::High => 3,
            Self::Medium => 2,
            Self::Low => 1,
        }
    }
}

impl fmt::Display for PerformanceLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A named set of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ThresholdSet {
    #[serde(rename = "dora-2021")]
    Dora2021,
    #[default]
    #[serde(rename = "dora-2023")]
    Dora2023,
    #[serde(rename = "dora-2024")]
    Dora2024,
    #[serde(rename = "iact-web")]
    IactWeb,
    #[serde(rename = "iact-script")]
    IactScript,
}

const DAY: f64 = 24.0;
const WEEK: f64 = 7.0 * DAY;
const MONTH: f64 = 30.0 * DAY;
/// Deployments a day of somebody who deploys once a month.
const MONTHLY: f64 = 12.0 / 365.0;

/// Where a limit belongs: `<` and `>=` of the reports, `<=` and `>` of the older tool.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Below(f64),
    AtMost(f64),
    AtLeast(f64),
    Above(f64),
    /// The published row leaves no room for this level.
    Never,
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Below(limit) => value < limit,
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Above(limit) => value > limit,
            Self::Never => false,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::Below(limit) => format!("< {}", unit.show(limit)),
            Self::AtMost(limit) => format!("<= {}", unit.show(limit)),
            Self::AtLeast(limit) => format!(">= {}", unit.show(limit)),
            Self::Above(limit) => format!("> {}", unit.show(limit)),
            Self::Never => "none".to_owned(),
        }
    }
}

impl ThresholdSet {
    pub const ALL: [Self; 5] = [
        Self::Dora2021,
        Self::Dora2023,
        Self::Dora2024,
        Self::IactWeb,
        Self::IactScript,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dora2021 => "dora-2021",
            Self::Dora2023 => "dora-2023",
            Self::Dora2024 => "dora-2024",
            Self::IactWeb => "iact-web",
            Self::IactScript => "iact-script",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == word)
    }

    /// Limits of Elite, High and Medium; `None` where the set has none that can be used.
    const fn limits(self, metric: Metric) -> Option<[Limit; 3]> {
        use Limit::{Above, AtLeast, AtMost, Below, Never};
        Some(match (self, metric) {
            (Self::Dora2021, Metric::ChangeLeadTime) => {
                [Below(1.0), Below(WEEK), Below(6.0 * MONTH)]
            }
            (Self::Dora2023 | Self::Dora2024, Metric::ChangeLeadTime) => {
                [Below(DAY), Below(WEEK), Below(MONTH)]
            }
            // Its script floors the lead time to whole days before it compares with 1, 7 and 30.
            (Self::IactScript, Metric::ChangeLeadTime) => {
                [Below(2.0 * DAY), Below(8.0 * DAY), Below(31.0 * DAY)]
            }

            // Frequency limits of the dora sets are in days with a deployment per week (Elite and
            // High) and deployments per day: see `frequency_level`.
            (Self::Dora2021, Metric::DeploymentFrequency) => {
                [AtLeast(5.0), AtLeast(MONTHLY), AtLeast(2.0 / 365.0)]
            }
            (Self::Dora2023 | Self::Dora2024, Metric::DeploymentFrequency) => {
                [AtLeast(5.0), AtLeast(1.0), AtLeast(MONTHLY)]
            }
            (Self::IactWeb, Metric::DeploymentFrequency) => {
                [Above(1.0), AtLeast(1.0 / 7.0), AtLeast(0.25 / 7.0)]
            }
            (Self::IactScript, Metric::DeploymentFrequency) => {
                [AtLeast(1.0), AtLeast(0.14), AtLeast(0.03)]
            }

            (Self::Dora2021, Metric::ChangeFailureRate) => {
                [AtMost(0.15), AtMost(0.20), AtMost(0.30)]
            }
            (Self::Dora2023, Metric::ChangeFailureRate) => {
                [AtMost(0.05), AtMost(0.10), AtMost(0.15)]
            }
            (Self::IactWeb | Self::IactScript, Metric::ChangeFailureRate) => {
                [AtMost(0.15), AtMost(0.30), AtMost(0.45)]
            }

            (Self::IactWeb, Metric::ChangeLeadTime | Metric::RecoveryTime)
            | (Self::Dora2021 | Self::Dora2023, Metric::RecoveryTime) => {
                [Below(1.0), Below(DAY), Below(WEEK)]
            }
            // High and Medium share one day that year; what is longer was found only in Low.
            (Self::Dora2024, Metric::RecoveryTime) => [Below(1.0), Below(DAY), Never],
            (Self::IactScript, Metric::RecoveryTime) => [AtMost(1.0), AtMost(DAY), AtMost(WEEK)],

            (Self::Dora2024, Metric::ChangeFailureRate) | (_, Metric::ReworkRate) => return None,
        })
    }

    /// The level of a measured metric and the limits that were applied, or why there is no level.
    pub fn level(self, metric: Metric, measured: &Measured) -> (Option<PerformanceLevel>, String) {
        let Some(limits) = self.limits(metric) else {
            let why = match metric {
                Metric::ReworkRate => "no levels are published for the rework rate".to_owned(),
                _ => format!(
                    "{}: High fails more often than Medium that year, so it gives no limits",
                    self.name()
                ),
            };
            return (None, why);
        };
        let rule = self.show(metric, limits);
        let value = match measured.value {
            Value::NotAvailable { reason } => return (None, format!("no level: {reason}")),
            Value::Known(value) | Value::AtLeast(value) => value,
        };
        if metric == Metric::DeploymentFrequency && measured.samples == 0 {
            return (None, "no level: no class is made from no rows".to_owned());
        }
        let measured_by = |index: usize| {
            if metric == Metric::DeploymentFrequency {
                self.frequency_input(index, measured, value)
            } else {
                value
            }
        };
        let level = [
            PerformanceLevel::Elite,
            PerformanceLevel::High,
            PerformanceLevel::Medium,
        ]
        .into_iter()
        .zip(limits)
        .enumerate()
        .find(|&(index, (_, limit))| limit.holds(measured_by(index)))
        .map_or(PerformanceLevel::Low, |(_, (level, _))| level);
        let rule = if matches!(measured.value, Value::AtLeast(_)) {
            format!("{rule}; at best: the value is a lower bound")
        } else {
            rule
        };
        (Some(level), rule)
    }

    /// Whether limit `index` of the frequency is in days with a deployment per week.
    const fn by_days_per_week(self, index: usize) -> bool {
        match self {
            Self::Dora2021 => index == 0,
            Self::Dora2023 | Self::Dora2024 => index < 2,
            Self::IactWeb | Self::IactScript => false,
        }
    }

    fn frequency_input(self, index: usize, measured: &Measured, value: f64) -> f64 {
        if self.by_days_per_week(index) {
            let days = measured
                .detail("deployment_days_per_week")
                .and_then(|detail| detail.value.number());
            // A window shorter than a week has no week to take the median of.
            days.unwrap_or((value * 7.0).min(7.0))
        } else if measured.unit == Unit::Count {
            measured
                .detail("per_day")
                .and_then(|detail| detail.value.number())
                .unwrap_or(value)
        } else {
            value
        }
    }

    fn show(self, metric: Metric, limits: [Limit; 3]) -> String {
        let text = |index: usize| {
            let unit = match metric {
                Metric::DeploymentFrequency if self.by_days_per_week(index) => Unit::DaysPerWeek,
                other => other.unit(),
            };
            limits[index].show(unit)
        };
        format!(
            "{}: Elite {}, High {}, Medium {}, else Low",
            self.name(),
            text(0),
            text(1),
            text(2)
        )
    }
}

/// The overall level as the mean of the single ones: >= 3.5 Elite, >= 2.5 High, >= 1.5 Medium.
pub fn averaged(levels: &[PerformanceLevel]) -> Option<PerformanceLevel> {
    if levels.is_empty() {
        return None;
    }
    let mean =
        f64::from(levels.iter().map(|level| level.points()).sum::<u32>()) / levels.len() as f64;
    Some(match mean {
        mean if mean >= 3.5 => PerformanceLevel::Elite,
        mean if mean >= 2.5 => PerformanceLevel::High,
        mean if mean >= 1.5 => PerformanceLevel::Medium,
        _ => PerformanceLevel::Low,
    })
}

/// The older tool's vote: three Elite make Elite, else two High make High, else two Medium, else
/// Low. It calls Elite, Elite, High, Medium Low; kept so that its figures can be had.
pub fn voted(levels: &[PerformanceLevel]) -> Option<PerformanceLevel> {
    let count = |wanted: PerformanceLevel| levels.iter().filter(|&&level| level == wanted).count();
    if levels.is_empty() {
        None
    } else if count(PerformanceLevel::Elite) >= 3 {
        Some(PerformanceLevel::Elite)
    } else if count(PerformanceLevel::High) >= 2 {
        Some(PerformanceLevel::High)
    } else if count(PerformanceLevel::Medium) >= 2 {
        Some(PerformanceLevel::Medium)
    } else {
        Some(PerformanceLevel::Low)
    }
}

#[cfg(test)]
mod tests {
    use super::PerformanceLevel::{Elite, High, Low, Medium};
    use super::*;
    use crate::dora::Explanation;

    fn measured(metric: Metric, value: f64) -> Measured {
        Measured {
            value: Value::Known(value),
            unit: metric.unit(),
            samples: 5,
            interval: None,
            details: Vec::new(),
            explanation: Explanation::default(),
        }
    }

    #[test]
    fn limits_of_every_set() {
        use Metric::{
            ChangeFailureRate as Cfr, ChangeLeadTime as Lead, DeploymentFrequency as Often,
            RecoveryTime as Mttr,
        };
        let cases = [
            (ThresholdSet::Dora2023, Lead, 23.9, Some(Elite)),
            (ThresholdSet::Dora2023, Lead, 24.0, Some(High)),
            (ThresholdSet::Dora2023, Lead, 168.0, Some(Medium)),
            (ThresholdSet::Dora2023, Lead, 720.0, Some(Low)),
            (ThresholdSet::Dora2021, Lead, 0.9, Some(Elite)),
            (ThresholdSet::Dora2021, Lead, 1.0, Some(High)),
            (ThresholdSet::Dora2023, Cfr, 0.05, Some(Elite)),
            (ThresholdSet::Dora2023, Cfr, 0.051, Some(High)),
            (ThresholdSet::Dora2023, Cfr, 0.15, Some(Medium)),
            (ThresholdSet::Dora2023, Cfr, 0.16, Some(Low)),
            (ThresholdSet::Dora2024, Cfr, 0.01, None),
            (ThresholdSet::Dora2024, Mttr, 30.0, Some(Low)),
            (ThresholdSet::Dora2023, Mttr, 30.0, Some(Medium)),
            (ThresholdSet::IactWeb, Often, 1.0, Some(High)),
            (ThresholdSet::IactWeb, Often, 1.01, Some(Elite)),
            (ThresholdSet::IactScript, Often, 1.0, Some(Elite)),
            (ThresholdSet::IactScript, Lead, 47.9, Some(Elite)),
            (ThresholdSet::IactScript, Mttr, 1.0, Some(Elite)),
            (ThresholdSet::IactWeb, Mttr, 1.0, Some(High)),
            (ThresholdSet::Dora2023, Often, 5.0 / 7.0, Some(Elite)),
            (ThresholdSet::Dora2023, Often, 1.0 / 7.0, Some(High)),
            (ThresholdSet::Dora2023, Often, 0.04, Some(Medium)),
            (ThresholdSet::Dora2023, Often, 0.01, Some(Low)),
            (ThresholdSet::Dora2023, Metric::ReworkRate, 0.0, None),
        ];
        for (set, metric, value, expected) in cases {
            let (level, rule) = set.level(metric, &measured(metric, value));
            assert_eq!(level, expected, "{} {metric:?} {value}: {rule}", set.name());
        }
    }

    #[test]
    fn the_vote_and_the_mean_differ_where_the_vote_is_known_to_be_odd() {
        let levels = [Elite, Elite, High, Medium];
        assert_eq!(voted(&levels), Some(Low));
        assert_eq!(averaged(&levels), Some(High)); // (4 + 4 + 3 + 2) / 4 = 3.25
        assert_eq!(averaged(&[]), None);
        assert_eq!(voted(&[]), None);
    }
}
