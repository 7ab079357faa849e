//! Who of several processes does what only one may do, and the writes that are made on its behalf.
//!
//! Times are those of the database's own clock; what is decided with them is in
//! [`atalaya_domain::lease`].

use std::time::Duration;

use async_trait::async_trait;

use super::sql::{Connection, Failure, Sql, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::lease::{self, Answer, Fence, FenceNumber, Holder, Lease};
use atalaya_domain::time::Timestamp;

#[async_trait]
pub trait Leases {
    /// Takes the lease when it is free, renews it when it is the asker's already, and else says
    /// whose it is; with the database's time of that.
    async fn ask_for_lease(
        &self,
        name: &str,
        asker: &Holder,
        length: Duration,
    ) -> Result<(Answer, Timestamp), StoreError>;

    /// Lets others take it at once. `false`: it is another's already.
    async fn release_lease(&self, fence: &Fence) -> Result<bool, StoreError>;

    /// Every lease that was ever taken, by name, ended ones too; with the database's time.
    async fn leases(&self) -> Result<(Vec<Lease>, Timestamp), StoreError>;

    /// Fails with [`StoreError::Fenced`] when the lease is another's by now. For work outside of
    /// this database; a write to it is checked by itself, see
    /// [`MetricsStore::fenced`](super::MetricsStore::fenced).
    async fn check_fence(&self, fence: &Fence) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Leases for D {
    async fn ask_for_lease(
        &self,
        name: &str,
        asker: &Holder,
        length: Duration,
    ) -> Result<(Answer, Timestamp), StoreError> {
        let input = (name.to_owned(), asker.clone(), length);
        self.write(input, |connection, (name, asker, length)| {
            Box::pin(ask(connection, name, asker, *length))
        })
        .await
    }

    async fn release_lease(&self, fence: &Fence) -> Result<bool, StoreError> {
        self.write(fence.clone(), |connection, fence| {
            Box::pin(release(connection, fence))
        })
        .await
    }

    async fn leases(&self) -> Result<(Vec<Lease>, Timestamp), StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async move {
                let rows: Vec<Row> = connection.rows(SELECT_ALL, &[]).await?;
                let now = connection.now().await?;
                Ok((rows.into_iter().map(lease_of).collect(), now))
            })
        })
        .await
    }

    async fn check_fence(&self, fence: &Fence) -> Result<(), StoreError> {
        self.read(View::Latest, fence.clone(), |connection, fence| {
            Box::pin(check(connection, fence, UNLOCKED))
        })
        .await
    }
}

/// Name, holder, host, pid, fence, length, taken, renewed, expires.
type Row = (String, String, String, i64, i64, i64, i64, i64, i64);

const SELECT_ALL: &str =
    "SELECT name, holder, host, pid, fence, length_us, taken_at, renewed_at, expires_at
     FROM leases ORDER BY name";

fn lease_of(row: Row) -> Lease {
    let (name, id, host, pid, fence, length, taken, renewed, expires) = row;
    Lease {
        name,
        holder: Holder {
            id,
            host,
            pid: u32::try_from(pid).unwrap_or(0),
        },
        fence: FenceNumber(fence),
        length: Duration::from_micros(u64::try_from(length).unwrap_or(0)),
        taken_at: Timestamp::from_micros(taken),
        renewed_at: Timestamp::from_micros(renewed),
        expires_at: Timestamp::from_micros(expires),
    }
}

async fn ask(
    connection: &mut Connection<'_>,
    name: &str,
    asker: &Holder,
    length: Duration,
) -> Result<(Answer, Timestamp), Failure> {
    let known: Option<Row> = connection
        .row(
            locking!(
                "SELECT name, holder, host, pid, fence, length_us, taken_at, renewed_at, expires_at
                 FROM leases WHERE name = ?"
            ),
            values![name],
        )
        .await?;
    // After the row is locked: whoever waited for it must not come with an old time.
    let now = connection.now().await?;
    let is_new = known.is_none();
    let answer = lease::ask(known.map(lease_of), name, asker, length, now);
    if let Answer::Held(lease) = &answer {
        let length = i64::try_from(lease.length.as_micros()).unwrap_or(i64::MAX);
        let values = values![
            &lease.holder.id,
            &lease.holder.host,
            lease.holder.pid,
            lease.fence.0,
            length,
            lease.taken_at,
            lease.renewed_at,
            lease.expires_at,
            &lease.name,
        ];
        if is_new {
            connection
                .insert(
                    "INSERT INTO leases (holder, host, pid, fence, length_us, taken_at, renewed_at, expires_at, name)",
                    &[values.to_vec()],
                )
                .await?;
        } else {
            connection
                .execute(
                    "UPDATE leases SET holder = ?, host = ?, pid = ?, fence = ?, length_us = ?,
                         taken_at = ?, renewed_at = ?, expires_at = ? WHERE name = ?",
                    values,
                )
                .await?;
        }
    }
    Ok((answer, now))
}

async fn release(connection: &mut Connection<'_>, fence: &Fence) -> Result<bool, Failure> {
    let now = connection.now().await?;
    let given_back = connection
        .execute(
            "UPDATE leases SET expires_at = ? WHERE name = ? AND fence = ?",
            values![now, &fence.lease, fence.number.0],
        )
        .await?;
    Ok(given_back > 0)
}

const UNLOCKED: Sql = Sql {
    sqlite: "SELECT fence, host FROM leases WHERE name = ?",
    mysql: "SELECT fence, host FROM leases WHERE name = ?",
};
/// Until the end of the transaction nobody takes the lease; others on its behalf may write too.
const LOCKED: Sql = Sql {
    sqlite: "SELECT fence, host FROM leases WHERE name = ?",
    mysql: "SELECT fence, host FROM leases WHERE name = ? LOCK IN SHARE MODE",
};

/// The first statement of a write on behalf of a lease.
pub(crate) async fn hold_fence(
    connection: &mut Connection<'_>,
    fence: &Fence,
) -> Result<(), Failure> {
    check(connection, fence, LOCKED).await
}

async fn check(connection: &mut Connection<'_>, fence: &Fence, sql: Sql) -> Result<(), Failure> {
    let known: Option<(i64, String)> = connection.row(sql, values![&fence.lease]).await?;
    match known {
        Some((number, _)) if number == fence.number.0 => Ok(()),
        known => Err(StoreError::Fenced {
            backend: connection.backend(),
            lease: fence.lease.clone(),
            holder: known.map_or_else(|| "nobody".to_owned(), |(_, host)| host),
        }
        .into()),
    }
}
