//! The git source on repositories that the `git` program made, with fixed dates.

use atalaya_domain::error_class::ErrorClass;
use std::path::Path;
use std::process::Command;

use atalaya::domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya::source::git::{GitError, Options, Outcome, Which, read};

/// 2026-10-05T00:00:00Z, from which the hours of [`git`] count.
pub const EPOCH: i64 = 1_791_158_400;

/// So many hours after [`EPOCH`], as git takes it.
fn stamp(hours: i64) -> String {
    format!("{} +0000", EPOCH + hours * 3_600)
}

/// Runs git with a clean configuration; what it prints comes back.
pub fn git(folder: &Path, hours: i64, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "tag.gpgsign=false",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_DATE", stamp(hours))
        .env("GIT_COMMITTER_DATE", stamp(hours))
        .output()
        .expect("the tests of the git source need the git program");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn commit(folder: &Path, hours: i64, message: &str) -> String {
    git(
        folder,
        hours,
        &["commit", "--quiet", "--allow-empty", "-m", message],
    );
    git(folder, hours, &["rev-parse", "HEAD"])
}

fn sync(folder: &Path, which: Which) -> Outcome {
    read(
        folder,
        &Options {
            which,
            ..Options::default()
        },
        &mut |_| {},
    )
    .unwrap()
}

fn ids(outcome: &Outcome) -> Vec<&str> {
    outcome
        .deployments
        .iter()
        .map(|deployment| deployment.id.as_str())
        .collect()
}

fn titles(deployment: &Deployment) -> Vec<&str> {
    deployment
        .commits
        .iter()
        .flatten()
        .map(|commit| commit.title.as_str())
        .collect()
}

/// shop: v1.0.0 (10 h), v1.1.0 (annotated, 40 h, also v1.1), v2.0.0-rc.1 (45 h), v1.1.1-hotfix
/// (50 h), v1.2.0 (60 h, reverts a change of v1.1.0).
fn shop(folder: &Path) {
    git(folder, 0, &["init", "--quiet", "shop"]);
    let shop = folder.join("shop");
    commit(&shop, 1, "first");
    git(&shop, 10, &["tag", "v1.0.0"]);
    let broken = commit(&shop, 20, "a change that will be taken back");
    commit(&shop, 22, "another change");
    git(&shop, 40, &["tag", "-a", "v1.1.0", "-m", "release"]);
    git(&shop, 40, &["tag", "v1.1"]);
    commit(&shop, 44, "for the next");
    git(&shop, 45, &["tag", "-a", "v2.0.0-rc.1", "-m", "candidate"]);
    commit(&shop, 49, "hotfix: totals");
    git(&shop, 50, &["tag", "-a", "v1.1.1-hotfix.1", "-m", "urgent"]);
    commit(
        &shop,
        55,
        &format!("Revert \"a change\"\n\nThis reverts commit {broken}."),
    );
    git(&shop, 60, &["tag", "-a", "v1.2.0", "-m", "release"]);
}

#[test]
fn version_tags_are_deployments_with_the_commits_between_them() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let outcome = sync(&folder.path().join("shop"), Which::Auto);
    assert_eq!(outcome.service, "shop");
    assert_eq!(outcome.method.to_string(), "version tags");
    assert_eq!(
        ids(&outcome),
        [
            "shop@v1.0.0",
            "shop@v1.1.0",
            "shop@v2.0.0-rc.1",
            "shop@v1.1.1-hotfix.1",
            "shop@v1.2.0"
        ]
    );
    assert_eq!(outcome.tags.as_ref().unwrap().aliases, 1);
    assert!(outcome.complete && outcome.notes.is_empty());
    let [first, second, candidate, hotfix, last] = &outcome.deployments[..] else {
        panic!()
    };

    // A lightweight tag has its commit's time, an annotated one its own, and of two the earlier.
    assert_eq!(
        first.finished_at.micros() / 3_600_000_000 - 1_791_158_400 / 3_600,
        1
    );
    assert_eq!(
        second.finished_at.micros() / 3_600_000_000 - 1_791_158_400 / 3_600,
        22
    );
    assert_eq!(
        last.finished_at.micros() / 3_600_000_000 - 1_791_158_400 / 3_600,
        60
    );

    assert_eq!(first.commits, None);
    assert_eq!(
        titles(second),
        ["a change that will be taken back", "another change"]
    );
    assert_eq!(candidate.environment, "staging");
    assert_eq!(titles(hotfix), ["for the next", "hotfix: totals"]);
    assert_eq!(
        (hotfix.kind, hotfix.environment.as_str()),
        (DeploymentKind::Hotfix, "production")
    );
    assert_eq!(
        (second.result, last.kind),
        (DeploymentResult::Failed, DeploymentKind::Rollback)
    );
    assert_eq!(last.result, DeploymentResult::Success);

    // A folder inside of the repository is as good, and a second reading gives the same.
    std::fs::create_dir(folder.path().join("shop/src")).unwrap();
    assert_eq!(
        sync(&folder.path().join("shop/src"), Which::Auto).deployments,
        outcome.deployments
    );
}

#[test]
fn a_pattern_takes_what_it_matches_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let shop = folder.path().join("shop");
    let outcome = sync(&shop, Which::Tags("v2*".to_owned()));
    assert_eq!(ids(&outcome), ["shop@v2.0.0-rc.1"]);
    assert_eq!(outcome.deployments[0].environment, "production");
    assert!(
        sync(&shop, Which::Tags("none-*".to_owned()))
            .deployments
            .is_empty()
    );
    let wrong = read(
        &shop,
        &Options {
            which: Which::Tags("v[".to_owned()),
            ..Options::default()
        },
        &mut |_| {},
    );
    assert!(matches!(wrong, Err(GitError::Pattern { .. })));
}

#[test]
fn without_tags_merges_into_the_default_branch_and_else_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), 0, &["init", "--quiet", "app"]);
    let app = folder.path().join("app");
    assert!(
        sync(&app, Which::Auto)
            .method
            .to_string()
            .contains("no commit")
    );

    commit(&app, 1, "one");
    commit(&app, 2, "two");
    let outcome = sync(&app, Which::Auto);
    assert!(
        outcome
            .method
            .to_string()
            .starts_with("every commit of main"),
        "{}",
        outcome.method
    );
    assert_eq!(outcome.deployments.len(), 2);

    for (name, hours) in [("topic", 3), ("hotfix/totals", 5)] {
        git(&app, hours, &["checkout", "--quiet", "-b", name]);
        commit(&app, hours, &format!("work on {name}"));
        git(&app, hours, &["checkout", "--quiet", "main"]);
        git(
            &app,
            hours + 1,
            &[
                "merge",
                "--quiet",
                "--no-ff",
                "-m",
                &format!("Merge branch '{name}'"),
                name,
            ],
        );
    }
    // Detached at an old commit: the branch is what counts.
    git(&app, 9, &["checkout", "--quiet", "--detach", "HEAD~1"]);
    let outcome = sync(&app, Which::Auto);
    assert!(
        outcome.method.to_string().starts_with("merges into main"),
        "{}",
        outcome.method
    );
    assert_eq!(outcome.deployments.len(), 2);
    assert_eq!(outcome.deployments[0].commits, None);
    assert_eq!(titles(&outcome.deployments[1]), ["work on hotfix/totals"]);
    assert_eq!(outcome.deployments[1].kind, DeploymentKind::Hotfix);
    assert_eq!(
        sync(&app, Which::Merges("main".to_owned())).deployments,
        outcome.deployments
    );

    let unknown = read(
        &app,
        &Options {
            which: Which::Merges("trunk".to_owned()),
            ..Options::default()
        },
        &mut |_| {},
    );
    let message = unknown.unwrap_err().to_string();
    assert!(
        message.contains("`trunk`") && message.contains("`main`"),
        "{message}"
    );
}

#[test]
fn an_octopus_merge_is_one_deployment() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), 0, &["init", "--quiet", "app"]);
    let app = folder.path().join("app");
    commit(&app, 1, "base");
    git(&app, 2, &["tag", "v1.0"]);
    for name in ["a", "b", "c"] {
        git(&app, 3, &["checkout", "--quiet", "-b", name, "main"]);
        std::fs::write(app.join(name), name).unwrap();
        git(&app, 3, &["add", "."]);
        commit(&app, 3, &format!("work on {name}"));
    }
    git(&app, 4, &["checkout", "--quiet", "main"]);
    git(
        &app,
        5,
        &["merge", "--quiet", "-m", "Merge three", "a", "b", "c"],
    );
    git(&app, 6, &["tag", "v1.1"]);
    let outcome = sync(&app, Which::Auto);
    let carried = titles(&outcome.deployments[1]);
    assert!(carried.len() >= 4, "{carried:?}");
    for name in ["work on a", "work on b", "work on c"] {
        assert!(carried.contains(&name), "{carried:?}");
    }
}

#[test]
fn a_shallow_clone_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let from = format!("file://{}", folder.path().join("shop").display());
    git(
        folder.path(),
        61,
        &["clone", "--quiet", "--depth", "3", &from, "shallow"],
    );
    let shallow = folder.path().join("shallow");
    git(
        &shallow,
        61,
        &[
            "fetch",
            "--quiet",
            "--depth",
            "3",
            "origin",
            "tag",
            "v1.1.1-hotfix.1",
        ],
    );
    let outcome = sync(&shallow, Which::Auto);
    assert!(!outcome.complete);
    assert!(
        outcome.notes.iter().any(|note| note.contains("shallow")),
        "{:?}",
        outcome.notes
    );
    assert!(!outcome.deployments.is_empty());
    assert_eq!(outcome.deployments[0].commits, None);
}

#[test]
fn a_long_history_is_cut_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path());
    let outcome = read(
        &folder.path().join("shop"),
        &Options {
            max_commits: 2,
            ..Options::default()
        },
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(outcome.commits_read, 2);
    assert!(
        !outcome.complete && outcome.notes[0].contains("newest 2 commits"),
        "{:?}",
        outcome.notes
    );
    assert_eq!(ids(&outcome), ["shop@v1.1.1-hotfix.1", "shop@v1.2.0"]);
}

#[test]
fn tags_of_a_monorepo_have_services_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), 0, &["init", "--quiet", "all"]);
    let all = folder.path().join("all");
    for (hours, tag) in [(1, "mail@1.0.0"), (2, "web@1.0.0"), (3, "mail@1.1.0")] {
        commit(&all, hours, tag);
        git(&all, hours, &["tag", tag]);
    }
    let outcome = sync(&all, Which::Auto);
    assert_eq!(ids(&outcome), ["mail@1.0.0", "web@1.0.0", "mail@1.1.0"]);
    assert_eq!(outcome.deployments[2].service, "mail");
    assert_eq!(titles(&outcome.deployments[2]), ["web@1.0.0", "mail@1.1.0"]);
}

#[test]
fn a_wrong_path_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let error = read(&nowhere, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(
        error.class() == ErrorClass::Missing && error.to_string().contains("--repo"),
        "{error}"
    );
    let error = read(folder.path(), &Options::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
}
