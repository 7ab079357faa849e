//! Sizes and counts for the health view, without a counter in the write path: by the summaries of
//! the newest buckets, and what is older by their average.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;

use crate::chunks::{ChunkStoreStats, Order};
use crate::error::StoreError;
use crate::sync::lock;
use atalaya_domain::record::Layer;
use atalaya_domain::time::TimeRange;

use super::log_store::CassandraLogStore;

/// Partitions counted exactly, of each layer: two weeks of ten minutes, where a bucket is one.
const COUNTED: usize = 2_016;
/// Buckets counted at once.
const AT_ONCE: usize = 16;
/// A count of fewer buckets is made anew each time, however busy the ring is: what is new is seen.
const CHEAP: usize = 64;
/// One of more is kept for so many times what it took, and not for longer than this.
const KEPT: u32 = 50;
const LONGEST_KEPT: Duration = Duration::from_secs(60);

/// Tables that grow with the records.
const TABLES: [&str; 5] = [
    "application_logs",
    "infrastructure_logs",
    "application_summaries",
    "infrastructure_summaries",
    "request_index",
];

/// The last count that was dear, and until when it stands.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<Option<(ChunkStoreStats, Instant)>>);

impl Counted {
    fn fresh(&self) -> Option<ChunkStoreStats> {
        let last = *lock(&self.0);
        last.filter(|(_, until)| Instant::now() < *until)
            .map(|(stats, _)| stats)
    }

    fn keep(&self, stats: ChunkStoreStats, buckets: usize, begun: Instant) {
        let until = Instant::now() + (begun.elapsed() * KEPT).min(LONGEST_KEPT);
        let kept = (buckets >= CHEAP).then_some((stats, until));
        *lock(&self.0) = kept;
    }
}

impl CassandraLogStore {
    pub(super) async fn read_stats(&self) -> Result<ChunkStoreStats, StoreError> {
        if let Some(stats) = self.counted.fresh() {
            return Ok(stats);
        }
        let begun = Instant::now();
        let mut stats = ChunkStoreStats::default();
        let mut plain_bytes = 0;
        let mut partitions = 0;
        for layer in Layer::ALL {
            let buckets = self
                .read_buckets(layer, TimeRange::ALL, Order::NewestFirst, usize::MAX)
                .await?;
            let most = (COUNTED / usize::from(self.settings.shards.max(1))).max(1);
            let counted = &buckets[..buckets.len().min(most)];
            partitions += counted.len();
            let counts = counted.iter().map(|&bucket| async move {
                let summaries = self.read_summaries(&[bucket]).await?;
                let records = summaries
                    .iter()
                    .map(|found| u64::from(found.summary.records()))
                    .sum::<u64>();
                let bytes = summaries.iter().map(|found| found.bytes).sum::<u64>();
                Ok::<_, StoreError>((records, summaries.len() as u64, bytes))
            });
            let counts: Vec<(u64, u64, u64)> = stream::iter(counts.collect::<Vec<_>>())
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            let sum = counts.iter().fold((0, 0, 0), |sum, next| {
                (sum.0 + next.0, sum.1 + next.1, sum.2 + next.2)
            });
            // With `usize::MAX` asked for, these are all there are.
            let whole = |part: u64| match counted.len() as u128 {
                0 => 0,
                count => u64::try_from(u128::from(part) * buckets.len() as u128 / count)
                    .unwrap_or(u64::MAX),
            };
            stats.records += whole(sum.0);
            stats.chunks += whole(sum.1);
            plain_bytes += whole(sum.2);
        }
        stats.disk_bytes = match self.disk_bytes().await {
            0 => plain_bytes,
            bytes => bytes,
        };
        self.counted.keep(stats, partitions, begun);
        Ok(stats)
    }

    /// What the node that answers has on its disk, in whole mebibytes; 0 where it cannot be asked
    /// (before Cassandra 4.0, or without the right to look).
    async fn disk_bytes(&self) -> u64 {
        let tables: Vec<String> = TABLES.iter().map(|table| format!("'{table}'")).collect();
        let query = format!(
            "SELECT mebibytes FROM system_views.disk_usage WHERE keyspace_name = '{}' AND table_name IN ({})",
            self.options.keyspace,
            tables.join(", ")
        );
        let read = async {
            let mut query = Statement::new(query.as_str());
            query.set_consistency(Consistency::One);
            let rows = self
                .session
                .query_unpaged(query, ())
                .await
                .ok()?
                .into_rows_result()
                .ok()?;
            let sizes = rows.rows::<(i64,)>().ok()?;
            Some(
                sizes
                    .flatten()
                    .map(|(mebibytes,)| u64::try_from(mebibytes).unwrap_or(0))
                    .sum::<u64>(),
            )
        };
        read.await.unwrap_or(0) * 1024 * 1024
    }
}
