//! `cargo xtask deny`: the dependency tree against `deny.toml`, without the advisory database.

use anyhow::bail;

use xtask::tools::{cargo, is_installed, step};

pub fn run() -> anyhow::Result<()> {
    if !is_installed("cargo-deny") {
        bail!("cargo-deny is not installed: cargo install --locked cargo-deny");
    }
    step(
        "deny",
        cargo().args(["deny", "--locked", "check", "licenses", "bans", "sources"]),
    )
}
