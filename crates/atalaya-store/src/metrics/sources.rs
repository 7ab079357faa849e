//! The places that delivery facts were taken from.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::time::Timestamp;

/// A place that facts were taken from, so that "no incident source" can be told from "no incidents".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// `git:/srv/shop`, `sdlc-file:metrics.json`, `record` …
    pub name: String,
    pub gives_deployments: bool,
    pub gives_incidents: bool,
    /// When it was last read completely.
    pub synced_at: Timestamp,
}

#[async_trait]
pub trait Sources {
    /// By name.
    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError>;

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Sources for D {
    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError> {
        self.write(run.clone(), |connection, run| {
            Box::pin(put_source(connection, run))
        })
        .await
        .map(|_| ())
    }

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(sources(connection))
        })
        .await
    }
}

async fn put_source(connection: &mut Connection<'_>, run: &SourceRun) -> Result<Written, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT synced_at FROM sources WHERE name = ?"),
            values![&run.name],
        )
        .await?;
    // The same four values in the same order for both.
    let (sql, written) = match known {
        Some(_) => (
            "UPDATE sources SET gives_deployments = ?, gives_incidents = ?, synced_at = ? WHERE name = ?",
            Written::updated(1),
        ),
        None => (
            "INSERT INTO sources (gives_deployments, gives_incidents, synced_at, name) VALUES (?, ?, ?, ?)",
            Written::inserted(1),
        ),
    };
    connection
        .execute(
            sql,
            values![
                run.gives_deployments,
                run.gives_incidents,
                run.synced_at,
                &run.name
            ],
        )
        .await?;
    Ok(written)
}

async fn sources(connection: &mut Connection<'_>) -> Result<Vec<SourceRun>, Failure> {
    let rows: Vec<(String, bool, bool, i64)> = connection
        .rows(
            "SELECT name, gives_deployments, gives_incidents, synced_at FROM sources ORDER BY name",
            &[],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(name, gives_deployments, gives_incidents, synced_at)| SourceRun {
                name,
                gives_deployments,
                gives_incidents,
                synced_at: Timestamp::from_micros(synced_at),
            },
        )
        .collect())
}
