//! The rules that come with the program, each fed by whoever really produces its value.

use std::sync::Arc;
use std::time::Duration;

use atalaya::domain::alert::{Message, Rule, State, built_in, message::Tally};
use atalaya::domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::record::Level;
use atalaya::service::alerts::{self, Evaluator};
use atalaya::service::follower_state::FollowerState;
use atalaya::store::background::Background;
use atalaya::store::chunks::ChunkStore;
use atalaya::store::engine::LogEngine;
use atalaya::store::error::Backend;
use atalaya::store::metrics::{HealthSample, Tried};
use tokio_util::sync::CancellationToken;

use super::{Rig, at};

const HOUR: i64 = 3_600;

fn rule(name: &str) -> Rule {
    let all = built_in::rules();
    all.into_iter().find(|rule| rule.name == name).unwrap()
}

/// The built-in rules of these names, and no others.
async fn rig(names: &[&str]) -> Rig {
    let mut rig = Rig::new("").await;
    rig.settings
        .alerts
        .disabled
        .retain(|name| !names.contains(&name.as_str()));
    rig
}

async fn state(rig: &Rig, rule: &str) -> Option<State> {
    let active = rig.stores.metrics.active_alerts().await.unwrap();
    let found = active.into_iter().find(|alert| alert.rule.name == rule);
    found.map(|alert| alert.state)
}

/// A store of which no question is ever answered.
fn silent() -> LogEngine {
    let store = Background::<dyn ChunkStore>::start(
        Backend::Cassandra,
        "10.0.0.1:9042/logging".to_owned(),
        Box::new(|| Box::pin(std::future::pending())),
    );
    LogEngine::new(Arc::new(store))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_fires() {
    let mut rig = rig(&["query-latency", "store-down"]).await;
    assert_eq!(rig.evaluate(0).await.firing, 0);
    rig.stores.logs = silent();
    rig.evaluate(60).await;
    assert_eq!(state(&rig, "store-down").await, Some(State::Pending));
    let later = 60 + i64::try_from(rule("store-down").hold.as_secs()).unwrap();
    let evaluated = rig.evaluate(later).await;
    assert_eq!(state(&rig, "store-down").await, Some(State::Firing));
    assert_eq!(evaluated.no_data, 0, "{evaluated:?}");
}

#[tokio::test]
async fn what_a_follower_says_fires_here_and_from_other_hosts() {
    for from_here in [true, false] {
        let rig = rig(&["ingest-lag", "spool"]).await;
        let follower = FollowerState {
            at: atalaya::domain::time::Timestamp::now(),
            pid: 1,
            files: 1,
            lag_bytes: 10,
            lag_seconds: if from_here { 100.0 } else { 1.0 },
            spool_used: Some(if from_here { 0.9 } else { 0.1 }),
            written: 0,
            paused: None,
            spooling: None,
        };
        let folder = rig.settings.ingest_state_dir();
        std::fs::create_dir_all(&folder).unwrap();
        follower.write(&folder).unwrap();
        if !from_here {
            let sample = |measure: &str, value| HealthSample {
                component: "ingest/another-host".to_owned(),
                measure: measure.to_owned(),
                taken_at: at(0),
                value,
            };
            let samples = [
                sample("lag_seconds", 100.0),
                sample("spool_used_ratio", 0.9),
            ];
            rig.stores
                .metrics
                .put_health_samples(&samples)
                .await
                .unwrap();
        }
        for seconds in [0, 120, 240] {
            rig.evaluate(seconds).await;
        }
        for name in ["ingest-lag", "spool"] {
            assert_eq!(
                state(&rig, name).await,
                Some(State::Firing),
                "{name}, {from_here}"
            );
        }
    }
}

#[tokio::test]
async fn records_deployments_and_messages_fire_their_rules() {
    let mut rig = rig(&[
        "errors",
        "api-failures",
        "change-failure-rate",
        "notification-dead",
    ])
    .await;
    rig.log("nginx/access", (0..30).map(|second| (second, Level::Error)))
        .await;
    let deployment = |number: i64, result| Deployment {
        id: format!("v{number}"),
        service: "shop".to_owned(),
        team: None,
        environment: "production".to_owned(),
        commit: None,
        started_at: None,
        finished_at: at(-number * 100),
        result,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "test".to_owned(),
        commits: None,
        taken_back_by: None,
    };
    let deployments: Vec<_> = (1..=10)
        .map(|number| {
            let failed = number % 3 == 0;
            let result = if failed {
                DeploymentResult::Failed
            } else {
                DeploymentResult::Success
            };
            deployment(number, result)
        })
        .collect();
    let store = &*rig.stores.metrics;
    store.put_deployments(&deployments).await.unwrap();
    let tally = Tally {
        count: 1,
        resolved: 0,
    };
    let message = Message::group("ops", "m".to_owned(), Vec::new(), tally, at(0));
    store.put_message(&message).await.unwrap();
    store.claim_message("ops", at(1), at(2)).await.unwrap();
    let dead = Tried::Dead {
        answer: "HTTP 400".to_owned(),
    };
    store.record_try("m", dead, at(1)).await.unwrap();
    for seconds in [120, 240, 360] {
        rig.evaluate(seconds).await;
    }
    for name in [
        "errors",
        "api-failures",
        "change-failure-rate",
        "notification-dead",
    ] {
        let views = alerts::rules(&*rig.stores.metrics, &rig.settings.alerts, at(360))
            .await
            .unwrap();
        let view = views.iter().find(|view| view.name == name);
        assert!(
            matches!(state(&rig, name).await, Some(State::Firing))
                || name == "errors" && fired(&rig, name).await,
            "{name}: {view:?}"
        );
    }
}

async fn fired(rig: &Rig, rule: &str) -> bool {
    let filter = atalaya::store::metrics::AlertFilter {
        rule: Some(rule.to_owned()),
        before: None,
        limit: 10,
    };
    !alerts::history(&*rig.stores.metrics, &filter)
        .await
        .unwrap()
        .is_empty()
}

#[tokio::test]
async fn a_backup_that_never_succeeded_grows_old() {
    let rig = rig(&["backup-age"]).await;
    assert_eq!(
        rig.evaluate(0).await,
        alerts::Evaluated {
            rules: 1,
            ..Default::default()
        }
    );
    assert_eq!(rig.evaluate(24 * HOUR).await.firing, 0);
    assert_eq!(rig.evaluate(26 * HOUR).await.firing, 1);
    let alert = alerts::detail(&*rig.stores.metrics, "backup-age")
        .await
        .unwrap();
    let reading = alert.evidence.unwrap().reading;
    assert!(
        reading.contains("no success yet, watched since"),
        "{reading}"
    );
}

#[tokio::test]
async fn the_disk_of_the_backups_is_measured() {
    let rig = rig(&["backup-disk"]).await;
    let evaluated = rig.evaluate(0).await;
    assert_eq!(evaluated.no_data, 0);
    let views = alerts::rules(&*rig.stores.metrics, &rig.settings.alerts, at(0))
        .await
        .unwrap();
    assert!(
        views[0]
            .value
            .is_some_and(|used| (0.0..=1.0).contains(&used)),
        "{views:?}"
    );
}

/// Those whose turn did not come say so and keep their state, and are the first of the next time.
#[tokio::test]
async fn an_evaluation_has_one_deadline_and_says_who_waits() {
    let rules: String = (0..9)
        .map(|number| {
            format!("[[alerts.rules]]\nname = \"r{number}\"\nmeasure = {{ kind = \"count\", query = \"level>=error\", window = \"5m\" }}\nwhen = \">= 10\"\n")
        })
        .collect();
    let mut rig = Rig::new(&rules).await;
    rig.log("shop", (0..12).map(|second| (second, Level::Error)))
        .await;
    assert_eq!(rig.evaluate(30).await.firing, 9);
    let evaluator = Evaluator::new(rig.stores.clone(), &rig.settings).within(Duration::ZERO);
    let evaluated = evaluator
        .evaluate(at(4_000), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(evaluated.waiting, 9, "{evaluated:?}");
    assert_eq!(
        (evaluated.firing, evaluated.notices),
        (9, 0),
        "missing data ends nothing"
    );
    let views = alerts::rules(&*rig.stores.metrics, &rig.settings.alerts, at(4_000))
        .await
        .unwrap();
    for view in &views {
        let since = format!("not evaluated since {}", at(30));
        assert!(view.reading.contains(&since), "{view:?}");
        assert_eq!((view.value, view.measured_at), (None, Some(at(30))));
    }
    let evaluated = rig.evaluate(4_060).await;
    assert_eq!((evaluated.waiting, evaluated.firing), (0, 0));
}

/// A source that was never seen is looked for once an hour, not each minute.
#[tokio::test]
async fn a_source_that_was_never_seen_costs_a_scan_an_hour() {
    let rig = Rig::new("[[alerts.rules]]\nname = \"quiet\"\nmeasure = { kind = \"absence\", query = \"source:nobody\" }\nwhen = \">= 10\"\n").await;
    let mut looked = Vec::new();
    for minute in 0..121 {
        rig.evaluate(minute * 60).await;
        let (_, body) = rig.stores.metrics.alert_readings().await.unwrap().unwrap();
        let kept: serde_json::Value = serde_json::from_str(&body).unwrap();
        looked.push(kept["quiet"]["looked_at"].as_str().unwrap().to_owned());
    }
    looked.dedup();
    assert_eq!(
        looked,
        [0, 60, 120].map(|minute| at(minute * 60).to_string())
    );
}
