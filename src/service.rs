//! Use cases, one file each; the only code that joins the stores.

pub mod demo;
pub mod dora;
pub mod health;
pub mod ingest;
pub mod logs;
pub mod pdca;
pub mod trace;
pub mod track;

use std::path::Path;
use std::sync::Arc;

use crate::config::Settings;
use crate::store::engine::LogEngine;
use crate::store::error::StoreError;
use crate::store::metrics::MetricsStore;
use crate::store::sqlite::chunks::SqliteChunkStore;
use crate::store::sqlite::metrics::SqliteMetricsStore;

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
    Ok(Stores {
        logs: open_logs(&settings.logs_database()).await?,
        metrics: open_metrics(&settings.metrics_database()).await?,
    })
}

async fn open_logs(path: &Path) -> Result<LogEngine, StoreError> {
    Ok(LogEngine::new(Arc::new(SqliteChunkStore::open(path).await?)))
}

/// Only the metrics store, for commands that need no logs.
pub async fn open_metrics(path: &Path) -> Result<Arc<dyn MetricsStore>, StoreError> {
    Ok(Arc::new(SqliteMetricsStore::open(path).await?))
}

/// Opens each store on its own, so that one that fails does not hide the other.
pub async fn check_stores(settings: &Settings) -> Vec<Finding> {
    let logs = settings.logs_database();
    let metrics = settings.metrics_database();
    vec![
        Finding {
            what: format!("logs store {}", logs.display()),
            problem: open_logs(&logs).await.err().map(|error| describe(&error)),
        },
        Finding {
            what: format!("metrics store {}", metrics.display()),
            problem: open_metrics(&metrics).await.err().map(|error| describe(&error)),
        },
    ]
}

/// An error with its causes on one line.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |cause| cause.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
