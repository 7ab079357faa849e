//! What makes a file *this* file: where it lives on disk, and what it begins with.
//!
//! A path says nothing: rotation moves content between paths, and ext4 gives the inode number of a
//! deleted file to the next one at once. A **generation** is one run of content. It is named after
//! the place where it was first seen (host, device, inode, birth time, how often that file was
//! truncated) and recognised later, wherever it went, by a [`Fingerprint`] of its bytes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

pub use self::last_lines::LastLines;

use atalaya_domain::record::OriginId;

mod last_lines;

/// Bytes that a head or a mark covers at most.
pub const PROBE: usize = 1024;
/// Marks kept for one generation.
const MARKS: usize = 32;

/// One file on this host, as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    /// Birth in nanoseconds since 1970, where the file system keeps it: tells apart two files that
    /// had the same inode number one after the other.
    pub born: Option<i64>,
}

impl FileId {
    pub fn of(metadata: &Metadata) -> Self {
        let born = metadata
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.and_then(|age| i64::try_from(age.as_nanos()).ok()),
        }
    }

    /// The same without the device number, which a restart of the machine or a volume that is mounted
    /// anew changes: whoever finds content by it compares the bytes.
    #[must_use]
    pub const fn without_device(self) -> Self {
        Self { device: 0, ..self }
    }

    /// The origin of the content that this file holds after so many truncations.
    pub fn origin(&self, host: &str, truncations: u32) -> OriginId {
        OriginId::derive(&[
            b"file",
            host.as_bytes(),
            &self.device.to_le_bytes(),
            &self.inode.to_le_bytes(),
            &self.born.unwrap_or(0).to_le_bytes(),
            &truncations.to_le_bytes(),
        ])
    }
}

/// Hash of the `length` bytes that end at `offset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub offset: u64,
    pub length: u32,
    hash: String,
}

impl Mark {
    /// `window` are the bytes just before `offset`; its last [`PROBE`] are taken.
    pub fn new(offset: u64, window: &[u8]) -> Self {
        let window = &window[window.len().saturating_sub(PROBE)..];
        Self {
            offset,
            length: window.len() as u32,
            hash: hash(window),
        }
    }

    pub fn start(&self) -> u64 {
        self.offset - u64::from(self.length)
    }

    /// Whether `bytes`, which stand at [`Mark::start`], are the same.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.length as usize && hash(bytes) == self.hash
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

/// What is remembered of a generation's bytes: the first ones, and samples on the way to the last
/// ones read, dense towards the end. A copy that was made a moment ago is shorter than what was
/// read since; the samples before its end still recognise it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of the first bytes; grows up to [`PROBE`] while the file is short.
    pub head: Option<Mark>,
    /// Ascending.
    pub marks: Vec<Mark>,
    /// Of the last lines: by them a file that was shortened is read on where it belongs.
    #[serde(default, skip_serializing_if = "LastLines::is_empty")]
    pub last: LastLines,
}

/// How other content compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Equal wherever both have bytes that were sampled; `verified` is the end of the last sample
    /// compared, `whole` says that it was the last one there is.
    Same {
        verified: u64,
        whole: bool,
    },
    /// Too short to say.
    Unclear,
    Different,
}

impl Fingerprint {
    /// Notes that the content up to `offset` ends with `window`.
    pub fn note(&mut self, offset: u64, window: &[u8]) {
        if window.is_empty() || self.marks.last().is_some_and(|last| last.offset >= offset) {
            return;
        }
        self.marks.push(Mark::new(offset, window));
        if self.marks.len() > MARKS {
            // Drop the one whose neighbours are nearest to each other for their distance from the end.
            let crowded = (1..self.marks.len() - 1).min_by_key(|&index| {
                let (before, after) = (self.marks[index - 1].offset, self.marks[index + 1].offset);
                (after - before).saturating_mul(1 << 16) / (offset - before).max(1)
            });
            if let Some(index) = crowded {
                self.marks.remove(index);
            }
        }
    }

    /// The last offset that is known to have been content.
    pub fn reach(&self) -> u64 {
        let head = self.head.as_ref().map_or(0, |head| head.offset);
        self.marks.last().map_or(head, |mark| mark.offset.max(head))
    }

    /// The samples that content of this length can be compared by: the head and the last mark in it.
    pub fn samples(&self, length: u64) -> Samples<'_> {
        Samples {
            head: self.head.as_ref(),
            last: self.marks.iter().rev().find(|mark| mark.offset <= length),
            length,
            reach: self.reach(),
        }
    }
}

/// See [`Fingerprint::samples`].
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    head: Option<&'a Mark>,
    last: Option<&'a Mark>,
    length: u64,
    reach: u64,
}

impl Samples<'_> {
    /// Compares, reading the bytes of the other content through `read` (offset, length).
    pub fn compare<E>(
        &self,
        mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
    ) -> Result<Likeness, E> {
        let Some(head) = self.head else {
            return Ok(Likeness::Unclear); // nothing was read of it: nothing to recognise
        };
        if head.offset > self.length {
            return Ok(Likeness::Unclear);
        }
        if !head.is(&read(0, head.length as usize)?) {
            return Ok(Likeness::Different);
        }
        let mut verified = head.offset;
        if let Some(last) = self.last
            && last.offset > head.offset
        {
            if !last.is(&read(last.start(), last.length as usize)?) {
                return Ok(Likeness::Different);
            }
            verified = last.offset;
        } else if self.reach > head.offset && self.last.is_none() {
            return Ok(Likeness::Unclear); // equal beginnings say little when there was more
        }
        Ok(Likeness::Same {
            verified,
            whole: verified == self.reach,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::convert::Infallible;

    use super::*;

    fn of(content: &[u8], step: usize) -> Fingerprint {
        let mut print = Fingerprint {
            head: Some(Mark::new(
                content.len().min(PROBE) as u64,
                &content[..content.len().min(PROBE)],
            )),
            marks: Vec::new(),
            last: LastLines::default(),
        };
        for end in (step..=content.len()).step_by(step) {
            print.note(end as u64, &content[..end]);
        }
        print
    }

    fn compare(print: &Fingerprint, content: &[u8]) -> Likeness {
        print
            .samples(content.len() as u64)
            .compare(|at, length| Ok::<_, Infallible>(content[at as usize..][..length].to_vec()))
            .unwrap()
    }

    fn numbered(prefix: &str, lines: usize) -> Vec<u8> {
        (0..lines)
            .map(|line| format!("{prefix} line {line}\n"))
            .collect::<String>()
            .into_bytes()
    }

    #[test]
    fn content_is_recognised_wherever_it_is_and_however_it_grew() {
        let content = numbered("a", 5_000);
        let print = of(&content, 4_096);
        let reach = print.reach();
        assert_eq!(
            compare(&print, &content),
            Likeness::Same {
                verified: reach,
                whole: true
            }
        );
        let mut grown = content.clone();
        grown.extend_from_slice(b"more\n");
        assert_eq!(
            compare(&print, &grown),
            Likeness::Same {
                verified: reach,
                whole: true
            }
        );
    }

    #[test]
    fn a_copy_that_is_shorter_than_what_was_read_is_recognised_by_an_earlier_mark() {
        let content = numbered("a", 5_000);
        let print = of(&content, 4_096);
        let copy = &content[..content.len() - 6_000];
        assert!(
            matches!(compare(&print, copy), Likeness::Same { verified, whole: false } if verified > 40_000)
        );
    }

    #[test]
    fn equal_headers_do_not_make_equal_files() {
        let header = vec![b'#'; 4_096];
        let (mut one, mut other) = (header.clone(), header);
        one.extend(numbered("one", 400));
        other.extend(numbered("other", 900));
        assert_eq!(compare(&of(&one, 2_048), &other), Likeness::Different);
        assert_eq!(compare(&of(b"a\n", 2), b"b\n"), Likeness::Different);
        assert_eq!(compare(&of(b"a\n", 2), b"a"), Likeness::Unclear);
        assert_eq!(compare(&Fingerprint::default(), b"a"), Likeness::Unclear);
    }

    #[test]
    fn marks_are_bounded_and_dense_towards_the_end() {
        let content = numbered("a", 100_000);
        let print = of(&content, 1_000);
        assert_eq!(print.marks.len(), MARKS);
        let end = print.reach();
        let near = print
            .marks
            .iter()
            .filter(|mark| end - mark.offset < end / 10)
            .count();
        assert!(
            near >= 4,
            "{:?}",
            print
                .marks
                .iter()
                .map(|mark| mark.offset)
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_origin_depends_on_every_part_of_the_place() {
        let file = FileId {
            device: 1,
            inode: 2,
            born: Some(3),
        };
        let others = [
            file.origin("b", 0),
            file.origin("a", 1),
            FileId { device: 9, ..file }.origin("a", 0),
            FileId { inode: 9, ..file }.origin("a", 0),
            FileId { born: None, ..file }.origin("a", 0),
        ];
        assert!(others.iter().all(|other| *other != file.origin("a", 0)));
        assert_eq!(file.origin("a", 0), file.origin("a", 0));
    }
}
