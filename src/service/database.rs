//! The schemas of the configured stores: made, brought up to date, and looked at.
//!
//! Each of the two stores is asked on its own, so that one that fails does not hide the other.
//! Everything may be repeated, and two hosts may do it at once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Settings;
use crate::config::places::{CassandraPlace, LayoutWishes, LogsPlace, MetricsPlace, MySqlPlace};
use atalaya_store::cassandra::{connect, schema};
use atalaya_store::error::{Backend, StoreError};
use atalaya_store::mysql;
use atalaya_store::sqlite::chunks::SqliteChunkStore;
use atalaya_store::sqlite::metrics::SqliteMetricsStore;

use super::describe;
use super::stores::{advised_logs, advised_metrics, cassandra_options, mysql_options};

/// What is to be done with the schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make what is missing, with these wishes.
    Init(LayoutWishes),
    /// Bring what is there up to date.
    Migrate,
    /// Change nothing.
    Status,
}

/// How a schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As this program needs it.
    Current,
    /// There is no database, keyspace or table of ours.
    Missing,
    Older,
    Newer,
    /// It could not be found out: see the problem.
    Unknown,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Unknown => "unknown",
        }
    }

    fn of(error: &StoreError) -> Self {
        match error {
            StoreError::MissingSchema { .. } => Self::Missing,
            StoreError::OlderSchema { .. } => Self::Older,
            StoreError::NewerSchema { .. } => Self::Newer,
            _ => Self::Unknown,
        }
    }
}

/// One step of a schema that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub version: i64,
    pub name: String,
    pub applied_at: String,
    pub applied_by: String,
}

/// One store's schema.
#[derive(Clone, Debug, Serialize)]
pub struct SchemaReport {
    /// `logs` or `metrics`.
    pub store: &'static str,
    pub backend: String,
    pub address: String,
    pub state: State,
    /// The version that is there.
    pub version: Option<i64>,
    /// The version that this program needs.
    pub needed: Option<i64>,
    /// What the server says that it is.
    pub server: Option<String>,
    /// What all hosts agree on, as it is in the store.
    pub settings: BTreeMap<&'static str, String>,
    pub migrations: Vec<Step>,
    /// What is worth knowing although it is no problem.
    pub notes: Vec<String>,
    /// Why the state is not `current`, with the remedy.
    pub problem: Option<String>,
}

impl SchemaReport {
    fn new(store: &'static str, backend: Backend, address: String) -> Self {
        Self {
            store,
            backend: backend.to_string(),
            address,
            state: State::Current,
            version: None,
            needed: None,
            server: None,
            settings: BTreeMap::new(),
            migrations: Vec::new(),
            notes: Vec::new(),
            problem: None,
        }
    }

    pub const fn is_current(&self) -> bool {
        matches!(self.state, State::Current)
    }

    fn failed(&mut self, error: &StoreError) {
        self.state = State::of(error);
        self.problem = Some(describe(error));
        if let StoreError::OlderSchema { found, known, .. }
        | StoreError::NewerSchema { found, known, .. } = error
        {
            self.version = Some(*found);
            self.needed = Some(*known);
        }
    }
}

/// Does it for both stores; the reports are those of afterwards.
pub async fn run(settings: &Settings, task: &Task) -> Vec<SchemaReport> {
    // Boxed, as the drivers' futures are large.
    let (logs, metrics) = tokio::join!(
        Box::pin(logs(settings, task)),
        Box::pin(metrics(settings, task))
    );
    vec![logs, metrics]
}

async fn logs(settings: &Settings, task: &Task) -> SchemaReport {
    match &settings.logs_place {
        LogsPlace::Embedded => {
            let path = settings.logs_database();
            let mut report = SchemaReport::new("logs", Backend::Sqlite, path.display().to_string());
            if *task == Task::Status && !path.exists() {
                report
                    .notes
                    .push("not there yet; the first command that needs it makes it".to_owned());
            } else if let Err(error) = SqliteChunkStore::open(&path).await {
                report.failed(&error);
            }
            report
        }
        LogsPlace::Cassandra(place) => cassandra(place, task).await,
    }
}

async fn metrics(settings: &Settings, task: &Task) -> SchemaReport {
    match &settings.metrics_place {
        MetricsPlace::Embedded => {
            let path = settings.metrics_database();
            let mut report =
                SchemaReport::new("metrics", Backend::Sqlite, path.display().to_string());
            if *task == Task::Status && !path.exists() {
                report
                    .notes
                    .push("not there yet; the first command that needs it makes it".to_owned());
            } else if let Err(error) = SqliteMetricsStore::open(&path).await {
                report.failed(&error);
            }
            report
        }
        MetricsPlace::MySql(place) => mysql(place, task).await,
    }
}

async fn cassandra(place: &CassandraPlace, task: &Task) -> SchemaReport {
    let options = cassandra_options(place);
    let address = options.address();
    let mut report = SchemaReport::new("logs", Backend::Cassandra, address.clone());
    report.needed = Some(schema::VERSION);
    let done = async {
        let session = Box::pin(connect::connect(&options))
            .await
            .map_err(advised_logs)?;
        match task {
            Task::Init(wishes) => {
                let wishes = wishes.clone().or(&place.layout);
                schema::init(&session, &options, &schema_settings(&wishes)).await
            }
            Task::Migrate => schema::migrate(&session, &options).await,
            Task::Status => schema::status(&session, &options).await,
        }
    };
    let status = match done.await {
        Ok(status) => status,
        Err(error) => {
            report.failed(&error);
            return report;
        }
    };
    report.version = status.version;
    report.migrations = status
        .migrations
        .into_iter()
        .map(|step| Step {
            version: step.version,
            name: step.name,
            applied_at: step.applied_at.to_rfc3339(),
            applied_by: step.applied_by,
        })
        .collect();
    if let Some(settings) = &status.settings {
        report.settings = named(settings);
        let mut wishes = place.layout.clone();
        if let Task::Init(asked) = task {
            wishes = asked.clone().or(&wishes);
        }
        report.notes = differences(&wishes, &report.settings);
    }
    let problem = match status.version {
        None => Some(StoreError::MissingSchema {
            backend: Backend::Cassandra,
            address,
            detail: "the keyspace or its tables are not there".to_owned(),
        }),
        Some(found) if found < status.known => Some(StoreError::OlderSchema {
            address,
            found,
            known: status.known,
        }),
        Some(found) if found > status.known => Some(StoreError::NewerSchema {
            address,
            found,
            known: status.known,
        }),
        Some(_) => None,
    };
    if let Some(error) = problem {
        report.failed(&error);
    }
    report
}

async fn mysql(place: &MySqlPlace, task: &Task) -> SchemaReport {
    let options = mysql_options(place);
    let mut report = SchemaReport::new("metrics", Backend::MySql, options.address());
    let done = match task {
        Task::Init(_) => mysql::init(&options).await,
        Task::Migrate => match mysql::status(&options).await {
            // As for the logs: what was never made is not migrated.
            Ok(status) if status.found == 0 => Ok(status),
            Ok(_) => mysql::migrate(&options).await,
            Err(error) => Err(error),
        },
        Task::Status => mysql::status(&options).await,
    };
    match done.map_err(advised_metrics) {
        Ok(status) => {
            report.version = (status.found > 0).then_some(status.found);
            report.needed = Some(status.known);
            report.server = Some(status.server.clone());
            if let Err(error) = status.check(options.address()) {
                report.failed(&error);
            }
        }
        Err(error) => report.failed(&error),
    }
    report
}

/// The wishes with the defaults of the schema for what was not wished.
fn schema_settings(wishes: &LayoutWishes) -> schema::SchemaSettings {
    let defaults = schema::SchemaSettings::default();
    schema::SchemaSettings {
        replication: wishes.replication.clone().unwrap_or(defaults.replication),
        bucket_minutes: wishes.bucket_minutes.unwrap_or(defaults.bucket_minutes),
        shards: wishes.shards.unwrap_or(defaults.shards),
        window_days: wishes.window_days.unwrap_or(defaults.window_days),
        retention_days: wishes
            .retention_days
            .map_or(defaults.retention_days, u32::from),
    }
}

fn named(settings: &schema::SchemaSettings) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("replication", settings.replication.to_string()),
        ("bucket_minutes", settings.bucket_minutes.to_string()),
        ("shards", settings.shards.to_string()),
        ("window_days", settings.window_days.to_string()),
        ("retention_days", settings.retention_days.to_string()),
    ])
}

/// Wishes that the keyspace does not have: it was made with other ones, and keeps them.
fn differences(wishes: &LayoutWishes, in_force: &BTreeMap<&'static str, String>) -> Vec<String> {
    let wished = [
        (
            "replication",
            wishes.replication.as_ref().map(ToString::to_string),
        ),
        (
            "bucket_minutes",
            wishes.bucket_minutes.map(|minutes| minutes.to_string()),
        ),
        ("shards", wishes.shards.map(|shards| shards.to_string())),
        (
            "window_days",
            wishes.window_days.map(|days| days.to_string()),
        ),
        (
            "retention_days",
            wishes.retention_days.map(|days| days.to_string()),
        ),
    ];
    wished
        .into_iter()
        .filter_map(|(name, wish)| {
            let (wish, kept) = (wish?, in_force.get(name)?);
            (wish != *kept).then(|| {
                format!("{name} {wish} was asked for, but the keyspace was made with {kept} and keeps it")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::places::Replication;

    #[test]
    fn what_was_not_wished_is_the_default_and_a_wish_that_came_too_late_is_told() {
        let wishes = LayoutWishes {
            replication: Some(Replication::Datacenters(BTreeMap::from([(
                "dc1".to_owned(),
                3,
            )]))),
            shards: Some(4),
            ..LayoutWishes::default()
        };
        let settings = schema_settings(&wishes);
        assert_eq!((settings.shards, settings.bucket_minutes), (4, 10));
        let in_force = named(&settings);
        assert_eq!(in_force["replication"], "dc1=3");
        assert!(differences(&wishes, &in_force).is_empty());
        let later = LayoutWishes {
            shards: Some(8),
            ..wishes
        };
        let notes = differences(&later, &in_force);
        assert_eq!(
            notes,
            ["shards 8 was asked for, but the keyspace was made with 4 and keeps it"]
        );
    }
}
