//! Moving the cursor, by keys and by the mouse, in whatever fills the tab.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::rows::Rows;
use super::work::Effect;
use super::{Context, LogsTab, View, details};
use crate::tui::action::Action;

impl LogsTab {
    /// `None`: another kind of action.
    pub(super) fn act_on_place(
        &mut self,
        action: Action,
        context: &Context<'_>,
    ) -> Option<Vec<Effect>> {
        let page = isize::try_from(self.list_height(context).saturating_sub(1).max(1)).unwrap_or(1);
        Some(match action {
            Action::Down => self.move_by(1, context),
            Action::Up => self.move_by(-1, context),
            Action::HalfPageDown => self.move_by((page / 2).max(1), context),
            Action::HalfPageUp => self.move_by(-(page / 2).max(1), context),
            Action::PageDown => self.move_by(page, context),
            Action::PageUp => self.move_by(-page, context),
            Action::First => self.go_to_first(context),
            Action::Last => self.go_to_last(context),
            _ => return None,
        })
    }

    fn move_by(&mut self, by: isize, context: &Context<'_>) -> Vec<Effect> {
        let height = self.list_height(context);
        if let (Some(record), Some(mut cursor)) = (self.current(), self.details.with_keys()) {
            let pane = self.panes(context.area).details;
            let lines = details::lines(record, context.zone, usize::from(pane.width)).len();
            cursor.step(by, lines, usize::from(pane.height));
            self.details.cursor = Some(cursor);
            return Vec::new();
        }
        self.details.rewind();
        match &mut self.view {
            View::Trace(trace) => trace.step(by, height.saturating_sub(1)),
            View::Context(view) => {
                view.rows.step(by, height);
            }
            View::List => {
                // Upwards means reading: from then on nothing moves by itself.
                if by < 0 {
                    self.follow.pause();
                }
                self.list.rows.step(by, height);
                return self.load_if_near_end();
            }
        }
        Vec::new()
    }

    fn go_to_first(&mut self, context: &Context<'_>) -> Vec<Effect> {
        let height = self.list_height(context);
        if self.details.focused {
            self.details.rewind();
            return Vec::new();
        }
        match &mut self.view {
            View::Trace(trace) => trace.set_focus(0, height.saturating_sub(1)),
            View::Context(view) => view.rows.set_focus(0, height),
            View::List => {
                self.follow.pause();
                self.list.rows.set_focus(0, height);
                if !self.list.rows.older_end {
                    let question = self.ask();
                    let read = self.list.oldest(question, self.filter.query.clone());
                    return vec![Effect::Work(read)];
                }
            }
        }
        Vec::new()
    }

    fn go_to_last(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if self.details.focused {
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
    pub(super) fn resume(&mut self, context: &Context<'_>) -> Vec<Effect> {
        if !self.list.rows.newer_end {
            return self.load_newest();
        }
        self.follow.resume();
        self.list.rows.to_end(self.list_height(context));
        self.follow_on(std::time::Duration::ZERO)
    }

    /// The row that has the cursor.
    pub(super) fn focus_index(&self) -> usize {
        match &self.view {
            View::List => self.list.rows.focus(),
            View::Context(view) => view.rows.focus(),
            View::Trace(trace) => trace.focus,
        }
    }

    /// Puts the focus on a row of whatever fills the tab.
    pub(super) fn jump(&mut self, index: usize, context: &Context<'_>) {
        let height = self.list_height(context);
        self.details.rewind();
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
                self.follow.pause();
                center(&mut self.list.rows);
            }
            View::Context(view) => center(&mut view.rows),
            View::Trace(trace) => trace.set_focus(index, height.saturating_sub(1)),
        }
    }

    /// After panes have changed their sizes.
    pub(super) fn keep_focus_in_sight(&mut self, context: &Context<'_>) {
        let height = self.list_height(context);
        match &mut self.view {
            View::List if self.follow.is_on() => self.list.rows.to_end(height),
            View::List => self.list.rows.show_focus(height),
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
                self.details.focused = false;
                let offset = usize::from(mouse.row - list.y);
                let index = match &self.view {
                    View::List => row_at(&self.list.rows, offset),
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
