//! One metric before and after: how much better, how sure, and how it was tested.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::samples::{MetricSamples, Samples};
use crate::dora::Metric;
use crate::stats::{
    EventCount, Interval, Share, fisher_exact, hodges_lehmann_ratio, holm, mann_whitney, newcombe,
    rate_ratio,
};

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
const SHORTEST_HOURS: f64 = 1.0 / 3_600.0;

/// Improvements beyond this are cut, so that an interval without an end can be shown and kept.
const MOST_PERCENT: f64 = 1_000.0;

/// What one metric did. Per cents are improvements: better is positive for every metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    pub metric: Metric,
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
}

struct Comparison {
    test: Test,
    p: Option<f64>,
    percent: Option<f64>,
    interval: Option<Interval>,
    look_interval: Option<Interval>,
    enough: bool,
}

/// Compares one metric. `None` when one side is missing altogether; the metric then takes no part.
pub fn compare(
    before: Option<&MetricSamples>,
    after: Option<&MetricSamples>,
    alpha: f64,
) -> Option<Effect> {
    let (before, after) = (before?, after?);
    let mut flags = Vec::new();
    let found = match (&before.samples, &after.samples) {
        (Samples::Times(base), Samples::Times(post)) => compare_times(base, post, alpha),
        (Samples::Events(base), Samples::Events(post)) => {
            compare_events(*base, *post, alpha, &mut flags)
        }
        (Samples::Share(base), Samples::Share(post)) => {
            compare_shares(before.metric, *base, *post, alpha, &mut flags)
        }
        _ => return None,
    };
    for (open, side) in [(before.open, "before"), (after.open, "after")] {
        if open > 0 {
            flags.push(format!("{open} still open {side} the change, left out"));
        }
    }
    let mut effect = Effect {
        metric: before.metric,
        n_base: before.count(),
        n_post: after.count(),
        base: before.mean(),
        post: after.mean(),
        test: found.test,
        p: found.p,
        p_adjusted: found.p,
        percent: found.percent,
        interval: found.interval,
        look_interval: found.look_interval,
        evidence: Evidence::Insufficient,
        flags,
    };
    if found.enough {
        effect.evidence = effect.judge(alpha);
    }
    Some(effect)
}

impl Effect {
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
        self.p.is_some_and(|p| p < level) && self.percent.is_some_and(|percent| percent < 0.0)
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

fn clipped(interval: Interval) -> Interval {
    Interval::new(
        interval.low.clamp(-MOST_PERCENT, MOST_PERCENT),
        interval.high.clamp(-MOST_PERCENT, MOST_PERCENT),
    )
}

fn compare_times(base: &[f64], post: &[f64], alpha: f64) -> Comparison {
    let floor = |times: &[f64]| {
        times
            .iter()
            .map(|hours| hours.max(SHORTEST_HOURS))
            .collect::<Vec<_>>()
    };
    let (base, post) = (floor(base), floor(post));
    let improvement = |ratio: f64| (1.0 - ratio) * 100.0;
    let turned = |interval: Interval| {
        clipped(Interval::new(
            improvement(interval.high),
            improvement(interval.low),
        ))
    };
    let estimate = hodges_lehmann_ratio(&base, &post, 0.95);
    let at_look = hodges_lehmann_ratio(&base, &post, 1.0 - alpha);
    let enough = base.len() as u64 >= FEWEST_SAMPLES && post.len() as u64 >= FEWEST_SAMPLES;
    Comparison {
        test: Test::MannWhitney,
        p: mann_whitney(&base, &post).map(|test| test.p),
        percent: estimate.map(|estimate| improvement(estimate.ratio).max(-MOST_PERCENT)),
        interval: estimate.and_then(|estimate| estimate.interval).map(turned),
        // Without an interval at this confidence nothing can be told apart from anything.
        look_interval: at_look.map(|estimate| {
            estimate
                .interval
                .map_or(Interval::new(-MOST_PERCENT, 100.0), turned)
        }),
        enough,
    }
}

fn compare_events(
    base: EventCount,
    post: EventCount,
    alpha: f64,
    flags: &mut Vec<String>,
) -> Comparison {
    let improvement = |ratio: f64| (ratio - 1.0) * 100.0;
    let turned = |interval: Interval| {
        clipped(Interval::new(
            improvement(interval.low),
            improvement(interval.high),
        ))
    };
    let shown = rate_ratio(base, post, 0.95);
    let at_look = rate_ratio(base, post, 1.0 - alpha);
    if base.events == 0 && post.events > 0 {
        flags.push("nothing before: the improvement is set to 100 %".to_owned());
    }
    Comparison {
        test: Test::TwoPoisson,
        p: shown.map(|found| found.p),
        percent: shown.map(|found| {
            if found.ratio.is_infinite() {
                100.0
            } else {
                improvement(found.ratio).min(MOST_PERCENT)
            }
        }),
        interval: shown.map(|found| turned(found.interval)),
        look_interval: at_look.map(|found| turned(found.interval)),
        // The test counts exactly; no deployment at all in a week is an answer, too.
        enough: base.events + post.events >= FEWEST_SAMPLES,
    }
}

fn compare_shares(
    metric: Metric,
    base: Share,
    post: Share,
    alpha: f64,
    flags: &mut Vec<String>,
) -> Comparison {
    let (Some(before), Some(after)) = (base.ratio(), post.ratio()) else {
        return Comparison {
            test: Test::FisherExact,
            p: None,
            percent: None,
            interval: None,
            look_interval: None,
            enough: false,
        };
    };
    // Of the baseline, or in points where that was zero.
    let scale = if before > 0.0 { 100.0 / before } else { 100.0 };
    if before <= 0.0 && after > 0.0 {
        flags.push(format!(
            "{} was 0 before: the change is in points",
            metric.title()
        ));
    }
    let turned =
        |interval: Interval| clipped(Interval::new(-interval.high * scale, -interval.low * scale));
    Comparison {
        test: Test::FisherExact,
        p: Some(fisher_exact(base, post)),
        percent: Some(((before - after) * scale).max(-MOST_PERCENT)),
        interval: newcombe(base, post, 0.95).map(turned),
        look_interval: newcombe(base, post, 1.0 - alpha).map(turned),
        enough: base.total >= FEWEST_SAMPLES && post.total >= FEWEST_SAMPLES,
    }
}
