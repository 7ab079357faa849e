//! Makes the database, brings its tables up to date, and says which version they are.
//!
//! Own code instead of the driver's migrator, for three reasons. DDL commits by itself on these
//! servers: the driver's marks a migration that was interrupted as dirty and asks for a repair by
//! hand, ours repeats it (each statement of `migrations/mysql` may run again). A newer schema must
//! be told from a damaged one. And the driver waits for another host's lock for ever.
//!
//! Promises: two hosts may migrate at once, one does it and the other finds it done; a database of
//! a newer version, or with tables of something else, is left as it is.

use sqlx::mysql::MySqlConnection;
use sqlx::{Connection as _, SqlSafeStr as _, SqlStr};

use crate::domain::time::Timestamp;
use crate::store::error::{Backend, StoreError};

use super::errors::{number, store_error};
use super::options::{MySqlOptions, Purpose};

/// A migration that was published is never edited; its place in the list is its version.
const MIGRATIONS: &[(&str, &str)] = &[
    ("delivery", include_str!("../../../migrations/mysql/0001_delivery.sql")),
    ("improvement", include_str!("../../../migrations/mysql/0002_improvement.sql")),
    ("operation", include_str!("../../../migrations/mysql/0003_operation.sql")),
];

/// How long one host waits while another one migrates, in seconds.
const LOCK_WAIT_SECONDS: u32 = 60;

/// Which version a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// What the server says that it is: `10.11.19-MariaDB`, `8.0.43`.
    pub server: String,
    /// The newest version that is wholly there; 0 for an empty database.
    pub found: i64,
    /// The version that this program needs.
    pub known: i64,
}

impl SchemaStatus {
    /// Fails unless the schema is the one that this program needs.
    pub fn check(&self, address: String) -> Result<(), StoreError> {
        let (found, known) = (self.found, self.known);
        match found {
            0 => Err(StoreError::MissingSchema {
                backend: Backend::MySql,
                address,
                detail: "the database is empty".to_owned(),
            }),
            _ if found < known => Err(StoreError::OlderSchema { address, found, known }),
            _ if found > known => Err(StoreError::NewerSchema { address, found, known }),
            _ => Ok(()),
        }
    }
}

/// The version that this program needs.
pub fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Makes the database when it is not there, then does what [`migrate`] does.
pub async fn init(options: &MySqlOptions) -> Result<SchemaStatus, StoreError> {
    let failed = |error| store_error(error, options);
    let mut connection = options.connect_once(Purpose::Server).await?;
    let exists: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?")
            .bind(&options.database)
            .fetch_optional(&mut connection)
            .await
            .map_err(failed)?;
    if exists.is_none() {
        // A backquote inside of a quoted name is doubled.
        let name = options.database.replace('`', "``");
        let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
        sqlx::raw_sql(trusted(create)).execute(&mut connection).await.map_err(failed)?;
    }
    connection.close().await.map_err(failed)?;
    migrate(options).await
}

/// Brings the tables of an existing database up to date; does nothing when they are.
pub async fn migrate(options: &MySqlOptions) -> Result<SchemaStatus, StoreError> {
    let mut connection = options.connect_once(Purpose::Write).await?;
    let done = migrate_to(&mut connection, options, MIGRATIONS).await;
    // Also gives the lock back.
    connection.close().await.ok();
    done
}

/// Which version the database is; it may be empty, but it must be there.
pub async fn status(options: &MySqlOptions) -> Result<SchemaStatus, StoreError> {
    let mut connection = options.connect_once(Purpose::Read).await?;
    let found = read(&mut connection, options).await;
    connection.close().await.ok();
    found
}

async fn read(connection: &mut MySqlConnection, options: &MySqlOptions) -> Result<SchemaStatus, StoreError> {
    let failed = |error| store_error(error, options);
    let server: String =
        sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *connection).await.map_err(failed)?;
    let versions: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT MAX(version) FROM schema_migrations WHERE finished_at IS NOT NULL")
            .fetch_one(connection)
            .await;
    let found = match versions {
        Ok(newest) => newest.unwrap_or(0),
        Err(error) if number(&error) == Some(1146) => 0,
        Err(error) if number(&error) == Some(1054) => return Err(foreign(options, "schema_migrations")),
        Err(error) => return Err(failed(error)),
    };
    Ok(SchemaStatus { server, found, known: known() })
}

async fn migrate_to(
    connection: &mut MySqlConnection,
    options: &MySqlOptions,
    migrations: &[(&str, &str)],
) -> Result<SchemaStatus, StoreError> {
    let failed = |error| store_error(error, options);
    lock(connection, options).await?;
    let status = read(connection, options).await?;
    if status.found > status.known {
        status.check(options.address())?;
    }
    if status.found == status.known {
        return Ok(status);
    }
    refuse_tables_of_others(connection, options).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
             version     BIGINT       NOT NULL PRIMARY KEY,
             name        VARCHAR(100) NOT NULL,
             started_at  BIGINT       NOT NULL,
             finished_at BIGINT
         ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    for (version, (name, statements)) in (1_i64..).zip(migrations).skip(status.found as usize) {
        sqlx::query(
            "INSERT INTO schema_migrations (version, name, started_at) VALUES (?, ?, ?)
             ON DUPLICATE KEY UPDATE started_at = VALUES(started_at)",
        )
        .bind(version)
        .bind(*name)
        .bind(Timestamp::now().micros())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        sqlx::raw_sql(trusted((*statements).to_owned())).execute(&mut *connection).await.map_err(failed)?;
        sqlx::query("UPDATE schema_migrations SET finished_at = ? WHERE version = ?")
            .bind(Timestamp::now().micros())
            .bind(version)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    read(connection, options).await
}

/// One host at a time. The lock belongs to the connection and ends with it.
async fn lock(connection: &mut MySqlConnection, options: &MySqlOptions) -> Result<(), StoreError> {
    // Locks are the server's, not the database's, and a name has at most 64 characters.
    let name = format!("atalaya.{}", &blake3::hash(options.database.as_bytes()).to_hex()[..32]);
    let taken: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
        .bind(name)
        .bind(LOCK_WAIT_SECONDS)
        .fetch_one(connection)
        .await
        .map_err(|error| store_error(error, options))?;
    if taken == Some(1) {
        return Ok(());
    }
    let reason =
        format!("another host has been migrating this database for {LOCK_WAIT_SECONDS} s; try again later");
    Err(StoreError::Unavailable {
        backend: Backend::MySql,
        address: options.address(),
        source: reason.into(),
    })
}

/// Tables with our names but without our record of migrations belong to something else, and
/// `CREATE TABLE IF NOT EXISTS` would take them for ours.
async fn refuse_tables_of_others(
    connection: &mut MySqlConnection,
    options: &MySqlOptions,
) -> Result<(), StoreError> {
    let table: Option<String> = sqlx::query_scalar(
        "SELECT CONVERT(table_name USING utf8mb4) FROM information_schema.tables
         WHERE table_schema = DATABASE()
             AND table_name IN ('sources', 'cycles', 'dora_metrics', 'deployments', 'deployment_commits',
                 'incidents', 'pull_requests', 'targets', 'pdca_cycles', 'pdca_events', 'health_samples',
                 'alerts', 'jobs', 'job_runs', 'api_tokens', 'audit_log')
             AND NOT EXISTS (SELECT 1 FROM information_schema.tables
                 WHERE table_schema = DATABASE() AND table_name = 'schema_migrations')
         LIMIT 1",
    )
    .fetch_optional(connection)
    .await
    .map_err(|error| store_error(error, options))?;
    table.map_or(Ok(()), |table| Err(foreign(options, &table)))
}

fn foreign(options: &MySqlOptions, table: &str) -> StoreError {
    let reason = format!(
        "the database at {} has a table `{table}` of something else; give atalaya a database of its own",
        options.address()
    );
    StoreError::Refused { backend: Backend::MySql, source: reason.into() }
}

/// SQL made of our own constants and of a quoted name only.
fn trusted(sql: String) -> SqlStr {
    sqlx::AssertSqlSafe(sql).into_sql_str()
}
