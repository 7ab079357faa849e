//! Series over weeks and months as JSON: for scripts, the API and language models.
//!
//! The keys are the older tool's; what stands beside them is ours. `plain_rule` is the older tool's
//! arithmetic on the same rows. Rates of failure and rework are in per cent, times RFC 3339 in UTC;
//! `null` is what is not known. Where there is too little, `status` is `insufficient_data`, and
//! `needed` says how much would do.

use serde_json::{Map, Value, json};

use crate::service::dora::analytics::{Analysis, Found, Told};
use atalaya_domain::dora::analytics::{
    AnomalyReport, Compared, Comparison, Course, Expected, ForecastReport, Line, MOST_ANOMALIES,
    Measure, Method, Monthly, NEEDED_DURATIONS, NEEDED_MONTHS, NEEDED_WEEKS, Plain, Point, Side,
    TrendReport,
};
use atalaya_domain::dora::{Metric, Unit};
use atalaya_domain::time::{TimeRange, Timestamp};

/// One answer as an object.
pub fn json(told: &Told) -> Value {
    let mut answer = match (&told.found, told.analysis) {
        (Found::Trend(found), Analysis::Trend { days, .. }) => trend(found, days),
        (Found::Compare(found), _) => comparison(found),
        (Found::Monthly(found), _) => monthly(found),
        (Found::Anomalies(found), Analysis::Anomalies { days }) => anomalies(found, days),
        (Found::Forecast(found), _) => forecast(found),
        // An answer is made from its own question.
        (Found::Trend(_) | Found::Anomalies(_), _) => Map::new(),
    };
    answer.insert(
        "generated_at".to_owned(),
        json!(told.generated_at.to_rfc3339()),
    );
    answer.insert("profile".to_owned(), json!(told.rules.profile.name()));
    answer.insert("zone".to_owned(), json!(told.rules.zone.name()));
    answer.insert("service".to_owned(), json!(told.scope.service));
    answer.insert("team".to_owned(), json!(told.scope.team));
    answer.insert("environment".to_owned(), json!(told.scope.environment));
    answer.into()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn range(range: TimeRange) -> Value {
    json!({ "from": range.from.to_rfc3339(), "until": range.until.to_rfc3339() })
}

fn too_few(answer: &mut Map<String, Value>, message: String, needed: usize, available: usize) {
    answer.insert("status".to_owned(), json!("insufficient_data"));
    answer.insert("message".to_owned(), message.into());
    answer.insert("needed".to_owned(), needed.into());
    answer.insert("available".to_owned(), available.into());
}

fn each<T: Into<Value>>(points: &[Point], value: impl Fn(&Point) -> T) -> Value {
    points
        .iter()
        .map(|point| value(point).into())
        .collect::<Vec<Value>>()
        .into()
}

fn labels(points: &[Point]) -> Value {
    each(points, |point| point.label.clone())
}

const FLAT: &str = "change over the whole series below 5 % of its mean is stable";

fn trend(found: &TrendReport, days: u32) -> Map<String, Value> {
    let is_lead_time = found.measure == Measure::LeadTime;
    let mut weekly = object(json!({
        "weeks": labels(&found.weeks),
        "starts": each(&found.weeks, |week| week.range.from.to_rfc3339()),
    }));
    if is_lead_time {
        weekly.insert(
            "avg_lead_time_hours".to_owned(),
            each(&found.weeks, Point::mean_hours),
        );
        weekly.insert(
            "median_lead_time_hours".to_owned(),
            each(&found.weeks, Point::median_hours),
        );
        weekly.insert(
            "samples".to_owned(),
            each(&found.weeks, |week| week.lead_hours.len()),
        );
    } else {
        weekly.insert(
            "counts".to_owned(),
            each(&found.weeks, |week| week.deployments),
        );
    }
    let mut answer = object(json!({
        "metric": if is_lead_time { "lead_time" } else { "deployment_frequency" },
        "period_days": days,
        "window": range(found.period),
        "data_points": found.data_points(),
        "weekly_data": weekly,
        "trend_analysis": analysis(found),
        "statistics": found.statistics,
        "plain_rule": {
            "direction": found.plain.course,
            "weeks": found.plain.weeks,
            (if is_lead_time { "average_weekly_change_hours" } else { "average_weekly_change" }): found.plain.average_change,
            "rule": "weeks without deployments skipped, the running week taken for whole, two weeks suffice",
        },
    }));
    if is_lead_time {
        answer.insert("measured_from".to_owned(), json!(found.basis));
        let medians = found.medians.as_ref();
        answer.insert(
            "trend_of_medians".to_owned(),
            medians.map_or(Value::Null, evidence),
        );
    }
    if found.line.is_none() {
        let known = found.data_points();
        let message =
            format!("a direction needs {NEEDED_WEEKS} whole weeks with data; there are {known}");
        too_few(&mut answer, message, NEEDED_WEEKS, known);
    }
    answer
}

/// The last two whole weeks, and where the line goes.
fn analysis(found: &TrendReport) -> Value {
    let (change, current, previous) = match found.measure {
        Measure::DeploymentFrequency => (
            "average_weekly_change",
            "current_week_count",
            "previous_week_count",
        ),
        Measure::LeadTime => (
            "average_weekly_change_hours",
            "current_week_avg",
            "previous_week_avg",
        ),
    };
    let mut last = found.weeks.iter().rev().map(|week| found.measure.of(week));
    let (now, before) = (last.next().flatten(), last.next().flatten());
    let line = found.line.as_ref();
    let mut analysis = object(line.map_or(json!({}), evidence));
    let course = line.map_or(Course::InsufficientData, |line| line.course);
    analysis.insert("direction".to_owned(), json!(course));
    analysis.insert(
        change.to_owned(),
        json!(line.map(|line| line.average_change)),
    );
    analysis.insert(current.to_owned(), json!(now));
    analysis.insert(previous.to_owned(), json!(before));
    let moved = now.zip(before).map(|(now, before)| now - before);
    analysis.insert("week_over_week_change".to_owned(), json!(moved));
    analysis.insert("rule".to_owned(), json!(FLAT));
    analysis.into()
}

fn evidence(line: &Line) -> Value {
    json!({
        "direction": line.course,
        "slope_per_week": line.fitted.slope,
        "slope_interval_95": line.slope_interval_95(),
        "beyond_chance": line.fitted.is_beyond_chance(),
    })
}

fn period(range: TimeRange) -> Value {
    json!({
        "start": range.from.to_rfc3339(),
        "end": range.until.to_rfc3339(),
        "days": range.length().as_secs_f64() / 86_400.0,
    })
}

/// As the older tool calls it.
const fn key(metric: Metric) -> &'static str {
    match metric {
        Metric::DeploymentFrequency => "deployment_frequency",
        Metric::ChangeLeadTime => "lead_time_hours",
        Metric::ChangeFailureRate => "change_failure_rate",
        Metric::RecoveryTime => "mttr_hours",
        Metric::ReworkRate => "deployment_rework_rate",
    }
}

fn comparison(found: &Comparison) -> Map<String, Value> {
    let metrics: Map<String, Value> = found
        .metrics
        .iter()
        .map(|one| (key(one.metric).to_owned(), compared(one)))
        .collect();
    object(json!({
        "comparison_type": "period_over_period",
        "current_period": period(found.current),
        "previous_period": period(found.previous),
        "measured_from": found.basis,
        "metrics": metrics,
        "summary": summary(found),
    }))
}

fn compared(one: &Compared) -> Value {
    let scale = if one.unit == Unit::Ratio { 100.0 } else { 1.0 };
    let scaled = |value: f64| value * scale;
    let side = |side: &Side| {
        json!({
            "samples": side.samples,
            "interval_95": side.interval.map(|found| json!({ "low": scaled(found.low), "high": scaled(found.high), "method": found.method })),
            "lower_bound": matches!(side.value, atalaya_domain::dora::Value::AtLeast(_)),
            "not_available": match side.value {
                atalaya_domain::dora::Value::NotAvailable { reason } => Some(reason.to_string()),
                _ => None,
            },
        })
    };
    json!({
        "current": one.current.value.number().map(scaled),
        "previous": one.previous.value.number().map(scaled),
        "change": one.change.map(scaled),
        "percent_change": one.percent_change,
        "unit": unit(one.metric),
        "direction": one.direction,
        "details": { "current": side(&one.current), "previous": side(&one.previous) },
        "test": one.test,
        "plain_rule": one.plain.map(|plain| Plain {
            current: scaled(plain.current),
            previous: scaled(plain.previous),
            change: scaled(plain.change),
            ..plain
        }),
    })
}

const fn unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Ratio => "per_cent",
        Unit::Hours => "hours",
        _ => "per_day",
    }
}

/// What moved by more than 10 %, as sentences.
pub fn summary(found: &Comparison) -> Vec<String> {
    let moved = |one: &Compared| {
        let percent = one.percent_change.filter(|percent| percent.abs() > 10.0)?;
        let way = if percent > 0.0 { "rose" } else { "fell" };
        let title = if one.metric == Metric::ChangeLeadTime {
            found.basis.title()
        } else {
            one.metric.title()
        };
        let chance = match &one.test {
            Some(test) if test.p < 0.05 => format!("more than chance explains, p = {:.3}", test.p),
            Some(test) => format!("as chance may explain, p = {:.2}", test.p),
            None => "too few samples to say whether by chance".to_owned(),
        };
        Some(format!("{title} {way} by {:.0} %: {chance}", percent.abs()))
    };
    found.metrics.iter().filter_map(moved).collect()
}

fn monthly(found: &Monthly) -> Map<String, Value> {
    let months = &found.months;
    let named = |index: Option<usize>| {
        index.and_then(|index| months.get(index)).map(|month| {
            json!({ "month": month.label, "deployments": month.deployments, "per_day": month.per_day() })
        })
    };
    let edge = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    object(json!({
        "report_type": "monthly",
        "period_months": months.len(),
        "start_date": edge(months.first().map(|month| month.range.from)),
        "end_date": edge(months.last().map(|month| month.range.until)),
        "measured_from": found.basis,
        "data": {
            "months": labels(months),
            "days": each(months, Point::days),
            "deployment_frequency": each(months, |month| month.deployments),
            "deployments_per_day": each(months, Point::per_day),
            "avg_lead_time_hours": each(months, Point::mean_hours),
            "median_lead_time_hours": each(months, Point::median_hours),
        },
        "summary": {
            "total_deployments": found.total(),
            "avg_deployments_per_month": found.average(),
            "best_month": named(found.best),
            "worst_month": named(found.worst),
        },
        "rule": "whole calendar months of the zone; best and worst by deployments a day (the older tool cuts months of 30 days)",
    }))
}

fn anomalies(found: &AnomalyReport, days: u32) -> Map<String, Value> {
    let mut answer = object(json!({
        "period_days": days,
        "window": range(found.period),
        "total_deployments": found.timed,
        "without_duration": found.untimed,
    }));
    let Some(fences) = &found.fences else {
        let message = format!(
            "unusual durations need {NEEDED_DURATIONS} deployments whose begin and end are known; there are {} (and {} without a begin)",
            found.timed, found.untimed
        );
        too_few(&mut answer, message, NEEDED_DURATIONS, found.timed);
        return answer;
    };
    let count = found.unusual.len();
    let statistics = found.statistics;
    let (lower, upper) = (fences.fences.low, fences.fences.high);
    let rows: Vec<Value> = found
        .unusual
        .iter()
        .take(MOST_ANOMALIES)
        .map(|one| {
            json!({
                "deployment": one.deployment,
                "cycle_id": one.cycle_id,
                "feature_id": one.feature_id,
                "duration_seconds": one.seconds,
                "duration_hours": one.seconds / 3_600.0,
                "created_at": one.finished_at.to_rfc3339(),
                "type": if one.slow { "unusually_slow" } else { "unusually_fast" },
            })
        })
        .collect();
    answer.extend(object(json!({
        "anomalies_detected": count,
        "anomaly_rate": count as f64 / found.timed as f64 * 100.0,
        "thresholds": {
            "lower_seconds": lower,
            "upper_seconds": upper,
            "lower_hours": lower / 3_600.0,
            "upper_hours": upper / 3_600.0,
        },
        "statistics": {
            "q1": fences.q1,
            "q3": fences.q3,
            "iqr": fences.q3 - fences.q1,
            "mean": statistics.map(|found| found.mean),
            "median": statistics.map(|found| found.median),
            "std_dev": statistics.and_then(|found| found.std_dev),
        },
        "anomalies": rows,
        "left_off": count.saturating_sub(MOST_ANOMALIES),
        "rule": "outside of 1.5 interquartile ranges, quartiles of type 6 (exclusive)",
    })));
    answer
}

fn forecast(found: &ForecastReport) -> Map<String, Value> {
    let frequency = found.frequency.as_ref();
    let lead_time = found.lead_time.as_ref();
    let foretold = |expected: Option<&Expected>, measure| {
        expected.map_or_else(|| nothing(found.known(measure)), foretell)
    };
    let mut answer = object(json!({
        "forecast_period": found.label,
        "forecast_window": period(found.range),
        "months": labels(&found.months),
        "measured_from": found.basis,
        "forecasts": {
            "deployment_frequency": foretold(frequency, Measure::DeploymentFrequency),
            "lead_time_hours": foretold(lead_time, Measure::LeadTime),
        },
        "rule": "the line through the whole months where chance explains its slope badly, else their mean; lead times are monthly medians",
    }));
    let known = found.known(Measure::DeploymentFrequency);
    answer.insert("based_on_months".to_owned(), known.into());
    if frequency.is_none() && lead_time.is_none() {
        let message =
            format!("a forecast needs {NEEDED_MONTHS} whole months with data; there are {known}");
        too_few(&mut answer, message, NEEDED_MONTHS, known);
        return answer;
    }
    let confidence = if known < 6 { "low" } else { "medium" };
    answer.insert("confidence".to_owned(), confidence.into());
    let note = "an interval holds the true value as often as its name says, if the coming month is like those before";
    answer.insert("note".to_owned(), note.into());
    answer
}

fn nothing(available: usize) -> Value {
    let mut answer = Map::new();
    let message =
        format!("a forecast needs {NEEDED_MONTHS} whole months with data; there are {available}");
    too_few(&mut answer, message, NEEDED_MONTHS, available);
    answer.into()
}

fn foretell(expected: &Expected) -> Value {
    let told = expected.predicted;
    let trend = match expected.method {
        Method::Level => "none beyond chance",
        Method::Line if expected.slope > 0.0 => "increasing",
        Method::Line => "decreasing",
    };
    json!({
        "predicted": told.value,
        "interval_80": told.interval_80,
        "interval_95": told.interval_95,
        "current_avg": expected.current_avg,
        "trend": trend,
        "method": expected.method,
        "months": expected.months,
        "backtest": expected.backtest,
        "plain_rule": {
            "predicted": expected.plain,
            "rule": "the last month plus the mean of the differences; no interval, and it may fall below zero",
        },
    })
}
