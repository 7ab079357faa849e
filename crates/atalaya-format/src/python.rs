//! Python's `logging` as its defaults and the usual servers write it:
//!
//! - `2026-01-01 00:00:00,123 - name - LEVEL - message` (the documentation's example)
//! - `LEVEL:name:message` (`basicConfig`)
//! - `2026-01-01 00:00:00,123 LEVEL name: message`, also with the level in brackets
//! - `[2026-01-01 00:00:00,123] LEVEL in module: message` (Flask)
//! - `[2026-01-01 00:00:00 +0000] [42] [LEVEL] message` (gunicorn)
//! - `[2026-01-01 00:00:00,123: LEVEL/MainProcess] message` (Celery)
//! - `2026-01-01 00:00:00.123 | LEVEL    | module:function:line - message` (loguru)
//! - `[L 260101 00:00:00 module:line] message` (Tornado), `[L 2026-01-01 00:00:00.123 App] message`
//!   (Jupyter)
//!
//! uvicorn's own lines (`LEVEL:     message`) are a format of their own, because they must be known before
//! those of a database that has levels with a colon too.
//!
//! Other patterns are read by [`super::app_line`].

pub use super::app_line::ANY_HINT;
use super::app_line::stamp::{may_be_stamp, prose_behind_iso, stamp};
use super::app_line::words::{
    self, file_and_line, is_dotted, is_no_logger, is_number, is_thread, level_of, placed_level,
};
use super::fields::keep_severity;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::Layer;

/// `python`.
#[derive(Clone, Copy, Debug)]
pub struct Python;

/// A header is short; what is searched for in it must stand near.
const NEAR: usize = 200;

impl Format for Python {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "python",
            source: "app/python",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"[DIWECT")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::NO_PROSE
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = match bytes.first() {
            Some(b'[') => {
                bytes.get(1).is_some_and(u8::is_ascii_digit)
                    || bytes.get(2) == Some(&b' ') && bytes.get(3).is_some_and(u8::is_ascii_digit)
            }
            Some(b'0'..=b'9') => may_be_stamp(bytes) && !prose_behind_iso(line),
            _ => LEVELS.iter().any(|level| {
                line.strip_prefix(level)
                    .is_some_and(|rest| rest.starts_with(':'))
            }),
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no header of Python's logging"))
    }
}

/// The levels of `logging`, and uvicorn's own.
const LEVELS: [&str; 6] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "TRACE"];

/// The text up to a separator that stands near and on the same line, and what follows it.
pub fn upto<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let near = text.as_bytes().get(..NEAR.min(text.len()))?;
    // Looking for its one byte that is no blank is cheaper than for the separator.
    let mark = separator.bytes().position(|byte| byte != b' ').unwrap_or(0);
    let byte = *separator.as_bytes().get(mark)?;
    for found in memchr::memchr_iter(byte, near) {
        let Some(at) = found.checked_sub(mark) else {
            continue;
        };
        if near.get(at..at + separator.len()) == Some(separator.as_bytes()) {
            let head = text.get(..at)?;
            let one_line = memchr::memchr(b'\n', head.as_bytes()).is_none();
            return one_line.then(|| (head, text.get(at + separator.len()..).unwrap_or("")));
        }
    }
    None
}

/// A level in capitals, as headers have it.
pub fn capital_level(word: &str) -> bool {
    words::capital_level(word).is_some()
}

/// Puts a level word in its place.
pub fn set_level<'a>(out: &mut Parsed<'a>, word: &'a str) {
    if let Some(level) = level_of(word) {
        out.level = level;
        keep_severity(out, word.into());
    }
}

fn set<'a>(out: &mut Parsed<'a>, level: &'a str, logger: Option<&'a str>, message: &'a str) {
    set_level(out, level);
    out.logger = logger
        .map(str::trim_ascii)
        .filter(|name| !name.is_empty())
        .map(Into::into);
    out.message = message.trim_ascii_end().into();
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    match *text.as_bytes().first()? {
        b'0'..=b'9' => {
            let cut = time::iso(text, hint)?;
            out.set_time(cut.instant);
            stamped(cut.rest, out)
        }
        b'[' if text.as_bytes().get(2) == Some(&b' ') => tornado(text, hint, out),
        b'[' => {
            let cut = time::iso(text.get(1..)?, hint)?;
            out.set_time(cut.instant);
            bracketed(cut.rest, out)
        }
        b'A'..=b'Z' => unstamped(text, out),
        _ => None,
    }
}

/// A part of a header without the brackets that people put round it.
fn bare(part: &str) -> &str {
    let part = part.trim_ascii();
    part.strip_prefix('[')
        .and_then(|inside| inside.strip_suffix(']'))
        .unwrap_or(part)
        .trim_ascii()
}

fn stamped<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    if let Some(rest) = rest.strip_prefix(" - ") {
        return dashed(rest, out);
    }
    if let Some(rest) = rest.strip_prefix(" | ") {
        return loguru(rest, out);
    }
    let rest = rest.strip_prefix(' ')?.trim_ascii_start();
    let end = memchr::memchr(b' ', rest.as_bytes().get(..20.min(rest.len()))?)?;
    let (word, after) = (rest.get(..end)?, rest.get(end..)?.trim_ascii_start());
    let level = word.trim_matches(['[', ']', ':']);
    if !(capital_level(level)
        && after
            .as_bytes()
            .first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_'))
    {
        return None;
    }
    let (name, message) = upto(after, ": ").filter(|(name, _)| is_name(name))?;
    if is_no_logger(name) || file_and_line(name).is_some() || name.contains(':') {
        return None;
    }
    set(out, level, Some(name), message);
    Some(())
}

/// `name - LEVEL - message`, `LEVEL - message` and what people put between.
fn dashed<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (first, rest) = upto(rest, " - ")?;
    if placed_level(bare(first)).is_some() {
        let level = bare(first);
        // `LEVEL - name - message` only when the name looks like one.
        let named = upto(rest, " - ");
        match named.map(|(name, message)| (bare(name), message)) {
            Some((place, message)) if file_and_line(place).is_some() => {
                set(out, level, None, message);
                let (file, line) = file_and_line(place)?;
                out.put("file", file);
                out.put("line", line);
            }
            Some((name, message))
                if !name.contains(' ') && name.contains(['.', '_']) && is_name(name) =>
            {
                set(out, level, Some(name), message);
            }
            _ => set(out, level, None, rest),
        }
        return Some(());
    }
    let name = bare(first);
    let (mut next, mut message) = upto(rest, " - ")?;
    if capital_level(next) && is_name(name) {
        // By far the most frequent.
        if !message.starts_with('[') {
            set(out, next, Some(name), message);
            return Some(());
        }
    }
    if name.len() > 80 || name.bytes().filter(|byte| *byte == b' ').count() > 2 {
        return None;
    }
    let mut between: [Option<&'a str>; 3] = [None; 3];
    for slot in &mut between {
        if placed_level(bare(next)).is_some() {
            break;
        }
        *slot = Some(bare(next));
        (next, message) = upto(message, " - ")?;
    }
    let level = bare(next);
    placed_level(level)?;
    // `depot[4711]`
    let (name, pid) = match name
        .strip_suffix(']')
        .and_then(|name| name.rsplit_once('['))
    {
        Some((name, pid)) if is_number(pid) => (name, Some(pid)),
        _ => (name, None),
    };
    let (name, thread) = if between[0].is_some() && is_thread(name) && !is_dotted(name) {
        (between[0].take()?, Some(name))
    } else {
        (name, None)
    };
    // A place in the source may stand behind the level too.
    let behind = upto(message, " - ")
        .and_then(|(place, message)| Some((file_and_line(bare(place))?, message)));
    if let Some(((file, line), after)) = behind {
        out.put("file", file);
        out.put("line", line);
        message = after;
    }
    set(out, level, Some(name), message);
    out.put("pid", pid.unwrap_or(""));
    out.put("thread", thread.unwrap_or(""));
    for part in between.into_iter().flatten() {
        let known = |name: &str| out.metadata.iter().any(|(known, _)| known == name);
        if is_number(part) && !known("pid") {
            out.put("pid", part);
        } else if let Some((file, line)) = file_and_line(part) {
            out.put("file", file);
            out.put("line", line);
        } else if is_thread(part) && !known("thread") {
            out.put("thread", part);
        } else {
            super::fields::push_unique(out, "context", part);
        }
    }
    Some(())
}

fn loguru<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (level, rest) = upto(rest, " | ")?;
    let (place, message) = upto(rest, " - ")?;
    let mut parts = place.rsplitn(3, ':');
    let (line, function, module) = (parts.next()?, parts.next()?, parts.next()?);
    if !capital_level(level.trim_ascii()) || !is_number(line) || place.contains(' ') {
        return None;
    }
    set(out, level.trim_ascii(), Some(module), message);
    out.put("function", function);
    out.put("line", line);
    Some(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':')
        })
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn bracketed<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    if let Some(rest) = rest.strip_prefix(": ") {
        return celery(rest, out);
    }
    let rest = rest.strip_prefix("] ")?;
    if let Some(inner) = rest.strip_prefix('[') {
        // gunicorn.
        let (pid, rest) = inner.split_once("] [")?;
        let (level, message) = upto(rest, "] ")?;
        if !is_number(pid) || !capital_level(level) {
            return None;
        }
        set(out, level, None, message);
        out.put("pid", pid);
        return Some(());
    }
    // Flask.
    let (level, rest) = upto(rest, " in ")?;
    let (module, message) = upto(rest, ": ")?;
    if !capital_level(level) || !is_name(module) {
        return None;
    }
    set(out, level, Some(module), message);
    Some(())
}

/// `LEVEL/MainProcess] message`, of which a task's own lines begin with its name and id.
fn celery<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (head, message) = upto(rest, "] ")?;
    let (level, process) = head.split_once('/')?;
    if !capital_level(level) {
        return None;
    }
    set(out, level, None, message);
    out.put("process", process);
    if let Some((task, message)) = upto(message, ": ")
        && let Some((name, id)) = task.strip_suffix(']').and_then(|task| task.split_once('['))
        && is_name(name)
    {
        out.logger = Some(name.into());
        out.put("task_id", id);
        out.message = message.trim_ascii_end().into();
    } else if let Some((name, after)) = message
        .strip_prefix("Task ")
        .and_then(|rest| rest.split_once('['))
        && let Some((id, _)) = after.split_once(']')
        && is_name(name)
        && words::is_id(id)
    {
        // The worker tells of a task: received, succeeded, raised.
        out.put("task", name);
        out.put("task_id", id);
    }
    Some(())
}

/// `[I 260101 00:00:00 web:1946] message`.
fn tornado<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let letter = text.get(1..2)?;
    let level = letter
        .bytes()
        .next()
        .filter(|byte| matches!(byte, b'D' | b'I' | b'W' | b'E' | b'C'))?;
    let cut = stamp(text.get(3..)?, hint)?;
    let (place, message) = upto(cut.rest, "] ").or_else(|| upto(cut.rest, "]"))?;
    out.level = super::level::from_letter(level)?;
    out.set_time(cut.instant);
    let place = place.trim_ascii();
    match place.rsplit_once(':') {
        Some((module, line)) if is_number(line) => {
            out.logger = Some(module.into());
            out.put("line", line);
        }
        _ if !place.is_empty() => out.logger = Some(place.into()),
        _ => {}
    }
    out.message = message.trim_ascii_end().into();
    Some(())
}

fn unstamped<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (level, rest) = upto(text, ":")?;
    if !LEVELS.contains(&level) {
        return None;
    }
    let (name, message) = upto(rest, ":")?;
    if !is_name(name) {
        return None;
    }
    set(out, level, Some(name), message);
    Some(())
}

/// `uvicorn`: the level is filled up to ten letters, its colon among them.
///
/// Source: <https://github.com/encode/uvicorn/blob/master/uvicorn/logging.py>.
#[derive(Clone, Copy, Debug)]
pub struct Uvicorn;

impl Format for Uvicorn {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "uvicorn",
            source: "app/python",
            layer: Layer::Application,
            begins: Begins::these(b"DIWECT"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if uvicorn(line).is_some() {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        _: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let (level, message) =
            uvicorn(text).ok_or_else(|| self.mismatch("no level of ten letters"))?;
        set(out, level, None, message);
        Ok(())
    }
}

fn uvicorn(text: &str) -> Option<(&str, &str)> {
    const WIDTH: usize = 10;
    // A level of nine letters with its colon is followed by one blank, which says nothing.
    let level = LEVELS
        .iter()
        .find(|level| text.starts_with(**level))
        .filter(|level| level.len() < 8)?;
    let message = text.get(level.len()..)?.strip_prefix(':')?;
    let blanks = message.len() - message.trim_start_matches(' ').len();
    (level.len() + 1 + blanks == WIDTH && message.len() > blanks)
        .then(|| (*level, message.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_usual_servers() {
        let cases = [
            (
                "2026-01-01 00:00:00,123 - app.views - ERROR - it - broke",
                "ERROR",
                Some("app.views"),
                "it - broke",
            ),
            (
                "2026-01-01 00:00:00,123 - INFO - started",
                "INFO",
                None,
                "started",
            ),
            ("WARNING:root:low disk", "WARNING", Some("root"), "low disk"),
            (
                "2026-01-01 00:00:00,123 DEBUG app.db: query",
                "DEBUG",
                Some("app.db"),
                "query",
            ),
            (
                "2026-01-01 00:00:00,123 [CRITICAL] app: down",
                "CRITICAL",
                Some("app"),
                "down",
            ),
            (
                "2026-01-01 00:00:00,123 - [ERROR] - app - broke",
                "ERROR",
                None,
                "app - broke",
            ),
            (
                "2026-01-01 00:00:00,123 - [app.db] - ERROR - broke",
                "ERROR",
                Some("app.db"),
                "broke",
            ),
            (
                "2026-01-01 00:00:00,123 - app[42] - ERROR - broke",
                "ERROR",
                Some("app"),
                "broke",
            ),
            (
                "2026-01-01 00:00:00,123 - MainThread - app - ERROR - broke",
                "ERROR",
                Some("app"),
                "broke",
            ),
            (
                "2026-01-01 00:00:00,123 - app - 42 - main.py:7 - ERROR - broke",
                "ERROR",
                Some("app"),
                "broke",
            ),
            (
                "2026-01-01 00:00:00,123 - app - ERROR - [main.py:7] - broke",
                "ERROR",
                Some("app"),
                "broke",
            ),
            (
                "2026-01-01 00:00:00,123 - ERROR - [main.py:7] - broke",
                "ERROR",
                None,
                "broke",
            ),
            (
                "[I 260101 00:00:00 web:1946] 200 GET /",
                "INFO",
                Some("web"),
                "200 GET /",
            ),
            (
                "[W 2026-01-01 00:00:00.123 ServerApp] No TLS",
                "WARNING",
                Some("ServerApp"),
                "No TLS",
            ),
            (
                "[2026-01-01 00:00:00,123] ERROR in app: Exception on /x [GET]",
                "ERROR",
                Some("app"),
                "Exception on /x [GET]",
            ),
            (
                "[2026-01-01 00:00:00 +0000] [42] [INFO] Booting worker",
                "INFO",
                None,
                "Booting worker",
            ),
            (
                "[2026-01-01 00:00:00,123: WARNING/ForkPoolWorker-1] app.tasks.add[a-1]: slow",
                "WARNING",
                Some("app.tasks.add"),
                "slow",
            ),
            (
                "2026-01-01 00:00:00.123 | SUCCESS  | app.main:run:12 - done",
                "INFO",
                Some("app.main"),
                "done",
            ),
        ];
        for (text, level, logger, message) in cases {
            let mut out = Parsed::default();
            assert!(Python.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(out.level.name(), level, "{text}");
            assert_eq!(out.logger.as_deref(), logger, "{text}");
            assert_eq!(out.message, message, "{text}");
        }
        for text in [
            "hello",
            "2026-01-01 00:00:00,123 [main] INFO a.B - c",
            "2026-01-01 00:00:00 hello there",
            "HTTP:a:b",
            "NOTE:  this",
            "2026-01-01 00:00:00,123 INFO some words here",
            "2026-01-01 00:00:00,123 ERROR ValueError: bad",
            "[1/3] x",
        ] {
            assert!(
                Python
                    .parse(text, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn levels_of_ten_letters() {
        for (text, level, message) in [
            (
                "INFO:     Application startup complete.",
                "INFO",
                "Application startup complete.",
            ),
            ("WARNING:  changes found", "WARNING", "changes found"),
            (
                "ERROR:    Exception in ASGI application",
                "ERROR",
                "Exception in ASGI application",
            ),
        ] {
            let mut out = Parsed::default();
            assert!(Uvicorn.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!((out.level.name(), out.message.as_ref()), (level, message));
        }
        for text in [
            "ERROR:  relation does not exist",
            "INFO: one blank",
            "INFO:root:x",
            "WARNING:  ",
        ] {
            assert_eq!(Uvicorn.opens(text), Opens::No, "{text}");
        }
    }
}
