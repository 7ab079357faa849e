//! Appends groups to the newest segment, closes segments, and removes those that are through.
//!
//! A group counts as written when the sync after it has returned. A sync that failed once says
//! nothing about what is on the disk, and repeating it would say less: the segment is closed at
//! its last good group and everything after is written again into a new one.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::{Group, Ledger};
use super::positions;
use super::segment::{self, HEADER, Head};
use super::{SpoolConfig, SpoolError, format};
use crate::crash;
use crate::fs::{Fs, FsFile};
use atalaya_domain::record::Frame;
use atalaya_domain::time::Timestamp;

/// Most bytes of one write; more groups than that wait for the next one.
const WRITE_BYTES: usize = 8 << 20;
/// A buffer that one large group made larger than this is given back.
const KEPT_BUFFER: usize = 16 << 20;
/// A segment is closed after this long, so that it can be removed when its time has come.
const SEGMENT_AGE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Active {
    number: u64,
    path: PathBuf,
    file: Box<dyn FsFile>,
    /// Durable up to here.
    length: u64,
    opened: Instant,
}

/// A group that is encoded and not written yet.
#[derive(Debug)]
struct Encoded {
    place: usize,
    at: usize,
    head: Head,
}

#[derive(Debug)]
pub(crate) struct Writer {
    fs: Arc<dyn Fs>,
    config: SpoolConfig,
    ledger: Arc<Ledger>,
    active: Option<Active>,
    next_number: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub fn new(
        fs: Arc<dyn Fs>,
        config: SpoolConfig,
        ledger: Arc<Ledger>,
        next_number: u64,
    ) -> Self {
        Self {
            fs,
            config,
            ledger,
            active: None,
            next_number,
            buffer: Vec::new(),
        }
    }

    /// Writes groups with as few syncs as their sizes allow, usually one. Each answer says whether
    /// its group is durable.
    pub fn append(
        &mut self,
        groups: &[Arc<[Frame]>],
        wall: Timestamp,
        now: Instant,
    ) -> Vec<Result<(), SpoolError>> {
        let mut answers: Vec<Result<(), SpoolError>> = Vec::with_capacity(groups.len());
        let mut first = 0;
        while first < groups.len() {
            let taken = self.append_some(&groups[first..], wall, now, &mut answers);
            first += taken;
        }
        answers
    }

    /// One write and one sync; returns how many groups were answered, at least one.
    fn append_some(
        &mut self,
        groups: &[Arc<[Frame]>],
        wall: Timestamp,
        now: Instant,
        answers: &mut Vec<Result<(), SpoolError>>,
    ) -> usize {
        let number = match self.ready(wall, now) {
            Ok(number) => number,
            Err(error) => {
                answers.extend(groups.iter().map(|_| Err(error.clone())));
                return groups.len();
            }
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut encoded: Vec<Encoded> = Vec::new();
        // A group that is larger than the limit goes alone, when there is nothing else at all.
        let (used, is_empty) = (self.ledger.bytes(), self.ledger.is_empty());
        let mut seq = self.ledger.next_seq();
        let mut count = 0;
        for (place, group) in groups.iter().enumerate() {
            if buffer.len() >= WRITE_BYTES {
                break;
            }
            count += 1;
            let at = buffer.len();
            let records = records_of(group) as u32;
            let head = segment::put_group(&mut buffer, number, seq, wall, |out| {
                format::encode(group, out);
                records
            });
            let answer = match head {
                Err(segment::TooLarge) => Err(SpoolError::TooLarge),
                Ok(_)
                    if used + buffer.len() as u64 > self.config.max_bytes
                        && !(is_empty && at == 0) =>
                {
                    buffer.truncate(at);
                    Err(SpoolError::Full {
                        max_bytes: self.config.max_bytes,
                    })
                }
                Ok(head) => {
                    encoded.push(Encoded { place, at, head });
                    seq += 1;
                    Ok(())
                }
            };
            answers.push(answer);
        }
        if !encoded.is_empty() {
            match self.write(&mut buffer, &encoded, wall, now) {
                Ok(()) => self.commit(groups, &encoded),
                Err(error) => {
                    let begin = answers.len() - count;
                    for group in &encoded {
                        answers[begin + group.place] = Err(error.clone());
                    }
                }
            }
        }
        if buffer.capacity() > KEPT_BUFFER {
            buffer = Vec::new();
        }
        self.buffer = buffer;
        count
    }

    fn commit(&self, groups: &[Arc<[Frame]>], encoded: &[Encoded]) {
        let heads: Vec<Head> = encoded.iter().map(|group| group.head).collect();
        let written = encoded.iter().map(|one| Group {
            seq: one.head.seq,
            frames: Arc::clone(&groups[one.place]),
            records: u64::from(one.head.records),
            bytes: one.head.size() as u64,
        });
        self.ledger.committed(&heads, written.collect());
        crash::point("spool::before_answer");
    }

    /// A segment with room, made if there is none.
    fn ready(&mut self, wall: Timestamp, now: Instant) -> Result<u64, SpoolError> {
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.length >= self.config.segment_bytes)
        {
            self.seal(now);
        }
        match &self.active {
            Some(active) => Ok(active.number),
            None => self.create(wall, now),
        }
    }

    fn create(&mut self, wall: Timestamp, now: Instant) -> Result<u64, SpoolError> {
        let number = self.next_number;
        let path = segment::segment_path(&self.config.dir, number);
        let made = (|| {
            let mut file = self.fs.create(&path)?;
            crash::point("spool::segment_created");
            file.write_at(0, &segment::header(number, wall))?;
            file.sync()?;
            crash::point("spool::header_written");
            self.fs.sync_dir(&self.config.dir)?;
            Ok(file)
        })();
        // A number is used once, whatever became of its file.
        self.next_number += 1;
        match made {
            Ok(file) => {
                self.active = Some(Active {
                    number,
                    path,
                    file,
                    length: HEADER as u64,
                    opened: now,
                });
                self.ledger.opened(number);
                Ok(number)
            }
            Err(error) => {
                let _ = self.fs.remove(&path); // of no use, and found empty at the next start otherwise
                Err(self.failed(&error))
            }
        }
    }

    /// Writes and syncs; after a failed sync once more, into a new segment.
    fn write(
        &mut self,
        buffer: &mut [u8],
        encoded: &[Encoded],
        wall: Timestamp,
        now: Instant,
    ) -> Result<(), SpoolError> {
        let first = match self.write_once(buffer) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !is_void(&first, self.active.is_some()) {
            return Err(self.failed(&first.source));
        }
        tracing::warn!(
            target: "atalaya::ingest",
            error = %first.source,
            "a segment of the spool cannot be written on; going on in a new one"
        );
        self.seal(now);
        let number = self.create(wall, now)?;
        for group in encoded {
            segment::put_head(&mut buffer[group.at..], number, &group.head);
        }
        self.write_once(buffer).map_err(|error| {
            self.seal(now);
            self.failed(&error.source)
        })
    }

    fn write_once(&mut self, buffer: &[u8]) -> Result<(), WriteFailure> {
        let Some(active) = &mut self.active else {
            return Err(WriteFailure {
                source: io::Error::other("no segment"),
                synced: false,
            });
        };
        crash::point("spool::before_write");
        let written = if crash::is_testing() {
            let (first, second) = buffer.split_at(buffer.len() / 2);
            active.file.write_at(active.length, first).and_then(|()| {
                crash::point("spool::half_written");
                active
                    .file
                    .write_at(active.length + first.len() as u64, second)
            })
        } else {
            active.file.write_at(active.length, buffer)
        };
        if let Err(source) = written {
            // Without this a part of the group would stay; the reader of the file can cope with it.
            let cut = active.file.set_len(active.length);
            return Err(WriteFailure {
                synced: cut.is_err(),
                source,
            });
        }
        crash::point("spool::after_write");
        active.file.sync().map_err(|source| WriteFailure {
            source,
            synced: true,
        })?;
        crash::point("spool::after_fsync");
        active.length += buffer.len() as u64;
        Ok(())
    }

    /// Closes the newest segment: its index is written beside it, so that a start need not read it.
    pub fn seal(&mut self, now: Instant) {
        let Some(active) = self.active.take() else {
            return;
        };
        crash::point("spool::before_seal");
        drop(active.file);
        let index = self
            .ledger
            .index(active.number)
            .filter(|index| index.groups > 0);
        match index {
            None => {
                if let Err(error) = self.fs.remove(&active.path) {
                    tracing::warn!(target: "atalaya::ingest", %error, "an empty segment of the spool stays");
                }
            }
            Some(index) => {
                if let Err(error) = write_index(&*self.fs, &self.config.dir, &index) {
                    // The next start reads the segment instead.
                    tracing::warn!(target: "atalaya::ingest", %error, "the index of a segment is not written");
                }
            }
        }
        self.ledger.sealed(active.number, now);
    }

    /// Closes a segment whose time has come and removes what is through; true when there is more room.
    pub fn maintain(&mut self, now: Instant) -> bool {
        let is_old = |active: &Active| {
            active.length > HEADER as u64
                && now.saturating_duration_since(active.opened) >= SEGMENT_AGE.min(self.config.keep)
        };
        if self.active.as_ref().is_some_and(is_old) && self.ledger.waiting_groups() == 0 {
            self.seal(now);
        }
        // Under pressure room counts more than the margin: a quarter of the time is still longer
        // than Cassandra keeps an acknowledged write in memory only.
        let is_short = self.ledger.bytes() > self.config.max_bytes / 2;
        let keep = if is_short {
            self.config.keep / 4
        } else {
            self.config.keep
        };
        let Some((numbers, base)) = self.ledger.leaving(now, keep) else {
            return false;
        };
        match self.remove(&numbers, &base) {
            Ok(()) => {
                self.ledger.left(&numbers, base);
                true
            }
            Err(error) => {
                tracing::warn!(target: "atalaya::ingest", %error, "segments of the spool cannot be removed");
                self.ledger.stays(&numbers);
                false
            }
        }
    }

    fn remove(&self, numbers: &[u64], base: &positions::Positions) -> io::Result<()> {
        let dir = &self.config.dir;
        segment::replace(
            &*self.fs,
            &dir.join(positions::FILE),
            &base.to_bytes(),
            "spool::positions_written",
            "spool::positions_renamed",
        )?;
        for number in numbers {
            gone(self.fs.remove(&segment::segment_path(dir, *number)))?;
            crash::point("spool::segment_removed");
            gone(self.fs.remove(&segment::index_path(dir, *number)))?;
            crash::point("spool::index_removed");
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> SpoolError {
        SpoolError::Write {
            dir: self.config.dir.clone(),
            reason: error.to_string().into(),
        }
    }
}

struct WriteFailure {
    source: io::Error,
    /// A sync was tried, or the file is in a state that nobody knows.
    synced: bool,
}

/// Whether the segment is of no use any more. A full disk does not make it so.
fn is_void(failure: &WriteFailure, has_segment: bool) -> bool {
    let is_full = matches!(
        failure.source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    );
    has_segment && (failure.synced || !is_full)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(crate) fn write_index(
    fs: &dyn Fs,
    dir: &std::path::Path,
    index: &segment::Index,
) -> io::Result<()> {
    segment::replace(
        fs,
        &segment::index_path(dir, index.number),
        &index.to_bytes(),
        "spool::index_written",
        "spool::index_renamed",
    )
}

pub(crate) fn records_of(frames: &[Frame]) -> u64 {
    frames.iter().map(|frame| frame.entries.len() as u64).sum()
}
