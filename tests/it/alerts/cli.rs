//! `atalaya alerts` as people and scripts use it.

use std::process::{Command, Output};

use atalaya::domain::record::Level;
use serde_json::Value;

use super::receiver::{Receiver, Reply};
use super::{ERRORS, Rig, at, webhook};

fn atalaya(rig: &Rig, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .current_dir(rig.folder.path())
        .env_clear()
        .env("HOME", rig.folder.path())
        .env("PATH", "/usr/bin:/bin")
        .args(["--config", "config.toml", "--data-dir", "data"])
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_from_the_list_to_the_history() {
    let mut rig = Rig::new(ERRORS).await;
    let (code, text) = said(&atalaya(&rig, &["alerts", "list"]));
    assert_eq!((code, text.as_str()), (Some(0), "nothing fires\n"));
    rig.log("shop", (0..12).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    let list = atalaya(&rig, &["alerts", "list", "--json"]);
    assert_eq!(list.status.code(), Some(1), "something fires");
    let id = json(&list)[0]["id"].as_str().unwrap().to_owned();
    let (_, shown) = said(&atalaya(&rig, &["alerts", "show", &id[..4]]));
    for part in [
        "shop-errors",
        "look at the shop",
        "req-11",
        "<!channel> order 11 failed",
        "level>=error source:shop",
    ] {
        assert!(shown.contains(part), "`{part}` is missing:\n{shown}");
    }
    let (code, text) = said(&atalaya(
        &rig,
        &[
            "alerts",
            "ack",
            "shop-errors",
            "--note",
            "on it",
            "--until-worse",
            "--by",
            "ana",
        ],
    ));
    assert!(
        code == Some(0) && text.contains("by ana") && text.contains("until it is worse than 12"),
        "{text}"
    );
    let rules = json(&atalaya(&rig, &["alerts", "rules", "--json"]));
    assert_eq!(rules[0]["name"], "shop-errors");
    assert_eq!(
        (rules[0]["value"].as_f64(), rules[0]["state"].as_str()),
        (Some(12.0), Some("firing"))
    );
    assert!((rules[0]["distance"].as_f64().unwrap() - 0.2).abs() < 1e-9);
    let now = json(&atalaya(&rig, &["alerts", "rules", "--now", "--json"]));
    assert_eq!(now[0]["value"], 0.0, "the records are of another time");
    rig.evaluate(1_000).await;
    let history = json(&atalaya(
        &rig,
        &["alerts", "history", "--rule", "shop-errors", "--json"],
    ));
    assert_eq!(history[0]["state"], "resolved");
    assert_eq!(history[0]["firing_since"], at(30).to_rfc3339());
}

#[tokio::test(flavor = "multi_thread")]
async fn silences_are_made_listed_and_ended() {
    let rig = Rig::new(ERRORS).await;
    let make = [
        "alerts",
        "silence",
        "shop-*",
        "--for",
        "2h",
        "--reason",
        "new disks",
        "--json",
    ];
    let made = json(&atalaya(&rig, &make));
    let id = made[0]["id"].as_str().unwrap().to_owned();
    let (code, text) = said(&atalaya(&rig, &make));
    assert!(
        code == Some(2) && text.contains(&id) && text.contains("end that one first"),
        "{text}"
    );
    let (_, text) = said(&atalaya(&rig, &["alerts", "silence", "--list"]));
    assert!(text.contains("now") && text.contains("new disks"), "{text}");
    let (code, text) = said(&atalaya(&rig, &["alerts", "silence", "--end", &id]));
    assert!(code == Some(0) && text.contains("over"), "{text}");
    let (_, text) = said(&atalaya(&rig, &["alerts", "silence", "--list"]));
    assert_eq!(text, "no silence\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_one_error_with_its_remedy() {
    let rig = Rig::new(ERRORS).await;
    std::fs::write(rig.path("rule.toml"), "name = \"x\"\nmeasure = { kind = \"count\", query = \"levl:error\", window = \"5m\" }\nwhen = \"> 1\"\n").unwrap();
    for (arguments, says) in [
        (&["show", "ffff"][..], "no alert has the id `ffff`"),
        (&["ack", "shop-errors"], "no alert has the id"),
        (&["silence", "shop"], "needs an end"),
        (&["silence", "shop-errors", "--for", "2 weeks"], "`4h`"),
        (&["silence", "shop-errors", "--for", "2h"], "--reason"),
        (
            &["silence", "shop-error", "--for", "2h", "--reason", "x"],
            "did you mean `shop-errors`?",
        ),
        (
            &[
                "silence",
                "shop-errors",
                "--until",
                "tomorrow",
                "--reason",
                "x",
            ],
            "2026-03-06T17:00:00Z",
        ),
        (
            &[
                "silence",
                "shop-errors",
                "--until",
                "2001-01-01T00:00:00Z",
                "--reason",
                "x",
            ],
            "a later end",
        ),
        (&["silence", "--end", "nothing"], "--list"),
        (&["rules", "--add", "rule.toml"], "rule.toml: query"),
        (&["rules", "--add", "nowhere.toml"], "nowhere.toml"),
        (&["rules", "--remove", "errors"], "`disable`"),
        (&["test", "nobody"], "there is no channel `nobody`"),
    ] {
        let all: Vec<&str> = std::iter::once("alerts")
            .chain(arguments.iter().copied())
            .collect();
        let (code, text) = said(&atalaya(&rig, &all));
        assert!(
            code == Some(2) && text.contains(says),
            "{arguments:?}: {code:?} {text}"
        );
        assert!(text.starts_with("atalaya: "), "{arguments:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_one_error_with_its_place() {
    let rig = Rig::new(ERRORS).await;
    let good = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    for (from, to, place, remedy) in [
        (
            "level>=error",
            "levl>=error",
            "alerts.rules[1] `shop-errors`: query",
            "expected",
        ),
        ("when = \">= 10\"", "when = \"ten\"", "when", "`>= 10`"),
        (
            "severity = \"critical\"",
            "severity = \"critcal\"",
            "line",
            "did you mean `critical`?",
        ),
        (
            "severity = \"critical\"",
            "channels = [\"ops\"]",
            "channels",
            "[alerts.channels.ops]",
        ),
        ("todo =", "tood =", "line", "did you mean `todo`?"),
        (
            "{ kind = \"count\", query = \"level>=error source:shop\", window = \"5m\" }",
            "{ kind = \"job\", job = \"nightly\" }",
            "`shop-errors`: job",
            "use one of alerts,",
        ),
    ] {
        std::fs::write(rig.path("config.toml"), good.replace(from, to)).unwrap();
        for command in [
            &["config", "check"][..],
            &["alerts", "list"],
            &["logs", "--limit", "1"],
        ] {
            let (code, text) = said(&atalaya(&rig, command));
            assert!(code == Some(2), "{to}: {command:?}: {text}");
            assert!(
                text.contains("config.toml") && text.contains(place) && text.contains(remedy),
                "{to}: {text}"
            );
        }
    }
    // A secret that is not there stops only who needs it.
    std::fs::write(
        rig.path("config.toml"),
        format!("{good}[alerts.channels.s]\nkind = \"slack\"\nurl_env = \"SLACK_URL\"\n"),
    )
    .unwrap();
    for (command, expected) in [
        (&["config", "check"][..], 2),
        (&["alerts", "test"], 2),
        (&["alerts", "list"], 0),
    ] {
        let (code, text) = said(&atalaya(&rig, command));
        assert_eq!(code, Some(expected), "{command:?}: {text}");
        assert!(
            expected == 0
                || text.contains("SLACK_URL") && text.contains("alerts.channels.s.url_env"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_goes_through_every_channel() {
    let (well, ill) = (Receiver::start(), Receiver::start());
    ill.answers(|_| Reply::Http("403 Forbidden", "invalid_token \u{1b}[2J"));
    let second = webhook(ill.port).replace("channels.hook", "channels.ill");
    let command = "[alerts.channels.page]\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"cat > paged\"]\n[alerts.channels.file]\nkind = \"file\"\n";
    let rig = Rig::new(&format!("{}{second}{command}", webhook(well.port))).await;
    let output = atalaya(&rig, &["alerts", "test", "--json"]);
    assert_eq!(output.status.code(), Some(1), "one does not take it");
    let results = json(&output);
    let ok = |name: &str| {
        let all = results.as_array().unwrap();
        all.iter().find(|one| one["channel"] == name).unwrap()["ok"]
            .as_bool()
            .unwrap()
    };
    assert!(
        ok("hook") && ok("file") && ok("page") && !ok("ill"),
        "{results}"
    );
    assert_eq!(well.got()[0].json()["notices"][0]["rule"], "test");
    assert!(
        std::fs::read_to_string(rig.path("paged"))
            .unwrap()
            .contains("\"test\"")
    );
    let (code, text) = said(&atalaya(&rig, &["alerts", "test", "ill"]));
    assert!(
        code == Some(1) && text.contains("403") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert_eq!(well.got().len(), 1, "only the named one");
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_show_what_waits_and_what_was_answered() {
    let receiver = Receiver::start();
    receiver.answers(|_| Reply::Http("500 Internal Server Error", "oops"));
    let mut rig = Rig::new(&format!("{ERRORS}{}", webhook(receiver.port))).await;
    rig.log("shop", (0..10).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    rig.courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    let (code, text) = said(&atalaya(&rig, &["alerts", "channels"]));
    assert!(
        code == Some(0) && text.contains("1 waiting") && text.contains("oops"),
        "{text}"
    );
    let channels = json(&atalaya(&rig, &["alerts", "channels", "--json"]));
    assert_eq!(channels[0]["messages_waiting"], 1);
}

/// Instants, wherever they stand: RFC 3339, as the rest of the program writes them.
fn check_instants(key: &str, value: &Value, found: &mut usize) {
    let names_one = key.ends_with("_at")
        || key.ends_with("_since")
        || ["at", "from", "until", "oldest_waiting", "last_delivered"].contains(&key);
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| check_instants(key, value, found)),
        Value::Array(values) => values
            .iter()
            .for_each(|value| check_instants("", value, found)),
        Value::String(text) if names_one => {
            chrono::DateTime::parse_from_rfc3339(text).unwrap();
            *found += 1;
        }
        Value::Number(number) => {
            assert!(number.as_f64().unwrap() < 1e12, "`{key}` is {number}");
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_and_labels_stand_in_every_answer_and_message() {
    let receiver = Receiver::start();
    let labelled = ERRORS.replace(
        "todo =",
        "labels = { team = \"shop\", tier = \"1\" }\ntodo =",
    );
    let mut rig = Rig::new(&format!("{labelled}{}", webhook(receiver.port))).await;
    rig.log("shop", (0..12).map(|second| (second, Level::Error)))
        .await;
    rig.evaluate(30).await;
    rig.courier()
        .turn(&*rig.stores.metrics, at(31))
        .await
        .unwrap();
    let quiet = [
        "alerts", "silence", "shop-*", "--for", "2h", "--reason", "x",
    ];
    assert!(atalaya(&rig, &quiet).status.success());
    assert!(
        atalaya(&rig, &["alerts", "ack", "shop-errors"])
            .status
            .success()
    );
    let message = receiver.got().remove(0).json();
    assert_eq!(message["notices"][0]["labels"]["team"], "shop");
    let mut found = 0;
    check_instants("", &message, &mut found);
    assert!(found >= 4, "{message}");
    for command in [
        &["alerts", "list", "--json"][..],
        &["alerts", "show", "shop-errors", "--json"],
        &["alerts", "history", "--json"],
        &["alerts", "rules", "--json"],
        &["alerts", "silence", "--list", "--json"],
        &["alerts", "channels", "--json"],
    ] {
        let mut found = 0;
        let answer = json(&atalaya(&rig, command));
        check_instants("", &answer, &mut found);
        assert!(found > 0, "{command:?}: {answer}");
    }
    let (_, text) = said(&atalaya(&rig, &["alerts", "show", "shop-errors"]));
    assert!(text.contains("team=shop, tier=1"), "{text}");
    let (_, text) = said(&atalaya(&rig, &["alerts", "rules"]));
    assert!(text.contains("labels: team=shop, tier=1"), "{text}");
}

/// Whatever is configured for real, nothing of a made-up company is sent there, whoever opens it.
#[test]
fn made_up_data_is_told_to_nobody() {
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    super::configured(
        folder.path(),
        &format!("{ERRORS}{}", webhook(receiver.port)),
    );
    let run = |data: &str, arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", "/usr/bin:/bin")
            .args(["--config", "config.toml", "--data-dir", data])
            .args(arguments)
            .output()
            .unwrap()
    };
    let filled = run("other", &["demo", "--fill", "company"]);
    assert!(filled.status.success(), "{:?}", said(&filled));
    let channels = json(&run("company", &["alerts", "channels", "--json"]));
    assert_eq!(channels[0]["channel"], "file", "{channels}");
    assert_eq!(channels.as_array().unwrap().len(), 1, "{channels}");
    // Its rules are its own: those that its alerts began by, and none of the user's.
    let rules = run("company", &["alerts", "rules"]);
    let (_, rules) = said(&rules);
    assert!(rules.contains("slow-answers"), "{rules}");
    assert!(!rules.contains("shop-errors"), "{rules}");
    run("company", &["alerts", "test"]);
    assert!(receiver.got().is_empty());
    assert!(folder.path().join("company/alerts.jsonl").exists());
    let channels = json(&run("other", &["alerts", "channels", "--json"]));
    assert_eq!(
        channels[0]["channel"], "hook",
        "what is real goes where it should"
    );
}
