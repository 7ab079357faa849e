//! The file of a backup: one `tar`, compressed, sealed, and encrypted when it is asked for.
//!
//! Promises:
//! - An archive is complete or it is none: its first entry names every part with size and BLAKE3,
//!   and its last bytes are the BLAKE3 of all bytes before them ([`seal`]). One bit that differs,
//!   and a file that was cut, are found.
//! - Reading takes nothing on trust: only regular files that the manifest names, in its order and
//!   of its size, below fixed names; no links, devices or extended headers; bounds on sizes, counts
//!   and on how much a byte may grow. [`check`] writes nothing, so that a bad archive is refused
//!   before the first write.
//! - Memory is bounded, whatever the archive claims.
//!
//! Usual tools read an archive too: the seal is a skippable frame for `zstd`, an empty member for
//! `gzip`. What the parts mean is in [`atalaya_domain::backup`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use atalaya_domain::backup::{ManifestError, NoArchive};

pub mod keys;
mod pack;
pub mod seal;
mod unpack;

pub use keys::{Identities, KeyError, Recipients};
pub use pack::{part_of, write};
pub use unpack::{Checked, check, extract, first_part, manifest};

/// The manifest's entry.
pub const MANIFEST: &str = "manifest.json";

/// Is told how many bytes of the parts have passed; false stops the work.
pub type Watch<'a> = &'a (dyn Fn(u64) -> bool + Sync);

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write {path}; check the folder and its free space")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{path} is no usable backup: {reason}")]
    Unusable { path: PathBuf, reason: String },
    #[error("{path} is no usable backup")]
    Manifest {
        path: PathBuf,
        source: ManifestError,
    },
    #[error("{path}: {source}")]
    Name { path: PathBuf, source: NoArchive },
    #[error("{path} is encrypted; {reason}")]
    Locked { path: PathBuf, reason: String },
    #[error("interrupted")]
    Cancelled,
}

impl ArchiveError {
    /// The archive itself is at fault, and no other run will find it right.
    pub const fn is_of_the_archive(&self) -> bool {
        matches!(
            self,
            Self::Unusable { .. } | Self::Manifest { .. } | Self::Name { .. }
        )
    }
}

/// Opens a file that is to be read, and nothing else: no link, no pipe that would wait for ever.
fn open(path: &Path) -> Result<File, ArchiveError> {
    let unreadable = |source| ArchiveError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(ArchiveError::Unusable {
            path: path.to_owned(),
            reason: "it is not a regular file".to_owned(),
        });
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
