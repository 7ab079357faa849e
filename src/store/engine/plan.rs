//! How many chunks make a page, by what their summaries promise.

use std::collections::BTreeMap;

use crate::domain::record::Record;
use crate::domain::time::{TimeRange, Timestamp};
use crate::store::chunks::Order;

use super::page::Key;
use super::windows::Candidate;

/// A guess at what chunks will give: their records are taken to be spread evenly over their time,
/// and what a filter leaves of them to be as much as it left so far. A wrong guess costs a round
/// trip or some chunks read in vain, never a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    range: TimeRange,
    order: Order,
    /// By the summaries of what was read, and what came of it.
    promised: f64,
    kept: f64,
}

impl Plan {
    pub(super) fn new(range: TimeRange, order: Order) -> Self {
        Self { range, order, promised: 0.0, kept: 0.0 }
    }

    /// The number of the next chunks (last in `unread`) after which probably `wanted` records are
    /// there that nothing unread can come before; those in `ready` are read already. `None` when
    /// all of `unread` will probably not do.
    pub(super) fn chunks_for(
        &self,
        wanted: usize,
        unread: &[Candidate],
        ready: &BTreeMap<Key, Record>,
    ) -> Option<usize> {
        let wanted = wanted as f64;
        (0..=unread.len()).find(|&count| {
            let (rest, read) = unread.split_at(unread.len() - count);
            let bound = rest.last().map(|chunk| bound(chunk, self.order));
            let ready = ready.keys().filter(|(at, ..)| bound.is_none_or(|bound| self.precedes(*at, bound)));
            let promised: f64 = read.iter().map(|chunk| self.promise(chunk, bound)).sum();
            ready.count() as f64 + promised * self.share() >= wanted
        })
    }

    /// After reading these chunks, which gave so many records.
    pub(super) fn learn(&mut self, read: &[Candidate], kept: usize) {
        self.promised += read.iter().map(|chunk| self.promise(chunk, None)).sum::<f64>();
        self.kept += kept as f64;
    }

    /// Of what summaries promise, what comes: all, until something else was seen.
    fn share(&self) -> f64 {
        (self.kept + 1.0) / (self.promised + 1.0)
    }

    /// Records of the chunk that are in the range and come before `bound`.
    fn promise(&self, chunk: &Candidate, bound: Option<Timestamp>) -> f64 {
        let (first, last) = (micros(chunk.key.first_at), micros(chunk.last_at));
        let (mut from, mut until) = (first.max(micros(self.range.from)), last.min(micros(self.range.until)));
        match (self.order, bound) {
            (Order::NewestFirst, Some(bound)) => from = from.max(micros(bound)),
            (Order::OldestFirst, Some(bound)) => until = until.min(micros(bound)),
            (_, None) => {}
        }
        let matching = f64::from(chunk.matching);
        if last > first { matching * ((until - from) / (last - first)).max(0.0) } else { matching }
    }

    fn precedes(&self, at: Timestamp, bound: Timestamp) -> bool {
        match self.order {
            Order::NewestFirst => at > bound,
            Order::OldestFirst => at < bound,
        }
    }
}

/// The first instant, in order, at which a chunk may have a record.
pub(super) fn bound(chunk: &Candidate, order: Order) -> Timestamp {
    match order {
        Order::NewestFirst => chunk.last_at,
        Order::OldestFirst => chunk.key.first_at,
    }
}

/// Exact to the microsecond for a few centuries; a plan needs less.
fn micros(at: Timestamp) -> f64 {
    at.micros() as f64
}
