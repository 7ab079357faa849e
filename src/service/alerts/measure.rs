//! One value for one rule, at one instant.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::config::DoraConfig;
use crate::service::dora::ReportRequest;
use crate::service::follower_state::FollowerState;
use crate::service::{self, Stores, describe};
use atalaya_domain::alert::rule::show_length;
use atalaya_domain::alert::window::{self, Minutes};
use atalaya_domain::alert::{Measure, Reading, Rule, health, show_number};
use atalaya_domain::dora::Metric;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::PageRequest;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// What one rule may take: a query that reads records of a long window is not for each minute.
const LIMIT: Duration = Duration::from_secs(10);
/// How far back the last record of a silent source is looked for.
const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);
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
    pub at: Timestamp,
    /// What was measured, so that another measure under the same name is not taken for it.
    pub measure: String,
    pub value: Option<f64>,
    /// In words: the value, or why there is none.
    pub said: String,
    /// Of an absence: the last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_record: Option<Timestamp>,
}

impl KnownReading {
    pub(super) fn words(&self) -> String {
        match self.value {
            Some(_) => self.said.clone(),
            None => format!("no data: {}", self.said),
        }
    }

    pub(super) fn reading(&self) -> Reading {
        match self.value {
            Some(value) => Reading::Value(value, self.said.clone()),
            None => Reading::NoData(self.said.clone()),
        }
    }
}

/// By rule.
pub(super) async fn known(
    store: &dyn MetricsStore,
) -> Result<BTreeMap<String, KnownReading>, StoreError> {
    let kept = store.alert_readings().await?;
    // What an older or newer program wrote is measured anew.
    Ok(kept
        .and_then(|(_, body)| serde_json::from_str(&body).ok())
        .unwrap_or_default())
}

/// Everything that one evaluation measures with.
pub(super) struct Gauge<'a> {
    pub stores: &'a Stores,
    pub dora: &'a DoraConfig,
    pub data_dir: &'a Path,
    pub late: Duration,
    pub now: Timestamp,
    pub known: BTreeMap<String, KnownReading>,
    /// Measured when the first rule asks.
    pub health: OnceCell<BTreeMap<String, f64>>,
    pub cancel: CancellationToken,
}

/// A value with its words, or why there is none.
type Value = Result<(f64, String), String>;

impl Gauge<'_> {
    /// Never fails: what cannot be measured says why.
    pub async fn read(&self, rule: &Rule) -> KnownReading {
        let measure = rule.measure.to_string();
        let before = self
            .known
            .get(&rule.name)
            .filter(|known| known.measure == measure);
        if let (Measure::Dora { .. }, Some(before)) = (&rule.measure, before)
            && before.at <= self.now
            && self.now.since(before.at) < DORA_EVERY
        {
            return before.clone();
        }
        let mut last_record = before.and_then(|before| before.last_record);
        let cancel = self.cancel.child_token();
        let measured = tokio::time::timeout(LIMIT, self.value(rule, &mut last_record, &cancel));
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
            measure,
            value,
            said,
            last_record,
        }
    }

    async fn value(
        &self,
        rule: &Rule,
        last_record: &mut Option<Timestamp>,
        cancel: &CancellationToken,
    ) -> Value {
        match &rule.measure {
            Measure::Count { query, window } => {
                let minutes = Minutes::at(self.now, self.late, *window);
                let counts = self.counts(query, minutes, cancel).await?;
                // More records only add: what is full before it is closed stays so.
                let count = if rule.when.is_upward() {
                    minutes.fullest(&counts)
                } else {
                    minutes.closed(&counts)
                };
                Ok((count as f64, format!("{count} in {}", show_length(*window))))
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
            Measure::Absence { query } => self.absence(rule, query, last_record, cancel).await,
            Measure::Dora {
                metric,
                days,
                service,
                team,
            } => {
                self.dora(*metric, *days, service.clone(), team.clone())
                    .await
            }
            Measure::Health { measure } => self.health(measure).await,
            Measure::JobAge { job } => self.job_age(job).await,
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
            let range = window::closed(self.now, self.late, length);
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
                show_length(window)
            ));
        }
        let share = |length: Duration| {
            let (some, of) = (newest(&part, length), newest(&whole, length));
            let share = if of == 0 {
                0.0
            } else {
                some as f64 / of as f64
            };
            (share, format!("{some} of {of} in {}", show_length(length)))
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
        last_record: &mut Option<Timestamp>,
        cancel: &CancellationToken,
    ) -> Value {
        let minutes = rule.threshold.clamp(1.0, 10_080.0).ceil() as u64;
        let within = Minutes::at(self.now, self.late, Duration::from_secs(minutes * 60));
        let counts = self.counts(query, within, cancel).await?;
        let newest = counts.iter().rposition(|count| *count > 0);
        let seen = match newest {
            Some(bin) => {
                let into = Duration::from_secs(60 * bin as u64);
                Some(within.range.from.saturating_add(into))
            }
            None if last_record.is_some() => *last_record,
            None => self.newest_record(query, cancel).await?,
        };
        *last_record = seen;
        let Some(last) = seen else {
            return Err(format!(
                "no record within {}: nothing is known that could be missing",
                show_length(LOOK_BACK)
            ));
        };
        let silent = window::silent_minutes(last, self.now, self.late);
        Ok((silent as f64, format!("last record {last}")))
    }

    async fn newest_record(
        &self,
        query: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<Timestamp>, String> {
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
        let mut request = ReportRequest::configured(days, self.dora, None, zone)
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

    async fn health(&self, measure: &str) -> Value {
        let values = self.health.get_or_init(|| self.all_health_values()).await;
        if let Some(value) = values.get(measure) {
            return Ok((*value, show_number(*value)));
        }
        Err("nothing measures it here at the moment".to_owned())
    }

    async fn all_health_values(&self) -> BTreeMap<String, f64> {
        let measured = service::health::measure(self.stores, self.data_dir).await;
        let mut values = self.samples().await;
        let live = health::values(&measured).into_iter();
        values.extend(live.map(|(name, value)| (name.to_owned(), value)));
        let state_dir = self.data_dir.join("ingest");
        let follower = tokio::task::spawn_blocking(move || FollowerState::read(&state_dir));
        // An unreadable state is told by the check of `health`.
        if let Ok(Ok(Some(follower))) = follower.await {
            let lag = follower.lag_seconds_at(self.now);
            values.insert(health::INGEST_LAG_SECONDS.to_owned(), lag);
            let bytes = follower.lag_bytes as f64;
            values.insert(health::INGEST_LAG_BYTES.to_owned(), bytes);
            if let Some(used) = follower.spool_used {
                values.insert(health::SPOOL_USED_RATIO.to_owned(), used);
            }
        }
        let since = self.now.saturating_sub(DEAD_FOR);
        if let Ok(dead) = self.stores.metrics.dead_messages(since).await {
            values.insert(health::DEAD_MESSAGES.to_owned(), dead as f64);
        }
        values
    }

    /// The newest sample of each measure that is young enough.
    async fn samples(&self) -> BTreeMap<String, f64> {
        let range = TimeRange::new(self.now.saturating_sub(SAMPLE_AGE), Timestamp::MAX);
        let store = &self.stores.metrics;
        let samples = store.health_samples(None, range, MOST_SAMPLES).await;
        let named = |sample: atalaya_store::metrics::HealthSample| {
            (
                format!("{}.{}", sample.component, sample.measure),
                sample.value,
            )
        };
        // Oldest first, so that the newest stays.
        samples.unwrap_or_default().into_iter().map(named).collect()
    }

    async fn job_age(&self, job: &str) -> Value {
        let last = self.stores.metrics.last_success(job).await;
        let last = last.map_err(|error| describe(&error))?;
        let Some(at) = last else {
            return Err(format!("the job `{job}` has never succeeded here"));
        };
        let hours = self.now.since(at).as_secs_f64() / 3_600.0;
        Ok((hours, format!("last success {at}")))
    }
}

pub(super) fn parsed(query: &str, now: Timestamp) -> Result<Query, String> {
    let clock = QueryClock {
        now,
        zone: Zone::Utc,
    };
    Query::parse(query, &clock).map_err(|error| error.to_string())
}
