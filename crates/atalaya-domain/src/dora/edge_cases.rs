//! One test for each edge case that the metrics promise to treat, and the acceptance figures.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests on figures that are exact"
)]

mod causes;
mod lead_times;

use std::time::Duration;

use super::fixtures::{carrying, commit, deployment, hour, incident, phase, window};
use super::{
    Absence, Facts, Metric, MetricReport, PerformanceLevel, Profile, Rules, Scope, Sources,
    ThresholdSet, Value, report,
};
use crate::delivery::{
    Decision, Deployment, DeploymentKind, DeploymentResult, Incident, Phase, PhaseRecord,
};
use crate::record::RequestId;
use crate::time::TimeRange;

const BOTH: Sources = Sources {
    deployments: true,
    incidents: true,
};
const NO_INCIDENTS: Sources = Sources {
    deployments: true,
    incidents: false,
};

fn run(deployments: &[Deployment], incidents: &[Incident], sources: Sources) -> super::DoraReport {
    let facts = Facts {
        deployments,
        incidents,
        phases: &[],
        sources,
    };
    report(
        &facts,
        &Scope::default(),
        window(),
        &Rules::default(),
        window().until,
    )
}

fn run_phases(
    deployments: &[Deployment],
    phases: &[PhaseRecord],
    profile: Profile,
) -> super::DoraReport {
    let facts = Facts {
        deployments,
        incidents: &[],
        phases,
        sources: NO_INCIDENTS,
    };
    report(
        &facts,
        &Scope::default(),
        window(),
        &Rules::of_profile(profile),
        window().until,
    )
}

fn of(report: &super::DoraReport, metric: Metric) -> &MetricReport {
    report.metric(metric).unwrap()
}

fn value(report: &super::DoraReport, metric: Metric) -> Value {
    of(report, metric).measured.value
}

fn reason(report: &super::DoraReport, metric: Metric) -> Absence {
    match value(report, metric) {
        Value::NotAvailable { reason } => reason,
        other => panic!("{metric:?} has {other:?}"),
    }
}

#[test]
fn an_empty_database_has_no_class_and_no_number() {
    for profile in Profile::ALL {
        let facts = Facts::default();
        let report = report(
            &facts,
            &Scope::default(),
            window(),
            &Rules::of_profile(profile),
            window().until,
        );
        for metric in &report.metrics {
            assert!(
                matches!(metric.measured.value, Value::NotAvailable { .. }),
                "{profile:?} {metric:?}"
            );
            assert_eq!(metric.level, None);
            assert_eq!(metric.score, None);
            assert!(metric.delta.is_none());
            assert_eq!(metric.weeks.len(), 12);
            assert!(
                metric
                    .weeks
                    .iter()
                    .all(|week| week.value.number().is_none())
            );
        }
        assert_eq!(report.overall.level, None);
        assert_eq!(report.overall.quick_check.overall, None);
        assert!(report.overall.level_rule.starts_with("insufficient data"));
    }
}

#[test]
fn a_connected_source_without_deployments_gives_zero_and_no_class() {
    let report = run(&[], &[], BOTH);
    assert_eq!(
        value(&report, Metric::DeploymentFrequency),
        Value::Known(0.0)
    );
    assert_eq!(of(&report, Metric::DeploymentFrequency).level, None);
    assert_eq!(of(&report, Metric::DeploymentFrequency).score, None);
    for metric in [
        Metric::ChangeLeadTime,
        Metric::ChangeFailureRate,
        Metric::RecoveryTime,
        Metric::ReworkRate,
    ] {
        assert_eq!(reason(&report, metric), Absence::NoDeployments);
    }
    assert_eq!(report.overall.level, None);
}

#[test]
fn without_an_incident_source_failures_are_unknown_not_zero() {
    let report = run(&[carrying("v1", 10.0, 2.0)], &[], NO_INCIDENTS);
    assert_eq!(
        reason(&report, Metric::ChangeFailureRate),
        Absence::NoIncidentSource
    );
    assert_eq!(
        reason(&report, Metric::RecoveryTime),
        Absence::NoIncidentSource
    );
}

#[test]
fn without_an_incident_source_known_failures_are_a_lower_bound() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let report = run(&[failed, deployment("v2", 20.0)], &[], NO_INCIDENTS);
    assert_eq!(
        value(&report, Metric::ChangeFailureRate),
        Value::AtLeast(0.5)
    );
    assert!(
        !of(&report, Metric::ChangeFailureRate)
            .measured
            .explanation
            .notes
            .is_empty()
    );
}

#[test]
fn no_incident_at_all_is_zero_with_an_upper_bound() {
    let deployments: Vec<Deployment> = (0..20)
        .map(|n| deployment(&format!("v{n}"), f64::from(n) * 24.0))
        .collect();
    let report = run(&deployments, &[], BOTH);
    let rate = of(&report, Metric::ChangeFailureRate);
    assert_eq!(rate.measured.value, Value::Known(0.0));
    assert_eq!(rate.measured.samples, 20);
    let interval = rate.measured.interval.unwrap();
    assert_eq!((interval.low, interval.method), (0.0, "rule of three"));
    assert!((interval.high - 0.15).abs() < 1e-9);
    assert_eq!(reason(&report, Metric::RecoveryTime), Absence::NoFailures);
}

#[test]
fn two_deployments_and_one_incident_make_half_and_its_hour_one() {
    let report = run(
        &[deployment("v1", 10.0), deployment("v2", 40.0)],
        &[incident("INC-1", 41.0, Some(42.0))],
        BOTH,
    );
    assert_eq!(value(&report, Metric::ChangeFailureRate), Value::Known(0.5));
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(1.0));
    assert_eq!(
        of(&report, Metric::RecoveryTime)
            .measured
            .detail("all_incident_mttr")
            .unwrap()
            .value,
        Value::Known(1.0)
    );
    assert_eq!(
        report.deployments[0].failed.as_deref(),
        Some("incident INC-1 (by time, 1 h 00 min after)")
    );
}

#[test]
fn an_open_incident_counts_as_a_failure_and_is_marked() {
    let report = run(
        &[
            deployment("v1", 10.0),
            deployment("v2", 50.0),
            deployment("v3", 90.0),
        ],
        &[
            incident("A", 11.0, Some(12.0)),
            incident("B", 51.0, Some(54.0)),
            incident("C", 91.0, None),
        ],
        BOTH,
    );
    assert_eq!(value(&report, Metric::ChangeFailureRate), Value::Known(1.0));
    let recovery = of(&report, Metric::RecoveryTime);
    assert_eq!(recovery.measured.value, Value::Known(3.0)); // 1 and 3 ended, one is longer than both
    assert_eq!(
        recovery.measured.detail("open").unwrap().value,
        Value::Known(1.0)
    );
    assert!(
        recovery
            .measured
            .explanation
            .rows
            .iter()
            .any(|row| row.note.ends_with(", open") && row.value == 581.0)
    );
    assert!(report.deployments[0].recovery.unwrap().open);
}

#[test]
fn with_more_than_half_open_the_median_is_a_lower_bound() {
    let report = run(
        &[
            deployment("v1", 10.0),
            deployment("v2", 50.0),
            deployment("v3", 90.0),
        ],
        &[
            incident("A", 11.0, Some(12.0)),
            incident("B", 51.0, None),
            incident("C", 91.0, None),
        ],
        BOTH,
    );
    let recovery = of(&report, Metric::RecoveryTime);
    assert!(
        matches!(recovery.measured.value, Value::AtLeast(_)),
        "{:?}",
        recovery.measured.value
    );
    assert!(recovery.level_rule.contains("lower bound"));
    assert_eq!(recovery.target.unwrap().met, Some(false)); // already past four hours
}

#[test]
fn deploying_the_same_commit_again_counts_and_has_no_new_lead_time() {
    let again = Deployment {
        id: "v1-again".to_owned(),
        finished_at: hour(30.0),
        ..carrying("v1", 10.0, 6.0)
    };
    let report = run(&[carrying("v1", 10.0, 6.0), again], &[], BOTH);
    assert_eq!(of(&report, Metric::DeploymentFrequency).measured.samples, 2);
    let lead = of(&report, Metric::ChangeLeadTime);
    assert_eq!(
        (lead.measured.value, lead.measured.samples),
        (Value::Known(6.0), 1)
    );
    assert!(report.deployments[0].redeploy && !report.deployments[1].redeploy);
}

#[test]
fn only_the_asked_environment_service_and_team_count() {
    let staging = Deployment {
        environment: "staging".to_owned(),
        ..deployment("s1", 5.0)
    };
    let mail = Deployment {
        service: "mail".to_owned(),
        team: Some("red".to_owned()),
        ..deployment("m1", 6.0)
    };
    let deployments = [staging, mail, deployment("v1", 10.0)];
    let facts = Facts {
        deployments: &deployments,
        incidents: &[],
        phases: &[],
        sources: BOTH,
    };
    let ids = |scope: &Scope| -> Vec<String> {
        let report = report(&facts, scope, window(), &Rules::default(), window().until);
        report
            .deployments
            .iter()
            .map(|line| line.deployment.id.clone())
            .collect()
    };
    assert_eq!(ids(&Scope::default()), ["v1", "m1"]);
    assert_eq!(
        ids(&Scope {
            service: Some("shop".to_owned()),
            ..Scope::default()
        }),
        ["v1"]
    );
    assert_eq!(
        ids(&Scope {
            team: Some("red".to_owned()),
            ..Scope::default()
        }),
        ["m1"]
    );
    assert_eq!(
        ids(&Scope {
            environment: "staging".to_owned(),
            ..Scope::default()
        }),
        ["s1"]
    );
}

#[test]
fn the_first_deployment_known_has_no_lead_time() {
    let report = run(&[deployment("v1", 10.0)], &[], BOTH);
    assert_eq!(reason(&report, Metric::ChangeLeadTime), Absence::NoCommits);
    assert!(
        of(&report, Metric::ChangeLeadTime)
            .measured
            .explanation
            .left_out[0]
            .reason
            .contains("first deployment")
    );
}

#[test]
fn the_finish_time_decides_and_the_window_is_half_open() {
    let ends = window();
    let deployments = [
        deployment("before", -0.001),
        deployment("first", 0.0),
        deployment("last", 671.999),
        deployment("after", 672.0),
    ];
    let report = run(&deployments, &[], BOTH);
    let ids: Vec<&str> = report
        .deployments
        .iter()
        .map(|line| line.deployment.id.as_str())
        .collect();
    assert_eq!(ids, ["last", "first"]);
    assert_eq!(report.previous, TimeRange::new(hour(-672.0), ends.from));
    assert_eq!(
        of(&report, Metric::DeploymentFrequency).previous,
        Value::Known(1.0 / 28.0)
    );
}

#[test]
fn the_running_week_is_not_in_the_trend() {
    // "Now" is a Wednesday: the deployment of Tuesday belongs to no whole week yet.
    let now = hour(2.5 * 24.0);
    let deployments = [
        deployment("last-week", -30.0),
        deployment("this-week", 30.0),
    ];
    let facts = Facts {
        deployments: &deployments,
        incidents: &[],
        phases: &[],
        sources: BOTH,
    };
    let window = TimeRange::ending(now, Duration::from_hours(7 * 24));
    let report = report(&facts, &Scope::default(), window, &Rules::default(), now);
    let frequency = of(&report, Metric::DeploymentFrequency);
    assert_eq!(frequency.measured.samples, 2);
    assert_eq!(
        frequency
            .weeks
            .iter()
            .map(|week| week.samples)
            .sum::<usize>(),
        1
    );
    assert_eq!(frequency.weeks.last().unwrap().start, hour(-7.0 * 24.0));
    assert_eq!(report.marks.len(), 2);
}

#[test]
fn frequency_is_per_day_with_deployment_days_per_week_beside_it() {
    // Weeks with 5, 5, 1 and 0 deployment days: median 3; 12 deployments in 28 days.
    let mut deployments: Vec<Deployment> = Vec::new();
    for day in [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 14] {
        deployments.push(deployment(&format!("d{day}"), f64::from(day) * 24.0 + 9.0));
    }
    deployments.push(deployment("twice-that-day", 10.0));
    let report = run(&deployments, &[], BOTH);
    let frequency = of(&report, Metric::DeploymentFrequency);
    assert_eq!(frequency.measured.value, Value::Known(12.0 / 28.0));
    assert_eq!(
        frequency
            .measured
            .detail("deployment_days_per_week")
            .unwrap()
            .value,
        Value::Known(3.0)
    );
    assert_eq!(frequency.level, Some(PerformanceLevel::High));
    assert!(
        frequency
            .level_rule
            .starts_with("dora-2023: Elite >= 5.0 d/week"),
        "{}",
        frequency.level_rule
    );
}

#[test]
fn the_older_tools_formulas_stay_available() {
    let phases = [
        phase("c1", Phase::Testing, Decision::Go, 1.0, 60),
        phase("c2", Phase::Testing, Decision::NoGo, 2.0, 60),
        phase("c1", Phase::Deployment, Decision::Success, 3.0, 1_800),
        phase("c2", Phase::Deployment, Decision::Success, 4.0, 5_400),
        phase("c2", Phase::Maintenance, Decision::Resolved, 6.0, 3_600),
    ];
    let report = run_phases(&[], &phases, Profile::Iact);
    assert_eq!(
        value(&report, Metric::DeploymentFrequency),
        Value::Known(2.0)
    );
    assert_eq!(value(&report, Metric::ChangeLeadTime), Value::Known(1.0));
    assert_eq!(value(&report, Metric::ChangeFailureRate), Value::Known(0.5));
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(1.0));
    assert_eq!(reason(&report, Metric::ReworkRate), Absence::NotDefined);
    assert_eq!(report.rules.thresholds, ThresholdSet::IactWeb);
    // High (2 in 28 days is 0.5 a week: Medium), High, Low, High: two High win the vote.
    assert_eq!(report.overall.level, Some(PerformanceLevel::High));
    assert_eq!(report.cycles, 2);
}

#[test]
fn its_catalog_counts_cycles_with_an_incident() {
    let mut trouble = phase("c2", Phase::Maintenance, Decision::Resolved, 6.0, 3_600);
    trouble
        .metadata
        .insert(super::iact::PHASE_WORD.to_owned(), "incident".into());
    let phases = [
        phase("c1", Phase::Deployment, Decision::Success, 3.0, 60),
        phase("c2", Phase::Deployment, Decision::Success, 4.0, 60),
        trouble,
    ];
    let report = run_phases(&[], &phases, Profile::Iact);
    let rate = of(&report, Metric::ChangeFailureRate);
    assert_eq!(
        rate.measured.detail("catalog_failure_rate").unwrap().value,
        Value::Known(0.5)
    );
}

#[test]
fn every_number_shows_its_rows() {
    let report = run(
        &[carrying("v1", 10.0, 6.0), carrying("v2", 40.0, 2.0)],
        &[incident("INC-1", 41.0, Some(42.0))],
        BOTH,
    );
    for metric in &report.metrics {
        let explanation = &metric.measured.explanation;
        assert!(!explanation.rule.is_empty());
        assert!(!explanation.rows.is_empty(), "{:?}", metric.metric);
        assert_eq!(
            explanation.rows.len(),
            metric.measured.samples,
            "{:?}",
            metric.metric
        );
    }
    assert_eq!(report.slowest[0].hours, 6.0);
    let lead = report.deployments[1].lead.unwrap();
    assert_eq!((lead.commits, lead.waiting_hours), (1, 6.0));
}
