//! The one place that decides what is read when: it looks at the directories, recognises content,
//! takes turns among the open files, hands frames on, keeps the checkpoint and the accounts.
//!
//! A [`Reader`] does not sleep, spawn or know the time: [`Reader::step`] is told both clocks and
//! says how long nothing will happen. A thread in [`super::pipeline`] drives it; tests drive it
//! directly.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::accounts::{AllUnread, Counts, FileAccount, FileState, IngestStatus};
use super::checkpoint::{Generation, StateDir, forget_old};
use super::content::{Content, Stream};
use super::format::decoder::Tally;
use super::identity::{FileId, Fingerprint};
use super::tail::{Reading, Start, StillThere, Tail, Turn};
use super::{IngestConfig, IngestError, Limits, Mode, StreamInput};
use atalaya_domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, Text};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;

mod decide;
mod scan;

use scan::Watched;

/// Bytes read from one file before the next one has its turn.
const TURN: u64 = 1 << 20;
/// Size of one read.
const BUFFER: usize = 256 << 10;
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

/// A generation that this run has looked at.
#[derive(Debug)]
struct Active {
    path: PathBuf,
    input: usize,
    tail: Option<Tail>,
    state: FileState,
    /// The file is the one that its writer writes to now.
    current: bool,
    /// Some directory entry that is looked at holds it.
    attached: bool,
    /// What a turn at it knows about the times of its lines.
    times: Times,
    /// Its head is in the checkpoint: frames may be sent.
    durable: bool,
    stopped: bool,
    /// Given out in frames by tails that are closed.
    given: u64,
    acknowledged: u64,
    size: u64,
    /// Counts of tails that are closed.
    before: Counts,
    written: u64,
    format: Option<&'static str>,
    formats: Tally,
    origin: Option<std::sync::Arc<Origin>>,
    errors: u64,
    last_error: Option<String>,
    lag_since: Option<Instant>,
    rate: Rate,
    retired: Option<Instant>,
}

impl Active {
    fn counts(&self) -> Counts {
        let mut counts = self.before;
        if let Some(tail) = &self.tail {
            counts.add(&tail.counts());
        }
        counts.written = self.written;
        counts
    }

    fn given(&self) -> u64 {
        self.tail.as_ref().map_or(self.given, Tail::given)
    }

    /// Closes the file; what is known of its bytes goes into the checkpoint.
    fn close(&mut self, generation: Option<&mut Generation>) {
        if let Some(tail) = self.tail.take() {
            if let Some(generation) = generation {
                generation.print = tail.print.clone();
                generation.format = tail.shape().map(|shape| shape.name().to_owned());
            }
            self.given = tail.given();
            self.format = tail.shape().map(super::format::Shape::name);
            self.formats = tail.tally();
            self.origin = tail.record_origin().cloned();
            self.before.add(&tail.counts());
            // Lines that were read and not given out are read again: they do not count twice.
            self.before.lines -= self.before.pending();
        }
    }
}

/// Bytes that were in a file when it was opened, and when they were last written to.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    there_until: u64,
    modified: Timestamp,
}

/// Records a second, smoothed over some seconds.
#[derive(Debug, Default)]
struct Rate {
    value: f64,
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn update(&mut self, now: Instant, total: u64) -> f64 {
        let Some((then, before)) = self.last else {
            self.last = Some((now, total));
            return 0.0;
        };
        let seconds = now.duration_since(then).as_secs_f64();
        if seconds >= 0.2 {
            let present = total.saturating_sub(before) as f64 / seconds;
            let weight = (seconds / 3.0).min(1.0);
            self.value = self.value * (1.0 - weight) + present * weight;
            if self.value < 0.05 {
                self.value = 0.0;
            }
            self.last = Some((now, total));
        }
        self.value
    }
}

#[derive(Debug)]
pub struct Reader<P> {
    port: P,
    inputs: Vec<Watched>,
    host: Text,
    mode: Mode,
    limits: Limits,
    state: StateDir,
    generations: BTreeMap<OriginId, Generation>,
    active: HashMap<OriginId, Active>,
    /// The order in which files have their turns.
    order: Vec<OriginId>,
    first_turn: usize,
    outbox: VecDeque<Frame>,
    buffer: Vec<u8>,
    next_scan: Option<Instant>,
    /// The checkpoint differs from the file since then.
    dirty_since: Option<Instant>,
    /// A frame waits for the checkpoint to know its generation.
    must_save: bool,
    forgotten: Option<Timestamp>,
    unread: AllUnread,
    notices: VecDeque<String>,
    totals_before: Counts,
    rate: Rate,
    /// Why the reader itself waits (the checkpoint cannot be written, the store does not answer).
    trouble: Option<String>,
    scan_dirs: HashSet<PathBuf>,
    /// Families that the look before this one knew the inputs of.
    followed: HashSet<scan::Family>,
    /// Files not decided about, with their size and since when they have it.
    noticed: HashMap<FileId, (u64, Instant)>,
    /// Every file that is there was looked at and opened.
    scanned_once: bool,
    /// Some wait for a descriptor.
    left_over: bool,
    stopping: bool,
    limit_said: bool,
}

impl<P: Port> Reader<P> {
    /// Takes the lock of the state directory.
    pub fn new(config: IngestConfig, port: P) -> Result<Self, IngestError> {
        let inputs = config
            .inputs
            .into_iter()
            .map(Watched::new)
            .collect::<Result<Vec<_>, _>>()?;
        let (state, loaded) = StateDir::open(&config.state_dir)?;
        let mut reader = Self {
            port,
            inputs,
            host: config.host,
            mode: config.mode,
            limits: config.limits,
            state,
            generations: loaded
                .generations
                .into_iter()
                .map(|generation| (generation.origin, generation))
                .collect(),
            active: HashMap::new(),
            order: Vec::new(),
            first_turn: 0,
            outbox: VecDeque::new(),
            buffer: vec![0; BUFFER],
            next_scan: None,
            dirty_since: None,
            must_save: false,
            forgotten: None,
            unread: AllUnread::default(),
            notices: VecDeque::new(),
            totals_before: Counts::default(),
            rate: Rate::default(),
            trouble: None,
            scan_dirs: HashSet::new(),
            followed: HashSet::new(),
            noticed: HashMap::new(),
            scanned_once: false,
            left_over: false,
            stopping: false,
            limit_said: false,
        };
        for notice in loaded.notices {
            reader.notice(notice);
        }
        Ok(reader)
    }

    /// Adds an input that is no file; it is read once, beside the files. The input comes back when
    /// the store did not say how far it has it: try again.
    #[expect(
        clippy::result_large_err,
        reason = "once for each stream: the input itself comes back"
    )]
    pub fn add_stream(
        &mut self,
        stream: StreamInput,
        wake: impl Fn() + Send + 'static,
        now: Instant,
    ) -> Result<(), (StreamError, Option<StreamInput>)> {
        let origin = OriginId::derive(&[b"stream", self.host.as_bytes(), stream.key.as_bytes()]);
        let offset = match self.port.watermark(origin) {
            Ok(stored) => stored.unwrap_or(0),
            Err(error) => {
                let again = error.is_transient().then_some(stream);
                return Err((error.into(), again));
            }
        };
        let format = stream.input.format;
        let tail = Stream::start(stream.reader, wake)
            .and_then(|stream| {
                let print = Fingerprint::default();
                let content = Content::Stream(stream);
                Tail::new(
                    Start {
                        origin,
                        content,
                        offset,
                        print,
                        format,
                    },
                    now,
                )
            })
            .map_err(|error| (error.into(), None))?;
        let input = self.inputs.len();
        self.inputs.push(Watched::stream(stream.input));
        let mut active = Self::new_active(PathBuf::from(stream.name), input, offset);
        active.tail = Some(tail);
        active.durable = true; // its identity is the key: there is nothing to remember
        self.active.insert(origin, active);
        self.order.push(origin);
        Ok(())
    }

    fn new_active(path: PathBuf, input: usize, offset: u64) -> Active {
        Active {
            path,
            input,
            tail: None,
            state: FileState::Reading,
            current: true,
            attached: true,
            times: Times::default(),
            durable: false,
            stopped: false,
            given: offset,
            acknowledged: offset,
            size: offset,
            before: Counts::default(),
            written: 0,
            format: None,
            formats: Tally::default(),
            origin: None,
            errors: 0,
            last_error: None,
            lag_since: None,
            rate: Rate::default(),
            retired: None,
        }
    }

    /// Does what there is to do now, for a bounded time.
    pub fn step(&mut self, now: Instant, wall: Timestamp) -> Step {
        self.take_acknowledgements(now);
        if !self.stopping && self.next_scan.is_none_or(|due| now >= due) && self.may_scan() {
            self.next_scan = Some(now + self.limits.poll);
            self.look_around(now, wall);
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
        self.next_scan = None;
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
        self.dirty_since = Some(now);
        self.save(Slots::One);
    }

    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    /// Directories whose changes matter.
    pub fn dirs(&self) -> &HashSet<PathBuf> {
        &self.scan_dirs
    }

    /// Without following, directories are looked at until every file was opened.
    fn may_scan(&self) -> bool {
        self.mode == Mode::Follow || !self.scanned_once
    }

    fn take_acknowledgements(&mut self, now: Instant) {
        for acknowledgement in self.port.acknowledged() {
            let Some(active) = self.active.get_mut(&acknowledgement.origin) else {
                continue;
            };
            match acknowledgement.outcome {
                Ok((until, records)) => {
                    active.acknowledged = active.acknowledged.max(until);
                    active.written += records;
                    self.dirty_since.get_or_insert(now);
                }
                Err(reason) => {
                    active.close(self.generations.get_mut(&acknowledgement.origin));
                    active.stopped = true;
                    active.errors += 1;
                    active.last_error = Some(reason.clone());
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
        if self.must_save {
            if self.outbox.is_empty() {
                self.must_save = false;
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
                self.must_save = true;
            }
            self.outbox.push_back(frame);
        }
    }

    /// Every file has a turn; true when one of them has more.
    fn take_turns(&mut self, now: Instant, wall: Timestamp) -> bool {
        let mut more = false;
        let count = self.order.len();
        if count == 0 {
            return false;
        }
        self.first_turn = (self.first_turn + 1) % count;
        let mut ended = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        for step in 0..count {
            let origin = self.order[(self.first_turn + step) % count];
            let Some(active) = self.active.get_mut(&origin) else {
                continue;
            };
            let Some(tail) = &mut active.tail else {
                continue;
            };
            let mut frames = Vec::new();
            let path = active.path.clone();
            let reading = Reading {
                input: &self.inputs[active.input].input,
                host: &self.host,
                path: &path,
                limits: &self.limits,
                there_until: active.times.there_until,
                modified: active.times.modified,
                wall,
            };
            let mut there = StillThere::Yes;
            let is_over = match tail.turn(&mut buffer, TURN, reading, now, &mut frames) {
                Ok(Turn::More) => {
                    more = true;
                    active.state = FileState::Reading;
                    false
                }
                Ok(Turn::CaughtUp) => {
                    active.state = FileState::Live;
                    let expects_more = active.current && active.attached;
                    let quiet = now.duration_since(tail.grown_at) >= self.limits.file_quiet;
                    let is_stream = !self.inputs[active.input].is_file();
                    !is_stream && (self.mode == Mode::Once || (!expects_more && quiet))
                }
                Ok(Turn::Ended) => true,
                Ok(Turn::Changed)
                    if active.attached && (self.mode == Mode::Follow || !self.scanned_once) =>
                {
                    self.next_scan = None; // the next look sees what it is now
                    false
                }
                // Nobody will look again: truncated and removed, or not followed.
                Ok(Turn::Changed) => {
                    there = StillThere::No;
                    true
                }
                Err(error) => {
                    active.errors += 1;
                    active.last_error = Some(error.to_string());
                    active.state = FileState::Unreadable(error.to_string());
                    let message = format!("cannot read {}: {error}", active.path.display());
                    // What is complete goes on its way; the rest is read again when it can be.
                    tail.give_complete(&mut frames);
                    active.close(self.generations.get_mut(&origin));
                    self.next_scan = self.next_scan.map(|due| due.max(now + self.limits.poll));
                    push_notice(&mut self.notices, message);
                    false
                }
            };
            if is_over && let Some(tail) = &mut active.tail {
                tail.finish(there, &mut buffer, reading, now, &mut frames);
                active.state = if active.attached {
                    FileState::Read
                } else {
                    FileState::Gone
                };
                ended.push(origin);
            }
            self.send(frames);
            self.deliver();
            if !self.outbox.is_empty() {
                break; // no room: the files keep what is not read
            }
        }
        self.buffer = buffer;
        for origin in ended {
            self.dirty_since.get_or_insert(now);
            self.remember_tail(origin);
            if let Some(active) = self.active.get_mut(&origin) {
                active.close(self.generations.get_mut(&origin));
            }
        }
        more
    }

    fn settle(&mut self, now: Instant) {
        let mut frames = Vec::new();
        for active in self.active.values_mut() {
            if let Some(tail) = &mut active.tail {
                tail.settle(&self.limits, Some(now), &mut frames);
            }
        }
        self.send(frames);
    }

    /// Copies what the tail knows into the checkpoint's generation.
    fn remember_tail(&mut self, origin: OriginId) {
        let Some(active) = self.active.get(&origin) else {
            return;
        };
        let Some(generation) = self.generations.get_mut(&origin) else {
            return;
        };
        generation.offset = generation.offset.max(active.acknowledged);
        if let Some(tail) = &active.tail {
            generation.print = tail.print.clone();
            generation.format = tail.shape().map(|shape| shape.name().to_owned());
        }
        if generation.packed && active.tail.is_none() && active.state == FileState::Read {
            generation.ended = active.acknowledged >= active.given;
        }
    }

    fn keep_checkpoint(&mut self, now: Instant, wall: Timestamp) {
        if self
            .dirty_since
            .is_some_and(|since| now.duration_since(since) >= self.limits.checkpoint_age)
        {
            self.save(Slots::One);
        }
        if self
            .forgotten
            .is_none_or(|last| wall.since(last) > FORGET_EVERY)
        {
            self.forgotten = Some(wall);
            forget_old(&mut self.generations, wall);
        }
    }

    /// False when it could not be written; the reason is then in the status.
    fn save(&mut self, slots: Slots) -> bool {
        let origins: Vec<OriginId> = self.active.keys().copied().collect();
        for origin in origins {
            self.remember_tail(origin);
        }
        let generations: Vec<&Generation> = self.generations.values().collect();
        let saved = match slots {
            Slots::One => self.state.save(&generations),
            Slots::Both => self.state.save_twice(&generations),
        };
        match saved {
            Ok(()) => {
                self.dirty_since = None;
                self.trouble = None;
                if slots == Slots::Both {
                    self.must_save = false;
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
                self.trouble = Some(format!(
                    "the checkpoint in {} cannot be written: {error}",
                    self.state.path().display()
                ));
                false
            }
        }
    }

    /// Accounts of files that are gone and stored are kept in the sums only.
    fn retire(&mut self, now: Instant) {
        let mut dropped = Vec::new();
        for (origin, active) in &mut self.active {
            let over =
                active.tail.is_none() && !active.attached && active.acknowledged >= active.given;
            if !over {
                active.retired = None;
            } else if now.duration_since(*active.retired.get_or_insert(now)) >= SHOWN_GONE {
                dropped.push(*origin);
            }
        }
        for origin in dropped {
            if let Some(active) = self.active.remove(&origin) {
                self.totals_before.add(&active.counts());
            }
            self.order.retain(|other| *other != origin);
        }
    }

    fn is_finished(&self) -> bool {
        self.mode == Mode::Once
            && self.scanned_once
            && self.outbox.is_empty()
            && self.trouble.is_none()
            && self.active.values().all(|active| {
                active.stopped || (active.tail.is_none() && active.acknowledged >= active.given)
            })
    }

    fn idle_time(&self, now: Instant) -> Duration {
        let mut idle = self
            .next_scan
            .map_or(self.limits.poll, |due| due.saturating_duration_since(now));
        if self.outbox.is_empty() {
            for active in self.active.values() {
                if let Some(due) = active
                    .tail
                    .as_ref()
                    .and_then(|tail| tail.due_in(&self.limits, now))
                {
                    idle = idle.min(due);
                }
            }
        }
        idle.max(Duration::from_millis(1))
    }

    fn notice(&mut self, message: String) {
        push_notice(&mut self.notices, message);
    }

    /// A row of our own in the store: something happened to a file that its readers should know.
    /// Once for each generation and offset, also over restarts.
    #[expect(clippy::too_many_arguments, reason = "one row, with each of its facts")]
    fn record_event(
        &mut self,
        level: Level,
        about: OriginId,
        at: u64,
        message: &str,
        path: &std::path::Path,
        wall: Timestamp,
        range: (u64, Option<u64>),
    ) {
        let id = OriginId::derive(&[b"event", &about.as_u128().to_be_bytes(), &at.to_le_bytes()]);
        if !matches!(self.port.watermark_of_new(id, Some(wall)), Ok(None)) {
            return;
        }
        let origin = std::sync::Arc::new(Origin {
            id,
            layer: Layer::Infrastructure,
            source: "atalaya/ingest".into(),
            host: self.host.clone(),
        });
        let mut metadata: Vec<(Text, Text)> = vec![
            ("file".into(), path.to_string_lossy().into()),
            ("from_byte".into(), range.0.to_string().into()),
        ];
        if let Some(until) = range.1 {
            metadata.push(("until_byte".into(), until.to_string().into()));
        }
        self.notice(message.to_owned());
        let entry = Entry {
            timestamp: wall,
            level,
            message: message.into(),
            metadata,
            ..Entry::default()
        };
        self.outbox.push_back(Frame {
            origin,
            from: 0,
            until: 1,
            entries: vec![entry],
        });
    }

    /// The accounts, now.
    pub fn status(
        &mut self,
        now: Instant,
        wall: Timestamp,
        paused: Option<String>,
    ) -> IngestStatus {
        let mut files = Vec::with_capacity(self.active.len());
        let mut totals = self.totals_before;
        let waiting = paused.or_else(|| self.trouble.clone());
        for (origin, active) in &mut self.active {
            let counts = active.counts();
            totals.add(&counts);
            if let Some(size) = active.tail.as_ref().and_then(Tail::size) {
                active.size = size;
            }
            let size = active
                .size
                .max(active.tail.as_ref().map_or(active.given, Tail::read_to));
            let gone = !active.attached && active.tail.is_none();
            let end = if gone { active.given() } else { size };
            let lag_bytes = end.saturating_sub(active.acknowledged);
            if lag_bytes == 0 {
                active.lag_since = None;
            } else {
                active.lag_since.get_or_insert(now);
            }
            if let Some(tail) = &active.tail {
                active.format = tail.shape().map(super::format::Shape::name);
                active.formats = tail.tally();
                active.origin = tail.record_origin().cloned();
            }
            let state = match (&active.state, &waiting) {
                (FileState::Reading | FileState::Live, Some(reason)) if lag_bytes > 0 => {
                    FileState::Waiting(reason.clone())
                }
                (state, _) => state.clone(),
            };
            files.push(FileAccount {
                path: active.path.clone(),
                origin: *origin,
                format: active.format,
                formats: active.formats.clone(),
                source: active.origin.as_ref().map(|origin| origin.source.clone()),
                layer: active.origin.as_ref().map(|origin| origin.layer),
                state,
                counts,
                acknowledged: active.acknowledged,
                size,
                lag_bytes,
                lag_seconds: active
                    .lag_since
                    .map_or(0.0, |since| now.duration_since(since).as_secs_f64()),
                rate: active.rate.update(now, active.written),
                errors: active.errors,
                last_error: active.last_error.clone(),
            });
        }
        files.sort_by(|one, other| (&one.path, one.origin).cmp(&(&other.path, other.origin)));
        IngestStatus {
            at: wall,
            files,
            unread: self.unread.iter().take(MOST_NOTICES).cloned().collect(),
            paused: waiting,
            rate: self.rate.update(now, totals.written),
            totals,
            notices: self.notices.iter().cloned().collect(),
            spool: None,
            finished: false,
        }
    }
}

/// Why a stream could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the store does not say how far the stream is stored")]
    Store(#[from] StoreError),
    #[error("the stream cannot be read")]
    Read(#[from] std::io::Error),
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
