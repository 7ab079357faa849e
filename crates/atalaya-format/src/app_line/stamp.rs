//! The stamp of a header, with spellings that stand in headers only.

use super::super::time::{Civil, Cut, Instant, resolve, yearless};
use super::super::{TimeHint, time};

/// A stamp with a day in any spelling, or a time of day.
pub fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    match text.as_bytes().first()? {
        b'0'..=b'9' => time::any(text, hint)
            .or_else(|| short_date(text, hint))
            .or_else(|| day_and_month(text, hint))
            .or_else(|| month_and_day(text, hint))
            .or_else(|| clock(text, hint)),
        b'A'..=b'Z' => time::any(text, hint).or_else(|| half_day(text, hint)),
        _ => None,
    }
}

/// A time of day that ends its word: `10:00:00` and no address.
fn clock<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let cut = time::time_of_day(text, hint)?;
    (!cut.rest.starts_with([':', '.', '-'])).then_some(cut)
}

/// Whether a line may begin with a stamp, without reading it.
pub fn may_be_stamp(bytes: &[u8]) -> bool {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mark = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| matches!(byte, b'-' | b'/' | b'.' | b':' | b' '))
    };
    match bytes.first() {
        Some(b'0'..=b'9') => (digit(1) && (mark(2) || mark(4) || digit(5))) || mark(1),
        Some(first) => {
            first.is_ascii_uppercase() && bytes.get(2).is_some_and(u8::is_ascii_lowercase)
        }
        None => false,
    }
}

/// What follows an ISO stamp with seconds, fraction and zone, found without reading its numbers: for a
/// quick no of formats whose lines begin with one.
pub fn behind_iso(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let head: &[u8; 19] = bytes.first_chunk()?;
    if head[4] != b'-' || head[13] != b':' || head[16] != b':' || !head[0].is_ascii_digit() {
        return None;
    }
    let digits = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take(10)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut at = 19;
    if matches!(bytes.get(at), Some(b'.' | b','))
        && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    {
        at += 1 + digits(at + 1);
    }
    match bytes.get(at) {
        Some(b'Z') => at += 1,
        Some(b'+' | b'-') => {
            at += 1 + digits(at + 1);
            if bytes.get(at) == Some(&b':') {
                at += 1 + digits(at + 1);
            }
        }
        _ => {}
    }
    line.get(at..)
}

/// Whether a word in small letters stands behind an ISO stamp: neither a level in capitals nor a
/// bracket or a bar, nor a part of the stamp (`am`, `p.m.`). So most text does that no format reads.
pub fn prose_behind_iso(line: &str) -> bool {
    behind_iso(line).is_some_and(|rest| {
        matches!(
            rest.as_bytes(),
            [b' ', b'a'..=b'z', b'a'..=b'l' | b'n'..=b'z', ..]
        )
    })
}

fn two(bytes: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (
        bytes.get(at)?.wrapping_sub(b'0'),
        bytes.get(at + 1)?.wrapping_sub(b'0'),
    );
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// `10:00:00` with a fraction behind a dot or a comma, at `at`, and where it ends.
fn clock_at(bytes: &[u8], at: usize) -> Option<(u8, u8, u8, u32, usize)> {
    let (hour, minute, second) = (two(bytes, at)?, two(bytes, at + 3)?, two(bytes, at + 6)?);
    if bytes.get(at + 2) != Some(&b':') || bytes.get(at + 5) != Some(&b':') {
        return None;
    }
    let mut end = at + 8;
    let mut micros = 0;
    if matches!(bytes.get(end), Some(b'.' | b','))
        && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
    {
        let mut unit = 100_000;
        end += 1;
        while let Some(digit) = bytes.get(end).filter(|byte| byte.is_ascii_digit()) {
            micros += u32::from(digit - b'0') * unit;
            unit /= 10;
            end += 1;
        }
    }
    Some((hour, minute, second, micros, end))
}

fn cut_of(instant: Instant, text: &str, end: usize) -> Option<Cut<'_>> {
    Some(Cut {
        instant,
        rest: text.get(end..)?,
    })
}

/// `24/05/01 10:00:00` (Hadoop, Spark) and `240501 10:00:00` (Tornado): a year of two digits.
pub fn short_date<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let slashed = bytes.get(2) == Some(&b'/') && bytes.get(5) == Some(&b'/');
    let step = if slashed { 3 } else { 2 };
    let (year, month, day) = (two(bytes, 0)?, two(bytes, step)?, two(bytes, 2 * step)?);
    let at = 2 * step + 2;
    if bytes.get(at) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second, micros, end) = clock_at(bytes, at + 1)?;
    let civil = Civil {
        year: 2000 + i32::from(year),
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    civil
        .is_valid()
        .then(|| resolve(&civil, None, hint.zone))
        .and_then(|instant| cut_of(instant, text, end))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn month(name: &str) -> Option<u8> {
    MONTHS
        .iter()
        .position(|known| *known == name)
        .map(|at| at as u8 + 1)
}

/// `28 Apr 11:30:29.988`: Redis before version 5.
fn day_and_month<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    if bytes.get(2) != Some(&b' ') || bytes.get(6) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second, micros, end) = clock_at(bytes, 7)?;
    let civil = Civil {
        year: 2000,
        month: month(text.get(3..6)?)?,
        day: two(bytes, 0)?,
        hour,
        minute,
        second,
        micros,
    };
    cut_of(yearless(&civil, hint)?, text, end)
}

/// `05-01 10:00:00.123`: Android.
fn month_and_day<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(2), Some(b'-' | b'/')) || bytes.get(5) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second, micros, end) = clock_at(bytes, 6)?;
    let civil = Civil {
        year: 2000,
        month: two(bytes, 0)?,
        day: two(bytes, 3)?,
        hour,
        minute,
        second,
        micros,
    };
    cut_of(yearless(&civil, hint)?, text, end)
}

/// `Nov 20, 2024 10:00:00 AM` (`java.util.logging`): with a second comma in newer releases, and a
/// narrow space before the half of the day in the newest.
fn half_day<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let month = month(text.get(..3)?)?;
    let (day, rest) = text.get(3..)?.strip_prefix(' ')?.split_once(", ")?;
    let day: u8 = day.parse().ok()?;
    let year: i32 = rest.get(..4)?.parse().ok()?;
    let rest = rest.get(4..)?;
    let rest = rest.strip_prefix(',').unwrap_or(rest).strip_prefix(' ')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let hour: u8 = rest.get(..digits)?.parse().ok()?;
    let bytes = rest.as_bytes().get(digits..)?;
    let (minute, second) = (two(bytes, 1)?, two(bytes, 4)?);
    if bytes.first() != Some(&b':') || bytes.get(3) != Some(&b':') {
        return None;
    }
    let rest = rest.get(digits + 6..)?;
    let half = rest
        .strip_prefix(' ')
        .or_else(|| rest.strip_prefix('\u{202f}'))?;
    let afternoon = match half.get(..2)? {
        "AM" => false,
        "PM" => true,
        _ => return None,
    };
    if !(1..=12).contains(&hour) {
        return None;
    }
    let civil = Civil {
        year,
        month,
        day,
        hour: hour % 12 + if afternoon { 12 } else { 0 },
        minute,
        second,
        micros: 0,
    };
    civil.is_valid().then(|| Cut {
        instant: resolve(&civil, None, hint.zone),
        rest: half.get(2..).unwrap_or(""),
    })
}

/// `10:00AM`, `3:04PM`: the clock of Go's kitchen, with no day and no seconds.
pub fn half_day_clock<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (hour, rest) = text.split_once(':')?;
    let hour: u8 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let minute = two(rest.as_bytes(), 0)?;
    let afternoon = match rest.get(2..4)? {
        "AM" => false,
        "PM" => true,
        _ => return None,
    };
    let hour = hour % 12 + if afternoon { 12 } else { 0 };
    let clock = format!("{hour:02}:{minute:02}:00");
    let instant = time::time_of_day(&clock, hint)?.instant;
    Some(Cut {
        instant,
        rest: rest.get(4..)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::ANY_HINT;
    use super::*;

    #[test]
    fn spellings_of_headers() {
        for (text, at, rest) in [
            (
                "2024-05-01 10:00:00,123 x",
                "2024-05-01T10:00:00.123000Z",
                " x",
            ),
            (
                "24/05/01 10:00:00 WARN",
                "2024-05-01T10:00:00.000000Z",
                " WARN",
            ),
            (
                "240501 10:00:00 web:1",
                "2024-05-01T10:00:00.000000Z",
                " web:1",
            ),
            ("28 Oct 11:30:29.988 *", "2023-10-28T11:30:29.988000Z", " *"),
            ("11-01 10:00:00.5 1", "2023-11-01T10:00:00.500000Z", " 1"),
            (
                "Nov 20, 2024 12:00:02 PM c",
                "2024-11-20T12:00:02.000000Z",
                " c",
            ),
            (
                "Nov 20, 2024, 12:00:02\u{202f}AM c",
                "2024-11-20T00:00:02.000000Z",
                " c",
            ),
        ] {
            let cut = stamp(text, &ANY_HINT).unwrap();
            assert_eq!(
                (cut.instant.at.to_rfc3339().as_str(), cut.rest),
                (at, rest),
                "{text}"
            );
            assert!(may_be_stamp(text.as_bytes()), "{text}");
        }
        for text in [
            "12 apples",
            "Nov 20, 2024",
            "1.2.3.4 - -",
            "99/99/99 10:00:00",
            "10:00:00:00",
        ] {
            assert_eq!(stamp(text, &ANY_HINT), None, "{text}");
        }
    }
}
