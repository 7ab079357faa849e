//! Whole calendar months.

use super::{Asked, Point, series, whole_months};
use crate::dora::LeadBasis;

#[derive(Clone, Debug, PartialEq)]
pub struct Monthly {
    pub basis: LeadBasis,
    /// Oldest first.
    pub months: Vec<Point>,
    /// Indices of the months with most and fewest deployments a day; of equals the older one.
    /// `None` while no month is known.
    pub best: Option<usize>,
    pub worst: Option<usize>,
}

impl Monthly {
    pub fn total(&self) -> usize {
        self.months
            .iter()
            .filter_map(|month| month.deployments)
            .sum()
    }

    /// Deployments a month, of those that are known.
    pub fn average(&self) -> Option<f64> {
        let known = self.months.iter().filter_map(|month| month.deployments);
        let count = known.count();
        (count > 0).then(|| self.total() as f64 / count as f64)
    }
}

/// The last `count` whole months.
pub fn monthly(asked: &Asked<'_>, count: u32) -> Monthly {
    let stretches = whole_months(asked.now, count, asked.rules.zone);
    let (months, basis) = series(asked, stretches);
    let rates = || {
        months
            .iter()
            .enumerate()
            .filter_map(|(index, month)| Some((index, month.per_day()?)))
    };
    // `max_by` keeps the last of equals, `min_by` the first.
    let best = rates().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    let worst = rates().min_by(|a, b| a.1.total_cmp(&b.1));
    Monthly {
        best: best.map(|(index, _)| index),
        worst: worst.map(|(index, _)| index),
        basis,
        months,
    }
}
