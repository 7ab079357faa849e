//! What follows from what was read: failures, lead times, incidents.

use atalaya::domain::delivery::DeploymentKind::{Hotfix, Normal, Rollback};
use atalaya::domain::delivery::DeploymentResult::{Failed, Success};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::service::dora;
use atalaya::store::metrics::Repository;

use super::server::Github;
use super::world::{Pull, World, sha};
use super::{
    DAY, HOUR, NOW, commit, deployed, deployments, facts, incidents, issue, line, store, whole,
};

/// A revert by a pull request, a rollback to an older commit, a hotfix.
#[tokio::test]
async fn what_was_taken_back_failed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut commits = line(3, 5 * DAY);
    let revert = "Revert \"change 2\" (#8)\n\nReverts acme/shop#7";
    commits.push(commit(3, &[2], NOW - 90 * HOUR, revert));
    commits.push(commit(4, &[3], NOW - 80 * HOUR, "change 4"));
    let mut urgent = deployed(5, 4, NOW - 60 * HOUR);
    "hotfix/checkout".clone_into(&mut urgent.reference);
    let github = Github::start(World {
        commits,
        deployments: vec![
            deployed(1, 1, NOW - 100 * HOUR),
            deployed(2, 2, NOW - 95 * HOUR),
            deployed(3, 3, NOW - 85 * HOUR),
            deployed(4, 2, NOW - 70 * HOUR),
            urgent,
        ],
        pulls: vec![Pull {
            number: 7,
            created: NOW - 130 * HOUR,
            updated: NOW - 120 * HOUR,
            merged: Some(NOW - 121 * HOUR),
            merge_sha: sha(2),
            commits: vec![commit(77, &[], NOW - 131 * HOUR, "work")],
            reviews: vec![],
        }],
        ..World::default()
    });
    whole(&*store, &github).await;
    let found = deployments(&*store).await;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.kind, one.result, one.taken_back_by.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (Normal, Success, None),
            (Normal, Failed, Some("github-deployment-3")),
            (Rollback, Failed, Some("github-deployment-4")),
            (Rollback, Success, None),
            (Hotfix, Success, None),
        ]
    );
    let before = facts(&*store).await;
    whole(&*store, &github).await;
    assert_eq!(facts(&*store).await, before);
}

/// A tag that git knows and the deployment that it began are one; a squash merge began with the
/// first commit of its branch.
#[tokio::test]
async fn the_report_counts_once_and_from_the_first_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let github = Github::start(World {
        commits: line(4, 5 * DAY),
        deployments: vec![
            deployed(1, 0, NOW - 40 * HOUR),
            deployed(2, 1, NOW - 30 * HOUR),
            deployed(3, 3, NOW - 20 * HOUR),
        ],
        pulls: vec![Pull {
            number: 7,
            created: NOW - 20 * DAY,
            updated: NOW - 5 * DAY,
            merged: Some(NOW - 5 * DAY - HOUR),
            merge_sha: sha(3),
            commits: vec![
                commit(77, &[], NOW - 21 * DAY, "work"),
                commit(78, &[77], NOW - 19 * DAY, "more work"),
            ],
            reviews: vec![("ana", NOW - 18 * DAY), ("bo", NOW - 15 * DAY)],
        }],
        ..World::default()
    });
    whole(&*store, &github).await;
    let pulls = store.merged_pull_requests(TimeRange::ALL).await.unwrap();
    assert_eq!(
        pulls[0].first_commit_at,
        Some(Timestamp::from_seconds(NOW - 21 * DAY))
    );
    assert_eq!(
        pulls[0].first_review_at,
        Some(Timestamp::from_seconds(NOW - 15 * DAY))
    );

    let mut tagged = deployments(&*store).await.remove(1);
    "shop@v1.0.0".clone_into(&mut tagged.id);
    "git:0a1b2c3".clone_into(&mut tagged.origin);
    store.put_deployments(&[tagged]).await.unwrap();
    store
        .put_repository(&Repository {
            id: "git:0a1b2c3".to_owned(),
            root_commit: "0a1b2c3".to_owned(),
            remote: Some("127.0.0.1/Acme/shop".to_owned()),
            service: "shop".to_owned(),
            named: false,
            way: "auto".to_owned(),
            method: "version tags".to_owned(),
            account: String::new(),
            path: "/srv/shop".to_owned(),
            synced_at: Timestamp::from_seconds(NOW),
        })
        .await
        .unwrap();
    let asked = dora::ReportRequest::days(30);
    let now = Timestamp::from_seconds(NOW);
    let loaded = dora::load(&*store, &asked, now).await.unwrap();
    let ids: Vec<&str> = loaded
        .deployments
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(
        ids,
        ["github-deployment-1", "shop@v1.0.0", "github-deployment-3"]
    );
    let report = dora::compute(&loaded, &asked, now);
    assert_eq!(report.deployments.len(), 3);
    let slowest = &report.slowest[0];
    assert_eq!(
        (slowest.sha.as_str(), slowest.hours.round() as i64),
        (sha(3).as_str(), 21 * 24 - 20)
    );
    let notes: Vec<String> = report.notes.iter().map(ToString::to_string).collect();
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("1 deployments that both")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.starts_with("1 squash merges")),
        "{notes:?}"
    );
}

/// What a person said of an incident stays; one that is opened again is open.
#[tokio::test]
async fn an_incident_follows_its_issue_and_a_persons_word() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut causes = issue(2, NOW - 9 * HOUR, None);
    causes.body = format!("Root cause: {}", sha(1));
    let mut pull = issue(3, NOW - 9 * HOUR, None);
    pull.is_pull = true;
    let github = Github::start(World {
        issues: vec![issue(1, NOW - 9 * HOUR, Some(NOW - 8 * HOUR)), causes, pull],
        ..World::default()
    });
    whole(&*store, &github).await;
    let found = incidents(&*store).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].cause, Some(sha(1)));
    // Opened again.
    github.world(|world| {
        world.issues[0].closed = None;
        world.issues[0].updated = NOW - 7 * HOUR;
    });
    whole(&*store, &github).await;
    assert_eq!(incidents(&*store).await[0].resolved_at, None);
    // A person ends it and names the cause; then its title changes.
    let ended = Timestamp::from_seconds(NOW - 6 * HOUR);
    dora::resolve(&*store, "acme/shop#1", ended).await.unwrap();
    github.world(|world| {
        "still broken".clone_into(&mut world.issues[0].title);
        world.issues[0].updated = NOW - 5 * HOUR;
    });
    whole(&*store, &github).await;
    let found = incidents(&*store).await;
    assert_eq!(
        (found[0].title.as_str(), found[0].resolved_at),
        ("still broken", Some(ended))
    );
}
