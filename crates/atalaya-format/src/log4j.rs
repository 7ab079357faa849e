//! Java's logging as Log4j, Logback and the usual servers write it by default:
//!
//! - `2026-01-01 00:00:00,123 [thread] LEVEL logger - message` (Log4j; Logback without the date)
//! - `2026-01-01 00:00:00,123 LEVEL [thread] logger - message`
//! - `2026-01-01T00:00:00.000Z  INFO 1 --- [app] [thread] logger : message` (Spring Boot)
//! - `[2026-01-01T00:00:00,123][LEVEL][logger] [node] message` (Elasticsearch)
//! - `2026-01-01 00:00:00,123 LEVEL [logger] (thread) message` (`WildFly`, Quarkus)
//! - `LEVEL  [thread] 2026-01-01 00:00:00,123 Class.java:1 - message` (Cassandra)
//! - `[2026-01-01 00:00:00,123] LEVEL message (logger)` (Kafka)
//! - `01-Jan-2026 00:00:00.123 LEVEL [thread] logger message` (Tomcat)
//! - `2026-01-01 00:00:00,123 | LEVEL | message | logger | thread` (`ActiveMQ`), and Karaf's order
//!
//! Other patterns are read by [`super::app_line`].

use super::app_line::stamp::{may_be_stamp, prose_behind_iso, stamp};
use super::app_line::words::{is_dotted, is_id};
use super::python::{capital_level, set_level, upto};
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};
use atalaya_domain::record::Layer;

mod spring;

/// `log4j`.
#[derive(Clone, Copy, Debug)]
pub struct Log4j;

impl Format for Log4j {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "log4j",
            source: "app/java",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"[ ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
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
            Some(b'0'..=b'9') => may_be_stamp(bytes) && !prose_behind_iso(line),
            Some(b'[') => bytes.get(1).is_some_and(u8::is_ascii_digit),
            // Cassandra, or a month of Elasticsearch and others.
            _ => {
                let bare = line.trim_start_matches(' ');
                let word = bare
                    .bytes()
                    .take(9)
                    .take_while(u8::is_ascii_uppercase)
                    .count();
                let blank = bare.get(word..).is_some_and(|rest| rest.starts_with(' '));
                word >= 4
                    && blank
                    && bare
                        .get(word..)
                        .is_some_and(|rest| rest.trim_start_matches(' ').starts_with('['))
            }
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no header of Log4j or Logback"))
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
    for separator in [" - ", " : ", ": "] {
        let Some((name, message)) = upto(rest, separator) else {
            continue;
        };
        let mut name = name.trim_ascii_end();
        // Nexus: the user stands before the logger.
        if let Some((user, class)) = split::once(name, b' ').filter(|(_, class)| is_dotted(class))
            && separator == " - "
            && user.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'_' | b'.' | b'-')
            })
        {
            name = class;
            if user.starts_with('*') {
                out.put("user", user);
            } else {
                out.user_id = Some(user.into());
            }
        }
        if is_logger(name) && !name.starts_with('-') {
            out.logger = Some(name.into());
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
            out.put("thread", thread.trim_ascii());
            logger_and_message(cut.rest, out)
        }
        _ => None,
    }
}

/// What stands in the bracket of the thread, where patterns have the request's id as well.
fn put_thread<'a>(inside: &'a str, out: &mut Parsed<'a>) {
    let thread = inside.trim_ascii();
    if out.request_id.is_none() && is_id(thread) {
        out.request_id = Some(thread.into());
    } else {
        out.put("thread", thread);
    }
}

fn stamped<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let rest = rest.strip_prefix(' ')?.trim_ascii_start();
    if let Some(columns) = rest.strip_prefix("| ") {
        return piped(columns, out);
    }
    let Some((word, rest)) = level(rest) else {
        // `[thread] LEVEL logger - message`
        let (thread, rest) = bracket(rest)?;
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix("- ").unwrap_or(rest);
        let (word, rest) = level(rest)?;
        put_thread(thread, out);
        set_level(out, word);
        return logger_and_message(rest, out);
    };
    set_level(out, word);
    let rest = rest.trim_ascii_start();
    if let Some((before, after)) = upto(rest, "--- [") {
        return spring::read(before, rest.get(rest.len() - after.len() - 1..)?, out);
    }
    let (inside, rest) = bracket(rest)?;
    let after = rest.trim_ascii_start();
    if after.starts_with('(')
        && let Some((thread, message)) = upto(after, ") ")
    {
        // WildFly.
        out.logger = Some(inside.trim_ascii().into());
        out.put("thread", thread.trim_start_matches('('));
        out.message = message.trim_ascii_end().into();
        return Some(());
    }
    put_thread(inside, out);
    if logger_and_message(rest, out).is_some() {
        return Some(());
    }
    // Tomcat puts nothing between logger and message.
    let (name, message) =
        split::once(after, b' ').filter(|(name, _)| name.contains('.') && is_logger(name))?;
    out.logger = Some(name.into());
    out.message = message.trim_ascii_end().into();
    Some(())
}

/// `LEVEL | message | logger | thread` (`ActiveMQ`), `LEVEL | thread | logger | bundle | message` (Karaf).
fn piped<'a>(columns: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (word, rest) = upto(columns, " | ")?;
    if !capital_level(word.trim_ascii()) {
        return None;
    }
    let line = rest.lines().next()?;
    let mut parts = line.splitn(4, " | ");
    if let (Some(thread), Some(logger), Some(bundle), Some(_)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
        && bundle.trim_ascii().split(" - ").count() == 3
        && is_logger(logger.trim_ascii())
    {
        let used = thread.len() + logger.len() + bundle.len() + 9;
        out.message = rest.get(used..)?.trim_ascii_end().into();
        out.put("thread", thread.trim_ascii());
        out.logger = Some(logger.trim_ascii().into());
        out.put("bundle", bundle.trim_ascii());
        set_level(out, word.trim_ascii());
        return Some(());
    }
    let mut parts = line.rsplitn(3, " | ");
    let (thread, logger, message) = (parts.next()?, parts.next()?, parts.next()?);
    if !is_dotted(logger.trim_ascii()) {
        return None;
    }
    set_level(out, word.trim_ascii());
    out.logger = Some(logger.trim_ascii().into());
    out.put("thread", thread.trim_ascii());
    let more = rest.get(line.len()..).unwrap_or("");
    out.message = joined(message, more);
    Some(())
}

/// A message whose header stands behind it, with the lines that follow.
fn joined<'a>(message: &'a str, more: &'a str) -> std::borrow::Cow<'a, str> {
    if more.trim_ascii().is_empty() {
        message.trim_ascii().into()
    } else {
        format!("{}{more}", message.trim_ascii()).into()
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
    out.message = joined(message, after.get(line.len()..).unwrap_or(""));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
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
            (
                "00:00:00.123 [http-nio-1] WARN c.e.App - slow - very",
                "WARNING",
                "c.e.App",
                "slow - very",
            ),
            (
                "2026-01-01 00:00:00,123 ERROR [main] c.e.App: broke",
                "ERROR",
                "c.e.App",
                "broke",
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
            (
                "2026-01-01 00:00:00,123 | WARN  | slow | disk | org.apache.activemq.Broker | main",
                "WARNING",
                "org.apache.activemq.Broker",
                "slow | disk",
            ),
            (
                "2026-01-01T00:00:00,123 | INFO  | main | o.a.k.Main | 12 - o.a.k.main - 4.4.1 | up",
                "INFO",
                "o.a.k.Main",
                "up",
            ),
            (
                "2026-01-01 00:00:00,123 INFO  [qtp-12] *SYSTEM org.sonatype.X - up",
                "INFO",
                "org.sonatype.X",
                "up",
            ),
        ];
        for (text, level, logger, message) in cases {
            let mut out = Parsed::default();
            assert_eq!(Log4j.opens(text), Opens::Parsed, "{text}");
            assert!(Log4j.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(out.level.name(), level, "{text}");
            assert_eq!(out.logger.as_deref(), Some(logger), "{text}");
            assert_eq!(out.message, message, "{text}");
            assert!(out.timestamp.is_some(), "{text}");
        }
        for text in [
            "hello",
            "2026-01-01 00:00:00,123 - a - INFO - b",
            "\tat a.B.c(D.java:1)",
            "INFO words",
            "2026-01-01 00:00:00,123 [main] INFO - no logger",
        ] {
            assert!(
                Log4j
                    .parse(text, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{text}"
            );
        }
    }
}
