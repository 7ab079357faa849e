//! Which windows of a table hold rows, and what is in them. All from bounded reads: the two ends of
//! a partition, one row of a window, the rows of a window without their texts.
//!
//! A writer may stamp its rows in another zone than it names its partitions in, so the rows of a
//! day are looked for in the partitions of the day before and after as well.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::chunks::{ChunkSettings, Order};
use crate::engine::build::{MINUTE, bucket_of, bucket_range, floor};
use crate::error::StoreError;
use crate::sync::lock;
use atalaya_domain::chunk::{Bucket, ChunkSummary, MinuteCounts};
use atalaya_domain::record::LevelCounts;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::key::{DAY_MS, Day, chunk_key};
use super::known::Known;
use super::table::{BriefRow, SourceOfRow, Table};

/// Summaries remembered, over all tables: about 10 MB.
const SUMMARIES: usize = 50_000;
/// Partition ends and window answers remembered.
const ANSWERS: usize = 50_000;
/// Reads at once, of the smallest kind.
const AT_ONCE: usize = 16;
/// Days whose ends are read ahead.
const DAYS_AHEAD: i32 = 8;

/// One table's windows.
pub(super) struct TableWindows {
    pub(super) table: Arc<Table>,
    settings: ChunkSettings,
    ends: Mutex<Known<Day, Option<(i64, i64)>>>,
    occupied: Mutex<Known<(Day, Timestamp), bool>>,
    summaries: Mutex<Known<(Day, Timestamp), Arc<[ChunkSummary]>>>,
}

/// A window of a day, and what is known of it.
struct Candidate {
    start: Timestamp,
    /// Partitions that may hold rows of it.
    days: Vec<Day>,
    /// The end of a partition lies in it: there is a row.
    certain: bool,
}

impl TableWindows {
    /// `tables` share what may be remembered.
    pub(super) fn new(table: Table, settings: ChunkSettings, tables: usize) -> Self {
        Self {
            table: Arc::new(table),
            settings,
            ends: Mutex::new(Known::new(ANSWERS / tables)),
            occupied: Mutex::new(Known::new(ANSWERS / tables)),
            summaries: Mutex::new(Known::new(SUMMARIES / tables)),
        }
    }

    /// The partitions that are looked at, now.
    pub(super) fn days(&self, now: Timestamp) -> (Day, Day) {
        let today = Day::of(now);
        (
            today.plus(-i32::from(self.table.mapping.days)),
            today.plus(1),
        )
    }

    /// The ends of a partition, cut to the day before and after its own; `None` when it is empty.
    pub(super) async fn ends(
        &self,
        day: Day,
        now: Timestamp,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        if let Some(known) = lock(&self.ends).get(&day, now) {
            return Ok(known);
        }
        let (from, until) = (day.start_ms() - DAY_MS, day.start_ms() + 2 * DAY_MS);
        let found = self.table.bounds(day).await?;
        let inside = found
            .map(|(first, last)| (first.max(from), last.min(until - 1)))
            .filter(|(first, last)| first <= last);
        // A day that has ended may still get rows from where it has not.
        lock(&self.ends).put(day, inside, 1, Timestamp::from_millis(until), now);
        Ok(inside)
    }

    /// Starts of the windows that hold rows and overlap the range, in order.
    pub(super) async fn occupied(
        &self,
        range: TimeRange,
        order: Order,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let (oldest, newest) = self.days(now);
        let last = if range.until == Timestamp::MAX {
            Timestamp::MAX
        } else {
            Timestamp::from_micros(range.until.micros().saturating_sub(1))
        };
        let mut from = Day::of(range.from).max(oldest.plus(-1));
        let mut until = Day::of(last).min(newest.plus(1));
        let mut starts = Vec::new();
        while from <= until && starts.len() < limit {
            let (first_day, last_day) = match order {
                Order::OldestFirst => (from, from.plus(DAYS_AHEAD - 1).min(until)),
                Order::NewestFirst => (until.plus(1 - DAYS_AHEAD).max(from), until),
            };
            let mut days: Vec<Day> = (first_day.0..=last_day.0).map(Day).collect();
            let around = (first_day.0 - 1..=last_day.0 + 1).map(Day);
            let around = around.filter(|day| (oldest..=newest).contains(day));
            let ends: BTreeMap<Day, (i64, i64)> = stream::iter(around)
                .map(async |day| Ok::<_, StoreError>((day, self.ends(day, now).await?)))
                .buffered(AT_ONCE)
                .try_filter_map(async |(day, ends)| Ok(ends.map(|ends| (day, ends))))
                .try_collect()
                .await?;
            if order == Order::NewestFirst {
                days.reverse();
            }
            for day in days {
                let mut candidates = self.candidates(day, &ends, range.from, last);
                if order == Order::NewestFirst {
                    candidates.reverse();
                }
                let mut checked = stream::iter(candidates)
                    .map(async |window| Ok((window.start, self.holds_rows(&window, now).await?)))
                    .buffered(AT_ONCE);
                while let Some((start, holds)) = checked.try_next().await? {
                    if holds {
                        starts.push(start);
                        if starts.len() >= limit {
                            return Ok(starts);
                        }
                    }
                }
            }
            match order {
                Order::OldestFirst => from = last_day.plus(1),
                Order::NewestFirst => until = first_day.plus(-1),
            }
        }
        Ok(starts)
    }

    /// The windows of a day between the ends of the partitions round it.
    fn candidates(
        &self,
        day: Day,
        ends: &BTreeMap<Day, (i64, i64)>,
        from: Timestamp,
        last: Timestamp,
    ) -> Vec<Candidate> {
        let mut windows: BTreeMap<Timestamp, Candidate> = BTreeMap::new();
        for (&partition, &(first_ms, last_ms)) in ends.range(day.plus(-1)..=day.plus(1)) {
            let day_end = day.start_ms() + DAY_MS - 1;
            if last_ms < day.start_ms() || first_ms > day_end {
                continue;
            }
            let window_of = |ms: i64| self.window(Timestamp::from_millis(ms));
            let (mut start, end) = (
                window_of(first_ms.max(day.start_ms())),
                window_of(last_ms.min(day_end)),
            );
            while start <= end {
                let range = self.range(start);
                if range.until > from && start <= last {
                    let window = windows.entry(start).or_insert_with(|| Candidate {
                        start,
                        days: Vec::new(),
                        certain: false,
                    });
                    window.days.push(partition);
                    window.certain |= [first_ms, last_ms].map(window_of).contains(&start);
                }
                start = range.until;
            }
        }
        windows.into_values().collect()
    }

    async fn holds_rows(&self, window: &Candidate, now: Timestamp) -> Result<bool, StoreError> {
        if window.certain {
            return Ok(true);
        }
        let (from_ms, until_ms) = self.span_ms(window.start);
        for &day in &window.days {
            let known = lock(&self.occupied).get(&(day, window.start), now);
            let holds = match known {
                Some(known) => known,
                None => {
                    let holds = self.table.has_some(day, from_ms, until_ms).await?;
                    let end = Timestamp::from_millis(until_ms);
                    lock(&self.occupied).put((day, window.start), holds, 1, end, now);
                    holds
                }
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The slices of a window, as summaries.
    pub(super) async fn summaries(
        &self,
        start: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<ChunkSummary>, StoreError> {
        let (oldest, newest) = self.days(now);
        let day = Day::of(start);
        let (from_ms, until_ms) = self.span_ms(start);
        let mut summaries = Vec::new();
        for partition in [day.plus(-1), day, day.plus(1)] {
            if !(oldest..=newest).contains(&partition) {
                continue;
            }
            let known = lock(&self.summaries).get(&(partition, start), now);
            if let Some(known) = known {
                summaries.extend_from_slice(&known);
                continue;
            }
            let Some((first_ms, last_ms)) = self.ends(partition, now).await? else {
                continue;
            };
            if last_ms < from_ms || first_ms >= until_ms {
                continue;
            }
            let bucket = Bucket {
                layer: self.table.mapping.layer,
                start,
            };
            let mut cutter = Cutter::new(&self.table, bucket, partition, self.table.rows_a_slice());
            self.table
                .briefs(partition, from_ms, until_ms, |row| {
                    cutter.add(&row);
                    Ok(true)
                })
                .await?;
            let found: Arc<[ChunkSummary]> = cutter.finish().into();
            summaries.extend_from_slice(&found);
            let weight = found.len();
            let end = Timestamp::from_millis(until_ms);
            lock(&self.summaries).put((partition, start), found, weight, end, now);
        }
        Ok(summaries)
    }

    pub(super) fn window(&self, at: Timestamp) -> Timestamp {
        bucket_of(self.table.mapping.layer, at, self.settings).start
    }

    fn range(&self, start: Timestamp) -> TimeRange {
        bucket_range(
            Bucket {
                layer: self.table.mapping.layer,
                start,
            },
            self.settings,
        )
    }

    /// A window in milliseconds; the end is outside.
    pub(super) fn span_ms(&self, start: Timestamp) -> (i64, i64) {
        let range = self.range(start);
        (
            range.from.micros().div_euclid(1_000),
            range.until.micros().div_euclid(1_000),
        )
    }
}

/// Cuts rows, as they come by time, into slices, and these by origin.
pub(super) struct Cutter<'a> {
    table: &'a Table,
    bucket: Bucket,
    day: Day,
    most: usize,
    rows: usize,
    last_ms: i64,
    open: HashMap<u64, Open>,
    done: Vec<ChunkSummary>,
}

/// The part of a slice that is of one origin.
struct Open {
    source: Arc<SourceOfRow>,
    first_at: Timestamp,
    last_at: Timestamp,
    levels: LevelCounts,
    minutes: Vec<MinuteCounts>,
}

impl Open {
    fn new(row: &BriefRow) -> Self {
        Self {
            source: Arc::clone(&row.source),
            first_at: row.at,
            last_at: row.at,
            levels: LevelCounts::default(),
            minutes: Vec::new(),
        }
    }

    fn add(&mut self, row: &BriefRow) {
        self.first_at = self.first_at.min(row.at);
        self.last_at = self.last_at.max(row.at);
        self.levels.add(row.level);
        let minute = floor(row.at, MINUTE);
        match self.minutes.last_mut() {
            Some(last) if last.minute == minute => last.levels.add(row.level),
            _ => {
                let mut levels = LevelCounts::default();
                levels.add(row.level);
                self.minutes.push(MinuteCounts { minute, levels });
            }
        }
    }

    fn summary(self, table: &Table, bucket: Bucket, day: Day, announced: bool) -> ChunkSummary {
        let (first_at, last_at, tag) = (self.first_at, self.last_at, self.source.tag);
        ChunkSummary {
            key: chunk_key(bucket, table.tag, day, first_at, last_at, tag, announced),
            last_at,
            origin: Arc::clone(&self.source.origin),
            levels: self.levels,
            minutes: self.minutes,
        }
    }
}

/// The summary of some rows of one origin and bucket, by time; `None` without any.
pub(super) fn summary_of(
    table: &Table,
    bucket: Bucket,
    day: Day,
    rows: &[BriefRow],
    announced: bool,
) -> Option<ChunkSummary> {
    let mut open = Open::new(rows.first()?);
    for row in rows {
        open.add(row);
    }
    Some(open.summary(table, bucket, day, announced))
}

impl<'a> Cutter<'a> {
    pub(super) fn new(table: &'a Table, bucket: Bucket, day: Day, most: usize) -> Self {
        Self {
            table,
            bucket,
            day,
            most,
            rows: 0,
            last_ms: i64::MIN,
            open: HashMap::new(),
            done: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: &BriefRow) {
        if row.position.is_none() {
            return;
        }
        let at_ms = row.at.micros().div_euclid(1_000);
        // Rows of one millisecond stay together: a slice is asked for by its instants.
        if self.rows >= self.most && at_ms != self.last_ms {
            self.close();
        }
        self.rows += 1;
        self.last_ms = at_ms;
        self.open
            .entry(row.source.tag)
            .or_insert_with(|| Open::new(row))
            .add(row);
    }

    fn close(&mut self) {
        let (table, bucket, day) = (self.table, self.bucket, self.day);
        self.done.extend(
            self.open
                .drain()
                .map(|(_, open)| open.summary(table, bucket, day, false)),
        );
        self.rows = 0;
    }

    pub(super) fn finish(mut self) -> Vec<ChunkSummary> {
        self.close();
        self.done
    }
}
