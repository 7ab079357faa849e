//! One tab more, made of one struct and one row: everything else follows.

use std::sync::LazyLock;

use super::*;
use crate::tui::action::own;
use crate::tui::ask::{self, Command};
use crate::tui::keymap::{Binding, Scope};
use crate::tui::registry::Registered;
use crate::tui::tab::{NoWork, Screen, Tab, TabEvent, TabStatus};
use crate::tui::theme::Role;

const BELLS: Scope = Scope::new("Bells");
const RING: Action = own("ring", "ring the bell", "ring");

/// Counts how often it was rung.
#[derive(Debug)]
struct BellsTab {
    rung: u64,
}

impl Screen for BellsTab {
    fn scopes(&self) -> &'static [Scope] {
        &[BELLS]
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        let text = format!("rung {} times", self.rung);
        crate::tui::widgets::empty::render(area, buffer, context.theme, &text, &[]);
    }

    fn status(&self, _context: &Context<'_>) -> TabStatus {
        TabStatus {
            pieces: vec![(Role::Text, "all is quiet".to_owned())],
            hints: vec![RING],
            ..TabStatus::default()
        }
    }

    fn at_top(&self) -> bool {
        true
    }
}

impl Tab for BellsTab {
    const ID: TabId = TabId::new("bells", "Bells");
    const KEYS: &'static [Binding] = &[(BELLS, "b", RING)];
    const COMMANDS: &'static [Command] = &[Command {
        name: "toll",
        argument: "TIMES",
        help: "ring so often",
        prefixes: &[],
    }];

    type Work = NoWork;
    type Saved = u64;

    fn open(_configured: &Configured, rung: u64) -> Self {
        Self { rung }
    }

    fn saved(&self) -> u64 {
        self.rung
    }

    fn update(&mut self, event: TabEvent, _context: &Context<'_>) -> Vec<ask::Effect<NoWork>> {
        match event {
            TabEvent::Action(RING) => self.rung += 1,
            TabEvent::Command {
                name: "toll",
                argument,
            } => self.rung += argument.parse::<u64>().unwrap(),
            _ => {}
        }
        Vec::new()
    }

    fn answered(&mut self, answer: NoWork, _context: &Context<'_>) -> Vec<ask::Effect<NoWork>> {
        match answer {}
    }
}

static ONE_MORE: LazyLock<Vec<Registered>> = LazyLock::new(|| {
    let row = Registered::new::<BellsTab>();
    TABS.iter().copied().chain([row]).collect()
});

fn with_bells(saved: &Saved) -> Stage {
    let mut stage = large();
    let setup = Setup {
        tabs: TabSetup {
            registered: &ONE_MORE,
            ..tab_setup()
        },
        keymap: keymap(&ONE_MORE, &BTreeMap::new()).unwrap(),
        ..stage.app.setup
    };
    stage.app = App::new(setup, saved);
    stage.settle();
    stage
}

#[test]
fn its_digit_header_help_palette_and_state_follow_from_its_row() {
    let mut stage = with_bells(&Saved::default());
    stage.keys("6");
    assert_eq!(stage.app.active(), BellsTab::ID);
    let screen = stage.screen();
    for text in [" 6 Bells ", "rung 0 times", "all is quiet", "b ring"] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
    stage.keys("b");
    assert!(stage.screen().contains("rung 1 times"));
    stage.keys("?");
    let help = stage.screen();
    assert!(
        help.contains("ring the bell") && help.contains("Bells tab"),
        "{help}"
    );
    stage.keys("\x1b2:bells\r:toll 3\r");
    assert!(stage.screen().contains("rung 4 times"));
    // From another tab its command goes there, and Esc back.
    stage.keys("3:toll 1\r");
    assert!(stage.screen().contains("rung 5 times"));
    stage.keys("\x1b");
    assert_eq!(stage.app.active(), INFRA);
    stage.keys("6");

    let saved = stage.app.saved();
    assert_eq!(saved.tab.as_deref(), Some("bells"));
    let text = serde_json::to_string(&saved).unwrap();
    let mut again = with_bells(&serde_json::from_str(&text).unwrap());
    assert!(again.screen().contains("rung 5 times"));
}

#[test]
fn its_keys_can_be_changed() {
    let overrides = BTreeMap::from([
        ("ring".to_owned(), "F9".to_owned()),
        ("tab_bells".to_owned(), "F8".to_owned()),
    ]);
    let map = keymap(&ONE_MORE, &overrides).unwrap();
    let key = |text: &str| text.parse().unwrap();
    assert_eq!(map.action(&[BELLS], key("F9")), Some(RING));
    assert_eq!(
        map.action(&[BELLS], key("F8")),
        Some(Action::Tab(BellsTab::ID))
    );
}
