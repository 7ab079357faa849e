//! Gathers what a decision needs: whether known files still hold what they held, and what the bytes
//! of unknown ones are like. Opens files and asks the store; decides nothing.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::catalogue::Position;
use super::decide::{Alike, Found, Look, Loss, Sight, Strange};
use super::known::Visit;
use super::scan::{Seen, Why};
use super::{Obstacle, Port, Reader};
use crate::Mode;
use crate::accounts::{AllUnread, Unread};
use crate::content;
use crate::generation::{Family, Generation, Holder};
use crate::identity::{FileId, Fingerprint, LastLines, Likeness, Mark, PROBE};
use crate::tail::Tail;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Reason, StoreError};

/// So much of an equal beginning makes a file under an unrelated name worth a closer look.
const TELLING_HEAD: u32 = 256;
/// A copy of a short file may be a copy being made or an equal file; after this long it is its own.
const COPYING: Duration = Duration::from_secs(2);

/// Bytes of a file that are searched for lines that are known.
const MOST_SEARCHED: u64 = 64 << 20;
/// File systems keep times by a clock that is this coarse.
const CLOCK_STEP: Duration = Duration::from_millis(10);

impl<P: Port> Reader<P> {
    /// Looks at each file that was found.
    pub(super) fn examine(
        &mut self,
        files: Vec<Seen>,
        families: &HashSet<Family>,
        now: Instant,
        wall: Timestamp,
        unread: &mut AllUnread,
    ) -> Look {
        let by_file = self.catalogue.by_file();
        let own = self.rotated_since_asked(&files);
        let mut look = Look {
            looked_for: self.catalogue.looked_for(&self.watching.dirs, &self.inputs),
            wall,
            ..Look::default()
        };
        let mut there = HashSet::new();
        let mut strangers = Vec::new();
        for seen in files {
            let followed = followed(&seen, families, &own);
            let known = by_file.get(seen.file);
            let (found, stranger) = self.recognise(known, &seen, unread);
            if let Some(Found::Known { origin, .. } | Found::Later(Some(origin))) = found {
                there.insert(origin);
            }
            match found {
                Some(found) => look.sights.push(Sight {
                    seen,
                    age: Duration::ZERO,
                    followed,
                    found,
                }),
                None => strangers.push((seen, stranger)),
            }
        }
        if !strangers.is_empty() {
            // They are compared with what is known now, not at the last checkpoint.
            self.remember_tails();
        }
        let waiting: HashSet<FileId> = strangers.iter().map(|(seen, _)| seen.file).collect();
        self.watching
            .noticed
            .retain(|file, _| waiting.contains(file));
        for (seen, stranger) in strangers {
            let age = self.age(&seen, now);
            let Some(found) = self.compare_stranger(&seen, &stranger, age, &there, unread) else {
                continue;
            };
            look.sights.push(Sight {
                followed: followed(&seen, families, &own),
                seen,
                age,
                found,
            });
        }
        look
    }

    /// What a file is that is known, or what it must be compared as.
    fn recognise(
        &mut self,
        known: Option<OriginId>,
        seen: &Seen,
        unread: &mut AllUnread,
    ) -> (Option<Found>, Stranger) {
        let mut stranger = Stranger::default();
        let Some(origin) = known else {
            return (None, stranger);
        };
        if self.catalogue.has_outgrown(origin, seen) {
            self.catalogue.generations.remove(&origin);
            stranger.truncations = 1;
            return (None, stranger);
        }
        let found = match self.examine_known(origin, seen, unread) {
            Visit::Changed(origin, loss) => {
                let known = self.catalogue.get(origin);
                stranger.truncations = known.map_or(0, |known| known.truncations) + 1;
                stranger.instead_of = Some((origin, loss));
                None
            }
            Visit::Other => None,
            Visit::Known(origin, resume) => Some(Found::Known { origin, resume }),
            Visit::Later(origin) => Some(Found::Later(Some(origin))),
        };
        (found, stranger)
    }

    fn compare_stranger(
        &mut self,
        seen: &Seen,
        stranger: &Stranger,
        age: Duration,
        there: &HashSet<OriginId>,
        unread: &mut AllUnread,
    ) -> Option<Found> {
        let compared = self.examine_strange(seen, stranger.truncations, age, there);
        Some(match (compared, stranger.instead_of) {
            (Ok(Some(mut now)), Some((origin, loss))) => {
                now.goes_on = now.goes_on.or_else(|| self.same_beginning(origin, seen));
                if self.is_waited_for(&now) {
                    return Some(Found::Later(Some(origin)));
                }
                Found::Changed { origin, loss, now }
            }
            (Ok(Some(now)), None) if self.is_waited_for(&now) => Found::Later(None),
            (Ok(Some(now)), None) => Found::Strange(now),
            (Ok(None), _) => return None,
            (Err(obstacle), lost) => {
                self.tell(seen, obstacle, unread);
                Found::Later(lost.map(|(origin, _)| origin))
            }
        })
    }

    /// Whether lines that a file is read on behind are still on their way to the store: what begins
    /// behind them would pass over them if this run ended now.
    fn is_waited_for(&self, now: &Strange) -> bool {
        let Some((origin, _)) = now.goes_on else {
            return false;
        };
        let active = self.active.get(&origin);
        active.is_some_and(|active| {
            !active.stopped
                && (!active.is_stored() || active.tail.as_ref().is_some_and(Tail::holds_lines))
        })
    }

    /// Files that were rotated after the inputs were first asked for: theirs, not history. Those that
    /// were written to since, and the one that was the writer's at that moment: the newest of those
    /// that were renamed since.
    fn rotated_since_asked(&self, files: &[Seen]) -> HashSet<FileId> {
        let mut own = HashSet::new();
        let mut renamed: HashMap<&Family, &Seen> = HashMap::new();
        let mut unmoved: HashSet<&Family> = HashSet::new();
        for seen in files {
            let input = &self.inputs[seen.input];
            let Some(asked) = self.catalogue.asked.get(&input.input.pattern) else {
                continue;
            };
            let since = asked.since.saturating_sub(CLOCK_STEP);
            let is_that_one = asked
                .file
                .is_some_and(|file| file.without_device() == seen.file.without_device());
            if seen.modified >= since || is_that_one {
                own.insert(seen.file);
            }
            if !input.is_glob() {
                continue; // it is known which one was the writer's
            }
            let born = seen.file.born.map(|nanos| nanos / 1_000);
            if seen.current && born.is_none_or(|born| born < since.micros()) {
                unmoved.insert(&seen.family);
            }
            if !seen.current && seen.modified < since && seen.changed >= since {
                let newest = renamed.entry(&seen.family).or_insert(seen);
                if newest.modified < seen.modified {
                    *newest = seen;
                }
            }
        }
        own.extend(
            renamed
                .into_iter()
                .filter(|(family, _)| !unmoved.contains(family))
                .map(|(_, seen)| seen.file),
        );
        own
    }

    /// Compares content that no known file holds. `None`: nobody asked for it.
    fn examine_strange(
        &mut self,
        seen: &Seen,
        truncations: u32,
        age: Duration,
        there: &HashSet<OriginId>,
    ) -> Result<Option<Strange>, Obstacle> {
        let mut strange = Strange {
            truncations,
            complete: true,
            ..Strange::default()
        };
        if seen.size == 0 {
            return Ok((seen.why != Why::Stranger).then_some(strange));
        }
        if seen.why != Why::Stranger {
            strange.original = self.copies_a_file(seen, age)?;
            if strange.original.is_some() {
                return Ok(Some(strange));
            }
        }
        let wall = Timestamp::now();
        let relatives: Vec<OriginId> = self
            .catalogue
            .generations
            .values()
            .filter(|other| other.print.head.is_some())
            .filter(|other| {
                let is_missing = !there.contains(&other.origin);
                match seen.why {
                    Why::Stranger => {
                        is_missing
                            && (self.catalogue.is_sought(other, wall) || other.holder.is_there())
                    }
                    _ => {
                        other.family == seen.family
                            || (is_missing
                                && (other.dir == seen.dir || other.family.dir == seen.dir))
                    }
                }
            })
            .map(|other| other.origin)
            .collect();
        if relatives.is_empty() && seen.why == Why::Stranger {
            return Ok(None);
        }
        let prints: Vec<&Fingerprint> = relatives
            .iter()
            .filter_map(|origin| self.catalogue.get(*origin))
            .map(|other| &other.print)
            .collect();
        let compared = content::compare(&seen.path, seen.rotated.packing, &prints)?;
        strange.length = compared.length;
        strange.complete = compared.complete;
        for (origin, likeness) in relatives.into_iter().zip(compared.likeness) {
            if let Likeness::Same { verified, whole } = likeness {
                let resume = self.resume_of(origin)?;
                strange.alike.push(Alike {
                    origin,
                    verified,
                    whole,
                    resume,
                });
            }
        }
        if seen.current && seen.rotated.packing.is_none() {
            strange.goes_on = self.shortened(seen, there, wall)?;
        }
        Ok(Some(strange))
    }

    /// Content of the family that is gone and whose last lines this file still holds.
    fn shortened(
        &mut self,
        seen: &Seen,
        there: &HashSet<OriginId>,
        wall: Timestamp,
    ) -> Result<Option<(OriginId, LastLines)>, Obstacle> {
        let gone = self.catalogue.generations.values().filter(|other| {
            other.family == seen.family
                && !there.contains(&other.origin)
                && !other.holder.is_history()
                && !other.print.last.is_empty()
                && (other.holder.is_there() || self.catalogue.is_sought(other, wall))
        });
        let gone: Vec<OriginId> = gone.map(|other| other.origin).collect();
        if gone.is_empty() {
            return Ok(None);
        }
        let file = content::open_file(&seen.path)?;
        let mut best: Option<(OriginId, LastLines)> = None;
        for origin in gone {
            let stored = self.surely_stored(origin)?;
            let Some(other) = self.catalogue.get(origin) else {
                continue;
            };
            let read = |at, buffer: &mut [u8]| {
                if at >= MOST_SEARCHED {
                    return Ok(0);
                }
                content::read_at(&file, at, buffer)
            };
            if let Some(found) = other.print.last.up_to(stored).found_in(read)?
                && best
                    .as_ref()
                    .is_none_or(|(_, best)| best.until() < found.until())
            {
                best = Some((origin, found));
            }
        }
        Ok(best)
    }

    /// How far a generation is stored, or will be: what an open file gave is still in memory. What was
    /// read behind that by a run that has died is only known, and not stored.
    fn surely_stored(&mut self, origin: OriginId) -> Result<u64, StoreError> {
        let active = self.active.get(&origin);
        if active.is_some_and(|active| active.tail.is_some()) {
            return Ok(u64::MAX);
        }
        self.resume_of(origin)
    }

    /// The last mark that fits, when a file lost more of its end than the lines that are known.
    fn same_beginning(&mut self, origin: OriginId, seen: &Seen) -> Option<(OriginId, LastLines)> {
        let stored = self.surely_stored(origin).ok()?.min(seen.size);
        let print = &self.catalogue.get(origin)?.print;
        let head = print.head.as_ref()?;
        let file = content::open_file(&seen.path).ok()?;
        let bytes = content::read_range(&file, 0, head.length as usize).ok()?;
        if !head.is(&bytes) {
            return None;
        }
        let marks = print.marks.iter().rev();
        let mut fitting = marks.filter(|mark| mark.offset > head.offset && mark.offset <= stored);
        fitting.find_map(|mark| {
            let window = content::read_range(&file, mark.start(), mark.length as usize).ok()?;
            let end = memchr::memrchr(b'\n', &window).filter(|_| mark.is(&window))?;
            let until = mark.start() + end as u64 + 1;
            Some((origin, LastLines::none_until(until)))
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
        let is_foreign = seen.name == seen.family.base;
        if seen.current && !(is_foreign && age < COPYING) {
            return Ok(None);
        }
        let originals = self.catalogue.generations.values().filter(|other| {
            matches!(other.holder, Holder::Plain)
                && (other.dir == seen.dir || other.family == seen.family)
        });
        if let Some(packing) = seen.rotated.packing {
            let unpacked = &seen.name[..seen.name.len() - packing.suffix().len()];
            let mut originals = originals;
            return Ok(originals.find(|other| other.name == unpacked).map(|other| {
                let original = Path::new(&other.dir).join(&other.name).metadata();
                let length = original.map_or(u64::MAX, |original| original.len());
                (other.origin, length)
            }));
        }
        let file = content::open_file(&seen.path)?;
        let head = content::read_range(&file, 0, PROBE)?;
        let mut heads = HeadHashes::new(&head);
        let mut print = None;
        for other in originals.filter(|other| other.file != seen.file) {
            let is_kin = other.family == seen.family && !seen.current;
            if !is_kin && (age >= COPYING || !heads.tell_of(other)) {
                continue;
            }
            let print = match &print {
                Some(print) => print,
                None => &*print.insert(whole_print(&file, seen.size)?),
            };
            if repeats(other, print, seen.size)? && (seen.size >= PROBE as u64 || age < COPYING) {
                return Ok(Some((other.origin, seen.size)));
            }
        }
        Ok(None)
    }

    /// How long the candidate has looked as it does now.
    fn age(&mut self, seen: &Seen, now: Instant) -> Duration {
        if self.mode == Mode::Once {
            return Duration::MAX; // there is no later look
        }
        let noticed = &mut self.watching.noticed;
        let noticed = noticed.entry(seen.file).or_insert((seen.size, now));
        if noticed.0 != seen.size {
            *noticed = (seen.size, now);
        }
        now.duration_since(noticed.1)
    }

    /// Says what stands in the way of a file.
    pub(super) fn tell(&mut self, seen: &Seen, obstacle: Obstacle, unread: &mut AllUnread) {
        match obstacle {
            Obstacle::Moved => {}
            Obstacle::Io(error) if error.kind() == io::ErrorKind::NotFound => {}
            Obstacle::Io(error) => unread.add(Unread {
                refused: seen.listed(),
                ..Unread::refused(&seen.path, &error)
            }),
            Obstacle::Store(error) => self.saving.trouble = Some(Reason::from(&error)),
            Obstacle::TooMany => {
                self.watching.left_over = true;
                let reason = format!("waits: {} files are open already", self.limits.open_files);
                unread.add(Unread::passed_over(&seen.path, reason));
            }
        }
    }

    /// What is known of positions now, for the decision.
    pub(super) fn note_positions(&mut self) {
        self.catalogue.positions = self
            .active
            .iter()
            .map(|(origin, active)| {
                let position = Position {
                    given: active.given(),
                    open: active.tail.is_some(),
                    unread: active.tail.as_ref().is_some_and(Tail::has_unread),
                };
                (*origin, position)
            })
            .collect();
    }
}

/// A file to be compared with what is known.
#[derive(Debug, Default)]
struct Stranger {
    truncations: u32,
    /// What the file held before.
    instead_of: Option<(OriginId, Loss)>,
}

fn followed(seen: &Seen, families: &HashSet<Family>, own: &HashSet<FileId>) -> bool {
    own.contains(&seen.file) || (seen.why != Why::Alike && families.contains(&seen.family))
}

/// Whether the file of the other generation begins with all that this print is of.
fn repeats(other: &Generation, print: &Fingerprint, size: u64) -> io::Result<bool> {
    let Ok(original) = content::open_file(&Path::new(&other.dir).join(&other.name)) else {
        return Ok(false);
    };
    let metadata = original.metadata()?;
    if FileId::of(&metadata) != other.file || !metadata.is_file() || metadata.len() < size {
        return Ok(false);
    }
    let likeness = print
        .samples(metadata.len())
        .compare(|at, size| content::read_range(&original, at, size))?;
    Ok(matches!(likeness, Likeness::Same { whole: true, .. }))
}

/// Hashes of the beginnings of one file, each computed once.
struct HeadHashes<'a> {
    head: &'a [u8],
    known: HashMap<u32, Mark>,
}

impl<'a> HeadHashes<'a> {
    fn new(head: &'a [u8]) -> Self {
        Self {
            head,
            known: HashMap::new(),
        }
    }

    /// Whether the other one begins in the same telling way.
    fn tell_of(&mut self, other: &Generation) -> bool {
        let Some(head) = &other.print.head else {
            return false;
        };
        if head.length < TELLING_HEAD || head.length as usize > self.head.len() {
            return false;
        }
        let bytes = &self.head[..head.length as usize];
        let own = self
            .known
            .entry(head.length)
            .or_insert_with(|| Mark::new(u64::from(head.length), bytes));
        own == head
    }
}

/// Head and end of a plain file.
pub(super) fn whole_print(file: &std::fs::File, length: u64) -> io::Result<Fingerprint> {
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
