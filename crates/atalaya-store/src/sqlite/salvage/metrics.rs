//! Metrics out of a damaged file. Each row stands there twice, in its table and in the index over all
//! of its columns (`mirror.rs`).
//!
//! | trees | rows that are taken |
//! |---|---|
//! | both whole | those that are equal in both |
//! | one whole | that one's |
//! | none | those that are equal in both, and those of one that contradict no other |
//!
//! Where the file's list of its own trees cannot be read, they are looked for where a new file has
//! them, and only what is equal in both is taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::Salvaged;
use super::cells::{Cell, Tree, Value};
use super::pages::Pages;
use crate::damage::{Damage, Progress};
use crate::error::StoreError;
use crate::sqlite::chunks::values::refused;
use crate::sqlite::closing;
use crate::sqlite::errors::store_error;
use crate::sqlite::mirror::PREFIX;
use crate::sqlite::open::trusted;
use crate::sqlite::place::{self, Locks};

/// Takes the rows of `damaged` into the new store in `fresh`, whose tables are there and empty.
///
/// # Errors
/// The new store cannot be written, or the damaged file not be opened at all.
pub async fn salvage(
    damaged: &Path,
    fresh: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Salvaged, StoreError> {
    let _busy = closing::busy()?;
    let address = fresh.display().to_string();
    let failed = |error| store_error(error, &address);
    let mut connection = place::options(fresh, Locks::All)
        // A row may name one that was lost.
        .foreign_keys(false)
        .connect()
        .await
        .map_err(failed)?;
    let tables = tables(&mut connection).await.map_err(failed)?;
    let (path, wanted) = (damaged.to_owned(), tables.clone());
    let found = tokio::task::spawn_blocking(move || {
        let pages = Pages::open(&path)?;
        let roots = Roots::read(&pages);
        let read = |table: &Table| roots.rows(&pages, table);
        Ok::<Vec<_>, std::io::Error>(wanted.iter().map(read).collect())
    });
    let found = found.await.map_err(refused)?.map_err(refused)?;
    let mut salvaged = Salvaged::default();
    let mut transaction = connection.begin().await.map_err(failed)?;
    let total: usize = found.iter().map(|rows| rows.taken.len()).sum();
    let mut done = 0_u64;
    for (table, rows) in tables.iter().zip(found) {
        progress(Progress {
            stage: "copying",
            done,
            total: total as u64,
        });
        let mut kept = 0_u64;
        done += rows.taken.len() as u64;
        for row in rows.taken {
            match insert(&mut transaction, table, &row).await {
                Ok(()) => kept += 1,
                // Not the row, but the disk below.
                Err(error) if error.as_database_error().is_none() => return Err(failed(error)),
                Err(error) => match store_error(error, &address) {
                    error @ StoreError::NotWritable { .. } => return Err(error),
                    error => {
                        let reason = error.to_string();
                        salvaged
                            .lost
                            .add(Damage::new(&table.name, table.name_of(&row), reason));
                    }
                },
            }
        }
        salvaged.kept.insert(table.name.clone(), kept);
        for damage in rows.lost {
            salvaged.lost.add(damage);
        }
        salvaged.notes.extend(rows.note);
    }
    transaction.commit().await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(salvaged)
}

#[derive(Clone, Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
    /// Where a new file has the table and its second copy.
    roots: [u32; 2],
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    in_key: bool,
    /// What a row holds that is older than the column.
    default: Value,
}

type Row = Vec<Value>;

async fn tables(connection: &mut SqliteConnection) -> Result<Vec<Table>, sqlx::Error> {
    let found: Vec<(String, u32, u32)> = sqlx::query_as(
        "SELECT t.name, t.rootpage, i.rootpage FROM sqlite_schema t
         JOIN sqlite_schema i ON i.type = 'index' AND i.name = ?1 || t.name
         WHERE t.type = 'table' ORDER BY t.rowid",
    )
    .bind(PREFIX)
    .fetch_all(&mut *connection)
    .await?;
    let mut tables = Vec::with_capacity(found.len());
    for (name, root, mirror) in found {
        let described: Vec<(String, String, i64, Option<String>)> =
            sqlx::query_as("SELECT name, type, pk, dflt_value FROM pragma_table_info(?1)")
                .bind(&name)
                .fetch_all(&mut *connection)
                .await?;
        let mut columns = Vec::with_capacity(described.len());
        for (name, kind, key, default) in described {
            columns.push(Column {
                default: value_of(connection, default).await?,
                name,
                kind,
                in_key: key > 0,
            });
        }
        tables.push(Table {
            name,
            columns,
            roots: [root, mirror],
        });
    }
    Ok(tables)
}

/// A default of our own schema as a value.
async fn value_of(
    connection: &mut SqliteConnection,
    default: Option<String>,
) -> Result<Value, sqlx::Error> {
    let Some(text) = default else {
        return Ok(Value::Null);
    };
    let (kind, integer, real, text): (String, i64, f64, String) = sqlx::query_as(trusted(format!(
        "SELECT typeof(v), CAST(v AS INTEGER), CAST(v AS REAL), CAST(v AS TEXT) FROM (SELECT {text} AS v)"
    )))
    .fetch_one(connection)
    .await?;
    Ok(match kind.as_str() {
        "integer" => Value::Integer(integer),
        "real" => Value::Real(real),
        "text" => Value::Text(text),
        _ => Value::Null,
    })
}

impl Table {
    /// The values by column; `None` when the entry cannot be of this table.
    fn row(&self, cell: Cell) -> Option<Row> {
        let is_table = cell.rowid.is_some();
        let mut values = cell.values.into_iter();
        let mut row = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let value = match (values.next(), cell.rowid) {
                // The row id itself.
                (Some(Value::Null), Some(rowid)) if column.is_rowid() => Value::Integer(rowid),
                (Some(value), _) => value,
                (None, Some(_)) => column.default.clone(),
                (None, None) => return None,
            };
            row.push(column.fit(value)?);
        }
        // Behind the columns an index has what finds the row.
        (!is_table || values.next().is_none()).then_some(row)
    }

    fn key(&self, row: &Row) -> Vec<u8> {
        let in_key = self
            .columns
            .iter()
            .zip(row)
            .filter(|(column, _)| column.in_key);
        bytes(in_key.map(|(_, value)| value))
    }

    /// A row in words, for messages.
    fn name_of(&self, row: &Row) -> String {
        let in_key = self
            .columns
            .iter()
            .zip(row)
            .filter(|(column, _)| column.in_key);
        let values = in_key.map(|(_, value)| match value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        });
        values.collect::<Vec<_>>().join(" ")
    }
}

impl Column {
    fn is_rowid(&self) -> bool {
        self.in_key && self.kind == "INTEGER"
    }

    fn fit(&self, value: Value) -> Option<Value> {
        match (self.kind.as_str(), value) {
            (_, Value::Null) => Some(Value::Null),
            ("INTEGER", value @ Value::Integer(_))
            | ("REAL", value @ Value::Real(_))
            | ("TEXT", value @ Value::Text(_))
            | ("BLOB", value @ Value::Blob(_)) => Some(value),
            // A whole number takes less room.
            ("REAL", Value::Integer(number)) => Some(Value::Real(number as f64)),
            _ => None,
        }
    }
}

/// A row as bytes that are equal when it is.
fn bytes<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |tag: u8, content: &[u8]| {
        out.push(tag);
        out.extend((content.len() as u64).to_be_bytes());
        out.extend(content);
    };
    for value in values {
        match value {
            Value::Null => put(0, &[]),
            Value::Integer(number) => put(1, &number.to_be_bytes()),
            Value::Real(number) => put(2, &number.to_bits().to_be_bytes()),
            Value::Text(text) => put(3, text.as_bytes()),
            Value::Blob(blob) => put(4, blob),
        }
    }
    out
}

/// The trees as the file itself names them.
struct Roots(HashMap<String, u32>);

struct Rows {
    taken: Vec<Row>,
    lost: Vec<Damage>,
    note: Option<String>,
}

impl Roots {
    fn read(pages: &Pages) -> Self {
        let mut roots = HashMap::new();
        for cell in Tree::read(pages, 1).cells {
            if let [_, Value::Text(name), _, Value::Integer(root), ..] = cell.values.as_slice()
                && let Ok(root) = u32::try_from(*root)
            {
                roots.insert(name.clone(), root);
            }
        }
        Self(roots)
    }

    fn rows(&self, pages: &Pages, table: &Table) -> Rows {
        let mirror = format!("{PREFIX}{}", table.name);
        let named = [self.0.get(&table.name), self.0.get(&mirror)];
        let sure = named.iter().all(Option::is_some);
        let [own, mirror] = [0, 1].map(|side| {
            let tree = Tree::read(pages, named[side].copied().unwrap_or(table.roots[side]));
            let mut broken = tree.broken;
            let mut rows: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
            for cell in tree.cells {
                // Each tree has its own kind of entries.
                match Some(cell)
                    .filter(|cell| cell.rowid.is_some() == (side == 0))
                    .and_then(|cell| table.row(cell))
                {
                    Some(row) => drop(rows.insert(bytes(row.iter()), row)),
                    None => broken = true,
                }
            }
            (rows, broken)
        });
        choose(table, own, mirror, sure)
    }
}

type Copy = (BTreeMap<Vec<u8>, Row>, bool);

fn choose(table: &Table, own: Copy, mirror: Copy, sure: bool) -> Rows {
    let ((mut own, own_broken), (mut mirror, mirror_broken)) = (own, mirror);
    let mut note = None;
    let mut lost = Vec::new();
    if sure && own_broken != mirror_broken {
        note = Some(format!(
            "one of the two copies of {} is damaged; the rows are those of the other",
            table.name
        ));
        let whole = if own_broken { mirror } else { own };
        return Rows {
            taken: whole.into_values().collect(),
            lost,
            note,
        };
    }
    let both: BTreeSet<Vec<u8>> = own
        .keys()
        .filter(|key| mirror.contains_key(*key))
        .cloned()
        .collect();
    let mut taken = Vec::with_capacity(both.len());
    for key in both {
        mirror.remove(&key);
        taken.extend(own.remove(&key));
    }
    let single: Vec<Row> = own.into_values().chain(mirror.into_values()).collect();
    if own_broken && mirror_broken {
        lost.push(Damage::new(
            &table.name,
            "",
            "both copies are damaged: rows may be missing",
        ));
    }
    let mut claims: HashMap<Vec<u8>, usize> = HashMap::new();
    for row in taken.iter().chain(&single) {
        *claims.entry(table.key(row)).or_default() += 1;
    }
    for row in single {
        let alone = claims.get(&table.key(&row)) == Some(&1);
        if sure && own_broken && mirror_broken && alone {
            taken.push(row);
        } else {
            lost.push(Damage::new(
                &table.name,
                table.name_of(&row),
                "its two copies differ",
            ));
        }
    }
    Rows { taken, lost, note }
}

async fn insert(
    connection: &mut SqliteConnection,
    table: &Table,
    row: &Row,
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let places = vec!["?"; names.len()].join(", ");
    let sql = format!(
        "INSERT INTO \"{}\" ({}) VALUES ({places})",
        table.name,
        names.join(", ")
    );
    let mut query = sqlx::query(trusted(sql));
    for value in row {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(*number),
            Value::Real(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.as_str()),
            Value::Blob(blob) => query.bind(blob.as_slice()),
        };
    }
    query.execute(connection).await.map(drop)
}
