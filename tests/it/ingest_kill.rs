//! The real program, killed at random moments while a writer rotates its file in every way: each
//! line is in the store exactly once.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atalaya::domain::record::Layer;
use atalaya::domain::time::TimeRange;
use atalaya::store::chunks::{ChunkStore, Order, StoreHealth as _};
use atalaya::store::sqlite::chunks::SqliteChunkStore;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// How the records come to the store.
#[derive(Clone, Copy)]
struct Way {
    lines: u64,
    kills: usize,
    /// Through the spool, as before a store on a server.
    spool: bool,
}

fn start(dir: &Path, way: Way) -> Child {
    Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .arg("--data-dir")
        .arg(dir.join("data"))
        .args(["ingest", "--follow", "--format", "plain"])
        .arg(dir.join("logs/x.log"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .env("ATALAYA_INGEST__SPOOL__ENABLED", way.spool.to_string())
        .env("ATALAYA_INGEST__SPOOL__KEEP_SECONDS", "1")
        .env_remove("ATALAYA_CONFIG")
        .stdout(Stdio::null())
        .stderr(
            File::options()
                .create(true)
                .append(true)
                .open(dir.join("stderr"))
                .unwrap(),
        )
        .spawn()
        .unwrap()
}

/// R1: killed while reading.
#[test]
fn killed_at_random_moments_each_line_is_stored_once() {
    kill_at_random_moments(Way {
        lines: 200_000,
        kills: 20,
        spool: false,
    });
}

/// R1: killed while reading.
#[test]
fn killed_at_random_moments_each_line_comes_through_the_spool_once() {
    kill_at_random_moments(Way {
        lines: 100_000,
        kills: 20,
        spool: true,
    });
}

fn kill_at_random_moments(way: Way) {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    dir.disable_cleanup(std::env::var_os("ATALAYA_TEST_KEEP").is_some());
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime
        .block_on(SqliteChunkStore::open(&dir.path().join("data/logs.db")))
        .unwrap();

    let child = Arc::new(Mutex::new(start(dir.path(), way)));
    let done = Arc::new(AtomicBool::new(false));
    let killer = std::thread::spawn({
        let (child, done, dir) = (
            Arc::clone(&child),
            Arc::clone(&done),
            dir.path().to_path_buf(),
        );
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
        move || {
            let mut kills = 0;
            while kills < way.kills || !done.load(Ordering::Relaxed) {
                if done.load(Ordering::Relaxed) && kills >= way.kills {
                    break;
                }
                // The moment of the kill is what is random here, not what is waited for.
                std::thread::sleep(Duration::from_millis(random.random_range(20..600)));
                if kills < way.kills {
                    let mut running = child.lock().unwrap();
                    running.kill().unwrap();
                    running.wait().unwrap();
                    kills += 1;
                    std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
                    *running = start(&dir, way);
                }
            }
            kills
        }
    });

    let mut writer = Writer {
        logs: dir.path().join("logs"),
        written: 0,
    };
    let mut next_rotation = 8_000;
    while writer.written < way.lines {
        let count = random
            .random_range(1..1_500)
            .min(way.lines - writer.written);
        writer.append(count);
        if writer.written >= next_rotation {
            next_rotation = writer.written + random.random_range(2_000..14_000);
            match random.random_range(0..4) {
                0 => {
                    writer.shift(&runtime, &store, dir.path());
                    writer.rename("x.log", "x.log.1");
                }
                1 => {
                    writer.shift(&runtime, &store, dir.path());
                    fs::copy(writer.path("x.log"), writer.path("x.log.1")).unwrap();
                    File::options()
                        .write(true)
                        .open(writer.path("x.log"))
                        .unwrap()
                        .set_len(0)
                        .unwrap();
                }
                2 => {
                    wait_for(&runtime, &store, writer.written, dir.path());
                    fs::remove_file(writer.path("x.log")).unwrap();
                }
                _ => {
                    writer.shift(&runtime, &store, dir.path());
                    writer.rename("x.log", "x.log.1");
                    writer.pack("x.log.2");
                }
            }
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..40)));
    }
    done.store(true, Ordering::Relaxed);
    assert_eq!(killer.join().unwrap(), way.kills);
    wait_for(&runtime, &store, way.lines, dir.path());
    let mut running = child.lock().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    *running = start(dir.path(), way); // one more start finds nothing left to do
    std::thread::sleep(Duration::from_millis(1_500));
    running.kill().unwrap();
    running.wait().unwrap();

    let mut times = vec![0_u32; usize::try_from(way.lines).unwrap()];
    for message in runtime.block_on(messages(&store)) {
        let number = message
            .split(' ')
            .nth(1)
            .and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|number: &usize| *number < times.len()) else {
            let said = fs::read_to_string(dir.path().join("stderr")).unwrap();
            panic!("seed {seed}: `{message}` is no line\n{said}");
        };
        assert_eq!(message, line(number as u64), "seed {seed}");
        times[number] += 1;
    }
    let missing: Vec<_> = times
        .iter()
        .enumerate()
        .filter(|(_, times)| **times == 0)
        .map(|(number, _)| number)
        .collect();
    let repeated: Vec<_> = times
        .iter()
        .enumerate()
        .filter(|(_, times)| **times > 1)
        .map(|(number, _)| number)
        .collect();
    assert!(
        missing.is_empty() && repeated.is_empty(),
        "seed {seed}: {} missing {:?}…, {} repeated {:?}…\n{}",
        missing.len(),
        missing.first(),
        repeated.len(),
        repeated.first(),
        fs::read_to_string(dir.path().join("stderr")).unwrap()
    );
}

fn line(number: u64) -> String {
    format!("line {number:06} of a writer that rotates its file in every way there is")
}

struct Writer {
    logs: PathBuf,
    written: u64,
}

impl Writer {
    fn path(&self, name: &str) -> PathBuf {
        self.logs.join(name)
    }

    fn append(&mut self, count: u64) {
        let mut text = String::new();
        for number in self.written..self.written + count {
            text.push_str(&line(number));
            text.push('\n');
        }
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.path("x.log"))
            .unwrap();
        // In two writes, so that half a line stands there for a moment.
        let (first, second) = text.as_bytes().split_at(text.len() * 2 / 3);
        file.write_all(first).unwrap();
        file.write_all(second).unwrap();
        self.written += count;
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Makes room for a new `x.log.1`; the oldest is removed, once it is stored.
    fn shift(&self, runtime: &tokio::runtime::Runtime, store: &SqliteChunkStore, dir: &Path) {
        for suffix in ["", ".gz"] {
            let oldest = self.path(&format!("x.log.5{suffix}"));
            if oldest.exists() {
                wait_for(runtime, store, self.written, dir);
                fs::remove_file(oldest).unwrap();
            }
        }
        for number in (1..5).rev() {
            for suffix in ["", ".gz"] {
                if self.path(&format!("x.log.{number}{suffix}")).exists() {
                    self.rename(
                        &format!("x.log.{number}{suffix}"),
                        &format!("x.log.{}{suffix}", number + 1),
                    );
                }
            }
        }
    }

    fn pack(&self, name: &str) {
        let path = self.path(name);
        if !path.exists() {
            return;
        }
        let packed = File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        encoder.write_all(&fs::read(&path).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(path).unwrap();
    }
}

/// Only what is stored may be destroyed: nobody can read a file that is gone.
fn wait_for(runtime: &tokio::runtime::Runtime, store: &SqliteChunkStore, lines: u64, dir: &Path) {
    // A busy machine is slow; what counts is that nothing comes any more.
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let stored = runtime.block_on(store.stats()).unwrap().records;
        if stored >= lines {
            return;
        }
        if stored > seen {
            (seen, since) = (stored, Instant::now());
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{stored} of {lines} lines are stored and no more come\n{}",
            fs::read_to_string(dir.join("stderr")).unwrap()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub async fn messages(store: &SqliteChunkStore) -> Vec<String> {
    let mut messages = Vec::new();
    for layer in Layer::ALL {
        for bucket in store
            .buckets(layer, TimeRange::ALL, Order::OldestFirst, 100_000)
            .await
            .unwrap()
        {
            let summaries = store.summaries(bucket).await.unwrap();
            for summary in summaries
                .iter()
                .filter(|summary| &*summary.origin.source != "atalaya/ingest")
            {
                for chunk in store.chunks(&[summary.key]).await.unwrap() {
                    messages.extend(
                        chunk
                            .entries
                            .into_iter()
                            .map(|entry| String::from(entry.message)),
                    );
                }
            }
        }
    }
    messages
}
