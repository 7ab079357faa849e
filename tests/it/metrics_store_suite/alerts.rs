//! Alerts, silences, rules and messages on their way.

use atalaya::domain::alert::message::Tally;
use atalaya::domain::alert::{
    Alert, Comparison, Measure, Message, Notice, NoticeKind, Reading, Rule, RuleOrigin, Severity,
    Silence, advance, tell,
};
use atalaya::store::metrics::{AlertChange, AlertFilter, Ended, StoredRule, Tried};

use super::*;

fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        measure: Measure::Health {
            measure: "x.y".to_owned(),
        },
        when: Comparison::AtLeast,
        threshold: 1.0,
        clear: None,
        hold: Duration::ZERO,
        severity: Severity::Critical,
        labels: BTreeMap::new(),
        channels: Vec::new(),
        todo: "look".to_owned(),
        inhibited_by: Vec::new(),
        origin: RuleOrigin::BuiltIn,
    }
}

/// One evaluation of a rule, with a notice for each channel.
fn change(rule: &Rule, before: Option<&Alert>, value: f64, minute: i64) -> AlertChange {
    let reading = Reading::Value(value, String::new());
    let mut after = advance(before, rule, &reading, at(minute));
    let kind = after
        .as_mut()
        .and_then(|alert| tell(alert, None, at(minute)));
    if let Some(after) = &mut after {
        after.version = before.map_or(0, |before| before.version + 1);
    }
    let notices = after
        .as_ref()
        .zip(kind)
        .map(|(alert, kind)| vec![("ops".to_owned(), Notice::of(alert, kind, at(minute)))]);
    AlertChange {
        id: after
            .as_ref()
            .or(before)
            .map(|alert| alert.id.clone())
            .unwrap(),
        from: before.map(|before| before.version),
        alert: after,
        notices: notices.unwrap_or_default(),
    }
}

/// What waits for a channel, taken out as messages.
async fn drained(store: &Store, channel: &str, minute: i64) -> Vec<Message> {
    let mut all = Vec::new();
    let key = format!("key-{minute}");
    let before = at(minute).saturating_sub(Duration::from_secs(60));
    store
        .group_notices(channel, &key, before, at(minute))
        .await
        .unwrap();
    while let Some(queued) = store
        .claim_message(channel, at(minute), at(minute + 1))
        .await
        .unwrap()
    {
        store
            .record_try(&queued.message.key, Tried::Delivered, at(minute))
            .await
            .unwrap();
        all.push(queued.message);
    }
    all
}

pub async fn an_alert_changes_only_from_the_version_that_was_read(store: Store) {
    let rule = rule("errors");
    let first = change(&rule, None, 2.0, 0);
    assert_eq!(
        store.put_alerts(vec![first.clone()]).await.unwrap(),
        [""; 0]
    );
    assert_eq!(
        store.put_alerts(vec![first]).await.unwrap().len(),
        1,
        "there is one already"
    );
    let second = change(&rule, None, 3.0, 1);
    let refused = store.put_alerts(vec![second.clone()]).await.unwrap();
    assert_eq!(refused, [second.id], "a rule has one alert at a time");
    let stored = store.active_alerts().await.unwrap().remove(0);
    let seen = {
        let mut seen = stored.clone();
        seen.version += 1;
        AlertChange {
            id: seen.id.clone(),
            from: Some(stored.version),
            alert: Some(seen),
            notices: Vec::new(),
        }
    };
    store.put_alerts(vec![seen]).await.unwrap();
    let late = change(&rule, Some(&stored), 0.0, 2);
    assert_eq!(store.put_alerts(vec![late]).await.unwrap().len(), 1);
    let stored = store.active_alerts().await.unwrap().remove(0);
    let end = change(&rule, Some(&stored), 0.0, 3);
    assert_eq!(store.put_alerts(vec![end]).await.unwrap().len(), 0);
    assert_eq!(store.active_alerts().await.unwrap(), []);
    let history = store
        .alert_history(&AlertFilter {
            limit: 9,
            ..AlertFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].resolved_at, Some(at(3)));
    let found = store.alerts_by_id(&history[0].id[..6]).await.unwrap();
    assert_eq!(found, history);
    assert_eq!(store.alerts_by_id("no_%").await.unwrap(), []);
    let kinds: Vec<NoticeKind> = drained(&store, "ops", 9).await[0]
        .notices
        .iter()
        .map(|notice| notice.kind)
        .collect();
    assert_eq!(
        kinds,
        [NoticeKind::Firing, NoticeKind::Resolved],
        "refused ones told nothing"
    );
    assert_eq!(
        store
            .prune_ended(Ended::Alerts, at(3), false)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store.prune_ended(Ended::Alerts, at(4), true).await.unwrap(),
        1
    );
    assert_eq!(
        store
            .prune_ended(Ended::Alerts, at(4), false)
            .await
            .unwrap(),
        1
    );
}

/// Several evaluations of the same rules at once, each from what it read.
pub async fn evaluations_at_once_tell_each_change_once(store: Store) {
    for (minute, value) in [(0, 2.0), (2, 0.0), (4, 5.0)] {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let active = store.active_alerts().await.unwrap();
                    let changes = (0..40).filter_map(|number| {
                        let rule = rule(&format!("rule-{number:02}"));
                        let before = active.iter().find(|alert| alert.rule.name == rule.name);
                        let moment = minute + writer / 2;
                        (before.is_some() || value > 0.0)
                            .then(|| change(&rule, before, value, moment))
                    });
                    store.put_alerts(changes.collect()).await.unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    assert_eq!(store.active_alerts().await.unwrap().len(), 40);
    let messages = drained(&store, "ops", 60).await;
    assert_eq!(messages.len(), 1);
    let mut told = BTreeMap::<(String, NoticeKindName), u32>::new();
    for notice in &messages[0].notices {
        *told
            .entry((notice.rule.clone(), notice.kind.name()))
            .or_default() += 1;
    }
    for number in 0..40 {
        let name = format!("rule-{number:02}");
        assert_eq!(told[&(name.clone(), "firing")], 2, "{name}");
        assert_eq!(told[&(name.clone(), "resolved")], 1, "{name}");
    }
}

type NoticeKindName = &'static str;

pub async fn silences_that_overlap_are_refused(store: Store) {
    let silence = |id: &str, rule: &str, from: i64, until: i64| Silence {
        id: id.to_owned(),
        rule: rule.to_owned(),
        reason: "new disks \u{202e}".to_owned(),
        by: "me".to_owned(),
        from: at(from),
        until: at(until),
    };
    let first = silence("a", "shop-*", 0, 60);
    assert_eq!(store.put_silence(&first).await.unwrap(), written(1, 0, 0));
    assert_eq!(store.put_silence(&first).await.unwrap(), written(0, 0, 1));
    let error = store
        .put_silence(&silence("b", "*-errors", 30, 90))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Conflict { reason, .. } if reason.contains("silence a")),
        "{error}"
    );
    store
        .put_silence(&silence("c", "*-errors", 60, 90))
        .await
        .unwrap();
    assert_eq!(
        store.end_silence("a", at(10)).await.unwrap().unwrap().until,
        at(10)
    );
    assert_eq!(store.end_silence("nothing", at(10)).await.unwrap(), None);
    store
        .put_silence(&silence("d", "shop-errors", 20, 60))
        .await
        .unwrap();
    let all = store.silences(at(15)).await.unwrap();
    let ids: Vec<&str> = all.iter().map(|silence| silence.id.as_str()).collect();
    assert_eq!(ids, ["d", "c"]);
    assert_eq!(all[0].reason, "new disks \u{202e}");
    // Those that were over before are counted, and deleted; the others stay.
    let before = store.silences(Timestamp::MIN).await.unwrap();
    let over = before
        .iter()
        .filter(|silence| silence.until < at(40))
        .count() as u64;
    assert!(over > 0);
    for dry_run in [true, false] {
        assert_eq!(
            store
                .prune_ended(Ended::Silences, at(40), dry_run)
                .await
                .unwrap(),
            over
        );
    }
    let left = store.silences(Timestamp::MIN).await.unwrap();
    assert!(left.iter().all(|silence| silence.until >= at(40)));
    assert_eq!(left.len() as u64, before.len() as u64 - over);
}

pub async fn rules_and_readings_are_kept(store: Store) {
    let rule = |name: &str, body: &str| StoredRule {
        name: name.to_owned(),
        body: body.to_owned(),
        changed_at: at(0),
        changed_by: "me".to_owned(),
    };
    let first = rule("b", "{\"a\":1}");
    assert_eq!(
        store.put_alert_rule(&first).await.unwrap(),
        written(1, 0, 0)
    );
    assert_eq!(
        store.put_alert_rule(&first).await.unwrap(),
        written(0, 0, 1)
    );
    let changed = rule("b", "{\"a\":2}");
    assert_eq!(
        store.put_alert_rule(&changed).await.unwrap(),
        written(0, 1, 0)
    );
    store.put_alert_rule(&rule("a", "{}")).await.unwrap();
    assert_eq!(
        store.alert_rules().await.unwrap(),
        [rule("a", "{}"), changed]
    );
    assert!(store.remove_alert_rule("b").await.unwrap());
    assert!(!store.remove_alert_rule("b").await.unwrap());
    assert_eq!(store.alert_readings().await.unwrap(), None);
    store.put_alert_readings(at(1), "{\"x\":1}").await.unwrap();
    store.put_alert_readings(at(2), "{\"x\":2}").await.unwrap();
    let kept = store.alert_readings().await.unwrap();
    assert_eq!(kept, Some((at(2), "{\"x\":2}".to_owned())));
}

pub async fn notices_become_one_message_a_minute(store: Store) {
    let fire = |number: i64, minute: i64| {
        let rule = Rule {
            severity: if number % 2 == 0 {
                Severity::Info
            } else {
                Severity::Critical
            },
            ..rule(&format!("rule-{number}"))
        };
        change(&rule, None, 2.0, minute)
    };
    assert_eq!(store.count_firing().await.unwrap(), []);
    store.put_alerts(vec![fire(1, 0)]).await.unwrap();
    assert_eq!(drained(&store, "ops", 0).await.len(), 1);
    store
        .put_alerts((2..700).map(|number| fire(number, 0)).collect())
        .await
        .unwrap();
    // Some are seen.
    let mut counted = BTreeMap::<(Severity, bool), u64>::new();
    for alert in store.active_alerts().await.unwrap() {
        let seen = alert.id.as_bytes()[0].is_ascii_digit();
        *counted.entry((alert.rule.severity, seen)).or_default() += 1;
        if seen {
            let change = AlertChange {
                id: alert.id.clone(),
                from: Some(alert.version),
                notices: Vec::new(),
                alert: Some(Alert {
                    version: alert.version + 1,
                    acknowledged: Some(atalaya::domain::alert::Acknowledgement {
                        by: "ana \"a\"".to_owned(),
                        at: at(0),
                        note: None,
                        until_worse_than: None,
                    }),
                    ..alert
                }),
            };
            assert_eq!(store.put_alerts(vec![change]).await.unwrap().len(), 0);
        }
    }
    let groups = store.count_firing().await.unwrap().into_iter();
    let groups: BTreeMap<_, _> = groups
        .map(|group| ((group.severity, group.acknowledged), group.alerts))
        .collect();
    assert_eq!(groups, counted);
    let half = at(0).saturating_add(Duration::from_secs(30));
    let early = store
        .group_notices(
            "ops",
            "early",
            half.saturating_sub(Duration::from_secs(60)),
            half,
        )
        .await
        .unwrap();
    assert_eq!(early, None, "the last message is not a minute old");
    assert_eq!(store.waiting_channels().await.unwrap(), ["ops"]);
    let messages = drained(&store, "ops", 1).await;
    let [message] = &messages[..] else {
        panic!("{} messages", messages.len())
    };
    assert_eq!((message.count, message.resolved), (698, 0));
    assert_eq!(message.notices.len(), 200);
    assert!(
        message
            .notices
            .iter()
            .all(|notice| notice.severity == Severity::Critical),
        "the worst are spelt out"
    );
    assert_eq!(drained(&store, "ops", 5).await, []);
    assert_eq!(store.waiting_channels().await.unwrap(), [""; 0]);
}

pub async fn messages_go_in_order_and_to_one_who_asks(store: Store) {
    let message = |key: &str, minute: i64| {
        let tally = Tally {
            count: 1,
            resolved: 0,
        };
        Message::group("ops", key.to_owned(), Vec::new(), tally, at(minute))
    };
    for (key, minute) in [("m1", 0), ("m2", 1), ("m3", 2)] {
        store.put_message(&message(key, minute)).await.unwrap();
    }
    // Once more is the same message.
    store.put_message(&message("m2", 7)).await.unwrap();
    // Four at once: one gets the oldest, nobody the next.
    let takers: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim_message("ops", at(5), at(6)).await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].message, message("m1", 0));
    let later = Tried::Later {
        next_at: at(20),
        answer: "HTTP 429 \u{1b}".to_owned(),
    };
    store.record_try("m1", later, at(5)).await.unwrap();
    let claim = async |minute| {
        store
            .claim_message("ops", at(minute), at(minute + 1))
            .await
            .unwrap()
    };
    assert_eq!(claim(19).await, None, "the others wait behind it");
    let again = claim(20).await.unwrap();
    assert_eq!((again.message.key.as_str(), again.attempts), ("m1", 1));
    // Whoever took it died: it is taken again when its time is over.
    assert_eq!(claim(20).await, None);
    assert_eq!(claim(21).await.unwrap().message.key, "m1");
    let states = store.channel_states().await.unwrap();
    assert_eq!(
        (states[0].queued, states[0].oldest_queued),
        (3, Some(at(0)))
    );
    assert_eq!(states[0].last_answer.as_deref(), Some("HTTP 429 \u{1b}"));
    let dead = Tried::Dead {
        answer: "HTTP 400".to_owned(),
    };
    store.record_try("m1", dead, at(30)).await.unwrap();
    store
        .record_try("m1", Tried::Delivered, at(31))
        .await
        .unwrap();
    assert_eq!(store.dead_messages(at(30)).await.unwrap(), 1);
    assert_eq!(store.dead_messages(at(31)).await.unwrap(), 0);
    assert_eq!(claim(32).await.unwrap().message.key, "m2");
    store
        .record_try("m2", Tried::Delivered, at(32))
        .await
        .unwrap();
    assert_eq!(store.drop_channel("ops", at(33)).await.unwrap(), 1);
    assert_eq!(claim(40).await, None);
    assert_eq!(
        store
            .prune_ended(Ended::Messages, at(33), false)
            .await
            .unwrap(),
        2
    );
}
