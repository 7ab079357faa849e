//! Tables that others write, one record a row, read in place: the older layout of our own logs and
//! anyone's. Read-only.
//!
//! A day's partition is seen as the buckets of the engine; the rows of a bucket are cut into
//! pseudo-chunks by count, and everything above works as on our own tables. What such a table
//! cannot give cheaply stays dear, but bounded: counting needs a look at every row's level, a
//! request without an index a look at every row of its days, each in slices of one partition. To
//! make it cheap, adopt the table (`atalaya db adopt`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::client::session::Session;

use crate::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, FrameChunks, Order, RecordFilter,
    StoreHealth, Troubles,
};
use crate::error::{Backend, StoreError};
use crate::sync::lock;
use crate::union::Part;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, Entries, RequestEntry};
use atalaya_domain::record::{Entry, Layer, Level, OriginId, Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::retry::Resilience;

mod adopt;
mod key;
mod known;
mod mapping;
mod read;
mod row;
mod table;
mod tail;
mod windows;

pub use adopt::{Partition, PartitionCounts, SliceOfRows, WindowCounts};
pub use key::{Day, origin_id};
pub use mapping::{Columns, Mapping};
use tail::ForeignCursor;

use key::{Slice, SliceId, chunk_key, slice_of};
use table::{BriefRow, SourceOfRow, Table};
use windows::TableWindows;

/// Slices read at once.
const SLICES_AT_ONCE: usize = 4;
/// Days searched for a request at once.
const DAYS_AT_ONCE: usize = 4;
/// Rows of a request that are this close to each other are read as one slice.
const GAP_MS: i64 = 100;

/// Reads the wall clock; tests pass their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Some tables of one ring.
pub struct ForeignStore {
    address: String,
    settings: ChunkSettings,
    tables: Vec<TableWindows>,
    announced: Mutex<tail::Rows>,
    clock: Clock,
    resilience: Arc<Resilience>,
}

impl ForeignStore {
    /// Opens the tables, and checks that they are what their mappings say. `settings` are those of
    /// the store that they are shown beside: the buckets must be the same.
    pub async fn open(
        session: &Arc<Session>,
        resilience: &Arc<Resilience>,
        mappings: Vec<Mapping>,
        settings: ChunkSettings,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let address = mappings
            .iter()
            .map(Mapping::name)
            .collect::<Vec<_>>()
            .join(", ");
        let count = mappings.len().max(1);
        let mut tables = Vec::with_capacity(mappings.len());
        for mapping in mappings {
            tables.push(TableWindows::new(
                Table::open(session, resilience, mapping).await?,
                settings,
                count,
            ));
        }
        let resilience = Arc::clone(resilience);
        Ok(Self {
            address,
            settings,
            tables,
            announced: Mutex::default(),
            clock,
            resilience,
        })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn announced(&self) -> MutexGuard<'_, tail::Rows> {
        lock(&self.announced)
    }

    fn of_layer(&self, layer: Layer) -> impl Iterator<Item = &TableWindows> {
        self.tables
            .iter()
            .filter(move |windows| windows.table.mapping.layer == layer)
    }

    fn table(&self, key: &ChunkKey) -> Option<&TableWindows> {
        let tag = SliceId::of(key.id).tag;
        self.of_layer(key.bucket.layer)
            .find(|windows| windows.table.tag == tag)
    }

    async fn read(
        &self,
        keys: &[ChunkKey],
        filter: Option<&dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        let mut wanted: HashMap<(u64, Day), Vec<Wanted>> = HashMap::new();
        for key in keys {
            let Some(windows) = self.table(key) else {
                continue;
            };
            let slice = slice_of(key);
            let only = SliceId::of(key.id)
                .announced
                .then(|| self.announced().of(key))
                .flatten();
            wanted
                .entry((windows.table.tag, slice.day))
                .or_default()
                .push(Wanted {
                    key: *key,
                    slice,
                    only,
                    made: None,
                });
        }
        let mut reads = Vec::new();
        for ((tag, _), mut of_day) in wanted {
            let Some(windows) = self.tables.iter().find(|windows| windows.table.tag == tag) else {
                continue;
            };
            // Chunks of one slice differ in their origin only: they are read together.
            of_day.sort_by_key(|wanted| (wanted.slice.from_ms, wanted.slice.until_ms));
            let mut together: Vec<Wanted> = Vec::new();
            let mut until_ms = i64::MIN;
            for wanted in of_day {
                if !together.is_empty() && wanted.slice.from_ms > until_ms {
                    reads.push(read_together(
                        &windows.table,
                        std::mem::take(&mut together),
                        filter,
                    ));
                    until_ms = i64::MIN;
                }
                until_ms = until_ms.max(wanted.slice.until_ms);
                together.push(wanted);
            }
            reads.push(read_together(&windows.table, together, filter));
        }
        let chunks: Vec<Vec<Chunk>> = stream::iter(reads)
            .buffer_unordered(SLICES_AT_ONCE)
            .try_collect()
            .await?;
        let mut chunks: HashMap<ChunkKey, Chunk> = chunks
            .into_iter()
            .flatten()
            .map(|chunk| (chunk.summary.key, chunk))
            .collect();
        Ok(keys.iter().filter_map(|key| chunks.remove(key)).collect())
    }

    fn read_only(&self) -> StoreError {
        StoreError::Refused {
            backend: Backend::Cassandra,
            source: format!("{} is read in place and never written", self.address).into(),
        }
    }
}

/// A chunk that is asked for, and what was read of it.
struct Wanted {
    key: ChunkKey,
    slice: Slice,
    only: Option<Arc<BTreeSet<u64>>>,
    made: Option<Made>,
}

struct Made {
    source: Arc<SourceOfRow>,
    /// Of all its rows, for the summary.
    rows: Vec<BriefRow>,
    entries: Vec<Entry>,
}

async fn read_together(
    table: &Table,
    mut wanted: Vec<Wanted>,
    filter: Option<&dyn RecordFilter>,
) -> Result<Vec<Chunk>, StoreError> {
    let Some(day) = wanted.first().map(|wanted| wanted.slice.day) else {
        return Ok(Vec::new());
    };
    let from_ms = wanted
        .iter()
        .map(|wanted| wanted.slice.from_ms)
        .min()
        .unwrap_or(0);
    let until_ms = wanted
        .iter()
        .map(|wanted| wanted.slice.until_ms)
        .max()
        .unwrap_or(0);
    table
        .entries(
            day,
            from_ms,
            until_ms.saturating_add(1),
            |source, entry, placed| {
                if !placed {
                    return Ok(true);
                }
                let at_ms = entry.timestamp.micros().div_euclid(1_000);
                let mut kept = None;
                for wanted in &mut wanted {
                    let slice = &wanted.slice;
                    let inside = slice.source == source.tag
                        && (slice.from_ms..=slice.until_ms).contains(&at_ms)
                        && wanted
                            .only
                            .as_ref()
                            .is_none_or(|only| only.contains(&entry.position));
                    if !inside {
                        continue;
                    }
                    let made = wanted.made.get_or_insert_with(|| Made {
                        source: Arc::clone(source),
                        rows: Vec::new(),
                        entries: Vec::new(),
                    });
                    made.rows.push(BriefRow {
                        at: entry.timestamp,
                        level: entry.level,
                        position: Some(entry.position),
                        source: Arc::clone(source),
                    });
                    let keep = *kept.get_or_insert_with(|| {
                        filter.is_none_or(|filter| keeps(filter, source, &entry))
                    });
                    if keep {
                        made.entries.push(entry.clone());
                    }
                }
                Ok(true)
            },
        )
        .await?;
    let finished = wanted.into_iter().filter_map(|wanted| {
        let mut made = wanted.made?;
        let mut summary = windows::summary_of(table, wanted.key.bucket, day, &made.rows, false)?;
        summary.origin = Arc::clone(&made.source.origin);
        summary.key = wanted.key;
        made.entries.sort_by_key(|entry| entry.position);
        Some(Chunk {
            summary,
            entries: Entries::Own(made.entries),
        })
    });
    Ok(finished.collect())
}

fn keeps(filter: &dyn RecordFilter, source: &SourceOfRow, entry: &Entry) -> bool {
    filter.wants(entry.timestamp, entry.level)
        && filter.keeps(&Record {
            origin: Arc::clone(&source.origin),
            entry: entry.clone(),
        })
}

/// Rows of a request in one partition as index rows: neighbours as one.
fn request_entries(
    windows: &TableWindows,
    day: Day,
    id: &RequestId,
    mut rows: Vec<BriefRow>,
) -> Vec<RequestEntry> {
    rows.retain(|row| row.position.is_some());
    rows.sort_by_key(|row| (row.source.tag, row.at));
    let close = |left: &BriefRow, right: &BriefRow| {
        left.source.tag == right.source.tag
            && windows.window(left.at) == windows.window(right.at)
            && right.at.micros() - left.at.micros() <= GAP_MS * 1_000
    };
    let mut entries = Vec::new();
    for run in rows.chunk_by(close) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let bucket = Bucket {
            layer: windows.table.mapping.layer,
            start: windows.window(first.at),
        };
        if (day.0 - Day::of(bucket.start).0).abs() > 1 {
            continue;
        }
        entries.push(RequestEntry {
            request_id: id.clone(),
            chunk: chunk_key(
                bucket,
                windows.table.tag,
                day,
                first.at,
                last.at,
                first.source.tag,
                false,
            ),
            first_seen: first.at,
            last_seen: last.at,
            worst_level: run
                .iter()
                .map(|row| row.level)
                .max()
                .unwrap_or(Level::Debug),
        });
    }
    entries
}

async fn find_request(
    windows: &TableWindows,
    id: &RequestId,
    now: Timestamp,
) -> Result<Vec<RequestEntry>, StoreError> {
    let table = &windows.table;
    if !table.has_requests() {
        return Ok(Vec::new());
    }
    if table.shape.request_indexed {
        let mut by_day: HashMap<Day, Vec<BriefRow>> = HashMap::new();
        table
            .indexed_request(id, |day, row| {
                by_day.entry(day).or_default().push(row);
                Ok(true)
            })
            .await?;
        return Ok(by_day
            .into_iter()
            .flat_map(|(day, rows)| request_entries(windows, day, id, rows))
            .collect());
    }
    let (oldest, newest) = windows.days(now);
    stream::iter((oldest.0..=newest.0).rev().map(Day))
        .map(async |day| {
            let Some((first, last)) = windows.ends(day, now).await? else {
                return Ok(Vec::new());
            };
            let rows = table.search_request(day, (first, last + 1), id).await?;
            Ok(request_entries(windows, day, id, rows))
        })
        .buffer_unordered(DAYS_AT_ONCE)
        .try_concat()
        .await
}

#[async_trait]
impl ChunkStore for ForeignStore {
    fn backend(&self) -> Backend {
        Backend::Cassandra
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn settings(&self) -> ChunkSettings {
        self.settings
    }

    /// Always refused: the tables are others'.
    async fn put(&self, _: Vec<FrameChunks>) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    /// Always `None`: nothing was put.
    async fn watermark(&self, _: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn watermarks(
        &self,
        _: Option<OriginId>,
        _: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let now = self.now();
        let reads = self
            .of_layer(layer)
            .map(|windows| windows.occupied(range, order, limit, now));
        let mut starts = futures::future::try_join_all(reads).await?.concat();
        starts.sort_unstable();
        starts.dedup();
        if order == Order::NewestFirst {
            starts.reverse();
        }
        starts.truncate(limit);
        Ok(starts
            .into_iter()
            .map(|start| Bucket { layer, start })
            .collect())
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        let now = self.now();
        let reads = self
            .of_layer(bucket.layer)
            .map(|windows| windows.summaries(bucket.start, now));
        let mut summaries = futures::future::try_join_all(reads).await?.concat();
        summaries.sort_by_key(|summary| (std::cmp::Reverse(summary.key.first_at), summary.key.id));
        Ok(summaries)
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        self.read(keys, None).await
    }

    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.read(keys, Some(&*filter)).await
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        let now = self.now();
        let reads = self
            .tables
            .iter()
            .map(|windows| find_request(windows, id, now));
        Ok(futures::future::try_join_all(reads).await?.concat())
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        let now = self.now();
        let reads = self.tables.iter().map(|windows| tail::start(windows, now));
        let tables = futures::future::try_join_all(reads)
            .await?
            .into_iter()
            .map(Arc::new)
            .collect();
        Ok(ArrivalCursor::new(ForeignCursor { tables }))
    }

    /// More than `limit` chunks may come at once: what is new in a table is cut as it stands.
    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        _: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        let now = self.now();
        let Some(ForeignCursor { tables }) = cursor.get::<ForeignCursor>() else {
            return Ok((Vec::new(), self.arrivals_end().await?));
        };
        let reads = self
            .tables
            .iter()
            .zip(tables)
            .map(|(windows, cursor)| tail::news(windows, cursor, now));
        let mut summaries = Vec::new();
        let mut next = Vec::with_capacity(tables.len());
        for (announced, cursor) in futures::future::try_join_all(reads).await? {
            for (summary, positions) in announced {
                self.announced().put(summary.key, positions);
                summaries.push(summary);
            }
            next.push(Arc::new(cursor));
        }
        Ok((
            summaries,
            ArrivalCursor::new(ForeignCursor { tables: next }),
        ))
    }
}

#[async_trait]
impl StoreHealth for ForeignStore {
    /// Nothing: counting would read every row.
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        Ok(ChunkStoreStats::default())
    }

    fn troubles(&self) -> Troubles {
        Troubles {
            reads: self.resilience.trouble(),
            writes: None,
            ..Troubles::default()
        }
    }
}

impl Part for ForeignStore {
    fn owns(&self, key: &ChunkKey) -> bool {
        self.table(key).is_some()
    }
}
