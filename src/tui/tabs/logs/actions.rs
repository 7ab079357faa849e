//! What each key does on the Logs tab: filters, traces, following, the chart, copying. Moving is in
//! [`super::moves`], going to the next record of a kind in [`super::steps`].

use super::around::Around;
use super::bookmarks::Marked;
use super::saved::MAX_BOOKMARKS;
use super::work::Effect;
use super::{
    CONTEXT_LINES, Context, LogsEffect, LogsTab, PROMPT_ADD, PROMPT_FILTER, PROMPT_SAVE,
    PROMPT_SEARCH, PROMPT_TIME, View, details, note,
};
use crate::report::incident_note;
use crate::tui::action::Action;
use crate::tui::ask::Notice;
use atalaya_domain::record::{Record, RequestId};
use atalaya_query::{complete, term_text};

use super::rows::Rows;

/// Columns of one step to the side.
const SIDE_STEP: usize = 12;
/// Records on each side of one in its incident note.
const NOTE_NEIGHBOURS: usize = 5;

pub(super) fn notice(text: impl Into<String>) -> Vec<Effect> {
    vec![Effect::Notice(Notice::plain(text))]
}

impl LogsTab {
    pub(super) fn act(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        if self.menu.is_some()
            && let Some(effects) = self.act_in_menu(action, context)
        {
            return effects;
        }
        self.act_on_place(action, context)
            .or_else(|| self.act_on_next(action, context))
            .or_else(|| self.act_on_panes(action, context))
            .or_else(|| self.act_on_chart(action, context))
            .unwrap_or_else(|| self.act_on_records(action, context))
    }

    /// What is open beside the list and over it. `None`: another kind of action.
    fn act_on_panes(&mut self, action: Action, context: &Context<'_>) -> Option<Vec<Effect>> {
        match action {
            Action::Patterns => return Some(self.open_patterns()),
            Action::SavedQueries => return Some(self.open_queries()),
            Action::Left => self.scroll = self.scroll.saturating_sub(SIDE_STEP),
            Action::Right => self.scroll = (self.scroll + SIDE_STEP).min(60_000),
            Action::Open => {
                if self.current().is_some() {
                    self.details.open();
                    // Details of one record are read: the list must not run away under them.
                    self.follow.pause();
                    self.keep_focus_in_sight(context);
                }
            }
            Action::Details => {
                self.details.toggle();
                self.keep_focus_in_sight(context);
            }
            Action::NextPanel | Action::PreviousPanel => self.details.change_panel(),
            Action::Back => return Some(self.one_level_back(context)),
            Action::HistoryBack => {
                let here = self.here();
                return Some(match self.history.back(here) {
                    Some(place) => self.go_to(place, context),
                    None => notice("the history begins here"),
                });
            }
            Action::HistoryForward => {
                let here = self.here();
                return Some(match self.history.forward(here) {
                    Some(place) => self.go_to(place, context),
                    None => notice("the history ends here"),
                });
            }
            Action::ContextLines => return Some(self.open_context()),
            _ => return None,
        }
        Some(Vec::new())
    }

    /// The chart. `None`: another kind of action.
    fn act_on_chart(&mut self, action: Action, context: &Context<'_>) -> Option<Vec<Effect>> {
        match action {
            Action::Histogram => {
                self.chart.size = self.chart.size.next();
                self.keep_focus_in_sight(context);
                if self.chart.data.is_some() {
                    return Some(Vec::new());
                }
            }
            Action::ZoomIn | Action::ZoomOut => {
                let focus = self
                    .list
                    .rows
                    .focused()
                    .map(|record| record.entry.timestamp)
                    .filter(|_| !self.follow.is_on());
                let closer = action == Action::ZoomIn;
                if !self.chart.zoom(closer, focus, context.now) {
                    return Some(notice("no further"));
                }
            }
            Action::RangeBack | Action::RangeForward => {
                let later = action == Action::RangeForward;
                self.chart.shift(later, context.now);
            }
            _ => return None,
        }
        Some(self.load_chart(context))
    }

    /// Which records are shown, and what is done with the one under the cursor.
    fn act_on_records(&mut self, action: Action, context: &Context<'_>) -> Vec<Effect> {
        match action {
            Action::SaveQuery if self.filter.is_empty() => notice("no filter is set; `f` sets one"),
            Action::SaveQuery => Self::prompt(PROMPT_SAVE, "save the filter as ", String::new()),
            Action::Interrupt => self.cancel_loading(),
            Action::Reload => self.reload(context),
            Action::Search => Self::prompt(PROMPT_SEARCH, "/", String::new()),
            Action::Filter => self.ask_filter(context),
            Action::ClearFilter if self.filter.is_empty() => notice("no filter is set"),
            Action::ClearFilter => self.set_filter("", context),
            Action::FilterRequest => match self.request_id() {
                Some(id) => self.set_filter(&term_text("request_id", id.as_str()), context),
                None => notice("this record carries no request id"),
            },
            Action::Trace => match self.request_id() {
                Some(id) => self.open_trace(vec![id]),
                None => notice("this record carries no request id; `:req ID` opens any"),
            },
            Action::AddTrace => Self::prompt(PROMPT_ADD, "add request id ", String::new()),
            Action::Bookmark => self.bookmark(),
            Action::Pause | Action::Follow => self.toggle_follow(context),
            Action::GoToTime => Self::prompt(PROMPT_TIME, "time ", String::new()),
            Action::Copy => match self.current() {
                Some(record) => vec![Effect::Copy {
                    text: note::record_text(record),
                    what: "the record".into(),
                }],
                None => notice("there is nothing under the cursor"),
            },
            Action::CopyNote => self.copy_note(),
            _ => Vec::new(),
        }
    }

    /// The request of the record under the cursor.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        self.current()?.entry.request_id.clone()
    }

    fn toggle_follow(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if !matches!(self.view, View::List) {
            return notice("only the list follows; Esc goes back to it");
        }
        if self.follow.is_on() {
            self.follow.pause();
            return Vec::new();
        }
        self.resume(context)
    }

    fn one_level_back(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if self.list.is_searching() {
            return self.cancel_loading();
        }
        if self.details.is_open() {
            self.details.close();
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
            View::Trace(_) => {
                let here = self.here();
                match self.history.back(here) {
                    Some(place) => self.go_to(place, context),
                    None => {
                        self.view = View::List;
                        Vec::new()
                    }
                }
            }
            View::List if !self.filter.is_empty() => self.set_filter("", context),
            View::List => Vec::new(),
        }
    }

    fn cancel_loading(&mut self) -> Vec<Effect> {
        let question = self.ask();
        if !self.list.stop(question) {
            return Vec::new();
        }
        self.outages.passed(super::LIST);
        let mut effects = vec![Effect::Cancel("list")];
        effects.extend(notice("stopped reading"));
        effects
    }

    fn reload(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let mut effects = match &self.view {
            View::Trace(trace) => vec![Effect::Work(trace.read())],
            View::Context(_) => Vec::new(),
            View::List => match self
                .list
                .rows
                .focused()
                .filter(|_| !self.follow.is_on())
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
        let term = self.details.with_keys().and_then(|cursor| {
            let width = usize::from(self.panes(context.area).details.width);
            details::lines(self.current()?, context.zone, width)
                .get(cursor.line)?
                .term
                .clone()
        });
        let mut text = self.filter.text.clone();
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&term.unwrap_or_default());
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
                let replaced = suggestion.replace.start;
                let kept = text.get(start(replaced)..replaced).unwrap_or_default();
                format!("{kept}{}", suggestion.insert)
            })
            .collect();
        let word = text.get(start(cursor)..cursor).unwrap_or_default();
        if let Some((field @ ("source" | "host" | "logger" | "request_id"), begun)) =
            word.split_once(':')
        {
            let mut values: Vec<&str> = self
                .list
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
            let values = values.into_iter().take(10);
            out.extend(values.map(|value| term_text(field, value)));
        }
        out.truncate(12);
        out
    }

    fn bookmark(&mut self) -> Vec<Effect> {
        let Some(record) = self.current().cloned() else {
            return notice("there is nothing under the cursor");
        };
        match self.bookmarks.update(&record) {
            Marked::Removed => notice("bookmark removed"),
            Marked::Full => notice(format!(
                "there are {MAX_BOOKMARKS} bookmarks already; remove one first"
            )),
            Marked::Set(count) => notice(format!("bookmarked; {count} in all")),
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
        self.follow.pause();
        self.view = View::Context(Around::new(record.clone(), question));
        vec![Effect::Work(LogsEffect::Context {
            question,
            record,
            lines: CONTEXT_LINES,
        })]
    }

    fn copy_note(&self) -> Vec<Effect> {
        let around = |rows: &Rows| {
            let first = rows.focus().saturating_sub(NOTE_NEIGHBOURS);
            rows.iter()
                .skip(first)
                .take(2 * NOTE_NEIGHBOURS + 1)
                .cloned()
                .collect::<Vec<Record>>()
        };
        let text = match (&self.view, self.current()) {
            (View::Trace(trace), _) => incident_note::of_trace(&trace.data),
            (View::List, Some(record)) => {
                incident_note::of_record(record, &around(&self.list.rows))
            }
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
}
