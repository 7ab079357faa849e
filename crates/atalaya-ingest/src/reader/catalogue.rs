//! What the reader knows of files: the generations, where each was last seen, what its bytes looked
//! like, and how far those that this run has looked at were read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inputs::Inputs;
use super::scan::{Known, Seen};
use crate::checkpoint::Asked;
use crate::generation::{Family, Generation, Holder};
use crate::identity::FileId;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;

/// Content that is gone is looked for under any name for so long: packing and moving take a while.
const SOUGHT: Duration = Duration::from_secs(600);

/// How far a generation was read in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Given out in frames: reading goes on here.
    pub given: u64,
    /// Its file is open.
    pub open: bool,
    /// There is more in the open file.
    pub unread: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub generations: BTreeMap<OriginId, Generation>,
    /// Those that this run has looked at.
    pub positions: HashMap<OriginId, Position>,
    /// Since when each input, by its pattern, is asked for.
    pub asked: BTreeMap<String, Asked>,
    /// Content that is gone and was not surely read to its end.
    pub sought: HashSet<OriginId>,
}

impl Catalogue {
    pub fn new(generations: Vec<Generation>) -> Self {
        let is_sought = |generation: &&Generation| {
            matches!(generation.holder, Holder::Gone(_) | Holder::Overwritten(_))
        };
        Self {
            sought: generations
                .iter()
                .filter(is_sought)
                .map(|generation| generation.origin)
                .collect(),
            generations: generations
                .into_iter()
                .map(|generation| (generation.origin, generation))
                .collect(),
            ..Self::default()
        }
    }

    pub fn get(&self, origin: OriginId) -> Option<&Generation> {
        self.generations.get(&origin)
    }

    /// The generation that a file held when last seen: by device, inode and birth, and when the device
    /// has another number now, by the other two; then the bytes must say so.
    pub fn by_file(&self) -> ByFile {
        let mut by_file = ByFile::default();
        for generation in self.generations.values() {
            if matches!(generation.holder, Holder::Overwritten(_)) {
                continue;
            }
            by_file.exact.insert(generation.file, generation.origin);
            by_file
                .anywhere
                .insert(generation.file.without_device(), generation.origin);
        }
        by_file
    }

    /// What tells the scan where to look.
    pub fn known(&self, inputs: &Inputs, old_dirs: &[PathBuf], wall: Timestamp) -> Known {
        let mut known = Known {
            old_dirs: old_dirs.to_vec(),
            ..Known::default()
        };
        let mut followed: HashMap<&Family, bool> = HashMap::new();
        for generation in self.generations.values() {
            known.families.insert(generation.family.clone());
            let is_followed = *followed
                .entry(&generation.family)
                .or_insert_with(|| inputs.names(&generation.family.path()));
            if !is_followed {
                continue;
            }
            let family = &generation.family;
            known.inodes.insert(generation.file.inode);
            known
                .files
                .insert(generation.file.without_device(), family.clone());
            if generation.holder.is_there() {
                known.dirs.insert(PathBuf::from(&generation.dir));
            }
            if self.is_sought(generation, wall) {
                for dir in [&generation.dir, &family.dir] {
                    known.sought.insert(PathBuf::from(dir), family.clone());
                }
                if let Some(dir) = link_dir(&family.path()) {
                    known.sought.insert(dir, family.clone());
                }
            }
        }
        known
    }

    /// Lines of it may be in a file that is not known yet.
    pub fn is_sought(&self, generation: &Generation, wall: Timestamp) -> bool {
        let is_fresh = |since: Timestamp| wall.since(since) < SOUGHT;
        self.sought.contains(&generation.origin)
            && generation.holder.gone_since().is_some_and(is_fresh)
            && !generation.holder.is_history()
    }

    /// Generations that are there according to the catalogue and whose directory was looked at.
    pub fn looked_for(&self, dirs: &HashSet<PathBuf>, inputs: &Inputs) -> HashSet<OriginId> {
        self.generations
            .values()
            .filter(|generation| generation.holder.is_there())
            .filter(|generation| dirs.contains(Path::new(&generation.dir)))
            .filter(|generation| {
                let place = Path::new(&generation.dir).join(&generation.name);
                inputs.names(&generation.family.path()) || inputs.names(&place)
            })
            .map(|generation| generation.origin)
            .collect()
    }

    /// Where a generation is read on as far as this run knows.
    pub fn given(&self, origin: OriginId) -> Option<u64> {
        self.positions.get(&origin).map(|position| position.given)
    }

    /// A file that was passed over has grown since.
    pub fn has_outgrown(&self, origin: OriginId, seen: &Seen) -> bool {
        self.get(origin).is_some_and(|generation| {
            generation.holder.is_history()
                && seen.rotated.packing.is_none()
                && seen.size != generation.offset
        })
    }
}

/// See [`Catalogue::by_file`].
#[derive(Debug, Default)]
pub struct ByFile {
    exact: HashMap<FileId, OriginId>,
    anywhere: HashMap<FileId, OriginId>,
}

impl ByFile {
    pub fn get(&self, file: FileId) -> Option<OriginId> {
        self.exact
            .get(&file)
            .or_else(|| {
                // Without a birth time the inode number alone says too little.
                file.born?;
                self.anywhere.get(&file.without_device())
            })
            .copied()
    }
}

fn link_dir(path: &Path) -> Option<PathBuf> {
    if !path.is_symlink() {
        return None;
    }
    let target = std::fs::canonicalize(path).ok()?;
    target.parent().map(Path::to_path_buf)
}
