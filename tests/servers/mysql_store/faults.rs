//! Callers that go away, answers that are lost, transactions that meet, and a server that dies.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::domain::delivery::{Decision, Incident};
use atalaya::domain::pdca::{Happening, PdcaEvent};
use atalaya::store::error::StoreError;
use atalaya::store::metrics::{
    DeliveryFacts as _, DeliveryFilter, HealthSample, HealthSamples as _, PdcaHistory as _, Target,
    Targets as _, Written,
};
use atalaya::store::mysql::{self, MySqlMetricsStore, MySqlOptions};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;
use xtask::services::mariadb_server::MariaDb;

use super::proxy::CuttingProxy;
use super::{OwnDatabase, at, deployed, tested};

fn seed() -> u64 {
    let seed = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    seed
}

fn is_long() -> bool {
    std::env::var_os("ATALAYA_TEST_LONG").is_some()
}

/// Transactions that connections to this database have open.
const OPEN_TRANSACTIONS: &str = "SELECT COUNT(*) FROM information_schema.innodb_trx transaction
     JOIN information_schema.processlist process ON process.id = transaction.trx_mysql_thread_id
     WHERE process.db = DATABASE()";

/// Asks until the answer is the one that is waited for. The server gives an old answer to who asks
/// about transactions again within a tenth of a second.
async fn until(database: &OwnDatabase, query: &str, wanted: impl Fn(i64) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = database.number(query).await;
        if wanted(found) {
            return;
        }
        assert!(Instant::now() < deadline, "still {found}: {query}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// R22: a caller that goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_no_transaction_behind() {
    let mut random = StdRng::seed_from_u64(seed());
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    store.put_deployments(&[deployed("d", 5)]).await.unwrap();
    let mut finished = 0;
    for number in 0..1_000 {
        let store = store.clone();
        let call = async move {
            match number % 4 {
                0 | 1 => {
                    let phases: Vec<_> = (1..=10)
                        .map(|attempt| tested(&format!("c{number}"), attempt))
                        .collect();
                    store.record_phases(&phases).await.map(|_| ())
                }
                2 => store
                    .put_deployments(&[deployed(&format!("d{number}"), 5)])
                    .await
                    .map(|_| ()),
                _ => store
                    .deployments(&DeliveryFilter::default())
                    .await
                    .map(|_| ()),
            }
        };
        // The moment of going away is what is random here, not what is waited for.
        let patience = match number % 10 {
            0 => Duration::from_secs(60),
            _ => Duration::from_micros(random.random_range(0..6_000)),
        };
        let caller = tokio::spawn(tokio::time::timeout(patience, call));
        for _ in 0..random.random_range(0..200) {
            tokio::task::yield_now().await;
        }
        if number % 10 != 0 && random.random_bool(0.5) {
            caller.abort();
        }
        if let Ok(Ok(done)) = caller.await {
            done.unwrap();
            finished += 1;
        }
    }
    println!("{finished} of 1,000 callers stayed to the end");
    assert!((100..1_000).contains(&finished), "some of both: {finished}");
    until(&database, OPEN_TRANSACTIONS, |open| open == 0).await;

    // Every connection of both pools is borrowed again: each sees the present and can write.
    let writers: Vec<_> = (1..=16)
        .map(|attempt| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .record_phases(&[tested("after", attempt)])
                    .await
                    .unwrap()
            })
        })
        .collect();
    for writer in writers {
        assert_eq!(
            writer.await.unwrap(),
            Written {
                inserted: 1,
                ..Written::default()
            }
        );
    }
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.cycle("after").await.unwrap().unwrap().phases.len() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 16, "no old snapshot is left");
    }
    assert_eq!(
        database
            .number(
                "SELECT COUNT(*) FROM (SELECT COUNT(*) AS size FROM dora_metrics WHERE cycle_id <> 'after'
             GROUP BY cycle_id HAVING size <> 10) AS parts"
            )
            .await,
        0,
        "whole transactions only"
    );
    until(&database, OPEN_TRANSACTIONS, |open| open == 0).await;
    assert_eq!(database.orphans().await, 0);
}

/// Repeats what failed in passing, as a caller does who must not lose anything.
async fn surely<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) if error.is_transient() => {}
            Err(error) => panic!("{error}: {:?}", error.source()),
        }
    }
}

/// R23: an event once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_recorded_once_however_often_the_answer_is_lost() {
    let wanted = if is_long() { 1_000 } else { 200 };
    let seed = seed();
    let database = OwnDatabase::made().await;
    let address = format!("{}:{}", database.options.host, database.options.port)
        .parse()
        .unwrap();
    let proxy = CuttingProxy::start(address, seed).await;
    let options = MySqlOptions {
        port: proxy.address.port(),
        ..database.options.clone()
    };
    let store = surely(|| MySqlMetricsStore::connect(&options)).await;

    let mut events = 0_u32;
    while proxy.cut_after() < wanted {
        events += 1;
        let deployment = deployed(&format!("d{events}"), 3);
        let phases = [tested("c", events), tested(&format!("c{events}"), 1)];
        surely(|| store.record_phases(&phases)).await;
        surely(|| store.put_deployments(std::slice::from_ref(&deployment))).await;
        let incident = Incident {
            id: format!("i{events}"),
            title: "down".to_owned(),
            service: None,
            severity: None,
            opened_at: at(events.into()),
            resolved_at: None,
            cause: None,
            caused_by: Some(deployment.id.clone()),
            request_id: None,
            origin: "test".to_owned(),
        };
        surely(|| store.put_incidents(std::slice::from_ref(&incident))).await;
        let event = PdcaEvent {
            pdca_id: "p".to_owned(),
            seq: events,
            at: at(events.into()),
            by: "ana".to_owned(),
            happening: Happening::Noted(format!("note {events}")),
        };
        surely(|| store.append_pdca_event(&event)).await;
        let sample = HealthSample {
            component: "host".to_owned(),
            measure: "load".to_owned(),
            taken_at: at(events.into()),
            value: f64::from(events),
        };
        surely(|| store.put_health_samples(std::slice::from_ref(&sample))).await;
        let target = Target {
            metric: "change_lead_time".to_owned(),
            service: None,
            team: None,
            value: f64::from(events),
            set_at: at(events.into()),
        };
        surely(|| store.put_target(&target)).await;
    }
    println!(
        "{events} rounds of 6 events, {} connections cut after their commit, {} before",
        proxy.cut_after(),
        proxy.cut_before()
    );
    assert!(proxy.cut_before() > 0);
    let events = i64::from(events);
    for (table, rows) in [
        ("dora_metrics", 2 * events),
        ("cycles", 1 + 2 * events),
        ("deployments", events),
        ("deployment_commits", 3 * events),
        ("incidents", events),
        ("pdca_cycles", 1),
        ("pdca_events", events),
        ("health_samples", events),
        ("targets", 1),
    ] {
        assert_eq!(
            database
                .number(&format!("SELECT COUNT(*) FROM {table}"))
                .await,
            rows,
            "{table}"
        );
    }
    assert_eq!(database.orphans().await, 0);
    until(&database, OPEN_TRANSACTIONS, |open| open == 0).await;
}

async fn open(database: &OwnDatabase, statements: &'static str) -> MySqlConnection {
    let mut connection = database.administrator().await;
    sqlx::raw_sql("BEGIN")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql(statements)
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

/// The newest transaction that waits for a lock; 0 when none does.
const WAITER: &str = "SELECT CAST(COALESCE(MAX(transaction.trx_id), 0) AS SIGNED)
     FROM information_schema.innodb_trx transaction
     JOIN information_schema.processlist process ON process.id = transaction.trx_mysql_thread_id
     WHERE process.db = DATABASE() AND transaction.trx_state = 'LOCK WAIT'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_of_a_deadlock_is_tried_again() {
    let database = OwnDatabase::made().await;
    let store = database.store().await;
    let free = |id: &str| atalaya::domain::delivery::Deployment {
        cycle_id: None,
        ..deployed(id, 1)
    };
    store
        .put_deployments(&[free("d1"), free("d2")])
        .await
        .unwrap();
    // Heavier than the store's transaction, so that the store's is the one to go.
    let heavy = "INSERT INTO sources SELECT CONCAT('s', seq), 0, 0, 1 FROM seq_1_to_2000;
                 UPDATE deployments SET origin = 'elsewhere' WHERE id = 'd2'";
    let mut other = open(&database, heavy).await;
    let before = database.number(DEADLOCKS).await;
    let writing = tokio::spawn({
        let store = store.clone();
        let changed = [free("d1"), free("d2")].map(|mut deployment| {
            deployment.team = Some("red".to_owned());
            deployment
        });
        async move { store.put_deployments(&changed).await }
    });
    until(&database, WAITER, |waiter| waiter > 0).await;
    sqlx::raw_sql("UPDATE deployments SET origin = 'elsewhere' WHERE id = 'd1'")
        .execute(&mut other)
        .await
        .unwrap();
    assert!(
        database.number(DEADLOCKS).await > before,
        "there was a deadlock"
    );
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(
        writing.await.unwrap().unwrap(),
        Written {
            updated: 2,
            ..Written::default()
        }
    );
}

const DEADLOCKS: &str =
    "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status
     WHERE variable_name = 'Innodb_deadlocks'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_waited_for_more_than_once_and_not_for_ever() {
    let database = OwnDatabase::made().await;
    let options = MySqlOptions {
        lock_timeout: Duration::from_secs(1),
        ..database.options.clone()
    };
    let store = MySqlMetricsStore::connect(&options).await.unwrap();
    store.record_phases(&[tested("c", 1)]).await.unwrap();
    let other = open(
        &database,
        "UPDATE cycles SET feature_id = 'elsewhere' WHERE cycle_id = 'c'",
    )
    .await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.record_phases(&[tested("c", 2)]).await }
    });
    // Until a second transaction waits, since the first one has given up.
    until(&database, WAITER, |waiter| waiter > 0).await;
    let first = database.number(WAITER).await;
    until(&database, WAITER, |waiter| waiter > first).await;
    assert!(!writing.is_finished());
    other.close_hard().await.unwrap();
    assert_eq!(
        writing.await.unwrap().unwrap(),
        Written {
            inserted: 1,
            ..Written::default()
        }
    );
}

/// Everything crosswise: deployments that share cycles, incidents that name them, phases of the
/// same cycles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_cross_each_other_all_get_through() {
    let database = OwnDatabase::made().await;
    // Two hosts.
    let stores = [
        Arc::new(database.store().await),
        Arc::new(database.store().await),
    ];
    let seed = seed();
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let store = Arc::clone(&stores[usize::from(writer % 2 == 1)]);
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(writer));
            tokio::spawn(async move {
                let mut inserted = 0;
                for round in 0..15_u32 {
                    let deployments: Vec<_> = (0..6)
                        .map(|_| {
                            let number = random.random_range(0..40);
                            let mut deployment = deployed(&format!("d{number}"), 2);
                            deployment.cycle_id = Some(format!("c{}", number % 7));
                            deployment
                        })
                        .collect();
                    inserted += store.put_deployments(&deployments).await.unwrap().inserted;
                    let phases: Vec<_> = (0..4)
                        .map(|_| {
                            let mut phase =
                                tested(&format!("c{}", random.random_range(0..7)), round + 1);
                            phase.decision = if random.random_bool(0.5) {
                                Decision::Go
                            } else {
                                Decision::NoGo
                            };
                            phase
                        })
                        .collect();
                    store.record_phases(&phases).await.unwrap();
                }
                inserted
            })
        })
        .collect();
    let mut inserted = 0;
    for writer in writers {
        inserted += writer.await.unwrap();
    }
    assert_eq!(
        database.number("SELECT COUNT(*) FROM deployments").await,
        inserted as i64,
        "each counted once"
    );
    assert_eq!(
        database
            .number("SELECT COUNT(*) FROM deployment_commits")
            .await,
        2 * inserted as i64
    );
    assert_eq!(database.orphans().await, 0);
    // What a cycle's row says is what its parts say, whoever wrote last.
    assert_eq!(
        database
            .number(
                "SELECT COUNT(*) FROM cycles cycle WHERE cycle.feature_id <> (
                     SELECT phase.feature_id FROM dora_metrics phase WHERE phase.cycle_id = cycle.cycle_id
                     ORDER BY phase.created_us LIMIT 1)"
            )
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_and_returns_is_used_again() {
    let server = tokio::task::spawn_blocking(|| Arc::new(MariaDb::start().unwrap()))
        .await
        .unwrap();
    let mut options = MySqlOptions::new("127.0.0.1", "atalaya", "root");
    options.port = server.address().port();
    mysql::init(&options).await.unwrap();
    let store = MySqlMetricsStore::connect(&options).await.unwrap();
    store.record_phases(&[tested("c", 1)]).await.unwrap();
    store.cycle("c").await.unwrap();

    server.kill();
    let began = Instant::now();
    for error in [
        store.record_phases(&[tested("c", 2)]).await.unwrap_err(),
        store.cycle("c").await.unwrap_err(),
        MySqlMetricsStore::connect(&options).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(
            error.is_transient() && error.source().is_some(),
            "{error:?}"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "said soon: {:?}",
        began.elapsed()
    );

    let again = Arc::clone(&server);
    tokio::task::spawn_blocking(move || again.restart().unwrap())
        .await
        .unwrap();
    let second = [tested("c", 2)];
    assert_eq!(surely(|| store.record_phases(&second)).await.inserted, 1);
    let phases = store.cycle("c").await.unwrap().unwrap().phases;
    assert_eq!(
        phases,
        [tested("c", 1), tested("c", 2)],
        "what was acknowledged is there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked_when_an_authority_is_named() {
    let server = tokio::task::spawn_blocking(|| MariaDb::start_with_tls().unwrap())
        .await
        .unwrap();
    let certificates = server.certificates().unwrap().clone();
    let mut options = MySqlOptions::new("127.0.0.1", "atalaya", "root");
    options.port = server.address().port();
    // Encrypted and unchecked, since the server insists on encryption.
    mysql::init(&options).await.unwrap();
    let with = |file: std::path::PathBuf| MySqlOptions {
        ca_file: Some(file),
        ..options.clone()
    };
    let store = MySqlMetricsStore::connect(&with(certificates.authority.clone()))
        .await
        .unwrap();
    store.record_phases(&[tested("c", 1)]).await.unwrap();

    let error = MySqlMetricsStore::connect(&with(certificates.stranger))
        .await
        .unwrap_err();
    assert!(
        !error.is_transient(),
        "no repetition makes it right: {error:?}"
    );
    assert!(
        error.source().unwrap().to_string().contains("certificate"),
        "{error:?}"
    );
    let missing = certificates.authority.with_file_name("no-such.pem");
    let error = MySqlMetricsStore::connect(&with(missing))
        .await
        .unwrap_err();
    assert!(
        error.source().unwrap().to_string().contains("no-such.pem"),
        "{error:?}"
    );
}
