//! JSON lines: one object a line, with the names that loggers use (see [`super::fields`]).
//!
//! Nested objects become dotted names in the metadata, arrays stay JSON. A line may have text in
//! front of its object (`INFO {…}`, `web_1 | {…}`); an object may stand on several lines (pretty
//! printed), and lines that are no object but follow one (a raw stack trace) belong to it.

pub mod otlp;
pub mod scan;

use super::fields::{Fields, worded};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, Signs, TimeHint, time,
    trace,
};
use atalaya_domain::record::Layer;
use scan::Scan;

/// Objects nested deeper are kept as JSON text: a name of more parts helps nobody.
const DEPTH: usize = 8;

/// `json`.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Format for Json {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "json",
            source: "app/json",
            layer: Layer::Application,
            begins: Begins::these(b"{ \t"),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bare = line.trim_ascii();
        // Pretty printed: the bracket stands alone, or the first member goes on below.
        let opened = line.starts_with('{')
            && (bare.len() == 1 || bare.ends_with([',', '{', '[']))
            && bare
                .get(1..)
                .is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with('"'));
        if opened {
            Opens::Unfinished
        } else {
            Opens::Parsed
        }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        if is_open(pending) && !(line.starts_with('{') && line.trim_ascii_end().ends_with('}')) {
            return Joins::Yes;
        }
        Joins::Unsaid
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

/// Whether an object that stands on several lines has not ended: the bracket that closes it stands at
/// the left margin, or its last line is left open.
fn is_open(pending: &str) -> bool {
    let Some(newline) = memchr::memchr(b'\n', pending.as_bytes()) else {
        return pending.trim_ascii_end().ends_with(['{', '[', ',']);
    };
    let first = pending.get(..newline).unwrap_or("").trim_ascii_end();
    if !first.ends_with(['{', '[', ',']) {
        return false;
    }
    let last = pending.rsplit('\n').next().unwrap_or("");
    last.starts_with([' ', '\t']) || balance(last) >= 0
}

/// Objects that a line opens less those that it closes, brackets inside of strings left out.
fn balance(line: &str) -> i32 {
    let (mut open, mut quoted, mut escaped) = (0, false, false);
    for byte in line.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' if !quoted => open += 1,
            b'}' if !quoted => open -= 1,
            _ => {}
        }
    }
    open
}

/// `json` too: words, then an object.
#[derive(Clone, Copy, Debug)]
pub struct JsonAfterText;

impl Format for JsonAfterText {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "json",
            source: "app/json",
            layer: Layer::Application,
            begins: Begins::ANY,
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"{}\"")
    }

    fn opens(&self, line: &str) -> Opens {
        let found = !line.starts_with('{')
            && line.trim_ascii_end().ends_with('}')
            && memchr::memmem::find(line.as_bytes(), b"{\"").is_some();
        if found { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

/// Reads one record: a JSON object with or without text in front.
pub fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let start = if text.starts_with('{') {
        0
    } else {
        object_at(text).ok_or("no JSON object")?
    };
    let prefix = text.get(..start).unwrap_or("");
    let body = text.get(start..).unwrap_or("");
    let mut scan = Scan::new(body);
    let mut fields = Fields::new(out, hint);
    scan.object("", DEPTH, &mut |name, value| fields.value(name, value))?;
    let tail = scan.rest().trim_ascii();
    if !tail.is_empty() && !scan.rest().starts_with(['\n', '\r', ' ', '\t', ',']) {
        return Err("text follows the JSON object");
    }
    if !prefix.is_empty() {
        read_prefix(prefix, hint, &mut fields);
    }
    let graded = fields.finish(text);
    out.ungraded = !graded;
    if !tail.is_empty() && tail != "," {
        if out.traceback.is_none() && (trace::continues(tail) || trace::begin(text).is_some()) {
            out.traceback = Some(tail.into());
        } else {
            super::fields::push_unique(out, "text_after", tail);
        }
    }
    Ok(())
}

/// Where the object behind a text begins.
fn object_at(text: &str) -> Option<usize> {
    let bare = text.trim_ascii_start();
    if bare.starts_with('{') {
        return Some(text.len() - bare.len());
    }
    let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    memchr::memmem::find(text.as_bytes().get(..end)?, b"{\"")
}

/// Text in front of the object: a stamp, a level, and words.
fn read_prefix<'a>(prefix: &'a str, hint: &TimeHint, fields: &mut Fields<'_, 'a>) {
    let mut rest = prefix.trim_ascii();
    let inside = rest.trim_start_matches(['[', '(']);
    if let Some(cut) = time::any(inside, hint) {
        fields.default_time(cut.instant);
        rest = cut.rest.trim_start_matches([']', ')', ' ', '\t', ':']);
    }
    let (first, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let word = first.trim_matches(['[', ']', ':', '|', '<', '>', '(', ')']);
    if word.len() >= 3 && worded(word).is_some() && fields.lacks_level() {
        fields.default_level(word);
        rest = after;
    }
    let rest = rest.trim_matches([' ', '\t', '|', ':', '-']);
    if rest.is_empty() {
        return;
    }
    if fields.lacks_message() {
        fields.default_message(rest);
    } else {
        fields.extra("prefix".into(), rest.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::SourceZone;
    use crate::testing::{at, meta};
    use atalaya_domain::record::Level;
    use atalaya_domain::time::Timestamp;

    fn hint() -> TimeHint {
        TimeHint {
            reference: Timestamp::from_seconds(1_790_000_000),
            zone: SourceZone::Utc,
        }
    }

    fn parse(text: &str) -> Parsed<'_> {
        let mut out = Parsed::default();
        Json.parse(text, &hint(), &mut out).unwrap();
        out
    }

    #[test]
    fn a_django_line() {
        let parsed = parse(
            r#"{"timestamp":"2026-03-02 10:20:04.118+02:00","level":"WARNING","logger":"django.request","message":"Not Found: /x","module":"log","function":"log_response","line":241,"request_id":"r-1","user_id":7,"session_id":"s","exception":"Traceback…","status_code":404,"none":null,"empty":""}"#,
        );
        assert_eq!(at(&parsed), "2026-03-02T08:20:04.118000Z");
        assert_eq!(parsed.level, Level::Warning);
        assert_eq!(parsed.logger.as_deref(), Some("django.request"));
        assert_eq!(parsed.message, "Not Found: /x");
        assert_eq!(parsed.request_id.as_deref(), Some("r-1"));
        assert_eq!(parsed.user_id.as_deref(), Some("7"));
        assert_eq!(parsed.session_id.as_deref(), Some("s"));
        assert_eq!(parsed.traceback.as_deref(), Some("Traceback…"));
        let names: Vec<&str> = parsed
            .metadata
            .iter()
            .map(|(name, _)| name.as_ref())
            .collect();
        assert_eq!(names, ["module", "function", "line", "status_code"]);
    }

    #[test]
    fn loggers_of_many_languages() {
        type Case = (
            &'static str,
            &'static str,
            Level,
            Option<&'static str>,
            &'static str,
            Option<&'static str>,
        );
        let cases: [Case; 12] = [
            // zap
            (
                r#"{"level":"warn","ts":1767225600.5,"logger":"db","caller":"a/b.go:3","msg":"slow","trace_id":"t1"}"#,
                "2026-01-01T00:00:00.500000Z",
                Level::Warning,
                Some("db"),
                "slow",
                Some("t1"),
            ),
            // zerolog
            (
                r#"{"level":"error","error":"boom","time":1767225600,"message":"failed"}"#,
                "2026-01-01T00:00:00.000000Z",
                Level::Error,
                None,
                "failed",
                None,
            ),
            // Rust tracing
            (
                r#"{"timestamp":"2026-01-01T00:00:00.000001Z","level":"TRACE","fields":{"message":"hi","n":1},"target":"app::db","span":{"request_id":"r9","name":"req"}}"#,
                "2026-01-01T00:00:00.000001Z",
                Level::Debug,
                Some("app::db"),
                "hi",
                Some("r9"),
            ),
            // pino-http
            (
                r#"{"level":30,"time":1767225600123,"pid":1,"hostname":"h","req":{"id":"q1","method":"GET","url":"/"},"res":{"statusCode":200},"responseTime":12,"msg":"request completed"}"#,
                "2026-01-01T00:00:00.123000Z",
                Level::Info,
                None,
                "request completed",
                Some("q1"),
            ),
            // winston
            (
                r#"{"level":"info","message":"listening","timestamp":"2026-01-01T00:00:00.000Z","service":"api"}"#,
                "2026-01-01T00:00:00.000000Z",
                Level::Info,
                None,
                "listening",
                None,
            ),
            // Log4j JsonLayout
            (
                r#"{"instant":{"epochSecond":1767225600,"nanoOfSecond":118000000},"thread":"main","level":"FATAL","loggerName":"c.e.App","message":"dead","contextMap":{"requestId":"m1"}}"#,
                "2026-01-01T00:00:00.118000Z",
                Level::Critical,
                Some("c.e.App"),
                "dead",
                Some("m1"),
            ),
            // logstash-logback-encoder
            (
                r#"{"@timestamp":"2026-01-01T01:00:00.000+01:00","@version":"1","message":"m","logger_name":"x.Y","thread_name":"main","level":"ERROR","level_value":40000,"stack_trace":"java.x"}"#,
                "2026-01-01T00:00:00.000000Z",
                Level::Error,
                Some("x.Y"),
                "m",
                None,
            ),
            // Serilog compact
            (
                r#"{"@t":"2026-01-01T00:00:00.1234567Z","@mt":"User {Id}","@m":"User 5","@l":"Warning","Id":5,"SourceContext":"Web","RequestId":"0HM"}"#,
                "2026-01-01T00:00:00.123456Z",
                Level::Warning,
                Some("Web"),
                "User 5",
                Some("0HM"),
            ),
            // Monolog
            (
                r#"{"message":"m","context":{},"level":400,"level_name":"ERROR","channel":"app","datetime":"2026-01-01T00:00:00.000000+00:00","extra":{"user_id":4}}"#,
                "2026-01-01T00:00:00.000000Z",
                Level::Error,
                Some("app"),
                "m",
                None,
            ),
            // MongoDB
            (
                r#"{"t":{"$date":"2026-01-01T00:00:00.001+00:00"},"s":"W","c":"NETWORK","id":22943,"ctx":"listener","msg":"Connection accepted"}"#,
                "2026-01-01T00:00:00.001000Z",
                Level::Warning,
                None,
                "Connection accepted",
                None,
            ),
            // GELF
            (
                r#"{"version":"1.1","host":"h","short_message":"s","timestamp":1767225600.25,"level":3}"#,
                "2026-01-01T00:00:00.250000Z",
                Level::Error,
                None,
                "s",
                None,
            ),
            // ECS, dotted
            (
                r#"{"@timestamp":"2026-01-01T00:00:00Z","log.level":"WARN","message":"m","log.logger":"l","http.request.id":"e1","error.stack_trace":"s"}"#,
                "2026-01-01T00:00:00.000000Z",
                Level::Warning,
                Some("l"),
                "m",
                Some("e1"),
            ),
        ];
        for (text, time, level, logger, message, request) in cases {
            let parsed = parse(text);
            assert_eq!(at(&parsed), time, "{text}");
            assert_eq!(parsed.level, level, "{text}");
            assert_eq!(parsed.logger.as_deref(), logger, "{text}");
            assert_eq!(parsed.message, message, "{text}");
            assert_eq!(parsed.request_id.as_deref(), request, "{text}");
        }
    }

    #[test]
    fn requests_without_message_are_summed_up() {
        // Envoy and Caddy.
        let envoy = parse(
            r#"{"start_time":"2026-01-01T00:00:00.000Z","method":"GET","path":"/a","response_code":503,"x-request-id":"e-1","duration":12}"#,
        );
        assert_eq!(envoy.message, "GET /a 503");
        assert_eq!(envoy.level, Level::Error);
        assert_eq!(envoy.request_id.as_deref(), Some("e-1"));
        let caddy = parse(
            r#"{"level":"info","ts":1767225600.1,"logger":"http.log.access","msg":"handled request","request":{"method":"GET","uri":"/"},"duration":0.0125,"status":200}"#,
        );
        assert_eq!(caddy.duration_ms, Some(12.5));
        assert_eq!(caddy.message, "handled request");
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, expected) in [
            (r#"{"duration_ms":12.5}"#, Some(12.5)),
            (r#"{"elapsed":"1.416µs"}"#, Some(0.001_416)),
            (r#"{"duration":"15d"}"#, None),
            (r#"{"duration":263}"#, None),
            (r#"{"event.duration":2000000}"#, Some(2.0)),
            (r#"{"event_duration":1002.5}"#, None),
            (r#"{"latency":"1m2.5s"}"#, Some(62_500.0)),
            (r#"{"duration_ms":-1}"#, None),
        ] {
            let parsed = parse(text);
            let near = |ours: f64, want: f64| (ours - want).abs() < 1e-9;
            assert!(
                near(
                    parsed.duration_ms.unwrap_or(-1.0),
                    expected.unwrap_or(-1.0_f64)
                ),
                "{text}"
            );
            assert_eq!(parsed.metadata.is_empty(), expected.is_some(), "{text}");
        }
    }

    #[test]
    fn nothing_is_lost_when_names_compete() {
        let parsed = parse(
            r#"{"caller":"a.go:1","logger":"l","a":1,"a":2,"ts":"xxx","time":"2026-01-01T00:00:00Z","level":"weird","trace_id":"t","request_id":"r","event":"e","message":"m"}"#,
        );
        assert_eq!(parsed.logger.as_deref(), Some("l"));
        assert_eq!(parsed.request_id.as_deref(), Some("r"));
        for (name, text) in [
            ("caller", "a.go:1"),
            ("a", "1"),
            ("a_2", "2"),
            ("ts", "xxx"),
            ("level", "weird"),
            ("trace_id", "t"),
            ("event", "e"),
        ] {
            assert_eq!(meta(&parsed, name), Some(text), "{name}");
        }
    }

    #[test]
    fn text_before_the_object() {
        let parsed = parse(r#"WARN {"level": null, "n": 1}"#);
        assert_eq!(
            (parsed.level, meta(&parsed, "n")),
            (Level::Warning, Some("1"))
        );
        let parsed = parse(r#"INFO {"level": "error", "message": "x"}"#);
        assert_eq!((parsed.level, parsed.message.as_ref()), (Level::Error, "x"));
        let parsed = parse(r#"2026-01-01T00:00:00Z [info] user came {"user_id": 3}"#);
        assert_eq!(
            (parsed.message.as_ref(), parsed.user_id.as_deref()),
            ("user came", Some("3"))
        );
        assert_eq!(at(&parsed), "2026-01-01T00:00:00.000000Z");
        let mut out = Parsed::default();
        assert!(
            Json.parse("with prefix | {\"level", &hint(), &mut out)
                .is_err()
        );
        assert!(Json.parse("test", &hint(), &mut out).is_err());
        assert!(Json.parse(r#"{"a":1}{"b":2}"#, &hint(), &mut out).is_err());
    }

    #[test]
    fn pretty_printed_and_followed_by_a_trace() {
        assert_eq!(Json.opens("{"), Opens::Unfinished);
        assert_eq!(Json.joins("{", "  \"a\": 1"), Joins::Yes);
        assert_eq!(Json.joins("{\n  \"a\": 1", "}"), Joins::Yes);
        let parsed = parse("{\n  \"msg\": \"m\",\n  \"a\": {\n    \"b\": 1\n  }\n}");
        assert_eq!(
            (parsed.message.as_ref(), meta(&parsed, "a.b")),
            ("m", Some("1"))
        );
        // Elasticsearch, whose lines begin at the margin.
        let open = "{\"message\":\"m\" ,";
        let frames = [
            r#""stacktrace": ["java.lang.Exception: {","#,
            r#""at a.b","#,
            r#""at c.d"] }"#,
        ];
        let mut text = open.to_owned();
        for frame in frames {
            assert_eq!(Json.joins(&text, frame), Joins::Yes, "{frame}");
            text = format!("{text}\n{frame}");
        }
        assert_eq!(Json.joins(&text, r#""a text of its own""#), Joins::Unsaid);
        let parsed = parse(&text);
        assert_eq!(
            parsed.traceback.as_deref(),
            Some("java.lang.Exception: {\nat a.b\nat c.d")
        );
        let parsed = parse(
            "{\"msg\":\"m\"}\nTraceback (most recent call last):\n  File \"x\", line 1\nE: y",
        );
        assert!(parsed.traceback.unwrap().starts_with("Traceback"));
    }
}
