//! Order statistics, and the older tool's rule for unusual durations.

use serde::Serialize;

use super::{Interval, sorted};

/// `None` for no samples.
pub fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

/// `None` for no samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// Quantile of type 7: linear between order statistics, `q` from 0 to 1. `None` for no samples.
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let sorted = sorted(samples);
    let last = sorted.len().checked_sub(1)?;
    between(&sorted, q.clamp(0.0, 1.0) * last as f64)
}

/// Quantile of type 6, the "exclusive" one that Python's `statistics.quantiles` defaults to: only
/// for parity with the older tool. `None` for no samples.
pub fn quantile_exclusive(samples: &[f64], q: f64) -> Option<f64> {
    let sorted = sorted(samples);
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * (sorted.len() + 1) as f64;
    between(&sorted, (rank - 1.0).clamp(0.0, last as f64))
}

/// The value at a fractional zero-based place.
fn between(sorted: &[f64], place: f64) -> Option<f64> {
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = *sorted.get(below + 1).unwrap_or(&low);
    Some((high - low).mul_add(place - place.floor(), low))
}

/// One sample outside of the fences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// Place in the samples as they were given.
    pub index: usize,
    pub value: f64,
    /// Above the upper fence (`unusually_slow`, for durations); else below the lower one.
    pub high: bool,
}

/// Quartiles, fences and what lies outside of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomalies {
    pub q1: f64,
    pub q3: f64,
    /// 1.5 interquartile ranges below the first and above the third quartile.
    pub fences: Interval,
    pub found: Vec<Anomaly>,
}

/// Fewer samples than this say nothing about what is usual.
const SAMPLES_FOR_ANOMALIES: usize = 10;

/// Tukey's fences over quartiles of type 6. `None` below ten samples.
pub fn iqr_anomalies(samples: &[f64]) -> Option<Anomalies> {
    if samples.len() < SAMPLES_FOR_ANOMALIES {
        return None;
    }
    let q1 = quantile_exclusive(samples, 0.25)?;
    let q3 = quantile_exclusive(samples, 0.75)?;
    let reach = 1.5 * (q3 - q1);
    let fences = Interval::new(q1 - reach, q3 + reach);
    let found = samples
        .iter()
        .enumerate()
        .filter(|(_, value)| !fences.contains(**value))
        .map(|(index, &value)| Anomaly {
            index,
            value,
            high: value > fences.high,
        })
        .collect();
    Some(Anomalies {
        q1,
        q3,
        fences,
        found,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::assert_close;
    use super::*;

    #[test]
    fn quantiles_of_both_types() {
        let samples = [7.0, 1.0, 3.0, 5.0];
        for (q, type_7, type_6) in [
            (0.0, 1.0, 1.0),
            (0.25, 2.5, 1.5),
            (0.5, 4.0, 4.0),
            (0.75, 5.5, 6.5),
            (1.0, 7.0, 7.0),
        ] {
            assert_close(quantile(&samples, q).unwrap(), type_7, 1e-12);
            assert_close(quantile_exclusive(&samples, q).unwrap(), type_6, 1e-12);
        }
        assert_eq!(
            (median(&[]), mean(&[]), quantile(&[], 0.9)),
            (None, None, None)
        );
        assert_eq!(
            (median(&[2.0]), quantile_exclusive(&[2.0], 0.9)),
            (Some(2.0), Some(2.0))
        );
    }

    #[test]
    fn the_older_tools_anomaly_example() {
        let samples = [
            300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1_000.0, 1_100.0, 5_000.0,
        ];
        let anomalies = iqr_anomalies(&samples).unwrap();
        assert_close(anomalies.q1, 475.0, 1e-9);
        assert_close(anomalies.q3, 1_025.0, 1e-9);
        assert_close(anomalies.fences.high, 1_850.0, 1e-9);
        assert_eq!(
            anomalies.found,
            [Anomaly {
                index: 9,
                value: 5_000.0,
                high: true
            }]
        );
        assert_eq!(iqr_anomalies(&samples[..9]), None);
    }
}
