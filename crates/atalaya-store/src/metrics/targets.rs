//! What the metrics should reach.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::time::Timestamp;

/// What a metric should reach, for all services or one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the metric, as in reports: `change_lead_time` …
    pub metric: String,
    /// `None` holds for every service without a target of its own.
    pub service: Option<String>,
    pub team: Option<String>,
    /// In the unit of the metric.
    pub value: f64,
    pub set_at: Timestamp,
}

#[async_trait]
pub trait Targets {
    /// By (metric, service, team). A value that is already set to the same leaves `set_at` alone.
    async fn put_target(&self, target: &Target) -> Result<Written, StoreError>;

    /// By metric, service, team; those for all services first.
    async fn targets(&self) -> Result<Vec<Target>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Targets for D {
    async fn put_target(&self, target: &Target) -> Result<Written, StoreError> {
        self.write(target.clone(), |connection, target| {
            Box::pin(put_target(connection, target))
        })
        .await
    }

    async fn targets(&self) -> Result<Vec<Target>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(targets(connection))
        })
        .await
    }
}

async fn put_target(connection: &mut Connection<'_>, target: &Target) -> Result<Written, Failure> {
    let service = target.service.as_deref().unwrap_or_default();
    let team = target.team.as_deref().unwrap_or_default();
    let known: Option<(f64,)> = connection
        .row(
            locking!("SELECT value FROM targets WHERE metric = ? AND service = ? AND team = ?"),
            values![&target.metric, service, team],
        )
        .await?;
    let (sql, written) = match known {
        Some((value,)) if value.to_bits() == target.value.to_bits() => {
            return Ok(Written::unchanged(1));
        }
        Some(_) => (
            "UPDATE targets SET value = ?, set_at = ? WHERE metric = ? AND service = ? AND team = ?",
            Written::updated(1),
        ),
        None => (
            "INSERT INTO targets (value, set_at, metric, service, team) VALUES (?, ?, ?, ?, ?)",
            Written::inserted(1),
        ),
    };
    connection
        .execute(
            sql,
            values![target.value, target.set_at, &target.metric, service, team],
        )
        .await?;
    Ok(written)
}

async fn targets(connection: &mut Connection<'_>) -> Result<Vec<Target>, Failure> {
    let rows: Vec<(String, String, String, f64, i64)> = connection
        .rows("SELECT metric, service, team, value, set_at FROM targets ORDER BY metric, service, team", &[])
        .await?;
    let named = |name: String| (!name.is_empty()).then_some(name);
    Ok(rows
        .into_iter()
        .map(|(metric, service, team, value, set_at)| Target {
            metric,
            service: named(service),
            team: named(team),
            value,
            set_at: Timestamp::from_micros(set_at),
        })
        .collect())
}
