//! One connection of either database, so that a statement and what is done with its rows is
//! written once.

use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow};

use crate::error::{Backend, StoreError};
use atalaya_domain::time::Timestamp;

/// What stops a piece of work: the driver, or what was found in the database.
#[derive(Debug)]
pub(crate) enum Failure {
    Driver(sqlx::Error),
    /// No answer in time. The connection is in the middle of something and must be closed.
    Silent(Duration),
    Store(StoreError),
}

impl Failure {
    /// Whether the connection is still in step with the server: it answered, or was not asked.
    pub fn leaves_it_usable(&self) -> bool {
        match self {
            Self::Driver(error) => matches!(error, sqlx::Error::Database(_)),
            Self::Silent(_) => false,
            Self::Store(_) => true,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Rows of a kind that both databases give.
pub(crate) trait Stored:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

impl<T> Stored for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

/// A statement with `?` for its values, in the words of each database where they differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub sqlite: &'static str,
    pub mysql: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self {
            sqlite: both,
            mysql: both,
        }
    }
}

/// A `SELECT` of rows that the transaction is about to change. SQLite has one writer, who has the
/// lock from the start; elsewhere others wait here, or this waits for them, and then sees what they
/// wrote.
macro_rules! locking {
    ($select:literal) => {
        $crate::metrics::sql::connection::Sql {
            sqlite: $select,
            mysql: concat!($select, " FOR UPDATE"),
        }
    };
}
pub(crate) use locking;

/// A statement on `dora_metrics`, with `at` where the column of the phase's instant stands: see
/// the header of `migrations/mysql/0001_delivery.sql`.
macro_rules! of_phases {
    ($first:literal $(at $rest:literal)*) => {
        $crate::metrics::sql::connection::Sql {
            sqlite: concat!($first $(, "created_at", $rest)*),
            mysql: concat!($first $(, "created_us", $rest)*),
        }
    };
}
pub(crate) use of_phases;

/// A value of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Text(Option<&'a str>),
    Integer(Option<i64>),
    Real(f64),
    Flag(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Self::Text(text.as_deref())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(Some(number.into()))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(instant: Timestamp) -> Self {
        Self::Integer(Some(instant.micros()))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(instant: Option<Timestamp>) -> Self {
        Self::Integer(instant.map(Timestamp::micros))
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The values of a statement, in the order of its question marks.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::metrics::sql::connection::Value::from($value)),*]
    };
}
pub(crate) use values;

macro_rules! arguments_of {
    ($Arguments:ty, $values:expr) => {{
        let mut arguments = <$Arguments>::default();
        for value in $values {
            match *value {
                Value::Text(text) => arguments.add(text.map(str::to_owned)),
                Value::Integer(number) => arguments.add(number),
                Value::Real(number) => arguments.add(number),
                Value::Flag(flag) => arguments.add(flag),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        arguments
    }};
}

/// Rows, or keys, of one statement: the largest that fits is taken.
const INSERT_SIZES: [usize; 3] = [100, 10, 1];

fn largest(rows: usize) -> usize {
    INSERT_SIZES
        .into_iter()
        .find(|size| *size <= rows)
        .unwrap_or(1)
}

/// Where a statement runs. A transaction round it is made and ended by whoever gives it.
pub(crate) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    MySql {
        connection: &'c mut MySqlConnection,
        /// What one statement may take.
        limit: Duration,
    },
}

impl Connection<'_> {
    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::MySql { .. } => Backend::MySql,
        }
    }

    /// Somebody else changed it meanwhile.
    pub fn conflict(&self, reason: String) -> Failure {
        let backend = self.backend();
        StoreError::Conflict { backend, reason }.into()
    }

    /// It names what is not there.
    pub fn dangling(&self, reason: String) -> Failure {
        let backend = self.backend();
        StoreError::Dangling { backend, reason }.into()
    }

    /// The database's own clock.
    pub async fn now(&mut self) -> Result<Timestamp, Failure> {
        let clock = Sql {
            sqlite: "SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
            mysql: "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
        };
        let now: Option<(i64,)> = self.row(clock, &[]).await?;
        Ok(Timestamp::from_micros(now.map_or(0, |(micros,)| micros)))
    }

    pub async fn rows<T: Stored>(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, Failure> {
        let sql = sql.into();
        match self {
            Self::Sqlite(connection) => {
                let arguments = arguments_of!(SqliteArguments, values);
                Ok(sqlx::query_as_with(sql.sqlite, arguments)
                    .fetch_all(&mut **connection)
                    .await?)
            }
            Self::MySql { connection, limit } => {
                let arguments = arguments_of!(MySqlArguments, values);
                let rows = sqlx::query_as_with(sql.mysql, arguments).fetch_all(&mut **connection);
                within(*limit, rows).await
            }
        }
    }

    /// The first row; `None` when there is none.
    pub async fn row<T: Stored>(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Option<T>, Failure> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// All rows whose last named column is one of these keys. `head` ends before `IN`.
    pub async fn rows_in<T: Stored>(
        &mut self,
        head: impl Into<Sql>,
        keys: &[&str],
    ) -> Result<Vec<T>, Failure> {
        self.rows_of_keys(head.into(), keys, "").await
    }

    /// The same for rows that the transaction is about to change: see [`locking`].
    pub async fn locked_rows_in<T: Stored>(
        &mut self,
        head: impl Into<Sql>,
        keys: &[&str],
    ) -> Result<Vec<T>, Failure> {
        let lock = match self {
            Self::Sqlite(_) => "",
            Self::MySql { .. } => " FOR UPDATE",
        };
        self.rows_of_keys(head.into(), keys, lock).await
    }

    async fn rows_of_keys<T: Stored>(
        &mut self,
        head: Sql,
        keys: &[&str],
        tail: &'static str,
    ) -> Result<Vec<T>, Failure> {
        let mut found = Vec::new();
        let mut rest = keys;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(largest(rest.len()));
            rest = later;
            let marks = vec!["?"; part.len()].join(", ");
            let values: Vec<Value<'_>> = part.iter().map(|&key| Value::from(key)).collect();
            // Safe: our own constants and question marks.
            match self {
                Self::Sqlite(connection) => {
                    let arguments = arguments_of!(SqliteArguments, &values);
                    let sql = AssertSqlSafe(format!("{} IN ({marks}){tail}", head.sqlite));
                    found.extend(
                        sqlx::query_as_with(sql, arguments)
                            .fetch_all(&mut **connection)
                            .await?,
                    );
                }
                Self::MySql { connection, limit } => {
                    let arguments = arguments_of!(MySqlArguments, &values);
                    let sql = AssertSqlSafe(format!("{} IN ({marks}){tail}", head.mysql));
                    let rows = sqlx::query_as_with(sql, arguments).fetch_all(&mut **connection);
                    found.extend(within(*limit, rows).await?);
                }
            }
        }
        Ok(found)
    }

    /// Inserts rows, many with one statement. `head` ends before `VALUES`.
    ///
    /// In hundreds, tens and ones, so that three prepared statements serve every number of rows.
    pub async fn insert(
        &mut self,
        head: impl Into<Sql>,
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        let head = head.into();
        let head = match self {
            Self::Sqlite(_) => head.sqlite,
            Self::MySql { .. } => head.mysql,
        };
        self.insert_into(head, rows).await
    }

    /// As [`insert`](Self::insert), for a table that is known by its name only.
    pub async fn insert_into(
        &mut self,
        head: &str,
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let size = largest(rest.len());
            let (part, later) = rest.split_at(size);
            rest = later;
            let row = format!("({})", vec!["?"; first.len()].join(", "));
            let tail = format!(" VALUES {}", vec![row.as_str(); size].join(", "));
            let values = part.concat();
            // Safe: our own constant and question marks.
            match self {
                Self::Sqlite(connection) => {
                    let arguments = arguments_of!(SqliteArguments, &values);
                    let sql = AssertSqlSafe(format!("{head}{tail}"));
                    sqlx::query_with(sql, arguments)
                        .execute(&mut **connection)
                        .await?;
                }
                Self::MySql { connection, limit } => {
                    let arguments = arguments_of!(MySqlArguments, &values);
                    let sql = AssertSqlSafe(format!("{head}{tail}"));
                    within(
                        *limit,
                        sqlx::query_with(sql, arguments).execute(&mut **connection),
                    )
                    .await?;
                }
            }
        }
        Ok(())
    }

    /// Returns how many rows it changed.
    pub async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        let sql = sql.into();
        match self {
            Self::Sqlite(connection) => {
                let arguments = arguments_of!(SqliteArguments, values);
                let done = sqlx::query_with(sql.sqlite, arguments)
                    .execute(&mut **connection)
                    .await?;
                Ok(done.rows_affected())
            }
            Self::MySql { connection, limit } => {
                let arguments = arguments_of!(MySqlArguments, values);
                let done = sqlx::query_with(sql.mysql, arguments).execute(&mut **connection);
                Ok(within(*limit, done).await?.rows_affected())
            }
        }
    }
}

/// The driver has no limit of its own: a server that stops answering would hold the caller for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Failure::Silent(limit)),
    }
}
