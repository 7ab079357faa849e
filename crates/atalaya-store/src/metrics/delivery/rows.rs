//! Rows as the tables have them, and the way to and from the domain's types.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::StoreError;
use crate::metrics::sql::corrupt;
use atalaya_domain::delivery::{
    Cycle, Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Incident, Phase,
    PhaseRecord,
};
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;

/// Equality of two rows is what "unchanged" means; see [`PhaseRow::in_our_words`].
#[derive(Clone, PartialEq, sqlx::FromRow)]
pub(super) struct PhaseRow {
    pub cycle_id: String,
    pub feature_id: String,
    pub phase_name: String,
    pub attempt: u32,
    pub decision: String,
    pub duration_seconds: f64,
    pub metadata: String,
    pub created_at: i64,
}

impl PhaseRow {
    pub fn of(phase: &PhaseRecord) -> Result<Self, StoreError> {
        Ok(Self {
            cycle_id: phase.cycle_id.clone(),
            feature_id: phase.feature_id.clone(),
            phase_name: phase.phase.name().to_owned(),
            attempt: phase.attempt,
            decision: phase.decision.name().to_owned(),
            // Whole microseconds, as everywhere; an f64 holds them exactly for 285 years.
            duration_seconds: phase.duration.as_micros() as f64 / 1e6,
            metadata: serde_json::to_string(&phase.metadata)
                .map_err(|error| corrupt("dora_metrics", &phase.cycle_id, error))?,
            created_at: phase.recorded_at.micros(),
        })
    }

    /// The row with its metadata spelt as this program spells it: a database with a JSON type of
    /// its own (MySQL) gives the same value back with other spaces and another order of keys.
    pub fn in_our_words(self) -> Result<Self, StoreError> {
        let metadata: BTreeMap<String, serde_json::Value> = serde_json::from_str(&self.metadata)
            .map_err(|error| corrupt("dora_metrics", &self.cycle_id, error))?;
        let metadata = serde_json::to_string(&metadata)
            .map_err(|error| corrupt("dora_metrics", &self.cycle_id, error))?;
        Ok(Self { metadata, ..self })
    }

    pub fn into_record(self) -> Result<PhaseRecord, StoreError> {
        let key = || format!("{}/{}#{}", self.cycle_id, self.phase_name, self.attempt);
        let wrong = |what: &str, word: &str| {
            corrupt("dora_metrics", &key(), format!("unknown {what} `{word}`"))
        };
        Ok(PhaseRecord {
            phase: Phase::from_word(&self.phase_name)
                .ok_or_else(|| wrong("phase", &self.phase_name))?,
            decision: Decision::from_word(&self.decision)
                .ok_or_else(|| wrong("decision", &self.decision))?,
            attempt: self.attempt,
            duration: Duration::from_micros((self.duration_seconds * 1e6).round() as u64),
            recorded_at: Timestamp::from_micros(self.created_at),
            metadata: serde_json::from_str(&self.metadata)
                .map_err(|error| corrupt("dora_metrics", &key(), error))?,
            cycle_id: self.cycle_id,
            feature_id: self.feature_id,
        })
    }
}

#[derive(Clone, PartialEq, sqlx::FromRow)]
pub(super) struct CycleRow {
    pub cycle_id: String,
    pub feature_id: String,
    pub team: Option<String>,
    pub service: Option<String>,
    pub started_at: i64,
    pub finished_at: Option<i64>,
}

impl CycleRow {
    pub fn into_cycle(self, phases: Vec<PhaseRecord>) -> Cycle {
        Cycle {
            cycle_id: self.cycle_id,
            feature_id: self.feature_id,
            team: self.team,
            service: self.service,
            started_at: Timestamp::from_micros(self.started_at),
            finished_at: self.finished_at.map(Timestamp::from_micros),
            phases,
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct DeploymentRow {
    pub id: String,
    pub service: String,
    pub team: Option<String>,
    pub environment: String,
    pub commit_sha: Option<String>,
    pub started_at: Option<i64>,
    pub finished_at: i64,
    pub result: String,
    pub kind: String,
    pub request_id: Option<String>,
    pub cycle_id: Option<String>,
    pub origin: String,
    pub taken_back_by: Option<String>,
    pub commits_known: bool,
}

impl DeploymentRow {
    /// `commits` are those of this deployment, oldest first.
    pub fn into_deployment(self, commits: Vec<DeployedCommit>) -> Result<Deployment, StoreError> {
        let wrong = |what: &str, word: &str| {
            corrupt("deployments", &self.id, format!("unknown {what} `{word}`"))
        };
        Ok(Deployment {
            result: DeploymentResult::from_word(&self.result)
                .ok_or_else(|| wrong("result", &self.result))?,
            kind: DeploymentKind::from_word(&self.kind).ok_or_else(|| wrong("kind", &self.kind))?,
            id: self.id,
            service: self.service,
            team: self.team,
            environment: self.environment,
            commit: self.commit_sha,
            started_at: self.started_at.map(Timestamp::from_micros),
            finished_at: Timestamp::from_micros(self.finished_at),
            request_id: self.request_id.map(RequestId::new),
            cycle_id: self.cycle_id,
            origin: self.origin,
            taken_back_by: self.taken_back_by,
            commits: self.commits_known.then_some(commits),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct CommitRow {
    pub deployment_id: String,
    pub sha: String,
    pub authored_at: i64,
    pub committed_at: i64,
    pub title: String,
    pub reverts: bool,
}

impl CommitRow {
    pub fn into_commit(self) -> DeployedCommit {
        DeployedCommit {
            sha: self.sha,
            authored_at: Timestamp::from_micros(self.authored_at),
            committed_at: Timestamp::from_micros(self.committed_at),
            title: self.title,
            reverts: self.reverts,
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct IncidentRow {
    pub id: String,
    pub title: String,
    pub service: Option<String>,
    pub severity: Option<String>,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    pub cause: Option<String>,
    pub caused_by: Option<String>,
    pub request_id: Option<String>,
    pub origin: String,
}

impl IncidentRow {
    pub fn into_incident(self) -> Incident {
        Incident {
            id: self.id,
            title: self.title,
            service: self.service,
            severity: self.severity,
            opened_at: Timestamp::from_micros(self.opened_at),
            resolved_at: self.resolved_at.map(Timestamp::from_micros),
            cause: self.cause,
            caused_by: self.caused_by,
            request_id: self.request_id.map(RequestId::new),
            origin: self.origin,
        }
    }
}
