//! R13 and R14 between the store and a real Cassandra: a proxy forges errors, drops frames and cuts
//! connections. (R14 at its full length of a minute is proved in virtual time beside the retry
//! layer; here is that the real driver behaves as the test there takes it to.)
//!
//! With `ATALAYA_TEST_LONG=1` it is 10,000 puts.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, Record, RequestId};
use atalaya::domain::time::{TimeRange, Timestamp};
use atalaya::ingest::spool::quarantine::{self, Folder};
use atalaya::query::Query;
use atalaya::store::cassandra::retry::RetrySettings;
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use atalaya::store::chunks::{ChunkStore as _, Order};
use atalaya::store::engine::{LogEngine, PageRequest};
use atalaya::store::error::StoreError;
use futures::{StreamExt as _, stream};
use scylla_proxy::{
    Condition, Node, Proxy, Reaction as _, RequestOpcode, RequestReaction, RequestRule,
    RunningProxy, ShardAwareness, example_db_errors,
};
use tokio_util::sync::CancellationToken;

use crate::keyspace::{Keyspace, for_ever};

/// 2026-03-02.
const START: i64 = 1_772_409_600_000_000;
const RECORDS: u64 = 12;

struct Through {
    keyspace: Keyspace,
    proxy: RunningProxy,
    options: CassandraOptions,
}

impl Through {
    async fn start(request_timeout: Duration) -> Self {
        let keyspace = Keyspace::make(&for_ever()).await;
        let real: SocketAddr = keyspace.options.nodes[0].parse().unwrap();
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let node = Node::builder()
            .real_address(real)
            .proxy_address(free)
            .shard_awareness(ShardAwareness::Unaware)
            .build();
        let proxy = Proxy::builder()
            .with_node(node)
            .build()
            .run()
            .await
            .unwrap();
        let options = CassandraOptions {
            request_timeout,
            ..CassandraOptions::new([free.to_string()], keyspace.name())
        };
        Self {
            keyspace,
            proxy,
            options,
        }
    }

    async fn store(&self, settings: RetrySettings) -> CassandraLogStore {
        let session = Arc::new(connect(&self.options).await.unwrap());
        CassandraLogStore::open(session, &self.options, settings)
            .await
            .unwrap()
    }

    /// Statements, but not those by which the driver learns about the ring.
    fn forge(&mut self, probability: f64, reaction: RequestReaction) {
        let statements = Condition::RequestOpcode(RequestOpcode::Execute)
            .or(Condition::RequestOpcode(RequestOpcode::Batch));
        let condition = Condition::not(Condition::ConnectionRegisteredAnyEvent)
            .and(statements)
            .and(Condition::RandomWithProbability(probability));
        self.proxy.running_nodes[0]
            .change_request_rules(Some(vec![RequestRule(condition, reaction)]));
    }

    fn let_through(&mut self) {
        self.proxy.running_nodes[0].change_request_rules(Some(Vec::new()));
    }
}

fn patience() -> RetrySettings {
    RetrySettings {
        budget: Duration::from_secs(60),
        first_pause: Duration::from_millis(5),
        shortest_probe_pause: Duration::from_millis(5),
        longest_probe_pause: Duration::from_millis(50),
        ..RetrySettings::default()
    }
}

fn frame(number: u64) -> Frame {
    let entries = (0..RECORDS)
        .map(|index| Entry {
            timestamp: Timestamp::from_micros(START + (number * 977 + index) as i64 * 1_000_003),
            position: number * RECORDS + index,
            level: Level::ALL[(number + index) as usize % 5],
            message: format!("record {index} of {number}").into(),
            request_id: (index % 4 == 0).then(|| RequestId::new(format!("r{}", number % 50))),
            ..Entry::default()
        })
        .collect();
    let origin = Origin {
        id: OriginId::from_u128(u128::from(number % 7)),
        layer: Layer::ALL[number as usize % 2],
        source: "app/shop".into(),
        host: "web1".into(),
    };
    Frame {
        origin: Arc::new(origin),
        from: number * RECORDS,
        until: (number + 1) * RECORDS,
        entries,
    }
}

/// Puts frames as the spool does: one that failed is put again. Returns the errors that came through.
async fn put_all(engine: &LogEngine, numbers: std::ops::Range<u64>) -> Vec<StoreError> {
    stream::iter(numbers)
        .map(async |number| {
            let frame = frame(number);
            let mut errors = Vec::new();
            for _ in 0..1_000 {
                match engine.append(std::slice::from_ref(&frame)).await {
                    Ok(stored) => {
                        assert_eq!(stored, RECORDS);
                        return errors;
                    }
                    Err(error) => errors.push(error),
                }
            }
            panic!("frame {number} was never stored: {:?}", errors.last());
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await
        .concat_errors()
}

trait ConcatErrors {
    fn concat_errors(self) -> Vec<StoreError>;
}

impl ConcatErrors for Vec<Vec<StoreError>> {
    fn concat_errors(self) -> Vec<StoreError> {
        self.into_iter().flatten().collect()
    }
}

/// All records of the store, in order, straight from the ring.
async fn stored(keyspace: &Keyspace) -> Vec<Record> {
    let engine = LogEngine::new(Arc::new(keyspace.store().await));
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest {
            query: Query::everything(),
            range: TimeRange::ALL,
            order: Order::OldestFirst,
            after,
            limit: 5_000,
            scan_limit: u64::MAX,
            cancel: CancellationToken::new(),
        };
        let page = engine.page(&request).await.unwrap();
        records.extend(page.records);
        match page.next {
            Some(end) => after = Some(end.cursor),
            None => return records,
        }
    }
}

/// Records counted in the summaries: one in two chunks counts twice.
async fn counted(keyspace: &Keyspace) -> u64 {
    let store = keyspace.store().await;
    let mut count = 0;
    for layer in Layer::ALL {
        let buckets = store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, 1 << 30)
            .await
            .unwrap();
        for bucket in buckets {
            let summaries = store.summaries(bucket).await.unwrap();
            count += summaries
                .iter()
                .map(|summary| u64::from(summary.records()))
                .sum::<u64>();
        }
    }
    count
}

fn expected(frames: u64) -> Vec<Record> {
    let mut records: Vec<Record> = (0..frames)
        .flat_map(|number| {
            let frame = frame(number);
            let origin = frame.origin;
            frame.entries.into_iter().map(move |entry| Record {
                origin: Arc::clone(&origin),
                entry,
            })
        })
        .collect();
    records.sort_by_key(Record::sort_key);
    records
}

fn puts() -> u64 {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        10_000
    } else {
        400
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_reach_nobody_and_nothing_is_lost_or_doubled() {
    let mut through = Through::start(Duration::from_millis(700)).await;
    let store = Arc::new(through.store(patience()).await);
    let engine = LogEngine::new(Arc::clone(&store) as _);
    let forged = RequestReaction::forge;
    let phases: Vec<(&str, f64, RequestReaction)> = vec![
        ("server error", 0.2, forged().server_error()),
        ("unavailable", 0.2, forged().unavailable()),
        ("overloaded", 0.2, forged().overloaded()),
        ("bootstrapping", 0.2, forged().is_bootstrapping()),
        ("truncate error", 0.2, forged().truncate_error()),
        ("read timeout", 0.2, forged().read_timeout()),
        ("write timeout", 0.2, forged().write_timeout()),
        ("read failure", 0.2, forged().read_failure()),
        ("write failure", 0.2, forged().write_failure()),
        ("unprepared", 0.2, forged().unprepared()),
        ("dropped frames", 0.02, RequestReaction::drop_frame()),
        ("cut connections", 0.02, RequestReaction::drop_connection()),
    ];
    let each = puts() / phases.len() as u64;
    let mut next = 0;
    for (name, probability, reaction) in phases {
        through.forge(probability, reaction);
        let before = store.load().0;
        let errors = put_all(&engine, next..next + each).await;
        next += each;
        let after = store.load().0;
        println!(
            "{name}: {} attempts, {} repeats",
            after.attempts - before.attempts,
            after.repeats - before.repeats
        );
        assert!(after.repeats > before.repeats, "{name}: some were forged");
        assert!(errors.is_empty(), "{name}: {:?}", errors.first());
    }
    through.let_through();
    let found = stored(&through.keyspace).await;
    assert!(
        found == expected(next),
        "{} of {}",
        found.len(),
        next * RECORDS
    );
    assert_eq!(
        Box::pin(counted(&through.keyspace)).await,
        next * RECORDS,
        "each record in one chunk"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_stay_are_told_and_the_data_is_put_again() {
    let mut through = Through::start(Duration::from_secs(5)).await;
    let folder = tempfile::tempdir().unwrap();
    let aside = folder.path().join("quarantine");
    let store = through
        .store(patience())
        .await
        .with_quarantine(Arc::new(Folder::new(&aside, 64 << 20)));
    let engine = LogEngine::new(Arc::new(store));
    let forged = RequestReaction::forge;
    let phases: Vec<(&str, RequestReaction, fn(&StoreError) -> bool)> = vec![
        (
            "syntax error",
            forged().syntax_error(),
            StoreError::is_poison,
        ),
        ("invalid", forged().invalid(), StoreError::is_poison),
        (
            "function failure",
            forged().function_failure(),
            StoreError::is_poison,
        ),
        ("already exists", forged().already_exists(), |error| {
            matches!(error, StoreError::Refused { .. })
        }),
        ("authentication", forged().authentication_error(), |error| {
            matches!(error, StoreError::NotAuthenticated { .. })
        }),
        ("unauthorised", forged().unauthorized(), |error| {
            matches!(error, StoreError::NotAuthorised { .. })
        }),
        ("configuration", forged().config_error(), |error| {
            matches!(error, StoreError::Refused { .. })
        }),
        ("protocol", forged().protocol_error(), |error| {
            matches!(error, StoreError::Refused { .. })
        }),
        ("another code", forged().other(2_137), |error| {
            matches!(error, StoreError::Refused { .. })
        }),
    ];
    let each = puts() / 4 / phases.len() as u64;
    let mut next = 0;
    for (name, reaction, known) in phases {
        through.forge(0.2, reaction);
        let errors = put_all(&engine, next..next + each).await;
        next += each;
        assert!(!errors.is_empty(), "{name}: some came through");
        for error in errors {
            assert!(known(&error) && !error.is_transient(), "{name}: {error:?}");
        }
    }
    through.let_through();
    // What was refused as data, though it was good, is aside with its reason; the rest is there.
    let found = stored(&through.keyspace).await;
    let mut all = found.clone();
    for id in quarantine::ids(&aside).unwrap() {
        let kept = quarantine::open(&aside, &id).unwrap();
        assert!(!kept.reason.is_empty());
        for frame in kept.frames.unwrap() {
            let origin = &frame.origin;
            all.extend(frame.entries.into_iter().map(|entry| Record {
                origin: Arc::clone(origin),
                entry,
            }));
        }
    }
    all.sort_by_key(Record::sort_key);
    all.dedup_by_key(|record| record.id());
    assert!(
        all == expected(next),
        "{} stored and aside of {}",
        all.len(),
        next * RECORDS
    );
    let mut ids: Vec<_> = found.iter().map(Record::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), found.len(), "none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_answers_nothing_but_overloaded_is_left_alone() {
    let mut through = Through::start(Duration::from_secs(5)).await;
    // More than the longest pause between two probes: whoever comes after the end is still there for
    // the probe that is answered.
    let budget = RetrySettings::default().longest_probe_pause * 2;
    let settings = RetrySettings {
        budget,
        ..RetrySettings::default()
    };
    let store = Arc::new(through.store(settings).await);
    let engine = LogEngine::new(Arc::clone(&store) as _);
    engine.append(&[frame(0)]).await.unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let error = Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        example_db_errors::overloaded()
    });
    through.forge(1.0, RequestReaction::forge_with_error_lazy(error));
    let began = std::time::Instant::now();
    let told = stream::iter(1..200)
        .map(async |number| engine.append(&[frame(number)]).await)
        .buffer_unordered(200)
        .collect::<Vec<_>>()
        .await;
    assert!(
        told.iter()
            .all(|told| told.as_ref().is_err_and(StoreError::is_transient)),
        "{told:?}"
    );
    assert!(store.load().0.closed);
    // What was on its way when the first answer came, and at most five probes a second since.
    let most = settings.most_in_flight as u64 + began.elapsed().as_millis() as u64 / 200 + 1;
    let sent = sent.load(Ordering::Relaxed);
    println!("{sent} statements of 199 writers in {:?}", began.elapsed());
    assert!(
        sent <= most,
        "{sent} statements of 199 writers reached the ring"
    );

    through.let_through();
    let errors = put_all(&engine, 1..200).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!store.load().0.closed);
    assert!(stored(&through.keyspace).await == expected(200));
}
