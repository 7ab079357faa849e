//! One file of the spool: a header, then groups, each found and checked without the one before.
//!
//! ```text
//! segment = "ATLSPOOL" version:4 number:8 created_us:8 crc:4 group*
//! group   = "AGRP" length:4 seq:8 at_us:8 records:4 body_crc:4 head_crc:4 body:length
//! ```
//!
//! Little-endian; the sums are CRC-32C. `head_crc` is taken over the segment's number and the head
//! before it, so that bytes left of another file are no group; `body` is of [`super::format`].
//! After damage, the next group is found by its mark and the sum of its head.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use memchr::memmem;

use crate::crash;
use crate::fs::Fs;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;

pub(crate) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ATLSPOOL";
const INDEX_MAGIC: &[u8; 8] = b"ATLINDEX";
/// Bytes of a segment's header.
pub(crate) const HEADER: usize = 32;
const MARK: &[u8; 4] = b"AGRP";
/// Bytes of a group before its body.
pub(crate) const HEAD: usize = 36;

pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.seg"))
}

pub(crate) fn index_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.idx"))
}

/// The number in a name such as `0000000000000007.seg`.
pub(crate) fn number_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?.strip_suffix('.')?;
    (digits.len() == 16).then(|| digits.parse().ok())?
}

pub(crate) fn header(number: u64, created: Timestamp) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&number.to_le_bytes());
    bytes[20..28].copy_from_slice(&created.micros().to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Ours,
    /// Written by another version of this program.
    Version(u32),
    Damaged,
    /// The file ends before its header does: it was being created.
    Short,
}

pub(crate) fn check_header(bytes: &[u8], number: u64) -> Header {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Header::Short;
    };
    if crc32c::crc32c(&header[..28]).to_le_bytes() != header[28..] || header[..8] != *MAGIC {
        return if header.iter().all(|byte| *byte == 0) {
            Header::Short
        } else {
            Header::Damaged
        };
    }
    let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if version != VERSION {
        return Header::Version(version);
    }
    if header[12..20] == number.to_le_bytes() {
        Header::Ours
    } else {
        Header::Damaged
    }
}

/// The head of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the body.
    pub length: u32,
    pub seq: u64,
    /// When the group was appended.
    pub at: Timestamp,
    pub records: u32,
    body_sum: u32,
}

impl Head {
    pub fn size(&self) -> usize {
        HEAD + self.length as usize
    }
}

/// Writes a group: `body` appends its bytes to `out` and says how many records they are.
pub(crate) fn put_group(
    out: &mut Vec<u8>,
    number: u64,
    seq: u64,
    at: Timestamp,
    body: impl FnOnce(&mut Vec<u8>) -> u32,
) -> Result<Head, TooLarge> {
    let start = out.len();
    out.resize(start + HEAD, 0);
    let records = body(out);
    let body = &out[start + HEAD..];
    let Ok(length) = u32::try_from(body.len()) else {
        out.truncate(start);
        return Err(TooLarge);
    };
    let head = Head {
        length,
        seq,
        at,
        records,
        body_sum: crc32c::crc32c(body),
    };
    put_head(&mut out[start..start + HEAD], number, &head);
    Ok(head)
}

/// A group that does not fit its length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Writes the head anew for another segment.
pub(crate) fn put_head(out: &mut [u8], number: u64, head: &Head) {
    out[..4].copy_from_slice(MARK);
    out[4..8].copy_from_slice(&head.length.to_le_bytes());
    out[8..16].copy_from_slice(&head.seq.to_le_bytes());
    out[16..24].copy_from_slice(&head.at.micros().to_le_bytes());
    out[24..28].copy_from_slice(&head.records.to_le_bytes());
    out[28..32].copy_from_slice(&head.body_sum.to_le_bytes());
    let sum = head_sum(number, &out[..32]);
    out[32..36].copy_from_slice(&sum.to_le_bytes());
}

fn head_sum(number: u64, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), head)
}

fn read_head(bytes: &[u8], number: u64) -> Option<Head> {
    let head = bytes.first_chunk::<HEAD>()?;
    if head[..4] != *MARK || head_sum(number, &head[..32]).to_le_bytes() != head[32..] {
        return None;
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | (u64::from(word(at + 4)) << 32);
    Some(Head {
        length: word(4),
        seq: long(8),
        at: Timestamp::from_micros(long(16) as i64),
        records: word(24),
        body_sum: word(28),
    })
}

/// One thing in the bytes of a segment. Offsets are into the bytes that were scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A whole group; its body is not checked yet.
    Group { at: usize, head: Head },
    /// Bytes that are no group, with a group or the end after them.
    Damaged { at: usize, length: usize },
    /// The last bytes: a group that was not written to its end.
    Torn { at: usize },
}

/// Splits the bytes after the header of a segment (or after any group of it) into pieces.
pub(crate) struct Pieces<'a> {
    bytes: &'a [u8],
    number: u64,
    at: usize,
}

impl<'a> Pieces<'a> {
    pub fn new(bytes: &'a [u8], number: u64) -> Self {
        Self {
            bytes,
            number,
            at: 0,
        }
    }

    /// The body, if it is as it was written.
    pub fn body(bytes: &[u8], at: usize, head: Head) -> Option<&[u8]> {
        let body = bytes.get(at + HEAD..at + head.size())?;
        (crc32c::crc32c(body) == head.body_sum).then_some(body)
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let at = self.at;
        let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if let Some(head) = read_head(rest, self.number) {
            if head.size() <= rest.len() {
                self.at = at + head.size();
                return Some(Piece::Group { at, head });
            }
            self.at = self.bytes.len();
            return Some(Piece::Torn { at });
        }
        // A write that was cut short leaves the beginning of a head, or nothing but zeros.
        if (rest.len() < HEAD && MARK.starts_with(&rest[..rest.len().min(4)]))
            || rest.iter().all(|byte| *byte == 0)
        {
            self.at = self.bytes.len();
            return Some(Piece::Torn { at });
        }
        let next = memmem::find_iter(&rest[1..], MARK)
            .map(|found| found + 1)
            .find(|found| read_head(&rest[*found..], self.number).is_some())
            .unwrap_or(rest.len());
        self.at = at + next;
        Some(Piece::Damaged { at, length: next })
    }
}

/// What is known of a segment without reading it; written beside it when it is closed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub number: u64,
    /// The file is good up to here.
    pub length: u64,
    /// Sequence of the first group; the groups of a segment follow each other without a gap.
    pub first_seq: u64,
    pub groups: u64,
    pub records: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// How far each origin stands in this segment.
    pub until: HashMap<OriginId, u64>,
}

impl Index {
    pub fn new(number: u64, first_seq: u64) -> Self {
        Self {
            number,
            length: HEADER as u64,
            first_seq,
            ..Self::default()
        }
    }

    /// The sequence after the last group.
    pub fn end_seq(&self) -> u64 {
        self.first_seq + self.groups
    }

    pub fn holds(&self, seq: u64) -> bool {
        (self.first_seq..self.end_seq()).contains(&seq)
    }

    pub fn add(&mut self, head: &Head) {
        if self.groups == 0 {
            self.first_at = head.at;
        }
        self.last_at = head.at;
        self.groups += 1;
        self.records += u64::from(head.records);
        self.length += head.size() as u64;
    }

    pub fn reach(&mut self, origin: OriginId, until: u64) {
        let known = self.until.entry(origin).or_default();
        *known = until.max(*known);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80 + 24 * self.until.len());
        out.extend_from_slice(INDEX_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for number in [
            self.number,
            self.length,
            self.first_seq,
            self.groups,
            self.records,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for at in [self.first_at, self.last_at] {
            out.extend_from_slice(&at.micros().to_le_bytes());
        }
        for (origin, until) in &self.until {
            out.extend_from_slice(&origin.as_u128().to_le_bytes());
            out.extend_from_slice(&until.to_le_bytes());
        }
        add_sum(&mut out);
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Fields::checked(bytes, *INDEX_MAGIC)?;
        let mut index = Self {
            number: input.long()?,
            length: input.long()?,
            first_seq: input.long()?,
            groups: input.long()?,
            records: input.long()?,
            first_at: input.time()?,
            last_at: input.time()?,
            until: HashMap::new(),
        };
        while !input.is_empty() {
            index.until.insert(input.origin()?, input.long()?);
        }
        index.first_seq.checked_add(index.groups)?;
        Some(index)
    }
}

/// Reads the fields of a small file that ends with the sum of all before it.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn checked(bytes: &'a [u8], magic: [u8; 8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body).to_le_bytes() != *sum {
            return None;
        }
        let body = body
            .strip_prefix(&magic)?
            .strip_prefix(&VERSION.to_le_bytes())?;
        Some(Self(body))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn time(&mut self) -> Option<Timestamp> {
        self.array()
            .map(i64::from_le_bytes)
            .map(Timestamp::from_micros)
    }

    pub fn origin(&mut self) -> Option<OriginId> {
        self.array()
            .map(u128::from_le_bytes)
            .map(OriginId::from_u128)
    }
}

pub(crate) fn add_sum(out: &mut Vec<u8>) {
    let sum = crc32c::crc32c(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Writes a small file so that it is there as a whole, or not at all, also after a power failure.
pub(crate) fn replace(
    fs: &dyn Fs,
    path: &Path,
    bytes: &[u8],
    written: &'static str,
    renamed: &'static str,
) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    drop(file);
    crash::point(written);
    fs.rename(&temporary, path)?;
    crash::point(renamed);
    path.parent().map_or(Ok(()), |dir| fs.sync_dir(dir))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn group(out: &mut Vec<u8>, seq: u64, body: &[u8]) -> Head {
        put_group(out, 7, seq, Timestamp::from_seconds(5), |out| {
            out.extend_from_slice(body);
            3
        })
        .unwrap()
    }

    #[test]
    fn groups_are_found_again_with_their_heads() {
        let mut bytes = Vec::new();
        let heads = [
            group(&mut bytes, 4, b"one"),
            group(&mut bytes, 5, b""),
            group(&mut bytes, 6, b"three"),
        ];
        let found: Vec<Piece> = Pieces::new(&bytes, 7).collect();
        let places = [0, HEAD + 3, 2 * HEAD + 3];
        let wanted: Vec<Piece> = heads
            .into_iter()
            .zip(places)
            .map(|(head, at)| Piece::Group { at, head })
            .collect();
        assert_eq!(found, wanted);
        assert_eq!(
            Pieces::body(&bytes, places[2], heads[2]),
            Some(&b"three"[..])
        );
        // The same bytes in another segment are no groups.
        assert_eq!(
            Pieces::new(&bytes, 8).next(),
            Some(Piece::Damaged {
                at: 0,
                length: bytes.len()
            })
        );
    }

    #[test]
    fn every_cut_of_the_last_group_is_torn_and_the_one_before_stays() {
        let mut bytes = Vec::new();
        let first = group(&mut bytes, 1, b"first").size();
        group(&mut bytes, 2, b"second");
        for length in first + 1..bytes.len() {
            let pieces: Vec<Piece> = Pieces::new(&bytes[..length], 7).collect();
            assert!(
                matches!(pieces[0], Piece::Group { at: 0, .. }),
                "{length}: {pieces:?}"
            );
            assert_eq!(pieces[1..], [Piece::Torn { at: first }], "{length}");
        }
        bytes.resize(bytes.len() + 100, 0);
        assert!(matches!(
            Pieces::new(&bytes, 7).last(),
            Some(Piece::Torn { .. })
        ));
    }

    #[test]
    fn after_damage_the_next_group_is_found() {
        let mut bytes = Vec::new();
        let first = group(&mut bytes, 1, b"first with AGRP in it").size();
        let second = group(&mut bytes, 2, b"second").size();
        group(&mut bytes, 3, b"third");
        bytes[first + 5] ^= 1; // the length of the second
        let pieces: Vec<Piece> = Pieces::new(&bytes, 7).collect();
        assert_eq!(
            pieces[1],
            Piece::Damaged {
                at: first,
                length: second
            }
        );
        assert!(matches!(
            pieces[2],
            Piece::Group {
                head: Head { seq: 3, .. },
                ..
            }
        ));
    }

    #[test]
    fn headers_say_whose_they_are() {
        let header = header(9, Timestamp::from_seconds(1));
        assert_eq!(check_header(&header, 9), Header::Ours);
        assert_eq!(check_header(&header, 8), Header::Damaged);
        assert_eq!(check_header(&header[..31], 9), Header::Short);
        assert_eq!(check_header(&[0; 40], 9), Header::Short);
        let mut other = header;
        other[8] = 9;
        assert_eq!(check_header(&other, 9), Header::Damaged);
        let sum = crc32c::crc32c(&other[..28]);
        other[28..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(check_header(&other, 9), Header::Version(9));
    }

    #[test]
    fn an_index_is_read_back_or_refused() {
        let mut index = Index::new(3, 17);
        index.groups = 4;
        index.records = 40;
        index.reach(OriginId::from_u128(5), 100);
        index.reach(OriginId::from_u128(5), 90);
        let bytes = index.to_bytes();
        assert_eq!(Index::from_bytes(&bytes).unwrap(), index);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(Index::from_bytes(&damaged), None);
            assert_eq!(Index::from_bytes(&bytes[..at]), None);
        }
    }
}
