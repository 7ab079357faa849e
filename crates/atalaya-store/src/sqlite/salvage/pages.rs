//! The pages of a SQLite file as they are now: the file, and over it what its write-ahead log has
//! committed. Read without SQLite, which gives up where a page is damaged.
//!
//! Source of the formats: <https://www.sqlite.org/fileformat2.html>.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::sqlite::reading::beside;

/// Of every file that this program makes.
const PAGE_BYTES: usize = 4096;
const LOG_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// A file that is only read.
pub(in crate::sqlite) struct Pages {
    file: File,
    log: Option<Log>,
    size: usize,
    count: u32,
}

struct Log {
    file: File,
    /// Where the latest committed content of a page begins.
    pages: HashMap<u32, u64>,
    lost: u64,
}

impl Pages {
    pub(in crate::sqlite) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut head = [0; 100];
        let _ = file.read_exact_at(&mut head, 0);
        let size = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => PAGE_BYTES,
        };
        let log = match File::open(beside(path, "-wal")) {
            Ok(file) => Some(Log::read(file, size)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let in_file = u32::try_from(length.div_ceil(size as u64)).unwrap_or(u32::MAX);
        let in_log = log.as_ref().and_then(|log| log.pages.keys().max());
        let count = in_file.max(in_log.copied().unwrap_or(0));
        Ok(Self {
            file,
            log,
            size,
            count,
        })
    }

    /// Bytes of a page.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// The number of the last page; the first is 1.
    pub(in crate::sqlite) const fn count(&self) -> u32 {
        self.count
    }

    /// Commits that stand in the log behind a damaged place, where SQLite stops to read it.
    pub(in crate::sqlite) fn lost_commits(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.lost)
    }

    /// The pages that hold nothing any more, as far as their list can be read. What stands on them
    /// was deleted.
    pub(super) fn unused(&self) -> HashSet<u32> {
        let mut unused = HashSet::new();
        let mut next = self.read(1).map_or(0, |head| word(&head[32..]));
        while next != 0 && next <= self.count && unused.insert(next) {
            let Some(trunk) = self.read(next) else { break };
            let leaves = trunk[8..].as_chunks::<4>().0.iter();
            let count = word(&trunk[4..]) as usize;
            unused.extend(leaves.take(count).map(|leaf| u32::from_be_bytes(*leaf)));
            next = word(&trunk);
        }
        unused
    }

    /// `None`: there is no such page, or not the whole of it.
    pub(in crate::sqlite) fn read(&self, page: u32) -> Option<Vec<u8>> {
        let before = page.checked_sub(1)?;
        let mut bytes = vec![0; self.size];
        let in_log = self
            .log
            .as_ref()
            .and_then(|log| Some((&log.file, *log.pages.get(&page)?)));
        let (file, at) = in_log.unwrap_or((&self.file, u64::from(before) * self.size as u64));
        file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }
}

impl Log {
    fn read(file: File, size: usize) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut log = Self {
            file,
            pages: HashMap::new(),
            lost: 0,
        };
        let mut head = [0; LOG_HEAD];
        if length < LOG_HEAD as u64 || log.file.read_exact_at(&mut head, 0).is_err() {
            return Ok(log);
        }
        let big_endian = head[3] & 1 == 1;
        let mut sum = checksum((0, 0), &head[..24], big_endian);
        let mut whole = head[..3] == [0x37, 0x7f, 0x06]
            && head[3] & !1 == 0x82
            && sum == pair(&head[24..])
            && word(&head[8..]) as usize == size;
        // Under a damaged head nothing tells whose a frame is.
        let headless = !whole;
        let mut frame = vec![0; FRAME_HEAD + size];
        let mut at = LOG_HEAD as u64;
        let mut uncommitted = Vec::new();
        while log.file.read_exact_at(&mut frame, at).is_ok() {
            let (page, commits) = (word(&frame), word(&frame[4..]) != 0);
            let ours = frame[8..16] == head[16..24];
            // Frames of an earlier round of the log have neither number.
            let may_be_ours = frame[8..12] == head[16..20] || frame[12..16] == head[20..24];
            if whole {
                sum = checksum(sum, &frame[..8], big_endian);
                sum = checksum(sum, &frame[FRAME_HEAD..], big_endian);
                whole = ours && sum == pair(&frame[16..]);
            }
            if whole {
                uncommitted.push((page, at + FRAME_HEAD as u64));
                if commits {
                    log.pages.extend(uncommitted.drain(..));
                }
            } else if commits && (headless || may_be_ours || at == LOG_HEAD as u64) {
                log.lost += 1;
            }
            at += frame.len() as u64;
        }
        Ok(log)
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |four| u32::from_be_bytes(*four))
}

fn pair(bytes: &[u8]) -> (u32, u32) {
    (word(bytes), bytes.get(4..).map_or(0, word))
}

fn checksum(before: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let number = |four: &[u8; 4]| {
        if big_endian {
            u32::from_be_bytes(*four)
        } else {
            u32::from_le_bytes(*four)
        }
    };
    let (mut one, mut two) = before;
    for eight in bytes.as_chunks::<8>().0 {
        if let (Some(first), Some(second)) = (eight.first_chunk(), eight.last_chunk()) {
            one = one.wrapping_add(number(first)).wrapping_add(two);
            two = two.wrapping_add(number(second)).wrapping_add(one);
        }
    }
    (one, two)
}
