//! What a key or a paste does: it goes to what lies over the tab, to the app itself, or to the tab.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{App, Overlay, Request, SECOND_INTERRUPT};
use crate::tui::action::Action;
use crate::tui::ask::{Notice, Prompted};
use crate::tui::keymap::Key;
use crate::tui::tab::{TabEvent, reason_of};
use crate::tui::theme::Theme;
use atalaya_query::Zone;

impl App {
    pub(super) fn on_paste(&mut self, text: String) {
        let captures = self.shown().captures_keys();
        match &mut self.overlay {
            Overlay::Prompt(prompt) => {
                prompt.line.insert(&text);
                self.prompt_edited();
            }
            Overlay::Palette(palette) => {
                palette.line.insert(&text);
                palette.edited();
                self.dirty = true;
            }
            Overlay::None if captures => self.send(self.active, TabEvent::Paste(text)),
            // A paste is never taken for keys.
            _ => {}
        }
    }

    pub(super) fn on_key(&mut self, key: &KeyEvent) {
        let interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        // Read by now, and it hides the status line.
        self.notice = None;
        self.dirty = true;
        if interrupt {
            return self.interrupt();
        }
        self.interrupted_at = None;
        match &mut self.overlay {
            Overlay::Prompt(_) => self.prompt_key(key),
            Overlay::Palette(_) => self.palette_key(key),
            Overlay::Help { .. } => self.help_key(key),
            Overlay::Confirm { kind, .. } => {
                let kind = *kind;
                let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
                self.overlay = Overlay::None;
                if yes {
                    self.send(self.active, TabEvent::Confirmed { kind });
                } else {
                    self.notify(Notice::plain("not done"));
                }
            }
            Overlay::None => {
                if self.shown().captures_keys() {
                    return self.send(self.active, TabEvent::Key(*key));
                }
                if let Some(action) = self
                    .setup
                    .keymap
                    .action(self.shown().scopes(), Key::of(key))
                {
                    self.on_action(action);
                }
            }
        }
    }

    fn help_key(&mut self, key: &KeyEvent) {
        let Overlay::Help { scroll } = &mut self.overlay else {
            return;
        };
        match key.code {
            KeyCode::Char('j') | KeyCode::Down => *scroll = scroll.saturating_add(1).min(500),
            KeyCode::Char('k') | KeyCode::Up => *scroll = scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                *scroll = scroll.saturating_add(10).min(500);
            }
            KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
            _ => self.overlay = Overlay::None,
        }
    }

    /// Ctrl-C: cancels what is open or under way, and quits when pressed again soon.
    fn interrupt(&mut self) {
        let again = self
            .interrupted_at
            .is_some_and(|at| self.setup.now.since(at) <= SECOND_INTERRUPT);
        if again {
            self.quitting = true;
            return;
        }
        self.interrupted_at = Some(self.setup.now);
        match std::mem::replace(&mut self.overlay, Overlay::None) {
            Overlay::None => self.send(self.active, TabEvent::Action(Action::Interrupt)),
            Overlay::Prompt(prompt) => {
                self.send(
                    self.active,
                    TabEvent::Prompted {
                        kind: prompt.kind,
                        step: Prompted::Cancelled,
                    },
                );
            }
            _ => {}
        }
        self.notify(Notice::plain("cancelled; Ctrl-C again quits"));
    }

    pub(super) fn on_action(&mut self, action: Action) {
        match action {
            Action::Tab(id) => self.go(id),
            Action::Help => self.overlay = Overlay::Help { scroll: 0 },
            Action::Palette => self.open_palette(),
            Action::Quit => self.quitting = true,
            Action::Close if self.shown().at_top() && self.return_to.is_none() => {
                self.quitting = true;
            }
            Action::Back | Action::Close => self.back(),
            Action::Zone => self.toggle_zone(),
            Action::Mouse => self.toggle_mouse(),
            Action::NextTheme => {
                let names = Theme::names(self.setup.themes_dir.as_deref());
                let next = names
                    .iter()
                    .position(|name| *name == self.chosen_theme)
                    .map_or(0, |at| (at + 1) % names.len());
                self.set_theme(&names[next]);
            }
            Action::Suspend => self.requests.push(Request::Suspend),
            Action::Redraw => self.requests.push(Request::Redraw),
            other => self.send(self.active, TabEvent::Action(other)),
        }
    }

    fn toggle_zone(&mut self) {
        let (zone, name) = match self.setup.zone {
            Zone::Utc => (Zone::Local, "local time"),
            Zone::Local => (Zone::Utc, "UTC"),
        };
        self.setup.zone = zone;
        self.notify(Notice::plain(format!("times are shown in {name}")));
    }

    fn toggle_mouse(&mut self) {
        self.setup.mouse = !self.setup.mouse;
        self.requests.push(Request::Mouse(self.setup.mouse));
        self.notify(Notice::plain(if self.setup.mouse {
            "mouse on: the terminal's own selection needs Shift now"
        } else {
            "mouse off"
        }));
    }

    pub(super) fn set_theme(&mut self, name: &str) {
        match Theme::load(name, self.setup.themes_dir.as_deref(), self.setup.depth) {
            Ok(theme) => {
                let text = if theme.has_color() {
                    format!("theme {name}")
                } else {
                    format!("theme {name} is kept; this terminal shows no colours")
                };
                self.setup.theme = theme;
                name.clone_into(&mut self.chosen_theme);
                self.notify(Notice::plain(text));
            }
            Err(error) => self.notify(Notice::trouble(reason_of(&error))),
        }
    }
}
