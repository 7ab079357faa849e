//! Events per time: deployments a day.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

use super::Interval;

/// How many events in how much time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventCount {
    pub events: u64,
    /// Days, or any unit that both sides of a comparison share; above 0.
    pub exposure: f64,
}

impl EventCount {
    /// Events per unit of exposure; `None` without exposure.
    pub fn rate(self) -> Option<f64> {
        (self.exposure > 0.0 && self.exposure.is_finite())
            .then(|| self.events as f64 / self.exposure)
    }
}

/// Exact (Garwood) interval of a Poisson rate. `None` without exposure.
pub fn rate_interval(count: EventCount, confidence: f64) -> Option<Interval> {
    count.rate()?;
    let tail = (1.0 - confidence) / 2.0;
    let events = count.events as f64;
    let low = if count.events == 0 {
        0.0
    } else {
        ChiSquared::new(2.0 * events).ok()?.inverse_cdf(tail) / 2.0
    };
    let high = ChiSquared::new(2.0 * events + 2.0)
        .ok()?
        .inverse_cdf(1.0 - tail)
        / 2.0;
    Some(Interval::new(low / count.exposure, high / count.exposure))
}

/// After against before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateRatio {
    /// Infinite when there were no events before and some after; 1 when there were none at all.
    pub ratio: f64,
    /// Exact (Clopper-Pearson of the share); the upper end is infinite when nothing bounds it.
    pub interval: Interval,
    pub p: f64,
}

/// Conditional binomial test of two Poisson rates: given all events, each falls into `after` with
/// the share of its exposure. The p-value is twice the smaller tail. `None` without exposure.
///
/// Source: Przyborowski and Wilenski, Biometrika 31 (1940).
pub fn rate_ratio(before: EventCount, after: EventCount, confidence: f64) -> Option<RateRatio> {
    let (rate_before, rate_after) = (before.rate()?, after.rate()?);
    let total = before.events + after.events;
    if total == 0 {
        return Some(RateRatio {
            ratio: 1.0,
            interval: Interval::new(0.0, f64::INFINITY),
            p: 1.0,
        });
    }
    let share = after.exposure / (before.exposure + after.exposure);
    let chances = Binomial::new(share, total).ok()?;
    let at_most = chances.cdf(after.events);
    let at_least = after
        .events
        .checked_sub(1)
        .map_or(1.0, |fewer| chances.sf(fewer));
    let p = (2.0 * at_most.min(at_least)).min(1.0);

    Some(RateRatio {
        ratio: if before.events == 0 {
            f64::INFINITY
        } else {
            rate_after / rate_before
        },
        interval: rate_ratio_interval(before, after, confidence, 1.0)?,
        p,
    })
}

/// The interval of [`rate_ratio`], `widening` times as wide: exact for so much fewer events that
/// chance alone reaches that far. `None` without exposure.
pub fn rate_ratio_interval(
    before: EventCount,
    after: EventCount,
    confidence: f64,
    widening: f64,
) -> Option<Interval> {
    before.rate().and(after.rate())?;
    let tail = (1.0 - confidence) / 2.0;
    let shrink = widening.max(1.0).powi(2);
    let (hits, misses) = (after.events as f64 / shrink, before.events as f64 / shrink);
    let low = if after.events == 0 {
        0.0
    } else {
        Beta::new(hits, misses + 1.0).ok()?.inverse_cdf(tail)
    };
    let high = if before.events == 0 {
        1.0
    } else {
        Beta::new(hits + 1.0, misses).ok()?.inverse_cdf(1.0 - tail)
    };
    let odds = |share: f64| {
        if share >= 1.0 {
            f64::INFINITY
        } else {
            share / (1.0 - share)
        }
    };
    let scale = before.exposure / after.exposure;
    Some(Interval::new(odds(low) * scale, odds(high) * scale))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::assert_close;
    use super::*;

    fn compare(before: u64, after: u64) -> RateRatio {
        let before = EventCount {
            events: before,
            exposure: 30.0,
        };
        rate_ratio(
            before,
            EventCount {
                events: after,
                exposure: 2.0,
            },
            0.95,
        )
        .unwrap()
    }

    /// Deployments in two days against thirty: how many it takes to be "better".
    #[test]
    fn what_two_days_can_show() {
        for (base, enough) in [(15, 5), (30, 6), (60, 10)] {
            assert!(compare(base, enough).p < 0.05, "{enough} against {base}");
            assert!(
                compare(base, enough - 1).p > 0.05,
                "{} against {base}",
                enough - 1
            );
        }
        assert_close(compare(30, 0).p, 2.0 * 0.1443, 1e-4);
        assert_close(compare(60, 0).p, 2.0 * 0.0208, 1e-4);
    }

    #[test]
    fn interval_and_test_agree() {
        for before in 0..40 {
            for after in 0..12 {
                let found = compare(before, after);
                // At the very limit rounding decides.
                if (found.p - 0.05).abs() > 1e-9 {
                    assert_eq!(
                        found.interval.contains(1.0),
                        found.p > 0.05,
                        "{before} {after} {found:?}"
                    );
                }
            }
        }
    }

    /// R: poisson.test(c(11, 6 + 8 + 7), c(800, 1083 + 1050 + 878)).
    #[test]
    fn known_ratio() {
        let after = EventCount {
            events: 11,
            exposure: 800.0,
        };
        let before = EventCount {
            events: 21,
            exposure: 3_011.0,
        };
        let found = rate_ratio(before, after, 0.95).unwrap();
        assert_close(found.ratio, 1.9714, 1e-4);
        assert_close(found.interval.low, 0.8584, 1e-3);
        assert_close(found.interval.high, 4.2772, 1e-3);
    }

    #[test]
    fn edges() {
        let none = EventCount {
            events: 0,
            exposure: 2.0,
        };
        let never = EventCount {
            events: 3,
            exposure: 0.0,
        };
        assert_eq!(rate_ratio(never, none, 0.95), None);
        assert_eq!(rate_interval(never, 0.95), None);
        assert_close(rate_ratio(none, none, 0.95).unwrap().p, 1.0, 0.0);
        let from_nothing = compare(0, 4);
        assert!(from_nothing.ratio.is_infinite() && from_nothing.interval.high.is_infinite());
        // Garwood: 10 events in 1: 4.795 to 18.390.
        let garwood = rate_interval(
            EventCount {
                events: 10,
                exposure: 1.0,
            },
            0.95,
        )
        .unwrap();
        assert_close(garwood.low, 4.795, 1e-3);
        assert_close(garwood.high, 18.390, 1e-3);
        assert_close(rate_interval(none, 0.95).unwrap().high, 3.6889 / 2.0, 1e-3);
    }
}
