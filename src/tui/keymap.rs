//! Key -> [`Action`], per scope. The table below is the whole truth: dispatch, key hints, help and
//! palette all read it, and `[console.keys]` changes it by action name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use atalaya_query::suggest;

use super::action::Action;

/// Where a binding holds. A screen asks its scopes from the innermost to [`Scope::Global`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Global,
    /// Anything that scrolls or has a cursor.
    List,
    Logs,
    Details,
    Context,
    Trace,
    Saved,
    Dora,
    Infra,
    Pdca,
}

impl Scope {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::List => "Moving",
            Self::Logs => "Logs",
            Self::Details => "Details",
            Self::Context => "Context",
            Self::Trace => "Trace",
            Self::Saved => "Saved queries",
            Self::Dora => "DORA",
            Self::Infra => "Infra",
            Self::Pdca => "PDCA",
        }
    }
}

/// One key with its modifiers, as people write it: `j`, `G`, `Ctrl-d`, `PgDn`, `Space`, `F2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    pub fn of(event: &KeyEvent) -> Self {
        // Shift is part of the character already, and BackTab is Shift-Tab.
        let drop_shift = matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab);
        let modifiers = if drop_shift {
            event.modifiers - KeyModifiers::SHIFT
        } else {
            event.modifiers
        };
        Self {
            code: event.code,
            modifiers,
        }
    }
}

const NAMED: [(&str, KeyCode); 19] = [
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Tab", KeyCode::Tab),
    ("Shift-Tab", KeyCode::BackTab),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Space", KeyCode::Char(' ')),
    ("Del", KeyCode::Delete),
    ("Ins", KeyCode::Insert),
    ("Backspace", KeyCode::Backspace),
    ("F1", KeyCode::F(1)),
    ("F2", KeyCode::F(2)),
    ("F5", KeyCode::F(5)),
];

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            formatter.write_str("Ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            formatter.write_str("Alt-")?;
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return formatter.write_str(name);
        }
        match self.code {
            KeyCode::Char(character) => write!(formatter, "{character}"),
            KeyCode::F(number) => write!(formatter, "F{number}"),
            other => write!(formatter, "{other:?}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            if let Some(after) = rest.strip_prefix("Ctrl-") {
                modifiers |= KeyModifiers::CONTROL;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("Alt-") {
                modifiers |= KeyModifiers::ALT;
                rest = after;
            } else {
                break;
            }
        }
        if let Some((_, code)) = NAMED
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(rest))
        {
            return Ok(Self {
                code: *code,
                modifiers,
            });
        }
        if let Some(number) = rest
            .strip_prefix('F')
            .and_then(|number| number.parse().ok())
        {
            return Ok(Self {
                code: KeyCode::F(number),
                modifiers,
            });
        }
        let mut characters = rest.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(Self {
                code: KeyCode::Char(character),
                modifiers,
            }),
            _ => Err(format!(
                "`{text}` is not a key; keys look like `j`, `Ctrl-d`, `PgDn`, `Space` or `F2`"
            )),
        }
    }
}

/// A row of the built-in table: scope, keys separated by blanks, action.
type Row = (Scope, &'static str, Action);

/// In the order of help: what people look for first comes first.
const TABLE: &[Row] = &[
    (Scope::List, "j Down", Action::Down),
    (Scope::List, "k Up", Action::Up),
    (Scope::List, "Ctrl-d", Action::HalfPageDown),
    (Scope::List, "Ctrl-u", Action::HalfPageUp),
    (Scope::List, "PgDn Ctrl-f", Action::PageDown),
    (Scope::List, "PgUp Ctrl-b", Action::PageUp),
    (Scope::List, "g Home", Action::First),
    (Scope::List, "G End", Action::Last),
    (Scope::List, "h Left", Action::Left),
    (Scope::List, "l Right", Action::Right),
    (Scope::List, "Enter", Action::Open),
    (Scope::Logs, "f", Action::Filter),
    (Scope::Logs, "/", Action::Search),
    (Scope::Logs, "n", Action::NextHit),
    (Scope::Logs, "N", Action::PreviousHit),
    (Scope::Logs, "t", Action::Trace),
    (Scope::Logs, "r", Action::FilterRequest),
    (Scope::Logs, "o", Action::NextSameRequest),
    (Scope::Logs, "O", Action::PreviousSameRequest),
    (Scope::Logs, "e", Action::NextError),
    (Scope::Logs, "E", Action::PreviousError),
    (Scope::Logs, "w", Action::NextWarning),
    (Scope::Logs, "W", Action::PreviousWarning),
    (Scope::Logs, "p", Action::Details),
    (Scope::Logs, "c", Action::ContextLines),
    (Scope::Logs, "Space", Action::Pause),
    (Scope::Logs, "F", Action::Follow),
    (Scope::Logs, "T", Action::GoToTime),
    (Scope::Logs, "i", Action::Histogram),
    (Scope::Logs, "z", Action::ZoomIn),
    (Scope::Logs, "Z", Action::ZoomOut),
    (Scope::Logs, "<", Action::RangeBack),
    (Scope::Logs, ">", Action::RangeForward),
    (Scope::Logs, "m", Action::Bookmark),
    (Scope::Logs, "u", Action::NextBookmark),
    (Scope::Logs, "U", Action::PreviousBookmark),
    (Scope::Logs, "y", Action::Copy),
    (Scope::Logs, "Y", Action::CopyNote),
    (Scope::Logs, "x", Action::ClearFilter),
    (Scope::Logs, "P", Action::Patterns),
    (Scope::Logs, "b", Action::SavedQueries),
    (Scope::Logs, "B", Action::SaveQuery),
    (Scope::Details, "f", Action::Filter),
    (Scope::Trace, "s", Action::NextGap),
    (Scope::Trace, "S", Action::PreviousGap),
    (Scope::Trace, "a", Action::AddTrace),
    (Scope::Trace, "/", Action::Search),
    (Scope::Trace, "n", Action::NextHit),
    (Scope::Trace, "N", Action::PreviousHit),
    (Scope::Trace, "y", Action::Copy),
    (Scope::Trace, "Y", Action::CopyNote),
    (Scope::Saved, "x Del", Action::RemoveQuery),
    (Scope::Dora, "d", Action::Window),
    (Scope::Dora, "x", Action::Explain),
    (Scope::Dora, "f", Action::Scope),
    (Scope::Dora, "t", Action::Trace),
    (Scope::Dora, "w", Action::WeeklyReview),
    (Scope::Dora, "y", Action::Copy),
    (Scope::Dora, "X", Action::Export),
    (Scope::Infra, "f", Action::SourceLogs),
    (Scope::Infra, "x", Action::Explain),
    (Scope::Pdca, "a", Action::New),
    (Scope::Pdca, "e", Action::Edit),
    (Scope::Pdca, "s", Action::Start),
    (Scope::Pdca, "c", Action::Check),
    (Scope::Pdca, "D", Action::Decide),
    (Scope::Global, "1", Action::GoDora),
    (Scope::Global, "2", Action::GoLogs),
    (Scope::Global, "3", Action::GoInfra),
    (Scope::Global, "4", Action::GoPdca),
    (Scope::Global, "Tab", Action::NextPanel),
    (Scope::Global, "Shift-Tab", Action::PreviousPanel),
    (Scope::Global, "Esc", Action::Back),
    (Scope::Global, "q", Action::Close),
    (Scope::Global, "[", Action::HistoryBack),
    (Scope::Global, "]", Action::HistoryForward),
    (Scope::Global, ":", Action::Palette),
    (Scope::Global, "?", Action::Help),
    (Scope::Global, "L", Action::Zone),
    (Scope::Global, "F5 Ctrl-r", Action::Reload),
    (Scope::Global, "F2", Action::Mouse),
    (Scope::Global, "Ctrl-l", Action::Redraw),
    (Scope::Global, "Ctrl-z", Action::Suspend),
    (Scope::Global, "Ctrl-c", Action::Interrupt),
];

/// Why `[console.keys]` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    #[error("`{name}` is not an action of the console{}", suggestion.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownAction {
        name: String,
        suggestion: Option<String>,
    },
    #[error("keys of `{action}`: {reason}")]
    BadKey { action: String, reason: String },
    #[error("`{key}` is bound to both `{first}` and `{second}`; give one of them another key")]
    Clash {
        key: String,
        first: &'static str,
        second: &'static str,
    },
}

/// The bindings in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    rows: Vec<(Scope, Vec<Key>, Action)>,
}

impl Keymap {
    /// The built-in table, changed by `overrides`: action name to keys separated by blanks; an
    /// empty text unbinds.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, KeymapError> {
        let mut rows = Vec::with_capacity(TABLE.len());
        for &(scope, keys, action) in TABLE {
            let keys = overrides.get(action.name()).map_or(keys, String::as_str);
            let keys: Result<_, String> = keys.split_whitespace().map(str::parse).collect();
            let keys = keys.map_err(|reason| KeymapError::BadKey {
                action: action.name().into(),
                reason,
            })?;
            rows.push((scope, keys, action));
        }
        for name in overrides.keys() {
            if Action::from_name(name).is_none() {
                let known = Action::ALL.iter().map(|action| action.name());
                let suggestion = suggest::nearest(name, known).map(str::to_owned);
                return Err(KeymapError::UnknownAction {
                    name: name.clone(),
                    suggestion,
                });
            }
        }
        let keymap = Self { rows };
        keymap.refuse_clashes()?;
        Ok(keymap)
    }

    fn refuse_clashes(&self) -> Result<(), KeymapError> {
        for (index, (scope, keys, action)) in self.rows.iter().enumerate() {
            for (other_scope, other_keys, other) in &self.rows[index + 1..] {
                if let Some(key) = keys
                    .iter()
                    .find(|key| other_keys.contains(key) && scope == other_scope)
                {
                    return Err(KeymapError::Clash {
                        key: key.to_string(),
                        first: action.name(),
                        second: other.name(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What the key means, asked from the innermost scope outwards.
    pub fn action(&self, scopes: &[Scope], key: Key) -> Option<Action> {
        scopes
            .iter()
            .chain(&[Scope::Global])
            .find_map(|scope| {
                self.rows
                    .iter()
                    .find(|(held, keys, _)| held == scope && keys.contains(&key))
            })
            .map(|(_, _, action)| *action)
    }

    /// The first key of an action in these scopes, for hints.
    pub fn key_of(&self, scopes: &[Scope], action: Action) -> Option<Key> {
        scopes
            .iter()
            .chain(&[Scope::Global])
            .find_map(|scope| {
                self.rows
                    .iter()
                    .find(|(held, _, bound)| held == scope && *bound == action)
            })
            .and_then(|(_, keys, _)| keys.first().copied())
    }

    /// The help of a screen: for each scope, its bindings in the order of the table. A binding that
    /// an inner scope hides is left out.
    pub fn help(&self, scopes: &[Scope]) -> Vec<(Scope, Vec<(String, Action)>)> {
        let mut seen: Vec<Key> = Vec::new();
        let mut sections = Vec::new();
        for scope in scopes.iter().chain(&[Scope::Global]) {
            let mut lines = Vec::new();
            for (_, keys, action) in self.rows.iter().filter(|(held, _, _)| held == scope) {
                let open: Vec<Key> = keys
                    .iter()
                    .copied()
                    .filter(|key| !seen.contains(key))
                    .collect();
                if !open.is_empty() {
                    let names: Vec<String> = open.iter().map(Key::to_string).collect();
                    lines.push((names.join(" "), *action));
                }
                seen.extend(open);
            }
            if !lines.is_empty() {
                sections.push((*scope, lines));
            }
        }
        sections
    }

    /// Every action that a key of these scopes reaches, for the palette.
    pub fn actions(&self, scopes: &[Scope]) -> Vec<(String, Action)> {
        self.help(scopes)
            .into_iter()
            .flat_map(|(_, lines)| lines)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn built_in() -> Keymap {
        Keymap::new(&BTreeMap::new()).unwrap()
    }

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn keys_print_as_they_are_read() {
        for (_, keys, _) in TABLE {
            for text in keys.split(' ') {
                assert_eq!(key(text).to_string(), text);
            }
        }
    }

    #[test]
    fn no_destructive_surprise_on_the_vim_keys() {
        let map = built_in();
        let logs = [Scope::Logs, Scope::List];
        for (text, action) in [
            ("Ctrl-d", Action::HalfPageDown),
            ("G", Action::Last),
            ("g", Action::First),
            ("/", Action::Search),
            ("f", Action::Filter),
            ("Esc", Action::Back),
            ("q", Action::Close),
            ("2", Action::GoLogs),
        ] {
            assert_eq!(map.action(&logs, key(text)), Some(action), "{text}");
        }
        assert_eq!(map.action(&[Scope::Dora], key("e")), None);
    }

    #[test]
    fn remapping_changes_dispatch_hint_and_help() {
        let overrides = BTreeMap::from([("next_error".to_owned(), "F8".to_owned())]);
        let map = Keymap::new(&overrides).unwrap();
        assert_eq!(map.action(&[Scope::Logs], key("e")), None);
        assert_eq!(
            map.action(&[Scope::Logs], key("F8")),
            Some(Action::NextError)
        );
        assert_eq!(
            map.key_of(&[Scope::Logs], Action::NextError),
            Some(key("F8"))
        );
        assert!(
            map.help(&[Scope::Logs])[0]
                .1
                .contains(&("F8".to_owned(), Action::NextError))
        );
    }

    #[test]
    fn wrong_overrides_say_what_is_wrong() {
        let error = |name: &str, keys: &str| {
            Keymap::new(&BTreeMap::from([(name.to_owned(), keys.to_owned())]))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("next_eror", "e"),
            "`next_eror` is not an action of the console; did you mean `next_error`?"
        );
        assert!(error("next_error", "Hyper-x").contains("`Hyper-x` is not a key"));
        assert_eq!(
            error("next_error", "f"),
            "`f` is bound to both `filter` and `next_error`; give one of them another key"
        );
    }
}
