//! How long builds and tests take on this machine.
//!
//! Times of a machine that does something else meanwhile say little: they are for comparing two
//! states of the code on one machine, one after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use xtask::tools::{cargo, root, step};

/// The file whose change is measured: the screens change most often.
const TOUCHED: &str = "src/tui.rs";
/// An item, not a comment, since the compiler sees through comments.
const ADDED: &str = "\nconst _: () = ();\n";

/// Seconds.
#[derive(Debug, Serialize)]
pub struct Builds {
    /// Release, in an empty target folder; sources of crates are downloaded already.
    pub clean_release: f64,
    /// Release again, after one line of `src/tui.rs` changed.
    pub warm_release: f64,
    /// The same in debug, incremental as it is used.
    pub warm_debug: f64,
}

pub fn builds() -> anyhow::Result<Builds> {
    step("crates", cargo().args(["fetch", "--locked", "--quiet"]))?;
    let target = root().join("target/figures");
    remove(&target)?;
    let release = || {
        let mut build = cargo();
        build.args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "atalaya",
        ]);
        build.env("CARGO_TARGET_DIR", &target);
        build
    };
    let debug = || {
        let mut build = cargo();
        build.args(["build", "--locked", "--quiet", "--package", "atalaya"]);
        build
    };
    let clean_release = timed("release, from nothing", &mut release())?;
    step("debug, to have it warm", &mut debug())?;
    let touched = Touched::new(root().join(TOUCHED))?;
    let warm_release = timed("release, one line changed", &mut release())?;
    let warm_debug = timed("debug, one line changed", &mut debug())?;
    touched.restore()?;
    remove(&target)?;
    Ok(Builds {
        clean_release,
        warm_release,
        warm_debug,
    })
}

/// Seconds that `cargo xtask test` takes, its own build of the tests included.
pub fn test() -> anyhow::Result<f64> {
    timed("cargo xtask test", cargo().args(["xtask", "test"]))
}

fn timed(name: &str, command: &mut Command) -> anyhow::Result<f64> {
    let start = Instant::now();
    step(name, command)?;
    Ok(start.elapsed().as_secs_f64())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

/// A source file with a line more, which is as it was once this is dropped.
struct Touched {
    path: PathBuf,
    before: Vec<u8>,
}

impl Touched {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        let before = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let touched = Self { path, before };
        std::fs::write(
            &touched.path,
            [touched.before.as_slice(), ADDED.as_bytes()].concat(),
        )
        .with_context(|| touched.path.display().to_string())?;
        Ok(touched)
    }

    fn restore(&self) -> anyhow::Result<()> {
        std::fs::write(&self.path, &self.before).with_context(|| self.path.display().to_string())
    }
}

impl Drop for Touched {
    /// For the ways out by an error; the error that is reported is that of the build.
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!("{error:#}: take the last line away by hand");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_touched_file_is_as_before_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rs");
        std::fs::write(&path, "mod x;\n").unwrap();
        let touched = Touched::new(path.clone()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "mod x;\n\nconst _: () = ();\n"
        );
        drop(touched);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mod x;\n");
    }
}
