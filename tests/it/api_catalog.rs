//! Catalog, ecosystem and policy by the real binary: every dataset answers as it describes itself, and
//! every figure is that of the report.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::api_analytics::history;
use crate::api_client::{Api, token};
use crate::serving::{configure, home, json as cli, run};

const UNLIMITED: &str = "[api.limits]\nper_minute = 0\nper_hour = 0\n";

fn seeded() -> StdRng {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// Names of an object, or of the fields that a dataset says it has.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(fields) => fields
            .iter()
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect(),
        other => other.as_object().unwrap().keys().cloned().collect(),
    }
}

#[test]
fn every_dataset_answers_as_it_describes_itself() {
    let mut random = seeded();
    let home = home(UNLIMITED);
    let home = home.path();
    let (file, _) = history(&mut random);
    std::fs::write(home.join("metrics.json"), file.to_string()).unwrap();
    assert!(
        run(home, &["dora", "import", "metrics.json"])
            .status
            .success()
    );
    let line =
        json!({"timestamp": chrono::Utc::now().to_rfc3339(), "level": "ERROR", "message": "no"});
    std::fs::write(home.join("app.log"), format!("{line}\n")).unwrap();
    assert!(run(home, &["ingest", "app.log"]).status.success());
    let sampled = run(home, &["jobs", "run", "health_sample"]);
    assert!(sampled.status.success(), "{sampled:?}");
    let api = Api::start(home);
    let read = token(home, "read");
    let catalog = api.json("/api/dora/data-catalog/", &read);
    let datasets = catalog["datasets"].as_array().unwrap();
    assert_eq!((&catalog["total_datasets"], datasets.len()), (&json!(4), 4));
    for dataset in datasets {
        let endpoint = dataset["api_endpoint"].as_str().unwrap();
        let wide = if endpoint.ends_with("dora-metrics") || endpoint.ends_with("deployment-cycles")
        {
            "?days=365"
        } else {
            ""
        };
        let answer = api.json(&format!("{endpoint}{wide}"), &read);
        let data = answer["data"].as_array().unwrap();
        assert!(!data.is_empty(), "{endpoint}: {answer}");
        let metadata = &answer["metadata"];
        let total = metadata
            .get("total_records")
            .or(metadata.get("total_cycles"));
        assert_eq!(total, Some(&json!(data.len())), "{endpoint}");
        let mut known = names(&dataset["schema"]["fields"]);
        known.insert("rows".to_owned());
        assert!(names(&data[0]).is_subset(&known), "{endpoint}: {}", data[0]);
        for parameter in dataset["query_parameters"].as_array().unwrap() {
            let (name, most) = (parameter["name"].as_str().unwrap(), &parameter["max"]);
            if let Some(most) = most.as_u64() {
                let beyond = api.get(&format!("{endpoint}?{name}={}", most + 1), &read);
                assert_eq!(beyond.status, 400, "{endpoint} {name}");
            }
        }
    }
    let rows = file["cycles"].as_array().unwrap().len() * 2;
    let answer = api.json("/api/dora/data-catalog/dora-metrics?days=365", &read);
    assert_eq!(answer["metadata"]["total_records"], rows);
    let stamps: Vec<&str> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["created_at"].as_str().unwrap())
        .collect();
    assert!(
        stamps.is_sorted_by(|newer, older| newer >= older),
        "newest first"
    );

    let days = random.random_range(1..=365);
    let stats = api.json(
        &format!("/api/dora/data-catalog/aggregated-stats?days={days}"),
        &read,
    );
    let metrics = api.json(&format!("/api/dora/metrics?days={days}"), &read);
    for name in [
        "deployment_frequency",
        "change_failure_rate",
        "lead_time_hours",
        "mttr_hours",
    ] {
        assert_eq!(stats[name], metrics["metrics"][name], "{name}");
    }
    let by_phase = stats["by_phase"].as_object().unwrap().values();
    let counted: u64 = by_phase.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(stats["total_metrics"], counted);
}

#[test]
fn statuses_come_with_their_evidence() {
    let mut random = seeded();
    let home = home(UNLIMITED);
    let home = home.path();
    let (file, deployed) = history(&mut random);
    std::fs::write(home.join("metrics.json"), file.to_string()).unwrap();
    assert!(
        run(home, &["dora", "import", "metrics.json"])
            .status
            .success()
    );
    let api = Api::start(home);
    let read = token(home, "read");
    let quality = api.json("/api/dora/ecosystem/quality?days=365", &read);
    let (rows, cycles) = (2 * deployed.len(), deployed.len());
    assert_eq!(quality["total_records"], rows);
    let dimensions = &quality["quality_dimensions"];
    let reasonable = deployed
        .iter()
        .filter(|one| (60.0..=7_200.0).contains(&one.seconds))
        .count();
    assert_eq!(
        dimensions["accuracy"]["reasonable_durations"],
        reasonable + cycles
    );
    assert_eq!(dimensions["consistency"]["inconsistent_cycles"], 0);

    let governance = api.json("/api/dora/ecosystem/governance", &read);
    let rule = &governance["compliance_rules"]["RNF-002"];
    assert_eq!(rule["status"], "compliant", "{governance}");
    let told = cli(home, &["compliance", "--json"]);
    let names = |rules: &Value| -> Vec<String> {
        let rules = rules.as_array().unwrap().iter();
        rules
            .map(|rule| format!("{} {}", rule["name"], rule["compliant"]))
            .collect()
    };
    assert_eq!(names(&rule["evidence"]), names(&told["rules"]));
    for rule in told["rules"].as_array().unwrap() {
        assert!(!rule["evidence"].as_str().unwrap().is_empty(), "{rule}");
    }

    let lineage = api.json("/api/dora/ecosystem/lineage", &read);
    assert_eq!(lineage["data_flows"].as_array().unwrap().len(), 3);
    assert!(
        lineage["data_flows"][0]["stages"][0]["component"][0]["name"].is_string(),
        "{lineage}"
    );
    let health = api.json("/api/dora/ecosystem/health", &read);
    assert_eq!(
        health["data_pipelines"]["dora_metrics_collection"]["throughput_24h"],
        0
    );
    assert!(health["assessed_at"].is_string() && !health["checks"].as_array().unwrap().is_empty());
    let registry = api.json("/api/dora/ecosystem/metadata", &read);
    assert_eq!(registry["datasets"][0]["record_count"], rows, "{registry}");
}

#[test]
fn what_the_policy_forbids_is_found_in_the_configuration() {
    for (address, holds) in [
        ("https://hooks.intern/redis", true),
        ("https://grafana.intern/api/alerts", false),
        ("https://pushgateway.intern/metrics", false),
    ] {
        let home = home("");
        let host = address.split('/').nth(2).unwrap();
        let channel = format!(
            "[alerts]\nallow_hosts = [\"{host}\"]\n[alerts.channels.out]\nkind = \"webhook\"\nurl = \"{address}\"\n"
        );
        configure(home.path(), &channel);
        let output = run(home.path(), &["compliance", "--json"]);
        assert_eq!(
            output.status.code(),
            Some(i32::from(!holds)),
            "{address}: {output:?}"
        );
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["compliant"], holds, "{told}");
    }
}
