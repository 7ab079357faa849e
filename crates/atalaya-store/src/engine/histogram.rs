//! Counts over time, from the summaries wherever these suffice, and the extent of a store.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::chunks::{ChunkStore, Order, RecordFilter};
use crate::error::StoreError;
use atalaya_domain::chunk::{ChunkKey, ChunkSummary};
use atalaya_domain::record::{Layer, LevelCounts};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::build::{MINUTE, bucket_range, ceiling, floor};
use super::selection::{Selection, Wanted, holds, is_empty, overlaps, unless_cancelled};
use super::{Histogram, Scanned};

/// More bins than any screen has columns.
const MOST_BINS: usize = 10_000;
/// A range of less is drawn finer than by minutes, from the records themselves.
const FEW_MINUTES: usize = 10;
/// Buckets listed by one call to the store: more than a day has.
const LISTED: usize = 256;
/// Buckets whose summaries are looked at before records are read; how many are asked for together, and
/// how often at once.
const BUCKETS: usize = 64;
const TOGETHER: usize = 8;
const AT_ONCE: usize = 4;
/// Chunks decoded at once.
const CHUNKS: usize = 64;

impl Histogram {
    /// The range, widened to whole minutes, and at most `bins` bins of whole minutes over it: with
    /// these a histogram is drawn from summaries alone. A range of a few minutes, of which one
    /// wants to see the seconds, comes back as it is.
    pub fn aligned(range: TimeRange, bins: usize) -> (TimeRange, usize) {
        let bins = bins.clamp(1, MOST_BINS);
        let wide = TimeRange::new(
            floor(range.from, MINUTE),
            ceiling(before(range.until), MINUTE),
        );
        let minutes = wide.length().as_micros().div_ceil(MINUTE as u128);
        if range.is_empty() || minutes < bins.min(FEW_MINUTES) as u128 {
            return (range, bins);
        }
        let width = minutes.div_ceil(bins as u128);
        let bins = minutes.div_ceil(width);
        let length =
            Duration::from_micros(u64::try_from(bins * width * MINUTE as u128).unwrap_or(u64::MAX));
        (
            TimeRange::new(wide.from, wide.from.saturating_add(length)),
            usize::try_from(bins).unwrap_or(MOST_BINS),
        )
    }
}

pub(super) async fn histogram(
    store: &dyn ChunkStore,
    selection: Arc<dyn Selection>,
    range: TimeRange,
    bins: usize,
    cancel: &CancellationToken,
) -> Result<Histogram, StoreError> {
    let bins = bins.clamp(1, MOST_BINS);
    // 128 bits: from the first to the last instant there are more microseconds than fit 64.
    let length = i128::from(range.until.micros()) - i128::from(range.from.micros());
    let width = length.max(1).div_euclid(bins as i128)
        + i128::from(length.max(1).rem_euclid(bins as i128) > 0);
    let inside = range.intersect(&selection.range());
    let counted = Counted {
        range,
        inside,
        width,
        bins: vec![LevelCounts::default(); bins],
    };
    let layers = selection.layers().into_iter().map(|layer| {
        let filter = Wanted::filter(Arc::clone(&selection), inside, None);
        Counting {
            store,
            selection: &*selection,
            filter,
            cancel,
            counted: counted.clone(),
        }
        .layer(layer)
    });
    let mut bins = vec![LevelCounts::default(); bins];
    let mut scanned = Scanned::default();
    for (of_layer, scanned_there) in futures::future::try_join_all(layers).await? {
        bins.iter_mut()
            .zip(&of_layer.bins)
            .for_each(|(bin, counts)| bin.merge(counts));
        scanned.add(&scanned_there);
    }
    let bin_width = Duration::from_micros(u64::try_from(width).unwrap_or(u64::MAX));
    Ok(Histogram {
        range,
        bin_width,
        bins,
        scanned,
    })
}

/// What counting one layer takes.
struct Counting<'a> {
    store: &'a dyn ChunkStore,
    selection: &'a dyn Selection,
    filter: Arc<dyn RecordFilter>,
    cancel: &'a CancellationToken,
    counted: Counted,
}

impl Counting<'_> {
    async fn layer(mut self, layer: Layer) -> Result<(Counted, Scanned), StoreError> {
        let mut scanned = Scanned::default();
        let mut rest = self.counted.inside;
        let mut undecided: Vec<ChunkKey> = Vec::new();
        while !is_empty(&rest) {
            let buckets = self.store.buckets(layer, rest, Order::OldestFirst, LISTED);
            let buckets = unless_cancelled(self.cancel, buckets).await?;
            let Some(&last) = buckets.last() else { break };
            rest.from = bucket_range(last, self.store.settings()).until;
            scanned.buckets += buckets.len() as u64;
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
                    scanned.chunks += summaries.len() as u64;
                    undecided.extend(summaries.iter().filter_map(|summary| self.decide(summary)));
                }
                while undecided.len() >= CHUNKS {
                    self.records(&undecided.split_off(undecided.len() - CHUNKS), &mut scanned)
                        .await?;
                }
            }
            if listed_all {
                break;
            }
        }
        self.records(&undecided, &mut scanned).await?;
        Ok((self.counted, scanned))
    }

    /// Counts a chunk by its summary, or says that its records are needed.
    fn decide(&mut self, summary: &ChunkSummary) -> Option<ChunkKey> {
        if !overlaps(&self.counted.inside, summary) || !self.selection.may_match(summary) {
            return None;
        }
        let levels = self.selection.matching_levels(summary);
        let counted = levels.is_some_and(|levels| self.counted.add_summary(summary, levels));
        (!counted).then_some(summary.key)
    }

    async fn records(
        &mut self,
        keys: &[ChunkKey],
        scanned: &mut Scanned,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let chunks = self.store.filtered(keys, Arc::clone(&self.filter));
        for chunk in unless_cancelled(self.cancel, chunks).await? {
            scanned.chunks_read += 1;
            scanned.records += u64::from(chunk.summary.records());
            for entry in &chunk.entries {
                if let Some(bin) = self.counted.bin(entry.timestamp) {
                    self.counted.bins[bin].add(entry.level);
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Counted {
    range: TimeRange,
    /// The part of the range in which the selection can match.
    inside: TimeRange,
    /// Of a bin, in microseconds.
    width: i128,
    bins: Vec<LevelCounts>,
}

impl Counted {
    /// The bin of an instant; `None` outside of what is counted.
    fn bin(&self, at: Timestamp) -> Option<usize> {
        if !holds(&self.inside, at) {
            return None;
        }
        let offset = i128::from(at.micros()) - i128::from(self.range.from.micros());
        // The last instant of time stands just past the last bin.
        usize::try_from(offset / self.width)
            .ok()
            .map(|bin| bin.min(self.bins.len() - 1))
    }

    /// Counts a chunk's records of these levels by its minutes, if each minute falls into one bin
    /// or wholly outside.
    fn add_summary(&mut self, summary: &ChunkSummary, levels: [bool; 5]) -> bool {
        let mut placed = Vec::with_capacity(summary.minutes.len());
        for minute in &summary.minutes {
            let first = minute.minute.max(summary.key.first_at);
            let end = ceiling(minute.minute, MINUTE);
            // The last minute includes the instant that it ends with.
            let last = if end == Timestamp::MAX {
                end
            } else {
                before(end)
            }
            .min(summary.last_at);
            let bin = self.bin(first);
            let outside = last < self.inside.from || first >= self.inside.until;
            if bin != self.bin(last) || (bin.is_none() && !outside) {
                return false;
            }
            placed.push(bin);
        }
        for (bin, minute) in placed.into_iter().zip(&summary.minutes) {
            if let Some(bin) = bin {
                self.bins[bin].merge(&minute.levels.only(levels));
            }
        }
        true
    }
}

pub(super) async fn extent(
    store: &dyn ChunkStore,
    layers: &[Layer],
) -> Result<Option<TimeRange>, StoreError> {
    let mut extent: Option<TimeRange> = None;
    for &layer in layers {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for bucket in store.buckets(layer, TimeRange::ALL, order, 1).await? {
                for summary in store.summaries(bucket).await? {
                    let range = summary.range();
                    extent = Some(extent.map_or(range, |known| {
                        TimeRange::new(known.from.min(range.from), known.until.max(range.until))
                    }));
                }
            }
        }
    }
    Ok(extent)
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_sub(1))
}
