//! Weeks and differences: the sparkline's points and the change against the previous period.

use chrono::{Datelike, Days, NaiveDate, TimeZone};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Metric, Value};
use crate::time::{TimeRange, Timestamp};

/// One whole week, Monday to Sunday of the report's zone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WeekPoint {
    pub start: Timestamp,
    pub value: Value,
    pub samples: usize,
}

/// Which way a metric went, seen as better or worse rather than up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Better,
    Worse,
    Same,
}

/// Change against the previous period of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delta {
    /// In the metric's unit.
    pub difference: f64,
    /// Difference by the previous value; `None` when that was 0.
    pub relative: Option<f64>,
    pub direction: Direction,
}

/// `None` unless both have a number.
pub fn delta(metric: Metric, now: Value, before: Value) -> Option<Delta> {
    let (now, before) = (now.number()?, before.number()?);
    let difference = now - before;
    let direction = if difference.abs() <= f64::EPSILON * now.abs().max(before.abs()) {
        Direction::Same
    } else if (difference > 0.0) == metric.more_is_better() {
        Direction::Better
    } else {
        Direction::Worse
    };
    Some(Delta {
        difference,
        relative: (before != 0.0).then(|| difference / before),
        direction,
    })
}

/// The last `count` whole weeks that were over by `until`, oldest first.
///
/// A week has 7 local days and therefore 167 or 169 hours when the clocks change in it.
pub fn whole_weeks(until: Timestamp, count: u32, zone: Tz) -> Vec<TimeRange> {
    let today = until.to_utc().with_timezone(&zone).date_naive();
    let monday =
        today.checked_sub_days(Days::new(u64::from(today.weekday().num_days_from_monday())));
    let Some(this_monday) = monday else {
        return Vec::new();
    };
    (1..=u64::from(count))
        .rev()
        .filter_map(|back| {
            let from = this_monday.checked_sub_days(Days::new(7 * back))?;
            let to = from.checked_add_days(Days::new(7))?;
            Some(TimeRange::new(midnight(from, zone), midnight(to, zone)))
        })
        .collect()
}

/// The first instant of a local day, also where the clocks skip or repeat midnight.
pub fn midnight(date: NaiveDate, zone: Tz) -> Timestamp {
    (0..24)
        .filter_map(|hour| date.and_hms_opt(hour, 0, 0))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(
            || Timestamp::from(date.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc()),
            Timestamp::from,
        )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dora::Absence;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap())
    }

    #[test]
    fn the_running_week_is_no_week() {
        // 2026-11-18 is a Wednesday.
        let weeks = whole_weeks(at("2026-11-18T12:00:00Z"), 2, Tz::UTC);
        assert_eq!(weeks.len(), 2);
        assert_eq!(
            weeks[1],
            TimeRange::new(at("2026-11-09T00:00:00Z"), at("2026-11-16T00:00:00Z"))
        );
        // On a Monday at midnight the week before is just over.
        let weeks = whole_weeks(at("2026-11-16T00:00:00Z"), 1, Tz::UTC);
        assert_eq!(weeks[0].until, at("2026-11-16T00:00:00Z"));
    }

    #[test]
    fn weeks_are_those_of_the_zone() {
        let weeks = whole_weeks(at("2026-10-28T12:00:00Z"), 1, Tz::Europe__Madrid);
        // The clocks went back on Sunday 25: 169 hours.
        assert_eq!(
            weeks[0],
            TimeRange::new(at("2026-10-18T22:00:00Z"), at("2026-10-25T23:00:00Z"))
        );
        assert_eq!(weeks[0].length().as_secs(), 169 * 3_600);
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_the_first_instant_of_the_day() {
        // Beirut skips from 00:00 to 01:00 on 2024-03-31.
        let date = NaiveDate::from_ymd_opt(2024, 3, 31).unwrap();
        assert_eq!(midnight(date, Tz::Asia__Beirut), at("2024-03-30T22:00:00Z"));
    }

    #[test]
    fn less_is_better_but_for_frequency() {
        let direction = |metric, now, before| {
            delta(metric, Value::Known(now), Value::Known(before))
                .unwrap()
                .direction
        };
        assert_eq!(
            direction(Metric::DeploymentFrequency, 2.0, 1.0),
            Direction::Better
        );
        assert_eq!(
            direction(Metric::ChangeLeadTime, 2.0, 1.0),
            Direction::Worse
        );
        assert_eq!(
            direction(Metric::ChangeFailureRate, 0.1, 0.1),
            Direction::Same
        );
        let from_zero = delta(
            Metric::ChangeFailureRate,
            Value::Known(0.1),
            Value::Known(0.0),
        )
        .unwrap();
        assert_eq!(from_zero.relative, None);
        let nothing = Value::NotAvailable {
            reason: Absence::NoCommits,
        };
        assert_eq!(
            delta(Metric::ChangeLeadTime, nothing, Value::Known(1.0)),
            None
        );
    }
}
