//! The parts that stamps are made of: digits, clocks, fractions, offsets and zone names.
//!
//! Each reader takes bytes or text at its start and says how much it used; none allocates.

use chrono_tz::Tz;

use super::zone::zone_seconds;

/// How many bytes a name in brackets behind a stamp may have; the longest zone name has 32.
const ZONE_NAME_BYTES: usize = 40;

pub fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// A year of four digits.
pub fn year(bytes: &[u8]) -> Option<i32> {
    let &[a, b, c, d] = bytes else { return None };
    Some(i32::from(two(a, b)?) * 100 + i32::from(two(c, d)?))
}

/// How many digits stand at `at`; counts up to `most` and one more.
pub fn digits(bytes: &[u8], at: usize, most: usize) -> usize {
    bytes
        .iter()
        .skip(at)
        .take(most + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// The value of one or two digits at `at`, and where they end. `None` when there are more.
pub fn one_or_two(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match digits(bytes, at, 2) {
        1 => Some((bytes.get(at)? - b'0', at + 1)),
        2 => Some((two(*bytes.get(at)?, *bytes.get(at + 1)?)?, at + 2)),
        _ => None,
    }
}

/// An English month of three letters, the first a capital.
pub fn month(name: &[u8]) -> Option<u8> {
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

/// A day of the month at `at`: one or two digits, a space in front allowed; and where it ends.
pub fn day(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
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

/// `HH:MM:SS` in eight bytes; the ranges are the caller's.
pub fn clock(bytes: &[u8]) -> Option<(u8, u8, u8)> {
    let bytes: &[u8; 8] = bytes.first_chunk()?;
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    Some((
        two(bytes[0], bytes[1])?,
        two(bytes[3], bytes[4])?,
        two(bytes[6], bytes[7])?,
    ))
}

/// A dot or a comma with digits, as microseconds (further digits cut off), and how many bytes.
/// A colon counts only before exactly three or six digits that end there: behind it there may
/// be a port, an address or a number of its own.
pub fn fraction(bytes: &[u8]) -> (u32, usize) {
    match bytes.first() {
        Some(b'.' | b',') => {}
        Some(b':') if colon_fraction(bytes) => {}
        _ => return (0, 0),
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

#[cold]
fn colon_fraction(bytes: &[u8]) -> bool {
    let count = digits(bytes, 1, 6);
    matches!(count, 3 | 6)
        && bytes.get(1 + count).is_none_or(|next| {
            matches!(
                next,
                b' ' | b'\t' | b']' | b')' | b'|' | b';' | b'"' | b'>' | b'Z' | b'+' | b'-'
            )
        })
}

/// A time of day as people and programs write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
    /// The seconds were written.
    pub seconds: bool,
    /// AM or PM was written.
    pub half: bool,
    /// The parts stand apart by dots.
    pub dotted: bool,
    pub used: usize,
}

/// `8:00`, `08:00:00.123`, `08.00.00`, `11:46:59 AM`, `1:02:03PM`, `080000`, in its ranges.
pub fn clock_any(bytes: &[u8]) -> Option<Clock> {
    let (hour, minute, second, mut used, seconds, dotted) = match digits(bytes, 0, 6) {
        count @ (1 | 2) => {
            let hour = if count == 1 {
                bytes.first()? - b'0'
            } else {
                two(*bytes.first()?, *bytes.get(1)?)?
            };
            let sep = *bytes.get(count)?;
            if !matches!(sep, b':' | b'.') {
                return None;
            }
            let minute = two(*bytes.get(count + 1)?, *bytes.get(count + 2)?)?;
            let after = bytes.get(count + 3).copied();
            if after == Some(sep) && bytes.get(count + 4).is_some_and(u8::is_ascii_digit) {
                let second = two(*bytes.get(count + 4)?, *bytes.get(count + 5)?)?;
                // `2024-05-01 10.20.30.40` has an address behind the date.
                if sep == b'.'
                    && bytes.get(count + 6) == Some(&b'.')
                    && digits(bytes, count + 7, 3) <= 3
                {
                    return None;
                }
                (hour, minute, second, count + 6, true, sep == b'.')
            } else if sep == b':' && after.is_none_or(|byte| !byte.is_ascii_digit() && byte != b':')
            {
                (hour, minute, 0, count + 3, false, false)
            } else {
                return None;
            }
        }
        6 => (
            two(*bytes.first()?, *bytes.get(1)?)?,
            two(*bytes.get(2)?, *bytes.get(3)?)?,
            two(*bytes.get(4)?, *bytes.get(5)?)?,
            6,
            true,
            false,
        ),
        _ => return None,
    };
    let mut micros = 0;
    if seconds {
        let (parts, length) = fraction(bytes.get(used..)?);
        (micros, used) = (parts, used + length);
    }
    if bytes.get(used).is_some_and(u8::is_ascii_digit) || minute > 59 || second > 60 {
        return None;
    }
    let half = half(bytes.get(used..)?);
    let hour = match half {
        Some((afternoon, length)) => {
            used += length;
            in_day(hour, afternoon)
        }
        None => hour,
    };
    if hour > 23 {
        return None;
    }
    Some(Clock {
        hour,
        minute,
        second,
        micros,
        seconds,
        half: half.is_some(),
        dotted,
        used,
    })
}

/// The hour of the day: 12 AM is midnight, 12 PM noon. An hour beyond 12 needs no half.
pub const fn in_day(hour: u8, afternoon: bool) -> u8 {
    match (hour, afternoon) {
        (12, false) => 0,
        (0..=11, true) => hour + 12,
        _ => hour,
    }
}

/// AM or PM behind a clock, after at most one blank (also a narrow one that does not break, which
/// Java prints): whether it is the afternoon, and how many bytes.
pub fn half(bytes: &[u8]) -> Option<(bool, usize)> {
    let blank = match bytes {
        [b' ', ..] => 1,
        [0xc2, 0xa0, ..] => 2,
        [0xe2, 0x80, 0xaf, ..] => 3,
        _ => 0,
    };
    let word = bytes.get(blank..)?;
    let (afternoon, length) = match *word.first()? | 0x20 {
        b'a' | b'p' => {
            let afternoon = word[0] | 0x20 == b'p';
            let rest = word.get(1..)?;
            let lower = |at: usize| rest.get(at).map_or(0, |byte| byte | 0x20);
            // `|0x20` keeps a dot and a blank as they are.
            match (lower(0), lower(1), lower(2), lower(3)) {
                (b'm', ..) => (afternoon, 2),
                (b'.', b'm', b'.', _) => (afternoon, 4),
                (b'.', b' ', b'm', b'.') => (afternoon, 5),
                _ => return None,
            }
        }
        b'v' if prefix(word, b"vorm.") => (false, 5),
        b'n' if prefix(word, b"nachm.") => (true, 6),
        _ => return None,
    };
    let used = blank + length;
    bytes
        .get(used)
        .is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'_')
        .then_some((afternoon, used))
}

fn prefix(bytes: &[u8], word: &[u8]) -> bool {
    bytes
        .get(..word.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// What a stamp says about its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Offset(i32),
    Named(Tz),
}

/// `+0100`, `-01:00`, `+01` at the start, in seconds.
pub fn offset(text: &str) -> Option<(i32, &str)> {
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
        (Some(&tens), Some(&ones), _) => {
            two(tens, ones).map_or((0, 3), |minutes| (i32::from(minutes), 5))
        }
        _ => (0, 3),
    };
    (hours <= 18 && minutes < 60).then(|| (sign * (hours * 3_600 + minutes * 60), &text[used..]))
}

/// `Z`, or an offset, also after a space; the text as it was when there is none.
pub fn offset_or_z(text: &str) -> (Option<i32>, &str) {
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

/// The zone behind a stamp in any spelling, with what says it twice; the text as it was when there
/// is none: `Z`, `+0100`, ` +01:00`, ` CEST`, ` Europe/Berlin`, ` GMT+0200 (CEST)`,
/// `+02:00[Europe/Berlin]` (Java), ` +0200 CEST m=+0.01` (Go).
pub fn zone_tail(text: &str) -> (Option<Zone>, &str) {
    let bytes = text.as_bytes();
    let found = match bytes.first() {
        Some(b'Z' | b'z') if !word_at(bytes, 1) => {
            text.get(1..).map(|rest| (Zone::Offset(0), rest))
        }
        Some(b'+' | b'-') => offset(text)
            .filter(|(_, rest)| !rest.starts_with(|next: char| next.is_ascii_digit()))
            .map(|(seconds, rest)| (Zone::Offset(seconds), rest)),
        Some(b' ') => text.get(1..).and_then(apart),
        Some(b'[') => bracketed(text),
        Some(byte) if byte.is_ascii_uppercase() => named(text),
        _ => None,
    };
    match found {
        Some((zone, rest)) if matches!(rest.as_bytes().first(), Some(b' ' | b'[')) => {
            (Some(zone), said_twice(rest))
        }
        Some((zone, rest)) => (Some(zone), rest),
        None => (None, text),
    }
}

/// A zone that stood behind a blank.
fn apart(bare: &str) -> Option<(Zone, &str)> {
    match bare.as_bytes().first()? {
        b'+' | b'-' => {
            let (seconds, rest) = offset(bare)?;
            let next = rest.as_bytes().first();
            // Two digits may be a number of the text, unless something closes them.
            let whole = if bare.len() - rest.len() >= 5 {
                next.is_none_or(|byte| !byte.is_ascii_alphanumeric())
            } else {
                next.is_none_or(|byte| {
                    matches!(byte, b',' | b';' | b':' | b']' | b')' | b'"' | b'|')
                })
            };
            whole.then_some((Zone::Offset(seconds), rest))
        }
        byte if byte.is_ascii_alphabetic() => named(bare),
        _ => None,
    }
}

/// `CEST`, `Europe/Berlin`, `GMT+0200`, `UTC+2`.
fn named(text: &str) -> Option<(Zone, &str)> {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .take(ZONE_NAME_BYTES)
        .position(|byte| !(byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_')))
        .unwrap_or(bytes.len().min(ZONE_NAME_BYTES));
    let (name, rest) = text.split_at_checked(end)?;
    // Abbreviations have up to four letters: most words behind a stamp are none.
    if name.len() > 4 && !name.contains('/') {
        return None;
    }
    if matches!(name, "GMT" | "UTC")
        && let Some((seconds, rest)) = hours_off(rest)
    {
        return Some((Zone::Offset(seconds), rest));
    }
    if word_at(rest.as_bytes(), 0) || rest.starts_with('-') {
        return None;
    }
    zone_name(name).map(|zone| (zone, rest))
}

/// A zone name as a whole: an abbreviation that logs use, or `Area/City`.
fn zone_name(name: &str) -> Option<Zone> {
    match zone_seconds(name) {
        Some(seconds) => Some(Zone::Offset(seconds)),
        None if name.contains('/') => name.parse().ok().map(Zone::Named),
        None => None,
    }
}

/// `+2`, `+02`, `+0200`, `+02:00` behind GMT or UTC.
fn hours_off(text: &str) -> Option<(i32, &str)> {
    if let Some(found) = offset(text) {
        return Some(found);
    }
    let &[sign @ (b'+' | b'-'), hours @ b'0'..=b'9', ..] = text.as_bytes() else {
        return None;
    };
    let seconds = i32::from(hours - b'0') * 3_600;
    Some((
        if sign == b'-' { -seconds } else { seconds },
        text.get(2..)?,
    ))
}

/// `[Europe/Berlin]`, `[UTC]`.
fn bracketed(text: &str) -> Option<(Zone, &str)> {
    let inside = text.strip_prefix('[')?;
    let end = inside
        .bytes()
        .take(ZONE_NAME_BYTES)
        .position(|byte| byte == b']')?;
    let zone = zone_name(inside.get(..end)?)?;
    Some((zone, inside.get(end + 1..)?))
}

/// Cuts off what repeats a zone that is known already.
fn said_twice(text: &str) -> &str {
    let mut rest = text;
    if let Some((_, after)) = bracketed(rest) {
        return after;
    }
    if let Some(bare) = rest.strip_prefix(' ') {
        if let Some(inside) = bare.strip_prefix('(') {
            // JavaScript and e-mail: the name in round brackets, in the words of the reader.
            let end = inside
                .bytes()
                .take(2 * ZONE_NAME_BYTES)
                .position(|byte| byte == b')');
            if let Some(end) = end
                && let Some((name, after)) = inside.split_at_checked(end)
                && is_zone_words(name)
            {
                rest = after.get(1..).unwrap_or("");
            }
        } else if bare.starts_with(|first: char| first.is_ascii_uppercase()) {
            if let Some((Zone::Offset(_), after)) = named(bare) {
                rest = after;
            }
        } else if let Some((_, after)) = offset(bare)
            // Go prints the offset again where a zone has no name: `+0300 +03`.
            && bare.len() - after.len() == 3
            && !word_at(after.as_bytes(), 0)
        {
            rest = after;
        }
    }
    // Go's reading of the monotonic clock: seconds since the start of the process.
    if let Some(number) = rest
        .strip_prefix(" m=+")
        .or_else(|| rest.strip_prefix(" m=-"))
    {
        let end = number
            .bytes()
            .position(|byte| !(byte.is_ascii_digit() || byte == b'.'));
        rest = end.map_or("", |end| number.get(end..).unwrap_or(""));
    }
    rest
}

/// `CEST`, `Central European Summer Time`, `Mitteleuropäische Sommerzeit`.
fn is_zone_words(words: &str) -> bool {
    let letters = words
        .chars()
        .all(|next| next.is_alphabetic() || matches!(next, ' ' | '-' | '\''));
    let lower = |suffix: &str| words.to_ascii_lowercase().ends_with(suffix);
    letters
        && (zone_seconds(words).is_some()
            || words.contains(' ') && (lower("time") || lower("zeit") || starts_as_zone(words)))
}

/// Names that begin with their kind: `heure d’été …`, `hora de verano …`, `ora legale …`.
fn starts_as_zone(words: &str) -> bool {
    ["heure ", "hora ", "ora ", "Horário "]
        .iter()
        .any(|word| words.starts_with(word))
}

fn word_at(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
