//! Bits turned over in what is stored: each is found, named, and kept from the rest.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::*;
use crate::engine::build::build;
use atalaya_domain::record::{Entry, Frame, Text};

const DAMAGES: u32 = 1_000;

fn frame(origin: u128, minute: i64) -> Frame {
    let entries = (0..40_u64)
        .map(|number| Entry {
            timestamp: Timestamp::from_micros(minute * 60_000_000 + number as i64),
            position: number * 100,
            level: Level::Info,
            message: Text::from(format!(
                "request {number} of client {} took its time",
                number % 7
            )),
            request_id: Some(RequestId::new(format!("req-{}", number % 5))),
            metadata: vec![("path".into(), format!("/cart/{number}").into())],
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(Origin {
            id: OriginId::from_u128(origin),
            layer: Layer::Application,
            source: "app/shop".into(),
            host: "web-1".into(),
        }),
        from: 0,
        until: 4_000,
        entries,
    }
}

/// A store with one chunk in each of two buckets, and a connection beside it.
async fn two_chunks() -> (tempfile::TempDir, SqliteChunkStore, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let store = SqliteChunkStore::open(&path).await.unwrap();
    let frames = [frame(1, 0), frame(2, 20)].map(|frame| build(&frame, store.settings()));
    store.put(frames.into()).await.unwrap();
    let beside = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    (folder, store, beside)
}

async fn keys(store: &SqliteChunkStore) -> Vec<ChunkKey> {
    let mut keys = Vec::new();
    let buckets = store
        .buckets(Layer::Application, TimeRange::ALL, Order::OldestFirst, 10)
        .await
        .unwrap();
    for bucket in buckets {
        keys.extend(
            store
                .summaries(bucket)
                .await
                .unwrap()
                .iter()
                .map(|one| one.key),
        );
    }
    keys
}

async fn set(connection: &mut SqliteConnection, data: &[u8]) {
    sqlx::query("UPDATE blocks SET data = ?1 WHERE arrival = 1")
        .bind(data)
        .execute(connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn every_bit_that_is_turned_over_in_a_block_is_found_and_the_rest_is_read() {
    let (_folder, store, mut beside) = two_chunks().await;
    let keys = keys(&store).await;
    let whole = store.chunks(&keys).await.unwrap();
    assert_eq!(whole.len(), 2);
    let block: Vec<u8> = sqlx::query_scalar("SELECT data FROM blocks WHERE arrival = 1")
        .fetch_one(&mut beside)
        .await
        .unwrap();
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..DAMAGES {
        let mut damaged = block.clone();
        let bit = random.random_range(0..damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        set(&mut beside, &damaged).await;
        let error = store.chunks(&keys).await.unwrap_err();
        let StoreError::DamagedChunk { chunk, .. } = error else {
            panic!("bit {bit}: {error}")
        };
        assert_eq!(chunk, keys[0].id);
    }
    assert_eq!(store.chunks(&keys[1..]).await.unwrap(), whole[1..]);
    set(&mut beside, &block).await;
    assert_eq!(store.chunks(&keys).await.unwrap(), whole);
}

/// What stands beside the block says who the chunk is.
#[tokio::test]
async fn a_block_under_another_identity_is_found() {
    for change in [
        "UPDATE chunks SET last_at = last_at + 1 WHERE arrival = 1",
        "UPDATE chunks SET first_at = first_at - 1 WHERE arrival = 1",
        "UPDATE chunks SET id = X'00112233445566778899aabbccddeeff' WHERE arrival = 1",
        "UPDATE chunks SET minutes = X'000100000000' WHERE arrival = 1",
        "UPDATE chunks SET origin = 2 WHERE arrival = 1",
        "UPDATE blocks SET data = (SELECT data FROM blocks WHERE arrival = 2) WHERE arrival = 1",
    ] {
        let (_folder, store, mut beside) = two_chunks().await;
        sqlx::query(change).execute(&mut beside).await.unwrap();
        let error = store.chunks(&keys(&store).await).await.unwrap_err();
        assert!(
            matches!(error, StoreError::DamagedChunk { .. }),
            "{change}: {error}"
        );
    }
}

#[tokio::test]
async fn a_block_of_the_first_versions_is_read() {
    let (_folder, store, mut beside) = two_chunks().await;
    let keys = keys(&store).await;
    let whole = store.chunks(&keys).await.unwrap();
    let mut block: Vec<u8> = sqlx::query_scalar("SELECT data FROM blocks WHERE arrival = 1")
        .fetch_one(&mut beside)
        .await
        .unwrap();
    block[3] &= 0x7f;
    block.truncate(block.len() - 4);
    set(&mut beside, &block).await;
    assert_eq!(store.chunks(&keys).await.unwrap(), whole);
}
