//! `target/services/state.json`: which shared servers were started, and how to reach them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::tools::root;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The ring in the order of its nodes; empty: Cassandra was not started.
    pub cassandra: Vec<Server>,
    pub mariadb: Option<Server>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub process: Process,
    /// Where clients connect: CQL or MySQL.
    pub address: SocketAddr,
    /// Where `nodetool` connects, on the loopback address.
    pub jmx_port: Option<u16>,
}

/// The folder of the shared servers.
pub fn folder() -> PathBuf {
    root().join("target/services")
}

fn file() -> PathBuf {
    folder().join("state.json")
}

impl State {
    /// What was started; nothing when the file is not there.
    pub fn load() -> anyhow::Result<Self> {
        let file = file();
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{} cannot be read: stop the servers by hand and remove it",
                    file.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}", file.display())),
        }
    }

    pub fn save(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder())?;
        let file = file();
        // A reader sees the old file or the new one, never half of it.
        let part = file.with_extension("part");
        std::fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&part, &file).with_context(|| format!("{}", file.display()))
    }

    /// Forgets the servers that have ended.
    pub fn forget_ended(&mut self) {
        self.cassandra.retain(|server| server.process.is_running());
        self.mariadb = self.mariadb.filter(|server| server.process.is_running());
    }
}
