//! The seam of the metrics layer: small, relational, kept for ever, every write idempotent.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use atalaya_domain::delivery::{Cycle, Deployment, Incident, Phase, PhaseRecord};
use atalaya_domain::health::database::Database;
use atalaya_domain::pdca::PdcaEvent;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

use super::error::{Backend, StoreError};

pub(crate) mod sql;

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

/// How long a phase took over a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PhaseDurations {
    /// Phases that the mean was taken from.
    pub phases: u64,
    /// `None` when there were none: that is not "zero seconds".
    pub mean_seconds: Option<f64>,
}

/// Deployment phases of one team over a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TeamDeployments {
    /// `None` for those that name no team.
    pub team: Option<String>,
    pub deployments: u64,
}

/// The older tool's change failure rate: testing phases that ended in `no-go` among all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TestingFailures {
    pub testing: u64,
    pub no_go: u64,
}

impl TestingFailures {
    /// 0 to 100; `None` without a testing phase.
    pub fn percent(self) -> Option<f64> {
        (self.testing > 0).then(|| self.no_go as f64 / self.testing as f64 * 100.0)
    }
}

/// Testing time of the features with one number of story points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PointsDuration {
    pub story_points: f64,
    pub phases: u64,
    pub mean_seconds: f64,
}

#[async_trait]
pub trait MetricsStore: Send + Sync + 'static {
    fn backend(&self) -> Backend;

    /// Where the store is, for messages: a path or an address.
    fn address(&self) -> String;

    /// Records phases; (cycle, phase, attempt) is the key. The cycle's row is made or widened with
    /// them, in the same transaction: it starts with its first phase or deployment, and finishes
    /// with the first deployment that passed.
    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError>;

    /// By id. Commits come and go with their deployment. A cycle that a deployment names is made
    /// when nobody recorded it yet.
    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError>;

    /// By id. Refused as a whole when an incident names a deployment that is not in the store.
    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError>;

    async fn put_source(&self, run: &SourceRun) -> Result<(), StoreError>;

    async fn sources(&self) -> Result<Vec<SourceRun>, StoreError>;

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

    /// Mean duration of a phase: of `deployment` over 30 days, the older tool's lead time.
    async fn phase_durations(
        &self,
        phase: Phase,
        range: TimeRange,
    ) -> Result<PhaseDurations, StoreError>;

    /// Mean duration of the maintenance phases that ended in `resolved`: the older tool's recovery time.
    async fn recovery_durations(&self, range: TimeRange) -> Result<PhaseDurations, StoreError>;

    /// Deployment phases per team, the busiest first, then by name.
    async fn deployments_per_team(
        &self,
        range: TimeRange,
    ) -> Result<Vec<TeamDeployments>, StoreError>;

    async fn testing_failures(&self, range: TimeRange) -> Result<TestingFailures, StoreError>;

    /// Mean duration of the testing phases by `metadata.story_points`, ascending; phases without
    /// points take no part.
    async fn testing_by_story_points(
        &self,
        range: TimeRange,
    ) -> Result<Vec<PointsDuration>, StoreError>;

    /// Appends one event to the history of its PDCA cycle; the first one makes the cycle. Refused
    /// unless `seq` is the next one: somebody else has changed the cycle meanwhile. The same event
    /// again changes nothing.
    async fn append_pdca_event(&self, event: &PdcaEvent) -> Result<Written, StoreError>;

    /// The events of one cycle (empty when there is none of that id), or of all: by cycle, in order.
    async fn pdca_events(&self, pdca_id: Option<&str>) -> Result<Vec<PdcaEvent>, StoreError>;

    /// By (metric, service, team). A value that is already set to the same leaves `set_at` alone.
    async fn put_target(&self, target: &Target) -> Result<Written, StoreError>;

    /// By metric, service, team; those for all services first.
    async fn targets(&self) -> Result<Vec<Target>, StoreError>;

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

    /// What the database says of its size and its work, for the health view. What it does not
    /// tell is left out; cheap enough for every few seconds.
    async fn vitals(&self) -> Result<Database, StoreError> {
        Ok(Database::default())
    }
}
