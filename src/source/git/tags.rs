//! Which tags are deployments, of what, and when.

use std::collections::BTreeMap;

use globset::{Glob, GlobMatcher};

use super::deployments::{Carries, Mark, is_hotfix};
use super::history::{History, Reader, request_id};
use super::{GitError, Naming, Options};
use atalaya_domain::delivery::version_tag;
use atalaya_domain::dora::PRODUCTION;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// Where pre-releases go.
pub const STAGING: &str = "staging";
/// Tags that matched nothing and are named.
const EXAMPLES: usize = 5;

#[derive(Clone, Debug)]
pub enum TagPattern {
    /// Whatever looks like a version.
    Version,
    Glob(GlobMatcher),
}

/// What a matching tag says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The part of a monorepo that it belongs to.
    pub owner: Option<String>,
    pub prerelease: bool,
}

impl TagPattern {
    pub const fn version() -> Self {
        Self::Version
    }

    pub fn glob(pattern: &str) -> Result<Self, GitError> {
        Glob::new(pattern)
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| GitError::Pattern {
                pattern: pattern.to_owned(),
                reason: error.kind().to_string(),
            })
    }

    pub(super) fn read(&self, tag: &str) -> Option<Reading> {
        match self {
            // What matches a given pattern is what was asked for.
            Self::Glob(glob) => glob.is_match(tag).then_some(Reading {
                owner: None,
                prerelease: false,
            }),
            Self::Version => version_tag::read(tag).map(|read| Reading {
                owner: read.owner.map(str::to_owned),
                prerelease: read.prerelease,
            }),
        }
    }
}

/// A tag that matches and names a commit.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub name: String,
    pub commit: gix::ObjectId,
    /// Of an annotated tag.
    pub tagged_at: Option<Timestamp>,
    pub owner: Option<String>,
    pub prerelease: bool,
    /// The request that its message names.
    pub request_id: Option<RequestId>,
}

/// What became of the tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagAccount {
    /// Deployments by service.
    pub deployments: BTreeMap<String, usize>,
    pub prereleases: usize,
    /// Further names of a commit that is a deployment already.
    pub aliases: usize,
    /// Matching tags of trees and blobs, or of objects that are not there.
    pub without_commit: usize,
    /// Matching tags whose commit lies beyond what was read.
    pub out_of_reach: usize,
    pub unmatched: usize,
    /// The first few of those.
    pub examples: Vec<String>,
}

impl TagAccount {
    pub fn total(&self) -> usize {
        self.deployments.values().sum::<usize>()
            + self.prereleases
            + self.aliases
            + self.without_commit
            + self.out_of_reach
            + self.unmatched
    }

    /// `15 tags: 12 are shop, 2 pre-releases (staging), 1 matched nothing (nightly)`.
    pub fn words(&self) -> String {
        let mut parts: Vec<String> = self
            .deployments
            .iter()
            .map(|(service, count)| format!("{count} are {service}"))
            .collect();
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        add(self.prereleases, &format!("pre-releases ({STAGING})"));
        add(self.aliases, "further names of one of these");
        add(self.without_commit, "name no commit");
        add(self.out_of_reach, "lie beyond what was read");
        if self.unmatched > 0 {
            let more = if self.unmatched > self.examples.len() {
                ", …"
            } else {
                ""
            };
            let examples = self.examples.join(", ");
            parts.push(format!(
                "{} matched nothing ({examples}{more})",
                self.unmatched
            ));
        }
        if parts.is_empty() {
            return "no tags".to_owned();
        }
        format!("{} tags: {}", self.total(), parts.join(", "))
    }
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub tags: Vec<Tag>,
    pub account: TagAccount,
}

impl Found {
    pub fn tips(&self) -> Vec<gix::ObjectId> {
        self.tags.iter().map(|tag| tag.commit).collect()
    }
}

pub(super) fn find(reader: &Reader<'_>, pattern: &TagPattern) -> Result<Found, GitError> {
    let references = reader
        .repository
        .references()
        .map_err(reader.unreadable("the references"))?;
    let mut found = Found::default();
    for reference in references.tags().map_err(reader.unreadable("the tags"))? {
        let Ok(mut reference) = reference else {
            found.account.without_commit += 1;
            continue;
        };
        let name = reference.name().shorten().to_string();
        let Some(reading) = pattern.read(&name) else {
            found.account.unmatched += 1;
            if found.account.examples.len() < EXAMPLES {
                found.account.examples.push(name);
            }
            continue;
        };
        let annotation = reference
            .try_id()
            .and_then(|id| id.object().ok())
            .and_then(|object| object.try_into_tag().ok());
        let tagged_at = annotation.as_ref().and_then(|tag| {
            tag.tagger()
                .ok()
                .flatten()
                .map(|by| Timestamp::from_seconds(by.seconds()))
        });
        let request_id = annotation
            .as_ref()
            .and_then(|tag| tag.decode().ok())
            .and_then(|tag| request_id(&tag.message.to_string()));
        let Ok(commit) = reference.peel_to_commit() else {
            found.account.without_commit += 1;
            continue;
        };
        found.tags.push(Tag {
            name,
            commit: commit.id,
            tagged_at,
            owner: reading.owner,
            prerelease: reading.prerelease,
            request_id,
        });
    }
    Ok(found)
}

/// A tag in its place in time.
struct Placed<'t> {
    tag: &'t Tag,
    at: Timestamp,
    sha: String,
    service: String,
    environment: String,
}

/// One mark for each release; `account` learns what became of each tag.
pub(super) fn marks(
    history: &History,
    tags: &[Tag],
    naming: &Naming,
    options: &Options,
    account: &mut TagAccount,
) -> Vec<Mark> {
    let mut lines: BTreeMap<(String, String), Vec<Placed<'_>>> = BTreeMap::new();
    for tag in tags {
        let sha = tag.commit.to_string();
        // A tag whose commit was cut away with the old end of the history is of no use.
        let Some(index) = history.find(&sha) else {
            account.out_of_reach += 1;
            continue;
        };
        let committed_at = history.commit(index).committed_at;
        let environment = if tag.prerelease && options.environment == PRODUCTION {
            STAGING.to_owned()
        } else {
            options.environment.clone()
        };
        let service = naming.service_of(tag.owner.as_deref());
        lines
            .entry((service.clone(), environment.clone()))
            .or_default()
            .push(Placed {
                at: tag
                    .tagged_at
                    .map_or(committed_at, |tagged| tagged.max(committed_at)),
                tag,
                sha,
                service,
                environment,
            });
    }
    let mut marks = Vec::new();
    for line in lines.into_values() {
        for release in releases(line) {
            account.aliases += release.len() - 1;
            if let Some(mark) = mark(history, &release, naming) {
                if release.iter().all(|placed| placed.tag.prerelease) {
                    account.prereleases += 1;
                } else {
                    *account.deployments.entry(mark.service.clone()).or_default() += 1;
                }
                marks.push(mark);
            }
        }
    }
    marks
}

/// Tags of one line by release: those of one commit are one, unless a later one with its own time
/// names another version and something else went out between them: then the commit went out again.
fn releases(mut line: Vec<Placed<'_>>) -> Vec<Vec<Placed<'_>>> {
    line.sort_by(|a, b| {
        (a.at, a.tag.tagged_at.is_some(), &a.tag.name).cmp(&(
            b.at,
            b.tag.tagged_at.is_some(),
            &b.tag.name,
        ))
    });
    let moments: Vec<(Timestamp, String)> = line
        .iter()
        .map(|placed| (placed.at, placed.sha.clone()))
        .collect();
    let mut by_commit: BTreeMap<String, Vec<Vec<Placed<'_>>>> = BTreeMap::new();
    for placed in line {
        let releases = by_commit.entry(placed.sha.clone()).or_default();
        let again = match releases.last().and_then(|last| last.first()) {
            None => true,
            Some(first) => {
                let between = moments
                    .iter()
                    .any(|(at, sha)| first.at < *at && *at < placed.at && *sha != placed.sha);
                between
                    && placed.tag.tagged_at.is_some()
                    && !releases.iter().flatten().any(|known| same(known, &placed))
            }
        };
        if again {
            releases.push(vec![placed]);
        } else {
            // A further name goes to the release that it is a name of, else to the first.
            let of = releases
                .iter()
                .position(|release| release.iter().any(|known| same(known, &placed)))
                .unwrap_or(0);
            releases[of].push(placed);
        }
    }
    by_commit.into_values().flatten().collect()
}

/// Whether one tag is only another spelling of the other, or a name that moves on.
fn same(one: &Placed<'_>, other: &Placed<'_>) -> bool {
    let (Some(one), Some(other)) = (
        version_tag::read(&one.tag.name),
        version_tag::read(&other.tag.name),
    ) else {
        return true;
    };
    one.floats_over(&other) || other.floats_over(&one)
}

fn mark(history: &History, release: &[Placed<'_>], naming: &Naming) -> Option<Mark> {
    // The most specific name says most, and floating tags (`v1`, `v1.2`) move on. Of others the first
    // one: a tag that comes later does not rename what went out.
    let named = release.iter().min_by(|a, b| {
        numbers(&b.tag.name)
            .len()
            .cmp(&numbers(&a.tag.name).len())
            .then_with(|| (a.at, &a.tag.name).cmp(&(b.at, &b.tag.name)))
    })?;
    let service = &named.service;
    let id = id_of(&named.tag.name, named.tag.owner.as_deref(), service, naming);
    let of_commit = || {
        let index = history.find(&named.sha)?;
        history.commit(index).request_id.clone()
    };
    Some(Mark {
        id,
        commit: named.sha.clone(),
        at: release.iter().map(|placed| placed.at).min()?,
        service: service.clone(),
        environment: named.environment.clone(),
        hotfix: release.iter().any(|placed| is_hotfix(&placed.tag.name)),
        carries: Carries::All,
        version: numbers(&named.tag.name),
        request_id: release
            .iter()
            .find_map(|placed| placed.tag.request_id.clone())
            .or_else(of_commit),
    })
}

/// The id of a release, out of its tag and of nothing beside it: other tags and commits come and go.
///
/// A tag that begins with its service (`mail-v1.2.0`, `mail@1.2.0`) is its own id; every other one
/// stands behind its service: `shop@v1.2.0`. A tag of the whole never does the former, so that
/// `1.2.0` and `shop@1.2.0` of the repository `shop` are two releases.
fn id_of(tag: &str, owner: Option<&str>, service: &str, naming: &Naming) -> String {
    match owner.and_then(|owner| tag.strip_prefix(owner)) {
        Some(rest) if service != naming.whole() => format!("{service}{rest}"),
        _ => format!("{service}@{tag}"),
    }
}

/// Of a name that is no version, the numbers in it: the measure of how exactly it names one.
fn numbers(name: &str) -> Vec<u64> {
    match version_tag::read(name) {
        Some(read) => read.numbers,
        None => name
            .split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_pattern_says_so() {
        let message = TagPattern::glob("v[")
            .map_err(|error| error.to_string())
            .err()
            .unwrap_or_default();
        assert!(
            message.contains("`v[`") && message.contains("v*"),
            "{message}"
        );
    }

    #[test]
    fn the_account_names_what_became_of_each_tag() {
        let account = TagAccount {
            deployments: BTreeMap::from([("mail".to_owned(), 3), ("shop".to_owned(), 12)]),
            prereleases: 2,
            aliases: 1,
            unmatched: 7,
            examples: vec!["nightly".to_owned(), "foo".to_owned()],
            ..TagAccount::default()
        };
        assert_eq!(
            account.words(),
            "25 tags: 3 are mail, 12 are shop, 2 pre-releases (staging), 1 further names of one of \
             these, 7 matched nothing (nightly, foo, …)"
        );
        assert_eq!(TagAccount::default().words(), "no tags");
    }
}
