//! Opens files to be read on, within the descriptors that there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::time::Instant;

use super::active::{Active, Times};
use super::scan::Seen;
use super::{Obstacle, Port, Reader};
use crate::Mode;
use crate::accounts::FileState;
use crate::content::{self, Content};
use crate::identity::{FileId, Fingerprint, Likeness};
use crate::tail::{Start, Tail};
use atalaya_domain::record::OriginId;

/// A tail to be.
pub(super) struct Opening<'a> {
    pub origin: OriginId,
    pub seen: &'a Seen,
    pub content: Content,
    pub offset: u64,
    pub print: Fingerprint,
    pub format: Option<atalaya_format::Shape>,
    /// What stands before is not its own.
    pub begins: u64,
}

impl<P: Port> Reader<P> {
    /// A known file with something to read. `Some` says why not now.
    pub(super) fn read_on(
        &mut self,
        origin: OriginId,
        seen: &Seen,
        resume: u64,
        now: Instant,
    ) -> Result<Option<String>, Obstacle> {
        let Some(generation) = self.catalogue.get(origin) else {
            return Err(Obstacle::Moved);
        };
        let (print, begins) = (generation.print.clone(), generation.begins);
        let format = generation.format.as_deref();
        let format = format.and_then(atalaya_format::by_name);
        let content = match self.open(seen) {
            Ok(content) => content,
            Err(Obstacle::TooMany) => {
                self.watching.left_over = true;
                let reason = format!("{} files are open already", self.limits.open_files);
                let Some(active) = self.active.get_mut(&origin) else {
                    return Ok(Some(format!("waits: {reason}")));
                };
                active.state = FileState::Waiting(reason);
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        if !fits(&content, &print)? {
            return Err(Obstacle::Moved); // truncated between two looks: the next one sees it
        }
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
        Ok(None)
    }

    pub(super) fn open(&mut self, seen: &Seen) -> Result<Content, Obstacle> {
        self.make_room()?;
        let file = content::open_file(&seen.path)?;
        if FileId::of(&file.metadata()?) != seen.file {
            return Err(Obstacle::Moved);
        }
        Ok(Content::of(file, seen.rotated.packing)?)
    }

    /// Closes the file that was quiet for longest when too many are open.
    pub(super) fn make_room(&mut self) -> Result<(), Obstacle> {
        if self.watching.open < self.limits.open_files {
            self.watching.open += 1;
            return Ok(());
        }
        if !self.told.limit_said {
            self.told.limit_said = true;
            self.notice(format!(
                "more than {} files are followed; the quiet ones are closed and looked at every second",
                self.limits.open_files
            ));
        }
        let quiet = match &mut self.watching.quiet {
            Some(quiet) => quiet,
            None => self.watching.quiet.insert(quiet_files(&self.active)),
        };
        let Some(origin) = quiet.pop() else {
            return Err(Obstacle::TooMany);
        };
        if let Some(active) = self.active.get_mut(&origin) {
            active.close(self.catalogue.generations.get_mut(&origin));
        }
        Ok(())
    }

    pub(super) fn start(&mut self, opening: Opening<'_>, now: Instant) -> Result<(), Obstacle> {
        let Opening {
            origin,
            seen,
            content,
            offset,
            print,
            format,
            begins,
        } = opening;
        let tail = Tail::new(
            Start {
                origin,
                content,
                offset: offset.max(begins),
                from: Some(offset),
                print,
                format,
            },
            now,
        )?;
        let active = match self.active.entry(origin) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                self.turns.order.push(origin);
                place.insert(Active::new(seen.path.clone(), seen.input, offset))
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
        active.progress.size = seen.size;
        active.state = FileState::Reading;
        active.tail = Some(tail);
        Ok(())
    }
}

/// Open files of which everything was read and given out, the longest quiet last.
fn quiet_files(active: &HashMap<OriginId, Active>) -> Vec<OriginId> {
    let mut quiet: Vec<(Instant, OriginId)> = active
        .iter()
        .filter(|(_, active)| active.state == FileState::Live && active.is_stored())
        .filter_map(|(origin, active)| {
            let tail = active.tail.as_ref()?;
            let is_quiet = !tail.has_more_to_give() && tail.size().is_some();
            is_quiet.then_some((tail.grown_at, *origin))
        })
        .collect();
    quiet.sort_by_key(|(grown_at, _)| std::cmp::Reverse(*grown_at));
    quiet.into_iter().map(|(_, origin)| origin).collect()
}

/// Whether the opened content still fits what is known of it.
fn fits(content: &Content, print: &Fingerprint) -> io::Result<bool> {
    let Content::Plain(file) = content else {
        return Ok(true);
    };
    let length = file.metadata()?.len();
    if length < print.reach() {
        return Ok(false);
    }
    let likeness = print
        .samples(length)
        .compare(|at, size| content::read_range(file, at, size))?;
    Ok(likeness != Likeness::Different)
}
