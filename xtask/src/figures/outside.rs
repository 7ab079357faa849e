//! The dependency tree, as cargo resolves it, and the size of the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Serialize;

use xtask::tools::{cargo, is_installed, root};

/// Crates of others that the program is made of; tests and build scripts are not counted.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Crates {
    /// Named in a Cargo.toml of ours.
    pub direct: usize,
    /// All, two versions of one crate counted twice.
    pub total: usize,
}

/// The release binary, in bytes.
#[derive(Debug, Serialize)]
pub struct Binary {
    pub plain: u64,
    /// `None` without the program `strip`.
    pub stripped: Option<u64>,
}

pub fn crates() -> anyhow::Result<Crates> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--package",
        "atalaya",
        "--edges",
        "normal",
        "--prefix",
        "depth",
        "--locked",
    ]);
    let output = tree.output().context("cannot start cargo tree")?;
    if !output.status.success() {
        bail!(
            "cargo tree: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(count(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines are `<depth><name> v<version> [(<folder or what it is>)] [(*)]`; ours have a folder.
fn count(tree: &str) -> Crates {
    let (mut direct, mut total) = (BTreeSet::new(), BTreeSet::new());
    // Of the crate at each depth above the line, whether it is ours.
    let mut ours: Vec<bool> = Vec::new();
    for line in tree.lines() {
        let digits = line
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(line.len());
        let Ok(depth) = line[..digits].parse::<usize>() else {
            continue;
        };
        let mut words = line[digits..].split(' ');
        let (name, version) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        ours.truncate(depth);
        let named_by_us = ours.last() == Some(&true);
        ours.push(line.contains(" (/"));
        if ours.last() == Some(&true) {
            continue;
        }
        total.insert((name, version));
        if named_by_us {
            direct.insert((name, version));
        }
    }
    Crates {
        direct: direct.len(),
        total: total.len(),
    }
}

/// `None` when it was not built.
pub fn binary() -> anyhow::Result<Option<Binary>> {
    let path = root().join("target/release/atalaya");
    if !path.is_file() {
        return Ok(None);
    }
    let plain = std::fs::metadata(&path)
        .with_context(|| path.display().to_string())?
        .len();
    Ok(Some(Binary {
        plain,
        stripped: stripped(&path)?,
    }))
}

fn stripped(path: &Path) -> anyhow::Result<Option<u64>> {
    if !is_installed("strip") {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(path)
        .status()
        .context("strip")?;
    anyhow::ensure!(status.success(), "strip failed ({status})");
    Ok(Some(std::fs::metadata(&copy)?.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_ours_are_not_counted_and_those_that_they_name_are_direct() {
        let tree = "0atalaya v0.1.0 (/src/atalaya)\n\
                    1anyhow v1.0.1\n\
                    1atalaya-domain v0.1.0 (/src/atalaya/crates/atalaya-domain)\n\
                    2chrono v0.4.1\n\
                    3num-traits v0.2.1\n\
                    1clap v4.1.0\n\
                    2clap_derive v4.1.0 (proc-macro)\n\
                    3syn v2.0.1\n\
                    2syn v3.0.1\n\
                    2anyhow v1.0.1 (*)\n";
        assert_eq!(
            count(tree),
            Crates {
                direct: 3,
                total: 7
            }
        );
    }
}
