//! The waterfall of one or more requests: every record of both layers and the metrics events that
//! carry the id, in time order, with offsets, bars, gaps and a lane for each source.
//!
//! A log line is written when the work it tells of is over, so a record with a duration has its bar
//! *before* its time.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::search::Search;
use super::work::TraceData;
use crate::domain::record::{Layer, Level, Record, RequestId};
use crate::domain::time::Timestamp;
use crate::tui::effect::Question;
use crate::tui::tabs::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, safe_text};

/// A gap is marked when it is at least this share of the whole trace.
const GAP_SHARE: u32 = 10;
const GAP_LEAST: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
pub enum Item {
    Record(Box<Record>),
    /// A metrics event, safe to show.
    Event {
        kind: &'static str,
        text: String,
        bad: bool,
    },
}

#[derive(Clone, Debug)]
pub struct TraceRow {
    pub start: Timestamp,
    pub at: Timestamp,
    /// Time since the row before ended, when it is long enough to be marked.
    pub gap: Option<Duration>,
    /// Index of the source among the sources of the trace.
    pub lane: usize,
    pub item: Item,
}

impl TraceRow {
    pub fn record(&self) -> Option<&Record> {
        match &self.item {
            Item::Record(record) => Some(record),
            Item::Event { .. } => None,
        }
    }
}

#[derive(Debug)]
pub struct Trace {
    pub ids: Vec<RequestId>,
    pub rows: Vec<TraceRow>,
    pub lanes: Vec<String>,
    pub omitted: u64,
    pub focus: usize,
    pub top: usize,
    pub question: Question,
    /// When it was read; `None`: not yet.
    pub read_at: Option<Timestamp>,
    pub failed: Option<String>,
}

impl Trace {
    pub fn new(ids: Vec<RequestId>, question: Question) -> Self {
        Self {
            ids,
            rows: Vec::new(),
            lanes: Vec::new(),
            omitted: 0,
            focus: 0,
            top: 0,
            question,
            read_at: None,
            failed: None,
        }
    }

    /// Takes what was read; the focus stays on its record.
    pub fn fill(&mut self, data: TraceData, now: Timestamp) {
        let focused = self.rows.get(self.focus).map(|row| (row.at, row.record().map(Record::id)));
        self.omitted = data.requests.iter().map(|request| request.omitted).sum();
        (self.rows, self.lanes) = build(data);
        self.read_at = Some(now);
        self.failed = None;
        self.focus = focused
            .and_then(|(at, id)| {
                self.rows.iter().position(|row| row.at == at && row.record().map(Record::id) == id)
            })
            .unwrap_or(0);
    }

    pub fn focused(&self) -> Option<&TraceRow> {
        self.rows.get(self.focus)
    }

    pub fn step(&mut self, by: isize, height: usize) {
        self.set_focus(self.focus.saturating_add_signed(by), height);
    }

    pub fn set_focus(&mut self, index: usize, height: usize) {
        self.focus = index.min(self.rows.len().saturating_sub(1));
        let height = height.max(1);
        if self.focus < self.top {
            self.top = self.focus;
        } else if self.focus >= self.top + height {
            self.top = self.focus + 1 - height;
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height));
    }

    pub fn find(&self, forward: bool, wanted: impl Fn(&TraceRow) -> bool) -> Option<usize> {
        if forward {
            (self.focus + 1..self.rows.len()).find(|index| wanted(&self.rows[*index]))
        } else {
            (0..self.focus.min(self.rows.len())).rev().find(|index| wanted(&self.rows[*index]))
        }
    }

    pub fn begin(&self) -> Option<Timestamp> {
        self.rows.iter().map(|row| row.start).min()
    }

    pub fn end(&self) -> Option<Timestamp> {
        self.rows.iter().map(|row| row.at).max()
    }

    pub fn length(&self) -> Duration {
        match (self.begin(), self.end()) {
            (Some(begin), Some(end)) => end.since(begin),
            _ => Duration::ZERO,
        }
    }

    /// `req-7 · 12 records · 3 sources · 1.25 s`, safe to show.
    pub fn title(&self) -> String {
        let mut ids: Vec<String> =
            self.ids.iter().take(3).map(|id| safe_text::first_line(id.as_str(), 40)).collect();
        if self.ids.len() > 3 {
            ids.push(format!("and {} more", self.ids.len() - 3));
        }
        let ids = ids.join(", ");
        if self.read_at.is_none() {
            return format!("Trace {ids} · reading …");
        }
        let records = self.rows.iter().filter(|row| row.record().is_some()).count();
        let events = self.rows.len() - records;
        let mut text = format!("Trace {ids} · {records} records");
        if events > 0 {
            text.push_str(&format!(" · {events} metrics events"));
        }
        text.push_str(&format!(" · {} lanes · {}", self.lanes.len(), clock::precise(self.length())));
        if self.omitted > 0 {
            text.push_str(&format!(" · {} more not shown", clock::count(self.omitted)));
        }
        text
    }
}

fn build(data: TraceData) -> (Vec<TraceRow>, Vec<String>) {
    let mut rows: Vec<TraceRow> = Vec::new();
    for request in data.requests {
        for record in request.records {
            let at = record.entry.timestamp;
            let length =
                record.entry.duration_ms.filter(|length| length.is_finite() && *length > 0.0).unwrap_or(0.0);
            let start = at.saturating_sub(Duration::from_micros((length * 1_000.0) as u64));
            rows.push(TraceRow { start, at, gap: None, lane: 0, item: Item::Record(Box::new(record)) });
        }
    }
    let event = |start: Timestamp, at: Timestamp, kind: &'static str, text: String, bad: bool| TraceRow {
        start,
        at,
        gap: None,
        lane: 0,
        item: Item::Event { kind, text: safe_text::line(&text), bad },
    };
    for (_, events) in data.events {
        for phase in events.phases {
            let text = format!("{} {} · cycle {}", phase.phase.name(), phase.decision.name(), phase.cycle_id);
            let start = phase.recorded_at.saturating_sub(phase.duration);
            rows.push(event(start, phase.recorded_at, "phase", text, phase.decision.failed()));
        }
        for deployment in events.deployments {
            let text =
                format!("{} to {}: {}", deployment.service, deployment.environment, deployment.result.name());
            let bad = deployment.result.name() != "success";
            let start = deployment.started_at.unwrap_or(deployment.finished_at);
            rows.push(event(start, deployment.finished_at, "deployment", text, bad));
        }
        for incident in events.incidents {
            rows.push(event(
                incident.opened_at,
                incident.opened_at,
                "incident",
                incident.title.clone(),
                true,
            ));
        }
    }
    // One id asked for twice, or a record with two of them, is one row.
    rows.sort_by_key(|row| (row.at, row.record().map(Record::sort_key)));
    rows.dedup_by(|one, two| {
        one.record().is_some() && one.record().map(Record::id) == two.record().map(Record::id)
    });

    let mut lanes: Vec<String> = Vec::new();
    for row in &mut rows {
        let name = match &row.item {
            Item::Record(record) => safe_text::first_line(&record.origin.source, 40),
            Item::Event { .. } => "metrics".to_owned(),
        };
        row.lane = lanes.iter().position(|lane| *lane == name).unwrap_or_else(|| {
            lanes.push(name);
            lanes.len() - 1
        });
    }
    mark_gaps(&mut rows);
    (rows, lanes)
}

/// A gap lies between the end of all rows so far and the start of the next.
fn mark_gaps(rows: &mut [TraceRow]) {
    let Some(begin) = rows.iter().map(|row| row.start).min() else { return };
    let Some(end) = rows.iter().map(|row| row.at).max() else { return };
    let least = (end.since(begin) / GAP_SHARE).max(GAP_LEAST);
    let mut reached = begin;
    for row in rows {
        let silence = row.start.since(reached);
        row.gap = (silence >= least).then_some(silence);
        reached = reached.max(row.at);
    }
}

pub struct TraceLook<'a> {
    pub scroll: usize,
    pub search: Option<&'a Search>,
    pub focused: bool,
}

/// Widths: lane, bar.
fn columns(width: u16) -> (usize, usize) {
    match width {
        0..=99 => (12, 18),
        100..=159 => (16, 32),
        _ => (20, 60),
    }
}

pub fn render(trace: &Trace, area: Rect, buffer: &mut Buffer, context: &Context<'_>, look: &TraceLook<'_>) {
    let theme = context.theme;
    if trace.rows.is_empty() {
        let ids =
            trace.ids.iter().map(|id| safe_text::first_line(id.as_str(), 60)).collect::<Vec<_>>().join(", ");
        let (message, hint) = match (&trace.failed, trace.read_at) {
            (Some(reason), _) => {
                (format!("the trace could not be read: {reason}"), "F5 tries again".to_owned())
            }
            (None, None) => ("reading the trace …".to_owned(), ids),
            (None, Some(_)) => ("no record and no metrics event carries this id".to_owned(), ids),
        };
        empty::render(area, buffer, theme, &message, &[hint]);
        return;
    }
    let (lane_width, bar_width) = columns(area.width);
    let (Some(begin), length) = (trace.begin(), trace.length().as_micros().max(1)) else { return };
    let header = format!(
        " {:>10}   {}  {}  {}",
        "offset",
        safe_text::fit("lane", lane_width),
        safe_text::fit(
            &format!("|{}{}|", " ".repeat(bar_width.saturating_sub(12)), clock::precise(trace.length())),
            bar_width
        ),
        "message (a bar ends where its line was written)"
    );
    buffer.set_stringn(area.x, area.y, header, usize::from(area.width), theme.style(Role::Muted));
    let list = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    for (offset, row) in trace.rows.iter().enumerate().skip(trace.top).take(usize::from(list.height)) {
        let y = list.y + u16::try_from(offset - trace.top).unwrap_or(0);
        let selected = offset == trace.focus;
        let base = match (selected, look.focused) {
            (true, true) => theme.style(Role::Selection),
            (true, false) => theme.style(Role::SelectionIdle),
            _ => Style::new(),
        };
        if selected {
            buffer.set_string(list.x, y, " ".repeat(usize::from(list.width)), base);
        }
        let over = |role: Role| theme.style(role).patch(base);
        // The gap stands where the eye looks for the time: before the row that ended it.
        let (mark, mark_role) = match (row.gap.is_some(), context.unicode) {
            (true, true) => ("┄", Role::Warning),
            (true, false) => ("!", Role::Warning),
            (false, _) => (if selected { ">" } else { " " }, Role::Accent),
        };
        buffer.set_string(list.x, y, mark, over(mark_role));
        let offset_text = format!("{:>10}", format!("+{}", clock::precise(row.at.since(begin))));
        buffer.set_string(list.x + 1, y, offset_text, over(Role::Muted));
        let mut x = list.x + 12;
        let (letter, role) = match &row.item {
            Item::Record(record) => (&record.entry.level.name()[..1], Role::of_level(record.entry.level)),
            Item::Event { bad, .. } => ("M", if *bad { Role::Bad } else { Role::Good }),
        };
        buffer.set_string(x, y, letter, over(role));
        x += 2;
        let lane = trace.lanes.get(row.lane).map(String::as_str).unwrap_or_default();
        buffer.set_string(x, y, safe_text::fit(lane, lane_width), theme.lane(row.lane).patch(base));
        x += u16::try_from(lane_width + 1).unwrap_or(0);
        bar(row, begin, length, bar_width, x, y, buffer, context, base);
        x += u16::try_from(bar_width + 1).unwrap_or(0);
        let room = usize::from(list.right().saturating_sub(x));
        let text = match &row.item {
            Item::Record(record) => safe_text::first_line(&record.entry.message, look.scroll + room),
            Item::Event { kind, text, .. } => format!("{kind}: {text}"),
        };
        let text = match row.gap {
            Some(gap) => format!("[gap {}] {text}", clock::precise(gap)),
            None => text,
        };
        let visible = safe_text::window(&text, look.scroll, room);
        buffer.set_string(x, y, &visible, over(Role::Text));
        if let Some(search) = look.search {
            for range in search.ranges(&visible) {
                let before = u16::try_from(safe_text::width(&visible[..range.start])).unwrap_or(0);
                let width = u16::try_from(safe_text::width(&visible[range])).unwrap_or(0);
                let role = if selected { Role::HitCurrent } else { Role::Hit };
                buffer.set_style(
                    Rect { x: x + before, y, width, height: 1 }.intersection(list),
                    theme.style(role),
                );
            }
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one bar of one row; a struct would be built to be taken apart"
)]
fn bar(
    row: &TraceRow,
    begin: Timestamp,
    length: u128,
    columns: usize,
    x: u16,
    y: u16,
    buffer: &mut Buffer,
    context: &Context<'_>,
    base: Style,
) {
    let place = |at: Timestamp| {
        let column = at.since(begin).as_micros() * (columns.saturating_sub(1)) as u128 / length;
        usize::try_from(column).unwrap_or(0).min(columns.saturating_sub(1))
    };
    let (from, to) = (place(row.start), place(row.at));
    let (track, full, point) = if context.unicode { ("·", "━", "●") } else { (".", "=", "o") };
    let quiet = context.theme.style(Role::Faint).patch(base);
    let trouble = match &row.item {
        Item::Record(record) if record.entry.level >= Level::Error => Some(Role::Error),
        Item::Event { bad: true, .. } => Some(Role::Bad),
        _ => None,
    };
    let style = trouble.map_or(context.theme.lane(row.lane), |role| context.theme.style(role)).patch(base);
    let mut text = String::new();
    for _ in 0..columns {
        text.push_str(track);
    }
    buffer.set_string(x, y, &text, quiet);
    for column in from..to {
        buffer.set_string(x + u16::try_from(column).unwrap_or(0), y, full, style);
    }
    buffer.set_string(x + u16::try_from(to).unwrap_or(0), y, point, style);
}

/// How a layer is told in one letter in notes.
pub const fn layer_word(layer: Layer) -> &'static str {
    match layer {
        Layer::Application => "app",
        Layer::Infrastructure => "infra",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::{RequestRecords, Scanned};

    fn data(times: &[i64]) -> TraceData {
        TraceData {
            requests: vec![RequestRecords {
                request_id: RequestId::new("req-7"),
                records: times.iter().map(|at| super::super::rows::tests::record(*at)).collect(),
                omitted: 0,
                scanned: Scanned::default(),
            }],
            events: Vec::new(),
        }
    }

    #[test]
    fn gaps_are_where_nothing_was_written() {
        let mut trace = Trace::new(vec![RequestId::new("req-7")], Question::default());
        trace.fill(data(&[0, 1, 2, 60, 61]), Timestamp::from_seconds(100));
        let gaps: Vec<Option<u64>> = trace.rows.iter().map(|row| row.gap.map(|gap| gap.as_secs())).collect();
        assert_eq!(gaps, [None, None, None, Some(58), None]);
        assert_eq!(trace.length(), Duration::from_secs(61));
    }

    #[test]
    fn a_duration_fills_the_time_before_the_line() {
        let mut one = data(&[0, 10]);
        one.requests[0].records[1].entry.duration_ms = Some(9_500.0);
        let mut trace = Trace::new(vec![RequestId::new("req-7")], Question::default());
        trace.fill(one, Timestamp::from_seconds(100));
        assert_eq!(trace.rows[1].start, Timestamp::from_micros(500_000));
        assert_eq!(trace.rows[1].gap, None, "the request was at work, not silent");
    }

    #[test]
    fn a_refresh_keeps_the_focused_record() {
        let mut trace = Trace::new(vec![RequestId::new("req-7")], Question::default());
        trace.fill(data(&[10, 20, 30]), Timestamp::from_seconds(100));
        trace.set_focus(2, 10);
        trace.fill(data(&[5, 10, 20, 25, 30, 40]), Timestamp::from_seconds(101));
        assert_eq!(trace.focused().map(|row| row.at), Some(Timestamp::from_seconds(30)));
    }
}
