//! A bounded window of records in time order, with a focus and a first row in sight.
//!
//! The focused record and the first row in sight are kept by identity of place: whatever is put in
//! before or after them, they stay where the reader's eyes are.

use std::collections::VecDeque;

use atalaya_domain::record::{Record, RecordId};
use atalaya_domain::time::Timestamp;
use atalaya_store::engine::Cursor;

/// Most records held. Beyond it those farthest from the focus go; scrolling there reads them again.
pub const CAPACITY: usize = 5_000;

#[derive(Debug, Default)]
pub struct Rows {
    records: VecDeque<Record>,
    focus: usize,
    top: usize,
    /// The store has nothing older than the first row (that matches).
    pub older_end: bool,
    /// The last row is the newest of the store.
    pub newer_end: bool,
    /// The store was searched from the first row back to here, and nothing matched.
    pub older_from: Option<Cursor>,
    pub newer_from: Option<Cursor>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn get(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> + ExactSizeIterator {
        self.records.iter()
    }

    pub fn focus(&self) -> usize {
        self.focus
    }

    pub fn top(&self) -> usize {
        self.top
    }

    pub fn focused(&self) -> Option<&Record> {
        self.records.get(self.focus)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// From where an older page goes on.
    pub fn older_cursor(&self) -> Option<Cursor> {
        self.older_from
            .or_else(|| self.records.front().map(cursor_of))
    }

    /// From where a newer page goes on.
    pub fn newer_cursor(&self) -> Option<Cursor> {
        self.newer_from
            .or_else(|| self.records.back().map(cursor_of))
    }

    /// Whether a record of this place belongs into the window: beyond an end that is not the
    /// store's own, there are records that were never read, and it would hide them.
    pub fn covers(&self, record: &Record) -> bool {
        let key = record.sort_key();
        (self.older_end
            || self
                .records
                .front()
                .is_some_and(|first| first.sort_key() < key))
            && (self.newer_end
                || self
                    .records
                    .back()
                    .is_some_and(|last| key < last.sort_key()))
    }

    /// Puts records at their places, each once; returns how many were new.
    pub fn merge(&mut self, records: impl IntoIterator<Item = Record>) -> usize {
        let added = self.place(records);
        self.trim();
        added
    }

    /// The same with the last row in focus: when more comes at once than the window holds, the
    /// newest stay.
    pub fn follow(&mut self, records: impl IntoIterator<Item = Record>, height: usize) -> usize {
        let added = self.place(records);
        self.to_end(height);
        self.trim();
        added
    }

    fn place(&mut self, records: impl IntoIterator<Item = Record>) -> usize {
        let mut added = 0;
        for record in records {
            let key = record.sort_key();
            // Nearly always one of the ends, where neither search nor shifting costs anything.
            let at = match (self.records.front(), self.records.back()) {
                (_, Some(last)) if last.sort_key() < key => self.records.len(),
                (Some(first), _) if key < first.sort_key() => 0,
                _ => match self.records.binary_search_by_key(&key, Record::sort_key) {
                    Ok(_) => continue,
                    Err(at) => at,
                },
            };
            if !self.records.is_empty() {
                if at <= self.focus {
                    self.focus += 1;
                }
                if at <= self.top {
                    self.top += 1;
                }
            }
            self.records.insert(at, record);
            added += 1;
        }
        added
    }

    fn trim(&mut self) {
        while self.records.len() > CAPACITY {
            if self.focus * 2 >= self.records.len() {
                self.records.pop_front();
                self.older_end = false;
                self.older_from = None;
                self.focus = self.focus.saturating_sub(1);
                self.top = self.top.saturating_sub(1);
            } else {
                self.records.pop_back();
                self.newer_end = false;
                self.newer_from = None;
            }
        }
    }

    /// Moves the focus by rows; false when it was at that end already.
    pub fn step(&mut self, by: isize, height: usize) -> bool {
        let before = self.focus;
        self.focus = self
            .focus
            .saturating_add_signed(by)
            .min(self.len().saturating_sub(1));
        self.show_focus(height);
        self.focus != before
    }

    pub fn set_focus(&mut self, index: usize, height: usize) {
        self.focus = index.min(self.len().saturating_sub(1));
        self.show_focus(height);
    }

    /// The last row has the focus and stands at the bottom.
    pub fn to_end(&mut self, height: usize) {
        self.focus = self.len().saturating_sub(1);
        self.top = self.len().saturating_sub(height);
    }

    /// Scrolls as little as needed to have the focus in sight.
    pub fn show_focus(&mut self, height: usize) {
        let height = height.max(1);
        if self.focus < self.top {
            self.top = self.focus;
        } else if self.focus >= self.top + height {
            self.top = self.focus + 1 - height;
        }
        self.top = self.top.min(self.len().saturating_sub(height));
    }

    /// Scrolls so that the focus stands in the middle.
    pub fn center(&mut self, height: usize) {
        self.top = self
            .focus
            .saturating_sub(height / 2)
            .min(self.len().saturating_sub(height));
    }

    pub fn position(&self, id: RecordId, at: Timestamp) -> Option<usize> {
        self.records
            .binary_search_by_key(&(at, id.origin, id.position), Record::sort_key)
            .ok()
    }

    /// The first row at or after a time; the last row when all are before it.
    pub fn nearest(&self, at: Timestamp) -> usize {
        self.records
            .partition_point(|record| record.entry.timestamp < at)
            .min(self.len().saturating_sub(1))
    }

    /// The next row in a direction, from the focus, that fulfils `wanted`.
    pub fn find(&self, forward: bool, wanted: impl Fn(&Record) -> bool) -> Option<usize> {
        if forward {
            (self.focus + 1..self.len()).find(|index| wanted(&self.records[*index]))
        } else {
            (0..self.focus.min(self.len()))
                .rev()
                .find(|index| wanted(&self.records[*index]))
        }
    }
}

pub fn cursor_of(record: &Record) -> Cursor {
    Cursor {
        timestamp: record.entry.timestamp,
        id: record.id(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;
    use atalaya_domain::record::{Entry, Layer, Origin, OriginId};

    pub fn record(seconds: i64) -> Record {
        Record {
            origin: Arc::new(Origin {
                id: OriginId::from_u128(7),
                layer: Layer::Application,
                source: "app/shop".into(),
                host: "web-1".into(),
            }),
            entry: Entry {
                timestamp: Timestamp::from_seconds(seconds),
                position: u64::try_from(seconds).unwrap(),
                message: format!("message {seconds}").into(),
                ..Entry::default()
            },
        }
    }

    fn rows(range: std::ops::Range<i64>) -> Rows {
        let mut rows = Rows::default();
        rows.merge(range.map(record));
        rows
    }

    #[test]
    fn each_record_is_there_once_and_in_order() {
        let mut rows = rows(10..20);
        assert_eq!(
            rows.merge([record(15), record(5), record(25), record(5)]),
            2
        );
        let times: Vec<i64> = rows
            .iter()
            .map(|record| record.entry.timestamp.micros() / 1_000_000)
            .collect();
        assert_eq!(times, [5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 25]);
    }

    #[test]
    fn reading_is_not_moved_by_what_arrives() {
        let mut rows = rows(100..200);
        rows.set_focus(50, 10);
        let (focused, first) = (
            rows.focused().unwrap().id(),
            rows.get(rows.top()).unwrap().id(),
        );
        rows.merge((200..300).map(record));
        rows.merge((0..100).map(record));
        assert_eq!(rows.focused().unwrap().id(), focused);
        assert_eq!(rows.get(rows.top()).unwrap().id(), first);
    }

    #[test]
    fn the_window_is_bounded_and_drops_the_far_end() {
        let mut rows = rows(0..5_000);
        rows.newer_end = true;
        rows.older_end = true;
        rows.set_focus(0, 10);
        rows.merge((5_000..6_000).map(record));
        assert_eq!(rows.len(), CAPACITY);
        assert_eq!(
            (rows.focus(), rows.older_end, rows.newer_end),
            (0, true, false)
        );
        rows.to_end(10);
        let focused = rows.focused().unwrap().id();
        rows.merge((6_000..6_100).map(record));
        assert_eq!(rows.focused().unwrap().id(), focused);
        assert!(!rows.older_end);
    }

    #[test]
    fn a_follower_keeps_the_newest_of_a_flood() {
        let mut rows = Rows {
            older_end: true,
            newer_end: true,
            ..Rows::default()
        };
        rows.follow((0..6_000).map(record), 10);
        assert_eq!(
            (rows.len(), rows.focus(), rows.top()),
            (CAPACITY, CAPACITY - 1, CAPACITY - 10)
        );
        assert_eq!(rows.focused().unwrap().id(), record(5_999).id());
        assert!(rows.newer_end && !rows.older_end);
    }

    #[test]
    fn the_focus_stays_in_sight() {
        let mut rows = rows(0..100);
        rows.to_end(10);
        assert_eq!((rows.focus(), rows.top()), (99, 90));
        rows.step(-20, 10);
        assert_eq!((rows.focus(), rows.top()), (79, 79));
        assert!(!rows.step(-1000, 10) || rows.focus() == 0);
        assert!(!rows.step(-1, 10));
    }
}
