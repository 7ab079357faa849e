//! How much the weeks of a metric vary by themselves, and what that leaves of a difference.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::effect::{Data, FEWEST_SAMPLES, SHORTEST_HOURS};
use super::looks::{LOOKS, PlannedLook};
use super::series::Series;
use super::{Baseline, Plan};
use crate::stats::{
    Cell, Chance, EventCount, Interval, Overdispersion, fisher_exact, mean, median, rate_ratio,
};
use crate::time::{TimeRange, Timestamp};

/// Where the variation of the weeks was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The weeks of the baseline and those after the change, each against its own mean.
    Weeks,
    /// Comparisons of the same shape at each place of the history before the change.
    Placebos,
}

/// How much more the weeks vary than chance alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Variance as a multiple of what chance gives; below 1 counts as 1.
    pub factor: f64,
    /// Degrees of freedom that the factor is known with.
    pub freedom: f64,
    pub basis: Basis,
}

/// Placebos with fewer degrees of freedom say less than the weeks themselves.
pub(super) const FEWEST_PLACEBOS: f64 = 5.0;

/// What is added where only the weeks themselves are known: good weeks follow good ones (from one
/// to the next, correlations of 0.2 to 0.4 are usual), so two months differ by more than their weeks
/// show. Four weeks against four at a correlation of 0.3 have nearly twice the variance.
pub(super) const RUNS_OF_WEEKS: f64 = 2.0;

/// The stretches of time that one look compares: whole weeks, or the same 48 hours of each week.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    pub before: Vec<TimeRange>,
    pub after: Vec<TimeRange>,
    /// Where nothing was changed, as far back as the plan looked; for placebos.
    pub history: Vec<TimeRange>,
}

impl Windows {
    pub fn of(plan: &Plan, planned: PlannedLook, applied_at: Timestamp) -> Self {
        let baseline = &plan.baseline;
        Self {
            before: planned.before_cells(applied_at, baseline.window),
            after: planned.after_cells(applied_at),
            history: planned.before_cells(applied_at, baseline.history()),
        }
    }
}

/// Both sides and the history by weeks.
pub(super) struct Weeks {
    before: Vec<Cell>,
    after: Vec<Cell>,
    history: Vec<Cell>,
    chance: Chance,
    /// How far apart the sides are if only chance were at work.
    pub score: Option<f64>,
}

impl Weeks {
    pub fn of(series: &Series, windows: &Windows, chance: Chance) -> Self {
        let is_time = matches!(chance, Chance::Values { .. });
        let cells = |ranges: &[TimeRange], side: &[TimeRange]| {
            let floored: Vec<f64> = series
                .by_day(side)
                .into_iter()
                .map(|value| value.max(SHORTEST_HOURS))
                .collect();
            let limits = limits(&floored);
            series.cells(ranges, |value| {
                if is_time {
                    log_of(value, limits)
                } else {
                    value
                }
            })
        };
        let before = cells(&windows.before, &windows.before);
        let after = cells(&windows.after, &windows.after);
        Self {
            score: chance.score(before.iter().sum(), after.iter().sum()),
            history: cells(&windows.history, &windows.before),
            before,
            after,
            chance,
        }
    }

    pub fn spread(&self) -> Option<Spread> {
        spread_of(
            &self.history,
            &self.before,
            &self.after,
            self.after.len(),
            self.chance,
        )
    }
}

/// By placebos where the history has room for enough of them, else by the weeks themselves.
/// `shape` is the number of weeks after the change that are compared, which may lie ahead.
fn spread_of(
    history: &[Cell],
    before: &[Cell],
    after: &[Cell],
    shape: usize,
    chance: Chance,
) -> Option<Spread> {
    let placebos = Overdispersion::of_placebos(history, before.len(), shape, chance)
        .filter(|found| found.freedom >= FEWEST_PLACEBOS)
        .map(|found| Spread::of(found, Basis::Placebos));
    placebos.or_else(|| {
        // Stretches as long as the baseline, each with a mean of its own.
        let mut groups: Vec<&[Cell]> = history.rchunks(before.len().max(1)).collect();
        if groups.is_empty() {
            groups.push(before);
        }
        groups.push(after);
        let found = Overdispersion::within(&groups, chance)?;
        Some(Spread::of(
            Overdispersion {
                factor: found.factor * RUNS_OF_WEEKS,
                ..found
            },
            Basis::Weeks,
        ))
    })
}

/// The baseline as a forecast needs it.
pub(super) struct Yardstick {
    pub known_weeks: u32,
    pub baseline_weeks: f64,
    /// Deployments; for times, days with one.
    pub samples_per_week: f64,
    /// Standard deviation of the logarithms of the hours; 0 for what is no time.
    pub deviation: f64,
    /// Hits of all; 0 for what is no share.
    pub ratio: f64,
    /// How much more the weeks vary than chance.
    pub variation: f64,
    history: Vec<Cell>,
    before: Vec<Cell>,
    chance: Chance,
}

impl Yardstick {
    /// `None` with too few samples, or with one week, which varies against nothing.
    pub fn of(series: &Series, baseline: &Baseline) -> Option<Self> {
        let last = LOOKS[LOOKS.len() - 1];
        let end = baseline.window.until;
        let windows = Windows {
            before: last.before_cells(end, baseline.window),
            after: Vec::new(),
            history: last.before_cells(end, baseline.history()),
        };
        let data = Data::of(series, &windows);
        let chance = data.compare(series.metric, &mut Vec::new()).chance;
        let Weeks {
            before, history, ..
        } = Weeks::of(series, &windows, chance);
        let samples = match &data {
            Data::Times { base, .. } => base.len() as u64,
            Data::Events { base, .. } => base.events,
            Data::Shares { base, .. } => base.total,
        };
        let weeks = windows.before.len() as f64;
        let variation = Overdispersion::within(&[&before], chance)?;
        let known = spread_of(&history, &before, &[], 1, chance)?;
        (samples >= FEWEST_SAMPLES).then(|| Self {
            known_weeks: windows.history.len().try_into().unwrap_or(u32::MAX),
            baseline_weeks: weeks,
            samples_per_week: samples as f64 / weeks,
            deviation: match chance {
                Chance::Values { variance } => variance.sqrt(),
                Chance::Poisson | Chance::Binomial => 0.0,
            },
            ratio: match &data {
                Data::Shares { base, .. } => base.ratio().unwrap_or(0.0),
                Data::Times { .. } | Data::Events { .. } => 0.0,
            },
            variation: match known.basis {
                Basis::Placebos => known.factor,
                Basis::Weeks => variation.factor,
            },
            history,
            before,
            chance,
        })
    }

    /// What a comparison with so many weeks after the change would reckon with.
    pub fn spread_of(&self, weeks: u32) -> Spread {
        let found = spread_of(
            &self.history,
            &self.before,
            &[],
            weeks as usize,
            self.chance,
        );
        let unknown = Spread {
            factor: 1.0,
            freedom: 1.0,
            basis: Basis::Weeks,
        };
        let spread = found.unwrap_or(unknown);
        // The weeks after the change will be weighed, too.
        let later = match spread.basis {
            Basis::Weeks => f64::from(weeks.saturating_sub(1)),
            Basis::Placebos => 0.0,
        };
        Spread {
            freedom: spread.freedom + later,
            ..spread
        }
    }
}

impl Spread {
    fn of(found: Overdispersion, basis: Basis) -> Self {
        Self {
            factor: found.factor,
            freedom: found.freedom,
            basis,
        }
    }

    /// `taken as 4.2 times chance by placebo changes in the history (17 degrees of freedom)`.
    pub fn show(&self) -> String {
        let basis = match self.basis {
            Basis::Weeks => "these weeks, doubled for runs of good ones",
            Basis::Placebos => "placebo changes in the history",
        };
        format!(
            "taken as {:.1} times chance by {basis} ({:.0} degrees of freedom)",
            self.factor.max(1.0),
            self.freedom
        )
    }

    pub fn overdispersion(self) -> Overdispersion {
        Overdispersion {
            factor: self.factor,
            freedom: self.freedom,
        }
    }
}

/// Logarithms further than this many (robust) standard deviations from the middle of their side
/// count as that far: one release that slept for a year is not the metric.
const FURTHEST: f64 = 3.0;

/// Lowest and highest logarithm of the hours that counts as it is.
fn limits(hours: &[f64]) -> Interval {
    let logs: Vec<f64> = hours.iter().map(|hours| hours.ln()).collect();
    let middle = median(&logs).unwrap_or(0.0);
    let away: Vec<f64> = logs.iter().map(|log| (log - middle).abs()).collect();
    // 1.4826 times the median distance is the standard deviation of a normal distribution.
    match median(&away).unwrap_or(0.0) * 1.4826 * FURTHEST {
        reach if reach > 0.0 => Interval::new(middle - reach, middle + reach),
        _ => Interval::new(f64::NEG_INFINITY, f64::INFINITY),
    }
}

fn log_of(hours: f64, limits: Interval) -> f64 {
    hours
        .max(SHORTEST_HOURS)
        .ln()
        .clamp(limits.low, limits.high)
}

/// Pooled variance of the logarithms within both sides.
pub(super) fn log_variance(base: &[f64], post: &[f64]) -> f64 {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for side in [base, post].into_iter().filter(|side| side.len() > 1) {
        let limits = limits(side);
        let logs: Vec<f64> = side.iter().map(|hours| log_of(*hours, limits)).collect();
        let centre = mean(&logs).unwrap_or(0.0);
        squares += logs.iter().map(|log| (log - centre).powi(2)).sum::<f64>();
        freedom += (logs.len() - 1) as f64;
    }
    if freedom > 0.0 {
        squares / freedom
    } else {
        0.0
    }
}

/// Days with a hit from which on one can see whether hits come together.
const ENOUGH_HITS: usize = 8;

/// Failures of one day often have one cause. Where there are enough of them, how much the days vary
/// tells by how much that counts; where not, a day with a failure is one failure.
pub(super) fn p_of_days(series: &Series, windows: &Windows) -> f64 {
    let cells = |ranges: &[TimeRange]| series.cells(&days_of(ranges), |hit| hit);
    let (before, after) = (cells(&windows.before), cells(&windows.after));
    let history = cells(&windows.history);
    let known = if history.is_empty() {
        &before
    } else {
        &history
    };
    let hits = known
        .iter()
        .chain(&after)
        .filter(|day| day.sum > 0.0)
        .count();
    let score = Chance::Binomial.score(before.iter().sum(), after.iter().sum());
    match (
        score,
        Overdispersion::within(&[known, &after], Chance::Binomial),
    ) {
        (Some(score), Some(found)) if hits >= ENOUGH_HITS => {
            let factor = found.factor.max(1.0);
            Overdispersion { factor, ..found }.p(score)
        }
        _ => fisher_exact(
            series.share_of_days(&windows.before),
            series.share_of_days(&windows.after),
        ),
    }
}

/// Releases are few when they are on fewer days than this.
const FEW_DAYS: u64 = 10;

/// Where releases are few, their weeks cannot show that they come in bursts (four weeks without any
/// vary not at all): then a day with releases is one. 0 otherwise, which
/// takes no part.
pub(super) fn p_of_release_days(series: &Series, windows: &Windows) -> f64 {
    let days = |ranges: &[TimeRange]| EventCount {
        events: series.by_day(ranges).len() as u64,
        exposure: series.events(ranges).exposure,
    };
    let (before, after) = (days(&windows.before), days(&windows.after));
    if before.events + after.events >= FEW_DAYS {
        return 0.0;
    }
    rate_ratio(before, after, 0.95).map_or(1.0, |found| found.p)
}

/// Each range as its days of 24 hours, counted from its start.
fn days_of(ranges: &[TimeRange]) -> Vec<TimeRange> {
    const DAY: Duration = Duration::from_hours(24);
    let days = |range: &TimeRange| {
        let until = range.until;
        std::iter::successors(Some(range.from), |from| Some(from.saturating_add(DAY)))
            .take_while(move |from| *from < until)
            .map(move |from| TimeRange::new(from, from.saturating_add(DAY).min(until)))
    };
    ranges.iter().flat_map(days).collect()
}
