//! The console as a person meets it: the release binary in a real pseudo-terminal, on a store of a
//! million records. Time to the first frame, frame times while records arrive, bytes to the
//! terminal, CPU when nothing happens, memory.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::store::engine::LogEngine;
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const RECORDS: u64 = 1_000_000;
const STARTS: usize = 20;
const LIVE: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_secs(30);

/// The console in a pseudo-terminal, with what it wrote counted and its beginning kept.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    /// Kept to the end: dropping it sends end-of-file.
    keyboard: Box<dyn Write + Send>,
    _master: Box<dyn MasterPty + Send>,
    written: Arc<AtomicU64>,
    first_frame: std::sync::mpsc::Receiver<Duration>,
}

impl Console {
    fn start(data_dir: &Path, (columns, rows): (u16, u16)) -> Self {
        let pty = native_pty_system()
            .openpty(PtySize {
                rows,
                cols: columns,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
        let mut command = CommandBuilder::new(binary());
        command.args(["--data-dir", &data_dir.display().to_string()]);
        command.cwd(data_dir);
        // A variable of the benchmark's own is no setting, and the console refuses what it does not know.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("ATALAYA_")) {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.env("ATALAYA_INGEST__DISCOVER", "false");
        command.env("RUST_LOG", "atalaya::frame=trace");
        let mut reader = pty.master.try_clone_reader().unwrap();
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let (seen, first_frame) = std::sync::mpsc::sync_channel(1);
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0_u8; 65_536];
            let mut head = Vec::new();
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                counter.fetch_add(length as u64, Ordering::Relaxed);
                if head.len() < 65_536 {
                    head.extend_from_slice(&buffer[..length]);
                    if head.windows(7).any(|part| part == b"Atalaya") {
                        let _ = seen.try_send(started.elapsed());
                        head.resize(65_536, 0);
                    }
                }
            }
        });
        let keyboard = pty.master.take_writer().unwrap();
        Self {
            child,
            keyboard,
            _master: pty.master,
            written,
            first_frame,
        }
    }

    fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// User and system time so far.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Linux reports in hundredths of a second.
        Duration::from_millis(ticks * 10)
    }

    /// Resident, and of that not backed by files, in MiB.
    fn memory(&self) -> (f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<f64>()
                .unwrap()
                / 1_024.0
        };
        (of("VmRSS:"), of("RssAnon:"))
    }

    fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_atalaya"))
}

pub fn run(_arguments: &[String]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures-console");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let engine = runtime.block_on(prepare(&folder));

    let mut starts: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let console = Console::start(&folder, (80, 24));
            let first = console
                .first_frame
                .recv_timeout(Duration::from_secs(10))
                .unwrap();
            console.end();
            first
        })
        .collect();
    starts.sort();
    println!(
        "first frame, {RECORDS} records stored: p50 {:.1} ms, max of {STARTS} {:.1} ms   (aim < 50 ms)",
        millis(starts[STARTS / 2]),
        millis(starts[STARTS - 1])
    );

    frames_under_load(&folder, &runtime, &engine);
    bytes_of_live_tail(&folder, &runtime, &engine);
    at_rest(&folder);
}

/// A store of [`RECORDS`] records that end now; made once.
async fn prepare(folder: &Path) -> LogEngine {
    fs::create_dir_all(folder).unwrap();
    let store = SqliteChunkStore::open(&folder.join("logs.db"))
        .await
        .unwrap();
    let engine = LogEngine::new(Arc::new(store));
    let stored = engine.store().stats().await.unwrap().records;
    if stored < RECORDS {
        eprintln!("storing {RECORDS} records in {}", folder.display());
        let start = Timestamp::now().saturating_sub(Duration::from_secs(24 * 3_600));
        for part in 0..RECORDS / 10_000 {
            let at = start.saturating_add(Duration::from_secs(part * 864));
            engine
                .append(&[frame(
                    1,
                    part * 10_000,
                    10_000,
                    at,
                    Duration::from_micros(86_400),
                )])
                .await
                .unwrap();
        }
    }
    engine
}

/// `count` records of one origin from a position on, `step` apart.
fn frame(origin: u8, from: u64, count: u64, start: Timestamp, step: Duration) -> Frame {
    let origin = Origin {
        id: OriginId::derive(&[b"figures", &[origin]]),
        layer: Layer::Application,
        source: "app/figures".into(),
        host: "bench".into(),
    };
    let entries = (from..from + count)
        .map(|position| Entry {
            timestamp: start.saturating_add(step * u32::try_from(position - from).unwrap()),
            position,
            level: if position % 40 == 0 {
                Level::Error
            } else {
                Level::Info
            },
            logger: Some("shop.checkout".into()),
            message: format!(
                "order {position} of user {} took its way through the warehouse",
                position % 977
            )
            .into(),
            request_id: Some(RequestId::new(format!("req-{:x}", position / 5))),
            metadata: vec![
                ("status".into(), "200".into()),
                ("path".into(), format!("/order/{position}").into()),
            ],
            ..Entry::default()
        })
        .collect();
    Frame {
        origin: Arc::new(origin),
        from,
        until: from + count,
        entries,
    }
}

/// A fresh origin for each run, so that nothing was stored before.
fn writer_origin() -> u64 {
    Timestamp::now().micros().unsigned_abs()
}

async fn write_for(engine: &LogEngine, length: Duration, times_a_second: u64, records_each: u64) {
    let base = writer_origin();
    let every = Duration::from_micros(1_000_000 / times_a_second);
    let mut tick = tokio::time::interval(every);
    let started = Instant::now();
    let mut position = base;
    while started.elapsed() < length {
        tick.tick().await;
        let step = every / u32::try_from(records_each).unwrap();
        engine
            .append(&[frame(2, position, records_each, Timestamp::now(), step)])
            .await
            .unwrap();
        position += records_each;
    }
}

fn frames_under_load(folder: &Path, runtime: &tokio::runtime::Runtime, engine: &LogEngine) {
    let log = folder.join("log");
    let _ = fs::remove_dir_all(&log);
    let mut console = Console::start(folder, (200, 60));
    std::thread::sleep(Duration::from_secs(2));
    console.type_keys("2");
    std::thread::sleep(Duration::from_secs(2));
    runtime.block_on(write_for(engine, LIVE, 10, 500));
    // The log is written by a thread of its own; let it catch up.
    std::thread::sleep(Duration::from_secs(1));
    console.end();
    let mut times: Vec<u64> = fs::read_dir(&log)
        .unwrap()
        .flat_map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            text.lines()
                .filter_map(|line| {
                    line.split("micros=")
                        .nth(1)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .collect::<Vec<u64>>()
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| {
        times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
    };
    println!(
        "frame at 200x60 while 5,000 records/s arrive: {} frames, p50 {:.2} ms, p99 {:.2} ms   (aim p99 < 8 ms)",
        times.len(),
        at(0.5).map_or(f64::NAN, |micros| *micros as f64 / 1e3),
        at(0.99).map_or(f64::NAN, |micros| *micros as f64 / 1e3),
    );
}

fn bytes_of_live_tail(folder: &Path, runtime: &tokio::runtime::Runtime, engine: &LogEngine) {
    let mut console = Console::start(folder, (80, 24));
    std::thread::sleep(Duration::from_secs(2));
    console.type_keys("2");
    std::thread::sleep(Duration::from_secs(2));
    let before = console.written.load(Ordering::Relaxed);
    runtime.block_on(write_for(engine, LIVE, 10, 1));
    let bytes = console.written.load(Ordering::Relaxed) - before;
    console.end();
    println!(
        "live tail at 80x24, 10 updates/s: {:.1} KB/s to the terminal   (aim < 20 KB/s)",
        bytes as f64 / 1e3 / LIVE.as_secs_f64()
    );
}

fn at_rest(folder: &Path) {
    let mut console = Console::start(folder, (80, 24));
    std::thread::sleep(Duration::from_secs(2));
    console.type_keys("2");
    std::thread::sleep(Duration::from_secs(3));
    // A walk through older pages, as a reader makes it.
    for _ in 0..40 {
        console.type_keys("\u{15}");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(3));
    let before = console.cpu();
    std::thread::sleep(IDLE);
    let used = console.cpu().checked_sub(before).unwrap();
    let (resident, anonymous) = console.memory();
    console.end();
    println!(
        "CPU when nothing changes, over {} s: {:.2} %   (aim < 0.5 %)",
        IDLE.as_secs(),
        100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
    );
    println!(
        "memory with {RECORDS} records stored: {resident:.1} MiB resident, {anonymous:.1} MiB of it own   (aim < 60 MB)"
    );
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}
