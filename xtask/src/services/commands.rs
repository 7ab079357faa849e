//! `cargo xtask services up | down | status`.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::cassandra_server::{Installation, Node, Size, Tls};
use super::mariadb_server::Instance;
use super::process;
use super::state::{Server, State, folder};

const NATIVE_PORT: u16 = 19_042;
const STORAGE_PORT: u16 = 17_000;
/// Of the first shared node; the others have the next ones.
pub const JMX_PORT: u16 = 17_199;
const MARIADB_PORT: u16 = 13_306;
const READY: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start Cassandra (127.0.0.1:19042) and MariaDB (127.0.0.1:13306); does nothing for those that run.
    Up {
        /// Nodes of the Cassandra ring: 127.0.0.1, .2 and .3.
        #[arg(long, default_value = "1", value_parser = ["1", "3"])]
        nodes: String,
    },
    /// Stop what `up` started, cleanly; data and logs stay.
    Down {
        /// Remove the data as well.
        #[arg(long)]
        wipe: bool,
    },
    /// Show what runs and how to reach it; fails when something that was started has ended.
    Status,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Up { nodes } => up(if nodes == "3" { 3 } else { 1 }),
        Command::Down { wipe } => down(*wipe),
        Command::Status => status(),
    }
}

/// Starts what does not run yet and waits until all of it answers.
pub fn up(nodes: u8) -> anyhow::Result<()> {
    let _lock = lock()?;
    let mut state = State::load()?;
    let running = state
        .cassandra
        .iter()
        .filter(|server| server.process.is_running())
        .count();
    if running > 0 && state.cassandra.len() != usize::from(nodes) {
        bail!(
            "a ring of {} runs: `cargo xtask services down` first, then `up --nodes {nodes}`",
            state.cassandra.len()
        );
    }
    let since = Instant::now();
    // MariaDB is up long before Cassandra and is waited for last.
    let database = start_mariadb(&mut state)?;
    start_cassandra(&mut state, nodes)?;
    if let Some(server) = state.mariadb {
        database.wait_ready(server.process, READY)?;
    }
    eprintln!("ready after {:.1} s", since.elapsed().as_secs_f64());
    print(&state);
    Ok(())
}

fn start_mariadb(state: &mut State) -> anyhow::Result<Instance> {
    let instance = mariadb();
    if !state
        .mariadb
        .is_some_and(|server| server.process.is_running())
    {
        let (_, process) = process::start(&instance.prepare()?, &instance.log())?;
        state.mariadb = Some(Server {
            process,
            address: instance.address,
            jmx_port: None,
        });
        state.save()?;
    }
    Ok(instance)
}

fn start_cassandra(state: &mut State, nodes: u8) -> anyhow::Result<()> {
    let installation = Installation::prepare()?;
    if state
        .cassandra
        .iter()
        .all(|server| !server.process.is_running())
    {
        state.cassandra.clear();
    }
    let ring: Vec<Node> = (1..=nodes).map(|number| node(number, nodes)).collect();
    for (index, node) in ring.iter().enumerate() {
        let server = match state.cassandra.get(index) {
            Some(server) if server.process.is_running() => *server,
            _ => {
                let (_, process) = process::start(&node.prepare(&installation)?, &node.output())?;
                let server = Server {
                    process,
                    address: node.address,
                    jmx_port: node.jmx_port,
                };
                match state.cassandra.get_mut(index) {
                    Some(place) => *place = server,
                    None => state.cassandra.push(server),
                }
                // At once: `down` must find it whatever happens next.
                state.save()?;
                server
            }
        };
        // One after the other: each takes its tokens knowing those before it.
        node.wait_ready(server.process, false, READY)?;
    }
    for (node, server) in ring.iter().zip(&state.cassandra) {
        node.wait_ready(server.process, nodes > 1, READY)?;
    }
    Ok(())
}

/// Stops what was started here; whether it runs or not, none of it does afterwards.
pub fn down(wipe: bool) -> anyhow::Result<()> {
    let _lock = lock()?;
    let mut state = State::load()?;
    let servers = state.cassandra.iter().map(|server| ("Cassandra", *server));
    for (name, server) in servers.chain(state.mariadb.map(|server| ("MariaDB", server))) {
        if !server.process.is_running() {
            continue;
        }
        let clean = server
            .process
            .stop(STOP)
            .with_context(|| format!("{name} at {}", server.address))?;
        let how = if clean {
            "stopped"
        } else {
            "did not end when asked and was killed"
        };
        eprintln!("{name} at {}: {how}", server.address);
    }
    state = State::default();
    state.save()?;
    if wipe {
        for data in [ring_folder(1), ring_folder(3), mariadb().folder] {
            if data.exists() {
                std::fs::remove_dir_all(&data).with_context(|| format!("{}", data.display()))?;
            }
        }
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    let mut state = State::load()?;
    let started = state.cassandra.len() + usize::from(state.mariadb.is_some());
    let recorded = state.clone();
    state.forget_ended();
    print(&state);
    if started == 0 {
        eprintln!("nothing was started: cargo xtask services up");
    } else if state != recorded {
        bail!(
            "a server has ended by itself; its log is under {}",
            folder().display()
        );
    }
    Ok(())
}

/// Whether `up` has anything to start.
pub fn are_running() -> anyhow::Result<bool> {
    let mut state = State::load()?;
    state.forget_ended();
    Ok(!state.cassandra.is_empty() && state.mariadb.is_some())
}

fn print(state: &State) {
    for server in &state.cassandra {
        let jmx = server
            .jmx_port
            .map(|port| format!(", nodetool -p {port}"))
            .unwrap_or_default();
        eprintln!(
            "Cassandra {} (process {}{jmx})",
            server.address, server.process.pid
        );
    }
    if let Some(server) = state.mariadb {
        eprintln!(
            "MariaDB   {} (process {}), mysql://root@{}",
            server.address, server.process.pid, server.address
        );
    }
}

fn ring_folder(nodes: u8) -> PathBuf {
    // A ring of one and a ring of three are different clusters with different data.
    folder().join(format!("ring-of-{nodes}"))
}

fn node(number: u8, nodes: u8) -> Node {
    Node {
        folder: ring_folder(nodes).join(format!("node-{number}")),
        address: SocketAddr::from(([127, 0, 0, number], NATIVE_PORT)),
        storage_port: STORAGE_PORT,
        seed: IpAddr::V4(Ipv4Addr::LOCALHOST),
        jmx_port: Some(JMX_PORT + u16::from(number) - 1),
        size: if nodes == 1 { Size::Full } else { Size::Small },
        authentication: false,
        tls: Tls::Off,
        settings: Vec::new(),
    }
}

fn mariadb() -> Instance {
    Instance {
        folder: folder().join("mariadb"),
        address: SocketAddr::from(([127, 0, 0, 1], MARIADB_PORT)),
        tls: None,
    }
}

/// One `up` or `down` at a time.
fn lock() -> anyhow::Result<File> {
    std::fs::create_dir_all(folder())?;
    let file = File::create(folder().join("lock"))?;
    file.lock().context("target/services/lock")?;
    Ok(file)
}
