//! Tools over logs.

use std::time::Duration;

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Mcp;
use super::answer::{Found, Wrong, command, within};
use crate::report::histogram_json;
use crate::report::record_json::{RecordJson, trace_line};
use crate::service::logs::{self, Search as Wanted, cursor_of, cursor_text};
use crate::service::trace::{TraceOptions, trace as trace_of};
use atalaya_domain::pattern;
use atalaya_domain::record::{Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Cursor, Histogram};

/// A search ends where it is after so long, and says where it goes on.
const PATIENCE: Duration = Duration::from_secs(4);
/// Errors that are folded.
const FOLDED: u64 = 5_000;
const PATTERNS: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Search {
    /// What to look for, in the query language; everything when left out.
    q: Option<String>,
    /// Most records: 1 to 200, 50 when left out.
    limit: Option<u32>,
    /// Oldest first instead of newest first.
    oldest_first: Option<bool>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

fn parse(text: &str) -> Result<Query, Wrong> {
    let clock = QueryClock {
        now: Timestamp::now(),
        zone: Zone::Utc,
    };
    Query::parse(text, &clock).map_err(|wrong| Wrong(wrong.render(text)))
}

fn of_record(record: &Record) -> Result<(Value, String), Wrong> {
    let cursor = Cursor {
        timestamp: record.entry.timestamp,
        id: record.id(),
    };
    Ok((
        serde_json::to_value(RecordJson::of(record))?,
        cursor_text(&cursor),
    ))
}

pub async fn search(mcp: &Mcp, asked: Search) -> Result<Found, Wrong> {
    let text = asked.q.unwrap_or_default();
    let limit = within("limit", asked.limit, 50, 200)?;
    let order = if asked.oldest_first.unwrap_or(false) {
        Order::OldestFirst
    } else {
        Order::NewestFirst
    };
    let after = asked
        .cursor
        .as_deref()
        .map(|text| {
            cursor_of(text).ok_or_else(|| {
                Wrong("the cursor is none that this tool gave; take `next` as it is".to_owned())
            })
        })
        .transpose()?;
    let wanted = Wanted::new(parse(&text)?, order, Some(limit.into()));
    let _ended = wanted.cancel.clone().drop_guard();
    let found = logs::part(&mcp.inner.stores.logs, &wanted, after, PATIENCE).await?;
    let rows = found
        .records
        .iter()
        .map(of_record)
        .collect::<Result<Vec<_>, _>>()?;
    let next = found.next.as_ref().map(cursor_text);
    let console = command(&[
        "atalaya",
        "logs",
        &text,
        "--limit",
        &limit.to_string(),
        "--utc",
    ]);
    Ok(Found::rows(rows, next, console).with("scanned_records", json!(found.scanned.records)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Trace {
    request_id: String,
    /// Most rows: 1 to 500, 100 when left out.
    limit: Option<u32>,
    /// The `next` of the answer before.
    cursor: Option<String>,
}

pub async fn trace(mcp: &Mcp, asked: Trace) -> Result<Found, Wrong> {
    let limit = within("limit", asked.limit, 100, 500)? as usize;
    let id = RequestId::new(asked.request_id);
    let found = trace_of(
        &mcp.inner.stores,
        std::slice::from_ref(&id),
        TraceOptions::default(),
    )
    .await?;
    let rows = found
        .rows
        .iter()
        .map(|row| Ok(serde_json::from_str(&trace_line(row)?)?))
        .collect::<Result<Vec<Value>, Wrong>>()?;
    let console = command(&["atalaya", "trace", id.as_str(), "--utc"]);
    let page = Found::page(rows, asked.cursor.as_deref(), limit, console)?;
    Ok(page
        .with("span_ms", json!(found.span().as_secs_f64() * 1_000.0))
        .with("omitted", json!(found.omitted))
        .with("without_metrics", json!(found.without_metrics)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Counts {
    /// What to count, in the query language; everything when left out.
    q: Option<String>,
    /// How far back from now: 1 to 366, 1 when left out. A `since:` in the query comes first.
    days: Option<u32>,
    /// Most bins: 1 to 200, 24 when left out.
    bins: Option<u32>,
}

pub async fn histogram(mcp: &Mcp, asked: Counts) -> Result<Found, Wrong> {
    let text = asked.q.unwrap_or_default();
    let days = within("days", asked.days, 1, 366)?;
    let bins = within("bins", asked.bins, 24, 200)?;
    let query = parse(&text)?;
    let until = Timestamp::now().saturating_add(Duration::from_secs(1));
    let stated = query.range();
    let from = if stated.from == Timestamp::MIN {
        until.saturating_sub(Duration::from_secs(u64::from(days) * 86_400))
    } else {
        stated.from
    };
    let range = TimeRange::new(from, stated.until.min(until));
    let (range, bins) = Histogram::aligned(range, bins as usize);
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let found = mcp
        .inner
        .stores
        .logs
        .histogram(&query, range, bins, &cancel)
        .await?;
    let console = command(&["atalaya", "logs", &text, "--utc"]);
    Ok(Found::whole(histogram_json::histogram(&found), console))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Patterns {
    /// Which records to fold; `level>=error since:24h` when left out.
    q: Option<String>,
    /// Most patterns: 1 to 100, 20 when left out.
    limit: Option<u32>,
}

pub async fn patterns(mcp: &Mcp, asked: Patterns) -> Result<Found, Wrong> {
    let text = asked
        .q
        .unwrap_or_else(|| "level>=error since:24h".to_owned());
    let limit = within("limit", asked.limit, 20, 100)? as usize;
    let wanted = Wanted::new(parse(&text)?, Order::NewestFirst, Some(FOLDED));
    let _ended = wanted.cancel.clone().drop_guard();
    let found = logs::part(&mcp.inner.stores.logs, &wanted, None, PATIENCE).await?;
    let mut folded = pattern::Patterns::new(PATTERNS);
    for record in &found.records {
        folded.add(record);
    }
    let rows = folded
        .ranked()
        .into_iter()
        .map(|one| {
            json!({
                "pattern": one.text,
                "count": one.count,
                "worst": one.worst.name(),
                "first": one.first.to_rfc3339(),
                "last": one.last.to_rfc3339(),
                "example_id": one.example.to_string(),
            })
        })
        .collect();
    let console = command(&["atalaya", "logs", &text, "--utc"]);
    let page = Found::page(rows, None, limit, console)?;
    Ok(page
        .with("records", json!(found.records.len()))
        .with("all_records", json!(found.next.is_none()))
        .with("in_no_pattern", json!(folded.others())))
}
