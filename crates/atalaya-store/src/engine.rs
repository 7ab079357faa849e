//! The log engine: one for every store. It cuts frames into chunks, prunes by summary, decodes
//! while streaming, merges in order, pages by cursor, follows the tail, traces a request and draws
//! the histogram. The [`ChunkStore`] below it only puts and gets.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use atalaya_domain::record::{Frame, Layer, LevelCounts, OriginId, Record, RecordId, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Aggregate, Query, Zone};

use super::chunks::{ChunkStore, Order};
use super::error::StoreError;

pub mod aggregate;
pub mod build;

mod follow;
mod histogram;
mod index;
mod page;
mod plan;
mod selection;
mod trace;
mod walk;
mod windows;

#[cfg(test)]
pub(super) mod tests;

/// Where a page ended: the next one begins just past this record, in the direction of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub timestamp: Timestamp,
    pub id: RecordId,
}

#[derive(Clone, Debug)]
pub struct PageRequest {
    pub query: Query,
    /// Intersected with the query's own `since:`/`until:`.
    pub range: TimeRange,
    pub order: Order,
    pub after: Option<Cursor>,
    /// Most records to return.
    pub limit: usize,
    /// Most records to decode before giving back what was found; the page then says where it
    /// stopped. Keeps one call short, so that a filter that matches little shows progress.
    pub scan_limit: u64,
    pub cancel: CancellationToken,
}

/// What a read cost, for the status line: "scanned N, matched M".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub buckets: u64,
    /// Chunks whose summary was looked at.
    pub chunks: u64,
    /// Chunks whose records were read.
    pub chunks_read: u64,
    pub records: u64,
}

impl Scanned {
    fn add(&mut self, other: &Self) {
        self.buckets += other.buckets;
        self.chunks += other.chunks;
        self.chunks_read += other.chunks_read;
        self.records += other.records;
    }
}

#[derive(Clone, Debug)]
pub struct Page {
    /// In the order that was asked for.
    pub records: Vec<Record>,
    /// Where to go on; `None` when the range is exhausted. May be set with few or no records,
    /// when `scan_limit` was reached.
    pub next: Option<PageEnd>,
    pub scanned: Scanned,
}

/// Where a page stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// Everything up to this point of the order was looked at.
    pub cursor: Cursor,
    /// The limit of records was reached (false: the scan limit was).
    pub full: bool,
}

/// All records of one request over both layers, in time order.
#[derive(Clone, Debug)]
pub struct RequestRecords {
    pub request_id: RequestId,
    pub records: Vec<Record>,
    /// Records beyond the limit that were left out; 0 means that this is all.
    pub omitted: u64,
    pub scanned: Scanned,
}

/// Counts by level over time; `bins` cover the range from its start, each `bin_width` wide.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub range: TimeRange,
    pub bin_width: std::time::Duration,
    pub bins: Vec<LevelCounts>,
    pub scanned: Scanned,
}

/// The state of one follower: opaque to its owner, advanced by [`LogEngine::follow`].
#[derive(Clone, Debug)]
pub struct Follower {
    pub(crate) query: Query,
    pub(crate) cursor: super::chunks::ArrivalCursor,
}

impl Follower {
    /// One that goes on from a cursor of the same store.
    pub const fn from_cursor(query: Query, cursor: super::chunks::ArrivalCursor) -> Self {
        Self { query, cursor }
    }
}

#[derive(Clone)]
pub struct LogEngine {
    store: Arc<dyn ChunkStore>,
}

impl LogEngine {
    pub fn new(store: Arc<dyn ChunkStore>) -> Self {
        Self { store }
    }

    pub fn store(&self) -> &Arc<dyn ChunkStore> {
        &self.store
    }

    /// Stores frames and returns how many records they held. Repeating it changes nothing.
    pub async fn append(&self, frames: &[Frame]) -> Result<u64, StoreError> {
        self.append_shared(&frames.into()).await
    }

    /// As [`append`](Self::append), without a copy of the records.
    pub async fn append_shared(&self, frames: &Arc<[Frame]>) -> Result<u64, StoreError> {
        let settings = self.store.settings();
        let records = frames.iter().map(|frame| frame.entries.len() as u64).sum();
        let mut built = Vec::with_capacity(frames.len());
        for index in 0..frames.len() {
            built.push(build::build_shared(frames, index, settings));
            // About a millisecond for a frame of a thousand records.
            tokio::task::yield_now().await;
        }
        self.store.put(built).await?;
        Ok(records)
    }

    pub async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.store.watermark(origin).await
    }

    /// One page of the records that match, in order, merged over both layers and all origins.
    ///
    /// A record that two differently cut frames hold at the same time stamp is given once.
    pub async fn page(&self, request: &PageRequest) -> Result<Page, StoreError> {
        page::page(&*self.store, Arc::new(request.query.clone()), request).await
    }

    /// Records round one record, regardless of any filter: `before` older ones, itself, `after`
    /// newer, oldest first. They are its neighbours in time among all records of its layer and
    /// source, whatever host and file they came from: what else this program was doing.
    pub async fn context(
        &self,
        record: &Record,
        before: usize,
        after: usize,
    ) -> Result<Vec<Record>, StoreError> {
        page::context(&*self.store, record, before, after).await
    }

    /// Starts to follow from now on.
    pub async fn follower(&self, query: Query) -> Result<Follower, StoreError> {
        Ok(Follower {
            query,
            cursor: self.store.arrivals_end().await?,
        })
    }

    /// Records that arrived since the last call and match, in time order, each once, at most
    /// about `limit` (whole chunks). Returns at once, empty when nothing arrived.
    ///
    /// A call that is dropped or fails leaves the follower where it was.
    pub async fn follow(
        &self,
        follower: &mut Follower,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        follow::follow(&*self.store, follower, limit).await
    }

    /// Everything of one request, found through the request index: no time range is needed.
    pub async fn trace(&self, id: &RequestId, limit: usize) -> Result<RequestRecords, StoreError> {
        trace::trace(&*self.store, id, limit).await
    }

    /// Counts what matches in each bin. When bins are whole minutes (see [`Histogram::aligned`])
    /// and the query does not look at texts, no record is read.
    ///
    /// A record that two differently cut frames hold is counted twice.
    pub async fn histogram(
        &self,
        query: &Query,
        range: TimeRange,
        bins: usize,
        cancel: &CancellationToken,
    ) -> Result<Histogram, StoreError> {
        histogram::histogram(&*self.store, Arc::new(query.clone()), range, bins, cancel).await
    }

    /// Counts what matches in groups, from summaries where these tell. Days begin where the zone's do.
    ///
    /// A record that two differently cut frames hold is counted twice.
    pub async fn aggregate(
        &self,
        query: &Query,
        by: &Aggregate,
        zone: Zone,
        cancel: &CancellationToken,
    ) -> Result<aggregate::Groups, StoreError> {
        aggregate::aggregate(&*self.store, Arc::new(query.clone()), by, zone, cancel).await
    }

    /// From the oldest to the newest record of the layers; `None` for an empty store.
    pub async fn extent(&self, layers: &[Layer]) -> Result<Option<TimeRange>, StoreError> {
        histogram::extent(&*self.store, layers).await
    }
}
