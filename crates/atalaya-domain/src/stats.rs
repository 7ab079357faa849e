//! Statistics for small samples: what a handful of deployments can and cannot show.
//!
//! Pure functions on plain slices, in any order unless a name says otherwise. `None` always means
//! "these samples cannot answer that", never zero. P-values are two-sided. Intervals hold the true
//! value with the confidence that the caller asks for (0.95 unless there is a reason).
//!
//! Quantiles are of type 7 (linear between order statistics, R's and `NumPy`'s default) everywhere
//! but in [`iqr_anomalies`], which keeps the older tool's type 6. Which test belongs to which
//! metric is decided in `pdca`. Distributions come from `statrs`; its own Mann-Whitney test is not
//! used because its exact method is wrong when the first sample is not the larger one.

mod bootstrap;
mod line;
mod multiple;
mod overdispersion;
mod proportion;
mod quantile;
mod rank;
mod rate;
mod survival;
mod trend;

pub use bootstrap::median_ratio_bootstrap;
pub use line::{Fitted, Predicted, deviation, fitted, level};
pub use multiple::holm;
pub use overdispersion::{Cell, Chance, Overdispersion};
pub use proportion::{Share, fisher_exact, newcombe, rule_of_three, wilson};
pub use quantile::{Anomalies, Anomaly, iqr_anomalies, mean, median, quantile, quantile_exclusive};
pub use rank::{MannWhitney, PValueMethod, RatioEstimate, hodges_lehmann_ratio, mann_whitney};
pub use rate::{EventCount, RateRatio, rate_interval, rate_ratio, rate_ratio_interval};
pub use survival::{Lifetime, MedianTime, kaplan_meier_median};
pub use trend::{Forecast, Trend, TrendDirection, forecast, slope, trend};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// How many standard deviations on both sides hold `confidence` (0 to 1) of a normal distribution.
fn z_of(confidence: f64) -> f64 {
    Normal::standard().inverse_cdf(0.5 + confidence.clamp(0.0, 1.0 - 1e-12) / 2.0)
}

/// Both tails beyond `z`.
fn normal_p(z: f64) -> f64 {
    (2.0 * Normal::standard().sf(z.abs())).min(1.0)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
pub(crate) fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "found {found}, expected {expected} ± {tolerance}"
    );
}
