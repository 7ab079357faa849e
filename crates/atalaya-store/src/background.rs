//! A store that may be away while the program already runs: it connects in the background, and
//! again and again until that worked.
//!
//! Promises:
//! - Opening never waits. The calls of the first moments wait for the first attempt; after that a
//!   call answers at once, with [`StoreError::NotOpen`] and the reason until there is a store.
//! - What keeps the store from being opened is said as what it is and taken as passing, a missing
//!   schema too: somebody may make it meanwhile.
//! - Once connected, the driver below keeps its connections alive by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use atalaya_domain::backoff::Backoff;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::health::database::Database;
use atalaya_domain::health::ring::Ring;
use atalaya_domain::record::{Layer, OriginId, RequestId, Whose};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, Expired, FrameChunks, Order,
    RecordFilter, StoreHealth, Troubles,
};
use super::engine::build::bucket_of;
use super::error::{Backend, StoreError, describe};
use super::metrics::sql::{SqlDatabase, View, Work};

/// Between two attempts: a server that starts is found soon, and one that is gone costs nothing.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// One attempt to open a store.
pub type Connect<S> = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<S>, StoreError>> + Send + Sync>;

/// A store that is opened in the background: a [`ChunkStore`], or a database of metrics and so a
/// [`MetricsStore`](super::metrics::MetricsStore), as what it opens is one.
pub struct Background<S: ?Sized> {
    backend: Backend,
    address: String,
    state: watch::Receiver<Opening<S>>,
    _task: Option<AbortOnDropHandle<()>>,
}

enum Opening<S: ?Sized> {
    /// The first attempt runs.
    Connecting,
    /// The last attempt failed; the next one follows by itself.
    Away(Arc<StoreError>),
    Connected(Arc<S>),
}

impl<S: ?Sized + Send + Sync + 'static> Background<S> {
    /// Starts the attempts; they end when one succeeded or the store is dropped.
    pub fn start(backend: Backend, address: String, connect: Connect<S>) -> Self {
        let (sender, state) = watch::channel(Opening::Connecting);
        let name = address.clone();
        let task = tokio::spawn(async move {
            attempt_until_connected(backend, &name, &connect, &sender).await;
        });
        Self {
            backend,
            address,
            state,
            _task: Some(AbortOnDropHandle::new(task)),
        }
    }

    /// A store that could not be opened, for who does not wait until it can be: every call has this
    /// reason.
    pub fn away(backend: Backend, address: String, reason: StoreError) -> Self {
        let (_, state) = watch::channel(Opening::Away(Arc::new(reason)));
        Self {
            backend,
            address,
            state,
            _task: None,
        }
    }

    /// The store, once there is one.
    async fn store(&self) -> Result<Arc<S>, StoreError> {
        let mut state = self.state.clone();
        let known = state
            .wait_for(|state| !matches!(state, Opening::Connecting))
            .await;
        match known.as_deref() {
            Ok(Opening::Connected(store)) => Ok(Arc::clone(store)),
            Ok(Opening::Away(error)) => Err(StoreError::NotOpen(Arc::clone(error))),
            // The runtime is shutting down.
            Ok(Opening::Connecting) | Err(_) => Err(self.unavailable("the program is ending")),
        }
    }

    fn unavailable(&self, reason: &str) -> StoreError {
        StoreError::Unavailable {
            backend: self.backend,
            address: self.address.clone(),
            source: reason.into(),
        }
    }

    fn connected(&self) -> Option<Arc<S>> {
        match &*self.state.borrow() {
            Opening::Connected(store) => Some(Arc::clone(store)),
            Opening::Connecting | Opening::Away(_) => None,
        }
    }
}

async fn attempt_until_connected<S: ?Sized>(
    backend: Backend,
    address: &str,
    connect: &Connect<S>,
    sender: &watch::Sender<Opening<S>>,
) {
    let mut told = String::new();
    for failures in 1_u32.. {
        let error = match connect().await {
            Ok(store) => {
                tracing::info!(%backend, address, "connected");
                sender.send_replace(Opening::Connected(store));
                return;
            }
            Err(error) => error,
        };
        let reason = describe(&error);
        if reason != told {
            tracing::warn!(%backend, address, reason, "the store is away; trying again until it is there");
            told = reason;
        }
        sender.send_replace(Opening::Away(Arc::new(error)));
        tokio::time::sleep(PAUSES.after(failures)).await;
    }
}

#[async_trait]
impl ChunkStore for Background<dyn ChunkStore> {
    fn backend(&self) -> Backend {
        self.backend
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    /// The defaults until the store has told its own; [`put`](ChunkStore::put) takes nothing that
    /// was cut with other ones.
    fn settings(&self) -> ChunkSettings {
        self.connected()
            .map_or_else(ChunkSettings::default, |store| store.settings())
    }

    fn retention(&self) -> Option<Duration> {
        self.connected()?.retention()
    }

    async fn expire_before(&self, before: Timestamp) -> Result<Option<Expired>, StoreError> {
        self.store().await?.expire_before(before).await
    }

    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        let store = self.store().await?;
        let settings = store.settings();
        let fits = frames.iter().flat_map(|frame| &frame.chunks).all(|chunk| {
            let summary = &chunk.summary;
            let bucket = summary.key.bucket;
            bucket_of(bucket.layer, summary.key.first_at, settings) == bucket
                && bucket_of(bucket.layer, summary.last_at, settings) == bucket
        });
        if !fits {
            return Err(self.unavailable("it has just become known how wide its partitions are"));
        }
        store.put(frames).await
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.store().await?.watermark(origin).await
    }

    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        self.store().await?.watermarks(after, limit).await
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        self.store()
            .await?
            .buckets(layer, range, order, limit)
            .await
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        self.store().await?.summaries(bucket).await
    }

    async fn summaries_of(&self, buckets: &[Bucket]) -> Result<Vec<ChunkSummary>, StoreError> {
        self.store().await?.summaries_of(buckets).await
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        self.store().await?.chunks(keys).await
    }

    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.store().await?.filtered(keys, filter).await
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        self.store().await?.request(id).await
    }

    async fn holders(
        &self,
        whose: Whose<'_>,
        range: TimeRange,
    ) -> Result<Option<Vec<ChunkSummary>>, StoreError> {
        self.store().await?.holders(whose, range).await
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        self.store().await?.arrivals_end().await
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        self.store().await?.arrivals(cursor, limit).await
    }
}

#[async_trait]
impl StoreHealth for Background<dyn ChunkStore> {
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        self.store().await?.stats().await
    }

    async fn ring(&self) -> Option<Ring> {
        self.store().await.ok()?.ring().await
    }

    fn outages(&self) -> u64 {
        self.connected().map_or(0, |store| store.outages())
    }

    fn read_only(&self) -> Option<String> {
        self.connected()?.read_only()
    }

    fn troubles(&self) -> Troubles {
        self.connected()
            .map(|store| store.troubles())
            .unwrap_or_default()
    }
}

/// All metrics at once: what has its trait for every database has it for one that is opened later.
impl<D: SqlDatabase> SqlDatabase for Background<D> {
    type Bare = Self;

    fn bare(self: Arc<Self>) -> Arc<Self> {
        self
    }

    fn backend(&self) -> Backend {
        self.backend
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.store().await?.write(input, work).await
    }

    async fn read<I, T>(&self, view: View, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.store().await?.read(view, input, work).await
    }

    async fn vitals(&self) -> Result<Database, StoreError> {
        self.store().await?.vitals().await
    }

    async fn snapshot(&self, into: &Path) -> Result<Vec<String>, StoreError> {
        self.store().await?.snapshot(into).await
    }

    fn read_only(&self) -> Option<String> {
        self.connected()?.read_only()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::build::build;
    use crate::engine::tests::Memory;
    use atalaya_domain::record::{Entry, Frame, Origin};

    fn logs(connect: Connect<dyn ChunkStore>) -> Background<dyn ChunkStore> {
        Background::start(
            Backend::Cassandra,
            "10.0.0.1:9042/logging".to_owned(),
            connect,
        )
    }

    fn missing() -> StoreError {
        StoreError::Unavailable {
            backend: Backend::Cassandra,
            address: "10.0.0.1:9042/logging".to_owned(),
            source: "connection refused".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_away_with_the_reason_until_an_attempt_succeeds() {
        let real: Arc<dyn ChunkStore> = Arc::new(Memory::default());
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let store = logs(Box::new(move || {
            let real = Arc::clone(&real);
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                if attempt < 3 {
                    Err(missing())
                } else {
                    Ok(real)
                }
            })
        }));
        let error = store.stats().await.unwrap_err();
        assert!(error.is_transient());
        assert_eq!(
            describe(&error),
            "Cassandra is unreachable at 10.0.0.1:9042/logging: connection refused"
        );
        // Time passes by itself while everything waits.
        let mut state = store.state.clone();
        state
            .wait_for(|state| matches!(state, Opening::Connected(_)))
            .await
            .unwrap();
        assert_eq!(attempts.load(Ordering::SeqCst), 4);
        store.stats().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_person_has_to_do_is_said_and_waited_for() {
        let address = "10.0.0.1:9042/logging".to_owned();
        let backend = Backend::Cassandra;
        let errors = [
            StoreError::MissingSchema {
                backend,
                address: address.clone(),
                detail: "no keyspace".to_owned(),
            },
            StoreError::NotAuthenticated {
                backend,
                address: address.clone(),
                reason: "wrong".to_owned(),
            },
            StoreError::OlderSchema {
                address: address.clone(),
                found: 1,
                known: 4,
            },
            StoreError::NewerSchema {
                address,
                found: 5,
                known: 4,
            },
        ];
        for error in errors {
            let words = describe(&error);
            let error = Arc::new(error);
            let store = logs(Box::new(move || {
                let error = Arc::clone(&error);
                Box::pin(async move { Err(StoreError::NotOpen(error)) })
            }));
            let told = store.stats().await.unwrap_err();
            assert_eq!(describe(&told), words);
            assert!(
                told.is_transient() && told.is_absence(),
                "it is no reason to give records up"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_before_the_width_was_known_is_not_taken() {
        let real: Arc<dyn ChunkStore> = Arc::new(Memory::default());
        let store = logs(Box::new(move || {
            let real = Arc::clone(&real);
            Box::pin(async move { Ok(real) })
        }));
        let origin = Arc::new(Origin {
            id: OriginId::from_u128(1),
            layer: Layer::Application,
            source: "app".into(),
            host: "h".into(),
        });
        // Two records in different buckets of 10 minutes.
        let entries = [0, 11]
            .map(|minute| Entry {
                timestamp: Timestamp::from_micros(minute * 60_000_000),
                position: minute.unsigned_abs(),
                ..Entry::default()
            })
            .to_vec();
        let frame = Frame {
            origin,
            from: 0,
            until: 20,
            entries,
        };
        let error = store
            .put(vec![build(&frame, ChunkSettings { bucket_minutes: 60 })])
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        let buckets = || store.buckets(Layer::Application, TimeRange::ALL, Order::OldestFirst, 10);
        assert_eq!(buckets().await.unwrap(), []);
        store
            .put(vec![build(&frame, store.settings())])
            .await
            .unwrap();
        assert_eq!(buckets().await.unwrap().len(), 2);
    }
}
