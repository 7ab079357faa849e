//! What is copied or written to a file: records as text. The incident note is the report's.

use std::fmt::Write;

use crate::tui::widgets::safe_text;
use atalaya_domain::record::Record;

/// One record with all its fields, safe to paste.
pub fn record_text(record: &Record) -> String {
    let entry = &record.entry;
    let mut out = String::new();
    let mut put = |name: &str, value: &str| {
        for (index, line) in value.trim_end().split('\n').enumerate() {
            let name = if index == 0 {
                format!("{name}: ")
            } else {
                "  ".to_owned()
            };
            let _ = writeln!(out, "{}{}", safe_text::line(&name), safe_text::line(line));
        }
    };
    put("time", &entry.timestamp.to_rfc3339());
    put("level", entry.level.name());
    put("source", &record.origin.source);
    put("host", record.host());
    for (name, value) in [
        ("logger", &entry.logger),
        ("user_id", &entry.user_id),
        ("session_id", &entry.session_id),
    ] {
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
    let id = entry
        .request_id
        .as_ref()
        .map(|id| format!(" [{}]", id.as_str()))
        .unwrap_or_default();
    safe_text::line(&format!(
        "{} {:8} {}{id} {}",
        entry.timestamp.to_rfc3339(),
        entry.level.name(),
        record.origin.source,
        entry.message
    ))
}
