//! Counts over time, from the summaries wherever these suffice, and the extent of a store.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::chunks::{ChunkStore, Order};
use crate::error::StoreError;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Entry, Layer, LevelCounts, Origin};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::Histogram;
use super::build::{MINUTE, before, ceiling, floor};
use super::selection::{Selection, holds};
use super::walk::{Minute, Tally, minutes, walk};

/// More bins than any screen has columns.
const MOST_BINS: usize = 10_000;
/// A range of less is drawn finer than by minutes, from the records themselves.
const FEW_MINUTES: usize = 10;

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
    let (tallies, scanned) = walk(store, selection, inside, cancel, || counted.clone()).await?;
    let mut bins = counted.bins;
    for tally in tallies {
        bins.iter_mut()
            .zip(&tally.bins)
            .for_each(|(bin, counts)| bin.merge(counts));
    }
    let bin_width = Duration::from_micros(u64::try_from(width).unwrap_or(u64::MAX));
    Ok(Histogram {
        range,
        bin_width,
        bins,
        scanned,
    })
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
}

impl Tally for Counted {
    /// By its minutes, if each minute falls into one bin or wholly outside.
    fn add_summary(&mut self, summary: &ChunkSummary, levels: [bool; 5]) -> bool {
        let mut placed = Vec::with_capacity(summary.minutes.len());
        for Minute { first, last, .. } in minutes(summary) {
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

    fn add(&mut self, _: &Origin, entry: &Entry) {
        if let Some(bin) = self.bin(entry.timestamp) {
            self.bins[bin].add(entry.level);
        }
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
