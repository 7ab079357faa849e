//! What cannot go on: records that the store refuses for good, and bytes that are no group any more.
//! Nothing here is removed but by a person (`atalaya quarantine`); its size counts towards the
//! spool's limit.
//!
//! A refused record is two files in `quarantine/`: `<record id>.group`, which is a segment of one
//! group (see `segment.rs`) whose number is 0, and the same with `.reason.txt`. Its name is its
//! place: the same record is set aside once. Damaged bytes are `<segment>-<offset>.damaged`, as they
//! were found.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::segment::{self, HEADER, Header, Piece, Pieces};
use super::{format, writer};
use crate::fs::{Fs, RealFs};
use atalaya_domain::record::{Frame, Record, RecordId};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Backend, StoreError};
use atalaya_store::quarantine::Quarantine;

pub(crate) const DIR: &str = "quarantine";
/// Quarantined segments have no place in the order.
const NUMBER: u64 = 0;
const GROUP: &str = "group";
const REASON: &str = "reason.txt";
/// Between two alerts about records that a store sets aside.
const ALERT_PAUSE: Duration = Duration::from_secs(60);

/// A frame that a store refused, and its words. It was cut until it holds one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub frame: Frame,
    pub reason: String,
}

/// What is kept under one id.
#[derive(Clone, Debug)]
pub struct Kept {
    pub id: String,
    /// When it was set aside.
    pub at: Option<Timestamp>,
    pub reason: String,
    pub bytes: u64,
    /// Its records, or why they cannot be read.
    pub frames: Result<Vec<Frame>, String>,
}

/// The quarantine of a spool's directory.
pub fn folder(spool: &Path) -> PathBuf {
    spool.join(DIR)
}

/// The ids of everything that is set aside, in any order; each is one record.
pub fn ids(folder: &Path) -> io::Result<Vec<String>> {
    let names = RealFs.list(folder)?;
    let id = |name: &String| {
        name.strip_suffix(GROUP)?
            .strip_suffix('.')
            .map(str::to_owned)
    };
    Ok(names.iter().filter_map(id).collect())
}

/// One of them; an error when there is none with this id.
pub fn open(folder: &Path, id: &str) -> io::Result<Kept> {
    if id.contains(['/', '\0']) {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let path = folder.join(format!("{id}.{GROUP}"));
    let bytes = RealFs.length(&path)?;
    let read = read_group(&RealFs, &path);
    let reason = RealFs
        .read(&folder.join(format!("{id}.{REASON}")), 0, 1 << 16)
        .unwrap_or_default();
    let reason = String::from_utf8_lossy(&reason)
        .lines()
        .next()
        .unwrap_or("no reason is kept")
        .to_owned();
    let (at, frames) = match read {
        Ok((at, frames)) => (at, Ok(frames)),
        Err(error) => (None, Err(error.to_string())),
    };
    Ok(Kept {
        id: id.to_owned(),
        at,
        reason,
        bytes,
        frames,
    })
}

/// Takes one out of the quarantine: its records are stored.
pub fn remove(folder: &Path, id: &str) -> io::Result<()> {
    RealFs.remove(&folder.join(format!("{id}.{GROUP}")))?;
    match RealFs.remove(&folder.join(format!("{id}.{REASON}"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    RealFs.sync_dir(folder)
}

/// Keeps a refused frame; durable when it returns. Repeating it writes the same files.
/// Returns the bytes that were written.
pub(crate) fn keep_frame(
    fs: &dyn Fs,
    folder: &Path,
    refused: &Refused,
    now: Timestamp,
) -> io::Result<u64> {
    let frame = &refused.frame;
    let position = frame
        .entries
        .first()
        .map_or(frame.from, |entry| entry.position);
    let id = RecordId {
        origin: frame.origin.id,
        position,
    };
    let mut bytes = segment::header(NUMBER, now).to_vec();
    let frames = std::slice::from_ref(frame);
    segment::put_group(&mut bytes, NUMBER, 0, now, |out| {
        format::encode(frames, out);
        writer::records_of(frames) as u32
    })
    .map_err(|_| io::Error::other("the frame is too large"))?;
    let reason = format!(
        "{}\nrefused at {now}\n{} of {}, positions {} to {}, {} records\n",
        refused.reason.replace('\n', " "),
        frame.origin.source,
        frame.origin.host,
        frame.from,
        frame.until,
        frame.entries.len()
    );
    // The group last: it is what says that there is something.
    for (suffix, content) in [(REASON, reason.as_bytes()), (GROUP, &bytes)] {
        let temporary = folder.join(format!("{id}.{suffix}.new"));
        let mut file = fs.create(&temporary)?;
        file.write_at(0, content)?;
        file.sync()?;
        drop(file);
        fs.rename(&temporary, &folder.join(format!("{id}.{suffix}")))?;
    }
    fs.sync_dir(folder)?;
    Ok((bytes.len() + reason.len()) as u64)
}

/// What a store sets records aside in by itself, before its answer: the same folder and files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    most_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes in the folder; `None` until it was looked at.
    bytes: Option<u64>,
    since_alert: u64,
    alerted: Option<Instant>,
}

impl Folder {
    pub const MOST_BYTES: u64 = 256 << 20;

    /// The folder is made when the first record comes. Once it has `most_bytes`, no more is taken and
    /// the store waits: somebody has to look.
    pub fn new(folder: impl Into<PathBuf>, most_bytes: u64) -> Self {
        Self {
            path: folder.into(),
            most_bytes,
            state: Mutex::default(),
        }
    }

    fn put(&self, state: &mut State, record: &Record, reason: &str) -> io::Result<()> {
        let frame = Frame {
            origin: std::sync::Arc::clone(&record.origin),
            from: record.entry.position,
            until: record.entry.position + 1,
            entries: vec![record.entry.clone()],
        };
        RealFs.create_dir(&self.path)?;
        // Looked at anew once it is full: somebody may have made room.
        let mut known = state
            .bytes
            .filter(|bytes| *bytes < self.most_bytes)
            .unwrap_or_else(|| self.size());
        if known >= self.most_bytes {
            state.bytes = Some(known);
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "it is full ({} bytes): see `atalaya quarantine list`",
                    self.most_bytes
                ),
            ));
        }
        known += keep_frame(
            &RealFs,
            &self.path,
            &Refused {
                frame,
                reason: reason.to_owned(),
            },
            Timestamp::now(),
        )?;
        state.bytes = Some(known);
        Ok(())
    }

    fn size(&self) -> u64 {
        bytes(&RealFs, &self.path)
    }
}

impl Quarantine for Folder {
    fn keep(&self, record: &Record, reason: &str) -> Result<(), StoreError> {
        // Whole at each moment: a panic elsewhere breaks nothing.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut state, record, reason)
            .map_err(|error| StoreError::NotWritable {
                backend: Backend::Spool,
                address: self.path.display().to_string(),
                reason: error.to_string(),
            })?;
        state.since_alert += 1;
        if state.alerted.is_none_or(|at| at.elapsed() >= ALERT_PAUSE) {
            state.alerted = Some(Instant::now());
            let records = std::mem::take(&mut state.since_alert);
            tracing::error!(
                target: "atalaya::ingest",
                records,
                id = %record.id(),
                reason,
                "records that the store can never take were set aside; see `atalaya quarantine list`"
            );
        }
        Ok(())
    }
}

/// The frames of a quarantined file, and when they were set aside.
fn read_group(fs: &dyn Fs, path: &Path) -> io::Result<(Option<Timestamp>, Vec<Frame>)> {
    let bytes = fs.read(path, 0, u64::MAX)?;
    let damaged = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is damaged", path.display()),
        )
    };
    if segment::check_header(&bytes, NUMBER) != Header::Ours {
        return Err(damaged());
    }
    let body = &bytes[HEADER..];
    let (mut at_last, mut frames) = (None, Vec::new());
    for piece in Pieces::new(body, NUMBER) {
        let Piece::Group { at, head } = piece else {
            return Err(damaged());
        };
        let group = Pieces::body(body, at, head).and_then(|body| format::decode(body).ok());
        frames.extend(group.ok_or_else(damaged)?);
        at_last = Some(head.at);
    }
    Ok((at_last, frames))
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
        warned(written, &path)
            .map(|kept| format!(" (kept as {})", kept.display()))
            .unwrap_or_default()
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

/// Size of everything that is kept in this folder.
pub(crate) fn bytes(fs: &dyn Fs, folder: &Path) -> u64 {
    let names = fs.list(folder).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| fs.length(&folder.join(name)).ok())
        .sum()
}
