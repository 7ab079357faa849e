//! Logs out of a damaged file. A chunk is taken when its checksum is right, wherever its parts were
//! found: trees, and the file's own head, are not needed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::Salvaged;
use super::cells::{Cell, Kind, Page, Value};
use super::pages::Pages;
use crate::chunks::{ChunkSettings, ChunkStore as _, FrameChunks};
use crate::damage::{Damage, Progress};
use crate::engine::build::{bucket_of, request_rows};
use crate::error::StoreError;
use crate::sqlite::chunks::SqliteChunkStore;
use crate::sqlite::chunks::read::{SummaryRow, decode_block};
use crate::sqlite::chunks::values::{layer_of, refused};
use crate::sqlite::codec::Decoder;
use atalaya_domain::chunk::Chunk;
use atalaya_domain::record::{Layer, Origin, OriginId};

/// Pages looked at between two words about the progress.
const STEP: u32 = 8_192;
/// Chunks of one transaction.
const BATCH: usize = 64;

/// Takes the chunks and marks of `damaged` into `fresh`, a new store.
///
/// # Errors
/// The new store cannot be written, or the damaged file not be opened at all.
pub async fn salvage(
    damaged: &Path,
    fresh: &SqliteChunkStore,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Salvaged, StoreError> {
    let path = damaged.to_owned();
    let pages = tokio::task::spawn_blocking(move || Pages::open(&path))
        .await
        .map_err(refused)?
        .map_err(refused)?;
    let pages = Arc::new(pages);
    let found = search(&pages, progress).await?;
    restore(&pages, found, fresh, progress).await
}

/// Everything in the file that has the form of a part.
#[derive(Default)]
struct Found {
    chunks: BTreeMap<i64, Vec<SummaryRow>>,
    /// The pages on which the block of an arrival begins.
    blocks: HashMap<i64, Vec<u32>>,
    origins: HashMap<i64, Vec<Arc<Origin>>>,
    /// Each sight of a mark.
    marks: HashMap<OriginId, Vec<u64>>,
    unreadable: u64,
}

async fn search(
    pages: &Arc<Pages>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let unused = Arc::new(pages.unused());
    let mut from = 1;
    while from <= pages.count() {
        let until = from.saturating_add(STEP).min(pages.count() + 1);
        let (pages, unused) = (Arc::clone(pages), Arc::clone(&unused));
        progress(Progress {
            stage: "searching",
            done: from.into(),
            total: pages.count().into(),
        });
        found = tokio::task::spawn_blocking(move || {
            for number in (from..until).filter(|number| !unused.contains(number)) {
                found.look_at(&pages, number);
            }
            found
        })
        .await
        .map_err(refused)?;
        from = until;
    }
    Ok(found)
}

impl Found {
    fn look_at(&mut self, pages: &Pages, number: u32) {
        let Some(page) = Page::read(pages, number) else {
            return;
        };
        for cell in page.cells(pages) {
            match cell {
                Some(cell) => self.take(page.kind, number, &cell),
                None => self.unreadable += 1,
            }
        }
    }

    fn take(&mut self, kind: Kind, page: u32, cell: &Cell) {
        use Value::{Blob, Integer, Null, Text};
        match (cell.rowid, cell.values.as_slice()) {
            (Some(arrival), [Null, Blob(_)]) => {
                self.blocks.entry(arrival).or_default().push(page);
            }
            (
                Some(arrival),
                [
                    Null,
                    Integer(layer),
                    Integer(bucket),
                    Integer(first_at),
                    Integer(last_at),
                    Blob(id),
                    Integer(origin),
                    Blob(minutes),
                ],
            ) => self.chunks.entry(arrival).or_default().push(SummaryRow {
                layer: *layer,
                bucket: *bucket,
                first_at: *first_at,
                last_at: *last_at,
                id: id.clone(),
                origin: *origin,
                minutes: minutes.clone(),
            }),
            (Some(origin), [Null, Blob(id), Integer(layer), Text(source), Text(host)]) => {
                self.name(origin, id, *layer, [source, host]);
            }
            // The index that keeps them apart has each once more.
            (
                None,
                [
                    Blob(id),
                    Integer(layer),
                    Text(source),
                    Text(host),
                    Integer(origin),
                ],
            ) => {
                self.name(*origin, id, *layer, [source, host]);
            }
            (None, [Blob(id), Blob(stored_to)]) if !kind.is_table() => {
                let id = id.as_slice().try_into().map(u128::from_be_bytes);
                let mark = stored_to.as_slice().try_into().map(u64::from_be_bytes);
                if let (Ok(id), Ok(mark)) = (id, mark) {
                    let sights = self.marks.entry(OriginId::from_u128(id)).or_default();
                    sights.push(mark);
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, reference: i64, id: &[u8], layer: i64, [source, host]: [&String; 2]) {
        let (Ok(id), Ok(layer)) = (id.try_into(), layer_of(layer)) else {
            return;
        };
        let origin = Arc::new(Origin {
            id: OriginId::from_u128(u128::from_be_bytes(id)),
            layer,
            source: source.as_str().into(),
            host: host.as_str().into(),
        });
        let known = self.origins.entry(reference).or_default();
        if !known.contains(&origin) {
            known.push(origin);
        }
    }

    /// The first of the combinations of what was found for an arrival whose checksum is right.
    fn chunk(
        &self,
        pages: &Pages,
        decoder: &mut Decoder,
        arrival: i64,
        settings: ChunkSettings,
    ) -> Result<Chunk, Damage> {
        let mut damage = Damage::new("chunk", arrival.to_string(), "its records are not there");
        let blocks = self.blocks.get(&arrival).map_or(&[][..], Vec::as_slice);
        let rows = self.chunks.get(&arrival).map_or(&[][..], Vec::as_slice);
        for row in rows {
            let unnamed = [Arc::new(Origin {
                id: OriginId::from_u128(0),
                layer: layer_of(row.layer).unwrap_or(Layer::Application),
                source: "an unknown source".into(),
                host: "".into(),
            })];
            let named = self.origins.get(&row.origin);
            for origin in named.map_or(&unnamed[..], Vec::as_slice) {
                let origins = HashMap::from([(row.origin, Arc::clone(origin))]);
                let Ok(summary) = row.clone().summary(&origins) else {
                    continue;
                };
                damage = Damage::chunk(&summary, damage.reason);
                for block in blocks
                    .iter()
                    .filter_map(|&page| block(pages, page, arrival))
                {
                    match decode_block(decoder, summary.clone(), &block, None) {
                        Ok(chunk) if named.is_some() && is_consistent(&chunk, settings) => {
                            return Ok(chunk);
                        }
                        Ok(_) => "its parts do not belong together".clone_into(&mut damage.reason),
                        Err(reason) => reason.clone_into(&mut damage.reason),
                    }
                }
            }
        }
        Err(damage)
    }

    /// How far an origin is stored, whose last record that was kept stands at `last`. Of several
    /// sights that differ, the smallest behind that record: lines may come twice, none is passed over.
    fn mark(&self, origin: OriginId, last: Option<u64>) -> Option<u64> {
        let sights = self.marks.get(&origin)?;
        let behind = |mark: &&u64| last.is_none_or(|last| **mark > last);
        let often = |mark: &u64| sights.iter().filter(|sight| *sight == mark).count();
        let candidates = sights.iter().filter(behind);
        candidates
            .copied()
            .max_by_key(|mark| (often(mark), std::cmp::Reverse(*mark)))
    }
}

fn block(pages: &Pages, page: u32, arrival: i64) -> Option<Vec<u8>> {
    let page = Page::read(pages, page)?;
    let cells = page.cells(pages).into_iter().flatten();
    cells
        .filter(|cell| cell.rowid == Some(arrival))
        .find_map(|cell| match <[Value; 2]>::try_from(cell.values) {
            Ok([Value::Null, Value::Blob(data)]) => Some(data),
            _ => None,
        })
}

/// What a checksum covers as well; blocks of the first versions have none.
fn is_consistent(chunk: &Chunk, settings: ChunkSettings) -> bool {
    let summary = &chunk.summary;
    let bucket = summary.key.bucket;
    let times = || chunk.entries.iter().map(|entry| entry.timestamp);
    times().min() == Some(summary.key.first_at)
        && times().max() == Some(summary.last_at)
        && chunk.entries.len() == summary.records() as usize
        && bucket_of(bucket.layer, summary.key.first_at, settings) == bucket
}

async fn restore(
    pages: &Arc<Pages>,
    found: Found,
    fresh: &SqliteChunkStore,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    let mut last: HashMap<OriginId, u64> = HashMap::new();
    let (mut chunks, mut records) = (0_u64, 0_u64);
    let arrivals: BTreeSet<i64> = found
        .chunks
        .keys()
        .chain(found.blocks.keys())
        .copied()
        .collect();
    let arrivals: Vec<i64> = arrivals.into_iter().collect();
    let settings = fresh.settings();
    let found = Arc::new(found);
    for (index, batch) in arrivals.chunks(BATCH).enumerate() {
        progress(Progress {
            stage: "copying",
            done: (index * BATCH) as u64,
            total: arrivals.len() as u64,
        });
        let (pages, found, batch) = (Arc::clone(pages), Arc::clone(&found), batch.to_vec());
        let read = tokio::task::spawn_blocking(move || {
            let mut decoder = Decoder::new()?;
            let chunk = |arrival| found.chunk(&pages, &mut decoder, arrival, settings);
            Ok::<Vec<_>, std::io::Error>(batch.into_iter().map(chunk).collect())
        });
        let mut frames = Vec::with_capacity(BATCH);
        for chunk in read.await.map_err(refused)?.map_err(refused)? {
            match chunk {
                Ok(chunk) => {
                    let origin = chunk.summary.origin.id;
                    let position = chunk.entries.iter().map(|entry| entry.position).max();
                    let known = last.entry(origin).or_default();
                    *known = position.unwrap_or(0).max(*known);
                    chunks += 1;
                    records += chunk.entries.len() as u64;
                    frames.push(FrameChunks {
                        origin,
                        until: 0,
                        requests: request_rows(&chunk),
                        chunks: vec![chunk],
                    });
                }
                Err(damage) => salvaged.lost.add(damage),
            }
        }
        fresh.put(frames).await?;
    }
    let marks = put_marks(&found, &last, fresh, &mut salvaged).await?;
    if found.unreadable > 0 {
        salvaged.notes.push(format!(
            "{} entries of the file could not be read; what they belonged to is listed, or was found elsewhere",
            found.unreadable
        ));
    }
    for (name, count) in [("chunks", chunks), ("records", records), ("marks", marks)] {
        salvaged.kept.insert(name.to_owned(), count);
    }
    Ok(salvaged)
}

async fn put_marks(
    found: &Found,
    last: &HashMap<OriginId, u64>,
    fresh: &SqliteChunkStore,
    salvaged: &mut Salvaged,
) -> Result<u64, StoreError> {
    let known: HashSet<OriginId> = found.origins.values().flatten().map(|one| one.id).collect();
    let mut frames = Vec::new();
    for origin in known {
        match found.mark(origin, last.get(&origin).copied()) {
            Some(until) => frames.push(FrameChunks {
                origin,
                until,
                chunks: Vec::new(),
                requests: Vec::new(),
            }),
            None => salvaged.lost.add(Damage::new(
                "watermarks",
                format!("{:032x}", origin.as_u128()),
                "how far this origin was stored is not known: its file, if it is still there, is read again, and lines may come twice",
            )),
        }
    }
    let marks = frames.len() as u64;
    fresh.put(frames).await?;
    Ok(marks)
}
