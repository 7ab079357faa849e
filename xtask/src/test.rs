//! `cargo xtask test`: everything that has to hold before a change lands.

use xtask::tools::{self, Tool, cargo, step};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Passed on to the test binaries: a name filter, `--nocapture` …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// What the tests start. Full-disk tests mount a small tmpfs, which needs root.
const NEEDED: [Tool; 2] = [
    Tool {
        program: "git",
        package: "git",
        used_for: "makes the repositories that the git source is tested on",
    },
    Tool { program: "mount", package: "mount", used_for: "small file systems for the full-disk tests" },
];

pub fn run(args: &Args) -> anyhow::Result<()> {
    tools::require(&NEEDED)?;
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]),
    )?;
    step("tests", cargo().args(["test", "--workspace"]).arg("--").args(&args.rest))
}
