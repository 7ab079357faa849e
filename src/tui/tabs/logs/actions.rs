//! What each key does on the Logs tab.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::details::DetailCursor;
use super::saved::MAX_BOOKMARKS;
use super::work::Effect;
use super::{
    Context, ContextView, Landing, Loading, LogsEffect, LogsTab, Order, PROMPT_ADD, PROMPT_FILTER,
    PROMPT_SAVE, PROMPT_SEARCH, PROMPT_TIME, Reading, Rows, Seek, View, Wanted, details, note,
};
use crate::report::incident_note;
use crate::tui::action::Action;
use crate::tui::ask::Notice;
use crate::tui::widgets::safe_text;
use atalaya_domain::record::{Level, Record, RequestId};
use atalaya_domain::time::TimeRange;
use atalaya_query::{Query, complete, term_text};

/// Columns of one step to the side.
const SIDE_STEP: usize = 12;
/// Records on each side of one in its incident note.
const NOTE_NEIGHBOURS: usize = 5;

fn notice(text: impl Into<String>) -> Vec<Effect> {
    vec![Effect::Notice(Notice::plain(text))]
}

impl LogsTab {
    pub(super) fn act(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        let page = isize::try_from(self.list_height(context).saturating_sub(1).max(1)).unwrap_or(1);
        if self.menu.is_some()
            && let Some(effects) = self.act_in_menu(action, context)
        {
            return effects;
        }
        match action {
            Action::Patterns => self.open_patterns(),
            Action::SavedQueries => self.open_queries(),
            Action::SaveQuery if self.filter.is_empty() => notice("no filter is set; `f` sets one"),
            Action::SaveQuery => Self::prompt(PROMPT_SAVE, "save the filter as ", String::new()),
            Action::Down => self.move_by(1, context),
            Action::Up => self.move_by(-1, context),
            Action::HalfPageDown => self.move_by((page / 2).max(1), context),
            Action::HalfPageUp => self.move_by(-(page / 2).max(1), context),
            Action::PageDown => self.move_by(page, context),
            Action::PageUp => self.move_by(-page, context),
            Action::First => self.go_to_first(context),
            Action::Last => self.go_to_last(context),
            Action::Left => {
                self.scroll = self.scroll.saturating_sub(SIDE_STEP);
                Vec::new()
            }
            Action::Right => {
                self.scroll = (self.scroll + SIDE_STEP).min(60_000);
                Vec::new()
            }
            Action::Open => {
                if self.current().is_some() {
                    self.details.get_or_insert_default();
                    self.details_focused = true;
                    // Details of one record are read: the list must not run away under them.
                    self.following = false;
                    self.keep_focus_in_sight(context);
                }
                Vec::new()
            }
            Action::Details => {
                self.details = if self.details.is_some() {
                    None
                } else {
                    Some(DetailCursor::default())
                };
                self.details_focused = false;
                self.keep_focus_in_sight(context);
                Vec::new()
            }
            Action::NextPanel | Action::PreviousPanel => {
                self.details_focused = self.details.is_some() && !self.details_focused;
                Vec::new()
            }
            Action::Back => self.one_level_back(context),
            Action::Interrupt => self.cancel_loading(),
            Action::HistoryBack => match self.back.pop() {
                Some(place) => {
                    self.ahead.push(self.here());
                    self.go_to(place, context)
                }
                None => notice("the history begins here"),
            },
            Action::HistoryForward => match self.ahead.pop() {
                Some(place) => {
                    self.back.push(self.here());
                    self.go_to(place, context)
                }
                None => notice("the history ends here"),
            },
            Action::Reload => self.reload(context),
            Action::Search => Self::prompt(PROMPT_SEARCH, "/", String::new()),
            Action::NextHit => self.step_hit(true, context),
            Action::PreviousHit => self.step_hit(false, context),
            Action::Filter => self.ask_filter(context),
            Action::ClearFilter => {
                if self.filter.is_empty() {
                    notice("no filter is set")
                } else {
                    self.set_filter("", context)
                }
            }
            Action::FilterRequest => {
                match self
                    .current()
                    .and_then(|record| record.entry.request_id.clone())
                {
                    Some(id) => self.set_filter(&term_text("request_id", id.as_str()), context),
                    None => notice("this record carries no request id"),
                }
            }
            Action::Trace => match self
                .current()
                .and_then(|record| record.entry.request_id.clone())
            {
                Some(id) => self.open_trace(vec![id]),
                None => notice("this record carries no request id; `:req ID` opens any"),
            },
            Action::AddTrace => Self::prompt(PROMPT_ADD, "add request id ", String::new()),
            Action::NextError => self.step_level(true, Level::Error, context),
            Action::PreviousError => self.step_level(false, Level::Error, context),
            Action::NextWarning => self.step_level(true, Level::Warning, context),
            Action::PreviousWarning => self.step_level(false, Level::Warning, context),
            Action::NextSameRequest => self.step_request(true, context),
            Action::PreviousSameRequest => self.step_request(false, context),
            Action::NextGap => self.step_gap(true, context),
            Action::PreviousGap => self.step_gap(false, context),
            Action::Bookmark => self.bookmark(),
            Action::NextBookmark => self.step_bookmark(true, context),
            Action::PreviousBookmark => self.step_bookmark(false, context),
            Action::Pause | Action::Follow => self.toggle_follow(context),
            Action::GoToTime => Self::prompt(PROMPT_TIME, "time ", String::new()),
            Action::Histogram => {
                self.chart.size = self.chart.size.next();
                self.keep_focus_in_sight(context);
                if self.chart.data.is_none() {
                    self.load_chart(context)
                } else {
                    Vec::new()
                }
            }
            Action::ZoomIn | Action::ZoomOut => {
                let focus = self
                    .rows
                    .focused()
                    .map(|record| record.entry.timestamp)
                    .filter(|_| !self.following);
                if self
                    .chart
                    .zoom(action == Action::ZoomIn, focus, context.now)
                {
                    self.load_chart(context)
                } else {
                    notice("no further")
                }
            }
            Action::RangeBack | Action::RangeForward => {
                self.chart
                    .shift(action == Action::RangeForward, context.now);
                self.load_chart(context)
            }
            Action::ContextLines => self.open_context(),
            Action::Copy => match self.current() {
                Some(record) => {
                    vec![Effect::Copy {
                        text: note::record_text(record),
                        what: "the record".into(),
                    }]
                }
                None => notice("there is nothing under the cursor"),
            },
            Action::CopyNote => self.copy_note(),
            _ => Vec::new(),
        }
    }

    fn move_by(&mut self, by: isize, context: &Context<'_>) -> Vec<Effect> {
        let height = self.list_height(context);
        if self.details_focused
            && let (Some(record), Some(mut cursor)) = (self.current(), self.details)
        {
            let pane = self.panes(context.area).details;
            let lines = details::lines(record, context.zone, usize::from(pane.width)).len();
            cursor.step(by, lines, usize::from(pane.height));
            self.details = Some(cursor);
            return Vec::new();
        }
        if let Some(cursor) = &mut self.details {
            *cursor = DetailCursor::default();
        }
        match &mut self.view {
            View::Trace(trace) => trace.step(by, height.saturating_sub(1)),
            View::Context(view) => {
                view.rows.step(by, height);
            }
            View::List => {
                // Upwards means reading: from then on nothing moves by itself.
                if by < 0 {
                    self.following = false;
                }
                self.rows.step(by, height);
                return self.load_if_near_end();
            }
        }
        Vec::new()
    }

    fn go_to_first(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let height = self.list_height(context);
        if self.details_focused {
            self.details = Some(DetailCursor::default());
            return Vec::new();
        }
        match &mut self.view {
            View::Trace(trace) => trace.set_focus(0, height.saturating_sub(1)),
            View::Context(view) => view.rows.set_focus(0, height),
            View::List => {
                self.following = false;
                self.rows.set_focus(0, height);
                if !self.rows.older_end {
                    let question = self.ask();
                    self.list_question = question;
                    self.landing = Landing::First;
                    self.loading = Some(Loading {
                        what: Reading::Oldest,
                        scanned: 0,
                    });
                    let query = self.query.clone();
                    let (range, order) = (TimeRange::ALL, Order::OldestFirst);
                    return self.read_list(LogsEffect::Page {
                        question,
                        query,
                        range,
                        order,
                        after: None,
                    });
                }
            }
        }
        Vec::new()
    }

    fn go_to_last(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if self.details_focused {
            return self.move_by(isize::MAX / 2, context);
        }
        let height = self.list_height(context);
        match &mut self.view {
            View::Trace(trace) => trace.set_focus(usize::MAX, height.saturating_sub(1)),
            View::Context(view) => view.rows.set_focus(usize::MAX, height),
            View::List => return self.resume(context),
        }
        Vec::new()
    }

    /// To the newest record, and on from there.
    fn resume(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if !self.rows.newer_end {
            return self.load_newest();
        }
        self.following = true;
        self.unseen = 0;
        self.rows.to_end(self.list_height(context));
        self.follow_on(std::time::Duration::ZERO)
    }

    fn toggle_follow(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if !matches!(self.view, View::List) {
            return notice("only the list follows; Esc goes back to it");
        }
        if self.following {
            self.following = false;
            return Vec::new();
        }
        self.resume(context)
    }

    fn one_level_back(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if self
            .loading
            .as_ref()
            .is_some_and(|loading| loading.what == Reading::Searching)
            || self.seek.is_some()
        {
            return self.cancel_loading();
        }
        if self.details.is_some() {
            self.details = None;
            self.details_focused = false;
            self.keep_focus_in_sight(context);
            return Vec::new();
        }
        if self.search.take().is_some() {
            return Vec::new();
        }
        match &self.view {
            View::Context(_) => {
                self.view = View::List;
                self.keep_focus_in_sight(context);
                Vec::new()
            }
            View::Trace(_) => match self.back.pop() {
                Some(place) => {
                    self.ahead.push(self.here());
                    self.go_to(place, context)
                }
                None => {
                    self.view = View::List;
                    Vec::new()
                }
            },
            View::List if !self.filter.is_empty() => self.set_filter("", context),
            View::List => Vec::new(),
        }
    }

    fn cancel_loading(&mut self) -> Vec<Effect> {
        if self.loading.take().is_none() {
            return Vec::new();
        }
        self.seek = None;
        self.outages.passed(super::LIST);
        self.list_question = self.ask();
        let mut effects = vec![Effect::Cancel("list")];
        effects.extend(notice("stopped reading"));
        effects
    }

    fn reload(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = match &mut self.view {
            View::Trace(trace) => {
                let (question, ids) = (trace.question, trace.ids.clone());
                vec![Effect::Work(LogsEffect::Trace { question, ids })]
            }
            View::Context(_) => Vec::new(),
            View::List => match self
                .rows
                .focused()
                .filter(|_| !self.following)
                .map(|record| (record.entry.timestamp, record.id()))
            {
                Some((at, id)) => self.load_around(at, Some(id)),
                None => self.load_newest(),
            },
        };
        effects.extend(self.load_chart(context));
        effects
    }

    /// The filter line: the present filter, with the field under the cursor added.
    fn ask_filter(&self, context: &Context<'_>) -> Vec<Effect> {
        let term = self
            .details
            .filter(|_| self.details_focused)
            .and_then(|cursor| {
                let width = usize::from(self.panes(context.area).details.width);
                details::lines(self.current()?, context.zone, width)
                    .get(cursor.line)?
                    .term
                    .clone()
            });
        let mut text = self.filter.clone();
        if let Some(term) = term {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&term);
        } else if !text.is_empty() {
            text.push(' ');
        }
        Self::prompt(PROMPT_FILTER, "filter ", text)
    }

    /// What could stand at the cursor: the language's words, then values that are on the screen.
    pub(super) fn completions(&self, text: &str, cursor: usize) -> Vec<String> {
        let suggestions = complete(text, cursor);
        let start = |replaced: usize| {
            let before = text.get(..replaced).unwrap_or_default();
            let word = before.rfind([' ', '(']).map_or(0, |at| at + 1);
            word + before[word..].len() - before[word..].trim_start_matches('-').len()
        };
        let mut out: Vec<String> = suggestions
            .into_iter()
            // The prompt replaces the whole word; a suggestion may replace only what follows its colon.
            .map(|suggestion| {
                format!(
                    "{}{}",
                    text.get(start(suggestion.replace.start)..suggestion.replace.start)
                        .unwrap_or_default(),
                    suggestion.insert
                )
            })
            .collect();
        let word = text.get(start(cursor)..cursor).unwrap_or_default();
        if let Some((field @ ("source" | "host" | "logger" | "request_id"), begun)) =
            word.split_once(':')
        {
            let mut values: Vec<&str> = self
                .rows
                .iter()
                .rev()
                .filter_map(|record| match field {
                    "source" => Some(&*record.origin.source),
                    "host" => Some(record.host()),
                    "logger" => record.entry.logger.as_deref(),
                    _ => record.entry.request_id.as_ref().map(RequestId::as_str),
                })
                .filter(|value| value.starts_with(begun))
                .take(2_000)
                .collect();
            values.sort_unstable();
            values.dedup();
            out.extend(
                values
                    .into_iter()
                    .take(10)
                    .map(|value| term_text(field, value)),
            );
        }
        out.truncate(12);
        out
    }

    pub(super) fn first_hit(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let focus = self.focus_index();
        let Some(search) = &self.search else {
            return Vec::new();
        };
        if search.count() == 0 {
            return notice(format!(
                "`{}` is not in the loaded records; `f` searches the store",
                safe_text::line(&search.needle)
            ));
        }
        // The hit under the cursor counts; else the nearest older one, since reading goes upwards from the newest.
        let on_hit = search.counter(focus).starts_with('-');
        if on_hit && let Some((index, _)) = search.next(focus, false) {
            self.jump(index, context);
        }
        Vec::new()
    }

    fn focus_index(&self) -> usize {
        match &self.view {
            View::List => self.rows.focus(),
            View::Context(view) => view.rows.focus(),
            View::Trace(trace) => trace.focus,
        }
    }

    /// Puts the focus on a row of whatever fills the tab.
    fn jump(&mut self, index: usize, context: &Context<'_>) {
        let height = self.list_height(context);
        if let Some(cursor) = &mut self.details {
            *cursor = DetailCursor::default();
        }
        let center = |rows: &mut Rows| {
            // Neighbours on both sides stay visible when the jump leaves the screen.
            let out_of_sight = index < rows.top() || index >= rows.top() + height;
            rows.set_focus(index, height);
            if out_of_sight {
                rows.center(height);
            }
        };
        match &mut self.view {
            View::List => {
                self.following = false;
                center(&mut self.rows);
            }
            View::Context(view) => center(&mut view.rows),
            View::Trace(trace) => trace.set_focus(index, height.saturating_sub(1)),
        }
    }

    fn step_hit(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let Some(search) = &self.search else {
            return notice("nothing is searched for; `/` begins");
        };
        match search.next(self.focus_index(), forward) {
            None => notice(format!(
                "`{}` is not in the loaded records",
                safe_text::line(&search.needle)
            )),
            Some((index, wrapped)) => {
                self.jump(index, context);
                let mut effects = self.load_if_near_end();
                if wrapped {
                    effects.extend(notice(if forward {
                        "the search went on from the first hit"
                    } else {
                        "the search went on from the last hit"
                    }));
                }
                effects
            }
        }
    }

    /// To the next row that fulfils `wanted`: of the window, else of the store.
    fn step_to(
        &mut self,
        forward: bool,
        what: Wanted,
        query: Option<Query>,
        wanted: impl Fn(&Record) -> bool,
        context: &Context<'_>,
    ) -> Vec<Effect> {
        let found = match &self.view {
            View::List => self.rows.find(forward, &wanted),
            View::Context(view) => view.rows.find(forward, &wanted),
            View::Trace(trace) => {
                trace.find(forward, |index| trace.record(index).is_some_and(&wanted))
            }
        };
        if let Some(index) = found {
            self.jump(index, context);
            return self.load_if_near_end();
        }
        let at_end = if forward {
            self.rows.newer_end
        } else {
            self.rows.older_end
        };
        let cursor = if forward {
            self.rows.newer_cursor()
        } else {
            self.rows.older_cursor()
        };
        match (&self.view, query, cursor) {
            (View::List, Some(query), Some(after)) if !at_end => {
                let query = self.query.and(&query);
                let question = self.ask();
                self.list_question = question;
                self.following = false;
                self.scanned = 0;
                self.seek = Some(Seek {
                    query: query.clone(),
                    what,
                });
                self.loading = Some(Loading {
                    what: Reading::Next(what),
                    scanned: 0,
                });
                let order = if forward {
                    Order::OldestFirst
                } else {
                    Order::NewestFirst
                };
                self.read_list(LogsEffect::Seek {
                    question,
                    query,
                    order,
                    after,
                })
            }
            _ => notice(format!(
                "no {} {} this one",
                what.words(),
                if forward { "after" } else { "before" }
            )),
        }
    }

    fn step_level(&mut self, forward: bool, level: Level, context: &Context<'_>) -> Vec<Effect> {
        let (what, text) = if level == Level::Warning {
            (Wanted::Warning, "level:warning")
        } else {
            (Wanted::Error, "level>=error")
        };
        let query = Query::parse(text, &Self::clock(context)).ok();
        let wanted = move |record: &Record| match level {
            Level::Warning => record.entry.level == Level::Warning,
            _ => record.entry.level >= level,
        };
        self.step_to(forward, what, query, wanted, context)
    }

    fn step_request(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let Some(id) = self
            .current()
            .and_then(|record| record.entry.request_id.clone())
        else {
            return notice("this record carries no request id");
        };
        let query = Query::parse(&term_text("request_id", id.as_str()), &Self::clock(context)).ok();
        self.step_to(
            forward,
            Wanted::SameRequest,
            query,
            move |record| record.entry.request_id.as_ref() == Some(&id),
            context,
        )
    }

    fn step_gap(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let View::Trace(trace) = &self.view else {
            return Vec::new();
        };
        match trace.find(forward, |index| trace.gap(index).is_some()) {
            Some(index) => {
                self.jump(index, context);
                Vec::new()
            }
            None => notice("no further gap"),
        }
    }

    fn bookmark(&mut self) -> Vec<Effect> {
        let Some((id, at)) = self
            .current()
            .map(|record| (record.id(), record.entry.timestamp))
        else {
            return notice("there is nothing under the cursor");
        };
        if self.bookmarks.remove(&id).is_some() {
            return notice("bookmark removed");
        }
        if self.bookmarks.len() >= MAX_BOOKMARKS {
            return notice(format!(
                "there are {MAX_BOOKMARKS} bookmarks already; remove one first"
            ));
        }
        self.bookmarks.insert(id, at);
        notice(format!("bookmarked; {} in all", self.bookmarks.len()))
    }

    fn step_bookmark(&mut self, forward: bool, context: &Context<'_>) -> Vec<Effect> {
        let mut marks: Vec<_> = self
            .bookmarks
            .iter()
            .map(|(id, at)| (*at, id.origin, id.position))
            .collect();
        marks.sort_unstable();
        if marks.is_empty() {
            return notice("no bookmarks; `m` sets one");
        }
        let here = self.current().map(Record::sort_key);
        let next = match here {
            Some(key) if forward => marks.iter().find(|mark| **mark > key).or(marks.first()),
            Some(key) => marks
                .iter()
                .rev()
                .find(|mark| **mark < key)
                .or(marks.last()),
            None => marks.last(),
        };
        let Some((at, origin, position)) = next.copied() else {
            return Vec::new();
        };
        let id = atalaya_domain::record::RecordId { origin, position };
        self.view = View::List;
        match self.rows.position(id, at) {
            Some(index) => {
                self.jump(index, context);
                self.load_if_near_end()
            }
            None => {
                self.remember_place();
                self.load_around(at, Some(id))
            }
        }
    }

    fn open_context(&mut self) -> Vec<Effect> {
        let Some(record) = self.current().cloned() else {
            return notice("there is nothing under the cursor");
        };
        if matches!(self.view, View::Trace(_)) {
            self.remember_place();
        }
        let question = self.ask();
        let record = Box::new(record);
        self.following = false;
        self.view = View::Context(ContextView {
            anchor: record.clone(),
            rows: Rows::default(),
            question,
            failed: None,
        });
        vec![Effect::Work(LogsEffect::Context {
            question,
            record,
            lines: super::CONTEXT_LINES,
        })]
    }

    fn copy_note(&self) -> Vec<Effect> {
        let around = |rows: &Rows| {
            let first = rows.focus().saturating_sub(NOTE_NEIGHBOURS);
            rows.iter()
                .skip(first)
                .take(2 * NOTE_NEIGHBOURS + 1)
                .cloned()
                .collect::<Vec<_>>()
        };
        let text = match (&self.view, self.current()) {
            (View::Trace(trace), _) => incident_note::of_trace(&trace.data),
            (View::List, Some(record)) => incident_note::of_record(record, &around(&self.rows)),
            (View::Context(view), Some(record)) => {
                incident_note::of_record(record, &around(&view.rows))
            }
            (_, None) => return notice("there is nothing under the cursor"),
        };
        vec![Effect::Copy {
            text,
            what: "the incident note".into(),
        }]
    }

    /// After panes have changed their sizes.
    fn keep_focus_in_sight(&mut self, context: &Context<'_>) {
        let height = self.list_height(context);
        match &mut self.view {
            View::List if self.following => self.rows.to_end(height),
            View::List => self.rows.show_focus(height),
            View::Context(view) => view.rows.show_focus(height),
            View::Trace(trace) => trace.set_focus(trace.focus, height.saturating_sub(1)),
        }
    }

    pub(super) fn pointed(&mut self, mouse: MouseEvent, context: &Context<'_>) -> Vec<Effect> {
        if self.menu.is_some() {
            return self.pointed_in_menu(mouse, context);
        }
        match mouse.kind {
            MouseEventKind::ScrollUp => self.move_by(-3, context),
            MouseEventKind::ScrollDown => self.move_by(3, context),
            MouseEventKind::Down(MouseButton::Left) => {
                let list = self.panes(context.area).list;
                if mouse.row < list.y || mouse.row >= list.bottom() || mouse.column >= list.right()
                {
                    return Vec::new();
                }
                self.details_focused = false;
                let offset = usize::from(mouse.row - list.y);
                let index = match &self.view {
                    View::List => row_at(&self.rows, offset),
                    View::Context(view) => row_at(&view.rows, offset),
                    View::Trace(trace) => offset.checked_sub(1).and_then(|line| trace.row_at(line)),
                };
                if let Some(index) = index {
                    self.jump(index, context);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// The row drawn at an offset from the top of the pane.
fn row_at(rows: &Rows, offset: usize) -> Option<usize> {
    Some(rows.top() + offset).filter(|index| *index < rows.len())
}
