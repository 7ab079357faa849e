//! Readings that are cut, lists that move, and histories that nobody chose.

use std::time::Duration;

use atalaya::domain::delivery::{Deployment, DeploymentResult};
use atalaya::domain::time::Timestamp;
use atalaya::source::git::{self, Carries, History, Mark};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::server::{Fault, Github, http};
use super::{
    NOW, deployed, deployments, facts, incidents, made_up, same, seeded, store, sync, whole,
};

/// A cut after any request, a kill of the answer, a limit: the parts make the same as one reading.
#[tokio::test]
async fn a_reading_that_is_cut_anywhere_goes_on() {
    let mut random = seeded();
    for _ in 0..25 {
        let world = made_up(&mut random);
        let github = Github::start(world);
        let folder = tempfile::tempdir().unwrap();
        let one = store(folder.path()).await;
        whole(&*one, &github).await;
        whole(&*one, &github).await;
        let expected = facts(&*one).await;

        let folder = tempfile::tempdir().unwrap();
        let parts = store(folder.path()).await;
        let mut runs = 0;
        loop {
            let after = random.random_range(1..30);
            let fault = match random.random_range(0..4) {
                0 => Fault::HangUp,
                1 => Fault::Half,
                2 => Fault::HalfOpen,
                _ => http("502 Bad Gateway", ""),
            };
            github.script(move |_, before, _| (before >= after).then(|| fault.clone()));
            let outcome = sync(&*parts, &github).await;
            runs += 1;
            if outcome.failure().is_none() {
                break;
            }
            assert!(outcome.failure().unwrap().error.passes(), "{outcome:?}");
            assert!(runs < 500, "it does not get on");
        }
        github.friendly();
        whole(&*parts, &github).await;
        let found = facts(&*parts).await;
        same(&found, &expected, &format!("after {runs} runs"));
    }
}

/// What is made, deleted and changed while a list is read moves its pages under the reader.
#[tokio::test]
async fn pages_that_shift_while_they_are_read_lose_nothing() {
    let mut random = seeded();
    for round in 0..25 {
        let mut world = made_up(&mut random);
        world.page_size = world.page_size.max(2);
        // All are over, so that only the pages decide.
        for one in &mut world.deployments {
            "production".clone_into(&mut one.environment);
            one.statuses = vec![("success", one.created + 60)];
        }
        let github = Github::start(world);
        let mut dice = StdRng::seed_from_u64(random.random());
        let mut next = 5_000_u64;
        github.script(move |_, before, world| {
            if before > 60 || !dice.random_bool(0.3) {
                return None;
            }
            next += 1;
            let at = NOW - 1_000_000 + next as i64;
            match dice.random_range(0..4) {
                0 => world.deployments.push(deployed(next, 0, at)),
                1 if !world.deployments.is_empty() => {
                    let gone = dice.random_range(0..world.deployments.len());
                    world.deployments.remove(gone);
                }
                2 if !world.pulls.is_empty() => {
                    let touched = dice.random_range(0..world.pulls.len());
                    world.pulls[touched].updated = at;
                    world.pulls[touched].merged.get_or_insert(at);
                }
                3 if !world.issues.is_empty() => {
                    let touched = dice.random_range(0..world.issues.len());
                    world.issues[touched].updated = at;
                    world.issues[touched].closed.get_or_insert(at);
                }
                _ => {}
            }
            None
        });
        let folder = tempfile::tempdir().unwrap();
        let shifted = store(folder.path()).await;
        // One that goes between two questions is no failure.
        whole(&*shifted, &github).await;
        github.friendly();
        whole(&*shifted, &github).await;

        let folder = tempfile::tempdir().unwrap();
        let fresh = store(folder.path()).await;
        whole(&*fresh, &github).await;
        let ids =
            |all: Vec<Deployment>| -> Vec<String> { all.into_iter().map(|one| one.id).collect() };
        let found = ids(deployments(&*shifted).await);
        for id in ids(deployments(&*fresh).await) {
            assert!(found.contains(&id), "round {round}: {id} is missing");
        }
        assert_eq!(
            incidents(&*shifted).await,
            incidents(&*fresh).await,
            "round {round}"
        );
        assert_eq!(
            shifted.pull_requests("acme/shop").await.unwrap(),
            fresh.pull_requests("acme/shop").await.unwrap(),
            "round {round}"
        );
    }
}

/// Only the commits between deployments are read; what follows from them is what follows from the
/// whole history.
#[tokio::test]
async fn deployments_carry_what_the_whole_history_says() {
    let mut random = seeded();
    for round in 0..40 {
        let world = made_up(&mut random);
        let mut commits: Vec<git::Commit> = world
            .commits
            .iter()
            .map(|one| git::Commit {
                sha: one.sha.clone(),
                parents: one.parents.clone(),
                authored_at: Timestamp::from_seconds(one.at),
                committed_at: Timestamp::from_seconds(one.at),
                title: one.message.lines().next().unwrap().to_owned(),
                reverts: one
                    .message
                    .split_once("reverts commit ")
                    .map(|(_, rest)| rest.trim_end_matches('.').to_owned())
                    .into_iter()
                    .collect(),
                request_id: None,
            })
            .collect();
        commits.reverse();
        let history = History::new(commits);
        let github = Github::start(world);
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        whole(&*store, &github).await;
        let found: Vec<Deployment> = deployments(&*store)
            .await
            .into_iter()
            .filter(|one| one.result != DeploymentResult::Aborted)
            .collect();
        let marks = found
            .iter()
            .map(|one| Mark {
                id: one.id.clone(),
                commit: one.commit.clone().unwrap(),
                at: one.finished_at,
                service: one.service.clone(),
                environment: one.environment.clone(),
                hotfix: false,
                carries: Carries::All,
                version: Vec::new(),
                request_id: None,
            })
            .collect();
        let cap = Duration::from_secs(7 * 86_400);
        let expected = git::assign(&history, marks, None, cap).deployments;
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let shas = |one: &Deployment| {
                let commits = one.commits.as_ref()?;
                let mut shas: Vec<String> = commits.iter().map(|one| one.sha.clone()).collect();
                shas.sort();
                Some(shas)
            };
            assert_eq!(
                (&found.id, shas(found), found.kind, &found.taken_back_by),
                (
                    &expected.id,
                    shas(expected),
                    expected.kind,
                    &expected.taken_back_by
                ),
                "round {round}"
            );
        }
    }
}
