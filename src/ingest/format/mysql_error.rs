//! The error log of MySQL 5.5 to 8, MariaDB and Percona Server:
//!
//! - `2019-03-24T13:44:25.484123Z 0 [System] [MY-013169] [Server] message`
//! - `2024-01-01  1:02:03 42 [Note] message` (5.6, MariaDB)
//! - `161209 14:18:50 [Warning] message`, `161209 14:18:50  InnoDB: message` (5.5)
//!
//! Lines without a stamp belong to the record before them.

use super::fields::push_unique;
use super::python::ANY_HINT;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, time};
use crate::domain::record::{Layer, Level};

/// `mysql-error`.
#[derive(Clone, Copy, Debug)]
pub struct MysqlError;

impl Format for MysqlError {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "mysql-error",
            source: "mysql/error",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let cut = stamp(text, hint).ok_or_else(|| self.mismatch("no time"))?;
        out.set_time(cut.instant);
        let old = !text.get(..10).is_some_and(|date| date.contains('-'));
        let mut rest = cut.rest.trim_start_matches(' ');
        if let Some((thread, after)) = rest.split_once(' ')
            && is_thread(thread)
        {
            push_unique(out, "thread_id", thread);
            rest = after.trim_start_matches(' ');
        }
        let graded = bracket(rest).and_then(|(word, after)| Some((word, level_of(word)?, after)));
        if let Some((word, level, after)) = graded {
            out.level = level;
            if !word.eq_ignore_ascii_case(level.name()) {
                push_unique(out, "severity", word);
            }
            rest = after;
            if let Some((code, after)) = bracket(rest)
                && code.starts_with("MY-")
            {
                push_unique(out, "code", code);
                rest = after;
                if let Some((subsystem, after)) = bracket(rest) {
                    out.logger = Some(subsystem.into());
                    rest = after;
                }
            }
        } else if !old
            && !rest.starts_with("InnoDB")
            && !rest.starts_with("mysqld")
            && !rest.starts_with("mariadbd")
        {
            // With a full date every line has its level in brackets; other logs have such dates too.
            return Err(self.mismatch("no [Level] behind the time"));
        } else if ["InnoDB: Error", "InnoDB: Fatal", "InnoDB: Assertion failure"]
            .iter()
            .any(|head| rest.starts_with(head))
        {
            out.level = Level::Error;
        }
        out.message = rest.trim_ascii().into();
        Ok(())
    }
}

fn is_thread(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    !digits.is_empty()
        && digits.bytes().all(|byte| {
            if digits.len() < word.len() { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() }
        })
}

/// `[word]` at the start, and what follows it and its space.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.strip_prefix('[')?.split_once(']')?;
    (word.len() < 40).then(|| (word, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word {
        "Note" | "NOTE" | "System" | "Information" | "Info" => Level::Info,
        "Warning" | "WARNING" | "Warn" => Level::Warning,
        "ERROR" | "Error" => Level::Error,
        _ => return None,
    })
}

/// Any of the stamps.
fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    if text.as_bytes().get(4) == Some(&b'-') {
        time::iso(text, hint).or_else(|| spaced(text, hint))
    } else {
        yymmdd(text, hint)
    }
}

/// `2024-01-01  1:02:03`: MariaDB fills the hour with a space.
fn spaced<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let date = text.get(..10)?;
    let year = date.get(..4)?.parse().ok()?;
    let month = date.get(5..7)?.parse().ok()?;
    let day = date.get(8..10)?.parse().ok()?;
    clock(year, month, day, text.get(10..)?, hint)
}

/// `161209 14:18:50`, the hour without its zero where it has none.
pub fn yymmdd<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let date = text.get(..6)?;
    if !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i32 = date.get(..2)?.parse().ok()?;
    let year = if year < 70 { 2000 + year } else { 1900 + year };
    clock(year, date.get(2..4)?.parse().ok()?, date.get(4..6)?.parse().ok()?, text.get(6..)?, hint)
}

fn clock<'a>(year: i32, month: u8, day: u8, text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let rest = text.strip_prefix(' ')?;
    let padded = rest.strip_prefix(' ').unwrap_or(rest);
    let (hour, rest) = padded.split_once(':')?;
    if hour.is_empty() || hour.len() > 2 {
        return None;
    }
    let tail = rest.get(..5)?;
    let (minute, second) = (tail.get(..2)?, tail.get(3..5)?);
    if tail.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let two = |digits: &str| {
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse::<u8>().ok() } else { None }
    };
    let civil = time::Civil {
        year,
        month,
        day,
        hour: two(hour)?,
        minute: two(minute)?,
        second: two(second)?,
        micros: 0,
    };
    civil.is_valid().then(|| time::Cut {
        instant: time::resolve(&civil, None, hint.zone),
        rest: rest.get(5..).unwrap_or(""),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_forms_of_all_versions() {
        for (text, at, level, message) in [
            (
                "2019-03-24T13:44:25.484123Z 0 [System] [MY-013169] [Server] up",
                "2019-03-24T13:44:25.484123Z",
                Level::Info,
                "up",
            ),
            (
                "2024-01-01  1:02:03 42 [ERROR] mariadbd: no",
                "2024-01-01T01:02:03.000000Z",
                Level::Error,
                "mariadbd: no",
            ),
            ("2013-12-09 14:18:50 0x7f33 InnoDB: x", "2013-12-09T14:18:50.000000Z", Level::Info, "InnoDB: x"),
            (
                "161209 14:18:50 [Warning] old\nmore\n",
                "2016-12-09T14:18:50.000000Z",
                Level::Warning,
                "old\nmore",
            ),
            (
                "161209  4:18:50  InnoDB: Error: bad",
                "2016-12-09T04:18:50.000000Z",
                Level::Error,
                "InnoDB: Error: bad",
            ),
        ] {
            let mut out = Parsed::default();
            MysqlError.parse(text, &ANY_HINT, &mut out).unwrap();
            assert_eq!(out.timestamp.unwrap().to_rfc3339(), at, "{text}");
            assert_eq!((out.level, out.message.as_ref()), (level, message), "{text}");
        }
        for text in ["InnoDB: x", "2024-01-01 01:02:03 hello", "991340 00:00:00 x", ""] {
            assert!(MysqlError.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(), "{text}");
        }
    }
}
