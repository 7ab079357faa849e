//! The accounts of the reader, for people.

use std::time::Instant;

use super::active::Active;
use super::{MOST_NOTICES, Port, Reader};
use crate::accounts::{Counts, FileAccount, FileState, IngestStatus};
use crate::tail::Tail;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::Reason;

impl<P: Port> Reader<P> {
    /// The accounts, now.
    pub fn status(
        &mut self,
        now: Instant,
        wall: Timestamp,
        paused: Option<Reason>,
    ) -> IngestStatus {
        let mut totals = self.told.totals_before;
        let waiting = paused.or_else(|| self.saving.trouble.clone());
        let mut files: Vec<FileAccount> = self
            .active
            .iter_mut()
            .map(|(origin, active)| {
                let counts = active.counts();
                totals.add(&counts);
                account(*origin, active, counts, waiting.as_ref(), now)
            })
            .collect();
        files.sort_by(|one, other| (&one.path, one.origin).cmp(&(&other.path, other.origin)));
        IngestStatus {
            at: wall,
            files,
            unread: self
                .told
                .unread
                .iter()
                .take(MOST_NOTICES)
                .cloned()
                .collect(),
            paused: waiting,
            rate: self.told.rate.update(now, totals.written),
            totals,
            notices: self.told.notices.iter().cloned().collect(),
            spool: None,
            finished: false,
        }
    }
}

fn account(
    origin: OriginId,
    active: &mut Active,
    counts: Counts,
    waiting: Option<&Reason>,
    now: Instant,
) -> FileAccount {
    if let Some(size) = active.tail.as_ref().and_then(Tail::size) {
        active.progress.size = size;
    }
    let read_to = active.tail.as_ref().map(Tail::read_to);
    let size = active
        .progress
        .size
        .max(read_to.unwrap_or(active.progress.given));
    let gone = !active.attached && active.tail.is_none();
    let end = if gone { active.given() } else { size };
    let lag_bytes = end.saturating_sub(active.progress.acknowledged);
    if lag_bytes == 0 {
        active.account.lag_since = None;
    } else {
        active.account.lag_since.get_or_insert(now);
    }
    active.note_formats();
    let state = match (&active.state, waiting) {
        (FileState::Reading | FileState::Live, Some(reason)) if lag_bytes > 0 => {
            FileState::Waiting(reason.to_string())
        }
        (state, _) => state.clone(),
    };
    let account = &mut active.account;
    FileAccount {
        path: active.path.clone(),
        origin,
        format: account.format,
        formats: account.formats.clone(),
        source: account.origin.as_ref().map(|origin| origin.source.clone()),
        layer: account.origin.as_ref().map(|origin| origin.layer),
        state,
        counts,
        acknowledged: active.progress.acknowledged,
        size,
        lag_bytes,
        lag_seconds: account
            .lag_since
            .map_or(0.0, |since| now.duration_since(since).as_secs_f64()),
        rate: account.rate.update(now, active.progress.written),
        errors: account.errors,
        last_error: account.last_error.clone(),
    }
}
