//! What the files that were found mean: known content to read on, a copy or a packed form of known
//! content, the same file with other content, or something new.
//!
//! The rule in doubt: read. A line read twice can be seen, a line not read cannot. Content is only
//! taken for known when its bytes were compared: at the beginning and where the known one ended.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::scan::{Family, Seen, scan};
use super::{Port, Reader, Slots, Times, push_notice};
use crate::Mode;
use crate::accounts::{AllUnread, FileState, Unread};
use crate::checkpoint::Generation;
use crate::content::{self, Content};
use crate::discover::looks_binary;
use crate::identity::{FileId, Fingerprint, Likeness, Mark, PROBE};
use crate::rotation::{Packing, RotatedName};
use crate::tail::{Start, StillThere, Tail};
use atalaya_domain::record::{Level, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;

/// A copy of a short file may be a copy being made or an equal file; after this long it is its own.
const COPYING: Duration = Duration::from_secs(2);
/// A packed file that breaks off and was not written to for so long is damaged, not unfinished.
const PACKING: Duration = Duration::from_secs(10);
/// Under the name that is written to, content is only taken for known when so much of it is equal:
/// files that are written anew often begin alike.
const SURELY_A_COPY: u64 = 64 << 10;

/// A generation whose file was truncated or overwritten.
struct Lost {
    origin: OriginId,
    path: std::path::PathBuf,
    /// Read, and known to have been there, when last looked at. `None`: nobody was looking.
    known: Option<(u64, u64)>,
    resume: u64,
}

/// What a visit to a known file came to.
enum Visit {
    Fine,
    /// Not now: the store does not answer, or the file moved on between two looks.
    Later,
    Lost(Lost),
}

/// What stands in the way of opening.
enum Obstacle {
    Io(io::Error),
    Store(StoreError),
    /// The path leads to another file by now.
    Moved,
    TooMany,
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for Obstacle {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<P: Port> Reader<P> {
    pub(super) fn look_around(&mut self, now: Instant, wall: Timestamp) {
        self.trouble = None;
        self.left_over = false;
        let origins_before: HashSet<OriginId> = self.generations.keys().copied().collect();
        let mut known: HashSet<Family> = self.generations.values().map(family).collect();
        let mut found = scan(&self.inputs, &known);
        known.extend(std::mem::replace(
            &mut self.followed,
            std::mem::take(&mut found.families),
        ));
        self.scan_dirs = std::mem::take(&mut found.dirs);
        let mut unread = std::mem::take(&mut found.unread);

        let by_file: HashMap<FileId, OriginId> = self
            .generations
            .values()
            .filter(|generation| !generation.replaced)
            .map(|generation| (generation.file, generation.origin))
            .collect();
        let mut holders = HashSet::new();
        let mut candidates: Vec<(Seen, u32)> = Vec::new();
        let mut known_files = Vec::new();
        for seen in found.files {
            match by_file.get(&seen.file) {
                Some(origin) if self.has_outgrown(*origin, &seen) => {
                    self.generations.remove(origin);
                    candidates.push((seen, 1));
                }
                Some(&origin) => {
                    holders.insert(origin);
                    self.attach(origin, &seen);
                    known_files.push((origin, seen));
                }
                None => candidates.push((seen, 0)),
            }
        }
        let vanished = self.detach_missing(&holders, wall);

        let mut lost = Vec::new();
        for (origin, seen) in known_files {
            match self.visit(origin, &seen, now, &mut unread) {
                Visit::Fine | Visit::Later => {}
                Visit::Lost(one) => {
                    lost.push(one);
                    if let Some(generation) = self.generations.get_mut(&origin) {
                        generation.replaced = true;
                        generation.gone_since = Some(wall);
                        candidates.push((seen, generation.truncations + 1));
                    }
                }
            }
        }
        if !candidates.is_empty() {
            // They are compared with what is known now, not at the last checkpoint.
            for origin in self.order.clone() {
                self.remember_tail(origin);
            }
        }
        let mut continued = HashSet::new();
        let waiting: HashSet<FileId> = candidates.iter().map(|(seen, _)| seen.file).collect();
        self.noticed.retain(|file, _| waiting.contains(file));
        for (seen, truncations) in candidates {
            let path = seen.path.clone();
            let followed = known.contains(&(seen.dir.clone(), seen.rotated.base.clone()));
            match self.consider(&seen, truncations, followed, now, wall, &mut continued) {
                Ok(None) | Err(Obstacle::Moved) => {}
                Ok(Some(reason)) => {
                    unread.add(Unread::passed_over(path, reason));
                }
                Err(Obstacle::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(Obstacle::Io(error)) => {
                    unread.add(Unread {
                        refused: seen.listed,
                        ..Unread::refused(path, &error)
                    });
                }
                Err(Obstacle::Store(error)) => self.trouble = Some(error.to_string()),
                Err(Obstacle::TooMany) => {
                    self.left_over = true;
                    let reason =
                        format!("waits: {} files are open already", self.limits.open_files);
                    unread.add(Unread::passed_over(path, reason));
                }
            }
        }
        self.report_lost(lost, &continued, now, wall);
        if !self.scanned_once {
            self.report_vanished(&vanished, &continued, wall);
        }
        for Unread { path, reason, .. } in unread
            .iter()
            .filter(|unread| !self.unread.has(&unread.path))
        {
            push_notice(
                &mut self.notices,
                format!("{} is not read: {reason}", path.display()),
            );
        }
        self.unread = unread;
        if self
            .generations
            .keys()
            .any(|origin| !origins_before.contains(origin))
        {
            // A rotation from now on must be recognised as one, also after a crash: the family is
            // remembered before anything else happens.
            self.save(Slots::One);
        }
        self.scanned_once = !self.left_over && self.trouble.is_none();
    }

    /// A file that was passed over has grown since: it is looked at again.
    fn has_outgrown(&self, origin: OriginId, seen: &Seen) -> bool {
        self.generations.get(&origin).is_some_and(|generation| {
            generation.ignored && !generation.packed && seen.size != generation.offset
        })
    }

    fn attach(&mut self, origin: OriginId, seen: &Seen) {
        if let Some(generation) = self.generations.get_mut(&origin)
            && (generation.name != seen.name
                || generation.dir != seen.dir
                || generation.gone_since.is_some())
        {
            generation.dir.clone_from(&seen.dir);
            generation.name.clone_from(&seen.name);
            generation.gone_since = None;
            self.dirty_since.get_or_insert_with(Instant::now);
        }
        if let Some(active) = self.active.get_mut(&origin) {
            active.path.clone_from(&seen.path);
            active.current = seen.current;
            active.attached = true;
        }
    }

    /// Generations of the families that were looked at, whose file was not there.
    fn detach_missing(&mut self, holders: &HashSet<OriginId>, wall: Timestamp) -> Vec<OriginId> {
        let looked_at = &self.scan_dirs;
        let inputs = &self.inputs;
        let mut vanished = Vec::new();
        for generation in self.generations.values_mut() {
            let base = Path::new(&generation.dir).join(RotatedName::of(&generation.name).base);
            let covered = looked_at.contains(Path::new(&generation.dir))
                && inputs.iter().any(|watched| {
                    watched.names(&base)
                        || watched.names(&Path::new(&generation.dir).join(&generation.name))
                });
            if !covered || holders.contains(&generation.origin) || generation.gone_since.is_some() {
                continue;
            }
            generation.gone_since = Some(wall);
            self.dirty_since.get_or_insert_with(Instant::now);
            if let Some(active) = self.active.get_mut(&generation.origin) {
                active.attached = false;
                if active.tail.is_none() && !active.stopped {
                    active.state = FileState::Gone;
                }
            }
            vanished.push(generation.origin);
        }
        vanished
    }

    /// Opens a known file where there is something to read, and sees whether it is still the same.
    fn visit(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        now: Instant,
        unread: &mut AllUnread,
    ) -> Visit {
        let Some(generation) = self.generations.get(&origin) else {
            return Visit::Later;
        };
        if generation.ignored || (generation.packed && generation.ended) {
            return Visit::Fine;
        }
        match self.active.get_mut(&origin) {
            Some(active) if active.stopped => return Visit::Fine,
            Some(active) => match &mut active.tail {
                Some(tail) => {
                    if tail.is_unchanged() {
                        return Visit::Fine;
                    }
                    let known = Some((tail.read_to(), tail.last_size()));
                    let mut frames = Vec::new();
                    tail.give_complete(&mut frames);
                    let resume = tail.given();
                    self.send(frames);
                    return Visit::Lost(Lost {
                        origin,
                        path: seen.path.clone(),
                        known,
                        resume,
                    });
                }
                None if seen.size == active.given || generation.packed => return Visit::Fine,
                None => {}
            },
            // Rotated, and nothing came since it was read: not worth a descriptor.
            None if !seen.current && !generation.packed && seen.size == generation.offset => {
                return Visit::Fine;
            }
            None => {}
        }
        match self.open_known(origin, seen, now) {
            Ok(None) => Visit::Fine,
            Ok(Some(lost)) => Visit::Lost(lost),
            Err(Obstacle::Moved) => Visit::Later,
            Err(Obstacle::Store(error)) => {
                self.trouble = Some(error.to_string());
                Visit::Later
            }
            Err(Obstacle::TooMany) => {
                self.left_over = true;
                let reason = format!("{} files are open already", self.limits.open_files);
                if let Some(active) = self.active.get_mut(&origin) {
                    active.state = FileState::Waiting(reason);
                } else {
                    unread.add(Unread::passed_over(&seen.path, format!("waits: {reason}")));
                }
                Visit::Later
            }
            Err(Obstacle::Io(error)) => {
                if error.kind() != io::ErrorKind::NotFound {
                    unread.add(Unread {
                        refused: seen.listed,
                        ..Unread::refused(&seen.path, &error)
                    });
                    if let Some(active) = self.active.get_mut(&origin) {
                        active.errors += 1;
                        active.last_error = Some(error.to_string());
                        active.state = FileState::Unreadable(error.to_string());
                    }
                }
                Visit::Later
            }
        }
    }

    /// `Some` when the file holds something else by now.
    fn open_known(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        now: Instant,
    ) -> Result<Option<Lost>, Obstacle> {
        let resume = self.resume_of(origin)?;
        let Some(generation) = self.generations.get(&origin) else {
            return Err(Obstacle::Moved);
        };
        let print = generation.print.clone();
        let format = generation
            .format
            .as_deref()
            .and_then(atalaya_format::by_name);
        let content = self.open(seen)?;
        if let Content::Plain(file) = &content {
            let length = file.metadata()?.len();
            let likeness = print
                .samples(length)
                .compare(|at, size| content::read_range(file, at, size))?;
            if length < resume || length < print.reach() || likeness == Likeness::Different {
                let known = self
                    .active
                    .get(&origin)
                    .map(|active| (active.given, active.given));
                return Ok(Some(Lost {
                    origin,
                    path: seen.path.clone(),
                    known,
                    resume,
                }));
            }
        }
        self.start(origin, seen, content, resume, print, format, now)?;
        Ok(None)
    }

    /// Where a generation is read on: after what was given out in this run, else where the store
    /// says, else where the checkpoint says.
    fn resume_of(&mut self, origin: OriginId) -> Result<u64, Obstacle> {
        if let Some(active) = self.active.get(&origin) {
            return Ok(active.given());
        }
        let stored = self.port.watermark(origin)?;
        Ok(stored.unwrap_or_else(|| {
            self.generations
                .get(&origin)
                .map_or(0, |generation| generation.offset)
        }))
    }

    fn open(&mut self, seen: &Seen) -> Result<Content, Obstacle> {
        self.make_room()?;
        let file = content::open_file(&seen.path)?;
        if FileId::of(&file.metadata()?) != seen.file {
            return Err(Obstacle::Moved);
        }
        Ok(Content::of(file, seen.rotated.packing)?)
    }

    /// Closes the file that was quiet for longest when too many are open.
    fn make_room(&mut self) -> Result<(), Obstacle> {
        let open = self
            .active
            .values()
            .filter(|active| active.tail.is_some())
            .count();
        if open < self.limits.open_files {
            return Ok(());
        }
        if !self.limit_said {
            self.limit_said = true;
            self.notice(format!(
                "more than {} files are followed; the quiet ones are closed and looked at every second",
                self.limits.open_files
            ));
        }
        let idlest = self
            .active
            .values_mut()
            .filter(|active| {
                active.state == FileState::Live && active.acknowledged >= active.given()
            })
            .filter(|active| {
                active
                    .tail
                    .as_ref()
                    .is_some_and(|tail| !tail.has_more_to_give() && tail.size().is_some())
            })
            .min_by_key(|active| active.tail.as_ref().map(|tail| tail.grown_at));
        let Some(idlest) = idlest else {
            return Err(Obstacle::TooMany);
        };
        let origin = idlest.tail.as_ref().map(Tail::origin);
        idlest.close(origin.and_then(|origin| self.generations.get_mut(&origin)));
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one generation, put together in two places"
    )]
    fn start(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        content: Content,
        offset: u64,
        print: Fingerprint,
        format: Option<atalaya_format::Shape>,
        now: Instant,
    ) -> Result<(), Obstacle> {
        let tail = Tail::new(
            Start {
                origin,
                content,
                offset,
                print,
                format,
            },
            now,
        )?;
        let active = match self.active.entry(origin) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                self.order.push(origin);
                place.insert(Self::new_active(seen.path.clone(), seen.input, offset))
            }
        };
        active.path.clone_from(&seen.path);
        active.input = seen.input;
        active.current = seen.current;
        active.attached = true;
        let grows = seen.current && self.mode == Mode::Follow && seen.rotated.packing.is_none();
        active.times = Times {
            there_until: if grows { seen.size } else { u64::MAX },
            modified: seen.modified,
        };
        active.size = seen.size;
        active.state = FileState::Reading;
        active.tail = Some(tail);
        Ok(())
    }

    /// Decides about content that no known file holds. `Some` says why it is not read (now).
    /// `followed`: its family was known before this look.
    fn consider(
        &mut self,
        seen: &Seen,
        truncations: u32,
        followed: bool,
        now: Instant,
        wall: Timestamp,
        continued: &mut HashSet<OriginId>,
    ) -> Result<Option<String>, Obstacle> {
        if seen.size == 0 && !seen.current {
            return Ok(None); // perhaps a copy that begins; nothing to read yet
        }
        if seen.rotated.packing == Some(Packing::Xz) {
            return Ok(seen.listed.then(|| {
                "xz is not read; unpack it, or let logrotate use gzip or zstd".to_owned()
            }));
        }
        let age = self.age(seen, now);
        if let Some((origin, length)) = self.copies_a_file(seen, age)? {
            return Ok(self.as_copy(seen, origin, length));
        }
        if !seen.current && self.still_reads_a_removed_one(seen) {
            return Ok(Some(
                "waits until the removed file is read to its end".to_owned(),
            ));
        }
        let relatives: Vec<OriginId> = self
            .generations
            .values()
            .filter(|other| other.dir == seen.dir && other.print.head.is_some())
            .filter(|other| RotatedName::of(&other.name).base == seen.rotated.base)
            .map(|other| other.origin)
            .collect();
        let prints: Vec<&Fingerprint> = relatives
            .iter()
            .filter_map(|origin| self.generations.get(origin))
            .map(|other| &other.print)
            .collect();
        let compared = content::compare(&seen.path, seen.rotated.packing, &prints)?;
        if !compared.complete && age < PACKING {
            return Ok(Some("is being packed".to_owned()));
        }
        let likeness: Vec<(OriginId, u64, bool)> = relatives
            .into_iter()
            .zip(compared.likeness)
            .filter_map(|(origin, likeness)| match likeness {
                Likeness::Same { verified, whole } => Some((origin, verified, whole)),
                Likeness::Unclear | Likeness::Different => None,
            })
            .collect();
        let (orphans, held): (Vec<_>, Vec<_>) = likeness
            .into_iter()
            .partition(|(origin, ..)| self.is_orphan(*origin));
        let orphan = orphans
            .into_iter()
            .filter(|(_, verified, whole)| {
                seen.rotated.rotated || (*whole && *verified >= SURELY_A_COPY)
            })
            .max_by_key(|(_, verified, whole)| (*whole, *verified));
        let held = held.into_iter().max_by_key(|(_, verified, _)| *verified);

        if let Some((origin, verified, _)) = held
            && !seen.current
            && orphan.is_none_or(|(_, other, _)| other < verified)
        {
            let is_sure = verified >= PROBE as u64;
            if is_sure || age < COPYING {
                return Ok(self.as_copy(seen, origin, compared.length));
            }
        }
        if let Some((origin, verified, whole)) = orphan {
            let resume = self.resume_of(origin)?;
            if self
                .active
                .get(&origin)
                .is_some_and(|active| active.tail.is_some() && !self.is_replaced(origin))
            {
                return Ok(Some(
                    "waits until the removed file is read to its end".to_owned(),
                ));
            }
            if compared.length >= resume {
                self.continue_in(origin, seen, resume, compared.length, now)?;
                continued.insert(origin);
                return Ok(None);
            }
            if !whole && age < COPYING {
                return Ok(Some("is being copied".to_owned()));
            }
            if verified >= PROBE as u64 {
                // Shorter than what was read of the original: all of it is stored.
                self.pass_over(seen, truncations, compared.length, wall)?;
                continued.insert(origin);
                return Ok(None);
            }
        }
        if !seen.listed && !followed {
            // It lay there before this family was followed: history that nobody asked for.
            self.pass_over(seen, truncations, compared.length, wall)?;
            return Ok(None);
        }
        self.begin_new(seen, truncations, now, wall)
    }

    /// A removed file of the family is still being read through its descriptor: what it holds cannot
    /// be compared with yet.
    fn still_reads_a_removed_one(&self, seen: &Seen) -> bool {
        self.generations.values().any(|other| {
            other.gone_since.is_some()
                && !other.replaced
                && other.dir == seen.dir
                && RotatedName::of(&other.name).base == seen.rotated.base
                && self
                    .active
                    .get(&other.origin)
                    .and_then(|active| active.tail.as_ref())
                    .is_some_and(Tail::has_unread)
        })
    }

    /// Whether the file repeats, from its beginning to its end, what a followed file beside it holds
    /// now, read or not: a copy before the original is truncated, a packed form before the original
    /// is removed.
    /// Gives its generation, and how far it holds the same.
    fn copies_a_file(
        &self,
        seen: &Seen,
        age: Duration,
    ) -> Result<Option<(OriginId, u64)>, Obstacle> {
        if seen.current {
            return Ok(None);
        }
        let originals = self.generations.values().filter(|other| {
            other.dir == seen.dir
                && other.gone_since.is_none()
                && !other.replaced
                && !other.packed
                && !other.ignored
        });
        if let Some(packing) = seen.rotated.packing {
            let unpacked = &seen.name[..seen.name.len() - packing.suffix().len()];
            let mut originals = originals;
            return Ok(originals.find(|other| other.name == unpacked).map(|other| {
                let original = Path::new(&other.dir).join(&other.name).metadata();
                (
                    other.origin,
                    original.map_or(u64::MAX, |original| original.len()),
                )
            }));
        }
        let file = content::open_file(&seen.path)?;
        let print = whole_print(&file, seen.size)?;
        for other in
            originals.filter(|other| RotatedName::of(&other.name).base == seen.rotated.base)
        {
            let Ok(original) = content::open_file(&Path::new(&other.dir).join(&other.name)) else {
                continue;
            };
            let metadata = original.metadata()?;
            if FileId::of(&metadata) != other.file
                || !metadata.is_file()
                || metadata.len() < seen.size
            {
                continue;
            }
            let likeness = print
                .samples(metadata.len())
                .compare(|at, size| content::read_range(&original, at, size))?;
            if matches!(likeness, Likeness::Same { whole: true, .. })
                && (seen.size >= PROBE as u64 || age < COPYING)
            {
                return Ok(Some((other.origin, seen.size)));
            }
        }
        Ok(None)
    }

    /// Why a copy of what another file holds, up to `length`, is not read; `None` when there is nothing
    /// to be done about it: a run that reads once was asked for it, and all of it is stored.
    fn as_copy(&mut self, seen: &Seen, of: OriginId, length: u64) -> Option<String> {
        let name = self
            .generations
            .get(&of)
            .map(|other| other.name.clone())
            .unwrap_or_default();
        let is_stored = self.mode == Mode::Once
            && !self.active.contains_key(&of)
            && self.resume_of(of).is_ok_and(|stored| stored >= length);
        if !is_stored {
            return Some(format!("holds what {name} holds, which is read"));
        }
        self.notice(format!(
            "{} holds what {name} holds, and all of it is stored already",
            seen.path.display()
        ));
        None
    }

    /// No file holds its content (any more), as far as one can see.
    fn is_orphan(&self, origin: OriginId) -> bool {
        self.generations
            .get(&origin)
            .is_some_and(|other| other.gone_since.is_some() || other.replaced)
            || self.is_replaced(origin)
    }

    /// Its file was found to hold something else in this look.
    fn is_replaced(&self, origin: OriginId) -> bool {
        self.generations
            .get(&origin)
            .is_some_and(|other| other.replaced)
    }

    /// How long the candidate has looked as it does now.
    fn age(&mut self, seen: &Seen, now: Instant) -> Duration {
        if self.mode == Mode::Once {
            return Duration::MAX; // there is no later look
        }
        let noticed = self.noticed.entry(seen.file).or_insert((seen.size, now));
        if noticed.0 != seen.size {
            *noticed = (seen.size, now);
        }
        now.duration_since(noticed.1)
    }

    /// The content of a generation goes on in this file.
    fn continue_in(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        resume: u64,
        length: u64,
        now: Instant,
    ) -> Result<(), Obstacle> {
        let packed = seen.rotated.packing.is_some();
        if let Some(active) = self.active.get_mut(&origin) {
            active.close(self.generations.get_mut(&origin));
        }
        let Some(known) = self.generations.get(&origin) else {
            return Ok(());
        };
        let (print, ignored) = (known.print.clone(), known.ignored);
        let format = known.format.as_deref().and_then(atalaya_format::by_name);
        let ended = packed && length == resume;
        if !ignored && !ended {
            let content = self.open(seen)?;
            self.start(origin, seen, content, resume, print, format, now)?;
        } else if let Some(active) = self.active.get_mut(&origin) {
            active.path.clone_from(&seen.path);
            active.attached = true;
            active.current = false;
            active.state = FileState::Read;
        }
        if let Some(generation) = self.generations.get_mut(&origin) {
            generation.file = seen.file;
            generation.dir.clone_from(&seen.dir);
            generation.name.clone_from(&seen.name);
            generation.packed = packed;
            generation.ended = ended;
            generation.replaced = false;
            generation.gone_since = None;
        }
        self.dirty_since.get_or_insert(now);
        Ok(())
    }

    /// Remembers a file without reading it, so that it is recognised when it is packed or moved.
    fn pass_over(
        &mut self,
        seen: &Seen,
        truncations: u32,
        length: u64,
        wall: Timestamp,
    ) -> Result<(), Obstacle> {
        let print = match seen.rotated.packing {
            None => whole_print(&content::open_file(&seen.path)?, length)?,
            Some(_) => Fingerprint::default(),
        };
        let generation = self.generation(seen, truncations, length, print, wall);
        self.generations.insert(
            generation.origin,
            Generation {
                ignored: true,
                ..generation
            },
        );
        self.dirty_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn generation(
        &self,
        seen: &Seen,
        mut truncations: u32,
        offset: u64,
        print: Fingerprint,
        wall: Timestamp,
    ) -> Generation {
        let mut origin = seen.file.origin(&self.host, truncations);
        while self.generations.contains_key(&origin) {
            truncations += 1;
            origin = seen.file.origin(&self.host, truncations);
        }
        Generation {
            origin,
            file: seen.file,
            truncations,
            dir: seen.dir.clone(),
            name: seen.name.clone(),
            first_seen: wall,
            offset,
            print,
            format: None,
            packed: seen.rotated.packing.is_some(),
            gone_since: None,
            ignored: false,
            replaced: false,
            ended: false,
        }
    }

    /// Content that was never seen. Its origin may still be in the store, when the checkpoint was
    /// lost or is older than the store: then it goes on there, if the place looks like one.
    fn begin_new(
        &mut self,
        seen: &Seen,
        truncations: u32,
        now: Instant,
        wall: Timestamp,
    ) -> Result<Option<String>, Obstacle> {
        let content = self.open(seen)?;
        if let Content::Plain(file) = &content
            && self.inputs[seen.input].is_glob()
            && looks_binary(&content::read_range(file, 0, 4 * PROBE)?)
        {
            return Ok(Some("is not text".to_owned()));
        }
        let mut generation = self.generation(seen, truncations, 0, Fingerprint::default(), wall);
        let mut offset = 0;
        let born = seen
            .file
            .born
            .map(|nanos| Timestamp::from_micros(nanos / 1_000));
        while let Some(stored) = self.port.watermark_of_new(generation.origin, born)? {
            let next = seen.file.origin(&self.host, generation.truncations + 1);
            let is_last = self.port.watermark_of_new(next, born)?.is_none();
            if is_last && may_go_on_at(&content, stored)? {
                offset = stored;
                self.notice(format!(
                    "{} was not in the checkpoint; the store has it up to byte {stored}, reading goes on there",
                    seen.path.display()
                ));
                break;
            }
            generation.truncations += 1;
            generation.origin = next;
        }
        let origin = generation.origin;
        generation.offset = offset;
        self.start(
            origin,
            seen,
            content,
            offset,
            Fingerprint::default(),
            None,
            now,
        )?;
        self.generations.insert(origin, generation);
        self.dirty_since.get_or_insert(now);
        Ok(None)
    }

    /// Truncated generations whose content was not found elsewhere: what is in memory is all.
    fn report_lost(
        &mut self,
        lost: Vec<Lost>,
        continued: &HashSet<OriginId>,
        now: Instant,
        wall: Timestamp,
    ) {
        for one in lost {
            if continued.contains(&one.origin) {
                continue;
            }
            let mut frames = Vec::new();
            let mut buffer = std::mem::take(&mut self.buffer);
            if let Some(active) = self.active.get_mut(&one.origin) {
                let reading = crate::tail::Reading {
                    input: &self.inputs[active.input].input,
                    host: &self.host,
                    path: &one.path,
                    limits: &self.limits,
                    there_until: 0,
                    modified: wall,
                    wall,
                };
                if let Some(tail) = &mut active.tail {
                    tail.finish(StillThere::No, &mut buffer, reading, now, &mut frames);
                }
                active.close(self.generations.get_mut(&one.origin));
                active.attached = false;
                active.state = FileState::Gone;
            }
            self.buffer = buffer;
            self.send(frames);
            let name = one.path.display();
            let (level, message, range) = match one.known {
                Some((read, size)) if size > read => (
                    Level::Warning,
                    format!(
                        "{name} was truncated: bytes {read} to {size} had not been read and no copy of them was found"
                    ),
                    (read, Some(size)),
                ),
                Some((read, _)) => (
                    Level::Info,
                    format!(
                        "{name} was truncated; all that was seen of it, {read} bytes, had been read"
                    ),
                    (read, None),
                ),
                None => (
                    Level::Warning,
                    format!(
                        "{name} was truncated or overwritten while nobody was reading: lines after byte {} may be lost",
                        one.resume
                    ),
                    (one.resume, None),
                ),
            };
            self.record_event(
                level, one.origin, one.resume, &message, &one.path, wall, range,
            );
        }
    }

    /// Files that were written to when last seen and were gone at the start.
    fn report_vanished(
        &mut self,
        vanished: &[OriginId],
        continued: &HashSet<OriginId>,
        wall: Timestamp,
    ) {
        for origin in vanished {
            let Some(generation) = self.generations.get(origin) else {
                continue;
            };
            let was_current = !RotatedName::of(&generation.name).rotated
                && !generation.packed
                && !generation.ignored;
            if continued.contains(origin) || !was_current {
                continue;
            }
            let path = Path::new(&generation.dir).join(&generation.name);
            let offset = generation.offset;
            let message = format!(
                "{} was removed while nobody was reading: lines after byte {offset}, if there were any, are lost",
                path.display()
            );
            self.record_event(
                Level::Warning,
                *origin,
                offset,
                &message,
                &path,
                wall,
                (offset, None),
            );
        }
    }
}

/// Head and end of a plain file.
fn whole_print(file: &std::fs::File, length: u64) -> io::Result<Fingerprint> {
    let head = content::read_range(file, 0, PROBE)?;
    let start = length.saturating_sub(PROBE as u64);
    let end = content::read_range(file, start, (length - start) as usize)?;
    let mut print = Fingerprint::default();
    if !head.is_empty() {
        print.head = Some(Mark::new(head.len() as u64, &head));
        print.note(start + end.len() as u64, &end);
    }
    Ok(print)
}

fn family(generation: &Generation) -> Family {
    (
        generation.dir.clone(),
        RotatedName::of(&generation.name).base,
    )
}

/// Whether a line can begin at this offset.
fn may_go_on_at(content: &Content, offset: u64) -> io::Result<bool> {
    let Content::Plain(file) = content else {
        return Ok(true);
    };
    let length = file.metadata()?.len();
    if offset == 0 || offset == length {
        return Ok(true);
    }
    let mut before = [0_u8];
    Ok(offset < length && file.read_at(&mut before, offset - 1)? == 1 && before == *b"\n")
}
