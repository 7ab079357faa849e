//! The rows of a metrics file as plain values, table by table: what a copy into another database,
//! and a comparison with it, are made of.
//!
//! The file's own schema says which tables and columns there are, so that a table that is added by a
//! migration is a part of every backup.

use std::path::Path;

use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use sqlx::{Connection as _, Row as _};

use super::errors::store_error;
use super::examine::read_only;
use super::open::trusted;
use crate::error::StoreError;
use crate::metrics::sql::connection::Value;
use atalaya_domain::backup::TableSum;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Real,
    Text,
}

/// A table and its columns that are written (none that is computed).
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub table: String,
    pub columns: Vec<(String, Kind)>,
}

/// A value, of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Cell {
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Integer(None),
            Self::Integer(number) => Value::Integer(Some(*number)),
            Self::Real(number) => Value::Real(*number),
            Self::Text(text) => Value::Text(Some(text)),
        }
    }
}

/// A metrics file that is only read.
pub(crate) struct MetricsFile {
    address: String,
    connection: SqliteConnection,
}

impl MetricsFile {
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let address = path.display().to_string();
        let options: SqliteConnectOptions = read_only(path);
        let connection = options
            .connect()
            .await
            .map_err(|error| store_error(error, &address))?;
        Ok(Self {
            address,
            connection,
        })
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        store_error(error, &self.address)
    }

    /// By name.
    pub async fn shapes(&mut self) -> Result<Vec<Shape>, StoreError> {
        let rows: Result<Vec<(String, String, String)>, _> = sqlx::query_as(
            "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_xinfo(t.name) c
             WHERE t.type = 'table' AND t.name NOT GLOB 'sqlite_*' AND c.hidden = 0
             ORDER BY t.name, c.cid",
        )
        .fetch_all(&mut self.connection)
        .await;
        let mut shapes: Vec<Shape> = Vec::new();
        for (table, column, kind) in rows.map_err(|error| self.failed(error))? {
            let kind = match kind.as_str() {
                "INTEGER" => Kind::Integer,
                "REAL" => Kind::Real,
                "TEXT" => Kind::Text,
                _ => {
                    return Err(StoreError::Corrupt {
                        table: "the file",
                        detail: format!("{table}.{column} is of type {kind}"),
                    });
                }
            };
            match shapes.last_mut() {
                Some(shape) if shape.table == table => shape.columns.push((column, kind)),
                _ => shapes.push(Shape {
                    table,
                    columns: vec![(column, kind)],
                }),
            }
        }
        Ok(shapes)
    }

    /// All rows of a table, in no order that means anything.
    pub fn pages<'c>(&'c mut self, shape: &'c Shape, count: usize) -> Pages<'c> {
        let columns: Vec<String> = shape.columns.iter().map(|(name, _)| quoted(name)).collect();
        let sql = format!(
            "SELECT {} FROM {}",
            columns.join(", "),
            quoted(&shape.table)
        );
        Pages {
            address: &self.address,
            rows: sqlx::query(trusted(sql)).fetch(&mut self.connection),
            shape,
            count,
        }
    }

    pub async fn close(self) {
        self.connection.close().await.ok();
    }
}

/// Rows of a table, some at a time.
pub(crate) struct Pages<'c> {
    address: &'c str,
    rows: BoxStream<'c, Result<SqliteRow, sqlx::Error>>,
    shape: &'c Shape,
    count: usize,
}

impl Pages<'_> {
    /// The next ones, at most `count`; none at the end.
    pub async fn next(&mut self) -> Result<Vec<Vec<Cell>>, StoreError> {
        let failed = |error| store_error(error, self.address);
        let mut page = Vec::with_capacity(self.count);
        while page.len() < self.count {
            let Some(row) = self.rows.try_next().await.map_err(failed)? else {
                break;
            };
            page.push(cells(&row, self.shape).map_err(failed)?);
        }
        Ok(page)
    }
}

fn cells(row: &SqliteRow, shape: &Shape) -> Result<Vec<Cell>, sqlx::Error> {
    shape
        .columns
        .iter()
        .enumerate()
        .map(|(at, (_, kind))| {
            Ok(match kind {
                Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
                Kind::Real => row.try_get::<Option<f64>, _>(at)?.map(Cell::Real),
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Cell::Text),
            }
            .unwrap_or(Cell::Null))
        })
        .collect()
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Rows and sum of every table.
pub async fn table_sums(path: &Path) -> Result<Vec<TableSum>, StoreError> {
    let mut file = MetricsFile::open(path).await?;
    let mut sums = Vec::new();
    for shape in file.shapes().await? {
        let (mut rows, mut sum) = (0, 0_u128);
        let mut pages = file.pages(&shape, 500);
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                rows += 1;
                sum = sum.wrapping_add(hash_of(row));
            }
        }
        drop(pages);
        sums.push(TableSum {
            table: shape.table,
            rows,
            sum: format!("{sum:032x}"),
        });
    }
    file.close().await;
    Ok(sums)
}

fn hash_of(row: &[Cell]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for cell in row {
        match cell {
            Cell::Null => hasher.update(&[0]),
            Cell::Integer(number) => hasher.update(&[1]).update(&number.to_le_bytes()),
            Cell::Real(number) => hasher.update(&[2]).update(&number.to_bits().to_le_bytes()),
            Cell::Text(text) => hasher
                .update(&[3])
                .update(&(text.len() as u64).to_le_bytes())
                .update(text.as_bytes()),
        };
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(bytes)
}
