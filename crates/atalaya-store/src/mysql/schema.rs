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

use crate::error::{Backend, StoreError};
use atalaya_domain::time::Timestamp;

use super::errors::{number, store_error};
use super::options::{MySqlOptions, Purpose};

/// A migration that was published is never edited; its place in the list is its version.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "delivery",
        include_str!("../../../../migrations/mysql/0001_delivery.sql"),
    ),
    (
        "improvement",
        include_str!("../../../../migrations/mysql/0002_improvement.sql"),
    ),
    (
        "operation",
        include_str!("../../../../migrations/mysql/0003_operation.sql"),
    ),
    (
        "service",
        include_str!("../../../../migrations/mysql/0004_service.sql"),
    ),
    (
        "delivery told right",
        include_str!("../../../../migrations/mysql/0005_delivery_told_right.sql"),
    ),
    (
        "backup",
        include_str!("../../../../migrations/mysql/0006_backup.sql"),
    ),
    (
        "alerts",
        include_str!("../../../../migrations/mysql/0007_alerts.sql"),
    ),
    (
        "github",
        include_str!("../../../../migrations/mysql/0008_github.sql"),
    ),
    (
        "pipelines",
        include_str!("../../../../migrations/mysql/0009_pipelines.sql"),
    ),
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
            _ if found < known => Err(StoreError::OlderSchema {
                address,
                found,
                known,
            }),
            _ if found > known => Err(StoreError::NewerSchema {
                address,
                found,
                known,
            }),
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
        sqlx::raw_sql(trusted(create))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
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

async fn read(
    connection: &mut MySqlConnection,
    options: &MySqlOptions,
) -> Result<SchemaStatus, StoreError> {
    let failed = |error| store_error(error, options);
    let server: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let versions: Result<Vec<(i64, Option<i64>)>, _> =
        sqlx::query_as("SELECT version, finished_at FROM schema_migrations ORDER BY version")
            .fetch_all(connection)
            .await;
    let found = match versions {
        Ok(versions) => newest(&versions),
        Err(error) if number(&error) == Some(1146) => 0,
        Err(error) if number(&error) == Some(1054) => {
            return Err(foreign(options, "schema_migrations"));
        }
        Err(error) => return Err(failed(error)),
    };
    Ok(SchemaStatus {
        server,
        found,
        known: known(),
    })
}

/// The version of what was applied: up to the first that was begun and not finished, or a newer one
/// than ours even when it is only being applied.
fn newest(versions: &[(i64, Option<i64>)]) -> i64 {
    let newer = versions
        .iter()
        .map(|(version, _)| *version)
        .filter(|version| *version > known())
        .max();
    let whole = (1..)
        .zip(versions)
        .take_while(|(next, (version, finished))| next == version && finished.is_some());
    newer.unwrap_or_else(|| whole.map(|(next, _)| next).last().unwrap_or(0))
}

/// First releases with everything that the migrations use: CHECK constraints that are enforced,
/// and a collation by code point that does not ignore trailing spaces.
const OLDEST: [(&str, (u32, u32, u32)); 2] = [("MariaDB", (10, 6, 0)), ("MySQL", (8, 0, 17))];

fn refuse_old_server(server: &str) -> Result<(), StoreError> {
    // Proxies put `5.5.5-` before MariaDB's own number.
    let version = server.strip_prefix("5.5.5-").unwrap_or(server);
    let (name, oldest) = OLDEST[usize::from(!server.contains("MariaDB"))];
    let mut numbers = version
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    if (next(), next(), next()) >= oldest {
        return Ok(());
    }
    let (major, minor, patch) = oldest;
    let reason =
        format!("the server is {server}; atalaya needs {name} {major}.{minor}.{patch} or newer");
    Err(StoreError::Refused {
        backend: Backend::MySql,
        source: reason.into(),
    })
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
    refuse_old_server(&status.server)?;
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
        let started_at = Timestamp::now().micros();
        sqlx::query(
            "INSERT INTO schema_migrations (version, name, started_at) VALUES (?, ?, ?)
             ON DUPLICATE KEY UPDATE started_at = ?",
        )
        .bind(version)
        .bind(*name)
        .bind(started_at)
        .bind(started_at)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        sqlx::raw_sql(trusted((*statements).to_owned()))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
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
    let name = format!(
        "atalaya.{}",
        &blake3::hash(options.database.as_bytes()).to_hex()[..32]
    );
    let taken: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
        .bind(name)
        .bind(LOCK_WAIT_SECONDS)
        .fetch_one(connection)
        .await
        .map_err(|error| store_error(error, options))?;
    if taken == Some(1) {
        return Ok(());
    }
    let reason = format!(
        "another host has been migrating this database for {LOCK_WAIT_SECONDS} s; try again later"
    );
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
                 'alerts', 'leases', 'jobs', 'job_runs', 'api_tokens', 'audit_log',
                 'raised_alerts', 'alert_rules', 'alert_silences', 'alert_readings', 'notices', 'outbox')
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
    StoreError::Refused {
        backend: Backend::MySql,
        source: reason.into(),
    }
}

/// SQL made of our own constants and of a quoted name only.
fn trusted(sql: String) -> SqlStr {
    sqlx::AssertSqlSafe(sql).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_refused() {
        for server in [
            "10.6.0-MariaDB",
            "10.11.19-MariaDB-0+deb12u1",
            "5.5.5-11.8.2-MariaDB",
            "8.0.17",
            "8.4.6",
            "9.1.0",
        ] {
            assert!(refuse_old_server(server).is_ok(), "{server}");
        }
        for server in [
            "10.5.29-MariaDB",
            "5.5.5-10.3.1-MariaDB",
            "5.7.44-log",
            "8.0.16",
            "unknown",
        ] {
            assert!(refuse_old_server(server).is_err(), "{server}");
        }
    }

    #[test]
    fn an_unfinished_migration_does_not_count_and_a_newer_one_does() {
        assert_eq!(newest(&[]), 0);
        assert_eq!(newest(&[(1, Some(5)), (2, Some(6))]), 2);
        assert_eq!(newest(&[(1, Some(5)), (2, None), (3, Some(7))]), 1);
        assert_eq!(newest(&[(1, None)]), 0);
        let newer = known() + 1;
        assert_eq!(newest(&[(1, Some(5)), (newer, None)]), newer);
    }
}
