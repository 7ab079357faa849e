//! What all hosts on one keyspace agree on: limits, and how it is kept in the table `settings`.

use std::collections::BTreeMap;

use atalaya_domain::layout::{
    MOST_RETENTION_DAYS, Replication, SHARDS, WINDOW_DAYS, divides_a_day,
};

use crate::error::StoreError;

/// What all hosts must agree on: chosen at `db init`, kept in the keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaSettings {
    pub replication: Replication,
    /// Width of a bucket; divides a day evenly.
    pub bucket_minutes: u16,
    /// Partitions of a bucket, 1 to 64.
    pub shards: u16,
    /// Days of a compaction window and of a part of the request index.
    pub window_days: u16,
    /// After so many days a record expires; 0 keeps it for ever.
    pub retention_days: u32,
}

impl Default for SchemaSettings {
    fn default() -> Self {
        Self {
            replication: Replication::Simple(1),
            bucket_minutes: 10,
            shards: 1,
            window_days: 3,
            retention_days: 90,
        }
    }
}

impl SchemaSettings {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), StoreError> {
        let bad = |name, reason: String| Err(StoreError::BadSetting { name, reason });
        if !divides_a_day(self.bucket_minutes) {
            return bad(
                "bucket_minutes",
                format!("{} does not divide a day", self.bucket_minutes),
            );
        }
        if !SHARDS.contains(&self.shards) {
            return bad("shards", format!("{} is not between 1 and 64", self.shards));
        }
        if !WINDOW_DAYS.contains(&self.window_days) {
            return bad(
                "window_days",
                format!("{} is not between 1 and 365", self.window_days),
            );
        }
        if self.retention_days > u32::from(MOST_RETENTION_DAYS) {
            return bad(
                "retention_days",
                format!(
                    "{} is above {MOST_RETENTION_DAYS}; 0 keeps everything for ever",
                    self.retention_days
                ),
            );
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> [(&'static str, String); 5] {
        [
            ("replication", self.replication.to_string()),
            ("bucket_minutes", self.bucket_minutes.to_string()),
            ("shards", self.shards.to_string()),
            ("window_days", self.window_days.to_string()),
            ("retention_days", self.retention_days.to_string()),
        ]
    }

    pub(super) fn from_rows(rows: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        fn value<T: std::str::FromStr>(
            rows: &BTreeMap<String, String>,
            name: &'static str,
        ) -> Result<T, StoreError> {
            let text = rows.get(name).map_or("", String::as_str);
            text.parse().map_err(|_| StoreError::Corrupt {
                table: "settings",
                detail: format!("`{text}` is no value for {name}"),
            })
        }
        let settings = Self {
            replication: value(rows, "replication")?,
            bucket_minutes: value(rows, "bucket_minutes")?,
            shards: value(rows, "shards")?,
            window_days: value(rows, "window_days")?,
            retention_days: value(rows, "retention_days")?,
        };
        settings.check()?;
        Ok(settings)
    }
}

pub(super) fn keyspace_statement(keyspace: &str, replication: &Replication) -> String {
    let strategy = match replication {
        Replication::Simple(copies) => {
            format!("{{'class': 'SimpleStrategy', 'replication_factor': {copies}}}")
        }
        Replication::Datacenters(datacenters) => {
            let copies: Vec<String> = datacenters
                .iter()
                .map(|(name, copies)| format!("'{name}': {copies}"))
                .collect();
            format!(
                "{{'class': 'NetworkTopologyStrategy', {}}}",
                copies.join(", ")
            )
        }
    };
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {strategy} AND durable_writes = true"
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn settings_read_what_they_write() {
        let settings = SchemaSettings {
            replication: Replication::Simple(3),
            bucket_minutes: 1,
            shards: 32,
            window_days: 7,
            retention_days: 0,
        };
        let rows = settings
            .rows()
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
        assert_eq!(SchemaSettings::from_rows(&rows).unwrap(), settings);
        for bad in [
            SchemaSettings {
                bucket_minutes: 7,
                ..settings.clone()
            },
            SchemaSettings {
                shards: 0,
                ..settings.clone()
            },
            SchemaSettings {
                window_days: 0,
                ..settings.clone()
            },
            SchemaSettings {
                retention_days: u32::from(MOST_RETENTION_DAYS) + 1,
                ..settings.clone()
            },
        ] {
            assert!(
                matches!(bad.check(), Err(StoreError::BadSetting { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_first_versions_wrote_replication_with_colons() {
        let mut rows: BTreeMap<String, String> = SchemaSettings::default()
            .rows()
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        rows.insert("replication".to_owned(), "dc1:3,dc2:2".to_owned());
        let read = SchemaSettings::from_rows(&rows).unwrap();
        assert_eq!(read.replication.to_string(), "dc1=3,dc2=2");
    }
}
