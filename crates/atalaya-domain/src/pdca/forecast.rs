//! What a plan can hope to find, from its baseline alone: how much the weeks vary, how often a real
//! gain is found by the last look, and how long it takes to find it four times out of five.
//!
//! Approximations of the rule in `effect`, good to about one time in ten (`cargo xtask simulate
//! pdca` has the figures of the rule itself).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::Baseline;
use super::effect::FEWEST_SAMPLES;
use super::looks::LOOKS;
use super::series::{Measure, Series};
use super::weeks::{Basis, RUNS_OF_WEEKS, Yardstick};
use crate::dora::Metric;

/// Longest wait that is looked at, in weeks.
const LONGEST_WEEKS: u32 = 52;
/// What exact counts, ranks and earlier looks cost beside the approximation.
const COST: f64 = 1.1;
/// "Found" often enough to plan for.
const ENOUGH: f64 = 0.8;

/// Chances of one size of gain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The true improvement, in per cent of the baseline.
    pub percent: f64,
    /// Share of plans (0 to 1) that find it by the last look.
    pub by_last_look: f64,
    /// Days after the change until it is found in 80 % of plans; `None` when a year is too short.
    pub days_for_80_percent: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Whole weeks before the change that are known.
    pub weeks: u32,
    /// Variance of the weeks as a multiple of what chance gives them, at least 1.
    pub variation: f64,
    /// Samples a day: deployments, releases with a lead time, or recoveries.
    pub samples_per_day: f64,
    /// Of a metric that becomes twice as good: halved, or a frequency doubled.
    pub twice_as_good: Power,
    /// Of the plan's own expectation.
    pub expected: Power,
}

impl Forecast {
    /// `None` where the baseline has too few samples, or weeks, to say anything.
    pub fn of(series: &Series, baseline: &Baseline, expected_percent: f64) -> Option<Self> {
        let yard = Yardstick::of(series, baseline)?;
        let metric = series.metric;
        let twice = if metric.more_is_better() { 100.0 } else { 50.0 };
        let power = |percent: f64| {
            let by = |weeks: u32| chance_of_finding(&yard, metric, percent, weeks);
            Power {
                percent,
                by_last_look: by(LOOKS[LOOKS.len() - 1].hours / (7 * 24)),
                days_for_80_percent: (1..=LONGEST_WEEKS)
                    .find(|weeks| by(*weeks) >= ENOUGH)
                    .map(|weeks| weeks * 7),
            }
        };
        Some(Self {
            weeks: yard.known_weeks,
            variation: yard.variation.max(1.0),
            samples_per_day: yard.samples_per_week / 7.0,
            twice_as_good: power(twice),
            expected: power(expected_percent),
        })
    }

    /// The forecast in words, a sentence a line.
    pub fn sentences(&self, metric: Metric, measure: Measure) -> Vec<String> {
        let variation = if self.variation < 1.05 {
            "weeks vary no more than chance makes them".to_owned()
        } else {
            format!("weeks vary {:.1} times more than chance", self.variation)
        };
        let (samples, gain) = match metric {
            Metric::DeploymentFrequency => ("deployments", "a doubled frequency"),
            Metric::ChangeLeadTime if measure == Measure::CycleTime => {
                ("deployments", "a halved cycle time")
            }
            Metric::ChangeLeadTime => ("deployments", "a halved lead time"),
            Metric::ChangeFailureRate => ("deployments", "a halved failure rate"),
            Metric::RecoveryTime => ("recoveries", "a halved recovery time"),
            Metric::ReworkRate => ("deployments", "a halved rework rate"),
        };
        let last = LOOKS[LOOKS.len() - 1].hours / 24;
        vec![
            format!("{variation} ({} weeks known)", self.weeks),
            format!(
                "with {:.1} {samples} a day {gain} is found {} by day {last}; {}",
                self.samples_per_day,
                self.twice_as_good.times_in_ten(),
                self.twice_as_good.wait(),
            ),
            format!(
                "the expected {:.0} % better is found {}; {}",
                self.expected.percent,
                self.expected.times_in_ten(),
                self.expected.wait(),
            ),
        ]
    }
}

impl Power {
    fn times_in_ten(&self) -> String {
        match (self.by_last_look * 10.0).round() {
            ..0.5 => "hardly ever".to_owned(),
            0.5..1.5 => "1 time in 10".to_owned(),
            9.5.. => "nearly always".to_owned(),
            times => format!("{times:.0} times in 10"),
        }
    }

    fn wait(&self) -> String {
        self.days_for_80_percent.map_or_else(
            || "8 in 10 would take more than a year".to_owned(),
            |days| format!("8 in 10 takes {days} days"),
        )
    }
}

/// Chance that the rule of the last look finds this improvement after so many weeks.
fn chance_of_finding(yard: &Yardstick, metric: Metric, percent: f64, weeks: u32) -> f64 {
    let share = percent / 100.0;
    let factor = if metric.more_is_better() {
        1.0 + share
    } else {
        (1.0 - share).max(0.01)
    };
    let weeks_after = f64::from(weeks);
    let (before, after) = (
        yard.samples_per_week * yard.baseline_weeks,
        yard.samples_per_week * weeks_after,
    );
    let difference = match metric {
        Metric::DeploymentFrequency => {
            let weekly = yard.samples_per_week;
            let error = (1.0 / yard.baseline_weeks + 1.0 / weeks_after).sqrt();
            2.0 * ((weekly * factor).sqrt() - weekly.sqrt()).abs() / error
        }
        Metric::ChangeLeadTime | Metric::RecoveryTime => {
            if after < FEWEST_SAMPLES as f64 {
                return 0.0;
            }
            let deviation = yard.deviation.max(1e-9);
            factor.ln().abs() / (deviation * (1.0 / before + 1.0 / after).sqrt())
        }
        Metric::ChangeFailureRate | Metric::ReworkRate => {
            let ratio = yard.ratio;
            let pooled = (ratio * before + ratio * factor * after) / (before + after);
            let error = (pooled * (1.0 - pooled) * (1.0 / before + 1.0 / after)).sqrt();
            if error <= 0.0 || after < FEWEST_SAMPLES as f64 {
                return 0.0;
            }
            (ratio - ratio * factor).abs() / error
        }
    };
    let confidence = 1.0 - LOOKS[LOOKS.len() - 1].alpha;
    let spread = yard.spread_of(weeks);
    let normal = Normal::standard();
    let chance_alone = normal.inverse_cdf(0.5 + confidence / 2.0);
    let limit = chance_alone * spread.overdispersion().widening(confidence) * COST;
    let truly = match spread.basis {
        Basis::Weeks => spread.factor / RUNS_OF_WEEKS,
        Basis::Placebos => spread.factor,
    };
    normal.cdf((difference - limit) / truly.max(1.0).sqrt())
}
