//! Chunks: how both log stores keep records. A chunk is a run of records of one origin within one
//! time bucket, with a summary that answers most questions without reading the records.
//!
//! Layout and measurements: `cql/` and ARCHITECTURE.md.

use std::ops::{Deref, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{Entry, Frame, Layer, Level, LevelCounts, Origin, RequestId};
use super::time::{TimeRange, Timestamp};

/// A partition of a layer: one window of one UTC day.
///
/// `start` is the window's first instant; windows have the width that the store's settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket {
    pub layer: Layer,
    pub start: Timestamp,
}

/// Primary key of a chunk. The id is derived from origin, positions and bucket, so that writing a
/// frame again writes the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkKey {
    pub bucket: Bucket,
    pub first_at: Timestamp,
    pub id: Uuid,
}

/// How many records of each level in one minute of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteCounts {
    /// First instant of the minute.
    pub minute: Timestamp,
    pub levels: LevelCounts,
}

/// Everything about a chunk but its records.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkSummary {
    pub key: ChunkKey,
    /// Latest record; the earliest is `key.first_at`.
    pub last_at: Timestamp,
    pub origin: Arc<Origin>,
    pub levels: LevelCounts,
    /// Counts by minute, ascending; their sum is `levels`. What histograms are made of.
    pub minutes: Vec<MinuteCounts>,
}

impl ChunkSummary {
    pub fn records(&self) -> u32 {
        self.levels.total()
    }

    /// From the earliest record to just after the latest one.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(
            self.key.first_at,
            Timestamp::from_micros(self.last_at.micros().saturating_add(1)),
        )
    }
}

/// A chunk with its records, in the order of their positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub summary: ChunkSummary,
    pub entries: Entries,
}

/// The records of a chunk. On the way into a store they are mostly a run of the frame that the chunk
/// was cut from, which is shared and not copied: copying is what most of the cutting would cost.
#[derive(Clone, Debug)]
pub enum Entries {
    Own(Vec<Entry>),
    /// `range` of the entries of `frames[frame]`.
    Part {
        frames: Arc<[Frame]>,
        frame: usize,
        range: Range<usize>,
    },
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match self {
            Self::Own(entries) => entries,
            // Made by whoever cut the frame: the range is within it.
            Self::Part {
                frames,
                frame,
                range,
            } => frames
                .get(*frame)
                .and_then(|frame| frame.entries.get(range.clone()))
                .unwrap_or_default(),
        }
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<Entries> for Vec<Entry> {
    fn from(entries: Entries) -> Self {
        match entries {
            Entries::Own(entries) => entries,
            part @ Entries::Part { .. } => part.to_vec(),
        }
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::Own(entries.into_iter().collect())
    }
}

impl IntoIterator for Entries {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self).into_iter()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One row of the request index: this chunk holds records of this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEntry {
    pub request_id: RequestId,
    pub chunk: ChunkKey,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub worst_level: Level,
}
