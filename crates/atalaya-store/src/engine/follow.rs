//! Follows the arrivals: chunks in the order in which they became visible, whatever their time.

use std::sync::Arc;

use crate::chunks::ChunkStore;
use crate::error::StoreError;
use atalaya_domain::record::Record;

use super::Follower;
use super::selection::{Wanted, overlaps};

/// Chunks asked for at once.
const BATCH: usize = 64;
/// Batches of one call: a follower that fell far behind catches up in several.
const BATCHES: usize = 16;

pub(super) async fn follow(
    store: &dyn ChunkStore,
    follower: &mut Follower,
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let query = Arc::new(follower.query.clone());
    let range = query.range();
    let filter = Wanted::filter(Arc::clone(&query) as _, range, None);
    let mut cursor = follower.cursor.clone();
    let mut records = Vec::new();
    for _ in 0..BATCHES {
        let (arrived, next) = store.arrivals(cursor.clone(), BATCH).await?;
        if next == cursor {
            break;
        }
        cursor = next;
        let wanted = arrived.iter().filter(|summary| {
            query.layers().contains(&summary.key.bucket.layer)
                && overlaps(&range, summary)
                && query.may_match(summary)
        });
        let keys: Vec<_> = wanted.map(|summary| summary.key).collect();
        for chunk in store.filtered(&keys, Arc::clone(&filter)).await? {
            let origin = &chunk.summary.origin;
            records.extend(chunk.entries.into_iter().map(|entry| Record {
                origin: Arc::clone(origin),
                entry,
            }));
        }
        if records.len() >= limit {
            break;
        }
    }
    records.sort_by_key(Record::sort_key);
    follower.cursor = cursor;
    Ok(records)
}
