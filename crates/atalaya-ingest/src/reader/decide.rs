//! What the files that were found mean: known content to read on, a copy or a packed form of known
//! content, the same file with other content, or something new.
//!
//! Pure: what is known and what was seen go in, moves come out; nothing is opened here. The rule in
//! doubt: read. A line read twice can be seen, a line not read cannot. Content is only taken for
//! known when its bytes were compared: at the beginning and where the known one ended.

use std::collections::HashSet;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::scan::{Seen, Why};
use crate::generation::{Generation, Holder};
use crate::identity::{LastLines, PROBE};
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;

/// A copy of a short file may be a copy being made or an equal file; after this long it is its own.
const COPYING: Duration = Duration::from_secs(2);
/// A packed file that breaks off and was not written to for so long is damaged, not unfinished.
const PACKING: Duration = Duration::from_secs(10);
/// Under the name that is written to, content is only taken for known when so much of it is equal:
/// files that are written anew often begin alike.
const SURELY_A_COPY: u64 = 64 << 10;
/// The same for content that is missing, in a file whose name says nothing.
const LIKELY_SOUGHT: u64 = 256;

const STILL_READ: &str = "waits until the removed file is read to its end";

/// One look at the directories.
#[derive(Debug, Default)]
pub struct Look {
    pub sights: Vec<Sight>,
    /// Generations that should have been seen.
    pub looked_for: HashSet<OriginId>,
    pub wall: Timestamp,
}

/// A file, and what its bytes say.
#[derive(Debug)]
pub struct Sight {
    pub seen: Seen,
    /// How long it has looked as it does now.
    pub age: Duration,
    /// Its family was followed before this look.
    pub followed: bool,
    pub found: Found,
}

#[derive(Debug)]
pub enum Found {
    /// The file is known and holds what it held; `resume` when there is something to read.
    Known {
        origin: OriginId,
        resume: Option<u64>,
    },
    /// The file is known and holds something else now.
    Changed {
        origin: OriginId,
        loss: Loss,
        now: Strange,
    },
    Strange(Strange),
    /// It could not be looked at now; the file of this generation, when it is known.
    Later(Option<OriginId>),
}

impl Found {
    /// See [`Strange::goes_on`].
    pub fn goes_on(&self) -> Option<(OriginId, &LastLines)> {
        let (Self::Changed { now, .. } | Self::Strange(now)) = self else {
            return None;
        };
        now.goes_on.as_ref().map(|(origin, last)| (*origin, last))
    }
}

/// What was known of a file that was truncated or overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Read, and known to have been there, when last looked at. `None`: nobody was looking.
    pub known: Option<(u64, u64)>,
    pub resume: u64,
}

/// Content of a file that is not known, compared with what is.
#[derive(Clone, Debug, Default)]
pub struct Strange {
    /// How often the file was truncated.
    pub truncations: u32,
    /// Length of the (unpacked) content.
    pub length: u64,
    /// False for packed content that breaks off: still being written, or damaged.
    pub complete: bool,
    /// A file that is there holds the same, from its beginning on, for so long.
    pub original: Option<(OriginId, u64)>,
    /// Known content that is the same as far as both go.
    pub alike: Vec<Alike>,
    /// It still holds the last lines of that content, which was shortened or edited, and goes on
    /// behind them.
    pub goes_on: Option<(OriginId, LastLines)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alike {
    pub origin: OriginId,
    /// Equal up to here for sure.
    pub verified: u64,
    /// Up to everything that was known of it.
    pub whole: bool,
    /// Where it is read on.
    pub resume: u64,
}

/// What is to be done. `file` is an index into [`Look::sights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The file holds this content; it may have another name now.
    Keep { origin: OriginId, file: usize },
    /// The same, and it is read on.
    Read {
        origin: OriginId,
        file: usize,
        resume: u64,
    },
    /// No file holds it any more, as far as one can see.
    Miss { origin: OriginId },
    /// The file that held it holds something else.
    Lose {
        origin: OriginId,
        file: usize,
        loss: Loss,
    },
    /// It goes on in another file. `length` is that of the content there.
    Continue {
        origin: OriginId,
        file: usize,
        resume: u64,
        length: u64,
    },
    /// Remembered without being read.
    PassOver {
        file: usize,
        truncations: u32,
        length: u64,
        /// The content that it was a part of, all of it stored.
        of: Option<OriginId>,
    },
    /// New content; `behind` what is left of another one, whose file was shortened or edited.
    Begin {
        file: usize,
        truncations: u32,
        behind: Option<OriginId>,
    },
    /// Holds what that content holds, up to `length`.
    Repeats {
        file: usize,
        of: OriginId,
        length: u64,
    },
    /// Not now.
    Wait { file: usize, why: &'static str },
}

/// See the module.
pub fn decide(catalogue: &Catalogue, look: &Look) -> Vec<Move> {
    let mut decision = Decision {
        catalogue,
        look,
        lost: HashSet::new(),
        missing: HashSet::new(),
        taken: HashSet::new(),
        moves: Vec::new(),
    };
    decision.known_files();
    for (file, sight) in look.sights.iter().enumerate() {
        if let Found::Changed { now, .. } | Found::Strange(now) = &sight.found
            && let Some(next) = decision.about(file, sight, now)
        {
            decision.moves.push(next);
        }
    }
    decision.moves
}

struct Decision<'a> {
    catalogue: &'a Catalogue,
    look: &'a Look,
    /// Found to be overwritten in this look.
    lost: HashSet<OriginId>,
    missing: HashSet<OriginId>,
    /// Orphans that found their file in this look.
    taken: HashSet<OriginId>,
    moves: Vec<Move>,
}

impl Decision<'_> {
    fn known_files(&mut self) {
        let mut there = HashSet::new();
        let mut losses = Vec::new();
        for (file, sight) in self.look.sights.iter().enumerate() {
            match sight.found {
                Found::Known { origin, resume } => {
                    there.insert(origin);
                    self.moves.push(match resume {
                        Some(resume) => Move::Read {
                            origin,
                            file,
                            resume,
                        },
                        None => Move::Keep { origin, file },
                    });
                }
                Found::Changed { origin, loss, .. } => {
                    there.insert(origin);
                    self.lost.insert(origin);
                    losses.push(Move::Lose { origin, file, loss });
                }
                Found::Later(Some(origin)) => {
                    there.insert(origin);
                    self.moves.push(Move::Keep { origin, file });
                }
                Found::Later(None) | Found::Strange(_) => {}
            }
        }
        for &origin in self.look.looked_for.difference(&there) {
            self.missing.insert(origin);
            self.moves.push(Move::Miss { origin });
        }
        self.moves.extend(losses);
    }

    /// No file holds its content (any more), as far as one can see.
    fn is_orphan(&self, origin: OriginId) -> bool {
        let is_gone = self
            .catalogue
            .get(origin)
            .is_some_and(|generation| !generation.holder.is_there());
        !self.taken.contains(&origin)
            && (is_gone || self.lost.contains(&origin) || self.missing.contains(&origin))
    }

    fn is_overwritten(&self, origin: OriginId) -> bool {
        self.lost.contains(&origin)
            || self
                .catalogue
                .get(origin)
                .is_some_and(|generation| matches!(generation.holder, Holder::Overwritten(_)))
    }

    fn is_open(&self, origin: OriginId) -> bool {
        self.catalogue
            .positions
            .get(&origin)
            .is_some_and(|position| position.open)
            && !self.is_overwritten(origin)
    }

    fn is_sought(&self, origin: OriginId) -> bool {
        let is_fresh =
            |generation: &Generation| self.catalogue.is_sought(generation, self.look.wall);
        self.lost.contains(&origin)
            || self.missing.contains(&origin)
            || self.catalogue.get(origin).is_some_and(is_fresh)
    }

    /// Decides about content that no known file holds.
    fn about(&mut self, file: usize, sight: &Sight, now: &Strange) -> Option<Move> {
        let seen = &sight.seen;
        if seen.size == 0 && !seen.current {
            return None; // perhaps a copy that begins; nothing to read yet
        }
        let repeats = |of, length| Move::Repeats { file, of, length };
        if let Some((of, length)) = now.original {
            return Some(repeats(of, length));
        }
        if !seen.current && self.still_reads_a_removed_one(seen) {
            return Some(Move::Wait {
                file,
                why: STILL_READ,
            });
        }
        if !now.complete && sight.age < PACKING {
            let why = "is being packed";
            return Some(Move::Wait { file, why });
        }
        let (orphans, held): (Vec<Alike>, Vec<Alike>) = now
            .alike
            .iter()
            .partition(|alike| self.is_orphan(alike.origin));
        let orphan = orphans
            .into_iter()
            .filter(|alike| self.may_be(seen, alike))
            .max_by_key(|alike| (alike.whole, alike.verified));
        let held = held
            .into_iter()
            .filter(|alike| !self.taken.contains(&alike.origin) || seen.why != Why::Stranger)
            .max_by_key(|alike| alike.verified);
        if let Some(held) = held
            && !seen.current
            && seen.why != Why::Stranger
            && orphan.is_none_or(|orphan| orphan.verified < held.verified)
        {
            let is_sure = held.verified >= PROBE as u64;
            if is_sure || sight.age < COPYING {
                return Some(repeats(held.origin, now.length));
            }
        }
        let next = orphan.and_then(|orphan| self.go_on_with(orphan, file, sight, now));
        if next.is_some() {
            return next;
        }
        match seen.why {
            Why::Stranger => None,
            _ if !seen.listed() && !sight.followed => Some(Move::PassOver {
                // It lay there before this family was followed: history that nobody asked for.
                file,
                truncations: now.truncations,
                length: now.length,
                of: None,
            }),
            _ => Some(self.begin(file, now)),
        }
    }

    fn begin(&mut self, file: usize, now: &Strange) -> Move {
        let behind = now
            .goes_on
            .as_ref()
            .map(|(origin, _)| *origin)
            .filter(|origin| self.is_orphan(*origin));
        if let Some(origin) = behind {
            let position = self.catalogue.positions.get(&origin);
            if position.is_some_and(|position| position.open && position.unread)
                && !self.is_overwritten(origin)
            {
                return Move::Wait {
                    file,
                    why: STILL_READ,
                };
            }
            self.taken.insert(origin);
        }
        Move::Begin {
            file,
            truncations: now.truncations,
            behind,
        }
    }

    /// Whether so much likeness is enough under this name.
    fn may_be(&self, seen: &Seen, alike: &Alike) -> bool {
        if seen.why <= Why::Sibling && seen.rotated.rotated {
            return true;
        }
        let enough = match seen.why {
            Why::Stranger | Why::Alike => 1,
            Why::Named | Why::Sibling if seen.current && self.is_current_name(seen) => {
                SURELY_A_COPY
            }
            Why::Named | Why::Sibling => LIKELY_SOUGHT,
        };
        let is_sought = seen.why == Why::Named || self.is_sought(alike.origin);
        alike.whole && is_sought && alike.verified >= enough
    }

    /// A followed file was called so.
    fn is_current_name(&self, seen: &Seen) -> bool {
        seen.name == seen.family.base
            && self
                .catalogue
                .generations
                .values()
                .any(|generation| generation.family == seen.family)
    }

    fn go_on_with(
        &mut self,
        orphan: Alike,
        file: usize,
        sight: &Sight,
        now: &Strange,
    ) -> Option<Move> {
        if self.is_open(orphan.origin) {
            return Some(Move::Wait {
                file,
                why: STILL_READ,
            });
        }
        if now.length >= orphan.resume {
            self.taken.insert(orphan.origin);
            return Some(Move::Continue {
                origin: orphan.origin,
                file,
                resume: orphan.resume,
                length: now.length,
            });
        }
        if !orphan.whole && sight.age < COPYING {
            let why = "is being copied";
            return Some(Move::Wait { file, why });
        }
        // Under the name that is written to it may go on: then it is read behind what is known.
        let is_written_to = sight.seen.current && !sight.seen.rotated.rotated;
        if orphan.verified < PROBE as u64 || sight.seen.why == Why::Stranger || is_written_to {
            return None;
        }
        // Shorter than what was read of the original: all of it is stored.
        self.taken.insert(orphan.origin);
        Some(Move::PassOver {
            file,
            truncations: now.truncations,
            length: now.length,
            of: Some(orphan.origin),
        })
    }

    /// A removed file of the family is still being read through its descriptor: what it holds cannot
    /// be compared with yet.
    fn still_reads_a_removed_one(&self, seen: &Seen) -> bool {
        let is_gone = |origin| {
            self.missing.contains(&origin)
                || self
                    .catalogue
                    .get(origin)
                    .is_some_and(|generation| matches!(generation.holder, Holder::Gone(_)))
        };
        self.catalogue.positions.iter().any(|(&origin, position)| {
            position.open
                && position.unread
                && is_gone(origin)
                && !self.lost.contains(&origin)
                && self
                    .catalogue
                    .get(origin)
                    .is_some_and(|generation| generation.family == seen.family)
        })
    }
}

#[cfg(test)]
mod tests;
