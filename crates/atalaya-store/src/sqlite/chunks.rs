//! The embedded chunk store: one SQLite file, also shared by several processes of one host.
//!
//! The layout and its reasons are in `migrations/sqlite/logs`. All frames of one `put` are one
//! transaction, synced before it returns; arrival numbers are handed out inside it, so a follower
//! in any process sees chunks in the order of commits and misses none.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, Expired, FrameChunks, Order,
    RecordFilter, StoreHealth, Troubles,
};
use crate::engine::build::bucket_of;
use crate::error::{Backend, StoreError};
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::record::{Layer, Level, Origin, OriginId, RequestId, Whose};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::examine::Examined;
use super::mirror::Mirrored;
use super::open::{Durability, Schema, SqliteFile};

#[cfg(test)]
mod damage_tests;
mod expire;
#[cfg(test)]
mod holder_tests;
pub(super) mod read;
pub(super) mod values;
mod write;

use read::{ArrivalRow, SummaryRow};
use values::{
    corrupt, hash_of_whose, number_of, origin_bytes, origin_of, position_of, request_hash,
};

pub(super) const SCHEMA: Schema = Schema {
    name: "logs",
    application_id: 0x4174_4c67, // "AtLg"
    migrations: &[
        include_str!("../../../../migrations/sqlite/logs/0001_chunks.sql"),
        include_str!("../../../../migrations/sqlite/logs/0002_ids.sql"),
    ],
    // Without an index of users, which is then done without.
    readable_from: Some(1),
    // The rest has checksums, or can be told from what has.
    mirrored: Mirrored::Only(&["settings", "watermarks"]),
};

/// Chunks that share a part of the request index; written into the migration's comment.
pub(super) const PART_CHUNKS: i64 = 4096;

/// Chunks of a user or a session that are found by the index, at most: about as much memory as a few
/// of them take when they are read. One who is in more is in about every chunk.
const MOST_HOLDERS: usize = 20_000;

/// The chunks that the index of ids names for a hash (?2), a part (of ?1 chunks) after the other.
macro_rules! of_hash {
    () => {
        "WITH RECURSIVE parts (part, last) AS (
            SELECT (SELECT min(arrival) FROM chunks) / ?1, (SELECT max(arrival) FROM chunks) / ?1
            UNION ALL SELECT part + 1, last FROM parts WHERE part < last
         )
         SELECT c.layer, c.bucket, c.first_at, c.last_at, c.id, c.origin, c.minutes
         FROM parts
         CROSS JOIN requests r ON r.part = parts.part AND r.hash = ?2
         CROSS JOIN chunks c ON c.arrival = r.chunk"
    };
}

/// Whether a file that may come from anywhere holds logs, and nothing else; see
/// [`examine`](super::examine).
pub async fn examine(path: &Path) -> Result<Examined, StoreError> {
    super::examine::examine(path, &SCHEMA).await
}

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
                .fetch_one(&file.readers().await?)
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

    /// As [`open`](Self::open), for a store whose buckets are to be of this width. One that holds
    /// something keeps its own.
    pub async fn with_settings(path: &Path, settings: ChunkSettings) -> Result<Self, StoreError> {
        let store = Self::open(path).await?;
        if store.settings == settings {
            return Ok(store);
        }
        let minutes = i64::from(settings.bucket_minutes);
        store
            .file
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE settings SET value = ?1 WHERE name = 'bucket_minutes'
                         AND NOT EXISTS (SELECT 1 FROM chunks)",
                    )
                    .bind(minutes)
                    .execute(connection)
                    .await
                })
            })
            .await?;
        store.close().await;
        Self::open(path).await
    }

    /// Closes the file; what was put is in it.
    pub async fn close(&self) {
        self.file.close().await;
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

    async fn expire_before(&self, before: Timestamp) -> Result<Option<Expired>, StoreError> {
        let size = self.file.disk_bytes().await;
        let chunks = self.expire(before).await?;
        self.give_space_back().await?;
        let freed_bytes = size.saturating_sub(self.file.disk_bytes().await);
        Ok(Some(Expired {
            chunks,
            freed_bytes,
        }))
    }

    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        if frames.is_empty() {
            return Ok(());
        }
        let frames = write::encode(frames).await?;
        self.file
            .write(move |connection| Box::pin(write::put_frames(connection, frames)))
            .await
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT stored_to FROM watermarks WHERE origin = ?1")
                .bind(origin_bytes(origin))
                .fetch_optional(&self.file.readers().await?)
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
        .fetch_all(&self.file.readers().await?)
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
            .fetch_all(&self.file.readers().await?)
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
        .fetch_all(&self.file.readers().await?)
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
        let rows: Vec<SummaryRow> = sqlx::query_as(of_hash!())
            .bind(PART_CHUNKS)
            .bind(request_hash(id))
            .fetch_all(&self.file.readers().await?)
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

    async fn holders(
        &self,
        whose: Whose<'_>,
        range: TimeRange,
    ) -> Result<Option<Vec<ChunkSummary>>, StoreError> {
        let readers = self.file.readers().await?;
        let failed = |error| self.file.error(error);
        let is_indexed: bool = sqlx::query_scalar(
            "SELECT coalesce((SELECT value FROM settings WHERE name = 'ids_from')
                < (SELECT min(arrival) FROM chunks), 0)",
        )
        .fetch_one(&readers)
        .await
        .map_err(failed)?;
        if !is_indexed {
            return Ok(None);
        }
        let rows: Vec<SummaryRow> = sqlx::query_as(concat!(
            of_hash!(),
            " WHERE c.last_at >= ?3 AND (c.first_at < ?4 OR ?4 = 9223372036854775807) LIMIT ?5"
        ))
        .bind(PART_CHUNKS)
        .bind(hash_of_whose(whose))
        .bind(range.from.micros())
        .bind(range.until.micros())
        .bind(i64::try_from(MOST_HOLDERS + 1).unwrap_or(i64::MAX))
        .fetch_all(&readers)
        .await
        .map_err(failed)?;
        if rows.len() > MOST_HOLDERS {
            return Ok(None);
        }
        self.with_origins(rows).await.map(Some)
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        // Not the greatest arrival in the table: after everything expired, that is lower.
        let end: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
                .fetch_optional(&self.file.readers().await?)
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
        .fetch_all(&self.file.readers().await?)
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
    fn read_only(&self) -> Option<String> {
        self.file.read_only()
    }

    fn troubles(&self) -> Troubles {
        Troubles {
            read_only: self.read_only(),
            ..Troubles::default()
        }
    }

    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        let (chunks, records): (i64, i64) = sqlx::query_as("SELECT chunks, records FROM totals")
            .fetch_one(&self.file.readers().await?)
            .await
            .map_err(|error| self.file.error(error))?;
        Ok(ChunkStoreStats {
            records: u64::try_from(records).unwrap_or(0),
            chunks: u64::try_from(chunks).unwrap_or(0),
            disk_bytes: self.file.disk_bytes().await,
        })
    }
}
