//! The neighbours of one record, without the filter.

use super::rows::Rows;
use crate::tui::ask::Question;
use atalaya_domain::record::Record;

#[derive(Debug)]
pub struct Around {
    pub anchor: Box<Record>,
    pub rows: Rows,
    /// Answers to others are dropped.
    pub question: Question,
    /// Why they could not be read.
    pub failed: Option<String>,
}

impl Around {
    pub fn new(anchor: Box<Record>, question: Question) -> Self {
        Self {
            anchor,
            rows: Rows::default(),
            question,
            failed: None,
        }
    }

    /// Takes what was read; the record that it is about is in the middle.
    pub fn update(&mut self, result: Result<Vec<Record>, String>, height: usize) {
        match result {
            Ok(records) => {
                self.rows.clear();
                self.rows.merge(records);
                let (id, at) = (self.anchor.id(), self.anchor.entry.timestamp);
                let known = self.rows.position(id, at);
                let index = known.unwrap_or_else(|| self.rows.nearest(at));
                self.rows.set_focus(index, height);
                self.rows.center(height);
            }
            Err(reason) => self.failed = Some(reason),
        }
    }
}
