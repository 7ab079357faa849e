//! The real servers that tests and developers use: Apache Cassandra and MariaDB, as plain processes.
//!
//! Two ways to have them:
//! - **Shared servers** (`cargo xtask services up`): one of each for everybody, under
//!   `target/services/`, on fixed ports. A test finds them with [`cassandra`] and [`mariadb`] and
//!   uses a keyspace or database of its own. Nobody kills them.
//! - **Own servers** ([`cluster::Cluster`], [`mariadb_server::MariaDb`]): a fault test starts them on addresses and
//!   folders of their own, kills and restarts them, and they end with the test.
//!
//! Nothing here touches a process that it did not start: each is known by its process id *and*
//! its start time.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail};

pub mod cassandra_server;
pub mod certificates;
pub mod cluster;
pub mod commands;
pub mod cql;
pub mod mariadb_server;
pub mod process;
pub mod state;

use state::State;

/// Contact points of the shared Cassandra (`127.0.0.1:19042`, several separated by commas);
/// wins over what `cargo xtask services up` wrote.
pub const CASSANDRA_VARIABLE: &str = "ATALAYA_TEST_CASSANDRA";
/// URL of the shared MariaDB without a database (`mysql://root@127.0.0.1:13306`); wins likewise.
pub const MARIADB_VARIABLE: &str = "ATALAYA_TEST_MARIADB";
const REMEDY: &str = "start the servers with `cargo xtask services up`";
const CONNECT: Duration = Duration::from_secs(5);

/// The CQL addresses of the shared Cassandra, which has no password. Checked: the first one answers.
pub fn cassandra() -> anyhow::Result<Vec<SocketAddr>> {
    let addresses = match std::env::var(CASSANDRA_VARIABLE) {
        Ok(text) => text
            .split(',')
            .map(|address| {
                resolve(address.trim()).with_context(|| format!("{CASSANDRA_VARIABLE}={text}"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?,
        Err(_) => State::load()?
            .cassandra
            .iter()
            .map(|node| node.address)
            .collect(),
    };
    match addresses.first() {
        None => bail!("no Cassandra for the tests: {REMEDY}"),
        Some(first) => {
            std::net::TcpStream::connect_timeout(first, std::time::Duration::from_secs(5))
                .with_context(|| format!("no Cassandra answers at {first}: {REMEDY}"))?;
        }
    }
    Ok(addresses)
}

/// The URL of the shared MariaDB without a database: `mysql://root@127.0.0.1:13306`. Checked: it
/// accepts connections.
pub fn mariadb() -> anyhow::Result<String> {
    let url = match std::env::var(MARIADB_VARIABLE) {
        Ok(url) => url.trim_end_matches('/').to_owned(),
        Err(_) => match State::load()?.mariadb {
            Some(server) => format!("mysql://root@{}", server.address),
            None => bail!("no MariaDB for the tests: {REMEDY}"),
        },
    };
    let authority = url.rsplit(['@', '/']).next().unwrap_or_default();
    let address =
        resolve(authority).with_context(|| format!("{url}: expected mysql://user@host:port"))?;
    TcpStream::connect_timeout(&address, CONNECT)
        .with_context(|| format!("no MariaDB answers at {address}: {REMEDY}"))?;
    Ok(url)
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    address
        .to_socket_addrs()
        .with_context(|| format!("{address:?} is not host:port"))?
        .next()
        .with_context(|| format!("{address:?} has no address"))
}
