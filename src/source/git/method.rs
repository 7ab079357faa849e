//! By what the deployments of a repository were recognised.

use std::fmt;

/// Its words are shown, and kept with the repository; [`Method::read`] is their inverse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// There is no commit yet.
    #[default]
    Nothing,
    VersionTags,
    /// Tags that match a pattern that was asked for.
    Tags(String),
    /// Merges into a branch that was asked for.
    Merges(String),
    /// Merges into the default branch, as there was no version tag.
    MergesWithoutTags(String),
    /// Every commit of a branch, as there was neither tag nor merge.
    EveryCommit(String),
}

const NOTHING: &str = "nothing: the repository has no commit yet";
const VERSION_TAGS: &str = "version tags";
const TAGS: (&str, &str) = ("tags matching `", "`");
const WITHOUT_TAGS: (&str, &str) = ("merges into ", " (no version tag was found)");
const MERGES: (&str, &str) = ("merges into ", "");
const COMMITS: (&str, &str) = (
    "every commit of ",
    " (each commit counted: no tag, no merge; no lead times)",
);

impl Method {
    /// Out of its own words; `None` for others.
    pub fn read(words: &str) -> Option<Self> {
        let within = |(before, after): (&str, &str)| {
            let name = words.strip_prefix(before)?.strip_suffix(after)?;
            Some(name.to_owned())
        };
        match words {
            NOTHING => return Some(Self::Nothing),
            VERSION_TAGS => return Some(Self::VersionTags),
            _ => {}
        }
        within(TAGS)
            .map(Self::Tags)
            .or_else(|| within(WITHOUT_TAGS).map(Self::MergesWithoutTags))
            .or_else(|| within(COMMITS).map(Self::EveryCommit))
            .or_else(|| within(MERGES).map(Self::Merges))
    }

    pub const fn is_by_tags(&self) -> bool {
        matches!(self, Self::VersionTags | Self::Tags(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((before, after), name) = match self {
            Self::Nothing => return formatter.write_str(NOTHING),
            Self::VersionTags => return formatter.write_str(VERSION_TAGS),
            Self::Tags(pattern) => (TAGS, pattern),
            Self::Merges(branch) => (MERGES, branch),
            Self::MergesWithoutTags(branch) => (WITHOUT_TAGS, branch),
            Self::EveryCommit(branch) => (COMMITS, branch),
        };
        write!(formatter, "{before}{name}{after}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Names of branches have no spaces, patterns may have anything.
        #[test]
        fn words_are_read_as_what_said_them(
            branch in "[a-z0-9/._`-]{1,20}|the detached HEAD|origin's default branch",
            pattern in "[^\u{0}]{0,20}",
        ) {
            for method in [
                Method::Nothing,
                Method::VersionTags,
                Method::Tags(pattern),
                Method::Merges(branch.clone()),
                Method::MergesWithoutTags(branch.clone()),
                Method::EveryCommit(branch),
            ] {
                prop_assert_eq!(Method::read(&method.to_string()), Some(method));
            }
        }
    }
}
