//! Where the weeks of a period are going.

use serde::Serialize;

use super::{Asked, Measure, Named, Point, series};
use crate::dora::LeadBasis;
use crate::dora::trend::{midnight, whole_weeks};
use crate::stats::{self, Fitted, Interval};
use crate::time::{TimeRange, Timestamp};

/// Weeks with a number below which no direction is told.
pub const NEEDED_WEEKS: usize = 4;

/// Seen as better or worse, by the older tool's limit: a line that changes by less than 5 % of the
/// mean over the whole series is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    Improving,
    Stable,
    Declining,
    InsufficientData,
}

impl Course {
    fn of(rise: f64, level: f64, more_is_better: bool) -> Self {
        if rise == 0.0 || rise.abs() < 0.05 * level.abs() {
            Self::Stable
        } else if (rise > 0.0) == more_is_better {
            Self::Improving
        } else {
            Self::Declining
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Stable => "stable",
            Self::Declining => "declining",
            Self::InsufficientData => "insufficient_data",
        }
    }
}

/// The line through the weeks that have a number, each at its own place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub course: Course,
    pub fitted: Fitted,
    /// Mean of the differences, a week.
    pub average_change: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    pub mean: f64,
    pub median: f64,
    /// Of a sample; `None` of a single week.
    pub std_dev: Option<f64>,
    pub min: f64,
    pub max: f64,
}

impl Statistics {
    /// `None` of no samples.
    pub fn of(samples: &[f64]) -> Option<Self> {
        Some(Self {
            mean: stats::mean(samples)?,
            median: stats::median(samples)?,
            std_dev: stats::deviation(samples),
            min: stats::quantile(samples, 0.0)?,
            max: stats::quantile(samples, 1.0)?,
        })
    }
}

/// The older tool's answer on the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainTrend {
    pub course: Course,
    pub weeks: usize,
    pub average_change: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TrendReport {
    pub measure: Measure,
    pub basis: LeadBasis,
    pub period: TimeRange,
    pub weeks: Vec<Point>,
    /// Deployments, or mean hours, of the weeks that have any.
    pub line: Option<Line>,
    /// The same of the medians: the figure of the report. Lead time only.
    pub medians: Option<Line>,
    pub statistics: Option<Statistics>,
    pub plain: PlainTrend,
}

impl TrendReport {
    /// Weeks with a number.
    pub fn data_points(&self) -> usize {
        let known = |week: &&Point| self.measure.of(week).is_some();
        self.weeks.iter().filter(known).count()
    }
}

/// The last `days` days: their whole weeks, Monday to Sunday.
pub fn trend(asked: &Asked<'_>, measure: Measure, days: u32) -> TrendReport {
    let length = std::time::Duration::from_secs(u64::from(days) * 86_400);
    let period = TimeRange::ending(asked.now, length);
    let zone = asked.rules.zone;
    let name = |range: TimeRange| -> Named {
        let monday = range.from.to_utc().with_timezone(&zone);
        (monday.format("%Y-%W").to_string(), range)
    };
    let whole = whole_weeks(asked.now, days / 7, zone);
    let mut stretches: Vec<Named> = whole
        .into_iter()
        .filter(|week| week.from >= period.from)
        .map(name)
        .collect();
    let begin_of_running = stretches
        .last()
        .map_or_else(|| this_monday(asked), |(_, week)| week.until);
    stretches.push(name(TimeRange::new(
        begin_of_running.max(period.from),
        asked.now,
    )));
    let (mut weeks, basis) = series(asked, stretches);
    let plain = plain_trend(&weeks, measure);
    weeks.pop(); // the running one, which only the older tool counts
    let numbers: Vec<Option<f64>> = weeks.iter().map(|week| measure.of(week)).collect();
    let medians: Vec<Option<f64>> = weeks.iter().map(Point::median_hours).collect();
    let known: Vec<f64> = numbers.iter().copied().flatten().collect();
    TrendReport {
        measure,
        basis,
        period,
        line: line(&numbers, measure.more_is_better()),
        medians: (measure == Measure::LeadTime)
            .then(|| line(&medians, false))
            .flatten(),
        statistics: Statistics::of(&known),
        plain,
        weeks,
    }
}

fn this_monday(asked: &Asked<'_>) -> Timestamp {
    let zone = asked.rules.zone;
    whole_weeks(asked.now, 1, zone).first().map_or_else(
        || midnight(asked.now.to_utc().with_timezone(&zone).date_naive(), zone),
        |week| week.until,
    )
}

/// The line of a series with gaps. `None` below [`NEEDED_WEEKS`] numbers.
pub fn line(series: &[Option<f64>], more_is_better: bool) -> Option<Line> {
    let points: Vec<(f64, f64)> = series
        .iter()
        .enumerate()
        .filter_map(|(week, value)| Some((week as f64, (*value)?)))
        .collect();
    if points.len() < NEEDED_WEEKS {
        return None;
    }
    let fitted = stats::fitted(&points)?;
    let (first, last) = (points.first()?, points.last()?);
    let weeks = last.0 - first.0;
    let values: Vec<f64> = points.iter().map(|point| point.1).collect();
    let rise = fitted.slope * (weeks + 1.0);
    Some(Line {
        course: Course::of(rise, stats::mean(&values)?, more_is_better),
        average_change: (last.1 - first.1) / weeks,
        fitted,
    })
}

impl Line {
    pub const fn slope_interval_95(&self) -> Option<Interval> {
        self.fitted.slope_interval_95
    }
}

/// By the older tool: weeks without rows are left out as if they had not been, the last one counts
/// as whole, and two weeks make a direction.
pub fn plain_trend(weeks: &[Point], measure: Measure) -> PlainTrend {
    let values: Vec<f64> = weeks
        .iter()
        .filter(|week| week.deployments.is_some_and(|count| count > 0))
        .filter_map(|week| measure.of(week))
        .collect();
    let course = match (stats::slope(&values), stats::mean(&values)) {
        (Some(slope), Some(level)) => {
            Course::of(slope * values.len() as f64, level, measure.more_is_better())
        }
        _ => Course::InsufficientData,
    };
    let average_change = match values.as_slice() {
        [first, .., last] => Some((last - first) / (values.len() - 1) as f64),
        _ => None,
    };
    PlainTrend {
        course,
        weeks: values.len(),
        average_change,
    }
}
