//! Ways between the tabs, and back.

use super::App;
use crate::tui::action::Action;
use crate::tui::ask::{Destination, Notice, TabId};
use crate::tui::tab::TabEvent;

/// From where the tab on the screen was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Return {
    tab: TabId,
    /// How deep one is with what was opened: closing it makes that less, whatever was open there
    /// before, and is the way back. `None`: it is on the first screen, and Esc there is the way back.
    depth: Option<usize>,
}

impl App {
    /// Shows a destination on the tab that has such; Esc leads back to where it was asked for.
    pub(super) fn open(&mut self, destination: Destination, from: TabId) {
        let Some(to) = self.tabs.showing(&destination) else {
            return self.notify(Notice::trouble("no tab shows that"));
        };
        self.visit(to, from, TabEvent::Go(destination));
    }

    /// Gives a tab an event that opens something there.
    pub(super) fn visit(&mut self, to: TabId, from: TabId, event: TabEvent) {
        if to == from {
            return self.send(to, event);
        }
        self.go(to);
        let before = self.tab(to).depth();
        self.send(to, event);
        let depth = self
            .tab(to)
            .depth()
            .filter(|_| self.tab(to).depth() != before);
        self.return_to = Some(Return { tab: from, depth });
    }

    pub(super) fn go(&mut self, id: TabId) {
        self.return_to = None;
        if id != self.active {
            self.send(self.active, TabEvent::Left);
            self.active = id;
            self.send(id, TabEvent::Entered);
        }
        self.dirty = true;
    }

    /// One level back; to the tab one came from, when what was opened there is closed.
    pub(super) fn back(&mut self) {
        let Some(origin) = self.return_to else {
            return self.send(self.active, TabEvent::Action(Action::Back));
        };
        if self.shown().depth().is_none() {
            return self.go(origin.tab);
        }
        self.send(self.active, TabEvent::Action(Action::Back));
        // `None` is less than any depth.
        if origin.depth.is_some() && self.shown().depth() < origin.depth {
            self.go(origin.tab);
        }
    }
}
