//! Where the database is and who we are: what every connection is made from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::error::{Backend, StoreError};

use super::errors::store_error;

/// How to reach a database of a MySQL or MariaDB server.
#[derive(Clone, Debug)]
pub struct MySqlOptions {
    pub host: String,
    /// 3306 where nothing else is said.
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<SecretString>,
    /// PEM file of who may sign the server's certificate. With it the connection is encrypted and
    /// the server's name is checked, or there is no connection. Without it the connection is
    /// encrypted when the server offers it, and the certificate is not checked.
    pub ca_file: Option<PathBuf>,
    pub connect_timeout: Duration,
    /// After this one statement is given up and its connection closed.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock of another transaction before its own is tried anew:
    /// whole seconds, at least one.
    pub lock_timeout: Duration,
}

impl MySqlOptions {
    /// Port 3306, 5 s a connection, 30 s a statement, 5 s a lock, neither password nor certificate.
    pub fn new(
        host: impl Into<String>,
        database: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port: 3306,
            database: database.into(),
            user: user.into(),
            password: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
        }
    }

    /// For messages: `db1:3306/atalaya`.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    pub(super) fn driver(&self, purpose: Purpose) -> MySqlConnectOptions {
        let mut driver = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            // `Purpose::prepare` sets the whole of `sql_mode`.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        if purpose != Purpose::Server {
            driver = driver.database(&self.database);
        }
        if let Some(password) = &self.password {
            driver = driver.password(password.expose_secret());
        }
        match &self.ca_file {
            Some(file) => driver.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(file),
            None => driver.ssl_mode(MySqlSslMode::Preferred),
        }
    }

    /// One connection outside of any pool, so that what is wrong is said as it is.
    pub(super) async fn connect_once(
        &self,
        purpose: Purpose,
    ) -> Result<MySqlConnection, StoreError> {
        if let Some(file) = &self.ca_file {
            // The driver's own message does not name the file.
            tokio::fs::metadata(file).await.map_err(|error| {
                let reason = format!("cannot read the ca_file {}: {error}", file.display());
                StoreError::Refused {
                    backend: Backend::MySql,
                    source: reason.into(),
                }
            })?;
        }
        let opened = async {
            let mut connection = self.driver(purpose).connect().await?;
            purpose.prepare(&mut connection, self.lock_timeout).await?;
            Ok(connection)
        };
        match tokio::time::timeout(self.connect_timeout, opened).await {
            Ok(opened) => opened.map_err(|error| store_error(error, self)),
            Err(_) => Err(StoreError::Unavailable {
                backend: Backend::MySql,
                address: self.address(),
                source: format!("no connection within {:?}", self.connect_timeout).into(),
            }),
        }
    }
}

/// What a connection is for; it decides how its session behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// No database chosen: to make it.
    Server,
    /// Cannot write; a transaction sees one state of the database.
    Read,
    /// A locking read sees what others committed, and takes no lock on gaps between rows: with
    /// those, two writers of new rows that know nothing of each other would deadlock.
    Write,
}

impl Purpose {
    /// Settles what a server may have been configured to do otherwise.
    ///
    /// Strict, because a server that is not cuts a text that is too long and says nothing. A host
    /// that vanishes inside a transaction holds its locks no longer than `wait_timeout`; idle
    /// connections of ours are closed before that.
    pub(super) async fn prepare(
        self,
        connection: &mut MySqlConnection,
        lock_timeout: Duration,
    ) -> Result<(), sqlx::Error> {
        let transactions = match self {
            Self::Read => "REPEATABLE READ, READ ONLY",
            Self::Server | Self::Write => "READ COMMITTED, READ WRITE",
        };
        let lock_seconds = lock_timeout.as_secs().max(1);
        let settings = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL {transactions};
             SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO',
                 foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = {lock_seconds},
                 wait_timeout = 120"
        );
        sqlx::raw_sql(AssertSqlSafe(settings))
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl fmt::Display for MySqlOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "mysql://{}@{}", self.user, self.address())
    }
}
