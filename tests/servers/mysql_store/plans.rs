//! The statements that are really sent, and what the server makes of them.

use atalaya::domain::delivery::Phase;
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::store::metrics::{DeliveryFacts as _, DeliveryFilter, PhaseQuestions as _};
use atalaya::store::mysql::{self, MySqlMetricsStore, MySqlOptions};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use xtask::services::mariadb_server::MariaDb;

/// 40,000 phases and 4,000 deployments over 400 days, a month of which is asked for.
const ROWS: &str = "INSERT INTO cycles SELECT CONCAT('c', seq), 'f', NULL, NULL, 1, NULL FROM seq_1_to_5000;
    INSERT INTO dora_metrics
        (cycle_id, feature_id, phase_name, attempt, decision, duration_seconds, metadata, created_us)
    SELECT CONCAT('c', 1 + seq MOD 5000), CONCAT('f', seq MOD 5000),
        ELT(1 + seq MOD 4, 'planning', 'testing', 'deployment', 'maintenance'), seq,
        ELT(1 + seq MOD 3, 'go', 'no-go', 'resolved'), seq MOD 900,
        JSON_OBJECT('team', CONCAT('t', seq MOD 9), 'story_points', seq MOD 8, 'request_id', CONCAT('r', seq)),
        1750000000000000 + seq * 864000000
    FROM seq_1_to_40000;
    INSERT INTO deployments
    SELECT CONCAT('d', seq), 'shop', NULL, 'production', NULL, NULL, 1750000000000000 + seq * 8640000000,
        'success', 'normal', CONCAT('r', seq), NULL, 'test', 1, NULL FROM seq_1_to_4000;
    INSERT INTO deployment_commits SELECT CONCAT('d', seq), 0, 'sha', 1, 1, 'title', 0 FROM seq_1_to_4000;
    ANALYZE TABLE cycles, dora_metrics, deployments, deployment_commits;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_four_questions_are_answered_from_an_index_alone() {
    let server = tokio::task::spawn_blocking(|| MariaDb::start().unwrap())
        .await
        .unwrap();
    let mut options = MySqlOptions::new("127.0.0.1", "atalaya", "root");
    options.port = server.address().port();
    mysql::init(&options).await.unwrap();
    let mut administrator = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(options.port)
        .username("root")
        .database("atalaya")
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(ROWS)
        .execute(&mut administrator)
        .await
        .unwrap();
    let store = MySqlMetricsStore::connect(&options).await.unwrap();
    sqlx::raw_sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
        .execute(&mut administrator)
        .await
        .unwrap();
    let from = Timestamp::from_micros(1_750_000_000_000_000 + 30_000 * 864_000_000);
    let month = TimeRange::new(
        from,
        Timestamp::from_micros(from.micros() + 30 * 86_400_000_000),
    );
    assert!(
        store
            .phase_durations(Phase::Deployment, month)
            .await
            .unwrap()
            .phases
            > 700
    );
    assert_eq!(store.deployments_per_team(month).await.unwrap().len(), 9);
    assert!(store.testing_failures(month).await.unwrap().no_go > 200);
    assert!(
        !store
            .testing_by_story_points(month)
            .await
            .unwrap()
            .is_empty()
    );
    store.recovery_durations(month).await.unwrap();
    let covered = ("dora_metrics_questions".to_owned(), true);
    let found = plans(&mut administrator, "dora_metrics").await;
    assert_eq!(found, [(); 5].map(|()| covered.clone()));

    // The same when all of it is asked for, and the range narrows nothing down.
    store
        .phase_durations(Phase::Deployment, TimeRange::ALL)
        .await
        .unwrap();
    store.deployments_per_team(TimeRange::ALL).await.unwrap();
    store.testing_failures(TimeRange::ALL).await.unwrap();
    store.testing_by_story_points(TimeRange::ALL).await.unwrap();
    let found = plans(&mut administrator, "dora_metrics").await;
    assert_eq!(found, [(); 4].map(|()| covered.clone()));

    // Not covered, but never the whole table.
    store
        .events_of_request(&atalaya::domain::record::RequestId::new("r77"))
        .await
        .unwrap();
    let filter = DeliveryFilter {
        range: Some(month),
        ..DeliveryFilter::default()
    };
    store.deployments(&filter).await.unwrap();
    store.cycle("c77").await.unwrap();
    for (index, _) in plans(&mut administrator, "").await {
        assert!(!index.is_empty(), "a statement reads a whole table");
    }
}

/// The index of each statement that was sent since the last call, and whether the rows themselves
/// were left alone.
async fn plans(
    administrator: &mut sqlx::mysql::MySqlConnection,
    table: &str,
) -> Vec<(String, bool)> {
    let sent: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(argument AS CHAR) FROM mysql.general_log
         WHERE command_type = 'Execute' AND argument LIKE 'SELECT%' AND argument LIKE ?
             AND argument NOT LIKE '%schema_migrations%' AND argument NOT LIKE '%general_log%'
         ORDER BY event_time",
    )
    .bind(format!("%{table}%"))
    .fetch_all(&mut *administrator)
    .await
    .unwrap();
    sqlx::raw_sql(
        "SET GLOBAL general_log = 0; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1",
    )
    .execute(&mut *administrator)
    .await
    .unwrap();
    assert!(!sent.is_empty());
    let mut plans = Vec::new();
    for statement in sent {
        for row in sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN {statement}")))
            .fetch_all(&mut *administrator)
            .await
            .unwrap()
        {
            let index: Option<String> = row.get("key");
            let extra: Option<String> = row.get("Extra");
            let extra = extra.unwrap_or_default();
            println!("{index:?} {extra}: {statement}");
            if extra.contains("Impossible WHERE") || extra.contains("no matching row") {
                continue;
            }
            let covered = extra.contains("Using index") && !extra.contains("Using index condition");
            plans.push((index.unwrap_or_default(), covered));
        }
    }
    plans
}
