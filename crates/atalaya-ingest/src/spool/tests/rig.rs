//! Reader, spool and store on a made-up disk, step by step and without threads: what the model test
//! and the power failures are played on.
//!
//! The reader goes on where the spool says that an origin is, as the real one does; the store keeps
//! what it acknowledged by place, and may forget the last ten seconds of it. Each line must come to
//! be in the store once: no gap, and no place that two groups cover.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fs::made_up::Disk;
use crate::spool::backlog::Backlog;
use crate::spool::ledger::{Group, Ledger, Next, Trust};
use crate::spool::writer::Writer;
use crate::spool::{SpoolConfig, recover};
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;

pub const ORIGINS: u128 = 3;
/// A store may forget what it acknowledged less than this ago.
pub const FORGETS: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub until: u64,
    pub at: Duration,
}

pub struct Rig {
    pub disk: Disk,
    config: SpoolConfig,
    writer: Writer,
    pub ledger: Arc<Ledger>,
    backlog: Backlog,
    cursor: u64,
    pub flying: Vec<Group>,
    ready: Vec<Group>,
    replay_until: u64,
    began: Instant,
    pub time: Duration,
    /// Where the reader is, by origin.
    pub read: BTreeMap<u128, u64>,
    /// Acknowledged to the reader: (origin, from) to until.
    pub acked: BTreeMap<(u128, u64), u64>,
    pub stored: BTreeMap<(u128, u64), Stored>,
    pub full: u64,
}

pub fn dir() -> PathBuf {
    PathBuf::from("/spool")
}

fn small() -> SpoolConfig {
    SpoolConfig {
        segment_bytes: 2_000,
        keep: Duration::from_secs(60),
        ..SpoolConfig::with_size(dir(), 24_000)
    }
}

pub fn open(disk: &Disk, config: &SpoolConfig) -> (Writer, Arc<Ledger>, Backlog) {
    let fs: Arc<Disk> = Arc::new(disk.clone());
    let start = recover::recover(&*fs, &config.dir, Timestamp::from_seconds(900)).unwrap();
    let ledger = Arc::new(Ledger::new(start.recovered));
    let writer = Writer::new(
        fs.clone(),
        config.clone(),
        Arc::clone(&ledger),
        start.next_number,
    );
    (
        writer,
        ledger,
        Backlog::new(fs, config.dir.clone(), start.seen),
    )
}

/// Everything that a start on this disk would send, and how far it knows the origins.
pub fn contents(disk: &Disk) -> (Vec<Group>, Arc<Ledger>) {
    let (_writer, ledger, mut backlog) = open(disk, &small());
    let mut groups = Vec::new();
    let mut cursor = ledger.frontier();
    while let Next::Disk(index) = ledger.next(cursor) {
        let read = backlog.read(&index, cursor);
        for lost in read.lost {
            cursor = cursor.max(lost.end);
            ledger.lost(lost, Instant::now());
        }
        cursor = read.groups.last().map_or(cursor, |last| last.seq + 1);
        groups.extend(read.groups);
    }
    (groups, ledger)
}

/// The group at the cursor: taken up before (`ready`), in memory, or on the disk.
pub fn next_group(
    ledger: &Ledger,
    backlog: &mut Backlog,
    cursor: &mut u64,
    ready: &mut Vec<Group>,
    now: Instant,
) -> Option<Group> {
    if !ready.is_empty() {
        return Some(ready.remove(0));
    }
    loop {
        match ledger.next(*cursor) {
            Next::Lane(group) => {
                assert_eq!(group.seq, *cursor, "groups come in order");
                *cursor += 1;
                return Some(group);
            }
            Next::Nothing => return None,
            Next::Disk(index) => {
                let read = backlog.read(&index, *cursor);
                for lost in read.lost {
                    *cursor = lost.end.max(*cursor);
                    let groups = ledger.lost(lost.clone(), now);
                    assert_eq!(groups, 0, "groups {lost:?} of an undamaged disk are lost");
                }
                if let Some(last) = read.groups.last() {
                    *cursor = last.seq + 1;
                    *ready = read.groups;
                    return Some(ready.remove(0));
                }
            }
        }
    }
}

pub fn place(frame: &Frame) -> (u128, u64) {
    (frame.origin.id.as_u128(), frame.from)
}

impl Rig {
    pub fn new() -> Self {
        let disk = Disk::default();
        let config = small();
        let (writer, ledger, backlog) = open(&disk, &config);
        Self {
            disk,
            config,
            writer,
            ledger,
            backlog,
            cursor: 1,
            flying: Vec::new(),
            ready: Vec::new(),
            replay_until: 0,
            began: Instant::now(),
            time: Duration::ZERO,
            read: (0..ORIGINS).map(|origin| (origin, 0)).collect(),
            acked: BTreeMap::new(),
            stored: BTreeMap::new(),
            full: 0,
        }
    }

    fn now(&self) -> Instant {
        self.began + self.time
    }

    /// The reader hands over groups, one of each of these sizes; what is refused is read again later.
    /// Groups of one append never share an origin: the reader waits for its answers.
    pub fn append(&mut self, origin: u128, sizes: &[usize]) {
        let mut groups: Vec<Arc<[Frame]>> = Vec::new();
        for (offset, size) in sizes.iter().enumerate() {
            let origin = (origin + offset as u128) % ORIGINS;
            let from = self.read[&origin];
            groups.push([super::frame(origin, from, 1 + size % 3, &"x".repeat(*size))].into());
        }
        let wall = Timestamp::from_seconds(1_000 + self.time.as_secs() as i64);
        let answers = self.writer.append(&groups, wall, self.now());
        assert_eq!(answers.len(), groups.len());
        for (group, answer) in groups.iter().zip(answers) {
            if answer.is_err() {
                self.full += 1;
                continue;
            }
            for frame in &**group {
                self.acked.insert(place(frame), frame.until);
                self.read.insert(place(frame).0, frame.until);
            }
        }
    }

    /// The drainer takes up at most this many groups, in order, and no more than may be on their way.
    pub fn take(&mut self, count: usize) {
        let room = self.config.in_flight.saturating_sub(self.flying.len());
        for _ in 0..count.min(room) {
            let Some(group) = self.next_group() else {
                break;
            };
            self.flying.push(group);
        }
    }

    fn next_group(&mut self) -> Option<Group> {
        let now = self.now();
        let Self {
            ledger,
            backlog,
            cursor,
            ready,
            ..
        } = self;
        next_group(ledger, backlog, cursor, ready, now)
    }

    /// The store acknowledges one of the groups on their way.
    pub fn store(&mut self, which: usize) {
        if self.flying.is_empty() {
            return;
        }
        let group = self.flying.remove(which % self.flying.len());
        for frame in &*group.frames {
            // The same again takes nothing back from what is safe by now.
            let stored = self.stored.entry(place(frame)).or_insert(Stored {
                until: 0,
                at: self.time,
            });
            stored.until = frame.until;
        }
        self.ledger.acked(&group, 0, self.now());
        if self.replay_until > 0 {
            let waiting = self.flying.iter().chain(&self.ready).map(|group| group.seq);
            let until = waiting.fold(self.cursor, u64::min);
            let is_over = until >= self.replay_until;
            self.ledger.resent(until, is_over, self.now());
            if is_over {
                self.replay_until = 0;
            }
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.time += Duration::from_secs(seconds);
        self.maintain();
    }

    /// Closes and removes segments whose time has come.
    pub fn maintain(&mut self) {
        self.writer.maintain(self.now());
    }

    /// The store comes back and has forgotten what it had only in memory; everything is sent again.
    pub fn outage(&mut self) {
        let horizon = self.time;
        self.stored
            .retain(|_, stored| horizon.saturating_sub(stored.at) >= FORGETS);
        let from = self.ledger.replay();
        if from < self.cursor {
            self.replay_until = self.cursor.max(self.replay_until);
            self.cursor = from;
            self.ready.clear();
        }
    }

    /// The machine stops and starts again.
    pub fn restart(&mut self) {
        let (writer, ledger, backlog) = open(&self.disk, &self.config);
        self.writer = writer;
        self.ledger = ledger;
        self.backlog = backlog;
        self.cursor = self.ledger.frontier();
        self.flying.clear();
        self.ready.clear();
        self.replay_until = 0;
        let before = self.read.clone();
        for origin in 0..ORIGINS {
            let (known, trust) = self.ledger.known(OriginId::from_u128(origin));
            let stored = self.stored_until(origin);
            let at = match (known, trust) {
                (Some(known), Trust::Full) => known,
                (known, _) => known.unwrap_or(0).max(stored),
            };
            // Less would be read twice in other pieces, and less than that could be lost.
            assert!(
                at >= before[&origin],
                "origin {origin} was at {}, is at {at}",
                before[&origin]
            );
            self.read.insert(origin, at);
        }
    }

    /// A clean stop: the newest segment is closed.
    pub fn stop(&mut self) {
        self.writer.seal(self.began + self.time);
        self.restart();
    }

    pub fn stored_until(&self, origin: u128) -> u64 {
        let of_origin = self.stored.iter().filter(|((one, _), _)| *one == origin);
        of_origin.map(|(_, stored)| stored.until).max().unwrap_or(0)
    }

    /// Everything is sent; then each line that the reader is past is stored once.
    pub fn settle(&mut self) {
        self.disk.set_fault(None);
        while let Some(group) = self.next_group() {
            self.flying.push(group);
        }
        while !self.flying.is_empty() {
            self.store(0);
        }
        for origin in 0..ORIGINS {
            let mut at = 0;
            for ((_, from), stored) in self.stored.range((origin, 0)..=(origin, u64::MAX)) {
                assert_eq!(*from, at, "origin {origin}: a gap or an overlap");
                at = stored.until;
            }
            assert_eq!(
                at, self.read[&origin],
                "origin {origin} is not stored to where it was read"
            );
        }
        let look = self.ledger.look();
        assert_eq!(
            (
                look.waiting_groups,
                look.totals.waiting(),
                look.totals.damaged
            ),
            (0, 0, 0),
            "{look:?}"
        );
    }

    /// What must survive: acknowledged to the reader and not safe in the store.
    pub fn needed(&self) -> HashSet<(u128, u64)> {
        let is_safe = |place: &(u128, u64)| {
            self.stored
                .get(place)
                .is_some_and(|stored| self.time.saturating_sub(stored.at) >= FORGETS)
        };
        self.acked
            .keys()
            .filter(|place| !is_safe(place))
            .copied()
            .collect()
    }

    pub fn quarantined(&self) -> usize {
        let quarantine = Path::new("/spool/quarantine");
        self.disk
            .files()
            .iter()
            .filter(|(path, _)| path.parent() == Some(quarantine))
            .count()
    }
}
