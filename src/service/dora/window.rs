//! Which time a report is about, and the words that name it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate};
use chrono_tz::Tz;

use crate::source::sdlc_file::parse_time;
use atalaya_domain::dora::trend::midnight;
use atalaya_domain::time::{TimeRange, Timestamp};

/// The window of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So long until the "now" that the report is asked for at.
    Last(Duration),
    Between(TimeRange),
}

impl Window {
    pub const fn days(days: u64) -> Self {
        Self::Last(Duration::from_hours(days * 24))
    }

    pub fn range(self, now: Timestamp) -> TimeRange {
        match self {
            Self::Last(length) => TimeRange::ending(now, length),
            Self::Between(range) => range,
        }
    }
}

/// Words that name no window, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWindow(String);

impl fmt::Display for BadWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for BadWindow {}

/// How a window was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowWords {
    pub days: Option<u32>,
    /// A day (from its first instant) or a time.
    pub from: Option<String>,
    /// A day (with all of it) or a time.
    pub until: Option<String>,
    /// `2026-Q3`, `Q3`, `this`, `last`.
    pub quarter: Option<String>,
}

impl WindowWords {
    /// `None` when nothing was asked for.
    pub fn read(&self, zone: Tz, now: Timestamp) -> Result<Option<Window>, BadWindow> {
        if let Some(word) = &self.quarter {
            return quarter(word, zone, now).map(|range| Some(Window::Between(range)));
        }
        let from = self.from.as_deref().map(|text| instant(text, zone, false));
        let until = self.until.as_deref().map(|text| instant(text, zone, true));
        let (from, until) = (from.transpose()?, until.transpose()?);
        let length = self
            .days
            .map(|days| Duration::from_hours(u64::from(days) * 24));
        let range = match (from, until, length) {
            (None, None, None) => return Ok(None),
            (None, None, Some(length)) => return Ok(Some(Window::Last(length))),
            (Some(_), Some(_), Some(_)) => {
                return Err(BadWindow(
                    "`days` with both `from` and `until` says the length twice; leave one of the three out"
                        .to_owned(),
                ));
            }
            (Some(from), Some(until), None) => (from, until),
            (Some(from), None, None) => (from, now),
            (Some(from), None, Some(length)) => (from, from.saturating_add(length)),
            (None, Some(until), length) => {
                let length = length.unwrap_or(Duration::from_hours(30 * 24));
                (until.saturating_sub(length), until)
            }
        };
        if range.0 >= range.1 {
            return Err(BadWindow(format!(
                "the window ends at {} before it begins at {}; a later `until` or an earlier `from` makes one",
                range.1.to_rfc3339(),
                range.0.to_rfc3339()
            )));
        }
        Ok(Some(Window::Between(TimeRange::new(range.0, range.1))))
    }
}

/// A time, or a day: its first instant, or where `whole` the first one after it.
fn instant(text: &str, zone: Tz, whole: bool) -> Result<Timestamp, BadWindow> {
    if let Ok(day) = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d") {
        let day = if whole {
            day.checked_add_days(Days::new(1)).unwrap_or(day)
        } else {
            day
        };
        return Ok(midnight(day, zone));
    }
    parse_time(text, zone).ok_or_else(|| {
        BadWindow(format!(
            "`{text}` is no day and no time; one looks like 2026-09-30 or 2026-09-30T14:00:00Z"
        ))
    })
}

/// `2026-Q3`, `Q3` (the last one that has begun), `this` or `last`.
pub fn quarter(word: &str, zone: Tz, now: Timestamp) -> Result<TimeRange, BadWindow> {
    let today = now.to_utc().with_timezone(&zone).date_naive();
    let this = (today.year(), today.month0() / 3);
    let small = word.trim().to_ascii_lowercase();
    let found = match small.as_str() {
        "this" => Some(this),
        "last" if this.1 == 0 => Some((this.0 - 1, 3)),
        "last" => Some((this.0, this.1 - 1)),
        other => {
            let (year, number) = other
                .split_once(['-', ' '])
                .map_or((None, other), |(year, number)| (Some(year), number));
            let number = number
                .strip_prefix('q')
                .and_then(|number| number.parse::<u32>().ok())
                .filter(|number| (1..=4).contains(number))
                .map(|number| number - 1);
            match (year.map(str::parse::<i32>), number) {
                (Some(Ok(year)), Some(number)) if (1970..=9999).contains(&year) => {
                    Some((year, number))
                }
                (None, Some(number)) if number > this.1 => Some((this.0 - 1, number)),
                (None, Some(number)) => Some((this.0, number)),
                _ => None,
            }
        }
    };
    let first = |(year, number): (i32, u32)| NaiveDate::from_ymd_opt(year, number * 3 + 1, 1);
    let after = |(year, number): (i32, u32)| match number {
        3 => (year + 1, 0),
        _ => (year, number + 1),
    };
    found
        .and_then(|found| Some((first(found)?, first(after(found))?)))
        .map(|(from, until)| TimeRange::new(midnight(from, zone), midnight(until, zone)))
        .ok_or_else(|| {
            BadWindow(format!(
                "`{word}` is no quarter; use one like 2026-Q3, Q3, this or last"
            ))
        })
}

/// The first instant after the local day of this one.
pub(super) fn day_after(at: Timestamp, zone: Tz) -> Timestamp {
    let day = local(at, zone).date_naive();
    midnight(day.checked_add_days(Days::new(1)).unwrap_or(day), zone)
}

/// The last local day that a window has something of.
pub fn last_day(range: TimeRange, zone: Tz) -> NaiveDate {
    local(range.until.saturating_sub(Duration::from_micros(1)), zone).date_naive()
}

fn local(at: Timestamp, zone: Tz) -> DateTime<Tz> {
    at.to_utc().with_timezone(&zone)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse_time(text, Tz::UTC).unwrap()
    }

    fn read(words: &WindowWords) -> Result<Option<Window>, BadWindow> {
        words.read(Tz::Europe__Madrid, at("2026-11-18T12:00:00Z"))
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with what was read")]
    fn between(from: &str, until: &str) -> Result<Option<Window>, BadWindow> {
        Ok(Some(Window::Between(TimeRange::new(at(from), at(until)))))
    }

    #[test]
    fn days_count_whole_and_are_those_of_the_zone() {
        let words = |from: Option<&str>, until: Option<&str>, days: Option<u32>| WindowWords {
            from: from.map(str::to_owned),
            until: until.map(str::to_owned),
            days,
            quarter: None,
        };
        assert_eq!(read(&words(None, None, None)), Ok(None));
        assert_eq!(read(&words(None, None, Some(7))), Ok(Some(Window::days(7))));
        assert_eq!(
            read(&words(Some("2026-07-01"), Some("2026-09-30"), None)),
            between("2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z")
        );
        assert_eq!(
            read(&words(Some("2026-11-01"), None, None)),
            between("2026-10-31T23:00:00Z", "2026-11-18T12:00:00Z")
        );
        assert_eq!(
            read(&words(None, Some("2026-09-30T10:00:00Z"), Some(10))),
            between("2026-09-20T10:00:00Z", "2026-09-30T10:00:00Z")
        );
        for wrong in [
            words(Some("soon"), None, None),
            words(Some("2026-09-30"), Some("2026-09-29"), None),
            words(Some("2027-01-01"), None, None),
            words(Some("2026-07-01"), Some("2026-09-30"), Some(7)), // which of them?
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn quarters() {
        for (word, from, until) in [
            ("2026-Q3", "2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z"),
            ("2025-q4", "2025-09-30T22:00:00Z", "2025-12-31T23:00:00Z"),
            ("Q4", "2026-09-30T22:00:00Z", "2026-12-31T23:00:00Z"),
            ("q1", "2025-12-31T23:00:00Z", "2026-03-31T22:00:00Z"),
            ("this", "2026-09-30T22:00:00Z", "2026-12-31T23:00:00Z"),
            ("last", "2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z"),
        ] {
            let words = WindowWords {
                quarter: Some(word.to_owned()),
                ..WindowWords::default()
            };
            assert_eq!(read(&words), between(from, until), "{word}");
        }
        // Before the third quarter of this year has begun, it is last year's.
        let found = quarter("Q3", Tz::UTC, at("2026-02-01T00:00:00Z")).unwrap();
        assert_eq!(found.from, at("2025-07-01T00:00:00Z"));
        for word in ["2026-Q5", "Q0", "", "2026", "next"] {
            assert!(quarter(word, Tz::UTC, at("2026-02-01T00:00:00Z")).is_err());
        }
    }
}
