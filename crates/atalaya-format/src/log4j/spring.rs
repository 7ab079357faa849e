//! Spring Boot's line: `LEVEL pid --- [application] [thread] [trace-span] logger : message`.
//!
//! Sleuth, before Spring Boot 3, puts `[application,trace,span,exported]` before the process.
//!
//! Sources: `logging/logback/defaults.xml` in <https://github.com/spring-projects/spring-boot>, and
//! <https://docs.spring.io/spring-cloud-sleuth/docs/current/reference/html/>.

use super::super::Parsed;
use super::super::app_line::words::{is_id, is_name, is_number};
use super::super::fields::push_unique;
use super::super::python::upto;
use super::bracket;

/// The column of a correlation that is empty is wider than that of a thread without a name.
const THREAD_WIDTH: usize = 20;

/// `before` stands before the dashes, `rest` begins with the first bracket.
pub fn read<'a>(before: &'a str, rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let before = before.trim_ascii();
    let (correlation, pid) = match before.rsplit_once(' ') {
        Some((correlation, pid)) => (correlation, pid),
        None if before.starts_with('[') => (before, ""),
        None => ("", before),
    };
    if !(pid.is_empty() || is_number(pid)) {
        return None;
    }
    out.put("pid", pid);
    correlate(correlation.trim_matches(['[', ']', ' ']), out);
    let mut rest = rest;
    let mut brackets: [Option<&str>; 4] = [None; 4];
    for slot in &mut brackets {
        let Some((inside, after)) = bracket(rest) else {
            break;
        };
        *slot = Some(inside);
        rest = after.trim_ascii_start();
    }
    let [first, second, third, fourth] = brackets;
    let empty = |slot: Option<&str>| slot.is_none_or(|text| text.trim_ascii().is_empty());
    let named = |slot: Option<&'a str>| slot.unwrap_or("").trim_ascii();
    let second_is_thread = !empty(second) && !is_correlation(named(second))
        || empty(second) && second.is_some_and(|text| text.len() <= THREAD_WIDTH);
    if second_is_thread {
        out.put("application", named(first));
        out.put("thread", named(second));
    } else {
        out.put("thread", named(first));
        correlate(named(second), out);
    }
    for slot in [third, fourth] {
        correlate(named(slot), out);
    }
    let (name, message) = upto(rest, " : ").or_else(|| upto(rest, ": "))?;
    out.logger = Some(name.trim_ascii().into());
    out.message = message.trim_ascii_end().into();
    Some(())
}

/// The trace and the span in `trace-span`.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (trace, span) = text.split_once('-')?;
    let is_span = span.len() == 16 && span.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_trace(trace) && is_span).then_some((trace, span))
}

fn is_trace(text: &str) -> bool {
    is_id(text)
        || matches!(text.len(), 16 | 32) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_correlation(text: &str) -> bool {
    text.is_empty()
        || pair(text).is_some()
        || text.contains(',')
        || text.contains('=')
        || is_trace(text)
}

/// `trace-span`, `application,trace,span,true`, `traceId=…,spanId=…`.
fn correlate<'a>(text: &'a str, out: &mut Parsed<'a>) {
    if let Some((trace, span)) = pair(text) {
        set(out, trace, span);
        return;
    }
    let (mut trace, mut span) = ("", "");
    for (at, part) in text.split([',', ' ']).map(str::trim_ascii).enumerate() {
        if let Some((name, value)) = part.split_once('=') {
            match name.to_ascii_lowercase().as_str() {
                "traceid" | "trace_id" | "requestid" | "request_id" | "correlationid"
                    if trace.is_empty() =>
                {
                    trace = value;
                }
                "spanid" | "span_id" => span = value,
                _ => push_unique(out, name, value),
            }
        } else if is_trace(part) {
            match trace {
                "" => trace = part,
                _ => span = part,
            }
        } else if at == 0 && is_name(part) && text.contains(',') {
            push_unique(out, "application", part);
        } else if matches!(part, "true" | "false") {
            push_unique(out, "exported", part);
        } else {
            push_unique(out, "correlation", part);
        }
    }
    set(out, trace, span);
}

fn set<'a>(out: &mut Parsed<'a>, trace: &'a str, span: &'a str) {
    if out.request_id.is_none() && !trace.is_empty() {
        out.request_id = Some(trace.into());
    } else {
        push_unique(out, "trace_id", trace);
    }
    push_unique(out, "span_id", span);
}

#[cfg(test)]
mod tests {
    use super::super::super::Format as _;
    use super::super::super::app_line::ANY_HINT;
    use super::super::Log4j;
    use super::*;

    #[test]
    fn lines_of_spring_boot() {
        const TRACE: &str = "65f1c2d3e4f5061728394a5b6c7d8e9f";
        for (text, message, request, metadata) in [
            (
                "2026-01-01T00:00:00.000Z  INFO 1 --- [main] c.e.App                  : up",
                "up",
                None,
                &[("thread", "main"), ("pid", "1")][..],
            ),
            (
                "2026-01-01 00:00:00.000  INFO 1 --- [main                     ] c.e.App : up : now",
                "up : now",
                None,
                &[("thread", "main")],
            ),
            (
                "2026-01-01T00:00:00.000+01:00 ERROR 7 --- [shop] [nio-8080-exec-1] [65f1c2d3e4f5061728394a5b6c7d8e9f-0011223344556677] c.e.App : bad",
                "bad",
                Some(TRACE),
                &[
                    ("application", "shop"),
                    ("thread", "nio-8080-exec-1"),
                    ("span_id", "0011223344556677"),
                ],
            ),
            (
                "2026-01-01T00:00:00.000Z  INFO 7 --- [           main] [                                                 ] c.e.App : up",
                "up",
                None,
                &[("thread", "main")],
            ),
            (
                "2026-01-01 00:00:00.123  INFO [orders,65f1c2d3e4f5061728394a5b6c7d8e9f,0011223344556677,true] 7 --- [exec-1] c.e.App : paid",
                "paid",
                Some(TRACE),
                &[
                    ("application", "orders"),
                    ("span_id", "0011223344556677"),
                    ("exported", "true"),
                ],
            ),
            (
                "2026-01-01 00:00:00.123  INFO [orders,,,] 7 --- [           main] c.e.App : up",
                "up",
                None,
                &[("application", "orders"), ("thread", "main")],
            ),
            (
                "2026-01-01 00:00:00.123  INFO [traceId=65f1c2d3e4f5061728394a5b6c7d8e9f,spanId=0011223344556677] 7 --- [main] c.e.App : up",
                "up",
                Some(TRACE),
                &[("span_id", "0011223344556677")],
            ),
        ] {
            let mut out = Parsed::default();
            assert!(Log4j.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.logger.as_deref(), out.message.as_ref()),
                (Some("c.e.App"), message),
                "{text}"
            );
            assert_eq!(out.request_id.as_deref(), request, "{text}");
            for (name, value) in metadata {
                let found = out
                    .metadata
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, text)| text.as_ref());
                assert_eq!(found, Some(*value), "{name} of {text}");
            }
        }
    }
}
