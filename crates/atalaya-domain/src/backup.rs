//! Backups: what an archive says of itself, which archives belong together, and which may go.
//!
//! An archive holds two files of the embedded kind, `metrics.db` and `logs.db`, whatever store they
//! were taken from: that form is neutral, has a version, reads with common tools, and brings an
//! older one up to date when it is opened. Logs are incremental by bucket: an archive holds the
//! buckets that changed since its base, and a list ([`BucketState`]) of where every bucket of its
//! window is. The list of the newest archive of a chain says what a restore gives.

use serde::{Deserialize, Serialize};

use super::chunk::Bucket;
use super::time::Timestamp;

pub mod name;
pub mod rotation;
pub mod trust;

pub use name::{ArchiveName, Compression, NoArchive};
pub use rotation::{Keep, Kept};
pub use trust::Trust;

/// Version of the archive's layout. One that is newer is refused.
pub const FORMAT: u32 = 1;

/// Names of the parts, in the order in which they stand in an archive; then come files of the
/// quarantine, below [`QUARANTINE`].
pub const BUCKETS: &str = "buckets.jsonl";
pub const CONFIGURATION: &str = "config.toml";
pub const METRICS: &str = "metrics.db";
pub const LOGS: &str = "logs.db";
pub const QUARANTINE: &str = "quarantine/";

/// The first entry of an archive: everything that follows is named here, with size and sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    pub name: String,
    pub created_at: Timestamp,
    pub host: String,
    /// What it builds on, oldest first: a whole backup, then increments. Empty: it is whole itself.
    pub chain: Vec<Link>,
    pub metrics: Option<MetricsFacts>,
    pub logs: Option<LogsFacts>,
    /// In the order in which they follow.
    pub parts: Vec<Part>,
    /// What was there and is not in it, for people.
    pub left_out: Vec<String>,
}

/// An archive that another one builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub name: String,
    /// BLAKE3 of its content, in hex: the seal at its end.
    pub seal: String,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    /// In hex.
    pub blake3: String,
}

/// What `metrics.db` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsFacts {
    /// Where it was taken from, for people.
    pub store: String,
    /// The version of the schema, and BLAKE3 of its text in hex.
    pub schema: i64,
    pub schema_hash: String,
    pub tables: Vec<TableSum>,
}

impl MetricsFacts {
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Rows of one table, and a sum over their content that does not depend on their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    pub table: String,
    pub rows: u64,
    /// 128 bits in hex.
    pub sum: String,
}

/// What a restore of the chain up to this archive gives, and how much of it is in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsFacts {
    /// Where it was taken from; an increment builds on nothing from elsewhere.
    pub store: String,
    pub bucket_minutes: u16,
    /// Records before this were left out.
    pub from: Timestamp,
    pub total: LogsSum,
    /// In this archive alone.
    pub own: LogsSum,
}

/// Chunks, records, and a sum over the records that does not depend on their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsSum {
    pub buckets: u64,
    pub chunks: u64,
    pub records: u64,
    /// 128 bits in hex.
    pub sum: String,
}

impl LogsSum {
    /// Of all these buckets together.
    pub fn of<'a>(buckets: impl IntoIterator<Item = &'a BucketState>) -> Self {
        let mut total = Self::default();
        let mut sum = 0_u128;
        for bucket in buckets {
            total.buckets += 1;
            total.chunks += bucket.chunks;
            total.records += bucket.records;
            sum = sum.wrapping_add(bucket.sum);
        }
        total.sum = format!("{sum:032x}");
        total
    }
}

/// One line of the list of buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketState {
    pub bucket: Bucket,
    pub chunks: u64,
    pub records: u64,
    /// Of the keys of its chunks: the bucket is unchanged as long as this is.
    #[serde(with = "hex128")]
    pub keys: u128,
    /// Of its records.
    #[serde(with = "hex128")]
    pub sum: u128,
    /// Which archive of the chain holds it: 0 is the oldest, the length of `chain` the archive
    /// itself.
    pub link: u32,
}

/// How the memory of what was backed up is kept in the metrics store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    pub name: String,
    pub created_at: Timestamp,
    pub host: String,
    /// BLAKE3 of its content, in hex.
    pub seal: String,
    pub bytes: u64,
    /// That a restore gives.
    pub records: u64,
    /// Of all tables of the metrics store.
    pub rows: u64,
    /// What it builds on; `None`: it is whole.
    pub base: Option<String>,
    /// When everything in it, and in what it builds on, was last read again and found right.
    pub verified_at: Option<Timestamp>,
    /// What the last verification found wrong.
    pub problem: Option<String>,
}

/// A restore that was tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    pub at: Timestamp,
    pub backup: String,
    /// From the decision to restore until both sides were compared.
    pub rto_ms: u64,
    /// What would have been lost: the age of the backup when the drill began.
    pub rpo_seconds: u64,
    pub records: u64,
    pub rows: u64,
    /// `None`: what was restored is what was backed up.
    pub problem: Option<String>,
}

mod hex128 {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{number:032x}"))
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// Why a manifest is not one that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("its format is {found}, and this program knows {FORMAT}; use a newer atalaya")]
    NewerFormat { found: u32 },
    #[error("it says it is `{0}`, which is no name of a backup")]
    Name(String),
    #[error("its part {index} is `{name}`: {reason}")]
    Part {
        index: usize,
        name: String,
        reason: &'static str,
    },
    #[error("it builds on `{name}`: {reason}")]
    Chain { name: String, reason: &'static str },
}

/// Increments on one whole backup, at most.
pub const MOST_LINKS: usize = 64;
/// Files of one archive, at most: a quarantine has a bound of its own.
pub const MOST_PARTS: usize = 20_000;

impl Manifest {
    /// Whether everything in it is what this program writes: known parts, each once, in their
    /// order, and names that lead nowhere.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::NewerFormat { found: self.format });
        }
        if name::stamp_of(&self.name).is_none() {
            return Err(ManifestError::Name(self.name.clone()));
        }
        self.check_chain()?;
        let wrong = |index: usize, reason| ManifestError::Part {
            index,
            name: self.parts[index].name.clone(),
            reason,
        };
        if self.parts.len() > MOST_PARTS {
            return Err(wrong(MOST_PARTS, "there are too many parts"));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let Some(rank) = rank(&part.name) else {
                return Err(wrong(index, "no part of a backup has this name"));
            };
            let before = index.checked_sub(1).map(|index| &self.parts[index].name);
            if before.is_some_and(|before| self::rank(before) > Some(rank))
                || before.is_some_and(|before| *before >= part.name && is_quarantined(before))
                || before == Some(&part.name)
            {
                return Err(wrong(index, "it is there twice, or out of order"));
            }
            if !is_hash(&part.blake3) {
                return Err(wrong(index, "its sum is no BLAKE3 in hex"));
            }
        }
        let has = |name: &str| self.parts.iter().any(|part| part.name == name);
        let told = [
            (METRICS, self.metrics.is_some()),
            (LOGS, self.logs.is_some()),
            (BUCKETS, self.logs.is_some()),
        ];
        for (name, told) in told {
            if has(name) != told {
                return Err(ManifestError::Part {
                    index: 0,
                    name: name.to_owned(),
                    reason: "it is there without its figures, or they without it",
                });
            }
        }
        Ok(())
    }

    fn check_chain(&self) -> Result<(), ManifestError> {
        let wrong = |link: &Link, reason| ManifestError::Chain {
            name: link.name.clone(),
            reason,
        };
        if let Some(link) = self.chain.get(MOST_LINKS) {
            return Err(wrong(link, "the chain is too long"));
        }
        let mut last = None;
        for link in &self.chain {
            let stamp = name::stamp_of(&link.name);
            if stamp.is_none() || !is_hash(&link.seal) {
                return Err(wrong(link, "that names no backup"));
            }
            if stamp <= last || stamp >= name::stamp_of(&self.name) {
                return Err(wrong(link, "a backup builds on older ones only"));
            }
            last = stamp;
        }
        Ok(())
    }
}

/// Where a part stands; `None` for a name that no part has.
fn rank(name: &str) -> Option<usize> {
    let fixed = [BUCKETS, CONFIGURATION, METRICS, LOGS];
    fixed
        .iter()
        .position(|known| *known == name)
        .or_else(|| is_quarantined(name).then_some(fixed.len()))
}

/// `quarantine/ID.group` or `quarantine/ID.reason.txt`.
fn is_quarantined(name: &str) -> bool {
    let id = name.strip_prefix(QUARANTINE).and_then(|file| {
        file.strip_suffix(".group")
            .or_else(|| file.strip_suffix(".reason.txt"))
    });
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
    id.is_some_and(|id| (1..=64).contains(&id.len()) && id.bytes().all(plain))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
