//! The measures over time: one row for each, with its last and its worst value and its limit.

use std::time::Duration;

use super::cells::bytes;
use super::work::InfraEffect;
use crate::report::bars::bar;
use crate::service::health_history::Series;
use crate::tui::ask::Question;
use crate::tui::tab::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::health::limit_of;
use atalaya_domain::time::Timestamp;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// How far back, one after the other. Samples are kept for 30 days.
const SPANS: [(Duration, &str); 3] = [
    (HOUR.saturating_mul(24), "24 hours"),
    (HOUR.saturating_mul(24 * 7), "7 days"),
    (HOUR.saturating_mul(24 * 30), "30 days"),
];
/// Columns of a trend.
const COLUMNS: u32 = 24;

#[derive(Debug, Default)]
pub(super) struct Histories {
    asked: Question,
    /// Which of [`SPANS`] is on the screen or asked for.
    span: usize,
    /// Until when it was read, once it was asked for.
    until: Option<Timestamp>,
    series: Option<Result<Vec<Series>, String>>,
}

impl Histories {
    /// The shortest span at first, then the next longer one, round and round.
    pub(super) fn ask(&mut self, now: Timestamp) -> InfraEffect {
        if self.until.is_some() {
            self.span = (self.span + 1) % SPANS.len();
        }
        self.until = Some(now);
        self.asked = self.asked.next();
        self.series = None;
        InfraEffect::History {
            question: self.asked,
            now,
            span: SPANS[self.span].0,
        }
    }

    pub(super) fn read(&mut self, question: Question, result: Result<Vec<Series>, String>) {
        if question == self.asked {
            self.series = Some(result);
        }
    }

    pub(super) fn title(&self) -> String {
        let next = SPANS[(self.span + 1) % SPANS.len()].1;
        format!(
            "Measures of the last {} · H for {next} · Esc closes",
            SPANS[self.span].1
        )
    }

    pub(super) fn lines(&self, context: &Context<'_>) -> Vec<(String, String, Role)> {
        let said = |text: &str, role| vec![(String::new(), text.to_owned(), role)];
        match (&self.series, self.until) {
            (None, _) | (_, None) => said("being read …", Role::Muted),
            (Some(Err(reason)), _) => said(reason, Role::Error),
            (Some(Ok(series)), _) if series.is_empty() => said(
                "nothing was sampled in this time: the job health_sample does it each five minutes",
                Role::Muted,
            ),
            (Some(Ok(series)), Some(until)) => {
                let from = until.saturating_sub(SPANS[self.span].0);
                let mut component = "";
                let rows = series.iter().map(|one| {
                    let is_new = one.component != component;
                    component = &one.component;
                    let label = if is_new { component } else { "" };
                    let (text, role) = row(one, (from, until), context);
                    (safe_text::line(label), text, role)
                });
                rows.collect()
            }
        }
    }
}

/// `used_ratio ▁▂▅ last 81 % · worst 86 % at 10:05 · 12 of 288 past 80 %`.
fn row(series: &Series, range: (Timestamp, Timestamp), context: &Context<'_>) -> (String, Role) {
    let measure = series.measure.as_str();
    let (Some((_, last)), Some((worst_at, worst))) = (series.last(), series.worst()) else {
        return (safe_text::line(measure), Role::Muted);
    };
    let limit = limit_of(&series.component, measure);
    let passes = |value: f64| match measure {
        "up" => value < 1.0,
        _ => limit.is_some_and(|limit| value >= limit),
    };
    let passed = series
        .points
        .iter()
        .filter(|(_, value)| passes(*value))
        .count();
    let mut text = format!(
        "{:<19}{} last {} · worst {} at {}",
        safe_text::line(measure),
        trend(series, range, context.unicode),
        figure(measure, last),
        figure(measure, worst),
        clock::minute(worst_at, context.zone),
    );
    if let Some(limit) = limit {
        text.push_str(&format!(
            " · {passed} of {} past {}",
            series.points.len(),
            figure(measure, limit)
        ));
    }
    let role = match (passes(last), passed) {
        (true, _) => Role::Warning,
        (false, 0) => Role::Text,
        (false, _) => Role::Accent,
    };
    (text, role)
}

/// The worst value of each part of the time; a part without a sample is a gap.
fn trend(series: &Series, (from, until): (Timestamp, Timestamp), unicode: bool) -> String {
    let values = series.points.iter().map(|(_, value)| *value);
    let highest = values.fold(0.0, f64::max);
    // A ratio fills its column at 1: half full looks half full.
    let top = if series.measure.ends_with("_ratio") || series.measure == "up" {
        1.0
    } else {
        highest
    };
    let length = until.since(from);
    let ends_at = |column: u32| {
        let end = from.saturating_add(length * column / COLUMNS);
        series.points.partition_point(|(at, _)| *at < end)
    };
    let column = |column: u32| {
        let part = series.points.get(ends_at(column)..ends_at(column + 1));
        let worst = part.and_then(|part| series.worst_of(part));
        worst.map_or(' ', |(_, value)| {
            bar(if top > 0.0 { value / top } else { 0.0 }, unicode)
        })
    };
    (0..COLUMNS).map(column).collect()
}

fn figure(measure: &str, value: f64) -> String {
    match measure {
        _ if measure.ends_with("_ratio") => format!("{:.0} %", value * 100.0),
        _ if measure.ends_with("_bytes") => bytes(value.max(0.0) as u64),
        _ if measure.ends_with("_ms") => format!("{value:.1} ms"),
        _ if measure.ends_with("_seconds") => format!("{value:.0} s"),
        "up" => (if value > 0.0 { "yes" } else { "no" }).to_owned(),
        _ if value.fract() == 0.0 => clock::count(value.max(0.0) as u64),
        _ => format!("{value:.2}"),
    }
}
