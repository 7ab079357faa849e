//! The seam under the log engine: a thin store of chunks. It puts chunks, lists the summaries of
//! one bucket, reads chunks by key and looks up a request. Everything else is the engine's.
//!
//! A store needs nothing that Cassandra cannot give: every call reads a bounded partition. How it
//! fares meanwhile is told by its [`StoreHealth`], which the engine never asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::record::{Layer, Level, OriginId, Record, RequestId, Whose};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::error::{Backend, StoreError};

mod cursor;

pub use super::health::{ChunkStoreStats, StoreHealth, Trouble, Troubles};
pub use cursor::ArrivalCursor;

/// Settings that all hosts on one store must agree on; kept in the store, set when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSettings {
    /// Width of a bucket; divides a day evenly.
    pub bucket_minutes: u16,
}

impl Default for ChunkSettings {
    fn default() -> Self {
        Self { bucket_minutes: 10 }
    }
}

/// What one frame becomes: its chunks, the request index rows of these, and how far its origin is
/// stored once they are.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameChunks {
    pub origin: OriginId,
    /// Position from which the origin's next frame begins.
    pub until: u64,
    pub chunks: Vec<Chunk>,
    pub requests: Vec<RequestEntry>,
}

/// Which end of a range is asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// Chooses records while a chunk is decoded, so that what is not wanted is never built.
pub trait RecordFilter: Send + Sync {
    /// False only when no record whose texts all stand in `texts` can be kept. The bytes may hold
    /// more than the texts, and one text may run into the next.
    fn may_keep_any(&self, texts: &[u8]) -> bool {
        let _ = texts;
        true
    }

    /// False only when no record of this time and level is kept.
    fn wants(&self, at: Timestamp, level: Level) -> bool;

    fn keeps(&self, record: &Record) -> bool;
}

/// Leaves in `chunk` only the entries that `filter` keeps.
pub fn retain(chunk: &mut Chunk, filter: &dyn RecordFilter) {
    let entries = std::mem::take(&mut chunk.entries);
    chunk.entries = entries
        .into_iter()
        .filter(|entry| filter.wants(entry.timestamp, entry.level))
        .map(|entry| Record {
            origin: Arc::clone(&chunk.summary.origin),
            entry,
        })
        .filter(|record| filter.keeps(record))
        .map(|record| record.entry)
        .collect();
}

/// What was deleted because of its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub chunks: u64,
    /// By which the files became smaller.
    pub freed_bytes: u64,
}

#[async_trait]
pub trait ChunkStore: StoreHealth + Send + Sync + 'static {
    fn backend(&self) -> Backend;

    /// Where the store is, for messages: a path or an address.
    fn address(&self) -> String;

    fn settings(&self) -> ChunkSettings;

    /// After how long a record is gone by itself; chunks that are older are not taken. `None`: the
    /// store keeps what it has.
    fn retention(&self) -> Option<Duration> {
        None
    }

    /// Deletes the chunks whose latest record is older than an instant, in short steps, and gives
    /// their space back. May be cut off and repeated. `None`: the store does that by itself.
    async fn expire_before(&self, before: Timestamp) -> Result<Option<Expired>, StoreError> {
        let _ = before;
        Ok(None)
    }

    /// Stores frames: chunks, request rows, then each origin's watermark. Repeating a call changes
    /// nothing. When it returns, the records are durable. On an error, none or some of the frames
    /// are stored, each of them as a whole where the backend can, and the caller repeats the call.
    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError>;

    /// Position up to which an origin is stored: the greatest `until` that was put; `None` for an
    /// origin never seen.
    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError>;

    /// Watermarks of all origins, in an order of the store's own, at most `limit`: those behind
    /// `after`, which is the last one of the page before. Empty at the end.
    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError>;

    /// Buckets of a layer that hold records and overlap `range`, in `order`, at most `limit`. A range
    /// that ends with [`Timestamp::MAX`] includes that instant.
    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError>;

    /// Summaries of one bucket, by descending `first_at`. Never reads records.
    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError>;

    /// Summaries of several buckets in any order, each once. A store across a network may ask for
    /// them together.
    async fn summaries_of(&self, buckets: &[Bucket]) -> Result<Vec<ChunkSummary>, StoreError> {
        let mut all = Vec::new();
        for &bucket in buckets {
            all.append(&mut self.summaries(bucket).await?);
        }
        Ok(all)
    }

    /// Chunks by key, in the order asked for; a key that is gone (expired) is left out.
    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError>;

    /// As [`chunks`](Self::chunks), with only the entries that `filter` keeps; the summaries stay
    /// those of the whole chunks. A store that can test a block before it builds the records does so.
    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        let mut chunks = self.chunks(keys).await?;
        let filtered = tokio::task::spawn_blocking(move || {
            for chunk in &mut chunks {
                retain(chunk, &*filter);
            }
            chunks
        });
        filtered.await.map_err(|stopped| StoreError::Refused {
            backend: self.backend(),
            source: stopped.into(),
        })
    }

    /// All index rows of a request, in any order. A row may name a chunk that holds no record of
    /// the request (an index by hash), and its times and level may be those of the whole chunk: the
    /// engine looks at the records.
    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError>;

    /// Summaries of all chunks in `range` that may hold records of a user or a session, in any order.
    /// `None`: the store has no index that tells, or the records are in so many chunks that looking
    /// at one after the other finds them as soon.
    async fn holders(
        &self,
        whose: Whose<'_>,
        range: TimeRange,
    ) -> Result<Option<Vec<ChunkSummary>>, StoreError> {
        let _ = (whose, range);
        Ok(None)
    }

    /// The present end of the arrivals, from which a follower starts.
    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError>;

    /// Summaries of chunks that became visible after `cursor`, whatever their time, each once, at
    /// most `limit`, with the cursor to go on from.
    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError>;
}
