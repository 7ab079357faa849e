//! A disk that remembers what was synced, and can lose everything else in any way a power failure
//! may: dropped, kept, torn at a sector, out of order.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a disk of the tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::fs::{Fs, FsFile};

const SECTOR: usize = 512;

/// What a power failure does with what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Everything,
    Nothing,
    /// Each operation for itself: lost, kept, or torn.
    Random(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, written) => {
                let at = *at as usize;
                if bytes.len() < at + written.len() {
                    bytes.resize(at + written.len(), 0);
                }
                bytes[at..at + written.len()].copy_from_slice(written);
            }
            Self::SetLen(length) => bytes.resize(*length as usize, 0),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Naming {
    Put(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf, usize),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Put(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Gone(path) => {
                names.remove(path);
            }
            Self::Moved(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

/// Files and names, as they are and as they are sure to be.
#[derive(Clone, Debug, Default)]
pub struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    renamed: Vec<Naming>,
    fault: Option<Fault>,
}

/// What goes wrong next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next sync of a file fails; what it should have made durable is never written back.
    Sync,
    /// The next write is cut after this many bytes: no space is left.
    NoSpace(usize),
    /// The next write fails without a reason that passes.
    Write,
}

impl State {
    /// What the next start finds.
    #[must_use]
    pub fn after(&self, loss: Loss) -> Self {
        let mut random = match loss {
            Loss::Random(seed) => Some(StdRng::seed_from_u64(seed)),
            Loss::Everything | Loss::Nothing => None,
        };
        let mut left = Self {
            durable_names: self.durable_names.clone(),
            ..Self::default()
        };
        for naming in &self.renamed {
            let stays = match (&mut random, loss) {
                (Some(random), _) => random.random(),
                (None, loss) => loss == Loss::Nothing,
            };
            if stays {
                naming.apply(&mut left.durable_names);
            }
        }
        let reachable: BTreeSet<usize> = left.durable_names.values().copied().collect();
        for (number, inode) in self.inodes.iter().enumerate() {
            if !reachable.contains(&number) {
                left.inodes.push(Inode::default());
                continue;
            }
            let mut bytes = inode.durable.clone();
            for change in &inode.pending {
                match (&mut random, loss) {
                    (Some(random), _) => match (random.random_range(0..3), change) {
                        (0, _) => {}
                        (1, Change::Write(at, written)) => {
                            // Sectors of it, not necessarily the first ones.
                            for (number, sector) in written.chunks(SECTOR).enumerate() {
                                if random.random() {
                                    let cut = if random.random() {
                                        sector.len()
                                    } else {
                                        random.random_range(0..=sector.len())
                                    };
                                    let at = at + (number * SECTOR) as u64;
                                    Change::Write(at, sector[..cut].to_vec()).apply(&mut bytes);
                                }
                            }
                        }
                        (_, change) => change.apply(&mut bytes),
                    },
                    (None, Loss::Nothing) => change.apply(&mut bytes),
                    (None, _) => {}
                }
            }
            left.inodes.push(Inode {
                live: bytes.clone(),
                durable: bytes,
                pending: Vec::new(),
            });
        }
        left.names = left.durable_names.clone();
        left
    }
}

/// Called after each operation that changes something.
type Watch = Box<dyn FnMut(&State) + Send>;

#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    watch: Arc<Mutex<Option<Watch>>>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Disk")
    }
}

impl Disk {
    pub fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            watch: Arc::default(),
        }
    }

    pub fn watch(&self, watch: impl FnMut(&State) + Send + 'static) {
        *self.watch.lock().unwrap() = Some(Box::new(watch));
    }

    pub fn crash(&self, loss: Loss) {
        let mut state = self.state.lock().unwrap();
        *state = state.after(loss);
    }

    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().fault = fault;
    }

    /// Changes a file behind everybody's back.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock().unwrap();
        let inode = state.names[path];
        change(&mut state.inodes[inode].live);
        state.inodes[inode].durable = state.inodes[inode].live.clone();
        state.inodes[inode].pending.clear();
    }

    /// Names and sizes of all files.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.state.lock().unwrap();
        state
            .names
            .iter()
            .map(|(path, inode)| (path.clone(), state.inodes[*inode].live.len()))
            .collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        let done = change(&mut state);
        if let Some(watch) = self.watch.lock().unwrap().as_mut() {
            watch(&state);
        }
        done
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Fs for Disk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock().unwrap();
        Ok(state
            .names
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let inode = self.change(|state| {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            let naming = Naming::Put(path.to_path_buf(), inode);
            naming.apply(&mut state.names);
            state.renamed.push(naming);
            Ok(inode)
        })?;
        Ok(Box::new(OpenFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let inode = *self
            .state
            .lock()
            .unwrap()
            .names
            .get(path)
            .ok_or_else(missing)?;
        Ok(Box::new(OpenFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn read(&self, path: &Path, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap();
        let bytes = &state.inodes[*state.names.get(path).ok_or_else(missing)?].live;
        let from = (from as usize).min(bytes.len());
        let until = from + usize::try_from(most).unwrap().min(bytes.len() - from);
        Ok(bytes[from..until].to_vec())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path, 0, u64::MAX)?.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let inode = *state.names.get(from).ok_or_else(missing)?;
            let naming = Naming::Moved(from.to_path_buf(), to.to_path_buf(), inode);
            naming.apply(&mut state.names);
            state.renamed.push(naming);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.names.get(path).ok_or_else(missing)?;
            let naming = Naming::Gone(path.to_path_buf());
            naming.apply(&mut state.names);
            state.renamed.push(naming);
            Ok(())
        })
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.change(|state| {
            state.renamed.clear();
            state.durable_names = state.names.clone();
            Ok(())
        })
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    inode: usize,
}

impl FsFile for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|state| {
            let (written, outcome) = match state.fault {
                Some(Fault::NoSpace(room)) => {
                    state.fault = None;
                    (
                        &bytes[..room.min(bytes.len())],
                        Err(io::Error::from(io::ErrorKind::StorageFull)),
                    )
                }
                Some(Fault::Write) => {
                    state.fault = None;
                    (&bytes[..0], Err(io::Error::other("input/output error")))
                }
                _ => (bytes, Ok(())),
            };
            let inode = &mut state.inodes[self.inode];
            let change = Change::Write(offset, written.to_vec());
            change.apply(&mut inode.live);
            inode.pending.push(change);
            outcome
        })
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.disk.change(|state| {
            let inode = &mut state.inodes[self.inode];
            let change = Change::SetLen(length);
            change.apply(&mut inode.live);
            inode.pending.push(change);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(|state| {
            let fails = state.fault == Some(Fault::Sync);
            let inode = &mut state.inodes[self.inode];
            if fails {
                // As on Linux: the pages count as clean now, and nobody will write them.
                inode.pending.clear();
                state.fault = None;
                return Err(io::Error::other("input/output error"));
            }
            for change in std::mem::take(&mut inode.pending) {
                change.apply(&mut inode.durable);
            }
            Ok(())
        })
    }
}
