//! What is kept for how long, and deleting what is older; where the store does that by itself, the
//! look whether it did.

use std::time::Duration;

use serde::Serialize;

use super::{Stores, health_history};
use crate::config::{LogsPlace, Settings};
use atalaya_domain::record::Layer;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::{ChunkStore, Order};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{Ended, RunPrune};

/// Runs of one job that are kept however new they are.
const MOST_RUNS: u32 = 5_000;
/// What alerts leave behind, and for how many days it is kept after its end.
const ENDED: [(&str, Ended, u32); 3] = [
    ("alerts", Ended::Alerts, 365),
    ("silences", Ended::Silences, 365),
    ("messages", Ended::Messages, 30),
];
/// A server drops what has ended when it compacts and tells its time in seconds: what ended this
/// lately may be there.
const SLACK: Duration = Duration::from_secs(3_600);
/// Partitions of logs that are looked at with one question.
const BUCKETS_AT_ONCE: usize = 64;

/// Whether anything is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Delete,
    /// Only told.
    DryRun,
}

/// One kind of data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub what: &'static str,
    /// For people: `90 days`, `for ever`.
    pub kept: String,
    /// Rows, chunks or runs that are older than that.
    pub expired: u64,
    /// Of those, how many were deleted now.
    pub deleted: u64,
    pub freed_bytes: u64,
    /// What is wrong, or worth saying.
    pub note: Option<String>,
    /// It is as it should be.
    pub holds: bool,
}

impl Outcome {
    fn new(what: &'static str, kept: impl Into<String>) -> Self {
        Self {
            what,
            kept: kept.into(),
            expired: 0,
            deleted: 0,
            freed_bytes: 0,
            note: None,
            holds: true,
        }
    }
}

/// Keeps the policies. `still_ours` is asked before each step that deletes.
///
/// # Errors
/// Those of the stores; what was deleted by then stays so, and doing it again goes on.
pub async fn keep<Ours>(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
    mode: Mode,
    still_ours: impl Fn() -> Ours,
) -> Result<Vec<Outcome>, StoreError>
where
    Ours: Future<Output = Result<(), StoreError>>,
{
    let mut outcomes = vec![logs(stores, settings, now, mode, &still_ours).await?];
    still_ours().await?;
    outcomes.push(health(stores, settings, now, mode).await?);
    still_ours().await?;
    outcomes.push(runs(stores, settings, now, mode).await?);
    for (what, ended, kept) in ENDED {
        still_ours().await?;
        let mut outcome = Outcome::new(what, days(kept).0 + " after their end");
        let before = now.saturating_sub(Duration::from_secs(u64::from(kept) * 86_400));
        let dry_run = mode == Mode::DryRun;
        outcome.expired = stores.metrics.prune_ended(ended, before, dry_run).await?;
        outcome.deleted = if dry_run { 0 } else { outcome.expired };
        outcomes.push(outcome);
    }
    for what in ["deliveries, incidents, targets", "PDCA cycles", "audit log"] {
        outcomes.push(Outcome::new(what, "for ever"));
    }
    Ok(outcomes)
}

fn days(number: u32) -> (String, Option<Duration>) {
    match number {
        0 => ("for ever".to_owned(), None),
        1 => ("1 day".to_owned(), Some(Duration::from_secs(86_400))),
        _ => (
            format!("{number} days"),
            Some(Duration::from_secs(u64::from(number) * 86_400)),
        ),
    }
}

async fn logs<Ours>(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
    mode: Mode,
    still_ours: &impl Fn() -> Ours,
) -> Result<Outcome, StoreError>
where
    Ours: Future<Output = Result<(), StoreError>>,
{
    let store = stores.logs.store();
    if !matches!(settings.logs_place, LogsPlace::Embedded) {
        return by_itself(&**store, now).await;
    }
    let (kept, length) = days(settings.retention.logs_days);
    let mut outcome = Outcome::new("logs", kept);
    let Some(length) = length else {
        return Ok(outcome);
    };
    let before = now.saturating_sub(length);
    outcome.expired = older_than(&**store, before).await?;
    if mode == Mode::DryRun || outcome.expired == 0 {
        return Ok(outcome);
    }
    still_ours().await?;
    if let Some(expired) = store.expire_before(before).await? {
        outcome.deleted = expired.chunks;
        outcome.freed_bytes = expired.freed_bytes;
    }
    Ok(outcome)
}

/// A store whose records end by themselves: there is none that should not be.
async fn by_itself(store: &dyn ChunkStore, now: Timestamp) -> Result<Outcome, StoreError> {
    // One small question, so that the store is open and knows its own settings.
    store.arrivals_end().await?;
    let Some(length) = store.retention() else {
        return Ok(Outcome::new("logs", "for ever"));
    };
    let (kept, _) = days(u32::try_from(length.as_secs() / 86_400).unwrap_or(0));
    let mut outcome = Outcome::new("logs", format!("{kept}, by the store's own TTL"));
    let before = now.saturating_sub(length).saturating_sub(SLACK);
    outcome.expired = older_than(store, before).await?;
    outcome.holds = outcome.expired == 0;
    outcome.note = Some(if outcome.holds {
        "0 chunks are older than the TTL".to_owned()
    } else {
        format!(
            "{} chunks are older than the TTL: they were written without it, or by a clock that is wrong",
            outcome.expired
        )
    });
    Ok(outcome)
}

/// Chunks whose last record is before an instant.
async fn older_than(store: &dyn ChunkStore, before: Timestamp) -> Result<u64, StoreError> {
    let mut count = 0;
    for layer in Layer::ALL {
        let mut from = Timestamp::MIN;
        loop {
            let range = TimeRange::new(from, before);
            let buckets = store
                .buckets(layer, range, Order::OldestFirst, BUCKETS_AT_ONCE)
                .await?;
            let Some(last) = buckets.last() else { break };
            // The bucket after this one begins later, and not within it.
            from = Timestamp::from_micros(
                last.start
                    .micros()
                    .saturating_add(i64::from(store.settings().bucket_minutes) * 60_000_000),
            );
            let summaries = store.summaries_of(&buckets).await?;
            let old = summaries.iter().filter(|chunk| chunk.last_at < before);
            count += old.count() as u64;
        }
    }
    Ok(count)
}

async fn health(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
    mode: Mode,
) -> Result<Outcome, StoreError> {
    let (kept, length) = days(settings.retention.health_days);
    let mut outcome = Outcome::new("health samples", kept);
    let Some(length) = length else {
        return Ok(outcome);
    };
    let before = now.saturating_sub(length);
    match mode {
        Mode::Delete => {
            outcome.deleted = stores.metrics.prune_health_samples(before).await?;
            outcome.expired = outcome.deleted;
        }
        Mode::DryRun => {
            let range = TimeRange::new(Timestamp::MIN, before);
            let series = health_history::history(&*stores.metrics, None, range).await?;
            outcome.expired = series.iter().map(|one| one.points.len() as u64).sum();
        }
    }
    Ok(outcome)
}

async fn runs(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
    mode: Mode,
) -> Result<Outcome, StoreError> {
    let (kept, length) = days(settings.retention.job_runs_days);
    let kept = format!("{kept}, at most {MOST_RUNS} of a job; the last success stays");
    let mut outcome = Outcome::new("runs of jobs", kept);
    let before = length.map_or(Timestamp::MIN, |length| now.saturating_sub(length));
    for state in stores.metrics.job_states().await? {
        let prune = RunPrune {
            lease: state.lease,
            job: state.name,
            before,
            most: MOST_RUNS,
            dry_run: mode == Mode::DryRun,
        };
        let pruned = stores.metrics.prune_job_runs(&prune).await?;
        outcome.expired += pruned;
        if mode == Mode::Delete {
            outcome.deleted += pruned;
        }
    }
    Ok(outcome)
}

impl Outcome {
    /// For people, one line.
    pub fn line(&self) -> String {
        let mut line = format!("{}: kept {}", self.what, self.kept);
        if self.expired > 0 || self.deleted > 0 {
            line.push_str(&format!(
                "; {} older, {} deleted",
                self.expired, self.deleted
            ));
        }
        if self.freed_bytes > 0 {
            line.push_str(&format!(", {} bytes given back", self.freed_bytes));
        }
        if let Some(note) = &self.note {
            line.push_str("; ");
            line.push_str(note);
        }
        line
    }
}
