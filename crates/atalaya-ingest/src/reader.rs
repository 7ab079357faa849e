//! The one place that decides what is read when: it looks at the directories, recognises content,
//! takes turns among the open files, hands frames on, keeps the checkpoint and the accounts.
//!
//! A [`Reader`] does not sleep, spawn or know the time: [`Reader::step`] is told both clocks and
//! says how long nothing will happen. A thread in [`super::pipeline`] drives it; tests drive it
//! directly.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accounts::{AllUnread, Counts, FileState};
use super::checkpoint::{StateDir, forget_old};
use super::fs::{Fs, RealFs};
use super::generation::{Family, Generation, Holder};
use super::identity::FileId;
use super::{IngestConfig, IngestError, Limits, Mode};
use atalaya_domain::record::{Frame, OriginId, Text};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Reason, StoreError};

mod active;
pub mod catalogue;
pub mod decide;
mod events;
mod examine;
mod inputs;
mod known;
mod moves;
mod open;
pub mod scan;
mod status;
pub mod streams;
mod turns;

#[cfg(test)]
mod power_tests;

use active::{Active, Rate};
use catalogue::Catalogue;
use inputs::Inputs;

/// Bytes read from one file before the next one has its turn.
const TURN: u64 = 1 << 20;
/// Size of one read.
const BUFFER: usize = 256 << 10;
/// The checkpoint is written in one part of so many of the time at most.
const SAVING_SHARE: u32 = 10;
/// With so many files a look may take long, and a look of this length is a burden.
const MANY: usize = 500;
const LONG_LOOK: Duration = Duration::from_millis(200);
/// How soon directories are looked at again when files wait for a descriptor.
const ROOM_LOOK: Duration = Duration::from_millis(200);
/// Lines that the checkpoint remembers of all files together, and of one at least.
const KEPT_LINES: usize = 100_000;
const FEWEST_LINES: usize = 8;
/// How often generations that are long gone are looked for.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Messages and unread files kept for the screen.
const MOST_NOTICES: usize = 100;
/// How long the account of a file that is gone stays on the screen.
const SHOWN_GONE: Duration = Duration::from_secs(300);

/// The store, as the reader sees it. Never waits, but for the watermark of a file just found.
pub trait Port {
    /// How far this origin is stored.
    fn watermark(&mut self, origin: OriginId) -> Result<Option<u64>, StoreError>;
    /// How far content is stored that the checkpoint does not know and that began at `born`.
    fn watermark_of_new(
        &mut self,
        origin: OriginId,
        born: Option<Timestamp>,
    ) -> Result<Option<u64>, StoreError> {
        let _ = born;
        self.watermark(origin)
    }
    /// Hands a frame on; gives it back when there is no room.
    fn offer(&mut self, frame: Frame) -> Result<(), Frame>;
    /// What the store said since the last call.
    fn acknowledged(&mut self) -> Vec<Acknowledgement>;
}

/// The store's answer to one frame.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    pub origin: OriginId,
    /// How far the origin is stored and how many records the frame held, or why it never will be.
    pub outcome: Result<(u64, u64), String>,
}

/// What [`Reader::step`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do at once.
    Busy,
    /// Nothing happens before this time, unless something wakes the reader.
    Idle(Duration),
    /// Everything was read and stored.
    Finished,
}

/// See the module.
#[derive(Debug)]
pub struct Reader<P> {
    port: P,
    inputs: Inputs,
    old_dirs: Vec<PathBuf>,
    host: Text,
    mode: Mode,
    limits: Limits,
    catalogue: Catalogue,
    active: HashMap<OriginId, Active>,
    turns: Turns,
    outbox: VecDeque<Frame>,
    buffer: Vec<u8>,
    watching: Watching,
    saving: Saving,
    told: Told,
    stopping: bool,
}

/// The order in which files have their turns, and whose is the first.
#[derive(Debug, Default)]
struct Turns {
    order: Vec<OriginId>,
    first: usize,
}

/// What people were told, and what they are told of files that are no longer listed.
#[derive(Debug, Default)]
struct Told {
    unread: AllUnread,
    notices: VecDeque<String>,
    totals_before: Counts,
    rate: Rate,
    limit_said: bool,
}

/// What the looks at the directories remember of each other.
#[derive(Debug, Default)]
struct Watching {
    next_scan: Option<Instant>,
    /// Not before that, whatever wakes the reader.
    earliest: Option<Instant>,
    dirs: HashSet<PathBuf>,
    /// Families that the look before this one knew the inputs of.
    followed: HashSet<Family>,
    /// Files not decided about, with their size and since when they have it.
    noticed: HashMap<FileId, (u64, Instant)>,
    /// Every file that is there was looked at and opened.
    scanned_once: bool,
    /// Some wait for a descriptor.
    left_over: bool,
    /// Files that are open, counted at the beginning of a look.
    open: usize,
    /// Open files that may be closed, the longest quiet last; looked for once in a look.
    quiet: Option<Vec<OriginId>>,
    /// Generations that the store was asked about.
    believed: HashSet<OriginId>,
    /// Generations that the checkpoint knows and the store does not, not said yet.
    forgotten_by_store: usize,
}

impl Watching {
    fn is_due(&self, now: Instant) -> bool {
        self.next_scan.is_none_or(|due| now >= due) && self.earliest.is_none_or(|due| now >= due)
    }

    /// A look that takes long (many files, a slow disk) leaves time for reading.
    fn pause_after(&mut self, took: Duration, now: Instant, poll: Duration) {
        self.earliest = (took >= LONG_LOOK).then(|| now + took * 3);
        self.next_scan = self.next_scan.map(|_| now + poll.max(took * 4));
    }
}

/// The checkpoint and when it is due.
#[derive(Debug)]
struct Saving {
    state: StateDir,
    /// The checkpoint differs from the file since then.
    dirty_since: Option<Instant>,
    /// How long it may lag behind.
    pause: Duration,
    /// A frame waits for the checkpoint to know its generation.
    must_save: bool,
    forgotten: Option<Timestamp>,
    /// Why the reader itself waits (the checkpoint cannot be written, the store does not answer).
    trouble: Option<Reason>,
}

/// What stands in the way of a file.
enum Obstacle {
    Io(io::Error),
    Store(StoreError),
    /// The path leads to another file by now.
    Moved,
    TooMany,
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for Obstacle {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<P: Port> Reader<P> {
    /// Takes the lock of the state directory.
    pub fn new(config: IngestConfig, port: P) -> Result<Self, IngestError> {
        Self::new_on(Arc::new(RealFs), config, port)
    }

    /// The same with the checkpoint on another disk.
    fn new_on(fs: Arc<dyn Fs>, config: IngestConfig, port: P) -> Result<Self, IngestError> {
        let inputs = Inputs::new(config.inputs)?;
        let (mut state, loaded) = StateDir::open_on(fs, &config.state_dir)?;
        let patterns = inputs.iter().map(|watched| watched.input.pattern.as_str());
        let known: Vec<&Generation> = loaded.generations.iter().collect();
        let asked = state.ask(patterns, config.asked, &known);
        let mut catalogue = Catalogue::new(loaded.generations);
        catalogue.asked.clone_from(state.asked());
        let mut reader = Self {
            port,
            inputs,
            old_dirs: config.old_dirs,
            host: config.host,
            mode: config.mode,
            limits: config.limits,
            catalogue,
            active: HashMap::new(),
            turns: Turns::default(),
            outbox: VecDeque::new(),
            buffer: vec![0; BUFFER],
            watching: Watching::default(),
            saving: Saving {
                state,
                dirty_since: None,
                pause: config.limits.checkpoint_age,
                must_save: false,
                forgotten: None,
                trouble: None,
            },
            told: Told::default(),
            stopping: false,
        };
        for notice in loaded.notices {
            reader.notice(notice);
        }
        if let Err(error) = asked {
            // It is in memory, and goes with the next checkpoint that can be written.
            reader.saving.trouble = Some(Reason::plain(format!(
                "the checkpoint in {} cannot be written: {error}",
                reader.saving.state.path().display()
            )));
        }
        Ok(reader)
    }

    /// Does what there is to do now, for a bounded time.
    pub fn step(&mut self, now: Instant, wall: Timestamp) -> Step {
        self.take_acknowledgements(now);
        if !self.stopping && self.watching.is_due(now) && self.may_scan() {
            let began = Instant::now();
            self.watching.next_scan = Some(now + self.limits.poll);
            self.look_around(now, wall);
            let took = began.elapsed();
            if self.catalogue.generations.len() > MANY {
                self.watching.pause_after(took, now, self.limits.poll);
            }
            if self.watching.left_over {
                // Those that wait for a descriptor have their turn as soon as others were read.
                self.watching.next_scan = Some(now + self.limits.poll.min(ROOM_LOOK));
            }
        }
        self.deliver();
        let more = !self.stopping && self.outbox.is_empty() && self.take_turns(now, wall);
        self.settle(now);
        self.deliver();
        self.take_acknowledgements(now);
        self.keep_checkpoint(now, wall);
        self.retire(now);
        if more && self.outbox.is_empty() {
            return Step::Busy;
        }
        if self.is_finished() {
            return Step::Finished;
        }
        Step::Idle(self.idle_time(now))
    }

    /// Something changed in a directory: look at it in the next step.
    pub fn rescan(&mut self) {
        self.watching.next_scan = None;
    }

    /// Reads no more; what is complete is given out. Call [`Reader::step`] until the outbox is empty.
    pub fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        let mut frames = Vec::new();
        for active in self.active.values_mut() {
            if let Some(tail) = &mut active.tail {
                tail.give_complete(&mut frames);
            }
        }
        self.send(frames);
    }

    /// Whether frames wait for room in the port.
    pub fn has_undelivered(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Takes the last answers and writes the checkpoint.
    pub fn close(&mut self, now: Instant) {
        self.take_acknowledgements(now);
        self.saving.dirty_since = Some(now);
        self.save(Slots::One);
    }

    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    /// Directories whose changes matter.
    pub fn dirs(&self) -> &HashSet<PathBuf> {
        &self.watching.dirs
    }

    /// Without following, directories are looked at until every file was opened.
    fn may_scan(&self) -> bool {
        self.mode == Mode::Follow || !self.watching.scanned_once
    }

    fn take_acknowledgements(&mut self, now: Instant) {
        for acknowledgement in self.port.acknowledged() {
            let Some(active) = self.active.get_mut(&acknowledgement.origin) else {
                continue;
            };
            match acknowledgement.outcome {
                Ok((until, records)) => {
                    let progress = &mut active.progress;
                    progress.acknowledged = progress.acknowledged.max(until);
                    progress.written += records;
                    self.saving.dirty_since.get_or_insert(now);
                }
                Err(reason) => {
                    active.close(self.catalogue.generations.get_mut(&acknowledgement.origin));
                    active.stopped = true;
                    active.note_error(reason.clone());
                    active.state = FileState::Stopped(reason.clone());
                    let origin = acknowledgement.origin;
                    self.outbox.retain(|frame| frame.origin.id != origin);
                    let message = format!("{} is not read on: {reason}", active.path.display());
                    self.notice(message);
                }
            }
        }
    }

    /// Hands waiting frames on, as far as there is room and the checkpoint knows their origin.
    fn deliver(&mut self) {
        if self.saving.must_save {
            if self.outbox.is_empty() {
                self.saving.must_save = false;
            } else if !self.save(Slots::Both) {
                return;
            }
        }
        while let Some(frame) = self.outbox.pop_front() {
            if let Err(frame) = self.port.offer(frame) {
                self.outbox.push_front(frame);
                break;
            }
        }
    }

    fn send(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            if self
                .active
                .get(&frame.origin.id)
                .is_some_and(|active| !active.durable)
            {
                self.saving.must_save = true;
            }
            self.outbox.push_back(frame);
        }
    }

    /// Copies what the tail knows into the checkpoint's generation.
    fn remember_tail(&mut self, origin: OriginId) {
        let Some(active) = self.active.get(&origin) else {
            return;
        };
        let Some(generation) = self.catalogue.generations.get_mut(&origin) else {
            return;
        };
        generation.offset = generation.offset.max(active.progress.acknowledged);
        if let Some(tail) = &active.tail {
            generation.print = tail.print.clone();
            generation.format = tail.shape().map(|shape| shape.name().to_owned());
        }
        if generation.holder.is_packed() && active.tail.is_none() && active.state == FileState::Read
        {
            generation.holder = if active.is_stored() {
                Holder::Ended
            } else {
                Holder::Packed
            };
        }
    }

    fn remember_tails(&mut self) {
        let origins: Vec<OriginId> = self.active.keys().copied().collect();
        for origin in origins {
            self.remember_tail(origin);
        }
    }

    fn keep_checkpoint(&mut self, now: Instant, wall: Timestamp) {
        if self
            .saving
            .dirty_since
            .is_some_and(|since| now.duration_since(since) >= self.saving.pause)
        {
            let began = Instant::now();
            self.save(Slots::One);
            // That of many thousand files takes its time: it must not take all of it.
            self.saving.pause = self
                .limits
                .checkpoint_age
                .max(began.elapsed() * SAVING_SHARE);
        }
        if self
            .saving
            .forgotten
            .is_none_or(|last| wall.since(last) > FORGET_EVERY)
        {
            self.saving.forgotten = Some(wall);
            forget_old(&mut self.catalogue.generations, wall);
        }
    }

    /// False when it could not be written; the reason is then in the status.
    fn save(&mut self, slots: Slots) -> bool {
        self.remember_tails();
        let lines = KEPT_LINES / self.catalogue.generations.len().max(1);
        let lines = lines.max(FEWEST_LINES);
        for generation in self.catalogue.generations.values_mut() {
            generation.print.last.keep(lines);
        }
        for tail in self.active.values_mut().filter_map(|one| one.tail.as_mut()) {
            tail.print.last.keep(lines);
        }
        let generations: Vec<&Generation> = self.catalogue.generations.values().collect();
        let saved = match slots {
            Slots::One => self.saving.state.save(&generations),
            Slots::Both => self.saving.state.save_twice(&generations),
        };
        match saved {
            Ok(()) => {
                self.saving.dirty_since = None;
                self.saving.trouble = None;
                if slots == Slots::Both {
                    self.saving.must_save = false;
                    for active in self
                        .active
                        .values_mut()
                        .filter(|active| active.tail.is_some())
                    {
                        active.durable = true;
                    }
                }
                true
            }
            Err(error) => {
                self.saving.trouble = Some(Reason::plain(format!(
                    "the checkpoint in {} cannot be written: {error}",
                    self.saving.state.path().display()
                )));
                false
            }
        }
    }

    /// Accounts of files that are gone and stored are kept in the sums only.
    fn retire(&mut self, now: Instant) {
        let mut dropped = Vec::new();
        for (origin, active) in &mut self.active {
            let over = active.tail.is_none() && !active.attached && active.is_stored();
            if !over {
                active.retired = None;
            } else if now.duration_since(*active.retired.get_or_insert(now)) >= SHOWN_GONE {
                dropped.push(*origin);
            }
        }
        for origin in dropped {
            if let Some(active) = self.active.remove(&origin) {
                self.told.totals_before.add(&active.counts());
            }
            self.turns.order.retain(|other| *other != origin);
        }
    }

    fn is_finished(&self) -> bool {
        self.mode == Mode::Once
            && self.watching.scanned_once
            && self.outbox.is_empty()
            && self.saving.trouble.is_none()
            && self
                .active
                .values()
                .all(|active| active.stopped || (active.tail.is_none() && active.is_stored()))
    }

    fn notice(&mut self, message: String) {
        push_notice(&mut self.told.notices, message);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slots {
    One,
    Both,
}

fn push_notice(notices: &mut VecDeque<String>, message: String) {
    tracing::warn!(target: "atalaya::ingest", "{message}");
    if notices.back() == Some(&message) {
        return;
    }
    if notices.len() == MOST_NOTICES {
        notices.pop_front();
    }
    notices.push_back(message);
}
