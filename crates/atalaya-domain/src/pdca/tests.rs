#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "the rules take samples that may be missing"
)]

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::effect::{FEWEST_SAMPLES, compare};
use super::fixtures::{day, plan};
use super::rules::{BeforeAfter, Finding, decide, evaluate, seeds_rule, weighted_score};
use super::*;
use crate::stats::{EventCount, Share};

fn applied() -> Applied {
    Applied {
        what: "the limit is on".to_owned(),
        applied_at: day(28),
        request_id: None,
        commit: None,
    }
}

fn times(metric: Metric, hours: Vec<f64>) -> Option<MetricSamples> {
    Some(MetricSamples {
        metric,
        samples: Samples::Times(hours),
        open: 0,
    })
}

fn events(count: u64, days: f64) -> Option<MetricSamples> {
    let samples = Samples::Events(EventCount {
        events: count,
        exposure: days,
    });
    Some(MetricSamples {
        metric: Metric::DeploymentFrequency,
        samples,
        open: 0,
    })
}

fn share(hits: u64, total: u64) -> Option<MetricSamples> {
    let samples = Samples::Share(Share::new(hits, total));
    Some(MetricSamples {
        metric: Metric::ChangeFailureRate,
        samples,
        open: 0,
    })
}

fn started(metric: Metric) -> PdcaCycle {
    let first = PdcaEvent {
        pdca_id: "pdca-1".to_owned(),
        seq: 1,
        at: day(28),
        by: "ana".to_owned(),
        happening: Happening::Planned(plan(metric)),
    };
    let mut cycle = PdcaCycle::fold(&[first]).unwrap();
    happen(&mut cycle, Happening::Started(applied())).unwrap();
    cycle
}

fn happen(cycle: &mut PdcaCycle, happening: Happening) -> Result<(), Refusal> {
    let event = cycle.next_event(day(30), "ana", happening)?;
    cycle.apply(&event)
}

/// A look at the lead time alone.
fn look_at(planned: PlannedLook, before: &[f64], after: &[f64]) -> Look {
    let samples = |metric| match metric {
        Metric::ChangeLeadTime => BeforeAfter {
            before: times(metric, before.to_vec()),
            after: times(metric, after.to_vec()),
        },
        _ => BeforeAfter::default(),
    };
    evaluate(
        &plan(Metric::ChangeLeadTime),
        planned,
        day(28),
        samples,
        &PdcaRules::default(),
    )
}

#[test]
fn the_older_tools_boundaries() {
    let rules = PdcaRules::default();
    for (score, verdict) in [
        (15.0, Verdict::Apply),
        (14.99, Verdict::Continue),
        (5.0, Verdict::Continue),
        (4.99, Verdict::Escalate),
        (-4.99, Verdict::Escalate),
        (-5.0, Verdict::Revert),
    ] {
        assert_eq!(seeds_rule(score, &rules), verdict, "{score}");
    }
}

#[test]
fn the_older_tools_weighted_score() {
    let all = [
        (Metric::DeploymentFrequency, 28.0),
        (Metric::ChangeLeadTime, 24.0),
        (Metric::ChangeFailureRate, 16.0),
        (Metric::RecoveryTime, 12.0),
    ];
    let score = weighted_score(&all).unwrap();
    assert!((score - 21.4).abs() < 1e-9, "{score}");
    assert_eq!(seeds_rule(score, &PdcaRules::default()), Verdict::Apply);
    // A metric without data takes no part and the other weights grow: 0.30 against 0.15.
    let two = weighted_score(&[all[1], all[3]]).unwrap();
    assert!((two - 20.0).abs() < 1e-9, "{two}");
    assert_eq!(weighted_score(&[(Metric::ReworkRate, 50.0)]), None);
}

#[test]
fn improvement_has_the_sign_of_better() {
    let slower: Vec<f64> = (1..=30).map(f64::from).collect();
    let faster: Vec<f64> = slower.iter().map(|hours| hours / 2.0).collect();
    let lead = compare(
        times(Metric::ChangeLeadTime, slower).as_ref(),
        times(Metric::ChangeLeadTime, faster).as_ref(),
        0.05,
    );
    assert!((lead.unwrap().percent.unwrap() - 50.0).abs() < 1e-9);
    let often = compare(events(30, 30.0).as_ref(), events(14, 7.0).as_ref(), 0.05).unwrap();
    assert!((often.percent.unwrap() - 100.0).abs() < 1e-9);
    let failing = compare(share(5, 50).as_ref(), share(10, 50).as_ref(), 0.05).unwrap();
    assert!((failing.percent.unwrap() + 100.0).abs() < 1e-9);
    assert_eq!(
        compare(None, events(1, 1.0).as_ref(), 0.05),
        None,
        "no source: takes no part"
    );
}

#[test]
fn a_zero_baseline_is_told_in_points() {
    let found = compare(share(0, 40).as_ref(), share(4, 20).as_ref(), 0.05).unwrap();
    assert!((found.percent.unwrap() + 20.0).abs() < 1e-9);
    assert!(found.flags[0].contains("points"), "{:?}", found.flags);
    let first = compare(events(0, 28.0).as_ref(), events(9, 7.0).as_ref(), 0.05).unwrap();
    assert_eq!(
        (first.percent, first.evidence),
        (Some(100.0), Evidence::Better)
    );
    assert!(first.interval.unwrap().high.is_finite());
}

#[test]
fn few_samples_are_insufficient_whatever_they_show() {
    let before: Vec<f64> = (20..60).map(f64::from).collect();
    for n in 0..FEWEST_SAMPLES {
        let after = vec![0.5; usize::try_from(n).unwrap()];
        let look = look_at(LOOKS[1], &before, &after);
        assert_eq!(
            (look.evidence, look.proposed),
            (Evidence::Insufficient, Verdict::Continue),
            "n = {n}"
        );
        let look = look_at(LOOKS[3], &before, &after);
        assert_eq!(
            look.proposed,
            Verdict::Escalate,
            "n = {n}: nothing is left to wait for"
        );
    }
    assert_eq!(look_at(LOOKS[3], &before, &[]).effects[0].percent, None);
}

#[test]
fn a_clear_gain_is_applied_and_a_clear_loss_reverted() {
    let before: Vec<f64> = (0..40).map(|i| 30.0 + f64::from(i)).collect();
    let halved: Vec<f64> = (0..25).map(|i| 15.0 + f64::from(i) / 2.0).collect();
    let look = look_at(LOOKS[2], &before, &halved);
    assert_eq!(
        (look.evidence, look.proposed, look.automatic),
        (Evidence::Better, Verdict::Apply, false)
    );
    assert!(look.score.unwrap() > 40.0 && look.score_interval.unwrap().low > 0.0);
    assert_eq!(look.seeds_rule_decision, Some(Verdict::Apply));
    let doubled: Vec<f64> = before.iter().map(|hours| hours * 2.0).collect();
    let look = look_at(LOOKS[2], &before, &doubled);
    assert_eq!(
        (look.evidence, look.proposed, look.automatic),
        (Evidence::Worse, Verdict::Revert, false)
    );
    // Five samples that look a fifth better are promising and no more.
    let look = look_at(LOOKS[1], &before, &[28.0, 33.0, 38.0, 45.0, 52.0]);
    assert_eq!(
        (look.evidence, look.proposed),
        (Evidence::NoEvidence, Verdict::Continue)
    );
}

#[test]
fn decisions() {
    let rules = PdcaRules::default();
    let finding = |score: f64, reach: f64, evidence, last| Finding {
        score: Some(score),
        score_interval: Some(Interval::new(score - reach, score + reach)),
        evidence,
        guards_worse: &[],
        last,
    };
    for (finding, verdict) in [
        (finding(20.0, 10.0, Evidence::Better, false), Verdict::Apply),
        (finding(15.0, 10.0, Evidence::Better, true), Verdict::Apply),
        // Real, but less than is worth it.
        (
            finding(10.0, 2.0, Evidence::Better, false),
            Verdict::Continue,
        ),
        (
            finding(10.0, 2.0, Evidence::Better, true),
            Verdict::Escalate,
        ),
        (
            finding(60.0, 90.0, Evidence::NoEvidence, false),
            Verdict::Continue,
        ),
        (
            finding(60.0, 90.0, Evidence::NoEvidence, true),
            Verdict::Escalate,
        ),
        (
            finding(5.0, 90.0, Evidence::NoEvidence, false),
            Verdict::Continue,
        ),
        (
            finding(4.99, 90.0, Evidence::NoEvidence, false),
            Verdict::Escalate,
        ),
        // The older tool would take it back on this score alone.
        (
            finding(-40.0, 90.0, Evidence::NoEvidence, false),
            Verdict::Escalate,
        ),
        (
            finding(-40.0, 20.0, Evidence::Worse, false),
            Verdict::Revert,
        ),
        (
            finding(60.0, 90.0, Evidence::Insufficient, false),
            Verdict::Continue,
        ),
    ] {
        let decision = decide(&finding, &rules);
        assert_eq!(decision.verdict, verdict, "{finding:?}");
        assert!(!decision.automatic);
    }
    let guarded = Finding {
        guards_worse: &[Metric::ChangeFailureRate],
        ..finding(60.0, 5.0, Evidence::Better, false)
    };
    let decision = decide(&guarded, &rules);
    assert_eq!(
        (decision.verdict, decision.automatic),
        (Verdict::Revert, true)
    );
}

#[test]
fn a_failing_guard_takes_a_gain_back() {
    let samples = |metric| match metric {
        Metric::DeploymentFrequency => BeforeAfter {
            before: events(30, 28.0),
            after: events(60, 14.0),
        },
        Metric::ChangeFailureRate => BeforeAfter {
            before: share(2, 30),
            after: share(40, 60),
        },
        _ => BeforeAfter::default(),
    };
    let look = evaluate(
        &plan(Metric::DeploymentFrequency),
        LOOKS[2],
        day(28),
        samples,
        &PdcaRules::default(),
    );
    assert_eq!(look.primary().unwrap().evidence, Evidence::Better);
    assert_eq!((look.proposed, look.automatic), (Verdict::Revert, true));
    assert_eq!(look.guards_worse, [Metric::ChangeFailureRate]);
}

/// No change at all and three deployments after it: the automatic rule must leave it alone.
#[test]
fn no_effect_and_three_samples_end_in_nothing() {
    let mut acted = 0;
    let mut seeds_acted = 0;
    for seed in 0..1_000 {
        let world = World {
            seed,
            after: vec![3; 4],
            factor: 1.0,
        };
        let (last, seeds) = world.run();
        acted += u32::from(matches!(last, Verdict::Apply | Verdict::Revert));
        seeds_acted += u32::from(matches!(seeds, Some(Verdict::Apply | Verdict::Revert)));
    }
    assert!(
        acted <= 50,
        "{acted} of 1000 runs without an effect ended in APPLY or REVERT"
    );
    // What the simulation is able to show: the plain rule acts most of the time.
    assert!(seeds_acted > 500, "{seeds_acted}");
}

/// The same with as many samples as a busy team has: four looks may not add up to false alarms.
#[test]
fn no_effect_and_many_samples_stay_below_five_per_cent() {
    let acted = (0..1_000)
        .filter(|&seed| {
            let world = World {
                seed: 10_000 + seed,
                after: vec![3, 10, 20, 40],
                factor: 1.0,
            };
            matches!(world.run().0, Verdict::Apply | Verdict::Revert)
        })
        .count();
    assert!(acted <= 50, "{acted} of 1000");
}

/// The rule is not merely deaf: lead times cut to a third are found.
#[test]
fn a_large_effect_is_found() {
    let applied = (0..200)
        .filter(|&seed| {
            let world = World {
                seed: 20_000 + seed,
                after: vec![3, 10, 20, 40],
                factor: 1.0 / 3.0,
            };
            world.run().0 == Verdict::Apply
        })
        .count();
    assert!(applied >= 150, "{applied} of 200");
}

/// Thirty deployments before, a few after, lognormal lead times with sigma 1, one in six failing.
struct World {
    seed: u64,
    /// Deployments by each look.
    after: Vec<u64>,
    /// What the change does to lead times.
    factor: f64,
}

impl World {
    /// Follows the proposals look by look until one is not CONTINUE or ESCALATE; also what the
    /// plain rule says at the last look.
    fn run(&self) -> (Verdict, Option<Verdict>) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut lead = |count: u64, factor: f64| -> Vec<f64> {
            (0..count)
                .map(|_| {
                    // Box and Muller.
                    let (u, v) = (1.0 - random.random::<f64>(), random.random::<f64>());
                    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                    factor * 24.0 * normal.exp()
                })
                .collect()
        };
        let before = lead(30, 1.0);
        let all_after = lead(*self.after.last().unwrap(), self.factor);
        let mut fails = |count: u64| {
            (0..count)
                .map(|_| u64::from(random.random::<f64>() < 1.0 / 6.0))
                .collect::<Vec<_>>()
        };
        let failed_before: u64 = fails(30).iter().sum();
        let failed_after = fails(*self.after.last().unwrap());
        let mut last = (Verdict::Continue, None);
        for (planned, &count) in LOOKS.into_iter().zip(&self.after) {
            let taken = usize::try_from(count).unwrap();
            let samples = |metric| match metric {
                Metric::ChangeLeadTime => BeforeAfter {
                    before: times(metric, before.clone()),
                    after: times(metric, all_after[..taken].to_vec()),
                },
                Metric::ChangeFailureRate => BeforeAfter {
                    before: share(failed_before, 30),
                    after: share(failed_after[..taken].iter().sum(), count),
                },
                _ => BeforeAfter::default(),
            };
            let look = evaluate(
                &plan(Metric::ChangeLeadTime),
                planned,
                day(28),
                samples,
                &PdcaRules::default(),
            );
            last = (look.proposed, look.seeds_rule_decision);
            if matches!(look.proposed, Verdict::Apply | Verdict::Revert) {
                break;
            }
        }
        last
    }
}

#[test]
fn a_cycle_is_the_fold_of_its_events() {
    let mut cycle = started(Metric::ChangeLeadTime);
    let mut events = vec![];
    let mut record = |cycle: &mut PdcaCycle, happening| {
        let event = cycle.next_event(day(40), "ben", happening).unwrap();
        cycle.apply(&event).unwrap();
        events.push(event);
    };
    assert_eq!(cycle.state, State::Do);
    let edited = Texts {
        hypothesis: Some("reviews wait for people".to_owned()),
        ..Texts::default()
    };
    record(&mut cycle, Happening::Edited(edited));
    record(
        &mut cycle,
        Happening::Noted("one reviewer was ill".to_owned()),
    );
    let look = look_at(LOOKS[1], &[30.0; 30], &[29.0; 3]);
    record(&mut cycle, Happening::Checked(Box::new(look)));
    assert_eq!(
        (cycle.state, cycle.plan.hypothesis.as_str()),
        (State::Check, "reviews wait for people")
    );
    assert_eq!(
        cycle.plan.title, "Smaller changes",
        "what was not edited stays"
    );
    let act = Act {
        verdict: Verdict::Revert,
        why: "not worth it".to_owned(),
        automatic: false,
    };
    record(&mut cycle, Happening::Decided(act));
    assert_eq!((cycle.state, cycle.events), (State::Reverted, 6));

    let first = PdcaEvent {
        pdca_id: "pdca-1".to_owned(),
        seq: 1,
        at: day(28),
        by: "ana".to_owned(),
        happening: Happening::Planned(plan(Metric::ChangeLeadTime)),
    };
    let second = PdcaEvent {
        pdca_id: "pdca-1".to_owned(),
        seq: 2,
        at: day(30),
        by: "ana".to_owned(),
        happening: Happening::Started(applied()),
    };
    let mut history = vec![first, second];
    history.extend(events);
    assert_eq!(PdcaCycle::fold(&history).unwrap(), cycle);
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<PdcaEvent>>(&text).unwrap(),
        history
    );
    history.remove(2);
    assert!(
        matches!(PdcaCycle::fold(&history), Err(Refusal::Broken(..))),
        "a gap is noticed"
    );
    assert!(matches!(
        PdcaCycle::fold(&history[1..]),
        Err(Refusal::Broken(..))
    ));
    assert!(matches!(PdcaCycle::fold(&[]), Err(Refusal::Broken(..))));
}

#[test]
fn what_may_not_happen() {
    let mut cycle = started(Metric::ChangeLeadTime);
    let act = |verdict| {
        Happening::Decided(Act {
            verdict,
            why: String::new(),
            automatic: false,
        })
    };
    let look = |number: usize| {
        Happening::Checked(Box::new(look_at(
            LOOKS[number - 1],
            &[30.0; 30],
            &[29.0; 3],
        )))
    };
    assert_eq!(
        happen(&mut cycle, Happening::Started(applied())),
        Err(Refusal::AlreadyStarted("pdca-1".to_owned()))
    );
    assert_eq!(
        happen(&mut cycle, act(Verdict::Apply)),
        Err(Refusal::NothingChecked("pdca-1".to_owned()))
    );
    happen(&mut cycle, look(2)).unwrap();
    assert_eq!(
        happen(&mut cycle, look(2)),
        Err(Refusal::LookTaken("pdca-1".to_owned(), 2))
    );
    assert_eq!(
        happen(&mut cycle, look(1)),
        Err(Refusal::LookTaken("pdca-1".to_owned(), 1))
    );
    happen(&mut cycle, act(Verdict::Apply)).unwrap();
    assert_eq!(
        happen(&mut cycle, look(3)),
        Err(Refusal::Closed("pdca-1".to_owned(), State::Applied))
    );
    happen(&mut cycle, Happening::Noted("still fine".to_owned())).unwrap();
    assert_eq!(cycle.state, State::Applied);
}

#[test]
fn looks_come_due() {
    let mut cycle = started(Metric::ChangeLeadTime);
    let due = |cycle: &PdcaCycle, at| cycle.due_look(at).map(|look| look.number);
    assert_eq!(due(&cycle, day(29)), None);
    assert_eq!(cycle.next_look_at(), Some((LOOKS[0], day(30))));
    assert_eq!(due(&cycle, day(30)), Some(1));
    assert_eq!(
        due(&cycle, day(50)),
        Some(3),
        "the latest one; those before it are over"
    );
    happen(
        &mut cycle,
        Happening::Checked(Box::new(look_at(LOOKS[2], &[30.0; 30], &[29.0; 3]))),
    )
    .unwrap();
    assert_eq!(due(&cycle, day(50)), None);
    assert_eq!(cycle.next_look_at(), Some((LOOKS[3], day(56))));
    assert_eq!(due(&cycle, day(400)), Some(4));
}

#[test]
fn the_target_follows_the_direction() {
    assert_eq!(plan(Metric::ChangeLeadTime).target(), Some(28.0));
    assert_eq!(plan(Metric::DeploymentFrequency).target(), Some(52.0));
    let unknown = Plan {
        baseline: Baseline {
            value: None,
            ..plan(Metric::ChangeLeadTime).baseline
        },
        ..plan(Metric::ChangeLeadTime)
    };
    assert_eq!(unknown.target(), None);
}
