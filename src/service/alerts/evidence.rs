//! What was known at the moment when an alert began to fire.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::measure::parsed;
use crate::service::{Stores, describe};
use atalaya_domain::alert::{
    Alert, EVIDENCE_CHARACTERS, EVIDENCE_RECORDS, Evidence, EvidenceDeployment, EvidenceRecord,
    Rule,
};
use atalaya_domain::delivery::Deployment;
use atalaya_domain::record::Record;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::chunks::Order;
use atalaya_store::engine::PageRequest;
use atalaya_store::metrics::DeliveryFilter;

/// How far back the last deployment is looked for.
const DEPLOYMENT_REACH: Duration = Duration::from_secs(30 * 86_400);
/// How far back records are looked for, at least: late ones and those of a silent source.
const RECORD_REACH: Duration = Duration::from_secs(15 * 60);
/// Records decoded for one alert.
const SCAN: u64 = 100_000;
/// What gathering for one alert may take.
const LIMIT: Duration = Duration::from_secs(10);

/// When evidence is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub now: Timestamp,
    /// How far beyond it records still count: a clock that runs ahead elsewhere is no reason to miss
    /// its records.
    pub ahead: Duration,
}

/// Of whoever evaluates in the present.
pub(super) const AHEAD: Duration = RECORD_REACH;

/// The last deployment before `now`, looked up once for a whole evaluation.
pub(super) async fn last_deployment(
    stores: &Stores,
    now: Timestamp,
) -> Result<Option<Deployment>, String> {
    let filter = DeliveryFilter {
        range: Some(TimeRange::ending(now, DEPLOYMENT_REACH)),
        ..DeliveryFilter::default()
    };
    let all = stores.metrics.deployments(&filter).await;
    let all = all.map_err(|error| describe(&error))?.read;
    Ok(all.into_iter().max_by_key(|known| known.finished_at))
}

/// Value and reading, and with `records` also the newest records that match.
pub(super) async fn gather(
    stores: &Stores,
    alert: &Alert,
    rule: &Rule,
    said: &str,
    deployment: &Result<Option<Deployment>, String>,
    with_records: bool,
    moment: Moment,
) -> Evidence {
    let now = moment.now;
    let mut evidence = Evidence {
        at: now,
        value: alert.value,
        reading: said.to_owned(),
        ..Evidence::default()
    };
    match deployment {
        Ok(found) => {
            evidence.deployment = found.as_ref().map(|found| EvidenceDeployment {
                id: found.id.clone(),
                service: found.service.clone(),
                environment: found.environment.clone(),
                at: found.finished_at,
                seconds_before: now.since(found.finished_at).as_secs(),
            });
        }
        Err(why) => evidence.missing.push(format!("the last deployment: {why}")),
    }
    let Some(query) = rule.measure.query() else {
        return evidence;
    };
    if !with_records {
        let why = "the records: too many alerts began at once, or they took too long to find; the query finds them";
        evidence.missing.push(why.to_owned());
        return evidence;
    }
    let reach = rule.measure.window().unwrap_or_default().max(RECORD_REACH);
    match records(stores, query, reach, moment).await {
        Ok(records) => {
            for record in &records {
                if let Some(id) = &record.entry.request_id
                    && !evidence.request_ids.contains(id)
                {
                    evidence.request_ids.push(id.clone());
                }
            }
            evidence.records = records.iter().map(short).collect();
        }
        Err(why) => evidence.missing.push(format!("the records: {why}")),
    }
    evidence
}

async fn records(
    stores: &Stores,
    query: &str,
    reach: Duration,
    Moment { now, ahead }: Moment,
) -> Result<Vec<Record>, String> {
    let cancel = CancellationToken::new();
    let request = PageRequest {
        query: parsed(query, now)?,
        range: TimeRange::new(now.saturating_sub(reach), now.saturating_add(ahead)),
        order: Order::NewestFirst,
        after: None,
        limit: EVIDENCE_RECORDS,
        scan_limit: SCAN,
        cancel: cancel.clone(),
    };
    let page = tokio::time::timeout(LIMIT, stores.logs.page(&request)).await;
    match page {
        Ok(page) => Ok(page.map_err(|error| describe(&error))?.records),
        Err(_) => {
            cancel.cancel();
            Err(format!("not found within {} s", LIMIT.as_secs()))
        }
    }
}

fn short(record: &Record) -> EvidenceRecord {
    let entry = &record.entry;
    EvidenceRecord {
        id: record.id().to_string(),
        at: entry.timestamp,
        level: entry.level.name().to_owned(),
        source: record.origin.source.to_string(),
        host: record.host().to_owned(),
        request_id: entry.request_id.clone(),
        message: entry.message.chars().take(EVIDENCE_CHARACTERS).collect(),
    }
}
