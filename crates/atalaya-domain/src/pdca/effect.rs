//! One metric before and after: how much better, how sure, and how it was tested.
//!
//! Each comparison has to pass two questions. Could the releases, each taken for itself, have come
//! out like this (ranks, two Poisson rates, Fisher)? And could the weeks, with all that makes them
//! unlike each other, have done it ([`Spread`])? The larger p-value and the wider interval count.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::series::{Measure, Series};
use super::weeks::{Spread, Weeks, Windows, log_variance, p_of_days, p_of_release_days};
use crate::dora::Metric;
use crate::stats::{
    Chance, EventCount, Interval, Share, fisher_exact, hodges_lehmann_ratio, holm, mann_whitney,
    newcombe, rate_ratio, rate_ratio_interval,
};
use crate::time::TimeRange;

/// What the samples can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Too few samples for any answer.
    Insufficient,
    Worse,
    /// The difference may well be chance.
    NoEvidence,
    Better,
}

impl Evidence {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Worse => "worse",
            Self::NoEvidence => "no evidence",
            Self::Better => "better",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// How the two were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Ranks; the effect is the Hodges-Lehmann ratio of the times.
    MannWhitney,
    /// Conditional binomial of two Poisson rates.
    TwoPoisson,
    /// The effect's interval is Newcombe's.
    FisherExact,
}

impl Test {
    pub const fn name(self) -> &'static str {
        match self {
            Self::MannWhitney => "Mann-Whitney",
            Self::TwoPoisson => "two Poisson rates",
            Self::FisherExact => "Fisher exact",
        }
    }
}

/// Fewer samples on either side give no state but [`Evidence::Insufficient`].
pub const FEWEST_SAMPLES: u64 = 5;

/// Times below this are taken as this, so that ratios stay finite: one second, in hours.
pub(super) const SHORTEST_HOURS: f64 = 1.0 / 3_600.0;

/// Improvements beyond this are cut, so that an interval without an end can be shown and kept.
const MOST_PERCENT: f64 = 1_000.0;

/// What one metric did. Per cents are improvements: better is positive for every metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    pub metric: Metric,
    #[serde(default)]
    pub measure: Measure,
    pub n_base: u64,
    pub n_post: u64,
    /// Means, in the metric's unit.
    pub base: Option<f64>,
    pub post: Option<f64>,
    pub test: Test,
    pub p: Option<f64>,
    /// By Holm, over the metrics that were tested together.
    pub p_adjusted: Option<f64>,
    pub percent: Option<f64>,
    /// 95 %.
    pub interval: Option<Interval>,
    /// At the confidence of the look, which a decision stands on.
    pub look_interval: Option<Interval>,
    pub evidence: Evidence,
    pub flags: Vec<String>,
    /// `None` where there were too few weeks to see them vary; such a metric proves nothing.
    #[serde(default)]
    pub spread: Option<Spread>,
}

pub(super) struct Comparison {
    test: Test,
    /// Of the releases, each taken for itself.
    p: Option<f64>,
    percent: Option<f64>,
    pub chance: Chance,
    enough: bool,
}

/// Compares one metric.
pub fn compare(series: &Series, windows: &Windows, alpha: f64) -> Effect {
    let (before, after) = (&windows.before, &windows.after);
    let mut flags = Vec::new();
    let data = Data::of(series, windows);
    let found = data.compare(series.metric, &mut flags);
    for (ranges, side) in [(before, "before"), (after, "after")] {
        let open: u64 = ranges.iter().map(|range| series.open_within(range)).sum();
        if open > 0 {
            flags.push(format!("{open} still open {side} the change, left out"));
        }
    }
    if series.measure == Measure::CycleTime {
        flags.push("cycle time, as no source knows the commits; not a lead time".to_owned());
    }
    let weeks = Weeks::of(series, windows, found.chance);
    let spread = weeks.spread();
    let p = match (found.p, spread, weeks.score) {
        (Some(p), Some(spread), Some(score)) => Some(p.max(spread.overdispersion().p(score))),
        (p, _, _) => p,
    };
    let interval_at = |confidence: f64| {
        let widening = spread.map_or(1.0, |spread| spread.overdispersion().widening(confidence));
        data.interval(confidence, widening.min(WIDEST))
    };
    let mut effect = Effect {
        metric: series.metric,
        measure: series.measure,
        n_base: series.count(before),
        n_post: series.count(after),
        base: series.mean(before),
        post: series.mean(after),
        test: found.test,
        p,
        p_adjusted: p,
        percent: found.percent,
        interval: interval_at(0.95),
        look_interval: interval_at(1.0 - alpha).or_else(|| {
            // Without an interval at this confidence nothing can be told apart from anything.
            (found.enough && found.percent.is_some())
                .then(|| Interval::new(-MOST_PERCENT, MOST_PERCENT))
        }),
        evidence: Evidence::Insufficient,
        flags,
        spread,
    };
    if found.enough && spread.is_some() {
        effect.evidence = effect.judge(alpha);
    }
    effect
}

impl Effect {
    /// What was compared.
    pub const fn title(&self) -> &'static str {
        self.measure.title(self.metric)
    }

    /// Better or worse only when the (adjusted) p-value and the interval both say so.
    fn judge(&self, alpha: f64) -> Evidence {
        match (self.p_adjusted, self.look_interval) {
            (Some(p), Some(interval)) if p <= alpha && interval.low > 0.0 => Evidence::Better,
            (Some(p), Some(interval)) if p <= alpha && interval.high < 0.0 => Evidence::Worse,
            (Some(_), Some(_)) => Evidence::NoEvidence,
            _ => Evidence::Insufficient,
        }
    }

    /// Whether it got worse at this level, however few samples there are: the question of a guard.
    pub fn is_worse_at(&self, level: f64) -> bool {
        self.p.is_some_and(|p| p <= level) && self.percent.is_some_and(|percent| percent < 0.0)
    }

    /// `+18.2 % (-3.0 to +34.1), n 30/6` or `N/A (n 30/2)`.
    pub fn show(&self) -> String {
        let n = format!("n {}/{}", self.n_base, self.n_post);
        match (self.percent, self.interval) {
            (Some(percent), Some(interval)) if self.evidence != Evidence::Insufficient => {
                format!(
                    "{percent:+.1} % ({:+.1} to {:+.1}), {n}",
                    interval.low, interval.high
                )
            }
            _ => format!("N/A ({n})"),
        }
    }
}

/// `0.0123`, `< 0.0001`: a p-value is never zero.
pub fn show_p(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

/// Adjusts the p-values of metrics that are tested together and judges them again.
pub fn adjust(effects: &mut [Effect], alpha: f64) {
    let tested: Vec<usize> = (0..effects.len())
        .filter(|&index| {
            effects[index].p.is_some() && effects[index].evidence != Evidence::Insufficient
        })
        .collect();
    let p_values: Vec<f64> = tested
        .iter()
        .filter_map(|&index| effects[index].p)
        .collect();
    for (&index, p) in tested.iter().zip(holm(&p_values)) {
        effects[index].p_adjusted = Some(p);
        effects[index].evidence = effects[index].judge(alpha);
    }
}

/// Wider than this is as good as no interval.
const WIDEST: f64 = 1_000.0;

/// The values of both sides, as their test takes them.
pub(super) enum Data {
    Times {
        base: Vec<f64>,
        post: Vec<f64>,
    },
    Events {
        base: EventCount,
        post: EventCount,
        /// With days as the unit, where there are few.
        p_of_days: f64,
    },
    Shares {
        base: Share,
        post: Share,
        /// Fewer days with a release of both sides.
        days: u64,
        /// With days as the unit.
        p_of_days: f64,
    },
}

impl Data {
    pub fn of(series: &Series, windows: &Windows) -> Self {
        let (before, after) = (&windows.before, &windows.after);
        let (before_days, after_days) = (series.share_of_days(before), series.share_of_days(after));
        match series.metric {
            Metric::DeploymentFrequency => Self::Events {
                base: series.events(before),
                post: series.events(after),
                p_of_days: p_of_release_days(series, windows),
            },
            Metric::ChangeLeadTime | Metric::RecoveryTime => {
                let floored = |ranges: &[TimeRange]| {
                    let days = series.by_day(ranges).into_iter();
                    days.map(|hours| hours.max(SHORTEST_HOURS)).collect()
                };
                Self::Times {
                    base: floored(before),
                    post: floored(after),
                }
            }
            Metric::ChangeFailureRate | Metric::ReworkRate => Self::Shares {
                base: series.share(before),
                post: series.share(after),
                days: before_days.total.min(after_days.total),
                p_of_days: p_of_days(series, windows),
            },
        }
    }

    pub fn compare(&self, metric: Metric, flags: &mut Vec<String>) -> Comparison {
        let enough = |base: usize, post: usize| base.min(post) as u64 >= FEWEST_SAMPLES;
        match self {
            Self::Times { base, post } => Comparison {
                test: Test::MannWhitney,
                p: mann_whitney(base, post).map(|test| test.p),
                percent: hodges_lehmann_ratio(base, post, 0.95)
                    .map(|estimate| ((1.0 - estimate.ratio) * 100.0).max(-MOST_PERCENT)),
                chance: Chance::Values {
                    variance: log_variance(base, post),
                },
                enough: enough(base.len(), post.len()),
            },
            Self::Events {
                base,
                post,
                p_of_days,
            } => {
                if base.events == 0 && post.events > 0 {
                    flags.push("nothing before: the improvement is set to 100 %".to_owned());
                }
                let found = rate_ratio(*base, *post, 0.95);
                Comparison {
                    test: Test::TwoPoisson,
                    p: found.map(|found| found.p.max(*p_of_days)),
                    percent: found.map(|found| match found.ratio {
                        ratio if ratio.is_infinite() => 100.0,
                        ratio => ((ratio - 1.0) * 100.0).min(MOST_PERCENT),
                    }),
                    chance: Chance::Poisson,
                    // The test counts exactly; no deployment at all in a week is an answer, too.
                    enough: base.events + post.events >= FEWEST_SAMPLES,
                }
            }
            Self::Shares {
                base,
                post,
                days,
                p_of_days,
            } => {
                let ratios = base.ratio().zip(post.ratio());
                if ratios.is_some_and(|(before, after)| before <= 0.0 && after > 0.0) {
                    flags.push(format!(
                        "{} was 0 before: the change is in points",
                        metric.title()
                    ));
                }
                Comparison {
                    test: Test::FisherExact,
                    p: ratios.map(|_| fisher_exact(*base, *post).max(*p_of_days)),
                    percent: ratios.map(|(before, after)| {
                        ((before - after) * share_scale(before)).max(-MOST_PERCENT)
                    }),
                    chance: Chance::Binomial,
                    enough: *days >= FEWEST_SAMPLES,
                }
            }
        }
    }

    /// Of the improvement, in per cent, `widening` times as wide as if releases were independent.
    fn interval(&self, confidence: f64, widening: f64) -> Option<Interval> {
        let found = match self {
            Self::Times { base, post } => {
                let estimate = hodges_lehmann_ratio(base, post, confidence)?;
                let interval = estimate.interval?;
                let wider = |bound: f64| estimate.ratio * (bound / estimate.ratio).powf(widening);
                let improvement = |ratio: f64| (1.0 - ratio) * 100.0;
                Interval::new(
                    improvement(wider(interval.high)),
                    improvement(wider(interval.low)),
                )
            }
            Self::Events { base, post, .. } => {
                let interval = rate_ratio_interval(*base, *post, confidence, widening)?;
                Interval::new((interval.low - 1.0) * 100.0, (interval.high - 1.0) * 100.0)
            }
            Self::Shares { base, post, .. } => {
                let scale = share_scale(base.ratio()?);
                let interval = newcombe(*base, *post, confidence, widening)?;
                Interval::new(-interval.high * scale, -interval.low * scale)
            }
        };
        Some(Interval::new(
            found.low.clamp(-MOST_PERCENT, MOST_PERCENT),
            found.high.clamp(-MOST_PERCENT, MOST_PERCENT),
        ))
    }
}

/// Per cent of the baseline, or points where that was zero.
fn share_scale(before: f64) -> f64 {
    if before > 0.0 { 100.0 / before } else { 100.0 }
}
