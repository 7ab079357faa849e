//! What a check or a repair found wrong in a store.

use serde::Serialize;

use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::time::Timestamp;

/// Most damages that are named; the rest is counted.
const LISTED: usize = 100;

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// `file`, `chunk`, or the name of a table.
    pub what: String,
    /// Which one; untrusted. Empty for the whole.
    pub key: String,
    /// First and last instant of the records concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    pub reason: String,
}

impl Damage {
    pub fn new(what: impl Into<String>, key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            key: key.into(),
            from: None,
            until: None,
            records: None,
            reason: reason.into(),
        }
    }

    /// Of a chunk with this summary.
    pub fn chunk(summary: &ChunkSummary, reason: impl Into<String>) -> Self {
        let key = format!("{} of {}", summary.key.id, summary.origin.source);
        Self {
            from: Some(summary.key.first_at),
            until: Some(summary.last_at),
            records: Some(summary.records().into()),
            ..Self::new("chunk", key, reason)
        }
    }
}

/// The first damages by name, all of them by count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damages {
    pub count: u64,
    pub listed: Vec<Damage>,
}

impl Damages {
    pub fn add(&mut self, damage: Damage) {
        self.count += 1;
        if self.listed.len() < LISTED {
            self.listed.push(damage);
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// How far a check or a repair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// In words.
    pub stage: &'static str,
    pub done: u64,
    pub total: u64,
}
