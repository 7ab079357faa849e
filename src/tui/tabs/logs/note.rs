//! What is copied: one record as text, and the incident note in Markdown, with secrets masked.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::trace::{Item, Trace, layer_word};
use crate::domain::record::Record;
use crate::domain::time::Timestamp;
use crate::query::Zone;
use crate::tui::widgets::{clock, safe_text};

/// Rows of a note: what a person reads, not a dump.
const MOST_ROWS: usize = 200;

/// Values that must not leave by the clipboard: `password=…`, `Authorization: Bearer …`, tokens of
/// known shapes, and the password of a URL.
static SECRETS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"(?i)\b((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|session[_-]?key|auth)["']?\s*[=:]\s*["']?)[^\s"',;&]+"#,
        r#"(?i)\b(authorization["']?\s*[:=]\s*["']?(?:bearer|basic|digest)\s+)[^\s"',;]+"#,
        r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{12,}",
        r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+(?:@)",
        r"()\b(?:eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|xox[abpr]-[A-Za-z0-9-]{10,})",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// The text with secrets replaced by `***`.
pub fn masked(text: &str) -> String {
    let mut out = text.to_owned();
    for pattern in SECRETS.iter() {
        out = pattern
            .replace_all(&out, |found: &Captures<'_>| {
                let at =
                    if found.get(0).is_some_and(|whole| whole.as_str().ends_with('@')) { "@" } else { "" };
                format!("{}***{at}", found.get(1).map_or("", |kept| kept.as_str()))
            })
            .into_owned();
    }
    out
}

/// One record with all its fields, safe to paste.
pub fn record_text(record: &Record) -> String {
    let entry = &record.entry;
    let mut out = String::new();
    let mut put = |name: &str, value: &str| {
        for (index, line) in value.trim_end().split('\n').enumerate() {
            let name = if index == 0 { format!("{name}: ") } else { "  ".to_owned() };
            let _ = writeln!(out, "{}{}", safe_text::line(&name), safe_text::line(line));
        }
    };
    put("time", &entry.timestamp.to_rfc3339());
    put("level", entry.level.name());
    put("source", &record.origin.source);
    put("host", record.host());
    for (name, value) in
        [("logger", &entry.logger), ("user_id", &entry.user_id), ("session_id", &entry.session_id)]
    {
        if let Some(value) = value {
            put(name, value);
        }
    }
    if let Some(id) = &entry.request_id {
        put("request_id", id.as_str());
    }
    if let Some(duration) = entry.duration_ms {
        put("duration_ms", &duration.to_string());
    }
    for (name, value) in &entry.metadata {
        put(name, value);
    }
    put("message", &entry.message);
    if let Some(traceback) = &entry.traceback {
        put("traceback", traceback);
    }
    put("id", &record.id().to_string());
    out
}

/// One line of a list, safe to write to a file or to show.
pub fn record_line(record: &Record) -> String {
    let entry = &record.entry;
    let id = entry.request_id.as_ref().map(|id| format!(" [{}]", id.as_str())).unwrap_or_default();
    safe_text::line(&format!(
        "{} {:8} {}{id} {}",
        entry.timestamp.to_rfc3339(),
        entry.level.name(),
        record.origin.source,
        entry.message
    ))
}

fn cell(text: &str) -> String {
    safe_text::line(&masked(text)).replace('|', "\\|").replace('`', "'")
}

/// The incident note of a trace.
pub fn of_trace(trace: &Trace, now: Timestamp, zone: Zone) -> String {
    let ids = trace.ids.iter().map(|id| cell(id.as_str())).collect::<Vec<_>>().join(", ");
    let mut out = format!("# Incident note: {ids}\n\n");
    let (Some(begin), Some(end)) = (trace.begin(), trace.end()) else {
        out.push_str("No record carries this id.\n");
        return out;
    };
    let _ = writeln!(
        out,
        "- from {} to {} ({})",
        clock::exact(begin, zone),
        clock::exact(end, zone),
        clock::precise(trace.length())
    );
    let _ = writeln!(
        out,
        "- sources: {}",
        trace.lanes.iter().map(|lane| cell(lane)).collect::<Vec<_>>().join(", ")
    );
    for (name, level) in [
        ("critical", crate::domain::record::Level::Critical),
        ("error", crate::domain::record::Level::Error),
        ("warning", crate::domain::record::Level::Warning),
    ] {
        let count = trace
            .rows
            .iter()
            .filter(|row| row.record().is_some_and(|record| record.entry.level == level))
            .count();
        if count > 0 {
            let _ = writeln!(out, "- {name}: {count}");
        }
    }
    for row in &trace.rows {
        if let Item::Event { kind, text, .. } = &row.item {
            let _ = writeln!(out, "- {kind} at {}: {}", clock::exact(row.at, zone), cell(text));
        }
    }
    let _ = writeln!(
        out,
        "\n## Timeline\n\n| offset | layer | source | level | message |\n|---:|---|---|---|---|"
    );
    for row in trace.rows.iter().take(MOST_ROWS) {
        let offset = clock::precise(row.at.since(begin));
        match &row.item {
            Item::Record(record) => {
                if let Some(gap) = row.gap {
                    let _ = writeln!(out, "| | | | | *gap of {}* |", clock::precise(gap));
                }
                let first = record.entry.message.split('\n').next().unwrap_or_default();
                let (layer, source) = (layer_word(record.origin.layer), cell(&record.origin.source));
                let _ = writeln!(
                    out,
                    "| +{offset} | {layer} | {source} | {} | {} |",
                    record.entry.level.name(),
                    cell(first)
                );
            }
            Item::Event { kind, text, .. } => {
                let _ = writeln!(out, "| +{offset} | metrics | {kind} | | {} |", cell(text));
            }
        }
    }
    if trace.rows.len() > MOST_ROWS {
        let _ = writeln!(out, "\n{} more rows are not in this note.", trace.rows.len() - MOST_ROWS);
    }
    let traceback = trace.rows.iter().find_map(|row| row.record()?.entry.traceback.as_deref());
    if let Some(traceback) = traceback {
        out.push_str("\n## First traceback\n\n");
        for line in masked(traceback).split('\n').take(60) {
            let _ = writeln!(out, "    {}", safe_text::line(line));
        }
    }
    let _ = writeln!(out, "\nWritten {}; secrets masked.", clock::exact(now, zone));
    out
}

/// The note of a record that belongs to no request.
pub fn of_record(record: &Record, now: Timestamp, zone: Zone) -> String {
    let first = record.entry.message.split('\n').next().unwrap_or_default();
    let mut out = format!("# Incident note: {}\n\n", safe_text::cut(&cell(first), 80));
    for line in masked(&record_text(record)).lines() {
        let _ = writeln!(out, "    {line}");
    }
    let _ = writeln!(out, "\nWritten {}; secrets masked.", clock::exact(now, zone));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_leave() {
        for (text, expected) in [
            ("login password=hunter2 ok", "login password=*** ok"),
            ("Authorization: Bearer abc.def-ghi123", "Authorization: Bearer ***"),
            ("postgres://app:s3cret@db/shop", "postgres://app:***@db/shop"),
            ("token: \"abc\", user: 7", "token: \"***\", user: 7"),
            ("key AKIAABCDEFGHIJKLMNOP used", "key *** used"),
            ("passing the author along: fine", "passing the author along: fine"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn a_note_cannot_break_out_of_its_table() {
        assert_eq!(cell("a|b\n`c`\u{1b}[31m"), "a\\|b␤'c'␛[31m");
    }
}
