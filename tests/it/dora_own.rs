//! DORA's facts and figures on small tables of our own, whose results were worked out by hand.
//!
//! [`COUNTERPARTS`] names, for each test on third-party tables, the one here that guards the same
//! where these tables are not at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atalaya::domain::delivery::pull_request::{
    Comment, IssueRef, ProposedCommit, PullRequest, Verdict, link_issues,
};
use atalaya::domain::delivery::{DeployedCommit, Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::dora::failures::Delivered;
use atalaya::domain::dora::stages::stages;
use atalaya::domain::dora::{
    Facts, Metric, Rules, Scope, Sources, Value as Figure, lead_time, report,
};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::source::git::{Carries, Commit, History, Mark, assign};
use atalaya::source::github::{self, DeployPattern};
use serde_json::{Value, json};

use crate::decoded::instant;

const COUNTERPARTS: &[(&str, &str)] = &[
    (
        "dora_golden::previous_successful_deployments_are_those_of_devlake",
        "the_previous_deployment_is_of_the_same_service_and_reached_users",
    ),
    (
        "dora_golden::lead_times_of_a_real_project",
        "lead_times_of_a_history_with_a_merge",
    ),
    (
        "devlake::stages_of_pull_requests_are_those_of_devlake",
        "stages_and_issues_of_pull_requests",
    ),
    (
        "devlake::issues_of_pull_requests_are_those_of_devlake",
        "stages_and_issues_of_pull_requests",
    ),
    (
        "devlake::jobs_of_github_are_those_of_devlake",
        "answers_of_github_become_facts",
    ),
    (
        "devlake::pull_requests_of_github_are_those_of_devlake",
        "answers_of_github_become_facts",
    ),
    (
        "devlake::reviews_of_github_are_those_of_devlake",
        "answers_of_github_become_facts",
    ),
];

const DAY: Duration = Duration::from_hours(24);

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(path("data/dora").join(file)).unwrap()
}

fn json_of(file: &str) -> Value {
    serde_json::from_str(&text(file)).unwrap()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn time(value: &Value) -> Timestamp {
    instant(value.as_str().unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn result(word: &str) -> DeploymentResult {
    match word {
        "success" => DeploymentResult::Success,
        "aborted" => DeploymentResult::Aborted,
        other => panic!("no result: {other}"),
    }
}

fn deployment(id: &str, service: &str, environment: &str, finished_at: Timestamp) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service: service.to_owned(),
        team: None,
        environment: environment.to_owned(),
        commit: None,
        started_at: None,
        finished_at,
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "own".to_owned(),
        taken_back_by: None,
        commits: None,
    }
}

#[test]
fn each_third_party_table_has_a_counterpart_here() {
    let inventory = std::fs::read_to_string(path("reference/inventory")).unwrap();
    let rows = inventory
        .lines()
        .filter(|line| line.starts_with("expected ") || line.starts_with("told "));
    let compared: BTreeSet<&str> = rows
        .filter_map(|row| row.split_whitespace().last())
        .filter(|test| test.starts_with("dora_golden::") || test.starts_with("devlake::"))
        .collect();
    let named: BTreeSet<&str> = COUNTERPARTS
        .iter()
        .map(|(reference, _)| *reference)
        .collect();
    assert_eq!(compared, named);
    let here = include_str!("dora_own.rs");
    for (_, own) in COUNTERPARTS {
        assert!(
            here.contains(&format!("#[test]\nfn {own}()")),
            "{own} is no test"
        );
    }
}

#[test]
fn the_previous_deployment_is_of_the_same_service_and_reached_users() {
    let text = text("deployments.csv");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let deployments: Vec<Deployment> = rows
        .iter()
        .map(|row| {
            let [id, service, environment, commit, finished, word, _] = row[..] else {
                panic!("{row:?}")
            };
            Deployment {
                commit: Some(commit.to_owned()),
                result: result(word),
                ..deployment(id, service, environment, instant(finished).unwrap())
            }
        })
        .collect();
    let mut compared = 0;
    for environment in ["production", "staging"] {
        let facts = Facts {
            deployments: &deployments,
            ..Facts::default()
        };
        let delivered = Delivered::link(&facts, environment, DAY);
        for (index, deployment) in delivered.deployments.iter().enumerate() {
            let row = rows.iter().find(|row| row[0] == deployment.id).unwrap();
            if deployment.result == DeploymentResult::Success {
                let previous =
                    delivered.previous[index].map(|at| delivered.deployments[at].id.as_str());
                assert_eq!(previous.unwrap_or(""), row[6], "{}", deployment.id);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7);
}

#[test]
fn lead_times_of_a_history_with_a_merge() {
    let data = json_of("history.json");
    let commits = list(&data["commits"]).iter().map(|commit| Commit {
        sha: string(&commit["sha"]),
        parents: list(&commit["parents"]).iter().map(string).collect(),
        authored_at: time(&commit["authored_at"]),
        committed_at: time(&commit["authored_at"]),
        title: string(&commit["title"]),
        reverts: Vec::new(),
        request_id: None,
    });
    let history = History::new(commits.collect());
    let marks = list(&data["releases"]).iter().map(|release| Mark {
        id: string(&release["id"]),
        commit: string(&release["commit"]),
        at: time(&release["at"]),
        service: "shop".to_owned(),
        environment: "production".to_owned(),
        hotfix: false,
        carries: Carries::All,
        version: Vec::new(),
        request_id: None,
    });
    let deployments = assign(&history, marks.collect(), None, 7 * DAY).deployments;
    let facts = Facts {
        deployments: &deployments,
        sources: Sources {
            deployments: true,
            incidents: false,
        },
        ..Facts::default()
    };
    let delivered = Delivered::link(&facts, "production", DAY);
    for release in list(&data["releases"]) {
        let id = release["id"].as_str().unwrap();
        let index = delivered
            .deployments
            .iter()
            .position(|found| found.id == id)
            .unwrap();
        let breakdown = lead_time::breakdown(&delivered, index);
        let expect = &release["expect"];
        if expect.is_null() {
            assert!(
                breakdown.is_none(),
                "{id}: nothing is known of what came before"
            );
            continue;
        }
        let lead = breakdown.unwrap();
        let previous = delivered.previous[index].map(|at| delivered.deployments[at].id.as_str());
        assert_eq!(previous, expect["previous"].as_str(), "{id}");
        let lead_time::Changes {
            measured: changes,
            left_out,
            ..
        } = lead_time::changes(&delivered, index);
        let mut hours: Vec<f64> = changes.iter().map(|change| change.hours).collect();
        hours.sort_by(f64::total_cmp);
        let expected: Vec<f64> = list(&expect["hours"])
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert_eq!((hours, left_out.len()), (expected.clone(), 0), "{id}");
        assert_eq!(
            lead.commits as u64,
            expect["commits"].as_u64().unwrap(),
            "{id}"
        );
        assert_eq!(
            Some(lead.median_hours),
            expect["median_hours"].as_f64(),
            "{id}"
        );
        assert_eq!(Some(&lead.longest_hours), expected.last(), "{id}");
        assert_eq!(
            Some(lead.writing_hours),
            expect["writing_hours"].as_f64(),
            "{id}"
        );
    }

    let month = &data["month"];
    let window = TimeRange::new(time(&month["from"]), time(&month["until"]));
    let report = report(
        &facts,
        &Scope::default(),
        window,
        &Rules::default(),
        window.until,
    );
    let lead = report.metric(Metric::ChangeLeadTime).unwrap();
    let Figure::Known(hours) = lead.measured.value else {
        panic!("{:?}", lead.measured.value)
    };
    let found = json!({"deployments": report.deployments.len(), "commits": lead.measured.samples, "median_hours": hours});
    for (name, want) in month["expect"].as_object().unwrap() {
        assert_eq!(found[name].as_f64(), want.as_f64(), "{name}");
    }
}

/// What is expected, where it is something else that was found. Names that end in `at` are instants.
fn compare(expect: &Value, found: &Value) {
    for (name, want) in expect.as_object().unwrap() {
        let got = &found[name];
        if name == "at" || name.ends_with("_at") {
            assert_eq!(
                got.as_str().and_then(instant),
                want.as_str().and_then(instant),
                "{name} of {found}"
            );
        } else {
            assert_eq!(got, want, "{name} of {found}");
        }
    }
}

fn of_pull(pull: &PullRequest) -> Value {
    json!({
        "id": pull.id,
        "repository": pull.repository,
        "number": pull.number,
        "title": pull.title,
        "description": pull.description,
        "url": pull.url,
        "author": pull.author,
        "draft": pull.draft,
        "labels": pull.labels,
        "state": pull.state().name(),
        "opened_at": pull.opened_at.to_rfc3339(),
        "updated_at": pull.updated_at.to_rfc3339(),
        "closed_at": pull.closed_at.map(Timestamp::to_rfc3339),
        "merged_at": pull.merged_at.map(Timestamp::to_rfc3339),
        "merge_sha": pull.merge_sha,
        "head_repository": pull.head_repository,
        "head_branch": pull.head_branch,
        "head_sha": pull.head_sha,
        "base_branch": pull.base_branch,
        "base_sha": pull.base_sha,
    })
}

fn of_review(review: &Comment) -> Value {
    json!({
        "id": review.id,
        "author": review.author,
        "at": review.at.to_rfc3339(),
        "text": review.text,
        "verdict": review.verdict.map(Verdict::name),
        "sha": review.sha,
    })
}

fn of_job(answer: &str) -> Value {
    let job = github::job(answer).unwrap();
    let pattern = DeployPattern::new("^deploy").unwrap();
    let made = pattern.deployment(&job, "depot/shop", "production");
    json!({
        "outcome": format!("{:?}", job.outcome()),
        "seconds": job.seconds(),
        "deploys": pattern.names(&job),
        "result": made.as_ref().map(|made| made.result.name()),
        "service": made.as_ref().map(|made| &made.service),
        "environment": made.as_ref().map(|made| &made.environment),
        "commit": made.as_ref().and_then(|made| made.commit.as_ref()),
        "finished_at": made.as_ref().map(|made| made.finished_at.to_rfc3339()),
    })
}

#[test]
fn answers_of_github_become_facts() {
    let text = text("github.jsonl");
    let mut kinds = BTreeSet::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let answer = case["answer"].to_string();
        let what = string(&case["what"]);
        let found = match what.as_str() {
            "pull_request" => of_pull(&github::pull_request(&answer, "asked/for").unwrap()),
            "review" => github::review(&answer)
                .unwrap()
                .as_ref()
                .map_or(Value::Null, of_review),
            "job" => of_job(&answer),
            other => panic!("no answer: {other}"),
        };
        match &case["expect"] {
            Value::Null => assert!(found.is_null(), "{found}"),
            expect => compare(expect, &found),
        }
        kinds.insert(what);
    }
    assert_eq!(kinds.len(), 3);
}

/// A pull request of which only the table's columns are known.
fn pull(row: &Value) -> PullRequest {
    let number = row["number"].as_u64().unwrap();
    let merged_at = row["merged_at"].as_str().and_then(instant);
    PullRequest {
        id: format!("pull-{number}"),
        repository: "depot/shop".to_owned(),
        number,
        title: String::new(),
        description: string(&row["description"]),
        url: String::new(),
        author: Some(string(&row["author"])),
        draft: false,
        labels: Vec::new(),
        head_repository: None,
        head_branch: "work".to_owned(),
        head_sha: String::new(),
        base_branch: "main".to_owned(),
        base_sha: String::new(),
        opened_at: time(&row["opened_at"]),
        updated_at: time(&row["opened_at"]),
        closed_at: merged_at,
        merged_at,
        merge_sha: Some(string(&row["merge_sha"])),
    }
}

#[test]
fn stages_and_issues_of_pull_requests() {
    let data = json_of("stages.json");
    let deployments: Vec<Deployment> = list(&data["deployments"])
        .iter()
        .map(|row| {
            let merge = |sha: &Value| DeployedCommit {
                sha: string(sha),
                authored_at: time(&row["finished_at"]),
                committed_at: time(&row["finished_at"]),
                title: String::new(),
                reverts: false,
            };
            Deployment {
                result: result(row["result"].as_str().unwrap()),
                commits: Some(list(&row["merges"]).iter().map(merge).collect()),
                ..deployment(
                    row["id"].as_str().unwrap(),
                    "shop",
                    "production",
                    time(&row["finished_at"]),
                )
            }
        })
        .collect();
    let facts = Facts {
        deployments: &deployments,
        ..Facts::default()
    };
    let delivered = Delivered::link(&facts, "production", DAY);
    let issues: Vec<IssueRef> = serde_json::from_value(data["issues"].clone()).unwrap();
    for row in list(&data["pulls"]) {
        let pull = pull(row);
        let commits: Vec<ProposedCommit> = list(&row["commits"])
            .iter()
            .map(|commit| ProposedCommit {
                sha: string(&commit[0]),
                authored_at: time(&commit[1]),
            })
            .collect();
        let comments: Vec<Comment> = list(&row["comments"])
            .iter()
            .map(|comment| Comment {
                id: string(&comment[0]),
                author: Some(string(&comment[1])),
                at: time(&comment[2]),
                text: String::new(),
                verdict: None,
                sha: None,
            })
            .collect();
        let pulls = [pull];
        let links = link_issues(&pulls, &issues);
        let issues: Vec<&str> = links.iter().map(|link| link.issue.id.as_str()).collect();
        let found = match stages(&pulls[0], &commits, &comments, &delivered) {
            None => json!({"stages": null, "issues": issues}),
            Some(stages) => json!({
                "stages": "measured",
                "first_commit": stages.first_commit.map(|commit| &commit.sha),
                "first_answer": stages.first_answer.map(|comment| &comment.id),
                "deployment": stages.deployment.map(|deployment| &deployment.id),
                "coding": stages.coding_minutes,
                "pickup": stages.pickup_minutes,
                "review": stages.review_minutes,
                "deploy": stages.deploy_minutes,
                "cycle": stages.cycle_minutes,
                "issues": issues,
            }),
        };
        compare(&row["expect"], &found);
    }
}
