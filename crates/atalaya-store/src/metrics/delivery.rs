//! Delivery: phases of cycles, deployments with their commits, incidents.

use std::fmt;

use async_trait::async_trait;

use self::cycles::Extent;
use super::Written;
use super::sql::{SqlDatabase, View};
use crate::error::StoreError;
use atalaya_domain::delivery::{Cycle, Deployment, Incident, PhaseRecord};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};

mod cycles;
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

/// Phases to record with what they are beyond themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CyclesToRecord {
    pub phases: Vec<PhaseRecord>,
    /// Of the deployments and incidents that are new by them.
    pub origin: String,
}

/// What recording cycles changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CyclesRecorded {
    pub phases: Written,
    pub deployments: Written,
    pub incidents: Written,
    /// Cycles that were not recorded: their id is another cycle's.
    pub conflicts: Vec<CycleConflict>,
}

/// A cycle id that comes with another feature or team than the one it is known with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleConflict {
    pub cycle_id: String,
    /// `feature` or `team`.
    pub what: &'static str,
    pub known: String,
    pub given: String,
}

impl fmt::Display for CycleConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cycle `{}` is of {what} `{}`, not of {what} `{}`",
            self.cycle_id,
            self.known,
            self.given,
            what = self.what
        )
    }
}

/// A row that is in the store and in no list, because this program does not know what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub table: &'static str,
    /// Its key, and what it says.
    pub detail: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "a row of {} cannot be read and counts nowhere: {}",
            self.table, self.detail
        )
    }
}

/// What a list has of a table, and what it had to leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    pub read: Vec<T>,
    /// Rows of the same range and filter that are in no list.
    pub unreadable: Vec<Unreadable>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl<T> Rows<T> {
    /// Sorts out what could be read; a row that could not takes no other one with it.
    fn of(table: &'static str, rows: impl IntoIterator<Item = Result<T, StoreError>>) -> Self {
        let mut sorted = Self::default();
        for row in rows {
            match row {
                Ok(row) => sorted.read.push(row),
                Err(error) => sorted.unreadable.push(Unreadable {
                    table,
                    detail: match error {
                        StoreError::Corrupt { detail, .. } => detail,
                        other => other.to_string(),
                    },
                }),
            }
        }
        sorted
    }
}

#[async_trait]
pub trait DeliveryFacts {
    /// Records phases with the deployments and incidents that they are: a deployment phase is a
    /// deployment, and the maintenance and recovery phases of a cycle are folded into incidents,
    /// each laid to the cycle's last deployment before it. In one transaction; a cycle that is in
    /// conflict is left as it is, and named.
    async fn record_cycles(&self, cycles: &CyclesToRecord) -> Result<CyclesRecorded, StoreError>;

    /// Records phases; (cycle, phase, attempt) is the key. The cycle's row is made or widened with
    /// them, in the same transaction: it starts with its first phase or deployment, and finishes
    /// with the first deployment that passed.
    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError>;

    /// By id. Commits come and go with their deployment. A cycle that a deployment names is made
    /// when nobody recorded it yet.
    async fn put_deployments(&self, deployments: &[Deployment]) -> Result<Written, StoreError>;

    /// By id. Refused as a whole when an incident names a deployment that is not in the store.
    async fn put_incidents(&self, incidents: &[Incident]) -> Result<Written, StoreError>;

    async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError>;

    /// When the last deployment that reached users finished.
    async fn last_deployed(&self, filter: &DeliveryFilter)
    -> Result<Option<Timestamp>, StoreError>;

    /// One deployment with its commits.
    async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError>;

    /// By `finished_at`, oldest first.
    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Rows<Deployment>, StoreError>;

    /// Incidents open at any time within the range, by `opened_at`. `team` and `environment` do
    /// not apply to incidents.
    async fn incidents(&self, filter: &DeliveryFilter) -> Result<Vec<Incident>, StoreError>;

    /// Phases by `recorded_at`, oldest first. Service and team are those of the metadata;
    /// `environment` does not apply to phases.
    async fn phases(&self, filter: &DeliveryFilter) -> Result<Rows<PhaseRecord>, StoreError>;

    /// Newest cycles first, without phases, at most `limit`. The range is that of `started_at`;
    /// `environment` does not apply.
    async fn cycles(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<Cycle>, StoreError>;

    /// One cycle with its phases.
    async fn cycle(&self, cycle_id: &str) -> Result<Option<Cycle>, StoreError>;

    async fn events_of_request(&self, id: &RequestId) -> Result<RequestEvents, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> DeliveryFacts for D {
    async fn record_cycles(&self, cycles: &CyclesToRecord) -> Result<CyclesRecorded, StoreError> {
        self.write(cycles.clone(), |connection, cycles| {
            Box::pin(cycles::record(
                connection,
                &cycles.phases,
                Extent::Cycles {
                    origin: &cycles.origin,
                },
            ))
        })
        .await
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError> {
        self.read(View::Latest, id.to_owned(), |connection, id| {
            Box::pin(facts::incident(connection, id))
        })
        .await
    }

    async fn last_deployed(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read(View::Latest, filter.clone(), |connection, filter| {
            Box::pin(facts::last_deployed(connection, filter))
        })
        .await
    }

    async fn deployment(&self, id: &str) -> Result<Option<Deployment>, StoreError> {
        self.read(View::Snapshot, id.to_owned(), |connection, id| {
            Box::pin(facts::deployment(connection, id))
        })
        .await
    }

    async fn record_phases(&self, phases: &[PhaseRecord]) -> Result<Written, StoreError> {
        self.write(phases.to_vec(), |connection, phases| {
            Box::pin(cycles::record(connection, phases, Extent::PhasesAlone))
        })
        .await
        .map(|recorded| recorded.phases)
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

    async fn deployments(&self, filter: &DeliveryFilter) -> Result<Rows<Deployment>, StoreError> {
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

    async fn phases(&self, filter: &DeliveryFilter) -> Result<Rows<PhaseRecord>, StoreError> {
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
                    phases: phases::of_request(connection, id).await?.read,
                    deployments: facts::deployments_of_request(connection, id).await?.read,
                    incidents: facts::incidents_of_request(connection, id).await?,
                })
            })
        })
        .await
    }
}
