//! The background work of a long command: what happens when a part of it panics, and where its own
//! log is.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::pty::{Pty, console};

const LINES: usize = 40;

fn home_with_log() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".config/atalaya/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    let log = home.path().join("app.log");
    let text = format!(
        "[ingest]\ndiscover = false\n[[ingest.files]]\npath = '{}'\n",
        log.display()
    );
    std::fs::write(config, text).unwrap();
    append(&log, 0);
    home
}

fn append(log: &Path, from: usize) {
    let mut text = String::new();
    for number in from..from + LINES {
        writeln!(
            text,
            "2026-11-29 10:00:00,000 INFO shop: line {number:04} done"
        )
        .unwrap();
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// How many records the store of this home holds, asked by another process.
fn stored(home: &Path) -> usize {
    let printed = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args([
            "logs",
            "--json",
            "--limit",
            "100000",
            "since:2026-11-28 done",
        ])
        .env("HOME", home)
        .env_remove("FAILPOINTS")
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    printed
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count()
}

fn wait_until_stored(home: &Path, wanted: usize) {
    let begin = Instant::now();
    loop {
        let found = stored(home);
        if found == wanted {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{found} of {wanted} were stored"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The thread that reads files panics while it writes its checkpoint. The console stays, says so,
/// and goes on where it was.
#[test]
fn a_panic_of_the_ingest_is_shown_and_the_ingest_starts_again() {
    let home = home_with_log();
    let mut command = console(home.path());
    command.env(
        "FAILPOINTS",
        "checkpoint::before_write=2*off->1*panic(asked for by a test)",
    );
    let mut console = Pty::start(command, 40, 140);
    console.wait_for_text("line 0039 done");
    append(&home.path().join("app.log"), LINES);
    wait_until_stored(home.path(), 2 * LINES);
    console.send("3x");
    console.wait_for_text("worker ingest");
    console.wait_for_text("runs again after restart 1: the thread");
    console.send("\x1b");
    console.wait_until_gone("What was checked");
    console.send("q");
    assert!(console.ended().success());
    console.assert_restored();
    assert_eq!(stored(home.path()), 2 * LINES);
    let log = std::fs::read_to_string(data(home.path()).join("log/console.log")).unwrap();
    assert!(log.contains("asked for by a test"), "{log}");
}

fn data(home: &Path) -> std::path::PathBuf {
    home.join(".local/share/atalaya")
}

/// A follower without a screen leaves its warnings in a file of its own, which only its owner reads,
/// and which `config path` names.
#[test]
fn a_follower_writes_a_log_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home_with_log();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(["ingest", "--follow", "app.log"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env(
            "FAILPOINTS",
            "checkpoint::before_write=2*off->1*panic(asked for by a test)",
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until_stored(home.path(), LINES);
    let path = data(home.path()).join("log/ingest.log");
    let begin = Instant::now();
    while !std::fs::read_to_string(&path).is_ok_and(|log| log.contains("starts again")) {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "nothing was told"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    append(&home.path().join("app.log"), LINES);
    wait_until_stored(home.path(), 2 * LINES);
    let health = || {
        let asked = Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .args(["health", "--json"])
            .env("HOME", home.path())
            .output()
            .unwrap();
        String::from_utf8(asked.stdout).unwrap()
    };
    let begin = Instant::now();
    while !health().contains(&format!("process {} follows 1 files", follower.id())) {
        assert!(begin.elapsed() < Duration::from_secs(30), "{}", health());
        std::thread::sleep(Duration::from_millis(200));
    }
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(follower.wait().unwrap().success());
    assert!(
        !health().contains("follows"),
        "one that ended well leaves no word"
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let printed = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(["config", "path"])
        .env("HOME", home.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.contains(path.parent().unwrap().to_str().unwrap()),
        "{printed}"
    );
}

/// A copy of a log that only few may read must not become readable by everybody, whatever the mask
/// of the shell says; and a tracked command runs under the mask of the shell.
///
/// R42: passwords are not shown.
#[test]
fn what_is_written_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home_with_log();
    let shell = |script: &str| {
        let done = Command::new("sh")
            .args(["-c", &format!("umask 022; {script}")])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("ATALAYA", env!("CARGO_BIN_EXE_atalaya"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    shell("$ATALAYA ingest app.log");
    shell("$ATALAYA dora record --feature f --phase planning --decision go");
    shell("$ATALAYA track --feature f --phase testing -- touch by-the-command");
    let mut folders = vec![home.path().join(".local/share/atalaya")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mode = folder.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
            files += 1;
        }
    }
    assert!(files >= 4, "only {files} files were found");
    let made = home.path().join("by-the-command").metadata().unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o644);
}
