#![expect(clippy::unwrap_used, reason = "tests")]

use super::effect::{FEWEST_SAMPLES, compare};
use super::fixtures::{day, plan};
use super::rules::{Finding, decide, evaluate, seeds_rule, weighted_score};
use super::weeks::Windows;
use super::*;
use crate::time::TimeRange;

fn applied() -> Applied {
    Applied {
        what: "the limit is on".to_owned(),
        applied_at: day(28),
        request_id: None,
        commit: None,
    }
}

/// The values one after the other, spread evenly over the range.
fn evenly(range: TimeRange, values: &[f64]) -> Vec<Observation> {
    let step = range.length().div_f64(values.len().max(1) as f64);
    (0_u32..)
        .zip(values)
        .map(|(number, &value)| Observation {
            at: range.from.saturating_add(step * number),
            value,
        })
        .collect()
}

/// Four weeks before day 28, and what comes after it until a look.
fn series(metric: Metric, planned: PlannedLook, before: &[f64], after: &[f64]) -> Series {
    let baseline = TimeRange::new(day(0), day(28));
    let mut all = evenly(baseline, before);
    all.extend(evenly(planned.after(day(28)), after));
    Series::new(metric, all)
}

fn compared(metric: Metric, planned: PlannedLook, before: &[f64], after: &[f64]) -> Effect {
    let windows = Windows::of(&plan(metric), planned, day(28));
    compare(&series(metric, planned, before, after), &windows, 0.05)
}

/// `hits` failures among `total`, far from each other.
fn share(hits: usize, total: usize) -> Vec<f64> {
    let hit = |number: usize| (number + 1) * hits / total > number * hits / total;
    (0..total)
        .map(|number| f64::from(u8::from(hit(number))))
        .collect()
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
    let of =
        |metric| (metric == Metric::ChangeLeadTime).then(|| series(metric, planned, before, after));
    let plan = plan(Metric::ChangeLeadTime);
    evaluate(&plan, planned, day(28), of, &PdcaRules::default())
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
    let slower: Vec<f64> = (1..=28).map(f64::from).collect();
    let faster: Vec<f64> = slower.iter().map(|hours| hours / 2.0).collect();
    let lead = compared(Metric::ChangeLeadTime, LOOKS[3], &slower, &faster);
    assert!((lead.percent.unwrap() - 50.0).abs() < 1e-9);
    let often = compared(
        Metric::DeploymentFrequency,
        LOOKS[1],
        &[1.0; 28],
        &[1.0; 14],
    );
    assert!((often.percent.unwrap() - 100.0).abs() < 1e-9);
    let failing = compared(
        Metric::ChangeFailureRate,
        LOOKS[3],
        &share(5, 50),
        &share(10, 50),
    );
    assert!((failing.percent.unwrap() + 100.0).abs() < 1e-9);
}

#[test]
fn a_zero_baseline_is_told_in_points() {
    let found = compared(
        Metric::ChangeFailureRate,
        LOOKS[3],
        &share(0, 40),
        &share(4, 20),
    );
    assert!((found.percent.unwrap() + 20.0).abs() < 1e-9);
    assert!(found.flags[0].contains("points"), "{:?}", found.flags);
    let first = compared(Metric::DeploymentFrequency, LOOKS[1], &[], &[1.0; 9]);
    assert_eq!(
        (first.percent, first.evidence),
        (Some(100.0), Evidence::Better)
    );
    assert!(first.interval.unwrap().high.is_finite());
}

/// Nothing for four weeks, then five releases within an hour: that is one throw.
#[test]
fn one_burst_after_nothing_proves_nothing() {
    let mut all = series(Metric::DeploymentFrequency, LOOKS[1], &[], &[1.0; 5]);
    for (observation, minutes) in all.observations.iter_mut().zip([0, 10, 20, 30, 40]) {
        observation.at = day(30).saturating_add(std::time::Duration::from_mins(minutes));
    }
    let windows = Windows::of(&plan(Metric::DeploymentFrequency), LOOKS[1], day(28));
    assert_eq!(compare(&all, &windows, 0.05).evidence, Evidence::NoEvidence);
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
    let before: Vec<f64> = (0..40).map(|i| 30.0 + f64::from(i * 7 % 40)).collect();
    let halved: Vec<f64> = (0..25)
        .map(|i| 15.0 + f64::from(i * 7 % 25) / 2.0)
        .collect();
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

/// A plan on frequency with a gain, and failures of 2 in 28 before and so many of 60 after.
fn guarded(failures: usize) -> Look {
    let of = |metric| match metric {
        Metric::DeploymentFrequency => Some(series(metric, LOOKS[3], &[1.0; 28], &[1.0; 60])),
        Metric::ChangeFailureRate => Some(series(
            metric,
            LOOKS[3],
            &share(2, 28),
            &share(failures, 60),
        )),
        _ => None,
    };
    let plan = plan(Metric::DeploymentFrequency);
    evaluate(&plan, LOOKS[3], day(28), of, &PdcaRules::default())
}

#[test]
fn a_failing_guard_takes_a_gain_back() {
    let look = guarded(45);
    assert_eq!(look.primary().unwrap().evidence, Evidence::Better);
    assert_eq!((look.proposed, look.automatic), (Verdict::Revert, true));
    assert_eq!(look.guards_worse, [Metric::ChangeFailureRate]);
}

/// What the program would do on its own: a guard that only looks worse keeps it from applying.
#[test]
fn guards_have_a_veto_over_the_program() {
    let kind = |look: &Look| match automatically(look) {
        Automatic::Decide { verdict, .. } => verdict.name(),
        Automatic::Wait { .. } => "wait",
        Automatic::AskPerson { .. } => "person",
    };
    let look = guarded(4);
    assert_eq!((look.proposed, kind(&look)), (Verdict::Apply, "APPLY"));
    assert_eq!(kind(&guarded(45)), "REVERT");
    let doubtful = (5..45)
        .map(guarded)
        .find(|look| look.proposed == Verdict::Apply && kind(look) != "APPLY");
    // Between both there are guards that only look worse.
    let doubtful = doubtful.unwrap();
    assert_eq!(kind(&doubtful), "person");
    let waiting = look_at(LOOKS[1], &[30.0; 28], &[28.0; 3]);
    assert_eq!(
        (waiting.proposed, kind(&waiting)),
        (Verdict::Continue, "wait")
    );
    let worse: Vec<f64> = (0..28).map(|i| 300.0 + f64::from(i * 7 % 20)).collect();
    let before: Vec<f64> = (0..28).map(|i| 30.0 + f64::from(i * 7 % 20)).collect();
    let worse = look_at(LOOKS[3], &before, &worse);
    assert_eq!((worse.proposed, kind(&worse)), (Verdict::Revert, "person"));
}

/// A row that cannot be read is shown beside the others, wherever it stands.
#[test]
fn one_unreadable_row_leaves_the_others() {
    let event = |id: &str, seq: u32, happening| PdcaEvent {
        pdca_id: id.to_owned(),
        seq,
        at: day(28),
        by: "ana".to_owned(),
        happening,
    };
    let planned = || Happening::Planned(plan(Metric::ChangeLeadTime));
    let torn = || {
        Happening::Unreadable(Unreadable {
            body: "{}".to_owned(),
            reason: "missing field".to_owned(),
        })
    };
    let listing = Listing::of(vec![
        event("a", 1, planned()),
        event("b", 1, torn()),
        event("c", 1, planned()),
        event("c", 2, torn()),
        event("d", 2, planned()),
    ]);
    let ids: Vec<&str> = listing
        .cycles
        .iter()
        .map(|cycle| cycle.id.as_str())
        .collect();
    assert_eq!(ids, ["d", "a"]);
    let broken: Vec<(&str, bool)> = listing
        .broken
        .iter()
        .map(|cycle| (cycle.id.as_str(), cycle.title.is_some()))
        .collect();
    assert_eq!(broken, [("c", true), ("b", false)]);
    assert!(listing.broken[0].reason.contains("event 2"), "{listing:?}");
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

/// A cycle time is no lead time, whatever shows it.
#[test]
fn what_is_measured_by_cycles_is_called_so() {
    let planned = LOOKS[2];
    let windows = Windows::of(&plan(Metric::ChangeLeadTime), planned, day(28));
    let mut series = series(Metric::ChangeLeadTime, planned, &[9.0; 40], &[5.0; 40]);
    for (measure, title) in [
        (Measure::Standard, "Change lead time"),
        (Measure::CycleTime, "Cycle time"),
    ] {
        series.measure = measure;
        assert_eq!(compare(&series, &windows, 0.05).title(), title);
        let mut planned = plan(Metric::ChangeLeadTime);
        planned.baseline.measure = measure;
        assert_eq!(planned.title_of_metric(), title);
        let forecast = Forecast::of(&series, &planned.baseline, 30.0).unwrap();
        let sentences = forecast.sentences(Metric::ChangeLeadTime, measure).concat();
        assert_eq!(
            sentences.contains("cycle time"),
            measure == Measure::CycleTime
        );
        assert_eq!(
            sentences.contains("lead time"),
            measure == Measure::Standard
        );
    }
    assert_eq!(
        Measure::CycleTime.title(Metric::RecoveryTime),
        Metric::RecoveryTime.title()
    );
}
