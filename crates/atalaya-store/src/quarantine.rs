//! The dead-letter queue: where records go that a server store can never take, set aside with the
//! reason, so that the rest goes on and nothing is lost. The one there is lies in the spool's
//! directory (`atalaya_ingest::spool::quarantine`).

use std::fmt::Debug;

use atalaya_domain::record::Record;

use super::error::StoreError;

pub trait Quarantine: Debug + Send + Sync {
    /// Keeps the record and the reason; both are durable when it returns. The same record again is
    /// kept once. Blocks.
    fn keep(&self, record: &Record, reason: &str) -> Result<(), StoreError>;
}
