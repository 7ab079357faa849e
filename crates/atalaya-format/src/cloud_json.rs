//! Objects that a cloud or a log shipper puts around one line of a program:
//!
//! - Google Cloud: `textPayload` (a `jsonPayload` is the program's own object)
//! - Azure: `properties.log`, or `properties.message` of its databases, under a `category`
//! - fluentd and Fluent Bit: `log` beside `kubernetes`, `date` or the container's names
//! - `CloudWatch`: `message` beside `ingestionTime` or `logStreamName`; `@message` beside `@ptr`
//! - Loki (`logcli -o jsonl`): `line` beside `labels`
//!
//! All other values are kept under their names, nested ones with dots between.
//!
//! Source: <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>,
//! <https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-schema>,
//! <https://docs.fluentbit.io/manual/pipeline/filters/kubernetes>,
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilteredLogEvent.html>.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;

use super::fields::push_unique;
use super::json::scan::{Scan, Value};
use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece, TimeHint, level,
    stream_of, time,
};
use atalaya_domain::record::{Layer, Level};
use atalaya_domain::time::Timestamp;

/// `cloud-json`.
#[derive(Clone, Copy, Debug)]
pub struct CloudJson;

/// Objects nested deeper are kept as JSON.
const DEPTH: usize = 6;

/// One of these stands in every such object: most lines of JSON are not looked at further.
static SIGNS: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(MARKS));
const MARKS: [&str; 7] = [
    "\"textPayload\"",
    "\"log\"",
    "\"ingestionTime\"",
    "\"logStream",
    "\"@ptr\"",
    "\"labels\"",
    "\"category\"",
];

impl Envelope for CloudJson {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "cloud-json",
            source: "cloud",
            layer: Layer::Application,
            begins: Begins::these(b"{"),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn marks(&self) -> &'static [&'static str] {
        &MARKS
    }

    fn tells_lines_apart(&self) -> bool {
        true
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        if SIGNS
            .as_ref()
            .is_none_or(|signs| signs.find(line).is_none())
        {
            return Err(self.mismatch("no line of a program within"));
        }
        let mut seen = Seen::default();
        let mut scan = Scan::new(line);
        scan.object("", DEPTH, &mut |name, value| seen.field(name, value))
            .map_err(|reason| self.mismatch(reason))?;
        if !scan.rest().trim_ascii().is_empty() {
            return Err(self.mismatch("text follows the object"));
        }
        seen.take(hint, out)
            .ok_or_else(|| self.mismatch("no line of a program within"))
    }
}

/// The members of an object.
#[derive(Debug, Default)]
struct Seen<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// Who put the object around the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Google,
    Azure,
    Shipper,
    CloudWatch,
    Loki,
}

impl<'a> Seen<'a> {
    fn field(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        self.members.push((name, value));
    }

    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    fn has_within(&self, prefix: &str) -> bool {
        self.members
            .iter()
            .any(|(known, _)| known.starts_with(prefix))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.iter().find_map(|(known, value)| match value {
            Value::Text(text) if known == name => Some(text.as_ref()),
            _ => None,
        })
    }

    fn is_number(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(known, value)| known == name && matches!(value, Value::Number(_)))
    }

    /// Whose object it is, and under which name the line stands. Only where the names leave no doubt:
    /// programs write objects with a `message` or a `log` of their own.
    fn kind(&self) -> Option<(By, &'static str)> {
        if self.text("textPayload").is_some() {
            let own = [
                "timestamp",
                "severity",
                "logName",
                "insertId",
                "receiveTimestamp",
            ];
            return own
                .iter()
                .any(|name| self.has(name))
                .then_some((By::Google, "textPayload"));
        }
        if self.text("category").is_some() && self.has("time") {
            return ["properties.log", "properties.message"]
                .into_iter()
                .find(|name| self.text(name).is_some())
                .map(|name| (By::Azure, name));
        }
        if self.text("log").is_some()
            && !["message", "msg", "level"]
                .iter()
                .any(|name| self.has(name))
        {
            let shipped = self.has_within("kubernetes.")
                || self.is_number("date")
                || self.has("container_id")
                || (self.has("@timestamp") && self.has("stream"));
            return shipped.then_some((By::Shipper, "log"));
        }
        if self.text("@message").is_some() && (self.has("@ptr") || self.has("@logStream")) {
            return Some((By::CloudWatch, "@message"));
        }
        if self.text("message").is_some() && self.is_number("timestamp") {
            let own = ["ingestionTime", "logStreamName", "logStream", "logGroup"];
            return own
                .iter()
                .any(|name| self.has(name))
                .then_some((By::CloudWatch, "message"));
        }
        let of_loki =
            self.text("line").is_some() && self.has_within("labels") && self.has("timestamp");
        of_loki.then_some((By::Loki, "line"))
    }

    fn take(self, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<Inside> {
        let (by, line) = self.kind()?;
        let stream = stream_of(&[
            self.any(&[
                "resource.labels.pod_name",
                "kubernetes.pod_name",
                "properties.pod",
                "container_id",
            ]),
            self.any(&[
                "resource.labels.container_name",
                "kubernetes.container_name",
                "container_name",
            ]),
            self.any(&[
                "logName",
                "stream",
                "properties.stream",
                "source",
                "logStreamName",
                "logStream",
                "@logStream",
            ]),
        ]);
        let container = [
            "kubernetes.container_name",
            "resource.labels.container_name",
            "container_name",
        ];
        let mut inside = Inside::line(stream, false);
        let mut partial = (false, false);
        for (name, value) in self.members {
            if name == line {
                if let Value::Text(text) = value {
                    out.message = without_newline(text);
                }
                continue;
            }
            if is_stamp(by, &name)
                && out.timestamp.is_none()
                && let Some(at) = instant(by, &value, hint)
            {
                out.timestamp = Some(at);
                out.zoned = true;
                continue;
            }
            let Some(text) = value.into_text() else {
                continue;
            };
            match name.as_ref() {
                "severity" | "level" | "properties.errorLevel" => {
                    inside.graded |= put_level(by, &text, out);
                    push_unique(out, "severity", text);
                    continue;
                }
                // `projects/depot/traces/5b8e…`
                "trace" if by == By::Google => {
                    let id = text.rsplit('/').next().unwrap_or("").to_owned();
                    out.request_id = Some(id.into());
                }
                "logtag" | "_p" if text == "P" => inside.piece = Piece::Open,
                "partial_message" => partial.0 = text == "true",
                "partial_last" => partial.1 = text == "true",
                name if container.contains(&name) && out.logger.is_none() => {
                    out.logger = Some(text.trim_start_matches('/').to_owned().into());
                }
                _ => {}
            }
            push_unique(out, name, text);
        }
        if partial == (true, false) {
            inside.piece = Piece::Open;
        }
        Some(inside)
    }

    /// The first of these texts that there is.
    fn any(&self, names: &[&str]) -> &str {
        names.iter().find_map(|name| self.text(name)).unwrap_or("")
    }
}

fn without_newline(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches(['\n', '\r'])),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            Cow::Owned(text)
        }
    }
}

fn is_stamp(by: By, name: &str) -> bool {
    match by {
        By::Google | By::Loki => name == "timestamp",
        By::Azure => name == "time",
        By::Shipper => matches!(name, "time" | "date" | "@timestamp"),
        By::CloudWatch => matches!(name, "timestamp" | "@timestamp"),
    }
}

fn instant(by: By, value: &Value<'_>, hint: &TimeHint) -> Option<Timestamp> {
    match value {
        Value::Text(text) => {
            // CloudWatch Insights writes `2024-05-01 08:00:00.000`, in UTC.
            let utc = TimeHint {
                zone: super::SourceZone::Utc,
                reference: hint.reference,
            };
            let hint = if by == By::CloudWatch { &utc } else { hint };
            time::iso(text, hint)
                .filter(|cut| cut.rest.is_empty())
                .map(|cut| cut.instant.at)
        }
        Value::Number(number) => time::epoch(number, hint)
            .filter(|cut| cut.rest.is_empty())
            .map(|cut| cut.instant.at),
        _ => None,
    }
}

/// Takes the severity; false where it is only what everything on stdout gets.
fn put_level(by: By, word: &str, out: &mut Parsed<'_>) -> bool {
    let known = match word {
        "DEFAULT" => None,
        // PostgreSQL's words in Azure.
        "LOG" => Some(Level::Info),
        word => level::from_word(word),
    };
    let Some(known) = known else { return false };
    out.level = known;
    known != Level::Info || (by != By::Google && by != By::Azure) || word == "NOTICE"
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;
    use atalaya_domain::record::Entry;

    fn decode(text: &str) -> Vec<Entry> {
        crate::testing::decoded(text, ANY_HINT).0
    }

    #[test]
    fn lines_of_clouds_and_shippers() {
        let klog = "E0501 08:00:00.000001    7 a.go:3] bad";
        for (line, logger, name, value) in [
            (
                format!(
                    r#"{{"textPayload":"{klog}\n","timestamp":"2024-05-01T08:00:00.6Z","severity":"INFO","resource":{{"type":"k8s_container","labels":{{"container_name":"pay"}}}},"logName":"projects/p/logs/stderr"}}"#
                ),
                Some("pay"),
                "logName",
                "projects/p/logs/stderr",
            ),
            (
                format!(
                    r#"{{"time":"2024-05-01T08:00:00.6Z","resourceId":"/R","category":"kube-scheduler","properties":{{"log":"{klog}\n","stream":"stderr","pod":"p-1"}}}}"#
                ),
                None,
                "properties.pod",
                "p-1",
            ),
            (
                format!(
                    r#"{{"log":"{klog}\n","kubernetes":{{"pod_name":"p-1","container_name":"pay"}},"date":1714550400.6}}"#
                ),
                Some("pay"),
                "kubernetes.pod_name",
                "p-1",
            ),
            (
                format!(r#"{{"date":1714550400.6,"log":"{klog}"}}"#),
                None,
                "file",
                "a.go",
            ),
            (
                format!(
                    r#"{{"container_id":"c0","container_name":"/pay","source":"stderr","log":"{klog}","time":"2024-05-01T08:00:00.6Z"}}"#
                ),
                Some("pay"),
                "container_name",
                "/pay",
            ),
            (
                format!(
                    r#"{{"logStreamName":"s/1","timestamp":1714550400600,"message":"{klog}","ingestionTime":1714550401000,"eventId":"3"}}"#
                ),
                None,
                "logStreamName",
                "s/1",
            ),
            (
                format!(
                    r#"{{"@timestamp":"2024-05-01 08:00:00.600","@message":"{klog}","@logStream":"s/1","@ptr":"x"}}"#
                ),
                None,
                "@logStream",
                "s/1",
            ),
            (
                format!(
                    r#"{{"labels":{{"app":"pay"}},"line":"{klog}","timestamp":"2024-05-01T08:00:00.6Z"}}"#
                ),
                None,
                "labels.app",
                "pay",
            ),
        ] {
            let entries = decode(&line);
            assert_eq!(entries.len(), 1, "{line}");
            let entry = entries.first().unwrap();
            assert_eq!(
                (entry.level, &*entry.message),
                (Level::Error, "bad"),
                "{line}: {entry:?}"
            );
            assert_eq!(
                (entry.logger.as_deref(), entry.metadata(name)),
                (logger, Some(value)),
                "{line}: {entry:?}"
            );
            let envelope =
                entry.metadata("inner_time").is_some() || entry.metadata("envelope_time").is_some();
            assert!(envelope, "{line}: {entry:?}");
        }
    }

    #[test]
    fn the_severity_counts_when_it_says_something() {
        for (severity, text, level) in [
            ("ERROR", "it went", Level::Error),
            ("WARNING", "it went", Level::Warning),
            ("INFO", "ERROR it broke", Level::Error),
            ("DEFAULT", "it went", Level::Info),
            ("EMERGENCY", "it went", Level::Critical),
        ] {
            let line = format!(
                r#"{{"textPayload":"{text}","timestamp":"2024-05-01T08:00:00Z","severity":"{severity}"}}"#
            );
            assert_eq!(decode(&line).first().unwrap().level, level, "{line}");
        }
    }

    #[test]
    fn pieces_and_traces_are_one_record() {
        let entries = decode(
            "{\"log\":\"part one, \",\"logtag\":\"P\",\"stream\":\"stdout\",\"kubernetes\":{\"pod_name\":\"p\"},\"date\":1714550400.1}\n\
             {\"log\":\"part two\",\"logtag\":\"F\",\"stream\":\"stdout\",\"kubernetes\":{\"pod_name\":\"p\"},\"date\":1714550400.2}",
        );
        assert_eq!(entries.len(), 1);
        assert_eq!(
            entries.first().map(|entry| &*entry.message),
            Some("part one, part two")
        );
        let entries = decode(
            "{\"textPayload\":\"Traceback (most recent call last):\",\"timestamp\":\"2024-05-01T08:00:00Z\"}\n\
             {\"textPayload\":\"  File \\\"a.py\\\", line 1, in f\",\"timestamp\":\"2024-05-01T08:00:00Z\"}",
        );
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn objects_of_programs_are_their_own() {
        for line in [
            r#"{"log":"main","msg":"x","date":1714550400}"#,
            r#"{"log":"main","text":"x"}"#,
            r#"{"message":"x","timestamp":1714550400600,"level":"info"}"#,
            r#"{"jsonPayload":{"message":"x"},"timestamp":"2024-05-01T08:00:00Z","severity":"INFO"}"#,
            r#"{"category":"a","time":"2024-05-01T08:00:00Z","properties":{"user":"x"}}"#,
            r#"{"line":7,"labels":{},"timestamp":"x"}"#,
            r#"{"textPayload":"x""#,
            r#"{"textPayload":"x","severity":"INFO"} tail"#,
            "{\"log\"",
        ] {
            assert!(
                CloudJson
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
