//! `atalaya man`: the manual page of the program or of one subcommand.

use std::process::ExitCode;

use clap::CommandFactory;

use super::{Invocation, UsageError, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  atalaya man | man -l -\n  atalaya man logs > atalaya-logs.1")]
pub struct Args {
    /// A subcommand; without one, the whole program.
    pub command: Option<String>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut program = Invocation::command();
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            UsageError(format!(
                "there is no subcommand `{name}`; `atalaya --help` lists them"
            ))
        })?,
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).render(&mut roff)?;
    output::print(&String::from_utf8_lossy(&roff))?;
    Ok(ExitCode::SUCCESS)
}
