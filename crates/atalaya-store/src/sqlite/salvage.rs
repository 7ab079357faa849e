//! Takes what can be read out of a damaged file into a new one, page by page and without SQLite,
//! which gives up at the first damaged page.
//!
//! Promises: the damaged file is only read; what is written was verified, by a checksum (chunks) or
//! by its second copy (rows, `mirror.rs`); what could not be taken is listed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::damage::Damages;

mod cells;
pub mod logs;
pub mod metrics;
mod pages;
#[cfg(test)]
mod tests;

pub(super) use pages::Pages;

/// What a repair took over, and what it could not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Salvaged {
    /// By table: chunks, records, marks; rows.
    pub kept: BTreeMap<String, u64>,
    pub lost: Damages,
    /// What is worth knowing although nothing was lost by it.
    pub notes: Vec<String>,
}
