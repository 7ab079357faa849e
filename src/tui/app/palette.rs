//! The command palette: commands with arguments, and every action of the screen, found by fuzzy match.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::tui::action::Action;
use crate::tui::ask::TabId;
use crate::tui::registry::Registered;
use crate::tui::widgets::line_edit::{Edited, LineEdit};
use atalaya_query::Zone;

#[cfg(debug_assertions)]
use super::Fault;

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Quit,
    Theme,
    Zone(Zone),
    Mouse,
    Tab(TabId),
    /// A command of a tab, wherever it is typed.
    Of(TabId, &'static str),
    #[cfg(debug_assertions)]
    Fault(Fault),
    /// Lets the tests see what a panic leaves behind; not in a release.
    #[cfg(debug_assertions)]
    Panic,
}

/// A command, and what it is for.
#[derive(Debug)]
struct Listed {
    name: &'static str,
    /// What to write after it.
    argument: &'static str,
    help: String,
    /// What begins with one of these is its argument, without the name.
    prefixes: &'static [char],
    target: Target,
}

/// Those of the tabs, those of the app, and the tabs themselves.
fn commands(tabs: &[Registered]) -> Vec<Listed> {
    let of_tabs = tabs.iter().flat_map(|tab| {
        tab.commands.iter().map(|command| Listed {
            name: command.name,
            argument: command.argument,
            help: command.help.to_owned(),
            prefixes: command.prefixes,
            target: Target::Of(tab.id, command.name),
        })
    });
    let own = |name, argument, help: &str, target| Listed {
        name,
        argument,
        help: help.to_owned(),
        prefixes: &[],
        target,
    };
    let local = "show times in the zone of this host";
    let of_app = [
        own("theme", "NAME", "change the theme", Target::Theme),
        own("utc", "", "show times in UTC", Target::Zone(Zone::Utc)),
        own("local", "", local, Target::Zone(Zone::Local)),
        own("mouse", "", "mouse on or off", Target::Mouse),
    ];
    let to_tabs = tabs.iter().map(|tab| {
        let help = Action::Tab(tab.id).help();
        own(tab.id.name(), "", &help, Target::Tab(tab.id))
    });
    of_tabs
        .chain(of_app)
        .chain(to_tabs)
        .chain([own("q", "", "quit", Target::Quit)])
        .collect()
}

/// Commands that are not listed.
fn unlisted(name: &str, argument: &str) -> Option<Target> {
    #[cfg(debug_assertions)]
    if name == "panic" {
        return Some(match argument {
            "task" => Target::Fault(Fault::Task),
            "thread" => Target::Fault(Fault::Thread),
            "error" => Target::Fault(Fault::Error),
            _ => Target::Panic,
        });
    }
    let _ = argument;
    (name == "quit").then_some(Target::Quit)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Action(Action),
    Command { target: Target, argument: String },
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What is matched and shown first.
    pub text: String,
    pub help: String,
    /// The key that does the same, if any.
    pub key: String,
    /// What Tab writes.
    completed: String,
    choice: Choice,
}

#[derive(Debug)]
pub(super) struct Palette {
    pub line: LineEdit,
    commands: Vec<Listed>,
    entries: Vec<Entry>,
    /// Indexes into `entries`, best first.
    matches: Vec<usize>,
    pub selected: usize,
}

impl Palette {
    pub fn new(tabs: &[Registered], actions: Vec<(String, Action)>, themes: &[String]) -> Self {
        let commands = commands(tabs);
        let mut entries: Vec<Entry> = commands
            .iter()
            .map(|command| Entry {
                text: format!("{} {}", command.name, command.argument)
                    .trim()
                    .to_owned(),
                help: command.help.clone(),
                key: String::new(),
                completed: format!("{} ", command.name),
                choice: Choice::Command {
                    target: command.target,
                    argument: String::new(),
                },
            })
            .collect();
        entries.extend(themes.iter().map(|name| Entry {
            text: format!("theme {name}"),
            help: "change the theme".to_owned(),
            key: String::new(),
            completed: format!("theme {name}"),
            choice: Choice::Command {
                target: Target::Theme,
                argument: name.clone(),
            },
        }));
        entries.extend(actions.into_iter().map(|(key, action)| Entry {
            text: action.name().replace('_', " "),
            help: action.help().into_owned(),
            key,
            completed: action.name().replace('_', " "),
            choice: Choice::Action(action),
        }));
        let mut palette = Self {
            line: LineEdit::default(),
            commands,
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
                    let completed = entry.completed.clone();
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
        let short = self
            .commands
            .iter()
            .find(|command| text.len() > 1 && text.starts_with(command.prefixes));
        let (name, argument) = match short {
            Some(command) => (command.name, text),
            None => text.split_once(' ').unwrap_or((text, "")),
        };
        let argument = argument.trim();
        let known = self.commands.iter().find(|known| known.name == name);
        let target = known
            .map(|known| known.target)
            .or_else(|| unlisted(name, argument));
        if let Some(target) = target {
            return Some(Choice::Command {
                target,
                argument: argument.to_owned(),
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
    use crate::tui::tabs::{FIRST, TABS};

    fn typed(text: &str) -> Palette {
        let mut palette = Palette::new(
            TABS,
            vec![("e".into(), Action::NextError)],
            &["dark".into(), "light".into()],
        );
        palette.line.insert(text);
        palette.edited();
        palette
    }

    #[expect(clippy::unnecessary_wraps, reason = "what `chosen` answers")]
    fn command(target: Target, argument: &str) -> Option<Choice> {
        Some(Choice::Command {
            target,
            argument: argument.into(),
        })
    }

    #[test]
    fn typed_commands_carry_their_argument() {
        let of = |name| Target::Of(FIRST, name);
        assert_eq!(typed("goto 14:32").chosen(), command(of("goto"), "14:32"));
        assert_eq!(typed("-30m").chosen(), command(of("goto"), "-30m"));
        assert_eq!(typed("+5m").chosen(), command(of("goto"), "+5m"));
        assert_eq!(typed("q").chosen(), command(Target::Quit, ""));
        assert_eq!(typed("quit").chosen(), command(Target::Quit, ""));
        assert_eq!(typed("w out.txt").chosen(), command(of("w"), "out.txt"));
        assert_eq!(typed("logs").chosen(), command(Target::Tab(FIRST), ""));
    }

    #[test]
    fn a_few_letters_find_actions_and_themes() {
        assert_eq!(
            typed("nexterr").chosen(),
            Some(Choice::Action(Action::NextError))
        );
        assert_eq!(typed("thlight").chosen(), command(Target::Theme, "light"));
        assert_eq!(typed("zzzzzz").chosen(), None);
    }
}
