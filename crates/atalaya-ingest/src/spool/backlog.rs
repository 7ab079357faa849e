//! Reads groups back from the segments, in order, around what is damaged.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::ledger::Group;
use super::segment::{self, HEADER, Index, Piece, Pieces};
use super::{format, quarantine};
use crate::fs::Fs;

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
    /// How long the segment was said to be when it was read: the newest one grows.
    length: u64,
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
        Self {
            fs,
            dir,
            held: None,
            seen,
        }
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
        let Some(held) = &mut self.held else {
            return read;
        };
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
                    let group =
                        Pieces::body(body, at, head).and_then(|body| format::decode(body).ok());
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
                && held.length == index.length
                && matches!(pieces.next(), Some(Piece::Group { head, .. }) if head.seq <= next)
        });
        if !is_at_hand {
            self.held = None;
            let path = segment::segment_path(&self.dir, index.number);
            let length = index.length.saturating_sub(HEADER as u64);
            let bytes = self.fs.read(&path, HEADER as u64, length)?;
            self.held = Some(Held {
                number: index.number,
                length: index.length,
                bytes,
                at: 0,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Instant;

    use super::super::SpoolConfig;
    use super::super::ledger::{Ledger, Next, Recovered};
    use super::super::writer::Writer;
    use super::*;
    use crate::fs::RealFs;
    use atalaya_domain::record::{Entry, Frame, Layer, Origin, OriginId};
    use atalaya_domain::time::Timestamp;

    #[test]
    fn groups_that_come_while_their_segment_is_read_are_not_taken_for_lost() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::new(Recovered::default()));
        let config = SpoolConfig::new(dir.path());
        let mut writer = Writer::new(Arc::new(RealFs), config, Arc::clone(&ledger), 1);
        let mut append = |count: u64| {
            let groups: Vec<Arc<[Frame]>> = (0..count)
                .map(|from| {
                    let entries = vec![Entry::default()];
                    let origin = Arc::new(Origin {
                        id: OriginId::from_u128(1),
                        layer: Layer::Application,
                        source: "app/test".into(),
                        host: "host".into(),
                    });
                    [Frame {
                        origin,
                        from,
                        until: from + 1,
                        entries,
                    }]
                    .into()
                })
                .collect();
            let answers = writer.append(&groups, Timestamp::from_micros(0), Instant::now());
            assert!(answers.iter().all(Result::is_ok));
        };
        let on_disk = |from: u64| {
            let _ = ledger.next(u64::MAX); // nothing stays in memory
            match ledger.next(from) {
                Next::Disk(index) => index,
                other => panic!("{other:?}"),
            }
        };
        let mut backlog = Backlog::new(Arc::new(RealFs), dir.path().to_path_buf(), HashSet::new());
        append(100);
        let first = on_disk(0).first_seq;
        let read = backlog.read(&on_disk(first), first);
        assert_eq!(
            read.groups.len(),
            BATCH_GROUPS,
            "there is more in the segment that was read"
        );
        append(100);
        let mut found = read.groups.len();
        while found < 200 {
            let from = first + found as u64;
            let read = backlog.read(&on_disk(from), from);
            assert_eq!(read.lost, []);
            assert!(
                read.groups
                    .iter()
                    .zip(from..)
                    .all(|(group, seq)| group.seq == seq)
            );
            found += read.groups.len();
        }
        assert_eq!(found, 200);
    }
}
