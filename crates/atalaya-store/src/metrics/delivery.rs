//! Delivery: phases of cycles, deployments with their commits, incidents.

use async_trait::async_trait;

use super::Written;
use super::sql::{SqlDatabase, View};
use crate::error::StoreError;
use atalaya_domain::delivery::{Cycle, Deployment, Incident, PhaseRecord};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::TimeRange;

mod facts;
mod phases;
mod rows;

/// Narrows the delivery facts; `None` takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryFilter {
    pub range: Option<TimeRange>,
    pub service: Option<String>,
    pub team: Option<String>,
    pub environment: Option<String>,
}

/// Metrics events that carry one request id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestEvents {
    pub phases: Vec<PhaseRecord>,
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
}

#[async_trait]
pub trait DeliveryFacts {
    /// Records phases; (cycle, phase, attempt) is the key. The cycle's row is made or widened with
    /// them, in the same transaction: it starts with its first phase or deployment, and finishes
    /// with the first deployment that passed.
    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError>;

    /// By id. Commits come and go with their deployment. A cycle that a deployment names is made
    /// when nobody recorded it yet.
    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError>;

    /// By id. Refused as a whole when an incident names a deployment that is not in the store.
    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError>;

    /// By `finished_at`, oldest first.
    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Vec<Deployment>, StoreError>;

    /// Incidents open at any time within the range, by `opened_at`. `team` and `environment` do
    /// not apply to incidents.
    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError>;

    /// Phases by `recorded_at`, oldest first. Service and team are those of the metadata;
    /// `environment` does not apply to phases.
    async fn phases(&self, filter: &DeliveryFilter) -> Result<Vec<PhaseRecord>, StoreError>;

    /// Newest cycles first, without phases, at most `limit`. The range is that of `started_at`;
    /// `environment` does not apply.
    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError>;

    /// One cycle with its phases.
    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError>;

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> DeliveryFacts for D {
    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError> {
        self.write(phases.to_vec(), |connection, phases| {
            Box::pin(phases::record(connection, phases))
        })
        .await
    }

    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError> {
        self.write(deployments.to_vec(), |connection, deployments| {
            Box::pin(facts::put_deployments(connection, deployments))
        })
        .await
    }

    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError> {
        self.write(incidents.to_vec(), |connection, incidents| {
            Box::pin(facts::put_incidents(connection, incidents))
        })
        .await
    }

    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Vec<Deployment>, StoreError> {
        self.read(View::Snapshot, filter.clone(), |connection, filter| {
            Box::pin(facts::deployments(connection, filter))
        })
        .await
    }

    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(facts::incidents(connection, filter))
        })
        .await
    }

    async fn phases(&self, filter: &DeliveryFilter) -> Result<Vec<PhaseRecord>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(phases::phases(connection, filter))
        })
        .await
    }

    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError> {
        self.read(
            View::Latest,
            (filter.clone(), limit),
            |connection, (filter, limit)| Box::pin(phases::cycles(connection, filter, *limit)),
        )
        .await
    }

    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError> {
        self.read(
            View::Snapshot,
            cycle_id.to_owned(),
            |connection, cycle_id| Box::pin(phases::cycle(connection, cycle_id)),
        )
        .await
    }

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError> {
        self.read(View::Snapshot, id.clone(), |connection, id| {
            Box::pin(async move {
                Ok(RequestEvents {
                    phases: phases::of_request(connection, id).await?,
                    deployments: facts::deployments_of_request(connection, id).await?,
                    incidents: facts::incidents_of_request(connection, id).await?,
                })
            })
        })
        .await
    }
}
