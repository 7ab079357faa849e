//! The one-line prompt that a tab asked for, and the `:` prompt: the only place where text that was
//! typed becomes a command.

use crossterm::event::{KeyCode, KeyEvent};

#[cfg(debug_assertions)]
use super::Request;
use super::palette::{Choice, Palette, Target};
use super::{App, Overlay};
use crate::tui::action::Action;
use crate::tui::ask::{Notice, PromptHint, PromptRequest, Prompted, TabId};
use crate::tui::tab::TabEvent;
use crate::tui::theme::Theme;
use crate::tui::widgets::line_edit::{Edited, LineEdit};

#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) kind: &'static str,
    pub(super) label: String,
    pub(super) line: LineEdit,
    pub(super) hint: PromptHint,
    /// Which completion Tab offers next.
    pub(super) chosen: Option<usize>,
    /// Enter was pressed on a text with a mistake: say which, whatever could be completed.
    pub(super) refused: bool,
}

impl App {
    pub(super) fn open_prompt(&mut self, request: PromptRequest, from: TabId) {
        let PromptRequest { kind, label, text } = request;
        let line = LineEdit::new(text);
        let hint = self
            .tab(from)
            .prompt_hint(kind, line.text(), line.cursor(), &self.context());
        self.overlay = Overlay::Prompt(Prompt {
            kind,
            label,
            line,
            hint,
            chosen: None,
            refused: false,
        });
        self.dirty = true;
    }

    pub(super) fn prompt_key(&mut self, key: &KeyEvent) {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return;
        };
        match key.code {
            KeyCode::Esc => {
                let kind = prompt.kind;
                self.overlay = Overlay::None;
                self.prompted(kind, Prompted::Cancelled);
            }
            // A text with a known mistake is not sent off; the mistake stays in sight.
            KeyCode::Enter if prompt.hint.error.is_some() => prompt.refused = true,
            KeyCode::Enter => {
                let (kind, text) = (prompt.kind, prompt.line.text().to_owned());
                self.overlay = Overlay::None;
                self.prompted(kind, Prompted::Accepted(text));
            }
            KeyCode::Tab | KeyCode::BackTab if !prompt.hint.completions.is_empty() => {
                self.complete(key.code == KeyCode::BackTab);
            }
            _ => {
                if prompt.line.key(key) == Edited::Text {
                    self.prompt_edited();
                }
            }
        }
    }

    /// Puts the next completion into the text.
    fn complete(&mut self, backwards: bool) {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return;
        };
        let count = prompt.hint.completions.len();
        let next = match prompt.chosen {
            None if backwards => count - 1,
            None => 0,
            Some(at) if backwards => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
        };
        prompt.chosen = Some(next);
        prompt.line.replace_word(&prompt.hint.completions[next]);
        let kind = prompt.kind;
        let text = prompt.line.text().to_owned();
        let fresh = self.hint_for(kind, &text);
        if let (Overlay::Prompt(prompt), Some(fresh)) = (&mut self.overlay, fresh) {
            prompt.refused = false;
            if count == 1 {
                // Nothing to choose from: on with what can stand behind it.
                prompt.hint = fresh;
                prompt.chosen = None;
            } else {
                prompt.hint.error = fresh.error;
            }
        }
        self.prompted(kind, Prompted::Edited(text));
    }

    fn prompted(&mut self, kind: &'static str, step: Prompted) {
        self.send(self.active, TabEvent::Prompted { kind, step });
    }

    /// What the tab says of the text as it is, where the cursor stands.
    fn hint_for(&self, kind: &'static str, text: &str) -> Option<PromptHint> {
        let Overlay::Prompt(prompt) = &self.overlay else {
            return None;
        };
        let cursor = prompt.line.cursor();
        Some(
            self.shown()
                .prompt_hint(kind, text, cursor, &self.context()),
        )
    }

    pub(super) fn prompt_edited(&mut self) {
        self.dirty = true;
        let Overlay::Prompt(prompt) = &self.overlay else {
            return;
        };
        let (kind, text) = (prompt.kind, prompt.line.text().to_owned());
        let hint = self.hint_for(kind, &text);
        if let (Overlay::Prompt(prompt), Some(hint)) = (&mut self.overlay, hint) {
            prompt.hint = hint;
            prompt.chosen = None;
            prompt.refused = false;
        }
        self.prompted(kind, Prompted::Edited(text));
    }

    pub(super) fn open_palette(&mut self) {
        let keyless = self.setup.keymap.unbound(self.shown().scopes()).into_iter();
        let actions = self
            .help()
            .into_iter()
            .flat_map(|(_, lines)| lines)
            .chain(keyless.map(|action| (String::new(), action)))
            .collect();
        let themes = Theme::names(self.setup.themes_dir.as_deref());
        self.overlay = Overlay::Palette(Palette::new(self.setup.tabs.registered, actions, &themes));
    }

    pub(super) fn palette_key(&mut self, key: &KeyEvent) {
        let Overlay::Palette(palette) = &mut self.overlay else {
            return;
        };
        match key.code {
            KeyCode::Esc => self.overlay = Overlay::None,
            KeyCode::Enter => {
                let choice = palette.chosen();
                self.overlay = Overlay::None;
                match choice {
                    Some(Choice::Action(action)) => self.on_action(action),
                    Some(Choice::Command { target, argument }) => self.command(target, argument),
                    None => self.notify(Notice::trouble("no such command; `:` and `?` list them")),
                }
            }
            _ => palette.key(key),
        }
    }

    fn command(&mut self, target: Target, argument: String) {
        match target {
            Target::Quit => self.quitting = true,
            Target::Theme => self.set_theme(argument.trim()),
            Target::Zone(zone) => self.setup.zone = zone,
            Target::Mouse => self.on_action(Action::Mouse),
            Target::Tab(id) => self.go(id),
            Target::Of(to, name) => {
                self.visit(to, self.active, TabEvent::Command { name, argument });
            }
            #[cfg(debug_assertions)]
            Target::Fault(fault) => self.requests.push(Request::Fault(fault)),
            #[cfg(debug_assertions)]
            Target::Panic => panic!("asked for with :panic"),
        }
    }
}
