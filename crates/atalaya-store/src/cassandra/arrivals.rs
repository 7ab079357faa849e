//! The change feed under the live tail: each process numbers what it has put, followers read by number. The reasons are
//! in `cql/0003_arrivals.cql`.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::writer_cursor::{SeenChunks, WriterCursor, WriterPlace};
use crate::chunks::ChunkSettings;
use crate::engine::build::bucket_of;
use crate::error::StoreError;
use crate::sync::lock;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::Layer;
use atalaya_domain::time::Timestamp;

use super::codec::{self, Origins, Raw, VISIBLE_BYTES};
use super::log_store::{CassandraLogStore, corrupt, damaged};
use super::place::chunk_settings;
use super::schema::host_name;
use super::statements::Cell;

/// Numbers of one partition of `arrivals`.
const PART: i64 = 256;
/// The row of a writer that was silent for so long may be gone, and followers may have forgotten it.
/// It lives for two hours.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(100 * 60);
/// Most bytes of one arrival: several puts that end together share one.
const ARRIVAL_BYTES: usize = 1024 * 1024;
/// Arrivals looked at where a follower begins, for what may be announced again.
const LAST: i32 = 64;
/// Arrivals read at once, and where they are small.
const NEXT: i32 = 8;
const NEXT_SMALL: i32 = 64;
/// Bytes of an answer.
const SMALL: usize = 64 * 1024;
/// Writers read at once.
const WRITERS: usize = 32;
/// Partitions read in one call of a follower that fell behind.
const MOST_PARTS: usize = 64;

/// Layer, id and encoded summary of a chunk that became visible.
type Arrived = (Layer, Uuid, Vec<u8>);

/// Writes this process's arrivals in order, one after the other.
#[derive(Debug)]
pub(super) struct Announcer {
    writer: Uuid,
    host: String,
    queue: Mutex<Queue>,
    /// Whose turn it is to write; waiting for it is waiting for the order.
    turn: tokio::sync::Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Number of the latest put that was queued.
    latest: u64,
    /// Chunks with the number of their put.
    chunks: VecDeque<(u64, Arrived)>,
}

#[derive(Debug, Default)]
struct Turn {
    next_seq: i64,
    first_seq: i64,
    last_written: Option<(Instant, Timestamp)>,
    /// Of the writer's row, so that the later one wins whatever the servers' clocks say.
    row_time: i64,
    /// Sent but not acknowledged: it may be visible, hence nothing may come before it is written.
    unconfirmed: Option<Arrival>,
    /// Every put up to this number is announced.
    announced: u64,
}

/// What was read of one writer, and how far.
struct ReadOn {
    arrived: Vec<ChunkSummary>,
    place: WriterPlace,
}

#[derive(Debug)]
struct Arrival {
    seq: i64,
    value: Vec<u8>,
    /// The last put that is wholly in it or before it.
    puts: u64,
}

impl Announcer {
    pub(super) fn new() -> Self {
        Self {
            writer: Uuid::from_u128(rand::random()),
            host: host_name(),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn push(&self, chunks: Vec<Arrived>) -> u64 {
        let mut queue = lock(&self.queue);
        queue.latest += 1;
        let put = queue.latest;
        queue
            .chunks
            .extend(chunks.into_iter().map(|chunk| (put, chunk)));
        put
    }

    /// What is queued, up to the bytes of one arrival.
    fn take(&self, seq: i64) -> Arrival {
        let mut queue = lock(&self.queue);
        let mut chunks = Vec::new();
        let mut bytes = 0;
        while let Some((_, (_, _, summary))) = queue.chunks.front() {
            bytes += summary.len() + VISIBLE_BYTES;
            if bytes > ARRIVAL_BYTES && !chunks.is_empty() {
                break;
            }
            chunks.extend(queue.chunks.pop_front().map(|(_, chunk)| chunk));
        }
        // A put with chunks left is not announced yet.
        let puts = queue
            .chunks
            .front()
            .map_or(queue.latest, |(put, _)| put - 1);
        Arrival {
            seq,
            value: codec::encode_visible(
                chunks
                    .iter()
                    .map(|(layer, id, summary): &Arrived| (*layer, *id, summary.as_slice())),
            ),
            puts,
        }
    }
}

impl CassandraLogStore {
    /// Makes chunks arrive. May be dropped at any await: what was begun is finished by the next
    /// put before anything of its own.
    pub(super) async fn announce(&self, chunks: Vec<Arrived>) -> Result<(), StoreError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let put = self.announcer.push(chunks);
        let mut turn = self.announcer.turn.lock().await;
        while turn.announced < put {
            let arrival = match turn.unconfirmed.take() {
                Some(arrival) => arrival,
                None => self.announcer.take(turn.next_seq),
            };
            turn.begin(arrival.seq);
            let row_time = turn.row_time;
            let first_seq = turn.first_seq;
            // Before the await: a caller that is dropped leaves it to the next one.
            let arrival = turn.unconfirmed.insert(arrival);
            self.write_arrival(arrival, first_seq, row_time).await?;
            let (seq, puts) = (arrival.seq, arrival.puts);
            turn.next_seq = seq + 1;
            turn.announced = turn.announced.max(puts);
            turn.unconfirmed = None;
        }
        Ok(())
    }

    async fn write_arrival(
        &self,
        arrival: &Arrival,
        first_seq: i64,
        row_time: i64,
    ) -> Result<(), StoreError> {
        let writer = Cell::Uuid(self.announcer.writer);
        let seq = Cell::Long(arrival.seq);
        let row = [
            writer,
            Cell::Long(arrival.seq.div_euclid(PART)),
            seq,
            Cell::Bytes(&arrival.value),
        ];
        let host = Cell::Text(&self.announcer.host);
        let writer_row = [
            writer,
            seq,
            Cell::Long(first_seq),
            host,
            Cell::Long(row_time),
        ];
        // Together: a follower that sees the number and not yet the row looks again.
        futures::try_join!(
            self.execute("arrival", &self.statements.feed.insert_arrival, &row),
            self.execute("writer", &self.statements.feed.insert_writer, &writer_row),
        )?;
        Ok(())
    }

    pub(super) async fn read_arrivals_end(&self) -> Result<WriterCursor, StoreError> {
        let writers = self.read_writers().await?;
        let mut cursor = WriterCursor::default();
        for (writer, seq, first_seq) in writers {
            cursor.writers.insert(
                writer,
                WriterPlace {
                    seq: seq + 1,
                    given: 0,
                },
            );
            // What was announced lately may be announced again; that is no arrival.
            let mut part = seq.div_euclid(PART);
            let mut left = LAST;
            while left > 0 && part >= first_seq.div_euclid(PART) && part + 1 >= seq.div_euclid(PART)
            {
                let cells = [Cell::Uuid(writer), Cell::Long(part), Cell::Int(left)];
                let rows = self
                    .query(&self.statements.feed.last_arrivals, &cells)
                    .await?;
                left -= i32::try_from(rows.rows_num()).unwrap_or(LAST);
                let mut ids = Vec::new();
                each_arrival(&rows, |_, chunks| {
                    ids.extend(chunks.into_iter().map(|(_, id, _)| id));
                    true
                })?;
                cursor.seen.add(ids);
                part -= 1;
            }
        }
        Ok(cursor)
    }

    pub(super) async fn read_arrivals(
        &self,
        mut cursor: WriterCursor,
        limit: usize,
    ) -> Result<(Vec<ChunkSummary>, WriterCursor), StoreError> {
        let writers = self.read_writers().await?;
        let mut places = BTreeMap::new();
        let mut ahead = Vec::new();
        for (writer, seq, first_seq) in writers {
            let known = cursor.writers.get(&writer).copied();
            let place = known.unwrap_or(WriterPlace {
                seq: first_seq,
                given: 0,
            });
            if place.seq <= seq && ahead.len() < limit {
                ahead.push((writer, place, seq));
            }
            places.insert(writer, place);
        }
        // Writers that were silent for two hours are gone from the list.
        cursor.writers = places;
        // An even share for each, so that a busy writer does not hide the others, and all at once:
        // one after the other they would fall behind where an answer takes its time.
        let share = limit / ahead.len().max(1);
        let seen = &cursor.seen;
        let reads = ahead.into_iter().map(|(writer, place, seq)| async move {
            let read = self.read_writer(writer, seq, place, seen, share).await?;
            Ok::<_, StoreError>((writer, read))
        });
        let reads: Vec<_> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(WRITERS)
            .try_collect()
            .await?;
        let mut arrived = Vec::new();
        let mut new_ids = HashSet::new();
        for (writer, read) in reads {
            cursor.writers.insert(writer, read.place);
            // Of two writers too: one that begins anew announces what the last one did.
            arrived.extend(
                read.arrived
                    .into_iter()
                    .filter(|summary| new_ids.insert(summary.key.id)),
            );
        }
        cursor.seen.add(new_ids.into_iter().collect());
        Ok((arrived, cursor))
    }

    /// Reads on in one writer's arrivals until there are `most` or its end is reached.
    async fn read_writer(
        &self,
        writer: Uuid,
        last_seq: i64,
        mut place: WriterPlace,
        seen: &SeenChunks,
        most: usize,
    ) -> Result<ReadOn, StoreError> {
        let mut reading = Reading::default();
        let settings = chunk_settings(&self.settings);
        let mut next = NEXT;
        let mut parts = 0;
        while place.seq <= last_seq && reading.arrived.len() < most && parts < MOST_PARTS {
            let part = place.seq.div_euclid(PART);
            let cells = [
                Cell::Uuid(writer),
                Cell::Long(part),
                Cell::Long(place.seq),
                Cell::Int(next),
            ];
            let rows = self.query(&self.statements.feed.arrivals, &cells).await?;
            if rows.rows_num() == 0 {
                let next_part = (part + 1) * PART;
                if last_seq < next_part {
                    // Its number is known before the row can be read: look again.
                    break;
                }
                // Rows of this part have expired before they were read: over an hour behind.
                tracing::warn!(%writer, from = place.seq, until = next_part, "arrivals expired unread");
                place = WriterPlace {
                    seq: next_part,
                    given: 0,
                };
                parts += 1;
                continue;
            }
            // Small ones may come in greater number.
            next = if rows.rows_bytes_size() < SMALL {
                NEXT_SMALL
            } else {
                NEXT
            };
            place = collect_new(&rows, place, seen, most, settings, &mut reading)?;
        }
        Ok(ReadOn {
            arrived: reading.arrived,
            place,
        })
    }

    async fn read_writers(&self) -> Result<Vec<(Uuid, i64, i64)>, StoreError> {
        let rows = self.query(&self.statements.feed.writers, &[]).await?;
        let wrong = |error: &dyn std::error::Error| corrupt("writers", error.to_string());
        rows.rows::<(Uuid, i64, i64)>()
            .map_err(|error| wrong(&error))?
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))
    }
}

impl Turn {
    /// Before a write with this number: whether followers may have forgotten this writer, and a time
    /// for its row.
    fn begin(&mut self, seq: i64) {
        let now = (Instant::now(), Timestamp::now());
        let silent = self
            .last_written
            .replace(now)
            .is_none_or(|(instant, wall)| {
                // Whichever is longer: one of them stands still while a machine sleeps.
                now.0.duration_since(instant).max(now.1.since(wall)) > FORGOTTEN_AFTER
            });
        if silent {
            self.first_seq = seq;
        }
        self.row_time = now.1.micros().max(self.row_time + 1);
    }
}

/// What was read so far of one writer.
#[derive(Default)]
struct Reading {
    arrived: Vec<ChunkSummary>,
    origins: Origins,
}

/// Takes what is new of some rows, from `place` on until there are `most`; the place to go on from.
fn collect_new(
    rows: &scylla::response::query_result::QueryRowsResult,
    mut place: WriterPlace,
    seen: &SeenChunks,
    most: usize,
    settings: ChunkSettings,
    reading: &mut Reading,
) -> Result<WriterPlace, StoreError> {
    let mut damage = None;
    each_arrival(rows, |seq, chunks| {
        let given = if seq == place.seq {
            place.given as usize
        } else {
            0
        };
        place = WriterPlace {
            seq,
            given: u32::try_from(given).unwrap_or(u32::MAX),
        };
        for (layer, id, value) in chunks.into_iter().skip(given) {
            if reading.arrived.len() >= most {
                return false;
            }
            place.given += 1;
            if seen.contains(&id) {
                continue;
            }
            let summary = codec::decode_summary(
                value,
                layer,
                id,
                |at| bucket_of(layer, at, settings),
                &mut reading.origins,
            );
            match summary {
                Ok(summarised) => reading.arrived.push(summarised.summary),
                Err(found) => damage = Some(found),
            }
        }
        place = WriterPlace {
            seq: seq + 1,
            given: 0,
        };
        true
    })?;
    match damage {
        Some(damage) => Err(corrupt("arrivals", damage)),
        None => Ok(place),
    }
}

fn each_arrival<'a>(
    rows: &'a scylla::response::query_result::QueryRowsResult,
    mut take: impl FnMut(i64, Vec<(Layer, Uuid, &'a [u8])>) -> bool,
) -> Result<(), StoreError> {
    let wrong = |error: &dyn std::error::Error| corrupt("arrivals", error.to_string());
    for row in rows
        .rows::<(i64, Raw<'a>)>()
        .map_err(|error| wrong(&error))?
    {
        let (seq, value) = row.map_err(|error| wrong(&error))?;
        if !take(
            seq,
            codec::decode_visible(value.0).map_err(damaged("arrivals"))?,
        ) {
            break;
        }
    }
    Ok(())
}
