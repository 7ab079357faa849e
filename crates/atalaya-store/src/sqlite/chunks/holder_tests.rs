//! Users and sessions are found by the index, or by looking everywhere: the same records.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::build::build;
use crate::engine::{LogEngine, PageRequest};
use atalaya_domain::record::{Entry, Frame, Record};
use atalaya_query::{Query, QueryClock};

/// Ids that are each other's beginnings, and one that is both a user's and a session's.
const IDS: [&str; 6] = ["1", "17", "u", "s", "ana", "Ana"];

fn frame(origin: u128, entries: &[(i64, usize, usize)]) -> Frame {
    let id = |number: usize| IDS.get(number).map(|id| (*id).into());
    let entries: Vec<Entry> = entries
        .iter()
        .enumerate()
        .map(|(position, &(minute, user, session))| Entry {
            timestamp: Timestamp::from_seconds(1_700_000_000 + minute * 60),
            position: position as u64,
            level: Level::ALL[position % 5],
            message: "again and again".into(),
            user_id: id(user),
            session_id: id(session),
            request_id: IDS.get(user + 1).map(|id| RequestId::new(*id)),
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(origin),
            layer: Layer::ALL[usize::try_from(origin % 2).unwrap()],
            source: "app/shop".into(),
            host: "web-1".into(),
        }),
        from: 0,
        until: entries.len() as u64,
        entries,
    }
}

async fn found(store: &Arc<SqliteChunkStore>, query: &str) -> Vec<Record> {
    let engine = LogEngine::new(Arc::clone(store) as Arc<dyn ChunkStore>);
    let clock = QueryClock {
        now: Timestamp::from_seconds(1_700_100_000),
        zone: atalaya_query::Zone::Utc,
    };
    let request = PageRequest {
        query: Query::parse(query, &clock).unwrap(),
        range: TimeRange::ALL,
        order: Order::OldestFirst,
        after: None,
        limit: 10_000,
        scan_limit: u64::MAX,
        cancel: CancellationToken::new(),
    };
    engine.page(&request).await.unwrap().records
}

/// To questions that name a user or a session, alone and with others.
async fn answers(store: &Arc<SqliteChunkStore>) -> Vec<Vec<Record>> {
    let mut answers = Vec::new();
    for id in IDS {
        for query in [
            format!("user:{id}"),
            format!("session:{id}"),
            format!("user:{id} session:17 level>=warning"),
            format!("user:{id} -session:u since:2023-11-14T23:00:00Z"),
            format!("layer:application user:{id}"),
        ] {
            answers.push(found(store, &query).await);
        }
    }
    answers
}

/// As if everything were from before the index.
async fn forget_the_index(path: &Path) {
    let mut beside = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(
        "UPDATE settings SET value = (SELECT max(arrival) FROM chunks) WHERE name = 'ids_from';",
    )
    .execute(&mut beside)
    .await
    .unwrap();
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn by_the_index_and_by_looking_everywhere_the_same_is_found(
        frames in prop::collection::vec(
            prop::collection::vec((0_i64..200, 0_usize..8, 0_usize..8), 1..60),
            1..6,
        ),
    ) {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("logs.db");
            let store = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
            let frames: Vec<Frame> = (0..).zip(&frames).map(|(origin, entries)| frame(origin, entries)).collect();
            let built = frames.iter().map(|frame| build(frame, store.settings()));
            store.put(built.collect()).await.unwrap();
            let checked = crate::sqlite::check::logs(&path, &|_| {}).await.unwrap();
            assert!(checked.damages.is_empty(), "{:?}", checked.damages);
            for id in IDS {
                let user = frames.iter().flat_map(|frame| &frame.entries);
                let user = user.filter(|entry| entry.user_id.as_deref() == Some(id)).count();
                let indexed = store.holders(Whose::User(id), TimeRange::ALL).await.unwrap();
                assert_eq!(indexed.unwrap().is_empty(), user == 0);
                assert_eq!(found(&store, &format!("user:{id}")).await.len(), user);
            }
            let by_index = answers(&store).await;
            forget_the_index(&path).await;
            assert_eq!(store.holders(Whose::User("1"), TimeRange::ALL).await.unwrap(), None);
            let everywhere = answers(&store).await;
            assert_eq!(by_index, everywhere);
            store.close().await;
        });
    }
}

/// A store that an earlier version filled: its chunks are found by looking, those of now too, and where
/// it cannot be written it is read as it is.
#[test]
fn a_store_of_the_first_version_is_read_and_brought_up_to_date() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.db");
        let first = Schema {
            migrations: &SCHEMA.migrations[..1],
            ..SCHEMA
        };
        let made = SqliteFile::open(&path, &first, Durability::EachCommit)
            .await
            .unwrap();
        let old = SqliteChunkStore {
            file: made,
            settings: ChunkSettings::default(),
            origins: Mutex::default(),
        };
        let entries = [(0, 0, 1), (30, 2, 3)];
        let put = |store: &SqliteChunkStore, origin| {
            vec![build(&frame(origin, &entries), store.settings())]
        };
        old.put(put(&old, 1)).await.unwrap();
        assert_eq!(
            old.holders(Whose::User("1"), TimeRange::ALL).await.unwrap(),
            None
        );
        old.close().await;

        let mut beside = SqliteConnectOptions::new()
            .filename(&path)
            .connect()
            .await
            .unwrap();
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut beside)
            .await
            .unwrap();
        assert_eq!(version, 1);
        // The first version did not write these.
        let whose = [
            Whose::User("1"),
            Whose::User("u"),
            Whose::Session("17"),
            Whose::Session("s"),
        ];
        for whose in whose {
            sqlx::query("DELETE FROM requests WHERE hash = ?1")
                .bind(hash_of_whose(whose))
                .execute(&mut beside)
                .await
                .unwrap();
        }
        sqlx::Connection::close(beside).await.unwrap();
        let (options, _) = crate::sqlite::reading::options(&path, &SCHEMA)
            .await
            .unwrap()
            .unwrap();
        drop(options);

        let store = Arc::new(SqliteChunkStore::open(&path).await.unwrap());
        store.put(put(&store, 2)).await.unwrap();
        assert_eq!(
            store
                .holders(Whose::User("1"), TimeRange::ALL)
                .await
                .unwrap(),
            None,
            "chunks of before are there"
        );
        assert_eq!(found(&store, "user:1").await.len(), 2);
        let checked = crate::sqlite::check::logs(&path, &|_| {}).await.unwrap();
        assert!(checked.damages.is_empty(), "{:?}", checked.damages);
        assert_eq!(checked.records, 4);
        store.close().await;
    });
}
