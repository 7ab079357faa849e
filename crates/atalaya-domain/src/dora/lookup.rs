//! Deployments by everything that an incident can name them by.
//!
//! Built once over the deployments of a report, so that a thousand incidents do not read through
//! ten thousand deployments each. Commits are compared without regard to case, as people paste them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::delivery::Deployment;
use crate::time::Timestamp;

/// Digits from which on a beginning of a commit id names it, as in git itself.
const SHA_DIGITS: usize = 7;

/// Indices into the deployments that it was built over, which are in the order of their finish.
#[derive(Debug, Default)]
pub(super) struct Lookup<'a> {
    ids: HashMap<&'a str, usize>,
    services: HashMap<&'a str, Vec<usize>>,
    requests: HashMap<&'a str, Vec<usize>>,
    cycles: HashMap<&'a str, Vec<usize>>,
    /// By the commit that was deployed.
    heads: BTreeMap<Cow<'a, str>, Vec<usize>>,
    /// Where each commit went out first, for each service.
    carried: BTreeMap<Cow<'a, str>, HashMap<&'a str, usize>>,
}

/// A commit id in the case that all are compared in.
pub(super) fn lower(sha: &str) -> Cow<'_, str> {
    if sha.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(sha.to_ascii_lowercase())
    } else {
        Cow::Borrowed(sha)
    }
}

impl<'a> Lookup<'a> {
    pub fn new(deployments: &[&'a Deployment]) -> Self {
        let mut lookup = Self::default();
        for (index, &deployment) in deployments.iter().enumerate() {
            let service = deployment.service.as_str();
            lookup.ids.entry(&deployment.id).or_insert(index);
            lookup.services.entry(service).or_default().push(index);
            if let Some(request) = &deployment.request_id {
                lookup
                    .requests
                    .entry(request.as_str())
                    .or_default()
                    .push(index);
            }
            if let Some(cycle) = &deployment.cycle_id {
                lookup.cycles.entry(cycle).or_default().push(index);
            }
            if let Some(head) = &deployment.commit {
                lookup.heads.entry(lower(head)).or_default().push(index);
            }
            for commit in deployment.commits.iter().flatten() {
                lookup
                    .carried
                    .entry(lower(&commit.sha))
                    .or_default()
                    .entry(service)
                    .or_insert(index);
            }
        }
        lookup
    }

    pub fn id(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// The deployments of a service, in the order of time.
    pub fn of_service(&self, service: &str) -> &[usize] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// The last deployment that carries a request id.
    pub fn last_of_request(&self, request: &str) -> Option<usize> {
        self.requests.get(request)?.last().copied()
    }

    /// Where a commit went out first in this service.
    pub fn first_carrier(&self, service: &str, sha: &str) -> Option<usize> {
        self.carried.get(lower(sha).as_ref())?.get(service).copied()
    }

    /// By deployment id, cycle id, request id, or commit (a beginning of seven digits will do). Of
    /// several deployments of one cycle or commit, the last that finished before this moment.
    pub fn named(
        &self,
        deployments: &[&Deployment],
        cause: &str,
        before: Timestamp,
    ) -> Option<usize> {
        if let Some(index) = self.id(cause) {
            return Some(index);
        }
        let sha = is_sha(cause).then(|| lower(cause));
        let of = |map: &HashMap<&'a str, Vec<usize>>| map.get(cause).cloned().unwrap_or_default();
        let mut matching = of(&self.cycles);
        matching.extend(of(&self.requests));
        if let Some(sha) = &sha {
            matching.extend(beginning_with(&self.heads, sha).flatten());
        }
        matching.sort_unstable();
        if matching.is_empty() {
            // A commit that caused trouble, not the head of what was deployed.
            return beginning_with(&self.carried, &sha?)
                .flat_map(HashMap::values)
                .min()
                .copied();
        }
        matching
            .iter()
            .rev()
            .find(|&&index| deployments[index].finished_at <= before)
            .or(matching.first())
            .copied()
    }
}

fn is_sha(text: &str) -> bool {
    text.len() >= SHA_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn beginning_with<'m, V>(
    map: &'m BTreeMap<Cow<'_, str>, V>,
    start: &'m str,
) -> impl Iterator<Item = &'m V> {
    map.range::<str, _>((Bound::Included(start), Bound::Unbounded))
        .take_while(move |(sha, _)| sha.starts_with(start))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dora::fixtures::{commit, deployment, hour};
    use crate::record::RequestId;

    /// The same rules, read through all deployments.
    fn read_through(all: &[&Deployment], cause: &str, before: Timestamp) -> Option<usize> {
        if let Some(index) = all.iter().position(|deployment| deployment.id == cause) {
            return Some(index);
        }
        let begins =
            |sha: &str| is_sha(cause) && sha.to_lowercase().starts_with(&cause.to_lowercase());
        let matching: Vec<usize> = (0..all.len())
            .filter(|&index| {
                let deployment = all[index];
                deployment.cycle_id.as_deref() == Some(cause)
                    || deployment.request_id.as_ref().map(RequestId::as_str) == Some(cause)
                    || deployment.commit.as_deref().is_some_and(begins)
            })
            .collect();
        let carries = |index: &usize| {
            all[*index]
                .commits
                .iter()
                .flatten()
                .any(|one| begins(&one.sha))
        };
        match matching.first() {
            None => (0..all.len()).find(carries),
            Some(first) => matching
                .iter()
                .rfind(|&&index| all[index].finished_at <= before)
                .or(Some(first))
                .copied(),
        }
    }

    proptest! {
        /// Ids, cycles, requests and commits out of a few letters, so that they often meet; commits
        /// in either case.
        #[test]
        fn the_lookup_finds_what_reading_through_finds(
            rows in proptest::collection::vec(
                (
                    "[ab]{1,2}",
                    proptest::option::of("[ab]{1,2}"),
                    proptest::option::of("[ab]{1,2}"),
                    proptest::option::of("[abAB]{8}"),
                    proptest::collection::vec("[abAB]{8}", 0..4),
                ),
                0..8,
            ),
            causes in proptest::collection::vec("[ab]{1,2}|[abAB]{6,8}", 1..20),
            before in 0_u32..10,
        ) {
            let deployments: Vec<Deployment> = rows
                .into_iter()
                .zip(0_u32..)
                .map(|((service, cycle, request, head, carried), at)| Deployment {
                    service,
                    cycle_id: cycle,
                    request_id: request.map(RequestId::new),
                    commit: head,
                    commits: Some(carried.iter().map(|sha| commit(sha, 0.0, 0.0)).collect()),
                    ..deployment(&format!("d{at}"), f64::from(at))
                })
                .collect();
            let all: Vec<&Deployment> = deployments.iter().collect();
            let lookup = Lookup::new(&all);
            let before = hour(f64::from(before));
            for cause in &causes {
                prop_assert_eq!(
                    lookup.named(&all, cause, before),
                    read_through(&all, cause, before),
                    "{}", cause
                );
            }
            for (index, deployment) in all.iter().enumerate() {
                for carried in deployment.commits.iter().flatten() {
                    let first = lookup.first_carrier(&deployment.service, &carried.sha.to_uppercase());
                    prop_assert!(first.is_some_and(|first| first <= index));
                }
                prop_assert!(lookup.of_service(&deployment.service).contains(&index));
            }
        }
    }
}
