//! Reads groups back from the segments, in order, around what is damaged.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::fs::Fs;
use super::ledger::Group;
use super::segment::{self, HEADER, Index, Piece, Pieces};
use super::{format, quarantine};

/// Bytes of groups given out by one call.
const BATCH_BYTES: u64 = 4 << 20;
/// Groups given out by one call.
const BATCH_GROUPS: usize = 64;
/// Damaged places reported one by one; a disk that is worse than that is in the counts.
const MOST_SEEN: usize = 10_000;

/// The segment that is read at the moment, in memory.
#[derive(Debug)]
pub(crate) struct Backlog {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    held: Option<Held>,
    /// Damaged places that were reported, by segment and offset.
    seen: HashSet<(u64, usize)>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    /// The bytes of the segment from its header on, as far as they were valid then.
    bytes: Vec<u8>,
    /// The first byte that was not given out.
    at: usize,
}

/// What a call came to.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub groups: Vec<Group>,
    /// Sequences that cannot be read any more.
    pub lost: Vec<Range<u64>>,
    pub damaged_bytes: u64,
    pub notices: Vec<String>,
}

impl Backlog {
    /// `seen` are the damaged places that the start reported.
    pub fn new(fs: Arc<dyn Fs>, dir: PathBuf, seen: HashSet<(u64, usize)>) -> Self {
        Self { fs, dir, held: None, seen }
    }

    /// Gives the memory back while nothing is read from disk.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// The next groups of this segment, from the sequence `from` on. Everything up to the last
    /// group that is returned, or lost, was looked at; one of the two is never empty.
    pub fn read(&mut self, index: &Index, from: u64) -> Read {
        let mut read = Read::default();
        let mut next = from.max(index.first_seq);
        if next > from {
            read.lost.push(from..next);
        }
        if let Err(error) = self.hold(index, next) {
            read.notices.push(format!(
                "segment {} of the spool cannot be read: {error}; what was in it is lost unless its files are still there",
                index.number
            ));
            read.lost.push(next..index.end_seq());
            return read;
        }
        let Some(held) = &mut self.held else { return read };
        let mut damage = |read: &mut Read, at: usize, bytes: &[u8]| {
            if self.seen.len() < MOST_SEEN && self.seen.insert((index.number, at)) {
                read.damaged_bytes += bytes.len() as u64;
                read.notices.push(quarantine::keep_bytes(
                    &*self.fs,
                    &self.dir,
                    index.number,
                    at as u64,
                    bytes,
                ));
            }
        };
        let (mut given, mut is_over) = (0, true);
        let body = &held.bytes[held.at..];
        let mut passed = 0;
        for piece in Pieces::new(body, index.number) {
            match piece {
                Piece::Group { at, head } => {
                    if given >= BATCH_BYTES || read.groups.len() >= BATCH_GROUPS {
                        is_over = false;
                        break;
                    }
                    passed = at + head.size();
                    if head.seq < next {
                        continue; // sent before
                    }
                    let group = Pieces::body(body, at, head).and_then(|body| format::decode(body).ok());
                    let Some(frames) = group.filter(|_| head.seq < index.end_seq()) else {
                        damage(&mut read, HEADER + held.at + at, &body[at..passed]);
                        continue;
                    };
                    if head.seq > next {
                        read.lost.push(next..head.seq);
                    }
                    next = head.seq + 1;
                    given += head.size() as u64;
                    read.groups.push(Group {
                        seq: head.seq,
                        frames: frames.into(),
                        records: u64::from(head.records),
                        bytes: head.size() as u64,
                    });
                }
                Piece::Damaged { at, length } => {
                    passed = at + length;
                    damage(&mut read, HEADER + held.at + at, &body[at..passed]);
                }
                Piece::Torn { at } => {
                    passed = body.len();
                    damage(&mut read, HEADER + held.at + at, &body[at..]);
                }
            }
        }
        held.at += passed;
        if is_over {
            self.held = None;
            if next < index.end_seq() {
                read.lost.push(next..index.end_seq());
            }
        }
        read
    }

    /// Reads the segment unless it is at hand.
    fn hold(&mut self, index: &Index, next: u64) -> std::io::Result<()> {
        let is_at_hand = self.held.as_ref().is_some_and(|held| {
            let mut pieces = Pieces::new(&held.bytes[held.at..], index.number);
            held.number == index.number
                && matches!(pieces.next(), Some(Piece::Group { head, .. }) if head.seq <= next)
        });
        if !is_at_hand {
            self.held = None;
            let path = segment::segment_path(&self.dir, index.number);
            let length = index.length.saturating_sub(HEADER as u64);
            let bytes = self.fs.read(&path, HEADER as u64, length)?;
            self.held = Some(Held { number: index.number, bytes, at: 0 });
        }
        Ok(())
    }
}
