//! Buckets of a log store: what each holds, in figures that tell whether it changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{BackupError, Progress, Stage, Work, folder_error};
use crate::service::copy::{Sum, sums};
use atalaya_domain::backup::{BUCKETS, BucketState};
use atalaya_domain::chunk::{Bucket, ChunkKey, ChunkSummary};
use atalaya_domain::record::Layer;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::{ChunkStore, Order};
use atalaya_store::engine::build::bucket_range;
use atalaya_store::error::StoreError;

/// Buckets asked for at once.
const PAGE: usize = 256;
/// Chunks decoded at once, and buckets in work at the same time.
const BATCH: usize = 32;
const IN_FLIGHT: usize = 2;
/// 19 years of both layers in windows of ten minutes; what claims more is no list of ours.
const MOST_BUCKETS: usize = 2_000_000;
/// A line of the list is about 150 bytes.
const MOST_LINE: u64 = 1_024;

pub(super) type States = BTreeMap<Bucket, BucketState>;

/// What the summaries say of each bucket from `from` on; the sums over records are left at 0.
pub(super) async fn prints(
    store: &dyn ChunkStore,
    from: Timestamp,
    work: &Work,
) -> Result<States, BackupError> {
    let mut states = States::new();
    for layer in Layer::ALL {
        let mut next = Some(from);
        while let Some(from) = next {
            let buckets;
            (buckets, next) = page(store, layer, from).await?;
            for bucket in buckets {
                work.go_on()?;
                let state = print_of(bucket, &store.summaries(bucket).await?);
                if state.chunks > 0 {
                    states.insert(bucket, state);
                }
            }
        }
    }
    Ok(states)
}

/// As [`prints`], and every record is read. `total` is for the progress.
pub(super) async fn scan(
    store: &dyn ChunkStore,
    total: u64,
    work: &Work,
) -> Result<States, BackupError> {
    let mut done = 0;
    let mut states = States::new();
    for layer in Layer::ALL {
        let mut next = Some(Timestamp::MIN);
        while let Some(from) = next {
            let buckets;
            (buckets, next) = page(store, layer, from).await?;
            let mut scanned = stream::iter(buckets)
                .map(|bucket| scan_one(store, bucket))
                .buffer_unordered(IN_FLIGHT);
            while let Some(state) = scanned.try_next().await? {
                work.go_on()?;
                done += state.records;
                (work.watch)(Progress {
                    stage: Stage::Comparing,
                    done,
                    total,
                });
                if state.chunks > 0 {
                    states.insert(state.bucket, state);
                }
            }
        }
    }
    Ok(states)
}

async fn scan_one(store: &dyn ChunkStore, bucket: Bucket) -> Result<BucketState, StoreError> {
    let summaries = store.summaries(bucket).await?;
    let mut state = print_of(bucket, &summaries);
    let keys: Vec<ChunkKey> = summaries.iter().map(|summary| summary.key).collect();
    let mut sum = Sum::default();
    for keys in keys.chunks(BATCH) {
        let chunks = store.chunks(keys).await?;
        sum.merge(sums::sum_of(&chunks));
    }
    // What was really there, whatever the summaries say.
    state.records = sum.count;
    state.sum = sum.sum;
    Ok(state)
}

/// The next buckets, and where those behind them begin.
async fn page(
    store: &dyn ChunkStore,
    layer: Layer,
    from: Timestamp,
) -> Result<(Vec<Bucket>, Option<Timestamp>), StoreError> {
    let range = TimeRange::new(from, Timestamp::MAX);
    let buckets = store
        .buckets(layer, range, Order::OldestFirst, PAGE)
        .await?;
    let next = buckets
        .last()
        .map(|&last| bucket_range(last, store.settings()).until)
        .filter(|&end| end < Timestamp::MAX);
    Ok((buckets, next))
}

fn print_of(bucket: Bucket, summaries: &[ChunkSummary]) -> BucketState {
    let mut state = BucketState {
        bucket,
        chunks: summaries.len() as u64,
        records: 0,
        keys: 0,
        sum: 0,
        link: 0,
    };
    for summary in summaries {
        let mut hasher = blake3::Hasher::new();
        hasher.update(summary.key.id.as_bytes());
        hasher.update(&summary.key.first_at.micros().to_le_bytes());
        hasher.update(&summary.records().to_le_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        state.keys = state.keys.wrapping_add(u128::from_le_bytes(bytes));
        state.records += u64::from(summary.records());
    }
    state
}

/// Blocks.
pub(super) fn write(folder: &Path, states: &States) -> Result<(), BackupError> {
    let path = folder.join(BUCKETS);
    let failed = folder_error(&path);
    let mut file = BufWriter::new(File::create(&path).map_err(&failed)?);
    for state in states.values() {
        serde_json::to_writer(&mut file, state)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(&failed)?;
    }
    file.flush().map_err(&failed)
}

/// Reads a list that may be anything. Blocks.
pub(super) fn read(folder: &Path, name: &str, links: usize) -> Result<States, BackupError> {
    let path = folder.join(BUCKETS);
    let failed = folder_error(&path);
    let mut file = BufReader::new(File::open(&path).map_err(&failed)?);
    let mut states = States::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut file)
            .take(MOST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(&failed)?;
        if read == 0 {
            return Ok(states);
        }
        let wrong = || BackupError::wrong(name, "its list of buckets cannot be read");
        let state: BucketState = serde_json::from_slice(&line).map_err(|_| wrong())?;
        if state.link as usize > links
            || states.len() >= MOST_BUCKETS
            || states.insert(state.bucket, state).is_some()
        {
            return Err(wrong());
        }
    }
}
