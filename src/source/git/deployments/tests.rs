#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::history::Commit;
use super::*;

const WEEK: Duration = Duration::from_hours(7 * 24);

fn commit(sha: &str, parents: &[&str], at: i64, title: &str) -> Commit {
    Commit {
        sha: sha.to_owned(),
        parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
        authored_at: Timestamp::from_seconds(at),
        committed_at: Timestamp::from_seconds(at),
        title: title.to_owned(),
        reverts: super::super::history::reverts(title),
        request_id: None,
    }
}

fn assigned(history: &History, marks: Vec<Mark>, team: Option<&str>) -> Assigned {
    assign(history, marks, team, WEEK)
}

fn mark(id: &str, commit: &str, at: i64) -> Mark {
    Mark {
        id: id.to_owned(),
        commit: commit.to_owned(),
        at: Timestamp::from_seconds(at),
        service: "shop".to_owned(),
        environment: "production".to_owned(),
        hotfix: false,
        carries: Carries::All,
        version: Vec::new(),
        request_id: None,
    }
}

fn carried(deployment: &Deployment) -> Option<Vec<&str>> {
    deployment
        .commits
        .as_ref()
        .map(|commits| commits.iter().map(|commit| commit.sha.as_str()).collect())
}

/// a - b - d(merge of b, c) - e; c branches off a.
fn history() -> History {
    History::new(vec![
        commit("eeeeeee", &["ddddddd"], 50, "This reverts commit bbbbbbb."),
        commit(
            "ddddddd",
            &["bbbbbbb", "ccccccc"],
            40,
            "Merge branch 'topic'",
        ),
        commit("ccccccc", &["aaaaaaa"], 30, "c"),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ])
}

#[test]
fn each_commit_goes_to_the_first_deployment_that_reaches_it() {
    let made = assigned(
        &history(),
        vec![mark("v2", "ddddddd", 45), mark("v1", "bbbbbbb", 25)],
        Some("blue"),
    );
    assert_eq!(made.deployments.len(), 2);
    assert_eq!(carried(&made.deployments[0]), None); // nothing is known before the first
    assert_eq!(
        carried(&made.deployments[1]),
        Some(vec!["ccccccc", "ddddddd"])
    );
    assert_eq!(made.deployments[1].team.as_deref(), Some("blue"));
}

#[test]
fn a_revert_fails_the_original_and_is_a_rollback() {
    use DeploymentResult::{Failed, Success};
    let marks = vec![
        mark("v1", "aaaaaaa", 12),
        mark("v2", "bbbbbbb", 25),
        mark("v3", "ddddddd", 45),
        mark("v4", "eeeeeee", 55),
    ];
    let made = assigned(&history(), marks, None);
    let results: Vec<DeploymentResult> = made
        .deployments
        .iter()
        .map(|deployment| deployment.result)
        .collect();
    assert_eq!(results, [Success, Failed, Success, Success]);
    assert_eq!(made.deployments[1].taken_back_by.as_deref(), Some("v4"));
    assert_eq!(made.deployments[3].kind, DeploymentKind::Rollback);
    let revert = &made.deployments[3].commits.as_ref().unwrap()[0];
    assert!(revert.reverts);
}

#[test]
fn the_deployment_that_carried_it_failed_and_not_the_one_before() {
    let made = assigned(
        &history(),
        vec![
            mark("v1", "bbbbbbb", 25), // the first: its commits are unknown, and it carried b
            mark("v2", "ddddddd", 45),
            mark("v3", "eeeeeee", 55),
        ],
        None,
    );
    let results: Vec<_> = made
        .deployments
        .iter()
        .map(|deployment| (deployment.result, deployment.taken_back_by.as_deref()))
        .collect();
    assert_eq!(
        results,
        [
            (DeploymentResult::Failed, Some("v3")),
            (DeploymentResult::Success, None),
            (DeploymentResult::Success, None),
        ]
    );
}

#[test]
fn a_late_revert_is_a_change_of_mind() {
    let cap = Duration::from_secs(24); // b went out at 25, its revert was made at 50
    let marks = || {
        vec![
            mark("v1", "bbbbbbb", 25),
            mark("v2", "ddddddd", 45),
            mark("v3", "eeeeeee", 55),
        ]
    };
    let made = assign(&history(), marks(), None, cap);
    assert!(made.deployments.iter().all(|deployment| {
        deployment.result == DeploymentResult::Success && deployment.kind == DeploymentKind::Normal
    }));
    // At the cap itself it still counts.
    let made = assign(&history(), marks(), None, cap + Duration::from_secs(1));
    assert_eq!(made.deployments[0].result, DeploymentResult::Failed);
}

#[test]
fn a_release_with_one_revert_among_others_is_no_rollback() {
    let history = History::new(vec![
        commit("ddddddd", &["ccccccc"], 40, "another"),
        commit("ccccccc", &["bbbbbbb"], 30, "This reverts commit bbbbbbb."),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let marks = vec![
        mark("v1", "aaaaaaa", 11),
        mark("v2", "bbbbbbb", 21),
        mark("v3", "ddddddd", 41),
    ];
    let made = assigned(&history, marks, None);
    assert_eq!(made.deployments[1].result, DeploymentResult::Failed);
    assert_eq!(made.deployments[2].kind, DeploymentKind::Normal);
    let flags: Vec<bool> = made.deployments[2]
        .commits
        .iter()
        .flatten()
        .map(|commit| commit.reverts)
        .collect();
    assert_eq!(flags, [true, false]);
}

#[test]
fn a_revert_that_is_taken_back_before_it_goes_out_fails_nothing() {
    let history = History::new(vec![
        commit("ddddddd", &["ccccccc"], 40, "This reverts commit ccccccc."),
        commit("ccccccc", &["bbbbbbb"], 30, "This reverts commit bbbbbbb."),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let marks = vec![
        mark("v1", "aaaaaaa", 11),
        mark("v2", "bbbbbbb", 21),
        mark("v3", "ddddddd", 41),
    ];
    let made = assigned(&history, marks, None);
    assert!(made.deployments.iter().all(|deployment| {
        deployment.result == DeploymentResult::Success && deployment.kind == DeploymentKind::Normal
    }));
}

/// b and its revert go out together on one branch; later the same revert is brought to another.
#[test]
fn a_revert_brought_to_another_branch_fails_no_release_that_had_it() {
    let history = History::new(vec![
        commit("fffffff", &["eeeeeee"], 60, "This reverts commit bbbbbbb."), // on the old branch
        commit("eeeeeee", &["aaaaaaa"], 50, "b, picked to the old branch"),
        commit("ccccccc", &["bbbbbbb"], 30, "This reverts commit bbbbbbb."),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let marks = vec![
        mark("v1.0", "aaaaaaa", 11),
        mark("v2.0", "ccccccc", 31),
        mark("v1.1", "fffffff", 61),
    ];
    let made = assigned(&history, marks, None);
    assert!(made.deployments.iter().all(|deployment| {
        deployment.result == DeploymentResult::Success && deployment.kind == DeploymentKind::Normal
    }));
}

/// b is there, its revert and the revert of that: what went out has b, and a later one fails it.
#[test]
fn what_was_brought_back_before_it_went_out_can_fail() {
    let history = History::new(vec![
        commit("eeeeeee", &["ddddddd"], 50, "This reverts commit bbbbbbb."),
        commit("ddddddd", &["ccccccc"], 40, "This reverts commit ccccccc."),
        commit("ccccccc", &["bbbbbbb"], 30, "This reverts commit bbbbbbb."),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let marks = vec![
        mark("v1", "aaaaaaa", 11),
        mark("v2", "ddddddd", 41),
        mark("v3", "eeeeeee", 51),
    ];
    let made = assigned(&history, marks, None);
    assert_eq!(made.deployments[1].result, DeploymentResult::Failed);
    assert_eq!(made.deployments[2].kind, DeploymentKind::Rollback);
}

#[test]
fn a_revert_made_before_it_went_out_fails_nothing() {
    let marks = |released: i64| {
        vec![
            mark("v1", "aaaaaaa", 12),
            mark("v2", "ddddddd", released),
            mark("v3", "eeeeeee", 80),
        ]
    };
    // The revert is of 50.
    for (released, expected) in [
        (45, DeploymentResult::Failed),
        (50, DeploymentResult::Failed),
        (51, DeploymentResult::Success),
        (70, DeploymentResult::Success),
    ] {
        let made = assigned(&history(), marks(released), None);
        assert_eq!(made.deployments[1].result, expected, "{released}");
    }
}

#[test]
fn an_older_commit_released_again_takes_the_one_before_it_back() {
    let version = |numbers: &[u64], mark: Mark| Mark {
        version: numbers.to_vec(),
        ..mark
    };
    let marks = |again: &[u64]| {
        vec![
            version(&[1, 0, 0], mark("v1.0.0", "aaaaaaa", 12)),
            version(&[1, 1, 0], mark("v1.1.0", "ddddddd", 45)),
            version(again, mark("again", "aaaaaaa", 60)),
        ]
    };
    let made = assigned(&history(), marks(&[1, 1, 1]), None);
    let [_, failed, rollback] = &made.deployments[..] else {
        panic!()
    };
    assert_eq!(
        (failed.result, failed.taken_back_by.as_deref()),
        (DeploymentResult::Failed, Some("again"))
    );
    assert_eq!(rollback.kind, DeploymentKind::Rollback);
    assert_eq!(rollback.commits, Some(Vec::new()));
    // A repair of an older line beside the newer one takes nothing back.
    let made = assigned(&history(), marks(&[1, 0, 1]), None);
    assert!(made.deployments.iter().all(|deployment| {
        deployment.result == DeploymentResult::Success && deployment.kind == DeploymentKind::Normal
    }));
}

#[test]
fn a_revert_before_anything_went_out_is_nothing() {
    let made = assigned(
        &history(),
        vec![mark("v1", "aaaaaaa", 12), mark("v2", "eeeeeee", 55)],
        None,
    );
    assert!(made.deployments.iter().all(|deployment| {
        deployment.result == DeploymentResult::Success && deployment.kind == DeploymentKind::Normal
    }));
}

#[test]
fn an_older_commit_deployed_again_carries_nothing() {
    let made = assigned(
        &history(),
        vec![
            mark("v1", "aaaaaaa", 12),
            mark("v2", "ddddddd", 45),
            mark("v1-again", "bbbbbbb", 60),
        ],
        None,
    );
    assert_eq!(carried(&made.deployments[2]), Some(vec![]));
}

#[test]
fn services_and_environments_have_lines_of_their_own() {
    let staging = Mark {
        environment: "staging".to_owned(),
        ..mark("rc", "ddddddd", 41)
    };
    let made = assigned(
        &history(),
        vec![
            mark("v1", "aaaaaaa", 12),
            staging,
            mark("v2", "ddddddd", 45),
        ],
        None,
    );
    let production = made
        .deployments
        .iter()
        .find(|deployment| deployment.id == "v2")
        .unwrap();
    assert_eq!(carried(production).unwrap().len(), 3);
}

#[test]
fn merges_of_a_branch_and_octopus_merges() {
    let history = History::new(vec![
        commit(
            "fffffff",
            &["ddddddd", "bbbbbbb", "ccccccc"],
            50,
            "Merge branches 'hotfix/a' and 'b'",
        ),
        commit("ccccccc", &["aaaaaaa"], 30, "c"),
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("ddddddd", &["aaaaaaa"], 15, "straight to the branch"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let (marks, merges) = branch_marks(&history, "fffffff", "shop", &Options::default(), true);
    assert!(merges);
    assert_eq!(marks.len(), 1);
    assert!(marks[0].hotfix && marks[0].carries == Carries::AllButItself);
    let made = assigned(
        &history,
        [mark("v0", "aaaaaaa", 11)]
            .into_iter()
            .chain(marks)
            .collect(),
        None,
    );
    assert_eq!(
        carried(&made.deployments[1]),
        Some(vec!["ddddddd", "bbbbbbb", "ccccccc"])
    );
    assert_eq!(made.deployments[1].kind, DeploymentKind::Hotfix);
}

/// The history behind the first one is not known here, and all that is of it happens to be urgent.
#[test]
fn the_first_of_a_line_is_urgent_only_by_its_own_words() {
    let history = History::new(vec![
        commit("ccccccc", &["bbbbbbb"], 30, "c"),
        commit("bbbbbbb", &["aaaaaaa", "fffffff"], 20, "Merge the branch"),
        commit("aaaaaaa", &["eeeeeee"], 10, "hotfix: quick"),
    ]);
    let marks = [mark("v1", "bbbbbbb", 21), mark("v2", "ccccccc", 31)];
    let made = assigned(&history, marks.into(), None);
    for deployment in &made.deployments {
        assert_eq!(deployment.kind, DeploymentKind::Normal, "{deployment:?}");
    }
}

#[test]
fn a_branch_without_merges_deploys_every_commit_if_asked() {
    let straight = History::new(vec![
        commit("bbbbbbb", &["aaaaaaa"], 20, "b"),
        commit("aaaaaaa", &[], 10, "a"),
    ]);
    let (marks, merges) = branch_marks(&straight, "bbbbbbb", "shop", &Options::default(), true);
    assert_eq!((marks.len(), merges), (2, false));
    let made = assigned(&straight, marks, None);
    assert!(
        made.deployments
            .iter()
            .all(|deployment| deployment.commits.is_none())
    );
    assert!(
        branch_marks(&straight, "bbbbbbb", "shop", &Options::default(), false)
            .0
            .is_empty()
    );
}

#[test]
fn words_of_urgency() {
    for text in [
        "hotfix/login",
        "v1.2.3-hotfix.1",
        "Hot-fix: totals",
        "emergency release",
        "Merge branch 'hotfix/x'",
    ] {
        assert!(is_hotfix(text), "{text}");
    }
    for text in ["fix: typo", "shotfixed", "feature/hotfixes-page"] {
        assert!(!is_hotfix(text), "{text}");
    }
}
