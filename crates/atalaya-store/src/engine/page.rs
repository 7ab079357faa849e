//! One page in order: a merge that holds back a record while a chunk that was not read yet may
//! hold one that comes before it.
//!
//! How many chunks are read at once is planned by their summaries: a store across a network costs
//! a round trip for each batch, and each chunk that was not needed costs its decoding.
//!
//! Memory is bounded by the page: of what was read, only the best `limit` records are kept, and
//! chunks are read a batch at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::chunks::{ChunkStore, Order, RecordFilter};
use crate::error::StoreError;
use atalaya_domain::record::{OriginId, Record, RecordId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::Query;

use super::plan::{Plan, bound};
use super::selection::{OneSource, Selection, Wanted, unless_cancelled};
use super::windows::{Candidate, MOST_AHEAD, Windows};
use super::{Cursor, Page, PageEnd, PageRequest, Scanned};

/// Chunks read at once, at most.
const MOST_BATCH: usize = 64;

pub(super) type Key = (Timestamp, OriginId, u64);

const LAST_ID: RecordId = RecordId {
    origin: OriginId::from_u128(u128::MAX),
    position: u64::MAX,
};
const FIRST_ID: RecordId = RecordId {
    origin: OriginId::from_u128(0),
    position: 0,
};

pub(super) async fn page(
    store: &dyn ChunkStore,
    selection: Arc<dyn Selection>,
    request: &PageRequest,
) -> Result<Page, StoreError> {
    let mut range = request.range.intersect(&selection.range());
    if let Some(Cursor { timestamp, .. }) = request.after {
        range = match request.order {
            Order::NewestFirst => TimeRange::new(range.from, range.until.min(after(timestamp))),
            Order::OldestFirst => TimeRange::new(range.from.max(timestamp), range.until),
        };
    }
    let filter = Wanted::filter(
        Arc::clone(&selection),
        range,
        request.after.map(|cursor| (cursor, request.order)),
    );
    let mut scanned = Scanned::default();
    let windows = Windows::open(store, selection, range, request.order, &mut scanned);
    let windows = unless_cancelled(&request.cancel, windows).await?;
    let merge = Merge {
        store,
        filter,
        windows,
        order: request.order,
        limit: request.limit.max(1),
        scan_limit: request.scan_limit,
        cancel: &request.cancel,
        from: request.after,
        unread: Vec::new(),
        seen_to: None,
        ready: BTreeMap::new(),
        records: Vec::new(),
        plan: Plan::new(range, request.order),
        scanned,
    };
    merge.run().await
}

pub(super) async fn context(
    store: &dyn ChunkStore,
    record: &Record,
    before: usize,
    after: usize,
) -> Result<Vec<Record>, StoreError> {
    let cursor = Cursor {
        timestamp: record.entry.timestamp,
        id: record.id(),
    };
    let side = async |order, limit| -> Result<Vec<Record>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let source = OneSource {
            layer: record.origin.layer,
            source: record.origin.source.clone(),
        };
        let request = PageRequest {
            query: Query::everything(),
            range: TimeRange::ALL,
            order,
            after: Some(cursor),
            limit,
            scan_limit: u64::MAX,
            cancel: CancellationToken::new(),
        };
        Ok(page(store, Arc::new(source), &request).await?.records)
    };
    let mut records = side(Order::NewestFirst, before).await?;
    records.reverse();
    records.push(record.clone());
    records.extend(side(Order::OldestFirst, after).await?);
    Ok(records)
}

struct Merge<'a> {
    store: &'a dyn ChunkStore,
    filter: Arc<dyn RecordFilter>,
    windows: Windows<'a>,
    order: Order,
    limit: usize,
    scan_limit: u64,
    cancel: &'a CancellationToken,
    /// Where the page began, to tell whether a stop at the scan limit is any progress.
    from: Option<Cursor>,
    /// Chunks of the windows looked at so far, the next one last.
    unread: Vec<Candidate>,
    /// Where these windows end, in order: what lies beyond was not looked at. `None` before the
    /// first window and behind the last instant of time.
    seen_to: Option<Cursor>,
    /// Read, but a chunk that is not may hold something that comes before.
    ready: BTreeMap<Key, Record>,
    /// The page so far.
    records: Vec<Record>,
    plan: Plan,
    scanned: Scanned,
}

impl Merge<'_> {
    async fn run(mut self) -> Result<Page, StoreError> {
        loop {
            let batch = self.next_batch().await?;
            self.release(self.unread.last().map(|chunk| bound(chunk, self.order)));
            if self.records.len() >= self.limit {
                let end = self.records.last().map(|last| PageEnd {
                    cursor: cursor_of(last),
                    full: true,
                });
                return Ok(self.finish(end));
            }
            if let Some(cursor) = self.stop() {
                return Ok(self.finish(Some(PageEnd {
                    cursor,
                    full: false,
                })));
            }
            if batch > 0 {
                let batch = self
                    .unread
                    .split_off(self.unread.len().saturating_sub(batch));
                self.read(&batch).await?;
            } else if self.windows.at_end() {
                return Ok(self.finish(None));
            }
        }
    }

    /// How many chunks to read now. Looks at further windows until those at hand make a page by
    /// what their summaries promise, or a whole batch.
    async fn next_batch(&mut self) -> Result<usize, StoreError> {
        let mut ahead = 1;
        loop {
            let wanted = self.limit - self.records.len();
            let next = &self.unread[self.unread.len().saturating_sub(MOST_BATCH)..];
            let planned = self.plan.chunks_for(wanted, next, &self.ready);
            if let Some(planned) = planned {
                return Ok(planned);
            }
            if next.len() == MOST_BATCH || self.windows.at_end() || self.stop().is_some() {
                return Ok(next.len());
            }
            let looked_at = self.windows.next(ahead, &mut self.scanned);
            let Some(window) = unless_cancelled(self.cancel, looked_at).await? else {
                continue;
            };
            ahead = (ahead * 2).min(MOST_AHEAD);
            self.unread.extend(window.candidates);
            match self.order {
                Order::NewestFirst => {
                    self.unread.sort_unstable_by_key(|chunk| chunk.last_at);
                    self.seen_to = Some(Cursor {
                        timestamp: window.start,
                        id: FIRST_ID,
                    });
                }
                Order::OldestFirst => {
                    self.unread
                        .sort_unstable_by_key(|chunk| std::cmp::Reverse(chunk.key.first_at));
                    // The last window includes the instant that it ends with.
                    let last = window.end == Timestamp::MAX;
                    self.seen_to = if last {
                        None
                    } else {
                        self.cursor_before(window.end)
                    };
                }
            }
            if self.from.is_none() {
                self.from = self
                    .unread
                    .last()
                    .and_then(|chunk| self.cursor_before(bound(chunk, self.order)));
            }
        }
    }

    /// Where to stop because enough was looked at, unless that is where the page began. Nothing is
    /// left to be looked at before it.
    fn stop(&self) -> Option<Cursor> {
        if self.cost() < self.scan_limit {
            return None;
        }
        let stop = match self.unread.last() {
            Some(next) => self.cursor_before(bound(next, self.order)),
            None => self.seen_to,
        };
        stop.filter(|stop| self.is_progress(stop))
    }

    async fn read(&mut self, batch: &[Candidate]) -> Result<(), StoreError> {
        let keys: Vec<_> = batch.iter().rev().map(|chunk| chunk.key).collect();
        let chunks = self.store.filtered(&keys, Arc::clone(&self.filter));
        let chunks = unless_cancelled(self.cancel, chunks).await?;
        self.plan
            .learn(batch, chunks.iter().map(|chunk| chunk.entries.len()).sum());
        for chunk in chunks {
            self.scanned.chunks_read += 1;
            self.scanned.records += u64::from(chunk.summary.records());
            for entry in chunk.entries {
                let record = Record {
                    origin: Arc::clone(&chunk.summary.origin),
                    entry,
                };
                self.ready.insert(record.sort_key(), record);
            }
            // What comes after a full page is read again for the next one.
            while self.ready.len() > self.limit - self.records.len() {
                match self.order {
                    Order::NewestFirst => self.ready.pop_first(),
                    Order::OldestFirst => self.ready.pop_last(),
                };
            }
        }
        Ok(())
    }

    /// Moves to the page what nothing unread can come before. `bound` is the first instant, in
    /// order, at which an unread chunk of the window may have a record.
    fn release(&mut self, bound: Option<Timestamp>) {
        while self.records.len() < self.limit {
            let entry = match self.order {
                Order::NewestFirst => self.ready.last_entry(),
                Order::OldestFirst => self.ready.first_entry(),
            };
            let Some(entry) = entry else { return };
            let at = entry.key().0;
            let free = bound.is_none_or(|bound| match self.order {
                Order::NewestFirst => at > bound,
                Order::OldestFirst => at < bound,
            });
            if !free {
                return;
            }
            self.records.push(entry.remove());
        }
    }

    /// The place just before all records of this instant, in order; none before the first instant.
    fn cursor_before(&self, at: Timestamp) -> Option<Cursor> {
        match self.order {
            Order::NewestFirst => (at < Timestamp::MAX).then(|| Cursor {
                timestamp: after(at),
                id: FIRST_ID,
            }),
            Order::OldestFirst => at.micros().checked_sub(1).map(|micros| Cursor {
                timestamp: Timestamp::from_micros(micros),
                id: LAST_ID,
            }),
        }
    }

    fn is_progress(&self, stop: &Cursor) -> bool {
        let place = |cursor: &Cursor| (cursor.timestamp, cursor.id);
        self.from.as_ref().is_none_or(|from| match self.order {
            Order::NewestFirst => place(stop) < place(from),
            Order::OldestFirst => place(stop) > place(from),
        })
    }

    /// In records: what was decoded, and the lesser work of looking at summaries and buckets, so
    /// that a long stretch without candidates ends a call as well.
    fn cost(&self) -> u64 {
        self.scanned.records + self.scanned.chunks * 2 + self.scanned.buckets * 20
    }

    fn finish(self, next: Option<PageEnd>) -> Page {
        Page {
            records: self.records,
            next,
            scanned: self.scanned,
        }
    }
}

fn cursor_of(record: &Record) -> Cursor {
    Cursor {
        timestamp: record.entry.timestamp,
        id: record.id(),
    }
}

fn after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(1))
}
