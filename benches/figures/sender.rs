//! What a call of `LogSender::send` costs the application, and what the whole way to a durable
//! spool takes.
//!
//! `cargo bench --bench figures -- sender [CALLS]`

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atalaya::domain::record::{Entry, Frame, OriginId};
use atalaya::ingest::FrameSink;
use atalaya::ingest::sender::{LogSender, SenderConfig};
use atalaya::ingest::spool::{SpoolConfig, SpooledSink};
use atalaya::store::error::StoreError;

const CALLS: u64 = 400_000;

#[derive(Debug)]
struct Nothing;

#[async_trait]
impl FrameSink for Nothing {
    async fn append(&self, frames: Arc<[Frame]>) -> Result<u64, StoreError> {
        Ok(frames.len() as u64)
    }

    async fn watermark(&self, _: OriginId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
}

pub fn run(arguments: &[String]) {
    let calls = arguments
        .first()
        .map_or(CALLS, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures-sender");
    println!(
        "{:<34} {:>10} {:>10} {:>10} {:>10} {:>12} {:>9}",
        "LogSender::send", "p50", "p99", "p99.9", "max", "calls/s", "refused"
    );
    for (name, threads, pause) in [
        ("1 thread, as fast as it can", 1, Duration::ZERO),
        ("1 thread, 20,000 calls/s", 1, Duration::from_micros(50)),
        ("4 threads, as fast as they can", 4, Duration::ZERO),
    ] {
        let _ = fs::remove_dir_all(&dir);
        runtime.block_on(measure(name, calls, threads, pause, &dir));
    }
    let _ = fs::remove_dir_all(&dir);
}

async fn measure(name: &str, calls: u64, threads: u64, pause: Duration, dir: &std::path::Path) {
    let config = SpoolConfig {
        keep: Duration::ZERO,
        ..SpoolConfig::new(dir)
    };
    let spool = Arc::new(SpooledSink::open(config, Arc::new(Nothing)).unwrap());
    let sender = LogSender::start(SenderConfig::new("shop", "host"), spool.clone())
        .await
        .unwrap();
    // A paced run makes no more calls than fit into some seconds.
    let each = if pause.is_zero() {
        calls / threads
    } else {
        (calls / 4).min(100_000)
    };
    let began = Instant::now();
    let tasks: Vec<_> = (0..threads)
        .map(|thread| {
            let sender = sender.clone();
            std::thread::spawn(move || call(&sender, thread, each, pause))
        })
        .collect();
    let mut times: Vec<Duration> = Vec::new();
    for task in tasks {
        times.extend(
            tokio::task::spawn_blocking(move || task.join().unwrap())
                .await
                .unwrap(),
        );
    }
    let seconds = began.elapsed().as_secs_f64();
    let counts = sender.close(Duration::from_secs(30)).await;
    assert_eq!(counts.accepted, counts.written, "{counts:?}");
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{name:<34} {:>10.2?} {:>10.2?} {:>10.2?} {:>10.2?} {:>12.0} {:>8.1}%",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        times.len() as f64 / seconds,
        counts.refused as f64 * 100.0 / times.len() as f64
    );
    spool.close().await;
}

/// The record is made before the clock starts: only the call is measured.
fn call(sender: &LogSender, thread: u64, calls: u64, pause: Duration) -> Vec<Duration> {
    let mut times = Vec::with_capacity(usize::try_from(calls).unwrap());
    let mut next = Instant::now();
    for number in 0..calls {
        let entry = Entry {
            message: format!(
                "order {number} of thread {thread} was priced in {} steps: {}",
                number % 9,
                "x".repeat(200)
            )
            .into(),
            logger: Some("shop.orders".into()),
            ..Entry::default()
        };
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        next += pause;
        let called = Instant::now();
        let _ = sender.send(entry); // refusals are in the counts
        times.push(called.elapsed());
    }
    times
}
