//! What the Logs tab remembers between runs.

use serde::{Deserialize, Serialize};

/// More than anyone sets by hand; keeps the file small.
pub const MAX_BOOKMARKS: usize = 500;
pub const MAX_FILTERS: usize = 50;
pub const MAX_QUERIES: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedLogs {
    pub filter: String,
    /// Earlier filters, newest first.
    pub filters: Vec<String>,
    /// Name and query, in the order of the names.
    pub queries: Vec<(String, String)>,
    /// Record ids with the time they are at, in microseconds.
    pub bookmarks: Vec<(String, i64)>,
    pub histogram: Option<String>,
}
