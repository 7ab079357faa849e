//! When a change is looked at, and what each look is compared with. Fixed before the change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{TimeRange, Timestamp};

/// One look that was planned from the start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedLook {
    /// From 1.
    pub number: u32,
    pub hours: u32,
    /// Chance of a false alarm about the plan's metric that this look may spend.
    pub alpha: f64,
}

/// Chance of any false decision that a cycle may run, over all looks, metrics and guards.
pub const ERROR_BUDGET: f64 = 0.05;

/// What the guards may spend of it at each look, together; the plan's metric has the rest.
pub const GUARD_ALPHA: f64 = 0.0025;

/// The looks at 48 hours, 7, 14 and 28 days.
///
/// The first is a safety check and spends next to nothing. These levels and those of the guards add
/// up to [`ERROR_BUDGET`], so the chance of any false alarm stays below that however the looks
/// depend on each other.
pub const LOOKS: [PlannedLook; 4] = [
    PlannedLook {
        number: 1,
        hours: 48,
        alpha: 0.0004,
    },
    PlannedLook {
        number: 2,
        hours: 7 * 24,
        alpha: 0.0036,
    },
    PlannedLook {
        number: 3,
        hours: 14 * 24,
        alpha: 0.012,
    },
    PlannedLook {
        number: 4,
        hours: 28 * 24,
        alpha: 0.024,
    },
];

const WEEK: Duration = Duration::from_hours(7 * 24);

impl PlannedLook {
    pub const fn length(self) -> Duration {
        Duration::from_hours(self.hours as u64)
    }

    pub fn due_at(self, applied_at: Timestamp) -> Timestamp {
        applied_at.saturating_add(self.length())
    }

    pub const fn is_last(self) -> bool {
        self.number as usize == LOOKS.len()
    }

    /// What counts as "after": from the change to the time of the look, whenever it is taken.
    pub fn after(self, applied_at: Timestamp) -> TimeRange {
        TimeRange::new(applied_at, self.due_at(applied_at))
    }

    /// `48 h` or `14 d`.
    pub fn title(self) -> String {
        if self.hours < 72 {
            format!("{} h", self.hours)
        } else {
            format!("{} d", self.hours / 24)
        }
    }

    /// "After", in the stretches that are compared with each other: whole weeks, or the 48 hours.
    pub fn after_cells(self, applied_at: Timestamp) -> Vec<TimeRange> {
        self.cells(applied_at, applied_at, self.due_at(applied_at))
    }

    /// The stretches of `range` that this look's "after" can be compared with: its whole weeks, or
    /// the same hours of the same weekdays in each week. A weekend is not compared with a week.
    pub fn before_cells(self, applied_at: Timestamp, range: TimeRange) -> Vec<TimeRange> {
        if self.is_of_weeks() {
            // Whole weeks, counted back from the end.
            let weeks = range.length().as_secs() / WEEK.as_secs();
            let from = range
                .until
                .saturating_sub(WEEK.saturating_mul(u32::try_from(weeks).unwrap_or(u32::MAX)));
            self.cells(from, from, range.until)
        } else {
            let weeks_back = applied_at.since(range.from).as_secs() / WEEK.as_secs();
            let from = applied_at
                .saturating_sub(WEEK.saturating_mul(u32::try_from(weeks_back).unwrap_or(u32::MAX)));
            self.cells(from, range.from, range.until)
        }
    }

    fn is_of_weeks(self) -> bool {
        self.length().as_secs().is_multiple_of(WEEK.as_secs())
    }

    /// A cell each week from `first` on, as far as it lies within the bounds.
    fn cells(self, first: Timestamp, from: Timestamp, until: Timestamp) -> Vec<TimeRange> {
        let length = self.length().min(WEEK);
        std::iter::successors(Some(first), |start| Some(start.saturating_add(WEEK)))
            .take_while(|start| start.saturating_add(length) <= until)
            .filter(|start| *start >= from)
            .map(|start| TimeRange::new(start, start.saturating_add(length)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + number * DAY)
    }

    #[test]
    fn the_levels_add_up_to_five_per_cent() {
        let spent: f64 = LOOKS.iter().map(|look| look.alpha + GUARD_ALPHA).sum();
        assert!((spent - ERROR_BUDGET).abs() < 1e-12);
    }

    #[test]
    fn two_days_are_compared_with_the_same_weekdays() {
        let baseline = TimeRange::new(day(0), day(28));
        let found = LOOKS[0].before_cells(day(30), baseline);
        let expected = [2, 9, 16, 23].map(|start| TimeRange::new(day(start), day(start + 2)));
        assert_eq!(found, expected);
        // Started right at the end of the baseline: the last pair of days ends with it.
        assert_eq!(LOOKS[0].before_cells(day(28), baseline).len(), 4);
        // A pair that reaches past the baseline is left out.
        assert_eq!(LOOKS[0].before_cells(day(34), baseline).len(), 3);
        let weeks = LOOKS[1].before_cells(day(30), TimeRange::new(day(-3), day(28)));
        let expected = [0, 7, 14, 21].map(|start| TimeRange::new(day(start), day(start + 7)));
        assert_eq!(weeks, expected, "whole weeks, counted back");
        let after = [30, 37].map(|start| TimeRange::new(day(start), day(start + 7)));
        assert_eq!(LOOKS[2].after_cells(day(30)), after);
        assert_eq!(
            LOOKS[0].after_cells(day(30)),
            [TimeRange::new(day(30), day(32))]
        );
        assert_eq!(LOOKS[2].after(day(30)), TimeRange::new(day(30), day(44)));
        assert_eq!([LOOKS[0].title(), LOOKS[3].title()], ["48 h", "28 d"]);
    }
}
