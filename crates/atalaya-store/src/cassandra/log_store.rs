//! [`CassandraLogStore`]: the chunk store on a ring. What it does is in its neighbours: `write`,
//! `read` and `arrivals`; here is what they share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use scylla::client::session::Session;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::bound::BoundStatement;
use scylla::statement::prepared::PreparedStatement;

use crate::chunks::{
    ArrivalCursor, ChunkSettings, ChunkStore, ChunkStoreStats, FrameChunks, Order, RecordFilter,
    StoreHealth, Troubles,
};
use crate::error::{Backend, StoreError};
use crate::quarantine::Quarantine;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, RequestEntry};
use atalaya_domain::health::ring::Ring;
use atalaya_domain::record::{Layer, OriginId, RequestId};
use atalaya_domain::time::TimeRange;

use super::arrivals::Announcer;
use super::codec::Damage;
use super::connect::{CassandraOptions, connect};
use super::errors::refused;
use super::health::RingProbe;
use super::outages::Outages;
use super::place::chunk_settings;
use super::retry::{Load, Resilience, RetrySettings};
use super::schema::{self, SchemaSettings};
use super::statements::{Cell, Cells, Statements};
use super::stats::Counted;
use super::writer_cursor::WriterCursor;

/// Chunks in Apache Cassandra. Cheap to share; safe to use from many tasks.
#[derive(Debug)]
pub struct CassandraLogStore {
    pub(super) session: Arc<Session>,
    pub(super) options: CassandraOptions,
    pub(super) settings: SchemaSettings,
    pub(super) statements: Statements,
    pub(super) writes: Resilience,
    pub(super) reads: Resilience,
    pub(super) announcer: Announcer,
    /// Buckets whose rows this process has written: until which second they live, and when that was.
    pub(super) written: Mutex<HashMap<Bucket, (i64, Instant)>>,
    pub(super) quarantine: Option<Arc<dyn Quarantine>>,
    pub(super) expired: AtomicU64,
    warnings: AtomicU64,
    pub(super) counted: Counted,
    probe: RingProbe,
    outages: Outages,
}

impl CassandraLogStore {
    /// Connects to a keyspace whose schema is of this program's version.
    pub async fn connect(options: &CassandraOptions) -> Result<Self, StoreError> {
        let session = Arc::new(connect(options).await?);
        Self::open(session, options, RetrySettings::default()).await
    }

    /// As [`connect`](Self::connect), on a session that is there already, and with another patience.
    pub async fn open(
        session: Arc<Session>,
        options: &CassandraOptions,
        writes: RetrySettings,
    ) -> Result<Self, StoreError> {
        let settings = schema::require(&session, options).await?;
        let statements = Statements::prepare(&session, options).await?;
        let reads = RetrySettings {
            budget: RetrySettings::reads().budget.min(writes.budget),
            ..writes
        };
        Ok(Self {
            probe: RingProbe::new(Arc::clone(&session), options.keyspace.clone()),
            outages: Outages::watch(&session),
            session,
            options: options.clone(),
            settings,
            statements,
            writes: Resilience::new(options.address(), writes),
            reads: Resilience::new(options.address(), reads),
            announcer: Announcer::new(),
            written: Mutex::default(),
            quarantine: None,
            expired: AtomicU64::new(0),
            warnings: AtomicU64::new(0),
            counted: Counted::default(),
        })
    }

    /// Records that the ring can never take go there; without it such a put is refused.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Arc<dyn Quarantine>) -> Self {
        self.quarantine = Some(quarantine);
        self
    }

    /// What all hosts on this keyspace agree on.
    pub fn schema_settings(&self) -> &SchemaSettings {
        &self.settings
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub fn options(&self) -> &CassandraOptions {
        &self.options
    }

    /// Records that were put and not written since they are older than the retention.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// How often a node warned about what was sent (a batch that is too large, for one): never.
    pub fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    /// What the retry layers know: of the writes and of the reads.
    pub fn load(&self) -> (Load, Load) {
        (self.writes.load(), self.reads.load())
    }

    /// Sends one statement that writes, again while that may help.
    pub(super) async fn execute(
        &self,
        what: &'static str,
        statement: &PreparedStatement,
        cells: &[Cell<'_>],
    ) -> Result<QueryResult, StoreError> {
        let bound = bind(statement, cells)?;
        let result = self
            .writes
            .run(what, || self.session.execute_bound_unpaged(&bound))
            .await?;
        for warning in result.warnings() {
            let before = self.warnings.fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                tracing::warn!(what, warning, "the ring warns about what is written");
            }
        }
        Ok(result)
    }

    /// Reads all rows of an answer that is known to be small.
    pub(super) async fn query(
        &self,
        statement: &PreparedStatement,
        cells: &[Cell<'_>],
    ) -> Result<QueryRowsResult, StoreError> {
        let bound = bind(statement, cells)?;
        let result = self
            .reads
            .run("read", || self.session.execute_bound_unpaged(&bound))
            .await?;
        result.into_rows_result().map_err(refused)
    }

    /// Reads one page, and where the next one begins.
    pub(super) async fn page(
        &self,
        bound: &BoundStatement,
        from: PagingState,
    ) -> Result<(QueryRowsResult, Option<PagingState>), StoreError> {
        let read = self.reads.run("read", || {
            self.session.execute_bound_single_page(bound, from.clone())
        });
        let (result, next): (QueryResult, PagingStateResponse) = read.await?;
        let rows = result.into_rows_result().map_err(refused)?;
        Ok((rows, next.into_paging_control_flow().continue_value()))
    }
}

pub(super) fn bind(
    statement: &PreparedStatement,
    cells: &[Cell<'_>],
) -> Result<BoundStatement, StoreError> {
    statement.clone().bind(&Cells(cells)).map_err(refused)
}

pub(super) fn corrupt(table: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        table,
        detail: detail.into(),
    }
}

pub(super) fn damaged(table: &'static str) -> impl Fn(Damage) -> StoreError {
    move |damage| corrupt(table, damage)
}

#[async_trait]
impl ChunkStore for CassandraLogStore {
    fn backend(&self) -> Backend {
        Backend::Cassandra
    }

    fn address(&self) -> String {
        self.options.address()
    }

    fn settings(&self) -> ChunkSettings {
        chunk_settings(&self.settings)
    }

    fn retention(&self) -> Option<Duration> {
        let days = u64::from(self.settings.retention_days);
        (days > 0).then(|| Duration::from_secs(days * 86_400))
    }

    /// Durable by the rules of the keyspace: acknowledged by as many nodes as the consistency
    /// asks for, each of which may take up to ten seconds to sync its commit log. Whoever must not
    /// lose anything to a power cut keeps what was put for that long (the spool does).
    ///
    /// Chunks whose newest record is older than the retention are not written but counted
    /// ([`CassandraLogStore::expired`]) and logged.
    async fn put(&self, frames: Vec<FrameChunks>) -> Result<(), StoreError> {
        self.write(frames).await
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.read_watermark(origin).await
    }

    async fn watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        self.read_watermarks(after, limit).await
    }

    async fn buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        self.read_buckets(layer, range, order, limit).await
    }

    async fn summaries(&self, bucket: Bucket) -> Result<Vec<ChunkSummary>, StoreError> {
        self.summaries_of(&[bucket]).await
    }

    async fn summaries_of(&self, buckets: &[Bucket]) -> Result<Vec<ChunkSummary>, StoreError> {
        let summaries = self.read_summaries(buckets).await?;
        Ok(summaries
            .into_iter()
            .map(|summarised| summarised.summary)
            .collect())
    }

    async fn chunks(&self, keys: &[ChunkKey]) -> Result<Vec<Chunk>, StoreError> {
        self.read_chunks(keys, None).await
    }

    async fn filtered(
        &self,
        keys: &[ChunkKey],
        filter: Arc<dyn RecordFilter>,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.read_chunks(keys, Some(filter)).await
    }

    async fn request(&self, id: &RequestId) -> Result<Vec<RequestEntry>, StoreError> {
        self.read_request(id).await
    }

    async fn arrivals_end(&self) -> Result<ArrivalCursor, StoreError> {
        Ok(ArrivalCursor::new(self.read_arrivals_end().await?))
    }

    async fn arrivals(
        &self,
        cursor: ArrivalCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, ArrivalCursor), StoreError> {
        let Some(cursor) = cursor.get::<WriterCursor>().cloned() else {
            return Err(corrupt("arrivals", "this cursor is of another store"));
        };
        let (summaries, next) = self.read_arrivals(cursor, limit).await?;
        Ok((summaries, ArrivalCursor::new(next)))
    }
}

#[async_trait]
impl StoreHealth for CassandraLogStore {
    /// Records and chunks are counted exactly, by the summaries, in the newest buckets (two
    /// thousand partitions of each layer); older ones are taken to hold as many as these on average.
    /// The size is what the node that answers has on its disk for the keyspace: its own share on a
    /// ring of several, and nothing of what is in its memory still. Where it has nothing on disk,
    /// the size of the records before compression stands instead.
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError> {
        self.read_stats().await
    }

    async fn ring(&self) -> Option<Ring> {
        Some(self.probe.measure().await)
    }

    /// Of any node: with several copies the others have what one has lost, unless they die too.
    fn outages(&self) -> u64 {
        self.outages.count()
    }

    fn troubles(&self) -> Troubles {
        Troubles {
            reads: self.reads.trouble(),
            writes: self.writes.trouble(),
            ..Troubles::default()
        }
    }
}
