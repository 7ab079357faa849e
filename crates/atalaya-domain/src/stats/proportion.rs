//! Shares: how many of how many.

use serde::{Deserialize, Serialize};
use statrs::function::factorial::ln_binomial;

use super::{Interval, z_of};

/// `hits` out of `total`; more hits than that are taken as all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub hits: u64,
    pub total: u64,
}

impl Share {
    pub const fn new(hits: u64, total: u64) -> Self {
        Self {
            hits: if hits > total { total } else { hits },
            total,
        }
    }

    /// 0 to 1; `None` for none of none.
    pub fn ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.hits as f64 / self.total as f64)
    }
}

/// Wilson's score interval. `None` for none of none.
///
/// Source: <https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval>.
pub fn wilson(share: Share, confidence: f64) -> Option<Interval> {
    wider_wilson(share, confidence, 1.0)
}

/// As if there were `widening` squared times fewer.
fn wider_wilson(share: Share, confidence: f64, widening: f64) -> Option<Interval> {
    let ratio = share.ratio()?;
    let n = share.total as f64 / widening.max(1.0).powi(2);
    let z = z_of(confidence);
    let scale = 1.0 + z * z / n;
    let centre = (ratio + z * z / (2.0 * n)) / scale;
    let reach = z / scale * (ratio * (1.0 - ratio) / n + z * z / (4.0 * n * n)).sqrt();
    // At the edges the interval ends exactly there; rounding must not push it past.
    let low = if share.hits == 0 {
        0.0
    } else {
        (centre - reach).max(0.0)
    };
    let high = if share.hits == share.total {
        1.0
    } else {
        (centre + reach).min(1.0)
    };
    Some(Interval::new(low, high))
}

/// Upper 95 % bound of a share of which none was seen in `total`: 3 by n. `None` for no total.
pub fn rule_of_three(total: u64) -> Option<f64> {
    (total > 0).then(|| (3.0 / total as f64).min(1.0))
}

/// Newcombe's interval of `after - before`, from the two Wilson intervals; `widening` times as wide
/// where the hits depend on each other, 1 where they do not.
///
/// Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
pub fn newcombe(before: Share, after: Share, confidence: f64, widening: f64) -> Option<Interval> {
    let (p1, p2) = (after.ratio()?, before.ratio()?);
    let (one, two) = (
        wider_wilson(after, confidence, widening)?,
        wider_wilson(before, confidence, widening)?,
    );
    let difference = p1 - p2;
    let below = ((p1 - one.low).powi(2) + (two.high - p2).powi(2)).sqrt();
    let above = ((one.high - p1).powi(2) + (p2 - two.low).powi(2)).sqrt();
    Some(Interval::new(
        (difference - below).max(-1.0),
        (difference + above).min(1.0),
    ))
}

/// Two-sided p-value of Fisher's exact test: all tables that are not more likely than this one.
/// 1 when one side is empty.
pub fn fisher_exact(before: Share, after: Share) -> f64 {
    let hits = before.hits + after.hits;
    let total = before.total + after.total;
    let ln_all = ln_binomial(total, hits);
    let ln_chance = |first: u64| {
        ln_binomial(before.total, first) + ln_binomial(after.total, hits - first) - ln_all
    };
    // Tables of equal chance differ in the last bits of their logarithms.
    let limit = ln_chance(before.hits) + 1e-7;
    let sum: f64 = (hits.saturating_sub(after.total)..=hits.min(before.total))
        .map(ln_chance)
        .filter(|chance| *chance <= limit)
        .map(f64::exp)
        .sum();
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::assert_close;
    use super::*;

    #[test]
    fn wilson_known_values() {
        let of = |hits, total| wilson(Share::new(hits, total), 0.95);
        let some = of(15, 148).unwrap();
        assert_close(some.low, 0.0624, 5e-5);
        assert_close(some.high, 0.1605, 5e-5);
        let none = of(0, 20).unwrap();
        assert_eq!(none.low.to_bits(), 0.0_f64.to_bits());
        assert_close(none.high, 0.1611, 5e-5);
        assert_eq!(of(20, 20).unwrap().high.to_bits(), 1.0_f64.to_bits());
        assert_eq!(of(0, 0), None);
        assert_eq!(rule_of_three(30), Some(0.1));
        assert_eq!((rule_of_three(2), rule_of_three(0)), (Some(1.0), None));
    }

    /// The examples of Newcombe's paper, table II, method 10.
    #[test]
    fn newcombe_known_values() {
        for (one, two, low, high) in [
            (Share::new(56, 70), Share::new(48, 80), 0.0524, 0.3339),
            (Share::new(9, 10), Share::new(3, 10), 0.1705, 0.8090),
            (Share::new(0, 10), Share::new(0, 20), -0.1611, 0.2775),
            (Share::new(10, 10), Share::new(0, 10), 0.6075, 1.0),
        ] {
            let interval = newcombe(two, one, 0.95, 1.0).unwrap();
            assert_close(interval.low, low, 1e-4);
            assert_close(interval.high, high, 1e-4);
        }
        assert_eq!(
            newcombe(Share::new(0, 0), Share::new(1, 2), 0.95, 1.0),
            None
        );
    }

    /// Change failure rates of 5/30 and 15/100 against few deployments afterwards.
    #[test]
    fn fisher_known_values() {
        for (before, after, p) in [
            ((5, 30), (0, 3), 1.0),
            ((5, 30), (2, 3), 0.1065),
            ((5, 30), (3, 3), 0.0103),
            ((15, 100), (0, 10), 0.3520),
            ((15, 100), (0, 20), 0.0727),
            ((15, 100), (0, 30), 0.0217),
            ((3, 4), (1, 4), 0.4857),
            ((0, 0), (1, 4), 1.0),
            ((0, 9), (0, 9), 1.0),
        ] {
            let found = fisher_exact(Share::new(before.0, before.1), Share::new(after.0, after.1));
            assert_close(found, p, 5e-5);
        }
    }
}
