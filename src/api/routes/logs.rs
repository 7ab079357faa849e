//! Log records by the query language: lists by cursor, counts over time, neighbours, traces.

use std::time::Duration;

use axum::extract::State;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::Use;
use super::data::just_after;
use crate::api::Shared;
use crate::api::answer::Answer;
use crate::api::params::{Named, Params, Whole};
use crate::api::problem::Problem;
use crate::report::record_json::{RecordJson, trace_line};
use crate::report::{groups, histogram_json};
use crate::service::logs::{self, Part, Search, cursor_of, cursor_text};
use crate::service::trace::{TraceOptions, trace as trace_of};
use atalaya_domain::record::{Record, RecordId, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Aggregate, Query, QueryClock, Zone};
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Cursor, Histogram};

const LIMIT: u32 = 100;
const BINS: u32 = 60;
/// After so long a list ends where it is, and says where it goes on.
const PATIENCE: Duration = Duration::from_secs(4);
/// Records of one request in a trace.
const TRACE_RECORDS: usize = 10_000;

/// A list that somebody wants.
pub(super) struct Wanted<'a> {
    pub text: &'a str,
    /// None that is older.
    pub since: Option<Timestamp>,
    pub order: Order,
    pub after: Option<Cursor>,
    pub limit: u32,
}

impl Wanted<'_> {
    pub async fn part(&self, api: &Shared) -> Result<Part, Problem> {
        let now = Timestamp::now();
        let mut query = parse(self.text, now)?;
        if let Some(since) = self.since {
            let since = format!("since:{}", since.to_rfc3339());
            query = query.and(&parse(&since, now)?);
        }
        let search = Search::new(query, self.order, Some(self.limit.into()));
        // Whoever does not wait for the answer ends the search.
        let _ended = search.cancel.clone().drop_guard();
        Ok(logs::part(&api.stores.logs, &search, self.after, PATIENCE).await?)
    }
}

fn parse(text: &str, now: Timestamp) -> Result<Query, Problem> {
    let clock = QueryClock {
        now,
        zone: Zone::Utc,
    };
    Query::parse(text, &clock).map_err(|wrong| {
        Problem::bad_request(
            wrong.render(text),
            "the query language is that of `atalaya logs --help`",
        )
    })
}

pub(super) fn records_json(records: &[Record]) -> Result<Vec<Value>, Problem> {
    let rows = records
        .iter()
        .map(|record| serde_json::to_value(RecordJson::of(record)));
    Ok(rows.collect::<Result<_, _>>()?)
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Newest,
    Oldest,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// What to look for; everything when left out. Times without a zone are UTC.
    #[param(example = "level>=warning source:nginx/* since:1h")]
    q: Option<String>,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<Whole<1, 1_000>>,
    /// Which come first: `newest` or `oldest`.
    #[param(inline, default = "newest")]
    #[serde(default)]
    order: Direction,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Records that match, by pages.
#[utoipa::path(get, path = "/api/logs", tag = "logs", params(LogsQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "count, data (as `atalaya logs --json`), next (null at the end), scanned; `Link` with rel=next. A page may hold fewer than the limit, or none, and still have a next one: what was looked through took its time", body = Value),
        (status = 400, description = "The query, the cursor or a number is wrong", body = Value),
    ))]
pub async fn list(State(api): Use, Params(asked): Params<LogsQuery>) -> Result<Answer, Problem> {
    let after = asked.cursor.as_deref().map(|text| {
        cursor_of(text).ok_or_else(|| {
            Problem::bad_request(
                "the cursor is none that this API gave",
                "take `next` of the page before as it is, or leave it out for the first page",
            )
        })
    });
    let text = asked.q.as_deref().unwrap_or_default();
    let limit = asked.limit.map_or(LIMIT, |limit| limit.0);
    let (order, word) = match asked.order {
        Direction::Newest => (Order::NewestFirst, "newest"),
        Direction::Oldest => (Order::OldestFirst, "oldest"),
    };
    let wanted = Wanted {
        text,
        since: None,
        order,
        after: after.transpose()?,
        limit,
    };
    let found = wanted.part(&api).await?;
    let next = found.next.as_ref().map(cursor_text);
    let link = next.as_deref().map(|cursor| {
        let text = utf8_percent_encode(text, NON_ALPHANUMERIC);
        format!("/api/logs?q={text}&order={word}&limit={limit}&cursor={cursor}")
    });
    let answer = json!({
        "count": found.records.len(),
        "data": records_json(&found.records)?,
        "next": next,
        "scanned": histogram_json::scanned(found.scanned),
    });
    Ok(Answer::new(answer).with_next(link))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistogramQuery {
    q: Option<String>,
    /// How far back from now, where the query says no `since:`.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 1)]
    days: Option<Whole<1, 3_650>>,
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 60)]
    bins: Option<Whole<1, 1_000>>,
}

/// Counts by level over time.
#[utoipa::path(get, path = "/api/logs/histogram", tag = "logs", params(HistogramQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "range, bin_seconds, bins (start and the count of each level), total, scanned", body = Value),
        (status = 400, description = "The query or a number is wrong", body = Value),
    ))]
pub async fn histogram(
    State(api): Use,
    Params(asked): Params<HistogramQuery>,
) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let query = parse(asked.q.as_deref().unwrap_or_default(), now)?;
    let days = asked.days.map_or(1, |days| days.0);
    let length = Duration::from_secs(u64::from(days) * 86_400);
    let stated = query.range();
    let from = if stated.from == Timestamp::MIN {
        now.saturating_sub(length)
    } else {
        stated.from
    };
    let range = TimeRange::new(from, stated.until.min(just_after(now)));
    let bins = asked.bins.map_or(BINS, |bins| bins.0);
    let (range, bins) = Histogram::aligned(range, bins as usize);
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let found = api
        .stores
        .logs
        .histogram(&query, range, bins, &cancel)
        .await?;
    Ok(Answer::new(histogram_json::histogram(&found)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CountQuery {
    q: Option<String>,
    /// Up to three fields; without them all records are one group.
    #[param(example = "source,meta.status")]
    by: Option<String>,
    /// A count for each span: second, minute, hour, day (of UTC), or 5m, 2h.
    #[param(example = "hour")]
    per: Option<String>,
    /// The groups with the most records.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    top: Option<Whole<1, 1_000>>,
    /// `rate`, and avg, min, max, sum, p50, p95, p99.9 … of `duration` or meta.NAME.
    #[param(example = "p50,p95 duration")]
    of: Option<String>,
    /// How far back from now, where the query says no `since:`.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 3650, default = 1)]
    days: Option<Whole<1, 3_650>>,
}

/// Rows of one answer: more come by a longer span or fewer groups.
const MOST_ROWS: usize = 10_000;

/// What matches, counted in groups: the same figures as `atalaya logs --count`.
#[utoipa::path(get, path = "/api/logs/count", tag = "logs", params(CountQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "data (at, by, count, per_second, statistics of each group), total, groups, groups_cut, others (records of groups that are not among the rows), range, scanned", body = Value),
        (status = 400, description = "The query, a field or a number is wrong, or there are more than 10000 rows", body = Value),
    ))]
pub async fn count(State(api): Use, Params(asked): Params<CountQuery>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let mut query = parse(asked.q.as_deref().unwrap_or_default(), now)?;
    if query.range().from == Timestamp::MIN {
        let days = asked.days.map_or(1, |days| days.0);
        query = query.and(&parse(&format!("since:{days}d"), now)?);
    }
    let by = aggregate(&asked)?;
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let logs = &api.stores.logs;
    let found = logs.aggregate(&query, &by, Zone::Utc, &cancel).await?;
    if found.rows.len() > MOST_ROWS {
        return Err(Problem::bad_request(
            format!("{} rows are more than {MOST_ROWS}", found.rows.len()),
            "take a longer `per`, a smaller `top`, or a shorter time",
        ));
    }
    let rows = found
        .rows
        .iter()
        .map(|group| groups::group_json(&by, group));
    let mut answer = groups::totals_json(&by, &found);
    answer["data"] = Value::Array(rows.collect());
    answer["scanned"] = histogram_json::scanned(found.scanned);
    Ok(Answer::new(answer))
}

fn aggregate(asked: &CountQuery) -> Result<Aggregate, Problem> {
    let top = asked.top.map_or(100, |top| top.0);
    let mut words = format!("top {top}");
    for (word, value) in [("", &asked.of), ("per", &asked.per), ("by", &asked.by)] {
        if let Some(value) = value {
            words = format!("{words} {word} {value}");
        }
    }
    Aggregate::parse(&words).map_err(|wrong| {
        Problem::bad_request(
            wrong.render(&words),
            "the words are those of `atalaya logs --help` under Count",
        )
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextQuery {
    /// The `id` of a record.
    #[param(example = "00000000000000000000000000000001-ff")]
    id: String,
    /// Older ones before it.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 500, default = 10)]
    before: Option<Whole<0, 500>>,
    /// Newer ones after it.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 500, default = 10)]
    after: Option<Whole<0, 500>>,
}

/// A record with its neighbours in time, of the same layer and source, oldest first.
#[utoipa::path(get, path = "/api/logs/context", tag = "logs", params(ContextQuery),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "id, count, data", body = Value),
        (status = 400, description = "The id or a number is wrong", body = Value),
        (status = 404, description = "There is no such record", body = Value),
    ))]
pub async fn context(
    State(api): Use,
    Params(asked): Params<ContextQuery>,
) -> Result<Answer, Problem> {
    let id: RecordId = asked.id.parse().map_err(|wrong: String| {
        Problem::bad_request(wrong, "take the `id` of a record as it is")
    })?;
    let lines = |asked: Option<Whole<0, 500>>| asked.map_or(10, |lines| lines.0) as usize;
    let (before, after) = (lines(asked.before), lines(asked.after));
    let found = logs::context(&api.stores.logs, id, before, after).await?;
    let Some(records) = found else {
        return Err(Problem::not_found(
            format!("there is no record `{id}`"),
            "take the `id` of a record that GET /api/logs gives; old records go after their time",
        ));
    };
    Ok(Answer::new(json!({
        "id": id.to_string(),
        "count": records.len(),
        "data": records_json(&records)?,
    })))
}

/// Everything that carries a request id, in time order: records of both log layers, phases,
/// deployments, incidents.
#[utoipa::path(get, path = "/api/trace/{request_id}", tag = "logs",
    params(("request_id" = String, Path, description = "The id; encoded where it has a slash")),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "request_id, count, span_ms, omitted, lanes, data (as `atalaya trace --json`)", body = Value),
        (status = 404, description = "Nothing carries the id", body = Value),
    ))]
pub async fn trace(State(api): Use, Named(id): Named) -> Result<Answer, Problem> {
    let id = RequestId::new(id);
    let options = TraceOptions {
        limit: TRACE_RECORDS,
        ..TraceOptions::default()
    };
    let found = trace_of(&api.stores, std::slice::from_ref(&id), options).await?;
    if found.rows.is_empty() {
        let shown: String = id.as_str().chars().take(100).collect();
        let problem = Problem::not_found(
            format!("nothing carries the request id `{shown}`"),
            "GET /api/logs?q=… finds records by other words",
        );
        return Err(match found.without_metrics {
            Some(reason) => problem.with("without_metrics", json!(reason)),
            None => problem,
        });
    }
    let rows = found
        .rows
        .iter()
        .map(|row| serde_json::from_str::<Value>(&trace_line(row)?));
    let lanes = found.lanes.iter().map(|lane| {
        json!({
            "source": lane.source,
            "rows": lane.rows,
            "worst": lane.worst.name(),
            "first": lane.first.to_rfc3339(),
            "last": lane.last.to_rfc3339(),
        })
    });
    Ok(Answer::new(json!({
        "request_id": id.as_str(),
        "count": found.rows.len(),
        "span_ms": found.span().as_secs_f64() * 1_000.0,
        "omitted": found.omitted,
        "without_metrics": found.without_metrics,
        "lanes": lanes.collect::<Vec<_>>(),
        "data": rows.collect::<Result<Vec<_>, _>>()?,
    })))
}
