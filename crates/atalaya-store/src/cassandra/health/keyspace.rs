//! The state of our own keyspace: its copies, its tables' options, its lifetimes.
//!
//! Reads the schema, the days that hold records, and a few rows of a few partitions; never more,
//! however much there is.

use std::time::Duration;

use chrono::NaiveDate;
use scylla::client::session::Session;
use scylla::value::CqlValue;

use super::fields::{self, Fields};
use atalaya_domain::health::design::{
    Design, KeyspaceReplication, LogSettings, Sample, TableOptions,
};
use atalaya_domain::time::Timestamp;

/// Days of each layer that are looked into: the oldest, the newest, and some between.
const SAMPLED_DAYS: usize = 4;
/// Rows of one partition: a chunk is up to 64 KiB, and all of it is read.
const SAMPLED_ROWS: usize = 10;
/// A row may outlive its retention by this: TTLs count whole seconds of the server's clock.
const GRACE: Duration = Duration::from_secs(3_600);
const LAYERS: [&str; 2] = ["application", "infrastructure"];

/// `None` when the schema cannot be read: then no node answers.
pub async fn read(session: &Session, keyspace: &str) -> Option<Design> {
    let quoted = keyspace.replace('\'', "''");
    let tables = format!(
        "SELECT table_name, compaction, compression, default_time_to_live \
         FROM system_schema.tables WHERE keyspace_name = '{quoted}'"
    );
    let copies =
        format!("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{quoted}'");
    let (tables, copies) = tokio::join!(
        fields::ask(session, None, tables),
        fields::ask(session, None, copies)
    );
    let (tables, copies) = (tables.ok()?, copies.ok()?);
    let mut design = Design {
        replication: copies.first().and_then(replication),
        tables: tables.iter().filter_map(table).collect(),
        ..Design::default()
    };
    if design.replication.is_none() {
        design
            .not_told
            .push(format!("there is no keyspace {keyspace}"));
        return Some(design);
    }
    let reader = Reader {
        session,
        keyspace: format!("\"{}\"", keyspace.replace('"', "\"\"")),
    };
    match reader.settings().await {
        Ok(settings) => design.settings = settings,
        Err(reason) => design.not_told.push(format!("settings: {reason}")),
    }
    match reader.sample(design.settings).await {
        Ok((oldest, sample)) => {
            design.oldest_day = oldest;
            design.sample = Some(sample);
        }
        Err(reason) => design
            .not_told
            .push(format!("a sample of the rows: {reason}")),
    }
    Some(design)
}

fn short(class: &str) -> String {
    class.rsplit('.').next().unwrap_or(class).to_owned()
}

fn replication(row: &Fields) -> Option<KeyspaceReplication> {
    let map = row.map("replication");
    let class = short(map.get("class")?);
    let copies = map
        .iter()
        .filter(|(name, _)| *name != "class")
        .filter_map(|(name, value)| {
            // `3`, or `3/1` with transient copies: those are copies as well.
            let copies = value.split('/').next()?.parse().ok()?;
            let datacenter = if name == "replication_factor" {
                String::new()
            } else {
                name.clone()
            };
            Some((datacenter, copies))
        })
        .collect();
    Some(KeyspaceReplication { class, copies })
}

/// The tables of records, their summaries and their index; the small ones beside them have other
/// options on purpose.
fn table(row: &Fields) -> Option<TableOptions> {
    let table = row.text("table_name")?;
    let ours = LAYERS.iter().any(|layer| {
        table
            .strip_prefix(layer)
            .is_some_and(|rest| rest == "_logs" || rest == "_summaries")
    });
    if !ours && table != "request_index" {
        return None;
    }
    let compaction = row.map("compaction");
    let compression = row.map("compression");
    let unit = match compaction.get("compaction_window_unit").map(String::as_str) {
        Some("MINUTES") => 60,
        Some("HOURS") => 3_600,
        // Cassandra's own default.
        _ => 86_400,
    };
    let class = compaction
        .get("class")
        .map(|class| short(class))
        .unwrap_or_default();
    let windows = class == "TimeWindowCompactionStrategy";
    let size = compaction
        .get("compaction_window_size")
        .map_or(Some(1), |size| size.parse::<u64>().ok());
    let enabled = compression
        .get("enabled")
        .is_none_or(|enabled| enabled != "false");
    Some(TableOptions {
        table,
        compaction: class,
        window_seconds: size.filter(|_| windows).map(|size| size * unit),
        compression: compression
            .get("class")
            .filter(|_| enabled)
            .map(|class| short(class)),
        chunk_kib: compression
            .get("chunk_length_in_kb")
            .and_then(|kib| kib.parse().ok()),
        default_ttl_seconds: row.count("default_time_to_live").unwrap_or(0),
    })
}

struct Reader<'a> {
    session: &'a Session,
    /// Quoted.
    keyspace: String,
}

impl Reader<'_> {
    async fn settings(&self) -> Result<Option<LogSettings>, String> {
        let rows = fields::ask(
            self.session,
            None,
            format!(
                "SELECT name, value FROM {}.settings LIMIT 100",
                self.keyspace
            ),
        )
        .await?;
        let value = |name: &str| -> Option<u32> {
            let row = rows
                .iter()
                .find(|row| row.text("name").as_deref() == Some(name))?;
            row.text("value")?.parse().ok()
        };
        Ok(value("retention_days").zip(value("window_days")).map(
            |(retention_days, window_days)| LogSettings {
                retention_days,
                window_days,
            },
        ))
    }

    async fn sample(
        &self,
        settings: Option<LogSettings>,
    ) -> Result<(Option<NaiveDate>, Sample), String> {
        let mut oldest: Option<NaiveDate> = None;
        let mut sample = Sample::default();
        for layer in LAYERS {
            let days = self.days(layer).await?;
            if let Some(first) = days.last() {
                oldest = Some(oldest.map_or(*first, |known| known.min(*first)));
            }
            for day in spread(&days, SAMPLED_DAYS) {
                for bucket in spread(&self.buckets(layer, day).await?, 1) {
                    let rows = self.rows(layer, day, bucket).await?;
                    sample.partitions += 1;
                    judge(&rows, settings, Timestamp::now(), &mut sample);
                }
            }
        }
        Ok((oldest, sample))
    }

    /// Newest first.
    async fn days(&self, layer: &str) -> Result<Vec<NaiveDate>, String> {
        let cql = format!(
            "SELECT log_date FROM {}.log_days WHERE layer = '{layer}'",
            self.keyspace
        );
        let rows = fields::ask(self.session, None, cql).await?;
        let mut days: Vec<NaiveDate> = rows
            .iter()
            .filter_map(|row| match row.get("log_date")? {
                // Days with 1970 in the middle of the range; the default date is 1970-01-01.
                CqlValue::Date(date) => NaiveDate::default()
                    .checked_add_signed(chrono::TimeDelta::days(i64::from(date.0) - (1 << 31))),
                _ => None,
            })
            .collect();
        days.sort_unstable_by_key(|day| std::cmp::Reverse(*day));
        Ok(days)
    }

    async fn buckets(&self, layer: &str, day: NaiveDate) -> Result<Vec<u64>, String> {
        let cql = format!(
            "SELECT bucket FROM {}.log_buckets WHERE layer = '{layer}' AND log_date = '{day}'",
            self.keyspace
        );
        let rows = fields::ask(self.session, None, cql).await?;
        Ok(rows.iter().filter_map(|row| row.count("bucket")).collect())
    }

    async fn rows(&self, layer: &str, day: NaiveDate, bucket: u64) -> Result<Vec<Fields>, String> {
        // Chunks are spread over the shards evenly, so the first is as good as any.
        let cql = format!(
            "SELECT TTL(logs) AS ttl, summary.last_us AS last_us FROM {}.{layer}_logs \
             WHERE log_date = '{day}' AND bucket = {bucket} AND shard = 0 LIMIT {SAMPLED_ROWS}",
            self.keyspace
        );
        fields::ask(self.session, None, cql).await
    }
}

fn judge(rows: &[Fields], settings: Option<LogSettings>, now: Timestamp, sample: &mut Sample) {
    let retention = settings
        .map(|settings| settings.retention_days)
        .filter(|days| *days > 0);
    let retention = retention.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    for row in rows {
        sample.rows += 1;
        if row.get("ttl").is_none() {
            sample.without_ttl += 1;
        }
        let Some(CqlValue::BigInt(last)) = row.get("last_us") else {
            continue;
        };
        let age = now.since(Timestamp::from_micros(*last));
        if retention.is_some_and(|retention| age > retention + GRACE) {
            sample.overdue += 1;
            let days = age.as_secs() / 86_400;
            sample.oldest_overdue_days = Some(sample.oldest_overdue_days.unwrap_or(0).max(days));
        }
    }
}

/// At most `count` of the values, evenly, the first and the last among them.
fn spread<T: Copy>(values: &[T], count: usize) -> Vec<T> {
    match (values.len(), count) {
        (0, _) | (_, 0) => Vec::new(),
        (length, count) if length <= count => values.to_vec(),
        (length, 1) => vec![values[length / 2]],
        (length, count) => (0..count)
            .map(|index| values[index * (length - 1) / (count - 1)])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn text(value: &str) -> CqlValue {
        CqlValue::Text(value.to_owned())
    }

    fn map(entries: &[(&str, &str)]) -> CqlValue {
        CqlValue::Map(
            entries
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
        )
    }

    #[test]
    fn replication_of_both_strategies_is_understood() {
        let topology = Fields::of([(
            "replication",
            map(&[
                (
                    "class",
                    "org.apache.cassandra.locator.NetworkTopologyStrategy",
                ),
                ("dc1", "3"),
                ("dc2", "3/1"),
            ]),
        )]);
        let known = replication(&topology).unwrap();
        assert_eq!(known.class, "NetworkTopologyStrategy");
        assert_eq!(known.copies_in(Some("dc2")), Some(3));
        assert_eq!(known.copies_in(Some("dc3")), None);
        let simple = Fields::of([(
            "replication",
            map(&[
                ("class", "org.apache.cassandra.locator.SimpleStrategy"),
                ("replication_factor", "1"),
            ]),
        )]);
        assert_eq!(
            replication(&simple).unwrap().copies_in(Some("anything")),
            Some(1)
        );
    }

    #[test]
    fn a_table_has_its_window_in_seconds_and_a_short_class() {
        let row = Fields::of([
            ("table_name", text("application_logs")),
            (
                "compaction",
                map(&[
                    (
                        "class",
                        "org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy",
                    ),
                    ("compaction_window_unit", "HOURS"),
                    ("compaction_window_size", "12"),
                ]),
            ),
            (
                "compression",
                map(&[
                    ("class", "org.apache.cassandra.io.compress.ZstdCompressor"),
                    ("chunk_length_in_kb", "64"),
                ]),
            ),
            ("default_time_to_live", CqlValue::Int(7_776_000)),
        ]);
        let options = table(&row).unwrap();
        assert_eq!(options.window_seconds, Some(12 * 3_600));
        assert_eq!(options.compression.as_deref(), Some("ZstdCompressor"));
        assert_eq!(options.default_ttl_seconds, 7_776_000);
        assert_eq!(
            table(&Fields::of([("table_name", text("watermarks"))])),
            None
        );
    }

    #[test]
    fn rows_without_ttl_and_overdue_rows_are_counted() {
        let now = Timestamp::from_seconds(100 * 86_400);
        let row = |ttl: Option<i32>, age_days: i64| {
            let last = CqlValue::BigInt(now.micros() - age_days * 86_400_000_000);
            Fields::of(
                ttl.map(|ttl| ("ttl", CqlValue::Int(ttl)))
                    .into_iter()
                    .chain([("last_us", last)]),
            )
        };
        let rows = [row(Some(60), 1), row(None, 2), row(Some(60), 95)];
        let mut sample = Sample::default();
        let settings = Some(LogSettings {
            retention_days: 90,
            window_days: 3,
        });
        judge(&rows, settings, now, &mut sample);
        assert_eq!((sample.rows, sample.without_ttl, sample.overdue), (3, 1, 1));
        assert_eq!(sample.oldest_overdue_days, Some(95));
        // For ever is for ever.
        let mut sample = Sample::default();
        judge(
            &rows,
            Some(LogSettings {
                retention_days: 0,
                window_days: 3,
            }),
            now,
            &mut sample,
        );
        assert_eq!(sample.overdue, 0);
    }

    #[test]
    fn a_spread_has_both_ends() {
        let days: Vec<u32> = (0..90).collect();
        assert_eq!(spread(&days, 4), [0, 29, 59, 89]);
        assert_eq!(spread(&days[..2], 4), [0, 1]);
        assert_eq!(spread(&days, 1), [45]);
        assert!(spread::<u32>(&[], 4).is_empty());
    }
}
