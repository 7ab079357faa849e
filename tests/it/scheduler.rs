//! The scheduler with made-up jobs: how runs end, and that no two are at once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::config::{Request, Settings};
use atalaya::domain::job::{OUTPUT_BYTES, RunResult, Seat};
use atalaya::service::{self, Stores};
use atalaya::store::error::StoreError;
use atalaya::store::metrics::{JobRun, RunFilter, Target};
use atalaya::workers::jobs::{Job, JobContext, JobError, JobOutcome, JobSpec, Planning};
use atalaya::workers::{Supervisor, scheduler};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// What a made-up job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Well,
    Nothing,
    Fail,
    Panic,
    /// Until it is ended, and then does end.
    Wait,
    /// Until it is dropped.
    Hang,
    SayMuch,
}

struct MadeUp {
    name: &'static str,
    does: Does,
    schedule: &'static str,
    at_once: Arc<AtomicUsize>,
}

#[async_trait]
impl Job for MadeUp {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: self.name,
            what: "It is made up.",
            schedule: self.schedule,
            seat: Seat::Store,
            limit: Duration::from_secs(2),
            jitter: Duration::ZERO,
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        assert_eq!(
            self.at_once.fetch_add(1, Ordering::SeqCst),
            0,
            "two at once"
        );
        let _over = Over(&self.at_once);
        match self.does {
            Does::Well => context.say("well"),
            Does::Nothing => return Ok(JobOutcome::Skipped("nothing to do".to_owned())),
            Does::Fail => {
                context.say("it begins");
                return Err(anyhow::anyhow!("no disk").context("writing failed"));
            }
            Does::Panic => panic!("a number {}", 7),
            Does::Wait => context.cancel.cancelled().await,
            Does::Hang => std::future::pending().await,
            Does::SayMuch => {
                for line in 0..20_000 {
                    context.say(format!("line {line:05}"));
                }
            }
        }
        Ok(JobOutcome::Done)
    }
}

struct Over<'a>(&'a AtomicUsize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn made_up(schedule: &'static str, jobs: &[(&'static str, Does)]) -> Vec<Arc<dyn Job>> {
    let jobs = jobs.iter().map(|(name, does)| {
        let job: Arc<dyn Job> = Arc::new(MadeUp {
            name,
            does: *does,
            schedule,
            at_once: Arc::default(),
        });
        job
    });
    jobs.collect()
}

fn settings(folder: &Path) -> Settings {
    let file = folder.join("config.toml");
    std::fs::write(&file, "[service]\nlease_seconds = 2\n").unwrap();
    let request = Request {
        file: Some(file),
        data_dir: Some(folder.to_path_buf()),
    };
    Settings::load(&request).unwrap()
}

struct Rig {
    supervisor: Supervisor,
    stores: Stores,
    _planning: watch::Sender<Arc<Planning>>,
}

impl Rig {
    async fn start(folder: &Path, jobs: Vec<Arc<dyn Job>>) -> Self {
        let settings = settings(folder);
        let stores = service::open_to_ingest(&settings).await.unwrap();
        let supervisor = Supervisor::new(CancellationToken::new());
        let planning = Planning::of(&settings, jobs).unwrap();
        let (sender, receiver) = watch::channel(Arc::new(planning));
        let host = "here".to_owned();
        scheduler::start(&supervisor, Seat::Store, host, stores.clone(), receiver);
        Self {
            supervisor,
            stores,
            _planning: sender,
        }
    }

    async fn ended(&self, job: &str, least: usize) -> Vec<JobRun> {
        let begin = Instant::now();
        loop {
            let filter = RunFilter {
                job: Some(("store".to_owned(), job.to_owned())),
                limit: 1_000,
            };
            let runs = self.stores.metrics.job_runs(&filter).await.unwrap();
            let ended: Vec<JobRun> = runs
                .into_iter()
                .filter(|run| run.result.is_some())
                .collect();
            if ended.len() >= least {
                return ended;
            }
            assert!(begin.elapsed() < PATIENCE, "{job}: {ended:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn output(&self, run: &JobRun) -> String {
        self.stores
            .metrics
            .job_run(run.id)
            .await
            .unwrap()
            .unwrap()
            .output
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_is_recorded_and_none_stops_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = [
        ("well", Does::Well, RunResult::Ok, "well\n"),
        (
            "nothing",
            Does::Nothing,
            RunResult::Skipped,
            "nothing to do\n",
        ),
        (
            "fail",
            Does::Fail,
            RunResult::Failed,
            "it begins\nwriting failed: no disk\n",
        ),
        (
            "panic",
            Does::Panic,
            RunResult::Panicked,
            "it panicked: a number 7\n",
        ),
        (
            "wait",
            Does::Wait,
            RunResult::TimedOut,
            "it was ended after 2 s\n",
        ),
        (
            "hang",
            Does::Hang,
            RunResult::TimedOut,
            "it was ended after 2 s\n",
        ),
    ];
    let named: Vec<_> = jobs.iter().map(|(name, does, ..)| (*name, *does)).collect();
    let rig = Rig::start(folder.path(), made_up("1s", &named)).await;
    for (name, _, result, output) in jobs {
        let runs = rig.ended(name, 2).await;
        for run in &runs[..2] {
            assert_eq!(run.result, Some(result), "{name}");
            assert_eq!(rig.output(run).await, output, "{name}");
        }
    }
    assert!(
        rig.supervisor
            .stop(Duration::from_secs(10))
            .await
            .is_empty()
    );
    let (leases, now) = rig.stores.metrics.leases().await.unwrap();
    assert!(leases[0].is_free(now), "it was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_much_output_the_beginning_and_the_end_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path(), made_up("1h", &[("talks", Does::SayMuch)])).await;
    let runs = rig.ended("talks", 1).await;
    let output = rig.output(&runs[0]).await;
    assert!(output.len() <= OUTPUT_BYTES);
    assert!(output.starts_with("line 00000\n") && output.ends_with("line 19999\n"));
    assert!(output.contains("bytes left out"));
    rig.supervisor.stop(Duration::from_secs(10)).await;
}

/// The slot of a run that was told to end is run by the next scheduler, in its own row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_interrupted_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = Rig::start(folder.path(), made_up("1h", &[("any", Does::Hang)])).await;
    let begin = Instant::now();
    let any = RunFilter {
        job: None,
        limit: 10,
    };
    while first
        .stores
        .metrics
        .job_runs(&any)
        .await
        .unwrap()
        .is_empty()
    {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.supervisor.stop(Duration::from_secs(10)).await;
    let cut_off = first
        .stores
        .metrics
        .job_runs(&any)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(cut_off.result, Some(RunResult::Interrupted));
    let second = Rig::start(folder.path(), made_up("1h", &[("any", Does::Well)])).await;
    let begin = Instant::now();
    let run = loop {
        let run = second.ended("any", 1).await.remove(0);
        if run.fence > cut_off.fence {
            break run;
        }
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(run.result, Some(RunResult::Ok));
    // Unless the hour was over meanwhile: then the newer slot is run instead.
    if run.slot_at == cut_off.slot_at {
        assert_eq!((run.id, run.attempt), (cut_off.id, 2));
    }
    second.supervisor.stop(Duration::from_secs(10)).await;
}

/// Writes with the store of its context until it may no more.
struct Writer {
    refused: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

#[async_trait]
impl Job for Writer {
    fn spec(&self) -> JobSpec {
        JobSpec {
            name: "writer",
            what: "It writes.",
            schedule: "1h",
            seat: Seat::Store,
            limit: Duration::from_secs(60),
            jitter: Duration::ZERO,
        }
    }

    async fn run(&self, context: &JobContext) -> Result<JobOutcome, JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        loop {
            let target = Target {
                metric: "deployment_frequency".to_owned(),
                service: None,
                team: None,
                value: 1.0,
                set_at: context.slot,
            };
            match context.stores.metrics.put_target(&target).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(StoreError::Fenced { .. }) => {
                    assert!(context.still_ours().await.is_err());
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    return Ok(JobOutcome::Done);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Somebody takes the lease although it is renewed, as after an hour of suspension: the run's next
/// write is refused, and its end is not recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_lease_is_taken_writes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer {
        refused: Arc::default(),
        begun: Arc::default(),
    };
    let (refused, begun) = (Arc::clone(&writer.refused), Arc::clone(&writer.begun));
    let rig = Rig::start(folder.path(), vec![Arc::new(writer)]).await;
    let begin = Instant::now();
    while begun.load(Ordering::SeqCst) == 0 {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = &rig.stores.metrics;
    let held = metrics.leases().await.unwrap().0.remove(0);
    metrics.release_lease(&held.fence()).await.unwrap();
    let thief = atalaya::domain::lease::Holder {
        id: "thief".to_owned(),
        host: "elsewhere".to_owned(),
        pid: 1,
    };
    let taken = metrics
        .ask_for_lease("store", &thief, Duration::from_secs(600))
        .await
        .unwrap()
        .0;
    // Between giving back and taking, the scheduler may have renewed it.
    if let atalaya::domain::lease::Answer::Held(_) = taken {
        while refused.load(Ordering::SeqCst) == 0 {
            assert!(begin.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let runs = metrics
            .job_runs(&RunFilter {
                job: None,
                limit: 10,
            })
            .await
            .unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(
            runs[0].result, None,
            "its end is for the next holder to say"
        );
    }
    rig.supervisor.stop(Duration::from_secs(10)).await;
}
