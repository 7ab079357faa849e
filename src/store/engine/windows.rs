//! The candidates of a read, window after window. A window is one bucket's span in all layers; no
//! chunk reaches beyond its bucket, so windows can be read one by one in order, and only chunks of
//! the same window need to be merged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::domain::chunk::{Bucket, ChunkKey};
use crate::domain::record::{Layer, RequestId};
use crate::domain::time::{TimeRange, Timestamp};
use crate::store::chunks::{ChunkStore, Order};
use crate::store::error::StoreError;

use super::Scanned;
use super::build::bucket_range;
use super::selection::{Selection, is_empty, overlaps, spans};

/// Buckets listed by one call to the store.
const LISTED: usize = 64;
/// Windows whose summaries are asked for at once, when the ones before gave nothing.
const MOST_AHEAD: usize = 8;

/// A chunk that may hold wanted records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) key: ChunkKey,
    pub(super) last_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) candidates: Vec<Candidate>,
}

pub(super) struct Windows<'a> {
    store: &'a dyn ChunkStore,
    selection: Arc<dyn Selection>,
    range: TimeRange,
    order: Order,
    ahead: usize,
    ready: VecDeque<Window>,
    layers: Vec<LayerBuckets>,
}

/// The buckets of one layer that are listed but not read, and what is left to list.
struct LayerBuckets {
    layer: Layer,
    listed: VecDeque<Bucket>,
    rest: Option<TimeRange>,
}

impl<'a> Windows<'a> {
    /// Everything in the range that the selection may match: by the request index when it asks
    /// for one request, else by the buckets.
    pub(super) async fn open(
        store: &'a dyn ChunkStore,
        selection: Arc<dyn Selection>,
        range: TimeRange,
        order: Order,
        scanned: &mut Scanned,
    ) -> Result<Self, StoreError> {
        let mut windows = Self {
            store,
            selection: Arc::clone(&selection),
            range,
            order,
            ahead: 1,
            ready: VecDeque::new(),
            layers: Vec::new(),
        };
        if let Some(id) = selection.request_id() {
            windows.ready = windows.of_request(id, scanned).await?;
        } else if !is_empty(&range) {
            let layers = selection.layers().into_iter();
            windows.layers = layers
                .map(|layer| LayerBuckets { layer, listed: VecDeque::new(), rest: Some(range) })
                .collect();
        }
        Ok(windows)
    }

    async fn of_request(
        &self,
        id: &RequestId,
        scanned: &mut Scanned,
    ) -> Result<VecDeque<Window>, StoreError> {
        let layers = self.selection.layers();
        let rows = self.store.request(id).await?;
        scanned.chunks += rows.len() as u64;
        let mut windows: BTreeMap<Timestamp, Window> = BTreeMap::new();
        for row in rows {
            let bucket = row.chunk.bucket;
            if layers.contains(&bucket.layer) && spans(&self.range, row.first_seen, row.last_seen) {
                let range = bucket_range(bucket, self.store.settings());
                let window = windows.entry(bucket.start).or_insert_with(|| Window {
                    start: range.from,
                    end: range.until,
                    candidates: Vec::new(),
                });
                window.candidates.push(Candidate { key: row.chunk, last_at: row.last_seen });
            }
        }
        scanned.buckets += windows.len() as u64;
        Ok(match self.order {
            Order::NewestFirst => windows.into_values().rev().collect(),
            Order::OldestFirst => windows.into_values().collect(),
        })
    }

    /// The next window in order, also one without candidates; `None` at the end.
    pub(super) async fn next(&mut self, scanned: &mut Scanned) -> Result<Option<Window>, StoreError> {
        if self.ready.is_empty() {
            let mut starts: Vec<Vec<Bucket>> = Vec::new();
            while starts.len() < self.ahead {
                let Some(buckets) = self.next_buckets().await? else { break };
                starts.push(buckets);
            }
            let reads = starts.into_iter().map(|buckets| self.read(buckets));
            let mut found = false;
            let mut ready = VecDeque::new();
            for (window, looked_at) in futures::future::try_join_all(reads).await? {
                scanned.chunks += looked_at;
                found |= !window.candidates.is_empty();
                ready.push_back(window);
            }
            self.ready = ready;
            self.ahead = if found { 1 } else { (self.ahead * 2).min(MOST_AHEAD) };
        }
        let window = self.ready.pop_front();
        scanned.buckets += u64::from(window.is_some());
        Ok(window)
    }

    async fn read(&self, buckets: Vec<Bucket>) -> Result<(Window, u64), StoreError> {
        let range =
            buckets.first().map_or(TimeRange::ALL, |&bucket| bucket_range(bucket, self.store.settings()));
        let mut window = Window { start: range.from, end: range.until, candidates: Vec::new() };
        let mut looked_at = 0;
        for bucket in buckets {
            for summary in self.store.summaries(bucket).await? {
                looked_at += 1;
                if overlaps(&self.range, &summary) && self.selection.may_match(&summary) {
                    window.candidates.push(Candidate { key: summary.key, last_at: summary.last_at });
                }
            }
        }
        Ok((window, looked_at))
    }

    /// The buckets of the next window, one for each layer that has it.
    async fn next_buckets(&mut self) -> Result<Option<Vec<Bucket>>, StoreError> {
        for layer in &mut self.layers {
            if layer.listed.is_empty()
                && let Some(rest) = layer.rest.take()
            {
                let buckets = self.store.buckets(layer.layer, rest, self.order, LISTED).await?;
                if let Some(&last) = buckets.last().filter(|_| buckets.len() >= LISTED) {
                    let window = bucket_range(last, self.store.settings());
                    let rest = match self.order {
                        Order::NewestFirst => TimeRange::new(rest.from, window.from),
                        Order::OldestFirst => TimeRange::new(window.until, rest.until),
                    };
                    // The last bucket ends with time itself: nothing is left behind it.
                    layer.rest = (!rest.is_empty()).then_some(rest);
                }
                layer.listed = buckets.into();
            }
        }
        let fronts = self.layers.iter().filter_map(|layer| layer.listed.front().map(|bucket| bucket.start));
        let next = match self.order {
            Order::NewestFirst => fronts.max(),
            Order::OldestFirst => fronts.min(),
        };
        Ok(next.map(|start| {
            let layers = self.layers.iter_mut();
            layers.filter_map(|layer| layer.listed.pop_front_if(|bucket| bucket.start == start)).collect()
        }))
    }
}
