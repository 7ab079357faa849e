//! Chunks: how both log stores keep records. A chunk is a run of records of one origin within one
//! time bucket, with a summary that answers most questions without reading the records.
//!
//! Layout and measurements: `cql/` and ARCHITECTURE.md.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{Entry, Layer, Level, LevelCounts, Origin, RequestId};
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
        TimeRange::new(self.key.first_at, Timestamp::from_micros(self.last_at.micros().saturating_add(1)))
    }
}

/// A chunk with its records, in the order of their positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub summary: ChunkSummary,
    pub entries: Vec<Entry>,
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
