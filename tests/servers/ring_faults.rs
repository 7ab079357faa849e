//! A ring of three, three copies, `LOCAL_QUORUM`. One node may die and come back without anybody
//! noticing; with two away the spool takes what comes, says why, and drains when they return.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use atalaya::domain::record::Layer;
use atalaya::domain::time::TimeRange;
use atalaya::ingest::spool::{SpoolConfig, SpoolState, SpooledSink};
use atalaya::ingest::{IngestConfig, IngestHandle, IngestInput, Mode, format, pipeline};
use atalaya::query::Query;
use atalaya::store::chunks::{ChunkStore, Order};
use atalaya::store::engine::{LogEngine, PageRequest};
use tokio_util::sync::CancellationToken;
use xtask::services::cluster::Cluster;

use super::follower::Follower;
use super::lines::{Writer, tally, wait_for};
use super::log_store_suite::{frame, origin};
use super::own_logs::{OwnLogs, long};

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_ring_of_three_may_lose_one_node_unnoticed_and_two_with_a_banner() {
    let ring = Arc::new(Cluster::builder().nodes(3).start().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(one_node_dies(&ring));
    runtime.block_on(two_nodes_die(&ring));
}

/// An ingest through a spool in this process, so that its state can be watched.
struct Spooled {
    folder: tempfile::TempDir,
    store: Arc<dyn ChunkStore>,
    spool: Arc<SpooledSink>,
    ingest: IngestHandle,
}

impl Spooled {
    async fn start(ring: &Cluster, purpose: &str, files: usize, max_bytes: u64) -> (Self, Writer) {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let keyspace = OwnLogs::own(purpose, ring.addresses());
        let writer = Writer::new(&folder.path().join("logs"), files);
        let settings = Follower::new(
            folder.path(),
            &keyspace.configuration(3, ""),
            writer.paths(),
        );
        settings.run(&["db", "init"]);
        let store = settings.store().await;
        let engine = Arc::new(LogEngine::new(Arc::clone(&store)));
        let spool = SpoolConfig::with_size(folder.path().join("spool"), max_bytes);
        let spool = Arc::new(SpooledSink::open(spool, engine).unwrap());
        let inputs = writer.paths().into_iter().map(|path| IngestInput {
            format: format::by_name("plain"),
            ..IngestInput::detected(path.to_string_lossy())
        });
        let config = IngestConfig::new(
            inputs.collect(),
            folder.path().join("state"),
            "host",
            Mode::Follow,
        );
        let ingest =
            pipeline::start(config, spool.clone(), CancellationToken::new(), None).unwrap();
        (
            Self {
                folder,
                store,
                spool,
                ingest,
            },
            writer,
        )
    }

    /// Waits for a state of spool and ingest, and says how long it took.
    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Duration {
        let since = Instant::now();
        while !holds(self) {
            assert!(
                since.elapsed() < PATIENCE,
                "{what} did not come about: {:?}",
                self.spool.status()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        since.elapsed()
    }

    fn paused(&self) -> Option<String> {
        let status = self.ingest.status();
        let status = status.borrow();
        status.paused.as_ref().map(ToString::to_string)
    }

    async fn end(self, written: &[u64]) {
        let lines = written.iter().sum();
        wait_for(&*self.store, lines, PATIENCE, || {
            format!("{:?}", self.spool.status())
        })
        .await;
        self.ingest.stop().await.unwrap();
        tally(&*self.store, written)
            .await
            .check(format!("{:?}", self.spool.status()));
        drop(self.folder);
    }
}

async fn blocking<T: Send + 'static>(
    ring: &Arc<Cluster>,
    work: impl FnOnce(&Cluster) -> T + Send + 'static,
) -> T {
    let ring = Arc::clone(ring);
    tokio::task::spawn_blocking(move || work(&ring))
        .await
        .unwrap()
}

async fn one_node_dies(ring: &Arc<Cluster>) {
    let (spooled, mut writer) = Spooled::start(ring, "one", 2, SpoolConfig::MAX_BYTES).await;
    let done = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            while !done.load(Ordering::Relaxed) {
                writer.append(usize::from(writer.total() % 80 == 0), 40);
                std::thread::sleep(Duration::from_millis(20)); // about 2,000 lines a second
            }
            writer.written
        }
    });
    let reads = watch("read", &done, {
        let engine = LogEngine::new(Arc::clone(&spooled.store));
        move |_| {
            let engine = engine.clone();
            let newest = PageRequest {
                query: Query::everything(),
                range: TimeRange::ALL,
                order: Order::NewestFirst,
                after: None,
                limit: 200,
                scan_limit: 100_000,
                cancel: CancellationToken::new(),
            };
            async move { engine.page(&newest).await.map(|_| ()) }
        }
    });
    // Beside the ingest, one record at a time: its longest answer is the time of the recovery.
    let probed = Arc::new(Probe::new(ring).await);
    let writes = watch("write", &done, {
        let probed = Arc::clone(&probed);
        move |number| {
            let engine = probed.engine.clone();
            async move {
                engine
                    .append(&[frame(
                        &origin(77, Layer::Application),
                        number,
                        [1_700_000_000_000_000],
                    )])
                    .await
                    .map(|_| ())
            }
        }
    });
    let banners = tokio::spawn({
        let (spool, done) = (Arc::clone(&spooled.spool), Arc::clone(&done));
        async move {
            let mut banners = Vec::new();
            while !done.load(Ordering::Relaxed) {
                if let SpoolState::Away { reason, .. } = spool.status().state
                    && banners.last() != Some(&reason.why)
                {
                    banners.push(reason.why);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            banners
        }
    });

    let deaths: &[usize] = if long() { &[0, 1, 2] } else { &[0] };
    for node in deaths.iter().copied() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        blocking(ring, move |ring| ring.kill(node)).await;
        // Long enough for the others to notice by themselves that it is gone.
        tokio::time::sleep(Duration::from_secs(8)).await;
        blocking(ring, move |ring| ring.restart(node))
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    done.store(true, Ordering::Relaxed);
    let written = writing.join().unwrap();
    let (reads, writes) = (reads.await.unwrap(), writes.await.unwrap());
    println!(
        "one of three killed, {} times: {reads}; {writes}",
        deaths.len()
    );
    assert!(
        reads.errors.is_empty() && writes.errors.is_empty(),
        "{:?} {:?}",
        reads.errors,
        writes.errors
    );
    assert_eq!(
        banners.await.unwrap(),
        Vec::<String>::new(),
        "nobody needs to know"
    );
    spooled.end(&written).await;
}

/// A keyspace for single records beside the ingest's.
struct Probe {
    engine: LogEngine,
    _folder: tempfile::TempDir,
}

impl Probe {
    async fn new(ring: &Cluster) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let keyspace = OwnLogs::own("probe", ring.addresses());
        let settings = Follower::new(folder.path(), &keyspace.configuration(3, ""), Vec::new());
        settings.run(&["db", "init"]);
        Self {
            engine: LogEngine::new(settings.store().await),
            _folder: folder,
        }
    }
}

/// What came of asking the same thing again and again.
#[derive(Debug, Default)]
struct Watched {
    what: &'static str,
    answers: Vec<Duration>,
    errors: Vec<String>,
}

impl std::fmt::Display for Watched {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.answers.clone();
        sorted.sort_unstable();
        let at = |share: usize| {
            sorted
                .get((sorted.len() * share).div_ceil(100).saturating_sub(1))
                .copied()
        };
        write!(
            formatter,
            "{} {}s, p50 {:?}, p99 {:?}, longest {:?}, {} errors",
            sorted.len(),
            self.what,
            at(50).unwrap_or_default(),
            at(99).unwrap_or_default(),
            at(100).unwrap_or_default(),
            self.errors.len()
        )
    }
}

fn watch<F, E>(
    what: &'static str,
    done: &Arc<AtomicBool>,
    mut ask: impl FnMut(u64) -> F + Send + 'static,
) -> tokio::task::JoinHandle<Watched>
where
    F: Future<Output = Result<(), E>> + Send,
    E: std::error::Error,
{
    let done = Arc::clone(done);
    tokio::spawn(async move {
        let mut watched = Watched {
            what,
            ..Watched::default()
        };
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            let since = Instant::now();
            match ask(number).await {
                Ok(()) => watched.answers.push(since.elapsed()),
                Err(error) => watched.errors.push(error.to_string()),
            }
            number += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        watched
    })
}

async fn two_nodes_die(ring: &Arc<Cluster>) {
    const SPOOL: u64 = 8 << 20;
    let (spooled, mut writer) = Spooled::start(ring, "two", 2, SPOOL).await;
    writer.append(0, 1_000);
    wait_for(&*spooled.store, 1_000, PATIENCE, String::new).await;

    blocking(ring, |ring| {
        ring.kill(1);
        ring.kill(2);
    })
    .await;
    let since = Instant::now();
    // More than the spool holds: reading has to wait in the end.
    for _ in 0..100 {
        writer.append(0, 1_000);
        writer.append(1, 1_000);
    }
    spooled
        .until("a banner", |spooled| {
            matches!(spooled.spool.status().state, SpoolState::Away { .. })
        })
        .await;
    println!(
        "two of three killed: after {:?}: {}",
        since.elapsed(),
        spooled
            .spool
            .status()
            .sentence(ToString::to_string)
            .unwrap()
    );
    let SpoolState::Away { reason, .. } = spooled.spool.status().state else {
        panic!("the banner went away")
    };
    assert!(reason.why.contains("Cassandra"), "{reason}");
    spooled
        .until("a pause of the reading", |spooled| {
            spooled.paused().is_some()
        })
        .await;
    let paused = spooled.paused().unwrap();
    println!("paused: {paused}");
    assert!(paused.contains("full"), "{paused}");
    let status = spooled.spool.status();
    assert!(status.bytes <= SPOOL, "{status:?}");

    blocking(ring, |ring| ring.restart(1)).await.unwrap();
    let back = Instant::now();
    blocking(ring, |ring| ring.launch(2)).await.unwrap();
    spooled
        .until("the end of the pause", |spooled| spooled.paused().is_none())
        .await;
    let resumed = back.elapsed();
    let lines = writer.total();
    wait_for(&*spooled.store, lines, PATIENCE, || {
        format!("{:?}", spooled.spool.status())
    })
    .await;
    println!(
        "a quorum is back: reading goes on after {resumed:?}, {} lines are stored after {:?}",
        lines - 1_000,
        back.elapsed()
    );
    spooled
        .until("a quiet spool", |spooled| {
            spooled.spool.status().is_drained()
        })
        .await;
    blocking(ring, Cluster::wait_whole).await.unwrap();
    spooled.end(&writer.written).await;
}
