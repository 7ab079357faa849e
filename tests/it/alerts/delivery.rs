//! Messages on their way to receivers that are slow, down, or wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atalaya::domain::alert::{Message, NoticeKind, Rule};
use atalaya::domain::record::Level;
use atalaya::service::alerts::{self, Delivery};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use xtask::services::certificates;

use super::receiver::{Got, OK, Receiver, Reply};
use super::{ERRORS, Rig, at, webhook};

/// Messages that were answered with success, each once, in order.
fn delivered(got: &[Got]) -> Vec<Message> {
    let mut keys = BTreeSet::new();
    let messages = got.iter().filter(|got| {
        let key = got.header("idempotency-key").unwrap().to_owned();
        keys.insert(key)
    });
    messages
        .map(|got| serde_json::from_str(&got.body).unwrap())
        .collect()
}

/// Fires and ends an alert each two minutes for an hour; returns how many changes that were.
async fn an_hour_of_changes(rig: &mut Rig, courier: &alerts::Courier) -> usize {
    let mut changes = 0;
    for minute in 0..60_i64 {
        if minute % 12 == 0 {
            let second = minute * 60;
            rig.log(
                "shop",
                (0..10).map(|number| (second + number, Level::Error)),
            )
            .await;
        }
        changes += rig.evaluate(minute * 60 + 30).await.notices;
        for second in (0..60).step_by(10) {
            let now = at(minute * 60 + 30 + second);
            courier.turn(&*rig.stores.metrics, now).await.unwrap();
        }
    }
    changes
}

#[tokio::test]
async fn a_channel_that_was_down_for_an_hour_gets_everything_grouped_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let written = certificates::write(folder.path(), &["127.0.0.1".parse().unwrap()]).unwrap();
    for fault in ["429", "500", "hang up", "redirect", "tls"] {
        let receiver = if fault == "tls" {
            Receiver::encrypted(&written.server, &written.server_key)
        } else {
            Receiver::start()
        };
        let channel = if fault == "tls" {
            let url = format!("https://127.0.0.1:{}/hook", receiver.port);
            format!(
                "[alerts.channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nca_file = \"{}\"\n",
                written.stranger.display()
            )
        } else {
            webhook(receiver.port)
        };
        let mut rig = Rig::new(&format!("{ERRORS}{channel}")).await;
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        receiver.answers(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            match fault {
                "429" => Reply::Http("429 Too Many Requests\r\nRetry-After: 600", "slow down"),
                "500" => Reply::Http("500 Internal Server Error", "oops"),
                "redirect" => Reply::Http("302 Found\r\nLocation: https://evil.example/", ""),
                _ => Reply::HangUp,
            }
        });
        let courier = rig.courier();
        let changes = an_hour_of_changes(&mut rig, &courier).await;
        assert_eq!(changes, 10, "{fault}");
        if fault == "429" {
            assert!(tries.load(Ordering::SeqCst) <= 7, "Retry-After is obeyed");
        }
        let states = rig.stores.metrics.channel_states().await.unwrap();
        let answer = states[0].last_answer.clone().unwrap();
        match fault {
            "429" => assert!(
                answer.contains("429") && answer.contains("slow down"),
                "{answer}"
            ),
            "tls" => assert!(answer.contains("certificate"), "{answer}"),
            "redirect" => assert!(answer.contains("not followed"), "{answer}"),
            _ => {}
        }
        receiver.answers(|_| OK);
        if fault == "tls" {
            let good = channel.replace("stranger.pem", "authority.pem");
            rig.configure(&format!("{ERRORS}{good}"));
        }
        let before = receiver.got().len();
        let courier = rig.courier();
        for minute in 61..75 {
            courier
                .turn(&*rig.stores.metrics, at(minute * 60))
                .await
                .unwrap();
        }
        let after = receiver.got().split_off(before);
        let messages = delivered(&after);
        assert_eq!(messages.len(), after.len(), "{fault}: none twice");
        let told: Vec<(String, NoticeKind)> = messages
            .iter()
            .flat_map(|message| {
                message
                    .notices
                    .iter()
                    .map(|notice| (notice.key.clone(), notice.kind))
            })
            .collect();
        assert_eq!(told.len(), changes, "{fault}: everything");
        assert_eq!(
            told.iter()
                .map(|(key, _)| key)
                .collect::<BTreeSet<_>>()
                .len(),
            changes,
            "{fault}: once"
        );
        assert!(messages.len() <= 2, "{fault}: grouped");
        let kinds: Vec<NoticeKind> = told.into_iter().map(|(_, kind)| kind).collect();
        let pairs = kinds
            .chunks(2)
            .all(|two| two == [NoticeKind::Firing, NoticeKind::Resolved]);
        assert!(pairs, "{fault}: in order: {kinds:?}");
    }
}

/// Random faults, restarts and pauses: at the end the receiver knows what is stored.
#[tokio::test]
async fn whatever_happens_on_the_way_each_change_arrives_once_and_in_order() {
    for _ in 0..4 {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut dice = StdRng::seed_from_u64(seed);
        let receiver = Receiver::start();
        let mut rig = Rig::new(&format!("{ERRORS}{}", webhook(receiver.port))).await;
        let mut faults = StdRng::seed_from_u64(seed ^ 1);
        let answered = Arc::new(std::sync::Mutex::new(Vec::<Message>::new()));
        let noted = Arc::clone(&answered);
        receiver.answers(move |got| match faults.random_range(0..5) {
            0 => Reply::Http("503 Service Unavailable\r\nRetry-After: 30", ""),
            1 => Reply::HangUp,
            2 => Reply::Http("500 Internal Server Error", ""),
            _ => {
                noted
                    .lock()
                    .unwrap()
                    .push(serde_json::from_str(&got.body).unwrap());
                OK
            }
        });
        let mut changes = 0;
        for minute in 0..80_i64 {
            if minute < 60 && dice.random_bool(0.1) {
                let second = minute * 60;
                rig.log(
                    "shop",
                    (0..12).map(|number| (second + number, Level::Error)),
                )
                .await;
            }
            changes += rig.evaluate(minute * 60 + 30).await.notices;
            if dice.random_bool(0.2) {
                rig.restart().await;
            }
            let courier = rig.courier();
            for second in [30, 45, 60, 75] {
                courier
                    .turn(&*rig.stores.metrics, at(minute * 60 + second))
                    .await
                    .unwrap();
            }
        }
        receiver.answers({
            let noted = Arc::clone(&answered);
            move |got| {
                noted
                    .lock()
                    .unwrap()
                    .push(serde_json::from_str(&got.body).unwrap());
                OK
            }
        });
        let courier = rig.courier();
        for minute in 90..100 {
            courier
                .turn(&*rig.stores.metrics, at(minute * 60))
                .await
                .unwrap();
        }
        let messages = answered.lock().unwrap().clone();
        let keys: BTreeSet<&str> = messages
            .iter()
            .map(|message| message.key.as_str())
            .collect();
        assert_eq!(
            keys.len(),
            messages.len(),
            "what was answered well is not sent again"
        );
        let created: Vec<_> = messages.iter().map(|message| message.created_at).collect();
        assert!(
            created
                .windows(2)
                .all(|two| two[1].since(two[0]) >= Duration::from_secs(60))
        );
        let notices: Vec<_> = messages
            .iter()
            .flat_map(|message| &message.notices)
            .collect();
        assert_eq!(notices.len(), changes);
        let mut open = BTreeMap::new();
        for notice in notices {
            let known = open.insert(notice.alert.clone(), notice.kind);
            match notice.kind {
                NoticeKind::Firing => assert_eq!(known, None),
                NoticeKind::Resolved => assert_eq!(known, Some(NoticeKind::Firing)),
                other => panic!("{other:?}"),
            }
        }
        assert!(open.values().all(|kind| *kind == NoticeKind::Resolved));
    }
}

#[tokio::test]
async fn ten_thousand_firing_rules_are_one_message_a_minute() {
    let receiver = Receiver::start();
    let rule = "[[alerts.rules]]\nname = \"rule\"\nmeasure = { kind = \"health\", measure = \"health.failing_checks\" }\nwhen = \">= 0\"\n";
    let mut rig = Rig::new(&format!("{rule}{}", webhook(receiver.port))).await;
    // More than a file of configuration holds.
    let rules = &mut rig.settings.alerts.rules;
    let first = rules
        .iter()
        .find(|rule| rule.name == "rule")
        .unwrap()
        .clone();
    rules.extend((1..10_000).map(|number| Rule {
        name: format!("rule-{number}"),
        ..first.clone()
    }));
    let courier = rig.courier();
    let mut turns = 0;
    for minute in 0..4_i64 {
        // A message in the middle of an evaluation does not make more of them.
        courier
            .turn(&*rig.stores.metrics, at(minute * 60))
            .await
            .unwrap();
        let evaluated = rig.evaluate(minute * 60).await;
        assert_eq!(evaluated.firing, 10_000);
        for second in (1..60).step_by(7) {
            let done = courier
                .turn(&*rig.stores.metrics, at(minute * 60 + second))
                .await
                .unwrap();
            turns += done.delivered;
        }
    }
    let messages = delivered(&receiver.got());
    assert_eq!(messages.len() as u64, turns);
    assert_eq!(
        messages.iter().map(|message| message.count).sum::<u64>(),
        10_000
    );
    assert!(
        messages.len() <= 4,
        "{} messages in four minutes",
        messages.len()
    );
}

#[tokio::test]
async fn what_a_receiver_refuses_is_given_up_and_told_elsewhere() {
    let receiver = Receiver::start();
    receiver.answers(|_| Reply::Http("400 Bad Request", "no such field"));
    let mut rig = Rig::new(&format!(
        "{ERRORS}[[alerts.rules]]\nname = \"dead\"\nmeasure = {{ kind = \"health\", measure = \"notifications.dead\" }}\nwhen = \">= 1\"\n[alerts.channels.file]\nkind = \"file\"\n{}",
        webhook(receiver.port)
    ))
    .await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    let done = rig
        .courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    assert_eq!(
        done,
        Delivery {
            delivered: 1,
            failed: 0,
            dead: 1
        }
    );
    assert_eq!(
        rig.evaluate(60).await.notices,
        1,
        "the dead message is an alert"
    );
    rig.courier()
        .turn(&*rig.stores.metrics, at(100))
        .await
        .unwrap();
    let text = std::fs::read_to_string(rig.settings.data_dir.join("alerts.jsonl")).unwrap();
    let lines: Vec<Message> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rules: Vec<&str> = lines
        .iter()
        .map(|line| line.notices[0].rule.as_str())
        .collect();
    assert_eq!(rules, ["shop-errors", "dead"]);
}

#[tokio::test]
async fn after_a_day_a_message_is_given_up() {
    let receiver = Receiver::start();
    receiver.answers(|_| Reply::Http("404 Not Found", "no_service"));
    let mut rig = Rig::new(&format!("{ERRORS}{}", webhook(receiver.port))).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    let courier = rig.courier();
    let hour = 3_600;
    for now in [31, hour, 12 * hour, 23 * hour] {
        let done = courier.turn(&*rig.stores.metrics, at(now)).await.unwrap();
        assert_eq!((done.failed, done.dead), (1, 0), "{now}");
    }
    let done = courier
        .turn(&*rig.stores.metrics, at(24 * hour + 60))
        .await
        .unwrap();
    assert_eq!((done.failed, done.dead), (0, 1));
    assert_eq!(
        rig.stores
            .metrics
            .dead_messages(at(24 * hour))
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_silent_receiver_costs_its_time_limit_and_holds_no_other_channel() {
    let (silent, well) = (Receiver::start(), Receiver::start());
    silent.answers(|_| Reply::Silence(Duration::from_secs(60)));
    let second = webhook(well.port).replace("channels.hook", "channels.well");
    let mut rig = Rig::new(&format!("{ERRORS}{}{second}", webhook(silent.port))).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    let done = rig
        .courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    assert_eq!((done.delivered, done.failed), (1, 1));
    let states = rig.stores.metrics.channel_states().await.unwrap();
    let answer = states[0].last_answer.as_deref().unwrap();
    assert!(answer.contains("no answer within 10 s"), "{answer}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let receiver = Receiver::start();
    let flood: &'static str = Box::leak("x".repeat(50 << 20).into_boxed_str());
    receiver.answers(move |_| Reply::Http("500 Internal Server Error", flood));
    let mut rig = Rig::new(&format!("{ERRORS}{}", webhook(receiver.port))).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    rig.courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    let states = rig.stores.metrics.channel_states().await.unwrap();
    assert!(states[0].last_answer.as_ref().unwrap().len() <= 500);
}

#[tokio::test]
async fn messages_are_signed_and_say_what_happened() {
    let receiver = Receiver::start();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret-canary\n").unwrap();
    let channel = format!(
        "{}secret_file = \"{}\"\n",
        webhook(receiver.port),
        secret.path().display()
    );
    let mut rig = Rig::new(&format!("{ERRORS}{channel}")).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    rig.courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    let got = receiver.got().remove(0);
    let stamp = got.header("x-atalaya-timestamp").unwrap();
    let signature = got.header("x-atalaya-signature").unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret-canary");
    let tag: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&signature["v1=".len()..][at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    ring::hmac::verify(&key, format!("v1:{stamp}:{}", got.body).as_bytes(), &tag).unwrap();
    let body = got.json();
    let notice = &body["notices"][0];
    assert_eq!(notice["rule"], "shop-errors");
    assert_eq!(notice["todo"], "look at the shop");
    assert_eq!(notice["evidence"]["records"].as_array().unwrap().len(), 3);
    assert!(!got.head.contains("canary") && !got.body.contains("canary"));
}

#[tokio::test]
async fn what_waits_for_a_channel_that_is_gone_is_dropped() {
    let receiver = Receiver::start();
    receiver.answers(|_| Reply::Http("500 Internal Server Error", ""));
    let mut rig = Rig::new(&format!("{ERRORS}{}", webhook(receiver.port))).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    rig.courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    rig.configure(ERRORS);
    let courier = rig.courier();
    assert_eq!(
        courier.turn(&*rig.stores.metrics, at(60)).await.unwrap(),
        Delivery::default()
    );
    assert_eq!(
        alerts::drop_unknown(&*rig.stores.metrics, &rig.settings.alerts, at(61))
            .await
            .unwrap(),
        1
    );
    assert!(
        rig.stores
            .metrics
            .waiting_channels()
            .await
            .unwrap()
            .is_empty()
    );
}

/// One channel that cannot be used keeps what it is sent; the others hear of everything.
#[tokio::test]
async fn a_broken_channel_silences_no_other() {
    for broken in [
        "kind = \"slack\"\nurl_env = \"NO_SUCH_VARIABLE\"\n",
        "kind = \"slack\"\nurl_file = \"/nowhere/url\"\n",
        "kind = \"webhook\"\nurl = \"https://localhost/x\"\nca_file = \"/nowhere/ca.pem\"\n",
        "kind = \"webhook\"\nurl = \"https://localhost/x\"\nsecret_file = \"/nowhere/secret\"\n",
    ] {
        let receiver = Receiver::start();
        let channels = format!("{}[alerts.channels.ill]\n{broken}", webhook(receiver.port));
        let mut rig = Rig::new(&format!("{ERRORS}{channels}")).await;
        rig.log("shop", (0..10).map(|second| (second, Level::Error)))
            .await;
        rig.evaluate(30).await;
        let turn = rig
            .courier()
            .turn(&*rig.stores.metrics, at(31))
            .await
            .unwrap();
        assert_eq!((turn.delivered, turn.failed), (1, 1), "{broken}");
        assert_eq!(receiver.got().len(), 1, "{broken}");
        let states = rig.stores.metrics.channel_states().await.unwrap();
        let ill = states.iter().find(|state| state.channel == "ill").unwrap();
        let answer = ill.last_answer.as_deref().unwrap();
        assert!(answer.contains("alerts.channels.ill"), "{answer}");
        assert_eq!(ill.queued, 1, "it waits for the channel to be mended");
    }
}
