//! Several stores shown as one: our own tables, and those of others beside them. What is written
//! goes to our own. What was copied from there into our own is shown once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::health::ring::Ring;
use atalaya_domain::record::{Layer, OriginId, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, Expired, FrameChunks, Order,
    RecordFilter, StoreHealth, Troubles,
};
use super::error::{Backend, StoreError};

/// A read-only store that knows its own keys from others.
pub trait Part: ChunkStore {
    /// Whether a key is of this store. A key that is not says nothing about it.
    fn owns(&self, key: &ChunkKey) -> bool;
}

/// Where a follower stands in each of the two stores.
#[derive(Clone, Debug, PartialEq)]
struct Both {
    own: ArrivalCursor,
    part: ArrivalCursor,
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
        let (ours, theirs) = tokio::try_join!(
            read(&*self.own, &ours, filter.clone()),
            read(&*self.part, &theirs, filter)
        )?;
        let mut chunks: HashMap<ChunkKey, Chunk> = ours
            .into_iter()
            .chain(theirs)
            .map(|chunk| (chunk.summary.key, chunk))
            .collect();
        Ok(keys.iter().filter_map(|key| chunks.remove(key)).collect())
    }
}

/// What was adopted (`service::adopt`) is on both sides of one bucket, under the same origins. Of each
/// origin the side stays that holds more: ours, or the table with rows that came since.
fn keep_the_fuller(own: &mut Vec<ChunkSummary>, theirs: &mut Vec<ChunkSummary>) {
    let records = |summaries: &[ChunkSummary]| {
        let mut records: HashMap<OriginId, u64> = HashMap::new();
        for summary in summaries {
            *records.entry(summary.origin.id).or_default() += u64::from(summary.levels.total());
        }
        records
    };
    let (here, there) = (records(own), records(theirs));
    let of = |side: &HashMap<OriginId, u64>, summary: &ChunkSummary| {
        side.get(&summary.origin.id).copied().unwrap_or(0)
    };
    own.retain(|summary| of(&here, summary) >= of(&there, summary));
    theirs.retain(|summary| of(&there, summary) > of(&here, summary));
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

    fn retention(&self) -> Option<Duration> {
        self.own.retention()
    }

    async fn expire_before(&self, before: Timestamp) -> Result<Option<Expired>, StoreError> {
        self.own.expire_before(before).await
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
        let (mut summaries, mut theirs) =
            tokio::try_join!(self.own.summaries(bucket), self.part.summaries(bucket))?;
        if !theirs.is_empty() {
            keep_the_fuller(&mut summaries, &mut theirs);
            summaries.extend(theirs);
            summaries
                .sort_by_key(|summary| (std::cmp::Reverse(summary.key.first_at), summary.key.id));
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
        Ok(ArrivalCursor::new(Both { own, part }))
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        let Some(Both { own, part }) = cursor.get::<Both>().cloned() else {
            return Ok((Vec::new(), self.arrivals_end().await?));
        };
        let ((mut arrived, own), (theirs, part)) = tokio::try_join!(
            self.own.arrivals(own, limit),
            self.part.arrivals(part, limit)
        )?;
        arrived.extend(theirs);
        Ok((arrived, ArrivalCursor::new(Both { own, part })))
    }
}

#[async_trait]
impl StoreHealth for Union {
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

    fn outages(&self) -> u64 {
        self.own.outages()
    }

    fn troubles(&self) -> Troubles {
        let own = self.own.troubles();
        Troubles {
            reads: own.reads.or_else(|| self.part.troubles().reads),
            ..own
        }
    }

    fn read_only(&self) -> Option<String> {
        self.own.read_only()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::build::build;
    use atalaya_domain::record::{Entry, Frame, Origin};
    use atalaya_domain::time::Timestamp;

    fn summaries(origin: u128, records: u64) -> Vec<ChunkSummary> {
        let origin = Origin {
            id: OriginId::from_u128(origin),
            layer: Layer::Application,
            source: "app".into(),
            host: "h".into(),
        };
        let entries = (0..records)
            .map(|position| Entry {
                timestamp: Timestamp::from_seconds(1),
                position,
                ..Entry::default()
            })
            .collect();
        let frame = Frame {
            origin: Arc::new(origin),
            from: 0,
            until: records,
            entries,
        };
        build(&frame, ChunkSettings::default())
            .chunks
            .into_iter()
            .map(|chunk| chunk.summary)
            .collect()
    }

    #[test]
    fn what_was_adopted_counts_once_and_what_came_since_is_not_lost() {
        let of = |sides: &[(u128, u64)]| -> Vec<ChunkSummary> {
            sides
                .iter()
                .flat_map(|&(origin, records)| summaries(origin, records))
                .collect()
        };
        // Only ours; adopted; adopted before three more came; rows that the table has lost; only theirs.
        let mut own = of(&[(1, 5), (2, 600), (3, 4), (4, 9)]);
        let mut theirs = of(&[(2, 600), (3, 7), (4, 2), (5, 8)]);
        keep_the_fuller(&mut own, &mut theirs);
        let told = |summaries: &[ChunkSummary]| -> Vec<(u128, u32)> {
            summaries
                .iter()
                .map(|summary| (summary.origin.id.as_u128(), summary.levels.total()))
                .collect()
        };
        assert_eq!(told(&own), told(&of(&[(1, 5), (2, 600), (4, 9)])));
        assert_eq!(told(&theirs), [(3, 7), (5, 8)]);
    }
}
