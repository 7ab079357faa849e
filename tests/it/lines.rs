//! Numbered lines with a hash each, the files that they are written to, and the count of what
//! became of them in a store.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atalaya::domain::record::Layer;
use atalaya::domain::time::TimeRange;
use atalaya::store::chunks::{ChunkStore, Order};
use atalaya::store::error::StoreError;

/// Rows of the ingest about itself (a gap, a rotation) are no lines of a file.
const OWN_SOURCE: &str = "atalaya/ingest";

/// The text of a line: who wrote it, its number there, a hash of both, and something to carry.
pub fn line(file: usize, number: u64) -> String {
    let hash = blake3::hash(format!("{file}/{number}").as_bytes()).to_hex();
    format!(
        "f{file} {number:07} {} a line of a writer whose file is renamed now and then",
        &hash[..24]
    )
}

/// Writes lines to files `0.log`, `1.log` … of one folder and rotates them by renaming.
pub struct Writer {
    pub folder: PathBuf,
    /// Lines of each file so far.
    pub written: Vec<u64>,
    pub rotations: usize,
}

impl Writer {
    pub fn new(folder: &Path, files: usize) -> Self {
        fs::create_dir_all(folder).unwrap();
        let writer = Self {
            folder: folder.to_path_buf(),
            written: vec![0; files],
            rotations: 0,
        };
        for path in writer.paths() {
            File::create(path).unwrap();
        }
        writer
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        (0..self.written.len())
            .map(|file| self.folder.join(format!("{file}.log")))
            .collect()
    }

    pub fn total(&self) -> u64 {
        self.written.iter().sum()
    }

    pub fn append(&mut self, file: usize, count: u64) {
        let mut text = String::new();
        for number in self.written[file]..self.written[file] + count {
            text.push_str(&line(file, number));
            text.push('\n');
        }
        let path = self.folder.join(format!("{file}.log"));
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        // In two writes, so that half a line stands there for a moment.
        let (first, second) = text.as_bytes().split_at(text.len() * 2 / 3);
        log.write_all(first).unwrap();
        log.write_all(second).unwrap();
        self.written[file] += count;
    }

    /// `0.log` becomes `0.log.1`, that one `0.log.2`, and so on; none is removed.
    pub fn rotate(&mut self, file: usize) {
        let path = |generation: usize| match generation {
            0 => self.folder.join(format!("{file}.log")),
            _ => self.folder.join(format!("{file}.log.{generation}")),
        };
        let oldest = (0..usize::MAX)
            .find(|generation| !path(*generation).exists())
            .unwrap();
        for generation in (0..oldest).rev() {
            fs::rename(path(generation), path(generation + 1)).unwrap();
        }
        self.rotations += 1;
    }
}

/// What became of the lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lost: u64,
    pub doubled: u64,
    pub altered: u64,
    examples: Vec<String>,
}

impl Tally {
    /// Fails unless every line is there once, as it was written.
    pub fn check(&self, context: impl fmt::Display) {
        assert!(
            self.lost == 0 && self.doubled == 0 && self.altered == 0,
            "{} lost, {} doubled, {} altered: {:?}\n{context}",
            self.lost,
            self.doubled,
            self.altered,
            self.examples
        );
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < 10 {
            self.examples.push(text);
        }
    }
}

/// Reads every record of the store and compares it with what was written.
pub async fn tally(store: &dyn ChunkStore, written: &[u64]) -> Tally {
    let mut tally = Tally::default();
    let mut times: HashMap<usize, Vec<u32>> = written
        .iter()
        .enumerate()
        .map(|(file, count)| (file, vec![0; usize::try_from(*count).unwrap()]))
        .collect();
    for layer in Layer::ALL {
        for bucket in store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, 100_000)
            .await
            .unwrap()
        {
            let summaries = store.summaries(bucket).await.unwrap();
            let keys: Vec<_> = summaries
                .iter()
                .filter(|summary| &*summary.origin.source != OWN_SOURCE)
                .map(|summary| summary.key)
                .collect();
            for keys in keys.chunks(16) {
                let chunks = store.chunks(keys).await.unwrap();
                assert_eq!(
                    chunks.len(),
                    keys.len(),
                    "a chunk has a summary and no records"
                );
                for entry in chunks.into_iter().flat_map(|chunk| chunk.entries) {
                    let message = String::from(entry.message);
                    let place = place(&message)
                        .filter(|(file, number)| message == line(*file, *number))
                        .and_then(|(file, number)| times.get_mut(&file)?.get_mut(number as usize));
                    match place {
                        Some(times) => *times += 1,
                        None => {
                            tally.altered += 1;
                            tally.example(format!("altered: {message:?}"));
                        }
                    }
                }
            }
        }
    }
    for (file, times) in &times {
        for (number, times) in times.iter().enumerate() {
            match times {
                0 => {
                    tally.lost += 1;
                    tally.example(format!("lost: f{file} {number}"));
                }
                1 => {}
                more => {
                    tally.doubled += 1;
                    tally.example(format!("{more} times: f{file} {number}"));
                }
            }
        }
    }
    tally
}

fn place(message: &str) -> Option<(usize, u64)> {
    let mut words = message.split(' ');
    let file = words.next()?.strip_prefix('f')?.parse().ok()?;
    Some((file, words.next()?.parse().ok()?))
}

/// How many lines are stored, by the summaries.
pub async fn stored(store: &dyn ChunkStore) -> Result<u64, StoreError> {
    let mut stored = 0;
    for layer in Layer::ALL {
        for bucket in store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, 100_000)
            .await?
        {
            let summaries = store.summaries(bucket).await?;
            let own = summaries
                .iter()
                .filter(|summary| &*summary.origin.source != OWN_SOURCE);
            stored += own.map(|summary| u64::from(summary.records())).sum::<u64>();
        }
    }
    Ok(stored)
}

/// Waits until this many lines are stored. Fails when none come for `patience`; a store that does
/// not answer is one from which none come.
pub async fn wait_for(
    store: &dyn ChunkStore,
    lines: u64,
    patience: Duration,
    context: impl Fn() -> String,
) {
    let mut last = (0, Instant::now());
    loop {
        let answer = stored(store).await;
        let stored = *answer.as_ref().unwrap_or(&0);
        if stored >= lines {
            return;
        }
        if stored > last.0 {
            last = (stored, Instant::now());
        }
        assert!(
            last.1.elapsed() < patience,
            "{} of {lines} lines are stored and no more come: {answer:?}\n{}",
            last.0,
            context()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
