//! The project's own commands: `cargo xtask test`, `services`, `bench`, `figures`,
//! `screenshots`, `simulate`, `deny`, `dist`.
//!
//! Nothing is installed behind anyone's back: what is missing is named with the command that
//! installs it. `.ci/run` does install, then calls `cargo xtask test`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::services;

mod bench;
mod deny;
mod dist;
mod figures;
mod promises;
mod screenshots;
mod simulate;
mod stress;
mod test;

/// Checks, servers, measures and pictures of Atalaya.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Invocation {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Format, clippy with warnings denied, and every test, against real servers where it needs them.
    Test(test::Args),
    /// Real Cassandra and MariaDB for tests and development: up, down, status.
    Services(services::commands::Args),
    /// Build in release and print the figures: parse, ingest, query, console, mysql.
    Bench(bench::Args),
    /// Count the state of the house: files, functions, circles, crates; with --build and --test, times.
    Figures(figures::Args),
    /// Run the demo in a real terminal and write what it shows to docs/ as SVG.
    Screenshots,
    /// Histories in which the truth is known: how often the PDCA rule is wrong, and what it finds.
    Simulate(simulate::Args),
    /// Check licences, bans and sources of the dependency tree with cargo-deny.
    Deny,
    /// Make what is handed to others: a static binary and a Debian package, in target/package.
    Dist(dist::Args),
}

fn main() -> ExitCode {
    let outcome = match Invocation::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Services(args) => services::commands::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Figures(args) => figures::run(&args),
        Command::Screenshots => screenshots::run(),
        Command::Simulate(args) => {
            simulate::run(&args);
            Ok(())
        }
        Command::Deny => deny::run(),
        Command::Dist(args) => dist::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
