//! Pull requests with the ends of their stages: first commit, first answer, merge.

use std::collections::HashMap;

use atalaya_domain::delivery::pull_request::{PullRequest, PullSummary};
use atalaya_domain::time::Timestamp;

use super::listing::{Newest, Shape};
use super::reader::{Reader, list};
use super::{Odd, RepositoryOutcome, Stop};
use crate::source::github;

const PULLS: Shape = Shape {
    field: None,
    time: "updated_at",
};

/// Reads what changed of the pull requests; of those that were merged, their commits and reviews too.
pub(super) async fn read(reader: &Reader<'_>, outcome: &mut RepositoryOutcome) -> Result<(), Stop> {
    let stored = reader.store.pull_requests(reader.repository).await?;
    let mut known: HashMap<String, PullSummary> = stored
        .into_iter()
        .map(|pull| (pull.id.clone(), pull))
        .collect();
    let mut odd = Odd::default();
    let first = reader.place("pulls?state=all&sort=updated&direction=desc&per_page=100");
    let mut listing = Newest::open(reader, "pulls".to_owned(), first, PULLS).await?;
    while let Some(things) = listing.next().await? {
        for thing in things {
            reader.says("pull requests");
            let read = github::pull_request(&thing.to_string(), reader.repository);
            let Some(pull) = odd
                .sort(read)
                .filter(|pull| pull.updated_at >= reader.oldest)
            else {
                continue;
            };
            let summary = summary(reader, pull, &known, &mut odd).await?;
            if known.get(&summary.id) == Some(&summary) {
                outcome.pull_requests.unchanged += 1;
                continue;
            }
            let one = std::slice::from_ref(&summary);
            outcome.pull_requests += reader.store.put_pull_requests(one).await?;
            known.insert(summary.id.clone(), summary);
        }
        listing.taken().await?;
    }
    odd.note("pull requests", &mut outcome.notes);
    Ok(())
}

async fn summary(
    reader: &Reader<'_>,
    pull: PullRequest,
    known: &HashMap<String, PullSummary>,
    odd: &mut Odd,
) -> Result<PullSummary, Stop> {
    let mut summary = PullSummary {
        id: pull.id,
        // As it is configured: a repository that was renamed is the same one.
        repository: reader.repository.to_owned(),
        number: pull.number,
        title: pull.title,
        author: pull.author,
        head_branch: Some(pull.head_branch),
        head_sha: Some(pull.head_sha),
        first_commit_at: None,
        last_commit_at: None,
        opened_at: pull.opened_at,
        first_review_at: None,
        merged_at: pull.merged_at,
        closed_at: pull.closed_at,
        merge_sha: pull.merge_sha.filter(|_| pull.merged_at.is_some()),
    };
    if summary.merged_at.is_none() {
        return Ok(summary);
    }
    // What was merged stays as it was then.
    if let Some(before) = known.get(&summary.id)
        && before.merged_at == summary.merged_at
        && before.first_commit_at.is_some()
    {
        summary.first_commit_at = before.first_commit_at;
        summary.last_commit_at = before.last_commit_at;
        summary.first_review_at = before.first_review_at;
        return Ok(summary);
    }
    let place = |what: &str| reader.place(&format!("pulls/{}/{what}?per_page=100", pull.number));
    let commits = reader.all(&place("commits"), list).await?;
    let authored: Vec<Timestamp> = commits
        .unwrap_or_default()
        .iter()
        .filter_map(|commit| odd.sort(github::commit(&commit.to_string())))
        .map(|commit| commit.authored_at)
        .collect();
    summary.first_commit_at = authored.iter().min().copied();
    summary.last_commit_at = authored.iter().max().copied();
    let reviews = reader.all(&place("reviews"), list).await?;
    summary.first_review_at = reviews
        .unwrap_or_default()
        .iter()
        .filter_map(|review| odd.sort(github::review(&review.to_string())).flatten())
        .filter(|review| review.author.is_none() || review.author != summary.author)
        .map(|review| review.at)
        .min();
    Ok(summary)
}
