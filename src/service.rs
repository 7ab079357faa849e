//! Use cases, one file each; the only code that joins the stores.

pub mod demo;
pub mod dora;
pub mod health;

use std::sync::Arc;

use crate::config::Settings;
use crate::store::engine::LogEngine;
use crate::store::error::{Backend, StoreError};
use crate::store::metrics::MetricsStore;

/// The opened stores, as every use case takes them.
#[derive(Clone)]
pub struct Stores {
    pub logs: LogEngine,
    pub metrics: Arc<dyn MetricsStore>,
}

/// One thing that was tried, and what went wrong with it.
#[derive(Debug)]
pub struct Finding {
    pub what: String,
    pub problem: Option<String>,
}

/// Opens the configured stores, creating embedded ones that do not exist yet.
pub async fn open_stores(settings: &Settings) -> Result<Stores, StoreError> {
    Err(StoreError::NotWritable {
        backend: Backend::Sqlite,
        address: settings.data_dir.display().to_string(),
        reason: "this build has no store yet".to_owned(),
    })
}

/// Opens every store and says which answer.
pub async fn check_stores(settings: &Settings) -> Vec<Finding> {
    let problem = open_stores(settings).await.err().map(|error| error.to_string());
    vec![Finding { what: "stores".to_owned(), problem }]
}
