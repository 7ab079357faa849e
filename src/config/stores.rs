//! `[stores]`: where logs and metrics are kept, as a file says it. What it means is in
//! [`places`](super::places).

use std::collections::BTreeMap;
use std::path::PathBuf;

use atalaya_store::cassandra::ConsistencyLevel;
use serde::{Deserialize, Serialize};

/// `[stores]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoresConfig {
    /// `cassandra://user@host:9042,host/keyspace`; absent: an SQLite file in the data directory.
    pub logs: Option<String>,
    /// `mysql://user@host:3306/database`; absent: an SQLite file in the data directory.
    pub metrics: Option<String>,
    pub cassandra: CassandraConfig,
    pub mysql: MySqlConfig,
}

/// `[stores.cassandra]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CassandraConfig {
    /// Holds the password and nothing else; for its owner only (mode 0600).
    pub password_file: Option<PathBuf>,
    /// PEM: who may sign a node's certificate. Naming it, or a client certificate, turns TLS on.
    pub ca_file: Option<PathBuf>,
    /// PEM: our own certificate, where the ring asks for one.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// TLS with the authorities that this system trusts, when no `ca_file` is named.
    pub tls: bool,
    /// Only nodes of this datacenter are asked.
    pub datacenter: Option<String>,
    pub consistency: ConsistencyLevel,
    /// After this long an attempt is given up.
    pub request_timeout_s: u32,
    /// For `db init`: `3`, or by datacenter `dc1=3,dc2=2`; absent: one copy.
    pub replication: Option<String>,
    /// For `db init`: width of a partition in minutes; divides a day.
    pub bucket_minutes: Option<u16>,
    /// For `db init`: partitions of one bucket.
    pub shards: Option<u16>,
    /// For `db init`: compaction window in days.
    pub window_days: Option<u16>,
    /// For `db init`: days until a record is gone; 0 keeps it for ever.
    pub retention_days: Option<u16>,
    /// The command that jobs care for a node with, word by word; `{node}` is its address. Absent: the
    /// jobs say so.
    pub nodetool: Vec<String>,
    /// Tables of others, one record a row, that are shown beside our own.
    pub foreign: Vec<ForeignTableConfig>,
}

impl Default for CassandraConfig {
    fn default() -> Self {
        Self {
            password_file: None,
            ca_file: None,
            client_cert: None,
            client_key: None,
            tls: false,
            datacenter: None,
            consistency: ConsistencyLevel::LocalQuorum,
            request_timeout_s: 10,
            replication: None,
            bucket_minutes: None,
            shards: None,
            window_days: None,
            retention_days: None,
            nodetool: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

/// `[[stores.cassandra.foreign]]`. For a table of the older layout, `application_logs` or
/// `infrastructure_logs`, the keyspace and the table are enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignTableConfig {
    pub keyspace: String,
    pub table: String,
    /// `app` or `infra`.
    pub layer: Option<String>,
    /// What the records are called when no column says it.
    pub source: Option<String>,
    /// How many days back the table is looked at; 90 when absent.
    pub days: Option<u16>,
    pub partition: Option<ForeignPartitionConfig>,
    pub columns: Option<ForeignColumnsConfig>,
}

/// How the table is cut into partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignPartitionConfig {
    pub column: String,
    pub kind: ForeignPartitionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignPartitionKind {
    /// One partition a UTC day, in a column of type `date`.
    Date,
}

/// Which column holds what. Only the time and the message must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignColumnsConfig {
    pub timestamp: String,
    pub message: String,
    pub level: Option<String>,
    pub source: Option<String>,
    pub host: Option<String>,
    pub logger: Option<String>,
    pub request_id: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub duration_ms: Option<String>,
    pub traceback: Option<String>,
    /// A column of type `map<text, text>`.
    pub metadata: Option<String>,
    /// Metadata name to column, for columns that have no field of their own.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

/// `[stores.mysql]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MySqlConfig {
    /// Holds the password and nothing else; for its owner only (mode 0600).
    pub password_file: Option<PathBuf>,
    /// PEM: who may sign the server's certificate. With it the connection is encrypted and the
    /// server's name checked, or there is no connection.
    pub ca_file: Option<PathBuf>,
}

/// `[ingest.spool]`: what was read and is not stored yet, on this host's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Absent: on when the logs go to a server, off for the embedded store, which is a file itself.
    pub enabled: Option<bool>,
    /// When it is full, reading waits.
    pub max_bytes: u64,
    /// How long a stored group is kept to be sent again after the store was away.
    pub keep_seconds: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            max_bytes: 1 << 30,
            keep_seconds: 60,
        }
    }
}
