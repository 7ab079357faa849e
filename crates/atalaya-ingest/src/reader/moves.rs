//! Carries out what was decided: opens, closes, remembers, and tells people and the store what
//! happened to their files.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::decide::{Look, Loss, Move, decide};
use super::examine::whole_print;
use super::open::Opening;
use super::scan::{Seen, Why, scan};
use super::{Obstacle, Port, Reader, Slots};
use crate::Mode;
use crate::accounts::{AllUnread, FileState, Unread};
use crate::content::{self, Content};
use crate::discover::looks_binary;
use crate::generation::{Family, Generation, Holder};
use crate::identity::{Fingerprint, LastLines, PROBE};
use crate::rotation::RotatedName;
use atalaya_domain::record::{Level, OriginId};
use atalaya_domain::time::Timestamp;

/// A generation whose file was truncated or overwritten.
pub(super) struct Lost {
    pub origin: OriginId,
    pub path: std::path::PathBuf,
    pub loss: Loss,
}

/// What the moves of one look came to.
#[derive(Default)]
struct Outcome {
    lost: Vec<Lost>,
    missing: Vec<OriginId>,
    continued: HashSet<OriginId>,
    /// Content of which a part is left in its file, and where that ends.
    shortened: HashMap<OriginId, u64>,
}

impl<P: Port> Reader<P> {
    pub(super) fn look_around(&mut self, now: Instant, wall: Timestamp) {
        self.saving.trouble = None;
        self.watching.left_over = false;
        self.watching.quiet = None;
        let tails = self.active.values().filter(|active| active.tail.is_some());
        self.watching.open = tails.count();
        let origins_before: HashSet<OriginId> =
            self.catalogue.generations.keys().copied().collect();
        let known = self.catalogue.known(&self.inputs, &self.old_dirs, wall);
        let mut found = scan(&self.inputs, &known);
        let mut families: HashSet<Family> = known.families;
        families.extend(std::mem::replace(
            &mut self.watching.followed,
            std::mem::take(&mut found.families),
        ));
        self.watching.dirs = std::mem::take(&mut found.dirs);
        let mut unread = std::mem::take(&mut found.unread);
        let look = self.examine(found.files, &families, now, wall, &mut unread);
        let forgotten = std::mem::take(&mut self.watching.forgotten_by_store);
        if forgotten > 0 {
            self.notice(format!(
                "the store has nothing of {forgotten} files that the checkpoint says it has: they are read again from the beginning"
            ));
        }
        self.note_positions();
        let mut outcome = Outcome::default();
        for step in decide(&self.catalogue, &look) {
            self.carry_out(step, &look, &mut outcome, &mut unread, now);
        }
        self.report_lost(
            outcome.lost,
            &outcome.continued,
            &outcome.shortened,
            now,
            wall,
        );
        if !self.watching.scanned_once {
            outcome.continued.extend(outcome.shortened.keys());
            self.report_vanished(&outcome.missing, &outcome.continued, wall);
        }
        self.show_unread(unread);
        if self
            .catalogue
            .generations
            .keys()
            .any(|origin| !origins_before.contains(origin))
        {
            // A rotation from now on must be recognised as one, also after a crash: the family is
            // remembered before anything else happens.
            self.save(Slots::One);
        }
        self.watching.scanned_once = !self.watching.left_over && self.saving.trouble.is_none();
    }

    fn show_unread(&mut self, unread: AllUnread) {
        let said = std::mem::replace(&mut self.told.unread, unread);
        let news: Vec<String> = self
            .told
            .unread
            .iter()
            .filter(|unread| !said.has(&unread.path))
            .map(|Unread { path, reason, .. }| format!("{} is not read: {reason}", path.display()))
            .collect();
        for message in news {
            self.notice(message);
        }
    }

    fn carry_out(
        &mut self,
        step: Move,
        look: &Look,
        outcome: &mut Outcome,
        unread: &mut AllUnread,
        now: Instant,
    ) {
        let seen = |file: usize| &look.sights[file].seen;
        let wall = look.wall;
        let (file, done) = match step {
            Move::Keep { origin, file } => {
                self.attach(origin, seen(file));
                return;
            }
            Move::Read {
                origin,
                file,
                resume,
            } => {
                self.attach(origin, seen(file));
                (file, self.read_on(origin, seen(file), resume, now))
            }
            Move::Miss { origin } => {
                self.detach(origin, wall);
                outcome.missing.push(origin);
                return;
            }
            Move::Lose { origin, file, loss } => {
                self.lose(origin, seen(file), wall);
                let path = seen(file).path.clone();
                outcome.lost.push(Lost { origin, path, loss });
                return;
            }
            Move::Continue {
                origin,
                file,
                resume,
                length,
            } => {
                let done = self.continue_in(origin, seen(file), resume, length, now);
                if done.is_ok() {
                    outcome.continued.insert(origin);
                }
                (file, done.map(|()| None))
            }
            Move::PassOver {
                file,
                truncations,
                length,
                of,
            } => {
                outcome.continued.extend(of);
                let done = self.pass_over(seen(file), truncations, length, wall);
                (file, done.map(|()| None))
            }
            Move::Begin {
                file,
                truncations,
                behind,
            } => {
                let behind = behind.and_then(|_| look.sights[file].found.goes_on());
                let behind = behind.map(|(origin, last)| self.leave_behind(origin, last, outcome));
                let done = self.begin_new(seen(file), truncations, behind, now, wall);
                (file, done)
            }
            Move::Repeats { file, of, length } => (file, Ok(self.as_copy(seen(file), of, length))),
            Move::Wait { file, why } => (file, Ok(Some(why.to_owned()))),
        };
        let seen = seen(file);
        match done {
            Ok(None) => {}
            Ok(Some(reason)) => unread.add(Unread::passed_over(&seen.path, reason)),
            Err(obstacle) => self.tell(seen, obstacle, unread),
        }
    }

    fn lose(&mut self, origin: OriginId, seen: &Seen, wall: Timestamp) {
        self.attach(origin, seen);
        if let Some(generation) = self.catalogue.generations.get_mut(&origin) {
            generation.holder = Holder::Overwritten(wall);
        }
        self.catalogue.sought.insert(origin);
    }

    /// What is left of a generation is before the new content of its file.
    fn leave_behind(
        &mut self,
        origin: OriginId,
        last: &LastLines,
        outcome: &mut Outcome,
    ) -> LastLines {
        self.catalogue.sought.remove(&origin);
        outcome.shortened.insert(origin, last.until());
        last.clone()
    }

    fn attach(&mut self, origin: OriginId, seen: &Seen) {
        if let Some(generation) = self.catalogue.generations.get_mut(&origin)
            && (generation.name != seen.name
                || generation.dir != seen.dir
                || generation.file != seen.file
                || !generation.holder.is_there())
        {
            generation.dir.clone_from(&seen.dir);
            generation.name.clone_from(&seen.name);
            generation.file = seen.file;
            generation.holder = generation.holder.found(seen.rotated.packing.is_some());
            self.saving.dirty_since.get_or_insert_with(Instant::now);
        }
        self.catalogue.sought.remove(&origin);
        if let Some(active) = self.active.get_mut(&origin) {
            active.path.clone_from(&seen.path);
            active.current = seen.current;
            active.attached = true;
        }
    }

    /// Its file was not there.
    fn detach(&mut self, origin: OriginId, wall: Timestamp) {
        let Some(generation) = self.catalogue.generations.get_mut(&origin) else {
            return;
        };
        generation.holder = generation.holder.gone(wall);
        self.saving.dirty_since.get_or_insert_with(Instant::now);
        let mut is_open = false;
        if let Some(active) = self.active.get_mut(&origin) {
            active.attached = false;
            is_open = active.tail.is_some();
            if !is_open && !active.stopped {
                active.state = FileState::Gone;
            }
        }
        if !is_open {
            // What came since it was closed may be in a file of another name.
            self.catalogue.sought.insert(origin);
        }
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
            active.close(self.catalogue.generations.get_mut(&origin));
        }
        let Some(known) = self.catalogue.get(origin) else {
            return Ok(());
        };
        let (print, is_history) = (known.print.clone(), known.holder.is_history());
        let begins = known.begins;
        let format = known.format.as_deref().and_then(atalaya_format::by_name);
        let ended = packed && length == resume;
        if !is_history && !ended {
            let content = self.open(seen)?;
            self.start(
                Opening {
                    origin,
                    seen,
                    content,
                    offset: resume,
                    print,
                    format,
                    begins,
                },
                now,
            )?;
        } else if let Some(active) = self.active.get_mut(&origin) {
            active.path.clone_from(&seen.path);
            active.attached = true;
            active.current = false;
            active.state = FileState::Read;
        }
        if let Some(generation) = self.catalogue.generations.get_mut(&origin) {
            generation.file = seen.file;
            generation.dir.clone_from(&seen.dir);
            generation.name.clone_from(&seen.name);
            generation.holder = match generation.holder.found(packed) {
                Holder::Packed if ended => Holder::Ended,
                holder => holder,
            };
        }
        self.catalogue.sought.remove(&origin);
        self.saving.dirty_since.get_or_insert(now);
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
        let mut generation = self.generation(seen, truncations, length, print, wall);
        generation.holder = Holder::History;
        self.catalogue
            .generations
            .insert(generation.origin, generation);
        self.saving.dirty_since.get_or_insert_with(Instant::now);
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
        while self.catalogue.generations.contains_key(&origin) {
            truncations += 1;
            origin = seen.file.origin(&self.host, truncations);
        }
        let is_packed = seen.rotated.packing.is_some();
        Generation {
            origin,
            file: seen.file,
            truncations,
            dir: seen.dir.clone(),
            name: seen.name.clone(),
            family: seen.family.clone(),
            first_seen: wall,
            offset,
            print,
            format: None,
            holder: if is_packed {
                Holder::Packed
            } else {
                Holder::Plain
            },
            begins: 0,
        }
    }

    /// Content that was never seen. Its origin may still be in the store, when the checkpoint was
    /// lost or is older than the store: then it goes on there, if the place looks like one.
    fn begin_new(
        &mut self,
        seen: &Seen,
        truncations: u32,
        behind: Option<LastLines>,
        now: Instant,
        wall: Timestamp,
    ) -> Result<Option<String>, Obstacle> {
        let content = self.open(seen)?;
        if let Content::Plain(file) = &content
            && (self.inputs[seen.input].is_glob() || seen.why == Why::Alike)
            && is_binary(file, seen.size)?
        {
            return Ok(Some("is not text".to_owned()));
        }
        let mut print = Fingerprint::default();
        let begins = behind.as_ref().map_or(0, LastLines::until);
        print.last = behind.unwrap_or_default();
        let mut generation = self.generation(seen, truncations, 0, print.clone(), wall);
        generation.begins = begins;
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
            Opening {
                origin,
                seen,
                content,
                offset,
                print,
                format: None,
                begins,
            },
            now,
        )?;
        self.catalogue.generations.insert(origin, generation);
        self.saving.dirty_since.get_or_insert(now);
        Ok(None)
    }

    /// Why a copy of what another file holds, up to `length`, is not read; `None` when there is nothing
    /// to be done about it: a run that reads once was asked for it, and all of it is stored.
    fn as_copy(&mut self, seen: &Seen, of: OriginId, length: u64) -> Option<String> {
        let name = self
            .catalogue
            .get(of)
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

    /// Files that were written to when last seen and were gone at the start.
    fn report_vanished(
        &mut self,
        vanished: &[OriginId],
        continued: &HashSet<OriginId>,
        wall: Timestamp,
    ) {
        for origin in vanished {
            let Some(generation) = self.catalogue.get(*origin) else {
                continue;
            };
            let was_current = !RotatedName::of(&generation.name).rotated
                && matches!(generation.holder, Holder::Gone(_));
            if continued.contains(origin) || !was_current {
                continue;
            }
            let path = Path::new(&generation.dir).join(&generation.name);
            let offset = generation.offset;
            let message = format!(
                "{} was removed while nobody was reading: lines after byte {offset}, if there were any, are lost",
                path.display()
            );
            self.record_event(super::events::Event {
                level: Level::Warning,
                about: *origin,
                at: offset,
                message: &message,
                path: &path,
                range: (offset, None),
                wall,
            });
        }
    }
}

/// Whether a file is no text. Only zeros at the beginning tell nothing: a log may begin with a hole.
fn is_binary(file: &std::fs::File, size: u64) -> io::Result<bool> {
    let first = content::read_range(file, 0, 4 * PROBE)?;
    if first.len() == 4 * PROBE && first.iter().all(|byte| *byte == 0) {
        let last = size.saturating_sub(4 * PROBE as u64);
        return Ok(looks_binary(&content::read_range(file, last, 4 * PROBE)?));
    }
    Ok(looks_binary(&first))
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
