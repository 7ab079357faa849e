//! Which tags are deployments, of what, and when.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use globset::{Glob, GlobMatcher};
use regex::Regex;

use super::deployments::{Carries, Mark, is_hotfix};
use super::history::{History, Reader};
use super::{GitError, Options};
use atalaya_domain::dora::PRODUCTION;
use atalaya_domain::time::Timestamp;

/// Where pre-releases go.
pub const STAGING: &str = "staging";

/// A tag that names a version: `v1.2.3`, `1.2`, `shop@1.2.3`, `shop/v1.2.3`, `release-1.2.3`, `v3`.
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^
        (?: (?P<owner>[A-Za-z][\w.-]*) [@/] | [A-Za-z][A-Za-z0-9]* [-_] )?
        (?: [vV]\d+ | [vV]?\d+(?:\.\d+){1,3} )
        (?P<pre> -[0-9A-Za-z.-]+ )?
        (?: \+[\w.-]+ )?$",
    )
    .ok()
});

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
            Self::Glob(glob) => glob.is_match(tag).then_some(Reading {
                owner: None,
                prerelease: false,
            }),
            Self::Version => {
                let found = VERSION.as_ref()?.captures(tag)?;
                let owner = found
                    .name("owner")
                    .map(|owner| owner.as_str().to_owned())
                    .filter(|owner| {
                        ![
                            "release",
                            "releases",
                            "rel",
                            "version",
                            "deploy",
                            "prod",
                            "production",
                        ]
                        .contains(&owner.as_str())
                    });
                let prerelease = found
                    .name("pre")
                    .is_some_and(|pre| !is_hotfix(pre.as_str()));
                Some(Reading { owner, prerelease })
            }
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
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub tags: Vec<Tag>,
    /// Tags of trees and blobs, or of objects that are not there.
    pub without_commit: usize,
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
            found.without_commit += 1;
            continue;
        };
        let name = reference.name().shorten().to_string();
        let Some(reading) = pattern.read(&name) else {
            continue;
        };
        let tagged_at = reference
            .try_id()
            .and_then(|id| id.object().ok())
            .and_then(|object| object.try_into_tag().ok())
            .and_then(|tag| {
                tag.tagger()
                    .ok()
                    .flatten()
                    .map(|by| Timestamp::from_seconds(by.seconds()))
            });
        let Ok(commit) = reference.peel_to_commit() else {
            found.without_commit += 1;
            continue;
        };
        found.tags.push(Tag {
            name,
            commit: commit.id,
            tagged_at,
            owner: reading.owner,
            prerelease: reading.prerelease,
        });
    }
    Ok(found)
}

/// One mark for each commit, service and environment, and how many tags were aliases of one.
pub(super) fn marks(
    history: &History,
    tags: &[Tag],
    service: &str,
    options: &Options,
) -> (Vec<Mark>, usize) {
    let mut by_place: BTreeMap<(String, String, String), Vec<(&Tag, Timestamp)>> = BTreeMap::new();
    for tag in tags {
        let sha = tag.commit.to_string();
        // A tag whose commit was cut away with the old end of the history is of no use.
        let Some(index) = history.find(&sha) else {
            continue;
        };
        let committed_at = history.commit(index).committed_at;
        let at = tag
            .tagged_at
            .map_or(committed_at, |tagged| tagged.max(committed_at));
        let service = match (&options.service, &tag.owner) {
            (None, Some(owner)) => owner.clone(),
            _ => service.to_owned(),
        };
        let environment = if tag.prerelease && options.environment == PRODUCTION {
            STAGING.to_owned()
        } else {
            options.environment.clone()
        };
        by_place
            .entry((sha, service, environment))
            .or_default()
            .push((tag, at));
    }
    let mut aliases = 0;
    let marks = by_place
        .into_iter()
        .filter_map(|((commit, service, environment), mut tags)| {
            // The most specific name says most, and floating tags (`v1`, `v1.2`) move on.
            tags.sort_by(|(a, _), (b, _)| {
                specific(&b.name)
                    .cmp(&specific(&a.name))
                    .then_with(|| a.name.cmp(&b.name))
            });
            aliases += tags.len() - 1;
            let at = tags.iter().map(|&(_, at)| at).min()?;
            let (tag, _) = tags.first()?;
            Some(Mark {
                id: format!("{service}@{}", version_part(&tag.name, &service)),
                hotfix: tags.iter().any(|(tag, _)| is_hotfix(&tag.name)),
                commit,
                at,
                service,
                environment,
                carries: Carries::All,
            })
        })
        .collect();
    (marks, aliases)
}

/// Numbers in a tag, the measure of how exactly it names a version.
fn specific(name: &str) -> usize {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .count()
}

fn version_part<'t>(tag: &'t str, service: &str) -> &'t str {
    tag.strip_prefix(service)
        .and_then(|rest| rest.strip_prefix(['@', '/']))
        .unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_name_a_version() {
        let cases: [(&str, Option<(Option<&str>, bool)>); 16] = [
            ("v1.2.3", Some((None, false))),
            ("1.2", Some((None, false))),
            ("v3", Some((None, false))),
            ("V2.0.1.4", Some((None, false))),
            ("v1.2.3+build.5", Some((None, false))),
            ("v2.0.0-rc.1", Some((None, true))),
            ("v2.0.0-hotfix.1", Some((None, false))),
            ("shop@1.2.3", Some((Some("shop"), false))),
            ("services/mail/v1.2.3", None),
            ("mail/v1.2.3-beta", Some((Some("mail"), true))),
            ("release/1.2.3", Some((None, false))),
            ("release-1.2.3", Some((None, false))),
            ("7", None),
            ("nightly", None),
            ("vnext", None),
            ("backup-before-v2", None),
        ];
        for (tag, expected) in cases {
            let reading = TagPattern::version().read(tag);
            let expected = expected.map(|(owner, prerelease)| Reading {
                owner: owner.map(str::to_owned),
                prerelease,
            });
            assert_eq!(reading, expected, "{tag}");
        }
    }

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
}
