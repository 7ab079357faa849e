//! What people are told while statements are still being repeated: since when nothing but faults, or
//! nothing at all, came back. It cuts nothing short and decides nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::health::Trouble;
use atalaya_domain::time::Timestamp;

/// A streak of faults this long is worth a word: a node that dies costs its ring less.
const FAULTS_WORTH_A_WORD: Duration = Duration::from_secs(1);
/// So is a silence of this length: a read is a matter of milliseconds.
const SILENCE_WORTH_A_WORD: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Streak {
    /// Calls that have met a fault and go on.
    repeating: usize,
    /// Attempts without an answer yet.
    asking: usize,
    /// The last answer, or the first attempt after all was quiet.
    heard: Option<Moment>,
    /// The first fault since the last answer, and what the last one was.
    faults: Option<(Moment, String)>,
}

/// One instant on both clocks: ours, and that of people.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    wall: Timestamp,
}

impl Moment {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: Timestamp::now(),
        }
    }
}

impl Streak {
    pub fn asked(&mut self) {
        if self.asking == 0 {
            self.heard = Some(Moment::now());
        }
        self.asking += 1;
    }

    /// An attempt ended, whatever came of it.
    pub fn ended(&mut self) {
        self.asking = self.asking.saturating_sub(1);
    }

    pub fn answered(&mut self) {
        self.heard = Some(Moment::now());
        self.faults = None;
    }

    pub fn failed(&mut self, reason: String) {
        let first = self
            .faults
            .take()
            .map_or_else(Moment::now, |(first, _)| first);
        self.faults = Some((first, reason));
    }

    pub fn repeats(&mut self) {
        self.repeating += 1;
    }

    pub fn gives_up(&mut self) {
        self.repeating = self.repeating.saturating_sub(1);
    }

    /// What the last fault was, if no answer came since.
    pub fn reason(&self) -> Option<&str> {
        self.faults.as_ref().map(|(_, reason)| reason.as_str())
    }

    pub fn trouble(&self, address: &str) -> Option<Trouble> {
        if let Some((first, reason)) = &self.faults
            && self.repeating > 0
        {
            let is_long = first.at.elapsed() >= FAULTS_WORTH_A_WORD;
            return is_long.then(|| Trouble {
                since: first.wall,
                reason: format!("Cassandra is unreachable at {address}: {reason}"),
            });
        }
        let heard = self
            .heard
            .filter(|heard| self.asking > 0 && heard.at.elapsed() >= SILENCE_WORTH_A_WORD)?;
        Some(Trouble {
            since: heard.wall,
            reason: format!("Cassandra gives no answer at {address}: still waiting"),
        })
    }
}
