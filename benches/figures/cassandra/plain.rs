//! The peer in the same language: the driver's own best plain loop. Lines read with serde, one
//! record a row, one prepared INSERT each, 256 of them in flight; the same columns and no index.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Datelike as _, Utc};
use scylla::client::session::Session;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlDate, CqlTimestamp};
use serde::Deserialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Cost, Meter};

const IN_FLIGHT: u32 = 256;
const ATTEMPTS: usize = 5;
/// Days from the first day of the calendar to 1970, and the middle of CQL's `date`.
const DAYS_TO_1970: i32 = 719_163;
const CQL_1970: u32 = 1 << 31;

#[derive(Deserialize)]
struct Record {
    timestamp: DateTime<Utc>,
    level: String,
    logger: String,
    message: String,
    request_id: String,
    user_id: String,
    session_id: String,
    duration_ms: f64,
    #[serde(flatten)]
    metadata: HashMap<String, serde_json::Value>,
}

pub async fn measure(
    session: &Arc<Session>,
    keyspace: &str,
    input: &Path,
    servers: &[u32],
) -> Cost {
    session
        .query_unpaged(
            format!(
                "CREATE TABLE {keyspace}.plain_logs (log_date date, bucket smallint, timestamp timestamp, id uuid,
                 level text, logger text, message text, request_id text, user_id text, session_id text,
                 metadata frozen<map<text, text>>, duration_ms double,
                 PRIMARY KEY ((log_date, bucket), timestamp, id))"
            ),
            (),
        )
        .await
        .unwrap();
    let insert = session
        .prepare(format!(
            "INSERT INTO {keyspace}.plain_logs (log_date, bucket, timestamp, id, level, logger, message,
             request_id, user_id, session_id, metadata, duration_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL 7776000"
        ))
        .await
        .unwrap();
    let meter = Meter::start(servers);
    let lines = BufReader::new(File::open(input).unwrap()).lines();
    let records = lines
        .map(|line| serde_json::from_str::<Record>(&line.unwrap()).unwrap())
        .zip(1..);
    let records = insert_all(session, insert, records, |(record, number)| {
        let metadata: HashMap<String, String> = record
            .metadata
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        (
            cql_date(i64::from(
                record.timestamp.num_days_from_ce() - DAYS_TO_1970,
            )),
            (record.timestamp.timestamp().rem_euclid(86_400) / 600) as i16,
            CqlTimestamp(record.timestamp.timestamp_millis()),
            Uuid::from_u128(number),
            record.level,
            record.logger,
            record.message,
            record.request_id,
            record.user_id,
            record.session_id,
            metadata,
            record.duration_ms,
        )
    });
    let records = records.await;
    meter.stop(records)
}

/// Days since 1970 as CQL counts them.
pub fn cql_date(day: i64) -> CqlDate {
    CqlDate(CQL_1970.wrapping_add_signed(day as i32))
}

/// Inserts every row, so many in flight, and gives how many. What a busy server does not take in
/// time is sent again.
pub async fn insert_all<R, V>(
    session: &Arc<Session>,
    insert: PreparedStatement,
    rows: impl Iterator<Item = R>,
    values: impl Fn(R) -> V + Copy + Send + 'static,
) -> u64
where
    R: Send + 'static,
    V: SerializeRow + Send + Sync + 'static,
{
    let insert = Arc::new(insert);
    let permits = Arc::new(Semaphore::new(IN_FLIGHT as usize));
    let inserted = Arc::new(AtomicU64::new(0));
    let mut sent = 0;
    for row in rows {
        sent += 1;
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let (session, insert, inserted) = (
            Arc::clone(session),
            Arc::clone(&insert),
            Arc::clone(&inserted),
        );
        tokio::spawn(async move {
            let values = values(row);
            for _ in 0..ATTEMPTS {
                if session.execute_unpaged(&insert, &values).await.is_ok() {
                    inserted.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
            drop(permit);
        });
    }
    let _all = permits.acquire_many(IN_FLIGHT).await.unwrap();
    assert_eq!(
        inserted.load(Ordering::Relaxed),
        sent,
        "rows that the server has not taken"
    );
    sent
}
