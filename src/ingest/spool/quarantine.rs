//! What cannot go on: groups that the store refuses for good, and bytes that are no group any more.
//! Nothing here is ever removed by the program; its size counts towards the spool's limit.
//!
//! A refused frame is two files in `quarantine/`: `<seq>-<origin>-<from>.group`, which is a
//! segment of one group (see `segment.rs`) whose number is 0, and the same with `.reason.txt`. Damaged bytes
//! are `<segment>-<offset>.damaged`, as they were found. [`read`] gives the frames back.

use std::io;
use std::path::{Path, PathBuf};

use super::fs::Fs;
use super::segment::{self, HEADER, Header, Piece, Pieces};
use super::{format, writer};
use crate::domain::record::Frame;
use crate::domain::time::Timestamp;

pub(crate) const DIR: &str = "quarantine";
/// Quarantined segments have no place in the order.
const NUMBER: u64 = 0;

/// A frame that a store refused, and its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub frame: Frame,
    pub reason: String,
}

/// Keeps a refused frame; durable when it returns. Repeating it writes the same files.
/// Returns the bytes that were written.
pub(crate) fn keep_frame(
    fs: &dyn Fs,
    dir: &Path,
    seq: u64,
    refused: &Refused,
    now: Timestamp,
) -> io::Result<u64> {
    let dir = dir.join(DIR);
    let name = format!("{seq:016}-{:x}-{:x}", refused.frame.origin.id.as_u128(), refused.frame.from);
    let mut bytes = segment::header(NUMBER, now).to_vec();
    let frames = std::slice::from_ref(&refused.frame);
    segment::put_group(&mut bytes, NUMBER, seq, now, |out| {
        format::encode(frames, out);
        writer::records_of(frames) as u32
    })
    .map_err(|_| io::Error::other("the frame is too large"))?;
    let reason = format!(
        "{}\nrefused at {now}\n{} of {}, positions {} to {}, {} records\n",
        refused.reason,
        refused.frame.origin.source,
        refused.frame.origin.host,
        refused.frame.from,
        refused.frame.until,
        refused.frame.entries.len()
    );
    for (suffix, content) in [("reason.txt", reason.as_bytes()), ("group", &bytes)] {
        let mut file = fs.create(&dir.join(format!("{name}.{suffix}")))?;
        file.write_at(0, content)?;
        file.sync()?;
    }
    fs.sync_dir(&dir)?;
    Ok((bytes.len() + reason.len()) as u64)
}

/// The frames of a quarantined file.
pub fn read(fs: &dyn Fs, path: &Path) -> io::Result<Vec<Frame>> {
    let bytes = fs.read(path, 0, u64::MAX)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()));
    if segment::check_header(&bytes, NUMBER) != Header::Ours {
        return Err(damaged());
    }
    let body = &bytes[HEADER..];
    let mut frames = Vec::new();
    for piece in Pieces::new(body, NUMBER) {
        let Piece::Group { at, head } = piece else { return Err(damaged()) };
        let group = Pieces::body(body, at, head).and_then(|body| format::decode(body).ok());
        frames.extend(group.ok_or_else(damaged)?);
    }
    Ok(frames)
}

/// Keeps bytes that are no group, and says so for a person; not being able to is no reason to stop.
pub(crate) fn keep_bytes(fs: &dyn Fs, dir: &Path, number: u64, at: u64, bytes: &[u8]) -> String {
    let path = dir.join(DIR).join(format!("{number:016}-{at:08}.damaged"));
    let written = fs.create(&path).and_then(|mut file| {
        file.write_at(0, bytes)?;
        file.sync()
    });
    format!(
        "{} bytes of segment {number} of the spool are damaged{}; the rest goes on",
        bytes.len(),
        warned(written, &path).map(|kept| format!(" (kept as {})", kept.display())).unwrap_or_default()
    )
}

/// Moves a whole file aside.
pub(crate) fn keep_file(fs: &dyn Fs, dir: &Path, path: &Path, name: &str) -> Option<PathBuf> {
    let kept = dir.join(DIR).join(format!("{name}.damaged"));
    warned(fs.rename(path, &kept), &kept)
}

fn warned(done: io::Result<()>, path: &Path) -> Option<PathBuf> {
    match done {
        Ok(()) => Some(path.to_path_buf()),
        Err(error) => {
            tracing::warn!(target: "atalaya::ingest", %error, path = %path.display(), "damaged bytes are not kept");
            None
        }
    }
}

/// Size of everything that is kept.
pub(crate) fn bytes(fs: &dyn Fs, dir: &Path) -> u64 {
    let dir = dir.join(DIR);
    let names = fs.list(&dir).unwrap_or_default();
    names.iter().filter_map(|name| fs.length(&dir.join(name)).ok()).sum()
}
