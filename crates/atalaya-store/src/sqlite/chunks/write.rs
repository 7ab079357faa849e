//! Storing frames: encoded side by side, written in one transaction.

use std::collections::{HashMap, HashSet};
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

/// Many rows by one statement: a frame of a quiet file is one record, and each statement costs a
/// change of threads.
pub(super) async fn put_frames(
    connection: &mut SqliteConnection,
    frames: Vec<EncodedFrame>,
) -> Result<(), sqlx::Error> {
    let mut chunks: Vec<EncodedChunk> = Vec::new();
    let mut watermarks: Vec<(OriginId, u64)> = Vec::with_capacity(frames.len());
    for frame in frames {
        watermarks.push((frame.origin, frame.until));
        chunks.extend(frame.chunks);
    }
    let origins = origin_refs(connection, &chunks).await?;
    let mut requests: Vec<(i64, i64, i64)> = Vec::new();
    let (mut new_chunks, mut records) = (0_i64, 0_i64);
    for run in runs(chunks, WIDTHS_OF_LARGE) {
        let mut arrivals = insert_chunks(connection, &run, &origins).await?;
        let mut blocks: Vec<(i64, Vec<u8>)> = Vec::with_capacity(run.len());
        for chunk in run {
            // Without an arrival it was written before.
            let Some(arrival) = arrivals.remove(&chunk.summary.key.id) else {
                continue;
            };
            new_chunks += 1;
            records += i64::from(chunk.summary.records());
            let hashes = chunk.id_hashes.into_iter();
            requests.extend(hashes.map(|hash| (arrival / PART_CHUNKS, hash, arrival)));
            blocks.push((arrival, chunk.block));
        }
        for blocks in runs(blocks, WIDTHS_OF_LARGE) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO blocks (arrival, data) ");
            insert.push_values(blocks, |mut row, (arrival, data)| {
                row.push_bind(arrival).push_bind(data);
            });
            insert.build().execute(&mut *connection).await?;
        }
    }
    insert_watermarks(connection, watermarks).await?;
    insert_requests(connection, requests).await?;
    if new_chunks > 0 {
        sqlx::query("UPDATE totals SET chunks = chunks + ?1, records = records + ?2")
            .bind(new_chunks)
            .bind(records)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Rows of one statement: the widths are few, so that each is prepared once.
const WIDTHS: [usize; 5] = [512, 64, 16, 4, 1];

/// The same for rows that hold blocks or texts.
const WIDTHS_OF_LARGE: &[usize] = WIDTHS.split_at(1).1;

/// The rows in their order, in runs of these widths.
fn runs<T>(rows: Vec<T>, widths: &[usize]) -> Vec<Vec<T>> {
    let mut rest = rows.into_iter();
    let mut runs = Vec::new();
    for width in widths {
        while rest.len() >= *width {
            runs.push(rest.by_ref().take(*width).collect());
        }
    }
    runs
}

/// The arrivals of the chunks that were not there, by their ids.
async fn insert_chunks(
    connection: &mut SqliteConnection,
    chunks: &[EncodedChunk],
    origins: &HashMap<Arc<Origin>, i64>,
) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO chunks (layer, bucket, first_at, last_at, id, origin, minutes) ",
    );
    insert.push_values(chunks, |mut row, chunk| {
        let summary = &chunk.summary;
        row.push_bind(number_of(summary.key.bucket.layer))
            .push_bind(summary.key.bucket.start.micros())
            .push_bind(summary.key.first_at.micros())
            .push_bind(summary.last_at.micros())
            .push_bind(summary.key.id.into_bytes().to_vec())
            .push_bind(origins.get(&summary.origin).copied())
            .push_bind(chunk.minutes.as_slice());
    });
    insert.push(" ON CONFLICT DO NOTHING RETURNING arrival, id");
    let rows: Vec<(i64, Vec<u8>)> = insert.build_query_as().fetch_all(connection).await?;
    let arrivals = rows
        .into_iter()
        .map(|(arrival, id)| Ok((Uuid::from_slice(&id).map_err(decoded)?, arrival)));
    arrivals.collect()
}

async fn insert_watermarks(
    connection: &mut SqliteConnection,
    watermarks: Vec<(OriginId, u64)>,
) -> Result<(), sqlx::Error> {
    for run in runs(watermarks, WIDTHS_OF_LARGE) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO watermarks (origin, stored_to) ");
        insert.push_values(run, |mut row, (origin, until)| {
            row.push_bind(origin_bytes(origin))
                .push_bind(until.to_be_bytes().to_vec());
        });
        insert.push(" ON CONFLICT DO UPDATE SET stored_to = max(stored_to, excluded.stored_to)");
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// The numbers of the chunks' origins; new ones are given one.
async fn origin_refs(
    connection: &mut SqliteConnection,
    chunks: &[EncodedChunk],
) -> Result<HashMap<Arc<Origin>, i64>, sqlx::Error> {
    let mut seen: HashSet<Arc<Origin>> = HashSet::new();
    let wanted: Vec<Arc<Origin>> = chunks
        .iter()
        .map(|chunk| &chunk.summary.origin)
        .filter(|origin| seen.insert(Arc::clone(origin)))
        .map(Arc::clone)
        .collect();
    let mut refs = HashMap::with_capacity(wanted.len());
    for run in runs(wanted, WIDTHS_OF_LARGE) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO origins (id, layer, source, host) ");
        insert.push_values(&run, |mut row, origin| {
            row.push_bind(origin_bytes(origin.id))
                .push_bind(number_of(origin.layer))
                .push_bind(&*origin.source)
                .push_bind(&*origin.host);
        });
        // The update changes nothing; without it RETURNING gives no row for a known origin.
        insert.push(" ON CONFLICT DO UPDATE SET id = id RETURNING ref, id, layer, source, host");
        let rows: Vec<(i64, Vec<u8>, i64, String, String)> =
            insert.build_query_as().fetch_all(&mut *connection).await?;
        let known: HashMap<_, i64> = rows
            .into_iter()
            .map(|(reference, id, layer, source, host)| ((id, layer, source, host), reference))
            .collect();
        for origin in run {
            let key = (
                origin_bytes(origin.id),
                number_of(origin.layer),
                origin.source.to_string(),
                origin.host.to_string(),
            );
            let reference = known.get(&key).copied().ok_or(sqlx::Error::RowNotFound)?;
            refs.insert(origin, reference);
        }
    }
    Ok(refs)
}

fn decoded(error: uuid::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// In the order of the key, so that neighbours fall on the same page.
async fn insert_requests(
    connection: &mut SqliteConnection,
    mut rows: Vec<(i64, i64, i64)>,
) -> Result<(), sqlx::Error> {
    rows.sort_unstable();
    for run in runs(rows, &WIDTHS) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO requests (part, hash, chunk) ");
        insert.push_values(run, |mut row, (part, hash, chunk)| {
            row.push_bind(part).push_bind(hash).push_bind(chunk);
        });
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
