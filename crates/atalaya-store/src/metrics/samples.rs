//! Measured values of the parts of the system, for the health view and its trends.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::time::{TimeRange, Timestamp};

/// One measured value of one part of the system: (component, measure, `taken_at`) is the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthSample {
    /// `metrics-store`, `log-store`, `host`, `ingest:<file>` …
    pub component: String,
    /// With its unit in the name: `latency_ms`, `disk_used_ratio`, `lag_bytes` …
    pub measure: String,
    pub taken_at: Timestamp,
    pub value: f64,
}

#[async_trait]
pub trait HealthSamples {
    async fn put_health_samples(&self, samples: &[HealthSample]) -> Result<Written, StoreError>;

    /// Oldest first, at most the newest `limit` of the range; `component` `None` takes all.
    async fn health_samples(
        &self,
        component: Option<&str>,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<HealthSample>, StoreError>;

    /// Deletes the samples taken before `before`; returns how many.
    async fn prune_health_samples(&self, before: Timestamp) -> Result<u64, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> HealthSamples for D {
    async fn put_health_samples(&self, samples: &[HealthSample]) -> Result<Written, StoreError> {
        self.write(samples.to_vec(), |connection, samples| {
            Box::pin(put(connection, samples))
        })
        .await
    }

    async fn health_samples(
        &self,
        component: Option<&str>,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<HealthSample>, StoreError> {
        let input = (component.map(str::to_owned), range, limit);
        self.read(
            View::Latest,
            input,
            |connection, (component, range, limit)| {
                Box::pin(select(connection, component.as_deref(), *range, *limit))
            },
        )
        .await
    }

    async fn prune_health_samples(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(before, |connection, before| {
            Box::pin(prune(connection, *before))
        })
        .await
    }
}

async fn put(
    connection: &mut Connection<'_>,
    samples: &[HealthSample],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    // Samples are taken in rounds: what is stored of a round is one question.
    let mut rounds: BTreeMap<Timestamp, Vec<&HealthSample>> = BTreeMap::new();
    for sample in samples {
        rounds.entry(sample.taken_at).or_default().push(sample);
    }
    for (taken_at, samples) in rounds {
        let known: Vec<(String, String, f64)> = connection
            .rows(
                locking!("SELECT component, measure, value FROM health_samples WHERE taken_at = ?"),
                values![taken_at],
            )
            .await?;
        let known: BTreeMap<(&str, &str), f64> = known
            .iter()
            .map(|(component, measure, value)| ((component.as_str(), measure.as_str()), *value))
            .collect();
        // Of one key the last one given counts.
        let mut wanted = known.clone();
        for sample in samples {
            let key = (sample.component.as_str(), sample.measure.as_str());
            match wanted.insert(key, sample.value) {
                Some(value) if value.to_bits() == sample.value.to_bits() => written.unchanged += 1,
                Some(_) => written.updated += 1,
                None => written.inserted += 1,
            }
        }
        let mut new = Vec::new();
        for ((component, measure), value) in &wanted {
            match known.get(&(*component, *measure)) {
                Some(known) if known.to_bits() == value.to_bits() => {}
                Some(_) => {
                    connection
                        .execute(
                            "UPDATE health_samples SET value = ?
                             WHERE component = ? AND measure = ? AND taken_at = ?",
                            values![*value, *component, *measure, taken_at],
                        )
                        .await?;
                }
                None => new.push(values![*component, *measure, taken_at, *value].to_vec()),
            }
        }
        connection
            .insert(
                "INSERT INTO health_samples (component, measure, taken_at, value)",
                &new,
            )
            .await?;
    }
    Ok(written)
}

async fn select(
    connection: &mut Connection<'_>,
    component: Option<&str>,
    range: TimeRange,
    limit: u32,
) -> Result<Vec<HealthSample>, Failure> {
    let rows: Vec<(String, String, i64, f64)> = connection
        .rows(
            "SELECT component, measure, taken_at, value FROM health_samples
             WHERE taken_at >= ? AND taken_at < ? AND (? IS NULL OR component = ?)
             ORDER BY taken_at DESC, component DESC, measure DESC LIMIT ?",
            values![range.from, range.until, component, component, limit],
        )
        .await?;
    Ok(rows
        .into_iter()
        .rev()
        .map(|(component, measure, taken_at, value)| HealthSample {
            component,
            measure,
            taken_at: Timestamp::from_micros(taken_at),
            value,
        })
        .collect())
}

async fn prune(connection: &mut Connection<'_>, before: Timestamp) -> Result<u64, Failure> {
    connection
        .execute(
            "DELETE FROM health_samples WHERE taken_at < ?",
            values![before],
        )
        .await
}
