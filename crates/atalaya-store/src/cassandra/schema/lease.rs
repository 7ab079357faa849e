//! Who may change the schema now: one host at a time, by a row with a lifetime
//! (`cql/0000_lease.cql`).

use std::time::{Duration, Instant};

use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};
use uuid::Uuid;

use crate::cassandra::errors::refused;
use crate::error::{Backend, StoreError};

use super::{Ddl, host_name, rows};

/// How long to wait for another host that is changing the schema.
const LEASE_LIMIT: Duration = Duration::from_secs(120);
const LEASE_SECONDS: i32 = 60;
const LEASE_STEP: Duration = Duration::from_millis(200);

/// The right to change the schema, for as long as it is renewed.
pub(super) struct Lease<'a> {
    ddl: &'a Ddl<'a>,
    holder: String,
}

impl<'a> Lease<'a> {
    pub async fn take(ddl: &'a Ddl<'a>) -> Result<Self, StoreError> {
        let holder = format!("{} {}", host_name(), Uuid::from_u128(rand::random()));
        let insert = format!(
            "INSERT INTO {}.schema_lease (name, holder) VALUES ('schema', ?) IF NOT EXISTS USING TTL {LEASE_SECONDS}",
            ddl.keyspace
        );
        let begun = Instant::now();
        loop {
            let (taken, by) = applied(ddl.query(&insert, (&holder,)).await?)?;
            // A repeated attempt finds its own row.
            if taken || by.as_deref() == Some(holder.as_str()) {
                return Ok(Self { ddl, holder });
            }
            if begun.elapsed() > LEASE_LIMIT {
                return Err(StoreError::TimedOut {
                    backend: Backend::Cassandra,
                    limit: LEASE_LIMIT,
                });
            }
            tokio::time::sleep(LEASE_STEP).await;
        }
    }

    pub async fn renew(&self) -> Result<(), StoreError> {
        let update = format!(
            "UPDATE {}.schema_lease USING TTL {LEASE_SECONDS} SET holder = ? WHERE name = 'schema' IF holder = ?",
            self.ddl.keyspace
        );
        let (held, by) = applied(
            self.ddl
                .query(&update, (&self.holder, &self.holder))
                .await?,
        )?;
        if held {
            return Ok(());
        }
        let by = by.unwrap_or_else(|| "nobody".to_owned());
        Err(refused(std::io::Error::other(format!(
            "the lease on the schema was lost to {by}; run the command again"
        ))))
    }

    pub async fn give_back(self) -> Result<(), StoreError> {
        let delete = format!(
            "DELETE FROM {}.schema_lease WHERE name = 'schema' IF holder = ?",
            self.ddl.keyspace
        );
        self.ddl.query(&delete, (&self.holder,)).await.map(drop)
    }
}

/// Whether a conditional statement took effect, and else the holder that stood against it.
fn applied(result: QueryResult) -> Result<(bool, Option<String>), StoreError> {
    let row = rows::<Row>(result, "schema_lease")?.into_iter().next();
    let columns = row.map(|row| row.columns).unwrap_or_default();
    let took_effect = matches!(columns.first(), Some(Some(CqlValue::Boolean(true))));
    let holder = columns
        .into_iter()
        .rev()
        .flatten()
        .find_map(|value| match value {
            CqlValue::Text(text) if text != "schema" => Some(text),
            _ => None,
        });
    Ok((took_effect, holder))
}
