//! OTLP in JSON, as the collector's file exporter writes it: one line holds the log records of many
//! resources and scopes.
//!
//! Sources: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> and
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model/>. Read with a document tree: the
//! format is rare, deep, and its members come in any order.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::fields::levels::otel;
use super::super::fields::push_unique;
use super::super::fields::shape::is_nothing;
use super::super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::{Layer, Level};

/// One log record with what its resource and scope say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpRecord<'a> {
    /// `timeUnixNano`, else `observedTimeUnixNano`.
    pub time: Option<time::Instant>,
    /// 1 to 24; 0 when the record has none.
    pub severity_number: u32,
    /// Empty when the record has none.
    pub severity_text: Cow<'a, str>,
    /// A string as it is, another value as JSON.
    pub body: Cow<'a, str>,
    /// Hexadecimal; empty when the record has none.
    pub trace_id: Cow<'a, str>,
    pub span_id: Cow<'a, str>,
    /// Names and values, those of the record; values other than strings as JSON.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Those of the resource and the scope, and `scope.version`.
    pub resource: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub scope: Cow<'a, str>,
    /// Further members of the record, as JSON: `flags`, `eventName`.
    pub rest: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// `otlp`.
#[derive(Clone, Copy, Debug)]
pub struct Otlp;

impl Format for Otlp {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "otlp",
            source: "app/otlp",
            layer: Layer::Application,
            begins: Begins::these(b"{"),
            lines: Lines::One,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        // Exporters write the list first; an object that holds it elsewhere is somebody else's.
        let member = line.get(1..).unwrap_or("").trim_ascii_start();
        if member.starts_with("\"resourceLogs\"") {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn several(&self, line: &str, _hint: &TimeHint, each: &mut dyn FnMut(Parsed<'_>)) -> bool {
        let Some(records) = split(line).filter(|records| !records.is_empty()) else {
            return false;
        };
        for record in records {
            let mut out = Parsed::default();
            fill(record, &mut out);
            each(out);
        }
        true
    }

    /// The first record of the line.
    fn parse<'a>(
        &self,
        text: &'a str,
        _hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let first = split(text).and_then(|records| records.into_iter().next());
        fill(
            first.ok_or_else(|| self.mismatch("no log record of OTLP"))?,
            out,
        );
        Ok(())
    }
}

/// The log records of a line; `None` when it is no OTLP export of logs.
pub fn split(line: &str) -> Option<Vec<OtlpRecord<'_>>> {
    let line = line.trim_ascii();
    if !line.starts_with('{')
        || memchr::memmem::find(line.as_bytes(), b"\"resourceLogs\"").is_none()
    {
        return None;
    }
    let tree: Value = serde_json::from_str(line).ok()?;
    let mut records = Vec::new();
    for by_resource in tree.get("resourceLogs")?.as_array()? {
        let resource = attributes(by_resource.get("resource"));
        // `instrumentationLibraryLogs` is what `scopeLogs` was called until version 0.15.
        let scopes = by_resource
            .get("scopeLogs")
            .or_else(|| by_resource.get("instrumentationLibraryLogs"))
            .and_then(Value::as_array);
        for by_scope in scopes.into_iter().flatten() {
            let scope = by_scope
                .get("scope")
                .or_else(|| by_scope.get("instrumentationLibrary"));
            let mut around = resource.clone();
            around.extend(attributes(scope));
            let text = |name| {
                scope
                    .and_then(|scope| scope.get(name))
                    .and_then(Value::as_str)
                    .unwrap_or("")
            };
            if !text("version").is_empty() {
                around.push((
                    Cow::Borrowed("scope.version"),
                    Cow::Owned(text("version").to_owned()),
                ));
            }
            let logs = by_scope
                .get("logRecords")
                .or_else(|| by_scope.get("logs"))
                .and_then(Value::as_array);
            for log in logs.into_iter().flatten().filter_map(Value::as_object) {
                records.push(record(log, &around, text("name")));
            }
        }
    }
    Some(records)
}

/// Fills the fields of a record. `resource` attributes other than the service's name keep their
/// own names, as those of the record do.
pub fn fill<'a>(record: OtlpRecord<'a>, out: &mut Parsed<'a>) {
    if let Some(instant) = record.time {
        out.set_time(instant);
    }
    out.level = otel(record.severity_number)
        .or_else(|| level::from_word(&record.severity_text))
        .unwrap_or(Level::Info);
    out.message = record.body;
    if !is_nothing(&record.trace_id) && record.trace_id.bytes().any(|byte| byte != b'0') {
        out.request_id = Some(record.trace_id);
    }
    if !record.scope.is_empty() {
        out.logger = Some(record.scope);
    }
    if record.severity_text != out.level.name() && !record.severity_text.is_empty() {
        push_unique(out, "severity", record.severity_text);
    }
    for (name, text) in record.attributes {
        attribute(name, text, out);
    }
    for (name, text) in record.resource {
        if name == "service.name" {
            if out.logger.is_none() {
                out.logger = Some(text.clone());
            }
            push_unique(out, "service", text);
        } else {
            push_unique(out, name, text);
        }
    }
    if !record.span_id.is_empty() {
        push_unique(out, "span_id", record.span_id);
    }
    for (name, text) in record.rest {
        push_unique(out, name, text);
    }
}

/// Source of the names: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>.
fn attribute<'a>(name: Cow<'a, str>, text: Cow<'a, str>, out: &mut Parsed<'a>) {
    let field = match name.as_ref() {
        "user.id" | "enduser.id" => &mut out.user_id,
        "session.id" => &mut out.session_id,
        "exception.stacktrace" => &mut out.traceback,
        // A request id that the application set says more than the trace.
        "request_id" | "request.id" | "http.request.id" | "requestId" => {
            if let Some(trace) = out.request_id.replace(text) {
                push_unique(out, "trace_id", trace);
            }
            return;
        }
        _ => return push_unique(out, name, text),
    };
    if field.is_none() && !is_nothing(&text) {
        *field = Some(text);
    } else {
        push_unique(out, name, text);
    }
}

fn record<'a>(
    log: &Map<String, Value>,
    resource: &[(Cow<'a, str>, Cow<'a, str>)],
    scope: &str,
) -> OtlpRecord<'a> {
    let mut out = OtlpRecord {
        time: log
            .get("timeUnixNano")
            .and_then(nanos)
            .or_else(|| log.get("observedTimeUnixNano").and_then(nanos)),
        resource: resource.to_vec(),
        scope: Cow::Owned(scope.to_owned()),
        ..OtlpRecord::default()
    };
    let owned = |value: &Value| {
        Cow::Owned(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    };
    for (name, value) in log {
        match name.as_str() {
            "timeUnixNano" => {}
            "severityNumber" => out.severity_number = severity(value),
            "severityText" => out.severity_text = owned(value),
            "body" => out.body = Cow::Owned(any_value(value)),
            "traceId" => out.trace_id = owned(value),
            "spanId" => out.span_id = owned(value),
            "attributes" => out.attributes = pairs(value),
            // It says when the collector came to see the record.
            "observedTimeUnixNano" if log.get("timeUnixNano").and_then(nanos).is_none() => {}
            "flags" | "droppedAttributesCount" if value == 0 => {}
            _ if value.is_null() => {}
            _ => out.rest.push((Cow::Owned(name.clone()), owned(value))),
        }
    }
    out
}

/// A number or its name: `17`, `"SEVERITY_NUMBER_ERROR"`, `"SEVERITY_NUMBER_WARN2"`.
fn severity(value: &Value) -> u32 {
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).unwrap_or(0);
    }
    let Some(name) = value.as_str() else { return 0 };
    let name = name.strip_prefix("SEVERITY_NUMBER_").unwrap_or(name);
    let base = match name.trim_end_matches(|last: char| last.is_ascii_digit()) {
        "TRACE" => 1,
        "DEBUG" => 5,
        "INFO" => 9,
        "WARN" => 13,
        "ERROR" => 17,
        "FATAL" => 21,
        _ => return name.parse().unwrap_or(0),
    };
    let step = name
        .trim_start_matches(|first: char| !first.is_ascii_digit())
        .parse::<u32>()
        .unwrap_or(1);
    base + step.clamp(1, 4) - 1
}

/// Nanoseconds since 1970, as text or a number; 0 is no time.
fn nanos(value: &Value) -> Option<time::Instant> {
    let nanos = match value {
        Value::String(text) => text.parse::<i64>().ok()?,
        other => other.as_i64()?,
    };
    let micros = nanos / 1_000;
    (micros > 0).then(|| time::Instant::exact(atalaya_domain::time::Timestamp::from_micros(micros)))
}

fn attributes<'a>(owner: Option<&Value>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    owner
        .and_then(|owner| owner.get("attributes"))
        .map(pairs)
        .unwrap_or_default()
}

fn pairs<'a>(list: &Value) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| {
            let name = pair.get("key")?.as_str()?;
            Some((
                Cow::Owned(name.to_owned()),
                Cow::Owned(any_value(pair.get("value")?)),
            ))
        })
        .collect()
}

/// The value of an `AnyValue` as text: strings as they are, the rest as JSON.
fn any_value(value: &Value) -> String {
    match plain(value) {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// An `AnyValue` without its tags. The tree is no deeper than its parser allows (128).
fn plain(value: &Value) -> Value {
    let Some((tag, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return value.clone();
    };
    match tag.as_str() {
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => inner.clone(),
        // 64 bits stand in quotes.
        "intValue" => inner
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
            .map_or(inner.clone(), Value::from),
        "arrayValue" => inner
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(plain)
            .collect(),
        "kvlistValue" => {
            let members = inner
                .get("values")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            Value::Object(
                members
                    .filter_map(|pair| {
                        Some((
                            pair.get("key")?.as_str()?.to_owned(),
                            plain(pair.get("value")?),
                        ))
                    })
                    .collect(),
            )
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::testing::meta;

    fn parsed(line: &str) -> Vec<Parsed<'_>> {
        split(line)
            .unwrap()
            .into_iter()
            .map(|record| {
                let mut out = Parsed::default();
                fill(record, &mut out);
                out
            })
            .collect()
    }

    #[test]
    fn records_of_two_resources() {
        let line = r#"{"resourceLogs":[
            {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"till"}},{"key":"host.name","value":{"stringValue":"h1"}}]},
             "scopeLogs":[{"scope":{"name":"pay.card","version":"2"},"logRecords":[
                {"timeUnixNano":"1714550400250000000","observedTimeUnixNano":"1714550401000000000","severityNumber":13,"severityText":"Warn","body":{"stringValue":"slow"},"traceId":"8f1c","spanId":"b7ad","attributes":[{"key":"enduser.id","value":{"intValue":"7"}},{"key":"session.id","value":{"stringValue":"s"}},{"key":"tries","value":{"intValue":3}},{"key":"ratio","value":{"doubleValue":0.5}},{"key":"ok","value":{"boolValue":false}},{"key":"blob","value":{"bytesValue":"AAE="}},{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"2"}]}}}]},
                {"observedTimeUnixNano":1714550402000000000,"severityNumber":"SEVERITY_NUMBER_FATAL2","body":{"kvlistValue":{"values":[{"key":"n","value":{"intValue":"5"}}]}}}]}]},
            {"scopeLogs":[{"logRecords":[{"severityText":"error","body":{"stringValue":"x"},"traceId":"00000000000000000000000000000000"}]}]}]}"#;
        let [slow, fatal, bare] = <[Parsed<'_>; 3]>::try_from(parsed(line)).unwrap();
        assert_eq!(
            slow.timestamp.unwrap().to_rfc3339(),
            "2024-05-01T08:00:00.250000Z"
        );
        assert_eq!(
            (slow.level, slow.message.as_ref()),
            (Level::Warning, "slow")
        );
        assert_eq!(slow.request_id.as_deref(), Some("8f1c"));
        assert_eq!(
            (slow.user_id.as_deref(), slow.session_id.as_deref()),
            (Some("7"), Some("s"))
        );
        assert_eq!(slow.logger.as_deref(), Some("pay.card"));
        for (name, text) in [
            ("service", "till"),
            ("host.name", "h1"),
            ("tries", "3"),
            ("ratio", "0.5"),
            ("ok", "false"),
            ("blob", "AAE="),
            ("list", r#"["a",2]"#),
            ("span_id", "b7ad"),
            ("severity", "Warn"),
            ("scope.version", "2"),
            ("observedTimeUnixNano", "1714550401000000000"),
        ] {
            assert_eq!(meta(&slow, name), Some(text), "{name}");
        }
        assert_eq!(
            fatal.timestamp.unwrap().to_rfc3339(),
            "2024-05-01T08:00:02.000000Z"
        );
        assert_eq!(
            (fatal.level, fatal.message.as_ref()),
            (Level::Critical, r#"{"n":5}"#)
        );
        assert_eq!(
            (bare.level, bare.request_id, bare.timestamp),
            (Level::Error, None, None)
        );
    }

    #[test]
    fn a_request_id_says_more_than_a_trace() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"till"}}]},"scopeLogs":[{"logRecords":[{"traceId":"8f","attributes":[{"key":"request_id","value":{"stringValue":"r"}}]}]}]}]}"#;
        let parsed = parsed(line);
        assert_eq!(parsed[0].request_id.as_deref(), Some("r"));
        assert_eq!(
            (meta(&parsed[0], "trace_id"), parsed[0].logger.as_deref()),
            (Some("8f"), Some("till"))
        );
    }

    #[test]
    fn other_lines_are_not_split() {
        for line in [
            "",
            "{}",
            r#"{"msg":"resourceLogs"}"#,
            r#"{"resourceLogs":1}"#,
            r#"{"resourceLogs":["#,
        ] {
            assert_eq!(split(line), None, "{line}");
        }
        assert_eq!(split(r#"{"resourceLogs":[]}"#), Some(vec![]));
        let deep = format!(
            "{{\"resourceLogs\":{}{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(split(&deep), None);
    }
}
