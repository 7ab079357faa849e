//! Looks at a file of the embedded kind that may come from anywhere, before it is opened as a store.
//!
//! Such a file is a program too: a trigger or a view of its own would run with the first statement.
//! So its schema has to be, word by word, what the migrations of its version make.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::errors::store_error;
use super::mirror;
use super::open::{Schema, trusted};
use super::place::{self, Locks};
use crate::error::{Backend, StoreError};

/// What a file says of itself, and is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Number of migrations that it has.
    pub version: i64,
    /// BLAKE3 of the schema's text, in hex.
    pub hash: String,
}

/// An object of a schema: type, name, table, and its SQL.
pub(super) type Item = (String, String, String, String);

/// Fails unless the file is whole and its schema is exactly that of a version that is known.
pub(crate) async fn examine(path: &Path, schema: &Schema) -> Result<Examined, StoreError> {
    let address = path.display().to_string();
    let failed = |error| store_error(error, &address);
    let mut file = read_only(path).connect().await.map_err(failed)?;
    let (owner, version): (i64, i64) =
        sqlx::query_as("SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version)")
            .fetch_one(&mut file)
            .await
            .map_err(failed)?;
    if owner != i64::from(schema.application_id) {
        return Err(strange(format!("{address} does not hold {}", schema.name)));
    }
    let known = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    if version > known {
        return Err(StoreError::NewerSchema {
            address,
            found: version,
            known,
        });
    }
    let found = items(&mut file).await.map_err(failed)?;
    let expected = reference(schema, version).await.map_err(failed)?;
    // A copy, or a file of an older program, may be without the indexes that hold each row twice.
    let names: Vec<&str> = found
        .symmetric_difference(&expected)
        .filter(|item| found.contains(item) || !is_mirror(item))
        .map(|item| item.1.as_str())
        .collect();
    if !names.is_empty() {
        return Err(strange(format!(
            "{address}: its schema is not that of version {version}: {}",
            names.join(", ")
        )));
    }
    let damage: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut file)
        .await
        .map_err(failed)?;
    if damage != "ok" {
        return Err(StoreError::Corrupt {
            table: "the file",
            detail: format!("{address}: {damage}"),
        });
    }
    let orphan: Option<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1")
            .fetch_optional(&mut file)
            .await
            .map_err(failed)?;
    if let Some((table,)) = orphan {
        return Err(StoreError::Corrupt {
            table: "the file",
            detail: format!("{address}: a row of {table} names one that is not there"),
        });
    }
    file.close().await.map_err(failed)?;
    Ok(Examined {
        version,
        hash: hash_of(&found),
    })
}

/// For a file that nobody changes: no lock, nothing beside it, and nothing in it is run.
pub(super) fn read_only(path: &Path) -> SqliteConnectOptions {
    place::options(path, Locks::Immutable)
        .read_only(true)
        .pragma("trusted_schema", "off")
        .pragma("cell_size_check", "on")
}

/// What the migrations up to `version` make.
pub(super) async fn reference(
    schema: &Schema,
    version: i64,
) -> Result<BTreeSet<Item>, sqlx::Error> {
    let mut memory = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging()
        .connect()
        .await?;
    let count = usize::try_from(version)
        .unwrap_or(0)
        .min(schema.migrations.len());
    for migration in &schema.migrations[..count] {
        sqlx::raw_sql(*migration).execute(&mut memory).await?;
    }
    mirror::keep(&mut memory, schema.mirrored).await?;
    let items = items(&mut memory).await?;
    memory.close().await?;
    Ok(items)
}

fn is_mirror((kind, name, ..): &Item) -> bool {
    kind == "index" && name.starts_with(mirror::PREFIX)
}

/// Everything but what SQLite makes by itself: the numbers of `AUTOINCREMENT`, statistics of its
/// planner, and indexes of constraints, which have no text.
pub(super) async fn items(
    connection: &mut SqliteConnection,
) -> Result<BTreeSet<Item>, sqlx::Error> {
    let rows: Vec<Item> = sqlx::query_as(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema
         WHERE name NOT IN ('sqlite_sequence', 'sqlite_stat1', 'sqlite_stat4')
           AND NOT (name GLOB 'sqlite_autoindex_*' AND sql IS NULL)",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

fn hash_of(items: &BTreeSet<Item>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (kind, name, table, sql) in items.iter().filter(|item| !is_mirror(item)) {
        for text in [kind, name, table, sql] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Drops what is not of this schema, in a file that is ours alone; returns the names.
pub(super) async fn strip(path: &Path, schema: &Schema) -> Result<Vec<String>, StoreError> {
    let address = path.display().to_string();
    let failed = |error| store_error(error, &address);
    let version = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    let expected = reference(schema, version).await.map_err(failed)?;
    let mut file = place::options(path, Locks::All)
        .foreign_keys(false)
        .pragma("trusted_schema", "off")
        .connect()
        .await
        .map_err(failed)?;
    let found = items(&mut file).await.map_err(failed)?;
    let mut foreign: Vec<&Item> = found
        .iter()
        .filter(|item| !expected.iter().any(|known| known.1 == item.1))
        .collect();
    // What hangs on a table goes with it, or before it.
    foreign.sort_by_key(|item| match item.0.as_str() {
        "trigger" => 0,
        "view" => 1,
        "index" => 2,
        _ => 3,
    });
    for (kind, name, ..) in &foreign {
        let name = name.replace('"', "\"\"");
        let drop = format!("DROP {} IF EXISTS \"{name}\"", kind.to_uppercase());
        sqlx::raw_sql(trusted(drop))
            .execute(&mut file)
            .await
            .map_err(failed)?;
    }
    if !foreign.is_empty() {
        // What was in these tables is in the file until it is written anew.
        sqlx::raw_sql("VACUUM")
            .execute(&mut file)
            .await
            .map_err(failed)?;
    }
    let names = foreign.iter().map(|item| item.1.clone()).collect();
    file.close().await.map_err(failed)?;
    Ok(names)
}

fn strange(reason: String) -> StoreError {
    StoreError::Refused {
        backend: Backend::Sqlite,
        source: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sqlite::mirror::Mirrored;
    use crate::sqlite::open::{Durability, SqliteFile};

    const SCHEMA: Schema = Schema {
        name: "test",
        application_id: 7,
        readable_from: None,
        migrations: &[
            "CREATE TABLE one (n INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT UNIQUE) STRICT",
            "ALTER TABLE one ADD COLUMN more TEXT; CREATE INDEX i ON one (more)",
        ],
        mirrored: Mirrored::Every,
    };

    async fn made(path: &Path, extra: &'static str) {
        let file = SqliteFile::open(path, &SCHEMA, Durability::Cache)
            .await
            .unwrap();
        file.close().await;
        run(path, extra).await;
    }

    async fn run(path: &Path, sql: &'static str) {
        let mut file = SqliteConnectOptions::new()
            .filename(path)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sql).execute(&mut file).await.unwrap();
        file.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_migrations_made_is_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        made(&path, "INSERT INTO one (t) VALUES ('x'); ANALYZE").await;
        let found = examine(&path, &SCHEMA).await.unwrap();
        assert_eq!(found.version, 2);
        let older = Schema {
            migrations: &SCHEMA.migrations[..1],
            ..SCHEMA
        };
        assert!(matches!(
            examine(&path, &older).await,
            Err(StoreError::NewerSchema { .. })
        ));
    }

    /// Anything that would run, or lie, when the file is opened as a store.
    #[tokio::test]
    async fn a_schema_of_its_own_is_refused() {
        for extra in [
            "CREATE TRIGGER t AFTER INSERT ON one BEGIN DELETE FROM one; END",
            "CREATE VIEW v AS SELECT * FROM one",
            "CREATE TABLE two (n)",
            "CREATE INDEX other ON one (t)",
            "ALTER TABLE one ADD COLUMN evil TEXT",
            "DROP INDEX i",
            "DROP TABLE one; CREATE VIEW one AS SELECT 1 AS n, 'x' AS t, 'y' AS more",
            "PRAGMA application_id = 8",
            "PRAGMA user_version = 1",
            "PRAGMA user_version = -1",
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || ' -- x' WHERE name = 'i'",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            made(&path, extra).await;
            assert!(examine(&path, &SCHEMA).await.is_err(), "{extra}");
        }
    }

    #[tokio::test]
    async fn what_is_not_ours_is_left_out_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        made(
            &path,
            "CREATE TABLE \"a \"\" b\" (n); CREATE INDEX mine ON one (t); CREATE TABLE c (secret);
             INSERT INTO c VALUES ('CANARY'); CREATE VIEW v AS SELECT * FROM c;
             CREATE TRIGGER t AFTER INSERT ON one BEGIN SELECT 1; END; INSERT INTO one (t) VALUES ('x')",
        )
        .await;
        run(&path, "PRAGMA journal_mode = DELETE").await;
        let mut names = strip(&path, &SCHEMA).await.unwrap();
        names.sort();
        assert_eq!(names, ["a \" b", "c", "mine", "t", "v"]);
        examine(&path, &SCHEMA).await.unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"CANARY"));
        assert_eq!(strip(&path, &SCHEMA).await.unwrap(), Vec::<String>::new());
    }
}
