//! Java's logging as Log4j, Logback and the usual servers write it by default:
//!
//! - `2026-01-01 00:00:00,123 [thread] LEVEL logger - message` (Log4j; Logback without the date)
//! - `2026-01-01 00:00:00,123 LEVEL [thread] logger - message`
//! - `2026-01-01T00:00:00.000Z  INFO 1 --- [app] [thread] logger : message` (Spring Boot)
//! - `[2026-01-01T00:00:00,123][LEVEL][logger] [node] message` (Elasticsearch)
//! - `2026-01-01 00:00:00,123 LEVEL [logger] (thread) message` (`WildFly`)
//! - `LEVEL  [thread] 2026-01-01 00:00:00,123 Class.java:1 - message` (Cassandra)
//! - `[2026-01-01 00:00:00,123] LEVEL message (logger)` (Kafka)
//! - `01-Jan-2026 00:00:00.123 LEVEL [thread] logger message` (Tomcat)

use super::python::{ANY_HINT, capital_level, set_level, upto};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, time, trace};
use crate::domain::record::Layer;

/// `log4j`.
#[derive(Clone, Copy, Debug)]
pub struct Log4j;

impl Format for Log4j {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "log4j",
            source: "app/java",
            layer: Layer::Application,
            begins: Begins::ANY,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no header of Log4j or Logback"))
    }
}

fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    match text.as_bytes() {
        [_, _, b':', ..] => time::time_of_day(text, hint),
        [_, _, b'-', ..] => time::day_first(text, hint),
        _ => time::iso(text, hint),
    }
}

/// A level with or without brackets at the start, and what follows it.
fn level(text: &str) -> Option<(&str, &str)> {
    let bare = text.trim_ascii_start();
    if let Some(inner) = bare.strip_prefix('[') {
        let (word, rest) = upto(inner, "]")?;
        let word = word.trim_ascii();
        return capital_level(word).then_some((word, rest));
    }
    let (word, rest) = upto(bare, " ")?;
    capital_level(word).then_some((word, rest))
}

/// `[…]` at the start; brackets may nest (`[[ACTIVE] ExecuteThread: '1']`).
fn bracket(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate().take(300) {
        match byte {
            b'[' => open += 1,
            b']' => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some((text.get(1..at)?, text.get(at + 1..)?));
                }
            }
            b'\n' => return None,
            _ if open == 0 => return None,
            _ => {}
        }
    }
    None
}

fn is_logger(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'_' | b'-' | b'$' | b'/' | b':' | b'[' | b']')
        })
}

/// `logger - message` and its kin; the separator decides.
fn logger_and_message<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    for separator in [" - ", " : ", ": "] {
        if let Some((name, message)) = upto(rest, separator)
            && is_logger(name.trim_ascii_end())
        {
            out.logger = Some(name.trim_ascii_end().into());
            out.message = message.trim_ascii_end().into();
            return Some(());
        }
    }
    None
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    match *text.as_bytes().first()? {
        b'0'..=b'9' => {
            let cut = stamp(text, hint)?;
            out.set_time(cut.instant);
            stamped(cut.rest, out)
        }
        b'[' => {
            let cut = stamp(text.get(1..)?, hint)?;
            out.set_time(cut.instant);
            bracketed(cut.rest.strip_prefix(']')?, out)
        }
        b'A'..=b'Z' | b' ' => {
            // Cassandra.
            let (word, rest) = level(text)?;
            let (thread, rest) = bracket(rest.trim_ascii_start())?;
            let cut = stamp(rest.trim_ascii_start(), hint)?;
            set_level(out, word);
            out.set_time(cut.instant);
            out.put("thread", thread);
            logger_and_message(cut.rest, out)
        }
        _ => None,
    }
}

fn stamped<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let rest = rest.strip_prefix(' ')?.trim_ascii_start();
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let Some((word, rest)) = level(rest) else {
        // `[thread] LEVEL logger - message`
        let (thread, rest) = bracket(rest)?;
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix("- ").unwrap_or(rest);
        let (word, rest) = level(rest)?;
        out.put("thread", thread);
        set_level(out, word);
        return logger_and_message(rest, out).or_else(|| {
            out.message = rest.trim_ascii().into();
            Some(())
        });
    };
    set_level(out, word);
    let rest = rest.trim_ascii_start();
    if let Some((pid, rest)) = upto(rest, " --- ") {
        // Spring Boot; a trace id may stand in the last bracket or before the process.
        let (correlation, pid) = pid.rsplit_once(' ').unwrap_or(("", pid));
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        out.put("pid", pid);
        correlate(correlation.trim_matches(['[', ']', ' ']), out);
        let mut rest = rest.trim_ascii_start();
        let mut brackets = Vec::new();
        while let Some((inside, after)) = bracket(rest) {
            brackets.push(inside.trim_ascii());
            rest = after.trim_ascii_start();
        }
        match *brackets.as_slice() {
            [] => {}
            [thread] => out.put("thread", thread),
            [application, thread, ref more @ ..] => {
                out.put("application", application);
                out.put("thread", thread);
                for inside in more {
                    correlate(inside, out);
                }
            }
        }
        let (name, message) = upto(rest, " : ").or_else(|| upto(rest, ": "))?;
        out.logger = Some(name.trim_ascii().into());
        out.message = message.trim_ascii_end().into();
        return Some(());
    }
    let (inside, rest) = bracket(rest)?;
    let after = rest.trim_ascii_start();
    if after.starts_with('(')
        && let Some((thread, message)) = upto(after, ") ")
    {
        // WildFly.
        out.logger = Some(inside.into());
        out.put("thread", thread.trim_start_matches('('));
        out.message = message.trim_ascii_end().into();
        return Some(());
    }
    out.put("thread", inside);
    if logger_and_message(rest, out).is_some() {
        return Some(());
    }
    // Tomcat puts nothing between logger and message.
    if let Some((name, message)) =
        after.split_once(' ').filter(|(name, _)| name.contains('.') && is_logger(name))
    {
        out.logger = Some(name.into());
        out.message = message.trim_ascii_end().into();
    } else {
        out.message = after.trim_ascii_end().into();
    }
    Some(())
}

/// Spring's `trace-span` pair, or Sleuth's `application,trace,span`.
fn correlate<'a>(text: &'a str, out: &mut Parsed<'a>) {
    let text = text.trim_ascii();
    if text.is_empty() {
        return;
    }
    let parts: Vec<&str> = text.split([',', '-']).map(str::trim_ascii).collect();
    let is_id = |part: &&str| part.len() >= 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts.iter().copied().find(is_id) {
        Some(trace) => {
            out.request_id = Some(trace.into());
            if let Some(span) = parts.iter().copied().filter(is_id).nth(1) {
                out.put("span_id", span);
            }
        }
        None => out.put("correlation", text),
    }
}

fn bracketed<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (word, after) = level(rest)?;
    set_level(out, word);
    if rest.starts_with('[') {
        // Elasticsearch.
        let (name, after) = bracket(after)?;
        out.logger = Some(name.trim_ascii().into());
        let mut rest = after.trim_ascii_start();
        if let Some((node, after)) = bracket(rest) {
            out.put("node", node.trim_ascii());
            rest = after.trim_ascii_start();
        }
        out.message = rest.trim_ascii_end().into();
        return Some(());
    }
    // Kafka: the logger stands in parentheses at the end of the first line.
    let line = after.split('\n').next()?;
    let (message, name) = line.trim_ascii_end().strip_suffix(')')?.rsplit_once(" (")?;
    if !is_logger(name) {
        return None;
    }
    out.logger = Some(name.into());
    let more = after.get(line.len()..).unwrap_or("");
    out.message = if more.trim_ascii().is_empty() {
        message.trim_ascii().into()
    } else {
        format!("{}{more}", message.trim_ascii()).into()
    };
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_usual_servers() {
        let cases = [
            (
                "2026-01-01 00:00:00,123 [main] INFO  com.example.App - started",
                "INFO",
                "com.example.App",
                "started",
            ),
            ("00:00:00.123 [http-nio-1] WARN c.e.App - slow - very", "WARNING", "c.e.App", "slow - very"),
            ("2026-01-01 00:00:00,123 ERROR [main] c.e.App: broke", "ERROR", "c.e.App", "broke"),
            (
                "2026-01-01T00:00:00.000Z  INFO 1 --- [main] c.e.App                  : up",
                "INFO",
                "c.e.App",
                "up",
            ),
            (
                "2026-01-01T00:00:00.000+01:00 ERROR 7 --- [shop] [nio-8080-exec-1] [65f1c2d3e4f5061728394a5b6c7d8e9f-0011223344556677] c.e.App : bad",
                "ERROR",
                "c.e.App",
                "bad",
            ),
            (
                "[2015-12-06 01:44:16,735][INFO ][node                     ] [Zach] initialized",
                "INFO",
                "node",
                "initialized",
            ),
            (
                "2026-01-01 00:00:00,123 FATAL [org.jboss.as] (main) WFLYSRV0025: x",
                "CRITICAL",
                "org.jboss.as",
                "WFLYSRV0025: x",
            ),
            (
                "WARN  [main] 2026-01-01 00:00:00,123 StartupChecks.java:136 - jemalloc",
                "WARNING",
                "StartupChecks.java:136",
                "jemalloc",
            ),
            (
                "[2026-01-01 00:00:00,123] INFO [Broker id=1] ready (kafka.server.KafkaServer)",
                "INFO",
                "kafka.server.KafkaServer",
                "[Broker id=1] ready",
            ),
            (
                "01-Jan-2026 00:00:00.123 SEVERE [main] org.apache.catalina.Core.start Failed",
                "ERROR",
                "org.apache.catalina.Core.start",
                "Failed",
            ),
        ];
        for (text, level, logger, message) in cases {
            let mut out = Parsed::default();
            assert!(Log4j.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(out.level.name(), level, "{text}");
            assert_eq!(out.logger.as_deref(), Some(logger), "{text}");
            assert_eq!(out.message, message, "{text}");
            assert!(out.timestamp.is_some(), "{text}");
        }
        let mut out = Parsed::default();
        assert!(Log4j.parse(cases[4].0, &ANY_HINT, &mut out).is_ok());
        assert_eq!(out.request_id.as_deref(), Some("65f1c2d3e4f5061728394a5b6c7d8e9f"));
        for text in ["hello", "2026-01-01 00:00:00,123 - a - INFO - b", "\tat a.B.c(D.java:1)", "INFO words"]
        {
            assert!(Log4j.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(), "{text}");
        }
    }
}
