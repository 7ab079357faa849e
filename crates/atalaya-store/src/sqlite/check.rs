//! Reads everything of an embedded store and says what is not as it was written.
//!
//! Promises: nothing is changed, also no schema; damage of one place does not end the check; any
//! change of what the store holds is found: chunks by their checksums, rows by their second copy
//! (`mirror.rs`), the indices and the sums by what they were made from.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::errors::store_error;
use super::open::{Schema, trusted};
use super::salvage::Pages;
use super::{chunks, closing, metrics, mirror, reading};
use crate::check::Checked;
use crate::damage::{Damage, Damages, Progress};
use crate::error::{StoreError, describe};

mod logs;

/// Of the file format: 1 with a journal, 2 with a write-ahead log.
const NEWEST_WRITE_VERSION: u8 = 2;

/// Checks the file of the embedded log store.
///
/// # Errors
/// The file cannot be read at all; a damaged one is no error.
pub async fn logs(
    path: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Checked, StoreError> {
    let _busy = closing::busy()?;
    let mut checked = Checked::default();
    if let Some(mut connection) = file(path, &chunks::SCHEMA, &mut checked, progress).await? {
        let outcome = logs::content(&mut connection, path, &mut checked, progress).await;
        connection.close().await.ok();
        outcome?;
    }
    reading::tidy(path).await;
    Ok(checked)
}

/// Checks the file of the embedded metrics store.
///
/// # Errors
/// As [`logs`].
pub async fn metrics(
    path: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Checked, StoreError> {
    let _busy = closing::busy()?;
    let mut checked = Checked::default();
    if let Some(mut connection) = file(path, &metrics::SCHEMA, &mut checked, progress).await? {
        match rows(&mut connection).await {
            Ok(rows) => checked.rows = rows,
            Err(error) => checked.damages.add(of_file(path, error)),
        }
        connection.close().await.ok();
    }
    reading::tidy(path).await;
    Ok(checked)
}

async fn rows(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut rows = 0;
    for table in tables {
        let table = table.replace('"', "\"\"");
        let counted: i64 = sqlx::query_scalar(trusted(format!("SELECT count(*) FROM \"{table}\"")))
            .fetch_one(&mut *connection)
            .await?;
        rows += counted.unsigned_abs();
    }
    Ok(rows)
}

fn of_file(path: &Path, error: sqlx::Error) -> Damage {
    let error = store_error(error, &path.display().to_string());
    Damage::new("file", "", describe(&error))
}

/// What SQLite finds by itself. `None`: nothing more can be read of the file.
async fn file(
    path: &Path,
    schema: &Schema,
    checked: &mut Checked,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Option<SqliteConnection>, StoreError> {
    progress(Progress {
        stage: "structure",
        done: 0,
        total: 0,
    });
    let damages = &mut checked.damages;
    beneath(path, damages).await?;
    let options = match reading::options(path, schema).await {
        Ok(Some((options, _))) => options,
        Ok(None) => {
            let address = path.display().to_string();
            let source = "the file cannot be read; check its owner and mode".into();
            return Err(StoreError::Unavailable {
                backend: crate::error::Backend::Sqlite,
                address,
                source,
            });
        }
        Err(error @ (StoreError::TimedOut { .. } | StoreError::Unavailable { .. })) => {
            return Err(error);
        }
        Err(error) => {
            damages.add(Damage::new("file", "", describe(&error)));
            return Ok(None);
        }
    };
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(error) => {
            damages.add(of_file(path, error));
            return Ok(None);
        }
    };
    if let Err(error) = structure(&mut connection, schema, damages).await {
        damages.add(of_file(path, error));
    }
    Ok(Some(connection))
}

/// What SQLite says nothing of: the write-ahead log, which it reads up to its first damage, and the
/// version in the file's head, which makes it only read the file.
async fn beneath(path: &Path, damages: &mut Damages) -> Result<(), StoreError> {
    let file = path.to_owned();
    let pages = tokio::task::spawn_blocking(move || {
        let pages = Pages::open(&file)?;
        let head = pages.read(1).unwrap_or_default();
        Ok::<_, std::io::Error>((pages.lost_commits(), head.get(18).copied()))
    });
    let (lost, version) = match pages.await {
        Ok(Ok(found)) => found,
        // SQLite says it better.
        Ok(Err(_)) => return Ok(()),
        Err(stopped) => return Err(chunks::values::refused(stopped)),
    };
    if lost > 0 {
        damages.add(Damage::new(
            "file",
            "-wal",
            format!(
                "the write-ahead log is damaged: {lost} commits behind the damage are not read"
            ),
        ));
    }
    if let Some(version) = version.filter(|version| *version > NEWEST_WRITE_VERSION) {
        damages.add(Damage::new(
            "file",
            "head",
            format!("says that it is written in a way ({version}) that is not known: it can only be read"),
        ));
    }
    Ok(())
}

async fn structure(
    connection: &mut SqliteConnection,
    schema: &Schema,
    damages: &mut Damages,
) -> Result<(), sqlx::Error> {
    let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(1000)")
        .fetch_all(&mut *connection)
        .await?;
    for problem in found.iter().filter(|problem| *problem != "ok") {
        damages.add(Damage::new("file", "", problem.as_str()));
    }
    let dangling: Vec<(String, Option<i64>, String)> =
        sqlx::query_as("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")
            .fetch_all(&mut *connection)
            .await?;
    for (table, row, parent) in dangling {
        let row = row.map(|row| format!("row {row}")).unwrap_or_default();
        damages.add(Damage::new(
            table,
            row,
            format!("names a row of {parent} that is not there"),
        ));
    }
    for name in strange(connection, schema).await? {
        damages.add(Damage::new(
            name,
            "",
            "its definition is not that of this schema version",
        ));
    }
    Ok(())
}

/// Tables, indices and triggers that differ from those of a new file of this schema.
async fn strange(
    connection: &mut SqliteConnection,
    schema: &Schema,
) -> Result<Vec<String>, sqlx::Error> {
    const DEFINITIONS: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema";
    type Definition = (String, String, String, Option<String>);
    let mut fresh = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging()
        .connect()
        .await?;
    for migration in schema.migrations {
        sqlx::raw_sql(*migration).execute(&mut fresh).await?;
    }
    mirror::keep(&mut fresh, schema.mirrored).await?;
    let mut wanted: Vec<Definition> = sqlx::query_as(DEFINITIONS).fetch_all(&mut fresh).await?;
    let mut found: Vec<Definition> = sqlx::query_as(DEFINITIONS).fetch_all(connection).await?;
    // What `ANALYZE` leaves is nobody's.
    let own = |definition: &Definition| !definition.1.starts_with("sqlite_stat");
    wanted.retain(own);
    found.retain(own);
    let mut strange: Vec<String> = wanted
        .iter()
        .filter(|one| !found.contains(one))
        .chain(found.iter().filter(|one| !wanted.contains(one)))
        .map(|definition| definition.1.clone())
        .collect();
    strange.sort_unstable();
    strange.dedup();
    Ok(strange)
}
