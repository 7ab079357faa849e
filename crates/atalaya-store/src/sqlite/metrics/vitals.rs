//! What the file says of its size and its order, for the health view.

use sqlx::Row as _;

use super::SqliteMetricsStore;
use crate::error::StoreError;
use atalaya_domain::health::database::{Database, TableSize};

impl SqliteMetricsStore {
    /// Counts rows, which reads one index of each table: milliseconds for a hundred thousand rows.
    pub(super) async fn read_vitals(&self) -> Result<Database, StoreError> {
        let failed = |error| self.file.error(error);
        let readers = &self.file.readers().await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(readers)
            .await
            .map_err(failed)?;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )
        .fetch_all(readers)
        .await
        .map_err(failed)?;
        let mut tables = Vec::with_capacity(names.len());
        for table in names {
            // The name is our own schema's, and quoted all the same.
            let quoted = table.replace('"', "\"\"");
            let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "SELECT COUNT(*) FROM \"{quoted}\""
            )))
            .fetch_one(readers)
            .await
            .map_err(failed)?;
            tables.push(TableSize {
                table,
                rows: u64::try_from(rows).unwrap_or(0),
                bytes: None,
            });
        }
        tables.sort_by(|left, right| {
            right
                .rows
                .cmp(&left.rows)
                .then_with(|| left.table.cmp(&right.table))
        });
        let orphans: i64 = sqlx::query("SELECT COUNT(*) FROM pragma_foreign_key_check")
            .fetch_one(readers)
            .await
            .map_err(failed)?
            .get(0);
        Ok(Database {
            version: Some(version),
            disk_bytes: Some(self.file.disk_bytes().await),
            tables,
            orphans: u64::try_from(orphans).ok(),
            ..Database::default()
        })
    }
}
