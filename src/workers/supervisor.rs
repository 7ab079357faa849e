//! Keeps background work alive: one token that ends all of it, one set of tasks, and for each a
//! restart with backoff when it fails or panics, counted and told.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use atalaya_domain::backoff::Backoff;
use atalaya_domain::health::worker::{Worker, WorkerState};
use atalaya_domain::time::Timestamp;
use atalaya_ingest::contained::contained;
use atalaya_store::error::causes;

/// The longest pause: a store that comes back is found within a minute.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// A worker that ran this long before it failed begins with the first pause again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10 * 60);
/// How much of a panic's or an error's text is kept.
const LONGEST_REASON: usize = 400;

/// Why a worker ended before its time, in words.
pub type WorkerError = anyhow::Error;

/// Owns the background work of a process. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Supervisor {
    cancel: CancellationToken,
    tasks: TaskTracker,
    workers: Arc<watch::Sender<BTreeMap<&'static str, Worker>>>,
}

impl Supervisor {
    /// Everything ends when `cancel` is cancelled.
    pub fn new(cancel: CancellationToken) -> Self {
        Self {
            cancel,
            tasks: TaskTracker::new(),
            workers: Arc::new(watch::Sender::new(BTreeMap::new())),
        }
    }

    /// What every worker does now, by name.
    pub fn workers(&self) -> Vec<Worker> {
        self.workers.borrow().values().cloned().collect()
    }

    /// Runs `work` until it returns `Ok` or everything ends; after an error or a panic it is made
    /// anew, later and later. `name` is shown, and is one worker's alone.
    ///
    /// The work gets a token of its own and is expected to end soon after that is cancelled.
    pub fn spawn<Make, Work>(&self, name: &'static str, mut make: Make)
    where
        Make: FnMut(CancellationToken) -> Work + Send + 'static,
        Work: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        let this = self.clone();
        self.update(name, |worker| *worker = Worker::started(name));
        self.tasks.spawn(async move {
            let mut failures = 0_u32;
            loop {
                let started = Instant::now();
                let work = contained(make(this.cancel.child_token()));
                let why = match AssertUnwindSafe(work).catch_unwind().await {
                    Ok(Ok(())) => break,
                    Ok(Err(error)) => shortened(&causes(error.as_ref())),
                    Err(panic) => shortened(&format!("it panicked: {}", text_of(&*panic))),
                };
                if this.cancel.is_cancelled() {
                    break;
                }
                failures = if started.elapsed() >= HEALTHY_AFTER {
                    1
                } else {
                    failures.saturating_add(1)
                };
                let pause = PAUSES.after(failures);
                tracing::error!(
                    worker = name,
                    error = why,
                    ?pause,
                    "a worker failed and starts again"
                );
                this.update(name, |worker| {
                    let now = Timestamp::now();
                    let until = now.saturating_add(pause);
                    worker.failure = Some((now, why));
                    worker.state = WorkerState::Waiting { until };
                });
                tokio::select! {
                    () = this.cancel.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                this.update(name, |worker| {
                    worker.restarts += 1;
                    worker.state = WorkerState::Running;
                });
            }
            this.update(name, |worker| worker.state = WorkerState::Done);
        });
    }

    /// Ends everything and waits for it until the deadline. The names of those that did not end,
    /// which are then left to the end of the process.
    pub async fn stop(&self, deadline: Duration) -> Vec<&'static str> {
        self.cancel.cancel();
        self.tasks.close();
        match tokio::time::timeout(deadline, self.tasks.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => {
                let left = self.workers.borrow();
                let unfinished = left
                    .values()
                    .filter(|worker| worker.state != WorkerState::Done);
                unfinished.map(|worker| worker.name).collect()
            }
        }
    }

    fn update(&self, name: &'static str, change: impl FnOnce(&mut Worker)) {
        self.workers.send_modify(|workers| {
            change(workers.entry(name).or_insert_with(|| Worker::started(name)));
        });
    }
}

/// What a panic said.
pub(super) fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn only(supervisor: &Supervisor) -> Worker {
        let mut workers = supervisor.workers();
        assert_eq!(workers.len(), 1);
        workers.remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_panics_or_fails_is_started_again_and_counted() {
        let supervisor = Supervisor::new(CancellationToken::new());
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        supervisor.spawn("odd", move |cancel| {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match attempt {
                    0 => panic!("a number {}", 7),
                    1 => Err(anyhow::anyhow!("no disk").context("writing failed")),
                    _ => {
                        cancel.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        let worker = only(&supervisor);
        assert!(
            matches!(worker.state, WorkerState::Waiting { .. }),
            "{worker:?}"
        );
        assert_eq!(worker.failure.unwrap().1, "it panicked: a number 7");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let worker = only(&supervisor);
        assert_eq!(worker.restarts, 1);
        assert_eq!(worker.failure.unwrap().1, "writing failed: no disk");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let worker = only(&supervisor);
        assert_eq!((worker.restarts, worker.state), (2, WorkerState::Running));
        assert_eq!(
            supervisor.stop(Duration::from_secs(10)).await,
            Vec::<&str>::new()
        );
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        assert_eq!(only(&supervisor).state, WorkerState::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_minute_and_shrink_after_a_healthy_run() {
        let supervisor = Supervisor::new(CancellationToken::new());
        let starts = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&starts);
        supervisor.spawn("weak", move |_| {
            let mut starts = noted.lock().unwrap();
            starts.push(Instant::now());
            let healthy = starts.len() == 10;
            async move {
                if healthy {
                    tokio::time::sleep(HEALTHY_AFTER).await;
                }
                Err(anyhow::anyhow!("again"))
            }
        });
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let starts = starts.lock().unwrap().clone();
        let pauses: Vec<u64> = starts
            .windows(2)
            .map(|two| (two[1] - two[0]).as_secs())
            .collect();
        assert_eq!(pauses[..9], [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pauses[9], HEALTHY_AFTER.as_secs() + 1);
        supervisor.stop(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_end_is_named_at_the_deadline() {
        let supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("stuck", |_| std::future::pending());
        supervisor.spawn("polite", |cancel| async move {
            cancel.cancelled().await;
            Ok(())
        });
        let begin = Instant::now();
        assert_eq!(supervisor.stop(Duration::from_secs(10)).await, ["stuck"]);
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
    }
}
