//! What rules make of records, whenever and in whatever order these come.

use std::sync::Arc;

use atalaya::domain::alert::{NoticeKind, Silence, State};
use atalaya::domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::record::Level;
use atalaya::service::alerts;
use atalaya::store::background::Background;
use atalaya::store::chunks::ChunkStore;
use atalaya::store::engine::LogEngine;
use atalaya::store::error::{Backend, StoreError};
use atalaya::store::metrics::{AlertFilter, HealthSample};
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{ERRORS, Rig, at};

async fn active(rig: &Rig) -> Vec<(String, State)> {
    let alerts = rig.stores.metrics.active_alerts().await.unwrap();
    alerts
        .into_iter()
        .map(|alert| (alert.rule.name, alert.state))
        .collect()
}

#[tokio::test]
async fn ten_errors_over_midnight_fire_with_their_evidence() {
    let mut rig = Rig::new(ERRORS).await;
    let deployment = Deployment {
        id: "v1.2.3".to_owned(),
        service: "shop".to_owned(),
        team: None,
        environment: "production".to_owned(),
        commit: None,
        started_at: None,
        finished_at: at(300),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "test".to_owned(),
        commits: None,
        taken_back_by: None,
    };
    rig.stores
        .metrics
        .put_deployments(&[deployment])
        .await
        .unwrap();
    // Midnight is at 600.
    rig.log(
        "shop",
        (0..9).map(|second| (590 + second * 3, Level::Error)),
    )
    .await;
    rig.log("shop", [(600, Level::Warning)]).await;
    rig.log("other", [(600, Level::Error)]).await;
    assert_eq!(rig.evaluate(630).await.firing, 0);
    rig.log("shop", [(632, Level::Critical)]).await;
    let evaluated = rig.evaluate(640).await;
    assert_eq!((evaluated.firing, evaluated.notices), (1, 1));
    let alert = alerts::detail(&*rig.stores.metrics, "shop-errors")
        .await
        .unwrap();
    assert_eq!(alert.value, Some(10.0));
    let evidence = alert.evidence.unwrap();
    assert_eq!(evidence.records.len(), 10);
    assert_eq!(evidence.records[0].level, "CRITICAL");
    assert_eq!(evidence.request_ids.len(), 10);
    let deployment = evidence.deployment.unwrap();
    assert_eq!(
        (deployment.id.as_str(), deployment.seconds_before),
        ("v1.2.3", 340)
    );
    assert_eq!(evidence.reading, "10 in 5 min");
    // The same again tells nobody.
    assert_eq!(rig.evaluate(700).await.notices, 0);
    assert_eq!(rig.evaluate(1_100).await.notices, 1);
    assert_eq!(active(&rig).await, []);
}

/// Random histories: records late by up to what is allowed, evaluations at odd seconds, restarts. An
/// alert fires in one piece for each piece of full windows, and none is missed.
#[tokio::test]
async fn late_records_never_make_an_alert_flap() {
    for round in 0..6 {
        let seed: u64 = rand::random();
        println!("seed {seed}, round {round}");
        let mut dice = StdRng::seed_from_u64(seed);
        let mut rig = Rig::new(ERRORS).await;
        // When it happened, and when it is stored.
        let mut events: Vec<(i64, i64)> = Vec::new();
        for minute in 0..40_i64 {
            let busy = dice.random_bool(0.3);
            for _ in 0..dice.random_range(0..if busy { 12 } else { 2 }) {
                let happened = minute * 60 + dice.random_range(0..60);
                events.push((happened, happened + dice.random_range(0..60)));
            }
        }
        events.sort_by_key(|(_, stored)| *stored);
        let full: Vec<i64> = (0..60)
            .filter(|end| {
                let inside = |at: &&(i64, i64)| (end - 5) * 60 <= at.0 && at.0 < end * 60;
                events.iter().filter(inside).count() >= 10
            })
            .collect();
        let mut left = &events[..];
        for minute in 0..55_i64 {
            let now = minute * 60 + dice.random_range(0..60);
            let ready = left.iter().take_while(|(_, stored)| *stored <= now).count();
            let (stored, later) = left.split_at(ready);
            left = later;
            if !stored.is_empty() {
                rig.log("shop", stored.iter().map(|(at, _)| (*at, Level::Error)))
                    .await;
            }
            if dice.random_bool(0.1) {
                rig.restart().await;
            }
            rig.evaluate(now).await;
            let fires = !active(&rig).await.is_empty();
            let in_sight = full
                .iter()
                .any(|end| (minute - 1..=minute + 1).contains(end));
            assert!(!fires || in_sight, "minute {minute} fires without a reason");
            assert!(
                fires || !full.contains(&(minute - 1)),
                "minute {minute} missed it"
            );
        }
        let filter = AlertFilter {
            limit: 1_000,
            ..AlertFilter::default()
        };
        let history = rig.stores.metrics.alert_history(&filter).await.unwrap();
        let pieces = full.windows(2).filter(|two| two[1] - two[0] > 1).count();
        let most = if full.is_empty() { 0 } else { pieces + 1 };
        assert!(
            history.len() <= most,
            "{} alerts for {most} pieces",
            history.len()
        );
        assert!(full.is_empty() || !history.is_empty());
    }
}

#[tokio::test]
async fn ratios_need_both_windows_and_enough_records() {
    let mut rig = Rig::new(
        r#"
[[alerts.rules]]
name = "failures"
measure = { kind = "ratio", query = "level>=error", of = "source:web", window = "30m", fast = "5m", least = 20 }
when = "> 0.1"
clear = 0.05
"#,
    )
    .await;
    rig.log("web", (0..10).map(|second| (second, Level::Error)))
        .await;
    let evaluated = rig.evaluate(180).await;
    assert_eq!(
        (evaluated.firing, evaluated.no_data),
        (0, 1),
        "ten are too few"
    );
    rig.log("web", (0..40).map(|second| (second, Level::Info)))
        .await;
    assert_eq!(rig.evaluate(200).await.firing, 1);
    rig.log("web", (0..60).map(|second| (300 + second, Level::Info)))
        .await;
    // The long window still holds 10 of 110; the short one says that it is over.
    assert_eq!(rig.evaluate(600).await.firing, 0);
}

#[tokio::test]
async fn a_silent_source_fires_and_an_unknown_one_says_so() {
    let rule = |name: &str, source: &str| {
        format!(
            "[[alerts.rules]]\nname = \"{name}\"\nmeasure = {{ kind = \"absence\", query = \"source:{source}\" }}\nwhen = \">= 10\"\n"
        )
    };
    let mut rig = Rig::new(&(rule("known", "web") + &rule("unknown", "wbe"))).await;
    rig.log("web", [(30, Level::Info)]).await;
    let evaluated = rig.evaluate(60 * 11).await;
    assert_eq!((evaluated.firing, evaluated.no_data), (0, 1));
    // The minute of the record, ten silent ones, and the one that late records have.
    let evaluated = rig.evaluate(60 * 12).await;
    assert_eq!((evaluated.firing, evaluated.no_data), (1, 1));
    let views = alerts::rules(&*rig.stores.metrics, &rig.settings.alerts, at(60 * 12))
        .await
        .unwrap();
    assert!(
        views[1].reading.contains("no data: no record within 7 d"),
        "{:?}",
        views[1]
    );
    // Days later it is the same silence.
    assert_eq!(rig.evaluate(60 * 60 * 24 * 9).await.firing, 1);
    rig.log("web", [(60 * 60 * 24 * 9 + 60, Level::Info)]).await;
    assert_eq!(rig.evaluate(60 * 60 * 24 * 9 + 70).await.firing, 0);
}

const BEHIND: &str = r#"
[[alerts.rules]]
name = "node-down"
measure = { kind = "health", measure = "probe.down" }
when = ">= 1"
severity = "critical"
[[alerts.rules]]
name = "lag"
measure = { kind = "health", measure = "probe.lag" }
when = "> 60"
inhibited_by = ["node-down"]
"#;

async fn sample(rig: &Rig, measure: &str, seconds: i64, value: f64) {
    let sample = HealthSample {
        component: "probe".to_owned(),
        measure: measure.to_owned(),
        taken_at: at(seconds),
        value,
    };
    rig.stores
        .metrics
        .put_health_samples(&[sample])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_lies_behind_another_alert_is_kept_and_not_told() {
    let rig = Rig::new(BEHIND).await;
    assert_eq!(
        rig.evaluate(0).await.no_data,
        2,
        "nothing measures them yet"
    );
    sample(&rig, "down", 0, 1.0).await;
    sample(&rig, "lag", 0, 300.0).await;
    let evaluated = rig.evaluate(10).await;
    assert_eq!((evaluated.firing, evaluated.notices), (2, 1));
    let lag = alerts::detail(&*rig.stores.metrics, "lag").await.unwrap();
    assert_eq!(lag.muted.unwrap().to_string(), "behind node-down");
    // The node is back, and the lag is not gone: now it is told.
    sample(&rig, "down", 60, 0.0).await;
    let evaluated = rig.evaluate(70).await;
    assert_eq!((evaluated.firing, evaluated.notices), (1, 2));
    // Samples that are too old say nothing, and change nothing.
    let evaluated = rig.evaluate(3_000).await;
    assert_eq!(
        (evaluated.firing, evaluated.notices, evaluated.no_data),
        (1, 0, 2)
    );
}

#[tokio::test]
async fn a_silence_ends_and_then_people_hear_of_what_still_fires() {
    let mut rig = Rig::new(BEHIND).await;
    sample(&rig, "down", 0, 1.0).await;
    let book = alerts::Rulebook::load(&*rig.stores.metrics, &rig.settings.alerts)
        .await
        .unwrap();
    let silence = Silence {
        id: "s1".to_owned(),
        rule: "node-*".to_owned(),
        reason: "new disks".to_owned(),
        by: "me".to_owned(),
        from: at(0),
        until: at(120),
    };
    let store = rig.stores.metrics.clone();
    alerts::silence(&*store, &silence, &book.rules, at(0))
        .await
        .unwrap();
    let again = Silence {
        id: "s2".to_owned(),
        rule: "node-down".to_owned(),
        ..silence.clone()
    };
    let error = alerts::silence(&*store, &again, &book.rules, at(0))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("silence s1"), "{error}");
    for wrong in [
        Silence {
            reason: String::new(),
            ..again.clone()
        },
        Silence {
            until: at(-1),
            ..again.clone()
        },
        Silence {
            rule: "nod-down".to_owned(),
            ..again.clone()
        },
        Silence {
            until: at(60 * 60 * 24 * 400),
            ..again
        },
    ] {
        alerts::silence(&*store, &wrong, &book.rules, at(0))
            .await
            .unwrap_err();
    }
    assert_eq!(rig.evaluate(60).await.notices, 0);
    rig.restart().await;
    assert_eq!(rig.evaluate(120).await.notices, 1);
    // The rule is taken out of the configuration: its alert ends, and that is told.
    rig.configure("");
    assert_eq!(rig.evaluate(180).await.notices, 1);
    assert_eq!(active(&rig).await, []);
}

#[tokio::test]
async fn who_has_seen_it_is_not_reminded_until_it_is_worse() {
    let rig = Rig::new(BEHIND).await;
    let store = &*rig.stores.metrics;
    let seen = |until_worse| alerts::Seen {
        by: "me".to_owned(),
        note: Some("new disks are ordered".to_owned()),
        until_worse,
    };
    let error = alerts::acknowledge(store, "lag", seen(true), at(0))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`lag`"), "{error}");
    let mut hours = 0;
    let mut step = async |value: f64| {
        sample(&rig, "lag", hours * 3_600, value).await;
        let notices = rig.evaluate(hours * 3_600 + 1).await.notices;
        hours += 5;
        notices
    };
    assert_eq!(step(100.0).await, 1);
    assert_eq!(step(100.0).await, 1, "a reminder");
    let alert = alerts::acknowledge(store, "lag", seen(true), at(0))
        .await
        .unwrap();
    assert_eq!(
        alert.acknowledged.as_ref().unwrap().until_worse_than,
        Some(100.0)
    );
    assert_eq!(step(90.0).await, 0);
    assert_eq!(step(101.0).await, 1, "it is worse");
    assert_eq!(
        alerts::detail(store, &alert.id[..5])
            .await
            .unwrap()
            .acknowledged,
        None
    );
    alerts::acknowledge(store, &alert.id, seen(false), at(0))
        .await
        .unwrap();
    assert_eq!(step(5_000.0).await, 0);
    let firing = alerts::firing(store).await.unwrap();
    assert_eq!((firing.warning, firing.unseen), (1, 0));
    assert_eq!(step(0.0).await, 1);
    let last = alerts::history(
        store,
        &AlertFilter {
            limit: 1,
            ..AlertFilter::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        (last[0].state, last[0].worst),
        (State::Resolved, Some(5_000.0))
    );
    assert_eq!(NoticeKind::Resolved.name(), "resolved");
}

#[tokio::test]
async fn a_log_store_that_is_away_is_no_data_and_ends_nothing() {
    let mut rig = Rig::new(ERRORS).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    assert_eq!(rig.evaluate(30).await.firing, 1);
    let here = rig.stores.logs.clone();
    rig.stores.logs = away();
    let evaluated = rig.evaluate(3_000).await;
    assert_eq!(
        (evaluated.firing, evaluated.no_data, evaluated.notices),
        (1, 1, 0)
    );
    let alert = alerts::detail(&*rig.stores.metrics, "shop-errors")
        .await
        .unwrap();
    assert!(alert.no_data.unwrap().contains("connection refused"));
    rig.stores.logs = here;
    assert_eq!(rig.evaluate(3_060).await.notices, 1);
}

/// A log store that cannot be reached.
fn away() -> LogEngine {
    let refused = || -> BoxFuture<'static, _> {
        Box::pin(async {
            Err(StoreError::Unavailable {
                backend: Backend::Cassandra,
                address: "10.0.0.1:9042/logging".to_owned(),
                source: "connection refused".into(),
            })
        })
    };
    let address = "10.0.0.1:9042/logging".to_owned();
    let store = Background::<dyn ChunkStore>::start(Backend::Cassandra, address, Box::new(refused));
    LogEngine::new(Arc::new(store))
}

#[tokio::test]
async fn rules_of_the_store_are_evaluated_with_the_others() {
    let rig = Rig::new(ERRORS).await;
    let store = &*rig.stores.metrics;
    let add =
        async |text: &str| alerts::add_rule(store, &rig.settings.alerts, text, "me", at(0)).await;
    let rule = "name = \"stored\"\nmeasure = { kind = \"health\", measure = \"probe.x\" }\nwhen = \"> 1\"\n";
    add(rule).await.unwrap();
    for (text, says) in [
        (
            rule.replace("stored", "shop-errors"),
            "a configuration file has a rule",
        ),
        (rule.replace("> 1", "1"), "`>= 10`"),
        (
            format!("{rule}channels = [\"nobody\"]\n"),
            "there is no channel `nobody`",
        ),
        (
            format!("{rule}inhibited_by = [\"stored\"]\n"),
            "take one out",
        ),
        (format!("{rule}colour = 1\n"), "unknown field"),
        ("x".to_owned(), "TOML"),
        (
            rule.replace(
                "{ kind = \"health\", measure = \"probe.x\" }",
                "{ kind = \"job\", job = \"bakcup\" }",
            ),
            "did you mean `backup`? There are alerts,",
        ),
    ] {
        let error = add(&text).await.unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    sample(&rig, "x", 0, 2.0).await;
    assert_eq!(rig.evaluate(1).await.firing, 1);
    alerts::remove_rule(store, "stored").await.unwrap();
    assert_eq!(rig.evaluate(2).await.firing, 0);
    alerts::remove_rule(store, "stored").await.unwrap_err();
}
