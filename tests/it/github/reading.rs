//! What is read of a repository: deployments, runs, parts.

use atalaya::config::GithubRepositoryConfig;
use atalaya::domain::delivery::DeploymentResult::{self, Aborted, Success};
use atalaya::domain::time::Timestamp;

use super::server::{Fault, Github, http};
use super::world::{Run, World, sha};
use super::{
    DAY, HOUR, NOW, SOURCE, deployed, deployments, facts, incidents, issue, line, request, store,
    sync, sync_with, whole,
};

#[tokio::test]
async fn a_repository_is_read_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut world = World {
        commits: line(6, 10 * DAY),
        deployments: vec![
            deployed(1, 1, NOW - 9 * DAY),
            deployed(2, 3, NOW - 8 * DAY),
            deployed(3, 5, NOW - 7 * DAY),
        ],
        ..World::default()
    };
    world.deployments[2].statuses =
        vec![("in_progress", NOW - 7 * DAY), ("failure", NOW - 6 * DAY)];
    let mut preview = deployed(4, 5, NOW - 5 * DAY);
    preview.environment = "pr-7".to_owned();
    world.deployments.push(preview);
    world.issues = vec![issue(
        12,
        NOW - 8 * DAY + HOUR,
        Some(NOW - 8 * DAY + 3 * HOUR),
    )];
    let github = Github::start(world);

    let outcome = whole(&*store, &github).await;
    let one = &outcome.repositories[0];
    assert_eq!(one.deployments.inserted, 3, "{one:?}");
    assert!(
        one.notes.iter().any(|note| note.contains("pr-7")),
        "{:?}",
        one.notes
    );
    let found = deployments(&*store).await;
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.id.as_str(),
                one.result,
                one.commits.as_ref().map(Vec::len),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("github-deployment-1", DeploymentResult::Success, None),
            ("github-deployment-2", DeploymentResult::Success, Some(2)),
            ("github-deployment-3", DeploymentResult::Aborted, None),
        ]
    );
    assert!(
        found
            .iter()
            .all(|one| one.service == "shop" && one.origin == SOURCE)
    );
    assert_eq!(found[1].finished_at, Timestamp::from_seconds(NOW - 8 * DAY));
    assert_eq!(
        found[1].started_at,
        Some(Timestamp::from_seconds(NOW - 8 * DAY - 30))
    );
    let broken = incidents(&*store).await;
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].id, "acme/shop#12");
    let sources = store.sources().await.unwrap();
    assert!(
        sources[0].gives_deployments && sources[0].gives_incidents,
        "{sources:?}"
    );

    let before = facts(&*store).await;
    let again = whole(&*store, &github).await;
    assert_eq!(facts(&*store).await, before);
    let one = &again.repositories[0];
    assert_eq!((one.deployments.inserted, one.deployments.updated), (0, 0));
    // What moved nothing on the second time has its ETag the third time.
    let third = whole(&*store, &github).await;
    assert_eq!(third.requests, third.not_modified, "{third:?}");
    assert!(third.requests < outcome.requests);
    assert_eq!(facts(&*store).await, before);
}

#[tokio::test]
async fn what_is_under_way_is_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut waiting = deployed(1, 1, NOW - 10 * DAY);
    waiting.statuses = vec![("waiting", NOW - 10 * DAY)];
    let github = Github::start(World {
        commits: line(3, 20 * DAY),
        deployments: vec![waiting, deployed(2, 2, NOW - HOUR)],
        ..World::default()
    });
    whole(&*store, &github).await;
    assert_eq!(deployments(&*store).await.len(), 1, "one is not over");
    github.world(|world| {
        world.deployments[0].statuses.push(("success", NOW - 60));
        // One that went well breaks within the day.
        world.deployments[1].statuses.push(("failure", NOW - 50));
    });
    whole(&*store, &github).await;
    let found = deployments(&*store).await;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.id.as_str(), one.result))
        .collect();
    assert_eq!(
        told,
        [
            ("github-deployment-2", DeploymentResult::Failed),
            ("github-deployment-1", DeploymentResult::Success),
        ]
    );
}

fn ran(id: u64, number: usize, at: i64, conclusion: Option<&'static str>) -> Run {
    Run {
        id,
        sha: sha(number),
        branch: "main",
        event: "push",
        status: if conclusion.is_some() {
            "completed"
        } else {
            "in_progress"
        },
        conclusion,
        created: at - 300,
        updated: at,
    }
}

#[tokio::test]
async fn runs_of_a_workflow_are_deployments() {
    let mut world = World {
        page_size: 2,
        commits: line(4, DAY),
        runs: vec![
            ran(1, 0, NOW - 20 * HOUR, Some("success")),
            ran(2, 1, NOW - 19 * HOUR, Some("failure")),
            ran(3, 2, NOW - 18 * HOUR, Some("success")),
            ran(4, 3, NOW - 17 * HOUR, Some("skipped")),
            ran(5, 3, NOW - 16 * HOUR, None),
            ran(6, 3, NOW - 15 * HOUR, Some("success")),
            ran(7, 3, NOW - 14 * HOUR, Some("success")),
        ],
        ..World::default()
    };
    world.runs[5].branch = "feature";
    world.runs[6].event = "pull_request";
    let github = Github::start(world);
    for (job, prefix) in [(None, "github-run-"), (Some("^deploy"), "github-job-")] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let mut request = request();
        request.repositories[0] = GithubRepositoryConfig {
            name: "acme/shop".to_owned(),
            service: Some("web".to_owned()),
            team: Some("blue".to_owned()),
            workflow: Some("deploy.yml".to_owned()),
            branch: Some("main".to_owned()),
            job: job.map(str::to_owned),
            ..GithubRepositoryConfig::default()
        };
        github.world(|world| {
            world.runs[4].conclusion = None;
            world.runs[4].status = "in_progress";
        });
        let outcome = sync_with(&*store, &github, &request).await;
        assert!(outcome.failure().is_none(), "{outcome:?}");
        let results: Vec<_> = deployments(&*store)
            .await
            .iter()
            .map(|one| one.result)
            .collect();
        assert_eq!(results, [Success, Aborted, Success]);
        github.world(|world| {
            world.runs[4].conclusion = Some("success");
            world.runs[4].status = "completed";
        });
        sync_with(&*store, &github, &request).await;
        let found = deployments(&*store).await;
        assert_eq!(found.len(), 4);
        assert!(
            found
                .iter()
                .all(|one| one.id.starts_with(prefix) && one.service == "web")
        );
        assert!(found.iter().all(|one| one.team.as_deref() == Some("blue")));
        assert_eq!(found[3].commits.as_ref().map(Vec::len), Some(1));
    }
}

/// Tags name parts; entries of the configuration give each workflow its service.
#[tokio::test]
async fn the_parts_of_a_repository_are_services() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut world = World {
        commits: line(4, 5 * DAY),
        deployments: vec![
            deployed(1, 0, NOW - 40 * HOUR),
            deployed(2, 1, NOW - 30 * HOUR),
            deployed(3, 3, NOW - 20 * HOUR),
            deployed(4, 3, NOW - 10 * HOUR),
        ],
        runs: vec![ran(9, 2, NOW - HOUR, Some("success"))],
        ..World::default()
    };
    for (index, tag) in ["mail-v1.0.0", "web-v1.0.0", "mail-v1.1.0", "web-v2.0.0"]
        .iter()
        .enumerate()
    {
        (*tag).clone_into(&mut world.deployments[index].reference);
    }
    let github = Github::start(world);
    let mut request = request();
    request.repositories.push(GithubRepositoryConfig {
        name: "acme/shop".to_owned(),
        service: Some("jobs".to_owned()),
        workflow: Some("deploy.yml".to_owned()),
        ..GithubRepositoryConfig::default()
    });
    let outcome = sync_with(&*store, &github, &request).await;
    assert!(outcome.failure().is_none(), "{outcome:?}");
    let found = deployments(&*store).await;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.service.as_str(), one.commits.as_ref().map(Vec::len)))
        .collect();
    assert_eq!(
        told,
        [
            ("mail", None),
            ("web", None),
            ("mail", Some(3)),
            ("web", Some(2)),
            ("jobs", None)
        ]
    );
}

#[tokio::test]
async fn one_odd_thing_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let github = Github::start(World {
        commits: line(3, DAY),
        deployments: vec![deployed(1, 1, NOW - DAY)],
        issues: vec![issue(1, NOW - 9 * HOUR, None)],
        ..World::default()
    });
    github.script(|got, _, world| {
        let things = world.deployments();
        let body = serde_json::json!([{"id": "seven"}, null, things[0], 12]).to_string();
        got.place
            .contains("/deployments?")
            .then(|| Fault::Http("200 OK", String::new(), body))
    });
    let outcome = whole(&*store, &github).await;
    let notes = &outcome.repositories[0].notes;
    assert!(
        notes[0].starts_with("3 deployments could not be read: "),
        "{notes:?}"
    );
    assert_eq!(deployments(&*store).await.len(), 1);
    assert_eq!(incidents(&*store).await.len(), 1);
    // Issues that are switched off are no reason to leave out the rest.
    github.script(|got, _, _| got.place.contains("/issues?").then(|| http("410 Gone", "")));
    let outcome = sync(&*store, &github).await;
    let failures = &outcome.repositories[0].failures;
    assert_eq!((failures.len(), failures[0].what), (1, "issues"));
    assert!(github.got().iter().any(|got| got.place.contains("/pulls?")));
}
