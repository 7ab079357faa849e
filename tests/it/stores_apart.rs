//! The two stores apart: damage or a read-only disk under one of them is said, and everything else
//! works. And what `atalaya db check | repair | set-aside` make of it.

use std::fs;
use std::path::Path;
use std::process::Output;

use portable_pty::CommandBuilder;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::copied::{atalaya, command, done, text};
use crate::ingest_full_disk::SmallDisk;
use crate::pty::{Pty, console, with_args};

/// A data directory with logs and metrics.
fn filled(home: &Path) {
    fs::write(home.join("x.log"), "the first line\nthe second line\n").unwrap();
    done(&run(home, &["ingest", "x.log", "--format", "plain"]));
    done(&run(
        home,
        &[
            "dora",
            "record",
            "--feature",
            "FEAT-1",
            "--phase",
            "deployment",
            "--decision",
            "success",
            "--duration",
            "95s",
            "--service",
            "shop",
            "--request-id",
            "req-1",
        ],
    ));
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    atalaya(home, &[&["--data-dir", "data"], arguments].concat())
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Bytes of no database.
fn spoil(file: &Path) {
    fs::write(
        file,
        "this was a database once, and is none any more".repeat(200),
    )
    .unwrap();
}

#[test]
fn a_damaged_store_of_metrics_leaves_the_logs_alone() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path());
    spoil(&home.path().join("data/metrics.db"));
    assert!(done(&run(home.path(), &["logs"])).contains("the second line"));
    let trace = run(home.path(), &["trace", "req-1"]);
    assert!(
        said(&trace).contains("only the logs were searched"),
        "{}",
        said(&trace)
    );
    assert!(
        said(&trace).contains("atalaya db repair"),
        "{}",
        said(&trace)
    );
    fs::write(home.path().join("y.log"), "the third line\n").unwrap();
    done(&run(home.path(), &["ingest", "y.log", "--format", "plain"]));
    assert!(done(&run(home.path(), &["logs"])).contains("the third line"));
    let report = run(home.path(), &["dora", "report"]);
    assert_eq!(report.status.code(), Some(1));
    assert!(said(&report).contains("is damaged") && said(&report).contains("atalaya db set-aside"));
    let health = run(home.path(), &["health", "--json"]);
    let health: Value = serde_json::from_slice(&health.stdout).unwrap();
    let check = |name: &str| {
        let checks = health["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(check("logs store")["status"], "pass");
    assert_eq!(check("metrics store")["level"], "failing");

    let mut terminal = Pty::start(start(home.path()), 24, 100);
    terminal.wait_for_text("the third line");
    terminal.send("1");
    terminal.wait_for_text("is damaged");
    // What it says is done beside it, and it goes on by itself.
    let told = done(&run(home.path(), &["db", "set-aside", "metrics", "--yes"]));
    assert!(told.contains("new and empty"), "{told}");
    terminal.wait_until_gone("is damaged");
    terminal.send("q");
    assert!(terminal.ended().success());
}

fn start(home: &Path) -> CommandBuilder {
    with_args(console(home), ["--data-dir", "data"])
}

#[test]
fn a_damaged_store_of_logs_leaves_the_metrics_alone() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path());
    spoil(&home.path().join("data/logs.db"));
    let logs = run(home.path(), &["logs"]);
    assert_eq!(logs.status.code(), Some(1));
    assert!(said(&logs).contains("is damaged") && said(&logs).contains("atalaya db repair"));
    done(&run(home.path(), &["dora", "report"]));
    done(&run(home.path(), &["pdca", "list"]));
    let mut terminal = Pty::start(start(home.path()), 24, 100);
    terminal.wait_for_text("is damaged");
    terminal.send("q");
    assert!(terminal.ended().success());
}

/// What is asked of a data directory that cannot be written.
fn is_read(home: &Path, lines: usize, reason: &str) {
    let logs = run(home, &["logs"]);
    assert_eq!(done(&logs).lines().count(), lines, "{}", said(&logs));
    assert!(text(&logs.stderr).contains("only read"), "{}", said(&logs));
    assert!(text(&logs.stderr).contains(reason), "{}", said(&logs));
    done(&run(home, &["pdca", "list"]));
    done(&run(home, &["db", "check"]));
    let refused = run(home, &["ingest", "x.log", "--format", "plain"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(reason), "{}", said(&refused));
    let health = run(home, &["health"]);
    assert!(said(&health).contains("only read"), "{}", said(&health));
}

/// R24.
#[test]
fn a_read_only_disk_is_read_with_and_without_what_was_left_over() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&home.path().join("data"), "size=24m");
    filled(home.path());
    disk.remount("ro");
    is_read(home.path(), 2, "Read-only file system");

    // Lines that stand in the log of the file alone, as after a kill.
    disk.make_writable();
    let data = disk.0.clone();
    let kept = tempfile::tempdir().unwrap();
    let holding = command(
        home.path(),
        &["--data-dir", "data", "ingest", "-", "--format", "plain"],
    )
    .stdin(std::process::Stdio::piped())
    .stdout(std::process::Stdio::null())
    .stderr(std::process::Stdio::null())
    .spawn();
    let mut holding = holding.unwrap();
    let mut input = holding.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"the line in the log\n").unwrap();
    let deadline = std::time::Instant::now() + crate::pty::LIMIT;
    while !text(&run(home.path(), &["logs"]).stdout).contains("the line in the log") {
        assert!(
            std::time::Instant::now() < deadline,
            "the line never arrived"
        );
    }
    for file in ["logs.db", "logs.db-wal"] {
        fs::copy(data.join(file), kept.path().join(file)).unwrap();
    }
    holding.kill().unwrap();
    holding.wait().unwrap();
    drop(input);
    assert!(fs::metadata(kept.path().join("logs.db-wal")).unwrap().len() > 0);
    disk.remount("ro");
    is_read(home.path(), 3, "Read-only file system");

    // The same from a copy, which has no index beside it.
    disk.make_writable();
    let _ = fs::remove_file(data.join("logs.db-shm"));
    for file in ["logs.db", "logs.db-wal"] {
        fs::copy(kept.path().join(file), data.join(file)).unwrap();
    }
    disk.remount("ro");
    is_read(home.path(), 3, "Read-only file system");
    let shown = done(&run(home.path(), &["logs"]));
    assert!(shown.contains("the line in the log"), "{shown}");
    assert!(!data.join("logs.db-shm").exists());

    let mut terminal = Pty::start(start(home.path()), 24, 120);
    terminal.wait_for_text("the line in the log");
    disk.make_writable();
    terminal.send("q");
    assert!(terminal.ended().success());
    assert_eq!(done(&run(home.path(), &["logs"])).lines().count(), 3);
}

/// R24.
#[test]
fn a_full_disk_is_read() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = SmallDisk::mount(&home.path().join("data"), "size=4m");
    filled(home.path());
    let mut ballast = fs::File::create(disk.0.join("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[1; 4096]).is_ok() {}
    assert!(done(&run(home.path(), &["logs"])).contains("the second line"));
    done(&run(home.path(), &["pdca", "list"]));
}

#[test]
fn a_check_names_what_is_damaged_and_a_repair_keeps_the_rest() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    filled(home.path());
    for part in 0..6 {
        let lines: String = (0..800)
            .map(|number| {
                format!(
                    "part {part} line {number} {:032x}\n",
                    random.random::<u128>()
                )
            })
            .collect();
        fs::write(home.path().join(format!("{part}.log")), lines).unwrap();
        let name = format!("{part}.log");
        done(&run(home.path(), &["ingest", &name, "--format", "plain"]));
    }
    let before: Vec<String> = all(home.path());
    assert_eq!(before.len(), 4802);
    let whole = done(&run(home.path(), &["db", "check"]));
    assert_eq!(whole.matches(": whole").count(), 2, "{whole}");
    assert!(whole.contains("4802 records"), "{whole}");

    let file = home.path().join("data/logs.db");
    let mut bytes = fs::read(&file).unwrap();
    let bit = random.random_range(bytes.len() * 4..bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    // And one place that certainly is a chunk's.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd];
    let frame = memchr::memmem::rfind(&bytes, &zstd).unwrap();
    bytes[frame + 9] ^= 0x10;
    fs::write(&file, bytes).unwrap();
    let check = run(home.path(), &["db", "check", "logs", "--json"]);
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    let reports: Value = serde_json::from_slice(&check.stdout).unwrap();
    let damages = reports[0]["damages"]["listed"].as_array().unwrap().clone();
    let chunk = damages
        .iter()
        .find(|damage| damage["what"] == "chunk")
        .unwrap();
    assert!(chunk["records"].as_u64() > Some(0), "{chunk}");
    assert!(
        said(&check).contains("atalaya db repair logs"),
        "{}",
        said(&check)
    );

    let repair = run(home.path(), &["db", "repair", "logs", "--json"]);
    assert_eq!(repair.status.code(), Some(1), "{}", said(&repair));
    let repaired: Value = serde_json::from_slice(&repair.stdout).unwrap();
    assert!(
        Path::new(repaired["aside"].as_str().unwrap()).is_absolute()
            || home
                .path()
                .join(repaired["aside"].as_str().unwrap())
                .exists()
    );
    let after = all(home.path());
    assert!(
        after.len() < before.len() && after.len() > before.len() / 2,
        "{}",
        after.len()
    );
    assert!(after.iter().all(|line| before.contains(line)));
    done(&run(home.path(), &["db", "check"]));
    // Its files are known to be read: nothing comes twice.
    done(&run(
        home.path(),
        &["ingest", "0.log", "1.log", "--format", "plain"],
    ));
    assert_eq!(all(home.path()).len(), after.len());
}

fn all(home: &Path) -> Vec<String> {
    let printed = done(&run(home, &["logs", "--limit", "0"]));
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_is_moved_while_another_process_has_it_open_or_nobody_agreed() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path());
    let refused = run(home.path(), &["db", "set-aside", "logs"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--yes"), "{}", said(&refused));
    let mut terminal = Pty::start(start(home.path()), 24, 100);
    terminal.wait_for_text("the second line");
    for arguments in [
        ["db", "set-aside", "logs", "--yes"].as_slice(),
        &["db", "repair", "metrics"],
    ] {
        let refused = run(home.path(), arguments);
        assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
        assert!(
            said(&refused).contains("end it first"),
            "{}",
            said(&refused)
        );
    }
    terminal.send("q");
    assert!(terminal.ended().success());
    let told = done(&run(home.path(), &["db", "set-aside", "logs", "--yes"]));
    assert!(told.contains("logs.db.aside-"), "{told}");
    assert_eq!(all(home.path()).len(), 0);
    let asked = run(home.path(), &["db", "repair", "metrics"]);
    assert!(asked.status.success(), "{}", said(&asked));
}
