//! What the text and Markdown forms of a DORA report share: the same words for the same figures.

use chrono_tz::Tz;

use super::bars::bar;
use crate::shown::Shown;
use atalaya_domain::dora::{
    Delta, Direction, DoraReport, MetricReport, Row, Unit, Value, WeekPoint,
};
use atalaya_domain::time::Timestamp;

/// `2026-11-22 14:05` in a zone.
pub fn minute(at: Timestamp, zone: Tz) -> String {
    at.to_utc()
        .with_timezone(&zone)
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

/// The instants that a row's value was taken from: `2026-11-22 14:05` or `… to …`.
pub fn span(row: &Row, zone: Tz) -> String {
    match row.until {
        Some(until) => format!("{} to {}", minute(row.at, zone), minute(until, zone)),
        None => minute(row.at, zone),
    }
}

/// Weeks as bars, oldest first; a week without a number is a dot.
///
/// Bars start at zero, so that equal heights mean equal values and not only equal ranks.
pub fn sparkline(weeks: &[WeekPoint], unicode: bool) -> String {
    let gap = if unicode { '·' } else { '.' };
    let highest = weeks
        .iter()
        .filter_map(|week| week.value.number())
        .fold(0.0, f64::max);
    weeks
        .iter()
        .map(|week| match week.value.number() {
            None => gap,
            Some(_) if highest <= 0.0 => bar(0.0, unicode),
            Some(value) => bar(value / highest, unicode),
        })
        .collect()
}

/// `+12 % better`, `+0.3/day better` after a zero, `no change`, or `-` without both numbers.
pub fn delta(delta: Option<&Delta>, unit: Unit) -> String {
    let Some(delta) = delta else {
        return "-".to_owned();
    };
    let word = match delta.direction {
        Direction::Same => return "no change".to_owned(),
        Direction::Better => "better",
        Direction::Worse => "worse",
    };
    match delta.relative {
        Some(relative) => format!("{:+.0} % {word}", relative * 100.0),
        None => format!("+{} {word}", unit.show(delta.difference)),
    }
}

/// `1.0/week, met`.
pub fn target(metric: &MetricReport) -> String {
    let Some(target) = metric.target else {
        return "-".to_owned();
    };
    let unit = metric.metric.unit();
    match target.met {
        Some(true) => format!("{}, met", unit.show(target.value)),
        Some(false) => format!("{}, missed", unit.show(target.value)),
        None => unit.show(target.value),
    }
}

pub fn level(metric: &MetricReport) -> &'static str {
    metric
        .level
        .map_or("-", atalaya_domain::dora::PerformanceLevel::name)
}

pub fn score(score: Option<f64>) -> String {
    score.map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"))
}

/// `42 (95 %: 0.9/day to 1.9/day, Poisson)`.
pub fn samples(metric: &MetricReport) -> String {
    let measured = &metric.measured;
    match (measured.interval, measured.value) {
        (Some(interval), Value::Known(_) | Value::AtLeast(_)) => format!(
            "{} (95 %: {} to {}, {})",
            measured.samples,
            measured.unit.show(interval.low),
            measured.unit.show(interval.high),
            interval.method
        ),
        _ => measured.samples.to_string(),
    }
}

/// Whose figures: `shop, team blue, production`.
pub fn scope(report: &DoraReport) -> String {
    let service = report.scope.service.as_deref().unwrap_or("all services");
    let team = report
        .scope
        .team
        .as_deref()
        .map(|team| format!(", team {team}"))
        .unwrap_or_default();
    plain(&format!("{service}{team}, {}", report.scope.environment))
}

/// The overall level with its rule.
pub fn overall(report: &DoraReport) -> String {
    match report.overall.level {
        Some(level) => format!("{level} ({})", report.overall.level_rule),
        None => report.overall.level_rule.clone(),
    }
}

/// Ids and titles come from outside: what could act on a terminal becomes visible.
pub fn plain(text: &str) -> String {
    Shown::line(text).into_text().into_owned()
}
