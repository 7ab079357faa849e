//! Stamps with the name of a month, in the languages of [`names`], with or without a weekday.

use super::super::TimeHint;
use super::Cut;
use super::cut::{ctime, syslog};
use super::names::{self, Month};
use super::numeric::{Reading, century, gap};
use super::parts::{digits, one_or_two, two, year};

/// A stamp that begins with a letter: a month or a weekday.
///
/// Most words of a text are neither: what follows the word decides first, because that is cheap.
pub fn worded<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    if bytes.get(3) == Some(&b' ')
        && let Some(cut) =
            ctime(text, hint).or_else(|| syslog(text, hint).filter(|cut| ends(cut.rest)))
    {
        return Some(cut);
    }
    let end = names::word_end(bytes, 0);
    let mut at = end;
    // `mån.,`: the dot of an abbreviation, the comma of e-mail.
    at += usize::from(bytes.get(at) == Some(&b'.'));
    at += usize::from(bytes.get(at) == Some(&b','));
    let blanks = bytes
        .iter()
        .skip(at)
        .take(3)
        .take_while(|byte| **byte == b' ')
        .count();
    let next = *bytes.get(at + blanks)?;
    let word = text.get(..end)?;
    if next.is_ascii_digit() || matches!(next, b'-' | b'/') && blanks == 0 {
        if let Some(month) = names::month(word)
            && let Some(cut) = month_first(month, text.get(at..)?, false, hint)
        {
            return Some(cut);
        }
        if blanks > 0 && next.is_ascii_digit() && names::is_weekday(word) {
            return numeric_date(text.get(at + blanks..)?, hint);
        }
        // Portuguese: `segunda-feira, 1 de maio de 2024`.
        let rest = text
            .get(end..)?
            .strip_prefix("-feira")
            .filter(|_| names::is_weekday(word))?;
        return numeric_date(rest.trim_start_matches([',', ' ']), hint);
    }
    if blanks == 0 || !(next.is_ascii_alphabetic() || next >= 0x80) || !names::is_weekday(word) {
        return None;
    }
    let rest = text.get(at + blanks..)?;
    let bytes = rest.as_bytes();
    let end = names::word_end(bytes, 0);
    let month = names::month(rest.get(..end)?)?;
    let at = end + usize::from(bytes.get(end) == Some(&b'.'));
    month_first(month, rest.get(at..)?, true, hint)
}

/// Whether a stamp of fixed positions is complete with this behind it: no year, no zone and no half
/// of the day follow.
pub fn ends(rest: &str) -> bool {
    match rest.as_bytes() {
        [b' ', next, ..] => {
            !(next.is_ascii_digit()
                || next.is_ascii_uppercase()
                || matches!(next, b'+' | b'-' | b'(' | b'a' | b'p'))
        }
        _ => true,
    }
}

/// A date behind a weekday; a bare number there is none.
fn numeric_date<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    if digits(text.as_bytes(), 0, 8) > 8 {
        None
    } else {
        super::any(text, hint)
    }
}

/// What follows the name of a month in front: ` 1 08:00:00`, ` 20, 2024 10:00:00 AM`,
/// ` 01 2024 08:00:00 GMT+0200 (CEST)`, `  1 08:00:00 CEST 2024`.
fn month_first<'a>(month: Month, text: &'a str, weekday: bool, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let start = match bytes.first()? {
        b' ' => bytes
            .iter()
            .take(3)
            .take_while(|byte| **byte == b' ')
            .count(),
        b'-' | b'/' => 1,
        _ => return None,
    };
    let (day, mut at) = one_or_two(bytes, start)?;
    if let Some("st" | "nd" | "rd" | "th") = text.get(at..at + 2) {
        at += 2;
    }
    if let Some(behind) = gap(bytes.get(at..)?)
        && let Some((year, end)) = four(bytes, at + behind)
        && let Some(reading) = Reading::behind_date(text.get(end..)?)
    {
        return reading.cut((year, month.number, day), hint);
    }
    let reading = Reading::behind_date(text.get(at..)?)?;
    // `date` and `ctime` have the year at the end; without a weekday or a zone before it, it may
    // be any number of the text.
    if let Some((year, rest)) = reading
        .rest
        .strip_prefix(' ')
        .and_then(|rest| last_year(rest))
        && (weekday || reading.zone.is_some())
    {
        return Reading { rest, ..reading }.cut((year, month.number, day), hint);
    }
    if month.weak || bytes.first() != Some(&b' ') {
        return None;
    }
    reading.cut_yearless(month.number, day, hint)
}

/// A year of four digits at `at`, and where it ends; `None` where another number stands.
fn four(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    if digits(bytes, at, 4) != 4 {
        return None;
    }
    year(bytes.get(at..at + 4)?)
        .filter(|year| (1900..2200).contains(year))
        .map(|year| (year, at + 4))
}

/// A year that ends a stamp.
fn last_year(text: &str) -> Option<(i32, &str)> {
    let (year, end) = four(text.as_bytes(), 0)?;
    let rest = text.get(end..)?;
    let goes_on = rest
        .starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '.' | '-' | '_'));
    (!goes_on).then_some((year, rest))
}

/// `01-May-2024 08:00:00.123`, `1. Mai 2024 08:00:00`, `28 Apr 11:30:29.988`, `01May2024 08:00:00`,
/// `1 de mayo de 2024, 8:00`, `1-May-2024::08:00:00`, `01-MAY-24 08.00.00`.
pub fn day_first<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let (day, mut at) = one_or_two(bytes, 0)?;
    at += usize::from(bytes.get(at) == Some(&b'.'));
    let sep = bytes
        .get(at)
        .copied()
        .filter(|byte| matches!(byte, b' ' | b'-' | b'/'));
    at += usize::from(sep.is_some());
    at = skip_of(text, at);
    let end = names::word_end(bytes, at);
    let month = names::month(text.get(at..end)?)?;
    at = end + usize::from(bytes.get(end) == Some(&b'.'));
    if sep.is_some() {
        let blanks = bytes
            .iter()
            .skip(at)
            .take(2)
            .take_while(|byte| **byte == b' ')
            .count();
        at += if blanks == 0 && bytes.get(at).copied() == sep {
            1
        } else {
            blanks
        };
        at = skip_of(text, at);
    }
    if let Some((year, end)) = four(bytes, at) {
        return Reading::behind_date(text.get(end..)?)?.cut((year, month.number, day), hint);
    }
    if digits(bytes, at, 2) == 2
        && bytes.get(at + 2) != Some(&b':')
        && let Some(reading) = text.get(at + 2..).and_then(Reading::behind_date)
    {
        let year = century(two(*bytes.get(at)?, *bytes.get(at + 1)?)?);
        return reading.cut((year, month.number, day), hint);
    }
    if month.weak || sep != Some(b' ') {
        return None;
    }
    Reading::new(text.get(at..)?)?.cut_yearless(month.number, day, hint)
}

/// Behind the *of* of Spanish and Portuguese dates.
fn skip_of(text: &str, at: usize) -> usize {
    match text.get(at..at + 3) {
        Some(word) if word.eq_ignore_ascii_case("de ") => at + 3,
        _ => at,
    }
}

/// `2024 May  1 08:00:00` (Cisco), `2024-May-01 08:00:00`, `2024May01 08:00:00`.
pub fn year_first<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let year = year(bytes.get(..4)?).filter(|year| (1970..2200).contains(year))?;
    let sep = bytes
        .get(4)
        .copied()
        .filter(|byte| matches!(byte, b' ' | b'-' | b'/' | b'.'));
    let at = 4 + usize::from(sep.is_some());
    let end = names::word_end(bytes, at);
    let month = names::month(text.get(at..end)?)?;
    let mut at = end;
    while bytes.get(at).is_some_and(|byte| Some(*byte) == sep) && at < end + 3 {
        at += 1;
    }
    let (day, at) = one_or_two(bytes, at)?;
    Reading::behind_date(text.get(at..)?)?.cut((year, month.number, day), hint)
}
