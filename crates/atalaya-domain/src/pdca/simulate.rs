//! Histories in which the truth is known, to see how often the rule is wrong and how often it finds
//! what is there.
//!
//! The rule knows nothing of these worlds. A [`World`] makes releases in bursts, with weekdays, good
//! and bad weeks, runs of them, and holidays; the four plans (one for each metric of the score, with
//! the usual guards) are then followed look by look until one of them ends in a decision.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::looks::LOOKS;
use super::rules::{PdcaRules, Verdict, WEIGHED, evaluate};
use super::series::{Measure, Observation, Series};
use super::{Baseline, Plan, usual_guards};
use crate::dora::{Metric, PRODUCTION};
use crate::time::{TimeRange, Timestamp};

/// Weeks of the baseline; the history holds at least these.
pub const BASELINE_WEEKS: u32 = 4;
const AFTER_WEEKS: u32 = 4;
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// How a team releases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    pub name: &'static str,
    /// Releases a day, in the mean.
    pub per_day: f64,
    /// Releases that go out together, with one lead time and one fate.
    pub burst: u32,
    /// Releases on a day of the weekend, as a share of those on a weekday.
    pub weekend: f64,
    /// Variance of the weekly counts by their mean, from bursts and weeks together.
    pub variation: f64,
    /// Correlation of a week with the next one.
    pub persistence: f64,
    /// Whether there are two or three weeks without much, twice a year.
    pub holidays: bool,
    /// Weeks that are known before the change.
    pub history_weeks: u32,
}

/// A steady team: every release for itself, each day and week like the other.
pub const STEADY: World = World {
    name: "steady",
    per_day: 2.0,
    burst: 1,
    weekend: 1.0,
    variation: 1.0,
    persistence: 0.0,
    holidays: false,
    history_weeks: 26,
};

/// The worlds in which nothing changes and nothing may be decided: bursts, weekdays, weeks that vary
/// 2 to 8 times more than chance, weeks that follow each other, holidays, and few releases.
pub const WORLDS: [World; 11] = [
    STEADY,
    World {
        name: "bursts of 2, working days",
        burst: 2,
        variation: 2.0,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "bursts of 3",
        burst: 3,
        variation: 3.0,
        ..STEADY
    },
    World {
        name: "bursts of 5",
        burst: 5,
        variation: 5.0,
        ..STEADY
    },
    World {
        name: "weeks vary 4 times, working days",
        variation: 4.0,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "weeks vary 8 times, bursts of 2",
        burst: 2,
        variation: 8.0,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "weeks vary 4 times, alike (0.3)",
        variation: 4.0,
        persistence: 0.3,
        ..STEADY
    },
    World {
        name: "weeks vary 8 times, alike (0.6)",
        variation: 8.0,
        persistence: 0.6,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "holidays twice a year",
        variation: 2.0,
        holidays: true,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "one release in two days, bursts of 3",
        per_day: 0.5,
        burst: 3,
        variation: 3.0,
        weekend: 0.1,
        ..STEADY
    },
    World {
        name: "six a day, bursts of 4, weeks vary 8 times",
        per_day: 6.0,
        burst: 4,
        variation: 8.0,
        persistence: 0.3,
        weekend: 0.1,
        ..STEADY
    },
];

/// What a change really does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    pub metric: Metric,
    /// The metric afterwards as a multiple of before.
    pub factor: f64,
}

/// Where a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub metric: Metric,
    /// Of the look that decided, or of the last one.
    pub verdict: Verdict,
    /// From 1.
    pub look: u32,
}

impl Outcome {
    /// APPLY or REVERT.
    pub fn is_decision(&self) -> bool {
        matches!(self.verdict, Verdict::Apply | Verdict::Revert)
    }
}

/// All releases of a world, before and after the change.
#[derive(Clone, Debug)]
pub struct Releases {
    pub applied_at: Timestamp,
    pub history_from: Timestamp,
    pub all: Vec<Release>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    pub at: Timestamp,
    pub lead_hours: f64,
    /// Hours until it was repaired.
    pub failed: Option<f64>,
}

impl World {
    /// One course of this world; `truth` is what the change does, `None` nothing at all.
    pub fn releases(&self, seed: u64, truth: Option<Truth>) -> Releases {
        let mut dice = Dice::new(seed);
        let start = Timestamp::from_seconds(1_700_000_000);
        let history = self.history_weeks.max(BASELINE_WEEKS);
        // On any weekday and hour: a look's weeks are not those of the calendar.
        let offset = WEEK.mul_f64(dice.uniform());
        let applied_at = start.saturating_add(WEEK * history).saturating_add(offset);
        let weeks = history + AFTER_WEEKS + 1;
        let moods = self.moods(weeks, &mut dice);
        let factor_of = |metric, at: Timestamp| match truth {
            Some(truth) if truth.metric == metric && at >= applied_at => truth.factor,
            _ => 1.0,
        };
        let mut all = Vec::new();
        for day in 0..weeks * 7 {
            let begins = start.saturating_add(DAY * day);
            let weekday = if day % 7 < 5 { 1.0 } else { self.weekend };
            let share = weekday * 7.0 / (5.0 + 2.0 * self.weekend);
            let mood = moods[(day / 7) as usize];
            let rate =
                self.per_day * share * mood.rate * factor_of(Metric::DeploymentFrequency, begins)
                    / f64::from(self.burst);
            for _ in 0..dice.poisson(rate) {
                let at = begins.saturating_add(DAY.mul_f64(dice.uniform()));
                let fails = dice.uniform() < 0.15 * factor_of(Metric::ChangeFailureRate, at);
                let lead = 24.0
                    * (0.9 * dice.normal() + mood.lead).exp()
                    * factor_of(Metric::ChangeLeadTime, at);
                let recovery = 2.0 * dice.normal().exp() * factor_of(Metric::RecoveryTime, at);
                for member in 0..self.burst {
                    let near = |dice: &mut Dice| (0.2 * dice.normal()).exp();
                    all.push(Release {
                        at: at.saturating_add(Duration::from_mins(20) * member),
                        lead_hours: lead * near(&mut dice),
                        failed: fails.then(|| recovery * near(&mut dice)),
                    });
                }
            }
        }
        all.sort_by_key(|release| release.at);
        Releases {
            applied_at,
            history_from: applied_at.saturating_sub(WEEK * history),
            all,
        }
    }

    /// What sets each week apart from the others.
    fn moods(&self, weeks: u32, dice: &mut Dice) -> Vec<Mood> {
        let beyond_bursts = (self.variation - f64::from(self.burst)).max(0.0);
        let spread = (1.0 + beyond_bursts / (7.0 * self.per_day)).ln().sqrt();
        let mut state = dice.normal();
        let mut other = dice.normal();
        let keep = self.persistence;
        let fresh = (1.0 - keep * keep).sqrt();
        let mut moods: Vec<Mood> = (0..weeks)
            .map(|_| {
                state = keep * state + fresh * dice.normal();
                other = keep * other + fresh * dice.normal();
                Mood {
                    rate: (spread * state - spread * spread / 2.0).exp(),
                    lead: 0.5 * spread * other,
                }
            })
            .collect();
        if self.holidays {
            for half_year in 0..weeks.div_ceil(26) {
                let first = half_year * 26 + (26.0 * dice.uniform()) as u32;
                let length = 2 + u32::from(dice.uniform() < 0.5);
                for mood in moods.iter_mut().skip(first as usize).take(length as usize) {
                    mood.rate *= 0.1;
                }
            }
        }
        moods
    }

    /// One course, and where a plan on each metric of the score ends.
    pub fn run(&self, seed: u64, truth: Option<Truth>) -> Vec<Outcome> {
        let releases = self.releases(seed, truth);
        WEIGHED
            .into_iter()
            .map(|metric| releases.follow(metric))
            .collect()
    }
}

#[derive(Clone, Copy)]
struct Mood {
    rate: f64,
    /// Added to the logarithm of the lead time.
    lead: f64,
}

impl Releases {
    pub fn series(&self, metric: Metric) -> Option<Series> {
        let all = self.all.iter();
        let observations = all
            .filter_map(|release| {
                let value = match metric {
                    Metric::DeploymentFrequency => 1.0,
                    Metric::ChangeLeadTime => release.lead_hours,
                    Metric::RecoveryTime => release.failed?,
                    Metric::ChangeFailureRate => f64::from(u8::from(release.failed.is_some())),
                    Metric::ReworkRate => return None,
                };
                Some(Observation {
                    at: release.at,
                    value,
                })
            })
            .collect();
        (metric != Metric::ReworkRate).then(|| Series::new(metric, observations))
    }

    /// The plan that somebody would make right before the change, with the usual guards.
    pub fn plan(&self, metric: Metric) -> Plan {
        let baseline = Baseline {
            window: TimeRange::ending(self.applied_at, WEEK * BASELINE_WEEKS),
            history_from: Some(self.history_from),
            samples: 0,
            value: None,
            interval: None,
            warnings: Vec::new(),
            forecast: None,
            measure: Measure::Standard,
        };
        Plan {
            title: self.applied_at.to_rfc3339(),
            metric,
            service: None,
            team: None,
            environment: PRODUCTION.to_owned(),
            baseline,
            hypothesis: String::new(),
            change: String::new(),
            expected_percent: 0.0,
            smallest_effect_percent: 15.0,
            owner: String::new(),
            guards: usual_guards(metric),
        }
    }

    /// Look by look until one ends in APPLY or REVERT.
    pub fn follow(&self, metric: Metric) -> Outcome {
        let plan = self.plan(metric);
        let rules = PdcaRules::default();
        let series: Vec<Option<Series>> = Metric::ALL
            .into_iter()
            .map(|metric| self.series(metric))
            .collect();
        let of = |wanted: Metric| {
            let mut all = series.iter().flatten();
            all.find(|series| series.metric == wanted).cloned()
        };
        let mut outcome = Outcome {
            metric,
            verdict: Verdict::Continue,
            look: 0,
        };
        for planned in LOOKS {
            let look = evaluate(&plan, planned, self.applied_at, of, &rules);
            outcome = Outcome {
                metric,
                verdict: look.proposed,
                look: planned.number,
            };
            if outcome.is_decision() {
                break;
            }
        }
        outcome
    }
}

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Knuth's product of uniforms; for the small means of a day.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean.min(500.0)).exp();
        let (mut count, mut product) = (0, self.uniform());
        while product > limit {
            count += 1;
            product *= self.uniform();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::{BuildHasher, RandomState};

    use super::super::Forecast;
    use super::*;

    /// Another one each time; each assertion prints it, so that what fails can be run again.
    fn any_seed() -> u64 {
        RandomState::new().hash_one(0)
    }

    /// Nothing changes, and no plan may end in APPLY or REVERT more often than in one of twenty:
    /// all looks, all four metrics with their guards, in bursts, odd weeks and holidays.
    #[test]
    fn where_nothing_changes_nothing_is_decided() {
        const RUNS: u64 = 12;
        let seed = any_seed();
        let mut by_metric: BTreeMap<Metric, u64> = BTreeMap::new();
        let mut followed = 0;
        for world in WORLDS {
            for history_weeks in [4, 26] {
                let world = World {
                    history_weeks,
                    ..world
                };
                let mut by_world: BTreeMap<Metric, u64> = BTreeMap::new();
                for run in 0..RUNS {
                    for outcome in world.run(seed.wrapping_add(run), None) {
                        let decided = u64::from(outcome.is_decision());
                        *by_world.entry(outcome.metric).or_default() += decided;
                        *by_metric.entry(outcome.metric).or_default() += decided;
                    }
                }
                followed += RUNS;
                // At a rate of 5 %, 6 of 12 come once in 100,000 times.
                assert!(
                    by_world.values().all(|decided| *decided <= 5),
                    "seed {seed}, {world:?}: {by_world:?} of {RUNS}"
                );
            }
        }
        for (metric, decided) in by_metric {
            assert!(
                decided * 20 <= followed,
                "seed {seed}, {metric:?}: {decided} of {followed}"
            );
        }
    }

    /// The rule is not merely deaf.
    #[test]
    fn large_gains_are_found() {
        const RUNS: u64 = 40;
        let seed = any_seed();
        let busy = World {
            per_day: 5.0,
            ..STEADY
        };
        for (metric, factor) in [
            (Metric::DeploymentFrequency, 2.0),
            (Metric::ChangeLeadTime, 1.0 / 3.0),
        ] {
            let found = (0..RUNS)
                .filter(|run| {
                    let releases =
                        busy.releases(seed.wrapping_add(*run), Some(Truth { metric, factor }));
                    releases.follow(metric).verdict == Verdict::Apply
                })
                .count();
            assert!(found >= 28, "seed {seed}, {metric:?}: {found} of {RUNS}");
        }
    }

    /// What PLAN foretells is what comes true, within four times in ten: thirty runs are few.
    #[test]
    fn the_forecast_holds() {
        const RUNS: u64 = 30;
        let seed = any_seed();
        for (metric, factor, per_day, burst) in [
            (Metric::DeploymentFrequency, 2.0, 1.0, 1),
            (Metric::DeploymentFrequency, 2.0, 2.0, 3),
            (Metric::ChangeLeadTime, 0.5, 1.0, 1),
            (Metric::ChangeLeadTime, 0.5, 3.0, 2),
        ] {
            let world = World {
                per_day,
                burst,
                variation: f64::from(burst),
                ..STEADY
            };
            let (mut foretold, mut found) = (0.0, 0.0);
            for run in 0..RUNS {
                let releases =
                    world.releases(seed.wrapping_add(run), Some(Truth { metric, factor }));
                let plan = releases.plan(metric);
                let forecast = releases
                    .series(metric)
                    .and_then(|series| Forecast::of(&series, &plan.baseline, 30.0));
                foretold += forecast.map_or(0.0, |forecast| forecast.twice_as_good.by_last_look);
                found += f64::from(u8::from(releases.follow(metric).verdict == Verdict::Apply));
            }
            let (foretold, found) = (foretold / RUNS as f64, found / RUNS as f64);
            assert!(
                (foretold - found).abs() < 0.4,
                "seed {seed}, {metric:?} {per_day}/{burst}: foretold {foretold:.2}, found {found:.2}"
            );
        }
    }
}
