//! The HTTP API by the real binary: who may ask, that it says what the command line says, and that
//! addresses, document and page are the same.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::api_client::{Api, token};
use crate::serving::{atalaya, error_of, home, json, run, wait_for};

/// Enough for a test that asks much.
const UNLIMITED: &str = "[api.limits]\nper_minute = 0\nper_hour = 0\nfailures_per_minute = 10000\n";

fn seeded() -> StdRng {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// Every operation of the served document: method, path with something in the place of its names, and
/// the scope that it asks for.
fn operations(document: &Value) -> Vec<(String, String, Option<String>)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace('{', "x").replace('}', "");
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str();
            all.push((method.to_uppercase(), path.clone(), scope.map(Into::into)));
        }
    }
    all
}

#[test]
fn every_address_asks_for_a_token_with_its_scope() {
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let tokens =
        ["read", "write", "admin", "read,write"].map(|scopes| (scopes, token(home.path(), scopes)));
    let document = api.json("/api/openapi.json", &tokens[0].1);
    let operations = operations(&document);
    assert!(operations.len() > 20, "{operations:?}");
    let wrong = tokens[0].1.replace("atl_", "atl-");
    for (method, path, scope) in &operations {
        let Some(scope) = scope else {
            assert!(
                matches!(path.as_str(), "/healthz" | "/readyz"),
                "{path} asks for none"
            );
            assert_eq!(api.ask(method, path, &[], "").status, 200);
            continue;
        };
        let refused = api.ask(method, path, &[], "");
        assert_eq!(refused.status, 401, "{method} {path}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        let other = api.ask(
            method,
            path,
            &[("authorization", &format!("Bearer {wrong}"))],
            "",
        );
        assert_eq!(
            (other.status, other.body),
            (401, refused.body),
            "{method} {path}"
        );
        for (scopes, token) in &tokens {
            let bearer = format!("Bearer {token}");
            let status = api
                .ask(method, path, &[("authorization", &bearer)], "")
                .status;
            let permits = scopes.split(',').any(|one| one == scope || one == "admin");
            assert_eq!(
                status == 403,
                !permits,
                "{method} {path} with {scopes}: {status}"
            );
            assert!(
                status != 401 && status < 500,
                "{method} {path} with {scopes}: {status}"
            );
        }
    }
    assert_eq!(
        api.ask("GET", "/api/nothing", &[], "").status,
        401,
        "not even that it is not there"
    );
    assert_eq!(api.get("/api/nothing", &tokens[0].1).status, 404);
}

#[test]
fn addresses_document_and_page_are_the_same() {
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let read = token(home.path(), "read");
    let document = api.json("/api/openapi.json", &read);
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let page = std::fs::read_to_string(page).unwrap();
    let written: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|cell| {
            ["GET /", "POST /", "DELETE /"]
                .iter()
                .any(|word| cell.starts_with(word))
        })
        .map(|cell| cell.split('?').next().unwrap().to_owned())
        .collect();
    assert_eq!(documented, written);
    // Each answers under its other spellings, too, and to no other method.
    for (method, path, _) in operations(&document) {
        let bearer = format!("Bearer {read}");
        let headers = [("authorization", bearer.as_str())];
        let plain = api.ask(&method, &path, &headers, "");
        for other in [format!("{path}/"), path.replace("/api/", "/api/v1/")] {
            let status = api.ask(&method, &other, &headers, "").status;
            assert_eq!(status, plain.status, "{method} {other}");
        }
        assert!(plain.status != 405, "{method} {path}");
        let put = api.ask("PUT", &path, &headers, "");
        assert_eq!(put.status, 405, "{path}");
        assert_eq!(put.header("content-type"), Some("application/problem+json"));
    }
}

/// Whatever is asked of whichever address: the document has the status and the type of the answer.
#[test]
fn every_answer_is_documented() {
    let mut random = seeded();
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let tokens = ["read", "write", "admin"].map(|scope| token(home.path(), scope));
    let document = api.json("/api/openapi.json", &tokens[0]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for number in 0..12 {
                let word: u32 = random.random();
                let name = operation["parameters"][random.random_range(0..4)]["name"].as_str();
                let query = match number {
                    0 => String::new(),
                    1 | 2 => format!("?nonsense{word}=1"),
                    _ => format!("?{}={}", name.unwrap_or("x"), word % 50),
                };
                let path = path.replace(['{', '}'], "") + &query;
                let bearer = format!("Bearer {}", tokens[number % 3]);
                let kind = ("content-type", "application/json");
                let headers = [("authorization", bearer.as_str()), kind];
                let body = if method == "post" { "{\"a\": 1}" } else { "" };
                let headers = &headers[usize::from(number == 0)..];
                let answer = api.ask(&method.to_uppercase(), &path, headers, body);
                let responses = &operation["responses"];
                let known = &responses[answer.status.to_string()];
                assert!(
                    known.is_object(),
                    "{method} {path}: {} {responses}",
                    answer.status
                );
                let content = known["content"].as_object();
                let given = answer.header("content-type").unwrap_or_default();
                let given = given.split(';').next().unwrap();
                assert!(
                    content.is_none_or(|content| content.contains_key(given)),
                    "{method} {path}: {} {given:?}",
                    answer.status
                );
            }
        }
    }
}

fn record_phases(home: &Path, random: &mut StdRng) {
    let phases = ["planning", "testing", "deployment", "maintenance"];
    for number in 0..random.random_range(6..14) {
        let phase = phases[random.random_range(0..phases.len())];
        let decision = match (phase, random.random_bool(0.3)) {
            ("testing", true) => "no-go",
            ("deployment", true) => "failed",
            ("maintenance", _) => "resolved",
            ("deployment", false) => "success",
            _ => "go",
        };
        let feature = format!("FEAT-{}", number % 4);
        let attempt = (number + 1).to_string();
        let duration = format!("{}s", random.random_range(1..9_000));
        let output = run(
            home,
            &[
                "dora",
                "record",
                "--feature",
                &feature,
                "--phase",
                phase,
                "--decision",
                decision,
                "--duration",
                &duration,
                "--attempt",
                &attempt,
            ],
        );
        assert!(output.status.success(), "{output:?}");
    }
    // Nothing stays open: what does is counted up to now, which is another one for each who asks.
    for number in 0..4 {
        for (phase, decision) in [("deployment", "success"), ("maintenance", "resolved")] {
            let feature = format!("FEAT-{number}");
            let output = run(
                home,
                &[
                    "dora",
                    "record",
                    "--feature",
                    &feature,
                    "--phase",
                    phase,
                    "--decision",
                    decision,
                    "--duration",
                    "60s",
                    "--attempt",
                    "100",
                ],
            );
            assert!(output.status.success(), "{output:?}");
        }
    }
}

fn log_lines(random: &mut StdRng, count: usize) -> String {
    let levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    let now = chrono::Utc::now();
    (0..count)
        .map(|number| {
            let back = chrono::Duration::milliseconds(random.random_range(0..3_600_000));
            let line = json!({
                "timestamp": (now - back).to_rfc3339(),
                "level": levels[random.random_range(0..levels.len())],
                "logger": "shop",
                "message": format!("line {number} \u{1b}[2J \u{202e} {}", random.random::<u32>()),
                "request_id": format!("req-{}", number % 5),
            });
            format!("{line}\n")
        })
        .collect()
}

/// Lines of JSON as `--json` prints them.
fn lines(home: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = run(home, arguments);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The same question has the same answer, whoever is asked.
#[test]
fn figures_and_rows_are_those_of_the_command_line() {
    let mut random = seeded();
    // Alerts stand still while they are compared.
    let home = home(&format!("{UNLIMITED}[jobs.alerts]\nenabled = false\n"));
    let home = home.path();
    record_phases(home, &mut random);
    let count = random.random_range(150..400);
    std::fs::write(home.join("app.log"), log_lines(&mut random, count)).unwrap();
    assert!(run(home, &["ingest", "app.log"]).status.success());
    run(home, &["jobs", "run", "alerts"]);
    let api = Api::start(home);
    let read = token(home, "read");

    for arguments in [&["--days", "30"][..], &["--days", "7", "--profile", "iact"]] {
        let cli = json(
            home,
            &[&["dora", "report", "--format", "json"], arguments].concat(),
        );
        let query: String = arguments
            .chunks(2)
            .map(|pair| format!("&{}={}", pair[0].trim_start_matches('-'), pair[1]))
            .collect();
        for address in ["metrics", "report"] {
            let answer = api.json(&format!("/api/dora/{address}?{}", &query[1..]), &read);
            for key in [
                "metrics",
                "total_cycles",
                "period_days",
                "profile",
                "overall",
            ] {
                assert_eq!(answer[key], cli[key], "{address} {key}");
            }
        }
        let deployments = api.json(&format!("/api/dora/deployments?{}", &query[1..]), &read);
        assert_eq!(deployments["data"], cli["deployments"]);
        let incidents = api.json(&format!("/api/dora/incidents?{}", &query[1..]), &read);
        assert_eq!(incidents["data"], cli["incidents"]);
    }

    let all = lines(home, &["logs", "--json", "--limit", "0", "--utc"]);
    assert_eq!(all.len(), count);
    let answer = api.json("/api/data/query?type=logs&days=1&limit=10000", &read);
    assert_eq!(answer["data"], Value::from(all.clone()));
    assert_eq!(
        (&answer["count"], &answer["query_type"]),
        (&json!(count), &json!("logs"))
    );
    let errors = lines(
        home,
        &["logs", "level>=error", "--json", "--limit", "0", "--utc"],
    );
    let answer = api.json("/api/logs?q=level%3E%3Derror&limit=1000", &read);
    assert_eq!(answer["data"], Value::from(errors.clone()));
    let counted = api.json("/api/logs/histogram?q=level%3E%3Derror&days=1", &read);
    assert_eq!(counted["total"], errors.len());
    let groups = lines(
        home,
        &[
            "logs",
            "level>=info",
            "--json",
            "--utc",
            "--count",
            "rate by source,level top 2 per hour",
        ],
    );
    let counted = api.json(
        "/api/logs/count?q=level%3E%3Dinfo&by=source,level&top=2&per=hour&of=rate&days=1",
        &read,
    );
    assert_eq!(counted["data"], Value::from(groups));
    let infos = lines(home, &["logs", "level>=info", "--json", "--limit", "0"]);
    assert_eq!(counted["total"], infos.len());
    let trace = lines(home, &["trace", "req-3", "--json"]);
    assert_eq!(
        api.json("/api/trace/req-3", &read)["data"],
        Value::from(trace)
    );
    let some = &all[random.random_range(0..all.len())];
    let id = some["id"].as_str().unwrap();
    let context = api.json(
        &format!("/api/logs/context?id={id}&before=3&after=2"),
        &read,
    );
    assert!(context["data"].as_array().unwrap().contains(some));

    // Its exit code says whether something fires.
    let alerts = run(home, &["alerts", "list", "--json"]).stdout;
    let alerts: Value = serde_json::from_slice(&alerts).unwrap();
    assert_eq!(api.json("/api/alerts", &read), alerts);
    for (address, arguments) in [
        ("/api/pdca", &["pdca", "list", "--json"][..]),
        ("/api/backups", &["backup", "list", "--json"]),
    ] {
        assert_eq!(api.json(address, &read), json(home, arguments), "{address}");
    }
    let jobs = api.json("/api/jobs", &read);
    let known = json(home, &["jobs", "list", "--json"]);
    let names = |view: &Value| -> Vec<String> {
        let jobs = view["jobs"].as_array().unwrap().iter();
        jobs.map(|job| format!("{} {}", job["name"], job["schedule"]))
            .collect()
    };
    assert_eq!(names(&jobs), names(&known));
    let health = api.json("/api/data/query?type=health", &read);
    let summary = &health["data"]["summary"];
    assert_eq!(
        summary["total"],
        health["data"]["checks"].as_array().unwrap().len()
    );
    assert_eq!(health.get("days"), None);
}

/// Pages of any size, followed by their links, are the whole list once.
#[test]
fn pages_give_each_record_once() {
    let mut random = seeded();
    let home = home(UNLIMITED);
    let home = home.path();
    std::fs::write(home.join("app.log"), log_lines(&mut random, 300)).unwrap();
    assert!(run(home, &["ingest", "app.log"]).status.success());
    let api = Api::start(home);
    let read = token(home, "read");
    for order in ["newest", "oldest"] {
        let limit = random.random_range(1..90);
        let mut path = format!("/api/logs?q=shop%20or%20line&order={order}&limit={limit}");
        let mut found = Vec::new();
        loop {
            let reply = api.get(&path, &read);
            assert_eq!(reply.status, 200, "{}", reply.text());
            let page = reply.json();
            let rows = page["data"].as_array().unwrap();
            assert!(rows.len() <= limit);
            found.extend(rows.iter().map(|row| row["id"].to_string()));
            let Some(link) = reply.header("link") else {
                assert_eq!(page["next"], Value::Null);
                break;
            };
            path = link
                .strip_prefix('<')
                .unwrap()
                .split('>')
                .next()
                .unwrap()
                .to_owned();
            assert!(path.contains(page["next"].as_str().unwrap()));
        }
        let order = if order == "oldest" {
            &["--oldest-first"][..]
        } else {
            &[]
        };
        let all = lines(home, &[&["logs", "--json", "--limit", "0"], order].concat());
        let all: Vec<String> = all.iter().map(|row| row["id"].to_string()).collect();
        assert_eq!(found, all);
    }
}

#[test]
fn wrong_questions_are_told_with_their_remedy() {
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let read = token(home.path(), "read");
    for (path, status, part) in [
        ("/api/data/query", 400, "valid_types"),
        ("/api/data/query?type=foo", 400, "Invalid query type: foo"),
        ("/api/data/query?type=logs&days=-1", 400, "from 0 to 3650"),
        ("/api/data/query?type=logs&limit=0", 400, "from 1 to 10000"),
        ("/api/data/query?type=metrics&q=x", 400, "only logs"),
        ("/api/dora/metrics?days=0", 400, "from 1 to 3650"),
        (
            "/api/dora/metrics?days=99999999999999999999",
            400,
            "from 1 to 3650",
        ),
        ("/api/dora/metrics?day=1", 400, "unknown field"),
        ("/api/dora/metrics?profile=iakt", 400, "iact"),
        (
            "/api/dora/metrics?days=3&from=2026-01-01&until=2026-02-01",
            400,
            "leave one",
        ),
        ("/api/logs?q=level%3E%3D", 400, "^"),
        ("/api/logs?cursor=abc", 400, "cursor"),
        ("/api/logs/context?id=abc", 400, "record id"),
        (
            "/api/logs/context?id=00000000000000000000000000000001-1",
            404,
            "no record",
        ),
        ("/api/trace/nobody", 404, "nobody"),
        ("/api/jobs/nope/runs", 404, "retention"),
        ("/api/pdca/nope", 404, "nope"),
        ("/api/alerts/nope", 404, "nope"),
    ] {
        let reply = api.get(path, &read);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
        let problem = reply.json();
        assert!(reply.text().contains(part), "{path}: {problem}");
        for key in ["type", "title", "code", "detail", "remedy"] {
            assert!(
                problem[key].as_str().is_some_and(|text| !text.is_empty()),
                "{path} {key}"
            );
        }
    }
}

#[test]
fn an_unchanged_answer_is_not_sent_again_and_ids_come_back() {
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let bearer = format!("Bearer {}", token(home.path(), "read"));
    let ask = |headers: &[(&str, &str)]| {
        let all = [&[("authorization", bearer.as_str())], headers].concat();
        api.ask("GET", "/api/openapi.json", &all, "")
    };
    let first = ask(&[("x-request-id", "my-id-1")]);
    assert_eq!(first.header("x-request-id"), Some("my-id-1"));
    let tag = first.header("etag").unwrap();
    let again = ask(&[("if-none-match", tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag));
    let made = again.header("x-request-id").unwrap();
    assert!(made.starts_with("req-"), "{made}");
    assert_eq!(ask(&[("if-none-match", "\"other\"")]).status, 200);
    let odd = ask(&[("x-request-id", "two words")]);
    assert!(odd.header("x-request-id").unwrap().starts_with("req-"));
    for packed in ["gzip", "zstd"] {
        let reply = ask(&[("accept-encoding", packed)]);
        assert_eq!(reply.header("content-encoding"), Some(packed));
        assert!(reply.body.len() < first.body.len() / 2);
    }
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let home = home(UNLIMITED);
    let api = Api::start(home.path());
    let made = json(home.path(), &["token", "create", "short", "--json"]);
    let text = made["token"].as_str().unwrap();
    assert_eq!(api.get("/api/alerts", text).status, 200);
    let listed = json(home.path(), &["token", "list", "--json"]);
    assert_eq!(listed[0]["name"], "short");
    assert!(listed[0]["last_used_at"].is_string());
    assert!(
        !listed.to_string().contains(&text[21..]),
        "only its id is known"
    );
    let revoked = json(home.path(), &["token", "revoke", "short", "--json"]);
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(api.get("/api/alerts", text).status, 401);
    let again = run(home.path(), &["token", "revoke", "nothing"]);
    assert_eq!(again.status.code(), Some(2), "{}", error_of(&again));
    for wrong in [
        &["token", "create", "x", "--scope", "all"][..],
        &["token", "create", "x", "--expires", "soon"],
        &["token", "create", " "],
    ] {
        let output = run(home.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{}", error_of(&output));
    }
    // Nothing of a token is in any file of the service.
    for entry in [
        "metrics.db",
        "metrics.db-wal",
        "log/serve.log",
        "api-limits.json",
    ] {
        let path = home.path().join(".local/share/atalaya").join(entry);
        let bytes = std::fs::read(path).unwrap_or_default();
        let secret = &text.as_bytes()[21..];
        assert!(
            !bytes.windows(secret.len()).any(|part| part == secret),
            "{entry}"
        );
    }
}

/// A port that is taken is told, nothing else waits for it, and it is had when it is free.
#[test]
fn a_taken_port_is_told_and_taken_over() {
    let first_home = home("");
    let mut first = Api::start(first_home.path());
    let second_home = home("");
    let mut command = atalaya(second_home.path(), &["serve"]);
    command.env("ATALAYA_API__LISTEN", &first.address);
    let second = Api::silent(command);
    let said = wait_for("the reason", || {
        let said = second.said();
        said.contains("cannot listen").then_some(said)
    });
    assert!(
        said.contains(&first.address) && said.contains("[api] listen"),
        "{said}"
    );
    assert!(said.contains("started"), "{said}");
    first.kill();
    wait_for("the port", || {
        second.said().contains("the API listens").then_some(())
    });
    assert_eq!(second.said().matches("cannot listen").count(), 1);
}

#[test]
fn a_wrong_configuration_names_key_and_remedy() {
    for (wrong, part) in [
        ("[api]\nlisten = \"8420\"\n", "api.listen"),
        ("[api]\ntls_key_file = \"/x\"\n", "tls_cert_file"),
        (
            "[api]\ntrusted_proxies = [\"here\"]\n",
            "api.trusted_proxies",
        ),
        ("[api.limits]\nin_flight = 0\n", "between 1 and 4096"),
        ("[api]\nlissten = \"x\"\n", "did you mean `listen`"),
    ] {
        let home = home(wrong);
        let mut command = atalaya(home.path(), &["serve"]);
        command.env_remove("ATALAYA_API__LISTEN");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(error_of(&output).contains(part), "{}", error_of(&output));
    }
    let off = home("[api]\nenabled = false\n");
    let service = Api::silent(atalaya(off.path(), &["serve"]));
    wait_for("the start", || {
        service.said().contains("started").then_some(())
    });
    assert!(!service.said().contains("API"), "{}", service.said());
}
