//! Keys of the PDCA tab, and what only it does.

use crate::tui::action::{Action, own};
use crate::tui::keymap::{Binding, Scope};

pub(super) const PDCA: Scope = Scope::new("PDCA");

pub(super) const NEW: Action = own("new", "new cycle", "new");
pub(super) const EDIT: Action = own("edit", "edit the text", "edit");
pub(super) const START: Action = own("start", "start the cycle", "start");
pub(super) const CHECK: Action = own("check", "check the cycle", "check");
pub(super) const DECIDE: Action = own(
    "decide",
    "decide: apply, revert, continue, escalate",
    "decide",
);

pub(super) const KEYS: &[Binding] = &[
    (PDCA, "a", NEW),
    (PDCA, "e", EDIT),
    (PDCA, "s", START),
    (PDCA, "c", CHECK),
    (PDCA, "D", DECIDE),
    (PDCA, "t", Action::Trace),
];
