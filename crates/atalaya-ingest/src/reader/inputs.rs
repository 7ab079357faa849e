//! The configured paths and globs, made ready for matching.

use std::collections::HashMap;
use std::ops::Index;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::{IngestError, IngestInput};

/// Directories below a `**`.
const MOST_DEPTH: usize = 8;

/// All of them, in the order in which they were given; each has its place in it for good.
#[derive(Debug, Default)]
pub struct Inputs {
    all: Vec<Watched>,
    /// The first input of each path: thousands of files are asked for by thousands of names.
    files: HashMap<PathBuf, usize>,
    globs: Vec<usize>,
}

impl Inputs {
    pub fn new(inputs: Vec<IngestInput>) -> Result<Self, IngestError> {
        let mut made = Self::default();
        for input in inputs {
            made.push(Watched::new(input)?);
        }
        Ok(made)
    }

    /// Its place.
    pub fn push(&mut self, watched: Watched) -> usize {
        let index = self.all.len();
        match &watched.place {
            Place::Nowhere => {}
            Place::File(path) => {
                // What is remembered of a name is text: one that is no UTF-8 has replacement
                // characters there.
                if path.to_str().is_none() {
                    let kept_as = PathBuf::from(&*path.to_string_lossy());
                    self.files.entry(kept_as).or_insert(index);
                }
                self.files.entry(path.clone()).or_insert(index);
            }
            Place::Glob { .. } => self.globs.push(index),
        }
        self.all.push(watched);
        index
    }

    pub fn iter(&self) -> impl Iterator<Item = &Watched> {
        self.all.iter()
    }

    /// The first one that a path belongs to.
    pub fn of(&self, path: &Path) -> Option<usize> {
        let file = self.files.get(path).copied();
        let glob = self.globs.iter().copied().find(|index| {
            matches!(&self.all[*index].place, Place::Glob { matcher, .. } if matcher.is_match(path))
        });
        match (file, glob) {
            (Some(file), Some(glob)) => Some(file.min(glob)),
            (file, glob) => file.or(glob),
        }
    }

    pub fn names(&self, path: &Path) -> bool {
        self.of(path).is_some()
    }
}

impl Index<usize> for Inputs {
    type Output = Watched;

    fn index(&self, place: usize) -> &Watched {
        &self.all[place]
    }
}

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

    pub fn is_glob(&self) -> bool {
        matches!(self.place, Place::Glob { .. })
    }
}

fn is_pattern(part: Component<'_>) -> bool {
    part.as_os_str()
        .to_string_lossy()
        .contains(['*', '?', '[', '{'])
}
