//! Deployments, commits and incidents for tests, in hours after a fixed Monday.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PRODUCTION;
use crate::delivery::{
    Decision, DeployedCommit, Deployment, DeploymentKind, DeploymentResult, Incident, Phase,
    PhaseRecord,
};
use crate::time::{TimeRange, Timestamp};

/// 2026-10-05, a Monday, 00:00 UTC, plus so many hours.
pub fn hour(hours: f64) -> Timestamp {
    Timestamp::from_micros(1_791_158_400_000_000 + (hours * 3.6e9) as i64)
}

/// The four weeks from that Monday.
pub fn window() -> TimeRange {
    TimeRange::new(hour(0.0), hour(28.0 * 24.0))
}

pub fn deployment(id: &str, at: f64) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service: "shop".to_owned(),
        team: Some("blue".to_owned()),
        environment: PRODUCTION.to_owned(),
        commit: Some(format!("{id}-head")),
        started_at: None,
        finished_at: hour(at),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "test".to_owned(),
        taken_back_by: None,
        commits: None,
    }
}

pub fn commit(sha: &str, authored: f64, committed: f64) -> DeployedCommit {
    DeployedCommit {
        sha: sha.to_owned(),
        authored_at: hour(authored),
        committed_at: hour(committed),
        title: format!("change {sha}"),
        reverts: false,
    }
}

/// A deployment at `at` with one commit authored and committed `lead` hours before.
pub fn carrying(id: &str, at: f64, lead: f64) -> Deployment {
    Deployment {
        commits: Some(vec![commit(&format!("{id}-1"), at - lead, at - lead)]),
        ..deployment(id, at)
    }
}

pub fn incident(id: &str, opened: f64, resolved: Option<f64>) -> Incident {
    Incident {
        id: id.to_owned(),
        title: format!("trouble {id}"),
        service: Some("shop".to_owned()),
        severity: None,
        opened_at: hour(opened),
        resolved_at: resolved.map(hour),
        cause: None,
        caused_by: None,
        request_id: None,
        origin: "test".to_owned(),
    }
}

pub fn phase(cycle: &str, phase: Phase, decision: Decision, at: f64, seconds: u64) -> PhaseRecord {
    PhaseRecord {
        cycle_id: cycle.to_owned(),
        feature_id: "FEAT-1".to_owned(),
        phase,
        attempt: 1,
        decision,
        duration: Duration::from_secs(seconds),
        recorded_at: hour(at),
        metadata: BTreeMap::new(),
    }
}
