//! Rust's `tracing` as its default subscriber prints events:
//! `2024-05-01T10:00:01.5Z ERROR request{method=GET request_id=r-7}:db: depot::pay: failed n=3`.
//!
//! Spans stand before the target, outermost first, with their fields in braces; then come the thread
//! and the place in the source where they are asked for, the message, and the event's fields. An id
//! of the request is mostly a field of a span.
//!
//! Source: <https://docs.rs/tracing-subscriber/latest/tracing_subscriber/fmt/format/struct.Full.html>.

use super::app_line::stamp::behind_iso;
use super::app_line::tail;
use super::app_line::words::{file_and_line, level_of};
use super::fields::{Fields, keep_severity, push_unique};
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};
use atalaya_domain::record::Layer;

/// `rust-tracing`.
#[derive(Clone, Copy, Debug)]
pub struct RustTracing;

const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
/// What stands before the message is no longer than this.
const MOST_BYTES: usize = 4 * 1024;

impl Format for RustTracing {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "rust-tracing",
            source: "app/rust",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let is_iso = line.as_bytes().get(10) == Some(&b'T');
        let named = |rest: &str| {
            rest.trim_start_matches(' ')
                .starts_with(|c: char| c.is_alphabetic() || c == '_')
        };
        if is_iso
            && behind_iso(line)
                .and_then(level)
                .is_some_and(|(_, rest)| named(rest))
        {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no level, spans and target"))
    }
}

/// The level, filled up to five letters from the left.
fn level(rest: &str) -> Option<(&'static str, &str)> {
    let bare = rest.trim_start_matches(' ');
    let blanks = rest.len() - bare.len();
    let word = LEVELS.iter().find(|level| bare.starts_with(**level))?;
    let after = bare.get(word.len()..)?.strip_prefix(' ')?;
    (1..=6).contains(&blanks).then_some((word, after))
}

/// What stands before the message.
#[derive(Default)]
struct Place<'a> {
    /// Fields of the spans, outermost first.
    spans: [Option<(&'a str, &'a str)>; 8],
    target: Option<&'a str>,
    file: Option<(&'a str, &'a str)>,
    thread: Option<&'a str>,
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (line, more) = split::line(text);
    let cut = time::iso(line, hint)?;
    let (word, rest) = level(cut.rest)?;
    let mut place = Place::default();
    let rest = place.read(rest)?;
    let mut fields = Fields::new(out, hint);
    let mut spans = String::new();
    for (name, values) in place.spans.iter().flatten() {
        if !spans.is_empty() {
            spans.push(':');
        }
        spans.push_str(name);
        tail::read(values, &mut fields);
    }
    // `refused (attempt=3, took=12ms)`: the pairs are a part of the sentence.
    let is_sentence = rest.trim_ascii_end().ends_with(')')
        && rest
            .split_once('=')
            .is_some_and(|(before, _)| before.rfind('(') > before.rfind(')'));
    let message = if is_sentence {
        rest
    } else {
        tail::split(rest, &mut fields)
    };
    tail::finish(message, fields);
    out.set_time(cut.instant);
    if let Some(level) = level_of(word) {
        out.level = level;
    }
    keep_severity(out, word.into());
    if let Some(target) = place.target {
        out.logger = Some(target.into());
    }
    push_unique(out, "span", spans);
    if let Some((file, line)) = place.file {
        push_unique(out, "file", file);
        push_unique(out, "line", line);
    }
    push_unique(out, "thread", place.thread.unwrap_or(""));
    if !more.is_empty() {
        out.traceback = Some(match out.traceback.take() {
            Some(first) => format!("{first}\n{more}").into(),
            None => more.into(),
        });
    }
    Some(())
}

impl<'a> Place<'a> {
    /// Reads up to the message. There must be a target or a span.
    fn read(&mut self, text: &'a str) -> Option<&'a str> {
        let mut rest = text.trim_start_matches(' ');
        if let Some((thread, after)) = thread(rest) {
            self.thread = Some(thread);
            rest = after;
        }
        rest = self.spans(rest);
        if let Some((word, after)) = rest
            .split_once(": ")
            .or_else(|| Some((rest.strip_suffix(':')?, "")))
            && is_target(word)
        {
            // A single span without fields looks like a target; the real one is a path.
            match after.split_once(": ") {
                Some((next, behind))
                    if is_target(next) && next.contains("::") && !word.contains("::") =>
                {
                    self.add_span(word, "");
                    (self.target, rest) = (Some(next), behind);
                }
                _ => (self.target, rest) = (Some(word), after),
            }
        }
        if self.target.is_none() && self.spans[0].is_none() {
            return None;
        }
        if let Some((word, after)) = rest.split_once(": ")
            && let Some(place) = file_and_line(word)
        {
            self.file = Some(place);
            rest = after;
        }
        Some(rest)
    }

    fn add_span(&mut self, name: &'a str, fields: &'a str) {
        if let Some(slot) = self.spans.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((name, fields));
        }
    }

    /// `a{x=1}:b:c{y=2}: `; gives what follows, or the text as it is when there are none.
    fn spans(&mut self, text: &'a str) -> &'a str {
        let near = text.len().min(MOST_BYTES);
        // Without braces nothing tells spans from a target.
        if !text.as_bytes().iter().take(near).any(|byte| *byte == b'{') {
            return text;
        }
        let mut rest = text;
        let mut found: [Option<(&str, &str)>; 8] = [None; 8];
        let mut braces = false;
        for slot in &mut found {
            let end = rest
                .bytes()
                .position(|byte| !is_span_byte(byte))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return text;
            }
            let (fields, after) = match after.strip_prefix('{') {
                Some(inside) => match closing(inside) {
                    Some(end) => {
                        braces = true;
                        (
                            inside.get(..end).unwrap_or(""),
                            inside.get(end + 1..).unwrap_or(""),
                        )
                    }
                    None => return text,
                },
                None => ("", after),
            };
            *slot = Some((name, fields));
            let Some(after) = after.strip_prefix(':') else {
                return text;
            };
            if after.is_empty() || after.starts_with(' ') {
                if !braces {
                    return text;
                }
                self.spans = found;
                return after.trim_start_matches(' ');
            }
            rest = after;
        }
        text
    }
}

/// Where the brace closes that is open before the text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().take(MOST_BYTES) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            },
            _ => {}
        }
    }
    None
}

/// `ThreadId(01)`, alone or behind the thread's name.
fn thread(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memmem::find(text.as_bytes().get(..text.len().min(80))?, b"ThreadId(")?;
    let end = at + text.get(at..)?.find(')')? + 1;
    let name = text.get(..at)?;
    let is_name = !name.contains([':', '{', '=']);
    (is_name && text.get(end..)?.starts_with(' ')).then(|| {
        (
            text.get(..end).unwrap_or(""),
            text.get(end + 1..).unwrap_or(""),
        )
    })
}

fn is_span_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/') || byte >= 0x80
}

fn is_target(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 120
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.'))
        && word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !super::app_line::words::is_no_logger(word)
        && !word.starts_with("http:")
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn events_with_and_without_spans() {
        for (text, level, target, message, request, span) in [
            (
                "2024-05-01T10:00:01.5Z ERROR depot::pay: charge failed request_id=req-9",
                "ERROR",
                Some("depot::pay"),
                "charge failed",
                Some("req-9"),
                None,
            ),
            (
                "2024-05-01T10:00:02.123456Z  INFO request{method=GET uri=\"/a{b}\" request_id=r-7}:db: depot: stored n=3",
                "INFO",
                Some("depot"),
                "stored",
                Some("r-7"),
                Some("request:db"),
            ),
            (
                "2024-05-01T10:00:02Z  WARN depot: slow: it took long",
                "WARNING",
                Some("depot"),
                "slow: it took long",
                None,
                None,
            ),
            (
                "2024-05-01T10:00:02Z DEBUG ThreadId(01) depot::db: src/db.rs:12: opened",
                "DEBUG",
                Some("depot::db"),
                "opened",
                None,
                None,
            ),
            (
                "2024-05-01T10:00:02Z  INFO request: depot::db: opened",
                "INFO",
                Some("depot::db"),
                "opened",
                None,
                Some("request"),
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(RustTracing.opens(text), Opens::Parsed, "{text}");
            assert!(
                RustTracing.parse(text, &ANY_HINT, &mut out).is_ok(),
                "{text}"
            );
            assert_eq!(
                (out.level.name(), out.logger.as_deref()),
                (level, target),
                "{text}"
            );
            assert_eq!(
                (out.message.as_ref(), out.request_id.as_deref()),
                (message, request),
                "{text}"
            );
            let found = out
                .metadata
                .iter()
                .find(|(name, _)| name == "span")
                .map(|(_, text)| text.as_ref());
            assert_eq!(found, span, "{text}");
        }
        for text in [
            "2026-01-01T00:00:00.000Z  INFO 1 --- [main] c.e.App : up",
            "2024-05-01T10:00:00,123 ERROR depot order 0 placed",
            "2024-05-01T10:00:00Z stdout F x",
            "2024-05-01 10:00:00 INFO depot: x",
        ] {
            let mut out = Parsed::default();
            assert!(
                RustTracing.opens(text) == Opens::No
                    || RustTracing.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
