//! How the Logs tab looks: where its panes are, what the rules and the status line say.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::list_view::{self, ListLook};
use super::menu::Menu;
use super::trace_view::{self, TraceLook};
use super::{LogsTab, View, details, histogram};
use crate::tui::action::Action;
use crate::tui::tab::{Context, TabStatus};
use crate::tui::theme::Role;
use crate::tui::widgets::{clock, empty, frame, safe_text};
use atalaya_domain::record::Record;

/// Where everything is; a pane that is not there is empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Panes {
    pub chart: Rect,
    pub rule: Rect,
    pub list: Rect,
    pub details_rule: Rect,
    pub details: Rect,
}

impl LogsTab {
    pub(super) fn panes(&self, area: Rect) -> Panes {
        let mut panes = Panes::default();
        let mut rest = area;
        let wide = area.width >= 120;
        let chart = match &self.view {
            View::List if self.details.is_open() && !wide && area.height < 30 => 0,
            View::List => self.chart.height(area.height),
            _ => 0,
        };
        let take = |rest: &mut Rect, height: u16| {
            let height = height.min(rest.height);
            let taken = Rect { height, ..*rest };
            *rest = Rect {
                y: rest.y + height,
                height: rest.height - height,
                ..*rest
            };
            taken
        };
        panes.chart = take(&mut rest, chart);
        if self.details.is_open() && wide {
            let width = (area.width * 2 / 5).max(50);
            let right = Rect {
                x: rest.right() - width,
                width,
                ..rest
            };
            panes.details_rule = Rect {
                height: 1.min(right.height),
                ..right
            };
            panes.details = Rect {
                y: right.y + 1,
                height: right.height.saturating_sub(1),
                ..right
            };
            rest.width -= width + 1;
        } else if self.details.is_open() {
            let height = (rest.height * 11 / 20).max(6).min(rest.height);
            let low = Rect {
                y: rest.bottom() - height,
                height,
                ..rest
            };
            panes.details_rule = Rect {
                height: 1.min(height),
                ..low
            };
            panes.details = Rect {
                y: low.y + 1,
                height: height.saturating_sub(1),
                ..low
            };
            rest.height -= height;
        }
        panes.rule = take(&mut rest, 1);
        panes.list = rest;
        panes
    }

    /// Rows of the list, whatever fills it.
    pub(super) fn list_height(&self, context: &Context<'_>) -> usize {
        usize::from(self.panes(context.area).list.height)
    }

    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let panes = self.panes(area);
        let focus_time = self
            .list
            .rows
            .focused()
            .filter(|_| !self.follow.is_on())
            .map(|record| record.entry.timestamp);
        histogram::render(&self.chart, panes.chart, buffer, context, focus_time);
        if let Some(menu) = &self.menu {
            frame::rule(panes.rule, buffer, context.theme, &menu.title(), true);
            menu.render(panes.list, buffer, context);
            return;
        }
        frame::rule(
            panes.rule,
            buffer,
            context.theme,
            &self.list_title(context),
            !self.details.focused,
        );
        let highlights = self.filter.query.highlights();
        let mut look = ListLook {
            scroll: self.scroll,
            search: self.search.as_ref(),
            highlights: &highlights,
            bookmarks: &self.bookmarks,
            focused: !self.details.focused,
            anchor: None,
        };
        match &self.view {
            View::List if self.list.rows.is_empty() => self.draw_empty(panes.list, buffer, context),
            View::List => list_view::render(&self.list.rows, panes.list, buffer, context, &look),
            View::Context(view) if view.rows.is_empty() => {
                let message = view
                    .failed
                    .clone()
                    .unwrap_or_else(|| "reading the lines around …".into());
                empty::render(panes.list, buffer, context.theme, &message, &[]);
            }
            View::Context(view) => {
                look.anchor = Some(view.anchor.id());
                list_view::render(&view.rows, panes.list, buffer, context, &look);
            }
            View::Trace(trace) => {
                let look = TraceLook {
                    scroll: self.scroll,
                    search: self.search.as_ref(),
                    focused: !self.details.focused,
                };
                trace_view::render(trace, panes.list, buffer, context, &look);
            }
        }
        self.draw_details(&panes, buffer, context);
    }

    fn draw_details(&self, panes: &Panes, buffer: &mut Buffer, context: &Context<'_>) {
        if let (Some(cursor), Some(record)) = (self.details.cursor, self.current()) {
            let title = format!(
                "Details · {}",
                clock::exact(record.entry.timestamp, context.zone)
            );
            frame::rule(
                panes.details_rule,
                buffer,
                context.theme,
                &title,
                self.details.focused,
            );
            details::render(
                record,
                cursor,
                self.details.focused,
                panes.details,
                buffer,
                context,
            );
        } else if self.details.is_open() {
            frame::rule(
                panes.details_rule,
                buffer,
                context.theme,
                "Details",
                self.details.focused,
            );
            empty::render(
                panes.details,
                buffer,
                context.theme,
                "there is no record under the cursor",
                &[],
            );
        }
    }

    fn list_title(&self, context: &Context<'_>) -> String {
        match &self.view {
            View::Trace(trace) => trace.title(),
            View::Context(view) => {
                let source = safe_text::first_line(&view.anchor.origin.source, 30);
                format!(
                    "Context of {} · every record of {source}",
                    clock::millis(view.anchor.entry.timestamp, context.zone)
                )
            }
            View::List => {
                let filter = if self.filter.is_empty() {
                    "all records".to_owned()
                } else {
                    safe_text::line(&self.filter.text)
                };
                // The rows show times only; the day of the first row in sight stands here.
                match self.list.rows.get(self.list.rows.top()) {
                    Some(first) => format!(
                        "{} · {filter}",
                        clock::day(first.entry.timestamp, context.zone)
                    ),
                    None => filter,
                }
            }
        }
    }

    fn draw_empty(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let (message, hints) =
            if self.list.loading.is_some() && !self.outages.is_failing(super::LIST) {
                ("reading …".to_owned(), Vec::new())
            } else if self.list.read_at.is_none() {
                (
                    "The logs could not be read yet.".to_owned(),
                    vec!["the reason is above; it is tried again by itself".to_owned()],
                )
            } else if self.filter.is_empty() {
                let hints = vec![
                    "atalaya ingest FILE …   reads log files".to_owned(),
                    "atalaya demo            opens a console with made-up data".to_owned(),
                ];
                ("No records yet.".to_owned(), hints)
            } else {
                (
                    "Nothing matches this filter.".to_owned(),
                    vec!["Esc removes it · f changes it".to_owned()],
                )
            };
        empty::render(area, buffer, context.theme, &message, &hints);
    }

    pub(super) fn tell(&self, context: &Context<'_>) -> TabStatus {
        let mut pieces = Vec::new();
        match &self.view {
            _ if self.menu.is_some() => pieces.extend(self.menu.as_ref().map(Menu::tell)),
            View::List => self.tell_list(&mut pieces, context),
            View::Context(view) => {
                pieces.push((Role::Text, format!("{} records around", view.rows.len())));
            }
            View::Trace(trace) => {
                let position = trace.len().min(trace.focus + 1);
                pieces.push((Role::Text, format!("row {position} of {}", trace.len())));
                let gaps = trace.spans.iter().filter(|span| span.gap.is_some()).count();
                if gaps > 0 {
                    pieces.push((
                        Role::Warning,
                        format!("{gaps} {}", if gaps == 1 { "gap" } else { "gaps" }),
                    ));
                }
            }
        }
        if let Some(search) = &self.search {
            let focus = match &self.view {
                View::List => self.list.rows.focus(),
                View::Context(view) => view.rows.focus(),
                View::Trace(trace) => trace.focus,
            };
            let needle = safe_text::cut(&safe_text::line(&search.needle), 24);
            pieces.insert(
                0,
                (Role::Accent, format!("{} /{needle}", search.counter(focus))),
            );
        }
        if self.outages.is_failing(super::LIST) {
            pieces.insert(
                0,
                (
                    Role::Accent,
                    "waiting to read again (Ctrl-C stops)".to_owned(),
                ),
            );
        } else if let Some(loading) = &self.list.loading {
            let scanned = if loading.scanned > 0 {
                format!(", scanned {}", clock::count(loading.scanned))
            } else {
                String::new()
            };
            pieces.insert(
                0,
                (
                    Role::Accent,
                    format!("{}{scanned} (Ctrl-C stops)", loading.what.words()),
                ),
            );
        }
        if let Some(reason) = &self.ingest_paused {
            pieces.insert(0, (Role::Warning, format!("ingest waits: {reason}")));
        } else if let Some(reason) = &self.read_only {
            pieces.insert(0, (Role::Warning, format!("only read: {reason}")));
        }
        let data_at = match &self.view {
            View::Trace(trace) => trace.read_at,
            _ => self.list.read_at,
        };
        TabStatus {
            pieces,
            data_at,
            live: matches!(self.view, View::List)
                && self.follow.is_live()
                && self.outages.is_empty(),
            banner: self.outages.banner(context.now, context.zone),
            hints: self.hints(),
        }
    }

    fn tell_list(&self, pieces: &mut Vec<(Role, String)>, context: &Context<'_>) {
        let new = clock::count(self.follow.unseen);
        if self.list.rows.is_empty() {
            return;
        }
        if self.follow.is_on() && !self.outages.is_empty() {
            let mark = if context.unicode { "○" } else { "o" };
            pieces.push((
                Role::Warning,
                format!("{mark} follows when the store answers"),
            ));
        } else if self.follow.is_on() {
            pieces.push((
                Role::Good,
                if context.unicode {
                    "● following"
                } else {
                    "* following"
                }
                .to_owned(),
            ));
        } else if self.follow.unseen > 0 {
            pieces.push((
                Role::Warning,
                format!(
                    "{} paused, {new} new",
                    if context.unicode { "‖" } else { "=" }
                ),
            ));
        } else {
            pieces.push((
                Role::Warning,
                format!("{} paused", if context.unicode { "‖" } else { "=" }),
            ));
        }
        let more = if self.list.rows.older_end && self.list.rows.newer_end {
            ""
        } else {
            "+"
        };
        let row = clock::count(self.list.rows.focus() as u64 + 1);
        pieces.push((
            Role::Muted,
            format!(
                "row {row} of {}{more}",
                clock::count(self.list.rows.len() as u64)
            ),
        ));
        if !self.filter.is_empty() && self.list.scanned > 0 {
            pieces.push((
                Role::Muted,
                format!("scanned {}", clock::count(self.list.scanned)),
            ));
        }
        let position = self
            .list
            .rows
            .focused()
            .map(|record| record.entry.timestamp)
            .filter(|_| !self.follow.is_on());
        if let Some(at) = position {
            let age = context.now.since(at);
            if age.as_secs() >= 60 {
                pieces.push((Role::Muted, format!("{} ago", clock::coarse(age))));
            }
        }
    }

    fn hints(&self) -> Vec<Action> {
        let request = self
            .current()
            .is_some_and(|record: &Record| record.entry.request_id.is_some());
        let mut hints = Vec::new();
        if let Some(menu) = &self.menu {
            hints.extend(menu.hints());
            return hints;
        }
        if self.details.focused {
            hints.extend([
                Action::Filter,
                Action::NextPanel,
                Action::Back,
                Action::Copy,
                Action::Trace,
            ]);
            return hints;
        }
        if self.search.is_some() {
            hints.push(Action::NextHit);
        }
        match &self.view {
            View::Trace(_) => hints.extend([
                Action::Open,
                Action::NextGap,
                Action::AddTrace,
                Action::CopyNote,
                Action::Search,
                Action::Back,
            ]),
            View::Context(_) => hints.extend([Action::Open, Action::Search, Action::Back]),
            View::List => {
                if !self.follow.is_on() {
                    hints.push(Action::Last);
                }
                hints.extend([Action::Filter, Action::Search, Action::Open]);
                if request {
                    hints.push(Action::Trace);
                }
                hints.extend([
                    Action::ContextLines,
                    Action::Pause,
                    Action::NextError,
                    Action::GoToTime,
                    Action::Histogram,
                    Action::Patterns,
                    Action::SavedQueries,
                ]);
            }
        }
        hints
    }
}
