//! Logs from one store to another: bucket by bucket, oldest first, each chunk with its request
//! rows, and the watermarks at the very end.
//!
//! Chunks keep their key where both stores cut time alike; else they are cut anew, always the same
//! way. Repeating a bucket therefore changes nothing, and how far the copy is need only be known
//! by bucket. Records that arrive while it runs may or may not be copied; the watermarks are those
//! from its beginning, so an ingest that moves to the destination reads them again.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey};
use atalaya_domain::record::{Frame, Layer, OriginId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::{ChunkStore, FrameChunks, Order};
use atalaya_store::engine::build::{bucket_range, build, request_rows};
use atalaya_store::error::StoreError;

use super::progress::{Folder, Saved};
use super::sums::sum_of;
use super::{CopyError, Progress, Stage, Sum, Watch};

/// Chunks read and written at once, of one bucket or of several small ones: at most about 4 MB of
/// text, and few enough calls that a store which syncs each one is not waited for.
const BATCH: usize = 64;
/// Batches in work at the same time.
const IN_FLIGHT: usize = 4;
/// Buckets whose keys are held at once.
const BUCKETS: usize = 256;
const WATERMARKS: usize = 500;
/// How often the disk is told how far the copy is. What was done after that is done again.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// Chunks named in a report of what is missing.
const EXAMPLES: usize = 5;

/// What was copied, and what the comparison of both sides found.
#[derive(Clone, Debug)]
pub struct LogsCopied {
    /// An earlier run had begun it.
    pub resumed: bool,
    /// Stored by this run and those before it; more than there is, where some was stored twice.
    pub chunks: u64,
    pub records: u64,
    pub origins: u64,
    pub compared: LogsCompared,
}

/// Both sides, read again.
#[derive(Clone, Debug, Default)]
pub struct LogsCompared {
    pub chunks_from: u64,
    pub chunks_to: u64,
    pub records_from: Sum,
    pub records_to: Sum,
    /// Records that are too old for the destination, which keeps none so long; not among the others.
    pub expired: u64,
    /// Chunks that should be in the destination and are not.
    pub missing: u64,
    /// Some of these.
    pub missing_examples: Vec<ChunkKey>,
    /// Request ids that were looked up in the destination's index, one of each batch.
    pub requests: u64,
    pub requests_missing: u64,
    /// Origins whose watermark in the destination is behind.
    pub origins_behind: u64,
}

impl LogsCompared {
    pub fn is_equal(&self) -> bool {
        self.missing == 0
            && self.requests_missing == 0
            && self.origins_behind == 0
            && self.records_from == self.records_to
    }

    fn merge(&mut self, other: Self) {
        self.chunks_from += other.chunks_from;
        self.chunks_to += other.chunks_to;
        self.records_from.merge(other.records_from);
        self.records_to.merge(other.records_to);
        self.expired += other.expired;
        self.missing += other.missing;
        self.missing_examples.extend(other.missing_examples);
        self.missing_examples.truncate(EXAMPLES);
        self.requests += other.requests;
        self.requests_missing += other.requests_missing;
    }
}

/// What was copied, before anybody compares.
#[derive(Clone, Copy, Debug)]
pub struct LogsWritten {
    pub chunks: u64,
    /// As they were read from the source.
    pub records: Sum,
}

/// Copies everything and compares both sides. `parent` is the folder in which it is kept how far
/// the copy is.
pub async fn copy(
    from: Arc<dyn ChunkStore>,
    to: Arc<dyn ChunkStore>,
    parent: &Path,
    cancel: &CancellationToken,
    watch: Watch<'_>,
) -> Result<LogsCopied, CopyError> {
    let folder = folder_of(parent, &*from, &*to);
    let (copy, saved, resumed) = written(from, to, &folder, cancel, watch).await?;
    copy.done.store(0, Ordering::Relaxed);
    let mut compared = copy.compare().await?;
    let origins = copy.compare_watermarks(&folder, &mut compared).await?;
    // What is missing is copied by the next run, from the beginning.
    folder.remove().await?;
    Ok(LogsCopied {
        resumed,
        chunks: saved.chunks,
        records: saved.records,
        origins,
        compared,
    })
}

/// Copies everything, and leaves it to the caller to look at it: for a source that is written
/// meanwhile, which a comparison would find different.
pub async fn write(
    from: Arc<dyn ChunkStore>,
    to: Arc<dyn ChunkStore>,
    parent: &Path,
    cancel: &CancellationToken,
    watch: Watch<'_>,
) -> Result<LogsWritten, CopyError> {
    let folder = folder_of(parent, &*from, &*to);
    let (copy, saved, _) = written(from, to, &folder, cancel, watch).await?;
    folder.remove().await?;
    Ok(LogsWritten {
        chunks: saved.chunks,
        records: *lock(&copy.sum),
    })
}

fn folder_of(parent: &Path, from: &dyn ChunkStore, to: &dyn ChunkStore) -> Folder {
    Folder::of(parent, &name_of(from), &name_of(to))
}

fn name_of(side: &dyn ChunkStore) -> String {
    format!("{} {}", side.backend(), side.address())
}

async fn written<'a>(
    from: Arc<dyn ChunkStore>,
    to: Arc<dyn ChunkStore>,
    folder: &Folder,
    cancel: &'a CancellationToken,
    watch: Watch<'a>,
) -> Result<(Copy<'a>, Saved, bool), CopyError> {
    let names = [name_of(&*from), name_of(&*to)];
    let mut copy = Copy {
        from,
        to,
        cancel,
        watch,
        done: AtomicU64::new(0),
        sum: Mutex::default(),
        total: 0,
    };
    let (mut saved, resumed) = match folder.load().await? {
        Some(saved) => (saved, true),
        None => (copy.begin(folder, &names).await?, false),
    };
    let stats = copy.from.stats().await;
    copy.total = stats.map_err(|error| copy.reading(error))?.records;
    copy.done = AtomicU64::new(saved.records);
    for layer in Layer::ALL {
        copy.layer(layer, folder, &mut saved).await?;
    }
    copy.put_watermarks(folder).await?;
    Ok((copy, saved, resumed))
}

/// Chunks that are copied at once.
struct Batch {
    keys: Vec<ChunkKey>,
    /// The last bucket that is complete with it.
    through: Option<Bucket>,
}

struct Copy<'a> {
    from: Arc<dyn ChunkStore>,
    to: Arc<dyn ChunkStore>,
    cancel: &'a CancellationToken,
    watch: Watch<'a>,
    done: AtomicU64,
    /// Of what this run has read and written.
    sum: Mutex<Sum>,
    total: u64,
}

impl Copy<'_> {
    fn reading(&self, source: StoreError) -> CopyError {
        CopyError::Read {
            address: self.from.address(),
            source,
        }
    }

    fn writing(&self, source: StoreError) -> CopyError {
        CopyError::Write {
            address: self.to.address(),
            source,
        }
    }

    fn tell(&self, stage: Stage, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        (self.watch)(Progress {
            stage,
            done,
            total: self.total,
        });
    }

    /// Keeps the watermarks of this moment: whatever they cover is visible from now on.
    async fn begin(&self, folder: &Folder, names: &[String; 2]) -> Result<Saved, CopyError> {
        let mut snapshot = folder.snapshot().await?;
        let mut after = None;
        loop {
            let page = self
                .from
                .watermarks(after, WATERMARKS)
                .await
                .map_err(|error| self.reading(error))?;
            let Some(&(last, _)) = page.last() else { break };
            after = Some(last);
            for (origin, until) in page {
                // To memory, and every few hundred to the page cache.
                snapshot
                    .add(origin, until)
                    .map_err(|error| folder.failed(error))?;
            }
        }
        folder.begin(&names[0], &names[1], snapshot).await
    }

    /// The next keys of a layer from `from` on, oldest bucket first, and where those behind them
    /// begin. No batches: the layer is at its end.
    async fn batches(
        &self,
        layer: Layer,
        from: Timestamp,
    ) -> Result<(Vec<Batch>, Option<Timestamp>), CopyError> {
        let range = TimeRange::new(from, Timestamp::MAX);
        let buckets = self.from.buckets(layer, range, Order::OldestFirst, BUCKETS);
        let buckets = buckets.await.map_err(|error| self.reading(error))?;
        let next = buckets.last().and_then(|&last| self.behind(last));
        let mut keys = stream::iter(buckets)
            .map(|bucket| async move { Ok((bucket, self.from.summaries(bucket).await?)) })
            .buffered(IN_FLIGHT);
        let mut batches: Vec<Batch> = Vec::new();
        while let Some((bucket, summaries)) =
            keys.try_next().await.map_err(|error| self.reading(error))?
        {
            for summary in summaries {
                match batches.last_mut() {
                    Some(batch) if batch.keys.len() < BATCH => batch.keys.push(summary.key),
                    _ => batches.push(Batch {
                        keys: vec![summary.key],
                        through: None,
                    }),
                }
            }
            match batches.last_mut() {
                Some(batch) => batch.through = Some(bucket),
                // Everything in it expired meanwhile.
                None => batches.push(Batch {
                    keys: Vec::new(),
                    through: Some(bucket),
                }),
            }
        }
        Ok((batches, next))
    }

    /// Where the buckets after this one begin; `None` after the last one of time.
    fn behind(&self, bucket: Bucket) -> Option<Timestamp> {
        let end = bucket_range(bucket, self.from.settings()).until;
        (end < Timestamp::MAX).then_some(end)
    }

    async fn layer(
        &self,
        layer: Layer,
        folder: &Folder,
        saved: &mut Saved,
    ) -> Result<(), CopyError> {
        let mut last_save = Instant::now();
        let mut next = match saved.finished.get(&layer) {
            Some(&start) => self.behind(Bucket { layer, start }),
            None => Some(Timestamp::MIN),
        };
        while let Some(from) = next {
            let batches;
            (batches, next) = self.batches(layer, from).await?;
            if batches.is_empty() {
                break;
            }
            // In order, so that what is remembered holds for all before it.
            let mut copied = stream::iter(batches)
                .map(|batch| self.copy_batch(batch))
                .buffered(IN_FLIGHT);
            while let Some(outcome) = copied.next().await {
                let stopped = match outcome {
                    Ok((through, chunks, records)) => {
                        saved
                            .finished
                            .extend(through.map(|bucket| (layer, bucket.start)));
                        saved.chunks += chunks;
                        saved.records += records;
                        self.cancel.is_cancelled().then_some(CopyError::Cancelled)
                    }
                    Err(error) => Some(error),
                };
                if stopped.is_some() || last_save.elapsed() >= SAVE_EVERY {
                    folder.save(saved).await?;
                    last_save = Instant::now();
                }
                if let Some(error) = stopped {
                    return Err(error);
                }
            }
        }
        folder.save(saved).await
    }

    /// The bucket that is complete with it, and chunks and records that were written.
    async fn copy_batch(&self, batch: Batch) -> Result<(Option<Bucket>, u64, u64), CopyError> {
        let chunks = self
            .from
            .chunks(&batch.keys)
            .await
            .map_err(|error| self.reading(error))?;
        let count = chunks.len() as u64;
        let sum = sum_of(&chunks);
        let records = sum.count;
        self.to
            .put(self.fitted(chunks))
            .await
            .map_err(|error| self.writing(error))?;
        lock(&self.sum).merge(sum);
        self.tell(Stage::Copying, records);
        Ok((batch.through, count, records))
    }

    /// Chunks as the destination cuts them. The watermark is not theirs to move: it is put at the
    /// end, for each origin as it was at the beginning.
    fn fitted(&self, chunks: Vec<Chunk>) -> Vec<FrameChunks> {
        let settings = self.to.settings();
        let same = settings.bucket_minutes == self.from.settings().bucket_minutes;
        let mut frames: BTreeMap<OriginId, FrameChunks> = BTreeMap::new();
        for chunk in chunks {
            let origin = Arc::clone(&chunk.summary.origin);
            let frame = frames.entry(origin.id).or_insert_with(|| FrameChunks {
                origin: origin.id,
                until: 0,
                chunks: Vec::new(),
                requests: Vec::new(),
            });
            if same {
                frame.requests.extend(request_rows(&chunk));
                frame.chunks.push(chunk);
            } else {
                let cut = build(
                    &Frame {
                        origin,
                        from: 0,
                        until: 0,
                        entries: chunk.entries.into(),
                    },
                    settings,
                );
                frame.requests.extend(cut.requests);
                frame.chunks.extend(cut.chunks);
            }
        }
        frames.into_values().collect()
    }

    async fn put_watermarks(&self, folder: &Folder) -> Result<(), CopyError> {
        let mut list = folder.watermarks()?;
        loop {
            let page = list
                .next(WATERMARKS)
                .map_err(|error| folder.unreadable(error))?;
            if page.is_empty() {
                return Ok(());
            }
            let frames = page.into_iter().map(|(origin, until)| FrameChunks {
                origin,
                until,
                chunks: Vec::new(),
                requests: Vec::new(),
            });
            self.to
                .put(frames.collect())
                .await
                .map_err(|error| self.writing(error))?;
        }
    }

    /// Reads all that the source has, and looks for it in the destination.
    async fn compare(&self) -> Result<LogsCompared, CopyError> {
        let mut compared = LogsCompared::default();
        for layer in Layer::ALL {
            let mut next = Some(Timestamp::MIN);
            while let Some(from) = next {
                let batches;
                (batches, next) = self.batches(layer, from).await?;
                if batches.is_empty() {
                    break;
                }
                let mut found = stream::iter(batches)
                    .map(|batch| self.compare_batch(batch))
                    .buffer_unordered(IN_FLIGHT);
                while let Some(batch) = found.try_next().await? {
                    compared.merge(batch);
                    if self.cancel.is_cancelled() {
                        return Err(CopyError::Cancelled);
                    }
                }
            }
        }
        Ok(compared)
    }

    async fn compare_batch(&self, batch: Batch) -> Result<LogsCompared, CopyError> {
        let chunks = self
            .from
            .chunks(&batch.keys)
            .await
            .map_err(|error| self.reading(error))?;
        let mut compared = LogsCompared {
            chunks_from: chunks.len() as u64,
            ..LogsCompared::default()
        };
        let records = chunks.iter().map(|chunk| chunk.entries.len() as u64).sum();
        let frames = self.fitted(chunks);
        let expected = || frames.iter().flat_map(|frame| &frame.chunks);
        let keys: Vec<ChunkKey> = expected().map(|chunk| chunk.summary.key).collect();
        let stored = self
            .to
            .chunks(&keys)
            .await
            .map_err(|error| self.writing(error))?;
        let found: HashSet<ChunkKey> = stored.iter().map(|chunk| chunk.summary.key).collect();
        compared.chunks_to = stored.len() as u64;
        compared.records_to = sum_of(&stored);
        let too_old = self.too_old();
        for chunk in expected() {
            if found.contains(&chunk.summary.key) {
                compared
                    .records_from
                    .merge(sum_of(std::slice::from_ref(chunk)));
            } else if chunk.summary.last_at < too_old {
                compared.expired += chunk.entries.len() as u64;
            } else {
                compared
                    .records_from
                    .merge(sum_of(std::slice::from_ref(chunk)));
                compared.missing += 1;
                if compared.missing_examples.len() < EXAMPLES {
                    compared.missing_examples.push(chunk.summary.key);
                }
            }
        }
        let mut rows = frames.iter().flat_map(|frame| &frame.requests);
        if let Some(row) = rows.find(|row| found.contains(&row.chunk)) {
            let rows = self
                .to
                .request(&row.request_id)
                .await
                .map_err(|error| self.writing(error))?;
            compared.requests = 1;
            compared.requests_missing =
                u64::from(!rows.iter().any(|found| found.chunk == row.chunk));
        }
        self.tell(Stage::Comparing, records);
        Ok(compared)
    }

    /// Chunks whose newest record is older than this are not kept by the destination.
    fn too_old(&self) -> Timestamp {
        let now = Timestamp::now();
        self.to.retention().map_or(Timestamp::MIN, |retention| {
            let micros = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.micros().saturating_sub(micros))
        })
    }

    /// Counts the origins, and those that are behind.
    async fn compare_watermarks(
        &self,
        folder: &Folder,
        compared: &mut LogsCompared,
    ) -> Result<u64, CopyError> {
        let mut origins = 0;
        let mut list = folder.watermarks()?;
        loop {
            let page = list
                .next(WATERMARKS)
                .map_err(|error| folder.unreadable(error))?;
            if page.is_empty() {
                return Ok(origins);
            }
            origins += page.len() as u64;
            let behind = stream::iter(page)
                .map(|(origin, until)| async move {
                    let stored = self.to.watermark(origin).await?;
                    Ok(stored.is_none_or(|stored| stored < until))
                })
                .buffer_unordered(2 * IN_FLIGHT)
                .try_fold(0, |behind, is_behind| async move {
                    Ok(behind + u64::from(is_behind))
                });
            compared.origins_behind += behind.await.map_err(|error| self.writing(error))?;
        }
    }
}

fn lock(sum: &Mutex<Sum>) -> MutexGuard<'_, Sum> {
    sum.lock().unwrap_or_else(PoisonError::into_inner)
}
