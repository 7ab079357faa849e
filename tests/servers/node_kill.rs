//! The server dies under the ingest: SIGKILL of the only node, again and again, while the real
//! program writes to it. What it had acknowledged and not synced is sent again by the spool (R15).

use std::time::{Duration, Instant};

use xtask::services::cluster::Cluster;

use super::follower::Follower;
use super::lines::{Writer, tally, wait_for};
use super::own_logs::{OwnLogs, long};

const FILES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines come at this rate whether the node is there or not.
const LINES_A_SECOND: u64 = 2_500;

#[test]
fn cassandra_killed_during_an_ingest_loses_and_doubles_nothing() {
    let (lines, kills) = if long() { (200_000, 5) } else { (40_000, 2) };
    let ring = Cluster::builder().start().unwrap();
    let keyspace = OwnLogs::own("node", ring.addresses());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut writer = Writer::new(&folder.path().join("logs"), FILES);
    let mut follower = Follower::new(
        folder.path(),
        &keyspace.configuration(1, ""),
        writer.paths(),
    );
    follower.run(&["db", "init"]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(follower.store());
    follower.start();
    let since = Instant::now();
    let written = std::thread::scope(|scope| {
        // The writer never waits for the store: lines come also while the node is away.
        let writing = scope.spawn(move || {
            let began = Instant::now();
            while writer.total() < lines {
                writer.append(
                    (writer.total() / 50) as usize % FILES,
                    50.min(lines - writer.total()),
                );
                let due = Duration::from_secs_f64(writer.total() as f64 / LINES_A_SECOND as f64);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            writer
        });
        for kill in 1..=kills {
            // In the middle of the writing, and of what gathered while the node was away.
            let share = lines * kill / (kills + 1);
            runtime.block_on(wait_for(&*store, share, PATIENCE, || follower.words()));
            ring.kill(0);
            std::thread::sleep(Duration::from_millis(1_500));
            let dead = Instant::now();
            ring.restart(0).unwrap();
            println!(
                "kill {kill}: the node answers again after {:.1} s",
                dead.elapsed().as_secs_f64()
            );
        }
        writing.join().unwrap().written
    });
    runtime.block_on(wait_for(&*store, lines, PATIENCE, || follower.words()));
    println!(
        "{lines} lines, {kills} kills of the node: {:.1} s",
        since.elapsed().as_secs_f64()
    );
    runtime
        .block_on(tally(&*store, &written))
        .check(follower.words());
    follower.kill();
}
