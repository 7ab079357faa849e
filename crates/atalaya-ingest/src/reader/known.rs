//! Known files: whether they still hold what they held, and where they are read on.

use std::io;
use std::time::Instant;

use super::decide::Loss;
use super::scan::Seen;
use super::{Obstacle, Port, Reader};
use crate::accounts::{AllUnread, FileState};
use crate::content;
use crate::generation::Holder;
use crate::identity::{FileId, Likeness};
use atalaya_domain::record::OriginId;
use atalaya_store::error::StoreError;

/// What became of a known file.
pub(super) enum Visit {
    Known(OriginId, Option<u64>),
    Changed(OriginId, Loss),
    /// Another file on another device, with the numbers of this one.
    Other,
    Later(OriginId),
}

impl<P: Port> Reader<P> {
    /// Opens a known file where there is something to read, and sees whether it is still the same.
    pub(super) fn examine_known(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        unread: &mut AllUnread,
    ) -> Visit {
        let Some(generation) = self.catalogue.get(origin) else {
            return Visit::Later(origin);
        };
        let is_elsewhere = generation.file != seen.file;
        let as_it_was = Visit::Known(origin, None);
        if generation.holder.is_history() {
            return as_it_was;
        }
        let (holder, offset) = (generation.holder, generation.offset);
        match self.active.get_mut(&origin) {
            Some(active) if active.stopped => return as_it_was,
            Some(active) => match &mut active.tail {
                Some(tail) => {
                    if tail.is_unchanged() {
                        return as_it_was;
                    }
                    let known = Some((tail.read_to(), tail.last_size()));
                    let mut frames = Vec::new();
                    tail.give_complete(&mut frames);
                    let resume = tail.given();
                    self.send(frames);
                    return Visit::Changed(origin, Loss { known, resume });
                }
                None if seen.size == active.progress.given || holder.is_packed() => {
                    return as_it_was;
                }
                None => {}
            },
            // Nothing came since it was read, and nothing is expected: not worth a descriptor.
            None if holder == Holder::Ended
                || (!seen.current
                    && !holder.is_packed()
                    && seen.size == offset
                    && !is_elsewhere) =>
            {
                match self.is_believed(origin) {
                    Ok(true) => return as_it_was,
                    Ok(false) => {}
                    Err(obstacle) => {
                        self.tell(seen, obstacle, unread);
                        return Visit::Later(origin);
                    }
                }
            }
            None => {}
        }
        match self.compare_known(origin, seen) {
            Ok(visit) => visit,
            Err(obstacle) => {
                if let Obstacle::Io(error) = &obstacle
                    && error.kind() != io::ErrorKind::NotFound
                    && let Some(active) = self.active.get_mut(&origin)
                {
                    active.note_error(error.to_string());
                    active.state = FileState::Unreadable(error.to_string());
                }
                self.tell(seen, obstacle, unread);
                Visit::Later(origin)
            }
        }
    }

    fn compare_known(&mut self, origin: OriginId, seen: &Seen) -> Result<Visit, Obstacle> {
        let resume = self.resume_of(origin)?;
        let Some(generation) = self.catalogue.get(origin) else {
            return Err(Obstacle::Moved);
        };
        let is_elsewhere = generation.file != seen.file;
        if seen.rotated.packing.is_none() {
            let file = content::open_file(&seen.path)?;
            let metadata = file.metadata()?;
            if FileId::of(&metadata) != seen.file {
                return Err(Obstacle::Moved);
            }
            let length = metadata.len();
            let print = &generation.print;
            let likeness = print
                .samples(length)
                .compare(|at, size| content::read_range(&file, at, size))?;
            let is_shorter = length < resume || length < print.reach();
            if is_shorter || likeness == Likeness::Different {
                if is_elsewhere {
                    return Ok(Visit::Other);
                }
                let known = self
                    .active
                    .get(&origin)
                    .map(|active| (active.progress.given, active.progress.given));
                return Ok(Visit::Changed(origin, Loss { known, resume }));
            }
        }
        Ok(Visit::Known(origin, Some(resume)))
    }

    /// Where a generation is read on: after what was given out in this run, else where the store
    /// says. A store that knows nothing of it has nothing of it.
    pub(super) fn resume_of(&mut self, origin: OriginId) -> Result<u64, StoreError> {
        if let Some(active) = self.active.get(&origin) {
            return Ok(active.given());
        }
        let stored = self.port.watermark(origin)?;
        self.watching.believed.insert(origin);
        if let Some(generation) = self.catalogue.generations.get_mut(&origin)
            && stored.is_none()
            && generation.offset > 0
            && !generation.holder.is_history()
        {
            // What it says is the truth, and it says nothing: it was removed, or it is another one.
            generation.offset = 0;
            self.watching.forgotten_by_store += 1;
            self.saving.dirty_since.get_or_insert_with(Instant::now);
        }
        Ok(stored.unwrap_or(0))
    }

    /// Whether the store still has what the checkpoint says it has: asked once for each generation.
    fn is_believed(&mut self, origin: OriginId) -> Result<bool, Obstacle> {
        if self.watching.believed.contains(&origin) || self.active.contains_key(&origin) {
            return Ok(true);
        }
        let before = self.catalogue.get(origin).map_or(0, |known| known.offset);
        let stored = self.resume_of(origin)?;
        let is_stored = stored > 0 || before == 0;
        if !is_stored
            && let Some(generation) = self.catalogue.generations.get_mut(&origin)
            && generation.holder == Holder::Ended
        {
            generation.holder = Holder::Packed;
        }
        Ok(is_stored)
    }
}
