//! `cargo xtask deny`: the dependency tree against `deny.toml`, without asking the network.

use anyhow::bail;

use crate::tools::{cargo, is_installed, step};

pub fn run() -> anyhow::Result<()> {
    if !is_installed("cargo-deny") {
        bail!("cargo-deny is not installed: cargo install --locked cargo-deny");
    }
    step("deny", cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
}
