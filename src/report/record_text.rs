//! Records as lines of text for a terminal or a pipe. Every stored text goes through [`Shown`].

use std::fmt::Write as _;
use std::time::Duration;

use chrono::Local;

use crate::service::trace::{Trace, TraceEvent, TraceRow};
use crate::shown::Shown;
use atalaya_domain::record::{Level, Record};
use atalaya_domain::time::Timestamp;
use atalaya_query::Zone;

/// Columns of the source.
const SOURCE_WIDTH: usize = 16;
/// Columns of the waterfall.
const BAR_WIDTH: usize = 24;

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    pub zone: Zone,
    /// Whether to send colours: a terminal, and no `NO_COLOR`.
    pub colour: bool,
}

impl TextStyle {
    fn paint(self, text: &str, sgr: &str) -> String {
        if self.colour && !sgr.is_empty() {
            format!("\x1b[{sgr}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn faint(self, text: &str) -> String {
        self.paint(text, "2")
    }

    fn time(self, at: Timestamp) -> String {
        self.formatted(at, "%Y-%m-%d %H:%M:%S%.3f")
    }

    /// An instant that is a whole second.
    pub fn second(self, at: Timestamp) -> String {
        self.formatted(at, "%Y-%m-%d %H:%M:%S")
    }

    fn formatted(self, at: Timestamp, format: &str) -> String {
        match self.zone {
            Zone::Utc => at.to_utc().format(format).to_string(),
            Zone::Local => at.to_utc().with_timezone(&Local).format(format).to_string(),
        }
    }
}

/// One letter for a level, so that colour is never the only sign.
pub const fn level_letter(level: Level) -> &'static str {
    match level {
        Level::Debug => "D",
        Level::Info => "I",
        Level::Warning => "W",
        Level::Error => "E",
        Level::Critical => "C",
    }
}

const fn level_sgr(level: Level) -> &'static str {
    match level {
        Level::Debug => "2",
        Level::Info => "",
        Level::Warning => "33",
        Level::Error => "31",
        Level::Critical => "1;31",
    }
}

/// One record: time, level letter, source, message with its request id; further lines of the
/// message and the traceback are indented below.
pub fn record(record: &Record, style: TextStyle) -> String {
    let entry = &record.entry;
    let mut out = String::new();
    let level = entry.level;
    let source = Shown::line(&record.origin.source).padded(SOURCE_WIDTH);
    let indent = " ".repeat(23 + 1 + 1 + 1 + SOURCE_WIDTH + 1);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{} {} {} ",
        style.faint(&style.time(entry.timestamp)),
        style.paint(level_letter(level), level_sgr(level)),
        style.paint(source.as_str(), "36"),
    );
    let mut lines = Shown::lines(&entry.message).into_iter();
    let first = lines.next().map(Shown::into_text).unwrap_or_default();
    out.push_str(&style.paint(&first, level_sgr(level)));
    if let Some(id) = &entry.request_id {
        let _ = write!(
            out,
            " {}",
            style.faint(&format!("[{}]", Shown::line(id.as_str())))
        );
    }
    if let Some(duration) = entry.duration_ms {
        let _ = write!(out, " {}", style.faint(&format!("{duration} ms")));
    }
    out.push('\n');
    let below = entry
        .traceback
        .as_deref()
        .map(Shown::lines)
        .unwrap_or_default();
    for line in lines.chain(below) {
        let _ = writeln!(out, "{indent}{}", style.faint(line.as_str()));
    }
    out
}

/// A trace as a waterfall: offset, level, lane, where in the whole it happened, message; long
/// pauses stand between the rows.
pub fn trace(trace: &Trace, style: TextStyle) -> String {
    let mut out = String::new();
    let ids: Vec<String> = trace
        .ids
        .iter()
        .map(|id| Shown::line(id.as_str()).to_string())
        .collect();
    let Some(first) = trace.rows.first() else {
        return out;
    };
    let worst = trace.worst().unwrap_or_default();
    let _ = writeln!(
        out,
        "{}: {} events in {} from {}, {} sources, worst {}",
        ids.join(", "),
        trace.rows.len(),
        duration(trace.span()),
        style.time(first.at),
        trace.lanes.len(),
        style.paint(worst.name(), level_sgr(worst)),
    );
    let lane_width = trace
        .lanes
        .iter()
        .map(|lane| Shown::line(&lane.source).width())
        .max()
        .unwrap_or(0);
    let lane_width = lane_width.min(SOURCE_WIDTH);
    for row in &trace.rows {
        if row.long_gap {
            let _ = writeln!(
                out,
                "{}",
                style.faint(&format!("{:>12}  ── {} ──", "", duration(row.gap)))
            );
        }
        trace_row(&mut out, trace, row, lane_width, style);
    }
    if trace.omitted > 0 {
        let _ = writeln!(out, "{} later records are left out", trace.omitted);
    }
    out
}

fn trace_row(out: &mut String, trace: &Trace, row: &TraceRow, lane_width: usize, style: TextStyle) {
    let level = row.event.level();
    let source = Shown::line(row.event.source()).padded(lane_width);
    let message = row.event.message();
    let mut lines = Shown::lines(&message).into_iter();
    let first = lines.next().map(Shown::into_text).unwrap_or_default();
    let id = if trace.ids.len() > 1 {
        format!("[{}] ", Shown::line(row.request_id.as_str()))
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "{} {} {} {} {}{}",
        style.faint(&format!("{:>12}", format!("+{}", duration(row.offset)))),
        style.paint(level_letter(level), level_sgr(level)),
        style.paint(source.as_str(), "36"),
        bar(row.offset, trace.span()),
        style.faint(&id),
        style.paint(&first, level_sgr(level)),
    );
    let indent = " ".repeat(12 + 1 + 1 + 1 + lane_width + 1 + BAR_WIDTH + 1);
    let traceback = match &row.event {
        TraceEvent::Record(record) => record
            .entry
            .traceback
            .as_deref()
            .map(Shown::lines)
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    for line in lines.chain(traceback) {
        let _ = writeln!(out, "{indent}{}", style.faint(line.as_str()));
    }
}

fn bar(offset: Duration, span: Duration) -> String {
    let share = if span.is_zero() {
        0.0
    } else {
        offset.as_secs_f64() / span.as_secs_f64()
    };
    let place = ((share * (BAR_WIDTH - 1) as f64).round() as usize).min(BAR_WIDTH - 1);
    format!(
        "{}█{}",
        "·".repeat(place),
        "·".repeat(BAR_WIDTH - 1 - place)
    )
}

/// `0.5 ms`, `12.345 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{:.1} ms", length.as_secs_f64() * 1_000.0),
        1..=59 => format!("{:.3} s", length.as_secs_f64()),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use atalaya_domain::record::{Entry, Layer, Origin, OriginId, RequestId};

    const PLAIN: TextStyle = TextStyle {
        zone: Zone::Utc,
        colour: false,
    };

    fn example() -> Record {
        let origin = Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "app/a-very-long-name".into(),
            host: "h".into(),
        };
        let entry = Entry {
            timestamp: Timestamp::from_millis(1_700_000_000_123),
            level: Level::Error,
            message: "first\x1b[2J\nsecond".into(),
            traceback: Some("Trace:\n\tat x".into()),
            request_id: Some(RequestId::new("req-1")),
            duration_ms: Some(12.5),
            ..Entry::default()
        };
        Record {
            origin: Arc::new(origin),
            entry,
        }
    }

    #[test]
    fn a_record_is_a_line_and_what_hangs_below() {
        let text = record(&example(), PLAIN);
        let indent = " ".repeat(43);
        assert_eq!(
            text,
            format!(
                "2023-11-14 22:13:20.123 E app/a-very-long… first␛[2J [req-1] 12.5 ms\n\
                 {indent}second\n{indent}Trace:\n{indent}    at x\n"
            )
        );
        let coloured = record(
            &example(),
            TextStyle {
                colour: true,
                ..PLAIN
            },
        );
        assert!(coloured.contains("\x1b[31mE\x1b[0m") && !coloured.contains("\x1b[2J"));
    }

    #[test]
    fn a_trace_is_a_waterfall() {
        let mut late = example();
        late.entry.timestamp = late
            .entry
            .timestamp
            .saturating_add(Duration::from_millis(2_500));
        let events = [example(), late]
            .into_iter()
            .map(|record| {
                (
                    record.entry.timestamp,
                    RequestId::new("req-1"),
                    TraceEvent::Record(Box::new(record)),
                )
            })
            .collect();
        let text = trace(
            &Trace::build(
                vec![RequestId::new("req-1")],
                events,
                Duration::from_secs(1),
            ),
            PLAIN,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "req-1: 2 events in 2.500 s from 2023-11-14 22:13:20.123, 1 sources, worst ERROR"
        );
        assert!(
            lines[1].starts_with("     +0.0 ms E app/a-very-long… █···"),
            "{text}"
        );
        assert!(text.contains("── 2.500 s ──"), "{text}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("+2.500 s") && line.contains("···█ first")),
            "{text}"
        );
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        for (millis, text) in [
            (0, "0.0 ms"),
            (999, "999.0 ms"),
            (1_500, "1.500 s"),
            (200_000, "3 min 20 s"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
