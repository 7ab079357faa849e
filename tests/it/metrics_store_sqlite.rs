//! The embedded metrics store: the common suite, and what only a file can show.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use atalaya::store::metrics::MetricsStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use tempfile::TempDir;

use crate::metrics_store_suite::metrics_store_suite;

async fn empty() -> (Arc<dyn MetricsStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
        .await
        .unwrap();
    (Arc::new(store), folder)
}

metrics_store_suite!(empty);
