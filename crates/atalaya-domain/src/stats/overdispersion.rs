//! How much more stretches of time (weeks) differ than chance alone would make them.
//!
//! Tests of deployments take each one for a throw of its own. Real ones come in bursts, on good
//! weeks and before holidays, so the exchangeable unit is the week. A comparison of two stretches
//! gets a standard score as if only chance were at work; the factor found here divides its square,
//! and Student's t with the factor's degrees of freedom takes the place of the normal distribution.
//! That is the quasi-Poisson model and its relatives for times and shares.
//!
//! Source: `McCullagh` and Nelder, Generalized Linear Models, sections 4.5 and 6.2.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::z_of;

/// One stretch of time: a sum over a weight. Deployments over weeks, logarithms of hours over
/// releases, failures over deployments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    pub sum: f64,
    pub weight: f64,
}

impl Cell {
    fn rate(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

impl<'a> std::iter::Sum<&'a Self> for Cell {
    fn sum<I: Iterator<Item = &'a Self>>(cells: I) -> Self {
        cells.fold(Self::default(), |total, cell| Self {
            sum: total.sum + cell.sum,
            weight: total.weight + cell.weight,
        })
    }
}

/// What chance alone does to a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chance {
    /// Counts: the variance of a sum is its mean.
    Poisson,
    /// Hits: `p (1 - p)` for each of the weight.
    Binomial,
    /// Values with this variance, as many as the weight.
    Values { variance: f64 },
}

impl Chance {
    /// Variance of a cell's sum when its expected rate is `rate`.
    fn variance(self, rate: f64, weight: f64) -> f64 {
        weight
            * match self {
                Self::Poisson => rate,
                Self::Binomial => rate * (1.0 - rate),
                Self::Values { variance } => variance,
            }
    }

    /// How far apart two cells are, in standard deviations of chance; above 0 when `after` is
    /// higher. `None` when a side is empty or chance has no room (no failure on either side).
    pub fn score(self, before: Cell, after: Cell) -> Option<f64> {
        let (low, high) = (before.rate()?, after.rate()?);
        let (difference, variance) = match self {
            // On the scale of roots the variance does not depend on the rate, and 0 is a value.
            Self::Poisson => (
                2.0 * (high.max(0.0).sqrt() - low.max(0.0).sqrt()),
                1.0 / before.weight + 1.0 / after.weight,
            ),
            Self::Binomial | Self::Values { .. } => {
                let pooled = (before.sum + after.sum) / (before.weight + after.weight);
                let unit = self.variance(pooled, 1.0);
                (
                    high - low,
                    unit * (1.0 / before.weight + 1.0 / after.weight),
                )
            }
        };
        (variance > 0.0).then(|| difference / variance.sqrt())
    }
}

/// How many times more the weeks vary than chance, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overdispersion {
    /// Below 1 when they happen to vary less; who compares must not take credit for that.
    pub factor: f64,
    /// Degrees of freedom of the factor, at least 1.
    pub freedom: f64,
}

impl Overdispersion {
    /// Pearson's estimate within groups of cells, each group with a rate of its own. Cells without
    /// weight say nothing. `None` when no group has two cells to compare.
    pub fn within(groups: &[&[Cell]], chance: Chance) -> Option<Self> {
        let (mut squares, mut freedom) = (0.0, 0.0);
        for group in groups {
            let cells: Vec<&Cell> = group.iter().filter(|cell| cell.weight > 0.0).collect();
            let total: Cell = cells.iter().copied().sum();
            let Some(rate) = total.rate().filter(|_| cells.len() > 1) else {
                continue;
            };
            freedom += (cells.len() - 1) as f64;
            squares += cells
                .iter()
                .map(|cell| {
                    let variance = chance.variance(rate, cell.weight);
                    let off = cell.sum - rate * cell.weight;
                    if variance > 0.0 {
                        off * off / variance
                    } else {
                        0.0
                    }
                })
                .sum::<f64>();
        }
        (freedom > 0.0).then(|| Self {
            factor: squares / freedom,
            freedom,
        })
    }

    /// From placebo changes: at each place of a history where nothing was changed, `before` cells
    /// against the `after` cells that follow, as the real comparison does it. Takes in whatever
    /// weeks do to each other: runs of good weeks, drifts, holidays.
    ///
    /// Windows overlap, so there are fewer degrees of freedom than windows; see [`freedom_of`].
    /// `None` when the history has no room for two of them.
    pub fn of_placebos(
        history: &[Cell],
        before: usize,
        after: usize,
        chance: Chance,
    ) -> Option<Self> {
        if before == 0 || after == 0 {
            return None;
        }
        let squares: Vec<f64> = history
            .windows(before + after)
            .filter_map(|window| {
                let (early, late) = window.split_at(before);
                chance.score(early.iter().sum(), late.iter().sum())
            })
            .map(|score| score * score)
            .collect();
        (squares.len() > 1).then(|| Self {
            factor: squares.iter().sum::<f64>() / squares.len() as f64,
            freedom: freedom_of(squares.len(), before, after),
        })
    }

    /// Both tails beyond a score once the weeks' variation is taken out of it.
    pub fn p(&self, score: f64) -> f64 {
        let Ok(t) = StudentsT::new(0.0, 1.0, self.freedom.max(1.0)) else {
            return 1.0;
        };
        if self.factor <= 0.0 {
            return if score == 0.0 { 1.0 } else { 0.0 };
        }
        (2.0 * t.sf(score.abs() / self.factor.sqrt())).min(1.0)
    }

    /// How many times wider than chance alone an interval of this confidence has to be, at least 1.
    pub fn widening(&self, confidence: f64) -> f64 {
        let Ok(t) = StudentsT::new(0.0, 1.0, self.freedom.max(1.0)) else {
            return f64::INFINITY;
        };
        let reach = t.inverse_cdf(0.5 + confidence / 2.0);
        (self.factor.max(0.0).sqrt() * reach / z_of(confidence)).max(1.0)
    }
}

/// Degrees of freedom of the mean square of `windows` overlapping contrasts of independent weeks:
/// as many as would be independent of each other.
///
/// Source: the equivalent degrees of freedom of the overlapping Allan variance; D. A. Howe et al.,
/// Proceedings of the 35th Annual Symposium on Frequency Control (1981).
fn freedom_of(windows: usize, before: usize, after: usize) -> f64 {
    let weight = |place: usize| {
        if place < before {
            -1.0 / before as f64
        } else {
            1.0 / after as f64
        }
    };
    let width = before + after;
    let product = |lag: usize| {
        (0..width.saturating_sub(lag))
            .map(|place| weight(place) * weight(place + lag))
            .sum::<f64>()
    };
    let own = product(0);
    let shared: f64 = (1..width.min(windows))
        .map(|lag| (1.0 - lag as f64 / windows as f64) * (product(lag) / own).powi(2))
        .sum();
    (windows as f64 / (1.0 + 2.0 * shared)).max(1.0)
}
