//! Repositories of GitHub, read from a server of our own.

mod cli;
mod cuts;
mod faults;
mod reading;
mod server;
mod told;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::GithubRepositoryConfig;
use atalaya::domain::backoff::Backoff;
use atalaya::domain::delivery::{Deployment, Incident};
use atalaya::domain::time::Timestamp;
use atalaya::service::dora::{self, GithubOutcome, GithubRequest};
use atalaya::source::github::Client;
use atalaya::store::metrics::{DeliveryFilter, MetricsStore};
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use server::Github;
use world::{Commit, Issue, Pull, World, sha};

/// When everything here is read.
const NOW: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const SOURCE: &str = "github:127.0.0.1/acme/shop";

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

async fn store(folder: &Path) -> Arc<dyn MetricsStore> {
    let path = folder.join("metrics.db");
    Arc::new(SqliteMetricsStore::open(&path).await.unwrap())
}

/// A client that does not wait long.
fn client(github: &Github) -> Client {
    let http = atalaya::http::client(None).unwrap();
    let token = Some("t0ken-canary".into());
    Client::new(http, &github.url(), token)
        .unwrap()
        .with_backoff(Backoff::new(
            Duration::from_millis(1),
            Duration::from_millis(2),
        ))
}

fn request() -> GithubRequest {
    GithubRequest {
        repositories: vec![GithubRepositoryConfig {
            name: "acme/shop".to_owned(),
            ..GithubRepositoryConfig::default()
        }],
        host: "127.0.0.1".to_owned(),
        incident_labels: vec!["incident".to_owned()],
        history: Duration::from_secs(300 * 86_400),
        environment: "production".to_owned(),
        revert_cap: Duration::from_secs(7 * 86_400),
    }
}

async fn sync_with(
    store: &dyn MetricsStore,
    github: &Github,
    request: &GithubRequest,
) -> GithubOutcome {
    let now = Timestamp::from_seconds(NOW);
    dora::sync_github(store, &client(github), request, now, &|_| {})
        .await
        .unwrap()
}

async fn sync(store: &dyn MetricsStore, github: &Github) -> GithubOutcome {
    sync_with(store, github, &request()).await
}

/// The same, which must read everything.
async fn whole(store: &dyn MetricsStore, github: &Github) -> GithubOutcome {
    let outcome = sync(store, github).await;
    assert!(outcome.failure().is_none(), "{outcome:?}");
    outcome
}

async fn deployments(store: &dyn MetricsStore) -> Vec<Deployment> {
    store
        .deployments(&DeliveryFilter::default())
        .await
        .unwrap()
        .read
}

async fn incidents(store: &dyn MetricsStore) -> Vec<Incident> {
    store.incidents(&DeliveryFilter::default()).await.unwrap()
}

/// Everything that came from GitHub, in an order of its own.
async fn facts(store: &dyn MetricsStore) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    all.extend(
        deployments(store)
            .await
            .iter()
            .map(|one| format!("{one:?}")),
    );
    all.extend(incidents(store).await.iter().map(|one| format!("{one:?}")));
    let pulls = store.pull_requests("acme/shop").await.unwrap();
    all.extend(pulls.iter().map(|one| format!("{one:?}")));
    let commits = store.source_commits(SOURCE).await.unwrap();
    all.extend(commits.iter().map(|one| format!("{one:?}")));
    all.sort();
    all
}

/// Says what only one of them has.
fn same(found: &[String], expected: &[String], of: &str) {
    let more = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter()
            .filter(|fact| !other.contains(fact))
            .cloned()
            .collect()
    };
    let (only, missing) = (more(found, expected), more(expected, found));
    assert!(
        only.is_empty() && missing.is_empty(),
        "{of}: only here: {only:#?}, not here: {missing:#?}"
    );
}

fn commit(number: usize, parents: &[usize], at: i64, message: &str) -> Commit {
    Commit {
        sha: sha(number),
        parents: parents.iter().map(|parent| sha(*parent)).collect(),
        at,
        message: message.to_owned(),
    }
}

fn deployed(id: u64, number: usize, at: i64) -> world::Deployment {
    world::Deployment {
        id,
        sha: sha(number),
        reference: "main".to_owned(),
        environment: "production".to_owned(),
        created: at - 60,
        statuses: vec![("in_progress", at - 30), ("success", at)],
    }
}

fn issue(number: u64, created: i64, closed: Option<i64>) -> Issue {
    Issue {
        number,
        title: format!("broken {number}"),
        body: String::new(),
        labels: vec!["incident"],
        created,
        updated: closed.unwrap_or(created),
        closed,
        is_pull: false,
    }
}

/// A line of commits an hour apart, the last one `ago` before now.
fn line(count: usize, ago: i64) -> Vec<Commit> {
    (0..count)
        .map(|number| {
            let at = NOW - ago - (count - number) as i64 * HOUR;
            let parents: Vec<usize> = number.checked_sub(1).into_iter().collect();
            commit(number, &parents, at, &format!("change {number}"))
        })
        .collect()
}

/// A repository of any shape: merges, side lines, rollbacks, pull requests, incidents.
fn made_up(random: &mut StdRng) -> World {
    let count = random.random_range(2..40);
    let start = NOW - 90 * DAY;
    let mut commits: Vec<Commit> = Vec::new();
    for number in 0..count {
        let mut parents = Vec::new();
        if number > 0 {
            parents.push(number - 1 - random.random_range(0..3).min(number - 1));
            if random.random_bool(0.25) {
                let other = random.random_range(0..number);
                if !parents.contains(&other) {
                    parents.push(other);
                }
            }
        }
        let message = match random.random_range(0..8) {
            0 if number > 0 => {
                let undone = sha(random.random_range(0..number));
                format!("Revert\n\nThis reverts commit {undone}.")
            }
            1 => "hotfix: quick".to_owned(),
            _ => format!("change {number}"),
        };
        commits.push(commit(
            number,
            &parents,
            start + number as i64 * 2 * HOUR,
            &message,
        ));
    }
    let mut deployments = Vec::new();
    for id in 0..random.random_range(0..25_u64) {
        let number = random.random_range(0..count);
        let at = start + 81 * HOUR + id as i64 * 5 * HOUR + random.random_range(0..3 * HOUR);
        let mut one = deployed(1_000 + id, number, at);
        match random.random_range(0..8) {
            0 => one.statuses = vec![("in_progress", at), ("failure", at + 60)],
            1 => one.statuses = vec![("in_progress", at)],
            2 => one.statuses.push(("failure", at + 90)),
            3 => one.statuses.push(("inactive", at + DAY)),
            4 => "staging".clone_into(&mut one.environment),
            _ => {}
        }
        deployments.push(one);
    }
    let pulls = (1..random.random_range(1..15_u64))
        .map(|number| {
            let created = start + random.random_range(0..80) * DAY;
            let merged = random.random_bool(0.7).then_some(created + 5 * HOUR);
            Pull {
                number,
                created,
                updated: created + random.random_range(5..9) * HOUR,
                merged,
                merge_sha: sha(random.random_range(0..count)),
                commits: vec![commit(500 + number as usize, &[], created - HOUR, "work")],
                reviews: vec![("ana", created + 1), ("bo", created + 60)],
            }
        })
        .collect();
    let issues = (100..100 + random.random_range(0..15_u64))
        .map(|number| {
            // Many within the same second.
            let created = start + random.random_range(0..6) * DAY;
            issue(
                number,
                created,
                random.random_bool(0.5).then_some(created + HOUR),
            )
        })
        .collect();
    World {
        page_size: random.random_range(1..6),
        commits,
        deployments,
        pulls,
        issues,
        runs: Vec::new(),
    }
}
