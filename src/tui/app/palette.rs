//! The command palette: commands with arguments, and every action of the screen, found by fuzzy match.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::tui::action::Action;
use crate::tui::widgets::line_edit::{Edited, LineEdit};

/// A command that takes words: name, what to write after it, help.
const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "goto",
        "14:32",
        "go to a time: 14:32, 2026-03-02T10:20, -30m, +5m",
    ),
    (
        "req",
        "ID",
        "trace of a request id; several, separated by blanks",
    ),
    ("filter", "QUERY", "filter the logs"),
    ("save", "NAME", "save the filter of the logs under a name"),
    ("w", "FILE", "write the loaded records to a file"),
    ("theme", "NAME", "change the theme"),
    ("utc", "", "show times in UTC"),
    ("local", "", "show times in the zone of this host"),
    ("mouse", "", "mouse on or off"),
    ("dora", "", "DORA tab"),
    ("logs", "", "Logs tab"),
    ("infra", "", "Infra tab"),
    ("pdca", "", "PDCA tab"),
    ("q", "", "quit"),
];

/// Commands that the Logs tab carries out, wherever they are typed.
pub(super) fn is_logs_command(name: &str) -> bool {
    matches!(name, "goto" | "req" | "filter" | "save" | "w")
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Action(Action),
    Command { name: String, argument: String },
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What is matched and shown first.
    pub text: String,
    pub help: String,
    /// The key that does the same, if any.
    pub key: String,
    choice: Choice,
}

#[derive(Debug)]
pub(super) struct Palette {
    pub line: LineEdit,
    entries: Vec<Entry>,
    /// Indexes into `entries`, best first.
    matches: Vec<usize>,
    pub selected: usize,
}

impl Palette {
    pub fn new(actions: Vec<(String, Action)>, themes: &[String]) -> Self {
        let command = |text: String, help: &str, name: &str, argument: &str| Entry {
            text,
            help: help.to_owned(),
            key: String::new(),
            choice: Choice::Command {
                name: name.to_owned(),
                argument: argument.to_owned(),
            },
        };
        let mut entries: Vec<Entry> = COMMANDS
            .iter()
            .map(|(name, argument, help)| {
                command(
                    format!("{name} {argument}").trim().to_owned(),
                    help,
                    name,
                    "",
                )
            })
            .collect();
        entries.extend(
            themes
                .iter()
                .map(|name| command(format!("theme {name}"), "change the theme", "theme", name)),
        );
        entries.extend(actions.into_iter().map(|(key, action)| Entry {
            text: action.name().replace('_', " "),
            help: action.help().to_owned(),
            key,
            choice: Choice::Action(action),
        }));
        let mut palette = Self {
            line: LineEdit::default(),
            entries,
            matches: Vec::new(),
            selected: 0,
        };
        palette.edited();
        palette
    }

    /// The text changed: match again.
    pub fn edited(&mut self) {
        self.selected = 0;
        let text = self.line.text().trim();
        if text.is_empty() {
            self.matches = (0..self.entries.len()).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| {
                let name = pattern.score(Utf32Str::new(&entry.text, &mut buffer), &mut matcher);
                let help = pattern.score(Utf32Str::new(&entry.help, &mut buffer), &mut matcher);
                // A hit in the name beats one in the explanation.
                name.map(|score| score * 2)
                    .max(help)
                    .map(|score| (score, index))
            })
            .collect();
        scored.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
        self.matches = scored.into_iter().map(|(_, index)| index).collect();
    }

    pub fn matches(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.matches.iter().map(|index| &self.entries[*index])
    }

    pub fn key(&mut self, key: &KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            KeyCode::Char('p') if control => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down => self.step_down(),
            KeyCode::Char('n') if control => self.step_down(),
            KeyCode::Tab => {
                if let Some(entry) = self
                    .matches
                    .get(self.selected)
                    .map(|index| &self.entries[*index])
                {
                    let completed = match &entry.choice {
                        Choice::Command { name, argument } => format!("{name} {argument}"),
                        Choice::Action(_) => entry.text.clone(),
                    };
                    self.line.set(completed);
                    self.edited();
                }
            }
            _ => {
                if self.line.key(key) == Edited::Text {
                    self.edited();
                }
            }
        }
    }

    fn step_down(&mut self) {
        self.selected = (self.selected + 1).min(self.matches.len().saturating_sub(1));
    }

    /// What Enter does: a command typed out with its argument, else the selected entry.
    pub fn chosen(&self) -> Option<Choice> {
        let text = self.line.text().trim();
        // `:-30m` and `:+5m` are times.
        if text.starts_with(['-', '+']) && text.len() > 1 {
            return Some(Choice::Command {
                name: "goto".into(),
                argument: text.to_owned(),
            });
        }
        let (name, argument) = text.split_once(' ').unwrap_or((text, ""));
        let known = COMMANDS.iter().any(|(command, _, _)| *command == name);
        if known || name == "quit" || (cfg!(debug_assertions) && name == "panic") {
            return Some(Choice::Command {
                name: name.to_owned(),
                argument: argument.trim().to_owned(),
            });
        }
        self.matches
            .get(self.selected)
            .map(|index| self.entries[*index].choice.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Palette {
        let mut palette = Palette::new(
            vec![("e".into(), Action::NextError)],
            &["dark".into(), "light".into()],
        );
        palette.line.insert(text);
        palette.edited();
        palette
    }

    #[expect(clippy::unnecessary_wraps, reason = "what `chosen` answers")]
    fn command(name: &str, argument: &str) -> Option<Choice> {
        Some(Choice::Command {
            name: name.into(),
            argument: argument.into(),
        })
    }

    #[test]
    fn typed_commands_carry_their_argument() {
        assert_eq!(typed("goto 14:32").chosen(), command("goto", "14:32"));
        assert_eq!(typed("-30m").chosen(), command("goto", "-30m"));
        assert_eq!(typed("q").chosen(), command("q", ""));
        assert_eq!(typed("w out.txt").chosen(), command("w", "out.txt"));
    }

    #[test]
    fn a_few_letters_find_actions_and_themes() {
        assert_eq!(
            typed("nexterr").chosen(),
            Some(Choice::Action(Action::NextError))
        );
        assert_eq!(typed("thlight").chosen(), command("theme", "light"));
        assert_eq!(typed("zzzzzz").chosen(), None);
    }
}
