//! Making the database and its tables, by several at once, and what is said when something about
//! it is wrong.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::domain::time::TimeRange;
use atalaya::store::error::{Remedy, StoreError};
use atalaya::store::metrics::{
    DeliveryFacts as _, DeliveryFilter, MetricsStore, PdcaHistory as _, Targets as _, Written,
};
use atalaya::store::mysql::{self, MySqlMetricsStore, MySqlOptions};

use super::{OwnDatabase, deployed, tested};
use crate::metrics_store_suite::{DAMAGE, damaged_rows_are_told, rows_to_damage};

/// The version that this program needs.
const NEWEST: i64 = 9;

async fn refusal(options: &MySqlOptions) -> StoreError {
    MySqlMetricsStore::connect(options).await.unwrap_err()
}

#[tokio::test]
async fn a_second_migration_does_nothing() {
    let database = OwnDatabase::made().await;
    let applied = "SELECT CAST(SUM(finished_at) AS SIGNED) FROM schema_migrations";
    let before = database.number(applied).await;
    let status = mysql::migrate(&database.options).await.unwrap();
    assert_eq!((status.found, status.known), (NEWEST, NEWEST));
    assert!(status.server.contains("MariaDB"), "{}", status.server);
    assert_eq!(mysql::init(&database.options).await.unwrap(), status);
    assert_eq!(database.number(applied).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hosts_may_make_the_database_at_once() {
    let database = OwnDatabase::named();
    let hosts = (0..6).map(|_| {
        let options = database.options.clone();
        tokio::spawn(async move { mysql::init(&options).await })
    });
    for host in futures::future::join_all(hosts).await {
        assert_eq!(host.unwrap().unwrap().found, NEWEST);
    }
    assert_eq!(
        database
            .number("SELECT COUNT(*) FROM schema_migrations")
            .await,
        NEWEST
    );
    assert_eq!(
        database
            .store()
            .await
            .record_phases(&[tested("c", 1)])
            .await
            .unwrap(),
        Written {
            inserted: 1,
            ..Written::default()
        }
    );
}

#[tokio::test]
async fn an_interrupted_migration_is_finished_and_keeps_what_is_there() {
    let database = OwnDatabase::made().await;
    database
        .store()
        .await
        .record_phases(&[tested("c", 1)])
        .await
        .unwrap();
    // As a host leaves it that died between the statements of the second.
    database
        .sql(
            "DROP TABLE targets; DELETE FROM schema_migrations WHERE version = 3;
              UPDATE schema_migrations SET finished_at = NULL WHERE version = 2",
        )
        .await;
    assert_eq!(mysql::status(&database.options).await.unwrap().found, 1);
    assert!(matches!(
        refusal(&database.options).await,
        StoreError::OlderSchema {
            found: 1,
            known: NEWEST,
            ..
        }
    ));
    assert_eq!(
        mysql::migrate(&database.options).await.unwrap().found,
        NEWEST
    );
    let store = database.store().await;
    assert_eq!(store.targets().await.unwrap(), []);
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        [tested("c", 1)]
    );
}

#[tokio::test]
async fn a_newer_schema_is_left_as_it_is() {
    let database = OwnDatabase::made().await;
    // Also one that is only being applied.
    for finished in ["NULL", "1"] {
        database
            .sql(&format!(
                "REPLACE INTO schema_migrations VALUES (99, 'from the future', 1, {finished})"
            ))
            .await;
        for error in [
            refusal(&database.options).await,
            mysql::migrate(&database.options).await.unwrap_err(),
        ] {
            let StoreError::NewerSchema {
                found: 99,
                known: NEWEST,
                ..
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!(error.remedy(), Some(Remedy::NewerProgram), "{error}");
        }
    }
    assert_eq!(
        database
            .number("SELECT COUNT(*) FROM schema_migrations")
            .await,
        NEWEST + 1
    );
}

#[tokio::test]
async fn a_database_of_something_else_is_left_as_it_is() {
    let database = OwnDatabase::made().await;
    database.sql("DROP TABLE schema_migrations").await;
    let error = mysql::migrate(&database.options).await.unwrap_err();
    let StoreError::Refused { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        source.to_string().contains("a database of its own"),
        "{source}"
    );
    // The older tool's record of migrations, or any framework's.
    database
        .sql("CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY)")
        .await;
    let error = mysql::migrate(&database.options).await.unwrap_err();
    let StoreError::Refused { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(source.to_string().contains("schema_migrations"), "{source}");
}

#[tokio::test]
async fn a_database_that_is_missing_or_empty_names_its_remedy() {
    let database = OwnDatabase::named();
    for _ in ["missing", "empty"] {
        let error = refusal(&database.options).await;
        assert!(matches!(error, StoreError::MissingSchema { .. }), "{error}");
        assert_eq!(error.remedy(), Some(Remedy::InitSchema));
        let text = error.to_string();
        assert!(text.contains(&database.options.database), "{text}");
        assert!(!error.is_transient());
        let mut server = super::administrator(&database.options);
        server = server.database("");
        let create = format!(
            "CREATE DATABASE IF NOT EXISTS `{}`",
            database.options.database
        );
        let mut connection = sqlx::ConnectOptions::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_older_schema_names_its_remedy() {
    let database = OwnDatabase::made().await;
    database
        .sql("DELETE FROM schema_migrations WHERE version > 1")
        .await;
    let error = refusal(&database.options).await;
    assert!(
        matches!(
            error,
            StoreError::OlderSchema {
                found: 1,
                known: NEWEST,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.remedy(), Some(Remedy::MigrateSchema), "{error}");
}

/// R42: passwords are not shown.
#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let database = OwnDatabase::made().await;
    let right = database.user(&["ALL"]).await;
    MySqlMetricsStore::connect(&right).await.unwrap();
    let wrong = MySqlOptions {
        password: Some("tr0ub4dor".into()),
        ..right.clone()
    };
    let none = MySqlOptions {
        password: None,
        ..right.clone()
    };
    let nobody = MySqlOptions {
        user: "nobody".to_owned(),
        ..right
    };
    for options in [wrong, none, nobody] {
        let error = refusal(&options).await;
        assert!(
            matches!(error, StoreError::NotAuthenticated { .. }),
            "{error}"
        );
        assert!(!error.is_transient());
        assert!(error.to_string().contains(&options.user), "{error}");
        for text in [
            error.to_string(),
            format!("{error:?}"),
            format!("{options:?}"),
            format!("{options}"),
        ] {
            assert!(!text.contains("tr0ub4dor"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_wrong_address_is_said_soon() {
    let database = OwnDatabase::made().await;
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut closed = database.options.clone();
    closed.port = free;
    let mut unknown = database.options.clone();
    unknown.host = "no-such-host.invalid".to_owned();
    // Somebody listens and says nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut mute = database.options.clone();
    mute.port = silent.local_addr().unwrap().port();
    mute.connect_timeout = Duration::from_millis(300);
    for options in [closed, unknown, mute] {
        let began = Instant::now();
        let error = refusal(&options).await;
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{error} after {:?}",
            began.elapsed()
        );
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.is_transient());
        assert!(error.to_string().contains(&options.address()), "{error}");
        assert!(error.source().is_some(), "with the reason");
    }
}

#[tokio::test]
async fn a_role_that_may_only_read_reads_and_is_told_why_it_cannot_write() {
    let database = OwnDatabase::made().await;
    database
        .store()
        .await
        .put_deployments(&[deployed("d", 2)])
        .await
        .unwrap();
    let reader = MySqlMetricsStore::connect(&database.user(&["SELECT"]).await)
        .await
        .unwrap();
    assert_eq!(
        reader
            .deployments(&DeliveryFilter::default())
            .await
            .unwrap()
            .read,
        [deployed("d", 2)]
    );
    let error = reader.record_phases(&[tested("c", 1)]).await.unwrap_err();
    assert!(matches!(error, StoreError::NotAuthorised { .. }), "{error}");
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("grant") && text.contains(&database.options.database),
        "{text}"
    );
    assert_eq!(
        database
            .number("SELECT COUNT(*) FROM cycles WHERE cycle_id = 'c'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_role_without_rights_is_told_so() {
    let database = OwnDatabase::made().await;
    let nothing = database.user(&[]).await;
    for error in [
        refusal(&nothing).await,
        mysql::init(&nothing).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotAuthorised { .. }), "{error}");
    }
}

/// What `0002_improvement.sql` advises instead of triggers.
#[tokio::test]
async fn grants_can_hold_the_history_append_only() {
    let database = OwnDatabase::made().await;
    let changed = [
        "cycles",
        "dora_metrics",
        "deployments",
        "deployment_commits",
        "incidents",
        "sources",
    ]
    .map(|table| format!("SELECT, INSERT, UPDATE, DELETE ON {table}"));
    let kept = ["pdca_cycles", "pdca_events", "schema_migrations"]
        .map(|table| format!("SELECT, INSERT ON {table}"));
    let rights: Vec<&str> = changed.iter().chain(&kept).map(String::as_str).collect();
    let options = database.user(&rights).await;
    let store = MySqlMetricsStore::connect(&options).await.unwrap();
    let event = atalaya::domain::pdca::PdcaEvent {
        pdca_id: "p".to_owned(),
        seq: 1,
        at: super::at(1),
        by: "ana".to_owned(),
        happening: atalaya::domain::pdca::Happening::Noted("one".to_owned()),
    };
    assert_eq!(store.append_pdca_event(&event).await.unwrap().inserted, 1);
    assert_eq!(store.append_pdca_event(&event).await.unwrap().unchanged, 1);
    assert_eq!(
        store
            .put_deployments(&[deployed("d", 2)])
            .await
            .unwrap()
            .inserted,
        1
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_whole_and_named() {
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    let mut long = tested("c", 2);
    long.cycle_id = "x".repeat(401);
    let mut deep = tested("c", 3);
    let nested = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    deep.metadata
        .insert("deep".to_owned(), serde_json::from_str(&nested).unwrap());
    let mut centuries = tested("c", 4);
    centuries.duration = Duration::from_secs(20_000_000_000);
    for (wrong, name) in [
        (long, "cycle_id"),
        (deep, "metadata"),
        (centuries, "duration_seconds"),
    ] {
        let error = store
            .record_phases(&[tested("c", 1), wrong])
            .await
            .unwrap_err();
        let StoreError::Poison { reason, .. } = &error else {
            panic!("{error}")
        };
        assert!(reason.contains(name), "{reason}");
        assert!(!error.is_transient());
    }
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        [],
        "all or nothing"
    );
    let mut widest = tested(&"🦀".repeat(400), 1);
    widest.feature_id = "🦁".repeat(400);
    widest
        .metadata
        .insert("request_id".to_owned(), "r".repeat(5_000).into());
    store
        .record_phases(std::slice::from_ref(&widest))
        .await
        .unwrap();
    assert_eq!(
        store.phases(&DeliveryFilter::default()).await.unwrap().read,
        [widest]
    );
}

#[tokio::test]
async fn ids_are_told_apart_to_the_last_character() {
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    let ids = [
        "id", "ID", "id ", "id\0", "íd", "🦀", "🦁", "'; --", "\"`\\%_",
    ];
    let phases: Vec<_> = ids
        .iter()
        .map(|id| {
            let mut phase = tested(id, 1);
            phase.metadata.insert("request_id".to_owned(), (*id).into());
            phase.metadata.insert("team".to_owned(), (*id).into());
            phase
        })
        .collect();
    assert_eq!(
        store.record_phases(&phases).await.unwrap().inserted,
        ids.len() as u64
    );
    assert_eq!(
        store.record_phases(&phases).await.unwrap().unchanged,
        ids.len() as u64
    );
    for phase in &phases {
        let cycle = store.cycle(&phase.cycle_id).await.unwrap().unwrap();
        assert_eq!(cycle.phases, std::slice::from_ref(phase));
        let id = atalaya::domain::record::RequestId::new(phase.cycle_id.as_str());
        assert_eq!(
            store.events_of_request(&id).await.unwrap().phases,
            std::slice::from_ref(phase)
        );
        let team = DeliveryFilter {
            team: Some(phase.cycle_id.clone()),
            ..DeliveryFilter::default()
        };
        assert_eq!(
            store.phases(&team).await.unwrap().read,
            std::slice::from_ref(phase)
        );
    }
    assert_eq!(database.orphans().await, 0);
}

#[tokio::test]
async fn instants_come_back_to_the_microsecond_and_are_dates_for_others() {
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    for micros in [
        i64::MIN,
        -1,
        0,
        1_790_000_000_123_456,
        4_102_444_800_000_001,
        i64::MAX - 1,
    ] {
        let mut phase = tested(&format!("c{micros}"), 1);
        phase.recorded_at = atalaya::domain::time::Timestamp::from_micros(micros);
        store
            .record_phases(std::slice::from_ref(&phase))
            .await
            .unwrap();
        assert_eq!(
            store
                .record_phases(std::slice::from_ref(&phase))
                .await
                .unwrap()
                .unchanged,
            1
        );
        let found = store.cycle(&phase.cycle_id).await.unwrap().unwrap();
        assert_eq!(found.phases, [phase]);
    }
    let filter = DeliveryFilter {
        range: Some(TimeRange::ALL),
        ..DeliveryFilter::default()
    };
    assert_eq!(store.phases(&filter).await.unwrap().read.len(), 6);
    assert_eq!(
        database
            .number(
                "SELECT COUNT(*) FROM dora_metrics WHERE created_at = '2026-09-21 14:13:20.123456'"
            )
            .await,
        1,
        "the column that older queries read"
    );
}

#[tokio::test]
async fn an_unreadable_row_stands_beside_the_others() {
    let database = OwnDatabase::made().await;
    let store: Arc<dyn MetricsStore> = Arc::new(database.store().await);
    rows_to_damage(&store).await;
    database.sql(DAMAGE).await;
    damaged_rows_are_told(&store).await;
}

#[tokio::test]
async fn an_orphan_cannot_be_made() {
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    store.put_deployments(&[deployed("d", 3)]).await.unwrap();
    assert_eq!(database.orphans().await, 0);
    let mut connection = database.administrator().await;
    for orphan in [
        "INSERT INTO deployment_commits (deployment_id, `position`, sha, authored_at, committed_at, title) VALUES ('nowhere', 0, 'a', 1, 1, 't')",
        "DELETE FROM cycles",
        "UPDATE deployments SET cycle_id = 'nowhere'",
        "INSERT INTO job_runs (lease, job, slot_at, attempt, cause, fence, host, started_at, output) VALUES ('store', 'nowhere', 1, 1, 'request', 1, 'h', 1, '')",
        "INSERT INTO pdca_events VALUES ('nowhere', 1, 1, 'a', '{}')",
    ] {
        let error = sqlx::raw_sql(orphan)
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("foreign key"),
            "{orphan}: {error}"
        );
    }
    // A deployment takes its commits along.
    database.sql("DELETE FROM deployments").await;
    assert_eq!(database.orphans().await, 0);
}
