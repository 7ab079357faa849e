//! Delivery facts by range, request and filter.

use super::*;

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
    assert_eq!(ids(&store.deployments(&filter).await.unwrap().read), ["d1"]);
    let phases = store.phases(&filter).await.unwrap().read;
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
