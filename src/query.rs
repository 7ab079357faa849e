//! The one query language of the console, the command line and the API: parse and check (pure),
//! match a record, prune by a chunk's summary, and print back.

use crate::domain::chunk::ChunkSummary;
use crate::domain::record::{Layer, Record, RequestId};
use crate::domain::time::{TimeRange, Timestamp};

/// Against what a relative time is read: `since:15m`, `until:12:30`.
#[derive(Clone, Copy, Debug)]
pub struct QueryClock {
    pub now: Timestamp,
    pub zone: Zone,
}

/// The zone in which clock times without a zone are read and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Utc,
    Local,
}

/// Why a query text was refused: where (byte offset and length in the text), what was found and
/// what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {}; expected {expected}", offset + 1)]
pub struct QueryError {
    pub offset: usize,
    pub length: usize,
    pub message: String,
    pub expected: String,
}

/// A checked query. Its text form parses back to the same query.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Query {}

impl Query {
    /// Matches every record.
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn parse(text: &str, clock: &QueryClock) -> Result<Self, QueryError> {
        todo!("{text} {clock:?}")
    }

    pub fn matches(&self, record: &Record) -> bool {
        todo!("{record:?}")
    }

    /// False only when no record of the chunk can match: the chunk is then not read.
    pub fn may_match(&self, chunk: &ChunkSummary) -> bool {
        todo!("{chunk:?}")
    }

    /// True only when every record of the chunk surely matches whatever its text: counts may then
    /// be taken from the summary. Time bounds are the caller's to check.
    pub fn surely_matches(&self, chunk: &ChunkSummary) -> bool {
        todo!("{chunk:?}")
    }

    /// The span outside of which nothing can match, from `since:`, `until:` and `at:`.
    pub fn range(&self) -> TimeRange {
        TimeRange::ALL
    }

    /// Layers in which something can match.
    pub fn layers(&self) -> Vec<Layer> {
        Layer::ALL.to_vec()
    }

    /// The request id that every match must carry, when the query asks for exactly one: the
    /// engine then reads the request index instead of scanning.
    pub fn request_id(&self) -> Option<&RequestId> {
        None
    }
}
