//! `cargo xtask dist`: what is handed to others. One static binary, and a Debian package of it with
//! the unit, the user, an example configuration, completions and manual pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use xtask::tools::{self, Tool, cargo, root, step};

/// Static, so that it runs on any distribution and in an empty container.
const TARGET: &str = "x86_64-unknown-linux-musl";

const TOOLS: [Tool; 2] = [
    Tool {
        program: "musl-gcc",
        package: "musl-tools",
        used_for: "the C libraries of a static binary",
    },
    Tool {
        program: "dpkg-deb",
        package: "dpkg",
        used_for: "the package",
    },
];

/// A static binary and a Debian package, in target/package.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the binary.
    #[arg(long)]
    no_deb: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    tools::require(&TOOLS)?;
    if !args.no_deb && !tools::is_installed("cargo-deb") {
        bail!("cargo-deb is missing: cargo install cargo-deb --locked");
    }
    require_target()?;
    let package = root().join("target/package");
    // What an earlier version made, pages of commands that are gone, must not go along.
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(package.join("man"))?;
    let mut build = cargo();
    build.args(["build", "--locked", "--profile", "dist", "--target", TARGET]);
    step("build", &mut build)?;
    let built = root().join("target").join(TARGET).join("dist/atalaya");
    let binary = package.join("atalaya");
    fs::copy(&built, &binary).with_context(|| format!("copying {}", built.display()))?;
    is_static(&binary)?;
    pages(&binary, &package)?;
    if !args.no_deb {
        let mut deb = cargo();
        deb.args(["deb", "--no-build", "--no-strip", "--target", TARGET]);
        deb.arg("--output").arg(&package);
        step("package", &mut deb)?;
    }
    for file in ["atalaya"]
        .iter()
        .map(|name| package.join(name))
        .chain(packages(&package)?)
    {
        let size = fs::metadata(&file)?.len() as f64 / 1e6;
        eprintln!("{} ({size:.1} MB)", file.display());
    }
    Ok(())
}

/// The packages in a folder.
fn packages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn require_target() -> anyhow::Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET);
    if !library.is_dir() {
        bail!("the standard library for {TARGET} is missing: rustup target add {TARGET}");
    }
    Ok(())
}

/// A binary that asks for a loader would only run where it was built.
fn is_static(binary: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(binary)?;
    let asks = bytes.windows(9).any(|window| window == b"/lib64/ld");
    if asks {
        bail!("{} is not static: it names a loader", binary.display());
    }
    Ok(())
}

/// Completions and manual pages, written by the binary itself.
fn pages(binary: &Path, package: &Path) -> anyhow::Result<()> {
    for (shell, name) in [
        ("bash", "atalaya.bash"),
        ("zsh", "_atalaya"),
        ("fish", "atalaya.fish"),
    ] {
        let script = output(Command::new(binary).args(["completions", shell]))?;
        fs::write(package.join(name), script)?;
    }
    let mut names = vec![None];
    names.extend(subcommands(binary)?.into_iter().map(Some));
    for name in names {
        let mut command = Command::new(binary);
        command.arg("man");
        command.args(name.as_slice());
        let page = output(&mut command)?;
        let file = match &name {
            None => "atalaya.1".to_owned(),
            Some(name) => format!("atalaya-{name}.1"),
        };
        fs::write(package.join("man").join(file), page)?;
    }
    Ok(())
}

/// The names under `Commands:` of the help.
fn subcommands(binary: &Path) -> anyhow::Result<Vec<String>> {
    let help = output(Command::new(binary).arg("--help"))?;
    let names = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned);
    Ok(names.collect())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
