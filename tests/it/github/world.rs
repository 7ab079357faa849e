//! A made-up repository with its history, in the shape of GitHub's answers.

use std::collections::BTreeSet;

use atalaya::domain::time::Timestamp;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Commit {
    pub sha: String,
    pub parents: Vec<String>,
    pub at: i64,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: u64,
    pub sha: String,
    pub reference: String,
    pub environment: String,
    pub created: i64,
    /// State and instant, oldest first.
    pub statuses: Vec<(&'static str, i64)>,
}

#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    pub created: i64,
    pub updated: i64,
    pub merged: Option<i64>,
    pub merge_sha: String,
    /// Commits of its branch.
    pub commits: Vec<Commit>,
    /// Account and instant.
    pub reviews: Vec<(&'static str, i64)>,
}

#[derive(Clone, Debug)]
pub struct Issue {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub labels: Vec<&'static str>,
    pub created: i64,
    pub updated: i64,
    pub closed: Option<i64>,
    pub is_pull: bool,
}

#[derive(Clone, Debug)]
pub struct Run {
    pub id: u64,
    pub sha: String,
    pub branch: &'static str,
    pub event: &'static str,
    pub status: &'static str,
    pub conclusion: Option<&'static str>,
    pub created: i64,
    pub updated: i64,
}

/// The repository `acme/shop`.
#[derive(Clone, Debug)]
pub struct World {
    pub page_size: usize,
    /// Parents before their children.
    pub commits: Vec<Commit>,
    pub deployments: Vec<Deployment>,
    pub pulls: Vec<Pull>,
    pub issues: Vec<Issue>,
    pub runs: Vec<Run>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            page_size: 100,
            commits: Vec::new(),
            deployments: Vec::new(),
            pulls: Vec::new(),
            issues: Vec::new(),
            runs: Vec::new(),
        }
    }
}

/// As GitHub writes it; seconds since 1970.
pub fn stamp(at: i64) -> String {
    let text = Timestamp::from_seconds(at).to_rfc3339();
    format!("{}Z", text.split('.').next().unwrap())
}

/// Forty digits.
pub fn sha(number: usize) -> String {
    format!("{:040x}", number + 0xc0_ffee)
}

fn newest_first<T>(things: &[T], key: impl Fn(&T) -> (i64, u64)) -> Vec<&T> {
    let mut sorted: Vec<&T> = things.iter().collect();
    sorted.sort_by_key(|thing| std::cmp::Reverse(key(thing)));
    sorted
}

impl Commit {
    fn json(&self) -> Value {
        let by = json!({"name": "Ana", "email": "ana@example.org", "date": stamp(self.at)});
        let parents: Vec<Value> = self.parents.iter().map(|sha| json!({"sha": sha})).collect();
        json!({
            "sha": self.sha,
            "commit": {"author": by, "committer": by, "message": self.message},
            "author": null,
            "parents": parents,
        })
    }
}

impl Run {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "head_sha": self.sha, "head_branch": self.branch, "event": self.event,
            "status": self.status, "conclusion": self.conclusion, "run_attempt": 1,
            "created_at": stamp(self.created), "updated_at": stamp(self.updated),
            "run_started_at": stamp(self.created + 5),
        })
    }
}

impl World {
    pub fn deployments(&self) -> Vec<Value> {
        newest_first(&self.deployments, |one| (one.created, one.id))
            .into_iter()
            .map(|one| {
                json!({
                    "id": one.id, "sha": one.sha, "ref": one.reference, "task": "deploy",
                    "environment": one.environment, "original_environment": one.environment,
                    "payload": {}, "created_at": stamp(one.created), "updated_at": stamp(one.created),
                    "transient_environment": false, "production_environment": false,
                    "creator": {"login": "ana"},
                })
            })
            .collect()
    }

    pub fn statuses(&self, id: &str) -> Option<Vec<Value>> {
        let one = self
            .deployments
            .iter()
            .find(|one| one.id.to_string() == id)?;
        let statuses = one.statuses.iter().rev();
        Some(
            statuses
                .map(|(state, at)| {
                    json!({"id": 1, "state": state, "created_at": stamp(*at), "environment": one.environment})
                })
                .collect(),
        )
    }

    pub fn runs(&self) -> Vec<Value> {
        let runs = newest_first(&self.runs, |run| (run.created, run.id));
        runs.into_iter().map(Run::json).collect()
    }

    pub fn run(&self, id: &str) -> Option<Value> {
        let run = self.runs.iter().find(|run| run.id.to_string() == id)?;
        Some(run.json())
    }

    pub fn jobs(&self, id: &str) -> Option<Vec<Value>> {
        let run = self.runs.iter().find(|run| run.id.to_string() == id)?;
        let job = |number: u64, name: &str| {
            json!({
                "id": run.id * 10 + number, "run_id": run.id, "name": name, "head_sha": run.sha,
                "html_url": null, "status": run.status, "conclusion": run.conclusion,
                "started_at": stamp(run.created + 10), "completed_at": stamp(run.updated),
            })
        };
        Some(vec![job(1, "build"), job(2, "deploy to production")])
    }

    pub fn issues(&self, label: &str, since: &str) -> Vec<Value> {
        let mut found: Vec<&Issue> = self
            .issues
            .iter()
            .filter(|issue| issue.labels.contains(&label) && *stamp(issue.updated) >= *since)
            .collect();
        found.sort_by_key(|issue| (issue.updated, issue.number));
        found
            .into_iter()
            .map(|issue| {
                let labels: Vec<Value> = issue
                    .labels
                    .iter()
                    .map(|name| json!({"name": name}))
                    .collect();
                let mut json = json!({
                    "id": issue.number + 7_000, "number": issue.number, "title": issue.title,
                    "body": issue.body, "labels": labels,
                    "state": if issue.closed.is_some() { "closed" } else { "open" },
                    "created_at": stamp(issue.created), "updated_at": stamp(issue.updated),
                    "closed_at": issue.closed.map(stamp),
                });
                if issue.is_pull {
                    json["pull_request"] = json!({"url": "x"});
                }
                json
            })
            .collect()
    }

    pub fn pulls(&self) -> Vec<Value> {
        newest_first(&self.pulls, |pull| (pull.updated, pull.number))
            .into_iter()
            .map(|pull| {
                let head = pull.commits.last().map(|commit| commit.sha.clone());
                json!({
                    "id": pull.number + 9_000, "number": pull.number, "title": "a change",
                    "html_url": "x", "body": null, "user": {"login": "ana"}, "draft": false,
                    "labels": [], "created_at": stamp(pull.created),
                    "updated_at": stamp(pull.updated), "closed_at": pull.merged.map(stamp),
                    "merged_at": pull.merged.map(stamp), "merge_commit_sha": pull.merge_sha,
                    "head": {"ref": "feature", "sha": head.unwrap_or_default(), "repo": null},
                    "base": {"ref": "main", "sha": sha(0), "repo": {"full_name": "acme/shop"}},
                })
            })
            .collect()
    }

    fn pull(&self, number: &str) -> Option<&Pull> {
        self.pulls
            .iter()
            .find(|pull| pull.number.to_string() == number)
    }

    pub fn pull_commits(&self, number: &str) -> Option<Vec<Value>> {
        Some(
            self.pull(number)?
                .commits
                .iter()
                .map(Commit::json)
                .collect(),
        )
    }

    pub fn reviews(&self, number: &str) -> Option<Vec<Value>> {
        let reviews = self.pull(number)?.reviews.iter();
        Some(
            reviews
                .map(|(user, at)| {
                    json!({"id": 1, "user": {"login": user}, "body": "", "state": "APPROVED",
                        "submitted_at": stamp(*at), "commit_id": null})
                })
                .collect(),
        )
    }

    fn find(&self, sha: &str) -> Option<&Commit> {
        self.commits.iter().find(|commit| commit.sha == sha)
    }

    pub fn commit(&self, sha: &str) -> Option<Value> {
        self.find(sha).map(Commit::json)
    }

    fn ancestors(&self, sha: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![sha.to_owned()];
        while let Some(next) = waiting.pop() {
            if found.insert(next.clone()) {
                waiting.extend(
                    self.find(&next)
                        .into_iter()
                        .flat_map(|one| one.parents.clone()),
                );
            }
        }
        found
    }

    fn ends(&self, range: &str) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
        let (base, head) = range.split_once("...")?;
        self.find(base)?;
        self.find(head)?;
        Some((self.ancestors(base), self.ancestors(head)))
    }

    /// What the second has and the first has not, oldest first.
    pub fn compare(&self, range: &str) -> Option<Vec<Value>> {
        let (base, head) = self.ends(range)?;
        let commits = self.commits.iter();
        Some(
            commits
                .filter(|commit| head.contains(&commit.sha) && !base.contains(&commit.sha))
                .map(Commit::json)
                .collect(),
        )
    }

    /// The newest commit that both have.
    pub fn joint(&self, range: &str) -> Option<Value> {
        let (base, head) = self.ends(range)?;
        let mut commits = self.commits.iter().rev();
        commits
            .find(|commit| head.contains(&commit.sha) && base.contains(&commit.sha))
            .map(Commit::json)
    }
}
