//! Stamps that are numbers throughout, in their many orders: the date with slashes, dots, dashes
//! or none at all, the clock with or without seconds, AM or PM, and any zone behind it.

use super::super::TimeHint;
use super::calendar::{Civil, year_of_days};
use super::cut::{clf, day_first, time_of_day};
use super::parts::{Clock, Zone, clock_any, digits, one_or_two, two, year, zone_tail};
use super::zone::{Instant, resolve_in, yearless_in};
use super::{Cut, epoch, worded};

/// Words behind a stamp in the pattern `yy/MM/dd HH:mm:ss`, which Hadoop and Spark print.
const YEAR_FIRST_LEVELS: [&str; 6] = [
    " INFO ", " WARN ", " ERROR ", " DEBUG ", " FATAL ", " TRACE ",
];

/// A stamp that begins with a digit, in any spelling but the one that
/// [`any`](super::any) has tried before.
pub fn numeric<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let count = digits(bytes, 0, 19);
    let next = bytes.get(count).copied().unwrap_or(0);
    match (count, next) {
        (1 | 2, b'/') if bytes.get(count + 1).is_some_and(u8::is_ascii_digit) => {
            slashes(text, hint)
        }
        (2, b'/') => clf(text, hint).or_else(|| worded::day_first(text, hint)),
        (1 | 2, b'.') if bytes.get(count + 1).is_some_and(u8::is_ascii_digit) => dots(text, hint),
        (1 | 2, b'-') if bytes.get(count + 1).is_some_and(u8::is_ascii_digit) => dashes(text, hint),
        (2, b' ' | b'-') => day_first(text, hint)
            .filter(|cut| worded::ends(cut.rest))
            .or_else(|| worded::day_first(text, hint)),
        (1 | 2, letter)
            if matches!(letter, b' ' | b'-' | b'.' | b'/') || letter.is_ascii_alphabetic() =>
        {
            worded::day_first(text, hint)
        }
        (4, b'-' | b'/' | b'.' | b':' | b' ') => year_first(text, hint),
        (4, letter) if letter.is_ascii_alphabetic() => worded::year_first(text, hint),
        (6, b' ') => six(text, hint),
        (8, _) => compact(text, hint),
        (14 | 17, _) => run(text, hint).or_else(|| epoch::epoch(text, hint)),
        (9..=19, _) => epoch::epoch(text, hint),
        _ => None,
    }
}

/// What stands behind a date: a clock, and perhaps a zone.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub clock: Clock,
    pub zone: Option<Zone>,
    pub rest: &'a str,
}

impl<'a> Reading<'a> {
    /// Reads what follows a date, the separator between them included.
    pub fn behind_date(text: &'a str) -> Option<Self> {
        let gap = gap(text.as_bytes())?;
        Self::new(text.get(gap..)?)
    }

    /// Reads a clock at the start, and the zone behind it.
    pub fn new(text: &'a str) -> Option<Self> {
        let clock = clock_any(text.as_bytes())?;
        let rest = text.get(clock.used..)?;
        if clock.dotted
            && let Some((minutes, rest)) = minutes_off(rest)
        {
            return Some(Self {
                clock,
                zone: Some(Zone::Offset(minutes * 60)),
                rest,
            });
        }
        let (zone, rest) = zone_tail(rest);
        // A clock that goes on is none: `08:00:00:1`, `08:00:00x`.
        if zone.is_none() && goes_on(rest.as_bytes()) {
            return None;
        }
        Some(Self { clock, zone, rest })
    }

    /// The reading on this day, where there is such a day.
    pub fn on(&self, year: i32, month: u8, day: u8) -> Option<Civil> {
        let Clock {
            hour,
            minute,
            second,
            micros,
            ..
        } = self.clock;
        let civil = Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        };
        civil.is_valid().then_some(civil)
    }

    /// The stamp with this day.
    pub fn cut(&self, date: (i32, u8, u8), hint: &TimeHint) -> Option<Cut<'a>> {
        let civil = self.on(date.0, date.1, date.2)?;
        Some(Cut {
            instant: resolve_in(&civil, self.zone, hint.zone),
            rest: self.rest,
        })
    }

    /// The stamp with this day of whatever year; without seconds it could be anything.
    pub fn cut_yearless(&self, month: u8, day: u8, hint: &TimeHint) -> Option<Cut<'a>> {
        // The year 2000 has every day that any year has.
        let civil = self.on(2000, month, day).filter(|_| self.clock.seconds)?;
        Some(Cut {
            instant: yearless_in(&civil, self.zone, hint)?,
            rest: self.rest,
        })
    }
}

/// Whether a clock would go on with these bytes.
fn goes_on(bytes: &[u8]) -> bool {
    match bytes {
        [b':', next, ..] => next.is_ascii_digit(),
        [next, ..] => next.is_ascii_alphanumeric(),
        [] => false,
    }
}

/// `+120` behind a clock with dots: Db2 gives its offset in minutes.
fn minutes_off(text: &str) -> Option<(i32, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number: i32 = text
        .get(1..4)
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()?;
    let rest = text.get(4..)?;
    (number <= 18 * 60 && !rest.starts_with(|next: char| next.is_ascii_digit()))
        .then_some((sign * number, rest))
}

/// How many bytes stand between a date and its clock: `T`, blanks, a comma, a dash, colons, an
/// underscore, or a word that says *at*. `None` when no digit follows.
pub fn gap(bytes: &[u8]) -> Option<usize> {
    let blanks = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take(4)
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
    };
    let mut at = blanks(0);
    match *bytes.get(at)? {
        b'0'..=b'9' if at > 0 => return Some(at),
        b'T' | b't' | b'_' if at == 0 => at = 1,
        b':' if at == 0 => at = 1 + usize::from(bytes.get(1) == Some(&b':')),
        b',' | b';' | b'/' if at == 0 => at = 1 + blanks(1),
        b'-' => {
            at += 1;
            at += blanks(at);
        }
        _ => {}
    }
    for word in ["at ", "um ", "à ", "às ", "alle ", "kl. ", "o ", "time="] {
        if at > 0
            && bytes
                .get(at..)
                .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            at += word.len();
            break;
        }
    }
    (at > 0 && bytes.get(at).is_some_and(u8::is_ascii_digit)).then_some(at)
}

/// Years of two digits: from 1970 on.
pub const fn century(year: u8) -> i32 {
    if year < 70 {
        2_000 + year as i32
    } else {
        1_900 + year as i32
    }
}

/// `2024-05-01T08:00Z`, `2024/5/1 8:00:00`, `2024.05.01-08.00.00:123`, `2024:05:01-08:00:00`, and
/// the same with the name of the month.
fn year_first<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let sep = *bytes.get(4)?;
    if sep == b' ' || !bytes.get(5)?.is_ascii_digit() {
        return worded::year_first(text, hint);
    }
    let year = year(bytes.get(..4)?).filter(|year| (1900..2200).contains(year))?;
    let (month, at) = one_or_two(bytes, 5)?;
    if *bytes.get(at)? != sep {
        return None;
    }
    let (day, at) = one_or_two(bytes, at + 1)?;
    Reading::behind_date(text.get(at..)?)?.cut((year, month, day), hint)
}

/// A date of three numbers with a separator, the year last or of two digits: the numbers, whether
/// the last has four digits, and where the date ends.
fn three(bytes: &[u8], sep: u8) -> Option<([u8; 2], i32, bool, usize)> {
    let (first, at) = one_or_two(bytes, 0)?;
    if *bytes.get(at)? != sep {
        return None;
    }
    let (second, at) = one_or_two(bytes, at + 1)?;
    if *bytes.get(at)? != sep {
        return None;
    }
    let at = at + 1;
    match digits(bytes, at, 4) {
        4 => {
            let year = year(bytes.get(at..at + 4)?).filter(|year| (1900..2200).contains(year))?;
            Some(([first, second], year, true, at + 4))
        }
        2 => Some((
            [first, second],
            i32::from(two(*bytes.get(at)?, *bytes.get(at + 1)?)?),
            false,
            at + 2,
        )),
        _ => None,
    }
}

/// `5/1/2024 8:00:00 AM`, `01/05/2024 08:00:00`, `24/05/01 08:00:00`.
///
/// A number over 12 is no month; AM and PM are American, as is the month in front; else the month
/// is taken to be first, and the instant says that this was a guess.
fn slashes<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let ([first, second], last, four, at) = three(text.as_bytes(), b'/')?;
    let reading = Reading::behind_date(text.get(at..)?)?;
    if !four && at == 8 && !reading.clock.half && is_year_first(first, last, reading.rest, hint) {
        let day = u8::try_from(last).ok()?;
        return guessed(reading.cut((century(first), second, day), hint));
    }
    let year = if four {
        last
    } else {
        century(u8::try_from(last).ok()?)
    };
    if first > 12 {
        return reading.cut((year, second, first), hint);
    }
    let cut = reading.cut((year, first, second), hint);
    if second > 12 || reading.clock.half || first == second {
        cut
    } else {
        guessed(cut)
    }
}

fn guessed(cut: Option<Cut<'_>>) -> Option<Cut<'_>> {
    cut.map(|cut| Cut {
        instant: Instant {
            order_guessed: true,
            ..cut.instant
        },
        ..cut
    })
}

/// Whether the first of three pairs of digits is the year rather than the last: the one that is
/// closer to the reference and not beyond it.
fn is_year_first(first: u8, last: i32, rest: &str, hint: &TimeHint) -> bool {
    let now = year_of_days(hint.reference.micros().div_euclid(86_400_000_000));
    let age = |year: i32| {
        now.saturating_add(1)
            .checked_sub(year)
            .filter(|age| *age >= 0)
    };
    let (Some(front), true) = (age(century(first)), first > 12 && (1..=31).contains(&last)) else {
        return false;
    };
    if YEAR_FIRST_LEVELS.iter().any(|word| rest.starts_with(word)) {
        return true;
    }
    let back = u8::try_from(last).ok().and_then(|last| age(century(last)));
    back.is_none_or(|back| front <= back)
}

/// `01.05.2024 08:00:00`, `1.5.24 8:00:00:123`: with dots the day is first.
fn dots<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let ([day, month], last, four, at) = three(text.as_bytes(), b'.')?;
    let reading = Reading::behind_date(text.get(at..)?)?;
    if four {
        return reading.cut((last, month, day), hint);
    }
    // Three short numbers may be a version: ask for the whole clock.
    let year = century(u8::try_from(last).ok()?);
    if reading.clock.seconds {
        reading.cut((year, month, day), hint)
    } else {
        None
    }
}

/// `05-21-2024 08:00:00`, the day first unless it could be no month's number, `05-01 08:00:00.123` (Android), and
/// `24-05-01 08:00:00`.
fn dashes<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    if let Some(([first, second], last, four, at)) = three(bytes, b'-') {
        let reading = Reading::behind_date(text.get(at..)?)?;
        if four {
            return match (first, second) {
                (13.., ..=12) => reading.cut((last, second, first), hint),
                (..=12, 13..) => reading.cut((last, first, second), hint),
                // With dashes most of the world has the day first.
                (1..=12, 1..=12) if reading.clock.seconds => {
                    let cut = reading.cut((last, second, first), hint);
                    if first == second { cut } else { guessed(cut) }
                }
                _ => None,
            };
        }
        let year_first =
            at == 8 && reading.clock.seconds && is_year_first(first, last, reading.rest, hint);
        let day = u8::try_from(last).ok().filter(|_| year_first)?;
        return guessed(reading.cut((century(first), second, day), hint));
    }
    // Android's log: month, day and a clock in its full width.
    if bytes.get(5) != Some(&b' ') || digits(bytes, 0, 2) != 2 || digits(bytes, 3, 2) != 2 {
        return None;
    }
    let (month, day) = (two(bytes[0], bytes[1])?, two(bytes[3], bytes[4])?);
    time_of_day(text.get(6..)?, hint)?;
    Reading::new(text.get(6..)?)?.cut_yearless(month, day, hint)
}

/// `240501  8:00:00` (old `MySQL`), `240501 080000` (old Hadoop).
fn six<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let head: &[u8; 6] = bytes.first_chunk()?;
    let reading = Reading::behind_date(text.get(6..)?)?;
    if !reading.clock.seconds
        || reading.clock.half
        || !reading.rest.starts_with([' ', '\t']) && !reading.rest.is_empty()
    {
        return None;
    }
    let (year, month, day) = (
        two(head[0], head[1])?,
        two(head[2], head[3])?,
        two(head[4], head[5])?,
    );
    reading.cut((century(year), month, day), hint)
}

/// `20240501T080000.123Z`, `20240501 080000`, `20240501-08:00:00.123`.
fn compact<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let reading = Reading::behind_date(text.get(8..)?)?;
    if !reading.clock.seconds {
        return None;
    }
    reading.cut(packed_date(text.as_bytes())?, hint)
}

fn packed_date(bytes: &[u8]) -> Option<(i32, u8, u8)> {
    let head: &[u8; 8] = bytes.first_chunk()?;
    let year = year(&head[..4]).filter(|year| (1970..2200).contains(year))?;
    Some((year, two(head[4], head[5])?, two(head[6], head[7])?))
}

/// `20240501080000`, with milliseconds where it has 17 digits, and with a fraction.
pub fn run<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let date = packed_date(bytes)?;
    let mut reading = match digits(bytes, 0, 17) {
        14 => Reading::new(text.get(8..)?)?,
        _ => {
            let clock = clock_any(bytes.get(8..14)?)?;
            let (zone, rest) = zone_tail(text.get(17..)?);
            Reading { clock, zone, rest }
        }
    };
    if let Some(thousandths) = text
        .get(14..17)
        .and_then(|digits| digits.parse::<u32>().ok())
    {
        reading.clock.micros = thousandths * 1_000;
    }
    reading.cut(date, hint)
}
