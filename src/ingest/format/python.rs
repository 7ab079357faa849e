//! Python's `logging` as its defaults and the usual servers write it:
//!
//! - `2026-01-01 00:00:00,123 - name - LEVEL - message` (the documentation's example)
//! - `LEVEL:name:message` (`basicConfig`)
//! - `2026-01-01 00:00:00,123 LEVEL name: message`, also with the level in brackets
//! - `[2026-01-01 00:00:00,123] LEVEL in module: message` (Flask)
//! - `[2026-01-01 00:00:00 +0000] [42] [LEVEL] message` (gunicorn)
//! - `[2026-01-01 00:00:00,123: LEVEL/MainProcess] message` (Celery)
//! - `2026-01-01 00:00:00.123 | LEVEL    | module:function:line - message` (loguru)
//! - `LEVEL:     message` (uvicorn)

use super::fields::{keep_severity, worded};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, SourceZone, TimeHint, time, trace};
use crate::domain::record::Layer;
use crate::domain::time::Timestamp;

/// `python`.
#[derive(Clone, Copy, Debug)]
pub struct Python;

/// A header is short; what is searched for in it must stand near.
const NEAR: usize = 200;

/// Whether a line has a header does not depend on the hint.
pub const ANY_HINT: TimeHint =
    TimeHint { reference: Timestamp::from_seconds(1_700_000_000), zone: SourceZone::Utc };

impl Format for Python {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "python",
            source: "app/python",
            layer: Layer::Application,
            begins: Begins::ANY,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no header of Python's logging"))
    }
}

fn starts_with_stamp(text: &str) -> bool {
    text.trim_start_matches('[').starts_with(|first: char| first.is_ascii_digit())
}

/// The text up to a separator that stands near and on the same line, and what follows it.
pub fn upto<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let near = text.as_bytes().get(..NEAR.min(text.len()))?;
    let at = memchr::memmem::find(near, separator.as_bytes())?;
    let head = text.get(..at)?;
    (!head.contains('\n')).then(|| (head, text.get(at + separator.len()..).unwrap_or("")))
}

/// A level in capitals, as headers have it.
pub fn capital_level(word: &str) -> bool {
    word.len() >= 3
        && word.len() <= 13
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
        && worded(word).is_some()
}

/// Puts a level word in its place.
pub fn set_level<'a>(out: &mut Parsed<'a>, word: &'a str) {
    if let Some(level) = worded(word) {
        out.level = level;
        keep_severity(out, word.into());
    }
}

fn set<'a>(out: &mut Parsed<'a>, level: &'a str, logger: Option<&'a str>, message: &'a str) {
    set_level(out, level);
    out.logger = logger.map(str::trim_ascii).filter(|name| !name.is_empty()).map(Into::into);
    out.message = message.trim_ascii_end().into();
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    match *text.as_bytes().first()? {
        b'0'..=b'9' => {
            let cut = time::iso(text, hint)?;
            out.set_time(cut.instant);
            stamped(cut.rest, out)
        }
        b'[' => {
            let cut = time::iso(text.get(1..)?, hint)?;
            out.set_time(cut.instant);
            bracketed(cut.rest, out)
        }
        b'A'..=b'Z' => unstamped(text, out),
        _ => None,
    }
}

fn stamped<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    if let Some(rest) = rest.strip_prefix(" - ") {
        let (first, rest) = upto(rest, " - ")?;
        if capital_level(first.trim_ascii()) {
            let level = first.trim_ascii();
            // `LEVEL - name - message` only when the name looks like one.
            let named =
                upto(rest, " - ").filter(|(name, _)| !name.contains(' ') && name.contains(['.', '_']));
            match named {
                Some((name, message)) => set(out, level, Some(name), message),
                None => set(out, level, None, rest),
            }
            return Some(());
        }
        let (second, message) = upto(rest, " - ")?;
        let level = second.trim_ascii();
        if capital_level(level) {
            set(out, level, Some(first), message);
            return Some(());
        }
        // `name - pid - LEVEL - message` and the like.
        let (third, message) = upto(message, " - ")?;
        let level = third.trim_ascii();
        if !capital_level(level) {
            return None;
        }
        out.put("context", second);
        set(out, level, Some(first), message);
        return Some(());
    }
    if let Some(rest) = rest.strip_prefix(" | ") {
        let (level, rest) = upto(rest, " | ")?;
        if !capital_level(level.trim_ascii()) {
            return None;
        }
        let (place, message) = upto(rest, " - ").unwrap_or(("", rest));
        set(out, level.trim_ascii(), None, message);
        let mut parts = place.rsplitn(3, ':');
        if let (Some(line), Some(function), Some(module)) = (parts.next(), parts.next(), parts.next()) {
            out.logger = Some(module.into());
            out.put("function", function);
            out.put("line", line);
        }
        return Some(());
    }
    let rest = rest.strip_prefix(' ')?.trim_ascii_start();
    let (word, after) = upto(rest, " ")?;
    let bare = word.trim_matches(['[', ']', ':']);
    if !capital_level(bare) {
        return None;
    }
    // A thread in brackets behind the level is Java's habit.
    let after = after.trim_ascii_start();
    if after.starts_with('[')
        || after.starts_with("--- [")
        || after.contains(" --- [") && !word.starts_with('[')
    {
        return None;
    }
    let named = upto(after, ": ").filter(|(name, _)| is_name(name));
    match named {
        Some((name, message)) => set(out, bare, Some(name), message),
        None => match upto(after, " - ").filter(|(name, _)| is_name(name)) {
            Some((name, message)) => set(out, bare, Some(name), message),
            None => match upto(after, " ")
                .filter(|(name, _)| name.contains('.') && is_name(name) && !name.ends_with('.'))
            {
                Some((name, message)) => set(out, bare, Some(name), message),
                None => set(out, bare, None, after),
            },
        },
    }
    Some(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn bracketed<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    if let Some(rest) = rest.strip_prefix(": ") {
        // Celery.
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
        }
        return Some(());
    }
    let rest = rest.strip_prefix("] ")?;
    if let Some(inner) = rest.strip_prefix('[') {
        // gunicorn.
        let (pid, rest) = inner.split_once("] [")?;
        let (level, message) = upto(rest, "] ")?;
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || !capital_level(level) {
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

fn unstamped<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (level, rest) = upto(text, ":")?;
    if !capital_level(level) {
        return None;
    }
    if rest.starts_with("  ") {
        // uvicorn.
        set(out, level, None, rest.trim_ascii_start());
        return Some(());
    }
    let (name, message) = upto(rest, ":")?;
    if !is_name(name) {
        return None;
    }
    set(out, level, Some(name), message);
    Some(())
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
            ("2026-01-01 00:00:00,123 - INFO - started", "INFO", None, "started"),
            ("WARNING:root:low disk", "WARNING", Some("root"), "low disk"),
            ("2026-01-01 00:00:00,123 DEBUG app.db: query", "DEBUG", Some("app.db"), "query"),
            ("2026-01-01 00:00:00,123 [CRITICAL] app: down", "CRITICAL", Some("app"), "down"),
            ("2026-01-01 00:00:00,123 INFO some words here", "INFO", None, "some words here"),
            (
                "[2026-01-01 00:00:00,123] ERROR in app: Exception on /x [GET]",
                "ERROR",
                Some("app"),
                "Exception on /x [GET]",
            ),
            ("[2026-01-01 00:00:00 +0000] [42] [INFO] Booting worker", "INFO", None, "Booting worker"),
            (
                "[2026-01-01 00:00:00,123: WARNING/ForkPoolWorker-1] app.tasks.add[a-1]: slow",
                "WARNING",
                Some("app.tasks.add"),
                "slow",
            ),
            ("2026-01-01 00:00:00.123 | SUCCESS  | app.main:run:12 - done", "INFO", Some("app.main"), "done"),
            (
                "INFO:     127.0.0.1:1 - \"GET / HTTP/1.1\" 200 OK",
                "INFO",
                None,
                "127.0.0.1:1 - \"GET / HTTP/1.1\" 200 OK",
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
        ] {
            assert!(Python.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(), "{text}");
        }
    }
}
