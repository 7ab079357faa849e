//! [`MetricsStore`] in one SQLite file (`migrations/sqlite/metrics`).
//!
//! Promises: each write is one transaction that is on the disk when the call returns
//! (`synchronous=FULL`), that runs to its end even when the caller is dropped, and that changes
//! nothing when it is repeated. Reads see whole transactions only.

mod facts;
mod operation;
mod pdca;
mod phases;
mod questions;
mod rows;
mod vitals;

use std::path::Path;

use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;

use crate::domain::delivery::{Cycle, Deployment, Incident, Phase, PhaseRecord};
use crate::domain::health::database::Database;
use crate::domain::pdca::PdcaEvent;
use crate::domain::record::RequestId;
use crate::domain::time::{TimeRange, Timestamp};
use crate::store::error::{Backend, StoreError};
use crate::store::metrics::{
    DeliveryFilter, HealthSample, MetricsStore, PhaseDurations, PointsDuration, RequestEvents, SourceRun,
    Target, TeamDeployments, TestingFailures, Written,
};

use super::open::{Durability, Schema, SqliteFile};
use rows::{CycleRow, PhaseRow};

/// `ATAM` in ASCII; kept in the file's header.
const APPLICATION_ID: i32 = 0x4154_414d;

const SCHEMA: Schema = Schema {
    name: "metrics",
    application_id: APPLICATION_ID,
    migrations: &[
        include_str!("../../../migrations/sqlite/metrics/0001_delivery.sql"),
        include_str!("../../../migrations/sqlite/metrics/0002_improvement.sql"),
        include_str!("../../../migrations/sqlite/metrics/0003_operation.sql"),
    ],
};

/// The embedded metrics store.
#[derive(Clone, Debug)]
pub struct SqliteMetricsStore {
    file: SqliteFile,
}

impl SqliteMetricsStore {
    /// Opens the file, makes it when it is missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: SqliteFile::open(path, &SCHEMA, Durability::EachCommit).await? })
    }

    pub async fn close(&self) {
        self.file.close().await;
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Failure>> + Send + 'static,
    {
        self.file
            .write(move |connection| Box::pin(async move { Ok(work(connection).await?) }))
            .await
            .map_err(carried)
    }

    fn failed(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Driver(error) => self.file.error(error),
            Failure::Store(error) => error,
        }
    }
}

/// What stops a piece of work inside of a transaction: the driver, or what was found there.
#[derive(Debug)]
enum Failure {
    Driver(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A transaction hands back driver errors only, so ours travels inside one; [`carried`] takes it
/// out again.
impl From<Failure> for sqlx::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Driver(error) => error,
            Failure::Store(error) => Self::Configuration(error.into()),
        }
    }
}

fn carried(error: StoreError) -> StoreError {
    let StoreError::Refused { backend, source } = error else { return error };
    match source.downcast::<sqlx::Error>() {
        Ok(driver) => match *driver {
            sqlx::Error::Configuration(inner) => match inner.downcast::<StoreError>() {
                Ok(ours) => *ours,
                Err(source) => StoreError::Refused { backend, source },
            },
            other => StoreError::Refused { backend, source: other.into() },
        },
        Err(source) => StoreError::Refused { backend, source },
    }
}

#[async_trait]
impl MetricsStore for SqliteMetricsStore {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn address(&self) -> String {
        self.file.address()
    }

    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError> {
        let phases = phases.to_vec();
        self.write(move |connection| Box::pin(async move { phases::record(connection, &phases).await })).await
    }

    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError> {
        let deployments = deployments.to_vec();
        self.write(move |connection| {
            Box::pin(async move { facts::put_deployments(connection, &deployments).await })
        })
        .await
    }

    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError> {
        let incidents = incidents.to_vec();
        self.write(move |connection| {
            Box::pin(async move { facts::put_incidents(connection, &incidents).await })
        })
        .await
    }

    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError> {
        let run = run.clone();
        self.write(move |connection| Box::pin(async move { operation::put_source(connection, &run).await }))
            .await
    }

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError> {
        operation::sources(self.file.readers()).await.map_err(|failure| self.failed(failure))
    }

    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Vec<Deployment>, StoreError> {
        facts::deployments(self.file.readers(), filter).await.map_err(|failure| self.failed(failure))
    }

    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError> {
        facts::incidents(self.file.readers(), filter).await.map_err(|failure| self.failed(failure))
    }

    async fn phases(&self, filter: &DeliveryFilter) -> Result<Vec<PhaseRecord>, StoreError> {
        let range = filter.range.unwrap_or(TimeRange::ALL);
        let rows: Vec<PhaseRow> = sqlx::query_as(
            "SELECT cycle_id, feature_id, phase_name, attempt, decision, duration_seconds, metadata, created_at
             FROM dora_metrics
             WHERE created_at >= ?1 AND created_at < ?2 AND (?3 IS NULL OR service = ?3)
                 AND (?4 IS NULL OR team = ?4)
             ORDER BY created_at, id",
        )
        .bind(range.from.micros())
        .bind(range.until.micros())
        .bind(&filter.service)
        .bind(&filter.team)
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        rows.into_iter().map(PhaseRow::into_record).collect()
    }

    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError> {
        let range = filter.range.unwrap_or(TimeRange::ALL);
        let rows: Vec<CycleRow> = sqlx::query_as(
            "SELECT * FROM cycles
             WHERE started_at >= ?1 AND started_at < ?2 AND (?3 IS NULL OR service = ?3)
                 AND (?4 IS NULL OR team = ?4)
             ORDER BY started_at DESC, cycle_id DESC LIMIT ?5",
        )
        .bind(range.from.micros())
        .bind(range.until.micros())
        .bind(&filter.service)
        .bind(&filter.team)
        .bind(limit)
        .fetch_all(self.file.readers())
        .await
        .map_err(|error| self.file.error(error))?;
        Ok(rows.into_iter().map(|row| row.into_cycle(Vec::new())).collect())
    }

    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError> {
        phases::cycle(self.file.readers(), cycle_id).await.map_err(|failure| self.failed(failure))
    }

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError> {
        let readers = self.file.readers();
        let read = async {
            Ok::<_, Failure>(RequestEvents {
                phases: phases::of_request(readers, id).await?,
                deployments: facts::deployments_of_request(readers, id).await?,
                incidents: facts::incidents_of_request(readers, id).await?,
            })
        };
        read.await.map_err(|failure| self.failed(failure))
    }

    async fn phase_durations(&self, phase: Phase, range: TimeRange) -> Result<PhaseDurations, StoreError> {
        questions::phase_durations(self.file.readers(), phase, range)
            .await
            .map_err(|failure| self.failed(failure))
    }

    async fn recovery_durations(&self, range: TimeRange) -> Result<PhaseDurations, StoreError> {
        questions::recovery_durations(self.file.readers(), range)
            .await
            .map_err(|failure| self.failed(failure))
    }

    async fn deployments_per_team(&self, range: TimeRange) -> Result<Vec<TeamDeployments>, StoreError> {
        questions::deployments_per_team(self.file.readers(), range)
            .await
            .map_err(|failure| self.failed(failure))
    }

    async fn testing_failures(&self, range: TimeRange) -> Result<TestingFailures, StoreError> {
        questions::testing_failures(self.file.readers(), range).await.map_err(|failure| self.failed(failure))
    }

    async fn testing_by_story_points(&self, range: TimeRange) -> Result<Vec<PointsDuration>, StoreError> {
        questions::testing_by_story_points(self.file.readers(), range)
            .await
            .map_err(|failure| self.failed(failure))
    }

    async fn append_pdca_event(&self, event: &PdcaEvent) -> Result<Written, StoreError> {
        let event = event.clone();
        self.write(move |connection| Box::pin(async move { pdca::append(connection, &event).await })).await
    }

    async fn pdca_events(&self, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, StoreError> {
        pdca::events(self.file.readers(), pdca_id).await.map_err(|failure| self.failed(failure))
    }

    async fn put_target(&self, target: &Target) -> Result<Written, StoreError> {
        let target = target.clone();
        self.write(move |connection| {
            Box::pin(async move { operation::put_target(connection, &target).await })
        })
        .await
    }

    async fn targets(&self) -> Result<Vec<Target>, StoreError> {
        operation::targets(self.file.readers()).await.map_err(|failure| self.failed(failure))
    }

    async fn put_health_samples(&self, samples: &[HealthSample]) -> Result<Written, StoreError> {
        let samples = samples.to_vec();
        self.write(move |connection| {
            Box::pin(async move { operation::put_health_samples(connection, &samples).await })
        })
        .await
    }

    async fn health_samples(
        &self,
        component: Option<&str>,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<HealthSample>, StoreError> {
        operation::health_samples(self.file.readers(), component, range, limit)
            .await
            .map_err(|failure| self.failed(failure))
    }

    async fn prune_health_samples(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(move |connection| {
            Box::pin(async move { operation::prune_health_samples(connection, before).await })
        })
        .await
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        self.read_vitals().await
    }
}
