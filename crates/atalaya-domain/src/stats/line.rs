//! Levels and straight lines through points, with what they promise of the next one.
//!
//! Intervals are those of Student's distribution over the scatter of the points: with few points
//! they are wide, as they have to be.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Interval, mean};

/// Standard deviation of a sample (divided by n - 1). `None` below two samples.
pub fn deviation(samples: &[f64]) -> Option<f64> {
    let level = mean(samples)?;
    let free = samples.len().checked_sub(1).filter(|&free| free > 0)?;
    let squares: f64 = samples.iter().map(|value| (value - level).powi(2)).sum();
    Some((squares / free as f64).sqrt())
}

/// A least-squares line, or a level, which is a line without a slope.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fitted {
    pub points: usize,
    /// Change of y for each step of x.
    pub slope: f64,
    /// Of the slope. `None` below three points.
    pub slope_interval_95: Option<Interval>,
    middle: f64,
    height: f64,
    /// Of x around its middle; 0 for a level.
    spread: f64,
    scatter: f64,
    free: usize,
}

/// What is expected at a place, with the intervals for one new point there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Predicted {
    pub value: f64,
    pub interval_80: Interval,
    pub interval_95: Interval,
}

/// The line through points (x, y). `None` below two points, or when all have one x.
pub fn fitted(points: &[(f64, f64)]) -> Option<Fitted> {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (middle, height) = (mean(&xs)?, mean(&ys)?);
    let spread: f64 = xs.iter().map(|x| (x - middle).powi(2)).sum();
    if points.len() < 2 || spread <= 0.0 {
        return None;
    }
    let together: f64 = points
        .iter()
        .map(|(x, y)| (x - middle) * (y - height))
        .sum();
    let slope = together / spread;
    let squares: f64 = points
        .iter()
        .map(|(x, y)| (y - height - slope * (x - middle)).powi(2))
        .sum();
    let free = points.len() - 2;
    let scatter = if free == 0 {
        0.0
    } else {
        (squares / free as f64).sqrt()
    };
    let slope_interval_95 = reach(free, 0.95).map(|reach| {
        let half = reach * scatter / spread.sqrt();
        Interval::new(slope - half, slope + half)
    });
    Some(Fitted {
        points: points.len(),
        slope,
        slope_interval_95,
        middle,
        height,
        spread,
        scatter,
        free,
    })
}

/// The mean as a line without a slope. `None` below two samples.
pub fn level(samples: &[f64]) -> Option<Fitted> {
    Some(Fitted {
        points: samples.len(),
        slope: 0.0,
        slope_interval_95: None,
        middle: 0.0,
        height: mean(samples)?,
        spread: 0.0,
        scatter: deviation(samples)?,
        free: samples.len() - 1,
    })
}

impl Fitted {
    /// Whether chance alone explains the slope badly: its 95 % interval lies on one side of 0.
    pub fn is_beyond_chance(&self) -> bool {
        self.slope_interval_95
            .is_some_and(|interval| self.slope != 0.0 && !interval.contains(0.0))
    }

    /// One new point at `x`. `least_scatter` is what the values scatter by their nature at least
    /// (counts do, also when the few that were seen happen to be equal). `None` below three points
    /// of a line or two of a level.
    pub fn at(&self, x: f64, least_scatter: f64) -> Option<Predicted> {
        let value = self.slope.mul_add(x - self.middle, self.height);
        let leverage = if self.spread > 0.0 {
            (x - self.middle).powi(2) / self.spread
        } else {
            0.0
        };
        let error =
            self.scatter.max(least_scatter) * (1.0 + 1.0 / self.points as f64 + leverage).sqrt();
        let interval = |confidence| {
            let half = reach(self.free, confidence)? * error;
            Some(Interval::new(value - half, value + half))
        };
        Some(Predicted {
            value,
            interval_80: interval(0.80)?,
            interval_95: interval(0.95)?,
        })
    }
}

/// How many standard errors on both sides hold `confidence` with so many degrees of freedom.
fn reach(free: usize, confidence: f64) -> Option<f64> {
    let student = StudentsT::new(0.0, 1.0, free as f64).ok()?;
    Some(student.inverse_cdf(0.5 + confidence / 2.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::super::assert_close;
    use super::*;

    #[test]
    fn a_textbook_line() {
        // y = 1, 3, 2, 5 over x = 0 … 3: slope 1.1, residual variance 1.35.
        let line = fitted(&[(0.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 5.0)]).unwrap();
        assert_close(line.slope, 1.1, 1e-12);
        let half = 4.302_652_73 * 1.35_f64.sqrt() / 5.0_f64.sqrt();
        assert_close(line.slope_interval_95.unwrap().high, 1.1 + half, 1e-6);
        assert_close(line.at(4.0, 0.0).unwrap().value, 5.5, 1e-12);
        assert!(!line.is_beyond_chance());
        assert_eq!(
            (fitted(&[(1.0, 2.0)]), fitted(&[(1.0, 2.0), (1.0, 3.0)])),
            (None, None)
        );
        assert_eq!((level(&[1.0]), deviation(&[])), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_promised_lies_in_its_intervals(
            ys in proptest::collection::vec(-1e6..1e6_f64, 3..40), x in -50.0..50.0_f64,
        ) {
            let points: Vec<(f64, f64)> = ys.iter().enumerate().map(|(x, &y)| (x as f64, y)).collect();
            for model in [fitted(&points).unwrap(), level(&ys).unwrap()] {
                let told = model.at(x, 0.0).unwrap();
                prop_assert!(told.interval_95.low <= told.interval_80.low);
                prop_assert!(told.interval_80.contains(told.value));
                prop_assert!(told.interval_80.high <= told.interval_95.high);
            }
        }
    }

    /// Of points that scatter evenly about a level, 95 % of the next ones lie in the interval.
    #[test]
    fn intervals_hold_what_they_say() {
        let mut random = StdRng::seed_from_u64(16);
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let (mut in_80, mut in_95) = (0, 0);
        for _ in 0..2_000 {
            let seen: Vec<f64> = (0..6).map(|_| normal()).collect();
            let told = level(&seen).unwrap().at(0.0, 0.0).unwrap();
            let next = normal();
            in_80 += u32::from(told.interval_80.contains(next));
            in_95 += u32::from(told.interval_95.contains(next));
        }
        assert!((1_540..1_660).contains(&in_80), "{in_80} of 2000");
        assert!((1_860..1_940).contains(&in_95), "{in_95} of 2000");
    }
}
