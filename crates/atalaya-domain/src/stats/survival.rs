//! Times that are still running.

use serde::Serialize;

/// How long something took, or has taken so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lifetime {
    pub time: f64,
    /// False while it still goes on: the end is somewhere after `time`.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MedianTime {
    At(f64),
    /// Too much is still open to say more than "at least this".
    AtLeast(f64),
}

/// Kaplan-Meier median: the first time by which the estimated share still open is half or less.
/// `None` for no lifetimes. Without open ones it is the lower median.
pub fn kaplan_meier_median(lifetimes: &[Lifetime]) -> Option<MedianTime> {
    let mut sorted = lifetimes.to_vec();
    // Of equal times the ended ones come first: the open ones were still at risk then.
    sorted.sort_by(|one, other| {
        one.time
            .total_cmp(&other.time)
            .then(other.ended.cmp(&one.ended))
    });
    let longest = sorted.last()?.time;
    let mut still_open = 1.0;
    for (done, lifetime) in sorted.iter().enumerate() {
        if lifetime.ended {
            let at_risk = (sorted.len() - done) as f64;
            still_open *= (at_risk - 1.0) / at_risk;
            // Half may come out a hair above one half.
            if still_open <= 0.5 + 1e-12 {
                return Some(MedianTime::At(lifetime.time));
            }
        }
    }
    Some(MedianTime::AtLeast(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(times: &[(f64, bool)]) -> Vec<Lifetime> {
        times
            .iter()
            .map(|&(time, ended)| Lifetime { time, ended })
            .collect()
    }

    #[test]
    fn medians() {
        for (times, expected) in [
            (
                vec![(3.0, true), (1.0, true), (2.0, true)],
                MedianTime::At(2.0),
            ),
            (
                vec![(1.0, true), (2.0, true), (3.0, true), (4.0, true)],
                MedianTime::At(2.0),
            ),
            (
                vec![(1.0, true), (5.0, false), (9.0, false)],
                MedianTime::AtLeast(9.0),
            ),
            // 1 - 1/4, then 2 at risk: 3/4 · 1/2 = 0.375.
            (
                vec![(1.0, true), (2.0, false), (3.0, true), (4.0, false)],
                MedianTime::At(3.0),
            ),
            (vec![(2.0, false), (2.0, true)], MedianTime::At(2.0)),
            (vec![(7.0, false)], MedianTime::AtLeast(7.0)),
        ] {
            assert_eq!(
                kaplan_meier_median(&lifetimes(&times)),
                Some(expected),
                "{times:?}"
            );
        }
        assert_eq!(kaplan_meier_median(&[]), None);
    }
}
