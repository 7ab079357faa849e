//! What arrived since: a table of somebody else's has no order of arrival, so the rows of the last
//! seconds are read again and those already given are left out.
//!
//! A row that is written more than [`OVERLAP`] after its own time stamp, while newer ones are there
//! already, is not announced; it is there for every other read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use atalaya_domain::chunk::{Bucket, ChunkKey, ChunkSummary};
use atalaya_domain::time::Timestamp;

use super::key::{DAY_MS, Day};
use super::table::BriefRow;
use super::windows::{TableWindows, summary_of};

/// How far back rows may come late.
pub(super) const OVERLAP: Duration = Duration::from_secs(15);
/// New rows given by one call and table.
const MOST_NEW: usize = 20_000;
/// Rows remembered as given; beyond it the overlap gets shorter.
const MOST_SEEN: usize = 200_000;
/// Rows of an announced chunk.
const MOST_ROWS: usize = 500;

/// How far the tables were read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct ForeignCursor {
    /// In the order of the tables.
    pub(super) tables: Vec<Arc<TableCursor>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableCursor {
    /// The newest instant up to which rows were given, in milliseconds; never in the future.
    since_ms: i64,
    /// Rows before this were given, or came too late.
    from_ms: i64,
    /// Given rows from there on: instant, day, position.
    seen: BTreeSet<(i64, Day, u64)>,
}

/// What a call found: summaries, and of which rows each is made.
pub(super) type Announced = Vec<(ChunkSummary, Vec<u64>)>;

/// The cursor from which everything that comes later is new.
pub(super) async fn start(
    windows: &TableWindows,
    now: Timestamp,
) -> Result<TableCursor, StoreError> {
    let now_ms = now.micros().div_euclid(1_000);
    let mut cursor = TableCursor {
        since_ms: now_ms,
        from_ms: now_ms - overlap_ms(),
        seen: BTreeSet::new(),
    };
    for day in days(&cursor, now) {
        windows
            .table
            .briefs(day, cursor.from_ms, end_of(day), |row| {
                cursor.see(day, &row);
                Ok(true)
            })
            .await?;
    }
    cursor.trim();
    Ok(cursor)
}

/// Rows that were not there, cut into chunks.
pub(super) async fn news(
    windows: &TableWindows,
    cursor: &TableCursor,
    now: Timestamp,
) -> Result<(Announced, TableCursor), StoreError> {
    let mut next = cursor.clone();
    let mut announced = Vec::new();
    let mut newest = None;
    let mut left = MOST_NEW;
    for day in days(cursor, now) {
        let mut runs = Runs {
            windows,
            day,
            open: BTreeMap::new(),
            done: Vec::new(),
        };
        windows
            .table
            .briefs(day, cursor.from_ms, end_of(day), |row| {
                if row.position.is_none() {
                    return Ok(true);
                }
                if next.see(day, &row) {
                    newest = newest.max(Some(row.at));
                    left = left.saturating_sub(1);
                    runs.add(row);
                } else {
                    runs.interrupt(&row);
                }
                Ok(left > 0)
            })
            .await?;
        announced.extend(runs.finish());
        if left == 0 {
            break;
        }
    }
    if let Some(newest) = newest {
        let newest_ms = newest.min(now).micros().div_euclid(1_000);
        next.since_ms = next.since_ms.max(newest_ms);
        next.from_ms = next.from_ms.max(next.since_ms - overlap_ms());
        next.trim();
    }
    Ok((announced, next))
}

fn overlap_ms() -> i64 {
    OVERLAP.as_millis() as i64
}

/// The partitions that new rows are looked for in.
fn days(cursor: &TableCursor, now: Timestamp) -> impl Iterator<Item = Day> + use<> {
    let first = Day::of(Timestamp::from_millis(cursor.from_ms)).plus(-1);
    // A follower that was away for long does not read all the days between.
    let first = first.max(Day::of(now).plus(-2));
    (first.0..=Day::of(now).0 + 1).map(Day)
}

fn end_of(day: Day) -> i64 {
    day.start_ms() + 2 * DAY_MS
}

impl TableCursor {
    /// Remembers a row; `false` when it was known.
    fn see(&mut self, day: Day, row: &BriefRow) -> bool {
        let Some(position) = row.position else {
            return false;
        };
        self.seen
            .insert((row.at.micros().div_euclid(1_000), day, position))
    }

    fn trim(&mut self) {
        while self.seen.len() > MOST_SEEN
            && let Some((at_ms, _, _)) = self.seen.pop_first()
        {
            self.from_ms = self.from_ms.max(at_ms + 1);
        }
        self.seen = self.seen.split_off(&(self.from_ms, Day(i32::MIN), 0));
    }
}

/// Runs of new rows of one origin and bucket that no known row of it interrupts.
struct Runs<'a> {
    windows: &'a TableWindows,
    day: Day,
    open: BTreeMap<u64, Vec<BriefRow>>,
    done: Announced,
}

impl Runs<'_> {
    fn add(&mut self, row: BriefRow) {
        let full = self.open.get(&row.source.tag).is_some_and(|rows| {
            rows.len() >= MOST_ROWS
                || rows.first().is_some_and(|first| {
                    self.windows.window(first.at) != self.windows.window(row.at)
                })
        });
        if full {
            self.interrupt(&row);
        }
        self.open.entry(row.source.tag).or_default().push(row);
    }

    fn interrupt(&mut self, row: &BriefRow) {
        if let Some(rows) = self.open.remove(&row.source.tag) {
            self.close(&rows);
        }
    }

    fn close(&mut self, rows: &[BriefRow]) {
        let Some(first) = rows.first() else { return };
        let table = &self.windows.table;
        let bucket = Bucket {
            layer: table.mapping.layer,
            start: self.windows.window(first.at),
        };
        // A row further from its day than its neighbours has no place in a bucket's key.
        if (self.day.0 - Day::of(bucket.start).0).abs() > 1 {
            return;
        }
        if let Some(summary) = summary_of(table, bucket, self.day, rows, true) {
            self.done.push((
                summary,
                rows.iter().filter_map(|row| row.position).collect(),
            ));
        }
    }

    fn finish(mut self) -> Announced {
        for rows in std::mem::take(&mut self.open).into_values() {
            self.close(&rows);
        }
        self.done
    }
}

/// Which rows the announced chunks are made of: a row that comes between them later is announced
/// itself. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Rows {
    chunks: BTreeMap<ChunkKey, (u64, Arc<BTreeSet<u64>>)>,
    order: BTreeMap<u64, ChunkKey>,
    next: u64,
}

/// Announced chunks whose rows are remembered: 8 MB at most.
const REMEMBERED: usize = 1_024;

impl Rows {
    pub(super) fn put(&mut self, key: ChunkKey, positions: Vec<u64>) {
        self.next += 1;
        let rows = Arc::new(positions.into_iter().collect());
        if let Some((before, _)) = self.chunks.insert(key, (self.next, rows)) {
            self.order.remove(&before);
        }
        self.order.insert(self.next, key);
        while self.order.len() > REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.chunks.remove(&oldest);
        }
    }

    pub(super) fn of(&self, key: &ChunkKey) -> Option<Arc<BTreeSet<u64>>> {
        self.chunks.get(key).map(|(_, rows)| Arc::clone(rows))
    }
}
