//! The metrics store over SQL, written once for SQLite and for MySQL and MariaDB: the statements,
//! what they compare, and how a cycle is folded. A database brings its tables (`migrations/`), a
//! transaction for each [`Write`] and a connection for each read.
//!
//! A write looks before it changes, and counts by what it saw. Two writers of the same new row both
//! see nothing; the database lets only one insert it (unique keys everywhere), and the other one's
//! transaction starts anew and then sees it. That the database has to do (or to have one writer).

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::error::{Backend, StoreError};
use atalaya_domain::delivery::{Cycle, Deployment, Incident, Phase, PhaseRecord};
use atalaya_domain::health::database::Database;
use atalaya_domain::pdca::PdcaEvent;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::{
    DeliveryFilter, HealthSample, MetricsStore, PhaseDurations, PointsDuration, RequestEvents,
    SourceRun, Target, TeamDeployments, TestingFailures, Written,
};

pub(crate) mod connection;
mod facts;
mod operation;
mod pdca;
mod phases;
mod questions;
mod rows;

pub(crate) use connection::{Connection, Failure, within};

/// One write: everything of it or nothing. A value, so that it can be tried again.
#[derive(Debug)]
pub(crate) enum Write {
    Phases(Vec<PhaseRecord>),
    Deployments(Vec<Deployment>),
    Incidents(Vec<Incident>),
    Source(SourceRun),
    PdcaEvent(PdcaEvent),
    Target(Target),
    HealthSamples(Vec<HealthSample>),
    /// Counts as `updated` what it deleted.
    PruneHealthSamples(Timestamp),
}

impl Write {
    /// Within a transaction that the caller commits when this succeeds.
    pub async fn run(&self, connection: &mut Connection<'_>) -> Result<Written, Failure> {
        match self {
            Self::Phases(phases) => phases::record(connection, phases).await,
            Self::Deployments(deployments) => facts::put_deployments(connection, deployments).await,
            Self::Incidents(incidents) => facts::put_incidents(connection, incidents).await,
            Self::Source(run) => operation::put_source(connection, run).await,
            Self::PdcaEvent(event) => pdca::append(connection, event).await,
            Self::Target(target) => operation::put_target(connection, target).await,
            Self::HealthSamples(samples) => {
                operation::put_health_samples(connection, samples).await
            }
            Self::PruneHealthSamples(before) => {
                operation::prune_health_samples(connection, *before).await
            }
        }
    }
}

/// What the statements of one read see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// There is only one statement.
    Latest,
    /// All of them see the same state of the database.
    Snapshot,
}

/// A database that a [`MetricsStore`] is made of.
pub(crate) trait SqlDatabase: Send + Sync + 'static {
    fn backend(&self) -> Backend;

    fn address(&self) -> String;

    /// Runs it in one transaction, and again as long as another transaction was in the way.
    ///
    /// It runs to its end even when the caller is dropped.
    fn write(&self, write: Write) -> impl Future<Output = Result<Written, StoreError>> + Send;

    fn read<T, F>(&self, view: View, work: F) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        T: Send + 'static,
        F: for<'c> FnOnce(Connection<'c>) -> BoxFuture<'c, Result<T, Failure>> + Send + 'static;

    /// See [`MetricsStore::vitals`].
    fn vitals(&self) -> impl Future<Output = Result<Database, StoreError>> + Send {
        async { Ok(Database::default()) }
    }
}

#[async_trait]
impl<D: SqlDatabase> MetricsStore for D {
    fn backend(&self) -> Backend {
        SqlDatabase::backend(self)
    }

    fn address(&self) -> String {
        SqlDatabase::address(self)
    }

    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError> {
        self.write(Write::Phases(phases.to_vec())).await
    }

    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError> {
        self.write(Write::Deployments(deployments.to_vec())).await
    }

    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError> {
        self.write(Write::Incidents(incidents.to_vec())).await
    }

    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError> {
        self.write(Write::Source(run.clone())).await.map(|_| ())
    }

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError> {
        self.read(View::Latest, |mut connection| {
            Box::pin(async move { operation::sources(&mut connection).await })
        })
        .await
    }

    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Vec<Deployment>, StoreError> {
        let filter = filter.clone();
        self.read(View::Snapshot, |mut connection| {
            Box::pin(async move { facts::deployments(&mut connection, &filter).await })
        })
        .await
    }

    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError> {
        let filter = filter.clone();
        self.read(View::Latest, |mut connection| {
            Box::pin(async move { facts::incidents(&mut connection, &filter).await })
        })
        .await
    }

    async fn phases(&self, filter: &DeliveryFilter) -> Result<Vec<PhaseRecord>, StoreError> {
        let filter = filter.clone();
        self.read(View::Latest, |mut connection| {
            Box::pin(async move { phases::phases(&mut connection, &filter).await })
        })
        .await
    }

    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError> {
        let filter = filter.clone();
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move { phases::cycles(&mut connection, &filter, limit).await })
        })
        .await
    }

    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError> {
        let cycle_id = cycle_id.to_owned();
        self.read(View::Snapshot, |mut connection| {
            Box::pin(async move { phases::cycle(&mut connection, &cycle_id).await })
        })
        .await
    }

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError> {
        let id = id.clone();
        self.read(View::Snapshot, |mut connection| {
            Box::pin(async move {
                Ok(RequestEvents {
                    phases: phases::of_request(&mut connection, &id).await?,
                    deployments: facts::deployments_of_request(&mut connection, &id).await?,
                    incidents: facts::incidents_of_request(&mut connection, &id).await?,
                })
            })
        })
        .await
    }

    async fn phase_durations(
        &self,
        phase: Phase,
        range: TimeRange,
    ) -> Result<PhaseDurations, StoreError> {
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move { questions::phase_durations(&mut connection, phase, range).await })
        })
        .await
    }

    async fn recovery_durations(&self, range: TimeRange) -> Result<PhaseDurations, StoreError> {
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move { questions::recovery_durations(&mut connection, range).await })
        })
        .await
    }

    async fn deployments_per_team(
        &self,
        range: TimeRange,
    ) -> Result<Vec<TeamDeployments>, StoreError> {
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move { questions::deployments_per_team(&mut connection, range).await })
        })
        .await
    }

    async fn testing_failures(&self, range: TimeRange) -> Result<TestingFailures, StoreError> {
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move { questions::testing_failures(&mut connection, range).await })
        })
        .await
    }

    async fn testing_by_story_points(
        &self,
        range: TimeRange,
    ) -> Result<Vec<PointsDuration>, StoreError> {
        self.read(View::Latest, move |mut connection| {
            Box::pin(
                async move { questions::testing_by_story_points(&mut connection, range).await },
            )
        })
        .await
    }

    async fn append_pdca_event(&self, event: &PdcaEvent) -> Result<Written, StoreError> {
        self.write(Write::PdcaEvent(event.clone())).await
    }

    async fn pdca_events(&self, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, StoreError> {
        let pdca_id = pdca_id.map(str::to_owned);
        self.read(View::Latest, |mut connection| {
            Box::pin(async move { pdca::events(&mut connection, pdca_id.as_deref()).await })
        })
        .await
    }

    async fn put_target(&self, target: &Target) -> Result<Written, StoreError> {
        self.write(Write::Target(target.clone())).await
    }

    async fn targets(&self) -> Result<Vec<Target>, StoreError> {
        self.read(View::Latest, |mut connection| {
            Box::pin(async move { operation::targets(&mut connection).await })
        })
        .await
    }

    async fn put_health_samples(&self, samples: &[HealthSample]) -> Result<Written, StoreError> {
        self.write(Write::HealthSamples(samples.to_vec())).await
    }

    async fn health_samples(
        &self,
        component: Option<&str>,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<HealthSample>, StoreError> {
        let component = component.map(str::to_owned);
        self.read(View::Latest, move |mut connection| {
            Box::pin(async move {
                operation::health_samples(&mut connection, component.as_deref(), range, limit).await
            })
        })
        .await
    }

    async fn prune_health_samples(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.write(Write::PruneHealthSamples(before)).await?.updated)
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        SqlDatabase::vitals(self).await
    }
}
