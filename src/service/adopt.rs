//! Copies a table of others, one record a row, into our own chunks.
//!
//! Promises: every row that the table held when the run began is in the store when it ends, once,
//! and both sides are counted by window, origin and level to prove it. A run that was ended at any
//! moment is finished by running it again: how far each partition is stands in the store itself,
//! written after the rows. The table is never changed. Rows older than the retention are counted
//! and told, since the store would not keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::config::places::CassandraPlace;
use atalaya_domain::chunk::{Bucket, ChunkSummary};
use atalaya_domain::record::{Frame, LevelCounts, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_store::cassandra::CassandraLogStore;
use atalaya_store::cassandra::foreign::{ForeignStore, Mapping, Partition, PartitionCounts};
use atalaya_store::cassandra::retry::{Resilience, RetrySettings};
use atalaya_store::chunks::ChunkStore;
use atalaya_store::engine::LogEngine;
use atalaya_store::error::StoreError;

use super::copy::CopyError;
use super::stores::cassandra_options;

/// Partitions in work at the same time.
const AT_ONCE: usize = 4;
/// Chunks of which the positions are read at once.
const CHUNKS: usize = 32;

/// What is being done, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Rows.
    pub done: u64,
    /// 0 while they are being counted.
    pub total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Counting,
    Copying,
    Comparing,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Copying => "copying",
            Self::Comparing => "comparing",
        }
    }
}

/// Is told the progress now and then; must return soon.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// How many of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub [u64; 5]);

impl Counts {
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, counts: &LevelCounts) {
        for (sum, count) in self.0.iter_mut().zip(counts.0) {
            *sum += u64::from(count);
        }
    }
}

/// What was adopted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    pub partitions: u64,
    /// An earlier run had begun it.
    pub resumed: bool,
    /// Rows of the table that the store keeps, by level.
    pub table: Counts,
    /// The same rows in the store; nothing on a dry run.
    pub store: Counts,
    /// Copied by this run.
    pub copied: u64,
    /// Of these, rows that came into a part of the table that was copied before.
    pub late: u64,
    /// Rows of the table that are not in the store.
    pub missing: u64,
    /// Records of these partitions that the table does not hold any more.
    pub beyond: u64,
    /// Rows older than the retention: left out.
    pub older: u64,
    /// Rows of which the time is months from the day of their partition: left out.
    pub misplaced: u64,
}

impl Adopted {
    /// Whether everything that the store can keep is in it.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.misplaced == 0
    }
}

/// A table of a ring, and the store that it goes into.
pub struct Adoption {
    from: ForeignStore,
    to: Arc<dyn ChunkStore>,
    keep_since: Option<Timestamp>,
}

/// What the columns of a table mean: from the configuration, or because it is of the older layout.
pub fn mapping(place: &CassandraPlace, keyspace: &str, table: &str) -> Option<Mapping> {
    let configured = place
        .foreign
        .iter()
        .find(|known| known.keyspace == keyspace && known.table == table);
    configured
        .cloned()
        .or_else(|| Mapping::built_in(keyspace, table))
}

impl Adoption {
    /// Opens both sides; the store is the one of the place, without the tables of others.
    pub async fn open(place: &CassandraPlace, mapping: Mapping) -> Result<Self, StoreError> {
        let options = cassandra_options(place);
        let store = CassandraLogStore::connect(&options).await?;
        let retention = store.schema_settings().retention_days;
        let now = Timestamp::now();
        let keep_since = (retention > 0)
            .then(|| now.saturating_sub(Duration::from_secs(u64::from(retention) * 86_400)));
        let from = ForeignStore::open(
            store.session(),
            &Arc::new(Resilience::new(options.address(), RetrySettings::default())),
            vec![mapping],
            store.settings(),
            Arc::new(Timestamp::now),
        )
        .await?;
        Ok(Self {
            from,
            to: Arc::new(store),
            keep_since,
        })
    }

    /// From when on the store keeps records; `None` when it keeps them for ever.
    pub fn keep_since(&self) -> Option<Timestamp> {
        self.keep_since
    }

    /// See [`adopt`].
    pub async fn run(
        &self,
        dry_run: bool,
        cancel: &CancellationToken,
        watch: Watch<'_>,
    ) -> Result<Adopted, CopyError> {
        adopt(
            &self.from,
            &self.to,
            self.keep_since,
            dry_run,
            cancel,
            watch,
        )
        .await
    }
}

/// Counts the table, copies what is not copied yet, and counts both sides. `keep_since` is from when
/// on the store keeps records. On a dry run nothing is written.
pub async fn adopt(
    from: &ForeignStore,
    to: &Arc<dyn ChunkStore>,
    keep_since: Option<Timestamp>,
    dry_run: bool,
    cancel: &CancellationToken,
    watch: Watch<'_>,
) -> Result<Adopted, CopyError> {
    let adoption = Run {
        from,
        engine: LogEngine::new(Arc::clone(to)),
        keep_since: keep_since.unwrap_or(Timestamp::MIN),
        cancel,
        watch,
        done: AtomicU64::new(0),
    };
    let counted = adoption.count().await?;
    let mut adopted = Adopted {
        partitions: counted.len() as u64,
        ..Adopted::default()
    };
    for (_, counts) in &counted {
        adopted.older += counts.older;
        adopted.misplaced += counts.misplaced;
        for counts in counts.windows.values().flat_map(BTreeMap::values) {
            adopted.table.add(counts);
        }
    }
    if dry_run {
        return Ok(adopted);
    }
    let total = adopted.table.total();
    adoption.done.store(0, Ordering::Relaxed);
    let copied: Vec<Copied> = stream::iter(&counted)
        .map(|(partition, counts)| adoption.copy(*partition, counts, total))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    adopted.resumed = copied.iter().any(|copied| copied.resumed);
    adopted.copied = copied.iter().map(|copied| copied.rows).sum();
    adoption.done.store(0, Ordering::Relaxed);
    let compared: Vec<Compared> = stream::iter(&counted)
        .map(|(partition, counts)| adoption.compare(*partition, counts, total))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for compared in compared {
        for (sum, count) in adopted.store.0.iter_mut().zip(compared.store.0) {
            *sum += count;
        }
        adopted.late += compared.late;
        adopted.copied += compared.late;
        adopted.missing += compared.missing;
        adopted.beyond += compared.beyond;
    }
    Ok(adopted)
}

struct Run<'a> {
    from: &'a ForeignStore,
    engine: LogEngine,
    keep_since: Timestamp,
    cancel: &'a CancellationToken,
    watch: Watch<'a>,
    done: AtomicU64,
}

struct Copied {
    rows: u64,
    resumed: bool,
}

#[derive(Default)]
struct Compared {
    store: Counts,
    late: u64,
    missing: u64,
    beyond: u64,
}

type ByOrigin = BTreeMap<OriginId, LevelCounts>;

impl Run<'_> {
    fn reading(&self, source: StoreError) -> CopyError {
        CopyError::Read {
            address: self.from.address(),
            source,
        }
    }

    fn writing(&self, source: StoreError) -> CopyError {
        CopyError::Write {
            address: self.engine.store().address(),
            source,
        }
    }

    fn go_on(&self) -> Result<(), CopyError> {
        if self.cancel.is_cancelled() {
            Err(CopyError::Cancelled)
        } else {
            Ok(())
        }
    }

    fn tell(&self, stage: Stage, rows: u64, total: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        (self.watch)(Progress { stage, done, total });
    }

    async fn count(&self) -> Result<Vec<(Partition, PartitionCounts)>, CopyError> {
        let partitions = self
            .from
            .partitions()
            .await
            .map_err(|error| self.reading(error))?;
        stream::iter(partitions)
            .map(async |partition| {
                self.go_on()?;
                let counts = self.from.counts(partition.day, self.keep_since).await;
                let counts = counts.map_err(|error| self.reading(error))?;
                self.tell(Stage::Counting, rows_of(&counts), 0);
                Ok((partition, counts))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Copies a partition from where the last run ended.
    async fn copy(
        &self,
        partition: Partition,
        counts: &PartitionCounts,
        total: u64,
    ) -> Result<Copied, CopyError> {
        let day = partition.day;
        let progress = self
            .from
            .progress_origin(day)
            .map_err(|error| self.reading(error))?;
        let mut place = self
            .engine
            .watermark(progress.id)
            .await
            .map_err(|error| self.writing(error))?;
        let mut copied = Copied {
            rows: 0,
            resumed: place.is_some(),
        };
        loop {
            self.go_on()?;
            let slice = self
                .from
                .slice(day, place)
                .await
                .map_err(|error| self.reading(error))?;
            if slice.rows == 0 {
                break;
            }
            let until = slice.until;
            let mut frames = slice.frames;
            for frame in &mut frames {
                frame
                    .entries
                    .retain(|entry| entry.timestamp >= self.keep_since);
            }
            frames.retain(|frame| !frame.entries.is_empty());
            if !frames.is_empty() {
                let rows = self
                    .engine
                    .append(&frames)
                    .await
                    .map_err(|error| self.writing(error))?;
                copied.rows += rows;
                self.tell(Stage::Copying, rows, total);
            }
            // After the rows: a run that ends here stores them again, the very same way.
            let passed = Frame {
                origin: Arc::clone(&progress),
                from: place.unwrap_or(0),
                until,
                entries: Vec::new(),
            };
            self.engine
                .append(&[passed])
                .await
                .map_err(|error| self.writing(error))?;
            place = Some(until);
            if !slice.more {
                break;
            }
        }
        self.tell(
            Stage::Copying,
            rows_of(counts).saturating_sub(copied.rows),
            total,
        );
        Ok(copied)
    }

    /// Compares a partition window by window. What came late into a part that was copied before is
    /// found here, and copied.
    async fn compare(
        &self,
        partition: Partition,
        counts: &PartitionCounts,
        total: u64,
    ) -> Result<Compared, CopyError> {
        let mut compared = Compared::default();
        for (&start, expected) in &counts.windows {
            self.go_on()?;
            let mut stored = by_origin(&self.stored(start, expected).await?);
            if missing(expected, &stored) > 0 {
                compared.late += self.add_missing(partition, start, expected).await?;
                stored = by_origin(&self.stored(start, expected).await?);
            }
            compared.missing += missing(expected, &stored);
            compared.beyond += missing(&stored, expected);
            for counts in stored.values() {
                compared.store.add(counts);
            }
            let rows: u32 = expected.values().map(LevelCounts::total).sum();
            self.tell(Stage::Comparing, u64::from(rows), total);
        }
        Ok(compared)
    }

    /// Chunks of a window that are of this partition's origins.
    async fn stored(
        &self,
        start: Timestamp,
        expected: &ByOrigin,
    ) -> Result<Vec<ChunkSummary>, CopyError> {
        let layer = self.from.layer().map_err(|error| self.reading(error))?;
        let summaries = self.engine.store().summaries(Bucket { layer, start }).await;
        let mut summaries = summaries.map_err(|error| self.writing(error))?;
        summaries.retain(|summary| expected.contains_key(&summary.origin.id));
        Ok(summaries)
    }

    /// Stores the rows of a window that are not in the store, by their positions.
    async fn add_missing(
        &self,
        partition: Partition,
        start: Timestamp,
        expected: &ByOrigin,
    ) -> Result<u64, CopyError> {
        let mut known: BTreeSet<(OriginId, u64)> = BTreeSet::new();
        let keys: Vec<_> = self
            .stored(start, expected)
            .await?
            .iter()
            .map(|summary| summary.key)
            .collect();
        for keys in keys.chunks(CHUNKS) {
            let chunks = self
                .engine
                .store()
                .chunks(keys)
                .await
                .map_err(|error| self.writing(error))?;
            for chunk in chunks {
                let origin = chunk.summary.origin.id;
                known.extend(chunk.entries.iter().map(|entry| (origin, entry.position)));
            }
        }
        let rows = self.from.window_rows(partition.day, start).await;
        let mut frames = rows.map_err(|error| self.reading(error))?;
        for frame in &mut frames {
            let origin = frame.origin.id;
            frame.entries.retain(|entry| {
                entry.timestamp >= self.keep_since && !known.contains(&(origin, entry.position))
            });
        }
        frames.retain(|frame| !frame.entries.is_empty());
        self.engine
            .append(&frames)
            .await
            .map_err(|error| self.writing(error))
    }
}

fn rows_of(counts: &PartitionCounts) -> u64 {
    let windows = counts.windows.values().flat_map(BTreeMap::values);
    windows.map(|counts| u64::from(counts.total())).sum()
}

fn by_origin(summaries: &[ChunkSummary]) -> ByOrigin {
    let mut counts = ByOrigin::new();
    for summary in summaries {
        counts
            .entry(summary.origin.id)
            .or_default()
            .merge(&summary.levels);
    }
    counts
}

/// How many of `wanted` are not in `there`, level by level.
fn missing(wanted: &ByOrigin, there: &ByOrigin) -> u64 {
    let mut missing = 0;
    for (origin, wanted) in wanted {
        let there = there.get(origin).copied().unwrap_or_default();
        for (wanted, there) in wanted.0.iter().zip(there.0) {
            missing += u64::from(wanted.saturating_sub(there));
        }
    }
    missing
}
