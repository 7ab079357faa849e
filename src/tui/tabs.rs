//! The tabs, and the one list of them. How to build one: [`super::tab`].

pub mod alerts;
pub mod dora;
pub mod infra;
pub mod logs;
pub mod outage;
pub mod pdca;
pub mod refresh;

use super::ask::TabId;
use super::registry::Registered;
use super::tab::Tab as _;

/// The tabs, in the order of their digits.
pub const TABS: &[Registered] = &[
    Registered::new::<dora::DoraTab>(),
    Registered::new::<logs::LogsTab>(),
    Registered::new::<infra::InfraTab>(),
    Registered::new::<pdca::PdcaTab>(),
    Registered::new::<alerts::AlertsTab>(),
];

/// What is on the screen at the very first start.
pub const FIRST: TabId = logs::LogsTab::ID;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::tui::action::Action;
    use crate::tui::keymap::{Key, Scope};
    use crate::tui::registry::keymap;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    /// What the list of the tabs is for: no other file would have to change with it.
    #[test]
    fn nothing_else_of_the_console_names_a_tab() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui");
        let mut folders = vec![root.clone()];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let inside = path.strip_prefix(&root).unwrap();
                let of_tabs = inside.starts_with("tabs") || inside.starts_with("tabs.rs");
                if of_tabs || inside.components().any(|part| part.as_os_str() == "tests") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.extension().is_none_or(|kind| kind != "rs") || path.ends_with("tests.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                read += 1;
                for tab in TABS {
                    let module = format!("tabs::{}", tab.id.name());
                    assert!(!text.contains(&module), "{} names {module}", path.display());
                }
            }
        }
        assert!(read > 20, "the sources were not found");
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = TABS.iter().map(|tab| tab.id.name()).collect();
        assert_eq!(names.len(), TABS.len());
        let commands: Vec<&str> = TABS
            .iter()
            .flat_map(|tab| tab.commands.iter().map(|command| command.name))
            .collect();
        assert_eq!(
            commands.iter().collect::<BTreeSet<_>>().len(),
            commands.len()
        );
    }

    #[test]
    fn no_destructive_surprise_on_the_vim_keys() {
        let map = keymap(TABS, &BTreeMap::new()).unwrap();
        let logs = [Scope::new("Logs"), Scope::LIST];
        for (text, action) in [
            ("Ctrl-d", Action::HalfPageDown),
            ("G", Action::Last),
            ("g", Action::First),
            ("/", Action::Search),
            ("f", Action::Filter),
            ("Esc", Action::Back),
            ("q", Action::Close),
            ("2", Action::Tab(FIRST)),
        ] {
            assert_eq!(map.action(&logs, key(text)), Some(action), "{text}");
        }
        assert_eq!(map.action(&[Scope::new("DORA")], key("e")), None);
    }

    #[test]
    fn every_action_can_be_bound() {
        let tabs = TABS.iter().map(|tab| Action::Tab(tab.id));
        let keys = TABS.iter().flat_map(|tab| tab.keys);
        let own = keys.map(|(_, _, action)| *action);
        for action in Action::SHARED.iter().copied().chain(tabs).chain(own) {
            let overrides = BTreeMap::from([(action.name().into_owned(), "F9".to_owned())]);
            let map = keymap(TABS, &overrides).unwrap();
            // By its name and no other: two of one name would both be bound.
            let bound = |scope| match map.action(&[scope], key("F9")) {
                Some(bound) => {
                    assert_eq!(bound, action);
                    true
                }
                None => false,
            };
            assert!(map.scopes().into_iter().any(bound), "{}", action.name());
        }
    }
}
