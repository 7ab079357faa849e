//! All tables of the database as a file of the embedded kind, and such a file into the database.
//!
//! A backup is one `REPEATABLE READ` snapshot over all tables, on a connection of its own. A
//! statement that changes a table would end it or, in some servers, give an empty table: so the
//! schema is read before and after, and what was read in between counts only when both are alike.

use std::path::Path;

use futures::TryStreamExt as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::MySqlMetricsStore;
use super::errors::number;
use super::options::Purpose;
use crate::error::{Backend, StoreError};
use crate::metrics::sql::connection::{Connection, Failure, within};
use crate::sqlite::metrics::SqliteMetricsStore;
use crate::sqlite::place::{self, Locks};
use crate::sqlite::rows::{Cell, Kind, MetricsFile, Shape, quoted};

/// Rows written at once.
const BATCH: usize = 500;
/// How often a snapshot is begun before it is given up.
const ATTEMPTS: u32 = 3;

/// Whether a database that holds something may lose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    Refuse,
    Replace,
}

impl MySqlMetricsStore {
    /// See [`Snapshots::snapshot`](crate::metrics::snapshot::Snapshots::snapshot).
    pub(super) async fn read_snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        for _ in 0..ATTEMPTS {
            match self.snapshot_once(into).await? {
                Some(foreign) => return Ok(foreign),
                None => tokio::fs::remove_file(into).await.ok(),
            };
        }
        Err(StoreError::Conflict {
            backend: Backend::MySql,
            reason: "its tables were changed each time while they were read; try again when nobody migrates it".to_owned(),
        })
    }

    /// `None`: the schema changed meanwhile.
    async fn snapshot_once(&self, into: &Path) -> Result<Option<Vec<String>>, StoreError> {
        // An empty store of this program's version.
        SqliteMetricsStore::open(into).await?.close().await;
        let mut file = MetricsFile::open(into).await?;
        let shapes = file.shapes().await?;
        file.close().await;
        let mut target = place::options(into, Locks::All)
            // The order of tables is that of their names; all is there at the end.
            .foreign_keys(false)
            .pragma("synchronous", "off")
            .connect()
            .await
            .map_err(|error| {
                crate::sqlite::errors::store_error(error, &into.display().to_string())
            })?;
        let mut source = self.options.connect_once(Purpose::Read).await?;
        let limit = self.options.statement_timeout;
        let outcome = async {
            let before = columns(&mut source).await?;
            for shape in &shapes {
                self.check_columns(shape, &before)?;
            }
            let begin = sqlx::raw_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
            within(limit, begin.execute(&mut source)).await?;
            let mut inside = target.begin().await?;
            for shape in &shapes {
                let is_json = |column: &str| {
                    before.iter().any(|known| {
                        (known.0.as_str(), known.1.as_str(), known.2.as_str())
                            == (&shape.table, column, "json")
                    })
                };
                self.copy_table(&mut source, shape, &is_json, &mut inside)
                    .await?;
            }
            inside.commit().await?;
            within(limit, sqlx::raw_sql("ROLLBACK").execute(&mut source)).await?;
            let after = columns(&mut source).await?;
            Ok((before == after).then(|| foreign(&before, &shapes)))
        };
        let outcome: Result<_, Failure> = outcome.await;
        source.close().await.ok();
        // One file, and nothing beside it.
        let folded = sqlx::raw_sql("PRAGMA journal_mode = DELETE")
            .execute(&mut target)
            .await;
        target.close().await.ok();
        match outcome {
            // The definition of a table changed inside of the snapshot.
            Err(Failure::Driver(error)) if number(&error) == Some(1412) => Ok(None),
            Err(failure) => Err(self.failed(failure)),
            Ok(done) => folded
                .map(|_| done)
                .map_err(|error| self.failed(error.into())),
        }
    }

    fn check_columns(&self, shape: &Shape, known: &[Column]) -> Result<(), StoreError> {
        for (column, _) in &shape.columns {
            let name = here(&shape.table, column);
            if !known
                .iter()
                .any(|known| known.0 == shape.table && known.1 == name)
            {
                return Err(StoreError::MissingSchema {
                    backend: Backend::MySql,
                    address: self.options.address(),
                    detail: format!("{}.{name} is not there", shape.table),
                });
            }
        }
        Ok(())
    }

    async fn copy_table(
        &self,
        source: &mut MySqlConnection,
        shape: &Shape,
        is_json: &(dyn Fn(&str) -> bool + Sync),
        target: &mut SqliteConnection,
    ) -> Result<(), Failure> {
        let limit = self.options.statement_timeout;
        let read: Vec<String> = shape
            .columns
            .iter()
            .map(|(column, kind)| {
                let name = here(&shape.table, column);
                // One type for each kind, whatever the column's own is; exact for all of them.
                match kind {
                    Kind::Integer => format!("CAST(`{name}` AS SIGNED)"),
                    Kind::Real => format!("`{name}` + 0E0"),
                    Kind::Text => format!("CAST(`{name}` AS CHAR)"),
                }
            })
            .collect();
        let columns: Vec<String> = shape.columns.iter().map(|(name, _)| quoted(name)).collect();
        let head = format!(
            "INSERT INTO {} ({})",
            quoted(&shape.table),
            columns.join(", ")
        );
        let sql = AssertSqlSafe(format!("SELECT {} FROM `{}`", read.join(", "), shape.table));
        let mut rows = sqlx::query(sql).fetch(source);
        let mut target = Connection::Sqlite(target);
        let mut page: Vec<Vec<Cell>> = Vec::with_capacity(BATCH);
        while let Some(row) = within(limit, rows.try_next()).await? {
            page.push(cells(&row, shape, is_json)?);
            if page.len() == BATCH {
                insert(&mut target, &head, &page).await?;
                page.clear();
            }
        }
        insert(&mut target, &head, &page).await
    }

    /// Writes every row of a metrics file of this program's version, in one transaction: all of it
    /// is there afterwards, or the database is as it was.
    pub async fn load(&self, from: &Path, overwrite: Overwrite) -> Result<(), StoreError> {
        let (store, from) = (self.clone(), from.to_owned());
        // In a task of its own, as everything that talks to the server.
        let loading = tokio::spawn(async move {
            let mut file = MetricsFile::open(&from).await?;
            let shapes = file.shapes().await?;
            let mut connection = store.options.connect_once(Purpose::Write).await?;
            let outcome = store
                .load_into(&mut connection, &mut file, &shapes, overwrite)
                .await;
            // An open transaction goes with the connection.
            connection.close().await.ok();
            file.close().await;
            outcome.map_err(|failure| store.failed(failure))
        });
        super::finished(loading.await)
    }

    async fn load_into(
        &self,
        connection: &mut MySqlConnection,
        file: &mut MetricsFile,
        shapes: &[Shape],
        overwrite: Overwrite,
    ) -> Result<(), Failure> {
        let limit = self.options.statement_timeout;
        // The file has no orphans, and the order of tables is that of their names.
        let prepare = sqlx::raw_sql("SET SESSION foreign_key_checks = 0; START TRANSACTION");
        within(limit, prepare.execute(&mut *connection)).await?;
        for shape in shapes {
            let any = AssertSqlSafe(format!("SELECT 1 FROM `{}` LIMIT 1", shape.table));
            let any: Option<(i64,)> =
                within(limit, sqlx::query_as(any).fetch_optional(&mut *connection)).await?;
            if any.is_none() {
                continue;
            }
            if overwrite == Overwrite::Refuse {
                return Err(StoreError::Conflict {
                    backend: Backend::MySql,
                    reason: format!("{} holds rows in {}", self.options.address(), shape.table),
                }
                .into());
            }
            let delete = AssertSqlSafe(format!("DELETE FROM `{}`", shape.table));
            sqlx::query(delete).execute(&mut *connection).await?;
        }
        for shape in shapes {
            let columns: Vec<String> = shape
                .columns
                .iter()
                .map(|(column, _)| format!("`{}`", here(&shape.table, column)))
                .collect();
            let head = format!("INSERT INTO `{}` ({})", shape.table, columns.join(", "));
            let mut written = 0_u64;
            let mut target = Connection::MySql {
                connection: &mut *connection,
                limit,
            };
            let mut pages = file.pages(shape, BATCH);
            loop {
                let page = pages.next().await?;
                if page.is_empty() {
                    break;
                }
                written += page.len() as u64;
                insert(&mut target, &head, &page).await?;
            }
            drop(pages);
            let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM `{}`", shape.table));
            let (count,): (i64,) = sqlx::query_as(count).fetch_one(&mut *connection).await?;
            if u64::try_from(count).ok() != Some(written) {
                return Err(StoreError::Conflict {
                    backend: Backend::MySql,
                    reason: format!("somebody else writes into {} meanwhile", shape.table),
                }
                .into());
            }
        }
        within(limit, sqlx::raw_sql("COMMIT").execute(&mut *connection)).await?;
        Ok(())
    }
}

async fn insert(
    target: &mut Connection<'_>,
    head: &str,
    page: &[Vec<Cell>],
) -> Result<(), Failure> {
    let rows: Vec<Vec<_>> = page
        .iter()
        .map(|row| row.iter().map(Cell::as_value).collect())
        .collect();
    target.insert_into(head, &rows).await
}

/// The column's name on a server: see the header of `migrations/mysql/0001_delivery.sql`.
fn here<'a>(table: &str, column: &'a str) -> &'a str {
    match (table, column) {
        ("dora_metrics", "created_at") => "created_us",
        _ => column,
    }
}

fn cells(
    row: &MySqlRow,
    shape: &Shape,
    is_json: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Cell>, sqlx::Error> {
    shape
        .columns
        .iter()
        .enumerate()
        .map(|(at, (column, kind))| {
            let cell = match kind {
                Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
                Kind::Real => row.try_get::<Option<f64>, _>(at)?.map(Cell::Real),
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Cell::Text),
            };
            Ok(match cell {
                // MySQL has an order and spaces of its own; equal values are to be equal text.
                Some(Cell::Text(text)) if is_json(column) => {
                    let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
                    Cell::Text(value.map_or(text, |value| value.to_string()))
                }
                Some(cell) => cell,
                None => Cell::Null,
            })
        })
        .collect()
}

/// Table, column, type.
type Column = (String, String, String);

async fn columns(connection: &mut MySqlConnection) -> Result<Vec<Column>, sqlx::Error> {
    // As text: a server may say that these are binary.
    sqlx::query_as(
        "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(column_type AS CHAR)
         FROM information_schema.columns WHERE table_schema = DATABASE()
         ORDER BY table_name, ordinal_position",
    )
    .fetch_all(connection)
    .await
}

/// Tables of others in the same database.
fn foreign(columns: &[Column], shapes: &[Shape]) -> Vec<String> {
    let mut names: Vec<String> = columns
        .iter()
        .map(|column| column.0.clone())
        .filter(|table| {
            table != "schema_migrations" && !shapes.iter().any(|shape| shape.table == *table)
        })
        .collect();
    names.dedup();
    names
}
