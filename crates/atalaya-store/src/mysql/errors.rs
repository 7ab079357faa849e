//! The driver's errors in the words of the store, each with its remedy, and which of them may be
//! tried again.
//!
//! Numbers: <https://mariadb.com/kb/en/mariadb-error-codes/> and
//! <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>.

use sqlx::mysql::MySqlDatabaseError;

use crate::error::{Backend, StoreError};

use super::options::MySqlOptions;

/// The server's own number of an error; `None` for everything that is not the server's answer.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    match error {
        sqlx::Error::Database(cause) => cause
            .try_downcast_ref::<MySqlDatabaseError>()
            .map(MySqlDatabaseError::number),
        _ => None,
    }
}

/// Somebody else's transaction was in the way; the same one may pass now.
///
/// 1213 deadlock, 1205 lock wait, 1020 changed since it was read (snapshot isolation), 1062 a row
/// of that key was written by another since this one looked.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1213 | 1205 | 1020 | 1062))
}

/// The connection is gone, and with it the answer: the work may or may not have been done.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => matches!(
            number(error),
            Some(1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031)
        ),
    }
}

/// The server's certificate was looked at and not accepted.
fn is_certificate(cause: &std::io::Error) -> bool {
    let inner = cause
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

pub(super) fn store_error(error: sqlx::Error, options: &MySqlOptions) -> StoreError {
    let backend = Backend::MySql;
    let address = options.address();
    match number(&error) {
        Some(code) => told(code, error, options),
        None => unanswered(error, backend, address),
    }
}

/// What is not the server's own answer.
fn unanswered(error: sqlx::Error, backend: Backend, address: String) -> StoreError {
    match error {
        sqlx::Error::Io(cause) if is_certificate(&cause) => StoreError::Refused {
            backend,
            source: format!(
                "{address}: {cause}; the ca_file has to name who signed the server's certificate"
            )
            .into(),
        },
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            StoreError::Corrupt {
                table: "the database",
                detail: format!("{address}: {error}"),
            }
        }
        sqlx::Error::PoolTimedOut => StoreError::TimedOut {
            backend,
            limit: super::QUEUE_LIMIT,
        },
        error @ (sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed) => StoreError::Unavailable {
            backend,
            address,
            source: error.into(),
        },
        error => StoreError::Refused {
            backend,
            source: error.into(),
        },
    }
}

/// The server's answer, by its number.
fn told(code: u16, error: sqlx::Error, options: &MySqlOptions) -> StoreError {
    let backend = Backend::MySql;
    let address = options.address();
    let reason = match &error {
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        other => other.to_string(),
    };
    match code {
        // Wrong user or password, or none given.
        1045 | 1698 | 1862 => StoreError::NotAuthenticated {
            backend,
            address,
            reason,
        },
        // This host, this database, this table, this column, this statement.
        1044 | 1130 | 1142 | 1143 | 1227 | 1370 | 1410 | 1419 => StoreError::NotAuthorised {
            backend,
            address,
            reason,
        },
        // No such database, no such table.
        1049 | 1146 => StoreError::MissingSchema {
            backend,
            address,
            detail: reason,
        },
        // Too long, out of range, wrong characters, invalid JSON, a check, too large a packet.
        3140 | 3157 | 4025 | 4035..=4041 => StoreError::Poison {
            backend,
            what: "row",
            reason: format!("{reason} (metadata may be 32 levels deep in MariaDB, 100 in MySQL)"),
        },
        1153 | 1264 | 1366 | 1406 | 3819 => StoreError::Poison {
            backend,
            what: "row",
            reason,
        },
        // Started read-only (a replica), or no space.
        1290 | 1836 => StoreError::NotWritable {
            backend,
            address,
            reason,
        },
        1021 | 1026 | 1030 | 1114 => StoreError::NotWritable {
            backend,
            address,
            reason: format!("{reason}; check the server's disk and its free space"),
        },
        1205 => StoreError::TimedOut {
            backend,
            limit: options.lock_timeout,
        },
        1020
        | 1040
        | 1053
        | 1062
        | 1077..=1080
        | 1152
        | 1158..=1161
        | 1184
        | 1203
        | 1213
        | 1226
        | 1317
        | 1927
        | 4031 => StoreError::Unavailable {
            backend,
            address,
            source: error.into(),
        },
        _ => StoreError::Refused {
            backend,
            source: error.into(),
        },
    }
}
