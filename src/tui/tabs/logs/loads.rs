//! What is asked of the stores, when, and where one goes by it: filters, places, traces.

use std::time::Duration;

use super::history::Place;
use super::rows::Rows;
use super::search::Search;
use super::trace::Trace;
use super::work::Effect;
use super::{
    CONTEXT, CONTEXT_LINES, Context, HISTOGRAM, LIST, LogsEffect, LogsTab, TRACE, View, chart,
};
use crate::tui::ask::{Destination, Notice, Question};
use crate::tui::tab::reason_of;
use atalaya_domain::record::{Record, RecordId, RequestId};
use atalaya_domain::time::Timestamp;
use atalaya_query::{Query, QueryClock};
use atalaya_store::chunks::Order;

/// A trace whose last record is younger may still go on.
const TRACE_ENDS_AFTER: Duration = Duration::from_secs(600);
/// Between two looks at it.
const TRACE_PAUSE: Duration = Duration::from_secs(2);

impl LogsTab {
    pub(super) fn ask(&mut self) -> Question {
        self.asked = self.asked.next();
        self.asked
    }

    pub(super) fn clock(context: &Context<'_>) -> QueryClock {
        QueryClock {
            now: context.now,
            zone: context.zone,
        }
    }

    /// Reads the newest page anew and follows from there.
    pub(super) fn load_newest(&mut self) -> Vec<Effect> {
        let question = self.ask();
        self.follow.restart(question);
        let read = self.list.newest(question, self.filter.query.clone());
        vec![Effect::Work(read)]
    }

    pub(super) fn load_around(&mut self, at: Timestamp, id: Option<RecordId>) -> Vec<Effect> {
        let question = self.ask();
        self.follow.pause();
        let query = self.filter.query.clone();
        vec![Effect::Work(self.list.around(question, query, at, id))]
    }

    pub(super) fn load_page(&mut self, order: Order) -> Vec<Effect> {
        let question = self.ask();
        let query = self.filter.query.clone();
        vec![Effect::Work(self.list.page(question, query, order))]
    }

    /// Reads on when the focus has come near to an end that is not the store's.
    pub(super) fn load_if_near_end(&mut self) -> Vec<Effect> {
        match self.list.near_end() {
            Some(order) if matches!(self.view, View::List) => self.load_page(order),
            _ => Vec::new(),
        }
    }

    pub(super) fn load_chart(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if context.area.width == 0 || !self.chart.is_shown() {
            return Vec::new();
        }
        let question = self.ask();
        let columns = chart::columns(context.area).max(20);
        let (range, bins) = self.chart.ask(question, context.now, columns);
        vec![
            Effect::Work(LogsEffect::Histogram {
                question,
                query: self.filter.query.clone(),
                range,
                bins,
            }),
            Effect::Work(LogsEffect::Marks { question, range }),
        ]
    }

    pub(super) fn follow_on(&mut self, pause: Duration) -> Vec<Effect> {
        let next = self.follow.next(pause);
        next.map(Effect::Work).into_iter().collect()
    }

    /// Sets the filter and reads anew. A wrong one is refused with the place of the mistake.
    pub(super) fn set_filter(&mut self, text: &str, context: &Context<'_>) -> Vec<Effect> {
        let text = text.trim();
        match Query::parse(text, &Self::clock(context)) {
            Err(error) => vec![Effect::Notice(Notice::trouble(reason_of(&error)))],
            Ok(query) => {
                self.remember_place();
                self.apply_filter(text.to_owned(), query);
                self.view = View::List;
                let mut effects = self.load_newest();
                effects.extend(self.load_chart(context));
                effects
            }
        }
    }

    fn apply_filter(&mut self, text: String, query: Query) {
        self.filter.update(text, query);
        self.menu = None;
        self.list.clear();
        self.chart.data = None;
        self.details.close();
    }

    pub(super) fn here(&self) -> Place {
        let at = self
            .list
            .rows
            .focused()
            .filter(|_| !self.follow.is_on())
            .map(|record| (record.entry.timestamp, record.id()));
        let trace = match &self.view {
            View::Trace(trace) => Some(trace.ids.clone()),
            _ => None,
        };
        Place {
            filter: self.filter.text.clone(),
            trace,
            at,
        }
    }

    pub(super) fn remember_place(&mut self) {
        let here = self.here();
        self.history.update(here);
    }

    pub(super) fn go_to(&mut self, place: Place, context: &Context<'_>) -> Vec<Effect> {
        self.menu = None;
        let mut effects = Vec::new();
        self.details.close();
        let changed = place.filter != self.filter.text;
        if changed {
            let query = Query::parse(&place.filter, &Self::clock(context)).unwrap_or_default();
            self.apply_filter(place.filter, query);
            effects.extend(self.load_chart(context));
        }
        let height = self.list_height(context);
        let known = place
            .at
            .and_then(|(at, id)| self.list.rows.position(id, at));
        match (place.at, known) {
            (_, Some(index)) => {
                self.follow.pause();
                self.list.rows.set_focus(index, height);
            }
            (Some((at, id)), None) => effects.extend(self.load_around(at, Some(id))),
            (None, _) if changed || !self.list.rows.newer_end => {
                effects.extend(self.load_newest());
            }
            (None, _) => {
                self.follow.resume();
                self.list.rows.to_end(height);
            }
        }
        match place.trace {
            Some(ids) => effects.extend(self.show_trace(ids)),
            None => self.view = View::List,
        }
        self.refresh_search();
        effects
    }

    /// Where something leads.
    pub(super) fn visit(&mut self, destination: Destination, context: &Context<'_>) -> Vec<Effect> {
        match destination {
            Destination::Trace(ids) => self.open_trace(ids),
            // Shown elsewhere.
            Destination::Deployment { .. } => Vec::new(),
            Destination::Logs { filter, at } => {
                let mut effects = self.set_filter(&filter, context);
                if let Some(at) = at {
                    effects.extend(self.show_time(at, context));
                }
                effects
            }
        }
    }

    /// The list and the chart at a time.
    pub(super) fn show_time(&mut self, at: Timestamp, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = self.load_around(at, None);
        if self.chart.show(at, context.now) {
            effects.extend(self.load_chart(context));
        }
        effects
    }

    pub(super) fn open_trace(&mut self, ids: Vec<RequestId>) -> Vec<Effect> {
        self.remember_place();
        self.show_trace(ids)
    }

    /// The cursor begins on the record from which the trace is opened.
    fn show_trace(&mut self, ids: Vec<RequestId>) -> Vec<Effect> {
        self.menu = None;
        let question = self.ask();
        let from = self.current().map(Record::id);
        let trace = Trace::new(ids, question, from);
        let read = trace.read();
        self.view = View::Trace(trace);
        self.details.close();
        self.search = None;
        vec![Effect::Work(read)]
    }

    pub(super) fn refresh_search(&mut self) {
        let Some(search) = &mut self.search else {
            return;
        };
        let hits = match &self.view {
            View::List => hits_of(&self.list.rows, search),
            View::Context(view) => hits_of(&view.rows, search),
            View::Trace(trace) => trace.hits(search),
        };
        search.update(hits);
    }

    pub(super) fn enter(&mut self, context: &Context<'_>) -> Vec<Effect> {
        self.follow.shown = true;
        if self.started {
            return self.follow_on(Duration::ZERO);
        }
        self.started = true;
        let mut effects = Vec::new();
        match Query::parse(&self.filter.text, &Self::clock(context)) {
            Ok(query) => self.filter.query = query,
            Err(error) => {
                let reason = reason_of(&error);
                effects.push(Effect::Notice(Notice::trouble(format!(
                    "the saved filter was dropped: {reason}"
                ))));
                self.filter.text.clear();
            }
        }
        effects.extend(self.load_newest());
        effects.extend(self.load_chart(context));
        effects
    }

    pub(super) fn tick(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for read in self.outages.due(context.now) {
            effects.extend(self.read_again(read, context));
        }
        if self.chart.is_behind(context.now) && self.chart.is_shown() {
            effects.extend(self.load_chart(context));
        }
        self.refresh_patterns();
        // A trace of a request that may still be going on is read again.
        if let View::Trace(trace) = &mut self.view {
            let goes_on = trace
                .end()
                .is_none_or(|end| context.now.since(end) < TRACE_ENDS_AFTER);
            let due = trace
                .read_at
                .is_some_and(|at| context.now.since(at) >= TRACE_PAUSE);
            if goes_on && due {
                trace.read_at = Some(context.now);
                effects.push(Effect::Work(trace.read()));
            }
        }
        effects
    }

    /// Repeats a read that failed. The arrivals repeat themselves, with the follower as it was.
    fn read_again(&mut self, read: &str, context: &Context<'_>) -> Vec<Effect> {
        match (read, &self.view) {
            (LIST, _) => self.list.again().map(Effect::Work).into_iter().collect(),
            (HISTOGRAM, _) => self.load_chart(context),
            (TRACE, View::Trace(trace)) => vec![Effect::Work(trace.read())],
            (CONTEXT, View::Context(view)) => {
                let (question, record) = (view.question, view.anchor.clone());
                vec![Effect::Work(LogsEffect::Context {
                    question,
                    record,
                    lines: CONTEXT_LINES,
                })]
            }
            // The view is another by now.
            (TRACE, _) => {
                self.outages.passed(TRACE);
                Vec::new()
            }
            (CONTEXT, _) => {
                self.outages.passed(CONTEXT);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn hits_of(rows: &Rows, search: &Search) -> Vec<usize> {
    rows.iter()
        .enumerate()
        .filter(|(_, record)| search.matches(record))
        .map(|(index, _)| index)
        .collect()
}
