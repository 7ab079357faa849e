//! `key=value` lines (logfmt) as Go's loggers, Heroku's router, Prometheus and Grafana write them.
//!
//! The names are those of [`super::fields`]. A value is a word or a quoted string; a word without
//! `=` is a key that is true, except inside brackets that a value has left open
//! (`err=&{0x20 map[a:b]}`), where it belongs to that value. Indented lines may go on with pairs.
//!
//! Prose, commands and conditions hold `=` too: a line is logfmt only when it begins with a key, has
//! two pairs (or one whose key every logger knows, or whose value is quoted), and not more words than
//! pairs.

use std::borrow::Cow;

use super::fields::{Fields, worded};
use super::json::scan::{Value, unescape};
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::Layer;

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

    fn needs(&self) -> Signs {
        Signs::these(b"=")
    }

    fn opens(&self, line: &str) -> Opens {
        if key_end(line.as_bytes(), 0).is_some() {
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
        let (line, more) = split::line(text);
        if key_end(line.as_bytes(), 0).is_none() {
            return Err(self.mismatch("the line does not begin with key=value"));
        }
        let mut fields = Fields::new(out, hint);
        let counts = pairs(line, |name, value| fields.value(name, value));
        counts.verdict().map_err(|reason| self.mismatch(reason))?;
        let more = further_pairs(more, &mut fields);
        if let Some(instant) = audited(line, hint) {
            fields.default_time(instant);
        }
        let graded = fields.finish(line);
        out.ungraded = !graded;
        if !more.is_empty() {
            out.traceback = Some(out.traceback.take().map_or(Cow::Borrowed(more), |first| {
                format!("{first}\n{more}").into()
            }));
        }
        Ok(())
    }
}

/// `type=USER_AUTH msg=audit(1714550400.123:71): …`: auditd's own file.
///
/// Source: <https://man7.org/linux/man-pages/man5/auditd.conf.5.html>.
fn audited(line: &str, hint: &TimeHint) -> Option<time::Instant> {
    const NEAR: usize = 120;
    if !line.starts_with("type=") && !line.starts_with("node=") {
        return None;
    }
    let near = line.get(..line.floor_char_boundary(NEAR))?;
    let (_, stamp) = near.split_once(" msg=audit(")?;
    let cut = time::epoch(stamp, hint).filter(|cut| cut.rest.starts_with(':'))?;
    Some(cut.instant)
}

/// Reads the pairs of indented lines that go on with a record, up to the first line that holds none.
/// Gives the lines from there on.
fn further_pairs<'a>(more: &'a str, fields: &mut Fields<'_, 'a>) -> &'a str {
    let mut rest = more;
    while !rest.is_empty() {
        let (line, after) = split::line(rest);
        let bare = line.trim_ascii();
        if !bare.is_empty() {
            if bare.len() == line.trim_ascii_end().len() || key_end(bare.as_bytes(), 0).is_none() {
                break;
            }
            let mut found = Vec::new();
            let counts = pairs(bare, |name, value| found.push((name, value)));
            // `count=1 if full else 2` is a line of a program in a stack trace.
            if counts.words > counts.pairs / 2 {
                break;
            }
            for (name, value) in found {
                fields.value(name, value);
            }
        }
        rest = after;
    }
    rest
}

/// What [`pairs`] saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub pairs: usize,
    /// Words without `=`, or with something before it that is no key.
    pub words: usize,
    /// The line began with a pair.
    pub first: bool,
    /// A key that loggers use for time, level or message.
    named: bool,
    /// Such a key with a value that suits it.
    known: bool,
    /// A value in double quotes.
    quoted: bool,
    /// A key with a lower-case letter.
    lower: bool,
    /// A word that joins conditions or commands.
    joint: bool,
    /// A single quote opened and none closes.
    unclosed: bool,
}

impl Counts {
    fn verdict(self) -> Result<(), &'static str> {
        if self.pairs == 0 || !self.first {
            return Err("the line does not begin with key=value");
        }
        if self.words > self.pairs {
            return Err("more words than key=value pairs");
        }
        if self.known {
            return Ok(());
        }
        if self.pairs == 1 {
            let alone = self.words == 0 && (self.named || self.quoted);
            return if alone {
                Ok(())
            } else {
                Err("one key=value pair alone")
            };
        }
        // `a=1 and b=2`, `x=1 && y=2`; `LANG=C TZ=UTC make all`, but not a firewall's `IN=eth0 … SYN`.
        if self.joint || (!self.lower && self.words * 2 >= self.pairs) {
            return Err("conditions or a command");
        }
        Ok(())
    }

    #[cold]
    fn see_key(&mut self, key: &str, value: &Value<'_>) {
        if is_named(key) {
            self.named = true;
            self.known = suits(key, value);
        }
    }

    fn see_word(&mut self, word: &str) {
        self.words += 1;
        self.joint = self.joint
            || matches!(
                word,
                "and" | "AND" | "or" | "OR" | "where" | "WHERE" | "&&" | "||" | "|" | "then" | ","
            );
    }
}

/// Names that every logger has.
fn is_named(key: &str) -> bool {
    let names: &[&str] = match key.len() {
        2 => &["ts", "at"],
        3 => &["msg", "lvl"],
        4 => &["time"],
        5 => &["level", "event"],
        7 => &["message"],
        8 => &["severity", "loglevel"],
        9 => &["timestamp"],
        10 => &["@timestamp"],
        _ => return false,
    };
    names.iter().any(|name| name.eq_ignore_ascii_case(key))
}

/// Whether the value is one of its [named](is_named) key, as `time=12ms` is not.
fn suits(key: &str, value: &Value<'_>) -> bool {
    let text: &str = match value {
        Value::Text(text) => text,
        Value::Number(text) => text,
        _ => return false,
    };
    match key.as_bytes() {
        [b'm' | b'M', ..] => true,
        [b'e' | b'E', ..] => false,
        [b't' | b'T' | b'@', ..] => {
            text.len() >= 8 && text.bytes().any(|byte| byte.is_ascii_digit())
        }
        _ => worded(text).is_some() || text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// What a byte can be in a key.
const INSIDE: u8 = 1;
const FIRST: u8 = 2;
const LOWER: u8 = 4;

/// Letters, digits and `_ . - / @ $`, no digit or stroke first.
static KEY_BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => INSIDE | FIRST | LOWER,
            b'A'..=b'Z' | b'_' | b'@' | b'$' | 0x80.. => INSIDE | FIRST,
            b'0'..=b'9' | b'.' | b'-' | b'/' => INSIDE,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Whether a key and `=` begin at `at`: where the key ends, and what its bytes are.
fn key_end(bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    let class = |byte: u8| KEY_BYTES[usize::from(byte)];
    if class(*bytes.get(at)?) & FIRST == 0 {
        return None;
    }
    let mut seen = 0;
    for (length, &byte) in bytes.get(at..)?.iter().enumerate() {
        let kind = class(byte);
        if kind == 0 {
            return (byte == b'=').then_some((at + length, seen));
        }
        seen |= kind;
    }
    None
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
        let Some((end, kinds)) = key_end(bytes, at) else {
            // A word alone; a stray quote or `=` belongs to it.
            while bytes
                .get(at)
                .is_some_and(|&byte| byte != b' ' && byte != b'\t')
            {
                at += 1;
            }
            let word = line.get(start..at).unwrap_or("");
            counts.see_word(word);
            each(Cow::Borrowed(word), Value::Bool(true));
            continue;
        };
        let key = line.get(start..end).unwrap_or("");
        counts.lower |= kinds & LOWER != 0;
        at = end + 1;
        let value = match bytes.get(at) {
            Some(b'"') => {
                counts.quoted = true;
                quoted(line, &mut at)
            }
            Some(b'\'') if !counts.unclosed => {
                let value = single_quoted(line, &mut at);
                // Without a closing quote up to the end there is none for the next value either.
                counts.unclosed = value.is_none();
                value.unwrap_or_else(|| bare(line, &mut at))
            }
            _ => bare(line, &mut at),
        };
        counts.first |= counts.pairs + counts.words == 0;
        counts.pairs += 1;
        // Most lines show it by their first pair.
        if !counts.known {
            counts.see_key(key, &value);
        }
        each(Cow::Borrowed(key), value);
    }
    counts
}

/// The string in single quotes at `at`, as Python prints it: it ends at a quote before a blank, so
/// `'it's'` is one. `None` without such a quote.
fn single_quoted<'a>(line: &'a str, at: &mut usize) -> Option<Value<'a>> {
    let bytes = line.as_bytes();
    let start = *at + 1;
    let mut end = start;
    let mut escaped = false;
    while let Some(found) = bytes
        .get(end..)
        .and_then(|rest| memchr::memchr2(b'\'', b'\\', rest))
    {
        end += found;
        if bytes.get(end) == Some(&b'\\') {
            escaped = true;
            end = (end + 2).min(bytes.len());
        } else if matches!(bytes.get(end + 1), None | Some(b' ' | b'\t')) {
            *at = end + 1;
            let inside = line.get(start..end).unwrap_or("");
            let text = if escaped {
                Cow::Owned(unescape_single(inside))
            } else {
                Cow::Borrowed(inside)
            };
            return Some(Value::Text(text));
        } else {
            end += 1;
        }
    }
    None
}

/// [`unescape`], with `\'` as a quote.
fn unescape_single(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut from = 0;
    while let Some(found) = rest
        .as_bytes()
        .get(from..)
        .and_then(|tail| memchr::memchr(b'\\', tail))
    {
        let at = from + found;
        if rest.as_bytes().get(at + 1) == Some(&b'\'') {
            out.push_str(&unescape(rest.get(..at).unwrap_or("")));
            out.push('\'');
            rest = rest.get(at + 2..).unwrap_or("");
            from = 0;
        } else {
            from = at + 2;
        }
    }
    out.push_str(&unescape(rest));
    out
}

/// The quoted string at `at`; one that does not end goes to the end of the line.
fn quoted<'a>(line: &'a str, at: &mut usize) -> Value<'a> {
    let bytes = line.as_bytes();
    let start = *at + 1;
    let mut end = start;
    let mut escaped = false;
    while let Some(found) = bytes
        .get(end..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        end += found;
        if bytes.get(end) == Some(&b'"') {
            *at = end + 1;
            let inside = line.get(start..end).unwrap_or("");
            return Value::Text(if escaped {
                Cow::Owned(unescape(inside))
            } else {
                Cow::Borrowed(inside)
            });
        }
        escaped = true;
        end = (end + 2).min(bytes.len());
    }
    *at = bytes.len();
    Value::Text(Cow::Borrowed(line.get(start - 1..).unwrap_or("")))
}

/// Bytes that end a value without quotes, or that open or close brackets in one.
static STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b' ' | b'\t' | b'(' | b'[' | b'{' | b')' | b']' | b'}'
        );
        byte += 1;
    }
    table
};

/// The word at `at`, and further words while a bracket is open and no new pair begins.
fn bare<'a>(line: &'a str, at: &mut usize) -> Value<'a> {
    let bytes = line.as_bytes();
    let start = *at;
    // Most values have no bracket.
    let rest = bytes.get(start..).unwrap_or_default();
    let plain = rest.iter().position(|byte| STOPS[usize::from(*byte)]);
    let mut end = start + plain.unwrap_or(rest.len());
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
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.as_bytes().first() != Some(&b'.');
    if is_number {
        Value::Number(text)
    } else {
        Value::Text(Cow::Borrowed(text))
    }
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
    use crate::SourceZone;
    use crate::testing::meta;
    use atalaya_domain::record::Level;
    use atalaya_domain::time::Timestamp;

    fn parse(text: &str) -> Result<Parsed<'_>, FormatMismatch> {
        let hint = TimeHint {
            reference: Timestamp::from_seconds(1_790_000_000),
            zone: SourceZone::Utc,
        };
        let mut out = Parsed::default();
        Logfmt.parse(text, &hint, &mut out).map(|()| out)
    }

    #[test]
    fn a_logrus_line() {
        let parsed = parse(r#"time="2015-03-26T01:27:38-04:00" level=fatal msg="The name \"Adam\"" err=&{0x20 map[animal:orca size:9009] 2015-03-26 It's over!} omg number=100 request_id=r1"#).unwrap();
        assert_eq!(parsed.level, Level::Critical);
        assert_eq!(parsed.message, "The name \"Adam\"");
        assert_eq!(parsed.request_id.as_deref(), Some("r1"));
        let metadata: Vec<(&str, &str)> = parsed
            .metadata
            .iter()
            .map(|(name, text)| (name.as_ref(), text.as_ref()))
            .collect();
        assert_eq!(
            metadata,
            [
                (
                    "err",
                    "&{0x20 map[animal:orca size:9009] 2015-03-26 It's over!}"
                ),
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
    fn other_lines_are_no_logfmt() {
        for text in [
            "I am not a valid line.",
            "the value x=1 is in the text",
            "",
            "=a",
            "a b c d=1",
            "PATH=/opt/x make all",
            "LANG=C TZ=UTC make -j4",
            "a=1 and b=2",
            "id=4 OR name=5 limit=1",
            "x=1",
            "q=1&b=2",
            "https://h/x?a=1&b=2 c=3",
            "[a=1 b=2]",
            "{a=1 b=2}",
            "1=a 2=b",
            "-a=1 b=2",
            "a(b)=1 c=2",
            "time=12ms in the queue",
            "level=5 was reached",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in [
            "msg=\"unfinished",
            "level=warn",
            "level=warn retrying",
            "ts=2026-01-01T00:00:00Z started",
            "a=1 b=2",
            "@timestamp=1 $x=2",
            "k8s.io/name=x app-id=7 _n=2",
            "IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 DF PROTO=TCP SPT=1 DPT=2 SYN",
            "größe=1 b=2",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn quotes_and_backslashes() {
        let parsed = parse(
            r#"level=warn event='charge failed' label='it\'s' who='it's me' raw=a\b path="C:\\logs" say="a \"b\"" open='x y=1 flag z=''"#,
        )
        .unwrap();
        assert_eq!(parsed.message, "charge failed");
        for (name, text) in [
            ("label", "it's"),
            ("who", "it's me"),
            ("raw", r"a\b"),
            ("path", r"C:\logs"),
            ("say", r#"a "b""#),
            ("open", "x y=1 flag z='"),
        ] {
            assert_eq!(meta(&parsed, name), Some(text), "{name}");
        }
        let parsed = parse("a='b c=2 d='e f=3 bare").unwrap();
        for (name, text) in [
            ("a", "'b"),
            ("c", "2"),
            ("d", "'e"),
            ("f", "3"),
            ("bare", "true"),
        ] {
            assert_eq!(meta(&parsed, name), Some(text), "{name}");
        }
        // No square of the length.
        let long = "a='b ".repeat(50_000);
        assert!(parse(&long).is_ok());
    }

    #[test]
    fn indented_lines_go_on_with_pairs() {
        let parsed =
            parse("level=info msg=begun id=1\n  class=a.B tries=2\n\tuser_id=7\n").unwrap();
        assert_eq!(
            (meta(&parsed, "class"), meta(&parsed, "tries")),
            (Some("a.B"), Some("2"))
        );
        assert_eq!(
            (parsed.user_id.as_deref(), parsed.traceback),
            (Some("7"), None)
        );
        let parsed = parse("level=error msg=x\n  job=9\n\tat a.B.c(B.java:1)\n  late=1").unwrap();
        assert_eq!(meta(&parsed, "job"), Some("9"));
        assert_eq!(
            parsed.traceback.as_deref(),
            Some("\tat a.B.c(B.java:1)\n  late=1")
        );
        let parsed = parse(
            "level=error msg=x\nTraceback (most recent call last):\n  File \"a\", line 1\n    x=1\nE: y",
        )
        .unwrap();
        assert!(parsed.traceback.unwrap().ends_with("E: y"));
    }
}
