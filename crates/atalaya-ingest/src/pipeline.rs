//! Runs a [`Reader`] on a thread of its own and appends its frames in a task: between the two is a
//! bounded channel. A store that cannot be written to pauses the reading; nothing is dropped.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking::Shared;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::accounts::IngestStatus;
use super::contained::{READER_THREAD, contained};
use super::reader::{Acknowledgement, Port, Reader, Step};
use super::spool::SpoolStatus;
use super::watch_files::FileWatch;
use super::{IngestConfig, IngestError, IngestHandle, StreamInput, descriptors};
use atalaya_domain::backoff::Backoff;
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;
use atalaya_store::chunks::Trouble;
use atalaya_store::engine::LogEngine;
use atalaya_store::error::{Reason, StoreError};

/// Frames of one append: one transaction of the store.
const APPENDED_FRAMES: usize = 24;
/// Frames that wait between reader and store.
const WAITING_FRAMES: usize = APPENDED_FRAMES;
const RETRIES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// How often a stream is offered to a store that does not answer.
const STREAM_AGAIN: Duration = Duration::from_secs(5);
/// How long a stop waits for the store.
const STOPPING: Duration = Duration::from_secs(8);
/// How often the spool is looked at when only it has work left.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
const STATUS_EVERY: Duration = Duration::from_millis(250);
/// Events come in swarms; after one, others are waited for this long.
const SWARM: Duration = Duration::from_millis(5);

/// Where frames go: the log engine, or a test's own.
#[async_trait]
pub trait FrameSink: Send + Sync + 'static {
    /// Stores frames, each as a whole or not at all. Repeating it changes nothing.
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError>;

    /// How far an origin is taken; what follows is read next.
    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError>;

    /// The same for content that this host has not seen before and that began at `born`: a sink that
    /// is sure that it cannot hold it need not ask the store.
    async fn watermark_of_new(
        &self,
        origin: OriginId,
        born: Option<Timestamp>,
    ) -> Result<Option<u64>, StoreError> {
        let _ = born;
        self.watermark(origin).await
    }

    /// Waits a moment while what was appended has not been taken up yet. For readers of files, which
    /// wait by themselves; who cannot wait appends at once.
    async fn room(&self) {}

    /// How often contact to the store was lost (see `ChunkStore::outages`).
    fn outages(&self) -> u64 {
        0
    }

    /// What the writes that are under way meet, before any of them has failed for good (see
    /// `ChunkStore::troubles`).
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// The accounts of the spool, when frames wait on disk for the store.
    fn spool(&self) -> Option<SpoolStatus> {
        None
    }

    /// Comes to an end in a few seconds; appending fails afterwards.
    async fn close(&self) {}
}

impl std::fmt::Debug for dyn FrameSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FrameSink")
    }
}

#[async_trait]
impl FrameSink for LogEngine {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        self.append_shared(&frames).await
    }

    fn outages(&self) -> u64 {
        self.store().outages()
    }

    fn trouble(&self) -> Option<Trouble> {
        self.store().troubles().writes
    }

    async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        Self::watermark(self, origin).await
    }
}

/// What thread and task know of each other, apart from the frames.
mod parking {
    use std::sync::mpsc::SyncSender;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::super::reader::Acknowledgement;
    use atalaya_store::error::Reason;

    #[derive(Debug)]
    pub struct Shared {
        acknowledged: Mutex<Vec<Acknowledgement>>,
        paused: Mutex<Option<Reason>>,
        wake: SyncSender<Wake>,
    }

    /// Why the reader should look.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Wake {
        /// Bytes or answers came.
        Look,
        /// Files came, went or were renamed.
        Rescan,
    }

    impl Shared {
        pub fn new(wake: SyncSender<Wake>) -> Self {
            Self {
                acknowledged: Mutex::default(),
                paused: Mutex::default(),
                wake,
            }
        }

        pub fn acknowledge(&self, acknowledgement: Acknowledgement) {
            lock(&self.acknowledged).push(acknowledgement);
            self.wake(Wake::Look);
        }

        pub fn take(&self) -> Vec<Acknowledgement> {
            std::mem::take(&mut lock(&self.acknowledged))
        }

        pub fn set_paused(&self, reason: Option<Reason>) {
            *lock(&self.paused) = reason;
            self.wake(Wake::Look);
        }

        pub fn paused(&self) -> Option<Reason> {
            lock(&self.paused).clone()
        }

        /// A full channel means that the reader is awake already.
        pub fn wake(&self, why: Wake) {
            let _ = self.wake.try_send(why);
        }
    }

    /// The values are replaced as a whole: a panic elsewhere leaves nothing half done in them.
    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub use parking::Wake;

/// Starts thread and task.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a token is a handle, given away as a clone"
)]
pub fn start(
    mut config: IngestConfig,
    sink: Arc<dyn FrameSink>,
    cancel: CancellationToken,
    stream: Option<StreamInput>,
) -> Result<IngestHandle, IngestError> {
    config.limits.open_files = descriptors::room_for(config.limits.open_files);
    // The caller's token stops the ingest; dropping the handle does not stop the caller.
    let cancel = cancel.child_token();
    let (wake, woken) = sync_channel(64);
    let shared = Arc::new(Shared::new(wake));
    let (frames, waiting) = mpsc::channel(WAITING_FRAMES);
    let runtime = Handle::current();
    let port = ChannelPort {
        frames: Some(frames),
        shared: Arc::clone(&shared),
        sink: Arc::clone(&sink),
        runtime: runtime.clone(),
    };
    let patience = config.limits.drain_patience;
    let sink_of_thread = Arc::clone(&sink);
    let reader = Reader::new(config, port)?;

    let (ended, appender_ended) = sync_channel(1);
    let appending = append_all(sink, waiting, Arc::clone(&shared), cancel.clone(), ended);
    let appender = tokio::spawn(contained(appending));
    let (status, status_seen) = watch::channel(IngestStatus::default());
    let (done, thread_done) = oneshot::channel();
    let thread = Thread {
        reader,
        woken,
        shared: Arc::clone(&shared),
        status,
        cancel: cancel.clone(),
        appender_ended,
        sink: sink_of_thread,
        runtime,
        patience,
    };
    std::thread::Builder::new()
        .name(READER_THREAD.into())
        .spawn(move || {
            thread.run(stream);
            let _ = done.send(());
        })
        .map_err(|source| IngestError::Thread { source })?;

    let stopped = cancel.clone();
    tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            stopped.cancelled().await;
            shared.wake(Wake::Look);
        }
    });
    let done = tokio::spawn(async move {
        let thread = thread_done.await;
        let appender = appender.await;
        if thread.is_err() || appender.is_err() {
            Err(IngestError::Died)
        } else {
            Ok(())
        }
    });
    Ok(IngestHandle {
        status: status_seen,
        cancel,
        done: Some(done),
    })
}

/// The reader's side of the channel.
struct ChannelPort {
    frames: Option<mpsc::Sender<Frame>>,
    shared: Arc<Shared>,
    sink: Arc<dyn FrameSink>,
    runtime: Handle,
}

impl Port for ChannelPort {
    fn watermark(&mut self, origin: OriginId) -> Result<Option<u64>, StoreError> {
        self.runtime.block_on(self.sink.watermark(origin))
    }

    fn watermark_of_new(
        &mut self,
        origin: OriginId,
        born: Option<Timestamp>,
    ) -> Result<Option<u64>, StoreError> {
        self.runtime
            .block_on(self.sink.watermark_of_new(origin, born))
    }

    fn offer(&mut self, frame: Frame) -> Result<(), Frame> {
        match &self.frames {
            Some(frames) => frames
                .try_send(frame)
                .map_err(mpsc::error::TrySendError::into_inner),
            None => Err(frame),
        }
    }

    fn acknowledged(&mut self) -> Vec<Acknowledgement> {
        self.shared.take()
    }
}

struct Thread {
    reader: Reader<ChannelPort>,
    woken: Receiver<Wake>,
    shared: Arc<Shared>,
    status: watch::Sender<IngestStatus>,
    cancel: CancellationToken,
    appender_ended: Receiver<()>,
    sink: Arc<dyn FrameSink>,
    runtime: Handle,
    patience: Duration,
}

impl Thread {
    fn run(mut self, stream: Option<StreamInput>) {
        if let Some(stream) = stream {
            self.take_stream(stream);
        }
        let shared = Arc::clone(&self.shared);
        let mut files = FileWatch::start(move |why| shared.wake(why));
        if let Some(problem) = files.problem() {
            tracing::warn!(target: "atalaya::ingest", "{problem}");
        }
        let mut finished = false;
        let mut published: Option<Instant> = None;
        while !self.cancel.is_cancelled() {
            let step = self.reader.step(Instant::now(), Timestamp::now());
            files.watch(self.reader.dirs());
            let now = Instant::now();
            if published.is_none_or(|last| now.duration_since(last) >= STATUS_EVERY) {
                published = Some(now);
                self.publish(false);
            }
            match step {
                Step::Busy => self.take_wakes(),
                Step::Idle(time) => {
                    let shown = published.map_or(STATUS_EVERY, |last| {
                        STATUS_EVERY.saturating_sub(now.duration_since(last))
                    });
                    // The accounts are shown soon after they changed, and the reader sleeps when nothing does.
                    self.sleep(time.min(shown.max(Duration::from_millis(1))));
                }
                Step::Finished => {
                    finished = true;
                    break;
                }
            }
        }
        if finished {
            finished = self.wait_for_the_spool();
        }
        self.wind_up(finished);
    }

    /// Whether everything that was read is in the store. Waits as long as there is progress, and a
    /// while without any.
    fn wait_for_the_spool(&mut self) -> bool {
        let mut settled = None;
        let mut since = Instant::now();
        while let Some(spool) = self.sink.spool() {
            if spool.is_drained() {
                return true;
            }
            let now_settled =
                Some(spool.acked + spool.quarantined + spool.damaged + spool.replayed);
            if now_settled != settled {
                settled = now_settled;
                since = Instant::now();
            }
            if self.cancel.is_cancelled() || since.elapsed() >= self.patience {
                return false;
            }
            self.publish(false);
            self.sleep(DRAIN_LOOK);
        }
        true
    }

    /// Standard input waits, like any file, until the store answers.
    fn take_stream(&mut self, stream: StreamInput) {
        let mut stream = Some(stream);
        while let Some(input) = stream.take() {
            // The watermark is asked for first, so that a store that is away does not cost the input.
            let shared = Arc::clone(&self.shared);
            match self
                .reader
                .add_stream(input, move || shared.wake(Wake::Look), Instant::now())
            {
                Ok(()) => {}
                Err((error, Some(input))) if !self.cancel.is_cancelled() => {
                    self.shared.set_paused(Some(error.reason()));
                    self.publish(false);
                    self.sleep(STREAM_AGAIN);
                    self.shared.set_paused(None);
                    stream = Some(input);
                }
                Err((error, _)) => {
                    tracing::error!(target: "atalaya::ingest", %error, "the stream is not read");
                    self.cancel.cancel();
                }
            }
        }
    }

    fn take_wakes(&mut self) {
        while let Ok(why) = self.woken.try_recv() {
            self.heed(why);
        }
    }

    fn sleep(&mut self, time: Duration) {
        match self.woken.recv_timeout(time) {
            Ok(why) => {
                self.heed(why);
                std::thread::sleep(SWARM);
                self.take_wakes();
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn heed(&mut self, why: Wake) {
        if why == Wake::Rescan {
            self.reader.rescan();
        }
    }

    fn publish(&mut self, finished: bool) {
        let mut status = self
            .reader
            .status(Instant::now(), Timestamp::now(), self.shared.paused());
        status.spool = self.sink.spool();
        status.finished = finished;
        self.status.send_replace(status);
    }

    /// Gives out what is complete, waits for the store a little, and writes the checkpoint.
    fn wind_up(mut self, finished: bool) {
        self.reader.stop();
        let until = Instant::now() + STOPPING;
        while self.reader.has_undelivered()
            && Instant::now() < until
            && self.shared.paused().is_none()
        {
            self.reader.step(Instant::now(), Timestamp::now());
            let _ = self.woken.recv_timeout(Duration::from_millis(20));
        }
        self.reader.port().frames = None; // the task ends when the channel is empty
        let _ = self
            .appender_ended
            .recv_timeout(until.saturating_duration_since(Instant::now()));
        self.reader.close(Instant::now());
        // Before the reader gives up the lock of the directory that both are in.
        self.runtime.block_on(self.sink.close());
        self.publish(finished);
    }
}

async fn append_all(
    sink: Arc<dyn FrameSink>,
    mut frames: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
    cancel: CancellationToken,
    ended: SyncSender<()>,
) {
    let mut refused: HashSet<OriginId> = HashSet::new();
    let mut batch = Vec::with_capacity(APPENDED_FRAMES);
    loop {
        // Before the frames are taken and not after: what comes in the meantime goes along, and a
        // busy store gets few large appends, which cost it less.
        sink.room().await;
        if frames.recv_many(&mut batch, APPENDED_FRAMES).await == 0 {
            break;
        }
        shared.wake(Wake::Look); // there is room again
        batch.retain(|frame: &Frame| !refused.contains(&frame.origin.id));
        let frames: Arc<[Frame]> = std::mem::take(&mut batch).into();
        if append(&*sink, &frames, &shared, &cancel, &mut refused)
            .await
            .is_err()
        {
            break;
        }
        batch.reserve(APPENDED_FRAMES);
    }
    let _ = ended.send(());
}

/// The ingest was stopped while the store was away: what is not stored is read again next time.
struct GaveUp;

async fn append(
    sink: &dyn FrameSink,
    batch: &Arc<[Frame]>,
    shared: &Shared,
    cancel: &CancellationToken,
    refused: &mut HashSet<OriginId>,
) -> Result<(), GaveUp> {
    match with_retries(sink, batch, shared, cancel).await? {
        Ok(()) => acknowledge(batch, shared),
        Err(error) if batch.len() <= 1 => refuse(batch, &error, shared, refused),
        // One of them is refused: find out which, so that the others are stored.
        Err(_) => {
            for frame in &**batch {
                if refused.contains(&frame.origin.id) {
                    continue;
                }
                let alone: Arc<[Frame]> = [frame.clone()].into();
                match with_retries(sink, &alone, shared, cancel).await? {
                    Ok(()) => acknowledge(&alone, shared),
                    Err(error) => refuse(&alone, &error, shared, refused),
                }
            }
        }
    }
    Ok(())
}

/// Repeats while it may help; the inner error is one that will not go away.
async fn with_retries(
    sink: &dyn FrameSink,
    frames: &Arc<[Frame]>,
    shared: &Shared,
    cancel: &CancellationToken,
) -> Result<Result<(), StoreError>, GaveUp> {
    let mut was_paused = false;
    for failures in 1_u32.. {
        match sink.append(Arc::clone(frames)).await {
            Ok(_) => {
                if was_paused {
                    shared.set_paused(None);
                }
                return Ok(Ok(()));
            }
            Err(StoreError::Cancelled) => return Err(GaveUp),
            Err(error) if error.is_transient() => {
                if !was_paused {
                    tracing::warn!(target: "atalaya::ingest", %error, "paused");
                }
                was_paused = true;
                shared.set_paused(Some(Reason::from(&error)));
            }
            Err(error) => {
                if was_paused {
                    shared.set_paused(None);
                }
                return Ok(Err(error));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRIES.after(failures)) => {}
            () = cancel.cancelled() => return Err(GaveUp),
        }
    }
    Err(GaveUp) // after four thousand million attempts
}

fn acknowledge(frames: &[Frame], shared: &Shared) {
    for frame in frames {
        let outcome = Ok((frame.until, frame.entries.len() as u64));
        shared.acknowledge(Acknowledgement {
            origin: frame.origin.id,
            outcome,
        });
    }
}

fn refuse(frames: &[Frame], error: &StoreError, shared: &Shared, refused: &mut HashSet<OriginId>) {
    for frame in frames {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        tracing::error!(target: "atalaya::ingest", origin = %frame.origin.id, "the store refused records: {reason}");
        refused.insert(frame.origin.id);
        shared.acknowledge(Acknowledgement {
            origin: frame.origin.id,
            outcome: Err(reason),
        });
    }
}
