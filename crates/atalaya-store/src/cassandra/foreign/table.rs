//! One table: its statements, and the reads that are made of them. Each reads a slice of one
//! partition by its key; what a slice may cost is decided above.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlDate, CqlTimestamp, CqlValue, Row};

use crate::error::StoreError;
use atalaya_domain::record::{Entry, Level, Origin, RequestId};
use atalaya_domain::time::Timestamp;

use super::super::retry::Resilience;
use super::key::{DAY_MS, Day, origin_id, position, source_tag, table_tag};
use super::mapping::{Mapping, Shape, TimeKind, shape};
use super::read::{Go, each, pages, prepare};
use super::row::{Brief, Layout, time_of};

/// Rows of a page, where no texts are read.
const BRIEF_PAGE: i32 = 5_000;
/// Rows of a page, with texts.
const FULL_PAGE: i32 = 500;
/// Bytes of the texts of one slice, about: the chunk that it is read as is held in memory.
const SLICE_BYTES: u64 = 256 * 1024;
const MOST_ROWS: u64 = 500;
const FEWEST_ROWS: u64 = 16;

pub(super) struct Table {
    pub(super) mapping: Mapping,
    pub(super) name: String,
    pub(super) tag: u64,
    pub(super) shape: Shape,
    session: Arc<Session>,
    resilience: Arc<Resilience>,
    brief: Layout,
    full: Layout,
    statements: Statements,
    /// Of the texts of a row, a moving average.
    bytes_a_row: AtomicU64,
    /// Into how many parts a day is cut to be searched without the server giving up.
    day_parts: AtomicU32,
}

struct Statements {
    first: PreparedStatement,
    last: PreparedStatement,
    some: PreparedStatement,
    brief: PreparedStatement,
    full: PreparedStatement,
    request: Option<PreparedStatement>,
}

/// A row without its texts, with its place in the partition.
#[derive(Clone, Debug)]
pub(super) struct BriefRow {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    /// `None` for a time so far from the partition's day that it has no place.
    pub(super) position: Option<u64>,
    pub(super) source: Arc<SourceOfRow>,
}

/// The origin of rows, and its short name in a chunk's id.
#[derive(Debug)]
pub(super) struct SourceOfRow {
    pub(super) origin: Arc<Origin>,
    pub(super) tag: u64,
}

/// The origins of one partition that were met in one read.
#[derive(Default)]
struct Sources(HashMap<(Option<String>, Option<String>), Arc<SourceOfRow>>);

/// Most origins remembered within one read; beyond it they are made anew.
const REMEMBERED: usize = 4_096;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The texts of the statements, by what they are for.
pub(super) fn texts(mapping: &Mapping, shape: &Shape) -> BTreeMap<&'static str, String> {
    let table = format!("{}.{}", quoted(&mapping.keyspace), quoted(&mapping.table));
    let day = quoted(&mapping.day);
    let time = quoted(&mapping.columns.timestamp);
    let instant = match shape.time {
        TimeKind::Timestamp => "?",
        TimeKind::TimeUuid => "minTimeuuid(?)",
    };
    let list = |layout: &Layout| {
        layout
            .columns
            .iter()
            .map(|column| quoted(column))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let brief = list(&Layout::brief(mapping, shape));
    let full = list(&Layout::full(mapping, shape));
    let slice = format!("{day} = ? AND {time} >= {instant} AND {time} < {instant}");
    let mut texts = BTreeMap::from([
        (
            "first",
            format!("SELECT {time} FROM {table} WHERE {day} = ? ORDER BY {time} ASC LIMIT 1"),
        ),
        (
            "last",
            format!("SELECT {time} FROM {table} WHERE {day} = ? ORDER BY {time} DESC LIMIT 1"),
        ),
        (
            "some",
            format!("SELECT {time} FROM {table} WHERE {slice} LIMIT 1"),
        ),
        (
            "brief",
            format!("SELECT {brief} FROM {table} WHERE {slice} ORDER BY {time} ASC"),
        ),
        (
            "full",
            format!("SELECT {full} FROM {table} WHERE {slice} ORDER BY {time} ASC"),
        ),
        ("days", format!("SELECT DISTINCT {day} FROM {table}")),
    ]);
    if let Some(request) = &mapping.columns.request_id {
        let request = quoted(request);
        texts.insert(
            "request",
            if shape.request_indexed {
                format!("SELECT {brief}, {day} FROM {table} WHERE {request} = ?")
            } else {
                // Within one partition, and a slice of it.
                format!(
                    "SELECT {brief} FROM {table} WHERE {slice} AND {request} = ? ALLOW FILTERING"
                )
            },
        );
    }
    texts
}

fn cql_day(day: Day) -> CqlDate {
    CqlDate((i64::from(day.0) + (1 << 31)) as u32)
}

impl Table {
    pub(super) async fn open(
        session: &Arc<Session>,
        resilience: &Arc<Resilience>,
        mapping: Mapping,
    ) -> Result<Self, StoreError> {
        let shape = shape(session, resilience, &mapping).await?;
        let texts = texts(&mapping, &shape);
        let of = async |name: &str, page: i32| -> Result<PreparedStatement, StoreError> {
            let text = texts.get(name).map_or("", String::as_str);
            let mut prepared = prepare(session, resilience, text).await?;
            prepared.set_page_size(page);
            prepared.set_is_idempotent(true);
            Ok(prepared)
        };
        let statements = Statements {
            first: of("first", 1).await?,
            last: of("last", 1).await?,
            some: of("some", 1).await?,
            brief: of("brief", BRIEF_PAGE).await?,
            full: of("full", FULL_PAGE).await?,
            request: if texts.contains_key("request") {
                Some(of("request", FULL_PAGE).await?)
            } else {
                None
            },
        };
        Ok(Self {
            name: mapping.name(),
            tag: table_tag(&mapping.name()),
            brief: Layout::brief(&mapping, &shape),
            full: Layout::full(&mapping, &shape),
            shape,
            mapping,
            session: Arc::clone(session),
            resilience: Arc::clone(resilience),
            statements,
            bytes_a_row: AtomicU64::new(SLICE_BYTES / MOST_ROWS),
            day_parts: AtomicU32::new(1),
        })
    }

    pub(super) fn has_rest(&self) -> bool {
        !self.shape.rest.is_empty()
    }

    /// An end of a slice; a `timeuuid` cannot name every instant.
    fn instant_of(&self, ms: i64) -> CqlTimestamp {
        CqlTimestamp(match self.shape.time {
            TimeKind::Timestamp => ms,
            TimeKind::TimeUuid => ms.clamp(0, LAST_TIMEUUID_MS),
        })
    }

    /// Rows that a chunk is cut at, so that its texts stay about [`SLICE_BYTES`].
    pub(super) fn rows_a_slice(&self) -> usize {
        let rows = SLICE_BYTES / self.bytes_a_row.load(Ordering::Relaxed).max(1);
        rows.clamp(FEWEST_ROWS, MOST_ROWS) as usize
    }

    /// The first and the last instant of a partition; `None` for an empty one.
    pub(super) async fn bounds(&self, day: Day) -> Result<Option<(i64, i64)>, StoreError> {
        let (first, last) = tokio::try_join!(
            self.instant(&self.statements.first, (cql_day(day),)),
            self.instant(&self.statements.last, (cql_day(day),))
        )?;
        Ok(first.zip(last))
    }

    /// Whether there is a row from the one to before the other instant.
    pub(super) async fn has_some(
        &self,
        day: Day,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<bool, StoreError> {
        let values = (
            cql_day(day),
            self.instant_of(from_ms),
            self.instant_of(until_ms),
        );
        Ok(self.instant(&self.statements.some, values).await?.is_some())
    }

    async fn instant(
        &self,
        statement: &PreparedStatement,
        values: impl scylla::serialize::row::SerializeRow + Sync,
    ) -> Result<Option<i64>, StoreError> {
        let mut found = None;
        pages(
            &self.session,
            &self.resilience,
            statement,
            &values,
            |(value,): (CqlValue,)| {
                found = time_of(&value).map(|at| at.micros().div_euclid(1_000));
                Ok(false)
            },
        )
        .await?;
        Ok(found)
    }

    /// The rows of a slice without their texts, by time, until `row` says `false`.
    pub(super) async fn briefs(
        &self,
        day: Day,
        from_ms: i64,
        until_ms: i64,
        mut row: impl FnMut(BriefRow) -> Go + Send,
    ) -> Result<(), StoreError> {
        let values = (
            cql_day(day),
            self.instant_of(from_ms),
            self.instant_of(until_ms),
        );
        let mut sources = Sources::default();
        pages(
            &self.session,
            &self.resilience,
            &self.statements.brief,
            &values,
            |read: Row| match self.brief.read_brief(&read) {
                Some(brief) => row(self.placed(day, &brief, &mut sources)),
                None => Ok(true),
            },
        )
        .await
    }

    /// The rows of a slice as entries with their origins, by time, until `row` says `false`.
    /// A row without a place comes with position 0 and `false`.
    pub(super) async fn entries(
        &self,
        day: Day,
        from_ms: i64,
        until_ms: i64,
        mut row: impl FnMut(&Arc<SourceOfRow>, Entry, bool) -> Go + Send,
    ) -> Result<(), StoreError> {
        let values = (
            cql_day(day),
            self.instant_of(from_ms),
            self.instant_of(until_ms),
        );
        let mut sources = Sources::default();
        let (mut bytes, mut rows) = (0_u64, 0_u64);
        pages(
            &self.session,
            &self.resilience,
            &self.statements.full,
            &values,
            |mut read: Row| {
                let Some(brief) = self.full.read_brief(&read) else {
                    return Ok(true);
                };
                let placed = self.placed(day, &brief, &mut sources);
                let entry =
                    self.full
                        .read_entry(&mut read, &brief, placed.position.unwrap_or_default());
                bytes += 64 + entry.text_bytes() as u64;
                rows += 1;
                row(&placed.source, entry, placed.position.is_some())
            },
        )
        .await?;
        if let Some(measured) = bytes.checked_div(rows) {
            let known = self.bytes_a_row.load(Ordering::Relaxed);
            self.bytes_a_row
                .store((known * 3 + measured) / 4, Ordering::Relaxed);
        }
        Ok(())
    }

    fn placed(&self, day: Day, brief: &Brief, sources: &mut Sources) -> BriefRow {
        let at_ms = brief.at.micros().div_euclid(1_000);
        BriefRow {
            at: brief.at,
            level: brief.level,
            position: position(day, at_ms, brief.rest.as_deref()),
            source: self.source(day, brief, sources),
        }
    }

    fn source(&self, day: Day, brief: &Brief, sources: &mut Sources) -> Arc<SourceOfRow> {
        let key = (brief.source.clone(), brief.host.clone());
        if let Some(known) = sources.0.get(&key) {
            return Arc::clone(known);
        }
        let source = brief.source.as_deref().unwrap_or(&self.mapping.source);
        let host = brief.host.as_deref().unwrap_or(&self.name);
        let layer = self.mapping.layer;
        let made = Arc::new(SourceOfRow {
            origin: Arc::new(Origin {
                id: origin_id(&self.name, day, layer, source, host),
                layer,
                source: source.into(),
                host: host.into(),
            }),
            tag: source_tag(source, host),
        });
        if sources.0.len() >= REMEMBERED {
            sources.0.clear();
        }
        sources.0.insert(key, Arc::clone(&made));
        made
    }

    pub(super) fn has_requests(&self) -> bool {
        self.statements.request.is_some()
    }

    /// Where a request was seen, by the table's own index.
    pub(super) async fn indexed_request(
        &self,
        id: &RequestId,
        mut row: impl FnMut(Day, BriefRow) -> Go + Send,
    ) -> Result<(), StoreError> {
        let Some(statement) = &self.statements.request else {
            return Ok(());
        };
        let mut sources: HashMap<Day, Sources> = HashMap::new();
        pages(
            &self.session,
            &self.resilience,
            statement,
            &(id.as_str(),),
            |read: Row| {
                let Some(Some(CqlValue::Date(date))) = read.columns.last() else {
                    return Ok(true);
                };
                let day = Day((i64::from(date.0) - (1 << 31)) as i32);
                match self.brief.read_brief(&read) {
                    Some(brief) => {
                        let placed = self.placed(day, &brief, sources.entry(day).or_default());
                        row(day, placed)
                    }
                    None => Ok(true),
                }
            },
        )
        .await
    }

    /// Where a request was seen in one partition, between two instants. The server looks at every
    /// row of it; what takes it too long is cut in two, and the next day begins with such parts.
    pub(super) async fn search_request(
        &self,
        day: Day,
        (from_ms, until_ms): (i64, i64),
        id: &RequestId,
    ) -> Result<Vec<BriefRow>, StoreError> {
        let Some(statement) = &self.statements.request else {
            return Ok(Vec::new());
        };
        let parts = i64::from(self.day_parts.load(Ordering::Relaxed).max(1));
        let step = (DAY_MS / parts).max(SMALLEST_PART_MS);
        let mut rest: Vec<(i64, i64)> = Vec::new();
        let mut from = from_ms;
        while from < until_ms {
            let until = from.saturating_add(step).min(until_ms);
            rest.push((from, until));
            from = until;
        }
        rest.reverse();
        let mut sources = Sources::default();
        let mut found = Vec::new();
        while let Some((from, until)) = rest.pop() {
            match self.search_part(statement, day, (from, until), id).await? {
                Some(rows) => {
                    found.extend(
                        rows.iter()
                            .map(|brief| self.placed(day, brief, &mut sources)),
                    );
                }
                None => {
                    let middle = from + (until - from) / 2;
                    let parts = u32::try_from(DAY_MS / (middle - from).max(1)).unwrap_or(u32::MAX);
                    self.day_parts.fetch_max(parts, Ordering::Relaxed);
                    rest.push((middle, until));
                    rest.push((from, middle));
                }
            }
        }
        Ok(found)
    }

    /// `None` when the server gave a part up that can be cut further.
    async fn search_part(
        &self,
        statement: &PreparedStatement,
        day: Day,
        (from, until): (i64, i64),
        id: &RequestId,
    ) -> Result<Option<Vec<Brief>>, StoreError> {
        let values = (
            cql_day(day),
            self.instant_of(from),
            self.instant_of(until),
            id.as_str(),
        );
        let may_cut = until - from >= 2 * SMALLEST_PART_MS;
        let mut found = Vec::new();
        let mut place = PagingState::start();
        loop {
            let asked = self.resilience.run("read", || async {
                match self
                    .session
                    .execute_single_page(statement, values, place.clone())
                    .await
                {
                    Err(error) if may_cut && is_too_slow(&error) => Ok(None),
                    answer => answer.map(Some),
                }
            });
            let Some((answer, next)) = asked.await? else {
                return Ok(None);
            };
            each::<Row>(answer, |row| {
                found.extend(self.brief.read_brief(&row));
                Ok(true)
            })?;
            match next.into_paging_control_flow() {
                std::ops::ControlFlow::Break(()) => return Ok(Some(found)),
                std::ops::ControlFlow::Continue(next) => place = next,
            }
        }
    }

    /// The days of all partitions, in no order. Reads the keys of the whole table: for a copy of
    /// all that it holds, never for a screen.
    pub(super) async fn days(&self) -> Result<Vec<Day>, StoreError> {
        let texts = texts(&self.mapping, &self.shape);
        let text = texts.get("days").map_or("", String::as_str);
        let statement = prepare(&self.session, &self.resilience, text).await?;
        let mut days = Vec::new();
        pages(
            &self.session,
            &self.resilience,
            &statement,
            &(),
            |(date,): (CqlDate,)| {
                days.push(Day((i64::from(date.0) - (1 << 31)) as i32));
                Ok(true)
            },
        )
        .await?;
        Ok(days)
    }
}

/// In the year 5000: a `timeuuid` ends in 5236.
const LAST_TIMEUUID_MS: i64 = 95_617_584_000_000;

/// A part of a day is not cut below this.
const SMALLEST_PART_MS: i64 = 60_000;

/// Whether the server, or we, gave a search up because it took too long.
fn is_too_slow(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::RequestTimeout(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::ReadTimeout { .. } | DbError::ReadFailure { .. },
                _
            ))
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Every read is by the partition's own key; filtering happens within one, and within a slice.
    #[test]
    fn every_statement_of_a_screen_names_its_partition() {
        for table in ["application_logs", "infrastructure_logs"] {
            let mapping = Mapping::built_in("old", table).unwrap();
            for time in [TimeKind::Timestamp, TimeKind::TimeUuid] {
                for request_indexed in [false, true] {
                    let shape = Shape {
                        time,
                        rest: vec!["Seq\"Nr".to_owned()],
                        request_indexed,
                        others: Vec::new(),
                    };
                    for (name, text) in texts(&mapping, &shape) {
                        assert!(text.starts_with("SELECT "), "read-only: {text}");
                        let by_index = name == "request" && request_indexed;
                        let by_day = text.contains("WHERE \"log_date\" = ?");
                        assert_eq!(by_day, !by_index && name != "days", "{name}: {text}");
                        let filtering = text.contains("ALLOW FILTERING");
                        assert_eq!(filtering, name == "request" && !by_index, "{name}: {text}");
                        assert!(!filtering || text.contains("\"timestamp\" < "), "{text}");
                    }
                }
            }
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
