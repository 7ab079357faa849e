//! Services of several hosts on one MariaDB: whose clock counts, who takes over, and a database that
//! is away for a while.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use xtask::services::mariadb_server::MariaDb;

use crate::mysql_store::OwnDatabase;
use crate::serving::{Service, atalaya, history, holder, results, wait_for};
use atalaya::domain::time::Timestamp;
use atalaya::store::mysql::{self, MySqlOptions};

/// A host of its own, with the metrics in a database of a server.
fn host(options: &MySqlOptions) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/atalaya/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!(
        "[ingest]\ndiscover = false\n[stores]\nmetrics = \"mysql://{}@{}:{}/{}\"\n\
         [service]\nlease_seconds = 2\n[jobs.retention]\nschedule = \"1s\"\n",
        options.user, options.host, options.port, options.database
    );
    std::fs::write(file, text).unwrap();
    home
}

/// Its clock is ahead by so much (`-1h`, `+1h`).
fn start(home: &Path, ahead: &str) -> Service {
    // The command of that name stays between us and the program; what it does is these variables.
    let told = Command::new("faketime")
        .args(["-f", ahead, "sh", "-c", "echo $LD_PRELOAD"])
        .output()
        .unwrap();
    let library = String::from_utf8(told.stdout).unwrap();
    assert!(library.contains("faketime"), "{library}");
    let mut command = atalaya(home, &["serve"]);
    command
        .env("LD_PRELOAD", library.trim())
        .env("FAKETIME", ahead)
        // Only the time of day differs: what lasts a second lasts one everywhere.
        .env("DONT_FAKE_MONOTONIC", "1");
    Service::of(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_with_clocks_an_hour_apart_take_over_from_each_other() {
    let database = OwnDatabase::made().await;
    let options = database.options.clone();
    tokio::task::spawn_blocking(move || take_overs(&options))
        .await
        .unwrap();
}

fn take_overs(options: &MySqlOptions) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let times = if std::env::var_os("ATALAYA_TEST_LONG").is_some() {
        200
    } else {
        6
    };
    let clocks = ["-30m", "+30m"];
    let homes = clocks.map(|_| host(options));
    let looking = homes[0].path();
    let begin = Timestamp::now();
    let mut running: Vec<Service> = clocks
        .iter()
        .zip(&homes)
        .map(|(clock, home)| start(home.path(), clock))
        .collect();
    for time in 0..times {
        let (fence, pid) = wait_for("a holder", || holder(looking, "store"));
        let before = results(looking, "retention", "ok");
        let index = running.iter().position(|service| service.pid() == pid);
        let index = index.unwrap_or_else(|| panic!("{pid} is none of ours"));
        let suspended = random.random_bool(0.5);
        if suspended {
            running[index].signal(Signal::STOP);
        } else {
            running[index].kill();
        }
        let (_, other) = wait_for("another holder", || {
            holder(looking, "store").filter(|(next, _)| *next > fence)
        });
        assert_ne!(other, pid, "take-over {time}");
        if suspended {
            running[index].signal(Signal::CONT);
        } else {
            running[index] = start(homes[index].path(), clocks[index]);
        }
        wait_for("runs of the next holder", || {
            (results(looking, "retention", "ok") > before).then_some(())
        });
    }
    for service in running {
        service.end();
    }
    let end = Timestamp::now();
    assert_eq!(holder(looking, "store"), None);
    let runs = history(looking, "retention");
    let slots: BTreeSet<&str> = runs
        .iter()
        .map(|run| run["slot_at"].as_str().unwrap())
        .collect();
    assert_eq!(slots.len(), runs.len(), "a slot was run twice");
    // By the clock of the database: that of neither host.
    let (first, last) = (begin.to_rfc3339(), end.to_rfc3339());
    for run in &runs {
        let started = run["started_at"].as_str().unwrap();
        assert!(
            first.as_str() <= started && started <= last.as_str(),
            "{run}"
        );
    }
    let mut by_start: Vec<(&str, i64)> = runs
        .iter()
        .map(|run| {
            (
                run["started_at"].as_str().unwrap(),
                run["fence"].as_i64().unwrap(),
            )
        })
        .collect();
    by_start.sort_unstable();
    assert!(
        by_start.is_sorted_by_key(|(_, fence)| *fence),
        "{by_start:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_after_the_database_was_away() {
    let server = MariaDb::start().unwrap();
    let address = server.address();
    let mut options = MySqlOptions::new(address.ip().to_string(), "atalaya", "root");
    options.port = address.port();
    mysql::init(&options).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let home = host(&options);
        let service = start(home.path(), "+0s");
        let ok = || results(home.path(), "retention", "ok");
        wait_for("runs", || (ok() > 1).then_some(()));
        server.kill();
        // Longer than the lease.
        std::thread::sleep(std::time::Duration::from_secs(4));
        server.restart().unwrap();
        let before = ok();
        wait_for("runs after that", || (ok() > before + 2).then_some(()));
        let runs = history(home.path(), "retention");
        let slots: BTreeSet<&str> = runs
            .iter()
            .map(|run| run["slot_at"].as_str().unwrap())
            .collect();
        assert_eq!(slots.len(), runs.len());
        service.end();
    })
    .await
    .unwrap();
}
