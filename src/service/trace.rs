//! The trace of a request: its records of both log layers and the metrics events that carry its id,
//! merged in time order, with offsets and gaps; several requests at once.

use std::collections::HashMap;
use std::time::Duration;

use atalaya_domain::delivery::{Deployment, DeploymentResult, Incident, PhaseRecord};
use atalaya_domain::record::{Level, Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::engine::Scanned;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::RequestEvents;

use super::{Stores, describe};

/// How much to read and what to call a gap.
#[derive(Clone, Copy, Debug)]
pub struct TraceOptions {
    /// Most records of each request.
    pub limit: usize,
    /// A pause between two rows of at least this is marked.
    pub gap: Duration,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            limit: 10_000,
            gap: Duration::from_secs(1),
        }
    }
}

/// What stands in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceEvent {
    Record(Box<Record>),
    Phase(Box<PhaseRecord>),
    DeploymentStarted(Box<Deployment>),
    DeploymentFinished(Box<Deployment>),
    IncidentOpened(Box<Incident>),
    IncidentResolved(Box<Incident>),
}

impl TraceEvent {
    pub fn level(&self) -> Level {
        match self {
            Self::Record(record) => record.entry.level,
            Self::Phase(phase) if phase.decision.failed() => Level::Error,
            Self::DeploymentFinished(deployment) => match deployment.result {
                DeploymentResult::Failed | DeploymentResult::RolledBack => Level::Error,
                DeploymentResult::Aborted => Level::Warning,
                DeploymentResult::Success => Level::Info,
            },
            Self::IncidentOpened(_) => Level::Error,
            Self::Phase(_) | Self::DeploymentStarted(_) | Self::IncidentResolved(_) => Level::Info,
        }
    }

    /// The source of a record; the kind of a metrics event.
    pub fn source(&self) -> &str {
        match self {
            Self::Record(record) => &record.origin.source,
            Self::Phase(_) => "phase",
            Self::DeploymentStarted(_) | Self::DeploymentFinished(_) => "deployment",
            Self::IncidentOpened(_) | Self::IncidentResolved(_) => "incident",
        }
    }

    /// What it says, in words (untrusted, as stored).
    pub fn message(&self) -> String {
        match self {
            Self::Record(record) => record.entry.message.to_string(),
            Self::Phase(phase) => {
                format!(
                    "phase {} of {}: {}",
                    phase.phase.name(),
                    phase.feature_id,
                    phase.decision.name()
                )
            }
            Self::DeploymentStarted(deployment) => {
                format!(
                    "deployment of {} to {} started",
                    deployment.service, deployment.environment
                )
            }
            Self::DeploymentFinished(deployment) => {
                let Deployment {
                    service,
                    environment,
                    result,
                    ..
                } = &**deployment;
                format!(
                    "deployment of {service} to {environment}: {}",
                    result.name()
                )
            }
            Self::IncidentOpened(incident) => format!("incident opened: {}", incident.title),
            Self::IncidentResolved(incident) => format!("incident resolved: {}", incident.title),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceRow {
    pub at: Timestamp,
    /// From the first row of the trace.
    pub offset: Duration,
    /// From the row before; zero for the first.
    pub gap: Duration,
    /// The gap is as long as the options' threshold, or longer.
    pub long_gap: bool,
    pub request_id: RequestId,
    /// Index into [`Trace::lanes`].
    pub lane: usize,
    pub event: TraceEvent,
}

/// One source within the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub source: String,
    pub rows: usize,
    pub worst: Level,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// One or more requests in time order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub ids: Vec<RequestId>,
    pub rows: Vec<TraceRow>,
    /// In the order in which the sources first appear.
    pub lanes: Vec<Lane>,
    /// Records that were left out because a request has more than the limit.
    pub omitted: u64,
    pub scanned: Scanned,
    /// Why the events of the metrics are not among the rows, and what to do about it.
    pub without_metrics: Option<String>,
}

impl Trace {
    /// From the first to the last row; zero for one row or none.
    pub fn span(&self) -> Duration {
        self.rows.last().map_or(Duration::ZERO, |last| last.offset)
    }

    /// From the first row to just after the last; `None` when there are none.
    pub fn range(&self) -> Option<TimeRange> {
        let (first, last) = (self.rows.first()?, self.rows.last()?);
        Some(TimeRange::new(
            first.at,
            last.at.saturating_add(Duration::from_micros(1)),
        ))
    }

    pub fn worst(&self) -> Option<Level> {
        self.rows.iter().map(|row| row.event.level()).max()
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.rows.iter().filter_map(|row| match &row.event {
            TraceEvent::Record(record) => Some(&**record),
            _ => None,
        })
    }

    /// Puts events in time order; records at the same time stay in the order of their identity,
    /// and metrics events come before them.
    pub fn build(
        ids: Vec<RequestId>,
        mut events: Vec<(Timestamp, RequestId, TraceEvent)>,
        gap: Duration,
    ) -> Self {
        events.sort_by_cached_key(|(at, _, event)| {
            let identity = match event {
                TraceEvent::Record(record) => Some(record.id()),
                _ => None,
            };
            (*at, identity)
        });
        let start = events.first().map(|(at, _, _)| *at).unwrap_or_default();
        let mut trace = Self {
            ids,
            ..Self::default()
        };
        let mut lane_of: HashMap<String, usize> = HashMap::new();
        let mut previous = start;
        for (at, request_id, event) in events {
            let source = event.source().to_owned();
            let level = event.level();
            let lane = *lane_of.entry(source.clone()).or_insert_with(|| {
                trace.lanes.push(Lane {
                    source,
                    rows: 0,
                    worst: level,
                    first: at,
                    last: at,
                });
                trace.lanes.len() - 1
            });
            if let Some(lane) = trace.lanes.get_mut(lane) {
                lane.rows += 1;
                lane.worst = lane.worst.max(level);
                lane.last = at;
            }
            let pause = at.since(previous);
            let long_gap = !trace.rows.is_empty() && pause >= gap;
            trace.rows.push(TraceRow {
                at,
                offset: at.since(start),
                gap: pause,
                long_gap,
                request_id,
                lane,
                event,
            });
            previous = at;
        }
        trace
    }
}

/// Everything that carries one of the ids. An id that nothing carries adds no rows.
///
/// # Errors
/// The logs cannot be read. Metrics that cannot are left out, and the trace says so.
pub async fn trace(
    stores: &Stores,
    ids: &[RequestId],
    options: TraceOptions,
) -> Result<Trace, StoreError> {
    let mut distinct: Vec<RequestId> = Vec::with_capacity(ids.len());
    for id in ids {
        if !distinct.contains(id) {
            distinct.push(id.clone());
        }
    }
    let mut events = Vec::new();
    let mut omitted = 0;
    let mut scanned = Scanned::default();
    let mut without_metrics = None;
    for id in &distinct {
        let (found, metrics) = tokio::join!(
            stores.logs.trace(id, options.limit),
            stores.metrics.events_of_request(id)
        );
        let found = found?;
        let metrics = metrics.unwrap_or_else(|error| {
            without_metrics = Some(describe(&error));
            RequestEvents::default()
        });
        omitted += found.omitted;
        scanned.buckets += found.scanned.buckets;
        scanned.chunks += found.scanned.chunks;
        scanned.chunks_read += found.scanned.chunks_read;
        scanned.records += found.scanned.records;
        events.extend(found.records.into_iter().map(|record| {
            (
                record.entry.timestamp,
                id.clone(),
                TraceEvent::Record(Box::new(record)),
            )
        }));
        events.extend(
            moments(metrics)
                .into_iter()
                .map(|(at, event)| (at, id.clone(), event)),
        );
    }
    let trace = Trace::build(distinct, events, options.gap);
    Ok(Trace {
        omitted,
        scanned,
        without_metrics,
        ..trace
    })
}

/// Metrics events at the times at which they happened: what has a beginning and an end gives two.
fn moments(events: RequestEvents) -> Vec<(Timestamp, TraceEvent)> {
    let mut moments = Vec::new();
    moments.extend(
        events
            .phases
            .into_iter()
            .map(|phase| (phase.recorded_at, TraceEvent::Phase(Box::new(phase)))),
    );
    for deployment in events.deployments {
        let deployment = Box::new(deployment);
        if let Some(started) = deployment.started_at {
            moments.push((started, TraceEvent::DeploymentStarted(deployment.clone())));
        }
        moments.push((
            deployment.finished_at,
            TraceEvent::DeploymentFinished(deployment),
        ));
    }
    for incident in events.incidents {
        let incident = Box::new(incident);
        if let Some(resolved) = incident.resolved_at {
            moments.push((resolved, TraceEvent::IncidentResolved(incident.clone())));
        }
        moments.push((incident.opened_at, TraceEvent::IncidentOpened(incident)));
    }
    moments
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use atalaya_domain::record::{Entry, Layer, Origin, OriginId};

    fn record(source: &str, millis: i64, level: Level) -> (Timestamp, RequestId, TraceEvent) {
        let at = Timestamp::from_millis(millis);
        let origin = Origin {
            id: OriginId::derive(&[source.as_bytes()]),
            layer: Layer::Application,
            source: source.into(),
            host: "h".into(),
        };
        let entry = Entry {
            timestamp: at,
            position: millis.unsigned_abs(),
            level,
            ..Entry::default()
        };
        (
            at,
            RequestId::new("r"),
            TraceEvent::Record(Box::new(Record {
                origin: Arc::new(origin),
                entry,
            })),
        )
    }

    #[test]
    fn rows_are_in_time_order_with_offsets_and_gaps() {
        let ids = vec![RequestId::new("r")];
        let events = vec![
            record("app", 5_000, Level::Error),
            record("nginx", 1_000, Level::Info),
            record("app", 1_200, Level::Warning),
        ];
        let trace = Trace::build(ids, events, Duration::from_secs(1));
        let rows: Vec<_> = trace
            .rows
            .iter()
            .map(|row| {
                (
                    row.offset.as_millis(),
                    row.gap.as_millis(),
                    row.long_gap,
                    row.lane,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                (0, 0, false, 0),
                (200, 200, false, 1),
                (4_000, 3_800, true, 1)
            ]
        );
        assert_eq!(
            trace
                .lanes
                .iter()
                .map(|lane| (lane.source.as_str(), lane.rows))
                .collect::<Vec<_>>(),
            [("nginx", 1), ("app", 2)]
        );
        assert_eq!(
            (trace.worst(), trace.span()),
            (Some(Level::Error), Duration::from_secs(4))
        );
        assert_eq!(trace.lanes[1].worst, Level::Error);
    }

    #[test]
    fn a_trace_of_nothing_is_empty() {
        let trace = Trace::build(vec![RequestId::new("r")], Vec::new(), Duration::ZERO);
        assert_eq!(
            (trace.worst(), trace.span(), trace.range()),
            (None, Duration::ZERO, None)
        );
    }
}
