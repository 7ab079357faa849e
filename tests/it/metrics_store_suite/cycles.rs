//! Cycles recorded with all that they tell of, incidents by a person's word, and repositories.

use atalaya::service::dora::{self, Cause, NewIncident};
use atalaya::store::metrics::{CyclesToRecord, Repository};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

fn decided(decision: Decision, record: PhaseRecord) -> PhaseRecord {
    PhaseRecord { decision, ..record }
}

fn attempt(attempt: u32, record: PhaseRecord) -> PhaseRecord {
    PhaseRecord { attempt, ..record }
}

fn of_team(team: &str, record: PhaseRecord) -> PhaseRecord {
    with(record, json!({ "team": team }))
}

fn told(phases: &[PhaseRecord]) -> CyclesToRecord {
    CyclesToRecord {
        phases: phases.to_vec(),
        origin: "suite".to_owned(),
    }
}

async fn everything(store: &Store) -> (Vec<PhaseRecord>, Vec<Deployment>, Vec<Incident>) {
    let all = DeliveryFilter::default();
    (
        store.phases(&all).await.unwrap().read,
        store.deployments(&all).await.unwrap().read,
        store.incidents(&all).await.unwrap(),
    )
}

/// A deployment broke at 20, a second one repaired it at 40, and at 50 it was over.
pub async fn an_incident_is_laid_to_what_broke(store: Store) {
    let staging = with(
        attempt(3, phase("c1", Phase::Deployment, 19)),
        json!({"environment": "staging"}),
    );
    let phases = [
        phase("c1", Phase::Planning, 1),
        phase("c1", Phase::Deployment, 10),
        staging,
        PhaseRecord {
            duration: Duration::ZERO,
            ..decided(Decision::Blocked, phase("c1", Phase::Maintenance, 20))
        },
        attempt(2, phase("c1", Phase::Deployment, 40)),
        decided(
            Decision::Resolved,
            attempt(2, phase("c1", Phase::Maintenance, 50)),
        ),
    ];
    // Also when each row comes alone, and the deployments last.
    for order in [[0, 1, 2, 3, 4, 5], [0, 3, 5, 4, 2, 1]] {
        for index in order {
            let one = std::slice::from_ref(&phases[index]);
            let done = store.record_cycles(&told(one)).await.unwrap();
            assert_eq!(done.conflicts, []);
        }
        let (_, deployments, incidents) = everything(&store).await;
        assert_eq!(deployments.len(), 3);
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        assert_eq!(
            (incidents[0].opened_at, incidents[0].resolved_at),
            (at(20), Some(at(50)))
        );
        assert_eq!(incidents[0].caused_by.as_deref(), Some("c1/deployment#1"));
    }
}

/// Random phases of random cycles: at once or one by one, in any order, and again.
pub async fn cycles_do_not_depend_on_how_they_are_recorded(store: Store) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut phases = Vec::new();
    for (index, minute) in (0_u32..60).zip(1..) {
        let cycle = format!("c{}", random.random_range(0..5));
        let kind = Phase::ALL[random.random_range(0..Phase::ALL.len())];
        let decision = Decision::ALL[random.random_range(0..Decision::ALL.len())];
        phases.push(decided(
            decision,
            attempt(index + 1, phase(&cycle, kind, minute)),
        ));
    }
    let first = store.record_cycles(&told(&phases)).await.unwrap();
    assert_eq!(first.phases, written(60, 0, 0), "seed {seed}");
    let (all, deployments, incidents) = everything(&store).await;
    let cycles = store.cycles(&DeliveryFilter::default(), 10).await.unwrap();
    for incident in &incidents {
        if let Some(cause) = &incident.caused_by {
            let cause = deployments.iter().find(|one| one.id == *cause).unwrap();
            assert_ne!(cause.result, DeploymentResult::Aborted, "seed {seed}");
        }
    }
    phases.shuffle(&mut random);
    for part in phases.chunks(7) {
        let again = store.record_cycles(&told(part)).await.unwrap();
        assert_eq!(
            (again.phases.inserted, again.phases.updated),
            (0, 0),
            "seed {seed}"
        );
        assert_eq!(
            (again.deployments.inserted, again.deployments.updated),
            (0, 0),
            "seed {seed}"
        );
        assert_eq!(
            (again.incidents.inserted, again.incidents.updated),
            (0, 0),
            "seed {seed}"
        );
    }
    assert_eq!(
        everything(&store).await,
        (all, deployments, incidents.clone()),
        "seed {seed}"
    );
    assert_eq!(
        store.cycles(&DeliveryFilter::default(), 10).await.unwrap(),
        cycles,
        "seed {seed}"
    );
    for incident in &incidents {
        assert_eq!(
            store.incident(&incident.id).await.unwrap().as_ref(),
            Some(incident)
        );
    }
}

/// A cycle is of one feature and team as far as it is known; what comes together is one cycle.
pub async fn a_cycle_id_of_others_is_a_conflict(store: Store) {
    let two_teams = [
        of_team("red", phase("c1", Phase::Planning, 1)),
        of_team("ops", phase("c1", Phase::Deployment, 9)),
    ];
    for round in 0..2 {
        let done = store.record_cycles(&told(&two_teams)).await.unwrap();
        assert_eq!(done.conflicts, [], "round {round}");
    }
    // It grew by a phase of a third team.
    let mut grown = two_teams.to_vec();
    grown.push(of_team("care", phase("c1", Phase::Maintenance, 20)));
    let done = store.record_cycles(&told(&grown)).await.unwrap();
    assert_eq!((done.conflicts.len(), done.phases), (0, written(1, 0, 2)));
    let before = everything(&store).await;

    let of_others = [
        of_team("blue", phase("c1", Phase::Testing, 30)),
        PhaseRecord {
            feature_id: "another".to_owned(),
            ..phase("c1", Phase::Testing, 30)
        },
    ];
    for (other, what) in of_others.into_iter().zip(["team", "feature"]) {
        let beside = phase("c2", Phase::Planning, 30);
        let done = store.record_cycles(&told(&[other, beside])).await.unwrap();
        assert_eq!(done.conflicts.len(), 1, "{what}");
        assert_eq!(
            (done.conflicts[0].cycle_id.as_str(), done.conflicts[0].what),
            ("c1", what)
        );
    }
    let (mut phases, deployments, incidents) = everything(&store).await;
    phases.retain(|phase| phase.cycle_id == "c1");
    assert_eq!((phases, deployments, incidents), before);
}

pub async fn incidents_are_opened_resolved_and_linked(store: Store) {
    store
        .put_deployments(&[deployment("d1", 10), deployment("d2", 20)])
        .await
        .unwrap();
    let new = NewIncident {
        id: "INC-1".to_owned(),
        title: "checkout fails".to_owned(),
        service: Some("shop".to_owned()),
        severity: None,
        opened_at: at(30),
        request_id: None,
        cause: None,
    };
    assert_eq!(store.incident("INC-1").await.unwrap(), None);
    let (opened, done) = dora::open(&*store, new.clone()).await.unwrap();
    assert_eq!((done, opened.resolved_at), (written(1, 0, 0), None));
    dora::link(&*store, "INC-1", Cause::Deployment("d1".to_owned()))
        .await
        .unwrap();
    let unknown = dora::link(&*store, "INC-1", Cause::Deployment("d9".to_owned()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("`d9`") && unknown.contains("d2, d1"),
        "{unknown}"
    );
    for at_minute in [40, 45] {
        let (resolved, done) = dora::resolve(&*store, "INC-1", at(at_minute))
            .await
            .unwrap();
        assert_eq!(
            (done, resolved.resolved_at),
            (written(0, 1, 0), Some(at(at_minute)))
        );
    }
    assert!(dora::resolve(&*store, "INC-1", at(29)).await.is_err());
    // Opened again in the same words it is what it has become.
    let (again, done) = dora::open(&*store, new).await.unwrap();
    assert_eq!(done, written(0, 0, 1));
    assert_eq!(
        (again.cause.as_deref(), again.resolved_at),
        (Some("d1"), Some(at(45)))
    );
    assert_eq!(store.incident("INC-1").await.unwrap(), Some(again));
    assert!(dora::resolve(&*store, "INC-2", at(50)).await.is_err());
}

/// What a person says of an incident that a cycle told of stays, whatever the cycle says later.
pub async fn a_persons_word_about_an_incident_stays(store: Store) {
    let phases = [
        phase("c1", Phase::Deployment, 10),
        decided(Decision::Blocked, phase("c1", Phase::Maintenance, 20)),
    ];
    store.record_cycles(&told(&phases)).await.unwrap();
    let id = "c1/maintenance#1";
    dora::link(&*store, id, Cause::Commit("c0ffee".to_owned()))
        .await
        .unwrap();
    dora::resolve(&*store, id, at(25)).await.unwrap();
    let ended = decided(
        Decision::Resolved,
        attempt(2, phase("c1", Phase::Maintenance, 60)),
    );
    store.record_cycles(&told(&[ended])).await.unwrap();
    let known = store.incident(id).await.unwrap().unwrap();
    assert_eq!(
        (known.cause.as_deref(), known.resolved_at),
        (Some("c0ffee"), Some(at(25)))
    );
    assert_eq!(known.caused_by.as_deref(), Some("c1/deployment#1"));
}

pub async fn the_last_deployment_that_reached_users(store: Store) {
    let everything = DeliveryFilter::default();
    assert_eq!(store.last_deployed(&everything).await.unwrap(), None);
    let of = |id: &str, minutes, service: &str, environment: &str| Deployment {
        service: service.to_owned(),
        environment: environment.to_owned(),
        ..deployment(id, minutes)
    };
    let all = [
        of("d1", 10, "shop", "production"),
        of("d2", 20, "mail", "production"),
        of("d3", 30, "shop", "staging"),
        Deployment {
            result: DeploymentResult::Failed,
            team: Some("blue".to_owned()),
            ..of("d4", 15, "shop", "production")
        },
        Deployment {
            result: DeploymentResult::Aborted,
            ..of("d5", 99, "shop", "production")
        },
    ];
    store.put_deployments(&all).await.unwrap();
    let word = |text: &str| Some(text.to_owned());
    let filters = [
        (everything.clone(), Some(30)),
        (
            DeliveryFilter {
                service: word("shop"),
                environment: word("production"),
                ..everything.clone()
            },
            Some(15),
        ),
        (
            DeliveryFilter {
                service: word("mail"),
                ..everything.clone()
            },
            Some(20),
        ),
        (
            DeliveryFilter {
                team: word("blue"),
                ..everything.clone()
            },
            Some(15),
        ),
        (
            DeliveryFilter {
                range: Some(within(0, 15)),
                ..everything.clone()
            },
            Some(10),
        ),
        (
            DeliveryFilter {
                service: word("web"),
                ..everything.clone()
            },
            None,
        ),
    ];
    for (filter, expected) in filters {
        assert_eq!(
            store.last_deployed(&filter).await.unwrap(),
            expected.map(at),
            "{filter:?}"
        );
    }
    for one in all {
        assert_eq!(store.deployment(&one.id).await.unwrap(), Some(one));
    }
    assert_eq!(store.deployment("d9").await.unwrap(), None);
}

pub async fn repositories_are_remembered(store: Store) {
    let repository = |id: &str, service: &str| Repository {
        id: id.to_owned(),
        root_commit: "0a1b2c3d".to_owned(),
        remote: None,
        service: service.to_owned(),
        named: false,
        way: "auto".to_owned(),
        method: "version tags".to_owned(),
        account: "2 tags: 2 are shop".to_owned(),
        path: "/srv/shop".to_owned(),
        synced_at: at(1),
    };
    let changed = Repository {
        remote: Some("example.org/acme/shop".to_owned()),
        named: true,
        synced_at: at(9),
        ..repository("git:b", "shop")
    };
    for one in [
        repository("git:b", "b"),
        repository("git:a", "a"),
        changed.clone(),
    ] {
        store.put_repository(&one).await.unwrap();
    }
    assert_eq!(
        store.repositories().await.unwrap(),
        [repository("git:a", "a"), changed]
    );
    let of = |id: &str, service: &str, origin: &str| Deployment {
        service: service.to_owned(),
        origin: origin.to_owned(),
        ..deployment(id, 10)
    };
    let all = [
        of("d1", "shop", "git:b"),
        of("d2", "shop", "git:b"),
        of("d3", "mail", "git:b"),
        of("d4", "shop", "record"),
    ];
    store.put_deployments(&all).await.unwrap();
    let mut services = store.services_by_origin().await.unwrap();
    services.sort();
    let expected = [("git:b", "mail"), ("git:b", "shop"), ("record", "shop")];
    assert_eq!(
        services,
        expected.map(|(origin, service)| (origin.to_owned(), service.to_owned()))
    );
}

/// What [`damaged_rows_are_told`] expects to find, before somebody damages `d2` and `c2`.
pub async fn rows_to_damage(store: &Store) {
    let all = [
        deployment("d1", 10),
        deployment("d2", 20),
        deployment("d3", 30),
    ];
    store.put_deployments(&all).await.unwrap();
    let phases = [
        phase("c1", Phase::Testing, 10),
        phase("c2", Phase::Testing, 20),
        phase("c3", Phase::Testing, 30),
    ];
    store.record_phases(&phases).await.unwrap();
}

/// Statements that make two rows say what this program does not know.
pub const DAMAGE: &str = "UPDATE deployments SET kind = 'canary' WHERE id = 'd2';
     UPDATE dora_metrics SET decision = 'perhaps' WHERE cycle_id = 'c2'";

/// One unreadable row takes no other with it, and is told where its range and filter are asked for.
pub async fn damaged_rows_are_told(store: &Store) {
    let filter = |from, until| DeliveryFilter {
        range: Some(within(from, until)),
        ..DeliveryFilter::default()
    };
    for (filter, left, damaged) in [
        (DeliveryFilter::default(), 2, 1),
        (filter(15, 25), 0, 1),
        (filter(0, 20), 1, 0),
        (filter(21, 99), 1, 0),
    ] {
        let deployments = store.deployments(&filter).await.unwrap();
        let phases = store.phases(&filter).await.unwrap();
        assert_eq!(
            (deployments.read.len(), phases.read.len()),
            (left, left),
            "{filter:?}"
        );
        let told: Vec<String> = deployments
            .unreadable
            .iter()
            .chain(&phases.unreadable)
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 2 * damaged, "{filter:?}: {told:?}");
        if damaged == 1 {
            assert!(
                told[0].contains("`d2`") && told[0].contains("canary"),
                "{told:?}"
            );
            assert!(
                told[1].contains("c2") && told[1].contains("perhaps"),
                "{told:?}"
            );
        }
    }
    let of_others = DeliveryFilter {
        service: Some("mail".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.deployments(&of_others).await.unwrap().unreadable, []);
}
