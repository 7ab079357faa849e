//! What a real MariaDB says of itself: sizes, work, and orphans that only switched-off checks allow.

use atalaya::domain::health::Status;
use atalaya::store::metrics::Vitals as _;
use atalaya::store::mysql::MySqlMetricsStore;

use crate::mysql_store::OwnDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_is_well_and_tells_its_figures() {
    let database = OwnDatabase::made().await;
    let store = MySqlMetricsStore::connect(&database.options).await.unwrap();
    let vitals = store.vitals().await.unwrap();
    assert!(vitals.version.as_deref().unwrap().contains('.'));
    assert!(
        vitals
            .tables
            .iter()
            .any(|table| table.table == "dora_metrics")
    );
    assert!(vitals.disk_bytes.unwrap() > 0 && vitals.uptime_seconds.is_some());
    assert!(vitals.threads_connected.unwrap() > 0 && vitals.threads_limit.unwrap() > 0);
    assert!(vitals.slow_queries.is_some() && vitals.statements.unwrap() > 0);
    let innodb = vitals.innodb.clone().unwrap();
    assert!(innodb.buffer_hit_ratio.unwrap() > 0.0 && innodb.buffer_bytes.unwrap() > 0);
    assert_eq!(vitals.orphans, Some(0));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_found_and_is_a_failure() {
    let database = OwnDatabase::made().await;
    database
        .sql(
            "SET foreign_key_checks = 0; \
             INSERT INTO job_runs (lease, job, slot_at, attempt, cause, fence, host, started_at, output) VALUES ('store', 'no such job', 1, 1, 'request', 1, 'h', 1, '')",
        )
        .await;
    let store = MySqlMetricsStore::connect(&database.options).await.unwrap();
    let vitals = store.vitals().await.unwrap();
    assert_eq!(vitals.orphans, Some(1));
    assert_eq!(vitals.checks()[0].status, Status::Failing);
    store.close().await;
}
