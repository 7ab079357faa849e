//! Use cases, one file each; the only code that joins the stores.

use std::sync::Arc;

use crate::store::engine::LogEngine;
use crate::store::metrics::MetricsStore;

/// The opened stores, as every use case takes them.
#[derive(Clone)]
pub struct Stores {
    pub logs: LogEngine,
    pub metrics: Arc<dyn MetricsStore>,
}
