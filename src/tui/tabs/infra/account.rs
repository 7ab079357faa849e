//! The account of one file: every number of it, so that the sums can be checked by eye.

use std::time::Duration;

use super::Row;
use super::cells::bytes;
use crate::tui::widgets::{clock, safe_text};
use atalaya_ingest::accounts::FileAccount;

/// Label and words, safe to show.
pub(super) fn lines(row: Row<'_>) -> Vec<(&'static str, String)> {
    let file = match row {
        Row::Unread(unread) => {
            return vec![
                ("file", safe_text::line(&unread.path.to_string_lossy())),
                ("not read", safe_text::line(&unread.reason)),
            ];
        }
        Row::File(file) => file,
    };
    let state = match file.state.reason() {
        Some(reason) => format!("{}: {}", file.state.name(), safe_text::line(reason)),
        None => file.state.name().to_owned(),
    };
    let mut lines = vec![
        ("file", safe_text::line(&file.path.to_string_lossy())),
        ("state", state),
        ("origin", file.origin.to_string()),
        ("format", formats_of(file)),
        (
            "source",
            file.source
                .as_deref()
                .map_or_else(|| "–".to_owned(), safe_text::line),
        ),
        (
            "size",
            format!("{} ({} bytes)", bytes(file.size), clock::count(file.size)),
        ),
        (
            "acknowledged",
            format!(
                "{} bytes are durable in the store",
                clock::count(file.acknowledged)
            ),
        ),
        (
            "behind",
            format!(
                "{} for {}",
                bytes(file.lag_bytes),
                clock::precise(Duration::from_secs_f64(file.lag_seconds.clamp(0.0, 1e9)))
            ),
        ),
    ];
    lines.extend(sums(file));
    if let Some(error) = &file.last_error {
        lines.push(("last error", safe_text::line(error)));
    }
    lines
}

/// What became of its lines.
fn sums(file: &FileAccount) -> Vec<(&'static str, String)> {
    let counts = &file.counts;
    vec![
        (
            "lines",
            format!(
                "{} = {} records + {} joined + {} skipped + {} pending",
                clock::count(counts.lines),
                clock::count(counts.records),
                clock::count(counts.joined),
                clock::count(counts.skipped),
                clock::count(counts.pending())
            ),
        ),
        (
            "records",
            format!(
                "{} = {} stored + {} on their way",
                clock::count(counts.records),
                clock::count(counts.written),
                clock::count(counts.in_flight())
            ),
        ),
        (
            "did not fit",
            format!(
                "{} records keep their text and a parse_error",
                clock::count(counts.mismatched)
            ),
        ),
        (
            "cut",
            format!(
                "{} lines over the limit, kept in part",
                clock::count(counts.cut)
            ),
        ),
        ("errors", file.errors.to_string()),
    ]
}

/// What the file is taken for, and what read its records where that is more than one format.
fn formats_of(file: &FileAccount) -> String {
    let Some(format) = file.format else {
        return "not known before the first line".to_owned();
    };
    if file.formats.labels().all(|(label, _)| label == format) {
        return format.to_owned();
    }
    let counts = file
        .formats
        .labels()
        .map(|(label, records)| format!("{label} {}", clock::count(records)));
    format!("{format} ({})", counts.collect::<Vec<_>>().join(", "))
}
