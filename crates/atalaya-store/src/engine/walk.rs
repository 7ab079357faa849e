//! The one walk behind everything that is counted: over the summaries of a range, and over records
//! where summaries do not tell. The order is nobody's concern, so that much is asked for at once.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::chunks::{ChunkStore, Order, RecordFilter};
use crate::error::StoreError;
use atalaya_domain::chunk::{ChunkKey, ChunkSummary};
use atalaya_domain::record::{Entry, Layer, LevelCounts, Origin};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::Scanned;
use super::build::{MINUTE, before, bucket_range, ceiling};
use super::index::named;
use super::selection::{Selection, Wanted, is_empty, overlaps, unless_cancelled};

/// Buckets listed by one call to the store: more than a day has.
const LISTED: usize = 256;
/// Buckets whose summaries are looked at before records are read; how many are asked for together, and
/// how often at once.
const BUCKETS: usize = 64;
const TOGETHER: usize = 8;
const AT_ONCE: usize = 4;
/// Chunks decoded at once.
const CHUNKS: usize = 64;

/// What counts. One for each layer, so that both are walked at the same time.
pub(super) trait Tally: Send {
    /// Counts a chunk's records of these levels; false: it cannot without the records.
    fn add_summary(&mut self, summary: &ChunkSummary, levels: [bool; 5]) -> bool;

    fn add(&mut self, origin: &Origin, entry: &Entry);
}

/// The part of a chunk's minute that its records can be in.
pub(super) struct Minute<'a> {
    pub first: Timestamp,
    pub last: Timestamp,
    pub levels: &'a LevelCounts,
}

pub(super) fn minutes(summary: &ChunkSummary) -> impl Iterator<Item = Minute<'_>> {
    summary.minutes.iter().map(|minute| {
        let end = ceiling(minute.minute, MINUTE);
        // The last minute includes the instant that it ends with.
        let last = if end == Timestamp::MAX {
            end
        } else {
            before(end)
        };
        Minute {
            first: minute.minute.max(summary.key.first_at),
            last: last.min(summary.last_at),
            levels: &minute.levels,
        }
    })
}

/// Counts what is selected within `inside`, in as many tallies as were needed.
///
/// # Errors
/// Those of the store, and [`StoreError::Cancelled`].
pub(super) async fn walk<T: Tally>(
    store: &dyn ChunkStore,
    selection: Arc<dyn Selection>,
    inside: TimeRange,
    cancel: &CancellationToken,
    tally: impl Fn() -> T,
) -> Result<(Vec<T>, Scanned), StoreError> {
    let filter = Wanted::filter(Arc::clone(&selection), inside, None);
    let walk = |tally| Walk {
        store,
        selection: &*selection,
        filter: Arc::clone(&filter),
        cancel,
        inside,
        tally,
        scanned: Scanned::default(),
    };
    let named = named(store, &*selection, inside);
    if let Some(named) = unless_cancelled(cancel, named).await? {
        let mut walk = walk(tally());
        walk.scanned.chunks += named.looked_at;
        let keys: Vec<ChunkKey> = named.chunks.into_iter().map(|(key, _)| key).collect();
        for some in keys.chunks(CHUNKS) {
            walk.records(some).await?;
        }
        return Ok((vec![walk.tally], walk.scanned));
    }
    let layers = selection.layers().into_iter();
    let walks = layers.map(|layer| walk(tally()).layer(layer));
    let mut scanned = Scanned::default();
    let mut tallies = Vec::new();
    for (tally, of_layer) in futures::future::try_join_all(walks).await? {
        scanned.add(&of_layer);
        tallies.push(tally);
    }
    Ok((tallies, scanned))
}

struct Walk<'a, T> {
    store: &'a dyn ChunkStore,
    selection: &'a dyn Selection,
    filter: Arc<dyn RecordFilter>,
    cancel: &'a CancellationToken,
    inside: TimeRange,
    tally: T,
    scanned: Scanned,
}

impl<T: Tally> Walk<'_, T> {
    async fn layer(mut self, layer: Layer) -> Result<(T, Scanned), StoreError> {
        let mut rest = self.inside;
        let mut undecided: Vec<ChunkKey> = Vec::new();
        while !is_empty(&rest) {
            let buckets = self.store.buckets(layer, rest, Order::OldestFirst, LISTED);
            let buckets = unless_cancelled(self.cancel, buckets).await?;
            let Some(&last) = buckets.last() else { break };
            rest.from = bucket_range(last, self.store.settings()).until;
            self.scanned.buckets += buckets.len() as u64;
            let listed_all = buckets.len() < LISTED || rest.from == Timestamp::MAX;
            // Some at a time and to their end: reads that were only begun would keep their connections
            // while records are waited for.
            for some in buckets.chunks(BUCKETS) {
                let store = self.store;
                let reads = some
                    .chunks(TOGETHER)
                    .map(|few| store.summaries_of(few))
                    .collect::<Vec<_>>();
                let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
                while let Some(summaries) = unless_cancelled(self.cancel, reads.try_next()).await? {
                    self.scanned.chunks += summaries.len() as u64;
                    undecided.extend(summaries.iter().filter_map(|summary| self.decide(summary)));
                }
                while undecided.len() >= CHUNKS {
                    let some = undecided.split_off(undecided.len() - CHUNKS);
                    self.records(&some).await?;
                }
            }
            if listed_all {
                break;
            }
        }
        self.records(&undecided).await?;
        Ok((self.tally, self.scanned))
    }

    /// Counts a chunk by its summary, or says that its records are needed.
    fn decide(&mut self, summary: &ChunkSummary) -> Option<ChunkKey> {
        if !overlaps(&self.inside, summary) || !self.selection.may_match(summary) {
            return None;
        }
        let levels = self.selection.matching_levels(summary);
        let counted = levels.is_some_and(|levels| self.tally.add_summary(summary, levels));
        (!counted).then_some(summary.key)
    }

    async fn records(&mut self, keys: &[ChunkKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let chunks = self.store.filtered(keys, Arc::clone(&self.filter));
        for chunk in unless_cancelled(self.cancel, chunks).await? {
            self.scanned.chunks_read += 1;
            self.scanned.records += u64::from(chunk.summary.records());
            for entry in &chunk.entries {
                self.tally.add(&chunk.summary.origin, entry);
            }
        }
        Ok(())
    }
}
