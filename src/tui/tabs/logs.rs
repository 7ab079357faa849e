//! The Logs tab: the live list with its histogram, filter, search, details, context and traces.
//!
//! The list is a bounded window of the store ([`rows`]), newest at the bottom. While *following*, the
//! last row is kept in sight; scrolling up stops that, and what arrives is counted and put in
//! without moving anything. Older and newer pages are read by cursor when the focus comes near an
//! end. Answers to questions that are no longer asked are dropped by their number.
//!
//! Each part has its state and its `update`: [`list`], [`follow`], [`filter`], [`search`], [`chart`],
//! [`trace`], [`around`], [`details`], [`bookmarks`], [`history`]. The tab joins them: [`actions`],
//! [`moves`], [`steps`] and [`commands`] are what keys and words do, [`loads`] what is asked of the
//! stores, [`answers`] what they bring, [`draw`] what is seen.

mod actions;
mod answers;
mod around;
mod bookmarks;
pub mod chart;
mod commands;
pub mod details;
mod draw;
mod filter;
mod follow;
pub mod histogram;
mod history;
mod keys;
mod list;
mod list_view;
mod loads;
mod menu;
mod moves;
mod note;
pub mod rows;
mod saved;
pub mod search;
mod steps;
pub mod trace;
mod trace_view;
mod work;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::around::Around;
use self::bookmarks::Bookmarks;
use self::chart::{Chart, Size};
use self::details::Details;
use self::filter::Filter;
use self::follow::Follow;
use self::history::History;
use self::list::{List, Sight};
use self::menu::Menu;
pub use self::saved::SavedLogs;
use self::search::Search;
use self::trace::Trace;
use self::work::Effect;
pub use self::work::{LogsAnswer, LogsEffect};
use super::outage::Outages;
use crate::service::advice;
use crate::tui::action::Action;
use crate::tui::ask::{Command, Destination, PromptHint, PromptRequest, Prompted, Question, TabId};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::tab::{Configured, Context, Screen, Tab, TabEvent, TabStatus};
use crate::tui::widgets::safe_text;
use atalaya_domain::record::Record;
use atalaya_query::Query;

/// Pause between two looks at the arrivals: four updates a second read well and cost few bytes.
const FOLLOW_PAUSE: Duration = Duration::from_millis(250);
/// After an error, before the next look at the arrivals.
const RETRY: Duration = Duration::from_secs(1);
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
    Context(Around),
    Trace(Trace),
}

#[derive(Debug)]
pub struct LogsTab {
    filter: Filter,
    list: List,
    follow: Follow,
    view: View,
    /// Lies over the list and has its keys.
    menu: Option<Menu>,
    details: Details,
    search: Option<Search>,
    /// Columns to the side.
    scroll: usize,
    bookmarks: Bookmarks,
    chart: Chart,
    history: History,
    asked: Question,
    /// The saved filter is read at the first entry, when there is a clock.
    started: bool,
    outages: Outages,
    ingest_paused: Option<String>,
    /// Why the store can only be read; safe to show.
    read_only: Option<String>,
}

impl LogsTab {
    pub fn new(saved: &SavedLogs) -> Self {
        let size = saved.histogram.as_deref().and_then(Size::from_name);
        Self {
            filter: Filter::new(saved),
            list: List::default(),
            follow: Follow::default(),
            view: View::List,
            menu: None,
            details: Details::default(),
            search: None,
            scroll: 0,
            bookmarks: Bookmarks::new(&saved.bookmarks),
            chart: Chart::of_size(size.unwrap_or_default()),
            history: History::default(),
            asked: Question::default(),
            started: false,
            outages: Outages::default(),
            ingest_paused: None,
            read_only: None,
        }
    }

    /// Nothing lies over the list (a filter may be set).
    fn shows_list(&self) -> bool {
        matches!(self.view, View::List) && !self.details.is_open() && self.menu.is_none()
    }

    /// The record that the cursor is on, in whatever fills the tab.
    fn current(&self) -> Option<&Record> {
        match &self.view {
            View::List => self.list.rows.focused(),
            View::Context(view) => view.rows.focused(),
            View::Trace(trace) => trace.focused(),
        }
    }

    /// How the list is looked at now.
    fn sight(&self, context: &Context<'_>) -> Sight {
        Sight {
            following: self.follow.is_on(),
            height: self.list_height(context),
            now: context.now,
        }
    }

    fn resized(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let height = self.list_height(context);
        if self.follow.is_on() && matches!(self.view, View::List) {
            self.list.rows.to_end(height);
        } else {
            self.list.rows.show_focus(height);
        }
        match &mut self.view {
            View::Trace(trace) => trace.set_focus(trace.focus, height.saturating_sub(1)),
            View::Context(view) => view.rows.show_focus(height),
            View::List => {}
        }
        // Bars as wide as the new screen; only when there is something on the screen.
        if self.started && self.follow.shown {
            self.load_chart(context)
        } else {
            Vec::new()
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

    fn prompt(kind: &'static str, label: &str, text: String) -> Vec<Effect> {
        vec![Effect::Prompt(PromptRequest {
            kind,
            label: label.to_owned(),
            text,
        })]
    }
}

impl Screen for LogsTab {
    fn scopes(&self) -> &'static [Scope] {
        match (&self.view, self.details.focused) {
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
                !self.details.is_open() || self.menu.is_some()
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
        (!self.shows_list()).then_some(self.history.depth())
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
                        let message = safe_text::line(&error.to_string());
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
            filter: self.filter.text.clone(),
            filters: self.filter.earlier.clone(),
            queries: self
                .filter
                .named
                .iter()
                .map(|(name, query)| (name.clone(), query.clone()))
                .collect(),
            bookmarks: self.bookmarks.saved(),
            histogram: Some(self.chart.size.name().to_owned()),
        }
    }

    fn update(&mut self, event: TabEvent, context: &Context<'_>) -> Vec<Effect> {
        match event {
            TabEvent::Entered => self.enter(context),
            TabEvent::Left => {
                self.follow.shown = false;
                Vec::new()
            }
            TabEvent::Resized => self.resized(context),
            TabEvent::Tick => self.tick(context),
            TabEvent::Action(action) => self.act(action, context),
            TabEvent::Ingest(status) => {
                let paused = status
                    .paused
                    .as_ref()
                    .map(|reason| safe_text::line(&advice::say(reason)));
                if self.ingest_paused == paused {
                    return vec![Effect::Unchanged];
                }
                self.ingest_paused = paused;
                Vec::new()
            }
            TabEvent::Health(_) => vec![Effect::Unchanged],
            TabEvent::Troubles(troubles) => {
                self.outages.set_under_way(troubles.reads);
                self.read_only = troubles.read_only;
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
