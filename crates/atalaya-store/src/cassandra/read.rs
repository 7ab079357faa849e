//! Reads, each of named partitions: days and buckets by their lists, summaries without records,
//! records by key, a request through its index.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlDate;
use uuid::Uuid;

use crate::chunks::{Order, RecordFilter};
use crate::engine::build::{bucket_of, bucket_range};
use crate::error::StoreError;
use atalaya_domain::chunk::{Bucket, Chunk, ChunkKey, ChunkSummary, Entries, RequestEntry};
use atalaya_domain::record::{Layer, OriginId, Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::codec::{self, Damage, Origins, Raw, Summarised};
use super::errors::refused;
use super::log_store::{CassandraLogStore, bind, corrupt, damaged};
use super::place::{
    DAY, Place, bucket_at, chunk_settings, date_of, day_and_window, day_of, index_name,
    index_shard_of, millis_of, period_of,
};
use super::schema::SchemaSettings;
use super::statements::Cell;

/// Chunks of one call in flight.
const CHUNKS: usize = 16;
/// Days whose buckets are asked for at once, at most; a read that finds what it wants in the first
/// asks for no other.
const DAYS: usize = 32;
/// Periods of the request index asked for at once: all of 90 days.
const PERIODS: usize = 32;
/// Partitions of one layer and day whose summaries are asked for in one statement. The request costs
/// more than the partition (measured, 288 partitions of 15 KB, 64 in flight, two runs: one by one 35 and
/// 27 ms and 52 and 35 ms of a node's CPU; in fours 27 and 22, 40 and 28; in eights 27 and 19, 41 and 24).
/// In a ring of more nodes than copies the node that is asked passes some on.
const NEIGHBOURS: usize = 8;
/// Groups of summaries in a page: up to eight megabytes, usually much less.
const SUMMARY_PAGE: i32 = 256;
/// Fewer bytes are decoded where they arrive; more would hold up other tasks.
const FEW_BYTES: usize = 64 * 1024;

impl CassandraLogStore {
    pub(super) async fn read_watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        let cells = [Cell::Uuid(Uuid::from_u128(origin.as_u128()))];
        let rows = self
            .query(&self.statements.watermarks.of_origin, &cells)
            .await?;
        let row = rows
            .maybe_first_row::<(i64,)>()
            .map_err(|error| corrupt("watermarks", error.to_string()))?;
        Ok(row.map(|(until,)| until.cast_unsigned()))
    }

    /// In the order of Cassandra's tokens.
    pub(super) async fn read_watermarks(
        &self,
        after: Option<OriginId>,
        limit: usize,
    ) -> Result<Vec<(OriginId, u64)>, StoreError> {
        let limit = Cell::Int(i32::try_from(limit).unwrap_or(i32::MAX));
        if matches!(limit, Cell::Int(0)) {
            return Ok(Vec::new());
        }
        let rows = match after {
            None => {
                self.query(&self.statements.watermarks.first_page, &[limit])
                    .await?
            }
            Some(origin) => {
                let cells = [Cell::Uuid(Uuid::from_u128(origin.as_u128())), limit];
                self.query(&self.statements.watermarks.next_page, &cells)
                    .await?
            }
        };
        let wrong = |error: &dyn std::error::Error| corrupt("watermarks", error.to_string());
        rows.rows::<(Uuid, i64)>()
            .map_err(|error| wrong(&error))?
            .map(|row| {
                let (origin, until) = row.map_err(|error| wrong(&error))?;
                Ok((OriginId::from_u128(origin.as_u128()), until.cast_unsigned()))
            })
            .collect()
    }

    pub(super) async fn read_buckets(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let last_instant = range.from == Timestamp::MAX && range.until == Timestamp::MAX;
        if (range.is_empty() && !last_instant) || limit == 0 {
            return Ok(Vec::new());
        }
        let days = self.read_days(layer, range, order).await?;
        let mut found = Vec::new();
        let mut rest = days.as_slice();
        let mut at_once = 1;
        while !rest.is_empty() && found.len() < limit {
            let (now, after) = rest.split_at(at_once.min(rest.len()));
            rest = after;
            at_once = (at_once * 4).min(DAYS);
            let reads =
                futures::future::try_join_all(now.iter().map(|&day| self.read_day(layer, day)));
            for mut buckets in reads.await? {
                if order == Order::OldestFirst {
                    buckets.reverse();
                }
                found.extend(
                    buckets
                        .into_iter()
                        .filter(|&bucket| self.overlaps(bucket, &range)),
                );
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn overlaps(&self, bucket: Bucket, range: &TimeRange) -> bool {
        let span = bucket_range(bucket, chunk_settings(&self.settings));
        (span.until > range.from || span.until == Timestamp::MAX)
            && (span.from < range.until || range.until == Timestamp::MAX)
    }

    /// Days of a layer that touch the range. A year is 365 tiny rows.
    async fn read_days(
        &self,
        layer: Layer,
        range: TimeRange,
        order: Order,
    ) -> Result<Vec<i64>, StoreError> {
        let statement = match order {
            Order::NewestFirst => &self.statements.days.days_newest,
            Order::OldestFirst => &self.statements.days.days_oldest,
        };
        let day = |at: Timestamp| Cell::Date(date_of(at.micros().div_euclid(DAY)));
        let cells = [Cell::Text(layer.name()), day(range.from), day(range.until)];
        let mut days = Vec::new();
        self.each_page(statement, &cells, |rows| {
            let wrong = |error: &dyn std::error::Error| corrupt("log_days", error.to_string());
            for row in rows.rows::<(CqlDate,)>().map_err(|error| wrong(&error))? {
                days.push(day_of(row.map_err(|error| wrong(&error))?.0));
            }
            Ok(())
        })
        .await?;
        Ok(days)
    }

    /// Buckets of one day, the newest first.
    async fn read_day(&self, layer: Layer, day: i64) -> Result<Vec<Bucket>, StoreError> {
        let cells = [Cell::Text(layer.name()), Cell::Date(date_of(day))];
        let rows = self.query(&self.statements.days.buckets, &cells).await?;
        let wrong = |error: &dyn std::error::Error| corrupt("log_buckets", error.to_string());
        rows.rows::<(i16,)>()
            .map_err(|error| wrong(&error))?
            .map(|row| {
                let (window,) = row.map_err(|error| wrong(&error))?;
                Ok(bucket_at(layer, day, window, &self.settings))
            })
            .collect()
    }

    /// Of all these buckets together, the newest first, each once.
    pub(super) async fn read_summaries(
        &self,
        buckets: &[Bucket],
    ) -> Result<Vec<Summarised>, StoreError> {
        let neighbours = buckets
            .chunk_by(|one, next| {
                let day =
                    |bucket: &Bucket| (bucket.layer, day_and_window(*bucket, &self.settings).0);
                day(one) == day(next)
            })
            .flat_map(|of_a_day| of_a_day.chunks(NEIGHBOURS));
        let reads = neighbours.flat_map(|some| {
            (0..self.settings.shards).map(move |shard| self.read_partitions(some, shard))
        });
        let mut summaries: Vec<Summarised> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(CHUNKS)
            .try_concat()
            .await?;
        summaries.sort_by(|one, two| {
            let (one, two) = (&one.summary.key, &two.summary.key);
            two.first_at.cmp(&one.first_at).then(one.id.cmp(&two.id))
        });
        // Put twice in different company.
        summaries.dedup_by_key(|found| found.summary.key);
        Ok(summaries)
    }

    /// One shard of a few buckets of one layer and day.
    async fn read_partitions(
        &self,
        buckets: &[Bucket],
        shard: u16,
    ) -> Result<Vec<Summarised>, StoreError> {
        let Some(layer) = buckets.first().map(|bucket| bucket.layer) else {
            return Ok(Vec::new());
        };
        let (days, windows): (Vec<i64>, Vec<i16>) = buckets
            .iter()
            .map(|bucket| day_and_window(*bucket, &self.settings))
            .unzip();
        let day = Cell::Date(date_of(days[0]));
        let shard = Cell::Short(i16::try_from(shard).unwrap_or(i16::MAX));
        let statements = self.statements.of(layer);
        // The driver knows which node has one partition, and asks it.
        let (mut statement, cells) = match windows[..] {
            [window] => (
                statements.summaries.clone(),
                [day, Cell::Short(window), shard],
            ),
            _ => (
                statements.summaries_of_some.clone(),
                [day, Cell::Shorts(&windows), shard],
            ),
        };
        statement.set_page_size(SUMMARY_PAGE);
        let bound = bind(&statement, &cells)?;
        let mut from = Some(PagingState::start());
        let mut summaries = Vec::new();
        while let Some(page) = from {
            let (rows, next) = self.page(&bound, page).await?;
            from = next;
            let settings = self.settings.clone();
            summaries.append(
                &mut away_if(rows.rows_bytes_size() > FEW_BYTES, move || {
                    summaries_of(&rows, layer, &settings)
                })
                .await?,
            );
        }
        Ok(summaries)
    }

    pub(super) async fn read_chunks(
        &self,
        keys: &[ChunkKey],
        filter: Option<Arc<dyn RecordFilter>>,
    ) -> Result<Vec<Chunk>, StoreError> {
        let reads = keys.iter().map(|key| self.read_chunk(*key, filter.clone()));
        let found: Vec<Option<Chunk>> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(CHUNKS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn read_chunk(
        &self,
        key: ChunkKey,
        filter: Option<Arc<dyn RecordFilter>>,
    ) -> Result<Option<Chunk>, StoreError> {
        let place = Place::of(&key, &self.settings);
        let cells = [
            Cell::Date(place.date()),
            Cell::Short(place.bucket),
            Cell::Short(place.shard),
            Cell::Long(millis_of(key.first_at)),
            Cell::Uuid(key.id),
        ];
        let rows = self
            .query(&self.statements.of(key.bucket.layer).chunk, &cells)
            .await?;
        if rows.rows_num() == 0 {
            return Ok(None);
        }
        let settings = self.settings.clone();
        // A chunk is up to 64 KiB of text: half a millisecond.
        away_if(true, move || {
            chunk_of(&rows, key, filter.as_deref(), &settings)
        })
        .await
    }

    pub(super) async fn read_request(
        &self,
        id: &RequestId,
    ) -> Result<Vec<RequestEntry>, StoreError> {
        let name = index_name(id);
        let shard = index_shard_of(&name, &self.settings);
        let days = futures::future::try_join_all(
            Layer::ALL.map(|layer| self.read_days(layer, TimeRange::ALL, Order::NewestFirst)),
        );
        let periods: BTreeSet<i64> = days
            .await?
            .into_iter()
            .flatten()
            .map(|day| period_of(day, &self.settings))
            .collect();
        let reads = periods
            .into_iter()
            .map(|period| self.read_period(period, shard, &name, id));
        stream::iter(reads.collect::<Vec<_>>())
            .buffer_unordered(PERIODS)
            .try_concat()
            .await
    }

    async fn read_period(
        &self,
        period: i64,
        shard: i16,
        name: &str,
        id: &RequestId,
    ) -> Result<Vec<RequestEntry>, StoreError> {
        let cells = [
            Cell::Date(date_of(period)),
            Cell::Short(shard),
            Cell::Text(name),
        ];
        let mut entries = Vec::new();
        let chunks = chunk_settings(&self.settings);
        self.each_page(&self.statements.request, &cells, |rows| {
            let wrong = |error: &dyn std::error::Error| corrupt("request_index", error.to_string());
            for row in rows.rows::<(Raw<'_>,)>().map_err(|error| wrong(&error))? {
                let (value,) = row.map_err(|error| wrong(&error))?;
                let found = codec::decode_request_chunks(value.0, id, |layer, at| {
                    bucket_of(layer, at, chunks)
                });
                entries.extend(found.map_err(damaged("request_index"))?);
            }
            Ok(())
        })
        .await?;
        Ok(entries)
    }

    /// Reads all pages of an answer, one after the other.
    pub(super) async fn each_page(
        &self,
        statement: &PreparedStatement,
        cells: &[Cell<'_>],
        mut take: impl FnMut(QueryRowsResult) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let bound = bind(statement, cells)?;
        let mut from = Some(PagingState::start());
        while let Some(page) = from {
            let (rows, next) = self.page(&bound, page).await?;
            from = next;
            take(rows)?;
        }
        Ok(())
    }
}

/// Runs `work` on a thread where it may take its time, when there is much of it.
async fn away_if<T: Send + 'static>(
    much: bool,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if !much {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(refused)?
}

fn summaries_of(
    rows: &QueryRowsResult,
    layer: Layer,
    settings: &SchemaSettings,
) -> Result<Vec<Summarised>, StoreError> {
    let wrong = |error: &dyn std::error::Error| corrupt("summaries", error.to_string());
    let chunks = chunk_settings(settings);
    let mut origins = Origins::default();
    let mut summaries = Vec::new();
    for row in rows.rows::<(Raw<'_>,)>().map_err(|error| wrong(&error))? {
        let (value,) = row.map_err(|error| wrong(&error))?;
        for (_, id, summary) in codec::decode_visible(value.0).map_err(damaged("summaries"))? {
            let bucket = |at| bucket_of(layer, at, chunks);
            let found = codec::decode_summary(summary, layer, id, bucket, &mut origins);
            summaries.push(
                found.map_err(|damage| corrupt("summaries", format!("chunk {id}: {damage}")))?,
            );
        }
    }
    Ok(summaries)
}

fn chunk_of(
    rows: &QueryRowsResult,
    key: ChunkKey,
    filter: Option<&dyn RecordFilter>,
    settings: &SchemaSettings,
) -> Result<Option<Chunk>, StoreError> {
    let wrong = |error: &dyn std::error::Error| corrupt("logs", error.to_string());
    let row = rows
        .maybe_first_row::<(Raw<'_>, Raw<'_>)>()
        .map_err(|error| wrong(&error))?;
    let Some((summary, logs)) = row else {
        return Ok(None);
    };
    let chunks = chunk_settings(settings);
    let layer = key.bucket.layer;
    let decoded = codec::decode_summary(
        summary.0,
        layer,
        key.id,
        |at| bucket_of(layer, at, chunks),
        &mut Origins::default(),
    )
    .and_then(|found| decode_records(found.summary, logs.0, filter));
    let chunk = decoded.map_err(|damage| corrupt("logs", format!("chunk {}: {damage}", key.id)))?;
    // The table's key has milliseconds only.
    Ok((chunk.summary.key == key).then_some(chunk))
}

fn decode_records(
    summary: ChunkSummary,
    logs: &[u8],
    filter: Option<&dyn RecordFilter>,
) -> Result<Chunk, Damage> {
    let Some(filter) = filter else {
        let entries = codec::records(logs)?
            .map(|record| record?.entry())
            .collect::<Result<_, _>>()?;
        return Ok(Chunk { summary, entries });
    };
    if !filter.may_keep_any(logs) {
        return Ok(Chunk {
            summary,
            entries: Entries::default(),
        });
    }
    let mut entries = Vec::new();
    for record in codec::records(logs)? {
        let record = record?;
        if !filter.wants(record.timestamp, record.level()?) {
            continue;
        }
        let record = Record {
            origin: Arc::clone(&summary.origin),
            entry: record.entry()?,
        };
        if filter.keeps(&record) {
            entries.push(record.entry);
        }
    }
    Ok(Chunk {
        summary,
        entries: Entries::Own(entries),
    })
}
