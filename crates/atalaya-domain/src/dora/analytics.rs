//! Series over whole weeks and months: trends, comparisons, unusual deployments, forecasts.
//!
//! Each value is measured as a report measures it, so that a week here is the week there. What is
//! not known stays a gap and is never 0: weeks before the first known fact, lead times of a week
//! without deployments. The week and the month that still run are in no trend. Beside each answer
//! stands the older tool's arithmetic on the same rows (`plain`), named as such: it skips empty
//! weeks, takes the running one for whole, and compares counts of unequal periods.

mod anomalies;
mod compare;
mod forecast;
mod monthly;
mod trend;

use std::ops::Range;

use chrono::{Datelike, Months, NaiveDate};
use chrono_tz::Tz;

use super::compose::Context;
use super::failures::Delivered;
use super::trend::midnight;
use super::{Facts, LeadBasis, Metric, Rules, Scope};
use crate::stats;
use crate::time::{TimeRange, Timestamp};

pub use anomalies::{AnomalyReport, MOST_ANOMALIES, NEEDED_DURATIONS, Unusual, anomalies};
pub use compare::{Compared, Comparison, Plain, Side, Test, compare};
pub use forecast::{
    Backtest, Expected, ForecastReport, Method, NEEDED_MONTHS, Skill, forecast, oldest, predict,
};
pub use monthly::{Monthly, monthly};
pub use trend::{
    Course, Line, NEEDED_WEEKS, PlainTrend, Statistics, TrendReport, line, plain_trend, trend,
};

/// What a series is made from.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub facts: &'a Facts<'a>,
    pub scope: &'a Scope,
    pub rules: &'a Rules,
    pub now: Timestamp,
    /// When what is known begins; a period that was over by then is a gap. `None`: nothing is known.
    pub begins: Option<Timestamp>,
}

impl<'a> Asked<'a> {
    fn delivered(&self) -> Delivered<'a> {
        Delivered::link(self.facts, &self.scope.environment, self.rules.link_cap)
    }

    /// What metrics are measured by; what a time to production is measured from is that of a range.
    fn context(&self, delivered: &'a Delivered<'a>, range: TimeRange) -> Context<'a> {
        Context {
            lead_basis: LeadBasis::of(delivered, self.scope, range),
            facts: self.facts,
            scope: self.scope,
            rules: self.rules,
            now: self.now,
            delivered,
        }
    }
}

/// Which metric a trend is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    DeploymentFrequency,
    LeadTime,
}

impl Measure {
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::DeploymentFrequency)
    }

    /// A point's number as the older tool takes it: deployments, or mean hours.
    pub fn of(self, point: &Point) -> Option<f64> {
        match self {
            Self::DeploymentFrequency => point.deployments.map(|count| count as f64),
            Self::LeadTime => point.mean_hours(),
        }
    }
}

/// One week or month.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// `2026-06`: of a week its number from Monday (`%Y-%W`), of a month its own.
    pub label: String,
    pub range: TimeRange,
    /// `None` before anything is known, and without a source.
    pub deployments: Option<usize>,
    /// Lead times in hours, in no order; cycle times where no source knows commits.
    pub lead_hours: Vec<f64>,
}

impl Point {
    pub fn days(&self) -> f64 {
        self.range.length().as_secs_f64() / 86_400.0
    }

    pub fn per_day(&self) -> Option<f64> {
        let days = self.days();
        self.deployments
            .filter(|_| days > 0.0)
            .map(|count| count as f64 / days)
    }

    pub fn mean_hours(&self) -> Option<f64> {
        stats::mean(&self.lead_hours)
    }

    pub fn median_hours(&self) -> Option<f64> {
        stats::median(&self.lead_hours)
    }
}

/// A stretch of time with the name that it has in answers.
pub type Named = (String, TimeRange);

/// Measures frequency and lead time of each stretch; what a time to production is measured from is
/// the same for all of them.
pub fn series(asked: &Asked<'_>, stretches: Vec<Named>) -> (Vec<Point>, LeadBasis) {
    let delivered = asked.delivered();
    let whole = stretches
        .first()
        .zip(stretches.last())
        .map_or(TimeRange::ALL, |(first, last)| {
            TimeRange::new(first.1.from, last.1.until)
        });
    let context = asked.context(&delivered, whole);
    let point = |(label, range): Named| {
        let is_known = asked.begins.is_some_and(|begins| range.until > begins);
        let frequency = context.measure(Metric::DeploymentFrequency, range);
        let lead = context.measure(Metric::ChangeLeadTime, range);
        Point {
            label,
            range,
            deployments: frequency
                .value
                .number()
                .filter(|_| is_known)
                .map(|_| frequency.samples),
            lead_hours: lead.explanation.rows.iter().map(|row| row.value).collect(),
        }
    };
    let points = stretches.into_iter().map(point).collect();
    (points, context.lead_basis)
}

/// The last `count` whole calendar months that were over by `until`, oldest first.
pub fn whole_months(until: Timestamp, count: u32, zone: Tz) -> Vec<Named> {
    months(until, -i64::from(count)..0, zone)
}

/// Calendar months by their distance from the one that `at` is in.
fn months(at: Timestamp, distances: Range<i64>, zone: Tz) -> Vec<Named> {
    let first = at.to_utc().with_timezone(&zone).date_naive().with_day(1);
    let month = |distance: i64| -> Option<NaiveDate> {
        let months = Months::new(u32::try_from(distance.unsigned_abs()).ok()?);
        if distance < 0 {
            first?.checked_sub_months(months)
        } else {
            first?.checked_add_months(months)
        }
    };
    distances
        .filter_map(|distance| {
            let (from, until) = (month(distance)?, month(distance + 1)?);
            let range = TimeRange::new(midnight(from, zone), midnight(until, zone));
            Some((from.format("%Y-%m").to_string(), range))
        })
        .collect()
}

#[cfg(test)]
mod tests;
