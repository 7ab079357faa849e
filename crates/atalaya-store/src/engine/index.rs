//! What an index names: the chunks of one request, or of one user or session.

use crate::chunks::ChunkStore;
use crate::error::StoreError;
use atalaya_domain::chunk::ChunkKey;
use atalaya_domain::record::Layer;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::selection::{Selection, is_empty, spans};

/// The chunks that may hold something, in any order.
pub(super) struct Named {
    /// Each with its latest record.
    pub chunks: Vec<(ChunkKey, Timestamp)>,
    /// What the index had, wanted or not.
    pub looked_at: u64,
}

/// `None`: the selection asks for nothing that an index knows.
pub(super) async fn named(
    store: &dyn ChunkStore,
    selection: &dyn Selection,
    range: TimeRange,
) -> Result<Option<Named>, StoreError> {
    let layers = selection.layers();
    let is_wanted = |layer: Layer, first_at, last_at| {
        layers.contains(&layer) && spans(&range, first_at, last_at)
    };
    if let Some(id) = selection.request_id() {
        let rows = store.request(id).await?;
        let looked_at = rows.len() as u64;
        let rows = rows
            .into_iter()
            .filter(|row| is_wanted(row.chunk.bucket.layer, row.first_seen, row.last_seen));
        return Ok(Some(Named {
            chunks: rows.map(|row| (row.chunk, row.last_seen)).collect(),
            looked_at,
        }));
    }
    let Some(whose) = selection.whose().filter(|_| !is_empty(&range)) else {
        return Ok(None);
    };
    let summaries = store.holders(whose, range).await?;
    Ok(summaries.map(|summaries| {
        let wanted = summaries.iter().filter(|summary| {
            let key = &summary.key;
            is_wanted(key.bucket.layer, key.first_at, summary.last_at)
                && selection.may_match(summary)
        });
        Named {
            chunks: wanted
                .map(|summary| (summary.key, summary.last_at))
                .collect(),
            looked_at: summaries.len() as u64,
        }
    }))
}
