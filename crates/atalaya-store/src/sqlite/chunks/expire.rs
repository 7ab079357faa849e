//! Deleting what is older than it is to be kept.

use sqlx::sqlite::SqliteConnection;

use crate::error::StoreError;
use crate::sqlite::codec;
use atalaya_domain::time::Timestamp;

use super::{PART_CHUNKS, SqliteChunkStore};

/// Chunks deleted in one transaction, so that a writer never waits long for an expiry.
const STEP: i64 = 1_000;

impl SqliteChunkStore {
    /// Deletes the chunks whose latest record is older than `before`, with their index rows, and
    /// returns how many chunks that were. Runs in many short transactions; may be cut off and
    /// repeated. The space is used again by later writes, or given back by
    /// [`give_space_back`](Self::give_space_back).
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
}

/// Deletes up to [`STEP`] of the chunks after `from`; the arrival to go on from, or `None`
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
    .bind(STEP)
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

/// Pages given back in one transaction, so that a writer never waits long for it.
const PAGES: i64 = 2_000;
/// An older file cannot give back page by page: it is written anew when this part of it is free.
const REWRITE_FROM: i64 = 2;

impl SqliteChunkStore {
    /// Shortens the file by what is free in it. A file that was made before files could be shortened
    /// step by step is written anew when half of it is free, and can from then on; meanwhile writers
    /// wait.
    pub(super) async fn give_space_back(&self) -> Result<(), StoreError> {
        let pragma = |sql: &'static str| async move {
            let readers = self.file.readers().await?;
            let value: Result<i64, _> = sqlx::query_scalar(sql).fetch_one(&readers).await;
            value.map_err(|error| self.file.error(error))
        };
        if pragma("PRAGMA auto_vacuum").await? == 0 {
            let free = pragma("PRAGMA freelist_count").await?;
            if free * REWRITE_FROM < pragma("PRAGMA page_count").await? {
                return Ok(());
            }
            return self
                .file
                .outside_transaction("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
                .await;
        }
        loop {
            let free = pragma("PRAGMA freelist_count").await?;
            if free == 0 {
                break;
            }
            self.file
                .outside_transaction(sqlx::AssertSqlSafe(format!(
                    "PRAGMA incremental_vacuum({PAGES})"
                )))
                .await?;
            // Somebody else may free pages meanwhile; what cannot be given back is left.
            if pragma("PRAGMA freelist_count").await? >= free {
                break;
            }
        }
        self.file
            .outside_transaction("PRAGMA wal_checkpoint(TRUNCATE)")
            .await
    }
}
