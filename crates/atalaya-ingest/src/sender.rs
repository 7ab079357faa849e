//! Log records from an application, without ever making it wait.
//!
//! [`LogSender::send`] puts a record into a bounded queue and returns: it does no I/O, takes no
//! lock that is held for longer than a push, and wakes nobody but once for each batch. When the
//! queue is full it refuses and counts. A task sends batches of up to 100 records, or what came
//! within a second, to a [`FrameSink`]: the spool, where the records are to survive the process.
//!
//! The records of one sender are an origin of their own (client, instance), and their position is
//! the sender's count. A batch that is sent again after an error changes nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::pipeline::FrameSink;
use atalaya_domain::backoff::Backoff;
use atalaya_domain::record::{Entry, Frame, Layer, Origin, OriginId, Text};
use atalaya_store::error::{StoreError, describe};

/// Records of one frame.
const FRAME_RECORDS: usize = 100;
/// Frames of one append.
const APPENDED_FRAMES: usize = 16;
/// The first look after a record came; each one without a full frame waits twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const RETRIES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));

/// Who sends, and how much may wait.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// Names the application: `shop`.
    pub client: Text,
    /// Names this run of it. `None` makes one up; with the same instance the count goes on where
    /// the store has it.
    pub instance: Option<Text>,
    pub layer: Layer,
    /// What the records are called: `app/shop`.
    pub source: Text,
    pub host: Text,
    /// Records that may wait.
    pub queue_records: usize,
    /// Bytes of text that may wait.
    pub queue_bytes: usize,
    /// How long a record may wait for others.
    pub batch_age: Duration,
}

impl SenderConfig {
    pub fn new(client: impl Into<Text>, host: impl Into<Text>) -> Self {
        let client = client.into();
        Self {
            source: format!("app/{client}").into(),
            client,
            instance: None,
            layer: Layer::Application,
            host: host.into(),
            queue_records: 10_000,
            queue_bytes: 16 << 20,
            batch_age: Duration::from_secs(1),
        }
    }
}

/// Why a record was not taken. It is counted, and the caller may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the queue of log records is full")]
    Full,
    #[error("the sender of log records was closed")]
    Closed,
}

/// What became of the records; `accepted = written + rejected + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounts {
    pub accepted: u64,
    /// Not taken, because the queue was full or the sender closed.
    pub refused: u64,
    /// Acknowledged by the sink.
    pub written: u64,
    /// Refused by the sink for good.
    pub rejected: u64,
}

impl SenderCounts {
    pub fn waiting(&self) -> u64 {
        self.accepted.saturating_sub(self.written + self.rejected)
    }
}

/// A handle that may be cloned and given to every thread. When the last one goes, what waits is
/// still sent as far as the runtime lives; [`LogSender::close`] waits for it.
#[derive(Clone, Debug)]
pub struct LogSender {
    handle: Arc<Handle>,
}

/// Closes the queue with the last sender.
#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    refused: AtomicU64,
    written: AtomicU64,
    rejected: AtomicU64,
    /// A first record came, the queue is half full, or it was closed.
    look: Notify,
    ended: watch::Sender<bool>,
    queue_records: usize,
    queue_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    entries: Vec<Entry>,
    bytes: usize,
    /// Position of the next record.
    next: u64,
    /// Position of the first record of this run.
    first: u64,
    closed: bool,
}

impl Shared {
    /// The values are replaced as a whole: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSender {
    /// Starts the task that sends. Asks the sink how far an instance with a given name is, and
    /// fails when that cannot be said now; one without a name starts at once.
    pub async fn start(config: SenderConfig, sink: Arc<dyn FrameSink>) -> Result<Self, StoreError> {
        let made_up = config.instance.is_none();
        let instance = config
            .instance
            .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()).into());
        let parts = [
            &b"client"[..],
            config.host.as_bytes(),
            config.client.as_bytes(),
            instance.as_bytes(),
        ];
        let origin = Arc::new(Origin {
            id: OriginId::derive(&parts),
            layer: config.layer,
            source: config.source,
            host: config.host,
        });
        let first = if made_up {
            0
        } else {
            sink.watermark(origin.id).await?.unwrap_or(0)
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                next: first,
                first,
                ..Queue::default()
            }),
            refused: AtomicU64::new(0),
            written: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            look: Notify::new(),
            ended: watch::Sender::new(false),
            queue_records: config.queue_records,
            queue_bytes: config.queue_bytes,
        });
        let task = Task {
            shared: Arc::clone(&shared),
            sink,
            origin,
            batch_age: config.batch_age,
        };
        tokio::spawn(task.run());
        Ok(Self {
            handle: Arc::new(Handle(shared)),
        })
    }

    /// Takes a record, or refuses it; never waits. Its position is the sender's to give.
    pub fn send(&self, mut entry: Entry) -> Result<(), Refused> {
        let shared = &*self.handle.0;
        let bytes = bytes_of(&entry);
        let mut queue = shared.lock();
        let is_full =
            queue.entries.len() >= shared.queue_records || queue.bytes + bytes > shared.queue_bytes;
        if queue.closed || is_full {
            let reason = if queue.closed {
                Refused::Closed
            } else {
                Refused::Full
            };
            drop(queue);
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(reason);
        }
        entry.position = queue.next;
        queue.next += 1;
        queue.bytes += bytes;
        queue.entries.push(entry);
        let count = queue.entries.len();
        drop(queue);
        // Waking costs more than all of the above: the task looks by itself while it has records.
        if count == 1 || count == shared.queue_records / 2 {
            shared.look.notify_one();
        }
        Ok(())
    }

    pub fn counts(&self) -> SenderCounts {
        counts(&self.handle.0)
    }

    /// Takes no more records, also from clones, and waits until what waits was written, at most
    /// this long. Returns the counts; [`SenderCounts::waiting`] is what was not written in time.
    pub async fn close(&self, limit: Duration) -> SenderCounts {
        let shared = &self.handle.0;
        shared.lock().closed = true;
        shared.look.notify_one();
        let mut ended = shared.ended.subscribe();
        let _ = tokio::time::timeout(limit, ended.wait_for(|ended| *ended)).await;
        counts(shared)
    }
}

fn counts(shared: &Shared) -> SenderCounts {
    let queue = shared.lock();
    SenderCounts {
        accepted: queue.next - queue.first,
        refused: shared.refused.load(Ordering::Relaxed),
        written: shared.written.load(Ordering::Relaxed),
        rejected: shared.rejected.load(Ordering::Relaxed),
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.look.notify_one();
    }
}

fn bytes_of(entry: &Entry) -> usize {
    std::mem::size_of::<Entry>() + entry.text_bytes()
}

struct Task {
    shared: Arc<Shared>,
    sink: Arc<dyn FrameSink>,
    origin: Arc<Origin>,
    batch_age: Duration,
}

impl Task {
    async fn run(self) {
        let mut spare = Vec::new();
        loop {
            let (entries, closed) = self.gather(std::mem::take(&mut spare)).await;
            if entries.is_empty() && closed {
                break;
            }
            spare = self.write(entries).await;
        }
        self.shared.ended.send_replace(true);
    }

    /// Waits for a full frame, or for a second after the first record. `spare` is the memory of an
    /// earlier batch, so that a send need not grow the queue.
    async fn gather(&self, mut spare: Vec<Entry>) -> (Vec<Entry>, bool) {
        let mut waited = Duration::ZERO;
        let mut look = FIRST_LOOK;
        loop {
            {
                let mut queue = self.shared.lock();
                let is_due = waited >= self.batch_age || queue.entries.len() >= FRAME_RECORDS;
                if queue.closed || (is_due && !queue.entries.is_empty()) {
                    queue.bytes = 0;
                    std::mem::swap(&mut queue.entries, &mut spare);
                    return (spare, queue.closed);
                }
                if queue.entries.is_empty() {
                    waited = Duration::ZERO;
                    look = Duration::MAX;
                } else if look == Duration::MAX {
                    look = FIRST_LOOK;
                }
            }
            if look == Duration::MAX {
                self.shared.look.notified().await;
                look = FIRST_LOOK;
            }
            let pause = look
                .min(self.batch_age.saturating_sub(waited))
                .max(Duration::from_millis(1));
            let early = tokio::time::timeout(pause, self.shared.look.notified())
                .await
                .is_ok();
            if !early {
                waited += pause;
                look = look.saturating_mul(2);
            }
        }
    }

    /// Writes until the sink has taken everything; gives the memory back.
    async fn write(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let mut rest = entries.drain(..).peekable();
        while rest.peek().is_some() {
            let mut frames = Vec::new();
            while frames.len() < APPENDED_FRAMES && rest.peek().is_some() {
                frames.push(self.frame(rest.by_ref().take(FRAME_RECORDS).collect()));
            }
            self.append(frames.into()).await;
        }
        drop(rest);
        entries
    }

    fn frame(&self, entries: Vec<Entry>) -> Frame {
        let from = entries.first().map_or(0, |entry| entry.position);
        let until = entries.last().map_or(0, |entry| entry.position + 1);
        Frame {
            origin: Arc::clone(&self.origin),
            from,
            until,
            entries,
        }
    }

    async fn append(&self, frames: Arc<[Frame]>) {
        let records: u64 = frames.iter().map(|frame| frame.entries.len() as u64).sum();
        for failures in 1_u32.. {
            match self.sink.append(Arc::clone(&frames)).await {
                Ok(_) => {
                    self.shared.written.fetch_add(records, Ordering::Relaxed);
                    return;
                }
                Err(error) if error.is_poison() || matches!(error, StoreError::Cancelled) => {
                    tracing::error!(
                        target: "atalaya::ingest",
                        records,
                        source = %self.origin.source,
                        error = %describe(&error),
                        "log records of an application were refused"
                    );
                    self.shared.rejected.fetch_add(records, Ordering::Relaxed);
                    return;
                }
                // The queue fills meanwhile, and what does not fit is refused and counted.
                Err(error) => {
                    tracing::warn!(target: "atalaya::ingest", %error, "log records of an application wait");
                }
            }
            tokio::time::sleep(RETRIES.after(failures)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use async_trait::async_trait;

    use super::*;
    use atalaya_store::error::Backend;

    #[derive(Debug, Default)]
    struct Kept {
        frames: Mutex<Vec<Frame>>,
        is_away: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl FrameSink for Kept {
        async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(StoreError::TimedOut {
                    backend: Backend::Cassandra,
                    limit: Duration::ZERO,
                });
            }
            self.frames.lock().unwrap().extend(frames.iter().cloned());
            Ok(0)
        }

        async fn watermark(&self, origin: OriginId) -> Result<Option<u64>, StoreError> {
            let frames = self.frames.lock().unwrap();
            Ok(frames
                .iter()
                .filter(|frame| frame.origin.id == origin)
                .map(|frame| frame.until)
                .max())
        }
    }

    impl Kept {
        fn sizes(&self) -> Vec<usize> {
            self.frames
                .lock()
                .unwrap()
                .iter()
                .map(|frame| frame.entries.len())
                .collect()
        }
    }

    fn entry(text: &str) -> Entry {
        Entry {
            message: text.into(),
            ..Entry::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_when_it_is_full_or_a_second_old() {
        let sink = Arc::new(Kept::default());
        let sender = LogSender::start(SenderConfig::new("shop", "host"), sink.clone())
            .await
            .unwrap();
        for number in 0..7 {
            sender.send(entry(&number.to_string())).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(sink.sizes(), [0; 0]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(sink.sizes(), [7]);
        for number in 0..250 {
            sender.send(entry(&number.to_string())).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(sink.sizes(), [7, 100, 100, 50]);
        let counts = sender.close(Duration::from_secs(1)).await;
        assert_eq!(
            counts,
            SenderCounts {
                accepted: 257,
                written: 257,
                ..SenderCounts::default()
            }
        );
        let frames = sink.frames.lock().unwrap();
        assert!(frames.windows(2).all(|pair| pair[0].until == pair[1].from));
        assert_eq!(&*frames[0].origin.source, "app/shop");
        assert!(
            frames[0]
                .entries
                .iter()
                .map(|entry| entry.position)
                .eq(0..7)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_and_counts() {
        let sink = Arc::new(Kept::default());
        sink.is_away.store(true, Ordering::Relaxed);
        let config = SenderConfig {
            queue_records: 300,
            ..SenderConfig::new("shop", "host")
        };
        let sender = LogSender::start(config, sink.clone()).await.unwrap();
        let sent = (0..1_000)
            .filter(|number| sender.send(entry(&number.to_string())).is_ok())
            .count();
        assert_eq!(sent, 300);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(
            sender.counts(),
            SenderCounts {
                accepted: 300,
                refused: 700,
                ..SenderCounts::default()
            }
        );
        // There is room for what came before the store went, and the bound holds for the rest.
        sink.is_away.store(false, Ordering::Relaxed);
        let counts = sender.close(Duration::from_secs(10)).await;
        assert_eq!(
            (counts.written, counts.waiting(), counts.refused),
            (300, 0, 700)
        );
        assert_eq!(sender.send(entry("late")), Err(Refused::Closed));
        assert_eq!(sender.counts().refused, 701);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_has_a_bound_and_says_what_is_left() {
        let sink = Arc::new(Kept::default());
        sink.is_away.store(true, Ordering::Relaxed);
        let sender = LogSender::start(SenderConfig::new("shop", "host"), sink)
            .await
            .unwrap();
        sender.send(entry("one")).unwrap();
        let began = tokio::time::Instant::now();
        let counts = sender.close(Duration::from_millis(700)).await;
        assert_eq!(counts.waiting(), 1);
        assert!(began.elapsed() < Duration::from_millis(800));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_handle_sends_what_waits() {
        let sink = Arc::new(Kept::default());
        let sender = LogSender::start(SenderConfig::new("shop", "host"), sink.clone())
            .await
            .unwrap();
        let other = sender.clone();
        sender.send(entry("one")).unwrap();
        drop(sender);
        other.send(entry("two")).unwrap();
        drop(other);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(sink.sizes(), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_instance_goes_on_where_it_was() {
        let sink = Arc::new(Kept::default());
        let config = SenderConfig {
            instance: Some("worker-1".into()),
            ..SenderConfig::new("shop", "host")
        };
        for _ in 0..2 {
            let sender = LogSender::start(config.clone(), sink.clone())
                .await
                .unwrap();
            sender.send(entry("one")).unwrap();
            sender.send(entry("two")).unwrap();
            sender.close(Duration::from_secs(1)).await;
        }
        let frames = sink.frames.lock().unwrap();
        assert_eq!(
            frames
                .iter()
                .map(|frame| (frame.from, frame.until))
                .collect::<Vec<_>>(),
            [(0, 2), (2, 4)]
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_threads_send_and_none_is_lost() {
        let sink = Arc::new(Kept::default());
        let config = SenderConfig {
            queue_records: 100_000,
            ..SenderConfig::new("shop", "host")
        };
        let sender = LogSender::start(config, sink.clone()).await.unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    (0..5_000).for_each(|_| sender.send(entry("x")).unwrap());
                })
            })
            .collect();
        for thread in threads {
            tokio::task::spawn_blocking(move || thread.join().unwrap())
                .await
                .unwrap();
        }
        let counts = sender.close(Duration::from_secs(10)).await;
        assert_eq!((counts.accepted, counts.written), (20_000, 20_000));
        let frames = sink.frames.lock().unwrap();
        let positions = frames
            .iter()
            .flat_map(|frame| &frame.entries)
            .map(|entry| entry.position);
        assert!(positions.eq(0..20_000));
    }
}
