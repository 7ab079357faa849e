//! The older schema, one record a row and a day a partition, asked as its own readers ask: by day
//! and time, and with ALLOW FILTERING for everything else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::domain::record::{Entry, Layer, RequestId, Text};
use atalaya::domain::time::TimeRange;
use atalaya::store::cassandra::{CassandraOptions, connect};
use scylla::client::caching_session::CachingSession;
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::PagingState;
use scylla::serialize::row::SerializeRow;
use scylla::value::{CqlDecimal, CqlTimestamp, CqlValue, Row};

use super::data::{DAY, Data};
use super::questions::{Ask, BY_USER, ERRORS_ONLY, FILTERED, Found, Newest};
use crate::cassandra::plain::{cql_date, insert_all};

pub const KEYSPACE: &str = "older";
/// Longer than the server's own limits: those are what is met.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);
const TABLES: [&str; 2] = [
    "CREATE TABLE older.application_logs (log_date date, timestamp timestamp, level text, logger text,
     message text, request_id text, user_id int, session_id text, metadata map<text, text>,
     traceback text, duration_ms decimal, PRIMARY KEY ((log_date), timestamp))
     WITH CLUSTERING ORDER BY (timestamp DESC) AND default_time_to_live = 7776000",
    "CREATE TABLE older.infrastructure_logs (log_date date, timestamp timestamp, source text, level text,
     message text, metadata map<text, text>, PRIMARY KEY ((log_date), timestamp))
     WITH CLUSTERING ORDER BY (timestamp DESC) AND default_time_to_live = 7776000",
];
const APPLICATION: &str =
    "SELECT timestamp, level, logger, message, request_id, user_id, session_id,
    metadata, traceback, duration_ms FROM older.application_logs";
const INFRASTRUCTURE: &str =
    "SELECT timestamp, source, level, message, metadata FROM older.infrastructure_logs";
const COUNTED: [&str; 2] = [
    "SELECT timestamp, level FROM older.application_logs",
    "SELECT timestamp, level FROM older.infrastructure_logs",
];

/// The server gave up.
pub struct Refusal(Duration);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("timed out after {:.1} s", self.0.as_secs_f64()))
    }
}

pub struct Older {
    session: CachingSession,
}

impl Older {
    /// Makes the tables and writes all records, with the driver's plain loop.
    pub async fn fill(node: SocketAddr, data: Data) -> Self {
        let options = CassandraOptions {
            request_timeout: CLIENT_TIMEOUT,
            ..CassandraOptions::new([node.to_string()], KEYSPACE)
        };
        let session = Arc::new(connect(&options).await.unwrap());
        let keyspace = "CREATE KEYSPACE older WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";
        for statement in [keyspace, TABLES[0], TABLES[1]] {
            session.query_unpaged(statement, ()).await.unwrap();
        }
        fill_application(&session, data).await;
        fill_infrastructure(&session, data).await;
        // Another one: the last of the tasks that wrote may still hold theirs for a moment.
        Self {
            session: CachingSession::from(connect(&options).await.unwrap(), 64),
        }
    }

    pub async fn ask(&self, ask: &Ask, data: &Data) -> Result<Found, Refusal> {
        let begun = Instant::now();
        let records = match ask {
            Ask::Newest(newest) => return self.newest(newest, data).await,
            Ask::Trace(id) => self.trace(id).await?,
            Ask::Count { text, range, .. } => self.count(text, *range).await?,
        };
        Ok(Found {
            records,
            times: vec![begun.elapsed()],
        })
    }

    async fn newest(&self, newest: &Newest, data: &Data) -> Result<Found, Refusal> {
        let mut until = milliseconds(newest.range).1.min(data.end / 1_000);
        let (mut records, mut times) = (0, Vec::new());
        for _ in 0..newest.pages {
            let begun = Instant::now();
            let mut found = self.page(newest, until, data).await?;
            times.push(begun.elapsed());
            found.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
            found.truncate(newest.limit);
            records += found.len() as u64;
            // No two records are of one millisecond.
            let Some(oldest) = found.last() else { break };
            until = *oldest;
        }
        Ok(Found { records, times })
    }

    /// Times of what matches before `until`, of a day at least, the newest days first.
    async fn page(&self, newest: &Newest, until: i64, data: &Data) -> Result<Vec<i64>, Refusal> {
        const DAY_MS: i64 = DAY / 1_000;
        let from = milliseconds(newest.range).0.max(data.oldest() / 1_000);
        let mut found = Vec::new();
        let mut day = (until - 1).div_euclid(DAY_MS);
        while day >= from.div_euclid(DAY_MS) && found.len() < newest.limit {
            for (select, filter) in filters(newest.text) {
                let text = format!(
                    "{select} WHERE log_date = ? AND timestamp >= ? AND timestamp < ?{filter} LIMIT {}{}",
                    newest.limit,
                    if filter.is_empty() {
                        ""
                    } else {
                        " ALLOW FILTERING"
                    }
                );
                let values = (cql_date(day), CqlTimestamp(from), CqlTimestamp(until));
                self.rows(&text, values, |row| found.push(time_of(&row)))
                    .await?;
            }
            day -= 1;
        }
        Ok(found)
    }

    /// Nobody knows the days of a request.
    async fn trace(&self, id: &RequestId) -> Result<u64, Refusal> {
        let mut records = 0;
        for (select, column) in [
            (APPLICATION, "request_id"),
            (INFRASTRUCTURE, "metadata['request_id']"),
        ] {
            let text = format!("{select} WHERE {column} = ? ALLOW FILTERING");
            self.rows(&text, (id.as_str(),), |_| records += 1).await?;
        }
        Ok(records)
    }

    /// The server groups by nothing but the key: each row's level is fetched and counted here.
    async fn count(&self, text: &str, range: TimeRange) -> Result<u64, Refusal> {
        const DAY_MS: i64 = DAY / 1_000;
        let (from, until) = milliseconds(range);
        let mut levels: HashMap<String, u64> = HashMap::new();
        for day in from.div_euclid(DAY_MS)..=(until - 1).div_euclid(DAY_MS) {
            for (index, (_, filter)) in filters(text).into_iter().enumerate() {
                // Of each filter there is one for each table, in this order.
                let text = format!(
                    "{} WHERE log_date = ? AND timestamp >= ? AND timestamp < ?{filter}{}",
                    COUNTED[index % COUNTED.len()],
                    if filter.is_empty() {
                        ""
                    } else {
                        " ALLOW FILTERING"
                    }
                );
                let values = (cql_date(day), CqlTimestamp(from), CqlTimestamp(until));
                self.rows(&text, values, |row| {
                    let level = row.columns[1].as_ref().and_then(CqlValue::as_text).unwrap();
                    *levels.entry(level.clone()).or_default() += 1;
                })
                .await?;
            }
        }
        Ok(levels.values().sum())
    }

    async fn rows(
        &self,
        text: &str,
        values: impl SerializeRow + Clone,
        mut take: impl FnMut(Row),
    ) -> Result<(), Refusal> {
        let begun = Instant::now();
        let mut place = Some(PagingState::start());
        while let Some(from) = place {
            match self
                .session
                .execute_single_page(text, values.clone(), from)
                .await
            {
                Ok((answer, next)) => {
                    let answer = answer.into_rows_result().unwrap();
                    answer
                        .rows::<Row>()
                        .unwrap()
                        .for_each(|row| take(row.unwrap()));
                    place = next.into_paging_control_flow().continue_value();
                }
                Err(error) if gave_up(&error) => return Err(Refusal(begun.elapsed())),
                Err(error) => panic!("{text}: {error}"),
            }
        }
        Ok(())
    }
}

fn gave_up(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::RequestTimeout(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::ReadTimeout { .. } | DbError::ReadFailure { .. },
                _
            ))
    )
}

/// Selects with conditions whose answers together are that of our query; those of the two tables
/// take turns. The server knows neither `IN` nor an order of levels here.
fn filters(text: &str) -> Vec<(&'static str, &'static str)> {
    const ERROR: &str = " AND level = 'ERROR'";
    const CRITICAL: &str = " AND level = 'CRITICAL'";
    match text {
        "" => vec![(APPLICATION, ""), (INFRASTRUCTURE, "")],
        ERRORS_ONLY => vec![
            (APPLICATION, ERROR),
            (INFRASTRUCTURE, ERROR),
            (APPLICATION, CRITICAL),
            (INFRASTRUCTURE, CRITICAL),
        ],
        FILTERED => vec![
            (
                INFRASTRUCTURE,
                " AND source = 'nginx/access6' AND level = 'ERROR'",
            ),
            (
                INFRASTRUCTURE,
                " AND source = 'nginx/access6' AND level = 'CRITICAL'",
            ),
        ],
        BY_USER => vec![(APPLICATION, " AND user_id = 77 AND duration_ms > 400")],
        other => panic!("{other} has no words in the older schema"),
    }
}

/// In milliseconds, without what the calendar of CQL cannot say.
fn milliseconds(range: TimeRange) -> (i64, i64) {
    (
        range.from.micros().div_euclid(1_000),
        range.until.micros().div_euclid(1_000),
    )
}

fn time_of(row: &Row) -> i64 {
    row.columns[0]
        .as_ref()
        .and_then(CqlValue::as_cql_timestamp)
        .unwrap()
        .0
}

async fn fill_application(session: &Arc<Session>, data: Data) {
    let insert = session
        .prepare(
            "INSERT INTO older.application_logs (log_date, timestamp, level, logger, message, request_id,
             user_id, session_id, metadata, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .await
        .unwrap();
    let values = |entry: Entry| {
        let user: i32 = entry
            .user_id
            .unwrap()
            .trim_start_matches("user")
            .parse()
            .unwrap();
        // In thousandths, as the records are made.
        let duration = (entry.duration_ms.unwrap() * 1e3).round() as i64;
        (
            cql_date(entry.timestamp.micros().div_euclid(DAY)),
            CqlTimestamp(entry.timestamp.micros().div_euclid(1_000)),
            entry.level.name(),
            entry.logger.map(String::from),
            String::from(entry.message),
            entry.request_id.map(|id| id.as_str().to_owned()),
            user,
            entry.session_id.map(String::from),
            map(entry.metadata),
            CqlDecimal::from_signed_be_bytes_and_exponent(duration.to_be_bytes().to_vec(), 3),
        )
    };
    insert_all(session, insert, data.entries(Layer::Application), values).await;
}

async fn fill_infrastructure(session: &Arc<Session>, data: Data) {
    let insert = session
        .prepare(
            "INSERT INTO older.infrastructure_logs (log_date, timestamp, source, level, message, metadata)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .await
        .unwrap();
    let entries = data.frames(Layer::Infrastructure).flat_map(|frame| {
        let source = frame.origin.source.to_string();
        frame
            .entries
            .into_iter()
            .map(move |entry| (source.clone(), entry))
    });
    let values = |(source, entry): (String, Entry)| {
        let mut metadata = map(entry.metadata);
        // What has no column stands there.
        metadata.extend(
            entry
                .request_id
                .map(|id| ("request_id".to_owned(), id.as_str().to_owned())),
        );
        (
            cql_date(entry.timestamp.micros().div_euclid(DAY)),
            CqlTimestamp(entry.timestamp.micros().div_euclid(1_000)),
            source,
            entry.level.name(),
            String::from(entry.message),
            metadata,
        )
    };
    insert_all(session, insert, entries, values).await;
}

fn map(metadata: Vec<(Text, Text)>) -> HashMap<String, String> {
    metadata
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}
