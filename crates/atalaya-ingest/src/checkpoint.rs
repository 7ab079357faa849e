//! Remembers which content is which, over restarts and power failures.
//!
//! How far an origin is *stored* the store itself knows (its watermark). The checkpoint knows what
//! the store cannot: which file holds which origin, what its bytes looked like, and how far it was
//! read when last looked at. It is two files, written in turn; each write goes to a temporary
//! name, is synced, renamed, and its directory synced. A damaged or older file is replaced by the
//! other; when both are unusable the store's watermarks still say where to go on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::IngestError;
use super::crash;
use super::fs::{Fs, RealFs};
use super::generation::Generation;
use super::identity::FileId;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;

const VERSION: u32 = 2;
const SLOTS: [&str; 2] = ["checkpoint.0.json", "checkpoint.1.json"];
/// Inputs that were asked for; beyond this many, the first ones are forgotten.
const MOST_ASKED: usize = 10_000;
const LOCK: &str = "ingest.lock";
/// What is longer is none of ours: 20,000 generations need about a tenth of it.
const MOST_BYTES: u64 = 1 << 30;
/// Generations whose file has been gone for so long and that were read to the end are forgotten.
const KEPT_SECONDS: u64 = 30 * 24 * 3_600;
/// Beyond this many, gone generations are forgotten from the oldest on.
const MOST_GENERATIONS: usize = 20_000;

/// What a slot holds, owned when read and borrowed when written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Body<G> {
    version: u32,
    /// Counts the writes: the greater of two valid files is the newer.
    sequence: u64,
    /// Since when each input is asked for.
    #[serde(default)]
    asked: BTreeMap<String, Asked>,
    generations: Vec<G>,
}

/// When an input was first asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub since: Timestamp,
    /// The file that had the name of the input then, when the input is one name.
    pub file: Option<FileId>,
}

/// The open state directory: the lock is held as long as this lives.
#[derive(Debug)]
pub struct StateDir {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    sequence: u64,
    asked: BTreeMap<String, Asked>,
    lock: File,
}

/// What was found in a state directory.
#[derive(Debug, Default)]
pub struct Loaded {
    pub generations: Vec<Generation>,
    /// What was wrong with it, for a person.
    pub notices: Vec<String>,
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that some thread is just forking holds the same lock
        // until it executes its program. Nothing is to be done when it fails: the file is closed next.
        let _ = self.lock.unlock();
    }
}

impl StateDir {
    /// Takes the lock, or says that another process has it.
    pub fn open(dir: &Path) -> Result<(Self, Loaded), IngestError> {
        Self::open_on(Arc::new(RealFs), dir)
    }

    /// The same with the two files on another disk; the lock is a file of this machine always.
    pub(crate) fn open_on(fs: Arc<dyn Fs>, dir: &Path) -> Result<(Self, Loaded), IngestError> {
        let failed = |source| IngestError::StateDir {
            dir: dir.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(IngestError::Locked {
                    dir: dir.to_path_buf(),
                });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let (sequence, asked, loaded) = load(&*fs, dir);
        Ok((
            Self {
                fs,
                dir: dir.to_path_buf(),
                sequence,
                asked,
                lock,
            },
            loaded,
        ))
    }

    /// Since when each input, by its pattern, is asked for.
    pub fn asked(&self) -> &BTreeMap<String, Asked> {
        &self.asked
    }

    /// Remembers, durably, that these inputs are asked for since then at the latest. Whatever is
    /// rotated after that is theirs, however long the first look at the directories takes to come.
    pub fn ask<'a>(
        &mut self,
        patterns: impl IntoIterator<Item = &'a str>,
        since: Timestamp,
        generations: &[&Generation],
    ) -> io::Result<()> {
        let before = self.asked.len();
        for pattern in patterns {
            self.asked
                .entry(pattern.to_owned())
                .or_insert_with(|| Asked {
                    since,
                    file: std::fs::metadata(pattern).ok().as_ref().map(FileId::of),
                });
        }
        if self.asked.len() == before {
            return Ok(());
        }
        while self.asked.len() > MOST_ASKED {
            let oldest = self.asked.iter().min_by_key(|(_, asked)| asked.since);
            let Some(oldest) = oldest.map(|(pattern, _)| pattern.clone()) else {
                break;
            };
            self.asked.remove(&oldest);
        }
        self.save_twice(generations)
    }

    /// Writes one slot. When it returns, the checkpoint survives a power failure.
    pub fn save(&mut self, generations: &[&Generation]) -> io::Result<()> {
        self.sequence += 1;
        let body = Body {
            version: VERSION,
            sequence: self.sequence,
            asked: self.asked.clone(),
            generations: generations.to_vec(),
        };
        let json = serde_json::to_vec(&body).map_err(io::Error::other)?;
        let mut text =
            format!("atalaya-checkpoint {}\n", blake3::hash(&json).to_hex()).into_bytes();
        text.extend_from_slice(&json);
        let name = SLOTS[(self.sequence % 2) as usize];
        let temporary = self.dir.join(format!("{name}.new"));
        crash::point("checkpoint::before_write");
        // What a crash left behind, or anybody put there.
        let _ = self.fs.remove(&temporary);
        let mut file = self.fs.create(&temporary)?;
        file.write_at(0, &text)?;
        crash::point("checkpoint::after_write");
        file.sync()?;
        crash::point("checkpoint::after_sync");
        drop(file);
        self.fs.rename(&temporary, &self.dir.join(name))?;
        crash::point("checkpoint::after_rename");
        self.fs.sync_dir(&self.dir)
    }

    /// Writes both slots, so that neither is without a generation that the store may know.
    pub fn save_twice(&mut self, generations: &[&Generation]) -> io::Result<()> {
        self.save(generations)?;
        self.save(generations)
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }
}

fn load(fs: &dyn Fs, dir: &Path) -> (u64, BTreeMap<String, Asked>, Loaded) {
    let mut loaded = Loaded::default();
    let mut best: Option<Body<Generation>> = None;
    let mut existing = 0;
    for name in SLOTS {
        let path = dir.join(name);
        let bytes = match fs.read(&path, 0, MOST_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                existing += 1;
                loaded.notices.push(format!(
                    "cannot read {}: {error}; using the other copy",
                    path.display()
                ));
                continue;
            }
        };
        existing += 1;
        match parse(&bytes) {
            Ok(body)
                if best
                    .as_ref()
                    .is_none_or(|best| best.sequence < body.sequence) =>
            {
                best = Some(body);
            }
            Ok(_) => {}
            Err(reason) => {
                let aside = dir.join(format!("{name}.damaged"));
                let kept = fs.rename(&path, &aside).is_ok();
                loaded.notices.push(format!(
                    "the checkpoint {} is damaged ({reason}){}",
                    path.display(),
                    if kept {
                        format!("; it is kept as {}", aside.display())
                    } else {
                        String::new()
                    },
                ));
            }
        }
    }
    if best.is_none() && existing > 0 {
        loaded.notices.push(
            "no usable checkpoint is left; files go on from where the store says they are stored"
                .to_owned(),
        );
    }
    let Some(body) = best else {
        return (0, BTreeMap::new(), loaded);
    };
    loaded.generations = body.generations;
    (body.sequence, body.asked, loaded)
}

fn parse(bytes: &[u8]) -> Result<Body<Generation>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not text".to_owned())?;
    let (header, json) = text.split_once('\n').ok_or("no header")?;
    let sum = header
        .strip_prefix("atalaya-checkpoint ")
        .ok_or("no header")?;
    if blake3::hash(json.as_bytes()).to_hex().as_str() != sum {
        return Err("its checksum does not fit".to_owned());
    }
    let body: Body<Generation> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if body.version != VERSION {
        return Err(format!(
            "it is of version {}, this program reads {VERSION}",
            body.version
        ));
    }
    Ok(body)
}

/// Drops generations that nothing can come of any more.
pub fn forget_old(generations: &mut BTreeMap<OriginId, Generation>, now: Timestamp) {
    let limit = std::time::Duration::from_secs(KEPT_SECONDS);
    generations.retain(|_, generation| {
        let long_gone = generation
            .holder
            .gone_since()
            .is_some_and(|since| now.since(since) > limit);
        !(long_gone && generation.offset >= generation.print.reach())
    });
    let excess = generations.len().saturating_sub(MOST_GENERATIONS);
    if excess > 0 {
        let mut gone: Vec<_> = generations
            .values()
            .filter_map(|generation| generation.holder.gone_since())
            .collect();
        gone.sort_unstable();
        if let Some(&until) = gone.get(excess.saturating_sub(1)) {
            generations.retain(|_, generation| {
                generation
                    .holder
                    .gone_since()
                    .is_none_or(|since| since > until)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::print_stdout,
        reason = "tests; the seed is shown when one fails"
    )]
    use std::fs;

    use super::*;
    use crate::generation::{Family, Holder};
    use crate::identity::{Fingerprint, Mark};

    fn generation(inode: u64) -> Generation {
        let file = FileId {
            device: 1,
            inode,
            born: Some(5),
        };
        Generation {
            origin: file.origin("host", 0),
            file,
            truncations: 0,
            dir: "logs".into(),
            name: "x.log".into(),
            family: Family::of(Path::new("logs"), "x.log"),
            first_seen: Timestamp::from_seconds(1),
            offset: inode * 100,
            print: Fingerprint {
                head: Some(Mark::new(4, b"abcd")),
                marks: vec![Mark::new(4, b"abcd")],
                ..Fingerprint::default()
            },
            format: Some("plain".into()),
            holder: Holder::Plain,
            begins: 0,
        }
    }

    fn saved(dir: &Path, rounds: u64) {
        let (mut state, _) = StateDir::open(dir).unwrap();
        for round in 1..=rounds {
            state.save(&[&generation(round)]).unwrap();
        }
    }

    #[test]
    fn the_newest_copy_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), 3);
        let (mut state, loaded) = StateDir::open(dir.path()).unwrap();
        assert_eq!(loaded.generations, [generation(3)]);
        assert!(loaded.notices.is_empty());
        state.save(&[&generation(9)]).unwrap();
        drop(state);
        assert_eq!(
            StateDir::open(dir.path()).unwrap().1.generations,
            [generation(9)]
        );
    }

    #[test]
    fn a_damaged_copy_is_set_aside_and_the_other_one_used() {
        let damages: [fn(&mut Vec<u8>); 4] = [
            |bytes| bytes.fill(0),
            |bytes| bytes.truncate(bytes.len() / 2),
            Vec::clear,
            |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            },
        ];
        for damage in damages {
            let dir = tempfile::tempdir().unwrap();
            saved(dir.path(), 3); // the third is in slot 1, the second in slot 0
            let path = dir.path().join(SLOTS[1]);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, &bytes).unwrap();
            let (_state, loaded) = StateDir::open(dir.path()).unwrap();
            assert_eq!(loaded.generations, [generation(2)]);
            assert_eq!(loaded.notices.len(), 1, "{:?}", loaded.notices);
            assert_eq!(
                fs::read(dir.path().join("checkpoint.1.json.damaged")).unwrap(),
                bytes
            );
        }
    }

    #[test]
    fn two_damaged_copies_are_not_fatal() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), 2);
        for slot in SLOTS {
            fs::write(dir.path().join(slot), [0; 4_096]).unwrap();
        }
        let (_state, loaded) = StateDir::open(dir.path()).unwrap();
        assert!(loaded.generations.is_empty());
        assert_eq!(loaded.notices.len(), 3);
    }

    #[test]
    fn an_older_copy_is_used_as_it_is() {
        // Somebody put both files back from a backup: the store still knows how far it got.
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), 2);
        let backup = SLOTS.map(|slot| fs::read(dir.path().join(slot)).unwrap());
        saved(dir.path(), 6);
        for (slot, bytes) in SLOTS.iter().zip(backup) {
            fs::write(dir.path().join(slot), bytes).unwrap();
        }
        let (mut state, loaded) = StateDir::open(dir.path()).unwrap();
        assert_eq!(loaded.generations, [generation(2)]);
        assert!(loaded.notices.is_empty());
        for round in 3..6 {
            state.save(&[&generation(round)]).unwrap();
        }
        drop(state);
        assert_eq!(
            StateDir::open(dir.path()).unwrap().1.generations,
            [generation(5)]
        );
    }

    /// R6: damaged checkpoint.
    #[test]
    fn random_damage_to_either_copy_is_never_fatal() {
        use rand::{RngExt, SeedableRng, rngs::StdRng};
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let rounds = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
            10_000
        } else {
            200
        };
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), 3);
        let whole = SLOTS.map(|slot| fs::read(dir.path().join(slot)).unwrap());
        for _ in 0..rounds {
            for (slot, bytes) in SLOTS.iter().zip(&whole) {
                fs::write(dir.path().join(slot), bytes).unwrap();
            }
            let hit = random.random_range(0..2);
            let mut bytes = whole[hit].clone();
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[at] ^= 1 << random.random_range(0..8),
                1 => bytes.truncate(at),
                _ => bytes[at..].fill(0),
            }
            fs::write(dir.path().join(SLOTS[hit]), &bytes).unwrap();
            let (_state, loaded) = StateDir::open(dir.path()).unwrap();
            // The third save is in slot 1; when it is damaged, the second one is what is left.
            let newest = if hit == 1 { 2 } else { 3 };
            assert_eq!(
                loaded.generations,
                [generation(newest)],
                "slot {hit}, byte {at}"
            );
            assert_eq!(loaded.notices.len(), 1);
        }
    }

    /// R7: one reader of a state.
    #[test]
    fn the_directory_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        assert!(matches!(
            StateDir::open(dir.path()),
            Err(IngestError::Locked { .. })
        ));
        drop(first);
        assert!(StateDir::open(dir.path()).is_ok());
    }

    #[test]
    fn what_is_long_gone_is_forgotten_unless_it_was_not_read() {
        let now = Timestamp::from_seconds(100 * 86_400);
        let mut read = generation(1);
        read.holder = Holder::Gone(Timestamp::from_seconds(1));
        let mut unread = Generation {
            offset: 2,
            ..read.clone()
        };
        unread.file.inode = 2;
        let recent = Generation {
            holder: Holder::Gone(Timestamp::from_seconds(80 * 86_400)),
            ..generation(3)
        };
        // Told apart by their offsets, named by their place in the list.
        let all = [read, unread, recent, generation(4)];
        let mut kept: BTreeMap<_, _> = all
            .into_iter()
            .zip(0..)
            .map(|(generation, place)| (OriginId::from_u128(place), generation))
            .collect();
        forget_old(&mut kept, now);
        assert_eq!(
            kept.keys().map(|place| place.as_u128()).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    /// Whatever somebody put in its place: no pipe is waited for, no device fills the memory, and
    /// what a link leads to is left alone.
    #[test]
    fn strange_things_in_its_place_are_replaced() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = dir.path().join(name);
            let kind = rustix::fs::FileType::Fifo;
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        };
        let other = dir.path().join("of somebody else");
        fs::write(&other, "untouched").unwrap();
        pipe(SLOTS[0]);
        symlink("/dev/zero", dir.path().join(SLOTS[1])).unwrap();
        pipe(&format!("{}.new", SLOTS[0]));
        symlink(&other, dir.path().join(format!("{}.new", SLOTS[1]))).unwrap();

        let (mut state, loaded) = StateDir::open(dir.path()).unwrap();
        assert!(loaded.generations.is_empty());
        assert!(
            loaded
                .notices
                .iter()
                .any(|notice| notice.contains("no regular file"))
        );
        state.save_twice(&[&generation(1)]).unwrap();
        drop(state);
        let (_state, loaded) = StateDir::open(dir.path()).unwrap();
        assert_eq!(loaded.generations, [generation(1)]);
        assert_eq!(fs::read_to_string(&other).unwrap(), "untouched");
    }
}
