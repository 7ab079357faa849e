//! What a start finds on the disk. It reads the small index of each closed segment and scans only
//! those without one: usually the one that was being written, so that the time does not depend on
//! how much waits.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;

use super::ledger::{Recovered, Segment, Trust};
use super::positions::{self, Positions};
use super::quarantine;
use super::segment::{self, Fields, HEADER, Header, Index, Piece, Pieces, add_sum};
use super::{format, writer};
use crate::fs::Fs;
use atalaya_domain::time::Timestamp;

/// What was found, and the number of the first segment that this run may write.
#[derive(Debug)]
pub(crate) struct Start {
    pub recovered: Recovered,
    pub next_number: u64,
    /// For a person, when something was not as it was left.
    pub notices: Vec<String>,
    /// Damaged places, by segment and offset.
    pub seen: HashSet<(u64, usize)>,
    /// Since when everything that this host ingests goes through the spool.
    pub since: Option<Timestamp>,
}

/// Holds since when the spool is used; goes when it is switched off.
pub(crate) const SINCE: &str = "since";
const SINCE_MAGIC: &[u8; 8] = b"ATLSINCE";

pub(crate) fn recover(fs: &dyn Fs, dir: &Path, now: Timestamp) -> io::Result<Start> {
    fs.create_dir(dir)?;
    fs.create_dir(&dir.join(quarantine::DIR))?;
    let names = fs.list(dir)?;
    for name in names.iter().filter(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|kind| kind == "new")
    }) {
        let _ = fs.remove(&dir.join(name)); // half of a write that did not come to its end
    }
    let numbers: BTreeSet<u64> = names
        .iter()
        .filter_map(|name| segment::number_of(name, "seg"))
        .collect();
    let mut start = Start {
        recovered: Recovered::default(),
        next_number: 1,
        notices: Vec::new(),
        seen: HashSet::new(),
        since: since(fs, dir, now),
    };
    let has_positions = read_positions(fs, dir, &names, &numbers, &mut start)?;
    let covers = start.recovered.base.covers;
    for name in &names {
        // Left by a removal that was cut short.
        if let Some(number) =
            segment::number_of(name, "idx").filter(|number| !numbers.contains(number))
        {
            if number > covers {
                start.doubt(Trust::Damaged);
                start.notices.push(format!("segment {number} of the spool is missing: its records are lost unless their files are still there"));
            }
            let _ = fs.remove(&dir.join(name));
            start.next_number = start.next_number.max(number + 1);
        }
    }
    let mut previous = has_positions.then_some(covers);
    // From the newest on: a group that was written again after a failed sync counts where it stands last.
    let mut limit = u64::MAX;
    for &number in numbers.iter().rev() {
        start.next_number = start.next_number.max(number + 1);
        if number <= covers {
            // Everything in it was acknowledged long enough ago; only its removal was cut short.
            let _ = fs.remove(&segment::segment_path(dir, number));
            let _ = fs.remove(&segment::index_path(dir, number));
            continue;
        }
        previous = previous.max(Some(number));
        if let Some(index) = read_index(fs, dir, number) {
            limit = index.first_seq;
            start.recovered.segments.push(Segment::new(index, true));
            continue;
        }
        if let Some(index) = scan(fs, dir, number, limit, &mut start)? {
            limit = index.first_seq;
            if let Err(error) = writer::write_index(fs, dir, &index) {
                tracing::warn!(target: "atalaya::ingest", %error, "the index of a segment is not written");
            }
            start.recovered.segments.push(Segment::new(index, true));
        }
    }
    start.recovered.segments.reverse();
    start.next_number = start
        .next_number
        .max(covers + 1)
        .max(previous.unwrap_or(0) + 1);
    start.recovered.quarantine_bytes = quarantine::bytes(fs, &quarantine::folder(dir));
    Ok(start)
}

/// The time in the file, or now, which is then written there; `None` when that fails.
fn since(fs: &dyn Fs, dir: &Path, now: Timestamp) -> Option<Timestamp> {
    let path = dir.join(SINCE);
    let known = fs.read(&path, 0, u64::MAX).ok();
    if let Some(since) = known.and_then(|bytes| Fields::checked(&bytes, *SINCE_MAGIC)?.time()) {
        return Some(since);
    }
    let mut bytes = SINCE_MAGIC.to_vec();
    bytes.extend_from_slice(&segment::VERSION.to_le_bytes());
    bytes.extend_from_slice(&now.micros().to_le_bytes());
    add_sum(&mut bytes);
    segment::replace(
        fs,
        &path,
        &bytes,
        "spool::since_written",
        "spool::since_renamed",
    )
    .ok()
    .map(|()| now)
}

impl Start {
    fn doubt(&mut self, trust: Trust) {
        self.recovered.trust = self.recovered.trust.max(trust);
    }
}

/// Whether there are usable positions.
fn read_positions(
    fs: &dyn Fs,
    dir: &Path,
    names: &[String],
    numbers: &BTreeSet<u64>,
    start: &mut Start,
) -> io::Result<bool> {
    if !names.iter().any(|name| name == positions::FILE) {
        // From the first segment on nothing was removed; later ones tell that the file is missing.
        if numbers.first().is_some_and(|first| *first > 1) {
            start.doubt(Trust::Damaged);
        }
        return Ok(false);
    }
    let path = dir.join(positions::FILE);
    let bytes = fs.read(&path, 0, u64::MAX)?;
    match Positions::from_bytes(&bytes) {
        Some(base) => {
            start.recovered.base = base;
            Ok(true)
        }
        None => {
            start.doubt(Trust::Damaged);
            start.recovered.damaged_bytes += bytes.len() as u64;
            let kept = quarantine::keep_file(fs, dir, &path, positions::FILE);
            start.notices.push(format!(
                "the positions of the spool are damaged{}; the store is asked instead",
                kept.map(|kept| format!(" (kept as {})", kept.display()))
                    .unwrap_or_default()
            ));
            Ok(false)
        }
    }
}

/// The index of a closed segment, if it can be believed. A segment that is shorter than its index
/// says has lost its end; that shows when it is read.
fn read_index(fs: &dyn Fs, dir: &Path, number: u64) -> Option<Index> {
    let bytes = fs
        .read(&segment::index_path(dir, number), 0, u64::MAX)
        .ok()?;
    Index::from_bytes(&bytes).filter(|index| index.number == number && index.groups > 0)
}

/// Reads a segment that has no index, up to the sequence `limit`. What was not written to its end is cut off; what is damaged
/// is kept aside.
fn scan(
    fs: &dyn Fs,
    dir: &Path,
    number: u64,
    limit: u64,
    start: &mut Start,
) -> io::Result<Option<Index>> {
    let path = segment::segment_path(dir, number);
    let bytes = fs.read(&path, 0, u64::MAX)?;
    match segment::check_header(&bytes, number) {
        Header::Ours => {}
        Header::Short => {
            // Its creation did not come to its end, so nothing in it was ever acknowledged. More
            // bytes than a header say otherwise.
            if bytes.len() <= HEADER {
                let _ = fs.remove(&path);
                return Ok(None);
            }
            start.damaged(fs, dir, number, 0, &bytes[..HEADER]);
        }
        Header::Damaged => start.damaged(fs, dir, number, 0, &bytes[..HEADER]),
        Header::Version(version) => {
            start.doubt(Trust::Damaged);
            start.recovered.damaged_bytes += bytes.len() as u64;
            let kept = quarantine::keep_file(fs, dir, &path, &format!("{number:016}.seg"));
            start.notices.push(format!(
                "segment {number} of the spool is of version {version}, this program reads {}{}; use the atalaya that wrote it",
                segment::VERSION,
                kept.map(|kept| format!(", it is kept as {}", kept.display())).unwrap_or_default()
            ));
            return Ok(None);
        }
    }
    let body = bytes.get(HEADER..).unwrap_or_default();
    let mut index: Option<Index> = None;
    let mut end = HEADER as u64;
    for piece in Pieces::new(body, number) {
        match piece {
            Piece::Group { head, .. } if head.seq >= limit => break,
            Piece::Group { at, head } => {
                let frames =
                    Pieces::body(body, at, head).and_then(|body| format::decode(body).ok());
                let index = index.get_or_insert_with(|| Index::new(number, head.seq));
                end = (HEADER + at + head.size()) as u64;
                match frames {
                    // Sequences follow each other; one that does not belongs to a damaged place.
                    Some(frames) if head.seq >= index.end_seq() => {
                        index.groups = head.seq - index.first_seq;
                        index.add(&head);
                        for frame in &frames {
                            index.reach(frame.origin.id, frame.until);
                        }
                    }
                    _ => start.damaged(fs, dir, number, HEADER + at, &body[at..at + head.size()]),
                }
            }
            Piece::Damaged { at, length } => {
                start.damaged(fs, dir, number, HEADER + at, &body[at..at + length]);
            }
            Piece::Torn { at } => {
                if body[at..].iter().any(|byte| *byte != 0) {
                    start.doubt(Trust::Torn);
                }
                cut(fs, &path, (HEADER + at) as u64);
            }
        }
    }
    let Some(mut index) = index.filter(|index| index.groups > 0) else {
        // Nothing in it can be read; what there was is in the quarantine.
        let _ = fs.remove(&path);
        return Ok(None);
    };
    index.length = end;
    Ok(Some(index))
}

impl Start {
    fn damaged(&mut self, fs: &dyn Fs, dir: &Path, number: u64, at: usize, bytes: &[u8]) {
        self.doubt(Trust::Damaged);
        self.recovered.damaged_bytes += bytes.len() as u64;
        self.seen.insert((number, at));
        self.notices
            .push(quarantine::keep_bytes(fs, dir, number, at as u64, bytes));
    }
}

/// Without this the end would be looked at again at the next start; nothing else depends on it.
fn cut(fs: &dyn Fs, path: &Path, length: u64) {
    let done = fs.open(path).and_then(|mut file| {
        file.set_len(length)?;
        file.sync()
    });
    if let Err(error) = done {
        tracing::warn!(target: "atalaya::ingest", %error, "the unfinished end of a segment is not cut off");
    }
}
