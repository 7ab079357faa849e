//! DORA figures against those of others: DevLake's tables, and a real project's history whose lead
//! times were computed with plain git.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use atalaya::domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::dora::failures::Delivered;
use atalaya::domain::dora::{Facts, Metric, Rules, Scope, Sources, Value, lead_time, report};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::source::git::{Carries, Commit, History, Mark, assign};

use crate::golden::{TableRow, csv_table as table, data_path, table_time as time};

fn read(path: &str) -> String {
    let path = data_path(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One of DevLake's deployment commits: its scope and repository together are our service.
pub fn deployment(row: &TableRow, finished: &str) -> Deployment {
    Deployment {
        id: row["id"].clone(),
        service: format!("{} {}", row["cicd_scope_id"], row["repo_url"]),
        team: None,
        environment: row["environment"].clone(),
        commit: Some(row["commit_sha"].clone()),
        started_at: Some(time(&row["started_date"])),
        finished_at: time(&row[finished]),
        // A run that failed never reached users: there it is no deployment.
        result: if row["result"] == "SUCCESS" {
            DeploymentResult::Success
        } else {
            DeploymentResult::Aborted
        },
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "devlake".to_owned(),
        taken_back_by: None,
        commits: None,
    }
}

/// Id of the previous successful deployment of each, as ours finds it.
pub fn previous(deployments: &[Deployment]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let environments: std::collections::BTreeSet<&str> = deployments
        .iter()
        .map(|deployment| deployment.environment.as_str())
        .collect();
    for environment in environments {
        let facts = Facts {
            deployments,
            ..Facts::default()
        };
        let delivered = Delivered::link(&facts, environment, Duration::from_hours(24));
        for (index, deployment) in delivered.deployments.iter().enumerate() {
            if let Some(before) = delivered.previous[index] {
                found.insert(
                    deployment.id.clone(),
                    delivered.deployments[before].id.clone(),
                );
            }
        }
    }
    found
}

pub const DORA: &str = "devlake/backend/plugins/dora/e2e";

#[test]
fn previous_successful_deployments_are_those_of_devlake() {
    let before = table(&format!(
        "{DORA}/prev_success_deployment_commit/cicd_deployment_commits_before.csv"
    ));
    let after = table(&format!(
        "{DORA}/prev_success_deployment_commit/cicd_deployment_commits_after.csv"
    ));
    let deployments: Vec<Deployment> = before
        .iter()
        .map(|row| deployment(row, "finished_date"))
        .collect();
    let found = previous(&deployments);
    let mut compared = 0;
    for row in &after {
        let expected = row
            .get("prev_success_deployment_commit_id")
            .map_or("", String::as_str);
        // A row without an environment has no line of deployments there.
        if row["result"] == "SUCCESS" && !row["environment"].is_empty() {
            assert_eq!(
                found.get(&row["id"]).map_or("", String::as_str),
                expected,
                "deployment {}",
                row["id"]
            );
            compared += 1;
        }
    }
    assert!(compared >= 12, "only {compared} rows were compared");
    assert!(found.len() >= 5);
}

/// The deployments of DevLake's table of lead times, each with the merges that are new in it.
pub fn deployments_with_merges() -> Vec<Deployment> {
    let folder = format!("{DORA}/change_lead_time");
    let diffs = table(&format!("{folder}/commits_diffs.csv"));
    let merged: HashMap<String, Timestamp> = table(&format!("{folder}/pull_requests.csv"))
        .iter()
        .filter(|row| !row["merged_date"].is_empty())
        .map(|row| (row["merge_commit_sha"].clone(), time(&row["merged_date"])))
        .collect();
    let mut deployments: Vec<Deployment> = table(&format!("{folder}/cicd_deployment_commits.csv"))
        .iter()
        .map(|row| deployment(row, "finished_date"))
        .collect();
    let before = previous(&deployments);
    let heads: HashMap<String, String> = deployments
        .iter()
        .map(|deployment| (deployment.id.clone(), deployment.commit.clone().unwrap()))
        .collect();
    for deployment in &mut deployments {
        // What is new in it is known only against a predecessor.
        let Some(old) = before.get(&deployment.id).map(|id| &heads[id]) else {
            continue;
        };
        let new = deployment.commit.as_ref().unwrap();
        deployment.commits = Some(
            diffs
                .iter()
                .filter(|row| row["old_commit_sha"] == *old && row["new_commit_sha"] == *new)
                .map(|row| {
                    let at = merged[&row["commit_sha"]];
                    DeployedCommit {
                        sha: row["commit_sha"].clone(),
                        authored_at: at,
                        committed_at: at,
                        title: String::new(),
                        reverts: false,
                    }
                })
                .collect(),
        );
    }
    deployments
}

#[test]
fn deploy_times_are_those_of_devlake() {
    let folder = format!("{DORA}/change_lead_time");
    let deployments = deployments_with_merges();
    let facts = Facts {
        deployments: &deployments,
        ..Facts::default()
    };
    let delivered = Delivered::link(&facts, "PRODUCTION", Duration::from_hours(24));
    let mut minutes: HashMap<String, u64> = HashMap::new();
    let mut anomalies = Vec::new();
    for index in 0..delivered.deployments.len() {
        let lead_time::Changes {
            measured: changes,
            left_out,
            ..
        } = lead_time::changes(&delivered, index);
        for change in changes {
            minutes.insert(
                change.commit.sha.clone(),
                (change.hours * 60.0 - 1e-9).ceil() as u64,
            );
        }
        anomalies.extend(
            left_out
                .into_iter()
                .filter(|left| left.reason.starts_with("anomaly"))
                .map(|left| left.id),
        );
    }
    let expected = table(&format!("{folder}/project_pr_metrics.csv"));
    assert_eq!(expected.len(), 6);
    for row in &expected {
        let merge = format!("pr_merge_commit{}", row["id"].trim_start_matches("pr"));
        let wanted = row["pr_deploy_time"].parse().ok();
        assert_eq!(minutes.get(&merge).copied(), wanted, "{}", row["id"]);
    }
    // Merged after it was deployed: there the time is left empty, here it is named as well.
    assert_eq!(anomalies, ["pr_merge_commit3"]);
}

/// A project's history, newest first, and the commit that each tag names.
fn angle_grinder() -> (History, HashMap<String, String>) {
    let mut commits = Vec::new();
    let mut tags = HashMap::new();
    for line in read("angle-grinder/git-history.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [sha, parents, authored, committed, names, subject] = fields[..] else {
            panic!("{line}")
        };
        for name in names.split_whitespace() {
            tags.insert(name.to_owned(), sha.to_owned());
        }
        commits.push(Commit {
            sha: sha.to_owned(),
            parents: parents.split_whitespace().map(str::to_owned).collect(),
            authored_at: time(authored),
            committed_at: time(committed),
            title: subject.to_owned(),
            reverts: Vec::new(),
            request_id: None,
        });
    }
    (History::new(commits), tags)
}

#[test]
fn lead_times_of_a_real_project() {
    let (history, tags) = angle_grinder();
    let releases: serde_json::Value = serde_json::from_str(&read(
        "angle-grinder/test_files/angle_grinder_releases.json",
    ))
    .unwrap();
    let expected: serde_json::Value =
        serde_json::from_str(&read("angle-grinder/git-history-expected.json")).unwrap();
    let marks: Vec<Mark> = releases
        .as_array()
        .unwrap()
        .iter()
        .map(|release| {
            let tag = release["tag_name"].as_str().unwrap();
            Mark {
                id: tag.to_owned(),
                commit: tags[tag].clone(),
                at: time(release["published_at"].as_str().unwrap()),
                service: "angle-grinder".to_owned(),
                environment: "production".to_owned(),
                hotfix: false,
                carries: Carries::All,
                version: Vec::new(),
                request_id: None,
            }
        })
        .collect();
    assert_eq!(marks.len() as u64, expected["releases"].as_u64().unwrap());
    let deployments = assign(&history, marks, None, Duration::from_hours(7 * 24)).deployments;
    let facts = Facts {
        deployments: &deployments,
        sources: Sources {
            deployments: true,
            incidents: false,
        },
        ..Facts::default()
    };
    let delivered = Delivered::link(&facts, "production", Duration::from_hours(24));

    let mut compared = 0;
    for row in expected["per_deployment"].as_array().unwrap() {
        let id = row["deployment"].as_str().unwrap();
        let index = delivered
            .deployments
            .iter()
            .position(|deployment| deployment.id == id)
            .unwrap();
        let before =
            delivered.previous[index].map(|before| delivered.deployments[before].id.as_str());
        assert_eq!(before, row["previous"].as_str(), "{id}");
        let lead = lead_time::breakdown(&delivered, index).unwrap();
        assert_eq!(
            lead.commits as u64,
            row["commits"].as_u64().unwrap(),
            "{id}"
        );
        let close = |hours: f64, name: &str| {
            let seconds = row[name].as_f64().unwrap();
            assert!(
                (hours * 3_600.0 - seconds).abs() < 0.01,
                "{id} {name}: {} and not {seconds}",
                hours * 3_600.0
            );
        };
        close(lead.median_hours, "lead_time_seconds_median");
        close(lead.longest_hours, "lead_time_seconds_max");
        close(
            lead.longest_hours - lead.writing_hours,
            "lead_time_seconds_min",
        );
        compared += 1;
    }
    assert_eq!(
        compared,
        expected["deployments_after_baseline"].as_u64().unwrap()
    );

    let window = TimeRange::new(time("2018-03-01T00:00:00Z"), time("2018-04-01T00:00:00Z"));
    let report = report(
        &facts,
        &Scope::default(),
        window,
        &Rules::default(),
        window.until,
    );
    let lead = report.metric(Metric::ChangeLeadTime).unwrap();
    let Value::Known(hours) = lead.measured.value else {
        panic!("{:?}", lead.measured.value)
    };
    assert!(
        (hours * 3_600.0 - expected["lead_time_seconds_median_all"].as_f64().unwrap()).abs() < 0.01
    );
    assert_eq!(
        lead.measured.samples as u64,
        expected["commits"].as_u64().unwrap()
    );
    assert_eq!(
        report.deployments.len() as u64,
        expected["releases"].as_u64().unwrap()
    );
    let mean = lead
        .measured
        .explanation
        .rows
        .iter()
        .map(|row| row.value)
        .sum::<f64>()
        / lead.measured.samples as f64;
    assert!(
        (mean * 3_600.0 - expected["lead_time_seconds_mean_all"].as_f64().unwrap()).abs() < 0.01
    );
}
