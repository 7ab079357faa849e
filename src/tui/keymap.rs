//! Key -> [`Action`], per scope. The rows below hold everywhere, those of a tab are its own
//! (`Tab::KEYS`); together they are the whole truth: dispatch, key hints, help and palette all read
//! them, and `[console.keys]` changes them by action name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use atalaya_query::suggest;

use super::action::Action;

/// Where a binding holds, by the title that help gives it. A screen asks its scopes from the
/// innermost to [`Scope::GLOBAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(&'static str);

impl Scope {
    pub const GLOBAL: Self = Self("Everywhere");
    /// Anything that scrolls or has a cursor.
    pub const LIST: Self = Self("Moving");

    /// A scope of a tab; `title` is unlike that of any other scope.
    pub const fn new(title: &'static str) -> Self {
        Self(title)
    }

    pub const fn title(self) -> &'static str {
        self.0
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

/// A row of the key table: scope, keys separated by blanks (none: reached by `:` and by what the
/// configuration binds), action.
pub type Binding = (Scope, &'static str, Action);

/// In the order of help: what people look for first comes first.
const MOVING: &[Binding] = &[
    (Scope::LIST, "j Down", Action::Down),
    (Scope::LIST, "k Up", Action::Up),
    (Scope::LIST, "Ctrl-d", Action::HalfPageDown),
    (Scope::LIST, "Ctrl-u", Action::HalfPageUp),
    (Scope::LIST, "PgDn Ctrl-f", Action::PageDown),
    (Scope::LIST, "PgUp Ctrl-b", Action::PageUp),
    (Scope::LIST, "g Home", Action::First),
    (Scope::LIST, "G End", Action::Last),
    (Scope::LIST, "h Left", Action::Left),
    (Scope::LIST, "l Right", Action::Right),
    (Scope::LIST, "Enter", Action::Open),
];

const EVERYWHERE: &[Binding] = &[
    (Scope::GLOBAL, "Tab", Action::NextPanel),
    (Scope::GLOBAL, "Shift-Tab", Action::PreviousPanel),
    (Scope::GLOBAL, "Esc", Action::Back),
    (Scope::GLOBAL, "q", Action::Close),
    (Scope::GLOBAL, "[", Action::HistoryBack),
    (Scope::GLOBAL, "]", Action::HistoryForward),
    (Scope::GLOBAL, ":", Action::Palette),
    (Scope::GLOBAL, "?", Action::Help),
    (Scope::GLOBAL, "L", Action::Zone),
    (Scope::GLOBAL, "F5 Ctrl-r", Action::Reload),
    (Scope::GLOBAL, "F2", Action::Mouse),
    (Scope::GLOBAL, "Ctrl-l", Action::Redraw),
    (Scope::GLOBAL, "Ctrl-z", Action::Suspend),
    (Scope::GLOBAL, "Ctrl-c", Action::Interrupt),
    // Without keys of their own: for those who want them under one.
    (Scope::GLOBAL, "", Action::Quit),
    (Scope::GLOBAL, "", Action::NextTheme),
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
        first: String,
        second: String,
    },
}

/// The bindings in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    rows: Vec<(Scope, Vec<Key>, Action)>,
}

impl Keymap {
    /// The rows of the tabs and those that hold everywhere, changed by `overrides`: action name to
    /// keys separated by blanks; an empty text unbinds.
    pub fn new(
        tabs: impl IntoIterator<Item = Binding>,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, KeymapError> {
        let mut rows = Vec::new();
        let (moving, everywhere) = (MOVING.iter().copied(), EVERYWHERE.iter().copied());
        for (scope, keys, action) in moving.chain(tabs).chain(everywhere) {
            let keys = overrides.get(&*action.name()).map_or(keys, String::as_str);
            let keys: Result<_, String> = keys.split_whitespace().map(str::parse).collect();
            let keys = keys.map_err(|reason| KeymapError::BadKey {
                action: action.name().into_owned(),
                reason,
            })?;
            rows.push((scope, keys, action));
        }
        let keymap = Self { rows };
        for name in overrides.keys() {
            keymap.refuse_unknown(name)?;
        }
        keymap.refuse_clashes()?;
        Ok(keymap)
    }

    fn refuse_unknown(&self, name: &str) -> Result<(), KeymapError> {
        let known: Vec<_> = self.rows.iter().map(|row| row.2.name()).collect();
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        let suggestion = suggest::nearest(name, known.iter().map(AsRef::as_ref)).map(str::to_owned);
        Err(KeymapError::UnknownAction {
            name: name.to_owned(),
            suggestion,
        })
    }

    /// Every scope that has a row.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::new();
        for (scope, _, _) in &self.rows {
            if !scopes.contains(scope) {
                scopes.push(*scope);
            }
        }
        scopes
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
                        first: action.name().into_owned(),
                        second: other.name().into_owned(),
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
            .chain(&[Scope::GLOBAL])
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
            .chain(&[Scope::GLOBAL])
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
        for scope in scopes.iter().chain(&[Scope::GLOBAL]) {
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

    /// The actions of these scopes that no key reaches, for the palette.
    pub fn unbound(&self, scopes: &[Scope]) -> Vec<Action> {
        let held = |scope: &Scope| scopes.iter().chain(&[Scope::GLOBAL]).any(|of| of == scope);
        self.rows
            .iter()
            .filter(|(scope, keys, _)| keys.is_empty() && held(scope))
            .map(|(_, _, action)| *action)
            .collect()
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

    const LOGS: Scope = Scope::new("Logs");
    const ROWS: &[Binding] = &[(LOGS, "f", Action::Filter), (LOGS, "e", Action::NextError)];

    fn with(overrides: &[(&str, &str)]) -> Result<Keymap, KeymapError> {
        let owned = |(name, keys): &(&str, &str)| ((*name).to_owned(), (*keys).to_owned());
        Keymap::new(ROWS.iter().copied(), &overrides.iter().map(owned).collect())
    }

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn keys_print_as_they_are_read() {
        for (_, keys, _) in MOVING.iter().chain(EVERYWHERE) {
            for text in keys.split_whitespace() {
                assert_eq!(key(text).to_string(), text);
            }
        }
    }

    #[test]
    fn remapping_changes_dispatch_hint_and_help() {
        let map = with(&[("next_error", "F8")]).unwrap();
        assert_eq!(map.action(&[LOGS], key("e")), None);
        assert_eq!(map.action(&[LOGS], key("F8")), Some(Action::NextError));
        assert_eq!(map.key_of(&[LOGS], Action::NextError), Some(key("F8")));
        assert!(
            map.help(&[LOGS])[0]
                .1
                .contains(&("F8".to_owned(), Action::NextError))
        );
    }

    #[test]
    fn wrong_overrides_say_what_is_wrong() {
        let error = |name: &str, keys: &str| with(&[(name, keys)]).unwrap_err().to_string();
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

    #[test]
    fn what_has_no_key_is_known_and_can_be_bound() {
        assert!(
            with(&[])
                .unwrap()
                .unbound(&[LOGS])
                .contains(&Action::NextTheme)
        );
        let map = with(&[("next_theme", "F9"), ("filter", "")]).unwrap();
        assert_eq!(map.action(&[LOGS], key("F9")), Some(Action::NextTheme));
        assert_eq!(map.unbound(&[LOGS]), [Action::Filter, Action::Quit]);
    }
}
