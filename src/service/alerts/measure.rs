//! One value for one rule, at one instant.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::service::dora::ReportRequest;
use crate::service::{self, Stores, describe};
use atalaya_domain::alert::window::{self, Minutes};
use atalaya_domain::alert::{Measure, Reading, Rule, health, show_number};
use atalaya_domain::dora::Metric;
use atalaya_domain::length::Length;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::PageRequest;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{HealthSample, MetricsStore};

/// What one rule may take: a query that reads records of a long window is not for each minute.
const LIMIT: Duration = Duration::from_secs(10);
/// How far back the last record of a silent source is looked for.
const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);
/// A source that has no record in all this time is looked for again after this long. Meanwhile the
/// window of the rule sees it when it begins.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// Records decoded while looking for it.
const LOOK_SCAN: u64 = 200_000;
/// Delivery metrics move by the day: measured again after this long.
const DORA_EVERY: Duration = Duration::from_secs(15 * 60);
/// A health sample that is older says nothing about now.
const SAMPLE_AGE: Duration = Duration::from_secs(20 * 60);
/// Samples read at once.
const MOST_SAMPLES: u32 = 5_000;
/// A message that died counts for this long.
const DEAD_FOR: Duration = Duration::from_secs(24 * 3_600);

/// What was last measured of a rule; kept in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownReading {
    #[serde(with = "atalaya_domain::time::rfc3339")]
    pub at: Timestamp,
    /// What was measured, so that another measure under the same name is not taken for it.
    pub measure: String,
    value: Option<f64>,
    /// In words: the value, or why there is none.
    pub said: String,
    /// Its turn did not come in the last evaluations: it was measured at `at` for the last time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    #[serde(flatten)]
    pub memory: Memory,
}

/// What a measurement has to know of earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Of an absence: the last record.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "atalaya_domain::time::rfc3339::option"
    )]
    pub last_record: Option<Timestamp>,
    /// Of an absence without one: when the last one was looked for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "atalaya_domain::time::rfc3339::option"
    )]
    pub looked_at: Option<Timestamp>,
    /// Of a job that never succeeded: since when it is watched.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "atalaya_domain::time::rfc3339::option"
    )]
    pub watched_since: Option<Timestamp>,
}

impl KnownReading {
    /// `None` when there is none, or it is of an earlier evaluation.
    pub(super) fn value(&self) -> Option<f64> {
        self.value.filter(|_| !self.waits)
    }

    pub(super) fn words(&self) -> String {
        match self.reading() {
            Reading::Value(_, said) => said,
            Reading::NoData(why) => format!("no data: {why}"),
        }
    }

    pub(super) fn reading(&self) -> Reading {
        match self.value {
            _ if self.waits => Reading::NoData(format!(
                "not evaluated since {}: the rules before it took too long; make the slow ones cheaper, or fewer",
                self.at
            )),
            Some(value) => Reading::Value(value, self.said.clone()),
            None => Reading::NoData(self.said.clone()),
        }
    }

    /// The same, one evaluation later, in which its turn did not come.
    pub(super) fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }
}

/// When the rules were evaluated last, and what was measured then, by rule.
pub(super) async fn readings(
    store: &dyn MetricsStore,
) -> Result<Option<(Timestamp, BTreeMap<String, KnownReading>)>, StoreError> {
    let kept = store.alert_readings().await?;
    // What an older or newer program wrote is measured anew.
    Ok(kept.map(|(at, body)| (at, serde_json::from_str(&body).unwrap_or_default())))
}

/// Everything that one evaluation measures with.
pub(super) struct Gauge<'a> {
    pub stores: &'a Stores,
    pub settings: &'a Settings,
    pub now: Timestamp,
    pub known: BTreeMap<String, KnownReading>,
    /// Measured once, before: a store that does not answer takes longer to say so than a rule has.
    pub health: BTreeMap<String, f64>,
    pub cancel: CancellationToken,
}

/// A value with its words, or why there is none.
type Value = Result<(f64, String), String>;

impl Gauge<'_> {
    /// What the last measurement of this rule was, unless it measured something else.
    pub fn before(&self, rule: &Rule) -> Option<&KnownReading> {
        let measure = rule.measure.to_string();
        let known = self.known.get(&rule.name);
        known.filter(|known| known.measure == measure)
    }

    /// Never fails: what cannot be measured says why.
    pub async fn read(&self, rule: &Rule) -> KnownReading {
        let before = self.before(rule);
        if let (Measure::Dora { .. }, Some(before)) = (&rule.measure, before)
            && before.at <= self.now
            && self.now.since(before.at) < DORA_EVERY
        {
            return KnownReading {
                waits: false,
                ..before.clone()
            };
        }
        let mut memory = before.map(|before| before.memory).unwrap_or_default();
        let cancel = self.cancel.child_token();
        let measured = tokio::time::timeout(LIMIT, self.value(rule, &mut memory, &cancel));
        let value = measured.await.unwrap_or_else(|_| {
            cancel.cancel();
            Err(format!(
                "not measured within {} s; narrow the query by `source:` and `level`, or shorten the window",
                LIMIT.as_secs()
            ))
        });
        let (value, said) = match value {
            Ok((value, said)) if value.is_finite() => (Some(value), said),
            Ok((value, _)) => (None, format!("{value} is no number")),
            Err(why) => (None, why),
        };
        KnownReading {
            at: self.now,
            measure: rule.measure.to_string(),
            value,
            said,
            waits: false,
            memory,
        }
    }

    async fn value(&self, rule: &Rule, memory: &mut Memory, cancel: &CancellationToken) -> Value {
        match &rule.measure {
            Measure::Count { query, window } => {
                let minutes = Minutes::at(self.now, self.settings.alerts.late, *window);
                let counts = self.counts(query, minutes, cancel).await?;
                // More records only add: what is full before it is closed stays so.
                let count = if rule.when.is_upward() {
                    minutes.fullest(&counts)
                } else {
                    minutes.closed(&counts)
                };
                Ok((
                    count as f64,
                    format!("{count} in {}", Length(*window).words()),
                ))
            }
            Measure::Ratio {
                query,
                of,
                window,
                fast,
                least,
            } => {
                self.ratio(rule, (query, of), (*window, *fast), *least, cancel)
                    .await
            }
            Measure::Absence { query } => self.absence(rule, query, memory, cancel).await,
            Measure::Dora {
                metric,
                days,
                service,
                team,
            } => {
                self.dora(*metric, *days, service.clone(), team.clone())
                    .await
            }
            Measure::Health { measure } => self.health(measure),
            Measure::JobAge { job } => self.job_age(job, memory).await,
        }
    }

    /// Records that match in each minute, from the summaries where the query allows it.
    async fn counts(
        &self,
        query: &str,
        minutes: Minutes,
        cancel: &CancellationToken,
    ) -> Result<Vec<u64>, String> {
        let query = parsed(query, self.now)?;
        let histogram = self
            .stores
            .logs
            .histogram(&query, minutes.range, minutes.bins(), cancel)
            .await
            .map_err(|error| describe(&error))?;
        let bins = histogram.bins.iter();
        Ok(bins.map(|levels| u64::from(levels.total())).collect())
    }

    async fn ratio(
        &self,
        rule: &Rule,
        (query, of): (&str, &str),
        (window, fast): (Duration, Option<Duration>),
        least: u64,
        cancel: &CancellationToken,
    ) -> Value {
        let clock = self.now;
        let both = parsed(query, clock)?.and(&parsed(of, clock)?);
        let minutes = |length| {
            let range = window::closed(self.now, self.settings.alerts.late, length);
            (range, usize::try_from(length.as_secs() / 60).unwrap_or(1))
        };
        let (range, bins) = minutes(window);
        let all = parsed(of, clock)?;
        let count = |query: Query| async move {
            let counted = self
                .stores
                .logs
                .histogram(&query, range, bins, cancel)
                .await;
            counted.map_err(|error| describe(&error))
        };
        let (part, whole) = (count(both).await?, count(all).await?);
        // The short window is the end of the long one.
        let newest = |counted: &atalaya_store::engine::Histogram, length: Duration| -> u64 {
            let take = usize::try_from(length.as_secs() / 60).unwrap_or(1);
            let bins = counted.bins.iter().rev().take(take);
            bins.map(|levels| u64::from(levels.total())).sum()
        };
        let total = newest(&whole, window);
        if total < least {
            return Err(format!(
                "{total} records in {}, fewer than {least}",
                Length(window).words()
            ));
        }
        let share = |length: Duration| {
            let (some, of) = (newest(&part, length), newest(&whole, length));
            let share = if of == 0 {
                0.0
            } else {
                some as f64 / of as f64
            };
            (
                share,
                format!("{some} of {of} in {}", Length(length).words()),
            )
        };
        let (slow, mut said) = share(window);
        let Some(fast) = fast else {
            return Ok((slow, said));
        };
        let (quick, of_quick) = share(fast);
        said = format!("{said}, {of_quick}");
        // The one that is less beyond the threshold decides.
        let value = if rule.when.is_upward() {
            slow.min(quick)
        } else {
            slow.max(quick)
        };
        Ok((value, said))
    }

    async fn absence(
        &self,
        rule: &Rule,
        query: &str,
        memory: &mut Memory,
        cancel: &CancellationToken,
    ) -> Value {
        let minutes = rule.threshold.clamp(1.0, 10_080.0).ceil() as u64;
        let within = Minutes::at(
            self.now,
            self.settings.alerts.late,
            Duration::from_secs(minutes * 60),
        );
        let counts = self.counts(query, within, cancel).await?;
        let newest = counts.iter().rposition(|count| *count > 0);
        let seen = match newest {
            Some(bin) => {
                let into = Duration::from_secs(60 * bin as u64);
                Some(within.range.from.saturating_add(into))
            }
            None if memory.last_record.is_some() => memory.last_record,
            None => self.look_for(query, memory, cancel).await?,
        };
        memory.last_record = seen;
        let Some(last) = seen else {
            return Err(format!(
                "no record within {}: nothing is known that could be missing",
                Length(LOOK_BACK).words()
            ));
        };
        let silent = window::silent_minutes(last, self.now, self.settings.alerts.late);
        Ok((silent as f64, format!("last record {last}")))
    }

    /// The last record before the window of a rule, which costs a scan of days: not each minute.
    async fn look_for(
        &self,
        query: &str,
        memory: &mut Memory,
        cancel: &CancellationToken,
    ) -> Result<Option<Timestamp>, String> {
        let looked = memory.looked_at;
        if looked.is_some_and(|at| at <= self.now && self.now.since(at) < LOOK_EVERY) {
            return Ok(None);
        }
        // Also one that took too long: it is no cheaper a minute later.
        memory.looked_at = Some(self.now);
        let request = PageRequest {
            query: parsed(query, self.now)?,
            range: TimeRange::ending(self.now, LOOK_BACK),
            order: Order::NewestFirst,
            after: None,
            limit: 1,
            scan_limit: LOOK_SCAN,
            cancel: cancel.clone(),
        };
        let page = self.stores.logs.page(&request).await;
        let page = page.map_err(|error| describe(&error))?;
        Ok(page.records.first().map(|record| record.entry.timestamp))
    }

    async fn dora(
        &self,
        metric: Metric,
        days: u32,
        service: Option<String>,
        team: Option<String>,
    ) -> Value {
        let zone = service::dora::zone(None);
        let mut request = ReportRequest::configured(days, &self.settings.dora, None, zone)
            .map_err(|error| error.to_string())?;
        request.scope.service = service;
        request.scope.team = team;
        let store = &*self.stores.metrics;
        let report = service::dora::report(store, &request, self.now)
            .await
            .map_err(|error| describe(&error))?;
        let found = report
            .metric(metric)
            .ok_or_else(|| format!("{} is not in the report", metric.key()))?;
        found
            .measured
            .value
            .number()
            .map(|value| (value, found.show()))
            .ok_or_else(|| found.show())
    }

    fn health(&self, measure: &str) -> Value {
        let value = self.health.get(measure);
        value
            .map(|value| (*value, show_number(*value)))
            .ok_or_else(|| "nothing measures it here at the moment".to_owned())
    }

    async fn job_age(&self, job: &str, memory: &mut Memory) -> Value {
        let last = self.stores.metrics.last_success(job).await;
        let last = last.map_err(|error| describe(&error))?;
        let (since, said) = match last {
            Some(at) => {
                memory.watched_since = None;
                (at, format!("last success {at}"))
            }
            // One that never ran well is at least as old as the watch over it.
            None => {
                let since = *memory.watched_since.get_or_insert(self.now);
                (since, format!("no success yet, watched since {since}"))
            }
        };
        Ok((self.now.since(since).as_secs_f64() / 3_600.0, said))
    }
}

/// The measures of the system by name, as far as anybody gives them.
pub(super) async fn health_values(
    stores: &Stores,
    settings: &Settings,
    now: Timestamp,
) -> BTreeMap<String, f64> {
    let (measured, samples, dead) = tokio::join!(
        service::health::measure(stores, settings),
        samples(stores, now),
        stores.metrics.dead_messages(now.saturating_sub(DEAD_FOR)),
    );
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    let live = health::values(&measured).into_iter();
    values.extend(live.map(|(name, value)| (name.to_owned(), value)));
    if let Ok(dead) = dead {
        values.insert(health::DEAD_MESSAGES.to_owned(), dead as f64);
    }
    // What this host measures is newer than its own samples.
    let own = format!("ingest/{}", service::health::host_name());
    for sample in samples.iter().filter(|sample| sample.component != own) {
        for (name, component, measure) in health::OF_EACH_HOST {
            if sample.component.starts_with(component) && sample.measure == measure {
                let worst = values.entry(name.to_owned()).or_insert(sample.value);
                *worst = worst.max(sample.value);
            }
        }
    }
    let named = samples.into_iter().map(|sample| {
        let name = format!("{}.{}", sample.component, sample.measure);
        (name, sample.value)
    });
    for (name, value) in named {
        values.entry(name).or_insert(value);
    }
    values
}

/// The newest sample of each component and measure that is young enough.
async fn samples(stores: &Stores, now: Timestamp) -> Vec<HealthSample> {
    let range = TimeRange::new(now.saturating_sub(SAMPLE_AGE), Timestamp::MAX);
    let samples = stores
        .metrics
        .health_samples(None, range, MOST_SAMPLES)
        .await;
    // Oldest first, so that the newest stays.
    let newest: BTreeMap<(String, String), HealthSample> = samples
        .unwrap_or_default()
        .into_iter()
        .map(|sample| ((sample.component.clone(), sample.measure.clone()), sample))
        .collect();
    newest.into_values().collect()
}

pub(super) fn parsed(query: &str, now: Timestamp) -> Result<Query, String> {
    let clock = QueryClock {
        now,
        zone: Zone::Utc,
    };
    Query::parse(query, &clock).map_err(|error| error.to_string())
}
