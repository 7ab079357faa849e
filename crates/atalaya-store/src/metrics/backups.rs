//! The memory of backups: which were made, when each was last found right, and how restores went
//! that were tried out. The archives themselves say what is in them.

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::backup::{BackupRecord, DrillRecord};
use atalaya_domain::time::Timestamp;

#[async_trait]
pub trait Backups {
    /// By name; what was known of it is replaced.
    async fn put_backup(&self, backup: &BackupRecord) -> Result<Written, StoreError>;

    /// Newest first.
    async fn backups(&self) -> Result<Vec<BackupRecord>, StoreError>;

    /// The archive is gone.
    async fn forget_backup(&self, name: &str) -> Result<(), StoreError>;

    /// By (instant, backup).
    async fn put_drill(&self, drill: &DrillRecord) -> Result<Written, StoreError>;

    /// Newest first, at most `limit`.
    async fn drills(&self, limit: u32) -> Result<Vec<DrillRecord>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Backups for D {
    async fn put_backup(&self, backup: &BackupRecord) -> Result<Written, StoreError> {
        self.write(backup.clone(), |connection, backup| {
            Box::pin(put_backup(connection, backup))
        })
        .await
    }

    async fn backups(&self) -> Result<Vec<BackupRecord>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(backups(connection))
        })
        .await
    }

    async fn forget_backup(&self, name: &str) -> Result<(), StoreError> {
        self.write(name.to_owned(), |connection, name| {
            Box::pin(async move {
                let sql = "DELETE FROM backups WHERE name = ?";
                connection.execute(sql, values![name]).await.map(drop)
            })
        })
        .await
    }

    async fn put_drill(&self, drill: &DrillRecord) -> Result<Written, StoreError> {
        self.write(drill.clone(), |connection, drill| {
            Box::pin(put_drill(connection, drill))
        })
        .await
    }

    async fn drills(&self, limit: u32) -> Result<Vec<DrillRecord>, StoreError> {
        self.read(View::Latest, limit, |connection, limit| {
            Box::pin(drills(connection, *limit))
        })
        .await
    }
}

async fn put_backup(
    connection: &mut Connection<'_>,
    backup: &BackupRecord,
) -> Result<Written, Failure> {
    let known: Option<(String,)> = connection
        .row(
            locking!("SELECT name FROM backups WHERE name = ?"),
            values![&backup.name],
        )
        .await?;
    if known.is_some() {
        let sql = "DELETE FROM backups WHERE name = ?";
        connection.execute(sql, values![&backup.name]).await?;
    }
    connection
        .execute(
            "INSERT INTO backups
             (name, created_at, host, seal, bytes, record_count, row_count, base, verified_at, problem)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values![
                &backup.name,
                backup.created_at,
                &backup.host,
                &backup.seal,
                stored(backup.bytes),
                stored(backup.records),
                stored(backup.rows),
                &backup.base,
                backup.verified_at,
                &backup.problem,
            ],
        )
        .await?;
    Ok(if known.is_some() {
        Written::updated(1)
    } else {
        Written::inserted(1)
    })
}

type BackupRow = (
    String,
    i64,
    String,
    String,
    i64,
    i64,
    i64,
    Option<String>,
    Option<i64>,
    Option<String>,
);

async fn backups(connection: &mut Connection<'_>) -> Result<Vec<BackupRecord>, Failure> {
    let rows: Vec<BackupRow> = connection
        .rows(
            "SELECT name, created_at, host, seal, bytes, record_count, row_count, base, verified_at, problem
             FROM backups ORDER BY created_at DESC, name DESC",
            &[],
        )
        .await?;
    let read = |(
        name,
        created_at,
        host,
        seal,
        bytes,
        records,
        rows,
        base,
        verified_at,
        problem,
    ): BackupRow| {
        BackupRecord {
            name,
            created_at: Timestamp::from_micros(created_at),
            host,
            seal,
            bytes: bytes.cast_unsigned(),
            records: records.cast_unsigned(),
            rows: rows.cast_unsigned(),
            base,
            verified_at: verified_at.map(Timestamp::from_micros),
            problem,
        }
    };
    Ok(rows.into_iter().map(read).collect())
}

async fn put_drill(
    connection: &mut Connection<'_>,
    drill: &DrillRecord,
) -> Result<Written, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT drilled_at FROM backup_drills WHERE drilled_at = ? AND backup = ?"),
            values![drill.at, &drill.backup],
        )
        .await?;
    if known.is_some() {
        return Ok(Written::unchanged(1));
    }
    connection
        .execute(
            "INSERT INTO backup_drills
             (drilled_at, backup, rto_ms, rpo_seconds, record_count, row_count, problem)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            values![
                drill.at,
                &drill.backup,
                stored(drill.rto_ms),
                stored(drill.rpo_seconds),
                stored(drill.records),
                stored(drill.rows),
                &drill.problem,
            ],
        )
        .await?;
    Ok(Written::inserted(1))
}

async fn drills(connection: &mut Connection<'_>, limit: u32) -> Result<Vec<DrillRecord>, Failure> {
    let rows: Vec<(i64, String, i64, i64, i64, i64, Option<String>)> = connection
        .rows(
            "SELECT drilled_at, backup, rto_ms, rpo_seconds, record_count, row_count, problem
             FROM backup_drills ORDER BY drilled_at DESC, backup DESC LIMIT ?",
            values![limit],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(at, backup, rto_ms, rpo_seconds, records, rows, problem)| DrillRecord {
                at: Timestamp::from_micros(at),
                backup,
                rto_ms: rto_ms.cast_unsigned(),
                rpo_seconds: rpo_seconds.cast_unsigned(),
                records: records.cast_unsigned(),
                rows: rows.cast_unsigned(),
                problem,
            },
        )
        .collect())
}

/// Counts are far below what an integer of a database holds.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
