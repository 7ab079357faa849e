//! The embedded chunk store: one SQLite file, also shared by several processes of one host.
//!
//! The layout and its reasons are in `migrations/sqlite/logs`. All frames of one `put` are one
//! transaction, synced before it returns; arrival numbers are handed out inside it, so a follower
//! in any process sees chunks in the order of commits and misses none.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, FrameChunks, Order, RecordFilter,
    StoreHealth,
};
use crate::engine::build::bucket_of;
use crate::error::{Backend, StoreError};
use crate::sync::lock;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, Entries, RequestEntry};
use atalaya_domain::record::{Layer, Level, LevelCounts, Origin, OriginId, Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::codec::{self, Columns, Damage, Decoder, Encoder};
use super::open::{Durability, Schema, SqliteFile};

const SCHEMA: Schema = Schema {
    name: "logs",
    application_id: 0x4174_4c67, // "AtLg"
    migrations: &[include_str!(
        "../../../../migrations/sqlite/logs/0001_chunks.sql"
    )],
};

/// Chunks that share a part of the request index; written into the migration's comment.
const PART_CHUNKS: i64 = 4096;
/// Origins remembered between reads; more are looked up again.
const CACHED_ORIGINS: usize = 4096;
/// Chunks deleted in one transaction, so that a writer never waits long for an expiry.
const EXPIRE_STEP: i64 = 1_000;

#[derive(Debug)]
pub struct SqliteChunkStore {
    file: SqliteFile,
    settings: ChunkSettings,
    origins: Mutex<HashMap<i64, Arc<Origin>>>,
}

impl SqliteChunkStore {
    /// Opens or creates the store.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let file = SqliteFile::open(path, &SCHEMA, Durability::EachCommit).await?;
        let minutes: i64 =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = 'bucket_minutes'")
                .fetch_one(file.readers())
                .await
                .map_err(|error| file.error(error))?;
        let bucket_minutes = u16::try_from(minutes)
            .ok()
            .filter(|&minutes| minutes > 0 && 1_440 % minutes == 0)
            .ok_or_else(|| {
                corrupt(
                    "settings",
                    format!("bucket_minutes {minutes} does not divide a day"),
                )
            })?;
        Ok(Self {
            file,
            settings: ChunkSettings { bucket_minutes },
            origins: Mutex::default(),
        })
    }

    /// Closes the file; what was put is in it.
    pub async fn close(&self) {
        self.file.close().await;
    }

    /// Deletes the chunks whose latest record is older than `before`, with their index rows, and
    /// returns how many chunks that were. Runs in many short transactions; may be cut off and
    /// repeated. The space is used again by later writes.
    pub async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        // Arrival numbers grow: each step begins behind what the one before has looked at.
        let mut from = 0_i64;
        loop {
            let (step, next) = self
                .file
                .write(move |connection| Box::pin(expire_step(connection, from, before.micros())))
                .await?;
            deleted += step;
            match next {
                Some(next) => from = next,
                None => return Ok(deleted),
            }
        }
    }

    /// Encodes on as many threads as there are processors.
    async fn encode(&self, frames: Vec<FrameChunks>) -> Result<Vec<EncodedFrame>, StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = frames.len();
        let mut shares: Vec<Vec<(usize, FrameChunks)>> = Vec::new();
        shares.resize_with(threads.min(count), Vec::new);
        for (index, frame) in frames.into_iter().enumerate() {
            let share = index % shares.len();
            shares[share].push((index, frame));
        }
        let workers = shares.into_iter().map(|share| {
            tokio::task::spawn_blocking(move || -> std::io::Result<Vec<(usize, EncodedFrame)>> {
                let mut encoder = Encoder::new()?;
                share
                    .into_iter()
                    .map(|(index, frame)| Ok((index, encode_frame(&mut encoder, frame)?)))
                    .collect()
            })
        });
        let mut encoded = Vec::with_capacity(count);
        for worker in futures::future::join_all(workers).await {
            encoded.extend(worker.map_err(refused)?.map_err(refused)?);
        }
        encoded.sort_unstable_by_key(|(index, _)| *index);
        Ok(encoded.into_iter().map(|(_, frame)| frame).collect())
    }

    /// Rows as summaries, with their origins looked up.
    async fn with_origins(&self, rows: Vec<SummaryRow>) -> Result<Vec<ChunkSummary>, StoreError> {
        let origins = self.origins(rows.iter().map(|row| row.origin)).await?;
        rows.into_iter().map(|row| row.summary(&origins)).collect()
    }

    async fn origins(
        &self,
        refs: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, Arc<Origin>>, StoreError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let cached = lock(&self.origins);
            let mut last = None;
            for origin in refs {
                if last.replace(origin) == Some(origin) || found.contains_key(&origin) {
                    continue;
                }
                match cached.get(&origin) {
                    Some(known) => drop(found.insert(origin, Arc::clone(known))),
                    None => missing.push(origin),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let list = serde_json::to_string(&missing).unwrap_or_default();
        let rows: Vec<(i64, Vec<u8>, i64, String, String)> = sqlx::query_as(
            "SELECT ref, id, layer, source, host FROM origins WHERE ref IN (SELECT value FROM json_each(?1))",
        )
        .bind(list)
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        let mut cached = lock(&self.origins);
        if cached.len() + rows.len() > CACHED_ORIGINS {
            cached.clear();
        }
        for (reference, id, layer, source, host) in rows {
            let origin = Arc::new(Origin {
                id: origin_of(id)?,
                layer: layer_of(layer)?,
                source: source.into(),
                host: host.into(),
            });
            cached.insert(reference, Arc::clone(&origin));
            found.insert(reference, origin);
        }
        Ok(found)
    }

    /// Reads chunks by key, decoding on as many threads as there are processors.
    async fn read(
        &self,
        keys: &[ChunkKey],
        filter: Option<Arc<dyn RecordFilter>>,
    ) -> Result<Vec<Chunk>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<_> = keys
            .iter()
            .map(|key| {
                (
                    number_of(key.bucket.layer),
                    key.bucket.start.micros(),
                    key.first_at.micros(),
                    key.id.simple().to_string(),
                )
            })
            .collect();
        let list = serde_json::to_string(&list).map_err(refused)?;
        let rows: Vec<(i64, i64, i64, i64, Vec<u8>, i64, Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT c.layer, c.bucket, c.first_at, c.last_at, c.id, c.origin, c.minutes, k.key, b.data
             FROM json_each(?1) k
             CROSS JOIN chunks c ON c.layer = k.value ->> 0 AND c.bucket = k.value ->> 1
                 AND c.first_at = k.value ->> 2 AND c.id = unhex(k.value ->> 3)
             CROSS JOIN blocks b ON b.arrival = c.arrival",
        )
        .bind(list)
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        let origins = self.origins(rows.iter().map(|row| row.5)).await?;
        let mut blocks = Vec::with_capacity(rows.len());
        for (layer, bucket, first_at, last_at, id, origin, minutes, place, data) in rows {
            let summary = SummaryRow {
                layer,
                bucket,
                first_at,
                last_at,
                id,
                origin,
                minutes,
            };
            blocks.push((place, summary.summary(&origins)?, data));
        }
        let threads = std::thread::available_parallelism()
            .map_or(1, std::num::NonZero::get)
            .min(blocks.len());
        let share = blocks.len().div_ceil(threads.max(1));
        let mut workers = Vec::with_capacity(threads);
        while !blocks.is_empty() {
            let rest = blocks.split_off(share.min(blocks.len()));
            let filter = filter.clone();
            workers.push(tokio::task::spawn_blocking(move || {
                decode_blocks(blocks, filter.as_deref())
            }));
            blocks = rest;
        }
        let mut chunks = Vec::with_capacity(keys.len());
        for worker in futures::future::join_all(workers).await {
            chunks.extend(worker.map_err(refused)??);
        }
        chunks.sort_unstable_by_key(|(place, _)| *place);
        Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
    }
}

#[async_trait]
impl ChunkStore for SqliteChunkStore {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn address(&self) -> String {
        self.file.address()
    }

    fn settings(&self) -> ChunkSettings {
        self.settings
    }

    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        if frames.is_empty() {
            return Ok(());
        }
        let frames = self.encode(frames).await?;
        self.file
            .write(move |connection| Box::pin(put_frames(connection, frames)))
            .await
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT stored_to FROM watermarks WHERE origin = ?1")
                .bind(origin_bytes(origin))
                .fetch_optional(self.file.readers())
                .await
                .map_err(|error| self.file.error(error))?;
        stored.map(position_of).transpose()
    }

    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT origin, stored_to FROM watermarks WHERE origin > ?1 ORDER BY origin LIMIT ?2",
        )
        // The empty blob is before all others.
        .bind(after.map(origin_bytes).unwrap_or_default())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        rows.into_iter()
            .map(|(origin, stored_to)| Ok((origin_of(origin)?, position_of(stored_to)?)))
            .collect()
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let last_instant = range.from == Timestamp::MAX && range.until == Timestamp::MAX;
        if (range.is_empty() && !last_instant) || limit == 0 {
            return Ok(Vec::new());
        }
        // Steps from one bucket to the next in the index, however many chunks they hold.
        let sql = match order {
            Order::NewestFirst => {
                "WITH RECURSIVE step (start) AS (
                    SELECT max(bucket) FROM chunks WHERE layer = ?1 AND bucket BETWEEN ?2 AND ?3
                    UNION ALL
                    SELECT (SELECT max(bucket) FROM chunks WHERE layer = ?1 AND bucket < step.start AND bucket >= ?2)
                    FROM step WHERE step.start IS NOT NULL LIMIT ?4
                 ) SELECT start FROM step WHERE start IS NOT NULL"
            }
            Order::OldestFirst => {
                "WITH RECURSIVE step (start) AS (
                    SELECT min(bucket) FROM chunks WHERE layer = ?1 AND bucket BETWEEN ?2 AND ?3
                    UNION ALL
                    SELECT (SELECT min(bucket) FROM chunks WHERE layer = ?1 AND bucket > step.start AND bucket <= ?3)
                    FROM step WHERE step.start IS NOT NULL LIMIT ?4
                 ) SELECT start FROM step WHERE start IS NOT NULL"
            }
        };
        // The end of a range is outside, but nothing is later than the end of time.
        let last = if range.until == Timestamp::MAX {
            i64::MAX
        } else {
            range.until.micros() - 1
        };
        let starts: Vec<i64> = sqlx::query_scalar(sql)
            .bind(number_of(layer))
            .bind(bucket_of(layer, range.from, self.settings).start.micros())
            .bind(last)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.file.readers())
            .await
            .map_err(|error| self.file.error(error))?;
        Ok(starts
            .into_iter()
            .map(|start| Bucket {
                layer,
                start: Timestamp::from_micros(start),
            })
            .collect())
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        let rows: Vec<SummaryRow> = sqlx::query_as(
            "SELECT layer, bucket, first_at, last_at, id, origin, minutes FROM chunks
             WHERE layer = ?1 AND bucket = ?2 ORDER BY first_at DESC, id",
        )
        .bind(number_of(bucket.layer))
        .bind(bucket.start.micros())
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        self.with_origins(rows).await
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        self.read(keys, None).await
    }

    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.read(keys, Some(filter)).await
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        let rows: Vec<SummaryRow> = sqlx::query_as(
            "WITH RECURSIVE parts (part, last) AS (
                SELECT (SELECT min(arrival) FROM chunks) / ?1, (SELECT max(arrival) FROM chunks) / ?1
                UNION ALL SELECT part + 1, last FROM parts WHERE part < last
             )
             SELECT c.layer, c.bucket, c.first_at, c.last_at, c.id, c.origin, c.minutes
             FROM parts
             CROSS JOIN requests r ON r.part = parts.part AND r.hash = ?2
             CROSS JOIN chunks c ON c.arrival = r.chunk",
        )
        .bind(PART_CHUNKS)
        .bind(request_hash(id))
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        let summaries = self.with_origins(rows).await?;
        Ok(summaries
            .into_iter()
            .map(|summary| RequestEntry {
                request_id: id.clone(),
                chunk: summary.key,
                first_seen: summary.key.first_at,
                last_seen: summary.last_at,
                worst_level: summary.levels.worst().unwrap_or(Level::Debug),
            })
            .collect())
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        // Not the greatest arrival in the table: after everything expired, that is lower.
        let end: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
                .fetch_optional(self.file.readers())
                .await
                .map_err(|error| self.file.error(error))?;
        Ok(ArrivalCursor::new(end.unwrap_or(0)))
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        let Some(after) = cursor.get::<i64>().copied() else {
            return Err(corrupt("chunks", "this cursor is of another store"));
        };
        let rows: Vec<ArrivalRow> = sqlx::query_as(
            "SELECT arrival, layer, bucket, first_at, last_at, id, origin, minutes FROM chunks
             WHERE arrival > ?1 ORDER BY arrival LIMIT ?2",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        let end = rows
            .last()
            .map_or(cursor, |row| ArrivalCursor::new(row.arrival));
        let summaries = self
            .with_origins(rows.into_iter().map(|row| row.summary).collect())
            .await?;
        Ok((summaries, end))
    }
}

#[async_trait]
impl StoreHealth for SqliteChunkStore {
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        let (chunks, records): (i64, i64) = sqlx::query_as("SELECT chunks, records FROM totals")
            .fetch_one(self.file.readers())
            .await
            .map_err(|error| self.file.error(error))?;
        Ok(ChunkStoreStats {
            records: u64::try_from(records).unwrap_or(0),
            chunks: u64::try_from(chunks).unwrap_or(0),
            disk_bytes: self.file.disk_bytes().await,
        })
    }
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    layer: i64,
    bucket: i64,
    first_at: i64,
    last_at: i64,
    id: Vec<u8>,
    origin: i64,
    minutes: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct ArrivalRow {
    arrival: i64,
    #[sqlx(flatten)]
    summary: SummaryRow,
}

impl SummaryRow {
    fn summary(self, origins: &HashMap<i64, Arc<Origin>>) -> Result<ChunkSummary, StoreError> {
        let minutes =
            codec::decode_minutes(&self.minutes).map_err(|damage| corrupt("chunks", damage))?;
        let levels = minutes
            .iter()
            .fold(LevelCounts::default(), |mut sum, minute| {
                sum.merge(&minute.levels);
                sum
            });
        Ok(ChunkSummary {
            key: ChunkKey {
                bucket: Bucket {
                    layer: layer_of(self.layer)?,
                    start: Timestamp::from_micros(self.bucket),
                },
                first_at: Timestamp::from_micros(self.first_at),
                id: Uuid::from_slice(&self.id)
                    .map_err(|error| corrupt("chunks", error.to_string()))?,
            },
            last_at: Timestamp::from_micros(self.last_at),
            origin: origins.get(&self.origin).cloned().ok_or_else(|| {
                corrupt(
                    "chunks",
                    format!("origin {} is not in the table of origins", self.origin),
                )
            })?,
            levels,
            minutes,
        })
    }
}

/// A frame as it is written.
struct EncodedFrame {
    origin: OriginId,
    until: u64,
    chunks: Vec<EncodedChunk>,
}

struct EncodedChunk {
    summary: ChunkSummary,
    minutes: Vec<u8>,
    block: Vec<u8>,
    request_hashes: Vec<i64>,
}

fn encode_frame(encoder: &mut Encoder, frame: FrameChunks) -> std::io::Result<EncodedFrame> {
    let mut hashes: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for row in &frame.requests {
        hashes
            .entry(row.chunk.id)
            .or_default()
            .push(request_hash(&row.request_id));
    }
    let chunks = frame.chunks.into_iter().map(|chunk| {
        Ok(EncodedChunk {
            minutes: codec::encode_minutes(&chunk.summary.minutes),
            block: encoder.encode(&chunk.entries)?,
            request_hashes: hashes.remove(&chunk.summary.key.id).unwrap_or_default(),
            summary: chunk.summary,
        })
    });
    Ok(EncodedFrame {
        origin: frame.origin,
        until: frame.until,
        chunks: chunks.collect::<std::io::Result<_>>()?,
    })
}

async fn put_frames(
    connection: &mut SqliteConnection,
    frames: Vec<EncodedFrame>,
) -> Result<(), sqlx::Error> {
    let mut origins: HashMap<Arc<Origin>, i64> = HashMap::new();
    let mut requests: Vec<(i64, i64, i64)> = Vec::new();
    let (mut chunks, mut records) = (0_i64, 0_i64);
    for frame in frames {
        for chunk in frame.chunks {
            let summary = &chunk.summary;
            let origin = match origins.get(&summary.origin) {
                Some(&known) => known,
                None => {
                    let reference = origin_ref(connection, &summary.origin).await?;
                    origins.insert(Arc::clone(&summary.origin), reference);
                    reference
                }
            };
            let arrival: Option<i64> = sqlx::query_scalar(
                "INSERT INTO chunks (layer, bucket, first_at, last_at, id, origin, minutes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING RETURNING arrival",
            )
            .bind(number_of(summary.key.bucket.layer))
            .bind(summary.key.bucket.start.micros())
            .bind(summary.key.first_at.micros())
            .bind(summary.last_at.micros())
            .bind(summary.key.id.into_bytes().to_vec())
            .bind(origin)
            .bind(chunk.minutes)
            .fetch_optional(&mut *connection)
            .await?;
            let Some(arrival) = arrival else { continue }; // written before
            chunks += 1;
            records += i64::from(summary.records());
            sqlx::query("INSERT INTO blocks (arrival, data) VALUES (?1, ?2)")
                .bind(arrival)
                .bind(chunk.block)
                .execute(&mut *connection)
                .await?;
            requests.extend(
                chunk
                    .request_hashes
                    .into_iter()
                    .map(|hash| (arrival / PART_CHUNKS, hash, arrival)),
            );
        }
        sqlx::query(
            "INSERT INTO watermarks (origin, stored_to) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET stored_to = max(stored_to, excluded.stored_to)",
        )
        .bind(origin_bytes(frame.origin))
        .bind(frame.until.to_be_bytes().to_vec())
        .execute(&mut *connection)
        .await?;
    }
    insert_requests(connection, requests).await?;
    if chunks > 0 {
        sqlx::query("UPDATE totals SET chunks = chunks + ?1, records = records + ?2")
            .bind(chunks)
            .bind(records)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn origin_ref(
    connection: &mut SqliteConnection,
    origin: &Origin,
) -> Result<i64, sqlx::Error> {
    // The update changes nothing; without it RETURNING gives no row for a known origin.
    sqlx::query_scalar(
        "INSERT INTO origins (id, layer, source, host) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET id = id RETURNING ref",
    )
    .bind(origin_bytes(origin.id))
    .bind(number_of(origin.layer))
    .bind(&*origin.source)
    .bind(&*origin.host)
    .fetch_one(connection)
    .await
}

/// In the order of the key, so that neighbours fall on the same page.
async fn insert_requests(
    connection: &mut SqliteConnection,
    mut rows: Vec<(i64, i64, i64)>,
) -> Result<(), sqlx::Error> {
    /// Rows of one statement: the widths are few, so that each is prepared once.
    const WIDTHS: [usize; 5] = [512, 64, 16, 4, 1];
    rows.sort_unstable();
    let mut rest = rows.as_slice();
    for width in WIDTHS {
        while rest.len() >= width {
            let (run, after) = rest.split_at(width);
            rest = after;
            let mut insert =
                QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO requests (part, hash, chunk) ");
            insert.push_values(run, |mut row, &(part, hash, chunk)| {
                row.push_bind(part).push_bind(hash).push_bind(chunk);
            });
            insert.build().execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Deletes up to [`EXPIRE_STEP`] of the chunks after `from`; the arrival to go on from, or `None`
/// at the end.
async fn expire_step(
    connection: &mut SqliteConnection,
    from: i64,
    before: i64,
) -> Result<(u64, Option<i64>), sqlx::Error> {
    let expired: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT arrival, minutes FROM chunks WHERE arrival > ?1 AND last_at < ?2 ORDER BY arrival LIMIT ?3",
    )
    .bind(from)
    .bind(before)
    .bind(EXPIRE_STEP)
    .fetch_all(&mut *connection)
    .await?;
    let Some(&(last, _)) = expired.last() else {
        return Ok((0, None));
    };
    let mut records = 0_i64;
    for (_, minutes) in &expired {
        let minutes = codec::decode_minutes(minutes).unwrap_or_default();
        records += minutes
            .iter()
            .map(|minute| i64::from(minute.levels.total()))
            .sum::<i64>();
    }
    let arrivals: Vec<i64> = expired.iter().map(|(arrival, _)| *arrival).collect();
    let mut parts: Vec<i64> = arrivals
        .iter()
        .map(|arrival| arrival / PART_CHUNKS)
        .collect();
    parts.dedup();
    let list =
        serde_json::to_string(&arrivals).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let parts = serde_json::to_string(&parts).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("DELETE FROM chunks WHERE arrival IN (SELECT value FROM json_each(?1))")
        .bind(&list)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM blocks WHERE arrival IN (SELECT value FROM json_each(?1))")
        .bind(&list)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM requests WHERE part IN (SELECT value FROM json_each(?1))
         AND chunk IN (SELECT value FROM json_each(?2))",
    )
    .bind(parts)
    .bind(&list)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE totals SET chunks = chunks - ?1, records = records - ?2")
        .bind(i64::try_from(arrivals.len()).unwrap_or(0))
        .bind(records)
        .execute(&mut *connection)
        .await?;
    Ok((arrivals.len() as u64, Some(last)))
}

/// A summary, its compressed records, and the place of its key among those asked for.
type Block = (i64, ChunkSummary, Vec<u8>);

fn decode_blocks(
    blocks: Vec<Block>,
    filter: Option<&dyn RecordFilter>,
) -> Result<Vec<(i64, Chunk)>, StoreError> {
    let mut decoder = Decoder::new().map_err(refused)?;
    let decoded = blocks.into_iter().map(|(place, summary, data)| {
        let id = summary.key.id;
        let chunk = decode_block(&mut decoder, summary, &data, filter)
            .map_err(|damage| corrupt("blocks", format!("chunk {id}: {damage}")))?;
        Ok((place, chunk))
    });
    decoded.collect()
}

fn decode_block(
    decoder: &mut Decoder,
    summary: ChunkSummary,
    data: &[u8],
    filter: Option<&dyn RecordFilter>,
) -> Result<Chunk, Damage> {
    let content = decoder.content(data)?;
    let Some(filter) = filter else {
        let columns = Columns::read(content)?;
        let entries = (0..columns.len())
            .map(|index| columns.entry(index))
            .collect();
        return Ok(Chunk { summary, entries });
    };
    if !filter.may_keep_any(content) {
        return Ok(Chunk {
            summary,
            entries: Entries::default(),
        });
    }
    let columns = Columns::read(content)?;
    let entries = (0..columns.len())
        .filter(|&index| filter.wants(columns.time(index), columns.level(index)))
        .map(|index| Record {
            origin: Arc::clone(&summary.origin),
            entry: columns.entry(index),
        })
        .filter(|record| filter.keeps(record))
        .map(|record| record.entry)
        .collect();
    Ok(Chunk { summary, entries })
}

/// 48 bits: SQLite keeps them in six bytes.
fn request_hash(id: &RequestId) -> i64 {
    let hash = blake3::hash(id.as_str().as_bytes());
    hash.as_bytes()[..6]
        .iter()
        .fold(0, |bits, &byte| bits << 8 | i64::from(byte))
}

fn origin_bytes(origin: OriginId) -> Vec<u8> {
    origin.as_u128().to_be_bytes().to_vec()
}

fn origin_of(bytes: Vec<u8>) -> Result<OriginId, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt("origins", "an id is not 16 bytes long"))?;
    Ok(OriginId::from_u128(u128::from_be_bytes(bytes)))
}

fn position_of(bytes: Vec<u8>) -> Result<u64, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt("watermarks", "a position is not 8 bytes long"))?;
    Ok(u64::from_be_bytes(bytes))
}

const fn number_of(layer: Layer) -> i64 {
    match layer {
        Layer::Application => 0,
        Layer::Infrastructure => 1,
    }
}

fn layer_of(number: i64) -> Result<Layer, StoreError> {
    match number {
        0 => Ok(Layer::Application),
        1 => Ok(Layer::Infrastructure),
        _ => Err(corrupt(
            "chunks",
            format!("layer {number} is neither 0 nor 1"),
        )),
    }
}

fn corrupt(table: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        table,
        detail: detail.into(),
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Refused {
        backend: Backend::Sqlite,
        source: Box::new(error),
    }
}
