//! `atalaya dora` from the outside: sync, import, record, report.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::git_source::{commit, git};

fn atalaya(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Hours from the fixed start of the git tests to an hour ago, so that the window holds the commits.
fn recent() -> i64 {
    let now = atalaya::domain::time::Timestamp::now().micros() / 1_000_000;
    (now - 1_791_158_400) / 3_600 - 1
}

#[test]
fn an_empty_store_has_no_number_and_no_class() {
    let home = tempfile::tempdir().unwrap();
    let report = json(&atalaya(
        home.path(),
        &["dora", "report", "--format", "json"],
    ));
    for key in [
        "lead_time_hours",
        "deployment_frequency",
        "change_failure_rate",
        "mttr_hours",
    ] {
        assert_eq!(report["metrics"].get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(report["overall"]["level"], Value::Null);
    assert_eq!(
        report["details"]["deployment_frequency"]["not_available"],
        "no deployment source"
    );
    let shown = text(&atalaya(home.path(), &["dora", "report"]).stdout);
    assert!(
        shown.contains("N/A (no deployment source)") && shown.contains("insufficient data"),
        "{shown}"
    );
}

#[test]
fn syncing_twice_changes_nothing_and_a_deleted_tag_is_withdrawn() {
    let home = tempfile::tempdir().unwrap();
    let start = recent() - 72;
    git(home.path(), start, &["init", "--quiet", "shop"]);
    let shop = home.path().join("shop");
    for (hours, tag) in [(0, "v1.0.0"), (24, "v1.1.0"), (48, "v1.2.0")] {
        commit(&shop, start + hours, &format!("for {tag}"));
        git(&shop, start + hours + 6, &["tag", "-a", tag, "-m", tag]);
    }
    let first = json(&atalaya(
        home.path(),
        &["dora", "sync", "--repo", "shop", "--json"],
    ));
    assert_eq!(
        (
            first["deployments"].as_u64(),
            first["written"]["inserted"].as_u64()
        ),
        (Some(3), Some(3))
    );
    let again = json(&atalaya(
        home.path(),
        &["dora", "sync", "--repo", "shop", "--json"],
    ));
    assert_eq!(
        again["written"],
        serde_json::json!({"inserted": 0, "updated": 0, "unchanged": 3})
    );

    let report = json(&atalaya(
        home.path(),
        &["dora", "report", "--format", "json", "--service", "shop"],
    ));
    assert_eq!(report["metrics"]["lead_time_hours"], 6.0);
    assert_eq!(report["details"]["change_lead_time"]["samples"], 2);
    assert_eq!(report["metrics"]["deployment_frequency"], 0.1);
    assert_eq!(report["metrics"]["change_failure_rate"], Value::Null);
    assert_eq!(
        report["details"]["change_failure_rate"]["not_available"],
        "no incident source"
    );
    assert_eq!(report["slowest_changes"][0]["deployment"], "shop@v1.2.0");

    git(&shop, start + 60, &["tag", "-d", "v1.1.0"]);
    let after = json(&atalaya(
        home.path(),
        &["dora", "sync", "--repo", "shop", "--json"],
    ));
    assert_eq!(after["withdrawn"], 1);
    let report = json(&atalaya(
        home.path(),
        &["dora", "report", "--format", "json"],
    ));
    assert_eq!(report["details"]["deployment_frequency"]["samples"], 2);
    let quiet = json(&atalaya(
        home.path(),
        &["dora", "sync", "--repo", "shop", "--json"],
    ));
    assert_eq!(
        (
            quiet["withdrawn"].as_u64(),
            quiet["written"]["updated"].as_u64()
        ),
        (Some(0), Some(0))
    );
}

#[test]
fn the_first_report_reads_the_repository_it_stands_in() {
    let home = tempfile::tempdir().unwrap();
    let start = recent() - 10;
    git(home.path(), start, &["init", "--quiet", "."]);
    commit(home.path(), start, "one");
    git(home.path(), start, &["tag", "v1.0.0"]);
    let output = atalaya(home.path(), &["dora", "report", "--format", "markdown"]);
    assert!(output.status.success());
    assert!(
        text(&output.stdout).starts_with("# DORA metrics: all services, production"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        text(&output.stderr).contains("1 deployments from version tags"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_imported_file_gives_the_older_figures_and_the_standard_ones() {
    let home = tempfile::tempdir().unwrap();
    let at = |hours: i64| {
        let now = atalaya::domain::time::Timestamp::now();
        (now.to_utc() - chrono::TimeDelta::hours(hours))
            .format("%Y-%m-%dT%H:%M:%S%.6f")
            .to_string()
    };
    let cycle = |id: &str, phases: &[(&str, &str, i64, u32)]| {
        let phases: Vec<Value> = phases
            .iter()
            .map(|&(phase, decision, hours, seconds)| {
                serde_json::json!({"phase": phase, "decision": decision, "timestamp": at(hours), "duration_seconds": seconds, "metadata": {"service": "shop"}})
            })
            .collect();
        serde_json::json!({"cycle_id": id, "feature_id": format!("F-{id}"), "start_time": at(100), "phases": phases})
    };
    let file = serde_json::json!({"cycles": [
        cycle("c1", &[("testing", "go", 90, 600), ("deployment", "success", 80, 1_800)]),
        cycle("c2", &[("testing", "no-go", 72, 600), ("testing", "go", 70, 600), ("deployment", "success", 60, 5_400), ("incident", "fixed", 58, 3_600)]),
    ], "last_updated": at(1)});
    std::fs::write(home.path().join("metrics.json"), file.to_string()).unwrap();

    let first = json(&atalaya(
        home.path(),
        &["dora", "import", "metrics.json", "--zone", "UTC", "--json"],
    ));
    assert_eq!(first["phases"]["inserted"], 6);
    assert_eq!(first["flags"], serde_json::json!([]));
    let again = json(&atalaya(
        home.path(),
        &["dora", "import", "metrics.json", "--zone", "UTC", "--json"],
    ));
    for what in ["phases", "deployments", "incidents"] {
        assert_eq!(
            (
                again[what]["inserted"].as_u64(),
                again[what]["updated"].as_u64()
            ),
            (Some(0), Some(0)),
            "{what}"
        );
    }

    let report = json(&atalaya(
        home.path(),
        &["dora", "report", "--format", "json"],
    ));
    assert_eq!(report["metrics"]["change_failure_rate"], 50.0);
    assert_eq!(report["metrics"]["mttr_hours"], 1.0);
    assert_eq!(report["total_cycles"], 2);
    assert_eq!(report["failed_deployments"][0]["id"], "c2/deployment#1");
    assert_eq!(report["incidents"][0]["link"], "explicit");

    let older = json(&atalaya(
        home.path(),
        &["dora", "report", "--format", "json", "--profile", "iact"],
    ));
    assert_eq!(older["metrics"]["lead_time_hours"], 1.0);
    assert_eq!(older["metrics"]["deployment_frequency"], 2.0);
    let no_go = older["metrics"]["change_failure_rate"].as_f64().unwrap();
    assert!((no_go - 100.0 / 3.0).abs() < 1e-9);
    assert_eq!(older["thresholds"], "iact-web");
}

#[test]
fn recording_a_phase() {
    let home = tempfile::tempdir().unwrap();
    let record = |more: &[&str]| {
        let base = [
            "dora",
            "record",
            "--feature",
            "FEAT-1",
            "--phase",
            "deployment",
            "--decision",
            "success",
            "--json",
        ];
        json(&atalaya(home.path(), &[&base, more].concat()))
    };
    let first = record(&[
        "--duration",
        "90s",
        "--service",
        "shop",
        "--attempt",
        "1",
        "--at",
        "2026-10-05T10:00:00Z",
    ]);
    assert_eq!(
        (first["attempt"].as_u64(), first["deployment"].as_str()),
        (Some(1), Some("FEAT-1/deployment#1"))
    );
    let same = record(&[
        "--duration",
        "90s",
        "--service",
        "shop",
        "--attempt",
        "1",
        "--at",
        "2026-10-05T10:00:00Z",
    ]);
    assert_eq!(
        same["written"],
        serde_json::json!({"inserted": 0, "updated": 0, "unchanged": 1})
    );
    assert_eq!(record(&["--service", "shop"])["attempt"], 2);
}

#[test]
fn what_is_wrong_ends_with_two_and_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("other.json"), "{}").unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["dora", "sync", "--repo", "nowhere"], "--repo"),
        (&["dora", "sync"], "not in a git repository"),
        (&["dora", "import", "nowhere.json"], "nowhere.json"),
        (&["dora", "import", "other.json"], "`cycles`"),
        (&["dora", "report", "--profile", "best"], "dora, iact"),
        (
            &["dora", "report", "--thresholds", "dora-1999"],
            "dora-2023",
        ),
        (&["dora", "report", "--days", "0"], "1..=3650"),
        (
            &[
                "dora",
                "record",
                "--feature",
                "F",
                "--phase",
                "launch",
                "--decision",
                "go",
            ],
            "planning",
        ),
    ];
    for (arguments, expected) in cases {
        let output = atalaya(home.path(), arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
