//! A keyspace of a test's own on some ring, removed with the value.

use std::net::SocketAddr;

use xtask::services::cql::{self, Consistency};

/// Whether the fault tests run at full size (`cargo xtask test --long`).
pub fn long() -> bool {
    std::env::var_os("ATALAYA_TEST_LONG").is_some()
}

pub struct OwnLogs {
    pub name: String,
    nodes: Vec<SocketAddr>,
    shared: bool,
}

impl OwnLogs {
    /// A name that is free on the shared servers.
    pub fn shared(purpose: &str) -> Self {
        Self::new(purpose, xtask::services::cassandra().unwrap(), true)
    }

    /// On a ring that ends with the test.
    pub fn own(purpose: &str, nodes: Vec<SocketAddr>) -> Self {
        Self::new(purpose, nodes, false)
    }

    fn new(purpose: &str, nodes: Vec<SocketAddr>, shared: bool) -> Self {
        Self {
            name: format!("t_{purpose}_{:08x}", rand::random::<u32>()),
            nodes,
            shared,
        }
    }

    /// `config.toml` for logs in this keyspace; `more` is added to it.
    pub fn configuration(&self, copies: usize, more: &str) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(ToString::to_string).collect();
        format!(
            "[stores]\nlogs = \"cassandra://{}/{}\"\n[stores.cassandra]\nreplication = \"{copies}\"\n{more}\n",
            nodes.join(","),
            self.name
        )
    }
}

impl Drop for OwnLogs {
    fn drop(&mut self) {
        if self.shared
            && let Some(node) = self.nodes.first()
        {
            let drop = format!("DROP KEYSPACE IF EXISTS {}", self.name);
            let _ = cql::execute(*node, None, &drop, Consistency::One);
        }
    }
}
