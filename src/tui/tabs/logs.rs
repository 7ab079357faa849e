//! The Logs tab: the live list with its histogram, filter, search, details, context and traces.
//!
//! The list is a bounded window of the store ([`rows`]), newest at the bottom. While *following*, the
//! last row is kept in sight; scrolling up stops that, and what arrives is counted and put in
//! without moving anything. Older and newer pages are read by cursor when the focus comes near an
//! end. Answers to questions that are no longer asked are dropped by their number.
//!
//! [`actions`] is what keys do, [`answers`] what the store brings, [`draw`] what is seen.

mod actions;
mod answers;
mod commands;
pub mod details;
mod draw;
pub mod histogram;
mod keys;
mod list_view;
mod menu;
mod note;
pub mod rows;
mod saved;
pub mod search;
pub mod trace;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::details::DetailCursor;
use self::histogram::{Chart, Size};
use self::menu::Menu;
use self::rows::Rows;
pub use self::saved::SavedLogs;
use self::saved::{MAX_BOOKMARKS, MAX_FILTERS, MAX_QUERIES};
use self::search::Search;
use self::trace::Trace;
use self::work::Effect;
pub use self::work::{LogsAnswer, LogsEffect};
use super::outage::Outages;
use crate::tui::action::Action;
use crate::tui::ask::{
    Command, Destination, Notice, PromptHint, PromptRequest, Prompted, Question, TabId,
};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus, reason_of};
use atalaya_domain::record::{Record, RecordId, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Query, QueryClock};
use atalaya_store::chunks::Order;
use atalaya_store::engine::Follower;

/// Pause between two looks at the arrivals: four updates a second read well and cost few bytes.
const FOLLOW_PAUSE: Duration = Duration::from_millis(250);
/// After an error, before the next look at the arrivals.
const RETRY: Duration = Duration::from_secs(1);
/// A page is read when the focus is this near to an end.
const NEAR_END: usize = 150;
const MOST_PLACES: usize = 100;
/// Neighbours read on each side of a record.
const CONTEXT_LINES: usize = 200;
/// Names of the reads, for what fails among them.
const LIST: &str = "list";
const FOLLOW: &str = "follow";
const HISTOGRAM: &str = "histogram";
const TRACE: &str = "trace";
const CONTEXT: &str = "context";
const PROMPT_FILTER: &str = "filter";
const PROMPT_SEARCH: &str = "search";
const PROMPT_TIME: &str = "time";
const PROMPT_ADD: &str = "add_trace";
const PROMPT_SAVE: &str = "save_query";
const REMOVE_QUERY: &str = "remove_query";

/// What fills the tab.
#[derive(Debug)]
enum View {
    List,
    Context(ContextView),
    Trace(Trace),
}

/// The neighbours of one record, without the filter.
#[derive(Debug)]
struct ContextView {
    anchor: Box<Record>,
    rows: Rows,
    question: Question,
    failed: Option<String>,
}

/// What to do when the page that was asked for arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Landing {
    /// Put it where it belongs.
    Extend,
    /// It is the new window, read from its oldest end.
    First,
    /// It is the new window, round this time; on this record, if it is there.
    At(Timestamp, Option<RecordId>),
}

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Newest,
    Older,
    Newer,
    Oldest,
    Around,
    /// The screen is not full yet.
    Searching,
    Next(Wanted),
}

impl Reading {
    const fn words(self) -> &'static str {
        match self {
            Self::Newest => "reading the newest records",
            Self::Older => "reading older records",
            Self::Newer => "reading newer records",
            Self::Oldest => "reading the oldest records",
            Self::Around => "reading",
            Self::Searching => "searching",
            Self::Next(wanted) => wanted.words(),
        }
    }
}

/// Which record comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Warning,
    Error,
    SameRequest,
}

impl Wanted {
    const fn words(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::SameRequest => "record of this request",
        }
    }
}

/// A read that is under way, as the status line tells it.
#[derive(Clone, Debug)]
struct Loading {
    what: Reading,
    scanned: u64,
}

/// The next record of a kind, asked of the store because the window has none.
#[derive(Clone, Debug)]
struct Seek {
    query: Query,
    what: Wanted,
}

/// A stop of the drill-down history.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    filter: String,
    trace: Option<Vec<RequestId>>,
    /// `None`: at the newest, following.
    at: Option<(Timestamp, RecordId)>,
}

#[derive(Debug)]
pub struct LogsTab {
    filter: String,
    query: Query,
    filters: Vec<String>,
    /// By name.
    queries: BTreeMap<String, String>,
    /// The saved filter is read at the first entry, when there is a clock.
    started: bool,
    rows: Rows,
    scroll: usize,
    view: View,
    /// Lies over the list and has its keys.
    menu: Option<Menu>,
    details: Option<DetailCursor>,
    details_focused: bool,
    search: Option<Search>,
    bookmarks: BTreeMap<RecordId, Timestamp>,
    chart: Chart,
    asked: Question,
    list_question: Question,
    landing: Landing,
    loading: Option<Loading>,
    seek: Option<Seek>,
    follower: Option<Follower>,
    follow_question: Question,
    /// A follow task is out.
    follow_running: bool,
    following: bool,
    /// Arrived since following stopped.
    unseen: u64,
    /// Arrivals were left out because the window does not reach the newest.
    left_out: bool,
    entered: bool,
    read_at: Option<Timestamp>,
    outages: Outages,
    /// The last read of the list that was asked for: repeated when it failed.
    list_read: Option<LogsEffect>,
    scanned: u64,
    back: Vec<Place>,
    ahead: Vec<Place>,
    ingest_paused: Option<String>,
}

impl LogsTab {
    pub fn new(saved: &SavedLogs) -> Self {
        let bookmarks = saved
            .bookmarks
            .iter()
            .take(MAX_BOOKMARKS)
            .filter_map(|(id, at)| Some((id.parse().ok()?, Timestamp::from_micros(*at))))
            .collect();
        let size = saved
            .histogram
            .as_deref()
            .and_then(Size::from_name)
            .unwrap_or_default();
        Self {
            filter: saved.filter.clone(),
            query: Query::everything(),
            filters: saved.filters.iter().take(MAX_FILTERS).cloned().collect(),
            queries: saved.queries.iter().take(MAX_QUERIES).cloned().collect(),
            started: false,
            rows: Rows::default(),
            scroll: 0,
            view: View::List,
            menu: None,
            details: None,
            details_focused: false,
            search: None,
            bookmarks,
            chart: Chart::of_size(size),
            asked: Question::default(),
            list_question: Question::default(),
            landing: Landing::Extend,
            loading: None,
            seek: None,
            follower: None,
            follow_question: Question::default(),
            follow_running: false,
            following: true,
            unseen: 0,
            left_out: false,
            entered: false,
            read_at: None,
            outages: Outages::default(),
            list_read: None,
            scanned: 0,
            back: Vec::new(),
            ahead: Vec::new(),
            ingest_paused: None,
        }
    }

    /// Nothing lies over the list (a filter may be set).
    pub fn shows_list(&self) -> bool {
        matches!(self.view, View::List) && self.details.is_none() && self.menu.is_none()
    }

    fn ask(&mut self) -> Question {
        self.asked = self.asked.next();
        self.asked
    }

    fn clock(context: &Context<'_>) -> QueryClock {
        QueryClock {
            now: context.now,
            zone: context.zone,
        }
    }

    /// The record that the cursor is on, in whatever fills the tab.
    fn current(&self) -> Option<&Record> {
        match &self.view {
            View::List => self.rows.focused(),
            View::Context(context) => context.rows.focused(),
            View::Trace(trace) => trace.focused(),
        }
    }

    /// Asks for the list, and keeps the question for the case that it must be asked again.
    fn read_list(&mut self, read: LogsEffect) -> Vec<Effect> {
        self.list_read = Some(read.clone());
        vec![Effect::Work(read)]
    }

    /// Reads the newest page anew and follows from there.
    fn load_newest(&mut self) -> Vec<Effect> {
        let question = self.ask();
        self.list_question = question;
        self.follow_question = question;
        self.follow_running = false;
        self.follower = None;
        self.landing = Landing::Extend;
        self.following = true;
        self.unseen = 0;
        self.seek = None;
        self.scanned = 0;
        self.loading = Some(Loading {
            what: Reading::Newest,
            scanned: 0,
        });
        self.read_list(LogsEffect::Newest {
            question,
            query: self.query.clone(),
        })
    }

    fn load_around(&mut self, at: Timestamp, id: Option<RecordId>) -> Vec<Effect> {
        let question = self.ask();
        self.list_question = question;
        self.landing = Landing::At(at, id);
        self.following = false;
        self.seek = None;
        self.scanned = 0;
        self.loading = Some(Loading {
            what: Reading::Around,
            scanned: 0,
        });
        self.read_list(LogsEffect::Around {
            question,
            query: self.query.clone(),
            at,
        })
    }

    fn load_page(&mut self, order: Order) -> Vec<Effect> {
        let after = match order {
            Order::NewestFirst => self.rows.older_cursor(),
            Order::OldestFirst => self.rows.newer_cursor(),
        };
        let question = self.ask();
        self.list_question = question;
        self.landing = Landing::Extend;
        if order == Order::OldestFirst {
            self.left_out = false;
        }
        let what = if order == Order::NewestFirst {
            Reading::Older
        } else {
            Reading::Newer
        };
        let scanned = self.loading.as_ref().map_or(0, |loading| loading.scanned);
        self.loading = Some(Loading { what, scanned });
        let query = self.query.clone();
        self.read_list(LogsEffect::Page {
            question,
            query,
            range: TimeRange::ALL,
            order,
            after,
        })
    }

    /// Reads on when the focus has come near to an end that is not the store's.
    fn load_if_near_end(&mut self) -> Vec<Effect> {
        if self.loading.is_some() || self.rows.is_empty() || !matches!(self.view, View::List) {
            return Vec::new();
        }
        if self.rows.focus() < NEAR_END && !self.rows.older_end {
            self.load_page(Order::NewestFirst)
        } else if self.rows.focus() + NEAR_END >= self.rows.len() && !self.rows.newer_end {
            self.load_page(Order::OldestFirst)
        } else {
            Vec::new()
        }
    }

    fn load_chart(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if self.chart.size == Size::Hidden || context.area.width == 0 {
            return Vec::new();
        }
        let (range, bins) = self
            .chart
            .wanted(context.now, histogram::columns(context.area).max(20));
        let question = self.ask();
        self.chart.question = question;
        self.chart.loading = true;
        vec![
            Effect::Work(LogsEffect::Histogram {
                question,
                query: self.query.clone(),
                range,
                bins,
            }),
            Effect::Work(LogsEffect::Deployments { question, range }),
        ]
    }

    fn follow_on(&mut self, pause: Duration) -> Vec<Effect> {
        if !self.entered || self.follow_running {
            return Vec::new();
        }
        let Some(follower) = self.follower.clone() else {
            return Vec::new();
        };
        self.follow_running = true;
        vec![Effect::Work(LogsEffect::Follow {
            question: self.follow_question,
            follower,
            pause,
        })]
    }

    /// Sets the filter and reads anew. A wrong one is refused with the place of the mistake.
    fn set_filter(&mut self, text: &str, context: &Context<'_>) -> Vec<Effect> {
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
        if !text.is_empty() {
            self.filters.retain(|known| *known != text);
            self.filters.insert(0, text.clone());
            self.filters.truncate(MAX_FILTERS);
        }
        self.filter = text;
        self.query = query;
        self.menu = None;
        // Rows of the other filter would be wrong under this title.
        self.rows.clear();
        self.read_at = None;
        self.chart.data = None;
        self.details = None;
        self.details_focused = false;
    }

    fn here(&self) -> Place {
        let at = self
            .rows
            .focused()
            .filter(|_| !self.following)
            .map(|record| (record.entry.timestamp, record.id()));
        let trace = match &self.view {
            View::Trace(trace) => Some(trace.ids.clone()),
            _ => None,
        };
        Place {
            filter: self.filter.clone(),
            trace,
            at,
        }
    }

    fn remember_place(&mut self) {
        let here = self.here();
        if self.back.last() != Some(&here) {
            self.back.push(here);
        }
        if self.back.len() > MOST_PLACES {
            self.back.remove(0);
        }
        self.ahead.clear();
    }

    fn go_to(&mut self, place: Place, context: &Context<'_>) -> Vec<Effect> {
        self.menu = None;
        let mut effects = Vec::new();
        self.details = None;
        self.details_focused = false;
        let changed = place.filter != self.filter;
        if changed {
            let query = Query::parse(&place.filter, &Self::clock(context)).unwrap_or_default();
            self.apply_filter(place.filter, query);
            effects.extend(self.load_chart(context));
        }
        let height = self.list_height(context);
        let known = place.at.and_then(|(at, id)| self.rows.position(id, at));
        match (place.at, known) {
            (_, Some(index)) => {
                self.following = false;
                self.rows.set_focus(index, height);
            }
            (Some((at, id)), None) => effects.extend(self.load_around(at, Some(id))),
            (None, _) if changed || !self.rows.newer_end => effects.extend(self.load_newest()),
            (None, _) => {
                self.following = true;
                self.unseen = 0;
                self.rows.to_end(height);
            }
        }
        match place.trace {
            Some(ids) => effects.extend(self.show_trace(ids)),
            None => self.view = View::List,
        }
        self.refresh_search();
        effects
    }

    fn open_trace(&mut self, ids: Vec<RequestId>) -> Vec<Effect> {
        self.remember_place();
        self.show_trace(ids)
    }

    /// The cursor begins on the record from which the trace is opened.
    fn show_trace(&mut self, ids: Vec<RequestId>) -> Vec<Effect> {
        self.menu = None;
        let question = self.ask();
        let from = self.current().map(Record::id);
        self.view = View::Trace(Trace::new(ids.clone(), question, from));
        self.details = None;
        self.details_focused = false;
        self.search = None;
        vec![Effect::Work(LogsEffect::Trace { question, ids })]
    }

    fn refresh_search(&mut self) {
        let Some(search) = &mut self.search else {
            return;
        };
        let hits = match &self.view {
            View::List => hits_of(&self.rows, search),
            View::Context(context) => hits_of(&context.rows, search),
            View::Trace(trace) => {
                let hit = |index: &usize| match trace.record(*index) {
                    Some(record) => search.matches(record),
                    None => search.is_hit(&trace.data.rows[*index].event.message()),
                };
                (0..trace.len()).filter(hit).collect()
            }
        };
        search.set_hits(hits);
    }

    fn enter(&mut self, context: &Context<'_>) -> Vec<Effect> {
        self.entered = true;
        if !self.started {
            self.started = true;
            let mut effects = Vec::new();
            match Query::parse(&self.filter, &Self::clock(context)) {
                Ok(query) => self.query = query,
                Err(error) => {
                    let reason = reason_of(&error);
                    effects.push(Effect::Notice(Notice::trouble(format!(
                        "the saved filter was dropped: {reason}"
                    ))));
                    self.filter.clear();
                }
            }
            effects.extend(self.load_newest());
            effects.extend(self.load_chart(context));
            return effects;
        }
        self.follow_on(Duration::ZERO)
    }

    fn tick(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for read in self.outages.due(context.now) {
            effects.extend(self.read_again(read, context));
        }
        if self.chart.is_behind(context.now) && self.chart.size != Size::Hidden {
            effects.extend(self.load_chart(context));
        }
        self.refresh_patterns();
        // A trace of a request that may still be going on is read again.
        if let View::Trace(trace) = &mut self.view {
            let fresh = trace
                .end()
                .is_none_or(|end| context.now.since(end) < Duration::from_secs(600));
            let due = trace
                .read_at
                .is_some_and(|at| context.now.since(at) >= Duration::from_secs(2));
            if fresh && due {
                trace.read_at = Some(context.now);
                let (question, ids) = (trace.question, trace.ids.clone());
                effects.push(Effect::Work(LogsEffect::Trace { question, ids }));
            }
        }
        effects
    }

    /// Repeats a read that failed. The arrivals repeat themselves, with the follower as it was.
    fn read_again(&mut self, read: &str, context: &Context<'_>) -> Vec<Effect> {
        match (read, &self.view) {
            (LIST, _) => self
                .list_read
                .clone()
                .map(Effect::Work)
                .into_iter()
                .collect(),
            (HISTOGRAM, _) => self.load_chart(context),
            (TRACE, View::Trace(trace)) => {
                let (question, ids) = (trace.question, trace.ids.clone());
                vec![Effect::Work(LogsEffect::Trace { question, ids })]
            }
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

    fn prompted(&mut self, kind: &str, step: Prompted, context: &Context<'_>) -> Vec<Effect> {
        match (kind, step) {
            (PROMPT_FILTER, Prompted::Accepted(text)) => self.set_filter(&text, context),
            (PROMPT_SEARCH, Prompted::Edited(text)) => {
                self.search = (!text.is_empty()).then(|| Search::new(&text));
                self.refresh_search();
                Vec::new()
            }
            (PROMPT_SEARCH, Prompted::Accepted(text)) => {
                if text.is_empty() {
                    self.search = None;
                    return Vec::new();
                }
                self.search = Some(Search::new(&text));
                self.refresh_search();
                self.first_hit(context)
            }
            (PROMPT_SEARCH, Prompted::Cancelled) => {
                self.search = None;
                Vec::new()
            }
            (PROMPT_TIME, Prompted::Accepted(text)) => self.go_to_time(&text, context),
            (PROMPT_SAVE, Prompted::Accepted(text)) => self.save_query(&text),
            (PROMPT_ADD, Prompted::Accepted(text)) => {
                let View::Trace(trace) = &self.view else {
                    return Vec::new();
                };
                let mut ids = trace.ids.clone();
                ids.extend(
                    commands::request_ids(&text)
                        .into_iter()
                        .filter(|id| !trace.ids.contains(id)),
                );
                self.open_trace(ids)
            }
            _ => Vec::new(),
        }
    }

    /// Where something on another screen leads.
    fn visit(&mut self, destination: Destination, context: &Context<'_>) -> Vec<Effect> {
        match destination {
            Destination::Trace(ids) => self.open_trace(ids),
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
    fn show_time(&mut self, at: Timestamp, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = self.load_around(at, None);
        if self.chart.show(at, context.now) {
            effects.extend(self.load_chart(context));
        }
        effects
    }

    fn prompt(kind: &'static str, label: &str, text: String) -> Vec<Effect> {
        vec![Effect::Prompt(PromptRequest {
            kind,
            label: label.to_owned(),
            text,
        })]
    }
}

fn hits_of(rows: &Rows, search: &Search) -> Vec<usize> {
    rows.iter()
        .enumerate()
        .filter(|(_, record)| search.matches(record))
        .map(|(index, _)| index)
        .collect()
}

impl Screen for LogsTab {
    fn scopes(&self) -> &'static [Scope] {
        match (&self.view, self.details_focused) {
            _ if self.menu.is_some() => self.menu.as_ref().map_or(&[], Menu::scopes),
            (View::Trace(_), true) => &[keys::DETAILS, keys::TRACE, keys::LOGS, Scope::LIST],
            (_, true) => &[keys::DETAILS, keys::LOGS, Scope::LIST],
            (View::Trace(_), false) => &[keys::TRACE, keys::LOGS, Scope::LIST],
            (View::Context(_), false) => &[keys::CONTEXT, keys::LOGS, Scope::LIST],
            (View::List, false) => &[keys::LOGS, Scope::LIST],
        }
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        self.draw(area, buffer, context);
    }

    fn status(&self, context: &Context<'_>) -> TabStatus {
        self.tell(context)
    }

    fn is_idle(&self, action: Action) -> bool {
        let list = matches!(self.view, View::List);
        match action {
            Action::NextPanel | Action::PreviousPanel => {
                self.details.is_none() || self.menu.is_some()
            }
            Action::Pause
            | Action::Follow
            | Action::Histogram
            | Action::ZoomIn
            | Action::ZoomOut
            | Action::RangeBack
            | Action::RangeForward => !list,
            Action::Reload => matches!(self.view, View::Context(_)) || self.menu.is_some(),
            Action::Left | Action::Right => self.menu.is_some(),
            _ => false,
        }
    }

    fn at_top(&self) -> bool {
        self.shows_list() && self.search.is_none() && self.filter.is_empty()
    }

    fn depth(&self) -> Option<usize> {
        (!self.shows_list()).then_some(self.back.len())
    }

    fn shows(&self, destination: &Destination) -> bool {
        matches!(
            destination,
            Destination::Trace(_) | Destination::Logs { .. }
        )
    }

    fn prompt_hint(
        &self,
        kind: &str,
        text: &str,
        cursor: usize,
        context: &Context<'_>,
    ) -> PromptHint {
        match kind {
            PROMPT_FILTER => {
                let error = Query::parse(text, &Self::clock(context))
                    .err()
                    .map(|error| {
                        let message = crate::tui::widgets::safe_text::line(&error.to_string());
                        (error.offset, error.length, message)
                    });
                let completions = self.completions(text, cursor);
                let help = "Enter filters · level>=warning source:nginx/* request_id:… duration>1s \"phrase\" -without".into();
                PromptHint {
                    error,
                    completions,
                    help,
                }
            }
            PROMPT_TIME => {
                let help = "14:32 · 14:32:07 · 2026-03-02 · 2026-03-02T10:20 · -30m · +5m".into();
                PromptHint {
                    help,
                    ..PromptHint::default()
                }
            }
            PROMPT_SEARCH => {
                let help = self.search.as_ref().map_or_else(
                    || "searches what is loaded, without hiding anything".into(),
                    |search| format!("{} of the loaded records", search.count()),
                );
                PromptHint {
                    help,
                    ..PromptHint::default()
                }
            }
            _ => PromptHint::default(),
        }
    }
}

impl Tab for LogsTab {
    const ID: TabId = TabId::new("logs", "Logs");
    const KEYS: &'static [Binding] = keys::KEYS;
    const COMMANDS: &'static [Command] = keys::COMMANDS;

    type Work = LogsEffect;
    type Saved = SavedLogs;

    fn open(_configured: &Configured, saved: SavedLogs) -> Self {
        Self::new(&saved)
    }

    fn saved(&self) -> SavedLogs {
        SavedLogs {
            filter: self.filter.clone(),
            filters: self.filters.clone(),
            queries: self
                .queries
                .iter()
                .map(|(name, query)| (name.clone(), query.clone()))
                .collect(),
            bookmarks: self
                .bookmarks
                .iter()
                .map(|(id, at)| (id.to_string(), at.micros()))
                .collect(),
            histogram: Some(self.chart.size.name().to_owned()),
        }
    }

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Entered => self.enter(context),
            TabEvent::Left => {
                self.entered = false;
                Vec::new()
            }
            TabEvent::Resized => {
                let height = self.list_height(context);
                if self.following && matches!(self.view, View::List) {
                    self.rows.to_end(height);
                } else {
                    self.rows.show_focus(height);
                }
                match &mut self.view {
                    View::Trace(trace) => trace.set_focus(trace.focus, height.saturating_sub(1)),
                    View::Context(view) => view.rows.show_focus(height),
                    View::List => {}
                }
                // Bars as wide as the new screen; only when there is something on the screen.
                if self.started && self.entered {
                    self.load_chart(context)
                } else {
                    Vec::new()
                }
            }
            TabEvent::Tick => self.tick(context),
            TabEvent::Action(action) => self.act(action, context),
            TabEvent::Ingest(status) => {
                let paused = status
                    .paused
                    .as_ref()
                    .map(|reason| crate::tui::widgets::safe_text::line(reason));
                if self.ingest_paused == paused {
                    return vec![Effect::Unchanged];
                }
                self.ingest_paused = paused;
                Vec::new()
            }
            TabEvent::Health(_) => vec![Effect::Unchanged],
            TabEvent::Troubles(troubles) => {
                self.outages.set_under_way(troubles.reads);
                Vec::new()
            }
            TabEvent::Prompted { kind, step } => self.prompted(kind, step, context),
            TabEvent::Go(destination) => self.visit(destination, context),
            TabEvent::Command { name, argument } => self.command(name, &argument, context),
            TabEvent::Mouse(mouse) => self.pointed(mouse, context),
            TabEvent::Confirmed { kind: REMOVE_QUERY } => self.remove_query(),
            TabEvent::Confirmed { .. } | TabEvent::Key(_) | TabEvent::Paste(_) => Vec::new(),
        }
    }

    fn answered(&mut self, answer: LogsAnswer, context: &Context<'_>) -> Vec<Effect> {
        self.take(answer, context)
    }
}

#[cfg(test)]
mod tests;
