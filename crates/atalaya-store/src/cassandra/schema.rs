//! The schema of a keyspace: made by `atalaya db init`, brought up by `atalaya db migrate`, and
//! looked at by everyone who connects.
//!
//! The files of `cql/` are applied in their order, each once, and noted in `schema_migrations`. Every
//! statement is safe to repeat, so a host that dies half-way leaves nothing that the next one cannot
//! finish. Two hosts at once take turns by a lease (`cql/0000_lease.cql`).

use std::collections::BTreeMap;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

use crate::error::{Backend, StoreError};
use atalaya_domain::backoff::Backoff;
use atalaya_domain::time::Timestamp;

use super::CassandraOptions;
use super::errors::store_error;

mod lease;
mod settings;

pub use atalaya_domain::layout::Replication;
use lease::Lease;
pub use settings::SchemaSettings;
use settings::keyspace_statement;

const LEASE: &str = include_str!("../../../../cql/0000_lease.cql");
/// Number n is version n + 1.
const MIGRATIONS: [(&str, &str); 5] = [
    ("chunks", include_str!("../../../../cql/0001_chunks.cql")),
    (
        "request_index",
        include_str!("../../../../cql/0002_request_index.cql"),
    ),
    (
        "arrivals",
        include_str!("../../../../cql/0003_arrivals.cql"),
    ),
    (
        "watermarks",
        include_str!("../../../../cql/0004_watermarks.cql"),
    ),
    (
        "summary_blocks",
        include_str!("../../../../cql/0005_summary_blocks.cql"),
    ),
];
/// The version that this program works with.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// A change of the schema waits for every node; a busy one takes its time.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Attempts at one step when a node does not answer in time, and the pauses between them.
const ATTEMPTS: u32 = 4;
const PAUSES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_millis(800));

/// One file of `cql/` that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    pub version: i64,
    pub name: String,
    pub applied_at: Timestamp,
    /// The host that did it.
    pub applied_by: String,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    pub keyspace: String,
    /// The version found; `None` when there is no keyspace, or nothing of ours in it.
    pub version: Option<i64>,
    /// The version that this program works with.
    pub known: i64,
    pub settings: Option<SchemaSettings>,
    /// Ascending.
    pub migrations: Vec<AppliedMigration>,
}

/// Makes the keyspace and everything in it. Where it exists already, what is missing is added and
/// the settings in it stay as they are: the status says which are in force.
pub async fn init(
    session: &Session,
    options: &CassandraOptions,
    settings: &SchemaSettings,
) -> Result<SchemaStatus, StoreError> {
    settings.check()?;
    let ddl = Ddl::new(session, options)?;
    ddl.run(&keyspace_statement(
        &options.keyspace,
        &settings.replication,
    ))
    .await?;
    ddl.apply(Some(settings)).await?;
    status(session, options).await
}

/// Brings an older schema up to this program's version.
pub async fn migrate(
    session: &Session,
    options: &CassandraOptions,
) -> Result<SchemaStatus, StoreError> {
    let ddl = Ddl::new(session, options)?;
    let before = status(session, options).await?;
    if before.version.is_none() {
        return Err(missing(options, "nothing to migrate"));
    }
    ddl.apply(None).await?;
    status(session, options).await
}

/// What is there; changes nothing.
pub async fn status(
    session: &Session,
    options: &CassandraOptions,
) -> Result<SchemaStatus, StoreError> {
    let ddl = Ddl::new(session, options)?;
    let mut status = SchemaStatus {
        keyspace: options.keyspace.clone(),
        version: None,
        known: VERSION,
        settings: None,
        migrations: Vec::new(),
    };
    let tables = ddl
        .query(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
            (&options.keyspace,),
        )
        .await?;
    let tables: Vec<String> = rows::<(String,)>(tables, "system_schema.tables")?
        .into_iter()
        .map(|(name,)| name)
        .collect();
    let has = |table: &str| tables.iter().any(|known| known == table);
    if !has("schema_migrations") || !has("settings") {
        return Ok(status);
    }
    let found = ddl
        .query(
            &format!(
                "SELECT version, name, applied_at, applied_by FROM {}.schema_migrations",
                options.keyspace
            ),
            (),
        )
        .await?;
    status.migrations = rows::<(i32, String, CqlTimestamp, String)>(found, "schema_migrations")?
        .into_iter()
        .map(|(version, name, applied_at, applied_by)| AppliedMigration {
            version: version.into(),
            name,
            applied_at: Timestamp::from_millis(applied_at.0),
            applied_by,
        })
        .collect();
    status.migrations.sort_by_key(|migration| migration.version);
    let settings = ddl.settings().await?;
    if !settings.is_empty() {
        status.settings = Some(SchemaSettings::from_rows(&settings)?);
        status.version = status.migrations.last().map(|migration| migration.version);
    }
    Ok(status)
}

/// The settings of a schema of exactly this program's version; else an error that says what to do.
pub(super) async fn require(
    session: &Session,
    options: &CassandraOptions,
) -> Result<SchemaSettings, StoreError> {
    let found = status(session, options).await?;
    let (Some(version), Some(settings)) = (found.version, found.settings) else {
        return Err(missing(options, "the keyspace or its tables are not there"));
    };
    let address = options.address();
    match version.cmp(&VERSION) {
        std::cmp::Ordering::Less => Err(StoreError::OlderSchema {
            address,
            found: version,
            known: VERSION,
        }),
        std::cmp::Ordering::Greater => Err(StoreError::NewerSchema {
            address,
            found: version,
            known: VERSION,
        }),
        std::cmp::Ordering::Equal => Ok(settings),
    }
}

/// Statements that change the schema, each repeated when a node does not answer in time.
struct Ddl<'a> {
    session: &'a Session,
    options: &'a CassandraOptions,
    keyspace: &'a str,
}

impl<'a> Ddl<'a> {
    fn new(session: &'a Session, options: &'a CassandraOptions) -> Result<Self, StoreError> {
        check_keyspace(&options.keyspace)?;
        Ok(Self {
            session,
            options,
            keyspace: &options.keyspace,
        })
    }

    async fn apply(&self, settings: Option<&SchemaSettings>) -> Result<(), StoreError> {
        for statement in statements(LEASE) {
            let id = table_id(self.keyspace, "schema_lease").to_string();
            self.run(
                &statement
                    .replace("{keyspace}", self.keyspace)
                    .replace("{lease_id}", &id),
            )
            .await?;
        }
        let lease = Lease::take(self).await?;
        let applied = self.apply_missing(&lease, settings).await;
        let returned = lease.give_back().await;
        applied?;
        returned
    }

    async fn apply_missing(
        &self,
        lease: &Lease<'_>,
        settings: Option<&SchemaSettings>,
    ) -> Result<(), StoreError> {
        let before = status(self.session, self.options).await?;
        let settings = match (before.settings, settings) {
            (Some(known), _) => known,
            (None, Some(chosen)) => chosen.clone(),
            (None, None) => return Err(missing(self.options, "it has no settings")),
        };
        let applied = before
            .migrations
            .last()
            .map_or(0, |migration| migration.version);
        if applied > VERSION {
            return Err(StoreError::NewerSchema {
                address: self.options.address(),
                found: applied,
                known: VERSION,
            });
        }
        let retention = (u64::from(settings.retention_days) * 86_400).to_string();
        for (version, (name, text)) in (1_i64..).zip(MIGRATIONS) {
            if before
                .migrations
                .iter()
                .any(|migration| migration.version == version)
            {
                continue;
            }
            for statement in statements(text) {
                lease.renew().await?;
                let statement = statement
                    .replace("{keyspace}", self.keyspace)
                    .replace("{window_days}", &settings.window_days.to_string())
                    .replace("{retention_seconds}", &retention);
                self.run(&statement).await?;
            }
            if version == 1 {
                for (name, value) in settings.rows() {
                    let insert = format!(
                        "INSERT INTO {}.settings (name, value) VALUES (?, ?)",
                        self.keyspace
                    );
                    self.query(&insert, (name, value)).await?;
                }
            }
            let insert = format!(
                "INSERT INTO {}.schema_migrations (version, name, applied_at, applied_by) VALUES (?, ?, ?, ?)",
                self.keyspace
            );
            let version = i32::try_from(version).unwrap_or(i32::MAX);
            let now = CqlTimestamp(Timestamp::now().micros().div_euclid(1_000));
            self.query(&insert, (version, name, now, host_name()))
                .await?;
        }
        Ok(())
    }

    async fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let found = self
            .query(
                &format!("SELECT name, value FROM {}.settings", self.keyspace),
                (),
            )
            .await?;
        Ok(rows::<(String, String)>(found, "settings")?
            .into_iter()
            .collect())
    }

    async fn run(&self, statement: &str) -> Result<QueryResult, StoreError> {
        self.query(statement, ()).await
    }

    async fn query(
        &self,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<QueryResult, StoreError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(STEP_LIMIT));
        statement.set_is_idempotent(true);
        if text.starts_with("INSERT") {
            // Read back by every host, hence not on one node only.
            statement.set_consistency(Consistency::Quorum);
        }
        let mut attempt = 1;
        loop {
            let failed = match self.session.query_unpaged(statement.clone(), &values).await {
                Ok(result) => return Ok(result),
                // The change is made; some node has not heard of it yet, and the next step waits again.
                Err(ExecutionError::SchemaAgreementError(error)) => {
                    tracing::warn!(%error, "nodes do not agree on the schema yet");
                    self.error(ExecutionError::SchemaAgreementError(error))
                }
                Err(error) => self.error(error),
            };
            if attempt >= ATTEMPTS || !failed.is_transient() {
                return Err(failed);
            }
            tokio::time::sleep(PAUSES.after(attempt)).await;
            attempt += 1;
        }
    }
}

impl Ddl<'_> {
    fn error(&self, error: ExecutionError) -> StoreError {
        store_error(error, &self.options.address(), "change of the schema")
    }
}

fn rows<T>(result: QueryResult, table: &'static str) -> Result<Vec<T>, StoreError>
where
    T: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
{
    let corrupt = |error: &dyn std::error::Error| StoreError::Corrupt {
        table,
        detail: error.to_string(),
    };
    let rows = result.into_rows_result().map_err(|error| corrupt(&error))?;
    let rows = rows.rows::<T>().map_err(|error| corrupt(&error))?;
    rows.collect::<Result<_, _>>()
        .map_err(|error| corrupt(&error))
}

/// The statements of a file, without its comments.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split_once("--").map_or(line, |(code, _)| code))
        .collect();
    let statements = code.join("\n");
    statements
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Names stand in the statements as they are.
fn check_keyspace(keyspace: &str) -> Result<(), StoreError> {
    let fits = keyspace.len() <= 48
        && keyspace.starts_with(|first: char| first.is_ascii_lowercase())
        && keyspace
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fits {
        return Ok(());
    }
    Err(StoreError::BadSetting {
        name: "stores.logs",
        reason: format!(
            "`{keyspace}` is no name of a keyspace: at most 48 lower-case letters, digits and _, a letter first"
        ),
    })
}

/// Always the same for the same name.
fn table_id(keyspace: &str, table: &str) -> Uuid {
    let mut id = [0_u8; 16];
    let hash = blake3::hash(format!("atalaya {keyspace}.{table}").as_bytes());
    id.copy_from_slice(&hash.as_bytes()[..16]);
    // Looks like the random ids that Cassandra gives.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Uuid::from_bytes(id)
}

pub(super) fn host_name() -> String {
    hostname::get()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

fn missing(options: &CassandraOptions, detail: &str) -> StoreError {
    StoreError::MissingSchema {
        backend: Backend::Cassandra,
        address: options.address(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_statement_of_the_files_can_be_repeated() {
        for (name, text) in MIGRATIONS.into_iter().chain([("lease", LEASE)]) {
            let statements = statements(text);
            assert!(!statements.is_empty());
            for statement in statements {
                // An option that is set again is as it was; a column that is added again is an error.
                let mut words = statement.split_whitespace();
                let sets_options = words.next() == Some("ALTER")
                    && words.next() == Some("TABLE")
                    && words
                        .next()
                        .is_some_and(|table| table.starts_with("{keyspace}."))
                    && words.next() == Some("WITH");
                let makes = statement.contains("IF NOT EXISTS {keyspace}.");
                assert!(makes || sets_options, "{name}: {statement}");
            }
        }
    }

    #[test]
    fn names_that_would_change_a_statement_are_refused() {
        for name in ["", "1a", "Logs", "a;b", "a b", "a\"b", &"a".repeat(49)] {
            assert!(check_keyspace(name).is_err(), "{name}");
        }
        for name in ["logging", "t_cass_0f", &"a".repeat(48)] {
            check_keyspace(name).unwrap();
        }
    }
}
