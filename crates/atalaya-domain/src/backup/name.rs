//! How an archive is called: `atalaya-backup-20260131_020000.tar.zst`, in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const PREFIX: &str = "atalaya-backup-";
const STAMP: &str = "%Y%m%d_%H%M%S";

/// How the parts are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    Zstd,
    Gzip,
}

/// The name of an archive's file, which says how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveName {
    /// Without endings: what the backup is called.
    pub name: String,
    extension: &'static str,
}

const EXTENSIONS: [(&str, Compression, bool); 4] = [
    (".tar.zst", Compression::Zstd, false),
    (".tar.gz", Compression::Gzip, false),
    (".tar.zst.age", Compression::Zstd, true),
    (".tar.gz.age", Compression::Gzip, true),
];

impl ArchiveName {
    pub fn new(at: Timestamp, compression: Compression, encrypted: bool) -> Self {
        let extension = EXTENSIONS
            .iter()
            .find(|known| (known.1, known.2) == (compression, encrypted))
            .map_or("", |known| known.0);
        Self {
            name: format!("{PREFIX}{}", at.to_utc().format(STAMP)),
            extension,
        }
    }

    fn facts(&self) -> (Compression, bool) {
        EXTENSIONS
            .iter()
            .find(|known| known.0 == self.extension)
            .map_or((Compression::Zstd, false), |known| (known.1, known.2))
    }

    pub fn compression(&self) -> Compression {
        self.facts().0
    }

    pub fn is_encrypted(&self) -> bool {
        self.facts().1
    }

    /// To the second.
    pub fn created_at(&self) -> Timestamp {
        stamp_of(&self.name).unwrap_or_default()
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.name, self.extension)
    }
}

/// The file's name is none of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a backup is called atalaya-backup-YYYYMMDD_HHMMSS.tar.zst, or .tar.gz, and .age when it is encrypted"
)]
pub struct NoArchive;

impl FromStr for ArchiveName {
    type Err = NoArchive;

    fn from_str(file: &str) -> Result<Self, NoArchive> {
        EXTENSIONS
            .iter()
            .find_map(|(extension, ..)| {
                let name = file.strip_suffix(extension)?;
                stamp_of(name)?;
                Some(Self {
                    name: name.to_owned(),
                    extension,
                })
            })
            .ok_or(NoArchive)
    }
}

/// When the backup of this name was made; `None`: it is no such name.
pub fn stamp_of(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_prefix(PREFIX)?;
    // Only the one way of writing it, so that a name and its instant are the same thing.
    let shape = stamp.bytes().enumerate().all(|(at, letter)| match at {
        8 => letter == b'_',
        _ => letter.is_ascii_digit(),
    });
    if stamp.len() != 15 || !shape {
        return None;
    }
    let at = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
    Some(at.and_utc().into())
}
