//! Puts: records first, then what makes them visible, then that they arrived, then how far their
//! origin is stored. Each step repeats what an earlier, broken put may have written.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::chunks::FrameChunks;
use crate::engine::build::{bucket_range, halves};
use crate::error::{Backend, StoreError};
use crate::sync::lock;
use atalaya_domain::chunk::{Bucket, Chunk, RequestEntry};
use atalaya_domain::record::{Layer, OriginId, Record, RequestId};
use atalaya_domain::time::Timestamp;

use super::codec::{self, Levels, Records, VISIBLE_BYTES, encode_request_chunks, encode_summary};
use super::errors::refused;
use super::log_store::CassandraLogStore;
use super::place::{
    Life, Place, SECOND, chunk_settings, date_of, day_and_window, index_name, index_shard_of,
    millis_of, period_of,
};
use super::statements::{Batched, Cell, MOST_ROWS};

/// Statements of one put in flight; the retry layer has the limit of the process.
const PARALLEL: usize = 32;
/// Most bytes of a batch: Cassandra warns from 5 KiB (`batch_size_warn_threshold`).
const BATCH_BYTES: usize = 4 * 1024;
/// What Cassandra counts for a row besides its values: key, times, TTL, lengths.
const ROW_BYTES: usize = 80;
/// Most bytes of a group of summaries.
const GROUP_BYTES: usize = 32 * 1024;
/// Largest `logs` value that is sent. A node takes mutations up to half a segment of its commit log,
/// 16 MiB unless configured otherwise, and closes the connection over a larger frame.
const MOST_CHUNK_BYTES: usize = 15 * 1024 * 1024;
/// Buckets remembered as written.
const REMEMBERED_BUCKETS: usize = 100_000;
/// Then the row of a bucket is written again: a node that lost the last seconds before a power cut
/// is given everything anew by whoever keeps it, and this row is part of it. Less than a node
/// needs to come back.
const BUCKET_TRUSTED: Duration = Duration::from_secs(5);
/// The row of a bucket of the future is written anew when its end has moved by so much.
const BUCKET_SLACK_SECONDS: i64 = 86_400;
/// A watermark outlives the records by so much: a file may stay untouched as long as they live.
const WATERMARK_SLACK_SECONDS: i32 = 30 * 86_400;

/// A chunk whose records are stored.
struct Stored {
    layer: Layer,
    id: Uuid,
    place: Place,
    /// Its summary for those who look for it.
    visible: Vec<u8>,
    written_at: i64,
    ttl: i32,
}

/// Index rows of one partition, with their values.
struct IndexRow<'a> {
    period: i64,
    shard: i16,
    request: std::borrow::Cow<'a, str>,
    group: Uuid,
    chunks: Vec<u8>,
    written_at: i64,
    ttl: i32,
}

impl CassandraLogStore {
    pub(super) async fn write(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        let life = Life::new(&self.settings, Timestamp::now());
        let mut watermarks: HashMap<OriginId, u64> = HashMap::new();
        let mut chunks = Vec::new();
        let mut requests = Vec::new();
        let mut expired = 0;
        for frame in frames {
            let until = watermarks.entry(frame.origin).or_default();
            *until = frame.until.max(*until);
            let before = chunks.len();
            for chunk in frame.chunks {
                if life.ttl(chunk.summary.last_at).is_some() {
                    chunks.push(chunk);
                } else {
                    expired += u64::from(chunk.summary.records());
                }
            }
            if chunks.len() > before {
                requests.extend(frame.requests);
            }
        }
        self.count_expired(expired);
        let newest: HashMap<Uuid, Timestamp> = chunks
            .iter()
            .map(|chunk| (chunk.summary.key.id, chunk.summary.last_at))
            .collect();
        requests.retain(|row| newest.contains_key(&row.chunk.id));

        self.note_buckets(chunks.iter().map(|chunk| chunk.summary.key.bucket), &life)
            .await?;
        let index = self.write_index(&requests, &newest, &life);
        let (stored, ()) = futures::try_join!(self.write_chunks(chunks, &life), index)?;
        self.write_summaries(&stored).await?;
        let arrived = stored
            .into_iter()
            .map(|chunk| (chunk.layer, chunk.id, chunk.visible))
            .collect();
        self.announce(arrived).await?;
        self.write_watermarks(watermarks).await
    }

    fn count_expired(&self, records: u64) {
        if records > 0 {
            let total = self.expired.fetch_add(records, Ordering::Relaxed) + records;
            tracing::warn!(
                records,
                total,
                retention_days = self.settings.retention_days,
                "records older than the retention were not written"
            );
        }
    }

    /// Writes the rows of days and buckets that this process has not written lately.
    async fn note_buckets(
        &self,
        buckets: impl Iterator<Item = Bucket>,
        life: &Life,
    ) -> Result<(), StoreError> {
        let mut missing: Vec<(Bucket, i64, i32)> = Vec::new();
        {
            let written = lock(&self.written);
            for bucket in buckets {
                if missing.iter().any(|(known, ..)| *known == bucket) {
                    continue;
                }
                let last = bucket_range(bucket, chunk_settings(&self.settings)).until;
                // As long as the newest chunk that it may name. Never `None`: some chunk of it lives.
                let ttl = life.ttl(last).unwrap_or(1);
                let now = life.now.micros().div_euclid(SECOND);
                let ends = if ttl == 0 {
                    i64::MAX
                } else {
                    now + i64::from(ttl)
                };
                let known = written.get(&bucket);
                if known.is_some_and(|&(known, at)| known >= ends && at.elapsed() < BUCKET_TRUSTED)
                {
                    continue;
                }
                let slack = if ttl > 0 && last > life.now {
                    BUCKET_SLACK_SECONDS
                } else {
                    0
                };
                let ttl = i32::try_from(i64::from(ttl) + slack).unwrap_or(ttl);
                missing.push((bucket, ends.saturating_add(slack), ttl));
            }
        }
        let inserts = missing
            .iter()
            .map(|&(bucket, _, ttl)| self.note_bucket(bucket, ttl, life));
        let inserts = stream::iter(inserts.collect::<Vec<_>>());
        inserts
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        let mut written = lock(&self.written);
        if written.len() + missing.len() > REMEMBERED_BUCKETS {
            written.clear();
        }
        let at = Instant::now();
        written.extend(
            missing
                .into_iter()
                .map(|(bucket, ends, _)| (bucket, (ends, at))),
        );
        Ok(())
    }

    async fn note_bucket(&self, bucket: Bucket, ttl: i32, life: &Life) -> Result<(), StoreError> {
        let (day, window) = day_and_window(bucket, &self.settings);
        let layer = Cell::Text(bucket.layer.name());
        let date = Cell::Date(date_of(day));
        let rest = [Cell::Long(life.written_at(bucket.start)), Cell::Int(ttl)];
        let day_cells = [layer, date, rest[0], rest[1]];
        let cells = [layer, date, Cell::Short(window), rest[0], rest[1]];
        futures::try_join!(
            self.execute("day", &self.statements.days.insert_day, &day_cells),
            self.execute("bucket", &self.statements.days.insert_bucket, &cells),
        )?;
        Ok(())
    }

    async fn write_chunks(
        &self,
        chunks: Vec<Chunk>,
        life: &Life,
    ) -> Result<Vec<Stored>, StoreError> {
        let writes = stream::iter(chunks).map(|chunk| self.write_chunk(chunk, life));
        let stored: Vec<Vec<Stored>> = writes.buffered(PARALLEL).try_collect().await?;
        Ok(stored.into_iter().flatten().collect())
    }

    /// Writes the records of a chunk. One that the node can never take is cut in halves until the
    /// bad record is alone, and that goes to the quarantine.
    async fn write_chunk(&self, chunk: Chunk, life: &Life) -> Result<Vec<Stored>, StoreError> {
        let reason = match self.insert_chunk(&chunk, life).await {
            Ok(stored) => return Ok(vec![stored]),
            Err(StoreError::Poison { reason, .. }) => reason,
            Err(error) => return Err(error),
        };
        let mut stored = Vec::new();
        let mut bad = vec![(chunk, reason)];
        while let Some((chunk, reason)) = bad.pop() {
            let Some((pieces, requests)) = halves(&chunk) else {
                self.set_aside(chunk, &reason).await?;
                continue;
            };
            let newest: HashMap<Uuid, Timestamp> = pieces
                .iter()
                .map(|piece| (piece.summary.key.id, piece.summary.last_at))
                .collect();
            self.write_index(&requests, &newest, life).await?;
            for piece in pieces {
                match self.insert_chunk(&piece, life).await {
                    Ok(piece) => stored.push(piece),
                    Err(StoreError::Poison { reason, .. }) => bad.push((piece, reason)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(stored)
    }

    async fn insert_chunk(&self, chunk: &Chunk, life: &Life) -> Result<Stored, StoreError> {
        let records = Records::new(&chunk.entries);
        let bytes = records.size();
        if bytes > MOST_CHUNK_BYTES {
            return Err(StoreError::Poison {
                backend: Backend::Cassandra,
                what: "chunk",
                reason: format!(
                    "{bytes} bytes are more than the {MOST_CHUNK_BYTES} that a row may have"
                ),
            });
        }
        let key = chunk.summary.key;
        let stored = Stored {
            layer: key.bucket.layer,
            id: key.id,
            place: Place::of(&key, &self.settings),
            visible: encode_summary(&chunk.summary, bytes, Levels::Omitted),
            written_at: life.written_at(chunk.summary.last_at),
            // A half of a chunk that lives may itself be past its end; it lives another second.
            ttl: life.ttl(chunk.summary.last_at).unwrap_or(1),
        };
        let summary = encode_summary(&chunk.summary, bytes, Levels::Named);
        let cells = [
            Cell::Date(stored.place.date()),
            Cell::Short(stored.place.bucket),
            Cell::Short(stored.place.shard),
            Cell::Long(millis_of(key.first_at)),
            Cell::Uuid(stored.id),
            Cell::Bytes(&summary),
            Cell::Records(records),
            Cell::Long(stored.written_at),
            Cell::Int(stored.ttl),
        ];
        self.execute(
            "chunk",
            &self.statements.of(stored.layer).insert_chunk,
            &cells,
        )
        .await?;
        Ok(stored)
    }

    async fn set_aside(&self, chunk: Chunk, reason: &str) -> Result<(), StoreError> {
        let Some(entry) = chunk.entries.into_iter().next() else {
            return Ok(());
        };
        let record = Record {
            origin: chunk.summary.origin,
            entry,
        };
        let id = record.id();
        let Some(quarantine) = self.quarantine.clone() else {
            tracing::error!(%id, reason, "a record cannot be stored, and there is no quarantine");
            return Err(StoreError::Poison {
                backend: Backend::Cassandra,
                what: "record",
                reason: format!("{id}: {reason}"),
            });
        };
        let why = reason.to_owned();
        tokio::task::spawn_blocking(move || quarantine.keep(&record, &why))
            .await
            .map_err(refused)?
    }

    /// Writes the summaries, by which chunks are found: those of one partition together.
    async fn write_summaries(&self, stored: &[Stored]) -> Result<(), StoreError> {
        let mut order: Vec<&Stored> = stored.iter().collect();
        order.sort_by_key(|chunk| (chunk.layer, chunk.place));
        let runs = order.chunk_by(|one, two| (one.layer, one.place) == (two.layer, two.place));
        let bytes = |chunk: &&Stored| chunk.visible.len() + VISIBLE_BYTES;
        let groups = runs.flat_map(|run| cut(run, usize::MAX, GROUP_BYTES, bytes));
        let writes = groups
            .map(|group| self.write_group(group))
            .collect::<Vec<_>>();
        stream::iter(writes)
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }

    async fn write_group(&self, group: &[&Stored]) -> Result<(), StoreError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let visible = codec::encode_visible(
            group
                .iter()
                .map(|chunk| (chunk.layer, chunk.id, chunk.visible.as_slice())),
        );
        // As long as the newest of them.
        let ttl = group
            .iter()
            .map(|chunk| chunk.ttl)
            .max()
            .unwrap_or(first.ttl);
        let written_at = group
            .iter()
            .map(|chunk| chunk.written_at)
            .max()
            .unwrap_or(first.written_at);
        let cells = [
            Cell::Date(first.place.date()),
            Cell::Short(first.place.bucket),
            Cell::Short(first.place.shard),
            Cell::Uuid(group_id(group.iter().map(|chunk| chunk.id))),
            Cell::Bytes(&visible),
            Cell::Long(written_at),
            Cell::Int(ttl),
        ];
        self.execute(
            "summaries",
            &self.statements.of(first.layer).insert_summaries,
            &cells,
        )
        .await
        .map(drop)
    }

    /// Writes where the requests of the put are, one row for each request and period.
    async fn write_index(
        &self,
        requests: &[RequestEntry],
        newest: &HashMap<Uuid, Timestamp>,
        life: &Life,
    ) -> Result<(), StoreError> {
        let rows = self.index_rows(requests, newest, life);
        let runs = rows.chunk_by(|one, two| (one.period, one.shard) == (two.period, two.shard));
        let bytes = |row: &IndexRow<'_>| row.chunks.len() + row.request.len() + ROW_BYTES;
        let batches = runs.flat_map(|run| cut(run, MOST_ROWS, BATCH_BYTES, bytes));
        let writes = batches
            .map(|batch| self.write_index_batch(batch))
            .collect::<Vec<_>>();
        stream::iter(writes)
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }

    fn index_rows<'a>(
        &self,
        requests: &'a [RequestEntry],
        newest: &HashMap<Uuid, Timestamp>,
        life: &Life,
    ) -> Vec<IndexRow<'a>> {
        let period = |row: &RequestEntry| {
            period_of(
                day_and_window(row.chunk.bucket, &self.settings).0,
                &self.settings,
            )
        };
        let mut order: Vec<(i64, &RequestId, &RequestEntry)> = requests
            .iter()
            .map(|row| (period(row), &row.request_id, row))
            .collect();
        // Of one request as they came, so that the same put gives the same row.
        order.sort_by(|one, two| (one.0, one.1).cmp(&(two.0, two.1)));
        let groups = order.chunk_by(|one, two| (one.0, one.1) == (two.0, two.1));
        let mut rows: Vec<IndexRow<'a>> = groups
            .filter_map(|group| {
                let &(period, id, _) = group.first()?;
                let latest = group
                    .iter()
                    .filter_map(|(.., row)| newest.get(&row.chunk.id))
                    .max()?;
                let request = index_name(id);
                let entries: Vec<&RequestEntry> = group.iter().map(|(.., row)| *row).collect();
                Some(IndexRow {
                    period,
                    shard: index_shard_of(&request, &self.settings),
                    request,
                    group: group_id(entries.iter().map(|row| row.chunk.id)),
                    chunks: encode_request_chunks(&entries),
                    written_at: life.written_at(*latest),
                    ttl: life.ttl(*latest).unwrap_or(1),
                })
            })
            .collect();
        rows.sort_by_key(|row| (row.period, row.shard));
        rows
    }

    async fn write_index_batch(&self, batch: &[IndexRow<'_>]) -> Result<(), StoreError> {
        let mut cells = Vec::with_capacity(batch.len() * 7);
        for row in batch {
            cells.extend([
                Cell::Date(date_of(row.period)),
                Cell::Short(row.shard),
                Cell::Text(&row.request),
                Cell::Uuid(row.group),
                Cell::Bytes(&row.chunks),
                Cell::Long(row.written_at),
                Cell::Int(row.ttl),
            ]);
        }
        self.execute_rows(
            "index rows",
            &self.statements.insert_request,
            batch.len(),
            &cells,
        )
        .await
    }

    async fn execute_rows(
        &self,
        what: &'static str,
        statement: &Batched,
        rows: usize,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        let statement = statement.rows(rows, &self.session, &self.options).await?;
        self.execute(what, statement, cells).await.map(drop)
    }

    async fn write_watermarks(&self, watermarks: HashMap<OriginId, u64>) -> Result<(), StoreError> {
        let days = i32::try_from(self.settings.retention_days).unwrap_or(0);
        let ttl = if days == 0 {
            0
        } else {
            (days * 86_400).saturating_add(WATERMARK_SLACK_SECONDS)
        };
        let writes = watermarks.into_iter().map(|(origin, until)| async move {
            let cells = [
                Cell::Uuid(Uuid::from_u128(origin.as_u128())),
                Cell::Long(until.cast_signed()),
                // Beyond this no position of a file can be; there the greater value wins by itself.
                Cell::Long(i64::try_from(until).unwrap_or(i64::MAX)),
                Cell::Int(ttl),
            ];
            self.execute("watermark", &self.statements.watermarks.insert, &cells)
                .await
                .map(drop)
        });
        stream::iter(writes.collect::<Vec<_>>())
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }
}

/// Names a row by all the chunks in it. Were it by the first, a put of some of them alone (a part of
/// a group that is repeated) would write over the row that names the others.
fn group_id(chunks: impl Iterator<Item = Uuid>) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    for chunk in chunks {
        hasher.update(chunk.as_bytes());
    }
    let mut id = [0_u8; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Uuid::new_v8(id)
}

/// Cuts rows into runs by number and by bytes.
fn cut<T>(
    rows: &[T],
    most_rows: usize,
    most_bytes: usize,
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = rest.iter().take(most_rows).take_while(|row| {
            sum += bytes(row);
            sum <= most_bytes
        });
        // A row that is too large for any run goes alone.
        let count = fits.count().max(1).min(rest.len());
        let (run, after) = rest.split_at(count);
        rest = after;
        (count > 0).then_some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_below_their_bytes_and_rows() {
        let rows = [100, 5_000, 1_000, 1_000, 1_000, 1_000, 10, 10];
        let runs: Vec<&[usize]> = cut(&rows, 16, 3_500, |&bytes| bytes).collect();
        assert_eq!(runs, [&rows[..1], &rows[1..2], &rows[2..5], &rows[5..]]);
        let many = [1_usize; 40];
        let lengths: Vec<usize> = cut(&many, 16, 3_500, |&bytes| bytes)
            .map(<[usize]>::len)
            .collect();
        assert_eq!(lengths, [16, 16, 8]);
        assert_eq!(cut(&many[..0], 16, 3_500, |&bytes| bytes).count(), 0);
    }
}
