//! Reading logs for people and scripts: pages one after the other until enough was found, with the
//! account of what that took.
//!
//! Nothing is gathered here: each page goes to the caller as it comes, so that ten records show at
//! once and ten million need no memory.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use atalaya_domain::record::{Record, RecordId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Cursor, Follower, LogEngine, PageRequest, Scanned};
use atalaya_store::error::StoreError;

/// Most records in one page.
const PAGE: usize = 500;
/// Records decoded before a page comes back even if it holds little: what cancelling waits for.
const SCAN_STEP: u64 = 100_000;

/// What to look for.
#[derive(Clone, Debug)]
pub struct Search {
    pub query: Query,
    pub order: Order,
    /// Most records to give; `None` gives all.
    pub limit: Option<u64>,
    pub cancel: CancellationToken,
}

impl Search {
    pub fn new(query: Query, order: Order, limit: Option<u64>) -> Self {
        Self {
            query,
            order,
            limit,
            cancel: CancellationToken::new(),
        }
    }
}

/// What a search took and found. Displays as `scanned 1200 records in 3 of 40 chunks, matched 7`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub matched: u64,
    pub scanned: Scanned,
    /// False when the limit was reached, or the caller stopped, before the end of the range.
    pub complete: bool,
}

impl Outcome {
    fn add(&mut self, scanned: Scanned) {
        self.scanned.buckets += scanned.buckets;
        self.scanned.chunks += scanned.chunks;
        self.scanned.chunks_read += scanned.chunks_read;
        self.scanned.records += scanned.records;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scanned {
            chunks,
            chunks_read,
            records,
            ..
        } = self.scanned;
        write!(
            formatter,
            "scanned {records} records in {chunks_read} of {chunks} chunks, matched {}",
            self.matched
        )
    }
}

/// Gives the matching records in order, page by page, until there are no more, the limit is
/// reached or `sink` breaks.
pub async fn search(
    logs: &LogEngine,
    search: &Search,
    mut sink: impl FnMut(Vec<Record>) -> ControlFlow<()>,
) -> Result<Outcome, StoreError> {
    let mut outcome = Outcome::default();
    let mut after = None;
    loop {
        let left = search
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(outcome.matched));
        if left == 0 {
            return Ok(outcome);
        }
        let request = PageRequest {
            query: search.query.clone(),
            range: TimeRange::ALL,
            order: search.order,
            after,
            limit: usize::try_from(left).unwrap_or(usize::MAX).min(PAGE),
            scan_limit: SCAN_STEP,
            cancel: search.cancel.clone(),
        };
        let page = logs.page(&request).await?;
        outcome.matched += page.records.len() as u64;
        outcome.add(page.scanned);
        let stopped = !page.records.is_empty() && sink(page.records).is_break();
        let Some(end) = page.next else {
            outcome.complete = !stopped;
            return Ok(outcome);
        };
        if stopped {
            return Ok(outcome);
        }
        after = Some(end.cursor);
    }
}

/// Some records of a list that is given in parts.
#[derive(Clone, Debug)]
pub struct Part {
    pub records: Vec<Record>,
    /// Where the next part begins; `None`: this is the last.
    pub next: Option<Cursor>,
    pub scanned: Scanned,
}

/// The next `limit` records after a cursor, or those that were found within `patience`.
///
/// # Errors
/// Those of the store.
pub async fn part(
    logs: &LogEngine,
    search: &Search,
    after: Option<Cursor>,
    patience: Duration,
) -> Result<Part, StoreError> {
    let limit = search.limit.unwrap_or(PAGE as u64);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let begun = Instant::now();
    let mut outcome = Outcome::default();
    let mut records = Vec::new();
    let mut after = after;
    loop {
        let request = PageRequest {
            query: search.query.clone(),
            range: TimeRange::ALL,
            order: search.order,
            after,
            limit: (limit - records.len()).min(PAGE),
            scan_limit: SCAN_STEP,
            cancel: search.cancel.clone(),
        };
        let page = logs.page(&request).await?;
        records.extend(page.records);
        outcome.add(page.scanned);
        let next = page.next.map(|end| end.cursor);
        if next.is_none() || records.len() >= limit || begun.elapsed() >= patience {
            return Ok(Part {
                records,
                next,
                scanned: outcome.scanned,
            });
        }
        after = next;
    }
}

/// A cursor as a text that says nothing to anybody else: `MICROSECONDS.RECORD`.
pub fn cursor_text(cursor: &Cursor) -> String {
    format!("{}.{}", cursor.timestamp.micros(), cursor.id)
}

/// The cursor of such a text.
pub fn cursor_of(text: &str) -> Option<Cursor> {
    let (micros, id) = text.split_once('.')?;
    Some(Cursor {
        timestamp: Timestamp::from_micros(micros.parse().ok()?),
        id: id.parse().ok()?,
    })
}

/// The record of an id with its neighbours, oldest first; `None`: there is none.
///
/// # Errors
/// Those of the store.
pub async fn context(
    logs: &LogEngine,
    id: RecordId,
    before: usize,
    after: usize,
) -> Result<Option<Vec<Record>>, StoreError> {
    let clock = QueryClock {
        now: Timestamp::now(),
        zone: Zone::Utc,
    };
    // An id prints as what the query language reads.
    let Ok(query) = Query::parse(&format!("id:{id}"), &clock) else {
        return Ok(None);
    };
    let mut found = None;
    search(
        logs,
        &Search::new(query, Order::NewestFirst, Some(1)),
        |records| {
            found = records.into_iter().next();
            ControlFlow::Break(())
        },
    )
    .await?;
    match found {
        Some(record) => logs.context(&record, before, after).await.map(Some),
        None => Ok(None),
    }
}

/// The newest records that match, and then those that arrive.
///
/// The tail is taken hold of before the first page is read: nothing falls between the two, and
/// what both saw is given once.
#[derive(Debug)]
pub struct Tail {
    follower: Follower,
    /// Records of the first page that may come again as arrivals.
    given: HashSet<RecordId>,
}

impl Tail {
    /// Starts following, and gives the newest `limit` records, oldest first.
    pub async fn start(
        logs: &LogEngine,
        query: Query,
        limit: u64,
    ) -> Result<(Self, Vec<Record>), StoreError> {
        let follower = logs.follower(query.clone()).await?;
        let mut newest = Vec::new();
        let first = Search::new(query, Order::NewestFirst, Some(limit));
        search(logs, &first, |records| {
            newest.extend(records);
            ControlFlow::Continue(())
        })
        .await?;
        newest.reverse();
        let given = newest.iter().map(Record::id).collect();
        Ok((Self { follower, given }, newest))
    }

    /// What arrived since the last call, in time order; returns at once.
    pub async fn next(&mut self, logs: &LogEngine) -> Result<Vec<Record>, StoreError> {
        let mut records = logs.follow(&mut self.follower, PAGE).await?;
        if !self.given.is_empty() && !records.is_empty() {
            records.retain(|record| !self.given.remove(&record.id()));
        }
        Ok(records)
    }
}
