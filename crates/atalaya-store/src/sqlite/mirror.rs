//! Rows kept twice: SQLite has no checksum of a row, so a bit that a disk or a copy turns over in
//! one would be read as another value. Here an index over all columns of a table holds each row once
//! more; `PRAGMA integrity_check` compares the two, and a repair takes the copy that is whole.
//!
//! Chunks need none of this, as they carry checksums (`seal.rs`).

use sqlx::sqlite::SqliteConnection;

use super::open::trusted;

/// What the name of such an index begins with; its table's name follows.
pub(super) const PREFIX: &str = "whole_";

/// Which tables of a file are kept twice.
#[derive(Clone, Copy, Debug)]
pub enum Mirrored {
    Every,
    Only(&'static [&'static str]),
}

impl Mirrored {
    fn has(self, table: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Only(tables) => tables.contains(&table),
        }
    }
}

/// The statements that are missing for every table to have its index, as its columns are now.
pub(super) async fn missing(
    connection: &mut SqliteConnection,
    mirrored: Mirrored,
) -> Result<Vec<String>, sqlx::Error> {
    let tables: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT t.name,
            (SELECT group_concat('\"' || c.name || '\"', ', ' ORDER BY c.cid) FROM pragma_table_info(t.name) c),
            (SELECT i.sql FROM sqlite_schema i WHERE i.type = 'index' AND i.name = ?1 || t.name)
         FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    )
    .bind(PREFIX)
    .fetch_all(connection)
    .await?;
    let mut statements = Vec::new();
    for (table, columns, found) in tables {
        let index = format!("CREATE INDEX \"{PREFIX}{table}\" ON \"{table}\" ({columns})");
        if mirrored.has(&table) && found.as_deref() != Some(&*index) {
            if found.is_some() {
                statements.push(format!("DROP INDEX \"{PREFIX}{table}\""));
            }
            statements.push(index);
        }
    }
    Ok(statements)
}

/// Takes the indices away: a migration could not change the columns that they hold.
pub(super) async fn release(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let indices: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND substr(name, 1, length(?1)) = ?1",
    )
    .bind(PREFIX)
    .fetch_all(&mut *connection)
    .await?;
    for index in indices {
        sqlx::raw_sql(trusted(format!("DROP INDEX \"{index}\"")))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Makes what is missing.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    mirrored: Mirrored,
) -> Result<(), sqlx::Error> {
    for statement in missing(connection, mirrored).await? {
        sqlx::raw_sql(trusted(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
