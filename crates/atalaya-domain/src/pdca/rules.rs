//! From what was found to what to do.
//!
//! The decision stands on the interval: a score without evidence never applies or takes back a
//! change. What the older tool's plain rule would have said is kept beside it: with no real change
//! at all and three samples it applies half of the time and reverts a third.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::effect::{Effect, Evidence, adjust, compare};
use super::looks::{GUARD_ALPHA, PlannedLook};
use super::series::{Series, days};
use super::weeks::Windows;
use super::{Look, Plan};
use crate::dora::Metric;
use crate::stats::Interval;
use crate::time::Timestamp;

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Apply,
    Revert,
    /// Keep it where it is and look again at the next planned time.
    Continue,
    /// A person has to look.
    Escalate,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Apply, Self::Revert, Self::Continue, Self::Escalate];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "APPLY",
            Self::Revert => "REVERT",
            Self::Continue => "CONTINUE",
            Self::Escalate => "ESCALATE",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.name().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Limits of the score, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PdcaRules {
    pub apply_percent: f64,
    pub revert_percent: f64,
    pub continue_percent: f64,
}

impl Default for PdcaRules {
    fn default() -> Self {
        Self {
            apply_percent: 15.0,
            revert_percent: -5.0,
            continue_percent: 5.0,
        }
    }
}

/// A guard that is worse with a p-value (by Holm, over the guards) up to this takes the change back.
/// Two-sided, of which only the worse side decides.
pub const GUARD_LEVEL: f64 = 2.0 * GUARD_ALPHA;

/// Weight in the score; rework is watched but not weighed.
pub const fn weight(metric: Metric) -> Option<f64> {
    match metric {
        Metric::DeploymentFrequency | Metric::ChangeLeadTime => Some(0.30),
        Metric::ChangeFailureRate => Some(0.25),
        Metric::RecoveryTime => Some(0.15),
        Metric::ReworkRate => None,
    }
}

/// The metrics of the score.
pub const WEIGHED: [Metric; 4] = [
    Metric::DeploymentFrequency,
    Metric::ChangeLeadTime,
    Metric::ChangeFailureRate,
    Metric::RecoveryTime,
];

/// The older tool's rule on a score, tested in this order.
pub fn seeds_rule(score: f64, rules: &PdcaRules) -> Verdict {
    if score >= rules.apply_percent {
        Verdict::Apply
    } else if score <= rules.revert_percent {
        Verdict::Revert
    } else if score >= rules.continue_percent {
        Verdict::Continue
    } else {
        Verdict::Escalate
    }
}

/// Sum of per cent by weight, over the weights that take part. `None` when none does.
pub fn weighted_score(percents: &[(Metric, f64)]) -> Option<f64> {
    let weighed: Vec<(f64, f64)> = percents
        .iter()
        .filter_map(|&(metric, percent)| Some((weight(metric)?, percent)))
        .collect();
    let weights: f64 = weighed.iter().map(|(weight, _)| weight).sum();
    (weights > 0.0).then(|| {
        weighed
            .iter()
            .map(|(weight, percent)| weight * percent)
            .sum::<f64>()
            / weights
    })
}

/// Per cent better by the point estimates alone, as the older tool reckons. `None` without a
/// baseline above zero, by which it would divide.
fn plain_percent(effect: &Effect) -> Option<f64> {
    let (base, post) = (effect.base.filter(|base| *base > 0.0)?, effect.post?);
    let change = (post - base) / base * 100.0;
    Some(if effect.metric.more_is_better() {
        change
    } else {
        -change
    })
}

/// Evaluates one planned look. `series` gives a metric from the start of the plan's history to the
/// time of the look, or `None` where nothing is connected that would tell; it is asked for the
/// plan's metric, the metrics of the score and the guards.
///
/// Only the plan's metric and the guards can bring a decision about, and they share the error
/// budget of the cycle; the other metrics weigh in the score of a gain that is proven.
pub fn evaluate(
    plan: &Plan,
    planned: PlannedLook,
    applied_at: Timestamp,
    series: impl Fn(Metric) -> Option<Series>,
    rules: &PdcaRules,
) -> Look {
    let windows = Windows::of(plan, planned, applied_at);
    let effect_of = |metric: Metric, alpha: f64| Some(compare(&series(metric)?, &windows, alpha));
    let primary = effect_of(plan.metric, planned.alpha);
    let mut others: Vec<Effect> = WEIGHED
        .into_iter()
        .filter(|metric| *metric != plan.metric)
        .filter_map(|metric| effect_of(metric, planned.alpha))
        .collect();
    adjust(&mut others, planned.alpha);
    let mut guards: Vec<Effect> = plan
        .guards
        .iter()
        .filter(|metric| **metric != plan.metric)
        .filter_map(|&metric| effect_of(metric, GUARD_LEVEL))
        .collect();
    adjust(&mut guards, GUARD_LEVEL);

    let weighed: Vec<&Effect> = primary
        .iter()
        .filter(|effect| effect.evidence != Evidence::Insufficient)
        .chain(
            others
                .iter()
                .filter(|effect| matches!(effect.evidence, Evidence::Better | Evidence::Worse)),
        )
        .collect();
    let (score, score_interval) = score_of(&weighed);
    let evidence = evidence_of(primary.as_ref(), score_interval);
    let plain: Vec<(Metric, f64)> = primary
        .iter()
        .chain(&others)
        .filter_map(|effect| Some((effect.metric, plain_percent(effect)?)))
        .collect();
    let seeds_score = weighted_score(&plain);
    let guards_worse: Vec<Metric> = guards
        .iter()
        .filter(|guard| guard.evidence == Evidence::Worse)
        .map(|guard| guard.metric)
        .collect();
    let decision = decide(
        &Finding {
            score,
            score_interval,
            evidence,
            guards_worse: &guards_worse,
            last: planned.is_last(),
        },
        rules,
    );
    Look {
        number: planned.number,
        after: planned.after(applied_at),
        before_days: windows.before.iter().map(days).sum(),
        alpha: planned.alpha,
        effects: primary.into_iter().chain(others).collect(),
        guards,
        guards_worse,
        score,
        score_interval,
        evidence,
        proposed: decision.verdict,
        reason: decision.reason,
        automatic: decision.automatic,
        seeds_score,
        seeds_rule_decision: seeds_score.map(|score| seeds_rule(score, rules)),
    }
}

/// What the plan's metric shows, held against the interval of the whole score.
fn evidence_of(primary: Option<&Effect>, score: Option<Interval>) -> Evidence {
    match (primary, score) {
        (None, _) | (_, None) => Evidence::Insufficient,
        // The others may take a proof away; they are no proof of their own.
        (Some(primary), Some(interval)) => match primary.evidence {
            Evidence::Better if interval.low <= 0.0 => Evidence::NoEvidence,
            Evidence::Worse if interval.high >= 0.0 => Evidence::NoEvidence,
            state => state,
        },
    }
}

/// Weighted mean of the effects and of its bounds: the distances to the bounds add up as
/// independent errors do. A plan on a metric without a weight stands alone with weight 1.
///
/// Source: Zou and Donner, Statistics in Medicine 27 (2008), "MOVER".
fn score_of(effects: &[&Effect]) -> (Option<f64>, Option<Interval>) {
    let parts: Vec<(f64, f64, Interval)> = effects
        .iter()
        .filter_map(|effect| {
            Some((
                weight(effect.metric).unwrap_or(1.0),
                effect.percent?,
                effect.look_interval?,
            ))
        })
        .collect();
    let weights: f64 = parts.iter().map(|(weight, ..)| weight).sum();
    if weights <= 0.0 {
        return (None, None);
    }
    let score = parts
        .iter()
        .map(|(weight, percent, _)| weight * percent)
        .sum::<f64>()
        / weights;
    let reach = |distance: fn(f64, &Interval) -> f64| {
        parts
            .iter()
            .map(|(weight, percent, interval)| {
                (weight / weights * distance(*percent, interval)).powi(2)
            })
            .sum::<f64>()
            .sqrt()
    };
    let below = reach(|percent, interval| percent - interval.low);
    let above = reach(|percent, interval| interval.high - percent);
    (
        Some(score),
        Some(Interval::new(score - below, score + above)),
    )
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    pub score: Option<f64>,
    pub score_interval: Option<Interval>,
    pub evidence: Evidence,
    pub guards_worse: &'a [Metric],
    /// No further look is planned.
    pub last: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    pub reason: String,
    /// Only a guard takes a change back without a person.
    pub automatic: bool,
}

/// The rule of the program: guards first, then the interval, then whether waiting can help.
pub fn decide(finding: &Finding<'_>, rules: &PdcaRules) -> Decision {
    let say = |verdict, reason: String| Decision {
        verdict,
        reason,
        automatic: false,
    };
    if !finding.guards_worse.is_empty() {
        let names: Vec<&str> = finding
            .guards_worse
            .iter()
            .map(|metric| metric.title())
            .collect();
        let reason = format!("guard got worse (p <= {GUARD_LEVEL}): {}", names.join(", "));
        return Decision {
            verdict: Verdict::Revert,
            reason,
            automatic: true,
        };
    }
    let (Some(score), Some(interval)) = (finding.score, finding.score_interval) else {
        return undecided(finding.last, "too few samples for any answer");
    };
    let shown = format!(
        "score {score:+.1} % ({:+.1} to {:+.1})",
        interval.low, interval.high
    );
    match finding.evidence {
        Evidence::Insufficient => undecided(finding.last, "too few samples for any answer"),
        Evidence::Better if score >= rules.apply_percent && interval.low > 0.0 => say(
            Verdict::Apply,
            format!("{shown}: better, and the whole interval is above 0"),
        ),
        Evidence::Worse if interval.high < 0.0 => say(
            Verdict::Revert,
            format!("{shown}: worse, and the whole interval is below 0"),
        ),
        _ if score <= rules.revert_percent => say(
            Verdict::Escalate,
            format!("{shown}: it looks worse, without evidence; a person has to look"),
        ),
        _ if finding.last => say(
            Verdict::Escalate,
            format!("{shown}: no clear answer by the last look; a person has to look"),
        ),
        _ if score >= rules.continue_percent => say(
            Verdict::Continue,
            format!("{shown}: promising, not proven; look again"),
        ),
        _ => say(
            Verdict::Escalate,
            format!("{shown}: little or no effect; a person has to look"),
        ),
    }
}

fn undecided(last: bool, why: &str) -> Decision {
    let (verdict, then) = if last {
        (Verdict::Escalate, "this was the last look")
    } else {
        (Verdict::Continue, "look again")
    };
    Decision {
        verdict,
        reason: format!("{why}; {then}"),
        automatic: false,
    }
}

/// What the program would do with a look on its own, where `pdca.auto_decide` lets it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Automatic {
    /// Record this decision.
    Decide { verdict: Verdict, why: String },
    /// Nothing until the next look.
    Wait { why: String },
    /// A person has to decide.
    AskPerson { why: String },
}

/// A guard with a p-value up to this on the worse side keeps the program from applying a change,
/// though it is no proof that it got worse.
pub const VETO_LEVEL: f64 = 0.05;

/// The program applies a proven gain when no guard speaks against it, and takes a change back only
/// because a guard got worse. Everything else is a person's.
pub fn automatically(look: &Look) -> Automatic {
    let names = |guards: &[Metric]| {
        let titles: Vec<&str> = guards.iter().map(|metric| metric.title()).collect();
        titles.join(", ")
    };
    if !look.guards_worse.is_empty() {
        return Automatic::Decide {
            verdict: Verdict::Revert,
            why: format!("guard got worse: {}", names(&look.guards_worse)),
        };
    }
    let doubtful: Vec<Metric> = look
        .guards
        .iter()
        .filter(|guard| guard.is_worse_at(VETO_LEVEL))
        .map(|guard| guard.metric)
        .collect();
    match look.proposed {
        Verdict::Apply if doubtful.is_empty() => Automatic::Decide {
            verdict: Verdict::Apply,
            why: look.reason.clone(),
        },
        Verdict::Apply => Automatic::AskPerson {
            why: format!("better, but a guard looks worse: {}", names(&doubtful)),
        },
        Verdict::Continue => Automatic::Wait {
            why: look.reason.clone(),
        },
        Verdict::Revert | Verdict::Escalate => Automatic::AskPerson {
            why: look.reason.clone(),
        },
    }
}
