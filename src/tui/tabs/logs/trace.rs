//! The waterfall of one or more requests: every record of both layers and the metrics events that
//! carry the id, in time order, with offsets, bars, gaps and a lane for each source.
//!
//! A log line is written when the work it tells of is over, so a record with a duration has its bar
//! *before* its time. The bars share the scale of the records alone: an incident that is resolved
//! half an hour later is a mark at the edge and an offset, and squeezes nothing.

use std::time::Duration;

use super::search::Search;
use super::work::LogsEffect;
use crate::service::trace::{self as service, TraceEvent};
use crate::tui::ask::Question;
use crate::tui::widgets::{clock, safe_text};
use atalaya_domain::record::{Record, RecordId, RequestId};
use atalaya_domain::time::Timestamp;

/// A gap is marked when it is at least this share of the time between the first and last record.
const GAP_SHARE: u32 = 10;
const GAP_LEAST: Duration = Duration::from_millis(1);

/// Where a row lies in time, beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When the work that the row tells of began; the row's time where no length is known.
    pub start: Timestamp,
    /// Time since all rows before ended, when it is long enough to be marked.
    pub gap: Option<Duration>,
}

#[derive(Debug)]
pub struct Trace {
    pub ids: Vec<RequestId>,
    /// What was read, in time order.
    pub data: service::Trace,
    /// As long as the rows of `data`.
    pub spans: Vec<Span>,
    pub focus: usize,
    pub top: usize,
    pub question: Question,
    /// When it was read; `None`: not yet.
    pub read_at: Option<Timestamp>,
    pub failed: Option<String>,
    /// The record from which the trace was opened: the cursor begins there.
    wanted: Option<RecordId>,
}

impl Trace {
    pub fn new(ids: Vec<RequestId>, question: Question, wanted: Option<RecordId>) -> Self {
        Self {
            ids,
            data: service::Trace::default(),
            spans: Vec::new(),
            focus: 0,
            top: 0,
            question,
            read_at: None,
            failed: None,
            wanted,
        }
    }

    /// Takes what was read; the focus stays on its row.
    pub fn fill(&mut self, data: service::Trace, now: Timestamp) {
        let focused = self
            .data
            .rows
            .get(self.focus)
            .map(|row| (row.at, self.wanted_or_focused()));
        let first = self.wanted.take();
        self.data = data;
        self.spans = spans(&self.data);
        self.read_at = Some(now);
        self.failed = None;
        let place = |id: RecordId| {
            (0..self.len()).find(|index| self.record(*index).map(Record::id) == Some(id))
        };
        self.focus = match focused {
            Some((_, Some(id))) => place(id),
            Some((at, None)) => self.data.rows.iter().position(|row| row.at == at),
            None => first.and_then(place),
        }
        .unwrap_or(0);
    }

    /// Takes what was read; `height` lines are there for it.
    pub fn update(
        &mut self,
        result: Result<service::Trace, String>,
        now: Timestamp,
        height: usize,
    ) {
        match result {
            Ok(data) => {
                self.fill(data, now);
                self.set_focus(self.focus, height);
            }
            Err(reason) => self.failed = Some(reason),
        }
    }

    /// The read that brings it.
    pub fn read(&self) -> LogsEffect {
        LogsEffect::Trace {
            question: self.question,
            ids: self.ids.clone(),
        }
    }

    /// The rows that hold what is searched for.
    pub fn hits(&self, search: &Search) -> Vec<usize> {
        let is_hit = |index: &usize| match self.record(*index) {
            Some(record) => search.matches(record),
            None => search.is_hit(&self.data.rows[*index].event.message()),
        };
        (0..self.len()).filter(is_hit).collect()
    }

    fn wanted_or_focused(&self) -> Option<RecordId> {
        self.wanted.or_else(|| self.focused().map(Record::id))
    }

    pub(super) fn len(&self) -> usize {
        self.data.rows.len()
    }

    /// The record of a row; `None` for a metrics event.
    pub fn record(&self, index: usize) -> Option<&Record> {
        match &self.data.rows.get(index)?.event {
            TraceEvent::Record(record) => Some(record),
            _ => None,
        }
    }

    /// The record under the cursor.
    pub fn focused(&self) -> Option<&Record> {
        self.record(self.focus)
    }

    pub fn gap(&self, index: usize) -> Option<Duration> {
        self.spans.get(index)?.gap
    }

    pub fn step(&mut self, by: isize, height: usize) {
        self.set_focus(self.focus.saturating_add_signed(by), height);
    }

    /// Puts the cursor on a row and keeps it within `height` lines of the screen.
    pub fn set_focus(&mut self, index: usize, height: usize) {
        let last = self.len().saturating_sub(1);
        self.focus = index.min(last);
        let lowest = self.highest_top(last, height);
        self.top = self
            .top
            .clamp(self.highest_top(self.focus, height), self.focus)
            .min(lowest);
    }

    /// The earliest first row with which `index` is still on the screen.
    fn highest_top(&self, index: usize, height: usize) -> usize {
        let mut lines = 0;
        let fits = |row: &usize| {
            lines += self.lines_of(*row);
            lines <= height.max(1)
        };
        (0..=index).rev().take_while(fits).last().unwrap_or(index)
    }

    /// A gap has a line of its own, above the row that ended it.
    fn lines_of(&self, index: usize) -> usize {
        1 + usize::from(self.gap(index).is_some())
    }

    /// The row on a line of the screen, counted from the first line under the header.
    pub fn row_at(&self, line: usize) -> Option<usize> {
        let mut next = 0;
        (self.top..self.len()).find(|index| {
            next += self.lines_of(*index);
            line < next
        })
    }

    pub fn find(&self, forward: bool, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        if forward {
            (self.focus + 1..self.len()).find(|index| wanted(*index))
        } else {
            (0..self.focus.min(self.len()))
                .rev()
                .find(|index| wanted(*index))
        }
    }

    /// When the last row was written.
    pub fn end(&self) -> Option<Timestamp> {
        self.data.rows.last().map(|row| row.at)
    }

    /// From the beginning of the first record to the last; of all rows when no record is there.
    pub fn scale(&self) -> Option<(Timestamp, Duration)> {
        let any = self.data.records().next().is_some();
        let counted = || (0..self.len()).filter(|index| !any || self.record(*index).is_some());
        let begin = counted().map(|index| self.spans[index].start).min()?;
        let end = counted().map(|index| self.data.rows[index].at).max()?;
        Some((begin, end.since(begin)))
    }

    /// `req-7 · 12 records · 3 sources · 1.25 s`, safe to show.
    pub fn title(&self) -> String {
        let mut ids: Vec<String> = self
            .ids
            .iter()
            .take(3)
            .map(|id| safe_text::first_line(id.as_str(), 40))
            .collect();
        if self.ids.len() > 3 {
            ids.push(format!("and {} more", self.ids.len() - 3));
        }
        let ids = ids.join(", ");
        if self.read_at.is_none() {
            return format!("Trace {ids} · reading …");
        }
        let records = self.data.records().count();
        let events = self.len() - records;
        let mut text = format!(
            "Trace {ids} · {records} {}",
            if records == 1 { "record" } else { "records" }
        );
        if events > 0 {
            text.push_str(&format!(
                " · {events} metrics {}",
                if events == 1 { "event" } else { "events" }
            ));
        }
        let length = self.scale().map_or(Duration::ZERO, |(_, length)| length);
        text.push_str(&format!(" · {}", clock::precise(length)));
        if self.data.omitted > 0 {
            text.push_str(&format!(
                " · {} more not shown",
                clock::count(self.data.omitted)
            ));
        }
        text
    }
}

/// A gap lies between the end of all rows so far and the start of the next.
fn spans(data: &service::Trace) -> Vec<Span> {
    let mut spans: Vec<Span> = data
        .rows
        .iter()
        .map(|row| {
            let length = match &row.event {
                TraceEvent::Record(record) => record.entry.duration_ms,
                _ => None,
            };
            let length = length
                .filter(|length| length.is_finite() && *length > 0.0)
                .unwrap_or(0.0);
            Span {
                start: row
                    .at
                    .saturating_sub(Duration::from_micros((length * 1_000.0) as u64)),
                gap: None,
            }
        })
        .collect();
    let records = || {
        spans
            .iter()
            .zip(&data.rows)
            .filter(|(_, row)| matches!(row.event, TraceEvent::Record(_)))
    };
    let begin = records().map(|(span, _)| span.start).min();
    let end = records().map(|(_, row)| row.at).max();
    let length = begin
        .zip(end)
        .map_or(Duration::ZERO, |(begin, end)| end.since(begin));
    let least = (length / GAP_SHARE).max(GAP_LEAST);
    let Some(mut reached) = spans.first().map(|span| span.start) else {
        return spans;
    };
    for (span, row) in spans.iter_mut().zip(&data.rows) {
        let silence = span.start.since(reached);
        span.gap = (silence >= least).then_some(silence);
        reached = reached.max(row.at);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_domain::delivery::Incident;

    fn id() -> RequestId {
        RequestId::new("req-7")
    }

    fn incident(at: i64) -> Box<Incident> {
        Box::new(Incident {
            id: "INC-1".into(),
            title: "checkout answers 502".into(),
            opened_at: Timestamp::from_seconds(at),
            resolved_at: Some(Timestamp::from_seconds(at)),
            service: None,
            severity: None,
            cause: None,
            caused_by: None,
            request_id: Some(id()),
            origin: "test".into(),
        })
    }

    fn records(times: &[i64]) -> Vec<(Timestamp, RequestId, TraceEvent)> {
        let event = |at: &i64| {
            let record = super::super::rows::tests::record(*at);
            (
                record.entry.timestamp,
                id(),
                TraceEvent::Record(Box::new(record)),
            )
        };
        times.iter().map(event).collect()
    }

    fn data(events: Vec<(Timestamp, RequestId, TraceEvent)>) -> service::Trace {
        service::Trace::build(vec![id()], events, Duration::from_secs(1))
    }

    fn filled(events: Vec<(Timestamp, RequestId, TraceEvent)>) -> Trace {
        let mut trace = Trace::new(vec![id()], Question::default(), None);
        trace.fill(data(events), Timestamp::from_seconds(100));
        trace
    }

    fn gaps(trace: &Trace) -> Vec<Option<u64>> {
        trace
            .spans
            .iter()
            .map(|span| span.gap.map(|gap| gap.as_secs()))
            .collect()
    }

    #[test]
    fn gaps_are_where_nothing_was_written() {
        let trace = filled(records(&[0, 1, 2, 60, 61]));
        assert_eq!(gaps(&trace), [None, None, None, Some(58), None]);
        assert_eq!(
            trace.scale(),
            Some((Timestamp::from_seconds(0), Duration::from_secs(61)))
        );
    }

    #[test]
    fn a_duration_fills_the_time_before_the_line() {
        let mut events = records(&[0, 10]);
        if let TraceEvent::Record(record) = &mut events[1].2 {
            record.entry.duration_ms = Some(9_500.0);
        }
        let trace = filled(events);
        assert_eq!(trace.spans[1].start, Timestamp::from_micros(500_000));
        assert_eq!(
            trace.spans[1].gap, None,
            "the request was at work, not silent"
        );
    }

    #[test]
    fn a_metrics_event_does_not_squeeze_the_bars() {
        let mut events = records(&[10, 11, 12]);
        for at in [0, 2_172] {
            events.push((
                Timestamp::from_seconds(at),
                id(),
                TraceEvent::IncidentResolved(incident(at)),
            ));
        }
        let trace = filled(events);
        assert_eq!(
            trace.scale(),
            Some((Timestamp::from_seconds(10), Duration::from_secs(2)))
        );
        assert_eq!(
            gaps(&trace),
            [None, Some(10), Some(1), Some(1), Some(2_160)]
        );
    }

    #[test]
    fn a_refresh_keeps_the_focused_record() {
        let mut trace = filled(records(&[10, 20, 30]));
        trace.set_focus(2, 10);
        trace.fill(
            data(records(&[5, 10, 20, 25, 30, 40])),
            Timestamp::from_seconds(101),
        );
        assert_eq!(
            trace.focused().map(|record| record.entry.timestamp),
            Some(Timestamp::from_seconds(30))
        );
    }

    #[test]
    fn the_cursor_begins_on_the_record_one_came_from() {
        let wanted = super::super::rows::tests::record(30).id();
        let mut trace = Trace::new(vec![id()], Question::default(), Some(wanted));
        trace.fill(data(records(&[10, 20, 30])), Timestamp::from_seconds(100));
        assert_eq!(trace.focus, 2);
    }

    #[test]
    fn the_lines_of_gaps_are_counted() {
        // One line for the first row, two for each of the others.
        let mut trace = filled(records(&[0, 10, 20, 30]));
        trace.set_focus(3, 4);
        assert_eq!(trace.top, 2);
        assert_eq!(
            (trace.row_at(0), trace.row_at(1), trace.row_at(3)),
            (Some(2), Some(2), Some(3))
        );
        trace.set_focus(0, 4);
        assert_eq!(trace.top, 0);
        assert_eq!(
            [0, 1, 2, 6, 7].map(|line| trace.row_at(line)),
            [Some(0), Some(1), Some(1), Some(3), None]
        );
    }
}
