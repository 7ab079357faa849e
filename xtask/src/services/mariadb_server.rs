//! One MariaDB server from the system's binaries, in a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::certificates::{self, Certificates};
use super::process::{Owned, Process};
use crate::tools::{self, Tool};

const READY: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
const SERVER: Tool = Tool {
    program: "mariadbd",
    package: "mariadb-server",
    used_for: "the metrics database",
};
const INSTALL: Tool = Tool {
    program: "mariadb-install-db",
    package: "mariadb-server",
    used_for: "its first data directory",
};
const CLIENT: Tool = Tool {
    program: "mariadb",
    package: "mariadb-client",
    used_for: "passwords and users of test servers",
};

/// Everything that makes one server.
#[derive(Clone, Debug)]
pub struct Instance {
    pub folder: PathBuf,
    pub address: SocketAddr,
    pub tls: Option<Certificates>,
}

impl Instance {
    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("server.sock")
    }

    /// Makes the data directory when there is none, and gives the command that starts the server.
    pub fn prepare(&self) -> anyhow::Result<Command> {
        tools::require(&[SERVER, INSTALL])?;
        TcpListener::bind(self.address).with_context(|| {
            format!(
                "{} is in use by a process that was not started here; stop that one first",
                self.address
            )
        })?;
        std::fs::create_dir_all(&self.folder)?;
        let data = self.folder.join("data");
        if !data.is_dir() {
            self.install(&data)?;
        }
        let mut command = Command::new("mariadbd");
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!(
                "--pid-file={}",
                self.folder.join("server.pid").display()
            ))
            .arg(format!("--port={}", self.address.port()))
            .arg(format!("--bind-address={}", self.address.ip()))
            .args(["--skip-name-resolve", "--character-set-server=utf8mb4"]);
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        if let Some(certificates) = &self.tls {
            command
                .arg(format!("--ssl-ca={}", certificates.authority.display()))
                .arg(format!("--ssl-cert={}", certificates.server.display()))
                .arg(format!("--ssl-key={}", certificates.server_key.display()))
                .arg("--require-secure-transport=ON");
        }
        Ok(command)
    }

    fn install(&self, data: &Path) -> anyhow::Result<()> {
        // Made beside its place and renamed, so that an interrupted run leaves none that looks whole.
        let part = self.folder.join("data.part");
        let _ = std::fs::remove_dir_all(&part);
        let mut command = Command::new("mariadb-install-db");
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", part.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        let output = command
            .output()
            .context("cannot start mariadb-install-db")?;
        if !output.status.success() {
            bail!(
                "mariadb-install-db: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        std::fs::rename(&part, data).with_context(|| format!("{}", data.display()))
    }

    /// Waits until the server greets a client.
    pub fn wait_ready(&self, process: Process, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            if !process.is_running() {
                bail!(
                    "MariaDB at {} ended while it started; its log: {}",
                    self.address,
                    self.log().display()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "MariaDB at {} is not ready after {limit:?}; its log: {}",
                    self.address,
                    self.log().display()
                );
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// A MariaDB server of a test's own, on a free port of the loopback address. User `root` has no
/// password; [`MariaDb::sql`] makes other users. It ends with the value.
#[derive(Debug)]
pub struct MariaDb {
    instance: Instance,
    running: Mutex<Option<Owned>>,
    folder: Option<tempfile::TempDir>,
}

impl MariaDb {
    pub fn start() -> anyhow::Result<Self> {
        Self::launch(false)
    }

    /// A server that refuses clients without TLS; see [`MariaDb::certificates`].
    pub fn start_with_tls() -> anyhow::Result<Self> {
        Self::launch(true)
    }

    fn launch(tls: bool) -> anyhow::Result<Self> {
        let folder = super::cluster::test_folder("mariadb")?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let tls = if tls {
            Some(certificates::write(
                &folder.path().join("tls"),
                &[address.ip()],
            )?)
        } else {
            None
        };
        let instance = Instance {
            folder: folder.path().to_path_buf(),
            address,
            tls,
        };
        let server = Self {
            instance,
            running: Mutex::new(None),
            folder: Some(folder),
        };
        server.restart()?;
        Ok(server)
    }

    /// `mysql://root@127.0.0.1:PORT`, without a database.
    pub fn url(&self) -> String {
        format!("mysql://root@{}", self.instance.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.instance.address
    }

    pub fn certificates(&self) -> Option<&Certificates> {
        self.instance.tls.as_ref()
    }

    /// SIGKILL.
    pub fn kill(&self) {
        if let Some(owned) = self.slot().take() {
            owned.kill();
        }
    }

    /// Starts it again on the same address and data, and waits until it accepts connections.
    pub fn restart(&self) -> anyhow::Result<()> {
        let mut slot = self.slot();
        if let Some(owned) = slot.take() {
            owned.stop(STOP)?;
        }
        let owned = Owned::start(&self.instance.prepare()?, &self.instance.log())?;
        self.instance.wait_ready(owned.process, READY)?;
        *slot = Some(owned);
        Ok(())
    }

    /// Runs SQL as root through the server's socket: users, passwords, grants of a test.
    pub fn sql(&self, statements: &str) -> anyhow::Result<()> {
        tools::require(&[CLIENT])?;
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=root"])
            .arg(format!("--socket={}", self.instance.socket().display()))
            .args(["--execute", statements])
            .output()
            .context("cannot start mariadb")?;
        if !output.status.success() {
            bail!(
                "{statements}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Owned>> {
        self.running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
        super::cluster::keep_after_failure(&mut self.folder);
    }
}
