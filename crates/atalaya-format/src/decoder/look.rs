//! What is looked at in a text once, whoever asks.

use std::cell::OnceCell;

use super::super::time::{self, Found};
use super::super::{Signs, TimeHint, level};

/// A text, and what was found of it so far.
#[derive(Debug)]
pub struct Look<'t> {
    pub text: &'t str,
    signs: OnceCell<Signs>,
    stamp: OnceCell<Option<Found<'t>>>,
}

impl<'t> Look<'t> {
    pub const fn at(text: &'t str) -> Self {
        Self {
            text,
            signs: OnceCell::new(),
            stamp: OnceCell::new(),
        }
    }

    /// The same without the blanks in front.
    pub fn trimmed(&self) -> Self {
        Self::at(self.text.trim_ascii_start())
    }

    pub fn signs(&self) -> Signs {
        *self.signs.get_or_init(|| Signs::of(self.text))
    }

    /// The stamp of the record that it may begin. Whether there is one does not depend on the hint.
    pub fn stamp(&self, hint: &TimeHint) -> Option<Found<'t>> {
        *self.stamp.get_or_init(|| time::find(self.text, hint))
    }

    /// Whether it has a stamp or a level of its own: it never belongs to the record before it.
    pub fn begins_own(&self, hint: &TimeHint) -> bool {
        self.stamp(hint).is_some() || level::at_start(self.text).is_some()
    }
}
