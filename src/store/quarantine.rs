//! Where records go that a server store can never take (R19): set aside with the reason, so that
//! the rest goes on and nothing is lost.

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::domain::record::{Entry, Origin, Record, RecordId};
use crate::domain::time::Timestamp;

use super::error::{Backend, StoreError};

/// Ids remembered, so that a put that is repeated sets nothing aside twice.
const REMEMBERED: usize = 10_000;
/// Between two alerts about records set aside.
const ALERT_PAUSE: Duration = Duration::from_secs(60);

pub trait Quarantine: Debug + Send + Sync {
    /// Keeps the record and the reason; both are durable when it returns. Blocks.
    fn keep(&self, record: &Record, reason: &str) -> Result<(), StoreError>;
}

/// A file with one JSON object a line: `{"set_aside_at", "reason", "origin", "entry"}`.
#[derive(Debug)]
pub struct FileQuarantine {
    path: PathBuf,
    most_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    kept: HashSet<RecordId>,
    since_alert: u64,
    alerted: Option<Instant>,
}

#[derive(Serialize)]
struct Line<'a> {
    set_aside_at: String,
    reason: &'a str,
    origin: &'a Origin,
    entry: &'a Entry,
}

impl FileQuarantine {
    /// `path` is made when the first record comes. Once it has `most_bytes`, no more is taken and
    /// the store waits: somebody has to look.
    pub fn new(path: impl Into<PathBuf>, most_bytes: u64) -> Self {
        Self { path: path.into(), most_bytes, state: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&self, state: &mut State, record: &Record, reason: &str) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line {
            set_aside_at: Timestamp::now().to_rfc3339(),
            reason,
            origin: &record.origin,
            entry: &record.entry,
        })?;
        line.push(b'\n');
        if state.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            state.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        }
        let Some(file) = &mut state.file else { return Ok(()) };
        if file.metadata()?.len() + line.len() as u64 > self.most_bytes {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("the quarantine is full ({} bytes): look at it and move it away", self.most_bytes),
            ));
        }
        file.write_all(&line)?;
        file.sync_data()
    }
}

impl Quarantine for FileQuarantine {
    fn keep(&self, record: &Record, reason: &str) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = record.id();
        if state.kept.contains(&id) {
            return Ok(());
        }
        if let Err(error) = self.append(&mut state, record, reason) {
            // Opened anew by the next one: the file may have been moved away meanwhile.
            state.file = None;
            return Err(StoreError::NotWritable {
                backend: Backend::Cassandra,
                address: self.path.display().to_string(),
                reason: error.to_string(),
            });
        }
        if state.kept.len() >= REMEMBERED {
            state.kept.clear();
        }
        state.kept.insert(id);
        state.since_alert += 1;
        if state.alerted.is_none_or(|at| at.elapsed() >= ALERT_PAUSE) {
            state.alerted = Some(Instant::now());
            let records = std::mem::take(&mut state.since_alert);
            tracing::error!(
                records,
                %id,
                reason,
                file = %self.path.display(),
                "records that the store can never take were set aside"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use crate::domain::record::{Layer, OriginId};

    fn record(position: u64) -> Record {
        Record {
            origin: Arc::new(Origin {
                id: OriginId::from_u128(7),
                layer: Layer::Application,
                source: "app/shop".into(),
                host: "web1".into(),
            }),
            entry: Entry { position, message: "line \n \"two\"".into(), ..Entry::default() },
        }
    }

    #[test]
    fn keeps_each_record_once_and_stops_when_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/quarantine.jsonl");
        let quarantine = FileQuarantine::new(&path, 1_000);
        quarantine.keep(&record(1), "too large").unwrap();
        quarantine.keep(&record(1), "too large").unwrap();
        quarantine.keep(&record(2), "too large").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["reason"], "too large");
        assert_eq!(lines[1]["entry"]["position"], 2);
        assert_eq!(lines[1]["entry"]["message"], "line \n \"two\"");
        assert_eq!(lines[1]["origin"]["source"], "app/shop");

        let refused = (3..20).find_map(|position| quarantine.keep(&record(position), "bad").err()).unwrap();
        assert!(refused.is_transient() && refused.to_string().contains("quarantine is full"), "{refused}");
        std::fs::rename(&path, folder.path().join("seen.jsonl")).unwrap();
        quarantine.keep(&record(30), "bad").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
