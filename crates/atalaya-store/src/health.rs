//! How a log store fares: its size, its servers, the contact to it. For the health view, the status
//! bar and the spool; nothing that is read or written goes through here.

use async_trait::async_trait;

use atalaya_domain::health::ring::Ring;
use atalaya_domain::time::Timestamp;

use super::error::StoreError;

/// Sizes and counts for the health view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ChunkStoreStats {
    pub records: u64,
    pub chunks: u64,
    pub disk_bytes: u64,
}

/// Why nothing comes of what a store is asked, while it is still being asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of the first fault.
    pub since: Timestamp,
    pub reason: String,
}

/// By what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    pub reads: Option<Trouble>,
    pub writes: Option<Trouble>,
    /// Why what is shown can only be read; see [`StoreHealth::read_only`].
    pub read_only: Option<String>,
}

#[async_trait]
pub trait StoreHealth {
    async fn stats(&self) -> Result<ChunkStoreStats, StoreError>;

    /// What the servers behind the store say of themselves; `None` for a store without any. A
    /// server that does not answer is in the ring with its reason. Bounded in time.
    async fn ring(&self) -> Option<Ring> {
        None
    }

    /// How often contact to the store was lost so far. Each time, what it acknowledged in the last
    /// seconds may be gone (Cassandra syncs its commit log every 10 s), and the spool sends it again.
    /// A store that loses nothing that it acknowledged stays at 0.
    fn outages(&self) -> u64 {
        0
    }

    /// Why the store can only be read at present; `None` when it can be
    /// written, and for a store that says it only when it is written to.
    fn read_only(&self) -> Option<String> {
        None
    }

    /// What calls that are under way meet. A call that has failed has said it itself.
    fn troubles(&self) -> Troubles {
        Troubles::default()
    }
}
