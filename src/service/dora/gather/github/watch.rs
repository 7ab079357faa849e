//! Things that are in a list already and may still change: a deployment that is under way, a run
//! that may be begun again. They are asked for one by one, by their `ETag`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use atalaya_domain::time::Timestamp;

/// What has ended is looked at again for so long.
const AFTER_THE_END: Duration = Duration::from_hours(24);
/// What does not end is given up then. Source: GitHub ends a run that waits for a person after 30
/// days.
const LONGEST: Duration = Duration::from_hours(31 * 24);
/// At once; of more the newest.
const MOST: usize = 500;

/// What is looked at again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(super) struct Watch<T> {
    pub entries: Vec<Watched<T>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watched<T> {
    pub id: u64,
    pub created_at: Timestamp,
    pub thing: T,
    pub etag: Option<String>,
    pub has_ended: bool,
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> Watch<T> {
    pub fn has(&self, id: u64) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    /// Adds what may still change.
    pub fn add(&mut self, entry: Watched<T>, now: Timestamp) {
        if !self.has(entry.id) && entry.is_worth_it(now) {
            self.entries.push(entry);
        }
    }

    /// Lets go of what is settled, and of the oldest of too many; returns how many of those.
    pub fn settle(&mut self, now: Timestamp) -> usize {
        self.entries.retain(|entry| entry.is_worth_it(now));
        self.entries
            .sort_by_key(|entry| std::cmp::Reverse((entry.created_at, entry.id)));
        let many = self.entries.len().saturating_sub(MOST);
        self.entries.truncate(MOST);
        many
    }
}

impl<T> Watched<T> {
    fn is_worth_it(&self, now: Timestamp) -> bool {
        let limit = if self.has_ended {
            AFTER_THE_END
        } else {
            LONGEST
        };
        now.since(self.created_at) <= limit
    }
}
