//! Everything of one request, over both layers and any number of days, through the request index.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chunks::{ChunkStore, RecordFilter};
use crate::error::StoreError;
use atalaya_domain::record::{Level, Record, RequestId};
use atalaya_domain::time::Timestamp;

use super::{RequestRecords, Scanned};

/// Chunks read at once.
const BATCH: usize = 64;

pub(super) async fn trace(
    store: &dyn ChunkStore,
    id: &RequestId,
    limit: usize,
) -> Result<RequestRecords, StoreError> {
    let filter: Arc<dyn RecordFilter> = Arc::new(OfRequest(id.clone()));
    let mut keys: Vec<_> = store
        .request(id)
        .await?
        .into_iter()
        .map(|row| row.chunk)
        .collect();
    keys.sort_unstable_by_key(|key| (key.first_at, *key));
    keys.dedup();
    let mut buckets: Vec<_> = keys.iter().map(|key| key.bucket).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let mut scanned = Scanned {
        buckets: buckets.len() as u64,
        chunks: keys.len() as u64,
        ..Scanned::default()
    };

    // The oldest `limit`, whatever the order in which chunks give them; the others are counted.
    let mut kept = BTreeMap::new();
    let mut omitted = 0;
    for batch in keys.chunks(BATCH) {
        for chunk in store.filtered(batch, Arc::clone(&filter)).await? {
            scanned.chunks_read += 1;
            scanned.records += u64::from(chunk.summary.records());
            for entry in chunk.entries {
                let record = Record {
                    origin: Arc::clone(&chunk.summary.origin),
                    entry,
                };
                kept.insert(record.sort_key(), record);
                if kept.len() > limit {
                    kept.pop_last();
                    omitted += 1;
                }
            }
        }
    }
    Ok(RequestRecords {
        request_id: id.clone(),
        records: kept.into_values().collect(),
        omitted,
        scanned,
    })
}

struct OfRequest(RequestId);

impl RecordFilter for OfRequest {
    fn may_keep_any(&self, texts: &[u8]) -> bool {
        memchr::memmem::find(texts, self.0.as_str().as_bytes()).is_some()
    }

    fn wants(&self, _: Timestamp, _: Level) -> bool {
        true
    }

    fn keeps(&self, record: &Record) -> bool {
        record.entry.request_id.as_ref() == Some(&self.0)
    }
}
