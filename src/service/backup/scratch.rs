//! Folders for work in progress, which vanish with whoever made them: at the end of the work, or,
//! after a crash, when the next one is made.
//!
//! The maker holds a lock on its folder; one that nobody holds is a dead one's.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const PREFIX: &str = ".partial-";
/// Held while folders are made and swept, so that a new one is never taken for a dead one's.
const LOCK: &str = ".lock";

#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _held: File,
}

impl Scratch {
    /// A new empty folder in `parent`, which is made when it is missing. Blocks.
    pub fn new(parent: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(parent)?;
        let lock = lock_file(parent)?;
        lock.lock()?;
        sweep(parent)?;
        let path = parent.join(format!("{PREFIX}{:016x}", rand::random::<u64>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let held = File::open(&path)?;
        held.lock()?;
        Ok(Self { path, _held: held })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is swept by the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(super) fn lock_file(parent: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(parent.join(LOCK))
}

fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let dead = File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        if dead {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
