//! One deployment that two sources tell: a git repository by its tag or merge, and GitHub by the
//! deployment that the tag or merge began.
//!
//! 1. What git takes for a deployment for want of better (a merge, a commit) stands back from the
//!    first one on that GitHub tells of the same repository and environment: GitHub knows what went
//!    out.
//! 2. A tag is somebody's word. GitHub's first deployment of its commit to its environment is the
//!    same deployment, and the tag's stays: it has the name that people know, and all commits. A
//!    later one of that commit is a re-deploy, and counts.

use std::collections::HashSet;

use super::{Deployment, DeploymentResult};
use crate::time::Timestamp;

/// A repository that both read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Origin of git's deployments.
    pub git: String,
    /// Origin of GitHub's.
    pub github: String,
    /// Git has no tags to go by.
    pub guessed: bool,
}

/// Takes out what is told twice; returns how many.
pub fn tell_once(deployments: &mut Vec<Deployment>, pairs: &[Pair]) -> usize {
    let before = deployments.len();
    for pair in pairs {
        if pair.guessed {
            stand_back(deployments, pair);
        } else {
            join(deployments, pair);
        }
    }
    before - deployments.len()
}

fn reached(deployment: &Deployment) -> bool {
    deployment.result != DeploymentResult::Aborted
}

fn stand_back(deployments: &mut Vec<Deployment>, pair: &Pair) {
    let told = deployments
        .iter()
        .filter(|deployment| deployment.origin == pair.github && reached(deployment));
    let mut since: Vec<(String, Timestamp)> = Vec::new();
    for deployment in told {
        match since
            .iter_mut()
            .find(|(environment, _)| *environment == deployment.environment)
        {
            Some((_, first)) => *first = deployment.finished_at.min(*first),
            None => since.push((deployment.environment.clone(), deployment.finished_at)),
        }
    }
    deployments.retain(|deployment| {
        deployment.origin != pair.git
            || !since.iter().any(|(environment, first)| {
                *environment == deployment.environment && deployment.finished_at >= *first
            })
    });
}

fn join(deployments: &mut Vec<Deployment>, pair: &Pair) {
    let key = |deployment: &Deployment| {
        let commit = deployment.commit.clone()?;
        Some((commit, deployment.environment.clone()))
    };
    let mut open: HashSet<(String, String)> = deployments
        .iter()
        .filter(|deployment| deployment.origin == pair.git && reached(deployment))
        .filter_map(key)
        .collect();
    let mut told: Vec<&Deployment> = deployments
        .iter()
        .filter(|deployment| deployment.origin == pair.github && reached(deployment))
        .collect();
    told.sort_by(|one, other| (one.finished_at, &one.id).cmp(&(other.finished_at, &other.id)));
    let twice: HashSet<String> = told
        .into_iter()
        .filter(|deployment| key(deployment).is_some_and(|key| open.remove(&key)))
        .map(|deployment| deployment.id.clone())
        .collect();
    deployments.retain(|deployment| !twice.contains(&deployment.id));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::delivery::DeploymentKind;

    fn deployment(id: &str, origin: &str, commit: &str, at: i64) -> Deployment {
        Deployment {
            id: id.to_owned(),
            service: "shop".to_owned(),
            team: None,
            environment: "production".to_owned(),
            commit: Some(commit.to_owned()),
            started_at: None,
            finished_at: Timestamp::from_seconds(at),
            result: DeploymentResult::Success,
            kind: DeploymentKind::Normal,
            request_id: None,
            cycle_id: None,
            origin: origin.to_owned(),
            taken_back_by: None,
            commits: None,
        }
    }

    fn pair(guessed: bool) -> Pair {
        Pair {
            git: "git:1".to_owned(),
            github: "github:h/a/b".to_owned(),
            guessed,
        }
    }

    fn left(mut deployments: Vec<Deployment>, guessed: bool) -> Vec<String> {
        tell_once(&mut deployments, &[pair(guessed)]);
        deployments
            .into_iter()
            .map(|deployment| deployment.id)
            .collect()
    }

    #[test]
    fn a_tag_and_its_first_deployment_are_one() {
        let all = vec![
            deployment("v1", "git:1", "a", 10),
            deployment("again", "github:h/a/b", "a", 30),
            deployment("first", "github:h/a/b", "a", 12),
            deployment("other", "github:h/a/b", "b", 20),
            deployment("theirs", "github:h/x/y", "a", 12),
        ];
        assert_eq!(left(all, false), ["v1", "again", "other", "theirs"]);
        let mut failed = deployment("first", "github:h/a/b", "a", 12);
        failed.result = DeploymentResult::Aborted;
        let mut staging = deployment("staging", "github:h/a/b", "a", 13);
        staging.environment = "staging".to_owned();
        let all = vec![deployment("v1", "git:1", "a", 10), failed, staging];
        assert_eq!(left(all, false), ["v1", "first", "staging"]);
    }

    #[test]
    fn a_guess_stands_back_from_what_is_known() {
        let all = vec![
            deployment("merge 1", "git:1", "a", 10),
            deployment("merge 2", "git:1", "b", 20),
            deployment("known", "github:h/a/b", "b", 20),
            deployment("merge 3", "git:1", "c", 30),
        ];
        assert_eq!(left(all, true), ["merge 1", "known"]);
        let all = vec![deployment("merge 1", "git:1", "a", 10)];
        assert_eq!(left(all, true), ["merge 1"]);
    }

    proptest! {
        /// However many times both tell of a commit, each tag takes one of GitHub's with it.
        #[test]
        fn each_tag_takes_one(
            tags in prop::collection::hash_set(0_u8..6, 0..6),
            told in prop::collection::vec((0_u8..6, 0_i64..100), 0..20),
            order in any::<u64>(),
        ) {
            let mut all: Vec<Deployment> = tags
                .iter()
                .map(|tag| deployment(&format!("v{tag}"), "git:1", &tag.to_string(), 5))
                .collect();
            for (number, (commit, at)) in told.iter().enumerate() {
                all.push(deployment(&format!("d{number}"), "github:h/a/b", &commit.to_string(), *at));
            }
            let half = all.len().max(1);
            all.rotate_left(order as usize % half);
            let both = tags
                .iter()
                .filter(|tag| told.iter().any(|(commit, _)| commit == *tag))
                .count();
            let expected = all.len() - both;
            let taken = tell_once(&mut all, &[pair(false)]);
            prop_assert_eq!((all.len(), taken), (expected, both));
            let again = tell_once(&mut all.clone(), &[]);
            prop_assert_eq!(again, 0);
            for tag in &tags {
                let id = format!("v{tag}");
                prop_assert!(all.iter().any(|deployment| deployment.id == id));
            }
        }
    }
}
