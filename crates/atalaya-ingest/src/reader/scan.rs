//! Which files there are: what the configured paths and globs name, and the rotated siblings of
//! these. Only looks; what they mean is decided in `decide`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::accounts::{AllUnread, Unread};
use crate::identity::FileId;
use crate::rotation::RotatedName;
use crate::{IngestError, IngestInput};
use atalaya_domain::time::Timestamp;

/// Directories below a `**`.
const MOST_DEPTH: usize = 8;
/// Directory entries that one scan looks at; a glob over more is a mistake.
const MOST_ENTRIES: usize = 200_000;

/// An input made ready for matching.
#[derive(Debug)]
pub struct Watched {
    pub input: IngestInput,
    place: Place,
}

#[derive(Debug)]
enum Place {
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
        let path = std::path::absolute(&input.pattern).map_err(|error| wrong(error.to_string()))?;
        let is_glob = input.pattern.contains(['*', '?', '[', '{']) && !path.exists();
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
            Place::File(file) => file == path,
            Place::Glob { matcher, .. } => matcher.is_match(path),
        }
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

/// A file that is there.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: PathBuf,
    pub dir: String,
    pub name: String,
    pub rotated: RotatedName,
    pub file: FileId,
    pub size: u64,
    pub modified: Timestamp,
    /// Index of the input that it belongs to.
    pub input: usize,
    /// Named by the input itself, not only found beside such a file.
    pub listed: bool,
    /// The name that the writer writes to: not rotated, or without an unrotated file beside it.
    pub current: bool,
}

/// The result of one look at the directories.
#[derive(Debug, Default)]
pub struct Scan {
    pub files: Vec<Seen>,
    /// Files that cannot be read, and why.
    pub unread: AllUnread,
    /// Directories worth watching for changes.
    pub dirs: HashSet<PathBuf>,
    /// Of the files that the inputs name, there or not.
    pub families: HashSet<Family>,
}

/// Directory and base name: the family of one rotated file.
pub type Family = (String, String);

pub fn scan(inputs: &[Watched], known: &HashSet<Family>) -> Scan {
    let mut found = Scan::default();
    let mut entries: BTreeMap<PathBuf, Vec<(PathBuf, String)>> = BTreeMap::new();
    let mut budget = MOST_ENTRIES;
    for watched in inputs {
        match &watched.place {
            Place::Nowhere => {}
            Place::File(path) => {
                if let Some(dir) = path.parent() {
                    list(dir, 0, &mut entries, &mut found, &mut budget);
                }
            }
            Place::Glob { root, depth, .. } => {
                list(root, *depth, &mut entries, &mut found, &mut budget)
            }
        }
    }
    let mut families: HashMap<Family, usize> = HashMap::new();
    let family_of = |path: &Path, name: &str| -> Family {
        let dir = path
            .parent()
            .unwrap_or(Path::new(""))
            .to_string_lossy()
            .into_owned();
        (dir, RotatedName::of(name).base)
    };
    for (index, watched) in inputs.iter().enumerate() {
        if let Place::File(path) = &watched.place
            && let Some(name) = path.file_name()
        {
            families
                .entry(family_of(path, &name.to_string_lossy()))
                .or_insert(index);
        }
    }
    let mut listed: HashMap<&Path, usize> = HashMap::new();
    for (path, name) in entries.values().flatten() {
        if let Some(index) = inputs.iter().position(|watched| watched.names(path)) {
            listed.insert(path, index);
            families.entry(family_of(path, name)).or_insert(index);
        }
    }
    for family in known {
        let base = Path::new(&family.0).join(&family.1);
        if let Some(index) = inputs.iter().position(|watched| watched.names(&base)) {
            families.entry(family.clone()).or_insert(index);
        }
    }
    let mut unrotated = HashSet::new();
    let mut seen: HashMap<FileId, Seen> = HashMap::new();
    for (path, name) in entries.values().flatten() {
        let family = family_of(path, name);
        let own = listed.get(path.as_path());
        let Some(&input) = own.or_else(|| families.get(&family)) else {
            continue;
        };
        let rotated = RotatedName::of(name);
        if own.is_none() && !rotated.rotated {
            continue;
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => continue,
            Err(error) => {
                found.unread.add(Unread {
                    refused: own.is_some(),
                    ..Unread::refused(path, &error)
                });
                continue;
            }
        };
        if !metadata.is_file() {
            if own.is_some() {
                found
                    .unread
                    .add(Unread::passed_over(path, "not a regular file"));
            }
            continue;
        }
        if !rotated.rotated {
            unrotated.insert(family.clone());
        }
        let file = FileId::of(&metadata);
        let next = Seen {
            path: path.clone(),
            dir: family.0,
            name: name.clone(),
            rotated,
            file,
            size: metadata.len(),
            modified: metadata
                .modified()
                .map(|at| Timestamp::from(chrono::DateTime::<chrono::Utc>::from(at)))
                .unwrap_or_default(),
            input,
            listed: own.is_some(),
            current: true,
        };
        // Two names of one file (a link): the one that was asked for.
        match seen.get(&file) {
            Some(other) if other.listed || !next.listed => {}
            _ => {
                seen.insert(file, next);
            }
        }
    }
    found.families = families.into_keys().collect();
    found.files = seen.into_values().collect();
    for file in &mut found.files {
        file.current = file.rotated.packing.is_none()
            && (!file.rotated.rotated
                || !unrotated.contains(&(file.dir.clone(), file.rotated.base.clone())));
    }
    // Files that are written to first: what else is there is compared with them.
    found
        .files
        .sort_by(|one, other| (!one.current, &one.path).cmp(&(!other.current, &other.path)));
    found
}

fn list(
    dir: &Path,
    depth: usize,
    entries: &mut BTreeMap<PathBuf, Vec<(PathBuf, String)>>,
    found: &mut Scan,
    budget: &mut usize,
) {
    if !entries.contains_key(dir) {
        let reading = match fs::read_dir(dir) {
            Ok(reading) => reading,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    found.unread.add(Unread::refused(dir, &error));
                }
                return;
            }
        };
        let mut files = Vec::new();
        for entry in reading.flatten() {
            if *budget == 0 {
                let error =
                    io::Error::other(format!("more than {MOST_ENTRIES} entries; narrow the glob"));
                found.unread.add(Unread::refused(dir, &error));
                break;
            }
            *budget -= 1;
            files.push((
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            ));
        }
        files.sort();
        found.dirs.insert(dir.to_path_buf());
        entries.insert(dir.to_path_buf(), files);
    }
    if depth > 0 {
        let below: Vec<PathBuf> = entries
            .get(dir)
            .into_iter()
            .flatten()
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            // Not through links: a loop of them would never end.
            if path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_dir())
            {
                list(&path, depth - 1, entries, found, budget);
            }
        }
    }
}
