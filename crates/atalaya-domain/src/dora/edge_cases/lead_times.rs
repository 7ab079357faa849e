//! Which instants a lead time is of, what is kept apart, and what stands in without commits.

use super::*;
use crate::delivery::DeployedCommit;
use crate::pdca::{Measure, Series};

#[test]
fn without_commits_the_cycle_time_stands_in_and_says_so() {
    let deployed = Deployment {
        cycle_id: Some("c1".to_owned()),
        ..deployment("v1", 10.0)
    };
    let phases = [
        phase("c1", Phase::Planning, Decision::Go, 3.0, 3_600), // began at hour 2
        phase("c1", Phase::Deployment, Decision::Success, 10.0, 600),
    ];
    let report = run_phases(&[deployed], &phases, Profile::Dora);
    let lead = of(&report, Metric::ChangeLeadTime);
    assert_eq!(lead.measured.value, Value::Known(8.0));
    assert!(lead.measured.explanation.rule.contains("cycle time"));
    assert_eq!(
        (lead.title, lead.level, lead.score),
        ("Cycle time", None, None)
    );
    assert_eq!(report.deployments[0].cycle_hours, Some(8.0));
    let row = &lead.measured.explanation.rows[0];
    assert_eq!((row.at, row.until), (hour(2.0), Some(hour(10.0))));
}

#[test]
fn a_lone_deployment_phase_has_no_lead_time() {
    let deployed = Deployment {
        cycle_id: Some("c1".to_owned()),
        ..deployment("v1", 10.0)
    };
    let phases = [phase("c1", Phase::Deployment, Decision::Success, 10.0, 600)];
    let report = run_phases(&[deployed], &phases, Profile::Dora);
    assert_eq!(reason(&report, Metric::ChangeLeadTime), Absence::NoCommits);
    assert_eq!(report.deployments[0].cycle_hours, None);
}

#[test]
fn lead_times_and_cycle_times_are_never_compared() {
    // Commits since this month; before it only cycles.
    let of_cycle = |id: &str, cycle: &str, at: f64| Deployment {
        cycle_id: Some(cycle.to_owned()),
        ..deployment(id, at)
    };
    let deployments = [
        of_cycle("v1", "c1", -400.0),
        carrying("v2", 10.0, 6.0),
        of_cycle("v3", "c3", 20.0),
    ];
    let phases = [
        phase("c1", Phase::Planning, Decision::Go, -420.0, 0),
        phase("c3", Phase::Planning, Decision::Go, 1.0, 0),
    ];
    let report = run_phases(&deployments, &phases, Profile::Dora);
    let lead = of(&report, Metric::ChangeLeadTime);
    assert_eq!(lead.title, "Change lead time");
    assert_eq!(
        (lead.measured.value, lead.measured.samples),
        (Value::Known(6.0), 1)
    );
    assert!(lead.previous.number().is_none() && lead.delta.is_none());
    let weeks: usize = lead.weeks.iter().map(|week| week.samples).sum();
    assert_eq!(weeks, 1);
}

#[test]
fn of_a_release_with_a_revert_only_the_revert_is_kept_apart() {
    let mut taken_back = commit("revert", 19.0, 19.0);
    taken_back.reverts = true;
    for kind in [DeploymentKind::Normal, DeploymentKind::Rollback] {
        let mixed = Deployment {
            kind,
            commits: Some(vec![commit("a", 10.0, 10.0), taken_back.clone()]),
            ..deployment("v2", 20.0)
        };
        let report = run(&[deployment("v1", 1.0), mixed], &[], BOTH);
        let lead = of(&report, Metric::ChangeLeadTime);
        assert_eq!(
            (lead.measured.value, lead.measured.samples),
            (Value::Known(10.0), 1)
        );
        assert_eq!(
            lead.measured.detail("unplanned").unwrap().value,
            Value::Known(1.0)
        );
    }
}

#[test]
fn rows_show_the_instants_that_were_measured() {
    let report = run(
        &[Deployment {
            commits: Some(vec![commit("a", 2.0, 8.0), commit("b", 9.5, 8.0)]),
            ..deployment("v1", 10.0)
        }],
        &[],
        BOTH,
    );
    let rows = &of(&report, Metric::ChangeLeadTime)
        .measured
        .explanation
        .rows;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.at, row.until, row.value))
        .collect();
    assert_eq!(
        shown,
        [
            (hour(2.0), Some(hour(10.0)), 8.0), // the author date
            (hour(8.0), Some(hour(10.0)), 2.0), // its author date cannot be true
        ]
    );
}

#[test]
fn impossible_dates_take_the_committer_date_or_are_dropped_and_counted() {
    let commits = vec![
        commit("after-its-commit", 9.5, 8.0), // author later than committer: 2 h by the committer
        commit("before-git", -300_000.0, 6.0), // author date in 1992: 4 h
        commit("squashed", 12.0, 10.0),       // author after the deployment: 0 h, kept
        commit("from-the-future", 12.0, 13.0), // both after: dropped
        commit("plain", 2.0, 9.0),            // 8 h
    ];
    let report = run(
        &[Deployment {
            commits: Some(commits),
            ..deployment("v1", 10.0)
        }],
        &[],
        BOTH,
    );
    let lead = of(&report, Metric::ChangeLeadTime);
    let mut hours: Vec<f64> = lead
        .measured
        .explanation
        .rows
        .iter()
        .map(|row| row.value)
        .collect();
    hours.sort_by(f64::total_cmp);
    assert_eq!(hours, [0.0, 2.0, 4.0, 8.0]);
    assert_eq!(lead.measured.value, Value::Known(3.0));
    assert_eq!(
        lead.measured.detail("anomalies").unwrap().value,
        Value::Known(1.0)
    );
    assert_eq!(lead.measured.explanation.left_out[0].id, "from-the-future");
}

#[test]
fn hotfixes_are_rework_and_their_lead_time_is_kept_apart() {
    let hotfix = Deployment {
        kind: DeploymentKind::Hotfix,
        ..carrying("v2", 20.0, 0.5)
    };
    let report = run(&[carrying("v1", 10.0, 6.0), hotfix], &[], BOTH);
    let lead = of(&report, Metric::ChangeLeadTime);
    assert_eq!(
        (lead.measured.value, lead.measured.samples),
        (Value::Known(6.0), 1)
    );
    assert_eq!(
        lead.measured.detail("unplanned").unwrap().value,
        Value::Known(0.5)
    );
    assert_eq!(value(&report, Metric::ReworkRate), Value::Known(0.5));
}

/// A cycle begins weeks before it goes out: its sample belongs to the day when it went out, else a
/// change of last month would be counted before the change that it is to be compared with.
#[test]
fn samples_of_cycle_times_are_dated_by_the_deployment() {
    let deployments: Vec<Deployment> = (1..=4)
        .map(|number| Deployment {
            cycle_id: Some(format!("c{number}")),
            ..deployment(&format!("v{number}"), f64::from(number) * 100.0)
        })
        .collect();
    let phases: Vec<PhaseRecord> = (1..=4)
        .map(|number| {
            let start = f64::from(number) * 100.0 - f64::from(number) * 20.0;
            phase(
                &format!("c{number}"),
                Phase::Planning,
                Decision::Go,
                start,
                0,
            )
        })
        .collect();
    let report = run_phases(&deployments, &phases, Profile::Dora);
    let series = Series::of(&report, Metric::ChangeLeadTime).unwrap();
    assert_eq!(series.measure, Measure::CycleTime);
    let samples: Vec<_> = series
        .observations
        .iter()
        .map(|one| (one.at, one.value))
        .collect();
    let expected: Vec<_> = (1..=4)
        .map(|number| (hour(f64::from(number) * 100.0), f64::from(number) * 20.0))
        .collect();
    assert_eq!(samples, expected);
}

#[test]
fn the_lead_time_of_one_deployment_is_without_its_reverts() {
    let revert = DeployedCommit {
        reverts: true,
        ..commit("revert", 39.5, 39.5)
    };
    let mixed = Deployment {
        commits: Some(vec![commit("change", 30.0, 30.0), revert.clone()]),
        ..deployment("v2", 40.0)
    };
    let alone = Deployment {
        commits: Some(vec![revert]),
        ..deployment("v3", 60.0)
    };
    let report = run(&[mixed, alone], &[], BOTH);
    let [alone, mixed] = [&report.deployments[0], &report.deployments[1]];
    let lead = mixed.lead.unwrap();
    assert_eq!(
        (lead.commits, lead.median_hours, lead.writing_hours),
        (1, 10.0, 0.0)
    );
    assert_eq!(alone.lead, None);
    let series = Series::of(&report, Metric::ChangeLeadTime).unwrap();
    assert_eq!(series.observations.len(), 1);
    assert_eq!(series.observations[0].value, 10.0);
}
