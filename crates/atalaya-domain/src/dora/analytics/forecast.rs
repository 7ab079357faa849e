//! The next month, with what it is worth: intervals, and how far off the same rule was on the
//! months that are known.
//!
//! The rule: the line through the months where chance alone explains its slope badly (and six or
//! more have a number), else their mean. Frequencies are taken a day, as months are not equally
//! long, and scatter at least as counts do; lead times are taken as logarithms, so that neither
//! they nor their intervals fall below zero.

use serde::Serialize;

use super::{Asked, Measure, Point, months, series};
use crate::dora::LeadBasis;
use crate::stats::{self, Interval, Predicted};
use crate::time::{TimeRange, Timestamp};

/// Months with a number below which nothing is foretold.
pub const NEEDED_MONTHS: usize = 3;
/// From here on a line may be drawn, and the older tool calls its confidence medium.
const ENOUGH_MONTHS: usize = 6;
/// Months that are read to test the rule on.
const HISTORY: u32 = 36;
/// Below a second, a lead time has no useful logarithm.
const SHORTEST_HOURS: f64 = 1.0 / 3_600.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The mean of the months: no direction is beyond chance.
    Level,
    Line,
}

/// What a rule missed by on the months that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Skill {
    pub mean_absolute_error: f64,
    /// Shares of months that lay in the intervals, 0 to 1. `None` of a rule that has none.
    pub within_80: Option<f64>,
    pub within_95: Option<f64>,
}

/// Each month that has [`NEEDED_MONTHS`] before it was foretold from these alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backtest {
    pub months: usize,
    pub ours: Skill,
    pub plain_rule: Skill,
}

/// In deployments of the month, or in hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    pub predicted: Predicted,
    pub method: Method,
    /// Of the line, in its own scale; 0 of a level.
    pub slope: f64,
    pub months: usize,
    pub current_avg: f64,
    /// Last value plus the mean of the differences: it may fall below zero.
    pub plain: f64,
    /// `None` when there is no month to test on.
    pub backtest: Option<Backtest>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ForecastReport {
    pub basis: LeadBasis,
    /// The month that is foretold: the one that runs.
    pub label: String,
    pub range: TimeRange,
    /// Whole months that the forecast may use, oldest first.
    pub months: Vec<Point>,
    pub frequency: Option<Expected>,
    pub lead_time: Option<Expected>,
}

impl ForecastReport {
    /// Months that have a number for this.
    pub fn known(&self, measure: Measure) -> usize {
        let known = |month: &&Point| number(measure, month).is_some();
        self.months.iter().filter(known).count()
    }
}

/// When the oldest month begins that a forecast looks at.
pub fn oldest(now: Timestamp, zone: chrono_tz::Tz) -> Timestamp {
    super::whole_months(now, HISTORY, zone)
        .first()
        .map_or(now, |(_, month)| month.from)
}

/// The running month from the `count` whole ones before it.
pub fn forecast(asked: &Asked<'_>, count: u32) -> ForecastReport {
    let stretches = months(asked.now, -i64::from(HISTORY)..1, asked.rules.zone);
    let (mut history, basis) = series(asked, stretches);
    let (label, range) = history.pop().map_or_else(
        || (String::new(), TimeRange::new(asked.now, asked.now)),
        |running| (running.label, running.range),
    );
    let window = count as usize;
    let days = range.length().as_secs_f64() / 86_400.0;
    let frequency = expected(&history, window, Measure::DeploymentFrequency, days);
    let lead_time = expected(&history, window, Measure::LeadTime, days);
    let older = history.len().saturating_sub(window);
    ForecastReport {
        basis,
        label,
        range,
        months: history.split_off(older),
        frequency,
        lead_time,
    }
}

/// In the unit of answers: deployments of a month, or the median hours.
fn number(measure: Measure, month: &Point) -> Option<f64> {
    match measure {
        Measure::DeploymentFrequency => month.deployments.map(|count| count as f64),
        Measure::LeadTime => month.median_hours(),
    }
}

fn expected(history: &[Point], window: usize, measure: Measure, days: f64) -> Option<Expected> {
    let next = history.len();
    let used = &history[next.saturating_sub(window)..];
    let (predicted, method, slope) = of_months(used, measure, days)?;
    let values: Vec<f64> = used
        .iter()
        .filter_map(|month| number(measure, month))
        .collect();
    Some(Expected {
        predicted,
        method,
        slope,
        months: values.len(),
        current_avg: stats::mean(&values)?,
        plain: stats::forecast(&values)?.predicted,
        backtest: backtest(history, window, measure),
    })
}

/// The month after these, which has so many days.
fn of_months(used: &[Point], measure: Measure, days: f64) -> Option<(Predicted, Method, f64)> {
    let at = |month: &Point| match measure {
        Measure::DeploymentFrequency => month.per_day(),
        Measure::LeadTime => month
            .median_hours()
            .map(|hours| hours.max(SHORTEST_HOURS).ln()),
    };
    let points: Vec<(f64, f64)> = used
        .iter()
        .enumerate()
        .filter_map(|(place, month)| Some((place as f64, at(month)?)))
        .collect();
    let least_scatter = match measure {
        Measure::DeploymentFrequency => counting(&points, used, days),
        Measure::LeadTime => 0.0,
    };
    let (told, method, slope) = predict(&points, used.len() as f64, least_scatter)?;
    let back = |value: f64| match measure {
        Measure::DeploymentFrequency => (value * days).max(0.0),
        Measure::LeadTime => value.exp(),
    };
    let interval = |found: Interval| Interval::new(back(found.low), back(found.high));
    let predicted = Predicted {
        value: back(told.value),
        interval_80: interval(told.interval_80),
        interval_95: interval(told.interval_95),
    };
    Some((predicted, method, slope))
}

/// What a daily rate over so many days scatters by counting alone. Of nothing counted, the rule of
/// three says how much there may be.
fn counting(points: &[(f64, f64)], used: &[Point], days: f64) -> f64 {
    let rates: Vec<f64> = points.iter().map(|point| point.1).collect();
    let seen: f64 = used.iter().map(Point::days).sum();
    let rate = stats::mean(&rates).unwrap_or(0.0).max(3.0 / seen.max(1.0));
    (rate / days.max(1.0)).sqrt()
}

/// The value at `x` by the rule of this module. `None` below [`NEEDED_MONTHS`] points.
pub fn predict(
    points: &[(f64, f64)],
    x: f64,
    least_scatter: f64,
) -> Option<(Predicted, Method, f64)> {
    if points.len() < NEEDED_MONTHS {
        return None;
    }
    let line = stats::fitted(points)
        .filter(|line| points.len() >= ENOUGH_MONTHS && line.is_beyond_chance());
    if let Some(line) = line {
        return Some((line.at(x, least_scatter)?, Method::Line, line.slope));
    }
    let values: Vec<f64> = points.iter().map(|point| point.1).collect();
    let level = stats::level(&values)?;
    Some((level.at(x, least_scatter)?, Method::Level, 0.0))
}

fn backtest(history: &[Point], window: usize, measure: Measure) -> Option<Backtest> {
    let (mut ours, mut plain, mut in_80, mut in_95) = (Vec::new(), Vec::new(), 0, 0);
    for next in NEEDED_MONTHS..history.len() {
        let used = &history[next.saturating_sub(window)..next];
        let Some(truth) = number(measure, &history[next]) else {
            continue;
        };
        let Some((told, ..)) = of_months(used, measure, history[next].days()) else {
            continue;
        };
        let values: Vec<f64> = used
            .iter()
            .filter_map(|month| number(measure, month))
            .collect();
        ours.push((told.value - truth).abs());
        plain.extend(stats::forecast(&values).map(|told| (told.predicted - truth).abs()));
        in_80 += usize::from(told.interval_80.contains(truth));
        in_95 += usize::from(told.interval_95.contains(truth));
    }
    let months = ours.len();
    let share = |hits: usize| Some(hits as f64 / months as f64);
    Some(Backtest {
        months,
        ours: Skill {
            mean_absolute_error: stats::mean(&ours)?,
            within_80: share(in_80),
            within_95: share(in_95),
        },
        plain_rule: Skill {
            mean_absolute_error: stats::mean(&plain)?,
            ..Skill::default()
        },
    })
}
