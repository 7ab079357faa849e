//! What every [`MetricsStore`] must do, whatever is behind it. Each case gets an empty store.
//!
//! A backend runs all of it with [`metrics_store_suite!`]; nothing in here knows which one it is.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Incident, Phase,
    PhaseRecord,
};
use atalaya::domain::pdca::{Happening, PdcaEvent};
use atalaya::domain::record::RequestId;
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::store::error::StoreError;
use atalaya::store::metrics::{
    DeliveryFilter, HealthSample, MetricsStore, PointsDuration, SourceRun, Target, TeamDeployments,
    Written,
};
use serde_json::json;

type Store = Arc<dyn MetricsStore>;

/// Runs every case of the suite against the stores that `$open` makes: an async function that
/// returns a new empty store and whatever must outlive it.
macro_rules! metrics_store_suite {
    ($open:path) => {
        $crate::metrics_store_suite::metrics_store_suite!($open;
            writing_again_changes_nothing,
            a_changed_row_is_updated,
            one_write_with_the_same_key_twice,
            phases_come_back_as_they_were,
            a_cycle_is_folded_from_its_parts,
            a_cycle_does_not_depend_on_the_order_of_writing,
            a_moved_deployment_leaves_its_cycle,
            unknown_commits_are_not_no_commits,
            deployments_are_filtered_and_in_order,
            ranges_are_half_open,
            incidents_open_within_the_range,
            an_incident_of_an_unknown_deployment_is_refused,
            a_request_finds_its_events,
            cycles_newest_first_and_limited,
            sources_are_remembered,
            the_four_questions,
            questions_without_rows,
            story_points_as_text,
            pdca_events_are_appended_once,
            a_pdca_event_out_of_turn_is_refused,
            targets_keep_their_time,
            health_samples_newest_and_pruned,
            hostile_text_comes_back,
            an_empty_write_is_fine,
            writers_at_once_lose_nothing,
            a_dropped_caller_leaves_no_open_transaction,
        );
    };
    ($open:path; $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $open().await;
                $crate::metrics_store_suite::$case(store).await;
            }
        )+
    };
}
pub(crate) use metrics_store_suite;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + minutes * 60)
}

fn phase(cycle: &str, phase: Phase, minutes: i64) -> PhaseRecord {
    PhaseRecord {
        cycle_id: cycle.to_owned(),
        feature_id: format!("FEAT-{cycle}"),
        phase,
        attempt: 1,
        decision: Decision::Go,
        duration: Duration::from_secs(60),
        recorded_at: at(minutes),
        metadata: BTreeMap::new(),
    }
}

fn with(mut record: PhaseRecord, metadata: serde_json::Value) -> PhaseRecord {
    let serde_json::Value::Object(fields) = metadata else {
        panic!("metadata is an object")
    };
    record.metadata = fields.into_iter().collect();
    record
}

fn commit(sha: &str, minutes: i64) -> DeployedCommit {
    DeployedCommit {
        sha: sha.to_owned(),
        authored_at: at(minutes),
        committed_at: at(minutes + 1),
        title: format!("Change {sha}"),
    }
}

fn deployment(id: &str, minutes: i64) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service: "shop".to_owned(),
        team: Some("red".to_owned()),
        environment: "production".to_owned(),
        commit: Some("c0ffee".to_owned()),
        started_at: Some(at(minutes - 5)),
        finished_at: at(minutes),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "suite".to_owned(),
        commits: Some(vec![commit("a1", minutes - 90), commit("b2", minutes - 60)]),
    }
}

fn incident(id: &str, opened: i64, resolved: Option<i64>) -> Incident {
    Incident {
        id: id.to_owned(),
        title: "checkout fails".to_owned(),
        service: Some("shop".to_owned()),
        severity: None,
        opened_at: at(opened),
        resolved_at: resolved.map(at),
        caused_by: None,
        request_id: None,
        origin: "suite".to_owned(),
    }
}

fn written(inserted: u64, updated: u64, unchanged: u64) -> Written {
    Written {
        inserted,
        updated,
        unchanged,
    }
}

fn within(from: i64, until: i64) -> TimeRange {
    TimeRange::new(at(from), at(until))
}

fn ids(deployments: &[Deployment]) -> Vec<&str> {
    deployments
        .iter()
        .map(|deployment| deployment.id.as_str())
        .collect()
}

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
        store.phases(&everything).await.unwrap(),
        store.cycles(&everything, 10).await.unwrap(),
        store.deployments(&everything).await.unwrap(),
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
        store.phases(&everything).await.unwrap(),
        store.cycles(&everything, 10).await.unwrap(),
        store.deployments(&everything).await.unwrap(),
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
        store.phases(&DeliveryFilter::default()).await.unwrap(),
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
        store.deployments(&DeliveryFilter::default()).await.unwrap(),
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
        store.phases(&DeliveryFilter::default()).await.unwrap(),
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
        store.phases(&DeliveryFilter::default()).await.unwrap(),
        phases
    );
    let teams = DeliveryFilter {
        team: Some("red".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.phases(&teams).await.unwrap().len(), 72);
    let others = DeliveryFilter {
        service: Some("shop".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.phases(&others).await.unwrap(), []);
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
        store.deployments(&DeliveryFilter::default()).await.unwrap(),
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
        store.deployments(&DeliveryFilter::default()).await.unwrap()[0],
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

    let found = store.deployments(&DeliveryFilter::default()).await.unwrap();
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
        ids(&store.deployments(&filter).await.unwrap()),
        ["tie-a", "tie-b"]
    );
}

pub async fn ranges_are_half_open(store: Store) {
    store
        .put_deployments(&[deployment("d1", 10), deployment("d2", 20)])
        .await
        .unwrap();
    store
        .record_phases(&[
            phase("c1", Phase::Testing, 10),
            phase("c2", Phase::Testing, 20),
        ])
        .await
        .unwrap();
    let filter = DeliveryFilter {
        range: Some(within(10, 20)),
        ..DeliveryFilter::default()
    };
    assert_eq!(ids(&store.deployments(&filter).await.unwrap()), ["d1"]);
    let phases = store.phases(&filter).await.unwrap();
    assert_eq!(
        phases
            .iter()
            .map(|phase| phase.cycle_id.as_str())
            .collect::<Vec<_>>(),
        ["c1"]
    );
    assert_eq!(
        store
            .phase_durations(Phase::Testing, within(10, 20))
            .await
            .unwrap()
            .phases,
        1
    );
    assert_eq!(
        store
            .phase_durations(Phase::Testing, within(10, 21))
            .await
            .unwrap()
            .phases,
        2
    );
}

pub async fn incidents_open_within_the_range(store: Store) {
    let all = [
        incident("before", 0, Some(10)),
        incident("into", 5, Some(11)),
        incident("still-open", 6, None),
        incident("at-once", 10, Some(10)),
        incident("inside", 12, Some(13)),
        incident("out-of", 19, Some(99)),
        Incident {
            service: None,
            ..incident("no-service", 19, None)
        },
        incident("after", 20, None),
    ];
    store.put_incidents(&all).await.unwrap();
    let found = |range| {
        let store = store.clone();
        async move {
            let filter = DeliveryFilter {
                range,
                team: Some("nobody".to_owned()),
                environment: Some("staging".to_owned()),
                ..DeliveryFilter::default()
            };
            let incidents = store.incidents(&filter).await.unwrap();
            incidents
                .into_iter()
                .map(|incident| incident.id)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(
        found(None).await.len(),
        8,
        "team and environment do not apply to incidents"
    );
    assert_eq!(
        found(Some(within(10, 20))).await,
        [
            "into",
            "still-open",
            "at-once",
            "inside",
            "no-service",
            "out-of"
        ]
    );
    let of_shop = DeliveryFilter {
        range: Some(within(19, 20)),
        service: Some("shop".to_owned()),
        ..DeliveryFilter::default()
    };
    let incidents = store.incidents(&of_shop).await.unwrap();
    assert_eq!(incidents, [all[2].clone(), all[5].clone()]);
}

pub async fn an_incident_of_an_unknown_deployment_is_refused(store: Store) {
    let orphan = Incident {
        caused_by: Some("nowhere".to_owned()),
        ..incident("i2", 5, None)
    };
    let error = store
        .put_incidents(&[incident("i1", 1, None), orphan.clone()])
        .await
        .unwrap_err();
    assert!(!error.is_transient());
    let StoreError::Dangling { reason, .. } = error else {
        panic!("{error}")
    };
    assert!(
        reason.contains("i2") && reason.contains("nowhere"),
        "{reason}"
    );
    assert_eq!(
        store.incidents(&DeliveryFilter::default()).await.unwrap(),
        [],
        "all or nothing"
    );

    store
        .put_deployments(&[deployment("nowhere", 4)])
        .await
        .unwrap();
    assert_eq!(
        store
            .put_incidents(std::slice::from_ref(&orphan))
            .await
            .unwrap(),
        written(1, 0, 0)
    );
    assert_eq!(
        store.incidents(&DeliveryFilter::default()).await.unwrap(),
        [orphan]
    );
}

pub async fn a_request_finds_its_events(store: Store) {
    let id = RequestId::new("req-5f1c");
    let other = RequestId::new("req-5F1C");
    let of = |id: &RequestId| json!({"request_id": id.as_str()});
    let mine = [
        with(phase("c1", Phase::Testing, 1), of(&id)),
        with(phase("c1", Phase::Deployment, 2), of(&id)),
    ];
    store.record_phases(&mine).await.unwrap();
    store
        .record_phases(&[
            with(phase("c2", Phase::Testing, 1), of(&other)),
            phase("c3", Phase::Testing, 1),
        ])
        .await
        .unwrap();
    let shipped = Deployment {
        request_id: Some(id.clone()),
        ..deployment("d1", 3)
    };
    store
        .put_deployments(&[shipped.clone(), deployment("d2", 4)])
        .await
        .unwrap();
    let broken = Incident {
        request_id: Some(id.clone()),
        ..incident("i1", 5, None)
    };
    store
        .put_incidents(&[broken.clone(), incident("i2", 6, None)])
        .await
        .unwrap();

    let events = store.events_of_request(&id).await.unwrap();
    assert_eq!(events.phases, mine);
    assert_eq!(events.deployments, [shipped]);
    assert_eq!(events.incidents, [broken]);
    assert_eq!(
        store.events_of_request(&other).await.unwrap().phases.len(),
        1,
        "ids are told apart by case"
    );
    let nothing = store
        .events_of_request(&RequestId::new("req-0"))
        .await
        .unwrap();
    assert!(
        nothing.phases.is_empty() && nothing.deployments.is_empty() && nothing.incidents.is_empty()
    );
}

pub async fn cycles_newest_first_and_limited(store: Store) {
    let phases: Vec<_> = (0..6)
        .map(|number| {
            let team = if number % 2 == 0 { "red" } else { "blue" };
            with(
                phase(&format!("c{number}"), Phase::Planning, number * 10),
                json!({"team": team}),
            )
        })
        .collect();
    store.record_phases(&phases).await.unwrap();
    let names = |cycles: Vec<atalaya::domain::delivery::Cycle>| {
        cycles
            .into_iter()
            .map(|cycle| cycle.cycle_id)
            .collect::<Vec<_>>()
    };
    let everything = DeliveryFilter::default();
    assert_eq!(
        names(store.cycles(&everything, 2).await.unwrap()),
        ["c5", "c4"]
    );
    let red = DeliveryFilter {
        team: Some("red".to_owned()),
        range: Some(TimeRange::new(at(0), at(100))),
        ..DeliveryFilter::default()
    };
    assert_eq!(
        names(store.cycles(&red, 10).await.unwrap()),
        ["c4", "c2"],
        "c0 began a minute before the range"
    );
    assert!(
        store
            .cycles(&everything, 10)
            .await
            .unwrap()
            .iter()
            .all(|cycle| cycle.phases.is_empty())
    );
}

pub async fn sources_are_remembered(store: Store) {
    let run = |name: &str, minutes| SourceRun {
        name: name.to_owned(),
        gives_deployments: true,
        gives_incidents: false,
        synced_at: at(minutes),
    };
    store.put_source(&run("record", 1)).await.unwrap();
    store.put_source(&run("git:shop", 2)).await.unwrap();
    store
        .put_source(&SourceRun {
            gives_incidents: true,
            ..run("record", 3)
        })
        .await
        .unwrap();
    assert_eq!(
        store.sources().await.unwrap(),
        [
            run("git:shop", 2),
            SourceRun {
                gives_incidents: true,
                ..run("record", 3)
            }
        ]
    );
}

pub async fn the_four_questions(store: Store) {
    let lasting = |seconds: u64, record: PhaseRecord| PhaseRecord {
        duration: Duration::from_secs(seconds),
        ..record
    };
    let deciding = |decision, record: PhaseRecord| PhaseRecord { decision, ..record };
    store
        .record_phases(&[
            lasting(
                100,
                with(phase("c1", Phase::Deployment, 10), json!({"team": "red"})),
            ),
            lasting(
                200,
                with(phase("c2", Phase::Deployment, 20), json!({"team": "red"})),
            ),
            lasting(
                600,
                with(phase("c3", Phase::Deployment, 30), json!({"team": "blue"})),
            ),
            lasting(999, phase("c4", Phase::Deployment, 99)),
            lasting(
                10,
                with(phase("c1", Phase::Testing, 5), json!({"story_points": 3})),
            ),
            lasting(
                20,
                with(phase("c2", Phase::Testing, 6), json!({"story_points": 3.0})),
            ),
            deciding(
                Decision::NoGo,
                lasting(
                    70,
                    with(phase("c3", Phase::Testing, 7), json!({"story_points": 8})),
                ),
            ),
            deciding(
                Decision::Failed,
                lasting(500, phase("c4", Phase::Testing, 8)),
            ),
            deciding(
                Decision::Resolved,
                lasting(3_600, phase("c3", Phase::Maintenance, 40)),
            ),
            deciding(
                Decision::Blocked,
                lasting(9_999, phase("c4", Phase::Maintenance, 41)),
            ),
        ])
        .await
        .unwrap();
    let range = within(0, 60);

    let deployment = store
        .phase_durations(Phase::Deployment, range)
        .await
        .unwrap();
    assert_eq!(
        (deployment.phases, deployment.mean_seconds),
        (3, Some(300.0))
    );
    let team = |team: Option<&str>, deployments| TeamDeployments {
        team: team.map(str::to_owned),
        deployments,
    };
    assert_eq!(
        store.deployments_per_team(range).await.unwrap(),
        [team(Some("red"), 2), team(Some("blue"), 1)]
    );
    assert_eq!(
        store.deployments_per_team(within(90, 100)).await.unwrap(),
        [team(None, 1)],
        "those without a team are not left out"
    );
    let testing = store.testing_failures(range).await.unwrap();
    assert_eq!(
        (testing.testing, testing.no_go, testing.percent()),
        (4, 1, Some(25.0))
    );
    assert_eq!(
        store.testing_by_story_points(range).await.unwrap(),
        [
            PointsDuration {
                story_points: 3.0,
                phases: 2,
                mean_seconds: 15.0
            },
            PointsDuration {
                story_points: 8.0,
                phases: 1,
                mean_seconds: 70.0
            }
        ]
    );
    let recovery = store.recovery_durations(range).await.unwrap();
    assert_eq!((recovery.phases, recovery.mean_seconds), (1, Some(3_600.0)));
}

pub async fn questions_without_rows(store: Store) {
    let range = TimeRange::ALL;
    let deployment = store
        .phase_durations(Phase::Deployment, range)
        .await
        .unwrap();
    assert_eq!((deployment.phases, deployment.mean_seconds), (0, None));
    assert_eq!(store.deployments_per_team(range).await.unwrap(), []);
    assert_eq!(store.testing_failures(range).await.unwrap().percent(), None);
    assert_eq!(store.testing_by_story_points(range).await.unwrap(), []);
    assert_eq!(
        store.recovery_durations(range).await.unwrap().mean_seconds,
        None
    );
}

pub async fn story_points_as_text(store: Store) {
    let tested = |cycle, points| {
        with(
            phase(cycle, Phase::Testing, 1),
            json!({"story_points": points}),
        )
    };
    store
        .record_phases(&[
            tested("c1", json!("5")),
            tested("c2", json!("unknown")),
            tested("c3", json!(null)),
            tested("c4", json!("")),
        ])
        .await
        .unwrap();
    assert_eq!(
        store.testing_by_story_points(TimeRange::ALL).await.unwrap(),
        [PointsDuration {
            story_points: 5.0,
            phases: 1,
            mean_seconds: 60.0
        }]
    );
}

fn note(pdca_id: &str, seq: u32, text: &str) -> PdcaEvent {
    PdcaEvent {
        pdca_id: pdca_id.to_owned(),
        seq,
        at: at(i64::from(seq)),
        by: "ana".to_owned(),
        happening: Happening::Noted(text.to_owned()),
    }
}

pub async fn pdca_events_are_appended_once(store: Store) {
    assert_eq!(store.pdca_events(None).await.unwrap(), []);
    let events = [
        note("p1", 1, "one"),
        note("p1", 2, "two"),
        note("p0", 1, "other"),
    ];
    for event in &events {
        assert_eq!(
            store.append_pdca_event(event).await.unwrap(),
            written(1, 0, 0)
        );
        assert_eq!(
            store.append_pdca_event(event).await.unwrap(),
            written(0, 0, 1)
        );
    }
    assert_eq!(store.pdca_events(Some("p1")).await.unwrap(), events[..2]);
    assert_eq!(store.pdca_events(Some("p")).await.unwrap(), []);
    assert_eq!(
        store.pdca_events(None).await.unwrap(),
        [events[2].clone(), events[0].clone(), events[1].clone()]
    );
}

pub async fn a_pdca_event_out_of_turn_is_refused(store: Store) {
    store
        .append_pdca_event(&note("p1", 1, "one"))
        .await
        .unwrap();
    for wrong in [
        note("p1", 1, "changed"),
        note("p1", 3, "a gap"),
        note("p2", 2, "no beginning"),
    ] {
        let error = store.append_pdca_event(&wrong).await.unwrap_err();
        let StoreError::Conflict { reason, .. } = error else {
            panic!("{error}")
        };
        assert!(reason.contains(&wrong.pdca_id), "{reason}");
    }
    assert_eq!(
        store.pdca_events(None).await.unwrap(),
        [note("p1", 1, "one")]
    );
}

pub async fn targets_keep_their_time(store: Store) {
    let target = |service: Option<&str>, value, minutes| Target {
        metric: "change_lead_time".to_owned(),
        service: service.map(str::to_owned),
        team: None,
        value,
        set_at: at(minutes),
    };
    assert_eq!(
        store
            .put_target(&target(Some("shop"), 24.0, 1))
            .await
            .unwrap(),
        written(1, 0, 0)
    );
    assert_eq!(
        store.put_target(&target(None, 48.0, 2)).await.unwrap(),
        written(1, 0, 0)
    );
    assert_eq!(
        store.put_target(&target(None, 48.0, 3)).await.unwrap(),
        written(0, 0, 1)
    );
    assert_eq!(
        store
            .put_target(&target(Some("shop"), 12.0, 4))
            .await
            .unwrap(),
        written(0, 1, 0)
    );
    assert_eq!(
        store.targets().await.unwrap(),
        [target(None, 48.0, 2), target(Some("shop"), 12.0, 4)]
    );
}

pub async fn health_samples_newest_and_pruned(store: Store) {
    let sample = |component: &str, minutes, value| HealthSample {
        component: component.to_owned(),
        measure: "latency_ms".to_owned(),
        taken_at: at(minutes),
        value,
    };
    let all = [
        sample("host", 1, 0.1),
        sample("host", 2, 0.2),
        sample("store", 2, 7.0),
        sample("host", 3, 0.3),
    ];
    assert_eq!(
        store.put_health_samples(&all).await.unwrap(),
        written(4, 0, 0)
    );
    assert_eq!(
        store.put_health_samples(&all).await.unwrap(),
        written(0, 0, 4)
    );
    assert_eq!(
        store.health_samples(None, TimeRange::ALL, 9).await.unwrap(),
        all
    );
    assert_eq!(
        store
            .health_samples(Some("host"), within(0, 3), 1)
            .await
            .unwrap(),
        [all[1].clone()]
    );
    assert_eq!(store.prune_health_samples(at(2)).await.unwrap(), 1);
    assert_eq!(
        store.health_samples(None, TimeRange::ALL, 9).await.unwrap(),
        all[1..]
    );
}

pub async fn hostile_text_comes_back(store: Store) {
    let nasty = "'; DROP TABLE deployments; -- \u{202e}\u{1b}[2J é 漢 🦀 \"\\%_";
    let record = PhaseRecord {
        feature_id: nasty.to_owned(),
        ..with(
            phase(nasty, Phase::Testing, 1),
            json!({"team": nasty, "request_id": nasty}),
        )
    };
    store
        .record_phases(std::slice::from_ref(&record))
        .await
        .unwrap();
    let shipped = Deployment {
        team: Some(nasty.to_owned()),
        service: nasty.to_owned(),
        ..deployment(nasty, 2)
    };
    store
        .put_deployments(std::slice::from_ref(&shipped))
        .await
        .unwrap();
    assert_eq!(
        store.cycle(nasty).await.unwrap().unwrap().phases,
        std::slice::from_ref(&record)
    );
    assert_eq!(
        store
            .events_of_request(&RequestId::new(nasty))
            .await
            .unwrap()
            .phases,
        [record]
    );
    let filter = DeliveryFilter {
        service: Some(nasty.to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.deployments(&filter).await.unwrap(), [shipped]);
}

pub async fn an_empty_write_is_fine(store: Store) {
    assert_eq!(store.record_phases(&[]).await.unwrap(), Written::default());
    assert_eq!(
        store.put_deployments(&[]).await.unwrap(),
        Written::default()
    );
    assert_eq!(store.put_incidents(&[]).await.unwrap(), Written::default());
    assert_eq!(
        store.put_health_samples(&[]).await.unwrap(),
        Written::default()
    );
}

pub async fn writers_at_once_lose_nothing(store: Store) {
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut total = Written::default();
                for number in 0..25 {
                    // Half of the keys are shared by all writers, so they race for them.
                    let cycle = if number % 2 == 0 {
                        format!("shared-{number}")
                    } else {
                        format!("{writer}-{number}")
                    };
                    let done = store
                        .record_phases(&[phase(&cycle, Phase::Testing, number)])
                        .await
                        .unwrap();
                    total.inserted += done.inserted;
                    total.updated += done.updated;
                    total.unchanged += done.unchanged;
                }
                total
            })
        })
        .collect();
    let mut total = Written::default();
    for task in tasks {
        let done = task.await.unwrap();
        total.inserted += done.inserted;
        total.updated += done.updated;
        total.unchanged += done.unchanged;
    }
    assert_eq!(total, written(13 + 8 * 12, 0, 7 * 13));
    assert_eq!(
        store
            .phases(&DeliveryFilter::default())
            .await
            .unwrap()
            .len(),
        109
    );
}

/// A write whose caller goes away either happens or does not; the next one meets a clean store.
pub async fn a_dropped_caller_leaves_no_open_transaction(store: Store) {
    for number in 0..100_i64 {
        let writer = store.clone();
        let task = tokio::spawn(async move {
            let phases: Vec<_> = (0..20)
                .map(|part| phase(&format!("c{number}-{part}"), Phase::Testing, part))
                .collect();
            writer.record_phases(&phases).await
        });
        for _ in 0..number % 17 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _aborted_or_done = task.await;
    }
    let all = store
        .record_phases(&[phase("after", Phase::Testing, 0)])
        .await
        .unwrap();
    assert_eq!(all, written(1, 0, 0));
    // Writes stand in one line, so the last one has seen all the others through.
    let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
    for found in store.phases(&DeliveryFilter::default()).await.unwrap() {
        let batch = found
            .cycle_id
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned();
        *sizes.entry(batch).or_default() += 1;
    }
    assert_eq!(sizes.remove("after"), Some(1));
    assert!(
        sizes.values().all(|size| *size == 20),
        "whole transactions only: {sizes:?}"
    );
}
