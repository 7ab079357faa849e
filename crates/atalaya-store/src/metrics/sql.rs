//! What the metrics are kept in: a database that speaks SQL, SQLite or MySQL and MariaDB. Each
//! aggregate (a file beside this one) writes its statements once and has its trait for every
//! [`SqlDatabase`]; a database brings its tables (`migrations/`), a transaction for each write and a
//! connection for each read.
//!
//! A write looks before it changes, and counts by what it saw. Two writers of the same new row both
//! see nothing; the database lets only one insert it (unique keys everywhere), and the other one's
//! transaction starts anew and then sees it. That the database has to do (or to have one writer).

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::error::{Backend, StoreError};
use atalaya_domain::health::database::Database;

pub(crate) mod connection;
pub(crate) mod fenced;

pub(crate) use connection::{Connection, Failure, Sql, locking, of_phases, values, within};

/// What is done on one connection with one input. A function and not a closure, so that a database
/// can do the same work again.
pub(crate) type Work<I, T> =
    for<'c, 'd> fn(&'c mut Connection<'d>, &'c I) -> BoxFuture<'c, Result<T, Failure>>;

/// What the statements of one read see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// There is only one statement.
    Latest,
    /// All of them see the same state of the database.
    Snapshot,
}

/// A database that a [`MetricsStore`](super::MetricsStore) is made of.
pub(crate) trait SqlDatabase: Send + Sync + 'static {
    /// The database itself, without a fence round it.
    type Bare: SqlDatabase<Bare = Self::Bare>;

    fn bare(self: Arc<Self>) -> Arc<Self::Bare>;

    fn backend(&self) -> Backend;

    fn address(&self) -> String;

    /// Everything of the work or nothing: one transaction, and again as long as another one was in
    /// the way.
    ///
    /// It runs to its end even when the caller is dropped.
    fn write<I, T>(
        &self,
        input: I,
        work: Work<I, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        I: Send + Sync + 'static,
        T: Send + 'static;

    fn read<I, T>(
        &self,
        view: View,
        input: I,
        work: Work<I, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        I: Send + Sync + 'static,
        T: Send + 'static;

    /// See [`Vitals::vitals`](super::vitals::Vitals::vitals).
    fn vitals(&self) -> impl Future<Output = Result<Database, StoreError>> + Send;

    /// See [`Snapshots::snapshot`](super::snapshot::Snapshots::snapshot).
    fn snapshot(&self, into: &Path)
    -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// See [`Vitals::read_only`](super::vitals::Vitals::read_only).
    fn read_only(&self) -> Option<String> {
        None
    }
}

/// The error of a row that cannot be what this program wrote.
pub(super) fn corrupt(
    table: &'static str,
    key: &str,
    detail: impl std::fmt::Display,
) -> StoreError {
    StoreError::Corrupt {
        table,
        detail: format!("`{key}`: {detail}"),
    }
}
