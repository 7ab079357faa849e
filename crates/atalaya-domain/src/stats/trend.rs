//! Where a series of whole weeks or months is going.

use serde::Serialize;

use super::mean;

/// Least-squares slope over 0, 1, 2 …: change per step. `None` below two points.
pub fn slope(series: &[f64]) -> Option<f64> {
    if series.len() < 2 {
        return None;
    }
    let middle = (series.len() - 1) as f64 / 2.0;
    let level = mean(series)?;
    let (mut together, mut spread) = (0.0, 0.0);
    for (step, value) in series.iter().enumerate() {
        let offset = step as f64 - middle;
        together += offset * (value - level);
        spread += offset * offset;
    }
    Some(together / spread)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrendDirection {
    /// The line changes by less than 5 % of the mean over the whole series.
    Stable,
    Rising,
    Falling,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    pub direction: TrendDirection,
    pub slope: f64,
    /// Slope by number of points, in per cent of the mean; infinite when the mean is 0.
    pub change_percent: f64,
}

const STABLE_PERCENT: f64 = 5.0;

/// Direction by the older tool's rule. Rising is not yet better: that depends on the metric.
/// `None` below two points. The caller leaves out a week that still runs.
pub fn trend(series: &[f64]) -> Option<Trend> {
    let slope = slope(series)?;
    let level = mean(series)?;
    let moved = (slope * series.len() as f64).abs();
    let change_percent = if moved == 0.0 {
        0.0
    } else {
        moved / level.abs() * 100.0
    };
    let direction = if change_percent < STABLE_PERCENT {
        TrendDirection::Stable
    } else if slope > 0.0 {
        TrendDirection::Rising
    } else {
        TrendDirection::Falling
    };
    Some(Trend {
        direction,
        slope,
        change_percent,
    })
}

/// The older tool's forecast of the next value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    pub predicted: f64,
    pub points: usize,
    /// Below six points.
    pub low_confidence: bool,
}

/// Last value plus the mean of the differences. `None` below three points. It is a straight line
/// through the first and the last point, without an interval, and may fall below zero.
pub fn forecast(series: &[f64]) -> Option<Forecast> {
    if series.len() < 3 {
        return None;
    }
    let (first, last) = (series.first()?, series.last()?);
    let predicted = last + (last - first) / (series.len() - 1) as f64;
    Some(Forecast {
        predicted,
        points: series.len(),
        low_confidence: series.len() < 6,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::assert_close;
    use super::*;

    #[test]
    fn directions() {
        let flat = trend(&[10.0; 4]).unwrap();
        assert_eq!(
            (flat.direction, flat.slope.abs() < 1e-12),
            (TrendDirection::Stable, true)
        );
        let falling = trend(&[2.0, 1.9, 1.7, 1.6]).unwrap();
        assert_eq!(falling.direction, TrendDirection::Falling);
        assert_close(falling.slope, -0.14, 1e-12);
        assert_close(falling.change_percent, 31.1, 0.02);
        assert_eq!(
            trend(&[1.0, 2.0]).unwrap().direction,
            TrendDirection::Rising
        );
        assert_eq!(
            trend(&[100.0, 101.0, 102.0]).unwrap().direction,
            TrendDirection::Stable
        );
        assert_eq!(
            trend(&[0.0, 0.0]).unwrap().direction,
            TrendDirection::Stable
        );
        assert_eq!((trend(&[1.0]), slope(&[])), (None, None));
    }

    #[test]
    fn the_older_tools_forecast() {
        let found = forecast(&[32.0, 38.0, 42.0, 45.0, 48.0, 52.0]).unwrap();
        assert_close(found.predicted, 56.0, 1e-12);
        assert!(!found.low_confidence);
        assert!(forecast(&[1.0, 2.0, 3.0]).unwrap().low_confidence);
        assert_eq!(forecast(&[1.0, 2.0]), None);
    }
}
