//! The cutters of the spellings that most lines use, one for each, by fixed positions.
//! The many others are in [`numeric`](super::numeric) and [`worded`](super::worded).

use atalaya_domain::time::Timestamp;

use super::super::TimeHint;
use super::Cut;
use super::calendar::Civil;
use super::parts::{self, clock, day, fraction, month, offset, offset_or_z, two, year};
use super::zone::{Instant, offset_at, resolve, yearless, zone_seconds};

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
    Some(Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest,
    })
}

/// `2026-11-22T02:21:09.123456789Z`: `T` or a space, a fraction after a dot or a comma, `Z`, an
/// offset (`+01`, `+0100`, `+01:00`, also after a space) or nothing.
pub fn iso<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'-')?;
    let (offset, rest) = offset_or_z(rest);
    Some(Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest,
    })
}

/// [`iso`] with a zone name after a space where it has one: `2026-11-22 02:21:09.123 CET`.
/// An unknown name is left in the rest, and the source's zone taken.
pub fn iso_named<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'-')?;
    let (found, after) = offset_or_z(rest);
    if found.is_some() {
        return Some(Cut {
            instant: resolve(&civil, found, hint.zone),
            rest: after,
        });
    }
    let named = rest.strip_prefix(' ').and_then(|after| {
        let end = after
            .find(|c: char| !(c.is_ascii_alphabetic() || c == '/'))
            .unwrap_or(after.len());
        Some((zone_seconds(&after[..end])?, &after[end..]))
    });
    let (offset, rest) = named.map_or((None, rest), |(offset, rest)| (Some(offset), rest));
    Some(Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest,
    })
}

/// `2026/11/22 02:21:09`, with a fraction where it has one.
pub fn slashed<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let (civil, rest) = date_time(text, b'/')?;
    let (offset, rest) = offset_or_z(rest);
    Some(Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest,
    })
}

/// `Nov 22 02:21:09`, `Nov  2 02:21:09`, `Nov 2 02:21:09`, with a fraction where it has one; the
/// year is the latest that the reference allows. Cisco's year (`Nov 22 2026 02:21:09`) is read too.
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
    let year = bytes
        .get(at..at + 5)
        .filter(|head| head[4] == b' ')
        .and_then(|head| year(&head[..4]));
    if year.is_some() {
        at += 5;
    }
    let (hour, minute, second) = clock(bytes.get(at..at + 8)?)?;
    let (micros, used) = fraction(&bytes[at + 8..]);
    let civil = Civil {
        year: year.unwrap_or(2000),
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    if !civil.is_valid() {
        return None;
    }
    let instant = match year {
        Some(_) => resolve(&civil, None, hint.zone),
        None => yearless(&civil, hint)?,
    };
    Some(Cut {
        instant,
        rest: text.get(at + 8 + used..)?,
    })
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
    let civil = Civil {
        year: year(rest.as_bytes().get(..4)?)?,
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    civil.is_valid().then(|| Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest: &rest[4..],
    })
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
    if !matches!(bytes.get(at), Some(b' ' | b'-'))
        || !matches!(bytes.get(at + 4), Some(b' ' | b'-'))
    {
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
    let civil = Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    if !civil.is_valid() {
        return None;
    }
    let (mut offset, mut rest) = offset_or_z(rest);
    if let Some(name) = rest.strip_prefix(' ').map(|rest| {
        &rest[..rest
            .find(|c: char| !c.is_ascii_uppercase())
            .unwrap_or(rest.len())]
    }) && let Some(seconds) = zone_seconds(name)
        && offset.is_none()
    {
        (offset, rest) = (Some(seconds), &rest[1 + name.len()..]);
    }
    Some(Cut {
        instant: resolve(&civil, offset, hint.zone),
        rest,
    })
}

/// `20210131 14:48:54.411655` (glog), or without the year, `0131 14:48:54.411655` (klog).
pub fn packed<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
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
    let civil = Civil {
        year: year.unwrap_or(2000),
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    if !civil.is_valid() {
        return None;
    }
    let instant = match year {
        Some(_) => resolve(&civil, None, hint.zone),
        None => yearless(&civil, hint)?,
    };
    Some(Cut {
        instant,
        rest: &text[digits + 9 + used..],
    })
}

/// `02:21:09`, with a fraction where it has one: the latest such instant up to the reference.
pub fn time_of_day<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let (hour, minute, second) = clock(bytes.get(..8)?)?;
    let (micros, used) = fraction(&bytes[8..]);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let instant = of_day(seconds * 1_000_000 + i64::from(micros), hint);
    Some(Cut {
        instant,
        rest: &text[8 + used..],
    })
}

/// `9:19:23 PM`, `1:02:03.250 am`: a time of day whose half the stamp says. As [`time_of_day`].
pub fn time_of_half_day<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let clock = parts::clock_any(text.as_bytes()).filter(|clock| clock.half && clock.seconds)?;
    let seconds =
        i64::from(clock.hour) * 3_600 + i64::from(clock.minute) * 60 + i64::from(clock.second);
    let instant = of_day(seconds * 1_000_000 + i64::from(clock.micros), hint);
    Some(Cut {
        instant,
        rest: text.get(clock.used..)?,
    })
}

/// The latest instant up to the reference at which the source's clock shows this, in microseconds
/// since its midnight.
fn of_day(local: i64, hint: &TimeHint) -> Instant {
    const DAY: i64 = 86_400_000_000;
    let of_day = local - i64::from(offset_at(hint)) * 1_000_000;
    let back = hint.reference.micros().wrapping_sub(of_day).rem_euclid(DAY);
    let at = Timestamp::from_micros(hint.reference.micros().saturating_sub(back));
    Instant {
        day_missing: true,
        zoned: false,
        ..Instant::exact(at)
    }
}

/// Date, separator, time and fraction, with `sep` inside the date.
pub(super) fn date_time(text: &str, sep: u8) -> Option<(Civil, &str)> {
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
