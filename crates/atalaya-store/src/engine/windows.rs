//! The candidates of a read, window after window. A window is one bucket's span in all layers; no
//! chunk reaches beyond its bucket, so windows can be read one by one in order, and only chunks of
//! the same window need to be merged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::chunks::{ChunkStore, Order};
use crate::error::StoreError;
use atalaya_domain::chunk::{Bucket, ChunkKey};
use atalaya_domain::record::Layer;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::Scanned;
use super::build::bucket_range;
use super::index::named;
use super::selection::{Selection, is_empty, overlaps};

/// Buckets listed by the first call to the store, which is mostly the only one, and by later ones.
const FIRST_LISTED: usize = 8;
const LISTED: usize = 64;
/// Windows whose summaries are asked for at once.
pub(super) const MOST_AHEAD: usize = 8;

/// A chunk that may hold wanted records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) key: ChunkKey,
    pub(super) last_at: Timestamp,
    /// How many, by its summary: not less than there are, or a guess.
    pub(super) matching: u32,
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
    /// Of a request: found by the index, all at once.
    ready: VecDeque<Window>,
    layers: Vec<LayerBuckets>,
    at_end: bool,
}

/// The buckets of one layer that are listed but not read, and what is left to list.
struct LayerBuckets {
    layer: Layer,
    listed: VecDeque<Bucket>,
    rest: Option<TimeRange>,
    /// By the next call.
    limit: usize,
}

impl LayerBuckets {
    fn new(layer: Layer, range: TimeRange) -> Self {
        Self {
            layer,
            listed: VecDeque::new(),
            rest: Some(range),
            limit: FIRST_LISTED,
        }
    }

    async fn refill(&mut self, store: &dyn ChunkStore, order: Order) -> Result<(), StoreError> {
        let Some(rest) = self.rest.take_if(|_| self.listed.is_empty()) else {
            return Ok(());
        };
        let buckets = store.buckets(self.layer, rest, order, self.limit).await?;
        if let Some(&last) = buckets.last().filter(|_| buckets.len() >= self.limit) {
            let window = bucket_range(last, store.settings());
            let rest = match order {
                Order::NewestFirst => TimeRange::new(rest.from, window.from),
                Order::OldestFirst => TimeRange::new(window.until, rest.until),
            };
            // The last bucket ends with time itself: nothing is left behind it.
            self.rest = (!rest.is_empty()).then_some(rest);
        }
        self.limit = LISTED;
        self.listed = buckets.into();
        Ok(())
    }
}

impl<'a> Windows<'a> {
    /// Everything in the range that the selection may match: by an index where one knows what it
    /// asks for, else by the buckets.
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
            ready: VecDeque::new(),
            layers: Vec::new(),
            at_end: false,
        };
        if let Some(named) = named(store, &*selection, range).await? {
            scanned.chunks += named.looked_at;
            windows.ready = windows.windows(named.chunks);
        } else if !is_empty(&range) {
            let layers = selection.layers().into_iter();
            windows.layers = layers
                .map(|layer| LayerBuckets::new(layer, range))
                .collect();
        }
        Ok(windows)
    }

    /// What an index names, by window and in order.
    fn windows(&self, named: Vec<(ChunkKey, Timestamp)>) -> VecDeque<Window> {
        let mut windows: BTreeMap<Timestamp, Window> = BTreeMap::new();
        for (key, last_at) in named {
            let range = bucket_range(key.bucket, self.store.settings());
            let window = windows.entry(key.bucket.start).or_insert_with(|| Window {
                start: range.from,
                end: range.until,
                candidates: Vec::new(),
            });
            // The index does not count: one, at least.
            window.candidates.push(Candidate {
                key,
                last_at,
                matching: 1,
            });
        }
        match self.order {
            Order::NewestFirst => windows.into_values().rev().collect(),
            Order::OldestFirst => windows.into_values().collect(),
        }
    }

    /// Whether [`next`](Self::next) found nothing more.
    pub(super) fn at_end(&self) -> bool {
        self.at_end
    }

    /// The next windows in order, as one, also when none of them has a candidate; at most `ahead`.
    /// `None` at the end.
    pub(super) async fn next(
        &mut self,
        ahead: usize,
        scanned: &mut Scanned,
    ) -> Result<Option<Window>, StoreError> {
        let ahead = ahead.clamp(1, MOST_AHEAD);
        let mut windows: Vec<Window> = self.ready.drain(..ahead.min(self.ready.len())).collect();
        if windows.is_empty() {
            let mut starts: Vec<Vec<Bucket>> = Vec::new();
            while starts.len() < ahead {
                let Some(buckets) = self.next_buckets().await? else {
                    break;
                };
                starts.push(buckets);
            }
            let reads = starts.into_iter().map(|buckets| self.read(buckets));
            for (window, looked_at) in futures::future::try_join_all(reads).await? {
                scanned.chunks += looked_at;
                windows.push(window);
            }
        }
        scanned.buckets += windows.len() as u64;
        let all = windows.into_iter().reduce(|mut all, window| {
            all.start = all.start.min(window.start);
            all.end = all.end.max(window.end);
            all.candidates.extend(window.candidates);
            all
        });
        self.at_end = all.is_none();
        Ok(all)
    }

    async fn read(&self, buckets: Vec<Bucket>) -> Result<(Window, u64), StoreError> {
        let range = buckets.first().map_or(TimeRange::ALL, |&bucket| {
            bucket_range(bucket, self.store.settings())
        });
        let mut window = Window {
            start: range.from,
            end: range.until,
            candidates: Vec::new(),
        };
        let mut looked_at = 0;
        let reads = buckets
            .into_iter()
            .map(|bucket| self.store.summaries(bucket));
        for summary in futures::future::try_join_all(reads)
            .await?
            .into_iter()
            .flatten()
        {
            looked_at += 1;
            if overlaps(&self.range, &summary) && self.selection.may_match(&summary) {
                let matching = match self.selection.matching_levels(&summary) {
                    Some(levels) => summary.levels.only(levels).total(),
                    None => summary.records(),
                };
                window.candidates.push(Candidate {
                    key: summary.key,
                    last_at: summary.last_at,
                    matching,
                });
            }
        }
        Ok((window, looked_at))
    }

    /// The buckets of the next window, one for each layer that has it.
    async fn next_buckets(&mut self) -> Result<Option<Vec<Bucket>>, StoreError> {
        let (store, order) = (self.store, self.order);
        futures::future::try_join_all(
            self.layers
                .iter_mut()
                .map(|layer| layer.refill(store, order)),
        )
        .await?;
        let fronts = self
            .layers
            .iter()
            .filter_map(|layer| layer.listed.front().map(|bucket| bucket.start));
        let next = match self.order {
            Order::NewestFirst => fronts.max(),
            Order::OldestFirst => fronts.min(),
        };
        Ok(next.map(|start| {
            let layers = self.layers.iter_mut();
            layers
                .filter_map(|layer| layer.listed.pop_front_if(|bucket| bucket.start == start))
                .collect()
        }))
    }
}
