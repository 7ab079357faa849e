//! `atalaya completions SHELL`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Invocation, output};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  atalaya completions bash > ~/.local/share/bash-completion/completions/atalaya\n  atalaya completions fish > ~/.config/fish/completions/atalaya.fish"
)]
pub struct Args {
    /// The shell to write for.
    pub shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Invocation::command(),
        "atalaya",
        &mut script,
    );
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
