//! The peer in the same language: the driver's own best plain loop. Lines read with serde, one
//! record a row, one prepared INSERT each, 256 of them in flight; the same columns and no index.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Utc};
use scylla::client::session::Session;
use scylla::value::{CqlDate, CqlTimestamp};
use serde::Deserialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Cost, Meter};

const IN_FLIGHT: u32 = 256;
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

pub async fn measure(session: Arc<Session>, keyspace: &str, input: &Path, server: u32) -> Cost {
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
    let insert = Arc::new(insert);
    let permits = Arc::new(Semaphore::new(IN_FLIGHT as usize));
    let mut records = 0;
    let meter = Meter::start(server);
    for line in BufReader::new(File::open(input).unwrap()).lines() {
        let record: Record = serde_json::from_str(&line.unwrap()).unwrap();
        records += 1;
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let (session, insert) = (Arc::clone(&session), Arc::clone(&insert));
        let id = Uuid::from_u128(records);
        tokio::spawn(async move {
            let day = record.timestamp.num_days_from_ce() - DAYS_TO_1970;
            let minute_of_day = record.timestamp.timestamp().rem_euclid(86_400) / 60;
            let metadata: HashMap<String, String> =
                record.metadata.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
            let row = (
                CqlDate(CQL_1970.wrapping_add_signed(day)),
                (minute_of_day / 10) as i16,
                CqlTimestamp(record.timestamp.timestamp_millis()),
                id,
                &record.level,
                &record.logger,
                &record.message,
                &record.request_id,
                &record.user_id,
                &record.session_id,
                metadata,
                record.duration_ms,
            );
            session.execute_unpaged(&insert, row).await.unwrap();
            drop(permit);
        });
    }
    let _all = permits.acquire_many(IN_FLIGHT).await.unwrap();
    meter.stop(records as u64)
}
