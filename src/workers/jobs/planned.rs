//! The jobs as they are configured.

use std::sync::Arc;
use std::time::Duration;

use super::super::scheduler::lease_name;
use super::{Job, JobSpec, all};
use crate::config::Settings;
use crate::service;
use crate::service::jobs::JobInfo;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::job::{Plan, Schedule, Zone};
use atalaya_query::suggest::nearest;

/// A mistake in `[jobs]` or `[service]`, with its place and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PlanningError {
    pub place: String,
    pub message: String,
}

impl PlanningError {
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// A job with its schedule.
#[derive(Clone)]
pub struct Planned {
    pub job: Arc<dyn Job>,
    pub spec: JobSpec,
    pub plan: Plan,
    /// As it is configured; a person may have said otherwise since (`JobState::enabled`).
    pub enabled: bool,
}

/// Everything that a scheduler goes by.
#[derive(Clone)]
pub struct Planning {
    pub settings: Arc<Settings>,
    pub jobs: Vec<Planned>,
    /// How long a lease is.
    pub lease: Duration,
    /// Only what is asked for is run: a command runs one job and leaves the slots to a service.
    pub requests_only: bool,
}

impl Planning {
    /// The jobs of this program by what is configured.
    ///
    /// # Errors
    /// The first thing in `[jobs]` or `[service]` that cannot be so.
    pub fn configured(settings: &Settings) -> Result<Self, PlanningError> {
        Self::of(settings, all())
    }

    /// The same with other jobs, for tests.
    ///
    /// # Errors
    /// As [`configured`](Self::configured).
    pub fn of(settings: &Settings, jobs: Vec<Arc<dyn Job>>) -> Result<Self, PlanningError> {
        let specs: Vec<JobSpec> = jobs.iter().map(|job| job.spec()).collect();
        for name in settings.jobs.keys() {
            if !specs.iter().any(|spec| spec.name == name) {
                return Err(unknown(settings, name, &specs));
            }
        }
        let service = &settings.service;
        if !(2..=3_600).contains(&service.lease_seconds) {
            let place = place(settings, "service.lease_seconds");
            let message = format!(
                "{} is not between 2 and 3600 seconds",
                service.lease_seconds
            );
            return Err(PlanningError { place, message });
        }
        let zone = zone(settings)?;
        let jobs = jobs
            .into_iter()
            .zip(specs)
            .map(|(job, spec)| {
                let configured = settings.jobs.get(spec.name);
                let elsewhere = job.configured_schedule(settings);
                let text = configured
                    .and_then(|job| job.schedule.as_deref())
                    .or(elsewhere.as_deref());
                let schedule: Schedule = text.unwrap_or(spec.schedule).parse().map_err(
                    |error: atalaya_domain::job::ScheduleError| PlanningError {
                        place: place(settings, &format!("jobs.{}.schedule", spec.name)),
                        message: error.to_string(),
                    },
                )?;
                Ok(Planned {
                    plan: Plan::new(spec.name, schedule, zone, spec.jitter),
                    enabled: configured.and_then(|job| job.enabled).unwrap_or(true),
                    job,
                    spec,
                })
            })
            .collect::<Result<_, PlanningError>>()?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            jobs,
            lease: Duration::from_secs(service.lease_seconds.into()),
            requests_only: false,
        })
    }

    /// Only this job, and only when it is asked for.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        self.jobs.retain(|job| job.spec.name == name);
        self.requests_only = true;
        self
    }

    /// The jobs for people: what they are, and which lease they need on this host.
    pub fn infos(&self, host: &str) -> Vec<JobInfo> {
        let infos = self.jobs.iter().map(|job| JobInfo {
            name: job.spec.name,
            what: job.spec.what,
            lease: lease_name(job.spec.seat, host),
            schedule: job.plan.schedule.to_string(),
            zone: job.plan.zone.name(),
            enabled: job.enabled,
        });
        infos.collect()
    }

    /// The job of this name.
    ///
    /// # Errors
    /// There is none; the message names the nearest.
    pub fn job(&self, name: &str) -> Result<&Planned, PlanningError> {
        let known = self.jobs.iter().find(|job| job.spec.name == name);
        known.ok_or_else(|| {
            let specs: Vec<JobSpec> = self.jobs.iter().map(|job| job.spec).collect();
            PlanningError {
                place: format!("job `{name}`"),
                message: no_such_job(name, &specs),
            }
        })
    }
}

/// The zone in which jobs mean hours of the day.
pub(super) fn zone(settings: &Settings) -> Result<Zone, PlanningError> {
    match &settings.service.timezone {
        None => Ok(service::dora::zone(settings.ingest.timezone.as_deref())),
        Some(name) => name.parse().map_err(|_| PlanningError {
            place: place(settings, "service.timezone"),
            message: format!("`{name}` is no time zone; write one like Europe/Madrid or UTC"),
        }),
    }
}

fn unknown(settings: &Settings, name: &str, specs: &[JobSpec]) -> PlanningError {
    let key = format!("jobs.{name}");
    let within = format!("{key}.");
    let written = settings
        .values
        .iter()
        .find(|value| value.key == key || value.key.starts_with(&within));
    PlanningError {
        place: match written {
            Some(value) => format!("{}: {key}", value.layer),
            None => key,
        },
        message: no_such_job(name, specs),
    }
}

fn no_such_job(name: &str, specs: &[JobSpec]) -> String {
    let names = specs.iter().map(|spec| spec.name);
    match nearest(name, names.clone()) {
        Some(near) => format!("there is no such job; did you mean `{near}`?"),
        None => format!(
            "there is no such job; there are {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The key with the file or variable that it stands in.
fn place(settings: &Settings, key: &str) -> String {
    match settings.values.iter().find(|value| value.key == key) {
        Some(value) => format!("{}: {key}", value.layer),
        None => key.to_owned(),
    }
}
