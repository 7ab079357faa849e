//! The seam of the metrics layer: small, relational, kept for ever, every write idempotent.
//!
//! One file for each aggregate, with its types, its trait, and that trait for every database that
//! speaks SQL ([`sql::SqlDatabase`]). [`MetricsStore`] is their sum, for whoever holds a store
//! behind a pointer; what needs one aggregate asks for its trait.
//!
//! A new aggregate is a file like [`targets`], a line in `MetricsStore`, and its tables in
//! `migrations/`.

use std::ops::AddAssign;
use std::sync::Arc;

use serde::Serialize;

use super::error::Backend;
use atalaya_domain::lease::Fence;
use sql::SqlDatabase;
use sql::fenced::Fenced;

pub mod alerts;
pub mod backups;
pub mod cursors;
pub mod delivery;
pub mod jobs;
pub mod lease;
pub mod outbox;
pub mod pdca;
pub mod pipelines;
pub mod pull_requests;
pub mod questions;
pub mod repositories;
pub mod samples;
pub mod snapshot;
pub mod sources;
pub(crate) mod sql;
pub mod targets;
pub mod tokens;
pub mod vitals;

pub use alerts::{AlertChange, AlertFilter, Alerts, Ended, FiringCount, StoredRule};
pub use backups::Backups;
pub use cursors::{Cursors, SourceCommit, SourceCursor};
pub use delivery::{
    CycleConflict, CyclesRecorded, CyclesToRecord, DeliveryFacts, DeliveryFilter, RequestEvents,
    Rows, Unreadable,
};
pub use jobs::{Claimed, JobRun, JobState, Jobs, RunClaim, RunFilter, RunPrune};
pub use lease::Leases;
pub use outbox::{ChannelState, Outbox, Queued, Tried};
pub use pdca::PdcaHistory;
pub use pipelines::{KeptRun, Pipelines};
pub use pull_requests::PullRequests;
pub use questions::{
    PhaseDurations, PhaseQuestions, PointsDuration, TeamDeployments, TestingFailures,
};
pub use repositories::{Repositories, Repository};
pub use samples::{HealthSample, HealthSamples};
pub use snapshot::Snapshots;
pub use sources::{SourceRun, Sources};
pub use targets::{Target, Targets};
pub use tokens::Tokens;
pub use vitals::Vitals;

/// All aggregates of one database.
pub trait MetricsStore:
    DeliveryFacts
    + PhaseQuestions
    + PdcaHistory
    + Sources
    + Repositories
    + Cursors
    + PullRequests
    + Targets
    + HealthSamples
    + Leases
    + Jobs
    + Backups
    + Snapshots
    + Alerts
    + Outbox
    + Tokens
    + Pipelines
    + Vitals
    + Send
    + Sync
    + 'static
{
    fn backend(&self) -> Backend;

    /// Where the store is, for messages: a path or an address.
    fn address(&self) -> String;

    /// The same store for who works on behalf of a lease: each of its writes looks, in its own
    /// transaction, whether the fence is the lease's, and else fails with
    /// [`StoreError::Fenced`](super::error::StoreError::Fenced).
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn MetricsStore>;
}

impl<D: SqlDatabase> MetricsStore for D {
    fn backend(&self) -> Backend {
        SqlDatabase::backend(self)
    }

    fn address(&self) -> String {
        SqlDatabase::address(self)
    }

    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn MetricsStore> {
        let inner = self.bare();
        Arc::new(Fenced { inner, fence })
    }
}

/// What a write changed. Writing the same rows again gives `{ inserted: 0, updated: 0, unchanged: n }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, part: Self) {
        self.inserted += part.inserted;
        self.updated += part.updated;
        self.unchanged += part.unchanged;
    }
}

impl Written {
    const NOTHING: Self = Self {
        inserted: 0,
        updated: 0,
        unchanged: 0,
    };

    pub(crate) const fn inserted(inserted: u64) -> Self {
        Self {
            inserted,
            ..Self::NOTHING
        }
    }

    pub(crate) const fn updated(updated: u64) -> Self {
        Self {
            updated,
            ..Self::NOTHING
        }
    }

    pub(crate) const fn unchanged(unchanged: u64) -> Self {
        Self {
            unchanged,
            ..Self::NOTHING
        }
    }
}
