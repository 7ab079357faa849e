//! Records that were marked to be come back to, across filters and runs.

use std::collections::BTreeMap;

use super::saved::MAX_BOOKMARKS;
use atalaya_domain::record::{Record, RecordId};
use atalaya_domain::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bookmarks(BTreeMap<RecordId, Timestamp>);

/// What became of a bookmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// So many are there now.
    Set(usize),
    Removed,
    /// There are too many already.
    Full,
}

impl Bookmarks {
    /// Those that can be read, with their times in microseconds.
    pub fn new(saved: &[(String, i64)]) -> Self {
        let read = |(id, at): &(String, i64)| Some((id.parse().ok()?, Timestamp::from_micros(*at)));
        Self(saved.iter().take(MAX_BOOKMARKS).filter_map(read).collect())
    }

    pub fn saved(&self) -> Vec<(String, i64)> {
        self.0
            .iter()
            .map(|(id, at)| (id.to_string(), at.micros()))
            .collect()
    }

    pub fn contains(&self, id: RecordId) -> bool {
        self.0.contains_key(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets the mark of a record, or removes it.
    pub fn update(&mut self, record: &Record) -> Marked {
        if self.0.remove(&record.id()).is_some() {
            return Marked::Removed;
        }
        if self.0.len() >= MAX_BOOKMARKS {
            return Marked::Full;
        }
        self.0.insert(record.id(), record.entry.timestamp);
        Marked::Set(self.0.len())
    }

    /// The next one in time from a record on, round the end; the newest without a record.
    pub fn next(&self, from: Option<&Record>, forward: bool) -> Option<(Timestamp, RecordId)> {
        let mut marks: Vec<_> = self
            .0
            .iter()
            .map(|(id, at)| (*at, id.origin, id.position))
            .collect();
        marks.sort_unstable();
        let next = match from.map(Record::sort_key) {
            Some(key) if forward => marks.iter().find(|mark| **mark > key).or(marks.first()),
            Some(key) => marks
                .iter()
                .rev()
                .find(|mark| **mark < key)
                .or(marks.last()),
            None => marks.last(),
        };
        let (at, origin, position) = *next?;
        Some((at, RecordId { origin, position }))
    }
}
