//! The statistics of [`crate::stats`] as the metrics need them: 95 %, with their names.

use super::Interval;
use crate::stats::{self, EventCount, Lifetime, MedianTime, Share};

pub(super) use crate::stats::{mean, median, quantile};

const CONFIDENCE: f64 = 0.95;
/// Two-sided 95 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

fn named(interval: stats::Interval, method: &'static str) -> Interval {
    Interval {
        low: interval.low,
        high: interval.high,
        method,
    }
}

/// 95 % interval of the median from order statistics; needs six samples to reach 95 %.
pub(super) fn median_interval(samples: &[f64]) -> Option<Interval> {
    let n = samples.len();
    if n < 6 {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = n as f64 / 2.0;
    let reach = Z * (n as f64).sqrt() / 2.0;
    let low = (half - reach).floor().max(1.0) as usize;
    let high = ((half + reach).ceil() as usize + 1).min(n);
    Some(Interval {
        low: sorted[low - 1],
        high: sorted[high - 1],
        method: "order statistics",
    })
}

/// 95 % interval of `k` out of `n`: Wilson, and the rule of three when nothing was counted.
pub(super) fn proportion(k: usize, n: usize) -> Option<Interval> {
    if k == 0 {
        return stats::rule_of_three(n as u64).map(|high| Interval {
            low: 0.0,
            high,
            method: "rule of three",
        });
    }
    stats::wilson(Share::new(k as u64, n as u64), CONFIDENCE)
        .map(|interval| named(interval, "Wilson"))
}

/// 95 % interval of the rate of `count` events in `days`.
pub(super) fn rate(count: usize, days: f64) -> Option<Interval> {
    stats::rate_interval(
        EventCount {
            events: count as u64,
            exposure: days,
        },
        CONFIDENCE,
    )
    .map(|interval| named(interval, "Poisson"))
}

/// Kaplan-Meier median of (hours, ended): whoever has not ended counts as still going on.
///
/// The flag is true where only a lower bound can be given. Without open ones this is the plain
/// median, so that a report and a hand calculation agree. `None` for no samples.
pub(super) fn survival_median(times: &[(f64, bool)]) -> Option<(f64, bool)> {
    if times.iter().all(|&(_, ended)| ended) {
        let all: Vec<f64> = times.iter().map(|&(hours, _)| hours).collect();
        return median(&all).map(|value| (value, false));
    }
    let lifetimes: Vec<Lifetime> = times
        .iter()
        .map(|&(time, ended)| Lifetime { time, ended })
        .collect();
    stats::kaplan_meier_median(&lifetimes).map(|median| match median {
        MedianTime::At(hours) => (hours, false),
        MedianTime::AtLeast(hours) => (hours, true),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nothing_counted_takes_the_rule_of_three() {
        assert_eq!(
            proportion(0, 60).unwrap(),
            Interval {
                low: 0.0,
                high: 0.05,
                method: "rule of three"
            }
        );
        assert_eq!(proportion(5, 10).unwrap().method, "Wilson");
        assert_eq!(proportion(0, 0), None);
    }

    #[test]
    fn the_median_needs_six_samples_for_an_interval() {
        let samples: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(median_interval(&samples[..5]), None);
        let interval = median_interval(&samples).unwrap(); // the classic ranks for 20 are 6 and 15
        assert!(
            interval.low <= 6.0 && interval.high >= 15.0 && interval.low >= 5.0,
            "{interval:?}"
        );
    }

    #[test]
    fn open_ones_hold_the_median_up() {
        assert_eq!(
            survival_median(&[(1.0, true), (3.0, true)]),
            Some((2.0, false))
        );
        assert_eq!(
            survival_median(&[(1.0, true), (2.0, true), (100.0, false)]),
            Some((2.0, false))
        );
        assert_eq!(
            survival_median(&[(1.0, true), (5.0, false), (9.0, false)]),
            Some((9.0, true))
        );
        assert_eq!(survival_median(&[]), None);
    }
}
