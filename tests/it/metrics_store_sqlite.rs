//! The embedded metrics store: the common suite, and what only a file can show.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use atalaya::store::metrics::MetricsStore;
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use sqlx::Connection as _;
use tempfile::TempDir;

use crate::metrics_store_suite::{
    DAMAGE, damaged_rows_are_told, metrics_store_suite, rows_to_damage,
};

async fn empty() -> (Arc<dyn MetricsStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
        .await
        .unwrap();
    (Arc::new(store), folder)
}

metrics_store_suite!(empty);

#[tokio::test]
async fn an_unreadable_row_stands_beside_the_others() {
    let (store, folder) = empty().await;
    rows_to_damage(&store).await;
    let address = format!(
        "sqlite://{}",
        folder.path().join("metrics.sqlite").display()
    );
    let mut file = sqlx::SqliteConnection::connect(&address).await.unwrap();
    sqlx::raw_sql(DAMAGE).execute(&mut file).await.unwrap();
    damaged_rows_are_told(&store).await;
}
