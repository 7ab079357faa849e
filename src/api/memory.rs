//! What was counted of each token, kept over a restart: a limit of an hour is one also for who makes
//! the service start again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;

use super::Shared;
use super::auth::Counted;
use crate::text_file;
use atalaya_domain::time::Timestamp;

/// Of 10,000 tokens with 1,000 requests each.
const MOST_BYTES: u64 = 128 << 20;

/// The file's shape.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    at: Timestamp,
    /// Ages of requests in milliseconds, by the id of the token; rounded down, so that none is
    /// forgotten too early.
    tokens: BTreeMap<String, Vec<u64>>,
}

fn path(api: &Shared) -> std::path::PathBuf {
    api.settings.data_dir.join("api-limits.json")
}

/// Takes up what an earlier process counted. A file that cannot be read is as none.
pub async fn restore(api: &Shared) {
    let path = path(api);
    let read = move || text_file::read(&path, MOST_BYTES);
    let Ok(Ok(text)) = tokio::task::spawn_blocking(read).await else {
        return;
    };
    match serde_json::from_str::<Remembered>(&text) {
        Ok(remembered) => api.guard.restore(counted(remembered, Timestamp::now())),
        Err(error) => tracing::warn!(%error, "what was counted of tokens is forgotten"),
    }
}

fn counted(remembered: Remembered, now: Timestamp) -> Counted {
    // A wall clock that was set back makes nothing younger than it was.
    let since = now.since(remembered.at);
    let tokens = remembered.tokens.into_iter();
    tokens
        .map(|(name, ages)| {
            let ages = ages
                .into_iter()
                .map(|age| Duration::from_millis(age).saturating_add(since));
            (name, ages.collect())
        })
        .collect()
}

/// Writes it down beside the accept loop, when something was asked and no writing goes on.
pub fn remember(api: &Shared, tasks: &TaskTracker) {
    if !api.was_asked.load(Ordering::Relaxed) || api.is_writing.swap(true, Ordering::AcqRel) {
        return;
    }
    let api = api.clone();
    tasks.spawn(async move {
        keep(&api).await;
        api.is_writing.store(false, Ordering::Release);
    });
}

/// Writes it down.
pub async fn keep(api: &Shared) {
    api.was_asked.store(false, Ordering::Relaxed);
    let tokens = api.guard.counted().into_iter();
    let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let remembered = Remembered {
        at: Timestamp::now(),
        tokens: tokens
            .map(|(name, ages)| (name, ages.into_iter().map(millis).collect()))
            .collect(),
    };
    let path = path(api);
    let write = move || {
        let text = serde_json::to_vec(&remembered)?;
        text_file::replace(&path, &text)
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "what was counted of tokens is not kept"),
        Err(error) => tracing::debug!(%error, "what was counted of tokens is not kept"),
    }
}
