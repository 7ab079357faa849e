//! One run of content: what names it, what its bytes looked like, and what holds it now.
//!
//! The catalogue of the reader is a set of these; the [`checkpoint`](super::checkpoint) keeps them
//! over restarts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::identity::{FileId, Fingerprint};
use super::rotation::RotatedName;
use atalaya_domain::record::OriginId;
use atalaya_domain::time::Timestamp;

/// What holds the content of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A plain file.
    Plain,
    /// A packed file.
    Packed,
    /// A packed file, read and stored to its end.
    Ended,
    /// A file that lay there before its family was followed: not read, only recognised.
    History,
    /// Nothing since then; it was history.
    HistoryGone(Timestamp),
    /// Nothing since then, as far as one can see.
    Gone(Timestamp),
    /// Its file was truncated or overwritten then and holds another generation now.
    Overwritten(Timestamp),
}

impl Holder {
    /// Some file holds the content.
    pub const fn is_there(self) -> bool {
        self.gone_since().is_none()
    }

    pub const fn gone_since(self) -> Option<Timestamp> {
        match self {
            Self::Gone(since) | Self::HistoryGone(since) | Self::Overwritten(since) => Some(since),
            Self::Plain | Self::Packed | Self::Ended | Self::History => None,
        }
    }

    /// Not asked for: lines of it are never read.
    pub const fn is_history(self) -> bool {
        matches!(self, Self::History | Self::HistoryGone(_))
    }

    pub const fn is_packed(self) -> bool {
        matches!(self, Self::Packed | Self::Ended)
    }

    /// The same content, when its file is not found any more.
    #[must_use]
    pub const fn gone(self, since: Timestamp) -> Self {
        match self {
            Self::Plain | Self::Packed | Self::Ended => Self::Gone(since),
            Self::History => Self::HistoryGone(since),
            Self::Gone(_) | Self::HistoryGone(_) | Self::Overwritten(_) => self,
        }
    }

    /// The same content, when a file of this kind turns out to hold it.
    #[must_use]
    pub const fn found(self, packed: bool) -> Self {
        match (self, packed) {
            (Self::History | Self::HistoryGone(_), _) => Self::History,
            (Self::Ended, true) => Self::Ended,
            (_, true) => Self::Packed,
            (_, false) => Self::Plain,
        }
    }
}

/// The name that a writer writes to, and the directory it was followed in. A generation keeps it
/// wherever its file goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Family {
    pub dir: String,
    pub base: String,
}

impl Family {
    /// What it is called when only the place of one of its files is known.
    pub fn of(dir: &Path, name: &str) -> Self {
        Self {
            dir: dir.to_string_lossy().into_owned(),
            base: RotatedName::of(name).base,
        }
    }

    pub fn path(&self) -> PathBuf {
        Path::new(&self.dir).join(&self.base)
    }
}

/// One run of content, and where it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    #[serde(with = "as_hex")]
    pub origin: OriginId,
    /// The file that holds the content now, or held it last.
    pub file: FileId,
    /// How often the file was truncated before it held this content.
    pub truncations: u32,
    /// Directory and name where it was last seen (not UTF-8: with replacement characters).
    pub dir: String,
    pub name: String,
    /// Whose content it is, whatever its file is called by now.
    pub family: Family,
    pub first_seen: Timestamp,
    /// Acknowledged by the store up to here.
    pub offset: u64,
    pub print: Fingerprint,
    pub format: Option<String>,
    pub holder: Holder,
    /// What stands before this in the file is the content of another generation: it was shortened.
    #[serde(default)]
    pub begins: u64,
}

mod as_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use atalaya_domain::record::OriginId;

    pub fn serialize<S: Serializer>(origin: &OriginId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(origin)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OriginId, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(OriginId::from_u128)
            .map_err(D::Error::custom)
    }
}
