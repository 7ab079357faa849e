//! `key=value` lines (logfmt) as Go's loggers, Heroku's router, Prometheus and Grafana write them.
//!
//! The names are those of [`super::fields`]. A value is a word or a quoted string; a word without
//! `=` is a key that is true, except inside brackets that a value has left open
//! (`err=&{0x20 map[a:b]}`), where it belongs to that value.

use std::borrow::Cow;

use super::fields::Fields;
use super::json::scan::{Value, unescape};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Parsed, TimeHint, trace};
use crate::domain::record::Layer;

/// `logfmt`.
#[derive(Clone, Copy, Debug)]
pub struct Logfmt;

impl Format for Logfmt {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "logfmt",
            source: "app/logfmt",
            layer: Layer::Application,
            begins: Begins::ANY,
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let (line, more) = text.split_once('\n').unwrap_or((text, ""));
        let mut fields = Fields::new(out, hint);
        let counts = pairs(line, |name, value| fields.value(name, value));
        if counts.pairs == 0 || !counts.first {
            return Err(self.mismatch("the line does not begin with key=value"));
        }
        if counts.words > counts.pairs {
            return Err(self.mismatch("more words than key=value pairs"));
        }
        fields.finish(line);
        if !more.is_empty() {
            out.traceback = Some(
                out.traceback.take().map_or(Cow::Borrowed(more), |first| format!("{first}\n{more}").into()),
            );
        }
        Ok(())
    }
}

/// What [`pairs`] saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub pairs: usize,
    /// Words without `=`.
    pub words: usize,
    /// The line began with a pair.
    pub first: bool,
}

/// Calls `each` with the pairs of a line in order.
pub fn pairs<'a>(line: &'a str, mut each: impl FnMut(Cow<'a, str>, Value<'a>)) -> Counts {
    let bytes = line.as_bytes();
    let mut counts = Counts::default();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b' ' || byte == b'\t' {
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|&byte| !matches!(byte, b'=' | b' ' | b'\t' | b'"')) {
            at += 1;
        }
        let key = line.get(start..at).unwrap_or("");
        if bytes.get(at) != Some(&b'=') || key.is_empty() {
            // A word alone; a stray quote or `=` belongs to it.
            while bytes.get(at).is_some_and(|&byte| byte != b' ' && byte != b'\t') {
                at += 1;
            }
            counts.words += 1;
            each(Cow::Borrowed(line.get(start..at).unwrap_or("")), Value::Bool(true));
            continue;
        }
        at += 1;
        counts.first |= counts.pairs + counts.words == 0;
        counts.pairs += 1;
        let value = if bytes.get(at) == Some(&b'"') { quoted(line, &mut at) } else { bare(line, &mut at) };
        each(Cow::Borrowed(key), value);
    }
    counts
}

/// The quoted string at `at`; one that does not end goes to the end of the line.
fn quoted<'a>(line: &'a str, at: &mut usize) -> Value<'a> {
    let bytes = line.as_bytes();
    let start = *at + 1;
    let mut end = start;
    let mut escaped = false;
    while let Some(found) = bytes.get(end..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        end += found;
        if bytes.get(end) == Some(&b'"') {
            *at = end + 1;
            let inside = line.get(start..end).unwrap_or("");
            return Value::Text(if escaped { Cow::Owned(unescape(inside)) } else { Cow::Borrowed(inside) });
        }
        escaped = true;
        end = (end + 2).min(bytes.len());
    }
    *at = bytes.len();
    Value::Text(Cow::Borrowed(line.get(start - 1..).unwrap_or("")))
}

/// The word at `at`, and further words while a bracket is open and no new pair begins.
fn bare<'a>(line: &'a str, at: &mut usize) -> Value<'a> {
    let bytes = line.as_bytes();
    let start = *at;
    let mut end = start;
    let mut open = 0_i32;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b' ' | b'\t' if (open <= 0 || !closes(bytes.get(end..).unwrap_or(&[]))) => {
                break;
            }
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
        end += 1;
    }
    *at = end;
    let text = line.get(start..end).unwrap_or("");
    let is_number = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.as_bytes().first() != Some(&b'.');
    if is_number { Value::Number(text) } else { Value::Text(Cow::Borrowed(text)) }
}

/// Whether a bracket closes before the next `=`, and soon.
fn closes(rest: &[u8]) -> bool {
    const SOON: usize = 256;
    let head = rest.get(..SOON.min(rest.len())).unwrap_or(rest);
    head.iter()
        .find(|byte| matches!(byte, b'=' | b'"' | b')' | b']' | b'}'))
        .is_some_and(|&byte| matches!(byte, b')' | b']' | b'}'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::record::Level;
    use crate::domain::time::Timestamp;
    use crate::ingest::format::SourceZone;

    fn parse(text: &str) -> Result<Parsed<'_>, FormatMismatch> {
        let hint = TimeHint { reference: Timestamp::from_seconds(1_790_000_000), zone: SourceZone::Utc };
        let mut out = Parsed::default();
        Logfmt.parse(text, &hint, &mut out).map(|()| out)
    }

    #[test]
    fn a_logrus_line() {
        let parsed = parse(r#"time="2015-03-26T01:27:38-04:00" level=fatal msg="The name \"Adam\"" err=&{0x20 map[animal:orca size:9009] 2015-03-26 It's over!} omg number=100 request_id=r1"#).unwrap();
        assert_eq!(parsed.level, Level::Critical);
        assert_eq!(parsed.message, "The name \"Adam\"");
        assert_eq!(parsed.request_id.as_deref(), Some("r1"));
        let metadata: Vec<(&str, &str)> =
            parsed.metadata.iter().map(|(name, text)| (name.as_ref(), text.as_ref())).collect();
        assert_eq!(
            metadata,
            [
                ("err", "&{0x20 map[animal:orca size:9009] 2015-03-26 It's over!}"),
                ("omg", "true"),
                ("number", "100"),
                ("severity", "fatal")
            ]
        );
    }

    #[test]
    fn heroku_router() {
        let parsed = parse(r#"at=info method=GET path=/ host=h request_id=86 fwd="2.0" dyno=web.1 connect=1ms service=18ms status=500"#).unwrap();
        assert_eq!(parsed.message, "GET / 500");
        assert_eq!(parsed.duration_ms, Some(18.0));
        assert_eq!(parsed.level, Level::Error);
    }

    #[test]
    fn prose_is_no_logfmt() {
        for text in ["I am not a valid line.", "the value x=1 is in the text", "", "=a", "a b c d=1"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("msg=\"unfinished").is_ok());
    }
}
