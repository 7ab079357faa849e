//! Groups of log records: as a table for people, and the one JSON shape of the command line and the
//! API.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr;

use crate::shown::Shown;
use atalaya_domain::time::Timestamp;
use atalaya_query::{Aggregate, Number};
use atalaya_store::engine::aggregate::{Group, Groups};

/// Columns of a value before it is cut.
const WIDEST: usize = 60;
/// Columns of the longest bar.
const BAR: u64 = 24;

/// One group: `at` (null where counts are not by time), `by` (an object of the fields; null where the
/// records have none), `count`, and where they were asked for `per_second` and `statistics` (an object;
/// milliseconds, where they are of durations) with `numbers`, of how many records these are.
pub fn group_json(by: &Aggregate, group: &Group) -> Value {
    let keys: Map<String, Value> = by
        .by
        .iter()
        .map(|field| field.name().to_owned())
        .zip(group.key.iter().map(|value| json!(value)))
        .collect();
    let mut row = json!({
        "at": group.at.map(Timestamp::to_rfc3339),
        "by": keys,
        "count": group.count,
    });
    if by.rate {
        row["per_second"] = json!(group.rate);
    }
    if !by.statistics.is_empty() {
        let names = by.statistics.iter().map(ToString::to_string);
        let values = group.statistics.iter().map(|value| json!(value));
        row["statistics"] = Value::Object(names.zip(values).collect());
        row["numbers"] = json!(group.numbers);
    }
    row
}

/// What stands beside the rows.
pub fn totals_json(by: &Aggregate, found: &Groups) -> Value {
    json!({
        "aggregate": by.to_string(),
        "groups": found.groups,
        "groups_cut": found.cut,
        "total": found.total,
        "others": found.others,
        "range": found.range.map(|range| json!({
            "from": range.from.to_rfc3339(),
            "until": range.until.to_rfc3339(),
        })),
    })
}

/// `5 groups of 1234 records; 12 records in other groups`.
pub fn totals_text(found: &Groups) -> String {
    let plural = |count: u64, one: &str, more: &str| {
        format!("{count} {}", if count == 1 { one } else { more })
    };
    let mut text = format!(
        "{}{} of {}",
        if found.cut { "more than " } else { "" },
        plural(found.groups, "group", "groups"),
        plural(found.total, "record", "records"),
    );
    if found.others > 0 {
        let _ = write!(
            text,
            "; {} in groups that are not shown",
            plural(found.others, "record", "records")
        );
    }
    text
}

/// A table with a head; `time` writes the begin of a span, `bars` draws the counts.
pub fn table(
    by: &Aggregate,
    groups: &[Group],
    time: impl Fn(Timestamp) -> String,
    bars: bool,
) -> String {
    let unit = match by.number {
        Number::Duration => " ms",
        Number::Meta(_) => "",
    };
    // Numbers stand to the right, the values of fields to the left.
    let mut head: Vec<(String, bool)> = Vec::new();
    if by.per.is_some() {
        head.push(("time".to_owned(), false));
    }
    head.extend(by.by.iter().map(|field| (field.name().to_owned(), false)));
    head.push(("count".to_owned(), true));
    if by.rate {
        head.push(("per second".to_owned(), true));
    }
    let statistics = by.statistics.iter();
    head.extend(statistics.map(|statistic| (format!("{statistic}{unit}"), true)));
    let rows: Vec<Vec<String>> = groups.iter().map(|group| cells(by, group, &time)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([head[column].0.width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let most = groups.iter().map(|group| group.count).max().unwrap_or(0);
    let mut text = String::new();
    let names: Vec<String> = head.iter().map(|(name, _)| name.clone()).collect();
    push_row(&mut text, &names, &head, &widths, "");
    for (row, group) in rows.iter().zip(groups) {
        let length = (group.count * BAR).checked_div(most).unwrap_or(0).max(1);
        let bar = "▇".repeat(usize::try_from(length).unwrap_or(0));
        push_row(&mut text, row, &head, &widths, if bars { &bar } else { "" });
    }
    text
}

fn push_row(
    text: &mut String,
    cells: &[String],
    head: &[(String, bool)],
    widths: &[usize],
    end: &str,
) {
    let mut line = String::new();
    for ((cell, (_, right)), width) in cells.iter().zip(head).zip(widths) {
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        let (before, after) = if *right { (&*pad, "") } else { ("", &*pad) };
        let _ = write!(line, "{before}{cell}{after}  ");
    }
    line.push_str(end);
    text.push_str(line.trim_end());
    text.push('\n');
}

fn cells(by: &Aggregate, group: &Group, time: impl Fn(Timestamp) -> String) -> Vec<String> {
    let mut cells: Vec<String> = group.at.map(time).into_iter().collect();
    cells.extend(group.key.iter().map(|value| match value {
        Some(value) => shortened(value),
        None => "-".to_owned(),
    }));
    cells.push(group.count.to_string());
    if by.rate {
        cells.push(group.rate.map_or_else(|| "-".to_owned(), number));
    }
    let statistics = group.statistics.iter();
    cells.extend(statistics.map(|value| value.map_or_else(|| "-".to_owned(), number)));
    cells
}

/// On one line, and not wider than a column may be.
fn shortened(value: &str) -> String {
    let shown = Shown::line(value).to_string();
    let mut text = String::new();
    for character in shown.chars() {
        if text.width() >= WIDEST - 1 {
            text.push('…');
            break;
        }
        text.push(character);
    }
    text
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
