//! Reads all chunks of any log store through the store itself, which verifies them, and looks
//! whether they fit their summaries. For a store whose files are not ours.

use crate::chunks::{ChunkStore, Order};
use crate::damage::{Damage, Damages, Progress};
use crate::error::{StoreError, describe};
use atalaya_domain::chunk::{Bucket, Chunk, ChunkSummary};
use atalaya_domain::record::Layer;
use atalaya_domain::time::TimeRange;

/// Buckets of one page of the directory.
const BUCKETS: usize = 256;
/// Chunks read at once.
const CHUNKS: usize = 32;

/// What was read, and what of it is damaged.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub chunks: u64,
    pub records: u64,
    pub rows: u64,
    pub damages: Damages,
}

/// Reads every chunk within `range`, oldest first.
///
/// # Errors
/// The store is away, or refuses to be read: what passes, or concerns all of it. Damage does not.
pub async fn chunks(
    store: &dyn ChunkStore,
    range: TimeRange,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    for layer in [Layer::Application, Layer::Infrastructure] {
        let mut rest = range;
        loop {
            let buckets = store
                .buckets(layer, rest, Order::OldestFirst, BUCKETS)
                .await?;
            let Some(last) = buckets.last() else { break };
            let next = atalaya_domain::time::Timestamp::from_micros(
                last.start.micros() + i64::from(store.settings().bucket_minutes) * 60_000_000,
            );
            for &bucket in &buckets {
                progress(Progress {
                    stage: "chunks",
                    done: checked.chunks,
                    total: 0,
                });
                of_bucket(store, bucket, &mut checked).await?;
            }
            if buckets.len() < BUCKETS || next >= rest.until {
                break;
            }
            rest = TimeRange::new(next, rest.until);
        }
    }
    Ok(checked)
}

async fn of_bucket(
    store: &dyn ChunkStore,
    bucket: Bucket,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let summaries = match store.summaries(bucket).await {
        Ok(summaries) => summaries,
        Err(error) if is_damage(&error) => {
            let start = bucket.start.to_rfc3339();
            checked
                .damages
                .add(Damage::new("bucket", start, describe(&error)));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for some in summaries.chunks(CHUNKS) {
        let keys: Vec<_> = some.iter().map(|summary| summary.key).collect();
        match store.chunks(&keys).await {
            Ok(chunks) => {
                for chunk in &chunks {
                    look_at(chunk, some, checked);
                }
                // One that expired between the two questions is gone from both.
                checked.chunks += chunks.len() as u64;
            }
            Err(error) if is_damage(&error) => {
                for summary in some {
                    one(store, summary, checked).await?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn one(
    store: &dyn ChunkStore,
    summary: &ChunkSummary,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    checked.chunks += 1;
    match store.chunks(&[summary.key]).await {
        Ok(chunks) => {
            for chunk in &chunks {
                look_at(chunk, std::slice::from_ref(summary), checked);
            }
        }
        Err(StoreError::DamagedChunk { damage, .. }) => {
            checked.damages.add(Damage::chunk(summary, damage));
        }
        Err(error) if is_damage(&error) => {
            checked
                .damages
                .add(Damage::chunk(summary, describe(&error)));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn look_at(chunk: &Chunk, summaries: &[ChunkSummary], checked: &mut Checked) {
    checked.records += chunk.entries.len() as u64;
    let listed = summaries
        .iter()
        .find(|summary| summary.key == chunk.summary.key);
    let fits = listed == Some(&chunk.summary)
        && chunk.entries.len() == chunk.summary.records() as usize
        && chunk.entries.iter().map(|entry| entry.timestamp).min()
            == Some(chunk.summary.key.first_at)
        && chunk.entries.iter().map(|entry| entry.timestamp).max() == Some(chunk.summary.last_at);
    if !fits {
        let reason = "its summary does not fit its records";
        checked.damages.add(Damage::chunk(&chunk.summary, reason));
    }
}

const fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::DamagedChunk { .. } | StoreError::Corrupt { .. }
    )
}
