//! What a read selects, as the engine sees it: a query, or all records of one source.

use std::sync::Arc;

use memchr::memmem;
use tokio_util::sync::CancellationToken;

use crate::chunks::{Order, RecordFilter};
use crate::error::StoreError;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Layer, Level, Record, RequestId, Text, Whose};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::Query;

use super::Cursor;

pub(super) trait Selection: Send + Sync + 'static {
    fn layers(&self) -> Vec<Layer>;
    fn range(&self) -> TimeRange;
    fn may_match(&self, chunk: &ChunkSummary) -> bool;
    fn matching_levels(&self, chunk: &ChunkSummary) -> Option<[bool; 5]>;
    fn matches(&self, record: &Record) -> bool;

    /// Levels of which something can match (indexed by [`Level::index`]).
    fn levels(&self) -> [bool; 5] {
        [true; 5]
    }

    fn request_id(&self) -> Option<&RequestId> {
        None
    }

    fn whose(&self) -> Option<Whose<'_>> {
        None
    }

    /// Texts, with ASCII letters lower-cased, that every match contains.
    fn required_literals(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Selection for Query {
    fn layers(&self) -> Vec<Layer> {
        self.layers()
    }

    fn range(&self) -> TimeRange {
        self.range()
    }

    fn may_match(&self, chunk: &ChunkSummary) -> bool {
        self.may_match(chunk)
    }

    fn matching_levels(&self, chunk: &ChunkSummary) -> Option<[bool; 5]> {
        self.matching_levels(chunk)
    }

    fn matches(&self, record: &Record) -> bool {
        self.matches(record)
    }

    fn levels(&self) -> [bool; 5] {
        self.levels()
    }

    fn request_id(&self) -> Option<&RequestId> {
        self.request_id()
    }

    fn whose(&self) -> Option<Whose<'_>> {
        self.whose()
    }

    fn required_literals(&self) -> Vec<String> {
        self.required_literals()
    }
}

/// All records of one source of a layer.
pub(super) struct OneSource {
    pub(super) layer: Layer,
    pub(super) source: Text,
}

impl Selection for OneSource {
    fn layers(&self) -> Vec<Layer> {
        vec![self.layer]
    }

    fn range(&self) -> TimeRange {
        TimeRange::ALL
    }

    fn may_match(&self, chunk: &ChunkSummary) -> bool {
        chunk.origin.source == self.source
    }

    fn matching_levels(&self, chunk: &ChunkSummary) -> Option<[bool; 5]> {
        Some([self.may_match(chunk); 5])
    }

    fn matches(&self, record: &Record) -> bool {
        record.origin.source == self.source
    }
}

/// A selection within a time range and past a cursor, as the store applies it while decoding.
pub(super) struct Wanted {
    selection: Arc<dyn Selection>,
    range: TimeRange,
    levels: [bool; 5],
    after: Option<(Cursor, Order)>,
    literals: Vec<memmem::Finder<'static>>,
}

impl Wanted {
    pub(super) fn filter(
        selection: Arc<dyn Selection>,
        range: TimeRange,
        after: Option<(Cursor, Order)>,
    ) -> Arc<dyn RecordFilter> {
        let literals = selection.required_literals();
        let literals = literals
            .iter()
            .map(|literal| memmem::Finder::new(literal).into_owned())
            .collect();
        let levels = selection.levels();
        Arc::new(Self {
            selection,
            range,
            levels,
            after,
            literals,
        })
    }
}

impl RecordFilter for Wanted {
    fn may_keep_any(&self, texts: &[u8]) -> bool {
        if self.literals.is_empty() {
            return true;
        }
        // One pass to lower the case of 64 KiB and a vectorised search cost a tenth of what
        // building the records would.
        let texts = texts.to_ascii_lowercase();
        self.literals
            .iter()
            .all(|literal| literal.find(&texts).is_some())
    }

    fn wants(&self, at: Timestamp, level: Level) -> bool {
        self.levels[level.index()] && holds(&self.range, at)
    }

    fn keeps(&self, record: &Record) -> bool {
        let past = self.after.is_none_or(|(cursor, order)| {
            let place = (cursor.timestamp, cursor.id.origin, cursor.id.position);
            match order {
                Order::NewestFirst => record.sort_key() < place,
                Order::OldestFirst => record.sort_key() > place,
            }
        });
        past && self.selection.matches(record)
    }
}

/// Whether the instant is in the range. A range that ends with time itself includes its last
/// instant, so that a record stamped with it is not lost.
pub(super) fn holds(range: &TimeRange, at: Timestamp) -> bool {
    range.contains(at)
        || (range.until == Timestamp::MAX && at == Timestamp::MAX && range.from <= at)
}

/// Whether no instant is in the range, in the sense of [`holds`].
pub(super) fn is_empty(range: &TimeRange) -> bool {
    range.is_empty() && !holds(range, Timestamp::MAX)
}

/// Whether some of the chunk's records may be in the range.
pub(super) fn overlaps(range: &TimeRange, chunk: &ChunkSummary) -> bool {
    spans(range, chunk.key.first_at, chunk.last_at)
}

pub(super) fn spans(range: &TimeRange, first_at: Timestamp, last_at: Timestamp) -> bool {
    last_at >= range.from && (first_at < range.until || range.until == Timestamp::MAX)
}

/// Waits for `work` unless it is cancelled before.
pub(super) async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(StoreError::Cancelled),
        done = work => done,
    }
}
