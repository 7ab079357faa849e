//! The configured paths and globs, made ready for matching.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::{IngestError, IngestInput};

/// Directories below a `**`.
const MOST_DEPTH: usize = 8;

/// An input made ready for matching.
#[derive(Debug)]
pub struct Watched {
    pub input: IngestInput,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    /// Not found by looking: a stream.
    Nowhere,
    File(PathBuf),
    Glob {
        root: PathBuf,
        depth: usize,
        matcher: GlobMatcher,
    },
}

impl Watched {
    pub fn new(input: IngestInput) -> Result<Self, IngestError> {
        let wrong = |reason: String| IngestError::Pattern {
            pattern: input.pattern.clone(),
            reason,
        };
        let path = std::path::absolute(input.path()).map_err(|error| wrong(error.to_string()))?;
        let is_glob =
            input.file.is_none() && input.pattern.contains(['*', '?', '[', '{']) && !path.exists();
        let place = if is_glob {
            let matcher = GlobBuilder::new(&path.to_string_lossy())
                .literal_separator(true)
                .build()
                .map_err(|error| wrong(error.to_string()))?
                .compile_matcher();
            let mut root = PathBuf::new();
            let mut parts = path.components().peekable();
            while let Some(part) = parts.next_if(|part| !is_pattern(*part)) {
                root.push(part);
            }
            let rest: Vec<_> = parts.collect();
            let deep = rest
                .iter()
                .any(|part| part.as_os_str().to_string_lossy().contains("**"));
            let depth = if deep {
                MOST_DEPTH
            } else {
                rest.len().saturating_sub(1)
            };
            Place::Glob {
                root,
                depth,
                matcher,
            }
        } else {
            Place::File(path)
        };
        Ok(Self { input, place })
    }

    pub fn stream(input: IngestInput) -> Self {
        Self {
            input,
            place: Place::Nowhere,
        }
    }

    pub fn is_file(&self) -> bool {
        !matches!(self.place, Place::Nowhere)
    }

    pub fn names(&self, path: &Path) -> bool {
        match &self.place {
            Place::Nowhere => false,
            Place::File(file) => file == path || is_kept_as(file, path),
            Place::Glob { matcher, .. } => matcher.is_match(path),
        }
    }

    pub fn is_glob(&self) -> bool {
        matches!(self.place, Place::Glob { .. })
    }
}

/// What is remembered of a name is text: one that is no UTF-8 has replacement characters there.
fn is_kept_as(file: &Path, path: &Path) -> bool {
    file.to_str().is_none() && Path::new(&*file.to_string_lossy()) == path
}

fn is_pattern(part: Component<'_>) -> bool {
    part.as_os_str()
        .to_string_lossy()
        .contains(['*', '?', '[', '{'])
}
