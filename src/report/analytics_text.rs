//! Series over weeks and months as text for a terminal.

use std::fmt::Write as _;

use super::analytics_json::summary;
use crate::service::dora::analytics::{Found, Told};
use atalaya_domain::dora::analytics::{
    AnomalyReport, Comparison, Course, Expected, ForecastReport, Line, MOST_ANOMALIES, Measure,
    Method, Monthly, NEEDED_DURATIONS, NEEDED_MONTHS, NEEDED_WEEKS, Point, TrendReport,
};
use atalaya_domain::dora::{Metric, Value, show_hours};
use atalaya_domain::stats::Interval;
use atalaya_domain::time::Timestamp;

/// One answer. Writing to a string cannot fail; the results are dropped for that reason.
pub fn text(told: &Told) -> String {
    let mut out = String::new();
    match &told.found {
        Found::Trend(found) => trend(&mut out, found),
        Found::Compare(found) => comparison(&mut out, found),
        Found::Monthly(found) => monthly(&mut out, found),
        Found::Anomalies(found) => anomalies(&mut out, found),
        Found::Forecast(found) => forecast(&mut out, found),
    }
    out
}

fn day(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d").to_string()
}

fn trend(out: &mut String, found: &TrendReport) {
    let is_lead_time = found.measure == Measure::LeadTime;
    let title = if is_lead_time {
        found.basis.title()
    } else {
        "Deployments"
    };
    let _ = writeln!(
        out,
        "{title}, whole weeks from {} to {}\n",
        day(found.period.from),
        day(found.period.until)
    );
    for week in &found.weeks {
        let value = if is_lead_time {
            lead(week)
        } else {
            deployments(week)
        };
        let _ = writeln!(out, "  {}  {value}", week.label);
    }
    out.push('\n');
    let Some(line) = &found.line else {
        let _ = writeln!(
            out,
            "No direction: it needs {NEEDED_WEEKS} whole weeks with data; there are {}.",
            found.data_points()
        );
        return;
    };
    let show = |value: f64| {
        if is_lead_time {
            show_hours(value)
        } else {
            format!("{value:.2}")
        }
    };
    let told = if is_lead_time {
        found.medians.as_ref().unwrap_or(line)
    } else {
        line
    };
    let _ = writeln!(
        out,
        "{}: {} a week{}",
        told.course.name(),
        show(told.fitted.slope),
        beyond(told, &show)
    );
    if found.plain.course != told.course && found.plain.course != Course::InsufficientData {
        let _ = writeln!(
            out,
            "The older tool's rule says {}: it skips empty weeks and takes the running one for whole.",
            found.plain.course.name()
        );
    }
}

fn beyond(line: &Line, show: &impl Fn(f64) -> String) -> String {
    let interval = line
        .slope_interval_95()
        .map_or_else(String::new, |interval| {
            format!(" (95 %: {} to {})", show(interval.low), show(interval.high))
        });
    let chance = if line.fitted.is_beyond_chance() {
        ", more than chance explains"
    } else {
        ", as chance may explain"
    };
    format!("{interval}{chance}")
}

fn deployments(point: &Point) -> String {
    point
        .deployments
        .map_or_else(|| "not known".to_owned(), |count| count.to_string())
}

fn lead(point: &Point) -> String {
    match (point.median_hours(), point.mean_hours()) {
        (Some(median), Some(mean)) => format!(
            "median {:<12} mean {:<12} n = {}",
            show_hours(median),
            show_hours(mean),
            point.lead_hours.len()
        ),
        _ => "none".to_owned(),
    }
}

fn comparison(out: &mut String, found: &Comparison) {
    let span = |range: atalaya_domain::time::TimeRange| {
        let days = range.length().as_secs_f64() / 86_400.0;
        format!(
            "{} to {} ({days:.0} days)",
            day(range.from),
            day(range.until)
        )
    };
    let _ = writeln!(
        out,
        "{}\nagainst {}\n",
        span(found.current),
        span(found.previous)
    );
    for one in &found.metrics {
        let title = if one.metric == Metric::ChangeLeadTime {
            found.basis.title()
        } else {
            one.metric.title()
        };
        let show = |value: Value| value.show(one.unit);
        let change = one
            .percent_change
            .map_or_else(String::new, |percent| format!("{percent:+.0} %"));
        let _ = writeln!(
            out,
            "  {title:<32} {:>24}  before {:<24} {change}",
            show(one.current.value),
            show(one.previous.value),
        );
    }
    let sentences = summary(found);
    if !sentences.is_empty() {
        let _ = writeln!(out, "\n{}", sentences.join("\n"));
    }
}

fn monthly(out: &mut String, found: &Monthly) {
    let _ = writeln!(out, "Whole months, oldest first\n");
    for month in &found.months {
        let _ = writeln!(
            out,
            "  {}  deployments {:<10} {}",
            month.label,
            deployments(month),
            lead(month)
        );
    }
    let name = |index: Option<usize>| index.and_then(|index| found.months.get(index));
    if let (Some(best), Some(worst)) = (name(found.best), name(found.worst)) {
        let _ = writeln!(
            out,
            "\n{} deployments; most a day in {}, fewest in {}",
            found.total(),
            best.label,
            worst.label
        );
    }
}

fn anomalies(out: &mut String, found: &AnomalyReport) {
    let Some(fences) = &found.fences else {
        let _ = writeln!(
            out,
            "Nothing is unusual yet: it needs {NEEDED_DURATIONS} deployments whose begin and end are known; \
             there are {} (and {} without a begin).",
            found.timed, found.untimed
        );
        return;
    };
    let hours = |seconds: f64| show_hours(seconds / 3_600.0);
    let _ = writeln!(
        out,
        "{} of {} deployments took unusually long or short; usual is {} to {}\n",
        found.unusual.len(),
        found.timed,
        hours(fences.fences.low.max(0.0)),
        hours(fences.fences.high)
    );
    for one in found.unusual.iter().take(MOST_ANOMALIES) {
        let way = if one.slow { "slow" } else { "fast" };
        let _ = writeln!(
            out,
            "  {}  {way}  {:<14} {}",
            one.finished_at.to_rfc3339(),
            hours(one.seconds),
            one.deployment
        );
    }
}

fn forecast(out: &mut String, found: &ForecastReport) {
    let _ = writeln!(
        out,
        "What {} will have been, from {} whole months\n",
        found.label,
        found.months.len()
    );
    let counts = |value: f64| format!("{value:.1}");
    let rows: [(&str, Option<&Expected>, Measure, &dyn Fn(f64) -> String); 2] = [
        (
            "Deployments",
            found.frequency.as_ref(),
            Measure::DeploymentFrequency,
            &counts,
        ),
        (
            found.basis.title(),
            found.lead_time.as_ref(),
            Measure::LeadTime,
            &show_hours,
        ),
    ];
    for (title, expected, measure, show) in rows {
        let Some(expected) = expected else {
            let _ = writeln!(
                out,
                "{title}: insufficient data: it needs {NEEDED_MONTHS} whole months with data; there are {}",
                found.known(measure)
            );
            continue;
        };
        foretold(out, title, expected, show);
    }
}

fn foretold(out: &mut String, title: &str, expected: &Expected, show: &dyn Fn(f64) -> String) {
    let told = expected.predicted;
    let between = |interval: Interval| format!("{} to {}", show(interval.low), show(interval.high));
    let how = match expected.method {
        Method::Level => "the mean of the months: no direction is beyond chance",
        Method::Line => "the line through the months",
    };
    let _ = writeln!(out, "{title}: {} ({how})", show(told.value));
    let _ = writeln!(
        out,
        "  80 %: {}; 95 %: {}",
        between(told.interval_80),
        between(told.interval_95)
    );
    let plain = show(expected.plain);
    match expected.backtest {
        Some(test) => {
            let _ = writeln!(
                out,
                "  on {} known months it was off by {}; the older tool's rule ({plain}) by {}",
                test.months,
                show(test.ours.mean_absolute_error),
                show(test.plain_rule.mean_absolute_error)
            );
        }
        None => {
            let _ = writeln!(
                out,
                "  no month to test it on; the older tool's rule says {plain}"
            );
        }
    }
}
