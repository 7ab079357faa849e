//! The spool as a sink of frames: a thread that writes, a task that drains, and what both share.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::drain::Drainer;
use super::ledger::{Ledger, Trust};
use super::recover::{self, Start};
use super::status::{SpoolState, SpoolStatus};
use super::writer::{Writer, records_of};
use super::{SpoolConfig, SpoolError};
use crate::fs::{Fs, RealFs};
use crate::pipeline::FrameSink;
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::{Backend, Reason, StoreError};

const LOCK: &str = "spool.lock";
/// Appends that wait for the disk at a time; more wait for their turn.
const MOST_JOBS: usize = 64;
/// How long an append waits for room before it says that there is none.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// How often segments are looked at when nothing is written.
const CARE_EVERY: Duration = Duration::from_millis(250);
/// How long a reader of files waits for the store to take up what is in memory. A store that keeps up
/// does so in this time, and then nothing has to be read back from the disk, and what was read
/// meanwhile becomes one large group and not many small ones; one that does not keep up must not keep
/// the reader from files that are about to be rotated.
const TAKEN_WAIT: Duration = Duration::from_millis(250);
/// File systems keep the birth of a file by a coarser clock.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// How long the store is asked about an origin that the spool knows too.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Why records gather here instead of being stored.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    pub since: Timestamp,
    pub reason: Reason,
}

/// What writer, drainer and appenders share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub ledger: Arc<Ledger>,
    pub config: SpoolConfig,
    /// Something was written.
    pub appended: Notify,
    /// There is room again.
    room: Notify,
    /// The drainer has taken a group that was in memory.
    pub taken: Notify,
    away: Mutex<Option<Away>>,
    stuck: Mutex<Option<String>>,
    notices: Vec<String>,
}

impl Shared {
    pub fn set_away(&self, away: Option<Away>) {
        *lock(&self.away) = away;
    }

    pub fn away(&self) -> Option<Away> {
        lock(&self.away).clone()
    }

    fn set_stuck(&self, why: Option<String>) {
        let mut stuck = lock(&self.stuck);
        if *stuck != why {
            *stuck = why;
        }
    }

    pub fn status(&self) -> SpoolStatus {
        let look = self.ledger.look();
        let state = match lock(&self.away).clone() {
            Some(away) => SpoolState::Away {
                since: away.since,
                reason: away.reason,
            },
            // A few are always on their way.
            None if look.replaying || look.waiting_groups > self.config.in_flight as u64 + 2 => {
                SpoolState::Draining
            }
            None => SpoolState::Passing,
        };
        SpoolStatus {
            state,
            stuck: lock(&self.stuck).clone(),
            bytes: look.bytes + look.quarantine_bytes,
            max_bytes: self.config.max_bytes,
            quarantine_bytes: look.quarantine_bytes,
            waiting_groups: look.waiting_groups,
            waiting_records: look.totals.waiting(),
            oldest_waiting: look.oldest_waiting,
            recovered: look.totals.recovered,
            spooled: look.totals.spooled,
            acked: look.totals.acked,
            quarantined: look.totals.quarantined,
            damaged: look.totals.damaged,
            damaged_bytes: look.totals.damaged_bytes,
            replaying: look.replaying,
            replayed: look.totals.replayed,
            syncs: look.totals.syncs,
            groups: look.totals.groups,
            notices: self.notices.clone(),
        }
    }
}

/// Values are replaced as a whole: a panic elsewhere leaves nothing half done in them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Job {
    frames: Arc<[Frame]>,
    answer: oneshot::Sender<Result<(), SpoolError>>,
}

/// A durable queue in front of another sink.
///
/// `append` returns when the frames are on the disk; they reach the sink behind it later, in order.
pub struct SpooledSink {
    shared: Arc<Shared>,
    sink: Arc<dyn FrameSink>,
    /// Bounds what waits in the channel, so that sending to it never blocks.
    permits: Semaphore,
    running: Mutex<Option<Running>>,
    jobs: Mutex<Option<SyncSender<Job>>>,
    cancel: CancellationToken,
    since: Option<Timestamp>,
}

struct Running {
    writer: JoinHandle<()>,
    drainer: tokio::task::JoinHandle<()>,
}

/// The right to the directory; given back when writer and drainer have both ended.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // By hand: a child that is just being forked may hold the descriptor for a moment.
        let _ = self.0.unlock();
    }
}

impl SpooledSink {
    /// Takes the lock of the directory, reads the indexes and starts to drain. Blocks for as long
    /// as a start takes (a second at most); must be called within a tokio runtime.
    pub fn open(config: SpoolConfig, sink: Arc<dyn FrameSink>) -> Result<Self, SpoolError> {
        Self::open_on(Arc::new(RealFs), config, sink)
    }

    pub(crate) fn open_on(
        fs: Arc<dyn Fs>,
        config: SpoolConfig,
        sink: Arc<dyn FrameSink>,
    ) -> Result<Self, SpoolError> {
        let dir = config.dir.clone();
        let failed = |source: std::io::Error| SpoolError::Open {
            dir: dir.clone(),
            source: Arc::new(source),
        };
        let lock = Arc::new(take_lock(&config.dir)?);
        let Start {
            recovered,
            next_number,
            notices,
            seen,
            since,
        } = recover::recover(&*fs, &config.dir, Timestamp::now()).map_err(failed)?;
        for notice in &notices {
            tracing::warn!(target: "atalaya::ingest", "{notice}");
        }
        let ledger = Arc::new(Ledger::new(recovered));
        let shared = Arc::new(Shared {
            ledger: Arc::clone(&ledger),
            config: config.clone(),
            appended: Notify::new(),
            room: Notify::new(),
            taken: Notify::new(),
            away: Mutex::default(),
            stuck: Mutex::default(),
            notices,
        });
        let cancel = CancellationToken::new();
        let (jobs, waiting) = sync_channel(MOST_JOBS);
        let writer = Writer::new(Arc::clone(&fs), config, ledger, next_number);
        let thread = std::thread::Builder::new().name("spool".into());
        let writer = thread
            .spawn({
                let (shared, lock) = (Arc::clone(&shared), Arc::clone(&lock));
                move || {
                    write_all(writer, &waiting, &shared);
                    drop(lock);
                }
            })
            .map_err(failed)?;
        let backlog = Backlog::new(Arc::clone(&fs), dir.clone(), seen);
        let drainer = Drainer::new(Arc::clone(&shared), Arc::clone(&sink), fs, backlog);
        let drainer = tokio::spawn({
            let cancel = cancel.clone();
            async move {
                drainer.run(cancel).await;
                drop(lock);
            }
        });
        Ok(Self {
            shared,
            sink,
            permits: Semaphore::new(MOST_JOBS),
            running: Mutex::new(Some(Running { writer, drainer })),
            jobs: Mutex::new(Some(jobs)),
            cancel,
            since,
        })
    }

    pub fn status(&self) -> SpoolStatus {
        self.shared.status()
    }

    async fn write(&self, frames: Arc<[Frame]>) -> Result<(), SpoolError> {
        let permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| SpoolError::Closed)?;
        let (answer, answered) = oneshot::channel();
        {
            let jobs = lock(&self.jobs);
            let jobs = jobs.as_ref().ok_or(SpoolError::Closed)?;
            jobs.try_send(Job { frames, answer })
                .map_err(|refused| match refused {
                    // There are as many places as permits.
                    TrySendError::Full(_) | TrySendError::Disconnected(_) => SpoolError::Closed,
                })?;
        }
        let outcome = answered.await.map_err(|_| SpoolError::Closed)?;
        drop(permit);
        outcome
    }

    fn error(&self, error: &SpoolError) -> StoreError {
        match error {
            SpoolError::Closed => StoreError::Cancelled,
            SpoolError::TooLarge => StoreError::Refused {
                backend: Backend::Spool,
                source: Box::new(error.clone()),
            },
            other => StoreError::NotWritable {
                backend: Backend::Spool,
                address: self.shared.config.dir.display().to_string(),
                reason: match other {
                    SpoolError::Write { reason, .. } => reason.to_string(),
                    other => other.to_string(),
                },
            },
        }
    }
}

#[async_trait]
impl FrameSink for SpooledSink {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        let records = records_of(&frames);
        let until = tokio::time::Instant::now() + ROOM_WAIT;
        loop {
            let room = self.shared.room.notified();
            let error = match self.write(Arc::clone(&frames)).await {
                Ok(()) => {
                    self.shared.set_stuck(None);
                    return Ok(records);
                }
                Err(error) => error,
            };
            let is_full = matches!(error, SpoolError::Full { .. });
            if !is_full || tokio::time::timeout_at(until, room).await.is_err() {
                if matches!(error, SpoolError::Full { .. } | SpoolError::Write { .. }) {
                    self.shared.set_stuck(Some(error.to_string()));
                }
                return Err(self.error(&error));
            }
        }
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        let (known, trust) = self.shared.ledger.known(origin);
        match (known, trust) {
            (Some(until), Trust::Full) => Ok(Some(until)),
            (Some(until), Trust::Torn) => {
                let stored = tokio::time::timeout(STORE_WAIT, self.sink.watermark(origin)).await;
                let stored = stored.ok().and_then(Result::ok).flatten();
                Ok(Some(stored.unwrap_or(0).max(until)))
            }
            (known, _) => Ok(self.sink.watermark(origin).await?.max(known)),
        }
    }

    /// A file that began after the spool was first used and that the spool does not know was never
    /// sent: there is no need to ask a store that may be away.
    async fn watermark_of_new(
        &self,
        origin: OriginId,
        born: Option<Timestamp>,
    ) -> Result<Option<u64>, StoreError> {
        let is_younger = match (born, self.since) {
            (Some(born), Some(since)) => born > since.saturating_add(CLOCK_STEP),
            _ => false,
        };
        match self.shared.ledger.known(origin) {
            (None, Trust::Full | Trust::Torn) if is_younger => Ok(None),
            _ => self.watermark(origin).await,
        }
    }

    async fn room(&self) {
        let until = tokio::time::Instant::now() + TAKEN_WAIT;
        loop {
            let mut taken = std::pin::pin!(self.shared.taken.notified());
            // Registered before the look, so that no change in between is missed.
            taken.as_mut().enable();
            if self.shared.ledger.is_lane_empty() || self.shared.away().is_some() {
                return;
            }
            if tokio::time::timeout_at(until, taken).await.is_err() {
                return;
            }
        }
    }

    fn outages(&self) -> u64 {
        self.sink.outages()
    }

    fn spool(&self) -> Option<SpoolStatus> {
        Some(self.status())
    }

    /// Waits for what is on its way to the store (a few seconds at most), then stops. What waits
    /// stays on the disk for the next start.
    async fn close(&self) {
        self.cancel.cancel();
        lock(&self.jobs).take();
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        let _ = running.drainer.await; // a panic in it was reported when it happened
        let _ = tokio::task::spawn_blocking(move || running.writer.join()).await;
    }
}

impl Drop for SpooledSink {
    fn drop(&mut self) {
        // The thread ends with its channel.
        self.cancel.cancel();
    }
}

pub(super) fn take_lock(dir: &Path) -> Result<Lock, SpoolError> {
    let failed = |source: std::io::Error| SpoolError::Open {
        dir: dir.to_path_buf(),
        source: Arc::new(source),
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked {
            dir: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The writer's thread: everything that waits is written with one sync.
fn write_all(mut writer: Writer, jobs: &Receiver<Job>, shared: &Shared) {
    let mut cared = Instant::now();
    loop {
        let first = match jobs.recv_timeout(CARE_EVERY) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let batch: Vec<Job> = first
            .into_iter()
            .chain(jobs.try_iter().take(MOST_JOBS))
            .collect();
        let mut is_full = false;
        if !batch.is_empty() {
            let (groups, answers): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|job| (job.frames, job.answer))
                .unzip();
            let outcomes = writer.append(&groups, Timestamp::now(), Instant::now());
            shared.appended.notify_one();
            for (outcome, answer) in outcomes.into_iter().zip(answers) {
                is_full |= matches!(outcome, Err(SpoolError::Full { .. }));
                let _ = answer.send(outcome); // whoever asked may have gone
            }
        }
        let now = Instant::now();
        if is_full || now.duration_since(cared) >= CARE_EVERY {
            cared = now;
            if writer.maintain(now) {
                shared.room.notify_waiters();
            }
        }
    }
    // The next start need not scan what is closed.
    writer.seal(Instant::now());
}
