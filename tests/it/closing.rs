//! Whatever command ends, and however: nothing is left of what SQLite keeps beside its files.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Instant;

use clap::CommandFactory as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};

use crate::copied::{atalaya, command, done, text};
use crate::pty::{self, Pty, console, with_args};

/// A data directory with logs and metrics.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let lines: String = (0..20_000)
        .map(|line| format!("line {line} request_id=req-{}\n", line % 9))
        .collect();
    fs::write(home.path().join("x.log"), lines).unwrap();
    fs::write(home.path().join("old.json"), "{}").unwrap();
    done(&run(home.path(), &["ingest", "x.log"]));
    done(&run(home.path(), &PHASE));
    home
}

const PHASE: [&str; 10] = [
    "dora",
    "record",
    "--feature",
    "F",
    "--phase",
    "deployment",
    "--decision",
    "success",
    "--service",
    "shop",
];

fn run(home: &Path, arguments: &[&str]) -> std::process::Output {
    atalaya(home, &[&["--data-dir", "data"], arguments].concat())
}

/// Files of SQLite beside its own, anywhere.
fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(left_behind(&entry.path()));
        } else if entry.path().to_string_lossy().ends_with("-wal")
            || entry.path().to_string_lossy().ends_with("-shm")
        {
            found.push(entry.path());
        }
    }
    found
}

/// One way at least to call each subcommand, right or wrong.
const CALLS: [&str; 93] = [
    "logs",
    "logs --json limit",
    "logs level>=none",
    "logs --limit 3",
    "trace req-1",
    "trace --json nobody",
    "health",
    "health --json",
    "ingest x.log",
    "ingest none.log",
    "ingest --explain x.log",
    "ingest -",
    "dora record --feature G --phase testing --decision success --duration 9s",
    "dora record --feature G --phase none --decision success",
    "dora report",
    "dora report --format json --service shop",
    "dora analytics trend",
    "dora analytics compare",
    "dora analytics monthly",
    "dora analytics anomalies",
    "dora analytics forecast --json",
    "compliance",
    "mcp",
    "dora sync --repo none",
    "dora sync --github none",
    "dora import old.json",
    "dora import none",
    "dora incident list",
    "dora incident open --service shop",
    "dora incident resolve none",
    "dora incident link none",
    "track --feature F --phase testing -- true",
    "track --feature F --phase testing --capture -- echo said",
    "track --feature F --phase testing -- no-such-program",
    "pdca list",
    "pdca show 1",
    "pdca propose",
    "pdca new",
    "pdca start 1",
    "pdca check 1",
    "pdca decide 1 apply",
    "pdca note 1 text",
    "pdca edit 1",
    "alerts list",
    "alerts show x",
    "alerts ack x",
    "alerts silence x --for 1h --reason because",
    "alerts history",
    "alerts rules",
    "alerts channels",
    "alerts test",
    "jobs list",
    "jobs show retention",
    "jobs show none",
    "jobs run retention",
    "jobs run none",
    "jobs history",
    "jobs enable retention",
    "jobs disable retention",
    "retention",
    "pipeline list",
    "pipeline show x",
    "pipeline run nowhere.toml",
    "pipeline resume x",
    "pipeline approve x",
    "pipeline reject x",
    "pipeline keep nowhere",
    "quarantine list",
    "quarantine show x",
    "quarantine retry --all",
    "token create laptop",
    "token create laptop --scope none",
    "token list",
    "token revoke none",
    "db init",
    "db migrate",
    "db status",
    "db check",
    "db check metrics --json",
    "db copy --from embedded --to sqlite:other",
    "db adopt",
    "db repair logs",
    "db set-aside metrics --yes",
    "backup create",
    "backup list",
    "backup verify",
    "backup restore",
    "backup drill",
    "config show",
    "config check",
    "config path",
    "completions bash",
    "man",
];
/// A console, and what runs until a signal ends it.
const OTHERS: [&str; 2] = ["demo", "serve"];

#[test]
fn no_command_leaves_anything_beside_a_store() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home();
    let mut calls = CALLS;
    calls.shuffle(&mut random);
    for call in calls {
        let arguments: Vec<&str> = call.split(' ').collect();
        let output = run(home.path(), &arguments);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.code().is_some(),
            "seed {seed}: {call}: {said}"
        );
        let left = left_behind(home.path());
        assert!(left.is_empty(), "seed {seed}: {call}: {left:?} ({said})");
    }
}

#[test]
fn every_subcommand_is_among_the_calls() {
    fn names(command: &clap::Command, before: &str, all: &mut Vec<String>) {
        for inner in command.get_subcommands() {
            let name = format!("{before}{}", inner.get_name());
            if inner.has_subcommands() {
                names(inner, &format!("{name} "), all);
            } else {
                all.push(name);
            }
        }
    }
    let mut all = Vec::new();
    names(&atalaya::cli::Invocation::command(), "", &mut all);
    assert!(all.len() > 40, "{all:?}");
    for name in all {
        let called = CALLS
            .iter()
            .chain(&OTHERS)
            .any(|call| *call == name || call.starts_with(&format!("{name} ")));
        assert!(called, "{name} is never called");
    }
}

fn start(home: &Path, arguments: &[&str]) -> Child {
    command(home, &[&["--data-dir", "data"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < pty::LIMIT, "{what} does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Ends at any moment by any of the signals that people and supervisors send.
#[test]
fn a_signal_leaves_nothing_beside_a_store() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home();
    // The first one cannot print all that it has, as nobody reads it.
    let calls: [&[&str]; 7] = [
        &["logs", "--limit", "0"],
        &["logs", "--follow"],
        &["ingest", "x.log", "--follow"],
        &["ingest", "-"],
        &["serve"],
        &["db", "check"],
        &["trace", "req-1"],
    ];
    for round in 0..21 {
        let call = calls[round % calls.len()];
        let signal = [Signal::INT, Signal::TERM, Signal::HUP][random.random_range(0..3)];
        // It reads its configuration again on this one.
        let signal = if call == ["serve"] && signal == Signal::HUP {
            Signal::TERM
        } else {
            signal
        };
        let what = format!("seed {seed}: {call:?} on {signal:?}");
        let mut child = start(home.path(), call);
        // Once it has a store open, or has ended by itself; before that there is nothing to close.
        let began = Instant::now();
        while left_behind(home.path()).is_empty() && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < pty::LIMIT, "{what}: no store is opened");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(
            random.random_range(0..200),
        ));
        let pid = Pid::from_child(&child);
        let _ = kill_process(pid, signal);
        let status = ended(&mut child, &what);
        let mut said = String::new();
        let _ = child.stderr.take().unwrap().read_to_string(&mut said);
        assert!(
            status.code().is_some(),
            "{what}: {status}, nothing was closed: {said}"
        );
        let left = left_behind(home.path());
        assert!(left.is_empty(), "{what}: {left:?} ({said})");
    }
    done(&run(home.path(), &["db", "check"]));
}

#[test]
fn a_console_leaves_nothing_beside_a_store() {
    let home = home();
    for end in ["q", ""] {
        let mut terminal = Pty::start(
            with_args(console(home.path()), ["--data-dir", "data"]),
            24,
            100,
        );
        terminal.wait_for_text("line 19999");
        if end.is_empty() {
            terminal.signal(Signal::TERM);
        } else {
            terminal.send(end);
        }
        terminal.ended();
        let left = left_behind(home.path());
        assert!(left.is_empty(), "{end:?}: {left:?}");
    }
}
