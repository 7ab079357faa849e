//! The error log of MySQL 5.5 to 8, MariaDB and Percona Server:
//!
//! - `2019-03-24T13:44:25.484123Z 0 [System] [MY-013169] [Server] message`
//! - `2024-01-01  1:02:03 42 [Note] message` (5.6, MariaDB)
//! - `161209 14:18:50 [Warning] message`, `161209 14:18:50  InnoDB: message` (5.5)
//! - `2024-01-01T01:02:03.000000Z mysqld_safe message`, of the script that starts the server
//! - `01:02:03 UTC - mysqld got signal 11 ;`, which a crash begins with
//!
//! Lines without a stamp belong to the record before them, but for those of the script's shell.
//! Other logs have such dates too: behind one of four digits the words must be MySQL's own.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::app_line::stamp::behind_iso;
use super::fields::push_unique;
use super::python::ANY_HINT;
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, SourceZone, TimeHint,
    plain, time,
};
use atalaya_domain::record::{Layer, Level};

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

    fn opens(&self, line: &str) -> Opens {
        // Behind a date with its century there is a thread, a bracket or a word of the server's own.
        let other = behind_iso(line).is_some_and(|rest| {
            let first = rest
                .trim_start_matches(' ')
                .as_bytes()
                .first()
                .copied()
                .unwrap_or(0);
            first.is_ascii_alphabetic() && !b"mPESVZ".contains(&first) && crash_at(line).is_none()
        });
        if other { Opens::No } else { Opens::Parsed }
    }

    /// The shell prints what it likes between the lines of the script; a crash and a monitor print
    /// pages that look like many things.
    fn joins(&self, pending: &str, line: &str) -> Joins {
        let (first, _) = split::line(pending.get(..HEAD_BYTES).unwrap_or(pending));
        let has = |words: &Finder<'_>| words.find(first.as_bytes()).is_some();
        let pages = has(&SIGNAL) || has(&MONITOR);
        if has(&SCRIPT) {
            Joins::No
        } else if pages
            && !line.starts_with('{')
            && !plain::begins_own(line)
            && stamp(line, &ANY_HINT).is_none()
        {
            Joins::Yes
        } else {
            Joins::Unsaid
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

/// The stamp and the name of the script stand within these, and what says that pages follow.
const HEAD_BYTES: usize = 96;

/// Built once: a search of so few bytes costs less than its preparation.
static SIGNAL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" got signal "));
static MONITOR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("INNODB MONITOR OUTPUT"));
static SCRIPT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" mysqld_safe "));

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    if let Some(rest) = crash(text, hint, out) {
        out.level = Level::Critical;
        out.message = rest.trim_ascii().into();
        return Ok(());
    }
    let cut = stamp(text, hint).ok_or("no time")?;
    out.set_time(cut.instant);
    let old = text.as_bytes().get(4) != Some(&b'-');
    out.zoned |= text.as_bytes().get(10) == Some(&b'T');
    let mut rest = cut.rest.trim_start_matches(' ');
    if rest.starts_with("mysqld_safe ") {
        out.logger = Some("mysqld_safe".into());
        out.message = rest.trim_ascii().into();
        out.ungraded = true;
        return Ok(());
    }
    let mut has_thread = false;
    if let Some((thread, after)) = split::once(rest, b' ')
        && is_thread(thread)
    {
        push_unique(out, "thread_id", thread);
        rest = after.trim_start_matches(' ');
        has_thread = true;
    }
    if let Some((word, level, after)) =
        bracket(rest).and_then(|(word, after)| Some((word, level_of(word)?, after)))
    {
        let code = bracket(after).filter(|(code, _)| code.starts_with("MY-"));
        if !old && !has_thread && code.is_none() {
            return Err("neither a thread nor a code beside [Level]");
        }
        out.level = level;
        if !word.eq_ignore_ascii_case(level.name()) {
            push_unique(out, "severity", word);
        }
        rest = after;
        if let Some((code, after)) = code {
            push_unique(out, "code", code);
            rest = after;
            if let Some((subsystem, after)) = bracket(rest) {
                out.logger = Some(subsystem.into());
                rest = after;
            }
        }
    } else {
        out.ungraded = true;
        let own = ["InnoDB", "INNODB MONITOR OUTPUT"]
            .iter()
            .any(|head| rest.starts_with(head));
        let of_server = [
            "mysqld",
            "mariadbd",
            "Plugin ",
            "Event ",
            "Slave ",
            "Server ",
            "Version: ",
        ]
        .iter()
        .any(|head| rest.starts_with(head));
        // With a full date every line has its level in brackets, but for those of InnoDB's threads.
        if !(own && (old || has_thread)) && !(of_server && (old || rest.contains("got signal"))) {
            return Err("no [Level] behind the time");
        }
        if [
            "InnoDB: Error",
            "InnoDB: Fatal",
            "InnoDB: Assertion failure",
        ]
        .iter()
        .any(|head| rest.starts_with(head))
        {
            out.level = Level::Error;
            out.ungraded = false;
        }
    }
    if SIGNAL.find(rest.as_bytes()).is_some() {
        out.level = Level::Critical;
        out.ungraded = false;
    }
    out.message = rest.trim_ascii().into();
    Ok(())
}

const CRASH: &str = " UTC - ";

/// Where what stands between the stamp and the name of the server of a crash begins.
fn crash_at(text: &str) -> Option<usize> {
    let near = text.as_bytes().get(..64.min(text.len()))?;
    memchr::memchr_iter(b'U', near)
        .filter_map(|at| at.checked_sub(1))
        .find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(CRASH)))
}

/// `01:02:03 UTC - mysqld got signal 11 ;`, with a date before it since 8.0.28; what follows the
/// dash.
fn crash<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let rest = text.get(crash_at(text)? + CRASH.len()..)?;
    if !rest.starts_with("mysqld got ") && !rest.starts_with("mariadbd got ") {
        return None;
    }
    let utc = TimeHint {
        zone: SourceZone::Utc,
        reference: hint.reference,
    };
    let instant = if text.as_bytes().get(4) == Some(&b'-') {
        time::iso(text, &utc)?.instant
    } else {
        time::time_of_day(text, &utc)?.instant
    };
    out.set_time(instant);
    out.zoned = true;
    Some(rest)
}

fn is_thread(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    !digits.is_empty()
        && digits.bytes().all(|byte| {
            if digits.len() < word.len() {
                byte.is_ascii_hexdigit()
            } else {
                byte.is_ascii_digit()
            }
        })
}

/// `[word]` at the start, and what follows it and its space.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = split::once(text.strip_prefix('[')?, b']')?;
    (word.len() < 40).then(|| (word, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word {
        "Note" | "System" => Level::Info,
        "Warning" => Level::Warning,
        "ERROR" => Level::Error,
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
    clock(
        year,
        date.get(2..4)?.parse().ok()?,
        date.get(4..6)?.parse().ok()?,
        text.get(6..)?,
        hint,
    )
}

fn clock<'a>(
    year: i32,
    month: u8,
    day: u8,
    text: &'a str,
    hint: &TimeHint,
) -> Option<time::Cut<'a>> {
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
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse::<u8>().ok()
        } else {
            None
        }
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
            (
                "2013-12-09 14:18:50 0x7f33 InnoDB: x",
                "2013-12-09T14:18:50.000000Z",
                Level::Info,
                "InnoDB: x",
            ),
            (
                "161209 14:18:50 [Warning] old\nmore\n",
                "2016-12-09T14:18:50.000000Z",
                Level::Warning,
                "old\nmore",
            ),
            (
                "2024-01-01T01:02:03.000004Z mysqld_safe Starting mysqld daemon",
                "2024-01-01T01:02:03.000004Z",
                Level::Info,
                "mysqld_safe Starting mysqld daemon",
            ),
            (
                "240101  1:02:03 mysqld_safe mysqld ended",
                "2024-01-01T01:02:03.000000Z",
                Level::Info,
                "mysqld_safe mysqld ended",
            ),
            (
                "2024-01-01T01:02:03Z UTC - mysqld got signal 11 ;\nMost likely",
                "2024-01-01T01:02:03.000000Z",
                Level::Critical,
                "mysqld got signal 11 ;\nMost likely",
            ),
            (
                "240101 01:02:03 [ERROR] mysqld got signal 6 ;",
                "2024-01-01T01:02:03.000000Z",
                Level::Critical,
                "mysqld got signal 6 ;",
            ),
            (
                "2024-01-01 01:02:03 0x7f InnoDB: Assertion failure in x",
                "2024-01-01T01:02:03.000000Z",
                Level::Error,
                "InnoDB: Assertion failure in x",
            ),
            (
                "2024-01-01 1:02:03 0 [Note] x",
                "2024-01-01T01:02:03.000000Z",
                Level::Info,
                "x",
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
            assert_eq!(
                (out.level, out.message.as_ref()),
                (level, message),
                "{text}"
            );
        }
        for text in [
            "InnoDB: x",
            "2024-01-01 01:02:03 hello",
            "2024-01-01 01:02:03 [ERROR] x",
            "2024-01-01 01:02:03 [Note] x",
            "2024-01-01 01:02:03 7 [INFO] x",
            "2024-01-01 01:02:03 7 [WARNING] x",
            "2024-01-01 01:02:03 7 [error] x",
            "2024-01-01 01:02:03 InnoDB: x",
            "2024-01-01T01:02:03Z mysqld x",
            "240101 01:02:03 INFO x",
            "240101 01:02:03 [INFO] x",
            "01:02:03 UTC - x",
            "991340 00:00:00 x",
            "",
        ] {
            assert!(
                MysqlError
                    .parse(text, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_crash_has_no_day() {
        let mut out = Parsed::default();
        MysqlError
            .parse("01:02:03 UTC - mysqld got signal 11 ;", &ANY_HINT, &mut out)
            .unwrap();
        assert_eq!((out.day_missing, out.level), (true, Level::Critical));
        assert_eq!(out.message, "mysqld got signal 11 ;");
    }

    #[test]
    fn lines_of_the_shell_are_not_the_script_s() {
        let script = "240101 01:02:03 mysqld_safe Logging to '/x'";
        assert_eq!(MysqlError.joins(script, "nohup: ignoring input"), Joins::No);
        assert_eq!(
            MysqlError.joins("240101 01:02:03 [Note] x", "Version: '8'"),
            Joins::Unsaid
        );
        let crash = "01:02:03 UTC - mysqld got signal 11 ;";
        assert_eq!(
            MysqlError.joins(crash, "key_buffer_size=8388608"),
            Joins::Yes
        );
        assert_eq!(
            MysqlError.joins(crash, "240101 01:02:04 mysqld_safe Restarting"),
            Joins::Unsaid
        );
    }
}
