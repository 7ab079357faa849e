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
    /// Chance of a false alarm that this look may spend, of 0.05 for all of them.
    pub alpha: f64,
}

/// The looks at 48 hours, 7, 14 and 28 days.
///
/// The first is a safety check and spends next to nothing. The levels add up to 0.05, so the chance
/// of any false alarm stays below that however the looks depend on each other.
pub const LOOKS: [PlannedLook; 4] = [
    PlannedLook {
        number: 1,
        hours: 48,
        alpha: 0.0005,
    },
    PlannedLook {
        number: 2,
        hours: 7 * 24,
        alpha: 0.0045,
    },
    PlannedLook {
        number: 3,
        hours: 14 * 24,
        alpha: 0.015,
    },
    PlannedLook {
        number: 4,
        hours: 28 * 24,
        alpha: 0.03,
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

    /// What it is compared with: the whole baseline for looks of whole weeks, else the same hours
    /// of the same weekdays in each week of the baseline. A weekend is not compared with a week.
    pub fn before(self, applied_at: Timestamp, baseline: TimeRange) -> Vec<TimeRange> {
        if self.length().as_secs().is_multiple_of(WEEK.as_secs()) {
            return vec![baseline];
        }
        let mut ranges = Vec::new();
        let mut from = applied_at.saturating_sub(WEEK);
        while from >= baseline.from {
            let range = TimeRange::new(from, from.saturating_add(self.length()));
            if range.until <= baseline.until {
                ranges.push(range);
            }
            from = from.saturating_sub(WEEK);
        }
        ranges.reverse();
        ranges
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
        let spent: f64 = LOOKS.iter().map(|look| look.alpha).sum();
        assert!((spent - 0.05).abs() < 1e-12);
    }

    #[test]
    fn two_days_are_compared_with_the_same_weekdays() {
        let baseline = TimeRange::new(day(0), day(28));
        let found = LOOKS[0].before(day(30), baseline);
        let expected = [2, 9, 16, 23].map(|start| TimeRange::new(day(start), day(start + 2)));
        assert_eq!(found, expected);
        // Started right at the end of the baseline: the last pair of days ends with it.
        assert_eq!(LOOKS[0].before(day(28), baseline).len(), 4);
        // A pair that reaches past the baseline is left out.
        assert_eq!(LOOKS[0].before(day(34), baseline).len(), 3);
        assert_eq!(LOOKS[1].before(day(30), baseline), [baseline]);
        assert_eq!(LOOKS[2].after(day(30)), TimeRange::new(day(30), day(44)));
        assert_eq!([LOOKS[0].title(), LOOKS[3].title()], ["48 h", "28 d"]);
    }
}
