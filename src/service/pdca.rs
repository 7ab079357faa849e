//! The PDCA use cases: plan, start, look, decide. Everything is appended as an event; what the
//! samples say is computed by the same functions as the DORA report.

use atalaya_domain::error_class::ErrorClass;
use std::time::Duration;

use chrono::SecondsFormat;

use crate::config::{DoraConfig, PdcaConfig};
use atalaya_domain::dora::{self, DoraReport, Metric, Profile, Rules, Scope};
use atalaya_domain::pdca::propose::{baseline, expected_percent};
use atalaya_domain::pdca::rules::evaluate;
use atalaya_domain::pdca::{
    Act, Applied, Baseline, Course, Forecast, Happening, Listing, PdcaCycle, PdcaEvent, PdcaRules,
    Plan, PlannedLook, Proposal, Refusal, Series, Texts, Verdict, propose, usual_guards,
};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore};

use super::dora::{Loaded, UnknownWord, facts};

/// How far before a range facts are read: an incident may belong to a deployment of that time.
const REACH: Duration = Duration::from_hours(90 * 24);

/// How far before the change weeks are looked at to see how much they vary by themselves.
const HISTORY: Duration = Duration::from_hours(52 * 7 * 24);

/// How the samples are made and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct PdcaSettings {
    pub dora: Rules,
    pub rules: PdcaRules,
    /// Of the plan's baseline; cut to whole weeks, at least one.
    pub baseline_days: u32,
    /// Whether the program may record what [`automatically`] says.
    ///
    /// [`automatically`]: atalaya_domain::pdca::automatically
    pub auto_decide: bool,
    pub environment: String,
}

impl Default for PdcaSettings {
    fn default() -> Self {
        Self {
            dora: Rules {
                weeks: 0,
                ..Rules::default()
            },
            rules: PdcaRules::default(),
            baseline_days: PdcaConfig::default().baseline_days,
            auto_decide: PdcaConfig::default().auto_decide,
            environment: dora::PRODUCTION.to_owned(),
        }
    }
}

impl PdcaSettings {
    /// As configured. Cycles are always judged by the standard definitions of the metrics.
    pub fn configured(
        dora: &DoraConfig,
        pdca: &PdcaConfig,
        zone: chrono_tz::Tz,
    ) -> Result<Self, UnknownWord> {
        Ok(Self {
            // The weekly series is not looked at here.
            dora: Rules {
                weeks: 0,
                ..super::dora::rules(dora, Some(Profile::Dora), zone)?
            },
            rules: PdcaRules {
                apply_percent: pdca.apply_percent,
                revert_percent: pdca.revert_percent,
                continue_percent: pdca.continue_percent,
            },
            baseline_days: pdca.baseline_days,
            auto_decide: pdca.auto_decide,
            environment: dora.environment.clone(),
        })
    }

    fn baseline_length(&self) -> Duration {
        Duration::from_hours(u64::from((self.baseline_days / 7).max(1)) * 7 * 24)
    }
}

/// What a person says when planning.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub title: String,
    pub metric: Metric,
    pub service: Option<String>,
    pub team: Option<String>,
    pub hypothesis: String,
    pub change: String,
    /// `None` takes the usual step for the metric.
    pub expected_percent: Option<f64>,
    pub owner: String,
    /// `None` guards with change failure rate and recovery time.
    pub guards: Option<Vec<Metric>>,
}

impl Draft {
    /// Per cent better, or the usual step for the metric.
    fn expected(&self) -> Result<f64, PdcaError> {
        let most = if self.metric.more_is_better() {
            f64::MAX
        } else {
            100.0
        };
        match self.expected_percent {
            None => Ok(expected_percent(self.metric)),
            Some(percent) if percent.is_finite() && percent > 0.0 && percent <= most => Ok(percent),
            Some(percent) => Err(PdcaError::WrongExpectation(percent)),
        }
    }

    fn scope(&self, settings: &PdcaSettings) -> Scope {
        Scope {
            service: self.service.clone(),
            team: self.team.clone(),
            environment: settings.environment.clone(),
        }
    }
}

/// Why a PDCA use case failed.
#[derive(Debug, thiserror::Error)]
pub enum PdcaError {
    #[error("there is no PDCA cycle `{0}`; `atalaya pdca list` shows them")]
    Unknown(String),
    #[error("a plan needs a title")]
    NoTitle,
    #[error(
        "an expected improvement of {0} % makes no sense; write per cent above 0, such as 30 (times and rates cannot fall by more than 100)"
    )]
    WrongExpectation(f64),
    #[error(
        "look {number} of PDCA cycle `{id}` is due at {due_at}; a look before its time would be chosen by its result"
    )]
    TooEarly {
        id: String,
        number: u32,
        due_at: Timestamp,
    },
    #[error("all looks of PDCA cycle `{0}` were taken; decide it")]
    NoLooksLeft(String),
    #[error("the change cannot have been applied at {at}: {why}")]
    WrongTime { at: Timestamp, why: String },
    #[error("the arithmetic was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PdcaError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown(_) => ErrorClass::Missing,
            Self::Refused(Refusal::Broken(..)) | Self::Interrupted(_) => ErrorClass::Broken,
            Self::NoTitle
            | Self::WrongExpectation(_)
            | Self::TooEarly { .. }
            | Self::NoLooksLeft(_)
            | Self::WrongTime { .. }
            | Self::Refused(_) => ErrorClass::Usage,
            Self::Store(error) => error.class(),
        }
    }
}

/// Who is at the keyboard, as the environment says; recorded with what they do.
pub fn login_name() -> String {
    ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// All cycles, newest first, and beside them those that cannot be read.
pub async fn list(store: &dyn MetricsStore) -> Result<Listing, PdcaError> {
    Ok(Listing::of(store.pdca_events(None).await?))
}

/// One cycle with its history.
pub async fn show(
    store: &dyn MetricsStore,
    id: &str,
) -> Result<(PdcaCycle, Vec<PdcaEvent>), PdcaError> {
    let events = store.pdca_events(Some(id)).await?;
    if events.is_empty() {
        return Err(PdcaError::Unknown(id.to_owned()));
    }
    Ok((PdcaCycle::fold(&events)?, events))
}

/// Metrics that miss their targets over the baseline's length, the most urgent first.
pub async fn proposals(
    store: &dyn MetricsStore,
    scope: &Scope,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<Vec<Proposal>, PdcaError> {
    let window = TimeRange::ending(now, settings.baseline_length());
    let asked = Asked::new(scope.clone(), window, settings, now);
    let loaded = asked.load(store).await?;
    computed(move || propose(&asked.report(&loaded))).await
}

/// PLAN: fixes metric, baseline and guards.
pub async fn create(
    store: &dyn MetricsStore,
    draft: Draft,
    settings: &PdcaSettings,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    if draft.title.trim().is_empty() {
        return Err(PdcaError::NoTitle);
    }
    let baseline = baseline_of(store, &draft, settings, now).await?;
    let guards = draft
        .guards
        .clone()
        .unwrap_or_else(|| usual_guards(draft.metric));
    let plan = Plan {
        title: draft.title.trim().to_owned(),
        metric: draft.metric,
        expected_percent: draft.expected()?,
        service: draft.service,
        team: draft.team,
        environment: settings.environment.clone(),
        baseline,
        hypothesis: draft.hypothesis,
        change: draft.change,
        smallest_effect_percent: settings.rules.apply_percent,
        owner: draft.owner,
        guards: guards
            .into_iter()
            .filter(|guard| *guard != draft.metric)
            .collect(),
    };
    let event = PdcaEvent {
        pdca_id: free_id(store, now).await?,
        seq: 1,
        at: now,
        by: by.to_owned(),
        happening: Happening::Planned(plan),
    };
    store.append_pdca_event(&event).await?;
    Ok(PdcaCycle::fold(&[event])?)
}

/// What a plan of this draft would start from, and what it can hope to find; nothing is written.
pub async fn baseline_of(
    store: &dyn MetricsStore,
    draft: &Draft,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<Baseline, PdcaError> {
    let expected = draft.expected()?;
    let metric = draft.metric;
    let window = TimeRange::ending(now, settings.baseline_length());
    let history = TimeRange::ending(now, settings.baseline_length().max(HISTORY));
    let asked = Asked::new(draft.scope(settings), history, settings, now);
    let loaded = asked.load(store).await?;
    computed(move || {
        let known = asked.report(&loaded);
        let mut baseline = baseline(&asked.report_of(&loaded, window), metric);
        // Before its first deployment a source knew nothing: those weeks are not empty, but unknown.
        baseline.history_from = known
            .deployments
            .iter()
            .map(|line| line.deployment.finished_at)
            .min();
        if let Some(series) = Series::of(&known, metric) {
            baseline.measure = series.measure;
            baseline.forecast = Forecast::of(&series, &baseline, expected);
        }
        baseline
    })
    .await
}

/// The metric of a cycle week by week, from its history to now.
pub async fn course(
    store: &dyn MetricsStore,
    cycle: &PdcaCycle,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<Course, PdcaError> {
    let range = TimeRange::new(cycle.plan.baseline.history().from, now);
    let asked = Asked::new(scope_of(&cycle.plan), range, settings, now);
    let loaded = asked.load(store).await?;
    let cycle = cycle.clone();
    computed(move || {
        Series::of(&asked.report(&loaded), cycle.plan.metric)
            .map(|series| Course::of(&series, &cycle, now))
            .unwrap_or_default()
    })
    .await
}

/// `pdca-20260306-170000`, with a number behind it when that second is taken.
async fn free_id(store: &dyn MetricsStore, now: Timestamp) -> Result<String, StoreError> {
    let second = now.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true);
    let digits: String = second.chars().filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let base = format!("pdca-{date}-{time}");
    let mut id = base.clone();
    let mut number = 1;
    while !store.pdca_events(Some(&id)).await?.is_empty() {
        number += 1;
        id = format!("{base}-{number}");
    }
    Ok(id)
}

pub async fn edit(
    store: &dyn MetricsStore,
    id: &str,
    texts: Texts,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    if texts
        .title
        .as_ref()
        .is_some_and(|title| title.trim().is_empty())
    {
        return Err(PdcaError::NoTitle);
    }
    happen(store, id, Happening::Edited(texts), by, now).await
}

pub async fn note(
    store: &dyn MetricsStore,
    id: &str,
    text: &str,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    happen(store, id, Happening::Noted(text.to_owned()), by, now).await
}

/// DO: from `applied_at` on everything is "after".
pub async fn start(
    store: &dyn MetricsStore,
    id: &str,
    applied: Applied,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    let (cycle, _) = show(store, id).await?;
    let wrong = |why: String| PdcaError::WrongTime {
        at: applied.applied_at,
        why,
    };
    let baseline_end = cycle.plan.baseline.window.until;
    if applied.applied_at > now {
        return Err(wrong("that is in the future".to_owned()));
    }
    if applied.applied_at < baseline_end {
        return Err(wrong(format!(
            "the baseline reaches to {baseline_end}, so it would hold the change itself"
        )));
    }
    happen(store, id, Happening::Started(applied), by, now).await
}

/// CHECK: takes the look that is due, and appends what it found.
pub async fn check(
    store: &dyn MetricsStore,
    id: &str,
    settings: &PdcaSettings,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    let (cycle, _) = show(store, id).await?;
    let Some(applied) = &cycle.applied else {
        return Err(Refusal::NotStarted(cycle.id).into());
    };
    if cycle.state.is_closed() {
        return Err(Refusal::Closed(cycle.id, cycle.state).into());
    }
    let Some(planned) = cycle.due_look(now) else {
        return Err(match cycle.next_look_at() {
            Some((look, due_at)) => PdcaError::TooEarly {
                id: cycle.id,
                number: look.number,
                due_at,
            },
            None => PdcaError::NoLooksLeft(cycle.id),
        });
    };
    let look = look(
        store,
        &cycle.plan,
        planned,
        applied.applied_at,
        settings,
        now,
    )
    .await?;
    happen(store, id, Happening::Checked(Box::new(look)), by, now).await
}

/// ACT: what a person (or, on a guard, the program) decides.
pub async fn decide(
    store: &dyn MetricsStore,
    id: &str,
    verdict: Verdict,
    why: &str,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    let act = Act {
        verdict,
        why: why.to_owned(),
        automatic: false,
    };
    happen(store, id, Happening::Decided(act), by, now).await
}

async fn happen(
    store: &dyn MetricsStore,
    id: &str,
    happening: Happening,
    by: &str,
    now: Timestamp,
) -> Result<PdcaCycle, PdcaError> {
    let (mut cycle, _) = show(store, id).await?;
    let event = cycle.next_event(now, by, happening)?;
    store.append_pdca_event(&event).await?;
    cycle.apply(&event)?;
    Ok(cycle)
}

async fn look(
    store: &dyn MetricsStore,
    plan: &Plan,
    planned: PlannedLook,
    applied_at: Timestamp,
    settings: &PdcaSettings,
    now: Timestamp,
) -> Result<atalaya_domain::pdca::Look, PdcaError> {
    let until = planned.due_at(applied_at);
    let range = TimeRange::new(plan.baseline.history().from, until);
    let asked = Asked::new(scope_of(plan), range, settings, now);
    let loaded = asked.load(store).await?;
    let (plan, rules) = (plan.clone(), settings.rules);
    computed(move || {
        let report = asked.report(&loaded);
        let series = |metric| Series::of(&report, metric);
        evaluate(&plan, planned, applied_at, series, &rules)
    })
    .await
}

fn scope_of(plan: &Plan) -> Scope {
    Scope {
        service: plan.service.clone(),
        team: plan.team.clone(),
        environment: plan.environment.clone(),
    }
}

/// Bootstraps and permutations over a year of deployments take seconds, in which nothing else would
/// answer.
async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PdcaError> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// A report that samples are taken from.
struct Asked {
    scope: Scope,
    range: TimeRange,
    rules: Rules,
    now: Timestamp,
}

impl Asked {
    fn new(scope: Scope, range: TimeRange, settings: &PdcaSettings, now: Timestamp) -> Self {
        Self {
            scope,
            range,
            rules: settings.dora.clone(),
            now,
        }
    }

    async fn load(&self, store: &dyn MetricsStore) -> Result<Loaded, StoreError> {
        // Incidents are laid to deployments over all services and narrowed afterwards.
        let from = self.range.from.saturating_sub(REACH);
        let filter = DeliveryFilter {
            range: Some(TimeRange::new(from, self.now)),
            environment: Some(self.scope.environment.clone()),
            ..DeliveryFilter::default()
        };
        let (deployments, prepared) = facts::deployments(store, &filter).await?;
        Ok(Loaded {
            deployments: deployments.read,
            prepared,
            incidents: store.incidents(&filter).await?,
            phases: store.phases(&filter).await?.read,
            sources: store.sources().await?,
            ..Loaded::default()
        })
    }

    fn report(&self, loaded: &Loaded) -> DoraReport {
        self.report_of(loaded, self.range)
    }

    /// Of a range within the one that was read.
    fn report_of(&self, loaded: &Loaded, range: TimeRange) -> DoraReport {
        dora::report(&loaded.facts(), &self.scope, range, &self.rules, self.now)
    }
}
