//! Which deployments reached users, which of them failed, and which incident belongs to which.
//!
//! An explicit link beats time: the deployment's id, its cycle, its commit or its request id. Time
//! is a stated guess: the last deployment of the same service that finished before the incident
//! opened, at most a cap (24 h by default) earlier. Whatever fits neither stays unlinked and is
//! counted as such.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::lookup::{Lookup, lower};
use super::{Facts, Scope, show_hours};
use crate::delivery::{Deployment, DeploymentKind, DeploymentResult, Incident, Phase};
use crate::time::{TimeRange, Timestamp};

/// Why an incident is laid to a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkBasis {
    /// The incident names the deployment, its cycle or its commit.
    Explicit,
    /// Both carry the same request id.
    Request,
    /// It opened this many hours after the deployment.
    Time { hours: f64 },
}

impl LinkBasis {
    pub fn show(self) -> String {
        match self {
            Self::Explicit => "explicit".to_owned(),
            Self::Request => "by request id".to_owned(),
            Self::Time { hours } => format!("by time, {} after", show_hours(hours)),
        }
    }
}

/// A rollback takes back what failed at most this long before it.
const ROLLBACK_REACH: Duration = Duration::from_hours(7 * 24);

/// Why an incident has no deployment.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlinked {
    /// It names something that is not among the deployments known.
    UnknownCause(String),
    /// No deployment finished within the cap before it.
    NothingBefore { nearest: Option<Nearest> },
}

/// The deployment that an incident could be laid to by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    pub deployment: String,
    /// From the deployment to the incident; negative when it came later.
    pub hours: f64,
}

impl Unlinked {
    pub fn show(&self, cap: Duration) -> String {
        match self {
            Self::UnknownCause(cause) => {
                format!("names `{cause}`, which is no deployment known here")
            }
            Self::NothingBefore { nearest } => {
                let cap = show_hours(cap.as_secs_f64() / 3_600.0);
                let nearest = nearest.as_ref().map_or_else(String::new, |nearest| {
                    let side = if nearest.hours < 0.0 {
                        "after"
                    } else {
                        "before"
                    };
                    format!(
                        "; the nearest is {}, {} {side} it",
                        nearest.deployment,
                        show_hours(nearest.hours.abs())
                    )
                });
                format!("no deployment in the {cap} before it{nearest}")
            }
        }
    }
}

/// What speaks for a deployment having failed; at least one part is set.
#[derive(Clone, Debug, Default)]
pub struct Failure<'a> {
    /// The source's own word: failed or rolled back.
    pub said: Option<DeploymentResult>,
    /// By opening time.
    pub incidents: Vec<(&'a Incident, LinkBasis)>,
    pub rolled_back_by: Option<&'a Deployment>,
    /// The next success of the service; set where a source says that it failed.
    pub recovered_by: Option<&'a Deployment>,
}

impl Failure<'_> {
    /// The evidence in words.
    pub fn show(&self) -> String {
        let mut parts: Vec<String> = self
            .incidents
            .iter()
            .map(|(incident, basis)| format!("incident {} ({})", incident.id, basis.show()))
            .collect();
        if let Some(rollback) = self.rolled_back_by {
            let how = if rollback.kind == DeploymentKind::Rollback {
                "rolled back by"
            } else {
                "a commit of it was reverted in"
            };
            parts.push(format!("{how} {}", rollback.id));
        }
        if parts.is_empty() {
            parts.push(match self.said {
                Some(result) => format!("recorded as {}", result.name()),
                None => "recorded as failed".to_owned(),
            });
        }
        parts.join(", ")
    }
}

/// The deployments of one environment that reached users, and everything known against them.
///
/// Links are made over the whole environment and only then narrowed to a service or team: an
/// incident must not be laid to our deployment because a closer one of others was filtered away.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// By finish time.
    pub deployments: Vec<&'a Deployment>,
    /// By index into `deployments`.
    pub failures: BTreeMap<usize, Failure<'a>>,
    pub incidents: Vec<(&'a Incident, Result<(usize, LinkBasis), Unlinked>)>,
    /// How long before an incident a deployment may have finished to be its cause by time.
    pub cap: Duration,
    /// Runs that never reached users; in no formula.
    pub aborted: Vec<&'a Deployment>,
    /// Indices whose commit had been deployed to the same service before.
    pub redeploys: HashSet<usize>,
    /// For each deployment, the last successful one of its service before it.
    pub previous: Vec<Option<usize>>,
    lookup: Lookup<'a>,
    /// Start of the first phase of each cycle that comes before a deployment.
    pub(super) cycle_starts: HashMap<&'a str, Timestamp>,
}

impl<'a> Delivered<'a> {
    pub fn link(facts: &Facts<'a>, environment: &str, cap: Duration) -> Self {
        let (mut deployments, aborted): (Vec<&Deployment>, Vec<&Deployment>) = facts
            .deployments
            .iter()
            .filter(|deployment| deployment.environment == environment)
            .partition(|deployment| deployment.result != DeploymentResult::Aborted);
        deployments.sort_by(|a, b| (a.finished_at, &a.id).cmp(&(b.finished_at, &b.id)));

        let mut delivered = Self {
            lookup: Lookup::new(&deployments),
            deployments,
            failures: BTreeMap::new(),
            incidents: Vec::with_capacity(facts.incidents.len()),
            cap,
            aborted,
            redeploys: HashSet::new(),
            previous: Vec::new(),
            cycle_starts: HashMap::new(),
        };
        for phase in facts
            .phases
            .iter()
            .filter(|phase| phase.phase < Phase::Deployment)
        {
            let start = phase.recorded_at.saturating_sub(phase.duration);
            let known = delivered
                .cycle_starts
                .entry(&phase.cycle_id)
                .or_insert(start);
            *known = start.min(*known);
        }
        delivered.find_previous();
        delivered.find_redeploys();
        delivered.take_results();
        delivered.pair_rollbacks();
        delivered.find_recoveries();
        delivered.link_incidents(facts.incidents);
        delivered
    }

    /// Indices of the deployments of a scope that finished within a range.
    pub fn within<'s>(
        &'s self,
        scope: &'s Scope,
        range: TimeRange,
    ) -> impl Iterator<Item = usize> + 's {
        let from = self
            .deployments
            .partition_point(|deployment| deployment.finished_at < range.from);
        self.deployments[from..]
            .iter()
            .take_while(move |deployment| deployment.finished_at < range.until)
            .enumerate()
            .filter(|(_, deployment)| scope.admits(deployment))
            .map(move |(offset, _)| from + offset)
    }

    /// Whether an incident may speak about a deployment of this scope.
    pub fn admits_incident(&self, scope: &Scope, index: usize) -> bool {
        let (incident, link) = &self.incidents[index];
        match link {
            Ok((deployment, _)) => scope.admits(self.deployments[*deployment]),
            Err(_) => match (&scope.service, &incident.service) {
                (Some(wanted), Some(service)) => wanted == service,
                _ => true,
            },
        }
    }

    fn find_previous(&mut self) {
        let mut last: HashMap<&str, usize> = HashMap::new();
        for (index, deployment) in self.deployments.iter().enumerate() {
            self.previous
                .push(last.get(deployment.service.as_str()).copied());
            if deployment.result == DeploymentResult::Success {
                last.insert(&deployment.service, index);
            }
        }
    }

    fn find_redeploys(&mut self) {
        let mut seen: HashSet<(&str, Cow<'_, str>)> = HashSet::new();
        for (index, deployment) in self.deployments.iter().enumerate() {
            if let Some(commit) = &deployment.commit
                && !seen.insert((&deployment.service, lower(commit)))
            {
                self.redeploys.insert(index);
            }
        }
    }

    /// Where a commit went out first in this service.
    pub(super) fn first_carrier(&self, service: &str, sha: &str) -> Option<usize> {
        self.lookup.first_carrier(service, sha)
    }

    fn take_results(&mut self) {
        for (index, deployment) in self.deployments.iter().enumerate() {
            if matches!(
                deployment.result,
                DeploymentResult::Failed | DeploymentResult::RolledBack
            ) {
                self.failures.entry(index).or_default().said = Some(deployment.result);
            }
        }
    }

    /// First what the sources say themselves; any other rollback takes back the latest deployment
    /// of its service that failed not long before it and is not taken back yet, else simply the
    /// one before it.
    fn pair_rollbacks(&mut self) {
        let mut paired: HashSet<usize> = HashSet::new();
        for index in 0..self.deployments.len() {
            let taken_back_by = self.deployments[index].taken_back_by.as_deref();
            if let Some(by) = taken_back_by.and_then(|by| self.lookup.id(by)) {
                paired.insert(by);
                self.failures.entry(index).or_default().rolled_back_by = Some(self.deployments[by]);
            }
        }
        for index in 0..self.deployments.len() {
            let rollback = self.deployments[index];
            if rollback.kind != DeploymentKind::Rollback || paired.contains(&index) {
                continue;
            }
            let since = rollback.finished_at.saturating_sub(ROLLBACK_REACH);
            let of_service = self.lookup.of_service(&rollback.service);
            let mut earlier = of_service[..of_service.partition_point(|&other| other < index)]
                .iter()
                .rev()
                .copied();
            let Some(last) = earlier.next() else { continue };
            let unpaired = |other: &usize| {
                self.failures
                    .get(other)
                    .is_some_and(|failure| failure.rolled_back_by.is_none())
            };
            let taken_back = std::iter::once(last)
                .chain(earlier)
                .take_while(|&other| self.deployments[other].finished_at >= since)
                .find(unpaired)
                .unwrap_or(last);
            self.failures
                .entry(taken_back)
                .or_default()
                .rolled_back_by
                .get_or_insert(rollback);
        }
    }

    fn find_recoveries(&mut self) {
        let mut next: HashMap<&str, &Deployment> = HashMap::new();
        for (index, &deployment) in self.deployments.iter().enumerate().rev() {
            if let Some(failure) = self.failures.get_mut(&index)
                && failure.said.is_some()
            {
                failure.recovered_by = next.get(deployment.service.as_str()).copied();
            }
            if deployment.result == DeploymentResult::Success {
                next.insert(&deployment.service, deployment);
            }
        }
    }

    fn link_incidents(&mut self, incidents: &'a [Incident]) {
        let mut by_time: Vec<&Incident> = incidents.iter().collect();
        by_time.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        for incident in by_time {
            let link = self.deployment_of(incident);
            if let Ok((index, basis)) = &link {
                self.failures
                    .entry(*index)
                    .or_default()
                    .incidents
                    .push((incident, *basis));
            }
            self.incidents.push((incident, link));
        }
    }

    fn deployment_of(&self, incident: &Incident) -> Result<(usize, LinkBasis), Unlinked> {
        let named = |cause: &str| {
            self.lookup
                .named(&self.deployments, cause, incident.opened_at)
                .map(|index| (index, LinkBasis::Explicit))
        };
        if let Some(cause) = &incident.cause {
            return named(cause).ok_or_else(|| Unlinked::UnknownCause(cause.clone()));
        }
        if let Some(request) = &incident.request_id
            && let Some(index) = self.lookup.last_of_request(request.as_str())
        {
            return Ok((index, LinkBasis::Request));
        }
        // Nobody named it: where its cycle only deployed elsewhere (staging), time has to tell.
        incident
            .caused_by
            .as_deref()
            .and_then(named)
            .map_or_else(|| self.by_time(incident), Ok)
    }

    fn by_time(&self, incident: &Incident) -> Result<(usize, LinkBasis), Unlinked> {
        let (last, next) = match &incident.service {
            Some(service) => {
                let all = self.lookup.of_service(service);
                let next = all.partition_point(|&index| {
                    self.deployments[index].finished_at <= incident.opened_at
                });
                (
                    next.checked_sub(1).and_then(|last| all.get(last)).copied(),
                    all.get(next).copied(),
                )
            }
            None => {
                let next = self
                    .deployments
                    .partition_point(|deployment| deployment.finished_at <= incident.opened_at);
                (
                    next.checked_sub(1),
                    (next < self.deployments.len()).then_some(next),
                )
            }
        };
        let hours_since = |index: usize| {
            (incident.opened_at.micros() as f64
                - self.deployments[index].finished_at.micros() as f64)
                / 3.6e9
        };
        if let Some(index) = last
            && incident
                .opened_at
                .since(self.deployments[index].finished_at)
                <= self.cap
        {
            let hours = hours_since(index);
            return Ok((index, LinkBasis::Time { hours }));
        }
        let nearest = [last, next]
            .into_iter()
            .flatten()
            .map(|index| Nearest {
                deployment: self.deployments[index].id.clone(),
                hours: hours_since(index),
            })
            .min_by(|one, other| one.hours.abs().total_cmp(&other.hours.abs()));
        Err(Unlinked::NothingBefore { nearest })
    }
}
