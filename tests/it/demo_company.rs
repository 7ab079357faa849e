//! The demo's company in real stores: what a visitor is promised can be found there.

use std::collections::BTreeSet;
use std::sync::Arc;

use atalaya::config::{Request, Settings};
use atalaya::domain::record::{Layer, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::service::{Stores, demo, pdca};
use atalaya::store::engine::LogEngine;
use atalaya::store::metrics::{AlertFilter, DeliveryFilter};
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;

async fn stores(folder: &std::path::Path) -> Stores {
    Stores {
        logs: LogEngine::new(Arc::new(
            SqliteChunkStore::open(&folder.join("logs.db"))
                .await
                .unwrap(),
        )),
        metrics: Arc::new(
            SqliteMetricsStore::open(&folder.join("metrics.db"))
                .await
                .unwrap(),
        ),
    }
}

#[tokio::test]
async fn every_promise_of_the_demo_is_in_its_stores() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path()).await;
    let now = Timestamp::from_seconds(1_790_000_000);
    let made = demo::fill(&stores, now, 7).await.unwrap();
    assert_eq!(
        stores.logs.store().stats().await.unwrap().records,
        made.records
    );
    assert_eq!(made.incidents, 2);

    let deployments = stores
        .metrics
        .deployments(&DeliveryFilter::default())
        .await
        .unwrap()
        .read;
    assert_eq!(deployments.len() as u64, made.deployments);
    let services: BTreeSet<&str> = deployments
        .iter()
        .map(|deployment| deployment.service.as_str())
        .collect();
    assert_eq!(services.len(), 3);

    // The failing request is one story over both layers, and the incident carries its id.
    let id = RequestId::new(demo::FAILING_REQUEST);
    let trace = stores.logs.trace(&id, 1_000).await.unwrap();
    let layers: BTreeSet<Layer> = trace
        .records
        .iter()
        .map(|record| record.origin.layer)
        .collect();
    assert_eq!(layers.len(), 2);
    assert!(
        trace
            .records
            .iter()
            .any(|record| record.entry.traceback.is_some())
    );
    assert_eq!(
        stores
            .metrics
            .events_of_request(&id)
            .await
            .unwrap()
            .incidents
            .len(),
        1
    );

    // PDCA cycles in each state that a cycle can be in without a person's next step.
    let states: BTreeSet<&str> = pdca::list(&*stores.metrics)
        .await
        .unwrap()
        .cycles
        .iter()
        .map(|cycle| cycle.state.name())
        .collect();
    assert!(states.len() >= 5, "{states:?}");

    // Every deployment's request id leads to records.
    for deployment in &deployments {
        let id = deployment.request_id.clone().unwrap();
        assert!(
            !stores.logs.trace(&id, 10).await.unwrap().records.is_empty(),
            "{id}"
        );
    }
}

#[tokio::test]
async fn filling_twice_changes_nothing_and_live_traffic_adds() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path()).await;
    let now = Timestamp::from_seconds(1_790_000_000);
    demo::fill(&stores, now, 7).await.unwrap();
    let first = stores.logs.store().stats().await.unwrap();
    demo::fill(&stores, now, 7).await.unwrap();
    assert_eq!(
        stores.logs.store().stats().await.unwrap().records,
        first.records
    );

    let later = Timestamp::from_seconds(1_790_000_020);
    let added = demo::live(&stores, now, later).await.unwrap();
    assert!(added > 0);
    assert_eq!(
        stores.logs.store().stats().await.unwrap().records,
        first.records + added
    );
}

/// The incident of the company's last hour was an alert, which is over; another one still fires. Each
/// has the evidence of its own moment.
#[tokio::test]
async fn the_demos_alerts_are_those_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path()).await;
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    let settings = Settings::load(&Request {
        file: Some(file),
        data_dir: Some(folder.path().to_owned()),
    })
    .unwrap()
    .made_up_in(folder.path().to_owned());
    let now = Timestamp::from_seconds(1_790_000_000);
    demo::fill(&stores, now, 7).await.unwrap();
    demo::look_back(&stores, &settings, now).await.unwrap();
    let firing = stores.metrics.active_alerts().await.unwrap();
    let names: Vec<&str> = firing
        .iter()
        .map(|alert| alert.rule.name.as_str())
        .collect();
    assert_eq!(names, ["slow-answers"]);
    let history = stores
        .metrics
        .alert_history(&AlertFilter {
            limit: 100,
            ..AlertFilter::default()
        })
        .await
        .unwrap();
    let over = history
        .iter()
        .find(|alert| alert.rule.name == "api-failures")
        .unwrap();
    assert!(over.resolved_at.is_some());
    for alert in &history {
        let evidence = alert.evidence.as_ref().unwrap();
        assert!(!evidence.records.is_empty());
        let newest = evidence.records.iter().map(|record| record.at).max();
        assert!(newest <= Some(evidence.at), "{evidence:?}");
    }
}
