//! The data that this system keeps, seen from outside: how good it is, where it comes from, whether
//! it flows. Everything is counted when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::logs::{self, Search};
use super::{Stores, describe};
use crate::config::Settings;
use atalaya_domain::delivery::{Phase, PhaseRecord};
use atalaya_domain::dora::trend::midnight;
use atalaya_domain::health::Health;
use atalaya_domain::health::database::Database;
use atalaya_domain::quality::{self, Quality};
use atalaya_domain::record::{Layer, Level};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::Histogram;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, SourceRun};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Looking for the newest record of a layer ends after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows in the last hour that make data as fresh as can be.
const FRESH_ROWS: f64 = 10.0;

/// Phases of the last days, newest first, and how many rows of that time cannot be read.
pub async fn phases(
    store: &dyn MetricsStore,
    days: u32,
    now: Timestamp,
) -> Result<(Vec<PhaseRecord>, usize), StoreError> {
    let from = now.saturating_sub(DAY.saturating_mul(days));
    let filter = DeliveryFilter {
        // What was recorded in this very moment belongs to it.
        range: Some(TimeRange::new(
            from,
            now.saturating_add(Duration::from_secs(1)),
        )),
        ..DeliveryFilter::default()
    };
    let mut found = store.phases(&filter).await?;
    found
        .read
        .sort_by_key(|row| std::cmp::Reverse(row.recorded_at));
    Ok((found.read, found.unreadable.len()))
}

/// The quality of the phases of the last days.
pub async fn quality(
    store: &dyn MetricsStore,
    days: u32,
    now: Timestamp,
) -> Result<Quality, StoreError> {
    let (rows, unreadable) = phases(store, days, now).await?;
    Ok(quality::assess(&rows, unreadable, now))
}

/// What of one log layer came lately, or why that is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFlow {
    pub last_day: Result<u64, String>,
    pub today: Result<u64, String>,
    /// `None`: there is none, or it was not found in time.
    pub newest: Option<Timestamp>,
}

/// What of the deliveries came lately.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryFlow {
    pub last_day: usize,
    pub today: usize,
    pub last_hour: usize,
    pub newest: Option<Timestamp>,
    /// Share of incident phases among the phases of a week, in per cent. `None` of no phases.
    pub incident_percent: Option<f64>,
    pub sources: Vec<SourceRun>,
}

/// Everything that flows, counted now.
#[derive(Clone, Debug, PartialEq)]
pub struct Flows {
    pub at: Timestamp,
    pub deliveries: DeliveryFlow,
    pub application: LogFlow,
    pub infrastructure: LogFlow,
}

/// Counts; `zone` says when today began. A log store that is away is told and no error.
pub async fn flows(stores: &Stores, settings: &Settings) -> Result<Flows, StoreError> {
    let now = Timestamp::now();
    let zone = super::dora::zone(settings.ingest.timezone.as_deref());
    let today = midnight(now.to_utc().with_timezone(&zone).date_naive(), zone);
    let (deliveries, application, infrastructure) = tokio::join!(
        deliveries(&*stores.metrics, today, now),
        log_flow(stores, Layer::Application, today, now),
        log_flow(stores, Layer::Infrastructure, today, now),
    );
    Ok(Flows {
        at: now,
        deliveries: deliveries?,
        application,
        infrastructure,
    })
}

async fn deliveries(
    store: &dyn MetricsStore,
    today: Timestamp,
    now: Timestamp,
) -> Result<DeliveryFlow, StoreError> {
    let (week, _) = phases(store, 7, now).await?;
    let since = |from: Timestamp| week.iter().filter(|row| row.recorded_at >= from).count();
    let incidents = week.iter().filter(|row| is_incident(row)).count();
    let percent = incidents as f64 / week.len().max(1) as f64 * 100.0;
    Ok(DeliveryFlow {
        last_day: since(now.saturating_sub(DAY)),
        today: since(today),
        last_hour: since(now.saturating_sub(HOUR)),
        newest: week.first().map(|row| row.recorded_at),
        incident_percent: (!week.is_empty()).then_some(percent),
        sources: store.sources().await?,
    })
}

/// The older tool's word for it was a phase of that name; here it is one of maintenance.
pub fn is_incident(row: &PhaseRecord) -> bool {
    matches!(row.phase, Phase::Maintenance)
}

fn of_layer(layer: Layer, now: Timestamp) -> Option<Query> {
    let word = match layer {
        Layer::Application => "layer:app",
        Layer::Infrastructure => "layer:infra",
    };
    let clock = QueryClock {
        now,
        zone: Zone::Utc,
    };
    Query::parse(word, &clock).ok()
}

async fn log_flow(stores: &Stores, layer: Layer, today: Timestamp, now: Timestamp) -> LogFlow {
    let Some(query) = of_layer(layer, now) else {
        let why = "the layer has no query".to_owned();
        return LogFlow {
            last_day: Err(why.clone()),
            today: Err(why),
            newest: None,
        };
    };
    let until = now.saturating_add(Duration::from_secs(1));
    let count = |from: Timestamp| {
        let query = query.clone();
        async move {
            counted(stores, &query, TimeRange::new(from, until), 1)
                .await
                .map(|found| total(&found))
                .map_err(|error| describe(&error))
        }
    };
    let search = Search::new(query.clone(), Order::NewestFirst, Some(1));
    let (last_day, today, newest) = tokio::join!(
        count(now.saturating_sub(DAY)),
        count(today),
        logs::part(&stores.logs, &search, None, PATIENCE),
    );
    LogFlow {
        last_day,
        today,
        newest: newest
            .ok()
            .and_then(|part| part.records.first().map(|record| record.entry.timestamp)),
    }
}

async fn counted(
    stores: &Stores,
    query: &Query,
    range: TimeRange,
    bins: usize,
) -> Result<Histogram, StoreError> {
    let cancel = CancellationToken::new();
    // Whoever does not wait for the answer ends the count.
    let _ended = cancel.clone().drop_guard();
    stores.logs.histogram(query, range, bins, &cancel).await
}

fn total(found: &Histogram) -> u64 {
    let levels = found
        .bins
        .iter()
        .flat_map(|counts| Level::ALL.map(|level| counts.of(level)));
    levels.map(u64::from).sum()
}

/// The three scores of the older tool, and what they are made of.
#[derive(Clone, Debug)]
pub struct Wellness {
    pub flows: Flows,
    pub quality: Quality,
    /// 0 to 100; `None` without rows to judge by.
    pub freshness: f64,
    pub error_health: Option<f64>,
    pub health: Arc<Health>,
}

impl Wellness {
    /// Mean of what can be told; 0 of nothing.
    pub fn overall(&self) -> f64 {
        let scores = [
            Some(self.quality.overall),
            Some(self.freshness),
            self.error_health,
        ];
        let known: Vec<f64> = scores.into_iter().flatten().collect();
        atalaya_domain::stats::mean(&known).unwrap_or(0.0)
    }
}

/// Counts what the ecosystem's health is made of, beside what was measured of the parts.
pub async fn wellness(
    stores: &Stores,
    settings: &Settings,
    health: Arc<Health>,
) -> Result<Wellness, StoreError> {
    let flows = flows(stores, settings).await?;
    let quality = quality(&*stores.metrics, 30, flows.at).await?;
    let freshness = (flows.deliveries.last_hour as f64 / FRESH_ROWS * 100.0).min(100.0);
    let error_health = flows
        .deliveries
        .incident_percent
        .map(|percent| 2.0_f64.mul_add(-percent, 100.0).max(0.0));
    Ok(Wellness {
        flows,
        quality,
        freshness,
        error_health,
        health,
    })
}

/// What is stored, and how much of it.
#[derive(Clone, Debug)]
pub struct Registry {
    pub at: Timestamp,
    pub metrics: Database,
    pub log_records: u64,
    pub log_bytes: u64,
}

/// Asks both stores for their sizes.
pub async fn registry(stores: &Stores) -> Result<Registry, StoreError> {
    let stats = stores.logs.store().stats().await?;
    Ok(Registry {
        at: Timestamp::now(),
        metrics: stores.metrics.vitals().await?,
        log_records: stats.records,
        log_bytes: stats.disk_bytes,
    })
}

/// One measured value of how the system performs.
#[derive(Clone, Debug, PartialEq)]
pub struct Performance {
    pub name: &'static str,
    pub component: String,
    pub value: f64,
    pub at: Timestamp,
}

/// How long the stores took to answer, by the samples of the job `health_sample`; and the share of
/// errors among the records of each five minutes or more. Newest first, at most `limit`.
pub async fn performance(
    stores: &Stores,
    hours: u32,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Performance>, StoreError> {
    let until = now.saturating_add(Duration::from_secs(1));
    let range = TimeRange::new(now.saturating_sub(HOUR.saturating_mul(hours)), until);
    // A round of samples has some tens of measures.
    let samples = stores
        .metrics
        .health_samples(None, range, limit.saturating_mul(50))
        .await?;
    let is_store =
        |component: &str| component.starts_with("logs/") || component.starts_with("metrics/");
    let mut rows: Vec<Performance> = samples
        .into_iter()
        .filter(|sample| sample.measure == "latency_ms" && is_store(&sample.component))
        .map(|sample| Performance {
            name: "database_query_time_ms",
            component: sample.component,
            value: sample.value,
            at: sample.taken_at,
        })
        .collect();
    let clock = QueryClock {
        now,
        zone: Zone::Utc,
    };
    if let Ok(all) = Query::parse("", &clock) {
        let (range, bins) = Histogram::aligned(range, (hours as usize * 12).min(500));
        let found = counted(stores, &all, range, bins).await?;
        let mut at = found.range.from;
        for counts in &found.bins {
            let whole: u32 = Level::ALL.map(|level| counts.of(level)).iter().sum();
            let errors: u32 = Level::ALL
                .into_iter()
                .filter(|level| *level >= Level::Error)
                .map(|level| counts.of(level))
                .sum();
            if whole > 0 {
                rows.push(Performance {
                    name: "error_rate",
                    component: "logs".to_owned(),
                    value: f64::from(errors) / f64::from(whole),
                    at,
                });
            }
            at = at.saturating_add(found.bin_width);
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    rows.truncate(limit as usize);
    Ok(rows)
}
