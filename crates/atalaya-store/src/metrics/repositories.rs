//! The git repositories that deployments are read from.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, locking, values};
use crate::error::StoreError;
use atalaya_domain::time::Timestamp;

/// A repository that was read: what it is, how, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Also the origin of its deployments: `git:` and the beginning of its first commit.
    pub id: String,
    /// Empty where a clone is too shallow to hold it.
    pub root_commit: String,
    /// Where it was cloned from, without scheme, user and `.git`.
    pub remote: Option<String>,
    /// What its deployments are called where their tags name no part of it.
    pub service: String,
    /// A person gave that name: then every tag is of this service.
    pub named: bool,
    /// How deployments were asked for: `auto`, `tags:v*`, `merges:main`.
    pub way: String,
    /// How they were found, in words.
    pub method: String,
    /// What became of its tags, in words; empty where tags were not looked at.
    pub account: String,
    /// Where it was read last.
    pub path: String,
    pub synced_at: Timestamp,
}

#[async_trait]
pub trait Repositories {
    /// By id.
    async fn put_repository(&self, repository: &Repository) -> Result<(), StoreError>;

    /// By id.
    async fn repositories(&self) -> Result<Vec<Repository>, StoreError>;

    /// Each origin of deployments with each of its services.
    async fn services_by_origin(&self) -> Result<Vec<(String, String)>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Repositories for D {
    async fn put_repository(&self, repository: &Repository) -> Result<(), StoreError> {
        self.write(repository.clone(), |connection, repository| {
            Box::pin(put_repository(connection, repository))
        })
        .await
        .map(|_| ())
    }

    async fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(repositories(connection))
        })
        .await
    }

    async fn services_by_origin(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(connection.rows(
                "SELECT DISTINCT origin, service FROM deployments ORDER BY origin, service",
                &[],
            ))
        })
        .await
    }
}

/// The same values in the same order for both statements.
const INSERT: &str = "INSERT INTO repositories
     (root_commit, remote, service, named, way, method, account, path, synced_at, id)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE repositories SET
     root_commit = ?, remote = ?, service = ?, named = ?, way = ?, method = ?, account = ?, path = ?, synced_at = ?
 WHERE id = ?";

async fn put_repository(
    connection: &mut Connection<'_>,
    repository: &Repository,
) -> Result<Written, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT synced_at FROM repositories WHERE id = ?"),
            values![&repository.id],
        )
        .await?;
    let (sql, written) = match known {
        Some(_) => (UPDATE, Written::updated(1)),
        None => (INSERT, Written::inserted(1)),
    };
    let values = values![
        &repository.root_commit,
        &repository.remote,
        &repository.service,
        repository.named,
        &repository.way,
        &repository.method,
        &repository.account,
        &repository.path,
        repository.synced_at,
        &repository.id,
    ];
    connection.execute(sql, values).await?;
    Ok(written)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    root_commit: String,
    remote: Option<String>,
    service: String,
    named: bool,
    way: String,
    method: String,
    account: String,
    path: String,
    synced_at: i64,
}

async fn repositories(connection: &mut Connection<'_>) -> Result<Vec<Repository>, Failure> {
    let rows: Vec<Row> = connection
        .rows("SELECT * FROM repositories ORDER BY id", &[])
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Repository {
            id: row.id,
            root_commit: row.root_commit,
            remote: row.remote,
            service: row.service,
            named: row.named,
            way: row.way,
            method: row.method,
            account: row.account,
            path: row.path,
            synced_at: Timestamp::from_micros(row.synced_at),
        })
        .collect())
}
