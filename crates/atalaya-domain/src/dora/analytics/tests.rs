#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::delivery::Deployment;
use crate::dora::fixtures::{carrying, deployment, hour};
use crate::dora::{Sources, Value};

const WEEK: f64 = 7.0 * 24.0;

/// Asks `question` of these deployments as seen at an hour after the first Monday of the fixtures.
fn with<T>(deployments: &[Deployment], now: f64, question: impl Fn(&Asked<'_>) -> T) -> T {
    let facts = Facts {
        deployments,
        sources: Sources {
            deployments: true,
            incidents: true,
        },
        ..Facts::default()
    };
    let begins = deployments.iter().map(|one| one.finished_at).min();
    question(&Asked {
        facts: &facts,
        scope: &Scope::default(),
        rules: &Rules::default(),
        now: hour(now),
        begins,
    })
}

/// So many deployments in each week, spread over it, with this lead time each.
fn weeks(counts: &[usize], lead: f64) -> Vec<Deployment> {
    let mut all = Vec::new();
    for (week, &count) in counts.iter().enumerate() {
        for one in 0..count {
            let at = week as f64 * WEEK + 160.0 * (one as f64 + 1.0) / (count as f64 + 1.0);
            all.push(carrying(&format!("w{week}-{one}"), at, lead));
        }
    }
    all
}

#[test]
fn a_quiet_week_is_a_zero_and_the_running_one_is_none() {
    // Falling: 8, 6, 0, 2. The older rule skips the empty week; two days into the fifth week it
    // takes the single deployment there for a whole week's.
    let mut known = weeks(&[8, 6, 0, 2], 5.0);
    known.push(deployment("running", 4.0 * WEEK + 20.0));
    let found = with(&known, 4.0 * WEEK + 48.0, |asked| {
        trend(asked, Measure::DeploymentFrequency, 90)
    });
    let counts: Vec<Option<usize>> = found.weeks.iter().map(|week| week.deployments).collect();
    let (gaps, known) = counts.split_at(counts.len() - 4);
    assert!(gaps.iter().all(Option::is_none), "{counts:?}");
    assert_eq!(known, [Some(8), Some(6), Some(0), Some(2)]);
    assert_eq!((found.data_points(), found.plain.weeks), (4, 4));
    let line = found.line.unwrap();
    assert_eq!(line.course, Course::Declining);
    assert!((line.average_change + 2.0).abs() < 1e-12);
    assert_eq!(found.weeks.last().unwrap().label, "2026-43");
}

#[test]
fn the_running_week_bends_the_older_rule_only() {
    // Ten a week, and a Monday with one so far.
    let mut known = weeks(&[10, 10, 10, 10], 5.0);
    known.push(deployment("monday", 4.0 * WEEK + 2.0));
    let found = with(&known, 4.0 * WEEK + 3.0, |asked| {
        trend(asked, Measure::DeploymentFrequency, 35)
    });
    assert_eq!(found.line.unwrap().course, Course::Stable);
    assert_eq!(found.plain.course, Course::Declining);
}

#[test]
fn lead_times_keep_their_gaps_and_less_is_better() {
    let mut known = Vec::new();
    for (week, lead) in [(0, 40.0), (1, 30.0), (3, 20.0), (4, 10.0)] {
        known.push(carrying(
            &format!("d{week}"),
            f64::from(week) * WEEK + 50.0,
            lead,
        ));
    }
    let found = with(&known, 5.0 * WEEK + 1.0, |asked| {
        trend(asked, Measure::LeadTime, 36)
    });
    let means: Vec<Option<f64>> = found.weeks.iter().map(Point::mean_hours).collect();
    assert_eq!(
        means,
        [Some(40.0), Some(30.0), None, Some(20.0), Some(10.0)]
    );
    let line = found.line.unwrap();
    assert_eq!(line.course, Course::Improving);
    assert!(
        (line.average_change + 7.5).abs() < 1e-12,
        "30 h less in 4 weeks"
    );
    assert_eq!(found.medians.unwrap().course, Course::Improving);
}

#[test]
fn too_little_has_no_direction() {
    let found = with(&weeks(&[3, 4, 5], 5.0), 3.0 * WEEK + 1.0, |asked| {
        trend(asked, Measure::DeploymentFrequency, 90)
    });
    assert_eq!((found.line, found.data_points()), (None, 3));
    let nothing = with(&[], 3.0 * WEEK, |asked| trend(asked, Measure::LeadTime, 1));
    assert_eq!(nothing.plain.course, Course::InsufficientData);
    assert!(nothing.weeks.is_empty() && nothing.statistics.is_none());
}

#[test]
fn unequal_periods_are_compared_by_the_day() {
    // Two a week for eight weeks: 14 days against 28 days are the same.
    let known = weeks(&[2; 8], 5.0);
    let now = 8.0 * WEEK;
    let found = with(&known, now, |asked| {
        let current = TimeRange::new(hour(6.0 * WEEK), hour(now));
        compare(
            asked,
            current,
            TimeRange::new(hour(2.0 * WEEK), current.from),
        )
    });
    let frequency = &found.metrics[0];
    assert!(frequency.change.unwrap().abs() < 1e-12, "{frequency:?}");
    assert!((frequency.plain.unwrap().percent_change + 50.0).abs() < 1e-9);
    assert!(frequency.test.unwrap().p > 0.9);
    let lead = found
        .metrics
        .iter()
        .find(|one| one.metric == Metric::ChangeLeadTime);
    assert_eq!(lead.unwrap().percent_change, Some(0.0));
}

#[test]
fn nothing_before_has_no_per_cent() {
    let found = with(&weeks(&[0, 3], 5.0), 2.0 * WEEK, |asked| {
        let current = TimeRange::new(hour(WEEK), hour(2.0 * WEEK));
        compare(asked, current, current.previous())
    });
    let frequency = &found.metrics[0];
    assert_eq!(frequency.percent_change, None);
    assert!((frequency.plain.unwrap().percent_change - 100.0).abs() < 1e-9);
    let failures = &found.metrics[2];
    assert!(matches!(
        failures.previous.value,
        Value::NotAvailable { .. }
    ));
    assert_eq!((failures.change, failures.test), (None, None));
}

#[test]
fn months_are_those_of_the_calendar_and_best_by_the_day() {
    // From 2026-10-05: as many in November (30 days) as in December (31).
    let every = |first: f64, count: usize| {
        (0..count).map(move |one| deployment(&format!("{first}-{one}"), first + one as f64))
    };
    let november = (31.0 - 5.0 + 1.0) * 24.0;
    let known: Vec<Deployment> = every(0.0, 4)
        .chain(every(november, 10))
        .chain(every(november + 30.0 * 24.0, 10))
        .collect();
    let found = with(&known, november + 62.0 * 24.0, |asked| monthly(asked, 6));
    let labels: Vec<&str> = found
        .months
        .iter()
        .map(|month| month.label.as_str())
        .collect();
    assert_eq!(labels[3..], ["2026-10", "2026-11", "2026-12"]);
    assert_eq!(
        found.months[2].deployments, None,
        "before anything is known"
    );
    assert_eq!(
        (found.best, found.worst, found.total()),
        (Some(4), Some(3), 24)
    );
    assert_eq!(found.average(), Some(8.0));
}

#[test]
fn the_older_tools_durations() {
    let seconds = [300, 400, 500, 600, 700, 800, 900, 1_000, 1_100, 5_000];
    let timed = |count: usize| -> Vec<Deployment> {
        let mut all: Vec<Deployment> = seconds[seconds.len() - count..]
            .iter()
            .enumerate()
            .map(|(index, &seconds)| {
                let mut one = deployment(&format!("d{index}"), 10.0 + index as f64);
                let length = std::time::Duration::from_secs(seconds);
                one.started_at = Some(one.finished_at.saturating_sub(length));
                one
            })
            .collect();
        all.push(deployment("a tag", 5.0));
        all
    };
    let period = TimeRange::new(hour(0.0), hour(100.0));
    let found = with(&timed(10), 100.0, |asked| anomalies(asked, period));
    let fences = found.fences.unwrap();
    assert_eq!(
        (fences.q1, fences.q3, fences.fences.high),
        (475.0, 1_025.0, 1_850.0)
    );
    assert_eq!(
        (found.timed, found.untimed, found.unusual.len()),
        (10, 1, 1)
    );
    assert!(found.unusual[0].slow && found.unusual[0].deployment == "d9");
    let few = with(&timed(9), 100.0, |asked| anomalies(asked, period));
    assert_eq!((few.fences, few.timed), (None, 9));
}

/// One deployment every so many hours, for months.
fn steady(every: f64, days: f64, lead: f64) -> Vec<Deployment> {
    let count = (days * 24.0 / every) as usize;
    (0..count)
        .map(|one| carrying(&format!("s{one}"), one as f64 * every, lead))
        .collect()
}

#[test]
fn a_steady_team_is_foretold_steadily_and_tested_on_what_is_known() {
    let found = with(&steady(24.0, 240.0, 6.0), 240.0 * 24.0, |asked| {
        forecast(asked, 6)
    });
    let frequency = found.frequency.unwrap();
    assert_eq!(frequency.method, Method::Level);
    // June 2027 has 30 days; the first month is known from its fifth day on only.
    assert!(
        (frequency.predicted.value - 30.0).abs() < 1.0,
        "{frequency:?}"
    );
    let backtest = frequency.backtest.unwrap();
    assert!(
        backtest.months >= 3 && backtest.ours.within_95 == Some(1.0),
        "{backtest:?}"
    );
    let lead = found.lead_time.unwrap();
    assert!((lead.predicted.value - 6.0).abs() < 1e-9 && (lead.plain - 6.0).abs() < 1e-9);
}

#[test]
fn two_months_foretell_nothing() {
    let found = with(&steady(24.0, 70.0, 6.0), 70.0 * 24.0, |asked| {
        forecast(asked, 6)
    });
    assert_eq!(
        (found.frequency, found.known(Measure::DeploymentFrequency)),
        (None, 2)
    );
}

proptest! {
    /// Whatever was deployed: nothing panics, whole weeks only, no deployment is counted twice, and
    /// no forecast or interval lies below zero.
    #[test]
    fn any_history_is_answered(
        counts in proptest::collection::vec(0_usize..6, 1..40),
        lead in 0.0..5_000.0_f64, days in 1_u32..400, late in 0.0..WEEK,
    ) {
        let known = weeks(&counts, lead);
        let now = counts.len() as f64 * WEEK + late;
        for measure in [Measure::DeploymentFrequency, Measure::LeadTime] {
            let found = with(&known, now, |asked| trend(asked, measure, days));
            let total: usize = found.weeks.iter().filter_map(|week| week.deployments).sum();
            prop_assert!(total <= known.len());
            prop_assert!(found.weeks.len() <= (days / 7) as usize);
            for week in &found.weeks {
                prop_assert_eq!(week.range.length().as_secs(), 7 * 86_400);
                prop_assert!(week.range.from >= found.period.from && week.range.until <= hour(now));
            }
        }
        let found = with(&known, now, |asked| forecast(asked, 1 + days % 36));
        for expected in found.frequency.iter().chain(&found.lead_time) {
            let told = expected.predicted;
            prop_assert!(told.interval_95.low >= 0.0 && told.value.is_finite());
            prop_assert!(told.interval_95.low <= told.value && told.value <= told.interval_95.high);
        }
        let found = with(&known, now, |asked| monthly(asked, 1 + days % 36));
        prop_assert!(found.total() <= known.len());
    }
}
