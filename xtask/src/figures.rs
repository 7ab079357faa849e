//! `cargo xtask figures`: the state of the house in numbers, so that nobody has to guess it.
//!
//! What is counted, and how, stands in one place each: files and lines in [`tree`], comments and
//! repetition in [`text`], functions and structs in [`items`], circles in [`circles`], the
//! dependency tree and the binary in [`outside`], times in [`timing`]. Nothing is judged here: a
//! figure over a limit is listed with its name, and people decide.

use std::io::Write as _;

use anyhow::Context as _;
use serde::Serialize;

use xtask::tools::root;

mod circles;
mod items;
mod outside;
mod table;
mod text;
mod timing;
mod tree;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Measure builds: release in an empty target folder, then again after one line of src/tui changed.
    #[arg(long)]
    build: bool,
    /// Measure a run of `cargo xtask test`.
    #[arg(long)]
    test: bool,
    /// Only the source text, of this folder instead: another checkout, another project.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["build", "test"])]
    of: Option<std::path::PathBuf>,
}

/// All figures; what was not measured is absent, never 0.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub trees: Vec<tree::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crates: Option<outside::Crates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<outside::Binary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<timing::Builds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_seconds: Option<f64>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let figures = match &args.of {
        Some(folder) => Figures {
            trees: vec![tree::Tree::read(&folder.display().to_string(), folder)?.figures()],
            crates: None,
            binary: None,
            build: None,
            test_seconds: None,
        },
        None => Figures {
            trees: own_trees()?,
            crates: Some(outside::crates()?),
            binary: outside::binary()?,
            build: if args.build {
                Some(timing::builds()?)
            } else {
                None
            },
            test_seconds: if args.test {
                Some(timing::test()?)
            } else {
                None
            },
        },
    };
    let shown = if args.json {
        serde_json::to_string_pretty(&figures).context("figures as JSON")?
    } else {
        table::render(&figures)
    };
    writeln!(std::io::stdout(), "{shown}").context("cannot print")
}

/// `src`, each crate below `crates/`, and all of them together when they are several.
fn own_trees() -> anyhow::Result<Vec<tree::Figures>> {
    let mut trees = vec![tree::Tree::read("src", &root().join("src"))?];
    let crates = root().join("crates");
    if crates.is_dir() {
        let entries = std::fs::read_dir(&crates).with_context(|| crates.display().to_string())?;
        let mut folders: Vec<_> = entries
            .map(|entry| Ok(entry?.path().join("src")))
            .collect::<std::io::Result<_>>()?;
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        for folder in folders {
            let name = folder
                .strip_prefix(root())
                .unwrap_or(&folder)
                .display()
                .to_string();
            trees.push(tree::Tree::read(&name, &folder)?);
        }
    }
    let mut figures: Vec<tree::Figures> = trees.iter().map(tree::Tree::figures).collect();
    if trees.len() > 1 {
        figures.push(tree::Tree::together("all", trees).figures());
    }
    Ok(figures)
}
