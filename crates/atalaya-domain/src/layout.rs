//! How a keyspace of logs is laid out: what is chosen when it is made and never changed, and the
//! limits of it. The configuration refuses by these, and so does the schema.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Partitions of a bucket.
pub const SHARDS: RangeInclusive<u16> = 1..=64;

/// Days of a compaction window.
pub const WINDOW_DAYS: RangeInclusive<u16> = 1..=365;

/// Cassandra takes no TTL above 20 years (630,720,000 s), and some rows outlive the records a
/// little.
pub const MOST_RETENTION_DAYS: u16 = 19 * 365;

/// Copies of a row in one datacenter; more are a slip of the finger.
const COPIES: RangeInclusive<u16> = 1..=100;

/// Whether buckets of this width divide a day evenly.
pub const fn divides_a_day(minutes: u16) -> bool {
    minutes > 0 && 1_440 % minutes == 0
}

/// On which nodes the rows of a keyspace are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replication {
    /// So many copies, wherever (`SimpleStrategy`): for one datacenter that never gets a second one.
    Simple(u16),
    /// So many copies in each datacenter (`NetworkTopologyStrategy`).
    Datacenters(BTreeMap<String, u16>),
}

/// A text that says no replication.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no replication; write the number of copies by datacenter, `dc1=3,dc2=2`, or one number for a single datacenter, `3`"
)]
pub struct NoReplication(String);

impl FromStr for Replication {
    type Err = NoReplication;

    /// `3`, or `dc1=3,dc2=2`. Keyspaces made by the first versions say `dc1:3,dc2:2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoReplication(text.to_owned());
        let copies = |word: &str| {
            word.trim()
                .parse::<u16>()
                .ok()
                .filter(|copies| COPIES.contains(copies))
        };
        if let Some(all) = copies(text) {
            return Ok(Self::Simple(all));
        }
        let mut datacenters = BTreeMap::new();
        for part in text.split(',') {
            let (name, number) = part.split_once(['=', ':']).ok_or_else(wrong)?;
            let name = name.trim();
            let plain = !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter));
            let number = copies(number).filter(|_| plain).ok_or_else(wrong)?;
            if datacenters.insert(name.to_owned(), number).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self::Datacenters(datacenters))
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(copies) => write!(formatter, "{copies}"),
            Self::Datacenters(all) => {
                let parts: Vec<String> = all
                    .iter()
                    .map(|(name, copies)| format!("{name}={copies}"))
                    .collect();
                formatter.write_str(&parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn replication_is_one_number_or_a_list_of_datacenters() {
        assert_eq!("3".parse(), Ok(Replication::Simple(3)));
        let two: Replication = "dc1=3, dc2=2".parse().unwrap();
        assert_eq!(two.to_string(), "dc1=3,dc2=2");
        assert_eq!("dc1:3,dc2:2".parse(), Ok(two));
        for wrong in [
            "",
            "0",
            "-1",
            "dc1",
            "dc1=",
            "=3",
            ":3",
            "dc1=x",
            "dc1=3,dc1=2",
            "d'c=3",
            "dc1=-1",
            "101",
            "dc1=3;dc2=2",
        ] {
            let error = wrong.parse::<Replication>().unwrap_err();
            assert!(error.to_string().contains("dc1=3,dc2=2"), "{wrong}");
        }
    }
}
