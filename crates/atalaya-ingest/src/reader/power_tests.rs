//! The power fails while files are read: what was not synced is lost, torn or out of order in the
//! checkpoint, in the spool, and in the very log that is read.
//!
//! Everything but the log files is on the made-up disk. The store is one of two: it commits frames
//! and their watermark together, as SQLite does (whose own durability its own tests prove), or it
//! takes the groups of the spool and keeps them by their key, as Cassandra does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests; what was done is shown when one fails"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Acknowledgement, Port, Reader, Step};
use crate::checkpoint::StateDir;
use crate::fs::made_up::{Disk, Loss, State};
use crate::spool::SpoolConfig;
use crate::spool::backlog::Backlog;
use crate::spool::ledger::{Group, Ledger, Trust};
use crate::spool::tests::rig;
use crate::spool::writer::Writer;
use crate::{IngestConfig, IngestInput, Mode};
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;

/// Lines of a log when it begins. They are synced: what is left of a smaller file could be anything.
const FIRST_LINES: usize = 60;
/// Frames that wait for a commit.
const MOST_WAITING: usize = 8;

/// Operations that the disk still does before the power fails, and what it is at that moment.
#[derive(Clone, Default)]
struct Fuse {
    left: Arc<AtomicI64>,
    last: Arc<Mutex<Option<State>>>,
}

impl Fuse {
    fn on(disk: &Disk, operations: i64) -> Self {
        let fuse = Self::default();
        fuse.left.store(operations, Ordering::SeqCst);
        disk.watch({
            let fuse = fuse.clone();
            move |state| {
                if fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    *fuse.last.lock().unwrap() = Some(state.clone());
                }
            }
        });
        fuse
    }

    /// Nothing that happens now happens.
    fn is_out(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }
}

/// What the store holds: by origin and place, so that the same again changes nothing.
#[derive(Default)]
struct Store {
    frames: BTreeMap<(OriginId, u64), Frame>,
}

impl Store {
    fn put(&mut self, frame: &Frame) {
        let key = (frame.origin.id, frame.from);
        if let Some(before) = self.frames.insert(key, frame.clone()) {
            assert_eq!(before, *frame, "a group came back changed");
        }
    }

    fn watermark(&self, origin: OriginId) -> Option<u64> {
        let of_origin = self.frames.range((origin, 0)..=(origin, u64::MAX));
        of_origin.map(|(_, frame)| frame.until).max()
    }

    /// Each line, and how often it is there.
    fn lines(&self) -> HashMap<String, u32> {
        let mut lines = HashMap::new();
        let mut at: HashMap<OriginId, u64> = HashMap::new();
        for ((origin, from), frame) in &self.frames {
            let until = at.insert(*origin, frame.until).unwrap_or(0);
            assert_eq!(*from, until, "{origin}: a gap or an overlap");
            for entry in &frame.entries {
                if &*frame.origin.source != "atalaya/ingest" {
                    *lines.entry(entry.message.to_string()).or_default() += 1;
                }
            }
        }
        lines
    }
}

struct Spool {
    writer: Writer,
    ledger: Arc<Ledger>,
    backlog: Backlog,
    cursor: u64,
    ready: Vec<Group>,
}

/// What stands between the reader and the store.
enum Way {
    /// Frames that no transaction holds yet.
    Commits(Vec<Frame>),
    Spool(Box<Spool>),
}

struct Between {
    way: Way,
    fuse: Fuse,
    store: Arc<Mutex<Store>>,
    acknowledged: Arc<Mutex<Vec<Frame>>>,
    answers: Vec<Acknowledgement>,
    now: Instant,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Between")
    }
}

impl Between {
    fn acknowledge(&mut self, frame: Frame) {
        self.answers.push(Acknowledgement {
            origin: frame.origin.id,
            outcome: Ok((frame.until, frame.entries.len() as u64)),
        });
        self.acknowledged.lock().unwrap().push(frame);
    }

    /// The store takes a part of what waits for it.
    fn store_some(&mut self, most: usize, answer_is_lost: bool) {
        if self.fuse.is_out() {
            return;
        }
        match &mut self.way {
            Way::Commits(waiting) => {
                let committed: Vec<Frame> = waiting.drain(..most.min(waiting.len())).collect();
                for frame in committed {
                    self.store.lock().unwrap().put(&frame);
                    if !answer_is_lost {
                        self.acknowledge(frame);
                    }
                }
            }
            Way::Spool(spool) => {
                for _ in 0..most {
                    let Spool {
                        ledger,
                        backlog,
                        cursor,
                        ready,
                        ..
                    } = &mut **spool;
                    let group = rig::next_group(ledger, backlog, cursor, ready, self.now);
                    let Some(group) = group else { break };
                    for frame in &*group.frames {
                        self.store.lock().unwrap().put(frame);
                    }
                    if !answer_is_lost {
                        ledger.acked(&group, 0, self.now);
                    }
                }
                spool.writer.maintain(self.now);
            }
        }
    }
}

impl Port for Between {
    fn watermark(&mut self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        let stored = self.store.lock().unwrap().watermark(origin);
        Ok(match &self.way {
            Way::Commits(_) => stored,
            Way::Spool(spool) => match spool.ledger.known(origin) {
                (Some(until), Trust::Full) => Some(until),
                (known, _) => stored.max(known),
            },
        })
    }

    fn offer(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.fuse.is_out() {
            return Err(frame);
        }
        match &mut self.way {
            Way::Commits(waiting) if waiting.len() >= MOST_WAITING => Err(frame),
            Way::Commits(waiting) => {
                waiting.push(frame);
                Ok(())
            }
            Way::Spool(spool) => {
                let group: Arc<[Frame]> = [frame.clone()].into();
                let outcomes = spool.writer.append(&[group], Timestamp::now(), self.now);
                // Whoever has no power gets no answer.
                if self.fuse.is_out() || outcomes.iter().any(Result::is_err) {
                    return Err(frame);
                }
                self.acknowledge(frame);
                Ok(())
            }
        }
    }

    fn acknowledged(&mut self) -> Vec<Acknowledgement> {
        std::mem::take(&mut self.answers)
    }
}

fn spool_config() -> SpoolConfig {
    SpoolConfig {
        segment_bytes: 20_000,
        ..SpoolConfig::with_size(rig::dir(), 4 << 20)
    }
}

/// The machine, and who writes the log on it.
struct Machine {
    dir: tempfile::TempDir,
    disk: Disk,
    is_spooled: bool,
    fuse: Fuse,
    reader: Option<Reader<Between>>,
    store: Arc<Mutex<Store>>,
    acknowledged: Arc<Mutex<Vec<Frame>>>,
    elapsed: Duration,
    start: Instant,
    written: usize,
    /// Bytes of the current log that its writer has synced.
    synced: usize,
    rotations: usize,
}

impl Machine {
    fn new(is_spooled: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let mut machine = Self {
            dir,
            disk: Disk::default(),
            is_spooled,
            fuse: Fuse::default(),
            reader: None,
            store: Arc::default(),
            acknowledged: Arc::default(),
            elapsed: Duration::ZERO,
            start: Instant::now(),
            written: 0,
            synced: 0,
            rotations: 0,
        };
        machine.begin_log();
        machine.power_on(i64::MAX);
        machine
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("logs/x.log")
    }

    fn append(&mut self, count: usize) {
        let text: String = (self.written..self.written + count)
            .map(|line| {
                format!("line {line} of all that are written here, as long as {line:040}\n")
            })
            .collect();
        self.written += count;
        let log = File::options().create(true).append(true).open(self.log());
        log.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn begin_log(&mut self) {
        self.append(FIRST_LINES);
        self.sync_log();
    }

    fn sync_log(&mut self) {
        self.synced = fs::read(self.log()).unwrap().len();
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        let name = format!("logs/x.log.{}", self.rotations);
        println!(
            "{} becomes {name} at line {}",
            fs::read(self.log()).unwrap().len(),
            self.written
        );
        fs::rename(self.log(), self.dir.path().join(name)).unwrap();
        self.begin_log();
    }

    fn power_on(&mut self, operations: i64) {
        self.fuse = Fuse::on(&self.disk, operations);
        let way = if self.is_spooled {
            let (writer, ledger, backlog) = rig::open(&self.disk, &spool_config());
            Way::Spool(Box::new(Spool {
                writer,
                cursor: ledger.frontier(),
                ledger,
                backlog,
                ready: Vec::new(),
            }))
        } else {
            Way::Commits(Vec::new())
        };
        let between = Between {
            way,
            fuse: self.fuse.clone(),
            store: Arc::clone(&self.store),
            acknowledged: Arc::clone(&self.acknowledged),
            answers: Vec::new(),
            now: self.start + self.elapsed,
        };
        let input = IngestInput {
            format: crate::format::by_name("plain"),
            ..IngestInput::detected(self.log().to_string_lossy())
        };
        let state = self.dir.path().join("state");
        let config = IngestConfig::new(vec![input], state, "host", Mode::Follow);
        let disk = Arc::new(self.disk.clone());
        self.reader = Some(Reader::new_on(disk, config, between).unwrap());
    }

    fn look(&mut self, passes: Duration) {
        self.elapsed += passes;
        let now = self.start + self.elapsed;
        let reader = self.reader.as_mut().unwrap();
        reader.port().now = now;
        reader.rescan();
        // A port without room waits for the store, not for another step.
        for _ in 0..4 {
            if reader.step(now, Timestamp::now()) != Step::Busy {
                break;
            }
        }
    }

    fn store_some(&mut self, most: usize, answer_is_lost: bool) {
        let reader = self.reader.as_mut().unwrap();
        reader.port().store_some(most, answer_is_lost);
    }

    /// Anything that happens on such a machine.
    fn live(&mut self, random: &mut StdRng) {
        match random.random_range(0..20) {
            0..7 => self.append(random.random_range(1..120)),
            7 => self.sync_log(),
            8 if random.random_bool(0.3) => self.rotate(),
            8..15 => self.look(Duration::from_millis(random.random_range(1..900))),
            15 => self.look(Duration::from_secs(random.random_range(1..40))),
            _ => self.store_some(random.random_range(1..6), random.random_bool(0.1)),
        }
    }

    /// The power is gone and comes back.
    fn fail(&mut self, random: &mut StdRng) {
        self.reader = None;
        let loss = match random.random_range(0..4) {
            0 => Loss::Everything,
            1 => Loss::Nothing,
            _ => Loss::Random(random.random()),
        };
        match self.fuse.last.lock().unwrap().take() {
            Some(state) => self.disk = Disk::of(state.after(loss)),
            None => self.disk.crash(loss),
        }
        // Of the log its end is lost, in the middle of a line at times.
        let bytes = fs::read(self.log()).unwrap();
        self.keep_what_nobody_could_tell(bytes.len());
        let left = random.random_range(self.synced..=bytes.len());
        let left = match random.random_range(0..3) {
            0 => bytes.len(),
            1 => left,
            _ => bytes[..left]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1),
        };
        println!(
            "{loss:?}; of {} bytes {left} are left, line {}",
            bytes.len(),
            self.written
        );
        let log = File::options().write(true).open(self.log()).unwrap();
        log.set_len(left.max(self.synced) as u64).unwrap();
        self.sync_log();
    }

    /// Of what the store has and the checkpoint does not know yet (at most a second of reading) the log
    /// keeps all: what follows a loss in it can be old or new. This is a known limit.
    fn keep_what_nobody_could_tell(&mut self, length: usize) {
        let disk = Arc::new(self.disk.clone());
        let state = self.dir.path().join("state");
        let (_lock, loaded) = StateDir::open_on(disk, &state).unwrap();
        let spool = self
            .is_spooled
            .then(|| rig::open(&self.disk, &spool_config()));
        let inode = fs::metadata(self.log()).unwrap().ino();
        for generation in loaded.generations {
            let stored = self.store.lock().unwrap().watermark(generation.origin);
            let spooled = spool
                .as_ref()
                .and_then(|(_, ledger, _)| ledger.known(generation.origin).0);
            let stored = stored.max(spooled);
            let stored = usize::try_from(stored.unwrap_or(0)).unwrap();
            let is_known = generation.print.last.until() >= stored as u64;
            if generation.file.inode == inode && !is_known {
                self.synced = self.synced.max(stored.min(length));
            }
        }
    }

    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 8 {
            let before = self.store.lock().unwrap().frames.len();
            self.look(Duration::from_secs(3));
            self.store_some(usize::MAX, false);
            let is_quiet = self.store.lock().unwrap().frames.len() == before;
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
    }

    /// Every line of the files is stored once, and no other one more than once; what was acknowledged
    /// is there.
    fn check(&self, what: &str) {
        let stored = self.store.lock().unwrap().lines();
        let mut expected = BTreeSet::new();
        for entry in fs::read_dir(self.dir.path().join("logs")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            // Its writer died in the middle of the last line, whose end is waited for.
            let until = text.rfind('\n').map_or(0, |at| at + 1);
            expected.extend(text[..until].lines().map(str::to_owned));
        }
        for frame in &*self.acknowledged.lock().unwrap() {
            let is_ours = &*frame.origin.source == "atalaya/ingest";
            let lines = frame.entries.iter().filter(|_| !is_ours);
            expected.extend(lines.map(|entry| entry.message.to_string()));
        }
        let missing: Vec<_> = expected
            .iter()
            .filter(|line| !stored.contains_key(*line))
            .collect();
        let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
        let reader = self.reader.as_ref().unwrap();
        assert!(
            missing.is_empty() && doubled.is_empty(),
            "{what}: {} lost {:?}, {} doubled {:?}; {:?}",
            missing.len(),
            &missing[..missing.len().min(3)],
            doubled.len(),
            &doubled[..doubled.len().min(3)],
            reader.told.notices,
        );
        let whole: HashSet<&str> = expected.iter().map(String::as_str).collect();
        let altered = stored
            .keys()
            .find(|line| !whole.contains(line.as_str()) && !self.wrote(line));
        assert_eq!(altered, None, "{what}");
    }

    /// Whether it is a line that was written, and lost from the log after it was read.
    fn wrote(&self, line: &str) -> bool {
        let number = line
            .strip_prefix("line ")
            .and_then(|rest| rest.split(' ').next());
        let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else {
            return false;
        };
        number < self.written
            && line
                == format!("line {number} of all that are written here, as long as {number:040}")
    }
}

fn run(is_spooled: bool, cuts: usize) {
    let chosen = std::env::var("ATALAYA_TEST_SEED").ok();
    let seed: u64 = chosen.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut lost_operations = 0;
    // A few failures a machine: what one leaves behind is in the way of the next.
    for machine in 0..cuts.div_ceil(8) {
        let mut one = Machine::new(is_spooled);
        for cut in 0..8 {
            let what = format!("seed {seed}, machine {machine}, cut {cut}");
            for _ in 0..200 {
                if one.fuse.is_out() {
                    lost_operations += 1;
                    break;
                }
                one.live(&mut random);
            }
            one.fail(&mut random);
            one.power_on(i64::MAX);
            one.settle();
            one.check(&what);
            // The next failure comes within some operations of the disk.
            one.reader = None;
            one.power_on(random.random_range(1..80));
        }
    }
    assert!(
        lost_operations * 3 > cuts,
        "only {lost_operations} of {cuts} failed under a write"
    );
}

fn cuts() -> usize {
    if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        200
    } else {
        40
    }
}

/// R2: synced before acknowledged.
#[test]
fn a_power_failure_under_checkpoint_and_log_loses_and_doubles_nothing() {
    run(false, cuts());
}

/// R2: synced before acknowledged.
#[test]
fn a_power_failure_under_spool_checkpoint_and_log_loses_and_doubles_nothing() {
    run(true, cuts());
}

/// R11: what is read on behind lines that no store has yet would pass over them after a crash.
#[test]
fn a_log_shortened_while_its_lines_wait_for_the_store_loses_none() {
    for kept in [FIRST_LINES, 100, 179] {
        let mut one = Machine::new(false);
        one.append(120);
        for _ in 0..4 {
            one.look(Duration::from_secs(1));
        }
        let text = fs::read_to_string(one.log()).unwrap();
        let first: String = text.split_inclusive('\n').take(kept).collect();
        fs::write(one.log(), first).unwrap();
        one.append(30);
        for _ in 0..4 {
            one.look(Duration::from_secs(3));
        }
        // Nothing was stored yet, and the process is gone; the log and the checkpoint are there.
        one.reader = None;
        one.disk.crash(Loss::Nothing);
        one.power_on(i64::MAX);
        one.settle();
        one.check(&format!("{kept} lines were kept"));
    }
}
