//! Reading chunks and summaries: rows with their origins, blocks decoded side by side.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::chunks::RecordFilter;
use crate::error::StoreError;
use crate::sqlite::codec::{self, Columns, Damage, Decoder};
use crate::sqlite::seal;
use crate::sync::lock;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, Entries};
use atalaya_domain::record::{LevelCounts, Origin, Record};
use atalaya_domain::time::Timestamp;

use super::SqliteChunkStore;
use super::values::{corrupt, layer_of, number_of, origin_of, refused};

/// Origins remembered between reads; more are looked up again.
const CACHED_ORIGINS: usize = 4096;

impl SqliteChunkStore {
    /// Rows as summaries, with their origins looked up.
    pub(in crate::sqlite) async fn with_origins(
        &self,
        rows: Vec<SummaryRow>,
    ) -> Result<Vec<ChunkSummary>, StoreError> {
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
        .fetch_all(&self.file.readers().await?)
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
    pub(super) async fn read(
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
        .fetch_all(&self.file.readers().await?)
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
            let (filter, address) = (filter.clone(), self.file.address());
            workers.push(tokio::task::spawn_blocking(move || {
                decode_blocks(blocks, filter.as_deref(), &address)
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

#[derive(Clone, Debug, sqlx::FromRow)]
pub(in crate::sqlite) struct SummaryRow {
    pub layer: i64,
    pub bucket: i64,
    pub first_at: i64,
    pub last_at: i64,
    pub id: Vec<u8>,
    pub origin: i64,
    pub minutes: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub(in crate::sqlite) struct ArrivalRow {
    pub arrival: i64,
    #[sqlx(flatten)]
    pub summary: SummaryRow,
}

impl SummaryRow {
    /// With the origin that it names.
    pub(in crate::sqlite) fn summary(
        self,
        origins: &HashMap<i64, Arc<Origin>>,
    ) -> Result<ChunkSummary, StoreError> {
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

/// A summary, its compressed records, and the place of its key among those asked for.
type Block = (i64, ChunkSummary, Vec<u8>);

fn decode_blocks(
    blocks: Vec<Block>,
    filter: Option<&dyn RecordFilter>,
    address: &str,
) -> Result<Vec<(i64, Chunk)>, StoreError> {
    let mut decoder = Decoder::new().map_err(refused)?;
    let decoded = blocks.into_iter().map(|(place, summary, data)| {
        let named = summary.clone();
        let chunk = decode_block(&mut decoder, summary, &data, filter)
            .map_err(|damage| damaged(&named, damage, address))?;
        Ok((place, chunk))
    });
    decoded.collect()
}

fn damaged(summary: &ChunkSummary, damage: Damage, address: &str) -> StoreError {
    StoreError::DamagedChunk {
        address: address.to_owned(),
        chunk: summary.key.id,
        source_name: summary.origin.source.to_string(),
        from: summary.key.first_at,
        until: summary.last_at,
        damage,
    }
}

/// The chunk of a block, once its checksum was found right.
pub(in crate::sqlite) fn decode_block(
    decoder: &mut Decoder,
    summary: ChunkSummary,
    data: &[u8],
    filter: Option<&dyn RecordFilter>,
) -> Result<Chunk, Damage> {
    let (length, frame) = seal::open(data, &summary)?;
    let content = decoder.content(length, frame)?;
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
