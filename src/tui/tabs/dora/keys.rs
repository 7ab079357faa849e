//! Keys of the DORA tab, and what only it does.

use crate::tui::action::{Action, own};
use crate::tui::keymap::{Binding, Scope};

pub(super) const DORA: Scope = Scope::new("DORA");

pub(super) const WINDOW: Action = own("window", "next window (7, 30, 90 days)", "days");
pub(super) const LAST: Action = own("last_window", "last window with deployments", "last");
pub(super) const SYNC: Action = own("sync", "read this folder's repository", "sync");
pub(super) const WEEKLY_REVIEW: Action = own("weekly_review", "weekly review", "week");
pub(super) const SCOPE: Action = own("scope", "team, service and environment", "scope");
pub(super) const EXPORT: Action = own("export", "write the report as Markdown", "export");

pub(super) const KEYS: &[Binding] = &[
    (DORA, "d", WINDOW),
    (DORA, "D", LAST),
    (DORA, "S", SYNC),
    (DORA, "x", Action::Explain),
    (DORA, "f", SCOPE),
    (DORA, "t", Action::Trace),
    (DORA, "w", WEEKLY_REVIEW),
    (DORA, "y", Action::Copy),
    (DORA, "X", EXPORT),
];
