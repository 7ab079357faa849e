//! `cargo xtask test`: everything that has to hold before a change lands.
//!
//! The lanes:
//! - **clone only**: unit tests and `tests/it`. They read nothing outside of the clone, which
//!   `tests/it/clone_only.rs` guards, and no server.
//! - **reference**: `tests/reference`, on third-party samples with licences of their own, which are in
//!   no clone. With `--reference`, or by itself where the folder is at hand; else the last line
//!   says what was not compared.
//! - **servers**: `tests/servers`, on real Cassandra and MariaDB.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::promises;
use crate::stress::Load;
use xtask::services::{self, commands};
use xtask::tools::{self, Tool, cargo, root, step};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the fault tests at full size (a million lines, two hundred kills; about an hour).
    #[arg(long)]
    long: bool,
    /// Only the fault tests, so many times, while both cores and the disk are kept busy.
    #[arg(long, value_name = "TIMES", num_args = 0..=1, default_missing_value = "1")]
    stress: Option<u32>,
    /// The folder of the third-party samples; `../shared/data` where that is there.
    #[arg(long, value_name = "FOLDER")]
    reference: Option<PathBuf>,
    /// Passed on to the test binaries: a name filter, `--nocapture` …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// What the tests start. Full-disk tests mount a small tmpfs, which needs root.
const NEEDED: [Tool; 5] = [
    Tool {
        program: "git",
        package: "git",
        used_for: "makes the repositories that the git source is tested on",
    },
    Tool {
        program: "mount",
        package: "mount",
        used_for: "small file systems for the full-disk tests",
    },
    Tool {
        program: "mariadbd",
        package: "mariadb-server",
        used_for: "the metrics database",
    },
    Tool {
        program: "systemd-analyze",
        package: "systemd",
        used_for: "reads the unit of the service",
    },
    Tool {
        program: "faketime",
        package: "faketime",
        used_for: "hosts whose clocks differ",
    },
];
const SERVER_TESTS: [&str; 4] = ["test", "--package", "atalaya", "--test=servers"];

/// Where the reference tests are told to find their samples.
const REFERENCE_VARIABLE: &str = "ATALAYA_REFERENCE";
/// Where the samples are when nobody says, from the top folder.
const USUAL_REFERENCE: &str = "../shared/data";
const INVENTORY: &str = "tests/reference/inventory";

/// Whole modules that kill, fill, cut, rotate and shorten, beside the tests that hold a promise
/// (`docs/reliability.md`).
const FAULT_TESTS: [&str; 10] = [
    "ingest_",
    "spool_",
    "db_copy",
    "rotation",
    "schemes",
    "shortened",
    "many",
    "workers",
    "service::",
    "closing::",
];

pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(times) = args.stress {
        return under_load(args, times);
    }
    let samples = samples(args.reference.as_deref())?;
    lanes(args, samples.as_deref())?;
    if samples.is_none() {
        let text = std::fs::read_to_string(root().join(INVENTORY)).context(INVENTORY)?;
        eprintln!(
            "not compared: {} files of third-party samples, which are not in {USUAL_REFERENCE}\n\
             (cargo xtask test --reference <folder>; what they are stands in {INVENTORY})",
            compared(&text)?
        );
    }
    Ok(())
}

/// The fault tests on a busy machine. A run that fails once has found a fault: its seed is printed.
fn under_load(args: &Args, times: u32) -> anyhow::Result<()> {
    tools::require(&NEEDED)?;
    let tests = || {
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--lib", "--test=it"]);
        if args.long {
            tests.env("ATALAYA_TEST_LONG", "1");
        }
        tests
    };
    step("build the fault tests", tests().arg("--no-run"))?;
    let _load = Load::start()?;
    for time in 1..=times {
        let name = format!("fault tests under load, {time} of {times}");
        let chosen = if args.rest.is_empty() {
            fault_tests()?
        } else {
            args.rest.clone()
        };
        step(&name, tests().arg("--").args(chosen))?;
    }
    Ok(())
}

/// Filters of the tests that need no server.
fn fault_tests() -> anyhow::Result<Vec<String>> {
    let held = promises::held()?.into_iter();
    let own = held.filter(|held| !held.file.starts_with("tests/servers"));
    let modules = FAULT_TESTS.map(str::to_owned);
    Ok(own.map(|held| held.test).chain(modules).collect())
}

/// The samples that were named, or those at their usual place; `None` when nobody has them.
fn samples(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let Some(folder) = named else {
        let usual = root().join(USUAL_REFERENCE);
        return Ok(usual.is_dir().then_some(usual));
    };
    let whole = folder
        .canonicalize()
        .with_context(|| format!("no samples in {}", folder.display()))?;
    ensure!(
        whole.is_dir(),
        "no samples in {}: not a folder",
        folder.display()
    );
    Ok(Some(whole))
}

/// How many files the reference tests compare, by the rows of their inventory:
/// `expected <files> <pattern> <test>` or `told …`; rows of mere inputs have no number.
fn compared(inventory: &str) -> anyhow::Result<usize> {
    let rows = inventory
        .lines()
        .filter(|line| line.starts_with("expected ") || line.starts_with("told "));
    rows.map(|row| {
        let files = row
            .split_whitespace()
            .nth(1)
            .and_then(|files| files.parse::<usize>().ok());
        files.with_context(|| format!("{INVENTORY}: no number of files in {row:?}"))
    })
    .sum()
}

fn lanes(args: &Args, samples: Option<&Path>) -> anyhow::Result<()> {
    tools::require(&NEEDED)?;
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    let mut own = cargo();
    own.args([
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--test=it",
        "--no-fail-fast",
    ])
    .env_remove(REFERENCE_VARIABLE);
    if args.long {
        own.env("ATALAYA_TEST_LONG", "1");
    }
    step("tests of the clone alone", own.arg("--").args(&args.rest))?;
    if let Some(samples) = samples {
        let mut reference = cargo();
        reference
            .args(["test", "--package", "atalaya", "--test=reference"])
            .env(REFERENCE_VARIABLE, samples);
        step(
            "tests on third-party samples",
            reference.arg("--").args(&args.rest),
        )?;
    }
    step(
        "examples in the documentation",
        cargo()
            .args(["test", "--workspace", "--doc", "--quiet"])
            .arg("--")
            .args(&args.rest),
    )?;
    // Built first, so that the servers do not compete with the compiler.
    step(
        "build the tests with servers",
        cargo().args(SERVER_TESTS).arg("--no-run"),
    )?;
    with_servers(|| {
        let mut tests = cargo();
        tests.args(SERVER_TESTS).arg("--").args(&args.rest);
        if args.long {
            tests.env("ATALAYA_TEST_LONG", "1");
        }
        step("tests with servers", &mut tests)
    })
}

/// Starts the shared servers, unless they run or the environment names others, and stops again
/// what it started, whatever comes of the work.
fn with_servers(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let elsewhere = [services::CASSANDRA_VARIABLE, services::MARIADB_VARIABLE]
        .iter()
        .all(|variable| std::env::var_os(variable).is_some());
    if elsewhere || commands::are_running()? {
        return work();
    }
    eprintln!("== servers");
    let outcome = commands::up(1).and_then(|()| work());
    let stopped = commands::down(false);
    outcome.and(stopped)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn files_with_an_expected_result_are_counted() {
        let text = "# expected 9\nexpected  12  a/*.json  m::one\ntold 3 b m::two\n\ninput  c/**\n";
        assert_eq!(compared(text).unwrap(), 15);
        assert!(compared("expected a/*.json m::one\n").is_err());
        let own = std::fs::read_to_string(root().join(INVENTORY)).unwrap();
        assert!(compared(&own).unwrap() > 100);
    }

    #[test]
    fn samples_that_were_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(samples(Some(folder.path())).unwrap().is_some());
        let error = samples(Some(&folder.path().join("none"))).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("no samples in "),
            "{error:#}"
        );
    }
}
