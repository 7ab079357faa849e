//! What a table of somebody else's means in our words, and whether the table is what the mapping
//! says.
//!
//! Such a table holds one record a row, in partitions of one UTC day each, ordered by time within
//! one: the day (`date`) is the partition key, the time (`timestamp` or `timeuuid`) the first
//! clustering column. Further clustering columns may follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use scylla::client::session::Session;

use crate::error::{Backend, StoreError};
use atalaya_domain::record::Layer;

use super::super::retry::Resilience;
use super::read::pages;

/// A table and where its fields stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub keyspace: String,
    pub table: String,
    pub layer: Layer,
    /// What the records are called where no column says it.
    pub source: String,
    /// The partition key.
    pub day: String,
    /// How many days back the table is looked at; a read by day needs a first one.
    pub days: u16,
    pub columns: Columns,
}

/// Which column holds what; only the time and the message must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub timestamp: String,
    pub message: String,
    pub level: Option<String>,
    pub source: Option<String>,
    pub host: Option<String>,
    pub logger: Option<String>,
    pub request_id: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub duration_ms: Option<String>,
    pub traceback: Option<String>,
    /// Of type `map<text, text>`.
    pub metadata: Option<String>,
    /// Metadata name to column.
    pub extra: BTreeMap<String, String>,
}

impl Mapping {
    /// Days looked at when the configuration does not say it: the retention of our own tables.
    pub const DAYS: u16 = 90;

    /// The mapping of a table of the older layout, known by its name: `application_logs` and
    /// `infrastructure_logs` with the key `((log_date), timestamp)`.
    pub fn built_in(keyspace: &str, table: &str) -> Option<Self> {
        let named = |name: &str| Some(name.to_owned());
        let common = Columns {
            timestamp: "timestamp".to_owned(),
            message: "message".to_owned(),
            level: named("level"),
            metadata: named("metadata"),
            ..Columns::default()
        };
        let (layer, source, columns) = match table {
            "application_logs" => (
                Layer::Application,
                format!("app/{keyspace}"),
                Columns {
                    logger: named("logger"),
                    request_id: named("request_id"),
                    user_id: named("user_id"),
                    session_id: named("session_id"),
                    traceback: named("traceback"),
                    duration_ms: named("duration_ms"),
                    ..common
                },
            ),
            "infrastructure_logs" => (
                Layer::Infrastructure,
                keyspace.to_owned(),
                Columns {
                    source: named("source"),
                    ..common
                },
            ),
            _ => return None,
        };
        Some(Self {
            keyspace: keyspace.to_owned(),
            table: table.to_owned(),
            layer,
            source,
            day: "log_date".to_owned(),
            days: Self::DAYS,
            columns,
        })
    }

    /// `keyspace.table`, for messages and as part of identities.
    pub fn name(&self) -> String {
        format!("{}.{}", self.keyspace, self.table)
    }
}

/// How a table tells the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeKind {
    Timestamp,
    TimeUuid,
}

/// What the server says about the table, beyond the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) time: TimeKind,
    /// Clustering columns after the time: with them a row is known from another of its time.
    pub(super) rest: Vec<String>,
    /// The column of request ids can be asked for by itself.
    pub(super) request_indexed: bool,
    /// Columns that the mapping does not name; they become metadata.
    pub(super) others: Vec<String>,
}

struct Column {
    name: String,
    kind: String,
    position: i32,
    of_type: String,
}

/// Compares the mapping with the table; what does not fit is named.
pub(super) async fn shape(
    session: &Arc<Session>,
    resilience: &Resilience,
    mapping: &Mapping,
) -> Result<Shape, StoreError> {
    let key = (mapping.keyspace.clone(), mapping.table.clone());
    let mut columns = Vec::new();
    let statement = "SELECT column_name, kind, position, type FROM system_schema.columns
        WHERE keyspace_name = ? AND table_name = ?";
    let prepared = super::read::prepare(session, resilience, statement).await?;
    pages(
        session,
        resilience,
        &prepared,
        &key,
        |(name, kind, position, of_type): (_, _, _, _)| {
            columns.push(Column {
                name,
                kind,
                position,
                of_type,
            });
            Ok(true)
        },
    )
    .await?;
    let mut indexed = Vec::new();
    let statement = "SELECT index_name, options FROM system_schema.indexes
        WHERE keyspace_name = ? AND table_name = ?";
    let prepared = super::read::prepare(session, resilience, statement).await?;
    pages(
        session,
        resilience,
        &prepared,
        &key,
        |(_, options): (String, BTreeMap<String, String>)| {
            indexed.extend(options.get("target").cloned());
            Ok(true)
        },
    )
    .await?;
    check(mapping, &columns, &indexed)
}

fn check(mapping: &Mapping, columns: &[Column], indexed: &[String]) -> Result<Shape, StoreError> {
    judged(mapping, columns, indexed).map_err(|reason| StoreError::Refused {
        backend: Backend::Cassandra,
        source: format!(
            "{} cannot be read in place: {reason}; see `[[stores.cassandra.foreign]]`",
            mapping.name()
        )
        .into(),
    })
}

fn judged(mapping: &Mapping, columns: &[Column], indexed: &[String]) -> Result<Shape, String> {
    if columns.is_empty() {
        return Err("there is no such table".to_owned());
    }
    check_partition_key(mapping, &of_kind(columns, "partition_key"))?;
    let mut clustering = of_kind(columns, "clustering").into_iter();
    let time = time_of(mapping, clustering.next())?;
    for name in mapping.columns.all() {
        if !columns.iter().any(|column| column.name == name) {
            return Err(format!("it has no column {name}"));
        }
    }
    let request_indexed = mapping.columns.request_id.as_ref().is_some_and(|name| {
        indexed
            .iter()
            .any(|target| target == name || target.trim_matches('"') == name)
    });
    let rest: Vec<String> = clustering.map(|column| column.name.clone()).collect();
    let named = |name: &String| {
        *name == mapping.day
            || *name == mapping.columns.timestamp
            || mapping.columns.all().any(|known| known == name)
    };
    let mut others: Vec<String> = columns
        .iter()
        .map(|column| &column.name)
        .filter(|name| !named(name))
        .cloned()
        .collect();
    others.sort_unstable();
    Ok(Shape {
        time,
        rest,
        request_indexed,
        others,
    })
}

/// In the order of the key.
fn of_kind<'a>(columns: &'a [Column], kind: &str) -> Vec<&'a Column> {
    let mut found: Vec<&Column> = columns
        .iter()
        .filter(|column| column.kind == kind)
        .collect();
    found.sort_by_key(|column| column.position);
    found
}

fn check_partition_key(mapping: &Mapping, key: &[&Column]) -> Result<(), String> {
    match key {
        [day] if day.name == mapping.day && day.of_type == "date" => Ok(()),
        [day] if day.name == mapping.day => Err(format!(
            "its column {} is a {}, not a date",
            day.name, day.of_type
        )),
        key => {
            let key: Vec<&str> = key.iter().map(|column| &*column.name).collect();
            Err(format!(
                "its partition key is ({}), the mapping names {} alone",
                key.join(", "),
                mapping.day
            ))
        }
    }
}

fn time_of(mapping: &Mapping, first: Option<&Column>) -> Result<TimeKind, String> {
    let time = first.ok_or("its rows are not ordered by time")?;
    if time.name != mapping.columns.timestamp {
        return Err(format!(
            "its rows are ordered by {} first, the mapping's time is {}",
            time.name, mapping.columns.timestamp
        ));
    }
    match &*time.of_type {
        "timestamp" => Ok(TimeKind::Timestamp),
        "timeuuid" => Ok(TimeKind::TimeUuid),
        other => Err(format!(
            "its column {} is a {other}, not a timestamp or timeuuid",
            time.name
        )),
    }
}

impl Columns {
    fn all(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.level,
            &self.source,
            &self.host,
            &self.logger,
            &self.request_id,
            &self.user_id,
            &self.session_id,
            &self.duration_ms,
            &self.traceback,
            &self.metadata,
        ];
        std::iter::once(&*self.message)
            .chain(optional.into_iter().flatten().map(String::as_str))
            .chain(self.extra.values().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn column(name: &str, kind: &str, position: i32, of_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            position,
            of_type: of_type.to_owned(),
        }
    }

    fn older() -> Vec<Column> {
        let regular = ["source", "level", "message", "metadata"]
            .map(|name| column(name, "regular", -1, "text"));
        let key = [
            column("log_date", "partition_key", 0, "date"),
            column("timestamp", "clustering", 0, "timestamp"),
        ];
        key.into_iter().chain(regular).collect()
    }

    #[test]
    fn a_table_that_does_not_fit_is_told_why() {
        let mapping = Mapping::built_in("old", "infrastructure_logs").unwrap();
        let shape = check(&mapping, &older(), &[]).unwrap();
        assert_eq!(
            (shape.time, shape.rest.len(), shape.request_indexed),
            (TimeKind::Timestamp, 0, false)
        );
        assert_eq!(Mapping::built_in("old", "events"), None);

        let told = |change: fn(&mut Vec<Column>)| {
            let mut columns = older();
            change(&mut columns);
            let StoreError::Refused { source, .. } = check(&mapping, &columns, &[]).unwrap_err()
            else {
                panic!("refused")
            };
            source.to_string()
        };
        assert!(told(Vec::clear).contains("no such table"));
        assert!(
            told(|columns| columns[0].of_type = "text".to_owned()).contains("log_date is a text")
        );
        assert!(
            told(|columns| columns.push(column("shard", "partition_key", 1, "int")))
                .contains("(log_date, shard)")
        );
        assert!(told(|columns| columns[1].name = "at".to_owned()).contains("ordered by at first"));
        assert!(told(|columns| columns[1].of_type = "bigint".to_owned()).contains("is a bigint"));
        assert!(told(|columns| drop(columns.remove(4))).contains("no column message"));
    }
}
