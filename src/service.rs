//! Use cases, one file each; the only code that joins the stores.

pub mod adopt;
pub mod advice;
pub mod alerts;
pub mod backup;
pub mod care;
pub mod compliance;
pub mod copy;
pub mod database;
pub mod demo;
pub mod dora;
pub mod ecosystem;
pub mod follower_state;
pub mod health;
pub mod health_history;
pub mod ingest;
pub mod jobs;
pub mod logs;
pub mod pdca;
pub mod pdca_engine;
pub mod pipeline;
pub mod quarantine;
pub mod reload;
pub mod reports;
pub mod retention;
pub mod stores;
pub mod tokens;
pub mod trace;
pub mod track;

use std::sync::Arc;

use atalaya_store::engine::LogEngine;
use atalaya_store::metrics::MetricsStore;

pub use advice::describe;
pub use stores::{
    attach_stores, attach_to_ingest, check_stores, close_stores, open_metrics, open_to_ingest,
    try_stores,
};

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
