//! A whole table, slice by slice, for the copy into our own chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::StoreError;
use atalaya_domain::record::{Entry, Frame, Layer, LevelCounts, Origin, OriginId};
use atalaya_domain::time::Timestamp;

use super::ForeignStore;
use super::key::{Day, instant_of, position_after};
use super::table::Table;

/// A slice is cut at so many rows or bytes, at the end of a millisecond.
const SLICE_ROWS: usize = 1_000;
const SLICE_BYTES: usize = 2 * 1024 * 1024;

/// One partition of the table that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub day: Day,
    /// First and last row, in time.
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Some rows of a partition, as frames.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceOfRows {
    /// One an origin; together they hold all rows of the slice that have a place.
    pub frames: Vec<Frame>,
    pub rows: u64,
    /// Rows whose time is so far from the day of their partition that they have no place.
    pub misplaced: u64,
    /// From where the next slice begins.
    pub until: u64,
    /// There is a next one.
    pub more: bool,
}

/// Of the rows of a partition, by window: how many of each level, by origin.
pub type WindowCounts = BTreeMap<Timestamp, BTreeMap<OriginId, LevelCounts>>;

/// What a partition holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionCounts {
    pub windows: WindowCounts,
    pub misplaced: u64,
    /// Rows before `since`, left out of `windows`.
    pub older: u64,
}

impl ForeignStore {
    fn only(&self) -> Result<&super::TableWindows, StoreError> {
        self.tables.first().ok_or_else(|| self.read_only())
    }

    /// All partitions of the first table, oldest first. Asks for the keys of the whole table, which
    /// no screen does.
    pub async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        let table = &self.only()?.table;
        let mut days = table.days().await?;
        days.sort_unstable();
        let mut partitions = Vec::with_capacity(days.len());
        for day in days {
            if let Some((first, last)) = table.bounds(day).await? {
                let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
                partitions.push(Partition { day, first, last });
            }
        }
        Ok(partitions)
    }

    /// Names how far a partition was copied, as an origin of its own.
    pub fn progress_origin(&self, day: Day) -> Result<Arc<Origin>, StoreError> {
        let table = &self.only()?.table;
        let layer = table.mapping.layer;
        Ok(Arc::new(Origin {
            id: OriginId::derive(&[
                b"adopted",
                table.name.as_bytes(),
                &day.0.to_be_bytes(),
                layer.name().as_bytes(),
            ]),
            layer,
            source: table.mapping.source.as_str().into(),
            host: table.name.as_str().into(),
        }))
    }

    pub fn layer(&self) -> Result<Layer, StoreError> {
        Ok(self.only()?.table.mapping.layer)
    }

    /// The rows of a partition from a position on, `None` for its beginning. Cut in the same way
    /// each time while the rows are the same.
    pub async fn slice(&self, day: Day, from: Option<u64>) -> Result<SliceOfRows, StoreError> {
        let table = &self.only()?.table;
        let from_ms = from.map_or(i64::MIN, |from| instant_of(day, from, table.has_rest()));
        let mut cut = Cut::default();
        table
            .entries(day, from_ms, i64::MAX, |source, entry, placed| {
                Ok(cut.add(&source.origin, entry, placed))
            })
            .await?;
        Ok(cut.finish(table, day, from))
    }

    /// The rows of one window of a partition, as frames of which each is one origin's.
    pub async fn window_rows(&self, day: Day, start: Timestamp) -> Result<Vec<Frame>, StoreError> {
        let windows = self.only()?;
        let (from_ms, until_ms) = windows.span_ms(start);
        let mut cut = Cut {
            endless: true,
            ..Cut::default()
        };
        let table = &windows.table;
        table
            .entries(day, from_ms, until_ms, |source, entry, placed| {
                Ok(cut.add(&source.origin, entry, placed))
            })
            .await?;
        Ok(cut.finish(table, day, None).frames)
    }

    /// Counts a partition's rows from `since` on, without reading their texts.
    pub async fn counts(&self, day: Day, since: Timestamp) -> Result<PartitionCounts, StoreError> {
        let windows = self.only()?;
        let mut counts = PartitionCounts::default();
        windows
            .table
            .briefs(day, i64::MIN, i64::MAX, |row| {
                if row.at < since {
                    counts.older += 1;
                } else if row.position.is_none() {
                    counts.misplaced += 1;
                } else {
                    let window = counts.windows.entry(windows.window(row.at)).or_default();
                    window
                        .entry(row.source.origin.id)
                        .or_default()
                        .add(row.level);
                }
                Ok(true)
            })
            .await?;
        Ok(counts)
    }
}

#[derive(Default)]
struct Cut {
    origins: BTreeMap<OriginId, (Arc<Origin>, Vec<Entry>)>,
    rows: usize,
    misplaced: u64,
    bytes: usize,
    last: Timestamp,
    more: bool,
    endless: bool,
}

impl Cut {
    fn add(&mut self, origin: &Arc<Origin>, entry: Entry, placed: bool) -> bool {
        let full = self.rows >= SLICE_ROWS || self.bytes >= SLICE_BYTES;
        let millis = |at: Timestamp| at.micros().div_euclid(1_000);
        if full && !self.endless && millis(entry.timestamp) != millis(self.last) {
            self.more = true;
            return false;
        }
        self.rows += 1;
        self.last = entry.timestamp;
        if placed {
            self.bytes += 64 + entry.text_bytes();
            let (_, entries) = self
                .origins
                .entry(origin.id)
                .or_insert_with(|| (Arc::clone(origin), Vec::new()));
            entries.push(entry);
        } else {
            self.misplaced += 1;
        }
        true
    }

    fn finish(self, table: &Table, day: Day, from: Option<u64>) -> SliceOfRows {
        let last_ms = self.last.micros().div_euclid(1_000);
        let until = position_after(day, last_ms, table.has_rest());
        let frames = self.origins.into_values().map(|(origin, mut entries)| {
            entries.sort_by_key(|entry| entry.position);
            Frame {
                origin,
                from: from.unwrap_or(0),
                until,
                entries,
            }
        });
        SliceOfRows {
            frames: frames.collect(),
            rows: self.rows as u64,
            misplaced: self.misplaced,
            until,
            more: self.more,
        }
    }
}
