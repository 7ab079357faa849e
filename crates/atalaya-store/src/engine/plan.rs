//! How many chunks make a page, by what their summaries promise.

use std::collections::BTreeMap;

use crate::chunks::Order;
use atalaya_domain::record::Record;
use atalaya_domain::time::{TimeRange, Timestamp};

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
        Self {
            range,
            order,
            promised: 0.0,
            kept: 0.0,
        }
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
            let ready = ready
                .keys()
                .filter(|(at, ..)| bound.is_none_or(|bound| self.precedes(*at, bound)));
            let promised: f64 = read.iter().map(|chunk| self.promise(chunk, bound)).sum();
            ready.count() as f64 + promised * self.share() >= wanted
        })
    }

    /// After reading these chunks, which gave so many records.
    pub(super) fn learn(&mut self, read: &[Candidate], kept: usize) {
        self.promised += read
            .iter()
            .map(|chunk| self.promise(chunk, None))
            .sum::<f64>();
        self.kept += kept as f64;
    }

    /// Of what summaries promise, what comes: all, until something else was seen.
    fn share(&self) -> f64 {
        (self.kept + 1.0) / (self.promised + 1.0)
    }

    /// Records of the chunk that are in the range and come before `bound`.
    fn promise(&self, chunk: &Candidate, bound: Option<Timestamp>) -> f64 {
        let (first, last) = (micros(chunk.key.first_at), micros(chunk.last_at));
        let (mut from, mut until) = (
            first.max(micros(self.range.from)),
            last.min(micros(self.range.until)),
        );
        match (self.order, bound) {
            (Order::NewestFirst, Some(bound)) => from = from.max(micros(bound)),
            (Order::OldestFirst, Some(bound)) => until = until.min(micros(bound)),
            (_, None) => {}
        }
        let matching = f64::from(chunk.matching);
        if last > first {
            matching * ((until - from) / (last - first)).max(0.0)
        } else {
            matching
        }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use atalaya_domain::chunk::{Bucket, ChunkKey};
    use atalaya_domain::record::Layer;

    const SECOND: i64 = 1_000_000;

    /// A chunk of so many records from one second to another.
    fn chunk(from: i64, until: i64, matching: u32) -> Candidate {
        let at = |second: i64| Timestamp::from_micros(second * SECOND);
        let bucket = Bucket {
            layer: Layer::Application,
            start: at(0),
        };
        let key = ChunkKey {
            bucket,
            first_at: at(from),
            id: Uuid::from_u128(u128::from(matching)),
        };
        Candidate {
            key,
            last_at: at(until),
            matching,
        }
    }

    fn newest(wanted: usize, unread: &[Candidate], plan: Plan) -> Option<usize> {
        plan.chunks_for(wanted, unread, &BTreeMap::new())
    }

    #[test]
    fn one_after_the_other_are_read_until_they_are_enough() {
        let plan = Plan::new(TimeRange::ALL, Order::NewestFirst);
        let unread: Vec<Candidate> = (0..9)
            .map(|place| chunk(place * 10, place * 10 + 9, 100))
            .collect();
        assert_eq!(newest(100, &unread, plan), Some(1));
        assert_eq!(newest(250, &unread, plan), Some(3));
        assert_eq!(newest(901, &unread, plan), None);
        let oldest: Vec<Candidate> = unread.into_iter().rev().collect();
        let plan = Plan::new(TimeRange::ALL, Order::OldestFirst);
        assert_eq!(plan.chunks_for(250, &oldest, &BTreeMap::new()), Some(3));
    }

    #[test]
    fn chunks_over_the_same_time_are_read_together() {
        // Eight origins: no record of one is sure to be next while another was not read.
        let older = (0..8).map(|place| chunk(place, 80 + place, 200));
        let newer = (0..8).map(|place| chunk(100 + place, 180 + place, 200));
        let unread: Vec<Candidate> = older.chain(newer).collect();
        assert_eq!(
            newest(200, &unread, Plan::new(TimeRange::ALL, Order::NewestFirst)),
            Some(8)
        );
    }

    #[test]
    fn what_lies_beyond_the_range_is_not_counted() {
        let until = Timestamp::from_micros(185 * SECOND);
        let plan = Plan::new(TimeRange::new(Timestamp::MIN, until), Order::NewestFirst);
        let unread = [
            chunk(160, 169, 100),
            chunk(170, 179, 100),
            chunk(180, 190, 100),
        ];
        assert_eq!(newest(60, &unread, plan), Some(2));
    }

    #[test]
    fn a_filter_that_leaves_little_asks_for_more() {
        let mut plan = Plan::new(TimeRange::ALL, Order::NewestFirst);
        let unread: Vec<Candidate> = (0..60)
            .map(|place| chunk(place * 10, place * 10 + 9, 100))
            .collect();
        plan.learn(&unread[..1], 9);
        assert_eq!(newest(50, &unread, plan), Some(6), "a tenth is left");
        plan.learn(&unread[..10], 0);
        assert_eq!(newest(100, &unread, plan), None);
    }
}
