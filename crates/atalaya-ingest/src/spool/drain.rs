//! Sends the groups on, in order, several at a time, and settles each by the store's answer.
//!
//! An answer that passes (the store is away, overloaded, its disk is full) stops the sending; one
//! group is tried again until it is taken. So does one that a person has to mend (a missing schema,
//! a revoked right). Only data that the store cannot take ([`StoreError::is_poison`]) is cut in halves
//! until the bad records are found; they go to the quarantine and the rest is stored.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rand::RngExt;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Read};
use super::ledger::{Group, Next};
use super::quarantine::{self, Refused};
use super::sink::{Away, Shared};
use crate::crash;
use crate::fs::Fs;
use crate::pipeline::FrameSink;
use atalaya_domain::backoff::Backoff;
use atalaya_domain::record::{Entry, Frame};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Backend, Reason, StoreError, describe};

const RETRIES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
/// Encoded bytes on their way to the store at a time; one group may be larger. Enough for two large
/// groups: more of them would only be smaller, and take the store as long.
const FLYING_BYTES: u64 = 8 << 20;
/// How long a stop waits for what is on its way.
const STOPPING: Duration = Duration::from_secs(2);
/// How often the store is asked whether it was away, also while nothing is sent: what it lost then
/// must not wait for the next record.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Refusals are logged at most this often; all are counted.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What became of one group.
#[derive(Debug)]
enum Outcome {
    /// Stored, but for these frames.
    Stored(Vec<Refused>),
    /// Nothing is known of it; it is sent again.
    Failed(StoreError),
}

/// The store does not take records.
#[derive(Debug)]
struct Pause {
    next_try: tokio::time::Instant,
    /// In a row.
    failures: u32,
}

/// Bytes are being read from the segments.
type Fetch = JoinHandle<(Backlog, Read)>;

#[derive(Debug)]
pub(crate) struct Drainer {
    shared: Arc<Shared>,
    sink: Arc<dyn FrameSink>,
    fs: Arc<dyn Fs>,
    /// `None` while it is being read.
    backlog: Option<Backlog>,
    /// The sequence that follows what was taken up.
    cursor: u64,
    /// Taken up from the disk and not sent yet.
    ready: VecDeque<Group>,
    /// Sent, and to be sent again.
    retry: BTreeMap<u64, Group>,
    /// With the turn of the cursor in which it was sent: an answer to an earlier sending says nothing
    /// about a later one.
    flying: BTreeMap<u64, (u64, Group)>,
    sending: JoinSet<(u64, u64, Outcome)>,
    pause: Option<Pause>,
    /// The store was lost since it last took something.
    was_lost: bool,
    outages: u64,
    /// Groups before this one are being sent once more; 0 for none.
    replay_until: u64,
    /// Counts the turns back of the cursor, so that an older read is not taken for a newer one.
    turn: u64,
    warned: Option<Instant>,
}

impl Drainer {
    pub fn new(
        shared: Arc<Shared>,
        sink: Arc<dyn FrameSink>,
        fs: Arc<dyn Fs>,
        backlog: Backlog,
    ) -> Self {
        let cursor = shared.ledger.frontier();
        let outages = sink.outages();
        Self {
            shared,
            sink,
            fs,
            backlog: Some(backlog),
            cursor,
            ready: VecDeque::new(),
            retry: BTreeMap::new(),
            flying: BTreeMap::new(),
            sending: JoinSet::new(),
            pause: None,
            was_lost: false,
            outages,
            replay_until: 0,
            turn: 0,
            warned: None,
        }
    }

    pub async fn run(mut self, cancel: CancellationToken) {
        let mut fetch: Option<(u64, Fetch)> = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.send_what_may_go(&mut fetch);
            let retry_at = self
                .pause
                .as_ref()
                .filter(|_| self.flying.is_empty())
                .map(|pause| pause.next_try);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                _ = looks.tick() => {
                    self.look_for_outages(false);
                    self.look_for_trouble();
                }
                Some(sent) = self.sending.join_next() => self.settle(sent).await,
                read = wait_for(&mut fetch) => self.take_up(read),
                () = sleep_until(retry_at) => {}
                () = self.shared.appended.notified() => {}
            }
        }
        let rest = async {
            while let Some(sent) = self.sending.join_next().await {
                self.settle(sent).await;
            }
        };
        let _ = tokio::time::timeout(STOPPING, rest).await; // what is not answered is sent at the next start
    }

    fn send_what_may_go(&mut self, fetch: &mut Option<(u64, Fetch)>) {
        if let Some(pause) = &self.pause {
            let is_due = tokio::time::Instant::now() >= pause.next_try;
            if is_due
                && self.flying.is_empty()
                && let Some((_, group)) = self.retry.pop_first()
            {
                self.send(group);
            }
            return;
        }
        while self.flying.len() < self.shared.config.in_flight
            && self
                .flying
                .values()
                .map(|(_, group)| group.bytes)
                .sum::<u64>()
                < FLYING_BYTES
        {
            let group = self
                .retry
                .pop_first()
                .map(|(_, group)| group)
                .or_else(|| self.ready.pop_front());
            if let Some(group) = group {
                self.send(group);
                continue;
            }
            match self.shared.ledger.next(self.cursor) {
                Next::Lane(group) => {
                    self.cursor = group.seq + 1;
                    self.shared.taken.notify_waiters();
                    if let Some(backlog) = &mut self.backlog {
                        backlog.forget();
                    }
                    self.send(group);
                }
                Next::Disk(index) => {
                    if let Some(mut backlog) = self.backlog.take() {
                        let from = self.cursor;
                        let reading = tokio::task::spawn_blocking(move || {
                            let read = backlog.read(&index, from);
                            (backlog, read)
                        });
                        *fetch = Some((self.turn, reading));
                    }
                    break;
                }
                Next::Nothing => break,
            }
        }
    }

    fn send(&mut self, group: Group) {
        let (sink, frames, seq) = (Arc::clone(&self.sink), Arc::clone(&group.frames), group.seq);
        let turn = self.turn;
        self.flying.insert(seq, (turn, group));
        self.sending.spawn(async move {
            crash::point("drain::before_send");
            (seq, turn, deliver(&*sink, frames).await)
        });
    }

    /// Takes up what was read from the disk.
    fn take_up(&mut self, (turn, read): (u64, Option<(Backlog, Read)>)) {
        let Some((backlog, read)) = read else {
            // The read panicked: start over with the same place.
            self.backlog = Some(Backlog::new(
                Arc::clone(&self.fs),
                self.shared.config.dir.clone(),
                std::collections::HashSet::new(),
            ));
            return;
        };
        self.backlog = Some(backlog);
        let ledger = &self.shared.ledger;
        if read.damaged_bytes > 0 {
            ledger.damaged_bytes(read.damaged_bytes);
            ledger.quarantine_grew(read.damaged_bytes);
        }
        for notice in &read.notices {
            tracing::warn!(target: "atalaya::ingest", "{notice}");
        }
        if turn != self.turn {
            return;
        }
        for lost in read.lost {
            self.cursor = self.cursor.max(lost.end);
            let groups = ledger.lost(lost, Instant::now());
            if groups > 0 {
                tracing::error!(target: "atalaya::ingest", groups, "groups of the spool cannot be read");
            }
        }
        if let Some(last) = read.groups.last() {
            self.cursor = self.cursor.max(last.seq + 1);
        }
        self.ready.extend(read.groups);
        self.note_replay();
    }

    async fn settle(&mut self, sent: Result<(u64, u64, Outcome), tokio::task::JoinError>) {
        let Ok((seq, turn, outcome)) = sent else {
            return;
        }; // only ended by the end of the program
        if self
            .flying
            .get(&seq)
            .is_none_or(|(sent_in, _)| *sent_in != turn)
        {
            return;
        }
        let Some((_, group)) = self.flying.remove(&seq) else {
            return;
        };
        let outcome = match outcome {
            Outcome::Stored(refused) if !refused.is_empty() => self.quarantine(refused).await,
            Outcome::Stored(_) => Ok(0),
            Outcome::Failed(error) => Err(error),
        };
        match outcome {
            Ok(quarantined) => {
                crash::point("drain::before_ack");
                self.shared
                    .ledger
                    .acked(&group, quarantined, Instant::now());
                if self.pause.take().is_some() {
                    self.shared.set_away(None);
                    tracing::info!(target: "atalaya::ingest", "the store takes records again");
                }
                self.look_for_outages(true);
                self.note_replay();
            }
            Err(error) => {
                self.retry.insert(seq, group);
                self.hold_on(&error);
            }
        }
    }

    /// Pauses, for longer each time.
    fn hold_on(&mut self, error: &StoreError) {
        self.was_lost |= error.is_absence();
        let failures = self.pause.as_ref().map_or(0, |pause| pause.failures);
        let failures = failures.saturating_add(1);
        let reason = Reason::from(error);
        if failures == 1 {
            tracing::warn!(target: "atalaya::ingest", error = %reason, "records gather in the spool");
        }
        let since = match self.shared.away() {
            Some(away) => away.since,
            None => Timestamp::now(),
        };
        self.shared.set_away(Some(Away { since, reason }));
        // Hosts that lost the same store do not come back in the same moment.
        let pause = RETRIES.jittered(failures, rand::rng().random_range(0.5..1.0));
        self.pause = Some(Pause {
            next_try: tokio::time::Instant::now() + pause,
            failures,
        });
    }

    /// What is under way may go on for long before it fails: what it meets is said meanwhile.
    fn look_for_trouble(&self) {
        if self.pause.is_none() {
            let trouble = self.sink.trouble().filter(|_| !self.flying.is_empty());
            self.shared.set_away(trouble.map(|trouble| Away {
                since: trouble.since,
                reason: Reason::plain(trouble.reason),
            }));
        }
    }

    /// A store that was away may have lost what it had acknowledged just before.
    /// From here on nothing that is still kept may go before it was sent again.
    fn look_for_outages(&mut self, store_answers: bool) {
        let outages = self.sink.outages();
        let is_new = std::mem::replace(&mut self.outages, outages) != outages;
        let is_back = store_answers && std::mem::take(&mut self.was_lost);
        if !is_back && !is_new {
            return;
        }
        let from = self.shared.ledger.replay();
        if from >= self.cursor {
            return;
        }
        tracing::info!(target: "atalaya::ingest", groups = self.cursor - from, "the store was away: sending again what it may have lost");
        self.replay_until = self.cursor.max(self.replay_until);
        self.cursor = from;
        self.ready.clear();
        self.turn += 1;
    }

    /// Says how far a replay is.
    fn note_replay(&mut self) {
        if self.replay_until == 0 {
            return;
        }
        let waiting = [
            self.ready.front().map(|group| group.seq),
            self.retry.first_key_value().map(|(seq, _)| *seq),
            self.flying.first_key_value().map(|(seq, _)| *seq),
        ];
        let until = waiting.into_iter().flatten().fold(self.cursor, u64::min);
        let is_over = until >= self.replay_until;
        self.shared.ledger.resent(until, is_over, Instant::now());
        if is_over {
            self.replay_until = 0;
        }
    }

    /// Keeps refused frames aside; returns how many records they hold.
    async fn quarantine(&mut self, refused: Vec<Refused>) -> Result<u64, StoreError> {
        let records = refused
            .iter()
            .map(|refused| refused.frame.entries.len() as u64)
            .sum();
        let due = self.warned.is_none_or(|last| last.elapsed() >= WARN_EVERY);
        if due && let Some(first) = refused.first() {
            self.warned = Some(Instant::now());
            tracing::error!(
                target: "atalaya::ingest",
                records,
                source = %first.frame.origin.source,
                "the store refused records, they are set aside (`atalaya quarantine list`): {}",
                first.reason
            );
        }
        let (fs, folder) = (
            Arc::clone(&self.fs),
            quarantine::folder(&self.shared.config.dir),
        );
        let kept = tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            refused.iter().try_fold(0, |sum, refused| {
                quarantine::keep_frame(&*fs, &folder, refused, now).map(|bytes| sum + bytes)
            })
        })
        .await
        .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
        match kept {
            Ok(bytes) => {
                self.shared.ledger.quarantine_grew(bytes);
                Ok(records)
            }
            Err(error) => Err(StoreError::NotWritable {
                backend: Backend::Spool,
                address: self
                    .shared
                    .config
                    .dir
                    .join(quarantine::DIR)
                    .display()
                    .to_string(),
                reason: error.to_string(),
            }),
        }
    }
}

async fn wait_for(fetch: &mut Option<(u64, Fetch)>) -> (u64, Option<(Backlog, Read)>) {
    let Some((turn, reading)) = fetch else {
        return std::future::pending().await;
    };
    let turn = *turn;
    let read = reading.await;
    *fetch = None;
    (turn, read.ok())
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn deliver(sink: &dyn FrameSink, frames: Arc<[Frame]>) -> Outcome {
    let mut refused = Vec::new();
    let mut parts = vec![frames];
    while let Some(part) = parts.pop() {
        match append(sink, Arc::clone(&part)).await {
            Ok(()) => {}
            Err(error) if error.is_poison() => match halves(&part) {
                Some((first, second)) => {
                    parts.push(second);
                    parts.push(first);
                }
                None => refused.extend(part.iter().filter(|frame| !frame.entries.is_empty()).map(
                    |frame| Refused {
                        frame: frame.clone(),
                        reason: describe(&error),
                    },
                )),
            },
            Err(error) => return Outcome::Failed(error),
        }
    }
    Outcome::Stored(refused)
}

/// Cuts refused frames in two, and a single one between two of its records. `None`: this is the bad
/// record.
fn halves(frames: &[Frame]) -> Option<(Arc<[Frame]>, Arc<[Frame]>)> {
    let [frame] = frames else {
        let (first, second) = frames.split_at_checked(frames.len() / 2)?;
        return (!first.is_empty()).then(|| (first.into(), second.into()));
    };
    let (first, second) = frame.entries.split_at(frame.entries.len() / 2);
    let cut = second.first().filter(|_| !first.is_empty())?.position;
    let part = |from, until, entries: &[Entry]| -> Arc<[Frame]> {
        [Frame {
            origin: Arc::clone(&frame.origin),
            from,
            until,
            entries: entries.to_vec(),
        }]
        .into()
    };
    Some((part(frame.from, cut, first), part(cut, frame.until, second)))
}

/// A panic over some frames is a refusal of them: the others must not wait for ever.
async fn append(sink: &dyn FrameSink, frames: Arc<[Frame]>) -> Result<(), StoreError> {
    match AssertUnwindSafe(sink.append(frames)).catch_unwind().await {
        Ok(stored) => stored.map(|_| ()),
        Err(_) => Err(StoreError::Poison {
            backend: Backend::Spool,
            what: "frame",
            reason: "the program failed over these records (a bug); the log file has the place"
                .to_owned(),
        }),
    }
}
