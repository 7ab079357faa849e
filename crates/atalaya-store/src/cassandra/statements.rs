//! Every statement that the store sends, prepared once. All of them name their partition; none
//! filters, updates, deletes or asks for a condition (a test reads this file).

use scylla::client::session::Session;
use scylla::errors::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::{CellOverflowError, RowWriter};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;
use scylla::value::CqlDate;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::error::StoreError;
use atalaya_domain::record::Layer;

use super::CassandraOptions;
use super::codec::{self, Records};
use super::errors::store_error;

/// Most rows of one batch.
pub(super) const MOST_ROWS: usize = 16;

/// One value of a statement, of the type that its column has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Short(i16),
    /// A list of them.
    Shorts(&'a [i16]),
    Int(i32),
    Long(i64),
    Date(CqlDate),
    Uuid(Uuid),
    Text(&'a str),
    /// Encoded before.
    Bytes(&'a [u8]),
    Records(Records<'a>),
}

/// The values of a statement in the order of its markers.
#[derive(Debug)]
pub(super) struct Cells<'a>(pub(super) &'a [Cell<'a>]);

impl SerializeRow for Cells<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        row: &mut RowWriter,
    ) -> Result<(), SerializationError> {
        let too_long = |_: CellOverflowError| SerializationError::new(CellOverflowError);
        for cell in self.0 {
            let writer = row.make_cell_writer();
            match *cell {
                Cell::Short(number) => writer.set_value(&number.to_be_bytes()),
                Cell::Shorts(numbers) => writer.set_value(&codec::encode_shorts(numbers)),
                Cell::Int(number) => writer.set_value(&number.to_be_bytes()),
                Cell::Long(number) => writer.set_value(&number.to_be_bytes()),
                Cell::Date(date) => writer.set_value(&date.0.to_be_bytes()),
                Cell::Uuid(id) => writer.set_value(id.as_bytes()),
                Cell::Text(text) => writer.set_value(text.as_bytes()),
                Cell::Bytes(bytes) => writer.set_value(bytes),
                Cell::Records(records) => writer.set_value(&records.encode()),
            }
            .map_err(too_long)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One INSERT, alone and as unlogged batches of several rows of one partition, which a node applies
/// as one mutation. A batch is one prepared statement and not the protocol's message of many
/// (measured with 50 rows: 25 to 32 server CPU s per million rows, against 33).
#[derive(Debug)]
pub(super) struct Batched {
    insert: String,
    prepared: [OnceCell<PreparedStatement>; MOST_ROWS],
}

impl Batched {
    fn new(insert: String) -> Self {
        Self {
            insert,
            prepared: [const { OnceCell::const_new() }; MOST_ROWS],
        }
    }

    /// The statement for so many rows, 1 to [`MOST_ROWS`].
    pub(super) async fn rows(
        &self,
        count: usize,
        session: &Session,
        options: &CassandraOptions,
    ) -> Result<&PreparedStatement, StoreError> {
        let count = count.clamp(1, MOST_ROWS);
        self.prepared[count - 1]
            .get_or_try_init(|| async {
                if count == 1 {
                    return prepare(session, options, &self.insert).await;
                }
                let rows = format!("{};\n", self.insert).repeat(count);
                prepare(
                    session,
                    options,
                    &format!("BEGIN UNLOGGED BATCH\n{rows}APPLY BATCH"),
                )
                .await
            })
            .await
    }
}

/// The statements of one layer's tables.
#[derive(Debug)]
pub(super) struct LayerStatements {
    pub(super) insert_chunk: PreparedStatement,
    pub(super) insert_summaries: PreparedStatement,
    pub(super) summaries: PreparedStatement,
    pub(super) summaries_of_some: PreparedStatement,
    pub(super) chunk: PreparedStatement,
}

/// Prepares the statements of one keyspace, written `{ks}`.
struct Preparing<'a> {
    session: &'a Session,
    options: &'a CassandraOptions,
}

impl Preparing<'_> {
    async fn one(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        let text = text.replace("{ks}", &self.options.keyspace);
        prepare(self.session, self.options, &text).await
    }
}

impl LayerStatements {
    async fn prepare(preparing: &Preparing<'_>, layer: Layer) -> Result<Self, StoreError> {
        let one = async |text: &str| preparing.one(&text.replace("{layer}", layer.name())).await;
        Ok(Self {
            insert_chunk: one("INSERT INTO {ks}.{layer}_logs (log_date, bucket, shard, first_at, chunk_id, summary, logs) \
                         VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?").await?,
            insert_summaries: one("INSERT INTO {ks}.{layer}_summaries (log_date, bucket, shard, group_id, chunks) \
                         VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?").await?,
            summaries: one("SELECT chunks FROM {ks}.{layer}_summaries \
                         WHERE log_date = ? AND bucket = ? AND shard = ?").await?,
            summaries_of_some: one("SELECT chunks FROM {ks}.{layer}_summaries \
                         WHERE log_date = ? AND bucket IN ? AND shard = ?").await?,
            chunk: one("SELECT summary, logs FROM {ks}.{layer}_logs \
                         WHERE log_date = ? AND bucket = ? AND shard = ? AND first_at = ? AND chunk_id = ?").await?,
        })
    }
}

/// Which days and buckets there are.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) insert_day: PreparedStatement,
    pub(super) insert_bucket: PreparedStatement,
    pub(super) days_newest: PreparedStatement,
    pub(super) days_oldest: PreparedStatement,
    pub(super) buckets: PreparedStatement,
}

impl Directory {
    async fn prepare(preparing: &Preparing<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            insert_day: preparing.one(
                "INSERT INTO {ks}.log_days (layer, log_date) VALUES (?, ?) USING TIMESTAMP ? AND TTL ?",
            )
            .await?,
            insert_bucket: preparing.one("INSERT INTO {ks}.log_buckets (layer, log_date, bucket) VALUES (?, ?, ?) \
                 USING TIMESTAMP ? AND TTL ?")
            .await?,
            days_newest: preparing.one(
                "SELECT log_date FROM {ks}.log_days WHERE layer = ? AND log_date >= ? AND log_date <= ? \
                 ORDER BY log_date DESC",
            )
            .await?,
            days_oldest: preparing.one(
                "SELECT log_date FROM {ks}.log_days WHERE layer = ? AND log_date >= ? AND log_date <= ? \
                 ORDER BY log_date ASC",
            )
            .await?,
            buckets: preparing.one("SELECT bucket FROM {ks}.log_buckets WHERE layer = ? AND log_date = ?").await?,
        })
    }
}

/// The change feed.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) insert_writer: PreparedStatement,
    pub(super) writers: PreparedStatement,
    pub(super) insert_arrival: PreparedStatement,
    pub(super) arrivals: PreparedStatement,
    pub(super) last_arrivals: PreparedStatement,
}

impl Feed {
    async fn prepare(preparing: &Preparing<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            insert_writer: preparing.one(
                "INSERT INTO {ks}.writers (store, writer, seq, first_seq, host) VALUES ('logs', ?, ?, ?, ?) \
                 USING TIMESTAMP ?",
            )
            .await?,
            writers: preparing.one("SELECT writer, seq, first_seq FROM {ks}.writers WHERE store = 'logs'").await?,
            insert_arrival: preparing.one("INSERT INTO {ks}.arrivals (writer, part, seq, chunks) VALUES (?, ?, ?, ?)")
                .await?,
            arrivals: preparing.one(
                "SELECT seq, chunks FROM {ks}.arrivals WHERE writer = ? AND part = ? AND seq >= ? LIMIT ?",
            )
            .await?,
            last_arrivals: preparing.one("SELECT seq, chunks FROM {ks}.arrivals WHERE writer = ? AND part = ? \
                 ORDER BY seq DESC LIMIT ?")
            .await?,
        })
    }
}

/// How far each origin is stored.
#[derive(Debug)]
pub(super) struct Watermarks {
    pub(super) insert: PreparedStatement,
    pub(super) of_origin: PreparedStatement,
    pub(super) first_page: PreparedStatement,
    pub(super) next_page: PreparedStatement,
}

impl Watermarks {
    async fn prepare(preparing: &Preparing<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            insert: preparing.one(
                "INSERT INTO {ks}.watermarks (origin, stored_to) VALUES (?, ?) USING TIMESTAMP ? AND TTL ?",
            )
            .await?,
            of_origin: preparing.one("SELECT stored_to FROM {ks}.watermarks WHERE origin = ?").await?,
            first_page: preparing.one("SELECT origin, stored_to FROM {ks}.watermarks LIMIT ?").await?,
            next_page: preparing.one(
                "SELECT origin, stored_to FROM {ks}.watermarks WHERE token(origin) > token(?) LIMIT ?",
            )
            .await?,
        })
    }
}

#[derive(Debug)]
pub(super) struct Statements {
    application: LayerStatements,
    infrastructure: LayerStatements,
    pub(super) days: Directory,
    pub(super) insert_request: Batched,
    pub(super) request: PreparedStatement,
    pub(super) feed: Feed,
    pub(super) watermarks: Watermarks,
}

impl Statements {
    pub(super) async fn prepare(
        session: &Session,
        options: &CassandraOptions,
    ) -> Result<Self, StoreError> {
        let preparing = Preparing { session, options };
        Ok(Self {
            application: LayerStatements::prepare(&preparing, Layer::Application).await?,
            infrastructure: LayerStatements::prepare(&preparing, Layer::Infrastructure).await?,
            days: Directory::prepare(&preparing).await?,
            insert_request: Batched::new(
                "INSERT INTO {ks}.request_index (period, shard, request_id, group_id, chunks) \
                 VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
                    .replace("{ks}", &options.keyspace),
            ),
            request: preparing.one(
                "SELECT chunks FROM {ks}.request_index WHERE period = ? AND shard = ? AND request_id = ?",
            )
            .await?,
            feed: Feed::prepare(&preparing).await?,
            watermarks: Watermarks::prepare(&preparing).await?,
        })
    }

    pub(super) fn of(&self, layer: Layer) -> &LayerStatements {
        match layer {
            Layer::Application => &self.application,
            Layer::Infrastructure => &self.infrastructure,
        }
    }
}

async fn prepare(
    session: &Session,
    options: &CassandraOptions,
    text: &str,
) -> Result<PreparedStatement, StoreError> {
    let prepared = session.prepare(Statement::new(text)).await;
    let mut prepared =
        prepared.map_err(|error| store_error(error, &options.address(), "statement"))?;
    prepared.set_is_idempotent(true);
    // Each answer would repeat what the types look like: for one chunk more bytes than its summary.
    prepared.set_use_cached_result_metadata(true);
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    /// What is sent must be safe to repeat, must touch one partition, and must leave no tombstone.
    ///
    /// R16: repeating a write.
    #[test]
    fn the_log_path_has_no_statement_that_it_must_not_have() {
        let source = include_str!("statements.rs");
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        for forbidden in [
            "ALLOW FILTERING",
            "IF NOT",
            " IF ",
            "UPDATE ",
            "DELETE ",
            "TRUNCATE",
            "COUNTER",
            "null",
            "NULL",
        ] {
            let found: Vec<_> = code
                .iter()
                .filter(|line| line.contains(forbidden))
                .collect();
            assert!(found.is_empty(), "{forbidden}: {found:?}");
        }
        let code = code.join(" ");
        let selects = code
            .split("\"SELECT ")
            .skip(1)
            .map(|rest| rest.split("\",").next().unwrap_or(rest));
        let selects: Vec<&str> = selects.collect();
        assert!(selects.len() > 8, "the texts are found");
        for select in selects {
            assert!(
                select.contains(" WHERE ") || select.contains(" LIMIT ?"),
                "{select}"
            );
        }
        // Every write of records says when and for how long; arrivals live by their table's rule.
        for insert in code
            .split("\"INSERT INTO ")
            .skip(1)
            .map(|rest| rest.split("\",").next().unwrap_or(rest))
        {
            let of_the_tail = insert.contains(".arrivals") || insert.contains(".writers");
            assert!(
                of_the_tail || insert.contains("USING TIMESTAMP ? AND TTL ?"),
                "{insert}"
            );
        }
    }
}
