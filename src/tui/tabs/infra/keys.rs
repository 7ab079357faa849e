//! Keys of the Infra tab, and what only it does.

use crate::tui::action::{Action, own};
use crate::tui::keymap::{Binding, Scope};

pub(super) const INFRA: Scope = Scope::new("Infra");

pub(super) const SOURCE_LOGS: Action =
    own("source_logs", "the log records of this file", "its logs");

pub(super) const HISTORY: Action = own(
    "measures",
    "the measures over time; again: over a longer time",
    "history",
);
pub(super) const RUN: Action = own("run_job", "run the chosen job now", "run job");

pub(super) const KEYS: &[Binding] = &[
    (INFRA, "f", SOURCE_LOGS),
    (INFRA, "x", Action::Explain),
    (INFRA, "H", HISTORY),
    (INFRA, "R", RUN),
];
