//! Keys of the Alerts tab, and what only it does.

use crate::tui::action::{Action, own};
use crate::tui::keymap::{Binding, Scope};

pub(super) const ALERTS: Scope = Scope::new("Alerts");

pub(super) const ACKNOWLEDGE: Action = own("acknowledge", "acknowledge: no more reminders", "ack");
pub(super) const UNTIL_WORSE: Action = own(
    "acknowledge_until_worse",
    "acknowledge until it is worse than now",
    "until worse",
);
pub(super) const DEPLOYMENT: Action =
    own("last_deployment", "the deployment before it", "deployment");
pub(super) const SILENCE: Action = own("silence", "silence the rule for a while", "silence");

pub(super) const KEYS: &[Binding] = &[
    (ALERTS, "a", ACKNOWLEDGE),
    (ALERTS, "A", UNTIL_WORSE),
    (ALERTS, "s", SILENCE),
    (ALERTS, "t", Action::Trace),
    (ALERTS, "d", DEPLOYMENT),
    (ALERTS, "x", Action::Explain),
];
