//! A directory, a writer, a store that checks what every frame promises, and a reader that is driven
//! step by step with its own clock, on a real file system (ext4 gives the inode of a deleted file to
//! the next one; a tmpfs would prove nothing).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atalaya_domain::record::{Frame, Level, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::format;
use atalaya_ingest::reader::{Acknowledgement, Port, Reader, Step};
use atalaya_ingest::{IngestConfig, IngestInput, Mode};
use atalaya_store::error::StoreError;

/// A store that checks what every frame promises.
#[derive(Debug, Default)]
pub struct Store {
    pub watermarks: BTreeMap<OriginId, u64>,
    pub lines: Vec<String>,
    pub events: Vec<(Level, String)>,
}

#[derive(Clone, Debug, Default)]
pub struct FakePort {
    pub store: Arc<Mutex<Store>>,
    answers: Vec<Acknowledgement>,
}

impl Port for FakePort {
    fn watermark(&mut self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(self.store.lock().unwrap().watermarks.get(&origin).copied())
    }

    fn offer(&mut self, frame: Frame) -> Result<(), Frame> {
        let mut store = self.store.lock().unwrap();
        let stored = store
            .watermarks
            .insert(frame.origin.id, frame.until)
            .unwrap_or(0);
        assert_eq!(
            frame.from, stored,
            "a frame begins where the one before ended"
        );
        assert!(frame.until > frame.from);
        let records = frame.entries.len() as u64;
        for entry in frame.entries {
            assert!((frame.from..frame.until).contains(&entry.position));
            if &*frame.origin.source == "atalaya/ingest" {
                store.events.push((entry.level, entry.message.into()));
            } else {
                store.lines.push(entry.message.into());
            }
        }
        self.answers.push(Acknowledgement {
            origin: frame.origin.id,
            outcome: Ok((frame.until, records)),
        });
        Ok(())
    }

    fn acknowledged(&mut self) -> Vec<Acknowledgement> {
        std::mem::take(&mut self.answers)
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub pattern: String,
    pub port: FakePort,
    pub reader: Option<Reader<FakePort>>,
    pub start: Instant,
    pub elapsed: Duration,
    pub expected: Vec<String>,
}

impl World {
    pub fn new(pattern: &str) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let mut world = Self {
            dir,
            pattern: pattern.to_owned(),
            port: FakePort::default(),
            reader: None,
            start: Instant::now(),
            elapsed: Duration::ZERO,
            expected: Vec::new(),
        };
        world.begin();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn begin(&mut self) {
        self.begin_in(Mode::Follow);
    }

    pub fn begin_in(&mut self, mode: Mode) {
        let pattern = self.path(&self.pattern).to_string_lossy().into_owned();
        let input = IngestInput {
            format: format::by_name("plain"),
            ..IngestInput::detected(pattern)
        };
        let config = IngestConfig::new(vec![input], self.state(), "host", mode);
        self.reader = Some(Reader::new(config, self.port.clone()).unwrap());
    }

    /// As `kill -9`: nothing is closed, nothing is written.
    pub fn kill(&mut self) {
        self.reader = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// Reads what there is, with time for every quiet period that files wait for.
    pub fn look(&mut self) {
        for _ in 0..3 {
            self.glance();
            self.elapsed += Duration::from_secs(3);
        }
        self.glance();
    }

    /// Reads what there is, now.
    pub fn glance(&mut self) {
        self.elapsed += Duration::from_millis(10);
        let now = self.start + self.elapsed;
        let wall = Timestamp::now();
        let reader = self.reader.as_mut().unwrap();
        reader.rescan();
        while reader.step(now, wall) == Step::Busy {}
    }

    /// Looks, and reads no more than the first part of what there is.
    pub fn glance_at_one_turn(&mut self) {
        self.elapsed += Duration::from_millis(10);
        let (now, wall) = (self.start + self.elapsed, Timestamp::now());
        let before = self.stored();
        let reader = self.reader.as_mut().unwrap();
        reader.rescan();
        while reader.step(now, wall) == Step::Busy {
            if self.port.store.lock().unwrap().lines.len() > before {
                break;
            }
        }
    }

    pub fn append(&mut self, name: &str, lines: &[String]) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        self.write(&mut file, lines);
    }

    pub fn write(&mut self, file: &mut File, lines: &[String]) {
        let mut text = lines.join("\n");
        text.push('\n');
        file.write_all(text.as_bytes()).unwrap();
        self.expected.extend_from_slice(lines);
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        File::options()
            .write(true)
            .open(self.path(from))
            .unwrap()
            .set_len(0)
            .unwrap();
    }

    pub fn gzip(&self, from: &str, to: &str) {
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(self.path(to)).unwrap(),
            flate2::Compression::fast(),
        );
        encoder
            .write_all(&fs::read(self.path(from)).unwrap())
            .unwrap();
        encoder.finish().unwrap();
        fs::remove_file(self.path(from)).unwrap();
    }

    #[track_caller]
    pub fn assert_each_line_once(&self) {
        self.assert_each_line_once_in("");
    }

    #[track_caller]
    pub fn assert_each_line_once_in(&self, what: &str) {
        let mut found = self.port.store.lock().unwrap().lines.clone();
        let mut expected = self.expected.clone();
        found.sort();
        expected.sort();
        let missing: Vec<_> = difference(&expected, &found);
        let surplus: Vec<_> = difference(&found, &expected);
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{what}: {} lines missing {:?}, {} too many {:?}; events {:?}",
            missing.len(),
            &missing[..missing.len().min(5)],
            surplus.len(),
            &surplus[..surplus.len().min(5)],
            self.events()
        );
    }

    pub fn events(&self) -> Vec<(Level, String)> {
        self.port.store.lock().unwrap().events.clone()
    }

    pub fn stored(&self) -> usize {
        self.port.store.lock().unwrap().lines.len()
    }
}

/// Elements of one sorted list that the other does not have (as often).
fn difference(one: &[String], other: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in other {
        *counts.entry(line).or_default() += 1;
    }
    one.iter()
        .filter(|line| {
            let count = counts.entry(line).or_default();
            *count -= 1;
            *count < 0
        })
        .cloned()
        .collect()
}

pub fn lines(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("{prefix} number {index} of the lines that are written here"))
        .collect()
}
