//! Some buckets of several stores, read as one store: what a backup takes of a store, and what a
//! chain of backups gives.
//!
//! Each bucket is read from the one store that it was assigned to, whole. Nothing can be written.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::record::{Layer, OriginId, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, FrameChunks, Order, StoreHealth,
};
use super::engine::build::bucket_of;
use super::error::{Backend, StoreError};

/// See the module.
pub struct View {
    stores: Vec<Arc<dyn ChunkStore>>,
    /// Which store has the bucket.
    places: BTreeMap<Bucket, usize>,
    address: String,
    records: u64,
}

impl View {
    /// `stores` is not empty, and all have the same settings; the watermarks are those of the last
    /// one. `address` is for messages, `records` for whoever asks how many there are.
    pub fn new(
        stores: Vec<Arc<dyn ChunkStore>>,
        places: BTreeMap<Bucket, usize>,
        address: String,
        records: u64,
    ) -> Self {
        Self {
            stores,
            places,
            address,
            records,
        }
    }

    fn of(&self, bucket: Bucket) -> Option<&Arc<dyn ChunkStore>> {
        self.stores.get(*self.places.get(&bucket)?)
    }

    fn last(&self) -> Result<&Arc<dyn ChunkStore>, StoreError> {
        self.stores.last().ok_or_else(|| self.read_only())
    }

    fn read_only(&self) -> StoreError {
        StoreError::Refused {
            backend: self.backend(),
            source: "a view of other stores is only read".into(),
        }
    }
}

#[async_trait]
impl ChunkStore for View {
    fn backend(&self) -> Backend {
        self.stores
            .last()
            .map_or(Backend::Sqlite, |store| store.backend())
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn settings(&self) -> ChunkSettings {
        self.stores
            .last()
            .map_or_else(ChunkSettings::default, |store| store.settings())
    }

    async fn put(&self, _frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.last()?.watermark(origin).await
    }

    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        self.last()?.watermarks(after, limit).await
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let from = bucket_of(layer, range.from, self.settings());
        let until = Bucket {
            layer,
            start: range.until,
        };
        // The end of time is inside.
        let until = if range.until == Timestamp::MAX {
            Bound::Included(until)
        } else {
            Bound::Excluded(until)
        };
        if range.from >= range.until && range.until != Timestamp::MAX {
            return Ok(Vec::new());
        }
        let within = self.places.range((Bound::Included(from), until));
        let within = within.map(|(bucket, _)| *bucket);
        Ok(match order {
            Order::OldestFirst => within.take(limit).collect(),
            Order::NewestFirst => within.rev().take(limit).collect(),
        })
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        match self.of(bucket) {
            Some(store) => store.summaries(bucket).await,
            None => Ok(Vec::new()),
        }
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        let mut by_store: BTreeMap<usize, Vec<ChunkKey>> = BTreeMap::new();
        for key in keys {
            if let Some(place) = self.places.get(&key.bucket) {
                by_store.entry(*place).or_default().push(*key);
            }
        }
        let mut found = Vec::with_capacity(keys.len());
        for (place, keys) in by_store {
            if let Some(store) = self.stores.get(place) {
                found.append(&mut store.chunks(&keys).await?);
            }
        }
        let order: BTreeMap<&ChunkKey, usize> =
            keys.iter().enumerate().map(|(at, key)| (key, at)).collect();
        found.sort_by_key(|chunk| order.get(&chunk.summary.key).copied());
        Ok(found)
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        let mut found = Vec::new();
        for (place, store) in self.stores.iter().enumerate() {
            let rows = store.request(id).await?;
            found.extend(
                rows.into_iter()
                    .filter(|row| self.places.get(&row.chunk.bucket) == Some(&place)),
            );
        }
        Ok(found)
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        Err(self.read_only())
    }

    async fn arrivals(
        &self,
        _cursor: ArrivalCursor,
        _limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        Err(self.read_only())
    }
}

#[async_trait]
impl StoreHealth for View {
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        Ok(ChunkStoreStats {
            records: self.records,
            ..ChunkStoreStats::default()
        })
    }
}
