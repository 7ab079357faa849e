//! Storing frames: encoded side by side, written in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::chunks::FrameChunks;
use crate::error::StoreError;
use crate::sqlite::codec::{self, Encoder};
use crate::sqlite::seal::seal;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Origin, OriginId};

use super::PART_CHUNKS;
use super::values::{hashes_of_whose, number_of, origin_bytes, refused, request_hash};

/// A frame as it is written.
pub(super) struct EncodedFrame {
    origin: OriginId,
    until: u64,
    chunks: Vec<EncodedChunk>,
}

struct EncodedChunk {
    summary: ChunkSummary,
    minutes: Vec<u8>,
    block: Vec<u8>,
    id_hashes: Vec<i64>,
}

/// Encodes on as many threads as there are processors.
pub(super) async fn encode(frames: Vec<FrameChunks>) -> Result<Vec<EncodedFrame>, StoreError> {
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

fn encode_frame(encoder: &mut Encoder, frame: FrameChunks) -> std::io::Result<EncodedFrame> {
    let mut hashes: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for row in &frame.requests {
        hashes
            .entry(row.chunk.id)
            .or_default()
            .push(request_hash(&row.request_id));
    }
    let chunks = frame.chunks.into_iter().map(|chunk| {
        let mut id_hashes = hashes.remove(&chunk.summary.key.id).unwrap_or_default();
        id_hashes.extend(hashes_of_whose(&chunk.entries));
        Ok(EncodedChunk {
            minutes: codec::encode_minutes(&chunk.summary.minutes),
            block: seal(encoder.encode(&chunk.entries)?, &chunk.summary),
            id_hashes,
            summary: chunk.summary,
        })
    });
    Ok(EncodedFrame {
        origin: frame.origin,
        until: frame.until,
        chunks: chunks.collect::<std::io::Result<_>>()?,
    })
}

pub(super) async fn put_frames(
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
                    .id_hashes
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
