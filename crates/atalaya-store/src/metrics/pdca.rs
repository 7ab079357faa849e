//! The history of PDCA cycles: appended, never changed.

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::pdca::{Happening, PdcaEvent, Unreadable};
use atalaya_domain::time::Timestamp;

#[async_trait]
pub trait PdcaHistory {
    /// Appends one event to the history of its PDCA cycle; the first one makes the cycle. Refused
    /// unless `seq` is the next one: somebody else has changed the cycle meanwhile. The same event
    /// again changes nothing. Refused as well is what could not be read back (a number that is none).
    async fn append_pdca_event(&self, event: &PdcaEvent) -> Result<Written, StoreError>;

    /// The events of one cycle (empty when there is none of that id), or of all: by cycle, in order.
    /// A row that cannot be made out is there as [`Happening::Unreadable`], among the others.
    async fn pdca_events(&self, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> PdcaHistory for D {
    async fn append_pdca_event(&self, event: &PdcaEvent) -> Result<Written, StoreError> {
        self.write(event.clone(), |connection, event| {
            Box::pin(append(connection, event))
        })
        .await
    }

    async fn pdca_events(&self, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, StoreError> {
        let pdca_id = pdca_id.map(str::to_owned);
        self.read(View::Latest, pdca_id, |connection, pdca_id| {
            Box::pin(events(connection, pdca_id.as_deref()))
        })
        .await
    }
}

async fn append(connection: &mut Connection<'_>, event: &PdcaEvent) -> Result<Written, Failure> {
    let body = body_of(event)?;
    // Writers of one cycle stand in line here.
    let _anchor: Option<(i64,)> = connection
        .row(
            locking!("SELECT created_at FROM pdca_cycles WHERE pdca_id = ?"),
            values![&event.pdca_id],
        )
        .await?;
    let last: Option<(Option<u32>,)> = connection
        .row(
            "SELECT MAX(seq) FROM pdca_events WHERE pdca_id = ?",
            values![&event.pdca_id],
        )
        .await?;
    let last = last.and_then(|(last,)| last).unwrap_or(0);
    if event.seq <= last && is_stored(connection, event, &body).await? {
        return Ok(Written::unchanged(1));
    }
    if last.checked_add(1) != Some(event.seq) {
        return Err(connection.conflict(format!(
            "PDCA cycle `{}` has {last} events, so event {} is not the next; somebody else changed it meanwhile, read it again",
            event.pdca_id, event.seq
        )));
    }
    if event.seq == 1 {
        connection
            .execute(
                "INSERT INTO pdca_cycles (pdca_id, created_at) VALUES (?, ?)",
                values![&event.pdca_id, event.at],
            )
            .await?;
    }
    connection
        .execute(
            "INSERT INTO pdca_events (pdca_id, seq, at, actor, body) VALUES (?, ?, ?, ?, ?)",
            values![&event.pdca_id, event.seq, event.at, &event.by, &body],
        )
        .await?;
    Ok(Written::inserted(1))
}

/// As it is stored; a row that nobody can read is passed on as it is.
fn body_of(event: &PdcaEvent) -> Result<String, StoreError> {
    if let Happening::Unreadable(row) = &event.happening {
        return Ok(row.body.clone());
    }
    let no = |error| corrupt("pdca_events", &event.pdca_id, error);
    let body = serde_json::to_string(&event.happening).map_err(no)?;
    // Infinite numbers are written as null, which stays in the history for ever.
    serde_json::from_str::<Happening>(&body).map_err(no)?;
    Ok(body)
}

async fn is_stored(
    connection: &mut Connection<'_>,
    event: &PdcaEvent,
    body: &str,
) -> Result<bool, Failure> {
    let known: Option<(i64, String, String)> = connection
        .row(
            "SELECT at, actor, body FROM pdca_events WHERE pdca_id = ? AND seq = ?",
            values![&event.pdca_id, event.seq],
        )
        .await?;
    Ok(known
        .is_some_and(|(at, by, known)| at == event.at.micros() && by == event.by && known == body))
}

async fn events(
    connection: &mut Connection<'_>,
    pdca_id: Option<&str>,
) -> Result<Vec<PdcaEvent>, Failure> {
    let rows: Vec<(String, i64, i64, String, String)> = connection
        .rows(
            "SELECT pdca_id, CAST(seq AS SIGNED), at, actor, body FROM pdca_events
             WHERE ? IS NULL OR pdca_id = ? ORDER BY pdca_id, seq",
            values![pdca_id, pdca_id],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(pdca_id, seq, at, by, body)| {
            let happening = serde_json::from_str(&body).unwrap_or_else(|error| {
                let reason = error.to_string();
                Happening::Unreadable(Unreadable { body, reason })
            });
            PdcaEvent {
                pdca_id,
                // One that is out of range breaks the order of its cycle, which is then said.
                seq: u32::try_from(seq).unwrap_or(u32::MAX),
                at: Timestamp::from_micros(at),
                by,
                happening,
            }
        })
        .collect())
}
