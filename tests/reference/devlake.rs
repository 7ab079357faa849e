//! DevLake's tables of pull requests, reviews, jobs and links, beside what ours makes of the same
//! raw answers of GitHub. Its deployments and lead times are in `dora_golden`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use atalaya::domain::delivery::Deployment;
use atalaya::domain::delivery::pull_request::{
    Comment, IssueRef, ProposedCommit, PullRequest, PullRequestState, Verdict, link_issues,
};
use atalaya::domain::dora::Facts;
use atalaya::domain::dora::failures::Delivered;
use atalaya::domain::dora::stages::{Stages, stages};
use atalaya::domain::time::Timestamp;
use atalaya::source::github::{self, DeployPattern, Job, JobOutcome};

use crate::dora_golden::{DORA, deployments_with_merges};
use crate::golden::{Column, TableRow, compare_table, csv_table, read_json, table_time};

const GITHUB: &str = "devlake/backend/plugins/github/e2e";
const LINKER: &str = "devlake/backend/plugins/linker/e2e/snapshot_tables";

/// The project and the connection that the expected tables are of.
const PROJECT: &str = "project1";
const CONNECTION: u64 = 1;

const BOOKKEEPING: &str = "DevLake's own bookkeeping";
const NOT_ASKED: &str = "the list of pull requests does not say it: 0 or empty for every row";
const NUMBER_OF_ACCOUNT: &str = "an account is known by its name here";

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A pull request of a small table that knows little of it.
fn little_known(row: &TableRow) -> PullRequest {
    let cell = |name: &str| row.get(name).filter(|text| !text.is_empty()).cloned();
    let at = |name: &str| cell(name).map(|text| table_time(&text));
    let opened_at = at("created_date").unwrap();
    PullRequest {
        id: row["id"].clone(),
        repository: row["base_repo_id"].clone(),
        number: cell("pull_request_key").map_or(0, |key| key.parse().unwrap()),
        title: cell("title").unwrap_or_default(),
        description: cell("description").unwrap_or_default(),
        url: cell("url").unwrap_or_default(),
        author: cell("author_id"),
        draft: false,
        labels: Vec::new(),
        head_repository: cell("head_repo_id"),
        head_branch: cell("head_ref").unwrap_or_default(),
        head_sha: cell("head_commit_sha").unwrap_or_default(),
        base_branch: cell("base_ref").unwrap_or_default(),
        base_sha: cell("base_commit_sha").unwrap_or_default(),
        opened_at,
        updated_at: opened_at,
        closed_at: at("closed_date"),
        merged_at: at("merged_date"),
        merge_sha: cell("merge_commit_sha"),
    }
}

// ---- Stages of a pull request -------------------------------------------------------------------

struct Measured<'a> {
    pull: &'a PullRequest,
    stages: Stages<'a>,
}

fn stage_columns<'a>() -> Vec<(&'static str, Column<Measured<'a>>)> {
    vec![
        ("id", Column::Ours(|ours| ours.pull.id.clone())),
        (
            "project_name",
            Column::Left("the name of the table's only project"),
        ),
        (
            "first_commit_sha",
            Column::Ours(|ours| or_empty(ours.stages.first_commit.map(|first| &first.sha))),
        ),
        (
            "first_commit_authored_date",
            Column::At(|ours| ours.stages.first_commit.map(|first| first.authored_at)),
        ),
        (
            "first_review_id",
            Column::Ours(|ours| or_empty(ours.stages.first_answer.map(|first| &first.id))),
        ),
        (
            "first_comment_date",
            Column::At(|ours| ours.stages.first_answer.map(|first| first.at)),
        ),
        (
            "deployment_commit_id",
            Column::Ours(|ours| or_empty(ours.stages.deployment.map(|of| &of.id))),
        ),
        (
            "pr_deployed_date",
            Column::At(|ours| ours.stages.deployment.map(|of| of.finished_at)),
        ),
        (
            "pr_created_date",
            Column::At(|ours| Some(ours.pull.opened_at)),
        ),
        ("pr_merged_date", Column::At(|ours| ours.pull.merged_at)),
        (
            "pr_coding_time",
            Column::Ours(|ours| or_empty(ours.stages.coding_minutes)),
        ),
        (
            "pr_pickup_time",
            Column::Ours(|ours| or_empty(ours.stages.pickup_minutes)),
        ),
        (
            "pr_review_time",
            Column::Ours(|ours| or_empty(ours.stages.review_minutes)),
        ),
        (
            "pr_deploy_time",
            Column::Ours(|ours| or_empty(ours.stages.deploy_minutes)),
        ),
        (
            "pr_cycle_time",
            Column::Ours(|ours| ours.stages.cycle_minutes.to_string()),
        ),
    ]
}

#[test]
fn stages_of_pull_requests_are_those_of_devlake() {
    let folder = format!("{DORA}/change_lead_time");
    let repositories: HashSet<String> = csv_table(&format!("{folder}/project_mapping.csv"))
        .into_iter()
        .filter(|row| row["project_name"] == PROJECT && row["table"] == "repos")
        .map(|row| row["row_id"].clone())
        .collect();
    let pulls: Vec<PullRequest> = csv_table(&format!("{folder}/pull_requests.csv"))
        .iter()
        .map(little_known)
        .filter(|pull| repositories.contains(&pull.repository))
        .collect();
    assert_eq!(pulls.len(), 7);
    let mut commits: HashMap<String, Vec<ProposedCommit>> = HashMap::new();
    for row in csv_table(&format!("{folder}/pull_request_commits.csv")) {
        commits
            .entry(row["pull_request_id"].clone())
            .or_default()
            .push(ProposedCommit {
                sha: row["commit_sha"].clone(),
                authored_at: table_time(&row["commit_authored_date"]),
            });
    }
    let mut comments: HashMap<String, Vec<Comment>> = HashMap::new();
    for row in csv_table(&format!("{folder}/pull_request_comments.csv")) {
        comments
            .entry(row["pull_request_id"].clone())
            .or_default()
            .push(Comment {
                id: row["id"].clone(),
                author: Some(row["account_id"].clone()),
                at: table_time(&row["created_date"]),
                text: String::new(),
                verdict: None,
                sha: None,
            });
    }
    let deployments: Vec<Deployment> = deployments_with_merges();
    let facts = Facts {
        deployments: &deployments,
        ..Facts::default()
    };
    let delivered = Delivered::link(&facts, "PRODUCTION", Duration::from_hours(24));
    let of =
        |map: &HashMap<String, Vec<Comment>>, id: &str| map.get(id).cloned().unwrap_or_default();
    let answers: Vec<Vec<Comment>> = pulls.iter().map(|pull| of(&comments, &pull.id)).collect();
    let proposed: Vec<Vec<ProposedCommit>> = pulls
        .iter()
        .map(|pull| commits.get(&pull.id).cloned().unwrap_or_default())
        .collect();
    let measured: BTreeMap<String, Measured<'_>> = pulls
        .iter()
        .zip(proposed.iter().zip(&answers))
        .filter_map(|(pull, (commits, comments))| {
            let stages = stages(pull, commits, comments, &delivered)?;
            Some((pull.id.clone(), Measured { pull, stages }))
        })
        .collect();
    compare_table(
        &format!("{folder}/project_pr_metrics.csv"),
        |row| row["id"].clone(),
        &measured,
        &stage_columns(),
    );
}

// ---- Pull requests and reviews of GitHub ----------------------------------------------------------

/// The raw answers of the connection that the expected tables are of, by row id.
fn answers(table: &str) -> Vec<(String, serde_json::Value, String)> {
    csv_table(&format!("{GITHUB}/raw_tables/_raw_github_api_{table}.csv"))
        .into_iter()
        .filter_map(|mut row| {
            let params: serde_json::Value = serde_json::from_str(&row["params"]).unwrap();
            assert_eq!(params["Name"], "panjf2000/ants");
            let input = serde_json::from_str(&row["input"]).unwrap();
            (params["ConnectionId"].as_u64() == Some(CONNECTION)).then(|| {
                (
                    row.remove("id").unwrap(),
                    input,
                    row.remove("data").unwrap(),
                )
            })
        })
        .collect()
}

/// DevLake keeps a text as JSON.
fn as_json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// `github-pull-1` is 1.
fn number_of(id: &str) -> String {
    id.rsplit('-').next().unwrap().to_owned()
}

struct Proposed {
    pull: PullRequest,
    raw_row: String,
    /// As GitHub numbers them: the raw answer.
    repository: String,
    head_repository: String,
}

fn pulls() -> Vec<Proposed> {
    answers("pull_requests")
        .into_iter()
        .map(|(raw_row, _, json)| {
            let raw: serde_json::Value = serde_json::from_str(&json).unwrap();
            let repository =
                |branch: &str| raw[branch]["repo"]["id"].as_u64().unwrap_or(0).to_string();
            Proposed {
                pull: github::pull_request(&json, "asked/for").unwrap(),
                raw_row,
                repository: repository("base"),
                head_repository: repository("head"),
            }
        })
        .collect()
}

const TOOL_PULLS: &[(&str, Column<Proposed>)] = &[
    ("connection_id", Column::Left(BOOKKEEPING)),
    ("github_id", Column::Ours(|ours| number_of(&ours.pull.id))),
    ("repo_id", Column::Ours(|ours| ours.repository.clone())),
    (
        "head_repo_id",
        Column::Ours(|ours| ours.head_repository.clone()),
    ),
    ("number", Column::Ours(|ours| ours.pull.number.to_string())),
    (
        "state",
        Column::Ours(|ours| match ours.pull.state() {
            PullRequestState::Open => "open".to_owned(),
            PullRequestState::Merged | PullRequestState::Closed => "closed".to_owned(),
        }),
    ),
    ("title", Column::Ours(|ours| ours.pull.title.clone())),
    (
        "github_created_at",
        Column::At(|ours| Some(ours.pull.opened_at)),
    ),
    (
        "github_updated_at",
        Column::At(|ours| Some(ours.pull.updated_at)),
    ),
    ("closed_at", Column::At(|ours| ours.pull.closed_at)),
    ("merged_at", Column::At(|ours| ours.pull.merged_at)),
    ("additions", Column::Left(NOT_ASKED)),
    ("deletions", Column::Left(NOT_ASKED)),
    ("comments", Column::Left(NOT_ASKED)),
    ("commits", Column::Left(NOT_ASKED)),
    ("review_comments", Column::Left(NOT_ASKED)),
    (
        "merged",
        Column::Left("0 for every row, merged or not; `merged_at` says it"),
    ),
    ("body", Column::Ours(|ours| as_json(&ours.pull.description))),
    ("type", Column::Left(NOT_ASKED)),
    ("component", Column::Left(NOT_ASKED)),
    (
        "merge_commit_sha",
        Column::Ours(|ours| or_empty(ours.pull.merge_sha.as_ref())),
    ),
    (
        "head_ref",
        Column::Ours(|ours| ours.pull.head_branch.clone()),
    ),
    (
        "base_ref",
        Column::Ours(|ours| ours.pull.base_branch.clone()),
    ),
    (
        "base_commit_sha",
        Column::Ours(|ours| ours.pull.base_sha.clone()),
    ),
    (
        "head_commit_sha",
        Column::Ours(|ours| ours.pull.head_sha.clone()),
    ),
    ("url", Column::Ours(|ours| ours.pull.url.clone())),
    (
        "author_name",
        Column::Ours(|ours| or_empty(ours.pull.author.as_ref())),
    ),
    ("author_id", Column::Left(NUMBER_OF_ACCOUNT)),
    (
        "is_draft",
        Column::Ours(|ours| u8::from(ours.pull.draft).to_string()),
    ),
    ("_raw_data_params", Column::Left(BOOKKEEPING)),
    ("_raw_data_table", Column::Left(BOOKKEEPING)),
    ("_raw_data_id", Column::Ours(|ours| ours.raw_row.clone())),
    ("_raw_data_remark", Column::Left(BOOKKEEPING)),
];

/// The same rows in DevLake's own words: GitHub's ids behind a prefix.
const PULLS: &[(&str, Column<Proposed>)] = &[
    (
        "id",
        Column::Ours(|ours| format!("github:GithubPullRequest:1:{}", number_of(&ours.pull.id))),
    ),
    (
        "base_repo_id",
        Column::Ours(|ours| format!("github:GithubRepo:1:{}", ours.repository)),
    ),
    (
        "head_repo_id",
        Column::Ours(|ours| format!("github:GithubRepo:1:{}", ours.head_repository)),
    ),
    (
        "status",
        Column::Ours(|ours| ours.pull.state().name().to_ascii_uppercase()),
    ),
    (
        "original_status",
        Column::Left("GitHub's word, compared in the table before"),
    ),
    ("title", Column::Ours(|ours| ours.pull.title.clone())),
    (
        "description",
        Column::Ours(|ours| as_json(&ours.pull.description)),
    ),
    ("url", Column::Ours(|ours| ours.pull.url.clone())),
    (
        "author_name",
        Column::Ours(|ours| or_empty(ours.pull.author.as_ref())),
    ),
    ("author_id", Column::Left(NUMBER_OF_ACCOUNT)),
    ("parent_pr_id", Column::Left("empty for every row")),
    (
        "pull_request_key",
        Column::Ours(|ours| ours.pull.number.to_string()),
    ),
    ("created_date", Column::At(|ours| Some(ours.pull.opened_at))),
    ("merged_date", Column::At(|ours| ours.pull.merged_at)),
    ("closed_date", Column::At(|ours| ours.pull.closed_at)),
    ("type", Column::Left(NOT_ASKED)),
    ("component", Column::Left(NOT_ASKED)),
    (
        "merge_commit_sha",
        Column::Ours(|ours| or_empty(ours.pull.merge_sha.as_ref())),
    ),
    (
        "head_ref",
        Column::Ours(|ours| ours.pull.head_branch.clone()),
    ),
    (
        "base_ref",
        Column::Ours(|ours| ours.pull.base_branch.clone()),
    ),
    (
        "base_commit_sha",
        Column::Ours(|ours| ours.pull.base_sha.clone()),
    ),
    (
        "head_commit_sha",
        Column::Ours(|ours| ours.pull.head_sha.clone()),
    ),
    ("additions", Column::Left(NOT_ASKED)),
    ("deletions", Column::Left(NOT_ASKED)),
    (
        "is_draft",
        Column::Ours(|ours| u8::from(ours.pull.draft).to_string()),
    ),
    ("_raw_data_params", Column::Left(BOOKKEEPING)),
    ("_raw_data_table", Column::Left(BOOKKEEPING)),
    ("_raw_data_id", Column::Ours(|ours| ours.raw_row.clone())),
    ("_raw_data_remark", Column::Left(BOOKKEEPING)),
];

#[test]
fn pull_requests_of_github_are_those_of_devlake() {
    let by_number: BTreeMap<String, Proposed> = pulls()
        .into_iter()
        .map(|pull| (pull.pull.number.to_string(), pull))
        .collect();
    assert_eq!(by_number.len(), 49);
    let tables = format!("{GITHUB}/snapshot_tables");
    compare_table(
        &format!("{tables}/_tool_github_pull_requests.csv"),
        |row| row["number"].clone(),
        &by_number,
        TOOL_PULLS,
    );
    compare_table(
        &format!("{tables}/pull_requests.csv"),
        |row| row["pull_request_key"].clone(),
        &by_number,
        PULLS,
    );
    let merged = by_number
        .values()
        .filter(|ours| ours.pull.state() == PullRequestState::Merged)
        .count();
    assert_eq!(merged, 26);
}

struct Review {
    comment: Comment,
    raw_row: String,
    /// GitHub's number of the pull request: the address that was asked, not the answer, has it.
    pull: String,
}

const REVIEWS: &[(&str, Column<Review>)] = &[
    ("connection_id", Column::Left(BOOKKEEPING)),
    (
        "github_id",
        Column::Ours(|ours| number_of(&ours.comment.id)),
    ),
    ("pull_request_id", Column::Ours(|ours| ours.pull.clone())),
    ("body", Column::Ours(|ours| ours.comment.text.clone())),
    (
        "author_username",
        Column::Ours(|ours| or_empty(ours.comment.author.as_ref())),
    ),
    ("author_user_id", Column::Left(NUMBER_OF_ACCOUNT)),
    ("github_submit_at", Column::At(|ours| Some(ours.comment.at))),
    (
        "commit_sha",
        Column::Ours(|ours| or_empty(ours.comment.sha.as_ref())),
    ),
    (
        "state",
        Column::Ours(|ours| or_empty(ours.comment.verdict.map(Verdict::name)).to_ascii_uppercase()),
    ),
    ("_raw_data_params", Column::Left(BOOKKEEPING)),
    ("_raw_data_table", Column::Left(BOOKKEEPING)),
    ("_raw_data_id", Column::Ours(|ours| ours.raw_row.clone())),
    ("_raw_data_remark", Column::Left(BOOKKEEPING)),
];

#[test]
fn reviews_of_github_are_those_of_devlake() {
    let by_id: BTreeMap<String, Review> = answers("pull_request_reviews")
        .into_iter()
        .map(|(raw_row, input, json)| {
            let comment = github::review(&json).unwrap().expect("handed in");
            let pull = input["GithubId"].to_string();
            (
                number_of(&comment.id),
                Review {
                    comment,
                    raw_row,
                    pull,
                },
            )
        })
        .collect();
    assert_eq!(by_id.len(), 30);
    compare_table(
        &format!("{GITHUB}/snapshot_tables/_tool_github_pull_request_reviews.csv"),
        |row| row["github_id"].clone(),
        &by_id,
        REVIEWS,
    );
}

// ---- Jobs of GitHub Actions ---------------------------------------------------------------------

struct Ran {
    job: Job,
    deployment: Option<Deployment>,
    deploys: bool,
}

fn jobs() -> BTreeMap<String, Ran> {
    // The pattern that the expectation was made with, for deployments and for production alike.
    let pattern = DeployPattern::new("deploywindows.*").unwrap();
    answers("jobs")
        .into_iter()
        .map(|(_, _, json)| {
            let job = github::job(&json).unwrap();
            let deployment = pattern.deployment(&job, "panjf2000/ants", "production");
            let deploys = pattern.names(&job);
            (
                job.id.to_string(),
                Ran {
                    job,
                    deployment,
                    deploys,
                },
            )
        })
        .collect()
}

fn word(ours: &Ran, word: &str) -> String {
    if ours.deploys {
        word.to_owned()
    } else {
        String::new()
    }
}

const TOOL_JOBS: &[(&str, Column<Ran>)] = &[
    ("connection_id", Column::Left(BOOKKEEPING)),
    ("repo_id", Column::Left(BOOKKEEPING)),
    ("id", Column::Ours(|ours| ours.job.id.to_string())),
    ("run_id", Column::Ours(|ours| ours.job.run_id.to_string())),
    (
        "run_url",
        Column::Left("made of the repository and the run"),
    ),
    ("node_id", Column::Left("GitHub's second name of the job")),
    ("head_sha", Column::Ours(|ours| ours.job.head_sha.clone())),
    ("url", Column::Left("made of the repository and the job")),
    (
        "html_url",
        Column::Ours(|ours| or_empty(ours.job.url.as_ref())),
    ),
    (
        "status",
        Column::Ours(|ours| ours.job.status.to_ascii_uppercase()),
    ),
    (
        "conclusion",
        Column::Ours(|ours| or_empty(ours.job.conclusion.as_ref()).to_ascii_uppercase()),
    ),
    ("started_at", Column::At(|ours| ours.job.started_at)),
    ("completed_at", Column::At(|ours| ours.job.completed_at)),
    ("name", Column::Ours(|ours| ours.job.name.clone())),
    (
        "steps",
        Column::Left("the steps of a job are not facts of delivery"),
    ),
    (
        "check_run_url",
        Column::Left("made of the repository and the job"),
    ),
    ("labels", Column::Left("of the machine that ran it")),
    ("runner_id", Column::Left("of the machine that ran it")),
    ("runner_name", Column::Left("of the machine that ran it")),
    (
        "runner_group_id",
        Column::Left("of the machine that ran it"),
    ),
    ("type", Column::Ours(|ours| word(ours, "DEPLOYMENT"))),
    ("environment", Column::Ours(|ours| word(ours, "PRODUCTION"))),
];

const TASKS: &[(&str, Column<Ran>)] = &[
    (
        "id",
        Column::Ours(|ours| format!("github:GithubJob:1:{}:{}", ours.job.run_id, ours.job.id)),
    ),
    ("name", Column::Ours(|ours| ours.job.name.clone())),
    (
        "pipeline_id",
        Column::Ours(|ours| format!("github:GithubRun:1:134018330:{}", ours.job.run_id)),
    ),
    (
        "result",
        Column::Ours(|ours| {
            match ours.job.outcome() {
                JobOutcome::Success => "SUCCESS",
                JobOutcome::Failure => "FAILURE",
                JobOutcome::Running | JobOutcome::Other => "",
            }
            .to_owned()
        }),
    ),
    (
        "status",
        Column::Ours(|ours| {
            match ours.job.outcome() {
                JobOutcome::Success | JobOutcome::Failure => "DONE",
                JobOutcome::Running => "IN_PROGRESS",
                JobOutcome::Other => "OTHER",
            }
            .to_owned()
        }),
    ),
    (
        "original_status",
        Column::Ours(|ours| ours.job.status.to_ascii_uppercase()),
    ),
    (
        "original_result",
        Column::Ours(|ours| or_empty(ours.job.conclusion.as_ref()).to_ascii_uppercase()),
    ),
    ("type", Column::Ours(|ours| word(ours, "DEPLOYMENT"))),
    ("environment", Column::Ours(|ours| word(ours, "PRODUCTION"))),
    (
        "duration_sec",
        Column::Ours(|ours| or_empty(ours.job.seconds())),
    ),
    ("queued_duration_sec", Column::Left("empty for every row")),
    ("created_date", Column::At(|ours| ours.job.started_at)),
    ("queued_date", Column::Left("empty for every row")),
    ("started_date", Column::At(|ours| ours.job.started_at)),
    ("finished_date", Column::At(|ours| ours.job.completed_at)),
    ("cicd_scope_id", Column::Left(BOOKKEEPING)),
];

#[test]
fn jobs_of_github_are_those_of_devlake() {
    let jobs = jobs();
    assert_eq!(jobs.len(), 35);
    let tables = format!("{GITHUB}/snapshot_tables");
    compare_table(
        &format!("{tables}/_tool_github_jobs.csv"),
        |row| row["id"].clone(),
        &jobs,
        TOOL_JOBS,
    );
    compare_table(
        &format!("{tables}/cicd_tasks.csv"),
        |row| number_of(&row["id"].replace(':', "-")),
        &jobs,
        TASKS,
    );
    // On purpose: what DevLake calls a failed deployment never reached users. It is kept, as
    // aborted, and one that is under way is none yet.
    let made: Vec<(&str, &str)> = jobs
        .values()
        .filter(|ours| ours.deploys)
        .map(|ours| {
            let conclusion = ours.job.conclusion.as_deref().unwrap_or("none yet");
            (
                conclusion,
                ours.deployment
                    .as_ref()
                    .map_or("none", |made| made.result.name()),
            )
        })
        .collect();
    let count = |wanted| made.iter().filter(|&&found| found == wanted).count();
    assert_eq!(count(("cancelled", "aborted")), 2);
    assert_eq!(count(("success", "success")), 1);
    assert_eq!(count(("none yet", "none")), 1);
    assert_eq!(made.len(), 4);
    let deployed = jobs.values().find_map(|ours| {
        ours.deployment
            .as_ref()
            .filter(|made| made.result == atalaya::domain::delivery::DeploymentResult::Success)
    });
    let deployed = deployed.unwrap();
    assert_eq!(deployed.finished_at, table_time("2021-02-18T07:05:53Z"));
    assert_eq!(
        (deployed.service.as_str(), deployed.environment.as_str()),
        ("ants", "production")
    );
}

// ---- Pull requests and the issues they name ---------------------------------------------------------

#[test]
fn issues_of_pull_requests_are_those_of_devlake() {
    let project: HashSet<(String, String)> = csv_table(&format!("{LINKER}/project_mapping.csv"))
        .into_iter()
        .filter(|row| row["project_name"] == "GitHub1")
        .map(|row| (row["table"].clone(), row["row_id"].clone()))
        .collect();
    let within = |table: &str, id: &str| project.contains(&(table.to_owned(), id.to_owned()));
    // A board is a repository here: what is on it is an issue of that repository.
    let boards: HashMap<String, String> = csv_table(&format!("{LINKER}/board_issues.csv"))
        .into_iter()
        .filter(|row| within("boards", &row["board_id"]))
        .map(|row| (row["issue_id"].clone(), row["board_id"].clone()))
        .collect();
    let issues: Vec<IssueRef> = csv_table(&format!("{LINKER}/issues.csv"))
        .into_iter()
        .filter_map(|row| {
            Some(IssueRef {
                repository: boards.get(&row["id"])?.clone(),
                number: row["issue_key"].parse().unwrap(),
                id: row["id"].clone(),
            })
        })
        .collect();
    assert_eq!(
        issues.len(),
        3,
        "the issue of the other connection is on no board of the project"
    );
    let pulls: Vec<PullRequest> = csv_table(&format!("{LINKER}/pull_requests.csv"))
        .iter()
        .map(little_known)
        .filter(|pull| within("repos", &pull.repository))
        .collect();
    let found: BTreeMap<String, _> = link_issues(&pulls, &issues)
        .into_iter()
        .map(|link| (format!("{} {}", link.pull.id, link.issue.id), link))
        .collect();
    compare_table(
        &format!("{LINKER}/pull_request_issues.csv"),
        |row| format!("{} {}", row["pull_request_id"], row["issue_id"]),
        &found,
        &[
            ("pull_request_id", Column::Ours(|link| link.pull.id.clone())),
            ("issue_id", Column::Ours(|link| link.issue.id.clone())),
            (
                "pull_request_key",
                Column::Ours(|link| link.pull.number.to_string()),
            ),
            (
                "issue_key",
                Column::Ours(|link| link.issue.number.to_string()),
            ),
            ("_raw_data_params", Column::Left(BOOKKEEPING)),
            ("_raw_data_table", Column::Left(BOOKKEEPING)),
            ("_raw_data_id", Column::Left(BOOKKEEPING)),
            ("_raw_data_remark", Column::Left(BOOKKEEPING)),
        ],
    );
}

// ---- Payloads of webhooks, which have no expectation but the JSON itself ----------------------------

#[test]
fn a_webhook_has_the_same_pull_request_as_the_list() {
    let folder = "octokit-webhooks/payload-examples/api.github.com";
    for (event, state) in [
        ("opened", PullRequestState::Open),
        ("labeled", PullRequestState::Open),
        ("closed", PullRequestState::Closed),
    ] {
        let payload = read_json(&format!("{folder}/pull_request/{event}.payload.json"));
        let json = payload["pull_request"].to_string();
        let pull = github::pull_request(&json, "asked/for").unwrap();
        assert_eq!(pull.state(), state, "{event}");
        assert_eq!(
            pull.repository,
            payload["repository"]["full_name"].as_str().unwrap(),
            "{event}"
        );
        assert_eq!(pull.number, payload["number"].as_u64().unwrap(), "{event}");
        assert!(
            pull.opened_at > Timestamp::from_seconds(1_500_000_000),
            "{event}"
        );
    }
    for event in [
        "completed.failure.with-organization",
        "in_progress",
        "queued",
    ] {
        let payload = read_json(&format!("{folder}/workflow_job/{event}.payload.json"));
        let job = github::job(&payload["workflow_job"].to_string()).unwrap();
        let expected = if event.starts_with("completed") {
            JobOutcome::Failure
        } else {
            JobOutcome::Running
        };
        assert_eq!(job.outcome(), expected, "{event}");
    }
}
