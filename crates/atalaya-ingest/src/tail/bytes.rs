//! What a tail remembers of the bytes it read, and whether the file still holds them.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::content::read_range;
use crate::identity::{Fingerprint, Mark, PROBE};
use crate::lines::{LINE_LIMIT, LineCutter};

/// Distance of the samples just before the end of what was read, in bytes.
const SAMPLE: u64 = 512;
/// How many of them.
const NEAR_SAMPLES: u64 = 8;

/// Keeps the first and the last bytes, and notes where this piece ends.
pub(super) fn remember(
    head: &mut Vec<u8>,
    window: &mut Vec<u8>,
    print: &mut Fingerprint,
    at: u64,
    bytes: &[u8],
) {
    if head.len() < PROBE && head.len() as u64 == at {
        let room = (PROBE - head.len()).min(bytes.len());
        head.extend_from_slice(&bytes[..room]);
        print.head = Some(Mark::new(head.len() as u64, head));
    }
    // Samples on the way, dense towards the end: a copy may have been made anywhere in it.
    let end = at + bytes.len() as u64;
    let far = (13..=16).rev().map(|power| end.saturating_sub(1 << power));
    let near = (1..=NEAR_SAMPLES)
        .rev()
        .map(|step| (end / SAMPLE).saturating_sub(step) * SAMPLE);
    for offset in far.chain(near) {
        let inside = usize::try_from(offset.saturating_sub(at)).unwrap_or(0);
        if offset > at && (inside >= PROBE || (at == 0 && inside > 0)) {
            print.note(offset, &bytes[..inside]);
        }
    }
    if bytes.len() >= PROBE {
        window.clear();
    }
    window.extend_from_slice(&bytes[bytes.len().saturating_sub(PROBE)..]);
    let excess = window.len().saturating_sub(PROBE);
    window.drain(..excess);
    print.note(at + bytes.len() as u64, window);
}

/// Most bytes that are read again to know their last lines.
const MOST_GAP: u64 = 256 << 10;

/// The checkpoint may be older than the store: the lines between the two are known from the file.
pub(super) fn note_gap(file: &File, print: &mut Fingerprint, offset: u64) -> io::Result<()> {
    let until = print.last.until();
    if until < offset && offset - until <= MOST_GAP && !print.last.is_empty() {
        let bytes = read_range(file, until, (offset - until) as usize)?;
        let mut cutter = LineCutter::new(until);
        cutter.feed(&bytes, |line| print.last.note(line.next, line.bytes));
    }
    Ok(())
}

/// The line that a reader who goes on at `offset` is in the middle of, up to there.
pub(super) fn line_before(file: &File, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let reach = usize::try_from(offset).map_or(LINE_LIMIT, |offset| offset.min(LINE_LIMIT));
    let bytes = read_range(file, offset - reach as u64, reach)?;
    let begin = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
    let line = &bytes[begin..];
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    Ok((zeros < line.len()).then(|| line[zeros..].to_vec()))
}

/// Whether the file still holds, just before `offset`, what was read there.
pub(super) fn still_the_same(
    file: &File,
    offset: u64,
    window: &[u8],
    seen: &mut Option<(u64, i128)>,
) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let state = (metadata.len(), modified);
    if metadata.len() < offset {
        return Ok(false);
    }
    if *seen != Some(state) {
        if !holds(file, offset, window)? {
            return Ok(false);
        }
        *seen = Some(state);
    }
    Ok(true)
}

/// Whether these bytes stand in the file just before `offset`.
pub(super) fn holds(file: &File, offset: u64, window: &[u8]) -> io::Result<bool> {
    Ok(read_range(file, offset - window.len() as u64, window.len())? == window)
}
