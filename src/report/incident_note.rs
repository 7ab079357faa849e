//! The incident note: a request, or one record with its neighbours, as Markdown to be pasted into a
//! ticket or a chat. Timeline, what failed in full, the deployment that carries the same id; secrets
//! are masked, and every stored text goes through [`Shown`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use crate::service::trace::{Trace, TraceEvent, TraceRow};
use crate::shown::Shown;
use atalaya_domain::delivery::Deployment;
use atalaya_domain::record::{Level, Record, RequestId};

use super::record_text::duration;

/// Most rows of the timeline; what did not go wrong is left out first.
const MOST_ROWS: usize = 60;
/// Most records that are printed in full.
const MOST_DETAILS: usize = 10;
/// Columns of a message in the timeline.
const MESSAGE_WIDTH: usize = 160;
/// Most lines of one traceback.
const MOST_LINES: usize = 60;

/// The note of one request or several.
pub fn of_trace(trace: &Trace) -> String {
    let mut out = String::new();
    let ids: Vec<String> = trace.ids.iter().map(|id| code(id.as_str())).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# Incident note: request {}\n", ids.join(", "));
    let Some((first, last)) = trace.rows.first().zip(trace.rows.last()) else {
        let _ = writeln!(out, "Nothing carries this id.");
        return out;
    };
    let _ = writeln!(
        out,
        "- **When**: {} to {} UTC ({})",
        first.at,
        last.at,
        duration(trace.span())
    );
    let worst = trace.worst().unwrap_or_default();
    let _ = writeln!(out, "- **Events**: {}, worst {worst}", trace.rows.len());
    let lanes: Vec<String> = trace
        .lanes
        .iter()
        .map(|lane| format!("{} ({}, {})", code(&lane.source), lane.rows, lane.worst))
        .collect();
    let _ = writeln!(out, "- **Sources**: {}", lanes.join(", "));
    for deployment in deployments(trace) {
        let _ = writeln!(out, "- **Deployment**: {}", describe(deployment));
    }
    timeline(&mut out, trace);
    let failed: Vec<&Record> = trace
        .records()
        .filter(|record| record.entry.level >= Level::Error)
        .collect();
    details(&mut out, &failed);
    let _ = writeln!(
        out,
        "\nReproduce: {}",
        code(&format!(
            "atalaya trace {}",
            trace
                .ids
                .iter()
                .map(RequestId::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        ))
    );
    out
}

/// The note of one record: itself in full, and its neighbours as a timeline.
pub fn of_record(record: &Record, neighbours: &[Record]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Incident note: {} in {}\n",
        record.entry.level,
        code(&record.origin.source)
    );
    let _ = writeln!(out, "- **When**: {} UTC", record.entry.timestamp);
    let _ = writeln!(out, "- **Host**: {}", code(record.host()));
    if let Some(id) = &record.entry.request_id {
        let _ = writeln!(out, "- **Request**: {}", code(id.as_str()));
    }
    details(&mut out, &[record]);
    if !neighbours.is_empty() {
        let _ = writeln!(
            out,
            "\n## Around it\n\n| time (UTC) | level | source | message |\n|---|---|---|---|"
        );
        for near in neighbours {
            let mark = if near.id() == record.id() {
                "**→** "
            } else {
                ""
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {mark}{} |",
                near.entry.timestamp,
                near.entry.level,
                cell(&near.origin.source),
                cell(&near.entry.message),
            );
        }
    }
    let _ = writeln!(
        out,
        "\nReproduce: {}",
        code(&format!("atalaya logs id:{}", record.id()))
    );
    out
}

fn deployments(trace: &Trace) -> impl Iterator<Item = &Deployment> {
    trace.rows.iter().filter_map(|row| match &row.event {
        TraceEvent::DeploymentFinished(deployment) => Some(&**deployment),
        _ => None,
    })
}

fn describe(deployment: &Deployment) -> String {
    let commit = deployment
        .commit
        .as_deref()
        .map(|commit| format!(", commit {}", code(commit)))
        .unwrap_or_default();
    format!(
        "{} to {}, {} at {}{commit} ({})",
        code(&deployment.service),
        code(&deployment.environment),
        deployment.result.name(),
        deployment.finished_at,
        code(&deployment.id),
    )
}

fn timeline(out: &mut String, trace: &Trace) {
    let _ = writeln!(
        out,
        "\n## Timeline\n\n| time (UTC) | offset | level | source | message |\n|---|---:|---|---|---|"
    );
    let rows = chosen(trace);
    for row in &rows {
        let _ = writeln!(
            out,
            "| {} | +{} | {} | {} | {} |",
            row.at,
            duration(row.offset),
            row.event.level(),
            cell(row.event.source()),
            cell(&row.event.message()),
        );
    }
    let left_out = trace.rows.len() - rows.len();
    if left_out > 0 {
        let _ = writeln!(
            out,
            "\n{left_out} rows without a warning or error are left out."
        );
    }
    if trace.omitted > 0 {
        let _ = writeln!(out, "\n{} later records were not read.", trace.omitted);
    }
}

/// All rows when they fit; else the first, the last and those that went wrong.
fn chosen(trace: &Trace) -> Vec<&TraceRow> {
    if trace.rows.len() <= MOST_ROWS {
        return trace.rows.iter().collect();
    }
    let last = trace.rows.len() - 1;
    let mut rows: Vec<&TraceRow> = trace
        .rows
        .iter()
        .enumerate()
        .filter(|(index, row)| *index == 0 || *index == last || row.event.level() >= Level::Warning)
        .map(|(_, row)| row)
        .collect();
    rows.truncate(MOST_ROWS);
    rows
}

fn details(out: &mut String, records: &[&Record]) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## Records");
    for record in records.iter().take(MOST_DETAILS) {
        let entry = &record.entry;
        let mut text = format!(
            "{} {} {}",
            entry.timestamp, entry.level, record.origin.source
        );
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(text, "\n{name}: {}", masked_value(name, value));
            }
        };
        field("logger", entry.logger.as_deref());
        field("message", Some(&entry.message));
        field(
            "request_id",
            entry.request_id.as_ref().map(RequestId::as_str),
        );
        field("user_id", entry.user_id.as_deref());
        field("session_id", entry.session_id.as_deref());
        for (name, value) in &entry.metadata {
            field(name, Some(value));
        }
        if let Some(traceback) = &entry.traceback {
            let lines: Vec<&str> = traceback.lines().collect();
            let kept = lines.len().min(MOST_LINES);
            let _ = write!(text, "\n{}", mask(&lines[..kept].join("\n")));
            if lines.len() > kept {
                let _ = write!(text, "\n… {} more lines", lines.len() - kept);
            }
        }
        block(out, &text);
    }
    if records.len() > MOST_DETAILS {
        let _ = writeln!(
            out,
            "\n{} more records of this kind.",
            records.len() - MOST_DETAILS
        );
    }
}

/// A fenced block whose fence is longer than any in the text.
fn block(out: &mut String, text: &str) {
    let lines: Vec<String> = Shown::lines(text).iter().map(ToString::to_string).collect();
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    let _ = writeln!(out, "\n{fence}text\n{}\n{fence}", lines.join("\n"));
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|character| character != of)
        .map(str::len)
        .max()
        .unwrap_or(0)
}

/// Text in one cell of a table: one line, cut, nothing in it that Markdown would act on.
fn cell(text: &str) -> String {
    let masked = mask(text);
    let shown = Shown::line_within(&masked, MESSAGE_WIDTH);
    let mut out = String::with_capacity(shown.as_str().len());
    for character in shown.as_str().chars() {
        if matches!(
            character,
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '#' | '!'
        ) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Text in an inline code span.
fn code(text: &str) -> String {
    let masked = mask(text);
    let shown = Shown::line(&masked);
    let fence = "`".repeat(longest_run(shown.as_str(), '`') + 1);
    let space = if shown.as_str().contains('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{shown}{space}{fence}")
}

/// Names whose values are secrets, whatever they look like.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "private_key",
    ]
    .iter()
    .any(|part| name.contains(part))
}

fn masked_value<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if is_secret_name(name) {
        Cow::Borrowed("***")
    } else {
        mask(value)
    }
}

/// Replaces what looks like a secret by `***`: values of telling names (`password=…`,
/// `"token": "…"`), `Bearer` and `Basic` credentials, passwords in addresses, JSON web tokens, keys of
/// well-known services, private keys. A net with holes: read a note before it leaves the house.
pub fn mask(text: &str) -> Cow<'_, str> {
    static SECRETS: LazyLock<Result<Vec<(Regex, &str)>, regex::Error>> = LazyLock::new(|| {
        const RULES: [(&str, &str); 6] = [
            (
                r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
                "***",
            ),
            (
                r"(?i)\b(bearer|basic|digest)\s+[a-z0-9+/_.~=-]{8,}",
                "$1 ***",
            ),
            (
                r#"(?i)\b([a-z0-9_.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|authorization|cookie|session_?key|private[_-]?key)["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"']+)"#,
                "$1***",
            ),
            (
                r"\b([a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*):[^\s/@]+@",
                "$1:***@",
            ),
            (
                r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
                "***",
            ),
            (
                r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bsk-[A-Za-z0-9_-]{20,}",
                "***",
            ),
        ];
        RULES
            .into_iter()
            .map(|(rule, by)| Regex::new(rule).map(|regex| (regex, by)))
            .collect()
    });
    // Without rules nothing may leave; a test holds that they compile.
    let Ok(rules) = &*SECRETS else {
        return Cow::Borrowed("***");
    };
    let mut text = Cow::Borrowed(text);
    for (regex, by) in rules {
        if let Cow::Owned(masked) = regex.replace_all(&text, *by) {
            text = Cow::Owned(masked);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use atalaya_domain::record::{Entry, Layer, Origin, OriginId};
    use atalaya_domain::time::Timestamp;

    #[test]
    fn secrets_are_masked() {
        for (text, masked) in [
            ("login password=hunter2 ok", "login password=*** ok"),
            (
                r#"{"api_key": "abc def", "x": 1}"#,
                r#"{"api_key": ***, "x": 1}"#,
            ),
            (
                "Authorization: Bearer abcdef123456",
                "Authorization: *** ***",
            ),
            ("sent Bearer abcdef123456==", "sent Bearer ***"),
            (
                "postgres://app:s3cret@db/shop",
                "postgres://app:***@db/shop",
            ),
            ("jwt eyJhbGciOi.eyJzdWIiOi.abc_def end", "jwt *** end"),
            ("key AKIAABCDEFGHIJKLMNOP used", "key *** used"),
            ("GET /reset?token=abc&x=1", "GET /reset?token=***&x=1"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----!",
                "***!",
            ),
            ("the password was wrong", "the password was wrong"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    fn record(millis: i64, level: Level, message: &str) -> Record {
        let origin = Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "app".into(),
            host: "h".into(),
        };
        let entry = Entry {
            timestamp: Timestamp::from_millis(millis),
            position: millis.unsigned_abs(),
            level,
            message: message.into(),
            traceback: (level >= Level::Error).then(|| "Trace ```\n\tat x password=y".into()),
            metadata: vec![("db_password".into(), "abc".into())],
            request_id: Some(RequestId::new("req-1")),
            ..Entry::default()
        };
        Record {
            origin: Arc::new(origin),
            entry,
        }
    }

    fn trace_of(records: Vec<Record>) -> Trace {
        let events = records
            .into_iter()
            .map(|record| {
                (
                    record.entry.timestamp,
                    RequestId::new("req-1"),
                    TraceEvent::Record(Box::new(record)),
                )
            })
            .collect();
        Trace::build(
            vec![RequestId::new("req-1")],
            events,
            Duration::from_secs(1),
        )
    }

    #[test]
    fn a_note_tells_the_story_and_no_secret() {
        let records = vec![
            record(0, Level::Info, "begin | \x1b[31m<b>"),
            record(1_500, Level::Error, "token=abc failed"),
        ];
        let note = of_trace(&trace_of(records.clone()));
        for part in [
            "# Incident note: request `req-1`",
            "- **Events**: 2, worst ERROR",
            "| 1970-01-01T00:00:00.000000Z | +0.0 ms | INFO | app | begin \\| ␛\\[31m\\<b\\> |",
            "| +1.500 s | ERROR | app | token=\\*\\*\\* failed |",
            "````text\n1970-01-01T00:00:01.500000Z ERROR app\nmessage: token=*** failed",
            "db_password: ***",
            "    at x password=***\n````",
            "Reproduce: `atalaya trace req-1`",
        ] {
            assert!(note.contains(part), "{part} is not in\n{note}");
        }
        assert!(!note.contains("abc") && !note.contains('\x1b'), "{note}");

        let note = of_record(&records[1], &records);
        assert!(
            note.contains("**→** token") && note.contains("`atalaya logs id:0000"),
            "{note}"
        );
    }

    #[test]
    fn a_long_trace_keeps_what_went_wrong() {
        let records = (0..500)
            .map(|index| {
                record(
                    index,
                    if index == 250 {
                        Level::Error
                    } else {
                        Level::Info
                    },
                    &format!("step {index}"),
                )
            })
            .collect();
        let note = of_trace(&trace_of(records));
        assert!(
            note.contains("| step 0 |")
                && note.contains("| step 250 |")
                && note.contains("| step 499 |")
        );
        assert!(
            note.contains("497 rows without a warning or error are left out."),
            "{note}"
        );
        assert!(of_trace(&trace_of(Vec::new())).contains("Nothing carries this id."));
    }
}
