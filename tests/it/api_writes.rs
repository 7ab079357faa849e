//! What programs send to the API: recorded once, refused with every mistake, and seen by everybody.

#![expect(clippy::unwrap_used, reason = "tests")]

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::api_client::{Api, Reply, token};
use crate::serving::{home, json as cli, run};

const UNLIMITED: &str = "[api.limits]\nper_minute = 0\nper_hour = 0\nfailures_per_minute = 10000\n";

fn send(api: &Api, method: &str, path: &str, token: &str, key: Option<&str>, body: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    api.ask(method, path, &headers, body)
}

fn made_up(random: &mut StdRng, number: usize) -> Value {
    let phases = ["planning", "testing", "deployment"];
    json!({
        "cycle_id": format!("c-{}", number % 7),
        "feature_id": format!("FEAT-{}", number % 7),
        "phase_name": phases[random.random_range(0..phases.len())],
        "decision": if random.random_bool(0.7) { "success" } else { "failed" },
        "duration_seconds": f64::from(random.random_range(0..1_000_000)) / 100.0,
        "metadata": { "number": number, "text": "\u{1b}[2J ü" },
    })
}

/// Each phase is sent once, twice or more often, by several clients at once: each is there once, and
/// each answer says the row that is there.
#[test]
fn phases_are_recorded_once_however_often_they_are_sent() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home(UNLIMITED);
    let write = token(home.path(), "write");
    let read = token(home.path(), "read");
    let api = Api::start(home.path());
    let phases: Vec<(Value, usize)> = (0..40)
        .map(|number| (made_up(&mut random, number), random.random_range(1..4)))
        .collect();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (api, write, phases) = (&api, &write, &phases);
            scope.spawn(move || {
                for (number, (phase, times)) in phases.iter().enumerate() {
                    // One client sends all of its own; everybody sends some again.
                    if number % 4 != client && *times < 3 {
                        continue;
                    }
                    for _ in 0..*times {
                        let key = format!("key-{number}");
                        let body = phase.to_string();
                        let reply =
                            send(api, "POST", "/api/dora/metrics", write, Some(&key), &body);
                        assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
                        assert_eq!(reply.json()["metadata"]["number"], number);
                    }
                }
            });
        }
    });
    let rows = api.json("/api/dora/metrics?days=1", &read);
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), phases.len());
    for (number, (phase, _)) in phases.iter().enumerate() {
        let row = rows
            .iter()
            .find(|row| row["metadata"]["number"] == number)
            .unwrap();
        for key in [
            "cycle_id",
            "feature_id",
            "phase_name",
            "decision",
            "duration_seconds",
        ] {
            assert_eq!(row[key], phase[key], "{number} {key}");
        }
        let again = send(
            &api,
            "POST",
            "/api/dora/metrics",
            &write,
            Some(&format!("key-{number}")),
            &phase.to_string(),
        );
        assert_eq!(again.status, 200);
        assert_eq!(again.json()["created_at"], row["created_at"]);
    }
    let report = cli(home.path(), &["dora", "report", "--format", "json"]);
    let answer = api.json("/api/dora/report", &read);
    assert_eq!(answer["metrics"], report["metrics"]);
}

#[test]
fn without_a_key_the_same_is_a_duplicate_and_another_is_the_next_attempt() {
    let home = home(UNLIMITED);
    let write = token(home.path(), "write");
    let api = Api::start(home.path());
    let phase = json!({
        "cycle_id": "c-1", "feature_id": "FEAT-1", "phase_name": "testing", "decision": "no-go",
        "duration_seconds": 60, "metadata": {},
    });
    let post = |phase: &Value| {
        send(
            &api,
            "POST",
            "/api/v1/dora/metrics/",
            &write,
            None,
            &phase.to_string(),
        )
    };
    let first = post(&phase);
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(first.json()["id"], "phase:c-1:testing:1");
    assert!(first.json()["created_at"].is_string());
    let again = post(&phase);
    assert_eq!(
        (again.status, &again.json()["error"]),
        (409, &json!("duplicate_cycle"))
    );
    let mut next = phase.clone();
    next["decision"] = json!("go");
    assert_eq!(post(&next).json()["attempt"], 2);
    let mut other = phase.clone();
    other["feature_id"] = json!("FEAT-2");
    other["phase_name"] = json!("planning");
    let refused = post(&other);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("FEAT-1"), "{}", refused.text());
}

#[test]
fn every_mistake_in_a_body_is_told() {
    let home = home(UNLIMITED);
    let admin = token(home.path(), "admin");
    let api = Api::start(home.path());
    let post = |path: &str, body: &str| send(&api, "POST", path, &admin, None, body);
    let reply = post(
        "/api/dora/metrics",
        r#"{"duration_seconds": -1, "team": "x"}"#,
    );
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (400, &json!("validation_error"))
    );
    for field in [
        "cycle_id",
        "feature_id",
        "phase_name",
        "decision",
        "duration_seconds",
        "team",
    ] {
        assert!(
            reply.json()["errors"][field][0].is_string(),
            "{field}: {}",
            reply.text()
        );
    }
    let deep = "[".repeat(100_000);
    let nested = format!("{}{}", "{\"metadata\":".repeat(50_000), "}".repeat(50_000));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\u{feff}{}",
        deep.as_str(),
        nested.as_str(),
    ] {
        for path in [
            "/api/dora/metrics",
            "/api/tokens",
            "/api/alerts/x/acknowledge",
        ] {
            let reply = post(path, body);
            assert!(
                matches!(reply.status, 400 | 404),
                "{path}: {}",
                reply.text()
            );
        }
    }
    assert_eq!(
        post("/api/tokens", r#"{"name":"x","scopes":["all"]}"#).status,
        400
    );
    assert_eq!(
        post("/api/tokens", r#"{"name":"x","expires":"soon"}"#).status,
        400
    );
    assert_eq!(post("/api/tokens", r#"{"name":""}"#).status, 400);
    let made = post(
        "/api/tokens",
        r#"{"name":"by admin","scopes":["read"],"expires":"1h"}"#,
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let text = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(api.get("/api/alerts", &text).status, 200);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let gone = send(
        &api,
        "DELETE",
        &format!("/api/tokens/{id}"),
        &admin,
        None,
        "",
    );
    assert_eq!(gone.json()["state"], "revoked");
    assert_eq!(api.get("/api/alerts", &text).status, 401);
    let page = api.get("/api/docs", &admin);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("POST /api/dora/metrics") && !page.text().contains("<script"));
}

/// Acknowledged by the name of the token, as the command line would.
#[test]
fn an_alert_is_acknowledged_by_a_program() {
    let home = home(&format!("{UNLIMITED}[jobs.alerts]\nenabled = false\n"));
    let now = chrono::Utc::now();
    let lines: String = (0..30)
        .map(|number| format!("{} ERROR shop: no {number}\n", now.to_rfc3339()))
        .collect();
    std::fs::write(home.path().join("app.log"), lines).unwrap();
    assert!(run(home.path(), &["ingest", "app.log"]).status.success());
    run(home.path(), &["jobs", "run", "alerts"]);
    let write = token(home.path(), "read,write");
    let api = Api::start(home.path());
    let path = "/api/alerts/errors/acknowledge";
    let reply = send(&api, "POST", path, &write, None, r#"{"note":"on it"}"#);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["acknowledged"]["by"], "test");
    let shown = api.json("/api/alerts/errors", &write);
    assert_eq!(shown["acknowledged"]["note"], "on it");
}
