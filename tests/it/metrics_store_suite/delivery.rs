//! Phases, deployments and cycles: writing them, and what a cycle is folded from.

use super::*;

/// R23: an event once.
pub async fn writing_again_changes_nothing(store: Store) {
    let phases = [
        phase("c1", Phase::Planning, 0),
        phase("c1", Phase::Testing, 10),
        phase("c2", Phase::Testing, 5),
    ];
    let deployments = [deployment("d1", 100), deployment("d2", 200)];
    let incidents = [Incident {
        caused_by: Some("d1".to_owned()),
        ..incident("i1", 110, Some(120))
    }];

    assert_eq!(
        store.record_phases(&phases).await.unwrap(),
        written(3, 0, 0)
    );
    assert_eq!(
        store.put_deployments(&deployments).await.unwrap(),
        written(2, 0, 0)
    );
    assert_eq!(
        store.put_incidents(&incidents).await.unwrap(),
        written(1, 0, 0)
    );
    let everything = DeliveryFilter::default();
    let before = (
        store.phases(&everything).await.unwrap().read,
        store.cycles(&everything, 10).await.unwrap(),
        store.deployments(&everything).await.unwrap().read,
        store.incidents(&everything).await.unwrap(),
    );

    assert_eq!(
        store.record_phases(&phases).await.unwrap(),
        written(0, 0, 3)
    );
    assert_eq!(
        store.put_deployments(&deployments).await.unwrap(),
        written(0, 0, 2)
    );
    assert_eq!(
        store.put_incidents(&incidents).await.unwrap(),
        written(0, 0, 1)
    );
    let after = (
        store.phases(&everything).await.unwrap().read,
        store.cycles(&everything, 10).await.unwrap(),
        store.deployments(&everything).await.unwrap().read,
        store.incidents(&everything).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(before.0.len(), 3);
    assert_eq!(before.1.len(), 2);
}

pub async fn a_changed_row_is_updated(store: Store) {
    store
        .record_phases(&[phase("c1", Phase::Testing, 10)])
        .await
        .unwrap();
    let changed = PhaseRecord {
        decision: Decision::NoGo,
        ..phase("c1", Phase::Testing, 10)
    };
    let second = PhaseRecord {
        attempt: 2,
        ..phase("c1", Phase::Testing, 20)
    };
    assert_eq!(
        store
            .record_phases(&[changed.clone(), second.clone()])
            .await
            .unwrap(),
        written(1, 1, 0)
    );
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        [changed, second]
    );

    store
        .put_deployments(&[deployment("d1", 100)])
        .await
        .unwrap();
    let shorter = Deployment {
        commits: Some(vec![commit("z9", 1)]),
        ..deployment("d1", 100)
    };
    assert_eq!(
        store
            .put_deployments(std::slice::from_ref(&shorter))
            .await
            .unwrap(),
        written(0, 1, 0)
    );
    assert_eq!(
        store
            .deployments(&DeliveryFilter::default())
            .await
            .unwrap()
            .read,
        [shorter]
    );

    store
        .put_incidents(&[incident("i1", 1, None)])
        .await
        .unwrap();
    assert_eq!(
        store
            .put_incidents(&[incident("i1", 1, Some(9))])
            .await
            .unwrap(),
        written(0, 1, 0)
    );
    assert_eq!(
        store.incidents(&DeliveryFilter::default()).await.unwrap(),
        [incident("i1", 1, Some(9))]
    );
}

pub async fn one_write_with_the_same_key_twice(store: Store) {
    let first = phase("c1", Phase::Testing, 10);
    let last = PhaseRecord {
        decision: Decision::NoGo,
        ..first.clone()
    };
    assert_eq!(
        store
            .record_phases(&[first.clone(), first, last.clone()])
            .await
            .unwrap(),
        written(1, 1, 1)
    );
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        [last]
    );
}

pub async fn phases_come_back_as_they_were(store: Store) {
    let mut phases = Vec::new();
    for (index, kind) in (0_i64..).zip(Phase::ALL) {
        for (attempt, decision) in (1_u32..).zip(Decision::ALL) {
            phases.push(PhaseRecord {
                attempt,
                decision,
                duration: Duration::from_micros(95_200_001 * u64::from(attempt)),
                recorded_at: Timestamp::from_micros(at(index * 10 + i64::from(attempt)).micros() + 310_007),
                ..with(
                    phase("c1", kind, 0),
                    json!({"team": "red", "coverage": 0.1 + 0.2, "tests": {"passed": 58, "failed": [1, null]},
                           "quoted": "it's \"so\" \\ 100%", "none": null, "yes": true}),
                )
            });
        }
    }
    store.record_phases(&phases).await.unwrap();
    assert_eq!(
        store.record_phases(&phases).await.unwrap(),
        written(0, 0, 72)
    );
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        phases
    );
    let teams = DeliveryFilter {
        team: Some("red".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.phases(&teams).await.unwrap().read.len(), 72);
    let others = DeliveryFilter {
        service: Some("shop".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.phases(&others).await.unwrap().read, []);
}

fn parts_of_a_cycle() -> (Vec<PhaseRecord>, Vec<Deployment>) {
    let phases = vec![
        with(phase("c1", Phase::Planning, 10), json!({"team": "red"})),
        with(
            phase("c1", Phase::Testing, 30),
            json!({"team": "blue", "service": "shop"}),
        ),
        PhaseRecord {
            decision: Decision::Failed,
            ..phase("c1", Phase::Deployment, 40)
        },
        PhaseRecord {
            attempt: 2,
            decision: Decision::Success,
            ..phase("c1", Phase::Deployment, 50)
        },
        phase("c1", Phase::Maintenance, 90),
    ];
    let deployments = vec![
        Deployment {
            cycle_id: Some("c1".to_owned()),
            environment: "staging".to_owned(),
            ..deployment("d-staging", 35)
        },
        Deployment {
            cycle_id: Some("c1".to_owned()),
            ..deployment("d-production", 49)
        },
    ];
    (phases, deployments)
}

pub async fn a_cycle_is_folded_from_its_parts(store: Store) {
    let (phases, deployments) = parts_of_a_cycle();
    store.record_phases(&phases).await.unwrap();
    let cycle = store.cycle("c1").await.unwrap().unwrap();
    assert_eq!(cycle.feature_id, "FEAT-c1");
    assert_eq!(
        (cycle.team.as_deref(), cycle.service.as_deref()),
        (Some("red"), Some("shop"))
    );
    assert_eq!(
        (cycle.started_at, cycle.finished_at),
        (at(9), Some(at(50))),
        "from the start of its first phase"
    );
    assert_eq!(cycle.phases, phases);

    store.put_deployments(&deployments).await.unwrap();
    let cycle = store.cycle("c1").await.unwrap().unwrap();
    assert_eq!(
        cycle.finished_at,
        Some(at(49)),
        "staging does not end a cycle, production does"
    );
    assert_eq!(store.cycle("c2").await.unwrap(), None);
}

pub async fn a_cycle_does_not_depend_on_the_order_of_writing(store: Store) {
    let (mut phases, deployments) = parts_of_a_cycle();
    store.put_deployments(&deployments).await.unwrap();
    let cycle = store.cycle("c1").await.unwrap().unwrap();
    assert_eq!(
        (cycle.feature_id.as_str(), cycle.service.as_deref()),
        ("c1", Some("shop"))
    );
    assert_eq!(
        (cycle.started_at, cycle.finished_at),
        (at(30), Some(at(49)))
    );

    phases.reverse();
    for part in &phases {
        store
            .record_phases(std::slice::from_ref(part))
            .await
            .unwrap();
    }
    phases.reverse();
    let cycle = store.cycle("c1").await.unwrap().unwrap();
    assert_eq!(cycle.feature_id, "FEAT-c1");
    assert_eq!(
        (cycle.team.as_deref(), cycle.service.as_deref()),
        (Some("red"), Some("shop"))
    );
    assert_eq!((cycle.started_at, cycle.finished_at), (at(9), Some(at(49))));
    assert_eq!(cycle.phases, phases);
}

pub async fn a_moved_deployment_leaves_its_cycle(store: Store) {
    store
        .record_phases(&[
            phase("c1", Phase::Planning, 10),
            phase("c2", Phase::Planning, 10),
        ])
        .await
        .unwrap();
    let first = Deployment {
        cycle_id: Some("c1".to_owned()),
        ..deployment("d1", 40)
    };
    store
        .put_deployments(std::slice::from_ref(&first))
        .await
        .unwrap();
    assert_eq!(
        store.cycle("c1").await.unwrap().unwrap().finished_at,
        Some(at(40))
    );
    store
        .put_deployments(&[Deployment {
            cycle_id: Some("c2".to_owned()),
            ..first
        }])
        .await
        .unwrap();
    assert_eq!(store.cycle("c1").await.unwrap().unwrap().finished_at, None);
    assert_eq!(
        store.cycle("c2").await.unwrap().unwrap().finished_at,
        Some(at(40))
    );
}

pub async fn unknown_commits_are_not_no_commits(store: Store) {
    let unknown = Deployment {
        commits: None,
        ..deployment("d1", 10)
    };
    let none = Deployment {
        commits: Some(Vec::new()),
        ..deployment("d2", 20)
    };
    store
        .put_deployments(&[unknown.clone(), none.clone()])
        .await
        .unwrap();
    assert_eq!(
        store
            .deployments(&DeliveryFilter::default())
            .await
            .unwrap()
            .read,
        [unknown.clone(), none.clone()]
    );
    let now_none = Deployment {
        commits: Some(Vec::new()),
        ..unknown
    };
    assert_eq!(
        store
            .put_deployments(&[now_none.clone(), none])
            .await
            .unwrap(),
        written(0, 1, 1)
    );
    assert_eq!(
        store
            .deployments(&DeliveryFilter::default())
            .await
            .unwrap()
            .read[0],
        now_none
    );
}

pub async fn deployments_are_filtered_and_in_order(store: Store) {
    let mut all = vec![
        deployment("late", 90),
        Deployment {
            team: None,
            ..deployment("early", 10)
        },
        Deployment {
            service: "search".to_owned(),
            ..deployment("search", 20)
        },
        Deployment {
            environment: "staging".to_owned(),
            commits: None,
            ..deployment("staging", 30)
        },
        deployment("tie-b", 50),
        deployment("tie-a", 50),
    ];
    for (index, result) in [
        DeploymentResult::Failed,
        DeploymentResult::RolledBack,
        DeploymentResult::Aborted,
    ]
    .into_iter()
    .enumerate()
    {
        all[index].result = result;
    }
    all[3].kind = DeploymentKind::Hotfix;
    all[4].kind = DeploymentKind::Rollback;
    store.put_deployments(&all).await.unwrap();

    let found = store
        .deployments(&DeliveryFilter::default())
        .await
        .unwrap()
        .read;
    assert_eq!(
        ids(&found),
        ["early", "search", "staging", "tie-a", "tie-b", "late"]
    );
    all.sort_by(|one, other| (one.finished_at, &one.id).cmp(&(other.finished_at, &other.id)));
    assert_eq!(found, all, "each with its own commits");

    let filter = DeliveryFilter {
        range: Some(within(0, 60)),
        service: Some("shop".to_owned()),
        team: Some("red".to_owned()),
        environment: Some("production".to_owned()),
    };
    assert_eq!(
        ids(&store.deployments(&filter).await.unwrap().read),
        ["tie-a", "tie-b"]
    );
}
