//! `[backup]`: where backups go, what they hold and how long they stay. When they are made is
//! `[jobs.backup]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use atalaya_domain::backup::{Compression, Keep};

/// `[backup]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// Absent: `backups` in the data directory. Better another disk.
    pub dir: Option<PathBuf>,
    /// Log records of the last so many days.
    pub window_days: u32,
    /// After so many days a backup is whole again, and builds on none before it.
    pub whole_every_days: u32,
    /// `zstd` or `gzip`.
    pub compression: Compression,
    /// Who may read what is written, as `age1…`; none: it is not encrypted.
    pub recipients: Vec<String>,
    /// Holds the secret half of a recipient, for verifying and restoring; for its owner only.
    pub identity_file: Option<PathBuf>,
    /// The job also makes a snapshot on each node, through `stores.cassandra.nodetool`.
    pub cassandra_snapshot: bool,
    pub keep: Keep,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            dir: None,
            window_days: 90,
            whole_every_days: 7,
            compression: Compression::default(),
            recipients: Vec::new(),
            identity_file: None,
            cassandra_snapshot: false,
            keep: Keep::default(),
        }
    }
}
