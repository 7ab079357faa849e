//! `cargo xtask bench`: the figures of the specification's section 17, printed, never asserted.

use xtask::tools::{cargo, is_installed, step};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which figures: parse, ingest, query, console, spool, sender, service, cassandra, mysql, ring-scale,
    /// ring-tail, puts, ring-query; all but puts and ring-query (a quarter of an hour) when none is named.
    which: Vec<String>,
}

const ALL: [&str; 11] = [
    "parse",
    "ingest",
    "query",
    "console",
    "spool",
    "sender",
    "service",
    "cassandra",
    "mysql",
    "ring-scale",
    "ring-tail",
];
/// Programs that read the same file in the same run, where they are installed.
const PEERS: [&str; 2] = ["lnav", "goaccess"];

pub fn run(args: &Args) -> anyhow::Result<()> {
    let which: Vec<&str> = if args.which.is_empty() {
        ALL.to_vec()
    } else {
        args.which.iter().map(String::as_str).collect()
    };
    if which.contains(&"parse") {
        for peer in PEERS.into_iter().filter(|peer| !is_installed(peer)) {
            eprintln!(
                "{peer} is not installed: its column stays empty (apt-get install -y {peer})"
            );
        }
    }
    step("build", cargo().args(["build", "--release", "--quiet"]))?;
    for name in which {
        step(
            name,
            cargo().args(["bench", "--quiet", "--bench", "figures", "--", name]),
        )?;
    }
    Ok(())
}
