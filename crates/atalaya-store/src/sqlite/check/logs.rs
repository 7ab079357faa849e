//! The content of the log store: every chunk read and decoded, and what was made from the chunks
//! compared with them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;

use super::of_file;
use crate::check::Checked;
use crate::chunks::ChunkSettings;
use crate::damage::{Damage, Damages, Progress};
use crate::engine::build::{bucket_of, request_rows};
use crate::error::StoreError;
use crate::sqlite::chunks::PART_CHUNKS;
use crate::sqlite::chunks::read::{ArrivalRow, SummaryRow, decode_block};
use crate::sqlite::chunks::values::{hashes_of_whose, layer_of, origin_of, refused, request_hash};
use crate::sqlite::codec::Decoder;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::Origin;

/// Chunks of one statement.
const STEP: i64 = 64;

pub(super) async fn content(
    connection: &mut SqliteConnection,
    path: &Path,
    checked: &mut Checked,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), StoreError> {
    let look = match Look::begin(connection, &mut checked.damages).await {
        Ok(look) => look,
        Err(error) => {
            checked.damages.add(of_file(path, error));
            return Ok(());
        }
    };
    let mut expected = Vec::new();
    let mut part = look.first / PART_CHUNKS;
    let mut from = look.first;
    while from <= look.last {
        // Not over the end of a part of the request index.
        let until = (from + STEP)
            .min((part + 1) * PART_CHUNKS)
            .min(look.last + 1);
        progress(Progress {
            stage: "chunks",
            done: (from - look.first).unsigned_abs(),
            total: (look.last + 1 - look.first).unsigned_abs(),
        });
        let rows = match fetch(connection, from, until).await {
            Ok(rows) => rows,
            Err(_) => one_by_one(connection, from, until, path, &mut checked.damages).await,
        };
        let share = look.decode(rows).await?;
        checked.chunks += share.chunks;
        checked.records += share.records;
        expected.extend(share.requests);
        for damage in share.damages {
            checked.damages.add(damage);
        }
        from = until;
        if from >= (part + 1) * PART_CHUNKS || from > look.last {
            let outcome = requests(connection, part, &mut expected, &mut checked.damages).await;
            if let Err(error) = outcome {
                checked.damages.add(of_file(path, error));
            }
            part += 1;
        }
    }
    if let Err(error) = totals(connection, checked).await {
        checked.damages.add(of_file(path, error));
    }
    if let Err(error) = sequence(connection, look.last, &mut checked.damages).await {
        checked.damages.add(of_file(path, error));
    }
    Ok(())
}

/// What all chunks are looked at with.
struct Look {
    origins: Arc<HashMap<i64, Arc<Origin>>>,
    settings: ChunkSettings,
    /// Up to this arrival the index of ids has requests only.
    ids_from: i64,
    first: i64,
    last: i64,
}

type Stored = (ArrivalRow, Option<Vec<u8>>);

#[derive(Default)]
struct Share {
    chunks: u64,
    records: u64,
    /// Chunk and hash, as the request index has them.
    requests: Vec<(i64, i64)>,
    damages: Vec<Damage>,
}

impl Look {
    async fn begin(
        connection: &mut SqliteConnection,
        damages: &mut Damages,
    ) -> Result<Self, sqlx::Error> {
        let minutes: i64 =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = 'bucket_minutes'")
                .fetch_one(&mut *connection)
                .await?;
        let ids_from: Option<i64> =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = 'ids_from'")
                .fetch_optional(&mut *connection)
                .await?;
        let (first, last): (i64, i64) = sqlx::query_as(
            "SELECT coalesce(min(arrival), 0), coalesce(max(arrival), -1) FROM (
                SELECT min(arrival) AS arrival FROM chunks UNION ALL SELECT max(arrival) FROM chunks
                UNION ALL SELECT min(arrival) FROM blocks UNION ALL SELECT max(arrival) FROM blocks)",
        )
        .fetch_one(&mut *connection)
        .await?;
        let rows: Vec<(i64, Vec<u8>, i64, String, String)> =
            sqlx::query_as("SELECT ref, id, layer, source, host FROM origins")
                .fetch_all(&mut *connection)
                .await?;
        let mut origins = HashMap::with_capacity(rows.len());
        for (reference, id, layer, source, host) in rows {
            match (origin_of(id), layer_of(layer)) {
                (Ok(id), Ok(layer)) => {
                    let origin = Origin {
                        id,
                        layer,
                        source: source.into(),
                        host: host.into(),
                    };
                    origins.insert(reference, Arc::new(origin));
                }
                (Err(error), _) | (_, Err(error)) => {
                    damages.add(Damage::new(
                        "origins",
                        reference.to_string(),
                        error.to_string(),
                    ));
                }
            }
        }
        Ok(Self {
            origins: Arc::new(origins),
            settings: ChunkSettings {
                bucket_minutes: u16::try_from(minutes).unwrap_or(0),
            },
            ids_from: ids_from.unwrap_or(i64::MAX),
            first,
            last,
        })
    }

    async fn decode(&self, rows: Vec<Stored>) -> Result<Share, StoreError> {
        let (origins, settings) = (Arc::clone(&self.origins), self.settings);
        let ids_from = self.ids_from;
        let decoding = tokio::task::spawn_blocking(move || {
            let mut decoder = Decoder::new()?;
            let mut share = Share::default();
            for row in rows {
                share.look_at(&mut decoder, row, &origins, (settings, ids_from));
            }
            Ok::<_, std::io::Error>(share)
        });
        decoding.await.map_err(refused)?.map_err(refused)
    }
}

impl Share {
    fn look_at(
        &mut self,
        decoder: &mut Decoder,
        (row, block): Stored,
        origins: &HashMap<i64, Arc<Origin>>,
        (settings, ids_from): (ChunkSettings, i64),
    ) {
        self.chunks += 1;
        let arrival = row.arrival;
        let summary = match row.summary.summary(origins) {
            Ok(summary) => summary,
            Err(error) => {
                let damage = Damage::new("chunk", arrival.to_string(), error.to_string());
                self.damages.push(damage);
                return;
            }
        };
        let Some(block) = block else {
            self.damaged(&summary, "its records are not there");
            return;
        };
        let chunk = match decode_block(decoder, summary.clone(), &block, None) {
            Ok(chunk) => chunk,
            Err(damage) => return self.damaged(&summary, damage),
        };
        let key = summary.key;
        if bucket_of(key.bucket.layer, key.first_at, settings) != key.bucket
            || chunk.entries.len() != summary.records() as usize
        {
            self.damaged(&summary, "its summary does not fit its records");
        }
        self.records += chunk.entries.len() as u64;
        let hashes = request_rows(&chunk);
        let hashes = hashes
            .iter()
            .map(|row| (arrival, request_hash(&row.request_id)));
        self.requests.extend(hashes);
        if arrival > ids_from {
            let hashes = hashes_of_whose(&chunk.entries);
            self.requests
                .extend(hashes.into_iter().map(|hash| (arrival, hash)));
        }
    }

    fn damaged(&mut self, summary: &ChunkSummary, reason: &str) {
        self.damages.push(Damage::chunk(summary, reason));
    }
}

async fn fetch(
    connection: &mut SqliteConnection,
    from: i64,
    until: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    type Row = (
        i64,
        i64,
        i64,
        i64,
        i64,
        Vec<u8>,
        i64,
        Vec<u8>,
        Option<Vec<u8>>,
    );
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT c.arrival, c.layer, c.bucket, c.first_at, c.last_at, c.id, c.origin, c.minutes, b.data
         FROM chunks c NOT INDEXED LEFT JOIN blocks b ON b.arrival = c.arrival
         WHERE c.arrival >= ?1 AND c.arrival < ?2 ORDER BY c.arrival",
    )
    .bind(from)
    .bind(until)
    .fetch_all(connection)
    .await?;
    let stored = rows.into_iter().map(
        |(arrival, layer, bucket, first_at, last_at, id, origin, minutes, data)| {
            let summary = SummaryRow {
                layer,
                bucket,
                first_at,
                last_at,
                id,
                origin,
                minutes,
            };
            (ArrivalRow { arrival, summary }, data)
        },
    );
    Ok(stored.collect())
}

/// What can be read where something cannot; the rest is named.
async fn one_by_one(
    connection: &mut SqliteConnection,
    from: i64,
    until: i64,
    path: &Path,
    damages: &mut Damages,
) -> Vec<Stored> {
    let mut rows = Vec::new();
    for arrival in from..until {
        match fetch(connection, arrival, arrival + 1).await {
            Ok(found) => rows.extend(found),
            Err(error) => {
                let damage = of_file(path, error);
                damages.add(Damage::new("chunk", arrival.to_string(), damage.reason));
            }
        }
    }
    rows
}

/// One part of the request index beside what the chunks say; takes the `expected` rows.
async fn requests(
    connection: &mut SqliteConnection,
    part: i64,
    expected: &mut Vec<(i64, i64)>,
    damages: &mut Damages,
) -> Result<(), sqlx::Error> {
    let mut wanted = std::mem::take(expected);
    wanted.sort_unstable();
    wanted.dedup();
    let mut found: Vec<(i64, i64)> =
        sqlx::query_as("SELECT chunk, hash FROM requests WHERE part = ?1")
            .bind(part)
            .fetch_all(connection)
            .await?;
    found.sort_unstable();
    let missing = wanted
        .iter()
        .filter(|row| found.binary_search(row).is_err())
        .count();
    let strange = found
        .iter()
        .filter(|row| wanted.binary_search(row).is_err())
        .count();
    if missing + strange > 0 {
        damages.add(Damage::new(
            "requests",
            format!("part {part}"),
            format!("{missing} entries of the index are missing, {strange} belong to nothing"),
        ));
    }
    Ok(())
}

/// The number that the next chunk follows on. One that is too small or gone shows a follower old
/// chunks as new ones.
async fn sequence(
    connection: &mut SqliteConnection,
    last: i64,
    damages: &mut Damages,
) -> Result<(), sqlx::Error> {
    let next: Option<i64> =
        sqlx::query_scalar("SELECT max(seq) FROM sqlite_sequence WHERE name = 'chunks'")
            .fetch_one(connection)
            .await?;
    if next.unwrap_or(-1) < last {
        damages.add(Damage::new(
            "sqlite_sequence",
            "chunks",
            format!(
                "stands at {}, before the last chunk ({last})",
                next.unwrap_or(0)
            ),
        ));
    }
    Ok(())
}

async fn totals(
    connection: &mut SqliteConnection,
    checked: &mut Checked,
) -> Result<(), sqlx::Error> {
    let (chunks, records): (i64, i64) = sqlx::query_as("SELECT chunks, records FROM totals")
        .fetch_one(&mut *connection)
        .await?;
    // Where chunks cannot be read, their sum says nothing.
    if checked.damages.is_empty()
        && (chunks.unsigned_abs(), records.unsigned_abs()) != (checked.chunks, checked.records)
    {
        checked.damages.add(Damage::new(
            "totals",
            "",
            format!(
                "says {chunks} chunks with {records} records; there are {} with {}",
                checked.chunks, checked.records
            ),
        ));
    }
    let marks: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as("SELECT origin, stored_to FROM watermarks")
        .fetch_all(&mut *connection)
        .await?;
    let odd = marks
        .iter()
        .filter(|(origin, mark)| origin.len() != 16 || mark.len() != 8);
    for (origin, _) in odd {
        let key = format!("{origin:02x?}");
        checked
            .damages
            .add(Damage::new("watermarks", key, "has not the form of a mark"));
    }
    Ok(())
}
