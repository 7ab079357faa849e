//! The cutters, one for each spelling.

use crate::domain::time::Timestamp;

use super::super::{SourceZone, TimeHint};
use super::Cut;
use super::calendar::Civil;
use super::zone::{Instant, resolve, yearless, zone_seconds};

/// `22/Nov/2026:02:21:09 +0000`, as access logs have it between brackets. The offset may be
/// missing.
pub fn clf<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let head: &[u8; 20] = bytes.first_chunk()?;
    if head[2] != b'/' || head[6] != b'/' || head[11] != b':' {
        return None;
    }
    let civil = Civil {
        year: year(&head[7..11])?,
        month: month(&head[3..6])?,
        day: two(head[0], head[1])?,
        hour: two(head[12], head[13])?,
        minute: two(head[15], head[16])?,
        second: two(head[18], head[19])?,
        micros: 0,
    };
    if head[14] != b':' || head[17] != b':' || !civil.is_valid() {
        return None;
    }
    let (micros, used) = fraction(&bytes[20..]);
    let rest = &text[20 + used..];
    let civil = Civil { micros, ..civil };
    let (offset, rest) = match rest.strip_prefix(' ').and_then(offset) {
        Some((offset, rest)) => (Some(offset), rest),
        None => (None, rest),
    };
    Some(Cut { instant: resolve(&civil, offset, hint.zone), rest })
}

/// `2026-11-22T02:21:09.123456789Z`: `T` or a space, a fraction after a dot or a comma, `Z`, an
/// offset (`+01`, `+0100`, `+01:00`, also after a space) or nothing.
pub fn iso<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'-')?;
    let (offset, rest) = offset_or_z(rest);
    Some(Cut { instant: resolve(&civil, offset, hint.zone), rest })
}

/// [`iso`] with a zone name after a space where it has one: `2026-11-22 02:21:09.123 CET`.
/// An unknown name is left in the rest, and the source's zone taken.
pub fn iso_named<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'-')?;
    let (found, after) = offset_or_z(rest);
    if found.is_some() {
        return Some(Cut { instant: resolve(&civil, found, hint.zone), rest: after });
    }
    let named = rest.strip_prefix(' ').and_then(|after| {
        let end = after.find(|c: char| !(c.is_ascii_alphabetic() || c == '/')).unwrap_or(after.len());
        Some((zone_seconds(&after[..end])?, &after[end..]))
    });
    let (offset, rest) = named.map_or((None, rest), |(offset, rest)| (Some(offset), rest));
    Some(Cut { instant: resolve(&civil, offset, hint.zone), rest })
}

/// `2026/11/22 02:21:09`, with a fraction where it has one.
pub fn slashed<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'/')?;
    let (offset, rest) = offset_or_z(rest);
    Some(Cut { instant: resolve(&civil, offset, hint.zone), rest })
}

/// `Nov 22 02:21:09`, `Nov  2 02:21:09`, `Nov 2 02:21:09`, with a fraction where it has one; the
/// year is the nearest to the reference. Cisco's year (`Nov 22 2026 02:21:09`) is read too.
pub fn syslog<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let month = month(bytes.get(..3)?)?;
    if bytes.get(3) != Some(&b' ') {
        return None;
    }
    let (day, mut at) = day(bytes, 4)?;
    if bytes.get(at) != Some(&b' ') {
        return None;
    }
    at += 1;
    let year = bytes.get(at..at + 5).filter(|head| head[4] == b' ').and_then(|head| year(&head[..4]));
    if year.is_some() {
        at += 5;
    }
    let (hour, minute, second) = clock(bytes.get(at..at + 8)?)?;
    let (micros, used) = fraction(&bytes[at + 8..]);
    let civil = Civil { year: year.unwrap_or(2000), month, day, hour, minute, second, micros };
    if !civil.is_valid() {
        return None;
    }
    let instant = match year {
        Some(_) => resolve(&civil, None, hint.zone),
        None => yearless(&civil, hint)?,
    };
    Some(Cut { instant, rest: text.get(at + 8 + used..)? })
}

/// `Fri Nov 22 02:21:09.123456 2026`, as `ctime` and Apache's error log have it.
pub fn ctime<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    if bytes.get(3) != Some(&b' ')
        || bytes.get(7) != Some(&b' ')
        || !bytes.get(..3)?.iter().all(u8::is_ascii_alphabetic)
    {
        return None;
    }
    let month = month(bytes.get(4..7)?)?;
    let (day, at) = day(bytes, 8)?;
    if bytes.get(at) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second) = clock(bytes.get(at + 1..at + 9)?)?;
    let (micros, used) = fraction(&bytes[at + 9..]);
    let at = at + 9 + used;
    // A zone name may stand before the year, as `date` prints it.
    let mut rest = text.get(at..)?.strip_prefix(' ')?;
    let mut offset = None;
    if let Some((name, after)) = rest.split_once(' ')
        && let Some(seconds) = zone_seconds(name)
    {
        (offset, rest) = (Some(seconds), after);
    }
    let civil = Civil { year: year(rest.as_bytes().get(..4)?)?, month, day, hour, minute, second, micros };
    civil.is_valid().then(|| Cut { instant: resolve(&civil, offset, hint.zone), rest: &rest[4..] })
}

/// `22 Nov 2026 02:21:09.123`, with a weekday and a comma before it and a zone after it where it
/// has them (redis, e-mail).
pub fn day_first<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let text = match text.as_bytes().get(3) {
        Some(b',') => text.get(4..)?.trim_start(),
        _ => text,
    };
    let bytes = text.as_bytes();
    let (day, at) = day(bytes, 0)?;
    if !matches!(bytes.get(at), Some(b' ' | b'-')) || !matches!(bytes.get(at + 4), Some(b' ' | b'-')) {
        return None;
    }
    let month = month(bytes.get(at + 1..at + 4)?)?;
    let year = year(bytes.get(at + 5..at + 9)?)?;
    if bytes.get(at + 9) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second) = clock(bytes.get(at + 10..at + 18)?)?;
    let (micros, used) = fraction(&bytes[at + 18..]);
    let rest = text.get(at + 18 + used..)?;
    let civil = Civil { year, month, day, hour, minute, second, micros };
    if !civil.is_valid() {
        return None;
    }
    let (mut offset, mut rest) = offset_or_z(rest);
    if let Some(name) = rest
        .strip_prefix(' ')
        .map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len())])
        && let Some(seconds) = zone_seconds(name)
        && offset.is_none()
    {
        (offset, rest) = (Some(seconds), &rest[1 + name.len()..]);
    }
    Some(Cut { instant: resolve(&civil, offset, hint.zone), rest })
}

/// `20210131 14:48:54.411655` (glog), or without the year, `0131 14:48:54.411655` (klog).
pub fn packed<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let year = match digits {
        8 => Some(year(&bytes[..4])?),
        4 => None,
        _ => return None,
    };
    if bytes.get(digits) != Some(&b' ') {
        return None;
    }
    let date = &bytes[digits - 4..digits];
    let (month, day) = (two(date[0], date[1])?, two(date[2], date[3])?);
    let (hour, minute, second) = clock(bytes.get(digits + 1..digits + 9)?)?;
    let (micros, used) = fraction(&bytes[digits + 9..]);
    let civil = Civil { year: year.unwrap_or(2000), month, day, hour, minute, second, micros };
    if !civil.is_valid() {
        return None;
    }
    let instant = match year {
        Some(_) => resolve(&civil, None, hint.zone),
        None => yearless(&civil, hint)?,
    };
    Some(Cut { instant, rest: &text[digits + 9 + used..] })
}

/// A number since 1970, in seconds (also with decimals), milliseconds, microseconds or
/// nanoseconds: told apart by its size. Years before 1973 and after 5138 are not read.
pub fn epoch<'a>(text: &'a str, _hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(9..=19).contains(&digits) {
        return None;
    }
    let whole: i64 = text[..digits].parse().ok()?;
    let (micros, used) = fraction(&bytes[digits..]);
    let at = epoch_whole(whole)?;
    // Decimals count where whole numbers are seconds or milliseconds.
    let extra = match digits {
        ..=11 => i64::from(micros),
        12..=14 => i64::from(micros) / 1_000,
        _ => 0,
    };
    let instant = Instant::exact(Timestamp::from_micros(at.micros().saturating_add(extra)));
    Some(Cut { instant, rest: &text[digits + used..] })
}

/// [`epoch`] for a number that is one already.
pub fn epoch_number(number: f64) -> Option<Timestamp> {
    if !(1e8..=9.2e18).contains(&number) {
        return None;
    }
    if number < 1e11 {
        return Some(Timestamp::from_micros((number * 1e6).round() as i64));
    }
    if number < 1e14 {
        return Some(Timestamp::from_micros((number * 1e3).round() as i64));
    }
    epoch_whole(number as i64)
}

fn epoch_whole(whole: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(match whole {
        100_000_000..100_000_000_000 => whole * 1_000_000,
        100_000_000_000..100_000_000_000_000 => whole * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => whole,
        100_000_000_000_000_000.. => whole / 1_000,
        _ => return None,
    }))
}

/// `02:21:09`, with a fraction where it has one: the latest such instant up to the reference.
pub fn time_of_day<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    const DAY: i64 = 86_400_000_000;
    let bytes = text.as_bytes();
    let (hour, minute, second) = clock(bytes.get(..8)?)?;
    let (micros, used) = fraction(&bytes[8..]);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let offset = match hint.zone {
        SourceZone::Utc => 0,
        SourceZone::Fixed(offset) => offset.local_minus_utc(),
        SourceZone::Local => offset_at(&chrono::Local, hint.reference),
        SourceZone::Named(zone) => offset_at(&zone, hint.reference),
    };
    let of_day = (seconds - i64::from(offset)) * 1_000_000 + i64::from(micros);
    let back = (hint.reference.micros() - of_day).rem_euclid(DAY);
    let at = Timestamp::from_micros(hint.reference.micros() - back);
    Some(Cut { instant: Instant { day_missing: true, ..Instant::exact(at) }, rest: &text[8 + used..] })
}

fn offset_at<Zone: chrono::TimeZone>(zone: &Zone, at: Timestamp) -> i32 {
    use chrono::Offset as _;
    zone.offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc()
}

/// Any spelling of this module that has a day, at the start of the text.
pub fn any<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    match *bytes.first()? {
        b'0'..=b'9' => match (bytes.get(2), bytes.get(4)) {
            (Some(b'/'), _) => clf(text, hint),
            (_, Some(b'-')) => iso_named(text, hint),
            (_, Some(b'/')) => slashed(text, hint),
            (Some(b' ' | b'-'), _) | (_, Some(b' ')) => day_first(text, hint),
            _ => epoch(text, hint),
        },
        b'A'..=b'Z' => ctime(text, hint).or_else(|| syslog(text, hint)).or_else(|| day_first(text, hint)),
        _ => None,
    }
}

/// Date, separator, time and fraction, with `sep` inside the date.
fn date_time(text: &str, sep: u8) -> Option<(Civil, &str)> {
    let bytes = text.as_bytes();
    let head: &[u8; 19] = bytes.first_chunk()?;
    if head[4] != sep
        || head[7] != sep
        || !matches!(head[10], b'T' | b' ' | b't')
        || head[13] != b':'
        || head[16] != b':'
    {
        return None;
    }
    let (micros, used) = fraction(&bytes[19..]);
    let civil = Civil {
        year: year(&head[..4])?,
        month: two(head[5], head[6])?,
        day: two(head[8], head[9])?,
        hour: two(head[11], head[12])?,
        minute: two(head[14], head[15])?,
        second: two(head[17], head[18])?,
        micros,
    };
    civil.is_valid().then(|| (civil, &text[19 + used..]))
}

/// `Z`, or an offset, also after a space; the text as it was when there is none.
fn offset_or_z(text: &str) -> (Option<i32>, &str) {
    if let Some(rest) = text.strip_prefix('Z') {
        return (Some(0), rest);
    }
    let bare = text.strip_prefix(' ').unwrap_or(text);
    // After a space `-0` or `- text` begins something else; ask for four digits.
    match offset(bare) {
        Some((seconds, rest)) if bare.len() == text.len() || bare.len() - rest.len() >= 5 => {
            (Some(seconds), rest)
        }
        _ => (None, text),
    }
}

/// `+0100`, `-01:00`, `+01` at the start, in seconds.
fn offset(text: &str) -> Option<(i32, &str)> {
    let bytes = text.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = i32::from(two(*bytes.get(1)?, *bytes.get(2)?)?);
    let (minutes, used) = match (bytes.get(3), bytes.get(4), bytes.get(5)) {
        (Some(b':'), Some(&tens), Some(&ones)) => {
            two(tens, ones).map_or((0, 3), |minutes| (i32::from(minutes), 6))
        }
        (Some(&tens), Some(&ones), _) => two(tens, ones).map_or((0, 3), |minutes| (i32::from(minutes), 5)),
        _ => (0, 3),
    };
    (hours <= 18 && minutes < 60).then(|| (sign * (hours * 3_600 + minutes * 60), &text[used..]))
}

/// A dot or a comma with digits, as microseconds (further digits cut off), and how many bytes.
fn fraction(bytes: &[u8]) -> (u32, usize) {
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return (0, 0);
    }
    let mut micros = 0;
    let mut digits = 0_usize;
    for &byte in &bytes[1..] {
        if !byte.is_ascii_digit() {
            break;
        }
        if digits < 6 {
            micros = micros * 10 + u32::from(byte - b'0');
        }
        digits += 1;
    }
    if digits == 0 {
        return (0, 0);
    }
    for _ in digits..6 {
        micros *= 10;
    }
    (micros, digits + 1)
}

/// `HH:MM:SS` in eight bytes; the ranges are the caller's.
fn clock(bytes: &[u8]) -> Option<(u8, u8, u8)> {
    let bytes: &[u8; 8] = bytes.first_chunk()?;
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    Some((two(bytes[0], bytes[1])?, two(bytes[3], bytes[4])?, two(bytes[6], bytes[7])?))
}

/// A day of the month at `at`: one or two digits, a space in front allowed; and where it ends.
fn day(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let first = *bytes.get(at)?;
    let second = *bytes.get(at + 1)?;
    match (first, second) {
        (b' ', ones) if ones.is_ascii_digit() => Some((ones - b'0', at + 2)),
        (tens, ones) if tens.is_ascii_digit() && ones.is_ascii_digit() => {
            two(tens, ones).map(|day| (day, at + 2))
        }
        (ones, _) if ones.is_ascii_digit() => Some((ones - b'0', at + 1)),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

fn year(bytes: &[u8]) -> Option<i32> {
    let &[a, b, c, d] = bytes else { return None };
    Some(i32::from(two(a, b)?) * 100 + i32::from(two(c, d)?))
}

fn month(name: &[u8]) -> Option<u8> {
    let &[a, b, c] = name else { return None };
    Some(match [a, b | 0x20, c | 0x20] {
        [b'J', b'a', b'n'] => 1,
        [b'F', b'e', b'b'] => 2,
        [b'M', b'a', b'r'] => 3,
        [b'A', b'p', b'r'] => 4,
        [b'M', b'a', b'y'] => 5,
        [b'J', b'u', b'n'] => 6,
        [b'J', b'u', b'l'] => 7,
        [b'A', b'u', b'g'] => 8,
        [b'S', b'e', b'p'] => 9,
        [b'O', b'c', b't'] => 10,
        [b'N', b'o', b'v'] => 11,
        [b'D', b'e', b'c'] => 12,
        _ => return None,
    })
}
