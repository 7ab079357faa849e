//! The record of a server inside of the record of its operator: `CloudNativePG` writes PostgreSQL's
//! as `{"level":"info","logger":"postgres","msg":"record","record":{"error_severity":…}}`.
//!
//! Source: <https://cloudnative-pg.io/documentation/current/logging/>.

use std::borrow::Cow;

use super::Fields;
use super::levels::Scale;
use super::names::{Note, Slot};
use super::stamps::whole_stamp;
use crate::postgresql::level_of;

/// PostgreSQL's own names of columns, and those of our metadata.
const RENAMED: [(&str, &str); 3] = [
    ("process_id", "pid"),
    ("user_name", "user"),
    ("database_name", "dbname"),
];

impl Fields<'_, '_> {
    /// Puts the inner record into the fields; what the operator said stays in the metadata.
    pub(super) fn unwrap_operator(&mut self) {
        let Some(severity) = self.noted_at(Note::Severity) else {
            return;
        };
        let Some(prefix) = self
            .out
            .metadata
            .get(severity)
            .and_then(|(name, _)| name.strip_suffix("error_severity"))
            .map(str::to_owned)
        else {
            return;
        };
        if let Some(word) = self
            .out
            .metadata
            .get(severity)
            .map(|(_, text)| level_of(text))
        {
            self.out.level = word;
            self.promote(Slot::Level(Scale::Usual), severity);
        }
        if let Some(at) = self.find(&prefix, "message") {
            self.promote(Slot::Message, at);
        }
        if let Some(at) = self.find(&prefix, "log_time")
            && let Some((_, text)) = self.out.metadata.get(at)
            && let Some(instant) = whole_stamp(text, self.hint)
        {
            self.instant = Some(instant);
            self.promote(Slot::Time, at);
        }
        if let Some(at) = self.find(&prefix, "session_id")
            && self.held[Slot::Session.index()].is_none()
        {
            self.promote(Slot::Session, at);
        }
        for (theirs, ours) in RENAMED {
            if let Some(at) = self.find(&prefix, theirs)
                && !self.out.metadata.iter().any(|(name, _)| name == ours)
                && let Some((name, _)) = self.out.metadata.get_mut(at)
            {
                *name = Cow::Borrowed(ours);
            }
        }
    }

    fn find(&self, prefix: &str, name: &str) -> Option<usize> {
        self.out
            .metadata
            .iter()
            .position(|(known, _)| known.strip_prefix(prefix) == Some(name))
    }

    /// Gives a field the value of the metadata at `index`, and the metadata what the field had.
    fn promote(&mut self, slot: Slot, index: usize) {
        let (name, text) = self.remove(index);
        self.hold(slot, 0, name, text);
    }
}
