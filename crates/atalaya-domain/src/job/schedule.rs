//! When a job runs: a cron expression, or a fixed interval.
//!
//! A cron expression is looked at as wall-clock times of a zone (`croner`, without a zone), and put
//! on the line of instants here. Where the clock is put forward, what is meant for an hour that does
//! not exist runs once, at the moment of the change; where it is put back, what is meant for an hour
//! that exists twice runs once, the first time. An expression that means every hour has no such
//! hours: it goes on evenly through both passes, and skips what does not exist.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Serialize, Serializer};

use super::calendar::{self, Zone, first_change, is_second_pass, offset, utc, wall};
use crate::length::Length;
use crate::time::Timestamp;

/// When a job runs.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Five fields, or six with seconds first; `@daily` and the like.
    Cron(Expression),
    /// At whole multiples of it since 1970, so that all hosts mean the same instants. Whole seconds,
    /// at least one.
    Every(Duration),
}

/// A cron expression that is met again and again.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    cron: Cron,
    /// It means every hour of a day.
    hourly: bool,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "`{text}` is no schedule ({reason}); write a cron expression (`30 3 * * *`: minute, hour, day of the month, month, day of the week) or an interval (`15m`, `90s`, `6h`)"
    )]
    Unreadable { text: String, reason: String },
    #[error("`{text}` never comes: no day of any year fits it")]
    Never { text: String },
    #[error("`{text}` is shorter than a second or longer than 366 days")]
    OutOfRange { text: String },
}

/// Longest interval.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// A schedule is a short text.
const MOST_BYTES: usize = 200;
/// How far back the latest slot is looked for, step by step: so that a dense schedule walks little.
const LOOK_BACK_SECONDS: [i64; 6] = [60, 3_600, 86_400, 35 * 86_400, 400 * 86_400, 3_000 * 86_400];

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let unreadable = |reason: &str| ScheduleError::Unreadable {
            text: text.chars().take(MOST_BYTES).collect(),
            reason: reason.to_owned(),
        };
        if text.len() > MOST_BYTES {
            return Err(unreadable("it is too long"));
        }
        let interval = text.strip_prefix("every ").unwrap_or(text).trim();
        if interval.starts_with(|first: char| first.is_ascii_digit()) && !interval.contains(' ') {
            return interval
                .parse()
                .map_err(|_| unreadable("an interval is a number with s, m, h or d"))
                .and_then(|Length(every)| {
                    let text = text.to_owned();
                    let fits = (Duration::from_secs(1)..=LONGEST).contains(&every);
                    if fits {
                        Ok(Self::Every(every))
                    } else {
                        Err(ScheduleError::OutOfRange { text })
                    }
                });
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(text)
            .map_err(|error| unreadable(error.to_string().trim_end_matches('.')))?;
        let hourly = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let expression = Expression {
            text: text.to_owned(),
            cron,
            hourly,
        };
        // Any start will do: what comes once comes again within the 400 years of the calendar.
        let start = DateTime::<Utc>::UNIX_EPOCH.naive_utc();
        if expression.next_wall(start, true).is_none() {
            let text = text.to_owned();
            return Err(ScheduleError::Never { text });
        }
        Ok(Self::Cron(expression))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(expression) => formatter.write_str(&expression.text),
            Self::Every(every) => write!(formatter, "every {}", Length(*every)),
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Schedule {
    /// The first slot after `after`; `None` at the end of the calendar.
    pub fn next_after(&self, after: Timestamp, zone: Zone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let period = period_micros(*every);
                let whole = after.micros().div_euclid(period).checked_add(1)?;
                Some(Timestamp::from_micros(whole.checked_mul(period)?))
            }
            Self::Cron(expression) => expression.next_after(utc(after), zone).map(Timestamp::from),
        }
    }

    /// The latest slot up to `now`, not before `not_before`. Without a bound a slot of a cron
    /// expression is found when it is at most eight years old.
    pub fn last_until(
        &self,
        now: Timestamp,
        not_before: Option<Timestamp>,
        zone: Zone,
    ) -> Option<Timestamp> {
        let earliest = not_before.unwrap_or(Timestamp::MIN);
        if let Self::Every(every) = self {
            let period = period_micros(*every);
            let slot = Timestamp::from_micros(now.micros().div_euclid(period) * period);
            return (slot >= earliest).then_some(slot);
        }
        for seconds in LOOK_BACK_SECONDS {
            let look = Timestamp::from_micros(now.micros().saturating_sub(seconds * 1_000_000));
            let just_before = Timestamp::from_micros(earliest.micros().saturating_sub(1));
            let mut from = look.max(just_before);
            let mut found = None;
            while let Some(slot) = self.next_after(from, zone).filter(|slot| *slot <= now) {
                found = Some(slot);
                from = slot;
            }
            if found.is_some() || look <= just_before {
                return found;
            }
        }
        None
    }

    /// How near two slots are to each other, seen from a few of them.
    pub(super) fn shortest_period(&self, zone: Zone) -> Duration {
        match self {
            Self::Every(every) => *every,
            Self::Cron(_) => {
                let mut slots = Vec::with_capacity(12);
                let mut at = Timestamp::from_seconds(1_790_000_000);
                while let (Some(next), true) = (self.next_after(at, zone), slots.len() < 12) {
                    slots.push(next);
                    at = next;
                }
                let gaps = slots.windows(2).map(|two| two[1].since(two[0]));
                gaps.min().unwrap_or(LONGEST)
            }
        }
    }
}

fn period_micros(every: Duration) -> i64 {
    i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1)
}

impl Expression {
    fn next_after(&self, after: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
        let (mut cursor, mut inclusive) = (after, false);
        loop {
            let now = offset(zone, cursor);
            let shown = self.next_wall(wall(cursor, now), inclusive)?;
            let slot = shown
                .and_utc()
                .checked_sub_signed(TimeDelta::seconds(now))?;
            let Some(change) = first_change(zone, cursor, slot) else {
                if self.hourly || !is_second_pass(zone, slot) {
                    return Some(slot);
                }
                (cursor, inclusive) = (slot, false);
                continue;
            };
            if !self.hourly && self.means_a_missing_time(change) {
                return Some(change.at);
            }
            (cursor, inclusive) = (change.at, true);
        }
    }

    /// Whether it means a time that the clocks jump over.
    fn means_a_missing_time(&self, change: calendar::Change) -> bool {
        let (from, until) = (
            wall(change.at, change.before),
            wall(change.at, change.after),
        );
        from < until
            && self
                .next_wall(from, true)
                .is_some_and(|shown| shown < until)
    }

    fn next_wall(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }
}
