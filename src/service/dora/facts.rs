//! Deployments as figures are made of them: each told once, squash merges dated by their branch.

use atalaya_domain::delivery::pull_request::{PullSummary, date_squash_merges};
use atalaya_domain::delivery::told_twice::{Pair, tell_once};
use atalaya_domain::delivery::{DeployedCommit, Deployment};
use atalaya_domain::time::TimeRange;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, Repository, Rows};

use crate::source::git::Method;

/// What was done to the rows of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Deployments that two sources tell.
    pub told_twice: usize,
    /// Commits that are measured from the first commit of their pull request.
    pub squashed: usize,
}

/// The deployments of a filter, for a calculation.
pub async fn deployments(
    store: &dyn MetricsStore,
    filter: &DeliveryFilter,
) -> Result<(Rows<Deployment>, Prepared), StoreError> {
    let mut rows = store.deployments(filter).await?;
    let pairs = pairs(&store.repositories().await?, &rows.read);
    let mut prepared = Prepared {
        told_twice: tell_once(&mut rows.read, &pairs),
        squashed: 0,
    };
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let pulls = pulls(store, &rows.read, range).await?;
    prepared.squashed = date_squash_merges(&mut rows.read, &pulls);
    Ok((rows, prepared))
}

/// The pull requests that may have made the commits of these deployments.
async fn pulls(
    store: &dyn MetricsStore,
    deployments: &[Deployment],
    range: TimeRange,
) -> Result<Vec<PullSummary>, StoreError> {
    let commits = deployments
        .iter()
        .flat_map(|deployment| deployment.commits.iter().flatten());
    let dates = commits.map(|commit: &DeployedCommit| commit.committed_at);
    match dates.min() {
        // A merge goes out after it was made, sometimes long after.
        Some(first) => {
            let merged = TimeRange::new(first.min(range.from), range.until);
            store.merged_pull_requests(merged).await
        }
        None => Ok(Vec::new()),
    }
}

/// Which repositories both git and GitHub tell of: those with the same address.
fn pairs(repositories: &[Repository], deployments: &[Deployment]) -> Vec<Pair> {
    let mut origins: Vec<&str> = deployments
        .iter()
        .map(|deployment| deployment.origin.as_str())
        .filter(|origin| origin.starts_with("github:"))
        .collect();
    origins.sort_unstable();
    origins.dedup();
    let mut pairs = Vec::new();
    for origin in origins {
        let address = origin.trim_start_matches("github:");
        let same = repositories.iter().filter(|repository| {
            let remote = repository.remote.as_deref();
            remote.is_some_and(|remote| remote.eq_ignore_ascii_case(address))
        });
        pairs.extend(same.map(|repository| Pair {
            git: repository.id.clone(),
            github: origin.to_owned(),
            guessed: repository.way == "auto"
                && !Method::read(&repository.method).is_some_and(|method| method.is_by_tags()),
        }));
    }
    pairs
}
