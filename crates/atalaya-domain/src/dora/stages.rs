//! Where the time of a pull request went: coding, pickup, review, deploy, and the cycle of all.
//!
//! A stage is whole minutes, rounded up, because a stage of seconds took place; it is absent when
//! one of its ends is missing or its end lies before its begin (a rebase, a comment copied from
//! elsewhere, a deployment that ran before the merge).

use super::failures::Delivered;
use crate::delivery::pull_request::{Comment, ProposedCommit, PullRequest};
use crate::delivery::{Deployment, DeploymentResult};
use crate::time::Timestamp;

/// What a pull request took, and the facts that each stage was measured between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stages<'a> {
    pub first_commit: Option<&'a ProposedCommit>,
    /// The first word of somebody else than its author.
    pub first_answer: Option<&'a Comment>,
    /// The first successful deployment that carried its merge.
    pub deployment: Option<&'a Deployment>,
    /// First commit (author date) to opened.
    pub coding_minutes: Option<u64>,
    /// Opened to the first answer.
    pub pickup_minutes: Option<u64>,
    /// First answer to merged.
    pub review_minutes: Option<u64>,
    /// Merged to the end of the deployment.
    pub deploy_minutes: Option<u64>,
    /// Coding, opened to merged, and deploy together; absent stages count nothing.
    pub cycle_minutes: u64,
}

/// Whole minutes from one instant to a later one, rounded up; `None` when it is not later or equal.
fn minutes(from: Option<Timestamp>, until: Option<Timestamp>) -> Option<u64> {
    let micros = until?.micros().checked_sub(from?.micros())?;
    u64::try_from(micros)
        .ok()
        .map(|micros| micros.div_ceil(60_000_000))
}

/// Measures one pull request; `None` unless it was merged.
///
/// `commits` are those of its branch and `comments` those made to it, reviews among them, in any
/// order. Equal instants are told apart by id, so that the answer does not depend on the order.
pub fn stages<'a>(
    pull: &PullRequest,
    commits: &'a [ProposedCommit],
    comments: &'a [Comment],
    delivered: &Delivered<'a>,
) -> Option<Stages<'a>> {
    let merged = pull.merged_at?;
    let first_commit = commits
        .iter()
        .min_by_key(|commit| (commit.authored_at, commit.sha.as_str()));
    let first_answer = comments
        .iter()
        .filter(|comment| comment.author.is_none() || comment.author != pull.author)
        .min_by_key(|comment| (comment.at, comment.id.as_str()));
    let deployment = pull
        .merge_sha
        .as_deref()
        .and_then(|sha| carrier(delivered, sha));

    let opened = Some(pull.opened_at);
    let answered = first_answer.map(|comment| comment.at);
    let coding = minutes(first_commit.map(|commit| commit.authored_at), opened);
    let deploy = minutes(
        Some(merged),
        deployment.map(|deployment| deployment.finished_at),
    );
    Some(Stages {
        first_commit,
        first_answer,
        deployment,
        coding_minutes: coding,
        pickup_minutes: minutes(opened, answered),
        review_minutes: minutes(answered, Some(merged)),
        deploy_minutes: deploy,
        cycle_minutes: coding.unwrap_or(0)
            + minutes(opened, Some(merged)).unwrap_or(0)
            + deploy.unwrap_or(0),
    })
}

/// The first successful deployment whose new commits hold `sha`, of whichever service.
///
/// The first deployment of a service has no predecessor to be compared with, so that nothing is
/// known to be new in it.
fn carrier<'a>(delivered: &Delivered<'a>, sha: &str) -> Option<&'a Deployment> {
    delivered.deployments.iter().copied().find(|deployment| {
        deployment.result == DeploymentResult::Success
            && deployment
                .commits
                .as_ref()
                .is_some_and(|commits| commits.iter().any(|commit| commit.sha == sha))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_whole_minutes_rounded_up_and_never_negative() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        for (from, until, expected) in [
            (at(0), at(60_000_000), Some(1)),
            (at(0), at(60_000_001), Some(2)),
            (at(0), at(1), Some(1)),
            (at(5), at(5), Some(0)),
            (at(6), at(5), None),
            (None, at(5), None),
            (at(5), None, None),
            (Some(Timestamp::MIN), Some(Timestamp::MAX), None),
        ] {
            assert_eq!(minutes(from, until), expected, "{from:?} to {until:?}");
        }
    }
}
