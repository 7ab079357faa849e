//! The filter of the list, those before it, and those that have a name.

use std::collections::BTreeMap;

use super::saved::{MAX_FILTERS, MAX_QUERIES, SavedLogs};
use atalaya_query::Query;

#[derive(Debug)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    pub query: Query,
    /// Earlier ones, newest first.
    pub earlier: Vec<String>,
    /// By name.
    pub named: BTreeMap<String, String>,
}

impl Filter {
    /// The text is read when there is a clock to read it against.
    pub fn new(saved: &SavedLogs) -> Self {
        Self {
            text: saved.filter.clone(),
            query: Query::everything(),
            earlier: saved.filters.iter().take(MAX_FILTERS).cloned().collect(),
            named: saved.queries.iter().take(MAX_QUERIES).cloned().collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes another filter and remembers it.
    pub fn update(&mut self, text: String, query: Query) {
        if !text.is_empty() {
            self.earlier.retain(|known| *known != text);
            self.earlier.insert(0, text.clone());
            self.earlier.truncate(MAX_FILTERS);
        }
        self.text = text;
        self.query = query;
    }
}
