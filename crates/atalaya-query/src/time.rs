//! Times as people write them in a query, read against a clock and a zone.
//!
//! | text | means |
//! |---|---|
//! | `15m` `2h` `3d` `1h30m` `45s` `1w` | that long ago |
//! | `now` `today` `yesterday` | now; the start of the day |
//! | `12:30` `12:30:15` | the latest such time that has passed |
//! | `2026-11-21` | that day |
//! | `2026-11-21T12:30` (also `:15`, `.123`, a space for `T`) | that instant, in the clock's zone |
//! | the same with `Z` or `+02:00` behind it | that instant |
//!
//! `since:` begins at the instant, `until:` ends just before it; a day counts wholly for both.
//! An `until:` clock time beside a `since:` is the first such time after it. `at:` is everything
//! within the minute (second, day) that the text names.

use std::time::Duration;

use chrono::{
    DateTime, Days, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};

use atalaya_domain::time::{TimeRange, Timestamp};

use super::ast::{Bound, Expr, Term};
use super::{QueryClock, Zone};

/// What a time is expected to look like, for error messages.
pub(super) const EXPECTED: &str =
    "a time such as 15m, 2h, 3d, 12:30, today, 2026-11-21 or 2026-11-21T12:30Z";

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

enum Instant {
    /// So long before now.
    Ago(Duration),
    Now,
    Day(NaiveDate),
    Clock {
        time: NaiveTime,
        exact: bool,
    },
    At {
        at: Timestamp,
        exact: bool,
    },
}

/// What `bound:text` covers; `None` when the text is no time.
pub(super) fn resolve(bound: Bound, text: &str, clock: &QueryClock) -> Option<TimeRange> {
    let instant = read(text, clock)?;
    let (from, until) = match instant {
        Instant::Ago(length) => {
            let at = clock.now.saturating_sub(length);
            if bound == Bound::At {
                window(floor(at, MINUTE), MINUTE)
            } else {
                (at, at)
            }
        }
        Instant::Now if bound == Bound::At => window(floor(clock.now, MINUTE), MINUTE),
        Instant::Now => (clock.now, clock.now),
        Instant::Day(date) => (
            instant_of(date.and_time(NaiveTime::MIN), clock.zone),
            instant_of(
                date.checked_add_days(Days::new(1))?
                    .and_time(NaiveTime::MIN),
                clock.zone,
            ),
        ),
        Instant::Clock { time, exact } => {
            let at = last_before(clock.now, time, clock.zone);
            if bound == Bound::At {
                window(at, if exact { SECOND } else { MINUTE })
            } else {
                (at, at)
            }
        }
        Instant::At { at, exact } => {
            let width = if exact { SECOND } else { MINUTE };
            if bound == Bound::At {
                window(floor(at, width), width)
            } else {
                (at, at)
            }
        }
    };
    Some(match bound {
        Bound::Since => TimeRange::new(from, Timestamp::MAX),
        Bound::Until => TimeRange::new(Timestamp::MIN, until),
        Bound::At => TimeRange::new(from, until),
    })
}

/// Reads `until:` clock times as the first such time after a `since:` that stands beside them.
pub(super) fn join_bounds(expr: &mut Expr, clock: &QueryClock) {
    match expr {
        Expr::And(children) => {
            let since = children.iter().filter_map(|child| match child {
                Expr::Term(Term::Time(term)) if term.bound == Bound::Since => Some(term.range.from),
                _ => None,
            });
            if let Some(since) = since.max() {
                for child in children.iter_mut() {
                    if let Expr::Term(Term::Time(term)) = child
                        && term.bound == Bound::Until
                        && let Some(Instant::Clock { time, .. }) = read(&term.text, clock)
                    {
                        term.range.until = first_after(since, time, clock.zone);
                    }
                }
            }
            for child in children.iter_mut() {
                join_bounds(child, clock);
            }
        }
        Expr::Or(children) => {
            for child in children.iter_mut() {
                join_bounds(child, clock);
            }
        }
        Expr::Not(inner) => join_bounds(inner, clock),
        Expr::Term(_) => {}
    }
}

fn read(text: &str, clock: &QueryClock) -> Option<Instant> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "now" => return Some(Instant::Now),
        "today" => return Some(Instant::Day(date_of(clock.now, clock.zone))),
        "yesterday" => return Some(Instant::Day(date_of(clock.now, clock.zone).pred_opt()?)),
        _ => {}
    }
    if let Some(length) = duration(lower.strip_prefix('-').unwrap_or(&lower)) {
        return Some(Instant::Ago(length));
    }
    if let Some((time, exact)) = clock_time(text) {
        return Some(Instant::Clock { time, exact });
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(Instant::Day(date));
    }
    let (date, rest) = text.split_at_checked(10)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let (time, exact) = clock_time(time)?;
    let local = date.and_time(time);
    let at = match zone {
        "" => instant_of(local, clock.zone),
        "Z" | "z" => Timestamp::from(Utc.from_utc_datetime(&local)),
        offset => {
            let seconds = offset_seconds(offset)?;
            Timestamp::from(
                Utc.from_utc_datetime(&local.checked_sub_signed(TimeDelta::seconds(seconds))?),
            )
        }
    };
    Some(Instant::At { at, exact })
}

/// `12:30` or `12:30:15[.123]`, and whether it has seconds.
fn clock_time(text: &str) -> Option<(NaiveTime, bool)> {
    if let Ok(time) = NaiveTime::parse_from_str(text, "%H:%M") {
        return Some((time, false));
    }
    NaiveTime::parse_from_str(text, "%H:%M:%S%.f")
        .ok()
        .map(|time| (time, true))
}

/// `+02:00`, `-0330` or `+02`, in seconds east of UTC.
fn offset_seconds(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..]
        .chars()
        .filter(|character| *character != ':')
        .collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = match digits.len() {
        2 => (digits.parse().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `15m`, `1h30m`, `2.5h`: numbers with the units s, m, h, d and w (or their longer names).
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits =
            rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|character: char| !character.is_alphabetic())
            .unwrap_or(rest.len());
        let seconds = match &rest[..letters] {
            "us" | "µs" | "μs" => 0.000_001,
            "ms" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            _ => return None,
        };
        total += number * seconds;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).ok()
}

fn window(from: Timestamp, width: Duration) -> (Timestamp, Timestamp) {
    (from, from.saturating_add(width))
}

fn floor(at: Timestamp, width: Duration) -> Timestamp {
    let width = i64::try_from(width.as_micros()).unwrap_or(1).max(1);
    Timestamp::from_micros(at.micros().saturating_sub(at.micros().rem_euclid(width)))
}

/// How far the zone's clock is ahead of UTC at an instant, in microseconds.
pub(super) fn offset_micros(at: Timestamp, zone: Zone) -> i64 {
    match zone {
        Zone::Utc => 0,
        Zone::Local => i64::from(local(at).offset().local_minus_utc()) * 1_000_000,
    }
}

fn date_of(at: Timestamp, zone: Zone) -> NaiveDate {
    match zone {
        Zone::Utc => at.to_utc().date_naive(),
        Zone::Local => local(at).date_naive(),
    }
}

/// Instants at the very ends of chrono's range have no local form everywhere; UTC serves there.
fn local(at: Timestamp) -> DateTime<Local> {
    let utc = at.to_utc();
    let middle = DateTime::<Utc>::MIN_UTC + TimeDelta::days(2)
        ..DateTime::<Utc>::MAX_UTC - TimeDelta::days(2);
    if middle.contains(&utc) {
        utc.with_timezone(&Local)
    } else {
        DateTime::<Utc>::UNIX_EPOCH.with_timezone(&Local)
    }
}

fn instant_of(local: NaiveDateTime, zone: Zone) -> Timestamp {
    match zone {
        Zone::Utc => Timestamp::from(Utc.from_utc_datetime(&local)),
        // An hour that the clocks skip is read as if they had not: 02:30 becomes 03:30.
        Zone::Local => match Local.from_local_datetime(&local).earliest() {
            Some(at) => Timestamp::from(at),
            None => local
                .checked_sub_signed(TimeDelta::hours(1))
                .and_then(|before| Local.from_local_datetime(&before).earliest())
                .map_or_else(
                    || Timestamp::from(Utc.from_utc_datetime(&local)),
                    |before| Timestamp::from(before).saturating_add(Duration::from_hours(1)),
                ),
        },
    }
}

fn last_before(now: Timestamp, time: NaiveTime, zone: Zone) -> Timestamp {
    let today = date_of(now, zone);
    let at = instant_of(today.and_time(time), zone);
    if at <= now {
        return at;
    }
    today
        .pred_opt()
        .map_or(at, |yesterday| instant_of(yesterday.and_time(time), zone))
}

fn first_after(since: Timestamp, time: NaiveTime, zone: Zone) -> Timestamp {
    let day = date_of(since, zone);
    let at = instant_of(day.and_time(time), zone);
    if at > since {
        return at;
    }
    day.succ_opt()
        .map_or(at, |next| instant_of(next.and_time(time), zone))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(DateTime::parse_from_rfc3339(text).unwrap())
    }

    #[test]
    fn times_are_read_against_the_clock() {
        let clock = QueryClock {
            now: at("2026-11-22T12:34:56Z"),
            zone: Zone::Utc,
        };
        for (text, expected) in [
            ("15m", "2026-11-22T12:19:56Z"),
            ("-15m", "2026-11-22T12:19:56Z"),
            ("1h30m", "2026-11-22T11:04:56Z"),
            ("3d", "2026-11-19T12:34:56Z"),
            ("now", "2026-11-22T12:34:56Z"),
            ("today", "2026-11-22T00:00:00Z"),
            ("Yesterday", "2026-11-21T00:00:00Z"),
            ("12:30", "2026-11-22T12:30:00Z"),
            ("12:35", "2026-11-21T12:35:00Z"),
            ("12:30:15", "2026-11-22T12:30:15Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T12:30", "2026-11-20T12:30:00Z"),
            ("2026-11-20 12:30:15.25", "2026-11-20T12:30:15.25Z"),
            ("2026-11-20T12:30Z", "2026-11-20T12:30:00Z"),
            ("2026-11-20T12:30:00+02:00", "2026-11-20T10:30:00Z"),
            ("2026-11-20T12:30-0330", "2026-11-20T16:00:00Z"),
        ] {
            let range = resolve(Bound::Since, text, &clock).unwrap();
            assert_eq!(range.from, at(expected), "{text}");
            assert_eq!(range.until, Timestamp::MAX);
        }
        for text in [
            "",
            "m",
            "15",
            "15x",
            "25:00",
            "2026-13-01",
            "2026-11-20T",
            "2026-11-20T12:30+9",
            "é",
            "999999999999999d",
        ] {
            let range = resolve(Bound::Since, text, &clock);
            assert!(
                range.is_none() || range.unwrap().from <= clock.now,
                "{text}"
            );
        }
    }

    #[test]
    fn until_takes_a_whole_day_and_at_a_window() {
        let clock = QueryClock {
            now: at("2026-11-22T12:34:56Z"),
            zone: Zone::Utc,
        };
        assert_eq!(
            resolve(Bound::Until, "2026-11-21", &clock).unwrap().until,
            at("2026-11-22T00:00:00Z")
        );
        for (text, from, until) in [
            ("12:30", "2026-11-22T12:30:00Z", "2026-11-22T12:31:00Z"),
            ("12:30:15", "2026-11-22T12:30:15Z", "2026-11-22T12:30:16Z"),
            ("2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            ("10m", "2026-11-22T12:24:00Z", "2026-11-22T12:25:00Z"),
        ] {
            assert_eq!(
                resolve(Bound::At, text, &clock).unwrap(),
                TimeRange::new(at(from), at(until)),
                "{text}"
            );
        }
    }
}
