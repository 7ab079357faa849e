//! Takes what one store holds along to another one, in either direction.
//!
//! Promises: everything that the source held when the copy began is in the destination when it
//! ends, once; a copy that was ended at any moment is finished by running it again; at the end both
//! sides are read again and compared. The source is never changed. What the destination holds
//! besides stays there.

use atalaya_domain::error_class::ErrorClass;
use std::path::PathBuf;

use atalaya_store::error::StoreError;

pub mod logs;
pub mod metrics;

mod progress;
pub mod sums;

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("cannot read from {address}")]
    Read { address: String, source: StoreError },
    #[error("cannot write to {address}")]
    Write { address: String, source: StoreError },
    #[error(
        "cannot keep in {path} how far the copy is; free some space or name another --data-dir"
    )]
    Progress {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("interrupted; the same command goes on from there")]
    Cancelled,
}

impl CopyError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => source.class(),
            Self::Progress { .. } | Self::Cancelled => ErrorClass::Transient,
        }
    }
}

/// What a copy is doing, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Records or rows.
    pub done: u64,
    /// 0 when nobody knows.
    pub total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Copying,
    Comparing,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Comparing => "comparing",
        }
    }
}

/// Is told the progress now and then; must return soon.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A count and a sum over contents that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub count: u64,
    pub sum: u128,
}

impl Sum {
    fn add(&mut self, hash: u128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The first 16 bytes of what was hashed.
fn short(hasher: &blake3::Hasher) -> u128 {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(bytes)
}
