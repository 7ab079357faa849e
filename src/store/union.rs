//! Several stores shown as one: our own tables, and those of others beside them. What is written
//! goes to our own.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use crate::domain::health::ring::Ring;
use crate::domain::record::{Layer, OriginId, RequestId};
use crate::domain::time::TimeRange;

use super::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, FrameChunks, Order, RecordFilter,
};
use super::error::{Backend, StoreError};

/// A read-only store that knows its own keys from others.
pub trait Part: ChunkStore {
    /// Whether a key is of this store. A key that is not says nothing about it.
    fn owns(&self, key: &ChunkKey) -> bool;
}

pub struct Union {
    own: Arc<dyn ChunkStore>,
    part: Arc<dyn Part>,
}

impl Union {
    /// `part` must have the settings of `own`: their buckets are merged.
    pub fn new(own: Arc<dyn ChunkStore>, part: Arc<dyn Part>) -> Self {
        Self { own, part }
    }

    /// Reads each key from the store that it is of, and puts the chunks back in order.
    async fn routed(
        &self,
        keys: &[ChunkKey],
        filter: Option<Arc<dyn RecordFilter>>,
    ) -> Result<Vec<Chunk>, StoreError> {
        let (theirs, ours): (Vec<ChunkKey>, Vec<ChunkKey>) =
            keys.iter().copied().partition(|key| self.part.owns(key));
        if theirs.is_empty() {
            return read(&*self.own, keys, filter).await;
        }
        let (ours, theirs) =
            tokio::try_join!(read(&*self.own, &ours, filter.clone()), read(&*self.part, &theirs, filter))?;
        let mut chunks: HashMap<ChunkKey, Chunk> =
            ours.into_iter().chain(theirs).map(|chunk| (chunk.summary.key, chunk)).collect();
        Ok(keys.iter().filter_map(|key| chunks.remove(key)).collect())
    }
}

async fn read<S: ChunkStore + ?Sized>(
    store: &S,
    keys: &[ChunkKey],
    filter: Option<Arc<dyn RecordFilter>>,
) -> Result<Vec<Chunk>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    match filter {
        Some(filter) => store.filtered(keys, filter).await,
        None => store.chunks(keys).await,
    }
}

#[async_trait]
impl ChunkStore for Union {
    fn backend(&self) -> Backend {
        self.own.backend()
    }

    fn address(&self) -> String {
        self.own.address()
    }

    fn settings(&self) -> ChunkSettings {
        self.own.settings()
    }

    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        self.own.put(frames).await
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.own.watermark(origin).await
    }

    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        self.own.watermarks(after, limit).await
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let (mut buckets, theirs) = tokio::try_join!(
            self.own.buckets(layer, range, order, limit),
            self.part.buckets(layer, range, order, limit)
        )?;
        buckets.extend(theirs);
        buckets.sort_unstable();
        buckets.dedup();
        if order == Order::NewestFirst {
            buckets.reverse();
        }
        buckets.truncate(limit);
        Ok(buckets)
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        let (mut summaries, theirs) =
            tokio::try_join!(self.own.summaries(bucket), self.part.summaries(bucket))?;
        if !theirs.is_empty() {
            summaries.extend(theirs);
            summaries.sort_by_key(|summary| (std::cmp::Reverse(summary.key.first_at), summary.key.id));
        }
        Ok(summaries)
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        self.routed(keys, None).await
    }

    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.routed(keys, Some(filter)).await
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        let (mut rows, theirs) = tokio::try_join!(self.own.request(id), self.part.request(id))?;
        rows.extend(theirs);
        Ok(rows)
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        let (own, part) = tokio::try_join!(self.own.arrivals_end(), self.part.arrivals_end())?;
        Ok(ArrivalCursor::Both(Box::new((own, part))))
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        let ArrivalCursor::Both(cursors) = cursor else {
            return Ok((Vec::new(), self.arrivals_end().await?));
        };
        let (own, part) = *cursors;
        let ((mut arrived, own), (theirs, part)) =
            tokio::try_join!(self.own.arrivals(own, limit), self.part.arrivals(part, limit))?;
        arrived.extend(theirs);
        Ok((arrived, ArrivalCursor::Both(Box::new((own, part)))))
    }

    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        let (mut stats, theirs) = tokio::try_join!(self.own.stats(), self.part.stats())?;
        stats.records += theirs.records;
        stats.chunks += theirs.chunks;
        stats.disk_bytes += theirs.disk_bytes;
        Ok(stats)
    }

    async fn ring(&self) -> Option<Ring> {
        self.own.ring().await
    }
}
