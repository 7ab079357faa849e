//! Cassandra rings that a fault test owns: on loopback addresses and folders of their own.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use xtask::services::cluster::Cluster;
//! let ring = Cluster::builder().nodes(3).start()?;
//! ring.kill(1); // SIGKILL
//! ring.restart(1)?; // returns when it answers CQL and every node sees the others
//! # Ok(())
//! # }
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use super::cassandra_server::{Installation, Node, SUPERUSER, Size, Tls};
use super::certificates::{self, Certificates};
use super::cql::{self, Consistency};
use super::process::Owned;
use crate::tools::root;

const NATIVE_PORT: u16 = 19_042;
const STORAGE_PORT: u16 = 17_000;
/// A node on two busy cores; measured 8 s on idle ones.
const READY: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(60);

/// Tests run side by side; more nodes than this at once would only wait for the processor.
const NODES_AT_ONCE: usize = 4;
static NODES: Mutex<usize> = Mutex::new(0);
static NODES_FREED: Condvar = Condvar::new();

/// How clients get in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encryption {
    #[default]
    Off,
    Required,
    Mutual,
}

/// What a ring should be like; the default is one small node without password or TLS.
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: usize,
    size: Size,
    authentication: bool,
    encryption: Encryption,
    settings: Vec<(String, String)>,
    first_jmx_port: Option<u16>,
}

impl Builder {
    /// 1 to 4.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.clamp(1, NODES_AT_ONCE);
        self
    }

    /// 2 GiB of heap and both compilers, for measurements.
    #[must_use]
    pub fn full_size(mut self) -> Self {
        self.size = Size::Full;
        self
    }

    /// Clients need a user and a password, and users need permissions. The first role is
    /// `cassandra` with password `cassandra`; others are made with [`Cluster::cql`].
    #[must_use]
    pub fn authentication(mut self) -> Self {
        self.authentication = true;
        self
    }

    /// Clients must use TLS and trust [`Cluster::certificates`]`.authority`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.encryption = Encryption::Required;
        self
    }

    /// Clients must also show a certificate of that authority.
    #[must_use]
    pub fn mutual_tls(mut self) -> Self {
        self.encryption = Encryption::Mutual;
        self
    }

    /// One more line of `cassandra.yaml`: `setting("write_request_timeout", "500ms")`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Opens JMX on the loopback address, on this port and the next ones: for [`Cluster::nodetool`].
    #[must_use]
    pub fn jmx_ports_from(mut self, port: u16) -> Self {
        self.first_jmx_port = Some(port);
        self
    }

    /// Starts every node and waits until each answers and sees the others.
    pub fn start(self) -> anyhow::Result<Cluster> {
        let installation = Installation::prepare()?;
        let slots = Slots::take(self.nodes);
        let folder = test_folder("cassandra")?;
        let addresses = free_addresses(self.nodes)?;
        let certificates = match self.encryption {
            Encryption::Off => None,
            Encryption::Required | Encryption::Mutual => {
                let hosts: Vec<IpAddr> = addresses
                    .iter()
                    .map(|address| IpAddr::V4(*address))
                    .collect();
                Some(certificates::write(&folder.path().join("tls"), &hosts)?)
            }
        };
        let seed = addresses
            .first()
            .copied()
            .context("a ring has at least one node")?;
        let nodes = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| Member {
                node: Node {
                    folder: folder.path().join(format!("node-{}", index + 1)),
                    address: SocketAddr::from((*address, NATIVE_PORT)),
                    storage_port: STORAGE_PORT,
                    seed: IpAddr::V4(seed),
                    jmx_port: self
                        .first_jmx_port
                        .and_then(|port| port.checked_add(u16::try_from(index).ok()?)),
                    size: self.size,
                    authentication: self.authentication,
                    tls: match (self.encryption, &certificates) {
                        (Encryption::Required, Some(files)) => Tls::Required(files.clone()),
                        (Encryption::Mutual, Some(files)) => Tls::Mutual(files.clone()),
                        _ => Tls::Off,
                    },
                    settings: self.settings.clone(),
                },
                running: Mutex::new(None),
            })
            .collect();
        let cluster = Cluster {
            installation,
            nodes,
            certificates,
            folder: Some(folder),
            _slots: slots,
        };
        for index in 0..cluster.nodes.len() {
            // One after the other: each takes its tokens knowing those before it.
            cluster.launch(index)?;
            cluster.wait_answering(index)?;
        }
        cluster.wait_whole()?;
        Ok(cluster)
    }
}

/// A running ring; it ends with the value, and also when the test's process is killed.
#[derive(Debug)]
pub struct Cluster {
    installation: Installation,
    nodes: Vec<Member>,
    certificates: Option<Certificates>,
    folder: Option<TempDir>,
    _slots: Slots,
}

#[derive(Debug)]
struct Member {
    node: Node,
    running: Mutex<Option<Owned>>,
}

impl Member {
    fn slot(&self) -> MutexGuard<'_, Option<Owned>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    pub fn builder() -> Builder {
        Builder {
            nodes: 1,
            size: Size::Small,
            authentication: false,
            encryption: Encryption::Off,
            settings: Vec::new(),
            first_jmx_port: None,
        }
    }

    /// The CQL address of every node, running or not.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes
            .iter()
            .map(|member| member.node.address)
            .collect()
    }

    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The log of a node, counted from 0.
    pub fn log(&self, index: usize) -> anyhow::Result<PathBuf> {
        Ok(self.member(index)?.node.log())
    }

    pub fn is_running(&self, index: usize) -> bool {
        self.member(index).is_ok_and(|member| {
            member
                .slot()
                .as_ref()
                .is_some_and(|owned| owned.process.is_running())
        })
    }

    /// The process of a running node, for what it costs.
    pub fn process_id(&self, index: usize) -> Option<u32> {
        let member = self.member(index).ok()?;
        let slot = member.slot();
        slot.as_ref()
            .and_then(|owned| u32::try_from(owned.process.pid).ok())
    }

    /// Runs `nodetool` on a node whose JMX port is open, and gives what it prints.
    pub fn nodetool(&self, index: usize, arguments: &[&str]) -> anyhow::Result<String> {
        let port = self
            .member(index)?
            .node
            .jmx_port
            .context("the node was started without JMX")?;
        let output = self.installation.nodetool(port).args(arguments).output()?;
        anyhow::ensure!(
            output.status.success(),
            "nodetool {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// SIGKILL: nothing is flushed, and the commit log keeps what was synced (each 10 s) or
    /// reached the kernel.
    pub fn kill(&self, index: usize) {
        if let Ok(member) = self.member(index)
            && let Some(owned) = member.slot().take()
        {
            owned.kill();
        }
    }

    /// SIGTERM and the wait for a clean end.
    pub fn stop(&self, index: usize) -> anyhow::Result<()> {
        let owned = self.member(index)?.slot().take();
        owned.map_or(Ok(()), |owned| owned.stop(STOP).map(|_| ()))
    }

    /// SIGSTOP: connections stay open and nobody answers.
    pub fn freeze(&self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::CONT)
    }

    fn signal(&self, index: usize, signal: Signal) -> anyhow::Result<()> {
        match self.member(index)?.slot().as_ref() {
            Some(owned) => owned.process.signal(signal),
            None => Ok(()),
        }
    }

    /// Starts a node again on its data, and returns before it is ready.
    pub fn launch(&self, index: usize) -> anyhow::Result<()> {
        let member = self.member(index)?;
        let mut slot = member.slot();
        if let Some(owned) = slot.take() {
            owned.stop(STOP)?;
        }
        let command = member.node.prepare(&self.installation)?;
        *slot = Some(Owned::start(&command, &member.node.output())?);
        Ok(())
    }

    /// Starts a node again on its data, and waits until it answers CQL. When all others run,
    /// waits also until every node sees every other.
    pub fn restart(&self, index: usize) -> anyhow::Result<()> {
        self.launch(index)?;
        self.wait_answering(index)?;
        if (0..self.nodes.len()).all(|index| self.is_running(index)) {
            self.wait_whole()?;
        }
        Ok(())
    }

    /// Waits until one node answers CQL.
    pub fn wait_answering(&self, index: usize) -> anyhow::Result<()> {
        self.wait(index, false)
    }

    /// Waits until every node answers and sees all others.
    pub fn wait_whole(&self) -> anyhow::Result<()> {
        (0..self.nodes.len()).try_for_each(|index| self.wait(index, self.nodes.len() > 1))
    }

    fn wait(&self, index: usize, whole_ring: bool) -> anyhow::Result<()> {
        let member = self.member(index)?;
        let process = member
            .slot()
            .as_ref()
            .map(|owned| owned.process)
            .context("the node was not started")?;
        member.node.wait_ready(process, whole_ring, READY)
    }

    /// Runs one CQL statement as the first role on the first running node (not on a ring with
    /// TLS), and waits until all running nodes have the same schema.
    pub fn cql(&self, statement: &str) -> anyhow::Result<()> {
        let running: Vec<&Node> = (0..self.nodes.len())
            .filter(|index| self.is_running(*index))
            .filter_map(|index| self.member(index).ok().map(|member| &member.node))
            .collect();
        let ask = |node: &Node, statement: &str| {
            let credentials = node.authentication.then_some(SUPERUSER);
            cql::execute(node.address, credentials, statement, Consistency::One)
                .with_context(|| statement.to_owned())
        };
        let first = running.first().context("no node runs")?;
        ask(first, statement)?;
        let deadline = Instant::now() + READY;
        loop {
            let versions = running
                .iter()
                .map(|node| ask(node, "SELECT schema_version FROM system.local"))
                .collect::<anyhow::Result<Vec<_>>>()?;
            if versions.windows(2).all(|pair| pair.first() == pair.last()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the nodes do not agree on the schema after {READY:?}: {statement}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn member(&self, index: usize) -> anyhow::Result<&Member> {
        self.nodes
            .get(index)
            .with_context(|| format!("the ring has no node {index} (counted from 0)"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &self.nodes {
            member.slot().take();
        }
        keep_after_failure(&mut self.folder);
    }
}

/// The share of [`NODES_AT_ONCE`] that a ring holds.
#[derive(Debug)]
struct Slots(usize);

impl Slots {
    fn take(count: usize) -> Self {
        let mut nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner);
        while *nodes + count > NODES_AT_ONCE {
            nodes = NODES_FREED
                .wait(nodes)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *nodes += count;
        Self(count)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        *NODES.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        NODES_FREED.notify_all();
    }
}

/// Loopback addresses that nobody listens on: a block of this process, then the next free ones.
fn free_addresses(count: usize) -> anyhow::Result<Vec<Ipv4Addr>> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = std::process::id().to_be_bytes();
    let mut addresses = Vec::with_capacity(count);
    while addresses.len() < count {
        let last = NEXT.fetch_add(1, Ordering::Relaxed);
        let last = u8::try_from(last % 250).context("an octet")? + 1;
        // 127.0.x.x stays for the shared servers and for people.
        let address = Ipv4Addr::new(127, 16 | (own[2] & 0x0F), own[3], last);
        let free = |port| TcpListener::bind((address, port)).is_ok();
        if free(NATIVE_PORT) && free(STORAGE_PORT) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// A folder for servers of one test, on the disk and not in memory as `/tmp` may be.
pub(super) fn test_folder(kind: &str) -> anyhow::Result<TempDir> {
    let parent = root().join("target/services/tests");
    std::fs::create_dir_all(&parent)?;
    Ok(tempfile::Builder::new()
        .prefix(&format!("{kind}-"))
        .tempdir_in(parent)?)
}

/// Removes the folder, unless the test has failed: then its logs stay and are named.
pub(super) fn keep_after_failure(folder: &mut Option<TempDir>) {
    if let Some(folder) = folder.take()
        && std::thread::panicking()
    {
        eprintln!("the servers' logs are kept in {}", folder.keep().display());
    }
}
