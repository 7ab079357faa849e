//! Jobs as values: when one is due, what its runs were, and what is kept of what they said.
//!
//! A job has *slots*: the instants at which its schedule wants it to run. A run belongs to one slot,
//! and a slot is run once; that is what hosts that share a store agree on. After downtime the latest
//! slot that was missed is run, once ([`Plan::due`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

mod calendar;
mod output;
mod schedule;
#[cfg(test)]
mod tests;

pub use calendar::Zone;
pub use output::{Bounded, OUTPUT_BYTES};
pub use schedule::{Schedule, ScheduleError};

/// How often a slot is begun whose runs were cut off by the end of their host.
pub const MOST_ATTEMPTS: u32 = 3;

/// Every job of the program, in the order in which people read them. They are made far above; that
/// these are their names is tested there.
pub const NAMES: [&str; 14] = [
    "alerts",
    "health_sample",
    "git_sync",
    "github_sync",
    "retention",
    "compaction_statistics",
    "repair",
    "clear_snapshots",
    "backup",
    "backup_drill",
    "dora_report",
    "dora_report_weekly",
    "pdca_proposals",
    "pdca_checks",
];

/// Who runs a job when several processes share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// One process of all that share the store.
    Store,
    /// One process of each host.
    Host,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    Ok,
    /// There was nothing to do, and the output says why.
    Skipped,
    Failed,
    Panicked,
    /// It took longer than the job's limit.
    TimedOut,
    /// Its host ended, or was to end, before it was done.
    Interrupted,
    /// Its host lost the lease without a word, and another one said so.
    Lost,
}

impl RunResult {
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Skipped,
        Self::Failed,
        Self::Panicked,
        Self::TimedOut,
        Self::Interrupted,
        Self::Lost,
    ];

    /// Stable: in the store and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.name() == name)
    }

    /// Whether the job did what it is for, or had nothing to do.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Skipped)
    }

    /// Whether the job could not finish through no fault of its own: the slot is begun again.
    pub const fn is_cut_off(self) -> bool {
        matches!(self, Self::Interrupted | Self::Lost)
    }
}

/// Why a run was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Schedule,
    /// The latest of the slots that nobody was there for.
    CatchUp,
    /// A person asked for it.
    Request,
}

impl Cause {
    /// Stable: in the store and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::CatchUp => "catch_up",
            Self::Request => "request",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Schedule, Self::CatchUp, Self::Request]
            .into_iter()
            .find(|cause| cause.name() == name)
    }
}

/// A slot that is to be run now, and the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub slot: Timestamp,
    pub cause: Cause,
    /// `None`: the schedule has no further slot.
    pub next: Option<Timestamp>,
}

/// When a job runs: its schedule, in a zone, a little late.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub schedule: Schedule,
    pub zone: Zone,
    /// How long after each slot it begins, so that jobs of one slot do not all begin at once.
    pub delay: Duration,
}

/// A slot that began this long ago was missed by its own schedule.
const LATE: Duration = Duration::from_secs(60);

impl Plan {
    /// The delay is drawn from the name: the same on every host and after every start.
    pub fn new(name: &str, schedule: Schedule, zone: Zone, jitter: Duration) -> Self {
        let hash = blake3::hash(name.as_bytes());
        let mut first = [0; 4];
        first.copy_from_slice(&hash.as_bytes()[..4]);
        let part = f64::from(u32::from_le_bytes(first)) / f64::from(u32::MAX);
        // Never so late that the next slot is near.
        let jitter = jitter.min(schedule.shortest_period(zone) / 10);
        Self {
            delay: jitter.mul_f64(part),
            schedule,
            zone,
        }
    }

    /// The first slot after `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next_after(after, self.zone)
    }

    /// What is remembered at first: an interval begins at once, an hour of the day is waited for.
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self.schedule {
            Schedule::Every(_) => self.schedule.last_until(now, None, self.zone),
            Schedule::Cron(_) => self.next_after(now),
        }
    }

    /// The remembered next slot, mended: a schedule that was changed, or a clock that went back,
    /// must not hold up the job beyond its next slot.
    pub fn remembered(&self, next: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match next {
            None => self.next_after(now),
            Some(next) if next <= now => Some(next),
            Some(next) => Some(self.next_after(now).map_or(next, |by_now| by_now.min(next))),
        }
    }

    /// Whether the job is due, when `next` is the slot that is waited for: of all slots that have
    /// passed since, only the latest is run.
    pub fn due(&self, next: Timestamp, now: Timestamp) -> Option<Due> {
        if next.saturating_add(self.delay) > now {
            return None;
        }
        let latest =
            self.schedule
                .last_until(now.saturating_sub(self.delay), Some(next), self.zone);
        let slot = latest.unwrap_or(next);
        let cause = if slot > next || now.since(slot) > LATE.max(self.delay * 2) {
            Cause::CatchUp
        } else {
            Cause::Schedule
        };
        Some(Due {
            slot,
            cause,
            next: self.next_after(slot.max(now.saturating_sub(self.delay))),
        })
    }
}
