//! The DORA use cases: one report for screen, command line and API alike, and the ways by which
//! facts come in. Every one of these may be repeated: it then changes nothing.

pub mod analytics;
pub mod facts;
mod gather;
mod window;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono_tz::Tz;

use crate::config::DoraConfig;
use atalaya_domain::delivery::{Deployment, Incident, PhaseRecord};
use atalaya_domain::dora::trend::whole_weeks;
use atalaya_domain::dora::{
    self, DoraReport, Facts, Note, NoteKind, Profile, Rules, Scope, Sources, Targets, ThresholdSet,
};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, Repository, SourceRun, Unreadable};

pub use facts::Prepared;
pub use gather::{
    Cause, Failure, GatherError, GithubOutcome, GithubProgress, GithubRequest, Here, ImportOutcome,
    IncidentError, NewIncident, Posted, RUN_ID, Recorded, RepositoryOutcome, SyncOutcome,
    SyncRequest, WouldWithdraw, github_client, github_request, here, import_file, link, open, post,
    record, record_anyway, resolve, sync_due, sync_git, sync_github, sync_options,
};
pub use window::{BadWindow, Window, WindowWords, last_day, quarter};

/// Unreadable rows that a report names one by one.
const UNREADABLE: usize = 20;
/// How far before the first range facts are read: an incident or a re-deploy may belong to a
/// deployment of that time, and a commit to an earlier one.
const REACH: Duration = Duration::from_hours(90 * 24);

/// What to report on.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRequest {
    pub window: Window,
    pub scope: Scope,
    pub rules: Rules,
}

impl ReportRequest {
    /// The last `days` days of everything in production, by the standard rules.
    pub fn days(days: u32) -> Self {
        Self {
            window: Window::days(u64::from(days)),
            scope: Scope::default(),
            rules: Rules::default(),
        }
    }

    /// The same by what is configured; `profile` overrides the configured one.
    pub fn configured(
        days: u32,
        config: &DoraConfig,
        profile: Option<Profile>,
        zone: Tz,
    ) -> Result<Self, UnknownWord> {
        Ok(Self {
            scope: Scope {
                environment: config.environment.clone(),
                ..Scope::default()
            },
            rules: rules(config, profile, zone)?,
            ..Self::days(days)
        })
    }
}

/// What somebody asks about, in their words; what they leave out is as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub window: WindowWords,
    pub service: Option<String>,
    pub team: Option<String>,
    pub environment: Option<String>,
    pub profile: Option<String>,
    pub thresholds: Option<String>,
}

/// A question that cannot be answered, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum WrongQuestion {
    #[error(transparent)]
    Word(#[from] UnknownWord),
    #[error(transparent)]
    Window(#[from] BadWindow),
}

impl Question {
    /// # Errors
    /// One of the words names nothing.
    pub fn read(
        self,
        config: &DoraConfig,
        zone: Tz,
        now: Timestamp,
    ) -> Result<ReportRequest, WrongQuestion> {
        let wanted = self.profile.as_deref().map(profile).transpose()?;
        let window = self.window.read(zone, now)?;
        let mut request = ReportRequest::configured(30, config, wanted, zone)?;
        request.window = window.unwrap_or(Window::days(30));
        if let Some(word) = &self.thresholds {
            request.rules.thresholds = thresholds(word)?;
        }
        request.scope.service = self.service;
        request.scope.team = self.team;
        if let Some(environment) = self.environment {
            request.scope.environment = environment;
        }
        Ok(request)
    }
}

/// A word of the configuration or command line that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownWord {
    pub what: &'static str,
    pub word: String,
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no {}; use one of {}",
            self.word,
            self.what,
            self.known.join(", ")
        )
    }
}

pub fn profile(word: &str) -> Result<Profile, UnknownWord> {
    Profile::from_word(word).ok_or_else(|| UnknownWord {
        what: "DORA profile",
        word: word.to_owned(),
        known: Profile::ALL.map(Profile::name).to_vec(),
    })
}

pub fn thresholds(word: &str) -> Result<ThresholdSet, UnknownWord> {
    ThresholdSet::from_word(word).ok_or_else(|| UnknownWord {
        what: "set of level limits",
        word: word.to_owned(),
        known: ThresholdSet::ALL.map(ThresholdSet::name).to_vec(),
    })
}

/// The configured rules. A profile of the older tool takes the older tool's limits, unless the
/// configuration names a set other than the default one.
pub fn rules(config: &DoraConfig, wanted: Option<Profile>, zone: Tz) -> Result<Rules, UnknownWord> {
    let profile = match wanted {
        Some(profile) => profile,
        None => profile(&config.profile)?,
    };
    let configured = thresholds(&config.thresholds)?;
    let chosen = if configured == ThresholdSet::default() {
        profile.default_thresholds()
    } else {
        configured
    };
    Ok(Rules {
        thresholds: chosen,
        targets: Targets {
            deployments_per_day: Some(config.targets.deployments_per_week / 7.0),
            lead_time_hours: Some(config.targets.lead_time_hours),
            failure_ratio: Some(config.targets.change_failure_ratio),
            recovery_hours: Some(config.targets.recovery_hours),
            rework_ratio: Some(config.targets.rework_ratio),
        },
        link_cap: Duration::from_hours(u64::from(config.incident_window_hours)),
        zone,
        ..Rules::of_profile(profile)
    })
}

/// What a report was made from; kept so that another window or profile needs no further read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub deployments: Vec<Deployment>,
    pub incidents: Vec<Incident>,
    pub phases: Vec<PhaseRecord>,
    pub sources: Vec<SourceRun>,
    pub repositories: Vec<Repository>,
    /// Rows of the same time that none of the lists has.
    pub unreadable: Vec<Unreadable>,
    /// Where the asked window has no deployment: the last one of its length that has some.
    pub last_window: Option<TimeRange>,
    pub prepared: facts::Prepared,
}

impl Loaded {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            deployments: &self.deployments,
            incidents: &self.incidents,
            phases: &self.phases,
            sources: Sources {
                deployments: self.sources.iter().any(|source| source.gives_deployments),
                incidents: self.sources.iter().any(|source| source.gives_incidents),
            },
        }
    }

    /// When the source that was read longest ago was read; how fresh the figures are at worst.
    pub fn oldest_sync(&self) -> Option<Timestamp> {
        self.sources.iter().map(|source| source.synced_at).min()
    }
}

/// Reads what a report of this request needs: window, previous period, weeks, a reach before, and
/// what came after a window of the past, which may have ended its incidents.
pub async fn load(
    store: &dyn MetricsStore,
    request: &ReportRequest,
    now: Timestamp,
) -> Result<Loaded, StoreError> {
    let window = request.window.range(now);
    let weeks = whole_weeks(
        window.until.min(now),
        request.rules.weeks,
        request.rules.zone,
    );
    let from = weeks
        .first()
        .map_or(window.from, |week| week.from)
        .min(window.previous().from);
    // Links are made over the whole environment and narrowed afterwards, so neither service nor
    // team is part of the filter.
    let filter = DeliveryFilter {
        range: Some(TimeRange::new(from.saturating_sub(REACH), now)),
        environment: Some(request.scope.environment.clone()),
        ..DeliveryFilter::default()
    };
    let (deployments, prepared) = facts::deployments(store, &filter).await?;
    let phases = store.phases(&filter).await?;
    let mut unreadable = deployments.unreadable;
    unreadable.extend(phases.unreadable);
    let deployments = deployments.read;
    let is_empty = !deployments.iter().any(|deployment| {
        window.contains(deployment.finished_at) && request.scope.admits(deployment)
    });
    let last_window = if is_empty {
        last_window(store, request, window).await?
    } else {
        None
    };
    Ok(Loaded {
        deployments,
        incidents: store.incidents(&filter).await?,
        phases: phases.read,
        sources: store.sources().await?,
        repositories: store.repositories().await?,
        unreadable,
        last_window,
        prepared,
    })
}

/// The last window of the same length, before this one, that has deployments: it ends with the day
/// of the last of them.
async fn last_window(
    store: &dyn MetricsStore,
    request: &ReportRequest,
    window: TimeRange,
) -> Result<Option<TimeRange>, StoreError> {
    let before = DeliveryFilter {
        range: Some(TimeRange::new(Timestamp::MIN, window.from)),
        service: request.scope.service.clone(),
        team: request.scope.team.clone(),
        environment: Some(request.scope.environment.clone()),
    };
    Ok(store.last_deployed(&before).await?.map(|last| {
        let until = window::day_after(last, request.rules.zone);
        TimeRange::new(until.saturating_sub(window.length()), until)
    }))
}

/// The report of the request's window as seen at `now`.
pub async fn report(
    store: &dyn MetricsStore,
    request: &ReportRequest,
    now: Timestamp,
) -> Result<DoraReport, StoreError> {
    let loaded = load(store, request, now).await?;
    Ok(compute(&loaded, request, now))
}

/// The report from facts already read.
pub fn compute(loaded: &Loaded, request: &ReportRequest, now: Timestamp) -> DoraReport {
    let window = request.window.range(now);
    let mut report = dora::report(&loaded.facts(), &request.scope, window, &request.rules, now);
    let mut cautions: Vec<String> = unknown_scope(loaded, &request.scope).into_iter().collect();
    let mut notes = Vec::new();
    if let Some(last) = loaded.last_window {
        let day = window::last_day(last, request.rules.zone);
        let text = format!(
            "no deployment in this window; the last window that has some ends on {day}: \
             atalaya dora report --days {:.0} --until {day}",
            report.days()
        );
        notes.push(Note::new(NoteKind::OtherWindow, text));
    }
    let unreadable = loaded.unreadable.iter();
    cautions.extend(unreadable.take(UNREADABLE).map(ToString::to_string));
    if let Some(more @ 1..) = loaded.unreadable.len().checked_sub(UNREADABLE) {
        cautions.push(format!("{more} further rows cannot be read"));
    }
    let Prepared {
        told_twice,
        squashed,
    } = loaded.prepared;
    if told_twice > 0 {
        cautions.push(format!(
            "{told_twice} deployments that both git and GitHub tell are counted once"
        ));
    }
    if squashed > 0 {
        cautions.push(format!(
            "{squashed} squash merges are measured from the first commit of their pull request"
        ));
    }
    let cautions = cautions.into_iter();
    notes.extend(cautions.map(|text| Note::new(NoteKind::Caution, text)));
    notes.append(&mut report.notes);
    notes.extend(methods(loaded, &request.scope));
    report.notes = notes;
    report
}

/// How the deployments of each repository in scope were found.
fn methods<'l>(loaded: &'l Loaded, scope: &'l Scope) -> impl Iterator<Item = Note> + 'l {
    let of_scope = |repository: &Repository| {
        loaded
            .deployments
            .iter()
            .any(|deployment| deployment.origin == repository.id && scope.admits(deployment))
    };
    loaded
        .repositories
        .iter()
        .filter(move |repository| of_scope(repository))
        .map(|repository| {
            let account = if repository.account.is_empty() {
                String::new()
            } else {
                format!("; {}", repository.account)
            };
            let text = format!("{}: {}{account}", repository.service, repository.method);
            Note::new(NoteKind::Method, text)
        })
}

/// A service or team that nothing is known of is more likely a slip than a quiet team.
fn unknown_scope(loaded: &Loaded, scope: &Scope) -> Option<String> {
    let missing = |what: &str, wanted: &Option<String>, known: BTreeSet<String>| {
        let wanted = wanted
            .as_ref()
            .filter(|wanted| !known.contains(*wanted) && !known.is_empty())?;
        let names: Vec<String> = known.into_iter().take(10).collect();
        Some(format!(
            "nothing is known of {what} `{wanted}`; there is {}",
            names.join(", ")
        ))
    };
    let of_phases = |name: &'static str| {
        loaded
            .phases
            .iter()
            .filter_map(move |phase| phase.text(name))
    };
    let services = loaded
        .deployments
        .iter()
        .map(|known| known.service.clone())
        .chain(of_phases("service"))
        .collect();
    let teams = loaded
        .deployments
        .iter()
        .filter_map(|known| known.team.clone())
        .chain(of_phases("team"))
        .collect();
    missing("service", &scope.service, services).or_else(|| missing("team", &scope.team, teams))
}

/// The zone that days and weeks are counted in: the configured one, else this host's, else UTC.
pub fn zone(configured: Option<&str>) -> Tz {
    let zone = configured
        .and_then(|name| name.parse().ok())
        .or_else(host_zone)
        .unwrap_or(Tz::UTC);
    // The same zone by the name that people know.
    if zone == Tz::Etc__UTC { Tz::UTC } else { zone }
}

fn host_zone() -> Option<Tz> {
    if let Ok(name) = std::env::var("TZ") {
        return name.trim_start_matches(':').parse().ok();
    }
    // What every Linux distribution and macOS keep as a link into the zone database.
    let target = std::fs::canonicalize(Path::new("/etc/localtime")).ok()?;
    let (_, name) = target.to_str()?.split_once("zoneinfo/")?;
    name.parse().ok()
}
