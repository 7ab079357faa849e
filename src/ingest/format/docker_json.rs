//! Docker's json-file driver: `{"log":"text\n","stream":"stdout","time":"…Z"}`.
//!
//! Docker cuts long lines into pieces; only the last ends in a newline, which is how pieces are
//! joined here. Lines of a stack trace join the line before them, as they would without Docker.

use std::borrow::Cow;

use super::container;
use super::fields::push_unique;
use super::json::scan::{Scan, Value, unescape};
use super::{Format, FormatMismatch, LineRole, Parsed, TimeHint, time};
use crate::domain::record::Layer;

/// `docker-json`.
#[derive(Clone, Copy, Debug)]
pub struct DockerJson;

/// The text of a piece as JSON writes it, when `log` is the first key, as Docker has it.
fn raw_log(line: &str) -> Option<(&str, usize)> {
    let start = "{\"log\":\"".len();
    let rest = line.strip_prefix("{\"log\":\"")?;
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((rest.get(..at)?, start + at + 1));
        }
        at += 2;
    }
}

fn ends_open(raw: &str) -> bool {
    !raw.ends_with("\\n")
}

impl Format for DockerJson {
    fn name(&self) -> &'static str {
        "docker-json"
    }

    fn default_source(&self) -> &'static str {
        "docker"
    }

    fn default_layer(&self) -> Layer {
        Layer::Application
    }

    fn role(&self, line: &str) -> LineRole {
        if line.trim_ascii().is_empty() {
            return LineRole::Skip;
        }
        match raw_log(line) {
            Some((raw, _)) if raw.starts_with("\\t") || raw.starts_with(' ') => LineRole::Continues,
            _ => LineRole::Starts,
        }
    }

    fn role_after(&self, pending: &str, line: &str) -> LineRole {
        let Some((raw, _)) = raw_log(line) else { return self.role(line) };
        let last = pending.rsplit('\n').next().unwrap_or("");
        let Some((before, _)) = raw_log(last) else { return self.role(line) };
        if ends_open(before) || raw.starts_with("\\t") || raw.starts_with(' ') {
            return LineRole::Continues;
        }
        // Whether a line at the margin belongs to a trace needs the text before it; only a
        // trace's last lines are looked at.
        let indented = before.starts_with("\\t") || before.starts_with(' ');
        let head =
            raw.starts_with("Traceback") || raw.starts_with("Caused by") || raw.starts_with("goroutine ");
        if !indented && !head {
            return LineRole::Starts;
        }
        let mut text = String::new();
        for line in tail_lines(pending) {
            if let Some((raw, _)) = raw_log(line) {
                text.push_str(&unescape(raw));
            }
        }
        container::role(text.trim_end_matches('\n'), unescape(raw).trim_end_matches('\n'))
    }

    fn traces(&self) -> bool {
        true
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let mut log: Cow<'a, str> = Cow::Borrowed("");
        let mut ended = false;
        for (index, line) in text.split('\n').filter(|line| !line.trim_ascii().is_empty()).enumerate() {
            let piece = piece(line, |name, value| {
                if index == 0 {
                    envelope_field(name, value, hint, out);
                }
            });
            let (piece, ends) = piece.map_err(|reason| self.mismatch(reason))?;
            if index == 0 {
                log = piece;
            } else {
                let log = log.to_mut();
                if ended {
                    log.push('\n');
                }
                log.push_str(&piece);
            }
            ended = ends;
        }
        container::read(log, hint, out);
        Ok(())
    }
}

/// The text of one line of the file without the newline that ends it, and whether that was there.
/// Everything else in the line goes to `other`.
fn piece<'a>(
    line: &'a str,
    mut other: impl FnMut(Cow<'a, str>, Value<'a>),
) -> Result<(Cow<'a, str>, bool), &'static str> {
    if let Some((raw, end)) = raw_log(line) {
        // Most lines hold no other escape than this newline, and then need no copy.
        let bare = raw.strip_suffix("\\n");
        let ends = bare.is_some();
        let bare = bare.unwrap_or(raw);
        Scan::new(line.get(end..).unwrap_or("")).object_rest(4, &mut |name, value| other(name, value))?;
        let text = if memchr::memchr(b'\\', bare.as_bytes()).is_some() {
            Cow::Owned(unescape(bare))
        } else {
            Cow::Borrowed(bare)
        };
        return Ok((text, ends));
    }
    let mut log = None;
    Scan::new(line).object("", 4, &mut |name, value| match value {
        Value::Text(text) if name == "log" => log = Some(text),
        value => other(name, value),
    })?;
    let text = log.ok_or("no `log`")?;
    let ends = text.ends_with('\n');
    Ok((if ends { Cow::Owned(text.trim_end_matches('\n').to_owned()) } else { text }, ends))
}

fn envelope_field<'a>(name: Cow<'a, str>, value: Value<'a>, hint: &TimeHint, out: &mut Parsed<'a>) {
    let Some(text) = value.into_text() else { return };
    if name == "time"
        && let Some(cut) = time::iso(&text, hint)
    {
        out.set_time(cut.instant);
        return;
    }
    push_unique(out, name, text);
}

/// The last lines of a text, enough for the head of a long stack trace.
fn tail_lines(text: &str) -> impl Iterator<Item = &str> {
    const LINES: usize = 100;
    let start = memchr::memrchr_iter(b'\n', text.as_bytes()).nth(LINES).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or("").split('\n')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::record::Level;
    use crate::domain::time::Timestamp;
    use crate::ingest::format::SourceZone;

    fn parse(text: &str) -> Parsed<'_> {
        let hint = TimeHint { reference: Timestamp::from_seconds(1_790_000_000), zone: SourceZone::Utc };
        let mut out = Parsed::default();
        DockerJson.parse(text, &hint, &mut out).unwrap();
        out
    }

    #[test]
    fn text_and_json_inside() {
        let parsed = parse(
            r#"{"log":"ERROR:app.db:no connection\n","stream":"stderr","time":"2026-01-01T00:00:00.5Z"}"#,
        );
        assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Error, "no connection"));
        assert_eq!(parsed.logger.as_deref(), Some("app.db"));
        assert_eq!(parsed.timestamp, Some(Timestamp::from_millis(1_767_225_600_500)));
        assert_eq!(parsed.metadata, [("stream".into(), "stderr".into())]);
        let parsed = parse(
            r#"{"log":"{\"msg\":\"hi\",\"level\":\"warn\",\"request_id\":\"r\"}\n","stream":"stdout","attrs":{"tag":"web"},"time":"2026-01-01T00:00:00Z"}"#,
        );
        assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Warning, "hi"));
        assert_eq!(parsed.request_id.as_deref(), Some("r"));
        assert!(parsed.metadata.contains(&("attrs.tag".into(), "web".into())));
    }

    #[test]
    fn pieces_and_traces_join() {
        let lines = [
            r#"{"log":"a ","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"b\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"\tat x.Y(Y.java:1)\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"next\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
        ];
        assert_eq!(DockerJson.role(lines[0]), LineRole::Starts);
        assert_eq!(DockerJson.role_after(lines[0], lines[1]), LineRole::Continues);
        assert_eq!(DockerJson.role_after(&lines[..2].join("\n"), lines[2]), LineRole::Continues);
        assert_eq!(DockerJson.role_after(&lines[..3].join("\n"), lines[3]), LineRole::Starts);
        assert_eq!(parse(&lines[..3].join("\n")).message, "a b\n\tat x.Y(Y.java:1)");
    }
}
