//! `cargo xtask test`: everything that has to hold before a change lands.

use xtask::services::{self, commands};
use xtask::tools::{self, Tool, cargo, step};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the fault tests at full size (a million lines, two hundred kills; about an hour).
    #[arg(long)]
    long: bool,
    /// Passed on to the test binaries: a name filter, `--nocapture` …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// What the tests start. Full-disk tests mount a small tmpfs, which needs root.
const NEEDED: [Tool; 3] = [
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
];
const SERVER_TESTS: [&str; 4] = ["test", "--package", "atalaya", "--test=servers"];

pub fn run(args: &Args) -> anyhow::Result<()> {
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
    step(
        "tests without servers",
        cargo()
            .args(["test", "--workspace", "--lib", "--bins", "--test=it"])
            .arg("--")
            .args(&args.rest),
    )?;
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
