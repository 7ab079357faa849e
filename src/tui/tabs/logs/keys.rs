//! Keys and commands of the Logs tab.

use crate::tui::action::Action;
use crate::tui::ask::Command;
use crate::tui::keymap::{Binding, Scope};

pub(super) const LOGS: Scope = Scope::new("Logs");
pub(super) const DETAILS: Scope = Scope::new("Details");
pub(super) const CONTEXT: Scope = Scope::new("Context");
pub(super) const TRACE: Scope = Scope::new("Trace");
pub(super) const SAVED: Scope = Scope::new("Saved queries");

pub(super) const KEYS: &[Binding] = &[
    (LOGS, "f", Action::Filter),
    (LOGS, "/", Action::Search),
    (LOGS, "n", Action::NextHit),
    (LOGS, "N", Action::PreviousHit),
    (LOGS, "t", Action::Trace),
    (LOGS, "r", Action::FilterRequest),
    (LOGS, "o", Action::NextSameRequest),
    (LOGS, "O", Action::PreviousSameRequest),
    (LOGS, "e", Action::NextError),
    (LOGS, "E", Action::PreviousError),
    (LOGS, "w", Action::NextWarning),
    (LOGS, "W", Action::PreviousWarning),
    (LOGS, "p", Action::Details),
    (LOGS, "c", Action::ContextLines),
    (LOGS, "Space", Action::Pause),
    (LOGS, "F", Action::Follow),
    (LOGS, "T", Action::GoToTime),
    (LOGS, "i", Action::Histogram),
    (LOGS, "z", Action::ZoomIn),
    (LOGS, "Z", Action::ZoomOut),
    (LOGS, "<", Action::RangeBack),
    (LOGS, ">", Action::RangeForward),
    (LOGS, "m", Action::Bookmark),
    (LOGS, "u", Action::NextBookmark),
    (LOGS, "U", Action::PreviousBookmark),
    (LOGS, "y", Action::Copy),
    (LOGS, "Y", Action::CopyNote),
    (LOGS, "x", Action::ClearFilter),
    (LOGS, "P", Action::Patterns),
    (LOGS, "b", Action::SavedQueries),
    (LOGS, "B", Action::SaveQuery),
    (DETAILS, "f", Action::Filter),
    (TRACE, "s", Action::NextGap),
    (TRACE, "S", Action::PreviousGap),
    (TRACE, "a", Action::AddTrace),
    (TRACE, "/", Action::Search),
    (TRACE, "n", Action::NextHit),
    (TRACE, "N", Action::PreviousHit),
    (TRACE, "y", Action::Copy),
    (TRACE, "Y", Action::CopyNote),
    (SAVED, "x Del", Action::RemoveQuery),
];

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: GO_TO,
        argument: "14:32",
        help: "go to a time: 14:32, 2026-03-02T10:20, -30m, +5m",
        prefixes: &['-', '+'],
    },
    Command {
        name: REQUEST,
        argument: "ID",
        help: "trace of a request id; several, separated by blanks",
        prefixes: &[],
    },
    Command {
        name: FILTER,
        argument: "QUERY",
        help: "filter the logs",
        prefixes: &[],
    },
    Command {
        name: SAVE,
        argument: "NAME",
        help: "save the filter of the logs under a name",
        prefixes: &[],
    },
    Command {
        name: WRITE,
        argument: "FILE",
        help: "write the loaded records to a file",
        prefixes: &[],
    },
];

pub(super) const GO_TO: &str = "goto";
pub(super) const REQUEST: &str = "req";
pub(super) const FILTER: &str = "filter";
pub(super) const SAVE: &str = "save";
pub(super) const WRITE: &str = "w";
