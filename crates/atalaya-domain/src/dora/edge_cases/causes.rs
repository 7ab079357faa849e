//! Which deployment an incident is of, what a rollback ends, and how long it took to recover.

use super::*;

#[test]
fn an_explicit_cause_beats_time() {
    let named = Incident {
        cause: Some("v1".to_owned()),
        ..incident("A", 41.0, Some(42.0))
    };
    let report = run(
        &[deployment("v1", 10.0), deployment("v2", 40.0)],
        &[named],
        BOTH,
    );
    assert_eq!(report.incidents[0].deployment.as_deref(), Some("v1"));
    assert_eq!(report.incidents[0].basis, "explicit");
}

#[test]
fn a_cause_may_be_a_cycle_a_commit_or_a_request() {
    let first = Deployment {
        cycle_id: Some("cycle-1".to_owned()),
        commit: Some("0123456789abcdef".to_owned()),
        request_id: Some(RequestId::new("req-1")),
        commits: Some(vec![commit("fedcba9876543210", 1.0, 1.0)]),
        ..deployment("v1", 10.0)
    };
    let deployments = [first, deployment("v2", 40.0)];
    for cause in ["cycle-1", "0123456", "fedcba98"] {
        let named = Incident {
            cause: Some(cause.to_owned()),
            ..incident("A", 41.0, None)
        };
        let report = run(&deployments, &[named], BOTH);
        assert_eq!(
            report.incidents[0].deployment.as_deref(),
            Some("v1"),
            "{cause}"
        );
    }
    let by_request = Incident {
        request_id: Some(RequestId::new("req-1")),
        ..incident("A", 41.0, None)
    };
    let report = run(&deployments, &[by_request], BOTH);
    assert_eq!(
        (
            report.incidents[0].deployment.as_deref(),
            report.incidents[0].basis.as_str()
        ),
        (Some("v1"), "by request id")
    );
}

#[test]
fn by_time_only_within_the_cap_and_the_same_service() {
    let other = Deployment {
        service: "mail".to_owned(),
        ..deployment("mail-1", 40.5)
    };
    let deployments = [deployment("v1", 40.0), other];
    let report = run(
        &deployments,
        &[incident("A", 64.0, None), incident("B", 64.1, None)],
        BOTH,
    );
    let basis = |id: &str| {
        report
            .incidents
            .iter()
            .find(|line| line.incident.id == id)
            .unwrap()
    };
    assert_eq!(basis("A").deployment.as_deref(), Some("v1"));
    assert_eq!(basis("B").deployment, None);
    assert!(report.notes.iter().any(|note| {
        note.text
            .starts_with("1 incidents are laid to no deployment")
    }));
    let rules = Rules {
        link_cap: Duration::from_hours(25),
        ..Rules::default()
    };
    let incidents = [incident("B", 64.1, None)];
    let facts = Facts {
        deployments: &deployments,
        incidents: &incidents,
        phases: &[],
        sources: BOTH,
    };
    let wider = super::report(&facts, &Scope::default(), window(), &rules, window().until);
    assert_eq!(wider.incidents[0].deployment.as_deref(), Some("v1"));
}

#[test]
fn an_unknown_cause_is_not_guessed_away() {
    let named = Incident {
        cause: Some("v9".to_owned()),
        ..incident("A", 11.0, None)
    };
    let report = run(&[deployment("v1", 10.0)], &[named], BOTH);
    assert_eq!(report.incidents[0].deployment, None);
    assert!(report.incidents[0].basis.contains("v9"));
    assert_eq!(value(&report, Metric::ChangeFailureRate), Value::Known(0.0));
}

#[test]
fn several_incidents_make_one_failed_deployment_until_the_last_is_resolved() {
    let report = run(
        &[deployment("v1", 10.0), deployment("v0", 1.0)],
        &[
            incident("A", 11.0, Some(13.0)),
            incident("B", 12.0, Some(16.0)),
            incident("C", 12.5, Some(14.0)),
        ],
        BOTH,
    );
    assert_eq!(value(&report, Metric::ChangeFailureRate), Value::Known(0.5));
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(5.0));
    assert_eq!(report.deployments[0].incidents, ["A", "B", "C"]);
}

#[test]
fn overlapping_incidents_are_not_summed() {
    let report = run(
        &[deployment("v1", 10.0)],
        &[
            incident("A", 11.0, Some(13.0)),
            incident("B", 12.0, Some(14.0)),
            incident("C", 20.0, Some(21.0)),
        ],
        BOTH,
    );
    let recovery = of(&report, Metric::RecoveryTime);
    assert_eq!(
        recovery.measured.detail("time_in_incident").unwrap().value,
        Value::Known(4.0)
    );
}

#[test]
fn a_run_that_never_reached_users_is_neither_deployment_nor_failure() {
    let aborted = Deployment {
        result: DeploymentResult::Aborted,
        ..carrying("v2", 20.0, 1.0)
    };
    let report = run(
        &[deployment("v1", 10.0), aborted],
        &[incident("A", 20.5, Some(21.0))],
        BOTH,
    );
    assert_eq!(of(&report, Metric::DeploymentFrequency).measured.samples, 1);
    assert_eq!(report.incidents[0].deployment.as_deref(), Some("v1"));
    let left = &of(&report, Metric::DeploymentFrequency)
        .measured
        .explanation
        .left_out;
    assert_eq!(
        (
            left[0].id.as_str(),
            left[0].reason.contains("never reached users")
        ),
        ("v2", true)
    );
}

#[test]
fn a_rollback_fails_what_it_takes_back_and_ends_its_recovery() {
    let rollback = Deployment {
        kind: DeploymentKind::Rollback,
        ..deployment("v1-again", 22.0)
    };
    let report = run(
        &[deployment("v1", 10.0), deployment("v2", 20.0), rollback],
        &[],
        BOTH,
    );
    let failed: Vec<&str> = report
        .failed()
        .map(|line| line.deployment.id.as_str())
        .collect();
    assert_eq!(failed, ["v2"]);
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(2.0));
    assert_eq!(value(&report, Metric::ReworkRate), Value::Known(1.0 / 3.0));
    assert_eq!(
        value(&report, Metric::ChangeFailureRate),
        Value::Known(1.0 / 3.0)
    );
}

#[test]
fn a_rollback_belongs_to_the_deployment_recorded_as_failed() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let rollback = Deployment {
        kind: DeploymentKind::Rollback,
        ..deployment("v3", 30.0)
    };
    let report = run(&[failed, deployment("v2", 20.0), rollback], &[], BOTH);
    let failed: Vec<&str> = report
        .failed()
        .map(|line| line.deployment.id.as_str())
        .collect();
    assert_eq!(failed, ["v1"]);
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(20.0));
}

#[test]
fn a_failure_without_an_end_is_open() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let report = run(&[failed], &[], BOTH);
    // Until "now", which is the end of the window.
    assert_eq!(value(&report, Metric::RecoveryTime), Value::AtLeast(662.0));
    assert!(report.deployments[0].recovery.unwrap().open);
}

#[test]
fn rolled_back_without_a_word_when_is_left_out() {
    let gone = Deployment {
        result: DeploymentResult::RolledBack,
        ..deployment("v1", 10.0)
    };
    let report = run(&[gone], &[], BOTH);
    assert!(value(&report, Metric::RecoveryTime).number().is_none());
    let explanation = &of(&report, Metric::RecoveryTime).measured.explanation;
    assert_eq!(explanation.left_out[0].id, "v1");
}

#[test]
fn a_recorded_failure_lasts_until_the_next_success_of_its_service() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let again = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1-again", 11.0)
    };
    let mail = Deployment {
        service: "mail".to_owned(),
        ..deployment("mail-1", 10.5)
    };
    let report = run(&[failed, mail, again, deployment("v2", 13.0)], &[], BOTH);
    let hours: Vec<f64> = report
        .failed()
        .map(|line| line.recovery.unwrap().hours())
        .collect();
    assert_eq!(hours, [2.0, 3.0]);
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(2.5));
}

#[test]
fn a_recorded_failure_with_an_incident_lasts_from_its_end_to_the_resolution() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let known = Incident {
        caused_by: Some("v1".to_owned()),
        ..incident("A", 11.0 + 50.0 / 60.0, Some(12.0))
    };
    let report = run(&[failed, deployment("v2", 20.0)], &[known], BOTH);
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(2.0));
    let row = &of(&report, Metric::RecoveryTime).measured.explanation.rows[0];
    assert_eq!((row.at, row.until), (hour(10.0), Some(hour(12.0))));
}

#[test]
fn a_rollback_does_not_reach_back_to_an_old_failure() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        ..deployment("v1", 10.0)
    };
    let rollback = Deployment {
        kind: DeploymentKind::Rollback,
        ..deployment("v2-again", 402.0)
    };
    let deployments = [
        failed,
        deployment("v2", 20.0),
        deployment("v3", 400.0),
        rollback,
    ];
    let report = run(&deployments, &[], BOTH);
    let failed: Vec<(&str, f64)> = report
        .failed()
        .map(|line| (line.deployment.id.as_str(), line.recovery.unwrap().hours()))
        .collect();
    assert_eq!(failed, [("v3", 2.0), ("v1", 10.0)]);
}

#[test]
fn what_the_source_says_was_taken_back_by_what() {
    let failed = Deployment {
        result: DeploymentResult::Failed,
        taken_back_by: Some("v3".to_owned()),
        ..deployment("v1", 10.0)
    };
    let report = run(
        &[failed, deployment("v2", 20.0), deployment("v3", 30.0)],
        &[],
        BOTH,
    );
    assert_eq!(value(&report, Metric::RecoveryTime), Value::Known(20.0));
    assert_eq!(
        report.failed().next().unwrap().failed.as_deref(),
        Some("a commit of it was reverted in v3")
    );
}

#[test]
fn an_unlinked_incident_names_the_nearest_deployment() {
    let deployments = [deployment("v1", 10.0), deployment("v2", 100.0)];
    let incidents = [
        incident("early", 1.0, None),
        incident("late", 50.0, None),
        incident("later", 99.0, None),
    ];
    let report = run(&deployments, &incidents, BOTH);
    let basis: Vec<&str> = report
        .incidents
        .iter()
        .map(|line| line.basis.as_str())
        .collect();
    assert_eq!(
        basis,
        [
            "no deployment in the 1 d before it; the nearest is v2, 1 h 00 min after it",
            "no deployment in the 1 d before it; the nearest is v1, 1 d 16 h before it",
            "no deployment in the 1 d before it; the nearest is v1, 9 h 00 min after it",
        ]
    );
    let notes = &of(&report, Metric::ChangeFailureRate)
        .measured
        .explanation
        .notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("at most 1 d before it"))
    );
}

/// A cycle that only deployed to staging, or whose deployment is not known here, says nothing about
/// production: time does.
#[test]
fn a_cause_outside_of_production_leaves_it_to_time() {
    let staging = Deployment {
        environment: "staging".to_owned(),
        ..deployment("s1", 40.5)
    };
    for known in ["s1", "never-seen"] {
        let told = Incident {
            caused_by: Some(known.to_owned()),
            ..incident("A", 41.0, Some(42.0))
        };
        let report = run(&[deployment("v1", 40.0), staging.clone()], &[told], BOTH);
        let line = &report.incidents[0];
        assert_eq!(line.deployment.as_deref(), Some("v1"), "{known}");
        assert!(line.basis.starts_with("by time"), "{}", line.basis);
    }
}

#[test]
fn commits_are_compared_in_any_case() {
    let first = Deployment {
        commit: Some("0123456789ABCDEF".to_owned()),
        commits: Some(vec![commit("fedcba9876543210", 1.0, 1.0)]),
        ..deployment("v1", 10.0)
    };
    for cause in ["0123456789abcdef", "0123456789ABC", "FEDCBA98"] {
        let named = Incident {
            cause: Some(cause.to_owned()),
            ..incident("A", 41.0, None)
        };
        let report = run(&[first.clone(), deployment("v2", 40.0)], &[named], BOTH);
        assert_eq!(
            report.incidents[0].deployment.as_deref(),
            Some("v1"),
            "{cause}"
        );
    }
}
