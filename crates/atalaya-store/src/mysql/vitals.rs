//! What the server says of itself and of our tables, for the health view.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::StoreError;
use crate::metrics::sql::{Connection, Failure, SqlDatabase as _, View, within};
use crate::sync::lock;
use atalaya_domain::health::database::{Database, Innodb, TableSize};

use super::MySqlMetricsStore;

/// How long a count of orphans stands: it looks at every row that names another.
const ORPHANS_STAY: Duration = Duration::from_secs(300);

const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Questions', 'Slow_queries', \
    'Threads_connected', 'Threads_running', 'Select_full_join', 'Innodb_buffer_pool_reads', \
    'Innodb_buffer_pool_read_requests', 'Innodb_buffer_pool_pages_dirty', \
    'Innodb_buffer_pool_pages_total', 'Innodb_row_lock_waits', 'Innodb_row_lock_time_avg', \
    'Innodb_deadlocks', 'Innodb_history_list_length', 'Innodb_log_waits')";
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('long_query_time', \
    'max_connections', 'innodb_buffer_pool_size', 'performance_schema')";
const TABLES: &str = "SELECT table_name AS name, CAST(table_rows AS SIGNED) AS size_rows, \
    CAST(data_length + index_length AS SIGNED) AS size_bytes FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'";
/// One row for each column of each foreign key.
const REFERENCES: &str = "SELECT constraint_name AS name, table_name AS child, column_name AS child_column, \
    referenced_table_name AS parent, referenced_column_name AS parent_column \
    FROM information_schema.key_column_usage \
    WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL \
    ORDER BY table_name, constraint_name, ordinal_position";
const UNUSED: &str = "SELECT object_name AS child, index_name AS name \
    FROM performance_schema.table_io_waits_summary_by_index_usage \
    WHERE object_schema = DATABASE() AND index_name IS NOT NULL AND index_name <> 'PRIMARY' \
    AND count_star = 0 ORDER BY object_name, index_name LIMIT 100";

/// The last count and its time; shared by the clones of a store.
pub(super) type OrphanCount = Arc<Mutex<Option<(Instant, u64)>>>;

impl MySqlMetricsStore {
    pub(super) async fn read_vitals(&self) -> Result<Database, StoreError> {
        let known = *lock(&self.orphans);
        let known = known
            .filter(|(at, _)| at.elapsed() < ORPHANS_STAY)
            .map(|(_, orphans)| orphans);
        let database: Database = self
            .read(View::Latest, known, |connection, known| {
                Box::pin(async move {
                    match connection {
                        Connection::MySql { connection, limit } => {
                            read(connection, *limit, *known).await
                        }
                        Connection::Sqlite(_) => Ok(Database::default()),
                    }
                })
            })
            .await?;
        if let (None, Some(orphans)) = (known, database.orphans) {
            let count = Some((Instant::now(), orphans));
            *lock(&self.orphans) = count;
        }
        Ok(database)
    }
}

async fn read(
    connection: &mut MySqlConnection,
    limit: Duration,
    orphans: Option<u64>,
) -> Result<Database, Failure> {
    let version: String = within(
        limit,
        sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *connection),
    )
    .await?;
    let status = named(connection, limit, STATUS).await?;
    let variables = named(connection, limit, VARIABLES).await?;
    let mut tables = Vec::new();
    for row in within(limit, sqlx::query(TABLES).fetch_all(&mut *connection)).await? {
        tables.push(TableSize {
            table: text(&row, "name")?,
            rows: count(&row, "size_rows")?.unwrap_or(0),
            bytes: count(&row, "size_bytes")?,
        });
    }
    tables.sort_by(|left, right| {
        right
            .bytes
            .cmp(&left.bytes)
            .then_with(|| left.table.cmp(&right.table))
    });
    let orphans = match orphans {
        Some(known) => known,
        None => count_orphans(connection, limit).await?,
    };
    let on = variables
        .get("performance_schema")
        .is_some_and(|value| value == "ON" || value == "1");
    let unused_indexes = if on {
        unused(connection, limit).await
    } else {
        None
    };
    let number = |name: &str| status.get(name).and_then(|value| value.parse::<u64>().ok());
    Ok(Database {
        version: Some(version),
        uptime_seconds: number("uptime"),
        disk_bytes: Some(tables.iter().filter_map(|table| table.bytes).sum()),
        tables,
        slow_queries: number("slow_queries"),
        long_query_seconds: variables
            .get("long_query_time")
            .and_then(|value| value.parse().ok()),
        statements: number("questions"),
        threads_connected: number("threads_connected"),
        threads_running: number("threads_running"),
        threads_limit: variables
            .get("max_connections")
            .and_then(|value| value.parse().ok()),
        joins_without_index: number("select_full_join"),
        unused_indexes,
        orphans: Some(orphans),
        innodb: Some(innodb(number, variables.get("innodb_buffer_pool_size"))),
    })
}

fn innodb(number: impl Fn(&str) -> Option<u64>, buffer: Option<&String>) -> Innodb {
    let ratio = |part: Option<u64>, whole: Option<u64>| {
        let (part, whole) = (part?, whole.filter(|whole| *whole > 0)?);
        Some(part as f64 / whole as f64)
    };
    let misses = ratio(
        number("innodb_buffer_pool_reads"),
        number("innodb_buffer_pool_read_requests"),
    );
    Innodb {
        buffer_hit_ratio: misses.map(|misses| (1.0 - misses).max(0.0)),
        buffer_bytes: buffer.and_then(|value| value.parse().ok()),
        dirty_ratio: ratio(
            number("innodb_buffer_pool_pages_dirty"),
            number("innodb_buffer_pool_pages_total"),
        ),
        row_lock_waits: number("innodb_row_lock_waits"),
        row_lock_mean_ms: number("innodb_row_lock_time_avg").map(|mean| mean as f64),
        deadlocks: number("innodb_deadlocks"),
        history_length: number("innodb_history_list_length"),
        log_waits: number("innodb_log_waits"),
    }
}

/// Name and value of each row; the names in lower case, since servers differ in that.
async fn named(
    connection: &mut MySqlConnection,
    limit: Duration,
    sql: &'static str,
) -> Result<BTreeMap<String, String>, Failure> {
    let rows = within(
        limit,
        sqlx::query_as::<_, (String, String)>(sql).fetch_all(connection),
    )
    .await?;
    Ok(rows
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect())
}

/// Rows whose foreign key names a row that is not there: possible only where the checks were off.
async fn count_orphans(connection: &mut MySqlConnection, limit: Duration) -> Result<u64, Failure> {
    let rows = within(limit, sqlx::query(REFERENCES).fetch_all(&mut *connection)).await?;
    let mut keys: BTreeMap<(String, String, String), Vec<(String, String)>> = BTreeMap::new();
    for row in &rows {
        let key = (
            text(row, "child")?,
            text(row, "parent")?,
            text(row, "name")?,
        );
        keys.entry(key)
            .or_default()
            .push((text(row, "child_column")?, text(row, "parent_column")?));
    }
    let mut orphans = 0;
    for ((child, parent, _), columns) in keys {
        let both = columns
            .iter()
            .map(|(from, to)| format!("c.{} = p.{}", quoted(from), quoted(to)));
        let named = columns
            .iter()
            .map(|(from, _)| format!("c.{} IS NOT NULL", quoted(from)));
        let Some((_, to)) = columns.first() else {
            continue;
        };
        let sql = format!(
            "SELECT COUNT(*) FROM {} c LEFT JOIN {} p ON {} WHERE {} AND p.{} IS NULL",
            quoted(&child),
            quoted(&parent),
            both.collect::<Vec<_>>().join(" AND "),
            named.collect::<Vec<_>>().join(" AND "),
            quoted(to)
        );
        let count: i64 = within(
            limit,
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection),
        )
        .await?;
        orphans += u64::try_from(count).unwrap_or(0);
    }
    Ok(orphans)
}

/// `None` when we may not look.
async fn unused(connection: &mut MySqlConnection, limit: Duration) -> Option<Vec<String>> {
    let rows = within(limit, sqlx::query(UNUSED).fetch_all(connection))
        .await
        .ok()?;
    rows.iter()
        .map(|row| {
            Some(format!(
                "{}.{}",
                text(row, "child").ok()?,
                text(row, "name").ok()?
            ))
        })
        .collect()
}

/// MySQL 8 gives some names of its catalogue as bytes.
fn text(row: &sqlx::mysql::MySqlRow, name: &str) -> Result<String, sqlx::Error> {
    row.try_get::<String, _>(name).or_else(|_| {
        row.try_get::<Vec<u8>, _>(name)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn count(row: &sqlx::mysql::MySqlRow, name: &str) -> Result<Option<u64>, sqlx::Error> {
    Ok(row
        .try_get::<Option<i64>, _>(name)?
        .and_then(|value| u64::try_from(value).ok()))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
