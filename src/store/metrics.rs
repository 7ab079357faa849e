//! The seam of the metrics layer: small, relational, kept for ever, every write idempotent.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Cycle, Deployment, Incident, PhaseRecord};
use crate::domain::record::RequestId;
use crate::domain::time::{TimeRange, Timestamp};

use super::error::{Backend, StoreError};

/// What a write changed. Writing the same rows again gives `{ inserted: 0, updated: 0, unchanged: n }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
}

/// Narrows the delivery facts; `None` takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryFilter {
    pub range: Option<TimeRange>,
    pub service: Option<String>,
    pub team: Option<String>,
    pub environment: Option<String>,
}

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

/// Metrics events that carry one request id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestEvents {
    pub phases: Vec<PhaseRecord>,
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
}

#[async_trait]
pub trait MetricsStore: Send + Sync + 'static {
    fn backend(&self) -> Backend;

    /// Where the store is, for messages: a path or an address.
    fn address(&self) -> String;

    /// Records phases; (cycle, phase, attempt) is the key. The cycle's row is made or widened with
    /// them, in the same transaction.
    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError>;

    /// By id. Commits come and go with their deployment.
    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError>;

    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError>;

    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError>;

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError>;

    /// By `finished_at`, oldest first.
    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Vec<Deployment>, StoreError>;

    /// Incidents open at any time within the range, by `opened_at`. `team` and `environment` do
    /// not apply to incidents.
    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError>;

    /// Phases by `recorded_at`, oldest first.
    async fn phases(&self, filter: &DeliveryFilter) -> Result<Vec<PhaseRecord>, StoreError>;

    /// Newest cycles first, without phases, at most `limit`.
    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError>;

    /// One cycle with its phases.
    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError>;

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError>;
}
