//! What a repository is: its first commit and where it was cloned from, not the folder it lies in.

use std::path::{Path, PathBuf};

use super::GitError;
use super::history::Reader;

/// Clones of clones that are followed to where the first of them came from.
const CLONES: usize = 4;

/// What tells a repository from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// First commit of its default branch; `None` in a clone that is too shallow to hold it, and in
    /// a repository without commits.
    pub root: Option<String>,
    /// Where it was cloned from, without scheme, user, port and `.git`: `github.com/acme/shop`. A
    /// clone of another folder was cloned from wherever that one was.
    pub remote: Option<String>,
}

impl Identity {
    /// Whether both can be the same repository: the same first commit, and not two remotes.
    ///
    /// A clone that is too shallow to know its first commit is told by its remote alone.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.root, &other.root, &self.remote, &other.remote) {
            (Some(one), Some(two), Some(from), Some(whence)) => one == two && from == whence,
            (Some(one), Some(two), _, _) => one == two,
            (_, _, Some(from), Some(whence)) => from == whence,
            _ => false,
        }
    }

    /// A short name that does not change: `git:0a1b2c3d4e5f`.
    pub fn key(&self, place: &Path) -> String {
        match (&self.root, &self.remote) {
            (Some(root), _) => format!("git:{}", root.get(..12).unwrap_or(root)),
            (None, Some(remote)) => format!("git:{remote}"),
            (None, None) => format!("git:{}", place.display()),
        }
    }

    /// What is known of it from another time, where this clone does not tell.
    #[must_use]
    pub fn or(self, known: Self) -> Self {
        Self {
            root: self.root.or(known.root),
            remote: self.remote.or(known.remote),
        }
    }

    /// The last part of the remote, which is what people call it.
    pub fn name(&self) -> Option<&str> {
        self.remote
            .as_deref()?
            .rsplit('/')
            .find(|part| !part.is_empty())
    }
}

pub(super) fn of(reader: &Reader<'_>) -> Result<Identity, GitError> {
    Ok(Identity {
        root: reader.root()?,
        remote: remote_of(reader.repository, CLONES),
    })
}

fn remote_of(repository: &gix::Repository, clones: usize) -> Option<String> {
    let names = repository.remote_names();
    let name = names
        .iter()
        .find(|name| ***name == *b"origin")
        .or_else(|| names.iter().next())?;
    let url = repository
        .config_snapshot()
        .string(format!("remote.{name}.url").as_str())?
        .to_string();
    match folder_of(&url) {
        None => address(&url),
        Some(folder) if clones > 0 => {
            let base = repository.workdir().unwrap_or_else(|| repository.git_dir());
            let original = gix::open(base.join(folder)).ok()?;
            remote_of(&original, clones - 1)
        }
        Some(_) => None,
    }
}

/// The folder that a remote is, if it is one.
fn folder_of(url: &str) -> Option<PathBuf> {
    if let Some(path) = url.strip_prefix("file://") {
        return Some(PathBuf::from(path));
    }
    let is_address = url.contains("://")
        // `host:path` has no slash before the colon.
        || url.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
    (!is_address).then(|| PathBuf::from(url))
}

/// `https://ana:secret@GitHub.com:443/acme/shop.git` and `git@github.com:acme/shop` are both
/// `github.com/acme/shop`.
fn address(url: &str) -> Option<String> {
    let (rest, has_scheme) = match url.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (url, false),
    };
    let (host, path) = if has_scheme {
        rest.split_once('/')?
    } else {
        rest.split_once(':')?
    };
    let host = host.rsplit('@').next()?.to_lowercase();
    let host = host.split(':').next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_what_differs_between_clones() {
        for url in [
            "https://github.com/acme/shop.git",
            "https://ana:secret@GitHub.com:443/acme/shop",
            "git@github.com:acme/shop.git",
            "ssh://git@github.com:22/acme/shop/",
            "git://github.com/acme/shop.git",
        ] {
            assert_eq!(folder_of(url), None, "{url}");
            assert_eq!(
                address(url).as_deref(),
                Some("github.com/acme/shop"),
                "{url}"
            );
        }
        for folder in ["/srv/shop", "../shop", "./a:b", "file:///srv/shop"] {
            assert!(folder_of(folder).is_some(), "{folder}");
        }
    }

    #[test]
    fn the_same_repository() {
        let of = |root: Option<&str>, remote: Option<&str>| Identity {
            root: root.map(str::to_owned),
            remote: remote.map(str::to_owned),
        };
        for (one, other, expected) in [
            (of(Some("a"), None), of(Some("a"), None), true),
            (of(Some("a"), Some("x")), of(Some("a"), Some("x")), true),
            (of(Some("a"), Some("x")), of(Some("a"), None), true),
            (of(Some("a"), Some("x")), of(Some("a"), Some("y")), false), // a fork
            (of(Some("a"), None), of(Some("b"), None), false),
            (of(Some("a"), Some("x")), of(Some("b"), Some("x")), false),
            (of(None, Some("x")), of(Some("a"), Some("x")), true), // a shallow clone
            (of(None, None), of(Some("a"), Some("x")), false),
            (of(None, None), of(None, None), false),
        ] {
            assert_eq!(one.is_same(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.is_same(&one), expected, "{one:?} {other:?}");
        }
    }
}
