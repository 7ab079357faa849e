//! R1: the real program, killed at random moments while four files grow and are rotated by
//! renaming. Every line is in Cassandra once, as it was written.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::follower::Follower;
use super::lines::{Writer, tally, wait_for};
use super::own_logs::{OwnLogs, long};

const FILES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

struct Size {
    lines: u64,
    rotations: usize,
    kills: usize,
}

#[test]
fn killed_at_random_moments_each_line_is_in_cassandra_once() {
    let size = if long() {
        Size {
            lines: 1_000_000,
            rotations: 100,
            kills: 200,
        }
    } else {
        Size {
            lines: 100_000,
            rotations: 10,
            kills: 20,
        }
    };
    let keyspace = OwnLogs::shared("kill");
    run(&size, &keyspace.configuration(1, ""), true);
}

/// Kills are spread over the lines: with each kill the writer may go on to the next share.
fn run(size: &Size, configuration: &str, init: bool) {
    let seed: u64 = std::env::var("ATALAYA_TEST_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |text| text.parse().unwrap());
    println!("ATALAYA_TEST_SEED={seed}");
    let since = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut writer = Writer::new(&folder.path().join("logs"), FILES);
    let follower = Follower::new(folder.path(), configuration, writer.paths());
    if init {
        follower.run(&["db", "init"]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(follower.store());
    let follower = Arc::new(Mutex::new(follower));
    follower.lock().unwrap().start();
    // Files that were rotated before a first start are not asked for: it must have seen each once.
    for file in 0..FILES {
        writer.append(file, 1);
    }
    runtime.block_on(wait_for(&*store, FILES as u64, PATIENCE, || {
        follower.lock().unwrap().words()
    }));

    let killed = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicBool::new(false));
    let killer = std::thread::spawn({
        let (follower, killed, failed) = (
            Arc::clone(&follower),
            Arc::clone(&killed),
            Arc::clone(&failed),
        );
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
        let kills = size.kills;
        move || {
            let failing = FailOnPanic(failed);
            while killed.load(Ordering::Relaxed) < kills {
                // The moment of the kill is what is random here, not what is waited for.
                std::thread::sleep(Duration::from_millis(random.random_range(20..900)));
                let mut follower = follower.lock().unwrap();
                follower.kill();
                std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
                follower.start();
                killed.fetch_add(1, Ordering::Relaxed);
            }
            drop(failing);
        }
    });

    let mut next_rotation = 1;
    while writer.total() < size.lines {
        let share = size.lines * (killed.load(Ordering::Relaxed) as u64 + 1) / size.kills as u64;
        if writer.total() >= share && !failed.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        }
        let count = random
            .random_range(1..1_500)
            .min(size.lines - writer.total());
        writer.append(random.random_range(0..FILES), count);
        if writer.total() * size.rotations as u64 / size.lines >= next_rotation {
            next_rotation += 1;
            writer.rotate(random.random_range(0..FILES));
        }
        if random.random_ratio(1, 4) {
            std::thread::sleep(Duration::from_millis(random.random_range(0..10)));
        }
    }
    killer.join().unwrap();
    let wrote = since.elapsed();
    runtime.block_on(wait_for(&*store, size.lines, PATIENCE, || {
        follower.lock().unwrap().words()
    }));
    let stored = since.elapsed();
    {
        let mut follower = follower.lock().unwrap();
        follower.kill();
        follower.start(); // one more start sends what it sends again, which changes nothing
        std::thread::sleep(Duration::from_millis(1_500));
        follower.kill();
    }
    let tally = runtime.block_on(tally(&*store, &writer.written));
    println!(
        "{} lines, {} rotations, {} kills: written after {:.1} s, stored after {:.1} s, counted after {:.1} s",
        writer.total(),
        writer.rotations,
        size.kills,
        wrote.as_secs_f64(),
        stored.as_secs_f64(),
        since.elapsed().as_secs_f64()
    );
    tally.check(format!("seed {seed}\n{}", follower.lock().unwrap().words()));
}

struct FailOnPanic(Arc<AtomicBool>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
