//! The history of PDCA cycles: appended, never changed (triggers refuse it).

use sqlx::{SqliteConnection, SqlitePool};

use crate::domain::pdca::PdcaEvent;
use crate::domain::time::Timestamp;
use crate::store::error::{Backend, StoreError};
use crate::store::metrics::Written;

use super::Failure;
use super::rows::corrupt;

pub(super) async fn append(connection: &mut SqliteConnection, event: &PdcaEvent) -> Result<Written, Failure> {
    let body = serde_json::to_string(&event.happening)
        .map_err(|error| corrupt("pdca_events", &event.pdca_id, error))?;
    let last: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM pdca_events WHERE pdca_id = ?")
        .bind(&event.pdca_id)
        .fetch_one(&mut *connection)
        .await?;
    let last = last.unwrap_or(0);
    if i64::from(event.seq) <= last && is_stored(connection, event, &body).await? {
        return Ok(Written { unchanged: 1, ..Written::default() });
    }
    if i64::from(event.seq) != last + 1 {
        let reason = format!(
            "PDCA cycle `{}` has {last} events, so event {} is not the next; somebody else changed it meanwhile, read it again",
            event.pdca_id, event.seq
        );
        return Err(StoreError::Refused { backend: Backend::Sqlite, source: reason.into() }.into());
    }
    if event.seq == 1 {
        sqlx::query("INSERT INTO pdca_cycles (pdca_id, created_at) VALUES (?, ?)")
            .bind(&event.pdca_id)
            .bind(event.at.micros())
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("INSERT INTO pdca_events (pdca_id, seq, at, actor, body) VALUES (?, ?, ?, ?, ?)")
        .bind(&event.pdca_id)
        .bind(event.seq)
        .bind(event.at.micros())
        .bind(&event.by)
        .bind(&body)
        .execute(connection)
        .await?;
    Ok(Written { inserted: 1, ..Written::default() })
}

async fn is_stored(
    connection: &mut SqliteConnection,
    event: &PdcaEvent,
    body: &str,
) -> Result<bool, Failure> {
    let known: Option<(i64, String, String)> =
        sqlx::query_as("SELECT at, actor, body FROM pdca_events WHERE pdca_id = ? AND seq = ?")
            .bind(&event.pdca_id)
            .bind(event.seq)
            .fetch_optional(connection)
            .await?;
    Ok(known.is_some_and(|(at, by, known)| at == event.at.micros() && by == event.by && known == body))
}

pub(super) async fn events(pool: &SqlitePool, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, Failure> {
    let rows: Vec<(String, u32, i64, String, String)> = sqlx::query_as(
        "SELECT pdca_id, seq, at, actor, body FROM pdca_events
         WHERE ?1 IS NULL OR pdca_id = ?1 ORDER BY pdca_id, seq",
    )
    .bind(pdca_id)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(pdca_id, seq, at, by, body)| {
            let happening = serde_json::from_str(&body)
                .map_err(|error| corrupt("pdca_events", &pdca_id, format!("event {seq}: {error}")))?;
            Ok(PdcaEvent { pdca_id, seq, at: Timestamp::from_micros(at), by, happening })
        })
        .collect()
}
