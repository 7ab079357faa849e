//! Incidents, cycles, windows and tracked deployments through the binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::git_source::{EPOCH, commit, git};

fn atalaya(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

fn report(home: &Path, more: &[&str]) -> Value {
    let base = ["dora", "report", "--format", "json"];
    json(&atalaya(home, &[&base, more].concat()))
}

/// So many hours before now (a negative number: after it), as `--at` takes it.
fn ago(hours: f64) -> String {
    let now = atalaya::domain::time::Timestamp::now().micros();
    atalaya::domain::time::Timestamp::from_micros(now - (hours * 3.6e9) as i64).to_rfc3339()
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn record(&self, cycle: &str, phase: &str, decision: &str, hours: f64, more: &[&str]) -> Value {
        let at = ago(hours);
        let base = [
            "dora",
            "record",
            "--cycle",
            cycle,
            "--feature",
            cycle,
            "--service",
            "shop",
            "--phase",
            phase,
            "--decision",
            decision,
            "--at",
            &at,
            "--json",
        ];
        json(&atalaya(self.path(), &[&base, more].concat()))
    }

    fn incident(&self, arguments: &[&str]) -> Output {
        atalaya(self.path(), &[&["dora", "incident"], arguments].concat())
    }
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap_or(f64::NAN);
    assert!((value - expected).abs() < 0.01, "{value} is not {expected}");
}

#[test]
fn a_blocked_and_a_later_resolved_row_are_one_incident() {
    let home = Home::new();
    home.record("c1", "deployment", "success", 30.0, &[]);
    let opened = home.record("c1", "maintenance", "blocked", 20.0, &[]);
    let ended = home.record("c1", "maintenance", "resolved", 19.0, &[]);
    assert_eq!(opened["incident"], ended["incident"]);
    let report = report(home.path(), &[]);
    assert_eq!(report["incidents"].as_array().unwrap().len(), 1);
    assert_eq!(report["incidents"][0]["deployment"], "c1/deployment#1");
    near(&report["metrics"]["mttr_hours"], 1.0);
}

#[test]
fn a_failed_deployment_recovers_when_it_is_resolved_or_followed_by_a_success() {
    let home = Home::new();
    home.record("c1", "deployment", "failed", 20.0, &[]);
    home.record("c1", "recovery", "resolved", 18.0, &["--duration", "10m"]);
    near(&report(home.path(), &[])["metrics"]["mttr_hours"], 2.0);

    let home = Home::new();
    home.record("c1", "deployment", "failed", 20.0, &[]);
    let open = report(home.path(), &[]);
    assert_eq!(
        open["details"]["failed_deployment_recovery_time"]["lower_bound"],
        true
    );
    home.record("c2", "deployment", "success", 15.0, &[]);
    near(&report(home.path(), &[])["metrics"]["mttr_hours"], 5.0);
}

#[test]
fn a_person_names_an_incident_its_cause_and_its_end() {
    let home = Home::new();
    home.record(
        "c1",
        "deployment",
        "success",
        90.0,
        &["--commit", "0123456789abcdef"],
    );
    home.record(
        "c2",
        "deployment",
        "success",
        40.0,
        &["--request-id", "req-2"],
    );
    let opened = ago(10.0);
    let open = [
        "open",
        "--id",
        "INC-7",
        "--title",
        "checkout is down",
        "--service",
        "shop",
        "--at",
        &opened,
        "--json",
    ];
    let first = json(&home.incident(&open));
    assert_eq!(first["written"]["inserted"], 1);
    let again = json(&home.incident(&open));
    assert_eq!(again["written"]["unchanged"], 1);

    // Outside of the cap it is unlinked, and the nearest deployment is named.
    let unlinked = report(home.path(), &[]);
    assert_eq!(unlinked["incidents"][0]["deployment"], Value::Null);
    let link = unlinked["incidents"][0]["link"].as_str().unwrap();
    assert!(
        link.contains("the nearest is c2/deployment#1, 1 d 6 h before it"),
        "{link}"
    );

    for (argument, value, expected, basis) in [
        ("--commit", "0123456", "c1/deployment#1", "explicit"),
        ("--cycle", "c2", "c2/deployment#1", "explicit"),
        (
            "--deployment",
            "c1/deployment#1",
            "c1/deployment#1",
            "explicit",
        ),
        ("--request-id", "req-2", "c2/deployment#1", "by request id"),
    ] {
        json(&home.incident(&["link", "INC-7", argument, value, "--json"]));
        let linked = report(home.path(), &[]);
        let incident = &linked["incidents"][0];
        assert_eq!(incident["deployment"], expected, "{argument}");
        assert_eq!(incident["link"], basis, "{argument}");
    }
    json(&home.incident(&["resolve", "INC-7", "--at", &ago(7.0), "--json"]));
    let resolved = report(home.path(), &[]);
    near(&resolved["metrics"]["mttr_hours"], 3.0);
    assert_eq!(resolved["incidents"][0]["request_id"], "req-2");
    // A repeated opening does not open it again.
    json(&home.incident(&open));
    near(&report(home.path(), &[])["metrics"]["mttr_hours"], 3.0);
    let listed = text(&home.incident(&["list"]).stdout);
    assert!(listed.contains("INC-7: checkout is down"), "{listed}");
}

#[test]
fn a_persons_word_about_a_cycles_incident_stays() {
    let home = Home::new();
    home.record("c1", "deployment", "success", 30.0, &[]);
    home.record("c1", "maintenance", "blocked", 20.0, &["--attempt", "1"]);
    json(&home.incident(&["resolve", "c1/maintenance#1", "--at", &ago(16.0), "--json"]));
    home.record("c1", "maintenance", "blocked", 20.0, &["--attempt", "1"]);
    near(&report(home.path(), &[])["metrics"]["mttr_hours"], 4.0);
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let home = Home::new();
    home.record("c1", "deployment", "success", 3.0, &["--team", "blue"]);
    let at = ago(1.0);
    let before = ago(2.0);
    assert!(
        home.incident(&["open", "--id", "A", "--title", "t", "--at", &at])
            .status
            .success()
    );
    let cases: [(&[&str], &str); 11] = [
        (&["dora", "incident", "resolve", "B"], "the last ones are A"),
        (
            &["dora", "incident", "resolve", "A", "--at", &before],
            "after",
        ),
        (&["dora", "incident", "link", "A"], "--deployment"),
        (
            &["dora", "incident", "link", "A", "--deployment", "x@1"],
            "c1/deployment#1",
        ),
        (
            &["dora", "incident", "link", "A", "--commit", "xyz"],
            "hexadecimal",
        ),
        (
            &["dora", "incident", "open", "--id", "A", "--title", "other"],
            "resolve",
        ),
        (&["dora", "incident", "open", "--title", " "], "--title"),
        (
            &[
                "dora",
                "record",
                "--cycle",
                "c1",
                "--feature",
                "F2",
                "--phase",
                "testing",
                "--decision",
                "go",
            ],
            "cycle `c1` is of feature `c1`, not of feature `F2`",
        ),
        (
            &[
                "dora",
                "record",
                "--cycle",
                "c1",
                "--feature",
                "c1",
                "--team",
                "red",
                "--phase",
                "testing",
                "--decision",
                "go",
            ],
            "cycle `c1` is of team `blue`, not of team `red`",
        ),
        (
            &[
                "dora",
                "record",
                "--feature",
                "c1",
                "--phase",
                "deployment",
                "--decision",
                "go",
                "--kind",
                "urgent",
            ],
            "normal, hotfix, rollback",
        ),
        (&["dora", "report", "--quarter", "2026-Q7"], "2026-Q3"),
    ];
    for (arguments, expected) in cases {
        let output = atalaya(home.path(), arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    // Nothing of it was recorded.
    let report = report(home.path(), &[]);
    assert_eq!(report["total_cycles"], 1);
    assert_eq!(report["deployments"][0]["team"], "blue");
}

#[test]
fn a_tracked_deployment_that_never_reached_users_is_none() {
    let home = Home::new();
    let track = |arguments: &[&str], script: &str| {
        let base = [
            "track",
            "--feature",
            "F",
            "--phase",
            "deployment",
            "--service",
            "shop",
        ];
        atalaya(
            home.path(),
            &[&base, arguments, &["--", "sh", "-c", script]].concat(),
        )
    };
    assert!(track(&[], "exit 0").status.success());
    assert_eq!(track(&[], "exit 3").status.code(), Some(3));
    let told = report(home.path(), &[]);
    assert_eq!(told["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(told["failed_deployments"].as_array().unwrap().len(), 0);
    assert_eq!(
        track(&["--reached-users", "--kind", "hotfix"], "exit 3")
            .status
            .code(),
        Some(3)
    );
    let told = report(home.path(), &[]);
    assert_eq!(told["deployments"].as_array().unwrap().len(), 2);
    assert_eq!(told["failed_deployments"].as_array().unwrap().len(), 1);
    assert_eq!(told["failed_deployments"][0]["kind"], "hotfix");
    // Another feature's cycle is not overwritten, and the run is kept all the same.
    let output = atalaya(
        home.path(),
        &[
            "track",
            "--cycle",
            "F",
            "--feature",
            "G",
            "--phase",
            "testing",
            "--",
            "true",
        ],
    );
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("`F~G`"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_cycle_time_is_called_so_and_is_no_lead_time() {
    let home = Home::new();
    home.record("c1", "planning", "go", 48.0, &["--duration", "2h"]);
    home.record("c1", "deployment", "success", 40.0, &["--duration", "5m"]);
    home.record("c2", "deployment", "success", 30.0, &["--duration", "5m"]);
    let told = report(home.path(), &[]);
    assert_eq!(told["metrics"]["lead_time_hours"], Value::Null);
    near(&told["metrics"]["cycle_time_hours"], 10.0);
    let lead = &told["details"]["change_lead_time"];
    assert_eq!(lead["title"], "Cycle time");
    assert_eq!(
        (&lead["samples"], &lead["level"]),
        (&1.into(), &Value::Null)
    );
    let shown = text(&atalaya(home.path(), &["dora", "report"]).stdout);
    assert!(
        shown.contains("Cycle time") && !shown.contains("Change lead time"),
        "{shown}"
    );
}

#[test]
fn windows_of_the_past_and_where_the_deployments_are() {
    let home = Home::new();
    let now = atalaya::domain::time::Timestamp::now();
    let hours = (now.micros() / 1_000_000 - EPOCH) / 3_600;
    git(home.path(), 0, &["init", "--quiet", "shop"]);
    let shop = home.path().join("shop");
    for (back, tag) in [(60, "v1.0.0"), (50, "v1.1.0"), (45, "v1.2.0")] {
        commit(&shop, hours - back * 24, tag);
        git(&shop, hours - back * 24, &["tag", tag]);
    }
    assert!(
        atalaya(home.path(), &["dora", "sync", "--repo", "shop"])
            .status
            .success()
    );
    let empty = report(home.path(), &[]);
    assert_eq!(empty["deployments"].as_array().unwrap().len(), 0);
    let note = empty["notes"][0].as_str().unwrap();
    let day = note.rsplit(' ').next().unwrap();
    assert!(note.contains("--until"), "{note}");
    let last = report(home.path(), &["--days", "30", "--until", day]);
    assert_eq!(last["deployments"].as_array().unwrap().len(), 3);
    let from = (now.to_utc() - chrono::TimeDelta::days(52))
        .format("%Y-%m-%d")
        .to_string();
    let part = report(home.path(), &["--from", &from, "--until", day]);
    assert_eq!(part["deployments"].as_array().unwrap().len(), 2);
    assert!(
        part["notes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|note| note.as_str().unwrap().contains("3 tags: 3 are shop")),
        "{}",
        part["notes"]
    );
}

#[test]
fn a_file_with_pythons_numbers_and_two_owners_of_a_cycle() {
    let home = Home::new();
    let cycle = |feature: &str, at: &str| {
        format!(
            r#"{{"cycle_id":"c","feature_id":"{feature}","phases":[
                {{"phase":"deployment","decision":"success","timestamp":"{at}","duration_seconds":60,
                  "metadata":{{"coverage":NaN,"service":"shop"}}}}]}}"#
        )
    };
    let (at, ahead) = (ago(5.0), ago(-50.0));
    for (name, feature, at) in [("one.json", "A", &at), ("two.json", "B", &ahead)] {
        let file = format!(
            r#"{{"cycles":[{}],"last_updated":Infinity}}"#,
            cycle(feature, at)
        );
        std::fs::write(home.path().join(name), file).unwrap();
    }
    let import = |name: &str| json(&atalaya(home.path(), &["dora", "import", name, "--json"]));
    assert_eq!(import("one.json")["phases"]["inserted"], 1);
    for inserted in [1, 0] {
        let two = import("two.json");
        assert_eq!(two["phases"]["inserted"], inserted);
        let flags = two["flags"].to_string();
        for expected in ["kept as `c~B`", "NaN or Infinity", "future"] {
            assert!(flags.contains(expected), "{flags}");
        }
    }
    let told = report(home.path(), &[]);
    assert_eq!(told["deployments"].as_array().unwrap().len(), 1);
}

/// Planning by one team and deployment by another is one cycle; only what comes with its id and has
/// no team in common is another one's, which is kept apart, or flagged as left out.
#[test]
fn a_cycle_of_two_teams_is_imported_whole() {
    let home = Home::new();
    let at = ago(5.0);
    let file = |name: &str, cycles: &[(&str, &[&str])]| {
        let cycles: Vec<String> = cycles
            .iter()
            .map(|(id, teams)| {
                let phases: Vec<String> = teams
                    .iter()
                    .zip(["planning", "testing", "deployment", "maintenance"])
                    .map(|(team, phase)| {
                        format!(
                            r#"{{"phase":"{phase}","decision":"success","timestamp":"{at}",
                                "duration_seconds":60,"metadata":{{"team":"{team}","service":"shop"}}}}"#
                        )
                    })
                    .collect();
                format!(
                    r#"{{"cycle_id":"{id}","feature_id":"A","phases":[{}]}}"#,
                    phases.join(",")
                )
            })
            .collect();
        let text = format!(r#"{{"cycles":[{}]}}"#, cycles.join(","));
        std::fs::write(home.path().join(name), text).unwrap();
        json(&atalaya(home.path(), &["dora", "import", name, "--json"]))
    };
    for inserted in [3, 0] {
        let whole = file("one.json", &[("c", &["red", "ops", "care"])]);
        assert_eq!(whole["phases"]["inserted"], inserted);
        assert_eq!(
            (&whole["cycles"], whole["flags"].as_array().unwrap().len()),
            (&1.into(), 0)
        );
    }
    // Twice in one file, by other teams; then it comes again.
    for inserted in [2, 0] {
        let other = file("two.json", &[("c", &["red"]), ("c", &["blue", "green"])]);
        assert_eq!(
            (&other["phases"]["inserted"], &other["cycles"]),
            (&inserted.into(), &2.into())
        );
        let flags = other["flags"].to_string();
        assert!(flags.contains("kept as `c~blue`"), "{flags}");
    }
    // Each id that it could have is somebody else's.
    let taken: &[(&str, &[&str])] = &[
        ("c~x", &["a"]),
        ("c~x~x", &["a"]),
        ("c~x~x~x", &["a"]),
        ("c", &["x"]),
    ];
    let left = file("three.json", taken);
    assert_eq!(
        (&left["cycles"], &left["phases"]["inserted"]),
        (&3.into(), &3.into())
    );
    let flags = left["flags"].to_string();
    assert!(
        flags.contains("left out") && !flags.contains("kept as"),
        "{flags}"
    );
}
