//! Which files there are: what the configured paths and globs name, the rotated siblings of these,
//! and whatever else may hold the content of a followed file by now. Only looks; what it means is
//! decided in `decide`.
//!
//! Identity first, name second: a file whose inode is known is found under any name, in the
//! directory of the name, in that of a link's target, and in the directories that are looked at
//! besides. Names only say which *unknown* files may be rotated siblings.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::inputs::{Inputs, Place};
use crate::accounts::{AllUnread, Unread};
use crate::generation::Family;
use crate::identity::FileId;
use crate::rotation::{RotatedName, shape};
use atalaya_domain::time::Timestamp;

/// Directory entries that one scan looks at; a glob over more is a mistake.
const MOST_ENTRIES: usize = 200_000;
/// Directories below that of a lost file which are looked at for it.
const MOST_BELOW: usize = 64;

/// Why a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// An input names it.
    Named,
    /// Its name is that of a rotated sibling.
    Sibling,
    /// It is called as another file of the family was called after its rotation.
    Alike,
    /// Any name: it may hold what a followed file held.
    Stranger,
}

/// A file that is there.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: PathBuf,
    pub dir: String,
    pub name: String,
    pub rotated: RotatedName,
    /// Whose content it is by its name; for a stranger only a guess.
    pub family: Family,
    pub file: FileId,
    pub size: u64,
    pub modified: Timestamp,
    /// When its inode last changed: written to, renamed, linked.
    pub changed: Timestamp,
    /// Index of the input that it belongs to.
    pub input: usize,
    pub why: Why,
    /// The name that the writer writes to: not rotated, or without an unrotated file beside it.
    pub current: bool,
}

impl Seen {
    /// Named by the input itself, not only found beside such a file.
    pub fn listed(&self) -> bool {
        self.why == Why::Named
    }
}

/// What is known before a look, that says where to look.
#[derive(Debug, Default)]
pub struct Known {
    pub families: HashSet<Family>,
    /// Inode numbers of followed content: found under any name.
    pub inodes: HashSet<u64>,
    pub files: HashMap<FileId, Family>,
    /// Directories where followed content was last seen.
    pub dirs: BTreeSet<PathBuf>,
    /// Directories in which, and right below which, lost content is looked for under any name.
    pub sought: BTreeMap<PathBuf, Family>,
    /// Directories that rotated files are moved to.
    pub old_dirs: Vec<PathBuf>,
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

struct Entry {
    path: PathBuf,
    name: String,
    rotated: RotatedName,
    inode: u64,
    is_link: bool,
    is_dir: bool,
}

/// Whose a name is: the input, and the family under the name that the input knows.
#[derive(Clone, Debug)]
struct Kin {
    input: usize,
    family: Family,
}

struct Scanner<'a> {
    inputs: &'a Inputs,
    known: &'a Known,
    entries: BTreeMap<PathBuf, Vec<Entry>>,
    budget: usize,
    found: Scan,
    /// By directory and base name as they are on disk.
    kin: HashMap<Family, Kin>,
    listed: HashMap<PathBuf, usize>,
    unrotated: HashSet<Family>,
    seen: HashMap<FileId, Seen>,
}

pub fn scan(inputs: &Inputs, known: &Known) -> Scan {
    let mut scanner = Scanner {
        inputs,
        known,
        entries: BTreeMap::new(),
        budget: MOST_ENTRIES,
        found: Scan::default(),
        kin: HashMap::new(),
        listed: HashMap::new(),
        unrotated: HashSet::new(),
        seen: HashMap::new(),
    };
    scanner.list_inputs();
    scanner.find_kin();
    let links = scanner.follow_links();
    scanner.list_others(&links);
    scanner.take_known_names();
    scanner.take_alike();
    scanner.finish()
}

impl Scanner<'_> {
    fn list_inputs(&mut self) {
        for watched in self.inputs.iter() {
            match &watched.place {
                Place::Nowhere => {}
                Place::File(path) => {
                    if let Some(dir) = path.parent() {
                        self.list(dir, 0, true);
                    }
                }
                Place::Glob { root, depth, .. } => self.list(root, *depth, true),
            }
        }
    }

    /// `asked`: a person named it, who wants to hear when it cannot be read.
    fn list(&mut self, dir: &Path, depth: usize, asked: bool) {
        if !self.entries.contains_key(dir) && !self.read_dir(dir, asked) {
            return;
        }
        if depth == 0 {
            return;
        }
        // Not through links: a loop of them would never end.
        for path in self.below(dir) {
            self.list(&path, depth - 1, asked);
        }
    }

    fn below(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = self.entries.get(dir).into_iter().flatten();
        entries
            .filter(|entry| entry.is_dir)
            .map(|entry| entry.path.clone())
            .collect()
    }

    fn read_dir(&mut self, dir: &Path, asked: bool) -> bool {
        let reading = match fs::read_dir(dir) {
            Ok(reading) => reading,
            Err(error) => {
                if asked && error.kind() != io::ErrorKind::NotFound {
                    self.found.unread.add(Unread::refused(dir, &error));
                }
                return false;
            }
        };
        let mut entries = Vec::new();
        for entry in reading.flatten() {
            if self.budget == 0 {
                let error =
                    io::Error::other(format!("more than {MOST_ENTRIES} entries; narrow the glob"));
                self.found.unread.add(Unread::refused(dir, &error));
                break;
            }
            self.budget -= 1;
            let kind = entry.file_type().ok();
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry {
                path: entry.path(),
                rotated: RotatedName::of(&name),
                name,
                inode: entry.ino(),
                is_link: kind.is_some_and(|kind| kind.is_symlink()),
                is_dir: kind.is_some_and(|kind| kind.is_dir()),
            });
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        self.found.dirs.insert(dir.to_path_buf());
        self.entries.insert(dir.to_path_buf(), entries);
        true
    }

    /// Which names belong to which input.
    fn find_kin(&mut self) {
        for (index, watched) in self.inputs.iter().enumerate() {
            if let Place::File(path) = &watched.place
                && let Some(name) = path.file_name()
            {
                let family = family_of(path, &name.to_string_lossy());
                add_kin(&mut self.kin, family, index);
            }
        }
        for (dir, entries) in &self.entries {
            let dir = dir.to_string_lossy();
            for entry in entries {
                let family = Family {
                    dir: dir.clone().into_owned(),
                    base: entry.rotated.base.clone(),
                };
                if let Some(index) = self.inputs.of(&entry.path) {
                    self.listed.insert(entry.path.clone(), index);
                    add_kin(&mut self.kin, family, index);
                } else if !self.kin.contains_key(&family)
                    && let Some(index) = self.inputs.of(&family.path())
                {
                    // Rotated before its writer's name was ever seen.
                    add_kin(&mut self.kin, family, index);
                }
            }
        }
        for family in &self.known.families {
            if self.kin.contains_key(family) {
                continue;
            }
            if let Some(index) = self.inputs.of(&family.path()) {
                add_kin(&mut self.kin, family.clone(), index);
            }
        }
    }

    /// The directories that the named links lead to: their targets are rotated there.
    fn follow_links(&mut self) -> BTreeSet<PathBuf> {
        let mut dirs = BTreeSet::new();
        let links = self
            .entries
            .values()
            .flatten()
            .filter(|entry| entry.is_link);
        for entry in links {
            if !self.listed.contains_key(&entry.path) {
                continue;
            }
            let family = family_of(&entry.path, &entry.name);
            let Some(kin) = self.kin.get(&family).cloned() else {
                continue;
            };
            let Ok(target) = fs::canonicalize(&entry.path) else {
                continue;
            };
            if let (Some(dir), Some(name)) = (target.parent(), target.file_name())
                && target.is_file()
            {
                dirs.insert(dir.to_path_buf());
                let family = family_of(&target, &name.to_string_lossy());
                self.kin.entry(family).or_insert(kin);
            }
        }
        dirs
    }

    /// Lists where else followed content may be.
    fn list_others(&mut self, links: &BTreeSet<PathBuf>) {
        let others: Vec<PathBuf> = links
            .iter()
            .chain(&self.known.old_dirs)
            .chain(&self.known.dirs)
            .chain(self.known.sought.keys())
            .cloned()
            .collect();
        for dir in others {
            self.list(&dir, 0, false);
        }
        for dir in self.known.sought.keys() {
            for below in self.below(dir).into_iter().take(MOST_BELOW) {
                self.list(&below, 0, false);
            }
        }
    }

    /// Files by name and files by inode.
    fn take_known_names(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        for (dir, entry) in entries
            .iter()
            .flat_map(|(dir, entries)| entries.iter().map(move |entry| (dir, entry)))
        {
            let rotated = entry.rotated.clone();
            let place = Family {
                dir: dir.to_string_lossy().into_owned(),
                base: rotated.base.clone(),
            };
            let own = self.listed.get(&entry.path).copied();
            let kin = self.kin.get(&place).cloned();
            let (why, kin) = match (own, kin) {
                (Some(_), Some(kin)) => (Why::Named, kin),
                (None, Some(kin)) if rotated.rotated || place != kin.family => (Why::Sibling, kin),
                _ if entry.is_dir => continue,
                _ => match self.stranger(dir, entry) {
                    Some(kin) => (Why::Stranger, kin),
                    None => continue,
                },
            };
            self.take(entry, place, rotated, why, kin);
        }
        self.entries = entries;
    }

    /// A file without a name that says something, when it may hold followed content.
    fn stranger(&self, dir: &Path, entry: &Entry) -> Option<Kin> {
        let family = if self.known.inodes.contains(&entry.inode) {
            let metadata = entry.path.metadata().ok()?;
            self.known
                .family_of(&FileId::of(&metadata))
                .or_else(|| self.sought_in(dir))?
        } else {
            self.sought_in(dir)?
        };
        let input = self.inputs.of(&family.path())?;
        Some(Kin {
            input,
            family: family.clone(),
        })
    }

    fn sought_in(&self, dir: &Path) -> Option<&Family> {
        let sought = &self.known.sought;
        sought
            .get(dir)
            .or_else(|| dir.parent().and_then(|parent| sought.get(parent)))
            .or_else(|| {
                let is_old = self.known.old_dirs.iter().any(|old| old == dir);
                is_old.then(|| sought.values().next()).flatten()
            })
    }

    /// Unknown files that are called as a known one is called now.
    fn take_alike(&mut self) {
        let mut shapes: HashMap<(String, String), Kin> = HashMap::new();
        for seen in self.seen.values() {
            let family = match self.known.family_of(&seen.file) {
                Some(family) if seen.name != family.base => family.clone(),
                _ => continue,
            };
            let input = seen.input;
            if let Some(shape) = shape(&seen.name) {
                shapes.insert((seen.dir.clone(), shape), Kin { input, family });
            }
        }
        if shapes.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        let taken: HashSet<PathBuf> = self.seen.values().map(|seen| seen.path.clone()).collect();
        for (dir, entry) in entries
            .iter()
            .flat_map(|(dir, entries)| entries.iter().map(move |entry| (dir, entry)))
        {
            if entry.is_dir || taken.contains(&entry.path) || self.listed.contains_key(&entry.path)
            {
                continue;
            }
            let dir = dir.to_string_lossy().into_owned();
            let Some(shape) = shape(&entry.name) else {
                continue;
            };
            if let Some(kin) = shapes.get(&(dir.clone(), shape)).cloned() {
                let rotated = entry.rotated.clone();
                let base = rotated.base.clone();
                self.take(entry, Family { dir, base }, rotated, Why::Alike, kin);
            }
        }
        self.entries = entries;
    }

    fn take(&mut self, entry: &Entry, place: Family, rotated: RotatedName, why: Why, kin: Kin) {
        let path = &entry.path;
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => return,
            Err(error) if why <= Why::Sibling => {
                self.found.unread.add(Unread {
                    refused: why == Why::Named,
                    ..Unread::refused(path, &error)
                });
                return;
            }
            Err(_) => return,
        };
        if !metadata.is_file() {
            if why == Why::Named {
                let unread = Unread::passed_over(path, "not a regular file");
                self.found.unread.add(unread);
            }
            return;
        }
        let is_rotated = rotated.rotated || why >= Why::Alike;
        if !is_rotated {
            self.unrotated.insert(place.clone());
        }
        let next = Seen {
            path: path.clone(),
            dir: place.dir,
            name: entry.name.clone(),
            family: kin.family,
            file: FileId::of(&metadata),
            size: metadata.len(),
            modified: stamp(metadata.mtime(), metadata.mtime_nsec()),
            changed: stamp(metadata.ctime(), metadata.ctime_nsec()),
            input: kin.input,
            why,
            // Only whether its name may be that of a writer; the siblings are not known yet.
            current: rotated.packing.is_none() && why <= Why::Sibling,
            rotated,
        };
        // Two names of one file (a link): the one that was asked for.
        match self.seen.get(&next.file) {
            Some(other) if other.why <= next.why => {}
            _ => {
                self.seen.insert(next.file, next);
            }
        }
    }

    fn finish(mut self) -> Scan {
        self.found.families = self.kin.values().map(|kin| kin.family.clone()).collect();
        self.found.files = self.seen.into_values().collect();
        for file in &mut self.found.files {
            let place = Family {
                dir: file.dir.clone(),
                base: file.rotated.base.clone(),
            };
            file.current &= !file.rotated.rotated || !self.unrotated.contains(&place);
        }
        // Files that are written to first: what else is there is compared with them.
        self.found
            .files
            .sort_by(|one, other| (!one.current, &one.path).cmp(&(!other.current, &other.path)));
        self.found
    }
}

impl Known {
    /// Whose content the file held when last seen. The device is only a hint.
    pub fn family_of(&self, file: &FileId) -> Option<&Family> {
        self.files.get(&file.without_device())
    }
}

fn family_of(path: &Path, name: &str) -> Family {
    Family::of(path.parent().unwrap_or(Path::new("")), name)
}

fn add_kin(kin: &mut HashMap<Family, Kin>, family: Family, input: usize) {
    kin.entry(family.clone()).or_insert(Kin { input, family });
}

fn stamp(seconds: i64, nanos: i64) -> Timestamp {
    Timestamp::from_micros(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanos / 1_000),
    )
}
