//! Sources, questions, PDCA, targets and health samples.

use super::*;
use atalaya_domain::dora::Metric;
use atalaya_domain::pdca::fixtures::plan;
use atalaya_domain::pdca::{Plan, Unreadable};

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

/// What a store cannot make out is passed on as it is; so it gets in here, too.
pub async fn an_unreadable_pdca_event_stands_among_the_others(store: Store) {
    let torn = |pdca_id: &str, seq: u32, body: &str| PdcaEvent {
        happening: Happening::Unreadable(Unreadable {
            body: body.to_owned(),
            reason: String::new(),
        }),
        ..note(pdca_id, seq, "")
    };
    for event in [
        note("p1", 1, "one"),
        torn(
            "p1",
            2,
            r#"{"kind":"planned","data":{"expected_percent":null}}"#,
        ),
        torn("p2", 1, r#"{"kind":"of tomorrow"}"#),
        note("p3", 1, "three"),
    ] {
        store.append_pdca_event(&event).await.unwrap();
    }
    let read = store.pdca_events(None).await.unwrap();
    let bodies: Vec<(&str, u32, Option<&str>)> = read
        .iter()
        .map(|event| match &event.happening {
            Happening::Unreadable(row) => {
                assert!(!row.reason.is_empty());
                (&*event.pdca_id, event.seq, Some(&*row.body))
            }
            _ => (&*event.pdca_id, event.seq, None),
        })
        .collect();
    assert_eq!(
        bodies,
        [
            ("p1", 1, None),
            (
                "p1",
                2,
                Some(r#"{"kind":"planned","data":{"expected_percent":null}}"#)
            ),
            ("p2", 1, Some(r#"{"kind":"of tomorrow"}"#)),
            ("p3", 1, None),
        ]
    );
    // The very same row again changes nothing.
    assert_eq!(
        store.append_pdca_event(&read[1]).await.unwrap(),
        written(0, 0, 1)
    );
}

pub async fn a_pdca_event_that_cannot_be_read_back_is_refused(store: Store) {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let planned = PdcaEvent {
            happening: Happening::Planned(Plan {
                expected_percent: number,
                ..plan(Metric::ChangeLeadTime)
            }),
            ..note("p1", 1, "")
        };
        store.append_pdca_event(&planned).await.unwrap_err();
        assert_eq!(store.pdca_events(None).await.unwrap(), [], "{number}");
    }
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
